//! One tap: the customer's wallet shows what the sale needs, and authorises the payment, in one presentation.

use super::{Checkout, Once, complete::Completion, once::IdempotencyKey};
use crate::{
    ask::{Ask, Device},
    checkout::{Awaited, AwaitedAddress, Stage, Status},
    error::{Error, Refusal},
    merchant::{AskTogether, BrowserProof, Invitation, Merchant},
    money::Money,
    order::{Address, NotAuthorised},
    presentation::Verified,
    rail::{Rail, WalletRail},
};

/// What a customer taps: what they agree to, and the ask by which their wallet pays it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OneTap<'a> {
    /// The state of the checkout that they saw.
    pub revision: u64,
    /// The total that they saw.
    pub total: Money,
    /// The ask that is [for payments](Ask::payment), by name.
    pub payment: &'a str,
    /// Where the wallet is expected.
    pub device: Device,
    /// The path of this shop to go to afterwards.
    pub return_to: Option<&'a str>,
}

impl<'a> OneTap<'a> {
    /// They agree to this state of the checkout, at this total, and pay by the wallet on this device.
    #[must_use]
    pub const fn new(revision: u64, total: Money, payment: &'a str, device: Device) -> Self {
        Self { revision, total, payment, device, return_to: None }
    }

    /// Afterwards they go on here: a path of this shop.
    #[must_use]
    pub const fn return_to(mut self, path: &'a str) -> Self {
        self.return_to = Some(path);
        self
    }
}

/// What comes of a tap.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// The checkout: `complete_in_progress` until the wallet has answered.
    pub checkout: Checkout,
    /// What brings the wallet here; none if the checkout came to nothing, or is done already: see its status.
    pub invitation: Option<Invitation>,
}

impl Checkout {
    /// Completes it by one presentation: what is [missing](Checkout::missing) is asked for together with the payment. The
    /// order is there from now on, and becomes a sale when this browser redeems an answer that shows all of it; if the wallet
    /// declines, or does not answer within a quarter of an hour, the checkout opens again.
    ///
    /// An address that is not known yet is asked for at the prices of [`Trade::home`](crate::trade::Trade::home). If the
    /// wallet tells one that has another price, nothing is paid: the checkout opens again, and whoever
    /// [takes it over](crate::merchant::Recognised::take_over_checkout) or [looks again](Checkout::refreshed) sees the price there.
    ///
    /// A handler is dropped when its browser goes away. Call this on a task of its own (`tokio::spawn`), or the order waits a
    /// quarter of an hour for a wallet that was never asked.
    ///
    /// # Errors
    /// As [`Checkout::complete`] and [`Merchant::ask_together`].
    pub async fn tap(&self, browser: &BrowserProof, tap: &OneTap<'_>, key: &IdempotencyKey) -> Result<Tapped, Error> {
        let merchant = &self.merchant;
        if !merchant.declared(tap.payment).ok_or(Refusal::NoSuchAsk)?.is_payment() {
            return Err(Refusal::PaymentAsk.into());
        }
        let completion = Completion::new(tap.revision, tap.total).by(WalletRail::ID);
        let content = ("tap", self.id(), &completion, tap.payment);
        let once = Once::new(merchant, &self.whose.principal(), key, &content);
        // Refused before anything is agreed to.
        merchant.wallet_rail()?.takes_from(tap.device)?;
        // Where nothing is paid, everything has to be known before.
        let awaited = if tap.total.is_zero() { Awaited::default() } else { merchant.awaited(self)? };
        let agreed = self.agreed(&completion, once, awaited).await?;
        let is_new = agreed.is_new;
        let checkout = agreed.checkout().carried_out().await?;
        let Stage::Paying(agreed) = &checkout.record.stage else { return Ok(Tapped { checkout, invitation: None }) };
        let order = merchant.order(&agreed.order).await?.ok_or(Refusal::NoSuchOrder)?;
        // What was agreed to says what is asked, also when it is asked once more.
        let Awaited { proofs, address } = &agreed.awaited;
        let mut asks: Vec<&str> = proofs.iter().map(String::as_str).collect();
        asks.extend(
            address.iter().map(|address| address.ask.as_str()).filter(|ask| !proofs.iter().any(|it| it == ask)),
        );
        asks.push(tap.payment);
        let request = AskTogether { asks: &asks, payment: Some(&order), device: tap.device, return_to: tap.return_to };
        match merchant.ask_together(browser, &request).await {
            Ok(invitation) => Ok(Tapped { checkout, invitation: Some(invitation) }),
            // Said again, it may be answered by the wallet that was asked before.
            Err(error) if !is_new => Err(error),
            Err(error) => {
                // Nobody can answer what was not asked.
                merchant.not_authorised(order.id(), NotAuthorised::NotAsked).await?;
                Err(error)
            }
        }
    }
}

