//! The default [`Fetch`]: https to the public internet, bounded, and to the address that was checked.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{
    Client, RequestBuilder, Response,
    dns::{Addrs, Name, Resolve, Resolving},
};

use crate::{
    fetch::{
        Fetch, FetchError, FetchRequest, Fetched, Post, RetryAfter,
        address::{NOT_PUBLIC, Policy, check_url, is_loopback, is_public},
    },
    store::BoxError,
};

/// Fetches over https, from public addresses alone.
///
/// Each URL, the first and every redirect's target, is checked by [`check_url`]. Its name is resolved once, and the
/// connection is made to one of the addresses that were checked: a name that changes its answer between check and
/// connection (DNS rebinding) gains nothing. No cookie, no referer, no proxy of the environment, no compression.
///
/// One `Https` keeps one pool of connections; clones share it. It needs a Tokio runtime with I/O and time enabled.
#[derive(Clone, Debug)]
pub struct Https {
    client: Client,
    policy: Policy,
}

impl Https {
    /// For production.
    ///
    /// # Errors
    /// [`FetchError::Setup`] if this machine cannot make TLS connections, for want of root certificates.
    pub fn new() -> Result<Self, FetchError> {
        Self::with(Policy::Public, Arc::new(System))
    }

    /// For development: also fetches over `http` and `https` from this machine, by a loopback address or by the name
    /// `localhost`. Whoever may choose a URL reaches every service of this machine, so production never uses it.
    ///
    /// # Errors
    /// Like [`Https::new`].
    pub fn danger_loopback_http() -> Result<Self, FetchError> {
        Self::with(Policy::PublicOrLoopback, Arc::new(System))
    }

    fn with(policy: Policy, lookup: Arc<dyn Lookup>) -> Result<Self, FetchError> {
        let client = Client::builder()
            // Redirects are followed here, each target checked like the first.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A proxy resolves the name itself: nothing would be pinned.
            .no_proxy()
            .referer(false)
            .https_only(policy == Policy::Public)
            .http1_only()
            .pool_max_idle_per_host(1)
            .user_agent(concat!("firsthand/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(PublicOnly { policy, lookup })
            .build()
            .map_err(|e| FetchError::Setup(e.into()))?;
        Ok(Self { client, policy })
    }

    async fn follow(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        let mut url = request.url.clone();
        let mut policy = self.policy;
        for _ in 0..=request.redirects_max {
            check_url(&url, policy)?;
            let asking = match &request.post {
                None => self.client.get(url.clone()),
                Some(post) => posting(self.client.post(url.clone()), post)?,
            };
            let response = asking
                .header(header::ACCEPT, request.accept)
                .header(header::ACCEPT_ENCODING, "identity")
                .send()
                .await
                .map_err(failed)?;
            match response.status() {
                StatusCode::OK => return read(response, request.body_bytes_max).await,
                // What is sent goes to one address, whoever points elsewhere.
                other if request.post.is_some() => {
                    return if other.is_success() {
                        read(response, request.body_bytes_max).await
                    } else {
                        Err(refused(&response))
                    };
                }
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    // A server elsewhere may not send us to this machine.
                    if !is_loopback(&url) {
                        policy = Policy::Public;
                    }
                    let target = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
                    let target = target.and_then(|l| url.join(l).ok());
                    url = target.ok_or(FetchError::Refused { reason: "the redirect has no readable target" })?;
                }
                _ => return Err(refused(&response)),
            }
        }
        Err(FetchError::TooManyRedirects { max: request.redirects_max })
    }
}

impl Fetch for Https {
    async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        tokio::time::timeout(request.timeout, self.follow(request))
            .await
            .unwrap_or(Err(FetchError::Timeout(request.timeout)))
    }
}

