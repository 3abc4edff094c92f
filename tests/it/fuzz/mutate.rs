//! The engine: examples that are known to be interesting, changed at random for a while.
//!
//! Coverage-guided engines need a nightly compiler; the examples (every row of `rfc`) make up for much of that.
//! `ISOBAR_FUZZ_SECONDS` is the time for each target (1 s unless set), `ISOBAR_FUZZ_SEED` repeats a run.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Pieces that mean something to a parser of HTTP or of configurations.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b": ",
    b";",
    b",",
    b"\0",
    b"\x7f",
    b"\x80",
    b"\"",
    b"\\",
    b"0",
    b"-",
    b"+",
    b"0\r\n\r\n",
    b"ffffffffffffffff",
    b"18446744073709551616",
    b"chunked",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: a\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"GET ",
    b"/",
    b"http://",
    b"*",
    b"#",
    b"%",
    b"{",
    b"}",
    b"$",
    b"'",
    b" if ",
    b"\n    ",
    b"\nbackend b\n",
    b"\nfrontend f\n",
];

pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`, 0 for `n` of 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() % n as u64) as usize }
    }
}

/// Runs `target` on every example, and then on changed ones until the time is over.
pub fn drive(name: &str, examples: &[Vec<u8>], target: impl Fn(&[u8], &mut Random)) {
    assert!(!examples.is_empty(), "{name}: no examples to start from");
    let seconds = std::env::var("ISOBAR_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(1.0);
    let seed = std::env::var("ISOBAR_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64) | 1
    });
    let mut random = Random(seed);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut runs = 0_u64;
    let mut kept: Vec<Vec<u8>> = examples.to_vec();
    let mut one = |bytes: &[u8], random: &mut Random| {
        runs += 1;
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| target(bytes, random))) {
            eprintln!(
                "{name}: run {runs} of seed {seed} fails on these bytes:\n  b\"{}\"",
                bytes.escape_ascii()
            );
            resume_unwind(cause);
        }
    };
    for example in examples {
        one(example, &mut random);
    }
    while Instant::now() < end {
        for _ in 0..64 {
            let mut bytes = kept[random.below(kept.len())].clone();
            for _ in 0..=random.below(4) {
                change(&mut bytes, examples, &mut random);
            }
            bytes.truncate(40_000);
            one(&bytes, &mut random);
            // Changes pile up in a few places, so that what takes several steps is reached.
            if random.below(50) == 0 {
                let place = examples.len() + random.below(64);
                if place < kept.len() { kept[place] = bytes } else { kept.push(bytes) }
            }
        }
    }
    println!("{name}: {runs} runs, seed {seed}");
}

fn change(bytes: &mut Vec<u8>, examples: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let to = (at + random.below(24)).min(bytes.len());
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] = random.next() as u8,
        1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 => drop(bytes.drain(at..to)),
        3 => {
            let piece = bytes[at..to].to_vec();
            bytes.splice(at..at, piece);
        }
        4 | 5 => {
            let piece = PIECES[random.below(PIECES.len())];
            bytes.splice(at..at, piece.iter().copied());
        }
        6 => {
            let piece = PIECES[random.below(PIECES.len())];
            bytes.splice(at..to, piece.iter().copied());
        }
        7 => {
            let other = &examples[random.below(examples.len())];
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => bytes.truncate(at),
    }
}

/// Deterministic engine, so that a failure can be repeated.
#[test]
fn a_seed_repeats_its_run() {
    let run = || {
        let mut random = Random(42);
        let examples = vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()];
        let mut bytes = examples[0].clone();
        (0..50).for_each(|_| change(&mut bytes, &examples, &mut random));
        bytes
    };
    assert_eq!(run(), run());
    assert_ne!(run(), b"GET / HTTP/1.1\r\n\r\n");
}
