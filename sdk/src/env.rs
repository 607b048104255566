//! The seam to the world that cannot be repeated: the time and randomness.

use crate::time::UnixTime;

/// Where the time and random bytes come from. Production uses [`SystemEnv`]; tests move the time by hand.
pub trait Env: std::fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> UnixTime;

    /// Fills `bytes` with bytes that nobody can guess.
    fn fill(&self, bytes: &mut [u8]);
}

/// The system's clock and the operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

impl Env for SystemEnv {
    fn now(&self) -> UnixTime {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixTime::from_secs(since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)))
    }

    #[expect(
        clippy::expect_used,
        reason = "a machine without randomness cannot make a secret; going on would be worse"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}
