//! After the sale, by JSON: parcels, adjustments, withdrawals.

use axum::{
    Json, Router,
    routing::{get, post},
};
use firsthand::{
    Error,
    merchant::{Adjusted, Order},
    money::Quantity,
    order::{Acknowledgement, Adjustment, AdjustmentState, Parcel, ParcelRecord, Part, WithdrawalState},
    time::Zone,
};
use serde::{Deserialize, Serialize};

use super::{
    Api, At, LIST,
    body::{AmountBody, OrderBody},
    unfit,
};
use crate::{
    back_office::{
        Office,
        acts::OrderAct,
        words::{REASONS, acknowledgement},
    },
    lang::Lang,
    problem::Problem,
    routes::Body,
};

pub(super) fn routes() -> Router<std::sync::Arc<Office>> {
    Router::new()
        .route("/orders/{id}/parcels", post(send_parcel))
        .route("/orders/{id}/parcels/{parcel}/delivered", post(parcel_delivered))
        .route("/orders/{id}/adjustments", post(adjust))
        .route("/orders/{id}/withdrawals", post(withdraw))
        .route("/orders/{id}/withdrawals/{withdrawal}/settle", post(settle))
        .route("/withdrawals", get(withdrawals))
}

/// So many of something that was bought.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PartBody {
    /// The merchant's name for it.
    item: String,
    /// How many.
    quantity: u32,
}

impl PartBody {
    pub(super) fn all(parts: &[Part]) -> Vec<Self> {
        parts.iter().map(|part| Self { item: part.item.clone(), quantity: part.quantity.count() }).collect()
    }

    fn read(parts: Vec<Self>) -> Result<Vec<Part>, Problem> {
        let read = |part: Self| {
            let quantity = Quantity::new(part.quantity);
            Ok(Part::new(part.item, quantity.map_err(|_| unfit("count_unreadable", "a quantity is 1 to 1,000,000"))?))
        };
        parts.into_iter().map(read).collect()
    }
}

/// A parcel that has left the shop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ParcelAskBody {
    /// What names the parcel: 1 to 64 visible ASCII characters without `/`.
    key: String,
    /// What is in it; all that is unsent if it is absent.
    #[serde(default)]
    lines: Option<Vec<PartBody>>,
    /// Who carries it.
    #[serde(default)]
    carrier: Option<String>,
    /// The carrier's number for it.
    #[serde(default)]
    tracking: Option<String>,
    /// The carrier's page about it: an `https` address.
    #[serde(default)]
    link: Option<String>,
}

/// What is taken back, or made cheaper.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AdjustmentAskBody {
    /// What names the adjustment: 1 to 64 visible ASCII characters without `/`.
    key: String,
    /// `returned`, `not_supplied`, `damaged` or `price_correction`.
    reason: String,
    /// What it is about.
    lines: Vec<PartBody>,
    /// What goes back for it; may be nothing for what is returned or not supplied.
    amount: AmountBody,
}

/// What a customer withdraws from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct WithdrawalAskBody {
    /// What names the withdrawal: 1 to 64 visible ASCII characters without `/`.
    key: String,
    /// What it is about.
    lines: Vec<PartBody>,
}

/// How a withdrawal is settled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SettleBody {
    /// What goes back for it; may be nothing.
    amount: AmountBody,
}

/// A parcel that was sent.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ParcelBody {
    /// What names it.
    key: String,
    /// What is in it.
    lines: Vec<PartBody>,
    /// Who carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<String>,
    /// The carrier's number for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking: Option<String>,
    /// The carrier's page about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// When it was sent (RFC 3339).
    sent_at: String,
    /// When it arrived (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<String>,
}

impl ParcelBody {
    pub(super) fn of(parcel: &ParcelRecord) -> Self {
        Self {
            key: parcel.key.clone(),
            lines: PartBody::all(&parcel.lines),
            carrier: parcel.carrier.clone(),
            tracking: parcel.tracking.clone(),
            link: parcel.link.as_ref().map(ToString::to_string),
            sent_at: parcel.sent_at.to_string(),
            delivered_at: parcel.delivered_at.map(|at| at.to_string()),
        }
    }
}

