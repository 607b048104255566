//! The answer around the presentations: what is posted to the verifier.

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::{Choice, Fault, Request, Wallet, WalletError, present::Presenting, random, scalar};
use crate::{
    env::Env,
    protocol::jose::{ContentEncryption, DecryptionKey, JoseError, base64url_decode, base64url_encode, encrypt},
};

impl Wallet {
    /// The form to post to [`Request::response_uri`], with these faults in it.
    ///
    /// # Errors
    /// If signing or encrypting fails, or a fault asks for what the wallet or the query does not have.
    pub fn answer(
        &self,
        request: &Request,
        choice: &Choice,
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<String, WalletError> {
        let faulty = |fault| faults.contains(&fault);
        let mut token = Map::new();
        for chosen in &choice.shown {
            let presentation = Presenting { wallet: self, request, chosen, faults, env }.presentation()?;
            let mut entries = vec![presentation.clone()];
            if faulty(Fault::TwoPresentations) {
                entries.push(presentation.clone());
            }
            if faulty(Fault::DeepJson) {
                entries = vec![(0..200).fold(Value::Null, |within, _| json!([within]))];
            }
            if faulty(Fault::UnknownQueryId) {
                token.insert(format!("{}_not_asked", chosen.query), json!(entries));
            }
            let entries = if faulty(Fault::PresentationOutsideArray) { presentation } else { json!(entries) };
            token.insert(chosen.query.clone(), entries);
        }
        let mut vp_token = Value::Object(token).to_string();
        if faulty(Fault::VpTokenIsString) {
            vp_token = json!(vp_token).to_string();
        }
        if faulty(Fault::DuplicateMember) {
            let inner = vp_token.trim_start_matches('{').trim_end_matches('}');
            vp_token = format!("{{{inner},{inner}}}");
        }
        let state = match &request.state {
            Some(_) if faulty(Fault::WrongState) => Some(random(env)),
            Some(_) if faulty(Fault::NoState) => None,
            state => state.clone(),
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &request.encryption {
            Some((key, enc)) if !faulty(Fault::PlainAnswer) => {
                let state = state.map(|state| format!(r#","state":{}"#, json!(state))).unwrap_or_default();
                let payload = format!(r#"{{"vp_token":{vp_token}{state}}}"#);
                form.append_pair("response", &encrypted(payload.as_bytes(), key, *enc, faults, env)?);
            }
            _ => {
                form.append_pair("vp_token", &vp_token);
                if let Some(state) = state {
                    form.append_pair("state", &state);
                }
            }
        }
        if faulty(Fault::OversizeBody) {
            form.append_pair("more", &"m".repeat(1024 * 1024));
        }
        Ok(form.finish())
    }
}

fn encrypted(
    payload: &[u8],
    key: &Value,
    enc: ContentEncryption,
    faults: &[Fault],
    env: &dyn Env,
) -> Result<String, WalletError> {
    if faults.contains(&Fault::ForeignEncryptionKey) {
        let kid = key.get("kid").and_then(Value::as_str).unwrap_or_default();
        return Ok(encrypt(payload, &DecryptionKey::from_scalar(&scalar(env), kid)?.public_jwk(), enc)?);
    }
    let jwe = encrypt(payload, key, enc)?;
    let rewritten = |member: &str, value: &str| -> Result<String, WalletError> {
        let (header, rest) = jwe.split_once('.').ok_or(JoseError::Crypto)?;
        let header = serde_json::from_slice(&base64url_decode(header)?);
        let mut header: Map<String, Value> = header.map_err(|_| JoseError::Crypto)?;
        header.insert(member.to_owned(), json!(value));
        Ok(format!("{}.{rest}", base64url_encode(Value::Object(header).to_string().as_bytes())))
    };
    if faults.contains(&Fault::CompressedEncryption) {
        rewritten("zip", "DEF")
    } else if faults.contains(&Fault::WrongContentEncryption) {
        rewritten("enc", "A128CBC-HS256")
    } else {
        Ok(jwe)
    }
}
