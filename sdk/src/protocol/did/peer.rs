//! DIDs that two parties tell each other and nobody else: `did:peer` with numalgo 0, 2, 3 and 4 (peer DID method
//! specification). Numalgo 1 needs a document that its text does not hold, and is not resolved.

use serde_json::{Map, Value};

use super::{Did, DidDocument, DidError, MethodKey, Relationship, base58, document, key};
use crate::{
    limits::Limits,
    protocol::{
        jose::{JoseError, base64url_decode, sha256},
        json,
    },
};

const PREFIX: &str = "did:peer:";

/// The multihash prefix of SHA-256: its code and its length.
const SHA256: [u8; 2] = [0x12, 0x20];
/// The multicodec of JSON, 0x0200, as a varint.
const JSON: [u8; 2] = [0x80, 0x04];

/// The document of what follows `did:peer:`; a short form is that of `long`.
pub(super) fn resolve(did: &Did, id: &str, long: Option<&Did>, limits: &Limits) -> Result<DidDocument, DidError> {
    match id.split_at_checked(1) {
        Some(("0", multikey)) => key::document(did, multikey),
        Some(("2", elements)) => inception_keys(did, elements, limits),
        Some(("3", _)) => {
            let long = stored(long)?;
            let elements = long.as_str().strip_prefix("did:peer:2").ok_or(DidError::Hash)?;
            if did.as_str() != format!("{PREFIX}3{}", multihash(elements)) {
                return Err(DidError::Hash);
            }
            inception_keys(did, elements, limits)
        }
        Some(("4", rest)) => match rest.split_once(':') {
            Some((hash, encoded)) => long_form(did, hash, encoded, did, limits),
            None => {
                let long = stored(long)?;
                let id = long.as_str().strip_prefix("did:peer:4").and_then(|rest| rest.split_once(':'));
                let (hash, encoded) = id.ok_or(DidError::Hash)?;
                if hash != rest {
                    return Err(DidError::Hash);
                }
                long_form(long, hash, encoded, did, limits)
            }
        },
        _ => Err(DidError::UnsupportedMethod),
    }
}

/// The long form of the did:peer:4 that stands for a document (method 4, "creating a DID"): the bytes of the text are
/// what is hashed, so they and not their meaning make the DID.
pub(super) fn encode(document: &str) -> String {
    let encoded = format!("z{}", base58::encode(&[&JSON, document.as_bytes()].concat()));
    format!("{PREFIX}4{}:{encoded}", multihash(&encoded))
}

fn stored(long: Option<&Did>) -> Result<&Did, DidError> {
    long.ok_or(DidError::NotStored)
}

fn multihash(text: &str) -> String {
    format!("z{}", base58::encode(&[SHA256.as_slice(), &sha256(text.as_bytes())].concat()))
}

/// Method 4, "resolving a DID": `long` is the DID that holds the document, `asked` the form that it is resolved for.
fn long_form(long: &Did, hash: &str, encoded: &str, asked: &Did, limits: &Limits) -> Result<DidDocument, DidError> {
    if multihash(encoded) != hash {
        return Err(DidError::Hash);
    }
    let encoded = encoded.strip_prefix('z').ok_or(DidError::Multibase)?;
    let bytes = base58::decode(encoded).ok_or(DidError::Multibase)?;
    let text = bytes.strip_prefix(&JSON).ok_or(DidError::Member("document"))?;
    let Value::Object(members) = json::parse(text, limits.json_depth).map_err(JoseError::from)? else {
        return Err(DidError::Member("document"));
    };
    // The document cannot know the DID that is its own hash, so an `id` or a `controller` is another's, and so is every
    // name that is not relative.
    if members.contains_key("id") {
        return Err(DidError::Foreign);
    }
    let document = DidDocument::read(asked.clone(), &members)?;
    let short = Did(format!("{PREFIX}4{hash}"));
    let other = if asked == long { short.clone() } else { long.clone() };
    Ok(document.known_as(&other, short))
}

