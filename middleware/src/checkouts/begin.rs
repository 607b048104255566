//! How the hosted page begins: a page of the shop hands over a basket. Nothing of it is lost because a part of it cannot be read.

use std::fmt::Write as _;

use axum::{extract::State, response::Response};
use firsthand::{
    Error, Merchant,
    checkout::CheckoutError,
    error::Refusal,
    merchant::{Basket, Checkout},
    trade::{ITEMS_MAX, Item},
};
use http::StatusCode;

use super::{
    Words,
    caller::{Caller, Trouble},
    form::{Errors, FIELDS, Known, Sent, is_none, quantity_field},
    page::{new_key, wish_text},
    view::{Frame, described, summary, word},
};
#[cfg(feature = "openapi")]
use crate::problem::Problem;
use crate::web::escape;

/// The checkout page without anything in it.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "empty_checkout_page", path = "/checkout", tag = "browser",
    responses((status = 200, content_type = "text/html", body = String))
))]
pub(crate) async fn nothing(caller: Caller) -> Response {
    caller.page(StatusCode::OK, empty(&caller.frame()))
}

/// A page of the shop hands over a basket: fields `item` and `quantity` in turn, `code` for discounts, and `form`, a token of
/// the shop, with which sending it twice is sending it once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "open_checkout_page", path = "/checkout", tag = "browser",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`item`, `quantity`, `code`, `form`"),
    responses(
        (status = 204, description = "For a signed request: `Firsthand-Location` says where to go on"),
        (status = 303, description = "To the page of the checkout"),
        (status = 403, content((Problem = "application/problem+json"), (String = "text/html")), description = "Another site sent this"),
        (status = 422, content_type = "text/html", body = String, description = "Nothing is wanted, or something of it has to be mended, and is said beside its field"),
    )
))]
pub(crate) async fn begin(State(merchant): State<Merchant>, caller: Caller) -> Response {
    let answer = async {
        let sent = caller.read()?;
        begun(&merchant, &caller, &sent, "").await
    };
    caller.finish(&merchant, answer.await)
}

/// Begins a checkout with what was sent, and leads to its page. What cannot be read of it is mended first.
pub(super) async fn begun(merchant: &Merchant, caller: &Caller, sent: &Sent, said: &str) -> Result<Response, Trouble> {
    let (basket, mut errors) = sent.basket(caller.lang, Known::default(), false, &caller.settings.countries);
    // What is wrong with an address, or with a number of a business, is left to be typed there.
    errors.retain(|(field, _)| field.starts_with("quantity"));
    if !errors.is_empty() {
        return to_mend(merchant, caller, sent, &errors).await;
    }
    if basket.wishes.items.is_empty() {
        return Ok(caller.page(StatusCode::UNPROCESSABLE_ENTITY, empty(&caller.frame())));
    }
    let words = Words::of(caller.limits.as_ref(), None, &basket)?;
    let name = match named(merchant, caller, sent, &basket).await {
        Ok((name, checkout)) => {
            words.tried(&checkout);
            name
        }
        Err(Error::Checkout(CheckoutError::Wish(wish))) => {
            let errors = vec![(quantity_field(0), wish_text(caller.lang, wish))];
            return to_mend(merchant, caller, sent, &errors).await;
        }
        Err(error) => return Err(error.into()),
    };
    let query = if said.is_empty() { String::new() } else { format!("said={said}") };
    Ok(caller.to(&caller.at(&name, &query)))
}

/// The checkout, and the name under which whoever asks finds it.
async fn named(
    merchant: &Merchant,
    caller: &Caller,
    sent: &Sent,
    basket: &Basket,
) -> Result<(String, Checkout), Error> {
    if let Some(known) = &caller.known {
        let key = sent.form.as_deref().or(Some(sent.key.as_str()).filter(|key| !key.is_empty()));
        let key = key.and_then(|key| key.parse().ok()).map_or_else(|| new_key(merchant), Ok)?;
        let checkout = known.check_out(basket, &key).await?;
        return Ok((checkout.id().to_string(), checkout));
    }
    let form = sent.form.clone().unwrap_or_else(|| merchant.guest_form());
    let begun = match merchant.check_out_as_guest(basket, &form).await {
        // A page that lay open for a day, or was made for a customer who is not known here.
        Err(Error::Refused(Refusal::FormExpired | Refusal::FormInvalid)) => {
            merchant.check_out_as_guest(basket, &merchant.guest_form()).await?
        }
        other => other?,
    };
    Ok((begun.link.reveal().to_owned(), begun.checkout))
}

