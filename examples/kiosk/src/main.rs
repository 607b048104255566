//! A whole shop in one file, for a merchant who has neither a till nor an IT department: `cargo run -p kiosk`, then open
//! <http://localhost:8080>. The merchant's pages are at `/merchant`, and the password to them is in
//! `.firsthand/kiosk/operator.key`.
//!
//! From top to bottom: what is sold, and how; the pages that are the shop's own; and the program around them. The till, the
//! payments, the stock and the merchant's pages are the library's.

use std::{env, error::Error, net::Ipv4Addr, path::PathBuf};

use axum::{Router, extract::State, response::Html, routing::get};
use firsthand_axum::{
    Ask, BackOffice, CheckoutPage, CustomerLayer, Known, Lang, Merchant, OperatorKey, Operators, Problem, Wanted,
    ask::documents::name_and_address,
    merchant::MerchantBuilder,
    money::{Currency, Money, MoneyError},
    order::Exemption,
    rail::{Sepa, WalletRail, wallet::Payee},
    routes,
    testing::{FakeExecutor, cast::ACCOUNT},
    time::Zone,
    trade::{Codes, FlatRates, Item, Items, Off, Shelf, Trade, Vat, Way},
};
use maud::{DOCTYPE, Markup, html};
use tokio::{net::TcpListener, signal};

const SHOP: &str = "Weingut Sonnberg";
const IBAN: &str = "DE89370400440532013000";

fn euro(text: &str) -> Result<Money, MoneyError> {
    Money::parse(text, Currency::EUR)
}

/// What is sold, and how many there are on the first day: something that is sent, something that only adults may buy, and a
/// ticket, which is but a number. Of what is not counted, such as a file, say `.uncounted()`.
fn goods(age: &Ask) -> Result<Vec<(Item, u32)>, MoneyError> {
    let ticket = Item::new("tasting", "Weinprobe, 12.12., 19:00 (Ticket)", euro("25.00")?);
    Ok(vec![
        (Item::new("honey", "Honig vom Weinberg, 500 g", euro("4.80")?).sent(700).taxed_as("food"), 40),
        (Item::new("riesling", "Riesling 2025, 0,75 l", euro("12.00")?).sent(1_300).needs(age), 24),
        (ticket.no_withdrawal(Exemption::Dated), 8),
    ])
}

/// What the shop's own pages need.
#[derive(Clone)]
struct Kiosk {
    merchant: Merchant,
    shelf: Shelf,
    goods: Vec<(Item, u32)>,
}

impl Kiosk {
    /// How it is sold, on whatever keys, wallets and store the builder has.
    fn open(builder: MerchantBuilder) -> Result<Self, Box<dyn Error>> {
        let age = Ask::new("age", "Wine is sold to adults").over(18);
        let address = Ask::new("address", "To send what you order").credential("person", name_and_address());
        let pay = Ask::new("pay", "To pay").payment(Wanted::sd_jwt_vc(ACCOUNT).claim(["masked_iban"]));
        let (goods, shelf) = (goods(&age)?, builder.shelf()?);
        let parcel = Way::new("parcel", "DHL", euro("4.90")?).within_days(1, 3).taxed_as_goods();
        let trade = Trade::new(Currency::EUR, Items::new(goods.iter().map(|(item, _)| item.clone()))?)
            .inventory(shelf.clone())
            .shipping(FlatRates::new().way(parcel, &["DE", "AT"], 20_000).free_from(euro("60")?))
            .tax(Vat::within_prices("DE").rate("DE", "standard", "19".parse()?).rate("DE", "food", "7".parse()?))
            .discount(Codes::new().word("HERBST", Off::percent("Herbst", "10".parse()?)))
            .home("DE")
            .address_from(&address);
        // Here nobody moves the money. In its place goes the interface of your bank or payment provider.
        let wallet = WalletRail::new(Payee::new(SHOP, IBAN)?, FakeExecutor::new());
        let builder = builder.ask(&age).ask(&address).ask(&pay).rail(Sepa::new(SHOP, IBAN)?).wallet_rail(wallet);
        Ok(Self { merchant: builder.trade(trade).time_zone(Zone::Cet).build()?, shelf, goods })
    }

    /// On the first day so much is there. From then on it is counted on the merchant's pages.
    async fn first_day(&self) -> Result<(), Box<dyn Error>> {
        let now = self.merchant.now();
        if self.shelf.counts(None, 1, now).await?.is_empty() {
            for (item, left) in &self.goods {
                self.shelf.stock(&item.name, *left, now).await?;
            }
        }
        Ok(())
    }

