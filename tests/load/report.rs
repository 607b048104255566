//! What a run found, as a table and as plots.

use std::{fmt::Write as _, fs, path::Path};

use super::{
    chart::{Chart, Line},
    plan::Visit,
    run::Options,
    tally::{Errors, Summary, Times},
};

/// What one stage found.
#[derive(Clone, Debug)]
pub struct Stage {
    pub database: &'static str,
    /// Visits a second.
    pub asked_per_s: f64,
    pub reached_per_s: f64,
    pub visits: Vec<VisitTimes>,
    /// Visits that ended as they should.
    pub served: usize,
    pub errors: Errors,
    /// How late this program itself was.
    pub late: Option<Summary>,
    /// HTTP requests.
    pub requests: u64,
    /// Of all nodes.
    pub processor_s: f64,
    /// Of the database, where it is a program of its own and can be known.
    pub database_s: Option<f64>,
    /// Of each node.
    pub resident_mb: Vec<f64>,
}

/// How long visits of one kind took.
#[derive(Clone, Copy, Debug)]
pub struct VisitTimes {
    pub visit: Visit,
    pub waited: Summary,
}

impl VisitTimes {
    pub fn of(visit: Visit, times: Times) -> Option<Self> {
        Some(Self { visit, waited: times.summary()? })
    }
}

#[derive(Debug)]
pub struct Report {
    options: Options,
    alone: Vec<(Visit, Stage)>,
    pub stages: Vec<Stage>,
    left_out: Vec<String>,
}

impl Report {
    pub fn new(options: &Options) -> Self {
        Self { options: options.clone(), alone: Vec::new(), stages: Vec::new(), left_out: Vec::new() }
    }

    pub fn alone(&mut self, visit: Visit, stage: Stage) {
        self.alone.push((visit, stage));
    }

    pub fn stage(&mut self, stage: Stage) {
        self.stages.push(stage);
    }

    pub fn left_out(&mut self, what: &str, why: &str) {
        self.left_out.push(format!("{what}: {why}"));
    }

    /// The table, in Markdown.
    pub fn markdown(&self) -> String {
        let Options { mix, arrivals, during, seed, .. } = &self.options;
        let [pages, presentations, checkouts] = mix.0;
        let mut text = format!(
            "# A shop under load\n\nPages, presentations and checkouts as {pages} : {presentations} : {checkouts}, for {} s a \
             stage, {arrivals:?} arrivals (seed {seed}), an open loop: a visit is timed from the moment at which it was to \
             begin. The shop and this program share {} processors; what was built without optimisation is said so: {}.\n",
            during.as_secs_f64(),
            std::thread::available_parallelism().map_or(0, usize::from),
            if cfg!(debug_assertions) { "debug" } else { "release" },
        );
        if !self.alone.is_empty() {
            text.push_str(
                "\n## What one visit takes\n\nEach kind by itself.\n\n| shop | visit | visits/s | requests each | p50 ms | p99 ms | \
                 processor ms each | of the database, ms each | errors |\n| --- | --- | --: | --: | --: | --: | --: | --: | --- |\n",
            );
        }
        for (visit, stage) in &self.alone {
            let each = |seconds: f64| seconds * 1e3 / stage.served.max(1) as f64;
            let waited = stage.visits.first().map(|times| times.waited);
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {:.1} | {} | {} | {:.2} | {} | {} |",
                stage.database,
                visit.name(),
                stage.reached_per_s,
                stage.requests as f64 / stage.served.max(1) as f64,
                waited.map_or_else(none, |waited| format!("{:.1}", waited.p50_ms)),
                waited.map_or_else(none, |waited| format!("{:.1}", waited.p99_ms)),
                each(stage.processor_s),
                stage.database_s.map_or_else(none, |seconds| format!("{:.2}", each(seconds))),
                stage.errors.said(),
            );
        }
        text.push_str(
            "\n## All of them together\n\n| shop | visits/s asked | reached | requests/s | visit | p50 ms | p90 ms | p99 ms | max ms \
             | errors | processor ms a request | of the database | memory MB | sent late, p99 ms |\n\
             | --- | --: | --: | --: | --- | --: | --: | --: | --: | --- | --: | --: | --: | --: |\n",
        );
        for stage in &self.stages {
            self.rows(&mut text, stage);
        }
        for left_out in &self.left_out {
            let _ = writeln!(text, "\nleft out: {left_out}");
        }
        text
    }

    fn rows(&self, text: &mut String, stage: &Stage) {
        let during_s = stage.served as f64 / stage.reached_per_s.max(f64::MIN_POSITIVE);
        let a_request = |seconds: f64| seconds * 1e3 / stage.requests.max(1) as f64;
        for (at, VisitTimes { visit, waited }) in stage.visits.iter().enumerate() {
            let first = |said: String| if at == 0 { said } else { String::new() };
            let memory: Vec<String> = stage.resident_mb.iter().map(|mb| format!("{mb:.0}")).collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} | {} |",
                first(stage.database.to_owned()),
                first(format!("{:.0}", stage.asked_per_s)),
                first(format!("{:.0}", stage.reached_per_s)),
                first(format!("{:.0}", stage.requests as f64 / during_s)),
                visit.name(),
                waited.p50_ms,
                waited.p90_ms,
                waited.p99_ms,
                waited.max_ms,
                first(stage.errors.said()),
                first(format!("{:.2}", a_request(stage.processor_s))),
                first(stage.database_s.map_or_else(none, |seconds| format!("{:.2}", a_request(seconds)))),
                first(memory.join(" + ")),
                first(stage.late.map_or_else(none, |late| format!("{:.1}", late.p99_ms))),
            );
        }
        if stage.visits.is_empty() {
            let _ = writeln!(
                text,
                "| {} | {:.0} | 0 | nobody was served: {} |",
                stage.database,
                stage.asked_per_s,
                stage.errors.said()
            );
        }
    }

    /// A plot of each kind of visit: how long it takes over how many come.
    pub fn charts(&self) -> Vec<(String, String)> {
        let of = |visit: Visit| {
            let mut lines = Vec::new();
            for database in &self.options.databases {
                let stages: Vec<&Stage> =
                    self.stages.iter().filter(|stage| stage.database == database.name()).collect();
                for (name, dashed, percentile) in PERCENTILES {
                    let point = |stage: &&Stage| {
                        let times = stage.visits.iter().find(|times| times.visit == visit)?;
                        Some((stage.asked_per_s, percentile(&times.waited)))
                    };
                    let points: Vec<(f64, f64)> = stages.iter().filter_map(point).collect();
                    lines.push(Line { name: format!("{}, {name}", database.name()), dashed, points });
                }
            }
            lines.retain(|line| !line.points.is_empty());
            let title = format!("Latency of a {} over all visits a second", visit.name());
            Chart { title, across: "visits a second (offered)".into(), up: "ms, from the planned moment".into(), lines }
        };
        Visit::ALL.map(|visit| (format!("{}.svg", visit.name()), of(visit).svg())).into()
    }

    /// Writes all of it into a folder.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("load.md"), self.markdown())?;
        self.charts().into_iter().try_for_each(|(name, chart)| fs::write(folder.join(name), chart))
    }
}

type Percentile = (&'static str, bool, fn(&Summary) -> f64);
const PERCENTILES: [Percentile; 2] = [("p50", false, |waited| waited.p50_ms), ("p99", true, |waited| waited.p99_ms)];

fn none() -> String {
    "-".to_owned()
}
