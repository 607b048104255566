//! What was asked: the request object or the request of the Digital Credentials API, as a careful wallet reads it.

use serde_json::{Map, Value};
use url::Url;

#[cfg(feature = "mdoc")]
use super::iso_mdoc;
use super::{
    Captured,
    chain::certificate,
    check::{Check, Failed, short},
    credential::Met,
    response,
};
#[cfg(feature = "mdoc")]
use crate::protocol::mdoc::annex_c::PROTOCOL;
use crate::{
    format::Channel,
    presentation::ENCRYPTIONS,
    protocol::{
        claims::numeric_date,
        dcql::Query,
        jose::{ContentEncryption, DecryptionKey, Jws, base64url_decode},
        json,
        openid4vp::{AUDIENCE, ClientId, RequestObject, ResponseMode},
        x509::Certificate,
    },
    time::UnixTime,
};

/// The fewest characters of base64url that hold 128 bits (OpenID4VP 1.0, 5.2).
const NONCE_CHARS_MIN: usize = 22;
/// Requests that one call of the Digital Credentials API is looked at for.
const DC_REQUESTS_MAX: usize = 16;

/// What an answer is held against.
pub(super) struct Asked {
    /// Who asked, and how the answer travels.
    pub(super) way: Way,
    /// Whether the answer must be encrypted.
    pub(super) mode: ResponseMode,
    pub(super) nonce: String,
    pub(super) state: Option<String>,
    pub(super) query: Query,
    pub(super) transaction_data: Vec<String>,
    pub(super) enc: Vec<ContentEncryption>,
    /// Which of the keys that were given is the one that the answer must be encrypted to.
    key: Option<usize>,
    /// The certificate that signed the request, in DER: the shop's own credentials are signed with its key too.
    pub(super) leaf: Option<Vec<u8>>,
}

/// How the answer travels.
pub(super) enum Way {
    Redirect {
        client_id: String,
        response_uri: String,
    },
    DcApi {
        origin: String,
    },
    /// In the words of documents, of which the wallet answers one.
    #[cfg(feature = "mdoc")]
    IsoMdoc {
        origin: String,
        requests: Vec<iso_mdoc::Request>,
    },
}

impl Asked {
    /// How an answer to it comes, if that is the same for all of it.
    pub(super) fn met<'a>(&'a self, captured: &Captured<'a>) -> Option<Met<'a>> {
        let channel = match &self.way {
            Way::Redirect { client_id, response_uri } => Channel::Redirect { client_id, response_uri },
            Way::DcApi { origin } => Channel::DcApi { origin },
            #[cfg(feature = "mdoc")]
            Way::IsoMdoc { .. } => return None,
        };
        Some(Met { channel, key: self.key(captured), nonce: &self.nonce })
    }

    /// The key that the answer must be encrypted to.
    pub(super) fn key<'a>(&self, captured: &Captured<'a>) -> Option<&'a DecryptionKey> {
        captured.keys.get(self.key?).copied()
    }
}

/// The checks of a request, and what was asked if that can be read.
pub(super) fn read(captured: &Captured<'_>) -> (Check, Option<Asked>) {
    let mut request = Check::group("request");
    #[cfg(feature = "mdoc")]
    if let Some((ours, others)) = in_words_of_documents(captured) {
        let asked = asked_in_words_of_documents(captured, &ours, &others, &mut request);
        return (request, asked);
    }
    let mut reading = Reading { captured, request: &mut request, leaf: None, dc_api: false, key: None };
    let asked = match reading.claims() {
        Ok(claims) => reading.asked(&claims),
        Err(Failed { code, why }) => {
            request.push(Check::fails("form", code, why));
            None
        }
    };
    (request, asked)
}

