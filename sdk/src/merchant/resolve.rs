//! The keys of issuers that the trust knows by their DIDs.

use std::{sync::Arc, time::Duration};

use url::Url;

use super::Merchant;
use crate::{
    error::{AnswerError, Error},
    fetch::{
        FetchError, FetchRequest, Fetched,
        address::{Policy, check_url},
    },
    protocol::{
        did::{Did, DidDocument, Relationship},
        jose::PublicKey,
        json,
    },
    resolve::{ResolveError, Resolved},
    time::UnixTime,
};

#[cfg(feature = "webvh")]
mod webvh;

/// A DID document, in bytes: a hundred keys fit.
const DOCUMENT_BYTES: usize = 64 * 1024;
/// How long a server may take to tell a document.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long a document is kept unless its sender says less, in seconds: a withdrawn key is gone by then.
const KEPT_S: u64 = 3600;
/// How long it is kept at least, in seconds: a sender who forbids it would have us ask for every customer.
const KEPT_MIN_S: u64 = 60;

impl Merchant {
    /// The key by which an issuer signs: the verification method `method`, a DID URL, of a DID that the trust names. The
    /// document must list it under `assertionMethod` (DID Core section 5.3.2).
    pub(super) async fn did_key(&self, credential: &str, did: &Did, method: &str) -> Result<PublicKey, Error> {
        let refuse = |source| AnswerError::IssuerDid { credential: credential.to_owned(), source };
        let document = self.did_document(did, self.now()).await.map_err(refuse)?;
        let key = document.signing_key(Relationship::AssertionMethod, method);
        Ok(key.ok_or_else(|| refuse(Arc::new(ResolveError::NoKey)))?.clone())
    }

    async fn did_document(&self, did: &Did, now: UnixTime) -> Result<Arc<DidDocument>, Arc<ResolveError>> {
        let load = async {
            let Resolved { document, max_age_s } = self.resolve(did).await?;
            if document.id() != did {
                return Err(ResolveError::OtherDid { expected: did.clone(), found: document.id().clone() });
            }
            let kept_s = max_age_s.unwrap_or(KEPT_S).clamp(KEPT_MIN_S, KEPT_S);
            Ok((document, now.plus_s(kept_s)))
        };
        self.0.did_documents.get_or_fetch(did.as_str(), now, load).await
    }

    async fn resolve(&self, did: &Did) -> Result<Resolved, ResolveError> {
        match did.method() {
            "key" | "jwk" | "peer" => Ok(Resolved { document: did.resolve(None, &self.0.limits)?, max_age_s: None }),
            #[cfg(feature = "w3c")]
            "pkh" => crate::resolve::account::resolve(did, &self.0.limits).await,
            "web" => self.resolve_web(did).await,
            #[cfg(feature = "webvh")]
            "webvh" => self.resolve_webvh(did).await,
            method => match &self.0.did_resolver {
                Some(resolver) => resolver.resolve(did).await,
                None => Err(ResolveError::Method(method.to_owned())),
            },
        }
    }

    async fn resolve_web(&self, did: &Did) -> Result<Resolved, ResolveError> {
        let limits = &self.0.limits;
        let fetched = self.did_file(did.web_url()?, "application/did+json, application/json", DOCUMENT_BYTES).await?;
        let document = DidDocument::from_json(&json::parse(&fetched.body, limits.json_depth)?, limits)?;
        Ok(Resolved { document, max_age_s: fetched.max_age_s })
    }

