//! What the merchant's API says of orders.

use firsthand::{
    Error,
    merchant::{Order, OrderCursor},
    money::{Currency, Money},
    order::{Attempt, Capture, Happened, Line, LineTax, OrderError, OrderEvent},
    rail::{ActOutcome, Outcome},
    time::Zone,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    after::{AcknowledgementBody, AdjustmentBody, ParcelBody, PartBody, WithdrawalBody},
    money::RefundBody,
};
use crate::{back_office::after, problem::Problem};

/// An amount of money.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AmountBody {
    /// In the currency's minor unit: cents of euros.
    minor: i64,
    /// Three letters (ISO 4217).
    currency: String,
}

impl AmountBody {
    pub(super) fn money(&self) -> Result<Money, Problem> {
        let currency: Option<Currency> = self.currency.parse().ok();
        let money = currency.and_then(|currency| Money::new(self.minor, currency).ok());
        let unfit = || {
            let detail = "this is no amount of a currency";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "amount_unreadable", detail)
        };
        money.ok_or_else(unfit)
    }
}

impl From<Money> for AmountBody {
    fn from(money: Money) -> Self {
        Self { minor: money.minor(), currency: money.currency().code().to_owned() }
    }
}

/// Some orders.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OrderListBody {
    /// The orders, the newest first.
    orders: Vec<OrderSummaryBody>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl OrderListBody {
    pub(super) fn of(orders: &[Order], next: Option<&OrderCursor>) -> Self {
        Self { orders: orders.iter().map(OrderSummaryBody::of).collect(), next: next.map(ToString::to_string) }
    }
}

/// An order in a list.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OrderSummaryBody {
    /// Its name.
    id: String,
    /// Its number, as payers quote it (ISO 11649).
    reference: String,
    /// When it was placed (RFC 3339).
    placed_at: String,
    /// Where it stands.
    state: &'static str,
    /// What it costs.
    total: AmountBody,
    /// All that ever arrived.
    received: AmountBody,
    /// `not_sent`, `partly`, `sent` or `delivered`.
    fulfilment: &'static str,
}

impl OrderSummaryBody {
    fn of(order: &Order) -> Self {
        Self {
            id: order.id().to_string(),
            reference: order.reference().as_str().to_owned(),
            placed_at: order.placed_at().to_string(),
            state: order.state().name(),
            total: order.total().into(),
            received: order.ledger().received.into(),
            fulfilment: order.fulfilment().name(),
        }
    }
}

/// One order.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OrderBody {
    /// Its name.
    id: String,
    /// Its number, as payers quote it (ISO 11649).
    reference: String,
    /// The customer's name in this shop; absent for a guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    /// When it was placed (RFC 3339).
    placed_at: String,
    /// When it expires unless it is paid (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// `placed`, `paying`, `authorised`, `paid`, `declined`, `unknown`, `cancelled` or `expired`.
    state: &'static str,
    /// What was sold.
    lines: Vec<LineBody>,
    /// The lines at their prices.
    lines_total: AmountBody,
    /// What is let off.
    discounts: AmountBody,
    /// What it costs to send it.
    shipping: AmountBody,
    /// The tax that comes on top of the prices.
    tax: AmountBody,
    /// All tax by rate.
    taxes: Vec<TaxBody>,
    /// What it costs.
    total: AmountBody,
    /// What is still to be paid.
    outstanding: AmountBody,
    /// What of the price will not be collected.
    waived: AmountBody,
    /// Whether nothing more of it is sent before somebody has looked: money for it was taken back, goes back, or will not come.
    stopped: bool,
    /// All that ever arrived: what is settled, owed and refunded.
    received: AmountBody,
    /// What counts towards the price.
    settled: AmountBody,
    /// What has to go back and has not.
    owed: AmountBody,
    /// What was refunded.
    refunded: AmountBody,
    /// The attempts to pay it.
    attempts: Vec<AttemptBody>,
    /// What goes back, or went.
    refunds: Vec<RefundBody>,
    /// The checkout that it came from; absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkout: Option<FromCheckoutBody>,
    /// The items that were sold and not in stock any more, as long as they are to be sent.
    stock_missing: Vec<String>,
    /// `not_sent`, `partly`, `sent` or `delivered`.
    fulfilment: &'static str,
    /// What is still to be sent.
    unsent: Vec<PartBody>,
    /// What was sent, the oldest first.
    parcels: Vec<ParcelBody>,
    /// What was taken back or made cheaper, the oldest first.
    adjustments: Vec<AdjustmentBody>,
    /// What the customer withdrew from, the oldest first.
    withdrawals: Vec<WithdrawalBody>,
    /// What the customer is to be sent at once for each of them.
    acknowledgements: Vec<AcknowledgementBody>,
    /// Where it goes; absent if that was never said, or is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<DeliveryBody>,
    /// What happened, in order.
    events: Vec<EventBody>,
}