/// The requests of a call of the Digital Credentials API in the words of documents, and those beside them; none if its answer
/// is none to them.
#[cfg(feature = "mdoc")]
fn in_words_of_documents(captured: &Captured<'_>) -> Option<(Vec<Value>, Vec<Value>)> {
    let limits = &captured.limits;
    let bytes = captured.request.trim_ascii();
    if bytes.len() > limits.jws_bytes.saturating_mul(DC_REQUESTS_MAX) || !bytes.starts_with(b"{") {
        return None;
    }
    let whole = json::parse(bytes, limits.json_depth).ok()?;
    let whole = whole.get("digital").unwrap_or(&whole);
    let calls: Vec<&Value> = match whole.get("requests").and_then(Value::as_array) {
        Some(several) => several.iter().take(DC_REQUESTS_MAX).collect(),
        None => vec![whole],
    };
    let is_ours = |one: &&Value| one.get("protocol").and_then(Value::as_str) == Some(PROTOCOL);
    let (ours, others): (Vec<&Value>, Vec<&Value>) = calls.into_iter().partition(is_ours);
    let data = |calls: &[&Value]| -> Vec<Value> { calls.iter().filter_map(|one| one.get("data")).cloned().collect() };
    let (ours, others) = (data(&ours), data(&others));
    let answered = response::browser_answer(captured).as_ref().is_some_and(iso_mdoc::is_answer);
    (!ours.is_empty() && (answered || others.is_empty())).then_some((ours, others))
}

#[cfg(feature = "mdoc")]
fn asked_in_words_of_documents(
    captured: &Captured<'_>,
    ours: &[Value],
    others: &[Value],
    request: &mut Check,
) -> Option<Asked> {
    request.push(Check::fact("protocol", PROTOCOL));
    let (requests, query) = iso_mdoc::read(captured, ours, others, request);
    request.push(origin(captured));
    Some(Asked {
        way: Way::IsoMdoc { origin: captured.origin?.to_owned(), requests },
        mode: ResponseMode::DirectPostJwt,
        nonce: String::new(),
        state: None,
        query: query?,
        transaction_data: Vec::new(),
        enc: Vec::new(),
        key: None,
        leaf: None,
    })
}

/// The page that asked, which no request says.
fn origin(captured: &Captured<'_>) -> Check {
    match captured.origin {
        Some(origin) => Check::fact("origin", origin),
        None => Check::fails("origin", "request_origin", "say which page asked: nothing in the request does"),
    }
}

struct Reading<'a, 'c> {
    captured: &'a Captured<'c>,
    request: &'a mut Check,
    leaf: Option<Certificate>,
    dc_api: bool,
    key: Option<usize>,
}

impl Reading<'_, '_> {
    /// The claims of the request, in whichever form it was captured.
    fn claims(&mut self) -> Result<Map<String, Value>, Failed> {
        let malformed = |why| Failed::new("request_malformed", why);
        let text = std::str::from_utf8(self.captured.request).map_err(|_| malformed("it is not UTF-8"))?.trim();
        if !text.starts_with('{') {
            return self.signed(text);
        }
        let limits = &self.captured.limits;
        // A browser was given several at once.
        if text.len() > limits.jws_bytes.saturating_mul(DC_REQUESTS_MAX) {
            return Err(malformed("it is too long"));
        }
        let whole = json::parse(text.as_bytes(), limits.json_depth).map_err(|e| Failed::new(e.code(), e))?;
        let whole = whole.get("digital").unwrap_or(&whole);
        let requests = whole.get("requests").and_then(Value::as_array);
        let openid = |one: &&Value| {
            one.get("protocol").and_then(Value::as_str).is_some_and(|protocol| protocol.starts_with("openid4vp"))
        };
        // The answer says which of them it is to, or is to any.
        let answered = response::browser_answer(self.captured);
        let answered = answered.as_ref().and_then(|answer| answer.get("protocol")).and_then(Value::as_str);
        let is_answered = |one: &&Value| answered.is_some() && one.get("protocol").and_then(Value::as_str) == answered;
        let one = match requests {
            Some(requests) => {
                let mut several = requests.iter().take(DC_REQUESTS_MAX).filter(openid);
                let found = several.clone().find(is_answered).or_else(|| several.next());
                found.ok_or_else(|| malformed("none of the requests is one that is read here"))?
            }
            None => whole,
        };
        let Some(protocol) = one.get("protocol").and_then(Value::as_str) else {
            self.request.push(Check::fact("form", "claims, without the signature around them"));
            return one.as_object().cloned().ok_or_else(|| malformed("it is no object"));
        };
        self.dc_api = true;
        self.request.push(Check::fact("protocol", protocol));
        let data = one.get("data").and_then(Value::as_object).ok_or_else(|| malformed("`data` is no object"))?;
        match data.get("request").and_then(Value::as_str) {
            Some(signed) => self.signed(signed),
            None => Ok(data.clone()),
        }
    }

