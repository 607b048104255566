//! The page of a checkout that is being paid, and of the order that it has become, with everything that happens after the
//! sale.

use std::fmt::Write as _;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use firsthand::{
    Merchant,
    checkout::Status,
    error::Refusal,
    merchant::Order,
    order::{DeliveryAddress, OrderState},
};
use url::Url;

pub(super) use self::after::After;
use super::{
    caller::{Caller, Found, Trouble},
    view::{Frame, sums},
    words::{address_lines, grouped},
};
use crate::web::escape;

mod after;
pub(crate) mod kept;
pub(crate) mod receipt;
pub(crate) mod withdraw;

/// What stands below the page of an order.
pub(super) fn routes() -> Router<Merchant> {
    Router::new()
        .route("/checkout/{name}/withdraw", get(withdraw::withdrawal).merge(post(withdraw::withdraw)))
        .route("/checkout/{name}/receipt", get(receipt::receipt).merge(post(receipt::offer)))
        .route("/checkout/{name}/kept/{file}", get(kept::kept))
}

/// A payment is under way, and nobody knows yet.
pub(super) struct UnderWay<'a> {
    /// Where the customer goes on to pay, if it is elsewhere.
    pub(super) continue_at: Option<Url>,
    /// By which rail it is paid; none while nobody is asked to pay yet, empty if nothing is to pay.
    pub(super) rail: Option<&'a str>,
    /// Whether the customer's wallet is waited for, and nothing else.
    pub(super) by_wallet: bool,
    /// Whether they go there at once.
    pub(super) at_once: bool,
    /// Whether the page looks again by itself.
    pub(super) looks_again: bool,
}

/// How long it waits before it does, in seconds.
pub(super) const LOOKS_AGAIN_S: u8 = 5;

pub(super) fn under_way(frame: &Frame<'_>, standing: &UnderWay<'_>) -> String {
    let mut head = String::new();
    let (title, mut main) = match &standing.continue_at {
        Some(url) => {
            let href = escape(url.as_str());
            if standing.at_once {
                let _ = write!(head, "\n<meta http-equiv=\"refresh\" content=\"0; url={href}\">");
            }
            let title = frame.say("Go on to pay", "Weiter zum Bezahlen");
            let text = frame.say(
                "Your order is settled, and is yours once it is paid. The page of the payment provider opens here, and leads back.",
                "Ihre Bestellung steht fest und gilt, sobald sie bezahlt ist. Hier öffnet sich die Seite des Zahlungsdienstes; von dort kommen Sie zurück.",
            );
            let main = format!(
                "<h1>{title}</h1>\n<p>{text}</p>\n<p><a class=\"button main\" href=\"{href}\" data-firsthand-native>{}</a></p>\n",
                frame.say("To the payment", "Zur Zahlung")
            );
            (title, main)
        }
        None if standing.by_wallet => by_wallet(frame),
        None => {
            let title = frame.say("Your order is being settled", "Ihre Bestellung wird bearbeitet");
            let text = settling(frame, standing.rail);
            (title, format!("<h1>{title}</h1>\n<p role=\"status\">{text}</p>\n"))
        }
    };
    let again = escape(&frame.here(""));
    let look = frame.say("Look again", "Noch einmal nachsehen");
    let _ = writeln!(main, "<p><a class=\"button\" href=\"{again}\">{look}</a></p>");
    if standing.looks_again {
        let _ = writeln!(
            main,
            "<p class=\"note\" data-firsthand-again=\"{LOOKS_AGAIN_S}\">{} <a href=\"{}\">{}</a></p>",
            frame.say("This page looks again every five seconds.", "Diese Seite sieht alle fünf Sekunden nach."),
            escape(&frame.here("wait=no")),
            frame.say("Do not look by itself", "Nicht von selbst nachsehen"),
        );
    }
    frame.html(title, &head, &format!("<div class=\"narrow\">\n{main}</div>"))
}

/// What is waited for, as far as it has come.
fn settling<'a>(frame: &Frame<'_>, rail: Option<&str>) -> &'a str {
    match rail {
        None => frame.lang.say(
            "Please do not order again: we are setting aside what you want. Nobody has asked you to pay yet. Should this stop, you can order here again after a minute.",
            "Bitte bestellen Sie nicht noch einmal: Wir legen zurück, was Sie möchten. Bezahlt wird noch nichts. Falls es stockt, können Sie hier nach einer Minute noch einmal bestellen.",
        ),
        Some("") => frame.lang.say(
            "Please do not order again: nothing is to be paid, and your order stands here in a moment.",
            "Bitte bestellen Sie nicht noch einmal: Zu zahlen ist nichts, und Ihre Bestellung steht gleich hier.",
        ),
        Some("sepa") => frame.lang.say(
            "Please do not order again: where to transfer the money stands here in a moment. Please transfer nothing before.",
            "Bitte bestellen Sie nicht noch einmal: Wohin Sie überweisen, steht gleich hier. Bitte überweisen Sie vorher nichts.",
        ),
        Some(_) => frame.lang.say(
            "Please do not order again: we are asking whether your payment has gone through, and say it here.",
            "Bitte bestellen Sie nicht noch einmal: Wir fragen nach, ob Ihre Zahlung durchgegangen ist, und sagen es hier.",
        ),
    }
}

