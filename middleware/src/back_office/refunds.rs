//! Money that goes back: what is owed, where to, and how far it has come.

use axum::response::Response;
use firsthand::{
    Error,
    error::Refusal,
    merchant::Refund,
    money::Money,
    order::{BankAccount, OrderId, RefundState, Source},
    rail::WalletRail,
};

use super::{
    Desk, LIST,
    acts::RefundAct,
    html::{Html, html, row},
    view::{Form, Here, Query, Sent, Trouble, field, iban, typed},
    words,
};

pub(super) async fn page(desk: Desk, Query(asked): Query) -> Response {
    desk.refunds_page(&asked.said, None).await
}

pub(super) async fn act(desk: Desk, Form(headers, body): Form) -> Response {
    let done = async {
        let sent = desk.read(&headers, body)?;
        match desk.act_on_refund(&sent).await {
            Ok(said) => Ok(said),
            Err(trouble) => Err(sent.keep(trouble)),
        }
    };
    match done.await {
        Ok(said) => desk.go("/refunds", said),
        Err(trouble) => desk.refunds_page("", Some(&trouble)).await,
    }
}

impl Desk {
    async fn act_on_refund(&self, sent: &Sent) -> Result<&'static str, Trouble> {
        let order: OrderId = sent.text("order").parse().map_err(|_| Refusal::NothingOwed)?;
        let refund = self.merchant.refund(&order, sent.text("refund")).await?;
        let (act, said) = match sent.text("act") {
            "name" => {
                let account = BankAccount::new(sent.text("holder"), iban(sent.text("iban"))?);
                (RefundAct::Name(account.map_err(|_| Trouble::new("account_unreadable"))?), "named")
            }
            "send" => (RefundAct::Send, "sent"),
            "done" => (RefundAct::Done, "sent_by_hand"),
            "reopen" => (RefundAct::Reopen, "reopened"),
            "decide" => match sent.text("happened") {
                "yes" => (RefundAct::Decide(true), "decided"),
                "no" => (RefundAct::Decide(false), "decided"),
                _ => return Err(Trouble::new("act_unknown")),
            },
            _ => return Err(Trouble::new("act_unknown")),
        };
        sent.sure()?;
        let (order, key) = (refund.order().id().clone(), refund.key().to_owned());
        self.hand().refund_act(refund, act).await?;
        // Whoever sends money back may be the merchant: then nothing has been sent.
        let by_hand = said == "sent" && self.merchant.refund(&order, &key).await?.state() == RefundState::ByHand;
        Ok(if by_hand { "by_hand" } else { said })
    }

    async fn refunds_page(&self, said: &str, trouble: Option<&Trouble>) -> Response {
        match self.refunds(trouble).await {
            Ok(main) => self.page(Here::Refunds, self.say("Refunds", "Erstattungen"), said, trouble, main),
            Err(error) => self.sorry(Here::Refunds, &error.into()),
        }
    }

    async fn refunds(&self, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let open = self.merchant.open_refunds(LIST).await?;
        if open.is_empty() {
            return Ok(html!(
                "<p class=\"none\">{}</p>",
                self.say("None. You owe nobody.", "Keine. Sie schulden niemandem etwas.")
            ));
        }
        let list = open.iter().map(|refund| self.refund(refund, trouble)).collect::<Result<Html, Error>>()?;
        Ok(html!(
            "<p>{} <a href=\"{}\">{}</a></p><ul class=\"records\">{}</ul>",
            self.say(
                "Transfers to several accounts go to the bank as one file:",
                "Überweisungen an mehrere Konten gehen als eine Datei zur Bank:"
            ),
            self.href("/bank"),
            self.say("make the file", "Datei erstellen"),
            list
        ))
    }

    /// What is to be done about money that somebody transfers by hand.
    fn to_do(&self, amount: Money, is_filed: bool) -> Html {
        let amount = self.lang.money(amount);
        let (before, after) = if is_filed {
            (
                self.say("It stands in a file for the bank. Hand that file in: ", "Es steht in einer Datei für die Bank. Reichen Sie diese ein: "),
                self.say(
                    " leave the account by it. Transfer nothing besides, and press “It is done” once it has left.",
                    " gehen damit ab. Überweisen Sie nicht zusätzlich, und drücken Sie „Es ist erledigt“, sobald es abgegangen ist.",
                ),
            )
        } else {
            (
                self.say("Now transfer ", "Überweisen Sie jetzt "),
                self.say(
                    " at your bank, then press “It is done”, or make the file: not both.",
                    " bei Ihrer Bank und drücken Sie dann „Es ist erledigt“, oder erstellen Sie die Datei: nicht beides.",
                ),
            )
        };
        html!("<p class=\"notice\">{}<strong>{}</strong>{}</p>", before, amount, after)
    }

    fn refund(&self, refund: &Refund, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let order = refund.order();
        let hidden = [("order", order.id().as_str()), ("refund", refund.key())];
        let (why, state) = (words::reason(refund), words::refund_state(refund.state()));
        let account = refund.account()?;
        let by_transfer = refund.by() == Source::Transfer;
        let to = match &account {
            Some(account) => html!("{}, <code>{}</code>", account.holder(), account.iban().printed()),
            None if by_transfer => html!("{}", self.say("not known yet", "noch nicht bekannt")),
            None => html!("{}", self.say("the way it came", "auf dem Weg, auf dem es kam")),
        };
        let filed = refund.end_to_end();
        let mut acts = Vec::new();
        match refund.state() {
            RefundState::Owed => {
                if account.is_some() || !by_transfer {
                    let sure = self.sure(self.say("The amount is right.", "Der Betrag stimmt."));
                    let button = if goes_by_hand(refund) {
                        self.say("I will transfer it myself", "Ich überweise es selbst")
                    } else {
                        self.say("Send it back", "Zurückzahlen")
                    };
                    acts.push(self.form("/refunds", "send", &hidden, sure, button));
                }
                if by_transfer {
                    let inside = html!(
                        "{}{}{}",
                        field(
                            "holder",
                            self.say("Whose account", "Wessen Konto"),
                            typed(trouble, "name", "holder"),
                            70,
                            true
                        ),
                        field("iban", "IBAN", typed(trouble, "name", "iban"), 42, true),
                        self.sure(
                            self.say("The customer told us this account.", "Der Kunde hat uns dieses Konto genannt.")
                        ),
                    );
                    acts.push(self.form(
                        "/refunds",
                        "name",
                        &hidden,
                        inside,
                        self.say("It goes to this account", "Es geht an dieses Konto"),
                    ));
                }
            }
            RefundState::ByHand => {
                acts.push(self.to_do(refund.amount(), filed.is_some()));
                let sure = self
                    .sure(self.say("The money has left our account.", "Das Geld ist von unserem Konto abgegangen."));
                acts.push(self.form("/refunds", "done", &hidden, sure, self.say("It is done", "Es ist erledigt")));
                if filed.is_some() {
                    let sure = self.sure(self.say(
                        "I have looked: the bank did not carry it out.",
                        "Ich habe nachgesehen: Die Bank hat es nicht ausgeführt.",
                    ));
                    acts.push(self.form(
                        "/refunds",
                        "reopen",
                        &hidden,
                        sure,
                        self.say("Take it out of its file", "Aus der Datei nehmen"),
                    ));
                }
            }
            RefundState::InDoubt => {
                for (happened, button) in [
                    ("yes", self.say("It was sent", "Es wurde gesendet")),
                    ("no", self.say("It was not sent", "Es wurde nicht gesendet")),
                ] {
                    let hidden: Vec<(&str, &str)> = hidden.iter().copied().chain([("happened", happened)]).collect();
                    let sure = self.sure(self.say(
                        "I have looked into the records of whoever runs this payment.",
                        "Ich habe in den Unterlagen des Zahlungsanbieters nachgesehen.",
                    ));
                    acts.push(self.form("/refunds", "decide", &hidden, sure, button));
                }
            }
            _ => {}
        }
        Ok(html!(
            "<li><h2>{}</h2><dl>{}{}{}{}{}</dl><div class=\"acts\">{}</div></li>",
            self.lang.money(refund.amount()),
            row(self.say("Order", "Bestellung"), self.order_link(order)),
            row(self.say("Why", "Warum"), self.say(why.0, why.1)),
            row(self.say("State", "Zustand"), self.say(state.0, state.1)),
            row(self.say("To", "An"), to),
            filed.map(|end_to_end| row(
                self.say("In a file for the bank, as", "In einer Datei für die Bank, als"),
                html!("<code>{}</code>", end_to_end)
            )),
            acts.into_iter().collect::<Html>(),
        ))
    }
}

/// Whether it is the merchant who transfers it: what came by transfer, and what a bank carried out for a wallet.
fn goes_by_hand(refund: &Refund) -> bool {
    match refund.by() {
        Source::Transfer => true,
        Source::Attempt(number) => {
            let came_by = refund.order().attempts().iter().find(|attempt| attempt.number == number);
            came_by.is_some_and(|attempt| attempt.rail == WalletRail::ID)
        }
    }
}
