//! What is kept while a wallet gets the relationship credential or a receipt, and of what it got: offers, pushed requests, codes, grants,
//! tokens, issued credentials, and the lists that say which of them hold.
//!
//! A grant is what the customer gave one wallet: its tokens come and go, and all of them end with it. Secrets that come
//! back are the names of their records as digests; the records hold none.

use serde::{Deserialize, Serialize};

use crate::{
    customer::{Alias, Binding, CustomerId},
    order::OrderId,
    store::Persisted,
    time::UnixTime,
};

/// How long an offer can be taken, in seconds: as long as somebody looks at the page that shows its code.
pub const OFFER_S: u64 = 5 * 60;
/// How often the code on the page may be typed wrong: then the offer is over. Five of a million.
pub const WRONG_TRIES_MAX: u8 = 5;
/// How long a wallet has to bring its owner to the consent page after it pushed its request, and the owner to decide.
pub const PUSHED_S: u64 = 5 * 60;
/// How long an authorization code can be redeemed, in seconds.
pub const CODE_S: u64 = 60;
/// How long an access token of a wallet works, in seconds: to fetch what it is for, and to say that it arrived.
pub const TOKEN_S: u64 = 10 * 60;
/// How long a wallet has to fetch its first credential, in seconds: until then nobody sees in any list that it could.
pub const FIRST_S: u64 = 3600;
/// How long a grant can be used without a new consent, in seconds: a year. A wallet that was not used for so long is better
/// asked about anew (HAIP 1.0, 4.4).
pub const GRANT_S: u64 = 365 * 24 * 3600;
/// How often one access token gets credentials: once, and again when an answer was lost.
pub const REQUESTS_MAX: u8 = 4;
/// How many credentials a wallet gets in a day: it renews them in two months. What is more would fill the lists.
pub const DAILY_MAX: usize = 16;
/// How long a relationship credential holds, in seconds: 90 days. Wallets renew it silently; one that does not is gone by
/// itself.
pub const CREDENTIAL_S: u64 = 90 * 24 * 3600;
/// How much of that is left when a wallet asks for the next one, in seconds.
pub const REISSUE_AT_LEFT_S: u64 = 30 * 24 * 3600;
/// How many relationship credentials of one customer hold at the same time: a few wallets, or the batches of one.
pub const CREDENTIALS_MAX: usize = 8;
/// How many credentials one request gets: all bindings of a customer move in one commit when two records become one, so
/// they are few.
pub const BATCH_MAX: usize = 4;

/// How long a receipt holds, in seconds: six years, as in the rulebook's own example, for whoever has to show it to an
/// authority. It is issued once, and never renewed.
pub const RECEIPT_S: u64 = 6 * 365 * 24 * 3600;
/// How many credentials there may be of the receipts of one order, in all wallets: whoever has the order's link can ask for
/// them.
pub const RECEIPTS_MAX: u32 = 32;

/// Which receipt, of which order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptName {
    /// The order.
    pub order: OrderId,
    /// Its number.
    pub number: String,
}

/// What an offer or a grant brings, and on whose word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brings<'a> {
    /// The relationship credential: a customer consented.
    Relationship(&'a Consent),
    /// A receipt: it was offered to whoever saw the order.
    Receipt(&'a ReceiptName),
}

impl<'a> Brings<'a> {
    /// `None` for a record that is nothing of it.
    const fn of(by: Option<&'a Consent>, receipt: Option<&'a ReceiptName>) -> Option<Self> {
        match (by, receipt) {
            (Some(consent), None) => Some(Self::Relationship(consent)),
            (None, Some(receipt)) => Some(Self::Receipt(receipt)),
            _ => None,
        }
    }
}

/// That a customer said yes, in a browser of theirs. It is worth as much as that browser is: once it is signed out, nothing
/// begins by it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The customer, by the first name of what was shown: taken apart again, two records take along what was given by each.
    pub customer: CustomerId,
    /// When the browser joined by which that came.
    #[serde(default)]
    pub joined_at: Option<UnixTime>,
    /// The thumbprint of the browser's key.
    pub key: String,
    /// When.
    pub at: UnixTime,
}

