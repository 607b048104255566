//! The checks of an mdoc, one by one, and the session that its device must have signed.

use serde_json::Value;

use super::{
    check::{Check, Failed, short, tame},
    credential::{Terms, thumbprint},
    iso_mdoc,
};
use crate::{
    format::{Channel, FormatError},
    presentation::SKEW_S,
    protocol::{
        jose::{PublicKey, base64url_decode, base64url_encode},
        mdoc::{Document, Expected, SessionTranscript, steps::Step},
    },
};

/// The checks behind `verify`, with the issuer's key if it is known; `own` if the shop itself must have issued it.
pub(super) fn checks(terms: &Terms<'_>, presented: &Value, key: Option<&PublicKey>, own: bool) -> Vec<Check> {
    let limits = &terms.captured.limits;
    let transcript = match transcript(terms) {
        Ok(transcript) => transcript,
        Err(failed) => return vec![Check::fails("session transcript", failed.code, failed.why)],
    };
    let mut checks = Vec::new();
    let bytes = presented.as_str().and_then(|text| base64url_decode(text).ok()).unwrap_or_default();
    let Ok(document) = Document::parse(&bytes, limits) else {
        checks.push(session(terms, &transcript));
        return checks;
    };
    let document = if own { document.of_known_signer() } else { document };
    checks.push(Check::fact("document", document.doc_type()));
    let Some(issuer_key) = key else {
        checks.push(Check::not_made("issuer's signature", "the key of the issuer is not known"));
        checks.push(session(terms, &transcript));
        return checks;
    };
    let expected = Expected {
        issuer_key,
        transcript: &transcript,
        reader_key: match terms.channel {
            Channel::Transcript { reader_key, .. } => reader_key,
            // No key is offered that a tag could be agreed on with.
            _ => None,
        },
        now: terms.captured.now,
        skew_s: SKEW_S,
    };
    let steps = document.steps(&expected, limits);
    for Step { name, made, looked_at } in steps.steps {
        if name == "device authentication" {
            checks.push(session(terms, &transcript));
        }
        let made = made.map_err(FormatError::from).map_err(|error| Failed::new(error.code(), error));
        let check = Check::made(name, &made);
        checks.push(match looked_at.as_str() {
            "" => check,
            text if check.text.is_none() => check.text(text),
            text => check.found(text),
        });
    }
    if let Some([signed, from, until]) = steps.times {
        checks.push(Check::fact("signed", signed));
        checks.push(Check::fact("valid", format!("{from} to {until}")));
    }
    if let Some(key) = &steps.device_key {
        checks.push(Check::fact("device key", thumbprint(key)));
    }
    let list = |names: &[String]| names.iter().map(|name| tame(name)).collect::<Vec<_>>().join(", ");
    checks.push(Check::fact("elements", list(&steps.elements)));
    if !steps.device_elements.is_empty() {
        checks.push(Check::fact("elements of the device", list(&steps.device_elements)));
    }
    checks
}

/// What the session was, rebuilt from the request: what an operator compares with a wallet's log.
fn session(terms: &Terms<'_>, transcript: &SessionTranscript) -> Check {
    let mut group = Check::group("session transcript");
    match terms.channel {
        Channel::Redirect { client_id, response_uri } => {
            group.push(Check::fact("client_id", client_id));
            group.push(Check::fact("response_uri", response_uri));
        }
        Channel::DcApi { origin } => group.push(Check::fact("origin", origin)),
        Channel::Transcript { .. } => {}
    }
    if !matches!(terms.channel, Channel::Transcript { .. }) {
        group.push(Check::fact("nonce", short(terms.nonce)));
        group.push(match terms.key.map(|key| key.thumbprint()) {
            Some(thumbprint) => Check::fact("key thumbprint", base64url_encode(thumbprint.as_bytes())),
            None => Check::fact("key thumbprint", "none: the answer was not encrypted, or its key is not given"),
        });
    }
    iso_mdoc::session(terms.captured, transcript, &mut group);
    group
}

fn transcript(terms: &Terms<'_>) -> Result<SessionTranscript, Failed> {
    let thumbprint = terms.key.map(|key| key.thumbprint());
    let thumbprint = thumbprint.as_ref().map(|thumbprint| thumbprint.as_bytes());
    match terms.channel {
        Channel::Redirect { client_id, response_uri } => {
            Ok(SessionTranscript::openid4vp(client_id, terms.nonce, thumbprint, response_uri))
        }
        Channel::DcApi { origin } => Ok(SessionTranscript::dc_api(origin, terms.nonce, thumbprint)),
        Channel::Transcript { session_transcript, .. } => {
            let read = SessionTranscript::from_encoded(session_transcript.to_vec(), &terms.captured.limits);
            read.map_err(FormatError::from).map_err(|error| Failed::new(error.code(), error))
        }
    }
}
