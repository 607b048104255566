//! Value added tax, by country and class.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{Levy, Opening, OpeningError, Tax, Taxable, TradeError};
use crate::money::Rate;

/// Value added tax by rates that the merchant names. There are none built in: they change, and a table that has aged
/// charges the wrong tax without anybody noticing.
///
/// What goes to a country whose rates are named is taxed by those; everything else by the rates at home, and so is what is
/// not sent to anybody. In the European Union a shop that sells less than 10,000 EUR a year to consumers in other member
/// states may charge the rates of its own: name those alone. Beyond that it charges the rates of where things go (and
/// reports them in one place, the OSS): name them for each such country. What of this holds for a shop its accountant
/// knows; this computes no return and keeps no threshold.
///
/// A class without a rate where one is needed is [`VatError`], and nothing is sold: no other rate is guessed. What is listed
/// in the program has its rate at home, or the merchant is not built.
///
/// ```
/// use firsthand::trade::Vat;
///
/// let vat = Vat::within_prices("DE")
///     .rate("DE", "standard", "19".parse()?)
///     .rate("DE", "books", "7".parse()?)
///     .rate("AT", "standard", "20".parse()?)
///     .rate("AT", "books", "10".parse()?)
///     .area(&["DE", "AT", "NL"]); // beyond it is export
/// # Ok::<(), firsthand::money::MoneyError>(())
/// ```
#[derive(Clone)]
pub struct Vat {
    home: String,
    within: bool,
    /// By country, then by class.
    rates: HashMap<String, HashMap<String, Rate>>,
    area: Option<Vec<String>>,
    owes: Option<Arc<Owes>>,
}

type Owes = dyn Fn(&str, &str) -> bool + Send + Sync;

/// The tax cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VatError {
    /// A class has no rate in the country whose rates hold.
    #[error("no rate is named for {class:?} in {country}")]
    NoRate {
        /// The country.
        country: String,
        /// The class.
        class: String,
    },
}

impl VatError {
    /// The stable name of what is wrong, for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRate { .. } => "no_tax_rate",
        }
    }
}

/// The longest VAT id that is asked about, in bytes: the longest there are have 14 characters.
const VAT_ID_BYTES_MAX: usize = 20;

impl Vat {
    /// The tax is in the prices, as consumers in Europe are shown them; the shop is in this country (two letters).
    #[must_use]
    pub fn within_prices(home: &str) -> Self {
        Self::of(home, true)
    }

    /// The tax comes on top of the prices, as businesses are shown them; the shop is in this country (two letters).
    #[must_use]
    pub fn on_top(home: &str) -> Self {
        Self::of(home, false)
    }

    fn of(home: &str, within: bool) -> Self {
        Self { home: country(home), within, rates: HashMap::new(), area: None, owes: None }
    }

    /// The rate of a class of things in a country. What is named for a country is named for each class that is sold there.
    #[must_use]
    pub fn rate(mut self, of: &str, class: &str, rate: Rate) -> Self {
        self.rates.entry(country(of)).or_default().insert(class.to_owned(), rate);
        self
    }

    /// The countries that tax is charged for; home is among them. What goes elsewhere is export and has no tax
    /// ([`Levy::None`]): the price stays what it is. Without this there is no export.
    #[must_use]
    pub fn area(mut self, countries: &[&str]) -> Self {
        self.area = Some(countries.iter().map(|&named| country(named)).collect());
        self
    }

    /// Businesses in other countries of the area owe the tax themselves, if this says of a VAT id and the country that
    /// things go to (`|vat_id, country| ..`) that it belongs to one. Without it nobody does: a VAT id is a word that anybody
    /// can type. Have ids checked beforehand (VIES): this looks the result up for each quote, and does not wait. What is taken
    /// out of a price is the tax that a consumer there would pay.
    #[must_use]
    pub fn reverse_charge(mut self, owes: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        self.owes = Some(Arc::new(owes));
        self
    }

    fn is_export(&self, to: &str) -> bool {
        let within = |area: &Vec<String>| to == self.home || area.iter().any(|named| named == to);
        self.area.as_ref().is_some_and(|area| !within(area))
    }

    fn is_owed_by_buyer(&self, to: &str, vat_id: Option<&str>) -> bool {
        let (Some(owes), Some(vat_id)) = (&self.owes, vat_id) else { return false };
        let plain = |id: &str| id.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        let vat_id = vat_id.trim();
        let fits = !vat_id.is_empty() && vat_id.len() <= VAT_ID_BYTES_MAX && plain(vat_id);
        to != self.home && fits && owes(vat_id, to)
    }

    fn rate_of(&self, to: &str, class: &str) -> Result<Rate, VatError> {
        let named = if self.rates.contains_key(to) { to } else { self.home.as_str() };
        let rate = self.rates.get(named).and_then(|classes| classes.get(class)).copied();
        rate.ok_or_else(|| VatError::NoRate { country: named.to_owned(), class: class.to_owned() })
    }
}

impl Tax for Vat {
    async fn levies(&self, taxable: &Taxable) -> Result<Vec<Levy>, TradeError> {
        let to = taxable.country.as_deref().map_or_else(|| self.home.clone(), country);
        if self.is_export(&to) {
            return Ok(vec![Levy::None; taxable.classes.len()]);
        }
        let reverse = self.is_owed_by_buyer(&to, taxable.vat_id.as_deref());
        let levy = |class: &String| {
            let rate = self.rate_of(&to, class)?;
            Ok(match (reverse, self.within) {
                (true, within) => Levy::ReverseCharge { included: within.then_some(rate) },
                (false, true) => Levy::Included(rate),
                (false, false) => Levy::OnTop(rate),
            })
        };
        taxable.classes.iter().map(levy).collect::<Result<_, VatError>>().map_err(|e| TradeError::invalid("tax", e))
    }

