//! SD-JWT VC Type Metadata (draft-ietf-oauth-sd-jwt-vc-24, "SD-JWT VC Type Metadata"): what a type demands of its
//! credentials.
//!
//! A [`Chain`] takes the document of a type and those of the types that it extends, one after the other, and says which
//! comes next; [`Rules`] are what they demand together. How a credential is shown is for wallets: it is not looked at.
//! What a type extends says nothing about who may issue it.

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

use crate::{
    limits::Limits,
    protocol::{
        json::{self, JsonError},
        sca::{self, ScaError},
        sd_jwt::shape::{Place, Shape},
    },
};

/// The largest document, in bytes: rules, names and colours in all languages of Europe take some ten thousand.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Types that extend each other: a national type, the European one, and two more.
pub const TYPES_MAX: usize = 4;
/// Rules of one document.
const CLAIMS_MAX: usize = 512;
/// Elements of one path.
const PATH_MAX: usize = 16;
/// Places that one path selects: a wildcard within a wildcard is bounded by what was sent, but not by much.
const SELECTED_MAX: usize = 1_024;

/// Why a credential is not what its type demands, or nobody can say what that is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypeMetadataError {
    /// More bytes than are read.
    #[error("a type metadata document of {bytes} bytes is larger than {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A document is not JSON.
    #[error("type metadata: {0}")]
    Json(#[from] JsonError),
    /// Something in a document has a wrong form.
    #[error("type metadata: {0}")]
    Form(&'static str),
    /// A document describes another type.
    #[error("type metadata of another type than {expected}")]
    OtherType {
        /// The type that was looked for.
        expected: String,
    },
    /// A document is not the one that was meant.
    #[error("the type metadata of {vct} is not the one that its `#integrity` names")]
    Integrity {
        /// The type.
        vct: String,
    },
    /// A type extends itself.
    #[error("{vct} extends itself")]
    Circular {
        /// The type.
        vct: String,
    },
    /// More types extend each other than are followed.
    #[error("more than {max} types extend each other")]
    TooManyTypes {
        /// The bound.
        max: usize,
    },
    /// A document loosens what the type that it extends demands.
    #[error("a type loosens what the type that it extends demands of a claim")]
    Loosened,
    /// Nobody has the document of a type that another one extends.
    #[error("there is no type metadata of {vct}: pin it too")]
    Missing {
        /// The type.
        vct: String,
    },
    /// A path leads through something that is no object or no array.
    #[error("the credential is not built as its type says")]
    Path,
    /// A claim that every credential of the type has is not there.
    #[error("the credential lacks a claim that its type demands: {path}")]
    Mandatory {
        /// Where it should be.
        path: String,
    },
    /// A claim that holders may leave out cannot be left out.
    #[error("the credential has a claim in clear that its type lets holders hide: {path}")]
    MustBeDisclosed {
        /// Where it is.
        path: String,
    },
    /// A claim that no holder may leave out can be left out.
    #[error("the credential lets its holder hide what its type shows always: {path}")]
    MustBeClear {
        /// Where it is.
        path: String,
    },
}

impl TypeMetadataError {
    /// A stable name of the check that failed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "type_metadata_too_large",
            Self::Json(_) => "type_metadata_json",
            Self::Form(_) => "type_metadata_malformed",
            Self::OtherType { .. } => "type_metadata_other_type",
            Self::Integrity { .. } => "type_metadata_integrity",
            Self::Circular { .. } => "type_metadata_circular",
            Self::TooManyTypes { .. } => "type_metadata_too_many_types",
            Self::Loosened => "type_metadata_loosened",
            Self::Missing { .. } => "type_metadata_missing",
            Self::Path => "type_claim_path",
            Self::Mandatory { .. } => "type_claim_mandatory",
            Self::MustBeDisclosed { .. } => "type_claim_must_be_disclosed",
            Self::MustBeClear { .. } => "type_claim_must_be_clear",
        }
    }
}

/// A document that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The type.
    pub vct: String,
    /// What the document must hash to, where the one who refers to it says so.
    pub integrity: Option<String>,
}

/// The documents of a type and of those that it extends, as far as they are there.
#[derive(Clone, Debug)]
pub struct Chain {
    next: Option<Reference>,
    seen: Vec<String>,
    /// The rules of each document, the type's own first.
    rules: Vec<Vec<Rule>>,
    /// What each says of authorising payments.
    signing: Vec<Signing>,
}

