//! One headless Chromium with its driver: what a customer can do with a browser, and what is asked of it at the end.

use std::{
    env, fs,
    future::Future,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    elements::{Element, ElementRef},
    wd::{WebDriverCompatibleCommand, WindowHandle},
};
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

use crate::shop::{Folder, Storefront, free_port, wait_for_port};

/// How long anything may take before a walk has failed: the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether Chromium and its driver are here. If not, what is left out is said; where `CI=true`, that is a failure.
pub fn installed(what: &str) -> bool {
    let here = chromium().is_some() && chromedriver().is_some();
    if !here {
        println!("left out, for chromium or chromedriver is not installed: {what}");
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "Chromium must be installed here: {what} was left out");
    }
    here
}

fn chromedriver() -> Option<PathBuf> {
    in_path(&["chromedriver"])
}

fn chromium() -> Option<PathBuf> {
    in_path(&["chromium", "chromium-browser", "google-chrome"])
}

fn in_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<_> = env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}

/// What a browser is like.
#[derive(Clone, Debug)]
pub struct Options {
    pub language: &'static str,
    pub phone: bool,
    pub profile: Option<Arc<Folder>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { language: "en", phone: false, profile: None }
    }
}

/// A browser, with the address of the shop in its owner's mind.
pub struct Browser {
    pub client: Client,
    driver: Driver,
    profile: Arc<Folder>,
    origin: String,
}

/// The driver's process and its session: both end when this is dropped, however a walk ends.
struct Driver {
    process: Child,
    port: u16,
    session: String,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Ends the browser, which belongs to the session.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let request = format!(
                "DELETE /session/{} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
                self.session, self.port
            );
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read(&mut [0; 512]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// A new browser with a new profile.
    pub async fn new(shop: &Storefront) -> Self {
        Self::with(shop, Options::default()).await
    }

    pub async fn with(shop: &Storefront, options: Options) -> Self {
        Self::at(shop.origin(), options).await
    }

    /// A browser whose owner has this shop in mind.
    pub async fn at(origin: String, options: Options) -> Self {
        let profile = options.profile.clone().unwrap_or_else(|| Arc::new(Folder::new("profile")));
        let port = free_port();
        let process = Command::new(chromedriver().unwrap())
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut driver = Driver { process, port, session: String::new() };
        wait_for_port(port, "chromedriver");
        let mut client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        let Value::Object(wanted) = capabilities(&options, profile.path()) else { unreachable!() };
        let client = client.capabilities(wanted).connect(&format!("http://localhost:{port}")).await.unwrap();
        driver.session = client.session_id().await.unwrap().unwrap();
        Self { client, driver, profile, origin }
    }

    /// The same browser, closed and opened again: the same profile, no tab of before.
    pub async fn reopened(self, shop: &Storefront) -> Self {
        let profile = Arc::clone(&self.profile);
        self.leave().await;
        Self::with(shop, Options { profile: Some(profile), ..Options::default() }).await
    }

    /// Asks what every walk has to answer, and closes the browser.
    pub async fn leave(self) {
        let cookies = self.cdp("Network.getAllCookies", json!({})).await;
        assert_eq!(cookies["cookies"], json!([]), "cookies exist");
        for window in self.client.windows().await.unwrap() {
            self.client.switch_to_window(window).await.unwrap();
            if self.client.current_url().await.unwrap().as_str().starts_with(&self.origin) {
                assert_eq!(self.eval("document.cookie").await, json!(""));
            }
        }
        for entry in self.log("browser").await {
            // What the browser itself says of answers above 399, and of a shop that was killed, is no fault of a page.
            let is_own = entry["message"].as_str().is_some_and(|message| message.starts_with("chrome://"));
            let grave = matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
            let grave = grave && entry["source"] != "network" && !is_own;
            assert!(!grave, "the console says: {entry}");
        }
        for entry in self.log("performance").await {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let message = &message["message"];
            let asked = match message["method"].as_str() {
                Some("Network.requestWillBeSent") => message["params"]["request"]["url"].as_str(),
                Some("Network.webSocketCreated") => message["params"]["url"].as_str(),
                Some("Network.responseReceivedExtraInfo") => {
                    let headers = message["params"]["headers"].as_object().unwrap();
                    let cookie = headers.keys().find(|name| name.eq_ignore_ascii_case("set-cookie"));
                    assert_eq!(cookie, None, "an answer sets a cookie: {message}");
                    None
                }
                _ => None,
            };
            if let Some(url) = asked {
                // The browser's own first page is no page of ours, and what is made in the page asks nobody.
                let local = ["data:", "blob:", "chrome:"].iter().any(|scheme| url.starts_with(scheme));
                assert!(local || url.starts_with(&format!("{}/", self.origin)), "a page asked {url}");
            }
        }
        let Self { client, driver, .. } = self;
        drop(driver);
        drop(client);
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.command(Extension::post("se/log", json!({ "type": kind }))).await;
        log.as_array().unwrap().clone()
    }

    /// A command of the browser's own protocol, to the window that is looked at.
    pub async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.command(Extension::post("goog/cdp/execute", json!({ "cmd": command, "params": parameters }))).await
    }

