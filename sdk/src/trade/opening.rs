//! What is wrong with a trade before the first customer comes.

use std::collections::BTreeSet;

use super::{HOLD_LEAST_S, NAME_BYTES_MAX, TITLE_BYTES_MAX, Trade};
use crate::{
    ask::Ask,
    money::{Currency, Money},
    order::WITHDRAWAL_DAYS,
    rail::AnyRail,
};

/// Amounts of which a rail takes one, if it takes the currency at all: in the smallest unit.
const AMOUNTS_MINOR: [i64; 5] = [1, 100, 10_000, 1_000_000, 100_000_000];

/// The shop that a part of a trade is for: what the part is compared with before anybody buys.
///
/// A list in the program ([`Items`](super::Items), [`FlatRates`](super::FlatRates), [`Vat`](super::Vat),
/// [`Codes`](super::Codes)) is compared whole; a seam of the merchant's own may compare what it knows by then.
#[derive(Clone, Debug)]
pub struct Opening {
    currency: Currency,
    asks: BTreeSet<String>,
    classes: BTreeSet<String>,
}

/// Why a shop cannot open with a trade: whatever of it would have failed with the first customer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// An ask is needed that the merchant does not declare.
    #[error("{what} needs the ask {ask:?}, which is not declared: add .ask(..)")]
    UndeclaredAsk {
        /// What needs it.
        what: String,
        /// Its name.
        ask: String,
    },
    /// An amount is in another currency than the trade.
    #[error("{what} is in {}, and the trade in {}: say every amount in one currency", .said.code(), .shop.code())]
    OtherCurrency {
        /// What has the amount.
        what: String,
        /// Its currency.
        said: Currency,
        /// That of the trade.
        shop: Currency,
    },
    /// A country is none.
    #[error("{what} names the country {said:?}: say two letters (ISO 3166-1), such as DE")]
    Country {
        /// What names it.
        what: String,
        /// What it says.
        said: String,
    },
    /// A name or a title is empty, too long, or has control characters.
    #[error(
        "{what}: a name has 1 to {NAME_BYTES_MAX} bytes, a title 1 to {TITLE_BYTES_MAX}, and neither control characters"
    )]
    Text {
        /// What has it.
        what: String,
    },
    /// Two things that are let off a limited number of times have one name, and nobody could tell which was given.
    #[error("two discounts are counted as {name:?}: one may be left, or name the other differently")]
    CountedTwice {
        /// The name.
        name: String,
    },
    /// Something is taxed in a way for which there is no rate.
    #[error("no rate is named for {class:?} in {country}: add .rate({country:?}, {class:?}, ..)")]
    NoRate {
        /// The country.
        country: String,
        /// The class.
        class: String,
    },
    /// Stock is held for a shorter time than housekeeping takes to come by.
    #[error("stock is held for {said_s} s: say .hold_s({HOLD_LEAST_S}) at least, for housekeeping has to come by")]
    HoldTooShort {
        /// For how long, in seconds.
        said_s: u64,
    },
    /// Consumers are given less time to withdraw than the law gives them.
    #[error("consumers may withdraw for {WITHDRAWAL_DAYS} days at least, not {said}: leave out .withdrawal_days(..)")]
    WithdrawalTooShort {
        /// How many days.
        said: u16,
    },
    /// No rail takes the trade's currency.
    #[error("none of the rails takes {}: add one that does, or sell in another currency", .0.code())]
    Unpayable(Currency),
}

impl OpeningError {
    /// The stable name of what is wrong.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UndeclaredAsk { .. } => "trade_ask_undeclared",
            Self::OtherCurrency { .. } => "trade_other_currency",
            Self::Country { .. } => "trade_country",
            Self::Text { .. } => "trade_text",
            Self::CountedTwice { .. } => "trade_counted_twice",
            Self::NoRate { .. } => "trade_no_rate",
            Self::HoldTooShort { .. } => "trade_hold_too_short",
            Self::WithdrawalTooShort { .. } => "trade_withdrawal_too_short",
            Self::Unpayable(_) => "trade_unpayable",
        }
    }
}