    /// The claims of a request object, with the checks of its header.
    fn signed(&mut self, text: &str) -> Result<Map<String, Value>, Failed> {
        let Captured { limits, now, .. } = self.captured;
        let jws = Jws::parse(text, limits).map_err(|e| Failed::new(e.code(), e))?;
        let header = jws.header();
        let mut group = Check::group("request object");
        group.push(Check::same("typ", "request_typ", RequestObject::TYP, header.typ.as_deref()));
        group.push(Check::fact("alg", header.alg));
        for (at, der) in header.x5c.iter().flatten().enumerate() {
            group.push(certificate(at, der, *now));
        }
        let leaf = header.x5c.iter().flatten().next().and_then(|der| Certificate::from_der(der).ok());
        group.push(match leaf.as_ref().map(Certificate::public_key) {
            None => Check::not_made("signature", "there is no `x5c` to take the key from"),
            Some(Err(error)) => Check::fails("signature", error.code(), error),
            Some(Ok(key)) => {
                let signed = jws.clone().verify(&key, &[Jws::ANY_TYPE]);
                Check::made("signature", &signed.map_err(|e| Failed::new(e.code(), e)))
            }
        });
        self.leaf = leaf;
        self.request.push(group);
        Ok(jws.unverified_claims().clone())
    }

