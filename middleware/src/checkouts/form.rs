//! What a browser sends from the checkout page: a stranger's words until they are read.

use firsthand::{
    checkout::Wishes,
    merchant::Basket,
    money::Quantity,
    order::{Address, DeliverySource, PostalCodes},
    trade::ITEMS_MAX,
};

use super::words;
use crate::lang::Lang;

/// The most fields that are read.
const FIELDS_MAX: usize = 400;
/// The longest field of an address, in bytes: as the library has it.
const FIELD_BYTES_MAX: usize = 200;
/// The longest VAT number, in bytes: the longest there are have 14 characters, and may be typed in groups.
const VAT_ID_BYTES_MAX: usize = 20;

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
                    // It stays in its place, with what is said of the others beside them.
                    for (_, quantity) in sent.items.iter_mut().filter(|(item, _)| *item == value) {
                        *quantity = "0".to_owned();
                    }
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
            if is_none(typed) {
                continue;
            }
            match typed.parse::<Quantity>() {
                Ok(quantity) => wishes = wishes.item(item, quantity),
                Err(_) => errors.push((quantity_field(place), quantity_fault(lang, typed))),
            }
        }
        if wishes.items.len() > ITEMS_MAX {
            let text = lang.say("At most 50 different things at once.", "Höchstens 50 verschiedene Dinge auf einmal.");
            errors.push(("quantity-0".to_owned(), text.to_owned()));
        }
        wishes.codes.clone_from(&self.codes);
        wishes.claims.clone_from(&self.claims);
        wishes.way.clone_from(&self.way);
        let is_number = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'.' | b'-' | b'+' | b'*');
        if self.vat_id.len() > VAT_ID_BYTES_MAX || !self.vat_id.bytes().all(is_number) {
            let text = lang.say(
                "A VAT number has up to 14 letters and digits, such as ATU12345678.",
                "Eine USt-IdNr. hat bis zu 14 Buchstaben und Ziffern, zum Beispiel ATU12345678.",
            );
            errors.push(("vat_id".to_owned(), text.to_owned()));
        } else {
            wishes.vat_id = Some(self.vat_id.clone()).filter(|id| !id.is_empty());
        }
        (wishes, errors)
    }

    /// The basket of the form. What is typed again as it was is no new address, and nothing typed leaves the one that is there.
    /// `ordering` says that an address is needed now: until then one that is not whole is kept as it is.
    pub(super) fn basket(
        &self,
        lang: Lang,
        known: Known<'_>,
        ordering: bool,
        countries: &[String],
    ) -> (Basket, Errors) {
        let (wishes, mut errors) = self.wishes(lang);
        let basket = Basket::from(wishes);
        let typed = self.address.address();
        let is_known = known.address.is_some_and(|(it, source)| source == DeliverySource::Typed && *it == typed);
        let is_nothing = self.address.is_empty();
        let is_left = is_nothing && known.address.is_some() && (ordering || known.so_far.is_none());
        if is_known || is_left {
            return (basket, errors);
        }
        let faults = wrong(lang, &typed, countries);
        let is_whole = faults.is_empty();
        let is_fit = faults.iter().all(|fault| fault.kind == Kind::Missing);
        let said = faults.iter().filter(|fault| ordering || fault.kind == Kind::Unfit);
        errors.extend(said.map(|fault| (fault.field.to_owned(), fault.text.clone())));
        if is_whole {
            return (basket.deliver_to(typed), errors);
        }
        let is_new = match known.so_far {
            Some(so_far) => *so_far != typed,
            // A country that was only offered is nobody's word.
            None => !is_nothing || !(typed.country.is_empty() || countries.first() == Some(&typed.country)),
        };
        (if !ordering && is_new && is_fit { basket.typed_so_far(typed) } else { basket }, errors)
    }
}

/// What a checkout knows already of where it goes.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'a> {
    /// An address, and who told it.
    pub(super) address: Option<(&'a Address, DeliverySource)>,
    /// What was typed of one that is not whole.
    pub(super) so_far: Option<&'a Address>,
}

/// Whether none is wanted.
pub(super) fn is_none(typed: &str) -> bool {
    typed.is_empty() || typed.bytes().all(|b| b == b'0')
}

/// The field of a line.
pub(super) fn quantity_field(place: usize) -> String {
    format!("quantity-{place}")
}

/// What is wrong with a quantity.
fn quantity_fault(lang: Lang, typed: &str) -> String {
    let is_count = typed.bytes().all(|b| b.is_ascii_digit()) && !typed.starts_with('0');
    if is_count {
        lang.say("At most 1,000,000 at once.", "Höchstens 1.000.000 auf einmal.").to_owned()
    } else {
        lang.say("A whole number, from 0.", "Eine ganze Zahl, ab 0.").to_owned()
    }
}

/// Something that is wrong with an address.
struct Fault {
    field: &'static str,
    kind: Kind,
    text: String,
}

