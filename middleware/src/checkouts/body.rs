//! What a checkout is in JSON, near UCP 2026-08-25: amounts are whole numbers of the currency's minor unit.

use firsthand::{
    Error, Merchant,
    checkout::{Message, MessageCode, Severity, Status},
    merchant::{Checkout, GuestLink},
    money::{Money, MoneyError},
    order::{DeliverySource, DraftError, Line, LineTax, Totals},
};
use serde::Serialize;

use super::{CheckoutPage, basket::AddressBody};

/// A checkout.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CheckoutBody {
    /// Its name.
    id: String,
    /// For a guest, once: the capability by which it is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// Which state of it this is, from 1. Also the `ETag`.
    revision: u64,
    /// `incomplete`, `requires_escalation`, `ready_for_complete`, `complete_in_progress`, `completed` or `canceled`.
    status: &'static str,
    /// Three letters (ISO 4217).
    currency: &'static str,
    /// What is sold of what is wanted.
    line_items: Vec<LineBody>,
    /// `subtotal` + `items_discount` (negative) + `fulfillment` + `tax` (what comes on top of the prices) = `total`.
    totals: Vec<TotalBody>,
    /// All tax by rate, the one within the prices and the one on top.
    taxes: Vec<TaxBody>,
    /// What there is to say about it.
    messages: Vec<MessageBody>,
    /// How it is sent; left out if nothing of it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    fulfillment: Option<FulfillmentBody>,
    /// What is let off, and what could be.
    discounts: DiscountsBody,
    /// A buyer who pays tax themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer: Option<BusinessBody>,
    /// The asks to put to the customer's wallet, in one question.
    missing: Vec<String>,
    /// Whether a price depends on something that is claimed and not proved yet.
    provisional: bool,
    /// How it can be paid.
    payment: PaymentHandlersBody,
    /// Until when it stays if nobody goes on with it (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Where a person goes on: the hosted page, or the page of whoever takes the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    continue_url: Option<String>,
    /// Its order, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderBody>,
    /// What the shop wants read before somebody buys.
    links: Vec<LinkBody>,
}

/// One line.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct LineBody {
    /// The merchant's name for what is sold.
    id: String,
    /// What is sold.
    item: ItemBody,
    /// How many.
    quantity: u32,
    /// `subtotal`, `items_discount` (negative), `total`.
    totals: Vec<TotalBody>,
    /// The tax on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<LineTaxBody>,
}

/// What is sold.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ItemBody {
    /// The merchant's name for it.
    id: String,
    /// What it is called.
    title: String,
    /// What one costs.
    price: i64,
}

/// The tax on something.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct LineTaxBody {
    /// In percent, such as `19` or `5.5`.
    rate: String,
    /// How much.
    amount: i64,
    /// Whether it is in the price already.
    included: bool,
}

/// A sum.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TotalBody {
    /// Of what.
    #[serde(rename = "type")]
    kind: &'static str,
    /// How much.
    amount: i64,
}

/// The tax of one rate.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TaxBody {
    /// In percent.
    rate: String,
    /// What it is on, without it.
    net: i64,
    /// How much.
    amount: i64,
}

/// Something to say.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct MessageBody {
    /// `error` or `warning`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What it is about, for programs.
    code: &'static str,
    /// For people, in English.
    content: String,
    /// Of an error: `recoverable` by whoever drives the checkout, or `requires_buyer_input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    /// Which part of this body it is about (JSONPath).
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The name of an item, what was entered, or an ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
}

/// How it is sent.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FulfillmentBody {
    /// Where to: only the first letters if a wallet on another device told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<AddressBody>,
    /// Who told it: `typed` or `wallet`.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    /// The ways to choose from.
    options: Vec<OptionBody>,
}

/// One way to send it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OptionBody {
    /// Its name.
    id: String,
    /// What it is called.
    title: String,
    /// What it costs.
    price: i64,
    /// In how many days it arrives, from and to.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<[u16; 2]>,
    /// Whether it is the one.
    selected: bool,
}

/// What is let off.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DiscountsBody {
    /// What was entered.
    codes: Vec<String>,
    /// What is let off for it, and by itself.
    applied: Vec<AppliedBody>,
    /// What could be let off besides, for a proof.
    offered: Vec<OfferedBody>,
}

