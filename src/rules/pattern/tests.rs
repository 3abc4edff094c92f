//! Patterns of every method against the plainest reading of the manual, whatever their number and history.

use std::borrow::Cow;

use proptest::prelude::*;

use super::registry::PatternRefs;
use super::*;
use crate::rules::sample::{Sample, SampleType};

pub(super) fn text(s: &str) -> Sample<'_> {
    Sample::Str(Cow::Borrowed(s.as_bytes()))
}

pub(super) fn reading(method: Match, ignore_case: bool) -> Reading {
    Reading { method, ignore_case, resolve: false, out: Some(SampleType::Str) }
}

/// A map of these keys, whose values are their places.
fn map(keys: &[&str], reading: Reading) -> (std::sync::Arc<PatternRef>, std::sync::Arc<Matcher>) {
    let map = PatternRefs::default().file("m", true, "").0;
    for (i, key) in keys.iter().enumerate() {
        map.load(key.as_bytes(), Some(i.to_string().as_bytes()), i + 1);
    }
    let matcher = map.matcher(reading).unwrap();
    (map, matcher)
}

pub(super) fn place(matcher: &Matcher, sample: &Sample<'_>) -> Option<usize> {
    let Sample::Str(value) = matcher.value(sample)? else { panic!("a string") };
    Some(std::str::from_utf8(&value).unwrap().parse().unwrap())
}

/// Keys that match nothing here, to make lists long.
const FILLERS: [usize; 5] = [0, 6, 7, 8, 1000];

#[test]
fn what_is_found_does_not_depend_on_how_many_there_are() {
    use Match::*;
    for (method, ignore_case, keys, sample, expected) in [
        (Beg, false, ["/a", "/a/b"], "/a/b/c", Some(1)),
        (Beg, false, ["/a/b", "/a"], "/a/b/c", Some(0)),
        (Beg, false, ["/a", "/a"], "/a/b/c", Some(0)),
        (Beg, true, ["/A", "/a/B"], "/a/b/c", Some(0)),
        (Beg, true, ["/a/B", "/A"], "/a/b/c", Some(0)),
        (End, false, ["com", ".a.com"], "x.a.com", Some(0)),
        (End, false, [".a.com", "com"], "x.a.com", Some(0)),
        (End, true, [".b.com", "COM"], "x.a.com", Some(1)),
        (Str, false, ["a", "a"], "a", Some(0)),
        (Str, false, ["A", "a"], "a", Some(1)),
        (Str, true, ["b", "A"], "a", Some(1)),
        (Str, true, ["A", "a"], "a", Some(0)),
        (Sub, false, ["b", "ab"], "xab", Some(0)),
        (Sub, true, ["AB", "b"], "xab", Some(0)),
        (Dir, false, ["b", "a/b"], "/a/b/c", Some(0)),
        (Dom, false, ["b.c", "b"], "a.b.c", Some(0)),
        (Reg, false, ["^a", "^ab"], "abc", Some(0)),
        (Reg, true, ["^B", "^A"], "abc", Some(1)),
        (Len, false, ["3", "1:5"], "abc", Some(0)),
        (Len, false, ["1:5", "3"], "abc", Some(0)),
        (Beg, false, ["", "/"], "x", Some(0)),
    ] {
        for fillers in FILLERS {
            let filler: Vec<String> = (0..fillers)
                .map(|i| if method == Len { format!("{}", i + 100) } else { format!("~~{i}~~") })
                .collect();
            for before in [false, true] {
                let filler = filler.iter().map(String::as_str);
                let (at, keys): (usize, Vec<&str>) = match before {
                    true => (fillers, filler.chain(keys).collect()),
                    false => (0, keys.into_iter().chain(filler).collect()),
                };
                let (_, matcher) = map(&keys, reading(method, ignore_case));
                let found = place(&matcher, &text(sample)).map(|n| n - at);
                assert_eq!(found, expected, "{method:?} {:?} {sample} among {fillers}", &keys[at..at + 2]);
            }
        }
    }
}

