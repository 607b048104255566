//! ISO mdoc (ISO/IEC 18013-5): what a wallet shows of a driving licence, a PID or an attestation of age.
//!
//! A `DeviceResponse` is taken apart by [`Document::parse`], which believes nothing and names the issuer by its
//! certificates; [`Document::verify`] believes it against the issuer's key, the [session transcript](SessionTranscript)
//! that we rebuild from our own request, and the time. Both are pure, so a till with a reader uses the same two.
//!
//! Digests are over bytes as they were received. What the device signs is never mixed with what the issuer signed.

use std::{collections::BTreeSet, fmt};

use aws_lc_rs::hkdf;
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use crate::{
    limits::Limits,
    protocol::{
        cbor::{self, CborError, Item, Value, embed, encode},
        cose::{CoseError, Mac0, Sign1},
        jose::{DecryptionKey, JoseError, PublicKey, sha256},
        status_ref::StatusRef,
        x509::{Certificate, X509Error},
    },
    time::UnixTime,
};

pub mod annex_c;
mod element;
pub mod hpke;
pub mod issue;
pub(crate) mod mso;
pub(crate) mod steps;
mod transcript;

pub use mso::DIGEST_ALGORITHMS;
use mso::MobileSecurityObject;
pub use transcript::SessionTranscript;

/// A mobile driving licence.
pub const MDL: &str = "org.iso.18013.5.1.mDL";

/// The purpose of a certificate that signs driving licences (ISO/IEC 18013-5, annex B.1.4).
const DOCUMENT_SIGNER: &str = "1.0.18013.5.1.2";
/// The purpose of one that signs any other mdoc (ISO/IEC 23220-4).
const OTHER_DOCUMENT_SIGNER: &str = "1.0.23220.4.1.2";

