//! The checkout page as HTML: pure functions from what is known to a text. Usable without a script, and with no script, style
//! or picture of its own.

use std::fmt::Write as _;

use firsthand::{
    checkout::{Message, MessageCode, Severity},
    merchant::Checkout,
    money::Money,
    order::{Address, DeliverySource, Totals},
    time::{UnixTime, Zone},
};

mod how;
mod what;

use super::{
    CheckoutPage,
    form::{Errors, Sent, Typed},
    words,
};
use crate::{lang::Lang, web::escape};

/// What all pages have in common.
pub(super) struct Frame<'a> {
    pub(super) page: &'a CheckoutPage,
    pub(super) lang: Lang,
    /// Whose clock is read.
    pub(super) zone: Zone,
    /// The language stands in the address, and goes on.
    pub(super) lang_said: bool,
    pub(super) mount: &'a str,
    /// The shop's name.
    pub(super) shop: &'a str,
    /// The path of this page, without a query.
    pub(super) path: &'a str,
}

impl Frame<'_> {
    pub(super) fn say<'b>(&self, english: &'b str, german: &'b str) -> &'b str {
        self.lang.say(english, german)
    }

    /// A day, by the shop's clock.
    pub(super) fn day(&self, at: UnixTime) -> String {
        self.lang.day(self.zone, at)
    }

    /// A text of the shop's own, in this language if the shop has it in it.
    pub(super) fn own<'b>(&'b self, text: &'b str) -> &'b str {
        self.page.texts.get(text).map_or(text, |[english, german]| self.say(english, german))
    }

    /// The path of this page, with what it says of the language and besides.
    pub(super) fn here(&self, query: &str) -> String {
        let lang = if self.lang_said { format!("lang={}", self.lang.tag()) } else { String::new() };
        let query: Vec<&str> = [lang.as_str(), query].into_iter().filter(|part| !part.is_empty()).collect();
        match query.as_slice() {
            [] => self.path.to_owned(),
            parts => format!("{}?{}", self.path, parts.join("&")),
        }
    }

    /// Where "back to the shop" leads, in the language that was chosen here.
    pub(super) fn back(&self) -> String {
        let back = self.page.back.as_str();
        match self.lang_said && !back.contains(['?', '#']) {
            true => escape(&format!("{back}?lang={}", self.lang.tag())),
            false => escape(back),
        }
    }

    pub(super) fn money(&self, money: Money) -> String {
        escape(&self.lang.amount(money))
    }

    /// A whole page. `head` stands in its head, `main` in its main part.
    pub(super) fn html(&self, title: &str, head: &str, main: &str) -> String {
        let (lang, mount) = (self.lang.tag(), escape(self.mount));
        let theirs = (self.page.stylesheet.as_deref())
            .map(|href| format!("\n<link rel=\"stylesheet\" href=\"{}\">", escape(href)))
            .unwrap_or_default();
        let (other, name, label) = match self.lang {
            Lang::En => ("de", "Deutsch", "Sprache"),
            Lang::De => ("en", "English", "Language"),
        };
        format!(
            "<!doctype html>
<html lang=\"{lang}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"robots\" content=\"noindex\">
<title>{title} – {shop}</title>
<link rel=\"stylesheet\" href=\"{mount}/checkout.css\">{theirs}
<script type=\"module\" src=\"{mount}/firsthand.js\" data-navigate></script>{head}
</head>
<body>
<header class=\"top\">
<a class=\"back\" href=\"{back}\" data-firsthand-native>{to_shop}</a>
<span class=\"shop\">{shop}</span>
<nav aria-label=\"{label}\" lang=\"{other}\"><a href=\"{path}?lang={other}\" hreflang=\"{other}\">{name}</a></nav>
</header>
<main>
{main}
</main>
{foot}</body>
</html>
",
            title = escape(title),
            shop = escape(self.shop),
            back = self.back(),
            to_shop = self.say("Back to the shop", "Zurück zum Shop"),
            path = escape(self.path),
            foot = self.foot(),
        )
    }

    fn foot(&self) -> String {
        let links = self.links();
        if links.is_empty() { String::new() } else { format!("<footer>{}</footer>\n", links.join(" ")) }
    }

    /// What the shop wants read before somebody buys. In a tab of its own: what was typed stays.
    fn links(&self) -> Vec<String> {
        let named = [
            (&self.page.terms, self.say("Terms of sale", "AGB")),
            (&self.page.privacy, self.say("Privacy notice", "Datenschutzerklärung")),
            (&self.page.withdrawal, self.say("Right of withdrawal", "Widerrufsbelehrung")),
        ];
        let elsewhere = self.say("opens in a new tab", "öffnet einen neuen Tab");
        let link = |(href, name): (&Option<String>, &str)| {
            let href = escape(href.as_deref()?);
            Some(format!(
                "<a href=\"{href}\" target=\"_blank\" rel=\"noopener\">{name}<span class=\"unseen\"> ({elsewhere})</span></a>"
            ))
        };
        named.into_iter().filter_map(link).collect()
    }
}

