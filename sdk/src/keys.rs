//! The merchant's keys: the identities that sign requests, and the secrets that everything stored is sealed under.
//!
//! Each kind has a current one and previous ones, so that each can be renewed while answers to older requests still
//! come in and older records are still read. `firsthand keys` makes, checks and renews them.
//!
//! # The file
//!
//! A PEM text; what stands between the blocks is for people.
//!
//! - `PRIVATE KEY`: a P-256 signing key in PKCS#8, followed by its `CERTIFICATE`s, leaf first, without the root (HAIP
//!   forbids it in `x5c`). The first key with certificates is the current one; a key without certificates waits for
//!   them.
//! - `FIRSTHAND ROOT SECRET`: 32 random bytes. The first one is current.
//! - `FIRSTHAND NEXT ROOT SECRET`: the same for the one that will be current; it reads already.
//! - `FIRSTHAND DEVELOPMENT CA`: a certificate, and the mark of keys that no merchant may use.
//!
//! Whoever reads this file can pretend to be the merchant and open every sealed record.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use zeroize::Zeroizing;

use crate::protocol::{
    jose::{self, JoseError, SigningKey},
    x509::{Certificate, X509Error},
};

mod check;
mod file;
#[cfg(feature = "cli")]
mod request;

pub use check::Report;
pub use file::KeysFile;
#[cfg(feature = "cli")]
pub use request::signing_request;

/// Why keys cannot be used, or something sealed not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file cannot be read.
    #[error("cannot read {}: make one with `firsthand keys new`, or check that this user may read it", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A block of another kind.
    #[error("a block {0:?} has no place in a keys file")]
    Block(String),
    /// A private key that is not PKCS#8.
    #[error("a key must be a PRIVATE KEY in PKCS#8: convert it with `openssl pkcs8 -topk8 -nocrypt`")]
    NotPkcs8,
    /// A certificate before any key.
    #[error("a certificate stands before any key: each key is followed by its certificates")]
    CertificateWithoutKey,
    /// A root secret of another length.
    #[error("a root secret has {found} bytes instead of 32")]
    RootSecretLength {
        /// How many it has.
        found: usize,
    },
    /// More keys or secrets than anybody renews.
    #[error("more than {max} {what}: remove the oldest")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// No root secret.
    #[error("there is no root secret: add one with `firsthand keys rotate-root`")]
    NoRootSecret,
    /// No signing key.
    #[error("there is no signing key: add one with `firsthand keys rotate-signing`")]
    NoSigningKey,
    /// No signing key has certificates yet.
    #[error(
        "the signing key has no certificate yet: send its request (.csr) to an access certificate authority, then run \
         `firsthand keys add-certificate`"
    )]
    NoCertificate,
    /// The leaf is of another key.
    #[error("the first certificate after a key must be that key's")]
    KeyMismatch,
    /// Certificates for none of the keys.
    #[error("the first certificate belongs to none of the keys in the file")]
    CertificateOfAnotherKey,
    /// The certificates are in the file already.
    #[error("these certificates are in the file already")]
    CertificateKnown,
    /// A self-signed leaf.
    #[error("the certificate is self-signed, which wallets refuse: an access certificate authority must issue it")]
    SelfSigned,
    /// A root in the chain.
    #[error("the chain contains a root, which wallets refuse: leave it out")]
    RootInChain,
    /// The chain is not a chain.
    #[error("certificate {position} was not issued by the one after it: leaf first, then its issuers in order")]
    ChainOrder {
        /// Which, the leaf being 0.
        position: usize,
    },
    /// The leaf may issue certificates.
    #[error("the first certificate is that of an authority, not the merchant's")]
    LeafIsAuthority,
    /// What was to be opened has another form.
    #[error("not a sealed value")]
    Sealed,
    /// It was sealed under a root secret that is not here.
    #[error("sealed under a root secret that is no longer in the keys file")]
    UnknownRoot,
    /// It was changed, or sealed for another purpose or another record.
    #[error("the sealed value was changed, or belongs elsewhere")]
    Opened,
    /// A new key could not be made.
    #[error("a new key could not be made")]
    Generate,
    /// An origin without a host name.
    #[error("{0} has no host name that a certificate could name")]
    Origin(String),
    /// A key is of another kind.
    #[error("the signing key is not a P-256 key in PKCS#8")]
    Jose(#[from] JoseError),
    /// A certificate or the PEM text is damaged.
    #[error(transparent)]
    X509(#[from] X509Error),
}

impl KeysError {
    /// A stable name of the check that failed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "keys_read",
            Self::Block(_) => "keys_block",
            Self::NotPkcs8 => "keys_not_pkcs8",
            Self::CertificateWithoutKey => "keys_certificate_without_key",
            Self::RootSecretLength { .. } => "keys_root_secret_length",
            Self::TooMany { .. } => "keys_too_many",
            Self::NoRootSecret => "keys_no_root_secret",
            Self::NoSigningKey => "keys_no_signing_key",
            Self::NoCertificate => "keys_no_certificate",
            Self::KeyMismatch => "keys_key_mismatch",
            Self::CertificateOfAnotherKey => "keys_certificate_of_another_key",
            Self::CertificateKnown => "keys_certificate_known",
            Self::SelfSigned => "keys_self_signed",
            Self::RootInChain => "keys_root_in_chain",
            Self::ChainOrder { .. } => "keys_chain_order",
            Self::LeafIsAuthority => "keys_leaf_is_authority",
            Self::Sealed => "sealed_form",
            Self::UnknownRoot => "sealed_unknown_root",
            Self::Opened => "sealed_changed",
            Self::Generate => "keys_generate",
            Self::Origin(_) => "keys_origin",
            Self::Jose(_) => "keys_signing_key",
            Self::X509(error) => error.code(),
        }
    }
}

