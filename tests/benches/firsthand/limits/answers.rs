//! What a wallet posts, whoever it is.

use firsthand::{
    Trust,
    format::{Against, Channel, Format, IssuerRef, mdoc::Mdoc, sd_jwt_vc::SdJwtVc},
    limits::Limits,
    protocol::{
        cbor::Value as Cbor,
        dcql::Query,
        did::Relationship,
        jose::{ContentEncryption, DecryptionKey, PublicKey, SigningKey, base64url_encode, encrypt},
        mdoc::{MDL, SessionTranscript},
        openid4vp::{Answer, ResponseContext, ResponseMode, read_response},
    },
    testing::{
        authority::{Authority, Leaf},
        issuer,
        mdoc::{Credential, Issuer},
    },
    trust::Decision,
};
use firsthand_axum::testing::TestShop;
use serde_json::{Value, json};

use super::{Case, NOW, Topic, many_objects};

const CLIENT: &str = "x509_san_dns:shop.example";
const RESPONSE_URI: &str = "https://shop.example/wallet/responses/1";
const NONCE: &str = "n-0S6_WzA2MjQ4YzE4N2Y";
const STATE: &str = "s-0S6";
const NAMESPACE: &str = "org.iso.18013.5.1";
const TYPE: &str = "urn:eudi:pid:1";

pub fn topics() -> Vec<Topic> {
    let clear = |name, make| Case { name, make, read: posted_in_clear };
    let sealed = |name, make| Case { name, make, read: posted_encrypted };
    let mdoc = |name, make| Case { name, make, read: mdoc };
    vec![
        (
            "An answer of a wallet, from the form to the claims",
            vec![
                clear("direct_post: the largest, an mdoc with a portrait", || in_clear(0)),
                clear("direct_post: one byte larger", || in_clear(1)),
                clear("direct_post: JSON of 32 000 objects", || vec![objects_in_clear(), root().0]),
                clear("direct_post: JSON nested 80 000 deep", || vec![nested_in_clear(), root().0]),
                sealed("direct_post.jwt: the largest, an mdoc with a portrait", || encrypted(0)),
                sealed("direct_post.jwt: larger than is read", || encrypted(64)),
                sealed("direct_post.jwt: JSON of 24 000 objects", encrypted_objects),
            ],
        ),
        (
            "An mdoc",
            vec![
                mdoc("mdoc: three elements of 65 000 integers", || with_elements(3, integers)),
                mdoc("mdoc: three elements of 21 000 maps", || with_elements(3, maps)),
                mdoc("mdoc: 1 400 elements", || with_elements(1_400, || true.into())),
                mdoc("mdoc: CBOR nested 196 000 deep", || vec![vec![0x81; 196_000], root().0]),
                mdoc("mdoc: CBOR that says it has 2^64-1 members", || {
                    vec![[&[0xbb][..], &[0xff; 8]].concat(), root().0]
                }),
                mdoc("mdoc: CBOR of 196 000 integers", || vec![array(196_000), root().0]),
            ],
        ),
        (
            "An SD-JWT VC",
            vec![
                Case { name: "SD-JWT VC: 256 disclosures", make: || disclosures(256), read: sd_jwt },
                Case { name: "SD-JWT VC: 257 disclosures", make: || disclosures(257), read: sd_jwt },
            ],
        ),
    ]
}

/// The roots that are believed, and an issuing authority of licences with them.
fn root() -> (Vec<u8>, Authority) {
    let authority = Authority::new("Utopia IACA", NOW);
    (authority.root_pem().into_bytes(), authority)
}

fn holder() -> SigningKey {
    SigningKey::from_p256_scalar(&[9; 32]).expect("a key")
}

fn response_key() -> DecryptionKey {
    DecryptionKey::from_scalar(&[7; 32], "response").expect("a key")
}

