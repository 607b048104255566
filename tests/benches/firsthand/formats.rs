//! Each format of a credential, beside its two signature checks; and two parts that every answer has, its decryption and the
//! look at its status.

use std::{collections::HashMap, hint::black_box};

use aws_lc_rs::{
    aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
};
use firsthand::{
    Trust,
    ask::PID,
    env::Env,
    format::{Against, Authentic, Channel, Format, IssuerRef},
    limits::Limits,
    protocol::{
        did::{Did, DidDocument, Relationship},
        jose::{ContentEncryption, DecryptionKey, Jws, PublicKey, base64url_encode, encrypt},
        status_list::{Status, StatusList},
        status_ref::StatusRef,
        x509::Certificate,
    },
    testing::issuer::Credential,
    time::UnixTime,
    trust::Decision,
};
use firsthand_axum::testing::TestShop;
use serde_json::{Value, json};

use crate::{
    measure::{Effort, Subject, Table, in_turns},
    runtime,
};

/// Decryption of an answer, over the agreement and the decryption alone.
const JWE_TARGET: f64 = 2.0;

/// What a wallet presented, and all that it is checked against.
pub struct Shown<F> {
    pub format: F,
    pub presented: Value,
    pub trust: Trust,
    /// Documents that the merchant keeps.
    pub documents: HashMap<Did, DidDocument>,
    pub now: UnixTime,
    pub limits: Limits,
}

pub const CLIENT: &str = "x509_san_dns:shop.example";
pub const RESPONSE_URI: &str = "https://shop.example/wallet/responses/1";
pub const NONCE: &str = "n-0S6_WzA2MjQ4YzE4N2Y";

impl<F: Format> Shown<F> {
    pub fn parsed(&self) {
        drop(black_box(self.format.parse(&self.presented, &self.limits).expect("a credential")));
    }

    /// As the merchant does it: taken apart, the issuer believed, everything checked.
    pub fn verified(&self) -> Authentic {
        let limits = &self.limits;
        let unverified = self.format.parse(&self.presented, limits).expect("a credential");
        let issuer_key = self.issuer_key(&unverified.issuer());
        let against = Against {
            issuer_key: &issuer_key,
            channel: Channel::Redirect { client_id: CLIENT, response_uri: RESPONSE_URI },
            encryption_key: None,
            nonce: NONCE,
            transaction_data: &[],
            holder_binding: true,
            now: self.now,
            holder_proof_age_s: 300,
            skew_s: 60,
            limits,
        };
        unverified.verify(&against).expect("a credential that holds")
    }

    pub fn issuer_key(&self, issuer: &IssuerRef<'_>) -> PublicKey {
        match self.trust.decide(issuer, self.now, &self.limits).expect("an issuer") {
            Decision::Believed { key, .. } => key,
            Decision::Resolve { did, method, .. } => {
                let document = self.documents.get(&did).expect("a document that is kept");
                document.signing_key(Relationship::AssertionMethod, &method).expect("a key").clone()
            }
            Decision::Fetch { .. } => panic!("an issuer that is fetched"),
        }
    }
}