/// A wallet has been asked, here or in another tab, and has not answered: the customer can do without it.
fn by_wallet<'a>(frame: &Frame<'_>) -> (&'a str, String) {
    let title = frame.say("Your wallet is asked", "Ihre Wallet ist gefragt");
    let text = frame.say(
        "Confirm the payment there. Nothing is ordered before you do.",
        "Bestätigen Sie die Zahlung dort. Vorher ist nichts bestellt.",
    );
    let main = format!(
        "<h1>{title}</h1>\n<p role=\"status\">{text}</p>\n<form method=\"post\" action=\"{}\">\
         <p>{}</p>\n<p><button name=\"act\" value=\"untap\">{}</button></p></form>\n",
        escape(&frame.here("")),
        frame.say(
            "Or do without it: what your wallet answers from then on buys nothing.",
            "Oder verzichten Sie darauf: Was Ihre Wallet dann noch antwortet, bestellt nichts.",
        ),
        frame.say("Back to the checkout", "Zurück zur Kasse"),
    );
    (title, main)
}

/// What is shown of an order.
pub(super) struct Ordered<'a> {
    pub(super) order: &'a Order,
    pub(super) delivery: Option<DeliveryAddress>,
    /// The address of this page, for a guest: the only way back to it.
    pub(super) only_key: Option<String>,
    /// A word on what happened.
    pub(super) notice: Option<String>,
    /// What happened after the sale.
    pub(super) after: After,
}

pub(super) fn ordered(frame: &Frame<'_>, shown: &Ordered<'_>) -> String {
    let order = shown.order;
    let title = match order.state() {
        OrderState::Cancelled => frame.say("Your order was cancelled", "Ihre Bestellung wurde storniert"),
        OrderState::Expired => frame.say("Your order has expired", "Ihre Bestellung ist verfallen"),
        _ => frame.say("Thank you for your order", "Danke für Ihre Bestellung"),
    };
    let mut main = String::from("<div class=\"narrow\">\n");
    if let Some(notice) = &shown.notice {
        let _ = writeln!(main, "<p class=\"notice\" role=\"status\" tabindex=\"-1\" autofocus>{}</p>", escape(notice));
    }
    let number = escape(&grouped(order.reference().as_str()));
    let _ = writeln!(
        main,
        "<h1>{title}</h1>\n<p>{} <strong class=\"number\">{number}</strong></p>\n<p class=\"state\" role=\"status\">{}</p>",
        frame.say("Order number", "Bestellnummer"),
        after::standing(frame, order),
    );
    if let Some(key) = &shown.only_key {
        let _ = writeln!(
            main,
            "<section class=\"notice\"><h2>{}</h2>\n<p>{}</p>\n<p><a href=\"{key}\"><code>{key}</code></a></p></section>",
            frame.say("Keep this address", "Heben Sie diese Adresse auf"),
            frame.say(
                "It shows how your order stands, and is the only way to it. Whoever has it sees this page.",
                "Sie zeigt, wie Ihre Bestellung steht, und ist der einzige Weg dorthin. Wer sie hat, sieht diese Seite.",
            ),
            key = escape(key),
        );
    }
    main.push_str(&after::acknowledgements(frame, order));
    main.push_str(&transfer(frame, order));
    main.push_str(&lines(frame, order));
    main.push_str(&after::told(frame, order, &shown.after));
    if let Some(delivery) = &shown.delivery {
        let lines = address_lines(frame.lang, &delivery.for_page());
        let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
        let _ = writeln!(
            main,
            "<section><h2>{}</h2>\n<address>{}</address></section>",
            frame.say("Where it goes", "Wohin es geht"),
            lines.join("<br>")
        );
    }
    let _ = writeln!(
        main,
        "<p><a class=\"button\" href=\"{}\" data-firsthand-native>{}</a></p>\n</div>",
        frame.back(),
        frame.say("Back to the shop", "Zurück zum Shop")
    );
    frame.html(title, "", &main)
}

