//! What was sent of an order, in which parcels, and whether they arrived.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Attempt, Happened, OrderError, OrderRecord, OrderState, Step,
    adjustment::AdjustmentReason,
    after::{AfterError, PARCELS_MAX, Part, check_key, count_of, has_room, within},
};
use crate::{money::Quantity, names::is_plain, rail::WalletRail, time::UnixTime};

/// The longest name of a carrier, in bytes.
const CARRIER_BYTES_MAX: usize = 64;
/// The longest tracking number, in bytes.
const TRACKING_BYTES_MAX: usize = 64;
/// The longest address of a carrier's tracking page, in bytes.
const LINK_BYTES_MAX: usize = 256;

/// Something that leaves the shop: a parcel, or whatever brings what was bought. A download is one, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parcel {
    /// Which parcel this is: 1 to 64 visible ASCII characters without `/`. Said twice, it was sent once.
    pub key: String,
    /// What is in it.
    pub lines: Vec<Part>,
    /// Who carries it.
    #[serde(default)]
    pub carrier: Option<String>,
    /// The carrier's number for it.
    #[serde(default)]
    pub tracking: Option<String>,
    /// The carrier's page about it: an `https` address.
    #[serde(default)]
    pub link: Option<Url>,
}

impl Parcel {
    /// A parcel with this in it.
    #[must_use]
    pub fn new(key: impl Into<String>, lines: Vec<Part>) -> Self {
        Self { key: key.into(), lines, carrier: None, tracking: None, link: None }
    }

    /// Who carries it, and under which number.
    #[must_use]
    pub fn carried_by(mut self, carrier: impl Into<String>, tracking: Option<String>) -> Self {
        self.carrier = Some(carrier.into());
        self.tracking = tracking;
        self
    }

    /// The carrier's page about it.
    #[must_use]
    pub fn tracked_at(mut self, link: Url) -> Self {
        self.link = Some(link);
        self
    }

    fn check(&self) -> Result<(), AfterError> {
        check_key(&self.key)?;
        let texts =
            [("carrier", &self.carrier, CARRIER_BYTES_MAX), ("tracking number", &self.tracking, TRACKING_BYTES_MAX)];
        for (what, text, most) in texts {
            if !text.as_ref().is_none_or(|text| is_plain(text, most)) {
                return Err(AfterError::Parcel(what));
            }
        }
        match &self.link {
            // A page shows it as a link: no address that runs anything.
            Some(link) if link.scheme() != "https" || link.as_str().len() > LINK_BYTES_MAX => {
                Err(AfterError::Parcel("tracking address"))
            }
            _ => Ok(()),
        }
    }
}

/// A parcel that was sent, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ParcelRecord {
    /// Which parcel.
    pub key: String,
    /// What is in it, by item.
    pub lines: Vec<Part>,
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// The carrier's page about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Url>,
    /// When the shop was told that it was sent.
    pub sent_at: UnixTime,
    /// When the shop was told that it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<UnixTime>,
}

/// How much of an order has been sent: derived from its parcels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fulfilment {
    /// Nothing.
    NotSent,
    /// A part, and more is to be sent.
    Partly,
    /// All that is to be sent, and not all of it has arrived.
    Sent,
    /// All that is to be sent has arrived.
    Delivered,
}

impl Fulfilment {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Partly => "partly",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
        }
    }
}

impl OrderRecord {
    /// Whether a parcel may leave the shop: it is paid, or a rail keeps the money for it, and it is not
    /// [stopped](Self::stopped). What a wallet authorised is an order to a bank, which may still refuse it.
    #[must_use]
    pub fn may_be_sent(&self) -> bool {
        !self.stopped && self.has_its_money()
    }

    fn has_its_money(&self) -> bool {
        let is_kept = |attempt: &Attempt| attempt.holds() && attempt.rail != WalletRail::ID;
        match self.state {
            OrderState::Paid => true,
            OrderState::Authorised => self.attempts.iter().any(is_kept),
            _ => false,
        }
    }

    /// Whether something of it is unsent that would be sent, were it not [stopped](Self::stopped).
    #[must_use]
    pub fn waits_stopped(&self) -> bool {
        self.stopped && self.has_its_money() && !self.unsent().is_empty()
    }

    /// Somebody looked at what was stopped, and lets it be sent all the same. `None` if it is not stopped.
    #[must_use]
    pub fn sending_allowed(self) -> Option<Step> {
        self.stopped.then(|| {
            let order = Self { stopped: false, ..self };
            Step { happened: vec![Happened::SendingAllowed], ..Step::of(order) }
        })
    }

