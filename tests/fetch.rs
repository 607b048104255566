//! The default `Fetch` against a real server on this machine that answers as badly as it can.

use std::{
    collections::HashMap,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use firsthand::{
    fetch::{Fetch, FetchError, FetchRequest, Fetched, Https, Post, RetryAfter},
    time::UnixTime,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

const BODY_MAX: usize = 64 * 1024;

/// What a path answers.
enum Answer {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// These bytes, then silence.
    Silent(Vec<u8>),
    /// The first, then the second for ever.
    Endless(Vec<u8>, Vec<u8>),
}

/// A server on `127.0.0.1` that remembers each request: its head, and what was posted.
struct Server {
    base: Url,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let answers: Arc<HashMap<_, _>> = Arc::new(answers.into_iter().collect());
        let connections = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let (heads, connections) = (heads.clone(), connections.clone());
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(answer(connection, answers.clone(), heads.clone()));
                }
            }
        });
        Self { base, heads, connections }
    }

    fn request(&self, path: &str) -> FetchRequest {
        request(self.base.join(path).unwrap().as_str())
    }

    async fn fetch(&self, path: &str) -> Result<Fetched, FetchError> {
        development().fetch(&self.request(path)).await
    }

    /// The requests so far, their heads in lower case.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn answer(
    mut connection: TcpStream,
    answers: Arc<HashMap<&'static str, Answer>>,
    heads: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
        if !matches!(head[0], b'G' | b'P') {
            // Not HTTP: a greeting of TLS.
            return Ok(());
        }
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let sent = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; sent.map_or(0, |bytes| bytes.parse().unwrap())];
    connection.read_exact(&mut body).await?;
    heads.lock().unwrap().push(head + std::str::from_utf8(&body).unwrap());
    match answers.get(path.as_str()) {
        None => connection.write_all(&reply("404 Not Found", "", "")).await,
        Some(Answer::Bytes(bytes)) => connection.write_all(bytes).await,
        Some(Answer::Silent(bytes)) => {
            connection.write_all(bytes).await?;
            std::future::pending().await
        }
        Some(Answer::Endless(first, more)) => {
            connection.write_all(first).await?;
            loop {
                connection.write_all(more).await?;
            }
        }
    }
}

fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

fn redirect(target: &str) -> Answer {
    Answer::Bytes(reply("302 Found", &format!("Location: {target}\r\n"), ""))
}

fn request(url: &str) -> FetchRequest {
    FetchRequest {
        redirects_max: 3,
        timeout: Duration::from_secs(20),
        ..FetchRequest::get(url.parse().unwrap(), "application/statuslist+jwt", BODY_MAX)
    }
}

fn development() -> Https {
    Https::danger_loopback_http().unwrap()
}

#[tokio::test]
async fn a_document_comes_with_its_type_and_its_lifetime() {
    let headers = "Content-Type: Application/StatusList+JWT; a=b\r\nCache-Control: public, max-age=300\r\n";
    let server = Server::start([("/list", Answer::Bytes(reply("200 OK", headers, "a.b.c")))]).await;
    let fetched = server.fetch("list").await.unwrap();
    assert_eq!(fetched.body, "a.b.c");
    assert_eq!(fetched.content_type.as_deref(), Some("application/statuslist+jwt"));
    assert_eq!(fetched.max_age_s, Some(300));

    let head = &server.heads()[0];
    assert!(head.contains("\r\naccept: application/statuslist+jwt\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nuser-agent: firsthand/{}\r\n", env!("CARGO_PKG_VERSION"))), "{head}");
    for absent in ["cookie", "referer", "authorization", "origin"] {
        assert!(!head.contains(absent), "{head}");
    }
}

