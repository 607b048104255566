//! Amounts of money: what an attacker sends, and what holds for every amount there is.

use firsthand::money::{Currency, Money, MoneyError, Quantity};
use firsthand_tests::{Tally, vector};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

fn cases(file: &str) -> Vec<Value> {
    vector(&format!("attack-corpora/{file}_shared.json")).as_array().unwrap().clone()
}

#[test]
fn row_120_amounts_are_read_exactly_or_refused() {
    let mut tally = Tally::new("attack-corpora/money_parse");
    for case in cases("money_parse") {
        let (amount, currency) = (case["amount"].as_str().unwrap(), case["currency"].as_str().unwrap());
        let name = format!("{amount:?} {currency:?}");
        let read = currency.parse().and_then(|currency| Money::parse(amount, currency));
        if let Ok(money) = read {
            assert_eq!(Some(money.minor()), case["minor"].as_i64(), "{name}");
        }
        tally.case(&name, case["expect"].as_str().unwrap(), read);
    }
    tally.finish(21);
}

#[test]
fn row_120_prices_times_quantities_are_exact_or_refused() {
    let mut tally = Tally::new("attack-corpora/money_arithmetic");
    for case in cases("money_arithmetic") {
        assert_eq!(Some(u64::from(Quantity::MAX.count())), case["max_quantity"].as_u64());
        let total = || {
            let price: Money = serde_json::from_value(json!({"minor": case["unit_minor"], "currency": "EUR"}))?;
            let quantity: Quantity = serde_json::from_value(case["quantity"].clone())?;
            price.times(quantity).map_err(serde::de::Error::custom)
        };
        let total: Result<Money, serde_json::Error> = total();
        if let Ok(total) = &total {
            assert_eq!(Some(total.minor()), case["total"].as_i64(), "{case}");
        }
        tally.case(&case.to_string(), case["expect"].as_str().unwrap(), total);
    }
    tally.finish(8);
}

/// One currency of every exponent there is.
fn currency() -> impl Strategy<Value = Currency> {
    select(vec!["JPY", "EUR", "KWD", "CLF"]).prop_map(|code| code.parse().unwrap())
}

/// Amounts of every size, with the largest and the smallest among them.
fn minor() -> impl Strategy<Value = i64> {
    prop_oneof![0..=i64::MAX, 0..=100_000_i64, Just(0), Just(i64::MAX)]
}

fn money() -> impl Strategy<Value = Money> {
    (minor(), currency()).prop_map(|(minor, currency)| Money::new(minor, currency).unwrap())
}

fn weight() -> impl Strategy<Value = u64> {
    prop_oneof![0..=u64::MAX, 0..=10_u64, Just(0), Just(u64::MAX)]
}

proptest! {
    #[test]
    fn a_decimal_is_read_as_it_was_written(money in money()) {
        prop_assert_eq!(Money::parse(&money.decimal(), money.currency()), Ok(money));
        let decimals = money.decimal().split_once('.').map_or(0, |(_, decimals)| decimals.len());
        prop_assert_eq!(decimals, usize::from(money.currency().exponent()));
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }

    #[test]
    fn what_is_read_is_written_as_it_stood(text in "[0-9.]{0,22}|\\PC{0,12}", currency in currency()) {
        if let Ok(money) = Money::parse(&text, currency) {
            let missing = money.decimal().strip_prefix(&text).map(|rest| rest.trim_start_matches('.').to_owned());
            prop_assert!(missing.is_some_and(|missing| missing.bytes().all(|b| b == b'0')), "{}", text);
        }
    }

    #[test]
    fn sums_are_those_of_larger_integers(one in minor(), two in minor(), count in 1..=1_000_000_u32) {
        let eur = |minor: i128| i64::try_from(minor).ok().and_then(|minor| Money::new(minor, Currency::EUR).ok());
        let (a, b) = (eur(one.into()).unwrap(), eur(two.into()).unwrap());
        let (one, two) = (i128::from(one), i128::from(two));
        prop_assert_eq!(a.plus(b).ok(), eur(one + two));
        prop_assert_eq!(a.minus(b).ok(), eur(one - two));
        prop_assert_eq!(a.times(Quantity::new(count).unwrap()).ok(), eur(one * i128::from(count)));
        prop_assert_eq!(a.at_most(b).ok(), eur(one.min(two)));
        prop_assert_eq!(Money::sum([a, b, a], Currency::EUR).ok(), eur(one + two + one));
        prop_assert_eq!(a.partial_cmp(&b), Some(one.cmp(&two)));
    }

    #[test]
    fn currencies_are_never_mixed(one in minor(), two in minor()) {
        let (a, b) = (Money::new(one, Currency::EUR).unwrap(), Money::new(two, Currency::USD).unwrap());
        let error = MoneyError::OtherCurrency { expected: Currency::EUR, found: Currency::USD };
        for mixed in [a.plus(b), a.minus(b), a.at_most(b), Money::sum([b], Currency::EUR)] {
            prop_assert_eq!(mixed, Err(error));
        }
        prop_assert_eq!(a.partial_cmp(&b), None);
    }

    #[test]
    fn parts_add_up_and_each_is_fair(money in money(), weights in vec(weight(), 1..40)) {
        let total: u128 = weights.iter().copied().map(u128::from).sum();
        let parts = money.allocate(&weights);
        if total == 0 {
            prop_assert_eq!(parts, Err(MoneyError::NoWeights));
            return Ok(());
        }
        let parts = parts.unwrap();
        prop_assert_eq!(parts.len(), weights.len());
        prop_assert_eq!(Money::sum(parts.iter().copied(), money.currency()), Ok(money));
        let whole = u128::from(money.minor().unsigned_abs());
        for (part, weight) in parts.iter().zip(&weights) {
            let part = u128::from(part.minor().unsigned_abs());
            let exact = whole * u128::from(*weight);
            let (down, rest) = (exact / total, exact % total);
            prop_assert!(part == down || (rest > 0 && part == down + 1), "{} of {}", part, down);
        }
        // Whoever weighs more, or the same and earlier, never gets less.
        for (i, one) in parts.iter().enumerate() {
            for (j, two) in parts.iter().enumerate() {
                if weights[i] > weights[j] || (weights[i] == weights[j] && i < j) {
                    prop_assert!(one >= two, "{:?}", parts);
                }
            }
        }
    }
}
