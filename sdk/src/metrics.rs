//! What a program counts of itself, and the text in which Prometheus reads it (exposition format 0.0.4).
//!
//! Counted are calls: how often, how long, how they went. There is no place for anything else: a label is one of a few names
//! that all stand in the program, or a word of the merchant's own set-up. So nobody outside makes a series more, and nothing
//! that a customer says can be one.
//!
//! [`Merchant::metrics`](crate::Merchant::metrics) writes what the library counts; `firsthand-axum` adds what it served, and
//! serves the text on a listener of its own. The counters are there in any case: one costs an atomic addition.

use std::{
    fmt::{self, Display, Write},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A label's value: one of a few names, all known when the program is built. Made by [`labels!`](crate::metrics::labels).
#[doc(hidden)]
pub trait Label: Copy + 'static {
    /// All names, each of `[a-z0-9_]`, in the order of their places.
    const NAMES: &'static [&'static str];

    /// Which of them.
    fn place(self) -> usize;

    /// Its name.
    fn name(self) -> &'static str {
        Self::NAMES.get(self.place()).copied().unwrap_or_default()
    }
}

/// An enum whose values are labels, each with its name: `enum Way { In => "in", Out => "out" }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __labels {
    ($(#[$about:meta])* $vis:vis enum $label:ident { $($(#[$doc:meta])* $value:ident => $name:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $label {
            $($(#[$doc])* $value,)+
        }

        impl $crate::metrics::Label for $label {
            const NAMES: &'static [&'static str] = &[$($name),+];

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}
#[doc(hidden)]
pub use __labels as labels;

/// A counter for each name of a label.
#[doc(hidden)]
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
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Timings {
    /// Not summed up: the text does that.
    buckets: [AtomicU64; BUCKETS_US.len()],
    longer: AtomicU64,
    sum_us: AtomicU64,
}

impl Timings {
    /// Once more.
    fn took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = BUCKETS_US.iter().position(|end| us <= *end).and_then(|place| self.buckets.get(place));
        place.unwrap_or(&self.longer).fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

/// Calls of one kind of part: what was called, how it went, how long it took.
#[doc(hidden)]
#[derive(Debug)]
pub struct Calls<C: Label, O: Dropped> {
    ended: Box<[Counters<O>]>,
    took: Box<[Timings]>,
    of: std::marker::PhantomData<fn(C)>,
}

/// An outcome of calls, one of which is that nobody waited for it.
#[doc(hidden)]
pub trait Dropped: Label {
    /// Whoever called went away, such as a customer who closed the page.
    const DROPPED: Self;
}

impl<C: Label, O: Dropped> Default for Calls<C, O> {
    fn default() -> Self {
        Self {
            ended: C::NAMES.iter().map(|_| Counters::default()).collect(),
            took: C::NAMES.iter().map(|_| Timings::default()).collect(),
            of: std::marker::PhantomData,
        }
    }
}

impl<C: Label, O: Dropped> Calls<C, O> {
    /// A call begins.
    pub fn begins(&self, call: C) -> Call<'_, C, O> {
        Call { calls: self, call, outcome: O::DROPPED, begun: Instant::now() }
    }

    /// What was called, how it ended, and how often.
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let calls = C::NAMES.iter().zip(&self.ended);
        calls.flat_map(|(call, ended)| ended.each().map(|(outcome, count)| (*call, outcome, count)))
    }

    /// What was called, and how long it took.
    pub fn took(&self) -> impl Iterator<Item = (&'static str, &Timings)> + '_ {
        C::NAMES.iter().copied().zip(&self.took)
    }
}

/// A call that is under way. It counts when it is dropped, so that one that nobody waits for any more counts as well.
#[doc(hidden)]
#[derive(Debug)]
pub struct Call<'a, C: Label, O: Dropped> {
    calls: &'a Calls<C, O>,
    call: C,
    outcome: O,
    begun: Instant,
}

impl<'a, C: Label, O: Dropped> Call<'a, C, O> {
    /// It has come to an end, and this is how.
    pub fn ended(mut self, outcome: O) {
        self.outcome = outcome;
    }

    /// It turns out to be one of those.
    pub const fn belongs_to(&mut self, calls: &'a Calls<C, O>) {
        self.calls = calls;
    }

    /// When it began.
    #[must_use]
    pub const fn begun(&self) -> Instant {
        self.begun
    }
}

impl<C: Label, O: Dropped> Drop for Call<'_, C, O> {
    fn drop(&mut self) {
        let place = self.call.place();
        if let (Some(ended), Some(took)) = (self.calls.ended.get(place), self.calls.took.get(place)) {
            ended.count(self.outcome);
            took.took(self.begun.elapsed());
        }
    }
}

/// What was counted, in the text that Prometheus reads: shown, it is that text.
#[derive(Clone, Debug, Default)]
pub struct Text(String);

