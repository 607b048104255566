//! The people of the development wallet and of tests, and the issuers of what they hold.
//!
//! Everybody here is invented. Their credentials are made anew with every start, by issuers whose keys exist nowhere
//! else.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use url::Url;

#[cfg(feature = "mdoc")]
use super::mdoc;
#[cfg(feature = "w3c")]
use super::w3c::{self, Secured};
#[cfg(feature = "w3c")]
use crate::ask::documents::VDL;
#[cfg(feature = "mdoc")]
use crate::ask::documents::{AGE_EU, MDL, MDL_NAMESPACE, PID_MDOC};
#[cfg(feature = "w3c")]
use crate::protocol::vc::data_integrity::Suite;
use crate::{
    ask::PID,
    env::Env,
    error::Error,
    protocol::{
        jose::{SigningKey, sha256},
        sca,
        status_list::Status,
    },
    testing::{
        authority::{Authority, Leaf},
        issuer::{Credential, Issuer},
        wallet::Wallet,
    },
    time::UnixTime,
    trust::Trust,
};

/// How long a status list may be kept, in seconds.
const STATUS_TTL_S: u64 = 300;
/// The type of the attestations by which these people authorise payments from their accounts.
pub const ACCOUNT: &str = "urn:firsthand:development:account:1";
/// What the issuer of the cast issues it as: a type of its own, which extends that one.
const ACCOUNT_OF_BANK: &str = "urn:firsthand:development:bank:account:1";
/// A national type of identification data, for the persona who holds one.
const PID_OF_GERMANY: &str = "urn:eudi:pid:de:1";

/// An issuer of identification data, one that nobody believes, and the people who hold what they issued.
#[derive(Debug)]
pub struct Cast {
    issuer: Issuer,
    root_pem: String,
    status_root_pem: String,
    statuses: BTreeMap<u64, Status>,
    #[cfg(feature = "w3c")]
    licences: w3c::Issuer,
    personas: Vec<Persona>,
}

/// The document types that the issuer of the cast issues beside [`PID`].
#[cfg(feature = "mdoc")]
const DOCUMENTS: [&str; 3] = [PID_MDOC, MDL, AGE_EU];

/// One person with one wallet.
#[derive(Clone, Debug)]
pub struct Persona {
    /// A short name: `adult`, `minor`, ...
    pub id: &'static str,
    /// What the development wallet calls them.
    pub name: &'static str,
    /// What is special about them, in English and in German.
    pub about: [&'static str; 2],
    /// What they hold.
    pub wallet: Wallet,
}

impl Cast {
    /// Makes issuers and people; the status list of their credentials is to be served at `status_uri`.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the environment's randomness makes no keys.
    pub fn new(status_uri: Url, env: &dyn Env) -> Result<Self, Error> {
        let now = env.now();
        let issuer_ca = Authority::new("Firsthand Development Issuer CA", now);
        let status_ca = Authority::new("Firsthand Development Status CA", now);
        let nobody = Authority::new("An Issuer CA That Nobody Believes", now);
        let (key, chain) = issuer_ca.issue(&Leaf::new("Firsthand Development Issuer", now));
        let (status_key, status_chain) = status_ca.issue(&Leaf::new("Firsthand Development Status Lists", now));
        let (foreign_key, foreign_chain) = nobody.issue(&Leaf::new("A Stranger", now));
        let issuer = Issuer::new(key, chain, status_uri.clone()).with_status_signer(status_key, status_chain);
        let stranger = Issuer::new(foreign_key, foreign_chain, status_uri);
        #[cfg(feature = "mdoc")]
        let (documents, strange_documents) = (mdoc::Issuer::below(&issuer_ca, now), mdoc::Issuer::below(&nobody, now));

        let mut cast = Self {
            issuer,
            root_pem: issuer_ca.root_pem(),
            status_root_pem: status_ca.root_pem(),
            statuses: BTreeMap::from([(REVOKED, Status::Invalid), (SUSPENDED, Status::Suspended)]),
            #[cfg(feature = "w3c")]
            licences: w3c::Issuer::new(signing_key(env)?),
            personas: Vec::new(),
        };
        for role in ROLES {
            let holder = signing_key(env)?;
            let issuer = if role.id == "untrusted" { &stranger } else { &cast.issuer };
            let credential = role.credential(&holder, now);
            let issued = issuer.issue(&credential, env).map_err(|e| Error::Misuse(format!("the issuer: {e}")))?;
            let mut wallet = Wallet::new();
            #[cfg(feature = "mdoc")]
            let documents = {
                let signer = if role.id == "untrusted" { &strange_documents } else { &documents };
                role.documents(signer, &cast.issuer, now, env)?
            };
            wallet.hold(&issued, holder).map_err(|e| Error::Misuse(format!("the wallet: {e}")))?;
            #[cfg(feature = "mdoc")]
            for (document, says, holder) in documents {
                wallet.hold_mdoc(document, says, holder);
            }
            let holder = signing_key(env)?;
            let account = issuer.issue(&role.account(&holder, now), env);
            let account = account.map_err(|e| Error::Misuse(format!("the issuer: {e}")))?;
            wallet
                .hold_extending(&account, holder, &[ACCOUNT])
                .map_err(|e| Error::Misuse(format!("the wallet: {e}")))?;
            #[cfg(feature = "w3c")]
            for licence in role.licences(&cast, now, env)? {
                wallet.hold_w3c(licence);
            }
            cast.personas.push(Persona { id: role.id, name: role.name, about: role.about, wallet });
        }
        Ok(cast)
    }