/// A signing key with its certificates.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
    leaf: Certificate,
    chain: Vec<Certificate>,
}

impl Identity {
    /// The signing key.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Its certificates, leaf first, without the root: what goes into `x5c`.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The certificate of the key itself.
    #[must_use]
    pub const fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// What a wallet would refuse is refused before it is sent (HAIP 1.0 5.1). Validity is not asked: nobody knows the
    /// time here.
    fn new(key: SigningKey, chain: Vec<Certificate>) -> Result<Self, KeysError> {
        let leaf = chain.first().ok_or(KeysError::NoCertificate)?.clone();
        if leaf.public_key()? != *key.public_key() {
            return Err(KeysError::KeyMismatch);
        }
        check_chain(&chain)?;
        Ok(Self { key, leaf, chain })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("key", &"[redacted]").field("chain", &self.chain).finish()
    }
}

/// Signing identities and root secrets, the current one of each first. Cheap to clone; wiped when dropped.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    identities: Vec<Identity>,
    root: Root,
    previous: Vec<Root>,
    development_ca: Option<Certificate>,
}

impl Keys {
    /// Reads the file that `firsthand keys` made; warns in the log if other users may read it.
    ///
    /// # Errors
    /// If it cannot be read, or as [`from_pem`](Self::from_pem).
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, KeysError> {
        let path = path.as_ref();
        let pem = fs::read_to_string(path).map_err(|source| KeysError::Read { path: path.to_owned(), source })?;
        let pem = Zeroizing::new(pem);
        if is_readable_by_others(path) {
            tracing::warn!(path = %path.display(), "other users can read the merchant's keys: chmod 600");
        }
        Self::from_pem(&pem)
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// What is missing or does not fit, and what to do.
    pub fn from_pem(pem: &str) -> Result<Self, KeysError> {
        KeysFile::parse(pem)?.into_keys()
    }

    /// The identity that signs new requests.
    #[must_use]
    #[expect(clippy::expect_used, reason = "there is no other way to make keys than to check that one is there")]
    pub fn identity(&self) -> &Identity {
        self.0.identities.first().expect("keys have an identity")
    }

    /// The current identity and the previous ones.
    #[must_use]
    pub fn identities(&self) -> &[Identity] {
        &self.0.identities
    }

    /// The identity whose leaf has this SHA-256: the one that an older request was signed by.
    #[must_use]
    pub fn identity_by_leaf(&self, sha256: &[u8; 32]) -> Option<&Identity> {
        self.0.identities.iter().find(|identity| identity.leaf.fingerprint() == *sha256)
    }

    /// A secret for one purpose, of the current root secret (HKDF-SHA256). Another purpose or another `info` gives
    /// another secret, and none tells anything about the others.
    #[must_use]
    pub fn derive(&self, purpose: &str, info: &[u8]) -> [u8; 32] {
        self.0.root.derive(purpose, info)
    }

    /// The same of every root secret, the current one first: to recognise what was made under a previous one.
    #[must_use]
    pub fn derive_all(&self, purpose: &str, info: &[u8]) -> Vec<[u8; 32]> {
        self.roots().map(|root| root.derive(purpose, info)).collect()
    }

    /// Seals a value for the record `aad` (AES-256-GCM under a key of its own for each purpose and record). `random` is
    /// 12 fresh bytes. Text in base64url that names its root secret, and says nothing else.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a key and a nonce of the right length, and no plaintext of 64 GiB")]
    pub fn seal(&self, purpose: &str, aad: &[u8], plaintext: &[u8], random: [u8; NONCE_LEN]) -> String {
        let root = &self.0.root;
        let mut text = Zeroizing::new(plaintext.to_vec());
        let nonce = Nonce::assume_unique_for_key(random);
        let tag = root
            .aead(purpose, aad)
            .and_then(|key| key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut text).ok())
            .expect("AES-256-GCM seals");
        jose::base64url_encode(&[&[SEALED_V1], &root.id[..], &random, &text[..], tag.as_ref()].concat())
    }