/// A page with nothing but a word, and the way on.
pub(super) fn word(frame: &Frame<'_>, title: &str, text: &str) -> String {
    words(frame, title, text, "")
}

/// A page for something that was refused: with what the request is called, for whoever asks the shop about it.
pub(super) fn refused(frame: &Frame<'_>, title: &str, text: &str, request: Option<&str>) -> String {
    let ask = frame.say("If you ask the shop about this, name", "Wenn Sie den Shop danach fragen, nennen Sie");
    let ask = request.map(|request| format!("<p class=\"note\">{ask} <code>{}</code>.</p>\n", escape(request)));
    words(frame, title, text, &ask.unwrap_or_default())
}

fn words(frame: &Frame<'_>, title: &str, text: &str, more: &str) -> String {
    let back = format!(
        "<p><a class=\"button\" href=\"{}\" data-firsthand-native>{}</a></p>",
        frame.back(),
        frame.say("Back to the shop", "Zurück zum Shop")
    );
    let main = format!("<h1>{}</h1>\n<p>{}</p>\n{more}{back}", escape(title), escape(text));
    frame.html(title, "", &main)
}

/// An open checkout, as it is shown.
pub(super) struct Shown<'a> {
    pub(super) frame: &'a Frame<'a>,
    pub(super) checkout: &'a Checkout,
    /// Where it goes, as far as a page may show it, and who told it.
    pub(super) address: Option<(Address, DeliverySource)>,
    /// What was typed of an address that is not whole yet.
    pub(super) so_far: Option<Address>,
    /// The country that sending has its price for, as long as the address is not known.
    pub(super) estimated_for: Option<String>,
    /// What was sent, where that is to be mended.
    pub(super) sent: Option<&'a Sent>,
    pub(super) errors: &'a Errors,
    /// Whether the customer has sent something, or come back from something: then what is wrong is told as a fault.
    pub(super) has_acted: bool,
    /// Whether they wanted to order: then also what is missing yet is told as a fault.
    pub(super) has_ordered: bool,
    /// A word on what happened.
    pub(super) notice: Option<String>,
    /// What makes the next act one act.
    pub(super) key: &'a str,
    /// Whether it is a guest's.
    pub(super) is_guest: bool,
    /// Whether somebody who is known looks at a guest's: it may become theirs.
    pub(super) may_take_over: bool,
}

