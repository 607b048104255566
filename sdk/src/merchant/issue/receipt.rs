//! Receipts as credentials: offered on the order's page, to whoever may see that, and issued by the same issuer as the
//! relationship credential.
//!
//! A receipt says nothing of who bought, and is bound to the key of a wallet alone. So it needs no customer: a guest who has
//! the order's link gets it as well. It is made of the order when the wallet fetches it, and of nothing that a wallet sends.

use serde_json::{Map, Value, json};

use super::{
    CredentialOffer, Issuer, Merchant, OFFERED,
    credential::{Making, NewKey, Said},
    issued_key, lost_the_race, put,
    status::revocation,
    too_often,
};
use crate::{
    ask::documents::RECEIPT,
    customer::Alias,
    error::{Error, IssueError},
    issuing::{Brings, IssuedRecord, RECEIPT_S, RECEIPTS_MAX, ReceiptIssued, ReceiptName},
    merchant::{Order, RACES_MAX},
    order::OrderId,
    protocol::{
        openid4vci::{
            CredentialFormat, Offered,
            credential::Event,
            metadata::{Claim, Offering},
        },
        sd_jwt::{
            Hash,
            issue::{Concealed, SALT_BYTES},
        },
    },
    receipt::Receipt,
    store::{Expect, Key, Persisted},
    time::UnixTime,
};

/// How receipts are issued.
pub(super) const RECEIPTS: Offered<'_> =
    Offered { scope: "receipt", configurations: &[("receipt", CredentialFormat::SdJwtVc)] };
/// A receipt whose parts can be shown one by one has at most so many of them; of a longer one, whole lines are. Verifiers
/// read few hundred disclosures.
const PARTS_MAX: usize = 200;
/// How far down a long receipt is taken apart: its claims, and the lines in them.
const LEVELS: usize = 2;

/// What stands in a receipt, as the rulebook has it (3.2.3). The parts of lines are hidden one by one where they are not too
/// many.
pub(super) const CLAIMS: [Claim; 17] = [
    always("type"),
    always("receiptNumber"),
    always("receiptTimeStamp"),
    always("currencyISOCode"),
    always("totalPriceExcVAT"),
    always("totalVATAmount"),
    always("totalPriceIncVAT"),
    always("merchant"),
    always("merchant.name"),
    always("merchant.companyID"),
    always("products"),
    always("products.*"),
    Claim { path: "products.*.name", mandatory: true, sd: "allowed" },
    always("vats"),
    always("payments"),
    Claim { path: "originalReceiptNumber", mandatory: false, sd: "always" },
    Claim { path: "attestation_legal_category", mandatory: true, sd: "never" },
];

const fn always(path: &'static str) -> Claim {
    Claim { path, mandatory: true, sd: "always" }
}

