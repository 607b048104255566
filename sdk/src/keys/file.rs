//! The keys file as it is read, changed and written.

use std::fmt;

use aws_lc_rs::{rand::SystemRandom, signature::ECDSA_P256_SHA256_FIXED_SIGNING, signature::EcdsaKeyPair};
use pem_rfc7468::LineEnding;
use zeroize::Zeroizing;

use super::{Identity, Inner, Keys, KeysError, Root, check_chain};
use crate::protocol::{
    jose::{PublicKey, SigningKey},
    x509::{self, Certificate},
};

const KEY: &str = "PRIVATE KEY";
const CERTIFICATE: &str = "CERTIFICATE";
const ROOT_SECRET: &str = "FIRSTHAND ROOT SECRET";
const NEXT_ROOT_SECRET: &str = "FIRSTHAND NEXT ROOT SECRET";
const DEVELOPMENT_CA: &str = "FIRSTHAND DEVELOPMENT CA";

/// Signing keys or root secrets in one file: a merchant renews a few times a year, and old ones may go after a while.
const EACH_MAX: usize = 16;

/// What a keys file holds, before it is known to be complete. Wiped when dropped.
#[derive(Clone, Default)]
pub struct KeysFile {
    pub(super) identities: Vec<FileIdentity>,
    pub(super) roots: Vec<Zeroizing<[u8; 32]>>,
    /// Reads already, and seals nothing yet.
    pub(super) next_root: Option<Zeroizing<[u8; 32]>>,
    pub(super) development_ca: Option<Certificate>,
}

/// A key and the certificates after it, which may still be missing.
#[derive(Clone)]
pub(super) struct FileIdentity {
    pub(super) pkcs8: Zeroizing<Vec<u8>>,
    pub(super) chain: Vec<Certificate>,
}

impl FileIdentity {
    pub(super) fn key(&self) -> Result<SigningKey, KeysError> {
        Ok(SigningKey::from_pkcs8_der(&self.pkcs8)?)
    }

    fn public_key(&self) -> Result<PublicKey, KeysError> {
        Ok(self.key()?.public_key().clone())
    }
}

impl KeysFile {
    /// A file with a new signing key, which waits for its certificate, and this root secret of 32 random bytes.
    ///
    /// # Errors
    /// If the key cannot be made.
    pub fn generate(root_secret: [u8; 32]) -> Result<Self, KeysError> {
        let mut file = Self::default();
        file.add_root_secret(root_secret)?;
        file.add_signing_key()?;
        Ok(file)
    }

    /// Reads the text of a keys file; see [`keys`](crate::keys) for its form.
    ///
    /// # Errors
    /// If a block is damaged, of another kind or out of place. What is missing is no error here.
    pub fn parse(pem: &str) -> Result<Self, KeysError> {
        let mut file = Self::default();
        for block in x509::pem_blocks(pem)? {
            match block.label.as_str() {
                KEY => file.identities.push(FileIdentity { pkcs8: block.bytes, chain: Vec::new() }),
                CERTIFICATE => {
                    let identity = file.identities.last_mut().ok_or(KeysError::CertificateWithoutKey)?;
                    identity.chain.push(Certificate::from_der(&block.bytes)?);
                }
                ROOT_SECRET => file.roots.push(root_secret(&block.bytes)?),
                NEXT_ROOT_SECRET if file.next_root.is_some() => {
                    return Err(KeysError::TooMany { what: "next root secrets", max: 1 });
                }
                NEXT_ROOT_SECRET => file.next_root = Some(root_secret(&block.bytes)?),
                DEVELOPMENT_CA => file.development_ca = Some(Certificate::from_der(&block.bytes)?),
                "EC PRIVATE KEY" | "RSA PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => return Err(KeysError::NotPkcs8),
                other => return Err(KeysError::Block(other.to_owned())),
            }
        }
        file.bounded()?;
        Ok(file)
    }

