//! What a merchant's own desk page asks its server for, in the words of CIBA: software of call centres has them already.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use firsthand::{
    Error,
    meeting::{MeetingError, Recognition},
    merchant::Opened,
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::problem::Problem;

/// A recognition that a desk has opened, as its page takes it:
/// `Ok(DeskOpened::from(desk.open("A question about an order", "Order 4711").await?))`.
///
/// JSON: `auth_req_id` (keep it in the page, it is a secret of the desk), `expires_in` and `interval` as CIBA Core 1.0, 7.3 has
/// them; `number` and `number_expires_in`; `link`; `id`, the name of the meeting in the log.
#[derive(Serialize)]
pub struct DeskOpened {
    auth_req_id: String,
    expires_in: u64,
    interval: u64,
    number: String,
    number_expires_in: u64,
    link: String,
    id: String,
}

impl std::fmt::Debug for DeskOpened {
    /// Without the desk's secret and the number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeskOpened").field("id", &self.id).finish_non_exhaustive()
    }
}

impl From<Opened> for DeskOpened {
    fn from(opened: Opened) -> Self {
        Self {
            auth_req_id: opened.ticket.reveal().to_owned(),
            expires_in: opened.expires_in_s,
            interval: opened.interval_s,
            number: opened.number.reveal(),
            number_expires_in: opened.number_expires_in_s,
            link: opened.link.into(),
            id: opened.id.as_str().to_owned(),
        }
    }
}

impl IntoResponse for DeskOpened {
    fn into_response(self) -> Response {
        ([no_store()], Json(self)).into_response()
    }
}

/// What a desk's page is told when it looks: `DeskAnswer::from(desk.recognition(&ticket).await)`.
///
/// 200 with `customer`, `rung`, `proved_at` and `expires_at` (RFC 3339), or 400 with `error` as in CIBA Core 1.0, 11:
/// `authorization_pending` and `slow_down` (both with the `interval` to keep from now on), `expired_token`, `access_denied`,
/// `invalid_grant`. Anything else is a [`Problem`].
#[derive(Debug)]
pub struct DeskAnswer(Result<Recognition, Error>);

impl From<Result<Recognition, Error>> for DeskAnswer {
    fn from(answer: Result<Recognition, Error>) -> Self {
        Self(answer)
    }
}

#[derive(Serialize)]
struct Seen {
    customer: String,
    rung: &'static str,
    proved_at: String,
    expires_at: String,
}

#[derive(Serialize)]
struct NotSeen {
    error: &'static str,
    error_description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<u64>,
}

impl IntoResponse for DeskAnswer {
    fn into_response(self) -> Response {
        let error = match self.0 {
            Ok(Recognition { customer, rung, proved_at, expires_at }) => {
                let seen = Seen {
                    customer: customer.to_string(),
                    rung: rung.name(),
                    proved_at: proved_at.to_string(),
                    expires_at: expires_at.to_string(),
                };
                return ([no_store()], Json(seen)).into_response();
            }
            Err(Error::Meeting(error)) => error,
            Err(other) => return Problem::from(other).into_response(),
        };
        let (word, interval) = match error {
            MeetingError::Pending { interval_s } | MeetingError::SlowDown { interval_s } => {
                (error.code(), Some(interval_s))
            }
            MeetingError::Expired | MeetingError::Denied => (error.code(), None),
            // CIBA Core 1.0, 11: no such request, or another client's.
            MeetingError::NoSuchMeeting => ("invalid_grant", None),
            other => return Problem::from(Error::from(other)).into_response(),
        };
        let body = NotSeen { error: word, error_description: error.to_string(), interval };
        (StatusCode::BAD_REQUEST, [no_store()], Json(body)).into_response()
    }
}

fn no_store() -> (http::HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"))
}
