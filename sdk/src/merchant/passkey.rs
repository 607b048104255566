//! Passkeys: made and used on the customer's own device, in two steps each with the browser's ceremony in between.
//!
//! A passkey is discoverable: whoever signs in says nothing of who they are before, and the browser finds it by itself. Its
//! user handle is a name of its own, random, and in no other record's reach. A passkey that is synced is as strong as the
//! account of the platform that syncs it, and brings that platform with it: [`PasskeyView::is_synced`] says which are.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Customer, Merchant, RACES_MAX, SessionGrant,
    bind::{NewBinding, Shown},
    held::Act,
    lost_the_race,
    proof::was_spent,
    put,
    recognise::Recognised,
};
use crate::{
    customer::{BindingName, CustomerId, Rung, disturbs},
    error::{Error, ProofError, Refusal},
    history::Happened,
    merchant::BrowserProof,
    protocol::{
        jose::{base64url_encode, sha256},
        webauthn::{
            Assertion, CEREMONY_S, CHALLENGE_BYTES, CredentialRecord, Registration, RelyingParty, USER_HANDLE_BYTES,
            WebauthnError,
        },
    },
    store::{Expect, Key, Persisted, Write},
    time::UnixTime,
};

/// What seals a user handle to its ceremony.
const USER_HANDLE: &str = "passkey user handle";
/// Characters of what a customer calls a passkey.
const LABEL_CHARS_MAX: usize = 64;

/// A passkey, as its customer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyView {
    /// Its name among the customer's bindings.
    pub name: BindingName,
    /// What the customer calls it, most often the browser it was made in. The maker of the authenticator is never asked.
    pub label: Option<String>,
    /// Since when.
    pub since: UnixTime,
    /// When it was used the last time.
    pub used_at: Option<UnixTime>,
    /// Whether its platform may copy it to other devices: then whoever has the account there has the passkey.
    pub is_synced: bool,
    /// Whether it said, when it was last used, that it has been copied.
    pub is_backed_up: bool,
    /// Whether nothing else leads to the customer but keys that browsers keep: to be warned of before it is removed.
    pub is_only_way: bool,
}

/// What waits for a browser between the two steps, under its key and the digest of the challenge.
#[derive(Serialize, Deserialize)]
struct Ceremony {
    /// Whose passkey is made; of a sign-in, and of somebody new, nobody's.
    customer: Option<CustomerId>,
    /// Of a registration, the user handle, sealed.
    user_handle: Option<String>,
}

impl Persisted for Ceremony {
    const KIND: &'static str = "passkey_ceremony";
    const SCHEMA: u16 = 1;
}

/// A passkey as it is stored, under the name of its binding.
#[derive(Clone, Serialize, Deserialize)]
struct PasskeyRecord {
    credential: CredentialRecord,
    /// What it calls its customer, base64url.
    user_handle: String,
    used_at: Option<UnixTime>,
}

impl Persisted for PasskeyRecord {
    const KIND: &'static str = "passkey";
    const SCHEMA: u16 = 1;
}

impl Merchant {
    /// Begins to make a passkey for somebody who is not known: what
    /// `PublicKeyCredential.parseCreationOptionsFromJSON()` takes. Five minutes, this browser's key, one use.
    ///
    /// # Errors
    /// [`Refusal::BindingLocked`]; [`Refusal::NotKnown`] if the key is somebody's, who begins a session first;
    /// [`ProofError::Replayed`].
    pub async fn begin_passkey(&self, browser: &BrowserProof) -> Result<Value, Error> {
        match self.binding_of(browser).await? {
            Some((binding, _)) if binding.locked => return Err(Refusal::BindingLocked.into()),
            Some(_) => return Err(Refusal::NotKnown.into()),
            None => {}
        }
        self.begin_registration(browser, None, &[]).await
    }

    /// The passkey was made: a new customer begins with it. `response` is what the browser's credential says by
    /// `toJSON()`, `label` what the customer calls the passkey.
    ///
    /// # Errors
    /// [`Refusal::CeremonyOver`]; [`Error::Passkey`] with the check that failed; [`Refusal::Label`]; [`Refusal::BindingLocked`];
    /// [`Refusal::Overtaken`] if the key or the passkey is somebody's by now;
    /// [`ProofError::Replayed`].
    pub async fn finish_passkey(
        &self,
        browser: &BrowserProof,
        response: &Value,
        label: Option<&str>,
    ) -> Result<SessionGrant, Error> {
        let made = self.made(browser, response, label, None, &[]).await?;
        self.begin_with(browser, &made.binding, made.writes).await
    }