/// Why an mdoc is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MdocError {
    /// Not the CBOR that is read here.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// CBOR, but not of the form of its structure.
    #[error("not the structure that ISO/IEC 18013-5 has here: {0}")]
    Form(&'static str),
    /// More bytes than are read.
    #[error("{found} bytes are more than the {limit} that are read")]
    TooLarge {
        /// How many.
        found: usize,
        /// The bound, from [`Limits`].
        limit: usize,
    },
    /// A version that is not known.
    #[error("the version of {0} is not 1.x")]
    Version(&'static str),
    /// The wallet says that it failed.
    #[error("the response has the status {status}, which must be 0")]
    Status {
        /// What it says (ISO/IEC 18013-5, table 8).
        status: i128,
    },
    /// Not one document.
    #[error("the response has {count} documents, and must have one")]
    Documents {
        /// How many.
        count: usize,
    },
    /// Nobody vouches for it.
    #[error("the issuer's signature carries no certificate")]
    NoChain,
    /// The issuer's signature.
    #[error("the issuer's signature: {0}")]
    IssuerAuth(#[source] CoseError),
    /// The certificate of the document signer.
    #[error("the certificate of the document signer: {0}")]
    Signer(#[source] X509Error),
    /// The certificate is for something else.
    #[error("the certificate of the document signer is not for signing documents of this type")]
    SignerPurpose,
    /// Two types for one document.
    #[error("the document says it is a {document}, and its issuer says {signed}")]
    DocType {
        /// What stands outside.
        document: String,
        /// What is signed.
        signed: String,
    },
    /// A weak or unknown hash function.
    #[error("the digests must be SHA-256, SHA-384 or SHA-512")]
    DigestAlgorithm,
    /// An element whose digest its issuer did not sign.
    #[error("the issuer signed no digest of {element} under its number")]
    DigestMissing {
        /// Its identifier.
        element: String,
    },
    /// An element that is not what its issuer signed.
    #[error("the digest of {element} is not the one that the issuer signed")]
    Digest {
        /// Its identifier.
        element: String,
    },
    /// One digest for two elements.
    #[error("two elements of {namespace} have the same digest number")]
    DigestTwice {
        /// The name space.
        namespace: String,
    },
    /// One element with two values.
    #[error("{element} is there twice")]
    ElementTwice {
        /// Its identifier.
        element: String,
    },
    /// The document is over.
    #[error("the document expired at {at}, and it is {now}")]
    Expired {
        /// Its end.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// The document is of the future.
    #[error("the document begins at {at}, and it is {now}")]
    NotYetValid {
        /// Its beginning, or when it says it was signed.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// It was signed while the certificate of its signer was not valid.
    #[error("the document was signed at {at}, and the certificate of its signer is valid from {from} to {until}")]
    SignedOutside {
        /// When it says it was signed.
        at: UnixTime,
        /// The beginning of the certificate.
        from: UnixTime,
        /// Its end.
        until: UnixTime,
    },
    /// Times that contradict each other.
    #[error("the document is signed after it begins, or ends before it does")]
    Validity,
    /// Nothing shows that the holder's device answered.
    #[error("the device has authenticated nothing")]
    NoDeviceAuth,
    /// The device's signature or tag does not hold over this session.
    #[error("the device's authentication over this session: {0}")]
    DeviceAuth(#[source] CoseError),
    /// A tag where we have no key that it could be for.
    #[error("the device sent a tag instead of a signature, and this request offers it no key for that")]
    NoReaderKey,
    /// The device's key and ours are on different curves.
    #[error("the device's key cannot agree with the key of this request: {0}")]
    ReaderKey(#[source] JoseError),
    /// An element that the device may not sign.
    #[error("the device signed {element} of {namespace}, and its issuer did not allow that")]
    NotAuthorised {
        /// The name space.
        namespace: String,
        /// Its identifier.
        element: String,
    },
    /// A reference to its status that cannot be read.
    #[error("the reference to the document's status: {0}")]
    StatusReference(&'static str),
    /// The answer does not open, or is none to this request.
    #[error("the encrypted response does not open with the key of this request")]
    Decryption,
}

impl MdocError {
    /// A stable name of the failed check, for logs and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.code(),
            Self::Form(_) => "mdoc_malformed",
            Self::TooLarge { .. } => "mdoc_too_large",
            Self::Version(_) => "mdoc_version",
            Self::Status { .. } => "mdoc_status",
            Self::Documents { .. } => "mdoc_documents",
            Self::NoChain => "mdoc_no_chain",
            Self::IssuerAuth(_) => "mdoc_issuer_auth",
            Self::Signer(error) => error.code(),
            Self::SignerPurpose => "mdoc_signer_purpose",
            Self::DocType { .. } => "mdoc_doc_type",
            Self::DigestAlgorithm => "mdoc_digest_algorithm",
            Self::DigestMissing { .. } => "mdoc_digest_missing",
            Self::Digest { .. } => "mdoc_digest",
            Self::DigestTwice { .. } => "mdoc_digest_twice",
            Self::ElementTwice { .. } => "mdoc_element_twice",
            Self::Expired { .. } => "mdoc_expired",
            Self::NotYetValid { .. } => "mdoc_not_yet_valid",
            Self::SignedOutside { .. } => "mdoc_signed_outside",
            Self::Validity => "mdoc_validity",
            Self::NoDeviceAuth => "mdoc_no_device_auth",
            Self::DeviceAuth(_) => "mdoc_device_auth",
            Self::NoReaderKey => "mdoc_no_reader_key",
            Self::ReaderKey(_) => "mdoc_reader_key",
            Self::NotAuthorised { .. } => "mdoc_not_authorised",
            Self::StatusReference(_) => "mdoc_status_reference",
            Self::Decryption => "mdoc_decryption",
        }
    }
}

/// What an mdoc is held against.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The document signer's key: that of the first certificate of [`chain`](Document::chain), once its path is believed.
    pub issuer_key: &'a PublicKey,
    /// The session, rebuilt from our own request.
    pub transcript: &'a SessionTranscript,
    /// The key of this session that a device may have agreed on a tag with: the reader's at a till, the encryption key of
    /// an OpenID4VP request (annex B.2). Without one, a tag is refused.
    pub reader_key: Option<&'a DecryptionKey>,
    /// The time.
    pub now: UnixTime,
    /// How far clocks may differ, in seconds.
    pub skew_s: u64,
}

impl fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected").field("now", &self.now).finish_non_exhaustive()
    }
}

/// One document of a response, taken apart and not believed.
pub struct Document {
    doc_type: String,
    chain: Vec<Vec<u8>>,
    issuer_auth: Sign1,
    items: Vec<SignedItem>,
    device: DeviceSigned,
    /// Whether its signer is known by the key, whatever the certificate is for.
    known_signer: bool,
}

/// An `IssuerSignedItem`, with the bytes that its digest is over.
struct SignedItem {
    namespace: String,
    digest_id: u64,
    name: String,
    /// None if the value has no form in JSON.
    value: Option<Json>,
    raw: Vec<u8>,
}

/// What the device answers for.
struct DeviceSigned {
    /// `DeviceNameSpacesBytes` as received.
    raw: Vec<u8>,
    elements: Vec<(String, String)>,
    auth: DeviceAuth,
}

enum DeviceAuth {
    Signature(Sign1),
    Mac(Mac0),
}

/// What an mdoc discloses, once every check holds.
#[derive(Clone)]
#[non_exhaustive]
pub struct Disclosed {
    /// Its type.
    pub doc_type: String,
    /// What its issuer says: `{name space: {element: value}}`. Dates are strings, byte strings base64url; an element
    /// whose value has no form in JSON is left out.
    pub elements: Map<String, Json>,
    /// Where its status stands, if it has one.
    pub status: Option<StatusRef>,
    /// Until when it holds: its own end, or that of its signer's certificate if that is earlier.
    pub valid_until: UnixTime,
    /// The key that the device proved. It follows its holder: for an issuer that recognises its own documents, and for
    /// nobody else.
    pub device_key: PublicKey,
}

impl fmt::Debug for Disclosed {
    /// Without what is said of a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disclosed")
            .field("doc_type", &self.doc_type)
            .field("valid_until", &self.valid_until)
            .finish_non_exhaustive()
    }
}

impl Document {
    /// Takes an encoded `DeviceResponse` apart (ISO/IEC 18013-5, 8.3.2.1.2.2): of at most [`Limits::response_bytes`], its
    /// status 0, one document in it (HAIP 1.0, 5.3.1).
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(device_response: &[u8], limits: &Limits) -> Result<Self, MdocError> {
        if device_response.len() > limits.response_bytes {
            return Err(MdocError::TooLarge { found: device_response.len(), limit: limits.response_bytes });
        }
        let response = cbor::read(device_response, limits)?;
        let response = response.map().ok_or(MdocError::Form("a response is a map"))?;
        check_version(response.get("version"), "the response")?;
        match response.get("status").and_then(Item::integer) {
            Some(0) => {}
            Some(status) => return Err(MdocError::Status { status }),
            None => return Err(MdocError::Form("`status` is an integer")),
        }
        let documents = match response.get("documents") {
            Some(documents) => documents.array().ok_or(MdocError::Form("`documents` is an array"))?,
            None => &[],
        };
        let [document] = documents else { return Err(MdocError::Documents { count: documents.len() }) };
        Self::read(document, limits)
    }

    fn read(document: &Item<'_>, limits: &Limits) -> Result<Self, MdocError> {
        let document = document.map().ok_or(MdocError::Form("a document is a map"))?;
        let doc_type = document.get("docType").and_then(Item::text).ok_or(MdocError::Form("`docType` is a text"))?;
        let issuer_signed = document.get("issuerSigned").and_then(Item::map);
        let issuer_signed = issuer_signed.ok_or(MdocError::Form("`issuerSigned` is a map"))?;
        let issuer_auth = issuer_signed.get("issuerAuth").ok_or(MdocError::Form("`issuerAuth` is missing"))?;
        let issuer_auth = Sign1::from_item(issuer_auth, limits).map_err(MdocError::IssuerAuth)?;
        let chain = issuer_auth.header().x5chain.clone().ok_or(MdocError::NoChain)?;
        let items = match issuer_signed.get("nameSpaces") {
            Some(namespaces) => signed_items(namespaces, limits)?,
            None => Vec::new(),
        };
        let device = DeviceSigned::read(document.get("deviceSigned").ok_or(MdocError::NoDeviceAuth)?, limits)?;
        Ok(Self { doc_type: doc_type.to_owned(), chain, issuer_auth, items, device, known_signer: false })
    }

    /// What it says it is.
    #[must_use]
    pub fn doc_type(&self) -> &str {
        &self.doc_type
    }

    /// The certificates of its signer in DER, leaf first: for the trust to decide.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Whoever is to verify it knows the signer by the key alone: that its certificate is one for signing documents, which is
    /// what says so below an authority's root, is not asked.
    #[must_use]
    pub(crate) const fn of_known_signer(mut self) -> Self {
        self.known_signer = true;
        self
    }

    /// Checks every signature, every digest and every time (ISO/IEC 18013-5, 9.3.1 and 9.1.3). The path of the
    /// certificates is the caller's to believe, and so is whether the type was asked for.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify(self, expected: &Expected<'_>, limits: &Limits) -> Result<Disclosed, MdocError> {
        let signer = self.chain.first().ok_or(MdocError::NoChain)?;
        let signer = Certificate::from_der(signer).map_err(MdocError::Signer)?;
        let payload = self.issuer_auth.verify(expected.issuer_key).map_err(MdocError::IssuerAuth)?;
        let payload = cbor::read(&payload, limits)?;
        let mso = payload.embedded().ok_or(MdocError::Form("the issuer signs embedded CBOR"))?;
        let mso = cbor::read(mso, limits)?;
        let mso = MobileSecurityObject::read(&mso)?;

        check_type(&self.doc_type, &mso)?;
        if !self.known_signer {
            check_purpose(&signer, &self.doc_type)?;
        }
        mso.check_times(&signer, expected.now, expected.skew_s)?;
        let mut elements = Map::new();
        for item in self.items {
            mso.check_digest(&item)?;
            let SignedItem { namespace, name, value, .. } = item;
            let of_namespace = elements.entry(namespace).or_insert_with(|| Json::Object(Map::new()));
            if let (Json::Object(of_namespace), Some(value)) = (of_namespace, value) {
                of_namespace.insert(name, value);
            }
        }

        self.device.check_auth(&self.doc_type, &mso.device_key, expected)?;
        self.device.check_authorised(&mso)?;
        Ok(Disclosed {
            doc_type: self.doc_type,
            elements,
            status: mso.status,
            valid_until: mso.valid_until.min(signer.not_after()),
            device_key: mso.device_key,
        })
    }
}

impl fmt::Debug for Document {
    /// Without what is said of a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("doc_type", &self.doc_type).finish_non_exhaustive()
    }
}

