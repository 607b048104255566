//! JSON, and what is signed and encrypted of it.

use firsthand::protocol::{
    dbsc,
    did::proof::UnverifiedProof,
    dpop,
    jcs::canonicalize,
    jose::{ContentEncryption, JoseError, Jws, PublicKey, base64url_decode, base64url_encode, encrypt, encrypt_jwt},
    json as strict,
    openid4vp::VerifierAttestation,
    registration::RegistrationCertificate,
};
use serde_json::Value;
use url::Url;

use super::{DECRYPTION, KEY, LIMITS, NOW, line, object, same, text, value};

/// What is read here, others read, too, and the same; written again, it is read again.
pub(super) fn json(data: &[u8]) {
    let Ok(read) = strict::parse(data, LIMITS.json_depth) else { return };
    let other: Value = serde_json::from_slice(data).expect("what the strict reader takes, every reader takes");
    assert!(same(&read, &other), "two readers: {read} and {other}");
    let written = read.to_string();
    let again = strict::parse(written.as_bytes(), LIMITS.json_depth).expect("what was read can be read again");
    assert_eq!(read, again);
}

/// The canonical form of the canonical form is itself, and says the same.
pub(super) fn jcs(data: &[u8]) {
    let Some(read) = value(data) else { return };
    let Ok(canonical) = canonicalize(&read) else { return };
    // A real number of 2^53 and more is written as ECMAScript does, as an integer; one that is read as an integer must not
    // lose a digit, and is refused. Nothing has two texts by that.
    if canonical.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 15) {
        return;
    }
    let again = value(canonical.as_bytes()).expect("the canonical form is JSON");
    assert_eq!(canonicalize(&again).as_ref(), Ok(&canonical));
    assert!(same(&read, &again), "{read} became {canonical}");
}

/// A token of a stranger: whatever it is taken for is what another library reads in it.
pub(super) fn jws(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(read) = Jws::parse(text, &LIMITS) else { return };
    let header = josekit::jwt::decode_header(text).expect("another library reads the header");
    assert_eq!(header.claim("alg").and_then(|alg| alg.as_str()), Some(read.header().alg.name()));
    assert_eq!(header.claim("kid").and_then(|kid| kid.as_str()), read.header().kid.as_deref());
    let payload = text.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&base64url_decode(payload).unwrap()).unwrap();
    assert!(same(&claims, &Value::Object(read.unverified_claims().clone())));
    // One spelling of one token: nothing can be changed in it that nobody would see.
    let parts = text.split('.').map(|part| base64url_encode(&base64url_decode(part).unwrap()));
    assert_eq!(parts.collect::<Vec<_>>().join("."), text);
    let _ = dbsc::check_registration(text, &LIMITS);
    assert_eq!(read.clone().into_owned().unverified_claims(), read.unverified_claims());
    assert!(read.verify(KEY.public_key(), &[Jws::ANY_TYPE]).is_err() || text.len() < LIMITS.jws_bytes);
}

/// A token that somebody signed, whatever stands in it: it verifies, and says what was signed.
pub(super) fn jws_signed(data: &[u8]) {
    let (header, claims) = line(data);
    let (Some(header), Some(claims)) = (object(header), object(claims)) else { return };
    let signed = KEY.sign_jws(&header, &Value::Object(claims.clone())).expect("a signature");
    let Ok(token) = Jws::parse(&signed, &LIMITS) else { return };
    let typ = token.header().typ.clone();
    let types: Vec<&str> = typ.as_deref().into_iter().collect();
    let verified = token.clone().verify(KEY.public_key(), &[Jws::ANY_TYPE]).expect("our own signature");
    assert_eq!(verified, claims);
    assert_eq!(token.clone().verify(KEY.public_key(), &types).is_ok(), typ.is_some());
    // One bit of the signature, and it is nobody's.
    let (content, signature) = signed.rsplit_once('.').unwrap();
    let mut forged = base64url_decode(signature).unwrap();
    forged[data.len() % 64] ^= 1;
    let forged = format!("{content}.{}", base64url_encode(&forged));
    let forged = Jws::parse(&forged, &LIMITS).expect("of the same form");
    assert_eq!(forged.verify(KEY.public_key(), &[Jws::ANY_TYPE]), Err(JoseError::Signature));
}

/// A key is the same key however often it is written.
pub(super) fn jwk(data: &[u8]) {
    let Some(jwk) = value(data) else { return };
    let Ok(key) = PublicKey::from_jwk(&jwk) else { return };
    let again = PublicKey::from_jwk(&key.to_jwk()).expect("what was written");
    assert_eq!((&again, again.thumbprint()), (&key, key.thumbprint()));
    assert!(key.verify(data, data).is_err());
    let _ = encrypt(b"plain", &jwk, ContentEncryption::A128Gcm);
}

