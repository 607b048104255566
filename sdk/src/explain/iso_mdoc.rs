//! `org-iso-mdoc` of the Digital Credentials API (ISO/IEC TS 18013-7, annex C): the requests, and which of them an answer
//! opens with.

use serde_json::{Map, Value, json};

use super::{
    Captured,
    chain::certificate,
    check::{Check, Failed, short, tame},
    credential::{self, Met},
    query,
    request::Asked,
};
use crate::{
    ask::AGE,
    format::Channel,
    protocol::{
        cbor::{self, Item},
        cose::{self, Sign1},
        dcql::{ClaimQuery, CredentialQuery, MSO_MDOC, Query},
        jose::{DecryptionKey, Jws, PublicKey, base64url_decode, base64url_encode},
        mdoc::{MdocError, SessionTranscript, annex_c},
        openid4vp::{Answer, ResponseError, dc_api::read_error},
        x509::Certificate,
    },
};

/// The fewest bytes of a nonce (annex C.3.2).
const NONCE_BYTES_MIN: usize = 16;
/// Requests of one call that are looked at, and elements of one of them that are named.
const REQUESTS_MAX: usize = 16;
const ELEMENTS_MAX: usize = 64;

/// One request, as a wallet reads it.
pub(super) struct Request {
    info: String,
    recipient: PublicKey,
    doc_type: String,
    elements: Vec<(String, String)>,
    /// The credential query that it asks in its own words.
    id: String,
}

/// The checks of these requests, and what is asked of a wallet that answers one of them. `beside` are the requests of
/// OpenID4VP in the same call: they hold the whole query.
pub(super) fn read(
    captured: &Captured<'_>,
    data: &[Value],
    beside: &[Value],
    checks: &mut Check,
) -> (Vec<Request>, Option<Query>) {
    let mut requests = Vec::new();
    for (at, data) in data.iter().take(REQUESTS_MAX).enumerate() {
        let mut group = Check::group(format!("org-iso-mdoc {at}"));
        match request(captured, data, &mut group) {
            Ok(request) => requests.push(request),
            Err(Failed { code, why }) => group.push(Check::fails("form", code, why)),
        }
        checks.push(group);
    }
    let whole = beside.iter().find_map(|data| asked_beside(captured, data));
    let own = || {
        let credentials: Vec<Value> = requests.iter().enumerate().map(|(at, one)| one.query(captured, at)).collect();
        Query::parse(&json!({ "credentials": credentials }), &captured.limits).ok()
    };
    let query = whole.or_else(own);
    let mut taken: Vec<String> = Vec::new();
    for request in &mut requests {
        let asks = |one: &&CredentialQuery| {
            let doc_type = one.meta.get("doctype_value").and_then(Value::as_str);
            one.format == MSO_MDOC && doc_type == Some(&request.doc_type) && !taken.contains(&one.id)
        };
        // Several may ask for such a document, each for other elements of it.
        let mut found = query.iter().flat_map(|query| &query.credentials).filter(asks).peekable();
        let first = found.peek().copied();
        let found = found.find(|one| request.says(one)).or(first);
        if let Some(found) = found {
            request.id.clone_from(&found.id);
            taken.push(found.id.clone());
        }
    }
    checks.push(match &query {
        Some(_) if beside.is_empty() => {
            Check::fact("query", "as these requests say it: the shop's own may accept more")
        }
        Some(_) => Check::fact("query", "as the requests of OpenID4VP beside them say it"),
        None => Check::fails("query", "request_malformed", "no request says what is asked for"),
    });
    (requests, query)
}

/// The query in a request of OpenID4VP.
fn asked_beside(captured: &Captured<'_>, data: &Value) -> Option<Query> {
    let query = match data.get("request").and_then(Value::as_str) {
        Some(signed) => Jws::parse(signed, &captured.limits).ok()?.unverified_claims().get("dcql_query").cloned(),
        None => data.get("dcql_query").cloned(),
    };
    Query::parse(&query?, &captured.limits).ok()
}

