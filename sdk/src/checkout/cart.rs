//! From what the shop's parts say to an offer, step by step: what is sold, what is let off, how it is sent, the tax.

use super::{
    message::{Message, MessageCode, Severity},
    offering::{Coupon, Offered, Offering},
    wishes::CheckedWishes,
};
use crate::{
    money::{Currency, Money, MoneyError, Rate},
    order::{Carriage, Charged, Exemption, Line, LineTax, Reduction, Totals},
    trade::{CUTS_MAX, Consignment, Cut, Item, Levy, WAYS_MAX, Way},
};

/// What is known of the customer when prices depend on it.
pub(crate) struct BuyerFacts<'a> {
    /// Whether they are somebody whom the shop knows.
    pub(crate) is_customer: bool,
    /// Whether an ask is answered, lately enough.
    pub(crate) proved: &'a (dyn Fn(&str) -> bool + Sync),
    /// Whether something was let off before, and is not again.
    pub(crate) used: &'a (dyn Fn(&Coupon) -> bool + Sync),
}

/// An offer that is being put together.
pub(crate) struct Cart {
    currency: Currency,
    items: Vec<Item>,
    lines: Vec<Line>,
    /// What is let off, with how much of it falls on which line.
    cuts: Vec<(Reduction, Vec<Money>)>,
    way: Option<Way>,
    carriage: Option<Carriage>,
    ways: Vec<Way>,
    needs: Vec<String>,
    missing: Vec<String>,
    provisional: bool,
    offered: Vec<Offered>,
    coupons: Vec<Coupon>,
    reverse_charge: bool,
    messages: Vec<Message>,
}

impl Cart {
    const fn empty(currency: Currency) -> Self {
        Self {
            currency,
            items: Vec::new(),
            lines: Vec::new(),
            cuts: Vec::new(),
            way: None,
            carriage: None,
            ways: Vec::new(),
            needs: Vec::new(),
            missing: Vec::new(),
            provisional: false,
            offered: Vec::new(),
            coupons: Vec::new(),
            reverse_charge: false,
            messages: Vec::new(),
        }
    }

    /// What is sold of what is wished for: `found` is what the catalogue said, in the order of the wishes.
    pub(crate) fn of(currency: Currency, wishes: &CheckedWishes, found: Vec<Option<Item>>) -> Self {
        let mut cart = Self::empty(currency);
        let found = found.into_iter().chain(std::iter::repeat(None));
        for ((name, quantity), item) in wishes.items.iter().zip(found) {
            let Some(item) = item else {
                let gone = Message::recoverable(MessageCode::ItemUnavailable, "This is not sold any more.");
                cart.messages.push(gone.about(name));
                continue;
            };
            if let Some(most) = item.at_most.filter(|most| quantity > most) {
                let text = format!("At most {most} of this are sold at once.");
                let too_many = Message::recoverable(MessageCode::QuantityTooLarge, text).about(name);
                cart.messages.push(too_many.count(most.count()));
            }
            let mut line = Line::new(name, &item.title, item.unit, *quantity);
            (line.exemption, line.intangible, line.uncounted) =
                (item.exemption, item.weight_g.is_none(), !item.counted);
            cart.lines.push(line);
            cart.items.push(item);
        }
        cart
    }

    /// The same things as they were sold, to price their sending once more. `None` if one of them is not sold any more.
    pub(crate) fn again(currency: Currency, items: &[Option<Item>], lines: &[Line]) -> Option<Self> {
        let items = items.iter().cloned().collect::<Option<Vec<Item>>>().filter(|items| items.len() == lines.len())?;
        Some(Self { items, lines: lines.to_vec(), ..Self::empty(currency) })
    }

    /// What the catalogue said of what is sold.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// What is bought, after what is let off.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether something of it is sent.
    pub(crate) fn ships(&self) -> bool {
        self.items.iter().any(|item| item.weight_g.is_some())
    }

