//! What is let off: for everybody, for a word, for a proof.

use super::{
    CUTS_MAX, Cut, Discount, Discountable, NAME_BYTES_MAX, Opening, OpeningError, TradeError, Uses, is_name, is_title,
};
use crate::{
    ask::Ask,
    checkout::{CODES_MAX, Coupon, NotACouponName},
    money::{Money, MoneyError, Rate},
    order::Line,
    store::BoxError,
    time::UnixTime,
};

/// What is let off, as a list in the program.
///
/// Several may count for one order. They are taken in the order in which they are named here, each of what the lines cost
/// after those before it; what is for a proof comes last, and each of those is of what is left without the others of its
/// kind, for it may be offered and not given. A word is compared without regard to case, and counts once however often it
/// is entered.
///
/// ```
/// use firsthand::{
///     Ask,
///     money::{Currency, Money},
///     trade::{Codes, Off, Uses},
/// };
///
/// let student = Ask::new("student", "Students pay less").over(18);
/// let codes = Codes::new()
///     .word("SPRING", Off::percent("A tenth off in spring", "10".parse()?).on(["sencha"]))
///     .word("WELCOME5", Off::amount("Welcome", Money::parse("5", Currency::EUR)?).given(Uses::OncePerCustomer))
///     .for_proof(&student, Off::percent("For students", "15".parse()?));
/// # Ok::<(), firsthand::money::MoneyError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Codes {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    needs: Needs,
    off: Off,
}

#[derive(Clone, Debug)]
enum Needs {
    Nothing,
    /// As it is compared.
    Word(String),
    Proof(String),
}

impl Codes {
    /// Nothing is let off yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This is let off for everybody.
    #[must_use]
    pub fn always(self, off: Off) -> Self {
        self.with(Needs::Nothing, off)
    }

    /// This is let off for whoever enters the word: 1 to 64 bytes. Of several that are given a limited number of times, each
    /// has a word of its own, of at least 60 random bits: see [`Discount`].
    #[must_use]
    pub fn word(self, word: &str, off: Off) -> Self {
        self.with(Needs::Word(plain(word)), off)
    }

    /// This is let off for whoever proves something: that they study, say, or hold the shop's card.
    #[must_use]
    pub fn for_proof(self, ask: &Ask, off: Off) -> Self {
        self.with(Needs::Proof(ask.name().to_owned()), off)
    }

    fn with(mut self, needs: Needs, off: Off) -> Self {
        self.rules.push(Rule { needs, off });
        self
    }
}

impl Rule {
    /// What it is counted as, where it is given a limited number of times.
    fn name(&self) -> String {
        match &self.needs {
            Needs::Nothing => format!("title {}", self.off.title),
            Needs::Word(word) => format!("word {word}"),
            Needs::Proof(ask) => format!("proof {ask} {}", self.off.title),
        }
    }

    /// What it uses up.
    fn coupon(&self) -> Result<Option<Coupon>, NotACouponName> {
        match self.off.uses {
            Uses::Always => Ok(None),
            Uses::Once => Coupon::once(self.name()).map(Some),
            Uses::OncePerCustomer => Coupon::once_per_customer(self.name()).map(Some),
        }
    }
}

/// How much is let off, and when.
#[derive(Clone, Debug)]
pub struct Off {
    title: String,
    how_much: HowMuch,
    over: Option<Money>,
    until: Option<UnixTime>,
    items: Option<Vec<String>>,
    uses: Uses,
}

#[derive(Clone, Copy, Debug)]
enum HowMuch {
    Percent(Rate),
    Amount(Money),
}

impl Off {
    /// A part of the price. The title (at most 256 bytes) is what the customer reads.
    #[must_use]
    pub fn percent(title: impl Into<String>, rate: Rate) -> Self {
        Self::of(title.into(), HowMuch::Percent(rate))
    }

