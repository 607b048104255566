//! Stock as it is counted on the shelf, and what is held for orders that are being paid.

use std::sync::Arc;

use axum::{Router, response::Response, routing::get};
use firsthand::{
    Error,
    trade::{Count, HeldFor, Shelf},
};
use url::form_urlencoded;

use super::{
    Desk, LIST, Office,
    acts::ShelfAct,
    html::{Html, html, row},
    view::{Asked, Form, Here, Query, Sent, Trouble, count_field, field, section, typed},
};

/// The most that one form puts on the shelf, or counts.
const MOST: u32 = 1_000_000;
/// How many items the form of a delivery offers to choose from.
const CHOICE: usize = 1_000;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route("/stock", get(page).post(act)).route("/holds", get(holds))
}

async fn page(desk: Desk, Query(asked): Query) -> Response {
    desk.stock_page(&asked, None).await
}

async fn act(desk: Desk, Form(headers, body): Form) -> Response {
    let done = async {
        let sent = desk.read(&headers, body)?;
        match desk.act_on_stock(&sent).await {
            Ok(said) => Ok(said),
            Err(trouble) => Err(sent.keep(trouble)),
        }
    };
    match done.await {
        Ok(said) => desk.go("/stock", said),
        Err(trouble) => {
            // A count goes back to its item; a delivery may have come from the list.
            let item = typed(Some(&trouble), "count", "item").to_owned();
            desk.stock_page(&Asked { item, ..Asked::default() }, Some(&trouble)).await
        }
    }
}

async fn holds(desk: Desk) -> Response {
    match desk.holds().await {
        Ok(main) => desk.page(Here::Holds, desk.say("Holds", "Vorgemerkt"), "", None, main),
        Err(error) => desk.sorry(Here::Holds, &error.into()),
    }
}

impl Desk {
    /// The shelf. These pages are not there without.
    fn counted(&self) -> Result<&Shelf, Error> {
        let missing = || Error::Misuse("no shelf: add `BackOffice::shelf` to count stock on these pages".to_owned());
        self.shelf.as_ref().ok_or_else(missing)
    }