/// What an answer says that is none: its status, and when to come again, if the server is busy.
fn refused(response: &Response) -> FetchError {
    let status = response.status().as_u16();
    let after = response.headers().get(header::RETRY_AFTER).and_then(|after| RetryAfter::read(after.to_str().ok()?));
    match after {
        Some(after) if matches!(status, 429 | 503) => FetchError::Busy { status, after },
        _ => FetchError::Status(status),
    }
}

fn posting(mut request: RequestBuilder, post: &Post) -> Result<RequestBuilder, FetchError> {
    for (name, value) in &post.headers {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| FetchError::Refused { reason: "a header cannot be sent as it is" })?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    Ok(request.header(header::CONTENT_TYPE, post.content_type).body(post.body.clone()))
}

/// Reads the body, and stops at the first byte too many.
async fn read(mut response: Response, max: usize) -> Result<Fetched, FetchError> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > max) {
        return Err(FetchError::TooLarge { max });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len().saturating_add(chunk.len()) > max {
            return Err(FetchError::TooLarge { max });
        }
        body.extend_from_slice(&chunk);
    }
    let headers = std::mem::take(response.headers_mut());
    let (content_type, max_age_s) = (content_type(&headers), max_age_s(&headers));
    Ok(Fetched { content_type, body: Bytes::from(body), max_age_s, headers })
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
}

/// RFC 9111, section 5.2.2; of directives that disagree the shortest time holds (section 4.2.1).
fn max_age_s(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|directive| {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => Some(0),
                "max-age" => {
                    let digits = value.trim().trim_matches('"');
                    let known = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                    // More digits than fit are a very long time (section 1.2.2).
                    known.then(|| digits.parse().unwrap_or(u64::MAX))
                }
                _ => None,
            }
        })
        .min()
}

/// What went wrong, with our own refusal found again under the layers of the HTTP client. The URL is taken out of the
/// client's error: the error is logged, and a URL is somebody's choice.
fn failed(error: reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(at) = cause {
        if at.is::<NoPublicAddress>() {
            return FetchError::Refused { reason: NOT_PUBLIC };
        }
        cause = at.source();
    }
    FetchError::Failed(error.without_url().into())
}

/// How a name becomes addresses.
trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The resolver of the operating system.
struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            // The dot at the end says that the name is complete. Without it a search list, as every Kubernetes pod has
            // one, is tried first, and would find names of the own network.
            let name = if name.ends_with('.') { name } else { name + "." };
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|at| at.ip()).collect())
        })
    }
}

/// Resolves a name once for a connection, and gives back only what may be connected to.
struct PublicOnly {
    policy: Policy,
    lookup: Arc<dyn Lookup>,
}

