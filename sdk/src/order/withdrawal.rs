//! The right of withdrawal of consumers in the European Union (Directive 2011/83/EU, Articles 9 to 16), and the function
//! on a page by which they use it (Article 11a, inserted by Directive (EU) 2023/2673).
//!
//! A withdrawal is a statement: it ends the contract about what it names as soon as it is made, asks for no reason, and
//! needs nobody's consent. It moves no money. What it leaves behind is due: within fourteen days (Article 13) the merchant
//! pays back, may wait for the goods until then and longer, and says by
//! [`withdrawal_settled`](OrderRecord::withdrawal_settled) how much it is.
//!
//! What the library cannot know it decides for the customer. Goods that nobody has said to be delivered can be withdrawn
//! from without an end, and a day counts as the latest that it can be anywhere, and until the end of the day in the shop. It knows no public holidays, and not
//! whether the shop has told its customers of their right, without which they have twelve months more (Article 10).

use serde::{Deserialize, Serialize};

use super::{
    Adjustment, AdjustmentReason, Happened, OrderError, OrderId, OrderRecord, OrderState, ParcelRecord, Step,
    after::{AfterError, Part, WITHDRAWALS_MAX, check_key, count_of, has_room, within},
};
use crate::{
    money::{Money, Quantity},
    rail::Reference,
    time::{UnixTime, Zone},
};

/// How long a consumer has to withdraw, in days (Article 9(1)): a shop may give more, and not less.
pub const WITHDRAWAL_DAYS: u16 = 14;
/// How long the merchant has to pay back from the statement on, in seconds (Article 13(1)).
pub const WITHDRAWAL_REFUND_S: u64 = 14 * DAY_S;
const DAY_S: u64 = 24 * 3600;

/// Why there is no right of withdrawal from something, or only as long as something has not happened (Article 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Exemption {
    /// (a) A service that begins at once, as the customer wished: from when it is fully performed, which is when it is said
    /// to be [delivered](OrderRecord::delivered).
    ServicePerformed,
    /// (b) Its price follows a market that the shop does not control.
    MarketPrice,
    /// (c) It is made to the customer's specifications, or clearly personal.
    MadeToMeasure,
    /// (d) It goes bad or expires quickly.
    Perishable,
    /// (e) It is sealed for health or hygiene: once it was unsealed. Nobody but the merchant can see that, when it is back.
    SealedHygiene,
    /// (f) Once it was delivered it cannot be told apart from other things: such as heating oil in a tank.
    Mixed,
    /// (g) Wine and spirits that were sold at a price and are delivered after thirty days at the earliest.
    AlcoholFuture,
    /// (h) Somebody was called for an urgent repair.
    UrgentRepair,
    /// (i) A sealed recording or program: once it was unsealed. Nobody but the merchant can see that, when it is back.
    SealedMedia,
    /// (j) A newspaper or magazine, and not a subscription.
    Periodical,
    /// (k) It was sold at a public auction.
    Auction,
    /// (l) A room, transport, a rented car, food or leisure, for a certain day.
    Dated,
    /// (m) Digital content without a medium that begins at once, as the customer wished and acknowledged: from when it is
    /// said to be [sent](OrderRecord::sent).
    DigitalBegun,
    /// The buyer is no consumer: the right is theirs alone.
    NoConsumer,
}

impl Exemption {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServicePerformed => "service_performed",
            Self::MarketPrice => "market_price",
            Self::MadeToMeasure => "made_to_measure",
            Self::Perishable => "perishable",
            Self::SealedHygiene => "sealed_hygiene",
            Self::Mixed => "mixed",
            Self::AlcoholFuture => "alcohol_future",
            Self::UrgentRepair => "urgent_repair",
            Self::SealedMedia => "sealed_media",
            Self::Periodical => "periodical",
            Self::Auction => "auction",
            Self::Dated => "dated",
            Self::DigitalBegun => "digital_begun",
            Self::NoConsumer => "no_consumer",
        }
    }

    /// Whether it holds only once something has happened: until then the customer may withdraw.
    #[must_use]
    pub const fn is_conditional(self) -> bool {
        matches!(
            self,
            Self::ServicePerformed | Self::SealedHygiene | Self::Mixed | Self::SealedMedia | Self::DigitalBegun
        )
    }
}

