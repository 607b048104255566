//! By what an order is recognised, should the same be ordered once more.

use firsthand_axum::{
    Known,
    protocol::jose::{base64url_encode, sha256},
};

use crate::shop::{
    order::{DeliveryChoice, OrderForm},
    view::View,
};

/// The checksum of who orders what, and where it goes.
pub(crate) fn checksum(view: &View, known: Option<&Known>, form: &OrderForm) -> String {
    let typed = &form.address;
    let to: &[&str] = match form.delivery {
        DeliveryChoice::Typed => &[&typed.name, &typed.street, &typed.postal_code, &typed.place, &typed.country],
        DeliveryChoice::Wallet => &["the wallet's"],
    };
    let (who, what) = (known.map_or("a guest", |known| known.id().as_str()), view.cart.text());
    let parts: Vec<&str> = [who, what.as_str()].into_iter().chain(to.iter().map(|part| part.trim())).collect();
    base64url_encode(&sha256(parts.join("\n").as_bytes()))
}