    /// Begins to sign somebody in by a passkey: what `PublicKeyCredential.parseRequestOptionsFromJSON()` takes, also for a
    /// form that fills in passkeys (`mediation: 'conditional'`). Five minutes, this browser's key, one use.
    ///
    /// # Errors
    /// [`ProofError::Replayed`]; [`Error::Unavailable`].
    pub async fn begin_passkey_sign_in(&self, browser: &BrowserProof) -> Result<Value, Error> {
        let shop = self.relying_party()?;
        let challenge: [u8; CHALLENGE_BYTES] = self.random();
        let ceremony = Ceremony { customer: None, user_handle: None };
        self.await_ceremony(browser, &challenge, &ceremony).await?;
        Ok(shop.request_options(&challenge))
    }

    /// A passkey was used: a session of its customer for this browser, of rung passkey as of now. Within a session of
    /// that customer it is a step-up.
    ///
    /// A counter that did not grow is refused and written into the customer's history. The passkey stays usable: two tabs
    /// that finish out of order look the same as a copy, and whoever has a copy could otherwise lock the customer out.
    /// Passkeys that are synced count nothing, so no copy of theirs shows.
    ///
    /// # Errors
    /// [`Refusal::CeremonyOver`]; [`Refusal::NotRecognised`] if the passkey is nobody's, or not any more;
    /// [`Error::Passkey`] with the check that failed; [`Refusal::AnotherCustomer`] if the browser's key is another
    /// customer's; [`ProofError::Replayed`].
    pub async fn finish_passkey_sign_in(
        &self,
        browser: &BrowserProof,
        response: &Value,
    ) -> Result<SessionGrant, Error> {
        let assertion = Assertion::read(response, &self.0.limits)?;
        for _ in 0..RACES_MAX {
            match self.try_passkey_sign_in(browser, &assertion).await {
                // The same passkey was used elsewhere at this moment, or this very answer was sent twice.
                Err(Error::Refused(Refusal::Overtaken)) => {}
                other => return other,
            }
        }
        Err(Error::Unavailable { seam: "the store", source: "the same passkey is used too often".into() })
    }

    async fn try_passkey_sign_in(&self, browser: &BrowserProof, assertion: &Assertion) -> Result<SessionGrant, Error> {
        let (ceremony, over) = self.ceremony(browser, assertion.challenge()).await?;
        // What was made to register a passkey signs nobody in.
        if ceremony.user_handle.is_some() {
            return Err(Refusal::CeremonyOver.into());
        }
        let name = name_of(assertion.credential_id());
        let key = passkey_key(&name);
        let stored = self.load_one(&key).await?.ok_or(Refusal::NotRecognised)?;
        let passkey: PasskeyRecord = stored.read()?;
        let shop = self.relying_party()?;
        let checked = shop.check_assertion(assertion.challenge(), assertion, &passkey.credential, &passkey.user_handle);
        let credential = match checked {
            Err(WebauthnError::Counter) => {
                self.refuse_copy(browser, &name, over).await?;
                return Err(WebauthnError::Counter.into());
            }
            checked => checked?,
        };
        let used = PasskeyRecord { credential, used_at: Some(self.now()), ..passkey };
        let extra = vec![over, put(key, &used, None, Expect::Version(stored.version))?];
        let shown = Shown { name, rung: Rung::Passkey, did: None };
        self.enter(browser, &shown, extra).await
    }

    /// Writes into the history that a passkey may have a copy, and ends the ceremony.
    async fn refuse_copy(&self, browser: &BrowserProof, name: &BindingName, over: Write) -> Result<(), Error> {
        let now = self.now();
        let Some((binding, _)) = self.binding(name).await? else { return Ok(()) };
        let note = self.note_device(&binding.customer, Happened::PasskeyCloned, binding.name)?;
        match self.0.store.commit(&[over, note, browser.spent(now)?], now).await {
            Ok(_) => Ok(()),
            Err(e) if was_spent(&e) => Err(ProofError::Replayed.into()),
            // The same answer came twice at once, and the other one was heard: this is no copy.
            Err(e) if lost_the_race(&e) => Err(Refusal::CeremonyOver.into()),
            Err(e) => Err(e.into()),
        }
    }

