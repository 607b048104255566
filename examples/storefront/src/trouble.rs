//! What can go wrong at the till, and the page that says so: nothing is lost, and what to do next is one step away.

use std::fmt;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use firsthand_axum::{
    Error, Problem,
    error::Refusal,
    money::MoneyError,
    order::{AddressError, DraftError},
    receipt::ReceiptError,
};

use crate::shop::{
    Customer,
    catalogue::Product,
    database::stock::StockError,
    delivery::{AddressErrors, FieldError},
    order::Repeated,
    pages::{self, conflict},
    view::View,
    words::Words,
};

/// Why the till did not do what was asked.
#[derive(Debug)]
pub enum Trouble {
    /// The library refused, or failed.
    Refused(Error),
    /// There are not that many of a product.
    OutOfStock {
        /// The product.
        product: &'static Product,
        /// How many there are.
        left: u32,
    },
    /// No parcel finds this address.
    Address(AddressErrors),
    /// The same was ordered a moment ago.
    Repeated(Repeated),
    /// The shop's own tables failed.
    Database(sqlx::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::OutOfStock { product, left } => write!(f, "only {left} of {} are left", product.slug),
            Self::Address(_) => f.write_str("the address cannot be used"),
            Self::Repeated(before) => write!(f, "the same was ordered before, as {}", before.number),
            Self::Database(error) => write!(f, "the shop's database failed: {error}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::Draft(error) => error.into(),
            error => Self::Refused(error),
        }
    }
}

impl From<DraftError> for Trouble {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Address(error) => Self::Address(unusable(error)),
            error => Self::Refused(error.into()),
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<MoneyError> for Trouble {
    fn from(error: MoneyError) -> Self {
        DraftError::from(error).into()
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StockError> for Trouble {
    fn from(error: StockError) -> Self {
        match error {
            StockError::OutOfStock { product, left } => Self::OutOfStock { product, left },
            StockError::Database(error) => Self::Database(error),
        }
    }
}

impl Trouble {
    /// The page that says so. `back` is the path of the page where it happened: the till's, or an order's.
    #[must_use]
    pub fn page(self, view: &View, customer: Option<&Customer>, back: &str) -> Response {
        let error = match self {
            Self::OutOfStock { product, left } => {
                return conflict::out_of_stock(view, customer, product, left).into_response();
            }
            Self::Refused(error) => error,
            other => {
                tracing::error!(error = %other, "the till failed");
                return pages::out_of_order(view).into_response();
            }
        };
        match &error {
            Error::Draft(DraftError::PriceChanged { shown, now }) => {
                conflict::price_changed(view, customer, Some(shown.minor()), now.minor()).into_response()
            }
            // What is wrong with a draft of our own prices can only be what the form said of their sum.
            Error::Draft(_) => {
                conflict::price_changed(view, customer, None, view.cart.total_minor().into()).into_response()
            }
            Error::Refused(Refusal::FormUsed { order }) => {
                let path = customer.map(|_| format!("/orders/{order}"));
                conflict::form_used(view, customer, path.as_deref()).into_response()
            }
            Error::Refused(Refusal::FormExpired) => {
                conflict::form_expired(view, customer, back).with_status(StatusCode::GONE).into_response()
            }
            Error::Refused(Refusal::FormInvalid) => {
                conflict::form_expired(view, customer, back).with_status(StatusCode::FORBIDDEN).into_response()
            }
            Error::Refused(Refusal::ProofNeeded { ask, .. }) => {
                conflict::show_again(view, customer, ask, why(ask), back).into_response()
            }
            Error::Refused(Refusal::NoSuchOrder | Refusal::NoSuchReceipt) => {
                conflict::no_such_order(view, customer).into_response()
            }
            Error::Order(_)
            | Error::Receipt(ReceiptError::NotPaid(_))
            | Error::Issue(_)
            | Error::Refused(Refusal::Overtaken | Refusal::NothingOwed) => {
                conflict::too_late(view, customer, back).into_response()
            }
            // Whoever sent it is nobody any more.
            Error::Proof(_) => Problem::from(error).into_response(),
            _ => {
                tracing::error!(code = error.code(), %error, "the till failed");
                pages::out_of_order(view).into_response()
            }
        }
    }
}

/// Why a wallet has to be shown.
fn why(ask: &str) -> Words {
    match ask {
        "address" => Words(
            "The address that your wallet showed is kept for a quarter of an hour, and no longer.",
            "Die Anschrift, die Ihre Wallet gezeigt hat, heben wir eine Viertelstunde auf und nicht länger.",
        ),
        _ => Words(
            "Wine is sold to adults, and we look each time.",
            "Wein wird an Erwachsene verkauft, und wir sehen jedes Mal nach.",
        ),
    }
}

/// What of a wallet's address no label can bear.
fn unusable(error: AddressError) -> AddressErrors {
    let (part, why) = (
        error.part(),
        match error {
            AddressError::Missing(_) => FieldError::Missing,
            _ => FieldError::Unreadable,
        },
    );
    let of = |name: &str| (part == name).then_some(why);
    AddressErrors {
        name: of("name"),
        street: of("street"),
        postal_code: of("postal_code"),
        place: of("locality"),
        country: of("country"),
    }
}
