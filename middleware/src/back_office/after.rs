//! After the sale, on the page of an order: what is sent and arrives, what the merchant takes back, what the customer
//! withdraws from; and where it all came from.

use axum::{extract::Path, response::Response};
use firsthand::{
    Error,
    merchant::{Adjusted, Order},
    money::Quantity,
    order::{
        Acknowledgement, Adjustment, AfterError, Happened, Line, OrderError, OrderEvent, OrderState, Parcel,
        ParcelRecord, Part, WithdrawalState,
    },
};

use super::{
    Desk, LIST,
    acts::OrderAct,
    html::{Html, html, row},
    orders::counted,
    view::{Here, Query, Sent, Trouble, count_field, count_name, field, section, section_at, typed},
    words,
};
use crate::lang::Lang;

/// How many orders that are to be packed the first page shows.
const TO_PACK: usize = 50;

/// The acknowledgement of a withdrawal alone, to be printed.
pub(super) async fn acknowledgement(desk: Desk, Path(id): Path<String>, Query(asked): Query) -> Response {
    let found = async {
        let order = desk.hand().order(&id).await?;
        let stated = order.acknowledgements().into_iter().find(|one| one.key == asked.withdrawal);
        stated.ok_or_else(|| Error::from(OrderError::After(AfterError::NoSuchWithdrawal)))
    };
    match found.await {
        Ok(one) => {
            let title = desk.say("Acknowledgement of your withdrawal", "Bestätigung Ihres Widerrufs");
            desk.page(Here::Orders, title, "", None, desk.letter(&one))
        }
        Err(error) => desk.sorry(Here::Orders, &error.into()),
    }
}

/// What a form about an order asks for after the sale, and what the page says when it is done; nothing if it is about
/// something else.
pub(super) fn asked(order: &Order, sent: &Sent) -> Result<Option<(OrderAct, &'static str)>, Trouble> {
    // The form's own name is the parcel's, the adjustment's and the withdrawal's: sent twice, it is one.
    let (key, currency) = (sent.key.clone(), order.total().currency());
    let parts = || sent.parts(order.lines().iter().map(|line| line.item.as_str()));
    Ok(Some(match sent.text("act") {
        "sent" => {
            let said = |name| Some(sent.text(name).to_owned()).filter(|text| !text.is_empty());
            let parcel = Parcel {
                carrier: said("carrier"),
                tracking: said("tracking"),
                link: match said("link") {
                    Some(link) => Some(link.parse().map_err(|_| Trouble::new("invalid_parcel"))?),
                    None => None,
                },
                ..Parcel::new(key, Vec::new())
            };
            (OrderAct::Sent { lines: Some(parts()?), parcel }, "parcel_sent")
        }
        "delivered" => (OrderAct::Delivered { parcel: sent.text("parcel").to_owned() }, "parcel_delivered"),
        "adjust" => {
            let named = words::REASONS.into_iter().find(|reason| reason.name() == sent.text("reason"));
            let reason = named.ok_or_else(|| Trouble::new("act_unknown"))?;
            let amount = sent.amount_or_nothing("amount", currency)?;
            (OrderAct::Adjust(Adjustment { key, reason, lines: parts()?, amount }), "adjusted")
        }
        "withdraw" => (OrderAct::Withdraw { lines: parts()?, key }, "withdrawn"),
        "settle" => {
            let withdrawal = sent.text("withdrawal").to_owned();
            (OrderAct::Settle { withdrawal, amount: sent.amount_or_nothing("amount", currency)? }, "settled")
        }
        _ => return Ok(None),
    }))
}

impl Desk {
    /// Whose business it is for, if it came from a checkout of one.
    pub(super) fn business_of(&self, order: &Order) -> Html {
        let Some(from) = &order.record().checkout else { return Html::default() };
        let vat_id = from.vat_id.as_ref().map(|id| {
            let owes =
                self.say("the buyer owes the tax (reverse charge)", "die Steuer schuldet der Käufer (Reverse Charge)");
            row(self.say("VAT id", "USt-IdNr."), html!("<code>{}</code>; {}", id, owes))
        });
        html!("{}", vat_id)
    }

