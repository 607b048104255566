//! The customer withdraws from a contract (Directive 2011/83/EU, Article 11a): they choose from what, and confirm it. Whoever
//! has the page of the order may, and nothing else is asked of them.

use std::fmt::Write as _;

use axum::{extract::State, response::Response};
use firsthand::{
    Error, Merchant,
    merchant::Order,
    money::Quantity,
    order::{AfterError, Eligibility, Exemption, OrderError, Part, WithdrawalLine},
};
use http::StatusCode;

use super::{
    super::{
        caller::{Caller, Trouble},
        form::{Errors, Sent, is_none},
        view::Frame,
        words::grouped,
    },
    Door, address, after, door,
};
#[cfg(feature = "openapi")]
use crate::problem::Problem;
use crate::{lang::Lang, routes::Named, web::escape};

/// The first step of a withdrawal: from what.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "withdrawal_page", path = "/checkout/{name}/withdraw", tag = "browser",
    params(("name" = String, Path, description = "A guest's link, or the name of a customer's checkout or order"), ("lang" = Option<String>, Query, description = "`en` or `de`")),
    responses(
        (status = 200, content_type = "text/html", body = String),
        (status = 303, description = "To the order, if nothing of it can be withdrawn from"),
        (status = 404, content_type = "text/html", body = String),
    )
))]
pub(crate) async fn withdrawal(State(merchant): State<Merchant>, Named(name): Named, caller: Caller) -> Response {
    let answer = async {
        let order = match door(&merchant, &caller, &name).await? {
            Door::Order(order) => order,
            closed => return Ok(closed.answer(&merchant, &caller, &name)),
        };
        if !order.withdrawal().is_open() {
            return Ok(caller.to(&address(&caller, &name, "")));
        }
        let step = Step { order: &order, sent: None, errors: &Errors::new(), notice: None };
        Ok(caller.page(StatusCode::OK, step.choose(&caller.frame(), &address(&caller, &name, ""))))
    };
    caller.finish(&merchant, answer.await)
}

/// The second step, and the confirmation. The form's key makes it one withdrawal, however often it is sent.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "confirm_withdrawal", path = "/checkout/{name}/withdraw", tag = "browser", params(("name" = String, Path)),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`key`; `item` and `quantity` in turn; `act`: `choose`, `change` or `confirm`"),
    responses(
        (status = 200, content_type = "text/html", body = String, description = "What is to be confirmed"),
        (status = 204, description = "For a signed request: `Firsthand-Location` says where to go on"),
        (status = 303, description = "To the order, which shows the acknowledgement"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Another site sent this"),
        (status = 404, content_type = "text/html", body = String),
        (status = 422, content_type = "text/html", body = String, description = "Something has to be mended, and is said beside its field"),
    )
))]
pub(crate) async fn withdraw(State(merchant): State<Merchant>, Named(name): Named, caller: Caller) -> Response {
    let answer = async {
        let sent = caller.read()?;
        match door(&merchant, &caller, &name).await? {
            Door::Order(order) => stated(&caller, &name, &order, &sent).await,
            closed => Ok(closed.answer(&merchant, &caller, &name)),
        }
    };
    caller.finish(&merchant, answer.await)
}