    /// Opens what [`seal`](Self::seal) made for the same purpose and the same record, under the current root secret or
    /// a previous one.
    ///
    /// # Errors
    /// If it has another form, was changed or moved, or its root secret is not here any more.
    pub fn open(&self, purpose: &str, aad: &[u8], sealed: &str) -> Result<Vec<u8>, KeysError> {
        let bytes = jose::base64url_decode(sealed).map_err(|_| KeysError::Sealed)?;
        let (&version, rest) = bytes.split_first().ok_or(KeysError::Sealed)?;
        let (id, rest) = rest.split_first_chunk::<ID_LEN>().ok_or(KeysError::Sealed)?;
        let (&nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(KeysError::Sealed)?;
        if version != SEALED_V1 {
            return Err(KeysError::Sealed);
        }
        let root = self.roots().find(|root| root.id == *id).ok_or(KeysError::UnknownRoot)?;
        let mut text = rest.to_vec();
        let opened = root.aead(purpose, aad).ok_or(KeysError::Opened)?.open_in_place(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut text,
        );
        let length = opened.map_err(|_| KeysError::Opened)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// How many root secrets there are, the current one and previous ones.
    pub(crate) fn roots_len(&self) -> usize {
        1 + self.0.previous.len()
    }

    /// Whether they were made for development: known to be unfit for customers.
    #[must_use]
    pub fn are_development(&self) -> bool {
        let of_development = |certificate: &Certificate| certificate.issuer().contains(DEVELOPMENT_CA_NAME);
        self.0.development_ca.is_some()
            || self.0.identities.iter().any(|identity| identity.chain.iter().any(of_development))
    }

    /// The authority that issued the development identity: what a development wallet trusts.
    #[must_use]
    pub fn development_ca(&self) -> Option<&Certificate> {
        self.0.development_ca.as_ref()
    }

    fn roots(&self) -> impl Iterator<Item = &Root> {
        std::iter::once(&self.0.root).chain(&self.0.previous)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("identities", &self.0.identities)
            .field("roots", &format_args!("[redacted; {}]", self.roots_len()))
            .finish()
    }
}

/// How the authority of development identities is called.
pub(crate) const DEVELOPMENT_CA_NAME: &str = "Firsthand Development Access CA";

/// The first byte of what is sealed.
const SEALED_V1: u8 = 1;
/// Enough to tell a merchant's root secrets apart, and nobody else's.
const ID_LEN: usize = 8;

/// A root secret, extracted once; the library wipes it.
struct Root {
    secret: hkdf::Prk,
    id: [u8; ID_LEN],
}

impl Root {
    fn new(secret: &[u8; 32]) -> Self {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"firsthand keys 1").extract(secret);
        let mut id = [0; ID_LEN];
        for (to, from) in id.iter_mut().zip(expand(&secret, "root id", &[])) {
            *to = from;
        }
        Self { secret, id }
    }

    fn derive(&self, purpose: &str, info: &[u8]) -> [u8; 32] {
        // Secrets that leave here and keys that seal never meet, whatever a purpose is called.
        expand(&self.secret, &format!("derive {purpose}"), info)
    }

    fn aead(&self, purpose: &str, aad: &[u8]) -> Option<LessSafeKey> {
        let key = Zeroizing::new(expand(&self.secret, &format!("seal {purpose}"), aad));
        UnboundKey::new(&AES_256_GCM, key.as_slice()).ok().map(LessSafeKey::new)
    }
}

/// HKDF-Expand (RFC 5869). The length before the label keeps label and info from running into each other.
#[expect(clippy::expect_used, reason = "32 bytes are far below the limit of HKDF-SHA256, whatever the input")]
fn expand(secret: &hkdf::Prk, label: &str, info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    secret
        .expand(&[&label.len().to_be_bytes(), label.as_bytes(), info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut out))
        .expect("HKDF gives 32 bytes");
    out
}

/// Whether certificates are a chain as wallets want it: leaf first, each issued by the next, no root.
fn check_chain(chain: &[Certificate]) -> Result<(), KeysError> {
    let leaf = chain.first().ok_or(KeysError::NoCertificate)?;
    if leaf.is_self_signed() {
        return Err(KeysError::SelfSigned);
    }
    if leaf.is_authority() {
        return Err(KeysError::LeafIsAuthority);
    }
    if chain.iter().any(Certificate::is_self_signed) {
        return Err(KeysError::RootInChain);
    }
    let pairs = chain.iter().zip(chain.iter().skip(1)).enumerate();
    match pairs.into_iter().find(|(_, (certificate, issuer))| !certificate.is_issued_by(issuer)) {
        Some((position, _)) => Err(KeysError::ChainOrder { position }),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::{
        testing::authority::{Authority, Leaf, certificate_pem, development_keys},
        time::UnixTime,
    };

    const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);
    const DAY_S: u64 = 24 * 60 * 60;

    /// A file of one root secret and one certified key, and the authority of that key.
    fn certified() -> (KeysFile, Authority) {
        let authority = Authority::new("Access CA", NOW);
        let mut file = KeysFile::generate([1; 32]).unwrap();
        certify(&mut file, &authority);
        (file, authority)
    }

    /// Certifies the key that waits, or else the current one anew.
    fn certify(file: &mut KeysFile, authority: &Authority) {
        file.install(&chain_for(file, authority)).unwrap();
    }

    fn chain_for(file: &KeysFile, authority: &Authority) -> String {
        let pkcs8 = file.waiting_key().unwrap_or(&file.identities[0].pkcs8);
        let key = SigningKey::from_pkcs8_der(pkcs8).unwrap();
        let leaf = Leaf::new("Shop", NOW).dns_name("shop.example").valid(NOW, NOW.plus_s(365 * DAY_S));
        pem(&authority.intermediate("Issuing CA", NOW).certify(&leaf, key.public_key()))
    }

    fn pem(chain: &[Vec<u8>]) -> String {
        chain.iter().map(|der| certificate_pem(der)).collect()
    }

    fn code(pem: &str) -> &'static str {
        Keys::from_pem(pem).map_or_else(|error| error.code(), |_| "")
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let (file, authority) = certified();
        let keys = Keys::from_pem(&file.to_pem()).unwrap();
        let identity = keys.identity();
        assert_eq!(identity.leaf().dns_names(), ["shop.example"]);
        assert_eq!(identity.leaf().public_key().unwrap(), *identity.key().public_key());
        assert_eq!(identity.chain().len(), 2, "the root stays out");
        assert!(identity.chain()[1].is_issued_by(&Certificate::from_der(authority.root_der()).unwrap()));
        assert!(!keys.are_development());
        let again = KeysFile::parse(&file.to_pem()).unwrap();
        assert_eq!(*again.to_pem(), *file.to_pem());
    }

