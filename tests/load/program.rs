//! A shop as a process, and what the system says that it takes.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::shop::{OPEN, SETUP, Setup};

/// How a program is started that calls [`serve`](super::serve).
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub args: Vec<OsString>,
}

/// A shop that is open, until this is dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    pub address: String,
}

impl Node {
    pub fn open(program: &Program, setup: &Setup) -> Result<Self, String> {
        let setup = serde_json::to_string(setup).map_err(|e| e.to_string())?;
        let mut child = Command::new(&program.path)
            .args(&program.args)
            .env(SETUP, setup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", program.path.display()))?;
        let said = child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let mut node = Self { child, address: String::new() };
        node.address = said
            .filter_map(|line| line.split_once(OPEN).map(|(_, address)| address.to_owned()))
            .next()
            .ok_or("the shop ends before it is open")?;
        Ok(node)
    }

    pub fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // This child and no other: what it was told it has committed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Of all its threads, those that have ended too, in user and kernel mode.
    pub processor_s: f64,
    /// What is in memory now, in MB.
    pub resident_mb: f64,
}

/// The system counts in hundredths of a second, whatever its own clock (`USER_HZ`).
const TICKS_S: f64 = 100.0;

impl Usage {
    pub fn of(pid: u32) -> Self {
        let ticks = ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default(), 0);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default();
        Self { processor_s: ticks as f64 / TICKS_S, resident_mb: kib * 1024.0 / 1e6 }
    }
}

/// User and kernel time of a line of `/proc/PID/stat`; with `children`, of those that it has waited for, too.
pub fn ticks(stat: &str, children: usize) -> u64 {
    // The name of the program stands in parentheses, and may have anything in it.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default().split_whitespace();
    fields.skip(11).take(2 + 2 * children).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// The processor time of a PostgreSQL that keeps its socket in a folder of the tests, with all its processes. `None` where
/// it cannot be known, as of one elsewhere.
pub fn postgres_s(url: &str) -> Option<f64> {
    let url = url::Url::parse(url).ok()?;
    let folder = url.query_pairs().find(|(name, _)| name == "host")?.1.into_owned();
    let pid = fs::read_to_string(format!("{folder}/data/postmaster.pid")).ok()?;
    let pid: u32 = pid.lines().next()?.trim().parse().ok()?;
    let mut sum = ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, 1);
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        if parent(&stat) == Some(pid) {
            sum += ticks(&stat, 0);
        }
    }
    Some(sum as f64 / TICKS_S)
}

pub fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
