//! What a sale needs to know, and why: declared once, asked by name.
//!
//! An [`Ask`] is a promise to the customer as much as a query to the wallet: it names its purpose in a sentence that
//! is shown, it asks for no claim that is not listed, and it says how long an answer counts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::UnixTime;

pub mod documents;
mod proof;
mod together;
mod wanted;

pub use documents::PID;
pub use proof::{Established, Proof};
pub(crate) use together::{Combined, Serves, Together};
pub use wanted::{AnyOf, AskedFor, Wanted};
pub(crate) use wanted::{MSO_MDOC, SD_JWT_VC};

/// The id of the credential that [`Ask::over`] asks for.
pub(crate) const AGE: &str = "age";

/// The id of the credential that [`Ask::payment`] asks for.
pub(crate) const PAYMENT: &str = "payment";

/// The id of the credential that [`Ask::receipt`] asks for.
pub(crate) const OWN_RECEIPT: &str = "receipt";

/// The id of the credential by which a customer is recognised.
pub(crate) const RELATIONSHIP: &str = "relationship";

/// Whether a credential query asks for what the shop itself issued: the query of this name, or one of those that are numbered
/// after it, in its other formats.
pub(crate) fn is_relationship(id: &str) -> bool {
    let rest = id.strip_prefix(RELATIONSHIP);
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(|at| at.parse::<u8>().is_ok()))
}

/// One thing a merchant may ask for: a name, a purpose in words, and the credentials that answer it.
///
/// ```
/// use firsthand::Ask;
///
/// let age = Ask::new("age", "Wine is sold to adults").over(18);
/// assert_eq!(age.name(), "age");
/// assert_eq!(age.proof_age_s(), 30 * 60);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    name: String,
    purpose: String,
    asked_for: Vec<AskedFor>,
    over: Option<u8>,
    proof_age_s: u64,
    status: StatusPolicy,
    kept: Vec<Keep>,
    transactions: Vec<Transaction>,
    recognises: bool,
    age_eu: bool,
    pays: bool,
    own_receipt: bool,
}

/// How long a proof counts unless the ask says otherwise: long enough to finish a purchase, short enough that a
/// borrowed browser does not stay an adult's.
const PROOF_AGE_S: u64 = 30 * 60;

