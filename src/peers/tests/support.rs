//! Tables of trials, recorded streams, and sessions that speak with each other.

use std::path::Path;
use std::sync::Arc;

use super::super::session::{Memory, Session, Shared};
use crate::lang::{Span, Word};
use crate::stick::{Data, Key, Spec, Table};

/// The time of all trials: what was counted long ago has a beginning.
pub const NOW: u64 = 5_000_000;

/// A table by the name that peers call it and its line.
pub fn shared(wire: &str, line: &str) -> Shared {
    let line = format!("{line} peers p");
    let words: Vec<Word> =
        line.split(' ').map(|word| Word::new(word.as_bytes().to_vec(), Span::default())).collect();
    let spec = Spec::parse(&words, Span::default(), &mut |_, message| panic!("{message}"));
    let table = Table::new(wire, spec.expect("a table"));
    table.set_wall(NOW, 1_800_000_000_000);
    Shared { wire: wire.into(), table: Arc::new(table) }
}

/// The four tables of the scripted trials.
pub fn four() -> Arc<[Shared]> {
    [
        shared("t1", "type ip size 1k expire 60s store gpc0"),
        shared("t2", "type string len 16 size 1k expire 60s store gpc0,http_req_rate(10s),server_key"),
        shared("t3", "type integer size 1k expire 60s store gpc0,conn_cur,server_id"),
        shared("t4", "type ip size 1k expire 60s store gpc(4)"),
    ]
    .into()
}

/// The tables of the recorded pairs of processes.
pub fn recorded() -> Arc<[Shared]> {
    let all = "gpt0,gpc0,gpc0_rate(10s),conn_cnt,conn_rate(10s),conn_cur,sess_cnt,sess_rate(10s),http_req_cnt,\
               http_req_rate(10s),http_err_cnt,http_err_rate(10s),bytes_in_cnt,bytes_in_rate(10s),bytes_out_cnt,\
               bytes_out_rate(10s),gpc1,gpc1_rate(10s),http_fail_cnt,http_fail_rate(10s),server_id";
    [
        shared("/pt", "type string len 24 size 1k expire 30s store gpc0,http_req_rate(10s)"),
        shared("t_ip", &format!("type ip size 1k expire 60s store {all}")),
        shared("t_ip6", "type ipv6 size 1k expire 60s store gpt(3),gpc(4),gpc_rate(2,10s)"),
        shared("t_int", "type integer size 1k expire 60s store gpc0,conn_cur,bytes_in_cnt"),
        shared("t_bin", "type binary len 20 size 1k expire 60s store gpc0,http_req_rate(10s)"),
        shared("t_noexp", "type ip size 1k store gpc0"),
        shared("t_short", "type ip size 1k expire 2s store gpc0"),
        shared("bk", "type string len 32 size 1k expire 60s store server_id,server_key"),
    ]
    .into()
}

/// A recorded stream.
pub fn stream(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/peers").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What stands behind the greeting of who dials, or behind the answer.
pub fn behind(stream: &[u8], lines: usize) -> &[u8] {
    let mut ends = stream.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(i, _)| i + 1);
    &stream[ends.nth(lines - 1).expect("a greeting")..]
}

/// A session with HAProxy.
pub fn session(tables: &Arc<[Shared]>) -> Session {
    Session::new(tables.clone(), 1, false, &Memory::default())
}

/// A session with another Isobar.
pub fn ours(tables: &Arc<[Shared]>) -> Session {
    Session::new(tables.clone(), 1, true, &Memory::default())
}

/// Everything that a session has to say now.
pub fn said(session: &mut Session) -> Vec<u8> {
    session.fill(NOW, usize::MAX, true);
    let out = session.out().to_vec();
    session.clear();
    out
}

/// Moves bytes between two ends until neither has any.
pub fn talk(a: &mut Session, b: &mut Session) {
    loop {
        a.note_news();
        b.note_news();
        let (from_a, from_b) = (said(a), said(b));
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        b.receive(&from_a, NOW).expect("good messages");
        a.receive(&from_b, NOW).expect("good messages");
    }
}

pub fn set(shared: &Shared, key: u32, value: u64) {
    shared.table.update(&Key::integer(key), NOW, |entry| entry.set(Data::Gpc0, 0, value));
}

pub fn get(shared: &Shared, key: u32) -> Option<i64> {
    shared.table.look(&Key::integer(key), NOW, |entry| entry.value(Data::Gpc0, 0)).flatten()
}
