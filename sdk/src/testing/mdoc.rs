//! An issuer of mdocs, and the device of a holder that can be told to get one thing wrong: for tests and for development.

use super::{
    authority::{Authority, Leaf},
    wallet::{Request, scalar},
};
use crate::{
    env::Env,
    limits::Limits,
    protocol::{
        cbor::{Value, embed, encode, object},
        cose,
        jose::{DecryptionKey, JoseError, PublicKey, SigningKey, base64url_encode},
        mdoc::{
            MdocError, SessionTranscript, annex_c, device_authentication,
            issue::{IssuerSigned, NewDocument, SALT_BYTES, by_namespace},
            mac_key,
        },
        status_list::{
            Published, Statuses,
            cwt::{IDENTIFIER_LIST_MEDIA_TYPE, MEDIA_TYPE},
        },
    },
    time::UnixTime,
};

/// One thing that a device gets wrong. What belongs together stays right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The session is that of another nonce.
    WrongNonce,
    /// The session is that of another verifier.
    WrongAudience,
    /// The session names the verifier without the prefix of its client identifier.
    AudienceWithoutPrefix,
    /// The session is that of another response address.
    WrongResponseUri,
    /// The session is that of an answer in clear, or encrypted to another key.
    WrongThumbprint,
    /// The session is that of the Digital Credentials API.
    DcApiSession,
    /// The device signs with a key that the document was not issued to.
    ForeignDeviceKey,
    /// The device's signature is broken.
    DeviceSignatureBroken,
    /// The device sends a tag, agreed on with a key that nobody offered.
    DeviceMac,
    /// The device authenticates nothing.
    NoDeviceAuth,
    /// The device signs an element of its own, which its issuer has not allowed unless the document says so.
    DeviceElement,
    /// The issuer's signature is broken.
    IssuerSignatureBroken,
    /// The value of the last element is another one.
    ValueChanged,
    /// The last element is there twice.
    ElementTwice,
    /// The last element that was asked for is not shown.
    MissingElement,
    /// The document says that it is another one than its issuer signed.
    OtherDocType,
    /// Two documents in one response.
    TwoDocuments,
    /// The response says that the device failed.
    StatusNotOk,
    /// A byte after the response.
    Trailing,
    /// A response of a thousand arrays in each other.
    TooDeep,
    /// A response that says it has 2^64-1 elements.
    LengthBomb,
    /// A response of 300 000 bytes.
    Oversize,
}

/// A document to be issued.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credential {
    /// Its type.
    pub doc_type: String,
    /// What it says: name space, element, value.
    pub elements: Vec<(String, String, Value)>,
    /// When it was signed.
    pub signed: UnixTime,
    /// From when it holds.
    pub valid_from: UnixTime,
    /// Until when it holds.
    pub valid_until: UnixTime,
    /// Where its status stands: the `status` of the security object.
    pub status: Option<Value>,
    /// The name spaces that the device may sign elements of.
    pub authorised: Vec<String>,
}

impl Credential {
    /// A document that was signed at `signed`, holds for thirty days and says nothing yet.
    #[must_use]
    pub fn new(doc_type: &str, signed: UnixTime) -> Self {
        Self {
            doc_type: doc_type.to_owned(),
            elements: Vec::new(),
            signed,
            valid_from: signed,
            valid_until: signed.plus_s(30 * 24 * 3600),
            status: None,
            authorised: Vec::new(),
        }
    }

    /// Also says this.
    #[must_use]
    pub fn says(mut self, namespace: &str, element: &str, value: impl Into<Value>) -> Self {
        self.elements.push((namespace.to_owned(), element.to_owned(), value.into()));
        self
    }

    /// Has this entry in a token status list.
    #[must_use]
    pub fn status_index(mut self, uri: &str, index: u64) -> Self {
        self.status = Some(object([("status_list", object([("idx", index.into()), ("uri", uri.into())]))]));
        self
    }

    /// Has this identifier in an identifier list.
    #[must_use]
    pub fn status_id(mut self, uri: &str, id: &[u8]) -> Self {
        let id = Value::Bytes(id.to_vec());
        self.status = Some(object([("identifier_list", object([("id", id), ("uri", uri.into())]))]));
        self
    }
}

/// A date as an element has it, such as `1984-05-17`.
#[must_use]
pub fn full_date(date: &str) -> Value {
    Value::Tag(1004, Box::new(date.into()))
}

