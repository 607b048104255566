//! The development wallet: a phone on the screen of whoever builds the shop, with invented people in it.
//!
//! Its page speaks to the shop as any wallet does, over HTTP: it fetches the request, and posts the answer. What a
//! browser cannot do, or should not hold, happens here: reading the request, and signing for a person.
//!
//! It stands on loopback alone, and answers to nobody but its own page: a page of another site that reached it could
//! read and sign what it likes, by a form of its own or by a name that it points at this machine (DNS rebinding).

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, RawQuery, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use firsthand::{
    Merchant,
    ask::documents::{AGE_EU, MDL, PID, PID_MDOC},
    env::{Env, SystemEnv},
    limits::Limits,
    merchant::dev::{Development, STATUS_PATH, WALLET_PATH},
    protocol::{
        jose::{Jws, base64url_decode},
        json,
        openid4vp::ResponseMode,
        x509::Certificate,
    },
    testing::{
        cast::Persona,
        collector::Collector,
        wallet::{self, Chosen, Link, WalletError},
    },
    time::UnixTime,
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::{runtime::Handle, task::spawn_blocking};
use tower::ServiceExt;

use crate::{
    extract::page,
    problem::Problem,
    routes::{Body, parse},
    web::{Lang, escape},
};

mod dc_api;

const SCRIPT: &str = include_str!("dev_wallet/wallet.js");
const STYLE: &str = include_str!("dev_wallet/wallet.css");

/// The page has one script and one style sheet, both its own, talks to this origin alone, and makes its elements one by
/// one: no text ever becomes markup.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// What a script sends besides the request object: a link, a nonce, a name.
const BESIDES_BYTES_MAX: usize = 16 * 1024;
/// What the shop's issuer answers to a wallet: a batch of credentials.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How the type of a card ends that a shop gives to its customers.
const RELATIONSHIP: &str = "/relationship";

/// The wallet at [`WALLET_PATH`] and the status list of the credentials in it at [`STATUS_PATH`].
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(merchant: &Merchant) -> Router<S> {
    let below = |name: &str| format!("{WALLET_PATH}/{name}");
    let bytes_max = merchant.limits().jws_bytes.saturating_add(BESIDES_BYTES_MAX);
    Router::new()
        .route(WALLET_PATH, get(screen))
        .route(&below("wallet.js"), get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .route(&below("wallet.css"), get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route(&below("read"), post(read))
        .route(&below("answer"), post(answer))
        .route(&below("decline"), post(decline))
        .route(&below("dc"), post(dc_api::answer))
        .route(&below("offer"), post(offer))
        .route(&below("receive"), post(receive))
        .route(STATUS_PATH, get(status_list))
        .layer(DefaultBodyLimit::max(bytes_max))
        .route_layer(from_fn_with_state(merchant.clone(), only_here))
        .with_state(merchant.clone())
}

/// Lets nobody in but this machine, by the shop's own address, and nothing be done but by a page of this address.
async fn only_here(State(merchant): State<Merchant>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match admit(&merchant, &parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

fn admit(merchant: &Merchant, parts: &Parts) -> Result<(), Problem> {
    let refused = |code, detail: String| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    if peer.is_some_and(|peer| !peer.0.ip().to_canonical().is_loopback()) {
        return refused("not_loopback", "the development wallet is for this machine alone".to_owned());
    }
    let origin = merchant.origin();
    // A name that somebody points at this machine is still another name: DNS rebinding ends here.
    let mut named = parts.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    named.extend(parts.uri.authority().map(|authority| authority.as_str().as_bytes()));
    if named.is_empty() || !named.iter().all(|host| host.eq_ignore_ascii_case(origin.authority().as_bytes())) {
        return refused("wrong_host", format!("open {}{WALLET_PATH}", origin.as_str().trim_end_matches('/')));
    }
    if parts.method.is_safe() {
        return Ok(());
    }
    // CSRF: browsers say who sends. JSON, which every POST must be, needs a permission that nobody here gives.
    let all = |name: &str, allowed: &dyn Fn(&[u8]) -> bool| {
        parts.headers.get_all(name).iter().all(|value| allowed(value.as_bytes()))
    };
    let own = origin.origin().ascii_serialization();
    let by_us = all("sec-fetch-site", &|site| matches!(site, b"same-origin" | b"none"))
        && all("origin", &|sender| sender == own.as_bytes());
    if !by_us {
        return refused("cross_site", "the development wallet listens to its own page alone".to_owned());
    }
    Ok(())
}

/// What the page has in its hands: the link that it was opened with, and what came back from there.
#[derive(Deserialize)]
struct ReadBody {
    /// The link, of any scheme.
    link: String,
    /// The request object.
    object: String,
    /// The nonce that the page sent for it, if it sent one.
    #[serde(default)]
    wallet_nonce: Option<String>,
    /// Who answers.
    #[serde(default)]
    persona: Option<String>,
    /// With which of their choices.
    #[serde(default)]
    choice: usize,
}

/// The consent screen.
#[derive(Serialize)]
struct ConsentBody {
    who: WhoBody,
    response_mode: &'static str,
    transactions: Vec<TransactionBody>,
    people: Vec<PersonBody>,
}

/// Who asks.
#[derive(Serialize)]
struct WhoBody {
    /// What they call themselves.
    name: Option<String>,
    client_id: String,
    /// Where the answer goes.
    host: String,
    /// Whom the certificate names, and who issued it.
    subject: String,
    issuer: String,
    /// Whether the certificate leads to the development authority.
    certified: bool,
}

/// What the answer also signs.
#[derive(Serialize)]
struct TransactionBody {
    #[serde(rename = "type")]
    kind: String,
    members: Vec<LineBody>,
}

/// What one person would show.
#[derive(Serialize)]
struct PersonBody {
    id: &'static str,
    name: &'static str,
    about: &'static str,
    /// What fits the question, what the shop would rather have first. None if nothing does.
    choices: Vec<ChoiceBody>,
}

/// Credentials that answer the question together.
#[derive(Serialize)]
struct ChoiceBody {
    shown: Vec<ShownBody>,
}

/// What would be shown of one credential.
#[derive(Serialize)]
struct ShownBody {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    /// What the format is called.
    format: &'static str,
    claims: Vec<LineBody>,
}

/// One value, by its name in words and by its path.
#[derive(PartialEq, Serialize)]
struct LineBody {
    name: String,
    path: String,
    value: Value,
}

/// What the page has of an offer.
#[derive(Deserialize)]
struct OfferLinkBody {
    /// The link, of any scheme.
    link: String,
    /// Who keeps the card.
    #[serde(default)]
    persona: Option<String>,
    /// The number that the shop shows.
    #[serde(default)]
    tx_code: Option<String>,
}

/// Who offers what.
#[derive(Serialize)]
struct OfferedBody {
    /// What the shop calls itself.
    name: String,
    host: String,
    /// What it calls the card.
    card: String,
    /// How many digits the number has, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    digits: Option<u64>,
    people: Vec<HolderBody>,
}

/// Who may keep it.
#[derive(Serialize)]
struct HolderBody {
    id: &'static str,
    name: &'static str,
    about: &'static str,
}

/// Whose wallet has it now.
#[derive(Serialize)]
struct ReceivedBody {
    name: &'static str,
}

/// What the page is to post, and where.
#[derive(Serialize)]
struct SendBody {
    response_uri: String,
    form: String,
}

/// The page: static but for its language. What it is about stands in its address, which its script reads.
async fn screen(State(merchant): State<Merchant>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let html = page_of(Lang::of(&headers), query.is_some_and(|query| !query.is_empty()), merchant.development());
    page(StatusCode::OK, html, &HeaderValue::from_static(CSP))
}

async fn read(State(merchant): State<Merchant>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let asked = Asked::read(&merchant, &headers, body)?;
    let lang = Lang::of(&headers);
    let development = development(&merchant)?;
    let people = development.personas().iter().map(|persona| asked.person(development, persona, lang));
    let request = &asked.request;
    private(ConsentBody {
        who: WhoBody {
            name: request.client_name.clone(),
            client_id: request.client_id.clone(),
            host: request.response_uri.authority().to_owned(),
            subject: asked.leaf.subject().to_owned(),
            issuer: asked.leaf.issuer().to_owned(),
            certified: asked.certified,
        },
        response_mode: match request.response_mode {
            ResponseMode::DirectPost => "direct_post",
            ResponseMode::DirectPostJwt => "direct_post.jwt",
        },
        transactions: request.transaction_data.iter().map(|data| transaction(data, lang)).collect::<Result<_, _>>()?,
        people: people.collect(),
    })
}

async fn answer(State(merchant): State<Merchant>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let asked = Asked::read(&merchant, &headers, body)?;
    let id = asked.persona.as_deref().unwrap_or_default();
    let wallet = development(&merchant)?.wallet(id).ok_or_else(nobody)?;
    let choice = wallet.choices(&asked.request).into_iter().nth(asked.choice).ok_or(WalletError::Unanswerable);
    let form = choice.and_then(|choice| wallet.answer(&asked.request, &choice, &[], &WalletEnv(merchant.clone())));
    private(SendBody { response_uri: asked.request.response_uri.to_string(), form: form.map_err(|e| unreadable(&e))? })
}

async fn decline(State(merchant): State<Merchant>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let asked = Asked::read(&merchant, &headers, body)?;
    let form = asked.request.error("access_denied");
    private(SendBody { response_uri: asked.request.response_uri.to_string(), form })
}

/// What an offer says, before anybody takes it.
async fn offer(State(merchant): State<Merchant>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let body: OfferLinkBody = parse(&body.json(&headers)?)?;
    let lang = Lang::of(&headers);
    let holder = |it: &Persona| HolderBody { id: it.id, name: it.name, about: about(it, lang) };
    let people = development(&merchant)?.personas().iter().map(holder).collect();
    let host = merchant.origin().authority().to_owned();
    let (offer, issuer) = aside(async move || {
        let (carrier, env) = (Carrier::to(&merchant), WalletEnv(merchant));
        let visit = Collector::open(&body.link, &env, async |request| carrier.carry(request).await).await?;
        Ok((visit.offer, visit.issuer))
    })
    .await?;
    let named = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let configuration = offer.configurations.first().map(String::as_str).unwrap_or_default();
    let described = issuer.get("credential_configurations_supported").and_then(|all| all.get(configuration));
    let tx_code = offer.pre_authorized.as_ref().and_then(|grant| grant.tx_code.as_ref());
    private(OfferedBody {
        name: named(issuer.pointer("/display/0/name")).unwrap_or_else(|| host.clone()),
        host,
        card: named(described.and_then(|card| card.pointer("/credential_metadata/display/0/name")))
            .unwrap_or_else(|| type_in_words(RELATIONSHIP, lang)),
        digits: tx_code.map(|tx_code| tx_code.length.unwrap_or(6)),
        people,
    })
}

/// Gets the card, as any wallet does, and keeps it.
async fn receive(State(merchant): State<Merchant>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let body: OfferLinkBody = parse(&body.json(&headers)?)?;
    let holder = development(&merchant)?.persona(body.persona.as_deref().unwrap_or_default()).ok_or_else(nobody)?;
    let (id, name) = (holder.id, holder.name);
    let shop = merchant.clone();
    let received = aside(async move || {
        let mut received = wallet::Wallet::new();
        let (carrier, env) = (Carrier::to(&shop), WalletEnv(shop));
        let tx_code = body.tx_code.as_deref().map(str::trim).filter(|tx_code| !tx_code.is_empty());
        received.receive(&body.link, tx_code, &env, async |request| carrier.carry(request).await).await?;
        Ok(received)
    })
    .await?;
    development(&merchant)?.keep(id, &received)?;
    private(ReceivedBody { name })
}

/// Runs a visit at the issuer on a thread of its own: the compiler cannot see that its future may change threads.
async fn aside<T: Send + 'static>(
    visit: impl AsyncFnOnce() -> Result<T, WalletError> + Send + 'static,
) -> Result<T, Problem> {
    let runtime = Handle::current();
    match spawn_blocking(move || runtime.block_on(visit())).await {
        Ok(outcome) => outcome.map_err(|error| untaken(&error)),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())),
    }
}

/// Carries a wallet's requests to the routes of this shop. It has no way to another one.
struct Carrier {
    router: Router,
    own: String,
}

impl Carrier {
    fn to(merchant: &Merchant) -> Self {
        Self { router: crate::routes(merchant), own: merchant.origin().authority().to_owned() }
    }

    async fn carry(&self, request: http::Request<Vec<u8>>) -> http::Response<Vec<u8>> {
        let mut refused = http::Response::new(Vec::new());
        *refused.status_mut() = StatusCode::MISDIRECTED_REQUEST;
        if !request.uri().authority().is_some_and(|named| named.as_str().eq_ignore_ascii_case(&self.own)) {
            return refused;
        }
        let Ok(response) = self.router.clone().oneshot(request.map(axum::body::Body::from)).await;
        let (parts, body) = response.into_parts();
        match axum::body::to_bytes(body, ANSWER_BYTES_MAX).await {
            Ok(bytes) => http::Response::from_parts(parts, bytes.to_vec()),
            Err(_) => refused,
        }
    }
}

fn nobody() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_persona", "nobody in the development wallet is called so")
}

/// Why a card was not taken.
fn untaken(error: &WalletError) -> Problem {
    let (code, detail) = match error {
        WalletError::Refused { status: 421, .. } => {
            ("another_shop", "this wallet takes cards of the shop that it belongs to, and of no other".to_owned())
        }
        WalletError::Refused { error, .. } if error == "invalid_grant" => ("invalid_grant", error.clone()),
        WalletError::Offer => ("link_refused", error.to_string()),
        _ => ("offer_refused", error.to_string()),
    };
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}

/// What the issuer of these people says about their credentials, as of now.
async fn status_list(State(merchant): State<Merchant>) -> Result<Response, Problem> {
    let token = development(&merchant)?.cast().status_list(merchant.now())?;
    Ok(asset("application/statuslist+jwt", token))
}

/// A request that a careful wallet would show to a person.
struct Asked {
    request: wallet::Request,
    leaf: Certificate,
    certified: bool,
    persona: Option<String>,
    choice: usize,
}

impl Asked {
    /// Reads it anew with every step, since nothing is kept between them.
    fn read(merchant: &Merchant, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let body: ReadBody = parse(&body.json(headers)?)?;
        let limits = merchant.limits();
        let link = Link::parse(&body.link).map_err(|e| unreadable(&e))?;
        let anchors: Vec<&Certificate> = merchant.development_access_ca().into_iter().collect();
        let nonce = body.wallet_nonce.as_deref();
        let request = wallet::Request::read(&link, &body.object, nonce, &anchors, merchant.now(), limits)
            .map_err(|e| unreadable(&e))?;
        let leaf = leaf(&body.object, limits).map_err(|e| unreadable(&e))?;
        Ok(Self { request, leaf, certified: !anchors.is_empty(), persona: body.persona, choice: body.choice })
    }

    fn person(&self, development: &Development, persona: &Persona, lang: Lang) -> PersonBody {
        let wallet = development.wallet(persona.id).unwrap_or_default();
        let choice = |choice: &wallet::Choice| ChoiceBody {
            shown: choice.shown().iter().map(|one| shown(&wallet, one, lang)).collect(),
        };
        PersonBody {
            id: persona.id,
            name: persona.name,
            about: about(persona, lang),
            choices: wallet.choices(&self.request).iter().map(choice).collect(),
        }
    }
}

/// The merchant's clock, which may have been moved, and the system's randomness.
#[derive(Debug)]
struct WalletEnv(Merchant);

impl Env for WalletEnv {
    fn now(&self) -> UnixTime {
        self.0.now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemEnv.fill(bytes);
    }
}

fn leaf(object: &str, limits: &Limits) -> Result<Certificate, WalletError> {
    let jws = Jws::parse(object, limits)?;
    let der = jws.header().x5c.iter().flatten().next().map(Vec::as_slice).unwrap_or_default();
    Ok(Certificate::from_der(der)?)
}

fn shown(wallet: &wallet::Wallet, chosen: &Chosen, lang: Lang) -> ShownBody {
    let holding = wallet.holdings().get(chosen.holding);
    let kind = holding.and_then(|holding| holding.types().first()).cloned().unwrap_or_default();
    let mut claims = Vec::new();
    for path in &chosen.paths {
        for line in holding.map(|holding| lines(holding.claims(), path, lang)).unwrap_or_default() {
            // A query may ask for an address and for a line of it.
            if !claims.contains(&line) {
                claims.push(line);
            }
        }
    }
    let format = match holding.map(wallet::Holding::format) {
        Some("mso_mdoc") => "mdoc",
        _ => "SD-JWT VC",
    };
    ShownBody { name: type_in_words(&kind, lang), format, kind, claims }
}

/// What a path of the query (OpenID4VP 1.0, 7) shows, down to single values: an address line by line.
fn lines(claims: &Value, path: &[Value], lang: Lang) -> Vec<LineBody> {
    let mut found: Vec<(Vec<&str>, &Value)> = vec![(Vec::new(), claims)];
    for component in path {
        let mut next = Vec::new();
        for (mut names, value) in found {
            match (component, value) {
                (Value::String(name), Value::Object(members)) => {
                    names.push(name);
                    next.extend(members.get(name).map(|value| (names, value)));
                }
                (Value::Null, Value::Array(elements)) => {
                    next.extend(elements.iter().map(|element| (names.clone(), element)));
                }
                (Value::Number(index), Value::Array(elements)) => {
                    let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
                    next.extend(index.and_then(|index| elements.get(index)).map(|value| (names, value)));
                }
                _ => {}
            }
        }
        found = next;
    }
    leaves(found, lang)
}

fn leaves<'a>(mut open: Vec<(Vec<&'a str>, &'a Value)>, lang: Lang) -> Vec<LineBody> {
    let mut lines = Vec::new();
    open.reverse();
    while let Some((names, value)) = open.pop() {
        match value {
            Value::Object(members) => open.extend(members.iter().rev().map(|(name, value)| {
                let names: Vec<&str> = names.iter().copied().chain([name.as_str()]).collect();
                (names, value)
            })),
            Value::Array(elements) => open.extend(elements.iter().rev().map(|element| (names.clone(), element))),
            value => {
                lines.push(LineBody { name: in_words(&names, lang), path: names.join("."), value: value.clone() });
            }
        }
    }
    lines
}

