//! When people come, and what for: drawn before the first of them comes.

use std::{str::FromStr, time::Duration};

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visit {
    /// A page for somebody who is known: one request.
    Page,
    /// Somebody new proves their age with a wallet: a challenge, the ask, the wallet's two calls, and the redemption.
    Presentation,
    /// Somebody who is known buys one thing: a checkout begun, completed and paid.
    Checkout,
}

impl Visit {
    pub const ALL: [Self; 3] = [Self::Page, Self::Presentation, Self::Checkout];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Presentation => "presentation",
            Self::Checkout => "checkout",
        }
    }
}

/// How many of each kind come, in shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix(pub [u32; 3]);

impl Mix {
    /// Most look, some prove who they are, and a few buy.
    pub const USUAL: Self = Self([90, 6, 4]);

    pub const fn only(visit: Visit) -> Self {
        match visit {
            Visit::Page => Self([1, 0, 0]),
            Visit::Presentation => Self([0, 1, 0]),
            Visit::Checkout => Self([0, 0, 1]),
        }
    }

    fn draw(self, dice: &mut Dice) -> Visit {
        let mut at = dice.throw(self.0.iter().map(|share| u64::from(*share)).sum::<u64>().max(1));
        for (visit, share) in Visit::ALL.into_iter().zip(self.0) {
            match at.checked_sub(u64::from(share)) {
                Some(rest) => at = rest,
                None => return visit,
            }
        }
        Visit::Page
    }
}

/// `90,6,4`
impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shares: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
        let shares = shares.ok().and_then(|shares| <[u32; 3]>::try_from(shares).ok());
        let shares = shares.filter(|shares| shares.iter().any(|share| *share > 0));
        shares.map(Self).ok_or_else(|| format!("a mix is three shares (pages,presentations,checkouts), not {text:?}"))
    }
}

/// How people are spread over the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Nobody knows of anybody else: gaps of every length, and crowds now and then.
    Poisson,
    /// One after the other, like a clock.
    Even,
}

/// Who comes when, from the beginning of a stage.
pub fn arrivals(how: Arrivals, per_s: f64, during: Duration, mix: Mix, seed: u64) -> Vec<(Duration, Visit)> {
    let mut dice = Dice::new(seed);
    let mut planned = Vec::new();
    let mut at_s = 0.0;
    loop {
        at_s += match how {
            Arrivals::Poisson => -dice.share().ln() / per_s,
            Arrivals::Even => 1.0 / per_s,
        };
        if at_s >= during.as_secs_f64() {
            return planned;
        }
        planned.push((Duration::from_secs_f64(at_s), mix.draw(&mut dice)));
    }
}

/// Numbers that look random and are the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides` (SplitMix64).
    pub const fn throw(&mut self, sides: u64) -> u64 {
        self.mixed() % sides
    }

    /// A number above 0, up to 1.
    fn share(&mut self) -> f64 {
        ((self.mixed() >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }

    const fn mixed(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
