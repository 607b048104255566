//! Bytes to types and back, in the standards' own words. Nothing here awaits, reads a clock or draws randomness: the
//! time and the random bytes are arguments, and every parser is bounded by [`Limits`](crate::limits::Limits).

#[cfg(feature = "mdoc")]
pub mod cbor;
pub mod claims;
#[cfg(feature = "mdoc")]
pub mod cose;
pub mod dbsc;
pub mod dcql;
pub mod did;
pub mod dpop;
pub mod form;
pub mod jcs;
pub mod jose;
pub mod json;
#[cfg(feature = "mdoc")]
pub mod mdoc;
pub mod openid4vci;
pub mod openid4vp;
pub mod registration;
pub mod sca;
pub mod sd_jwt;
pub mod status_list;
pub mod status_ref;
pub mod trust_list;
pub mod type_metadata;
#[cfg(feature = "w3c")]
pub mod vc;
#[cfg(feature = "w3c")]
pub(crate) mod watch;
#[cfg(feature = "passkey")]
pub mod webauthn;
pub mod webhook;
pub mod x509;