impl Text {
    /// The media type of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// A metric that grows until the program ends: its name, which ends in `_total`, and what it is in a sentence.
    #[doc(hidden)]
    pub fn counter(&mut self, name: &'static str, help: &str) -> Samples<'_> {
        self.metric(name, "counter", help)
    }

    /// A metric that goes up and down.
    #[doc(hidden)]
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Samples<'_> {
        self.metric(name, "gauge", help)
    }

    /// A metric of how long things took, in seconds.
    #[doc(hidden)]
    pub fn histogram(&mut self, name: &'static str, help: &str) -> Histograms<'_> {
        Histograms(self.metric(name, "histogram", help))
    }

    fn metric(&mut self, name: &'static str, kind: &str, help: &str) -> Samples<'_> {
        let mut samples = Samples { text: &mut self.0, name };
        samples.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
        samples
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The samples of one metric, which all have its name.
#[doc(hidden)]
#[derive(Debug)]
pub struct Samples<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Samples<'_> {
    /// One of them. Labels without a value are left out.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let name = self.name;
        self.line(format_args!("{name}{} {value}", Labels(labels, None)));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // A text that is kept in memory takes everything.
        let _ = writeln!(self.text, "{line}");
    }
}

/// The same of a histogram.
#[doc(hidden)]
#[derive(Debug)]
pub struct Histograms<'a>(Samples<'a>);

impl Histograms<'_> {
    /// One of them; nothing if nothing has happened yet.
    pub fn timings(&mut self, labels: &[(&str, &str)], timings: &Timings) {
        let counts: Vec<u64> = timings.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all = counts.iter().sum::<u64>() + timings.longer.load(Ordering::Relaxed);
        if all == 0 {
            return;
        }
        let (name, mut below) = (self.0.name, 0);
        for (end, count) in BUCKETS_US.iter().zip(counts) {
            below += count;
            self.0.line(format_args!("{name}_bucket{} {below}", Labels(labels, Some(&seconds(*end)))));
        }
        self.0.line(format_args!("{name}_bucket{} {all}", Labels(labels, Some("+Inf"))));
        let sum = seconds(timings.sum_us.load(Ordering::Relaxed));
        self.0.line(format_args!("{name}_sum{} {sum}", Labels(labels, None)));
        self.0.line(format_args!("{name}_count{} {all}", Labels(labels, None)));
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

    labels! {
        enum Way {
            In => "in",
            Dropped => "dropped",
        }
    }

    impl Dropped for Way {
        const DROPPED: Self = Self::Dropped;
    }

    #[test]
    fn a_label_stands_at_the_place_of_its_name() {
        assert_eq!([Way::In, Way::Dropped].map(Label::name), ["in", "dropped"]);
    }

    #[test]
    fn calls_count_however_they_end_and_where_they_belong() {
        let (calls, others) = (Calls::<Way, Way>::default(), Calls::default());
        calls.begins(Way::In).ended(Way::In);
        calls.begins(Way::In).ended(Way::In);
        drop(calls.begins(Way::In));
        let mut elsewhere = calls.begins(Way::In);
        elsewhere.belongs_to(&others);
        elsewhere.ended(Way::In);
        assert_eq!(calls.ended().collect::<Vec<_>>(), [("in", "in", 2), ("in", "dropped", 1)]);
        assert_eq!(others.ended().collect::<Vec<_>>(), [("in", "in", 1)]);
        let mut text = Text::default();
        let mut samples = text.counter("calls_total", "Calls.");
        for (call, outcome, count) in calls.ended() {
            samples.sample(&[("call", call), ("outcome", outcome)], count);
        }
        assert_eq!(
            text.to_string(),
            "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
             calls_total{call=\"in\",outcome=\"in\"} 2\ncalls_total{call=\"in\",outcome=\"dropped\"} 1\n"
        );
        let mut text = Text::default();
        let mut histograms = text.histogram("call_seconds", "Calls.");
        for (call, took) in calls.took() {
            histograms.timings(&[("call", call)], took);
        }
        assert!(text.to_string().ends_with("call_seconds_count{call=\"in\"} 3\n"), "{text}");
    }

    #[test]
    fn a_histogram_is_summed_up_and_a_label_cannot_break_out() {
        let timings = Timings::default();
        let mut text = Text::default();
        text.histogram("none", "").timings(&[], &timings);
        for us in [1, 500, 501, 2_000_000, 99_000_000] {
            timings.took(Duration::from_micros(us));
        }
        text.histogram("t_seconds", "").timings(&[("list", "a\"b\\c\nd"), ("empty", "")], &timings);
        let text = text.to_string();
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
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(samples.len() == BUCKETS_US.len() + 3 && samples.iter().all(|line| line.starts_with("t_")), "{text}");
    }
}
