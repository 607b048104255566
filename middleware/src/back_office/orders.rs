//! What is open today, and all orders.

use axum::response::Response;
use firsthand::{
    Error,
    merchant::{Order, OrderQuery},
    order::OrderState,
    time::Zone,
};

use super::{
    Desk, LIST,
    html::{Html, html},
    view::{Asked, Here, Query, Trouble, section, section_at},
    words,
};

/// How many orders that are not paid the first page shows.
const OPEN: usize = 20;
/// How many it looks through for them.
const UNPAID: usize = 200;

pub(super) async fn today(desk: Desk, Query(asked): Query) -> Response {
    match desk.today().await {
        Ok(main) => desk.page(Here::Today, desk.say("Today", "Heute"), &asked.said, None, main),
        Err(error) => desk.sorry(Here::Today, &error.into()),
    }
}

pub(super) async fn list(desk: Desk, Query(asked): Query) -> Response {
    let title = desk.say("Orders", "Bestellungen");
    if !asked.reference.trim().is_empty() {
        let named = desk.hand().order_called(asked.reference.trim()).await;
        return match named {
            Ok(order) => desk.page(Here::Orders, title, "", None, desk.found(&asked, &[order], None)),
            Err(error) => {
                let trouble = Trouble::from(error);
                desk.page(Here::Orders, title, "", Some(&trouble), desk.found(&asked, &[], None))
            }
        };
    }
    match desk.listed(&asked).await {
        Ok((orders, next)) => desk.page(Here::Orders, title, "", None, desk.found(&asked, &orders, next)),
        Err(error) => desk.sorry(Here::Orders, &error.into()),
    }
}

impl Desk {
    async fn today(&self) -> Result<Html, Error> {
        let merchant = &self.merchant;
        let (to_send, packing) = self.to_send().await?;
        let (withdrawn, withdrawals) = self.open_withdrawals().await?;
        let (unpaid, waiting) = self.unpaid().await?;
        let refunds = counted(merchant.open_refunds(LIST + 1).await?.len(), LIST);
        let transfers = counted(merchant.unmatched_transfers(LIST + 1).await?.len(), LIST);
        let dead = merchant.dead_webhooks(LIST + 1).await?.len();
        let card = |address: String, count: String, words: (&'static str, &'static str)| {
            html!(
                "<li><a href=\"{}\"><strong>{}</strong> <span>{}</span></a></li>",
                address,
                count,
                self.say(words.0, words.1)
            )
        };
        let here = |name: &str| format!("#{name}");
        // A program that does not listen is no daily work: it is shown when there is one.
        let dead = (dead > 0).then(|| {
            card(
                self.href("/outbox"),
                counted(dead, LIST),
                ("messages to other programs not taken", "Meldungen an andere Programme, nicht angenommen"),
            )
        });
        let cards = html!(
            "<ul class=\"cards\">{}{}{}{}{}{}</ul>",
            card(here("to-send"), to_send, ("orders to send", "Bestellungen zu versenden")),
            card(here("withdrawals"), withdrawn, ("withdrawals to settle", "Widerrufe abzurechnen")),
            card(here("unpaid"), unpaid, ("orders not paid yet", "Bestellungen noch nicht bezahlt")),
            card(self.href("/refunds"), refunds, ("refunds that are not done", "offene Erstattungen")),
            card(self.href("/transfers"), transfers, ("transfers without an order", "Überweisungen ohne Bestellung")),
            dead,
        );
        let stopped = self.stopped_orders().await?;
        Ok(html!("{}{}{}{}{}", cards, stopped, packing, withdrawals, waiting))
    }

    /// The orders that are not paid: how much is missing, and until when they wait.
    async fn unpaid(&self) -> Result<(String, Html), Error> {
        let open = self.merchant.open_orders(UNPAID).await?;
        let all = open.len() < UNPAID;
        let mut open: Vec<Order> = open.into_iter().filter(is_unpaid).collect();
        let count = if all { open.len().to_string() } else { format!("{}+", open.len()) };
        let more = (open.len() > OPEN || !all).then(|| {
            let words = self.say("There are more: see all orders.", "Es gibt mehr: siehe alle Bestellungen.");
            html!("<p><a href=\"{}\">{}</a></p>", self.href("/orders"), words)
        });
        open.truncate(OPEN);
        let list = if open.is_empty() {
            html!("<p class=\"none\">{}</p>", self.say("None: everything is paid.", "Keine: Alles ist bezahlt."))
        } else {
            self.unpaid_table(&open)
        };
        let title = self.say("Not paid yet", "Noch nicht bezahlt");
        Ok((count, section_at("unpaid", title, html!("{}{}", list, more))))
    }

