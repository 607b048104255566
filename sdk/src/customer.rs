//! Who a customer is to this shop: a record with a name of its own, and the keys that prove it is them.
//!
//! The name ([`CustomerId`]) is random and means nothing elsewhere; it is no proof of anything. The proof is control of
//! a binding, and every binding is shown as a DID that no other business ever sees.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{ask::Proof, names::hex_name, store::Persisted, time::UnixTime};

hex_name! {
    /// A customer's name in this shop: opaque, random, made to sit in a column `customers.firsthand_id` of the merchant's
    /// own. It is a name, not a proof.
    ///
    /// Written `c_` and 32 hexadecimal digits.
    CustomerId = "c_";
    /// A text that is not a customer's name.
    NotACustomerId = "a customer id";
}

/// How strongly a customer proved to be themselves, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rung {
    /// A code on paper, used once: whoever finds the paper has it.
    RecoveryCode,
    /// A key that a browser keeps: whoever was lent the browser has it.
    BrowserKey,
    /// A key of a DID that the customer's wallet chose. Whether other shops see the same DID is the wallet's secret, so it
    /// may not be pairwise.
    Did,
    /// A passkey. One that is synced is as strong as the account of the platform that syncs it.
    Passkey,
    /// A credential that this shop issued into the customer's wallet.
    RelationshipCredential,
}

impl Rung {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecoveryCode => "recovery_code",
            Self::BrowserKey => "browser_key",
            Self::Did => "did",
            Self::Passkey => "passkey",
            Self::RelationshipCredential => "relationship_credential",
        }
    }

    /// This rung, shown not longer ago than that: `require(Rung::Passkey.within_s(300))`. A browser's key is shown with every
    /// request, so that of a rung that is not [strong](Self::is_strong) the time says nothing.
    #[must_use]
    pub const fn within_s(self, age_s: u64) -> RungWithin {
        RungWithin { rung: self, age_s }
    }

    /// Whether it proves a person rather than a browser: what opens a key that was signed out, and what has to be shown
    /// anew before a record that has such a rung gets another.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        matches!(self, Self::Did | Self::Passkey | Self::RelationshipCredential)
    }
}

/// A rung, and how long ago it may have been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RungWithin {
    /// The rung, or a stronger one.
    pub rung: Rung,
    /// How long ago, in seconds.
    pub age_s: u64,
}

/// What a relationship credential calls its customer: random, one for each credential, and nothing outside this shop.
///
/// 22 characters of base64url, which are 16 random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alias(String);

/// A text that is not an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an alias: 22 characters of base64url")]
pub struct NotAnAlias;

impl Alias {
    /// The alias that these random bytes make.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// As it stands in the credential.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Alias {
    type Err = NotAnAlias;

    fn from_str(text: &str) -> Result<Self, NotAnAlias> {
        let is_one = text.len() == 22 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 16);
        if is_one { Ok(Self(text.to_owned())) } else { Err(NotAnAlias) }
    }
}

impl TryFrom<String> for Alias {
    type Error = NotAnAlias;

    fn try_from(text: String) -> Result<Self, NotAnAlias> {
        text.parse()
    }
}

impl From<Alias> for String {
    fn from(alias: Alias) -> Self {
        alias.0
    }
}

/// The name of a binding, and of its record: the thumbprint of a browser's key as it is, or what it is and a digest.
/// Never holds `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BindingName(String);

impl BindingName {
    /// A browser's key, by its thumbprint (RFC 7638) in base64url.
    #[must_use]
    pub fn browser_key(thumbprint: &str) -> Self {
        Self(thumbprint.to_owned())
    }

    /// A relationship credential, by its alias.
    #[must_use]
    pub fn credential(alias: &Alias) -> Self {
        Self(format!("rc.{}", alias.as_str()))
    }

    /// A passkey, by the SHA-256 of its credential id.
    #[must_use]
    pub fn passkey(credential_id: [u8; 32]) -> Self {
        Self(format!("pk.{}", URL_SAFE_NO_PAD.encode(credential_id)))
    }

    /// A DID, by its SHA-256.
    #[must_use]
    pub fn did(did: [u8; 32]) -> Self {
        Self(format!("did.{}", URL_SAFE_NO_PAD.encode(did)))
    }

