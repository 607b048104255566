//! Roots that are read from PEM texts, files and folders.

use std::{fs, path::Path};

use super::{Mechanism, Trust, TrustError};
use crate::protocol::x509::Certificate;

impl Trust {
    /// Believes the roots in the `*.pem` and `*.crt` files of a folder, one issuer for each file, for these types.
    ///
    /// `name.status.pem` (or `.crt`) holds the roots of the status lists of the issuer in `name.pem`; without it, they
    /// are the same. One issuer's roots never vouch for the status lists of another.
    ///
    /// # Errors
    /// If the folder or a file cannot be read or used, naming it; if there is no such file.
    pub fn from_pem_dir(dir: impl AsRef<Path>, types: &[&str]) -> Result<Self, TrustError> {
        let dir = dir.as_ref();
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir).map_err(|source| TrustError::Read { path: dir.to_owned(), source })? {
            let path = entry.map_err(|source| TrustError::Read { path: dir.to_owned(), source })?.path();
            if path.extension().is_some_and(|end| end == "pem" || end == "crt") {
                paths.push(path);
            }
        }
        // The order of a folder is no order.
        paths.sort();
        let (status, issuers): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| status_of(path).is_some());
        if let Some(path) = status.iter().find(|path| !issuers.iter().any(|issuer| status_of(path) == stem(issuer))) {
            return Err(TrustError::StatusAlone { path: path.clone() });
        }
        let mut trust = Self::new();
        for path in &issuers {
            let status = status.iter().find(|status| status_of(status) == stem(path));
            let status = status.map(|path| roots_in_file(path)).transpose()?;
            trust = trust
                .entry(Mechanism::Roots { roots: roots_in_file(path)?, status }, types)
                .map_err(|source| TrustError::File { path: path.clone(), source: Box::new(source) })?;
        }
        if trust.entries.is_empty() {
            return Err(TrustError::EmptyDirectory { path: dir.to_owned() });
        }
        Ok(trust)
    }
}

pub(super) fn roots_in(pem: &str) -> Result<Vec<Certificate>, TrustError> {
    authorities(Certificate::from_pem(pem)?)
}

pub(super) fn authorities(roots: Vec<Certificate>) -> Result<Vec<Certificate>, TrustError> {
    match roots.iter().find(|root| !root.is_authority()) {
        Some(root) => Err(TrustError::NotAuthority { subject: root.subject().to_owned() }),
        None => Ok(roots),
    }
}

fn roots_in_file(path: &Path) -> Result<Vec<Certificate>, TrustError> {
    let bytes = fs::read(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })?;
    let roots = match std::str::from_utf8(&bytes) {
        Ok(pem) => roots_in(pem),
        // A `.crt` may hold the bare DER.
        Err(_) => Certificate::from_der(&bytes).map_err(TrustError::from).and_then(|root| authorities(vec![root])),
    };
    roots.map_err(|source| TrustError::File { path: path.to_owned(), source: Box::new(source) })
}

/// The name of a file without its end.
fn stem(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

/// The issuer whose status roots a file holds.
fn status_of(path: &Path) -> Option<&str> {
    stem(path)?.strip_suffix(".status")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::Limits,
        protocol::jose::{PublicKey, SigningKey},
        testing::authority::{Authority, Leaf},
        time::UnixTime,
        trust::{Decision, IssuerId, IssuerRef},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);
    const PID: &str = "urn:eudi:pid:1";

    fn limits() -> Limits {
        Limits::default()
    }

    fn issued(authority: &Authority) -> (SigningKey, Vec<Vec<u8>>) {
        authority.issue(&Leaf::new("Issuer", NOW).dns_name("issuer.example"))
    }

    fn believed(trust: &Trust, chain: &[Vec<u8>]) -> Result<(PublicKey, IssuerId), TrustError> {
        match trust.decide(&IssuerRef::X5c { chain, iss: None }, NOW, &limits())? {
            Decision::Believed { key, issuer, .. } => Ok((key, issuer)),
            Decision::Fetch { .. } | Decision::Resolve { .. } => panic!("a chain needs no fetch"),
        }
    }

    #[test]
    fn a_folder_of_roots_has_one_file_for_each_issuer() {
        let folder = std::env::temp_dir().join(format!("firsthand-trust-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let code = || Trust::from_pem_dir(&folder, &[PID]).map_err(|error| error.code());
        assert_eq!(code().unwrap_err(), "trust_read");
        fs::create_dir(&folder).unwrap();
        assert_eq!(code().unwrap_err(), "trust_empty_directory");
        let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
        let (germany, france, status) =
            (Authority::new("DE", NOW), Authority::new("FR", NOW), Authority::new("DE status", NOW));
        write("README", b"not a certificate");
        write("de.pem", germany.root_pem().as_bytes());
        write("de.status.pem", status.root_pem().as_bytes());
        write("fr.crt", france.root_der());
        let trust = code().unwrap();
        assert_eq!(trust.roots_iter().count(), 3);
        let (key, german) = believed(&trust, &issued(&germany).1).unwrap();
        let (_, french) = believed(&trust, &issued(&france).1).unwrap();
        let (_, chain) = issued(&status);
        assert!(trust.status_key(german, &[], Some(&chain), &key, NOW, &limits()).is_ok());
        assert!(trust.status_key(french, &[], Some(&chain), &key, NOW, &limits()).is_err());

        let (_, leaf) = issued(&germany);
        for (name, bytes, expected) in [
            ("xx.pem", &b"nothing"[..], "trust_file"),
            ("xx.pem", leaf[0].as_slice(), "trust_file"),
            ("xx.status.pem", germany.root_pem().as_bytes(), "trust_status_alone"),
        ] {
            write(name, bytes);
            let error = Trust::from_pem_dir(&folder, &[PID]).unwrap_err();
            assert_eq!(error.code(), expected, "{name}");
            assert!(error.to_string().contains(name), "{error}");
            fs::remove_file(folder.join(name)).unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