/// What was taken back, or made cheaper.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AdjustmentBody {
    /// What names it.
    key: String,
    /// `withdrawn`, `returned`, `not_supplied`, `damaged` or `price_correction`.
    reason: &'static str,
    /// What it is about.
    lines: Vec<PartBody>,
    /// What goes back for it.
    amount: AmountBody,
    /// When it was decided (RFC 3339).
    at: String,
    /// `owed`, `under_way` or `done`: how far what goes back has come.
    state: &'static str,
}

impl AdjustmentBody {
    pub(super) fn of(Adjusted { record, state }: &Adjusted) -> Self {
        Self {
            key: record.key.clone(),
            reason: record.reason.name(),
            lines: PartBody::all(&record.lines),
            amount: record.amount.into(),
            at: record.at.to_string(),
            state: match state {
                AdjustmentState::Owed => "owed",
                AdjustmentState::UnderWay => "under_way",
                AdjustmentState::Done => "done",
                _ => "other",
            },
        }
    }
}

/// What a customer withdrew from.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct WithdrawalBody {
    /// The order.
    order: String,
    /// What names it within the order.
    key: String,
    /// What it is about.
    lines: Vec<PartBody>,
    /// When it was received (RFC 3339).
    at: String,
    /// Until when what is due is paid back (RFC 3339).
    refund_by: String,
    /// `due` or `settled`.
    state: &'static str,
    /// What was paid for it and has not gone back, to start from, with the delivery if nothing is kept; absent once it is
    /// settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    worth: Option<AmountBody>,
}

impl WithdrawalBody {
    /// All of an order, the oldest first.
    pub(super) fn all(order: &Order) -> Result<Vec<Self>, Error> {
        order.acknowledgements().iter().map(|stated| Self::of(order, stated)).collect()
    }

    fn of(order: &Order, stated: &Acknowledgement) -> Result<Self, Error> {
        let is_due = stated.state == WithdrawalState::Due;
        let worth = is_due.then(|| order.withdrawal_worth(&stated.key)).transpose()?;
        let part = |line: &firsthand::order::AcknowledgedLine| PartBody {
            item: line.item.clone(),
            quantity: line.quantity.count(),
        };
        Ok(Self {
            order: stated.order.to_string(),
            key: stated.key.clone(),
            lines: stated.lines.iter().map(part).collect(),
            at: stated.at.to_string(),
            refund_by: stated.refund_by.to_string(),
            state: if is_due { "due" } else { "settled" },
            worth: worth.map(Into::into),
        })
    }
}

/// That the shop has received a withdrawal, for whoever stated it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AcknowledgementBody {
    /// What names the withdrawal within the order.
    key: String,
    /// When it was received (RFC 3339).
    at: String,
    /// The text in English, with line breaks.
    text_en: String,
    /// The text in German, with line breaks.
    text_de: String,
}

impl AcknowledgementBody {
    pub(super) fn of(zone: Zone, stated: &Acknowledgement) -> Self {
        Self {
            key: stated.key.clone(),
            at: stated.at.to_string(),
            text_en: acknowledgement(Lang::En, zone, stated),
            text_de: acknowledgement(Lang::De, zone, stated),
        }
    }
}

/// The withdrawals that wait for the merchant.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct WithdrawalsBody {
    /// The withdrawals.
    withdrawals: Vec<WithdrawalBody>,
}

/// Says that a parcel has left the shop: with what is named in it, or with all that is unsent. The key names the parcel: with
/// the same key it is one.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/parcels", tag = "orders", operation_id = "send_parcel", request_body = ParcelAskBody,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Neither paid nor authorised, more than is left, or the key was used for another parcel"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No key, nothing of the order is named or left, or the carrier cannot be shown"),
    )
))]
pub(crate) async fn send_parcel(api: Api, At(id): At<String>, body: Body) -> Result<Json<OrderBody>, Problem> {
    let ParcelAskBody { key, lines, carrier, tracking, link } = api.read(body)?;
    let lines = lines.map(PartBody::read).transpose()?;
    let link = link.map(|link| link.parse()).transpose();
    let link = link.map_err(|_| unfit("invalid_parcel", "the link is no address"))?;
    let parcel = Parcel { carrier, tracking, link, ..Parcel::new(key, Vec::new()) };
    api.act(&id, OrderAct::Sent { lines, parcel }).await
}