    /// Promise: https alone, bounded, to a public address, without redirects.
    async fn did_file(&self, url: Url, accept: &'static str, body_bytes_max: usize) -> Result<Fetched, FetchError> {
        check_url(&url, Policy::Public)?;
        let request = FetchRequest { timeout: TIMEOUT, ..FetchRequest::get(url, accept, body_bytes_max) };
        self.0.fetch.fetch(&request).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{protocol::jose::SigningKey, resolve::DidResolver, store::Memory, testing::TestShop};

    const DID: &str = "did:web:university.example%3A8443:degrees";
    const METHOD: &str = "did:web:university.example%3A8443:degrees#k1";

    fn key() -> PublicKey {
        SigningKey::from_p256_scalar(&[5; 32]).unwrap().public_key().clone()
    }

    fn document() -> Value {
        json!({
            "id": DID,
            "verificationMethod": [
                {"id": METHOD, "type": "JsonWebKey", "controller": DID, "publicKeyJwk": key().to_jwk()},
                {"id": "#k2", "type": "JsonWebKey", "controller": DID, "publicKeyJwk": key().to_jwk()},
            ],
            "assertionMethod": [METHOD],
            "authentication": ["#k2"],
        })
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn at() -> Url {
        url("https://university.example:8443/degrees/did.json")
    }

    async fn found(shop: &TestShop, did: &str, method: &str) -> Result<PublicKey, &'static str> {
        shop.merchant().did_key("degree", &did.parse().unwrap(), method).await.map_err(|error| error.code())
    }

    /// What a document that is served with one thing changed leads to.
    async fn changed(with: impl FnOnce(&mut Value)) -> Result<PublicKey, &'static str> {
        let shop = TestShop::new();
        let mut document = document();
        with(&mut document);
        shop.network().serve(&at(), "application/did+json", document.to_string());
        found(&shop, DID, METHOD).await
    }

    #[tokio::test]
    async fn an_issuers_key_is_fetched_once_for_many() {
        let shop = TestShop::new();
        shop.network().serve(&at(), "application/json", document().to_string());
        for _ in 0..3 {
            assert_eq!(found(&shop, DID, METHOD).await, Ok(key()));
        }
        assert_eq!(shop.network().calls(&at()), 1);
        shop.advance_s(KEPT_S);
        assert_eq!(found(&shop, DID, METHOD).await, Ok(key()));
        assert_eq!(shop.network().calls(&at()), 2);
        // Whoever says that it may be kept for ever is asked again all the same, and who forbids it is not asked each time.
        for (max_age_s, kept_s) in [(u64::MAX, KEPT_S), (0, KEPT_MIN_S)] {
            let shop = TestShop::new();
            shop.network().serve_for(&at(), "application/json", document().to_string(), max_age_s);
            assert_eq!(found(&shop, DID, METHOD).await, Ok(key()));
            shop.advance_s(kept_s - 1);
            assert_eq!(found(&shop, DID, METHOD).await, Ok(key()));
            assert_eq!(shop.network().calls(&at()), 1);
            shop.advance_s(1);
            assert_eq!(found(&shop, DID, METHOD).await, Ok(key()));
            assert_eq!(shop.network().calls(&at()), 2);
        }
    }

