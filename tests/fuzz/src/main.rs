//! The program that libFuzzer leads: `FIRSTHAND_FUZZ_TARGET` says where the bytes go. One program for all targets, for it is the
//! linking that takes the time.

#![no_main]

mod targets;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

/// Counts what is allocated, and what of it is not given back.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is the system's allocator's; only lengths are counted here.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What any input may take: a list that was inflated is the largest thing that is read, 16 MiB, and a vector that grows is twice
/// what is in it.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// And what each byte of it may take more: JSON as objects of one member each.
const BYTES_PER_BYTE: usize = 1024;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = env::var("FIRSTHAND_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(name, _)| *name == wanted);
    let names = || TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    found.unwrap_or_else(|| panic!("FIRSTHAND_FUZZ_TARGET must be one of: {}", names())).1
});

fuzz_target!(|data: &[u8]| {
    let target = *TARGET;
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    target(data);
    let most = MOST.load(Relaxed).saturating_sub(before);
    assert!(most < BYTES_MAX + data.len() * BYTES_PER_BYTE, "{} bytes of input took {most}", data.len());
});