    /// An amount, spread over the lines by what they cost; at most what they cost. The title (at most 256 bytes) is what
    /// the customer reads. An amount in another currency is nothing: the merchant is not
    /// built with it.
    #[must_use]
    pub fn amount(title: impl Into<String>, amount: Money) -> Self {
        Self::of(title.into(), HowMuch::Amount(amount))
    }

    const fn of(title: String, how_much: HowMuch) -> Self {
        Self { title, how_much, over: None, until: None, items: None, uses: Uses::Always }
    }

    /// If the goods cost at least so much in all, before anything is let off.
    #[must_use]
    pub const fn over(mut self, goods: Money) -> Self {
        self.over = Some(goods);
        self
    }

    /// Until then, and not at that time any more.
    #[must_use]
    pub const fn until(mut self, until: UnixTime) -> Self {
        self.until = Some(until);
        self
    }

    /// Off these items alone.
    #[must_use]
    pub fn on<I: Into<String>>(mut self, items: impl IntoIterator<Item = I>) -> Self {
        self.items = Some(items.into_iter().map(Into::into).collect());
        self
    }

    /// How often it is given; as often as anybody likes unless said. What is for one customer needs one whom the shop
    /// knows.
    #[must_use]
    pub const fn given(mut self, uses: Uses) -> Self {
        self.uses = uses;
        self
    }

    fn counts(&self, goods: Money, now: UnixTime) -> bool {
        // Amounts of other currencies do not compare, and are not reached.
        self.until.is_none_or(|until| now < until) && self.over.is_none_or(|over| goods >= over)
    }

    /// How much of it falls on which line; nothing if it is nothing in all.
    fn of_lines(&self, lines: &[Line], left: &[Money], goods: Money) -> Result<Option<Vec<Money>>, MoneyError> {
        let named = |line: &Line| self.items.as_ref().is_none_or(|items| items.contains(&line.item));
        let weight = |(line, left): (&Line, &Money)| if named(line) { left.minor().unsigned_abs() } else { 0 };
        let weights: Vec<u64> = lines.iter().zip(left).map(weight).collect();
        let chosen = lines.iter().zip(left).filter(|&(line, _)| named(line)).map(|(_, left)| *left);
        let costs = Money::sum(chosen, goods.currency())?;
        let off = match self.how_much {
            HowMuch::Percent(rate) => costs.share(rate)?,
            HowMuch::Amount(amount) if amount.currency() == costs.currency() => amount.at_most(costs)?,
            HowMuch::Amount(_) => return Ok(None),
        };
        // By what a line costs: no part is more than its line, for the whole is not more than all of them.
        if off.is_zero() { Ok(None) } else { off.allocate(&weights).map(Some) }
    }
}

impl Discount for Codes {
    async fn cuts(&self, discountable: &Discountable) -> Result<Vec<Cut>, TradeError> {
        self.counting(discountable).map_err(|e| TradeError::invalid("discounts", e))
    }

    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        let mut counted: Vec<String> = Vec::new();
        for rule in &self.rules {
            let (what, off) = (format!("the discount {:?}", rule.off.title), &rule.off);
            match &rule.needs {
                Needs::Nothing => {}
                Needs::Word(word) => Opening::reads(&what, is_name(word))?,
                Needs::Proof(ask) => opening.declares(&what, ask)?,
            }
            Opening::reads(&what, is_title(&off.title))?;
            if let HowMuch::Amount(amount) = off.how_much {
                opening.sells_for(&what, amount)?;
            }
            off.over.map_or(Ok(()), |over| opening.sells_for(&what, over))?;
            let name = rule.name();
            if off.uses != Uses::Always && counted.contains(&name) {
                return Err(OpeningError::CountedTwice { name });
            }
            counted.extend(Some(name).filter(|_| off.uses != Uses::Always));
        }
        Ok(())
    }
}