/// Something let off.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AppliedDiscountBody))]
pub(crate) struct AppliedBody {
    /// What was entered for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What it is called.
    title: String,
    /// How much.
    amount: i64,
}

/// Something that could be let off.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = OfferedDiscountBody))]
pub(crate) struct OfferedBody {
    /// What it is called.
    title: String,
    /// The ask to answer for it.
    ask: String,
    /// How much.
    amount: i64,
}

/// A buyer who pays tax themselves.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct BusinessBody {
    /// The number, as it was typed.
    vat_id: String,
    /// Whether it makes them owe the tax.
    reverse_charge: bool,
}

/// How it can be paid.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PaymentHandlersBody {
    /// The rails to choose from.
    handlers: Vec<HandlerBody>,
}

/// One rail.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct HandlerBody {
    /// Its name.
    id: &'static str,
}

/// The order that a checkout has become.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OrderBody {
    /// Its name.
    id: String,
    /// Its number, as the customer quotes it.
    number: String,
    /// How it stands, such as `paid` or `paying`.
    status: &'static str,
    /// The page that shows it to whoever may see it.
    permalink_url: String,
}

/// A page of the shop's.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct LinkBody {
    /// `terms_of_service`, `privacy_policy` or `withdrawal_policy`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Where it is.
    url: String,
}

/// What of a checkout goes out.
///
/// # Errors
/// [`Error::Unavailable`] if its order cannot be read.
pub(crate) async fn body(
    merchant: &Merchant,
    page: &CheckoutPage,
    checkout: &Checkout,
    link: Option<&GuestLink>,
    is_new: bool,
) -> Result<CheckoutBody, Error> {
    let (offering, wishes) = (checkout.offering(), checkout.wishes());
    let name = link.map_or(checkout.id().as_str(), GuestLink::reveal);
    let here = address(merchant, &format!("{}/checkout/{name}", merchant.mount().trim_end_matches('/')));
    let order = checkout.order().await?.map(|order| OrderBody {
        id: order.id().to_string(),
        number: order.reference().as_str().to_owned(),
        status: order.state().name(),
        permalink_url: match link {
            Some(_) => here.clone(),
            None => here.replace(name, &order.id().to_string()),
        },
    });
    let continue_url = match checkout.status() {
        Status::Completed | Status::Canceled => None,
        Status::CompleteInProgress => Some(checkout.continue_at().await?.map_or(here, Into::into)),
        _ => Some(here),
    };
    let destination = checkout.address()?;
    let source = destination.as_ref().map(|told| match told.source() {
        DeliverySource::Typed => "typed",
        _ => "wallet",
    });
    let fulfillment = offering.ships.then(|| FulfillmentBody {
        destination: destination.map(|told| AddressBody::of(&told.for_page())),
        source,
        options: (offering.ways.iter())
            .map(|way| OptionBody {
                id: way.method.clone(),
                title: way.title.clone(),
                price: way.price.minor(),
                days: way.days.map(|(from, to)| [from, to]),
                selected: offering.carriage.as_ref().is_some_and(|chosen| chosen.method == way.method),
            })
            .collect(),
    });
    Ok(CheckoutBody {
        id: checkout.id().to_string(),
        link: link.filter(|_| is_new).map(|link| link.reveal().to_owned()),
        revision: checkout.revision(),
        status: checkout.status().name(),
        currency: offering.totals.total.currency().code(),
        line_items: offering.lines.iter().map(line).collect::<Result<_, _>>().map_err(DraftError::from)?,
        totals: totals(&offering.totals),
        taxes: (offering.totals.taxes.iter())
            .map(|part| TaxBody { rate: part.rate.to_string(), net: part.net.minor(), amount: part.tax.minor() })
            .collect(),
        messages: checkout.messages().map(|one| message(one, checkout)).collect(),
        fulfillment,
        discounts: DiscountsBody {
            codes: wishes.codes.clone(),
            applied: (offering.reductions.iter())
                .map(|it| AppliedBody { code: it.code.clone(), title: it.title.clone(), amount: it.amount.minor() })
                .collect(),
            offered: (offering.offered.iter())
                .map(|it| OfferedBody { title: it.title.clone(), ask: it.ask.clone(), amount: it.amount.minor() })
                .collect(),
        },
        buyer: wishes.vat_id.clone().map(|vat_id| BusinessBody { vat_id, reverse_charge: offering.reverse_charge }),
        missing: checkout.missing().iter().map(|ask| ask.name().to_owned()).collect(),
        provisional: offering.provisional,
        payment: PaymentHandlersBody { handlers: checkout.rails().into_iter().map(|id| HandlerBody { id }).collect() },
        expires_at: checkout.expires_at().map(|at| at.to_string()),
        continue_url,
        order,
        links: links(merchant, page),
    })
}

