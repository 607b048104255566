//! Checkouts: begun, changed, given up, and completed into an order.

mod complete;
mod once;
mod one_tap;
mod quote;
mod stock;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::{
    complete::Completion,
    once::{IdempotencyKey, NotAnIdempotencyKey},
    one_tap::{OneTap, Tapped},
};
use self::{
    once::Once,
    quote::{Heading, Towards},
};
use super::{
    GuestLink, Order, Pending, PlacedDraft, Plan, guest_key,
    pending::Witness,
    queue::{by_time, shard_of},
};
use crate::{
    ask::Ask,
    checkout::{
        CheckedWishes, CheckoutError, CheckoutId, CheckoutRecord, Message, Offering, SealedAddress, Stage, Status,
        Wishes,
    },
    customer::CustomerId,
    error::{Error, Refusal},
    merchant::{Committed, Merchant, customer_key, put, recognise::Recognised},
    order::{Address, Buyer, DeliveryAddress},
    protocol::jose::{base64url_encode, sha256},
    rail::WalletRail,
    store::{Expect, Key, Persisted, Prefix, Stored, Version, Write},
    time::UnixTime,
    trade::{AnyTax, ITEMS_MAX, Item, Trade, is_name},
};

/// What seals an address to its checkout.
const ADDRESS: &str = "checkout address";
/// What seals what was typed of one.
const SO_FAR: &str = "checkout address so far";

/// What a customer sends: what they want, and where it goes.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Basket {
    /// What they want: all of it, each time.
    pub wishes: Wishes,
    /// What they typed of where it goes.
    pub typed: Typed,
}

/// What somebody typed of where something goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Typed {
    /// Nothing: it goes where it went before; what the customer's wallet has told meanwhile, by the ask of
    /// [`Trade::address_from`], is taken from there.
    #[default]
    Nothing,
    /// An address that is not whole yet, for a page that is to show it again: as far as its country is there, sending is
    /// priced by that, and nothing is ordered before there is an address.
    SoFar(Address),
    /// An address.
    Address(Address),
}

impl From<Wishes> for Basket {
    fn from(wishes: Wishes) -> Self {
        Self { wishes, typed: Typed::Nothing }
    }
}

impl Basket {
    /// It goes to an address that somebody typed.
    #[must_use]
    pub fn deliver_to(mut self, address: Address) -> Self {
        self.typed = Typed::Address(address);
        self
    }

    /// So much of an address is typed by now.
    #[must_use]
    pub fn typed_so_far(mut self, so_far: Address) -> Self {
        self.typed = Typed::SoFar(so_far);
        self
    }
}

/// What a change brings.
struct Change<'a> {
    wishes: CheckedWishes,
    /// Where it goes, if somebody typed that.
    typed: &'a Typed,
    /// What makes it one change.
    once: Option<Once>,
}

/// What the shop offers for a change, before any of it is written.
struct Quoted {
    wishes: CheckedWishes,
    heading: Heading,
    offering: Offering,
}

impl Quoted {
    /// Whether there is anything to write for a checkout whose wishes stay.
    fn differs_from(&self, record: &CheckoutRecord) -> bool {
        record.telling(self.offering.clone()) != record.offering || self.heading.is_new
    }
}

/// A checkout: what is stored of it, and what can be done with it.
///
/// A snapshot as it was read or committed. Whatever acts loads the checkout again, so an old snapshot does no harm.
#[derive(Clone, Debug)]
pub struct Checkout {
    merchant: Merchant,
    record: CheckoutRecord,
    whose: Whose,
    /// That of the record, where it was read or written as it is here.
    version: Option<Version>,
}

/// Whose checkout it is, and how that is known.
#[derive(Clone, Debug)]
enum Whose {
    /// Somebody is recognised.
    Known(Box<Recognised>),
    /// Somebody has the link.
    Guest(GuestLink),
}

impl Whose {
    fn known(&self) -> Option<&Recognised> {
        match self {
            Self::Known(known) => Some(known),
            Self::Guest(_) => None,
        }
    }