/// A transaction as its signer should see it: everything in it.
fn transaction(data: &str, lang: Lang) -> Result<TransactionBody, Problem> {
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, "request_refused", "the transaction data cannot be read");
    let bytes = base64url_decode(data).map_err(|_| wrong())?;
    let Ok(Value::Object(mut members)) = json::parse(&bytes, 8) else { return Err(wrong()) };
    let Some(Value::String(kind)) = members.remove("type") else { return Err(wrong()) };
    let members: Map<String, Value> = members.into_iter().filter(|(name, _)| !is_protocols(name)).collect();
    let members = members.iter().map(|(name, value)| (vec![name.as_str()], value)).collect();
    Ok(TransactionBody { kind, members: leaves(members, lang) })
}

/// Members of transaction data that say how, not what.
fn is_protocols(member: &str) -> bool {
    matches!(member, "credential_ids" | "transaction_data_hashes_alg")
}

fn type_in_words(kind: &str, lang: Lang) -> String {
    match (kind, lang) {
        (PID | PID_MDOC, Lang::En) => "EU identity".to_owned(),
        (PID | PID_MDOC, Lang::De) => "EU-Identität".to_owned(),
        (MDL, Lang::En) => "Driving licence".to_owned(),
        (MDL, Lang::De) => "Führerschein".to_owned(),
        (AGE_EU, Lang::En) => "Proof of age".to_owned(),
        (AGE_EU, Lang::De) => "Altersnachweis".to_owned(),
        (national, Lang::En) if national.starts_with("urn:eudi:pid:") => "National identity".to_owned(),
        (national, Lang::De) if national.starts_with("urn:eudi:pid:") => "Nationale Identität".to_owned(),
        (card, Lang::En) if card.ends_with(RELATIONSHIP) => "Customer card".to_owned(),
        (card, Lang::De) if card.ends_with(RELATIONSHIP) => "Kundenkarte".to_owned(),
        _ => kind.to_owned(),
    }
}

