//! What a wallet posts to fetch its request (OpenID4VP 1.0, 5.10).

use std::fmt;

use serde_json::{Map, Value};

use super::RequestError;
use crate::{
    limits::Limits,
    protocol::{
        claims::string,
        form::Form,
        jose::{self, Algorithm, ContentEncryption, JoseError, PublicKey},
        json,
    },
};

/// Keys of one wallet that are looked at: it has one for each kind of encryption.
const KEYS_MAX: usize = 16;

/// What a wallet wants of its request object. Of its metadata nothing else is read, and nothing is kept: they describe the
/// customer's device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestPost {
    /// What the request object gives back, so that the wallet knows it to be fresh.
    pub wallet_nonce: Option<String>,
    /// How it is encrypted, if the wallet asks for that.
    pub encryption: Option<RequestEncryption>,
}

/// Reads the form.
///
/// A wallet that sends keys to encrypt to wants the request object encrypted (5.10): if none of them is of a kind that we
/// have, it gets none in clear either.
///
/// # Errors
///
/// If the form is none or too long, the nonce is empty, too long, or has other characters than visible ASCII, or the
/// metadata are not an object in JSON or ask for another encryption than ECDH-ES on P-256 with A256GCM or A128GCM.
pub fn read_request_post(form_body: &[u8], limits: &Limits) -> Result<RequestPost, RequestError> {
    let mut form = Form::parse(form_body, limits.request_post_bytes)?;
    let wallet_nonce = form.take("wallet_nonce");
    // It goes into an object that we sign: nothing in it that a reader of that object could stumble on.
    let fits = |nonce: &String| {
        (1..=limits.wallet_nonce_bytes).contains(&nonce.len()) && nonce.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !wallet_nonce.as_ref().is_none_or(fits) {
        return Err(RequestError::WalletNonce { max: limits.wallet_nonce_bytes });
    }
    let encryption = match form.take("wallet_metadata") {
        Some(metadata) => match json::parse(metadata.as_bytes(), limits.json_depth) {
            Ok(Value::Object(metadata)) => RequestEncryption::wanted(&metadata)?,
            _ => return Err(RequestError::WalletMetadata { what: "they are no object in strict JSON" }),
        },
        None => None,
    };
    Ok(RequestPost { wallet_nonce, encryption })
}

/// A wallet's key, and with what the request object is encrypted to it.
#[derive(Clone, PartialEq)]
pub struct RequestEncryption {
    jwk: Value,
    enc: ContentEncryption,
}

impl RequestEncryption {
    /// The encrypted request object: a nested JWT (RFC 9101, 6.1).
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if the library fails.
    pub fn encrypt(&self, request_object: &str) -> Result<String, JoseError> {
        jose::encrypt_jwt(request_object, &self.jwk, self.enc)
    }

    fn wanted(metadata: &Map<String, Value>) -> Result<Option<Self>, RequestError> {
        let refuse = |what| RequestError::WalletMetadata { what };
        let Some(jwks) = metadata.get("jwks") else { return Ok(None) };
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(refuse("`jwks` is no key set"))?;
        if keys.len() > KEYS_MAX {
            return Err(refuse("`jwks` has more than 16 keys"));
        }
        // RFC 7517, 4.2: a key without `use` is for anything.
        let encrypts = |key: &&Value| key.get("use").is_none_or(|usage| usage == "enc");
        let mut candidates = keys.iter().filter(encrypts).peekable();
        if candidates.peek().is_none() {
            return Ok(None);
        }
        // OpenID Connect Discovery's names, as RFC 9101 registers them.
        let listed = |name: &str, wanted: &str| {
            let holds = |names: &Value| names.as_array().is_some_and(|names| names.iter().any(|name| name == wanted));
            metadata.get(name).map(holds)
        };
        if listed("request_object_encryption_alg_values_supported", "ECDH-ES") == Some(false) {
            return Err(refuse("they do not list ECDH-ES, the only key agreement that we have"));
        }
        let enc = |enc: ContentEncryption| listed("request_object_encryption_enc_values_supported", enc.name());
        let enc = match (enc(ContentEncryption::A256Gcm), enc(ContentEncryption::A128Gcm)) {
            (Some(true), _) => ContentEncryption::A256Gcm,
            // What OpenID4VP means where nothing is said (5.1).
            (_, Some(true)) | (None, None) => ContentEncryption::A128Gcm,
            _ => return Err(refuse("they list neither A256GCM nor A128GCM")),
        };
        let jwk = candidates.find_map(recipient).ok_or(refuse("`jwks` has no key on P-256 for ECDH-ES"))?;
        Ok(Some(Self { jwk, enc }))
    }
}

impl fmt::Debug for RequestEncryption {
    /// Without the key, which may be the device's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestEncryption").field("enc", &self.enc).finish_non_exhaustive()
    }
}

