//! One credential, shown: what a holder signs for one verifier.

use serde_json::{Map, Value, json};

#[cfg(feature = "mdoc")]
use super::super::mdoc::{self, Held};
#[cfg(feature = "w3c")]
use super::super::w3c;
use super::{Chosen, Fault, Holding, Request, Wallet, WalletError, random, scalar, strings};
use crate::{
    env::Env,
    protocol::{
        jose::{SigningKey, base64url_decode, base64url_encode},
        openid4vp::dc_api::RESPONSE_MODE,
    },
    testing::issuer::Hash,
};

/// One presentation in the making.
pub(super) struct Presenting<'a> {
    pub(super) wallet: &'a Wallet,
    pub(super) request: &'a Request,
    pub(super) chosen: &'a Chosen,
    pub(super) faults: &'a [Fault],
    pub(super) env: &'a dyn Env,
}

impl Presenting<'_> {
    /// As it stands in the `vp_token`.
    pub(super) fn presentation(&self) -> Result<Value, WalletError> {
        let holding = self.holding()?;
        #[cfg(feature = "mdoc")]
        if let Some(document) = &holding.document {
            return Ok(self.device_response(document)?.into());
        }
        #[cfg(feature = "w3c")]
        if let Some(credential) = &holding.credential {
            return self.verifiable_presentation(credential);
        }
        Ok(self.sd_jwt(holding)?.into())
    }

    /// The claims that were asked for, and the holder's proof.
    fn sd_jwt(&self, holding: &Holding) -> Result<String, WalletError> {
        let mut paths = self.chosen.paths.clone();
        if self.faulty(Fault::MissingClaim) {
            paths.pop().ok_or(WalletError::Fault(Fault::MissingClaim))?;
        }
        let mut disclosures: Vec<String> = holding.disclosing(&paths).into_iter().map(str::to_owned).collect();
        if self.faulty(Fault::DuplicateDisclosure) {
            disclosures.push(disclosures.first().cloned().ok_or(WalletError::Fault(Fault::DuplicateDisclosure))?);
        }
        if self.faulty(Fault::UnreferencedDisclosure) {
            disclosures.push(self.made_up("given_name"));
        }
        if self.faulty(Fault::DisclosureNamedSd) {
            let issued = holding.disclosures.iter().find(|disclosure| disclosure.path.last() == Some(&json!("_sd")));
            disclosures.push(issued.map_or_else(|| self.made_up("_sd"), |disclosure| disclosure.text.clone()));
        }
        let mut bound = match self.faulty(Fault::IssuerSignatureBroken) {
            false => holding.issuer_jwt.clone(),
            true => broken(&holding.issuer_jwt),
        };
        bound.push('~');
        for disclosure in disclosures {
            bound.push_str(&disclosure);
            bound.push('~');
        }
        let query = self.request.query.credential(&self.chosen.query);
        if self.faulty(Fault::NoHolderProof) || query.is_some_and(|query| !query.require_cryptographic_holder_binding) {
            return Ok(bound);
        }
        let proof = self.proof(holding, &bound)?;
        if self.faulty(Fault::DisclosureAddedAfterProof) {
            bound.push_str(&self.made_up("given_name"));
            bound.push('~');
        }
        Ok(bound + &proof)
    }

    /// What the device of an mdoc sends: the elements that were asked for.
    #[cfg(feature = "mdoc")]
    fn device_response(&self, document: &Held) -> Result<String, WalletError> {
        let element = |path: &'_ Vec<Value>| match path.as_slice() {
            [Value::String(namespace), Value::String(element)] => Some((namespace.clone(), element.clone())),
            _ => None,
        };
        let elements: Vec<(String, String)> = self.chosen.paths.iter().filter_map(element).collect();
        let elements: Vec<(&str, &str)> =
            elements.iter().map(|(space, name)| (space.as_str(), name.as_str())).collect();
        let same = |fault: &Fault| match fault {
            Fault::WrongNonce => Some(mdoc::Fault::WrongNonce),
            Fault::WrongAudience => Some(mdoc::Fault::WrongAudience),
            Fault::AudienceWithoutPrefix => Some(mdoc::Fault::AudienceWithoutPrefix),
            Fault::HolderSignatureBroken => Some(mdoc::Fault::DeviceSignatureBroken),
            Fault::ForeignHolderKey => Some(mdoc::Fault::ForeignDeviceKey),
            Fault::NoHolderProof => Some(mdoc::Fault::NoDeviceAuth),
            Fault::IssuerSignatureBroken => Some(mdoc::Fault::IssuerSignatureBroken),
            Fault::MissingClaim => Some(mdoc::Fault::MissingElement),
            _ => None,
        };
        let faults: Vec<mdoc::Fault> = self.faults.iter().filter_map(same).collect();
        Ok(document.present(self.request, &elements, &faults, self.env)?)
    }

    /// The whole credential, in a presentation that its holder signs.
    #[cfg(feature = "w3c")]
    fn verifiable_presentation(&self, credential: &w3c::Held) -> Result<Value, WalletError> {
        let same = |fault: &Fault| match fault {
            Fault::WrongNonce => Some(w3c::Fault::WrongNonce),
            Fault::HolderProofInPast => Some(w3c::Fault::HolderProofInPast),
            Fault::HolderProofInFuture => Some(w3c::Fault::HolderProofInFuture),
            Fault::HolderSignatureBroken => Some(w3c::Fault::HolderSignatureBroken),
            Fault::ForeignHolderKey => Some(w3c::Fault::ForeignHolderKey),
            Fault::NoHolderProof => Some(w3c::Fault::NoHolderProof),
            Fault::IssuerSignatureBroken => Some(w3c::Fault::IssuerSignatureBroken),
            _ => None,
        };
        let faults: Vec<w3c::Fault> = self.faults.iter().filter_map(same).collect();
        let audience = self.audience();
        let asked = w3c::Asked { nonce: &self.request.nonce, audience: &audience, now: self.env.now() };
        Ok(credential.present(asked, &faults)?)
    }

    fn holding(&self) -> Result<&Holding, WalletError> {
        let chosen = self.wallet.holdings.get(self.chosen.holding).ok_or(WalletError::Unanswerable)?;
        if !self.faulty(Fault::WrongType) {
            return Ok(chosen);
        }
        let mut others = self.wallet.holdings.iter().filter(|other| other.format() == chosen.format());
        let other = others.find(|other| other.types.iter().all(|it| !chosen.types.contains(it)));
        other.ok_or(WalletError::Fault(Fault::WrongType))
    }

    /// The key binding JWT (RFC 9901, 4.3).
    fn proof(&self, holding: &Holding, bound: &str) -> Result<String, WalletError> {
        const YEAR_S: u64 = 365 * 24 * 3600;
        let now = self.env.now();
        let iat = if self.faulty(Fault::HolderProofInPast) {
            now.minus_s(YEAR_S)
        } else if self.faulty(Fault::HolderProofInFuture) {
            now.plus_s(YEAR_S)
        } else {
            now
        };
        let nonce = if self.faulty(Fault::WrongNonce) { random(self.env) } else { self.request.nonce.clone() };
        let hashed = if self.faulty(Fault::WrongSdHash) { "another~" } else { bound };
        let mut claims = Map::from_iter([
            ("iat".to_owned(), json!(iat)),
            ("aud".to_owned(), json!(self.audience())),
            ("nonce".to_owned(), json!(nonce)),
            ("sd_hash".to_owned(), json!(holding.hash.of(hashed))),
        ]);
        self.add_transaction_data(&mut claims)?;
        self.add_authentication(&mut claims);
        let foreign;
        let key = if self.faulty(Fault::ForeignHolderKey) {
            foreign = SigningKey::from_p256_scalar(&scalar(self.env))?;
            &foreign
        } else {
            &holding.key
        };
        let header = Map::from_iter([("typ".to_owned(), json!("kb+jwt"))]);
        let proof = key.sign_jws(&header, &Value::Object(claims))?;
        Ok(if self.faulty(Fault::HolderSignatureBroken) { broken(&proof) } else { proof })
    }

    /// Whom the holder's proof is for: who asks, or the origin that the browser named (OpenID4VP, A.4).
    fn audience(&self) -> String {
        let by_origin = self.request.origin.as_ref().map(|origin| match () {
            () if self.faulty(Fault::OtherOrigin) => "origin:https://another.example".to_owned(),
            () if self.faulty(Fault::OriginWithSlash) => format!("origin:{origin}/"),
            () if self.faulty(Fault::AudienceIsClientId) => self.request.client_id.clone(),
            () => format!("origin:{origin}"),
        });
        let right = by_origin.unwrap_or_else(|| self.request.client_id.clone());
        if self.faulty(Fault::WrongAudience) {
            "x509_san_dns:another.example".to_owned()
        } else if self.faulty(Fault::AudienceWithoutPrefix) {
            right.split_once(':').map_or(right.clone(), |(_, name)| name.to_owned())
        } else {
            right
        }
    }

    /// The hashes of what this credential is to authorise (OpenID4VP, B.3.3.1).
    fn add_transaction_data(&self, claims: &mut Map<String, Value>) -> Result<(), WalletError> {
        let mut hash = None;
        let mut hashes = Vec::new();
        for data in &self.request.transaction_data {
            let object: Value = serde_json::from_slice(&base64url_decode(data)?)
                .map_err(|_| WalletError::Request { what: "`transaction_data` is no JSON" })?;
            if !strings(object.get("credential_ids")).contains(&self.chosen.query) {
                continue;
            }
            let allowed = strings(object.get("transaction_data_hashes_alg"));
            if !allowed.is_empty() {
                let named = allowed.iter().find_map(|name| Hash::from_name(name));
                hash = Some(named.ok_or(WalletError::Request { what: "`transaction_data_hashes_alg`" })?);
            }
            hashes.push(hash.unwrap_or_default().of(data));
        }
        if self.faulty(Fault::TransactionDataExtra) {
            hashes.push(hash.unwrap_or_default().of("another"));
        }
        if hashes.is_empty() || self.faulty(Fault::TransactionDataMissing) {
            return Ok(());
        }
        claims.insert("transaction_data_hashes".to_owned(), json!(hashes));
        if let Some(hash) = hash {
            claims.insert("transaction_data_hashes_alg".to_owned(), json!(hash.name()));
        }
        Ok(())
    }

    /// How its owner authenticated, where this credential authorises a payment (EUDI TS12, 3.6).
    fn add_authentication(&self, claims: &mut Map<String, Value>) {
        let pays = |data: &String| {
            let object: Value = serde_json::from_slice(&base64url_decode(data).unwrap_or_default()).unwrap_or_default();
            let here = strings(object.get("credential_ids")).contains(&self.chosen.query);
            here && object.get("payload").is_some_and(|payload| payload.get("payee").is_some())
        };
        if !self.request.transaction_data.iter().any(pays) {
            return;
        }
        let mut say = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
        if self.faulty(Fault::SameJti) {
            say("jti", json!("deeec2b0-3bea-4477-bd5d-e3462a709481"));
        } else if !self.faulty(Fault::NoJti) {
            say("jti", json!(random(self.env)));
        }
        let mode = match self.request.origin {
            Some(_) => RESPONSE_MODE,
            None => self.request.response_mode.name(),
        };
        if self.faulty(Fault::WrongResponseMode) {
            say("response_mode", json!("fragment"));
        } else if !self.faulty(Fault::NoResponseMode) {
            say("response_mode", json!(mode));
        }
        let (pin, key) =
            (json!({ "knowledge": "pin_6_or_more_digits" }), json!({ "possession": "key_in_remote_wscd" }));
        let factors = if self.faulty(Fault::OneFactor) {
            json!([pin])
        } else if self.faulty(Fault::SameCategoryTwice) {
            json!([pin, { "knowledge": "pattern" }])
        } else if self.faulty(Fault::UnknownFactor) {
            json!([pin, { "inherence": "iris_scan" }])
        } else {
            json!([pin, key])
        };
        if !self.faulty(Fault::NoFactors) {
            say("amr", factors);
        }
    }

    /// A disclosure that no issuer signed.
    fn made_up(&self, name: &str) -> String {
        base64url_encode(json!([random(self.env), name, "Eve"]).to_string().as_bytes())
    }

    fn faulty(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

/// A JWS with one character of its signature changed, canonical as before.
fn broken(jws: &str) -> String {
    let (input, signature) = jws.rsplit_once('.').unwrap_or((jws, ""));
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{input}.{first}{}", signature.get(1..).unwrap_or_default())
}