    /// A recovery code, by its SHA-256.
    #[must_use]
    pub fn recovery_code(code: [u8; 32]) -> Self {
        Self(format!("code.{}", URL_SAFE_NO_PAD.encode(code)))
    }

    /// The alias, if it is a relationship credential.
    pub(crate) fn alias(&self) -> Option<Alias> {
        self.0.strip_prefix("rc.")?.parse().ok()
    }

    /// The name that stands in a record's key.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it stands in a record's key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the shop keeps of a customer. No value of any claim, unless an ask said that it is kept, until when and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomerRecord {
    /// Since when.
    pub created_at: UnixTime,
    /// What was proved: the latest proof for each ask.
    pub proofs: Vec<Proof>,
    /// The customer that this one turned out to be: then this record is a tombstone, and its name leads there.
    #[serde(default)]
    pub merged_into: Option<CustomerId>,
    /// The customers who turned out to be this one.
    #[serde(default)]
    pub merged: Vec<Merged>,
    /// When somebody came back by a recovery code the last time.
    #[serde(default)]
    pub recovered_at: Option<UnixTime>,
    /// When the first of the recoveries was that cool down together: what is older than this was there before them.
    #[serde(default)]
    pub cooling_since: Option<UnixTime>,
    /// How many events of this name were announced.
    #[serde(default)]
    pub told: u32,
    /// Whether the customer is being forgotten: nothing else happens to the record any more.
    #[serde(default)]
    pub leaving: bool,
}

/// A customer who turned out to be another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The name that they had.
    pub customer: CustomerId,
    /// When it was said.
    pub at: UnixTime,
}

/// What becomes of customers' names, for the merchant's own tables: told by the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CustomerEvent {
    /// Two records became one: what is stored under `from` belongs to `into` by now.
    Merged {
        /// The name that is a tombstone now.
        from: CustomerId,
        /// The name that it leads to.
        into: CustomerId,
        /// When.
        at: UnixTime,
    },
    /// Two records were taken apart again: what was stored under `from` before they became one is its own.
    MergeUndone {
        /// The name that leads to itself again.
        from: CustomerId,
        /// The name that it led to.
        into: CustomerId,
        /// When.
        at: UnixTime,
    },
    /// The customer was forgotten: delete what is stored under this name, but for what the law keeps.
    Forgotten {
        /// The name, which leads nowhere any more.
        id: CustomerId,
        /// When.
        at: UnixTime,
    },
}

/// A value that an ask said it keeps: a record of its own, which ends when the time is over that the ask said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The ask that brought it.
    pub ask: String,
    /// The claim, its path joined by `.`.
    pub claim: String,
    /// Why it is kept.
    pub purpose: String,
    /// Until when.
    pub until: UnixTime,
    /// The sealed value.
    pub sealed: String,
    /// A keyed digest of the value: says whether another answer contradicts it, and is nothing outside this shop.
    pub digest: String,
}

/// What an answer says of a claim that is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// The claim, its path joined by `.`.
    pub claim: String,
    /// The keyed digests of the value: under the current root secret, and under those before it, since what is kept may
    /// be older than the current one.
    pub digests: Vec<String>,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Said").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("claim", &self.claim).field("until", &self.until).finish_non_exhaustive()
    }
}

impl CustomerRecord {
    /// A new customer.
    #[must_use]
    pub const fn new(now: UnixTime) -> Self {
        Self {
            created_at: now,
            proofs: Vec::new(),
            merged_into: None,
            merged: Vec::new(),
            recovered_at: None,
            cooling_since: None,
            told: 0,
            leaving: false,
        }
    }

    /// Whether a name of this customer from before a merge is this one.
    #[must_use]
    pub fn was_called(&self, customer: &CustomerId) -> bool {
        self.merged.iter().any(|merged| merged.customer == *customer)
    }

    /// Until when what spends has to wait, because somebody came back by a recovery code: nothing if that is over.
    #[must_use]
    pub fn cooling_until(&self, cool_down_s: u64, now: UnixTime) -> Option<UnixTime> {
        self.recovered_at.map(|at| at.plus_s(cool_down_s)).filter(|until| *until > now)
    }

    /// The customer proved something: the newer proof takes the place of the older one.
    #[must_use]
    pub fn proved(mut self, proof: Proof) -> Self {
        self.proofs.retain(|p| p.ask != proof.ask);
        self.proofs.push(proof);
        self
    }