/// Method 2, "resolving a did:peer:2".
fn inception_keys(did: &Did, elements: &str, limits: &Limits) -> Result<DidDocument, DidError> {
    let mut document = DidDocument::empty(did.clone());
    let mut elements = elements.split('.');
    // What stands before the first dot is nothing.
    if elements.next() != Some("") {
        return Err(DidError::Syntax);
    }
    let mut unnamed = 0_usize;
    for element in elements {
        let (purpose, rest) = element.split_at_checked(1).ok_or(DidError::Syntax)?;
        let relationship = match purpose {
            "A" => Relationship::AssertionMethod,
            "E" => Relationship::KeyAgreement,
            "V" => Relationship::Authentication,
            "I" => Relationship::CapabilityInvocation,
            "D" => Relationship::CapabilityDelegation,
            "S" => {
                document = document.with_service(service(did, rest, &mut unnamed, limits)?);
                continue;
            }
            _ => return Err(DidError::Syntax),
        };
        let key = key::from_multikey(rest)?;
        if matches!(key, MethodKey::Agreement(_)) && relationship != Relationship::KeyAgreement {
            return Err(DidError::UnsupportedKey);
        }
        let place = document.methods().len() + 1;
        document = document.with(&format!("key-{place}"), key, &[relationship]);
    }
    if document.methods().is_empty() {
        return Err(DidError::Syntax);
    }
    document.with_names_checked()
}

/// One service: abbreviated, and named where it has no name.
fn service(did: &Did, text: &str, unnamed: &mut usize, limits: &Limits) -> Result<Map<String, Value>, DidError> {
    let service = json::parse(&base64url_decode(text)?, limits.json_depth).map_err(JoseError::from)?;
    // Each is encoded by itself: a list is none.
    let Value::Object(mut service) = spelled_out(service)? else { return Err(DidError::Member("service")) };
    match service.get("id") {
        Some(Value::String(id)) if id.starts_with('#') => {
            document::fragment_of(id, did)?;
        }
        Some(_) => return Err(DidError::Foreign),
        None => {
            let id = if *unnamed == 0 { "#service".to_owned() } else { format!("#service-{unnamed}") };
            *unnamed += 1;
            service.insert("id".to_owned(), id.into());
        }
    }
    Ok(service)
}

