//! Stock as it is counted on the shelf, and what is held for orders that are being paid.

use std::sync::Arc;

use axum::{Router, response::Response, routing::get};
use firsthand::{
    Error,
    merchant::Order,
    trade::{Count, HeldFor, Shelf},
};

use super::{
    Desk, LIST, Office,
    acts::ShelfAct,
    after::goods,
    html::{Html, html, row},
    view::{Asked, Form, Here, Query, Sent, Trouble, count_field, field, section, typed},
};

/// The most that one form puts on the shelf, or counts.
const MOST: u32 = 1_000_000;
/// How many open orders are looked through for pieces that are ordered and not paid.
const UNPAID: usize = 1_000;
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
            let names: Vec<String> = counts.iter().map(|(item, _)| item.clone()).collect();
            self.counts_table(&counts, &self.titles(&names).await, &self.unpaid_orders().await?)
        };
        let next = counts.last().filter(|_| more).map(|(last, _)| {
            let words = self.say("Further items", "Weitere Artikel");
            html!(
                "<p><a class=\"more\" href=\"{}\">{}</a></p>",
                self.href_with("/stock", &[("after", last.as_str())]),
                words
            )
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

    fn counts_table(&self, counts: &[(String, Count)], titles: &[Option<String>], unpaid: &Unpaid) -> Html {
        let heads = [
            self.say("Item", "Artikel"),
            self.say("To be had", "Zu haben"),
            self.say("Held while somebody pays", "Vorgemerkt, solange jemand zahlt"),
            self.say("Ordered, not paid", "Bestellt, nicht bezahlt"),
        ];
        let head: Html = heads.iter().map(|head| html!("<th scope=\"col\">{}</th>", head)).collect();
        let [_, left, held, ordered] = heads;
        let rows: Html = counts
            .iter()
            .enumerate()
            .map(|(place, (item, count))| {
                html!(
                    "<tr><th scope=\"row\"><a href=\"{}\">{}</a></th><td data-label=\"{}\" class=\"number\">{}</td>\
                     <td data-label=\"{}\" class=\"number\">{}</td><td data-label=\"{}\" class=\"number\">{}</td></tr>",
                    self.href_with("/stock", &[("item", item.as_str())]),
                    named(item, titles.get(place).and_then(Option::as_deref)),
                    left,
                    count.left.to_string(),
                    held,
                    count.held.to_string(),
                    ordered,
                    unpaid.of(item).to_string(),
                )
            })
            .collect();
        html!("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, rows)
    }

    /// What these items are called in the catalogue. The pages of stock do without if nobody can tell.
    async fn titles(&self, items: &[String]) -> Vec<Option<String>> {
        self.merchant.item_titles(items).await.unwrap_or_default()
    }

    /// The orders that count as sold, and whose money has not come.
    async fn unpaid_orders(&self) -> Result<Unpaid, Error> {
        let open = self.merchant.open_orders(UNPAID).await?;
        let is_whole = open.len() < UNPAID;
        Ok(Unpaid { orders: open.into_iter().filter(is_sold_unpaid).collect(), is_whole })
    }

    /// A list of orders that are not paid, each with what it has of the goods, and until when it waits.
    fn unpaid_list(&self, unpaid: &Unpaid, item: Option<&str>) -> Html {
        let of_it = |order: &&Order| item.is_none_or(|item| pieces(order, item) > 0);
        let rows: Html = unpaid
            .orders
            .iter()
            .filter(of_it)
            .take(LIST)
            .map(|order| {
                let until = order
                    .expires_at()
                    .map(|at| html!(" <span>{} {}</span>", self.say("waits until", "wartet bis"), self.moment(at)));
                html!(
                    "<li><span>{} {}</span>{}</li>",
                    self.order_link(order),
                    goods(order.lines(), &order.unsent()),
                    until
                )
            })
            .collect();
        let shown = unpaid.orders.iter().filter(of_it).count();
        let more = (shown > LIST || !unpaid.is_whole).then(|| {
            let words = self
                .say("There are more: these wait for the shortest time.", "Es gibt mehr: Diese warten am kürzesten.");
            html!("<p>{}</p>", words)
        });
        let list = if rows.is_empty() {
            html!("<p class=\"none\">{}</p>", self.say("None.", "Keine."))
        } else {
            html!("<ul class=\"lines\">{}</ul>", rows)
        };
        let lead = self.say(
            "These have left the count already, and their money has not come. What is not paid in time goes back by itself.",
            "Diese sind im Bestand schon abgezogen, und ihr Geld ist noch nicht da. Was nicht rechtzeitig bezahlt ist, geht von selbst zurück.",
        );
        let title = self.say("Ordered, not paid", "Bestellt, nicht bezahlt");
        section(title, html!("<p>{}</p>{}{}", lead, list, more))
    }

    /// One item, with what can be done about it.
    async fn item(&self, item: &str, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let (shelf, now) = (self.counted()?, self.merchant.now());
        let count = shelf.count(item, now).await?;
        let new = if shelf.has(item, now).await? { Html::default() } else { self.is_new() };
        let titles = self.titles(&[item.to_owned()]).await;
        let unpaid = self.unpaid_orders().await?;
        let facts = html!(
            "<dl>{}{}{}{}</dl>",
            row(self.say("Item", "Artikel"), named(item, titles.first().and_then(Option::as_deref))),
            row(self.say("To be had", "Zu haben"), count.left.to_string()),
            row(self.say("Held while somebody pays", "Vorgemerkt, solange jemand zahlt"), count.held.to_string()),
            row(self.say("Ordered, not paid", "Bestellt, nicht bezahlt"), unpaid.of(item).to_string()),
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
            "{}{}{}{}{}",
            facts,
            (unpaid.of(item) > 0).then(|| self.unpaid_list(&unpaid, Some(item))),
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
        let mut list = Vec::new();
        for one in &held {
            list.push(self.hold(one).await?);
        }
        let list = if list.is_empty() {
            html!("<p class=\"none\">{}</p>", self.say("Nothing is held.", "Nichts ist vorgemerkt."))
        } else {
            html!("<ul class=\"records\">{}</ul>", list.into_iter().collect::<Html>())
        };
        let title = self.say("While somebody pays", "Solange jemand zahlt");
        let held = section(title, html!("<p>{}</p>{}", lead, list));
        Ok(html!("{}{}", held, self.unpaid_list(&self.unpaid_orders().await?, None)))
    }

    async fn hold(&self, held: &HeldFor) -> Result<Html, Error> {
        // It is held before the order is there, and the order may never be.
        let order = match self.merchant.order(&held.order).await? {
            Some(order) => self.order_link(&order),
            None => html!("<code>{}</code>", held.order.as_str()),
        };
        let names: Vec<String> = held.items.iter().map(|(item, _)| item.clone()).collect();
        let titles = self.titles(&names).await;
        let items: Html = held
            .items
            .iter()
            .enumerate()
            .map(|(place, (item, count))| {
                let title = titles.get(place).and_then(Option::as_deref);
                html!(
                    "<li><span>{}</span> <span class=\"number\">{}</span></li>",
                    named(item, title),
                    count.to_string()
                )
            })
            .collect();
        let until = self.moment(held.until);
        let words = self.say("held until", "vorgemerkt bis");
        Ok(html!("<li><h2>{}</h2><p>{} {}</p><ul class=\"lines\">{}</ul></li>", order, words, until, items))
    }
}

/// The orders that count as sold, and whose money has not come: those of the nearest time, and whether these are all.
struct Unpaid {
    orders: Vec<Order>,
    is_whole: bool,
}

impl Unpaid {
    /// How many pieces of an item they have.
    fn of(&self, item: &str) -> u64 {
        self.orders.iter().map(|order| pieces(order, item)).fold(0, u64::saturating_add)
    }
}

/// Whether the shelf counts an order as sold whose money has not come: those of a checkout, once it is complete.
fn is_sold_unpaid(order: &Order) -> bool {
    let record = order.record();
    record.checkout.is_some() && record.is_confirmed() && order.state().is_open() && !record.may_be_sent()
}

/// How many pieces of an item an order is to bring.
fn pieces(order: &Order, item: &str) -> u64 {
    let of_it = order.unsent().into_iter().filter(|part| part.item == item);
    of_it.map(|part| u64::from(part.quantity.count())).fold(0, u64::saturating_add)
}

/// An item by what it is called, with the shop's own name of it beside it.
fn named(item: &str, title: Option<&str>) -> Html {
    match title.filter(|title| *title != item) {
        Some(title) => html!("{} <small><code>{}</code></small>", title, item),
        None => html!("<code>{}</code>", item),
    }
}
