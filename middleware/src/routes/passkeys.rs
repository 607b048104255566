//! Passkeys: two steps to make one, two to sign in by one, and the customer's list of them (feature `passkey`).

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    response::IntoResponse,
    routing::{delete, post},
};
use firsthand::{Merchant, merchant::PasskeyView};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Body, Named, TokenBody, act, granted, parse, recognise};
use crate::{
    layer::Began,
    limit::Limits,
    problem::Problem,
    signed::{Proved, Signed},
};

/// What an authenticator makes comes several times in one answer of a browser: as it is, and taken apart.
const PASSKEY_BYTES_MAX: usize = 32 * 1024;

pub(super) fn routes() -> Router<Merchant> {
    let large = DefaultBodyLimit::max(PASSKEY_BYTES_MAX);
    Router::new()
        .route("/passkeys/options", post(begin).layer(large))
        .route("/passkeys", post(finish).layer(large).get(list))
        .route("/passkeys/sign-in/options", post(begin_sign_in).layer(large))
        .route("/passkeys/sign-in", post(sign_in).layer(large))
        .route("/passkeys/{id}", delete(remove))
}

/// What a browser's script hands to `navigator.credentials`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PasskeyOptionsBody {
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON()` or `parseRequestOptionsFromJSON()` (WebAuthn Level 3, 5.1).
    #[serde(rename = "publicKey")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    public_key: Value,
}

/// A passkey that was made.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PasskeyMadeBody {
    /// What the credential says by `toJSON()` (`RegistrationResponseJSON`).
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    credential: Value,
    /// What the customer calls it: one line of at most 64 characters, such as the browser's name.
    #[serde(default)]
    name: Option<String>,
}

/// A passkey that was used.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PasskeyUsedBody {
    /// What the credential says by `toJSON()` (`AuthenticationResponseJSON`).
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    credential: Value,
}

/// What came of a new passkey.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PasskeyAddedBody {
    /// The passkey, if it was added to a customer who was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    passkey: Option<PasskeyBody>,
    /// The first session, if a new customer begins with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<TokenBody>,
}

/// The customer's passkeys.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PasskeysBody {
    /// The oldest first.
    passkeys: Vec<PasskeyBody>,
}

/// A passkey.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PasskeyBody {
    /// Its name, for removal.
    id: String,
    /// What the customer calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Since when (RFC 3339).
    since: String,
    /// When it was used the last time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<String>,
    /// Whether the platform that made it may copy it to other devices: then it is as safe as the account there.
    synced: bool,
    /// Whether it said, when it was last used, that it has been copied.
    backed_up: bool,
    /// Whether nothing else leads to the customer but keys that browsers keep: warn before it is removed.
    only_way: bool,
}

/// Begins to make a passkey: for the customer of the session, or without one for somebody new.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/passkeys/options", tag = "browser", operation_id = "begin_passkey",
    params(("DPoP" = String, Header, description = "A proof by the browser's key (RFC 9449); with a session, its token beside it")),
    responses(
        (status = 200, body = PasskeyOptionsBody, description = "For five minutes, this browser and one use"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No proof, or a key that is known without its session: begin that first"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The key was signed out, or a stronger way in has to be shown first (`step_up_needed`)"),
    )
))]
pub(crate) async fn begin(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    body: Body,
) -> Answer {
    let answer = async {
        unread(&signed, &body)?;
        limits.ask(&signed.proof)?;
        let public_key = match signed.access_token {
            Some(_) => recognise(&merchant, &signed).await?.begin_passkey(&signed.proof).await?,
            None => merchant.begin_passkey(&signed.proof).await?,
        };
        Ok(Json(PasskeyOptionsBody { public_key }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The passkey was made: it is the customer's of the session, or a new customer begins with it.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/passkeys", tag = "browser", operation_id = "finish_passkey", request_body = PasskeyMadeBody,
    params(("DPoP" = String, Header, description = "A proof by the key that began; with a session, its token beside it")),
    responses(
        (status = 201, body = PasskeyAddedBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "A check of the passkey failed, or a stronger way in has to be shown first"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The passkey, or the browser's key, is somebody's already"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Nothing waits for it, or not any more"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The name is too long, or no line of text"),
    )
))]
pub(crate) async fn finish(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.json(&headers)?;
        signed.proof.check_body(&bytes, true)?;
        let PasskeyMadeBody { credential, name } = parse(&bytes)?;
        let (proof, name) = (&signed.proof, name.as_deref());
        let added = match signed.access_token {
            Some(_) => {
                let known = recognise(&merchant, &signed).await?;
                let passkey = known.finish_passkey(proof, &credential, name).await?;
                Json(PasskeyAddedBody { passkey: Some(passkey.into()), session: None }).into_response()
            }
            None => {
                let grant = merchant.finish_passkey(proof, &credential, name).await?;
                let session = Some(granted(&merchant, proof, grant).await);
                (Extension(Began), Json(PasskeyAddedBody { passkey: None, session })).into_response()
            }
        };
        Ok((StatusCode::CREATED, added))
    };
    Answer::signed(&merchant, answer.await)
}

/// Begins to sign somebody in by any passkey of this shop, also from a form that fills in passkeys.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/passkeys/sign-in/options", tag = "browser", operation_id = "begin_passkey_sign_in",
    params(("DPoP" = String, Header, description = "A proof by the browser's key")),
    responses(
        (status = 200, body = PasskeyOptionsBody, description = "For five minutes, this browser and one use"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn begin_sign_in(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    body: Body,
) -> Answer {
    let answer = async {
        unread(&signed, &body)?;
        limits.ask(&signed.proof)?;
        let public_key = merchant.begin_passkey_sign_in(&signed.proof).await?;
        Ok(Json(PasskeyOptionsBody { public_key }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The passkey was used: a session of its customer. Within a session of theirs it is a step-up, and the new session takes
/// its place.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/passkeys/sign-in", tag = "browser", operation_id = "passkey_sign_in", request_body = PasskeyUsedBody,
    params(("DPoP" = String, Header, description = "A proof by the key that began")),
    responses(
        (status = 200, body = TokenBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "A check of the passkey failed, or it leads to no customer"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is another customer's than this browser's (`another_customer`)"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Nothing waits for it, or not any more"),
    )
))]
pub(crate) async fn sign_in(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.json(&headers)?;
        proof.check_body(&bytes, true)?;
        let PasskeyUsedBody { credential } = parse(&bytes)?;
        let grant = merchant.finish_passkey_sign_in(&proof, &credential).await?;
        Ok(granted(&merchant, &proof, grant).await)
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer's passkeys.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/passkeys", tag = "customer", operation_id = "list_passkeys", security(("dpop" = [])),
    responses((status = 200, body = PasskeysBody), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn list(State(merchant): State<Merchant>, Proved(signed): Proved) -> Answer {
    let answer = async {
        let customer = recognise(&merchant, &signed).await?.customer().await?;
        let passkeys = customer.passkeys().await?.into_iter().map(PasskeyBody::from).collect();
        Ok(Json(PasskeysBody { passkeys }))
    };
    Answer::signed(&merchant, answer.await)
}

/// Removes a passkey of the customer.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/passkeys/{id}", tag = "customer", operation_id = "remove_passkey", security(("dpop" = [])),
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "It opens nothing any more"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "A strong way in has to be shown first (`step_up_needed`)"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn remove(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(id): Named,
    body: Body,
) -> Answer {
    let answer = async {
        act(&merchant, &signed, &body).await?.remove_passkey(&signed.proof, &id).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// A request whose body says nothing: if there is one, it is the one that the proof names.
fn unread(signed: &Signed, body: &Body) -> Result<(), Problem> {
    let bytes = body.0.as_ref().map_err(Clone::clone)?;
    Ok(signed.proof.check_body(bytes, !bytes.is_empty())?)
}

impl From<PasskeyView> for PasskeyBody {
    fn from(view: PasskeyView) -> Self {
        Self {
            id: view.name.as_str().to_owned(),
            name: view.label,
            since: view.since.to_string(),
            used_at: view.used_at.map(|at| at.to_string()),
            synced: view.is_synced,
            backed_up: view.is_backed_up,
            only_way: view.is_only_way,
        }
    }
}
