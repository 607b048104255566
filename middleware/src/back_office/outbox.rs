//! Endpoints of webhooks that are sent nothing, and webhooks that nobody took.

use axum::response::Response;
use firsthand::{Error, error::Refusal, merchant::DeadWebhook, order::OrderId};

use super::{
    Desk, LIST,
    html::{Html, html, row},
    view::{Form, Here, Query, Sent, Trouble, section},
};

pub(super) async fn page(desk: Desk, Query(asked): Query) -> Response {
    desk.outbox_page(&asked.said, None).await
}

pub(super) async fn act(desk: Desk, Form(headers, body): Form) -> Response {
    let done = async {
        let sent = desk.read(&headers, body)?;
        match desk.act_on_webhook(&sent).await {
            Ok(said) => Ok(said),
            Err(trouble) => Err(sent.keep(trouble)),
        }
    };
    match done.await {
        Ok(said) => desk.go("/outbox", said),
        Err(trouble) => desk.outbox_page("", Some(&trouble)).await,
    }
}

impl Desk {
    async fn act_on_webhook(&self, sent: &Sent) -> Result<&'static str, Trouble> {
        if sent.text("act") == "enable" {
            self.hand().enable_webhook(sent.text("endpoint")).await?;
            return Ok("enabled");
        }
        let (order, number) = (sent.text("order").parse::<OrderId>(), sent.number("number"));
        let (Ok(order), Some(number), "replay") = (order, number, sent.text("act")) else {
            return Err(Refusal::NoSuchOrder.into());
        };
        self.hand().replay(sent.text("endpoint"), order, number).await?;
        Ok("replayed")
    }

    async fn outbox_page(&self, said: &str, trouble: Option<&Trouble>) -> Response {
        match self.outbox().await {
            Ok(main) => self.page(Here::Outbox, self.say("Webhooks", "Webhooks"), said, trouble, main),
            Err(error) => self.sorry(Here::Outbox, &error.into()),
        }
    }

    async fn outbox(&self) -> Result<Html, Error> {
        let dead = self.merchant.dead_webhooks(LIST).await?;
        let mut gone = Vec::new();
        for webhook in self.merchant.webhooks() {
            if !self.merchant.is_webhook_enabled(webhook.name()).await? {
                gone.push(self.gone(webhook.name()));
            }
        }
        let lead = self.say(
            "What other programs were told and did not take, after many tries. It is kept for 30 days.",
            "Was anderen Programmen gesagt wurde und sie nach vielen Versuchen nicht annahmen. Es wird 30 Tage aufgehoben.",
        );
        let list = if dead.is_empty() {
            html!(
                "<p class=\"none\">{}</p>",
                self.say(
                    "None: everything was taken, or is still being tried.",
                    "Keine: Alles wurde angenommen oder wird noch versucht."
                )
            )
        } else {
            html!("<ul class=\"records\">{}</ul>", dead.iter().map(|one| self.dead(one)).collect::<Html>())
        };
        let gone = match gone.is_empty() {
            true => Html::default(),
            false => section(
                self.say("Endpoints that said that they are gone", "Empfänger, die sich abgemeldet haben"),
                html!("<ul class=\"records\">{}</ul>", gone.into_iter().collect::<Html>()),
            ),
        };
        Ok(html!("{}<p>{}</p>{}", gone, lead, list))
    }

    /// An endpoint that is sent nothing, and the form by which it is again.
    fn gone(&self, endpoint: &str) -> Html {
        html!(
            "<li><h3><code>{}</code></h3><p>{}</p>{}</li>",
            endpoint,
            self.say(
                "It answered 410: it is sent nothing more. What happens from now on is sent to it if it is there again; send by hand what it missed.",
                "Er antwortete mit 410: Ihm wird nichts mehr gesendet. Ist er wieder da, wird ihm gesendet, was von nun an geschieht; was er verpasst hat, senden Sie von Hand."
            ),
            self.form(
                "/outbox",
                "enable",
                &[("endpoint", endpoint)],
                Html::default(),
                self.say("It is there again", "Er ist wieder da")
            ),
        )
    }

    fn dead(&self, dead: &DeadWebhook) -> Html {
        let number = dead.number.to_string();
        let hidden =
            [("endpoint", dead.endpoint.as_str()), ("order", dead.order.as_str()), ("number", number.as_str())];
        let path = self.href(&format!("/orders/{}", dead.order));
        html!(
            "<li><h2><code>{}</code></h2><dl>{}{}{}{}</dl>{}</li>",
            dead.endpoint,
            row(
                self.say("Event", "Ereignis"),
                html!(
                    "{} {} <a href=\"{}\">{}</a>",
                    dead.number,
                    self.say("of", "von"),
                    path,
                    self.say("an order", "einer Bestellung")
                )
            ),
            row(self.say("Why it was not taken", "Warum nicht angenommen"), html!("<code>{}</code>", dead.why)),
            row(self.say("Tries", "Versuche"), dead.tries),
            row(self.say("Given up", "Aufgegeben"), self.moment(dead.died_at)),
            self.form(
                "/outbox",
                "replay",
                &hidden,
                Html::default(),
                self.say("Send it once more", "Noch einmal senden")
            ),
        )
    }
}
