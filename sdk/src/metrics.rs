//! What a program counts of itself, and the text in which Prometheus reads it (exposition format 0.0.4).
//!
//! Counted are calls: how often, how long, how they went. There is no place for anything else: a label is a [`Label`], all
//! of whose names stand in the program, or a word of the merchant's own set-up. So nobody outside makes a series more, and
//! nothing that a customer says can be one.
//!
//! [`Merchant::metrics`](crate::Merchant::metrics) writes what the library counts; `firsthand-axum` adds what it served, and
//! serves the text on a listener of its own. The counters are there in any case: one costs an atomic addition.

use std::{
    fmt::{self, Display, Write},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A label's value: one of a few names, all known when the program is built.
pub trait Label: Copy + 'static {
    /// All names, each of `[a-z0-9_]`.
    const NAMES: &'static [&'static str];

    /// Which of them; one that is not there is counted nowhere.
    fn place(self) -> usize;

    /// Its name.
    fn name(self) -> &'static str {
        Self::NAMES.get(self.place()).copied().unwrap_or_default()
    }
}

/// A counter for each name of a label.
pub struct Counters<L: Label> {
    counts: Box<[AtomicU64]>,
    of: std::marker::PhantomData<fn(L)>,
}

impl<L: Label> Counters<L> {
    /// One more.
    pub fn count(&self, label: L) {
        if let Some(count) = self.counts.get(label.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The names that were counted, and how often.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        L::NAMES.iter().copied().zip(counts).filter(|(_, count)| *count > 0)
    }
}

impl<L: Label> Default for Counters<L> {
    fn default() -> Self {
        Self { counts: L::NAMES.iter().map(|_| AtomicU64::new(0)).collect(), of: std::marker::PhantomData }
    }
}

impl<L: Label> fmt::Debug for Counters<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.each()).finish()
    }
}

/// The upper ends of the buckets, in microseconds: from what a memory answers in to what nobody waits for.
const BUCKETS_US: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 10_000_000];

/// How long something took, each time.
#[derive(Debug, Default)]
pub struct Timings {
    /// Not summed up: the text does that.
    buckets: [AtomicU64; BUCKETS_US.len()],
    longer: AtomicU64,
    sum_us: AtomicU64,
}

impl Timings {
    /// Once more.
    pub fn took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = BUCKETS_US.iter().position(|end| us <= *end).and_then(|place| self.buckets.get(place));
        place.unwrap_or(&self.longer).fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

/// Calls of one kind of part: what was called, how it went, how long it took.
#[derive(Debug)]
pub(crate) struct Calls<C: Label, O: Label + Dropped> {
    ended: Box<[Counters<O>]>,
    took: Box<[Timings]>,
    of: std::marker::PhantomData<fn(C)>,
}

/// An outcome of calls, one of which is that nobody waited for it.
pub(crate) trait Dropped {
    /// Whoever called went away, such as a customer who closed the page.
    const DROPPED: Self;
}

impl<C: Label, O: Label + Dropped> Calls<C, O> {
    pub(crate) fn new() -> Self {
        Self {
            ended: C::NAMES.iter().map(|_| Counters::default()).collect(),
            took: C::NAMES.iter().map(|_| Timings::default()).collect(),
            of: std::marker::PhantomData,
        }
    }

    /// A call begins.
    pub(crate) fn begins(&self, call: C) -> Call<'_, C, O> {
        Call { calls: self, call, outcome: O::DROPPED, begun: Instant::now() }
    }

    /// Writes them: `{name}_total` by call and outcome, `{name}_seconds` by call.
    pub(crate) fn write(&self, text: &mut Text, rail: Option<&'static str>, name: &'static str) {
        for (call, ended) in C::NAMES.iter().zip(&self.ended) {
            for (outcome, count) in ended.each() {
                let labels = [("call", *call), ("outcome", outcome), ("rail", rail.unwrap_or_default())];
                text.sample(name, "_total", &labels, count);
            }
        }
    }

    pub(crate) fn write_times(&self, text: &mut Text, rail: Option<&'static str>, name: &'static str) {
        for (call, took) in C::NAMES.iter().zip(&self.took) {
            text.timings(name, &[("call", *call), ("rail", rail.unwrap_or_default())], took);
        }
    }
}

/// A call that is under way. It counts when it is dropped, so that one that nobody waits for any more counts as well.
pub(crate) struct Call<'a, C: Label, O: Label + Dropped> {
    calls: &'a Calls<C, O>,
    call: C,
    outcome: O,
    begun: Instant,
}

impl<C: Label, O: Label + Dropped> Call<'_, C, O> {
    pub(crate) fn ended(mut self, outcome: O) {
        self.outcome = outcome;
    }
}

