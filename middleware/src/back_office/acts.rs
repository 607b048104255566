//! What an operator does, the same by a page and by the API, and written to the log.
//!
//! Once begun, an act is finished, also if whoever asked for it has gone: a rail may be in the middle of it.

use std::future::Future;

use firsthand::{
    Error, Merchant,
    error::Refusal,
    merchant::{Booking, Order, Refund, RefundFile, StatementLine, Transfer},
    money::Money,
    order::{Adjustment, BankAccount, OrderId, Parcel, Part},
    rail::{Reference, Statement, sepa::PainVersion},
    time::Day,
    trade::Shelf,
};

use super::operators::Operator;
use crate::{problem::Problem, task::finished};

/// What can be done about an order.
#[derive(Clone, Debug)]
pub(super) enum OrderAct {
    Cancel,
    /// `key` names the refund: said twice, it is one.
    Refund {
        amount: Money,
        key: String,
    },
    /// `key` names the capture: said twice, it is one.
    Capture {
        amount: Money,
        key: String,
    },
    CloseShort,
    Release,
    /// How an attempt in doubt went.
    Decide {
        attempt: u32,
        happened: bool,
    },
    /// How a capture in doubt went.
    DecideCapture {
        attempt: u32,
        key: String,
        happened: bool,
    },
    /// What was stopped may be sent all the same.
    SendAnyway,
    /// A parcel has left the shop. Without lines it has all in it that is unsent.
    Sent {
        lines: Option<Vec<Part>>,
        parcel: Parcel,
    },
    /// A parcel has arrived.
    Delivered {
        parcel: String,
    },
    Adjust(Adjustment),
    /// The customer has told the shop otherwise that they withdraw.
    Withdraw {
        lines: Vec<Part>,
        key: String,
    },
    /// So much goes back for a withdrawal.
    Settle {
        withdrawal: String,
        amount: Money,
    },
}

/// What can be done about stock.
#[derive(Clone, Debug)]
pub(super) enum ShelfAct {
    /// So many can be had from now on. Whoever says how many there were when they looked is told if that is no longer so.
    Count { left: u32, seen: Option<u64> },
    /// A delivery arrived.
    Receive { more: u32, delivery: String },
}

/// What can be done about money that goes back.
#[derive(Clone, Debug)]
pub(super) enum RefundAct {
    Name(BankAccount),
    Send,
    Done,
    Reopen,
    /// Whether one in doubt was sent.
    Decide(bool),
}

/// What can be done about a transfer that waits.
#[derive(Clone, Debug)]
pub(super) enum TransferAct {
    Assign(OrderId),
    Returned,
    Same,
}

impl OrderAct {
    const fn name(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Refund { .. } => "refund",
            Self::Capture { .. } => "capture",
            Self::CloseShort => "close_short",
            Self::SendAnyway => "send_anyway",
            Self::Release => "release",
            Self::Decide { .. } => "decide",
            Self::DecideCapture { .. } => "decide_capture",
            Self::Sent { .. } => "parcel_sent",
            Self::Delivered { .. } => "parcel_delivered",
            Self::Adjust(_) => "adjust",
            Self::Withdraw { .. } => "withdraw",
            Self::Settle { .. } => "settle_withdrawal",
        }
    }
}

impl ShelfAct {
    const fn name(&self) -> &'static str {
        match self {
            Self::Count { .. } => "stock_count",
            Self::Receive { .. } => "stock_receive",
        }
    }
}

impl RefundAct {
    const fn name(&self) -> &'static str {
        match self {
            Self::Name(_) => "refund_account",
            Self::Send => "refund_send",
            Self::Done => "refund_done",
            Self::Reopen => "refund_reopen",
            Self::Decide(_) => "refund_decide",
        }
    }
}

impl TransferAct {
    const fn name(&self) -> &'static str {
        match self {
            Self::Assign(_) => "transfer_assign",
            Self::Returned => "transfer_returned",
            Self::Same => "transfer_same",
        }
    }
}

/// An operator at work.
pub(super) struct Hand<'a> {
    pub(super) merchant: &'a Merchant,
    pub(super) operator: &'a Operator,
}

