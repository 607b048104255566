//! The receipts of an order: to print, to save, and for the customer's wallet.

use std::fmt::Write as _;

use axum::{extract::State, response::Response};
use firsthand::{
    Error, Merchant,
    error::{IssueError, Refusal},
    merchant::{CredentialOffer, Order},
    money::Money,
    receipt::{Means, Receipt, ReceiptKind},
};
use http::StatusCode;

use super::{
    super::{
        caller::{Caller, Trouble},
        view::Frame,
        words::{grouped, percent},
    },
    Door, address, after, door,
};
#[cfg(feature = "openapi")]
use crate::problem::Problem;
use crate::{routes::Named, web::escape};

/// The receipts of an order.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "receipt_page", path = "/checkout/{name}/receipt", tag = "browser",
    params(("name" = String, Path, description = "A guest's link, or the name of a customer's checkout or order"), ("lang" = Option<String>, Query, description = "`en` or `de`")),
    responses(
        (status = 200, content_type = "text/html", body = String),
        (status = 303, description = "To the order, if it has none (yet)"),
        (status = 404, content_type = "text/html", body = String),
    )
))]
pub(crate) async fn receipt(State(merchant): State<Merchant>, Named(name): Named, caller: Caller) -> Response {
    let answer = async {
        match door(&merchant, &caller, &name).await? {
            Door::Order(order) => shown(&merchant, &caller, &name, &order, None).await,
            closed => Ok(closed.answer(&merchant, &caller, &name)),
        }
    };
    caller.finish(&merchant, answer.await)
}

/// Offers a receipt to the customer's wallet: one wallet, within some minutes, with digits that are typed from the page.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "offer_receipt", path = "/checkout/{name}/receipt", tag = "browser", params(("name" = String, Path)),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`key`: the number of the receipt"),
    responses(
        (status = 200, content_type = "text/html", body = String, description = "The page with the offer"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Another site sent this"),
        (status = 404, content_type = "text/html", body = String),
        (status = 409, content_type = "text/html", body = String, description = "So many wallets have it that no other gets it"),
    )
))]
pub(crate) async fn offer(State(merchant): State<Merchant>, Named(name): Named, caller: Caller) -> Response {
    let answer = async {
        let number = caller.read()?.key;
        match door(&merchant, &caller, &name).await? {
            Door::Order(order) => shown(&merchant, &caller, &name, &order, Some(&number)).await,
            closed => Ok(closed.answer(&merchant, &caller, &name)),
        }
    };
    caller.finish(&merchant, answer.await)
}

async fn shown(
    merchant: &Merchant,
    caller: &Caller,
    name: &str,
    order: &Order,
    wanted: Option<&str>,
) -> Result<Response, Trouble> {
    let receipts = match order.receipts().await {
        Err(Error::Receipt(_)) => Vec::new(),
        receipts => receipts?,
    };
    if receipts.is_empty() {
        return Ok(caller.to(&address(caller, name, "")));
    }
    let frame = caller.frame();
    let (mut status, mut top) = (StatusCode::OK, String::new());
    if let Some(number) = wanted {
        top = match order.offer_receipt(number).await {
            Ok(offer) => offered(&frame, number, &offer),
            Err(Error::Refused(Refusal::NoSuchReceipt)) => return Err(Refusal::NoSuchOrder.into()),
            Err(Error::Issue(IssueError::TooMany | IssueError::NotIssuing)) => {
                status = StatusCode::CONFLICT;
                let text = frame.say(
                    "No other wallet can have a receipt of this order. You can print or save it here.",
                    "Einen Beleg dieser Bestellung kann keine weitere Wallet bekommen. Drucken oder sichern können Sie ihn hier.",
                );
                format!("<p class=\"notice\" role=\"alert\" tabindex=\"-1\" autofocus>{text}</p>\n")
            }
            Err(error) => return Err(error.into()),
        };
    }
    let title = frame.say("Receipt", "Beleg");
    let mut main = format!("<div class=\"narrow\">\n<h1>{title}</h1>\n{top}");
    let place = address(caller, name, "");
    let base = place.split('?').next().unwrap_or_default();
    for receipt in &receipts {
        main.push_str(&one(&frame, receipt, base, merchant.issues_relationship()));
    }
    let _ = writeln!(
        main,
        "<p class=\"screen\"><a class=\"button\" href=\"{}\">{}</a></p>\n</div>",
        escape(&place),
        frame.say("Back to the order", "Zurück zur Bestellung")
    );
    Ok(caller.page(status, frame.html(title, "", &main)))
}

