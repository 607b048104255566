//! The old login: "Sign in with ...", and a cookie.
//!
//! THE PROVIDERS ARE PRETENDED. A real shop sends the browser away and reads an ID token when it comes back; here whoever
//! fills in the form is believed. Everything after that is as it would be.

use axum::{Form, extract::State, response::Redirect};
use firsthand_axum::{SameOrigin, merchant::LegacyAccount, time::UnixTime};
use serde::{Deserialize, Serialize};
use tower_sessions::Session;

use crate::{Shop, Trouble};

/// The providers that the shop has buttons for.
pub const PROVIDERS: [&str; 2] = ["acme", "globex"];
/// The place in the session's data; `sessions::end_all_of` finds it there.
const OLD: &str = "old";
/// The mark of a session whose account has moved.
const MOVED: &str = "moved";

/// What the session of somebody who signed in the old way says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OldSession {
    /// The customer's row.
    pub customer: i64,
    /// Who said so.
    pub provider: String,
    /// By which name.
    pub subject: String,
    /// When: `auth_time` of the ID token, and not when the cookie was last used.
    pub signed_in_at: UnixTime,
}

/// What a provider says of whoever comes back from it: `iss`, `sub` and `email` of an ID token.
#[derive(Debug, Deserialize)]
pub struct Said {
    /// Which provider.
    pub provider: String,
    /// The name of the account there.
    pub subject: String,
    /// An address that the account has there. It is for letters: whoever has the same one elsewhere is somebody else.
    pub email: String,
}

impl OldSession {
    /// The old session of a request, if it has one.
    ///
    /// # Errors
    /// If the sessions cannot be read.
    pub async fn of(session: &Session) -> Result<Option<Self>, Trouble> {
        Ok(session.get(OLD).await?)
    }
}

/// `POST /old/sign-in`: the browser comes back from the pretended provider.
///
/// # Errors
/// [`Trouble::Form`]; [`Trouble::Moved`] for an account that has moved: the old login is closed for it.
pub async fn sign_in(
    _: SameOrigin,
    State(shop): State<Shop>,
    session: Session,
    Form(said): Form<Said>,
) -> Result<Redirect, Trouble> {
    let fits = |text: &str| (1..=200).contains(&text.len()) && !text.contains('\0');
    if !(PROVIDERS.contains(&said.provider.as_str()) && fits(&said.subject) && fits(&said.email)) {
        return Err(Trouble::Form);
    }
    let customer = shop.signed_in(&said).await?;
    let Said { provider, subject, .. } = said;
    // The import of the whole table was some time ago: nobody is missed who came since.
    let reference = customer.to_string();
    let account = LegacyAccount { provider: provider.clone(), subject: subject.clone(), reference };
    shop.merchant.import_accounts([account]).await?;
    // A new name for the session, so that nobody knows it who knew the one before.
    session.cycle_id().await?;
    session.insert(OLD, OldSession { customer, provider, subject, signed_in_at: shop.merchant.now() }).await?;
    Ok(Redirect::to("/account"))
}

/// `POST /old/sign-out`.
///
/// # Errors
/// If the sessions cannot be written.
pub async fn sign_out(_: SameOrigin, session: Session) -> Result<Redirect, Trouble> {
    session.flush().await?;
    Ok(Redirect::to("/"))
}

/// The account of this session has moved: the session goes on under a new name, without it. What else hangs on it, such as a
/// basket, is still there.
pub(crate) async fn close(session: &Session) -> Result<(), Trouble> {
    session.cycle_id().await?;
    session.remove_value(OLD).await?;
    session.insert(MOVED, true).await?;
    Ok(())
}

/// Whether the account of this session has moved.
pub(crate) async fn is_closed(session: &Session) -> Result<bool, Trouble> {
    Ok(session.get(MOVED).await?.unwrap_or(false))
}