/// A claim as a person calls it; one that is not known keeps its name.
fn in_words(names: &[&str], lang: Lang) -> String {
    let age = match names {
        ["age_equal_or_over", years] => Some(*years),
        [.., name] => name.strip_prefix("age_over_"),
        [] => None,
    };
    if let Some(years) = age {
        return match lang {
            Lang::En => format!("At least {years} years old"),
            Lang::De => format!("Mindestens {years} Jahre alt"),
        };
    }
    let [en, de] = match names.last().copied().unwrap_or_default() {
        "given_name" => ["Given name", "Vorname"],
        "family_name" => ["Family name", "Nachname"],
        "birth_given_name" => ["Given name at birth", "Geburtsvorname"],
        "birth_family_name" => ["Family name at birth", "Geburtsname"],
        "birthdate" | "birth_date" => ["Date of birth", "Geburtsdatum"],
        "place_of_birth" | "birth_place" => ["Place of birth", "Geburtsort"],
        "age_in_years" => ["Age", "Alter"],
        "age_birth_year" => ["Year of birth", "Geburtsjahr"],
        "nationalities" | "nationality" => ["Nationality", "Staatsangehörigkeit"],
        "address" => ["Address", "Anschrift"],
        "formatted" => ["Address as written", "Anschrift, wie man sie schreibt"],
        "street_address" | "resident_street" | "resident_address" => ["Street", "Straße"],
        "house_number" => ["House number", "Hausnummer"],
        "postal_code" | "resident_postal_code" => ["Postal code", "Postleitzahl"],
        "locality" | "resident_city" => ["Town", "Ort"],
        "region" => ["Region", "Region"],
        "country" | "resident_country" => ["Country", "Land"],
        "email" => ["E-mail address", "E-Mail-Adresse"],
        "phone_number" => ["Phone number", "Telefonnummer"],
        "picture" | "portrait" => ["Portrait", "Lichtbild"],
        "sex" => ["Sex", "Geschlecht"],
        "shop_did" => {
            ["The name that the shop has towards you alone", "Der Name, den der Shop nur Ihnen gegenüber hat"]
        }
        "personal_administrative_number" => ["Personal number", "Personennummer"],
        _ => return names.join("."),
    };
    match lang {
        Lang::En => en.to_owned(),
        Lang::De => de.to_owned(),
    }
}