/// The members of a key that we encrypt to, and no others.
fn recipient(key: &Value) -> Option<Value> {
    let key = key.as_object()?;
    if key.contains_key("d") || string(key, "alg").ok()?.is_some_and(|alg| alg != "ECDH-ES") {
        return None;
    }
    // On the curve, or the secret would tell bits of what it is agreed with.
    let public = PublicKey::from_jwk_coordinates(key).ok().filter(|public| public.algorithm() == Algorithm::Es256)?;
    let mut jwk = public.to_jwk();
    if let (Some(members), Ok(Some(kid))) = (jwk.as_object_mut(), string(key, "kid")) {
        members.insert("kid".to_owned(), kid.into());
    }
    Some(jwk)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::jose::DecryptionKey;

    fn read(body: &[u8]) -> Result<RequestPost, &'static str> {
        read_request_post(body, &Limits::default()).map_err(|e| e.code())
    }

    fn posted(metadata: &Value) -> Result<RequestPost, &'static str> {
        let metadata = metadata.to_string();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        read(form.append_pair("wallet_metadata", &metadata).finish().as_bytes())
    }

    #[test]
    fn a_wallets_nonce_is_given_back() {
        let limits = Limits::default();
        let nonce = |body: &[u8]| read(body).map(|post| post.wallet_nonce);
        assert_eq!(nonce(b""), Ok(None));
        assert_eq!(nonce(b"wallet_nonce=kxbJ%2F%2FQQ%3D%3D&x=1"), Ok(Some("kxbJ//QQ==".to_owned())));
        assert_eq!(nonce(b"wallet_nonce="), Err("wallet_nonce"));
        assert_eq!(nonce(b"wallet_nonce=a+b"), Err("wallet_nonce"));
        assert_eq!(nonce(b"wallet_nonce=a%0A"), Err("wallet_nonce"));
        assert_eq!(nonce(b"wallet_nonce=%C3%A9"), Err("wallet_nonce"));
        assert_eq!(nonce(b"wallet_nonce=a&wallet_nonce=a"), Err("form_repeated_parameter"));
        let long = |length: usize| format!("wallet_nonce={}", "n".repeat(length)).into_bytes();
        assert!(nonce(&long(limits.wallet_nonce_bytes)).is_ok());
        assert_eq!(nonce(&long(limits.wallet_nonce_bytes + 1)), Err("wallet_nonce"));
        assert_eq!(nonce(&vec![b'a'; limits.request_post_bytes + 1]), Err("form_too_long"));
    }

    #[test]
    fn the_metadata_say_how_to_encrypt_and_no_more() {
        let key = DecryptionKey::from_scalar(&[7; 32], "w1").unwrap();
        let wanted = |metadata: Value| posted(&metadata).map(|post| post.encryption.map(|it| it.enc));
        let jwks = || json!({"keys": [key.public_jwk()]});
        let (small, large) = (Ok(Some(ContentEncryption::A128Gcm)), Ok(Some(ContentEncryption::A256Gcm)));
        assert_eq!(wanted(json!({})), Ok(None));
        assert_eq!(wanted(json!({"vp_formats_supported": {"dc+sd-jwt": {}}})), Ok(None));
        assert_eq!(wanted(json!({"jwks": jwks()})), small);
        let list = |names: Value| json!({"jwks": jwks(), "request_object_encryption_enc_values_supported": names});
        assert_eq!(wanted(list(json!(["A128GCM", "A256GCM"]))), large);
        assert_eq!(wanted(list(json!(["A128CBC-HS256", "A128GCM"]))), small);
        for names in [json!(["A128CBC-HS256"]), json!([]), json!("A128GCM"), json!(null)] {
            assert_eq!(wanted(list(names.clone())), Err("wallet_metadata"), "{names}");
        }
        let alg = |names: Value| json!({"jwks": jwks(), "request_object_encryption_alg_values_supported": names});
        assert_eq!(wanted(alg(json!(["RSA-OAEP", "ECDH-ES"]))), small);
        assert_eq!(wanted(alg(json!(["RSA-OAEP"]))), Err("wallet_metadata"));

        // A key that signs asks for nothing; one that encrypts and that we cannot use is not passed over.
        let changed = |member: &str, value: Value| {
            let mut jwk = key.public_jwk();
            jwk[member] = value;
            jwk
        };
        let keys = |keys: &[Value]| wanted(json!({"jwks": {"keys": keys}}));
        assert_eq!(keys(&[]), Ok(None));
        assert_eq!(keys(&[changed("use", json!("sig"))]), Ok(None));
        for bad in [
            changed("alg", json!("ECDH-ES+A256KW")),
            changed("crv", json!("P-384")),
            changed("d", json!("AA")),
            changed("x", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            json!({"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}),
            json!("key"),
        ] {
            assert_eq!(keys(std::slice::from_ref(&bad)), Err("wallet_metadata"), "{bad}");
            assert_eq!(keys(&[bad, key.public_jwk()]), small);
        }
        assert_eq!(keys(&vec![key.public_jwk(); 17]), Err("wallet_metadata"));
        assert_eq!(wanted(json!({"jwks": []})), Err("wallet_metadata"));
        assert_eq!(wanted(json!([])), Err("wallet_metadata"));
        assert_eq!(read(b"wallet_metadata=not+JSON&wallet_nonce=a"), Err("wallet_metadata"));
        assert_eq!(read(b"wallet_metadata=%7B%22a%22%3A1,%22a%22%3A2%7D"), Err("wallet_metadata"));
        let post = posted(&json!({"jwks": jwks()})).unwrap();
        assert!(!format!("{post:?}").contains(key.public_jwk()["x"].as_str().unwrap()));
    }

    #[test]
    fn what_is_encrypted_is_opened_by_its_wallet() {
        let key = DecryptionKey::from_scalar(&[7; 32], "w1").unwrap();
        let post = posted(&json!({"jwks": {"keys": [key.public_jwk()]}})).unwrap();
        let jwe = post.encryption.unwrap().encrypt("e30.e30.AA").unwrap();
        let header = jose::base64url_decode(jwe.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        let said = ["alg", "enc", "kid", "cty", "typ"].map(|name| header[name].as_str().unwrap().to_owned());
        assert_eq!(said, ["ECDH-ES", "A128GCM", "w1", "JWT", "oauth-authz-req+jwt"]);
        let opened = key.decrypt(&jwe, &[ContentEncryption::A128Gcm], &Limits::default()).unwrap();
        assert_eq!(opened, b"e30.e30.AA");
        let other = DecryptionKey::from_scalar(&[8; 32], "w1").unwrap();
        assert!(other.decrypt(&jwe, &[ContentEncryption::A128Gcm], &Limits::default()).is_err());
    }
}