fn request(captured: &Captured<'_>, data: &Value, checks: &mut Check) -> Result<Request, Failed> {
    let limits = &captured.limits;
    let malformed = |why: &str| Failed::new("request_malformed", why);
    let bytes = |name: &str| {
        let text = data.get(name).and_then(Value::as_str).filter(|text| text.len() <= limits.response_bytes);
        text.and_then(|text| base64url_decode(text).ok()).ok_or_else(|| malformed(&format!("`{name}` is no base64url")))
    };
    let unread = |error: cbor::CborError| Failed::new(error.code(), error);
    let info = bytes("encryptionInfo")?;
    let info = cbor::read(&info, limits).map_err(unread)?;
    let form = || malformed("`encryptionInfo` is \"dcapi\" with a nonce and a key");
    let Some([kind, parameters]) = info.array() else { return Err(form()) };
    let (Some("dcapi"), Some(parameters)) = (kind.text(), parameters.map()) else { return Err(form()) };
    let nonce = parameters.get("nonce").and_then(Item::bytes).ok_or_else(form)?;
    let recipient = parameters.get("recipientPublicKey").ok_or_else(form)?;
    checks.push(if nonce.len() < NONCE_BYTES_MIN {
        Check::fails("nonce", "request_nonce", "too short")
            .expected(format!("{NONCE_BYTES_MIN} bytes or more"))
            .found(format!("{} bytes", nonce.len()))
    } else {
        Check::holds("nonce").text(format!("{}, {} bytes", short(&base64url_encode(nonce)), nonce.len()))
    });
    let recipient = cose::public_key(recipient).map_err(|e| Failed::new("request_encryption_key", e))?;
    checks.push(Check::holds("encryption key").text(credential::thumbprint(&recipient)));

    let encryption_info = data.get("encryptionInfo").and_then(Value::as_str).unwrap_or_default().to_owned();
    let request = bytes("deviceRequest")?;
    let request = cbor::read(&request, limits).map_err(unread)?;
    let documents = request.map().and_then(|it| it.get("docRequests")).and_then(Item::array);
    let Some([document]) = documents else { return Err(malformed("`deviceRequest` asks for one document")) };
    let document = document.map().ok_or_else(|| malformed("a document that is asked for is a map"))?;
    let sent = document.get("itemsRequest").ok_or_else(|| malformed("`itemsRequest` is missing"))?;
    let items = sent.embedded().ok_or_else(|| malformed("`itemsRequest` is embedded CBOR"))?;
    let items = cbor::read(items, limits).map_err(unread)?;
    let items = items.map().ok_or_else(|| malformed("`itemsRequest` is a map"))?;
    let doc_type = items.get("docType").and_then(Item::text).ok_or_else(|| malformed("`docType` is missing"))?;
    let mut elements = Vec::new();
    for (namespace, of) in items.get("nameSpaces").and_then(Item::map).into_iter().flat_map(cbor::Map::iter) {
        for (element, _) in of.map().into_iter().flat_map(cbor::Map::iter) {
            if let (Some(namespace), Some(element)) = (namespace.text(), element.text()) {
                elements.push((namespace.to_owned(), element.to_owned()));
            }
        }
    }
    elements.truncate(ELEMENTS_MAX);
    let named: Vec<String> = elements.iter().map(|(space, name)| format!("{}/{}", tame(space), tame(name))).collect();
    checks.push(Check::fact("document", doc_type));
    checks.push(Check::fact("elements", named.join(", ")));
    checks.push(reader(captured, document.get("readerAuth"), &encryption_info, sent.raw()));
    Ok(Request { info: encryption_info, recipient, doc_type: doc_type.to_owned(), elements, id: String::new() })
}

/// Who asks, by a signature over the session (ISO/IEC 18013-5, 9.1.4).
fn reader(captured: &Captured<'_>, signed: Option<&Item<'_>>, info: &str, items: &[u8]) -> Check {
    let mut group = Check::group("readerAuth");
    let Some(signed) = signed else { return Check::fact("readerAuth", "none: who asks is the origin alone") };
    let Some(origin) = captured.origin else {
        return Check::not_made("readerAuth", "it is bound to the origin, which is not given");
    };
    let signed = match Sign1::from_item(signed, &captured.limits) {
        Ok(signed) => signed,
        Err(error) => return Check::fails("readerAuth", error.code(), error),
    };
    let chain = signed.header().x5chain.clone().unwrap_or_default();
    for (at, der) in chain.iter().take(captured.limits.x5c_certificates).enumerate() {
        group.push(certificate(at, der, captured.now));
    }
    let key = chain.first().and_then(|der| Certificate::from_der(der).ok()?.public_key().ok());
    let message = annex_c::reader_authentication(&SessionTranscript::annex_c(info, origin), items);
    group.push(match key {
        None => Check::not_made("signature", "no certificate has the key"),
        Some(key) => {
            let made = signed.verify_detached(&key, &message).map_err(|error| Failed::new(error.code(), error));
            Check::made("signature", &made)
        }
    });
    group
}

impl Request {
    /// Whether a credential query asks for these elements: of alternatives, the first.
    fn says(&self, query: &CredentialQuery) -> bool {
        let first = query.claim_sets.as_ref().and_then(|sets| sets.first());
        let is_asked = |id: &Option<String>| first.is_none_or(|set| id.as_ref().is_some_and(|id| set.contains(id)));
        let asked: Vec<&ClaimQuery> = query.claims.iter().flatten().filter(|claim| is_asked(&claim.id)).collect();
        let is_here = |claim: &&ClaimQuery| match claim.path.as_slice() {
            [Value::String(space), Value::String(name)] => self.elements.contains(&(space.clone(), name.clone())),
            _ => false,
        };
        asked.len() == self.elements.len() && asked.iter().all(is_here)
    }

