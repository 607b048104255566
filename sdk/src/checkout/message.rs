//! What a checkout says about itself.

use serde::{Deserialize, Serialize};

/// How a message bears on completing (UCP 2026-08-25, message severity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// It can be completed, and the customer should read this first.
    Warning,
    /// Whoever drives the checkout can mend it.
    Recoverable,
    /// The customer has to do it themselves.
    RequiresBuyerInput,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $code:literal,)+) => {
        /// What a message says, as a stable name: for programs, and for whoever says it in another language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum MessageCode {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $variant,)+
            /// What another version of the library said: the message's text still says it.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl MessageCode {
            /// All that this version says.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it stands in JSON: `[a-z_]`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

codes! {
    /// An item is not sold, or not any more. About the item.
    ItemUnavailable => "item_unavailable",
    /// More of an item is wanted than is sold at once: the message's count is how many are. About the item.
    QuantityTooLarge => "quantity_too_large",
    /// There is too little of an item: the message's count is how many there are. About the item, if it is known which.
    OutOfStock => "out_of_stock",
    /// The customer's wallet has to show something. About the ask.
    ProofNeeded => "proof_needed",
    /// What was entered lets nothing off. About what was entered.
    DiscountCodeInvalid => "discount_code_invalid",
    /// So many words were wrong that no new ones are taken.
    DiscountCodesClosed => "discount_codes_closed",
    /// This is let off once for each customer, and nobody knows who this is. About what was entered, or the title.
    DiscountForCustomers => "discount_for_customers",
    /// What is let off once was let off. About what was entered, or the title.
    DiscountUsed => "discount_used",
    /// It is not known where to send it.
    AddressMissing => "address_missing",
    /// It is not sent to where it would go.
    NotSentThere => "not_sent_there",
    /// It is heavier than what is sent there: the message's count is how many grams are at most.
    TooHeavy => "too_heavy",
    /// The number under which the buyer says they pay tax themselves changes nothing here: the tax is charged as usual.
    VatIdNotTaken => "vat_id_not_taken",
    /// It is not sent the way that was chosen.
    WayChanged => "way_changed",
    /// The wallet told an address that the price is not for.
    AddressElsewhere => "address_elsewhere",
    /// Nobody paid in time.
    PaymentExpired => "payment_expired",
    /// The customer called the payment off.
    PaymentWithdrawn => "payment_withdrawn",
    /// The payment was declined.
    PaymentDeclined => "payment_declined",
    /// The order was called off before it was a sale.
    OrderCancelled => "order_cancelled",
    /// The shop offers something else by now than what the customer agreed to.
    OfferChanged => "offer_changed",
    /// Completing it stopped half-way: nothing was paid.
    Interrupted => "interrupted",
    /// Nobody could say whether there is enough.
    StockUnknown => "stock_unknown",
}

impl std::fmt::Display for MessageCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a checkout says. The code is for programs, and for pages in other languages; the text is English.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// How it bears on completing.
    pub severity: Severity,
    /// What it says.
    pub code: MessageCode,
    /// Which part: an item's name, what was entered, or the name of an ask; none for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// How many, where the code says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// For the customer.
    pub text: String,
}

impl Message {
    /// A message of a severity.
    pub(crate) fn new(severity: Severity, code: MessageCode, text: impl Into<String>) -> Self {
        Self { severity, code, about: None, count: None, text: text.into() }
    }

    /// Something that whoever drives the checkout can mend.
    pub(crate) fn recoverable(code: MessageCode, text: impl Into<String>) -> Self {
        Self::new(Severity::Recoverable, code, text)
    }

    /// What came of completing.
    pub(crate) fn failed(code: MessageCode, text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, text)
    }

    /// What it is about.
    pub(crate) fn about(mut self, part: impl Into<String>) -> Self {
        self.about = Some(part.into());
        self
    }

    /// How many there are.
    pub(crate) const fn count(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_stands_in_json_as_its_name() {
        for code in MessageCode::ALL {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.as_str());
            assert_eq!(serde_json::from_value::<MessageCode>(json).unwrap(), *code);
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }

    #[test]
    fn what_another_version_said_is_read_and_keeps_its_text() {
        let stored = r#"{"severity":"warning","code":"moon_too_bright","text":"The moon is too bright."}"#;
        let message: Message = serde_json::from_str(stored).unwrap();
        assert_eq!((message.code, message.text.as_str()), (MessageCode::Unknown, "The moon is too bright."));
        let again = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&again).unwrap(), message);
    }
}