    /// The metadata of the types of their accounts: of [`ACCOUNT`], and of the type that extends it.
    #[must_use]
    pub fn account_types() -> [Vec<u8>; 2] {
        let base = json!({
            "vct": ACCOUNT,
            "name": "Account",
            "category": sca::CATEGORY,
            "transaction_data_types": { sca::PAYMENT: { "schema_uri": sca::PAYMENT } },
        })
        .to_string();
        let integrity = BASE64_STANDARD.encode(sha256(base.as_bytes()));
        let of_bank = json!({
            "vct": ACCOUNT_OF_BANK,
            "name": "Account",
            "extends": ACCOUNT,
            "extends#integrity": format!("sha256-{integrity}"),
        });
        [base.into_bytes(), of_bank.to_string().into_bytes()]
    }

    /// The trust that believes the development issuer, for identification data and accounts.
    ///
    /// # Errors
    /// Never in practice: the roots were just made.
    pub fn trust(&self) -> Result<Trust, Error> {
        Trust::new()
            .roots_with_status(&self.root_pem, &self.status_root_pem, &[PID, ACCOUNT])
            .map_err(|e| Error::Misuse(e.to_string()))
    }

    /// The trust that believes it for all that its people hold, in every format.
    ///
    /// # Errors
    /// As [`trust`](Self::trust).
    pub fn trust_in_all(&self) -> Result<Trust, Error> {
        let types = [PID, ACCOUNT];
        #[cfg(feature = "mdoc")]
        let types = [&types[..], &DOCUMENTS].concat();
        let trust = Trust::new().roots_with_status(&self.root_pem, &self.status_root_pem, &types);
        #[cfg(feature = "w3c")]
        let trust = trust.and_then(|trust| trust.did(self.licences.did().clone(), &[VDL]));
        trust.map_err(|e| Error::Misuse(e.to_string()))
    }

    /// The root of the issuer, and that of its status lists, as PEM: to trust it for another type too.
    #[must_use]
    pub fn roots_pem(&self) -> (&str, &str) {
        (&self.root_pem, &self.status_root_pem)
    }

    /// The issuer, for credentials of a test's own.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The people.
    #[must_use]
    pub fn personas(&self) -> &[Persona] {
        &self.personas
    }