impl OrderBody {
    pub(super) async fn of(zone: Zone, order: &Order) -> Result<Self, Error> {
        let totals = order.totals()?;
        let ledger = order.ledger();
        let delivery = order.delivery().await?.map(|delivery| DeliveryBody {
            lines: delivery.for_label().lines(),
            kept_until: delivery.kept_until().to_string(),
        });
        let events = order.events().await?;
        Ok(Self {
            id: order.id().to_string(),
            reference: order.reference().as_str().to_owned(),
            customer: order.buyer().customer().map(|id| id.as_str().to_owned()),
            placed_at: order.placed_at().to_string(),
            expires_at: order.expires_at().map(|at| at.to_string()),
            state: order.state().name(),
            lines: order.lines().iter().map(LineBody::of).collect::<Result<_, Error>>()?,
            lines_total: totals.lines.into(),
            discounts: totals.discounts.into(),
            shipping: totals.shipping.into(),
            tax: totals.tax.into(),
            taxes: totals
                .taxes
                .iter()
                .map(|part| TaxBody { rate: part.rate.to_string(), net: part.net.into(), tax: part.tax.into() })
                .collect(),
            total: totals.total.into(),
            outstanding: order.outstanding().into(),
            waived: order.record().waived.into(),
            stopped: order.record().stopped,
            received: ledger.received.into(),
            settled: ledger.settled().map_err(OrderError::from)?.into(),
            owed: ledger.owed.into(),
            refunded: ledger.refunded.into(),
            attempts: order.attempts().iter().map(AttemptBody::of).collect(),
            refunds: order.refunds().await?.iter().map(RefundBody::of).collect::<Result<_, Error>>()?,
            checkout: order
                .record()
                .checkout
                .as_ref()
                .map(|from| FromCheckoutBody { id: from.id.as_str().to_owned(), vat_id: from.vat_id.clone() }),
            stock_missing: after::missing(order, &events),
            fulfilment: order.fulfilment().name(),
            unsent: PartBody::all(&order.unsent()),
            parcels: order.parcels().iter().map(ParcelBody::of).collect(),
            adjustments: order.adjustments().await?.iter().map(AdjustmentBody::of).collect(),
            withdrawals: WithdrawalBody::all(order)?,
            acknowledgements: order.acknowledgements().iter().map(|it| AcknowledgementBody::of(zone, it)).collect(),
            delivery,
            events: events.iter().map(EventBody::of).collect(),
        })
    }
}

/// The checkout that an order came from.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FromCheckoutBody {
    /// Its name.
    id: String,
    /// The number under which the buyer owes the tax (reverse charge); absent if nobody but the shop does.
    #[serde(skip_serializing_if = "Option::is_none")]
    vat_id: Option<String>,
}

/// One line of an order.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct LineBody {
    /// The merchant's name for what is sold.
    item: String,
    /// What it is called.
    title: String,
    /// What one costs.
    unit: AmountBody,
    /// How many.
    quantity: u32,
    /// What is let off in all.
    discount: AmountBody,
    /// What the line costs.
    amount: AmountBody,
    /// The rate of its tax, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_rate: Option<String>,
}