impl Shown<'_> {
    pub(super) fn html(&self) -> String {
        let frame = self.frame;
        let title = frame.say("Checkout", "Kasse");
        let mut main = format!("<h1>{title}</h1>\n");
        main.push_str(&self.summary());
        if let Some(notice) = &self.notice {
            let focus = if self.faults().is_empty() { " tabindex=\"-1\" autofocus" } else { "" };
            let _ = writeln!(main, "<p class=\"notice\" role=\"status\"{focus}>{}</p>", escape(notice));
        }
        main.push_str(&self.whose());
        let action = escape(&frame.here(""));
        let _ = write!(
            main,
            "<form method=\"post\" action=\"{action}\" class=\"checkout\" novalidate>
<input type=\"hidden\" name=\"revision\" value=\"{}\">
<input type=\"hidden\" name=\"total\" value=\"{}\">
<input type=\"hidden\" name=\"key\" value=\"{}\">
<button class=\"unseen\" name=\"act\" value=\"update\" tabindex=\"-1\" aria-hidden=\"true\"></button>
",
            self.checkout.revision(),
            self.checkout.offering().totals.total.minor(),
            escape(self.key),
        );
        for claim in &self.checkout.wishes().claims {
            let _ = writeln!(main, "<input type=\"hidden\" name=\"claim\" value=\"{}\">", escape(claim));
        }
        main.push_str("<div class=\"columns\">\n<div class=\"what\">\n");
        main.push_str(&self.lines());
        main.push_str(&self.discounts());
        main.push_str("</div>\n<div class=\"how\">\n");
        main.push_str(&self.one_tap());
        main.push_str(&self.proofs());
        if self.checkout.offering().ships {
            main.push_str(&self.destination());
            main.push_str(&self.ways());
        }
        if self.checkout.takes_vat_ids() || self.checkout.wishes().vat_id.is_some() {
            main.push_str(&self.business());
        }
        main.push_str(&self.payment());
        main.push_str(&self.sums());
        main.push_str(&self.order());
        main.push_str("</div>\n</div>\n</form>\n");
        let title = if self.faults().is_empty() {
            title.to_owned()
        } else {
            format!("{} {title}", frame.say("Please check:", "Bitte prüfen:"))
        };
        frame.html(&title, "", &main)
    }

    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| name == field).map(|(_, text)| text.as_str())
    }

    /// The messages about a part.
    fn about<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a Message> {
        self.checkout.messages().filter(move |message| message.about.as_deref() == Some(part))
    }

    /// Where what a message is about stands on the page; none for what is about the whole.
    fn place(&self, message: &Message) -> Option<String> {
        let about = message.about.as_deref();
        match (about, message.code) {
            (None, MessageCode::AddressMissing | MessageCode::NotSentThere) => Some(self.address_place()),
            (None, MessageCode::WayChanged) => Some("ways".to_owned()),
            (None, MessageCode::TooHeavy) => Some("quantity-0".to_owned()),
            (None, MessageCode::VatIdNotTaken) => Some("vat_id".to_owned()),
            (None, _) => None,
            (Some(_), MessageCode::ProofNeeded) => Some("proofs".to_owned()),
            (Some(about), _) => {
                let items = &self.checkout.wishes().items;
                let item = items.iter().position(|(item, _)| item == about);
                Some(item.map_or("code".to_owned(), |place| format!("quantity-{place}")))
            }
        }
    }

    fn address_place(&self) -> String {
        let told = self.address.as_ref().is_some_and(|(_, source)| *source != DeliverySource::Typed);
        if told { "address" } else { "name" }.to_owned()
    }

    /// All that has to be mended, with the place where that is done: what was typed, and what the shop says.
    fn faults(&self) -> Vec<(Option<String>, String)> {
        let mut faults: Vec<_> = self.errors.iter().map(|(field, text)| (Some(field.clone()), text.clone())).collect();
        if self.has_acted || !faults.is_empty() {
            let has_field_of_address = faults.iter().any(|(field, _)| field.as_deref() == Some("name"));
            for message in self.checkout.messages() {
                let grave = matches!(message.severity, Severity::Recoverable | Severity::RequiresBuyerInput);
                let failed = message.about.is_none() && message.severity == Severity::Warning;
                let said = message.code == MessageCode::AddressMissing && has_field_of_address;
                let early =
                    !self.has_ordered && matches!(message.code, MessageCode::AddressMissing | MessageCode::ProofNeeded);
                // It stands where the field was.
                let closed = message.code == MessageCode::DiscountCodesClosed;
                if (grave || failed) && !said && !early && !closed {
                    faults.push((self.place(message), words::message(self.frame.lang, message)));
                }
            }
        }
        faults
    }

    /// What has to be mended, at the top, with the focus on it.
    fn summary(&self) -> String {
        summary(self.frame, &self.faults())
    }

    /// Somebody who is known looks at what a guest began: the script fetches this part again, signed.
    fn whose(&self) -> String {
        if !self.is_guest {
            return String::new();
        }
        if !self.may_take_over {
            return "<div data-firsthand=\"whose\"></div>\n".to_owned();
        }
        let frame = self.frame;
        format!(
            "<form method=\"post\" action=\"{}\" class=\"notice\" data-firsthand=\"whose\">
<h2>{}</h2>
<p>{}</p>
<p><button class=\"main\" name=\"act\" value=\"take_over\">{}</button></p>
</form>
",
            escape(&frame.here("")),
            frame.say("The shop knows you", "Der Shop kennt Sie"),
            frame.say(
                "You can go on with this order as yourself. What your wallet has shown then counts.",
                "Sie können mit dieser Bestellung als Sie selbst weitermachen. Dann gilt, was Ihre Wallet gezeigt hat.",
            ),
            frame.say("Go on as myself", "Als ich selbst weiter"),
        )
    }
}