    #[tokio::test]
    async fn a_document_with_one_thing_wrong_gives_no_key() {
        assert_eq!(changed(|_| ()).await, Ok(key()));
        let other = "did:web:university.example";
        assert_eq!(changed(|it| it["id"] = json!(other)).await, Err("did_foreign"));
        let whole = |it: &mut Value| *it = serde_json::from_str(&it.to_string().replace(DID, other)).unwrap();
        assert_eq!(changed(whole).await, Err("did_document_of_another"));
        // The same name with its escape written otherwise is another DID: they are compared as texts.
        let escaped = |it: &mut Value| *it = serde_json::from_str(&it.to_string().replace("%3A", "%3a")).unwrap();
        assert_eq!(changed(escaped).await, Err("did_document_of_another"));
        assert_eq!(changed(|it| it["assertionMethod"] = json!(["#k2"])).await, Err("did_no_key"));
        assert_eq!(changed(|it| it["assertionMethod"] = json!([])).await, Err("did_no_key"));
        assert_eq!(changed(|it| it["assertionMethod"] = json!(["#k3"])).await, Err("did_document"));
        let twice = |it: &mut Value| {
            it["verificationMethod"][1]["id"] = json!(METHOD);
            it["authentication"] = json!([METHOD]);
        };
        assert_eq!(changed(twice).await, Err("did_duplicate"));
        let many = |it: &mut Value| {
            let one = it["verificationMethod"][0].clone();
            let named = |at: usize| {
                let mut one = one.clone();
                one["id"] = json!(format!("#m{at}"));
                one
            };
            it["verificationMethod"].as_array_mut().unwrap().extend((0..64).map(named));
        };
        assert_eq!(changed(many).await, Err("did_too_many"));
        let huge = |it: &mut Value| it["more"] = json!("x".repeat(DOCUMENT_BYTES));
        assert_eq!(changed(huge).await, Err("fetch_too_large"));
        let deep = |it: &mut Value| {
            *it = (0..40).fold(it.take(), |inner, _| json!([inner]));
        };
        assert_eq!(changed(deep).await, Err("malformed_json"));
        assert_eq!(changed(|it| *it = json!("text")).await, Err("did_document"));

        let shop = TestShop::new();
        shop.network().redirect(&at(), &url("https://university.example/did.json"));
        shop.network().serve(&url("https://university.example/did.json"), "application/json", document().to_string());
        assert_eq!(found(&shop, DID, METHOD).await, Err("fetch_too_many_redirects"));
        assert_eq!(shop.network().calls(&url("https://university.example/did.json")), 0);
        let shop = TestShop::new();
        shop.network().slow(&at());
        assert_eq!(found(&shop, DID, METHOD).await, Err("fetch_timeout"));
        assert_eq!(found(&shop, DID, METHOD).await, Err("fetch_timeout"));
        assert_eq!(shop.network().calls(&at()), 1, "a dead server holds up one customer, not each");
        shop.network().serve(&at(), "application/json", document().to_string());
        shop.advance_s(5);
        assert_eq!(found(&shop, DID, METHOD).await, Ok(key()));
    }

    #[tokio::test]
    async fn no_did_leads_to_a_private_network() {
        let shop = TestShop::new();
        let before = shop.network().calls_in_all();
        for (did, code) in [
            ("did:web:localhost", "fetch_refused"),
            ("did:web:localhost%3A8443", "fetch_refused"),
            ("did:web:printer.local", "fetch_refused"),
            ("did:web:university.example%3A22", "fetch_refused"),
            ("did:web:169.254.169.254", "did_address"),
            ("did:web:0x7f000001", "did_address"),
            ("did:web:university.example:..:x", "did_address"),
            ("did:example:university", "did_method_unknown"),
        ] {
            assert_eq!(found(&shop, did, &format!("{did}#k1")).await, Err(code), "{did}");
        }
        assert_eq!(shop.network().calls_in_all(), before);
    }

    #[tokio::test]
    async fn a_did_that_is_its_key_needs_no_network() {
        let shop = TestShop::new();
        let did = Did::key(&key());
        let multikey = did.as_str().strip_prefix("did:key:").unwrap();
        assert_eq!(found(&shop, did.as_str(), &format!("{did}#{multikey}")).await, Ok(key()));
        assert_eq!(found(&shop, did.as_str(), &format!("{did}#key-1")).await, Err("did_no_key"));
    }