fn about(persona: &Persona, lang: Lang) -> &'static str {
    let [en, de] = persona.about;
    match lang {
        Lang::En => en,
        Lang::De => de,
    }
}

fn page_of(lang: Lang, asked: bool, development: Option<&Development>) -> String {
    let (title, banner, noscript) = match lang {
        Lang::En => {
            ("Development wallet", "Development wallet: everybody here is invented", "This wallet needs JavaScript.")
        }
        Lang::De => {
            ("Entwicklungs-Wallet", "Entwicklungs-Wallet: Alle hier sind erfunden", "Diese Wallet braucht JavaScript.")
        }
    };
    let tag = lang.tag();
    let noscript = format!("<noscript><p>{noscript}</p></noscript>");
    let main = if asked {
        // The script says what goes on.
        format!("<main id=\"wallet\" aria-busy=\"true\">{noscript}</main>")
    } else {
        format!("<main id=\"wallet\">\n{}{noscript}</main>", start(lang, development))
    };
    format!(
        "<!doctype html>
<html lang=\"{tag}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"robots\" content=\"noindex\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>{title}</title>
<link rel=\"icon\" href=\"data:,\">
<link rel=\"stylesheet\" href=\"{WALLET_PATH}/wallet.css\">
<script type=\"module\" src=\"{WALLET_PATH}/wallet.js\"></script>
</head>
<body>
<p class=\"banner\">{banner}</p>
<div class=\"phone\">
{main}
<p class=\"said\" id=\"said\" role=\"status\"></p>
</div>
</body>
</html>
"
    )
}

/// The first screen of a wallet that nobody asks anything: who is in it, and a place for what a QR code says.
fn start(lang: Lang, development: Option<&Development>) -> String {
    let (title, text, label, open, inside) = match lang {
        Lang::En => (
            "Your wallet",
            "Begin in the shop: its button leads here. Or paste what its QR code says.",
            "Link of the QR code",
            "Open",
            "In this wallet",
        ),
        Lang::De => (
            "Ihre Wallet",
            "Beginnen Sie im Shop: Sein Knopf führt hierher. Oder fügen Sie ein, was sein QR-Code sagt.",
            "Link des QR-Codes",
            "Öffnen",
            "In dieser Wallet",
        ),
    };
    let people = development.into_iter().flat_map(|development| {
        development.personas().iter().map(|persona| person_in_list(persona, development.cards(persona.id), lang))
    });
    let people: String = people.collect();
    format!(
        "<h1 tabindex=\"-1\">{title}</h1>
<p>{text}</p>
<form id=\"open\">
<label for=\"link\">{label}</label>
<input id=\"link\" name=\"link\" required autocomplete=\"off\" spellcheck=\"false\" placeholder=\"openid4vp://?client_id=…\">
<button class=\"main\">{open}</button>
</form>
<h2>{inside}</h2>
<ul class=\"list\">
{people}</ul>
"
    )
}

