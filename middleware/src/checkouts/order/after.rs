//! What the page of an order tells of the time after the sale: parcels, what was taken back, and what was withdrawn from.

use std::fmt::Write as _;

use firsthand::{
    Error,
    merchant::{Adjusted, Order, Refund},
    money::Money,
    order::{
        Acknowledgement, AdjustmentReason, AdjustmentState, Eligibility, Fulfilment, OrderState, ParcelRecord, Part,
        RefundReason, RefundState, Withdrawal, WithdrawalState,
    },
    rail::WalletRail,
    time::UnixTime,
};

use super::{super::view::Frame, below};
use crate::web::escape;

/// What has to be looked up to tell it.
pub(in crate::checkouts) struct After {
    adjusted: Vec<Adjusted>,
    /// What goes back and belongs to no adjustment.
    refunds: Vec<Refund>,
    has_receipt: bool,
}

impl After {
    pub(in crate::checkouts) async fn of(order: &Order) -> Result<Self, Error> {
        let adjusted = order.adjustments().await?;
        let of_none = |refund: &Refund| !adjusted.iter().any(|it| refund.key().starts_with(&it.record.refunds()));
        let refunds = order.refunds().await?.into_iter().filter(of_none).collect();
        let has_receipt = match order.receipts().await {
            Ok(receipts) => !receipts.is_empty(),
            // A shop that makes none, or an order that has none yet, has a page all the same.
            Err(Error::Receipt(_)) => false,
            Err(error) => return Err(error),
        };
        Ok(Self { adjusted, refunds, has_receipt })
    }

    /// What was given back and what goes back.
    fn changes(&self, frame: &Frame<'_>, order: &Order) -> String {
        let mut list = String::new();
        for Adjusted { record, state } in &self.adjusted {
            let why = match record.reason {
                AdjustmentReason::Withdrawn => frame.say("You withdrew from it", "Von Ihnen widerrufen"),
                AdjustmentReason::Returned => frame.say("Taken back", "Zurückgenommen"),
                AdjustmentReason::NotSupplied => frame.say("We cannot supply it", "Wir können es leider nicht liefern"),
                AdjustmentReason::Damaged => {
                    frame.say("Cheaper, as it is damaged", "Günstiger, weil es beschädigt ist")
                }
                AdjustmentReason::PriceCorrection => frame.say("The price was corrected", "Preis berichtigt"),
                _ => frame.say("Changed", "Geändert"),
            };
            let back = (!record.amount.is_zero()).then(|| {
                let how = match state {
                    AdjustmentState::Done => Back::Done,
                    AdjustmentState::UnderWay => Back::UnderWay,
                    _ => Back::Owed,
                };
                format!("<p>{}</p>", back(frame, record.amount, how))
            });
            let _ = writeln!(
                list,
                "<li><h3>{why}</h3><p>{}</p>{}<p class=\"note\">{}</p></li>",
                things(frame, order, &record.lines),
                back.unwrap_or_default(),
                time(frame, record.at),
            );
        }
        for refund in self.refunds.iter().filter(|refund| !refund.amount().is_zero()) {
            let why = match refund.reason() {
                RefundReason::Overpaid => frame.say("More came than was due", "Es kam mehr an als nötig"),
                RefundReason::OrderEnded => frame.say("The order is off", "Die Bestellung gilt nicht mehr"),
                _ => frame.say("Refund", "Erstattung"),
            };
            let how = match refund.state() {
                RefundState::Done => Back::Done,
                RefundState::Owed => Back::Owed,
                _ => Back::UnderWay,
            };
            let _ = writeln!(list, "<li><h3>{why}</h3><p>{}</p></li>", back(frame, refund.amount(), how));
        }
        section("changes", frame.say("What goes back", "Was zurückgeht"), &list)
    }
}

/// How far money is on its way back.
enum Back {
    Owed,
    UnderWay,
    Done,
}

