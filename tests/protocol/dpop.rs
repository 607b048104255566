//! Topic `dpop`: RFC 9449 and attacks on it, with the three questions that stay with the caller asked as it asks them.

use std::collections::HashSet;

use firsthand::{
    limits::Limits,
    protocol::{
        dpop::{self, DpopError, Expected, Proof},
        jose::{Jws, PublicKey, Thumbprint},
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector_files};
use serde_json::Value;

#[derive(Debug)]
#[expect(dead_code, reason = "shown where a case disagrees")]
enum Refused {
    Proof(DpopError),
    Nonce,
    Key,
    Replay,
}

/// What a server remembers and knows.
#[derive(Default)]
struct Server {
    seen: HashSet<(Thumbprint, String)>,
}

impl Server {
    /// The proof, then in the merchant's order: is the nonce ours, the key the bound one, the `jti` new.
    fn present(&mut self, case: &Value) -> Result<Proof, Refused> {
        let text = |name: &str| case[name].as_str();
        let window = case["window"].as_u64().unwrap();
        let expected = Expected {
            method: text("method").unwrap(),
            url: &text("url").unwrap().parse().unwrap(),
            now: UnixTime::from_secs(case["now"].as_i64().unwrap()),
            iat_past_s: window,
            iat_future_s: window,
            access_token: text("access_token"),
        };
        let proof = dpop::check(text("dpop").unwrap(), &expected, &Limits::default()).map_err(Refused::Proof)?;
        if text("server_nonce").is_some_and(|nonce| proof.nonce.as_deref() != Some(nonce)) {
            return Err(Refused::Nonce);
        }
        if text("token_jkt").is_some_and(|bound| proof.thumbprint.to_string() != bound) {
            return Err(Refused::Key);
        }
        if !self.seen.insert((proof.thumbprint, proof.jti.clone())) {
            return Err(Refused::Replay);
        }
        Ok(proof)
    }
}

#[test]
fn proofs_and_attacks() {
    let mut tally = Tally::new("dpop/negative");
    for (file, cases) in vector_files("dpop/negative") {
        let cases = cases.as_array().unwrap();
        for case in cases {
            let mut server = Server::default();
            if let Some(earlier) = case["after"].as_str() {
                let earlier = cases.iter().find(|case| case["name"] == earlier).unwrap();
                server.present(earlier).unwrap();
            }
            let name = format!("{file} {}", case["name"].as_str().unwrap());
            tally.case(&name, case["expect"].as_str().unwrap(), server.present(case));
        }
    }
    tally.finish(74);
}

#[test]
fn rfc_9449() {
    let mut tally = Tally::new("dpop/rfc9449");
    for (file, block) in vector_files("dpop/rfc9449") {
        // Long lines are folded as RFC 8792 has it.
        let text = block["text"].as_str().unwrap().replace("\\\n ", "").replace("\\\n", "");
        let field = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
        let value = || -> Option<Value> { serde_json::from_str(text.get(text.find('{')?..)?).ok() };
        if let Some(proof) = field("DPoP:") {
            let request = text.lines().next().unwrap().split(' ').collect::<Vec<_>>();
            // A block of the bare field comes without its request: its claims are those of the token request.
            let (method, target) = match (request.as_slice(), field("Host:")) {
                ([method, path, _], Some(host)) => (*method, format!("https://{host}{path}")),
                _ => ("POST", "https://server.example.com/token".to_owned()),
            };
            let iat = Jws::parse(proof, &Limits::default()).unwrap().unverified_claims()["iat"].as_i64().unwrap();
            let check = |method: &str, after_s: i64, token: Option<&str>| {
                let (now, url) = (UnixTime::from_secs(iat + after_s), target.parse().unwrap());
                let (iat_past_s, iat_future_s) = (60, 0);
                let expected = Expected { method, url: &url, now, iat_past_s, iat_future_s, access_token: token };
                dpop::check(proof, &expected, &Limits::default())
            };
            let token = field("Authorization: DPoP");
            assert!(check("PUT", 0, token).is_err() && check(method, 61, token).is_err());
            assert!(check(method, -1, token).is_err() && check(method, 0, Some("another")).is_err());
            tally.case(&file, "accept", check(method, 0, token));
        } else if let Some(jwk) = text.contains("\"jwk\"").then(|| text.split_once("\n.\n").unwrap().0) {
            let key = PublicKey::from_jwk(&serde_json::from_str::<Value>(jwk).unwrap()["jwk"]).unwrap();
            tally.holds(&file, key.thumbprint().to_string() == JKT, || format!("is {}", key.thumbprint()));
        } else if let Some(body) = value().filter(|body| body.get("cnf").is_some()) {
            tally.holds(&file, body["cnf"]["jkt"] == JKT, || body.to_string());
        } else {
            tally.left_out("a block without proof or key");
        }
    }
    tally.finish(16);
}

/// The thumbprint of the one key of the standard's examples (section 6.1).
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
