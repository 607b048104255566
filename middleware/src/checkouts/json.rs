//! Checkouts as JSON: for a customer who is known, and for a guest with a link.

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use firsthand::{
    Error, Merchant,
    checkout::{CheckoutError, CheckoutId},
    error::Refusal,
    merchant::{Checkout, Completion, GuestLink, IdempotencyKey, Recognised},
    money::Money,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    BASKET_BYTES_MAX, CheckoutPage, Settings, Words, bad_request,
    basket::{BasketBody, CompleteBody, FormBody},
    body::{self, CheckoutBody},
    completed, guest,
};
use crate::{
    layer::keep_private,
    limit::Limits,
    problem::Problem,
    routes::{Answer, Body, Named, parse, recognise},
    same_origin,
    signed::{self, Proved, Signed},
};

pub(super) fn routes() -> Router<Merchant> {
    Router::new()
        .route("/checkouts", post(begin))
        .route("/checkouts/{id}", get(look).put(change))
        .route("/checkouts/{id}/complete", post(complete))
        .route("/checkouts/{id}/cancel", post(cancel))
        .route("/checkouts/guest", post(guest_begin))
        .route("/checkouts/guest/form", post(guest_form))
        .route("/checkouts/guest/{link}", get(guest_look).put(guest_change))
        .route("/checkouts/guest/{link}/complete", post(guest_complete))
        .route("/checkouts/guest/{link}/cancel", post(guest_cancel))
        .layer(DefaultBodyLimit::max(BASKET_BYTES_MAX))
}

/// A customer begins a checkout. The same key again is the same checkout.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "begin_checkout", path = "/checkouts", tag = "customer", security(("dpop" = [])), request_body = BasketBody,
    params(("Idempotency-Key" = String, Header, description = "Made by the caller for this one act: 1 to 128 visible ASCII characters")),
    responses(
        (status = 201, body = CheckoutBody, description = "What the shop offers for it, with `messages` that say what is missing"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "No `Idempotency-Key`, or the body is not what it should be"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The key was used for something else"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "This cannot be wished for: nothing, too much, or an address that is none"),
    )
))]
pub(crate) async fn begin(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    Settings(page): Settings,
    headers: HeaderMap,
    sent: Body,
) -> Answer {
    let answer = async {
        let (key, bytes) = (key(&headers)?, sent.json(&headers)?);
        let basket = parse::<BasketBody>(&bytes)?.basket()?;
        let known = acting(&merchant, &signed, &bytes).await?;
        let words = Words::of(Some(&limits), None, &basket)?;
        let checkout = known.check_out(&basket, &key).await?;
        words.tried(&checkout);
        Ok((StatusCode::CREATED, shown(&merchant, &page, &checkout, None, true).await?))
    };
    Answer::signed(&merchant, answer.await)
}