    /// That something was sold that is not there, as long as it is neither sent nor given up.
    pub(super) fn stock_missing(&self, order: &Order, events: &[OrderEvent]) -> Html {
        let missing: Vec<String> =
            missing(order, events).iter().map(|item| title_of(order.lines(), item).to_owned()).collect();
        if missing.is_empty() {
            return Html::default();
        }
        html!(
            "<p class=\"notice bad\">{} <strong>{}</strong>. {}</p>",
            self.say("Sold, and not in stock any more:", "Verkauft und nicht mehr im Bestand:"),
            missing.join(", "),
            self.say(
                "Get it, or say below that it cannot be supplied.",
                "Besorgen Sie es, oder sagen Sie unten, dass es nicht lieferbar ist.",
            )
        )
    }

    /// What was sent, what was taken back, and what was withdrawn from.
    pub(super) async fn after_sale(&self, order: &Order, trouble: Option<&Trouble>) -> Result<Html, Error> {
        Ok(html!(
            "{}{}{}",
            self.withdrawals(order, trouble)?,
            self.parcels(order),
            self.adjustments(order, &order.adjustments().await?)
        ))
    }

    fn parcels(&self, order: &Order) -> Html {
        let is_sold = matches!(order.state(), OrderState::Paid | OrderState::Authorised);
        if order.parcels().is_empty() && !is_sold {
            return Html::default();
        }
        let list: Html = order.parcels().iter().map(|parcel| self.parcel(order, parcel)).collect();
        let list = (!list.is_empty()).then(|| html!("<ul class=\"records\">{}</ul>", list));
        let unsent = order.unsent();
        let left = (is_sold && !unsent.is_empty()).then(|| {
            html!("<p>{} {}</p>", self.say("Still to be sent:", "Noch zu senden:"), goods(order.lines(), &unsent))
        });
        let how = words::fulfilment(order.fulfilment());
        section(
            self.say("What was sent", "Was gesendet wurde"),
            html!("<p>{}</p>{}{}", self.say(how.0, how.1), list, left),
        )
    }

    fn parcel(&self, order: &Order, parcel: &ParcelRecord) -> Html {
        let carrier = parcel.carrier.as_ref().map(|carrier| row(self.say("Carrier", "Versender"), carrier));
        let tracking = parcel
            .tracking
            .as_ref()
            .map(|tracking| row(self.say("Tracking number", "Sendungsnummer"), html!("<code>{}</code>", tracking)));
        let link = parcel.link.as_ref().map(|link| {
            html!(
                "<p><a href=\"{}\" rel=\"noreferrer\">{}</a></p>",
                link.as_str(),
                self.say("The carrier’s page about it", "Die Seite des Versenders dazu")
            )
        });
        let arrived = parcel.delivered_at.map(|at| row(self.say("Arrived", "Angekommen"), self.moment(at)));
        let arrives = parcel.delivered_at.is_none().then(|| {
            let sure = self.sure(self.say(
                "It has arrived: from then on the time to withdraw can run.",
                "Es ist angekommen: Von da an kann die Widerrufsfrist laufen.",
            ));
            let hidden = [("parcel", parcel.key.as_str())];
            self.form(
                &path_of(order),
                "delivered",
                &hidden,
                sure,
                self.say("Mark as arrived", "Als angekommen vermerken"),
            )
        });
        html!(
            "<li><h3>{}</h3><dl>{}{}{}{}</dl>{}{}</li>",
            goods(order.lines(), &parcel.lines),
            row(self.say("Sent", "Gesendet"), self.moment(parcel.sent_at)),
            carrier,
            tracking,
            arrived,
            link,
            arrives,
        )
    }

    fn adjustments(&self, order: &Order, adjusted: &[Adjusted]) -> Html {
        if adjusted.is_empty() {
            return Html::default();
        }
        let list: Html = adjusted
            .iter()
            .map(|Adjusted { record, state }| {
                let (why, state) = (words::adjusted(record.reason), words::adjustment_state(*state));
                html!(
                    "<li><h3>{}: {}</h3><p>{}, {}; {}</p></li>",
                    self.say(why.0, why.1),
                    goods(order.lines(), &record.lines),
                    self.lang.money(record.amount),
                    self.moment(record.at),
                    self.say(state.0, state.1),
                )
            })
            .collect();
        section(self.say("What was changed", "Was geändert wurde"), html!("<ul class=\"records\">{}</ul>", list))
    }