impl Ask {
    /// An ask for nothing yet.
    ///
    /// `name` is how pages and routes refer to it, `[a-z0-9_-]`, at most 32 bytes; `purpose` is a sentence that the
    /// customer reads.
    #[must_use]
    pub fn new(name: impl Into<String>, purpose: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            purpose: purpose.into(),
            asked_for: Vec::new(),
            over: None,
            proof_age_s: PROOF_AGE_S,
            status: StatusPolicy::MustBeValid,
            kept: Vec::new(),
            transactions: Vec::new(),
            recognises: false,
            age_eu: false,
            pays: false,
            own_receipt: false,
        }
    }

    /// Also asks for the relationship credential that this shop issued, if the wallet has one: who shows it on the device
    /// where they asked is recognised, also by a browser that was never here. An ask for nothing else is how a shop says
    /// "come back": whoever has no such credential cannot answer it, and nobody learns whether they have one.
    #[must_use]
    pub const fn recognise(mut self) -> Self {
        self.recognises = true;
        self
    }

    /// Asks whether the customer is at least `years` old, in the form that says least: an attestation of age, else a
    /// driving licence or photo id, else identification data; of each `age_over_N` before the date of birth, from which
    /// the answer is computed in memory. A driving licence as a W3C credential is taken, too. What nobody is trusted for is
    /// not asked.
    ///
    /// Nothing else checks an age: any other credential proves that its claims were shown, and not what they say.
    #[must_use]
    pub fn over(mut self, years: u8) -> Self {
        self.over = Some(years);
        self.asked_for.push(AskedFor::new(AGE, documents::age(years)));
        self
    }

    /// Also takes the age from these, as [`over`](Self::over) does from the documents that it knows: by a claim that the
    /// merchant reads as `age_over_N` (true or false) or `birthdate` (`YYYY-MM-DD`).
    ///
    /// ```
    /// use firsthand::{Ask, ask::Wanted};
    ///
    /// let card = Wanted::ldp_vc("StudentCard").claim(["age_over_18"]);
    /// let age = Ask::new("age", "Wine is sold to adults").over(18).age_also_in(card);
    /// # assert!(age.check().is_ok());
    /// ```
    #[must_use]
    pub fn age_also_in(mut self, wanted: impl Into<AnyOf>) -> Self {
        match self.asked_for.iter_mut().find(|one| one.id() == AGE) {
            Some(age) => age.add(wanted),
            None => self.asked_for.push(AskedFor::new(AGE, wanted)),
        }
        self
    }

    /// Asks the age verification apps of the EU alone, in the way that their profile has (EU age verification, annex A.5):
    /// by `av://`, unsigned, the whole request in the link, answered in clear under TLS. For their attestation of age and
    /// nothing else: whoever reads a link like that learns what is asked, and anybody could have made it.
    #[must_use]
    pub fn age_eu(mut self, years: u8) -> Self {
        self.over = Some(years);
        self.age_eu = true;
        self.asked_for.push(AskedFor::new(AGE, documents::age_eu(years)));
        self
    }

    /// Asks for the payment of an order, authorised with one of these attestations, which banks and schemes give to those who
    /// pay (EUDI TS12): SD-JWT VCs of types that the merchant's [`TypeMetadata`](crate::merchant::TypeMetadata) knows. Such an
    /// ask is for payments alone, and is asked together with the others
    /// ([`ask_together`](crate::Merchant::ask_together)); what is paid, and to whom, comes from the order. It leaves no proof.
    ///
    /// ```
    /// use firsthand::{Ask, ask::Wanted};
    ///
    /// let account = Wanted::sd_jwt_vc("https://webuildconsortium.eu/sca/sca-iban/1.0");
    /// assert!(Ask::new("pay", "To pay for what you order").payment(account).check().is_ok());
    /// ```
    #[must_use]
    pub fn payment(mut self, attestation: impl Into<AnyOf>) -> Self {
        self.pays = true;
        self.asked_for.push(AskedFor::new(PAYMENT, attestation));
        self
    }

    /// Asks for a receipt of this shop, which shows its number and nothing else: that somebody bought here, without asking who
    /// they are. Another shop's does not count, whoever is trusted for receipts.
    /// [`Merchant::receipt_shown`](crate::Merchant::receipt_shown) says which order it is of.
    ///
    /// ```
    /// use firsthand::Ask;
    ///
    /// let bought = Ask::new("bought", "Reviews are written by those who bought").receipt();
    /// # assert!(bought.check().is_ok());
    /// ```
    #[must_use]
    pub fn receipt(mut self) -> Self {
        self.own_receipt = true;
        self.asked_for.push(AskedFor::new(OWN_RECEIPT, documents::receipt()));
        self
    }

    /// Asks for a credential, under an id by which its claims are read afterwards.
    #[must_use]
    pub fn credential(mut self, id: impl Into<String>, wanted: impl Into<AnyOf>) -> Self {
        self.asked_for.push(AskedFor::new(id, wanted));
        self
    }

    /// How old a proof may be when a route requires it, in seconds. Thirty minutes unless said here.
    #[must_use]
    pub const fn within_s(mut self, proof_age_s: u64) -> Self {
        self.proof_age_s = proof_age_s;
        self
    }

    /// What to do when nobody can say whether a credential was revoked.
    #[must_use]
    pub const fn status(mut self, policy: StatusPolicy) -> Self {
        self.status = policy;
        self
    }

    /// Keeps the value of one claim in the customer's record for `keep_s` seconds, for a purpose that the customer is
    /// shown. Without this, no value outlives the visit. The claim is one that the ask asks for, its path joined by `.`;
    /// said twice, the last counts. Of an answer that came [across devices](Device::CrossDevice) nothing is kept.
    #[must_use]
    pub fn keep(mut self, claim: impl Into<String>, purpose: impl Into<String>, keep_s: u64) -> Self {
        let keep = Keep { claim: claim.into(), purpose: purpose.into(), keep_s };
        self.kept.retain(|earlier| earlier.claim != keep.claim);
        self.kept.push(keep);
        self
    }

    /// Has the wallet sign a transaction together with its answer (OpenID4VP 1.0, 8.4).
    ///
    /// # Errors
    /// [`AskError::TransactionOnIdentity`] for identification data: a government's credential authorises no payment;
    /// [`AskError::TransactionFormat`] for a credential that may come in another format than SD-JWT VC, since no other has a
    /// place for the signature; [`AskError::NoSuchCredential`] if the ask has no credential of that id. (Every credential that an ask wants is
    /// bound to its holder, so there is always a signature.)
    pub fn transaction(mut self, transaction: Transaction) -> Result<Self, AskError> {
        let Some(wanted) = self.asked_for.iter().find(|w| w.id() == transaction.credential) else {
            return Err(AskError::NoSuchCredential(transaction.credential));
        };
        if wanted.alternatives().iter().flat_map(Wanted::types).any(|t| documents::is_identity(t)) {
            return Err(AskError::TransactionOnIdentity(transaction.credential));
        }
        if wanted.alternatives().iter().any(|one| one.format() != SD_JWT_VC) {
            return Err(AskError::TransactionFormat(transaction.credential));
        }
        self.transactions.push(transaction);
        Ok(self)
    }

    /// The name by which pages and routes refer to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why it is asked, as the customer reads it.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// How old a proof may be, in seconds.
    #[must_use]
    pub const fn proof_age_s(&self) -> u64 {
        self.proof_age_s
    }

    /// The credentials that answer it.
    #[must_use]
    pub fn asked_for(&self) -> &[AskedFor] {
        &self.asked_for
    }

    /// The age in years that it asks about.
    #[must_use]
    pub const fn age(&self) -> Option<u8> {
        self.over
    }

    /// What happens when the status of a credential cannot be learned.
    #[must_use]
    pub const fn status_policy(&self) -> StatusPolicy {
        self.status
    }

    /// Whether it also asks for the relationship credential of this shop.
    #[must_use]
    pub const fn recognises(&self) -> bool {
        self.recognises
    }

    /// Whether it is asked by the profile of the EU's age verification apps.
    #[must_use]
    pub const fn is_age_eu(&self) -> bool {
        self.age_eu
    }

    /// Whether it asks for a receipt of this shop.
    #[must_use]
    pub const fn wants_receipt(&self) -> bool {
        self.own_receipt
    }

    /// Whether it is for payments.
    #[must_use]
    pub const fn is_payment(&self) -> bool {
        self.pays
    }

    /// The claims whose values are kept.
    #[must_use]
    pub fn kept(&self) -> &[Keep] {
        &self.kept
    }

    /// The transactions that the wallet signs.
    #[must_use]
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// Whether it is the other one, but for what is to be signed with it at this moment.
    pub(crate) fn is_the_same_question(&self, other: &Self) -> bool {
        Self { transactions: Vec::new(), ..self.clone() } == Self { transactions: Vec::new(), ..other.clone() }
    }

    /// Whether a proof answers it as it is now: a gate that was raised is not opened by what opened the lower one.
    pub(crate) fn is_answered_by(&self, proof: &Proof) -> bool {
        let Established { over, .. } = proof.outcome;
        let is_old_enough = self.over.is_none_or(|years| over.is_some_and(|over| over >= years));
        let is_shown = |one: &Wanted| one.is_answered_by(|name| proof.outcome.has_shown(name));
        // Of an age, the claims that it was computed from are not kept, and their names are not either.
        let mut others = self.asked_for.iter().filter(|wanted| self.over.is_none() || wanted.id() != AGE);
        proof.ask == self.name && is_old_enough && others.all(|wanted| wanted.alternatives().iter().any(is_shown))
    }

    /// Whether it can be asked at all.
    ///
    /// # Errors
    /// What a merchant has to change.
    pub fn check(&self) -> Result<(), AskError> {
        let plain = |text: &str| {
            !text.is_empty()
                && text.len() <= 32
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        };
        if !plain(&self.name) {
            return Err(AskError::Name(self.name.clone()));
        }
        if self.purpose.trim().is_empty() {
            return Err(AskError::NoPurpose(self.name.clone()));
        }
        if self.asked_for.is_empty() && !self.recognises {
            return Err(AskError::Nothing(self.name.clone()));
        }
        let mut ids: Vec<String> = self.asked_for.iter().flat_map(|w| w.queries(|_| true)).map(|(id, _)| id).collect();
        if ids.iter().any(|id| is_relationship(id)) {
            return Err(AskError::Relationship(self.name.clone()));
        }
        // A gate on what was shown would open for whoever shows that they are too young.
        let tells_age = |path: &[String]| {
            path.first().is_some_and(|name| name.starts_with("age_over_") || name == "age_equal_or_over")
        };
        let is_checked = |one: &AskedFor| self.over.is_some() && one.id() == AGE;
        if self.asked_for.iter().any(|one| !is_checked(one) && one.names().any(tells_age)) {
            return Err(AskError::AgeShown(self.name.clone()));
        }
        if self.age_eu {
            let alone = self.over.is_some_and(|years| self.asked_for == [AskedFor::new(AGE, documents::age_eu(years))]);
            if !alone || self.recognises || !self.kept.is_empty() || !self.transactions.is_empty() {
                return Err(AskError::AgeEu(self.name.clone()));
            }
        }
        if self.pays {
            // Somebody's identity, or a format without a place for the signature, authorises nothing.
            let fits = |one: &Wanted| {
                one.format() == SD_JWT_VC && !one.types().iter().any(|kind| documents::is_identity(kind))
            };
            let alone = matches!(&*self.asked_for, [one] if one.alternatives().iter().all(fits));
            if !alone || self.recognises || !self.kept.is_empty() || !self.transactions.is_empty() {
                return Err(AskError::Payment(self.name.clone()));
            }
        }
        ids.sort_unstable();
        if let Some([twice, _]) = ids.windows(2).find(|pair| matches!(pair, [one, other] if one == other)) {
            return Err(AskError::SameId { name: self.name.clone(), id: twice.clone() });
        }
        for keep in &self.kept {
            // What is kept is what the customer was asked for, to the letter: nothing slips in with a path above it.
            let asked = |path: &[String]| path.join(".") == keep.claim;
            if !self.asked_for.iter().any(|wanted| wanted.names().any(asked)) {
                return Err(AskError::KeepNotAsked { name: self.name.clone(), claim: keep.claim.clone() });
            }
            if keep.keep_s == 0 {
                return Err(AskError::KeepNoTime { name: self.name.clone(), claim: keep.claim.clone() });
            }
        }
        Ok(())
    }
}

