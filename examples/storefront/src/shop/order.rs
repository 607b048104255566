//! What the pages show of an order: plain facts, told by whoever keeps the orders.

use std::fmt;

use serde::Deserialize;

use super::{
    after::AfterView,
    cart::Short,
    delivery::{AddressErrors, AddressForm, Delivery},
    words::Words,
};

/// What the till needs to know besides the cart.
#[derive(Clone, Debug, Default)]
pub struct CheckoutView {
    /// The token of the form: the same form sent twice is one order.
    pub form: String,
    /// What had to be left out of the cart, because it is not there.
    pub shorts: Vec<Short>,
    /// The same order, if it was placed a moment ago: it is asked about before it is placed once more.
    pub repeated: Option<Before>,
    /// What was typed, on a page that comes back.
    pub typed: AddressForm,
    /// What is wrong with it.
    pub errors: AddressErrors,
    /// Whether the customer wants what was typed, though a wallet showed an address.
    pub typed_wanted: bool,
}

/// An order of the same things to the same address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// Its number.
    pub number: String,
    /// When it was placed, in seconds since 1970.
    pub placed_s: i64,
}

/// The same order of a moment ago, as far as it may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// The customer's own.
    Theirs(Repeated),
    /// A guest's: whoever types the same basket and the same address may be somebody else, and is told no more than that.
    Somebodys,
}

/// The form that places an order, as it came.
#[derive(Clone, Debug, Deserialize)]
pub struct OrderForm {
    /// The token of the form.
    pub form: String,
    /// What is bought, written as a [`super::cart::Cart`].
    pub cart: String,
    /// The total that the customer saw, as a decimal: never what the order costs, only what it has to agree with.
    pub total: String,
    /// `1`, if it was said that the same was ordered a moment ago, and is wanted once more.
    #[serde(default)]
    pub again: String,
    /// Where to.
    #[serde(default)]
    pub delivery: DeliveryChoice,
    /// The typed address, if that is wanted.
    #[serde(flatten)]
    pub address: AddressForm,
}

/// Which address a parcel goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryChoice {
    /// The one that was typed.
    #[default]
    Typed,
    /// The one that a wallet has just shown.
    Wallet,
}

/// The form that says where money goes back to.
#[derive(Clone, Deserialize)]
pub struct AccountForm {
    /// Whose account it is.
    pub name: String,
    /// The IBAN, as typed.
    pub iban: String,
}

impl fmt::Debug for AccountForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountForm([redacted])")
    }
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Placed; how it is paid is not settled yet.
    Placed,
    /// A transfer is awaited, and nothing has come.
    Paying,
    /// A transfer is awaited, and a part of it has come.
    PartlyPaid,
    /// Promised by whoever pays for the customer; collected when it is sent.
    Authorised,
    /// Paid in full.
    Paid,
    /// Whoever should have paid for the customer said no.
    Declined,
    /// Nobody knows yet whether it was paid.
    Unknown,
    /// Cancelled.
    Cancelled,
    /// Not paid in time.
    Expired,
}

impl Status {
    /// All of them, in the order in which they may come.
    pub const ALL: [Self; 9] = [
        Self::Placed,
        Self::Paying,
        Self::PartlyPaid,
        Self::Authorised,
        Self::Paid,
        Self::Declined,
        Self::Unknown,
        Self::Cancelled,
        Self::Expired,
    ];

    /// A word or two for it.
    #[must_use]
    pub const fn words(self) -> Words {
        match self {
            Self::Placed => Words("Placed", "Bestellt"),
            Self::Paying => Words("Waiting for the transfer", "Überweisung erwartet"),
            Self::PartlyPaid => Words("Partly paid", "Teilweise bezahlt"),
            Self::Authorised => Words("Payment authorised", "Zahlung zugesagt"),
            Self::Paid => Words("Paid", "Bezahlt"),
            Self::Declined => Words("Payment declined", "Zahlung abgelehnt"),
            Self::Unknown => Words("Payment in doubt", "Zahlung ungewiss"),
            Self::Cancelled => Words("Cancelled", "Storniert"),
            Self::Expired => Words("Expired", "Verfallen"),
        }
    }

    /// Its name in the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Placed | Self::Paying | Self::PartlyPaid | Self::Unknown => "open",
            Self::Authorised | Self::Paid => "good",
            Self::Declined => "bad",
            Self::Cancelled | Self::Expired => "over",
        }
    }
}

/// One line of an order, as it was sold.
#[derive(Clone, Debug)]
pub struct OrderLine {
    /// The product's slug, for its picture and its name in the reader's language.
    pub product: String,
    /// Its name as it was sold, should the product be no more.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// The price of one, in euro cents.
    pub price_minor: i64,
    /// The price of the line, in euro cents.
    pub sum_minor: i64,
}

