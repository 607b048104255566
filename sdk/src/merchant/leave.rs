//! Leaving: everything that the shop has of a customer, to take along, and what stays behind when they are forgotten.

mod sold;

use serde::Serialize;

pub use self::sold::{
    ExportedAdjustment, ExportedCheckout, ExportedLine, ExportedOrder, ExportedParcel, ExportedPart, ExportedWish,
    ExportedWithdrawal,
};
use super::{Merchant, held::Act, recognise::Recognised, sell::customer_orders};
use crate::{
    customer::{Alias, CustomerId, Kept, Rung},
    error::Error,
    history::HistoryEntry,
    merchant::BrowserProof,
    store::SCAN_MAX,
};

/// Everything that the shop has of a customer, in the shape of [`Export::SCHEMA`]. Times are RFC 3339, amounts are
/// decimal text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Export {
    /// The address of the schema, `{mount}/export.v1.json` in the shop.
    #[serde(rename = "$schema")]
    pub schema: String,
    /// The shop, by its address.
    pub shop: String,
    /// When it was taken.
    pub exported_at: String,
    /// The customer's name in this shop.
    pub customer: CustomerId,
    /// Since when.
    pub since: String,
    /// Names of theirs from before two records became one.
    pub formerly: Vec<CustomerId>,
    /// What they are recognised by.
    pub bindings: Vec<ExportedBinding>,
    /// More of those that are relationship credentials.
    pub credentials: Vec<ExportedCredential>,
    /// More of those that are passkeys, in a shop that takes them.
    pub passkeys: Vec<ExportedPasskey>,
    /// The sessions that are open.
    pub sessions: Vec<ExportedSession>,
    /// Accounts of before that they brought along.
    pub accounts: Vec<ExportedAccount>,
    /// What they proved.
    pub proofs: Vec<ExportedProof>,
    /// What is kept of them, in clear.
    pub kept: Vec<ExportedValue>,
    /// Their orders, the newest first, with what was sent, changed and withdrawn from.
    pub orders: Vec<ExportedOrder>,
    /// Their checkouts that are kept yet: a day at the longest.
    pub checkouts: Vec<ExportedCheckout>,
    /// What happened to their record, the newest first: the last hundred entries.
    pub history: Vec<ExportedEntry>,
}

/// A way to be recognised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedBinding {
    /// How strong it is.
    pub rung: Rung,
    /// Its key as a DID.
    pub did: Option<String>,
    /// Since when.
    pub since: String,
    /// What the customer calls it.
    pub label: Option<String>,
    /// Whether it opens nothing any more.
    pub locked: bool,
}

/// A relationship credential that the shop gave to a wallet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedCredential {
    /// The only thing that it says of its holder.
    pub alias: Alias,
    /// Since when.
    pub since: String,
    /// Until when.
    pub expires_at: String,
    /// Whether it is known to have arrived.
    pub confirmed: bool,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A passkey, as the shop knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedPasskey {
    /// What the customer calls it.
    pub label: Option<String>,
    /// Since when.
    pub since: String,
    /// When it was used the last time.
    pub used_at: Option<String>,
    /// Whether its platform may copy it to other devices.
    pub synced: bool,
}

/// A session that is open.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedSession {
    /// The key that it belongs to, as a DID.
    pub did: String,
    /// What the customer calls its device.
    pub label: Option<String>,
    /// How surely they were recognised in it.
    pub rung: Rung,
    /// When it began.
    pub since: String,
    /// When it was last seen, to five minutes.
    pub last_seen: String,
    /// When it ends if it is not used again.
    pub expires_at: String,
    /// Whether it began by a wallet on another device.
    pub across_devices: bool,
    /// Whether a cookie carries it.
    pub cookie: bool,
}

/// An account of before that the customer brought along.
#[derive(Clone, PartialEq, Serialize)]
pub struct ExportedAccount {
    /// Where they used to sign in.
    pub provider: String,
    /// What the shop calls the account.
    pub reference: String,
    /// When it was linked.
    pub linked_at: String,
}

/// Something that was proved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedProof {
    /// The ask.
    pub ask: String,
    /// Why it was asked.
    pub purpose: String,
    /// What it established.
    pub outcome: String,
    /// When.
    pub at: String,
}