/// `IssuerNameSpaces`: each item once, under a number of its own.
fn signed_items(namespaces: &Item<'_>, limits: &Limits) -> Result<Vec<SignedItem>, MdocError> {
    let namespaces = namespaces.map().ok_or(MdocError::Form("`nameSpaces` is a map"))?;
    let mut items = Vec::new();
    for (namespace, of_namespace) in namespaces.iter() {
        let namespace = namespace.text().ok_or(MdocError::Form("a name space is a text"))?;
        let of_namespace = of_namespace.array().ok_or(MdocError::Form("a name space has an array of items"))?;
        let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
        for item in of_namespace {
            let item = SignedItem::read(namespace, item, limits)?;
            if !names.insert(item.name.clone()) {
                return Err(MdocError::ElementTwice { element: item.name });
            }
            if !numbers.insert(item.digest_id) {
                return Err(MdocError::DigestTwice { namespace: namespace.to_owned() });
            }
            items.push(item);
        }
    }
    Ok(items)
}

impl SignedItem {
    fn read(namespace: &str, item: &Item<'_>, limits: &Limits) -> Result<Self, MdocError> {
        let bytes = item.embedded().ok_or(MdocError::Form("an item is embedded CBOR"))?;
        let content = cbor::read(bytes, limits)?;
        let content = content.map().ok_or(MdocError::Form("an item is a map"))?;
        let digest_id = content.get("digestID").and_then(Item::integer).and_then(|id| u64::try_from(id).ok());
        let name = content.get("elementIdentifier").and_then(Item::text);
        content.get("random").and_then(Item::bytes).ok_or(MdocError::Form("`random` is a byte string"))?;
        let value = content.get("elementValue").ok_or(MdocError::Form("`elementValue` is missing"))?;
        Ok(Self {
            namespace: namespace.to_owned(),
            digest_id: digest_id.ok_or(MdocError::Form("`digestID` is a number"))?,
            name: name.ok_or(MdocError::Form("`elementIdentifier` is a text"))?.to_owned(),
            value: element::json(value),
            raw: item.raw().to_vec(),
        })
    }
}

