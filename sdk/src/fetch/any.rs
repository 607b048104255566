//! One type for every [`Fetch`], so that nothing above has a type parameter.

use std::{fmt, pin::Pin, sync::Arc};

use crate::fetch::{Fetch, FetchError, FetchRequest, Fetched};

/// Some implementation of [`Fetch`].
#[derive(Clone)]
pub(crate) struct AnyFetch(Arc<dyn Boxed>);

impl AnyFetch {
    pub(crate) fn new(fetch: impl Fetch) -> Self {
        Self(Arc::new(fetch))
    }

    pub(crate) async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        self.0.boxed(request).await
    }
}

impl fmt::Debug for AnyFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
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
