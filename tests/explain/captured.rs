//! Answers that a shop refused, as an operator captures them.

use std::sync::{Arc, Mutex};

use firsthand::{
    Device,
    explain::{Captured, Explanation, Outcome},
    protocol::jose::{DecryptionKey, base64url_decode},
    store::Memory,
    testing::wallet::Fault,
    time::UnixTime,
    trust::Trust,
};
use firsthand_axum::{
    routes,
    testing::{Browser, TestShop},
};
use serde_json::Value;

/// What was captured of one refused answer.
pub struct Kept {
    pub code: &'static str,
    pub outcome: Outcome,
    pub text: String,
    pub request: String,
    pub response: Vec<u8>,
    pub jwk: Value,
    pub at: UnixTime,
    pub trust: Trust,
    pub roots: [String; 2],
    pub status_list: String,
}

impl Kept {
    /// The same from what was captured alone.
    pub fn again(&self, explain: impl FnOnce(Captured<'_>) -> Explanation) -> Explanation {
        let scalar = base64url_decode(self.jwk["d"].as_str().unwrap()).unwrap().try_into().unwrap();
        let key = DecryptionKey::from_scalar(&scalar, self.jwk["kid"].as_str().unwrap()).unwrap();
        let captured = Captured::new(self.request.as_bytes(), &self.response, &self.trust, self.at);
        explain(captured.key(&key).over(18))
    }
}

/// What a shop refuses of this person's wallet for the ask `age`; none if it refuses nothing, or the fault needs what is
/// not there.
pub async fn refused(persona: &str, faults: &[Fault]) -> Option<Kept> {
    let kept: Arc<Mutex<Option<Kept>>> = Arc::default();
    let into = kept.clone();
    let shop = TestShop::with(move |builder| {
        builder.store(Memory::default()).danger_capture(move |capture| {
            let explanation = capture.explain();
            *into.lock().unwrap() = Some(Kept {
                code: capture.code,
                outcome: explanation.outcome.clone(),
                text: explanation.to_string(),
                request: capture.request.to_owned(),
                response: capture.response.to_vec(),
                jwk: capture.key_jwks()["keys"][0].clone(),
                at: capture.at,
                trust: Trust::new(),
                roots: [String::new(), String::new()],
                status_list: String::new(),
            });
        })
    });
    let mut browser = Browser::new(&shop, routes(shop.merchant()));
    let asking = browser.ask("age", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let wallet = &shop.persona(persona).wallet;
    let choice = wallet.choose(&request).unwrap();
    let form = wallet.answer(&request, &choice, faults, shop.clock()).ok()?;
    browser.wallet_posts(&request, &form).await;
    let (issuers, status) = shop.cast().roots_pem();
    let mut kept = kept.lock().unwrap().take()?;
    kept.trust = shop.cast().trust().unwrap();
    kept.roots = [issuers.to_owned(), status.to_owned()];
    kept.status_list = shop.cast().status_list(kept.at).unwrap();
    Some(kept)
}