impl<C: Label, O: Label + Dropped> Drop for Call<'_, C, O> {
    fn drop(&mut self) {
        let place = self.call.place();
        if let (Some(ended), Some(took)) = (self.calls.ended.get(place), self.calls.took.get(place)) {
            ended.count(self.outcome);
            took.took(self.begun.elapsed());
        }
    }
}

/// The kinds of metrics that are written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows until the program ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How long things took.
    Histogram,
}

/// The text as it is written: first what a metric is, then its samples.
#[derive(Clone, Debug, Default)]
pub struct Text(String);

impl Text {
    /// The media type of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// An empty text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a metric: its name, and what it is in a sentence.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// A sample of the metric that was begun. Labels without a value are left out.
    pub fn sample(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.line(format_args!("{name}{suffix}{} {value}", Labels(labels, None)));
    }

    /// The samples of a histogram; none if nothing has happened yet.
    pub fn timings(&mut self, name: &str, labels: &[(&str, &str)], timings: &Timings) {
        let counts: Vec<u64> = timings.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all = counts.iter().sum::<u64>() + timings.longer.load(Ordering::Relaxed);
        if all == 0 {
            return;
        }
        let mut below = 0;
        for (end, count) in BUCKETS_US.iter().zip(counts) {
            below += count;
            self.line(format_args!("{name}_bucket{} {below}", Labels(labels, Some(&seconds(*end)))));
        }
        self.line(format_args!("{name}_bucket{} {all}", Labels(labels, Some("+Inf"))));
        self.line(format_args!(
            "{name}_sum{} {}",
            Labels(labels, None),
            seconds(timings.sum_us.load(Ordering::Relaxed))
        ));
        self.line(format_args!("{name}_count{} {all}", Labels(labels, None)));
    }

    /// The whole text.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // A text that is kept in memory takes everything.
        let _ = writeln!(self.0, "{line}");
    }
}

/// Microseconds in seconds, exactly.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Labels as they stand behind a name; the second is the end of a bucket.
struct Labels<'a>(&'a [(&'a str, &'a str)], Option<&'a str>);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        let end = self.1.map(|end| ("le", end));
        for (name, value) in self.0.iter().copied().filter(|(_, value)| !value.is_empty()).chain(end) {
            write!(f, "{before}{name}=\"")?;
            for c in value.chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    c => f.write_char(c)?,
                }
            }
            f.write_char('"')?;
            before = ',';
        }
        if before == ',' { f.write_char('}') } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Way {
        In,
        Dropped,
        /// What a label that grew would be: nowhere, and no panic.
        Nowhere,
    }

    impl Label for Way {
        const NAMES: &'static [&'static str] = &["in", "dropped"];

        fn place(self) -> usize {
            self as usize
        }
    }

    impl Dropped for Way {
        const DROPPED: Self = Self::Dropped;
    }

    #[test]
    fn calls_count_however_they_end() {
        let calls = Calls::<Way, Way>::new();
        calls.begins(Way::In).ended(Way::In);
        calls.begins(Way::In).ended(Way::In);
        drop(calls.begins(Way::In));
        calls.begins(Way::Nowhere).ended(Way::Nowhere);
        let mut text = Text::new();
        text.metric("calls_total", Kind::Counter, "Calls.");
        calls.write(&mut text, None, "calls");
        assert_eq!(
            text.finish(),
            "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
             calls_total{call=\"in\",outcome=\"in\"} 2\ncalls_total{call=\"in\",outcome=\"dropped\"} 1\n"
        );
    }

    #[test]
    fn a_histogram_is_summed_up_and_a_label_cannot_break_out() {
        let timings = Timings::default();
        let mut text = Text::new();
        text.timings("none", &[], &timings);
        for us in [1, 500, 501, 2_000_000, 99_000_000] {
            timings.took(Duration::from_micros(us));
        }
        text.timings("t_seconds", &[("list", "a\"b\\c\nd"), ("empty", "")], &timings);
        let text = text.finish();
        let label = r#"list="a\"b\\c\nd""#;
        for line in [
            format!("t_seconds_bucket{{{label},le=\"0.0005\"}} 2"),
            format!("t_seconds_bucket{{{label},le=\"0.001\"}} 3"),
            format!("t_seconds_bucket{{{label},le=\"1\"}} 3"),
            format!("t_seconds_bucket{{{label},le=\"5\"}} 4"),
            format!("t_seconds_bucket{{{label},le=\"+Inf\"}} 5"),
            format!("t_seconds_sum{{{label}}} 101.001002"),
            format!("t_seconds_count{{{label}}} 5"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("none") && text.lines().count() == BUCKETS_US.len() + 3, "{text}");
    }
}
