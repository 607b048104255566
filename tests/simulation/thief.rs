//! Somebody who listens on the wire, and tries what was said there: once more, elsewhere, and with a key of their own.

use http::{HeaderValue, Method, header};
use serde_json::json;

use crate::{
    nodes::Sent,
    people::{Doing, THIEF},
};

impl Doing {
    /// A browser of the thief's.
    fn own(&self) -> usize {
        let state = self.world.state();
        let devices = &state.folk.devices;
        (0..devices.len()).find(|device| devices[*device].person == THIEF).expect("a thief with a browser")
    }

    fn overheard(&self, which: impl Fn(&Sent) -> bool) -> Option<Sent> {
        let mut state = self.world.state();
        let fit: Vec<usize> =
            (0..state.folk.overheard.len()).filter(|one| which(&state.folk.overheard[*one])).collect();
        let one = state.numbers.of(&fit)?;
        Some(state.folk.overheard[one].clone())
    }

    /// The thief sends what somebody sent, as it was.
    pub async fn replay(&self) -> Option<()> {
        let sent = self.overheard(|sent| !sent.method.is_safe() || sent.headers.contains_key("dpop"))?;
        self.world.note(|| format!("the thief sends {} {} once more", sent.method, sent.uri.path()));
        self.nodes.deliver(sent).await;
        Some(())
    }

    /// The thief takes somebody's proof and token along to another address, or with another body.
    pub async fn bend(&self) -> Option<()> {
        let mut sent = self.overheard(|sent| sent.headers.contains_key("dpop"))?;
        match self.world.below(3) {
            0 => sent.uri = "/wallet/me".parse().expect("a path"),
            1 => sent.method = if sent.method == Method::GET { Method::DELETE } else { Method::POST },
            _ => {
                sent.method = Method::POST;
                sent.body = json!({ "what": "something else" }).to_string().into();
                sent.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                sent.uri = "/deed".parse().expect("a path");
            }
        }
        self.world.note(|| format!("the thief bends a request to {} {}", sent.method, sent.uri.path()));
        self.nodes.deliver(sent).await;
        Some(())
    }

    /// The thief signs with a key of their own, and carries somebody's token.
    pub async fn carry_token(&self) -> Option<()> {
        let sent = self.overheard(|sent| sent.headers.contains_key(header::AUTHORIZATION))?;
        let token = sent.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("DPoP ")?.to_owned();
        let mut tab = self.browser(self.own());
        tab.token = Some(token);
        match self.world.below(3) {
            0 => tab.get("/").await,
            1 => tab.delete("/wallet/me").await,
            _ => tab.post_json("/deed", &json!({ "what": "something" })).await,
        };
        Some(())
    }

    /// The thief redeems what somebody else asked, with the right code or that of a question of their own.
    pub async fn take_answer(&self) -> Option<()> {
        let own = self.own();
        let (theirs, mine) = {
            let mut state = self.world.state();
            let is_mine = |device: usize| state.folk.devices[device].person == THIEF;
            let (mine, theirs): (Vec<_>, Vec<_>) =
                state.folk.questions.iter().cloned().partition(|question| is_mine(question.device));
            (state.numbers.of(&theirs)?, state.numbers.of(&mine))
        };
        match mine {
            Some(mine) if self.world.chance(500) => {
                let (id, code) = (&mine.asking.id, theirs.code.as_deref());
                self.redeem(own, id, code).await;
            }
            _ => {
                self.redeem(own, &theirs.asking.id, theirs.code.as_deref()).await;
            }
        }
        Some(())
    }

    /// The thief brings what a wallet sent, as the answer to another question.
    pub async fn present_again(&self) -> Option<()> {
        let (form, other) = {
            let mut state = self.world.state();
            let forms: Vec<String> = state.folk.questions.iter().filter_map(|question| question.form.clone()).collect();
            let open: Vec<_> = state.folk.questions.iter().filter_map(|question| question.request.clone()).collect();
            (state.numbers.of(&forms)?, state.numbers.of(&open)?)
        };
        let mut carrier = self.browser(self.own()).another();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        carrier.plain(&Method::POST, other.response_uri.path(), &headers, form.as_bytes()).await;
        Some(())
    }

    /// A browser signs with a nonce that it was given long ago.
    pub async fn old_nonce(&self, device: usize) -> Option<()> {
        let (mut tab, nonces) = {
            let state = self.world.state();
            let there = &state.folk.devices[device];
            (there.browser.clone(), there.nonces.clone())
        };
        tab.nonce = Some(self.world.state().numbers.of(&nonces)?);
        tab.signed_once(&Method::GET, "/", None).await;
        Some(())
    }
}
