//! The merchant's JSON API: what the pages show and do, for programs.
//!
//! Wire bodies are structs of the files below, turned into the library's types by hand.

pub(crate) mod after;
pub(crate) mod bank;
mod body;
mod money;
pub(crate) mod stock;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, rejection::QueryRejection},
    response::Response,
    routing::{get, post},
};
use firsthand::{Merchant, merchant::OrderQuery, trade::Shelf};
use http::{HeaderMap, StatusCode, request::Parts};
use serde::de::DeserializeOwned;

use self::{
    body::{OrderBody, OrderListBody},
    money::{CaptureBody, DecideBody, RefundAskBody},
};
use super::{
    Office,
    acts::{Hand, OrderAct},
    export,
    operators::Operator,
    orders::state_of,
};
use crate::{
    problem::Problem,
    routes::{Body, parse, unfit_member},
};

/// The largest body of JSON, in bytes.
const JSON_BYTES_MAX: usize = 8 * 1024;
/// The most entries of a list that is to be worked off.
const LIST: usize = 1_000;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/orders", get(orders))
        .route("/orders.csv", get(csv))
        .route("/orders/{id}", get(order))
        .route("/orders/{id}/cancel", post(cancel))
        .route("/orders/{id}/refunds", post(refund))
        .route("/orders/{id}/captures", post(capture))
        .route("/orders/{id}/close", post(close))
        .route("/orders/{id}/send-anyway", post(send_anyway))
        .route("/orders/{id}/release", post(release))
        .route("/orders/{id}/decide", post(decide))
        .merge(bank::routes())
        .merge(after::routes())
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .merge(bank::statements())
}

/// A program that an operator's key let in.
pub(crate) struct Api {
    merchant: Merchant,
    operator: Operator,
    headers: HeaderMap,
    shelf: Option<Shelf>,
}

impl FromRequestParts<Arc<Office>> for Api {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, office: &Arc<Office>) -> Result<Self, Problem> {
        let operator = Operator::from_request_parts(parts, office).await?;
        let (merchant, shelf) = (office.merchant.clone(), office.shelf.clone());
        Ok(Self { merchant, operator, headers: parts.headers.clone(), shelf })
    }
}

/// What stands in the path. What is no text names nothing.
pub(crate) struct At<T>(T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(_) => Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing of that name")),
        }
    }
}

impl Api {
    const fn hand(&self) -> Hand<'_> {
        Hand { merchant: &self.merchant, operator: &self.operator }
    }

    fn read<T: DeserializeOwned>(&self, body: Body) -> Result<T, Problem> {
        parse(&body.json(&self.headers)?)
    }

    async fn act(&self, id: &str, act: OrderAct) -> Result<Json<OrderBody>, Problem> {
        let hand = self.hand();
        let order = hand.order(id).await?;
        let order = hand.order_act(order, act).await?;
        Ok(Json(OrderBody::of(self.merchant.time_zone(), &order).await?))
    }
}

/// An address that the API does not have.
pub(super) async fn nowhere() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "the API has no such address")
}

/// An address of the API that takes other methods.
pub(super) async fn not_so() -> Problem {
    let detail = "this address takes the methods that stand in `Allow`";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

fn invalid(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
}

fn unfit(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}

/// What stands behind `?` of the list of orders.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct OrdersQuery {
    state: Option<String>,
    reference: Option<String>,
    from: String,
    to: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// The parameters of an address; what cannot be read is refused.
pub(crate) struct Asked(OrdersQuery);

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parameters(parts).map(Self)
    }
}

/// What stands behind `?`; what cannot be read is refused by its name.
fn parameters<T: DeserializeOwned>(parts: &Parts) -> Result<T, Problem> {
    let unfit = |error: QueryRejection| {
        let detail = "the parameters cannot be read";
        unfit_member(&error).map_or_else(|| invalid(detail), |unfit| invalid(&format!("{detail}: {unfit}")))
    };
    Ok(axum::extract::Query::<T>::try_from_uri(&parts.uri).map_err(unfit)?.0)
}

/// The orders, the newest first: all of them, or those of a state, of a period, or of a number.
///
/// A page may hold fewer orders than `limit`, even none, and yet not be the last one: go on while there is a `next`.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/orders", tag = "orders", operation_id = "list_orders",
    params(
        ("state" = Option<String>, Query, description = "`placed`, `paying`, `authorised`, `paid`, `declined`, `unknown`, `cancelled` or `expired`"),
        ("reference" = Option<String>, Query, description = "The number of one order, `RF..`"),
        ("from" = Option<String>, Query, description = "Placed on that day or later, in the shop's time zone: `2026-11-23`"),
        ("to" = Option<String>, Query, description = "Placed on that day or before"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 100 on a page; 50 unless said"),
    ),
    responses(
        (status = 200, body = OrderListBody),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter cannot be read"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No order of that number"),
    )
))]
pub(crate) async fn orders(api: Api, Asked(asked): Asked) -> Result<Json<OrderListBody>, Problem> {
    if let Some(reference) = &asked.reference {
        let order = api.hand().order_called(reference.trim()).await?;
        return Ok(Json(OrderListBody::of(&[order], None)));
    }
    let mut query = OrderQuery::new().limit(asked.limit.unwrap_or(50));
    if let Some(state) = &asked.state {
        query = query.state(state_of(state).ok_or_else(|| invalid("there is no such state"))?);
    }
    if let Some(after) = &asked.after {
        query = query.after(&after.parse().map_err(|_| invalid("`after` is no `next` of a page"))?);
    }
    let period =
        export::Period::read(api.merchant.time_zone(), &asked.from, &asked.to).map_err(|no| invalid(no.detail()))?;
    let page = api.merchant.orders(&period.of(query)).await?;
    Ok(Json(OrderListBody::of(&page.orders, page.next.as_ref())))
}

