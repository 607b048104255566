//! What the holder's proof says beside the hash of the transaction: who authenticated, and how (EUDI TS12, 3.6).

use serde_json::{Map, Value};

/// An authentication code in characters: fewer hold no 64 random bits (RFC 7519, 4.1.7), more are somebody's prose.
const JTI: std::ops::RangeInclusive<usize> = 16..=256;
/// The most factors that are read.
const FACTORS_MAX: usize = 16;

/// Why a presentation authorises no payment, although its signatures hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScaError {
    /// No authentication code, or none that could be fresh and random.
    #[error("the holder's proof needs a `jti` of 16 to 256 visible ASCII characters")]
    Jti,
    /// The proof does not say in which mode the answer was asked for, or another one.
    #[error("the holder's proof must name the response mode {expected}")]
    ResponseMode {
        /// The mode of the request.
        expected: String,
    },
    /// `amr` is not what it should be.
    #[error("`amr` must be an array of objects with one factor each")]
    Amr,
    /// A factor that the standard does not have.
    #[error("`amr` names a factor that is unknown")]
    UnknownFactor,
    /// The factors are all of one category.
    #[error("`amr` needs factors of two categories at least")]
    OneCategory,
    /// The metadata of the attestation's type do not say that it authorises anything.
    #[error("the type {vct} is none of strong customer authentication by its metadata, or nobody has them")]
    NotSca {
        /// The type.
        vct: String,
    },
    /// The metadata of the type do not have such a transaction.
    #[error("the type {vct} signs no {kind} of a payment")]
    TransactionType {
        /// The type.
        vct: String,
        /// The type of the transaction data.
        kind: String,
    },
}

impl ScaError {
    /// The stable name of the check that failed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Jti => "sca_jti",
            Self::ResponseMode { .. } => "sca_response_mode",
            Self::Amr => "sca_amr_malformed",
            Self::UnknownFactor => "sca_amr_unknown",
            Self::OneCategory => "sca_amr_one_category",
            Self::NotSca { .. } => "sca_not_an_sca_type",
            Self::TransactionType { .. } => "sca_transaction_type",
        }
    }
}

/// What a holder's proof says beside the hash of the transaction (3.6): for one whose signature, audience, nonce, times and
/// hashes hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication {
    jti: String,
    factors: Vec<(Category, &'static str)>,
}

/// A kind of factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// What somebody alone knows.
    Knowledge,
    /// What somebody alone has.
    Possession,
    /// What somebody is.
    Inherence,
}

/// The factors that there are (3.6).
const FACTORS: [(Category, &str, &[&str]); 3] = [
    (
        Category::Knowledge,
        "knowledge",
        &[
            "pin_less_than_6_digits",
            "pin_6_or_more_digits",
            "passphrase_less_than_8_chars",
            "passphrase_8_to_11_chars",
            "passphrase_12_or_more_chars",
            "pattern",
            "other",
        ],
    ),
    (
        Category::Possession,
        "possession",
        &[
            "key_in_remote_wscd",
            "key_in_local_external_wscd",
            "key_in_local_internal_wscd",
            "key_in_local_native_wscd",
            "other",
        ],
    ),
    (
        Category::Inherence,
        "inherence",
        &["fingerprint_device", "fingerprint_external", "face_device", "face_external", "other"],
    ),
];

impl Authentication {
    /// Reads the claims of a holder's proof that answers a request in this response mode (3.6).
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn read(proof: &Map<String, Value>, response_mode: &str) -> Result<Self, ScaError> {
        let text = |name: &str| proof.get(name).and_then(Value::as_str);
        let jti = text("jti").filter(|jti| JTI.contains(&jti.len()) && jti.bytes().all(|byte| byte.is_ascii_graphic()));
        let jti = jti.ok_or(ScaError::Jti)?.to_owned();
        // The standard's own example leaves it out, and its text requires it.
        if text("response_mode") != Some(response_mode) {
            return Err(ScaError::ResponseMode { expected: response_mode.to_owned() });
        }
        let Some(Value::Array(named)) = proof.get("amr") else { return Err(ScaError::Amr) };
        if named.len() > FACTORS_MAX {
            return Err(ScaError::Amr);
        }
        let factors = named.iter().map(factor).collect::<Result<Vec<_>, _>>()?;
        let first = factors.first().map(|(category, _)| *category);
        if !factors.iter().any(|(category, _)| Some(*category) != first) {
            return Err(ScaError::OneCategory);
        }
        Ok(Self { jti, factors })
    }

