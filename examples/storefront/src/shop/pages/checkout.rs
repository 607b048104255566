use maud::{Markup, html};

use super::{lines_of, lost_something};
use crate::shop::{
    Customer, Recipient,
    catalogue::Kind,
    delivery::{AddressForm, Country, FieldError, LINE_MAX},
    legal::Leaf,
    money::{decimal, euros},
    order::{Before, CheckoutView, grouped},
    page::Page,
    view::View,
};

/// The till: what is in the basket, where it goes, and one button.
#[must_use]
pub fn checkout(view: &View, customer: Option<&Customer>, shown: &CheckoutView) -> Page {
    let title = view.say("The till", "Kasse");
    let main = html! {
        section.narrow.checkout {
            h1 { (title) }
            (lost_something(view, &view.cart, &shown.shorts))
            @if let Some(repeated) = &shown.repeated { (ordered_before(view, repeated)) }
            @if view.cart.is_empty() {
                p.lead { (view.say("There is nothing in your basket.", "In Ihrem Korb liegt nichts.")) }
                p.doors {
                    a.button href=(view.href("/#tea")) { (view.say("To the tea", "Zum Tee")) }
                    a.button.outline href=(view.href("/#wine")) { (view.say("Down to the wine", "Hinab zum Wein")) }
                }
            } @else {
                (lines_of(view, view.cart.lines()))
                p.total {
                    span { (view.say("Together, tax and delivery included", "Zusammen, inkl. MwSt. und Versand")) }
                    " "
                    strong { (euros(view.cart.total_minor(), view.language)) }
                }
                // What was typed stays: the script replaces a stranger's part by the customer's only where it is marked.
                @let as_typed = shown.repeated.is_some() || !shown.errors.is_empty();
                div data-firsthand=[(!as_typed).then_some("till")] {
                    @if needs_age(view, customer) { (age(view)) } @else { (delivery_and_order(view, customer, shown)) }
                }
            }
        }
    };
    Page::new(view, customer, title, main).private()
}

fn needs_age(view: &View, customer: Option<&Customer>) -> bool {
    view.cart.of(Kind::Wine).next().is_some() && !customer.is_some_and(|customer| customer.adult)
}

/// What stands between wine and whoever has not shown that they are an adult.
fn age(view: &View) -> Markup {
    let tea = view.cart.without_wine();
    html! {
        div.gate {
            h2 { (view.say("There is wine in your basket. Are you over 18?", "In Ihrem Korb liegt Wein. Sind Sie über 18?")) }
            p {
                (view.say(
                    "Your wallet can answer this with yes, and keep name, face and birthday to itself. We note that you are an \
                     adult, and the day on which you showed it.",
                    "Ihre Wallet kann das mit Ja beantworten und Name, Gesicht und Geburtstag für sich behalten. Wir notieren, dass \
                     Sie erwachsen sind, und den Tag, an dem Sie es gezeigt haben.",
                ))
            }
            firsthand-button ask="age" {}
            noscript {
                p.notice {
                    (view.say(
                        "Without JavaScript this page cannot ask a wallet. Tea can be ordered all the same.",
                        "Ohne JavaScript kann diese Seite keine Wallet fragen. Tee können Sie trotzdem bestellen.",
                    ))
                }
            }
            @if tea.is_empty() {
                p.small {
                    (view.say(
                        "No wallet? Then we may sell you tea, and gladly do: that needs no proof of anything.",
                        "Keine Wallet? Dann dürfen wir Ihnen Tee verkaufen, und das gern: Dafür muss niemand etwas nachweisen.",
                    ))
                }
                p { a.button.outline href=(view.href("/#tea")) { (view.say("To the tea", "Zum Tee")) } }
            } @else {
                p.small {
                    (view.say(
                        "No wallet? The tea needs no proof of anything; order that, and leave the wine with us.",
                        "Keine Wallet? Für den Tee muss niemand etwas nachweisen; bestellen Sie ihn, und lassen Sie den Wein hier.",
                    ))
                }
                p {
                    a.button.outline href=(view.with(tea).href("/checkout")) {
                        (view.say("Go on with the tea alone", "Nur mit dem Tee weiter"))
                    }
                }
            }
        }
    }
}