    /// One of them.
    #[must_use]
    pub fn persona(&self, id: &str) -> Option<&Persona> {
        self.personas.iter().find(|persona| persona.id == id)
    }

    /// The status list token of `now`, as it is served at the status address with the type
    /// `application/statuslist+jwt`.
    ///
    /// # Errors
    /// [`Error::Misuse`] if signing fails.
    pub fn status_list(&self, now: UnixTime) -> Result<String, Error> {
        let token = self.issuer.statuses_token(now, STATUS_TTL_S, &self.statuses);
        token.map_err(|e| Error::Misuse(format!("the status list: {e}")))
    }

    /// The address of the status list of their W3C credentials: beside the other one.
    #[cfg(feature = "w3c")]
    #[must_use]
    pub fn bitstring_uri(&self) -> Url {
        beside(self.issuer.status_uri())
    }

    /// That list as of `now`, as it is served there with the type `application/vc+jwt`.
    ///
    /// # Errors
    /// [`Error::Misuse`] if signing fails.
    #[cfg(feature = "w3c")]
    pub fn bitstring_list(&self, now: UnixTime) -> Result<String, Error> {
        let revoked: Vec<u64> = self.statuses.keys().copied().collect();
        let list = self.licences.status_list(&self.bitstring_uri(), &revoked, now);
        list.map_err(|e| Error::Misuse(format!("the status list of W3C credentials: {e}")))
    }
}

/// The address of the other status list.
#[cfg(feature = "w3c")]
fn beside(status_uri: &Url) -> Url {
    let mut uri = status_uri.clone();
    uri.set_path(&format!("{}/bitstring", status_uri.path().trim_end_matches('/')));
    uri
}

/// A signing key of the environment's randomness, so that a test can make the same one again.
pub(crate) fn signing_key(env: &dyn Env) -> Result<SigningKey, Error> {
    (0..4)
        .find_map(|_| {
            let mut scalar = [0; 32];
            env.fill(&mut scalar);
            SigningKey::from_p256_scalar(&scalar).ok()
        })
        .ok_or_else(|| Error::Misuse("the environment's randomness makes no keys".into()))
}

const VALID: u64 = 100;
const REVOKED: u64 = 301;
const SUSPENDED: u64 = 702;

struct Role {
    id: &'static str,
    name: &'static str,
    about: [&'static str; 2],
    age: Age,
    index: u64,
}

/// How a credential says how old its holder is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    /// `age_equal_or_over`, and the date of birth beside it.
    Over18,
    Under18,
    /// The date of birth alone: the PID Rulebook 1.7 has no claim about age.
    BirthdateAlone,
    /// `age_over_18`, in the words of a national type.
    National,
}

const ROLES: [Role; 8] = [
    Role {
        id: "adult",
        name: "Anna Adler",
        about: ["An adult with an EU identity", "Eine Erwachsene mit EU-Identität"],
        age: Age::Over18,
        index: VALID,
    },
    Role {
        id: "minor",
        name: "Max Minden",
        about: ["Sixteen years old", "Sechzehn Jahre alt"],
        age: Age::Under18,
        index: VALID + 1,
    },
    Role {
        id: "national",
        name: "Nils Nordmann",
        about: ["A national identity that counts as the EU's", "Eine nationale Identität, die als EU-Identität zählt"],
        age: Age::National,
        index: VALID + 2,
    },
    Role {
        id: "rulebook",
        name: "Rosa Richter",
        about: [
            "An identity without any claim about age (Rulebook 1.7)",
            "Eine Identität ohne Altersangabe (Rulebook 1.7)",
        ],
        age: Age::BirthdateAlone,
        index: VALID + 3,
    },
    Role {
        id: "revoked",
        name: "Rita Rau",
        about: ["Her identity was revoked", "Ihre Identität wurde widerrufen"],
        age: Age::Over18,
        index: REVOKED,
    },
    Role {
        id: "suspended",
        name: "Sven Sander",
        about: ["His identity is suspended", "Seine Identität ist ausgesetzt"],
        age: Age::Over18,
        index: SUSPENDED,
    },
    Role {
        id: "expired",
        name: "Erik Ende",
        about: ["His identity has expired", "Seine Identität ist abgelaufen"],
        age: Age::Over18,
        index: VALID + 4,
    },
    Role {
        id: "untrusted",
        name: "Uta Unbekannt",
        about: [
            "Issued by somebody whom the shop does not believe",
            "Ausgestellt von jemandem, dem der Shop nicht glaubt",
        ],
        age: Age::Over18,
        index: VALID + 5,
    },
];

impl Role {
    fn credential(&self, holder: &SigningKey, now: UnixTime) -> Credential {
        const DAY_S: u64 = 24 * 3600;
        let (vct, aka) = match self.age {
            Age::National => (PID_OF_GERMANY, vec![PID.to_owned()]),
            _ => (PID, Vec::new()),
        };
        let mut credential = Credential::new(vct, now.minus_s(10 * DAY_S));
        credential.aka_vcts = aka;
        credential.holder = Some(holder.public_key().clone());
        credential.status_index = Some(self.index);
        credential.expires_at = Some(if self.id == "expired" { now.minus_s(DAY_S) } else { now.plus_s(365 * DAY_S) });
        credential.claims = self.claims();
        credential
    }

