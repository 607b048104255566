//! Sessions that a browser carries as a cookie: begun by a customer who is known, opened by the cookie, bound to the device
//! where the browser can (W3C Device Bound Session Credentials).

use super::{BATCH, Recognised, SessionEntry, binding_key, deletion, is_race, of_key, session_entry, session_key};
use crate::{
    customer::Binding,
    error::{Error, ProofError, Refusal},
    merchant::{BrowserProof, Merchant, bind::Races, proof::was_spent, put},
    protocol::dbsc,
    session::{
        LIFETIME_S, SessionId, SessionRecord,
        cookie::{BOUND_S, Cookie, CookieToken, record_name},
    },
    store::{Expect, Persisted, StoreError, Version, Write},
};

/// A cookie to set, and what the browser needs to bind it to its device.
#[derive(Debug)]
pub struct CookieGrant {
    /// The token; this is the only place where it is.
    pub token: CookieToken,
    /// How long the browser keeps it, in seconds; none if for as long as the browser runs.
    pub max_age_s: Option<u64>,
    /// What the device's next proof answers.
    pub challenge: String,
}

/// What a browser gets that wants its cookie renewed.
#[derive(Debug)]
pub enum Refreshed {
    /// The next cookie.
    Cookie(CookieGrant),
    /// It has to prove itself first: no proof came, or one that answers no challenge of now.
    Challenge(String),
}

impl Merchant {
    /// A customer who is known by their key gets a cookie: a session of its own, which knows what theirs does and ends with
    /// the key. The one that the key had before ends now, and so does the one that `carried` opens: a browser has one
    /// cookie, and whoever shared it with somebody finds nobody else's in it afterwards.
    ///
    /// # Errors
    /// As [`Merchant::recognise`]; [`ProofError::Replayed`].
    pub async fn begin_cookie(
        &self,
        browser: &BrowserProof,
        access_token: &str,
        carried: Option<&str>,
    ) -> Result<CookieGrant, Error> {
        let mut races = Races::of(&[]);
        loop {
            if let Some(outcome) = races.settled(self.try_begin_cookie(browser, access_token, carried).await) {
                return outcome;
            }
        }
    }

    async fn try_begin_cookie(
        &self,
        browser: &BrowserProof,
        access_token: &str,
        carried: Option<&str>,
    ) -> Result<CookieGrant, Error> {
        let now = self.now();
        let (_, binding_version) = self.binding_of(browser).await?.ok_or(ProofError::Token)?;
        let from = self.recognise(browser, access_token).await?.session;
        let mut was_bound = false;
        // Somebody may sign out at this very moment.
        let key = binding_key(&browser.key_name());
        let mut writes = vec![Write::Check { key, expect: Expect::Version(binding_version) }, browser.spent(now)?];
        let prefix = of_key(SessionEntry::KIND, &from.customer, &from.key);
        for (entry, stored) in self.0.store.scan(&prefix, None, BATCH, now).await? {
            let earlier: SessionEntry = stored.read()?;
            if earlier.cookie {
                let earlier = session_key(&earlier.token_digest);
                if let Some(stored) = self.load_one(&earlier).await? {
                    was_bound |= stored.read::<SessionRecord>()?.cookie.is_some_and(|cookie| cookie.is_short());
                    // Two tabs that ask at once: the later one ends what the earlier one began.
                    writes.push(Write::delete(earlier, Expect::Version(stored.version)));
                }
                writes.push(deletion(entry));
            }
        }
        if let Some(carried) = carried
            && let Some((theirs, _)) = self.opened_cookie(carried).await?
            && theirs.key != from.key
        {
            writes.extend([session_key(&record_name(&theirs.id)), session_entry(&theirs)].map(deletion));
        }
        let token = CookieToken::from_random(SessionId::from_random(self.random()), self.random());
        let cookie = if was_bound { Cookie::to_be_bound(&token, now) } else { Cookie::new(&token) };
        // Who they are, how surely and since when is what the session knows that asked: a cookie proves nothing by itself.
        let session = SessionRecord { id: token.session().clone(), last_seen: now, cookie: Some(cookie), ..from };
        let (name, until) = (record_name(&session.id), Some(session.since.plus_s(LIFETIME_S)));
        let entry = SessionEntry { token_digest: name.clone(), since: session.since, cookie: true };
        writes.push(put(session_key(&name), &session, Some(session.expires_at()), Expect::Absent)?);
        writes.push(put(session_entry(&session), &entry, until, Expect::Absent)?);
        match self.0.store.commit(&writes, now).await {
            Ok(_) => Ok(self.grant(token, &session)),
            Err(e) if was_spent(&e) => Err(ProofError::Replayed.into()),
            Err(e @ StoreError::Unknown(_)) => match self.load_one(&session_key(&name)).await? {
                Some(_) => Ok(self.grant(token, &session)),
                None => Err(e.into()),
            },
            Err(e) => Err(e.into()),
        }
    }

