use maud::{Markup, html};

use crate::shop::{Customer, page::Page, view::View};

/// What the shop calls the kind of its own customer card.
pub const CARD: &str = "card";

/// A question of the shop's, and what answers it.
#[derive(Clone, Debug)]
pub struct QuestionView {
    /// Its name.
    pub ask: String,
    /// Why it is asked.
    pub purpose: String,
    /// Whether a wallet may answer it by a code from another device.
    pub by_code: bool,
    /// What answers it, what tells least first.
    pub papers: Vec<PaperView>,
}

/// A document in a wallet.
#[derive(Clone, Debug, Default)]
pub struct PaperView {
    /// How it is made.
    pub format: &'static str,
    /// What it is: one of these.
    pub kinds: Vec<String>,
    /// What it has to tell, by where that stands in it.
    pub all_of: Vec<Vec<String>>,
    /// Of which it tells the first that it knows.
    pub one_of: Vec<Vec<String>>,
}

/// What a wallet can be asked here, and what answers it.
#[must_use]
pub fn present(view: &View, customer: Option<&Customer>, questions: &[QuestionView]) -> Page {
    let title = view.say("What can I present?", "Was kann ich vorzeigen?");
    let main = html! {
        section.narrow {
            h1 { (title) }
            p.lead {
                (view.say(
                    "Most things here need no name at all. Where something has to be shown, any of these will do, from the wallet \
                     that you like.",
                    "Für das meiste hier braucht es gar keinen Namen. Wo etwas zu zeigen ist, genügt eines von diesen, aus der \
                     Wallet, die Sie mögen.",
                ))
            }
            @for question in questions { (asked(view, question)) }
            div.way {
                h2 { (view.say("How is it chosen?", "Wie wird gewählt?")) }
                p {
                    (view.say(
                        "What tells us least stands first, and your wallet can take the first that it holds. It shows you what it is \
                         about to tell, and nothing leaves it before you agree.",
                        "Was uns am wenigsten verrät, steht zuerst, und Ihre Wallet kann das erste nehmen, das sie hat. Sie zeigt \
                         Ihnen, was sie gleich sagt, und nichts verlässt sie, bevor Sie zustimmen.",
                    ))
                }
            }
            div.way {
                h2 { (view.say("How does it get here?", "Wie kommt es hierher?")) }
                ul {
                    li {
                        (view.say(
                            "By your browser, where it finds wallets itself, on this device or beside it.",
                            "Durch Ihren Browser, wenn er Wallets selbst findet, auf diesem Gerät oder daneben.",
                        ))
                    }
                    li {
                        (view.say(
                            "By a link that opens the wallet on this device.",
                            "Durch einen Link, der die Wallet auf diesem Gerät öffnet.",
                        ))
                    }
                    li {
                        (view.say(
                            "By a code that you scan with your phone. Then we show back only first letters: a code can be carried to \
                             somebody else.",
                            "Durch einen Code, den Sie mit dem Telefon scannen. Dann zeigen wir nur Anfangsbuchstaben zurück: Ein \
                             Code kann zu jemand anderem getragen werden.",
                        ))
                    }
                }
            }
        }
    };
    Page::new(view, customer, title, main)
}

fn asked(view: &View, question: &QuestionView) -> Markup {
    html! {
        div.way {
            h2 {
                @match question.ask.as_str() {
                    "age" => (view.say("For wine: your age", "Für Wein: Ihr Alter")),
                    "address" => (view.say("For a parcel: name and address", "Für ein Paket: Name und Anschrift")),
                    "welcome" => (view.say("To be known again", "Um wiedererkannt zu werden")),
                    _ => (question.purpose),
                }
            }
            @if question.papers.is_empty() {
                p { (view.say("Nothing at the moment: we trust nobody yet who could say it.", "Im Augenblick nichts: Wir vertrauen noch niemandem, der es sagen könnte.")) }
            } @else {
                ol.papers {
                    @for paper in &question.papers {
                        li {
                            strong { (name(view, paper)) }
                            span.small { " · " (format(paper.format)) }
                            p {
                                (tells(view, paper))
                                @if paper.format == "jwt_vc_json" {
                                    " " (view.say("Your wallet can only show it whole.", "Ihre Wallet kann ihn nur als Ganzes zeigen."))
                                }
                            }
                        }
                    }
                }
            }
            @if !question.by_code {
                p.small { (view.say("On this device, not by a code.", "Auf diesem Gerät, nicht durch einen Code.")) }
            }
        }
    }
}

/// What a document is called in a wallet, each name once.
fn name(view: &View, paper: &PaperView) -> String {
    let mut names: Vec<&str> = Vec::new();
    for kind in &paper.kinds {
        let name = match kind.as_str() {
            CARD => view.say("Our customer card", "Unsere Kundenkarte"),
            "eu.europa.ec.av.1" => view.say("The EU’s proof of age", "Altersnachweis der EU"),
            "org.iso.18013.5.1.mDL" | "https://w3id.org/vdl#Iso18013DriversLicenseCredential" => {
                view.say("Mobile driving licence", "Führerschein in der Wallet")
            }
            "org.iso.23220.photoid.1" => view.say("Photo ID", "Lichtbildausweis"),
            pid if pid.starts_with("urn:eudi:pid") || pid.starts_with("eu.europa.ec.eudi.pid.") => {
                view.say("EU identity (PID)", "EU-Identität (PID)")
            }
            other => other,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// How a document is made, for whoever wants to look it up.
fn format(format: &str) -> &str {
    match format {
        "dc+sd-jwt" => "SD-JWT VC",
        "mso_mdoc" => "ISO mdoc",
        "jwt_vc_json" => "W3C, JWT",
        "ldp_vc" => "W3C, Data Integrity",
        other => other,
    }
}

/// What it tells, in a sentence.
fn tells(view: &View, paper: &PaperView) -> String {
    let all_of = in_words(view, &paper.all_of);
    let one_of = in_words(view, &paper.one_of);
    let told = match one_of.split_first() {
        None => all_of,
        Some((first, [])) => [all_of, vec![first.clone()]].concat(),
        Some((first, rest)) => {
            let rest = rest.join(", ");
            let or = view.say(" (only where it cannot say that: ", " (nur wo es das nicht sagen kann: ");
            [all_of, vec![format!("{first}{or}{rest})")]].concat()
        }
    };
    match told.is_empty() {
        true => view
            .say("Tells only that it is the one we gave you.", "Sagt nur, dass sie die ist, die wir Ihnen gaben.")
            .to_owned(),
        false => format!("{} {}.", view.say("Tells:", "Sagt:"), told.join(", ")),
    }
}

/// The facts at these places as people call them, each once.
fn in_words(view: &View, paths: &[Vec<String>]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for path in paths {
        let last = path.last().map(String::as_str).unwrap_or_default();
        let years = match path.as_slice() {
            [.., over, years] if over == "age_equal_or_over" => Some(years.as_str()),
            _ => last.strip_prefix("age_over_"),
        };
        let word = match (years, last) {
            (Some(years), _) => {
                format!("{} {years}", view.say("whether you are over", "ob Sie über")) + view.say("", " sind")
            }
            (None, "birthdate" | "birth_date") => view.say("your date of birth", "Ihr Geburtsdatum").to_owned(),
            (None, "given_name") => view.say("given name", "Vorname").to_owned(),
            (None, "family_name") => view.say("family name", "Nachname").to_owned(),
            (None, "address") => view.say("address", "Anschrift").to_owned(),
            (None, place) if place.starts_with("resident_") => view.say("address", "Anschrift").to_owned(),
            (None, other) => other.to_owned(),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}
