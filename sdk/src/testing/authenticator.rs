//! An authenticator with the browser in front of it: makes real passkeys and uses them, over the options that a shop
//! hands out, and makes any one mistake on request.

use serde_json::{Value, json};
use url::Url;

use crate::protocol::jose::{SigningKey, base64url_decode, base64url_encode, sha256};

/// A platform's authenticator: P-256, discoverable, verifies its user.
#[derive(Clone, Debug)]
pub struct Authenticator {
    /// Where the page is that calls it.
    pub origin: Url,
    /// Whether its passkeys are copied to other devices by its platform: then they say so, and count nothing.
    pub is_synced: bool,
    seed: [u8; 32],
    held: Vec<Held>,
}

/// A passkey, the private half.
#[derive(Clone, Debug)]
struct Held {
    id: Vec<u8>,
    rp_id: String,
    user_handle: Vec<u8>,
    key: SigningKey,
    counter: u32,
}

/// What goes wrong, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The page is another shop's.
    OtherOrigin,
    /// The page is at another port of the shop's host.
    OtherPort,
    /// The page is at another host below the shop's.
    Subdomain,
    /// The authenticator answers for another relying party.
    OtherRelyingParty,
    /// The page stands in a frame of another site.
    CrossOrigin,
    /// The page stands below another origin, and says only so.
    TopOrigin,
    /// Another challenge is answered.
    OtherChallenge,
    /// The client data are of the other ceremony.
    OtherCeremony,
    /// Nobody touches the authenticator.
    NotPresent,
    /// It does not verify its user.
    NotVerified,
    /// Its counter says what it said before, as that of a copy does.
    CounterStands,
    /// It names another user.
    OtherUserHandle,
    /// It names no user.
    NoUserHandle,
    /// Another key signs.
    OtherKey,
    /// `rawId` is not the `id`.
    OtherRawId,
    /// The credential is named otherwise than in the authenticator's data.
    OtherId,
    /// It says that it is backed up and may not be.
    BackedUpUnasked,
    /// It says now that it may be copied, or not any more.
    OtherEligibility,
    /// It sends an attestation that nobody asked for.
    Attested,
    /// Its key is of an algorithm that was not offered.
    OtherAlgorithm,
    /// It makes a new passkey beside the one that was to be excluded, under its name.
    Excluded,
    /// A member of the client data stands there twice.
    TwiceTheMember,
}

impl Authenticator {
    /// An authenticator for a page at this origin. The seed makes its keys.
    #[must_use]
    pub const fn new(origin: Url, seed: [u8; 32]) -> Self {
        Self { origin, is_synced: false, seed, held: Vec::new() }
    }

