//! A receipt: what was bought, from whom, with which tax, and how it was paid, in the words of the WE BUILD rulebook for
//! the eReceipt (`eu.we-build.ereceipt.1`, rulebook 2.0).
//!
//! A receipt is made of an order and its ledger, never typed: [`Order::receipt`](crate::Order::receipt). Money that goes back
//! revokes no receipt; it makes another one, of the kind [`Return`](ReceiptKind::Return), that names the first.
//!
//! Amounts are in minor units of the currency, and may be below zero for what goes back: that is why they are no
//! [`Money`].
//!
//! The rulebook's schema also wants `verifications`, a scheme's cryptographic proof of the payment, which its text calls
//! optional. No rail hands one to a shop, and nothing is made up in its place: it is left out.

mod made;
mod seller;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::made::Books;
pub use self::seller::{Branch, Place, ReceiptIssuer, Seller};
pub use crate::rail::Means;
use crate::{
    money::{Currency, Money, MoneyError},
    order::{AddressError, OrderState},
    time::UnixTime,
};

/// The unit of a quantity that is counted: a piece (UN/ECE Recommendation 20).
pub const PIECE: &str = "H87";
/// What a product's reduction is called.
const DISCOUNT: &str = "DISCOUNT";

/// What a receipt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReceiptKind {
    /// Something was bought.
    Purchase,
    /// Money went back.
    Return,
    /// Something was bought, and a part of it was never charged.
    PurchaseAndReturn,
}

/// A category of tax (EN 16931-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VatCode {
    /// The standard rate, or a reduced one.
    S,
    /// Rated zero.
    Z,
    /// Exempt.
    E,
    /// Reverse charge.
    AE,
    /// Within the Union.
    K,
    /// Exported.
    G,
    /// Not subject to it.
    O,
    /// The Canary Islands.
    L,
    /// Ceuta and Melilla.
    M,
    /// Transferred to the buyer (Italy).
    B,
}

/// The tax of one rate in a product: as [`ReceiptVat`], by the rulebook's other name for the amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductVat {
    /// The rate in percent, as text: `19`.
    #[serde(rename = "VATRate")]
    pub rate: String,
    /// How much it is, in minor units.
    #[serde(rename = "VATAmount")]
    pub vat_minor: i64,
    /// What it is on, in minor units.
    #[serde(rename = "totalAmountExcVAT")]
    pub net_minor: i64,
    /// Both, in minor units.
    #[serde(rename = "totalAmountIncVAT")]
    pub gross_minor: i64,
    /// Its category, where the shop knows it.
    #[serde(rename = "VATCode", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<VatCode>,
}

/// The tax of one rate in a whole receipt: the sum of what each [`ProductVat`] of that rate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptVat {
    /// The rate in percent, as text: `19`.
    #[serde(rename = "VATRate")]
    pub rate: String,
    /// How much it is, in minor units.
    #[serde(rename = "totalVATAmount")]
    pub vat_minor: i64,
    /// What it is on, in minor units.
    #[serde(rename = "totalAmountExcVAT")]
    pub net_minor: i64,
    /// Both, in minor units.
    #[serde(rename = "totalAmountIncVAT")]
    pub gross_minor: i64,
    /// Its category, where the shop knows it.
    #[serde(rename = "VATCode", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<VatCode>,
}

/// What was let off a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// What it is called.
    #[serde(rename = "type")]
    pub kind: String,
    /// How much, in minor units.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
}

/// One line of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// What it is called, as the customer reads it.
    pub name: String,
    /// How many, as text.
    pub quantity: String,
    /// Of what: [`PIECE`].
    pub quantity_code: String,
    /// What one costs with tax, before anything is let off, in minor units.
    #[serde(rename = "unitPriceIncVAT")]
    pub unit_minor: i64,
    /// What all of it costs without tax, in minor units.
    #[serde(rename = "totalAmountExcVAT")]
    pub net_minor: i64,
    /// What all of it costs with tax, in minor units.
    #[serde(rename = "totalAmountIncVAT")]
    pub gross_minor: i64,
    /// Its tax by rate.
    pub vats: Vec<ProductVat>,
    /// What was let off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    /// The merchant's name for it.
    #[serde(rename = "productId", default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

