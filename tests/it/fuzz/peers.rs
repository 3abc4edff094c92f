//! The peers' protocol: whatever comes, a session ends or goes on, and says the same however the bytes were cut.

use std::sync::Arc;

use isobar::lang::{Span, Word};
use isobar::peers::hello;
use isobar::peers::session::{Memory, Session, Shared};
use isobar::stick::{Data, Spec, Table};

use super::mutate::drive;
use crate::support::program;

const NOW: u64 = 5_000_000;

fn table(wire: &str, line: &str) -> Shared {
    let words: Vec<Word> =
        line.split(' ').map(|word| Word::new(word.as_bytes().to_vec(), Span::default())).collect();
    let spec = Spec::parse(&words, Span::default(), &mut |_, _| {}).expect("a table");
    Shared { wire: wire.into(), table: Arc::new(Table::new(wire, spec)) }
}

fn tables() -> Arc<[Shared]> {
    [
        table("t1", "type ip size 100 expire 60s store gpc0 peers p"),
        table(
            "t2",
            "type string len 16 size 100 expire 60s store gpc0,http_req_rate(10s),server_key peers p",
        ),
        table("t3", "type integer size 100 store gpc0,conn_cur,server_id peers p"),
        table("t4", "type binary len 20 size 100 expire 60s store gpc(4),gpc_rate(2,10s) peers p"),
        table("t_ip6", "type ipv6 size 3 expire 60s store gpt(3),gpc(4),gpc_rate(2,10s) peers p"),
        table("bk", "type string len 32 size 100 expire 60s store server_id,server_key peers p"),
    ]
    .into()
}

fn streams() -> Vec<Vec<u8>> {
    let folder = program::tree().join("tests/data/peers");
    let entries = std::fs::read_dir(folder).expect("recorded streams").flatten();
    entries.map(|entry| std::fs::read(entry.path()).expect("a stream")).collect()
}

#[test]
fn peers_greetings() {
    drive("greetings of peers", &streams(), |bytes, random| {
        if let hello::Read::Whole(_, len) = hello::read(bytes, "A", |who| who == "B") {
            assert!(len <= bytes.len());
            assert_eq!(hello::read(&bytes[..random.below(len)], "A", |who| who == "B"), hello::Read::Short);
        }
        if let Some(answer) = hello::answer(bytes) {
            assert!(answer.len <= bytes.len());
        }
    });
}

#[test]
fn peers_messages() {
    drive("messages of peers", &streams(), |bytes, random| {
        // Most begin with a greeting.
        let skipped = bytes.iter().position(|byte| *byte == 0 || *byte == 10).unwrap_or(0);
        let bytes = if random.below(4) == 0 { bytes } else { &bytes[skipped..] };
        let (is_ours, minor) = (random.below(2) == 0, random.below(2) as u8);
        let (whole, pieces) = (tables(), tables());
        let mut of_whole = Session::new(whole.clone(), minor, is_ours, &Memory::default());
        let mut of_pieces = Session::new(pieces.clone(), minor, is_ours, &Memory::default());
        let told = of_whole.receive(bytes, NOW).is_ok();
        let mut is_good = true;
        let mut rest = bytes;
        while is_good && !rest.is_empty() {
            let (piece, left) = rest.split_at((1 + random.below(40)).min(rest.len()));
            (is_good, rest) = (of_pieces.receive(piece, NOW).is_ok(), left);
        }
        assert_eq!(told, is_good);
        let used =
            |tables: &Arc<[Shared]>| tables.iter().map(|shared| shared.table.used()).collect::<Vec<_>>();
        assert_eq!(used(&whole), used(&pieces));
        if told {
            for session in [&mut of_whole, &mut of_pieces] {
                session.note_news();
                session.fill(NOW, 1 << 16, true);
            }
            assert_eq!(of_whole.out().len(), of_pieces.out().len());
            assert!(of_whole.out().len() < 1 << 18);
        }
        // The tables are whole: everything in them can be told.
        for shared in &*whole {
            shared.table.walk(NOW, |entry| {
                entry.add(Data::Gpc0, 0, 1);
                false
            });
        }
        let mut told = Session::new(whole, 1, true, &Memory::default());
        told.fill(NOW, 1 << 16, true);
        let mut heard = Session::new(tables(), 1, true, &Memory::default());
        heard.receive(told.out(), NOW).expect("our own messages are good");
    });
}
