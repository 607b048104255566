//! A wallet that speaks OpenID4VP 1.0 like any other, and can be told to get one thing wrong.
//!
//! It does no I/O: [`Link`] says what to fetch, [`Request`] is what came back and is fit to be shown to a person, and
//! [`Wallet::answer`] is what to post to [`Request::response_uri`]. The development wallet carries these over HTTP;
//! tests hand them to a router.
use serde_json::Value;

use crate::{env::Env, protocol::jose::base64url_encode};

mod answer;
mod choose;
mod dc_api;
mod error;
mod fault;
mod hold;
mod present;
mod request;
#[cfg(test)]
mod tests;
mod verifier;

pub use choose::{Choice, Chosen};
pub use error::WalletError;
pub use fault::Fault;
pub use hold::Holding;
pub use request::{Link, Request, redirect_uri};
pub use verifier::{Anchors, encrypting_form};

/// One person's wallet.
#[derive(Clone, Debug, Default)]
pub struct Wallet {
    holdings: Vec<Holding>,
}

impl Wallet {
    /// An empty wallet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let elements = value.and_then(Value::as_array).into_iter().flatten();
    elements.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// 256 bits as base64url, fit for a nonce.
fn random(env: &dyn Env) -> String {
    base64url_encode(&scalar(env))
}

/// The scalar of a throw-away key: below the order of P-256 whatever is drawn.
pub(super) fn scalar(env: &dyn Env) -> [u8; 32] {
    let mut bytes = [0; 32];
    env.fill(&mut bytes);
    let [first, .., last] = &mut bytes;
    (*first, *last) = (*first & 0x7f, *last | 1);
    bytes
}