/// One way by which money came, or went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// By which means.
    #[serde(rename = "type")]
    pub by: Means,
    /// How much, in minor units.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
}

/// A receipt. In JSON it is that of the rulebook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Receipt {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ReceiptKind,
    /// Its number: that of the order, and for what went back a hyphen and a number behind it. Nobody else's receipt of this
    /// shop has it.
    #[serde(rename = "receiptNumber")]
    pub number: String,
    /// When the money was there, or back.
    #[serde(rename = "receiptTimeStamp", with = "time_stamp")]
    pub at: UnixTime,
    /// The currency of all amounts.
    #[serde(rename = "currencyISOCode")]
    pub currency: Currency,
    /// All of it without tax, in minor units.
    #[serde(rename = "totalPriceExcVAT")]
    pub net_minor: i64,
    /// All tax, in minor units.
    #[serde(rename = "totalVATAmount")]
    pub vat_minor: i64,
    /// All of it, in minor units.
    #[serde(rename = "totalPriceIncVAT")]
    pub gross_minor: i64,
    /// Who sold it.
    pub merchant: Seller,
    /// What was sold: also what it costs to send it.
    pub products: Vec<Product>,
    /// All tax by rate, the highest rate first.
    pub vats: Vec<ReceiptVat>,
    /// How it was paid.
    pub payments: Vec<Paid>,
    /// The receipt of the purchase that this one takes something back of.
    #[serde(rename = "originalReceiptNumber", default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
}

impl Receipt {
    /// The claims of the rulebook.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// An amount of it as people write it, such as `-12.40`.
    #[must_use]
    pub fn decimal(&self, minor: i64) -> String {
        let sign = if minor < 0 { "-" } else { "" };
        let amount = minor.checked_abs().and_then(|minor| Money::new(minor, self.currency).ok());
        format!("{sign}{}", amount.map_or_else(|| minor.unsigned_abs().to_string(), Money::decimal))
    }

    /// Whether it adds up, as the rulebook wants it before anything is issued (2.9): IR-01, IR-02, IR-03, IR-10 and the link
    /// of a return. Beyond that, the lines have to make the totals. Rules about parts that our receipts do not have (IR-04 to
    /// IR-07) say nothing here.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), ReceiptError> {
        if self.products.is_empty() || self.vats.is_empty() || self.payments.is_empty() {
            return Err(ReceiptError::Empty);
        }
        let is = |sum: i128, total: i64, error| if sum == i128::from(total) { Ok(()) } else { Err(error) };
        let wide = i128::from;
        is(wide(self.net_minor) + wide(self.vat_minor), self.gross_minor, ReceiptError::Total)?;
        is(sum(self.vats.iter().map(|vat| vat.vat_minor)), self.vat_minor, ReceiptError::Vat)?;
        is(sum(self.payments.iter().map(|paid| paid.amount_minor)), self.gross_minor, ReceiptError::Payments)?;
        is(sum(self.vats.iter().map(|vat| vat.net_minor)), self.net_minor, ReceiptError::Lines)?;
        is(sum(self.products.iter().map(|product| product.net_minor)), self.net_minor, ReceiptError::Lines)?;
        is(sum(self.products.iter().map(|product| product.gross_minor)), self.gross_minor, ReceiptError::Lines)?;
        for vat in &self.vats {
            is(wide(vat.net_minor) + wide(vat.vat_minor), vat.gross_minor, ReceiptError::Lines)?;
        }
        for product in &self.products {
            let of_parts = |part: fn(&ProductVat) -> i64| sum(product.vats.iter().map(part));
            is(of_parts(|vat| vat.net_minor), product.net_minor, ReceiptError::Lines)?;
            is(of_parts(|vat| vat.gross_minor), product.gross_minor, ReceiptError::Lines)?;
            for vat in &product.vats {
                is(wide(vat.net_minor) + wide(vat.vat_minor), vat.gross_minor, ReceiptError::Lines)?;
            }
        }
        let signs = match self.kind {
            ReceiptKind::Purchase => self.amounts().all(|minor| minor >= 0),
            ReceiptKind::Return => self.amounts().all(|minor| minor <= 0),
            // Lines of both signs: what is left of them was paid.
            ReceiptKind::PurchaseAndReturn => true,
        };
        if !signs {
            return Err(ReceiptError::Sign(self.kind));
        }
        let linked = self.original.as_ref().is_some_and(|original| *original != self.number);
        let fits = match self.kind {
            ReceiptKind::Return => linked,
            ReceiptKind::Purchase | ReceiptKind::PurchaseAndReturn => self.original.is_none(),
        };
        if fits { Ok(()) } else { Err(ReceiptError::Link) }
    }

    /// Every amount that stands in it.
    fn amounts(&self) -> impl Iterator<Item = i64> {
        let header = [self.net_minor, self.vat_minor, self.gross_minor];
        let products = self.products.iter().flat_map(|product| {
            let vats = product.vats.iter().flat_map(|vat| [vat.vat_minor, vat.net_minor, vat.gross_minor]);
            let discounts = product.discounts.iter().map(|discount| discount.amount_minor);
            [product.unit_minor, product.net_minor, product.gross_minor].into_iter().chain(vats).chain(discounts)
        });
        let vats = self.vats.iter().flat_map(|vat| [vat.vat_minor, vat.net_minor, vat.gross_minor]);
        header.into_iter().chain(products).chain(vats).chain(self.payments.iter().map(|paid| paid.amount_minor))
    }
}

