//! The inputs that fuzzing kept, and what a seeded hand makes of them, fed to the parsers on every machine: no libFuzzer needed.
//! `tests/fuzz/run` makes more of them.

#[path = "fuzz/src/targets.rs"]
mod targets;

use std::{fs, path::Path};

use targets::{TARGETS, Target};

/// The kept inputs of a target, by name.
fn kept(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

/// Random numbers that are the same every time (xorshift64*).
struct Hand(u64);

impl Hand {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound.max(1)
    }

    /// Changes an input here and there: a byte, a stretch that goes or comes twice, a piece of another.
    fn bend(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bent = input.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bent.len() + 1);
            let length = self.below(24).min(bent.len() - at);
            match self.below(6) {
                0 if at < bent.len() => bent[at] ^= 1 << self.below(8),
                1 if at < bent.len() => bent[at] = b"\0\"\\{}[],.:~#0-9eE+%&=\xff\x80\n"[self.below(24)],
                2 => drop(bent.drain(at..at + length)),
                3 => {
                    let piece = bent[at..at + length].to_vec();
                    bent.splice(at..at, piece);
                }
                4 => {
                    let from = self.below(other.len());
                    let piece = other[from..(from + length).min(other.len())].to_vec();
                    bent.splice(at..at, piece);
                }
                _ => bent.truncate(at),
            }
        }
        bent
    }
}

fn feed(name: &str, input: &str, target: Target, data: &[u8]) {
    let fed = std::panic::catch_unwind(|| target(data));
    assert!(fed.is_ok(), "{name}, {input}: {:?}", String::from_utf8_lossy(data));
}

#[test]
fn what_fuzzing_kept_is_read_or_refused() {
    let mut count = 0;
    for (name, target) in TARGETS {
        let inputs = kept(name);
        assert!(!inputs.is_empty(), "nothing is kept for {name}");
        for (input, data) in &inputs {
            feed(name, input, *target, data);
            count += 1;
        }
        feed(name, "nothing", *target, &[]);
    }
    println!("{count} inputs to {} targets", TARGETS.len());
}

/// Two readers of the same bytes agree, written again they are the same, and no limit is passed: what each target holds, over
/// 12,000 inputs that are the same every time.
#[test]
fn what_a_seeded_hand_makes_of_them_is_read_or_refused() {
    let each = 12_000 / TARGETS.len();
    for (name, target) in TARGETS {
        let inputs = kept(name);
        let mut hand = Hand(0x9E37_79B9_7F4A_7C15);
        for number in 0..each {
            let one = &inputs[hand.below(inputs.len())].1;
            let other = &inputs[hand.below(inputs.len())].1;
            let bent = hand.bend(one, other);
            feed(name, &format!("input {number}"), *target, &bent);
        }
    }
}

#[test]
fn every_folder_of_inputs_has_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "no target is called {name}");
    }
}