/// Issues mdocs, and says which of them still hold.
#[derive(Clone, Debug)]
pub struct Issuer {
    key: SigningKey,
    chain: Vec<Vec<u8>>,
}

impl Issuer {
    /// A document signer with a certificate: `chain` is DER, leaf first, without the root.
    #[must_use]
    pub const fn new(key: SigningKey, chain: Vec<Vec<u8>>) -> Self {
        Self { key, chain }
    }

    /// A document signer below this authority (an IACA), with a certificate made for that.
    #[must_use]
    pub fn below(authority: &Authority, now: UnixTime) -> Self {
        let (key, chain) = authority.issue(&Leaf::new("Firsthand Development Document Signer", now).signs_documents());
        Self { key, chain }
    }

    /// The document, as the device of its holder keeps it.
    ///
    /// # Errors
    /// If signing fails.
    pub fn issue(&self, credential: &Credential, holder: SigningKey, env: &dyn Env) -> Result<Held, JoseError> {
        let new = NewDocument {
            doc_type: &credential.doc_type,
            elements: &credential.elements,
            device_key: holder.public_key(),
            signed: credential.signed,
            valid_from: credential.valid_from,
            valid_until: credential.valid_until,
            status: credential.status.clone(),
            authorised: &credential.authorised,
        };
        let mut salt = || {
            let mut salt = [0; SALT_BYTES];
            env.fill(&mut salt);
            salt
        };
        Ok(Held { signed: new.sign(&self.key, &self.chain, &mut salt)?, key: holder })
    }

    /// The status list (`application/statuslist+cwt`) for `uri`, of 1024 entries: those in `revoked` are invalid.
    ///
    /// # Errors
    /// If signing fails.
    pub fn status_list_token(&self, uri: &str, published: &Published, revoked: &[u64]) -> Result<Vec<u8>, JoseError> {
        let mut list = Statuses::new(1, 1024).ok_or(JoseError::Crypto)?;
        for index in revoked {
            list.set(*index, 1);
        }
        let list = object([("bits", 1.into()), ("lst", Value::Bytes(list.zlib()?))]);
        self.token(MEDIA_TYPE, uri, published, (65533, list))
    }

    /// The identifier list (`application/identifierlist+cwt`) for `uri`: who stands in it is revoked.
    ///
    /// # Errors
    /// If signing fails.
    pub fn identifier_list_token(
        &self,
        uri: &str,
        published: &Published,
        revoked: &[&[u8]],
    ) -> Result<Vec<u8>, JoseError> {
        let ids = revoked.iter().map(|id| (Value::Bytes(id.to_vec()), Value::Map(Vec::new()))).collect();
        self.token(IDENTIFIER_LIST_MEDIA_TYPE, uri, published, (65530, object([("identifiers", Value::Map(ids))])))
    }

    /// A status token of whatever a test wants it to say.
    ///
    /// # Errors
    /// If signing fails.
    pub fn token(&self, typ: &str, uri: &str, published: &Published, list: (i64, Value)) -> Result<Vec<u8>, JoseError> {
        let claims = [
            (2, uri.into()),
            (6, published.at.as_secs().into()),
            (4, published.expires_at.as_secs().into()),
            (65534, published.ttl_s.into()),
            list,
        ];
        let claims = Value::Map(claims.into_iter().map(|(label, value)| (label.into(), value)).collect());
        let protected = coset::HeaderBuilder::new().value(16, typ.into()).build();
        let token = cose::sign1(&self.key, protected, cose::x5chain(&self.chain), &encode(&claims), true)?;
        Ok(encode(&Value::Tag(18, Box::new(token))))
    }
}

/// What came from an issuer.
pub(super) struct Received {
    pub(super) held: Held,
    /// What it says: name spaces of elements.
    pub(super) says: serde_json::Value,
    /// The certificates of its signer.
    pub(super) chain: Vec<Vec<u8>>,
}

/// A document in the hands of its holder.
#[derive(Clone, Debug)]
pub struct Held {
    signed: IssuerSigned,
    key: SigningKey,
}

impl Held {
    /// Keeps what an issuer handed over (an encoded `IssuerSigned`) for this key, and reads what it says.
    ///
    /// # Errors
    /// If it is none, for another key, or not as its issuer signed it.
    pub(super) fn received(issued: &[u8], key: SigningKey) -> Result<Received, MdocError> {
        let (signed, says, chain) = IssuerSigned::receive(issued, key.public_key(), &Limits::default())?;
        Ok(Received { held: Self { signed, key }, says, chain })
    }

