//! The command `firsthand`, for tests that run it from outside.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The command, built once from the sources as they are, beside the tests' own package so that nothing is built twice.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let profile = env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
        let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "-p", "firsthand-tests", "-p", "firsthand", "--bin", "firsthand"]);
        if cfg!(feature = "w3c") {
            build.args(["--features", "firsthand-tests/w3c"]);
        }
        if profile.ends_with("release") {
            build.arg("--release");
        }
        build.arg("--target-dir").arg(profile.parent().unwrap());
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "the command is not built");
        profile.join("firsthand")
    })
}
