//! Who sells, as it stands on every receipt.

use serde::{Deserialize, Serialize};

use super::ReceiptError;
use crate::{names::is_plain, order::Address};

/// The longest text about a seller, in bytes.
const TEXT_BYTES_MAX: usize = 200;

/// Who sold something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seller {
    /// The legal name.
    pub name: String,
    /// The number of the company: for tax, or in the national register.
    #[serde(rename = "companyID")]
    pub company_id: String,
    /// Which shop of theirs.
    pub branch: Branch,
    /// Where it is.
    pub address: Place,
}

/// A shop of a seller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// What the seller calls it.
    pub id: String,
    /// The till.
    pub pos_id: String,
    /// What customers call it.
    pub name: String,
    /// Its page.
    #[serde(rename = "websiteURL", default, skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
}

/// Where a shop is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Street and house number.
    pub street_address: String,
    /// The town.
    pub city: String,
    /// The postal code.
    pub zip_code: String,
    /// The country, as two letters (ISO 3166-1).
    pub country: String,
}

/// Who issues the receipts of a shop, and how: see [`MerchantBuilder::receipts`](crate::merchant::MerchantBuilder::receipts).
///
/// ```
/// use firsthand::{order::Address, receipt::ReceiptIssuer};
///
/// let address = Address {
///     name: "Blatt & Rebe GmbH".into(),
///     street: "Rebenweg 3".into(),
///     postal_code: "67346".into(),
///     locality: "Speyer".into(),
///     country: "DE".into(),
/// };
/// let receipts = ReceiptIssuer::new(&address, "DE123456789").branch("web", "Blatt & Rebe");
/// # assert!(receipts.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptIssuer {
    pub(super) seller: Seller,
    pub(super) exempt: bool,
    pub(super) refund: String,
    pub(super) not_charged: String,
}

impl ReceiptIssuer {
    /// The seller of this address, whose name is the legal one, and the number of the company: for tax, or in the national
    /// register.
    #[must_use]
    pub fn new(address: &Address, company_id: impl Into<String>) -> Self {
        let web = || "web".to_owned();
        let seller = Seller {
            name: address.name.clone(),
            company_id: company_id.into(),
            branch: Branch { id: web(), pos_id: web(), name: address.name.clone(), website: None },
            address: Place {
                street_address: address.street.clone(),
                city: address.locality.clone(),
                zip_code: address.postal_code.clone(),
                country: address.country.clone(),
            },
        };
        Self { seller, exempt: false, refund: "Refund".to_owned(), not_charged: "Not charged".to_owned() }
    }

    /// What the seller calls this shop, and what customers call it. `web`, and the legal name, unless said here.
    #[must_use]
    pub fn branch(mut self, id: impl Into<String>, name: impl Into<String>) -> Self {
        (self.seller.branch.id, self.seller.branch.name) = (id.into(), name.into());
        self
    }

    /// The seller is exempt of tax, such as a small business: a line that says no tax has none, and the receipt says
    /// `VATCode: "E"`. Without this, such a line is [`ReceiptError::NoTax`]: every line of a receipt says its tax, and nobody
    /// guesses it.
    #[must_use]
    pub const fn exempt(mut self) -> Self {
        self.exempt = true;
        self
    }

    /// What a line is called by which money goes back, and one that was bought and never charged, in the language of the
    /// shop: `Refund` and `Not charged` unless said here.
    #[must_use]
    pub fn titles(mut self, refund: impl Into<String>, not_charged: impl Into<String>) -> Self {
        (self.refund, self.not_charged) = (refund.into(), not_charged.into());
        self
    }

    /// Who sells.
    #[must_use]
    pub const fn seller(&self) -> &Seller {
        &self.seller
    }

    pub(crate) fn at(mut self, website: &str) -> Self {
        self.seller.branch.website = Some(website.to_owned());
        self
    }

    /// Whether it can stand on a receipt.
    ///
    /// # Errors
    /// [`ReceiptError::Seller`], [`ReceiptError::SellerText`].
    pub fn check(&self) -> Result<(), ReceiptError> {
        let Seller { name, company_id, branch, address } = &self.seller;
        let postal = Address {
            name: name.clone(),
            street: address.street_address.clone(),
            postal_code: address.zip_code.clone(),
            locality: address.city.clone(),
            country: address.country.clone(),
        };
        postal.check()?;
        let texts = [
            ("company id", company_id),
            ("branch's id", &branch.id),
            ("branch's name", &branch.name),
            ("title of a refund", &self.refund),
            ("title of what is not charged", &self.not_charged),
        ];
        match texts.into_iter().find(|(_, text)| !is_plain(text, TEXT_BYTES_MAX)) {
            Some((what, _)) => Err(ReceiptError::SellerText(what)),
            None => Ok(()),
        }
    }
}
