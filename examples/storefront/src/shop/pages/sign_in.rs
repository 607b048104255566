use maud::html;

use crate::shop::{Customer, assets, page::Page, view::View};

/// The ways back in, for whoever comes with a browser that we do not know.
#[must_use]
pub fn sign_in(view: &View, customer: Option<&Customer>) -> Page {
    let title = view.say("Been here before?", "Schon hier gewesen?");
    let account = view.href("/account");
    let main = html! {
        script type="module" src=(assets::ACCOUNT_SCRIPT) {}
        section.narrow {
            h1 { (title) }
            p.lead {
                (view.say(
                    "A browser that we know needs nothing. In any other, show one of these, and everything is as it was.",
                    "Ein Browser, den wir kennen, braucht nichts. In jedem anderen zeigen Sie eines davon, und alles ist wie zuvor.",
                ))
            }
            firsthand-merge ask="welcome" {}
            div.way {
                h2 { (view.say("Passkey", "Passkey")) }
                firsthand-passkey ask="welcome" return-to=(account) {}
            }
            div.way {
                h2 { (view.say("Your customer card", "Ihre Kundenkarte")) }
                p {
                    (view.say(
                        "Did you put our card into your wallet? Show it, and nothing else is asked.",
                        "Haben Sie unsere Karte in Ihre Wallet gelegt? Zeigen Sie sie; sonst wird nichts gefragt.",
                    ))
                }
                firsthand-credential ask="welcome" return-to=(account) {}
            }
            div.way {
                h2 { (view.say("The code on paper", "Der Code auf Papier")) }
                firsthand-recovery ask="welcome" return-to=(account) {}
            }
            div.way {
                h2 { (view.say("Another device of yours", "Ein anderes Gerät von Ihnen")) }
                p {
                    (view.say(
                        "Where we know you, you can say that this browser is yours, too.",
                        "Wo wir Sie kennen, können Sie sagen, dass auch dieser Browser Ihrer ist.",
                    ))
                }
                p { a.button.outline href="/wallet/join" data-firsthand-native { (view.say("Show the code for it", "Den Code dafür zeigen")) } }
            }
            noscript {
                p.notice {
                    (view.say(
                        "We recognise you without a cookie and need JavaScript for that.",
                        "Wir erkennen Sie ohne Cookie und brauchen dafür JavaScript.",
                    ))
                }
            }
            p.small {
                (view.say(
                    "Nothing of it left? Then you are new here, which costs nothing.",
                    "Nichts davon ist übrig? Dann sind Sie neu hier, und das kostet nichts.",
                ))
            }
        }
    };
    Page::new(view, customer, title, main)
}
