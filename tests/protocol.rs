//! The published and the made vectors, run whole against the verifiers of `firsthand::protocol`, and against
//! `firsthand::money` and the references of `firsthand::rail`.

#[cfg(feature = "w3c")]
#[path = "protocol/bitstring.rs"]
mod bitstring;
#[path = "protocol/cbor.rs"]
mod cbor;
#[path = "protocol/corpora.rs"]
mod corpora;
#[cfg(feature = "w3c")]
#[path = "protocol/data_integrity.rs"]
mod data_integrity;
#[path = "protocol/dcql.rs"]
mod dcql;
#[path = "protocol/did.rs"]
mod did;
#[path = "protocol/dpop.rs"]
mod dpop;
#[path = "protocol/jcs.rs"]
mod jcs;
#[path = "protocol/jose.rs"]
mod jose;
#[path = "protocol/json.rs"]
mod json;
#[path = "protocol/jwt_negative.rs"]
mod jwt_negative;
#[path = "support/statements.rs"]
mod made_statements;
#[path = "protocol/mdoc.rs"]
mod mdoc;
#[path = "protocol/money.rs"]
mod money;
#[path = "protocol/openid4vci.rs"]
mod openid4vci;
#[path = "protocol/openid4vp.rs"]
mod openid4vp;
#[cfg(feature = "w3c")]
#[path = "protocol/rdfc.rs"]
mod rdfc;
#[path = "protocol/reference.rs"]
mod reference;
#[path = "protocol/sd_jwt.rs"]
mod sd_jwt;
#[path = "protocol/sd_jwt_vc.rs"]
mod sd_jwt_vc;
#[path = "protocol/statements.rs"]
mod statements;
#[path = "protocol/status_list.rs"]
mod status_list;
#[path = "protocol/type_metadata.rs"]
mod type_metadata;
#[cfg(feature = "w3c")]
#[path = "protocol/vc_jose_cose.rs"]
mod vc_jose_cose;
#[cfg(feature = "w3c")]
#[path = "protocol/w3c_differential.rs"]
mod w3c_differential;
#[path = "protocol/webauthn.rs"]
mod webauthn;
#[path = "protocol/webhook.rs"]
mod webhook;
#[path = "protocol/webvh.rs"]
mod webvh;
#[path = "protocol/wycheproof.rs"]
mod wycheproof;
#[path = "protocol/x509.rs"]
mod x509;
#[path = "support/xmllint.rs"]
mod xmllint;