/// What has to be mended, each with the place where that is done; nothing if nothing has.
pub(super) fn summary(frame: &Frame<'_>, faults: &[(Option<String>, String)]) -> String {
    if faults.is_empty() {
        return String::new();
    }
    let items: String = faults
        .iter()
        .map(|(place, text)| match place {
            Some(place) => format!("<li><a href=\"#{}\">{}</a></li>", escape(place), escape(text)),
            None => format!("<li>{}</li>", escape(text)),
        })
        .collect();
    format!(
        "<div class=\"summary\" role=\"alert\" tabindex=\"-1\" autofocus aria-labelledby=\"summary\">
<h2 id=\"summary\">{}</h2>
<ul>{items}</ul>
</div>
",
        frame.say("Nothing is ordered yet", "Es ist noch nichts bestellt")
    )
}

/// What a rail is called: as the merchant says, else as we do.
pub(super) fn rail_title(frame: &Frame<'_>, rail: &str) -> String {
    let named = frame.page.rails.iter().rev().find(|(name, _)| name == rail);
    named.map_or_else(|| words::rail(frame.lang, rail), |(_, [english, german])| frame.say(english, german).to_owned())
}

/// The sums of a sale. `shipping` is what is said of sending it, none if nothing is sent; `total` what the last one is called.
pub(super) fn sums(frame: &Frame<'_>, totals: &Totals, shipping: Option<String>, total: &str) -> String {
    let mut html = String::from("<dl>\n");
    let mut row = |class: &str, name: &str, value: &str| {
        let _ = writeln!(html, "<div{class}><dt>{name}</dt><dd>{value}</dd></div>");
    };
    row("", frame.say("Goods", "Waren"), &frame.money(totals.lines));
    if !totals.discounts.is_zero() {
        row("", frame.say("Discounts", "Rabatte"), &format!("−{}", frame.money(totals.discounts)));
    }
    if let Some(shipping) = shipping {
        row("", frame.say("Sending", "Versand"), &shipping);
    }
    let on_top = !totals.tax.is_zero();
    if on_top {
        row("", frame.say("Tax", "Steuer"), &frame.money(totals.tax));
    }
    row(" class=\"total\"", total, &frame.money(totals.total));
    for part in totals.taxes.iter().filter(|part| !part.tax.is_zero()) {
        let rate = escape(&words::percent(frame.lang, &part.rate.to_string()));
        let name = match on_top {
            true => format!("{rate} {} {}", frame.say("VAT on", "MwSt. auf"), frame.money(part.net)),
            false => format!("{} {rate} {}", frame.say("includes", "darin"), frame.say("VAT", "MwSt.")),
        };
        row(" class=\"part\"", &name, &frame.money(part.tax));
    }
    html.push_str("</dl>\n");
    html
}

/// What an input says of a fault beside it.
pub(super) fn described(field: &str, has_fault: bool) -> (&'static str, String) {
    match has_fault {
        true => (" aria-invalid=\"true\"", format!(" aria-describedby=\"{field}-error\"")),
        false => ("", String::new()),
    }
}