    /// Who sends a request that has a cookie of ours and no proof. Whatever is wrong with the cookie, it is nobody's: it
    /// comes by itself, so it is no claim of anybody.
    ///
    /// Anybody's page can have a browser send a cookie: whoever lets it change something asks first where the request comes
    /// from.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn recognise_cookie(&self, cookie: &str) -> Result<Option<Recognised>, Error> {
        let Some((session, version)) = self.opened_cookie(cookie).await? else { return Ok(None) };
        let now = self.now();
        let name = record_name(&session.id);
        if let Some(touched) = session.touched(now) {
            let write = put(session_key(&name), &touched, Some(touched.expires_at()), Expect::Version(version))?;
            match self.0.store.commit(&[write], now).await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => tracing::warn!(%error, "the last use of a session was not written down"),
            }
        }
        Ok(Some(Recognised { merchant: self.clone(), session, token_digest: name }))
    }

    /// Binds the session of a cookie to the device that the proof is of. It is bound for good, and the cookie is worth ten
    /// minutes from now on.
    ///
    /// # Errors
    /// [`ProofError::Token`] if the cookie is nobody's, [`ProofError::Device`] if the proof is not one, or not of a device
    /// that was asked; [`Refusal::AlreadyBound`].
    pub async fn bind_cookie(&self, cookie: &str, proof: &str) -> Result<CookieGrant, Error> {
        let now = self.now();
        let (session, version) = self.opened_cookie(cookie).await?.ok_or(ProofError::Token)?;
        let cookie = session.cookie.clone().ok_or(ProofError::Token)?;
        if cookie.device().is_some() {
            return Err(Refusal::AlreadyBound.into());
        }
        let (key, challenge) = dbsc::check_registration(proof, &self.0.limits).map_err(ProofError::Device)?;
        if !self.0.challenges.knows(&challenge, &session.id, cookie.proofs(), now) {
            return Err(ProofError::Challenge.into());
        }
        let next = CookieToken::from_random(session.id.clone(), self.random());
        let bound = cookie.bound(key.to_jwk(), &next, now).map_err(|_| Refusal::AlreadyBound)?;
        match self.renew(session, version, bound, next).await {
            Err(Error::Unavailable { source, .. }) if is_race(source.as_ref()) => Err(Refusal::AlreadyBound.into()),
            other => other,
        }
    }

    /// Renews the cookie of a session that is bound to a device.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSession`] if there is none of that name that is bound, or not any more; [`ProofError::Device`] if
    /// the proof is not by its device.
    pub async fn refresh_cookie(&self, session: &SessionId, proof: Option<&str>) -> Result<Refreshed, Error> {
        let now = self.now();
        let (session, version) = self.cookie_session(session).await?.ok_or(Refusal::NoSuchSession)?;
        let cookie = session.cookie.clone().ok_or(Refusal::NoSuchSession)?;
        let device = cookie.device().ok_or(Refusal::NoSuchSession)?;
        let again = |proofs| Refreshed::Challenge(self.0.challenges.next(&session.id, proofs, now));
        let Some(proof) = proof else { return Ok(again(cookie.proofs())) };
        let challenge = dbsc::check_refresh(proof, device, &self.0.limits).map_err(ProofError::Device)?;
        if !self.0.challenges.knows(&challenge, &session.id, cookie.proofs(), now) {
            return Ok(again(cookie.proofs()));
        }
        let next = CookieToken::from_random(session.id.clone(), self.random());
        let after = again(cookie.proofs().saturating_add(1));
        let renewed = cookie.renewed(&next, now);
        match self.renew(session, version, renewed, next).await {
            // The same challenge was answered at the same moment, and there is a next one.
            Err(Error::Unavailable { source, .. }) if is_race(source.as_ref()) => Ok(after),
            other => other.map(Refreshed::Cookie),
        }
    }

    /// Writes down the next secret of a cookie.
    async fn renew(
        &self,
        session: SessionRecord,
        version: Version,
        cookie: Cookie,
        next: CookieToken,
    ) -> Result<CookieGrant, Error> {
        let now = self.now();
        let session = SessionRecord { last_seen: now, cookie: Some(cookie), ..session };
        let key = session_key(&record_name(&session.id));
        let write = put(key, &session, Some(session.expires_at()), Expect::Version(version))?;
        self.0.store.commit(&[write], now).await?;
        Ok(self.grant(next, &session))
    }

    /// The session that a cookie opens.
    async fn opened_cookie(&self, cookie: &str) -> Result<Option<(SessionRecord, Version)>, Error> {
        let Ok(token) = cookie.parse::<CookieToken>() else { return Ok(None) };
        let found = self.cookie_session(token.session()).await?;
        let now = self.now();
        Ok(found.filter(|(session, _)| session.cookie.as_ref().is_some_and(|cookie| cookie.is_opened_by(&token, now))))
    }

    /// The session of a cookie, if it is not over and its key was not signed out.
    async fn cookie_session(&self, id: &SessionId) -> Result<Option<(SessionRecord, Version)>, Error> {
        let Some(stored) = self.load_one(&session_key(&record_name(id))).await? else { return Ok(None) };
        let session: SessionRecord = stored.read()?;
        let Some(bound) = self.load_one(&binding_key(&session.key)).await? else { return Ok(None) };
        let binding: Binding = bound.read()?;
        let stands = session.is_carried_by(&binding) && !session.is_over(self.now());
        Ok(stands.then_some((session, stored.version)))
    }

    fn grant(&self, token: CookieToken, session: &SessionRecord) -> CookieGrant {
        let cookie = session.cookie.as_ref();
        let max_age_s = cookie.is_some_and(Cookie::is_short).then_some(BOUND_S);
        let challenge = self.0.challenges.next(&session.id, cookie.map_or(0, Cookie::proofs), self.now());
        CookieGrant { token, max_age_s, challenge }
    }
}
