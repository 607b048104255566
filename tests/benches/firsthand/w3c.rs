//! W3C credentials in a presentation by their holder, from the text to claims that can be believed. The issuer is known by
//! its DID, whose document the merchant keeps as it keeps a chain; the holder by a did:jwk, which is read anew each time.

use std::collections::HashMap;

use firsthand::{
    Trust,
    env::Env,
    format::{Format, jwt_vc::JwtVc, ldp_vc::LdpVc},
    limits::Limits,
    protocol::{jose::SigningKey, vc::data_integrity::Suite},
    testing::w3c::{Asked, Credential, Held, Issuer, Secured},
};
use firsthand_axum::testing::TestShop;
use serde_json::json;

use crate::{
    bare::{Signature, name},
    formats::{CLIENT, NONCE, Shown},
    measure::{Effort, Subject, Table, in_turns},
};

/// Verification of a W3C credential that is a JWT, over its two signature checks.
const JOSE_TARGET: f64 = 1.3;

const KIND: &str = "AlumniCredential";
const ALUMNI: &str = "https://www.w3.org/ns/credentials/examples#AlumniCredential";

pub fn measure(table: &mut Table, effort: Effort) {
    token(table, effort, "VC-JOSE-COSE 2.0, vc+jwt in vp+jwt", Secured::Jose);
    token(table, effort, "jwt_vc_json of the data model 1.1", Secured::Jwt);
    proof(table, effort, Suite::EddsaJcs2022);
    proof(table, effort, Suite::EddsaRdfc2022);
    table.note(
        "  No target: beside the signatures both documents, and the options of both proofs, are put in canonical",
    );
    table.note("  form, by RDF after JSON-LD has expanded them. That is what this format costs.");
}

/// Both signed with ES256.
fn token(table: &mut Table, effort: Effort, what: &str, secured: Secured) {
    let [issuer, holder] = [1, 2].map(|seed| SigningKey::from_p256_scalar(&[seed; 32]).expect("a key"));
    let (shown, held) = presented(JwtVc::new(), secured, &issuer, &holder);
    let presentation = shown.presented.as_str().expect("a token");
    let credential = held.credential().as_str().expect("a token");
    let [credential, presentation] =
        [(credential, &issuer), (presentation, &holder)].map(|(jws, key)| Signature::of(jws, key.public_key()));
    timed(table, effort, what, &shown, [&credential, &presentation], ("ES256", Some(JOSE_TARGET)));
}

/// Both signed with Ed25519.
fn proof(table: &mut Table, effort: Effort, suite: Suite) {
    let [issuer, holder] = [1, 2].map(|seed| SigningKey::from_ed25519_seed(&[seed; 32]).expect("a key"));
    let (shown, _) = presented(LdpVc::new(), Secured::Proof(suite), &issuer, &holder);
    // What is signed are two digests.
    let [credential, presentation] = [&issuer, &holder].map(|key| {
        let signature = key.sign(&[7; 64]).expect("a signature");
        Signature::over(&[7; 64], signature, key.public_key())
    });
    let algorithm = name(issuer.public_key().algorithm());
    let title = format!("ldp_vc with {}", suite.name());
    timed(table, effort, &title, &shown, [&credential, &presentation], (algorithm, None));
}

fn timed<F: Format>(
    table: &mut Table,
    effort: Effort,
    what: &str,
    shown: &Shown<F>,
    signatures: [&Signature; 2],
    (algorithm, target): (&str, Option<f64>),
) {
    let parsed = shown.format.parse(&shown.presented, &shown.limits).expect("a credential");
    let [bare, whole, parse, decide] = in_turns(
        effort,
        [
            Subject::again(&format!("two {algorithm} checks"), || signatures.map(Signature::check)),
            Subject::again("parse, believe the issuer, verify", || shown.verified()),
            Subject::again("parse", || shown.parsed()),
            Subject::again("find the issuer's key", || shown.issuer_key(&parsed.issuer())),
        ],
    );
    table.title(what);
    table.bare(&bare);
    table.whole(&whole, &bare, target);
    table.part(&parse);
    table.part(&decide);
    table.rest("signatures, forms, times", &whole, &[&parse, &decide]);
}

fn presented<F: Format>(format: F, secured: Secured, issuer: &SigningKey, holder: &SigningKey) -> (Shown<F>, Held) {
    let (now, limits) = (TestShop::new().clock().now(), Limits::default());
    let issuer = Issuer::new(issuer.clone());
    let claims = json!({
        "alumniOf": "A school", "givenName": "Anna", "familyName": "Adler", "streetAddress": "Lindenallee 12",
        "postalCode": "50667", "locality": "Köln", "country": "DE",
    });
    let held = issuer.issue(secured, &Credential::new(KIND, &claims, now.minus_s(1000)), holder.clone());
    let held = held.expect("a credential");
    let presented = held.present(Asked { nonce: NONCE, audience: CLIENT, now }, &[]).expect("a presentation");
    let trust = Trust::new().did(issuer.did().clone(), &[ALUMNI]).expect("an issuer");
    let document = issuer.did().resolve(None, &limits).expect("a document");
    let documents = HashMap::from([(issuer.did().clone(), document)]);
    (Shown { format, presented, trust, documents, now, limits }, held)
}