    /// What of it is counted, if anybody counts.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.uncounted)
    }

    /// How many there are of each line that is [counted](Self::counted); `None` for what is not after all.
    pub(crate) fn stocked(&mut self, left: &[Option<u32>]) {
        let short: Vec<(String, u32)> = (self.counted().zip(left))
            .filter_map(|(line, left)| Some((line.item.clone(), (*left)?, line.quantity.count())))
            .filter(|(_, left, wanted)| left < wanted)
            .map(|(item, left, _)| (item, left))
            .collect();
        for (item, left) in short {
            self.messages.push(short_of(item, left));
        }
    }

    /// What has to be proved for what is bought.
    pub(crate) fn prove(&mut self, facts: &BuyerFacts<'_>) {
        let needs: Vec<String> = self.items.iter().flat_map(|item| item.needs.iter().cloned()).collect();
        needs.into_iter().for_each(|ask| self.need(ask, facts));
    }

    /// Takes off what is let off. What was entered and lets nothing off is told.
    ///
    /// # Errors
    /// [`MoneyError`] if the merchant lets off another currency.
    pub(crate) fn cut(
        &mut self,
        cuts: Vec<Cut>,
        wishes: &CheckedWishes,
        facts: &BuyerFacts<'_>,
    ) -> Result<(), MoneyError> {
        let mut counted: Vec<String> = Vec::new();
        for cut in cuts.into_iter().take(CUTS_MAX) {
            let Cut { code, title, off, needs, coupon } = cut;
            let off = self.capped(&off)?;
            let amount = Money::sum(off.iter().copied(), self.currency)?;
            if amount.is_zero() {
                continue;
            }
            counted.extend(code.clone());
            let about = code.clone().unwrap_or_else(|| title.clone());
            if coupon.as_ref().is_some_and(|coupon| coupon.is_per_customer() && !facts.is_customer) {
                let text = "This is let off once for each customer: show who you are.";
                self.note(MessageCode::DiscountForCustomers, text, about);
                continue;
            }
            if coupon.as_ref().is_some_and(|coupon| (facts.used)(coupon)) {
                self.note(MessageCode::DiscountUsed, "This was let off before.", about);
                continue;
            }
            if let Some(ask) = needs {
                let proved = (facts.proved)(&ask);
                if !proved && code.is_none() && !wishes.claims.contains(&ask) {
                    self.offered.push(Offered { title, ask, amount });
                    continue;
                }
                self.provisional |= !proved;
                self.need(ask, facts);
            }
            for (line, off) in self.lines.iter_mut().zip(&off) {
                *line = line.clone().less(line.discount().plus(*off)?);
            }
            self.cuts.push((Reduction { code, title, amount }, off));
            self.coupons.extend(coupon);
        }
        for code in wishes.codes.iter().filter(|code| !counted.contains(code)) {
            self.note(MessageCode::DiscountCodeInvalid, "This word lets nothing off here.", code);
        }
        Ok(())
    }

    /// How it is sent: by the way that was chosen, or the first one. What is taxed as the goods are is from here on.
    pub(crate) fn send(&mut self, ways: Vec<Way>, wished: Option<&str>) {
        self.ways = ways.into_iter().take(WAYS_MAX).map(|way| self.taxed(way)).collect();
        let chosen = wished.and_then(|wished| self.ways.iter().find(|way| way.method == wished));
        if wished.is_some() && chosen.is_none() && !self.ways.is_empty() {
            let text = "It is not sent that way: choose again.";
            self.messages.push(Message::new(Severity::Warning, MessageCode::WayChanged, text));
        }
        self.way = self.ways.iter().find(|way| wished == Some(way.method.as_str())).or(self.ways.first()).cloned();
        self.carriage = self.way.as_ref().map(|way| Carriage {
            method: way.method.clone(),
            title: way.title.clone(),
            amount: way.price,
            tax: None,
        });
    }

    /// It is not sent to where it would go: because it is too heavy, where whoever sends it says so.
    pub(crate) fn not_sent_there(&mut self, at_most_g: Option<u64>) {
        self.messages.push(match at_most_g {
            Some(grams) => {
                let text = format!("This is too heavy to be sent there at once: at most {}.", in_kilograms(grams));
                let too_heavy = Message::recoverable(MessageCode::TooHeavy, text);
                too_heavy.count(u32::try_from(grams).unwrap_or(u32::MAX))
            }
            None => Message::recoverable(MessageCode::NotSentThere, "This is not sent to that address."),
        });
    }

    /// The number that was typed changes nothing: the tax is the same as without it.
    pub(crate) fn vat_id_not_taken(&mut self) {
        let text = "This VAT number changes nothing for where this goes: the tax is charged as usual.";
        self.messages.push(Message::new(Severity::Warning, MessageCode::VatIdNotTaken, text));
    }

    /// Whether the buyer owes the tax.
    pub(crate) const fn is_owed_by_buyer(&self) -> bool {
        self.reverse_charge
    }

    /// A way as it is taxed for these goods: as most of what is sent with it, by what that costs, where it says so itself. Of
    /// equals the first.
    pub(crate) fn taxed(&self, way: Way) -> Way {
        if !way.is_taxed_as_goods() {
            return way;
        }
        let mut shares: Vec<(&str, Money)> = Vec::new();
        let sent = self.items.iter().zip(&self.lines).filter(|(item, _)| item.weight_g.is_some());
        for (item, line) in sent {
            // What cannot be added up is refused where the offer is put together.
            let amount = line.amount().unwrap_or(Money::zero(self.currency));
            match shares.iter_mut().find(|(class, _)| *class == item.tax) {
                Some((_, sum)) => *sum = sum.plus(amount).unwrap_or(*sum),
                None => shares.push((&item.tax, amount)),
            }
        }
        let most = shares.into_iter().reduce(|most, next| if next.1 > most.1 { next } else { most });
        let class = most.map_or_else(|| "standard".to_owned(), |(class, _)| class.to_owned());
        way.taxed_as(class)
    }

    /// It is not known where to send it.
    pub(crate) fn lacks_address(&mut self) {
        self.messages.push(Message::recoverable(MessageCode::AddressMissing, "Where is it to be sent?"));
    }

    /// How each line is taxed, by the merchant's names, and the sending at the end.
    pub(crate) fn classes(&self) -> Vec<String> {
        self.items.iter().map(|item| item.tax.clone()).chain(self.way.iter().map(|way| way.tax.clone())).collect()
    }

    /// Adds the tax, in the order of [`classes`](Self::classes).
    ///
    /// # Errors
    /// Never for amounts of one currency.
    pub(crate) fn tax(&mut self, levies: &[Levy]) -> Result<(), MoneyError> {
        let mut levies = levies.iter().copied();
        for at in 0..self.lines.len() {
            let levy = levies.next().unwrap_or(Levy::None);
            if let Levy::ReverseCharge { included } = levy {
                self.reverse_charge = true;
                self.without_tax(at, included.unwrap_or(Rate::ZERO))?;
            }
            if let Some(line) = self.lines.get_mut(at) {
                let tax = line_tax(levy, line.amount()?)?;
                line.tax = tax;
            }
        }
        if let (Some(carriage), Some(levy)) = (&mut self.carriage, levies.next()) {
            if let Levy::ReverseCharge { included } = levy {
                carriage.amount = net(carriage.amount, included.unwrap_or(Rate::ZERO))?;
            }
            carriage.tax = line_tax(levy, carriage.amount)?;
        }
        Ok(())
    }

    /// The offer.
    ///
    /// # Errors
    /// [`MoneyError`] for a catalogue in another currency, or more than can be counted.
    pub(crate) fn offering(self) -> Result<Offering, MoneyError> {
        let ships = self.ships();
        let parts = Charged { currency: self.currency, lines: &self.lines, carriage: self.carriage.as_ref() };
        let totals = Totals::of(parts)?;
        Ok(Offering {
            totals,
            ships,
            reductions: self.cuts.into_iter().map(|(reduction, _)| reduction).collect(),
            lines: self.lines,
            carriage: self.carriage,
            ways: self.ways,
            needs: self.needs,
            missing: self.missing,
            provisional: self.provisional,
            offered: self.offered,
            coupons: self.coupons,
            reverse_charge: self.reverse_charge,
            messages: self.messages,
        })
    }

    fn need(&mut self, ask: String, facts: &BuyerFacts<'_>) {
        if self.needs.contains(&ask) {
            return;
        }
        if !(facts.proved)(&ask) {
            let text = "Your wallet has to show this.";
            self.messages.push(Message::new(Severity::RequiresBuyerInput, MessageCode::ProofNeeded, text).about(&ask));
            self.missing.push(ask.clone());
        }
        self.needs.push(ask);
    }

    /// What is let off each line, and never more than it costs by now.
    fn capped(&self, off: &[Money]) -> Result<Vec<Money>, MoneyError> {
        let nothing = Money::zero(self.currency);
        let off = off.iter().copied().chain(std::iter::repeat(nothing));
        self.lines.iter().zip(off).map(|(line, off)| off.at_most(line.amount()?)).collect()
    }

    /// Takes the tax out of the price of a line, and out of what is let off it.
    fn without_tax(&mut self, at: usize, rate: Rate) -> Result<(), MoneyError> {
        let Some(line) = self.lines.get_mut(at) else { return Ok(()) };
        line.unit = net(line.unit, rate)?;
        line.exemption = Some(Exemption::NoConsumer);
        let mut discount = Money::zero(self.currency);
        for (reduction, off) in &mut self.cuts {
            let Some(off) = off.get_mut(at) else { continue };
            let less = net(*off, rate)?;
            reduction.amount = reduction.amount.minus(*off)?.plus(less)?;
            *off = less;
            discount = discount.plus(less)?;
        }
        if line.discount.is_some() {
            line.discount = Some(discount.at_most(line.price()?)?);
        }
        Ok(())
    }

    fn note(&mut self, code: MessageCode, text: &str, about: impl Into<String>) {
        self.messages.push(Message::new(Severity::Warning, code, text).about(about));
    }
}

