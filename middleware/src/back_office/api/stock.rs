//! Stock by JSON, if the shop counts it on a shelf.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts},
    routing::{get, post},
};
use firsthand::trade::{Count, HeldFor, Shelf};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Serialize};

use super::{Api, At, JSON_BYTES_MAX, LIST, parameters};
use crate::{
    back_office::{Office, acts::ShelfAct},
    problem::Problem,
    routes::Body,
};

pub(in crate::back_office) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/stock", get(stock))
        .route("/stock/{item}", get(item))
        .route("/stock/{item}/count", post(count))
        .route("/stock/{item}/deliveries", post(receive))
        .route("/holds", get(holds))
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
}

/// How many there are of an item.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StockItemBody {
    /// The merchant's name for it.
    item: String,
    /// How many can be had.
    left: u64,
    /// How many are held for orders that are being paid.
    held: u64,
}

impl StockItemBody {
    const fn of(item: String, count: Count) -> Self {
        Self { item, left: count.left, held: count.held }
    }
}

/// What is on the shelf.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StockBody {
    /// The items, by name.
    items: Vec<StockItemBody>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What was counted by hand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CountBody {
    /// How many can be had from now on, without what is held or sold already.
    left: u32,
    /// How many could be had when it was counted: if that is no longer so, nothing is set.
    #[serde(default)]
    seen: Option<u64>,
}

/// A delivery that arrived.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DeliveryAskBody {
    /// How many more can be had.
    more: u32,
    /// What names the delivery, such as the number of its note (1 to 128 bytes): an item of it counts once.
    delivery: String,
    /// Whether the item was never on the shelf before: without it, a name that is not there is refused.
    #[serde(default)]
    new: bool,
}

/// What is held.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct HoldsBody {
    /// The holds, those that end first before the others.
    holds: Vec<HoldBody>,
}

/// What is held for an order that is being paid.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct HoldBody {
    /// The order; it may not be placed yet, and may never be.
    order: String,
    /// What is held.
    items: Vec<HeldItemBody>,
    /// Until when (RFC 3339).
    until: String,
}

/// So many of an item that are held.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct HeldItemBody {
    /// The merchant's name for it.
    item: String,
    /// How many.
    quantity: u32,
}

impl HoldBody {
    fn of(held: &HeldFor) -> Self {
        let items = held.items.iter().map(|(item, count)| HeldItemBody { item: item.clone(), quantity: count.count() });
        Self { order: held.order.to_string(), items: items.collect(), until: held.until.to_string() }
    }
}

/// What stands behind `?` of the list of items.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StockQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// The parameters of an address; what cannot be read is refused.
pub(crate) struct StockAsked(StockQuery);

impl<S: Sync> FromRequestParts<S> for StockAsked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parameters(parts).map(Self)
    }
}

impl Api {
    /// The shelf. These routes are not there without.
    fn shelf(&self) -> Result<&Shelf, Problem> {
        let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "the shop counts no stock here");
        self.shelf.as_ref().ok_or_else(missing)
    }

    async fn shelf_act(&self, item: String, act: ShelfAct) -> Result<Json<StockItemBody>, Problem> {
        let shelf = self.shelf()?;
        self.hand().shelf_act(shelf, &item, act).await?;
        let count = shelf.count(&item, self.merchant.now()).await?;
        Ok(Json(StockItemBody::of(item, count)))
    }
}

/// What is on the shelf, by name.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/stock", tag = "stock", operation_id = "list_stock",
    params(
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 999 on a page; 100 unless said"),
    ),
    responses(
        (status = 200, body = StockBody),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter cannot be read"),
    )
))]
pub(crate) async fn stock(api: Api, StockAsked(asked): StockAsked) -> Result<Json<StockBody>, Problem> {
    // One more than is shown says whether there is more.
    let limit = asked.limit.unwrap_or(100).clamp(1, LIST - 1);
    let after = asked.after.as_deref();
    let mut counts = api.shelf()?.counts(after, limit + 1, api.merchant.now()).await?;
    let is_more = counts.len() > limit;
    counts.truncate(limit);
    let next = counts.last().filter(|_| is_more).map(|(item, _)| item.clone());
    Ok(Json(StockBody {
        items: counts.into_iter().map(|(item, count)| StockItemBody::of(item, count)).collect(),
        next,
    }))
}

/// How many there are of an item; of one that was never on the shelf there are none.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/stock/{item}", tag = "stock", operation_id = "read_stock",
    params(("item" = String, Path, description = "The merchant's name for it")),
    responses((status = 200, body = StockItemBody)),
))]
pub(crate) async fn item(api: Api, At(item): At<String>) -> Result<Json<StockItemBody>, Problem> {
    let count = api.shelf()?.count(&item, api.merchant.now()).await?;
    Ok(Json(StockItemBody::of(item, count)))
}

/// Sets how many can be had from now on: what was counted by hand, without what is held or sold already.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/stock/{item}/count", tag = "stock", operation_id = "count_stock", request_body = CountBody,
    params(("item" = String, Path)),
    responses(
        (status = 200, body = StockItemBody),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is not as many as were seen: count again"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "That names no item"),
    )
))]
pub(crate) async fn count(api: Api, At(item): At<String>, body: Body) -> Result<Json<StockItemBody>, Problem> {
    let CountBody { left, seen } = api.read(body)?;
    api.shelf_act(item, ShelfAct::Count { left, seen }).await
}

/// Puts a delivery on the shelf. Under the same name of a delivery, an item counts once within 90 days. A name that was never
/// there is a typing error, unless the delivery says that it is `new`.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/stock/{item}/deliveries", tag = "stock", operation_id = "receive_stock", request_body = DeliveryAskBody,
    params(("item" = String, Path)),
    responses(
        (status = 200, body = StockItemBody),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "That names no item (`no_such_item`: none that was ever on the shelf), or no delivery"),
    )
))]
pub(crate) async fn receive(api: Api, At(item): At<String>, body: Body) -> Result<Json<StockItemBody>, Problem> {
    let DeliveryAskBody { more, delivery, new } = api.read(body)?;
    if !new && !api.shelf()?.has(&item, api.merchant.now()).await? {
        let detail = "no such item was ever on the shelf: say `\"new\": true` if it is new";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_such_item", detail));
    }
    api.shelf_act(item, ShelfAct::Receive { more, delivery }).await
}

/// What is held for orders that are being paid, at most 250.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/holds", tag = "stock", operation_id = "list_holds",
    responses((status = 200, body = HoldsBody)),
))]
pub(crate) async fn holds(api: Api) -> Result<Json<HoldsBody>, Problem> {
    let held = api.shelf()?.holds(LIST, api.merchant.now()).await?;
    Ok(Json(HoldsBody { holds: held.iter().map(HoldBody::of).collect() }))
}
