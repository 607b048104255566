//! What becomes of an order after the sale: parcels, adjustments, withdrawals. Its lines stay as they were sold.
//!
//! Everything here names things by the merchant's item name and counts them. Whatever several lines say of one item is
//! counted together.

use serde::{Deserialize, Serialize};

use super::{
    OrderRecord,
    adjustment::AdjustmentRecord,
    fulfilment::ParcelRecord,
    withdrawal::{Exemption, WITHDRAWAL_DAYS, WithdrawalRecord},
};
use crate::{
    money::Quantity,
    names::is_key,
    time::{UnixTime, Zone},
};

/// The most parcels of one order.
pub const PARCELS_MAX: usize = 50;
/// The most adjustments of one order, besides those that settle its withdrawals.
pub const ADJUSTMENTS_MAX: usize = 50;
/// The most withdrawals of one order.
pub const WITHDRAWALS_MAX: usize = 50;
/// The most parts that all parcels of an order name together, or all adjustments, or all withdrawals: so that it stays a
/// record that the store takes, and nobody takes up the room of another.
const PARTS_MAX: usize = 150;
/// The longest key of a parcel, an adjustment or a withdrawal, in bytes.
const KEY_BYTES_MAX: usize = 64;

/// So many of something that was bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The merchant's name for it: [`Line::item`](super::Line::item).
    pub item: String,
    /// How many.
    pub quantity: Quantity,
}

impl Part {
    /// So many of this item.
    #[must_use]
    pub fn new(item: impl Into<String>, quantity: Quantity) -> Self {
        Self { item: item.into(), quantity }
    }
}

/// What has become of an order after the sale, as it is kept in its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AfterSale {
    /// How many days a consumer has to withdraw.
    #[serde(default = "usual_days")]
    pub withdrawal_days: u16,
    /// The shop's time zone when it was placed: the last of these days ends with a day there. UTC for orders that are older
    /// than zones.
    #[serde(default, skip_serializing_if = "Zone::is_utc")]
    pub zone: Zone,
    /// What was sent, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parcels: Vec<ParcelRecord>,
    /// What was taken back or made cheaper, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<AdjustmentRecord>,
    /// What the customer withdrew from, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawals: Vec<WithdrawalRecord>,
}

impl Default for AfterSale {
    fn default() -> Self {
        Self {
            withdrawal_days: WITHDRAWAL_DAYS,
            zone: Zone::Utc,
            parcels: Vec::new(),
            adjustments: Vec::new(),
            withdrawals: Vec::new(),
        }
    }
}

impl AfterSale {
    /// Whether it is as it always was, and is not written.
    pub(super) fn is_untouched(&self) -> bool {
        *self == Self::default()
    }
}

/// Why something cannot happen to an order after the sale.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AfterError {
    /// A key that is none.
    #[error("the key of a parcel, an adjustment or a withdrawal is 1 to 64 visible ASCII characters without `/`")]
    Key,
    /// Nothing is named, or something twice.
    #[error("name what of the order it is about: at least one item, and each once")]
    Parts,
    /// It was not bought.
    #[error("{0:?} is not in the order")]
    NoSuchItem(String),
    /// More than there is left of it.
    #[error("{asked} of {item:?}, and {left} are left of what was bought")]
    TooMany {
        /// The item.
        item: String,
        /// How many were named.
        asked: u32,
        /// How many are left.
        left: u32,
    },
    /// The key was used, and something else was said with it.
    #[error("this key was used to say something else")]
    KeyDiffers,
    /// Nobody has promised to pay, or nobody knows whether somebody did.
    #[error("the order is {}: what is sent is paid or authorised", .0.name())]
    NotToBeSent(super::OrderState),
    /// Money that it was to be sent for is gone, or will not come.
    #[error(
        "money of this order is gone, or will not come: look at it, and let it be sent all the same if you mean to"
    )]
    Stopped,
    /// The carrier, the tracking number or the tracking address cannot be shown.
    #[error("the {0} of the parcel is too long, or not plain")]
    Parcel(&'static str),
    /// No such parcel was sent.
    #[error("no parcel of this order has this key: say first that it was sent")]
    NoSuchParcel,
    /// No withdrawal of that key was stated.
    #[error("no withdrawal of this order has this key")]
    NoSuchWithdrawal,
    /// The time to withdraw is over.
    #[error("{item:?} could be withdrawn from until {until}")]
    WithdrawalOver {
        /// The item.
        item: String,
        /// When the time ended.
        until: UnixTime,
    },
    /// There is no right to withdraw from it.
    #[error("{item:?} is exempt from the right of withdrawal: {}", .why.name())]
    Exempt {
        /// The item.
        item: String,
        /// Why.
        why: Exemption,
    },
    /// As many as are kept.
    #[error("an order keeps {PARCELS_MAX} parcels, {ADJUSTMENTS_MAX} adjustments and {WITHDRAWALS_MAX} withdrawals")]
    Full,
}