impl Codes {
    fn counting(&self, discountable: &Discountable) -> Result<Vec<Cut>, BoxError> {
        let lines = &discountable.lines;
        let Some(currency) = lines.first().map(|line| line.unit.currency()) else { return Ok(Vec::new()) };
        let mut left = lines.iter().map(Line::amount).collect::<Result<Vec<_>, _>>()?;
        let goods = Money::sum(left.iter().copied(), currency)?;
        let entered: Vec<(String, &String)> = discountable
            .codes
            .iter()
            .take(CODES_MAX)
            .filter(|code| code.len() <= NAME_BYTES_MAX)
            .map(|code| (plain(code), code))
            .collect();

        let is_proof = |rule: &&Rule| matches!(rule.needs, Needs::Proof(_));
        let others = self.rules.iter().filter(|rule| !is_proof(rule));
        let mut cuts: Vec<Cut> = Vec::new();
        for rule in others.chain(self.rules.iter().filter(is_proof)) {
            let Rule { needs, off } = rule;
            let code = match needs {
                Needs::Word(word) => match entered.iter().find(|(plain, _)| !word.is_empty() && plain == word) {
                    Some((_, code)) => Some(*code),
                    None => continue,
                },
                Needs::Nothing | Needs::Proof(_) => None,
            };
            if cuts.len() >= CUTS_MAX || !off.counts(goods, discountable.now) {
                continue;
            }
            let Some(parts) = off.of_lines(lines, &left, goods)? else { continue };
            let mut cut = Cut { coupon: rule.coupon()?, ..Cut::new(off.title.clone(), parts) };
            if let Needs::Proof(ask) = needs {
                cut = cut.for_proof(ask);
            } else {
                left = left.iter().zip(&cut.off).map(|(left, off)| left.minus(*off)).collect::<Result<_, _>>()?;
            }
            cuts.push(match code {
                Some(code) => cut.by_code(code),
                None => cut,
            });
        }
        Ok(cuts)
    }
}

