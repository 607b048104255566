//! What must be so whatever happens. It sees what goes over the wire and which records are written, and keeps a plain picture
//! of its own: whose key is whose, which sessions are open, what was used up.

use std::collections::{BTreeMap, BTreeSet};

use firsthand::{
    env::Env,
    session::{IDLE_S, LIFETIME_S, TOUCH_S},
    store::{Key, Write},
    time::UnixTime,
};
use serde_json::Value;

use crate::{
    nodes::Sent,
    request::{Deed, Read},
    world::{Life, State},
};

/// How old a proof may be, and how far in the future, in seconds.
const PROOF_S: (i64, i64) = (120, 30);
/// How long a request may take, in seconds, before somebody's patience with a part of the shop ends.
const PATIENCE_S: u64 = 5;
/// How many sessions a key may have begun after one that is still there for certain.
const SESSIONS_OF_A_KEY: u32 = 3;

/// The picture, and what contradicted it.
#[derive(Debug, Default)]
pub struct Oracle {
    pub wrong: Vec<String>,
    /// Counts what happens, so that it is known what was before what.
    tick: u64,
    /// Whose key is whose: a browser, and its person.
    keys: BTreeMap<String, (usize, usize)>,
    requests: BTreeMap<u64, Request>,
    /// Proofs that came, and how often each had an effect.
    proofs: BTreeMap<String, Used>,
    pub sessions: BTreeMap<String, Session>,
    /// Which person each customer is.
    customers: BTreeMap<String, usize>,
    /// Which browsers were seen as which customer.
    seen_as: BTreeMap<String, BTreeSet<usize>>,
    /// Browsers that ever brought a recovery code.
    recovering: BTreeSet<usize>,
    /// How many sessions each browser has begun, or tried to.
    begun: BTreeMap<usize, u32>,
    questions: BTreeMap<String, Question>,
    /// What wallets brought, by the name of the request, and how often it was taken.
    answers: BTreeMap<String, BTreeSet<Vec<u8>>>,
    /// Which order each checkout became, as people were told.
    pub sold: BTreeMap<String, String>,
    /// Every record that was ever written.
    pub written: BTreeSet<Key>,
}

#[derive(Debug, Default)]
struct Used {
    came: u32,
    effects: u32,
    deeds: u32,
    /// Where it was let in for reading.
    read_at: BTreeSet<Life>,
}

#[derive(Debug)]
struct Request {
    read: Read,
    browser: Option<usize>,
    body: Vec<u8>,
    life: Life,
    begun: u64,
    begun_at: UnixTime,
    done: Option<u64>,
    /// Whether something went wrong that is not the shop's fault.
    hit: bool,
    wrote: BTreeSet<&'static str>,
    /// The sessions that it ends if it succeeds.
    ends: Vec<String>,
}

#[derive(Debug)]
struct Question {
    browser: Option<usize>,
    redeemed: u32,
}

/// A session as its browser knows it.
#[derive(Debug)]
pub struct Session {
    pub browser: usize,
    pub customer: Option<String>,
    /// The earliest and the latest moment at which it may have been used the last time.
    seen: (UnixTime, UnixTime),
    since: (UnixTime, UnixTime),
    /// Which one of its browser it is.
    number: u32,
    /// Requests that may have ended it.
    doubts: BTreeSet<u64>,
    ended: Option<u64>,
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Open,
    Over,
    InDoubt,
}

