//! One type for every [`Fetch`], so that nothing above has a type parameter.

use std::{fmt, pin::Pin, sync::Arc};

use tracing::Instrument;

use crate::{
    fetch::{Fetch, FetchError, FetchRequest, Fetched},
    metrics::{Calls, Dropped, Label, labels},
};

/// Some implementation of [`Fetch`]. Every fetch of the library goes through here, and is counted here.
#[derive(Clone)]
pub(crate) struct AnyFetch(Arc<Counted>);

struct Counted {
    fetch: Box<dyn Boxed>,
    calls: FetchCalls,
}

/// What was fetched, and how it went.
pub(crate) type FetchCalls = Calls<FetchCall, FetchOutcome>;

impl AnyFetch {
    pub(crate) fn new(fetch: impl Fetch) -> Self {
        Self(Arc::new(Counted { fetch: Box::new(fetch), calls: Calls::default() }))
    }

    pub(crate) fn calls(&self) -> &FetchCalls {
        &self.0.calls
    }

    pub(crate) async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        let which = if request.post.is_some() { FetchCall::Post } else { FetchCall::Get };
        let call = self.0.calls.begins(which);
        // Without the address: whom the shop asks about a customer's credential tells something about the customer.
        let span = tracing::debug_span!("fetch", call = which.name());
        let fetched = self.0.fetch.boxed(request).instrument(span).await;
        call.ended(FetchOutcome::of(&fetched));
        fetched
    }
}

impl fmt::Debug for AnyFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fetch.fmt(f)
    }
}

labels! {
    /// How it is fetched.
    pub(crate) enum FetchCall {
        Get => "get",
        Post => "post",
    }
}

labels! {
    /// How it went, by the names of [`FetchError::code`].
    pub(crate) enum FetchOutcome {
        Done => "done",
        Refused => "refused",
        TooLarge => "too_large",
        TooManyRedirects => "too_many_redirects",
        Status => "status",
        Timeout => "timeout",
        Failed => "failed",
        Setup => "setup",
        Dropped => "dropped",
    }
}

impl FetchOutcome {
    const fn of(fetched: &Result<Fetched, FetchError>) -> Self {
        match fetched {
            Ok(_) => Self::Done,
            Err(FetchError::Refused { .. }) => Self::Refused,
            Err(FetchError::TooLarge { .. }) => Self::TooLarge,
            Err(FetchError::TooManyRedirects { .. }) => Self::TooManyRedirects,
            Err(FetchError::Status(_) | FetchError::Busy { .. }) => Self::Status,
            Err(FetchError::Timeout(_)) => Self::Timeout,
            Err(FetchError::Failed(_)) => Self::Failed,
            Err(FetchError::Setup(_)) => Self::Setup,
        }
    }
}

impl Dropped for FetchOutcome {
    const DROPPED: Self = Self::Dropped;
}

/// [`Fetch`] in a form that a trait object can have.
trait Boxed: fmt::Debug + Send + Sync {
    fn boxed<'a>(&'a self, request: &'a FetchRequest) -> BoxedFetch<'a>;
}

type BoxedFetch<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

impl<F: Fetch> Boxed for F {
    fn boxed<'a>(&'a self, request: &'a FetchRequest) -> BoxedFetch<'a> {
        Box::pin(self.fetch(request))
    }
}