/// How.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is not there, or not all of it.
    Missing,
    /// It cannot be like this.
    Unfit,
}

/// All that is wrong with an address, as it stands on the page.
fn wrong(lang: Lang, address: &Address, countries: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut add = |field, kind, text: &str| faults.push(Fault { field, kind, text: text.to_owned() });
    let parts = [
        ("name", &address.name, lang.say("Enter a name.", "Geben Sie einen Namen an.")),
        ("street", &address.street, lang.say("Enter the street and number.", "Geben Sie Straße und Hausnummer an.")),
        ("postal_code", &address.postal_code, ""),
        ("locality", &address.locality, lang.say("Enter the town.", "Geben Sie den Ort an.")),
    ];
    for (field, text, wanted) in parts {
        if text.len() > FIELD_BYTES_MAX {
            let text = lang.say("This is too long for a label.", "Das ist zu lang für einen Aufkleber.");
            add(field, Kind::Unfit, text);
        } else if !Address::is_printable(text) {
            let text = lang.say(
                "There is a character in this that cannot be printed on a label. Please type it again.",
                "Darin ist ein Zeichen, das sich nicht auf einen Aufkleber drucken lässt. Bitte tippen Sie es neu.",
            );
            add(field, Kind::Unfit, text);
        } else if field == "postal_code" {
            postal_code_fault(lang, address).iter().for_each(|text| add(field, Kind::Missing, text));
        } else if text.is_empty() {
            add(field, Kind::Missing, wanted);
        }
    }
    if !countries.contains(&address.country) {
        let text = lang.say("Choose a country.", "Wählen Sie ein Land.");
        add("country", if address.country.is_empty() { Kind::Missing } else { Kind::Unfit }, text);
    }
    faults
}

/// What is wrong with the postal code, where it is known how those of the country look.
fn postal_code_fault(lang: Lang, address: &Address) -> Option<String> {
    let codes = PostalCodes::of(&address.country)?;
    if address.postal_code.is_empty() {
        let text = lang.say("Enter the postal code.", "Geben Sie die Postleitzahl an.");
        return codes.are_needed().then(|| text.to_owned());
    }
    let looks = lang.say("postal codes look like", "Postleitzahlen sehen so aus wie");
    let text = || format!("{}: {looks} {}.", words::country(lang, &address.country), codes.example());
    (!codes.fit(&address.postal_code)).then(text)
}