    /// The checkout, if it is theirs: whoever took it over has it alone. One that was begun under a former name of the
    /// customer is theirs under the name of now.
    async fn owned(&self, record: CheckoutRecord) -> Result<CheckoutRecord, Error> {
        match (self, &record.buyer, &record.guest) {
            (Self::Known(known), Buyer::Customer(buyer), _) if buyer == known.id() => Ok(record),
            (Self::Known(known), Buyer::Customer(buyer), _) if known.customer().await?.record().was_called(buyer) => {
                Ok(CheckoutRecord { buyer: Buyer::Customer(known.id().clone()), ..record })
            }
            (Self::Guest(link), Buyer::Guest, Some(digest)) if *digest == link.digest() => Ok(record),
            _ => Err(Refusal::NoSuchCheckout.into()),
        }
    }

    /// The same of what was loaded, with the version that it is changed at.
    async fn owned_now(&self, found: Option<Stored>) -> Result<(CheckoutRecord, Version), Error> {
        let stored = found.ok_or(Refusal::NoSuchCheckout)?;
        Ok((self.owned(stored.read()?).await?, stored.version))
    }

    /// Who says something, for the keys under which they say it.
    fn principal(&self) -> String {
        match self {
            Self::Known(known) => known.id().as_str().to_owned(),
            Self::Guest(link) => link.digest(),
        }
    }
}

/// That a checkout is to be looked at. Which one, and when, stands in the key.
#[derive(Serialize, Deserialize)]
struct DueCheckout {}

impl Persisted for DueCheckout {
    const KIND: &'static str = "checkout_due";
    const SCHEMA: u16 = 1;
}

/// That a customer has a checkout, to delete it with them. Which one stands in the key.
#[derive(Serialize, Deserialize)]
struct BegunCheckout {}

impl Persisted for BegunCheckout {
    const KIND: &'static str = "begun_checkout";
    const SCHEMA: u16 = 1;
}

impl Recognised {
    /// Begins a checkout. Said twice with the same key, it is begun once.
    ///
    /// # Errors
    /// [`Error::Checkout`] for what cannot be wished for; [`Error::Draft`] for an address that is none;
    /// [`Refusal::KeyUsed`]; [`Error::Misuse`] without a [`Trade`]; [`Error::Unavailable`] if a part of the shop does not
    /// answer.
    pub async fn check_out(&self, basket: &Basket, key: &IdempotencyKey) -> Result<Checkout, Error> {
        let whose = Whose::Known(Box::new(self.clone()));
        let id = CheckoutId::from_random(self.merchant().random());
        let once = Once::new(self.merchant(), &whose.principal(), key, &("check out", basket));
        self.merchant().begin_checkout(id, whose, basket, Some(once)).await
    }

    /// A checkout of this customer.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCheckout`] if there is none, not any more, or it is somebody else's.
    pub async fn checkout(&self, id: &CheckoutId) -> Result<Checkout, Error> {
        self.merchant().checkout_of(id, Whose::Known(Box::new(self.clone()))).await
    }

