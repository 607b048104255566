//! Times several things in turns, so that whatever else the machine does falls on all of them alike.

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

/// How many rounds of turns are taken.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
}

impl Effort {
    pub const FULL: Self = Self { rounds: 301 };
    pub const QUICK: Self = Self { rounds: 41 };
}

/// How long a turn is: long for the clock, and so short that most turns end before another program has the processor.
const TURN: Duration = Duration::from_micros(750);

/// Runs before the clock starts: the turn before left the processor's caches full of other things.
const WARMING: usize = 2;
/// The fewest runs of a turn for which something was prepared, which leaves the caches emptier still.
const PREPARED_MIN: usize = 8;

/// Something that is timed: told how often, it does that, and says how long it took.
pub struct Subject<'a> {
    name: String,
    runs_min: usize,
    runs_max: usize,
    run: Box<dyn FnMut(usize) -> Duration + 'a>,
}

impl<'a> Subject<'a> {
    /// Something that can be done again and again.
    pub fn again<T>(name: &str, mut run: impl FnMut() -> T + 'a) -> Self {
        let timed = move |runs| {
            for _ in 0..WARMING {
                black_box(run());
            }
            let begun = Instant::now();
            for _ in 0..runs {
                black_box(run());
            }
            begun.elapsed()
        };
        Self { name: name.to_owned(), runs_min: 1, runs_max: usize::MAX, run: Box::new(timed) }
    }

    /// The same where it waits.
    pub fn again_async<F: Future>(name: &str, runtime: &'a Runtime, mut run: impl FnMut() -> F + 'a) -> Self {
        let timed = move |runs| {
            runtime.block_on(async {
                for _ in 0..WARMING {
                    black_box(run().await);
                }
                let begun = Instant::now();
                for _ in 0..runs {
                    black_box(run().await);
                }
                begun.elapsed()
            })
        };
        Self { name: name.to_owned(), runs_min: 1, runs_max: usize::MAX, run: Box::new(timed) }
    }

    /// Something that needs what can be used only once: made ready before the time is taken, at most `runs_max` of it
    /// for one turn.
    pub fn once_each<P, F: Future>(
        name: &str,
        runtime: &'a Runtime,
        runs_max: usize,
        mut prepare: impl FnMut() -> P + 'a,
        mut run: impl FnMut(P) -> F + 'a,
    ) -> Self {
        let timed = move |runs| {
            let mut prepared: Vec<P> = (0..runs + WARMING).map(|_| prepare()).collect();
            runtime.block_on(async {
                for one in prepared.split_off(runs) {
                    black_box(run(one).await);
                }
                let begun = Instant::now();
                for one in prepared {
                    black_box(run(one).await);
                }
                begun.elapsed()
            })
        };
        Self { name: name.to_owned(), runs_min: PREPARED_MIN.min(runs_max), runs_max, run: Box::new(timed) }
    }

    /// How often it fits into one turn.
    fn fit(&mut self) -> usize {
        let mut runs = self.runs_min;
        loop {
            // The better of two: one may have been interrupted.
            let took = (self.run)(runs).min((self.run)(runs));
            let fitting = (runs as f64 * TURN.as_secs_f64() / took.as_secs_f64().max(1e-9)) as usize;
            if fitting <= runs || runs == self.runs_max {
                return fitting.clamp(self.runs_min, self.runs_max);
            }
            runs = fitting.min(runs * 8).min(self.runs_max);
        }
    }
}

/// What was measured of one subject: seconds for each run, one number a round.
#[derive(Clone, Debug)]
pub struct Times {
    pub name: String,
    rounds_s: Vec<f64>,
}

impl Times {
    pub fn median_s(&self) -> f64 {
        median(self.rounds_s.clone())
    }

