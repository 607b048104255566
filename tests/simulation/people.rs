//! People with browsers and wallets, and what they do: each deed is a future that goes over the wire like everybody else's.

use firsthand::{
    limits::Limits,
    testing::wallet::{Link, Request as WalletRequest},
};
use firsthand_axum::testing::{Asking, Browser, Reply, response_code};
use http::Method;
use serde_json::{Value, json};

use crate::{
    nodes::{LOST, Nodes, Sent},
    till::Cart,
    world::World,
};

/// Who there is, by the wallet that they hold. The last one is up to no good.
pub const PEOPLE: [&str; 4] = ["adult", "minor", "rulebook", "national"];
/// The number of the last one.
pub const THIEF: usize = PEOPLE.len() - 1;

/// Everybody, and what they have before them.
#[derive(Debug, Default)]
pub struct Folk {
    pub devices: Vec<Device>,
    pub questions: Vec<Question>,
    /// Recovery codes on paper, with whose they are.
    pub codes: Vec<(usize, String)>,
    pub carts: Vec<Cart>,
    /// What went over the wire, for whoever listens there.
    pub overheard: Vec<Sent>,
}

/// A browser of somebody.
#[derive(Debug)]
pub struct Device {
    pub person: usize,
    pub browser: Browser,
    /// The tokens that it had before.
    pub tokens: Vec<String>,
    /// Every nonce that it was given.
    pub nonces: Vec<String>,
}

/// A question to a wallet, as the browser that asked knows it.
#[derive(Clone, Debug)]
pub struct Question {
    pub device: usize,
    pub asking: Asking,
    pub same_device: bool,
    /// What the wallet has read of it.
    pub request: Option<WalletRequest>,
    /// What the wallet sent, to be sent again.
    pub form: Option<String>,
    /// What it was told to carry back.
    pub code: Option<String>,
}

/// Somebody does something.
#[derive(Clone)]
pub struct Doing {
    pub world: World,
    pub nodes: Nodes,
}

/// Everybody gets their browsers: of two kinds of keys, and some with a clock that is wrong.
pub fn move_in(world: &World, nodes: &Nodes) {
    for (person, name) in PEOPLE.into_iter().enumerate() {
        for _ in 0..1 + world.below(3) {
            let mut browser = Browser::new(&nodes.shop, nodes.wire());
            if world.chance(300) {
                browser = browser.with_p256();
            }
            if world.chance(200) {
                browser.clock_off_s = [-90_000, -200, 45, 7_200][world.below(4)];
            }
            let key = browser.key.public_key().to_jwk()["x"].as_str().expect("a coordinate").to_owned();
            let mut state = world.state();
            let number = state.folk.devices.len();
            state.oracle.has_key(key, number, person);
            state.note(|| format!("browser {number} belongs to {name}"));
            state.folk.devices.push(Device { person, browser, tokens: Vec::new(), nonces: Vec::new() });
        }
    }
}

impl Doing {
    pub fn any_device(&self) -> usize {
        let mut state = self.world.state();
        let all = state.folk.devices.len();
        state.numbers.below(all)
    }

    /// A browser that has a session, as far as it knows.
    pub fn known_device(&self) -> Option<usize> {
        let mut state = self.world.state();
        let devices = &state.folk.devices;
        let known: Vec<usize> = (0..devices.len()).filter(|device| devices[*device].browser.token.is_some()).collect();
        state.numbers.of(&known)
    }

    /// A browser that had a session at some time.
    pub fn device_of_before(&self) -> Option<usize> {
        let mut state = self.world.state();
        let devices = &state.folk.devices;
        let before: Vec<usize> = (0..devices.len()).filter(|device| !devices[*device].tokens.is_empty()).collect();
        state.numbers.of(&before)
    }

    pub fn person(&self, device: usize) -> usize {
        self.world.state().folk.devices[device].person
    }

    pub fn browser(&self, device: usize) -> Browser {
        self.world.state().folk.devices[device].browser.clone()
    }