/// A word as it is compared: in capitals, for not every letter has a small one of its own (`größe`, `GRÖSSE`).
fn plain(word: &str) -> String {
    word.trim().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::{Currency, Quantity},
        testing::trade::discount_conformance,
    };

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn euro(text: &str) -> Money {
        Money::parse(text, Currency::EUR).unwrap()
    }

    fn rate(percent: &str) -> Rate {
        percent.parse().unwrap()
    }

    fn lines() -> Vec<Line> {
        let line = |item: &str, unit, count| Line::new(item, item, euro(unit), Quantity::new(count).unwrap());
        vec![line("sencha", "14.80", 2), line("wine", "9.99", 1), line("cup", "0.01", 1)]
    }

    fn student() -> Ask {
        Ask::new("student", "Students pay less").over(18)
    }

    /// What is let off, as code, ask, and cents for each line.
    async fn cuts(codes: &Codes, entered: &[&str]) -> Vec<(Option<String>, Option<String>, Vec<i64>)> {
        let entered = entered.iter().map(|&code| code.to_owned()).collect();
        let cuts = codes.cuts(&Discountable { lines: lines(), codes: entered, now: NOW }).await.unwrap();
        cuts.into_iter().map(|cut| (cut.code, cut.needs, cut.off.iter().map(|off| off.minor()).collect())).collect()
    }

    async fn off(codes: &Codes) -> Vec<Vec<i64>> {
        cuts(codes, &["x"]).await.into_iter().map(|(_, _, off)| off).collect()
    }

    #[tokio::test]
    async fn it_keeps_the_rules_of_discounts() {
        let codes = Codes::new()
            .always(Off::amount("For everybody", euro("1")))
            .word("SPRING", Off::percent("Spring", rate("10")))
            .word("größe", Off::amount("Five", euro("5")).given(Uses::Once))
            .word("all", Off::percent("All", rate("100")))
            .for_proof(&student(), Off::percent("Students", rate("15")));
        discount_conformance(&codes, &lines(), &["spring", "SPRING", "GRÖSSE", "größe", "All"]).await;
        discount_conformance(&Codes::new(), &lines(), &[]).await;
    }

    #[tokio::test]
    async fn a_word_counts_once_and_is_told_as_it_was_entered() {
        let codes = Codes::new().word("Spring", Off::percent("Spring", rate("10")));
        for entered in ["spring", "SPRING", " sPring "] {
            let found = cuts(&codes, &["other", entered, "spring"]).await;
            assert_eq!(found, [(Some(entered.to_owned()), None, vec![296, 100, 0])]);
        }
        for entered in ["", " ", "sprin", "spring\u{0}", "springs", "%", &"spring".repeat(20)] {
            assert!(cuts(&codes, &[entered]).await.is_empty(), "{entered:?}");
        }
        assert!(cuts(&Codes::new().word("", Off::percent("Nobody", rate("10"))), &["", " "]).await.is_empty());
    }

    #[tokio::test]
    async fn cents_add_up_and_no_line_is_below_nothing() {
        // 39.60 in all.
        let of = |off: Off| Codes::new().word("x", off);
        assert_eq!(off(&of(Off::amount("", euro("10")))).await, [[748, 252, 0]]);
        assert_eq!(off(&of(Off::amount("", euro("1000")))).await, [[2960, 999, 1]]);
        assert_eq!(off(&of(Off::percent("", rate("100")))).await, [[2960, 999, 1]]);
        assert_eq!(off(&of(Off::percent("", rate("50")))).await, [[1480, 500, 0]], "half of 39.60, not of each");
        assert_eq!(off(&of(Off::percent("", rate("10")).on(["wine", "cup", "?"]))).await, [[0, 100, 0]]);
        let francs = Money::parse("1", Currency::CHF).unwrap();
        for nothing in [
            Off::percent("", Rate::ZERO),
            Off::amount("", euro("0")),
            Off::amount("", francs),
            Off::percent("", rate("10")).on(["beer"]),
            Off::percent("", rate("0.01")).on(["cup"]),
        ] {
            assert!(off(&of(nothing.clone())).await.is_empty(), "{nothing:?}");
        }
    }

    #[tokio::test]
    async fn a_value_has_to_be_reached_and_a_time_not() {
        let of = |off: Off| Codes::new().word("x", off);
        let tenth = || Off::percent("", rate("10"));
        let francs = Money::parse("1", Currency::CHF).unwrap();
        for (off_, counts) in [
            (tenth().over(euro("39.60")), true),
            (tenth().over(euro("39.61")), false),
            (tenth().over(francs), false),
            (tenth().until(NOW.plus_s(1)), true),
            (tenth().until(NOW), false),
            (tenth().over(euro("39")).until(NOW.minus_s(1)), false),
        ] {
            assert_eq!(off(&of(off_.clone())).await.len(), usize::from(counts), "{off_:?}");
        }
    }

    #[tokio::test]
    async fn several_are_taken_one_after_the_other_and_those_for_proofs_last() {
        let half = || Off::percent("", rate("50")).on(["sencha"]);
        let codes = Codes::new()
            .for_proof(&student(), half())
            .for_proof(&Ask::new("loyal", "Friends pay less").over(18), half())
            .always(half())
            .word("x", half());
        let found = cuts(&codes, &["x"]).await;
        let told: Vec<_> = found.iter().map(|(code, ask, off)| (code.as_deref(), ask.as_deref(), off[0])).collect();
        assert_eq!(
            told,
            [(None, None, 1480), (Some("x"), None, 740), (None, Some("student"), 370), (None, Some("loyal"), 370)]
        );
    }

    #[tokio::test]
    async fn no_more_than_twenty_are_told() {
        let codes = (0..30).fold(Codes::new(), |codes, _| codes.always(Off::amount("", euro("0.01"))));
        assert_eq!(off(&codes).await.len(), 20);
    }
}
