//! What a request costs, and the table of the worst.

use std::{
    convert::Infallible,
    fs,
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use firsthand::protocol::jose::SigningKey;
use futures_util::stream;

use crate::{
    ALLOCATOR, STATEMENTS,
    place::{Place, Sent},
};

/// How many checks are timed for one.
const CHECKS: u32 = 500;

/// What one request took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub status: u16,
    /// Bytes that it had.
    pub size: usize,
    /// Time of processors, of all threads.
    pub cpu: Duration,
    /// Bytes at once over what was there before.
    pub memory: usize,
}

/// Sends a request as a network does, in parts of 16 KiB, and measures until the answer is whole.
pub async fn measured(place: &Place, sent: &Sent) -> Cost {
    let whole = sent.body.clone();
    let parts = (0..whole.len().div_ceil(16 * 1024)).map(move |number| {
        let end = whole.len().min((number + 1) * 16 * 1024);
        Ok::<_, Infallible>(Bytes::copy_from_slice(&whole[number * 16 * 1024..end]))
    });
    let mut request = sent.request();
    *request.body_mut() = Body::from_stream(stream::iter(parts));
    let heads: usize = sent.headers.values().map(http::HeaderValue::len).sum();
    let size = sent.body.len() + heads + sent.uri.to_string().len();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let begun = cpu();
    let response = place.answer(request).await;
    let cpu = cpu().saturating_sub(begun);
    let memory = ALLOCATOR.peak_usage().saturating_sub(before);
    Cost { status: response.status().as_u16(), size, cpu, memory }
}

/// The time that all threads of this process have run.
fn cpu() -> Duration {
    let threads = fs::read_dir("/proc/self/task").expect("threads");
    let ran = |thread: fs::DirEntry| -> Option<u64> {
        fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.flatten().filter_map(ran).sum())
}

/// One bare check of an ES256 signature, here and now.
pub struct Bare(Duration);

impl Bare {
    pub fn measure() -> Self {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        let signature = key.sign(b"what is signed").unwrap();
        let begun = Instant::now();
        for _ in 0..CHECKS {
            key.public_key().verify(b"what is signed", &signature).unwrap();
        }
        Self(begun.elapsed() / CHECKS)
    }

    fn of(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.0.as_secs_f64()
    }
}

/// All costs.
#[derive(Default)]
pub struct Table(Vec<(String, Cost)>);

impl Table {
    pub fn add(&mut self, operation: &str, what: &str, cost: Cost) {
        self.0.push((format!("{operation}: {what}"), cost));
    }

    pub fn print(&mut self, bare: &Bare) {
        println!("{} requests; one ES256 check takes {:?}", self.0.len(), bare.0);
        let row = |(what, cost): &(String, Cost)| {
            let Cost { status, size, cpu, memory } = cost;
            println!(
                "{what:<76} {status} {:>8.1} KiB {:>9.1} ms = {:>7.0} checks {:>8.1} KiB",
                *size as f64 / 1024.0,
                cpu.as_secs_f64() * 1e3,
                bare.of(*cpu),
                *memory as f64 / 1024.0
            );
        };
        println!("\nThe most memory:");
        self.0.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.memory));
        self.0.iter().take(10).for_each(row);
        println!("\nThe most time:");
        self.0.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.cpu));
        self.0.iter().take(10).for_each(row);
    }

    /// Holds both; time as a multiple of a bare check, for a machine may do other things as well.
    pub fn hold(&self, bare: &Bare, memory_max: usize) {
        let over = |(what, cost): &&(String, Cost)| {
            // A file of a bank is held while it is read, and once more as what stands in it.
            let file = if what.starts_with(STATEMENTS) { 2 * cost.size } else { 0 };
            let times = if file > 0 { STATEMENT_TIMES } else { 1.0 };
            cost.memory > memory_max + file || bare.of(cost.cpu) > CHECKS_MAX * times || cost.status >= 500
        };
        let over: Vec<_> = self.0.iter().filter(over).collect();
        assert!(over.is_empty(), "{} cost more than their share: {over:#?}", over.len());
    }
}

/// 50 ms are so many bare checks of 35 µs, and the library is built here without an optimiser.
const CHECKS_MAX: f64 = 1_430.0 * 2.0;
/// A file of 16 MiB, handed in by an operator, may take longer.
const STATEMENT_TIMES: f64 = 10.0;