/// Undoes the abbreviations of names, at every depth, and of the type. The parser bounded the depth.
fn spelled_out(value: Value) -> Result<Value, DidError> {
    Ok(match value {
        Value::Object(members) => {
            let mut out = Map::new();
            for (name, value) in members {
                let name = match name.as_str() {
                    "t" => "type",
                    "s" => "serviceEndpoint",
                    "r" => "routingKeys",
                    "a" => "accept",
                    other => other,
                };
                let value = match value {
                    Value::String(text) if name == "type" && text == "dm" => "DIDCommMessaging".into(),
                    other => spelled_out(other)?,
                };
                // Both `t` and `type`: readers would choose.
                if out.insert(name.to_owned(), value).is_some() {
                    return Err(DidError::Duplicate);
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => items.into_iter().map(spelled_out).collect::<Result<_, _>>()?,
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::{
        did::VerificationMethod,
        jose::{SigningKey, base64url_encode},
    };

    const LIMITS: fn() -> Limits = Limits::default;

    fn key() -> (String, Value) {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        (key::multikey(key.public_key()), key.public_key().to_jwk())
    }

    /// What the did:peer:4 of a document resolves to.
    fn peer_4(document: &Value) -> Result<DidDocument, DidError> {
        let did = Did::parse(&encode(&document.to_string()), &LIMITS())?;
        assert_eq!(Did::peer(&document.to_string(), &LIMITS()).is_ok(), did.resolve(None, &LIMITS()).is_ok());
        did.resolve(None, &LIMITS())
    }

    fn good() -> Value {
        json!({
            "verificationMethod": [
                {"id": "#a", "type": "Multikey", "publicKeyMultibase": key().0},
                {"id": "#b", "type": "JsonWebKey", "publicKeyJwk": key().1},
                {"id": "#c", "type": "EcdsaSecp256k1VerificationKey2019", "publicKeyHex": "00"},
                {"id": "#e", "type": "of something else"},
            ],
            "authentication": ["#a", {"id": "#d", "type": "JsonWebKey2020", "publicKeyJwk": key().1}],
            "assertionMethod": ["#b", "#c"],
            "keyAgreement": ["#a"],
            "service": [{"id": "#s", "type": "x", "serviceEndpoint": "https://a.example"}],
        })
    }

    #[test]
    fn keys_speak_for_what_they_are_listed_under() {
        let document = peer_4(&good()).unwrap();
        let signs = |relationship, did: &Did, fragment: &str| {
            document.signing_key(relationship, &format!("{did}#{fragment}")).is_some()
        };
        use Relationship::{AssertionMethod, Authentication, CapabilityInvocation, KeyAgreement};
        let (long, short) = (document.id(), document.name());
        assert_ne!(long, short);
        for did in [long, short] {
            assert!(signs(Authentication, did, "a") && signs(Authentication, did, "d"));
            assert!(signs(AssertionMethod, did, "b"));
            assert!(!signs(Authentication, did, "b") && !signs(AssertionMethod, did, "a"));
            assert!(!signs(AssertionMethod, did, "d"), "embedded for one thing");
            assert!(!signs(CapabilityInvocation, did, "a") && !signs(AssertionMethod, did, "c"));
            assert!(!signs(Authentication, did, "x") && !signs(Authentication, did, ""));
        }
        for kid in ["#a", "a", "", &format!("{short}a"), &format!("{short}#a#a"), &format!("did:key:{}#a", key().0)] {
            assert!(document.signing_key(Authentication, kid).is_none(), "{kid}");
        }
        assert_eq!(document.agreement_keys().map(|(name, _)| name.to_owned()).collect::<Vec<_>>(), ["a"]);
        assert!(document.methods().iter().all(|method| !method.is_for(KeyAgreement) || method.fragment() == "a"));
        // What we say of it can be read again, but for the key that is none of ours.
        let again = DidDocument::from_json(&document.to_json(), &LIMITS()).unwrap();
        assert_eq!(again.methods().len(), 3);
        assert_eq!(again.services(), document.services());
        assert_eq!(again.name(), long, "a document that anybody wrote names nobody else");
    }

    #[test]
    fn a_document_with_one_thing_wrong_is_refused() {
        let with = |path: &str, value: Value| {
            let mut document = good();
            let (place, name) = path.rsplit_once('/').unwrap();
            match document.pointer_mut(place).unwrap() {
                Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
                members => members[name] = value,
            }
            peer_4(&document).map(|_| ())
        };
        let other = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        let private =
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "AA"});
        let ed = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        assert_eq!(with("/authentication/0", "#b".into()), Ok(()));
        for (path, value, expected) in [
            ("/id", json!(other), DidError::Foreign),
            ("/verificationMethod/0/controller", json!(other), DidError::Foreign),
            ("/verificationMethod/0/id", json!(format!("{other}#a")), DidError::Foreign),
            ("/verificationMethod/0/id", json!("a"), DidError::Foreign),
            ("/verificationMethod/0/id", json!("#"), DidError::Syntax),
            ("/verificationMethod/0/id", json!("#a b"), DidError::Syntax),
            ("/verificationMethod/0/id", json!("#a#b"), DidError::Syntax),
            ("/verificationMethod/3/id", json!("#a"), DidError::Duplicate),
            ("/verificationMethod/3/id", json!("#s"), DidError::Duplicate),
            ("/authentication/1/id", json!("#a"), DidError::Duplicate),
            ("/service/0/id", json!("#a"), DidError::Duplicate),
            ("/service/0/id", json!(format!("{other}#s")), DidError::Foreign),
            ("/service/0/id", json!(7), DidError::Member("id")),
            ("/service/0", json!("#s"), DidError::Member("service")),
            ("/service", json!({}), DidError::Member("service")),
            ("/authentication/0", json!(format!("{other}#a")), DidError::Foreign),
            ("/authentication/0", json!("#nobody"), DidError::Member("authentication")),
            ("/authentication/0", json!(7), DidError::Member("verificationMethod")),
            ("/authentication", json!("#a"), DidError::Member("authentication")),
            ("/assertionMethod", json!(["#b", "#b"]), DidError::Duplicate),
            ("/alsoKnownAs", json!("x"), DidError::Member("alsoKnownAs")),
            ("/verificationMethod/0/type", json!(null), DidError::Member("type")),
            ("/verificationMethod/0/type", json!("JsonWebKey"), DidError::Member("publicKeyJwk")),
            ("/verificationMethod/0/type", json!("Ed25519VerificationKey2020"), DidError::UnsupportedKey),
            ("/verificationMethod/0/publicKeyMultibase", json!("z1"), DidError::UnsupportedKey),
            ("/verificationMethod/0/publicKeyMultibase", json!("mAA"), DidError::Multibase),
            ("/verificationMethod/1/publicKeyJwk", private, DidError::Key(JoseError::PrivateKey)),
            ("/verificationMethod/0", json!({"id": "#a", "type": "Multikey"}), DidError::Member("publicKeyMultibase")),
            (
                "/verificationMethod/0",
                json!({"id": "#a", "type": "Multikey", "publicKeyMultibase": ed, "publicKeyJwk": key().1}),
                DidError::Member("publicKeyMultibase"),
            ),
        ] {
            assert_eq!(with(path, value), Err(expected), "{path}");
        }
        for text in ["[]", "7", "", "{}{}", "{\"a\":1,\"a\":1}"] {
            assert!(Did::peer(text, &LIMITS()).is_err(), "{text}");
        }
        let many: Vec<Value> = (0..65).map(|n| json!({"id": format!("#{n}"), "type": "x"})).collect();
        assert_eq!(peer_4(&json!({"verificationMethod": many})), Err(DidError::TooMany { limit: 64 }));
        let huge = json!({"service": [{"id": "#s", "serviceEndpoint": "x".repeat(4000)}]});
        assert!(matches!(peer_4(&huge), Err(DidError::TooLong { .. })));
        let deep = format!("{{\"service\":[{}1{}]}}", "[".repeat(40), "]".repeat(40));
        assert!(matches!(Did::peer(&deep, &LIMITS()), Err(DidError::Key(JoseError::Json(_)))));
    }

    #[test]
    fn inception_keys_are_numbered_in_their_order() {
        let (multikey, _) = key();
        let service = |json: Value| base64url_encode(json.to_string().as_bytes());
        let resolve =
            |elements: &str| Did::parse(&format!("did:peer:2{elements}"), &LIMITS())?.resolve(None, &LIMITS());
        let (one, other) = (service(json!({"t": "dm", "s": "a"})), service(json!({"t": "x", "s": {"t": "dm"}})));
        let document = resolve(&format!(".V{multikey}.S{one}.A{multikey}.E{multikey}.S{other}")).unwrap();
        let names: Vec<&str> = document.methods().iter().map(VerificationMethod::fragment).collect();
        assert_eq!(names, ["key-1", "key-2", "key-3"]);
        assert!(document.methods()[1].is_for(Relationship::AssertionMethod));
        assert!(!document.methods()[1].is_for(Relationship::Authentication));
        assert_eq!(
            document.services(),
            &[
                json!({"id": "#service", "type": "DIDCommMessaging", "serviceEndpoint": "a"}),
                json!({"id": "#service-1", "type": "x", "serviceEndpoint": {"type": "DIDCommMessaging"}}),
            ]
        );
        let x25519 = "z6LSg8zQom395jKLrGiBNruB9MM6V8PWuf2FpEy4uRFiqQBR";
        assert!(resolve(&format!(".V{multikey}.E{x25519}")).is_ok());
        for (elements, expected) in [
            (String::new(), DidError::Syntax),
            (format!("V{multikey}"), DidError::Syntax),
            (format!(".V{multikey}."), DidError::Syntax),
            (format!("..V{multikey}"), DidError::Syntax),
            (format!(".X{multikey}"), DidError::Syntax),
            (format!(".S{one}"), DidError::Syntax),
            (format!(".V{x25519}"), DidError::UnsupportedKey),
            (format!(".V{multikey}.S{}", service(json!([{"t": "dm"}]))), DidError::Member("service")),
            (format!(".V{multikey}.S{}", service(json!({"t": "x", "type": "y"}))), DidError::Duplicate),
            (format!(".V{multikey}.S{}", service(json!({"id": "#key-1"}))), DidError::Duplicate),
            (format!(".V{multikey}.S{}", service(json!({"id": "did:x:y#s"}))), DidError::Foreign),
            (format!(".V{multikey}.S{one}.S{}", service(json!({"id": "#service"}))), DidError::Duplicate),
            (format!(".V{multikey}.S{one}A"), DidError::Key(JoseError::Base64)),
        ] {
            assert_eq!(resolve(&elements).map(|_| ()), Err(expected), "{elements}");
        }
        assert!(matches!(resolve(&format!(".V{multikey}.S!")), Err(DidError::Syntax)));
    }
}
