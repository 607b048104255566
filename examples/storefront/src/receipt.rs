//! The receipts of an order: on a page to print, and into the buyer's wallet.

use axum::{
    Form,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use firsthand_axum::{
    Known, SameOrigin,
    merchant::{CredentialOffer, Order},
    order::Address,
    receipt::{Means, Receipt, ReceiptIssuer, ReceiptKind},
};
use serde::Deserialize;

use crate::{
    sell::{Introduced, Till, of_guest, own},
    shop::{
        order::Drawing,
        pages,
        receipt::{OfferView, ReceiptLine, ReceiptView, ReceiptsView},
        view::View,
        words::Words,
    },
    trouble::Trouble,
};

/// Who stands on the receipts.
pub(crate) fn seller() -> ReceiptIssuer {
    let address = Address {
        name: "Blatt & Rebe GmbH".into(),
        street: "Rebenweg 3".into(),
        postal_code: "67346".into(),
        locality: "Speyer".into(),
        country: "DE".into(),
    };
    ReceiptIssuer::new(&address, "DE123456789").branch("web", "Blatt & Rebe").titles("Erstattung", "Nicht berechnet")
}

/// Which receipt goes into the wallet.
#[derive(Debug, Deserialize)]
pub(crate) struct ReceiptForm {
    number: String,
}

/// The receipts of a customer's order.
pub(crate) async fn show(known: Known, customer: Introduced, view: View, Path(id): Path<String>) -> Response {
    let path = format!("/orders/{id}");
    let shown = async { shown(&own(&known, &id).await?, path.clone(), None).await };
    page(shown.await, &view, customer, &path)
}

/// The receipts of the order that a guest's link leads to.
pub(crate) async fn show_guest(
    State(till): State<Till>,
    customer: Introduced,
    view: View,
    Path(link): Path<String>,
) -> Response {
    let path = format!("/o/{link}");
    let shown = async { shown(&of_guest(&till, &link).await?.0, path.clone(), None).await };
    page(shown.await, &view, customer, &path)
}

/// Offers a receipt to the customer's wallet.
pub(crate) async fn offer(
    known: Known,
    customer: Introduced,
    view: View,
    Path(id): Path<String>,
    Form(form): Form<ReceiptForm>,
) -> Response {
    let path = format!("/orders/{id}");
    let shown = async { shown(&own(&known, &id).await?, path.clone(), Some(form.number)).await };
    page(shown.await, &view, customer, &path)
}

/// Offers a receipt to a guest's wallet: whoever has the link has the receipt. Only a page of ours may ask for it.
pub(crate) async fn offer_guest(
    State(till): State<Till>,
    _: SameOrigin,
    customer: Introduced,
    view: View,
    Path(link): Path<String>,
    Form(form): Form<ReceiptForm>,
) -> Response {
    let path = format!("/o/{link}");
    let shown = async { shown(&of_guest(&till, &link).await?.0, path.clone(), Some(form.number)).await };
    page(shown.await, &view, customer, &path)
}

fn page(shown: Result<ReceiptsView, Trouble>, view: &View, customer: Introduced, path: &str) -> Response {
    match shown {
        Ok(shown) => pages::receipt(view, customer.as_deref(), &shown).into_response(),
        Err(trouble) => trouble.page(view, customer.as_deref(), path),
    }
}

async fn shown(order: &Order, path: String, wanted: Option<String>) -> Result<ReceiptsView, Trouble> {
    let receipts = order.receipts().await?;
    let offer = match wanted {
        Some(number) => Some(offered(&order.offer_receipt(&number).await?, number)),
        None => None,
    };
    Ok(ReceiptsView { order: path, receipts: receipts.iter().map(view_of).collect(), offer })
}

fn offered(offer: &CredentialOffer, number: String) -> OfferView {
    OfferView {
        number,
        link: offer.uri.clone(),
        qr: offer.qr_svg().map(Drawing::of_our_own),
        digits: offer.tx_code.clone(),
        minutes: offer.expires_in_s / 60,
    }
}

fn view_of(receipt: &Receipt) -> ReceiptView {
    let seller = &receipt.merchant;
    let town = format!("{} {}, {}", seller.address.zip_code, seller.address.city, seller.address.country);
    let lines = receipt.products.iter().map(|product| ReceiptLine {
        name: product.name.clone(),
        quantity: product.quantity.clone(),
        unit_minor: product.unit_minor,
        sum_minor: product.gross_minor,
    });
    ReceiptView {
        number: receipt.number.clone(),
        goes_back: receipt.kind == ReceiptKind::Return,
        at_s: receipt.at.as_secs(),
        seller: vec![seller.name.clone(), seller.address.street_address.clone(), town],
        vat_id: seller.company_id.clone(),
        lines: lines.collect(),
        total_minor: receipt.gross_minor,
        taxes: receipt.vats.iter().map(|vat| (vat.rate.clone(), vat.net_minor, vat.vat_minor)).collect(),
        paid: receipt.payments.iter().map(|paid| (means(paid.by), paid.amount_minor)).collect(),
    }
}

const fn means(means: Means) -> Words {
    match means {
        Means::CreditTransfer => Words("Transfer", "Überweisung"),
        Means::Card => Words("Card", "Karte"),
        Means::GiftCard => Words("Gift card", "Gutschein"),
        _ => Words("Paid", "Bezahlt"),
    }
}
