//! DPoP proofs (RFC 9449): a browser or wallet shows with each request that it holds its key.
//!
//! [`check`] does all of section 4.3 that one proof and one request decide. Three questions need memory or secrets, and
//! stay with the caller, in this order: is `nonce` one of ours, is the key the one that the token is bound to, was this
//! `jti` seen before. The last asks for `jti` and key, never for the text of the proof: a signature of ECDSA can be
//! turned into a second valid one by anybody.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use url::{Position, Url};

use crate::{
    limits::Limits,
    protocol::{
        claims,
        jose::{JoseError, Jws, PublicKey, SigningKey, Thumbprint, base64url_encode, sha256},
    },
    time::UnixTime,
};

/// Why a proof is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DpopError {
    /// The proof is no strict JWS, its key is not accepted, or its signature does not hold under that key.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// `typ` is not `dpop+jwt`: a token made for something else.
    #[error("`typ` of a proof must be `dpop+jwt`")]
    Type,
    /// A claim that every proof needs is missing, empty or too long.
    #[error("the proof needs a `{0}`, neither empty nor oversized")]
    Claim(&'static str),
    /// `htm` is another method than the request's; methods are compared with regard to case.
    #[error("`htm` must be the method of the request, {expected}")]
    Method {
        /// The method of the request.
        expected: String,
    },
    /// `htu` is another URL than the request's, or none that can be compared.
    #[error("`htu` must be the URL of the request without query and fragment")]
    Url,
    /// `iat` lies outside the window: a wrong clock, or a proof kept for later.
    #[error("the proof was made at {iat}, too far from {now}")]
    IssuedAt {
        /// When the proof says that it was made.
        iat: UnixTime,
        /// When it was checked.
        now: UnixTime,
    },
    /// `ath` is not the digest of the access token, or one of the two came without the other.
    #[error("`ath` must be the digest of the access token sent with the proof")]
    AccessToken,
}

impl DpopError {
    /// A stable name for logs and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jose(error) => error.code(),
            Self::Type => "dpop_type",
            Self::Claim(_) => "dpop_claim",
            Self::Method { .. } => "dpop_method",
            Self::Url => "dpop_url",
            Self::IssuedAt { .. } => "dpop_issued_at",
            Self::AccessToken => "dpop_access_token",
        }
    }
}

/// What a proof must match. All that the check needs comes in here.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The method of the request, as sent.
    pub method: &'a str,
    /// The absolute URL of the request under the configured origin, never one made of `Host`; query and fragment are
    /// ignored.
    pub url: &'a Url,
    /// The time of the check.
    pub now: UnixTime,
    /// How far `iat` may lie in the past, in seconds.
    pub iat_past_s: u64,
    /// How far `iat` may lie in the future, in seconds.
    pub iat_future_s: u64,
    /// The access token that came with the proof.
    pub access_token: Option<&'a str>,
}

/// A proof that holds for its request. Whether `nonce` is ours, `key` the bound one, `jti` new and `content_digest`
/// that of the body is the caller's to check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Proof {
    /// The key that made it.
    pub key: PublicKey,
    /// The thumbprint of that key, which a token is bound to (section 6.1).
    pub thumbprint: Thumbprint,
    /// The name of this one proof, of at most [`Limits::jti_bytes`].
    pub jti: String,
    /// When it was made.
    pub iat: UnixTime,
    /// The nonce that a server gave, if any.
    pub nonce: Option<String>,
    /// The digest of the body, if the client bound it: see [`content_digest_matches`].
    pub content_digest: Option<String>,
}

/// Checks one proof, the value of the one `DPoP` field of a request (RFC 9449 section 4.3; the numbers are its items).
///
/// # Errors
/// [`DpopError`], the first check that fails.
pub fn check(proof: &str, expected: &Expected<'_>, limits: &Limits) -> Result<Proof, DpopError> {
    if proof.len() > limits.dpop_bytes {
        return Err(JoseError::TooLarge { found: proof.len(), limit: limits.dpop_bytes }.into());
    }
    // 2, 5: one well-formed JWT with an asymmetric algorithm.
    let jws = Jws::parse(proof, limits)?;
    // 4
    if jws.header().typ.as_deref() != Some(TYPE) {
        return Err(DpopError::Type);
    }
    // 6, 7: the signature by the key in the header, which shows no private part.
    let key = PublicKey::from_jwk(jws.header().jwk.as_ref().ok_or(JoseError::Member("jwk"))?)?;
    let claims = jws.verify(&key, &[TYPE])?;
    // 3, 8
    if required(&claims, "htm")? != expected.method {
        return Err(DpopError::Method { expected: expected.method.to_owned() });
    }
    // 9
    if !is_same_target(required(&claims, "htu")?, expected.url) {
        return Err(DpopError::Url);
    }
    // 11
    let (iat, now) = (claims::numeric_date(&claims, "iat")?.ok_or(DpopError::Claim("iat"))?, expected.now);
    if iat < now.minus_s(expected.iat_past_s) || iat > now.plus_s(expected.iat_future_s) {
        return Err(DpopError::IssuedAt { iat, now });
    }
    // 12a. A proof made for a token shows nothing without it: somebody took the token off the request.
    let digest = expected.access_token.map(|token| base64url_encode(&sha256(token.as_bytes())));
    if claims::string(&claims, "ath")? != digest.as_deref() {
        return Err(DpopError::AccessToken);
    }
    let jti = required(&claims, "jti")?;
    // The bound of section 11.1: what is remembered of every proof must be small.
    if jti.len() > limits.jti_bytes {
        return Err(DpopError::Claim("jti"));
    }
    Ok(Proof {
        thumbprint: key.thumbprint(),
        jti: jti.to_owned(),
        iat,
        nonce: claims::string(&claims, "nonce")?.map(str::to_owned),
        content_digest: claims::string(&claims, "content_digest")?.map(str::to_owned),
        key,
    })
}