    /// The same person's account at a bank.
    fn account(&self, holder: &SigningKey, now: UnixTime) -> Credential {
        let mut credential = self.credential(holder, now);
        credential.vct = ACCOUNT_OF_BANK.to_owned();
        credential.aka_vcts = Vec::new();
        credential.claims = Map::from_iter([
            ("masked_iban".to_owned(), json!("DE** **** **** **** **30 00")),
            ("display_name".to_owned(), json!(format!("{}, Musterbank", self.name))),
        ]);
        credential
    }

    /// The same person as mdocs: identification data, a driving licence, and an attestation of age, each with a key of its
    /// own. Whoever has no claim about age has no attestation of it.
    #[cfg(feature = "mdoc")]
    fn documents(
        &self,
        signer: &mdoc::Issuer,
        issuer: &Issuer,
        now: UnixTime,
        env: &dyn Env,
    ) -> Result<Vec<(mdoc::Held, Value, SigningKey)>, Error> {
        const DAY_S: u64 = 24 * 3600;
        let age = match self.age {
            Age::Over18 | Age::National => Some(true),
            Age::Under18 => Some(false),
            Age::BirthdateAlone => None,
        };
        let claims = self.claims();
        let text = |name: &str| json!(claims.get(name).and_then(Value::as_str).unwrap_or_default());
        let address = |name: &str| claims.get("address").and_then(|address| address.get(name)).cloned();
        let mut person = vec![
            ("given_name", text("given_name")),
            ("family_name", text("family_name")),
            ("birth_date", text("birthdate")),
            ("resident_city", address("locality").unwrap_or_default()),
            ("resident_postal_code", address("postal_code").unwrap_or_default()),
            ("resident_country", address("country").unwrap_or_default()),
        ];
        person.extend(age.map(|over| ("age_over_18", json!(over))));
        let street = address("street_address").unwrap_or_default();
        let with = |street_name: &'static str| [&person[..], &[(street_name, street.clone())]].concat();
        let mut all =
            vec![(PID_MDOC, PID_MDOC, with("resident_street")), (MDL, MDL_NAMESPACE, with("resident_address"))];
        all.extend(age.map(|over| (AGE_EU, AGE_EU, vec![("age_over_18", json!(over))])));
        let issue = |(doc_type, namespace, says): (&str, &str, Vec<(&str, Value)>)| {
            let mut credential = mdoc::Credential::new(doc_type, now.minus_s(DAY_S / 2));
            // Signed while its signer might, which is since yesterday.
            credential.valid_until = if self.id == "expired" { now.minus_s(3600) } else { now.plus_s(365 * DAY_S) };
            for (element, value) in &says {
                credential = match value {
                    Value::Bool(value) => credential.says(namespace, element, *value),
                    Value::String(date) if element.ends_with("_date") => {
                        credential.says(namespace, element, mdoc::full_date(date))
                    }
                    other => credential.says(namespace, element, other.as_str().unwrap_or_default()),
                };
            }
            let credential = credential.status_index(issuer.status_uri().as_str(), self.index);
            let holder = signing_key(env)?;
            let held = signer.issue(&credential, holder.clone(), env);
            let held = held.map_err(|e| Error::Misuse(format!("the issuer of documents: {e}")))?;
            let says: Map<String, Value> = says.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Ok((held, json!({ namespace: says }), holder))
        };
        all.into_iter().map(issue).collect()
    }