    /// The same as a credential query: the elements as claims.
    fn query(&self, captured: &Captured<'_>, at: usize) -> Value {
        let id = match (captured.over, at) {
            (Some(_), 0) => AGE.to_owned(),
            (Some(_), at) => format!("{AGE}-{}", at.saturating_add(1)),
            (None, at) => format!("{}{at}", query::DOCUMENT),
        };
        let claims: Vec<Value> = self.elements.iter().map(|(space, name)| json!({ "path": [space, name] })).collect();
        json!({ "id": id, "format": MSO_MDOC, "meta": { "doctype_value": self.doc_type }, "claims": claims })
    }

    fn key<'a>(&self, captured: &Captured<'a>) -> Option<&'a DecryptionKey> {
        captured.keys.iter().find(|key| *key.public_key() == self.recipient).copied()
    }
}

/// The checks of an answer to one of the requests; the wallet's error code if it declined.
pub(super) fn judge(
    captured: &Captured<'_>,
    asked: &Asked,
    origin: &str,
    requests: &[Request],
    data: &Value,
) -> (Check, Option<String>) {
    let mut answer = Check::group("answer");
    let mut envelope = Check::group("envelope");
    let failed = |error: ResponseError| Check::fails("form", error.code(), error);
    let response = match read_error(data, &asked.query, &captured.limits) {
        Err(error) => Err(failed(error)),
        Ok(Some(Answer::Error { code, .. })) => {
            answer.push(Check::fact("error", &code));
            return (answer, Some(code));
        }
        Ok(_) => data.get("response").and_then(Value::as_str).ok_or_else(|| failed(ResponseError::ResponseMissing)),
    };
    let opened = response.map(|response| open(captured, origin, requests, response, &mut envelope));
    let opened = opened.map_err(|check| envelope.push(check)).ok().flatten();
    answer.push(envelope);
    let Some(Opened { request, key, transcript, document }) = opened else {
        for name in ["presentation", "query"] {
            answer.push(Check::not_made(name, "the envelope does not open"));
        }
        return (answer, None);
    };
    let channel = Channel::Transcript { session_transcript: transcript.as_bytes(), reader_key: None };
    let met = Met { channel, key: Some(key), nonce: "" };
    let (check, believed) = credential::judge(captured, asked, &met, &request.id, 0, &document);
    answer.push(check);
    answer.push(match believed {
        Some(believed) => query::judge(captured, asked, &[(request.id.clone(), believed)]),
        None => Check::not_made("query", "it is evaluated over presentations that all hold"),
    });
    (answer, None)
}

struct Opened<'a> {
    request: &'a Request,
    key: &'a DecryptionKey,
    transcript: SessionTranscript,
    document: Value,
}

/// Tries the key of each request: an answer opens with one of them, over the session of that request alone (C.4).
fn open<'a>(
    captured: &Captured<'a>,
    origin: &str,
    requests: &'a [Request],
    response: &str,
    envelope: &mut Check,
) -> Option<Opened<'a>> {
    envelope.push(Check::fact("size", format!("{} bytes", response.len())));
    let mut refused: Option<MdocError> = None;
    let mut missing = false;
    for request in requests {
        let transcript = SessionTranscript::annex_c(&request.info, origin);
        let Some(key) = request.key(captured) else {
            missing = true;
            continue;
        };
        match annex_c::open(response, key, &transcript, &captured.limits) {
            Ok(document) => {
                envelope
                    .push(Check::holds("HPKE").text(format!("with the key of the request for {}", request.doc_type)));
                let document = Value::String(base64url_encode(&document));
                return Some(Opened { request, key, transcript, document });
            }
            Err(error) => {
                let is_last = !matches!(error, MdocError::Decryption);
                refused = Some(error);
                if is_last {
                    break;
                }
            }
        }
    }
    envelope.push(match &refused {
        // It may open with a key that is not here.
        Some(error) if !missing || !matches!(error, MdocError::Decryption) => Check::fails("HPKE", error.code(), error),
        _ => Check::not_made("HPKE", "the private key of the request is not given"),
    });
    // What the wallet should have sealed it for.
    for request in requests {
        let mut group = Check::group(format!("session of the request for {}", request.doc_type));
        group.push(Check::fact("origin", origin));
        session(captured, &SessionTranscript::annex_c(&request.info, origin), &mut group);
        envelope.push(group);
    }
    None
}

/// A session transcript, to be compared with the log of a wallet.
pub(super) fn session(captured: &Captured<'_>, transcript: &SessionTranscript, group: &mut Check) {
    group.push(Check::fact("hex", cbor::hex(transcript.as_bytes())));
    let diagnostic = cbor::read(transcript.as_bytes(), &captured.limits).map(|item| item.diagnostic());
    group.push(Check::fact("diagnostic", diagnostic.unwrap_or_default()));
}

/// Whether an answer is one to such a request: by its protocol, or as far as its form tells.
pub(super) fn is_answer(whole: &Map<String, Value>) -> bool {
    match whole.get("protocol").and_then(Value::as_str) {
        Some(protocol) => protocol == annex_c::PROTOCOL,
        None => whole.get("response").and_then(Value::as_str).is_some_and(|response| !response.contains('.')),
    }
}