    async fn act_on_stock(&self, sent: &Sent) -> Result<&'static str, Trouble> {
        let number = |name| sent.number(name).filter(|number| *number <= MOST);
        let number = |name| number(name).ok_or_else(|| Trouble::new("count_unreadable"));
        let (act, said) = match sent.text("act") {
            "receive" => {
                let more = number("more")?;
                if more == 0 {
                    return Err(Trouble::new("count_unreadable"));
                }
                (ShelfAct::Receive { more, delivery: sent.text("delivery").to_owned() }, "received")
            }
            "count" => {
                // What the page showed: without it nobody has looked.
                let seen = sent.text("seen").parse().map_err(|_| Trouble::new("act_unknown"))?;
                (ShelfAct::Count { left: number("left")?, seen: Some(seen) }, "counted")
            }
            _ => return Err(Trouble::new("act_unknown")),
        };
        sent.sure()?;
        let is_known = || async {
            let known = self.counted()?.has(sent.text("item"), self.merchant.now()).await;
            known.map_err(Error::from)
        };
        // A name that was never there is a typing error, unless somebody says that it is new.
        if matches!(act, ShelfAct::Receive { .. }) && sent.text("new") != "yes" && !is_known().await? {
            return Err(Trouble::new("item_not_on_shelf"));
        }
        self.hand().shelf_act(self.counted()?, sent.text("item"), act).await?;
        Ok(said)
    }

    async fn stock_page(&self, asked: &Asked, trouble: Option<&Trouble>) -> Response {
        let item = asked.item.trim();
        let shown =
            if item.is_empty() { self.stock(&asked.after, trouble).await } else { self.item(item, trouble).await };
        match shown {
            Ok(main) => self.page(Here::Stock, self.say("Stock", "Bestand"), &asked.said, trouble, main),
            Err(error) => self.sorry(Here::Stock, &error.into()),
        }
    }

    async fn stock(&self, after: &str, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let after = Some(after).filter(|after| !after.is_empty());
        let mut counts = self.counted()?.counts(after, LIST + 1, self.merchant.now()).await?;
        let more = counts.len() > LIST;
        counts.truncate(LIST);
        let list = if counts.is_empty() {
            html!("<p class=\"none\">{}</p>", self.say("Nothing is on the shelf.", "Es ist nichts im Bestand."))
        } else {
            self.counts_table(&counts)
        };
        let next = counts.last().filter(|_| more).map(|(last, _)| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("after", last).finish();
            let words = self.say("Further items", "Weitere Artikel");
            html!("<p><a class=\"more\" href=\"{}?{}\">{}</a></p>", self.href("/stock"), query, words)
        });
        let name = self.item_field(typed(trouble, "receive", "item")).await?;
        Ok(html!(
            "{}{}{}",
            section(self.say("On the shelf", "Im Bestand"), list),
            next,
            self.receive_section(name, &[], trouble)
        ))
    }

    /// The field that names an item, with those that there are to choose from, and the tick for one that is new.
    async fn item_field(&self, value: &str) -> Result<Html, Error> {
        let counts = self.counted()?.counts(None, CHOICE, self.merchant.now()).await?;
        let choice: Html = counts.iter().map(|(item, _)| html!("<option value=\"{}\"></option>", item)).collect();
        Ok(html!(
            "<label><span>{}</span><input name=\"item\" value=\"{}\" maxlength=\"64\" list=\"items\" autocomplete=\"off\" \
             required></label><datalist id=\"items\">{}</datalist>{}",
            self.say("Item", "Artikel"),
            value,
            choice,
            self.is_new()
        ))
    }

    /// What is ticked for an item that was never on the shelf.
    fn is_new(&self) -> Html {
        html!(
            "<label class=\"sure\"><input type=\"checkbox\" name=\"new\" value=\"yes\"> <span>{}</span></label>",
            self.say("It is new: it was never on the shelf.", "Er ist neu: Es gab ihn noch nie im Bestand.")
        )
    }

    fn counts_table(&self, counts: &[(String, Count)]) -> Html {
        let heads = [
            self.say("Item", "Artikel"),
            self.say("To be had", "Zu haben"),
            self.say("Held while somebody pays", "Vorgemerkt, solange jemand zahlt"),
        ];
        let head: Html = heads.iter().map(|head| html!("<th scope=\"col\">{}</th>", head)).collect();
        let [_, left, held] = heads;
        let rows: Html = counts
            .iter()
            .map(|(item, count)| {
                let query = form_urlencoded::Serializer::new(String::new()).append_pair("item", item).finish();
                html!(
                    "<tr><th scope=\"row\"><a href=\"{}?{}\"><code>{}</code></a></th>\
                     <td data-label=\"{}\" class=\"number\">{}</td><td data-label=\"{}\" class=\"number\">{}</td></tr>",
                    self.href("/stock"),
                    query,
                    item,
                    left,
                    count.left.to_string(),
                    held,
                    count.held.to_string(),
                )
            })
            .collect();
        html!("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, rows)
    }

    /// One item, with what can be done about it.
    async fn item(&self, item: &str, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let (shelf, now) = (self.counted()?, self.merchant.now());
        let count = shelf.count(item, now).await?;
        let new = if shelf.has(item, now).await? { Html::default() } else { self.is_new() };
        let facts = html!(
            "<dl>{}{}{}</dl>",
            row(self.say("Item", "Artikel"), html!("<code>{}</code>", item)),
            row(self.say("To be had", "Zu haben"), count.left.to_string()),
            row(self.say("Held while somebody pays", "Vorgemerkt, solange jemand zahlt"), count.held.to_string()),
        );
        let seen = count.left.to_string();
        let hidden = [("item", item), ("seen", seen.as_str())];
        let inside = html!(
            "{}{}",
            count_field(
                "left",
                self.say("To be had from now on", "Ab jetzt zu haben"),
                typed(trouble, "count", "left"),
                MOST
            ),
            self.sure(self.say(
                "I have counted, without what is held or sold already.",
                "Ich habe gezählt, ohne was vorgemerkt oder schon verkauft ist.",
            )),
        );
        let set = self.form("/stock", "count", &hidden, inside, self.say("Set the count", "Bestand setzen"));
        let all = html!("<p><a href=\"{}\">{}</a></p>", self.href("/stock"), self.say("All items", "Alle Artikel"));
        Ok(html!(
            "{}{}{}{}",
            facts,
            section(self.say("Count", "Zählen"), set),
            self.receive_section(new, &[("item", item)], trouble),
            all
        ))
    }

    fn receive_section(&self, name: Html, hidden: &[(&str, &str)], trouble: Option<&Trouble>) -> Html {
        let typed = |name| typed(trouble, "receive", name);
        let inside = html!(
            "{}{}{}{}",
            name,
            count_field("more", self.say("How many", "Wie viele"), typed("more"), MOST),
            field(
                "delivery",
                self.say("Number of the delivery note", "Nummer des Lieferscheins"),
                typed("delivery"),
                128,
                true
            ),
            self.sure(self.say(
                "It is here. The same delivery note counts once.",
                "Es ist da. Derselbe Lieferschein zählt einmal."
            )),
        );
        let form = self.form("/stock", "receive", hidden, inside, self.say("Put it on the shelf", "In den Bestand"));
        section(self.say("A delivery arrived", "Eine Lieferung ist da"), form)
    }

    async fn holds(&self) -> Result<Html, Error> {
        let held = self.counted()?.holds(LIST, self.merchant.now()).await?;
        let lead = self.say(
            "What customers who are paying just now will get. What is not paid in time goes back by itself.",
            "Was Kunden bekommen, die gerade zahlen. Was nicht rechtzeitig bezahlt ist, geht von selbst zurück.",
        );
        if held.is_empty() {
            let none = self.say("Nothing is held.", "Nichts ist vorgemerkt.");
            return Ok(html!("<p>{}</p><p class=\"none\">{}</p>", lead, none));
        }
        let mut list = Vec::new();
        for one in &held {
            list.push(self.hold(one).await?);
        }
        let list = list.into_iter().collect::<Html>();
        Ok(html!("<p>{}</p><ul class=\"records\">{}</ul>", lead, list))
    }

    async fn hold(&self, held: &HeldFor) -> Result<Html, Error> {
        // It is held before the order is there, and the order may never be.
        let order = match self.merchant.order(&held.order).await? {
            Some(order) => self.order_link(&order),
            None => html!("<code>{}</code>", held.order.as_str()),
        };
        let items: Html = held
            .items
            .iter()
            .map(|(item, count)| {
                html!("<li><code>{}</code> <span class=\"number\">{}</span></li>", item, count.to_string())
            })
            .collect();
        let until = self.lang.moment(held.until);
        let words = self.say("held until", "vorgemerkt bis");
        Ok(html!("<li><h2>{}</h2><p>{} {}</p><ul class=\"lines\">{}</ul></li>", order, words, until, items))
    }
}