fn person_in_list(persona: &Persona, cards: usize, lang: Lang) -> String {
    let initials: String = persona.name.split(' ').filter_map(|word| word.chars().next()).collect();
    format!(
        "<li><span class=\"face\" aria-hidden=\"true\">{}</span><span><b>{}</b> {}{}</span></li>\n",
        escape(&initials),
        escape(persona.name),
        escape(about(persona, lang)),
        match (cards, lang) {
            (0, _) => "",
            (_, Lang::En) => " Has a customer card of this shop.",
            (_, Lang::De) => " Hat eine Kundenkarte dieses Shops.",
        },
    )
}

/// What is served as it is. Never kept: whoever develops wants what is there now.
fn asset(media_type: &'static str, text: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, text).into_response()
}

/// An answer to the page's script.
fn private(body: impl Serialize) -> Result<Response, Problem> {
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, Json(body)).into_response())
}

/// Why the wallet does not show this to a person. A developer wants the reason.
fn unreadable(error: &WalletError) -> Problem {
    let code = match error {
        WalletError::Link { .. } => "link_refused",
        WalletError::Unanswerable => "unanswerable",
        _ => "request_refused",
    };
    Problem::new(StatusCode::BAD_REQUEST, code, error.to_string())
}

/// There is one wherever these routes are.
fn development(merchant: &Merchant) -> Result<&Development, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "no_development", "this shop is no development set-up");
    merchant.development().ok_or_else(missing)
}

#[cfg(test)]
#[cfg(feature = "https")]
mod tests {
    use axum::body::{Body, to_bytes};
    use firsthand::{
        Ask, Device, Wanted,
        ask::PID,
        merchant::{AskRequest, BrowserProof, Invitation, IssuerProfile, ProofRequest, Redemption, SessionGrant},
        presentation::{PresentationId, ResponseCode},
        protocol::{
            jose::{SigningKey, base64url_encode, sha256},
            status_list::StatusList,
        },
    };
    use http::Method;
    use serde_json::json;
    use tower::ServiceExt;
    use url::Url;

    use super::*;

    /// A development shop on a port of its own: its merchant fetches the status list from itself.
    struct Shop {
        merchant: Merchant,
        router: Router,
        folder: std::path::PathBuf,
        server: tokio::task::JoinHandle<()>,
        browser: SigningKey,
    }