#[test]
fn networks_are_found_by_the_longest_prefix_of_the_own_family() {
    let keys = [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "2001:db8::/32",
        "192.168.1/24",
        "::ffff:172.16.0.0/108",
        "0.0.0.1/0.0.0.255",
        "10.1.0.0/16",
        "172.0.0.0/255.0.0.255",
    ];
    for fillers in FILLERS {
        let filler: Vec<String> =
            (0..fillers).map(|i| format!("100.64.{}.{}", i / 250, 2 + i % 250)).collect();
        let keys: Vec<&str> = keys.into_iter().chain(filler.iter().map(String::as_str)).collect();
        let (_, matcher) = map(&keys, reading(Match::Ip, false));
        for (addr, expected) in [
            ("10.2.3.4", Some(0)),
            ("10.1.3.4", Some(1)),
            ("::ffff:10.1.0.1", Some(1)),
            ("2002:a01:203::", Some(1)),
            ("2001:db8::5", Some(2)),
            ("192.168.0.77", Some(3)),
            ("192.168.1.4", None),
            ("172.16.5.5", Some(4)),
            // A prefix of the other family goes before a mask that is none.
            ("172.16.5.0", Some(4)),
            ("172.40.5.0", Some(7)),
            ("11.0.0.2", None),
            ("11.0.0.1", Some(5)),
            ("::ffff:11.0.0.1", Some(5)),
        ] {
            let sample = match addr.parse().unwrap() {
                std::net::IpAddr::V4(a) => Sample::Ipv4(a),
                std::net::IpAddr::V6(a) => Sample::Ipv6(a),
            };
            assert_eq!(place(&matcher, &sample), expected, "{addr} among {fillers}");
        }
    }
}

#[test]
fn numbers_and_bytes() {
    let (_, numbers) = map(&["1:10", "5", "20:"], reading(Match::Int, false));
    for (n, expected) in [(5, Some(0)), (11, None), (21, Some(2))] {
        assert_eq!(place(&numbers, &Sample::Int(n)), expected, "{n}");
    }
    let (_, bytes) = map(&["6162", "6161"], reading(Match::Bin, false));
    assert_eq!(place(&bytes, &Sample::Bin(Cow::Borrowed(b"aa"))), Some(1));
    assert!(PatternRefs::default().file("m", true, "").0.matcher(reading(Match::Bin, false)).is_ok());
    for (method, bad) in [(Match::Bin, "zz"), (Match::Reg, "("), (Match::Int, "x"), (Match::Ip, "x")] {
        let list = PatternRefs::default().file("m", true, "").0;
        list.load(bad.as_bytes(), Some(b""), 7);
        assert!(list.matcher(reading(method, false)).unwrap_err().ends_with(" at line 7"), "{bad}");
    }
    let (_, found) = map(&[], reading(Match::Found, false));
    assert!(found.matches(&text("x")));
}

/// What one step of a history does.
#[derive(Clone, Debug)]
enum Step {
    Add(usize, u8),
    Put(usize, u8),
    Delete(usize),
    /// The nth entry by its id.
    DeleteNth(usize),
    Clear,
    /// A new version with these keys.
    Commit(Vec<usize>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS;
    prop::collection::vec(
        prop_oneof![
            6 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Step::Add(k, v)),
            2 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
            2 => key.clone().prop_map(Step::Delete),
            2 => (0usize..20).prop_map(Step::DeleteNth),
            1 => Just(Step::Clear),
            1 => prop::collection::vec(key, 0..20).prop_map(Step::Commit),
        ],
        0..60,
    )
}

const KEYS: usize = 14;
const TEXTS: [&str; KEYS] =
    ["", "a", "A", "ab", "aB", "abc", "b", "bc", "c", "/a", "a/b", "b/", ".c", "x.abc"];
const NETS: [&str; KEYS] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.1.1",
    "10.1.1.0/24",
    "0.0.0.1/0.0.0.255",
    "10.0.0.1/255.0.0.255",
    "::/0",
    "2001:db8::/32",
    "2001:db8::1",
    "::ffff:10.1.0.0/112",
    "11.0.0.0/8",
    "fe80::/10",
    "10.1.1.1/32",
];

/// The manual's words, without any index.
pub(super) fn expected(
    entries: &[(usize, u8)],
    keys: &[&str],
    reading: Reading,
    sample: &Sample<'_>,
) -> Option<u8> {
    let matching = |of: &dyn Fn(&str) -> Option<u32>| -> Option<u8> {
        let ranked = entries.iter().filter_map(|(k, v)| Some((of(keys[*k])?, *v)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, v)| v)
    };
    if let Sample::Str(s) = sample {
        let s = std::str::from_utf8(s).unwrap();
        let fold = |s: &str| if reading.ignore_case { s.to_ascii_lowercase() } else { s.to_owned() };
        return matching(&|key| {
            let (s, key) = (fold(s), fold(key));
            let (is_match, rank) = match reading.method {
                Match::Str => (s == key, 0),
                Match::Beg if reading.ignore_case => (s.starts_with(&key), 0),
                Match::Beg => (s.starts_with(&key), 100 - key.len() as u32),
                Match::End => (s.ends_with(&key), 0),
                _ => (s.contains(&key), 0),
            };
            is_match.then_some(rank)
        });
    }
    let contains = |addr: std::net::IpAddr, is_prefix: bool| {
        matching(&|key| {
            let net = net::Net::parse(key, false).unwrap();
            let fits = net.contains(addr) && net.prefix().is_some() == is_prefix;
            fits.then(|| 200 - net.prefix().unwrap_or_default())
        })
    };
    match sample {
        Sample::Ipv4(a) => {
            let own = contains((*a).into(), true);
            own.or_else(|| contains(a.to_ipv6_mapped().into(), true)).or_else(|| contains((*a).into(), false))
        }
        Sample::Ipv6(a) => {
            let v4 = crate::rules::cast::v6_to_v4(*a);
            let own = contains((*a).into(), true);
            own.or_else(|| contains(v4?.into(), true)).or_else(|| contains(v4?.into(), false))
        }
        _ => None,
    }
}