/// What one document says of the transactions that credentials of the type sign (EUDI TS12, 4.1).
#[derive(Clone, Debug)]
struct Signing {
    category: Option<Value>,
    transaction_data_types: Option<Value>,
}

impl Chain {
    /// The chain that begins with the type of a credential.
    #[must_use]
    pub const fn of(first: Reference) -> Self {
        Self { next: Some(first), seen: Vec::new(), rules: Vec::new(), signing: Vec::new() }
    }

    /// The document that is wanted next; `None` if the chain is whole.
    #[must_use]
    pub const fn wanted(&self) -> Option<&Reference> {
        self.next.as_ref()
    }

    /// Adds the document that was wanted, as it was received.
    ///
    /// # Errors
    /// If it is another one, or not of its form, or if it extends what it was reached from.
    pub fn add(&mut self, document: &[u8], limits: &Limits) -> Result<(), TypeMetadataError> {
        let Some(Reference { vct, integrity }) = self.next.take() else { return Ok(()) };
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(TypeMetadataError::TooLarge { bytes: document.len(), max: DOCUMENT_BYTES_MAX });
        }
        if !integrity.is_none_or(|integrity| is_meant(document, &integrity)) {
            return Err(TypeMetadataError::Integrity { vct });
        }
        let Value::Object(document) = json::parse(document, limits.json_depth)? else {
            return Err(TypeMetadataError::Form("a document must be an object"));
        };
        if document.get("vct").and_then(Value::as_str) != Some(vct.as_str()) {
            return Err(TypeMetadataError::OtherType { expected: vct });
        }
        self.rules.push(rules(&document)?);
        let said = |name: &str| document.get(name).cloned();
        let signing = Signing { category: said("category"), transaction_data_types: said("transaction_data_types") };
        self.signing.push(signing);
        self.seen.push(vct);
        let Some(extends) = text(&document, "extends")? else { return Ok(()) };
        // "Circular 'extends' Dependencies of Types": refused, whatever else would hold.
        if self.seen.iter().any(|seen| seen == extends) {
            return Err(TypeMetadataError::Circular { vct: extends.to_owned() });
        }
        if self.seen.len() >= TYPES_MAX {
            return Err(TypeMetadataError::TooManyTypes { max: TYPES_MAX });
        }
        let integrity = text(&document, "extends#integrity")?.map(str::to_owned);
        self.next = Some(Reference { vct: extends.to_owned(), integrity });
        Ok(())
    }

    /// The types whose documents are there: the type itself, and those that it extends.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.seen
    }

    /// That credentials of the type sign transaction data of the type `kind` whose payload is that of `schema` (EUDI TS12, 3
    /// and 3.2). Of what a type and those that it extends say, the word of the nearest counts.
    ///
    /// # Errors
    /// [`ScaError::NotSca`], [`ScaError::TransactionType`].
    pub fn signs(&self, kind: &str, schema: &str) -> Result<(), ScaError> {
        let vct = || self.seen.first().cloned().unwrap_or_default();
        let category = self.signing.iter().find_map(|one| one.category.as_ref());
        if category.and_then(Value::as_str) != Some(sca::CATEGORY) {
            return Err(ScaError::NotSca { vct: vct() });
        }
        let types = self.signing.iter().find_map(|one| one.transaction_data_types.as_ref());
        let entry = types.and_then(|types| types.get(kind)).and_then(Value::as_object);
        // The text names it `schema_uri` (4.1), and the standard's own example `schema`; never both.
        let named = |entry: &Map<String, Value>| match (entry.get("schema"), entry.get("schema_uri")) {
            (Some(named), None) | (None, Some(named)) => named.as_str() == Some(schema),
            _ => false,
        };
        if entry.is_some_and(named) {
            Ok(())
        } else {
            Err(ScaError::TransactionType { vct: vct(), kind: kind.chars().take(256).collect() })
        }
    }

    /// What the type demands, and the types that it extends.
    ///
    /// # Errors
    /// If a document is missing, or one loosens what it must not.
    pub fn rules(self) -> Result<Rules, TypeMetadataError> {
        if let Some(Reference { vct, .. }) = self.next {
            return Err(TypeMetadataError::Missing { vct });
        }
        // From the type that extends nothing down: each may only add.
        let mut all: Vec<Rule> = Vec::new();
        for rule in self.rules.into_iter().rev().flatten() {
            match all.iter_mut().find(|known| known.path == rule.path) {
                None => all.push(rule),
                Some(known) => {
                    let is_fixed = |sd: Disclosure| sd != Disclosure::Allowed && rule.sd.is_some_and(|own| own != sd);
                    let is_loosened = (known.mandatory == Some(true) && rule.mandatory == Some(false))
                        || known.sd.is_some_and(is_fixed);
                    if is_loosened {
                        return Err(TypeMetadataError::Loosened);
                    }
                    known.mandatory = rule.mandatory.or(known.mandatory);
                    known.sd = rule.sd.or(known.sd);
                }
            }
        }
        Ok(Rules(all))
    }
}

