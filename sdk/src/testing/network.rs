//! A network without sockets.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use crate::fetch::{Fetch, FetchError, FetchRequest, Fetched, Post, RetryAfter};

/// A [`Fetch`] that opens no socket: it answers what was put there, and counts who asks.
///
/// It bounds a body and counts redirects like the real one. Which addresses may be connected to is not its business: a
/// test names its issuers as it likes. Clones share one network.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use firsthand::{fetch::{Fetch, FetchRequest}, testing::Network};
///
/// let url: url::Url = "https://issuer.example/keys".parse()?;
/// let network = Network::new();
/// network.serve(&url, "application/json", r#"{"keys":[]}"#);
///
/// let request = FetchRequest::get(url.clone(), "application/json", 1024);
/// assert_eq!(network.fetch(&request).await?.body, r#"{"keys":[]}"#);
/// network.fail(&url);
/// assert!(network.fetch(&request).await.is_err());
/// assert_eq!(network.calls(&url), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Network {
    servers: Arc<Mutex<HashMap<Url, Server>>>,
}

#[derive(Clone, Debug, Default)]
struct Server {
    calls: usize,
    posted: Vec<Post>,
    answer: Answer,
}

#[derive(Clone, Debug, Default)]
enum Answer {
    /// Nobody listens.
    #[default]
    Offline,
    /// It accepts the connection, and is silent.
    Slow,
    Status(u16),
    Busy(u16, RetryAfter),
    Redirect(Url),
    Body(Fetched),
}

impl Network {
    /// A network in which every server is offline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `url` answers 200 with this body.
    pub fn serve(&self, url: &Url, content_type: &str, body: impl Into<Bytes>) {
        let content_type = Some(content_type.to_ascii_lowercase());
        self.answer(
            url,
            Answer::Body(Fetched { content_type, body: body.into(), max_age_s: None, headers: HeaderMap::new() }),
        );
    }

    /// From now on `url` answers 200 with this body, which may be kept for `max_age_s` seconds.
    pub fn serve_for(&self, url: &Url, content_type: &str, body: impl Into<Bytes>, max_age_s: u64) {
        let content_type = Some(content_type.to_ascii_lowercase());
        self.answer(
            url,
            Answer::Body(Fetched {
                content_type,
                body: body.into(),
                max_age_s: Some(max_age_s),
                headers: HeaderMap::new(),
            }),
        );
    }

    /// From now on nobody listens at `url`.
    pub fn fail(&self, url: &Url) {
        self.answer(url, Answer::Offline);
    }

    /// From now on `url` is silent until the fetch times out, which it does at once.
    pub fn slow(&self, url: &Url) {
        self.answer(url, Answer::Slow);
    }

    /// From now on `url` answers this status.
    pub fn status(&self, url: &Url, status: u16) {
        self.answer(url, Answer::Status(status));
    }

    /// From now on `url` answers this status, and says when to come again: 429 or 503.
    pub fn busy(&self, url: &Url, status: u16, after: RetryAfter) {
        self.answer(url, Answer::Busy(status, after));
    }

    /// From now on `url` sends to `target`.
    pub fn redirect(&self, url: &Url, target: &Url) {
        self.answer(url, Answer::Redirect(target.clone()));
    }

    /// How often `url` was asked.
    #[must_use]
    pub fn calls(&self, url: &Url) -> usize {
        self.servers().get(url).map_or(0, |server| server.calls)
    }

    /// How often anything was asked.
    #[must_use]
    pub fn calls_in_all(&self) -> usize {
        self.servers().values().map(|server| server.calls).sum()
    }

    /// What was posted to `url`, in order.
    #[must_use]
    pub fn posted(&self, url: &Url) -> Vec<Post> {
        self.servers().get(url).map(|server| server.posted.clone()).unwrap_or_default()
    }

    /// Everything that anybody would be answered now.
    pub(super) fn served(&self) -> Vec<Bytes> {
        let body = |server: &Server| match &server.answer {
            Answer::Body(fetched) => Some(fetched.body.clone()),
            _ => None,
        };
        self.servers().values().filter_map(body).collect()
    }