fn back(frame: &Frame<'_>, amount: Money, how: Back) -> String {
    let amount = format!("<strong>{}</strong>", escape(&frame.lang.amount(amount)));
    match how {
        Back::Owed => format!("{amount} {}", frame.say("goes back to you.", "geht an Sie zurück.")),
        Back::UnderWay => format!("{amount} {}", frame.say("is on its way back to you.", "ist unterwegs zu Ihnen.")),
        Back::Done => format!("{amount} {}", frame.say("was given back to you.", "wurde Ihnen zurückgezahlt.")),
    }
}

/// Where the order stands: the goods first, then the money.
pub(super) fn standing(frame: &Frame<'_>, order: &Order) -> String {
    let is_kept = !order.state().is_over();
    let mut said: Vec<String> = Vec::new();
    said.extend(goods(frame, order).filter(|_| is_kept).map(str::to_owned));
    let ledger = order.ledger();
    let all_back = !ledger.refunded.is_zero() && ledger.owed.is_zero() && ledger.refunded == ledger.received;
    if all_back {
        said.push(
            frame
                .say("What you paid was given back to you.", "Was Sie bezahlt haben, wurde Ihnen zurückgezahlt.")
                .to_owned(),
        );
        return said.join(" ");
    }
    said.push(money(frame, order).to_owned());
    if is_kept && !ledger.refunded.is_zero() {
        let amount = escape(&frame.lang.amount(ledger.refunded));
        said.push(format!("{amount} {}", frame.say("was given back to you.", "wurden Ihnen zurückgezahlt.")));
    }
    if is_kept && !ledger.owed.is_zero() {
        let amount = escape(&frame.lang.amount(ledger.owed));
        said.push(format!("{amount} {}", frame.say("goes back to you.", "gehen an Sie zurück.")));
    }
    said.join(" ")
}

