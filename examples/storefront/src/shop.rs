//! Blatt & Rebe, a tea and wine merchant: the merchant's own code.
//!
//! It names nothing of what recognises customers, and of its crate two plain types alone: the time zone, and what postal
//! codes look like. Whoever calls it says who the customer is, as a [`Customer`], and the shop answers with a page.

pub mod after;
pub mod assets;
pub mod cart;
pub mod catalogue;
pub mod database;
pub mod delivery;
pub mod desk;
pub mod legal;
pub mod money;
pub mod order;
pub mod page;
pub mod pages;
mod picture;
pub mod receipt;
pub mod view;
pub mod words;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    Extension, Form, Router,
    extract::{DefaultBodyLimit, Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use firsthand_axum::time::Zone;
use serde::Deserialize;

use self::{
    cart::{Cart, Short},
    catalogue::{Kind, Product},
    database::{Database, stock::Stock},
    legal::Leaf,
    view::View,
};

/// By whose clock the shop writes times: it is in Germany.
pub const ZONE: Zone = Zone::Cet;
/// The largest form that the shop reads, in bytes.
const FORM_MAX: usize = 8 * 1024;

/// A customer that the shop was told of.
#[derive(Clone, Debug)]
pub struct Customer {
    /// The name under which the shop's own tables know the customer.
    pub id: String,
    /// Whether wine may be set aside now.
    pub adult: bool,
    /// Whom a parcel goes to, if the customer has just said so. Never stored.
    pub recipient: Option<Recipient>,
}

/// Whom a parcel goes to.
#[derive(Clone)]
pub struct Recipient {
    /// Given name and family name.
    pub name: String,
    /// The lines of the address.
    pub lines: Vec<String>,
    /// Whether only the first letters stand here: another device showed it, and may be somebody else's.
    pub masked: bool,
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipient([redacted])")
    }
}

/// What the shop keeps about a customer, to be shown to that customer.
#[derive(Clone, Debug, Default)]
pub struct AccountView {
    /// The name under which the customer is known.
    pub id: String,
    /// The keys by which the customer is recognised, as DIDs.
    pub dids: Vec<String>,
    /// By what the customer is recognised: `browser_key`, `passkey`, `did`, `relationship_credential`.
    pub rung: String,
    /// What the customer has shown.
    pub proofs: Vec<ProofView>,
}

/// One thing that a customer has shown.
#[derive(Clone, Debug)]
pub struct ProofView {
    /// What was asked.
    pub ask: String,
    /// Why it was asked.
    pub purpose: String,
    /// What is kept of the answer.
    pub outcome: String,
    /// When, in seconds since 1970.
    pub at_s: i64,
}

/// The shop, with its database.
#[derive(Clone, Debug)]
pub struct Shop {
    database: Database,
}

/// The form that sets wine aside.
#[derive(Debug, Deserialize)]
pub struct WineForm {
    /// Which wine, written as a [`Cart`].
    wine: String,
}

/// The form that puts something back.
#[derive(Debug, Deserialize)]
pub struct PutBackForm {
    /// The product's slug.
    product: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CartForm {
    product: String,
    /// As it was typed: anything at all.
    quantity: String,
}

impl Shop {
    /// A shop that keeps its tables in `database`.
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// The view with a cart that holds no more than there is, what there is, and what was left out for that.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn fit(&self, view: &View) -> Result<(View, Stock, Vec<Short>), sqlx::Error> {
        let stock = self.database.stock().await?;
        let (cart, shorts) = view.cart.within(&stock);
        Ok((view.with(cart), stock, shorts))
    }

    /// Sets the wine of a form aside, and goes on to what is set aside. Whoever calls it has made sure of the age.
    pub async fn set_aside(&self, view: &View, customer: &Customer, form: &WineForm) -> Response {
        let wine = Cart::parse(&form.wine);
        let lines: Vec<_> = wine.of(Kind::Wine).collect();
        match self.database.set_aside(&customer.id, &lines, now_s()).await {
            Ok(()) => Redirect::to(&view.href("/wine/reserved")).into_response(),
            Err(error) => out_of_order(view, &error),
        }
    }

