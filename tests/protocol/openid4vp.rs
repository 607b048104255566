//! OpenID4VP: the examples of the text, the corpus of attacked answers, and answers made of noise.

use std::collections::{BTreeMap, BTreeSet};

use firsthand::{
    format::{Format, mdoc::Mdoc, sd_jwt_vc::SdJwtVc},
    limits::Limits,
    protocol::{
        dcql::{Candidate, Query},
        jose::{ContentEncryption, DecryptionKey, PublicKey, base64url_decode, encrypt, sha256},
        mdoc::SessionTranscript,
        openid4vp::{
            Answer, ClientId, Prefix, RequestObject, ResponseContext, ResponseError, ResponseMode, TransactionData,
            read_request_post, read_response, wallet_link, wallet_link_by_value,
        },
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector, vectors};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

const BOTH: [ContentEncryption; 2] = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];
const STATE: &str = "eyJhb...6-sVA";

/// The 86 forms of the corpus, whole: the envelope alone, the presentations are stand-ins.
#[test]
fn attacked_answers_are_refused() {
    let mut tally = Tally::new("openid4vp responses");
    for part in ["cases_shared_0", "cases_shared_1"] {
        for case in vector(&format!("openid4vp-response/{part}.json")).as_array().unwrap() {
            let form = case["form"].as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap()));
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let jwk = &case["enc_private_jwk"];
            let scalar = base64url_decode(jwk["d"].as_str().unwrap()).unwrap().try_into().unwrap();
            let key = DecryptionKey::from_scalar(&scalar, jwk["kid"].as_str().unwrap()).unwrap();
            let accepted: Vec<ContentEncryption> = BOTH
                .into_iter()
                .filter(|enc| case["enc_values_allowed"].as_array().unwrap().contains(&enc.name().into()))
                .collect();
            let query = Query::parse(&case["query"], &Limits::default()).unwrap();
            let context = ResponseContext {
                mode: ResponseMode::DirectPostJwt,
                state: case["expected_state"].as_str().unwrap(),
                key: Some(&key),
                accepted: &accepted,
                query: &query,
                limits: &Limits::default(),
            };
            let got = read_response(body.as_bytes(), &context);
            let name = format!("{part} {}", case["name"].as_str().unwrap());
            match case["expect"].as_str().unwrap() {
                "error-response" => {
                    let declined = matches!(&got, Ok(Answer::Error { code, .. }) if code == "access_denied");
                    tally.holds(&name, declined, || format!("{got:?}"));
                }
                // Whatever becomes of both together: never the presentation that nobody encrypted.
                "either" if case["name"] == "two_parameters" => {
                    let refused = matches!(got, Err(ResponseError::MixedParameters));
                    tally.holds(&name, refused, || format!("{got:?}"));
                }
                expect => tally.case(&name, expect, got),
            }
        }
    }
    tally.finish(86);
}