    /// A parcel has left the shop. `Ok(None)` if that was said before with the same key.
    ///
    /// What no parcel brings ([`Line::intangible`](super::Line::intangible)) has arrived when it was sent.
    ///
    /// # Errors
    /// [`OrderError::Over`]; [`OrderError::After`] if it [may not be sent](Self::may_be_sent) yet or is stopped, more is sent than was bought, or
    /// the key was used for another parcel.
    pub fn sent(self, parcel: &Parcel, now: UnixTime) -> Result<Option<Step>, OrderError> {
        parcel.check()?;
        let lines = self.tidy(&parcel.lines)?;
        let Parcel { key, carrier, tracking, link, .. } = parcel.clone();
        if let Some(before) = self.after.parcels.iter().find(|it| it.key == key) {
            let said = (&before.lines, &before.carrier, &before.tracking, &before.link);
            return if said == (&lines, &carrier, &tracking, &link) {
                Ok(None)
            } else {
                Err(AfterError::KeyDiffers.into())
            };
        }
        match self.state {
            _ if self.may_be_sent() => {}
            _ if self.has_its_money() => return Err(AfterError::Stopped.into()),
            over @ (OrderState::Cancelled | OrderState::Expired) => return Err(OrderError::Over(over)),
            open => return Err(AfterError::NotToBeSent(open).into()),
        }
        for part in &lines {
            // What was withdrawn from may be on its way already: only what was not bought, or not supplied, is refused.
            let left = self.bought(&part.item).saturating_sub(self.sent_of(&part.item));
            within(part, left.saturating_sub(self.not_supplied(&part.item)))?;
        }
        has_room(self.after.parcels.iter().map(|it| &it.lines), &lines, PARCELS_MAX)?;
        let arrives_by_itself = lines.iter().all(|part| self.is_intangible(&part.item));
        let mut step = Step::of(self);
        step.happened.push(Happened::Sent { parcel: key.clone(), lines: lines.clone() });
        if arrives_by_itself {
            step.happened.push(Happened::Delivered { parcel: key.clone() });
        }
        let delivered_at = arrives_by_itself.then_some(now);
        step.order.after.parcels.push(ParcelRecord { key, lines, carrier, tracking, link, sent_at: now, delivered_at });
        Ok(Some(step))
    }

    /// A parcel has arrived. `Ok(None)` if that is known.
    ///
    /// # Errors
    /// [`OrderError::After`] if no such parcel was sent.
    pub fn delivered(self, parcel: &str, now: UnixTime) -> Result<Option<Step>, OrderError> {
        let mut step = Step::of(self);
        let found = step.order.after.parcels.iter_mut().find(|it| it.key == parcel).ok_or(AfterError::NoSuchParcel)?;
        if found.delivered_at.is_some() {
            return Ok(None);
        }
        found.delivered_at = Some(now);
        step.happened.push(Happened::Delivered { parcel: parcel.to_owned() });
        Ok(Some(step))
    }

    /// How much of it has been sent.
    #[must_use]
    pub fn fulfilment(&self) -> Fulfilment {
        if self.after.parcels.is_empty() {
            return Fulfilment::NotSent;
        }
        if !self.unsent().is_empty() {
            return Fulfilment::Partly;
        }
        let all_arrived = self.after.parcels.iter().all(|parcel| parcel.delivered_at.is_some());
        if all_arrived { Fulfilment::Delivered } else { Fulfilment::Sent }
    }

    /// What is still to be sent, by item in the order of the lines. What was withdrawn from counts against what was not
    /// sent yet.
    #[must_use]
    pub fn unsent(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for line in &self.lines {
            if parts.iter().any(|part| part.item == line.item) {
                continue;
            }
            let item = &line.item;
            let gone = self.sent_of(item).saturating_add(self.not_supplied(item)).saturating_add(self.withdrawn(item));
            let left = self.bought(item).saturating_sub(gone);
            // Together the lines may hold more than one part can say: then this is what one parcel can.
            if let Ok(quantity) = Quantity::new(left.min(Quantity::MAX.count())) {
                parts.push(Part::new(item.clone(), quantity));
            }
        }
        parts
    }

    /// How many of an item have been sent.
    pub(super) fn sent_of(&self, item: &str) -> u32 {
        let parcels = self.after.parcels.iter();
        parcels.fold(0, |sum, parcel| sum.saturating_add(count_of(&parcel.lines, item)))
    }

    /// Whether no parcel brings this.
    pub(super) fn is_intangible(&self, item: &str) -> bool {
        self.lines.iter().filter(|line| line.item == item).all(|line| line.intangible)
    }

    pub(super) fn not_supplied(&self, item: &str) -> u32 {
        let adjustments = self.after.adjustments.iter().filter(|it| it.reason == AdjustmentReason::NotSupplied);
        adjustments.fold(0, |sum, it| sum.saturating_add(count_of(&it.lines, item)))
    }

    fn withdrawn(&self, item: &str) -> u32 {
        let withdrawals = self.after.withdrawals.iter();
        withdrawals.fold(0, |sum, it| sum.saturating_add(count_of(&it.lines, item)))
    }
}
