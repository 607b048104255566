//! The storefront as a program: built, started, killed, started again.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A running storefront with a folder of its own; both go when it is dropped.
#[derive(Debug)]
pub struct Storefront {
    pub folder: Folder,
    port: u16,
    store: Option<String>,
    running: Option<Child>,
}

impl Storefront {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts one with this database instead of the file in its folder.
    pub fn start_with(store: Option<String>) -> Self {
        let mut shop = Self::closed(store);
        shop.open();
        shop
    }

    /// One that was never started.
    pub fn closed(store: Option<String>) -> Self {
        Self { folder: Folder::new("shop"), port: free_port(), store, running: None }
    }

    /// What customers type.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Ends the process as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts the process at the same address, with what it left on the disk, and waits until it answers.
    pub fn open(&mut self) {
        self.launch();
        wait_for_port(self.port, "the storefront");
    }

    /// Starts the process, and waits for nothing.
    pub fn launch(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let child = Command::new(program())
            .args(["--listen", &format!("127.0.0.1:{}", self.port), "--data"])
            .arg(self.folder.path())
            .args(self.store.iter().flat_map(|url| ["--store", url]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running = Some(child);
    }

    /// Kills it and starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.open();
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Storefront {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("--- the shop's log:\n{}", self.log());
        }
        self.kill();
    }
}

/// The storefront's program, built once for all walks from the sources as they are.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("storefront"))
}

/// A program of the workspace, built from the sources as they are.
pub fn built(name: &str) -> PathBuf {
    // This test lies in `{target}/{profile}/deps`. Beside the tests' own package, so that no dependency is built twice.
    let profile = env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", "firsthand-tests", "-p", name, "--bin", name]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    build.arg("--target-dir").arg(profile.parent().unwrap());
    let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(status.success(), "{name} could not be built");
    profile.join(name)
}

/// A new folder below the target folder, which goes when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("browser-{}-{}-{what}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A browser that is ending may still write: once more, then.
        if fs::remove_dir_all(&self.0).is_err() {
            thread::sleep(Duration::from_millis(200));
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A port that nobody uses at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

pub fn wait_for_port(port: u16, whose: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "{whose} does not listen at {port}");
        thread::sleep(Duration::from_millis(10));
    }
}