    /// The order that a checkout of this customer became, for whoever comes back by the checkout's name when it is long gone:
    /// looked for among their newest orders, at most 200.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn order_of_checkout(&self, id: &CheckoutId) -> Result<Option<Order>, Error> {
        const AT_ONCE: usize = 100;
        let first = self.orders(None, AT_ONCE).await?;
        let next = match first.last().filter(|_| first.len() == AT_ONCE) {
            Some(last) => self.orders(Some(last), AT_ONCE).await?,
            None => Vec::new(),
        };
        let came_from = |order: &Order| order.record().checkout.as_ref().is_some_and(|from| from.id == *id);
        Ok(first.into_iter().chain(next).find(came_from))
    }

    /// The checkouts of this customer that are kept, under all of their names.
    pub(in crate::merchant) async fn checkouts(&self) -> Result<Vec<Checkout>, Error> {
        let (merchant, customer) = (self.merchant(), self.customer().await?);
        let former = customer.merged().iter().map(|merged| &merged.customer);
        let mut found = Vec::new();
        for name in std::iter::once(self.id()).chain(former) {
            for (id, BegunCheckout {}) in merchant.walk(name).await? {
                let Ok(id) = id.parse::<CheckoutId>() else { continue };
                match self.checkout(&id).await {
                    Ok(checkout) => found.push(checkout),
                    // It expired just now.
                    Err(Error::Refused(Refusal::NoSuchCheckout)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }

    /// Goes on with a checkout that this customer began as a guest: from now on it is theirs, and the link leads to it no
    /// more. Prices and proofs are looked at anew.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCheckout`]; [`Error::Checkout`] if it is being completed, or over.
    pub async fn take_over_checkout(&self, link: &GuestLink) -> Result<Checkout, Error> {
        let input = (self.clone(), link.clone());
        Pending::new(self.merchant(), input, |merchant, (known, link)| async move {
            let (record, version) = merchant.owned_checkout(&guest_id(&link), &Whose::Guest(link.clone())).await?;
            record.changeable(record.revision)?;
            let whose = Whose::Known(Box::new(known.clone()));
            let buyer = Buyer::Customer(known.id().clone());
            let record = CheckoutRecord { buyer, guest: None, ..record };
            let wishes = record.wishes.clone();
            let change = Change { wishes, typed: &Typed::Nothing, once: None };
            let mut plan = merchant.plan_change(record, Some(version), change, &whose).await?;
            plan.writes.push(merchant.still_here(known.id()).await?);
            Ok(plan)
        })
        .await?
        .commit()
        .await
    }
}

impl Merchant {
    /// Begins the checkout of somebody whom nobody asked who they are. The form's token ([`Merchant::guest_form`]) is the
    /// capability: it makes the form one checkout however often it is sent, and the link to it, which becomes the link of
    /// the order.
    ///
    /// # Errors
    /// As [`Recognised::check_out`]; [`Refusal::FormInvalid`], [`Refusal::FormExpired`].
    pub async fn check_out_as_guest(&self, basket: &Basket, form: &str) -> Result<GuestCheckout, Error> {
        let link = self.read_form(None, form)?.guest_link();
        let checkout = self.begin_checkout(guest_id(&link), Whose::Guest(link.clone()), basket, None).await?;
        Ok(GuestCheckout { checkout, link })
    }

    /// The checkout of a guest's link.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCheckout`] if there is none, not any more, or a customer took it over.
    pub async fn guest_checkout(&self, link: &GuestLink) -> Result<Checkout, Error> {
        self.checkout_of(&guest_id(link), Whose::Guest(link.clone())).await
    }

    /// Whether the shop sells by checkouts: whether it has a [`Trade`].
    #[must_use]
    pub fn sells_by_checkout(&self) -> bool {
        self.0.trade.is_some()
    }

    /// What these items are called in the shop's [catalogue](crate::trade::Catalog) by now, in their order: for the merchant's
    /// own pages. `None` for what is not sold any more, and for all of them in a shop without a [`Trade`].
    ///
    /// # Errors
    /// What the catalogue says if it cannot tell now.
    pub async fn item_titles(&self, items: &[String]) -> Result<Vec<Option<String>>, Error> {
        let Some(trade) = &self.0.trade else { return Ok(vec![None; items.len()]) };
        let mut titles = Vec::with_capacity(items.len());
        for asked in items.chunks(ITEMS_MAX) {
            let mut found = trade.catalog.items(asked).await?;
            found.resize(asked.len(), None);
            titles.extend(found.into_iter().map(|item| item.map(|item| item.title)));
        }
        Ok(titles)
    }

    /// How the shop sells.
    fn trade(&self) -> Result<&Trade, Error> {
        let missing = || Error::Misuse("no trade: add .trade(Trade::new(..)) to sell by checkouts".to_owned());
        self.0.trade.as_ref().ok_or_else(missing)
    }

    async fn begin_checkout(
        &self,
        id: CheckoutId,
        whose: Whose,
        basket: &Basket,
        once: Option<Once>,
    ) -> Result<Checkout, Error> {
        let input = (id, whose, Arc::new(basket.clone()), once);
        Pending::new(self, input, |merchant, (id, whose, basket, once)| async move {
            let before = match (&once, &whose) {
                (Some(once), _) => merchant.said_before(once).await?,
                (None, Whose::Known(_)) => None,
                (None, Whose::Guest(link)) => merchant.begun_by_form(&id, link).await?,
            };
            if let Some(id) = before {
                let checkout = merchant.checkout_of(&id, whose).await?;
                return Ok(Plan::nothing(checkout, merchant.now()));
            }
            let now = merchant.now();
            let (buyer, guest) = match &whose {
                Whose::Known(known) => (Buyer::Customer(known.id().clone()), None),
                Whose::Guest(link) => (Buyer::Guest, Some(link.digest())),
            };
            let trade = merchant.trade()?;
            let wishes = basket.wishes.clone().checked().map_err(CheckoutError::from)?;
            let record = CheckoutRecord {
                id,
                buyer,
                guest,
                revision: 0,
                wishes: wishes.clone(),
                address: None,
                so_far: None,
                offering: Offering::nothing(trade.currency),
                failed: Vec::new(),
                stage: Stage::Open,
                tries: 0,
                wrong_words: 0,
                begun_at: now,
                changed_at: now,
                operation: String::new(),
            };
            let change = Change { wishes, typed: &basket.typed, once };
            merchant.plan_change(record, None, change, &whose).await
        })
        .await?
        .committed()
        .await
        .map(Committed::checkout)
    }

    /// A guest's form is one checkout, by its name.
    ///
    /// # Errors
    /// [`Refusal::FormUsed`] if the form became an order by itself: its link is that order's.
    async fn begun_by_form(&self, id: &CheckoutId, link: &GuestLink) -> Result<Option<CheckoutId>, Error> {
        let mut found = self.0.store.load(&[checkout_key(id), guest_key(link)], self.now()).await?.into_iter();
        match (found.next().flatten(), found.next().flatten()) {
            (Some(_), _) => Ok(Some(id.clone())),
            (None, Some(placed)) => Err(Refusal::FormUsed { order: placed.read::<PlacedDraft>()?.order }.into()),
            (None, None) => Ok(None),
        }
    }

    /// What a change of an open checkout writes. `version` is that of the record that it changes; none for a new one.
    async fn plan_change(
        &self,
        record: CheckoutRecord,
        version: Option<Version>,
        Change { wishes, typed, once }: Change<'_>,
        whose: &Whose,
    ) -> Result<Plan<Checkout>, Error> {
        let quoted = self.quoted(&record, wishes, typed, whose).await?;
        self.plan_quoted(record, version, quoted, once, whose).await
    }

    /// What the shop offers for these wishes now: everybody is asked once, and what they said is what is written.
    async fn quoted(
        &self,
        record: &CheckoutRecord,
        wishes: CheckedWishes,
        typed: &Typed,
        whose: &Whose,
    ) -> Result<Quoted, Error> {
        let wishes = record.taken(wishes);
        let heading = self.heading(record, typed, whose.known()).await?;
        let offering = self.quote(&wishes, heading.towards(), whose.known()).await?;
        Ok(Quoted { wishes, heading, offering })
    }

    /// What is written of it: the wishes, what the shop offers for them, and the address where one came.
    async fn plan_quoted(
        &self,
        mut record: CheckoutRecord,
        version: Option<Version>,
        Quoted { wishes, heading, offering }: Quoted,
        once: Option<Once>,
        whose: &Whose,
    ) -> Result<Plan<Checkout>, Error> {
        let now = self.now();
        let mut writes: Vec<Write> = heading.erasing.into_iter().collect();
        if heading.is_new {
            let seal = |purpose, address: &Address| self.seal_value(purpose, &checkout_key(&record.id), address);
            let to = heading
                .to
                .map(|(address, source)| Ok::<_, Error>(SealedAddress { source, sealed: seal(ADDRESS, &address)? }));
            let so_far = heading.so_far.map(|address| seal(SO_FAR, &address));
            (record.address, record.so_far) = (to.transpose()?, so_far.transpose()?);
        }
        if let (None, Some(customer)) = (version, record.buyer.customer()) {
            writes.push(self.still_here(customer).await?);
        }
        if let Some(once) = once {
            writes.push(once.write(&record.id, now)?);
        }
        self.plan_checkout(record.changed(wishes, offering, now)?, version, writes, whose.clone())
    }

    /// What goes with a checkout that becomes a customer's: somebody may forget them at this very moment.
    async fn still_here(&self, customer: &CustomerId) -> Result<Write, Error> {
        let (_, version) = self.live_record(customer).await?;
        Ok(Write::check(customer_key(customer), Expect::Version(version)))
    }

    /// The writes of a checkout's new state.
    fn plan_checkout(
        &self,
        record: CheckoutRecord,
        version: Option<Version>,
        mut writes: Vec<Write>,
        whose: Whose,
    ) -> Result<Plan<Checkout>, Error> {
        let record = CheckoutRecord { operation: base64url_encode(&self.random::<16>()), ..record };
        writes.extend(checkout_writes(&record, version)?);
        let witness = Some(Witness { key: checkout_key(&record.id), operation: record.operation.clone() });
        let value = Checkout { merchant: self.clone(), record, whose, version: None };
        Ok(Plan { writes, value, witness, at: self.now() })
    }

    /// A checkout as it stands by now: one whose order is decided follows it.
    async fn checkout_of(&self, id: &CheckoutId, whose: Whose) -> Result<Checkout, Error> {
        let (record, version) = self.checkout_followed(id).await?.ok_or(Refusal::NoSuchCheckout)?;
        let record = whose.owned(record).await?;
        Ok(Checkout { merchant: self.clone(), record, whose, version })
    }

    /// A checkout that is to be changed, if it is theirs by now.
    async fn owned_checkout(&self, id: &CheckoutId, whose: &Whose) -> Result<(CheckoutRecord, Version), Error> {
        whose.owned_now(self.load_one(&checkout_key(id)).await?).await
    }

    pub(super) async fn load_checkout(&self, id: &CheckoutId) -> Result<Option<(CheckoutRecord, Version)>, Error> {
        let Some(stored) = self.load_one(&checkout_key(id)).await? else { return Ok(None) };
        Ok(Some((stored.read()?, stored.version)))
    }

    /// Where a checkout's address stands in clear, for whoever may see it.
    fn address_of(&self, record: &CheckoutRecord) -> Result<Option<Address>, Error> {
        let address = record.address.as_ref();
        address.map(|address| self.open_value(ADDRESS, &checkout_key(&record.id), &address.sealed)).transpose()
    }

    /// The same of what was typed of one.
    fn so_far_of(&self, record: &CheckoutRecord) -> Result<Option<Address>, Error> {
        let sealed = record.so_far.as_ref();
        sealed.map(|sealed| self.open_value(SO_FAR, &checkout_key(&record.id), sealed)).transpose()
    }

    /// What the shop sells under these names, in their order, as its catalogue says now; `None` for what it does not. For a page
    /// that has to name what no checkout holds yet. Names are a stranger's, at most
    /// [`ITEMS_MAX`] of them are looked up.
    ///
    /// # Errors
    /// [`Error::Misuse`] without a [`Trade`]; [`Error::Unavailable`] if the catalogue does not answer.
    pub async fn sold_as(&self, names: &[String]) -> Result<Vec<Option<Item>>, Error> {
        let mut known: Vec<String> = Vec::new();
        for name in names.iter().filter(|name| is_name(name)) {
            if known.len() < ITEMS_MAX && !known.contains(name) {
                known.push(name.clone());
            }
        }
        let found = if known.is_empty() { Vec::new() } else { self.trade()?.catalog.items(&known).await? };
        let of = |name: &String| found.iter().flatten().find(|item| item.name == *name).cloned();
        Ok(names.iter().map(of).collect())
    }
}

/// A guest's checkout, with the only way back to it.
#[derive(Clone, Debug)]
pub struct GuestCheckout {
    /// The checkout.
    pub checkout: Checkout,
    /// The capability that shows it, and the order that it becomes: to be given to the guest, and to nobody else.
    pub link: GuestLink,
}

impl Checkout {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &CheckoutId {
        &self.record.id
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.record.status()
    }

    /// Which state of it this is: what changes it says which one it saw.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.record.revision
    }

    /// What the customer wants.
    #[must_use]
    pub fn wishes(&self) -> &Wishes {
        &self.record.wishes
    }

    /// What the shop offers for it.
    #[must_use]
    pub const fn offering(&self) -> &Offering {
        &self.record.offering
    }

    /// What there is to say about it.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.record.messages()
    }

    /// Until when it stays if nobody goes on with it; none while it is being completed.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.record.expires_at()
    }

    /// The link of a guest's, whose capability it is; none for a customer's.
    #[must_use]
    pub const fn link(&self) -> Option<&GuestLink> {
        match &self.whose {
            Whose::Guest(link) => Some(link),
            Whose::Known(_) => None,
        }
    }

    /// The record, as it is stored.
    #[must_use]
    pub const fn record(&self) -> &CheckoutRecord {
        &self.record
    }

    /// Where it goes, as far as that is known and the order has not taken it yet.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it was sealed under a root that is not in the keys any more.
    pub fn address(&self) -> Result<Option<DeliveryAddress>, Error> {
        let address = self.merchant.address_of(&self.record)?;
        let source = self.record.address.as_ref().map(|sealed| sealed.source);
        let until = self.record.expires_at().unwrap_or(self.record.changed_at);
        Ok(address.zip(source).map(|(address, source)| DeliveryAddress::new(address, source, until)))
    }

    /// What was typed of an address that is not whole yet: for the page on which it is typed, and for nobody else.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it was sealed under a root that is not in the keys any more.
    pub fn typed_so_far(&self) -> Result<Option<Address>, Error> {
        self.merchant.so_far_of(&self.record)
    }

    /// Whether the number under which a buyer pays tax themselves can change anything in this shop: only then it is worth
    /// asking for.
    #[must_use]
    pub fn takes_vat_ids(&self) -> bool {
        let tax = self.merchant.0.trade.as_ref().and_then(|trade| trade.tax.as_ref());
        tax.is_some_and(AnyTax::reads_vat_ids)
    }

    /// What the customer's wallet could tell and nobody has: the asks to put into one question
    /// ([`Merchant::ask_together`]). The address is among them if it is not known where to send it, and can be asked for.
    #[must_use]
    pub fn missing(&self) -> Vec<&Ask> {
        let trade = self.merchant.0.trade.as_ref();
        let address = trade.and_then(|trade| trade.address_ask.as_ref()).filter(|_| self.record.lacks_address());
        let missing = self.record.offering.missing.iter().chain(address);
        missing.filter_map(|name| self.merchant.declared(name)).collect()
    }

    /// The names of the rails by which its total can be paid, in the order in which the shop was given them; none if there
    /// is nothing to pay. That of wallets is not among them: see [`tap`](Self::tap).
    #[must_use]
    pub fn rails(&self) -> Vec<&'static str> {
        let total = self.record.offering.totals.total;
        if total.is_zero() {
            return Vec::new();
        }
        let takes =
            self.merchant.0.rails.iter().filter(|rail| rail.id() != WalletRail::ID && rail.takes(total).is_ok());
        takes.map(|rail| rail.id()).collect()
    }

    /// The checkout with what the shop offers for it now, for a page that is shown after the customer's wallet has told
    /// something: what it proved counts, and the address that it told is taken. Nothing is written where nothing changes, or
    /// where it is not open.
    ///
    /// # Errors
    /// As [`Recognised::check_out`].
    pub async fn refreshed(&self) -> Result<Self, Error> {
        let input = (self.id().clone(), self.whose.clone());
        Pending::new(&self.merchant, input, |merchant, (id, whose)| async move {
            let (record, version) = merchant.owned_checkout(&id, &whose).await?;
            let unchanged = |record, whose| {
                let now = merchant.now();
                Ok(Plan::nothing(Self { merchant: merchant.clone(), record, whose, version: Some(version) }, now))
            };
            if record.stage != Stage::Open {
                return unchanged(record, whose);
            }
            let quoted = merchant.quoted(&record, record.wishes.clone(), &Typed::Nothing, &whose).await?;
            if !quoted.differs_from(&record) {
                return unchanged(record, whose);
            }
            merchant.plan_quoted(record, Some(version), quoted, None, &whose).await
        })
        .await?
        .commit()
        .await
    }

    /// Its order, once it is a sale.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn order(&self) -> Result<Option<Order>, Error> {
        match &self.record.stage {
            Stage::Completed { order } => self.merchant.order(order).await,
            _ => Ok(None),
        }
    }

    /// The checkout as it is now.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCheckout`] if it is gone.
    pub async fn reload(&self) -> Result<Self, Error> {
        match &self.whose {
            Whose::Known(known) => known.checkout(self.id()).await,
            Whose::Guest(link) => self.merchant.guest_checkout(link).await,
        }
    }

    /// Changes what is wanted, or where it goes: all of the wishes are replaced, and everything is priced anew. `revision` is
    /// the one that the customer saw.
    ///
    /// # Errors
    /// [`Error::Checkout`] if somebody changed it meanwhile, it is being completed, or over; otherwise as
    /// [`Recognised::check_out`].
    pub async fn update(&self, revision: u64, basket: &Basket, key: &IdempotencyKey) -> Result<Self, Error> {
        let content = ("update", self.id(), revision, basket);
        let once = Once::new(&self.merchant, &self.whose.principal(), key, &content);
        let input = (self.id().clone(), self.whose.clone(), Arc::new(basket.clone()), once);
        Pending::new(&self.merchant, input, move |merchant, (id, whose, basket, once)| async move {
            let (was_said, found) = merchant.said_of(&once, &id).await?;
            if was_said {
                let checkout = merchant.checkout_of(&id, whose).await?;
                return Ok(Plan::nothing(checkout, merchant.now()));
            }
            let (record, version) = whose.owned_now(found).await?;
            record.changeable(revision)?;
            let wishes = basket.wishes.clone().checked().map_err(CheckoutError::from)?;
            let change = Change { wishes, typed: &basket.typed, once: Some(once) };
            merchant.plan_change(record, Some(version), change, &whose).await
        })
        .await?
        .commit()
        .await
    }

    /// Gives it up. Giving it up twice is giving it up once.
    ///
    /// # Errors
    /// [`Error::Checkout`] if it is being completed, or there is an order: cancel that one.
    pub async fn cancel(&self) -> Result<Self, Error> {
        let input = (self.id().clone(), self.whose.clone());
        Pending::new(&self.merchant, input, |merchant, (id, whose)| async move {
            let (record, version) = merchant.owned_checkout(&id, &whose).await?;
            match record.clone().canceled(merchant.now())? {
                Some(canceled) => merchant.plan_checkout(canceled, Some(version), Vec::new(), whose),
                None => {
                    let checkout = Self { merchant: merchant.clone(), record, whose, version: Some(version) };
                    Ok(Plan::nothing(checkout, merchant.now()))
                }
            }
        })
        .await?
        .commit()
        .await
    }
}