/// A value that is kept.
#[derive(Clone, PartialEq, Serialize)]
pub struct ExportedValue {
    /// The claim.
    pub claim: String,
    /// Why it is kept.
    pub purpose: String,
    /// Until when.
    pub until: String,
    /// The value.
    pub value: serde_json::Value,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedEntry {
    /// When.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub what: crate::history::Happened,
    /// What the customer calls the device that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// What stays in the shop of a customer who was forgotten, and why: to be told to them.
///
/// Beside it, the log of the desks keeps for a year which operator asked for which name: the name is random, and leads to
/// nobody any more ([`Merchant::desk_log`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Farewell {
    /// Orders, without anything that leads to the customer, for as long as the law has books kept. Their delivery address
    /// stays sealed beside them for [`Limits::delivery_kept_s`](crate::limits::Limits::delivery_kept_s), to deliver and to
    /// take goods back.
    pub orders: usize,
}

impl Export {
    /// The shape of an export, a JSON Schema (draft 2020-12).
    pub const SCHEMA: &'static str = include_str!("export.v1.json");
}

impl std::fmt::Debug for ExportedValue {
    /// Without the value, which is the customer's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportedValue").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ExportedAccount {
    /// Without the reference, which is somebody's user name as often as not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportedAccount").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Recognised {
    /// Everything that the shop has of this customer: for them alone. The values are in clear.
    ///
    /// # Errors
    /// [`Refusal::StepUp`](crate::error::Refusal::StepUp) if the record has a strong binding that was not shown in the last
    /// minutes; [`Refusal::AcrossDevices`](crate::error::Refusal::AcrossDevices);
    /// [`Refusal::CoolingDown`](crate::error::Refusal::CoolingDown) after a recovery; [`Error::Unavailable`].
    pub async fn export(&self) -> Result<Export, Error> {
        let merchant = self.merchant();
        let customer = self.customer().await?;
        self.may(Act::Change).await?;
        let mut kept = Vec::new();
        let formerly: Vec<CustomerId> = customer.merged().iter().map(|merged| merged.customer.clone()).collect();
        for name in formerly.iter().chain([self.id()]) {
            for (_, one) in merchant.walk::<Kept>(name).await? {
                let Kept { claim, purpose, until, .. } = one;
                let Some(value) = merchant.kept_value(name, &claim).await? else { continue };
                kept.push(ExportedValue { claim, purpose, until: until.to_string(), value });
            }
        }
        let bindings = customer.bindings().await?.into_iter().map(|view| ExportedBinding {
            rung: view.rung,
            did: view.did,
            since: view.since.to_string(),
            label: view.label,
            locked: view.locked,
        });
        #[cfg(feature = "passkey")]
        let passkeys = customer.passkeys().await?.into_iter().map(|view| ExportedPasskey {
            label: view.label,
            since: view.since.to_string(),
            used_at: view.used_at.map(|at| at.to_string()),
            synced: view.is_synced,
        });
        #[cfg(not(feature = "passkey"))]
        let passkeys = std::iter::empty();
        let sessions = customer.sessions().await?.into_iter().map(|view| ExportedSession {
            did: view.did,
            label: view.name,
            rung: view.rung,
            since: view.since.to_string(),
            last_seen: view.last_seen.to_string(),
            expires_at: view.expires_at.to_string(),
            across_devices: view.across_devices,
            cookie: view.cookie,
        });
        let accounts = customer.accounts().await?.into_iter().map(|account| ExportedAccount {
            provider: account.provider,
            reference: account.reference,
            linked_at: account.linked_at.to_string(),
        });
        let proofs = customer.proofs().iter().map(|proof| ExportedProof {
            ask: proof.ask.clone(),
            purpose: proof.purpose.clone(),
            outcome: proof.outcome.to_string(),
            at: proof.at.to_string(),
        });
        let credentials = customer.credentials().await?.into_iter().map(|credential| ExportedCredential {
            alias: credential.alias,
            since: credential.since.to_string(),
            expires_at: credential.expires_at.to_string(),
            confirmed: credential.confirmed,
            revoked: credential.revoked,
        });
        let entry = |HistoryEntry { at, what, device }| ExportedEntry { at: at.to_string(), what, device };
        Ok(Export {
            schema: merchant.address("/export.v1.json").into(),
            shop: merchant.origin().as_str().trim_end_matches('/').to_owned(),
            exported_at: merchant.now().to_string(),
            customer: self.id().clone(),
            since: customer.since().to_string(),
            bindings: bindings.collect(),
            credentials: credentials.collect(),
            passkeys: passkeys.collect(),
            sessions: sessions.collect(),
            accounts: accounts.collect(),
            proofs: proofs.collect(),
            kept,
            orders: self.exported_orders().await?,
            checkouts: self.exported_checkouts().await?,
            history: customer.history().await?.into_iter().map(entry).collect(),
            formerly,
        })
    }

    /// Forgets the customer, and says what stays and why. The proof is used up in the same commit.
    ///
    /// # Errors
    /// [`Refusal::StepUp`](crate::error::Refusal::StepUp) if the record has a strong binding that was not shown in the last
    /// minutes; [`Refusal::CoolingDown`](crate::error::Refusal::CoolingDown) after a recovery;
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed) if the proof was used before; [`Error::Unavailable`]:
    /// begun and not finished, it can be called again.
    pub async fn leave(&self, proof: &BrowserProof) -> Result<Farewell, Error> {
        let farewell = self.merchant().farewell(self.id()).await?;
        self.end(super::Ending::Everything, proof).await?;
        Ok(farewell)
    }
}

impl Merchant {
    /// What would stay of a customer.
    pub(super) async fn farewell(&self, customer: &CustomerId) -> Result<Farewell, Error> {
        let Some((id, record, _)) = self.resolved(customer).await? else { return Ok(Farewell::default()) };
        let mut orders = 0;
        for name in record.merged.iter().map(|merged| &merged.customer).chain([&id]) {
            let mut after: Option<String> = None;
            loop {
                let page = self.0.store.scan(&customer_orders(name), after.as_deref(), SCAN_MAX, self.now()).await?;
                orders += page.len();
                after = page.last().map(|(key, _)| key.sort.clone());
                if page.len() < SCAN_MAX {
                    break;
                }
            }
        }
        Ok(Farewell { orders })
    }
}
