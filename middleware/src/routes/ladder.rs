//! The ways in which a customer is recognised, what happened to their record, two records that become one, and the code on
//! paper.

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::{delete, get, post},
};
use firsthand::{
    Merchant,
    customer::BindingName,
    error::Refusal,
    history::HistoryEntry,
    merchant::{BindingView, RecoveryCode},
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use super::TokenBody;
use super::{Answer, Body, JSON_BYTES_MAX, Named, act, granted, parse, recognise};
#[cfg(feature = "openapi")]
use crate::problem::Problem;
use crate::{limit::Limits, signed::Proved};

pub(super) fn routes() -> Router<Merchant> {
    Router::new()
        .route("/bindings", get(list))
        .route("/bindings/{name}", delete(remove))
        .route("/history", get(history))
        .route("/merges", get(merges).post(merge))
        .route("/merges/{id}", delete(undo_merge))
        .route("/recovery-code", post(make_code))
        .route("/recovery", delete(undo_recovery).merge(post(recover).layer(DefaultBodyLimit::max(JSON_BYTES_MAX))))
}

/// The ways in which a customer is recognised.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct BindingsBody {
    /// The strongest first.
    bindings: Vec<BindingBody>,
    /// By what this session proved to be the customer's: `recovery_code`, `browser_key`, `did`, `passkey` or
    /// `relationship_credential`.
    rung: &'static str,
    /// Until when what spends waits, because a recovery code was used (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling_until: Option<String>,
}

/// One way.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct BindingBody {
    /// Its name, for taking it away.
    name: String,
    /// How strong it is, as above.
    rung: &'static str,
    /// Its key as a DID that no other business sees. For the rung `did` that is the wallet's promise alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    did: Option<String>,
    /// Since when (RFC 3339).
    since: String,
    /// What the customer calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Whether it opens nothing any more.
    locked: bool,
    /// Whether it is the key of this browser.
    current: bool,
}

/// What happened to a customer's record.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct HistoryBody {
    /// The newest first, at most 100.
    history: Vec<HappenedBody>,
}

/// One thing that happened.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct HappenedBody {
    /// When (RFC 3339).
    at: String,
    /// What, such as `device_added`, `recovered`, `merged` or `shown_across_devices`, with what belongs to it: `rung`,
    /// `from`, `desk`, `provider`.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    what: firsthand::history::Happened,
    /// What the customer calls the device that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

/// Two records that may be one.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct MergesBody {
    /// What this browser showed in the last minutes that another record is recognised by.
    #[serde(skip_serializing_if = "Option::is_none")]
    offered: Option<OfferedBody>,
    /// The records that became this one.
    merged: Vec<MergedBody>,
}

/// What was shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OfferedBody {
    /// By what the other record is recognised.
    rung: &'static str,
    /// Since when the shop knows the other one (RFC 3339).
    since: String,
}

/// A record that became another one.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct MergedBody {
    /// The name that it had.
    id: String,
    /// Until when it can be taken apart again (RFC 3339).
    undo_until: String,
}

/// The customer that two records are by now.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct MergeBody {
    /// The name that stays.
    id: String,
}

/// A recovery code, to be written down.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CodeBody {
    /// Six groups of four letters and digits; shown this once.
    code: String,
}

/// A recovery code, as it was typed.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RecoverBody {
    /// Small letters, spaces and dashes do not matter.
    code: String,
}

impl From<BindingView> for BindingBody {
    fn from(view: BindingView) -> Self {
        Self {
            name: view.name.as_str().to_owned(),
            rung: view.rung.name(),
            did: view.did,
            since: view.since.to_string(),
            label: view.label,
            locked: view.locked,
            current: false,
        }
    }
}

