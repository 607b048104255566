//! Moving: the one request that carries both, what the customer holds from now on and the last session of the old login.

use axum::{extract::State, response::Redirect};
use firsthand_axum::{Known, Recent, SameOrigin, merchant::LegacyProof};
use tower_sessions::Session;

use crate::{
    Shop, Trouble,
    old_login::{self, OldSession},
    sessions,
};

/// `POST /link`: the account of the old session is this customer's from now on.
///
/// Both are proved, and both are fresh: [`Recent`] says that the customer showed their wallet or passkey on this device in the
/// last minutes, and [`link_account`](firsthand_axum::merchant::Recognised::link_account) that the old sign-in was not long
/// ago. That both have the same e-mail address would prove nothing, and is not asked.
///
/// # Errors
/// [`Trouble::NoOldSession`]; [`Trouble::Moved`] if the row is somebody's by now; what the library refuses.
pub async fn link(
    _: SameOrigin,
    known: Recent<Known>,
    State(shop): State<Shop>,
    session: Session,
) -> Result<Redirect, Trouble> {
    let old = OldSession::of(&session).await?.ok_or(Trouble::NoOldSession)?;
    let OldSession { customer, provider, subject, signed_in_at } = old;
    let linked = known.link_account(known.proof(), LegacyProof { provider, subject, signed_in_at }).await?;

    // The library's record, our own row, and the end of every session of the old login: one commit.
    let mut tx = shop.pool.begin().await?;
    let linked = shop.store.commit_in(&mut tx, linked).await?;
    shop.moved(&mut tx, customer, known.id()).await?;
    sessions::end_all_of(&mut tx, customer).await?;
    tx.commit().await?;
    let account = linked.after_commit();
    tracing::info!(row = account.reference, provider = account.provider, "a customer has moved");

    // This browser's own goes on under a new name, and opens no account any more.
    old_login::close(&session).await?;
    Ok(Redirect::to("/account"))
}
