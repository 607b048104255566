//! What is bought, and what is let off.

use std::fmt::Write as _;

use firsthand::{checkout::MessageCode, order::Line};

use super::{Shown, described, words};
use crate::web::escape;

impl Shown<'_> {
    pub(super) fn lines(&self) -> String {
        let frame = self.frame;
        let mut html = format!(
            "<section aria-labelledby=\"lines\">\n<h2 id=\"lines\">{}</h2>\n<ul class=\"lines\">\n",
            frame.say("Your order", "Ihre Bestellung")
        );
        for (place, (item, quantity)) in self.checkout.wishes().items.iter().enumerate() {
            let line = self.checkout.offering().lines.iter().find(|line| line.item == *item);
            let typed = self.sent.and_then(|sent| sent.items.iter().find(|(name, _)| name == item));
            let typed = typed.map_or_else(|| quantity.to_string(), |(_, typed)| typed.clone());
            html.push_str(&self.line(place, item, &typed, line));
        }
        let _ = write!(
            html,
            "</ul>\n<p class=\"end\"><button name=\"act\" value=\"update\">{}</button></p>\n</section>\n",
            frame.say("Update", "Aktualisieren")
        );
        html
    }

    fn line(&self, place: usize, item: &str, quantity: &str, line: Option<&Line>) -> String {
        let frame = self.frame;
        let title = escape(frame.own(line.map_or(item, |line| &line.title)));
        let field = format!("quantity-{place}");
        let said: Vec<String> = self.about(item).map(|message| escape(&words::message(frame.lang, message))).collect();
        let error = self.error(&field).map(escape);
        let all: Vec<String> = error.into_iter().chain(said).collect();
        let (invalid, described) = described(&field, !all.is_empty());
        let told: String = match all.is_empty() {
            true => String::new(),
            false => format!("<p class=\"error\" id=\"{field}-error\">{}</p>", all.join(" ")),
        };
        let price = line.map(|line| {
            let sum = line.price().map(|sum| frame.money(sum)).unwrap_or_default();
            format!(
                "<p class=\"each\">{} {}</p><p class=\"sum\">{sum}</p>",
                frame.money(line.unit),
                frame.say("each", "je Stück")
            )
        });
        format!(
            "<li>
<p class=\"title\" id=\"item-{place}\">{title}</p>
{price}
<div class=\"many\"><label for=\"{field}\">{many}<span class=\"unseen\">: {title}</span></label>
<input type=\"hidden\" name=\"item\" value=\"{name}\">
<input id=\"{field}\" name=\"quantity\" inputmode=\"numeric\" autocomplete=\"off\" value=\"{quantity}\"{invalid}{described}>
<button class=\"plain\" name=\"remove\" value=\"{name}\">{remove}<span class=\"unseen\">: {title}</span></button></div>
{told}
</li>
",
            price = price.unwrap_or_default(),
            many = frame.say("Quantity", "Menge"),
            name = escape(item),
            quantity = escape(quantity),
            remove = frame.say("Remove", "Entfernen"),
        )
    }

    pub(super) fn discounts(&self) -> String {
        let frame = self.frame;
        let (offering, wishes) = (self.checkout.offering(), self.checkout.wishes());
        let mut html = format!(
            "<section aria-labelledby=\"discount\">\n<h2 id=\"discount\">{}</h2>\n",
            frame.say("Discounts", "Rabatte")
        );
        let by_themselves = offering.reductions.iter().filter(|it| it.code.is_none());
        let mut applied: String = by_themselves
            .map(|it| {
                format!(
                    "<li>{} <span class=\"sum\">−{}</span></li>",
                    escape(frame.own(&it.title)),
                    frame.money(it.amount)
                )
            })
            .collect();
        for offered in &offering.offered {
            let _ = write!(
                applied,
                "<li>{}: {} <span class=\"sum\">−{}</span>\
                 <firsthand-button ask=\"{}\" class=\"small\">{}</firsthand-button></li>",
                frame.say("With a proof", "Mit Nachweis"),
                escape(frame.own(&offered.title)),
                frame.money(offered.amount),
                escape(&offered.ask),
                frame.say("Show it with my wallet", "Mit meiner Wallet zeigen"),
            );
        }
        if !applied.is_empty() {
            let _ = writeln!(html, "<ul class=\"cuts\">{applied}</ul>");
        }
        for code in &wishes.codes {
            let cut = offering.reductions.iter().find(|it| it.code.as_deref() == Some(code));
            let cut = cut.map(|it| {
                format!("{} <span class=\"sum\">−{}</span>", escape(frame.own(&it.title)), frame.money(it.amount))
            });
            let said: Vec<String> =
                self.about(code).map(|message| escape(&words::message(frame.lang, message))).collect();
            let _ = writeln!(
                html,
                "<p class=\"choice\"><label><input type=\"checkbox\" name=\"code\" value=\"{code}\" checked> \
                 <span><code>{code}</code> {}</span></label></p>{}",
                cut.unwrap_or_default(),
                if said.is_empty() { String::new() } else { format!("<p class=\"error\">{}</p>", said.join(" ")) },
                code = escape(code),
            );
        }
        html.push_str(&self.word());
        html.push_str("</section>\n");
        html
    }

    /// The field for a word that lets something off; none where so many were wrong that no other is taken.
    fn word(&self) -> String {
        let frame = self.frame;
        if let Some(closed) = self.checkout.messages().find(|it| it.code == MessageCode::DiscountCodesClosed) {
            return format!("<p class=\"note\">{}</p>\n", escape(&words::message(frame.lang, closed)));
        }
        let known = &self.checkout.wishes().codes;
        let typed = self.sent.and_then(|sent| sent.codes.iter().find(|code| !known.contains(code)));
        let error = self.error("code");
        let (invalid, described) = described("code", error.is_some());
        format!(
            "<div class=\"field\"><label for=\"code\">{}</label>
<div class=\"row\"><input id=\"code\" name=\"code\" autocomplete=\"off\" autocapitalize=\"characters\" maxlength=\"64\" value=\"{}\"{invalid}{described}>
<button name=\"act\" value=\"update\">{}</button></div>{}</div>
",
            frame.say("Discount code", "Rabattcode"),
            escape(typed.map_or("", String::as_str)),
            frame.say("Apply", "Einlösen"),
            error.map(|text| format!("\n<p class=\"error\" id=\"code-error\">{}</p>", escape(text))).unwrap_or_default(),
        )
    }
}