    /// The authentication code: unique for each presentation.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// By what the wallet recognised its owner.
    #[must_use]
    pub fn factors(&self) -> &[(Category, &'static str)] {
        &self.factors
    }
}

impl std::fmt::Debug for Authentication {
    /// Without the code.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authentication").field("factors", &self.factors).finish_non_exhaustive()
    }
}

fn factor(named: &Value) -> Result<(Category, &'static str), ScaError> {
    let members = named.as_object().filter(|members| members.len() == 1).ok_or(ScaError::Amr)?;
    let (category, method) = members.iter().next().ok_or(ScaError::Amr)?;
    let method = method.as_str().ok_or(ScaError::Amr)?;
    let known = FACTORS.iter().find(|(_, name, _)| name == category).ok_or(ScaError::UnknownFactor)?;
    let (category, _, methods) = known;
    let method = methods.iter().find(|known| **known == method).ok_or(ScaError::UnknownFactor)?;
    Ok((*category, method))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn proof(edit: impl FnOnce(&mut Map<String, Value>)) -> Result<Authentication, ScaError> {
        let mut proof = json!({
            "jti": "deeec2b0-3bea-4477-bd5d-e3462a709481",
            "response_mode": "direct_post.jwt",
            "amr": [{ "knowledge": "pin_6_or_more_digits" }, { "possession": "key_in_remote_wscd" }],
        });
        edit(proof.as_object_mut().unwrap());
        Authentication::read(proof.as_object().unwrap(), "direct_post.jwt")
    }

    #[test]
    fn two_kinds_of_factors_authenticate_somebody() {
        let read = proof(|_| {}).unwrap();
        assert_eq!(read.jti(), "deeec2b0-3bea-4477-bd5d-e3462a709481");
        let factors = [(Category::Knowledge, "pin_6_or_more_digits"), (Category::Possession, "key_in_remote_wscd")];
        assert_eq!(read.factors(), factors);
        assert!(!format!("{read:?}").contains("deeec2b0"));
        let with = |name: &'static str, value: Value| proof(|proof| drop(proof.insert(name.to_owned(), value)));
        for jti in [json!(null), json!(1), json!("short"), json!("with a space in it"), json!("x".repeat(257))] {
            assert_eq!(with("jti", jti.clone()), Err(ScaError::Jti), "{jti}");
        }
        let other = Err(ScaError::ResponseMode { expected: "direct_post.jwt".into() });
        for mode in [json!("direct_post"), json!("dc_api.jwt"), json!(null), json!(["direct_post.jwt"])] {
            assert_eq!(with("response_mode", mode.clone()), other, "{mode}");
        }
        assert_eq!(proof(|proof| drop(proof.remove("jti"))), Err(ScaError::Jti));
        assert_eq!(proof(|proof| drop(proof.remove("response_mode"))), other);
        let pin = json!({ "knowledge": "pattern" });
        let malformed = [
            json!(null),
            json!("pin"),
            json!(["pin", "face"]),
            json!([{}, pin]),
            json!([{ "knowledge": "pattern", "inherence": "face_device" }]),
            json!([pin, { "inherence": ["face_device"] }]),
            json!(vec![json!({ "knowledge": "other" }); 17]),
        ];
        for amr in malformed {
            assert_eq!(with("amr", amr.clone()), Err(ScaError::Amr), "{amr}");
        }
        for amr in [
            json!([pin, { "location": "home" }]),
            json!([pin, { "inherence": "iris" }]),
            json!([pin, { "possession": "pattern" }]),
            json!([pin, { "Inherence": "face_device" }]),
        ] {
            assert_eq!(with("amr", amr.clone()), Err(ScaError::UnknownFactor), "{amr}");
        }
        for amr in [json!([]), json!([pin]), json!([pin, pin]), json!([pin, { "knowledge": "other" }])] {
            assert_eq!(with("amr", amr.clone()), Err(ScaError::OneCategory), "{amr}");
        }
        assert!(with("amr", json!([pin, { "knowledge": "other" }, { "inherence": "other" }])).is_ok());
    }
}
