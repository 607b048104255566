//! The price of selling: everything between the shop's till and the library's orders, for customers and for guests.
//!
//! One shape throughout: find the order, do one thing to it, show the page or say what went wrong.

use std::time::Duration;

use axum::{
    Extension, Form, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use firsthand_axum::{
    CustomerId, Error, Known, Merchant, Money, Recent, SameOrigin,
    customer::CustomerEvent,
    error::Refusal,
    merchant::{MerchantBuilder, Order, Pending, Provisional},
    money::{Currency, MoneyError, Quantity, Rate},
    order::{Address, BankAccount, Draft, Happened, Line, LineTax, OrderId, OrderState},
    rail::sepa,
    store::{Postgres, Sqlite},
    time::UnixTime,
};
use serde::Deserialize;

use crate::{
    adopt::{address, age},
    after, receipt,
    repeat::checksum,
    shop::{
        Customer, Shop,
        cart::Cart,
        catalogue::Kind,
        database::{Database, Transaction, sales::NewSale},
        order::{AccountForm, Before, CheckoutView, DeliveryChoice, Door, OrderForm, Repeated},
        pages::{self, conflict},
        view::View,
        words::Words,
    },
    shown::{order_view, summary},
    trouble::Trouble,
};

/// The largest form that the till reads, in bytes.
pub(crate) const FORM_MAX: usize = 8 * 1024;
/// How many orders stand on one page.
const PAGE: usize = 20;
/// How often an order is decided anew, if others are faster.
const TRIES: usize = 5;

/// The till: orders, and the shop's own tables.
#[derive(Clone, Debug)]
pub struct Till {
    pub(crate) merchant: Merchant,
    pub(crate) database: Database,
    store: Store,
}

/// The library's store in the database of the shop's tables: what both write is one commit.
#[derive(Clone, Debug)]
pub enum Store {
    /// In a file.
    Sqlite(Sqlite),
    /// On a server.
    Postgres(Postgres),
}

impl Store {
    /// The store in the shop's database.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn open(database: &Database) -> Result<Self, Error> {
        Ok(match database {
            Database::Sqlite(pool) => Self::Sqlite(Sqlite::new(pool.clone()).await?),
            Database::Postgres(pool) => Self::Postgres(Postgres::new(pool.clone()).await?),
        })
    }

    /// Gives it to a merchant.
    #[must_use]
    pub fn of(&self, builder: MerchantBuilder) -> MerchantBuilder {
        match self {
            Self::Sqlite(store) => builder.store(store.clone()),
            Self::Postgres(store) => builder.store(store.clone()),
        }
    }

    async fn commit_in<T: Send>(&self, tx: &mut Transaction, step: Pending<T>) -> Result<Provisional<T>, Error> {
        match (self, tx) {
            (Self::Sqlite(store), Transaction::Sqlite(tx)) => store.commit_in(tx, step).await,
            (Self::Postgres(store), Transaction::Postgres(tx)) => store.commit_in(tx, step).await,
            _ => Err(Error::Misuse("orders and shelves are in different databases".to_owned())),
        }
    }
}

impl Till {
    /// A till for a merchant that was built with this store, a rail for transfers and a feed.
    #[must_use]
    pub const fn new(merchant: Merchant, database: Database, store: Store) -> Self {
        Self { merchant, database, store }
    }

    /// The merchant whose till it is.
    #[must_use]
    pub const fn merchant(&self) -> &Merchant {
        &self.merchant
    }