/// What a grant or an offer of this kind may bring.
pub(super) const fn offered_of(brings: Brings<'_>) -> Offered<'static> {
    match brings {
        Brings::Relationship(_) => OFFERED,
        Brings::Receipt(_) => RECEIPTS,
    }
}

/// How a receipt is called, for each language.
pub(super) fn names(issuer: &Issuer) -> [(&'static str, String); 2] {
    [("en", format!("Receipt of {}", issuer.name)), ("de", format!("Beleg von {}", issuer.name))]
}

/// How receipts are issued, as metadata say it.
pub(super) const fn offering<'a>(names: &'a [(&'a str, String)]) -> Offering<'a> {
    Offering { offered: RECEIPTS, kind: RECEIPT, names, claims: &CLAIMS, reissue_at_left_s: None }
}

/// A receipt in a wallet, as the merchant sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptView {
    /// The receipt's number.
    pub number: String,
    /// When a wallet got it.
    pub since: UnixTime,
    /// Until when it holds.
    pub expires_at: UnixTime,
    /// Whether the wallet said that it is there.
    pub arrived: bool,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Merchant {
    /// What the type of a receipt means (SD-JWT VC, 6.2), as this shop issues it.
    ///
    /// # Errors
    /// [`IssueError::NotIssuing`] without an issuer, or without [`receipts`](crate::merchant::MerchantBuilder::receipts).
    pub fn receipt_type_metadata(&self) -> Result<Value, Error> {
        let issuer = self.issuing()?;
        if self.0.receipts.is_none() {
            return Err(IssueError::NotIssuing.into());
        }
        Ok(offering(&names(issuer)).type_metadata())
    }

    /// Makes the credentials of a receipt.
    pub(super) async fn try_make_receipts(
        &self,
        name: &ReceiptName,
        making: Making<'_>,
    ) -> Result<super::Issued, Error> {
        let now = self.now();
        let receipt = match self.receipt_named(name).await {
            // A transfer by which money went back came back itself.
            Err(Error::Refused(_) | Error::Receipt(_)) => return Err(IssueError::NoReceipt.into()),
            other => other?,
        };
        let said = Said::Receipt(&receipt);
        if making.later
            && let Some(issued) = self.made_before(&making, &said).await?
        {
            return Ok(issued);
        }
        let expires_at = now.plus_s(RECEIPT_S);
        // The grant is over when its first hour is: nothing is renewed by it.
        let mut writes = self.used(&making, making.visitor.grant.expires_at, now)?;
        let before = self.receipts_issued(&name.order).await?;
        let mut slots = (0..RECEIPTS_MAX).filter(|slot| !before.iter().any(|(taken, ..)| *taken == slot_name(*slot)));
        let lists = self.lists().await?;
        let mut credentials = Vec::with_capacity(making.batch.keys.len());
        for new in &making.batch.keys {
            // Two who come at once take the same one, and one of them looks again.
            let slot = slots.next().ok_or(IssueError::TooMany)?;
            let issued = self.placed(&making, new, lists, (now, expires_at), &mut writes).await?;
            credentials.push(self.credential(making.batch.format, new, &issued, &said)?);
            let record = ReceiptIssued {
                number: name.number.clone(),
                alias: new.alias.clone(),
                at: now,
                expires_at,
                arrived: false,
                revoked: false,
            };
            let key = receipt_key(&name.order, &slot_name(slot));
            writes.push(put(key, &record, Some(expires_at), Expect::Absent)?);
        }
        self.hand(&making, credentials, writes).await
    }

    /// A receipt in SD-JWT VC: each claim, each line, and each part of a line is shown by itself, but for receipts with very
    /// many of those.
    pub(super) fn receipt_vc(&self, new: &NewKey, issued: &IssuedRecord, receipt: &Receipt) -> Result<String, Error> {
        // What is issued was checked when it was made, and is checked once more: it is for ever.
        receipt.check()?;
        let (Value::Object(claims), Value::Object(plain)) = (
            receipt.to_json(),
            json!({
                "iss": self.issuer_id(),
                "vct": RECEIPT,
                "iat": issued.at,
                "exp": issued.expires_at,
                "cnf": {"jwk": new.key()?.to_jwk()},
                "status": {"status_list": {"idx": issued.index, "uri": self.status_uri(issued.list).as_str()}},
                "attestation_legal_category": "non-qualified-EAA",
            }),
        ) else {
            return Err(Error::Misuse("claims are no object".into()));
        };
        let key = self.0.keys.identity().key();
        let mut header = self.header("dc+sd-jwt");
        // Others know this shop by its address, and find the key there.
        header.insert("kid".to_owned(), json!(key.public_key().thumbprint().to_string()));
        let signed = self.concealed(&claims).sign(plain, &header, key);
        signed.map_err(|e| Error::Misuse(format!("the shop's key does not sign: {e}")))
    }

    fn concealed(&self, claims: &Map<String, Value>) -> Concealed {
        let mut salt = || self.random::<SALT_BYTES>();
        let fine = Concealed::new(claims, Hash::Sha256, 0, &mut salt);
        if fine.parts() <= PARTS_MAX { fine } else { Concealed::down_to(LEVELS, claims, Hash::Sha256, &mut salt) }
    }

    /// A wallet said what became of a receipt.
    pub(super) async fn receipt_notified(&self, name: &ReceiptName, alias: &Alias, event: Event) -> Result<(), Error> {
        match event {
            Event::Accepted => {
                self.receipt_changed(&name.order, alias, |it| ReceiptIssued { arrived: true, ..it }).await
            }
            // The wallet has it no more, or never had it: whoever shows it is somebody else.
            Event::Deleted | Event::Failure => {
                self.receipt_changed(&name.order, alias, |it| ReceiptIssued { revoked: true, ..it }).await
            }
        }
    }

    /// Changes what is known of a credential of a receipt; one that is revoked says so in its list. Done before is done.
    async fn receipt_changed(
        &self,
        order: &OrderId,
        alias: &Alias,
        change: impl Fn(ReceiptIssued) -> ReceiptIssued,
    ) -> Result<(), Error> {
        for _ in 0..RACES_MAX {
            let found = self.receipts_issued(order).await?.into_iter().find(|(_, one, _)| one.alias == *alias);
            let Some((slot, was, version)) = found else { return Ok(()) };
            let is = change(was.clone());
            if is == was {
                return Ok(());
            }
            let mut writes = vec![put(receipt_key(order, &slot), &is, Some(is.expires_at), Expect::Version(version))?];
            if is.revoked && !was.revoked {
                let issued = self.load_one(&issued_key(alias)).await?;
                writes.extend(issued.map(|issued| revocation(&issued.read::<IssuedRecord>()?)).transpose()?);
            }
            match self.0.store.commit(&writes, self.now()).await {
                Err(e) if lost_the_race(&e) => {}
                Err(e) => return Err(e.into()),
                Ok(_) => {
                    self.lists_changed();
                    return Ok(());
                }
            }
        }
        Err(too_often())
    }
}

impl Order {
    /// Offers a receipt of this order to a wallet, by its number: one wallet, within five minutes, with six digits that are
    /// typed from the page. Whoever calls this has made sure that the page is shown to whoever may see the order: its
    /// customer ([`Recognised::order`](crate::merchant::Recognised::order)), or a guest with its link
    /// ([`Merchant::guest_order`]).
    ///
    /// # Errors
    /// [`Error::Receipt`] if there is none, as [`Order::receipts`]; [`Refusal::NoSuchReceipt`](crate::error::Refusal::NoSuchReceipt) for another number;
    /// [`IssueError::NotIssuing`]; [`IssueError::TooMany`] if wallets have 32 credentials of this order.
    pub async fn offer_receipt(&self, number: &str) -> Result<CredentialOffer, Error> {
        let merchant = self.merchant();
        merchant.issuing()?;
        let name = ReceiptName { order: self.id().clone(), number: number.to_owned() };
        merchant.receipt_named(&name).await?;
        let issued = merchant.receipts_issued(self.id()).await?.len();
        if issued >= usize::try_from(RECEIPTS_MAX).unwrap_or(usize::MAX) {
            return Err(IssueError::TooMany.into());
        }
        let (offer, write) = merchant.new_offer(None, Some(name))?;
        merchant.0.store.commit(&[write], merchant.now()).await?;
        Ok(offer)
    }

    /// The credentials that wallets have of this order's receipts.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn receipts_in_wallets(&self) -> Result<Vec<ReceiptView>, Error> {
        let view = |(_, one, _): (_, ReceiptIssued, _)| ReceiptView {
            number: one.number,
            since: one.at,
            expires_at: one.expires_at,
            arrived: one.arrived,
            revoked: one.revoked,
        };
        Ok(self.merchant().receipts_issued(self.id()).await?.into_iter().map(view).collect())
    }

    /// Revokes all credentials of a receipt, for good: for one that was wrong. Money that goes back revokes nothing: it has a
    /// receipt of its own. Says how many were revoked.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn revoke_receipt(&self, number: &str) -> Result<usize, Error> {
        let merchant = self.merchant();
        let mut count = 0;
        for (_, one, _) in merchant.receipts_issued(self.id()).await? {
            if one.number == number && !one.revoked {
                let revoked = |it| ReceiptIssued { revoked: true, ..it };
                merchant.receipt_changed(self.id(), &one.alias, revoked).await?;
                count += 1;
            }
        }
        Ok(count)
    }
}

/// A place beside the order: the record must not be there yet, so that there are never more than so many.
fn slot_name(slot: u32) -> String {
    format!("{slot:03}")
}

fn receipt_key(order: &OrderId, slot: &str) -> Key {
    Key::new(ReceiptIssued::KIND, order.as_str(), slot)
}