    /// The proof for an ask, if it is not older than `age_s`.
    #[must_use]
    pub fn proof(&self, ask: &str, age_s: u64, now: UnixTime) -> Option<&Proof> {
        self.proofs.iter().find(|p| p.ask == ask && now.since_s(p.at) <= age_s)
    }
}

impl Kept {
    /// Whether an answer says something else of this claim: somebody else may be sitting there.
    #[must_use]
    pub fn is_contradicted_by(&self, said: &[Said], now: UnixTime) -> bool {
        self.until > now && said.iter().any(|s| s.claim == self.claim && !s.digests.contains(&self.digest))
    }
}

impl Kept {
    /// Whether an answer says the same of this claim.
    #[must_use]
    pub fn is_confirmed_by(&self, said: &[Said], now: UnixTime) -> bool {
        self.until > now && said.iter().any(|s| s.claim == self.claim && s.digests.contains(&self.digest))
    }
}

impl Persisted for Kept {
    const KIND: &'static str = "kept";
    const SCHEMA: u16 = 1;
}

impl Persisted for CustomerRecord {
    const KIND: &'static str = "customer";
    const SCHEMA: u16 = 1;
}

/// One way in which a customer is recognised, stored under its [name](BindingName).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Whose it is.
    pub customer: CustomerId,
    /// How strong it is.
    pub rung: Rung,
    /// The key as a DID: the customer's name for themselves, with this shop alone. A recovery code has none, and a
    /// credential only once it was shown.
    pub did: Option<String>,
    /// Since when.
    pub since: UnixTime,
    /// Whether it opens nothing any more. Sign-out closes a browser's key: then only a stronger binding of the same record
    /// opens it again. A credential that is closed is revoked.
    pub locked: bool,
    /// What the customer calls it, such as `Firefox on Android`.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it came by a wallet on another device: then it may have been somebody else's wallet.
    #[serde(default)]
    pub across_devices: bool,
    /// The customers it belonged to before two records became one, the last one last.
    #[serde(default)]
    pub from: Vec<CustomerId>,
    /// Since when it leads to this customer, if that is not from its beginning.
    #[serde(default)]
    pub moved_at: Option<UnixTime>,
    /// What was shown when this browser's key became theirs.
    #[serde(default)]
    pub vouched_by: Option<BindingName>,
    /// When the browser joined by which this came: that very browser's key, or whatever was added in it.
    #[serde(default)]
    pub joined_at: Option<UnixTime>,
    /// What was said in this browser until then counts no more, if it is not done yet.
    #[serde(default)]
    pub consents_after: Option<UnixTime>,
    /// When it was opened again: sessions of before are over.
    #[serde(default)]
    pub opened_at: Option<UnixTime>,
    /// When it ends by itself, as a credential does.
    #[serde(default)]
    pub expires_at: Option<UnixTime>,
    /// Whether another key took its place: then it is a tombstone, locked for ever, and in no list.
    #[serde(default)]
    pub replaced: bool,
}

impl Binding {
    /// Since when it leads to this customer.
    #[must_use]
    pub fn theirs_since(&self) -> UnixTime {
        self.moved_at.unwrap_or(self.since)
    }

    /// A binding of this customer, open, made now.
    #[must_use]
    pub const fn new(customer: CustomerId, rung: Rung, did: Option<String>, now: UnixTime) -> Self {
        Self {
            customer,
            rung,
            did,
            since: now,
            locked: false,
            name: None,
            across_devices: false,
            from: Vec::new(),
            moved_at: None,
            vouched_by: None,
            joined_at: None,
            consents_after: None,
            opened_at: None,
            expires_at: None,
            replaced: false,
        }
    }

    /// The same, as what `by` added: it goes where that goes when two records are taken apart again, and is worth no more.
    #[must_use]
    pub fn added_by(self, by: Option<&Self>) -> Self {
        let (from, joined_at) = by.map(|by| (by.from.clone(), by.joined_at)).unwrap_or_default();
        Self { from, joined_at, ..self }
    }

    /// When the browser joined by which it came, if that is not longer ago than `age_s`.
    #[must_use]
    pub fn joined_within(&self, age_s: u64, now: UnixTime) -> Option<UnixTime> {
        self.joined_at.filter(|at| now.since_s(*at) <= age_s)
    }