async fn stated(caller: &Caller, name: &str, order: &Order, sent: &Sent) -> Result<Response, Trouble> {
    let (frame, back) = (caller.frame(), address(caller, name, ""));
    let to_mend = |order: &Order, errors: &Errors, notice: Option<&str>| {
        let step = Step { order, sent: Some(sent), errors, notice };
        Ok(caller.page(StatusCode::UNPROCESSABLE_ENTITY, step.choose(&frame, &back)))
    };
    if sent.act != "confirm" {
        let (parts, errors) = chosen(caller.lang, order, sent);
        if !errors.is_empty() {
            return to_mend(order, &errors, None);
        }
        let step = Step { order, sent: Some(sent), errors: &errors, notice: None };
        let html = if sent.act == "change" { step.choose(&frame, &back) } else { step.confirm(&frame, &back, &parts) };
        return Ok(caller.page(StatusCode::OK, html));
    }
    let Some(parts) = named(sent) else {
        return to_mend(order, &chosen(caller.lang, order, sent).1, None);
    };
    // What was said before with this key is that withdrawal, also where nothing is left to withdraw from by now.
    let said = async { order.withdraw(parts, &sent.key).await?.commit().await };
    match said.await {
        Ok(_) => Ok(caller.to(&address(caller, name, "said=withdrawn"))),
        Err(Error::Order(OrderError::Over(_))) => Ok(caller.to(&back)),
        Err(Error::Order(refused)) => {
            let order = order.reload().await?;
            let (_, errors) = chosen(caller.lang, &order, sent);
            let notice = match refused {
                _ if !errors.is_empty() => None,
                OrderError::After(AfterError::KeyDiffers) => Some(caller.lang.say(
                    "You withdrew from something in another tab or window meanwhile. Here is what is left; this did not count.",
                    "Sie haben inzwischen in einem anderen Tab oder Fenster etwas widerrufen. Das ist noch übrig; dies hier zählte nicht.",
                )),
                OrderError::After(AfterError::Full) => Some(caller.lang.say(
                    "This order has had so many withdrawals that this page takes no more. Please write to the shop.",
                    "Diese Bestellung hatte schon so viele Widerrufe, dass diese Seite keinen mehr annimmt. Bitte schreiben Sie dem Shop.",
                )),
                _ => Some(caller.lang.say(
                    "That could not be read as you meant it. Please choose once more.",
                    "Das war nicht so zu lesen, wie Sie es meinten. Bitte wählen Sie noch einmal.",
                )),
            };
            to_mend(&order, &errors, notice)
        }
        Err(error) => Err(error.into()),
    }
}

/// What was named; none if a number of something cannot be read.
fn named(sent: &Sent) -> Option<Vec<Part>> {
    let parts = sent.items.iter().filter(|(_, typed)| !is_none(typed));
    parts.map(|(item, typed)| Some(Part::new(item.clone(), typed.parse::<Quantity>().ok()?))).collect()
}

/// What was chosen, and what is wrong with it beside its field: the place of its item among those that are open.
fn chosen(lang: Lang, order: &Order, sent: &Sent) -> (Vec<Part>, Errors) {
    let (mut parts, mut errors) = (Vec::new(), Errors::new());
    let withdrawal = order.withdrawal();
    let open = || withdrawal.lines.iter().filter(|line| line.stands == Eligibility::Open);
    for (item, typed) in sent.items.iter().filter(|(_, typed)| !is_none(typed)) {
        let place = open().position(|line| line.item == *item);
        let field = place.map_or_else(|| "quantity-0".to_owned(), |place| format!("quantity-{place}"));
        let left = open().find(|line| line.item == *item).map_or(0, |line| line.left);
        match typed.parse::<Quantity>() {
            Err(_) => errors.push((field, lang.say("A whole number, from 0.", "Eine ganze Zahl, ab 0.").to_owned())),
            Ok(_) if left == 0 => errors.push((
                field,
                lang.say(
                    "Something that you chose cannot be withdrawn from any more.",
                    "Etwas, das Sie gewählt haben, kann nicht mehr widerrufen werden.",
                )
                .to_owned(),
            )),
            Ok(quantity) if quantity.count() > left => {
                errors.push((field, format!("{} {left}.", lang.say("At most", "Höchstens"))));
            }
            Ok(quantity) => parts.push(Part::new(item.clone(), quantity)),
        }
    }
    if parts.is_empty() && errors.is_empty() {
        let text = lang.say("Choose at least one thing.", "Wählen Sie mindestens ein Stück.");
        errors.push(("quantity-0".to_owned(), text.to_owned()));
    }
    (parts, errors)
}

/// A step of a withdrawal, as it is shown.
struct Step<'a> {
    order: &'a Order,
    /// What was sent, where that is to be mended or confirmed.
    sent: Option<&'a Sent>,
    errors: &'a Errors,
    /// What is wrong with the whole.
    notice: Option<&'a str>,
}