    /// The passkeys that it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// `navigator.credentials.create({ publicKey })`, as `toJSON()` says it. `None` if it holds one of the passkeys that
    /// are to be excluded.
    ///
    /// # Panics
    /// If the options are not those of a discoverable passkey on P-256 without attestation.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
    pub fn create(&mut self, options: &Value, mistake: Option<Mistake>) -> Option<Value> {
        assert_eq!(text(options, "/authenticatorSelection/residentKey"), "required");
        assert_eq!(text(options, "/attestation"), "none");
        let offered = options.get("pubKeyCredParams").and_then(Value::as_array).expect("algorithms");
        assert!(offered.contains(&json!({ "type": "public-key", "alg": -7 })), "{offered:?}");
        let excluded = options.get("excludeCredentials").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_excluded = |held: &&Held| excluded.iter().any(|one| text(one, "/id") == base64url_encode(&held.id));
        let there = self.held.iter().find(is_excluded).map(|held| held.id.clone());
        if there.is_some() && mistake != Some(Mistake::Excluded) {
            return None;
        }
        let number = self.held.len().to_be_bytes();
        let drawn = |what: &[u8]| sha256(&[&self.seed, what, &number].concat());
        let held = Held {
            id: there.unwrap_or_else(|| drawn(b"id").to_vec()),
            rp_id: text(options, "/rp/id").to_owned(),
            user_handle: base64url_decode(text(options, "/user/id")).expect("a user handle"),
            key: SigningKey::from_p256_scalar(&drawn(b"key")).expect("nearly any scalar is a key"),
            counter: 0,
        };
        let mut data = self.data(&held, mistake, 0x40);
        data.extend([0; 16]); // The AAGUID: none, as a browser conveys it that was asked for no attestation.
        let named = if mistake == Some(Mistake::OtherId) { drawn(b"other").to_vec() } else { held.id.clone() };
        data.extend(u16::try_from(named.len()).expect("a short id").to_be_bytes());
        data.extend(&named);
        data.extend(cose(&held.key, mistake));
        let client = self.client(options, "webauthn.create", mistake);
        let mut object = match mistake {
            Some(Mistake::Attested) => b"\xa3\x63fmt\x68fido-u2f\x67attStmt\xa0\x68authData".to_vec(),
            _ => b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData".to_vec(),
        };
        object.push(0x58);
        object.push(u8::try_from(data.len()).expect("short data"));
        object.extend(&data);
        let id = base64url_encode(&held.id);
        let raw = if mistake == Some(Mistake::OtherRawId) { base64url_encode(&drawn(b"other")) } else { id.clone() };
        let made = json!({
            "id": id, "rawId": raw, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": base64url_encode(&client),
                "attestationObject": base64url_encode(&object),
                "authenticatorData": base64url_encode(&data),
                "transports": ["internal"],
            },
        });
        self.held.push(held);
        Some(made)
    }

    /// `navigator.credentials.get({ publicKey })`, as `toJSON()` says it: the passkey that was made last for this
    /// relying party. `None` if it holds none.
    ///
    /// # Panics
    /// If the options are not those of a discoverable sign-in.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
    pub fn get(&mut self, options: &Value, mistake: Option<Mistake>) -> Option<Value> {
        assert_eq!(options.get("allowCredentials"), Some(&json!([])), "whoever signs in is not named before");
        let counts = !self.is_synced && mistake != Some(Mistake::CounterStands);
        let rp_id = text(options, "/rpId");
        let held = self.held.iter_mut().rev().find(|held| held.rp_id == rp_id)?;
        held.counter += u32::from(counts);
        let held = held.clone();
        let data = self.data(&held, mistake, 0);
        let client = self.client(options, "webauthn.get", mistake);
        let other = SigningKey::from_p256_scalar(&sha256(&held.id)).expect("nearly any scalar is a key");
        let key = if mistake == Some(Mistake::OtherKey) { &other } else { &held.key };
        let signature = key.sign(&[data.as_slice(), &sha256(&client)].concat()).expect("a key signs");
        let user_handle = match mistake {
            Some(Mistake::OtherUserHandle) => json!(base64url_encode(&sha256(&held.user_handle))),
            Some(Mistake::NoUserHandle) => Value::Null,
            _ => json!(base64url_encode(&held.user_handle)),
        };
        let id = base64url_encode(&held.id);
        let raw = if mistake == Some(Mistake::OtherRawId) { base64url_encode(&sha256(&held.id)) } else { id.clone() };
        Some(json!({
            "id": id, "rawId": raw, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": base64url_encode(&client),
                "authenticatorData": base64url_encode(&data),
                "signature": base64url_encode(&der(&signature)),
                "userHandle": user_handle,
            },
        }))
    }

    /// `CollectedClientData` (WebAuthn Level 3, 5.8.1).
    fn client(&self, options: &Value, kind: &'static str, mistake: Option<Mistake>) -> Vec<u8> {
        let challenge = text(options, "/challenge");
        let challenge = match mistake {
            Some(Mistake::OtherChallenge) => base64url_encode(&sha256(challenge.as_bytes())),
            _ => challenge.to_owned(),
        };
        let origin = self.origin.origin().ascii_serialization();
        let host = self.origin.host_str().unwrap_or_default();
        let origin = match mistake {
            Some(Mistake::OtherOrigin) => "https://other.example".to_owned(),
            Some(Mistake::OtherPort) => format!("https://{host}:8443"),
            Some(Mistake::Subdomain) => format!("https://pay.{host}"),
            _ => origin,
        };
        let kind = match (mistake, kind) {
            (Some(Mistake::OtherCeremony), "webauthn.get") => "webauthn.create",
            (Some(Mistake::OtherCeremony), _) => "webauthn.get",
            _ => kind,
        };
        let is_framed = mistake == Some(Mistake::CrossOrigin);
        let more = match mistake {
            Some(Mistake::TopOrigin) => r#","topOrigin":"https://other.example""#,
            Some(Mistake::TwiceTheMember) => r#","type":"webauthn.get""#,
            _ => "",
        };
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":{is_framed}{more}}}"#)
            .into_bytes()
    }

    /// Authenticator data (WebAuthn Level 3, 6.1) without what follows the counter.
    fn data(&self, held: &Held, mistake: Option<Mistake>, more: u8) -> Vec<u8> {
        let [present, verified, eligible, backed_up] = [0x01_u8, 0x04, 0x08, 0x10];
        let rp_id = if mistake == Some(Mistake::OtherRelyingParty) { "other.example" } else { &held.rp_id };
        let mut flags = present | verified | more;
        if self.is_synced {
            flags |= eligible | backed_up;
        }
        match mistake {
            Some(Mistake::NotPresent) => flags &= !present,
            Some(Mistake::NotVerified) => flags &= !verified,
            Some(Mistake::BackedUpUnasked) => flags = (flags & !eligible) | backed_up,
            Some(Mistake::OtherEligibility) => flags ^= eligible,
            _ => {}
        }
        let mut data = sha256(rp_id.as_bytes()).to_vec();
        data.push(flags);
        data.extend(held.counter.to_be_bytes());
        data
    }
}

/// A public key as COSE has it (RFC 9053, 7.1.1).
fn cose(key: &SigningKey, mistake: Option<Mistake>) -> Vec<u8> {
    let jwk = key.public_key().to_jwk();
    let coordinate = |name: &str| base64url_decode(text(&jwk, name)).unwrap_or_default();
    // kty: EC2, alg: ES256 or one for shared secrets, crv: P-256.
    let mut cose = match mistake {
        Some(Mistake::OtherAlgorithm) => b"\xa5\x01\x02\x03\x38\x18\x20\x01".to_vec(),
        _ => b"\xa5\x01\x02\x03\x26\x20\x01".to_vec(),
    };
    cose.extend(b"\x21\x58\x20");
    cose.extend(coordinate("/x"));
    cose.extend(b"\x22\x58\x20");
    cose.extend(coordinate("/y"));
    cose
}

/// A signature of ECDSA as authenticators write it: the two numbers in DER (WebAuthn Level 3, 6.5.5).
fn der(signature: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let mut digits = bytes.get(zeros..).unwrap_or_default().to_vec();
        if digits.first().is_none_or(|first| *first >= 0x80) {
            digits.insert(0, 0);
        }
        [&[0x02, digits.len() as u8], digits.as_slice()].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let both = [number(r), number(s)].concat();
    [&[0x30, both.len() as u8], both.as_slice()].concat()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