/// Says that a parcel has arrived: from then on the time to withdraw can run. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/parcels/{parcel}/delivered", tag = "orders", operation_id = "parcel_delivered",
    params(("id" = String, Path), ("parcel" = String, Path, description = "The parcel's key")),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such order, or no such parcel"),
    )
))]
pub(crate) async fn parcel_delivered(
    api: Api,
    At((id, parcel)): At<(String, String)>,
) -> Result<Json<OrderBody>, Problem> {
    api.act(&id, OrderAct::Delivered { parcel }).await
}

/// Takes something back, or makes it cheaper, and owes what goes back for it. The key names the adjustment: with the same
/// key it is one.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/adjustments", tag = "orders", operation_id = "adjust_order", request_body = AdjustmentAskBody,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Not paid, over, more than is left of it or of the money, or the key was used for something else"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No such reason, no amount, no key, or nothing of the order is named"),
    )
))]
pub(crate) async fn adjust(api: Api, At(id): At<String>, body: Body) -> Result<Json<OrderBody>, Problem> {
    let AdjustmentAskBody { key, reason, lines, amount } = api.read(body)?;
    let reason = REASONS.into_iter().find(|known| known.name() == reason);
    let reason = reason.ok_or_else(|| unfit("reason_unknown", "there is no such reason for an adjustment"))?;
    let (lines, amount) = (PartBody::read(lines)?, amount.money()?);
    api.act(&id, OrderAct::Adjust(Adjustment { key, reason, lines, amount })).await
}

/// Says that the customer has withdrawn otherwise than on the shop's page, as by a letter. The key names the withdrawal: with
/// the same key it is one. Its acknowledgement is due at once, and stands in `acknowledgements`.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/withdrawals", tag = "orders", operation_id = "note_withdrawal", request_body = WithdrawalAskBody,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Too late, exempt, more than is left, over, or the key was used for something else"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No key, or nothing of the order is named"),
    )
))]
pub(crate) async fn withdraw(api: Api, At(id): At<String>, body: Body) -> Result<Json<OrderBody>, Problem> {
    let WithdrawalAskBody { key, lines } = api.read(body)?;
    api.act(&id, OrderAct::Withdraw { lines: PartBody::read(lines)?, key }).await
}

/// Settles a withdrawal: so much is owed back to the customer from then on. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/withdrawals/{withdrawal}/settle", tag = "orders", operation_id = "settle_withdrawal", request_body = SettleBody,
    params(("id" = String, Path), ("withdrawal" = String, Path, description = "The withdrawal's key")),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such order, or no such withdrawal"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It was settled otherwise, or not that much is left"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No amount"),
    )
))]
pub(crate) async fn settle(
    api: Api,
    At((id, withdrawal)): At<(String, String)>,
    body: Body,
) -> Result<Json<OrderBody>, Problem> {
    let body: SettleBody = api.read(body)?;
    api.act(&id, OrderAct::Settle { withdrawal, amount: body.amount.money()? }).await
}

/// The withdrawals that wait to be settled, of at most 1,000 orders.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/withdrawals", tag = "orders", operation_id = "list_withdrawals",
    responses((status = 200, body = WithdrawalsBody)),
))]
pub(crate) async fn withdrawals(api: Api) -> Result<Json<WithdrawalsBody>, Problem> {
    let mut withdrawals = Vec::new();
    for order in api.merchant.open_withdrawals(LIST).await? {
        withdrawals.extend(WithdrawalBody::all(&order)?.into_iter().filter(|one| one.state == "due"));
    }
    Ok(Json(WithdrawalsBody { withdrawals }))
}