    async fn begin_registration(
        &self,
        browser: &BrowserProof,
        customer: Option<&CustomerId>,
        known: &[PasskeyRecord],
    ) -> Result<Value, Error> {
        let shop = self.relying_party()?;
        let challenge: [u8; CHALLENGE_BYTES] = self.random();
        // One handle for all passkeys of a customer: an authenticator then shows one account of this shop, not several.
        let drawn: [u8; USER_HANDLE_BYTES] = self.random();
        let user_handle = known.first().map_or_else(|| base64url_encode(&drawn), |passkey| passkey.user_handle.clone());
        let key = ceremony_key(browser, &challenge);
        let sealed = self.seal(USER_HANDLE, &key, user_handle.as_bytes());
        let ceremony = Ceremony { customer: customer.cloned(), user_handle: Some(sealed) };
        self.await_ceremony(browser, &challenge, &ceremony).await?;
        let known: Vec<_> = known.iter().map(|passkey| passkey.credential.clone()).collect();
        Ok(shop.creation_options(&challenge, &user_handle, &known))
    }

    async fn await_ceremony(
        &self,
        browser: &BrowserProof,
        challenge: &[u8; CHALLENGE_BYTES],
        ceremony: &Ceremony,
    ) -> Result<(), Error> {
        let now = self.now();
        let key = ceremony_key(browser, challenge);
        let writes = [put(key, ceremony, Some(now.plus_s(CEREMONY_S)), Expect::Absent)?, browser.spent(now)?];
        self.commit_plain(&writes, now).await
    }

    /// The ceremony of this browser that waits for the answer to a challenge, and the write that ends it.
    async fn ceremony(&self, browser: &BrowserProof, challenge: &[u8]) -> Result<(Ceremony, Write), Error> {
        let key = ceremony_key(browser, challenge);
        let stored = self.load_one(&key).await?.ok_or(Refusal::CeremonyOver)?;
        Ok((stored.read()?, Write::delete(key, Expect::Version(stored.version))))
    }

    /// Checks a new passkey, for whom its ceremony was begun.
    async fn made(
        &self,
        browser: &BrowserProof,
        response: &Value,
        label: Option<&str>,
        customer: Option<&CustomerId>,
        known: &[PasskeyRecord],
    ) -> Result<Made, Error> {
        let label = label.map(labelled).transpose()?.flatten();
        let registration = Registration::read(response, &self.0.limits)?;
        let (ceremony, over) = self.ceremony(browser, registration.challenge()).await?;
        let sealed = ceremony.user_handle.filter(|_| ceremony.customer.as_ref() == customer);
        let sealed = sealed.ok_or(Refusal::CeremonyOver)?;
        let user_handle = self.open(USER_HANDLE, &ceremony_key(browser, registration.challenge()), &sealed)?;
        let user_handle = std::str::from_utf8(&user_handle).map_err(|_| Refusal::CeremonyOver)?.to_owned();
        let known: Vec<_> = known.iter().map(|passkey| passkey.credential.clone()).collect();
        let credential = self.relying_party()?.check_registration(registration.challenge(), &registration, &known)?;
        let name = name_of(&credential.id());
        let did = credential.did().map(|did| did.to_string());
        let passkey = PasskeyRecord { credential, user_handle, used_at: None };
        // A credential id that is somebody's already is refused (WebAuthn Level 3, 7.1, step 26).
        let writes = vec![over, put(passkey_key(&name), &passkey, None, Expect::Absent)?];
        Ok(Made { binding: NewBinding { name, rung: Rung::Passkey, did, label, expires_at: None }, writes })
    }

    fn relying_party(&self) -> Result<RelyingParty, Error> {
        let origin = self.origin();
        // WebAuthn Level 3, 5.1.2: browsers refuse addresses.
        if origin.domain().is_none() {
            return Err(Error::Misuse(format!("passkeys need a host name, and {origin} is an address")));
        }
        Ok(RelyingParty::new(origin))
    }

    async fn passkeys_of(&self, customer: &Customer) -> Result<Vec<(PasskeyView, PasskeyRecord)>, Error> {
        let bindings = customer.bindings().await?;
        let leads_back = |name: &BindingName| {
            bindings.iter().any(|other| other.name != *name && other.rung != Rung::BrowserKey && !other.locked)
        };
        let mut found = Vec::new();
        for binding in bindings.iter().filter(|binding| binding.rung == Rung::Passkey) {
            let Some(stored) = self.load_one(&passkey_key(&binding.name)).await? else { continue };
            let record: PasskeyRecord = stored.read()?;
            let view = PasskeyView {
                name: binding.name.clone(),
                label: binding.label.clone(),
                since: binding.since,
                used_at: record.used_at,
                is_synced: record.credential.is_backup_eligible(),
                is_backed_up: record.credential.is_backed_up(),
                is_only_way: !leads_back(&binding.name),
            };
            found.push((view, record));
        }
        found.sort_by_key(|(view, _)| view.since);
        Ok(found)
    }
}

