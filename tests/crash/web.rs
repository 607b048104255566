//! Plain HTTP, as a browser without a script speaks it: pages, their forms, and where an answer leads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use url::form_urlencoded;

/// How long an answer may take before the test has failed: the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// The way to one shop.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client<HttpConnector, Full<Bytes>>,
    origin: String,
    /// Whether the shop is being killed: only then may it be silent.
    closing: Arc<AtomicBool>,
}

/// What a shop answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// Where it leads.
    pub location: String,
    pub text: String,
}

/// The fields of a form, in order.
pub type Fields = Vec<(String, String)>;

/// A form of a page.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: String,
    /// What is hidden in it.
    pub hidden: Fields,
}

impl Web {
    pub fn new(origin: String) -> Self {
        // Every request has a connection of its own, and nothing is sent again but by those who mean to.
        let mut client = Client::builder(TokioExecutor::new());
        let client = client.pool_max_idle_per_host(0).retry_canceled_requests(false).build_http();
        Self { client, origin, closing: Arc::default() }
    }

    /// From now on the shop may be silent, or not.
    pub fn set_closing(&self, closing: bool) {
        self.closing.store(closing, Ordering::SeqCst);
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// A page; `None` if the shop was killed.
    pub async fn get(&self, path: &str, authorization: Option<&str>) -> Option<Answer> {
        self.send(Method::GET, path, authorization, String::new()).await
    }

    /// What a form leads to; `None` if the shop was killed, and nobody knows what came of it.
    pub async fn post(&self, path: &str, authorization: Option<&str>, fields: &Fields) -> Option<Answer> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::POST, path, authorization, body).await
    }

    async fn send(&self, method: Method, path: &str, authorization: Option<&str>, body: String) -> Option<Answer> {
        let mut request = Request::builder().method(&method).uri(format!("{}{path}", self.origin));
        if method == Method::POST {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, &self.origin)
                .header("sec-fetch-site", "same-origin");
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = async {
            let answer = self.client.request(request).await.map_err(|e| e.to_string())?;
            let (parts, body) = answer.into_parts();
            // An answer that breaks off is none.
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
            let location = parts.headers.get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
            let text = String::from_utf8_lossy(&body).into_owned();
            Ok::<_, String>(Answer { status: parts.status, location: location.unwrap_or_default(), text })
        };
        match tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time") {
            Ok(answer) => Some(answer),
            Err(_) if self.is_closing() => None,
            Err(error) => panic!("{method} {path}: nobody killed the shop, and it hangs up: {error}"),
        }
    }
}

impl Answer {
    /// Whether the shop said that it cannot now: then nothing is known either.
    pub fn is_busy(&self) -> bool {
        self.status.is_server_error()
    }

    /// The form of the page whose action has this in it.
    pub fn form(&self, action: &str) -> Option<Form> {
        let mut forms = self.text.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap_or_default());
        let found = forms.find(|form| attribute(form, "action").is_some_and(|is| is.contains(action)))?;
        let hidden = found.split("<input").skip(1).filter_map(|rest| {
            let tag = rest.split('>').next()?;
            (attribute(tag, "type")? == "hidden").then_some(())?;
            Some((attribute(tag, "name")?, attribute(tag, "value")?))
        });
        Some(Form { action: attribute(found, "action")?, hidden: hidden.collect() })
    }

    /// The reference of the order that the page shows.
    pub fn reference(&self) -> Option<String> {
        let (_, rest) = self.text.split_once("<code>RF")?;
        let rest = rest.split("</code>").next()?;
        Some(format!("RF{}", rest.replace(char::is_whitespace, "")))
    }
}

/// The first attribute of that name, as it is meant.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    Some(value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}
