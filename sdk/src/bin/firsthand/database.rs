//! `firsthand migrate` and `firsthand restored`: the database of a shop, before the shop opens.

use std::{future::Future, io::Write, process::ExitCode};

#[cfg(feature = "postgres")]
use firsthand::store::Postgres;
#[cfg(feature = "sqlite")]
use firsthand::store::Sqlite;
use firsthand::store::{Store, StoreError};

use super::{Error, Options};

/// Makes the tables, or what is missing of them.
pub(super) fn migrate(options: &Options<'_>, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let url = url(options, "migrate")?;
    run(async {
        match of(&url)? {
            #[cfg(feature = "postgres")]
            Database::Postgres => drop(Postgres::connect(&url).await?),
            #[cfg(feature = "sqlite")]
            Database::Sqlite => drop(Sqlite::connect(&url).await?),
        }
        Ok(())
    })?;
    writeln!(out, "ready: the tables of Firsthand {} are there", env!("CARGO_PKG_VERSION"))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends what may have ended since the backup was made. A database without tables of ours is refused: it is another one than
/// was meant, and would be filled with them.
pub(super) fn restored(options: &Options<'_>, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let url = url(options, "restored")?;
    let epoch = run(async {
        match of(&url)? {
            #[cfg(feature = "postgres")]
            Database::Postgres if Postgres::is_in(&url).await? => {
                Ok(Postgres::connect(&url).await?.restored().await?.epoch())
            }
            #[cfg(feature = "sqlite")]
            Database::Sqlite if Sqlite::is_in(&url).await? => {
                Ok(Sqlite::connect(&url).await?.restored().await?.epoch())
            }
            _ => Err(Error::NothingThere),
        }
    })?;
    writeln!(
        out,
        "put back for the {epoch}. time: sessions and open questions to wallets have ended, nonces from before are"
    )?;
    writeln!(
        out,
        "refused, customers keep their keys. Start the shop now, and hand in the bank's statements since the"
    )?;
    writeln!(out, "backup once more.")?;
    Ok(ExitCode::SUCCESS)
}

/// What this program was built for.
enum Database {
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

#[cfg(not(all(feature = "postgres", feature = "sqlite")))]
const BUILT_WITHOUT: &str = "this command is built without that database: build it with its feature as well";

fn of(url: &str) -> Result<Database, Error> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        #[cfg(feature = "postgres")]
        Some("postgres" | "postgresql") => Ok(Database::Postgres),
        #[cfg(feature = "sqlite")]
        Some("sqlite") => Ok(Database::Sqlite),
        #[cfg(not(feature = "postgres"))]
        Some("postgres" | "postgresql") => Err(Error::Usage(BUILT_WITHOUT.to_owned())),
        #[cfg(not(feature = "sqlite"))]
        Some("sqlite") => Err(Error::Usage(BUILT_WITHOUT.to_owned())),
        // A URL may hold a password, and is not said back.
        _ => Err(Error::Usage("URL begins with postgres:// or sqlite://".to_owned())),
    }
}

fn url(options: &Options<'_>, command: &str) -> Result<String, Error> {
    match options.files.as_slice() {
        [url] => Ok((*url).to_owned()),
        // Whoever lists the processes of a machine reads what was typed behind a command.
        [] => std::env::var("DATABASE_URL")
            .map_err(|_| Error::Usage(format!("`{command}` needs a URL, here or in DATABASE_URL"))),
        _ => Err(Error::Usage(format!("`{command}` takes one URL"))),
    }
}

fn run<T>(doing: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(doing)
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