/// The orders of a period as CSV (RFC 4180), one line for each, for the books. Nothing about customers is in it.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/orders.csv", tag = "orders", operation_id = "export_orders",
    params(
        ("from" = Option<String>, Query, description = "Placed on that day or later, in the shop's time zone: `2026-11-23`"),
        ("to" = Option<String>, Query, description = "Placed on that day or before"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "That is no day, or `from` is after `to`"),
    )
))]
pub(crate) async fn csv(api: Api, Asked(asked): Asked) -> Result<Response, Problem> {
    let period =
        export::Period::read(api.merchant.time_zone(), &asked.from, &asked.to).map_err(|no| invalid(no.detail()))?;
    api.hand().took("orders_csv");
    Ok(export::orders(&api.merchant, period, ""))
}

/// One order: what was sold, where the money is, what happened, and where it goes as long as that is kept.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/orders/{id}", tag = "orders", operation_id = "read_order",
    params(("id" = String, Path, description = "The order's name, `o_..`")),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn order(api: Api, At(id): At<String>) -> Result<Json<OrderBody>, Problem> {
    Ok(Json(OrderBody::of(api.merchant.time_zone(), &api.hand().order(&id).await?).await?))
}

/// Calls an order off; what was paid of it is owed back. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/cancel", tag = "orders", operation_id = "cancel_order",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is paid, over, or a payment is in doubt"),
    )
))]
pub(crate) async fn cancel(api: Api, At(id): At<String>) -> Result<Json<OrderBody>, Problem> {
    api.act(&id, OrderAct::Cancel).await
}

/// Owes a part of what was paid back to the customer, or all of it. The key names the refund: with the same key it is
/// one.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/refunds", tag = "orders", operation_id = "refund_order", request_body = RefundAskBody,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Not paid, not that much is left, or the key was used for another amount"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No amount, or no key"),
    )
))]
pub(crate) async fn refund(api: Api, At(id): At<String>, body: Body) -> Result<Json<OrderBody>, Problem> {
    let body: RefundAskBody = api.read(body)?;
    api.act(&id, OrderAct::Refund { amount: body.amount.money()?, key: body.key }).await
}

/// Collects a part of what is authorised, or all of it. The key names the capture: with the same key it is one.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/captures", tag = "orders", operation_id = "capture_order", request_body = CaptureBody,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Not authorised, not that much is left, or the key was used for another amount"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No amount, or no key"),
    )
))]
pub(crate) async fn capture(api: Api, At(id): At<String>, body: Body) -> Result<Json<OrderBody>, Problem> {
    let body: CaptureBody = api.read(body)?;
    api.act(&id, OrderAct::Capture { amount: body.amount.money()?, key: body.key }).await
}

/// Collects no more of what is authorised: the order is paid as far as it ever will be. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/close", tag = "orders", operation_id = "close_order",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Not authorised, nothing was captured, or a capture is not decided"),
    )
))]
pub(crate) async fn close(api: Api, At(id): At<String>) -> Result<Json<OrderBody>, Problem> {
    api.act(&id, OrderAct::CloseShort).await
}

/// Lets be sent what is stopped, for money for it was taken back, goes back, or will not come. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/send-anyway", tag = "orders", operation_id = "send_order_anyway",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn send_anyway(api: Api, At(id): At<String>) -> Result<Json<OrderBody>, Problem> {
    api.act(&id, OrderAct::SendAnyway).await
}

/// Tells the rail at once to give up what is left of an authorisation that the order does not need.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/release", tag = "orders", operation_id = "release_order",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn release(api: Api, At(id): At<String>) -> Result<Json<OrderBody>, Problem> {
    api.act(&id, OrderAct::Release).await
}

/// Says how an attempt in doubt went, or a capture of it: what the merchant has found out in the records of the rail.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/orders/{id}/decide", tag = "orders", operation_id = "decide_order", request_body = DecideBody,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is not in doubt"),
    )
))]
pub(crate) async fn decide(api: Api, At(id): At<String>, body: Body) -> Result<Json<OrderBody>, Problem> {
    let DecideBody { attempt, capture, happened } = api.read(body)?;
    let act = match capture {
        Some(key) => OrderAct::DecideCapture { attempt, key, happened },
        None => OrderAct::Decide { attempt, happened },
    };
    api.act(&id, act).await
}
