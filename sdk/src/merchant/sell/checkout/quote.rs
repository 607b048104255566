//! What the shop offers: its parts are asked in turn, and each is told what it needs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Typed;
use crate::{
    ask::Ask,
    checkout::{BuyerFacts, Cart, CheckedWishes, CheckoutRecord, Coupon, Offering, consignment},
    customer::CustomerId,
    error::{Error, Refusal},
    merchant::{
        Merchant,
        recognise::{Customer, Recognised},
    },
    money::MoneyError,
    order::{Address, DeliverySource, DraftError, OrderId, OrderRecord},
    protocol::jose::{base64url_encode, sha256},
    store::{Key, Persisted, Prefix, Write},
    time::UnixTime,
    trade::{Discountable, Item, Levy, Taxable, Trade, TradeError, Way},
};

/// That something that is let off once was let off.
#[derive(Serialize, Deserialize)]
pub(in crate::merchant::sell) struct CouponUsed {
    pub(in crate::merchant::sell) order: OrderId,
}

impl Persisted for CouponUsed {
    const KIND: &'static str = "coupon_used";
    const SCHEMA: u16 = 1;
}

/// Where that is remembered.
pub(in crate::merchant::sell) fn coupon_key(coupon: &Coupon, customer: Option<&CustomerId>) -> Key {
    let name = base64url_encode(&sha256(coupon.name().as_bytes()));
    match customer.filter(|_| coupon.is_per_customer()) {
        Some(customer) => Key::new(CouponUsed::KIND, customer.as_str(), name),
        None => Key::new(CouponUsed::KIND, name, ""),
    }
}

/// What a customer was let off once.
pub(in crate::merchant) fn coupons_of(customer: &CustomerId) -> Prefix {
    Prefix { kind: CouponUsed::KIND, partition: customer.as_str().to_owned(), sort: String::new() }
}

/// A part of the shop speaks of another currency than its trade: nobody who buys can do anything about it.
fn other_money(error: MoneyError) -> Error {
    Error::Misuse(format!("the parts of the trade do not fit together: {error}"))
}

/// Where a checkout goes.
#[derive(Default)]
pub(super) struct Heading {
    pub(super) to: Option<(Address, DeliverySource)>,
    /// What was typed of an address that is not whole yet.
    pub(super) so_far: Option<Address>,
    /// Whether any of it came with this change.
    pub(super) is_new: bool,
    /// Erases what the wallet told, where that was taken.
    pub(super) erasing: Option<Write>,
}

impl Heading {
    /// What a price depends on: an address, or the country that is known of one.
    pub(super) fn towards(&self) -> Towards<'_> {
        Towards { to: self.to.as_ref().map(|(address, _)| address), so_far: self.so_far.as_ref() }
    }
}

/// Where something would go, as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct Towards<'a> {
    pub(super) to: Option<&'a Address>,
    pub(super) so_far: Option<&'a Address>,
}

impl<'a> Towards<'a> {
    /// The place that a price is for, if somebody has named one. Of an address that is being typed it is the country alone:
    /// half a postal code is nothing to ask a carrier about.
    fn place(&self) -> Option<Place<'a>> {
        let so_far = self.so_far.filter(|address| address.has_country());
        self.to.map(Place::of).or(so_far.map(|address| Place { country: &address.country, postal_code: "" }))
    }
}

impl Merchant {
    /// Where the checkout goes: what was typed, else what the wallet has told, else what is known.
    pub(super) async fn heading(
        &self,
        record: &CheckoutRecord,
        typed: &Typed,
        known: Option<&Recognised>,
    ) -> Result<Heading, Error> {
        if let Typed::Address(address) = typed {
            address.check().map_err(DraftError::from)?;
            let to = Some((address.clone(), DeliverySource::Typed));
            return Ok(Heading { to, is_new: true, ..Heading::default() });
        }
        if let (Some(name), Some(known)) = (&self.trade()?.address_ask, known) {
            let ask = self.declared(name).ok_or(Refusal::NoSuchAsk)?;
            if let Some((answer, erasing)) = known.answer_to_take(ask).await?
                && let Some(address) = Address::told(ask, &answer)
            {
                let to = Some((address, DeliverySource::Wallet(answer.device())));
                return Ok(Heading { to, is_new: true, erasing: Some(erasing), so_far: None });
            }
        }
        let source = record.address.as_ref().map(|sealed| sealed.source);
        let known = self.address_of(record)?.zip(source);
        if let Typed::SoFar(so_far) = typed {
            so_far.check_so_far().map_err(DraftError::from)?;
            // What somebody typed is typed anew; what a wallet told stays until there is another address.
            let to = known.filter(|(_, source)| *source != DeliverySource::Typed);
            let is_something = !so_far.is_blank() || so_far.has_country();
            return Ok(Heading { to, so_far: is_something.then(|| so_far.clone()), is_new: true, erasing: None });
        }
        Ok(Heading { to: known, so_far: self.so_far_of(record)?, ..Heading::default() })
    }

