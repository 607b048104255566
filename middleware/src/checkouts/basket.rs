//! What a customer sends of a checkout in JSON, near UCP 2026-08-25.

use firsthand::{
    checkout::Wishes,
    merchant::Basket,
    money::{MoneyError, Quantity},
    order::Address,
};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// What a customer wants: all of it, each time. What is left out is not wanted; an address that is left out stays.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct BasketBody {
    /// What, and how many: at most 50 different things.
    line_items: Vec<WishBody>,
    /// What was entered for a discount.
    #[serde(default)]
    discounts: CodesBody,
    /// How it is sent, and where to.
    #[serde(default)]
    fulfillment: SendBody,
    /// A buyer who pays tax themselves.
    #[serde(default)]
    buyer: BuyerBody,
    /// The asks that the customer says they can answer, for a price that depends on it.
    #[serde(default)]
    claims: Vec<String>,
    /// For a change: the revision that the customer saw, unless `If-Match` says it.
    #[serde(default)]
    pub(crate) revision: Option<u64>,
    /// To begin as a guest: the token of a form, which makes sending it twice sending it once. `POST
    /// /checkouts/guest/form` makes one.
    #[serde(default)]
    pub(crate) form: Option<String>,
}

/// One thing that is wanted.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct WishBody {
    /// Which.
    item: ItemNameBody,
    /// How many: from 1 to 1,000,000.
    quantity: i64,
}

/// The merchant's name for something that is sold.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ItemNameBody {
    /// The name.
    id: String,
}

/// What was entered for a discount.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CodesBody {
    /// The words, at most ten.
    #[serde(default)]
    codes: Vec<String>,
}

/// How and where to.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SendBody {
    /// One of the offered options; the first one unless said.
    #[serde(default)]
    option_id: Option<String>,
    /// An address that was typed.
    #[serde(default)]
    destination: Option<AddressBody>,
}

/// A buyer who pays tax themselves.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct BuyerBody {
    /// The number under which they do.
    #[serde(default)]
    vat_id: Option<String>,
}

/// A postal address.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AddressBody {
    /// Who gets it.
    name: String,
    /// Street and house number.
    street_address: String,
    /// The postal code; may be empty.
    #[serde(default)]
    postal_code: String,
    /// The town.
    address_locality: String,
    /// The country, as two letters.
    address_country: String,
}

impl AddressBody {
    fn read(self) -> Address {
        let Self { name, street_address, postal_code, address_locality, address_country } = self;
        Address { name, street: street_address, postal_code, locality: address_locality, country: address_country }
    }

    pub(super) fn of(address: &Address) -> Self {
        Self {
            name: address.name.clone(),
            street_address: address.street.clone(),
            postal_code: address.postal_code.clone(),
            address_locality: address.locality.clone(),
            address_country: address.country.clone(),
        }
    }
}

impl BasketBody {
    /// What the library calls it.
    pub(crate) fn basket(self) -> Result<Basket, Problem> {
        let mut wishes = Wishes::new();
        for wish in self.line_items {
            let count = u32::try_from(wish.quantity).map_err(|_| MoneyError::NotAQuantity)?;
            wishes = wishes.item(wish.item.id, Quantity::new(count)?);
        }
        wishes.codes = self.discounts.codes;
        wishes.way = self.fulfillment.option_id;
        wishes.claims = self.claims;
        wishes.vat_id = self.buyer.vat_id;
        let basket = Basket::from(wishes);
        Ok(match self.fulfillment.destination {
            Some(typed) => basket.deliver_to(typed.read()),
            None => basket,
        })
    }
}

/// A token for a guest's form.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FormBody {
    /// The token: for `form` of one basket, within a day.
    form: String,
}

impl FormBody {
    pub(crate) const fn new(form: String) -> Self {
        Self { form }
    }
}

/// What a customer agrees to.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CompleteBody {
    /// The revision that they saw, unless `If-Match` says it.
    #[serde(default)]
    pub(crate) revision: Option<u64>,
    /// The total that they saw.
    pub(crate) total: i64,
    /// How they pay; left out where nothing is to pay.
    #[serde(default)]
    pub(crate) payment: PayBody,
}

/// How somebody pays.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PayBody {
    /// The name of a rail.
    #[serde(default)]
    pub(crate) handler_id: Option<String>,
}