/// What to tell the bank, if the customer pays by a transfer: to be scanned, opened, or copied.
fn transfer(frame: &Frame<'_>, order: &Order) -> String {
    let Some(transfer) = order.transfer() else { return String::new() };
    let code = match transfer.epc_qr_svg() {
        Ok(svg) => format!(
            "<figure><div class=\"code\">{}</div>\n<figcaption>{}</figcaption></figure>\n",
            svg.replace("EPC QR", frame.say("A code for your banking app", "Ein Code für Ihre Banking-App")),
            frame.say("Scan it with your banking app.", "Scannen Sie ihn mit Ihrer Banking-App."),
        ),
        Err(error) => {
            tracing::warn!(%error, "a transfer has no code");
            String::new()
        }
    };
    let rows = [
        (frame.say("To", "An"), escape(&transfer.payee)),
        ("IBAN", escape(&grouped(transfer.iban.as_str()))),
        (frame.say("Amount", "Betrag"), escape(&frame.lang.amount(transfer.amount))),
        (frame.say("Reference", "Verwendungszweck"), escape(&grouped(transfer.reference.as_str()))),
        (frame.say("Until", "Bis"), escape(&frame.day(transfer.due_at))),
    ];
    let rows: String =
        rows.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")).collect();
    format!(
        "<section class=\"transfer\" aria-labelledby=\"transfer\">
<h2 id=\"transfer\">{}</h2>
<div class=\"slip\">
<dl>
{rows}</dl>
{code}</div>
<p><a class=\"button\" href=\"{}\">{}</a></p>
<p class=\"note\">{}</p>
</section>
",
        frame.say("Your transfer", "Ihre Überweisung"),
        escape(&transfer.payto()),
        frame.say("Open in a banking app", "In einer Banking-App öffnen"),
        frame.say(
            "The reference tells your transfer from all others: please leave it as it is.",
            "Am Verwendungszweck erkennen wir Ihre Überweisung: Bitte lassen Sie ihn, wie er ist.",
        ),
    )
}

fn lines(frame: &Frame<'_>, order: &Order) -> String {
    let mut html = format!(
        "<section aria-labelledby=\"ordered\">\n<h2 id=\"ordered\">{}</h2>\n<ul class=\"lines\">\n",
        frame.say("What you ordered", "Was Sie bestellt haben")
    );
    for line in order.lines() {
        let sum = line.price().map(|sum| escape(&frame.lang.amount(sum))).unwrap_or_default();
        let _ = writeln!(
            html,
            "<li><p class=\"title\">{}</p>\n<p class=\"each\">{} × {}</p><p class=\"sum\">{sum}</p></li>",
            escape(frame.own(&line.title)),
            line.quantity,
            escape(&frame.lang.amount(line.unit)),
        );
    }
    html.push_str("</ul>\n");
    if let Ok(totals) = order.totals() {
        let shipping = (!totals.shipping.is_zero()).then(|| escape(&frame.lang.amount(totals.shipping)));
        html.push_str(&sums(frame, &totals, shipping, frame.say("Total", "Summe")));
    }
    html.push_str("</section>\n");
    html
}

/// Where a name below the checkout page leads.
enum Door {
    Order(Box<Order>),
    /// What is no order yet has a page of its own.
    Checkout,
    /// It is a customer's, and nobody is known.
    Stranger,
}

impl Door {
    /// What is answered where there is no order behind it.
    fn answer(self, merchant: &Merchant, caller: &Caller, name: &str) -> Response {
        match self {
            Self::Stranger => caller.turned_away(merchant),
            Self::Order(_) | Self::Checkout => caller.to(&address(caller, name, "")),
        }
    }
}

async fn door(merchant: &Merchant, caller: &Caller, name: &str) -> Result<Door, Trouble> {
    Ok(match caller.find(merchant, name).await? {
        Found::Order(order) | Found::Became(order) => Door::Order(order),
        Found::Checkout(checkout) if checkout.status() == Status::Completed => {
            Door::Order(Box::new(checkout.order().await?.ok_or(Refusal::NoSuchOrder)?))
        }
        Found::Checkout(_) => Door::Checkout,
        Found::Stranger => Door::Stranger,
    })
}

/// The page of an order, from one below it.
fn address(caller: &Caller, name: &str, query: &str) -> String {
    caller.there(&format!("{}/checkout/{name}", caller.mount), query)
}

/// A page below that of an order, in its language.
fn below(frame: &Frame<'_>, part: &str) -> String {
    let lang = if frame.lang_said { format!("?lang={}", frame.lang.tag()) } else { String::new() };
    format!("{}/{part}{lang}", frame.path)
}