    /// Whether what was said in this browser at that time counts still.
    #[must_use]
    pub fn carries(&self, at: UnixTime) -> bool {
        !self.locked
            && self.opened_at.is_none_or(|opened| at >= opened)
            && self.consents_after.is_none_or(|ended| at > ended)
    }
}

/// What a customer calls a device of theirs, such as `Firefox on Android`: 1 to 40 characters.
///
/// Without control characters, line separators and the marks that turn the direction of text around (UAX 9): it stands in
/// lists beside other words, and says nothing about those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceName(String);

/// A text that is no name of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a device's name is 1 to 40 characters, without control and direction marks, and begins and ends with no space"
)]
pub struct NotADeviceName;

impl DeviceName {
    /// As it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for DeviceName {
    type Err = NotADeviceName;

    fn from_str(text: &str) -> Result<Self, NotADeviceName> {
        let is_one =
            (1..=40).contains(&text.chars().take(41).count()) && text.trim() == text && !text.contains(disturbs);
        if is_one { Ok(Self(text.to_owned())) } else { Err(NotADeviceName) }
    }
}

/// Whether a character changes how what stands beside it is shown: controls, breaks of lines, and marks of direction. No name
/// that a customer gives has one.
pub(crate) fn disturbs(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control()
}

impl Persisted for Binding {
    const KIND: &'static str = "binding";
    const SCHEMA: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{Device, Established};

    const NOON: UnixTime = UnixTime::from_secs(1_795_000_000);

    fn proof(ask: &str, at: UnixTime) -> Proof {
        Proof { ask: ask.into(), purpose: "p".into(), outcome: Established::over(18), at, device: Device::SameDevice }
    }

    fn kept(claim: &str, digest: &str) -> Kept {
        Kept {
            ask: "a".into(),
            claim: claim.into(),
            purpose: "p".into(),
            until: NOON.plus_s(100),
            sealed: String::new(),
            digest: digest.into(),
        }
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let id = CustomerId::from_random([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        for bad in ["", "c_", "c_AB", "x_00000000000000000000000000000000", "c_0000000000000000000000000000000G"] {
            assert_eq!(bad.parse::<CustomerId>(), Err(NotACustomerId), "{bad}");
        }
    }

    #[test]
    fn a_proof_ages() {
        let record = CustomerRecord::new(NOON).proved(proof("age", NOON));
        assert!(record.proof("age", 60, NOON.plus_s(60)).is_some());
        assert!(record.proof("age", 60, NOON.plus_s(61)).is_none());
        assert!(record.proof("address", 60, NOON).is_none());
        let newer = record.proved(proof("age", NOON.plus_s(100)));
        assert_eq!(newer.proofs.len(), 1);
        assert!(newer.proof("age", 60, NOON.plus_s(150)).is_some());
    }

    #[test]
    fn another_value_contradicts_and_a_new_claim_does_not() {
        let kept = kept("birthdate", "one");
        let said = |claim: &str, digests: &[&str]| Said {
            claim: claim.into(),
            digests: digests.iter().map(|&digest| digest.into()).collect(),
        };
        assert!(kept.is_contradicted_by(&[said("birthdate", &["two", "too"])], NOON));
        assert!(!kept.is_contradicted_by(&[said("birthdate", &["one"]), said("city", &["x"])], NOON));
        assert!(!kept.is_contradicted_by(&[said("birthdate", &["new", "one"])], NOON), "an earlier root");
        assert!(!kept.is_contradicted_by(&[said("birthdate", &["two"])], NOON.plus_s(100)));
    }

    #[test]
    fn a_device_has_a_name_that_says_nothing_of_what_stands_beside_it() {
        for good in ["x", "Firefox on Android", "Annas Küchentisch", "客厅的平板", &"ü".repeat(40)] {
            assert_eq!(good.parse::<DeviceName>().unwrap().as_str(), good);
        }
        for bad in
            ["", " ", " x", "x ", "a\nb", "a\0b", "a\u{7f}", "\u{202e}evil", "a\u{2066}b", "a\u{200f}", "a\u{2028}b"]
        {
            assert_eq!(bad.parse::<DeviceName>(), Err(NotADeviceName), "{bad:?}");
        }
        assert_eq!("x".repeat(41).parse::<DeviceName>(), Err(NotADeviceName));
    }
}
