//! What the worst inputs cost: the largest and most tangled that are still accepted, and those that are refused, each in a
//! process of its own.
//!
//! The memory is what reading adds to the peak of a process (`VmHWM`) that has the same input in memory and does not read
//! it. The time is the median of several readings in that process.

#[path = "limits/answers.rs"]
mod answers;
#[path = "limits/documents.rs"]
mod documents;
#[path = "limits/published.rs"]
mod published;
#[cfg(feature = "w3c")]
#[path = "limits/w3c.rs"]
mod w3c;

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use firsthand::{limits::Limits, time::UnixTime};

use crate::measure::{Table, duration, median};

/// Longer than this one input must keep no processor busy, in seconds.
const TIME_MAX_S: f64 = 0.5;
/// More than this one input must not take, in millions of bytes.
const MEMORY_MAX_MB: f64 = 100.0;
/// Processes for each input.
const PROCESSES: usize = 3;
/// How long one process reads again and again, and how often at most.
const READING: Duration = Duration::from_millis(400);
const READINGS_MAX: usize = 41;

/// The time of all inputs.
const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);

/// One input: what is read comes first, and behind it what it is held against.
struct Case {
    name: &'static str,
    make: fn() -> Vec<Vec<u8>>,
    /// Accepted, or the code of the check that failed.
    read: fn(&[Vec<u8>], &Limits) -> Result<(), String>,
}

type Topic = (&'static str, Vec<Case>);

fn topics() -> Vec<Topic> {
    let mut topics = answers::topics();
    topics.extend(documents::topics());
    topics.extend(published::topics());
    #[cfg(feature = "w3c")]
    topics.extend(w3c::topics());
    topics
}

/// What a process of this program is started with to read one input.
const CHILD: &str = "--child";

/// If this process was started to read one input: reads it.
pub fn is_child(given: &[String]) -> bool {
    let [first, folder, name, what] = given else { return false };
    if first == CHILD {
        child(Path::new(folder), name, what == "read");
    }
    first == CHILD
}

pub fn measure(table: &mut Table) {
    for (topic, cases) in topics() {
        table.heading(topic, &format!("{:<54}{:>9}  {:<26}{:>10}{:>10}", "", "size", "verdict", "time", "memory"));
        for case in cases {
            measured(table, &case);
        }
    }
    table.note("\nUp to 6 MB of the memory are pages of the program itself, which only whoever reads has touched.");
    #[cfg(not(feature = "w3c"))]
    table.note("\nleft out: the worst W3C credentials; they are read with `--features firsthand-tests/w3c`");
}

fn measured(table: &mut Table, case: &Case) {
    let folder = env::temp_dir().join(format!("firsthand-bench-{}-limits", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the input");
    let parts = (case.make)();
    for (number, part) in parts.iter().enumerate() {
        fs::write(folder.join(number.to_string()), part).expect("a file for the input");
    }
    let (mut times_s, mut grown_kib, mut verdict) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..PROCESSES {
        let idle = Outcome::of(&folder, case.name, "idle");
        let read = Outcome::of(&folder, case.name, "read");
        times_s.push(read.time_s);
        grown_kib.push(read.peak_kib - idle.peak_kib);
        verdict = read.verdict;
    }
    let _ = fs::remove_dir_all(&folder);
    let (time_s, memory_mb) = (median(times_s), median(grown_kib).max(0.0) * 1024.0 / 1e6);
    let [size, time, memory] = [size(parts[0].len()), duration(time_s), format!("{memory_mb:.1} MB")];
    let row = format!("{:<54}{size:>9}  {verdict:<26}{time:>10}{memory:>10}", case.name);
    let holds = time_s <= TIME_MAX_S && memory_mb <= MEMORY_MAX_MB;
    table.judged(case.name, &row, holds, &format!("<= {TIME_MAX_S} s, {MEMORY_MAX_MB} MB"));
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.0} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// What a process found out.
struct Outcome {
    verdict: String,
    time_s: f64,
    peak_kib: f64,
}

impl Outcome {
    fn of(folder: &Path, name: &str, what: &str) -> Self {
        let program = env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.arg(CHILD).arg(folder).args([name, what]).stderr(Stdio::inherit());
        let output = command.output().expect("a process");
        let said = String::from_utf8(output.stdout).expect("a text");
        let mut lines = said.lines();
        let mut next = || lines.next().unwrap_or_else(|| panic!("{name}: the process ended with {}", output.status));
        let (verdict, time_s, peak_kib) = (next().to_owned(), next(), next());
        Self { verdict, time_s: time_s.parse().expect("seconds"), peak_kib: peak_kib.parse().expect("KiB") }
    }
}

/// Reads an input, or only has it, and says three things: the verdict, the time in seconds, and the peak of memory in KiB.
fn child(folder: &Path, name: &str, reads: bool) {
    let case = topics().into_iter().flat_map(|(_, cases)| cases).find(|case| case.name == name).expect("an input");
    let part = |number: usize| fs::read(folder.join(number.to_string())).ok();
    let parts: Vec<Vec<u8>> = (0..).map_while(part).collect();
    let limits = Limits::default();
    let (mut verdict, mut times_s) = (String::new(), Vec::new());
    let mut read = || {
        let begun = Instant::now();
        let outcome = (case.read)(&parts, &limits);
        times_s.push(begun.elapsed().as_secs_f64());
        verdict = outcome.err().unwrap_or_else(|| "accepted".to_owned());
    };
    if reads {
        read();
    }
    // Before it is read again: what the first reading left behind is no peak of the second one.
    let peak_kib = peak_kib();
    let begun = Instant::now();
    for _ in 1..READINGS_MAX {
        if !reads || begun.elapsed() > READING {
            break;
        }
        read();
    }
    let time_s = if times_s.is_empty() { 0.0 } else { median(times_s) };
    println!("{verdict}\n{time_s}\n{peak_kib}");
}

fn peak_kib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM in /proc");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Objects with one member in an array: the JSON that takes the most memory for its size.
fn many_objects(bytes: usize) -> String {
    let one = r#"{"":0},"#;
    format!("[{}0]", one.repeat(bytes.saturating_sub(3) / one.len()))
}