/// What a type demands of its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// What it demands of one claim ("Claim Metadata").
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    path: Vec<Step>,
    mandatory: Option<bool>,
    sd: Option<Disclosure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Each,
    Element(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disclosure {
    Always,
    Allowed,
    Never,
}

impl Rules {
    /// Whether a credential is what its type demands. A claim that its holder did not show is no fault of its issuer.
    ///
    /// # Errors
    /// The first claim that is not as it has to be.
    pub fn check(&self, credential: &Place) -> Result<(), TypeMetadataError> {
        for rule in &self.0 {
            let selected = rule.selected(credential)?;
            let wrong = |fits: fn(bool) -> bool| selected.places.iter().any(|disclosed| !fits(*disclosed));
            match rule.sd {
                Some(Disclosure::Always) if wrong(|disclosed| disclosed) => {
                    return Err(TypeMetadataError::MustBeDisclosed { path: rule.name() });
                }
                Some(Disclosure::Never) if wrong(|disclosed| !disclosed) => {
                    return Err(TypeMetadataError::MustBeClear { path: rule.name() });
                }
                _ => {}
            }
            if rule.mandatory == Some(true) && selected.places.is_empty() && !selected.may_be_hidden {
                return Err(TypeMetadataError::Mandatory { path: rule.name() });
            }
        }
        Ok(())
    }
}

/// What a path selects.
struct Selected {
    /// For each place, whether it is a disclosure of its own.
    places: Vec<bool>,
    /// Whether the holder may have hidden more.
    may_be_hidden: bool,
}

impl Rule {
    /// "Processing of `path`", over the credential as it was issued.
    fn selected(&self, credential: &Place) -> Result<Selected, TypeMetadataError> {
        let mut current: Vec<Option<&Place>> = vec![Some(credential)];
        let mut may_be_hidden = false;
        for step in &self.path {
            let mut next: Vec<Option<&Place>> = Vec::new();
            for place in current {
                // What is hidden was issued; what is in it is not known.
                let Some(place) = place else {
                    may_be_hidden = true;
                    continue;
                };
                match (step, &place.shape) {
                    (Step::Member(name), Shape::Object { members, hides }) => match members.get(name) {
                        Some(member) => next.push(Some(member)),
                        None => may_be_hidden |= *hides,
                    },
                    (Step::Each, Shape::Array(elements)) => next.extend(elements.iter().map(Option::as_ref)),
                    (Step::Element(at), Shape::Array(elements)) => next.extend(elements.get(*at).map(Option::as_ref)),
                    _ => return Err(TypeMetadataError::Path),
                }
                if next.len() > SELECTED_MAX {
                    return Err(TypeMetadataError::Path);
                }
            }
            current = next;
        }
        let places = current.into_iter().map(|place| place.is_none_or(|place| place.is_disclosed)).collect();
        Ok(Selected { places, may_be_hidden })
    }

    /// The path as a log reads it. The names come from the type's publisher, not from a customer.
    fn name(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Member(name) => name.chars().filter(|c| !c.is_control()).take(64).collect(),
            Step::Each => "*".to_owned(),
            Step::Element(at) => at.to_string(),
        });
        steps.collect::<Vec<_>>().join(".")
    }
}

