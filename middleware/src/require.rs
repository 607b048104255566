//! A gate in front of a route: a proof, and how old it may be.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use firsthand::{Ask, error::Refusal};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    extract::turn_away,
    layer::visit,
    problem::{Problem, misuse},
    signed::refused,
};

/// Lets through who has proved what the ask asks, not longer ago than it allows:
/// `.route("/wine", post(buy).route_layer(require(&age)))`.
///
/// Everybody else gets 401 (not known) or 403 (known, and the proof is missing or old), both naming the ask, so that
/// the page can offer to prove it.
///
/// It is for what a sale needs, such as an age. What touches a stored address or where money goes back to takes
/// [`Recent<Known>`](crate::Recent) instead: any ask, on this very device, and only minutes ago.
///
/// The ask is one that the merchant was built with, by [`ask`](firsthand::merchant::MerchantBuilder::ask); only how old
/// a proof may be can differ. Before any other, nobody is let through: the answer is 500, and the log says why.
#[must_use]
pub fn require(ask: &Ask) -> RequireLayer {
    RequireLayer { ask: ask.clone() }
}

/// The layer that [`require`] makes.
#[derive(Clone, Debug)]
pub struct RequireLayer {
    ask: Ask,
}

impl<S> Layer<S> for RequireLayer {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Require<S> {
        Require { inner, ask: self.ask.clone() }
    }
}

/// The service that [`RequireLayer`] makes.
#[derive(Clone, Debug)]
pub struct Require<S> {
    inner: S,
    ask: Ask,
}

impl<S> Service<Request> for Require<S>
where
    S: Service<Request, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let ask = self.ask.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            if let Err(refusal) = admit(&ask, &parts).await {
                return Ok(refusal);
            }
            inner.call(Request::from_parts(parts, body)).await.map(IntoResponse::into_response)
        })
    }
}

async fn admit(ask: &Ask, parts: &http::request::Parts) -> Result<(), Response> {
    let visit = visit(parts).map_err(IntoResponse::into_response)?;
    // Proofs are found by the name of their ask: one for `over(18)` must not open a gate for an `over(21)` of that name.
    // How old a proof may be is the gate's own affair.
    let declared = visit.merchant.declared(ask.name());
    if !declared.is_some_and(|declared| declared == ask || declared.clone().within_s(ask.proof_age_s()) == *ask) {
        let name = ask.name();
        let wrong = match declared {
            Some(_) => format!("require() for another ask {name:?} than the one that the merchant was built with"),
            None => format!("require() for the ask {name:?}, which the merchant was not built with"),
        };
        return Err(misuse(format!("{wrong}: declare the very same one by .ask(&{name})")).into_response());
    }
    let Some(recognised) = visit.ask() else { return Err(turn_away(visit, parts, Some(ask.name()))) };
    let refuse = |problem: Problem| refused(&visit.merchant, problem);
    match recognised.proof(ask).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(refuse(Refusal::ProofNeeded { ask: ask.name().to_owned(), age_s: ask.proof_age_s() }.into())),
        Err(error) => Err(refuse(error.into())),
    }
}
