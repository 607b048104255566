//! DIDs both ways: who the shop is towards everybody and towards one customer, and customers who come with a DID of their
//! own.
//!
//! The public identity is the did:web of the origin. The pairwise one is a [`ShopDid`] for each customer. What ties them
//! together is signed by both and given to that customer alone ([`Merchant::relationship_statement`]): nobody else can
//! tell that a pairwise DID is this shop's, and no list of them is published.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    BrowserProof, Merchant, RACES_MAX, Recognised, SessionGrant,
    bind::{BindingEntry, NewBinding, Races, Shown, binding_entry},
    customer_key,
    held::Act,
    lost_the_race,
    proof::{IAT_FUTURE_S, IAT_PAST_S},
    put,
    recognise::{Fate, binding_key},
};
use crate::{
    customer::{Binding, BindingName, CustomerId, CustomerRecord, Rung},
    error::{Error, Refusal},
    history::Happened,
    pairwise::{self, Pairwise, ShopDid, ShopDidOf, ShopDidRecord},
    protocol::{
        did::{
            Did, DidDocument, DidError, Relationship,
            proof::{DidProof, DidProofError, Expected, Purpose, UnverifiedProof},
        },
        jose::{JoseError, sha256},
    },
    store::{Expect, Key, Persisted, Prefix, StoreError, Stored, Version, Write},
};

/// The `typ` of what a customer is given: by the pairwise DID, for the browser's key.
pub const STATEMENT_TYPE: &str = "firsthand-relationship+jwt";
/// The `typ` of the public identity's part in it.
pub const ENDORSEMENT_TYPE: &str = "firsthand-relationship-endorsement+jwt";

/// How many earlier DIDs speak for the current one in a statement: whoever has missed more rotations sees a new shop.
const PRIORS_MAX: usize = 4;

/// The shop's DID for a customer, and what says whose it is. Both go to that customer alone.
#[derive(Clone)]
pub struct RelationshipStatement {
    /// The DID in its long form.
    pub did: Did,
    /// A JWT by `#key-1` of the DID, see [`Merchant::relationship_statement`].
    pub statement: String,
}

impl std::fmt::Debug for RelationshipStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RelationshipStatement([redacted])")
    }
}

/// A new DID of the shop for a customer, after a rotation.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The new DID.
    pub did: ShopDid,
    /// That the old one goes by the new one, signed by the old one ([`ShopDid::from_prior`]).
    pub from_prior: String,
}

/// A DID that the shop once gave out.
#[derive(Clone, Debug)]
pub struct OwnDid {
    /// The DID, with its key.
    pub did: ShopDid,
    /// The customer it leads to by now.
    pub customer: CustomerId,
    /// Whether it is the one that they are given now.
    pub is_current: bool,
}

/// That a binding of a customer was replaced: the sort key is its name, under which the tombstone is.
#[derive(Serialize, Deserialize)]
pub(super) struct Replaced {}

impl Persisted for Replaced {
    const KIND: &'static str = "replaced_binding";
    const SCHEMA: u16 = 1;
}

impl Merchant {
    /// Who the shop is towards everybody: the did:web of its origin.
    #[must_use]
    pub fn public_did(&self) -> Did {
        Did::web(self.0.origin.host_str().unwrap_or_default(), self.0.origin.port())
    }

    /// The document of the public DID, served at `/.well-known/did.json`: the keys of the current identity and of the
    /// previous ones, each under its thumbprint, all of which sign statements. It names the did:webvh of the shop, if that
    /// has one.
    #[must_use]
    pub fn public_document(&self) -> DidDocument {
        let mut document = DidDocument::empty(self.public_did());
        if let Some((webvh, _)) = &self.0.public_log {
            document = document.also_called(webvh);
        }
        for identity in self.0.keys.identities() {
            let (key, fragment) = (identity.key().public_key(), identity.key().public_key().thumbprint().to_string());
            // A renewed certificate is of the same key.
            if document.methods().iter().all(|method| method.fragment() != fragment) {
                let relationships = [Relationship::Authentication, Relationship::AssertionMethod];
                document = document.with_key(&fragment, key, &relationships);
            }
        }
        document
    }

