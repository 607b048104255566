//! Work that has begun, and is brought to its end whoever waits for it.

use firsthand::Error;
use tracing::Instrument;

/// Does it on a task of its own: whoever goes away drops a handler, and must not drop what changes several things one after
/// the other. What is logged there stands under the name of the request all the same.
pub(crate) async fn finished<T, E>(
    what: &'static str,
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    // Of a panic the log has the words already.
    let ended_early = |_| Err(Error::Misuse(format!("{what} ended early: a part of the program panicked")).into());
    tokio::spawn(work.in_current_span()).await.unwrap_or_else(ended_early)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_has_begun_ends_though_nobody_waits() {
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let work = async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            end.store(true, Ordering::SeqCst);
            Ok::<_, Error>(())
        };
        let waited = tokio::time::timeout(Duration::from_secs(1), finished("waiting", work)).await;
        assert!(waited.is_err() && !ended.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(ended.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn what_panics_is_an_error() {
        let work = async { if true { panic!("secret words") } else { Ok::<(), Error>(()) } };
        let error = finished("a sale", work).await.unwrap_err();
        assert!(matches!(&error, Error::Misuse(why) if why.starts_with("a sale ended early")), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
