//! Long lists of files, which have indexes of their own, against the plainest reading of the manual: as they were loaded,
//! and after changes at run time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::registry::PatternRefs;
use super::tests::{expected, place, reading, text};
use super::*;
use crate::rules::sample::Sample;

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// A reference that was loaded from a file, and the same entries without any index.
struct Listed<'k> {
    keys: &'k [&'k str],
    list: std::sync::Arc<PatternRef>,
    entries: Vec<(usize, u8)>,
}

impl<'k> Listed<'k> {
    fn new(keys: &'k [&'k str], chance: &mut Chance) -> Listed<'k> {
        let list = PatternRefs::default().file("m", true, "").0;
        // Two of three, some of them twice.
        let entries: Vec<(usize, u8)> =
            (0..keys.len()).map(|_| (chance.below(keys.len()), chance.next() as u8)).collect();
        for (line, (key, value)) in entries.iter().enumerate() {
            list.load(keys[*key].as_bytes(), Some(value.to_string().as_bytes()), line + 1);
        }
        Listed { keys, list, entries }
    }

    fn check(&self, samples: &[Sample<'_>], readings: &[Reading]) {
        for reading in readings {
            let matcher = self.list.matcher(*reading).unwrap();
            for sample in samples {
                let found = place(&matcher, sample).map(|value| value as u8);
                assert_eq!(
                    found,
                    expected(&self.entries, self.keys, *reading, sample),
                    "{reading:?} {sample:?}"
                );
            }
        }
    }

    fn change(&mut self, chance: &mut Chance) {
        let (key, value) = (chance.below(self.keys.len()), chance.next() as u8);
        let (keys, text) = (self.keys, value.to_string().into_bytes());
        let bytes = keys[key].as_bytes();
        match chance.below(4) {
            0 => {
                self.list.add(bytes, Some(&text), None).unwrap();
                self.entries.push((key, value));
            }
            1 => {
                self.list.put(bytes, &text).unwrap();
                let mut same =
                    self.entries.iter_mut().filter(|(other, _)| keys[*other] == keys[key]).peekable();
                match same.peek() {
                    Some(_) => same.for_each(|(_, old)| *old = value),
                    None => self.entries.push((key, value)),
                }
            }
            2 => {
                let before = self.entries.len();
                self.entries.retain(|(other, _)| keys[*other] != keys[key]);
                assert_eq!(self.list.delete(Key::Text(bytes)), before - self.entries.len());
            }
            _ => {
                let at = chance.below(self.entries.len());
                let id = self.list.entries(None).iter().nth(at).unwrap().id;
                assert_eq!(self.list.delete(Key::Id(id)), 1);
                self.entries.remove(at);
            }
        }
    }
}

/// Loads the keys, compares, changes a third of them, and compares after some of the changes.
fn compare(keys: &[String], samples: &[Sample<'_>], readings: &[Reading], chance: &mut Chance) {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut listed = Listed::new(&keys, chance);
    listed.check(samples, readings);
    for _ in 0..3 {
        (0..keys.len() / 9).for_each(|_| listed.change(chance));
        listed.check(samples, readings);
    }
    assert_eq!(listed.list.versions().2, listed.entries.len());
}

#[test]
fn texts_of_long_files() {
    for seed in 1..4 {
        let mut chance = Chance(seed);
        // Of all lengths up to some that are longer than a cell, and of few letters, so that they begin and end alike.
        let keys: Vec<String> = (0..400)
            .map(|i| {
                let len = if i % 5 == 0 { chance.below(70) } else { chance.below(7) };
                (0..len).map(|_| ["a", "b", "A", "."][chance.below(4)]).collect()
            })
            .collect();
        let mut samples: Vec<String> = keys.iter().step_by(2).cloned().collect();
        samples.extend(keys.iter().step_by(7).map(|key| format!("a.{key}b")));
        samples.extend(["", "c", "ab.ab.ab.ab.ab.ab.ab.ab.ab.ab.ab.ab.ab"].map(String::from));
        let samples: Vec<Sample<'_>> = samples.iter().map(|sample| text(sample)).collect();
        let methods = [Match::Str, Match::Beg, Match::End];
        let readings: Vec<Reading> =
            methods.iter().flat_map(|method| [false, true].map(|fold| reading(*method, fold))).collect();
        compare(&keys, &samples, &readings, &mut chance);
    }
}

fn network(chance: &mut Chance) -> String {
    // Most lie close together, so that they lie in each other.
    let wide = chance.below(4) == 0;
    let bits = chance.next() as u32;
    match chance.below(8) {
        0 => format!("::ffff:{}/{}", Ipv4Addr::from(0x0a00_0000 | bits & 0xfff), 100 + chance.below(29)),
        1 | 2 => {
            let low = u128::from(if wide { bits } else { bits & 0xff });
            format!("{}/{}", Ipv6Addr::from(0x2001_0db8_u128 << 96 | low), chance.below(129))
        }
        3 if wide => format!("{}/255.0.0.{}", Ipv4Addr::from(bits), chance.below(256)),
        _ => {
            let addr = Ipv4Addr::from(if wide { bits } else { 0x0a00_0000 | bits & 0xfff });
            format!("{addr}/{}", if wide { chance.below(33) } else { 20 + chance.below(13) })
        }
    }
}

#[test]
fn networks_of_long_files() {
    for seed in 1..4 {
        let mut chance = Chance(seed);
        let keys: Vec<String> = (0..600).map(|_| network(&mut chance)).collect();
        let mut addrs: Vec<IpAddr> =
            vec![[0, 0, 0, 0].into(), [255; 4].into(), [0; 16].into(), [255; 16].into()];
        for key in keys.iter().step_by(4) {
            // Where the answer may change: the first and the last address, and those beside them.
            match net::Net::parse(key, false).unwrap() {
                net::Net::V4 { addr, bits } => {
                    let last = addr | !net::mask4(bits);
                    let beside = [addr.wrapping_sub(1), addr, last, last.wrapping_add(1)];
                    addrs.extend(beside.map(|addr| IpAddr::from(Ipv4Addr::from(addr))));
                }
                net::Net::V6 { addr, bits } => {
                    let last = addr | !net::mask6(bits);
                    let beside = [addr.wrapping_sub(1), addr, last, last.wrapping_add(1)];
                    addrs.extend(beside.map(|addr| IpAddr::from(Ipv6Addr::from(addr))));
                }
                net::Net::Masked { addr, mask } => {
                    addrs.push(Ipv4Addr::from(addr | (!mask & 0x0101_0101)).into())
                }
            }
        }
        let sample = |addr: &IpAddr| match addr {
            IpAddr::V4(addr) => Sample::Ipv4(*addr),
            IpAddr::V6(addr) => Sample::Ipv6(*addr),
        };
        let samples: Vec<Sample<'_>> = addrs.iter().map(sample).collect();
        compare(&keys, &samples, &[reading(Match::Ip, false)], &mut chance);
    }
}