impl Consent {
    /// Whether the binding of the browser's key carries it still. Whose that is now is the caller's to check.
    #[must_use]
    pub fn is_carried_by(&self, binding: &Binding) -> bool {
        binding.carries(self.at)
    }
}

/// An offer to a customer's wallet, stored under the digest of its pre-authorised code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferRecord {
    /// Whose relationship credential it is for, and who made it; none if it is for a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Consent>,
    /// The receipt that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptName>,
    /// The keyed digest of what the customer types into the wallet.
    pub tx_code: String,
    /// How often something else was typed.
    pub wrong: u8,
    /// That it was taken, and the grant that it became.
    pub taken: Option<String>,
    /// When it ends.
    pub expires_at: UnixTime,
}

impl OfferRecord {
    /// What it brings.
    #[must_use]
    pub const fn brings(&self) -> Option<Brings<'_>> {
        Brings::of(self.by.as_ref(), self.receipt.as_ref())
    }

    /// Whether it can still be taken.
    #[must_use]
    pub fn is_open(&self, now: UnixTime) -> bool {
        self.taken.is_none() && self.wrong < WRONG_TRIES_MAX && now < self.expires_at
    }

    /// Somebody typed something else.
    #[must_use]
    pub fn guessed_wrong(self) -> Self {
        Self { wrong: self.wrong.saturating_add(1), ..self }
    }

    /// A wallet has it.
    #[must_use]
    pub fn taken_by(self, grant: &str) -> Self {
        Self { taken: Some(grant.to_owned()), ..self }
    }
}

/// A wallet's authorization request that waits for the customer, stored under the digest of its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedRecord {
    /// The wallet.
    pub client_id: String,
    /// What it is called.
    pub client_name: String,
    /// Where it is answered: letter by letter as registered.
    pub redirect_uri: String,
    /// What it wants back.
    pub state: Option<String>,
    /// The challenge of RFC 7636, S256.
    pub code_challenge: String,
    /// The configurations that it asked for by authorization details.
    pub details: Vec<String>,
    /// The digest of the offer that it came by.
    pub offer: Option<String>,
    /// The thumbprint of the key that the code is for.
    pub jkt: Option<String>,
    /// The thumbprint of the attested key of the wallet.
    pub attested: Option<String>,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// What the customer consented to, stored under the digest of the authorization code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// Who consented.
    pub by: Consent,
    /// What the wallet asked for, with the keys that it is bound to.
    pub request: PushedRecord,
    /// That it was redeemed, and the grant that it became.
    pub taken: Option<String>,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// What a customer gave one wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Who gave it; none if it is for a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Consent>,
    /// The receipt that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptName>,
    /// The wallet, if it said which it is.
    pub client_id: Option<String>,
    /// The thumbprint of the key that its tokens are bound to.
    pub jkt: Option<String>,
    /// The thumbprint of its attested key.
    pub attested: Option<String>,
    /// Since when.
    pub since: UnixTime,
    /// Until when: as long as the newest credential that came by it, which its customer sees. The record is deleted when the
    /// customer takes one of those away, and when a token of it is used twice.
    pub expires_at: UnixTime,
    /// Whether a credential came by it yet.
    pub used: bool,
    /// Since when credentials are counted, and how many came since then.
    pub counted: (UnixTime, usize),
}

impl GrantRecord {
    /// What it brings.
    #[must_use]
    pub const fn brings(&self) -> Option<Brings<'_>> {
        Brings::of(self.by.as_ref(), self.receipt.as_ref())
    }

    /// Whether tokens of it work.
    #[must_use]
    pub fn holds(&self, now: UnixTime) -> bool {
        now < self.expires_at
    }

    /// Until when it can be renewed at most.
    #[must_use]
    pub const fn at_most(&self) -> UnixTime {
        self.since.plus_s(GRANT_S)
    }

    /// So many credentials come by it now that end then; none if the wallet had enough today.
    #[must_use]
    pub fn used_for(self, credentials: usize, end_at: UnixTime, now: UnixTime) -> Option<Self> {
        let (since, before) = match self.counted {
            (since, before) if since <= now && now.since_s(since) < 24 * 3600 => (since, before),
            _ => (now, 0),
        };
        let counted = (since, before.saturating_add(credentials));
        (counted.1 <= DAILY_MAX).then(|| Self { used: true, expires_at: end_at.min(self.at_most()), counted, ..self })
    }

    /// Its last credential is gone, by its wallet's own word: it is what it was before the first one.
    #[must_use]
    pub fn unused(self, now: UnixTime) -> Self {
        Self { used: false, expires_at: self.expires_at.min(now.plus_s(FIRST_S)), ..self }
    }
}