/// A checkout of the customer.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "checkout", path = "/checkouts/{id}", tag = "customer", security(("dpop" = [])), params(("id" = String, Path)),
    responses(
        (status = 200, body = CheckoutBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such checkout, not any more, or another customer's"),
    )
))]
pub(crate) async fn look(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Settings(page): Settings,
    Named(id): Named,
) -> Answer {
    let answer = async {
        let known = recognise(&merchant, &signed).await?;
        let checkout = theirs(&known, &id).await?;
        shown(&merchant, &page, &checkout, None, false).await
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer wants something else: all of it is replaced, and priced anew. What their wallet has told meanwhile is taken.
#[cfg_attr(feature = "openapi", utoipa::path(
    put, operation_id = "change_checkout", path = "/checkouts/{id}", tag = "customer", security(("dpop" = [])), request_body = BasketBody,
    params(
        ("id" = String, Path), ("Idempotency-Key" = String, Header),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller saw, in place of `revision`"),
    ),
    responses(
        (status = 200, body = CheckoutBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It was changed meanwhile, is being completed, is over, or the key was used for something else"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It was changed meanwhile, as `If-Match` says"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 428, body = Problem, content_type = "application/problem+json", description = "Neither `revision` nor `If-Match`"),
    )
))]
pub(crate) async fn change(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    Settings(page): Settings,
    Named(id): Named,
    headers: HeaderMap,
    sent: Body,
) -> Answer {
    let answer = async {
        let (key, bytes) = (key(&headers)?, sent.json(&headers)?);
        let body: BasketBody = parse(&bytes)?;
        let seen = Seen::of(&headers, body.revision)?;
        let basket = body.basket()?;
        let known = acting(&merchant, &signed, &bytes).await?;
        let checkout = theirs(&known, &id).await?;
        let words = Words::of(Some(&limits), Some(&checkout), &basket)?;
        let checkout = checkout.update(seen.revision, &basket, &key).await.map_err(|error| seen.refused(error))?;
        words.tried(&checkout);
        shown(&merchant, &page, &checkout, None, false).await
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer agrees to what they saw, and pays. The same key again goes on where the first one stopped, and never pays
/// twice.
///
/// What comes of it is the `status`: `completed` with its `order`; `complete_in_progress` while nobody knows, or while the
/// customer goes on at `continue_url`; anything else with a message that says why.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "complete_checkout", path = "/checkouts/{id}/complete", tag = "customer", security(("dpop" = [])), request_body = CompleteBody,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 200, body = CheckoutBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such checkout, or no such rail"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The total is another, it was changed meanwhile, is being completed, is over, or the key was used for something else"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Something is to pay and no rail was said, or the rail cannot collect this amount"),
        (status = 428, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn complete(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Settings(page): Settings,
    Named(id): Named,
    headers: HeaderMap,
    sent: Body,
) -> Answer {
    let answer = async {
        let (key, bytes) = (key(&headers)?, sent.json(&headers)?);
        let body: CompleteBody = parse(&bytes)?;
        let seen = Seen::of(&headers, body.revision)?;
        let known = acting(&merchant, &signed, &bytes).await?;
        let checkout = agreed(theirs(&known, &id).await?, &body, &seen, key).await?;
        shown(&merchant, &page, &checkout, None, false).await
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer gives it up. Giving it up twice is giving it up once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "cancel_checkout", path = "/checkouts/{id}/cancel", tag = "customer", security(("dpop" = [])),
    params(("id" = String, Path)),
    responses(
        (status = 200, body = CheckoutBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is being completed, or there is an order"),
    )
))]
pub(crate) async fn cancel(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Settings(page): Settings,
    Named(id): Named,
    sent: Body,
) -> Answer {
    let answer = async {
        let known = acting(&merchant, &signed, &sent.0?).await?;
        let checkout = theirs(&known, &id).await?.cancel().await?;
        shown(&merchant, &page, &checkout, None, false).await
    };
    Answer::signed(&merchant, answer.await)
}

/// A token for a guest's form, good for a day: whoever has no page of the shop that carries one makes one here, once for each
/// basket. Whoever sends a basket with it again, after an answer that was lost, begins it once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "guest_form", path = "/checkouts/guest/form", tag = "browser",
    responses(
        (status = 201, body = FormBody),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Another site sent this"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn guest_form(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    from_here(&merchant, &limits, &headers)?;
    Ok(private((StatusCode::CREATED, Json(FormBody::new(merchant.guest_form())))))
}

/// Somebody whom nobody asked who they are begins a checkout. The token of a form makes it one, however often it is sent, and
/// makes the link by which it is found.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "begin_guest_checkout", path = "/checkouts/guest", tag = "browser", request_body = BasketBody,
    responses(
        (status = 201, body = CheckoutBody, description = "With `link`, the only way back to it"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "No `form`, or the body is not what it should be"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Another site sent this, or the form is none of the shop's"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "The form lay open too long"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn guest_begin(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Settings(page): Settings,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    from_here(&merchant, &limits, &headers)?;
    let mut body: BasketBody = parse(&sent.json(&headers)?)?;
    let needed = || bad_request("form_needed", "a guest's checkout needs the token of a form: `form`");
    let form = body.form.take().ok_or_else(needed)?;
    let basket = body.basket()?;
    let words = Words::of(Some(&limits), None, &basket)?;
    let begun = merchant.check_out_as_guest(&basket, &form).await?;
    words.tried(&begun.checkout);
    let body = shown(&merchant, &page, &begun.checkout, Some(&begun.link), true).await?;
    Ok(private((StatusCode::CREATED, body)))
}

/// A guest's checkout.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "guest_checkout", path = "/checkouts/guest/{link}", tag = "browser", params(("link" = String, Path)),
    responses(
        (status = 200, body = CheckoutBody),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such checkout, not any more, or a customer took it over"),
    )
))]
pub(crate) async fn guest_look(
    State(merchant): State<Merchant>,
    Settings(page): Settings,
    Named(link): Named,
) -> Result<Response, Problem> {
    let (checkout, link) = guest(&merchant, &link).await?;
    Ok(private(shown(&merchant, &page, &checkout, Some(&link), false).await?))
}

/// A guest wants something else.
#[cfg_attr(feature = "openapi", utoipa::path(
    put, operation_id = "change_guest_checkout", path = "/checkouts/guest/{link}", tag = "browser", request_body = BasketBody,
    params(("link" = String, Path), ("Idempotency-Key" = String, Header), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 200, body = CheckoutBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 428, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn guest_change(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Settings(page): Settings,
    Named(link): Named,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    from_here(&merchant, &limits, &headers)?;
    let key = key(&headers)?;
    let body: BasketBody = parse(&sent.json(&headers)?)?;
    let seen = Seen::of(&headers, body.revision)?;
    let basket = body.basket()?;
    let (checkout, link) = guest(&merchant, &link).await?;
    let words = Words::of(Some(&limits), Some(&checkout), &basket)?;
    let checkout = checkout.update(seen.revision, &basket, &key).await.map_err(|error| seen.refused(error))?;
    words.tried(&checkout);
    Ok(private(shown(&merchant, &page, &checkout, Some(&link), false).await?))
}

/// A guest agrees to what they saw, and pays.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "complete_guest_checkout", path = "/checkouts/guest/{link}/complete", tag = "browser", request_body = CompleteBody,
    params(("link" = String, Path), ("Idempotency-Key" = String, Header), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 200, body = CheckoutBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 428, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn guest_complete(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Settings(page): Settings,
    Named(link): Named,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    from_here(&merchant, &limits, &headers)?;
    let key = key(&headers)?;
    let body: CompleteBody = parse(&sent.json(&headers)?)?;
    let seen = Seen::of(&headers, body.revision)?;
    let (checkout, link) = guest(&merchant, &link).await?;
    let checkout = agreed(checkout, &body, &seen, key).await?;
    Ok(private(shown(&merchant, &page, &checkout, Some(&link), false).await?))
}

/// A guest gives it up.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "cancel_guest_checkout", path = "/checkouts/guest/{link}/cancel", tag = "browser",
    params(("link" = String, Path)),
    responses(
        (status = 200, body = CheckoutBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn guest_cancel(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Settings(page): Settings,
    Named(link): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    from_here(&merchant, &limits, &headers)?;
    let (checkout, link) = guest(&merchant, &link).await?;
    let checkout = checkout.cancel().await?;
    Ok(private(shown(&merchant, &page, &checkout, Some(&link), false).await?))
}

/// What a caller saw of a checkout.
struct Seen {
    revision: u64,
    by_header: bool,
}

impl Seen {
    fn of(headers: &HeaderMap, said: Option<u64>) -> Result<Self, Problem> {
        let tag = match headers.get(header::IF_MATCH) {
            None => None,
            Some(tag) => {
                let tag = tag.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
                let wrong =
                    || bad_request("if_match_invalid", "`If-Match` is the `ETag` of the checkout, and one alone");
                Some(tag.ok_or_else(wrong)?)
            }
        };
        match (tag, said) {
            (Some(tag), Some(said)) if tag != said => {
                Err(bad_request("if_match_invalid", "`If-Match` and `revision` say two things"))
            }
            (Some(revision), _) => Ok(Self { revision, by_header: true }),
            (None, Some(revision)) => Ok(Self { revision, by_header: false }),
            (None, None) => Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "revision_needed",
                "say which revision you saw: `revision`, or `If-Match`",
            )),
        }
    }

    /// A precondition that fails is told as one (RFC 9110, 13.1.1).
    fn refused(&self, error: Error) -> Problem {
        match &error {
            Error::Checkout(stale @ CheckoutError::Stale { .. }) if self.by_header => {
                Problem::new(StatusCode::PRECONDITION_FAILED, stale.code(), stale.to_string())
            }
            _ => error.into(),
        }
    }
}

/// Completes it. That it is not ready is no error: its messages say why.
async fn agreed(
    checkout: Checkout,
    body: &CompleteBody,
    seen: &Seen,
    key: IdempotencyKey,
) -> Result<Checkout, Problem> {
    let total = Money::new(body.total, checkout.offering().totals.total.currency())?;
    let completion = Completion::new(seen.revision, total);
    let completion = match &body.payment.handler_id {
        Some(rail) => completion.by(rail),
        None => completion,
    };
    match completed(checkout.clone(), completion, key).await {
        Err(Error::Checkout(CheckoutError::NotReady(_))) => Ok(checkout.reload().await?),
        other => other.map_err(|error| seen.refused(error)),
    }
}

/// The customer who does something, by the body that their proof names: the proof is used up.
async fn acting(merchant: &Merchant, signed: &Signed, body: &[u8]) -> Result<Recognised, Problem> {
    Ok(signed::admit(merchant, signed, Some(body)).await?.ok_or(Refusal::NotKnown)?)
}

async fn theirs(known: &Recognised, id: &str) -> Result<Checkout, Problem> {
    let id: CheckoutId = id.parse().map_err(|_| Refusal::NoSuchCheckout)?;
    Ok(known.checkout(&id).await?)
}

fn key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let needed = "make a key for this one act, and send it in `Idempotency-Key`: sent again with it, it happens once";
    match (keys.next(), keys.next()) {
        (None, _) => Err(bad_request("idempotency_key_needed", needed)),
        (Some(key), None) => {
            let wrong = || bad_request("idempotency_key_invalid", "a key is 1 to 128 visible ASCII characters");
            key.to_str().ok().and_then(|key| key.parse().ok()).ok_or_else(wrong)
        }
        (Some(_), Some(_)) => Err(bad_request("idempotency_key_invalid", "one key, and one alone")),
    }
}

/// What no key signs for has to come from a page of this shop.
fn from_here(merchant: &Merchant, limits: &Limits, headers: &HeaderMap) -> Result<(), Problem> {
    same_origin::check(merchant, headers)?;
    limits.form()
}

async fn shown(
    merchant: &Merchant,
    page: &CheckoutPage,
    checkout: &Checkout,
    link: Option<&GuestLink>,
    is_new: bool,
) -> Result<impl IntoResponse + use<>, Problem> {
    let tag = HeaderValue::try_from(format!("\"{}\"", checkout.revision())).unwrap_or(HeaderValue::from_static("\"\""));
    let body: CheckoutBody = body::body(merchant, page, checkout, link, is_new).await?;
    Ok(([(header::ETAG, tag)], Json(body)))
}

fn private(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    keep_private(&mut response);
    response
}
