//! A checkout's name.

use crate::names::hex_name;

hex_name! {
    /// A checkout's name: random, and no secret. `k_` and 32 hexadecimal digits.
    CheckoutId = "k_";
    /// A text that is not a checkout's name.
    NotACheckoutId = "a checkout id";
}