    /// A browser opens a tab, does something in it, and keeps what it learned.
    pub async fn tab(&self, device: usize, act: impl AsyncFnOnce(&mut Browser) -> Reply) -> Reply {
        let mut tab = self.browser(device);
        let before = tab.token.clone();
        let reply = act(&mut tab).await;
        let mut state = self.world.state();
        let there = &mut state.folk.devices[device];
        if tab.nonce != there.browser.nonce {
            there.nonces.extend(tab.nonce.clone());
            (there.browser.nonce, there.browser.clock_off_s) = (tab.nonce, tab.clock_off_s);
        }
        // A token that is refused is dropped, as the script does.
        if reply.code() == "invalid_token" {
            tab.token = None;
        }
        if tab.token != before {
            there.tokens.extend(before);
            there.browser.token = tab.token;
        }
        reply
    }

    async fn plain(&self, device: usize, method: Method, path: &str) -> Reply {
        self.tab(device, async |tab| tab.signed(method, path, None).await).await
    }

    /// Somebody looks at the shop.
    pub async fn look(&self, device: usize) -> Reply {
        self.plain(device, Method::GET, "/").await
    }

    /// Somebody does what the merchant's own handler does for them.
    pub async fn act(&self, device: usize) {
        self.tab(device, async |tab| tab.post_json("/deed", &json!({ "what": "something" })).await).await;
    }

    /// A browser asks.
    pub async fn ask(&self, device: usize, same_device: bool) -> Option<usize> {
        let ask = if self.person(device) == 1 || self.world.chance(300) { "address" } else { "age" };
        let flow = if same_device { "same_device" } else { "cross_device" };
        let body = json!({ "ask": ask, "flow": flow });
        let reply = self.tab(device, async |tab| tab.post_json("/wallet/presentations", &body).await).await;
        let body: Value = serde_json::from_slice(&reply.body).ok()?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let (id, wallet_uri) = (text("id")?, text("wallet_uri")?);
        let request_uri = text("request_uri").unwrap_or_default();
        let asking = Asking { id, wallet_uri, request_uri, body: body.clone() };
        let mut state = self.world.state();
        let (request, form, code) = (None, None, None);
        state.folk.questions.push(Question { device, asking, same_device, request, form, code });
        Some(state.folk.questions.len() - 1)
    }

    pub fn question(&self, number: usize) -> Question {
        self.world.state().folk.questions[number].clone()
    }

    /// A wallet reads a question, and its owner shows what is asked.
    pub async fn answer(&self, number: usize, person: usize) -> Option<()> {
        let question = self.question(number);
        // What carries a wallet's requests signs nothing.
        let mut carrier = self.browser(question.device).another();
        let (link, nonce) = (Link::parse(&question.asking.wallet_uri).ok()?, "a-wallet-nonce");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let request = match question.request {
            Some(request) => request,
            None => {
                let body = Link::form(nonce);
                let reply = carrier.plain(&Method::POST, link.request_uri.path(), &form, body.as_bytes()).await;
                if reply.status != 200 {
                    return None;
                }
                let (roots, now) = ([self.nodes.shop.access_root()], self.world.now());
                let read = WalletRequest::read(&link, &reply.text(), Some(nonce), &roots, now, &Limits::default());
                match read {
                    Ok(request) => request,
                    Err(error) => {
                        // Whoever waits for weeks between the two has a request that is too old to be believed.
                        self.world.note(|| format!("a wallet does not believe a request: {error}"));
                        return None;
                    }
                }
            }
        };
        let wallet = &self.nodes.shop.persona(PEOPLE[person]).wallet;
        let text = match question.form {
            // Sent again after an answer that was lost: by the letter.
            Some(text) if self.world.chance(700) => text,
            _ => {
                let choice = wallet.choose(&request).ok()?;
                let clock = self.nodes.shop.clock().clone();
                wallet.answer(&request, &choice, &[], &clock).ok()?
            }
        };
        {
            let there = &mut self.world.state().folk.questions[number];
            (there.request, there.form) = (Some(request.clone()), Some(text.clone()));
        }
        let reply = carrier.plain(&Method::POST, request.response_uri.path(), &form, text.as_bytes()).await;
        if reply.status != 200 {
            return None;
        }
        if question.same_device {
            self.world.state().folk.questions[number].code = Some(response_code(&reply));
        }
        Some(())
    }