#[tokio::test]
async fn by_default_no_packet_reaches_this_machine() {
    let server = Server::start([("/", Answer::Bytes(reply("200 OK", "", "secret")))]).await;
    let port = server.base.port().unwrap();
    let https = Https::new().unwrap();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://127.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://localhost.:{port}/"),
        format!("https://0:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://[64:ff9b::7f00:1]:{port}/"),
        format!("https://a@127.0.0.1:{port}/"),
    ] {
        let refused = https.fetch(&request(&url)).await;
        assert!(matches!(refused, Err(FetchError::Refused { .. })), "{url}: {refused:?}");
    }
    // Connections are accepted in order: the first is this one.
    server.fetch("").await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn development_reaches_this_machine_by_its_own_names_and_nothing_else_more() {
    let server = Server::start([("/", Answer::Bytes(reply("200 OK", "", "here")))]).await;
    let port = server.base.port().unwrap();
    for url in [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")] {
        assert_eq!(development().fetch(&request(&url)).await.unwrap().body, "here", "{url}");
    }
    for url in [
        format!("http://shop.localhost:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://10.0.0.1/".into(),
        "http://issuer.example/".into(),
    ] {
        let refused = development().fetch(&request(&url)).await;
        assert!(matches!(refused, Err(FetchError::Refused { .. })), "{url}: {refused:?}");
    }
    // Not TLS, though it is this machine.
    let plain = development().fetch(&request(&format!("https://127.0.0.1:{port}/"))).await;
    assert!(matches!(plain, Err(FetchError::Failed(_))), "{plain:?}");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    let (right, over) = ("x".repeat(BODY_MAX), "x".repeat(BODY_MAX + 1));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let server = Server::start([
        ("/right", Answer::Bytes(reply("200 OK", "", &right))),
        ("/over", Answer::Bytes(reply("200 OK", "", &over))),
        ("/announced", Answer::Silent(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec())),
        ("/unbelievable", Answer::Silent(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n".to_vec())),
        ("/chunked", Answer::Bytes(format!("{chunked}{}0\r\n\r\n", chunk.repeat(16)).into_bytes())),
        ("/chunked-over", Answer::Bytes(format!("{chunked}{}1\r\nx\r\n0\r\n\r\n", chunk.repeat(16)).into_bytes())),
        ("/endless", Answer::Endless(chunked.into(), chunk.clone().into_bytes())),
        ("/endless-plain", Answer::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 4096])),
        ("/empty", Answer::Bytes(reply("200 OK", "", ""))),
        ("/cut", Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!".to_vec())),
        ("/chunked-cut", Answer::Bytes(format!("{chunked}{chunk}").into_bytes())),
    ])
    .await;
    for (path, length) in [("right", BODY_MAX), ("chunked", BODY_MAX), ("empty", 0)] {
        assert_eq!(server.fetch(path).await.unwrap().body.len(), length, "{path}");
    }
    for path in ["over", "announced", "unbelievable", "chunked-over", "endless", "endless-plain"] {
        let refused = server.fetch(path).await;
        assert!(matches!(refused, Err(FetchError::TooLarge { max: BODY_MAX })), "{path}: {refused:?}");
    }
    for path in ["cut", "chunked-cut"] {
        let failed = server.fetch(path).await;
        assert!(matches!(failed, Err(FetchError::Failed(_))), "{path}: {failed:?}");
    }
}

#[tokio::test]
async fn the_whole_fetch_has_one_deadline() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let server = Server::start([
        ("/silent", Answer::Silent(Vec::new())),
        ("/half-a-head", Answer::Silent(b"HTTP/1.1 200 OK\r\nContent-".to_vec())),
        ("/half-a-body", Answer::Silent(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!".to_vec())),
        ("/to-silent", redirect("/silent")),
        ("/not-yet", Answer::Endless(Vec::new(), interim)),
    ])
    .await;
    let timeout = Duration::from_millis(200);
    for path in ["silent", "half-a-head", "half-a-body", "to-silent", "not-yet"] {
        let before = Instant::now();
        let late = development().fetch(&FetchRequest { timeout, ..server.request(path) }).await;
        assert!(matches!(late, Err(FetchError::Timeout(t)) if t == timeout), "{path}: {late:?}");
        assert!(before.elapsed() < Duration::from_secs(10), "{path}");
    }
}

#[tokio::test]
async fn redirects_are_counted_and_each_target_is_checked() {
    let server = Server::start([
        ("/end", Answer::Bytes(reply("200 OK", "", "end"))),
        ("/1", redirect("/end")),
        ("/2", redirect("1")),
        ("/3", redirect("./2")),
        ("/4", redirect("/3")),
        ("/loop", redirect("/loop")),
        ("/ping", redirect("/pong")),
        ("/pong", redirect("/ping")),
        ("/private", redirect("https://10.0.0.1/")),
        ("/metadata", redirect("http://169.254.169.254/latest/meta-data/")),
        ("/file", redirect("file:///etc/passwd")),
        ("/data", redirect("data:,x")),
        ("/downgrade", redirect("http://issuer.example/")),
        ("/user", redirect("https://a:b@issuer.example/")),
        ("/inside", redirect("https://printer.local/")),
        ("/port", redirect("https://issuer.example:22/")),
        ("/relative-host", redirect("//10.0.0.1/")),
        ("/fragment", redirect("/end#a")),
        ("/nowhere", Answer::Bytes(reply("302 Found", "", ""))),
        ("/malformed", redirect("https://[/")),
        ("/binary", Answer::Bytes(b"HTTP/1.1 302 Found\r\nLocation: /\xff\r\nContent-Length: 0\r\n\r\n".to_vec())),
    ])
    .await;
    for path in ["end", "1", "2", "3"] {
        assert_eq!(server.fetch(path).await.unwrap().body, "end", "{path}");
    }
    for path in ["4", "loop", "ping"] {
        let before = server.heads().len();
        let refused = server.fetch(path).await;
        assert!(matches!(refused, Err(FetchError::TooManyRedirects { max: 3 })), "{path}: {refused:?}");
        assert_eq!(server.heads().len() - before, 4, "{path}");
    }
    let none = development().fetch(&FetchRequest { redirects_max: 0, ..server.request("1") }).await;
    assert!(matches!(none, Err(FetchError::TooManyRedirects { max: 0 })), "{none:?}");
    for path in [
        "private",
        "metadata",
        "file",
        "data",
        "downgrade",
        "user",
        "inside",
        "port",
        "relative-host",
        "fragment",
        "nowhere",
        "malformed",
        "binary",
    ] {
        let refused = server.fetch(path).await;
        assert!(matches!(refused, Err(FetchError::Refused { .. })), "{path}: {refused:?}");
    }
    assert!(server.heads().iter().all(|head| !head.contains("referer")));
}

#[tokio::test]
async fn only_200_is_an_answer() {
    let statuses: [(&str, u16); 9] = [
        ("201 Created", 201),
        ("203 Non-Authoritative Information", 203),
        ("206 Partial Content", 206),
        ("300 Multiple Choices", 300),
        ("304 Not Modified", 304),
        ("401 Unauthorized", 401),
        ("404 Not Found", 404),
        ("500 Internal Server Error", 500),
        ("999 Whatever", 999),
    ];
    for (line, status) in statuses {
        let body = if status == 304 { "" } else { "a.b.c" };
        let server = Server::start([("/", Answer::Bytes(reply(line, "Location: /\r\n", body)))]).await;
        let refused = server.fetch("").await;
        assert!(matches!(refused, Err(FetchError::Status(s)) if s == status), "{line}: {refused:?}");
    }
}

fn post(headers: Vec<(&'static str, String)>) -> Post {
    Post { content_type: "application/json", headers, body: "{\"Amount\":1}".into() }
}

#[tokio::test]
async fn a_post_arrives_as_it_was_sent_and_any_2xx_answers_it() {
    let lines = ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Whatever"];
    for line in lines {
        let body = if line.starts_with("204") { "" } else { "a.b.c" };
        let server = Server::start([("/", Answer::Bytes(reply(line, "Content-Type: Text/Plain\r\n", body)))]).await;
        let post = post(vec![("webhook-id", "msg_1".into()), ("webhook-signature", "v1,aGk=".into())]);
        let fetched = development().fetch(&server.request("").post(post)).await.unwrap();
        assert_eq!((fetched.body.as_ref(), fetched.content_type.as_deref()), (body.as_bytes(), Some("text/plain")));
        let sent = &server.heads()[0];
        assert!(sent.starts_with("post / http/1.1\r\n") && sent.ends_with("\r\n\r\n{\"Amount\":1}"), "{sent}");
        for header in ["accept: application/statuslist+jwt", "content-type: application/json", "webhook-id: msg_1"] {
            assert!(sent.contains(&format!("\r\n{header}\r\n")), "{sent}");
        }
        assert_eq!(sent.matches("content-type").count(), 1);
    }
}

#[tokio::test]
async fn a_post_is_sent_nowhere_else_and_what_is_not_2xx_is_no_answer() {
    for (line, status) in [
        ("301 Moved Permanently", 301),
        ("302 Found", 302),
        ("303 See Other", 303),
        ("307 Temporary Redirect", 307),
        ("308 Permanent Redirect", 308),
        ("300 Multiple Choices", 300),
        ("400 Bad Request", 400),
        ("409 Conflict", 409),
        ("500 Internal Server Error", 500),
    ] {
        let answers = [
            ("/", Answer::Bytes(reply(line, "Location: /end\r\n", "a.b.c"))),
            ("/end", Answer::Bytes(reply("200 OK", "", "end"))),
        ];
        let server = Server::start(answers).await;
        // Whoever asks for redirects gets none, too.
        let posting = FetchRequest { redirects_max: 3, ..server.request("").post(post(Vec::new())) };
        let refused = development().fetch(&posting).await;
        assert!(matches!(refused, Err(FetchError::Status(s)) if s == status), "{line}: {refused:?}");
        assert_eq!(server.heads().len(), 1, "{line}");
    }
}

#[tokio::test]
async fn who_is_busy_may_say_when_to_come_again() {
    let date = "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for (line, header, expected) in [
        ("503 Service Unavailable", "Retry-After: 120\r\n", Some(RetryAfter::Seconds(120))),
        ("429 Too Many Requests", date, Some(RetryAfter::At(UnixTime::from_secs(784_111_777)))),
        ("503 Service Unavailable", "", None),
        ("503 Service Unavailable", "Retry-After: soon\r\n", None),
        ("500 Internal Server Error", "Retry-After: 120\r\n", None),
    ] {
        let server = Server::start([("/", Answer::Bytes(reply(line, header, "a.b.c")))]).await;
        for request in [server.request(""), server.request("").post(post(Vec::new()))] {
            let refused = development().fetch(&request).await.unwrap_err();
            assert_eq!(refused.code(), "fetch_status");
            let after = match refused {
                FetchError::Busy { status: 429 | 503, after } => Some(after),
                _ => None,
            };
            assert_eq!(after, expected, "{line} {header}");
        }
    }
}

#[tokio::test]
async fn a_post_keeps_the_rules_of_addresses_bounds_and_time() {
    let server = Server::start([
        ("/over", Answer::Bytes(reply("200 OK", "", &"x".repeat(BODY_MAX + 1)))),
        ("/silent", Answer::Silent(Vec::new())),
    ])
    .await;
    let port = server.base.port().unwrap();
    let here = request(&format!("https://127.0.0.1:{port}/")).post(post(Vec::new()));
    let refused = Https::new().unwrap().fetch(&here).await;
    assert!(matches!(refused, Err(FetchError::Refused { .. })), "{refused:?}");
    for url in ["http://10.0.0.1/", "http://issuer.example/", "https://a:b@issuer.example/"] {
        let refused = development().fetch(&request(url).post(post(Vec::new()))).await;
        assert!(matches!(refused, Err(FetchError::Refused { .. })), "{url}: {refused:?}");
    }
    let broken = post(vec![("webhook-id", "two\r\nlines: secret".into())]);
    let refused = development().fetch(&server.request("over").post(broken)).await.unwrap_err();
    assert!(matches!(refused, FetchError::Refused { .. }) && !format!("{refused:?}").contains("secret"), "{refused:?}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);

    let over = development().fetch(&server.request("over").post(post(Vec::new()))).await;
    assert!(matches!(over, Err(FetchError::TooLarge { max: BODY_MAX })), "{over:?}");
    let timeout = Duration::from_millis(200);
    let posting = FetchRequest { timeout, ..server.request("silent").post(post(Vec::new())) };
    let late = development().fetch(&posting).await;
    assert!(matches!(late, Err(FetchError::Timeout(_))), "{late:?}");
    let gone = request("http://127.0.0.1:1/secret-path").post(post(vec![("webhook-id", "secret-id".into())]));
    let failed = development().fetch(&gone).await.unwrap_err();
    assert!(!format!("{failed:?} {gone:?}").contains("secret-id") && !format!("{failed:?}").contains("secret-path"));
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let line = format!("X-More: {}\r\n", "x".repeat(1000)).into_bytes();
    let server = Server::start([
        ("/headers", Answer::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), line)),
        ("/one-header", Answer::Endless(b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec(), vec![b'x'; 1000])),
        ("/status", Answer::Endless(b"HTTP/1.1 200 ".to_vec(), vec![b'O'; 1000])),
        ("/not-http", Answer::Endless(Vec::new(), vec![0; 1000])),
    ])
    .await;
    for path in ["headers", "one-header", "status", "not-http"] {
        let failed = server.fetch(path).await;
        assert!(matches!(failed, Err(FetchError::Failed(_))), "{path}: {failed:?}");
    }
}

#[tokio::test]
async fn what_is_compressed_stays_so() {
    // Ten megabytes of zeros in gzip would be twelve kilobytes on the wire.
    let server =
        Server::start([("/", Answer::Bytes(reply("200 OK", "Content-Encoding: gzip\r\n", "\u{1f}not gzip")))]).await;
    assert_eq!(server.fetch("").await.unwrap().body, "\u{1f}not gzip");
    assert!(server.heads()[0].contains("\r\naccept-encoding: identity\r\n"));
}

#[tokio::test]
async fn a_cookie_is_not_kept() {
    let server = Server::start([
        ("/", Answer::Bytes(reply("302 Found", "Set-Cookie: a=b; Path=/\r\nLocation: /next\r\n", ""))),
        ("/next", Answer::Bytes(reply("200 OK", "", ""))),
    ])
    .await;
    let https = development();
    for _ in 0..2 {
        https.fetch(&server.request("")).await.unwrap();
    }
    assert_eq!(server.heads().len(), 4);
    assert!(server.heads().iter().all(|head| !head.contains("cookie")));
}

#[tokio::test]
async fn a_server_that_is_gone_is_a_failure() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failed = development().fetch(&request(&format!("http://{gone}/secret-path"))).await.unwrap_err();
    assert!(matches!(failed, FetchError::Failed(_)), "{failed:?}");
    // Errors are logged, and a URL may name somebody's list.
    assert!(!format!("{failed:?}").contains("secret-path"), "{failed:?}");
}

/// A proxy resolves names itself, so nothing would be pinned. The variables are read when a process starts: this one
/// starts itself again with them.
#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "a_document_comes_with_its_type_and_its_lifetime"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        again.env(name, "http://127.0.0.1:9/");
    }
    again.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = again.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
