//! A PostgreSQL for the tests: the server at `FIRSTHAND_TEST_POSTGRES`, or else one of their own, in a folder that goes
//! when they end.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// A running PostgreSQL, shared by the tests of one process.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Server>);

#[derive(Debug)]
struct Server {
    /// The URL of a database where others can be made; the name comes last but for the query.
    url: String,
    /// Ends when this process does, however it does: its standard input is a pipe that only we hold.
    _keeper: Option<Child>,
}

/// The server for this process, started at the first call. `None` if PostgreSQL is not installed: say what was left out
/// with [`left_out`].
pub fn cluster() -> Option<Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(|| start("off").map(|server| Cluster(Arc::new(server)))).clone()
}

/// A server that writes as one in production does, for measurements: the one of the tests has no need to outlive the
/// machine.
pub fn durable_cluster() -> Option<Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(|| start("on").map(|server| Cluster(Arc::new(server)))).clone()
}

/// A server of one test's own, which the test may kill.
#[derive(Debug)]
pub struct Mortal {
    cluster: Cluster,
    bin: PathBuf,
    folder: String,
}

/// A server that is killed. `None` if PostgreSQL is not installed here, also where the other tests have one elsewhere.
pub fn mortal() -> Option<Mortal> {
    let bin = programs()?;
    let (server, folder) = own(&bin, "on");
    Some(Mortal { cluster: Cluster(Arc::new(server)), bin, folder })
}

impl Mortal {
    /// As [`Cluster::database`].
    pub fn database(&self) -> String {
        self.cluster.database()
    }

    /// `kill -9` of the postmaster, and of nobody else: its children find out.
    pub fn kill(&self) {
        let pid = fs::read_to_string(Path::new(&self.folder).join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().trim();
        assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
    }

    /// Starts it again, as soon as what the last one left behind has ended, and waits until it answers.
    pub fn start(&self) {
        for _ in 0..100 {
            let script = r#""$1/pg_ctl" -D "$2/data" -l "$2/log" -w start -o "-k '$2' -c listen_addresses='' $3""#;
            let mut start = as_nobody_special();
            start.args(["sh", "-c", script, "postgres"]).arg(&self.bin).args([&self.folder, "-c max_connections=200"]);
            start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
            if start.status().unwrap().success() {
                return;
            }
            thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("PostgreSQL does not start again: {}", fs::read_to_string(format!("{}/log", self.folder)).unwrap());
    }
}

/// Cuts all connections to the database that `url` names, but for the one that does it. How many there were.
pub async fn cut_all_connections(url: &str) -> u64 {
    let mut scissors = PgConnection::connect(url).await.unwrap();
    let cut: i64 = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .fetch_one(&mut scissors)
    .await
    .unwrap();
    scissors.close().await.unwrap();
    cut.unsigned_abs()
}

/// Prints that a test was left out because PostgreSQL is not installed; fails where `CI=true`.
pub fn left_out(what: &str) {
    println!("left out, for PostgreSQL is not installed: {what}");
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "PostgreSQL must be installed here: {what} was left out");
}

impl Cluster {
    /// The URL of a new, empty database.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static TURN: Mutex<()> = Mutex::new(());
        let name = format!("firsthand_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
        // In a thread and a runtime of its own, so that it can be called from anywhere.
        thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut admin = PgConnection::connect(&self.0.url).await.unwrap();
                    for sql in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
                        let options = if sql.starts_with("CREATE") { "TEMPLATE template0 ENCODING 'UTF8'" } else { "" };
                        admin.execute(AssertSqlSafe(format!("{sql} {name} {options}"))).await.unwrap();
                    }
                    admin.close().await.unwrap();
                });
            });
        });
        let mut url = url::Url::parse(&self.0.url).unwrap();
        url.set_path(&name);
        url.into()
    }
}

fn start(fsync: &str) -> Option<Server> {
    if let Ok(url) = env::var("FIRSTHAND_TEST_POSTGRES") {
        return Some(Server { url, _keeper: None });
    }
    Some(own(&programs()?, fsync).0)
}

/// A server of this process, and its folder.
fn own(bin: &Path, fsync: &str) -> (Server, String) {
    let mut keeper = as_nobody_special()
        .args(["sh", "-c", KEEPER, "postgres"])
        .arg(bin)
        .arg(fsync)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .current_dir("/")
        .spawn()
        .expect("a shell starts");
    let mut folder = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut folder).unwrap();
    let folder = folder.trim().to_owned();
    assert!(!folder.is_empty(), "PostgreSQL in {} does not start: see above", bin.display());
    let url = format!("postgres://firsthand@localhost/postgres?host={folder}");
    (Server { url, _keeper: Some(keeper) }, folder)
}

/// Starts a server, tells its folder, waits until its input ends, and stops the server by its own pid file.
const KEEPER: &str = r#"
trap '' INT HUP
dir=$(mktemp -d /tmp/firsthand-postgres-XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
{
    "$1/initdb" -D "$dir/data" -U firsthand --auth=trust -E UTF8 --locale=C -N &&
    "$1/pg_ctl" -D "$dir/data" -l "$dir/log" -w start -o \
        "-k '$dir' -c listen_addresses='' -c fsync=$2 -c full_page_writes=$2 -c max_connections=200"
} >"$dir/out" 2>&1 </dev/null || { cat "$dir/out" "$dir/log" >&2; exit 1; }
echo "$dir"
cat >/dev/null
"$1/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1
"#;

/// The folder with `initdb` and `pg_ctl`: the newest of Debian's, or that of the path.
fn programs() -> Option<PathBuf> {
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    debian.sort();
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let complete = |bin: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| bin.join(name).is_file());
    debian.into_iter().rev().map(|(_, bin)| bin).chain(on_path).find(complete)
}

/// The beginning of a command that does not run as root, which PostgreSQL refuses to.
pub(crate) fn as_nobody_special() -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !is_root {
        return Command::new("env");
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user =
        ["postgres", "nobody"].into_iter().find(|user| users.lines().any(|l| l.starts_with(&format!("{user}:"))));
    let user = user.expect("a user that is not root");
    let mut command;
    if Path::new("/usr/bin/setpriv").exists() {
        command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), &format!("--regid={}", group(user)), "--init-groups"]);
    } else {
        command = Command::new("runuser");
        command.args(["-u", user, "--"]);
    }
    command
}

/// The number of a user's own group.
fn group(user: &str) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with(&format!("{user}:")));
    line.and_then(|line| line.split(':').nth(3)).expect("a user has a group").to_owned()
}