/// Every example of the specification and of HAIP that stands in the vectors; one that nobody expects fails.
#[test]
fn the_examples_of_the_text_are_understood() {
    const W3C: &str = "W3C credentials";
    const MDOC: &str = "mdoc: a tag by a key that a request does not offer";
    const DC_API: &str = "Digital Credentials API";
    let mut tally = Tally::new("openid4vp examples");
    for file in files() {
        match &file[..] {
            "examples/query_lang/simple.json"
            | "examples/query_lang/claims_alternatives.json"
            | "examples/query_lang/complex_mdoc.json"
            | "examples/query_lang/multi_credentials.json"
            | "examples/query_lang/value_matching_simple.json"
            | "examples/request/dcql_jwt_vc.json" => {
                let json = vector(&format!("openid4vp/{file}"));
                let query = Query::parse(&json, &Limits::default());
                let same = query.as_ref().is_ok_and(|it| serde_json::to_value(it).unwrap() == json);
                tally.holds(&file, same, || format!("{query:?}"));
            }
            "inline/02.json" => {
                let without_comment: String = text(&file).lines().filter(|it| !it.contains("//")).collect();
                let example: Value = serde_json::from_str(&without_comment.replace("],", "]")).unwrap();
                let query = json!({"credentials": [
                    {"id": "id_card_credential", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:id"]}}]});
                let query = Query::parse(&query, &Limits::default()).unwrap();
                let kind = example["type"].as_str().unwrap();
                let made = TransactionData::new(kind, &["id_card_credential"], None, Map::new(), &query).unwrap();
                let made: Value = serde_json::from_slice(&base64url_decode(made.as_str()).unwrap()).unwrap();
                tally.holds(&file, made == example, || format!("{made}"));
            }
            "inline/07.json" => {
                let example = text(&file).replace(['\n', ' '], "").replace("GET/authorize", "openid4vp://");
                let example = example.strip_suffix("HTTP/1.1").unwrap();
                let request_uri = Url::parse("https://client.example.org/request/vapof4ql2i7m41m68uep").unwrap();
                let client_id = ClientId::x509_san_dns("client.example.org");
                let link = wallet_link("openid4vp://", &client_id, &request_uri, true).unwrap();
                tally.holds(&file, link == example, || link.clone());
            }
            "inline/22.json" => {
                let example = Url::parse(&text(&file).replace(['\n', ' '], "")).unwrap();
                let request_uri = Url::parse("https://client.example.org/567545564").unwrap();
                let client_id = ClientId::x509_san_dns("client.example.org");
                let link = wallet_link("https://wallet.example.com", &client_id, &request_uri, false).unwrap();
                let names = |url: &Url| url.query_pairs().map(|(name, _)| name.into_owned()).collect::<Vec<_>>();
                tally.holds(&file, names(&example) == names(&link.parse().unwrap()), || link.clone());
            }
            "inline/08.json" => {
                let text = text(&file).replace("wallet_nonce", "\nwallet_nonce");
                let body: String = text.split("\n\n").skip(1).flat_map(str::chars).filter(|it| *it != '\n').collect();
                let nonce = read_request_post(body.as_bytes(), &Limits::default()).map(|post| post.wallet_nonce);
                tally.holds(&file, nonce == Ok(Some("qPmxiNFCR3QTm19POc8u".to_owned())), || format!("{nonce:?}"));
            }
            "inline/10.json" => {
                let parts = ClientId::x509_hash(b"leaf").as_str().split(':').count();
                tally.holds(&file, parts == text(&file).split(':').count(), || format!("{parts} parts"));
            }
            "inline/13.json" => {
                let example: Value = serde_json::from_str(&text(&file).replace("{...}", "{}")).unwrap();
                let ours = request_object(ResponseMode::DirectPost, None, &simple());
                let members = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
                // What the example leaves out: the audience, the times, and the metadata of 5.1.
                let more = ["aud", "client_metadata", "exp", "iat"].map(str::to_owned);
                let expected: BTreeSet<_> = members(&example).into_iter().chain(more).collect();
                let same =
                    ["client_id", "response_uri", "response_type", "response_mode", "nonce", "wallet_nonce", "state"];
                let same = same.iter().all(|it| ours[it] == example[it]);
                tally.holds(&file, members(&ours) == expected && same, || format!("{ours}"));
            }
            "inline/26.json" => {
                let example = json_of(&file);
                let query = Query::parse(&example["dcql_query"], &Limits::default()).unwrap();
                // The private half of the first key stands in another example.
                let private = json_of("inline/28.json");
                let scalar = base64url_decode(private["d"].as_str().unwrap()).unwrap().try_into().unwrap();
                let key = DecryptionKey::from_scalar(&scalar, "ac").unwrap().public_jwk();
                let ours = request_object(ResponseMode::DirectPostJwt, Some(&key), &query);
                let (ours, theirs) = (&ours["client_metadata"], &example["client_metadata"]);
                let names = theirs.as_object().unwrap().keys().all(|it| ours.get(it).is_some());
                let same_key = ours["jwks"]["keys"][0] == theirs["jwks"]["keys"][0];
                let enc = ours["encrypted_response_enc_values_supported"][0] == "A128GCM";
                tally.holds(&file, names && same_key && enc, || format!("{ours}"));
            }
            "inline/28.json" | "inline/29.json" => {
                // Ours to make and to read: an answer to that very key has a header of that form.
                let private = json_of("inline/28.json");
                let scalar = base64url_decode(private["d"].as_str().unwrap()).unwrap().try_into().unwrap();
                let key = DecryptionKey::from_scalar(&scalar, "ac").unwrap();
                let jwe = encrypt(b"{}", &key.public_jwk(), ContentEncryption::A128Gcm).unwrap();
                let header: Value =
                    serde_json::from_slice(&base64url_decode(jwe.split('.').next().unwrap()).unwrap()).unwrap();
                let example = json_of("inline/29.json");
                let members = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
                let same = members(&header) == members(&example)
                    && ["alg", "enc", "kid"].iter().all(|it| header[it] == example[it])
                    && key.decrypt(&jwe, &BOTH, &Limits::default()).is_ok();
                tally.holds(&file, same, || format!("{header}"));
            }
            "inline/14.json" | "inline/16.json" => {
                let mut query = serde_json::to_value(simple()).unwrap();
                query["credentials"][0]["trusted_authorities"] = json!([json_of(&file)]);
                // Only the key identifier can be checked on what comes back.
                let expect = if file == "inline/14.json" { "accept" } else { "reject" };
                tally.case(&file, expect, Query::parse(&query, &Limits::default()));
            }
            "inline/17.json" => {
                let credential = json_of(&file);
                let all = [
                    (json!(["name"]), json!(["Arthur Dent"])),
                    (json!(["address"]), json!([credential["address"]])),
                    (json!(["address", "street_address"]), json!(["42 Market Street"])),
                    (json!(["degrees", null, "type"]), json!(["Bachelor of Science", "Master of Science"])),
                ];
                for (path, expected) in all {
                    let query = json!({"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["t"]},
                        "claims": [{"path": path}]}]});
                    let query = Query::parse(&query, &Limits::default()).unwrap();
                    let types = ["t".to_owned()];
                    let matched = query.credentials[0].select(&candidate("dc+sd-jwt", &types, &credential)).unwrap();
                    assert_eq!(json!(matched.claims[0].1), expected, "{path}");
                }
                tally.holds(&file, true, String::new);
            }
            "inline/19.json" => tally.case(&file, "accept", plain(&json_of(&file), &simple())),
            "inline/20.json" => {
                let vp_token: Value = serde_json::from_str(&text(&file).replace(", ...", "")).unwrap();
                let mut many = simple();
                many.credentials[0].multiple = true;
                let got = (plain(&vp_token, &many).is_ok(), plain(&vp_token, &simple()).is_ok());
                tally.holds(&file, got == (true, false), || format!("{got:?}"));
            }
            "inline/23.json" => {
                let vp_token =
                    form_urlencoded::byte_serialize(br#"{"my_credential": ["eyJhbGci...QMA"]}"#).collect::<String>();
                let body = text(&file).split("\n\n").nth(1).unwrap().replace(['\n', ' '], "");
                let body = body.replace("vp_token=...", &format!("vp_token={vp_token}"));
                let query = simple();
                tally.case(&file, "accept", read_response(body.as_bytes(), &in_clear(&query)));
            }
            "inline/31.json" | "inline/32.json" => {
                let query =
                    Query::parse(&vector("openid4vp/examples/request/dcql_jwt_vc.json"), &Limits::default()).unwrap();
                let payload = json_of("inline/32.json");
                // We sent a state, so the example's answer to a request without one is none to ours.
                assert!(matches!(encrypted(&payload, &query), Err(ResponseError::StateMissing)));
                let mut payload = payload;
                payload["state"] = STATE.into();
                assert!(
                    json_of("inline/32.json").get("state").is_none() && text("inline/31.json").contains("response=")
                );
                tally.case(&file, "accept", encrypted(&payload, &query));
            }
            "inline/34.json" => {
                let example = json_of(&file);
                let uri = Url::parse("https://shop.example/r").unwrap();
                let endpoint = example["authorization_endpoint"].as_str().unwrap();
                let link = wallet_link(endpoint, &ClientId::x509_hash(b"leaf"), &uri, false);
                tally.holds(&file, link.as_ref().is_ok_and(|it| it.starts_with("openid4vp:?")), || format!("{link:?}"));
            }
            "inline/42.json" => {
                tally.case(&file, "accept", Query::parse(&json!({"credentials": [w3c()]}), &Limits::default()));
            }
            "inline/44.json" | "inline/45.json" => {
                let credential = json_of(&file);
                let expanded = |name: &str| match name {
                    "VerifiableCredential" => "https://www.w3.org/2018/credentials#VerifiableCredential".to_owned(),
                    "AlumniCredential" | "BachelorDegree" => format!("https://example.org/examples#{name}"),
                    other => other.to_owned(),
                };
                let types: Vec<String> =
                    credential["type"].as_array().unwrap().iter().map(|it| expanded(it.as_str().unwrap())).collect();
                let query = Query::parse(&json!({"credentials": [w3c()]}), &Limits::default()).unwrap();
                let all = query.credentials[0].select(&candidate("ldp_vc", &types, &credential));
                assert!(query.credentials[0].select(&candidate("ldp_vc", &types[..1], &credential)).is_err());
                tally.case(&file, "accept", all);
            }
            "examples/digital_credentials_api/error_invalid_request.json" => {
                let mut error = vector(&format!("openid4vp/{file}"));
                error["state"] = STATE.into();
                let got = encrypted(&error, &simple());
                let declined = matches!(&got, Ok(Answer::Error { code, .. }) if code == "invalid_request");
                tally.holds(&file, declined, || format!("{got:?}"));
            }
            "examples/request/request_header_client_id_did.json" => {
                let header = vector(&format!("openid4vp/{file}"));
                tally.holds(&file, header["typ"] == RequestObject::TYP, || format!("{header}"));
            }
            "examples/request/request_object_client_id_did.json.txt" => {
                let example = std::fs::read_to_string(vectors(&format!("openid4vp/{file}"))).unwrap();
                let example: Value = serde_json::from_str(&example.replace("{ ... }", "{}")).unwrap();
                let theirs = &example["client_metadata"]["vp_formats_supported"]["dc+sd-jwt"];
                let ours = request_object(ResponseMode::DirectPost, None, &simple());
                let ours = &ours["client_metadata"]["vp_formats_supported"]["dc+sd-jwt"];
                let covers = theirs.as_object().unwrap().iter().all(|(name, algorithms)| {
                    algorithms.as_array().unwrap().iter().all(|it| ours[name].as_array().unwrap().contains(it))
                });
                let did = example["client_id"].as_str().unwrap().parse::<ClientId>();
                tally.holds(
                    &file,
                    covers && did.as_ref().is_ok_and(|did| did.prefix() == Prefix::DecentralizedIdentifier),
                    || format!("{ours}, {did:?}"),
                );
            }
            "inline/25.json" => tally.left_out("the answer to the wallet is made by the HTTP layer and tested there"),
            // By value: all of the example's parameters, with the answer's address where its own is for redirects.
            "inline/04.json" | "inline/11.json" => {
                let text = text(&file);
                let query: String =
                    text.split('?').nth(1).unwrap().split(" HTTP").next().unwrap().split_whitespace().collect();
                let example: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                let client_id = example["client_id"].parse::<ClientId>();
                let link = by_value(&client_id.clone().unwrap(), &["eyJ0eXBlIjoieCJ9".to_owned()]);
                let ours: Vec<String> = link.query_pairs().map(|(name, _)| name.into_owned()).collect();
                let has = |name: &String| {
                    ours.contains(name) || (name == "redirect_uri" && ours.iter().any(|it| it == "response_uri"))
                };
                tally.holds(&file, example.keys().all(has), || format!("{link}"));
            }
            "inline/05.json" => tally.left_out("a signed request by value: HAIP has them by reference"),
            "inline/36.json"
            | "examples/credentials/ldp_vc.json"
            | "examples/response/ldp_vc.json"
            | "examples/client_metadata/w3c_jwt_verifier_metadata.json"
            | "examples/client_metadata/w3c_ldp_verifier_metadata.json" => tally.left_out(W3C),
            "inline/38.json"
            | "inline/39.json"
            | "inline/41.json"
            | "examples/digital_credentials_api/signed_request_payload.json.txt" => tally.left_out(DC_API),
            "inline/47.json" | "inline/48.json" => tally.left_out(MDOC),
            "inline/51.json" | "inline/52.json" | "inline/54.json" | "inline/56.json" | "inline/58.json"
            | "inline/59.json" => {
                let ours = session_transcripts();
                let ours = if ["51", "52", "54"].iter().any(|of| file.contains(of)) { &ours.0 } else { &ours.1 };
                let example = vector(&format!("openid4vp/{file}"));
                let holds = match example["hex"].as_str().map(hex) {
                    // The key, whose thumbprint is in the transcript.
                    None => json_of(&file) == json_of("inline/51.json"),
                    Some(bytes) => [bytes.clone(), sha256(&bytes).to_vec()].iter().any(|end| ours.ends_with(end)),
                };
                tally.holds(&file, holds, || format!("{ours:02x?}"));
            }
            "examples/client_metadata/mso_mdoc_verifier_metadata.json" => {
                let example = vector(&format!("openid4vp/{file}"));
                let ours = Mdoc::new().supported();
                let covers =
                    example["vp_formats_supported"]["mso_mdoc"].as_object().unwrap().iter().all(|(name, values)| {
                        // The other number of the example became that of another algorithm (RFC 9864 has -51).
                        values.as_array().unwrap().iter().any(|value| ours[name].as_array().unwrap().contains(value))
                    });
                tally.holds(&file, covers, || ours.to_string());
            }
            "inline/61.json" | "inline/62.json" => tally.left_out("SIOPv2"),
            "examples/credentials/sd_jwt_vc.json" | "examples/response/kb_jwt_unsecured.json" => {
                tally.left_out("the inside of a presentation: the topic sd-jwt-vc");
            }
            file if file.starts_with("haip/") => tally.left_out("issuance"),
            other => panic!("{other}: what is this an example of?"),
        }
    }
    tally.finish(59);
}

/// The sessions of the examples of B.2.6.1 and B.2.6.2.
fn session_transcripts() -> (Vec<u8>, Vec<u8>) {
    const NONCE: &str = "exc7gBkxjx1rdc9udRrveKvSsJIq80avlXeLHhGwqtA";
    let mut jwk = json_of("inline/51.json");
    jwk.as_object_mut().unwrap().retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
    let key = PublicKey::from_jwk(&jwk).unwrap().thumbprint();
    let (by_redirect, by_api) = (
        SessionTranscript::openid4vp(
            "x509_san_dns:example.com",
            NONCE,
            Some(key.as_bytes()),
            "https://example.com/response",
        ),
        SessionTranscript::dc_api("https://example.com", NONCE, Some(key.as_bytes())),
    );
    (by_redirect.as_bytes().to_vec(), by_api.as_bytes().to_vec())
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The examples' files below `openid4vp`, in order.
fn files() -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec!["examples".to_owned(), "haip".to_owned(), "inline".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(vectors(&format!("openid4vp/{folder}"))).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() { folders.push(name) } else { files.push(name) }
        }
    }
    files.sort();
    files
}

fn text(file: &str) -> String {
    vector(&format!("openid4vp/{file}"))["text"].as_str().unwrap().to_owned()
}

fn json_of(file: &str) -> Value {
    vector(&format!("openid4vp/{file}"))["json"].clone()
}

fn simple() -> Query {
    Query::parse(&vector("openid4vp/examples/query_lang/simple.json"), &Limits::default()).unwrap()
}

/// A credential query with the `type_values` of the example.
fn w3c() -> Value {
    let meta: Value = serde_json::from_str(&format!("{{{}}}", text("inline/42.json"))).unwrap();
    json!({"id": "w", "format": "ldp_vc", "meta": meta})
}

fn candidate<'a>(format: &'a str, types: &'a [String], claims: &'a Value) -> Candidate<'a> {
    Candidate { format, types, holder_bound: true, claims, authority_key_ids: &[] }
}

