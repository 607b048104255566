//! A shop under load: throughput, latency, processor time and memory, over HTTP, from an open loop of people with browsers
//! and wallets.
//!
//! `cargo bench -p firsthand-tests --bench load` measures one node with SQLite, one with PostgreSQL, and two with it, at
//! rising rates, and writes a table and plots into `target/load`. `-- --help` says what else.

#[path = "../load/tool.rs"]
mod tool;

use std::{
    env,
    io::{Write as _, stderr, stdout},
    path::Path,
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use tool::{Arrivals, Database, Mix, Options, Program, run, serve};

const HELP: &str = "\
Usage: cargo bench -p firsthand-tests --bench load -- [options]

  --on LIST        sqlite,postgres,two-nodes (all of them)
  --rates LIST     visits a second, one stage each (50,100,200,400,800,1600); a stage that is not kept up with is the last
  --mix A,B,C      shares of pages, presentations and checkouts (90,6,4)
  --seconds N      how long people come in each stage (15)
  --even           like a clock, and not by chance
  --no-alone       leaves out what each kind of visit takes by itself
  --seed N         other people (1)
  --quick          two short stages, to see whether all works
";

fn main() -> ExitCode {
    if serve() {
        return ExitCode::SUCCESS;
    }
    let given: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if given.iter().any(|arg| arg == "--help") {
        let _ = write!(stdout(), "{HELP}");
        return ExitCode::SUCCESS;
    }
    match measured(&given) {
        Ok(text) => {
            let _ = writeln!(stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            let _ = writeln!(stderr(), "load: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn measured(given: &[String]) -> Result<String, String> {
    let program = Program { path: env::current_exe().map_err(|e| e.to_string())?, args: Vec::new() };
    let report = run(&program, &options(given)?)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/load");
    report.write(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(report.markdown())
}

fn options(given: &[String]) -> Result<Options, String> {
    let mut options = Options {
        databases: Database::ALL.to_vec(),
        rates: vec![50.0, 100.0, 200.0, 400.0, 800.0, 1_600.0],
        mix: Mix::USUAL,
        arrivals: Arrivals::Poisson,
        during: Duration::from_secs(15),
        alone: Some([100.0, 20.0, 20.0]),
        seed: 1,
    };
    let mut given = given.iter();
    while let Some(name) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--on" => options.databases = list(value()?, database)?,
            "--rates" => options.rates = list(value()?, positive)?,
            "--mix" => options.mix = value()?.parse()?,
            "--seconds" => options.during = Duration::from_secs_f64(positive(value()?)?),
            "--even" => options.arrivals = Arrivals::Even,
            "--no-alone" => options.alone = None,
            "--seed" => options.seed = number(value()?)?,
            "--quick" => (options.rates, options.during) = (vec![20.0, 40.0], Duration::from_secs(3)),
            other => return Err(format!("there is no {other}; see --help")),
        }
    }
    Ok(options)
}

fn list<T>(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(one).collect()
}

fn database(text: &str) -> Result<Database, String> {
    let found = Database::ALL.into_iter().find(|database| database.id() == text);
    found.ok_or_else(|| format!("there is no {text}: sqlite, postgres or two-nodes"))
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = number(text)?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err(format!("{text} is not above 0")) }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