    impl Drop for Shop {
        fn drop(&mut self) {
            self.server.abort();
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    impl Shop {
        async fn open() -> Self {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let origin = Url::parse(&format!("http://{address}")).unwrap();
            let folder = std::env::temp_dir().join(format!("firsthand-wallet-{}", address.port()));
            let merchant = Self::merchant(origin, &folder).await;
            let router: Router = crate::routes(&merchant);
            let served = router.clone().into_make_service_with_connect_info::<SocketAddr>();
            let server = tokio::spawn(async move { axum::serve(listener, served).await.unwrap() });
            let mut scalar = [0; 32];
            SystemEnv.fill(&mut scalar);
            Self { merchant, router, folder, server, browser: SigningKey::from_p256_scalar(&scalar).unwrap() }
        }

        async fn merchant(origin: Url, folder: &std::path::Path) -> Merchant {
            let name = Wanted::sd_jwt_vc(PID).claim(["given_name"]).claim(["address"]);
            let builder = Merchant::dev_at(origin, folder).await.unwrap();
            builder
                .ask(&Ask::new("age", "Wine is sold to adults").over(18))
                .ask(&Ask::new("address", "To send you what you order").credential("pid", name))
                .ask(&Ask::new("welcome", "So that we know you again").recognise())
                .relationship(IssuerProfile::Open)
                .build()
                .unwrap()
        }

        /// Another merchant over the same folder.
        async fn restart(&mut self) {
            self.merchant = Self::merchant(self.merchant.origin().clone(), &self.folder).await;
            self.router = crate::routes(&self.merchant);
        }

        fn authority(&self) -> &str {
            self.merchant.origin().authority()
        }

        fn proof(&self, path: &str) -> BrowserProof {
            self.proof_of(path, None)
        }

        fn proof_with(&self, path: &str, token: &str) -> BrowserProof {
            self.proof_of(path, Some(token))
        }

        /// Fetches the result of a request that the wallet answered.
        async fn redeem(&self, id: &PresentationId, answer: Option<&Value>) -> SessionGrant {
            let uri = answer.map(|answer| Url::parse(answer["redirect_uri"].as_str().unwrap()).unwrap());
            let code: Option<ResponseCode> =
                uri.map(|uri| uri.fragment().unwrap().strip_prefix("response_code=").unwrap().parse().unwrap());
            let redemption = Redemption { presentation: id, response_code: code.as_ref() };
            self.merchant.redeem(&self.proof("/wallet/sessions"), &redemption).await.unwrap()
        }

        fn proof_of(&self, path: &str, token: Option<&str>) -> BrowserProof {
            let mut jti = [0; 16];
            SystemEnv.fill(&mut jti);
            let header = json!({"typ": "dpop+jwt", "jwk": self.browser.public_key().to_jwk()});
            let mut claims = json!({
                "jti": format!("{jti:?}"), "htm": "POST", "htu": self.merchant.origin().join(path).unwrap().as_str(),
                "iat": self.merchant.now(), "nonce": self.merchant.nonce(),
            });
            if let Some(token) = token {
                claims["ath"] = base64url_encode(&sha256(token.as_bytes())).into();
            }
            let proof = self.browser.sign_jws(header.as_object().unwrap(), &claims).unwrap();
            let request = ProofRequest { proof: &proof, method: "POST", path, access_token: token };
            self.merchant.check_proof(&request).unwrap()
        }

        async fn ask(&self, ask: &str, device: Device) -> Invitation {
            let proof = self.proof("/wallet/presentations");
            self.merchant.ask(&proof, &AskRequest { ask, device, return_to: None }).await.unwrap()
        }

        async fn refusal(&self, id: &PresentationId) -> Option<String> {
            self.merchant.standing(id, &self.proof("/wallet/presentations")).await.unwrap().last_refusal
        }

        async fn send(&self, request: http::request::Builder, body: String) -> (StatusCode, HeaderMap, String) {
            let request = request.body(Body::from(body)).unwrap();
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let bytes = to_bytes(body, 1024 * 1024).await.unwrap();
            (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
        }

        /// As the page's script would in a browser.
        async fn post(&self, path: &str, media_type: &str, body: String) -> (StatusCode, String) {
            let request = self.request(Method::POST, path).header("content-type", media_type);
            let (status, _, body) = self.send(request, body).await;
            (status, body)
        }

        async fn step(&self, step: &str, body: &Value) -> (StatusCode, Value) {
            let (status, body) =
                self.post(&format!("{WALLET_PATH}/{step}"), "application/json", body.to_string()).await;
            (status, serde_json::from_str(&body).unwrap())
        }

        fn request(&self, method: Method, path: &str) -> http::request::Builder {
            let request = http::Request::builder().method(method).uri(path).header("host", self.authority());
            request.header("sec-fetch-site", "same-origin").header("origin", format!("http://{}", self.authority()))
        }

        /// Fetches a request as the page does, and gives what every later step begins with.
        async fn fetch(&self, invitation: &Invitation) -> Value {
            let nonce = "a-nonce-of-the-wallet";
            let form = "application/x-www-form-urlencoded";
            let (status, object) =
                self.post(invitation.request_uri.as_ref().unwrap().path(), form, Link::form(nonce)).await;
            assert_eq!(status, StatusCode::OK, "{object}");
            json!({"link": invitation.wallet_uri, "object": object, "wallet_nonce": nonce})
        }

        /// Lets the page's script post what a step made.
        async fn deliver(&self, made: &Value) -> (StatusCode, Value) {
            let uri = Url::parse(made["response_uri"].as_str().unwrap()).unwrap();
            let form = made["form"].as_str().unwrap().to_owned();
            let (status, body) = self.post(uri.path(), "application/x-www-form-urlencoded", form).await;
            (status, serde_json::from_str(&body).unwrap())
        }

        async fn share(&self, invitation: &Invitation, persona: &str) -> (StatusCode, Value) {
            let mut held = self.fetch(invitation).await;
            held["persona"] = json!(persona);
            let (status, made) = self.step("answer", &held).await;
            assert_eq!(status, StatusCode::OK, "{made}");
            self.deliver(&made).await
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_consent_screen_says_who_asks_and_what_each_person_would_show() {
        let shop = Shop::open().await;
        let invitation = shop.ask("age", Device::SameDevice).await;
        let held = shop.fetch(&invitation).await;
        let (status, consent) = shop.step("read", &held).await;
        assert_eq!(status, StatusCode::OK, "{consent}");
        let who = &consent["who"];
        assert_eq!(who["host"], shop.authority());
        assert_eq!(who["certified"], true);
        assert!(who["issuer"].as_str().unwrap().contains("Development Access CA"), "{who}");
        assert_eq!(consent["response_mode"], "direct_post.jwt");
        let person = |id: &str| consent["people"].as_array().unwrap().iter().find(|it| it["id"] == id).unwrap().clone();
        let line = |name, path, value| json!([{"name": name, "path": path, "value": value}]);
        let over = "At least 18 years old";
        for (id, kind, claims) in [
            ("adult", "Proof of age", line(over, "eu.europa.ec.av.1.age_over_18", json!(true))),
            ("minor", "Proof of age", line(over, "eu.europa.ec.av.1.age_over_18", json!(false))),
            ("rulebook", "Driving licence", line("Date of birth", "org.iso.18013.5.1.birth_date", json!("1984-05-17"))),
        ] {
            assert_eq!(person(id)["choices"][0]["shown"][0]["name"], kind);
            assert_eq!(person(id)["choices"][0]["shown"][0]["claims"], claims, "{id}");
        }
        let offered = |id: &str| {
            let choices = person(id)["choices"].as_array().unwrap().clone();
            let name = |choice: &Value| {
                let shown = &choice["shown"][0];
                format!("{}, {}", shown["name"].as_str().unwrap(), shown["format"].as_str().unwrap())
            };
            choices.iter().map(name).collect::<Vec<_>>()
        };
        let all = ["Proof of age, mdoc", "Driving licence, mdoc", "EU identity, SD-JWT VC", "EU identity, mdoc"];
        assert_eq!(offered("adult"), all);
        let national =
            ["Proof of age, mdoc", "Driving licence, mdoc", "National identity, SD-JWT VC", "EU identity, mdoc"];
        assert_eq!(offered("national"), national);
        assert_eq!(offered("rulebook"), all[1..]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_person_answers_with_whichever_credential_they_choose() {
        let shop = Shop::open().await;
        for (id, choices, expected) in [("adult", 4, StatusCode::OK), ("minor", 4, StatusCode::BAD_REQUEST)] {
            for choice in 0..choices {
                let invitation = shop.ask("age", Device::SameDevice).await;
                let mut held = shop.fetch(&invitation).await;
                held["persona"] = json!(id);
                held["choice"] = json!(choice);
                let (status, made) = shop.step("answer", &held).await;
                assert_eq!(status, StatusCode::OK, "{id} {choice}: {made}");
                let (status, body) = shop.deliver(&made).await;
                assert_eq!(status, expected, "{id} {choice}: {body}");
            }
            let mut held = shop.fetch(&shop.ask("age", Device::SameDevice).await).await;
            held["persona"] = json!(id);
            held["choice"] = json!(choices);
            let (status, problem) = shop.step("answer", &held).await;
            assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("unanswerable")), "{problem}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_address_is_shown_line_by_line_and_in_german_on_demand() {
        let shop = Shop::open().await;
        let held = shop.fetch(&shop.ask("address", Device::CrossDevice).await).await;
        let request = shop.request(Method::POST, "/_dev/wallet/read").header("content-type", "application/json");
        let (_, headers, body) = shop.send(request.header("accept-language", "de-AT,de;q=0.9"), held.to_string()).await;
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        let consent: Value = serde_json::from_str(&body).unwrap();
        let shown = &consent["people"][0]["choices"][0]["shown"][0];
        assert_eq!(shown["name"], "EU-Identität");
        let names = shown["claims"].as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        assert_eq!(names, ["Land", "Ort", "Postleitzahl", "Straße", "Vorname"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn everybody_has_the_outcome_that_they_should_have() {
        let shop = Shop::open().await;
        for id in ["adult", "national", "rulebook"] {
            let (status, body) = shop.share(&shop.ask("age", Device::SameDevice).await, id).await;
            assert_eq!(status, StatusCode::OK, "{id}: {body}");
            let back = Url::parse(body["redirect_uri"].as_str().unwrap()).unwrap();
            assert!(back.path().starts_with("/wallet/return/"), "{back}");
            assert!(back.fragment().is_some_and(|fragment| fragment.starts_with("response_code=")), "{back}");
        }
        let mut refusals = Vec::new();
        for id in ["minor", "revoked", "suspended", "expired", "untrusted"] {
            let invitation = shop.ask("age", Device::SameDevice).await;
            let (status, body) = shop.share(&invitation, id).await;
            assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("answer_refused")), "{id}: {body}");
            refusals.push((id, shop.refusal(&invitation.id).await.unwrap()));
            // The same request takes another person's answer.
            let (status, _) = shop.share(&invitation, "adult").await;
            assert_eq!(status, StatusCode::OK, "{id}");
        }
        let expected = [
            ("minor", "age_not_reached"),
            ("revoked", "credential_revoked"),
            ("suspended", "credential_revoked"),
            ("expired", "credential_expired"),
            ("untrusted", "certificate_unknown_anchor"),
        ];
        assert_eq!(refusals, expected.map(|(id, code)| (id, code.to_owned())));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_card_is_taken_with_the_number_and_recognises_its_holder_after_a_restart_too() {
        let mut shop = Shop::open().await;
        let invitation = shop.ask("age", Device::SameDevice).await;
        let (_, body) = shop.share(&invitation, "adult").await;
        let grant = shop.redeem(&invitation.id, Some(&body)).await;
        let customer = grant.customer.clone();
        let token = grant.access_token.reveal().to_owned();
        let known = shop.merchant.recognise(&shop.proof_with("/wallet/issuer/offers", &token), &token).await.unwrap();
        let offered = known.offer_relationship(&shop.proof_with("/wallet/issuer/offers", &token)).await.unwrap();
        assert!(offered.uri.starts_with(&format!("{}_dev/wallet?credential_offer=", shop.merchant.origin())));

        for link in [&offered.uri, &offered.by_reference_uri] {
            let (status, offer) = shop.step("offer", &json!({ "link": link })).await;
            assert_eq!((status, &offer["digits"]), (StatusCode::OK, &json!(6)), "{offer}");
            assert_eq!(offer["people"][0]["id"], "adult");
        }
        let take = |tx_code: &str| json!({"link": offered.uri, "persona": "adult", "tx_code": tx_code});
        let wrong = if offered.tx_code == "000000" { "000001" } else { "000000" };
        let (status, problem) = shop.step("receive", &take(wrong)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{problem}");
        let (status, received) = shop.step("receive", &take(&offered.tx_code)).await;
        assert_eq!(status, StatusCode::OK, "{received}");
        let (status, problem) = shop.step("receive", &take(&offered.tx_code)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{problem}");
        let elsewhere = offered.uri.replace(&shop.authority().replace(':', "%3A"), "other.example");
        assert_ne!(elsewhere, offered.uri);
        let (_, problem) = shop.step("offer", &json!({ "link": elsewhere })).await;
        assert_eq!(problem["code"], "another_shop", "{problem}");

        // The same wallet after a restart, and a browser that the shop has never seen.
        shop.restart().await;
        assert!(shop.merchant.development().unwrap().cards("adult") > 0);
        shop.browser = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
        let invitation = shop.ask("welcome", Device::SameDevice).await;
        let held = shop.fetch(&invitation).await;
        let (_, consent) = shop.step("read", &held).await;
        assert_eq!(consent["people"][0]["choices"][0]["shown"][0]["name"], "Customer card", "{consent}");
        assert_eq!(consent["people"][1]["choices"], json!([]), "nobody else has one");
        let (status, body) = shop.share(&invitation, "adult").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(shop.redeem(&invitation.id, Some(&body)).await.customer, customer);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wallet_on_another_device_is_sent_nowhere_and_one_that_declines_is_sent_back() {
        let shop = Shop::open().await;
        let (status, body) = shop.share(&shop.ask("age", Device::CrossDevice).await, "adult").await;
        assert_eq!((status, body), (StatusCode::OK, json!({})));

        let invitation = shop.ask("age", Device::SameDevice).await;
        let held = shop.fetch(&invitation).await;
        let (_, made) = shop.step("decline", &held).await;
        assert!(made["form"].as_str().unwrap().starts_with("error=access_denied&state="), "{made}");
        let (status, body) = shop.deliver(&made).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert!(body["redirect_uri"].is_string());
        let standing = shop.merchant.standing(&invitation.id, &shop.proof("/wallet/presentations")).await.unwrap();
        assert_eq!(standing.state.name(), "declined");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_that_does_not_hold_is_shown_to_nobody() {
        let shop = Shop::open().await;
        let held = shop.fetch(&shop.ask("age", Device::SameDevice).await).await;
        let other = Shop::open().await;
        let theirs = other.fetch(&other.ask("age", Device::SameDevice).await).await;
        let with = |member: &str, value: Value| {
            let mut held = held.clone();
            held[member] = value;
            held
        };
        let object = held["object"].as_str().unwrap();
        let broken = format!("{}A", object.trim_end_matches(|c: char| c.is_ascii_alphanumeric()));
        for (body, code) in [
            (with("wallet_nonce", json!("another")), "request_refused"),
            (with("wallet_nonce", Value::Null), "request_refused"),
            (with("object", json!(broken)), "request_refused"),
            (with("object", json!("")), "request_refused"),
            // Another development shop has another authority.
            (theirs, "request_refused"),
            (with("link", json!("openid4vp://?client_id=a")), "link_refused"),
            (with("link", json!(7)), "invalid_request"),
            (json!({}), "invalid_request"),
        ] {
            for step in ["read", "answer", "decline"] {
                let (status, problem) = shop.step(step, &body).await;
                assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{step} {problem}");
            }
        }
        let (status, problem) = shop.step("answer", &with("persona", json!("nobody"))).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("no_such_persona")));
        let (status, _) = shop.step("read", &with("object", json!("a".repeat(200 * 1024)))).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(
            shop.post("/_dev/wallet/read", "text/plain", held.to_string()).await.0,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
        assert_eq!(shop.step("read", &held).await.0, StatusCode::OK);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_this_machine_and_only_its_own_page() {
        let shop = Shop::open().await;
        let host = shop.authority().to_owned();
        let own = format!("http://{host}");
        let port = host.rsplit(':').next().unwrap();
        let get = |path: &str| http::Request::builder().uri(path.to_owned());
        let paths = ["/_dev/wallet", "/_dev/wallet/wallet.js", "/_dev/wallet/wallet.css", "/_dev/issuer/status"];
        for path in paths {
            assert_eq!(shop.send(get(path).header("host", &host), String::new()).await.0, StatusCode::OK, "{path}");
            // HTTP/2 has the name in the address.
            assert_eq!(shop.send(get(&format!("{own}{path}")), String::new()).await.0, StatusCode::OK, "{path}");
            let wrong =
                ["attacker.example", "127.0.0.1", &format!("localhost:{port}"), &format!("{host}.attacker.example")];
            for wrong in wrong {
                let (status, _, body) = shop.send(get(path).header("host", wrong), String::new()).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{path} {wrong}");
                assert!(body.contains("wrong_host"), "{body}");
            }
            let twice = get(path).header("host", &host).header("host", "attacker.example");
            assert_eq!(shop.send(twice, String::new()).await.0, StatusCode::FORBIDDEN, "{path}");
            assert_eq!(shop.send(get(path), String::new()).await.0, StatusCode::FORBIDDEN, "{path} without a name");
            for (peer, expected) in [
                ("127.0.0.1:9", StatusCode::OK),
                ("[::ffff:127.0.0.1]:9", StatusCode::OK),
                ("[::1]:9", StatusCode::OK),
                ("192.168.1.7:9", StatusCode::FORBIDDEN),
                ("[2001:db8::1]:9", StatusCode::FORBIDDEN),
            ] {
                let peer = ConnectInfo::<SocketAddr>(peer.parse().unwrap());
                let request = get(path).header("host", &host).extension(peer);
                assert_eq!(shop.send(request, String::new()).await.0, expected, "{path} {peer:?}");
            }
        }
        let held = shop.fetch(&shop.ask("age", Device::SameDevice).await).await;
        for step in ["read", "answer", "decline"] {
            let post = || {
                let request = get(&format!("{WALLET_PATH}/{step}")).method(Method::POST).header("host", &host);
                request.header("content-type", "application/json")
            };
            let mut held = held.clone();
            held["persona"] = json!("adult");
            for (request, expected) in [
                (post(), StatusCode::OK),
                (post().header("sec-fetch-site", "same-origin").header("origin", &own), StatusCode::OK),
                (post().header("sec-fetch-site", "cross-site"), StatusCode::FORBIDDEN),
                (post().header("sec-fetch-site", "same-site").header("origin", &own), StatusCode::FORBIDDEN),
                (post().header("origin", "https://attacker.example"), StatusCode::FORBIDDEN),
                (post().header("origin", "null"), StatusCode::FORBIDDEN),
                (post().header("origin", format!("http://localhost:{port}")), StatusCode::FORBIDDEN),
            ] {
                assert_eq!(shop.send(request, held.to_string()).await.0, expected, "{step}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_status_list_is_the_issuers() {
        let shop = Shop::open().await;
        let (status, headers, token) = shop.send(shop.request(Method::GET, STATUS_PATH), String::new()).await;
        assert_eq!(
            (status, &headers[header::CONTENT_TYPE]),
            (StatusCode::OK, &HeaderValue::from_static("application/statuslist+jwt"))
        );
        let limits = Limits::default();
        let uri = shop.merchant.origin().join(STATUS_PATH).unwrap();
        let der = Jws::parse(&token, &limits).unwrap().header().x5c.clone().unwrap().remove(0);
        let key = Certificate::from_der(&der).unwrap().public_key().unwrap();
        let read = |uri: &Url| {
            let parsed = StatusList::parse(&token, &limits).unwrap();
            StatusList::verify(parsed, &key, uri, shop.merchant.now(), &limits)
        };
        assert!(read(&uri).is_ok());
        assert!(read(&uri.join("another").unwrap()).is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_page_carries_no_inline_script_and_nothing_of_its_address() {
        let shop = Shop::open().await;
        for (query, language) in [("", "en"), ("?client_id=%3Cscript%3Ealert(1)&request_uri=x", "de")] {
            let request =
                shop.request(Method::GET, &format!("{WALLET_PATH}{query}")).header("accept-language", language);
            let (status, headers, html) = shop.send(request, String::new()).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], CSP);
            assert_eq!(headers[header::CACHE_CONTROL], "private, no-store");
            assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert!(html.contains(&format!("<html lang=\"{language}\">")));
            assert!(!html.contains("alert(1)") && !html.contains("<style") && !html.contains(" style="), "{html}");
            assert_eq!(html.matches("<script").count(), 1);
            assert_eq!(html.contains("id=\"open\""), query.is_empty());
        }
        // Markup out of text, by any of its doors.
        for door in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setHTML", "Function("]
        {
            assert!(!SCRIPT.contains(door), "{door}");
        }
    }

    #[tokio::test]
    async fn a_shop_that_is_no_development_set_up_has_no_such_wallet() {
        let router: Router = crate::routes(firsthand::testing::TestShop::new().merchant());
        for path in [WALLET_PATH, STATUS_PATH] {
            let request =
                http::Request::builder().uri(path).header("host", "shop.example").body(Body::empty()).unwrap();
            assert_eq!(router.clone().oneshot(request).await.unwrap().status(), StatusCode::NOT_FOUND);
        }
    }

    #[test]
    fn a_transaction_is_shown_whole() {
        let encode = |value: Value| base64url_encode(value.to_string().as_bytes());
        let data = json!({
            "type": "pay", "credential_ids": ["card"], "amount": {"value": "12.50", "currency": "EUR"}, "payee": "Shop",
        });
        let shown = transaction(&encode(data), Lang::En).unwrap();
        assert_eq!(shown.kind, "pay");
        let mut lines: Vec<_> = shown.members.iter().map(|line| (line.path.as_str(), &line.value)).collect();
        lines.sort_by_key(|line| line.0);
        let (value, currency, payee) = (json!("12.50"), json!("EUR"), json!("Shop"));
        assert_eq!(lines, [("amount.currency", &currency), ("amount.value", &value), ("payee", &payee)]);
        for wrong in [json!([]), json!({"payee": "Shop"}), json!({"type": 1})] {
            assert!(transaction(&encode(wrong), Lang::En).is_err());
        }
        assert!(transaction("%", Lang::En).is_err());
    }
}
