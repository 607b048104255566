//! A checkout's name.

use crate::names::hex_name;

hex_name! {
    /// A checkout's name: random, and no secret. `c_` and 32 hexadecimal digits.
    CheckoutId = "c_";
    /// A text that is not a checkout's name.
    NotACheckoutId = "a checkout id";
}