    fn unpaid_table(&self, orders: &[Order]) -> Html {
        let heads = [
            self.say("Order", "Bestellung"),
            self.say("Placed", "Bestellt"),
            self.say("State", "Zustand"),
            self.say("Missing", "Es fehlen"),
            self.say("Waits until", "Wartet bis"),
        ];
        let head: Html = heads.iter().map(|head| html!("<th scope=\"col\">{}</th>", head)).collect();
        let [_, placed, state, missing, until] = heads;
        let rows: Html = orders
            .iter()
            .map(|order| {
                html!(
                    "<tr><th scope=\"row\">{}</th><td data-label=\"{}\">{}</td><td data-label=\"{}\">{}</td>\
                     <td data-label=\"{}\" class=\"number\">{}</td><td data-label=\"{}\">{}</td></tr>",
                    self.order_link(order),
                    placed,
                    self.moment(order.placed_at()),
                    state,
                    self.state(order),
                    missing,
                    self.lang.money(order.outstanding()),
                    until,
                    order.expires_at().map(|at| self.moment(at)),
                )
            })
            .collect();
        html!("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, rows)
    }

    async fn listed(&self, asked: &Asked) -> Result<(Vec<Order>, Option<String>), Error> {
        let mut query = OrderQuery::new();
        if let Some(state) = state_of(&asked.state) {
            query = query.state(state);
        }
        if let Ok(after) = asked.after.parse() {
            query = query.after(&after);
        }
        let page = self.merchant.orders(&query).await?;
        Ok((page.orders, page.next.map(|next| next.to_string())))
    }

    fn found(&self, asked: &Asked, orders: &[Order], next: Option<String>) -> Html {
        let states: Html = words::STATES
            .into_iter()
            .map(|state| {
                let words = words::state(state);
                let selected = (state_of(&asked.state) == Some(state)).then(|| html!(" selected"));
                html!("<option value=\"{}\"{}>{}</option>", state.name(), selected, self.say(words.0, words.1))
            })
            .collect();
        let look = html!(
            "<form method=\"get\" action=\"{}\" class=\"look\" role=\"search\">{}\
             <label><span>{}</span><select name=\"state\"><option value=\"\">{}</option>{}</select></label>\
             <label><span>{}</span><input name=\"reference\" value=\"{}\" maxlength=\"60\" autocomplete=\"off\" spellcheck=\"false\"></label>\
             <button>{}</button></form>",
            self.href("/orders"),
            self.lang_field(),
            self.say("State", "Zustand"),
            self.say("all", "alle"),
            states,
            self.say("Number of the order", "Nummer der Bestellung"),
            asked.reference,
            self.say("Show", "Zeigen"),
        );
        let none = match (orders.is_empty(), &next) {
            (false, _) => None,
            (true, None) => Some(self.say("No order here.", "Hier ist keine Bestellung.")),
            (true, Some(_)) => {
                Some(self.say("None among the newest: look further.", "Keine unter den neuesten: weitersuchen."))
            }
        };
        let list = none.map_or_else(|| self.table(orders), |none| html!("<p class=\"none\">{}</p>", none));
        let next = next.map(|next| {
            html!(
                "<p><a class=\"more\" href=\"{}\">{}</a></p>",
                self.href_with("/orders", &[("state", asked.state.as_str()), ("after", next.as_str())]),
                self.say("Older orders", "Ältere Bestellungen")
            )
        });
        html!("{}{}{}{}", look, list, next, self.export())
    }

    /// The form that takes the books of a period.
    fn export(&self) -> Html {
        section(
            self.say("For the books", "Für die Buchhaltung"),
            html!(
                "<form method=\"get\" action=\"{}\" class=\"look\">{}\
                 <label><span>{}</span><input type=\"date\" name=\"from\"></label>\
                 <label><span>{}</span><input type=\"date\" name=\"to\"></label><button>{}</button></form>\
                 <p class=\"small\">{}</p>",
                self.href("/orders.csv"),
                self.lang_field(),
                self.say("Placed from", "Bestellt von"),
                self.say("to, that day included", "bis einschließlich"),
                self.say("Take as CSV", "Als CSV holen"),
                match self.merchant.time_zone() {
                    Zone::Utc => self.say(
                        "One line for each order, days in UTC. Nothing about customers is in it.",
                        "Eine Zeile je Bestellung, Tage in UTC. Über Kunden steht nichts darin.",
                    ),
                    _ => self.say(
                        "One line for each order. Nothing about customers is in it.",
                        "Eine Zeile je Bestellung. Über Kunden steht nichts darin.",
                    ),
                },
            ),
        )
    }

    /// Orders, a row each.
    pub(super) fn table(&self, orders: &[Order]) -> Html {
        let heads = [
            self.say("Order", "Bestellung"),
            self.say("Placed", "Bestellt"),
            self.say("State", "Zustand"),
            self.say("Total", "Summe"),
            self.say("Received", "Erhalten"),
        ];
        let head: Html = heads.iter().map(|head| html!("<th scope=\"col\">{}</th>", head)).collect();
        let [_, placed, state, total, received] = heads;
        let rows: Html = orders
            .iter()
            .map(|order| {
                html!(
                    "<tr><th scope=\"row\">{}</th><td data-label=\"{}\">{}</td><td data-label=\"{}\">{}</td>\
                     <td data-label=\"{}\" class=\"number\">{}</td><td data-label=\"{}\" class=\"number\">{}</td></tr>",
                    self.order_link(order),
                    placed,
                    self.moment(order.placed_at()),
                    state,
                    self.state(order),
                    total,
                    self.lang.money(order.total()),
                    received,
                    self.lang.money(order.ledger().received),
                )
            })
            .collect();
        html!("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, rows)
    }

    pub(super) fn order_link(&self, order: &Order) -> Html {
        let path = self.href(&format!("/orders/{}", order.id()));
        html!("<a href=\"{}\"><code>{}</code></a>", path, order.reference().printed())
    }

    pub(super) fn state(&self, order: &Order) -> Html {
        let words = words::state_of(order);
        html!("<span class=\"state {}\">{}</span>", order.state().name(), self.say(words.0, words.1))
    }
}

/// How many there are, of a list of which one more than `most` was asked for.
pub(super) fn counted(found: usize, most: usize) -> String {
    if found > most { format!("{most}+") } else { found.to_string() }
}

/// Whether the money for an order is missing. What a checkout only tries to sell is no order yet, unless somebody has to decide
/// whether it was paid.
fn is_unpaid(order: &Order) -> bool {
    let is_order = order.record().is_confirmed() || order.state() == OrderState::Unknown;
    order.state().is_open() && is_order
}

/// The state of a name in an address.
pub(super) fn state_of(name: &str) -> Option<OrderState> {
    words::STATES.into_iter().find(|state| state.name() == name)
}