    fn withdrawals(&self, order: &Order, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let stated = order.acknowledgements();
        if stated.is_empty() {
            return Ok(Html::default());
        }
        let mut list = Vec::new();
        for one in &stated {
            let state = match one.state {
                WithdrawalState::Due => html!(
                    "<p>{} {}</p>{}",
                    self.say("Pay back until", "Zurückzahlen bis"),
                    self.moment(one.refund_by),
                    self.settle(order, one, trouble)?
                ),
                _ => html!("<p>{}</p>", self.say("Settled", "Abgerechnet")),
            };
            let letter = html!(
                "<h4>{}</h4>{}<p><a href=\"{}\">{}</a></p>",
                self.say("Acknowledgement for the customer, due at once", "Bestätigung für den Kunden, sofort fällig"),
                self.letter(one),
                self.href_with(&format!("{}/acknowledgement", path_of(order)), &[("withdrawal", one.key.as_str())]),
                self.say("Print this letter", "Diesen Brief drucken"),
            );
            list.push(html!(
                "<li><h3>{}</h3><p>{} {}</p>{}{}</li>",
                acknowledged(one),
                self.say("Withdrawn from", "Widerrufen"),
                self.moment(one.at),
                letter,
                state
            ));
        }
        let list = list.into_iter().collect::<Html>();
        let title = self.say("What was withdrawn from", "Was widerrufen wurde");
        Ok(section(title, html!("<ul class=\"records\">{}</ul>", list)))
    }

    fn letter(&self, one: &Acknowledgement) -> Html {
        html!("<pre class=\"letter\">{}</pre>", words::acknowledgement(self.lang, self.merchant.time_zone(), one))
    }

    /// The form that settles a withdrawal, with what it is worth.
    fn settle(&self, order: &Order, one: &Acknowledgement, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let worth = order.withdrawal_worth(&one.key)?;
        let proposed = match self.lang {
            Lang::En => worth.decimal(),
            Lang::De => worth.decimal().replace('.', ","),
        };
        let is_this = typed(trouble, "settle", "withdrawal") == one.key;
        let value = if is_this { typed(trouble, "settle", "amount") } else { proposed.as_str() };
        let inside = html!(
            "<p class=\"small\">{}</p>{}{}",
            self.say(
                "Proposed is what was paid for it and has not gone back, with the delivery if nothing is kept. Deduct what the goods lost by more than trying them on.",
                "Vorgeschlagen ist, was dafür bezahlt wurde und noch nicht zurückging, mit dem Versand, wenn nichts behalten wird. Ziehen Sie ab, was die Ware durch mehr als Anprobieren verloren hat.",
            ),
            self.amount_field(self.say("Goes back", "Geht zurück"), worth.currency(), value),
            self.sure(self.goes_back()),
        );
        let hidden = [("withdrawal", one.key.as_str())];
        Ok(self.form(&path_of(order), "settle", &hidden, inside, self.say("Settle it", "Abrechnen")))
    }

    /// What can be done after the sale.
    pub(super) fn after_acts(&self, order: &Order, trouble: Option<&Trouble>) -> Vec<Html> {
        let mut acts = Vec::new();
        let unsent = order.unsent();
        if order.record().may_be_sent() && !unsent.is_empty() {
            acts.push(self.send_form(order, &unsent, trouble));
        }
        if matches!(order.state(), OrderState::Paid | OrderState::Authorised) {
            acts.push(self.adjust_form(order, trouble));
        }
        let open = order.withdrawal().all();
        if !open.is_empty() {
            let inside = html!(
                "<h3>{}</h3><p>{}</p>{}{}",
                self.say("The customer withdraws", "Der Kunde widerruft"),
                self.say(
                    "By a letter or on the telephone: on the shop’s page they do it themselves.",
                    "Per Brief oder am Telefon: Auf der Seite des Shops tun sie es selbst.",
                ),
                self.counts(order, "withdraw", &open, false, trouble),
                self.sure(self.say(
                    "The customer has told me so. It cannot be undone here.",
                    "Der Kunde hat mir das so gesagt oder geschrieben. Hier lässt es sich nicht rückgängig machen."
                )),
            );
            let button = self.say("Record the withdrawal", "Widerruf eintragen");
            acts.push(self.form(&path_of(order), "withdraw", &[], inside, button));
        }
        acts
    }