    /// What the shop offers for these wishes now: what it sells of them, what is let off, what there is, how it is sent, and
    /// the tax.
    pub(super) async fn quote(
        &self,
        wishes: &CheckedWishes,
        towards: Towards<'_>,
        known: Option<&Recognised>,
    ) -> Result<Offering, Error> {
        let (trade, now) = (self.trade()?, self.now());
        let mut cart = sold(trade, wishes).await?;
        self.let_off(trade, &mut cart, wishes, known, now).await?;
        counted(trade, &mut cart, now).await?;
        let home = || trade.home.as_deref().map(|country| Place { country, postal_code: "" });
        let (named, ships) = (towards.place(), cart.ships());
        let place = named.or_else(home).filter(|_| ships);
        if ships && towards.to.is_none() {
            cart.lacks_address();
        }
        if let Some(place) = place {
            let ways = ways(trade, &cart, place).await?;
            if ways.is_empty() && named.is_some() {
                let at_most_g = at_most_g(trade, &cart, place).await?;
                cart.not_sent_there(at_most_g);
            }
            cart.send(ways, wishes.way.as_deref());
        }
        let levies = levies(trade, cart.classes(), place, wishes.vat_id.clone()).await?;
        cart.tax(&levies).map_err(other_money)?;
        // As long as nobody knows where it goes, nobody knows whether the number counts there.
        if wishes.vat_id.is_some() && !cart.is_owed_by_buyer() && (named.is_some() || !ships) {
            cart.vat_id_not_taken();
        }
        cart.offering().map_err(other_money)
    }

    /// Takes off what is let off, for as much as is known of who buys; what has to be proved for all of it is told.
    async fn let_off(
        &self,
        trade: &Trade,
        cart: &mut Cart,
        wishes: &CheckedWishes,
        known: Option<&Recognised>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let cuts = match &trade.discount {
            Some(discount) if !cart.lines().is_empty() => {
                let lines = cart.lines().to_vec();
                discount.cuts(&Discountable { lines, codes: wishes.codes.clone(), now }).await?
            }
            _ => Vec::new(),
        };
        let needed = cart.items().iter().flat_map(|item| &item.needs);
        let asks = self.asks_of(needed.chain(cuts.iter().filter_map(|cut| cut.needs.as_ref())))?;
        let coupons: Vec<Coupon> = cuts.iter().filter_map(|cut| cut.coupon.clone()).collect();
        // Loaded once for all of it, and not at all where nothing depends on who it is.
        let customer = match known {
            Some(known) if !asks.is_empty() || coupons.iter().any(Coupon::is_per_customer) => {
                Some(known.customer().await?)
            }
            _ => None,
        };
        let proofs = match known.zip(customer.as_ref()) {
            Some((known, customer)) => known.proofs(customer, &asks).await?,
            None => Vec::new(),
        };
        let proved: BTreeSet<String> = proofs.into_iter().flatten().map(|proof| proof.ask).collect();
        let used = self.coupons_used(&coupons, customer.as_ref()).await?;
        let facts = BuyerFacts {
            is_customer: known.is_some(),
            proved: &|ask| proved.contains(ask),
            used: &|coupon| used.contains(coupon),
        };
        cart.prove(&facts);
        cart.cut(cuts, wishes, &facts).map_err(other_money)
    }

    /// Whether an order that came from a checkout costs the same there as in the country that it was priced for: its way and
    /// its tax.
    pub(in crate::merchant::sell) async fn is_priced_alike(
        &self,
        order: &OrderRecord,
        country: &str,
        there: &Address,
    ) -> Result<bool, Error> {
        let trade = self.trade()?;
        let Some(from) = &order.checkout else { return Ok(true) };
        let Some((checkout, _)) = self.load_checkout(&from.id).await? else { return Ok(false) };
        let names: Vec<String> = order.lines.iter().map(|line| line.item.clone()).collect();
        let items = trade.catalog.items(&names).await?;
        let Some(cart) = Cart::again(trade.currency, &items, &order.lines) else { return Ok(false) };
        let method = order.carriage.as_ref().map(|carriage| carriage.method.as_str());
        let mut prices = Vec::new();
        for place in [Place { country, postal_code: "" }, Place::of(there)] {
            let ways = ways(trade, &cart, place).await?;
            let way = ways.into_iter().find(|way| Some(way.method.as_str()) == method).map(|way| cart.taxed(way));
            let classes = cart.classes().into_iter().chain(way.iter().map(|way| way.tax.clone())).collect();
            let levies = levies(trade, classes, Some(place), checkout.wishes.vat_id.clone()).await?;
            prices.push((way.map(|way| (way.price, way.tax)), levies));
        }
        Ok(matches!(prices.as_slice(), [home, there] if home == there && home.0.is_some()))
    }