/// A drawing in SVG that the program made itself, such as a QR code: it goes into the page as it is.
#[derive(Clone)]
pub struct Drawing(String);

impl Drawing {
    /// Takes markup that the program itself made. Never anybody's text.
    #[must_use]
    pub const fn of_our_own(svg: String) -> Self {
        Self(svg)
    }

    /// The markup.
    #[must_use]
    pub fn markup(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drawing(..)")
    }
}

/// What a customer has to tell the bank.
#[derive(Clone, Debug)]
pub struct TransferView {
    /// The name on the account.
    pub payee: String,
    /// The account.
    pub iban: String,
    /// What is still to be paid, in euro cents.
    pub amount_minor: i64,
    /// What tells this transfer from all others.
    pub reference: String,
    /// Until when it has to be there, in seconds since 1970.
    pub due_s: i64,
    /// All of it as a code for a banking app.
    pub qr: Drawing,
    /// All of it as a `payto:` address.
    pub payto: String,
}

/// Who looks at an order, and so where its page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The customer whose order it is, who is recognised.
    Customer,
    /// Whoever has the link. It is all that there is.
    Guest {
        /// The unguessable part of the address.
        link: String,
        /// The scheme and host before it, without a slash at the end.
        origin: String,
    },
}

/// An order, as its page shows it.
#[derive(Clone, Debug)]
pub struct OrderView {
    /// Its name in addresses and forms.
    pub id: String,
    /// The number under which people speak of it: the reference of its transfer.
    pub number: String,
    /// Who looks.
    pub door: Door,
    /// When it was placed, in seconds since 1970.
    pub placed_s: i64,
    /// What was sold.
    pub lines: Vec<OrderLine>,
    /// What it costs, in euro cents.
    pub total_minor: i64,
    /// What has come for it, in euro cents.
    pub received_minor: i64,
    /// Where it goes.
    pub delivery: Delivery,
    /// How far it is.
    pub status: Status,
    /// What to tell the bank, while a transfer is awaited.
    pub transfer: Option<TransferView>,
    /// Whether it may be cancelled now.
    pub may_cancel: bool,
    /// What became of it after the sale.
    pub after: AfterView,
    /// Money that goes back.
    pub owed: Vec<OwedView>,
    /// What happened, the oldest first.
    pub events: Vec<EventView>,
    /// What was typed about an account, on a page that comes back.
    pub wrong_account: Option<AccountForm>,
}

impl OrderView {
    /// The path of its page; below it lie `cancel`, `retry`, `account` and `withdraw`.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.door {
            Door::Customer => format!("/orders/{}", self.id),
            Door::Guest { link, .. } => format!("/o/{link}"),
        }
    }
}

/// Money that goes back to whoever sent it.
#[derive(Clone, Debug)]
pub struct OwedView {
    /// Its name in forms.
    pub id: String,
    /// How much, in euro cents.
    pub amount_minor: i64,
    /// Why.
    pub because: OwedBecause,
    /// How far it is.
    pub state: OwedState,
    /// The account it goes to, told as far as its owner may be told: `DE89 … 00`.
    pub account: Option<String>,
}

/// Why money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwedBecause {
    /// The merchant refunds it.
    Refund,
    /// It was more than the order cost, or came twice.
    TooMuch,
    /// The order ended when a part of it was paid.
    Ended,
    /// The order was over when it came.
    TooLate,
    /// Nobody knows what it was for.
    NoOrder,
}

impl OwedBecause {
    /// A few words for it.
    #[must_use]
    pub const fn words(self) -> Words {
        match self {
            Self::Refund => Words("a refund", "eine Erstattung"),
            Self::TooMuch => Words("more than the order cost", "mehr, als die Bestellung kostete"),
            Self::Ended => {
                Words("the order is over, and a part was paid", "die Bestellung ist beendet, und ein Teil war bezahlt")
            }
            Self::TooLate => Words("the order was over when it came", "die Bestellung war schon beendet"),
            Self::NoOrder => Words("no order to be found", "keine Bestellung dazu"),
        }
    }
}

/// How far money that goes back is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwedState {
    /// Nobody knows the account yet.
    NeedsAccount,
    /// It is owed.
    Owed,
    /// The bank was told.
    OnItsWay,
    /// It is done.
    Done,
}

impl OwedState {
    /// A few words for it.
    #[must_use]
    pub const fn words(self) -> Words {
        match self {
            Self::NeedsAccount => Words("we do not know your account yet", "Ihr Konto kennen wir noch nicht"),
            Self::Owed => Words("we owe it to you", "wir schulden es Ihnen"),
            Self::OnItsWay => Words("on its way", "unterwegs"),
            Self::Done => Words("sent back", "zurückgezahlt"),
        }
    }