/// The link of a request that stands in it.
fn by_value(client_id: &ClientId, transaction_data: &[String]) -> Url {
    let (query, formats) = (simple(), BTreeMap::new());
    let request = RequestObject {
        client_id,
        response_uri: &Url::parse("https://client.example.org/cb").unwrap(),
        response_mode: ResponseMode::DirectPost,
        nonce: "n-0S6_WzA2Mj",
        state: STATE,
        query: &query,
        formats: &formats,
        transaction_data,
        encryption_jwk: None,
        encryption_enc: &BOTH,
        wallet_nonce: None,
        verifier_info: &[],
        client_name: None,
        iat: UnixTime::from_secs(0),
        exp: UnixTime::from_secs(300),
    };
    wallet_link_by_value("https://wallet.example.org/universal-link", &request).unwrap().parse().unwrap()
}

fn request_object(mode: ResponseMode, key: Option<&Value>, query: &Query) -> Value {
    RequestObject {
        client_id: &ClientId::x509_san_dns("client.example.org"),
        response_uri: &Url::parse("https://client.example.org/post").unwrap(),
        response_mode: mode,
        nonce: "n-0S6_WzA2Mj",
        state: STATE,
        query,
        formats: &BTreeMap::from([("dc+sd-jwt".to_owned(), SdJwtVc::new().supported())]),
        transaction_data: &[],
        encryption_jwk: key,
        encryption_enc: &BOTH,
        wallet_nonce: Some("qPmxiNFCR3QTm19POc8u"),
        verifier_info: &[],
        client_name: None,
        iat: UnixTime::from_secs(0),
        exp: UnixTime::from_secs(300),
    }
    .claims()
}

