//! The checks of [`Document::verify`] one by one, for an operator who wants to know which of them hold.

use super::{
    Certificate, DeviceAuth, Document, Expected, MdocError, PublicKey, check_purpose, check_type,
    mso::MobileSecurityObject,
};
use crate::{limits::Limits, protocol::cbor, time::UnixTime};

/// One check, and what it looked at.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) made: Result<(), MdocError>,
    pub(crate) looked_at: String,
}

/// What is told of a document without believing it.
pub(crate) struct Steps {
    /// In the order of [`Document::verify`].
    pub(crate) steps: Vec<Step>,
    /// The elements that the issuer signed, as `name space/element`.
    pub(crate) elements: Vec<String>,
    /// Those that the device signed.
    pub(crate) device_elements: Vec<String>,
    pub(crate) device_key: Option<PublicKey>,
    /// When the issuer signed; from when, and until when it holds.
    pub(crate) times: Option<[UnixTime; 3]>,
}

impl Document {
    /// Every check that does not need one that failed, with the security object read before its signature is believed.
    pub(crate) fn steps(self, expected: &Expected<'_>, limits: &Limits) -> Steps {
        let names = |(namespace, name): (&String, &String)| format!("{namespace}/{name}");
        let payload = self.issuer_auth.unverified_payload().map(<[u8]>::to_vec).unwrap_or_default();
        let mut all = Steps {
            steps: Vec::new(),
            elements: self.items.iter().map(|item| names((&item.namespace, &item.name))).collect(),
            device_elements: self.device.elements.iter().map(|(space, name)| names((space, name))).collect(),
            device_key: None,
            times: None,
        };
        let key = expected.issuer_key;
        let signed = self.issuer_auth.verify(key).map(|_| ()).map_err(MdocError::IssuerAuth);
        all.step("issuer's signature", signed, key.algorithm());
        let signer = self.chain.first().and_then(|der| Certificate::from_der(der).ok());
        let content = match embedded(&payload, limits) {
            Ok(content) => content,
            Err(error) => return all.ended(error),
        };
        let item = match cbor::read(&content, limits) {
            Ok(item) => item,
            Err(error) => return all.ended(error.into()),
        };
        let mso = match MobileSecurityObject::read(&item) {
            Ok(mso) => mso,
            Err(error) => return all.ended(error),
        };
        all.step("security object", Ok(()), "");
        all.device_key = Some(mso.device_key.clone());
        all.times = Some([mso.signed, mso.valid_from, mso.valid_until]);
        all.step(
            "document type",
            check_type(&self.doc_type, &mso),
            format!("{}, signed {}", self.doc_type, mso.doc_type),
        );
        if let Some(signer) = signer {
            let purposes = signer.purposes().map_or_else(|| "any".to_owned(), |purposes| purposes.join(", "));
            let fits = if self.known_signer { Ok(()) } else { check_purpose(&signer, &self.doc_type) };
            all.step("signer's purpose", fits, purposes);
            let times = mso.check_times(&signer, expected.now, expected.skew_s);
            all.step("validity", times, format!("{} to {}", mso.valid_from, mso.valid_until));
        }
        let mut wrong: Vec<MdocError> = self.items.iter().filter_map(|item| mso.check_digest(item).err()).collect();
        let fitting = self.items.len().saturating_sub(wrong.len());
        let digests = if wrong.is_empty() { Ok(()) } else { Err(wrong.swap_remove(0)) };
        all.step("digests", digests, format!("{fitting} of {} as the issuer signed them", self.items.len()));
        let kind = match &self.device.auth {
            DeviceAuth::Signature(_) => "a signature",
            DeviceAuth::Mac(_) => "a tag",
        };
        all.step("device authentication", self.device.check_auth(&self.doc_type, &mso.device_key, expected), kind);
        let authorised = self.device.check_authorised(&mso);
        all.step("key authorisations", authorised, format!("{} elements of the device", self.device.elements.len()));
        all
    }
}

/// The encoded security object in what the issuer signed.
fn embedded(payload: &[u8], limits: &Limits) -> Result<Vec<u8>, MdocError> {
    let payload = cbor::read(payload, limits)?;
    payload.embedded().map(<[u8]>::to_vec).ok_or(MdocError::Form("the issuer signs embedded CBOR"))
}

impl Steps {
    /// Without a security object there is nothing more to check.
    fn ended(mut self, error: MdocError) -> Self {
        self.step("security object", Err(error), "");
        self
    }

    fn step(&mut self, name: &'static str, made: Result<(), MdocError>, looked_at: impl ToString) {
        self.steps.push(Step { name, made, looked_at: looked_at.to_string() });
    }
}
