//! What has to be shown, where it goes, how it is sent and paid, what it adds up to, and the button that orders.

use std::fmt::Write as _;

use firsthand::{Ask, checkout::MessageCode, order::DeliverySource};

use super::{Shown, Typed, described, rail_title, sums, words};
use crate::{checkouts::form::FIELDS, web::escape};

impl Shown<'_> {
    /// What the customer's wallet has to show, in one question.
    pub(super) fn proofs(&self) -> String {
        let (frame, missing) = (self.frame, self.checkout.missing());
        if missing.is_empty() || self.may_take_over {
            return String::new();
        }
        let needed: Vec<&&Ask> = missing
            .iter()
            .filter(|ask| self.checkout.offering().missing.iter().any(|name| name == ask.name()))
            .collect();
        let names: Vec<&str> = missing.iter().map(|ask| ask.name()).collect();
        let purposes: String =
            missing.iter().map(|ask| format!("<li>{}</li>", escape(frame.own(ask.purpose())))).collect();
        let (title, text, without) = if needed.is_empty() {
            (
                frame.say("Fill in by wallet", "Mit der Wallet ausfüllen"),
                frame.say(
                    "Your wallet can tell the address in one step. Or type it below.",
                    "Ihre Wallet kann die Anschrift in einem Schritt sagen. Oder tippen Sie sie unten ein.",
                ),
                "",
            )
        } else {
            (
                frame.say("Your wallet has to show this", "Das muss Ihre Wallet zeigen"),
                frame.say(
                    "One question, and your wallet shows you what it is before anything is shared:",
                    "Eine Frage, und Ihre Wallet zeigt Ihnen, was es ist, bevor etwas geteilt wird:",
                ),
                frame.say(
                    "Without JavaScript this page cannot ask a wallet.",
                    "Ohne JavaScript kann diese Seite keine Wallet fragen.",
                ),
            )
        };
        // Where nothing but an address could be told, there is nothing to say to whoever has no script.
        let without = if without.is_empty() {
            String::new()
        } else {
            format!("<noscript><p class=\"notice\">{without}</p></noscript>\n")
        };
        let no_wallet = match &frame.page.without_wallet {
            _ if needed.is_empty() => String::new(),
            Some([english, german]) => format!("<p class=\"note\">{}</p>\n", escape(frame.say(english, german))),
            None => format!(
                "<p class=\"note\">{}</p>\n",
                frame.say(
                    "Without a wallet: remove what needs this, and order the rest.",
                    "Ohne Wallet: Entfernen Sie, was das braucht, und bestellen Sie den Rest.",
                )
            ),
        };
        let class = if needed.is_empty() { "proofs optional" } else { "proofs" };
        let list = if needed.is_empty() { String::new() } else { format!("<ul>{purposes}</ul>\n") };
        format!(
            "<section id=\"proofs\" class=\"{class}\" tabindex=\"-1\" aria-labelledby=\"proofs-title\">
<h2 id=\"proofs-title\">{title}</h2>
<p>{text}</p>
{list}{without}<firsthand-button ask=\"{}\" return-to=\"{}\"></firsthand-button>
{no_wallet}</section>
",
            escape(&names.join(" ")),
            escape(&frame.here("")),
        )
    }

    /// One button for everything, where the customer's wallet can also pay.
    pub(super) fn one_tap(&self) -> String {
        let (frame, checkout) = (self.frame, self.checkout);
        // Whoever may take it over does that first: then it is theirs also without the link.
        let payments = checkout.payment_asks().unwrap_or_default();
        let Some(ask) = payments.first().filter(|_| !self.may_take_over) else { return String::new() };
        let total = checkout.offering().totals.total;
        let link = checkout.link().map(|link| format!(" link=\"{}\"", escape(link.reveal()))).unwrap_or_default();
        format!(
            "<section id=\"tap\" class=\"proofs optional\" aria-labelledby=\"tap-title\">
<h2 id=\"tap-title\">{}</h2>
<p>{}</p>
<p>{}: <strong class=\"sum\">{}</strong></p>
<firsthand-button ask=\"{}\" checkout=\"{}\"{link} revision=\"{}\" total=\"{}\" currency=\"{}\" key=\"tap-{}\" return-to=\"{}\">{}</firsthand-button>
</section>
",
            frame.say("Order by wallet, in one step", "Mit der Wallet bestellen, in einem Schritt"),
            frame.say(
                "Your wallet shows what is needed and authorises the payment. Nothing is ordered before you confirm it there.",
                "Ihre Wallet zeigt, was gebraucht wird, und gibt die Zahlung frei. Bestellt wird erst, wenn Sie das dort bestätigen.",
            ),
            frame.say("To pay", "Zu zahlen"),
            frame.money(total),
            escape(ask.name()),
            checkout.id(),
            checkout.revision(),
            total.minor(),
            total.currency().code(),
            escape(self.key),
            escape(&frame.here("")),
            frame.say("Order and pay by wallet", "Zahlungspflichtig mit der Wallet bestellen"),
        )
    }

    pub(super) fn destination(&self) -> String {
        let frame = self.frame;
        let mut html = format!(
            "<fieldset id=\"address\" class=\"address\" tabindex=\"-1\">\n<legend><h2>{}</h2></legend>\n",
            frame.say("Where to?", "Wohin?")
        );
        let told = self.address.as_ref().filter(|(_, source)| *source != DeliverySource::Typed);
        let not_sent: Vec<String> = (self.checkout.messages())
            .filter(|message| matches!(message.code, MessageCode::NotSentThere | MessageCode::TooHeavy))
            .map(|message| format!("<p class=\"error\">{}</p>\n", escape(&words::message(frame.lang, message))))
            .collect();
        html.push_str(&not_sent.concat());
        let typed = match (self.sent, &self.so_far, &self.address, told) {
            (Some(sent), ..) => sent.address.clone(),
            (None, Some(so_far), ..) => Typed::of(so_far),
            (None, None, Some((address, _)), None) => Typed::of(address),
            _ => Typed::default(),
        };
        let fields = self.fields(&typed);
        match told {
            Some((address, source)) => {
                let lines = words::address_lines(frame.lang, address);
                let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
                let masked = *source == DeliverySource::Wallet(firsthand::Device::CrossDevice);
                let note = if masked {
                    frame.say(
                        "From the wallet on your other device, so only the first letters stand here. The parcel gets the whole address.",
                        "Aus der Wallet auf Ihrem anderen Gerät, darum stehen hier nur die ersten Buchstaben. Das Paket bekommt die ganze Anschrift.",
                    )
                } else {
                    frame.say("From your wallet.", "Aus Ihrer Wallet.")
                };
                let is_typing =
                    self.so_far.is_some() || self.errors.iter().any(|(name, _)| FIELDS.contains(&name.as_str()));
                let open = if is_typing { " open" } else { "" };
                let _ = write!(
                    html,
                    "<address>{}</address>\n<p class=\"note\">{note}</p>\n<details{open}><summary>{}</summary>\n{fields}</details>\n",
                    lines.join("<br>"),
                    frame.say("Send it somewhere else", "Woandershin schicken"),
                );
            }
            None => html.push_str(&fields),
        }
        html.push_str("</fieldset>\n");
        html
    }

    fn fields(&self, typed: &Typed) -> String {
        let frame = self.frame;
        let fields = [
            ("name", frame.say("Name", "Name"), "shipping name"),
            ("street", frame.say("Street and number", "Straße und Hausnummer"), "shipping street-address"),
            ("postal_code", frame.say("Postal code", "Postleitzahl"), "shipping postal-code"),
            ("locality", frame.say("Town", "Ort"), "shipping address-level2"),
        ];
        let mut html = String::from("<div class=\"fields\">\n");
        for (name, label, autocomplete) in fields {
            let (told, invalid, described) = self.told(name);
            let autocomplete = if name == "street" { "shipping address-line1" } else { autocomplete };
            let _ = writeln!(
                html,
                "<div class=\"field of-{name}\"><label for=\"{name}\">{label}</label>{told}\
                 <input id=\"{name}\" name=\"{name}\" autocomplete=\"{autocomplete}\" maxlength=\"200\" value=\"{}\"{invalid}{described}></div>",
                escape(typed.field(name)),
            );
        }
        let (told, invalid, described) = self.told("country");
        let chosen = match typed.field("country") {
            "" => self.frame.page.countries.first().map_or("", String::as_str),
            chosen => chosen,
        };
        let mut countries = frame.page.countries.clone();
        if !chosen.is_empty() && !countries.iter().any(|country| country == chosen) && chosen.len() == 2 {
            countries.push(chosen.to_owned());
        }
        let options: String = countries
            .iter()
            .map(|code| {
                let selected = if code == chosen { " selected" } else { "" };
                format!(
                    "<option value=\"{}\"{selected}>{}</option>",
                    escape(code),
                    escape(&words::country(frame.lang, code))
                )
            })
            .collect();
        let _ = writeln!(
            html,
            "<div class=\"field of-country\"><label for=\"country\">{}</label>{told}\
             <select id=\"country\" name=\"country\" autocomplete=\"shipping country\"{invalid}{described}>{options}</select></div>\n</div>",
            frame.say("Country", "Land"),
        );
        html
    }

    /// The fault of a field, and what its input says of it.
    fn told(&self, field: &str) -> (String, &'static str, String) {
        let told =
            self.error(field).map(|text| format!("<p class=\"error\" id=\"{field}-error\">{}</p>", escape(text)));
        let (invalid, described) = described(field, told.is_some());
        (told.unwrap_or_default(), invalid, described)
    }

    pub(super) fn ways(&self) -> String {
        let (frame, offering) = (self.frame, self.checkout.offering());
        if offering.ways.is_empty() {
            return String::new();
        }
        let mut html = format!(
            "<fieldset id=\"ways\" tabindex=\"-1\">\n<legend><h2>{}</h2></legend>\n",
            frame.say("How is it sent?", "Wie wird es verschickt?")
        );
        for message in self.checkout.messages().filter(|message| message.code == MessageCode::WayChanged) {
            let _ = writeln!(html, "<p class=\"error\">{}</p>", escape(&words::message(frame.lang, message)));
        }
        for way in &offering.ways {
            let chosen = offering.carriage.as_ref().is_some_and(|carriage| carriage.method == way.method);
            let days = way.days.map(|(from, to)| match from == to {
                true => format!("{from} {}", frame.say("days", "Tage")),
                false => format!("{from}–{to} {}", frame.say("days", "Tage")),
            });
            let _ = writeln!(
                html,
                "<p class=\"choice\"><label><input type=\"radio\" name=\"way\" value=\"{}\"{}> <span>{}{}</span> \
                 <span class=\"sum\">{}</span></label></p>",
                escape(&way.method),
                if chosen { " checked" } else { "" },
                escape(frame.own(&way.title)),
                days.map(|days| format!("<br><small>{days}</small>")).unwrap_or_default(),
                frame.money(way.price),
            );
        }
        html.push_str("</fieldset>\n");
        html
    }

    pub(super) fn business(&self) -> String {
        let (frame, offering) = (self.frame, self.checkout.offering());
        let said = self.checkout.wishes().vat_id.as_deref();
        let typed = self.sent.map_or(said.unwrap_or_default(), |sent| &sent.vat_id);
        let open = if typed.is_empty() { "" } else { " open" };
        let not_taken = self.checkout.messages().find(|message| message.code == MessageCode::VatIdNotTaken);
        let told = match (self.error("vat_id"), not_taken) {
            (Some(text), _) => Some(text.to_owned()),
            (None, message) => message.map(|message| words::message(frame.lang, message)),
        };
        let note = match offering.reverse_charge && told.is_none() {
            true => frame
                .say("You owe the tax yourself (reverse charge).", "Die Steuer schulden Sie selbst (Reverse-Charge)."),
            false => frame.say(
                "For businesses in another country that pay the tax themselves.",
                "Für Unternehmen in einem anderen Land, die die Steuer selbst zahlen.",
            ),
        };
        let (invalid, described) = match told {
            Some(_) => (" aria-invalid=\"true\"", "vat_id-note vat_id-error"),
            None => ("", "vat_id-note"),
        };
        let told = told.map(|text| format!("<p class=\"error\" id=\"vat_id-error\">{}</p>\n", escape(&text)));
        format!(
            "<details class=\"business\"{open}><summary>{}</summary>
<div class=\"field\"><label for=\"vat_id\">{}</label>
<p class=\"note\" id=\"vat_id-note\">{note}</p>
{}<input id=\"vat_id\" name=\"vat_id\" autocomplete=\"off\" maxlength=\"20\" value=\"{}\"{invalid} aria-describedby=\"{described}\"></div>
</details>
",
            frame.say("I buy as a business", "Ich kaufe als Unternehmen"),
            frame.say("VAT number", "USt-IdNr."),
            told.unwrap_or_default(),
            escape(typed),
        )
    }

    pub(super) fn payment(&self) -> String {
        let frame = self.frame;
        let rails = self.checkout.rails();
        if rails.is_empty() {
            return String::new();
        }
        let mut html = format!(
            "<fieldset id=\"rail\" tabindex=\"-1\">\n<legend><h2>{}</h2></legend>\n",
            frame.say("How do you pay?", "Wie bezahlen Sie?")
        );
        if let Some(text) = self.error("rail") {
            let _ = writeln!(html, "<p class=\"error\">{}</p>", escape(text));
        }
        let chosen = self.sent.map_or("", |sent| &sent.rail);
        let chosen = if rails.contains(&chosen) { chosen } else { rails.first().copied().unwrap_or_default() };
        for rail in rails {
            let note = words::rail_note(frame.lang, rail).map(|note| format!("<br><small>{note}</small>"));
            let _ = writeln!(
                html,
                "<p class=\"choice\"><label><input type=\"radio\" name=\"rail\" value=\"{}\"{}> <span>{}{}</span></label></p>",
                escape(rail),
                if rail == chosen { " checked" } else { "" },
                escape(&rail_title(frame, rail)),
                note.unwrap_or_default(),
            );
        }
        html.push_str("</fieldset>\n");
        html
    }

    pub(super) fn sums(&self) -> String {
        let frame = self.frame;
        let offering = self.checkout.offering();
        let shipping = offering.ships.then(|| match &offering.carriage {
            Some(_) => frame.money(offering.totals.shipping),
            None => frame.say("not known yet", "noch offen").to_owned(),
        });
        let shipping_estimated = offering.ships && self.address.is_none() && offering.carriage.is_some();
        let mut html = format!(
            "<section class=\"sums\" aria-labelledby=\"sums\">\n<h2 id=\"sums\">{}</h2>\n{}",
            frame.say("In all", "Zusammen"),
            sums(frame, &offering.totals, shipping, &self.total_said())
        );
        if offering.provisional {
            let _ = writeln!(
                html,
                "<p class=\"note\">{}</p>",
                frame.say(
                    "This price holds once your wallet has shown what it depends on.",
                    "Dieser Preis gilt, sobald Ihre Wallet gezeigt hat, wovon er abhängt.",
                )
            );
        }
        if shipping_estimated {
            let _ = writeln!(
                html,
                "<p class=\"note\">{}</p>",
                frame.say(
                    "What sending costs is settled when the address is known.",
                    "Was der Versand kostet, steht fest, sobald die Anschrift bekannt ist.",
                )
            );
        }
        html.push_str("</section>\n");
        html
    }

    /// What the last sum is called: what is in it of sending, as long as that is not settled.
    fn total_said(&self) -> String {
        let (frame, offering) = (self.frame, self.checkout.offering());
        match (&offering.carriage, &self.estimated_for) {
            (None, _) if offering.ships => frame.say("To pay, without sending", "Zu zahlen, ohne Versand").to_owned(),
            (Some(_), Some(country)) if offering.ships && self.address.is_none() => {
                let country = escape(&words::country(frame.lang, country));
                let said = frame.say("To pay, with sending to", "Zu zahlen, mit Versand nach:");
                format!("{said} {country}")
            }
            _ => frame.say("To pay", "Zu zahlen").to_owned(),
        }
    }

    /// Why it cannot be ordered yet, however often the button is pressed: a wallet has to show something first.
    fn waits_for(&self) -> Option<&str> {
        let frame = self.frame;
        if self.checkout.offering().missing.is_empty() {
            return None;
        }
        Some(if self.may_take_over {
            frame.say(
                "You can order here once you go on as yourself, and your wallet has shown what is needed.",
                "Sie können hier bestellen, sobald Sie als Sie selbst weitermachen und Ihre Wallet gezeigt hat, was nötig ist.",
            )
        } else {
            frame.say(
                "You can order here once your wallet has shown what is asked for above.",
                "Sie können hier bestellen, sobald Ihre Wallet gezeigt hat, wonach oben gefragt ist.",
            )
        })
    }

    pub(super) fn order(&self) -> String {
        let frame = self.frame;
        let (waits, disabled) = match self.waits_for() {
            Some(text) => {
                (format!("<p class=\"notice\" id=\"waits\">{text}</p>\n"), " disabled aria-describedby=\"waits\"")
            }
            None => (String::new(), ""),
        };
        let links = frame.links();
        let read = if links.is_empty() {
            String::new()
        } else {
            format!(
                "<p class=\"note\">{} {}</p>\n",
                frame.say("Please read before you order:", "Bitte lesen Sie vor der Bestellung:"),
                links.join(" ")
            )
        };
        // The words that the law wants on this button (Directive 2011/83/EU, Article 8 (2)), and no others.
        format!(
            "<div class=\"order\">
{read}{waits}<button class=\"main\" name=\"act\" value=\"complete\"{disabled}>{}</button>
<p class=\"note\">{} {}</p>
</div>
",
            frame.say("Order with obligation to pay", "Zahlungspflichtig bestellen"),
            if self.is_guest {
                frame.say(
                    "You order as a guest: the shop makes no record of you.",
                    "Sie bestellen als Gast: Der Shop legt nichts über Sie an.",
                )
            } else {
                frame.say("The shop knows you as its customer.", "Der Shop kennt Sie als Kundin oder Kunden.")
            },
            frame.say(
                "What is entered here is kept for half an hour after your last step, and can be sent again after that.",
                "Was hier steht, wird nach Ihrem letzten Schritt eine halbe Stunde aufbewahrt und kann auch danach noch abgeschickt werden.",
            ),
        )
    }
}