fn in_clear(query: &Query) -> ResponseContext<'_> {
    static LIMITS: std::sync::LazyLock<Limits> = std::sync::LazyLock::new(Limits::default);
    ResponseContext { mode: ResponseMode::DirectPost, state: STATE, key: None, accepted: &BOTH, query, limits: &LIMITS }
}

fn plain(vp_token: &Value, query: &Query) -> Result<Answer, ResponseError> {
    let pairs = [("vp_token", vp_token.to_string()), ("state", STATE.to_owned())];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    read_response(body.as_bytes(), &in_clear(query))
}

fn encrypted(payload: &Value, query: &Query) -> Result<Answer, ResponseError> {
    let key = DecryptionKey::from_scalar(&[7; 32], "k").unwrap();
    let jwe = encrypt(payload.to_string().as_bytes(), &key.public_jwk(), ContentEncryption::A256Gcm).unwrap();
    let context = ResponseContext { mode: ResponseMode::DirectPostJwt, key: Some(&key), ..in_clear(query) };
    read_response(format!("response={jwe}").as_bytes(), &context)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is posted, the worst that happens is a refusal.
    #[test]
    fn noise_is_refused_calmly(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let query = simple();
        let key = DecryptionKey::from_scalar(&[7; 32], "k").unwrap();
        for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
            let context = ResponseContext { mode, key: Some(&key), ..in_clear(&query) };
            prop_assert!(read_response(&body, &context).is_err());
        }
        let _ = read_request_post(&body, &Limits::default());
    }

    /// Forms of the right names with anything in them.
    #[test]
    fn forms_of_anything_are_read_calmly(
        parameters in prop::collection::vec(
            ("(vp_token|response|state|error|error_description|wallet_nonce|iss)", prop_oneof![
                any::<String>(),
                Just(STATE.to_owned()),
                "[A-Za-z0-9_.-]{0,40}",
                r#"[{}\[\]",:a-z0-9\\u]{0,40}"#,
                Just(r#"{"my_credential":["x~"]}"#.to_owned()),
            ]),
            0..6,
        ),
    ) {
        let query = simple();
        let key = DecryptionKey::from_scalar(&[7; 32], "k").unwrap();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
        for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
            let context = ResponseContext { mode, key: Some(&key), ..in_clear(&query) };
            match read_response(body.as_bytes(), &context) {
                Ok(Answer::Presentations(answer)) => {
                    prop_assert_eq!(mode, ResponseMode::DirectPost);
                    prop_assert_eq!(answer, [("my_credential".to_owned(), vec![json!("x~")])]);
                }
                Ok(Answer::Error { description, .. }) => {
                    prop_assert!(description.is_none_or(|it| it.chars().count() <= 256 && !it.chars().any(char::is_control)));
                }
                Err(error) => prop_assert!(!error.code().is_empty()),
            }
        }
        if let Ok(Some(nonce)) = read_request_post(body.as_bytes(), &Limits::default()).map(|post| post.wallet_nonce) {
            prop_assert!(!nonce.is_empty() && nonce.bytes().all(|it| it.is_ascii_graphic()));
        }
    }

    /// A good answer with one byte changed is refused, or it says the same.
    #[test]
    fn a_changed_byte_adds_nothing(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let query = simple();
        let key = DecryptionKey::from_scalar(&[7; 32], "k").unwrap();
        let payload = json!({"vp_token": {"my_credential": ["x~"]}, "state": STATE}).to_string();
        let jwe = encrypt(payload.as_bytes(), &key.public_jwk(), ContentEncryption::A128Gcm).unwrap();
        let mut body = format!("response={jwe}").into_bytes();
        let context = ResponseContext { mode: ResponseMode::DirectPostJwt, key: Some(&key), ..in_clear(&query) };
        let good = read_response(&body, &context).unwrap();
        let at = at.index(body.len());
        body[at] = to;
        if let Ok(answer) = read_response(&body, &context) {
            prop_assert_eq!(answer, good);
        }
    }
}