/// A device response that shows all of a document.
fn response(authority: &Authority, credential: &Credential, encrypted: bool) -> Vec<u8> {
    let clock = TestShop::new().clock().clone();
    let held = Issuer::below(authority, NOW).issue(credential, holder(), &clock).expect("a document");
    let shown: Vec<(&str, &str)> = credential.elements.iter().map(|(ns, element, _)| (&**ns, &**element)).collect();
    let thumbprint = *response_key().thumbprint().as_bytes();
    let transcript = SessionTranscript::openid4vp(CLIENT, NONCE, encrypted.then_some(&thumbprint), RESPONSE_URI);
    held.device_response(&transcript, &shown, &[], &clock).expect("a response")
}

fn licence() -> Credential {
    Credential::new(MDL, NOW.minus_s(1000))
}

fn with_portrait(authority: &Authority, bytes: usize, encrypted: bool) -> String {
    let portrait = Cbor::Bytes(vec![0xd8; bytes]);
    base64url_encode(&response(authority, &licence().says(NAMESPACE, "portrait", portrait), encrypted))
}

/// A form of exactly as many bytes as are read, and `more`.
fn in_clear(more: usize) -> Vec<Vec<u8>> {
    let (root, authority) = root();
    let limit = Limits::default().response_bytes;
    let presented = with_portrait(&authority, (limit - 4096) / 4 * 3, false);
    let form = format!("vp_token=%7B%22mdl%22%3A%5B%22{presented}%22%5D%7D&state={STATE}&pad=");
    vec![padded(form, limit + more), root]
}

fn padded(mut form: String, bytes: usize) -> Vec<u8> {
    form += &"x".repeat(bytes.checked_sub(form.len()).expect("room for padding"));
    form.into_bytes()
}

fn objects_in_clear() -> Vec<u8> {
    let limit = Limits::default().response_bytes;
    // Written as a browser need not write it: JSON's own characters as they are.
    format!("vp_token={{\"mdl\":{}}}&state={STATE}", many_objects(limit - 64)).into_bytes()
}

fn nested_in_clear() -> Vec<u8> {
    format!("vp_token={{\"mdl\":{}&state={STATE}", "[".repeat(80_000)).into_bytes()
}

/// The encrypted form; characters of base64 in base64 in base64, so a portrait has less room.
fn encrypted(more: usize) -> Vec<Vec<u8>> {
    let (root, authority) = root();
    let limit = Limits::default().response_bytes;
    let presented = with_portrait(&authority, (limit - 8192) / 16 * 9, true);
    let payload =
        |pad: usize| json!({ "vp_token": { "mdl": [presented] }, "state": STATE, "pad": "x".repeat(pad) }).to_string();
    let sealed = |pad| sealed(&payload(pad));
    let room = (limit - sealed(0).len()) / 4 * 3 - 2;
    vec![sealed(room + more), root]
}

fn encrypted_objects() -> Vec<Vec<u8>> {
    let payload = format!("{{\"state\":\"{STATE}\",\"vp_token\":{{\"mdl\":{}}}}}", many_objects(190_000));
    vec![sealed(&payload), root().0]
}

fn sealed(payload: &str) -> Vec<u8> {
    let jwe = encrypt(payload.as_bytes(), &response_key().public_jwk(), ContentEncryption::A256Gcm).expect("a JWE");
    format!("response={jwe}").into_bytes()
}

fn posted_in_clear(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    posted(parts, ResponseMode::DirectPost, None, limits)
}

fn posted_encrypted(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    posted(parts, ResponseMode::DirectPostJwt, Some(&response_key()), limits)
}

fn posted(parts: &[Vec<u8>], mode: ResponseMode, key: Option<&DecryptionKey>, limits: &Limits) -> Result<(), String> {
    let query = json!({ "credentials": [{ "id": "mdl", "format": "mso_mdoc", "meta": { "doctype_value": MDL } }] });
    let query = Query::parse(&query, limits).expect("a query");
    let accepted = [ContentEncryption::A256Gcm];
    let context = ResponseContext { mode, state: STATE, key, accepted: &accepted, query: &query, limits };
    let answer = read_response(&parts[0], &context).map_err(|e| e.code().to_owned())?;
    let Answer::Presentations(presentations) = answer else { return Err("declined".to_owned()) };
    let thumbprint = key.map(|key| *key.thumbprint().as_bytes());
    let trust = roots(&parts[1], MDL);
    presentations
        .iter()
        .flat_map(|(_, shown)| shown)
        .try_for_each(|presented| verified(&Mdoc::new(), presented, &trust, thumbprint, limits))
}