impl Checkout {
    /// Whether it waits for the customer's wallet, and for nothing else: from a [tap](Self::tap) until the wallet has answered.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn awaits_wallet(&self) -> Result<bool, Error> {
        let Stage::Paying(agreed) = &self.record.stage else { return Ok(false) };
        let order = self.merchant.order(&agreed.order).await?;
        Ok(order.is_some_and(|order| order.record.awaiting(WalletRail::ID).is_ok()))
    }

    /// The customer would rather not pay by wallet after all: what a wallet answers from now on buys nothing, and the checkout
    /// opens again. Where one has answered already, or something else is waited for, nothing changes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn untap(&self) -> Result<Self, Error> {
        if let Stage::Paying(agreed) = &self.record.stage {
            self.merchant.not_authorised(&agreed.order, NotAuthorised::GivenUp).await?;
        }
        self.reload().await
    }

    /// The asks by which a wallet can pay it as it stands, in the presentation that also shows what is missing: any one of
    /// them for [`OneTap::payment`]. None where something is in the way that no wallet shows.
    ///
    /// # Errors
    /// [`Error::Misuse`] without a [`Trade`](crate::trade::Trade).
    pub fn payment_asks(&self) -> Result<Vec<&Ask>, Error> {
        let merchant = &self.merchant;
        let awaited = merchant.awaited(self)?;
        let total = self.record.offering.totals.total;
        let is_open = self.record.stage == Stage::Open
            && self.record.offering.status_with(&awaited) == Status::ReadyForComplete
            && merchant.0.wallet_rail.as_ref().is_some_and(|rail| rail.takes(total).is_ok());
        Ok(merchant.asks().filter(|ask| is_open && ask.is_payment()).collect())
    }
}

impl Merchant {
    /// What is missing that a wallet shows while it pays.
    fn awaited(&self, checkout: &Checkout) -> Result<Awaited, Error> {
        let (trade, record) = (self.trade()?, &checkout.record);
        // The country that the price is for: that of an address that is being typed, or that most orders go to.
        let so_far = self.so_far_of(record)?.filter(Address::has_country).map(|address| address.country.clone());
        let address = match (&trade.address_ask, so_far.or_else(|| trade.home.clone())) {
            (Some(ask), Some(country)) if record.lacks_address() => Some(AwaitedAddress { ask: ask.clone(), country }),
            _ => None,
        };
        let proofs = record.offering.missing.iter().filter(|ask| self.declared(ask).is_some()).cloned().collect();
        Ok(Awaited { proofs, address })
    }

    /// The address that an order waits for, if the wallet told it. `Err` says that it told none to which a parcel could go.
    pub(in crate::merchant::sell) fn awaited_address(
        &self,
        awaited: &Awaited,
        shown: &[(&Ask, Verified)],
    ) -> Result<Option<(Address, Device)>, NotAuthorised> {
        let Some(AwaitedAddress { ask: name, .. }) = &awaited.address else { return Ok(None) };
        let told = shown.iter().find(|(ask, _)| ask.name() == name);
        let address = told.and_then(|(ask, answer)| Some((Address::told(ask, answer)?, answer.device())));
        address.map(Some).ok_or(NotAuthorised::AddressUnfit)
    }
}