impl Committed<Checkout> {
    /// The checkout, with the version at which it was just written.
    fn checkout(self) -> Checkout {
        let version = self.version_of(&checkout_key(self.value.id())).or(self.value.version);
        Checkout { version, ..self.value }
    }
}

/// The writes of a checkout's new state, with the customer's way to it.
fn checkout_writes(record: &CheckoutRecord, version: Option<Version>) -> Result<Vec<Write>, Error> {
    let (until, expect) = (record.expires_at(), version.map_or(Expect::Absent, Expect::Version));
    let mut writes = vec![put(checkout_key(&record.id), record, until, expect)?];
    if let Some(customer) = record.buyer.customer() {
        let key = Key::new(BegunCheckout::KIND, customer.as_str(), record.id.as_str());
        writes.push(put(key, &BegunCheckout {}, until, Expect::Any)?);
    }
    Ok(writes)
}

fn checkout_key(id: &CheckoutId) -> Key {
    Key::new(CheckoutRecord::KIND, id.as_str(), "")
}

fn due_key(id: &CheckoutId, due: UnixTime) -> Key {
    Key::new(DueCheckout::KIND, shard_of(id.as_str()), by_time(due, id))
}

fn due_entry(id: &CheckoutId, due: UnixTime) -> Result<Write, Error> {
    Ok(put(due_key(id, due), &DueCheckout {}, None, Expect::Any)?)
}

/// The name of the checkout that a guest's link leads to: nobody comes from the name to the link.
fn guest_id(link: &GuestLink) -> CheckoutId {
    let digest = sha256(format!("firsthand guest checkout {}", link.reveal()).as_bytes());
    let mut name = [0; 16];
    name.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    CheckoutId::from_random(name)
}

pub(in crate::merchant) fn customer_checkouts(customer: &CustomerId) -> Prefix {
    Prefix { kind: BegunCheckout::KIND, partition: customer.as_str().to_owned(), sort: String::new() }
}

/// What an entry under [`customer_checkouts`] leads to.
pub(in crate::merchant) fn begun_checkout(entry: &Key) -> Key {
    Key::new(CheckoutRecord::KIND, &entry.sort, "")
}

pub(in crate::merchant) use self::{once::said_by, quote::coupons_of};

#[cfg(test)]
mod tests;