    /// Places the order of a form, and answers the path of its page. The same form sent again leads to the same order.
    async fn place(&self, view: &View, known: Option<&Known>, form: &OrderForm) -> Result<String, Trouble> {
        let draft = draft(view, known.is_some(), form)?;
        let content = checksum(view, known, form);
        for _ in 0..TRIES {
            let placed = match known {
                Some(known) => {
                    let decide = || known.place(draft.clone(), &form.form);
                    let step = self.not_by_mistake(&content, form, decide).await?;
                    let before = known.orders(None, 1).await?.first().map(Order::placed_at);
                    let name = known.id().as_str();
                    let order = self.sell(view, step, |order| order, Some((name, before)), &content).await?;
                    order.map(|order| (format!("/orders/{}", order.id()), order))
                }
                None => {
                    let decide = || self.merchant.place_as_guest(draft.clone(), &form.form);
                    let step = self.not_by_mistake(&content, form, decide).await?;
                    let guest = self.sell(view, step, |guest| &guest.order, None, &content).await?;
                    guest.map(|guest| (format!("/o/{}", guest.link.reveal()), guest.order))
                }
            };
            if let Some((path, order)) = placed {
                // A form that was sent again finds its order wherever that has got to by now.
                if order.state() == OrderState::Placed {
                    pay(order).await?;
                }
                return Ok(path);
            }
        }
        Err(Refusal::Overtaken.into())
    }

    /// Whoever has gone back to the till meant it once: the same once more is ordered when they say so.
    async fn not_by_mistake<T: Send, F>(
        &self,
        content: &str,
        form: &OrderForm,
        decide: impl Fn() -> F + Send + Sync,
    ) -> Result<Pending<T>, Trouble>
    where
        F: Future<Output = Result<Pending<T>, Error>> + Send,
    {
        let step = decide().await?;
        if !step.is_new() || form.again == "1" {
            return Ok(step);
        }
        let Some(before) = self.database.ordered_before(content, self.merchant.now().as_secs()).await? else {
            return Ok(step);
        };
        // Pressed twice at once, what was ordered before may be this very form: then it is that order.
        let step = decide().await?;
        if step.is_new() { Err(Trouble::Repeated(before)) } else { Ok(step) }
    }

    /// The order, the sale and what leaves the shelf, as one commit; `None` if somebody else was faster, and it has to be
    /// decided anew. `customer` is a customer's name, and when they ordered last.
    async fn sell<T: Send>(
        &self,
        view: &View,
        step: Pending<T>,
        order_of: impl Fn(&T) -> &Order,
        customer: Option<(&str, Option<UnixTime>)>,
        content: &str,
    ) -> Result<Option<T>, Trouble> {
        let mut transaction = self.database.begin().await?;
        let placed = match self.store.commit_in(&mut transaction, step).await {
            Err(Error::Refused(Refusal::Overtaken)) => return Ok(None),
            placed => placed?,
        };
        let order = order_of(placed.preview());
        let shown_for_it = |at: UnixTime| customer.and_then(|(_, before)| before).is_none_or(|before| at > before);
        let steps_wallet = order.proofs().iter().filter(|proof| shown_for_it(proof.at)).count();
        let typed = !order.proofs().iter().any(|proof| proof.ask == address().name());
        let sale = NewSale {
            order: order.id().as_str(),
            customer: customer.map(|(name, _)| name),
            placed_s: order.placed_at().as_secs(),
            steps_wallet: u32::try_from(steps_wallet).unwrap_or(u32::MAX),
            steps_form: u32::from(typed),
        };
        // An order that was noted before has taken its share, and perhaps given it back since.
        if transaction.record_sale(sale).await? {
            transaction.take_stock(order.id().as_str(), view.cart.lines()).await?;
            let number = order.reference().as_str().to_owned();
            let placed = Repeated { number, placed_s: order.placed_at().as_secs() };
            transaction.note_order(content, &placed).await?;
        }
        transaction.commit().await?;
        Ok(Some(placed.after_commit()))
    }

