//! What our issuer signs is verified by another implementation, `ssi`, and what it refuses we refuse: the suites over
//! graphs, and JWTs of both data models. The suites over JSON it does not have; those have the vectors of the standards.

use firsthand::{
    protocol::{
        jose::SigningKey,
        vc::{
            data_integrity::{Proof, Suite},
            jwt,
            ld::Contexts,
        },
    },
    testing::w3c::{Credential, Issuer, Secured},
    time::UnixTime,
};
use serde_json::{Value, json};
use ssi::prelude::{AnyDataIntegrity, AnyJsonCredential, AnyJwkMethod, DIDResolver, JwsBuf, VerificationParameters};

const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);

/// A subject with what makes graphs differ: nesting, texts in languages, numbers, lists of things without a name. (A number
/// beyond 64 bits makes the other one panic.)
fn subject() -> Value {
    json!({
        "alumniOf": {"type": "School", "name": [{"@value": "École", "@language": "fr"}, {"@value": "School", "@language": "en"}]},
        "degree": [{"type": "ExampleBachelorDegree", "name": "A"}, {"type": "ExampleBachelorDegree", "name": "B\n\"\\é"}],
        "credits": [1, -7, 2.5, true, false],
    })
}

fn issued(secured: Secured, key: &SigningKey) -> Value {
    let credential = Credential::new("AlumniCredential", &subject(), NOW.minus_s(1000));
    let holder = SigningKey::from_p256_scalar(&[2; 32]).unwrap();
    Issuer::new(key.clone()).issue(secured, &credential, holder).unwrap().credential().clone()
}

async fn by_ssi(document: &Value) -> Result<(), String> {
    let resolver = ssi::dids::AnyDidMethod::default().into_vm_resolver();
    let mut parameters = VerificationParameters::from_resolver(resolver);
    parameters.date_time = Some("2026-11-20T00:00:00Z".parse().unwrap());
    let credential: AnyDataIntegrity<AnyJsonCredential> =
        serde_json::from_str(&document.to_string()).map_err(|e| e.to_string())?;
    credential.verify(&parameters).await.map_err(|e| e.to_string())?.map_err(|e| format!("{e:?}"))
}

fn by_us(document: &Value, key: &SigningKey) -> Result<(), String> {
    let members = document.as_object().unwrap();
    for proof in Proof::of(members).map_err(|e| e.to_string())? {
        proof.verify(members, key.public_key(), &Contexts::new()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

#[tokio::test]
async fn another_implementation_agrees_about_graphs() {
    for (suite, key) in [
        (Suite::EddsaRdfc2022, SigningKey::from_ed25519_seed(&[1; 32]).unwrap()),
        (Suite::EcdsaRdfc2019, SigningKey::from_p256_scalar(&[1; 32]).unwrap()),
    ] {
        let good = issued(Secured::Proof(suite), &key);
        assert_eq!((by_us(&good, &key), by_ssi(&good).await), (Ok(()), Ok(())), "{}", suite.name());
        let with = |path: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(path).unwrap() = value;
            changed
        };
        for changed in [
            with("/credentialSubject/degree/1/name", json!("C")),
            with("/credentialSubject/credits/0", json!(2)),
            with("/credentialSubject/alumniOf/name/0/@language", json!("de")),
            with("/validUntil", json!("2030-01-01T00:00:00Z")),
            with("/proof/created", json!("2026-01-01T00:00:00Z")),
            with("/issuer", json!("did:example:other")),
        ] {
            assert!(by_us(&changed, &key).is_err(), "{changed}");
            assert!(by_ssi(&changed).await.is_err(), "{changed}");
        }
        // The order in which a graph is written says nothing, to neither of us.
        let mut turned = good.clone();
        turned["credentialSubject"]["degree"].as_array_mut().unwrap().reverse();
        assert_eq!((by_us(&turned, &key), by_ssi(&turned).await), (Ok(()), Ok(())));
    }
}

#[tokio::test]
async fn another_implementation_agrees_about_tokens() {
    let resolver = || ssi::dids::AnyDidMethod::default().into_vm_resolver::<AnyJwkMethod>();
    for (secured, key) in [
        (Secured::Jwt, SigningKey::from_ed25519_seed(&[1; 32]).unwrap()),
        (Secured::Jose, SigningKey::from_p256_scalar(&[1; 32]).unwrap()),
    ] {
        let token = issued(secured, &key);
        let token = token.as_str().unwrap();
        let theirs = JwsBuf::new(token.to_owned()).unwrap();
        assert_eq!(theirs.verify(&VerificationParameters::from_resolver(resolver())).await.unwrap(), Ok(()));
        assert!(jwt::verify_credential(token, key.public_key(), &firsthand::limits::Limits::default()).is_ok());

        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        // Another text of as many letters, and still one of base64.
        let broken = format!("{header}.{}.{signature}", claims.replacen("MjAy", "MjAz", 1));
        assert_ne!(broken, token);
        let theirs = JwsBuf::new(broken.clone()).unwrap();
        let refused = theirs.verify(&VerificationParameters::from_resolver(resolver())).await;
        assert!(!matches!(refused, Ok(Ok(()))));
        assert!(jwt::verify_credential(&broken, key.public_key(), &firsthand::limits::Limits::default()).is_err());
    }
}