impl Oracle {
    pub fn broken(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    pub fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(otherwise());
        }
    }

    /// A browser with this key belongs to a person.
    pub fn has_key(&mut self, key: String, browser: usize, person: usize) {
        self.keys.insert(key, (browser, person));
    }

    /// Somebody is told that a checkout has become an order.
    pub fn sold(&mut self, checkout: &str, order: &str) {
        let before = self.sold.insert(checkout.to_owned(), order.to_owned());
        let is_one = before.as_ref().is_none_or(|before| before == order);
        self.must(is_one, || format!("{checkout} has become {order}, and {before:?}"));
    }

    /// Something went wrong with this request; or with one of those that the node serves, where nobody can tell.
    pub fn hit(&mut self, request: Option<u64>, life: Life) {
        for (number, one) in &mut self.requests {
            if request.map_or(one.done.is_none() && one.life == life, |request| request == *number) {
                one.hit = true;
            }
        }
    }

    /// Records were written.
    pub fn wrote(&mut self, request: Option<u64>, writes: &[Write]) {
        let of = request.and_then(|number| self.requests.get_mut(&number));
        let changed = writes.iter().filter(|write| !matches!(write, Write::Check { .. }));
        let keys: Vec<&Key> = changed.map(Write::key).collect();
        if let Some(request) = of {
            request.wrote.extend(keys.iter().map(|key| key.kind));
        }
        self.written.extend(keys.into_iter().cloned());
    }

    /// The shop's own handler does what must happen once.
    pub fn did(&mut self, request: u64) {
        let proof = self.requests.get(&request).and_then(|request| request.read.proof.clone());
        let Some(proof) = proof else { return self.broken("a deed is done for nobody") };
        let used = self.proofs.entry(proof.text).or_default();
        used.deeds += 1;
        if used.deeds > 1 {
            self.broken(format!("request {request}: one proof, two deeds"));
        }
    }

    fn person(&self, browser: usize) -> Option<usize> {
        self.keys.values().find(|(one, _)| *one == browser).map(|(_, person)| *person)
    }

    /// What is known of a session now.
    pub fn verdict(&self, session: &Session, now: UnixTime) -> Verdict {
        let begun = self.begun.get(&session.browser).copied().unwrap_or_default();
        let (seen, since) = (session.seen, session.since);
        if session.ended.is_some() || now >= seen.1.plus_s(IDLE_S).min(since.1.plus_s(LIFETIME_S)) {
            Verdict::Over
        } else if session.doubts.is_empty()
            && begun - session.number < SESSIONS_OF_A_KEY
            && now < seen.0.plus_s(IDLE_S).min(since.0.plus_s(LIFETIME_S))
        {
            Verdict::Open
        } else {
            Verdict::InDoubt
        }
    }

    /// The sessions that a request ends, if it does what it says.
    fn ended_by(&self, request: &Request) -> (Vec<String>, Vec<String>) {
        let own = request.read.token.as_ref().and_then(|token| self.sessions.get(token));
        let (Some(browser), person) = (request.browser, request.browser.and_then(|one| self.person(one))) else {
            return (Vec::new(), Vec::new());
        };
        let of_person = |one: &Session| self.person(one.browser) == person;
        let names = |which: &dyn Fn(&Session) -> bool| -> Vec<String> {
            let all = self.sessions.iter().filter(|(_, one)| one.ended.is_none() && which(one));
            all.map(|(token, _)| token.clone()).collect()
        };
        let doubted = names(&of_person);
        let certain = match (&request.read.deed, own) {
            (Deed::SignOut | Deed::ForgetDevice, Some(own)) if own.browser == browser => {
                names(&|one| one.browser == browser)
            }
            (Deed::RevokeAll | Deed::ForgetMe, Some(own)) if own.customer.is_some() => {
                names(&|one| one.customer == own.customer)
            }
            _ => Vec::new(),
        };
        (certain, doubted)
    }

    /// The picture after somebody was recognised.
    fn recognised(&mut self, number: u64, customer: &str) {
        let Some(request) = self.requests.get(&number) else { return };
        let (browser, token) = (request.browser, request.read.token.clone());
        let Some((browser, person)) = browser.and_then(|one| Some((one, self.person(one)?))) else {
            return self.broken(format!("request {number}: {customer} is there, and nobody signed"));
        };
        let owner = *self.customers.entry(customer.to_owned()).or_insert(person);
        if owner != person {
            self.broken(format!("request {number}: person {person} is taken for {customer}, who is person {owner}"));
        }
        let browsers = self.seen_as.entry(customer.to_owned()).or_default();
        if browsers.insert(browser) && browsers.len() > 1 && !self.recovering.contains(&browser) {
            self.broken(format!("request {number}: browser {browser} is {customer}, and was never linked"));
        }
        let Some(session) = token.and_then(|token| self.sessions.get_mut(&token)) else {
            return self.broken(format!("request {number}: {customer} is known by a token that nobody was given"));
        };
        let before = session.customer.get_or_insert_with(|| customer.to_owned()).clone();
        let right = session.browser == browser && before == customer;
        self.must(right, || format!("request {number}: {customer} by a session of {before}, or of another browser"));
    }
}

impl State {
    /// A request comes to a node.
    pub fn arrives(&mut self, sent: &Sent, life: Life) -> u64 {
        let (read, now) = (Read::of(sent), self.clock.now());
        let oracle = &mut self.oracle;
        oracle.tick += 1;
        let number = oracle.requests.len() as u64 + 1;
        let browser = read.proof.as_ref().and_then(|proof| oracle.keys.get(&proof.key)).map(|(browser, _)| *browser);
        if let Some(proof) = &read.proof {
            oracle.proofs.entry(proof.text.clone()).or_default().came += 1;
        }
        let mut request = Request {
            browser,
            body: sent.body.to_vec(),
            life,
            begun: oracle.tick,
            begun_at: now,
            done: None,
            hit: false,
            wrote: BTreeSet::new(),
            ends: Vec::new(),
            read,
        };
        if request.read.deed.ends() {
            let (certain, doubted) = oracle.ended_by(&request);
            for token in doubted {
                if let Some(session) = oracle.sessions.get_mut(&token) {
                    session.doubts.insert(number);
                }
            }
            request.ends = certain;
        }
        if let (true, Some(browser)) = (request.read.deed.begins(), browser) {
            *oracle.begun.entry(browser).or_default() += 1;
            if matches!(request.read.deed, Deed::Recover(_)) {
                oracle.recovering.insert(browser);
            }
        }
        let by = browser.map_or("nobody".to_owned(), |browser| format!("browser {browser}"));
        let deed = request.read.deed.clone();
        oracle.requests.insert(number, request);
        self.note(|| format!("request {number}, {deed:?}, by {by} comes to node {}", life.node));
        number
    }