fn delivery_and_order(view: &View, customer: Option<&Customer>, shown: &CheckoutView) -> Markup {
    let recipient = customer.and_then(|customer| customer.recipient.as_ref());
    html! {
        @if recipient.is_none() { (ask_wallet(view)) }
        form.order method="post" action=(view.href("/checkout")) {
            input type="hidden" name="form" value=(shown.form);
            input type="hidden" name="cart" value=(view.cart.text());
            input type="hidden" name="total" value=(decimal(view.cart.total_minor(), '.'));
            @if shown.repeated.is_some() { input type="hidden" name="again" value="1"; }
            @match recipient {
                Some(recipient) => (choice(view, recipient, shown)),
                None => fieldset {
                    legend { (view.say("Where to?", "Wohin?")) }
                    input type="hidden" name="delivery" value="typed";
                    (typed(view, shown, true))
                }
            }
            div.place {
                p.total {
                    span { (view.say("To pay, tax and delivery included", "Zu zahlen, inkl. MwSt. und Versand")) }
                    " "
                    strong { (euros(view.cart.total_minor(), view.language)) }
                }
                p.small {
                    (view.say("Of that VAT: ", "Darin MwSt.: "))
                    @for (place, (percent, minor)) in view.cart.taxes().into_iter().enumerate() {
                        @if place > 0 { ", " }
                        (percent) " % " (euros(minor, view.language))
                    }
                }
                (terms(view))
                button type="submit" {
                    // The words that German law wants on this button, and no others (BGB 312j).
                    (view.say("Place the order and pay by bank transfer", "Zahlungspflichtig bestellen"))
                }
                p.small {
                    (view.say(
                        "The next page says where to transfer the money. The parcel leaves when it has come.",
                        "Sie zahlen per Überweisung; wohin, steht auf der nächsten Seite. Das Paket geht los, sobald das Geld da ist.",
                    ))
                    @if customer.is_none() {
                        " "
                        (view.say(
                            "You order as a guest: you get a link to your order, and we make no record of you.",
                            "Sie bestellen als Gast: Sie bekommen einen Link zu Ihrer Bestellung, und wir legen nichts über Sie an.",
                        ))
                    }
                }
            }
        }
    }
}

/// What the customer agrees to, and is told of, before the button.
fn terms(view: &View) -> Markup {
    html! {
        p.small {
            @for (place, leaf) in Leaf::ALL.into_iter().enumerate() {
                @if place > 0 { " · " }
                a href=(view.href(leaf.path())) target="_blank" rel="noopener" { (leaf.title().in_language(view.language)) }
            }
        }
    }
}

/// That the same was ordered a moment ago, before it is ordered once more.
fn ordered_before(view: &View, before: &Before) -> Markup {
    html! {
        p.notice role="alert" {
            @match before {
                Before::Theirs(repeated) => {
                    (view.say("You ordered this on ", "Das haben Sie am "))
                    (view.language.moment(repeated.placed_s))
                    (view.say(": ", " bestellt: ")) code { (grouped(&repeated.number)) } ". "
                    (view.say(
                        "Nothing more was ordered. Press the button below only if you want it a second time.",
                        "Mehr wurde nicht bestellt. Drücken Sie den Knopf unten nur, wenn Sie es ein zweites Mal möchten.",
                    ))
                },
                Before::Somebodys => {
                    (view.say(
                        "The same was ordered to this address within the last ten minutes. If that was you, your order counts, \
                         and its page is the one that you were shown then; nothing more was ordered now. Press the button below \
                         only if you want it a second time, or if it was not you.",
                        "Dasselbe wurde in den letzten zehn Minuten an diese Anschrift bestellt. Wenn Sie das waren, gilt Ihre \
                         Bestellung, und ihre Seite ist die, die Sie danach gesehen haben; jetzt wurde nichts bestellt. Drücken Sie \
                         den Knopf unten nur, wenn Sie es ein zweites Mal möchten oder es nicht Sie waren.",
                    ))
                },
            }
        }
    }
}

fn ask_wallet(view: &View) -> Markup {
    html! {
        div.gate.address {
            h2 { (view.say("Let your wallet fill in the address", "Lassen Sie Ihre Wallet die Anschrift ausfüllen")) }
            p {
                (view.say(
                    "It shows your name and address, and nothing else. They go onto the parcel and are erased afterwards. Or type \
                     them below.",
                    "Sie zeigt Name und Anschrift, sonst nichts. Beides kommt auf das Paket und wird danach gelöscht. Oder tippen Sie es \
                     unten ein.",
                ))
            }
            firsthand-button ask="address" {}
        }
    }
}

/// A wallet's address, or another one after all.
fn choice(view: &View, recipient: &Recipient, shown: &CheckoutView) -> Markup {
    html! {
        fieldset.choice {
            legend { (view.say("Where to?", "Wohin?")) }
            label.option {
                input type="radio" name="delivery" value="wallet" checked[!shown.typed_wanted];
                span { (view.say("To the address from your wallet", "An die Anschrift aus Ihrer Wallet")) }
            }
            (label(recipient))
            p.small {
                @if recipient.masked {
                    (view.say(
                        "It came from another device, so we show its first letters alone. The parcel gets the whole of it.",
                        "Sie kam von einem anderen Gerät, darum zeigen wir nur die ersten Buchstaben. Das Paket bekommt sie ganz.",
                    ))
                } @else {
                    (view.say(
                        "Shown by your wallet just now. It goes onto the parcel and is erased afterwards.",
                        "Eben von Ihrer Wallet gezeigt. Sie kommt auf das Paket und wird danach gelöscht.",
                    ))
                }
            }
            label.option {
                input type="radio" name="delivery" value="typed" checked[shown.typed_wanted];
                span { (view.say("Somewhere else", "Woandershin")) }
            }
            div.elsewhere { (typed(view, shown, false)) }
        }
    }
}

