//! What was proved for an order and what happened to it, in words; and folded away, in the names that programs use.

use firsthand::{
    merchant::Order,
    order::{Buyer, OrderEvent},
};

use super::{
    Desk,
    html::{Html, html, row},
    view::section,
    words,
};

impl Desk {
    pub(super) fn proofs(&self, order: &Order) -> Html {
        if order.proofs().is_empty() {
            return Html::default();
        }
        let list: Html = order
            .proofs()
            .iter()
            .map(|proof| html!("<li><p>{}: {}</p></li>", self.moment(proof.at), proof.purpose))
            .collect();
        section(self.say("What was proved", "Was nachgewiesen wurde"), html!("<ul class=\"records\">{}</ul>", list))
    }

    /// What happened, for people: what only programs say to each other is left out.
    pub(super) fn events(&self, order: &Order, events: &[OrderEvent]) -> Html {
        let list: Html = events
            .iter()
            .filter_map(|event| {
                let told = words::told(self.lang, order.lines(), order.parcels(), &event.what)?;
                Some(html!("<li>{} <span>{}</span></li>", self.moment(event.at), told))
            })
            .collect();
        section(self.say("What happened", "Was geschah"), html!("<ol class=\"events\">{}</ol>", list))
    }

    /// The names of the order and all that happened, for whoever looks after the software, folded away.
    pub(super) fn technical(&self, order: &Order, events: &[OrderEvent]) -> Html {
        let code = |name: &str, value: &str| row(name, html!("<code>{}</code>", value));
        let buyer = match order.buyer() {
            Buyer::Customer(id) => Some(code(self.say("Customer", "Kunde"), id.as_str())),
            Buyer::Guest => None,
        };
        let checkout = order.record().checkout.as_ref();
        let checkout = checkout.map(|from| code(self.say("Checkout", "Kaufvorgang"), from.id.as_str()));
        let proofs: Html =
            order.proofs().iter().map(|proof| code(self.say("Proof", "Nachweis"), proof.ask.as_str())).collect();
        let list: Html = events
            .iter()
            .map(|event| {
                let what = words::happened(self.lang, &event.what);
                html!("<li>{} <span>{}</span></li>", self.moment(event.at), what)
            })
            .collect();
        html!(
            "<details><summary>{}</summary><dl>{}{}{}{}</dl><ol class=\"events\">{}</ol></details>",
            self.say("For whoever looks after the software", "Für die, die die Software betreuen"),
            code(self.say("Order", "Bestellung"), order.id().as_str()),
            buyer,
            checkout,
            proofs,
            list
        )
    }
}
