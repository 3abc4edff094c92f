//! A map kept in an archive, and taken over from one.

use super::support::*;
use crate::region::map::*;

/// An archive without its gzip.
fn archive(map: &Map) -> Vec<u8> {
    let mut zipped = Vec::new();
    map.write_archive(&mut zipped).unwrap();
    unzip_archive(&zipped).unwrap()
}

fn pieces(archive: &[u8], size: usize, id: &str) -> Vec<Command> {
    let count = archive.len().div_ceil(size);
    let piece = |(number, data): (usize, &[u8])| {
        let data = bytes::Bytes::copy_from_slice(data);
        Command::Restore(Box::new(Piece {
            archive: id.into(),
            number: number as u64,
            data,
            last: number + 1 == count,
        }))
    };
    archive.chunks(size).enumerate().map(piece).collect()
}

fn serve(world: &mut World, node: &str, service: &str, id: &str) {
    world.done(put_node(node));
    world.done(put(instance(node, id, service), vec![check(node, id, id, Health::Passing)]));
}

/// Something of every kind, and at the end what a cluster says of itself.
fn world() -> World {
    let mut world = World::default();
    serve(&mut world, "n1", "web", "web1");
    serve(&mut world, "n2", "web", "web2");
    for n in 0..200 {
        world.done(Command::KvPut {
            key: format!("k{n}").into(),
            value: vec![n as u8; 500].into(),
            flags: n,
            when: PutWhen::Always,
        });
    }
    world.done(Command::KvDelete { key: "k7".into(), when: DeleteWhen::Always });
    let session = Session { id: "s".into(), node: "n1".into(), ttl_ms: 10_000, ..Session::default() };
    world.done(Command::SessionCreate(session));
    let acquire = PutWhen::Acquire("s".into());
    world.done(Command::KvPut { key: "lock".into(), value: "v".into(), flags: 0, when: acquire });
    world.done(Command::SecretPut { name: "authority".into(), value: "sealed".into() });
    world.done(Command::MemberPut(Member { name: "n1".into(), ..Member::default() }));
    world
}

#[test]
fn another_cluster_has_the_same_map_to_the_byte_and_stays_itself() {
    let world = world();
    let archive = archive(&world.map);
    assert!(!archive.windows(6).any(|w| w == b"sealed"), "a cluster's secrets stay with it");
    for size in [97, 4096, 1 << 20] {
        let mut other = World::default();
        other.done(Command::MemberPut(Member { name: "m1".into(), ..Member::default() }));
        other.done(Command::SecretPut { name: "authority".into(), value: "another".into() });
        serve(&mut other, "m1", "db", "db1");
        for command in pieces(&archive, size, "a") {
            other.done(command);
        }
        // A cluster that came further than the archive keeps its place, and with it another head.
        let same = self::archive(&other.map) == archive;
        assert_eq!(same, other.map.index() == world.map.index(), "in pieces of {size}");
        assert_eq!(same, size > 97);
        assert!(other.map.entries("").eq(world.map.entries("")), "in pieces of {size}");
        assert_eq!(other.map.members().map(|m| &*m.name).collect::<Vec<_>>(), ["m1"]);
        assert_eq!(other.map.secret("authority").map(|b| &b[..]), Some(&b"another"[..]));
        assert!(other.map.node("m1").is_none() && other.map.service("db").is_none());
        let locked = other.map.entry("lock").expect("the lock");
        assert_eq!(locked.session.as_deref(), Some("s"));
        assert_eq!(locked.modify_index, world.map.entry("lock").expect("the lock").modify_index);
        // It lives on: what comes now has a greater index than all that there was.
        let before = other.map.index();
        other.done(Command::KvPut { key: "new".into(), value: "v".into(), flags: 0, when: PutWhen::Always });
        assert!(other.map.entry("new").expect("it").modify_index > before.max(world.map.index()));
    }
}

#[test]
fn what_is_damaged_or_out_of_order_changes_nothing() {
    let world = world();
    let whole = archive(&world.map);
    let mut other = World::default();
    serve(&mut other, "m1", "db", "db1");
    let mut bad = whole.clone();
    let at = bad.len() / 2;
    bad[at] ^= 1;
    for archive in [&bad[..], &whole[..whole.len() - 3], b"nothing"] {
        let mut replies: Vec<Reply> = pieces(archive, 1000, "a").into_iter().map(|c| other.run(c)).collect();
        assert!(matches!(replies.pop(), Some(Reply::Refused(_))));
        assert!(other.map.service("db").is_some() && other.map.service("web").is_none());
    }
    let mut two = pieces(&whole, 1000, "a");
    two.swap(1, 2);
    assert!(two.into_iter().any(|c| matches!(other.run(c), Reply::Refused(_))));
    // Another begins: the first does not go on.
    let (a, b) = (pieces(&whole, 1000, "a"), pieces(&whole, 1000, "b"));
    other.done(a[0].clone());
    other.done(b[0].clone());
    assert!(matches!(other.run(a[1].clone()), Reply::Refused(_)));
    for command in b.into_iter().skip(1) {
        other.done(command);
    }
    assert!(other.map.service("web").is_some());
}