    /// Shows what is set aside for a customer.
    pub async fn reserved(&self, view: &View, customer: &Customer) -> Response {
        match self.database.kept(&customer.id, now_s()).await {
            Ok(kept) => pages::reserved(view, customer, &kept).into_response(),
            Err(error) => out_of_order(view, &error),
        }
    }

    /// Puts something back, and goes on to what is still set aside.
    pub async fn put_back(&self, view: &View, customer: &Customer, form: &PutBackForm) -> Response {
        let Some(product) = Product::find(&form.product) else { return pages::not_found(view).into_response() };
        match self.database.put_back(&customer.id, product).await {
            Ok(()) => Redirect::to(&view.href("/wine/reserved")).into_response(),
            Err(error) => out_of_order(view, &error),
        }
    }
}

/// The pages that everybody may see, the pictures, and what is not there. A request that carries a [`Customer`] as an
/// extension is greeted.
pub fn routes(shop: &Shop) -> Router {
    let legal = Leaf::ALL.into_iter().fold(Router::new(), |routes, leaf| {
        routes.route(
            leaf.path(),
            get(async move |view: View, customer: Introduced| pages::legal(&view, customer.as_deref(), leaf)),
        )
    });
    Router::new()
        .merge(legal)
        .route("/", get(home))
        .route("/products/{slug}", get(product))
        .route("/cart", get(cart).post(change_cart))
        .route("/wine", get(wine))
        .route("/sign-in", get(sign_in))
        .fallback(async |view: View| pages::not_found(&view))
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .with_state(shop.clone())
}

type Introduced = Option<Extension<Customer>>;

async fn home(State(shop): State<Shop>, view: View, customer: Introduced) -> Response {
    match shop.database.stock().await {
        Ok(stock) => pages::home(&view, customer.as_deref(), &stock).into_response(),
        Err(error) => out_of_order(&view, &error),
    }
}

async fn product(State(shop): State<Shop>, view: View, customer: Introduced, Path(slug): Path<String>) -> Response {
    let Some(product) = Product::find(&slug) else {
        let gone = catalogue::SOLD_OUT.contains(&slug.as_str());
        return if gone { pages::gone(&view) } else { pages::not_found(&view) }.into_response();
    };
    match shop.database.stock().await {
        Ok(stock) => pages::product(&view, customer.as_deref(), product, stock.left(product)).into_response(),
        Err(error) => out_of_order(&view, &error),
    }
}

async fn cart(State(shop): State<Shop>, view: View, customer: Introduced) -> Response {
    match shop.fit(&view).await {
        Ok((view, stock, shorts)) => pages::cart(&view, customer.as_deref(), &stock, &shorts).into_response(),
        Err(error) => out_of_order(&view, &error),
    }
}

async fn wine(State(shop): State<Shop>, view: View, customer: Introduced) -> Response {
    match shop.fit(&view).await {
        Ok((view, stock, shorts)) => pages::wine(&view, customer.as_deref(), &stock, &shorts).into_response(),
        Err(error) => out_of_order(&view, &error),
    }
}

async fn sign_in(view: View, customer: Introduced) -> page::Page {
    pages::sign_in(&view, customer.as_deref())
}

async fn change_cart(view: View, Form(form): Form<CartForm>) -> Response {
    let Some(product) = Product::find(&form.product) else { return pages::not_found(&view).into_response() };
    let mut cart = view.cart.clone();
    match form.quantity.trim().parse() {
        Ok(quantity) => cart.set(product, quantity),
        // More than a number can say is more than we sell; anything else is no number of things, and changes nothing.
        Err(_) if is_number(form.quantity.trim()) => cart.set(product, u32::MAX),
        Err(_) => return pages::no_quantity(&view).into_response(),
    }
    let asked_more = cart.asked_more().then_some("more=1");
    let address = view.with(cart).href("/cart");
    let joint = if address.contains('?') { '&' } else { '?' };
    let address = asked_more.map_or_else(|| address.clone(), |more| format!("{address}{joint}{more}"));
    Redirect::to(&address).into_response()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn out_of_order(view: &View, error: &sqlx::Error) -> Response {
    tracing::error!(%error, "the shop's database failed");
    pages::out_of_order(view).into_response()
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