impl AfterError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Key => "invalid_key",
            Self::Parts => "invalid_parts",
            Self::NoSuchItem(_) => "no_such_item",
            Self::TooMany { .. } => "more_than_bought",
            Self::KeyDiffers => "key_differs",
            Self::NotToBeSent(_) => "not_to_be_sent",
            Self::Stopped => "sending_stopped",
            Self::Parcel(_) => "invalid_parcel",
            Self::NoSuchParcel => "no_such_parcel",
            Self::NoSuchWithdrawal => "no_such_withdrawal",
            Self::WithdrawalOver { .. } => "withdrawal_over",
            Self::Exempt { .. } => "withdrawal_exempt",
            Self::Full => "after_sale_full",
        }
    }
}

impl OrderRecord {
    /// How many of an item the customer paid for and has not given up: none once all of the money went back, or the order is
    /// over. What went back without a word of what for ([`Order::refund`](crate::Order::refund)) gives up nothing by itself.
    #[must_use]
    pub fn kept(&self, item: &str) -> u32 {
        let paid = self.total.is_zero() || self.ledger.settled().is_ok_and(|settled| !settled.is_zero());
        if self.state == super::OrderState::Paid && paid {
            self.bought(item).saturating_sub(self.given_up(item))
        } else {
            0
        }
    }

    /// How many of an item were bought, over all lines.
    pub(super) fn bought(&self, item: &str) -> u32 {
        let lines = self.lines.iter().filter(|line| line.item == item);
        lines.fold(0, |sum, line| sum.saturating_add(line.quantity.count()))
    }

    /// How many of an item were taken back, were never supplied, or are withdrawn from and will be taken back.
    pub(super) fn given_up(&self, item: &str) -> u32 {
        let adjusted = self.after.adjustments.iter().filter(|it| it.reason.gives_up()).map(|it| &it.lines);
        let due = self.after.withdrawals.iter().filter(|it| !self.is_adjusted(&it.key)).map(|it| &it.lines);
        adjusted.chain(due).fold(0, |sum, parts| sum.saturating_add(count_of(parts, item)))
    }

    /// What is named, sorted by item, if all of it was bought and each item is named once.
    pub(super) fn tidy(&self, parts: &[Part]) -> Result<Vec<Part>, AfterError> {
        if parts.is_empty() || parts.len() > self.lines.len() {
            return Err(AfterError::Parts);
        }
        let mut tidy = parts.to_vec();
        tidy.sort_by(|one, other| one.item.cmp(&other.item));
        if tidy.iter().zip(tidy.iter().skip(1)).any(|(one, next)| one.item == next.item) {
            return Err(AfterError::Parts);
        }
        match tidy.iter().find(|part| self.bought(&part.item) == 0) {
            Some(unknown) => Err(AfterError::NoSuchItem(unknown.item.clone())),
            None => Ok(tidy),
        }
    }
}

/// How many of an item these parts name.
pub(super) fn count_of(parts: &[Part], item: &str) -> u32 {
    let named = parts.iter().filter(|part| part.item == item);
    named.fold(0, |sum, part| sum.saturating_add(part.quantity.count()))
}

/// Refuses one more where there are as many as are kept.
pub(super) fn has_room<'a>(
    kept: impl Iterator<Item = &'a Vec<Part>>,
    more: &[Part],
    most: usize,
) -> Result<(), AfterError> {
    let (count, parts) = kept.fold((0, 0), |(count, parts), lines| (count + 1, parts + lines.len()));
    if count >= most || parts + more.len() > PARTS_MAX { Err(AfterError::Full) } else { Ok(()) }
}

/// Refuses more of a part than is left.
pub(super) fn within(part: &Part, left: u32) -> Result<(), AfterError> {
    let asked = part.quantity.count();
    if asked <= left { Ok(()) } else { Err(AfterError::TooMany { item: part.item.clone(), asked, left }) }
}

pub(super) fn check_key(key: &str) -> Result<(), AfterError> {
    if is_key(key, KEY_BYTES_MAX) { Ok(()) } else { Err(AfterError::Key) }
}

const fn usual_days() -> u16 {
    WITHDRAWAL_DAYS
}