impl Customer {
    /// The customer's passkeys, the oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn passkeys(&self) -> Result<Vec<PasskeyView>, Error> {
        Ok(self.merchant().passkeys_of(self).await?.into_iter().map(|(view, _)| view).collect())
    }
}

impl Recognised {
    /// Begins to add a passkey to this customer: what `PublicKeyCredential.parseCreationOptionsFromJSON()` takes. Five
    /// minutes, this browser's key, one use.
    ///
    /// # Errors
    /// [`Refusal::StepUp`] if the record has something stronger than a browser's key that was not shown in the last
    /// minutes; [`ProofError::Replayed`]; [`Error::Misuse`] if the shop's origin is an
    /// address and no name.
    pub async fn begin_passkey(&self, proof: &BrowserProof) -> Result<Value, Error> {
        let (_, known) = self.passkeys().await?;
        self.may(Act::Add(Rung::Passkey)).await?;
        self.merchant().begin_registration(proof, Some(self.id()), &known).await
    }

    /// The passkey was made, and is this customer's. `response` is what the browser's credential says by `toJSON()`,
    /// `label` what the customer calls the passkey.
    ///
    /// # Errors
    /// [`Refusal::CeremonyOver`]; [`Error::Passkey`] with the check that failed; [`Refusal::Label`]; [`Refusal::StepUp`];
    /// [`Refusal::TooManyBindings`]; [`Refusal::Overtaken`] if the passkey is somebody's already;
    /// [`ProofError::Replayed`].
    pub async fn finish_passkey(
        &self,
        proof: &BrowserProof,
        response: &Value,
        label: Option<&str>,
    ) -> Result<PasskeyView, Error> {
        let (_, known) = self.passkeys().await?;
        let merchant = self.merchant();
        let made = merchant.made(proof, response, label, Some(self.id()), &known).await?;
        self.bind(proof, &made.binding, made.writes).await?;
        let passkeys = self.customer().await?.passkeys().await?;
        Ok(passkeys.into_iter().find(|view| view.name == made.binding.name).ok_or(Refusal::NoSuchBinding)?)
    }

    /// Takes a passkey away. The only way to the record may go as well ([`PasskeyView::is_only_way`]). The authenticator
    /// keeps its half; a browser that can be told (`PublicKeyCredential.signalUnknownCredential`) hides it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBinding`]; [`Refusal::StepUp`] if no strong way in was shown in the last minutes;
    /// [`ProofError::Replayed`].
    pub async fn remove_passkey(&self, proof: &BrowserProof, name: &str) -> Result<(), Error> {
        let passkeys = self.customer().await?.passkeys().await?;
        let view = passkeys.into_iter().find(|view| view.name.as_str() == name).ok_or(Refusal::NoSuchBinding)?;
        self.unbind(proof, &view.name).await
    }

    async fn passkeys(&self) -> Result<(Customer, Vec<PasskeyRecord>), Error> {
        let customer = self.customer().await?;
        let known = self.merchant().passkeys_of(&customer).await?.into_iter().map(|(_, record)| record).collect();
        Ok((customer, known))
    }
}

/// A passkey that was checked, and the writes that belong to its binding.
struct Made {
    binding: NewBinding,
    writes: Vec<Write>,
}

fn ceremony_key(browser: &BrowserProof, challenge: &[u8]) -> Key {
    Key::new(Ceremony::KIND, browser.key_name(), base64url_encode(&sha256(challenge)))
}

/// As [`passkey_of`](super::bind::passkey_of) finds it.
fn passkey_key(name: &BindingName) -> Key {
    Key::new(PasskeyRecord::KIND, name.as_str(), "")
}

fn name_of(credential_id: &[u8]) -> BindingName {
    BindingName::passkey(sha256(credential_id))
}

/// What a customer calls a passkey: a line of text that says nothing of what stands beside it.
fn labelled(text: &str) -> Result<Option<String>, Refusal> {
    let text = text.trim();
    if text.chars().count() > LABEL_CHARS_MAX || text.contains(disturbs) {
        return Err(Refusal::Label(LABEL_CHARS_MAX));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passkey_has_a_name_that_says_nothing_of_what_stands_beside_it() {
        assert!(matches!(labelled(" Firefox on Android "), Ok(Some(name)) if name == "Firefox on Android"));
        assert!(matches!(labelled(" "), Ok(None)));
        for bad in ["\u{202e}evil", "a\u{2066}b", "a\u{2028}b", "a\nb", &"x".repeat(LABEL_CHARS_MAX + 1)] {
            assert!(matches!(labelled(bad), Err(Refusal::Label(_))), "{bad:?}");
        }
    }
}