fn roots(pem: &[u8], of_type: &str) -> Trust {
    Trust::new().roots(std::str::from_utf8(pem).expect("PEM"), &[of_type]).expect("roots")
}

/// As the merchant does it: taken apart, the issuer believed, everything checked.
pub fn verified(
    format: &dyn Format,
    presented: &Value,
    trust: &Trust,
    encryption_key: Option<[u8; 32]>,
    limits: &Limits,
) -> Result<(), String> {
    let unverified = format.parse(presented, limits).map_err(|e| e.code().to_owned())?;
    let issuer_key = issuer_key(trust, &unverified.issuer(), limits)?;
    let against = Against {
        issuer_key: &issuer_key,
        channel: Channel::Redirect { client_id: CLIENT, response_uri: RESPONSE_URI },
        encryption_key,
        nonce: NONCE,
        transaction_data: &[],
        holder_binding: format.id() == "mso_mdoc",
        now: NOW,
        holder_proof_age_s: 300,
        skew_s: 60,
        limits,
    };
    unverified.verify(&against).map(drop).map_err(|e| e.code().to_owned())
}

fn issuer_key(trust: &Trust, issuer: &IssuerRef<'_>, limits: &Limits) -> Result<PublicKey, String> {
    match trust.decide(issuer, NOW, limits).map_err(|e| e.code().to_owned())? {
        Decision::Believed { key, .. } => Ok(key),
        Decision::Resolve { did, method, .. } => {
            let document = did.resolve(None, limits).map_err(|e| e.code().to_owned())?;
            let key = document.signing_key(Relationship::AssertionMethod, &method);
            key.cloned().ok_or_else(|| "no such key".to_owned())
        }
        Decision::Fetch { .. } => Err("an issuer that is fetched".to_owned()),
    }
}

fn mdoc(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    verified(&Mdoc::new(), &json!(base64url_encode(&parts[0])), &roots(&parts[1], MDL), None, limits)
}

/// A licence with elements of this value.
fn with_elements(count: usize, value: fn() -> Cbor) -> Vec<Vec<u8>> {
    let (root, authority) = root();
    let licence = (0..count).fold(licence(), |licence, at| licence.says(NAMESPACE, &format!("e{at}"), value()));
    vec![response(&authority, &licence, false), root]
}

/// As many items as are read, less those around them.
fn integers() -> Cbor {
    Cbor::Array(vec![0.into(); 65_000])
}

/// The same as maps of one member each, which take the most memory for their size.
fn maps() -> Cbor {
    Cbor::Array(vec![Cbor::Map(vec![("".into(), 0.into())]); 21_000])
}

/// An array of one byte for each element.
fn array(elements: u32) -> Vec<u8> {
    let length = elements.to_be_bytes();
    [&[0x9a][..], &length, &vec![0; elements as usize]].concat()
}

/// As large as a token may be, with claims that are each disclosed.
fn disclosures(count: usize) -> Vec<Vec<u8>> {
    let authority = Authority::new("Issuer CA", NOW);
    let (key, chain) = authority.issue(&Leaf::new("Issuer", NOW));
    let status = "https://issuer.example/status/1".parse().expect("a URL");
    let mut credential = issuer::Credential::new(TYPE, NOW);
    let claims = (0..count).map(|at| (format!("claim_{at}"), json!("x".repeat(500))));
    credential.claims = claims.collect();
    let clock = TestShop::new().clock().clone();
    let issued = issuer::Issuer::new(key, chain, status).issue(&credential, &clock).expect("a credential");
    vec![issued.into_bytes(), authority.root_pem().into_bytes()]
}

fn sd_jwt(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let presented = json!(std::str::from_utf8(&parts[0]).expect("a text"));
    verified(&SdJwtVc::new(), &presented, &roots(&parts[1], TYPE), None, limits)
}
