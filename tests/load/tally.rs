//! How long people waited, and what went wrong.

use std::{collections::BTreeMap, time::Duration};

/// All times of one kind, none left out: percentiles are exact.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn summary(mut self) -> Option<Summary> {
        self.0.sort_unstable();
        Some(Summary {
            count: self.0.len(),
            p50_ms: ms(self.at(50.0)?),
            p90_ms: ms(self.at(90.0)?),
            p99_ms: ms(self.at(99.0)?),
            max_ms: ms(*self.0.last()?),
        })
    }

    /// The least time that so many percent did not exceed (the nearest rank), of sorted times.
    fn at(&self, percent: f64) -> Option<Duration> {
        let rank = (self.0.len() as f64 * percent / 100.0).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied()
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub count: usize,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// What went wrong, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors(BTreeMap<String, usize>);

impl Errors {
    pub fn add(&mut self, name: impl Into<String>) {
        *self.0.entry(name.into()).or_default() += 1;
    }

    /// Each with its number; `none` if there is none.
    pub fn said(&self) -> String {
        if self.0.is_empty() {
            return "none".to_owned();
        }
        let each: Vec<String> = self.0.iter().map(|(name, count)| format!("{count} {name}")).collect();
        each.join(", ")
    }
}