/// Runs a history on a reference and on a plain list, and compares what they find after each step.
fn compare(steps: &[Step], keys: &[&str], reading: Reading, samples: &[Sample<'_>]) {
    let list = PatternRefs::default().file("m", true, "").0;
    let matcher = list.matcher(reading).unwrap();
    let mut entries: Vec<(usize, u8)> = Vec::new();
    let text = |v: u8| v.to_string().into_bytes();
    for step in steps {
        match step {
            Step::Add(k, v) => {
                list.add(keys[*k].as_bytes(), Some(&text(*v)), None).unwrap();
                entries.push((*k, *v));
            }
            Step::Put(k, v) => {
                list.put(keys[*k].as_bytes(), &text(*v)).unwrap();
                if entries.iter().any(|(other, _)| other == k) {
                    entries.iter_mut().filter(|(other, _)| other == k).for_each(|(_, value)| *value = *v);
                } else {
                    entries.push((*k, *v));
                }
            }
            Step::Delete(k) => {
                let before = entries.len();
                entries.retain(|(other, _)| other != k);
                assert_eq!(list.delete(Key::Text(keys[*k].as_bytes())), before - entries.len());
            }
            Step::DeleteNth(n) => {
                let id = list.entries(None).iter().nth(*n).map(|entry| entry.id);
                assert_eq!(list.delete(Key::Id(id.unwrap_or(u64::MAX))), usize::from(*n < entries.len()));
                if *n < entries.len() {
                    entries.remove(*n);
                }
            }
            Step::Clear => {
                list.clear(None);
                entries.clear();
            }
            Step::Commit(new) => {
                let version = list.prepare();
                entries.clear();
                for (i, k) in new.iter().enumerate() {
                    list.add(keys[*k].as_bytes(), Some(&text(i as u8)), Some(version)).unwrap();
                    entries.push((*k, i as u8));
                }
                list.commit(version).unwrap();
            }
        }
        assert_eq!(list.versions().2, entries.len());
        for sample in samples {
            let found = place(&matcher, sample).map(|v| v as u8);
            assert_eq!(
                found,
                expected(&entries, keys, reading, sample),
                "{reading:?} {sample:?} in {entries:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_history_of_texts(steps in steps(), ignore_case: bool) {
        let samples = ["", "a", "A", "abc", "ABC", "x.abc", "a/b/c", "b"].map(text);
        for method in [Match::Str, Match::Beg, Match::End, Match::Sub] {
            compare(&steps, &TEXTS, reading(method, ignore_case), &samples);
        }
    }

    #[test]
    fn any_history_of_networks(steps in steps()) {
        let samples = ["10.1.1.1", "10.1.2.1", "11.1.1.2", "12.0.0.1", "2001:db8::1", "2001:db8::2", "::ffff:10.1.1.1", "fe80::1"];
        let samples = samples.map(|s| match s.parse().unwrap() {
            std::net::IpAddr::V4(a) => Sample::Ipv4(a),
            std::net::IpAddr::V6(a) => Sample::Ipv6(a),
        });
        compare(&steps, &NETS, reading(Match::Ip, false), &samples);
    }
}

/// A change of a long list touches few parts of it: the rest is shared with the version before.
#[test]
fn a_change_costs_its_own_size() {
    for method in [Match::Str, Match::Beg, Match::Ip, Match::Reg] {
        let list = PatternRefs::default().file("m", true, "").0;
        let keys = if method == Match::Reg { 2_000 } else { 50_000u32 };
        for i in 0..keys {
            list.load(std::net::Ipv4Addr::from(i).to_string().as_bytes(), Some(b"v"), 1);
        }
        list.matcher(reading(method, false)).unwrap();
        let began = crate::base::clock::now_ns();
        let next = list.prepare();
        for i in 0..200u32 {
            let key = std::net::Ipv4Addr::from(i << 24 | 7).to_string();
            list.put(key.as_bytes(), b"w").unwrap();
            list.delete(Key::Text(key.as_bytes()));
            list.add(key.as_bytes(), Some(b"x"), Some(next)).unwrap();
        }
        // 200 changes of the whole list would take seconds, even when it is fast.
        let took_ms = (crate::base::clock::now_ns() - began) / 1_000_000;
        assert!(took_ms < 1_000, "{method:?}: {took_ms} ms");
    }
}
