//! The merchant of an afternoon: development keys, an issuer that exists nowhere else, and a SQLite file.
//!
//! Refused anywhere but on loopback: whoever can run this program can make such credentials.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use url::Url;

use super::{Merchant, MerchantBuilder};
use crate::{
    env::{Env, SystemEnv},
    error::Error,
    keys::Keys,
    protocol::x509::Certificate,
    store::Sqlite,
    testing::{
        authority::development_keys,
        cast::{Cast, Persona},
    },
};

/// Where the development shop is, unless said otherwise.
pub const ORIGIN: &str = "http://localhost:8080";
/// Where it keeps its keys and its records, unless said otherwise.
pub const FOLDER: &str = ".firsthand";

/// Paths of the development set-up, below the origin.
pub const WALLET_PATH: &str = "/_dev/wallet";
/// Where the development issuer's status list is.
pub const STATUS_PATH: &str = "/_dev/issuer/status";

/// The development issuer and the people whom it knows.
#[derive(Clone, Debug)]
pub struct Development {
    cast: Arc<Cast>,
}

impl Development {
    /// The people of the development wallet.
    #[must_use]
    pub fn personas(&self) -> &[Persona] {
        self.cast.personas()
    }

    /// One of them.
    #[must_use]
    pub fn persona(&self, id: &str) -> Option<&Persona> {
        self.cast.persona(id)
    }

    /// The issuer and its people.
    #[must_use]
    pub fn cast(&self) -> &Cast {
        &self.cast
    }
}

impl Merchant {
    /// Begins to set up a development merchant at `http://localhost:8080`, which keeps its keys and records in the
    /// folder `.firsthand` and believes an issuer of its own. The routes then have a wallet at `/_dev/wallet`.
    ///
    /// That wallet answers for anybody who reaches it: listen on `127.0.0.1` or `[::1]`, never on `0.0.0.0`.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the folder cannot be written, [`Error::Unavailable`] if the database cannot be opened.
    pub async fn dev() -> Result<MerchantBuilder, Error> {
        let origin = Url::parse(ORIGIN).map_err(|e| Error::Misuse(e.to_string()))?;
        Self::dev_at(origin, FOLDER).await
    }

    /// The same at another loopback origin, and in another folder.
    ///
    /// # Errors
    /// As [`Merchant::dev`].
    pub async fn dev_at(origin: Url, folder: impl AsRef<Path>) -> Result<MerchantBuilder, Error> {
        let folder = folder.as_ref();
        let unwritable = |e: std::io::Error| Error::Misuse(format!("the folder {}: {e}", folder.display()));
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        // One file for each origin: a certificate names its host.
        let name: String =
            origin.authority().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let file = folder.join(format!("development-{name}.pem"));
        if !file.exists() {
            write_secret(&file, &development_keys(&origin, SystemEnv.now())).map_err(unwritable)?;
        }
        let database = folder.join("firsthand.sqlite");
        let store = Sqlite::connect(&format!("sqlite:{}", database.display())).await?;
        Self::builder(origin.clone())
            .keys(Keys::from_pem_file(&file)?)
            .store(store)
            .development(Cast::new(below(&origin, STATUS_PATH), &SystemEnv)?)
    }

    /// The authority that issued the access certificate, if it was made for development: what the development wallet
    /// believes when this shop asks.
    #[must_use]
    pub fn development_access_ca(&self) -> Option<&Certificate> {
        self.0.keys.development_ca()
    }
}

impl MerchantBuilder {
    /// Believes the development issuer, offers the development wallet, and lets our own addresses be http on loopback.
    fn development(mut self, cast: Cast) -> Result<Self, Error> {
        let wallet = below(&self.origin, WALLET_PATH);
        self = self.trust(cast.trust()?.danger_loopback()).wallet("Development wallet", wallet);
        #[cfg(feature = "https")]
        {
            let fetch = crate::fetch::Https::danger_loopback_http();
            self = self.fetch(fetch.map_err(|e| Error::Misuse(format!("no network: {e}")))?);
        }
        self.development = Some(Development { cast: Arc::new(cast) });
        Ok(self)
    }
}

fn below(origin: &Url, path: &str) -> Url {
    let mut url = origin.clone();
    url.set_path(path);
    url
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_secret(file: &PathBuf, text: &str) -> std::io::Result<()> {
    let part = file.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(&part)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    std::fs::rename(&part, file)
}
