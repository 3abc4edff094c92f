//! Entry point for fuzzing: any bytes, as what a server or an agent answers to each kind of check.

use super::evaluate::{Input, evaluate};
use super::h2::Exchange;
use super::rule::{Action, Expect};
use super::{agent, answer, protocol};

/// The checks that speak a protocol by themselves.
const PROTOCOLS: [(&str, &[&str]); 8] = [
    ("ssl-hello-chk", &[]),
    ("smtpchk", &[]),
    ("mysql-check", &["user", "haproxy"]),
    ("pgsql-check", &["user", "haproxy"]),
    ("redis-check", &[]),
    ("spop-check", &[]),
    ("ldap-check", &[]),
    ("mysql-check", &[]),
];

/// Reads the bytes in each of these ways, whole and up to each `step`.
pub fn answers(bytes: &[u8], step: usize) {
    for is_head in [false, true] {
        if let answer::Progress::Head(answer) = answer::parse(bytes, is_head) {
            assert!(answer.body.len() <= bytes.len());
        }
    }
    let said = agent::read(bytes);
    assert!(said.text.len() <= 3 * bytes.len() + 3);
    let mut exchange = Exchange::new();
    for piece in bytes.chunks(step.max(1)) {
        if exchange.take(piece).is_err() {
            break;
        }
    }
    answer::parse(&exchange.answer(), false);
    for (name, words) in PROTOCOLS {
        let steps = protocol::steps(name, words).unwrap_or_default();
        for expect in steps.iter().filter_map(|step| match &step.action {
            Action::Expect(expect) => Some(expect),
            _ => None,
        }) {
            read(expect, bytes, step);
        }
    }
}

/// What a beginning decides, more bytes do not change into waiting.
fn read(expect: &Expect, bytes: &[u8], step: usize) {
    for (end, is_last) in [(step.min(bytes.len()), false), (bytes.len(), false), (bytes.len(), true)] {
        let input = Input {
            bytes: &bytes[..end],
            is_last,
            is_head: false,
            spare_404: false,
            step: 1,
            is_script: false,
            now: None,
        };
        let eval = evaluate(expect, &input, &mut None);
        assert!(!is_last || eval != super::evaluate::Eval::Wait, "it waits for what cannot come");
    }
}
