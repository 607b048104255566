//! What a browser sends from the checkout page: a stranger's words until they are read.

use firsthand::{
    checkout::Wishes,
    merchant::Basket,
    money::Quantity,
    order::{Address, DeliverySource},
    trade::ITEMS_MAX,
};

use crate::lang::Lang;

/// The most fields that are read.
const FIELDS_MAX: usize = 400;
/// The longest field of an address, in bytes: as the library has it.
const FIELD_BYTES_MAX: usize = 200;

/// The fields of an address, in their order.
pub(super) const FIELDS: [&str; 5] = ["name", "street", "postal_code", "locality", "country"];

/// An address as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// By [`FIELDS`].
    fields: [String; 5],
}

impl Typed {
    pub(super) fn of(address: &Address) -> Self {
        let Address { name, street, postal_code, locality, country } = address;
        Self { fields: [name, street, postal_code, locality, country].map(Clone::clone) }
    }

    pub(super) fn field(&self, name: &str) -> &str {
        let place = FIELDS.iter().position(|field| *field == name);
        place.and_then(|place| self.fields.get(place)).map_or("", String::as_str)
    }

    /// Whether anything but a country, which is chosen from the beginning, was typed.
    fn is_empty(&self) -> bool {
        self.fields.iter().take(4).all(|field| field.trim().is_empty())
    }

    fn address(&self) -> Address {
        let field = |name| self.field(name).trim().to_owned();
        Address {
            name: field("name"),
            street: field("street"),
            postal_code: field("postal_code"),
            locality: field("locality"),
            country: field("country"),
        }
    }
}

/// What was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// Which button.
    pub(super) act: String,
    /// The revision that the customer saw.
    pub(super) revision: u64,
    /// The total that they saw, in minor units.
    pub(super) total: Option<i64>,
    /// What makes this form one act.
    pub(super) key: String,
    /// Item and quantity, as typed.
    pub(super) items: Vec<(String, String)>,
    pub(super) codes: Vec<String>,
    pub(super) claims: Vec<String>,
    pub(super) way: Option<String>,
    pub(super) vat_id: String,
    pub(super) rail: String,
    pub(super) address: Typed,
    /// The token of the shop's own form, if it has one.
    pub(super) form: Option<String>,
}

/// What is wrong with a field, by its name.
pub(super) type Errors = Vec<(String, String)>;

impl Sent {
    /// Reads a form. What is not known is not looked at.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut sent = Self::default();
        for (name, value) in url::form_urlencoded::parse(bytes).take(FIELDS_MAX) {
            let value = value.into_owned();
            match name.as_ref() {
                "act" => sent.act = value,
                "remove" => {
                    sent.act = "update".to_owned();
                    sent.items.retain(|(item, _)| *item != value);
                }
                "revision" => sent.revision = value.parse().unwrap_or_default(),
                "total" => sent.total = value.parse().ok(),
                "key" => sent.key = value,
                "item" => sent.items.push((value, "1".to_owned())),
                "quantity" => {
                    if let Some((_, quantity)) = sent.items.last_mut() {
                        *quantity = value.trim().to_owned();
                    }
                }
                "code" if !value.trim().is_empty() => sent.codes.push(value.trim().to_owned()),
                "claim" => sent.claims.push(value),
                "way" => sent.way = Some(value),
                "vat_id" => sent.vat_id = value.trim().to_owned(),
                "rail" => sent.rail = value,
                "form" => sent.form = Some(value),
                other => {
                    let place = FIELDS.iter().position(|field| *field == other);
                    if let Some(field) = place.and_then(|place| sent.address.fields.get_mut(place)) {
                        *field = value;
                    }
                }
            }
        }
        sent
    }

    /// What the customer wants, and what cannot be read of it. Of nothing, nothing is wanted.
    pub(super) fn wishes(&self, lang: Lang) -> (Wishes, Errors) {
        let mut errors = Errors::new();
        let mut wishes = Wishes::new();
        for (place, (item, typed)) in self.items.iter().enumerate() {
            if typed == "0" || typed.is_empty() {
                continue;
            }
            match typed.parse::<Quantity>() {
                Ok(quantity) => wishes = wishes.item(item, quantity),
                Err(_) => errors.push((
                    format!("quantity-{place}"),
                    lang.say("A whole number, from 0.", "Eine ganze Zahl, ab 0.").to_owned(),
                )),
            }
        }
        if wishes.items.len() > ITEMS_MAX {
            let text = lang.say("At most 50 different things at once.", "Höchstens 50 verschiedene Dinge auf einmal.");
            errors.push(("quantity-0".to_owned(), text.to_owned()));
        }
        wishes.codes.clone_from(&self.codes);
        wishes.claims.clone_from(&self.claims);
        wishes.way.clone_from(&self.way);
        wishes.vat_id = Some(self.vat_id.clone()).filter(|id| !id.is_empty());
        (wishes, errors)
    }

    /// The basket of the form. `known` is the address that the checkout has, and who told it: what is typed again as it was is
    /// no new address, and nothing typed leaves it. `ordering` says that an address is needed now.
    pub(super) fn basket(
        &self,
        lang: Lang,
        known: Option<(&Address, DeliverySource)>,
        needed: bool,
        countries: &[String],
    ) -> (Basket, Errors) {
        let (wishes, mut errors) = self.wishes(lang);
        let basket = Basket::from(wishes);
        let typed = self.address.address();
        let is_known = known.is_some_and(|(address, source)| source == DeliverySource::Typed && *address == typed);
        if is_known || (self.address.is_empty() && (known.is_some() || !needed)) {
            return (basket, errors);
        }
        errors.extend(wrong(lang, &typed, countries));
        (basket.deliver_to(typed), errors)
    }
}

