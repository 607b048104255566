//! A customer who has shown moments ago that they are who they are.

use std::ops::Deref;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use firsthand::{
    Ask, Merchant,
    error::{Error, Refusal},
    merchant::{RecentProof, Recognised},
};
use http::request::Parts;

use crate::{
    extract::{Known, turn_away},
    layer::visit,
    problem::Problem,
    signed::refused,
};

/// A customer who has shown moments ago that they are who they are:
/// `async fn change_address(known: Recent<Known>, ..)`.
///
/// Whoever has a passkey, a credential or a DID has shown one of them on this device in the last five minutes; whoever has
/// none has shown a wallet.
///
/// For what touches a stored address, the destination of a refund, or stored value. A signed request proves only the
/// browser, which somebody may have been lent: this is for what must not happen while its owner is at lunch. The limit is
/// [`Limits::step_up_s`](firsthand::limits::Limits::step_up_s), five minutes, counted from what was shown and not
/// from the last request; an answer by a wallet on another device does not count, and neither does coming back.
///
/// Everybody else gets 401 (not known) or 403 `step_up_needed`, both naming an ask that the customer has answered before,
/// so that the page can offer to show the wallet once more. The pages of `firsthand.js` do that by themselves.
///
/// Whose wallet it was is known as far as the shop [keeps](firsthand::Ask::keep) something that tells who the customer is:
/// then only an answer that says the same counts, and one that says otherwise begins no session at all. Keep at least one
/// such claim where an address or a refund's account can be changed; where nothing is kept, any wallet counts.
/// [`require`](crate::require) is its sibling for a whole route and one certain ask, of any age.
///
/// Dereferences to [`Known`]; [`proof`](Self::proof) is what the library's own acts ask for.
#[derive(Clone, Debug)]
pub struct Recent<T> {
    who: T,
    proof: RecentProof,
}

impl<T> Recent<T> {
    /// That it was shown: for [`Order::refund_to`](firsthand::merchant::Order::refund_to) and
    /// [`Order::change_address`](firsthand::merchant::Order::change_address).
    #[must_use]
    pub const fn proof(&self) -> &RecentProof {
        &self.proof
    }
}

impl<T> Deref for Recent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.who
    }
}

impl<S: Sync> FromRequestParts<S> for Recent<Known> {
    /// A person gets a page that signs and fetches the same address, or says what to do; a program gets a problem.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let visit = visit(parts).map_err(IntoResponse::into_response)?;
        let Some(recognised) = visit.ask().await? else {
            return Err(turn_away(visit, parts, visit.merchant.asks().next().map(Ask::name)));
        };
        match recognised.recent().await {
            Ok(proof) => Ok(Self { who: Known::from_request_parts(parts, state).await?, proof }),
            Err(error) => Err(refused(&visit.merchant, once_more(&visit.merchant, recognised, error).await)),
        }
    }
}

/// A refusal that names the ask to show the wallet for: one that tells who the customer is, if there is any; of those the
/// one that the customer answered last.
async fn once_more(merchant: &Merchant, recognised: &Recognised, error: Error) -> Problem {
    if !matches!(error, Error::Refused(Refusal::StepUp { .. })) {
        return error.into();
    }
    let customer = match recognised.customer().await {
        Ok(customer) => customer,
        Err(error) => return error.into(),
    };
    let answered = |ask: &&Ask| customer.proofs().iter().filter(|proof| proof.ask == ask.name()).map(|p| p.at).max();
    let best = merchant.asks().max_by_key(|ask| (!ask.kept().is_empty(), answered(ask)));
    match best {
        Some(ask) => Problem::from(error).about_ask(ask.name()),
        None => error.into(),
    }
}