    /// The node has died of it, or under it.
    pub fn never_answers(&mut self, number: u64) {
        self.oracle.tick += 1;
        let tick = self.oracle.tick;
        if let Some(request) = self.oracle.requests.get_mut(&number) {
            request.done = Some(tick);
        }
        self.note(|| format!("request {number} is never answered"));
    }

    /// A node has answered: all that must be true of it is looked at here.
    pub fn answers(&mut self, number: u64, status: u16, body: &Value) {
        let now = self.clock.now();
        let code = body["code"].as_str().filter(|_| status >= 400).unwrap_or_default().to_owned();
        let about = self.oracle.requests.get(&number).map_or("nothing", |request| request.read.deed.name());
        self.count(format!("{about}: {status} {code}").trim_end());
        self.note(|| format!("request {number} is answered {status} {code}"));
        let oracle = &mut self.oracle;
        oracle.tick += 1;
        let tick = oracle.tick;
        let Some(request) = oracle.requests.get_mut(&number) else { return };
        request.done = Some(tick);
        let (read, hit, life, begun, begun_at) =
            (request.read.clone(), request.hit, request.life, request.begun, request.begun_at);
        let (browser, wrote, ends, text) =
            (request.browser, request.wrote.clone(), std::mem::take(&mut request.ends), request.body.clone());
        let is_done = (200..300).contains(&status);

        let hit = hit || now.since_s(begun_at) >= PATIENCE_S;
        if status >= 500 {
            let excused = hit && code == "unavailable";
            oracle.must(excused, || format!("request {number} ({:?}): {status} {code}, for no reason", read.deed));
        }
        if let Some(proof) = &read.proof {
            let age = begun_at.as_secs() - proof.made_at;
            let in_time = age <= PROOF_S.0 && now.as_secs() - proof.made_at >= -PROOF_S.1;
            oracle.must(in_time || !is_done, || format!("request {number}: a proof of {age} s ago does something"));
            let used = oracle.proofs.entry(proof.text.clone()).or_default();
            let once = match (is_done, read.is_safe) {
                (false, _) => true,
                (true, true) => used.read_at.insert(life),
                (true, false) => {
                    used.effects += 1;
                    used.effects == 1
                }
            };
            oracle.must(once, || format!("request {number} ({:?}): one proof has two effects", read.deed));
        }
        if code == "binding_locked" {
            let of = browser.and_then(|browser| oracle.person(browser));
            let ends = |one: &Request| one.read.deed.ends() && one.browser.and_then(|one| oracle.person(one)) == of;
            let was_ended = oracle.requests.values().any(ends);
            oracle.must(was_ended, || format!("request {number}: nobody has ever signed out, and a key is locked"));
        }
        // What ends much one after the other, and takes so long that it is to be signed once more, has begun.
        let in_steps = matches!(read.deed, Deed::ForgetMe | Deed::ForgetDevice | Deed::RevokeAll);
        // So has what comes twice at the same time: one of the two does the last step.
        let is_one_of_two = code == "invalid_dpop_proof"
            && read.proof.as_ref().and_then(|proof| oracle.proofs.get(&proof.text)).is_some_and(|used| used.came > 1);
        let goes_on = in_steps && (code == "use_dpop_nonce" || is_one_of_two);
        if (400..500).contains(&status) && !goes_on {
            let left: Vec<&str> = wrote.iter().copied().filter(|kind| !may_stay(&read.deed, kind)).collect();
            oracle.must(left.is_empty(), || {
                format!("request {number} ({:?}) is refused ({code}), and leaves {left:?}", read.deed)
            });
        }
        oracle.must_know(number, status, &code, is_done, hit, begun, begun_at, now);
        if is_done {
            oracle.succeeded(number, &read, browser, body, &text, (begun, begun_at, now));
        }
        for token in &ends {
            if let (true, Some(session)) = (is_done, oracle.sessions.get_mut(token)) {
                session.ended.get_or_insert(tick);
            }
        }
        if (400..500).contains(&status) && read.deed.ends() && !goes_on {
            for session in oracle.sessions.values_mut() {
                session.doubts.remove(&number);
            }
        }
    }
}