    fn send_form(&self, order: &Order, unsent: &[Part], trouble: Option<&Trouble>) -> Html {
        let typed = |name| typed(trouble, "sent", name);
        let inside = html!(
            "<h3>{}</h3>{}{}{}{}{}",
            self.say("Send", "Senden"),
            self.counts(order, "sent", unsent, true, trouble),
            field("carrier", self.say("Carrier", "Versender"), typed("carrier"), 64, false),
            field("tracking", self.say("Tracking number", "Sendungsnummer"), typed("tracking"), 64, false),
            field("link", self.say("Page about it (https)", "Seite dazu (https)"), typed("link"), 256, false),
            self.sure(self.say("It has left the shop.", "Es hat den Shop verlassen.")),
        );
        self.form(&path_of(order), "sent", &[], inside, self.say("Mark as sent", "Als gesendet vermerken"))
    }

    fn adjust_form(&self, order: &Order, trouble: Option<&Trouble>) -> Html {
        let reasons: Html = words::REASONS
            .into_iter()
            .map(|reason| {
                let (words, was) = (words::adjusted(reason), typed(trouble, "adjust", "reason"));
                let selected = (was == reason.name()).then(|| html!(" selected"));
                html!("<option value=\"{}\"{}>{}</option>", reason.name(), selected, self.say(words.0, words.1))
            })
            .collect();
        let currency = order.total().currency();
        let inside = html!(
            "<h3>{}</h3><label><span>{}</span><select name=\"reason\">{}</select></label>{}{}{}",
            self.say("Take back, or make cheaper", "Zurücknehmen oder nachlassen"),
            self.say("Why", "Warum"),
            reasons,
            self.counts(order, "adjust", &bought(order), false, trouble),
            self.amount_field(self.say("Goes back", "Geht zurück"), currency, typed(trouble, "adjust", "amount")),
            self.sure(self.goes_back()),
        );
        let button = self.say("Record it, and pay this back", "Eintragen und zurückzahlen");
        self.form(&path_of(order), "adjust", &[], inside, button)
    }

    /// A field for each item: how many. All of them, or none, unless something was typed.
    fn counts(&self, order: &Order, act: &str, parts: &[Part], all: bool, trouble: Option<&Trouble>) -> Html {
        let was_typed = !typed(trouble, act, "act").is_empty();
        let field = |part: &Part| {
            let (name, most) = (count_name(&part.item), part.quantity.count());
            let proposed = if all { most.to_string() } else { String::new() };
            let value = if was_typed { typed(trouble, act, &name) } else { proposed.as_str() };
            let title = title_of(order.lines(), &part.item);
            let label = format!("{title} ({} {most})", self.say("up to", "bis"));
            count_field(&name, &label, value, most)
        };
        parts.iter().map(field).collect()
    }

    /// What there is to pack, for the first page: those who have waited longest come first.
    pub(super) async fn to_send(&self) -> Result<(String, Html), Error> {
        let orders = self.merchant.orders_to_send(TO_PACK + 1).await?;
        let title = self.say("To send", "Zu versenden");
        let count = counted(orders.len(), TO_PACK);
        if orders.is_empty() {
            let none = self.say("Nothing is to be sent.", "Es ist nichts zu versenden.");
            return Ok((count, section_at("to-send", title, html!("<p class=\"none\">{}</p>", none))));
        }
        let rows: Html = orders
            .iter()
            .take(TO_PACK)
            .map(|order| {
                html!(
                    "<li><span>{} {}</span> <span>{} {}</span></li>",
                    self.order_link(order),
                    goods(order.lines(), &order.unsent()),
                    self.say("placed", "bestellt"),
                    self.moment(order.placed_at())
                )
            })
            .collect();
        let more = (orders.len() > TO_PACK).then(|| {
            let words = self.say(
                "There are more: the oldest stand here, and the next ones once these are sent.",
                "Es gibt mehr: Hier stehen die ältesten, und die nächsten, sobald diese gesendet sind.",
            );
            html!("<p>{}</p>", words)
        });
        Ok((count, section_at("to-send", title, html!("<ul class=\"lines\">{}</ul>{}", rows, more))))
    }