/// An address as it stands on a parcel.
pub(super) fn label(recipient: &Recipient) -> Markup {
    html! {
        address.label {
            strong { (recipient.name) }
            @for line in &recipient.lines { br; (line) }
        }
    }
}

/// The fields of an address. They are `required` only where nothing else is to be chosen.
fn typed(view: &View, shown: &CheckoutView, required: bool) -> Markup {
    let (typed, errors) = (&shown.typed, &shown.errors);
    let field = |name, label, autocomplete, value, error| {
        field(view, &Field { name, label, autocomplete, value, error, required })
    };
    html! {
        @if !errors.is_empty() {
            p.notice role="alert" {
                @if errors.is_missing() {
                    (view.say(
                        "Something is missing for the label. Nothing was ordered yet.",
                        "Für das Etikett fehlt noch etwas. Bestellt ist noch nichts.",
                    ))
                } @else {
                    (view.say(
                        "Something of the address cannot be right: see below. Nothing was ordered yet.",
                        "An der Anschrift stimmt etwas nicht: siehe unten. Bestellt ist noch nichts.",
                    ))
                }
            }
        }
        div.fields {
            (field("name", view.say("Name", "Name"), "shipping name", &typed.name, name_error(view, errors.name)))
            (field(
                "street",
                view.say("Street and number", "Straße und Hausnummer"),
                "shipping address-line1",
                &typed.street,
                line_error(view, errors.street, view.say("Which street?", "Welche Straße?")),
            ))
            // Where none is needed the country alone says, which is chosen in the same form.
            (self::field(view, &Field {
                name: "postal_code",
                label: view.say("Postal code", "Postleitzahl"),
                autocomplete: "shipping postal-code",
                value: &typed.postal_code,
                error: postal_error(view, errors.postal_code, typed),
                required: false,
            }))
            (field(
                "place",
                view.say("Town", "Ort"),
                "shipping address-level2",
                &typed.place,
                line_error(view, errors.place, view.say("Which town?", "Welcher Ort?")),
            ))
            (country(view, typed, errors.country))
        }
    }
}

struct Field<'a> {
    name: &'static str,
    label: &'static str,
    autocomplete: &'static str,
    value: &'a str,
    error: Option<&'static str>,
    required: bool,
}

fn field(view: &View, field: &Field<'_>) -> Markup {
    let explained = format!("{}-error", field.name);
    html! {
        label.field.{ "of-" (field.name) } {
            span { (field.label) }
            input type="text" name=(field.name) value=(field.value) autocomplete=(field.autocomplete) maxlength=(LINE_MAX)
                required[field.required] aria-invalid=[field.error.map(|_| "true")]
                aria-describedby=[field.error.map(|_| &explained)] lang=(view.language.tag());
            @if let Some(error) = field.error { span.error id=(explained) { (error) } }
        }
    }
}

fn country(view: &View, typed: &AddressForm, error: Option<FieldError>) -> Markup {
    let chosen = if typed.country.is_empty() { "DE" } else { &typed.country };
    let known = Country::find(chosen).is_some();
    html! {
        label.field.of-country {
            span { (view.say("Country", "Land")) }
            select name="country" autocomplete="shipping country" aria-invalid=[error.map(|_| "true")]
                aria-describedby=[error.map(|_| "country-error")] {
                @if !known { option value="" selected { (view.say("Please choose", "Bitte wählen")) } }
                @for country in Country::all(view.language) {
                    option value=(country.code) selected[country.code == chosen] { (country.name.in_language(view.language)) }
                }
            }
            @if error.is_some() {
                span.error #country-error {
                    (view.say("We send to countries of the European Union.", "Wir senden in die Länder der Europäischen Union."))
                }
            }
        }
    }
}

fn name_error(view: &View, error: Option<FieldError>) -> Option<&'static str> {
    line_error(view, error, view.say("Who will open the door?", "Wer macht die Tür auf?"))
}

fn line_error(view: &View, error: Option<FieldError>, missing: &'static str) -> Option<&'static str> {
    Some(match error? {
        FieldError::Missing => missing,
        FieldError::TooLong => {
            view.say("At most 70 characters fit onto the label.", "Auf das Etikett passen höchstens 70 Zeichen.")
        }
        FieldError::Unreadable => {
            view.say("This cannot be printed on a label.", "Das lässt sich nicht auf ein Etikett drucken.")
        }
    })
}

fn postal_error(view: &View, error: Option<FieldError>, typed: &AddressForm) -> Option<&'static str> {
    if error? == FieldError::Unreadable && Country::find(typed.country.trim()).is_some() {
        return Some(view.say("That country has no such postal code.", "So sieht dort keine Postleitzahl aus."));
    }
    line_error(view, error, view.say("Which postal code?", "Welche Postleitzahl?"))
}