/// What a proof is made of, for one request that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Making<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its URL.
    pub url: &'a Url,
    /// What names this proof and no other: random.
    pub jti: &'a str,
    /// When it is made.
    pub iat: UnixTime,
    /// The nonce that the server gave.
    pub nonce: &'a str,
    /// The body of the request, which the proof names by its [digest](content_digest).
    pub body: &'a [u8],
}

/// Makes the proof of a request without an access token, as [`check`] reads it.
///
/// # Errors
/// [`JoseError`] if the key does not sign.
pub fn make(key: &SigningKey, making: &Making<'_>) -> Result<String, JoseError> {
    let claims = json!({
        "jti": making.jti,
        "htm": making.method,
        "htu": &making.url[..Position::AfterPath],
        "iat": making.iat.as_secs(),
        "nonce": making.nonce,
        "content_digest": content_digest(making.body),
    });
    let mut head = Map::new();
    head.insert("typ".to_owned(), TYPE.into());
    head.insert("jwk".to_owned(), key.public_key().to_jwk());
    key.sign_jws(&head, &claims)
}

/// The value of a `Content-Digest` field over `body` with SHA-256 (RFC 9530 section 2), which a client may sign as the
/// claim `content_digest`, since a proof covers no body by itself.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64_STANDARD.encode(sha256(body)))
}

/// Whether `claim`, a dictionary as RFC 9530 section 2 has it, names the SHA-256 digest of `body`. Digests of other
/// algorithms are passed over; `sha-256` must be there once, so that no two readers pick different ones.
#[must_use]
pub fn content_digest_matches(claim: &str, body: &[u8]) -> bool {
    let expected = content_digest(body);
    let mut found = false;
    for member in claim.split(',').map(|member| member.trim_matches([' ', '\t'])) {
        let Some((name, _)) = member.split_once('=') else { return false };
        if name == "sha-256" && (found || member != expected) {
            return false;
        }
        found |= name == "sha-256";
    }
    found
}

const TYPE: &str = "dpop+jwt";

/// A claim that must be a string with something in it.
fn required<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, DpopError> {
    match claims::string(claims, name)? {
        None | Some("") => Err(DpopError::Claim(name)),
        Some(text) => Ok(text),
    }
}

/// Whether `htu` is `url` but for query and fragment, after the normalisation of RFC 3986 sections 6.2.2 and 6.2.3.
fn is_same_target(htu: &str, url: &Url) -> bool {
    // `Url` reads what browsers read. What RFC 3986 has no place for is refused before it can be read kindly: white
    // space, `\` for `/`, a missing `//`, and user information.
    let Some((scheme, rest)) = htu.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let strange = |c: char| !c.is_ascii_graphic() || matches!(c, '\\' | '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}');
    if htu.contains(strange) || authority.contains('@') || authority.is_empty() || scheme.contains(['/', '?', '#']) {
        return false;
    }
    // What nearly every client sends: the very text, and nothing to normalise.
    if htu == &url[..Position::AfterPath] {
        return true;
    }
    let Ok(htu) = Url::parse(htu) else { return false };
    // Scheme and host in lower case, the port made explicit, dot segments removed: done by the parser.
    htu.scheme() == url.scheme()
        && htu.host_str() == url.host_str()
        && htu.port_or_known_default() == url.port_or_known_default()
        && normal_path(htu.path()) == normal_path(url.path())
}

