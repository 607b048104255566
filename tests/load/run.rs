//! The stages of a run: each opens its doors to so many people a second, and counts.

use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use firsthand::{env::Env as _, testing::TestShop};
use firsthand_tests::postgres;
use tokio::runtime::{Handle, Runtime};

use super::{
    people::{People, Trouble, Way, enough_for},
    plan::{Arrivals, Mix, Visit, arrivals},
    program::{Node, Program, postgres_s},
    report::{Report, Stage, VisitTimes},
    shop::{Going, Setup},
    tally::{Errors, Times},
};

/// Where the shop keeps its records, and by how many processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
    PostgresTwice,
}

impl Database {
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::PostgresTwice];

    /// What it is called on the command line.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::PostgresTwice => "two-nodes",
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "one node, SQLite",
            Self::Postgres => "one node, PostgreSQL",
            Self::PostgresTwice => "two nodes, PostgreSQL",
        }
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    pub databases: Vec<Database>,
    /// Visits a second, one stage each.
    pub rates: Vec<f64>,
    pub mix: Mix,
    pub arrivals: Arrivals,
    /// How long people come in each stage.
    pub during: Duration,
    /// Visits a second of each kind by itself, for what one of them costs; none leaves that out.
    pub alone: Option<[f64; 3]>,
    pub seed: u64,
}

/// No more are on their way at once: whoever comes then is turned away, and counted.
const ON_THEIR_WAY_MAX: usize = 5_000;
/// A stage that serves less of what was asked is the last: what follows says nothing new.
const KEPT_UP: f64 = 0.9;

/// Runs all stages, and says what came of it.
pub fn run(program: &Program, options: &Options) -> Result<Report, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    let mut report = Report::new(options);
    for database in &options.databases {
        let folder = Folder::new(database.id())?;
        let url = match database {
            Database::Sqlite => format!("sqlite://{}", folder.0.join("shop.sqlite").display()),
            // One that outlives the machine: what is not on the disk is not sold.
            _ => match postgres::durable_cluster() {
                Some(cluster) => cluster.database(),
                None => {
                    report.left_out(database.name(), "PostgreSQL is not installed");
                    continue;
                }
            },
        };
        let site = Site::open(program, *database, url)?;
        if let Some(rates) = options.alone {
            for (visit, per_s) in Visit::ALL.into_iter().zip(rates) {
                report.alone(visit, site.stage(&runtime, options, Mix::only(visit), per_s)?);
            }
        }
        for rate in &options.rates {
            let stage = site.stage(&runtime, options, options.mix, *rate)?;
            let served = stage.reached_per_s / stage.asked_per_s;
            report.stage(stage);
            if served < KEPT_UP {
                break;
            }
        }
    }
    Ok(report)
}

/// The shop's processes, and the world around them.
struct Site {
    database: Database,
    nodes: Vec<Node>,
    url: String,
    world: TestShop,
    going: Arc<AtomicBool>,
}

impl Site {
    fn open(program: &Program, database: Database, url: String) -> Result<Self, Trouble> {
        let world = TestShop::new();
        let clock = Going::from(world.clock().now());
        let going = Arc::new(AtomicBool::new(true));
        let (goes_on, people) = (going.clone(), world.clock().clone());
        // People's clocks go as the shop's does.
        thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                people.set(clock.now());
                thread::sleep(Duration::from_millis(100));
            }
        });
        let count = if database == Database::PostgresTwice { 2 } else { 1 };
        let mut nodes = Vec::new();
        for number in 0..count {
            nodes.push(Node::open(program, &Setup::of(&world, url.clone(), number == 0, clock))?);
        }
        Ok(Self { database, nodes, url, world, going })
    }

    fn stage(&self, runtime: &Runtime, options: &Options, mix: Mix, per_s: f64) -> Result<Stage, Trouble> {
        let way = Way::to(&self.nodes.iter().map(|node| node.address.clone()).collect::<Vec<_>>());
        let people = runtime.block_on(People::know(&self.world, way.clone(), enough_for(per_s)))?;
        let planned = arrivals(options.arrivals, per_s, options.during, mix, options.seed);
        let (sent, before) = (way.sent(), self.usage());
        let come = come(runtime.handle(), &planned, move |visit| {
            let people = people.clone();
            async move { people.come(visit).await }
        });
        let after = self.usage();
        let requests = way.sent() - sent;
        let served: usize = come.waited.values().map(Times::count).sum();
        Ok(Stage {
            database: self.database.name(),
            asked_per_s: per_s,
            reached_per_s: served as f64 / come.took.as_secs_f64().max(options.during.as_secs_f64()),
            visits: come.waited.into_iter().filter_map(|(visit, times)| VisitTimes::of(visit, times)).collect(),
            served,
            errors: come.errors,
            late: come.late.summary(),
            requests,
            processor_s: after.0 - before.0,
            database_s: after.1.zip(before.1).map(|(after, before)| after - before),
            resident_mb: self.nodes.iter().map(|node| node.usage().resident_mb).collect(),
        })
    }

    /// The processor time of the shop, and that of the database if it is another program.
    fn usage(&self) -> (f64, Option<f64>) {
        (self.nodes.iter().map(|node| node.usage().processor_s).sum(), postgres_s(&self.url))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.going.store(false, Ordering::Relaxed);
    }
}

/// What came of those who came.
#[derive(Debug, Default)]
pub struct Come {
    pub waited: BTreeMap<Visit, Times>,
    pub errors: Errors,
    /// How much later than planned they set out: what this program itself is to blame for.
    pub late: Times,
    /// Until the last of them had left.
    pub took: Duration,
}

/// Sends everybody at their moment, and waits until the last has left. Whoever is late began to wait when they were to come.
pub fn come<F>(runtime: &Handle, planned: &[(Duration, Visit)], visit_shop: impl Fn(Visit) -> F) -> Come
where
    F: Future<Output = Result<(), Trouble>> + Send + 'static,
{
    let (book, on_their_way) = (Arc::new(Mutex::new(Come::default())), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    // A thread of its own keeps the time: those of the runtime count in whole milliseconds, and have other things to do.
    for (at, visit) in planned {
        let (moment, visit) = (begun + *at, *visit);
        thread::sleep(moment.saturating_duration_since(Instant::now()));
        let late = moment.elapsed();
        if on_their_way.load(Ordering::Relaxed) >= ON_THEIR_WAY_MAX {
            locked(&book).errors.add(format!("{}: too many waiting", visit.name()));
            continue;
        }
        on_their_way.fetch_add(1, Ordering::Relaxed);
        let (visited, book, on_their_way) = (visit_shop(visit), book.clone(), on_their_way.clone());
        runtime.spawn(async move {
            let came = visited.await;
            let waited = moment.elapsed();
            {
                let mut book = locked(&book);
                book.late.add(late);
                match came {
                    Ok(()) => book.waited.entry(visit).or_default().add(waited),
                    Err(trouble) => book.errors.add(trouble),
                }
            }
            on_their_way.fetch_sub(1, Ordering::Release);
        });
    }
    while on_their_way.load(Ordering::Acquire) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let mut come = std::mem::take(&mut *locked(&book));
    come.took = begun.elapsed();
    come
}

fn locked(book: &Mutex<Come>) -> std::sync::MutexGuard<'_, Come> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self, Trouble> {
        let folder = env::temp_dir().join(format!("firsthand-load-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