/// An access token of a wallet, stored under its digest. It is no session: nothing but the issuer's endpoints knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletTokenRecord {
    /// The grant it is of.
    pub grant: String,
    /// The identifiers by which credentials are asked for; none if they are asked for by configuration.
    pub details: Vec<String>,
    /// How often it got credentials.
    pub requests: u8,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// A refresh token, stored under its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshRecord {
    /// The grant it is of.
    pub grant: String,
    /// That it was used: a second time ends the grant.
    pub used: bool,
}

/// A credential that was issued, stored under its alias.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedRecord {
    /// The grant by which a wallet got it.
    pub grant: String,
    /// The status list that speaks of it.
    pub list: u32,
    /// Its entry there.
    pub index: u64,
    /// When it was issued.
    pub at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
    /// The key that it is for, as a DID: the binding's own, once it is known that it arrived.
    pub did: String,
    /// Whether it was handed out by a deferred answer, which is good for once.
    #[serde(default)]
    pub handed_later: bool,
}

impl std::fmt::Debug for IssuedRecord {
    /// Without the index, which is as good as a serial number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedRecord").field("at", &self.at).finish_non_exhaustive()
    }
}

/// That a credential was issued of a receipt, stored beside its order: so many are there, and these may be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptIssued {
    /// The receipt's number.
    pub number: String,
    /// What its records are found by: it stands in no credential.
    pub alias: Alias,
    /// When it was issued.
    pub at: UnixTime,
    /// Until when it holds.
    pub expires_at: UnixTime,
    /// Whether a wallet said that it is there.
    pub arrived: bool,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// That a receipt was used for a purpose that it is good for once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptUsed {
    /// When.
    pub at: UnixTime,
    /// The operation: says whether a commit happened whose answer was lost.
    pub operation: String,
}

/// That an entry of a status list belongs to a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEntry {
    /// Which.
    pub alias: Alias,
}

/// That an entry of a status list says "invalid".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedEntry {}

/// A status list. What changes stands in records of its own, so that issuing writes no record that others write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusListRecord {
    /// What decides which entries are decoys, and when those change: 32 random bytes in base64url.
    pub seed: String,
}

impl std::fmt::Debug for StatusListRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StatusListRecord([redacted])")
    }
}

/// How many status lists there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusLists {
    /// They are numbered from 0 on.
    pub count: u32,
}

/// That a proof of a key, or of a wallet, was used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SpentWalletProof {}

macro_rules! persisted {
    ($($record:ty: $kind:literal),* $(,)?) => {
        $(impl Persisted for $record {
            const KIND: &'static str = $kind;
            const SCHEMA: u16 = 1;
        })*
    };
}

