//! The OpenAPI document of the mounted routes, by utoipa (feature `openapi`).

use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, OpenApi as Described, Ref, RefOr, Response,
        path::Operation,
        security::{ApiKey, ApiKeyValue, SecurityScheme},
        server::Server,
    },
};

use crate::{back_office::api as office, checkouts, routes};

/// The document for routes mounted under `mount`, such as `/wallet`.
///
/// Merchants on another version of utoipa take [`openapi_json`].
#[must_use]
pub fn openapi(mount: &str) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    #[cfg(feature = "passkey")]
    document.merge(Passkeys::openapi());
    document.servers = Some(vec![Server::new(mount)]);
    let well_known = document.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/.well-known/"));
    well_known.for_each(|(_, item)| item.servers = Some(vec![Server::new("/")]));
    document
}

/// The same as JSON text.
#[must_use]
pub fn openapi_json(mount: &str) -> String {
    openapi(mount).to_pretty_json().unwrap_or_default()
}

/// The document for the merchant's API, where the [merchant's pages](crate::merchant_pages) are mounted under `mount`,
/// such as `/merchant`.
///
/// Merchants on another version of utoipa take [`merchant_openapi_json`].
#[must_use]
pub fn merchant_openapi(mount: &str) -> utoipa::openapi::OpenApi {
    let mut document = MerchantDocument::openapi();
    document.servers = Some(vec![Server::new(format!("{}/api", mount.trim_end_matches('/')))]);
    document
}

/// The same as JSON text.
#[must_use]
pub fn merchant_openapi_json(mount: &str) -> String {
    merchant_openapi(mount).to_pretty_json().unwrap_or_default()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Firsthand, for merchants",
        description = "What a program of the merchant's says to the shop: orders, money, and what other programs are told.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        office::orders,
        office::csv,
        office::order,
        office::cancel,
        office::refund,
        office::capture,
        office::close,
        office::send_anyway,
        office::release,
        office::decide,
        office::after::send_parcel,
        office::after::parcel_delivered,
        office::after::adjust,
        office::after::withdraw,
        office::after::settle,
        office::after::withdrawals,
        office::bank::refunds,
        office::bank::name_account,
        office::bank::send,
        office::bank::done,
        office::bank::reopen,
        office::bank::decide_refund,
        office::bank::transfers,
        office::bank::book,
        office::bank::assign,
        office::bank::returned,
        office::bank::same,
        office::bank::statement,
        office::bank::files,
        office::bank::make_file,
        office::bank::file,
        office::bank::webhooks,
        office::bank::enable,
        office::bank::replay,
        office::stock::stock,
        office::stock::item,
        office::stock::count,
        office::stock::receive,
        office::stock::holds,
    ),
    tags(
        (name = "orders", description = "Orders, and what can be done about them."),
        (name = "money", description = "What arrived at the bank, and what goes back."),
        (name = "outbox", description = "What other programs were told and did not take."),
        (name = "stock", description = "What is on the shelf, if the shop counts stock there; otherwise these are not there."),
    ),
    components(schemas(crate::Problem)),
    security(("operator" = [])),
    modifiers(&Keyed, &Refusals),
)]
struct MerchantDocument;

/// Every operation of the merchant's needs the key of an operator.
struct Keyed;