/// A weight as people say it, in English: `500 g`, `20 kg`, `31.5 kg`.
fn in_kilograms(grams: u64) -> String {
    match (grams / 1_000, grams % 1_000) {
        (0, grams) => format!("{grams} g"),
        (whole, 0) => format!("{whole} kg"),
        (whole, rest) => format!("{whole}.{} kg", format!("{rest:03}").trim_end_matches('0')),
    }
}

/// That there is too little of something.
pub(crate) fn short_of(item: impl Into<String>, left: u32) -> Message {
    let text = match left {
        0 => "This is sold out.".to_owned(),
        left => format!("Only {left} of this are left."),
    };
    Message::recoverable(MessageCode::OutOfStock, text).about(item).count(left)
}

/// What a cart is to whoever prices its sending.
pub(crate) fn consignment(cart: &Cart, country: &str, postal_code: &str) -> Result<Consignment, MoneyError> {
    let weights = cart.items.iter().zip(&cart.lines);
    let weight = |(item, line): (&Item, &Line)| item.weight_g.unwrap_or(0).saturating_mul(line.quantity.count().into());
    let amounts: Result<Vec<Money>, MoneyError> = cart.lines.iter().map(Line::amount).collect();
    Ok(Consignment {
        country: country.to_owned(),
        postal_code: postal_code.to_owned(),
        weight_g: weights.map(weight).fold(0, u64::saturating_add),
        lines: cart.lines.clone(),
        goods: Money::sum(amounts?, cart.currency)?,
    })
}

fn net(amount: Money, rate: Rate) -> Result<Money, MoneyError> {
    amount.minus(amount.included(rate)?)
}

fn line_tax(levy: Levy, amount: Money) -> Result<Option<LineTax>, MoneyError> {
    Ok(match levy {
        Levy::None => None,
        Levy::Included(rate) => Some(LineTax { rate, amount: amount.included(rate)?, included: true }),
        Levy::OnTop(rate) => Some(LineTax { rate, amount: amount.share(rate)?, included: false }),
        Levy::ReverseCharge { .. } => {
            Some(LineTax { rate: Rate::ZERO, amount: Money::zero(amount.currency()), included: false })
        }
    })
}