/// As [`jwk`], out of a certificate.
pub(super) fn spki(data: &[u8]) {
    let Ok(key) = PublicKey::from_spki_der(data) else { return };
    let again = PublicKey::from_jwk(&key.to_jwk()).expect("what was written");
    assert_eq!(again, key);
}

/// What a stranger encrypted.
pub(super) fn jwe(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let accepted = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];
    if let Ok(plain) = DECRYPTION.decrypt(text, &accepted, &LIMITS) {
        assert!(plain.len() < text.len(), "a text that grew: was it compressed?");
    }
}

/// What was encrypted to us is what we read, and nothing that was not accepted is read at all.
pub(super) fn jwe_sealed(data: &[u8]) {
    let recipient = DECRYPTION.public_jwk();
    let sealed = encrypt(data, &recipient, ContentEncryption::A256Gcm).expect("encryption");
    match DECRYPTION.decrypt(&sealed, &[ContentEncryption::A256Gcm], &LIMITS) {
        Ok(opened) => assert_eq!(opened, data),
        Err(error) => assert!(sealed.len() > LIMITS.jws_bytes, "{error}"),
    }
    assert!(DECRYPTION.decrypt(&sealed, &[ContentEncryption::A128Gcm], &LIMITS).is_err());
    if let Some(text) = text(data) {
        let sealed = encrypt_jwt(text, &recipient, ContentEncryption::A128Gcm).expect("encryption");
        let _ = DECRYPTION.decrypt(&sealed, &[ContentEncryption::A128Gcm], &LIMITS);
    }
}

/// A proof of possession that was signed, whatever it says: if it holds, it is for this request, and now.
pub(super) fn dpop(data: &[u8]) {
    let url: Url = "https://shop.example/wallet/sessions".parse().unwrap();
    let access_token = data.len().is_multiple_of(2).then_some("token");
    let expected =
        dpop::Expected { method: "POST", url: &url, now: NOW, iat_past_s: 300, iat_future_s: 60, access_token };
    if let Some(text) = text(data) {
        let _ = dpop::check(text, &expected, &LIMITS);
    }
    let (header, claims) = line(data);
    let (Some(mut header), Some(claims)) = (object(header), object(claims)) else { return };
    header.entry("jwk").or_insert_with(|| KEY.public_key().to_jwk());
    let proof = KEY.sign_jws(&header, &Value::Object(claims.clone())).expect("a signature");
    let Ok(proof) = dpop::check(&proof, &expected, &LIMITS) else { return };
    assert_eq!(&proof.key, KEY.public_key());
    assert_eq!(claims["htm"], "POST");
    let named: Url = claims["htu"].as_str().unwrap().parse().expect("a URL");
    assert_eq!((named.origin(), named.path()), (url.origin(), url.path()));
    assert!(!proof.jti.is_empty() && proof.jti.len() <= LIMITS.jti_bytes);
    assert!(proof.iat.plus_s(300) >= NOW && proof.iat <= NOW.plus_s(60), "{:?}", proof.iat);
    assert_eq!(access_token.is_some(), claims.contains_key("ath"));
    if let Some(digest) = &proof.content_digest {
        let _ = dpop::content_digest_matches(digest, data);
    }
}

/// Tokens of other kinds.
pub(super) fn tokens(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(certificate) = RegistrationCertificate::parse(text, &LIMITS) {
        assert_eq!(certificate.as_str(), text);
        let _ = certificate.verifier_info();
    }
    if let Ok(attestation) = VerifierAttestation::parse(text, &LIMITS) {
        assert_eq!(attestation.as_str(), text);
    }
    let _ = UnverifiedProof::parse(text, &LIMITS);
    let _ = dbsc::check_registration(text, &LIMITS);
    let (header, claims) = line(data);
    let (Some(mut header), Some(claims)) = (object(header), object(claims)) else { return };
    header.entry("jwk").or_insert_with(|| KEY.public_key().to_jwk());
    let signed = KEY.sign_jws(&header, &Value::Object(claims)).expect("a signature");
    let _ = RegistrationCertificate::parse(&signed, &LIMITS);
    let _ = VerifierAttestation::parse(&signed, &LIMITS);
    let _ = UnverifiedProof::parse(&signed, &LIMITS);
    if let Ok((key, challenge)) = dbsc::check_registration(&signed, &LIMITS) {
        assert_eq!(dbsc::check_refresh(&signed, &key.to_jwk(), &LIMITS), Ok(challenge));
    }
}