impl LineBody {
    fn of(line: &Line) -> Result<Self, Error> {
        Ok(Self {
            item: line.item.clone(),
            title: line.title.clone(),
            unit: line.unit.into(),
            quantity: line.quantity.count(),
            discount: line.discount().into(),
            amount: line.amount().map_err(OrderError::from)?.into(),
            tax_rate: line.tax.map(|LineTax { rate, .. }| rate.to_string()),
        })
    }
}

/// The tax of one rate.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TaxBody {
    /// In percent.
    rate: String,
    /// What it is on.
    net: AmountBody,
    /// How much it is.
    tax: AmountBody,
}

/// An attempt to pay.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AttemptBody {
    /// Which one, from 1.
    number: u32,
    /// The rail.
    rail: String,
    /// How much.
    amount: AmountBody,
    /// When it began (RFC 3339).
    begun_at: String,
    /// `authorised`, `paid`, `pending`, `continue`, `declined` or `unknown`; absent while the rail is being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// Whether the rail said something later that does not fit.
    contradicted: bool,
    /// What was captured of it, or is being captured.
    captures: Vec<CapturedBody>,
    /// What became of giving up the rest: as a capture's outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    given_up: Option<&'static str>,
}

impl AttemptBody {
    fn of(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            rail: attempt.rail.clone(),
            amount: attempt.amount.into(),
            begun_at: attempt.begun_at.to_string(),
            outcome: attempt.outcome.as_ref().map(outcome),
            contradicted: attempt.contradicted,
            captures: attempt.captures.iter().map(CapturedBody::of).collect(),
            given_up: attempt.void.as_ref().and_then(|void| void.outcome.as_ref()).map(act_outcome),
        }
    }
}

/// A capture.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CapturedBody {
    /// What names it.
    key: String,
    /// How much.
    amount: AmountBody,
    /// `done`, `under_way`, `declined` or `unknown`; absent while the rail is being told.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

impl CapturedBody {
    fn of(capture: &Capture) -> Self {
        let outcome = capture.outcome.as_ref().map(act_outcome);
        Self { key: capture.key.clone(), amount: capture.amount.into(), outcome }
    }
}

/// Where an order goes.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DeliveryBody {
    /// As it is written on a parcel.
    lines: Vec<String>,
    /// Until when it is kept (RFC 3339).
    kept_until: String,
}

impl std::fmt::Debug for DeliveryBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeliveryBody([redacted])")
    }
}

/// One thing that happened to an order.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct EventBody {
    /// Which, from 1.
    number: u32,
    /// When (RFC 3339).
    at: String,
    /// What, such as `paid`.
    what: String,
    /// What is told of it besides.
    happened: Value,
}

impl EventBody {
    fn of(event: &OrderEvent) -> Self {
        let (what, happened) = told(&event.what);
        Self { number: event.number, at: event.at.to_string(), what, happened }
    }
}

const fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Authorised { .. } => "authorised",
        Outcome::Paid => "paid",
        Outcome::Pending => "pending",
        Outcome::Continue(_) => "continue",
        Outcome::Declined(_) => "declined",
        Outcome::Unknown => "unknown",
        _ => "other",
    }
}

const fn act_outcome(outcome: &ActOutcome) -> &'static str {
    match outcome {
        ActOutcome::Done => "done",
        ActOutcome::UnderWay => "under_way",
        ActOutcome::Declined(_) => "declined",
        ActOutcome::Unknown => "unknown",
        _ => "other",
    }
}

/// The name of what happened, and what is told of it besides.
fn told(what: &Happened) -> (String, Value) {
    let nothing = || Value::Object(serde_json::Map::new());
    match serde_json::to_value(what) {
        Ok(Value::Object(members)) => members.into_iter().next().unwrap_or_else(|| ("changed".to_owned(), nothing())),
        Ok(Value::String(name)) => (name, nothing()),
        _ => ("changed".to_owned(), nothing()),
    }
}