impl Opening {
    /// A shop that sells in this currency and declares these asks.
    pub fn new<'a>(currency: Currency, asks: impl IntoIterator<Item = &'a Ask>) -> Self {
        let asks = asks.into_iter().map(|ask| ask.name().to_owned()).collect();
        Self { currency, asks, classes: BTreeSet::new() }
    }

    /// This ask has to be declared, for `what`, such as `the item "wine"`.
    ///
    /// # Errors
    /// [`OpeningError::UndeclaredAsk`].
    pub fn declares(&self, what: &str, ask: &str) -> Result<(), OpeningError> {
        let undeclared = || OpeningError::UndeclaredAsk { what: what.to_owned(), ask: ask.to_owned() };
        if self.asks.contains(ask) { Ok(()) } else { Err(undeclared()) }
    }

    /// This amount has to be in the shop's currency.
    ///
    /// # Errors
    /// [`OpeningError::OtherCurrency`].
    pub fn sells_for(&self, what: &str, amount: Money) -> Result<(), OpeningError> {
        let (said, shop) = (amount.currency(), self.currency);
        if said == shop { Ok(()) } else { Err(OpeningError::OtherCurrency { what: what.to_owned(), said, shop }) }
    }

    /// This has to be a country, in two letters.
    ///
    /// # Errors
    /// [`OpeningError::Country`].
    pub fn is_country(&self, what: &str, country: &str) -> Result<(), OpeningError> {
        let wrong = || OpeningError::Country { what: what.to_owned(), said: country.to_owned() };
        if country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic()) { Ok(()) } else { Err(wrong()) }
    }

    /// Something is taxed like this: the shop's [`Tax`](super::Tax) is told of it.
    pub fn taxes(&mut self, class: &str) {
        self.classes.insert(class.to_owned());
    }

    /// How things are taxed, as far as the parts before the tax have said: what is sold, and how it is sent.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        self.classes.iter().map(String::as_str)
    }

    /// `fits` says whether its name and its title are such.
    pub(super) fn reads(what: &str, fits: bool) -> Result<(), OpeningError> {
        if fits { Ok(()) } else { Err(OpeningError::Text { what: what.to_owned() }) }
    }
}