    #[cfg(feature = "w3c")]
    #[tokio::test]
    async fn an_account_whose_name_is_its_key_signs() {
        let shop = TestShop::new();
        // The example of the method's draft, section "Solana".
        let did = "did:pkh:solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ:CKg5d12Jhpej1JqtmxLJgaFqqeYjxgPqToJ4LBdvG9Ev";
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "qDkywhH-S6nNxQhA6SHKsoFW7A2gX-X0b3TtwVBMHm8"});
        let key = PublicKey::from_jwk(&key).unwrap();
        assert_eq!(found(&shop, did, &format!("{did}#controller")).await, Ok(key));
        assert_eq!(found(&shop, did, &format!("{did}#other")).await, Err("did_no_key"));
        for (account, code) in [
            ("solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ:tooshort", "did_resolver"),
            ("eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a", "did_no_key"),
            ("nowhere", "did_resolver"),
        ] {
            let did = format!("did:pkh:{account}");
            assert_eq!(found(&shop, &did, &format!("{did}#blockchainAccountId")).await, Err(code), "{did}");
        }
    }

    #[derive(Debug)]
    struct Ledger;

    impl DidResolver for Ledger {
        async fn resolve(&self, did: &Did) -> Result<Resolved, ResolveError> {
            match did.as_str() {
                "did:ledger:none" => Err(ResolveError::Other("the ledger is away".into())),
                // Whatever it is asked for, it answers with the same.
                _ => {
                    let text = document().to_string().replace(DID, "did:ledger:one");
                    let document = DidDocument::from_json(&serde_json::from_str(&text).unwrap(), &Default::default())?;
                    Ok(Resolved { document, max_age_s: None })
                }
            }
        }
    }

    #[tokio::test]
    async fn a_merchant_adds_methods_and_takes_none_away() {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).did_resolver(Ledger));
        assert_eq!(found(&shop, "did:ledger:one", "did:ledger:one#k1").await, Ok(key()));
        assert_eq!(found(&shop, "did:ledger:two", "did:ledger:one#k1").await, Err("did_document_of_another"));
        assert_eq!(found(&shop, "did:ledger:none", "did:ledger:none#k1").await, Err("did_resolver"));
        shop.network().serve(&at(), "application/json", document().to_string());
        assert_eq!(found(&shop, DID, METHOD).await, Ok(key()));
    }

    #[cfg(feature = "webvh")]
    #[tokio::test]
    async fn a_log_leads_to_its_last_keys() {
        use crate::webvh::WebvhLog;
        let then = UnixTime::from_secs(1_735_689_600);
        let issuer = TestShop::new();
        let log = WebvhLog::begin(issuer.merchant().origin(), issuer.keys(), then).unwrap();
        let renewed = issuer.renewed_certificate();
        let log = log.continued(issuer.merchant().origin(), &renewed, then.plus_s(60)).unwrap().unwrap();
        let did = log.did().to_string();
        let key = renewed.identity().key().public_key();
        let method = format!("{did}#{}", key.thumbprint());
        let url = url("https://shop.example/.well-known/did.jsonl");
        let served = |text: &str| {
            let shop = TestShop::new();
            let network: &crate::testing::Network = shop.network();
            network.serve(&url, "application/jsonl", text.to_owned());
            shop
        };
        assert_eq!(found(&served(log.as_str()), &did, &method).await.as_ref(), Ok(key));
        // The first entry alone is a log too, in which the new key is not there yet.
        let first = log.as_str().lines().next().unwrap();
        assert_eq!(found(&served(first), &did, &method).await, Err("did_no_key"));
        let last = log.as_str().lines().last().unwrap();
        for wrong in
            ["", "{}", last, &log.as_str().replace("shop.example", "evil.example"), &format!("{first}\n{first}")]
        {
            let code = found(&served(wrong), &did, &method).await.unwrap_err();
            assert!(["did_log", "malformed_json"].contains(&code), "{code}: {wrong}");
        }
        // Whoever serves the log cannot bring a key back that was taken out of it.
        let store = Memory::new();
        let shop = TestShop::with(|builder| builder.store(store.clone()));
        shop.network().serve(&url, "application/jsonl", log.as_str().to_owned());
        let before = issuer.keys().identity().key().public_key();
        let old = format!("{did}#{}", before.thumbprint());
        assert_eq!(found(&shop, &did, &method).await.as_ref(), Ok(key));
        shop.network().serve(&url, "application/jsonl", format!("{first}\n"));
        let restarted = shop.again(|builder| builder.store(store.clone()));
        assert_eq!(found(&restarted, &did, &old).await, Err("did_log_rolled_back"));
        shop.advance_s(KEPT_S);
        assert_eq!(found(&shop, &did, &old).await, Err("did_log_rolled_back"));
        let other = did.replace("did:webvh:Qm", "did:webvh:Qn");
        assert_eq!(found(&served(log.as_str()), &other, &format!("{other}#k")).await, Err("did_log"));
        let long = format!("{first}\n").repeat(300);
        assert_eq!(found(&served(&long), &did, &method).await, Err("did_log"));
        assert_eq!(found(&served(&"x".repeat(webvh::LOG_BYTES + 1)), &did, &method).await, Err("fetch_too_large"));
    }
}