fn one(frame: &Frame<'_>, receipt: &Receipt, base: &str, for_wallets: bool) -> String {
    let amount = |minor: i64| amount(frame, receipt, minor);
    let title = match receipt.kind {
        ReceiptKind::Return => frame.say("What went back", "Was zurückging"),
        _ => frame.say("What you bought", "Was Sie gekauft haben"),
    };
    let number = escape(&receipt.number);
    let id = format!("receipt-{number}");
    let seller = &receipt.merchant;
    let town = format!("{} {}, {}", seller.address.zip_code, seller.address.city, seller.address.country);
    let seller = [&seller.name, &seller.address.street_address, &town, &seller.company_id];
    let mut html = format!(
        "<section class=\"receipt\" aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n<p>{} <strong class=\"number\">{}</strong><br>{}</p>\n\
         <address>{}</address>\n<ul class=\"lines\">\n",
        frame.say("Number", "Nummer"),
        escape(&grouped(&receipt.number)),
        after::time(frame, receipt.at),
        seller.map(|line| escape(line)).join("<br>"),
    );
    for product in &receipt.products {
        let _ = writeln!(
            html,
            "<li><p class=\"title\">{}</p>\n<p class=\"each\">{} × {}</p><p class=\"sum\">{}</p></li>",
            escape(&product.name),
            escape(&product.quantity),
            amount(product.unit_minor),
            amount(product.gross_minor),
        );
    }
    let _ = writeln!(
        html,
        "</ul>\n<dl>\n<div class=\"total\"><dt>{}</dt><dd>{}</dd></div>",
        frame.say("Total", "Summe"),
        amount(receipt.gross_minor)
    );
    for vat in &receipt.vats {
        let _ = writeln!(
            html,
            "<div class=\"part\"><dt>{} {} {} {}</dt><dd>{}</dd></div>",
            escape(&percent(frame.lang, &vat.rate)),
            frame.say("VAT", "MwSt."),
            frame.say("on", "auf"),
            amount(vat.net_minor),
            amount(vat.vat_minor),
        );
    }
    for paid in &receipt.payments {
        let by = match paid.by {
            Means::CreditTransfer => frame.say("Transfer", "Überweisung"),
            Means::Card => frame.say("Card", "Karte"),
            Means::MobilePay => "MobilePay",
            Means::GiftCard => frame.say("Gift card", "Gutschein"),
            _ => frame.say("Paid", "Bezahlt"),
        };
        let _ = writeln!(html, "<div class=\"part\"><dt>{by}</dt><dd>{}</dd></div>", amount(paid.amount_minor));
    }
    html.push_str("</dl>\n");
    if for_wallets {
        let _ = writeln!(
            html,
            "<form method=\"post\" action=\"{}\" class=\"screen\">\n<input type=\"hidden\" name=\"key\" value=\"{number}\">\n\
             <p><button>{}</button></p></form>",
            escape(&frame.here("")),
            frame.say("Put it into my wallet", "In meine Wallet legen"),
        );
    }
    let _ = writeln!(
        html,
        "<p class=\"screen\"><a href=\"{}/kept/receipt-{number}.json\">{}</a></p>\n</section>",
        escape(base),
        frame.say("Save it as a file (JSON)", "Als Datei sichern (JSON)"),
    );
    html
}

/// An amount, which is below zero for what went back.
fn amount(frame: &Frame<'_>, receipt: &Receipt, minor: i64) -> String {
    let sign = if minor < 0 { "−" } else { "" };
    let amount = minor.checked_abs().and_then(|minor| Money::new(minor, receipt.currency).ok());
    amount.map_or_else(|| escape(&receipt.decimal(minor)), |it| format!("{sign}{}", escape(&frame.lang.amount(it))))
}

/// The code and the link for a wallet, and the digits that it asks for.
fn offered(frame: &Frame<'_>, number: &str, offer: &CredentialOffer) -> String {
    let code = offer.qr_svg().map(|svg| {
        let svg =
            svg.replace("\"QR\"", &format!("\"{}\"", frame.say("A code for your wallet", "Ein Code für Ihre Wallet")));
        format!(
            "<figure><div class=\"code\">{svg}</div>\n<figcaption>{}</figcaption></figure>\n",
            frame.say("Scan it with the device your wallet is on.", "Scannen Sie ihn mit dem Gerät Ihrer Wallet."),
        )
    });
    let minutes = offer.expires_in_s / 60;
    let rows = [
        (frame.say("Receipt", "Beleg"), escape(&grouped(number))),
        (frame.say("Your wallet asks for", "Ihre Wallet fragt nach"), escape(&offer.tx_code)),
        (frame.say("Good for", "Gilt"), format!("{minutes} {}", frame.say("minutes, once", "Minuten, einmal"))),
    ];
    let rows: String =
        rows.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")).collect();
    format!(
        "<section class=\"transfer screen\" aria-labelledby=\"offer\" tabindex=\"-1\" autofocus>
<h2 id=\"offer\">{}</h2>
<div class=\"slip\">
<dl>
{rows}</dl>
{}</div>
<p><a class=\"button main\" href=\"{}\" data-firsthand-native>{}</a></p>
<p class=\"note\">{}</p>
</section>
",
        frame.say("Into your wallet", "In Ihre Wallet"),
        code.unwrap_or_default(),
        escape(&offer.uri),
        frame.say("Open my wallet here", "Wallet auf diesem Gerät öffnen"),
        frame.say(
            "The receipt says what you bought, and nothing about who you are. Show it to us for a warranty, or to whoever pays your expenses.",
            "Der Beleg sagt, was Sie gekauft haben, und nichts darüber, wer Sie sind. Zeigen Sie ihn uns für die Gewährleistung oder wer Ihnen Auslagen erstattet.",
        ),
    )
}
