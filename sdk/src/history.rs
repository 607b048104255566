//! What happened to a customer's record, for the customer to read: who came in by what, what was added, taken away, joined
//! and recovered. It is how somebody notices that a stranger was here.
//!
//! An entry names acts and rungs, and what the customer called their own devices. It holds no claim, no key and no secret.

use serde::{Deserialize, Serialize};

use crate::{
    customer::{CustomerId, Rung},
    store::Persisted,
    time::UnixTime,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: UnixTime,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
    /// What the customer calls the device or binding that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happened {
    /// The record began.
    Began {
        /// By what.
        rung: Rung,
    },
    /// The customer was recognised by something else than a browser's key that was known.
    Recognised {
        /// By what.
        rung: Rung,
    },
    /// A browser that was not known became one of theirs.
    DeviceAdded {
        /// By what.
        rung: Rung,
    },
    /// A browser joined that another one of theirs vouched for.
    DeviceVouched,
    /// A credential of theirs was shown to a browser that was not theirs, by a code between two devices. That browser was
    /// told nothing.
    ShownAcrossDevices,
    /// A way to be recognised was added.
    BindingAdded {
        /// Which.
        rung: Rung,
    },
    /// A way to be recognised was taken away.
    BindingRemoved {
        /// Which.
        rung: Rung,
    },
    /// A passkey was shown whose counter went back, as that of a copy does: it was refused.
    PasskeyCloned,
    /// A relationship credential was shown with a key that it was not seen with before, as after a re-issue or on a new
    /// phone.
    CredentialNewKey,
    /// A relationship credential was put on offer to a wallet.
    CredentialOffered,
    /// A wallet took a relationship credential.
    CredentialIssued,
    /// A wallet said that it holds the credential.
    CredentialAccepted,
    /// A wallet said that it deleted the credential.
    CredentialDeleted,
    /// A relationship credential was revoked.
    CredentialRevoked,
    /// A DID took the place of another one.
    DidReplaced,
    /// The shop took a new DID for this customer.
    ShopDidReplaced,
    /// Somebody came back by a recovery code: all sessions ended, and what spends waits.
    Recovered,
    /// A recovery was undone by whoever had a stronger way in.
    RecoveryUndone,
    /// A recovery code was made; an earlier one is void.
    RecoveryCodeMade,
    /// The shop's staff handed out a recovery code.
    RecoveryCodeHandedOut,
    /// A session, or all of them, was ended.
    SessionsEnded,
    /// Another record turned out to be the same customer.
    Merged {
        /// Its name.
        from: CustomerId,
    },
    /// Two records were taken apart again.
    MergeUndone {
        /// The name of the other.
        from: CustomerId,
    },
    /// An account of before was joined to this record.
    AccountLinked {
        /// Where the customer used to sign in.
        provider: String,
    },
    /// The customer proved themselves on the telephone or at the till.
    DeskRecognised {
        /// The name of the desk.
        desk: String,
    },
    /// The customer said no to somebody who asked them to prove themselves.
    DeskRefused {
        /// The name of the desk.
        desk: String,
    },
}

impl Persisted for HistoryEntry {
    const KIND: &'static str = "history";
    const SCHEMA: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_flat_and_is_read_as_it_is_written() {
        let entry = HistoryEntry {
            at: UnixTime::from_secs(1_795_000_000),
            what: Happened::DeviceAdded { rung: Rung::Passkey },
            device: Some("Firefox on Android".into()),
        };
        let text = serde_json::to_value(&entry).unwrap();
        assert_eq!(
            text,
            serde_json::json!({
                "at": 1_795_000_000, "what": "device_added", "rung": "passkey", "device": "Firefox on Android",
            })
        );
        assert_eq!(serde_json::from_value::<HistoryEntry>(text).unwrap(), entry);
    }
}