persisted! {
    OfferRecord: "credential_offer",
    PushedRecord: "wallet_request",
    CodeRecord: "wallet_code",
    GrantRecord: "wallet_grant",
    WalletTokenRecord: "wallet_token",
    RefreshRecord: "wallet_refresh",
    IssuedRecord: "issued_credential",
    ReceiptIssued: "receipt_issued",
    ReceiptUsed: "receipt_used",
    StatusEntry: "status_entry",
    RevokedEntry: "status_revoked",
    StatusListRecord: "status_list",
    StatusLists: "status_lists",
    SpentWalletProof: "spent_wallet_proof",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::Rung;

    const NOON: UnixTime = UnixTime::from_secs(1_795_000_000);

    fn consent() -> Consent {
        Consent { customer: CustomerId::from_random([1; 16]), joined_at: None, key: "thumbprint".into(), at: NOON }
    }

    #[test]
    fn an_offer_ends_by_time_by_guesses_and_by_being_taken() {
        let offer = OfferRecord {
            by: Some(consent()),
            receipt: None,
            tx_code: "digest".into(),
            wrong: 0,
            taken: None,
            expires_at: NOON.plus_s(OFFER_S),
        };
        assert!(offer.is_open(NOON.plus_s(OFFER_S - 1)));
        assert!(!offer.is_open(NOON.plus_s(OFFER_S)));
        assert!(!offer.clone().taken_by("g").is_open(NOON));
        let mut guessed = offer;
        for left in (0..WRONG_TRIES_MAX).rev() {
            guessed = guessed.guessed_wrong();
            assert_eq!(guessed.is_open(NOON), left > 0);
        }
    }

    #[test]
    fn an_offer_of_before_there_were_receipts_is_read() {
        let offer = |extra: &str| {
            let by = r#""by":{"customer":"c_01010101010101010101010101010101","key":"k","at":1}"#;
            let text = format!(r#"{{{by},"tx_code":"d","wrong":0,"taken":null,"expires_at":9{extra}}}"#);
            serde_json::from_str::<OfferRecord>(&text).unwrap()
        };
        assert!(matches!(offer("").brings(), Some(Brings::Relationship(consent)) if consent.key == "k"));
        let both = format!(r#","receipt":{{"order":"o_{}","number":"n"}}"#, "0".repeat(32));
        assert_eq!(offer(&both).brings(), None, "nothing is both");
    }

    #[test]
    fn a_grant_ends_with_its_newest_credential_and_after_a_year() {
        let grant = GrantRecord {
            by: Some(consent()),
            receipt: None,
            client_id: None,
            jkt: None,
            attested: None,
            since: NOON,
            expires_at: NOON.plus_s(FIRST_S),
            used: false,
            counted: (NOON, 0),
        };
        assert!(grant.holds(NOON.plus_s(FIRST_S - 1)) && !grant.holds(NOON.plus_s(FIRST_S)));
        let used = grant.used_for(1, NOON.plus_s(CREDENTIAL_S), NOON).unwrap();
        assert!(used.holds(NOON.plus_s(CREDENTIAL_S - 1)) && !used.holds(NOON.plus_s(CREDENTIAL_S)));
        let late = used.clone().used_for(1, NOON.plus_s(GRANT_S + 1), NOON).unwrap();
        assert!(late.holds(NOON.plus_s(GRANT_S - 1)) && !late.holds(NOON.plus_s(GRANT_S)));
        let unused = late.unused(NOON);
        assert!(!unused.used && unused.holds(NOON.plus_s(FIRST_S - 1)) && !unused.holds(NOON.plus_s(FIRST_S)));
        // One came already.
        let (end, day) = (NOON.plus_s(CREDENTIAL_S), NOON.plus_s(24 * 3600));
        assert!(used.clone().used_for(DAILY_MAX, end, day.minus_s(1)).is_none());
        assert!(used.clone().used_for(DAILY_MAX - 1, end, day.minus_s(1)).is_some());
        assert!(used.used_for(DAILY_MAX, end, day).is_some());
    }

    #[test]
    fn a_consent_ends_with_the_browser_that_it_came_by() {
        let consent = consent();
        let binding = Binding::new(consent.customer.clone(), Rung::BrowserKey, None, NOON);
        assert!(consent.is_carried_by(&binding));
        assert!(!consent.is_carried_by(&Binding { locked: true, ..binding.clone() }));
        assert!(consent.is_carried_by(&Binding { opened_at: Some(NOON), ..binding.clone() }));
        assert!(!consent.is_carried_by(&Binding { opened_at: Some(NOON.plus_s(1)), ..binding.clone() }));
        assert!(consent.is_carried_by(&Binding { consents_after: Some(NOON.minus_s(1)), ..binding.clone() }));
        assert!(!consent.is_carried_by(&Binding { consents_after: Some(NOON), ..binding }));
    }
}