    /// What it is.
    #[must_use]
    pub fn doc_type(&self) -> &str {
        &self.signed.doc_type
    }

    /// As its issuer handed it over: an encoded `IssuerSigned`.
    #[must_use]
    pub fn issued(&self) -> Vec<u8> {
        self.signed.encode()
    }

    /// What a `vp_token` has for a request that came by redirects, showing these elements of each name space.
    ///
    /// # Errors
    /// If signing fails.
    pub fn present(
        &self,
        request: &Request,
        elements: &[(&str, &str)],
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<String, MdocError> {
        let faulty = |fault| faults.contains(&fault);
        let nonce = if faulty(Fault::WrongNonce) { "another-nonce" } else { &request.nonce };
        let client_id = match request.client_id.as_str() {
            _ if faulty(Fault::WrongAudience) => "x509_san_dns:another.example",
            own if faulty(Fault::AudienceWithoutPrefix) => own.split_once(':').map_or(own, |(_, name)| name),
            own => own,
        };
        let response_uri =
            if faulty(Fault::WrongResponseUri) { "https://another.example/" } else { request.response_uri.as_str() };
        let thumbprint = match &request.encryption {
            Some((jwk, _)) => {
                let coordinates = jwk.as_object().ok_or(MdocError::Form("a key is an object"))?;
                let key = PublicKey::from_jwk_coordinates(coordinates).map_err(MdocError::ReaderKey)?;
                Some(*key.thumbprint().as_bytes())
            }
            None => None,
        };
        let thumbprint = match thumbprint {
            Some(_) if faulty(Fault::WrongThumbprint) => None,
            None if faulty(Fault::WrongThumbprint) => Some([7; 32]),
            right => right,
        };
        let transcript = if faulty(Fault::DcApiSession) {
            SessionTranscript::dc_api("https://shop.example", nonce, thumbprint.as_ref())
        } else if let Some(origin) = &request.origin {
            let origin = if faulty(Fault::WrongAudience) { "https://another.example" } else { origin };
            SessionTranscript::dc_api(origin, nonce, thumbprint.as_ref())
        } else {
            SessionTranscript::openid4vp(client_id, nonce, thumbprint.as_ref(), response_uri)
        };
        Ok(base64url_encode(&self.device_response(&transcript, elements, faults, env)?))
    }

    /// The `response` of an answer by `org-iso-mdoc`, sealed to the key of the request.
    ///
    /// # Errors
    /// If signing or sealing fails.
    pub fn present_sealed(
        &self,
        transcript: &SessionTranscript,
        to: &PublicKey,
        elements: &[(&str, &str)],
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<String, MdocError> {
        let response = self.device_response(transcript, elements, faults, env)?;
        let ephemeral = DecryptionKey::from_scalar(&scalar(env), "").map_err(MdocError::ReaderKey)?;
        annex_c::seal(&response, &ephemeral, to, transcript).map_err(MdocError::ReaderKey)
    }

    /// The encoded `DeviceResponse` over this session, signed by the device.
    ///
    /// # Errors
    /// If signing fails.
    pub fn device_response(
        &self,
        transcript: &SessionTranscript,
        elements: &[(&str, &str)],
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<Vec<u8>, MdocError> {
        self.authenticated(transcript, None, elements, faults, env)
    }

    /// The same with a tag that device and reader agreed on (ISO/IEC 18013-5, 9.1.3.5). Both sides of an agreement come to the
    /// same secret; here it is the reader's.
    ///
    /// # Errors
    /// If the keys are on different curves.
    pub fn device_response_by_tag(
        &self,
        transcript: &SessionTranscript,
        reader: &DecryptionKey,
        elements: &[(&str, &str)],
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<Vec<u8>, MdocError> {
        self.authenticated(transcript, Some(reader), elements, faults, env)
    }

    fn authenticated(
        &self,
        transcript: &SessionTranscript,
        reader: Option<&DecryptionKey>,
        elements: &[(&str, &str)],
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<Vec<u8>, MdocError> {
        let faulty = |fault| faults.contains(&fault);
        if let Some(bomb) = bomb(faults) {
            return Ok(bomb);
        }
        let asked = |(namespace, element, _): &&(String, String, Value)| {
            elements.iter().any(|(ns, name)| ns == namespace && name == element)
        };
        let mut shown: Vec<(String, Value)> = self
            .signed
            .items
            .iter()
            .filter(asked)
            .map(|(namespace, _, item)| (namespace.clone(), item.clone()))
            .collect();
        if faulty(Fault::MissingElement) {
            shown.pop();
        }
        if let (true, Some(last)) = (faulty(Fault::ElementTwice), shown.last().cloned()) {
            shown.push(last);
        }
        if let (true, Some((_, Value::Tag(_, item)))) = (faulty(Fault::ValueChanged), shown.last_mut())
            && let Value::Bytes(bytes) = &mut **item
            && let Some(last) = bytes.last_mut()
        {
            // `true` becomes `false`, one letter another.
            *last ^= 1;
        }
        let namespaces = by_namespace(shown.iter().map(|(namespace, item)| (namespace.as_str(), item.clone())));
        let mut issuer_auth = self.signed.issuer_auth.clone();
        if faulty(Fault::IssuerSignatureBroken) {
            bend(&mut issuer_auth);
        }
        let doc_type = if faulty(Fault::OtherDocType) { "org.example.another" } else { self.doc_type() };
        let document = object([
            ("docType", doc_type.into()),
            ("issuerSigned", object([("nameSpaces", namespaces), ("issuerAuth", issuer_auth)])),
            ("deviceSigned", self.device_signed(transcript, reader, doc_type, faults, env)?),
        ]);
        let documents = if faulty(Fault::TwoDocuments) { vec![document.clone(), document] } else { vec![document] };
        let mut response = encode(&object([
            ("version", "1.0".into()),
            ("documents", Value::Array(documents)),
            ("status", if faulty(Fault::StatusNotOk) { 10.into() } else { 0.into() }),
        ]));
        if faulty(Fault::Trailing) {
            response.push(0);
        }
        Ok(response)
    }

    fn device_signed(
        &self,
        transcript: &SessionTranscript,
        reader: Option<&DecryptionKey>,
        doc_type: &str,
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<Value, MdocError> {
        let faulty = |fault| faults.contains(&fault);
        let own = match faulty(Fault::DeviceElement) {
            true => object([("org.example.device", object([("battery", 90.into())]))]),
            false => Value::Map(Vec::new()),
        };
        let namespaces = embed(encode(&own));
        let message = device_authentication(transcript, doc_type, &encode(&namespaces));
        let device_auth = if faulty(Fault::NoDeviceAuth) {
            Value::Map(Vec::new())
        } else if faulty(Fault::DeviceMac) || reader.is_some() {
            let another = DecryptionKey::from_scalar(&scalar(env), "").map_err(MdocError::ReaderKey)?;
            let reader = reader.filter(|_| !faulty(Fault::DeviceMac)).unwrap_or(&another);
            let key = mac_key(reader, self.key.public_key(), transcript)?;
            object([("deviceMac", cose::mac0(&key, &message).map_err(MdocError::ReaderKey)?)])
        } else {
            let foreign;
            let key = if faulty(Fault::ForeignDeviceKey) {
                foreign = SigningKey::from_p256_scalar(&scalar(env)).map_err(MdocError::ReaderKey)?;
                &foreign
            } else {
                &self.key
            };
            let empty = coset::Header::default();
            let mut signature =
                cose::sign1(key, empty.clone(), empty, &message, false).map_err(MdocError::ReaderKey)?;
            if faulty(Fault::DeviceSignatureBroken) {
                bend(&mut signature);
            }
            object([("deviceSignature", signature)])
        };
        Ok(object([("nameSpaces", namespaces), ("deviceAuth", device_auth)]))
    }
}

/// What is no response at all, but an attack on its reader.
fn bomb(faults: &[Fault]) -> Option<Vec<u8>> {
    let is = |fault| faults.contains(&fault);
    if is(Fault::TooDeep) {
        Some(vec![0x81; 1000])
    } else if is(Fault::LengthBomb) {
        Some([vec![0xbb], vec![0xff; 8]].concat())
    } else if is(Fault::Oversize) {
        Some(encode(&object([("version", "1.0".into()), ("more", Value::Bytes(vec![0; 300_000]))])))
    } else {
        None
    }
}

/// Changes one bit of the signature of a `COSE_Sign1`.
fn bend(signed: &mut Value) {
    if let Value::Array(parts) = signed
        && let Some(Value::Bytes(signature)) = parts.last_mut()
        && let Some(first) = signature.first_mut()
    {
        *first ^= 1;
    }
}