    /// A browser brings a question and a code, its own or not.
    pub async fn redeem(&self, device: usize, id: &str, code: Option<&str>) -> Reply {
        let mut body = json!({ "presentation": id, "device": "Firefox on Android" });
        if let Some(code) = code {
            body["response_code"] = code.into();
        }
        self.tab(device, async |tab| tab.redeem(&body).await).await
    }

    /// A browser redeems what it asked, and looks who it is now.
    pub async fn come_in(&self, number: usize) {
        let question = self.question(number);
        let reply = self.redeem(question.device, &question.asking.id, question.code.as_deref()).await;
        if reply.status == LOST {
            // It does not know what became of it, and tries again.
            self.redeem(question.device, &question.asking.id, question.code.as_deref()).await;
        }
        self.look(question.device).await;
    }

    /// From the question to the session.
    pub async fn sign_in(&self, device: usize) {
        let same_device = self.world.chance(800);
        let Some(number) = self.ask(device, same_device).await else { return };
        let person = self.person(device);
        for _ in 0..2 {
            if self.answer(number, person).await.is_some() {
                return self.come_in(number).await;
            }
        }
    }

    /// A key that is known begins a session by itself.
    pub async fn resume(&self, device: usize) {
        self.tab(device, async |tab| tab.redeem(&json!({ "device": "A telephone" })).await).await;
        self.look(device).await;
    }

    pub async fn sign_out(&self, device: usize) {
        self.plain(device, Method::DELETE, "/wallet/sessions/current").await;
    }

    pub async fn revoke_all(&self, device: usize) {
        self.plain(device, Method::DELETE, "/wallet/sessions").await;
    }

    pub async fn forget_device(&self, device: usize) {
        self.plain(device, Method::DELETE, "/wallet/device").await;
    }

    pub async fn forget_me(&self, device: usize) {
        self.plain(device, Method::DELETE, "/wallet/me").await;
    }

    pub async fn me(&self, device: usize) {
        self.plain(device, Method::GET, "/wallet/me").await;
    }

    /// Somebody looks where they are signed in, and ends one of it.
    pub async fn revoke_one(&self, device: usize) -> Option<()> {
        let reply = self.plain(device, Method::GET, "/wallet/sessions").await;
        let body: Value = serde_json::from_slice(&reply.body).ok()?;
        let sessions = body["sessions"].as_array().filter(|all| !all.is_empty())?;
        let id = sessions[self.world.below(sessions.len())]["id"].as_str()?;
        self.plain(device, Method::DELETE, &format!("/wallet/sessions/{id}")).await;
        Some(())
    }

    /// Somebody writes down a code for the day on which they lose everything.
    pub async fn write_down_code(&self, device: usize) -> Option<()> {
        let reply = self.plain(device, Method::POST, "/wallet/recovery-code").await;
        let body: Value = serde_json::from_slice(&reply.body).ok()?;
        let code = body["code"].as_str().filter(|_| reply.status == 201)?.to_owned();
        let person = self.person(device);
        self.world.state().folk.codes.push((person, code));
        Some(())
    }

    /// Somebody comes back by a code of theirs, with any browser that they have.
    pub async fn recover(&self) -> Option<()> {
        let (device, code) = {
            let mut state = self.world.state();
            let codes = state.folk.codes.clone();
            let (person, code) = state.numbers.of(&codes)?;
            let devices = &state.folk.devices;
            let theirs: Vec<usize> = (0..devices.len()).filter(|device| devices[*device].person == person).collect();
            (state.numbers.of(&theirs)?, code)
        };
        let body = json!({ "code": code });
        self.tab(device, async |tab| {
            let reply = tab.post_json("/wallet/recovery", &body).await;
            let said: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            tab.token = said["access_token"].as_str().map(str::to_owned).or(tab.token.take());
            reply
        })
        .await;
        self.look(device).await;
        Some(())
    }

    /// Somebody comes back with a token that their browser had before.
    pub async fn old_token(&self, device: usize) {
        let (mut tab, tokens) = {
            let state = self.world.state();
            let there = &state.folk.devices[device];
            (there.browser.clone(), there.tokens.clone())
        };
        let Some(token) = self.world.state().numbers.of(&tokens) else { return };
        tab.token = Some(token);
        tab.get("/").await;
    }
}
