//! What a page that lies open hears of its session.

use axum::{
    Extension, Router,
    extract::{FromRequestParts, State},
    response::IntoResponse,
    routing::get,
};
use firsthand::{Merchant, merchant::Recognised};
use http::request::Parts;

use super::{Answer, recognise};
use crate::{
    events,
    layer::{Visit, not_known},
    limit::Limits,
    problem::Problem,
    signed::{Proved, claims},
};

pub(super) fn routes() -> Router<Merchant> {
    Router::new().route("/events", get(tab_events))
}

/// What happens to the session while a page lies open, as server-sent events.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/events", tag = "customer", security(("dpop" = [])),
    responses(
        (status = 200, content_type = "text/event-stream", body = serde_json::Value, description = "`event: revoked` once the session has ended, and then the end; `:` now and then; ends after five minutes at most. In a shop that has a cookie, the cookie does in place of a proof"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn tab_events(
    State(merchant): State<Merchant>,
    Here(recognised): Here,
    Extension(limits): Extension<Limits>,
) -> Answer {
    let answer = async {
        let recognised = recognised?;
        let open = limits.tab(&recognised)?;
        Ok(events::of_session(&merchant, recognised, open).into_response())
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer by a proof, or by the cookie where the shop has one.
pub(crate) struct Here(Result<Recognised, Problem>);

impl FromRequestParts<Merchant> for Here {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, merchant: &Merchant) -> Result<Self, Self::Rejection> {
        let cookie = parts.extensions.get::<Visit>().filter(|_| !claims(parts)).cloned();
        let cookie = match cookie.filter(|visit| visit.cookie().is_some()) {
            Some(visit) => visit.ask().await?.cloned().ok_or_else(|| not_known(false)),
            None => {
                let Proved(signed) = Proved::from_request_parts(parts, merchant).await?;
                recognise(merchant, &signed).await
            }
        };
        Ok(Self(cookie))
    }
}
