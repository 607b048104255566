//! A gate in front of a route: a proof or a rung, and how old it may be.

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
use firsthand::{
    Ask,
    customer::{Rung, RungWithin},
    error::Refusal,
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    extract::turn_away,
    layer::visit,
    problem::{Problem, misuse},
    signed::refused,
};

/// Lets through who has proved what the ask asks, not longer ago than it allows:
/// `.route("/wine", post(buy).route_layer(require(&age)))`; or who has proved to be themselves by a rung at least, in this
/// session or lately: `require(Rung::Passkey)`, `require(Rung::RelationshipCredential.within_s(300))`.
///
/// Everybody else gets 401 (not known) or 403 (known, and the proof is missing, weak or old), naming the ask or the rung, so
/// that the page can offer to prove it.
///
/// It is for what a sale needs, such as an age. What touches a stored address or where money goes back to takes
/// [`Recent<Known>`](crate::Recent) instead: the strongest that the customer has, on this very device, only minutes ago, and
/// not by somebody who has just come back by a recovery code.
///
/// An ask is one that the merchant was built with, by [`ask`](firsthand::merchant::MerchantBuilder::ask); only how old
/// a proof may be can differ. Before any other, nobody is let through: the answer is 500, and the log says why.
#[must_use]
pub fn require(what: impl Into<Required>) -> RequireLayer {
    RequireLayer { required: what.into() }
}

/// What a route may require.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Required {
    /// A proof for an ask.
    Ask(Box<Ask>),
    /// A rung, or a stronger one.
    Rung {
        /// Which.
        rung: Rung,
        /// How long ago at most, in seconds; any time in this session if there is no bound.
        age_s: Option<u64>,
    },
}

impl From<&Ask> for Required {
    fn from(ask: &Ask) -> Self {
        Self::Ask(Box::new(ask.clone()))
    }
}

impl From<Rung> for Required {
    fn from(rung: Rung) -> Self {
        Self::Rung { rung, age_s: None }
    }
}

impl From<RungWithin> for Required {
    fn from(RungWithin { rung, age_s }: RungWithin) -> Self {
        Self::Rung { rung, age_s: Some(age_s) }
    }
}

/// The layer that [`require`] makes.
#[derive(Clone, Debug)]
pub struct RequireLayer {
    required: Required,
}

impl<S> Layer<S> for RequireLayer {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Require<S> {
        Require { inner, required: self.required.clone() }
    }
}

/// The service that [`RequireLayer`] makes.
#[derive(Clone, Debug)]
pub struct Require<S> {
    inner: S,
    required: Required,
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
        let required = self.required.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let admitted = match &required {
                Required::Ask(ask) => admit(ask, &parts).await,
                Required::Rung { rung, age_s } => admit_by(*rung, *age_s, &parts).await,
            };
            if let Err(refusal) = admitted {
                return Ok(refusal);
            }
            inner.call(Request::from_parts(parts, body)).await.map(IntoResponse::into_response)
        })
    }
}

async fn admit_by(rung: Rung, age_s: Option<u64>, parts: &http::request::Parts) -> Result<(), Response> {
    let visit = visit(parts).map_err(IntoResponse::into_response)?;
    let Some(recognised) = visit.ask().await? else { return Err(turn_away(visit, parts, None)) };
    match recognised.has_shown(rung, age_s).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(refused(&visit.merchant, Refusal::RungNeeded { rung, age_s }.into())),
        Err(error) => Err(refused(&visit.merchant, error.into())),
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
    let Some(recognised) = visit.ask().await? else { return Err(turn_away(visit, parts, Some(ask.name()))) };
    let refuse = |problem: Problem| refused(&visit.merchant, problem);
    match recognised.proof(ask).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(refuse(Refusal::ProofNeeded { ask: ask.name().to_owned(), age_s: ask.proof_age_s() }.into())),
        Err(error) => Err(refuse(error.into())),
    }
}
