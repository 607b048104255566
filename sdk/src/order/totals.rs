//! What a sale adds up to: lines - discounts + shipping + tax = total, and the tax by rate.

use serde::{Deserialize, Serialize};

use super::Line;
use crate::money::{Currency, Money, MoneyError, Rate};

/// The tax on a line, or on what it costs to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTax {
    /// The rate.
    pub rate: Rate,
    /// How much it is.
    pub amount: Money,
    /// Whether it is in the price already, as consumers in Europe are shown it, or comes on top.
    pub included: bool,
}

/// What it costs to send an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carriage {
    /// The merchant's name for the way it is sent.
    pub method: String,
    /// What it is called, as the customer reads it.
    pub title: String,
    /// What it costs; may be nothing.
    pub amount: Money,
    /// The tax on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<LineTax>,
}

/// Something let off, as it is shown. What of it falls on which line, the lines say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reduction {
    /// What the customer entered for it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What it is called, as the customer reads it.
    pub title: String,
    /// How much.
    pub amount: Money,
}

/// What a sale charges for: what it sells, and how that is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charged<'a> {
    pub(crate) currency: Currency,
    pub(crate) lines: &'a [Line],
    pub(crate) carriage: Option<&'a Carriage>,
}

/// The sums of a sale: `lines - discounts + shipping + tax = total`, always.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The lines at their prices.
    pub lines: Money,
    /// What is let off.
    pub discounts: Money,
    /// What it costs to send it.
    pub shipping: Money,
    /// The tax that comes on top of the prices; what is in them already is not counted again.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
    /// All tax by rate, the one on top and the one within, the highest rate first.
    pub taxes: Vec<TaxPart>,
}

/// The tax of one rate in a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxPart {
    /// The rate.
    pub rate: Rate,
    /// What it is on, without it.
    pub net: Money,
    /// How much it is.
    pub tax: Money,
}

impl Totals {
    /// Adds up a sale.
    ///
    /// # Errors
    /// [`MoneyError`] if it cannot be counted, if more is let off than a line costs, or more tax is in a price than the price.
    pub(crate) fn of(charged: Charged<'_>) -> Result<Self, MoneyError> {
        let nothing = Money::zero(charged.currency);
        let (mut lines, mut discounts, mut shipping, mut tax) = (nothing, nothing, nothing, nothing);
        let mut taxes: Vec<TaxPart> = Vec::new();
        let mut taxed = |amount: Money, part: Option<LineTax>| -> Result<(), MoneyError> {
            let Some(part) = part else { return Ok(()) };
            let net = if part.included { amount.minus(part.amount)? } else { amount };
            if !part.included {
                tax = tax.plus(part.amount)?;
            }
            match taxes.iter_mut().find(|known| known.rate == part.rate) {
                Some(known) => {
                    known.net = known.net.plus(net)?;
                    known.tax = known.tax.plus(part.amount)?;
                }
                None => taxes.push(TaxPart { rate: part.rate, net, tax: part.amount }),
            }
            Ok(())
        };
        for line in charged.lines {
            lines = lines.plus(line.price()?)?;
            discounts = discounts.plus(line.discount())?;
            taxed(line.amount()?, line.tax)?;
        }
        if let Some(carriage) = charged.carriage {
            shipping = shipping.plus(carriage.amount)?;
            taxed(carriage.amount, carriage.tax)?;
        }
        taxes.sort_by_key(|part| std::cmp::Reverse(part.rate));
        let total = lines.minus(discounts)?.plus(shipping)?.plus(tax)?;
        Ok(Self { lines, discounts, shipping, tax, total, taxes })
    }

    /// Whether the sums fit each other: what is read back, or came from elsewhere, is asked.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let all = || self.lines.minus(self.discounts)?.plus(self.shipping)?.plus(self.tax);
        all() == Ok(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Quantity;

    fn euro(text: &str) -> Money {
        Money::parse(text, Currency::EUR).unwrap()
    }

    fn tax(rate: u32, amount: &str, included: bool) -> LineTax {
        LineTax { rate: Rate::from_hundredths(rate).unwrap(), amount: euro(amount), included }
    }

    fn totals(lines: &[Line], carriage: Option<&Carriage>) -> Result<Totals, MoneyError> {
        Totals::of(Charged { currency: Currency::EUR, lines, carriage })
    }

    #[test]
    fn tax_within_the_prices_is_told_and_not_added() {
        let wine = Line::new("wine", "Wine", euro("11.90"), Quantity::new(2).unwrap());
        let wine = wine.less(euro("3.80")).taxed(tax(1900, "3.19", true));
        let book = Line::new("book", "Book", euro("10.70"), Quantity::new(1).unwrap()).taxed(tax(700, "0.70", true));
        let carriage = Carriage {
            method: "parcel".into(),
            title: "Parcel".into(),
            amount: euro("5.95"),
            tax: Some(tax(1900, "0.95", true)),
        };
        let sums = totals(&[wine, book], Some(&carriage)).unwrap();
        assert_eq!((sums.lines, sums.discounts, sums.shipping), (euro("34.50"), euro("3.80"), euro("5.95")));
        assert_eq!((sums.tax, sums.total), (euro("0"), euro("36.65")));
        let parts: Vec<_> = sums.taxes.iter().map(|part| (part.rate.to_string(), part.net, part.tax)).collect();
        assert_eq!(
            parts,
            [("19".to_owned(), euro("21.81"), euro("4.14")), ("7".to_owned(), euro("10.00"), euro("0.70"))]
        );
        assert!(sums.is_balanced());
    }

    #[test]
    fn tax_on_top_is_added_once() {
        let line = Line::new("desk", "Desk", euro("100"), Quantity::new(1).unwrap()).taxed(tax(1900, "19", false));
        let sums = totals(&[line], None).unwrap();
        assert_eq!((sums.tax, sums.total, sums.taxes[0].net), (euro("19"), euro("119"), euro("100")));
        assert!(sums.is_balanced());
        assert!(!Totals { total: euro("118"), ..sums }.is_balanced());
    }

    #[test]
    fn nothing_is_let_off_beyond_a_price_and_no_tax_is_more_than_it() {
        let line = || Line::new("tea", "Tea", euro("4"), Quantity::new(1).unwrap());
        assert_eq!(totals(&[line().less(euro("4.01"))], None), Err(MoneyError::BelowZero));
        assert_eq!(totals(&[line().taxed(tax(1900, "4.01", true))], None), Err(MoneyError::BelowZero));
        let francs = Money::parse("1", Currency::CHF).unwrap();
        assert!(matches!(totals(&[line().less(francs)], None), Err(MoneyError::OtherCurrency { .. })));
        assert_eq!(totals(&[line().less(euro("4"))], None).unwrap().total, euro("0"));
    }
}