#[cfg(test)]
mod tests {
    use firsthand::merchant::Typed as TypedAddress;

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
        let (wishes, errors) = sent.wishes(Lang::En);
        assert_eq!((sent.act.as_str(), wishes.items.len(), errors.len()), ("update", 1, 0));
        let sent = Sent::read(b"item=tea&quantity=2&item=book&quantity=x&remove=tea");
        assert_eq!(sent.wishes(Lang::En).1[0].0, "quantity-1", "where it stands on the page");
        for wrong in ["-1", "1e3", "99999999", "two", "1.5"] {
            let sent = Sent::read(format!("item=tea&quantity={wrong}").as_bytes());
            assert_eq!(sent.wishes(Lang::De).1.len(), 1, "{wrong}");
        }
        assert!(Sent::read(b"quantity=3").items.is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_quantity_is_said() {
        for (typed, said) in [
            ("1000001", "At most 1,000,000 at once."),
            ("999999999999999999999999", "At most 1,000,000 at once."),
            ("x", "A whole number, from 0."),
            ("-1", "A whole number, from 0."),
            ("1.5", "A whole number, from 0."),
        ] {
            let sent = Sent::read(format!("item=tea&quantity={typed}").as_bytes());
            assert_eq!(sent.wishes(Lang::En).1, [("quantity-0".to_owned(), said.to_owned())], "{typed}");
        }
        for nothing in ["", "0", "000"] {
            let sent = Sent::read(format!("item=tea&quantity={nothing}&item=book").as_bytes());
            assert_eq!(sent.wishes(Lang::En).0.items.len(), 1, "{nothing}");
        }
    }

    #[test]
    fn a_vat_number_that_is_none_is_said() {
        let of = |text: &str| Sent { vat_id: text.to_owned(), ..Sent::default() }.wishes(Lang::En);
        assert_eq!(of("ATU 123.456-78").0.vat_id.as_deref(), Some("ATU 123.456-78"));
        for wrong in ["ATU\u{fffd}", "ÄTU12345678", "AT\nU", "ATU123456789012345678901"] {
            let (wishes, errors) = of(wrong);
            assert_eq!((errors[0].0.as_str(), wishes.vat_id), ("vat_id", None), "{wrong}");
        }
    }

    fn typed<'a>(address: &'a Address) -> Known<'a> {
        Known { address: Some((address, DeliverySource::Typed)), so_far: None }
    }

    #[test]
    fn an_address_is_new_where_it_was_typed_anew() {
        let nobody = Known::default();
        let sent = Sent::read(b"name=Anna&street=Am+Markt+1&postal_code=10115&locality=Berlin&country=DE");
        let (basket, errors) = sent.basket(Lang::En, nobody, true, &countries());
        assert!(errors.is_empty());
        let TypedAddress::Address(address) = basket.typed else { panic!("{basket:?}") };
        assert_eq!(address.locality, "Berlin");
        assert!(sent.basket(Lang::En, typed(&address), true, &countries()).0.typed == TypedAddress::Nothing);
        let told = DeliverySource::Wallet(firsthand::Device::SameDevice);
        let told = Known { address: Some((&address, told)), so_far: None };
        assert!(
            sent.basket(Lang::En, told, true, &countries()).0.typed != TypedAddress::Nothing,
            "typed over what a wallet told"
        );
        let empty = Sent::read(b"name=&street=&country=DE");
        assert!(empty.basket(Lang::En, typed(&address), true, &countries()).1.is_empty());
        assert!(empty.basket(Lang::En, nobody, false, &countries()).1.is_empty());
        let names = |errors: Errors| errors.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let missing = names(empty.basket(Lang::En, nobody, true, &countries()).1);
        assert_eq!(missing, ["name", "street", "postal_code", "locality"]);
        let half = Sent::read(b"name=Anna&country=FR");
        assert_eq!(
            names(half.basket(Lang::De, nobody, true, &countries()).1),
            ["street", "postal_code", "locality", "country"]
        );
    }

    #[test]
    fn a_postal_code_has_the_form_of_its_country() {
        let said = |lang: Lang, country: &str, code: &str| {
            let form = format!("name=Anna&street=Ring+1&postal_code={code}&locality=Wien&country={country}");
            let countries = ["DE", "AT", "IE", "AE"].map(str::to_owned);
            let (basket, errors) = Sent::read(form.as_bytes()).basket(lang, Known::default(), true, &countries);
            assert_eq!(matches!(basket.typed, TypedAddress::Address(_)), errors.is_empty());
            errors.into_iter().map(|(field, text)| format!("{field}: {text}")).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        for (country, code) in [("AT", "1010"), ("AT", "A-1010"), ("DE", "10115"), ("IE", ""), ("AE", ""), ("AE", "12")]
        {
            assert_eq!(said(Lang::En, country, code), none, "{country} {code}");
        }
        assert_eq!(said(Lang::En, "AT", ""), ["postal_code: Enter the postal code."]);
        assert_eq!(said(Lang::En, "AT", "10115"), ["postal_code: Austria: postal codes look like 1010."]);
        let german = "postal_code: Deutschland: Postleitzahlen sehen so aus wie 10115.";
        assert_eq!(said(Lang::De, "DE", "1010"), [german]);
    }

    #[test]
    fn an_address_that_is_not_whole_is_kept_until_something_is_ordered() {
        let nobody = Known::default();
        let kept = |form: &str, known: Known<'_>| {
            let (basket, errors) = Sent::read(form.as_bytes()).basket(Lang::En, known, false, &countries());
            let so_far = match basket.typed {
                TypedAddress::Nothing => None,
                TypedAddress::SoFar(so_far) => Some(so_far),
                TypedAddress::Address(_) => panic!("{form}"),
            };
            (so_far, errors)
        };
        let (so_far, errors) = kept("name=Anna&postal_code=101&country=DE", nobody);
        assert!(errors.is_empty(), "{errors:?}");
        let so_far = so_far.unwrap();
        assert_eq!((so_far.name.as_str(), so_far.postal_code.as_str()), ("Anna", "101"));
        let known = Known { address: None, so_far: Some(&so_far) };
        assert!(kept("name=Anna&postal_code=101&country=DE", known).0.is_none(), "it is there already");
        assert!(kept("name=&postal_code=&country=DE", known).0.is_some(), "it was taken out again");
        // A country that was only offered is nobody's word; another one is.
        assert!(kept("name=&country=DE", nobody).0.is_none());
        assert_eq!(kept("name=&country=AT", nobody).0.unwrap().country, "AT");
        assert!(kept("", nobody).0.is_none(), "a form that asks for no address");
        assert_eq!(
            kept("name=Anna", nobody).0.unwrap().name,
            "Anna",
            "a form of the shop's own that asks for no country"
        );
        for (form, field) in [
            ("name=A%EF%BF%BDna&country=DE", "name"),
            ("name=A%FFna&country=DE", "name"),
            ("name=Anna&street=Am%0AMarkt&country=DE", "street"),
            ("name=Anna&locality=%E2%80%AEnilreB&country=DE", "locality"),
            ("name=Anna&country=XX", "country"),
        ] {
            let (_, errors) = kept(form, nobody);
            assert_eq!(errors.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [field], "{form}");
        }
        // Whoever orders is told what is missing, and nothing is kept of it.
        let (basket, errors) = Sent::read(b"name=Anna&country=DE").basket(Lang::En, nobody, true, &countries());
        assert!(basket.typed == TypedAddress::Nothing && errors.len() == 3, "{errors:?}");
    }
}
