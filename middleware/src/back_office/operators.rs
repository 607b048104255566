//! Who sits at the merchant's pages: operators with keys, and the door that the keys open.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use firsthand::{
    Merchant,
    env::{Env, SystemEnv},
    error::Refusal,
    protocol::jose::{base64url_decode, base64url_encode, sha256},
    time::UnixTime,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};

use super::html::refused_page;
use crate::{
    lang::Lang,
    problem::Problem,
    same_origin,
    signed::{is_navigation, is_safe},
};

/// The shortest key, in characters: 128 random bits in the alphabet of base64url.
const KEY_CHARS_MIN: usize = 22;
/// The longest key that is looked at, in bytes.
const KEY_BYTES_MAX: usize = 512;
/// How many wrong keys a minute are answered one by one; more are answered in one breath.
const WRONG_KEYS_MAX: u32 = 10;
/// How long a form may lie open, in seconds.
const FORM_S: i64 = 24 * 60 * 60;

/// Content Security Policy of the merchant's pages: they have no script, and show nothing from elsewhere.
const CSP: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What lets an operator in: at least 128 random bits as text. The merchant keeps its [`KeyDigest`] alone.
#[derive(Clone)]
pub struct OperatorKey(String);

impl std::fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorKey([redacted])")
    }
}

impl OperatorKey {
    /// A new key of 192 random bits, of the system's randomness: there is no shop yet.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 24];
        SystemEnv.fill(&mut bytes);
        Self(base64url_encode(&bytes))
    }

    /// Reads a key, or makes it if there is no such file, for its owner's eyes alone: for a shop with one operator, who
    /// has the machine.
    ///
    /// # Errors
    /// If the file cannot be read or made, or what is in it is shorter than a key that nobody guesses.
    pub fn read_or_make(file: &Path) -> io::Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) if text.trim().len() >= KEY_CHARS_MIN => Ok(Self(text.trim().to_owned())),
            Ok(_) => {
                let shown = file.display();
                Err(io::Error::other(format!("{shown} holds less than {KEY_CHARS_MIN} characters: no key")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::random();
                // Whole or not at all: half a key would keep a shop that was killed meanwhile from opening again.
                let part = file.with_extension("part");
                // Nor is it written into what is there: that may be readable by others.
                match fs::remove_file(&part) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut open = options.open(&part)?;
                writeln!(open, "{}", key.0)?;
                open.sync_all()?;
                fs::rename(&part, file)?;
                Ok(key)
            }
            Err(error) => Err(error),
        }
    }

    /// The key itself, for its operator.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the merchant keeps of it.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.0)
    }
}

/// The SHA-256 of an operator's key, as 64 hexadecimal digits: what stands in a configuration. Since the key is random,
/// nobody finds it by its digest. `printf %s "$KEY" | sha256sum` makes it, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    fn of(key: &str) -> Self {
        Self(sha256(key.as_bytes()))
    }
}

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyDigest([redacted])")
    }
}

impl std::fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no digest of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKeyDigest;

impl std::fmt::Display for NotAKeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not the digest of a key: 64 hexadecimal digits")
    }
}

impl std::error::Error for NotAKeyDigest {}

impl FromStr for KeyDigest {
    type Err = NotAKeyDigest;

    fn from_str(text: &str) -> Result<Self, NotAKeyDigest> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotAKeyDigest);
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            let digits = text.get(2 * at..2 * at + 2).ok_or(NotAKeyDigest)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotAKeyDigest)?;
        }
        Ok(Self(digest))
    }
}

/// Who may open the merchant's pages and call its API, each by a key of their own.
///
/// A browser asks for it by HTTP Basic (RFC 7617): whatever the user's name, the key is the password. A program sends
/// `Authorization: Bearer` and the key (RFC 6750). Whoever leaves is taken out of the list.
///
/// ```
/// use firsthand_axum::{OperatorKey, Operators};
///
/// let key = OperatorKey::random(); // for Anna; the configuration keeps its digest
/// let digest = key.digest().to_string();
/// let operators = Operators::new().key("anna", digest.parse()?);
/// # let _ = operators;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Operators {
    keys: Vec<(Arc<str>, KeyDigest)>,
    wrong: Arc<Mutex<Wrong>>,
}

/// Wrong keys in the current minute.
#[derive(Debug, Default)]
struct Wrong {
    minute: i64,
    keys: u32,
}

impl Operators {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets in whoever has the key of this digest. The name stands in the log beside whatever they do.
    #[must_use]
    pub fn key(mut self, name: &str, digest: KeyDigest) -> Self {
        self.keys.push((name.into(), digest));
        self
    }