    fn reads_vat_ids(&self) -> bool {
        self.owes.is_some()
    }

    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        let named = self.rates.keys().chain(self.area.iter().flatten()).chain([&self.home]);
        named.map(String::as_str).try_for_each(|country| opening.is_country("the tax", country))?;
        let lacks_rate = |class: &str| self.rate_of(&self.home, class).is_err();
        match opening.classes().find(|class| lacks_rate(class)) {
            Some(class) => Err(OpeningError::NoRate { country: self.home.clone(), class: class.to_owned() }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Vat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vat")
            .field("home", &self.home)
            .field("within", &self.within)
            .field("rates", &self.rates)
            .field("area", &self.area)
            .field("reverse_charge", &self.owes.is_some())
            .finish()
    }
}

/// A country as it is compared.
fn country(code: &str) -> String {
    code.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trade::tax_conformance;

    fn rate(percent: &str) -> Rate {
        percent.parse().unwrap()
    }

    fn named(vat: Vat) -> Vat {
        vat.rate("DE", "standard", rate("19"))
            .rate("DE", "books", rate("7"))
            .rate("AT", "standard", rate("20"))
            .area(&["AT", "FR"])
    }

    async fn levies(
        vat: &Vat,
        to: Option<&str>,
        vat_id: Option<&str>,
        classes: &[&str],
    ) -> Result<Vec<Levy>, TradeError> {
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        let (country, vat_id) = (to.map(str::to_owned), vat_id.map(str::to_owned));
        vat.levies(&Taxable { country, postal_code: String::new(), vat_id, classes }).await
    }

    #[tokio::test]
    async fn it_keeps_the_rules_of_tax() {
        for vat in [named(Vat::within_prices("DE")), named(Vat::on_top("de"))] {
            tax_conformance(&vat, &["DE", "FR", "US"], &["standard", "books"]).await;
            tax_conformance(&vat.clone().reverse_charge(|id, _| id == "FR12345678901"), &["DE", "FR"], &["books"])
                .await;
        }
    }

    #[tokio::test]
    async fn where_it_goes_says_which_rate() {
        let vat = named(Vat::within_prices("DE"));
        let (nineteen, seven) = (Levy::Included(rate("19")), Levy::Included(rate("7")));
        for home in [None, Some("DE"), Some("de"), Some("FR")] {
            assert_eq!(levies(&vat, home, None, &["standard", "books"]).await.unwrap(), [nineteen, seven], "{home:?}");
        }
        assert_eq!(levies(&vat, Some("AT"), None, &["standard"]).await.unwrap(), [Levy::Included(rate("20"))]);
        assert_eq!(levies(&vat, Some("US"), None, &["standard", "x"]).await.unwrap(), [Levy::None, Levy::None]);
        let on_top = named(Vat::on_top("DE"));
        assert_eq!(levies(&on_top, Some("FR"), None, &["books"]).await.unwrap(), [Levy::OnTop(rate("7"))]);
        let everywhere = Vat::within_prices("DE").rate("DE", "standard", rate("19"));
        assert_eq!(levies(&everywhere, Some("US"), None, &["standard"]).await.unwrap(), [nineteen], "no export unsaid");
    }

    #[tokio::test]
    async fn no_rate_is_guessed() {
        let vat = named(Vat::within_prices("DE"));
        for (to, class) in [(None, "wine"), (Some("AT"), "books"), (Some("FR"), "")] {
            assert!(levies(&vat, to, None, &["standard", class]).await.is_err(), "{to:?} {class}");
        }
    }

    #[tokio::test]
    async fn a_vat_id_is_believed_if_the_merchant_says_so() {
        let id = Some("FR12345678901");
        let unchecked = named(Vat::within_prices("DE"));
        assert_eq!(levies(&unchecked, Some("FR"), id, &["books"]).await.unwrap(), [Levy::Included(rate("7"))]);

        let checks = |id: &str, to: &str| id.starts_with("FR123") && to == "FR";
        let within = unchecked.reverse_charge(checks);
        let owed = |included| Levy::ReverseCharge { included };
        assert_eq!(levies(&within, Some("FR"), id, &["books"]).await.unwrap(), [owed(Some(rate("7")))]);
        let on_top = named(Vat::on_top("DE")).reverse_charge(checks);
        assert_eq!(levies(&on_top, Some("fr"), id, &["books"]).await.unwrap(), [owed(None)]);
        for (to, id) in [
            (Some("DE"), "FR12345678901"),
            (Some("AT"), "FR12345678901"),
            (None, "FR12345678901"),
            (Some("FR"), "FR9"),
            (Some("FR"), ""),
            (Some("FR"), "FR123\u{0}"),
            (Some("FR"), "FR123456789012345678901"),
        ] {
            let levies = levies(&within, to, Some(id), &["standard"]).await.unwrap();
            assert!(matches!(levies[..], [Levy::Included(_)]), "{to:?} {id:?}");
        }
        assert_eq!(levies(&within, Some("US"), id, &["books"]).await.unwrap(), [Levy::None], "export needs no VAT id");
    }
}
