//! Topic `did:webvh`: the test suite of the method against how a shop checks its log, and logs of our own making.

use std::fs;

use firsthand::{
    Keys, Merchant,
    keys::KeysFile,
    protocol::{
        did::{Did, DidError},
        jose::SigningKey,
    },
    store::Memory,
    testing::{
        TestShop,
        authority::{Authority, Leaf, certificate_pem},
    },
    time::UnixTime,
    webvh::{WebvhError, WebvhLog},
};
use firsthand_tests::{Tally, vectors};
use serde_json::{Value, json};
use url::Url;

const DANGLING: &str = "a document that refers to a key which it does not hold: we refuse it";
const CAUTIOUS: &str = "witnesses that the library does not count: refused, so nobody is believed for it";
/// The logs of witnesses that the library does not verify.
const UNVERIFIED: [&str; 6] = [
    "did-webvh/witness-threshold/rust",
    "did-webvh/witness-update/java",
    "did-webvh/witness-update/java-eecc",
    "did-webvh/witness-update/python",
    "did-webvh/witness-update/rust",
    "did-webvh/witness-update/ts",
];
const MOVED: &str = "a document that moved and names its keys after the old DID: ours never moves";

/// Before any clock that runs this.
const THEN: UnixTime = UnixTime::from_secs(1_735_689_600);

fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(vectors(path)).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(vectors(path)).ok()
}

#[test]
fn the_test_suite() {
    let mut tally = Tally::new("did-webvh");
    for scenario in folders("did-webvh") {
        for maker in folders(&format!("did-webvh/{scenario}")) {
            let folder = format!("did-webvh/{scenario}/{maker}");
            let log = WebvhLog::parse(&text(&format!("{folder}/did.jsonl")).unwrap());
            if scenario.starts_with("negative-") {
                tally.case(&folder, "reject", log);
            } else if scenario.starts_with("witness-") {
                // Never without what the witnesses signed, which lies beside it.
                assert!(log.is_err(), "{folder}: witnesses are checked after all");
                let (log, proofs) =
                    (text(&format!("{folder}/did.jsonl")).unwrap(), text(&format!("{folder}/did-witness.json")));
                assert!(WebvhLog::needs_witnesses(&log));
                let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
                let did = last["state"]["id"].as_str().unwrap().parse().unwrap();
                match WebvhLog::verify(&did, &log, proofs.as_deref()) {
                    Err(WebvhError::Document(DidError::Member("assertionMethod"))) if maker == "java" => {
                        tally.left_out(DANGLING);
                    }
                    Err(WebvhError::Log(_)) if UNVERIFIED.contains(&folder.as_str()) => tally.left_out(CAUTIOUS),
                    verified => tally.case(&folder, "accept", verified),
                }
                assert!(WebvhLog::verify(&did, &log, Some("[]")).is_err(), "{folder}: nobody witnessed it");
            } else {
                let result: Value =
                    serde_json::from_str(&text(&format!("{folder}/resolutionResult.json")).unwrap()).unwrap();
                match log {
                    Err(WebvhError::Document(DidError::Member("assertionMethod"))) if maker == "java" => {
                        tally.left_out(DANGLING);
                    }
                    Err(WebvhError::Document(DidError::Foreign)) if scenario == "portable-move" => {
                        tally.left_out(MOVED)
                    }
                    Err(error) => tally.case(&folder, "accept", Err::<(), _>(error)),
                    Ok(log) => {
                        let metadata = &result["didDocumentMetadata"];
                        let document = &result["didDocument"];
                        let same_did = document["id"].is_null() || document["id"] == log.did().as_str();
                        let version = &metadata["versionId"];
                        let same_version = log.as_str().lines().last().unwrap().contains(version.as_str().unwrap());
                        tally.holds(&folder, same_did && same_version, || format!("is {log:?}"));
                    }
                }
            }
        }
        // A DID that must lead nowhere is refused before anything else of its log is read.
        for did in text(&format!("did-webvh/{scenario}/dids.txt")).iter().flat_map(|dids| dids.lines()) {
            let error = WebvhLog::parse(&json!({ "state": { "id": did } }).to_string()).unwrap_err().to_string();
            let of_the_did = error.contains("Invalid method identifier") || error.contains("a DID is `did:`");
            let nowhere = did.parse::<Did>().and_then(|did| did.webvh_urls()).is_err();
            tally.holds(did, of_the_did && nowhere, || error.clone());
        }
    }
    tally.finish(84);
}

/// Keys with this root secret, and others made from them.
struct Shop(KeysFile, Authority);

impl Shop {
    fn new() -> Self {
        let mut shop = Self(KeysFile::generate([1; 32]).unwrap(), Authority::new("Access CA", THEN));
        shop.certify();
        shop
    }

    fn certify(&mut self) {
        let key = SigningKey::from_pkcs8_der(self.0.waiting_key().unwrap()).unwrap();
        let chain = self.1.certify(&Leaf::new("Shop", THEN).dns_name("shop.example"), key.public_key());
        self.0.install(&chain.iter().map(|der| certificate_pem(der)).collect::<String>()).unwrap();
    }

