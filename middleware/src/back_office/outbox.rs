//! Webhooks that nobody took.

use axum::response::Response;
use firsthand::{Error, error::Refusal, merchant::DeadWebhook, order::OrderId};

use super::{
    Desk, LIST,
    html::{Html, html, row},
    view::{Form, Here, Query, Sent, Trouble},
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
        Ok(html!("<p>{}</p>{}", lead, list))
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
            row(self.say("Given up", "Aufgegeben"), self.lang.moment(dead.died_at)),
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
