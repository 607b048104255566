//! What every catalogue, inventory, shipping, tax and discount must keep, as suites that their authors run.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a suite says what is wrong by failing"
)]

mod inventory;

pub use self::inventory::inventory_conformance;
use crate::{
    money::{Currency, Money},
    order::Line,
    time::UnixTime,
    trade::{
        CUTS_MAX, Catalog, Consignment, Discount, Discountable, ITEMS_MAX, Levy, NAME_BYTES_MAX, Shipping, Tax,
        Taxable, WAYS_MAX, is_name, is_title,
    },
};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// What strangers enter.
fn hostile() -> Vec<String> {
    let short =
        ["", " ", "\0", "\u{1b}[2J", "\r\n", "%", "_", "'; --", "../..", "\u{202e}", "ｓencha", "😀", "ß", "İ", "null"];
    let long = ["x".repeat(64), "é".repeat(32), "x".repeat(10_000)];
    short.into_iter().map(str::to_owned).chain(long).collect()
}

/// Checks that a catalogue keeps the rules of [`Catalog`]: `known` are names of what it sells (at least one), `unknown` of
/// what it does not.
///
/// ```
/// # use firsthand::{money::{Currency, Money}, testing::trade::catalog_conformance, trade::{Item, Items}};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let items = Items::new([Item::new("sencha", "Sencha", Money::parse("14.80", Currency::EUR)?)])?;
/// catalog_conformance(&items, &["sencha"], &["beer"]).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// At the first rule that is broken, with its name.
pub async fn catalog_conformance(catalog: &impl Catalog, known: &[&str], unknown: &[&str]) {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let items = async |asked: &[String]| {
        let found = catalog.items(asked).await.expect("a catalogue in working order answers");
        assert_eq!(found.len(), asked.len(), "there is one answer for each name of {asked:?}");
        found
    };
    assert!(!known.is_empty(), "the suite needs something that is sold");
    assert!(items(&[]).await.is_empty(), "nothing asked, nothing answered");

    let mut mixed = names(known);
    for (at, name) in names(unknown).into_iter().enumerate() {
        mixed.insert((2 * at).min(mixed.len()), name);
    }
    for asked in [names(known), known.iter().rev().map(|&name| name.to_owned()).collect(), names(unknown), mixed] {
        for asked in asked.chunks(ITEMS_MAX) {
            for (name, found) in asked.iter().zip(items(asked).await) {
                assert_eq!(found.is_some(), known.contains(&name.as_str()), "{name:?} is answered in its place");
                let Some(item) = found else { continue };
                assert_eq!(item.name, *name, "an item has the name under which it is asked for");
                assert!(is_name(&item.name), "{name:?}: a name is 1 to 64 bytes without control characters");
                assert!(is_title(&item.title), "{name:?}: a title is 1 to 256 bytes without control characters");
            }
        }
    }
    let strangers: Vec<String> = hostile().into_iter().filter(|name| !known.contains(&name.as_str())).collect();
    for found in items(&strangers).await {
        assert_eq!(found, None, "what a stranger enters is not sold");
    }
}

/// Checks that shipping keeps the rules of [`Shipping`], for a shop with this currency: something of 100 g that costs 10
/// is sent to the country `served`, and to the country `elsewhere` nothing.
///
/// # Panics
/// At the first rule that is broken, with its name.
pub async fn shipping_conformance(shipping: &impl Shipping, currency: Currency, served: &str, elsewhere: &str) {
    let goods = Money::parse("10", currency).expect("ten of any currency");
    let sent = |country: &str, postal_code: &str, weight_g| Consignment {
        country: country.to_owned(),
        postal_code: postal_code.to_owned(),
        weight_g,
        lines: Vec::new(),
        goods,
    };
    let ways = shipping.ways(&sent(served, "", 100)).await.expect("shipping in working order answers");
    assert!(!ways.is_empty(), "something is sent to {served}");
    assert!(ways.len() <= WAYS_MAX, "at most {WAYS_MAX} ways are offered");
    for (at, way) in ways.iter().enumerate() {
        let method = &way.method;
        assert!(is_name(method), "{method:?}: a method's name is 1 to 64 bytes without control characters");
        assert!(is_title(&way.title), "{method:?}: a title is 1 to 256 bytes without control characters");
        assert_eq!(way.price.currency(), currency, "{method:?}: a price is in the shop's currency");
        assert!(
            way.days.is_none_or(|(from, to)| from <= to),
            "{method:?}: it arrives at the earliest before the latest"
        );
        assert!(ways[..at].iter().all(|other| other.method != *method), "{method:?}: a method is offered once");
    }
    let again = shipping.ways(&sent(served, "", 100)).await.expect("shipping in working order answers");
    assert_eq!(again, ways, "asked the same, the same is offered");
    let none = shipping.ways(&sent(elsewhere, "", 100)).await.expect("that it is not sent there is an answer");
    assert!(none.is_empty(), "nothing is sent to {elsewhere}");

    // Whatever a stranger enters is answered, or refused, and breaks nothing.
    for text in hostile() {
        drop(shipping.ways(&sent(served, &text, 100)).await);
        let somewhere = shipping.ways(&sent(&text, &text, 100)).await;
        assert!(somewhere.is_err() || somewhere.is_ok_and(|ways| ways.is_empty()), "{text:?} is no country");
    }
    for weight_g in [0, u64::MAX] {
        drop(shipping.ways(&sent(served, "", weight_g)).await);
    }
    // What is said to be the most is sent, and more is not.
    if let Ok(Some(most)) = shipping.at_most_g(&sent(served, "", u64::MAX)).await {
        for (weight_g, is_sent) in [(most, true), (most.saturating_add(1), false)] {
            let ways = shipping.ways(&sent(served, "", weight_g)).await.expect("shipping in working order answers");
            assert_eq!(!ways.is_empty(), is_sent, "{weight_g} g are sent to {served}, of which {most} g are the most");
        }
    }
}