/// What a request may leave behind though it is refused.
fn may_stay(deed: &Deed, kind: &str) -> bool {
    match kind {
        // That a proof was used up, and that a session was used.
        "spent_proof" | "session" => true,
        // How often a wallet was refused.
        "presentation" => matches!(deed, Deed::Answer(_)),
        // What refuses is what the merchant sells, the rail, or the customer's own haste.
        _ => *deed == Deed::Checkout,
    }
}

impl Oracle {
    /// Whoever has a session is known by it, and by nothing else.
    #[expect(clippy::too_many_arguments, reason = "all of it is one answer")]
    fn must_know(
        &mut self,
        number: u64,
        status: u16,
        code: &str,
        is_done: bool,
        hit: bool,
        begun: u64,
        begun_at: UnixTime,
        now: UnixTime,
    ) {
        let Some(request) = self.requests.get(&number) else { return };
        let (read, browser) = (request.read.clone(), request.browser);
        let (true, Some(token)) = (read.deed.is_for_known(), &read.token) else { return };
        let Some(session) = self.sessions.get(token) else {
            return self.must(!is_done, || format!("request {number}: a token that nobody was given opens something"));
        };
        let was_over = session.ended.is_some_and(|ended| ended < begun)
            || self.verdict(session, begun_at) == Verdict::Over && session.ended.is_none();
        let others = browser != Some(session.browser);
        let is_open = self.verdict(session, now) == Verdict::Open;
        let is_first = read
            .proof
            .as_ref()
            .is_some_and(|proof| proof.fits && self.proofs.get(&proof.text).is_some_and(|used| used.came == 1));
        let must_hold = is_open && !others && !hit && is_first && matches!(read.deed, Deed::Look | Deed::Act);
        if is_done && was_over {
            self.broken(format!("request {number} ({:?}): a session that has ended opens something", read.deed));
        }
        if is_done && others {
            self.broken(format!("request {number} ({:?}): another key's token opens something", read.deed));
        }
        if must_hold && !is_done && code != "use_dpop_nonce" {
            self.broken(format!("request {number} ({:?}): an open session is refused, {status} {code}", read.deed));
        }
        if let Some(session) = self.sessions.get_mut(token).filter(|_| !others) {
            session.seen.1 = session.seen.1.max(now);
            if is_done && !hit && begun_at.since_s(session.seen.0) >= TOUCH_S {
                session.seen.0 = begun_at;
            }
        }
    }

    /// What follows from an answer that says yes.
    fn succeeded(
        &mut self,
        number: u64,
        read: &Read,
        browser: Option<usize>,
        body: &Value,
        sent: &[u8],
        (begun, begun_at, now): (u64, UnixTime, UnixTime),
    ) {
        match &read.deed {
            Deed::Look | Deed::Act => match body.as_str().unwrap_or_default() {
                "" => {}
                customer => self.recognised(number, customer),
            },
            Deed::Me => self.recognised(number, body["id"].as_str().unwrap_or_default()),
            Deed::Ask => {
                let id = body["id"].as_str().unwrap_or_default().to_owned();
                let before = self.questions.insert(id, Question { browser, redeemed: 0 });
                self.must(before.is_none(), || format!("request {number}: two questions of one name"));
            }
            Deed::Answer(id) => {
                let answers = self.answers.entry(id.clone()).or_default();
                answers.insert(sent.to_vec());
                let one = answers.len() == 1;
                self.must(one, || format!("request {number}: two answers to one question"));
            }
            Deed::Begin { presentation: Some(id), .. } => {
                let question = self.questions.get_mut(id);
                let right = question.is_some_and(|question| {
                    question.redeemed += 1;
                    question.redeemed == 1 && question.browser == browser
                });
                self.must(right, || format!("request {number}: redeemed twice, or by a browser that did not ask"));
            }
            _ => {}
        }
        let (true, Some(browser)) = (read.deed.begins(), browser) else { return };
        let token = body["access_token"].as_str().unwrap_or_default().to_owned();
        let person = self.person(browser);
        // What ended sessions of this person meanwhile may have ended this one.
        let meanwhile = |one: &Request| {
            one.read.deed.ends()
                && one.done.is_none_or(|done| done >= begun)
                && one.browser.and_then(|one| self.person(one)) == person
        };
        let all = self.requests.iter().filter(|(other, one)| **other != number && meanwhile(one));
        let doubts: BTreeSet<u64> = all.map(|(other, _)| *other).collect();
        let number = self.begun.get(&browser).copied().unwrap_or_default();
        let times = (begun_at, now);
        let session = Session { browser, customer: None, seen: times, since: times, number, doubts, ended: None };
        let before = self.sessions.insert(token, session);
        self.must(before.is_none(), || "one token is given out twice".to_owned());
    }
}
