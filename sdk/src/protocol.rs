//! Bytes to types and back, in the standards' own words. Nothing here awaits, reads a clock or draws randomness: the
//! time and the random bytes are arguments, and every parser is bounded by [`Limits`](crate::limits::Limits).

pub mod claims;
pub mod dbsc;
pub mod dcql;
pub mod did;
pub mod dpop;
pub mod form;
pub mod jose;
pub mod json;
pub mod openid4vci;
pub mod openid4vp;
pub mod sd_jwt;
pub mod status_list;
#[cfg(feature = "passkey")]
pub mod webauthn;
pub mod x509;
