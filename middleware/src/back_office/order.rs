//! One order: what is known of it, and what can be done about it.

use axum::{extract::Path, response::Response};
use firsthand::{
    Error,
    merchant::Order,
    order::{Attempt, Buyer, DeliverySource, LineTax, OrderState, RefundState, Source},
    rail::{ActOutcome, WalletRail},
};

use super::{
    Desk,
    acts::OrderAct,
    after,
    html::{Html, html, row},
    view::{Form, Here, Query, Sent, Trouble, field, section, typed},
    words,
};
use crate::checkouts::words::address_lines;

pub(super) async fn page(desk: Desk, Path(id): Path<String>, Query(asked): Query) -> Response {
    desk.order_page(&id, &asked.said, None).await
}

pub(super) async fn act(desk: Desk, Path(id): Path<String>, Form(headers, body): Form) -> Response {
    let done = async {
        let sent = desk.read(&headers, body)?;
        match desk.act_on(&id, &sent).await {
            Ok(said) => Ok(said),
            Err(trouble) => Err(sent.keep(trouble)),
        }
    };
    match done.await {
        Ok(said) => desk.go(&format!("/orders/{id}"), said),
        Err(trouble) => desk.order_page(&id, "", Some(&trouble)).await,
    }
}

impl Desk {
    async fn act_on(&self, id: &str, sent: &Sent) -> Result<&'static str, Trouble> {
        let hand = self.hand();
        let order = hand.order(id).await?;
        let currency = order.total().currency();
        let attempt = || sent.number("attempt").ok_or_else(|| Trouble::new("act_unknown"));
        let happened = || match sent.text("happened") {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(Trouble::new("act_unknown")),
        };
        // The form's own name is the refund's, and the capture's: sent twice, it is one.
        let key = sent.key.clone();
        let (act, said) = match sent.text("act") {
            "cancel" => (OrderAct::Cancel, "cancelled"),
            "refund" => (OrderAct::Refund { amount: sent.amount("amount", currency)?, key }, "refunded"),
            "capture" => (OrderAct::Capture { amount: sent.amount("amount", currency)?, key }, "captured"),
            "close" => (OrderAct::CloseShort, "closed"),
            "send_anyway" => (OrderAct::SendAnyway, "let_go"),
            "release" => (OrderAct::Release, "released"),
            "decide" => (OrderAct::Decide { attempt: attempt()?, happened: happened()? }, "decided"),
            "decide_capture" => {
                let key = sent.text("capture").to_owned();
                (OrderAct::DecideCapture { attempt: attempt()?, key, happened: happened()? }, "decided")
            }
            _ => after::asked(&order, sent)?.ok_or_else(|| Trouble::new("act_unknown"))?,
        };
        // What can be done again and changes nothing needs no second thought; everything else does.
        if !matches!(act, OrderAct::Release) {
            sent.sure()?;
        }
        hand.order_act(order, act).await?;
        Ok(said)
    }

    async fn order_page(&self, id: &str, said: &str, trouble: Option<&Trouble>) -> Response {
        let shown = async {
            let order = self.hand().order(id).await?;
            let main = self.order_view(&order, trouble).await?;
            Ok::<_, Error>((format!("{} {}", self.say("Order", "Bestellung"), order.reference().printed()), main))
        };
        match shown.await {
            Ok((title, main)) => self.page(Here::Orders, &title, said, trouble, main),
            Err(error) => self.sorry(Here::Orders, &error.into()),
        }
    }

    async fn order_view(&self, order: &Order, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let lang = self.lang;
        let buyer = match order.buyer() {
            Buyer::Customer(_) => html!("{}", self.say("a customer with a wallet", "ein Kunde mit Wallet")),
            Buyer::Guest => html!("{}", self.say("a guest", "ein Gast")),
        };
        let ledger = order.ledger();
        let events = order.events().await?;
        let facts = html!(
            "<dl>{}{}{}{}{}{}{}{}</dl>",
            row(self.say("State", "Zustand"), self.state(order)),
            row(self.say("Placed", "Bestellt"), self.moment(order.placed_at())),
            row(self.say("Buyer", "Wer gekauft hat"), buyer),
            row(self.say("Total", "Summe"), lang.money(order.total())),
            row(self.say("Received", "Erhalten"), lang.money(ledger.received)),
            row(self.say("Still to be paid", "Noch zu zahlen"), lang.money(order.outstanding())),
            row(
                self.say("Owed back, sent back", "Zurückzuzahlen, zurückgezahlt"),
                html!("{}, {}", lang.money(ledger.owed), lang.money(ledger.refunded))
            ),
            self.business_of(order),
        );
        Ok(html!(
            "{}{}{}{}{}{}{}{}{}{}{}",
            self.stock_missing(order, &events),
            facts,
            self.lines(order)?,
            self.delivery(order).await?,
            self.attempts(order),
            self.refunds_of(order).await?,
            self.after_sale(order, trouble).await?,
            self.acts(order, trouble)?,
            self.proofs(order),
            self.events(order, &events),
            self.technical(order, &events),
        ))
    }

    fn lines(&self, order: &Order) -> Result<Html, Error> {
        let lang = self.lang;
        let tax = |tax: Option<LineTax>| tax.map(|tax| html!(" <small>({} %)</small>", tax.rate.to_string()));
        let mut rows = Vec::new();
        for line in order.lines() {
            rows.push(html!(
                "<li><span>{} × {} <small><code>{}</code></small>{}</span> <span class=\"number\">{}</span></li>",
                line.quantity.to_string(),
                line.title,
                line.item,
                tax(line.tax),
                lang.money(line.amount().map_err(firsthand::order::OrderError::from)?),
            ));
        }
        let record = order.record();
        rows.extend(record.carriage.iter().map(|sent| {
            html!(
                "<li><span>{}{}</span> <span class=\"number\">{}</span></li>",
                sent.title,
                tax(sent.tax),
                lang.money(sent.amount)
            )
        }));
        rows.extend(record.reductions.iter().map(|less| {
            let words = self.say("discount, taken off above", "Rabatt, oben abgezogen");
            html!(
                "<li><span>{} <small>({})</small></span> <span class=\"number\">{}</span></li>",
                less.title,
                words,
                lang.money(less.amount)
            )
        }));
        let totals = order.totals()?;
        let taxes: Html = totals
            .taxes
            .iter()
            .map(|part| {
                let name = format!("{} {} %", self.say("Tax", "Steuer"), part.rate);
                row(&name, html!("{} {} {}", lang.money(part.tax), self.say("on", "auf"), lang.money(part.net)))
            })
            .collect();
        let sums = html!(
            "<dl>{}{}{}{}{}</dl>",
            row(self.say("Goods", "Waren"), lang.money(totals.lines)),
            row(self.say("Discounts", "Rabatte"), lang.money(totals.discounts)),
            row(self.say("Shipping", "Versand"), lang.money(totals.shipping)),
            taxes,
            row(self.say("Total", "Summe"), html!("<strong>{}</strong>", lang.money(totals.total))),
        );
        let list = rows.into_iter().collect::<Html>();
        Ok(section(self.say("What was sold", "Was verkauft wurde"), html!("<ul class=\"lines\">{}</ul>{}", list, sums)))
    }

    async fn delivery(&self, order: &Order) -> Result<Html, Error> {
        let Some(delivery) = order.delivery().await? else { return Ok(Html::default()) };
        let lines: Html =
            address_lines(self.lang, delivery.for_label()).iter().map(|line| html!("{}<br>", line)).collect();
        let source = match delivery.source() {
            DeliverySource::Typed => self.say("typed", "eingetippt"),
            DeliverySource::Wallet(_) => self.say("from the customer’s wallet", "aus der Wallet des Kunden"),
            _ => "",
        };
        let until = self.moment(delivery.kept_until());
        Ok(section(
            self.say("Where it goes", "Wohin es geht"),
            html!(
                "<address>{}</address><p class=\"small\">{}; {} {}</p>",
                lines,
                source,
                self.say("kept until", "aufbewahrt bis"),
                until
            ),
        ))
    }

    fn attempts(&self, order: &Order) -> Html {
        if order.attempts().is_empty() {
            return Html::default();
        }
        let attempts: Html = order.attempts().iter().map(|attempt| self.attempt(order, attempt)).collect();
        section(self.say("Payments", "Zahlungen"), html!("<ul class=\"records\">{}</ul>", attempts))
    }

    fn attempt(&self, order: &Order, attempt: &Attempt) -> Html {
        let lang = self.lang;
        let path = format!("/orders/{}", order.id());
        let number = attempt.number.to_string();
        let captures: Html = attempt
            .captures
            .iter()
            .map(|capture| {
                let doubt = (capture.is_open() && capture.outcome.is_some()).then(|| {
                    let hidden = [("attempt", number.as_str()), ("capture", capture.key.as_str())];
                    self.decide(&path, "decide_capture", &hidden)
                });
                html!(
                    "<p>{} {}: {}</p>{}",
                    self.say("Collected:", "Eingezogen:"),
                    lang.money(capture.amount),
                    words::act_outcome(lang, capture.outcome.as_ref()),
                    doubt
                )
            })
            .collect();
        let void = attempt.void.as_ref().map(|void| {
            html!(
                "<p>{} {}</p>",
                self.say("The rest was given up:", "Der Rest wurde freigegeben:"),
                words::act_outcome(lang, void.outcome.as_ref())
            )
        });
        let until = attempt.authorised_until().map(|until| {
            html!("<p class=\"small\">{} {}</p>", self.say("Promised until", "Zugesagt bis"), self.moment(until))
        });
        let contradicted = attempt.contradicted.then(|| {
            html!(
                "<p class=\"notice bad\">{}</p>",
                self.say(
                    "The payment provider said something later that does not fit: look into its records.",
                    "Der Zahlungsanbieter sagte später etwas, das nicht passt: Bitte sehen Sie dort nach.",
                )
            )
        });
        let doubt = (attempt.is_in_doubt() && attempt.outcome.is_some())
            .then(|| self.decide(&path, "decide", &[("attempt", number.as_str())]));
        html!(
            "<li><h3>{}: {}</h3><p>{}: {}</p>{}{}{}{}{}</li>",
            words::rail(lang, &attempt.rail),
            lang.money(attempt.amount),
            self.moment(attempt.begun_at),
            words::stands(lang, order, attempt),
            until,
            captures,
            void,
            contradicted,
            doubt,
        )
    }

    /// Two forms: it happened, and it did not.
    fn decide(&self, path: &str, act: &str, hidden: &[(&str, &str)]) -> Html {
        let one = |happened: &str, button: &str| {
            let hidden: Vec<(&str, &str)> = hidden.iter().copied().chain([("happened", happened)]).collect();
            let sure = self.sure(self.say(
                "I have looked into the records of whoever runs this payment.",
                "Ich habe in den Unterlagen des Zahlungsanbieters nachgesehen.",
            ));
            self.form(path, act, &hidden, sure, button)
        };
        html!(
            "<div class=\"choice\">{}{}</div>",
            one("yes", self.say("It was paid", "Es wurde gezahlt")),
            one("no", self.say("It was not paid", "Es wurde nicht gezahlt"))
        )
    }

    async fn refunds_of(&self, order: &Order) -> Result<Html, Error> {
        let refunds = order.refunds().await?;
        if refunds.is_empty() {
            return Ok(Html::default());
        }
        let list: Html = refunds
            .iter()
            .map(|refund| {
                let (why, state) = (words::reason(refund), words::refund_state(refund.state()));
                let by = match refund.by() {
                    Source::Transfer => self.say("by transfer", "als Überweisung"),
                    Source::Attempt(_) => self.say("the way it came", "auf dem Weg, auf dem es kam"),
                };
                html!(
                    "<li><h3>{}</h3><p>{}, {}; {}</p></li>",
                    self.lang.money(refund.amount()),
                    self.say(why.0, why.1),
                    by,
                    self.say(state.0, state.1)
                )
            })
            .collect();
        let open = refunds.iter().any(|refund| refund.state() != RefundState::Done).then(|| {
            html!(
                "<p><a href=\"{}\">{}</a></p>",
                self.href("/refunds"),
                self.say("Send money back", "Geld zurückzahlen")
            )
        });
        Ok(section(
            self.say("Money that goes back", "Was zurückgeht"),
            html!("<ul class=\"records\">{}</ul>{}", list, open),
        ))
    }

    /// What is paid by a wallet is an order to a bank: nobody can collect it, and nothing is sent before it is there.
    fn waits_for_the_money(&self) -> Html {
        html!(
            "<div class=\"waits\"><h3>{}</h3><p>{}</p></div>",
            self.say("Wait for the money", "Auf das Geld warten"),
            self.say(
                "The customer has authorised the payment, and it is under way. Your bank or payment provider tells when the \
                 money is there: then the order stands under “To send”. There is nothing for you to do until then.",
                "Der Kunde hat die Zahlung freigegeben, und sie ist unterwegs. Ihre Bank oder Ihr Zahlungsanbieter meldet, \
                 wenn das Geld da ist: Dann steht die Bestellung unter „Zu versenden“. Bis dahin haben Sie nichts zu tun.",
            ),
        )
    }

    /// Money that it was to be sent for is gone, or will not come.
    fn stopped(&self, path: &str) -> Html {
        let inside = html!(
            "<h3>{}</h3><p>{}</p>{}",
            self.say("Stopped: do not send", "Angehalten: bitte nicht senden"),
            self.say(
                "Money for it was taken back, goes back, or will not come; what happened says which. Take off what you will \
                 not supply, or let it go.",
                "Geld dafür wurde zurückgeholt, geht zurück oder kommt nicht; unten steht, was geschah. Nehmen Sie heraus, \
                 was Sie nicht liefern, oder geben Sie es frei.",
            ),
            self.sure(self.say("I have looked: it is to be sent.", "Ich habe nachgesehen: Es soll gesendet werden.")),
        );
        self.form(path, "send_anyway", &[], inside, self.say("Let it be sent", "Zum Senden freigeben"))
    }

    /// What is ticked for an amount that goes back.
    pub(super) const fn goes_back(&self) -> &'static str {
        self.say("Yes, this amount goes back to the customer.", "Ja, dieser Betrag geht an den Kunden zurück.")
    }

    /// What can be done from where the order stands.
    fn acts(&self, order: &Order, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let path = format!("/orders/{}", order.id());
        let currency = order.total().currency();
        let state = order.state();
        let mut acts = Vec::new();
        let settled = order.ledger().settled().map_err(firsthand::order::OrderError::from)?;
        if order.record().waits_stopped() {
            acts.push(self.stopped(&path));
        }
        let by_wallet = state == OrderState::Authorised
            && order.attempts().last().is_some_and(|attempt| attempt.rail == WalletRail::ID);
        if state == OrderState::Authorised && !order.is_to_be_captured() {
            acts.push(self.waits_for_the_money());
        }
        if order.is_to_be_captured() {
            let inside =
                html!(
                    "<h3>{}</h3>{}{}",
                    self.say("Collect", "Einziehen"),
                    self.amount_field(self.say("Amount", "Betrag"), currency, typed(trouble, "capture", "amount")),
                    self.sure(self.say(
                        "What it is for is on its way to the customer.",
                        "Wofür es ist, ist unterwegs zum Kunden."
                    )),
                );
            acts.push(self.form(&path, "capture", &[], inside, self.say("Collect it", "Einziehen")));
        }
        if state == OrderState::Authorised && !settled.is_zero() {
            let inside = html!(
                "<h3>{}</h3>{}",
                self.say("Collect no more", "Nichts mehr einziehen"),
                self.sure(self.say("The rest is waived for good.", "Auf den Rest wird endgültig verzichtet.")),
            );
            acts.push(self.form(&path, "close", &[], inside, self.say("Close it", "Abschließen")));
        }
        let idle = !state.is_open() && order.attempts().iter().any(Attempt::holds);
        if idle {
            let told = order.attempts().iter().filter_map(|attempt| attempt.void.as_ref());
            let done = told.into_iter().all(|void| void.outcome == Some(ActOutcome::Done));
            let inside = html!(
                "<h3>{}</h3><p>{}</p>",
                self.say("Give up the authorisation", "Zusage freigeben"),
                if done {
                    self.say(
                        "The shop does so by itself; now it is sooner.",
                        "Der Shop tut das von selbst; jetzt geht es schneller.",
                    )
                } else {
                    self.say(
                        "The payment provider was told, and is asked.",
                        "Der Zahlungsanbieter ist beauftragt und wird gefragt.",
                    )
                },
            );
            acts.push(self.form(&path, "release", &[], inside, self.say("Give it up now", "Jetzt freigeben")));
        }
        if !settled.is_zero() && matches!(state, OrderState::Paid) {
            let left = format!("{} {}", self.say("Up to", "Bis zu"), self.lang.money(settled));
            let inside = html!(
                "<h3>{}</h3><p>{}</p>{}{}",
                self.say("Refund", "Erstatten"),
                left,
                self.amount_field(self.say("Amount", "Betrag"), currency, typed(trouble, "refund", "amount")),
                self.sure(self.goes_back()),
            );
            acts.push(self.form(&path, "refund", &[], inside, self.say("Refund it", "Erstatten")));
        }
        if state.is_open() && state != OrderState::Unknown {
            let inside = html!(
                "<h3>{}</h3>{}",
                self.say("Cancel", "Stornieren"),
                self.sure(match by_wallet {
                    // Nobody holds up what a bank was told to do.
                    true => self.say(
                        "The order is over then. The customer has authorised the payment, and this does not stop it: money \
                         that still comes is owed back, too.",
                        "Dann ist die Bestellung beendet. Der Kunde hat die Zahlung freigegeben, und das hält sie nicht auf: \
                         Auch Geld, das noch kommt, ist zurückzuzahlen.",
                    ),
                    false => self.say(
                        "The order is over then; what was paid of it is owed back.",
                        "Dann ist die Bestellung beendet; was davon bezahlt ist, ist zurückzuzahlen.",
                    ),
                }),
            );
            acts.push(self.form(&path, "cancel", &[], inside, self.say("Cancel the order", "Bestellung stornieren")));
        }
        acts.extend(self.after_acts(order, trouble));
        if acts.is_empty() {
            return Ok(Html::default());
        }
        let acts = acts.into_iter().collect::<Html>();
        Ok(section(self.say("What can be done", "Was getan werden kann"), html!("<div class=\"acts\">{}</div>", acts)))
    }
}

/// The field by which somebody names an order.
pub(super) fn order_field(desk: &Desk, value: &str) -> Html {
    field("order", desk.say("Number of the order", "Nummer der Bestellung"), value, 60, true)
}