    /// The licence once more as a W3C credential, with a proof and as a token. Whoever has no claim about age has none.
    #[cfg(feature = "w3c")]
    fn licences(&self, cast: &Cast, now: UnixTime, env: &dyn Env) -> Result<Vec<w3c::Held>, Error> {
        const DAY_S: u64 = 24 * 3600;
        let over_18 = match self.age {
            Age::Over18 | Age::National => true,
            Age::Under18 => false,
            Age::BirthdateAlone => return Ok(Vec::new()),
        };
        let claims = self.claims();
        let at = |path: &str| claims.get(path).cloned().unwrap_or_default();
        let lives = |member: &str| at("address").get(member).cloned().unwrap_or_default();
        let says = json!({
            "type": "LicensedDriver",
            "driversLicense": {
                "type": "Iso18013DriversLicense", "given_name": at("given_name"), "family_name": at("family_name"),
                "age_over_18": over_18, "resident_address": lives("street_address"),
                "resident_city": lives("locality"), "resident_postal_code": lives("postal_code"),
                "resident_country": lives("country"),
            },
        });
        let mut licence = w3c::Credential::new("Iso18013DriversLicenseCredential", &says, now.minus_s(10 * DAY_S));
        licence.contexts = vec!["https://w3id.org/vdl/v1".to_owned()];
        licence.expires_at = if self.id == "expired" { now.minus_s(DAY_S) } else { now.plus_s(365 * DAY_S) };
        licence.status = Some(w3c::status_entry(&cast.bitstring_uri(), self.index));
        let stranger = (self.id == "untrusted").then(|| signing_key(env)).transpose()?.map(w3c::Issuer::new);
        let issuer = stranger.as_ref().unwrap_or(&cast.licences);
        let issue = |secured| {
            let held = issuer.issue(secured, &licence, signing_key(env)?);
            held.map_err(|e| Error::Misuse(format!("the issuer of licences: {e}")))
        };
        // Over the canonical JSON: a test makes these people again and again, and canonising graphs takes its time.
        [Secured::Proof(Suite::EcdsaJcs2019), Secured::Jwt].into_iter().map(issue).collect()
    }

    fn claims(&self) -> Map<String, Value> {
        let (given_name, family_name) = self.name.split_once(' ').unwrap_or((self.name, ""));
        let mut claims = Map::new();
        let mut say = |claim: &str, value: Value| claims.insert(claim.to_owned(), value);
        say("given_name", json!(given_name));
        say("family_name", json!(family_name));
        say("birthdate", json!(if self.age == Age::Under18 { "2010-05-17" } else { "1984-05-17" }));
        say(
            "address",
            json!({
                "street_address": "Lindenallee 12", "postal_code": "50667", "locality": "Köln", "country": "DE",
            }),
        );
        say("nationalities", json!(["DE"]));
        match self.age {
            Age::Over18 => say("age_equal_or_over", json!({ "14": true, "16": true, "18": true, "21": true })),
            Age::Under18 => say("age_equal_or_over", json!({ "14": true, "16": true, "18": false, "21": false })),
            Age::National => say("age_over_18", json!(true)),
            Age::BirthdateAlone => None,
        };
        claims
    }
}