    /// The same for the merchant, who is the one who owes it.
    #[must_use]
    pub const fn words_for_merchant(self) -> Words {
        match self {
            Self::NeedsAccount => {
                Words("the customer’s account is not known yet", "das Konto des Kunden ist noch nicht bekannt")
            }
            Self::Owed => Words("to be carried out", "auszuführen"),
            Self::OnItsWay | Self::Done => self.words(),
        }
    }
}

/// One thing that happened to an order.
#[derive(Clone, Debug)]
pub struct EventView {
    /// When, in seconds since 1970.
    pub at_s: i64,
    /// What.
    pub what: Happened,
}

/// What happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It was placed.
    Placed,
    /// A transfer is awaited.
    TransferAwaited,
    /// Money came, in euro cents.
    Received(i64),
    /// It is paid in full.
    Paid,
    /// The payment was declined.
    Declined,
    /// The bank was asked what became of the payment.
    AskedBank,
    /// It was cancelled.
    Cancelled,
    /// It was not paid in time.
    Expired,
    /// Money is owed back, in euro cents.
    Owed(i64),
    /// The bank was told to send money back, in euro cents.
    SendingBack(i64),
    /// Money went back, in euro cents.
    SentBack(i64),
    /// A parcel was sent.
    Sent,
    /// A parcel arrived.
    Arrived,
    /// The customer withdrew from something.
    Withdrawn,
    /// The merchant took something back, or made it cheaper.
    Adjusted,
    /// The address was erased.
    AddressErased,
    /// Something for which the shop has no words.
    Other(String),
}

/// An order in a list.
#[derive(Clone, Debug)]
pub struct OrderSummary {
    /// Its name in addresses.
    pub id: String,
    /// Its number.
    pub number: String,
    /// When it was placed, in seconds since 1970.
    pub placed_s: i64,
    /// How many things were bought.
    pub things: u32,
    /// What it costs, in euro cents.
    pub total_minor: i64,
    /// What has come for it, in euro cents.
    pub received_minor: i64,
    /// How far it is.
    pub status: Status,
}

/// A number or an IBAN in groups of four, as it is read aloud: `RF18 5390 0754 7034`.
#[must_use]
pub fn grouped(text: &str) -> String {
    let mut grouped = String::with_capacity(text.len() + text.len() / 4);
    for (at, char) in text.chars().filter(|char| !char.is_whitespace()).enumerate() {
        if at > 0 && at.is_multiple_of(4) {
            grouped.push(' ');
        }
        grouped.push(char);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_groups_of_four() {
        assert_eq!(grouped("RF18539007547034"), "RF18 5390 0754 7034");
        assert_eq!(grouped("RF18 5390 07547034 1"), "RF18 5390 0754 7034 1");
        assert_eq!((grouped(""), grouped("ab")), (String::new(), "ab".to_owned()));
    }

    fn read(body: &'static str) -> Result<OrderForm, axum::extract::rejection::FormRejection> {
        use axum::extract::FromRequest;
        let request = axum::http::Request::post("/checkout")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(axum::body::Body::from(body))
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(axum::Form::from_request(request, &())).map(|axum::Form(form)| form)
    }

    #[test]
    fn the_form_of_an_order_is_read_with_and_without_an_address() {
        let typed =
            read("form=f&cart=senchax1&total=14.80&delivery=typed&name=Anna+K&street=Markt+1&country=DE").unwrap();
        assert_eq!((typed.form.as_str(), typed.cart.as_str(), typed.total.as_str()), ("f", "senchax1", "14.80"));
        assert_eq!((typed.delivery, typed.address.name.as_str()), (DeliveryChoice::Typed, "Anna K"));
        assert_eq!(typed.address.place, "");
        let wallet = read("form=f&cart=senchax1&total=14.80&delivery=wallet").unwrap();
        assert_eq!((wallet.delivery, wallet.address.country.as_str()), (DeliveryChoice::Wallet, ""));
        assert_eq!(read("form=f&cart=&total=").unwrap().delivery, DeliveryChoice::Typed);
        for odd in ["", "form=f&cart=senchax1", "form=f&cart=&total=&delivery=both", "form=f&form=g&cart=&total="] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_personal_does_not_reach_a_log() {
        let form = AccountForm { name: "Anna".to_owned(), iban: "DE89370400440532013000".to_owned() };
        assert!(!format!("{form:?}").contains("3704") && !format!("{form:?}").contains("Anna"));
        let address = AddressForm { name: "Anna".to_owned(), ..AddressForm::default() };
        assert!(!format!("{address:?}").contains("Anna"));
    }
}
