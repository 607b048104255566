use maud::{Markup, html};

use crate::shop::{AccountView, Customer, assets, page::Page, view::View};

/// What the shop knows of a customer, and how to make it forget.
#[must_use]
pub fn account(view: &View, customer: &Customer, account: &AccountView) -> Page {
    let title = view.say("My data", "Meine Daten");
    let main = html! {
        script type="module" src=(assets::ACCOUNT_SCRIPT) {}
        section.narrow.account {
            h1 { (title) }
            p.lead {
                (view.say(
                    "This page is everything that we know of you, but for ",
                    "Diese Seite ist alles, was wir über Sie wissen, bis auf ",
                ))
                a href=(view.href("/orders")) { (view.say("your orders", "Ihre Bestellungen")) }
                (view.say(" and the bottles that are ", " und die Flaschen, die "))
                a href=(view.href("/wine/reserved")) { (view.say("set aside for you", "für Sie zurückgelegt")) }
                (view.say(".", " sind."))
            }
            firsthand-merge ask="welcome" {}
            p.notice role="status" hidden data-failed {
                (view.say("That did not work. Please try again.", "Das hat nicht geklappt. Bitte versuchen Sie es noch einmal."))
            }
            (shown(view, account))
            (relationship(view))
            (name(view, account))
            (orders(view))
            (leaving(view))
        }
    };
    Page::new(view, Some(customer), title, main)
}

fn shown(view: &View, account: &AccountView) -> Markup {
    html! {
        h2 { (view.say("What you have shown", "Was Sie gezeigt haben")) }
        @if account.proofs.is_empty() {
            p { (view.say("Nothing yet.", "Noch nichts.")) }
        } @else {
            ul.records {
                @for proof in &account.proofs {
                    li {
                        h3 { (outcome(view, &proof.ask, &proof.outcome)) }
                        p { (view.say("Asked because: ", "Gefragt, weil ")) (purpose(view, &proof.ask, &proof.purpose)) }
                        p.small {
                            (view.say("Shown on ", "Gezeigt am ")) time { (view.language.moment(proof.at_s)) }
                            ". "
                            (view.say("Kept: that you showed it, and when.", "Behalten: dass Sie es gezeigt haben, und wann."))
                        }
                    }
                }
            }
        }
        p.small {
            (view.say(
                "Not kept: your credential, its number, its keys and signatures, or anything else by which another shop could \
                 know you again.",
                "Nicht behalten: Ihr Nachweis, seine Nummer, seine Schlüssel und Signaturen, und alles andere, woran ein anderer \
                 Laden Sie wiedererkennen könnte.",
            ))
        }
    }
}

/// What an answer meant, in the customer's language where the shop has words for it.
fn outcome<'a>(view: &View, ask: &str, outcome: &'a str) -> &'a str {
    match ask {
        "age" => view.say("You are over 18", "Sie sind über 18"),
        "address" => view.say("Your name and address", "Ihr Name und Ihre Anschrift"),
        _ => outcome,
    }
}

/// Why something was asked, likewise.
pub(super) fn purpose<'a>(view: &View, ask: &str, purpose: &'a str) -> &'a str {
    match ask {
        "age" => view.say("wine is sold to adults", "Wein nur an Erwachsene verkauft wird"),
        "address" => view.say("a parcel needs a label", "ein Paket einen Paketschein braucht"),
        _ => purpose,
    }
}

/// What recognises the customer, what happened, and the ways back in: all of it the library's own elements.
fn relationship(view: &View) -> Markup {
    html! {
        h2 { (view.say("Where you are signed in", "Wo Sie angemeldet sind")) }
        firsthand-devices ask="welcome" {}
        h2 { (view.say("Passkey", "Passkey")) }
        firsthand-passkey ask="welcome" {}
        h2 { (view.say("Customer card", "Kundenkarte")) }
        firsthand-credential ask="welcome" {}
        h2 { (view.say("A code on paper", "Ein Code auf Papier")) }
        firsthand-recovery ask="welcome" {}
    }
}

fn name(view: &View, account: &AccountView) -> Markup {
    html! {
        h2 { (view.say("What we call you", "Wie wir Sie nennen")) }
        p {
            (view.say(
                "We do not know your name. We know you by a number that we made up, and by a key of your browser that you use with \
                 this shop alone.",
                "Wir kennen Ihren Namen nicht. Wir kennen Sie unter einer Nummer, die wir uns ausgedacht haben, und an einem \
                 Schlüssel Ihres Browsers, den Sie nur mit diesem Laden verwenden.",
            ))
        }
        dl {
            dt { (view.say("Number", "Nummer")) }
            dd { code { (account.id) } }
            dt { (view.say("Known by", "Erkannt an")) }
            dd { (rung(view, &account.rung)) }
            @for did in &account.dids {
                dt { "DID" }
                dd { code { (did) } }
            }
        }
    }
}

/// By what a customer is known.
fn rung<'a>(view: &View, rung: &'a str) -> &'a str {
    match rung {
        "browser_key" => view.say("the key of this browser", "dem Schlüssel dieses Browsers"),
        "did" => view.say("a key of your wallet", "einem Schlüssel Ihrer Wallet"),
        "passkey" => view.say("a passkey", "einem Passkey"),
        "relationship_credential" => view.say("our customer card", "unserer Kundenkarte"),
        other => other,
    }
}

/// What of a purchase is kept, and for how long.
fn orders(view: &View) -> Markup {
    html! {
        h2 { (view.say("What you ordered", "Was Sie bestellt haben")) }
        p {
            (view.say(
                "Your orders stay in our books, as the law wants it. After you are forgotten nothing leads from you to them. The \
                 address of a parcel lies sealed beside its order and is erased after 90 days; where a transfer came from stays \
                 with the booking.",
                "Ihre Bestellungen bleiben in unseren Büchern, wie es das Gesetz will. Sind Sie vergessen, führt nichts von Ihnen \
                 zu ihnen. Die Anschrift eines Pakets liegt versiegelt bei ihrer Bestellung und wird nach 90 Tagen gelöscht; woher \
                 eine Überweisung kam, bleibt bei der Buchung.",
            ))
        }
    }
}

fn leaving(view: &View) -> Markup {
    html! {
        h2 { (view.say("Leaving", "Gehen")) }
        div.leaving {
            div {
                button type="button" data-action="sign-out" { (view.say("Sign out", "Abmelden")) }
                p.small {
                    (view.say(
                        "This browser is a stranger until you show more than it.",
                        "Dieser Browser ist fremd, bis Sie mehr zeigen als ihn.",
                    ))
                }
            }
            div {
                button.outline type="button" data-action="forget-device" {
                    (view.say("Forget this device", "Dieses Gerät vergessen"))
                }
                p.small {
                    (view.say(
                        "The key in this browser is deleted. What you showed stays with us.",
                        "Der Schlüssel in diesem Browser wird gelöscht. Was Sie gezeigt haben, bleibt bei uns.",
                    ))
                }
            }
            div {
                firsthand-leave ask="welcome" {}
                p.small {
                    (view.say(
                        "What is set aside for you goes, too. Your orders stay in our books without you, and you can no longer open \
                         them: pay, cancel or wait for money first. Next time you are new here.",
                        "Auch was für Sie zurückgelegt ist, geht. Ihre Bestellungen bleiben ohne Sie in unseren Büchern, und Sie \
                         können sie nicht mehr öffnen: Zahlen, stornieren oder warten Sie vorher auf Geld. Beim nächsten Mal sind \
                         Sie neu hier.",
                    ))
                }
            }
        }
    }
}