    /// What would be to pack, and is stopped, for the first page.
    pub(super) async fn stopped_orders(&self) -> Result<Html, Error> {
        let orders = self.merchant.orders_stopped(LIST).await?;
        if orders.is_empty() {
            return Ok(Html::default());
        }
        let rows: Html = orders
            .iter()
            .map(|order| html!("<li>{} {}</li>", self.order_link(order), goods(order.lines(), &order.unsent())))
            .collect();
        let title = self.say("Stopped: look before you send", "Angehalten: erst nachsehen, dann senden");
        let why = self.say(
            "Money for these was taken back, goes back, or will not come.",
            "Geld dafür wurde zurückgeholt, geht zurück oder kommt nicht.",
        );
        Ok(section_at("stopped", title, html!("<p>{}</p><ul class=\"lines\">{}</ul>", why, rows)))
    }

    /// The withdrawals that wait for the merchant, for the first page.
    pub(super) async fn open_withdrawals(&self) -> Result<(String, Html), Error> {
        let orders = self.merchant.open_withdrawals(LIST + 1).await?;
        let rows: Vec<Html> = orders
            .iter()
            .flat_map(|order| order.acknowledgements().into_iter().map(move |one| (order, one)))
            .filter(|(_, one)| one.state == WithdrawalState::Due)
            .map(|(order, one)| {
                html!(
                    "<li><span>{} {}</span> <span>{} {}</span></li>",
                    self.order_link(order),
                    acknowledged(&one),
                    self.say("pay back until", "zurückzahlen bis"),
                    self.moment(one.refund_by)
                )
            })
            .collect();
        let count = counted(rows.len(), LIST);
        if rows.is_empty() {
            return Ok((count, Html::default()));
        }
        let title = self.say("Withdrawals to be settled", "Widerrufe, die abzurechnen sind");
        let rows = rows.into_iter().take(LIST).collect::<Html>();
        Ok((count, section_at("withdrawals", title, html!("<ul class=\"lines\">{}</ul>", rows))))
    }
}

/// What was sold and was not in stock any more, as long as it is to be sent.
pub(super) fn missing(order: &Order, events: &[OrderEvent]) -> Vec<String> {
    let told = events.iter().filter_map(|event| match &event.what {
        Happened::StockMissing { items } => Some(items),
        _ => None,
    });
    let unsent = if order.state().is_over() { Vec::new() } else { order.unsent() };
    let mut missing: Vec<String> =
        told.flatten().filter(|item| unsent.iter().any(|part| part.item == **item)).cloned().collect();
    missing.dedup();
    missing
}

/// All that was bought, each item once. The library refuses more than is left.
fn bought(order: &Order) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in order.lines() {
        match parts.iter_mut().find(|part| part.item == line.item) {
            Some(part) => part.quantity = more(part.quantity, line.quantity),
            None => parts.push(Part::new(line.item.clone(), line.quantity)),
        }
    }
    parts
}

/// Two quantities together; at most what one can say.
fn more(one: Quantity, other: Quantity) -> Quantity {
    Quantity::new(one.count().saturating_add(other.count())).unwrap_or(Quantity::MAX)
}

fn path_of(order: &Order) -> String {
    format!("/orders/{}", order.id())
}

/// Goods by what they are called, with the shop's own name of them beside it.
pub(super) fn goods(lines: &[Line], parts: &[Part]) -> Html {
    listed(parts.iter().map(|part| {
        let title = title_of(lines, &part.item);
        let code = (title != part.item).then(|| html!(" <small><code>{}</code></small>", part.item));
        html!("{} × {}{}", part.quantity.to_string(), title, code)
    }))
}

/// What an item was called when it was bought.
pub(super) fn title_of<'a>(lines: &'a [Line], item: &'a str) -> &'a str {
    lines.iter().find(|line| line.item == item).map_or(item, |line| line.title.as_str())
}

fn acknowledged(one: &Acknowledgement) -> Html {
    listed(one.lines.iter().map(|line| html!("{} × {}", line.quantity.to_string(), line.title)))
}

fn listed(all: impl Iterator<Item = Html>) -> Html {
    all.enumerate().map(|(n, one)| if n == 0 { one } else { html!(", {}", one) }).collect()
}
