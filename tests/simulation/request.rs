//! A request as the oracle reads it off the wire: what it is about, whose key signed it, and which token it carries.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use firsthand::protocol::dpop::content_digest;
use http::header;
use serde_json::Value;

use crate::nodes::Sent;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The shop's own page, which says who is there.
    Look,
    /// The shop's own deed, which must happen once.
    Act,
    Me,
    Sessions,
    Ask,
    /// A wallet answers the request of this name.
    Answer(String),
    /// A session begins, by a presentation and the code that its wallet brought back, or by a known key alone.
    Begin {
        presentation: Option<String>,
        code: Option<String>,
    },
    SignOut,
    Revoke(String),
    RevokeAll,
    ForgetDevice,
    ForgetMe,
    MakeCode,
    /// Somebody comes back by a code.
    Recover(String),
    /// Something about a checkout.
    Checkout,
    Other,
}

impl Deed {
    /// What it is called where it is counted.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Act => "act",
            Self::Me => "me",
            Self::Sessions => "sessions",
            Self::Ask => "ask",
            Self::Answer(_) => "answer",
            Self::Begin { presentation: Some(_), .. } => "redeem",
            Self::Begin { presentation: None, .. } => "resume",
            Self::SignOut => "sign out",
            Self::Revoke(_) => "revoke one",
            Self::RevokeAll => "revoke all",
            Self::ForgetDevice => "forget device",
            Self::ForgetMe => "forget me",
            Self::MakeCode => "write down a code",
            Self::Recover(_) => "recover",
            Self::Checkout => "checkout",
            Self::Other => "anything else",
        }
    }

    /// Whether it ends sessions.
    pub const fn ends(&self) -> bool {
        matches!(
            self,
            Self::SignOut | Self::Revoke(_) | Self::RevokeAll | Self::ForgetDevice | Self::ForgetMe | Self::Recover(_)
        )
    }

    /// Whether it begins a session.
    pub const fn begins(&self) -> bool {
        matches!(self, Self::Begin { .. } | Self::Recover(_))
    }

    /// Whether it is done for a customer who is known, and for nobody else.
    pub const fn is_for_known(&self) -> bool {
        matches!(
            self,
            Self::Look
                | Self::Act
                | Self::Me
                | Self::Sessions
                | Self::SignOut
                | Self::Revoke(_)
                | Self::RevokeAll
                | Self::ForgetDevice
                | Self::ForgetMe
                | Self::MakeCode
                | Self::Checkout
        )
    }
}

/// What a proof says.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its whole text: what may have an effect once.
    pub text: String,
    /// Whose it is: what tells one public key from another.
    pub key: String,
    pub made_at: i64,
    /// Whether it was made for this very request.
    pub fits: bool,
}

/// A request, read.
#[derive(Clone, Debug)]
pub struct Read {
    pub deed: Deed,
    pub is_safe: bool,
    pub proof: Option<Proof>,
    pub token: Option<String>,
}

impl Read {
    pub fn of(sent: &Sent) -> Self {
        let text = |name: header::HeaderName| sent.headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            deed: deed(sent),
            is_safe: sent.method.is_safe(),
            proof: text(header::HeaderName::from_static("dpop")).and_then(|text| proof(text, sent)),
            token: text(header::AUTHORIZATION).and_then(|text| text.strip_prefix("DPoP ")).map(str::to_owned),
        }
    }
}

fn deed(sent: &Sent) -> Deed {
    let body: Value = serde_json::from_slice(&sent.body).unwrap_or_default();
    let said = |name: &str| body[name].as_str().map(str::to_owned);
    let path: Vec<&str> = sent.uri.path().split('/').skip(1).collect();
    match (sent.method.as_str(), path.as_slice()) {
        ("GET", [""]) => Deed::Look,
        ("POST", ["deed"]) => Deed::Act,
        ("GET", ["wallet", "me"]) => Deed::Me,
        ("DELETE", ["wallet", "me"]) => Deed::ForgetMe,
        ("POST", ["wallet", "presentations"]) => Deed::Ask,
        ("POST", ["wallet", "responses", id]) => Deed::Answer((*id).to_owned()),
        ("POST", ["wallet", "sessions"]) => {
            Deed::Begin { presentation: said("presentation"), code: said("response_code") }
        }
        ("GET", ["wallet", "sessions"]) => Deed::Sessions,
        ("DELETE", ["wallet", "sessions"]) => Deed::RevokeAll,
        ("DELETE", ["wallet", "sessions", "current"]) => Deed::SignOut,
        ("DELETE", ["wallet", "sessions", id]) => Deed::Revoke((*id).to_owned()),
        ("DELETE", ["wallet", "device"]) => Deed::ForgetDevice,
        ("POST", ["wallet", "recovery-code"]) => Deed::MakeCode,
        ("POST", ["wallet", "recovery"]) => Deed::Recover(said("code").unwrap_or_default()),
        (_, ["wallet", "checkouts", ..]) => Deed::Checkout,
        _ => Deed::Other,
    }
}

fn proof(text: &str, sent: &Sent) -> Option<Proof> {
    let mut parts = text.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default());
    let (head, claims) = (parts.next()?, parts.next()?);
    let (head, claims): (Value, Value) = (serde_json::from_slice(&head).ok()?, serde_json::from_slice(&claims).ok()?);
    let says = |name: &str| claims[name].as_str();
    let of_body = says("content_digest").is_none_or(|digest| digest == content_digest(&sent.body));
    let of_address = says("htu").is_some_and(|url| url.ends_with(sent.uri.path()));
    Some(Proof {
        text: text.to_owned(),
        key: head["jwk"]["x"].as_str()?.to_owned(),
        made_at: claims["iat"].as_i64()?,
        fits: says("htm") == Some(sent.method.as_str()) && of_address && of_body,
    })
}
