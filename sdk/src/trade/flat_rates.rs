//! Prices of sending by country and weight.

use super::{Consignment, Opening, OpeningError, Shipping, TradeError, WAYS_MAX, Way, is_name, is_title};
use crate::money::Money;

/// Ways to send things at fixed prices, by country and weight.
///
/// The ways are offered in the order in which they are named. A method that is named several times, for heavier parcels or
/// other countries, is offered once: as the first that fits. Where none fits, it is not sent there, or is too heavy for it,
/// which the customer is told. A way in another currency than the goods fits nothing: the merchant is not built with it.
///
/// A way is taxed as `standard` unless it says otherwise: see [`Way::taxed_as`] and [`Way::taxed_as_goods`].
///
/// ```
/// use firsthand::{
///     money::{Currency, Money},
///     trade::{FlatRates, Way},
/// };
///
/// let euro = |text| Money::parse(text, Currency::EUR);
/// let rates = FlatRates::new()
///     .way(Way::new("letter", "Letter", euro("1.80")?).within_days(1, 3), &["DE"], 500)
///     .way(Way::new("parcel", "Parcel", euro("5.95")?).within_days(1, 2), &["DE"], 10_000)
///     .free_from(euro("60")?)
///     .way(Way::new("parcel", "Parcel", euro("14.50")?).within_days(3, 6), &["AT", "NL"], 10_000);
/// # Ok::<(), firsthand::money::MoneyError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FlatRates {
    ways: Vec<Priced>,
}

#[derive(Clone, Debug)]
struct Priced {
    way: Way,
    countries: Vec<String>,
    up_to_g: u64,
    free_from: Option<Money>,
}

impl FlatRates {
    /// Nothing is sent anywhere yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends like this to these countries (two letters, ISO 3166-1), up to this weight in grams and including it.
    #[must_use]
    pub fn way(mut self, way: Way, countries: &[&str], up_to_g: u64) -> Self {
        let countries = countries.iter().map(|&country| country.to_owned()).collect();
        self.ways.push(Priced { way, countries, up_to_g, free_from: None });
        self
    }

    /// The way that was named last costs nothing from this value of the goods on, after what is let off.
    #[must_use]
    pub fn free_from(mut self, goods: Money) -> Self {
        if let Some(last) = self.ways.last_mut() {
            last.free_from = Some(goods);
        }
        self
    }
}

impl Priced {
    fn fits(&self, consignment: &Consignment) -> bool {
        self.goes_there(consignment) && consignment.weight_g <= self.up_to_g
    }

    fn goes_there(&self, consignment: &Consignment) -> bool {
        self.way.price.currency() == consignment.goods.currency()
            && self.countries.iter().any(|country| country.eq_ignore_ascii_case(&consignment.country))
    }

    fn offered(&self, consignment: &Consignment) -> Way {
        let mut way = self.way.clone();
        // Amounts of other currencies do not compare, and nothing is free then.
        if self.free_from.is_some_and(|from| consignment.goods >= from) {
            way.price = Money::zero(way.price.currency());
        }
        way
    }
}

impl Shipping for FlatRates {
    async fn ways(&self, consignment: &Consignment) -> Result<Vec<Way>, TradeError> {
        let mut ways: Vec<Way> = Vec::new();
        for priced in self.ways.iter().filter(|priced| priced.fits(consignment)) {
            if ways.len() < WAYS_MAX && ways.iter().all(|way| way.method != priced.way.method) {
                ways.push(priced.offered(consignment));
            }
        }
        Ok(ways)
    }

    async fn at_most_g(&self, consignment: &Consignment) -> Result<Option<u64>, TradeError> {
        let there = self.ways.iter().filter(|priced| priced.goes_there(consignment));
        Ok(there.map(|priced| priced.up_to_g).max().filter(|most| consignment.weight_g > *most))
    }

