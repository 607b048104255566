//! The merchant of an afternoon: development keys, an issuer that exists nowhere else, and a SQLite file.
//!
//! Refused anywhere but on loopback: whoever can run this program can make such credentials.

use std::{
    collections::BTreeMap,
    fmt,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Merchant, MerchantBuilder, TypeMetadata};
use crate::{
    env::{Env, SystemEnv},
    error::Error,
    keys::Keys,
    protocol::{
        jose::{base64url_decode, base64url_encode},
        x509::Certificate,
    },
    store::Sqlite,
    testing::{
        authority::development_keys,
        cast::{Cast, Persona},
        wallet::Wallet,
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
/// Where that of its W3C credentials is.
#[cfg(feature = "w3c")]
pub const BITSTRING_PATH: &str = "/_dev/issuer/status/bitstring";

/// How many cards of the shop one person's wallet keeps: the newest.
const CARDS_MAX: usize = 64;

/// The development issuer and the people whom it knows.
#[derive(Clone, Debug)]
pub struct Development {
    cast: Arc<Cast>,
    cards: Arc<Cards>,
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

    /// The wallet of one of them: what they always have, and the cards that the shop gave them.
    #[must_use]
    pub fn wallet(&self, id: &str) -> Option<Wallet> {
        let own = &self.persona(id)?.wallet;
        let cards = self.cards.of.lock().unwrap_or_else(PoisonError::into_inner);
        Some(cards.get(id).map_or_else(|| own.clone(), |cards| own.with_cards(cards)))
    }

    /// How many cards of the shop are in it.
    #[must_use]
    pub fn cards(&self, id: &str) -> usize {
        let cards = self.cards.of.lock().unwrap_or_else(PoisonError::into_inner);
        cards.get(id).map_or(0, |cards| cards.holdings().len())
    }

    /// Keeps cards that the shop gave to one of them, in a file that outlives a restart.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the file cannot be written.
    pub fn keep(&self, id: &str, received: &Wallet) -> Result<(), Error> {
        self.cards.keep(id, received)
    }

    /// The issuer and its people.
    #[must_use]
    pub fn cast(&self) -> &Cast {
        &self.cast
    }
}

/// The cards that the shop gave to these people. As on a phone, they outlive a restart.
struct Cards {
    file: PathBuf,
    of: Mutex<BTreeMap<String, Wallet>>,
}

/// A card as the file has it.
#[derive(Serialize, Deserialize)]
struct SavedCard {
    credential: String,
    /// The scalar of its key, base64url.
    scalar: String,
}

impl Cards {
    fn open(file: PathBuf) -> Result<Self, Error> {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(Error::Misuse(format!("the file {}: {error}", file.display()))),
        };
        let of = wallets(&text).ok_or_else(|| {
            Error::Misuse(format!("the file {} is not what the development wallet wrote: remove it", file.display()))
        })?;
        Ok(Self { file, of: Mutex::new(of) })
    }

    fn keep(&self, id: &str, received: &Wallet) -> Result<(), Error> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = of.entry(id.to_owned()).or_default();
        kept.take_over(received, CARDS_MAX);
        let saved = |wallet: &Wallet| {
            let card =
                |(credential, scalar): (String, [u8; 32])| SavedCard { credential, scalar: base64url_encode(&scalar) };
            wallet.saved().into_iter().map(card).collect::<Vec<_>>()
        };
        let all: BTreeMap<_, _> = of.iter().map(|(id, wallet)| (id, saved(wallet))).collect();
        let text = serde_json::to_string_pretty(&all).map_err(|e| Error::Misuse(e.to_string()))?;
        write_secret(&self.file, &text).map_err(|e| Error::Misuse(format!("the file {}: {e}", self.file.display())))
    }
}

impl fmt::Debug for Cards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cards").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What the file says, if it is one that was written here.
fn wallets(text: &str) -> Option<BTreeMap<String, Wallet>> {
    let saved: BTreeMap<String, Vec<SavedCard>> = serde_json::from_str(text).ok()?;
    let wallet = |(id, cards): (String, Vec<SavedCard>)| {
        let mut wallet = Wallet::new();
        for card in cards {
            let scalar = base64url_decode(&card.scalar).ok()?;
            wallet.hold_scalar(&card.credential, scalar.as_slice().try_into().ok()?).ok()?;
        }
        Some((id, wallet))
    };
    saved.into_iter().map(wallet).collect()
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
        let cards = Cards::open(folder.join(format!("wallet-{name}.json")))?;
        let database = folder.join("firsthand.sqlite");
        let store = Sqlite::connect(&format!("sqlite:{}", database.display())).await?;
        Self::builder(origin.clone())
            .keys(Keys::from_pem_file(&file)?)
            .store(store)
            .development(Cast::new(below(&origin, STATUS_PATH), &SystemEnv)?, cards)
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
    fn development(mut self, cast: Cast, cards: Cards) -> Result<Self, Error> {
        let wallet = below(&self.origin, WALLET_PATH);
        self = self.trust(cast.trust_in_all()?.danger_loopback()).wallet("Development wallet", wallet);
        let types = TypeMetadata::pinned(Cast::account_types());
        self = self.type_metadata(types.map_err(|e| Error::Misuse(e.to_string()))?);
        #[cfg(feature = "https")]
        {
            let fetch = crate::fetch::Https::danger_loopback_http();
            self = self.fetch(fetch.map_err(|e| Error::Misuse(format!("no network: {e}")))?);
        }
        self.development = Some(Development { cast: Arc::new(cast), cards: Arc::new(cards) });
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