impl Trade {
    /// What is wrong with it for a shop with these asks and rails. A rail may be for other orders than those of checkouts;
    /// where none takes the currency, no checkout can be paid.
    pub(crate) fn check<'a>(
        &self,
        asks: impl IntoIterator<Item = &'a Ask>,
        rails: &[AnyRail],
    ) -> Result<(), OpeningError> {
        let mut opening = Opening::new(self.currency, asks);
        if let Some(ask) = &self.address_ask {
            opening.declares("the address of the trade", ask)?;
        }
        if let Some(home) = &self.home {
            opening.is_country("the home of the trade", home)?;
        }
        if self.hold_s < HOLD_LEAST_S {
            return Err(OpeningError::HoldTooShort { said_s: self.hold_s });
        }
        if self.withdrawal_days < WITHDRAWAL_DAYS {
            return Err(OpeningError::WithdrawalTooShort { said: self.withdrawal_days });
        }
        self.catalog.check(&mut opening)?;
        self.shipping.as_ref().map_or(Ok(()), |shipping| shipping.check(&mut opening))?;
        self.discount.as_ref().map_or(Ok(()), |discount| discount.check(&mut opening))?;
        self.tax.as_ref().map_or(Ok(()), |tax| tax.check(&mut opening))?;
        let amounts = || AMOUNTS_MINOR.iter().filter_map(|minor| Money::new(*minor, self.currency).ok());
        let takes = |rail: &AnyRail| amounts().any(|amount| rail.takes(amount).is_ok());
        if !rails.is_empty() && !rails.iter().any(takes) {
            return Err(OpeningError::Unpayable(self.currency));
        }
        for rail in rails.iter().filter(|rail| !takes(rail)) {
            tracing::warn!(rail = rail.id(), currency = self.currency.code(), "no checkout can be paid by this rail");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Merchant,
        error::Error,
        money::Rate,
        rail::{Rail, Sepa},
        store::Memory,
        testing::{FakeRail, Network, TestShop},
        trade::{Codes, FlatRates, Item, Items, Off, Uses, Vat, Way},
    };

    fn euro(text: &str) -> Money {
        Money::parse(text, Currency::EUR).unwrap()
    }

    fn francs() -> Money {
        Money::parse("1", Currency::CHF).unwrap()
    }

    fn tenth() -> Rate {
        "10".parse().unwrap()
    }

    fn wine() -> Item {
        Item::new("wine", "Riesling", euro("12.00")).sent(1_300).needs(&TestShop::age())
    }

    fn sells(item: Item) -> Trade {
        Trade::new(Currency::EUR, Items::new([item]).unwrap())
    }

    fn parcel() -> Way {
        Way::new("parcel", "Parcel", euro("4.90"))
    }

    fn sends(way: Way, country: &str) -> FlatRates {
        FlatRates::new().way(way, &["DE", country], 20_000)
    }

    fn stranger() -> Ask {
        Ask::new("stranger", "Nobody declared this").over(18)
    }

    fn checked(trade: &Trade, rail: impl Rail) -> Result<(), OpeningError> {
        trade.check(&[TestShop::age(), TestShop::address()], &[AnyRail::new(rail)])
    }

    #[test]
    fn a_trade_in_order_is_none_the_worse() {
        let codes = Codes::new()
            .always(Off::percent("In spring", tenth()).over(euro("10")))
            .word("TEA", Off::percent("Tea", tenth()).on(["tea"]))
            .word("TEA", Off::amount("Wine", euro("1")).on(["wine"]))
            .word("ONCE", Off::amount("Once", euro("1")).given(Uses::Once))
            .for_proof(&TestShop::age(), Off::percent("Grown up", tenth()));
        let trade = sells(wine())
            .shipping(sends(parcel(), "at").free_from(euro("60")))
            .discount(codes)
            .tax(Vat::within_prices("de").rate("DE", "standard", tenth()).area(&["AT"]))
            .home("de")
            .hold_s(HOLD_LEAST_S)
            .withdrawal_days(30)
            .address_from(&TestShop::address());
        assert_eq!(checked(&trade, FakeRail::new()), Ok(()));
        assert_eq!(trade.home.as_deref(), Some("DE"));
        let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").unwrap();
        let rails = [AnyRail::new(sepa), AnyRail::new(FakeRail::new())];
        let francs = Trade::new(Currency::CHF, Items::new([Item::new("tea", "Tea", francs())]).unwrap());
        assert_eq!(francs.check([], &rails), Ok(()), "one of them takes francs");
        assert_eq!(francs.check([], &[]), Ok(()), "a shop that gives things away");
    }

    #[test]
    fn what_could_not_work_is_told_before_the_first_customer_comes() {
        let (in_francs, standard) =
            (Item::new("tea", "Tea", francs()), || Vat::within_prices("DE").rate("DE", "x", tenth()));
        let off = || Off::percent("Less", tenth());
        let lets = |codes: Codes| sells(wine()).discount(codes);
        for (trade, code) in [
            (sells(wine().needs(&stranger())), "trade_ask_undeclared"),
            (sells(wine()).address_from(&stranger()), "trade_ask_undeclared"),
            (lets(Codes::new().for_proof(&stranger(), off())), "trade_ask_undeclared"),
            (sells(in_francs), "trade_other_currency"),
            (sells(wine()).shipping(sends(Way::new("x", "X", francs()), "AT")), "trade_other_currency"),
            (sells(wine()).shipping(sends(parcel(), "AT").free_from(francs())), "trade_other_currency"),
            (lets(Codes::new().always(Off::amount("Less", francs()))), "trade_other_currency"),
            (lets(Codes::new().always(off().over(francs()))), "trade_other_currency"),
            (sells(wine()).home("Germany"), "trade_country"),
            (sells(wine()).home(""), "trade_country"),
            (sells(wine()).home("Ö"), "trade_country"),
            (sells(wine()).shipping(sends(parcel(), "AUT")), "trade_country"),
            (sells(wine().taxed_as("x")).tax(Vat::on_top("Germany")), "trade_country"),
            (sells(wine().taxed_as("x")).tax(standard().area(&["EU27"])), "trade_country"),
            (sells(wine().taxed_as("x")).tax(standard().rate("D", "x", tenth())), "trade_country"),
            (sells(wine()).tax(standard()), "trade_no_rate"),
            (sells(wine().taxed_as("x")).shipping(sends(parcel(), "AT")).tax(standard()), "trade_no_rate"),
            (sells(wine()).shipping(sends(Way::new("", "X", euro("1")), "AT")), "trade_text"),
            (sells(wine()).shipping(sends(Way::new("x", "\n", euro("1")), "AT")), "trade_text"),
            (lets(Codes::new().word(" ", off())), "trade_text"),
            (lets(Codes::new().word(&"x".repeat(65), off())), "trade_text"),
            (lets(Codes::new().always(Off::percent("", tenth()))), "trade_text"),
            (
                lets(Codes::new().word("One", off().given(Uses::Once)).word("ONE", off().given(Uses::OncePerCustomer))),
                "trade_counted_twice",
            ),
            (sells(wine()).hold_s(HOLD_LEAST_S - 1), "trade_hold_too_short"),
            (sells(wine()).withdrawal_days(13), "trade_withdrawal_too_short"),
        ] {
            let error = checked(&trade, FakeRail::new()).expect_err(code);
            assert_eq!(error.code(), code, "{error}");
        }
        let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").unwrap();
        let francs = Trade::new(Currency::CHF, Items::new([Item::new("tea", "Tea", francs())]).unwrap());
        assert_eq!(checked(&francs, sepa), Err(OpeningError::Unpayable(Currency::CHF)));
    }

    #[test]
    fn no_merchant_is_built_with_it() {
        let shop = TestShop::new();
        let build = |trade| {
            let builder = Merchant::builder("https://shop.example".parse().unwrap()).keys(shop.keys().clone());
            builder.store(Memory::new()).fetch(Network::new()).trade(trade).build()
        };
        assert!(build(sells(Item::new("tea", "Tea", euro("1")))).is_ok());
        let Err(Error::Misuse(text)) = build(sells(wine())) else { panic!("nobody can buy the wine") };
        assert_eq!(text, "the item \"wine\" needs the ask \"age\", which is not declared: add .ask(..)");
    }
}