    pub fn best_s(&self) -> f64 {
        self.rounds_s.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// How many times `bare` this took: the median over the rounds.
    pub fn ratio_to(&self, bare: &Self) -> f64 {
        median(self.rounds_s.iter().zip(&bare.rounds_s).map(|(own, bare)| own / bare).collect())
    }
}

/// Times all subjects in each round, there and back, so that a machine that speeds up favours none.
pub fn in_turns<const N: usize>(effort: Effort, mut subjects: [Subject<'_>; N]) -> [Times; N] {
    let runs = subjects.each_mut().map(|subject| subject.fit());
    let mut times = subjects.each_ref().map(|s| Times { name: s.name.clone(), rounds_s: Vec::new() });
    for round in 0..effort.rounds {
        for place in 0..N {
            let at = if round % 2 == 0 { place } else { N - 1 - place };
            let took = (subjects[at].run)(runs[at]);
            times[at].rounds_s.push(took.as_secs_f64() / runs[at] as f64);
        }
    }
    times
}

/// The table that is printed, and whether every target in it was met.
#[derive(Debug, Default)]
pub struct Table {
    text: String,
    missed: Vec<String>,
}

impl Table {
    pub fn title(&mut self, title: &str) {
        let _ = write!(self.text, "\n{title}\n{:-<98}\n", "");
        let _ = writeln!(self.text, "{:<54}{:>12}{:>10}{:>10}  target", "", "median", "ratio", "of bests");
    }

    /// A title over columns of its own.
    pub fn heading(&mut self, title: &str, columns: &str) {
        let _ = write!(self.text, "\n{title}\n{:-<98}\n{columns}\n", "");
    }

    /// A row of such columns, said only where it does not hold.
    pub fn judged(&mut self, name: &str, row: &str, holds: bool, target: &str) {
        let verdict = if holds { String::new() } else { format!("  {}", self.verdict(name, holds, target)) };
        let _ = writeln!(self.text, "{row}{verdict}");
    }

    /// What the ratios that follow are ratios to.
    pub fn bare(&mut self, bare: &Times) {
        let _ = writeln!(self.text, "{:<54}{:>12}", bare.name, duration(bare.median_s()));
    }

    /// A whole, as a ratio to the bare cost of the checks in it.
    pub fn whole(&mut self, whole: &Times, bare: &Times, target: Option<f64>) {
        let (median, best) = (whole.ratio_to(bare), whole.best_s() / bare.best_s());
        let verdict = target.map(|most| self.verdict(&whole.name, median <= most, &format!("<= {most}")));
        let (name, took, verdict) = (&whole.name, duration(whole.median_s()), verdict.unwrap_or_default());
        let _ = writeln!(self.text, "{name:<54}{took:>12}{median:>10.3}{best:>10.3}  {verdict}");
    }

    /// A part of the whole before it.
    pub fn part(&mut self, part: &Times) {
        let _ = writeln!(self.text, "  {:<52}{:>12}", part.name, duration(part.median_s()));
    }

    /// What the parts leave of a whole.
    pub fn rest(&mut self, name: &str, whole: &Times, parts: &[&Times]) {
        let rest = whole.median_s() - parts.iter().map(|part| part.median_s()).sum::<f64>();
        let _ = writeln!(self.text, "  {name:<52}{:>12}", duration(rest));
    }

    /// A figure of its own.
    pub fn figure(&mut self, name: &str, value: &str, holds: Option<(bool, &str)>) {
        let verdict = holds.map(|(holds, target)| self.verdict(name, holds, target)).unwrap_or_default();
        let _ = writeln!(self.text, "{name:<54}{value:>12}{:>20}  {verdict}", "");
    }

    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    pub fn finish(self) -> (String, Vec<String>) {
        (self.text, self.missed)
    }

    fn verdict(&mut self, name: &str, holds: bool, target: &str) -> String {
        if !holds {
            self.missed.push(format!("{name}: {target}"));
        }
        format!("{target} {}", if holds { "met" } else { "MISSED" })
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

pub fn duration(seconds: f64) -> String {
    match seconds.abs() {
        s if s < 0.99e-3 => format!("{:.2} µs", seconds * 1e6),
        s if s < 0.99 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}
