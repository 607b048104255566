//! One type for every [`DidResolver`], so that nothing above has a type parameter.

use std::{fmt, pin::Pin, sync::Arc};

use crate::{
    protocol::did::Did,
    resolve::{DidResolver, ResolveError, Resolved},
};

/// Some implementation of [`DidResolver`].
#[derive(Clone)]
pub(crate) struct AnyResolver(Arc<dyn Boxed>);

impl AnyResolver {
    pub(crate) fn new(resolver: impl DidResolver) -> Self {
        Self(Arc::new(resolver))
    }

    pub(crate) async fn resolve(&self, did: &Did) -> Result<Resolved, ResolveError> {
        self.0.boxed(did).await
    }
}

impl fmt::Debug for AnyResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// [`DidResolver`] in a form that a trait object can have.
trait Boxed: fmt::Debug + Send + Sync {
    fn boxed<'a>(&'a self, did: &'a Did) -> BoxedResolve<'a>;
}

type BoxedResolve<'a> = Pin<Box<dyn Future<Output = Result<Resolved, ResolveError>> + Send + 'a>>;

impl<R: DidResolver> Boxed for R {
    fn boxed<'a>(&'a self, did: &'a Did) -> BoxedResolve<'a> {
        Box::pin(self.resolve(did))
    }
}