/// A withdrawal, as it is kept: what the customer stated, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WithdrawalRecord {
    /// Which.
    pub key: String,
    /// What it is about, by item.
    pub lines: Vec<Part>,
    /// When it was stated.
    pub at: UnixTime,
}

/// How far a withdrawal has come: derived from the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WithdrawalState {
    /// The merchant has to pay back, or to say that nothing is to go back.
    Due,
    /// The merchant has, or the order is over, which settles what was paid.
    Settled,
}

/// What can be withdrawn from at a time: what a page shows before anybody states anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Withdrawal {
    /// Each item, in the order of the lines.
    pub lines: Vec<WithdrawalLine>,
}

/// What can be withdrawn from of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WithdrawalLine {
    /// The merchant's name for it.
    pub item: String,
    /// What it is called.
    pub title: String,
    /// How many can be withdrawn from.
    pub left: u32,
    /// Until when, if that is settled: the end of a day in the shop, so the midnight after it. Goods can be withdrawn from
    /// before all of them have arrived, too.
    pub until: Option<UnixTime>,
    /// Why it is exempt, or may come to be: see [`Exemption::is_conditional`].
    pub exemption: Option<Exemption>,
    /// Where it stands.
    pub stands: Eligibility,
}

/// Whether something can be withdrawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Eligibility {
    /// It can.
    Open,
    /// It is exempt.
    Exempt,
    /// The time is over.
    Late,
    /// It was withdrawn from, taken back, or never supplied; or the order is over.
    Gone,
}

impl Withdrawal {
    /// Whether anything can be withdrawn from: for as long, the page has to show the function (Article 11a(1)).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lines.iter().any(|line| line.stands == Eligibility::Open)
    }

    /// All that can be withdrawn from.
    #[must_use]
    pub fn all(&self) -> Vec<Part> {
        let open = self.lines.iter().filter(|line| line.stands == Eligibility::Open);
        open.filter_map(|line| {
            let quantity = Quantity::new(line.left.min(Quantity::MAX.count())).ok()?;
            Some(Part::new(line.item.clone(), quantity))
        })
        .collect()
    }
}

/// That the shop has received a withdrawal: its content, and the day and time (Article 11a(4)).
///
/// The law wants it sent on a durable medium, which is something that the customer can keep and the shop cannot change any
/// more: an e-mail, a letter, a file to download. A page that shows it is not enough by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The order's name.
    pub order: OrderId,
    /// The order's number.
    pub number: Reference,
    /// Which withdrawal of the order.
    pub key: String,
    /// When it was received.
    pub at: UnixTime,
    /// What was withdrawn from.
    pub lines: Vec<AcknowledgedLine>,
    /// Until when the merchant pays back what is due.
    pub refund_by: UnixTime,
    /// How far it has come.
    pub state: WithdrawalState,
}

/// A line of an [`Acknowledgement`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgedLine {
    /// The merchant's name for it.
    pub item: String,
    /// What it is called.
    pub title: String,
    /// How many.
    pub quantity: Quantity,
}

impl OrderRecord {
    /// What can be withdrawn from now.
    #[must_use]
    pub fn withdrawal(&self, now: UnixTime) -> Withdrawal {
        let mut lines: Vec<WithdrawalLine> = Vec::new();
        for line in &self.lines {
            if !lines.iter().any(|known| known.item == line.item) {
                lines.push(self.withdrawal_of(&line.item, &line.title, now));
            }
        }
        Withdrawal { lines }
    }