    /// Whose key it is. All of them are compared, each in the same time whatever is in it.
    fn whose(&self, given: &str) -> Option<Arc<str>> {
        if given.len() > KEY_BYTES_MAX {
            return None;
        }
        let given = KeyDigest::of(given);
        let mut found = None;
        for (name, digest) in &self.keys {
            if verify_slices_are_equal(&digest.0, &given.0).is_ok() {
                found = Some(name.clone());
            }
        }
        found
    }

    /// Counts a wrong key. The right ones open all the while: nobody can lock the operators out, and what is random
    /// enough is not found by trying.
    fn are_too_many(&self, now: UnixTime) -> bool {
        let minute = now.as_secs().div_euclid(60);
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.minute != minute {
            *wrong = Wrong { minute, keys: 0 };
        }
        wrong.keys = wrong.keys.saturating_add(1);
        if wrong.keys == WRONG_KEYS_MAX {
            tracing::warn!("many wrong keys of operators in this minute");
        }
        wrong.keys > WRONG_KEYS_MAX
    }
}

/// Whoever is at the merchant's pages, as an argument of a handler behind
/// [`BackOffice::guard`](crate::BackOffice::guard).
#[derive(Clone)]
pub struct Operator {
    name: Arc<str>,
    forms: Arc<hmac::Key>,
    merchant: Merchant,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Operator {
    fn new(name: Arc<str>, given: &str, merchant: &Merchant) -> Self {
        // Of the key and not of its digest: whoever reads the configuration makes no forms.
        let key = sha256(format!("forms of the back office {given}").as_bytes());
        Self { name, forms: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key)), merchant: merchant.clone() }
    }

    /// Their name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A token for a form of theirs, for a hidden field: when it was made and what names it, under a key that is made
    /// of theirs. Good for a day, at every node.
    #[must_use]
    pub fn form(&self) -> String {
        let nonce: [u8; 16] = self.merchant.random();
        let made = [self.merchant.now().as_secs().to_be_bytes().as_slice(), &nonce].concat();
        base64url_encode(&[&made, hmac::sign(&self.forms, &made).as_ref()].concat())
    }

    /// The name of a form of theirs that is not too old: the same each time that it is sent, so that what it does is
    /// done once.
    #[must_use]
    pub fn read_form(&self, token: &str) -> Option<String> {
        let bytes = base64url_decode(token).ok().filter(|bytes| bytes.len() == 8 + 16 + 32)?;
        let (made, tag) = bytes.split_at_checked(8 + 16)?;
        hmac::verify(&self.forms, made, tag).ok()?;
        let (made_s, nonce) = made.split_first_chunk::<8>()?;
        let age_s = self.merchant.now().as_secs().checked_sub(i64::from_be_bytes(*made_s))?;
        (0..FORM_S).contains(&age_s).then(|| base64url_encode(nonce))
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| crate::problem::misuse("no operator: is the route behind `BackOffice::guard`?".to_owned()))
    }
}

/// The door: which keys open it, and how they are shown.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) merchant: Merchant,
    pub(super) operators: Operators,
    pub(super) shown: Shown,
}

/// How a key is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// By a browser, which also sends it with what pages of other sites make it send: a form has to come from here.
    Basic,
    /// By a program, which no page makes send anything.
    Bearer,
}

/// Lets operators in, and keeps what they see out of caches, frames and other pages.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let now = door.merchant.now();
    let given = door.shown.key(request.headers());
    let who = given.as_deref().and_then(|given| Some((door.operators.whose(given)?, given)));
    let mut response = match who {
        Some((name, given)) => {
            let from_here = match door.shown {
                Shown::Basic if !is_safe(request.method()) => same_origin::check(&door.merchant, request.headers()),
                _ => Ok(()),
            };
            match from_here {
                Ok(()) => {
                    request.extensions_mut().insert(Operator::new(name, given, &door.merchant));
                    next.run(request).await
                }
                Err(problem) => door.refused(request.headers(), problem),
            }
        }
        // Nobody shows a key to begin with: a browser asks for it then.
        None if given.is_some() && door.operators.are_too_many(now) => {
            door.refused(request.headers(), Problem::from(Refusal::TooMany { retry_s: 60 }))
        }
        None => {
            let detail = "the merchant's pages open with the key of an operator";
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "operator_unknown", detail);
            let mut response = door.refused(request.headers(), problem);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, door.shown.challenge());
            response
        }
    };
    keep_in(response.headers_mut());
    response
}

impl Door {
    fn refused(&self, headers: &HeaderMap, problem: Problem) -> Response {
        match self.shown {
            Shown::Basic if wants_a_page(headers) => refused_page(Lang::of(headers), problem),
            _ => problem.into_response(),
        }
    }
}

/// Whether somebody is going to read the answer.
fn wants_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html") || is_navigation(headers)
}