/// What to do when nobody can say whether a credential was revoked (its list cannot be fetched, or makes no valid
/// statement). A credential that *is* revoked or suspended, or has no entry in a list that holds, is refused under every
/// policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusPolicy {
    /// Refuse: the default, since a thief can make a list unreachable more easily than valid.
    MustBeValid,
    /// Accept: for what a wrong answer costs little.
    AcceptUndetermined,
}

/// A value that may outlive the visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The claim, its path joined by `.`.
    pub claim: String,
    /// Why it is kept, as the customer reads it.
    pub purpose: String,
    /// For how long, in seconds.
    pub keep_s: u64,
}

/// Something that the wallet signs together with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    pub(crate) credential: String,
    pub(crate) kind: String,
    pub(crate) details: serde_json::Map<String, Value>,
}

impl Transaction {
    /// A transaction of the type `kind`, to be signed with the credential that the ask calls `credential`. `details`
    /// are the further members of the transaction data object, shown by the wallet.
    #[must_use]
    pub fn new(
        kind: impl Into<String>,
        credential: impl Into<String>,
        details: serde_json::Map<String, Value>,
    ) -> Self {
        Self { credential: credential.into(), kind: kind.into(), details }
    }
}

/// Why an ask cannot be asked. Always the merchant's to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The name is empty, too long or has other characters.
    #[error("the name {0:?} of an ask must be 1 to 32 of a-z, 0-9, - and _")]
    Name(String),
    /// Nothing tells the customer why.
    #[error("the ask {0:?} needs a purpose that the customer can read")]
    NoPurpose(String),
    /// No credential answers it.
    #[error("the ask {0:?} asks for nothing: add .over(..), .credential(..) or .recognise()")]
    Nothing(String),
    /// A credential of the ask has the name of the relationship credential.
    #[error("the ask {0:?} calls a credential \"relationship\": that is the one by which .recognise() recognises")]
    Relationship(String),
    /// Two credentials of an ask have one id, or one has the id of another's second format.
    #[error("the ask {name:?} has two credentials with the id {id:?}")]
    SameId {
        /// The ask.
        name: String,
        /// The id.
        id: String,
    },
    /// More than the attestation of age is asked by the profile that is for it alone.
    #[error("the ask {0:?} is by .age_eu(..), unsigned and in clear: it may ask for nothing else")]
    AgeEu(String),
    /// A payment is asked with something beside it, or with what signs none.
    #[error(
        "the ask {0:?} is by .payment(..): it takes attestations as SD-JWT VC, no identification data, and nothing beside it"
    )]
    Payment(String),
    /// Two asks of one name.
    #[error("two asks are named {0:?}")]
    Twice(String),
    /// The query that comes of it is not one that a wallet may be sent.
    #[error("the ask {name:?} makes no valid query: {reason}")]
    Query {
        /// The ask.
        name: String,
        /// What is wrong with the query.
        reason: String,
    },
    /// A claim is to be kept that is not asked for.
    #[error("the ask {name:?} keeps {claim:?} and does not ask for it: add .claim(..), or keep what is asked for")]
    KeepNotAsked {
        /// The ask.
        name: String,
        /// The claim, its path joined by `.`.
        claim: String,
    },
    /// A claim is to be kept for no time.
    #[error("the ask {name:?} keeps {claim:?} for 0 seconds: say for how long, or do not keep it")]
    KeepNoTime {
        /// The ask.
        name: String,
        /// The claim, its path joined by `.`.
        claim: String,
    },
    /// An age that would be shown and not checked.
    #[error(
        "the ask {0:?} has a claim about an age that nobody would look at: use .over(years), with .age_also_in(..)"
    )]
    AgeShown(String),
    /// Transaction data for a credential that is not asked for.
    #[error("the ask has no credential {0:?}")]
    NoSuchCredential(String),
    /// Transaction data for a credential in a format that has no place for them.
    #[error("{0:?} may come in another format than SD-JWT VC, which alone signs a transaction")]
    TransactionFormat(String),
    /// Transaction data for identification data.
    #[error("{0:?} asks for identification data, which sign no transaction")]
    TransactionOnIdentity(String),
}