/// All that is wrong with an address.
fn wrong(lang: Lang, address: &Address, countries: &[String]) -> Errors {
    let mut errors = Errors::new();
    let missing = [
        ("name", &address.name, lang.say("Enter a name.", "Geben Sie einen Namen an.")),
        ("street", &address.street, lang.say("Enter the street and number.", "Geben Sie Straße und Hausnummer an.")),
        ("locality", &address.locality, lang.say("Enter the town.", "Geben Sie den Ort an.")),
    ];
    for (name, text, wanted) in missing {
        if text.is_empty() {
            errors.push((name.to_owned(), wanted.to_owned()));
        }
    }
    let all = [
        ("name", &address.name),
        ("street", &address.street),
        ("postal_code", &address.postal_code),
        ("locality", &address.locality),
    ];
    for (name, text) in all {
        if text.len() > FIELD_BYTES_MAX || text.chars().any(char::is_control) {
            let text = lang.say("This is too long, or no plain text.", "Das ist zu lang oder kein einfacher Text.");
            errors.push((name.to_owned(), text.to_owned()));
        }
    }
    if !countries.contains(&address.country) {
        errors.push(("country".to_owned(), lang.say("Choose a country.", "Wählen Sie ein Land.").to_owned()));
    } else if address.country == "DE" && !is_german_code(&address.postal_code) {
        let text = lang.say("A German postal code has five digits.", "Eine Postleitzahl hat fünf Ziffern.");
        errors.push(("postal_code".to_owned(), text.to_owned()));
    }
    // As they stand on the page.
    errors.sort_by_key(|(name, _)| FIELDS.iter().position(|field| field == name));
    errors
}

fn is_german_code(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn countries() -> Vec<String> {
        vec!["DE".to_owned(), "AT".to_owned()]
    }

    #[test]
    fn a_form_is_read_as_it_was_meant() {
        let sent = Sent::read(
            b"act=complete&revision=3&total=1480&key=k&item=tea&quantity=2&item=book&quantity=0&code=+a+&code=&way=dhl&x=y",
        );
        assert_eq!((sent.act.as_str(), sent.revision, sent.total), ("complete", 3, Some(1480)));
        let (wishes, errors) = sent.wishes(Lang::En);
        assert!(errors.is_empty());
        assert_eq!(wishes.items, [("tea".to_owned(), Quantity::new(2).unwrap())]);
        assert_eq!((wishes.codes, wishes.way.as_deref()), (vec!["a".to_owned()], Some("dhl")));

        let sent = Sent::read(b"item=tea&quantity=2&item=book&quantity=1&remove=tea");
        assert_eq!((sent.act.as_str(), sent.items.len()), ("update", 1));
        for wrong in ["-1", "1e3", "99999999", "two", "1.5"] {
            let sent = Sent::read(format!("item=tea&quantity={wrong}").as_bytes());
            assert_eq!(sent.wishes(Lang::De).1.len(), 1, "{wrong}");
        }
        assert!(Sent::read(b"quantity=3").items.is_empty());
    }

    #[test]
    fn an_address_is_new_where_it_was_typed_anew() {
        let sent = Sent::read(b"name=Anna&street=Am+Markt+1&postal_code=10115&locality=Berlin&country=DE");
        let (basket, errors) = sent.basket(Lang::En, None, true, &countries());
        assert!(errors.is_empty());
        let address = basket.address.unwrap();
        assert_eq!(address.locality, "Berlin");
        let same = sent.basket(Lang::En, Some((&address, DeliverySource::Typed)), true, &countries()).0;
        assert!(same.address.is_none());
        let device = firsthand::Device::SameDevice;
        let told = sent.basket(Lang::En, Some((&address, DeliverySource::Wallet(device))), true, &countries()).0;
        assert!(told.address.is_some(), "typed over what a wallet told");
        let empty = Sent::read(b"name=&street=&country=DE");
        assert!(empty.basket(Lang::En, Some((&address, DeliverySource::Typed)), true, &countries()).1.is_empty());
        assert!(empty.basket(Lang::En, None, false, &countries()).1.is_empty());
        let names = |errors: Errors| errors.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let missing = names(empty.basket(Lang::En, None, true, &countries()).1);
        assert_eq!(missing, ["name", "street", "postal_code", "locality"]);
        let half = Sent::read(b"name=Anna&country=FR");
        assert_eq!(names(half.basket(Lang::De, None, false, &countries()).1), ["street", "locality", "country"]);
    }
}
