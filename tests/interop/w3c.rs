//! W3C credentials: libraries issue them in each way of securing them, and answer with them.

use firsthand::{
    Ask,
    ask::Wanted,
    format::ldp_vc::LdpVc,
    limits::Limits,
    protocol::{did::Did, vc::ld::Contexts},
    store::Memory,
    trust::Trust,
};
use firsthand_axum::testing::TestShop;
use serde_json::{Value, json};

use crate::foreign::{Door, Foreign, Open, WAYS, Way, is_installed, with};

const PACKAGES: [&str; 3] = ["did-jwt-vc", "jose", "@digitalbazaar/vc"];

/// How a credential is secured, and with which algorithm: VC-JWT 1.1 (the library has no P-384), VC-JOSE-COSE, and Data
/// Integrity by each cryptosuite.
const SECURED: [(&str, &str); 11] = [
    ("jwt", "ES256"),
    ("jwt", "EdDSA"),
    ("jose", "ES256"),
    ("jose", "ES384"),
    ("jose", "EdDSA"),
    ("ecdsa-rdfc-2019", "ES256"),
    ("ecdsa-rdfc-2019", "ES384"),
    ("eddsa-rdfc-2022", "EdDSA"),
    ("ecdsa-jcs-2019", "ES256"),
    ("eddsa-jcs-2022", "EdDSA"),
    ("ecdsa-sd-2023", "ES256"),
];

/// The club whose members are known here, by a context of its own.
const CONTEXT_URL: &str = "https://club.example/terms/v1";
const MEMBER: &str = "https://club.example/terms#Member";

fn context() -> Value {
    json!({"@context": {
        "@protected": true, "id": "@id", "type": "@type", "Member": MEMBER, "name": "https://schema.org/name",
        "since": "https://club.example/terms#since",
    }})
}

fn are_installed() -> bool {
    PACKAGES.into_iter().all(is_installed)
}

/// A shop with a price for members of a club, and a library with keys of the club and of another one.
struct Club {
    wallet: Foreign,
    open: Open,
}

impl Club {
    /// The club signs with this algorithm.
    async fn new(alg: &str) -> Self {
        let world = TestShop::new();
        let door = Door::new().await;
        let text = context().to_string();
        let known = [("OWN_CONTEXT_URL", CONTEXT_URL), ("OWN_CONTEXT", &text)];
        let mut wallet = Foreign::start_with("w3c.mjs", &world, &door, &known);
        let issuer = wallet.does(&json!({"command": "issuer", "name": "club", "alg": alg})).await;
        let did = Did::parse(issuer["did"].as_str().unwrap(), &Limits::default()).unwrap();
        wallet.does(&json!({"command": "issuer", "name": "another club", "alg": alg})).await;

        let trust = Trust::new().did(did, &["Member"]).unwrap();
        let asked = |wanted: Wanted| wanted.claim(["name"]).claim(["since"]);
        let member = asked(Wanted::jwt_vc("Member")).or(asked(Wanted::ldp_vc("Member")));
        let member = Ask::new("member", "To give you the members' price").credential("member", member);
        let contexts = Contexts::new().with(CONTEXT_URL, &text).unwrap();
        let shop = world.bare(|builder| {
            builder.store(Memory::new()).trust(trust).format(LdpVc::with_contexts(contexts)).ask(&member)
        });
        Self { wallet, open: door.open(&shop) }
    }

    /// Has the library issue a membership, with these differences.
    async fn issue(&mut self, secured: &str, alg: &str, differences: Value) {
        let command = json!({
            "command": "issue", "by": "club", "as": secured, "alg": alg, "type": "Member",
            "claims": {"name": "Erika", "since": 1999},
        });
        let issued = self.wallet.does(&with(&command, &differences)).await;
        assert!(issued["error"].is_null(), "{issued}");
    }

    /// A visit with nothing wrong.
    async fn visit(&mut self, way: Way) -> Result<Value, String> {
        self.open.visit(&mut self.wallet, way, "member", &json!({"command": "present"})).await
    }

    /// A visit with this wrong.
    async fn visit_with(&mut self, way: Way, wrong: &str) -> Result<Value, String> {
        self.open.visit(&mut self.wallet, way, "member", &json!({"command": "present", "wrong": wrong})).await
    }
}

#[tokio::test]
async fn published_libraries_issue_w3c_credentials_and_answer_with_them() {
    if !are_installed() {
        return;
    }
    for (secured, alg) in SECURED {
        let mut club = Club::new(alg).await;
        club.issue(secured, alg, json!({})).await;
        for way in WAYS {
            let shown = club.visit(way).await;
            assert_eq!(shown, Ok(json!({"member": {"name": "Erika", "since": 1999}})), "{secured} {alg} {way:?}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_foreign_w3c_credential_is_refused_for_that_reason() {
    if !are_installed() {
        return;
    }
    for (secured, alg) in SECURED {
        let mut club = Club::new(alg).await;
        let signature = if secured.starts_with('j') { "jose_signature" } else { "proof_signature" };
        club.issue(secured, alg, json!({})).await;
        let presented = [
            ("nonce", "holder_proof_nonce"),
            ("audience", "holder_proof_audience"),
            ("holder", "holder_mismatch"),
            ("holder_key", signature),
            ("claim", signature),
        ];
        for way in WAYS {
            assert!(club.visit(way).await.is_ok());
            for (wrong, code) in presented {
                let refused = club.visit_with(way, wrong).await;
                assert_eq!(refused, Err(code.to_owned()), "{secured} {alg} {way:?} {wrong}");
            }
        }
        let issued = [
            (json!({"begins_in_days": -9, "ends_in_days": -1}), "credential_expired"),
            (json!({"begins_in_days": 1}), "credential_not_yet_valid"),
            (json!({"wrong": "issuer_key"}), signature),
            (json!({"by": "another club"}), "issuer_unknown"),
        ];
        for (differences, code) in issued {
            club.issue(secured, alg, differences.clone()).await;
            let refused = club.visit(Way::Link).await;
            assert_eq!(refused, Err(code.to_owned()), "{secured} {alg} {differences}");
        }
    }
}
