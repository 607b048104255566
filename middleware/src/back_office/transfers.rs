//! Transfers that name no order, and those that somebody books by hand.

use axum::response::Response;
use firsthand::{
    Error,
    error::Refusal,
    merchant::{Booking, Order, Transfer, UnmatchedTransfer, WaitsBecause},
    money::Currency,
    order::{BankAccount, OrderId, OrderState},
};
use http::StatusCode;

use super::{
    Desk, LIST,
    acts::TransferAct,
    html::{Html, html},
    order::order_field,
    view::{Asked, Form, Here, Query, Sent, Trouble, field, iban, section, typed},
    words,
};
use crate::{lang::Lang, problem::Problem};

/// What was done, and to which order.
type Done = (&'static str, Option<OrderId>);

pub(super) async fn page(desk: Desk, Query(asked): Query) -> Response {
    desk.transfers_page(&asked, None).await
}

pub(super) async fn act(desk: Desk, Form(headers, body): Form) -> Response {
    let done = async {
        let sent = desk.read(&headers, body)?;
        match desk.act_on_transfer(&sent).await {
            Ok(said) => Ok(said),
            Err(trouble) => Err(sent.keep(trouble)),
        }
    };
    match done.await {
        Ok((said, Some(order))) => desk.go_with("/transfers", &[("said", said), ("order", order.as_str())]),
        Ok((said, None)) => desk.go("/transfers", said),
        Err(trouble) => desk.transfers_page(&Asked::default(), Some(&trouble)).await,
    }
}

impl Desk {
    async fn act_on_transfer(&self, sent: &Sent) -> Result<Done, Trouble> {
        let hand = self.hand();
        let (act, said) = match sent.text("act") {
            "book" => return self.book(sent).await,
            "assign" => {
                sent.sure()?;
                let order = hand.order_called(sent.text("order")).await?;
                (TransferAct::Assign(order.id().clone()), "assigned")
            }
            "returned" => (TransferAct::Returned, "returned"),
            "same" => (TransferAct::Same, "same"),
            _ => return Err(Trouble::new("act_unknown")),
        };
        sent.sure()?;
        let order = if let TransferAct::Assign(order) = &act { Some(order.clone()) } else { None };
        hand.transfer_act(sent.text("transfer"), act).await?;
        Ok((said, order))
    }

    async fn book(&self, sent: &Sent) -> Result<Done, Trouble> {
        let amount = sent.amount("amount", Currency::EUR)?;
        let id = sent.text("id").parse().map_err(|_| Trouble::new("transfer_missing"))?;
        let payer = match (sent.text("iban"), sent.text("payer")) {
            ("", _) => None,
            (_, "") => return Err(Trouble::new("account_unreadable")),
            (number, payer) => Some(BankAccount::from_statement(payer, iban(number)?)),
        };
        let transfer = Transfer { id, amount, text: sent.text("text").to_owned(), payer };
        let booked = self.hand().book(transfer).await.map_err(|error| match error {
            Error::Refused(Refusal::TransferDiffers) => Trouble::from(Problem::new(
                StatusCode::CONFLICT,
                "transfer_number_used",
                "another transfer was booked under that number",
            )),
            other => other.into(),
        });
        Ok(match booked? {
            (Booking::For(order), false) => ("booked_before", Some(order.id().clone())),
            (_, false) => ("booked_before", None),
            (Booking::For(order), true) => ("booked", Some(order.id().clone())),
            (_, true) => ("booked_unmatched", None),
        })
    }

    async fn transfers_page(&self, asked: &Asked, trouble: Option<&Trouble>) -> Response {
        let shown = async {
            let came_of = match asked.order.parse::<OrderId>() {
                Ok(id) => self.merchant.order(&id).await?,
                Err(_) => None,
            };
            Ok::<_, Error>(html!("{}{}", came_of.map(|order| self.came_of(&order)), self.transfers(trouble).await?))
        };
        match shown.await {
            Ok(main) => self.page(Here::Transfers, self.say("Transfers", "Überweisungen"), &asked.said, trouble, main),
            Err(error) => self.sorry(Here::Transfers, &error.into()),
        }
    }

    /// Where the order stands that a transfer was booked to: what is missing, or what to do now.
    fn came_of(&self, order: &Order) -> Html {
        let (ledger, missing) = (order.ledger(), order.outstanding());
        let mut says = Vec::new();
        match order.state() {
            OrderState::Cancelled | OrderState::Expired => {
                says.push(self.say("The order is over.", "Die Bestellung ist beendet.").to_owned());
            }
            OrderState::Paid if order.record().may_be_sent() && !order.unsent().is_empty() => {
                says.push(self.say("Paid: now pack it.", "Bezahlt: jetzt packen.").to_owned());
            }
            OrderState::Paid => says.push(self.say("Paid.", "Bezahlt.").to_owned()),
            _ if missing.is_zero() => {}
            _ => says.push(match self.lang {
                Lang::De => format!("Es fehlen noch {}.", self.lang.money(missing)),
                _ => format!("{} missing.", self.lang.money(missing)),
            }),
        }
        if !ledger.owed.is_zero() {
            let owed = self.lang.money(ledger.owed);
            says.push(match self.lang {
                Lang::De => format!("{owed} gehen zurück: jetzt unter „Erstattungen“."),
                _ => format!("{owed} too much or not due: it goes back, now under “Refunds”."),
            });
        }
        html!("<p class=\"notice\">{} <strong>{}</strong></p>", self.order_link(order), says.join(" "))
    }

    async fn transfers(&self, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let waiting = self.merchant.unmatched_transfers(LIST).await?;
        let list = if waiting.is_empty() {
            html!(
                "<p class=\"none\">{}</p>",
                self.say(
                    "None: every transfer found its order.",
                    "Keine: Jede Überweisung hat ihre Bestellung gefunden."
                )
            )
        } else {
            html!(
                "<ul class=\"records\">{}</ul>",
                waiting.iter().map(|one| self.transfer(one, trouble)).collect::<Html>()
            )
        };
        let typed = |name| typed(trouble, "book", name);
        let inside = html!(
            "{}{}{}{}{}",
            field("id", self.say("The bank’s number of it", "Nummer bei der Bank"), typed("id"), 140, true),
            self.amount_field(self.say("Amount", "Betrag"), Currency::EUR, typed("amount")),
            field(
                "text",
                self.say("Reference, as on the statement", "Verwendungszweck, wie auf dem Auszug"),
                typed("text"),
                140,
                false
            ),
            field("payer", self.say("Who paid", "Wer bezahlt hat"), typed("payer"), 140, false),
            field("iban", self.say("From which account (IBAN)", "Von welchem Konto (IBAN)"), typed("iban"), 42, false),
        );
        let book = self.form("/transfers", "book", &[], inside, self.say("Book it", "Buchen"));
        Ok(html!(
            "{}{}",
            section(self.say("Without an order", "Ohne Bestellung"), list),
            section(
                self.say("Book a transfer by hand", "Überweisung von Hand buchen"),
                html!(
                    "<p>{}</p>{}",
                    self.say(
                        "A statement of the bank does this by itself: hand it in under “Bank”.",
                        "Ein Kontoauszug tut das von selbst: Reichen Sie ihn unter „Bank“ ein."
                    ),
                    book
                ),
            ),
        ))
    }

    fn transfer(&self, transfer: &UnmatchedTransfer, trouble: Option<&Trouble>) -> Html {
        let hidden = [("transfer", transfer.name.as_str())];
        let payer = transfer.payer.as_ref().map_or_else(
            || html!("{}", self.say("nobody named", "ungenannt")),
            |payer| html!("{}, <code>{}</code>", payer.holder(), payer.iban().printed()),
        );
        let text = match transfer.text.as_str() {
            "" => html!("{}", self.say("Without a reference", "Ohne Verwendungszweck")),
            text => html!("“{}”", text),
        };
        let why = words::waits(transfer.why);
        let number = typed(trouble, "assign", "order");
        let assign = html!(
            "{}{}",
            order_field(self, number),
            self.sure(self.say("It was meant for that order.", "Sie war für diese Bestellung gemeint.")),
        );
        let returned =
            self.sure(self.say("I have sent it back at the bank.", "Ich habe sie bei der Bank zurückgezahlt."));
        let same = (transfer.why != WaitsBecause::NoOrder).then(|| {
            let sure = self.sure(self.say(
                "It is booked already, or no payment of a customer.",
                "Sie ist schon gebucht oder keine Zahlung eines Kunden.",
            ));
            self.form("/transfers", "same", &hidden, sure, self.say("Put it aside", "Beiseitelegen"))
        });
        html!(
            "<li><h3>{}</h3><p>{}, {}</p><p>{}</p><p class=\"small\">{}</p><div class=\"acts\">{}{}{}</div></li>",
            self.lang.money(transfer.amount),
            payer,
            self.moment(transfer.booked_at),
            text,
            self.say(why.0, why.1),
            self.form("/transfers", "assign", &hidden, assign, self.say("Assign", "Zuordnen")),
            self.form(
                "/transfers",
                "returned",
                &hidden,
                returned,
                self.say("Mark as sent back", "Als zurückgezahlt vermerken")
            ),
            same,
        )
    }
}