impl Step<'_> {
    /// From what.
    fn choose(&self, frame: &Frame<'_>, back: &str) -> String {
        let title = frame.say("Withdraw from the contract", "Vertrag widerrufen");
        let withdrawal = self.order.withdrawal();
        let mut main = self.head(frame, title);
        main.push_str(&self.summary(frame));
        let _ = writeln!(
            main,
            "<p>{} {}</p>\n{}<ul class=\"lines\">",
            frame.say(
                "Say from what. You need not say why, and we ask for nothing else: this page knows the order.",
                "Sagen Sie, wovon. Warum, müssen Sie nicht sagen, und sonst fragen wir nichts: Diese Seite kennt die Bestellung.",
            ),
            after::until(frame, &withdrawal),
            self.form(frame),
        );
        let open = withdrawal.lines.iter().filter(|line| line.stands == Eligibility::Open);
        for (place, line) in open.enumerate() {
            main.push_str(&self.field(frame, place, line));
        }
        for line in withdrawal.lines.iter().filter(|line| line.stands != Eligibility::Open) {
            let why = match line.stands {
                Eligibility::Exempt => {
                    frame.say("The law gives no right of withdrawal here.", "Hier gibt das Gesetz kein Widerrufsrecht.")
                }
                Eligibility::Late => frame.say("The time to withdraw is over.", "Die Widerrufsfrist ist um."),
                _ => frame.say("Withdrawn from or given back already.", "Schon widerrufen oder zurückgegeben."),
            };
            let _ = writeln!(
                main,
                "<li><p class=\"title\">{}</p><p class=\"each\">{why}</p></li>",
                escape(frame.own(&line.title))
            );
        }
        let _ = writeln!(
            main,
            "</ul>\n<p><button class=\"main\" name=\"act\" value=\"choose\">{}</button></p>\n</form>\n{}</div>",
            frame.say("Next: confirm", "Weiter zum Bestätigen"),
            to_order(frame, back),
        );
        let shown = match self.errors.is_empty() {
            true => title.to_owned(),
            false => format!("{} {title}", frame.say("Please check:", "Bitte prüfen:")),
        };
        frame.html(&shown, "", &main)
    }

    /// What exactly, and the button that states it.
    fn confirm(&self, frame: &Frame<'_>, back: &str, parts: &[Part]) -> String {
        let title = frame.say("Confirm your withdrawal", "Widerruf prüfen und bestätigen");
        let mut main = self.head(frame, title);
        let _ = writeln!(
            main,
            "<p>{}</p>\n<ul class=\"lines\">",
            frame.say("You withdraw from the contract about:", "Sie widerrufen den Vertrag über:")
        );
        for part in parts {
            let _ = writeln!(
                main,
                "<li><p class=\"title\">{}</p></li>",
                after::things(frame, self.order, std::slice::from_ref(part))
            );
        }
        let _ = writeln!(
            main,
            "</ul>\n<p>{}</p>\n{}",
            frame.say(
                "We confirm at once that we have it, with day and time, and pay back within fourteen days. We may wait for that until the goods are back, or you show that you have sent them.",
                "Wir bestätigen den Eingang sofort mit Tag und Uhrzeit und zahlen binnen vierzehn Tagen zurück. Damit dürfen wir warten, bis die Ware wieder da ist oder Sie zeigen, dass Sie sie abgeschickt haben.",
            ),
            self.form(frame),
        );
        for part in parts {
            let _ = writeln!(
                main,
                "<input type=\"hidden\" name=\"item\" value=\"{}\"><input type=\"hidden\" name=\"quantity\" value=\"{}\">",
                escape(&part.item),
                part.quantity
            );
        }
        let _ = writeln!(
            main,
            "<p class=\"acts\"><button class=\"main\" name=\"act\" value=\"confirm\">{}</button>\n<button name=\"act\" value=\"change\">{}</button></p>\n</form>\n{}</div>",
            frame.say("Confirm withdrawal", "Widerruf bestätigen"),
            frame.say("Change it", "Ändern"),
            to_order(frame, back),
        );
        frame.html(title, "", &main)
    }

    fn head(&self, frame: &Frame<'_>, title: &str) -> String {
        format!(
            "<div class=\"narrow\">\n<h1>{title}</h1>\n<p>{} <strong class=\"number\">{}</strong></p>\n",
            frame.say("Order number", "Bestellnummer"),
            escape(&grouped(self.order.reference().as_str())),
        )
    }

    /// The form's beginning. From step to step it has the same key, so that a withdrawal is one.
    fn form(&self, frame: &Frame<'_>) -> String {
        let is_used = |key: &str| self.order.acknowledgements().iter().any(|it| it.key == key);
        let kept = self.sent.map(|sent| sent.key.as_str()).filter(|key| !key.is_empty() && !is_used(key));
        let key = kept.map_or_else(|| new_key(self.order), str::to_owned);
        format!(
            "<form method=\"post\" action=\"{}\" novalidate>\n<input type=\"hidden\" name=\"key\" value=\"{}\">\n",
            escape(&frame.here("")),
            escape(&key)
        )
    }

    fn field(&self, frame: &Frame<'_>, place: usize, line: &WithdrawalLine) -> String {
        let field = format!("quantity-{place}");
        let typed = self.sent.map(|sent| {
            let typed = sent.items.iter().find(|(item, _)| *item == line.item);
            typed.map_or("0", |(_, typed)| typed.as_str()).to_owned()
        });
        let errors: Vec<String> =
            self.errors.iter().filter(|(name, _)| *name == field).map(|(_, text)| escape(text)).collect();
        let (invalid, told) = match errors.is_empty() {
            true => ("", String::new()),
            false => (
                " aria-invalid=\"true\"",
                format!("<p class=\"error\" id=\"{field}-error\">{}</p>\n", errors.join(" ")),
            ),
        };
        let described = if invalid.is_empty() { String::new() } else { format!(" {field}-error") };
        let sealed = matches!(line.exemption, Some(Exemption::SealedHygiene | Exemption::SealedMedia)).then(|| {
            let text =
                frame.say("We take it back with its seal unbroken.", "Wir nehmen es mit unverletztem Siegel zurück.");
            format!("<p class=\"note\">{text}</p>\n")
        });
        format!(
            "<li>
<p class=\"title\">{title}</p>
{sealed}<div class=\"many\"><label for=\"{field}\">{many}<span class=\"unseen\">: {title}</span></label>
<input type=\"hidden\" name=\"item\" value=\"{item}\">
<input id=\"{field}\" name=\"quantity\" inputmode=\"numeric\" autocomplete=\"off\" value=\"{value}\" aria-describedby=\"{field}-left{described}\"{invalid}>
<span class=\"each\" id=\"{field}-left\">{of} {left}</span></div>
{told}</li>
",
            title = escape(frame.own(&line.title)),
            sealed = sealed.unwrap_or_default(),
            many = frame.say("How many", "Wie viele"),
            item = escape(&line.item),
            value = escape(&typed.unwrap_or_else(|| line.left.to_string())),
            of = frame.say("of", "von"),
            left = line.left,
        )
    }

    /// What has to be mended, at the top, with the focus on it.
    fn summary(&self, frame: &Frame<'_>) -> String {
        let mut items: String = self
            .errors
            .iter()
            .map(|(field, text)| format!("<li><a href=\"#{}\">{}</a></li>", escape(field), escape(text)))
            .collect();
        if let Some(notice) = self.notice {
            let _ = write!(items, "<li>{notice}</li>");
        }
        if items.is_empty() {
            return items;
        }
        format!(
            "<div class=\"summary\" role=\"alert\" tabindex=\"-1\" autofocus aria-labelledby=\"summary\">
<h2 id=\"summary\">{}</h2>
<ul>{items}</ul>
</div>
",
            frame.say("This is not withdrawn from yet", "Das ist noch nicht widerrufen")
        )
    }
}

/// A key that no withdrawal of this order has: two tabs have the same one, so that only one of them counts.
fn new_key(order: &Order) -> String {
    let used = order.acknowledgements();
    let from = used.len().saturating_add(1);
    let mut keys = (from..from.saturating_add(from)).map(|number| format!("w{number}"));
    keys.find(|key| used.iter().all(|it| it.key != *key)).unwrap_or_default()
}

fn to_order(frame: &Frame<'_>, back: &str) -> String {
    format!(
        "<p><a class=\"button\" href=\"{}\">{}</a></p>\n",
        escape(back),
        frame.say("Back to the order", "Zurück zur Bestellung")
    )
}