/// Checks that a tax keeps the rules of [`Tax`]: for these countries, and these names of how things are taxed, it knows what
/// there is.
///
/// # Panics
/// At the first rule that is broken, with its name.
pub async fn tax_conformance(tax: &impl Tax, countries: &[&str], classes: &[&str]) {
    let taxable = |country: Option<&str>, vat_id: Option<&str>, classes: &[&str]| Taxable {
        country: country.map(str::to_owned),
        postal_code: String::new(),
        vat_id: vat_id.map(str::to_owned),
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
    };
    for country in countries.iter().copied().map(Some).chain([None]) {
        let levies = async |vat_id: Option<&str>, classes: &[&str]| {
            let found = tax.levies(&taxable(country, vat_id, classes)).await.expect("tax in working order answers");
            assert_eq!(found.len(), classes.len(), "{country:?}: there is one levy for each of {classes:?}");
            found
        };
        assert!(levies(None, &[]).await.is_empty(), "{country:?}: nothing to tax, no tax");
        let all = levies(None, classes).await;
        assert_eq!(levies(None, classes).await, all, "{country:?}: asked the same, it is the same");
        for (class, levy) in classes.iter().zip(&all) {
            assert_eq!(
                levies(None, &[class, class]).await,
                [*levy, *levy],
                "{country:?}: {class} is {class} in each place"
            );
            let is_owed = matches!(levy, Levy::ReverseCharge { .. });
            assert!(!is_owed, "{country:?}: nobody owes the tax who has not said that they do");
        }
        let (backwards, mut forwards): (Vec<&str>, _) = (classes.iter().rev().copied().collect(), all.clone());
        forwards.reverse();
        assert_eq!(levies(None, &backwards).await, forwards, "{country:?}: levies stand in the order of their classes");

        let mut ids = hostile();
        ids.extend(["DE".to_owned(), "DE000000000".to_owned(), "XX123456789".to_owned()]);
        for vat_id in ids {
            let Ok(found) = tax.levies(&taxable(country, Some(&vat_id), classes)).await else { continue };
            assert_eq!(found, all, "{country:?}: {vat_id:?} is nobody's VAT id, and changes nothing");
        }
    }
    // Whatever a stranger enters is answered, or refused, and breaks nothing.
    for text in hostile() {
        let asked = Taxable { postal_code: text.clone(), ..taxable(Some(&text), Some(&text), classes) };
        if let Ok(found) = tax.levies(&asked).await {
            assert_eq!(found.len(), classes.len(), "{text:?}: there is one levy for each class");
        }
        drop(tax.levies(&taxable(None, None, &[&text])).await);
    }
}

/// Checks that a discount keeps the rules of [`Discount`]: for these lines (at least one), something is let off for each
/// of these words.
///
/// # Panics
/// At the first rule that is broken, with its name.
pub async fn discount_conformance(discount: &impl Discount, lines: &[Line], words: &[&str]) {
    let currency = lines.first().expect("the suite needs a line").unit.currency();
    let cuts = async |lines: &[Line], codes: &[String]| {
        let asked = Discountable { lines: lines.to_vec(), codes: codes.to_vec(), now: NOW };
        let cuts = discount.cuts(&asked).await.expect("a discount in working order answers");
        assert!(cuts.len() <= CUTS_MAX, "at most {CUTS_MAX} cuts are told");
        let mut told: Vec<&String> = Vec::new();
        for cut in &cuts {
            let title = &cut.title;
            assert!(is_title(title), "{title:?}: a title is 1 to 256 bytes without control characters");
            assert_eq!(cut.off.len(), lines.len(), "{title:?}: there is an amount for each line");
            for off in &cut.off {
                assert_eq!(off.currency(), currency, "{title:?}: an amount is in the currency of the lines");
            }
            if let Some(code) = &cut.code {
                assert!(codes.contains(code), "{title:?}: {code:?} stands in the answer as it was entered: {codes:?}");
                assert!(!told.contains(&code), "{code:?} is let off once");
                told.push(code);
            }
        }
        cuts
    };
    assert!(cuts(&[], &[]).await.is_empty(), "nothing is let off of nothing");
    let unasked = cuts(lines, &[]).await;
    assert!(unasked.iter().all(|cut| cut.code.is_none()), "no word is told that nobody entered");
    assert_eq!(cuts(lines, &[]).await, unasked, "asked the same, the same is let off");
    for word in words {
        let word = (*word).to_owned();
        let found = cuts(lines, std::slice::from_ref(&word)).await;
        let counts = found.iter().any(|cut| cut.code.as_ref() == Some(&word));
        assert!(counts, "something is let off for {word:?}, and it stands in the answer as it was entered");
        assert_eq!(cuts(lines, &[word.clone(), word.clone()]).await, found, "{word:?} entered twice counts once");
        cuts(&lines[..1], &[word.to_uppercase(), word]).await;
    }
    // Whatever a stranger enters breaks nothing.
    let strangers: Vec<String> =
        hostile().into_iter().filter(|text| text.len() <= NAME_BYTES_MAX && !words.contains(&text.as_str())).collect();
    for entered in strangers.chunks(10) {
        assert_eq!(cuts(lines, entered).await, unasked, "{entered:?} are nobody's words, and change nothing");
    }
}