    /// The customer withdraws from a part of the order, or all of it. `Ok(None)` if that was said before with the same key.
    ///
    /// It does not matter whether it is paid or sent: a statement is a statement. An order that is not paid yet and of which
    /// nothing was sent or is kept is [called off](Self::cancelled) in the same step: nobody is to pay it any more.
    ///
    /// # Errors
    /// [`OrderError::Over`]; [`OrderError::After`] if it is too late, exempt, or more than is left of what was bought, or the
    /// key was used for something else.
    pub fn withdrawn_from(self, parts: &[Part], key: &str, now: UnixTime) -> Result<Option<Step>, OrderError> {
        check_key(key)?;
        let lines = self.tidy(parts)?;
        if let Some(before) = self.after.withdrawals.iter().find(|it| it.key == key) {
            return if before.lines == lines { Ok(None) } else { Err(AfterError::KeyDiffers.into()) };
        }
        let mut step = self.caught_up(now)?;
        let order = &step.order;
        if order.state.is_over() {
            return Err(OrderError::Over(order.state));
        }
        for part in &lines {
            let found = order.withdrawal_of(&part.item, "", now);
            match (found.stands, found.exemption, found.until) {
                (Eligibility::Exempt, Some(why), _) => {
                    return Err(AfterError::Exempt { item: part.item.clone(), why }.into());
                }
                (Eligibility::Late, _, Some(until)) => {
                    return Err(AfterError::WithdrawalOver { item: part.item.clone(), until }.into());
                }
                _ => within(part, found.left)?,
            }
        }
        has_room(order.after.withdrawals.iter().map(|it| &it.lines), &lines, WITHDRAWALS_MAX)?;
        step.order.after.withdrawals.push(WithdrawalRecord { key: key.to_owned(), lines: lines.clone(), at: now });
        step.happened.push(Happened::Withdrawn { key: key.to_owned(), lines });
        let order = &step.order;
        let unpaid = matches!(
            order.state,
            OrderState::Placed | OrderState::Paying | OrderState::Authorised | OrderState::Declined
        );
        if unpaid && order.keeps_nothing() && order.after.parcels.is_empty() && order.no_payment_in_flight().is_ok() {
            step.end(OrderState::Cancelled)?;
            step.order.mind_authorisations(now);
        }
        Ok(Some(step))
    }

    /// The merchant settles a withdrawal: the goods are back, or are not waited for, and so much goes back. It is an
    /// [adjustment](Self::adjusted) about what was withdrawn from, and owes the refund in the same step. `Ok(None)` if it was
    /// settled so before.
    ///
    /// The amount is the merchant's to say: the price, the cost of the usual delivery if nothing is kept
    /// ([`Self::withdrawal_worth`]), less what the goods lost by more than trying them on (Article 14(2)).
    ///
    /// # Errors
    /// As [`adjusted`](Self::adjusted); [`OrderError::After`] if there is no such withdrawal.
    pub fn withdrawal_settled(self, key: &str, amount: Money, now: UnixTime) -> Result<Option<Step>, OrderError> {
        let stated = self.after.withdrawals.iter().find(|it| it.key == key).ok_or(AfterError::NoSuchWithdrawal)?;
        let lines = stated.lines.clone();
        let adjustment = Adjustment { key: key.to_owned(), reason: AdjustmentReason::Withdrawn, lines, amount };
        self.adjusted(&adjustment, now)
    }

    /// That the shop has received its customer's withdrawals: one each, the oldest first.
    #[must_use]
    pub fn acknowledgements(&self) -> Vec<Acknowledgement> {
        let line = |part: &Part| AcknowledgedLine {
            item: part.item.clone(),
            title: self
                .lines
                .iter()
                .find(|line| line.item == part.item)
                .map(|line| line.title.clone())
                .unwrap_or_default(),
            quantity: part.quantity,
        };
        let stated = self.after.withdrawals.iter().map(|it| Acknowledgement {
            order: self.id.clone(),
            number: self.reference.clone(),
            key: it.key.clone(),
            at: it.at,
            lines: it.lines.iter().map(line).collect(),
            refund_by: it.at.plus_s(WITHDRAWAL_REFUND_S),
            state: if self.is_due(&it.key) { WithdrawalState::Due } else { WithdrawalState::Settled },
        });
        stated.collect()
    }

    /// Whether a withdrawal waits for the merchant.
    #[must_use]
    pub fn awaits_settlement(&self) -> bool {
        self.after.withdrawals.iter().any(|it| self.is_due(&it.key))
    }