/// Where the wallet was, as seen from who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// On the device of the browser: the answer came back through it.
    SameDevice,
    /// On another device, by a QR code. Whoever held that device may not be who sits at the browser (somebody can
    /// show a customer a code that is not the shop's), so this never attaches to, reads or changes another record.
    CrossDevice,
    /// In its holder's hand, at a reader of the shop's: no browser asked.
    AtTheTill,
}

/// The age in full years on the day of `now` (UTC) of somebody born on `birthdate` (`YYYY-MM-DD`).
///
/// Returns `None` for anything that is not a date in the past 150 years.
#[must_use]
pub fn age_on(birthdate: &str, now: UnixTime) -> Option<u8> {
    // Only the full form counts: jiff would also take a date with a time, and a year alone proves no age.
    if birthdate.len() != 10 {
        return None;
    }
    let born: jiff::civil::Date = birthdate.parse().ok()?;
    let today = jiff::Timestamp::from_second(now.as_secs()).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut years = i32::from(today.year()) - i32::from(born.year());
    // Somebody born on 29 February comes of age on 1 March of a common year.
    if (today.month(), today.day()) < (born.month(), born.day()) {
        years -= 1;
    }
    u8::try_from(years).ok().filter(|years| *years <= 150)
}

/// Whether what was shown says that somebody is at least `years` old.
pub(crate) fn is_of_age(shown: &[&Value], years: u8, now: UnixTime) -> bool {
    match shown {
        [Value::Bool(over)] => *over,
        [Value::String(birthdate)] => age_on(birthdate, now).is_some_and(|age| age >= years),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birthday_counts_from_the_day_itself() {
        let noon = |date: &str| {
            let date: jiff::civil::Date = date.parse().unwrap();
            UnixTime::from_secs(date.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second())
        };
        let check =
            |born: &str, today: &str, age: Option<u8>| assert_eq!(age_on(born, noon(today)), age, "{born} {today}");
        check("2008-11-22", "2026-11-22", Some(18));
        check("2008-11-23", "2026-11-22", Some(17));
        check("2008-02-29", "2026-02-28", Some(17));
        check("2008-02-29", "2026-03-01", Some(18));
        check("2027-01-01", "2026-11-22", None);
        check("1850-01-01", "2026-11-22", None);
        check("2008", "2026-11-22", None);
        check("2008-13-01", "2026-11-22", None);
        check("2008-11-22T00:00:00Z", "2026-11-22", None);
    }

    #[test]
    fn identification_data_sign_no_transaction() {
        let pay = |credential: &str| Transaction::new("urn:eudi:sca:payment:1", credential, serde_json::Map::new());
        let ask = |wanted: Wanted| Ask::new("pay", "To pay").credential("card", wanted);
        assert!(ask(Wanted::sd_jwt_vc("urn:example:sca")).transaction(pay("card")).is_ok());
        assert_eq!(
            ask(Wanted::sd_jwt_vc("urn:eudi:pid:de:1")).transaction(pay("card")),
            Err(AskError::TransactionOnIdentity("card".into()))
        );
        assert_eq!(
            ask(Wanted::sd_jwt_vc("urn:example:sca")).transaction(pay("other")),
            Err(AskError::NoSuchCredential("other".into()))
        );
    }

    #[test]
    fn a_payment_is_asked_by_itself_and_by_nobodys_identity() {
        let pay = |wanted: AnyOf| Ask::new("pay", "To pay").payment(wanted);
        let account = || Wanted::sd_jwt_vc("urn:example:sca");
        assert_eq!(pay(account().claim(["masked_iban"]).into()).check(), Ok(()));
        let refused = Err(AskError::Payment("pay".into()));
        for other in [
            pay(account().into()).recognise(),
            pay(account().into()).credential("card", Wanted::sd_jwt_vc("urn:card")),
            pay(account().claim(["masked_iban"]).into()).keep("masked_iban", "p", 1),
            pay(Wanted::sd_jwt_vc(PID).into()),
            pay(account().or_type("urn:eudi:pid:de:1").into()),
            pay(account().or(Wanted::sd_jwt_vc(PID))),
            pay(account().or(Wanted::mdoc("org.example.sca", "org.example.sca").claim(["iban"]))),
        ] {
            assert_eq!(other.check(), refused, "{other:?}");
        }
    }

    #[test]
    fn a_raised_gate_is_not_opened_by_what_opened_the_lower_one() {
        let proof = |ask: &str, outcome: Established| Proof {
            ask: ask.into(),
            purpose: "p".into(),
            outcome,
            at: UnixTime::from_secs(0),
            device: Device::SameDevice,
        };
        let shown = |names: &[&str]| Established {
            shown: names.iter().map(|&name| name.to_owned()).collect(),
            ..Established::default()
        };
        let age = Ask::new("age", "Wine").over(18);
        assert!(age.is_answered_by(&proof("age", Established::over(18))));
        assert!(age.is_answered_by(&proof("age", Established::over(21))));
        assert!(!age.is_answered_by(&proof("age", Established::over(16))));
        assert!(!age.is_answered_by(&proof("age", shown(&["over 18"]))));
        assert!(!age.is_answered_by(&proof("other", Established::over(18))));
        let pid = || Wanted::sd_jwt_vc(PID).claim(["given_name"]);
        let ask = |wanted: Wanted| Ask::new("name", "To greet").credential("pid", wanted);
        let names = proof("name", shown(&["given_name", "family_name"]));
        assert!(ask(pid().claim(["family_name"])).is_answered_by(&names));
        assert!(!ask(pid().claim(["address"])).is_answered_by(&names));
        // One of several is enough, and none is not.
        assert!(ask(pid().either(["family_name"]).either(["birthdate"])).is_answered_by(&names));
        assert!(!ask(pid().either(["email"]).either(["birthdate"])).is_answered_by(&names));
        // Whoever proved an age has not shown what is asked for beside it since.
        let both = Ask::new("name", "To greet").over(18).credential("pid", pid());
        assert!(!both.is_answered_by(&proof("name", Established::over(18))));
        assert!(both.is_answered_by(&proof("name", Established { over: Some(18), ..shown(&["given_name"]) })));
    }

    #[test]
    fn what_was_established_is_written_in_names() {
        let mut found = Established { recognised: true, ..Established::default() };
        assert_eq!(found.to_string(), "relationship");
        found.shown = vec!["given_name".into(), "address".into()];
        assert_eq!(found.to_string(), "given_name, address");
        found.over = Some(18);
        assert_eq!(found.to_string(), "over 18, given_name, address");
        assert_eq!(serde_json::to_value(Established::over(18)).unwrap(), serde_json::json!({"over": 18}));
    }

    #[test]
    fn an_ask_says_what_is_missing() {
        assert!(Ask::new("age", "Wine").over(18).check().is_ok());
        assert_eq!(Ask::new("Age!", "Wine").over(18).check(), Err(AskError::Name("Age!".into())));
        assert_eq!(Ask::new("age", " ").over(18).check(), Err(AskError::NoPurpose("age".into())));
        assert_eq!(Ask::new("age", "Wine").check(), Err(AskError::Nothing("age".into())));
    }

    #[test]
    fn only_what_is_asked_for_is_kept_and_for_a_time() {
        let wanted = || Wanted::sd_jwt_vc(PID).claim(["given_name"]).claim(["address", "locality"]).either(["email"]);
        let ask =
            |claim: &str, keep_s| Ask::new("name", "To greet").credential("pid", wanted()).keep(claim, "w", keep_s);
        for asked in ["given_name", "address.locality", "email"] {
            assert_eq!(ask(asked, 1).check(), Ok(()), "{asked}");
            let none = AskError::KeepNoTime { name: "name".into(), claim: asked.into() };
            assert_eq!(ask(asked, 0).check(), Err(none), "{asked}");
        }
        for other in ["family_name", "address", "address.locality.x", "locality", ""] {
            let refused = AskError::KeepNotAsked { name: "name".into(), claim: other.into() };
            assert_eq!(ask(other, 1).check(), Err(refused), "{other}");
        }
    }
}