    fn renew(&mut self) {
        self.0.add_signing_key().unwrap();
        self.certify();
    }

    fn keys(&self) -> Keys {
        Keys::from_pem(&self.0.to_pem()).unwrap()
    }
}

fn origin() -> Url {
    "https://shop.example".parse().unwrap()
}

#[test]
fn a_log_says_what_the_keys_are_and_is_continued_when_they_change() {
    let mut shop = Shop::new();
    let first = WebvhLog::begin(&origin(), &shop.keys(), THEN).unwrap();
    assert!(first.did().as_str().starts_with("did:webvh:Qm") && first.did().as_str().ends_with(":shop.example"));
    assert_eq!(first.document().also_known_as(), ["did:web:shop.example"]);
    assert!(first.names(&shop.keys()));
    assert!(first.continued(&origin(), &shop.keys(), THEN.plus_s(60)).unwrap().is_none(), "nothing new");

    shop.renew();
    let second = first.continued(&origin(), &shop.keys(), THEN.plus_s(60)).unwrap().unwrap();
    assert_eq!((second.entries(), second.did()), (2, first.did()));
    assert!(second.as_str().starts_with(first.as_str()), "what is written stays");
    assert_eq!(second.document().methods().len(), 2);
    // With a new root secret, the key that the last entry committed to is still found, and the next one is of the new.
    let before = shop.keys();
    shop.0.add_root_secret([2; 32]).unwrap();
    shop.renew();
    let third = second.continued(&origin(), &shop.keys(), THEN.plus_s(120)).unwrap().unwrap();
    shop.renew();
    let fourth = third.continued(&origin(), &shop.keys(), THEN.plus_s(180)).unwrap().unwrap();
    assert_eq!(WebvhLog::parse(fourth.as_str()).unwrap().entries(), 4);
    assert!(matches!(fourth.continued(&origin(), &before, THEN.plus_s(240)), Err(WebvhError::NoUpdateKey)));

    let other: Url = "https://other.example".parse().unwrap();
    assert!(matches!(fourth.continued(&other, &shop.keys(), THEN.plus_s(240)), Err(WebvhError::OtherOrigin(_))));
    // Not before the entry before it, and at no address.
    shop.renew();
    assert!(fourth.continued(&origin(), &shop.keys(), THEN).is_err());
    assert!(WebvhLog::begin(&"https://192.0.2.1".parse().unwrap(), &shop.keys(), THEN).is_err());
}

#[test]
fn a_log_that_was_changed_does_not_hold() {
    let mut shop = Shop::new();
    let first = WebvhLog::begin(&origin(), &shop.keys(), THEN).unwrap();
    shop.renew();
    let log = first.continued(&origin(), &shop.keys(), THEN.plus_s(60)).unwrap().unwrap();
    let text = log.as_str();
    let lines: Vec<&str> = text.lines().collect();
    assert!(WebvhLog::parse(text).is_ok() && WebvhLog::parse(lines[0]).is_ok());
    for wrong in [
        String::new(),
        "{}".into(),
        lines[1].into(),
        format!("{}\n{}", lines[1], lines[0]),
        format!("{text}{}", lines[1]),
        text.replace("shop.example", "evil.example"),
        text.replacen("2025-01-01T00:01:00Z", "2025-01-01T00:02:00Z", 1),
        text.replacen("\"parameters\":{", "\"parameters\":{},\"parameters\":{", 1),
        text.replacen("assertionMethod", "keyAgreement", 1),
    ] {
        assert!(WebvhLog::parse(&wrong).is_err(), "{wrong}");
    }
    let huge = format!("{text}{}", " ".repeat(8 * 1024 * 1024));
    assert!(matches!(WebvhLog::parse(&huge), Err(WebvhError::TooLong { .. })));
}

#[test]
fn a_shop_serves_its_own_log_with_its_own_keys_alone() {
    let shop = TestShop::new();
    let build = |log: &WebvhLog| {
        let builder = Merchant::builder(origin()).keys(shop.keys().clone()).trust(shop.cast().trust().unwrap());
        builder.fetch(shop.network().clone()).env(shop.clock().clone()).store(Memory::new()).webvh(log.clone()).build()
    };
    let log = WebvhLog::begin(&origin(), shop.keys(), THEN).unwrap();
    let merchant = build(&log).unwrap();
    assert_eq!(merchant.public_log(), Some(log.as_str()));
    assert_eq!(merchant.public_document().also_known_as(), [log.did().as_str()]);
    let other = WebvhLog::begin(&"https://other.example".parse().unwrap(), shop.keys(), THEN).unwrap();
    assert_eq!(build(&other).unwrap_err().code(), "misuse");
    let old = WebvhLog::begin(&origin(), &Shop::new().keys(), THEN).unwrap();
    assert!(build(&old).unwrap_err().to_string().contains("firsthand did"));
    assert!(shop.merchant().public_log().is_none());
}
