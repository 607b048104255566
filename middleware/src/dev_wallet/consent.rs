//! A request, shown to a person: who asks, what each of the people would show, and the answer of whoever agrees.

use axum::{extract::State, response::Response};
use firsthand::{
    Merchant,
    limits::Limits,
    merchant::dev::Development,
    protocol::{
        jose::{Jws, base64url_decode},
        json,
        openid4vp::ResponseMode,
        x509::Certificate,
    },
    testing::{
        cast::Persona,
        wallet::{self, Chosen, Link, WalletError},
    },
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    WalletEnv, about, development, nobody, private, unreadable,
    words::{in_words, type_in_words},
};
use crate::{
    lang::Lang,
    problem::Problem,
    routes::{Body, parse},
};

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
    /// What is paid and to whom, if that is what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentBody>,
    members: Vec<LineBody>,
}

/// A payment (EUDI TS12, 4.3.1): what whoever signs it must see first.
#[derive(Serialize)]
struct PaymentBody {
    payee: String,
    /// As it is signed, with all of its decimals.
    amount: String,
    currency: String,
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

/// What the page is to post, and where.
#[derive(Serialize)]
struct SendBody {
    response_uri: String,
    form: String,
}

pub(super) async fn read(
    State(merchant): State<Merchant>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
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

pub(super) async fn answer(
    State(merchant): State<Merchant>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked = Asked::read(&merchant, &headers, body)?;
    let id = asked.persona.as_deref().unwrap_or_default();
    let wallet = development(&merchant)?.wallet(id).ok_or_else(nobody)?;
    let choice = wallet.choices(&asked.request).into_iter().nth(asked.choice).ok_or(WalletError::Unanswerable);
    let form = choice.and_then(|choice| wallet.answer(&asked.request, &choice, &[], &WalletEnv(merchant.clone())));
    private(SendBody { response_uri: asked.request.response_uri.to_string(), form: form.map_err(|e| unreadable(&e))? })
}

pub(super) async fn decline(
    State(merchant): State<Merchant>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked = Asked::read(&merchant, &headers, body)?;
    let form = asked.request.error("access_denied");
    private(SendBody { response_uri: asked.request.response_uri.to_string(), form })
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

fn leaf(object: &str, limits: &Limits) -> Result<Certificate, WalletError> {
    let jws = Jws::parse(object, limits)?;
    let der = jws.header().x5c.iter().flatten().next().map(Vec::as_slice).unwrap_or_default();
    Ok(Certificate::from_der(der)?)
}

fn shown(wallet: &wallet::Wallet, chosen: &Chosen, lang: Lang) -> ShownBody {
    let holding = wallet.holdings().get(chosen.holding);
    let kind = holding.and_then(|holding| holding.types().first()).cloned().unwrap_or_default();
    // What is shown whole is shown whole here, too.
    let whole = holding.is_some_and(wallet::Holding::is_shown_whole);
    let subject = [vec!["credentialSubject".into()]];
    let paths = if whole { &subject[..] } else { &chosen.paths[..] };
    let mut claims: Vec<LineBody> = Vec::new();
    for path in paths {
        for line in holding.map(|holding| lines(holding.claims(), path, lang)).unwrap_or_default() {
            // A query may ask for an address and for a line of it.
            let left_out = claims.contains(&line) || (whole && says_what(&line.path));
            if !left_out {
                claims.push(line);
            }
        }
    }
    let format = match holding.map(wallet::Holding::format) {
        Some("mso_mdoc") => "mdoc",
        Some("jwt_vc_json") => "W3C, JWT",
        Some("ldp_vc") => "W3C, Data Integrity",
        _ => "SD-JWT VC",
    };
    ShownBody { name: type_in_words(&kind, lang), format, kind, claims }
}

/// Members of a W3C credential that say what something is, not how it is.
fn says_what(path: &str) -> bool {
    matches!(path.rsplit('.').next(), Some("id" | "type"))
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
    let payment = payment(&bytes, &members);
    let members: Map<String, Value> = members.into_iter().filter(|(name, _)| !is_protocols(name)).collect();
    let members = members.iter().map(|(name, value)| (vec![name.as_str()], value)).collect();
    Ok(TransactionBody { kind, payment, members: leaves(members, lang) })
}

/// The payment that transaction data are, if they are one.
fn payment(bytes: &[u8], members: &Map<String, Value>) -> Option<PaymentBody> {
    let payload = members.get("payload")?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let payee = text(payload.get("payee").and_then(|payee| payee.get("name")))?;
    let currency = text(payload.get("currency"))?;
    payload.get("amount").filter(|amount| amount.is_number())?;
    // As it was sent: read as a number, 21.50 would be 21.5.
    let sent = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = sent.rsplit_once("\"amount\":")?;
    let amount = rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '-')).collect();
    Some(PaymentBody { payee, amount, currency })
}

/// Members of transaction data that say how, not what.
fn is_protocols(member: &str) -> bool {
    matches!(member, "credential_ids" | "transaction_data_hashes_alg")
}

#[cfg(test)]
mod tests {
    use firsthand::protocol::jose::base64url_encode;
    use serde_json::json;

    use super::*;

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

    #[test]
    fn a_payment_is_shown_with_the_digits_that_are_signed() {
        let shown = |payload: &str| {
            let data = format!(r#"{{"type":"t","credential_ids":["c"],"payload":{payload}}}"#);
            transaction(&base64url_encode(data.as_bytes()), Lang::De).unwrap().payment
        };
        let payee = r#""payee":{"name":"Sonnberg \"amount\":1","id":"1"},"currency":"EUR""#;
        for (amount, text) in [("21.50", "21.50"), ("0.05", "0.05"), (" 1299", "1299")] {
            let payment = shown(&format!(r#"{{{payee},"amount":{amount}}}"#)).unwrap();
            assert_eq!((payment.amount.as_str(), payment.currency.as_str()), (text, "EUR"));
            assert_eq!(payment.payee, "Sonnberg \"amount\":1");
        }
        for other in [r#"{"amount":1}"#.to_owned(), format!("{{{payee}}}"), format!(r#"{{{payee},"amount":"1"}}"#)] {
            assert!(shown(&other).is_none(), "{other}");
        }
    }
}