    fn answer(&self, url: &Url, answer: Answer) {
        self.servers().entry(url.clone()).or_default().answer = answer;
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<Url, Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for Network {
    async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        let mut url = request.url.clone();
        for _ in 0..=request.redirects_max {
            let answer = {
                let mut servers = self.servers();
                let server = servers.entry(url.clone()).or_default();
                server.calls = server.calls.saturating_add(1);
                server.posted.extend(request.post.clone());
                server.answer.clone()
            };
            match answer {
                Answer::Status(200..300) if request.post.is_some() => {
                    return Ok(Fetched {
                        content_type: None,
                        body: Bytes::new(),
                        max_age_s: None,
                        headers: HeaderMap::new(),
                    });
                }
                Answer::Redirect(_) if request.post.is_some() => return Err(FetchError::Status(302)),
                Answer::Offline => return Err(FetchError::Failed("nobody listens there".into())),
                Answer::Slow => return Err(FetchError::Timeout(request.timeout)),
                Answer::Status(status) => return Err(FetchError::Status(status)),
                Answer::Busy(status, after) => return Err(FetchError::Busy { status, after }),
                Answer::Redirect(target) => url = target,
                Answer::Body(fetched) if fetched.body.len() > request.body_bytes_max => {
                    return Err(FetchError::TooLarge { max: request.body_bytes_max });
                }
                Answer::Body(fetched) => return Ok(fetched),
            }
        }
        Err(FetchError::TooManyRedirects { max: request.redirects_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::any::AnyFetch;

    fn url(path: &str) -> Url {
        Url::parse("https://issuer.example/").unwrap().join(path).unwrap()
    }

    fn request(path: &str) -> FetchRequest {
        FetchRequest { redirects_max: 1, ..FetchRequest::get(url(path), "application/json", 4) }
    }

    #[tokio::test]
    async fn it_answers_what_was_put_there_and_counts() {
        let network = Network::new();
        let fetch = AnyFetch::new(network.clone());
        network.serve_for(&url("four"), "Application/JSON", "1234", 60);
        network.serve(&url("five"), "application/json", "12345");
        network.slow(&url("slow"));
        network.status(&url("gone"), 410);
        network.redirect(&url("one"), &url("four"));
        network.redirect(&url("two"), &url("one"));

        let four = fetch.fetch(&request("four")).await.unwrap();
        assert_eq!((four.body.as_ref(), four.max_age_s), (&b"1234"[..], Some(60)));
        assert_eq!(four.content_type.as_deref(), Some("application/json"));
        assert!(matches!(fetch.fetch(&request("five")).await, Err(FetchError::TooLarge { max: 4 })));
        assert!(matches!(fetch.fetch(&request("slow")).await, Err(FetchError::Timeout(_))));
        assert!(matches!(fetch.fetch(&request("gone")).await, Err(FetchError::Status(410))));
        assert!(matches!(fetch.fetch(&request("nobody")).await, Err(FetchError::Failed(_))));
        assert!(fetch.fetch(&request("one")).await.is_ok());
        assert!(matches!(fetch.fetch(&request("two")).await, Err(FetchError::TooManyRedirects { max: 1 })));

        assert_eq!(network.calls(&url("four")), 2);
        assert_eq!(network.calls(&url("never")), 0);
        assert_eq!(network.calls_in_all(), 9);
    }

    #[tokio::test]
    async fn what_is_posted_is_remembered_and_sent_on_nowhere() {
        let network = Network::new();
        network.serve(&url("four"), "application/json", "1234");
        network.redirect(&url("one"), &url("four"));
        network.status(&url("done"), 204);
        let headers = vec![("webhook-id", "secret-header".to_owned())];
        let post = Post { content_type: "application/json", headers, body: Bytes::from_static(b"secret-body") };
        assert!(!format!("{post:?}").contains("secret"), "{post:?}");
        let posting = |path| request(path).post(post.clone());
        assert_eq!(network.fetch(&posting("four")).await.unwrap().body, "1234");
        assert!(network.fetch(&posting("done")).await.unwrap().body.is_empty());
        assert!(matches!(network.fetch(&posting("one")).await, Err(FetchError::Status(302))));
        assert!(matches!(network.fetch(&request("done")).await, Err(FetchError::Status(204))));
        assert_eq!((network.posted(&url("four")), network.posted(&url("done")).len()), (vec![post], 1));
    }
}
