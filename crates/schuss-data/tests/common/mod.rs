//! What the tests of hostile files share: damage, and what it costs to read it.
// Every test file uses a part of this.
#![allow(dead_code)]

use std::fs;
use std::thread;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schuss::Result;

/// Reads `bytes` undamaged, then with so many damages: each is read or refused with a short message, some are refused, and
/// `read`, which gives what a thread that may panic gives, never panics.
#[track_caller]
pub fn check_damages(what: &str, bytes: &[u8], damages: u64, read: impl Fn(Vec<u8>) -> thread::Result<Result<()>>) {
    let undamaged = read(bytes.to_vec()).unwrap_or_else(|_| panic!("{what}, undamaged: a panic"));
    undamaged.unwrap_or_else(|error| panic!("{what}, undamaged: {error}"));
    let mut refused = 0;
    for seed in 0..damages {
        match read(damage(bytes.to_vec(), seed, usize::MAX)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                refused += 1;
                assert!(error.to_string().len() < 2000, "{what}, seed {seed}: {error}");
            }
            Err(_) => panic!("{what}: damage of seed {seed} makes reading panic"),
        }
    }
    assert!(refused > damages / 10, "{what}: only {refused} of {damages} damaged files were refused");
}

/// One to three bytes overwritten, every other one of them among the first `head`, often with what is large in a header;
/// or the end cut off.
pub fn damage(mut bytes: Vec<u8>, seed: u64, head: usize) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |bound: usize| rng.next_u64() as usize % bound;
    if below(8) == 0 {
        bytes.truncate(below(bytes.len()));
        return bytes;
    }
    for _ in 0..=below(3) {
        let end = if below(2) == 0 { bytes.len().min(head) } else { bytes.len() };
        let at = below(end);
        bytes[at] = match below(4) {
            0 => 0xff,
            1 => b'9',
            2 => bytes[at] ^ 1 << below(8),
            _ => below(256) as u8,
        };
    }
    bytes
}

/// The most address space that this process ever had, reserved or used, where the system says so.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes << 10)
}