    #[test]
    fn what_is_missing_is_said() {
        let (file, _) = certified();
        assert_eq!(code(""), "keys_no_signing_key");
        assert_eq!(code(&KeysFile::generate([1; 32]).unwrap().to_pem()), "keys_no_certificate");
        let mut rootless = file.clone();
        rootless.roots.clear();
        assert_eq!(code(&rootless.to_pem()), "keys_no_root_secret");
        assert_eq!(code(&file.to_pem()), "");
    }

    #[test]
    fn what_wallets_would_refuse_is_refused() {
        let (file, authority) = certified();
        let text = file.to_pem();
        let with_chain = |chain: &[Vec<u8>]| {
            let mut file = file.clone();
            file.identities[0].chain = chain.iter().map(|der| Certificate::from_der(der).unwrap()).collect();
            code(&file.to_pem())
        };
        let key = file.identities[0].key().unwrap();
        let leaf = || Leaf::new("Shop", NOW).dns_name("shop.example");
        let below = authority.intermediate("Issuing CA", NOW);
        let chain = below.certify(&leaf(), key.public_key());
        assert_eq!(with_chain(&chain), "");
        assert_eq!(with_chain(&chain[..1]), "");
        assert_eq!(with_chain(&[chain[1].clone(), chain[0].clone()]), "keys_key_mismatch");
        assert_eq!(with_chain(&[chain[0].clone(), chain[0].clone()]), "keys_chain_order");
        let root = authority.root_der().to_vec();
        assert_eq!(with_chain(&[chain[0].clone(), chain[1].clone(), root]), "keys_root_in_chain");
        let (_, foreign) = authority.issue(&leaf());
        assert_eq!(with_chain(&foreign), "keys_key_mismatch");
        let own = Authority::from_pkcs8("Shop", &file.identities[0].pkcs8, NOW);
        assert_eq!(with_chain(&[own.root_der().to_vec()]), "keys_self_signed");

        assert_eq!(code(&text.replace("PRIVATE KEY", "EC PRIVATE KEY")), "keys_not_pkcs8");
        assert_eq!(code(&text.replace("PRIVATE KEY", "PUBLIC KEY")), "keys_block");
        assert_eq!(code(&format!("{}{}", certificate_pem(&chain[0]), *text)), "keys_certificate_without_key");
        let short = pem_rfc7468::encode_string("FIRSTHAND ROOT SECRET", pem_rfc7468::LineEnding::LF, &[1; 16]).unwrap();
        assert_eq!(code(&format!("{}{short}", *text)), "keys_root_secret_length");
        assert_eq!(code(&text.replace("-----END FIRST", "-----END LAST")), "certificate_pem");
    }

