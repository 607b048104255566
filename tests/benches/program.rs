//! How soon the storefront serves, and what it takes of memory while nobody comes.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::measure::{Effort, Table, median};

const START_MS_MAX: f64 = 200.0;
const MEMORY_MB_MAX: f64 = 40.0;
/// How long the program is left alone before its memory is read.
const REST: Duration = Duration::from_millis(500);

pub fn measure(table: &mut Table, effort: Effort) {
    let Some(program) = program() else {
        table.note("\nleft out: start and memory of the storefront; first `cargo build --release -p storefront`");
        return;
    };
    let data = env::temp_dir().join(format!("firsthand-bench-{}-storefront", std::process::id()));
    let measured = starts(&program, &data, effort.rounds.min(11));
    let _ = fs::remove_dir_all(&data);
    match measured {
        Ok(Measured { first_ms, again_ms, processor_ms, memory_mb }) => {
            let most = format!("< {START_MS_MAX} ms");
            table.title("The storefront as a program (release)");
            table.figure("first start, a new data folder", &format!("{first_ms:.0} ms"), None);
            table.figure("start", &format!("{again_ms:.0} ms"), Some((again_ms < START_MS_MAX, &most)));
            table.figure("  of it on a processor", &format!("{processor_ms:.0} ms"), None);
            let most = format!("< {MEMORY_MB_MAX} MB");
            let holds = memory_mb < MEMORY_MB_MAX;
            table.figure("memory while idle (VmRSS)", &format!("{memory_mb:.1} MB"), Some((holds, &most)));
        }
        Err(trouble) => table.note(&format!("\nleft out: start and memory of the storefront: {trouble}")),
    }
}

/// The binary beside this one, if it was built.
fn program() -> Option<PathBuf> {
    let release = env::current_exe().ok()?.parent()?.parent()?.join("storefront");
    release.is_file().then_some(release)
}

struct Measured {
    first_ms: f64,
    /// The median of those after it.
    again_ms: f64,
    processor_ms: f64,
    memory_mb: f64,
}

fn starts(program: &Path, data: &Path, count: usize) -> Result<Measured, String> {
    let (first_ms, mut running) = Running::start(program, data)?;
    let (mut again_ms, mut processor_ms) = (Vec::new(), Vec::new());
    for _ in 0..count {
        // The one before has ended by then: two would wait for each other.
        drop(running);
        let started = Running::start(program, data)?;
        again_ms.push(started.0);
        running = started.1;
        processor_ms.push(running.processor_ms()?);
    }
    thread::sleep(REST);
    Ok(Measured {
        first_ms,
        again_ms: median(again_ms),
        processor_ms: median(processor_ms),
        memory_mb: running.memory_mb()?,
    })
}

/// The program, until this is dropped.
struct Running(Child);

impl Running {
    /// Starts it, and waits until it says that it is open: how many milliseconds that took.
    fn start(program: &Path, data: &Path) -> Result<(f64, Self), String> {
        let begun = Instant::now();
        let child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut running = Self(child.map_err(|e| format!("{}: {e}", program.display()))?);
        let said = running.0.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
        let open = said.map_while(Result::ok).any(|line| line.contains("open at"));
        let took_ms = begun.elapsed().as_secs_f64() * 1e3;
        if open { Ok((took_ms, running)) } else { Err(format!("{} ends by itself", program.display())) }
    }

    /// The time that all its threads together were running, and not waiting for a processor.
    fn processor_ms(&self) -> Result<f64, String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).map_err(|e| e.to_string())?;
        let time_ns = |task: fs::DirEntry| -> Option<f64> {
            fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        Ok(tasks.flatten().filter_map(time_ns).sum::<f64>() / 1e6)
    }

    fn memory_mb(&self) -> Result<f64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).map_err(|e| e.to_string())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| "VmRSS is no number")?;
        Ok(kib * 1024.0 / 1e6)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // This child and no other; it has nothing to lose.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