    /// The log of the shop's did:webvh, served at `/.well-known/did.jsonl`: if the builder was given one (feature `webvh`).
    #[must_use]
    pub fn public_log(&self) -> Option<&str> {
        self.0.public_log.as_ref().map(|(_, log)| log.as_str())
    }

    /// Who the shop is towards one customer: the same DID every time, until it is [rotated](Self::rotate_shop_did). It is
    /// made when it is needed first.
    ///
    /// If the root secret that it was made under is no longer in the keys file, the customer gets another DID, which
    /// nothing ties to the one they hold: keep root secrets.
    ///
    /// # Errors
    /// [`Refusal::NotRecognised`] if there is no such customer; [`Error::Unavailable`] if the store does not answer.
    pub async fn shop_did(&self, customer: &CustomerId) -> Result<ShopDid, Error> {
        Ok(self.current_shop_did(customer).await?.2)
    }

    /// Takes a new DID for one customer. The old one goes on leading to them, and says itself that the new one took its
    /// place.
    ///
    /// # Errors
    /// As [`shop_did`](Self::shop_did).
    pub async fn rotate_shop_did(&self, customer: &CustomerId) -> Result<Rotation, Error> {
        for _ in 0..RACES_MAX {
            let (customer, _, old) = self.current_shop_did(customer).await?;
            let (_, _, version) = self.resolved(&customer).await?.ok_or(Refusal::NotRecognised)?;
            let (did, mut writes) = self.new_shop_did(&customer, old.epoch().saturating_add(1), version)?;
            writes.push(self.note(&customer, Happened::ShopDidReplaced)?);
            match self.0.store.commit(&writes, self.now()).await {
                Err(error) if lost_the_race(&error) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    let from_prior = old.from_prior(&did, self.now()).map_err(unsigned)?;
                    return Ok(Rotation { did, from_prior });
                }
            }
        }
        Err(too_many_races())
    }

    /// The customer whom a DID of the shop was given to, however long ago, by its short or long form. None if it is no DID
    /// of the shop's, or leads to nobody any more.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the root secret it was made under is no longer in the keys file; [`Error::Unavailable`] if the
    /// store does not answer.
    pub async fn own_did(&self, did: &str) -> Result<Option<OwnDid>, Error> {
        let limits = &self.0.limits;
        let Ok(did) = Did::parse(did, limits) else { return Ok(None) };
        // A long form counts only if it is what its hash says.
        let short = match did.is_short_form() {
            true => did,
            false => match did.resolve(None, limits) {
                Ok(document) => document.name().clone(),
                Err(_) => return Ok(None),
            },
        };
        let Some(index) = self.load_one(&index_key(short.as_str())).await? else { return Ok(None) };
        let of: ShopDidOf = index.read()?;
        let given = self.given(&of.customer, of.epoch).await?;
        let Some(record) = given.first().filter(|record| record.epoch == of.epoch) else { return Ok(None) };
        let Some((customer, ..)) = self.resolved(&of.customer).await? else { return Ok(None) };
        let latest = self.given(&of.customer, u32::MAX).await?;
        let is_current = customer == of.customer && latest.first().is_some_and(|latest| latest.epoch == of.epoch);
        let did = self.remade(&of.customer, record)?.ok_or_else(|| {
            Error::Misuse("a DID of the shop was made under a root secret that is no longer in the keys file".into())
        })?;
        Ok(Some(OwnDid { did, customer, is_current }))
    }

    /// What the customer is told of who the shop is: its DID for them, and a JWT ([`STATEMENT_TYPE`]) by `#key-1` of that
    /// DID, for the browser's key and the request that asked for it.
    ///
    /// | claim | is |
    /// |---|---|
    /// | `iss` | the DID in its long form |
    /// | `sub`, `aud` | the browser's key as a DID: whom it is said of, and to |
    /// | `cnf.jkt` | the key's thumbprint |
    /// | `iat` | when |
    /// | `nonce` | the `jti` of the request's proof: an older statement answers another request |
    /// | `public` | the shop's did:web |
    /// | `endorsement` | a JWT ([`ENDORSEMENT_TYPE`]) by a key that the public DID lists under `assertionMethod`: `iss` the public DID, `sub` the pairwise one in its short form, `aud`, `iat` and `nonce` as here |
    /// | `from_prior` | where the customer had other DIDs of the shop before: what each of them says of this one ([`ShopDid::from_prior`]) |
    ///
    /// A browser that keeps the DID of its first visit knows the shop again by it, whatever the name in the address bar.
    ///
    /// # Errors
    /// As [`shop_did`](Self::shop_did).
    pub async fn relationship_statement(
        &self,
        browser: &BrowserProof,
        customer: &CustomerId,
    ) -> Result<RelationshipStatement, Error> {
        let (customer, record, did) = self.current_shop_did(customer).await?;
        let (now, audience, public) = (self.now(), browser.did(), self.public_did());
        let key = self.0.keys.identity().key();
        let endorsement = json!({
            "iss": public.as_str(), "sub": did.short().as_str(), "aud": audience.as_str(), "iat": now,
            "nonce": browser.jti,
        });
        let kid = format!("{public}#{}", key.public_key().thumbprint());
        let endorsement = pairwise::sign(key, ENDORSEMENT_TYPE, &kid, &endorsement).map_err(unsigned)?;
        let mut claims = json!({
            "iss": did.long().as_str(), "sub": audience.as_str(), "aud": audience.as_str(),
            "cnf": { "jkt": browser.thumbprint.to_string() }, "iat": now, "nonce": browser.jti,
            "public": public.as_str(), "endorsement": endorsement,
        });
        let priors = self.priors(&customer, &record, &did).await?;
        let said = priors.iter().map(|prior| prior.from_prior(&did, now)).collect::<Result<Vec<_>, _>>();
        let said = said.map_err(unsigned)?;
        if let Some(claims) = claims.as_object_mut().filter(|_| !said.is_empty()) {
            claims.insert("from_prior".to_owned(), said.into());
        }
        let statement = did.sign(STATEMENT_TYPE, &claims).map_err(unsigned)?;
        Ok(RelationshipStatement { did: did.long().clone(), statement })
    }

    /// Somebody shows a DID of their own: a did:key, did:jwk or did:peer, by a JWT for this browser's key (see
    /// [`proof`](crate::protocol::did::proof)). A DID that is known recognises its customer, in a session of
    /// [`Rung::Did`]. One that is not known is bound to the customer who is there (`here`): then no session begins, and
    /// the answer is none. Where nobody is there, it begins a customer.
    ///
    /// Whether other shops see the same DID is known to the wallet alone. A did:web would be everybody's to see, and is
    /// refused.
    ///
    /// # Errors
    /// [`DidProofError`] for what is wrong with the JWT; [`Refusal::DidReplaced`] for a DID whose place another one took;
    /// [`Refusal::NotKnown`] if the browser's key is a customer's, the DID is not, and no session came with it; as
    /// [`Recognised::merge`] begins, if DID and key are of different customers ([`Refusal::AnotherCustomer`]);
    /// [`Refusal::StepUp`], [`Refusal::AcrossDevices`], [`Refusal::BindingLocked`];
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn sign_in_by_did(
        &self,
        browser: &BrowserProof,
        jwt: &str,
        here: Option<&Recognised>,
    ) -> Result<Option<SessionGrant>, Error> {
        let (proof, long) = self.did_proof(jwt, Purpose::SignIn).await?;
        if proof.jkt != Some(browser.thumbprint) {
            return Err(DidProofError::BrowserKey.into());
        }
        // Else a browser's key would pass for more than it is.
        if proof.key.thumbprint() == browser.thumbprint {
            return Err(DidProofError::SameKey.into());
        }
        let (name, did) = (did_name(&proof.document), Some(long.to_string()));
        if let Some((binding, _)) = self.binding(&name).await? {
            if binding.replaced {
                return Err(Refusal::DidReplaced.into());
            }
            let shown = Shown { name, rung: Rung::Did, did };
            return self.enter(browser, &shown, Vec::new()).await.map(Some);
        }
        let new = NewBinding { name, rung: Rung::Did, did, label: None, expires_at: None };
        if let Some(here) = here {
            here.bind(browser, &new, Vec::new()).await?;
            return Ok(None);
        }
        if self.binding_of(browser).await?.is_some_and(|(binding, _)| !binding.locked) {
            return Err(Refusal::NotKnown.into());
        }
        self.begin_with(browser, &new, Vec::new()).await.map(Some)
    }

    /// A JWT that proves a DID to this shop, now, and the DID in the form that resolves by itself.
    async fn did_proof(&self, jwt: &str, purpose: Purpose) -> Result<(DidProof, Did), Error> {
        let (limits, now) = (&self.0.limits, self.now());
        let unverified = UnverifiedProof::parse(jwt, limits)?;
        let signer = unverified.signer(purpose).clone();
        let long = match signer.is_short_form() {
            true => self.long_form(&signer).await?,
            false => None,
        };
        let audience = self.0.origin.as_str().trim_end_matches('/');
        let expected = Expected { purpose, audience, now, iat_past_s: IAT_PAST_S, iat_future_s: IAT_FUTURE_S };
        let proof = unverified.verify(&expected, long.as_ref(), limits)?;
        if !self.0.nonces.knows(&proof.nonce, now) {
            return Err(DidProofError::Nonce.into());
        }
        Ok((proof, long.unwrap_or(signer)))
    }

    /// The long form of a customer's DID, if it was shown before.
    async fn long_form(&self, short: &Did) -> Result<Option<Did>, Error> {
        let name = BindingName::did(sha256(short.as_str().as_bytes()));
        let binding = self.binding(&name).await?;
        Ok(binding.and_then(|(binding, _)| Did::parse(&binding.did?, &self.0.limits).ok()))
    }

    /// The customer that a name leads to, with their record and the DID that they are given now.
    async fn current_shop_did(&self, id: &CustomerId) -> Result<(CustomerId, CustomerRecord, ShopDid), Error> {
        for _ in 0..RACES_MAX {
            let (customer, record, version) = self.resolved(id).await?.ok_or(Refusal::NotRecognised)?;
            let given = self.given(&customer, u32::MAX).await?;
            let epoch = match given.first() {
                None => 0,
                Some(latest) => match self.remade(&customer, latest)? {
                    Some(did) => return Ok((customer, record, did)),
                    None => {
                        tracing::error!(
                            "a customer gets another DID of the shop, since the root secret of theirs is gone: put it \
                             back into the keys file"
                        );
                        latest.epoch.saturating_add(1)
                    }
                },
            };
            let (did, writes) = self.new_shop_did(&customer, epoch, version)?;
            match self.0.store.commit(&writes, self.now()).await {
                Ok(_) => return Ok((customer, record, did)),
                // Another request was first, which is as good; or the customer has just gone.
                Err(error) if lost_the_race(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(too_many_races())
    }

    /// A DID of an epoch that has none, and the writes that remember it.
    fn new_shop_did(
        &self,
        customer: &CustomerId,
        epoch: u32,
        version: Version,
    ) -> Result<(ShopDid, Vec<Write>), Error> {
        let which = self.pairwise(customer, epoch, pairwise::TEMPLATE);
        let did = ShopDid::derive(&which, |info| self.0.keys.derive(pairwise::PURPOSE, info)).map_err(underived)?;
        let (short, since) = (did.short().to_string(), self.now());
        let index = ShopDidOf { customer: customer.clone(), epoch };
        let record = ShopDidRecord { epoch, template: pairwise::TEMPLATE, short, since };
        let writes = vec![
            put(given_key(customer, epoch), &record, None, Expect::Absent)?,
            put(index_key(did.short().as_str()), &index, None, Expect::Absent)?,
            Write::check(customer_key(customer), Expect::Version(version)),
        ];
        Ok((did, writes))
    }

    /// The DID that a record remembers; none if the root secret of it is gone.
    fn remade(&self, customer: &CustomerId, record: &ShopDidRecord) -> Result<Option<ShopDid>, Error> {
        let keys = &self.0.keys;
        let which = self.pairwise(customer, record.epoch, record.template);
        let is_it = |did: &ShopDid| did.short().as_str() == record.short;
        let did = ShopDid::derive(&which, |info| keys.derive(pairwise::PURPOSE, info)).map_err(underived)?;
        if is_it(&did) {
            return Ok(Some(did));
        }
        for root in 1..keys.derive_all(pairwise::PURPOSE, &[]).len() {
            let secret = |info: &[u8]| keys.derive_all(pairwise::PURPOSE, info).get(root).copied().unwrap_or_default();
            let did = ShopDid::derive(&which, secret).map_err(underived)?;
            if is_it(&did) {
                return Ok(Some(did));
            }
        }
        Ok(None)
    }

    fn pairwise<'a>(&'a self, customer: &'a CustomerId, epoch: u32, template: u16) -> Pairwise<'a> {
        Pairwise { origin: self.0.origin.as_str(), customer, epoch, template }
    }

    /// The DIDs that a customer was given, from this epoch backwards: as many as a statement speaks of, and one more.
    async fn given(&self, customer: &CustomerId, from: u32) -> Result<Vec<ShopDidRecord>, Error> {
        let prefix = Prefix { kind: ShopDidRecord::KIND, partition: customer.as_str().to_owned(), sort: String::new() };
        let after = from.checked_add(1).map(|after| given_key(customer, after).sort);
        let page = self.0.store.scan(&prefix, after.as_deref(), 1 + PRIORS_MAX, self.now()).await?;
        page.into_iter().map(|(_, stored)| Ok(stored.read::<ShopDidRecord>()?)).collect()
    }

    /// The DIDs that the customer may still know the shop by: earlier ones, and those of records that became this one.
    async fn priors(
        &self,
        customer: &CustomerId,
        record: &CustomerRecord,
        current: &ShopDid,
    ) -> Result<Vec<ShopDid>, Error> {
        let mut priors = Vec::new();
        for earlier in self.given(customer, current.epoch()).await?.iter().skip(1).take(PRIORS_MAX) {
            priors.extend(self.remade(customer, earlier)?);
        }
        for merged in &record.merged {
            if let Some(theirs) = self.given(&merged.customer, u32::MAX).await?.first() {
                priors.extend(self.remade(&merged.customer, theirs)?);
            }
        }
        Ok(priors)
    }
}

impl Recognised {
    /// Another key takes the place of the key of this browser, or another DID that of one that the customer bound: both
    /// say so, in a JWT each (see [`proof`](crate::protocol::did::proof)). The binding moves in one commit. The old name
    /// stays as a tombstone that opens nothing any more; sessions of a browser's key that was replaced end, and the new key
    /// begins its own.
    ///
    /// # Errors
    /// [`DidProofError`] for what is wrong with a JWT; [`Refusal::NoSuchBinding`] if the old DID is neither this browser's
    /// nor bound to this customer; [`Refusal::DidReplaced`] if the old or the new one was replaced before;
    /// [`Refusal::Overtaken`] if the new one is bound already; [`Refusal::AcrossDevices`]; [`Refusal::StepUp`] if it is the
    /// browser's key of a record that has something stronger;
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn replace_did(&self, proof: &BrowserProof, handover: &str, takeover: &str) -> Result<(), Error> {
        let merchant = self.merchant();
        let (old, _) = merchant.did_proof(handover, Purpose::Handover).await?;
        let (new, long) = merchant.did_proof(takeover, Purpose::Takeover).await?;
        if (&old.iss, &old.sub) != (&new.iss, &new.sub) || old.document.name() == new.document.name() {
            return Err(DidProofError::Parties.into());
        }
        let is_browser = old.key.thumbprint().to_string() == self.record().key;
        let (old_name, new_name) = match is_browser {
            true if !matches!(new.sub.method(), "key" | "jwk") => {
                return Err(DidProofError::Did(DidError::UnsupportedMethod).into());
            }
            true => [&old, &new].map(|proof| BindingName::browser_key(&proof.key.thumbprint().to_string())).into(),
            false => [&old, &new].map(|proof| did_name(&proof.document)).into(),
        };
        let place = binding_key(new_name.as_str());
        let brought = [Write::check(place.clone(), Expect::Absent)];
        let mut races = Races::of(&brought);
        loop {
            let step = async {
                let now = merchant.now();
                let (binding, version) = merchant.binding(&old_name).await?.ok_or(Refusal::NoSuchBinding)?;
                let taken = merchant.binding(&new_name).await?;
                if binding.replaced || taken.is_some_and(|(taken, _)| taken.replaced) {
                    return Err(Refusal::DidReplaced.into());
                }
                if binding.customer != *self.id() || binding.locked {
                    return Err(Refusal::NoSuchBinding.into());
                }
                let held = merchant.held(self.id()).await?;
                if is_browser {
                    // A borrowed browser must not take its key home.
                    self.allowed(&held, Act::Change)?;
                } else if self.record().across_devices {
                    return Err(Refusal::AcrossDevices.into());
                }
                let (did, rung) = (Some(long.to_string()), binding.rung);
                let next = Binding { did: did.clone(), since: now, ..binding.clone() };
                let entry = BindingEntry { did, rung, since: now };
                let gone = Binding {
                    locked: true,
                    replaced: true,
                    ..Binding::new(binding.customer.clone(), rung, None, binding.since)
                };
                let mut writes = vec![
                    proof.spent(now)?,
                    put(binding_key(old_name.as_str()), &gone, None, Expect::Version(version))?,
                    put(replaced_key(self.id(), &old_name), &Replaced {}, None, Expect::Any)?,
                    Write::delete(binding_entry(self.id(), old_name.as_str()), Expect::Any),
                    put(place.clone(), &next, binding.expires_at, Expect::Absent)?,
                    put(binding_entry(self.id(), new_name.as_str()), &entry, binding.expires_at, Expect::Absent)?,
                    merchant.note_device(self.id(), Happened::DidReplaced, binding.name)?,
                    held.saved(&held.record)?,
                ];
                // Who came in by the old one came in by what is the new one now, and goes with it.
                for other in held.bindings.iter().filter(|one| one.binding.vouched_by.as_ref() == Some(&old_name)) {
                    let renamed = Binding { vouched_by: Some(new_name.clone()), ..other.binding.clone() };
                    let until = renamed.expires_at;
                    writes.push(put(
                        binding_key(other.name.as_str()),
                        &renamed,
                        until,
                        Expect::Version(other.version),
                    )?);
                }
                merchant.commit_plain(&writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                outcome?;
                break;
            }
        }
        if is_browser && let Err(error) = merchant.end_key(self.id(), old_name.as_str(), Fate::Locked, None).await {
            tracing::warn!(%error, "sessions of a key that was replaced are left behind, which open nothing and expire");
        }
        Ok(())
    }
}

/// The name of a DID's binding: one for both forms of a did:peer:4.
fn did_name(document: &DidDocument) -> BindingName {
    BindingName::did(sha256(document.name().as_str().as_bytes()))
}

/// Where a DID of the shop is remembered under its customer: the newest first.
fn given_key(customer: &CustomerId, epoch: u32) -> Key {
    Key::new(ShopDidRecord::KIND, customer.as_str(), format!("{:010}", u32::MAX - epoch))
}

fn index_key(short: &str) -> Key {
    Key::new(ShopDidOf::KIND, short, "")
}

fn replaced_key(customer: &CustomerId, name: &BindingName) -> Key {
    Key::new(Replaced::KIND, customer.as_str(), name.as_str())
}

/// What leads from a DID of the shop to its customer.
pub(super) fn index_of(_: &Key, given: &Stored) -> Result<Option<Key>, StoreError> {
    Ok(Some(index_key(&given.read::<ShopDidRecord>()?.short)))
}

fn underived(error: DidError) -> Error {
    Error::Misuse(format!("the shop's DID for a customer cannot be made: {error}"))
}

fn unsigned(error: JoseError) -> Error {
    Error::Misuse(format!("the shop's keys do not sign: {error}"))
}

fn too_many_races() -> Error {
    Error::Unavailable { seam: "the store", source: "the same customer changes too often".into() }
}
