use maud::{Markup, PreEscaped, html};

use crate::shop::{
    Customer,
    money::euros,
    order::grouped,
    page::Page,
    receipt::{OfferView, ReceiptView, ReceiptsView},
    view::View,
};

/// The receipts of an order, as they are printed, and the way into a wallet.
#[must_use]
pub fn receipt(view: &View, customer: Option<&Customer>, shown: &ReceiptsView) -> Page {
    let title = view.say("Receipt", "Beleg");
    let main = html! {
        section.narrow.order {
            h1 { (title) }
            @if let Some(offer) = &shown.offer { (offered(view, offer)) }
            @for receipt in &shown.receipts { (one(view, shown, receipt)) }
            p.doors { a.button.outline href=(view.href(&shown.order)) { (view.say("Back to the order", "Zurück zur Bestellung")) } }
        }
    };
    Page::new(view, customer, title, main).private()
}

fn one(view: &View, shown: &ReceiptsView, receipt: &ReceiptView) -> Markup {
    let amount = |minor: i64| euros(minor, view.language);
    html! {
        h2 {
            @if receipt.goes_back { (view.say("What went back", "Was zurückging")) }
            @else { (view.say("What you bought", "Was Sie gekauft haben")) }
        }
        p.origin { (view.say("Number ", "Nummer ")) code { (grouped(&receipt.number)) } ", " time { (view.language.moment(receipt.at_s)) } }
        p.small { @for line in &receipt.seller { (line) br; } (view.say("VAT id ", "USt-IdNr. ")) (receipt.vat_id) }
        ul.lines {
            @for line in &receipt.lines {
                li {
                    div.what {
                        span.name { (line.name) }
                        p.small { (line.quantity) " × " (amount(line.unit_minor)) }
                    }
                    p.sum { (amount(line.sum_minor)) }
                }
            }
        }
        p.total { span { (view.say("Together", "Zusammen")) } " " strong { (amount(receipt.total_minor)) } }
        ul.records {
            @for (rate, net, tax) in &receipt.taxes {
                li {
                    p.small {
                        (view.say("VAT ", "MwSt. ")) (rate) " %: " (amount(*tax)) (view.say(" on ", " auf ")) (amount(*net))
                    }
                }
            }
            @for (by, minor) in &receipt.paid {
                li { p.small { (by.in_language(view.language)) ": " (amount(*minor)) } }
            }
        }
        form.next method="post" action=(view.href(&format!("{}/receipt", shown.order))) {
            input type="hidden" name="number" value=(receipt.number);
            button.quiet type="submit" { (view.say("Put it into my wallet", "In meine Wallet legen")) }
        }
    }
}

/// The code and the link for a wallet, and the digits that it asks for.
fn offered(view: &View, offer: &OfferView) -> Markup {
    html! {
        section.transfer aria-labelledby="offer" {
            h2 #offer { (view.say("Into your wallet", "In Ihre Wallet")) }
            div.slip {
                dl {
                    dt { (view.say("Receipt", "Beleg")) }
                    dd { code { (grouped(&offer.number)) } }
                    dt { (view.say("Your wallet asks for", "Ihre Wallet fragt nach")) }
                    dd.amount { code { (offer.digits) } }
                    dt { (view.say("For", "Noch")) }
                    dd { (offer.minutes) (view.say(" minutes, once", " Minuten, einmal")) }
                }
                @if let Some(qr) = &offer.qr {
                    figure {
                        div.code role="img" aria-label=(view.say("A code for your wallet", "Ein Code für Ihre Wallet")) {
                            (PreEscaped(qr.markup()))
                        }
                        figcaption { (view.say("Scan it with the device your wallet is on.", "Scannen Sie ihn mit dem Gerät Ihrer Wallet.")) }
                    }
                }
            }
            p { a.button.outline href=(offer.link) { (view.say("Open my wallet here", "Wallet auf diesem Gerät öffnen")) } }
            p.small {
                (view.say(
                    "The receipt says what you bought, and nothing about who you are. Show it to us for a warranty or a review, or to \
                     whoever pays your expenses.",
                    "Der Beleg sagt, was Sie gekauft haben, und nichts darüber, wer Sie sind. Zeigen Sie ihn uns für Gewährleistung oder \
                     Bewertung, oder wer Ihnen Auslagen erstattet.",
                ))
            }
        }
    }
}