    /// Follows what happens to orders and to customers' names, until the shop closes: to be spawned.
    pub async fn clear_away(self) {
        let mut closing = self.merchant.closing();
        while !self.merchant.is_closing() {
            let pause_s = match self.clear_away_next().await {
                Ok(true) => 0,
                Ok(false) => 1,
                Err(trouble) => {
                    tracing::warn!(%trouble, "the feed was not followed; what it said comes again");
                    10
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(pause_s), closing.closed()).await;
        }
    }

    /// Follows what happened to one order or customer: what is over goes back on the shelf, what stands under a name goes
    /// where the name leads, and who is forgotten leaves nothing. Says whether there was one.
    ///
    /// # Errors
    /// Whatever the database says; the same comes again then.
    pub async fn clear_away_next(&self) -> Result<bool, Trouble> {
        let Some(news) = self.merchant.feed().next().await? else { return Ok(false) };
        let over = news.order_events().any(|event| matches!(event.what, Happened::Cancelled | Happened::Expired));
        let done = news.done().await?;
        let leads = self.leads(news.customer_events()).await?;
        // Our tables and our place in the feed are one commit, so everything is done once.
        let mut transaction = self.database.begin().await?;
        if let Some(order) = news.order().filter(|_| over) {
            transaction.give_back_stock(order.as_str()).await?;
        }
        for (name, to) in &leads {
            transaction.lead(name, to).await?;
        }
        for event in news.customer_events() {
            if let CustomerEvent::Forgotten { id, .. } = event {
                transaction.forget(id.as_str()).await?;
            }
        }
        let done = self.store.commit_in(&mut transaction, done).await?;
        transaction.commit().await?;
        done.after_commit();
        Ok(true)
    }

    /// Where the names of these events lead by now, whatever the events say: that is right in whatever order they come.
    async fn leads(&self, events: impl Iterator<Item = &CustomerEvent>) -> Result<Vec<(String, String)>, Trouble> {
        let mut leads = Vec::new();
        for event in events {
            let (CustomerEvent::Merged { from, into, .. } | CustomerEvent::MergeUndone { from, into, .. }) = event
            else {
                continue;
            };
            for known in [from, into] {
                let names = self.database.names_of(known.as_str()).await?;
                for name in names.into_iter().chain([known.to_string()]) {
                    let Ok(id) = name.parse::<CustomerId>() else { continue };
                    let Some(customer) = self.merchant.customer(&id).await? else { continue };
                    leads.push((name, customer.id().to_string()));
                }
            }
        }
        Ok(leads)
    }
}

/// The routes of the till, for customers and guests.
pub fn routes(till: &Till) -> Router {
    Router::new()
        .route("/checkout", get(checkout).post(place))
        .route("/orders", get(orders))
        .route("/orders/{id}", get(order))
        .route("/orders/{id}/account", get(back).post(account))
        .route("/orders/{id}/receipt", get(receipt::show).post(receipt::offer))
        .route("/orders/{id}/{act}", get(back).post(act))
        .route("/o/{link}", get(guest_order))
        .route("/o/{link}/receipt", get(receipt::show_guest).post(receipt::offer_guest))
        .route("/o/{link}/{act}", get(back).post(guest_act))
        .merge(after::routes())
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .with_state(till.clone())
}

/// The customer as the shop's pages greet them.
pub(crate) type Introduced = Option<Extension<Customer>>;

async fn checkout(State(till): State<Till>, known: Option<Known>, customer: Introduced, view: View) -> Response {
    let shown = till_page(&till, &view, known.as_ref(), customer.as_deref(), CheckoutView::default()).await;
    shown.unwrap_or_else(|trouble| trouble.page(&view, customer.as_deref(), "/"))
}

async fn till_page(
    till: &Till,
    view: &View,
    known: Option<&Known>,
    customer: Option<&Customer>,
    shown: CheckoutView,
) -> Result<Response, Trouble> {
    let (view, _, shorts) = Shop::new(till.database.clone()).fit(view).await?;
    let form = known.map_or_else(|| till.merchant.guest_form(), |known| known.form());
    Ok(pages::checkout(&view, customer, &CheckoutView { form, shorts, ..shown }).into_response())
}

async fn place(
    State(till): State<Till>,
    known: Option<Known>,
    from_here: Result<SameOrigin, Response>,
    customer: Introduced,
    view: View,
    Form(form): Form<OrderForm>,
) -> Response {
    // A customer's key has signed the request. A guest's form has to come from a page of ours.
    if known.is_none()
        && let Err(refusal) = from_here
    {
        return refusal;
    }
    let (known, customer) = (known.as_ref(), customer.as_deref());
    let view = view.with(Cart::parse(&form.cart));
    if view.cart.is_empty() {
        return Redirect::to(&view.href("/checkout")).into_response();
    }
    match till.place(&view, known, &form).await {
        Ok(path) => Redirect::to(&view.with(Cart::default()).href(&path)).into_response(),
        Err(Trouble::Address(errors)) => {
            let shown = CheckoutView { typed: form.address, errors, typed_wanted: true, ..CheckoutView::default() };
            again(&till, &view, (known, customer), shown, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Err(Trouble::Repeated(before)) => {
            let typed_wanted = form.delivery == DeliveryChoice::Typed;
            let repeated = Some(if known.is_some() { Before::Theirs(before) } else { Before::Somebodys });
            let shown = CheckoutView { typed: form.address, typed_wanted, repeated, ..CheckoutView::default() };
            again(&till, &view, (known, customer), shown, StatusCode::CONFLICT).await
        }
        Err(trouble) => trouble.page(&view, customer, "/checkout"),
    }
}

/// The till once more, with what was typed: nothing was ordered.
async fn again(
    till: &Till,
    view: &View,
    (known, customer): (Option<&Known>, Option<&Customer>),
    shown: CheckoutView,
    status: StatusCode,
) -> Response {
    match till_page(till, view, known, customer, shown).await {
        Ok(page) => (status, page).into_response(),
        Err(trouble) => trouble.page(view, customer, "/checkout"),
    }
}

/// What is ordered, at the catalogue's prices: of the form only what, how many, and where to.
fn draft(view: &View, is_known: bool, form: &OrderForm) -> Result<Draft, Trouble> {
    let mut draft = Draft::new(Currency::EUR);
    for line in view.cart.lines() {
        let price = Money::new(i64::from(line.product.price_minor), Currency::EUR)?;
        let name = line.product.name.in_language(view.language);
        let rate = vat(line.product.kind)?;
        let sold = Line::new(line.product.slug, name, price, Quantity::new(line.quantity)?);
        let amount = sold.amount()?.included(rate)?;
        draft = draft.with(sold.taxed(LineTax { rate, amount, included: true }));
    }
    if view.cart.of(Kind::Wine).next().is_some() {
        draft = draft.needs(&age());
    }
    draft = if is_known && form.delivery == DeliveryChoice::Wallet {
        draft.deliver_from_wallet(&address())
    } else {
        let typed = form.address.check().map_err(Trouble::Address)?;
        draft.deliver_to(Address {
            name: typed.name,
            street: typed.street,
            postal_code: typed.postal_code,
            locality: typed.place,
            country: typed.country.to_owned(),
        })
    };
    Ok(draft.shown(Money::parse(&form.total, Currency::EUR)?))
}

/// The tax in a price: the prices of the catalogue have it in them, as consumers are shown them.
fn vat(kind: Kind) -> Result<Rate, MoneyError> {
    Rate::from_hundredths(kind.vat_percent() * 100)
}

/// The name of an order, as it stands in an address.
#[derive(Debug, Deserialize)]
struct After {
    #[serde(default)]
    after: String,
}

async fn orders(
    State(_): State<Till>,
    known: Known,
    customer: Extension<Customer>,
    view: View,
    Query(After { after }): Query<After>,
) -> Response {
    let shown = async {
        let after = if after.is_empty() { None } else { Some(own(&known, &after).await?) };
        let mut orders = known.orders(after.as_ref(), PAGE + 1).await?;
        let more = orders.len() > PAGE;
        orders.truncate(PAGE);
        let next = orders.last().filter(|_| more).map(|order| order.id().to_string());
        let orders: Vec<_> = orders.iter().map(summary).collect();
        Ok(pages::orders(&view, &customer, &orders, next.as_deref()).into_response())
    };
    shown.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, Some(&customer), "/orders"))
}

/// An order of this customer.
pub(crate) async fn own(known: &Known, id: &str) -> Result<Order, Trouble> {
    Ok(known.order(&id.parse::<OrderId>().map_err(|_| Refusal::NoSuchOrder)?).await?)
}

/// The order of a guest who has its link, and its page.
pub(crate) async fn of_guest(till: &Till, link: &str) -> Result<(Order, Door), Trouble> {
    let order = till.merchant.guest_order(&link.parse().map_err(|_| Refusal::NoSuchOrder)?).await?;
    let origin = till.merchant.origin().as_str().trim_end_matches('/').to_owned();
    Ok((order, Door::Guest { link: link.to_owned(), origin }))
}

async fn order(known: Known, customer: Introduced, view: View, Path(id): Path<String>) -> Response {
    let shown = async {
        let shown = order_view(&own(&known, &id).await?, Door::Customer, &view).await?;
        Ok(pages::order(&view, customer.as_deref(), &shown).into_response())
    };
    shown.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, customer.as_deref(), "/orders"))
}