/// More addresses of one name are not tried.
const ADDRESSES_MAX: usize = 8;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        if self.policy == Policy::PublicOrLoopback && name.as_str() == "localhost" {
            let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Box::pin(async move { Ok(Box::new(here.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs) });
        }
        let found = self.lookup.lookup(name.as_str().to_owned());
        Box::pin(async move {
            let mut found = found.await?;
            if found.is_empty() {
                return Err(BoxError::from("the name has no address"));
            }
            found.retain(|&ip| is_public(ip));
            if found.is_empty() {
                return Err(NoPublicAddress.into());
            }
            found.truncate(ADDRESSES_MAX);
            // Port 0: the connector puts in the one of the URL.
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to no public address")]
struct NoPublicAddress;

#[cfg(test)]
mod tests {
    use std::{
        str::FromStr,
        sync::Mutex,
        time::{Duration, Instant},
    };

    use super::*;

    /// Answers each lookup with the next of these, and remembers what was asked.
    struct Scripted(Mutex<(Vec<Vec<IpAddr>>, Vec<String>)>);

    impl Scripted {
        fn new(answers: &[&[&str]]) -> Arc<Self> {
            let ips = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
            Arc::new(Self(Mutex::new((answers.iter().rev().map(ips).collect(), Vec::new()))))
        }
    }

    impl Lookup for Scripted {
        fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
            let mut script = self.0.lock().unwrap();
            script.1.push(name);
            let answer = script.0.pop().unwrap_or_default();
            Box::pin(async move { Ok(answer) })
        }
    }

    async fn resolved(policy: Policy, name: &str, answers: &[&[&str]]) -> Result<Vec<IpAddr>, BoxError> {
        let resolver = PublicOnly { policy, lookup: Scripted::new(answers) };
        Ok(resolver.resolve(Name::from_str(name).unwrap()).await?.map(|at| at.ip()).collect())
    }

    fn request(url: &str) -> FetchRequest {
        FetchRequest {
            timeout: Duration::from_secs(5),
            ..FetchRequest::get(url.parse().unwrap(), "application/json", 1024)
        }
    }

    #[tokio::test]
    async fn only_public_addresses_of_a_name_are_kept() {
        let kept = resolved(Policy::Public, "a.example", &[&["10.0.0.1", "9.9.9.9", "::1", "2620:fe::fe"]]).await;
        assert_eq!(kept.unwrap(), ["9.9.9.9".parse::<IpAddr>().unwrap(), "2620:fe::fe".parse().unwrap()]);
        let none = resolved(Policy::Public, "a.example", &[&["10.0.0.1", "::ffff:127.0.0.1"]]).await;
        assert!(none.unwrap_err().is::<NoPublicAddress>());
        let unknown = resolved(Policy::Public, "a.example", &[&[]]).await;
        assert!(!unknown.unwrap_err().is::<NoPublicAddress>());
        let many = vec!["9.9.9.9"; 100];
        assert_eq!(resolved(Policy::Public, "a.example", &[&many]).await.unwrap().len(), ADDRESSES_MAX);
    }

    #[tokio::test]
    async fn localhost_is_this_machine_whatever_the_dns_says_and_only_in_development() {
        let here = resolved(Policy::PublicOrLoopback, "localhost", &[&["9.9.9.9"]]).await.unwrap();
        assert!(here.iter().all(IpAddr::is_loopback));
        // A public name that leads to this machine is refused in development too.
        let rebound = resolved(Policy::PublicOrLoopback, "a.example", &[&["127.0.0.1"]]).await;
        assert!(rebound.unwrap_err().is::<NoPublicAddress>());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_before_any_packet() {
        for inside in ["127.0.0.1", "169.254.169.254", "fd00:ec2::254"] {
            let script = Scripted::new(&[&[inside]]);
            let https = Https::with(Policy::Public, script.clone()).unwrap();
            let before = Instant::now();
            let error = https.fetch(&request("https://rebind.example/")).await.unwrap_err();
            assert!(matches!(error, FetchError::Refused { .. }), "{error:?}");
            assert!(before.elapsed() < Duration::from_secs(4), "no connection was tried");
            // Resolved once: there is no second answer to fall for.
            assert_eq!(script.0.lock().unwrap().1, ["rebind.example"]);
        }
    }

    #[test]
    fn the_sender_says_how_long_it_may_be_kept() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            max_age_s(&headers)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["public, Max-Age=300"]), Some(300));
        assert_eq!(of(&["max-age=\"300\""]), Some(300));
        assert_eq!(of(&["max-age=300", "max-age=20"]), Some(20));
        assert_eq!(of(&["max-age=300, no-store"]), Some(0));
        assert_eq!(of(&["max-age=99999999999999999999999"]), Some(u64::MAX));
        assert_eq!(of(&["max-age=-1"]), None);
        assert_eq!(of(&["max-age"]), None);
        assert_eq!(of(&["s-maxage=5"]), None);
    }

    #[test]
    fn the_content_type_comes_without_parameters() {
        let of = |value: &'static str| {
            content_type(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert_eq!(of("Application/StatusList+JWT; charset=utf-8").as_deref(), Some("application/statuslist+jwt"));
        assert_eq!(of("; x"), None);
        assert_eq!(content_type(&HeaderMap::new()), None);
    }
}