#[test]
fn a_snapshot_in_the_middle_goes_on_with_the_next_piece() {
    let world = world();
    let whole = archive(&world.map);
    let mut all = pieces(&whole, 5000, "a");
    let rest = all.split_off(3);
    let mut other = World::default();
    for command in all {
        other.done(command);
    }
    let mut snapshot = Vec::new();
    other.map.write_snapshot(&mut snapshot).unwrap();
    let mut follower = World { map: Map::read_snapshot(&snapshot[..]).unwrap(), ..World::default() };
    for command in rest {
        other.done(command.clone());
        follower.done(command);
    }
    assert_eq!(other.map, follower.map);
    assert!(follower.map.service("web").is_some());
}

#[test]
fn an_archive_that_breaks_off_is_given_up() {
    let whole = archive(&world().map);
    let all = pieces(&whole, 5000, "a");
    let mut other = World::default();
    let without = snapshot(&other.map).len();
    for command in &all[..3] {
        other.done(command.clone());
    }
    let put = |n: u64| Command::KvPut { key: "k".into(), value: "v".into(), flags: n, when: PutWhen::Always };
    other.at += 590_000;
    other.done(put(1));
    assert!(snapshot(&other.map).len() > without + 15_000, "its next piece may yet come");
    let mut follower = World { map: Map::read_snapshot(&snapshot(&other.map)[..]).unwrap(), ..other.clone() };
    for world in [&mut other, &mut follower] {
        world.at += 10_000;
        world.done(put(2));
        assert!(snapshot(&world.map).len() < without + 1000);
        assert!(world.refused(all[3].clone()).contains("given up"), "it is not half an archive");
    }
    assert_eq!(other.map, follower.map);
    // Who sent it says so, and nobody else can.
    let give_up = |archive: &str| Command::Restore(Box::new(Piece::giving_up(archive.into())));
    for command in all[..3].iter().cloned().chain([give_up("b"), all[3].clone(), give_up("a")]) {
        other.done(command);
    }
    assert!(snapshot(&other.map).len() < without + 1000);
    assert!(matches!(other.run(all[4].clone()), Reply::Refused(_)));
    for command in all {
        other.done(command);
    }
    assert!(other.map.service("web").is_some());
}

fn snapshot(map: &Map) -> Vec<u8> {
    let mut snapshot = Vec::new();
    map.write_snapshot(&mut snapshot).unwrap();
    snapshot
}

#[test]
fn when_an_archive_was_taken_over_is_kept() {
    let (mut other, world) = (World::default(), world());
    for n in 0..300 {
        let key = format!("k{n}").into();
        other.done(Command::KvPut { key, value: "v".into(), flags: 0, when: PutWhen::Always });
    }
    let keys = [Topic::Prefix("".into())];
    let before = other.map.index_of(&keys[0]);
    for command in pieces(&archive(&world.map), 1 << 20, "a") {
        other.done(command);
    }
    assert!(other.map.index_of(&keys[0]) < before);
    let again = Map::read_snapshot(&snapshot(&other.map)[..]).unwrap();
    assert_eq!(again, other.map);
    assert!(again.has_news(&keys, before) && !again.has_news(&keys, again.index_of(&keys[0])));
}

#[test]
fn what_is_no_archive_says_why() {
    let mut zipped = Vec::new();
    world().map.write_archive(&mut zipped).unwrap();
    assert!(zipped.starts_with(&[0x1f, 0x8b]));
    let mut gunzip = std::process::Command::new("gzip")
        .arg("-dc")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    gunzip.stdin.take().unwrap().write_all(&zipped).unwrap();
    assert_eq!(gunzip.wait_with_output().unwrap().stdout, unzip_archive(&zipped).unwrap(), "gzip reads it");
    assert!(unzip_archive(b"text").unwrap_err().contains("no archive"));
    assert!(unzip_archive(&zipped[..zipped.len() - 9]).unwrap_err().contains("too early"));
    let at = zipped.len() - 40;
    zipped[at] ^= 1;
    assert!(unzip_archive(&zipped).unwrap_err().contains("damaged"));
}