impl Shown {
    /// The key of a request.
    fn key(self, headers: &HeaderMap) -> Option<String> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
        let text = text.trim();
        match self {
            Self::Bearer => scheme.eq_ignore_ascii_case("Bearer").then(|| text.to_owned()),
            Self::Basic => {
                // What is decoded is base64 with another alphabet at its end.
                let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
                let bytes = base64url_decode(&text).ok().filter(|_| scheme.eq_ignore_ascii_case("Basic"))?;
                Some(String::from_utf8(bytes).ok()?.split_once(':')?.1.to_owned())
            }
        }
    }

    const fn challenge(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Basic => "Basic realm=\"merchant\", charset=\"UTF-8\"",
            Self::Bearer => "Bearer realm=\"merchant\"",
        })
    }
}

/// What every answer to an operator carries, unless its handler said otherwise.
fn keep_in(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let others: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        // Not `no-referrer`: browsers would say `Origin: null` of our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in others {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use firsthand::{store::Memory, testing::TestShop, time::UnixTime};

    use super::*;

    #[test]
    fn a_key_is_made_whole_once_and_kept() {
        let folder = std::env::temp_dir().join(format!("firsthand-operator-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("operator.key");
        // What a program leaves that was killed while it made one.
        fs::write(folder.join("operator.part"), "ha").unwrap();
        let key = OperatorKey::read_or_make(&file).unwrap();
        assert_eq!(key.reveal().len(), 32);
        assert_eq!(OperatorKey::read_or_make(&file).unwrap().reveal(), key.reveal());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(!format!("{key:?}").contains(key.reveal()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        for short in ["too short a key", "secret\n", ""] {
            fs::write(&file, short).unwrap();
            assert!(OperatorKey::read_or_make(&file).is_err());
        }
        let _ = fs::remove_dir_all(&folder);
    }

    #[test]
    fn a_digest_is_written_as_sha256sum_writes_it() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(KeyDigest::of("abc").to_string(), digest);
        assert_eq!(digest.parse(), Ok(KeyDigest::of("abc")));
        assert_eq!(digest.to_uppercase().parse(), Ok(KeyDigest::of("abc")));
        for bad in ["", "abc", &digest[1..], &format!("{digest}0"), &digest.replace('b', "+")] {
            assert_eq!(bad.parse::<KeyDigest>(), Err(NotAKeyDigest), "{bad}");
        }
        assert!(!format!("{:?}", Operators::new().key("anna", KeyDigest::of("abc"))).contains("ba78"));
    }

    /// A shop's world, in which every byte that is drawn is a seven.
    #[derive(Debug)]
    struct Sevens(UnixTime);

    impl Env for Sevens {
        fn now(&self) -> UnixTime {
            self.0
        }

        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn forms_are_drawn_from_the_shops_randomness() {
        let now = TestShop::new().merchant().now();
        let shop = TestShop::with(|builder| builder.store(Memory::new()).env(Sevens(now)));
        let token = Operator::new("anna".into(), "key", shop.merchant()).form();
        assert_eq!(base64url_decode(&token).unwrap()[8..24], [7; 16]);
    }

    #[test]
    fn each_key_is_its_operators() {
        let (anna, ben) = (OperatorKey::random(), OperatorKey::random());
        let operators = Operators::new().key("anna", anna.digest()).key("ben", ben.digest());
        assert_eq!(operators.whose(anna.reveal()).as_deref(), Some("anna"));
        assert_eq!(operators.whose(ben.reveal()).as_deref(), Some("ben"));
        for wrong in ["", "anna", &anna.digest().to_string(), &format!("{} ", ben.reveal()), &"x".repeat(600)] {
            assert_eq!(operators.whose(wrong), None);
        }
        assert_eq!(Operators::new().whose(""), None);
    }

    #[test]
    fn a_key_is_read_from_its_own_scheme_alone() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            headers
        };
        // `anna:key?>` in base64, with a letter that base64url does not have.
        for basic in ["Basic YW5uYTprZXk/Pg==", "basic  YW5uYTprZXk/Pg"] {
            assert_eq!(Shown::Basic.key(&headers(&[basic])).as_deref(), Some("key?>"));
            assert_eq!(Shown::Bearer.key(&headers(&[basic])), None);
        }
        assert_eq!(Shown::Bearer.key(&headers(&["bearer key"])).as_deref(), Some("key"));
        for none in [&[][..], &["Bearer"], &["Basic !"], &["Basic YW5uYQ=="], &["Bearer a", "Bearer a"], &["DPoP key"]]
        {
            assert_eq!(Shown::Basic.key(&headers(none)), None, "{none:?}");
            assert_eq!(Shown::Bearer.key(&headers(none)).filter(|key| key != "key"), None, "{none:?}");
        }
    }
}