    #[test]
    fn secrets_differ_by_purpose_information_and_root() {
        let keys = Keys::from_pem(&certified().0.to_pem()).unwrap();
        let all = [
            keys.derive("nonce", b"a"),
            keys.derive("nonce", b"b"),
            keys.derive("nonc", b"ea"),
            keys.derive("noncea", b""),
            keys.derive("did", b"a"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one));
        }
        assert_eq!(keys.derive("nonce", b"a"), all[0]);
        // The form is kept for ever: what was derived from it stands in merchants' stores.
        assert_eq!(jose::base64url_encode(&all[0]), "OnFMjVR2w_hA9q1EyF5pjr5K4KedjyIoGpn1tsB8dg0");
    }

    #[test]
    fn sealed_values_open_for_their_record_and_purpose_alone() {
        let keys = Keys::from_pem(&certified().0.to_pem()).unwrap();
        let sealed = keys.seal("claims", b"presentation/1", b"birthdate", [9; 12]);
        assert_eq!(keys.open("claims", b"presentation/1", &sealed).unwrap(), b"birthdate");
        let code = |purpose: &str, aad: &[u8], sealed: &str| keys.open(purpose, aad, sealed).unwrap_err().code();
        assert_eq!(code("claims", b"presentation/2", &sealed), "sealed_changed");
        assert_eq!(code("other", b"presentation/1", &sealed), "sealed_changed");
        let bytes = jose::base64url_decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let expected = match at {
                0 => "sealed_form",
                1..=8 => "sealed_unknown_root",
                _ => "sealed_changed",
            };
            assert_eq!(code("claims", b"presentation/1", &jose::base64url_encode(&changed)), expected, "byte {at}");
            let cut = keys.open("claims", b"presentation/1", &jose::base64url_encode(&bytes[..at]));
            assert!(cut.is_err(), "{at} bytes");
        }
        assert_eq!(code("claims", b"presentation/1", "not base64!"), "sealed_form");
        let empty = keys.seal("claims", b"", b"", [9; 12]);
        assert_eq!(keys.open("claims", b"", &empty).unwrap(), b"");
    }

    #[test]
    fn a_new_root_secret_seals_and_the_old_one_still_opens() {
        let (mut file, _) = certified();
        let before = Keys::from_pem(&file.to_pem()).unwrap();
        let sealed = before.seal("claims", b"1", b"text", [9; 12]);
        file.add_root_secret([2; 32]).unwrap();
        let after = Keys::from_pem(&file.to_pem()).unwrap();
        assert_eq!(after.open("claims", b"1", &sealed).unwrap(), b"text");
        assert_ne!(after.seal("claims", b"1", b"text", [9; 12]), sealed);
        assert_eq!(after.derive_all("nonce", b""), [after.derive("nonce", b""), before.derive("nonce", b"")]);
        assert_ne!(after.derive("nonce", b""), before.derive("nonce", b""));
        let newer = after.seal("claims", b"1", b"text", [9; 12]);
        assert_eq!(before.open("claims", b"1", &newer).unwrap_err().code(), "sealed_unknown_root");
        for more in 3..17 {
            file.add_root_secret([more; 32]).unwrap();
        }
        assert_eq!(file.add_root_secret([17; 32]).unwrap_err().code(), "keys_too_many");
        assert_eq!(file.prepare_root_secret([17; 32]).unwrap_err().code(), "keys_too_many");
    }

    #[test]
    fn a_new_identity_signs_and_the_old_one_is_still_found() {
        let (mut file, authority) = certified();
        let before = Keys::from_pem(&file.to_pem()).unwrap();
        file.add_signing_key().unwrap();
        let waiting = Keys::from_pem(&file.to_pem()).unwrap();
        assert_eq!(waiting.identity().leaf(), before.identity().leaf(), "until the certificate comes");
        certify(&mut file, &authority);
        let after = Keys::from_pem(&file.to_pem()).unwrap();
        assert_ne!(after.identity().key().public_key(), before.identity().key().public_key());
        let old = after.identity_by_leaf(&before.identity().leaf().fingerprint()).unwrap();
        assert_eq!(old.key().public_key(), before.identity().key().public_key());
        assert!(after.identity_by_leaf(&[0; 32]).is_none());

        // A renewed certificate of the same key: both are found.
        let renewed = chain_for(&file, &authority);
        file.install(&renewed).unwrap();
        let keys = Keys::from_pem(&file.to_pem()).unwrap();
        assert_eq!(keys.identities().len(), 3);
        assert_eq!(keys.identity().key().public_key(), after.identity().key().public_key());
        assert!(keys.identity_by_leaf(&after.identity().leaf().fingerprint()).is_some());
        assert_eq!(file.install(&renewed).unwrap_err().code(), "keys_certificate_known");
        let (_, foreign) = authority.issue(&Leaf::new("Other", NOW));
        assert_eq!(file.install(&pem(&foreign)).unwrap_err().code(), "keys_certificate_of_another_key");
    }

    #[test]
    fn the_next_root_secret_reads_before_it_seals() {
        let (mut file, _) = certified();
        let before = Keys::from_pem(&file.to_pem()).unwrap();
        assert!(!file.take_next_root_secret().unwrap());
        file.prepare_root_secret([2; 32]).unwrap();
        assert_eq!(file.prepare_root_secret([3; 32]).unwrap_err().code(), "keys_too_many");
        let text = file.to_pem();
        let between = Keys::from_pem(&text).unwrap();
        let mut file = KeysFile::parse(&text).unwrap();
        assert_eq!(*file.to_pem(), *text);
        assert!(file.take_next_root_secret().unwrap());
        let after = Keys::from_pem(&file.to_pem()).unwrap();

        let seal = |keys: &Keys| keys.seal("test", b"record", b"text", [1; 12]);
        let opens = |keys: &Keys, sealed: &str| keys.open("test", b"record", sealed).is_ok();
        assert!(opens(&before, &seal(&between)) && opens(&between, &seal(&before)));
        assert!(opens(&between, &seal(&after)) && opens(&after, &seal(&between)));
        assert!(!opens(&before, &seal(&after)), "which is why there are two steps");
        assert_eq!(between.derive("nonce", b""), before.derive("nonce", b""));
        assert_eq!(between.derive_all("nonce", b"").last(), Some(&after.derive("nonce", b"")));
        let twice = format!("{}{}", *text, text.split("\nThe next").nth(1).unwrap());
        assert_eq!(code(&twice), "keys_too_many");
    }

    #[test]
    fn the_check_says_what_to_do() {
        let (mut file, _) = certified();
        let origin: Url = "https://shop.example".parse().unwrap();
        let at = |file: &KeysFile, day: u64| file.check(Some(&origin), NOW.plus_s(day * DAY_S));
        let report = at(&file, 0);
        assert!(report.problems.is_empty() && report.warnings.is_empty(), "{report:?}");
        assert!(report.facts.iter().any(|fact| fact.contains("shop.example")));
        assert!(at(&file, 340).warnings[0].contains("expires in 25 days"));
        assert!(at(&file, 366).problems[0].contains("expired"));
        assert!(file.check(Some(&origin), NOW.minus_s(1)).problems[0].contains("not valid before"));
        let other = file.check(Some(&"https://other.example".parse().unwrap()), NOW);
        assert!(other.problems[0].contains("not for other.example"));
        file.add_signing_key().unwrap();
        assert!(at(&file, 0).warnings[0].contains(".csr"));
        assert!(KeysFile::default().check(None, NOW).problems[0].contains("no signing key"));
    }

    #[test]
    fn development_keys_are_known_as_such() {
        for (origin, names) in [("http://localhost:8080", &["localhost"][..]), ("http://127.0.0.1:8080", &[])] {
            let keys = Keys::from_pem(&development_keys(&origin.parse().unwrap(), NOW)).unwrap();
            assert!(keys.are_development());
            assert_eq!(keys.identity().leaf().dns_names(), names);
            assert!(keys.identity().leaf().is_issued_by(keys.development_ca().unwrap()));
        }
        // Without the mark they are still known.
        let marked = development_keys(&"http://localhost:8080".parse().unwrap(), NOW);
        let mut file = KeysFile::parse(&marked).unwrap();
        file.development_ca = None;
        assert!(Keys::from_pem(&file.to_pem()).unwrap().are_development());
    }

    #[test]
    fn debug_shows_no_secret() {
        let (file, _) = certified();
        let keys = Keys::from_pem(&file.to_pem()).unwrap();
        let shown = format!("{keys:?} {:?} {file:?}", keys.identity());
        assert!(shown.contains("[redacted") && !shown.contains("1, 1"), "{shown}");
    }
}
