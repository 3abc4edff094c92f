//! Waiting for a server's slot: whose turn it is, who is turned away, and who leaves.

use super::rig::{GET, OK, Rig, Wire, answers};

/// A rig whose only slot is taken by the first client, with the server's connection.
fn full(lines: &[&str]) -> (Rig, Wire, Wire) {
    let rig = Rig::listen(lines);
    let mut first = rig.client();
    first.send(GET);
    let mut server = rig.server("s1");
    server.take();
    (rig, first, server)
}

fn waiting(rig: &Rig, name: &str) -> Wire {
    let mut client = rig.client();
    client.send(GET.replace("/ ", &format!("/{name} ")));
    client
}

fn asked(text: &str) -> &str {
    text.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn who_came_first_is_served_first() {
    let (rig, mut first, mut server) = full(&["http-reuse always", "server s1 10.0.0.1:80 maxconn 1"]);
    let mut clients: Vec<Wire> = ["a", "b", "c"].iter().map(|name| waiting(&rig, name)).collect();
    assert_eq!(rig.opened("s1"), 1);
    server.send(OK);
    assert_eq!(answers(&first.take()), [200]);
    for (name, client) in ["/a", "/b", "/c"].iter().zip(&mut clients) {
        assert_eq!(asked(&server.take()), *name);
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
    }
    assert_eq!((rig.opened("s1"), rig.served("s1")), (1, 0));
}

#[test]
fn a_client_may_have_its_next_request_only_behind_those_who_wait() {
    let (rig, mut first, mut server) = full(&["http-reuse always", "server s1 10.0.0.1:80 maxconn 1"]);
    let _second = waiting(&rig, "second");
    first.send(GET.replace("/ ", "/again "));
    server.send(OK);
    assert_eq!(asked(&server.take()), "/second");
    server.send(OK);
    assert_eq!(asked(&server.take()), "/again");
}

#[test]
fn a_slot_is_free_however_its_stream_ends() {
    for (how, status) in [("answer", 200), ("close", 502), ("silence", 504), ("client", 0)] {
        let (rig, mut first, mut server) = full(&["timeout queue 60s", "server s1 10.0.0.1:80 maxconn 1"]);
        let _second = waiting(&rig, "second");
        match how {
            "answer" => server.send(OK),
            "close" => server.leave(),
            "silence" => rig.pass(20_000),
            _ => {
                first.leave();
                first = rig.client();
            }
        }
        if status > 0 {
            assert_eq!(answers(&first.take()), [status], "{how}");
        }
        assert_eq!(asked(&rig.server("s1").take()), "/second", "{how}");
    }
}

#[test]
fn a_client_that_leaves_the_queue_is_not_served() {
    let lines = &["option abortonclose", "timeout queue 60s", "server s1 10.0.0.1:80 maxconn 1"];
    let (rig, _first, mut server) = full(lines);
    let gone = waiting(&rig, "gone");
    let mut half = waiting(&rig, "half");
    let mut stays = waiting(&rig, "stays");
    gone.leave();
    half.finish();
    assert_eq!(half.take(), "");
    assert_eq!(rig.log(), ["p/<NOSRV> -1 CQ 0", "p/<NOSRV> -1 CQ 0"]);
    server.send(OK);
    let mut next = rig.try_server("s1").unwrap_or(server);
    assert_eq!(asked(&next.take()), "/stays");
    next.send(OK);
    assert_eq!(answers(&stays.take()), [200]);
}

#[test]
fn a_client_that_has_ended_its_direction_waits_on_without_abortonclose() {
    let lines = &["no option abortonclose", "timeout queue 60s", "server s1 10.0.0.1:80 maxconn 1"];
    let (rig, _first, mut server) = full(lines);
    let mut half = waiting(&rig, "half");
    half.finish();
    server.send(OK);
    let mut next = rig.try_server("s1").unwrap_or(server);
    assert_eq!(asked(&next.take()), "/half");
    next.send(OK);
    assert_eq!(answers(&half.take()), [200]);
}

#[test]
fn a_full_queue_turns_away_at_once() {
    let rig = Rig::listen(&["cookie S insert", "server s1 10.0.0.1:80 cookie one maxconn 1 maxqueue 1"]);
    let mut clients = [rig.client(), rig.client(), rig.client()];
    clients.iter_mut().for_each(|client| client.send(GET.replace("Host", "Cookie: S=one\r\nHost")));
    assert_eq!(clients[1].take(), "");
    assert_eq!(answers(&clients[2].take()), [503]);
    let log = rig.log();
    assert_eq!(log.len(), 1);
    assert!(log[0].contains(" 503 SQ "), "{log:?}");
}

#[test]
fn a_full_queue_sends_to_another_server_where_that_is_allowed() {
    for (option, served) in [("option redispatch", true), ("no option redispatch", false)] {
        let rig = Rig::listen(&[
            option,
            "cookie S insert",
            "server s1 10.0.0.1:80 cookie one maxconn 1 maxqueue 1",
            "server s2 10.0.0.2:80 cookie two",
        ]);
        let request = GET.replace("Host", "Cookie: S=one\r\nHost");
        let mut clients = [rig.client(), rig.client(), rig.client()];
        clients.iter_mut().for_each(|client| client.send(&request));
        assert_eq!(rig.opened("s1"), 1, "{option}");
        match rig.try_server("s2") {
            Some(mut other) => {
                assert!(served, "{option}");
                other.take();
                other.send(OK);
                assert_eq!(answers(&clients[2].take()), [200]);
            }
            None => {
                assert!(!served, "{option}");
                assert_eq!(answers(&clients[2].take()), [503]);
            }
        }
    }
}

#[test]
fn the_first_slot_of_any_server_is_taken() {
    let rig = Rig::listen(&[
        "timeout queue 60s",
        "server s1 10.0.0.1:80 maxconn 1",
        "server s2 10.0.0.2:80 maxconn 1",
    ]);
    let _both = [waiting(&rig, "a"), waiting(&rig, "b")];
    let (mut one, mut two) = (rig.server("s1"), rig.server("s2"));
    one.take();
    two.take();
    let mut third = waiting(&rig, "third");
    two.send(OK);
    let mut next = rig.try_server("s2").unwrap_or(two);
    assert_eq!(asked(&next.take()), "/third");
    next.send(OK);
    assert_eq!(answers(&third.take()), [200]);
    assert_eq!((rig.opened("s1"), rig.served("s1"), rig.served("s2")), (1, 1, 0));
}

#[test]
fn an_idle_client_holds_no_slot() {
    let (rig, mut first, mut server) = full(&["http-reuse always", "server s1 10.0.0.1:80 maxconn 1"]);
    server.send(OK);
    first.take();
    assert_eq!(rig.served("s1"), 0);
    waiting(&rig, "second");
    assert_eq!(asked(&server.take()), "/second");
}

#[test]
fn in_tcp_mode_connections_wait_for_slots() {
    let rig = Rig::listen_tcp(&["timeout queue 60s", "server s1 10.0.0.1:80 maxconn 1"]);
    let mut first = rig.client();
    first.send("one");
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "one");
    let mut second = rig.client();
    second.send("two");
    assert!(rig.try_server("s1").is_none());
    server.leave();
    assert!(first.has_ended());
    first.leave();
    assert_eq!(rig.server("s1").take(), "two");
}