/// An entry of a list that the merchant keeps, beside what no cache can do without: to find the list by its name.
pub fn status(table: &mut Table, effort: Effort) {
    let runtime = runtime();
    let shop = TestShop::new();
    let (now, limits, uri) = (shop.clock().now(), Limits::default(), shop.status_uri());
    let text = shop.cast().status_list(now).expect("a list");
    let token = StatusList::parse(&text, &limits).expect("a list");
    let leaf = token.header().x5c.as_ref().and_then(|chain| chain.first()).expect("a certificate");
    let key = Certificate::from_der(leaf).and_then(|leaf| leaf.public_key()).expect("a key");
    let list = StatusList::verify(token, &key, uri, now, &limits).expect("a list that holds");
    let lists = HashMap::from([(uri.to_string(), list)]);

    let issuer = shop.cast().issuer();
    let credential = issuer.issue(&Credential::new(PID, now), shop.clock()).expect("a credential");
    let jwt = Jws::parse(credential.split('~').next().unwrap_or_default(), &limits).expect("a JWT");
    let chain = jwt.header().x5c.as_deref().expect("a chain");
    let trust = shop.cast().trust().expect("roots");
    let believed = trust.decide(&IssuerRef::X5c { chain, iss: None }, now, &limits).expect("an issuer");
    let Decision::Believed { key, issuer, .. } = believed else { panic!("an issuer that is fetched") };
    let entry = StatusRef::TokenList { uri: uri.clone(), index: 100 };
    let look = || async {
        let status = shop.merchant().status_of(issuer, &key, &entry).await.expect("a list");
        assert_eq!(status, Status::Valid);
    };
    runtime.block_on(look());
    let fetches = shop.network().calls_in_all();
    let [bare, whole] = in_turns(
        effort,
        [
            Subject::again("one look into a map, and the entry", || {
                lists.get(black_box(uri.as_str())).expect("a list").status(black_box(100)).expect("an entry")
            }),
            Subject::again_async("the merchant's look, its list kept", &runtime, look),
        ],
    );
    table.title("Status of a credential, from a list that is kept");
    table.bare(&bare);
    table.whole(&whole, &bare, None);
    assert_eq!(shop.network().calls_in_all(), fetches, "a list that is kept was fetched");
    table.note("  fetches from the network meanwhile: 0");
}

/// Answers of a few KiB, and one with a portrait.
pub fn decryption(table: &mut Table, effort: Effort) {
    for enc in [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm] {
        jwe(table, effort, enc, 4 * 1024, Some(JWE_TARGET));
    }
    jwe(table, effort, ContentEncryption::A256Gcm, 64 * 1024, None);
}

/// An answer of this many bytes, encrypted to the key of its request (ECDH-ES).
fn jwe(table: &mut Table, effort: Effort, enc: ContentEncryption, bytes: usize, target: Option<f64>) {
    let (limits, accepted) = (Limits::default(), [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm]);
    let text = base64url_encode(&vec![7; bytes * 3 / 4]);
    let payload = json!({ "vp_token": { "pid": [text] }, "state": "s" }).to_string();
    let key = DecryptionKey::from_scalar(&[7; 32], "response").expect("a key");
    let jwe = encrypt(payload.as_bytes(), &key.public_jwk(), enc).expect("a JWE");

    // The same work with keys of its own, so that nothing of the form is in it.
    let algorithm = if enc == ContentEncryption::A128Gcm { &AES_128_GCM } else { &AES_256_GCM };
    let content_key = [9; 32];
    let content_key = &content_key[..algorithm.key_len()];
    let own = PrivateKey::from_private_key(&ECDH_P256, &[7; 32]).expect("a key");
    let other = PrivateKey::from_private_key(&ECDH_P256, &[8; 32]).expect("a key");
    let other = other.compute_public_key().expect("a key");
    let aead = || LessSafeKey::new(UnboundKey::new(algorithm, content_key).expect("a key"));
    let nonce = || Nonce::assume_unique_for_key([1; NONCE_LEN]);
    let mut sealed = payload.clone().into_bytes();
    aead().seal_in_place_append_tag(nonce(), Aad::from("header"), &mut sealed).expect("sealed");
    let [bare, whole] = in_turns(
        effort,
        [
            Subject::again("ECDH on P-256, and the AEAD", || {
                let other = UnparsedPublicKey::new(&ECDH_P256, other.as_ref());
                let secret = agree(&own, other, (), |secret| Ok(secret.first().copied())).expect("a secret");
                let mut text = sealed.clone();
                let length = aead().open_in_place(nonce(), Aad::from("header"), &mut text).expect("opened").len();
                (secret, length, text)
            }),
            Subject::again("decrypt the answer", || key.decrypt(&jwe, &accepted, &limits).expect("our own key")),
        ],
    );
    table.title(&format!("Decryption of an answer of {} KiB by ECDH-ES and {}", bytes / 1024, enc.name()));
    table.bare(&bare);
    table.whole(&whole, &bare, target);
}