async fn guest_order(State(till): State<Till>, customer: Introduced, view: View, Path(link): Path<String>) -> Response {
    let shown = async {
        let (order, door) = of_guest(&till, &link).await?;
        let shown = order_view(&order, door, &view).await?;
        Ok(pages::order(&view, customer.as_deref(), &shown).into_response())
    };
    shown.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, customer.as_deref(), "/"))
}

/// Pays, also when the browser goes away meanwhile, as one does that sends its form twice: the handler is dropped then, and a
/// rail that was called is to be heard.
async fn pay(order: Order) -> Result<Order, Trouble> {
    let paid = tokio::spawn(async move { order.pay(sepa::ID).await }).await;
    Ok(paid.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?)
}

/// What a buyer can do with an order.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    Cancel,
    Retry,
}

impl Act {
    /// Done twice, it is done once.
    async fn on(self, order: &Order) -> Result<(), Trouble> {
        match self {
            Self::Cancel => order.cancel().await?.commit().await?,
            Self::Retry => pay(order.clone()).await?,
        };
        Ok(())
    }
}

async fn act(known: Known, customer: Introduced, view: View, Path((id, act)): Path<(String, Act)>) -> Response {
    let path = format!("/orders/{id}");
    let done = async { act.on(&own(&known, &id).await?).await };
    match done.await {
        Ok(()) => Redirect::to(&view.href(&path)).into_response(),
        Err(trouble) => trouble.page(&view, customer.as_deref(), &path),
    }
}