    /// The text of the file, each block with a line that says what it is.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::from(
            "Keys of a Firsthand merchant. Whoever reads this file can pretend to be the merchant.\n\
             Made, checked and renewed by `firsthand keys`; the first of each kind is the current one.\n",
        ));
        if let Some(ca) = &self.development_ca {
            push_block(&mut text, "For development only: the authority below is nobody.", DEVELOPMENT_CA, ca.der());
        }
        for identity in &self.identities {
            let comment =
                if identity.chain.is_empty() { "Signing key, waits for its certificate" } else { "Signing key" };
            push_block(&mut text, comment, KEY, &identity.pkcs8);
            for certificate in &identity.chain {
                push_block(&mut text, certificate.subject(), CERTIFICATE, certificate.der());
            }
        }
        for secret in &self.roots {
            push_block(&mut text, "Root secret", ROOT_SECRET, secret.as_slice());
        }
        if let Some(secret) = &self.next_root {
            push_block(&mut text, "The next root secret, which reads already", NEXT_ROOT_SECRET, secret.as_slice());
        }
        text
    }

    /// Adds a new signing key, which waits for its certificate; the current identity stays current until then. Gives the
    /// key in PKCS#8, to ask for the certificate with.
    ///
    /// # Errors
    /// If the key cannot be made, or there are too many.
    pub fn add_signing_key(&mut self) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| KeysError::Generate)?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        self.identities.push(FileIdentity { pkcs8: pkcs8.clone(), chain: Vec::new() });
        self.bounded()?;
        Ok(pkcs8)
    }

    /// Puts 32 random bytes first of the root secrets; what was sealed before still opens.
    ///
    /// # Errors
    /// If there are too many.
    pub fn add_root_secret(&mut self, secret: [u8; 32]) -> Result<(), KeysError> {
        self.roots.insert(0, Zeroizing::new(secret));
        self.bounded()
    }

    /// Keeps 32 random bytes as the next root secret: it opens what is sealed under it, and seals nothing until
    /// [`take_next_root_secret`](Self::take_next_root_secret). Several nodes that are started anew one after the other know it
    /// all before the first one uses it.
    ///
    /// # Errors
    /// If there is a next one already.
    pub fn prepare_root_secret(&mut self, secret: [u8; 32]) -> Result<(), KeysError> {
        if self.next_root.is_some() {
            return Err(KeysError::TooMany { what: "next root secrets", max: 1 });
        }
        self.next_root = Some(Zeroizing::new(secret));
        self.bounded()
    }

    /// Puts the next root secret first; says whether there was one.
    ///
    /// # Errors
    /// If there are too many.
    pub fn take_next_root_secret(&mut self) -> Result<bool, KeysError> {
        let Some(next) = self.next_root.take() else { return Ok(false) };
        self.roots.insert(0, next);
        self.bounded()?;
        Ok(true)
    }

    /// Installs the certificates that an authority issued for one of the keys, a PEM text, leaf first, and makes that
    /// identity the current one. Roots in it are left out. The certificates that the key had stay as a previous
    /// identity: answers to requests that were signed with them still come in.
    ///
    /// Certificates that [stand behind the current ones](Self::install_behind) become the current ones.
    ///
    /// # Errors
    /// If they are not for one of the keys, not a chain that wallets accept, or the current ones already.
    pub fn install(&mut self, chain_pem: &str) -> Result<(), KeysError> {
        let identity = self.certified(chain_pem, true)?;
        self.identities.insert(0, identity);
        self.bounded()
    }

    /// The same, but the current identity stays: several nodes that are started anew one after the other know the new one
    /// all before [`install`](Self::install) of the same certificates makes it the current one.
    ///
    /// # Errors
    /// As [`install`](Self::install); also if they are in the file already, or there are no current ones.
    pub fn install_behind(&mut self, chain_pem: &str) -> Result<(), KeysError> {
        if self.identities.iter().all(|identity| identity.chain.is_empty()) {
            return Err(KeysError::NoCertificate);
        }
        let identity = self.certified(chain_pem, false)?;
        self.identities.push(identity);
        self.bounded()
    }

    /// The identity of these certificates, taken out of where it stands. `again` for one that is there, and not the current
    /// one.
    fn certified(&mut self, chain_pem: &str, again: bool) -> Result<FileIdentity, KeysError> {
        let mut chain = Certificate::from_pem(chain_pem)?;
        // Authorities like to add their root, which HAIP wants left out.
        while chain.len() > 1 && chain.last().is_some_and(Certificate::is_self_signed) {
            chain.pop();
        }
        check_chain(&chain)?;
        if let Some(at) = self.identities.iter().position(|identity| identity.chain.first() == chain.first()) {
            let current = self.identities.iter().position(|identity| !identity.chain.is_empty());
            return match again && Some(at) != current {
                true => Ok(self.identities.remove(at)),
                false => Err(KeysError::CertificateKnown),
            };
        }
        let key = chain.first().ok_or(KeysError::NoCertificate)?.public_key()?;
        let mut at = None;
        for (index, identity) in self.identities.iter().enumerate() {
            if identity.public_key()? == key {
                at = Some(index);
                break;
            }
        }
        let at = at.ok_or(KeysError::CertificateOfAnotherKey)?;
        let pkcs8 = match self.identities.get(at) {
            Some(waiting) if waiting.chain.is_empty() => self.identities.remove(at).pkcs8,
            Some(known) => known.pkcs8.clone(),
            None => return Err(KeysError::CertificateOfAnotherKey),
        };
        Ok(FileIdentity { pkcs8, chain })
    }

    /// The signing key that waits for its certificate, in PKCS#8, if there is one.
    #[must_use]
    pub fn waiting_key(&self) -> Option<&[u8]> {
        self.identities.iter().find(|identity| identity.chain.is_empty()).map(|identity| identity.pkcs8.as_slice())
    }

    /// The host names of the current certificate.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        let leaf = self.identities.iter().find_map(|identity| identity.chain.first());
        leaf.map_or(&[], Certificate::dns_names)
    }

    /// Marks the keys as unfit for customers, and keeps the authority that issued them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn mark_development(&mut self, ca: Certificate) {
        self.development_ca = Some(ca);
    }

    /// The keys, if nothing is missing.
    pub(super) fn into_keys(self) -> Result<Keys, KeysError> {
        if self.identities.is_empty() {
            return Err(KeysError::NoSigningKey);
        }
        let certified = self.identities.iter().filter(|identity| !identity.chain.is_empty());
        let identities = certified
            .map(|identity| Identity::new(identity.key()?, identity.chain.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        if identities.is_empty() {
            return Err(KeysError::NoCertificate);
        }
        let mut roots = self.roots.iter().map(|secret| Root::new(secret));
        let root = roots.next().ok_or(KeysError::NoRootSecret)?;
        let previous = roots.chain(self.next_root.iter().map(|secret| Root::new(secret))).collect();
        Ok(Keys(Inner { identities, root, previous, development_ca: self.development_ca }.into()))
    }

    fn bounded(&self) -> Result<(), KeysError> {
        let roots = self.roots.len() + usize::from(self.next_root.is_some());
        let counts = [("signing keys", self.identities.len()), ("root secrets", roots)];
        match counts.into_iter().find(|(_, count)| *count > EACH_MAX) {
            Some((what, _)) => Err(KeysError::TooMany { what, max: EACH_MAX }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for KeysFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeysFile([redacted])")
    }
}

fn root_secret(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let secret = <[u8; 32]>::try_from(bytes).map_err(|_| KeysError::RootSecretLength { found: bytes.len() })?;
    Ok(Zeroizing::new(secret))
}

#[expect(clippy::expect_used, reason = "labels are constants, and no key has gigabytes")]
fn push_block(text: &mut String, comment: &str, label: &str, bytes: &[u8]) {
    let block = Zeroizing::new(pem_rfc7468::encode_string(label, LineEnding::LF, bytes).expect("PEM encodes"));
    // A subject is somebody else's text, and must not look like a block.
    let comment = comment.replace("-----", "");
    text.push_str(&format!("\n{comment}\n"));
    text.push_str(&block);
}