/// The rules of one document; what it says about display is checked for its form and left.
fn rules(document: &Map<String, Value>) -> Result<Vec<Rule>, TypeMetadataError> {
    let Some(claims) = document.get("claims") else { return Ok(Vec::new()) };
    let claims = claims.as_array().ok_or(TypeMetadataError::Form("`claims` must be an array"))?;
    if claims.len() > CLAIMS_MAX {
        return Err(TypeMetadataError::Form("more claims than are read"));
    }
    let mut rules: Vec<Rule> = Vec::new();
    let mut svg_ids: Vec<&str> = Vec::new();
    for claim in claims {
        let claim = claim.as_object().ok_or(TypeMetadataError::Form("a claim must be an object"))?;
        let rule = Rule { path: path(claim)?, mandatory: mandatory(claim)?, sd: disclosure(claim)? };
        // Two rules for one claim: readers would disagree on which one counts.
        if rules.iter().any(|other| other.path == rule.path) {
            return Err(TypeMetadataError::Form("two claims with one path"));
        }
        if !claim.get("display").is_none_or(is_display) {
            return Err(TypeMetadataError::Form("`display` must be an array of objects with `locale` and `label`"));
        }
        if let Some(id) = text(claim, "svg_id")? {
            let fits = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && id.bytes().next().is_some_and(|b| !b.is_ascii_digit());
            if !fits || svg_ids.contains(&id) {
                return Err(TypeMetadataError::Form("`svg_id` must be a name, and no other claim's"));
            }
            svg_ids.push(id);
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn path(claim: &Map<String, Value>) -> Result<Vec<Step>, TypeMetadataError> {
    const FORM: TypeMetadataError =
        TypeMetadataError::Form("`path` must be an array of names, null and numbers from 0 on");
    let steps = claim.get("path").and_then(Value::as_array).filter(|steps| !steps.is_empty()).ok_or(FORM)?;
    if steps.len() > PATH_MAX {
        return Err(FORM);
    }
    let step = |step: &Value| match step {
        Value::String(name) => Some(Step::Member(name.clone())),
        Value::Null => Some(Step::Each),
        other => other.as_u64().and_then(|at| usize::try_from(at).ok()).map(Step::Element),
    };
    steps.iter().map(step).collect::<Option<_>>().ok_or(FORM)
}

fn mandatory(claim: &Map<String, Value>) -> Result<Option<bool>, TypeMetadataError> {
    match claim.get("mandatory") {
        None => Ok(None),
        Some(Value::Bool(mandatory)) => Ok(Some(*mandatory)),
        Some(_) => Err(TypeMetadataError::Form("`mandatory` must be true or false")),
    }
}

fn disclosure(claim: &Map<String, Value>) -> Result<Option<Disclosure>, TypeMetadataError> {
    match text(claim, "sd")? {
        None => Ok(None),
        Some("always") => Ok(Some(Disclosure::Always)),
        Some("allowed") => Ok(Some(Disclosure::Allowed)),
        Some("never") => Ok(Some(Disclosure::Never)),
        Some(_) => Err(TypeMetadataError::Form("`sd` must be `always`, `allowed` or `never`")),
    }
}

fn is_display(display: &Value) -> bool {
    let fits = |one: &Value| ["locale", "label"].iter().all(|name| one.get(name).is_some_and(Value::is_string));
    display.as_array().is_some_and(|all| all.iter().all(fits))
}

fn text<'a>(within: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, TypeMetadataError> {
    match within.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TypeMetadataError::Form(name)),
    }
}