fn sum(amounts: impl Iterator<Item = i64>) -> i128 {
    amounts.map(i128::from).sum()
}

/// Why there is no receipt, or none that may be issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Nobody said who sells.
    #[error("nobody said who sells: add .receipts(ReceiptIssuer::new(..))")]
    NoSeller,
    /// The seller's address cannot be one.
    #[error("the seller: {0}")]
    Seller(#[from] AddressError),
    /// A text about the seller is empty, too long, or holds control characters.
    #[error("the {0} of the seller is empty, too long, or not plain text")]
    SellerText(&'static str),
    /// The order is not paid.
    #[error("the order is {}: only what was paid has a receipt", .0.name())]
    NotPaid(OrderState),
    /// A line says no tax, and the seller is not exempt of it. What a line says when it is exempt is a rate of zero.
    #[error("the line {0:?} says no tax: say Line::taxed(..), or ReceiptIssuer::exempt()")]
    NoTax(String),
    /// Nothing was bought, taxed or paid.
    #[error("a receipt has products, taxes and payments")]
    Empty,
    /// IR-01.
    #[error("the total is not the sum of net and tax (IR-01)")]
    Total,
    /// IR-02.
    #[error("the taxes by rate do not make the whole tax (IR-02)")]
    Vat,
    /// IR-03.
    #[error("the payments do not make the total (IR-03)")]
    Payments,
    /// IR-10.
    #[error("an amount of a {0:?} has the wrong sign (IR-10)")]
    Sign(ReceiptKind),
    /// The lines do not make the totals.
    #[error("the lines do not make the totals")]
    Lines,
    /// What went back names no purchase, or a purchase names one.
    #[error("a return names the receipt of its purchase, and a purchase names none")]
    Link,
    /// The amounts cannot be counted.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl ReceiptError {
    /// The stable name of the check that failed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSeller => "receipt_no_seller",
            Self::Seller(_) | Self::SellerText(_) => "receipt_seller",
            Self::NotPaid(_) => "receipt_not_paid",
            Self::NoTax(_) => "receipt_no_tax",
            Self::Empty => "receipt_empty",
            Self::Total => "receipt_total",
            Self::Vat => "receipt_vat",
            Self::Payments => "receipt_payments",
            Self::Sign(_) => "receipt_sign",
            Self::Lines => "receipt_lines",
            Self::Link => "receipt_link",
            Self::Money(e) => e.code(),
        }
    }
}

/// A time as the rulebook writes it: RFC 3339, in UTC, whole seconds.
mod time_stamp {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::time::UnixTime;

    pub(super) fn serialize<S: Serializer>(at: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(UnixTime::from_secs(at.as_second()))
    }
}