fn empty(frame: &Frame<'_>) -> String {
    word(
        frame,
        frame.say("There is nothing in your basket", "In Ihrem Korb liegt nichts"),
        frame.say("Choose something in the shop first.", "Suchen Sie sich zuerst im Shop etwas aus."),
    )
}

/// The basket as it was sent, with what is wrong beside its field, and everything else that was typed.
async fn to_mend(merchant: &Merchant, caller: &Caller, sent: &Sent, errors: &Errors) -> Result<Response, Trouble> {
    let names: Vec<String> = sent.items.iter().map(|(item, _)| item.clone()).collect();
    let items = merchant.sold_as(&names).await?;
    let html = mending(&caller.frame(), &caller.there(&format!("{}/checkout", caller.mount), ""), sent, &items, errors);
    Ok(caller.page(StatusCode::UNPROCESSABLE_ENTITY, html))
}

fn mending(frame: &Frame<'_>, action: &str, sent: &Sent, items: &[Option<Item>], errors: &Errors) -> String {
    let title = frame.say("Please check your basket", "Bitte prüfen Sie Ihren Korb");
    let titles: Vec<&str> = sent
        .items
        .iter()
        .zip(items)
        .map(|((name, _), item)| item.as_ref().map_or(name.as_str(), |item| &item.title))
        .collect();
    let of = |field: &str| titles.iter().enumerate().find(|(place, _)| quantity_field(*place) == field);
    let fault = |(field, text): &(String, String)| match of(field) {
        Some((_, title)) => (Some(field.clone()), format!("{}: {text}", frame.own(title))),
        None => (None, text.clone()),
    };
    let faults: Vec<_> = errors.iter().map(fault).collect();
    let mut main = format!(
        "<div class=\"narrow\">\n<h1>{title}</h1>\n{}<form method=\"post\" action=\"{}\" class=\"checkout\" novalidate>\n\
         <ul class=\"lines\">\n",
        summary(frame, &faults),
        escape(action),
    );
    let wanted = sent.items.iter().zip(items).enumerate().filter(|(_, ((_, typed), _))| !is_none(typed));
    for (place, ((name, typed), item)) in wanted.take(2 * ITEMS_MAX) {
        let field = quantity_field(place);
        let title = escape(frame.own(titles.get(place).copied().unwrap_or_default()));
        let told: Vec<String> = errors.iter().filter(|(of, _)| *of == field).map(|(_, text)| escape(text)).collect();
        let (invalid, described) = described(&field, !told.is_empty());
        let told = match told.is_empty() {
            true => String::new(),
            false => format!("<p class=\"error\" id=\"{field}-error\">{}</p>", told.join(" ")),
        };
        let price = item
            .as_ref()
            .map(|item| format!("<p class=\"each\">{} {}</p>", frame.money(item.unit), frame.say("each", "je Stück")));
        let _ = writeln!(
            main,
            "<li>
<p class=\"title\">{title}</p>
{}
<div class=\"many\"><label for=\"{field}\">{}<span class=\"unseen\">: {title}</span></label>
<input type=\"hidden\" name=\"item\" value=\"{}\">
<input id=\"{field}\" name=\"quantity\" inputmode=\"numeric\" autocomplete=\"off\" value=\"{}\"{invalid}{described}></div>
{told}
</li>",
            price.unwrap_or_default(),
            frame.say("Quantity", "Menge"),
            escape(name),
            escape(typed),
        );
    }
    main.push_str("</ul>\n");
    for (name, value) in kept(sent) {
        let _ = writeln!(main, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
    }
    let _ = writeln!(
        main,
        "<p class=\"note\">{}</p>\n<p><button class=\"main\">{}</button></p>\n</form>\n</div>",
        frame.say("What you set to 0 is left out.", "Was Sie auf 0 setzen, bleibt weg."),
        frame.say("To the checkout", "Weiter zur Kasse"),
    );
    frame.html(title, "", &main)
}

/// What else was sent, and goes on.
fn kept(sent: &Sent) -> impl Iterator<Item = (&'static str, &str)> {
    let codes = sent.codes.iter().map(|code| ("code", code.as_str()));
    let claims = sent.claims.iter().map(|claim| ("claim", claim.as_str()));
    let address = FIELDS.into_iter().map(|field| (field, sent.address.field(field)));
    let rest = [
        ("way", sent.way.as_deref().unwrap_or_default()),
        ("vat_id", sent.vat_id.as_str()),
        ("form", sent.form.as_deref().unwrap_or_default()),
        ("key", sent.key.as_str()),
    ];
    codes.chain(claims).chain(address).chain(rest).filter(|(_, value)| !value.is_empty())
}