/// Whether bytes are those that an integrity metadata string names (W3C SRI 3.5; the rules are those of "Integrity of
/// Referenced Documents"): by the strongest hash function in it that is known here.
fn is_meant(bytes: &[u8], integrity: &str) -> bool {
    const FUNCTIONS: [(&str, &Algorithm); 3] = [("sha512", &SHA512), ("sha384", &SHA384), ("sha256", &SHA256)];
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let named = |name: &str| -> Vec<&str> {
        let expressions = integrity.split_ascii_whitespace();
        let fitting = expressions.filter_map(|one| one.split_once('-').filter(|(function, _)| *function == name));
        // Options follow a question mark, and none is defined.
        fitting.map(|(_, value)| value.split('?').next().unwrap_or_default()).collect()
    };
    let strongest =
        FUNCTIONS.iter().map(|(name, function)| (named(name), *function)).find(|(named, _)| !named.is_empty());
    strongest.is_some_and(|(named, function)| {
        let found = digest(function, bytes);
        named.iter().any(|value| BASE64.decode(value).is_ok_and(|value| value == found.as_ref()))
    })
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
    use serde_json::json;

    use super::*;
    use crate::protocol::{
        jose::{SigningKey, base64url_encode, sha256},
        sd_jwt::SdJwt,
    };

    const VCT: &str = "https://example.com/child";
    const BASE: &str = "https://example.com/base";

    fn reference(vct: &str) -> Reference {
        Reference { vct: vct.to_owned(), integrity: None }
    }

    /// The rules of documents that extend each other.
    fn rules(documents: &[Value]) -> Result<Rules, &'static str> {
        let limits = Limits::default();
        let mut chain = Chain::of(reference(VCT));
        for document in documents {
            chain.add(document.to_string().as_bytes(), &limits).map_err(|error| error.code())?;
        }
        chain.rules().map_err(|error| error.code())
    }

    fn one(claims: Value) -> Result<Rules, &'static str> {
        rules(&[json!({"vct": VCT, "claims": claims})])
    }

    fn child(claims: Value) -> Value {
        json!({"vct": VCT, "extends": BASE, "claims": claims})
    }

    fn base(claims: Value) -> Value {
        json!({"vct": BASE, "claims": claims})
    }

    fn disclosure(content: &Value) -> String {
        base64url_encode(content.to_string().as_bytes())
    }

    fn digest_of(disclosure: &str) -> String {
        base64url_encode(&sha256(disclosure.as_bytes()))
    }

    /// An address that is disclosed with its city, its street hidden; degrees, one of which is hidden.
    fn credential() -> Place {
        let city = disclosure(&json!(["s", "city", "Cologne"]));
        let street = disclosure(&json!(["s", "street", "hidden"]));
        let address =
            disclosure(&json!(["s", "address", {"_sd": [digest_of(&city), digest_of(&street)], "country": "DE"}]));
        let degree = disclosure(&json!(["s", {"type": "Master"}]));
        let claims = json!({
            "vct": VCT,
            "name": "Anna",
            "_sd": [digest_of(&address)],
            "degrees": [{"type": "Bachelor"}, {"...": digest_of("hidden")}, {"...": digest_of(&degree)}],
            "empty": [],
        });
        let key = SigningKey::from_p256_scalar(&[1; 32]).unwrap();
        let jwt = key.sign_jws(&Map::new(), &claims).unwrap();
        let text = [jwt, city, address, degree].join("~") + "~";
        let limits = Limits::default();
        SdJwt::parse(&text, &limits).unwrap().shape(&limits).unwrap()
    }

    fn check(rule: Value) -> &'static str {
        one(json!([rule])).unwrap().check(&credential()).map_or_else(|error| error.code(), |()| "")
    }

    #[test]
    fn what_can_be_left_out_is_what_the_type_says() {
        let sd = |path: Value, sd: &str| check(json!({"path": path, "sd": sd}));
        for (path, is_disclosed) in [
            (json!(["name"]), false),
            (json!(["address"]), true),
            // Hidden with what it stands in is not hidden by itself.
            (json!(["address", "country"]), false),
            (json!(["address", "city"]), true),
            (json!(["degrees"]), false),
            (json!(["degrees", 0]), false),
            (json!(["degrees", 1]), true),
            (json!(["degrees", 2]), true),
            (json!(["degrees", 2, "type"]), false),
        ] {
            assert_eq!(sd(path.clone(), "allowed"), "");
            assert_eq!(
                sd(path.clone(), "always"),
                if is_disclosed { "" } else { "type_claim_must_be_disclosed" },
                "{path}"
            );
            assert_eq!(sd(path.clone(), "never"), if is_disclosed { "type_claim_must_be_clear" } else { "" }, "{path}");
        }
        // Some of the elements are, and some are not.
        assert_eq!(sd(json!(["degrees", null]), "always"), "type_claim_must_be_disclosed");
        assert_eq!(sd(json!(["degrees", null]), "never"), "type_claim_must_be_clear");
        // What nobody sees breaks no rule.
        for path in
            [json!(["address", "street"]), json!(["degrees", 1, "type"]), json!(["degrees", 9]), json!(["empty", null])]
        {
            assert_eq!((sd(path.clone(), "always"), sd(path, "never")), ("", ""));
        }
    }

    #[test]
    fn a_claim_that_the_holder_did_not_show_is_not_missing() {
        let mandatory = |path: Value| check(json!({"path": path, "mandatory": true}));
        for path in [
            json!(["name"]),
            json!(["address", "city"]),
            json!(["address", "street"]),
            json!(["degrees", null, "type"]),
            json!(["degrees", 1]),
            json!(["degrees", 1, "type"]),
        ] {
            assert_eq!(mandatory(path.clone()), "", "{path}");
        }
        for path in [json!(["email"]), json!(["degrees", 3]), json!(["empty", null]), json!(["degrees", 0, "year"])] {
            assert_eq!(mandatory(path.clone()), "type_claim_mandatory", "{path}");
        }
        for path in
            [json!(["name", "first"]), json!(["degrees", "type"]), json!(["address", 0]), json!(["address", null])]
        {
            assert_eq!(mandatory(path.clone()), "type_claim_path", "{path}");
        }
    }

    #[test]
    fn a_type_adds_to_what_it_extends_and_loosens_nothing() {
        let both = |child_rule: Value, base_rule: Value| rules(&[child(json!([child_rule])), base(json!([base_rule]))]);
        let path = json!(["name"]);
        let rule = |mandatory: Option<bool>, sd: Option<&str>| {
            let mut rule = json!({"path": path});
            if let Some(mandatory) = mandatory {
                rule["mandatory"] = mandatory.into();
            }
            if let Some(sd) = sd {
                rule["sd"] = sd.into();
            }
            rule
        };
        for (child_rule, base_rule, effective) in [
            (rule(None, None), rule(Some(true), Some("always")), Ok(rule(Some(true), Some("always")))),
            (rule(Some(true), Some("never")), rule(None, None), Ok(rule(Some(true), Some("never")))),
            (
                rule(Some(true), Some("always")),
                rule(Some(false), Some("allowed")),
                Ok(rule(Some(true), Some("always"))),
            ),
            (rule(Some(true), Some("never")), rule(Some(true), Some("never")), Ok(rule(Some(true), Some("never")))),
            (rule(Some(false), None), rule(Some(true), None), Err("type_metadata_loosened")),
            (rule(None, Some("allowed")), rule(None, Some("always")), Err("type_metadata_loosened")),
            (rule(None, Some("never")), rule(None, Some("always")), Err("type_metadata_loosened")),
            (rule(None, Some("always")), rule(None, Some("never")), Err("type_metadata_loosened")),
        ] {
            let expected = effective.map(|effective| one(json!([effective])).unwrap());
            assert_eq!(both(child_rule.clone(), base_rule.clone()), expected, "{child_rule} {base_rule}");
        }
        // A rule of the base alone counts too.
        let inherited = rules(&[child(json!([])), base(json!([{"path": ["email"], "mandatory": true}]))]).unwrap();
        assert_eq!(inherited.check(&credential()).unwrap_err().code(), "type_claim_mandatory");
    }

    #[test]
    fn chains_are_whole_without_circles_and_not_long() {
        let extends = |vct: &str, other: &str| json!({"vct": vct, "extends": other});
        assert_eq!(rules(&[extends(VCT, BASE)]), Err("type_metadata_missing"));
        assert_eq!(rules(&[extends(VCT, VCT)]), Err("type_metadata_circular"));
        assert_eq!(rules(&[extends(VCT, BASE), extends(BASE, VCT)]), Err("type_metadata_circular"));
        assert_eq!(rules(&[extends(VCT, BASE), extends(BASE, BASE)]), Err("type_metadata_circular"));
        let long = [extends(VCT, "a"), extends("a", "b"), extends("b", "c"), extends("c", "d")];
        assert_eq!(rules(&long), Err("type_metadata_too_many_types"));
        let whole = [extends(VCT, "a"), extends("a", "b"), extends("b", "c"), json!({"vct": "c"})];
        assert!(rules(&whole).is_ok());
        assert_eq!(rules(&[extends(VCT, BASE), json!({"vct": VCT})]), Err("type_metadata_other_type"));
        assert_eq!(rules(&[json!({"vct": VCT, "extends": 7})]), Err("type_metadata_malformed"));
    }

    #[test]
    fn a_document_is_the_one_that_was_meant() {
        let document = json!({"vct": VCT, "extends": BASE}).to_string();
        let b64 = |function: &'static Algorithm| BASE64_STANDARD.encode(digest(function, document.as_bytes()));
        let (good, other) = (b64(&SHA256), BASE64_STANDARD.encode(sha256(b"other")));
        let bare = BASE64_STANDARD_NO_PAD.encode(sha256(document.as_bytes()));
        let (good512, good384) = (b64(&SHA512), b64(&SHA384));
        for (integrity, fits) in [
            (format!("sha256-{good}"), true),
            (format!("sha256-{bare}"), true),
            (format!("sha384-{good384}"), true),
            (format!("  sha256-{other}\tsha256-{good}?opt "), true),
            // The strongest decides.
            (format!("sha256-{other} sha512-{good512}"), true),
            (format!("sha256-{good} sha512-{other}"), false),
            (format!("md5-{good} sha256-{good}"), true),
            (format!("sha256-{other}"), false),
            (format!("md5-{good}"), false),
            (format!("SHA256-{good}"), false),
            (format!("sha256-{}", &good[..20]), false),
            (format!("sha256{good}"), false),
            ("sha256-".to_owned(), false),
            (String::new(), false),
        ] {
            let mut chain = Chain::of(Reference { vct: VCT.to_owned(), integrity: Some(integrity.clone()) });
            let added = chain.add(document.as_bytes(), &Limits::default()).map_err(|error| error.code());
            assert_eq!(added, if fits { Ok(()) } else { Err("type_metadata_integrity") }, "{integrity}");
        }
        // The next one's hash stands in this one.
        let mut chain = Chain::of(reference(VCT));
        let first = json!({"vct": VCT, "extends": BASE, "extends#integrity": format!("sha256-{other}")}).to_string();
        chain.add(first.as_bytes(), &Limits::default()).unwrap();
        let second = json!({"vct": BASE}).to_string();
        assert_eq!(chain.add(second.as_bytes(), &Limits::default()).unwrap_err().code(), "type_metadata_integrity");
    }

    #[test]
    fn documents_are_of_their_form_and_bounded() {
        for claims in [
            json!({}),
            json!([7]),
            json!([{}]),
            json!([{"path": []}]),
            json!([{"path": "name"}]),
            json!([{"path": [-1]}]),
            json!([{"path": [1.5]}]),
            json!([{"path": [true]}]),
            json!([{"path": vec!["a"; 17]}]),
            json!([{"path": ["a"], "mandatory": "true"}]),
            json!([{"path": ["a"], "sd": "sometimes"}]),
            json!([{"path": ["a"], "sd": true}]),
            json!([{"path": ["a"]}, {"path": ["a"]}]),
            json!([{"path": ["a"], "display": {}}]),
            json!([{"path": ["a"], "display": [{"locale": "de"}]}]),
            json!([{"path": ["a"], "svg_id": "1a"}]),
            json!([{"path": ["a"], "svg_id": "a-b"}]),
            json!([{"path": ["a"], "svg_id": "x"}, {"path": ["b"], "svg_id": "x"}]),
        ] {
            assert_eq!(one(claims.clone()), Err("type_metadata_malformed"), "{claims}");
        }
        let many: Vec<Value> = (0..513).map(|at| json!({"path": [at.to_string()]})).collect();
        assert_eq!(one(json!(many)), Err("type_metadata_malformed"));
        let unknown = json!([{"path": ["a"], "display": [{"locale": "de", "label": "A", "x": 1}], "else": {}}]);
        assert!(one(unknown).is_ok(), "what is not known is left");
        let add = |bytes: &[u8]| Chain::of(reference(VCT)).add(bytes, &Limits::default()).map_err(|error| error.code());
        assert_eq!(add(&vec![b' '; DOCUMENT_BYTES_MAX + 1]), Err("type_metadata_too_large"));
        assert_eq!(add(b"[]"), Err("type_metadata_malformed"));
        assert_eq!(add(b"{"), Err("type_metadata_json"));
        assert_eq!(add(br#"{"vct":7}"#), Err("type_metadata_other_type"));
        assert_eq!(add("[".repeat(100_000).as_bytes()), Err("type_metadata_json"));
    }
}