    /// The asks of these names, each once.
    fn asks_of<'a>(&self, names: impl Iterator<Item = &'a String>) -> Result<Vec<&Ask>, Error> {
        let names: BTreeSet<&String> = names.collect();
        // Where the trade is a list in the program this was looked at before: a seam of the merchant's own said it now.
        let undeclared =
            |name: &String| Error::Misuse(format!("the shop sells by the ask {name:?}, which is not declared"));
        names.into_iter().map(|name| self.declared(name).ok_or_else(|| undeclared(name))).collect()
    }

    /// Which of what is let off once was let off. A customer of whom the shop knew two records has used what either of them had.
    pub(super) async fn coupons_used(
        &self,
        coupons: &[Coupon],
        customer: Option<&Customer>,
    ) -> Result<Vec<Coupon>, Error> {
        let former = || customer.into_iter().flat_map(Customer::merged).map(|merged| &merged.customer);
        let mut keys = Vec::new();
        for coupon in coupons {
            let former = former().filter(|_| coupon.is_per_customer()).map(Some);
            let names = std::iter::once(customer.map(Customer::id)).chain(former);
            keys.extend(names.map(|name| (coupon, coupon_key(coupon, name))));
        }
        let (coupons, keys): (Vec<&Coupon>, Vec<Key>) = keys.into_iter().unzip();
        let found = coupons.into_iter().zip(self.load_all(&keys).await?);
        Ok(found.filter(|(_, found)| found.is_some()).map(|(coupon, _)| coupon.clone()).collect())
    }
}

/// As much of an address as a price depends on.
#[derive(Clone, Copy)]
struct Place<'a> {
    country: &'a str,
    postal_code: &'a str,
}

impl<'a> Place<'a> {
    fn of(address: &'a Address) -> Self {
        Self { country: &address.country, postal_code: &address.postal_code }
    }
}

/// What the catalogue sells of what is wished for.
async fn sold(trade: &Trade, wishes: &CheckedWishes) -> Result<Cart, Error> {
    let names: Vec<String> = wishes.items.iter().map(|(name, _)| name.clone()).collect();
    let found = trade.catalog.items(&names).await?;
    let fits = |(name, item): (&String, &Option<Item>)| item.as_ref().is_none_or(|item| item.name == *name);
    if found.len() != names.len() || !names.iter().zip(&found).all(fits) {
        return Err(TradeError::invalid("catalogue", "it answered for other things than it was asked for").into());
    }
    Ok(Cart::of(trade.currency, wishes, found))
}

/// How many there are of what is bought, if somebody counts.
async fn counted(trade: &Trade, cart: &mut Cart, now: UnixTime) -> Result<(), Error> {
    let Some(inventory) = &trade.inventory else { return Ok(()) };
    let items: Vec<String> = cart.counted().map(|line| line.item.clone()).collect();
    if items.is_empty() {
        return Ok(());
    }
    let left = inventory.left(&items, now).await?;
    if left.len() != items.len() {
        return Err(TradeError::invalid("inventory", "it answered for fewer things than it was asked for").into());
    }
    cart.stocked(&left);
    Ok(())
}

/// The ways to send a cart there.
async fn ways(trade: &Trade, cart: &Cart, place: Place<'_>) -> Result<Vec<Way>, Error> {
    let Some(shipping) = &trade.shipping else { return Ok(Vec::new()) };
    let consignment = consignment(cart, place.country, place.postal_code).map_err(other_money)?;
    Ok(shipping.ways(&consignment).await?)
}

/// The most that is sent there at once, if what is wanted is heavier.
async fn at_most_g(trade: &Trade, cart: &Cart, place: Place<'_>) -> Result<Option<u64>, Error> {
    let Some(shipping) = &trade.shipping else { return Ok(None) };
    let consignment = consignment(cart, place.country, place.postal_code).map_err(other_money)?;
    Ok(shipping.at_most_g(&consignment).await?)
}

/// The tax on each of these classes there; nothing where nobody says.
async fn levies(
    trade: &Trade,
    classes: Vec<String>,
    place: Option<Place<'_>>,
    vat_id: Option<String>,
) -> Result<Vec<Levy>, Error> {
    let Some(tax) = &trade.tax else { return Ok(Vec::new()) };
    let taxable = Taxable {
        country: place.map(|place| place.country.to_owned()),
        postal_code: place.map(|place| place.postal_code.to_owned()).unwrap_or_default(),
        vat_id,
        classes,
    };
    let levies = tax.levies(&taxable).await?;
    if levies.len() != taxable.classes.len() {
        return Err(TradeError::invalid("tax", "it answered for fewer things than it was asked for").into());
    }
    Ok(levies)
}