fn line(line: &Line) -> Result<LineBody, MoneyError> {
    let mut totals = vec![TotalBody { kind: "subtotal", amount: line.price()?.minor() }];
    if !line.discount().is_zero() {
        totals.push(TotalBody { kind: "items_discount", amount: less(line.discount()) });
    }
    totals.push(TotalBody { kind: "total", amount: line.amount()?.minor() });
    let tax =
        |LineTax { rate, amount, included }| LineTaxBody { rate: rate.to_string(), amount: amount.minor(), included };
    Ok(LineBody {
        id: line.item.clone(),
        item: ItemBody { id: line.item.clone(), title: line.title.clone(), price: line.unit.minor() },
        quantity: line.quantity.count(),
        totals,
        tax: line.tax.map(tax),
    })
}

fn totals(sums: &Totals) -> Vec<TotalBody> {
    let total = |kind, amount| TotalBody { kind, amount };
    let mut all = vec![total("subtotal", sums.lines.minor())];
    if !sums.discounts.is_zero() {
        all.push(total("items_discount", less(sums.discounts)));
    }
    all.push(total("fulfillment", sums.shipping.minor()));
    if !sums.tax.is_zero() {
        all.push(total("tax", sums.tax.minor()));
    }
    all.push(total("total", sums.total.minor()));
    all
}

fn less(amount: Money) -> i64 {
    amount.minor().saturating_neg()
}

fn message(message: &Message, checkout: &Checkout) -> MessageBody {
    let (kind, severity) = match message.severity {
        Severity::Recoverable => ("error", Some("recoverable")),
        Severity::RequiresBuyerInput => ("error", Some("requires_buyer_input")),
        _ => ("warning", None),
    };
    let path = match (&message.about, message.code) {
        (None, MessageCode::AddressMissing | MessageCode::NotSentThere) => Some("$.fulfillment.destination".to_owned()),
        (None, MessageCode::TooHeavy) => Some("$.line_items".to_owned()),
        (None, MessageCode::VatIdNotTaken) => Some("$.buyer.vat_id".to_owned()),
        (None, MessageCode::WayChanged) => Some("$.fulfillment.options".to_owned()),
        (None, _) => None,
        (Some(about), _) => {
            let at = |place: Option<usize>, name: &str| place.map(|place| format!("$.{name}[{place}]"));
            let missing: Vec<_> = checkout.missing();
            at(checkout.offering().lines.iter().position(|line| line.item == *about), "line_items")
                .or_else(|| at(checkout.wishes().codes.iter().position(|code| code == about), "discounts.codes"))
                .or_else(|| at(missing.iter().position(|ask| ask.name() == about), "missing"))
        }
    };
    MessageBody {
        kind,
        code: message.code.as_str(),
        content: message.text.clone(),
        severity,
        path,
        about: message.about.clone(),
    }
}

fn links(merchant: &Merchant, page: &CheckoutPage) -> Vec<LinkBody> {
    let named =
        [("terms_of_service", &page.terms), ("privacy_policy", &page.privacy), ("withdrawal_policy", &page.withdrawal)];
    let link = |(kind, href): (&'static str, &Option<String>)| {
        href.as_deref().map(|href| LinkBody { kind, url: address(merchant, href) })
    };
    named.into_iter().filter_map(link).collect()
}

/// A path of the shop as an address.
fn address(merchant: &Merchant, path: &str) -> String {
    merchant.origin().join(path).map_or_else(|_| path.to_owned(), Into::into)
}