/// The ways in which the customer is recognised.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/bindings", tag = "customer", security(("dpop" = [])),
    responses((status = 200, body = BindingsBody), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn list(State(merchant): State<Merchant>, Proved(signed): Proved) -> Answer {
    let answer = async {
        let recognised = recognise(&merchant, &signed).await?;
        let customer = recognised.customer().await?;
        let own = BindingName::browser_key(&signed.proof.thumbprint().to_string());
        let bindings = customer.bindings().await?.into_iter().map(|view| {
            let current = view.name == own;
            BindingBody { current, ..view.into() }
        });
        Ok(Json(BindingsBody {
            bindings: bindings.collect(),
            rung: recognised.rung().name(),
            cooling_until: customer.cooling_until().map(|until| until.to_string()),
        }))
    };
    Answer::signed(&merchant, answer.await)
}

/// Takes a way to be recognised away; sessions of a browser's key end with it.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/bindings/{name}", tag = "customer", security(("dpop" = [])), params(("name" = String, Path)),
    responses(
        (status = 204, description = "It opens nothing any more"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Show the passkey, credential or DID first"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn remove(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(name): Named,
    body: Body,
) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        let bindings = recognised.customer().await?.bindings().await?;
        let found = bindings.into_iter().find(|view| view.name.as_str() == name).ok_or(Refusal::NoSuchBinding)?;
        recognised.unbind(&signed.proof, &found.name).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// What happened to the customer's record.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/history", tag = "customer", security(("dpop" = [])),
    responses((status = 200, body = HistoryBody), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn history(State(merchant): State<Merchant>, Proved(signed): Proved) -> Answer {
    let answer = async {
        let recognised = recognise(&merchant, &signed).await?;
        let history = recognised.customer().await?.history().await?;
        let body = |HistoryEntry { at, what, device }| HappenedBody { at: at.to_string(), what, device };
        Ok(Json(HistoryBody { history: history.into_iter().map(body).collect() }))
    };
    Answer::signed(&merchant, answer.await)
}

/// Whether another record may be the same customer, and which ones became this one.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/merges", tag = "customer", security(("dpop" = [])),
    responses((status = 200, body = MergesBody), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn merges(State(merchant): State<Merchant>, Proved(signed): Proved) -> Answer {
    let answer = async {
        let recognised = recognise(&merchant, &signed).await?;
        let offered = recognised.merge_offered().await?;
        let undo_s = merchant.limits().merge_undo_s;
        let customer = recognised.customer().await?;
        let merged = customer.merged().iter().filter(|merged| merchant.now().since_s(merged.at) <= undo_s);
        let merged = merged.map(|merged| MergedBody {
            id: merged.customer.to_string(),
            undo_until: merged.at.plus_s(undo_s).to_string(),
        });
        Ok(Json(MergesBody {
            offered: offered.map(|offer| OfferedBody { rung: offer.rung.name(), since: offer.since.to_string() }),
            merged: merged.collect(),
        }))
    };
    Answer::signed(&merchant, answer.await)
}

/// Makes this record and the one whose credential, passkey or DID this browser has just shown one customer.
///
/// After `another_customer` (409), and after the customer has said that both are them. The session may be over after this:
/// the browser's key begins a new one.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/merges", tag = "customer", security(("dpop" = [])),
    responses(
        (status = 200, body = MergeBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "This record's own passkey, credential or DID has to be shown first, or the session began on another device"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Nothing was shown in the last minutes"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Both keep different values of a claim: they are two people"),
    )
))]
pub(crate) async fn merge(State(merchant): State<Merchant>, Proved(signed): Proved, body: Body) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        let id = recognised.merge(&signed.proof).await?.to_string();
        Ok(Json(MergeBody { id }))
    };
    Answer::signed(&merchant, answer.await)
}

/// Takes two records apart again that became one.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/merges/{id}", tag = "customer", security(("dpop" = [])), params(("id" = String, Path, description = "The name of the record that became this one")),
    responses(
        (status = 204, description = "They are two again"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "They never were two, or it is too late"),
    )
))]
pub(crate) async fn undo_merge(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(id): Named,
    body: Body,
) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        let id = id.parse().map_err(|_| Refusal::NothingToUndo)?;
        recognised.undo_merge(&signed.proof, &id).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// Makes a recovery code; an earlier one is void.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/recovery-code", tag = "customer", security(("dpop" = [])),
    responses(
        (status = 201, body = CodeBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn make_code(State(merchant): State<Merchant>, Proved(signed): Proved, body: Body) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        let code = recognised.make_recovery_code(&signed.proof).await?.reveal();
        Ok((StatusCode::CREATED, Json(CodeBody { code })))
    };
    Answer::signed(&merchant, answer.await)
}

/// Comes back by a recovery code, which is used up: all other sessions end, and what spends waits for three days.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/recovery", tag = "browser", request_body = RecoverBody,
    params(("DPoP" = String, Header, description = "A proof by a key that is nobody's, or this customer's")),
    responses(
        (status = 200, body = TokenBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Nobody's code, or not any more"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "This browser's key is another customer's: begin with a new one"),
    )
))]
pub(crate) async fn recover(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.json(&headers)?;
        signed.proof.check_body(&bytes, false)?;
        limits.ask(&signed.proof)?;
        let body: RecoverBody = parse(&bytes)?;
        let code: RecoveryCode = body.code.parse().map_err(|_| Refusal::NotRecognised)?;
        let grant = merchant.recover(&signed.proof, &code).await?;
        Ok(granted(&merchant, &signed.proof, grant).await)
    };
    Answer::signed(&merchant, answer.await)
}

/// Undoes a recovery by a code: it was somebody else. What was added since then is taken away.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/recovery", tag = "customer", security(("dpop" = [])),
    responses(
        (status = 204, description = "Undone"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Show something from before the recovery first"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "There was none lately"),
    )
))]
pub(crate) async fn undo_recovery(State(merchant): State<Merchant>, Proved(signed): Proved, body: Body) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        recognised.undo_recovery(&signed.proof).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}
