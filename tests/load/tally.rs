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

    pub fn count(&self) -> usize {
        self.0.values().sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times_ms: impl IntoIterator<Item = u64>) -> Option<Summary> {
        let mut times = Times::default();
        times_ms.into_iter().for_each(|time| times.add(Duration::from_millis(time)));
        times.summary()
    }

    #[test]
    fn a_percentile_is_a_time_that_somebody_waited() {
        let summary = |count, p50_ms, p90_ms, p99_ms, max_ms| Some(Summary { count, p50_ms, p90_ms, p99_ms, max_ms });
        assert_eq!(of([]), None);
        assert_eq!(of([7]), summary(1, 7.0, 7.0, 7.0, 7.0));
        assert_eq!(of([3, 1]), summary(2, 1.0, 3.0, 3.0, 3.0));
        assert_eq!(of((1..=100).rev()), summary(100, 50.0, 90.0, 99.0, 100.0));
        assert_eq!(of(1..=1_000), summary(1_000, 500.0, 900.0, 990.0, 1_000.0));
        // One of a hundred does not move the 99th percentile; two do.
        assert_eq!(of([vec![1; 99], vec![500]].concat()), summary(100, 1.0, 1.0, 1.0, 500.0));
        assert_eq!(of([vec![1; 98], vec![500; 2]].concat()), summary(100, 1.0, 1.0, 500.0, 500.0));
    }

    #[test]
    fn errors_are_counted_by_name() {
        let mut errors = Errors::default();
        assert_eq!((errors.count(), errors.said().as_str()), (0, "none"));
        for name in ["page: 503", "page: timeout", "page: 503"] {
            errors.add(name);
        }
        assert_eq!((errors.count(), errors.said().as_str()), (3, "2 page: 503, 1 page: timeout"));
    }
}