    /// Whether all of it was given up.
    pub(super) fn keeps_nothing(&self) -> bool {
        self.lines.iter().all(|line| self.bought(&line.item) <= self.given_up(&line.item))
    }

    fn is_due(&self, withdrawal: &str) -> bool {
        !self.state.is_over() && !self.is_adjusted(withdrawal)
    }

    fn withdrawal_of(&self, item: &str, title: &str, now: UnixTime) -> WithdrawalLine {
        let of_item = || self.lines.iter().filter(|line| line.item == item);
        let free = of_item().filter(|line| line.exemption.is_none_or(|why| !self.holds(why, item)));
        let free = free.fold(0_u32, |sum, line| sum.saturating_add(line.quantity.count()));
        let kept = self.bought(item).saturating_sub(self.given_up(item));
        let until = self.withdrawal_ends(item);
        let is_over = self.state.is_over();
        let stands = match until {
            _ if kept == 0 || is_over => Eligibility::Gone,
            _ if free == 0 => Eligibility::Exempt,
            Some(until) if now >= until => Eligibility::Late,
            _ => Eligibility::Open,
        };
        let left = if stands == Eligibility::Open { kept.min(free) } else { 0 };
        let exemption = of_item().find_map(|line| line.exemption);
        WithdrawalLine { item: item.to_owned(), title: title.to_owned(), left, until, exemption, stands }
    }

    /// Whether an exemption holds by now, as far as the shop can know.
    fn holds(&self, why: Exemption, item: &str) -> bool {
        match why {
            Exemption::ServicePerformed => {
                let arrived = |parcel: &&ParcelRecord| parcel.delivered_at.is_some();
                let done = self.after.parcels.iter().filter(arrived);
                let done = done.fold(0, |sum: u32, it| sum.saturating_add(count_of(&it.lines, item)));
                done >= self.bought(item)
            }
            Exemption::DigitalBegun => self.sent_of(item) > 0,
            why => !why.is_conditional(),
        }
    }

    /// When the time to withdraw from something ends; none as long as it has not begun.
    fn withdrawal_ends(&self, item: &str) -> Option<UnixTime> {
        let days = self.after.withdrawal_days.max(WITHDRAWAL_DAYS);
        // Services and content without a medium: from the contract (Article 9(2)(a) and (c)).
        if self.is_intangible(item) {
            return Some(last_moment(self.placed_at, days, self.after.zone));
        }
        // Goods of one order: from the last of them (Article 9(2)(b)(i)).
        let is_goods = |part: &Part| !self.is_intangible(&part.item);
        if self.unsent().iter().any(is_goods) {
            return None;
        }
        let parcels = self.after.parcels.iter().filter(|parcel| parcel.lines.iter().any(is_goods));
        let arrivals: Option<Vec<UnixTime>> = parcels.map(|parcel| parcel.delivered_at).collect();
        arrivals?.into_iter().max().map(|arrived| last_moment(arrived, days, self.after.zone))
    }
}

/// The moment when a period of so many days after an event is over, wherever the customer is.
///
/// The day of the event does not count, and a period that would end on a Saturday or Sunday ends with the next Monday
/// (Regulation (EEC, Euratom) No 1182/71, Article 3(1), (2)(b) and (4)). Where the customer is it may be a day later than in
/// UTC, and the last day ends up to twelve hours later. The day that it is then in the shop is whole: what a page names is a
/// day, and not an hour of it.
fn last_moment(event: UnixTime, days: u16, zone: Zone) -> UnixTime {
    const DAY: i64 = 24 * 3600;
    let day = event.as_secs().div_euclid(DAY).saturating_add(1);
    let last = day.saturating_add(i64::from(days));
    // 1 January 1970 was a Thursday.
    let to_monday = match last.saturating_add(4).rem_euclid(7) {
        6 => 2,
        0 => 1,
        _ => 0,
    };
    let over = last.saturating_add(to_monday).saturating_add(1);
    zone.end_of_day(UnixTime::from_secs(over.saturating_mul(DAY).saturating_add(DAY / 2)))
}
