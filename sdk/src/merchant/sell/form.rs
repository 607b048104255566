//! What a checkout form carries so that sending it twice is sending it once: a name that nobody can make up.
//!
//! A token is stateless: when it was made, sixteen random bytes, and a MAC over both and whom it was made for. For a
//! customer the random bytes name the draft; for a guest they are also the capability to see the order.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};

use crate::{
    customer::CustomerId,
    error::{Error, Refusal},
    merchant::Merchant,
    protocol::jose::{base64url_decode, base64url_encode, sha256},
    time::UnixTime,
};

/// How long a form may lie open before it is sent, in seconds.
pub(super) const FORM_S: u64 = 24 * 3600;
/// Bytes of the MAC that stand in a token.
const MAC_BYTES: usize = 16;
/// Token and link are read from strangers: nothing longer is looked at.
const TEXT_BYTES_MAX: usize = 64;

/// The capability to see a guest's order: 128 random bits, 22 characters of base64url. Whoever has it, has the order; it
/// is shown to its guest alone, and stored as a digest.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestLink(String);

/// A text that is no guest's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a guest's link: 22 characters of base64url")]
pub struct NotAGuestLink;

impl GuestLink {
    /// As it stands in an address.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The name under which its order is found.
    pub(super) fn digest(&self) -> String {
        base64url_encode(&sha256(format!("firsthand guest order {}", self.0).as_bytes()))
    }
}

impl std::fmt::Debug for GuestLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GuestLink([redacted])")
    }
}

impl std::str::FromStr for GuestLink {
    type Err = NotAGuestLink;

    fn from_str(text: &str) -> Result<Self, NotAGuestLink> {
        let fits = text.len() == 22 && base64url_decode(text).is_ok_and(|bytes| bytes.len() == 16);
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAGuestLink) }
    }
}

/// A form that was sent, and is ours.
#[derive(Clone)]
pub(super) struct Form {
    nonce: [u8; 16],
    /// Until when it could be sent: the draft is remembered for longer.
    pub(super) until: UnixTime,
}

impl Form {
    /// The name of its draft.
    pub(super) fn draft(&self) -> String {
        base64url_encode(&self.nonce)
    }

    /// The link to the order of a guest who sends it.
    pub(super) fn guest_link(&self) -> GuestLink {
        GuestLink(base64url_encode(&self.nonce))
    }
}

impl Merchant {
    /// A token for a form of this customer, or of a guest.
    pub(super) fn make_form(&self, whose: Option<&CustomerId>) -> String {
        let (issued, nonce) = (self.now().as_secs().to_be_bytes(), self.random::<16>());
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0.keys.derive(PURPOSE, self.0.within.as_bytes()));
        let mac = hmac::sign(&key, &signed(whose, &issued, &nonce));
        let mut token = [issued.as_slice(), &nonce].concat();
        token.extend(mac.as_ref().iter().take(MAC_BYTES));
        base64url_encode(&token)
    }

    /// Reads a form's token.
    ///
    /// # Errors
    /// [`Refusal::FormInvalid`] if we did not make it for this buyer, [`Refusal::FormExpired`] if it lay open too long.
    pub(super) fn read_form(&self, whose: Option<&CustomerId>, token: &str) -> Result<Form, Error> {
        let invalid = || Error::from(Refusal::FormInvalid);
        if token.len() > TEXT_BYTES_MAX {
            return Err(invalid());
        }
        let bytes = base64url_decode(token).map_err(|_| invalid())?;
        let (issued, rest) = bytes.split_first_chunk::<8>().ok_or_else(invalid)?;
        let (nonce, mac) = rest.split_first_chunk::<16>().ok_or_else(invalid)?;
        let ours = self.0.keys.derive_all(PURPOSE, self.0.within.as_bytes()).iter().any(|key| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            let tag = hmac::sign(&key, &signed(whose, issued, nonce));
            let tag: Vec<u8> = tag.as_ref().iter().take(MAC_BYTES).copied().collect();
            verify_slices_are_equal(&tag, mac).is_ok()
        });
        if !ours {
            return Err(invalid());
        }
        let (issued, now) = (UnixTime::from_secs(i64::from_be_bytes(*issued)), self.now());
        if now >= issued.plus_s(FORM_S) {
            return Err(Refusal::FormExpired.into());
        }
        Ok(Form { nonce: *nonce, until: issued.plus_s(FORM_S) })
    }
}

const PURPOSE: &str = "checkout form";

/// What the MAC covers: a form of one customer is no form of another, nor of a guest.
fn signed(whose: Option<&CustomerId>, issued: &[u8; 8], nonce: &[u8; 16]) -> Vec<u8> {
    let whose = whose.map_or("guest", CustomerId::as_str);
    [issued.as_slice(), nonce, whose.as_bytes()].concat()
}
