//! What the pages show of an order after the sale: plain facts, told by whoever keeps the orders.

use super::words::Words;

/// What became of an order after the sale.
#[derive(Clone, Debug, Default)]
pub struct AfterView {
    /// How much of it has been sent.
    pub sent: Sent,
    /// What was sent, the oldest first.
    pub parcels: Vec<ParcelView>,
    /// What is still to be sent.
    pub unsent: Vec<Thing>,
    /// What can be withdrawn from, and what not: one for each product.
    pub withdrawal: Vec<WithdrawLine>,
    /// The withdrawals that were received, the oldest first.
    pub acknowledgements: Vec<AcknowledgementView>,
}

impl AfterView {
    /// Whether anything can be withdrawn from.
    #[must_use]
    pub fn may_withdraw(&self) -> bool {
        self.withdrawal.iter().any(|line| line.stands == Stands::Open)
    }
}

/// How much of an order has been sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sent {
    /// Nothing.
    #[default]
    Nothing,
    /// A part.
    Partly,
    /// All that is to be sent.
    All,
    /// All of it has arrived.
    Arrived,
}

/// So many of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// The product's slug, for its name in the reader's language.
    pub product: String,
    /// Its name as it was sold, should the product be no more.
    pub name: String,
    /// How many.
    pub quantity: u32,
}

/// A parcel.
#[derive(Clone, Debug)]
pub struct ParcelView {
    /// Its name in forms.
    pub key: String,
    /// What is in it.
    pub things: Vec<Thing>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// The carrier's number for it.
    pub tracking: Option<String>,
    /// The carrier's page about it.
    pub link: Option<String>,
    /// When it was sent, in seconds since 1970.
    pub sent_s: i64,
    /// When it arrived, in seconds since 1970.
    pub arrived_s: Option<i64>,
}

/// What can be withdrawn from of one product.
#[derive(Clone, Debug)]
pub struct WithdrawLine {
    /// Which, and how many.
    pub thing: Thing,
    /// Until when, in seconds since 1970; `None` as long as not everything has arrived.
    pub until_s: Option<i64>,
    /// Whether it can.
    pub stands: Stands,
    /// Why it may not be taken back, although it can be withdrawn from.
    pub only_sealed: bool,
}

/// Whether something can be withdrawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It can.
    Open,
    /// The law exempts it.
    Exempt,
    /// The time is over.
    Late,
    /// It was withdrawn from, or taken back.
    Gone,
}

impl Stands {
    /// A few words for why it cannot, or can.
    #[must_use]
    pub const fn words(self) -> Words {
        match self {
            Self::Open => Words("can be withdrawn from", "kann widerrufen werden"),
            Self::Exempt => {
                Words("the law gives no right of withdrawal here", "hier gibt das Gesetz kein Widerrufsrecht")
            }
            Self::Late => Words("the time to withdraw is over", "die Widerrufsfrist ist um"),
            Self::Gone => Words("withdrawn from or given back already", "schon widerrufen oder zurückgegeben"),
        }
    }
}

/// That a withdrawal was received: its content, and the day and time.
#[derive(Clone, Debug)]
pub struct AcknowledgementView {
    /// Its name in forms.
    pub key: String,
    /// When, in seconds since 1970.
    pub at_s: i64,
    /// What was withdrawn from.
    pub things: Vec<Thing>,
    /// Until when what is due goes back, in seconds since 1970.
    pub refund_by_s: i64,
    /// What it is worth, in euro cents, as long as the merchant has not settled it.
    pub due_minor: Option<i64>,
}

/// The page on which a withdrawal is confirmed.
#[derive(Clone, Debug)]
pub struct WithdrawView {
    /// The order's number.
    pub number: String,
    /// The path of the order's page; the form goes to `withdraw` below it.
    pub path: String,
    /// The name of this withdrawal: said twice, it is one.
    pub key: String,
    /// What can be withdrawn from, and what not.
    pub lines: Vec<WithdrawLine>,
    /// Whether the form came back, since nothing was chosen that can be.
    pub nothing_chosen: bool,
}