impl DeviceSigned {
    fn read(signed: &Item<'_>, limits: &Limits) -> Result<Self, MdocError> {
        let signed = signed.map().ok_or(MdocError::Form("`deviceSigned` is a map"))?;
        let namespaces = signed.get("nameSpaces").ok_or(MdocError::Form("`nameSpaces` of the device is missing"))?;
        let bytes = namespaces.embedded().ok_or(MdocError::Form("`nameSpaces` of the device is embedded CBOR"))?;
        let content = cbor::read(bytes, limits)?;
        let content = content.map().ok_or(MdocError::Form("the device's name spaces are a map"))?;
        let mut elements = Vec::new();
        for (namespace, of_namespace) in content.iter() {
            let namespace = namespace.text().ok_or(MdocError::Form("a name space is a text"))?;
            let of_namespace = of_namespace.map().ok_or(MdocError::Form("the device's elements are a map"))?;
            for (name, _) in of_namespace.iter() {
                let name = name.text().ok_or(MdocError::Form("an element is named by a text"))?;
                elements.push((namespace.to_owned(), name.to_owned()));
            }
        }
        let auth = signed.get("deviceAuth").and_then(Item::map).ok_or(MdocError::NoDeviceAuth)?;
        let auth = match (auth.get("deviceSignature"), auth.get("deviceMac")) {
            (Some(signature), None) => {
                DeviceAuth::Signature(Sign1::from_item(signature, limits).map_err(MdocError::DeviceAuth)?)
            }
            (None, Some(mac)) => DeviceAuth::Mac(Mac0::from_item(mac, limits).map_err(MdocError::DeviceAuth)?),
            (Some(_), Some(_)) => return Err(MdocError::Form("a device signs, or sends a tag, and not both")),
            (None, None) => return Err(MdocError::NoDeviceAuth),
        };
        Ok(Self { raw: namespaces.raw().to_vec(), elements, auth })
    }