/// How far what was ordered has come.
fn goods(frame: &Frame<'_>, order: &Order) -> Option<&'static str> {
    let some_arrived = order.parcels().iter().any(|parcel| parcel.delivered_at.is_some());
    let all_arrived = order.parcels().iter().all(|parcel| parcel.delivered_at.is_some());
    Some(match order.fulfilment() {
        Fulfilment::Partly if all_arrived => {
            frame.lang.say("A part has arrived; the rest follows.", "Ein Teil ist angekommen; der Rest folgt.")
        }
        Fulfilment::Partly => frame.lang.say("A part is on its way.", "Ein Teil ist unterwegs."),
        Fulfilment::Sent if some_arrived => frame
            .lang
            .say("A part has arrived; the rest is on its way.", "Ein Teil ist angekommen; der Rest ist unterwegs."),
        Fulfilment::Sent => frame.lang.say("It is on its way.", "Sie ist unterwegs."),
        Fulfilment::Delivered => frame.lang.say("It has arrived.", "Sie ist angekommen."),
        _ => return None,
    })
}

fn money(frame: &Frame<'_>, order: &Order) -> &'static str {
    match order.state() {
        OrderState::Paying if order.transfer().is_some() => {
            frame.lang.say("We wait for your transfer.", "Wir warten auf Ihre Überweisung.")
        }
        OrderState::Paying | OrderState::Placed => {
            frame.lang.say("The payment is under way.", "Die Zahlung ist unterwegs.")
        }
        OrderState::Authorised if order.attempts().last().is_some_and(|last| last.rail == WalletRail::ID) => {
            frame.lang.say(
                "You have authorised the payment. The money is on its way.",
                "Sie haben die Zahlung freigegeben. Das Geld ist unterwegs.",
            )
        }
        OrderState::Authorised => frame.lang.say(
            "Your payment is promised to us. We collect it when we send what you ordered.",
            "Ihre Zahlung ist uns zugesagt. Wir ziehen sie ein, wenn wir die Ware schicken.",
        ),
        OrderState::Paid => frame.lang.say("It is paid.", "Sie ist bezahlt."),
        OrderState::Declined => frame.lang.say(
            "The payment was declined. Nothing was taken from you.",
            "Die Zahlung wurde abgelehnt. Es wurde nichts abgebucht.",
        ),
        OrderState::Cancelled => {
            frame.lang.say("What was paid for it goes back to you.", "Was dafür bezahlt wurde, geht an Sie zurück.")
        }
        OrderState::Expired => frame.lang.say(
            "The money did not come in time. Should it come after all, it goes back to you.",
            "Das Geld kam nicht rechtzeitig. Sollte es noch kommen, geht es an Sie zurück.",
        ),
        _ => frame.lang.say(
            "We do not know yet whether your payment has gone through. Please do not pay again.",
            "Wir wissen noch nicht, ob Ihre Zahlung durchgegangen ist. Bitte zahlen Sie nicht noch einmal.",
        ),
    }
}

/// All that stands below the lines of an order.
pub(super) fn told(frame: &Frame<'_>, order: &Order, after: &After) -> String {
    let mut html = parcels(frame, order);
    html.push_str(&after.changes(frame, order));
    html.push_str(&function(frame, &order.withdrawal()));
    if after.has_receipt {
        let _ = writeln!(
            html,
            "<section aria-labelledby=\"receipt\">\n<h2 id=\"receipt\">{}</h2>\n<p><a class=\"button\" href=\"{}\">{}</a></p>\n</section>",
            frame.say("Receipt", "Beleg"),
            escape(&below(frame, "receipt")),
            frame.say("Print it, or keep it in your wallet", "Drucken oder in der Wallet aufheben"),
        );
    }
    html
}

fn parcels(frame: &Frame<'_>, order: &Order) -> String {
    let list: String = order.parcels().iter().map(|parcel| one(frame, order, parcel)).collect();
    section("parcels", frame.say("Your parcels", "Ihre Pakete"), &list)
}

fn one(frame: &Frame<'_>, order: &Order, parcel: &ParcelRecord) -> String {
    let title = match parcel.delivered_at {
        Some(at) => format!("{} {}", frame.say("Arrived on", "Angekommen am"), time(frame, at)),
        None => format!("{} {}", frame.say("On its way since", "Unterwegs seit"), time(frame, parcel.sent_at)),
    };
    let mut html = format!("<li><h3>{title}</h3><p>{}</p>", things(frame, order, &parcel.lines));
    let rows = [
        (frame.say("Carrier", "Versand mit"), parcel.carrier.as_deref()),
        (frame.say("Tracking number", "Sendungsnummer"), parcel.tracking.as_deref()),
    ];
    let rows: String = rows
        .into_iter()
        .filter_map(|(name, value)| {
            Some(format!("<div><dt>{name}</dt><dd class=\"number\">{}</dd></div>", escape(value?)))
        })
        .collect();
    if !rows.is_empty() {
        let _ = write!(html, "<dl>{rows}</dl>");
    }
    // The carrier learns nothing of where the link stood.
    if let Some(link) = &parcel.link {
        let what = parcel.tracking.as_ref().or(parcel.carrier.as_ref());
        let what = what.map(|what| format!("<span class=\"unseen\">: {}</span>", escape(what))).unwrap_or_default();
        let _ = write!(
            html,
            "<p><a class=\"button\" href=\"{}\" rel=\"noopener noreferrer\" data-firsthand-native>{}{what}</a></p>",
            escape(link.as_str()),
            frame.say("Where is it now?", "Wo ist es gerade?"),
        );
    }
    html.push_str("</li>\n");
    html
}

/// The function that has to be seen for as long as anybody may withdraw (Directive 2011/83/EU, Article 11a(1)).
fn function(frame: &Frame<'_>, withdrawal: &Withdrawal) -> String {
    if !withdrawal.is_open() {
        return String::new();
    }
    format!(
        "<section aria-labelledby=\"right\">\n<h2 id=\"right\">{}</h2>\n<p>{} {}</p>\n<p><a class=\"button\" href=\"{}\">{}</a></p>\n</section>\n",
        frame.say("Right of withdrawal", "Widerrufsrecht"),
        frame.say("You may withdraw without giving a reason.", "Sie können ohne Angabe von Gründen widerrufen."),
        until(frame, withdrawal),
        escape(&below(frame, "withdraw")),
        frame.say("Withdraw from the contract here", "Vertrag widerrufen"),
    )
}

/// Until when.
pub(super) fn until(frame: &Frame<'_>, withdrawal: &Withdrawal) -> String {
    let open = || withdrawal.lines.iter().filter(|line| line.stands == Eligibility::Open);
    let last = open().map(|line| line.until).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    match last {
        Some(last) => {
            let shown = frame.lang.last_of(frame.zone, last);
            format!("{} {}.", frame.say("Until", "Bis"), stamped(frame, last, &shown))
        }
        None => frame
            .say(
                "You have at least fourteen days from when the last of it has arrived.",
                "Sie haben mindestens vierzehn Tage Zeit, nachdem das letzte Stück angekommen ist.",
            )
            .to_owned(),
    }
}

/// That withdrawals were received, each to be kept as a file that the shop cannot change any more (Article 11a(4)).
pub(super) fn acknowledgements(frame: &Frame<'_>, order: &Order) -> String {
    let mut list = String::new();
    for (place, received) in order.acknowledgements().iter().enumerate() {
        let what = received.lines.iter().map(|line| format!("{} × {}", line.quantity, escape(&line.title)));
        let stands = match received.state {
            WithdrawalState::Due => format!(
                "{} {}.",
                frame.say("What is due to you goes back by", "Was Ihnen zusteht, geht zurück bis"),
                escape(&frame.day(received.refund_by)),
            ),
            _ => frame.say("It is settled.", "Er ist abgerechnet.").to_owned(),
        };
        let _ = writeln!(
            list,
            "<li><h3>{} {}</h3><p>{}</p><p>{stands}</p><p><a class=\"button\" href=\"{}\">{}</a></p></li>",
            frame.say("Received on", "Eingegangen am"),
            time(frame, received.at),
            what.collect::<Vec<_>>().join(", "),
            escape(&below(frame, &format!("kept/withdrawal-{}.txt", place.saturating_add(1)))),
            frame.say("Save the acknowledgement (text)", "Eingangsbestätigung sichern (Text)"),
        );
    }
    section("withdrawal", frame.say("Your withdrawal", "Ihr Widerruf"), &list)
}

/// The acknowledgement as a text: its content, and the day and time.
pub(super) fn as_text(frame: &Frame<'_>, received: &Acknowledgement) -> String {
    let mut text = format!(
        "{}\n\n",
        frame.say("Acknowledgement of receipt of a withdrawal", "Bestätigung über den Eingang eines Widerrufs")
    );
    let rows = [
        (frame.say("From", "Von"), frame.shop.to_owned()),
        (frame.say("Order", "Bestellung"), received.number.as_str().to_owned()),
        (frame.say("Received on", "Eingegangen am"), frame.lang.dated(frame.zone, received.at)),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name}: {value}");
    }
    let _ = writeln!(
        text,
        "\n{}",
        frame.say("You have withdrawn from the contract about:", "Sie haben den Vertrag widerrufen über:")
    );
    for line in &received.lines {
        let _ = writeln!(text, "  {} × {}", line.quantity, line.title);
    }
    let _ = writeln!(
        text,
        "\n{} {}.",
        frame.say("What is due to you goes back by", "Was Ihnen zusteht, geht zurück bis"),
        frame.day(received.refund_by)
    );
    text
}

/// What parts of the order are, in words.
pub(super) fn things(frame: &Frame<'_>, order: &Order, parts: &[Part]) -> String {
    let title = |part: &Part| {
        let line = order.lines().iter().find(|line| line.item == part.item);
        escape(frame.own(line.map_or(part.item.as_str(), |line| line.title.as_str())))
    };
    parts.iter().map(|part| format!("{} × {}", part.quantity, title(part))).collect::<Vec<_>>().join(", ")
}

/// A day and time by the shop's clock, for people and for programs.
pub(super) fn time(frame: &Frame<'_>, at: UnixTime) -> String {
    stamped(frame, at, &frame.lang.moment(frame.zone, at))
}

fn stamped(frame: &Frame<'_>, at: UnixTime, shown: &str) -> String {
    format!("<time datetime=\"{}\">{}</time>", frame.zone.stamp(at), escape(shown))
}

/// A part of the page; nothing if there is nothing in it.
fn section(id: &str, title: &str, list: &str) -> String {
    if list.is_empty() {
        return String::new();
    }
    format!(
        "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\" tabindex=\"-1\">{title}</h2>\n<ul class=\"records\">\n{list}</ul>\n</section>\n"
    )
}