impl Modify for Keyed {
    fn modify(&self, document: &mut Described) {
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            "Authorization",
            "`Authorization: Bearer <key>` with the key of an operator (RFC 6750)",
        )));
        document.components.get_or_insert_with(Default::default).add_security_scheme("operator", scheme);
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                let mut response = Response::new("No key, or nobody's");
                let content = Content::new(Some(Ref::from_schema_name("Problem")));
                response.content.insert("application/problem+json".to_owned(), content.into());
                operation.responses.responses.entry("401".to_owned()).or_insert_with(|| response.into());
            }
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Firsthand",
        description = "What a browser and a wallet say to a shop: asking, answering, redeeming, recognising.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        routes::ask,
        routes::standing,
        routes::withdraw,
        routes::follow,
        routes::request,
        routes::request_post,
        routes::respond,
        routes::come_back,
        routes::begin_session,
        routes::list_sessions,
        routes::revoke_all,
        routes::revoke,
        routes::me,
        routes::export,
        routes::export_schema,
        routes::forget_me,
        routes::forget_device,
        routes::meetings::call_page,
        routes::meetings::join_page,
        routes::meetings::meet_script,
        routes::meetings::calls,
        routes::meetings::meet,
        routes::meetings::confirm,
        routes::meetings::refuse,
        routes::meetings::open_join,
        routes::meetings::join_standing,
        routes::meetings::join,
        routes::meetings::join_view,
        routes::meetings::vouch,
        routes::meetings::refuse_join,
        routes::meetings::not_me,
        routes::rename_device,
        routes::dc_api::dc_requests,
        routes::dc_api::dc_response,
        routes::dc_api::dc_script,
        routes::cookie::begin_cookie,
        routes::cookie::register_device,
        routes::cookie::refresh_cookie,
        routes::tab::tab_events,
        routes::issuer::offer,
        routes::issuer::offered,
        routes::issuer::push,
        routes::issuer::authorize,
        routes::issuer::consent_request,
        routes::issuer::consent,
        routes::issuer::token,
        routes::issuer::nonce,
        routes::issuer::credentials,
        routes::issuer::deferred,
        routes::issuer::notify,
        routes::issuer::type_metadata,
        routes::issuer::receipt_type_metadata,
        routes::issuer::status_list,
        routes::issuer::issuer_metadata,
        routes::issuer::server_metadata,
        routes::issuer::issuer_keys,
        routes::ladder::list,
        routes::ladder::remove,
        routes::ladder::history,
        routes::ladder::merges,
        routes::ladder::merge,
        routes::ladder::undo_merge,
        routes::ladder::make_code,
        routes::ladder::recover,
        routes::ladder::undo_recovery,
        routes::notice,
        routes::dids::sign_in,
        routes::dids::replace,
        routes::dids::did_document,
        routes::dids::did_log,
        checkouts::json::begin,
        checkouts::json::look,
        checkouts::json::change,
        checkouts::json::complete,
        checkouts::json::cancel,
        checkouts::json::guest_form,
        checkouts::json::guest_begin,
        checkouts::json::guest_look,
        checkouts::json::guest_change,
        checkouts::json::guest_complete,
        checkouts::json::guest_cancel,
        checkouts::begin::nothing,
        checkouts::begin::begin,
        checkouts::page::show,
        checkouts::page::act,
        checkouts::page::style,
        checkouts::order::withdraw::withdrawal,
        checkouts::order::withdraw::withdraw,
        checkouts::order::receipt::receipt,
        checkouts::order::receipt::offer,
        checkouts::order::kept::kept,
        routes::script,
        routes::account_script,
        routes::style,
    ),
    tags(
        (name = "browser", description = "Called by the shop's own pages, signed by the browser's key."),
        (name = "wallet", description = "Called by the customer's wallet (OpenID4VP 1.0)."),
        (name = "customer", description = "Called by a customer who is known."),
        (name = "issuer", description = "Called by the wallet that gets the shop's own credential (OpenID4VCI 1.0)."),
        (name = "rail", description = "Called by a payment rail."),
        (name = "public", description = "Read by anybody, at the root of the origin."),
    ),
    modifiers(&Dpop, &Refusals),
)]
struct Document;

/// What the feature `passkey` adds.
#[cfg(feature = "passkey")]
#[derive(OpenApi)]
#[openapi(
    paths(
        routes::passkeys::begin,
        routes::passkeys::finish,
        routes::passkeys::begin_sign_in,
        routes::passkeys::sign_in,
        routes::passkeys::list,
        routes::passkeys::remove,
    ),
    modifiers(&Refusals),
)]
struct Passkeys;

/// How a signed request is authorised. OpenAPI has no scheme for DPoP, so the two headers stand as one in words.
struct Dpop;

impl Modify for Dpop {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            "Authorization",
            "`Authorization: DPoP <token>` together with a `DPoP` proof of the token's key (RFC 9449)",
        )));
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("dpop", scheme);
        let wallet = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            "Authorization",
            "`Authorization: DPoP <token>` with a `DPoP` proof, or `Authorization: Bearer <token>`, as the token answer said",
        )));
        components.add_security_scheme("wallet", wallet);
    }
}

/// What any operation may answer, said once: what each has of its own stands with its handler.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut Described) {
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
                may_be_refused(operation);
            }
        }
    }
}

fn may_be_refused(operation: &mut Operation) {
    // Scripts, styles and pages that are everybody's are never refused.
    if !operation.responses.responses.keys().any(|status| status.starts_with('4')) {
        return;
    }
    let always = [("429", "Too many of these: `Retry-After` says when to come back"), ("503", "Try again later")];
    let with_body = [
        ("400", "The body is not what it should be"),
        ("408", "The body did not arrive in time"),
        ("413", "The body is too large"),
        ("415", "The body is of another media type"),
    ];
    let body = operation.request_body.as_ref();
    let any_type = body.is_some_and(|body| matches!(body, RefOr::T(body) if body.content.contains_key("*/*")));
    let with_body = with_body.into_iter().filter(|(status, _)| body.is_some() && !(any_type && *status == "415"));
    // Wallets are refused in OAuth's words.
    let to_wallets = operation.tags.iter().flatten().any(|tag| tag == "issuer");
    let (schema, media_type) =
        if to_wallets { ("OAuthErrorBody", "application/json") } else { ("Problem", "application/problem+json") };
    for (status, description) in with_body.chain(always).collect::<Vec<_>>() {
        let refusal = Content::new(Some(Ref::from_schema_name(schema)));
        let mut response = Response::new(description);
        response.content.insert(media_type.to_owned(), refusal.into());
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    }
}