    /// The shop's two pages, and the library's: the till for customers, the back office for whoever has the key.
    fn routes(self, key: &OperatorKey) -> Router {
        let operators = Operators::new().key("shop", key.digest());
        let office = BackOffice::new(&self.merchant, operators).shelf(self.shelf.clone());
        let till = CheckoutPage::new().shop(SHOP).terms("/terms").privacy("/terms#privacy").countries(&["DE", "AT"]);
        let till = till.text("Wine is sold to adults", "Wine is sold to adults", "Wein gibt es ab 18 Jahren");
        Router::new()
            .route("/", get(window))
            .route("/terms", get(terms))
            .with_state(self.clone())
            .nest_service("/merchant", office.routes())
            .merge(routes(&self.merchant))
            .layer(CustomerLayer::new(self.merchant).checkout_page(till.withdrawal("/terms#withdrawal")))
    }
}

/// The shop window. "Buy" leads to the till: whom the shop knows as themselves, everybody else as a guest.
async fn window(State(kiosk): State<Kiosk>, lang: Lang, known: Option<Known>) -> Result<Html<String>, Problem> {
    let mut goods = Vec::new();
    for (item, _) in &kiosk.goods {
        goods.push((item, kiosk.shelf.count(&item.name, kiosk.merchant.now()).await?.left));
    }
    let orders = match &known {
        Some(known) => known.orders(None, 5).await?,
        None => Vec::new(),
    };
    let main = html! {
        form method="post" action={ "/wallet/checkout?lang=" (lang.tag()) } {
            ul.lines {
                @for (item, left) in &goods {
                    li {
                        label.title for=(item.name) { (item.title) }
                        p.each { (left) (lang.say(" left", " da")) }
                        p.sum { (lang.amount(item.unit)) }
                        @if *left > 0 {
                            input type="hidden" name="item" value=(item.name);
                            div.many { input #(item.name) name="quantity" type="number" min="0" max=(left) value="0"; }
                        }
                    }
                }
            }
            p.end { button.main { (lang.say("Buy", "Kaufen")) } }
        }
        section data-firsthand="orders" {
            @if known.is_some() {
                h2 { (lang.say("Welcome back. Your orders:", "Willkommen zurück. Ihre Bestellungen:")) }
                @for order in &orders {
                    p { a href={ "/wallet/checkout/" (order.id()) "?lang=" (lang.tag()) } { (order.reference().printed()) } " " (lang.amount(order.total())) }
                }
            }
        }
    };
    Ok(page(lang, lang.say("What would you like?", "Was darf es sein?"), &main))
}

/// What the law wants customers to be able to read.
async fn terms(lang: Lang) -> Html<String> {
    let (sale, privacy) = (lang.say("Terms of sale", "AGB"), lang.say("Privacy notice", "Datenschutzerklärung"));
    let withdrawal = lang.say("Right of withdrawal", "Widerrufsbelehrung");
    let main = html! {
        @for (id, title) in [("sale", sale), ("privacy", privacy), ("withdrawal", withdrawal)] {
            section #(id) { h2 { (title) } p { (lang.say("Here stands your own text.", "Hier steht Ihr eigener Text.")) } }
        }
    };
    page(lang, lang.say("Please read", "Bitte lesen"), &main)
}

/// A page in the looks of the till.
fn page(lang: Lang, title: &str, main: &Markup) -> Html<String> {
    let other = lang.say("de", "en");
    let page = html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – " (SHOP) }
                link rel="stylesheet" href="/wallet/checkout.css";
                script type="module" src="/wallet/firsthand.js" data-navigate {}
            }
            body {
                header.top {
                    a.shop href={ "/?lang=" (lang.tag()) } { (SHOP) }
                    nav { a href={ "?lang=" (other) } lang=(other) { (lang.say("Deutsch", "English")) } }
                }
                main { div.narrow { h1 { (title) } (main) } }
                footer { a href={ "/terms?lang=" (lang.tag()) } { (lang.say("Terms, privacy, withdrawal", "AGB, Datenschutz, Widerruf")) } }
            }
        }
    };
    Html(page.into_string())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter("info,sqlx=warn").init();
    let folder = PathBuf::from(env::var("KIOSK_FOLDER").unwrap_or_else(|_| ".firsthand/kiosk".to_owned()));
    let port = env::var("KIOSK_PORT").map_or(Ok(8080), |port| port.parse())?;
    // For the world: `Merchant::builder("https://..".parse()?)` with `.keys(..)`, `.trust(..)` and `.store(..)`.
    let kiosk = Kiosk::open(Merchant::dev_at(format!("http://localhost:{port}").parse()?, &folder).await?)?;
    kiosk.first_day().await?;
    let key = OperatorKey::read_or_make(&folder.join("operator.key"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    tracing::info!("the shop is open at http://localhost:{port}, its back office at /merchant");
    let housekeeping = tokio::spawn(kiosk.merchant.clone().housekeeping());
    axum::serve(listener, kiosk.routes(&key)).with_graceful_shutdown(closing_time()).await?;
    housekeeping.abort();
    Ok(())
}

/// Ends when the program is asked to stop, by Ctrl-C or by the system.
async fn closing_time() {
    #[cfg(unix)]
    if let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) {
        tokio::select! { _ = signal::ctrl_c() => {}, _ = terminate.recv() => {} }
        return;
    }
    let _ = signal::ctrl_c().await;
}

#[cfg(test)]
mod tests;