    fn asked(&mut self, claims: &Map<String, Value>) -> Option<Asked> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let now = self.captured.now;
        self.request.push(Check::same("response_type", "request_response_type", "vp_token", text("response_type")));
        let encrypted = self.response_mode(text("response_mode"));
        let way = self.way(text("client_id"), text("response_uri"));
        if !self.dc_api {
            self.request.push(match text("aud") {
                None => Check::not_made("aud", "the request names no wallet"),
                found => Check::same("aud", "request_aud", AUDIENCE, found),
            });
        }
        self.request.push(nonce(text("nonce")));
        match text("state") {
            Some(state) => self.request.push(Check::fact("state", short(state))),
            None if self.dc_api => {}
            None => self.request.push(Check::fact("state", "none")),
        }
        self.times(claims, now);
        let enc = self.client_metadata(claims.get("client_metadata"), encrypted);
        let transaction_data = self.transaction_data(claims.get("transaction_data"));
        let query = self.query(claims.get("dcql_query"));
        Some(Asked {
            way: way?,
            mode: if encrypted { ResponseMode::DirectPostJwt } else { ResponseMode::DirectPost },
            nonce: text("nonce")?.to_owned(),
            state: text("state").map(str::to_owned),
            query: query?,
            transaction_data,
            enc,
            key: self.key,
            leaf: self.leaf.as_ref().map(|leaf| leaf.der().to_vec()),
        })
    }

    /// Whether the answer must be encrypted.
    fn response_mode(&mut self, mode: Option<&str>) -> bool {
        let known = if self.dc_api { ["dc_api", "dc_api.jwt"] } else { ["direct_post", "direct_post.jwt"] };
        self.request.push(match mode {
            Some(mode) if known.contains(&mode) => Check::holds("response_mode").text(mode),
            other => Check::fails("response_mode", "request_response_mode", "not one that is answered here")
                .expected(known.join(" or "))
                .found(other.unwrap_or("nothing")),
        });
        mode.is_some_and(|mode| mode.ends_with(".jwt"))
    }

    /// Who asks, and where the answer goes.
    fn way(&mut self, client_id: Option<&str>, response_uri: Option<&str>) -> Option<Way> {
        if self.dc_api {
            self.request.push(origin(self.captured));
            if let Some(client_id) = client_id {
                let bound = self.client_id(client_id, response_uri);
                self.request.push(bound);
            }
            return self.captured.origin.map(|origin| Way::DcApi { origin: origin.to_owned() });
        }
        let bound = match client_id {
            Some(client_id) => self.client_id(client_id, response_uri),
            None => Check::fails("client_id", "request_client_id", "missing"),
        };
        self.request.push(bound);
        self.request.push(match response_uri.map(Url::parse) {
            Some(Ok(uri)) if uri.scheme() == "https" => Check::holds("response_uri").text(uri),
            Some(Ok(uri)) => Check::fails("response_uri", "request_response_uri", format!("{uri} is not https")),
            Some(Err(_)) => Check::fails("response_uri", "request_response_uri", "it is no URL"),
            None => Check::fails("response_uri", "request_response_uri", "missing"),
        });
        Some(Way::Redirect { client_id: client_id?.to_owned(), response_uri: response_uri?.to_owned() })
    }

    /// That the client identifier is that of whoever signed (OpenID4VP 1.0, 5.9.3).
    fn client_id(&self, client_id: &str, response_uri: Option<&str>) -> Check {
        let check = || Check::holds("client_id").text(client_id);
        let fails = |why| Check::fails("client_id", "request_client_id", why);
        let (prefix, name) = client_id.split_once(':').unwrap_or(("", client_id));
        match (prefix, &self.leaf) {
            ("redirect_uri", _) if response_uri == Some(name) => check(),
            ("redirect_uri", _) => {
                fails("it must be the address that the answer goes to").between(response_uri.unwrap_or("none"), name)
            }
            ("x509_hash" | "x509_san_dns", None) => Check::not_made("client_id", "there is no certificate beside it"),
            ("x509_hash", Some(leaf)) => {
                let expected = ClientId::x509_hash(leaf.der());
                if expected.as_str() == client_id {
                    check()
                } else {
                    fails("it is not the hash of the certificate that signed").between(expected, client_id)
                }
            }
            ("x509_san_dns", Some(leaf)) if leaf.has_dns_name(name) => {
                let host = response_uri.and_then(|uri| Url::parse(uri).ok());
                match host.as_ref().and_then(Url::host_str) {
                    Some(host) if host != name => fails("the answer goes to another host").between(name, host),
                    _ => check(),
                }
            }
            ("x509_san_dns", Some(leaf)) => {
                fails("the certificate is not for this name").between(leaf.dns_names().join(", "), name)
            }
            ("decentralized_identifier" | "verifier_attestation", _) => {
                Check::not_made("client_id", format!("`{prefix}` is proved by a document that is not here"))
            }
            _ => fails("it has no prefix that says how it is proved").found(client_id),
        }
    }

    fn times(&mut self, claims: &Map<String, Value>, now: UnixTime) {
        for (name, expected) in [("iat", "not later than"), ("exp", "later than")] {
            let code = if name == "iat" { "request_iat" } else { "request_exp" };
            self.request.push(match numeric_date(claims, name) {
                Err(_) => Check::fails(name, code, "it is no time"),
                Ok(None) => Check::fact(name, "none"),
                Ok(Some(at)) if (name == "iat" && at <= now.plus_s(60)) || (name == "exp" && now < at) => {
                    Check::holds(name).text(at)
                }
                Ok(Some(at)) => Check::fails(name, code, "not at the time of the answer")
                    .expected(format!("{expected} {now}"))
                    .found(at),
            });
        }
    }

    /// The key that the answer goes to, and the encryptions that are offered with it.
    fn client_metadata(&mut self, metadata: Option<&Value>, encrypted: bool) -> Vec<ContentEncryption> {
        let member = |name: &str| metadata.and_then(|metadata| metadata.get(name));
        let listed = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let names = listed(member("encrypted_response_enc_values_supported"));
        let mut enc: Vec<_> = ENCRYPTIONS.into_iter().filter(|enc| names.iter().any(|it| it == enc.name())).collect();
        if names.is_empty() {
            enc.push(ContentEncryption::A128Gcm);
        }
        let keys = listed(member("jwks").and_then(|jwks| jwks.get("keys")));
        let point = |jwk: &Value| jwk.get("x").zip(jwk.get("y")).map(|(x, y)| (x.clone(), y.clone()));
        let is_named = |key: &DecryptionKey| keys.first().is_some_and(|jwk| point(jwk) == point(&key.public_jwk()));
        let given = &self.captured.keys;
        self.key = given.iter().position(|key| is_named(key)).or_else(|| (!given.is_empty()).then_some(0));
        if encrypted {
            let kid = keys.first().map(|key| key.get("kid").and_then(Value::as_str).unwrap_or("without a name"));
            self.request.push(match kid {
                Some(kid) => Check::holds("encryption key")
                    .text(format!("kid {kid}, {}", enc.iter().map(|enc| enc.name()).collect::<Vec<_>>().join(" or "))),
                None => Check::fails("encryption key", "request_encryption_key", "`jwks` holds none"),
            });
        }
        let formats = member("vp_formats_supported").and_then(Value::as_object);
        self.request.push(match formats {
            Some(formats) => Check::holds("vp_formats_supported")
                .text(formats.keys().map(String::as_str).collect::<Vec<_>>().join(", ")),
            None => Check::fails("vp_formats_supported", "request_vp_formats", "missing"),
        });
        enc
    }

    fn transaction_data(&mut self, data: Option<&Value>) -> Vec<String> {
        let data: Vec<String> =
            data.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        for one in &data {
            let read = base64url_decode(one).ok().and_then(|it| json::parse(&it, self.captured.limits.json_depth).ok());
            let kind = read.as_ref().and_then(|it| it.get("type")).and_then(Value::as_str);
            self.request.push(match kind {
                Some(kind) => Check::fact("transaction data", kind),
                None => Check::fails("transaction data", "request_transaction_data", "they are no JSON with a type"),
            });
        }
        data
    }

    fn query(&mut self, query: Option<&Value>) -> Option<Query> {
        let parsed = Query::parse(query.unwrap_or(&Value::Null), &self.captured.limits);
        match parsed {
            Err(error) => {
                self.request.push(Check::fails("dcql_query", error.code(), error));
                None
            }
            Ok(query) => {
                let mut group = Check::group("dcql_query");
                group.push(Check::holds("form"));
                for one in &query.credentials {
                    let claims: Vec<String> = one.claims.iter().flatten().map(|claim| claim.printed()).collect();
                    let claims = if claims.is_empty() { "no claims".to_owned() } else { claims.join(" ") };
                    group.push(Check::fact(&one.id, format!("{} {}: {claims}", one.format, one.meta)));
                }
                self.request.push(group);
                Some(query)
            }
        }
    }
}

/// That nobody can guess the nonce, as far as its form tells.
fn nonce(nonce: Option<&str>) -> Check {
    let Some(nonce) = nonce else { return Check::fails("nonce", "request_nonce", "missing") };
    let fails = |why| Check::fails("nonce", "request_nonce", why);
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let length = nonce.chars().count();
    if length < NONCE_CHARS_MIN {
        return fails("too short for 128 random bits")
            .expected(format!("{NONCE_CHARS_MIN} characters or more"))
            .found(format!("{length} characters"));
    }
    if !nonce.bytes().all(unreserved) {
        return fails("it has characters that a URL does not keep");
    }
    Check::holds("nonce").text(format!("{}, {length} characters", short(nonce)))
}