    fn countries(&self) -> Option<Vec<String>> {
        let mut named: Vec<String> = Vec::new();
        for country in self.ways.iter().flat_map(|priced| &priced.countries) {
            let country = country.to_ascii_uppercase();
            if !named.contains(&country) {
                named.push(country);
            }
        }
        Some(named)
    }

    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        for Priced { way, countries, free_from, .. } in &self.ways {
            let what = format!("the way {:?}", way.method);
            Opening::reads(&what, is_name(&way.method) && is_title(&way.title))?;
            opening.sells_for(&what, way.price)?;
            free_from.map_or(Ok(()), |from| opening.sells_for(&what, from))?;
            countries.iter().try_for_each(|country| opening.is_country(&what, country))?;
            if !way.is_taxed_as_goods() {
                opening.taxes(&way.tax);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{money::Currency, testing::trade::shipping_conformance};

    fn euro(text: &str) -> Money {
        Money::parse(text, Currency::EUR).unwrap()
    }

    fn rates() -> FlatRates {
        FlatRates::new()
            .way(Way::new("letter", "Letter", euro("1.80")), &["DE"], 500)
            .way(Way::new("parcel", "Parcel", euro("5.95")).within_days(1, 2), &["DE"], 2_000)
            .free_from(euro("60"))
            .way(Way::new("parcel", "Parcel", euro("9.95")), &["DE"], 10_000)
            .way(Way::new("parcel", "Parcel", euro("14.50")), &["AT", "NL"], 10_000)
    }

    async fn offered(country: &str, weight_g: u64, goods: &str) -> Vec<(String, String)> {
        let consignment = Consignment {
            country: country.into(),
            postal_code: String::new(),
            weight_g,
            lines: Vec::new(),
            goods: euro(goods),
        };
        let ways = rates().ways(&consignment).await.unwrap();
        ways.into_iter().map(|way| (way.method, way.price.decimal())).collect()
    }

    #[tokio::test]
    async fn it_keeps_the_rules_of_shipping() {
        shipping_conformance(&rates(), Currency::EUR, "DE", "US").await;
    }

    #[tokio::test]
    async fn the_first_way_of_each_method_that_fits_is_offered() {
        let way = |method: &str, price: &str| (method.to_owned(), price.to_owned());
        assert_eq!(offered("DE", 500, "10").await, [way("letter", "1.80"), way("parcel", "5.95")]);
        assert_eq!(offered("de", 501, "10").await, [way("parcel", "5.95")]);
        assert_eq!(offered("DE", 2_001, "10").await, [way("parcel", "9.95")]);
        assert_eq!(offered("AT", 100, "10").await, [way("parcel", "14.50")]);
        for (country, weight_g) in [("DE", 10_001), ("US", 1), ("", 1), ("DEU", 1), ("D", 1)] {
            assert!(offered(country, weight_g, "10").await.is_empty(), "{country} {weight_g}");
        }
    }

    #[test]
    fn the_countries_that_anything_is_sent_to_are_told() {
        assert_eq!(rates().countries().unwrap(), ["DE", "AT", "NL"]);
        assert!(FlatRates::new().countries().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_too_heavy_for_a_country_is_told_from_what_is_not_sent_there() {
        for (country, weight_g, most) in
            [("DE", 10_000, None), ("DE", 10_001, Some(10_000)), ("at", 10_001, Some(10_000)), ("US", 10_001, None)]
        {
            let consignment = Consignment::new(country, weight_g, euro("1"));
            assert_eq!(rates().at_most_g(&consignment).await.unwrap(), most, "{country} {weight_g}");
        }
    }

    #[tokio::test]
    async fn from_a_value_on_the_way_named_last_is_free() {
        assert_eq!(offered("DE", 600, "59.99").await[0].1, "5.95");
        assert_eq!(offered("DE", 600, "60").await[0].1, "0.00");
        assert_eq!(offered("DE", 3_000, "60").await[0].1, "9.95", "the heavier one was not named last");
    }

    #[tokio::test]
    async fn another_currency_fits_nothing() {
        let francs = Money::parse("100", Currency::CHF).unwrap();
        let (country, postal_code, lines) = ("DE".to_owned(), String::new(), Vec::new());
        let consignment = Consignment { country, postal_code, weight_g: 1, lines, goods: francs };
        assert!(rates().ways(&consignment).await.unwrap().is_empty());
    }
}