async fn guest_act(
    State(till): State<Till>,
    _: SameOrigin,
    customer: Introduced,
    view: View,
    Path((link, act)): Path<(String, Act)>,
) -> Response {
    let path = format!("/o/{link}");
    let done = async { act.on(&of_guest(&till, &link).await?.0).await };
    match done.await {
        Ok(()) => Redirect::to(&view.href(&path)).into_response(),
        Err(trouble) => trouble.page(&view, customer.as_deref(), &path),
    }
}

/// Where money goes back to is said only by whoever has the wallet in their hands at this moment.
async fn account(
    known: Known,
    recent: Result<Recent<Known>, Response>,
    customer: Introduced,
    view: View,
    Path(id): Path<String>,
    Form(form): Form<AccountForm>,
) -> Response {
    let path = format!("/orders/{id}");
    let done = async {
        let order = own(&known, &id).await?;
        let Ok(recent) = recent else {
            let record = known.customer().await?;
            let ask = record.proofs().iter().max_by_key(|proof| proof.at).map_or("age", |proof| proof.ask.as_str());
            let why = Words(
                "Money goes only where you yourself send it.",
                "Geld geht nur dorthin, wohin Sie selbst es schicken.",
            );
            return Ok(conflict::show_again(&view, customer.as_deref(), ask, why, &path).into_response());
        };
        let named = form.iban.parse().and_then(|iban| BankAccount::new(form.name.trim(), iban));
        let Ok(named) = named else {
            let mut shown = order_view(&order, Door::Customer, &view).await?;
            shown.wrong_account = Some(form);
            let page = pages::order(&view, customer.as_deref(), &shown);
            return Ok(page.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response());
        };
        order.refund_to(recent.proof(), named).await?;
        Ok(Redirect::to(&view.href(&path)).into_response())
    };
    done.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, customer.as_deref(), &path))
}

/// A form's address, reloaded: the page that it stood on.
async fn back(view: View) -> Redirect {
    Redirect::to(&view.href(view.path.rsplit_once('/').map_or("/", |(page, _)| page)))
}