/// A path with its percent-encodings in upper case, and without those of unreserved characters (RFC 3986 sections
/// 6.2.2.1 and 6.2.2.2). `%2F` stays what it is: not a `/`.
fn normal_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return path.into();
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        rest = after;
        let encoded = after.split_at_checked(2).and_then(|(hex, after)| {
            let all_hex = hex.bytes().all(|digit| digit.is_ascii_hexdigit());
            Some((u8::from_str_radix(hex, 16).ok().filter(|_| all_hex)?, after))
        });
        match encoded {
            Some((byte, after)) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(byte));
                rest = after;
            }
            Some((byte, after)) => {
                out.push_str(&format!("%{byte:02X}"));
                rest = after;
            }
            None => out.push('%'),
        }
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);

    fn header(key: &SigningKey) -> Value {
        json!({"typ": "dpop+jwt", "jwk": key.public_key().to_jwk()})
    }

    fn claims() -> Value {
        json!({"jti": "1", "htm": "POST", "htu": "https://shop.example/api/orders", "iat": NOW.as_secs(),
            "ath": base64url_encode(&sha256(b"token")), "nonce": "n", "content_digest": content_digest(b"body")})
    }

    fn run(header: &Value, claims: &Value, key: &SigningKey, token: Option<&str>) -> Result<Proof, DpopError> {
        let proof = key.sign_jws(header.as_object().unwrap(), claims).unwrap();
        let url = "https://shop.example/api/orders?a=1".parse().unwrap();
        let expected =
            Expected { method: "POST", url: &url, now: NOW, iat_past_s: 60, iat_future_s: 5, access_token: token };
        check(&proof, &expected, &Limits::default())
    }

    #[test]
    fn a_proof_holds_for_its_request() {
        for key in [SigningKey::from_p256_scalar(&[7; 32]).unwrap(), SigningKey::from_ed25519_seed(&[7; 32]).unwrap()] {
            let proof = run(&header(&key), &claims(), &key, Some("token")).unwrap();
            assert_eq!(proof.key, *key.public_key());
            assert_eq!(proof.thumbprint, key.public_key().thumbprint());
            assert_eq!((proof.jti.as_str(), proof.iat, proof.nonce.as_deref()), ("1", NOW, Some("n")));
            assert!(content_digest_matches(&proof.content_digest.unwrap(), b"body"));
            let mut bare = claims();
            for name in ["ath", "nonce", "content_digest"] {
                bare.as_object_mut().unwrap().remove(name);
            }
            let proof = run(&header(&key), &bare, &key, None).unwrap();
            assert_eq!((proof.nonce, proof.content_digest), (None, None));
        }
    }

    #[test]
    fn what_is_made_holds() {
        let key = SigningKey::from_ed25519_seed(&[7; 32]).unwrap();
        let url: Url = "https://shop.example/api/orders?a=1".parse().unwrap();
        let making = Making { method: "POST", url: &url, jti: "1", iat: NOW, nonce: "n", body: b"body" };
        let proof = make(&key, &making).unwrap();
        let expected =
            Expected { method: "POST", url: &url, now: NOW, iat_past_s: 60, iat_future_s: 5, access_token: None };
        let checked = check(&proof, &expected, &Limits::default()).unwrap();
        assert_eq!((checked.jti.as_str(), checked.nonce.as_deref(), checked.iat), ("1", Some("n"), NOW));
        assert!(content_digest_matches(&checked.content_digest.unwrap(), b"body"));
        let other = Expected { method: "PUT", ..expected };
        assert!(matches!(check(&proof, &other, &Limits::default()), Err(DpopError::Method { .. })));
    }

    #[test]
    fn a_proof_with_one_claim_wrong_is_refused() {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        let at = |iat: i64| DpopError::IssuedAt { iat: UnixTime::from_secs(iat), now: NOW };
        let type_of = |name| DpopError::Jose(JoseError::Member(name));
        let method = DpopError::Method { expected: "POST".to_owned() };
        for (name, value, error) in [
            ("jti", json!(null), type_of("jti")),
            ("jti", json!(""), DpopError::Claim("jti")),
            ("jti", json!("j".repeat(257)), DpopError::Claim("jti")),
            ("htm", json!("post"), method.clone()),
            ("htm", json!("GET"), method),
            ("htm", json!(["POST"]), type_of("htm")),
            ("htu", json!("https://shop.example/api/order"), DpopError::Url),
            ("htu", json!(7), type_of("htu")),
            ("iat", json!(1_793_499_939), at(1_793_499_939)),
            ("iat", json!(1_793_500_006), at(1_793_500_006)),
            ("iat", json!("1793500000"), type_of("iat")),
            ("ath", json!("x"), DpopError::AccessToken),
            ("ath", json!(1), type_of("ath")),
            ("nonce", json!(1), type_of("nonce")),
            ("content_digest", json!({}), type_of("content_digest")),
        ] {
            let mut claims = claims();
            claims[name] = value.clone();
            assert_eq!(run(&header(&key), &claims, &key, Some("token")).err(), Some(error), "{name} {value}");
        }
        for name in ["jti", "htm", "htu", "iat"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(run(&header(&key), &claims, &key, Some("token")).err(), Some(DpopError::Claim(name)));
        }
        let mut bare = claims();
        bare.as_object_mut().unwrap().remove("ath");
        assert_eq!(run(&header(&key), &bare, &key, Some("token")).err(), Some(DpopError::AccessToken));
        assert_eq!(run(&header(&key), &claims(), &key, None).err(), Some(DpopError::AccessToken));
        assert_eq!(run(&header(&key), &claims(), &key, Some("other")).err(), Some(DpopError::AccessToken));
    }

    #[test]
    fn a_proof_with_one_thing_wrong_in_its_header_is_refused() {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        let other = SigningKey::from_p256_scalar(&[8; 32]).unwrap();
        assert_eq!(
            run(&header(&other), &claims(), &key, Some("token")).err(),
            Some(DpopError::Jose(JoseError::Signature))
        );
        for (name, value, error) in [
            ("typ", json!("JWT"), DpopError::Type),
            ("typ", json!("DPOP+JWT"), DpopError::Type),
            ("typ", json!("application/dpop+jwt"), DpopError::Type),
            ("crit", json!(["exp"]), DpopError::Jose(JoseError::Extension("crit"))),
            ("jwk", json!({"kty": "oct", "k": "AA"}), DpopError::Jose(JoseError::PrivateKey)),
        ] {
            let mut header = header(&key);
            header[name] = value.clone();
            assert_eq!(run(&header, &claims(), &key, Some("token")).err(), Some(error), "{name} {value}");
        }
        let bare = json!({"typ": "dpop+jwt", "kid": "1"});
        assert_eq!(run(&bare, &claims(), &key, Some("token")).err(), Some(DpopError::Jose(JoseError::Member("jwk"))));
        let huge = json!({"typ": "dpop+jwt", "jwk": key.public_key().to_jwk(), "x": "x".repeat(8 * 1024)});
        assert!(matches!(run(&huge, &claims(), &key, Some("token")), Err(DpopError::Jose(JoseError::TooLarge { .. }))));
    }

    #[test]
    fn targets_are_compared_after_normalisation() {
        let url: Url = "https://shop.example/api/%7eorders/%c3%a4?a=1#f".parse().unwrap();
        for same in [
            "https://shop.example/api/~orders/%C3%A4",
            "HTTPS://Shop.Example:443/api/%7Eorders/%c3%a4",
            "https://shop.example/x/../api/./~orders/%C3%a4?b=2#g",
        ] {
            assert!(is_same_target(same, &url), "{same}");
        }
        for other in [
            "http://shop.example/api/~orders/%C3%A4",
            "https://shop.example:444/api/~orders/%C3%A4",
            "https://shop.example./api/~orders/%C3%A4",
            "https://shop.example.evil.example/api/~orders/%C3%A4",
            "https://u@shop.example/api/~orders/%C3%A4",
            "https://@shop.example/api/~orders/%C3%A4",
            "https://shop.example/api%2F~orders/%C3%A4",
            "https://shop.example/api/~orders/%C3%A4/",
            "https://shop.example/API/~orders/%C3%A4",
            "https:\\\\shop.example/api/~orders/%C3%A4",
            "https:shop.example/api/~orders/%C3%A4",
            "https:///shop.example/api/~orders/%C3%A4",
            " https://shop.example/api/~orders/%C3%A4",
            "https://shop.ex\nample/api/~orders/%C3%A4",
            "https://shop.example/api/~orders/ä",
            "/api/~orders/%C3%A4",
            "",
        ] {
            assert!(!is_same_target(other, &url), "{other}");
        }
        assert!(is_same_target("https://shop.example", &"https://shop.example/".parse().unwrap()));
        assert_eq!(normal_path("/%zz%4%"), "/%zz%4%");
        assert_eq!(normal_path("/%+1"), "/%+1");
    }

    #[test]
    fn a_digest_names_its_body() {
        // RFC 9530 appendix D: the body of the first example.
        let digest = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let body = b"{\"hello\": \"world\"}\n";
        assert_eq!(content_digest(body), digest);
        assert!(content_digest_matches(digest, body));
        assert!(content_digest_matches(&format!("sha-512=:AA==:, {digest}"), body));
        assert!(!content_digest_matches(digest, b"other"));
        for claim in ["", "sha-256", "sha-512=:AA==:", &format!("{digest},{digest}"), &digest.replace('=', "")] {
            assert!(!content_digest_matches(claim, body), "{claim}");
        }
    }
}