    async fn command(&self, command: Extension) -> Value {
        self.client.issue_cmd(command).await.unwrap()
    }

    // --- going

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Types an address.
    pub async fn open(&self, path: &str) {
        self.client.goto(&self.url(path)).await.unwrap();
    }

    /// The path and query of the page.
    pub async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
    }

    /// A new tab, at `about:blank`.
    pub async fn new_tab(&self) -> WindowHandle {
        let window = self.client.new_window(true).await.unwrap().handle;
        self.client.switch_to_window(window.clone()).await.unwrap();
        window
    }

    pub async fn tab(&self) -> WindowHandle {
        self.client.window().await.unwrap()
    }

    pub async fn look_at(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.unwrap();
    }

    /// Goes to the tab that has been opened beside `others`.
    pub async fn look_at_new(&self, others: &[WindowHandle]) -> WindowHandle {
        let new = eventually("a new tab", || async {
            let all = self.client.windows().await.unwrap();
            all.into_iter().find(|window| !others.contains(window)).ok_or_else(|| "none".to_owned())
        })
        .await;
        self.look_at(&new).await;
        new
    }

    // --- looking

    /// The value of a JavaScript expression.
    pub async fn eval(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => ({expression}))().then(done, (error) => done(`failed: ${{error}}`));"
        );
        self.client.execute_async(&script, Vec::new()).await.unwrap()
    }

    /// Waits until the page is all there. A form that is sent sooner takes the page's place in the history (HTML, 4.10.22.3
    /// "Form submission algorithm", step 25), and going back leads further than people expect.
    pub async fn loaded(&self) {
        self.wait("document.readyState === 'complete'").await;
    }

    /// Waits until an expression is true; a page on its way to another is waited for, too.
    pub async fn wait(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        let waited = try_eventually(|| async {
            match self.client.execute(&script, Vec::new()).await {
                Ok(Value::Bool(true)) => Ok(()),
                Ok(other) => Err(other.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        if let Err(last) = waited {
            self.despair(expression, &last).await;
        }
    }

    /// Waits until the page, its open dialog included, says something.
    pub async fn sees(&self, text: &str) {
        self.wait(&format!("({SEEN}).includes({})", json!(text))).await;
    }

    /// What the page, its open dialog included, says.
    pub async fn text(&self) -> String {
        self.eval(SEEN).await.as_str().unwrap_or_default().to_owned()
    }

    /// An element, once it is there and visible.
    pub async fn find(&self, css: &str) -> Element {
        let found = try_eventually(|| async {
            let element = self.client.find(Locator::Css(css)).await.map_err(|e| e.to_string())?;
            match element.is_displayed().await {
                Ok(true) => Ok(element),
                Ok(false) => Err("it is not visible".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        match found {
            Ok(element) => element,
            Err(last) => self.despair(css, &last).await,
        }
    }

    /// A part of the first `<firsthand-button>`, in its shadow, once it is there and visible.
    pub async fn part(&self, css: &str) -> Element {
        let found = try_eventually(|| async {
            let host = self.client.find(Locator::Css("firsthand-button")).await.map_err(|e| e.to_string())?;
            let root = host.shadow_root().await.map_err(|e| e.to_string())?;
            let element = root.find(Locator::Css(css)).await.map_err(|e| e.to_string())?;
            match element.is_displayed().await {
                Ok(true) => Ok(element),
                Ok(false) => Err("it is not visible".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        match found {
            Ok(element) => element,
            Err(last) => self.despair(css, &last).await,
        }
    }

    /// Clicks an element once it can be clicked.
    pub async fn click(&self, css: &str) {
        let clicked = try_eventually(|| async {
            let element = self.client.find(Locator::Css(css)).await.map_err(|e| e.to_string())?;
            element.click().await.map_err(|e| e.to_string())
        })
        .await;
        if let Err(last) = clicked {
            self.despair(css, &last).await;
        }
    }

    /// Clicks the link or button with this text.
    pub async fn press(&self, text: &str) {
        self.sees(text).await;
        self.loaded().await;
        let quoted = text.replace('\'', "’");
        let xpath = format!(
            "//*[self::a or self::button or self::summary][normalize-space(translate(., \"'\", '’'))='{quoted}']"
        );
        let pressed = try_eventually(|| async {
            let element = self.client.find(Locator::XPath(&xpath)).await.map_err(|e| e.to_string())?;
            element.click().await.map_err(|e| e.to_string())
        })
        .await;
        if let Err(last) = pressed {
            self.despair(text, &last).await;
        }
    }

    /// Clicks the link or button with this text inside of an element that brings its own, once it can be clicked.
    pub async fn press_in(&self, within: &str, text: &str) {
        let pressed = try_eventually(|| async {
            let given = vec![json!(text), json!(within)];
            let found = self.client.execute(PRESSABLE, given).await.map_err(|e| e.to_string())?;
            let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
            let id = id.ok_or_else(|| "it is not there".to_owned())?.to_owned();
            let element = Element::from_element_id(self.client.clone(), ElementRef::from(id));
            match element.clone().click().await.map_err(|e| e.to_string()) {
                // The driver looks no further than the element that has this one in its shadow.
                Err(error) if error.contains("would receive the click: <firsthand-") => {
                    self.point(element, 1).await;
                    Ok(())
                }
                clicked => clicked,
            }
        })
        .await;
        if let Err(last) = pressed {
            self.despair(&format!("{text:?} in {within}"), &last).await;
        }
    }

    /// Types into the first field inside of an element that brings its own, in the place of what was there.
    pub async fn type_in(&self, within: &str, text: &str) {
        let script = "return document.querySelector(arguments[0]).shadowRoot.querySelector('input')";
        let found = self.client.execute(script, vec![json!(within)]).await.unwrap();
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).unwrap();
        let field = Element::from_element_id(self.client.clone(), ElementRef::from(id.to_owned()));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// A device that keeps passkeys, as Chromium can pretend to have one: its owner is there and agrees. Answers its name.
    pub async fn authenticator(&self) -> String {
        let device = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserConsenting": true, "isUserVerified": true,
        });
        let made = self.command(Extension::post("webauthn/authenticator", device)).await;
        made.as_str().unwrap().to_owned()
    }

    /// A file that the browser has saved, once it is there.
    pub async fn download(&self) -> String {
        let folder = self.profile.path().join("downloads");
        eventually("a download", || async {
            let file = fs::read_dir(&folder).map_err(|e| e.to_string())?.next();
            let path = file.ok_or_else(|| "none".to_owned())?.map_err(|e| e.to_string())?.path();
            match path.extension().is_some_and(|extension| extension == "json") {
                true => fs::read_to_string(path).map_err(|e| e.to_string()),
                false => Err("not whole".to_owned()),
            }
        })
        .await
    }

    /// The browser's owner clears what it keeps of the shop.
    pub async fn clear(&self) {
        let everything = json!({ "origin": self.origin, "storageTypes": "all" });
        self.cdp("Storage.clearDataForOrigin", everything).await;
    }

    /// The passkeys on a device.
    pub async fn passkeys(&self, authenticator: &str) -> Vec<Value> {
        let path = format!("webauthn/authenticator/{authenticator}/credentials");
        self.command(Extension::get(path)).await.as_array().unwrap().clone()
    }

    /// Puts a passkey onto a device, as its platform does with one that it copies.
    pub async fn give_passkey(&self, authenticator: &str, passkey: &Value) {
        let path = format!("webauthn/authenticator/{authenticator}/credential");
        self.command(Extension::post(path, passkey.clone())).await;
    }

    /// Presses the link or button with this text in the dialog of the first `<firsthand-button>`.
    pub async fn press_part(&self, text: &str) {
        let element = format!(
            "[...document.querySelector('firsthand-button').shadowRoot.querySelectorAll('a, button, summary')]
               .find((element) => element.checkVisibility() && element.textContent.trim() === {})",
            json!(text)
        );
        self.wait(&element).await;
        self.eval(&format!("{element}.click()")).await;
    }

    /// Moves the pointer to an element and clicks as often as a customer does, wherever the event then goes.
    pub async fn point(&self, element: Element, clicks: usize) {
        self.loaded().await;
        // A pointer does not scroll.
        let given = vec![serde_json::to_value(&element).unwrap()];
        let script = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })";
        self.client.execute(script, given).await.unwrap();
        let mouse = MouseActions::new("mouse".to_owned());
        let mut mouse = mouse.then(PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 });
        for _ in 0..clicks {
            mouse = mouse
                .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
                .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        }
        self.client.perform_actions(mouse).await.unwrap();
    }

    /// Presses one key, wherever the focus is.
    pub async fn key(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.client.perform_actions(keys).await.unwrap();
    }

    /// A picture for people, where they want one.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = env::var_os("FIRSTHAND_SCREENSHOTS") else { return };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        fs::create_dir_all(&folder).unwrap();
        let png = self.client.screenshot().await.unwrap();
        fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }

    /// A picture of the whole page, also of what is below the window's edge.
    pub async fn whole_picture(&self, name: &str) {
        let Some(folder) = env::var_os("FIRSTHAND_SCREENSHOTS") else { return };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        fs::create_dir_all(&folder).unwrap();
        let taken = self.cdp("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let png = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }

    /// Nothing whatsoever is kept in this browser about the shop.
    pub async fn keeps_nothing(&self) {
        let kept = self
            .eval(
                "{ databases: (await indexedDB.databases()).map((database) => database.name), local: localStorage.length,
                   session: sessionStorage.length, caches: (await caches.keys()).length, cookie: document.cookie,
                   workers: (await navigator.serviceWorker.getRegistrations()).length }",
            )
            .await;
        let nothing = json!({ "databases": [], "local": 0, "session": 0, "caches": 0, "cookie": "", "workers": 0 });
        assert_eq!(kept, nothing, "kept in the browser");
    }

    async fn despair(&self, what: &str, last: &str) -> ! {
        let url = self.client.current_url().await.map(|url| url.to_string()).unwrap_or_default();
        let text = self.client.execute(&format!("return {SEEN}"), Vec::new()).await.unwrap_or_default();
        let console = self.log("browser").await;
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("despair-{}.png", std::process::id()));
        if let Ok(png) = self.client.screenshot().await {
            let _ = fs::write(&file, png);
        }
        let text = text.as_str().unwrap_or_default();
        panic!("waited in vain for {what} ({last}) at {url}, which shows:\n{text}\n{console:?}\n{}", file.display());
    }
}

/// The visible text of the page and of the shadows in it: of a button's, what its dialog says.
const SEEN: &str = "(() => {
    const [roots, texts] = [[document], [document.body?.innerText ?? '']];
    for (const root of roots) {
      for (const host of root.querySelectorAll('*')) {
        if (!host.shadowRoot || !host.checkVisibility()) continue;
        roots.push(host.shadowRoot);
        const parts = host.localName === 'firsthand-button' ? 'dialog' : '[part=body], [part=status]';
        for (const part of host.shadowRoot.querySelectorAll(parts)) texts.push(part.innerText);
      }
    }
    return texts.join('\\n');
  })()";

/// What can be pressed in the shadows of the page and says `given[0]`, in the first element that fits `given[1]`.
const PRESSABLE: &str = "const [text, within] = arguments;
    const roots = [...document.querySelectorAll(within)].map((host) => host.shadowRoot ?? host);
    for (const root of roots) {
      for (const element of root.querySelectorAll('*')) {
        if (element.shadowRoot) roots.push(element.shadowRoot);
        const fits = element.matches('a, button, summary, label') && element.checkVisibility();
        if (fits && element.innerText.trim() === text) return element;
        if (fits && element.querySelector('slot')?.assignedNodes().map((node) => node.textContent).join('').trim() === text) return element;
      }
    }
    return null;";

fn capabilities(options: &Options, profile: &Path) -> Value {
    let mut chrome = json!({
        "binary": chromium().unwrap(),
        "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--window-size=1280,900", "--force-prefers-reduced-motion", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
            format!("--lang={}", options.language), format!("--user-data-dir={}", profile.display()),
        ],
        "prefs": {
            "intl.accept_languages": options.language,
            "download": { "default_directory": profile.join("downloads"), "prompt_for_download": false },
        },
    });
    if options.phone {
        chrome["mobileEmulation"] = json!({
            "deviceMetrics": { "width": 390, "height": 844, "pixelRatio": 2, "mobile": true, "touch": true },
            "clientHints": { "platform": "Android", "mobile": true },
        });
    }
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": chrome,
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "timeouts": { "script": 20_000, "pageLoad": 60_000 },
    })
}

/// Tries until it works.
async fn try_eventually<T, F: Future<Output = Result<T, String>>>(mut attempt: impl FnMut() -> F) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() > deadline => return Err(last),
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
}

/// Tries until it works, or the walk has failed.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, attempt: impl FnMut() -> F) -> T {
    try_eventually(attempt).await.unwrap_or_else(|last| panic!("waited in vain for {what}: {last}"))
}

/// A command that Chromium's driver has beside the standard, or that its client does not know.
#[derive(Debug)]
struct Extension {
    path: String,
    body: Option<Value>,
}

impl Extension {
    fn post(path: impl Into<String>, body: Value) -> Self {
        Self { path: path.into(), body: Some(body) }
    }

    fn get(path: String) -> Self {
        Self { path, body: None }
    }
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        match &self.body {
            Some(body) => (Method::POST, Some(body.to_string())),
            None => (Method::GET, None),
        }
    }
}