impl Hand<'_> {
    /// The order of a name in an address.
    pub(super) async fn order(&self, id: &str) -> Result<Order, Error> {
        let id: OrderId = id.parse().map_err(|_| Refusal::NoSuchOrder)?;
        Ok(self.merchant.order(&id).await?.ok_or(Refusal::NoSuchOrder)?)
    }

    /// The order that somebody named, by its number or by its name.
    pub(super) async fn order_called(&self, text: &str) -> Result<Order, Error> {
        if text.starts_with("o_") {
            return self.order(text).await;
        }
        let reference: Reference = text.parse().map_err(|_| Refusal::NoSuchOrder)?;
        Ok(self.merchant.order_by_reference(&reference).await?.ok_or(Refusal::NoSuchOrder)?)
    }

    pub(super) async fn order_act(&self, order: Order, act: OrderAct) -> Result<Order, Error> {
        let (name, id) = (act.name(), order.id().clone());
        let done = async move {
            match act {
                OrderAct::Cancel => order.cancel().await?.commit().await,
                OrderAct::Refund { amount, key } => order.refund(amount, &key).await?.commit().await,
                OrderAct::Capture { amount, key } => order.capture(amount, &key).await,
                OrderAct::CloseShort => order.close_short().await?.commit().await,
                OrderAct::SendAnyway => order.send_anyway().await?.commit().await,
                OrderAct::Release => order.release().await,
                OrderAct::Decide { attempt, happened } => order.decide(attempt, happened).await?.commit().await,
                OrderAct::DecideCapture { attempt, key, happened } => {
                    order.decide_capture(attempt, &key, happened).await?.commit().await
                }
                OrderAct::Sent { lines, parcel } => {
                    let lines = lines.unwrap_or_else(|| all_of(&order, &parcel.key));
                    order.sent(Parcel { lines, ..parcel }).await?.commit().await
                }
                OrderAct::Delivered { parcel } => order.delivered(&parcel).await?.commit().await,
                OrderAct::Adjust(adjustment) => order.adjust(adjustment).await?.commit().await,
                OrderAct::Withdraw { lines, key } => order.withdraw(lines, &key).await?.commit().await,
                OrderAct::Settle { withdrawal, amount } => {
                    order.settle_withdrawal(&withdrawal, amount).await?.commit().await
                }
            }
        };
        self.finish(name, On::Order(&id), done).await
    }

    /// Something is done about the stock of an item.
    pub(super) async fn shelf_act(&self, shelf: &Shelf, item: &str, act: ShelfAct) -> Result<(), Problem> {
        let (name, shelf, now, on) = (act.name(), shelf.clone(), self.merchant.now(), item.to_owned());
        let done = async move {
            let done = match act {
                ShelfAct::Count { left, seen: Some(seen) } => shelf.recount(&on, seen, left, now).await,
                ShelfAct::Count { left, seen: None } => shelf.stock(&on, left, now).await,
                ShelfAct::Receive { more, delivery } => shelf.receive(&on, more, &delivery, now).await,
            };
            done.map_err(Problem::from)
        };
        self.finish(name, On::Item(item), done).await
    }

    pub(super) async fn refund_act(&self, refund: Refund, act: RefundAct) -> Result<Order, Error> {
        let (name, id) = (act.name(), refund.order().id().clone());
        let done = async move {
            match act {
                RefundAct::Name(account) => refund.name_account(account).await?.commit().await,
                RefundAct::Send => refund.send().await,
                RefundAct::Done => refund.sent_by_hand().await?.commit().await,
                RefundAct::Reopen => refund.reopen().await?.commit().await,
                RefundAct::Decide(was_sent) => refund.decide(was_sent).await?.commit().await,
            }
        };
        self.finish(name, On::Order(&id), done).await
    }

    pub(super) async fn transfer_act(&self, transfer: &str, act: TransferAct) -> Result<Booking, Error> {
        let order = if let TransferAct::Assign(order) = &act { Some(order.clone()) } else { None };
        let (name, merchant, transfer) = (act.name(), self.merchant.clone(), transfer.to_owned());
        let done = async move {
            let step = match act {
                TransferAct::Assign(order) => merchant.assign_transfer(&transfer, &order).await?,
                TransferAct::Returned => merchant.transfer_returned(&transfer).await?,
                TransferAct::Same => merchant.transfer_is_the_same(&transfer).await?,
            };
            step.commit().await
        };
        self.finish(name, order.as_ref().map_or(On::Money, On::Order), done).await
    }

    /// Books a transfer by hand. Says whether it is new.
    pub(super) async fn book(&self, transfer: Transfer) -> Result<(Booking, bool), Error> {
        let merchant = self.merchant.clone();
        let done = async move {
            let booked = merchant.book_transfer(transfer).await?.committed().await?;
            Ok((booked.value, booked.is_new))
        };
        self.finish("transfer_book", On::Money, done).await
    }

    pub(super) async fn import(&self, statement: Statement) -> Result<Vec<StatementLine>, Error> {
        let merchant = self.merchant.clone();
        let done = async move { merchant.import_statement(&statement).await };
        self.finish("statement", On::Money, done).await
    }

    pub(super) async fn make_file(&self, key: String, on: Day, version: PainVersion) -> Result<RefundFile, Error> {
        let merchant = self.merchant.clone();
        let done = async move { merchant.refund_file(&key, &on, version).await };
        self.finish("refund_file", On::Money, done).await
    }

    pub(super) async fn replay(&self, endpoint: &str, order: OrderId, number: u32) -> Result<(), Error> {
        let (merchant, id, endpoint) = (self.merchant.clone(), order.clone(), endpoint.to_owned());
        let done = async move { merchant.replay_webhook(&endpoint, &order, number).await?.commit().await };
        self.finish("webhook_replay", On::Order(&id), done).await
    }

    pub(super) async fn enable_webhook(&self, endpoint: &str) -> Result<(), Error> {
        let (merchant, endpoint) = (self.merchant.clone(), endpoint.to_owned());
        let done = async move { merchant.enable_webhook(&endpoint).await };
        self.finish("webhook_enable", On::Money, done).await
    }

    /// That somebody took names and accounts, or the books, out of the shop.
    pub(super) fn took(&self, what: &'static str) {
        tracing::info!(operator = self.operator.name(), act = what, "an operator took a file");
    }

    async fn finish<T, E, F>(&self, act: &'static str, on: On<'_>, done: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Told,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let who = self.operator.clone();
        let (order, item) = match on {
            On::Order(order) => (Some(order.to_string()), None),
            On::Item(item) => (None, Some(item.to_owned())),
            On::Money => (None, None),
        };
        // Written down where it is done, whoever still waits for it.
        let acting = async move {
            let done = done.await;
            let (operator, order, item) = (who.name(), order.as_deref(), item.as_deref());
            match &done {
                Ok(_) => tracing::info!(operator, act, order, item, "an operator acted"),
                Err(error) => {
                    tracing::info!(operator, act, order, item, code = error.name(), "an operator was refused");
                }
            }
            done
        };
        finished(act, acting).await
    }
}

/// What an act is about, for the log.
enum On<'a> {
    Order(&'a OrderId),
    Item(&'a str),
    Money,
}

/// Why an operator was refused.
trait Told: From<Error> + Send + 'static {
    fn name(&self) -> &'static str;
}

impl Told for Error {
    fn name(&self) -> &'static str {
        self.code()
    }
}

impl Told for Problem {
    fn name(&self) -> &'static str {
        self.code()
    }
}

/// What a parcel of this key has in it, if it is to be all that is unsent: said again, it has in it what it had.
fn all_of(order: &Order, parcel: &str) -> Vec<Part> {
    let before = order.parcels().iter().find(|before| before.key == parcel);
    before.map_or_else(|| order.unsent(), |before| before.lines.clone())
}

impl super::Desk {
    /// Whoever is at the page, at work.
    pub(super) const fn hand(&self) -> Hand<'_> {
        Hand { merchant: &self.merchant, operator: &self.operator }
    }
}