    /// That the issuer lets the device sign each element that it signs.
    fn check_authorised(&self, mso: &MobileSecurityObject<'_>) -> Result<(), MdocError> {
        match self.elements.iter().find(|(namespace, name)| !mso.may_sign(namespace, name)) {
            Some((namespace, element)) => {
                Err(MdocError::NotAuthorised { namespace: namespace.clone(), element: element.clone() })
            }
            None => Ok(()),
        }
    }

    /// ISO/IEC 18013-5, 9.1.3.
    fn check_auth(&self, doc_type: &str, device_key: &PublicKey, expected: &Expected<'_>) -> Result<(), MdocError> {
        let message = device_authentication(expected.transcript, doc_type, &self.raw);
        match &self.auth {
            DeviceAuth::Signature(signature) => {
                signature.verify_detached(device_key, &message).map_err(MdocError::DeviceAuth)
            }
            DeviceAuth::Mac(mac) => {
                let key = mac_key(expected.reader_key.ok_or(MdocError::NoReaderKey)?, device_key, expected.transcript)?;
                mac.verify_detached(&key, &message).map_err(MdocError::DeviceAuth)
            }
        }
    }
}

/// Both say the same of what the document is.
fn check_type(doc_type: &str, mso: &MobileSecurityObject<'_>) -> Result<(), MdocError> {
    if mso.doc_type == doc_type {
        return Ok(());
    }
    Err(MdocError::DocType { document: doc_type.to_owned(), signed: mso.doc_type.to_owned() })
}

/// `DeviceAuthenticationBytes` (ISO/IEC 18013-5, 9.1.3.4). The name spaces are the bytes that the device sent.
pub(crate) fn device_authentication(transcript: &SessionTranscript, doc_type: &str, namespaces: &[u8]) -> Vec<u8> {
    const ARRAY_OF_FOUR: u8 = 0x84;
    let mut content = vec![ARRAY_OF_FOUR];
    content.extend(encode(&Value::from("DeviceAuthentication")));
    content.extend_from_slice(transcript.as_bytes());
    content.extend(encode(&Value::from(doc_type)));
    content.extend_from_slice(namespaces);
    encode(&embed(content))
}

/// `EMacKey` (ISO/IEC 18013-5, 9.1.3.5), from either side of the agreement.
pub(crate) fn mac_key(
    own: &DecryptionKey,
    other: &PublicKey,
    transcript: &SessionTranscript,
) -> Result<Zeroizing<[u8; 32]>, MdocError> {
    let secret = own.agree(other).map_err(MdocError::ReaderKey)?;
    let salt = sha256(&encode(&embed(transcript.as_bytes().to_vec())));
    let mut key = Zeroizing::new([0; 32]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(secret.as_slice());
    let filled =
        extracted.expand(&[b"EMacKey"], hkdf::HKDF_SHA256).and_then(|expanded| expanded.fill(key.as_mut_slice()));
    filled.map_err(|_| MdocError::ReaderKey(JoseError::Crypto))?;
    Ok(key)
}

/// Versions 1.0 and, of the second edition, 1.1.
fn check_version(version: Option<&Item<'_>>, of: &'static str) -> Result<(), MdocError> {
    match version.and_then(Item::text) {
        Some(version) if version.starts_with("1.") => Ok(()),
        _ => Err(MdocError::Version(of)),
    }
}

/// A driving licence is signed by a certificate made for that alone (ISO/IEC 18013-5, table B.3). For other documents a
/// certificate that names its purposes must name one of a document signer.
fn check_purpose(signer: &Certificate, doc_type: &str) -> Result<(), MdocError> {
    let fits = match signer.purposes() {
        Some(purposes) if doc_type == MDL => purposes.iter().any(|purpose| purpose == DOCUMENT_SIGNER),
        Some(purposes) => {
            purposes.iter().any(|purpose| [DOCUMENT_SIGNER, OTHER_DOCUMENT_SIGNER].contains(&purpose.as_str()))
        }
        None => doc_type != MDL,
    };
    if fits { Ok(()) } else { Err(MdocError::SignerPurpose) }
}
