//! What a customer calls their devices.

use super::{Recognised, SessionEntry, binding_key};
use crate::{
    customer::{Binding, BindingName, DeviceName},
    error::{Error, Refusal},
    merchant::{BrowserProof, Merchant, bind::Races, put},
    session::SessionId,
    store::{Expect, StoreError},
};

impl Merchant {
    /// Gives the key of a browser a name, if it is somebody's and has none yet: what the browser says of itself gives way to
    /// what its customer says.
    ///
    /// For whatever begins a session. A name that was not written down takes nothing from that: the next beginning brings
    /// it again.
    pub async fn introduce_device(&self, browser: &BrowserProof, name: &DeviceName) {
        let written = async {
            let Some((binding, version)) = self.binding_of(browser).await? else { return Ok(()) };
            if binding.name.is_some() {
                return Ok(());
            }
            let named = Binding { name: Some(name.as_str().to_owned()), ..binding };
            let until = named.expires_at;
            let write = put(binding_key(&browser.key_name()), &named, until, Expect::Version(version))?;
            match self.0.store.commit(&[write], self.now()).await {
                Ok(_) | Err(StoreError::Conflict(_)) => Ok::<_, Error>(()),
                Err(error) => Err(error.into()),
            }
        };
        if let Err(error) = written.await {
            tracing::warn!(%error, "the name of a device was not written down");
        }
    }
}

impl Recognised {
    /// Calls a device otherwise: the one of this request, or the one that a session of this customer is on.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSession`]; [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn rename_device(
        &self,
        proof: &BrowserProof,
        session: Option<&SessionId>,
        name: &DeviceName,
    ) -> Result<(), Error> {
        let merchant = &self.merchant;
        let key = match session {
            None => self.session.key.clone(),
            Some(session) => {
                let entries = merchant.walk::<SessionEntry>(self.id()).await?;
                let key = entries.iter().find_map(|(sort, _)| sort.strip_suffix(session.as_str())?.strip_suffix('/'));
                key.ok_or(Refusal::NoSuchSession)?.to_owned()
            }
        };
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let found = merchant.binding(&BindingName::browser_key(&key)).await?;
                let (binding, version) =
                    found.filter(|(binding, _)| binding.customer == *self.id()).ok_or(Refusal::NoSuchSession)?;
                let now = merchant.now();
                let named = Binding { name: Some(name.as_str().to_owned()), ..binding };
                let until = named.expires_at;
                let write = put(binding_key(&key), &named, until, Expect::Version(version))?;
                merchant.commit_plain(&[proof.spent(now)?, write], now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }
}
