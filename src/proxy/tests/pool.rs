//! Idle connections to servers: who may have them, and when they go.

use std::sync::mpsc::channel;

use super::rig::{GET, OK, Rig, Wire, answers};
use crate::model::server::Cut;

/// A rig whose server has one idle connection that carried `uses` requests of one client.
fn idle(lines: &[&str], server: &str, uses: usize) -> (Rig, Wire, Wire) {
    let rig = Rig::listen(&[lines, &[server]].concat());
    let mut client = rig.client();
    client.send(GET);
    let mut first = rig.server("s1");
    for n in 0..uses {
        if n > 0 {
            client.send(GET);
        }
        assert!(first.take().contains("GET / "));
        first.send(OK);
        assert_eq!(answers(&client.take()), [200]);
    }
    assert_eq!((rig.opened("s1"), rig.idle("s1")), (1, 1), "{lines:?}");
    (rig, client, first)
}

const SERVER: &str = "server s1 10.0.0.1:80";

#[test]
fn a_clients_next_request_takes_the_idle_connection() {
    for reuse in ["safe", "aggressive", "always"] {
        let (rig, _client, _server) = idle(&[&format!("http-reuse {reuse}")], SERVER, 3);
        let counted = rig.count("s1");
        assert_eq!((counted.connect, counted.reuse), (1, 2), "{reuse}");
    }
}

#[test]
fn http_reuse_says_whether_a_first_request_takes_it() {
    for (reuse, uses, opened) in
        [("safe", 1, 2), ("safe", 2, 2), ("aggressive", 1, 2), ("aggressive", 2, 1), ("always", 1, 1)]
    {
        let (rig, _client, _server) = idle(&[&format!("http-reuse {reuse}")], SERVER, uses);
        rig.client().send(GET);
        assert_eq!(rig.opened("s1"), opened, "{reuse} after {uses}");
    }
}

/// `pool-low-conn`.
#[test]
fn a_few_connections_more_than_needed_are_kept() {
    for (words, kept) in [("", 1), ("pool-low-conn 1", 2)] {
        let (rig, _client, _server) = idle(&[], &format!("{SERVER} {words}"), 1);
        let mut other = rig.client();
        let (_second, answer) = rig.exchange(&mut other, "s1");
        assert_eq!((answers(&answer), rig.idle("s1")), (vec![200], kept), "{words}");
    }
}

/// A connection of `dispatch` is its client's alone.
#[test]
fn a_dispatched_connection_is_not_shared() {
    // Without 'balance', which the defaults of others have.
    let rig = Rig::new(
        "defaults\n mode http\n timeout client 10s\n timeout server 20s\n timeout connect 3s\n\
         listen p\n bind :80\n http-reuse always\n dispatch 10.0.0.9:80\n",
    );
    let name = crate::model::ServerSpec::DISPATCH;
    let (mut a, mut b) = (rig.client(), rig.client());
    let (mut first, _) = rig.exchange(&mut a, name);
    let (_second, answer) = rig.exchange(&mut b, name);
    assert_eq!((answers(&answer), rig.opened(name)), (vec![200], 2));
    a.send(GET);
    assert_eq!(first.take(), GET, "its own client uses it again");
}

#[test]
fn an_idle_connection_goes_after_pool_purge_delay() {
    let (rig, _client, mut server) = idle(&[], &format!("{SERVER} pool-purge-delay 4s"), 1);
    rig.pass(3_000);
    assert_eq!(rig.idle("s1"), 1);
    rig.pass(2_000);
    assert_eq!(rig.idle("s1"), 0);
    assert!(server.has_ended());
}

#[test]
fn an_idle_connection_that_the_server_ends_goes() {
    let (rig, mut client, server) = idle(&["http-reuse always"], SERVER, 1);
    server.leave();
    client.send(GET);
    let mut second = rig.server("s1");
    second.take();
    second.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.log().last().map(String::as_str), Some("p/s1 200 -- 0"), "it was no retry");
}

#[test]
fn an_idle_connection_that_speaks_is_not_listened_to() {
    let (rig, mut client, mut server) = idle(&["http-reuse always"], SERVER, 1);
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    client.send(GET);
    assert_eq!(rig.opened("s1"), 2);
    assert!(!client.take().contains("evil"));
    assert!(!server.take().contains("GET"));
}

#[test]
fn a_connection_that_ends_under_a_request_is_no_fault_of_the_server() {
    let (rig, mut client, mut server) = idle(&["http-reuse always"], SERVER, 1);
    client.send(GET);
    assert!(server.take().starts_with("GET / "));
    server.leave();
    let mut second = rig.server("s1");
    assert!(second.take().starts_with("GET / "));
    second.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    let counted = rig.count("s1");
    assert_eq!((counted.err_resp, counted.wretr, counted.err_conn), (0, 0, 0));
    assert_eq!(rig.log().last().map(String::as_str), Some("p/s1 200 -- 0"));
}

#[test]
fn what_does_harm_twice_is_not_repeated_on_another_connection() {
    let (rig, mut client, mut server) = idle(&["http-reuse always"], SERVER, 1);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    assert!(server.take().starts_with("POST / "));
    server.leave();
    // The client's connection ends as the server's did: it knows whether it may ask again.
    assert_eq!(client.take(), "");
    assert!(client.has_ended());
    assert_eq!(rig.opened("s1"), 1);
}

#[test]
fn max_reuse_bounds_what_a_connection_carries() {
    let rig = Rig::listen(&["http-reuse always", "server s1 10.0.0.1:80 max-reuse 1"]);
    let mut client = rig.client();
    for round in 1..=3 {
        let (mut server, text) = rig.exchange(&mut client, "s1");
        assert_eq!((answers(&text), rig.opened("s1")), (vec![200], round));
        client.send(GET);
        assert!(server.take().starts_with("GET / "));
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
        assert!(server.has_ended(), "it has carried one more than its first");
    }
}

#[test]
fn no_connection_is_kept_where_the_pool_has_no_room() {
    for option in ["pool-max-conn 0", "pool-purge-delay 0"] {
        let rig = Rig::listen(&["http-reuse always", &format!("server s1 10.0.0.1:80 {option}")]);
        let mut client = rig.client();
        let (mut server, _) = rig.exchange(&mut client, "s1");
        assert!(server.has_ended(), "{option}");
        rig.exchange(&mut client, "s1");
        assert_eq!(rig.opened("s1"), 2, "{option}");
    }
}

#[test]
fn pool_max_conn_bounds_the_idle() {
    let rig = Rig::listen(&["http-reuse always", "server s1 10.0.0.1:80 pool-max-conn 2"]);
    let mut clients: Vec<Wire> = (0..4).map(|_| rig.client()).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    let mut servers: Vec<Wire> = (0..4).map(|_| rig.server("s1")).collect();
    for server in &mut servers {
        server.take();
        server.send(OK);
    }
    assert_eq!(rig.idle("s1"), 2);
    assert_eq!(servers.iter_mut().filter_map(|server| server.has_ended().then_some(())).count(), 2);
}

#[test]
fn a_server_that_has_moved_is_connected_anew() {
    let (rig, mut client, mut server) = idle(&["http-reuse always"], SERVER, 1);
    let mut busy = rig.client();
    let (mut held, _) = {
        // A second connection is in use while the server moves.
        busy.send(GET);
        client.send(GET);
        (rig.server("s1"), ())
    };
    rig.of("s1").live.begin_epoch(Cut::Moved);
    server.take();
    server.send(OK);
    held.take();
    held.send(OK);
    assert_eq!((answers(&busy.take()), answers(&client.take())), (vec![200], vec![200]));
    assert!(held.has_ended() && server.has_ended(), "connections of before are not kept");
    client.send(GET);
    assert_eq!(rig.opened("s1"), 3);
}

#[test]
fn a_server_that_is_cut_loses_idle_and_busy_connections() {
    let (rig, mut client, mut server) = idle(&["http-reuse always"], SERVER, 1);
    let mut busy = rig.client();
    busy.send(GET);
    client.send(GET);
    let mut second = rig.server("s1");
    server.take();
    second.take();
    server.send(OK);
    rig.log();
    let live = rig.of("s1").live;
    live.begin_epoch(Cut::Killed);
    rig.worker.cut(live.uid);
    rig.settle();
    assert_eq!(rig.idle("s1"), 0);
    assert!(server.has_ended() && second.has_ended());
    let log = rig.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("p/s1 502 K"), "{log:?}");
}

#[test]
fn another_worker_gives_its_idle_connection() {
    let rig = Rig::listen(&["http-reuse always", SERVER]);
    let (config, (ready, is_ready), (go, may_go)) = (rig.config(), channel(), channel());
    let other = std::thread::spawn(move || {
        let rig = Rig::beside(config);
        let mut client = rig.client();
        let (mut server, text) = rig.exchange(&mut client, "s1");
        assert_eq!(answers(&text), [200]);
        ready.send(()).expect("the test waits");
        may_go.recv().expect("the test goes on");
        rig.settle();
        ready.send(()).expect("the test waits");
        may_go.recv().expect("the test goes on");
        let request = server.take();
        server.send(OK);
        ready.send(()).expect("the test waits");
        request
    });
    is_ready.recv().expect("an idle connection");
    assert_eq!(rig.idle("s1"), 1);
    let mut client = rig.client();
    client.send(GET);
    assert_eq!(rig.opened("s1"), 0, "the other worker is asked first");
    go.send(()).expect("the other worker");
    is_ready.recv().expect("it has given");
    rig.settle();
    assert_eq!(rig.opened("s1"), 0);
    go.send(()).expect("the other worker");
    is_ready.recv().expect("its server has answered");
    assert_eq!(answers(&client.take()), [200]);
    assert!(other.join().expect("the other worker").starts_with("GET / "));
}

#[test]
fn a_worker_that_does_not_answer_is_not_waited_for() {
    let rig = Rig::listen(&["http-reuse always", SERVER]);
    let (config, (ready, is_ready), (go, may_go)) = (rig.config(), channel(), channel::<()>());
    let other = std::thread::spawn(move || {
        let rig = Rig::beside(config);
        let mut client = rig.client();
        let _server = rig.exchange(&mut client, "s1");
        ready.send(()).expect("the test waits");
        may_go.recv().expect("the test has ended");
    });
    is_ready.recv().expect("an idle connection");
    let mut client = rig.client();
    client.send(GET);
    rig.pass(19);
    assert_eq!(rig.opened("s1"), 0);
    rig.pass(1);
    assert_eq!(rig.opened("s1"), 1);
    go.send(()).expect("the other worker");
    other.join().expect("the other worker");
}

/// An idle connection that the server has ended takes nobody's place.
#[test]
fn a_connection_is_kept_beside_one_that_has_ended() {
    let (rig, _client, server) = idle(&["http-reuse safe"], SERVER, 1);
    server.leave();
    rig.settle();
    let mut client = rig.client();
    let (mut server, _) = rig.exchange(&mut client, "s1");
    client.send(GET);
    assert!(server.take().starts_with("GET / "), "the session's own connection was closed");
    server.send(OK);
    assert_eq!((answers(&client.take()), rig.opened("s1")), (vec![200], 2));
}

/// What another worker holds idle may have ended without its having looked: it does not count against this one.
#[test]
fn a_worker_keeps_one_whatever_others_hold() {
    let rig = Rig::listen(&["http-reuse safe", SERVER]);
    let (config, (ready, is_ready), (go, may_go)) = (rig.config(), channel(), channel::<()>());
    let other = std::thread::spawn(move || {
        let rig = Rig::beside(config);
        let mut client = rig.client();
        let (server, _) = rig.exchange(&mut client, "s1");
        server.leave();
        ready.send(()).expect("the test waits");
        may_go.recv().expect("the test has ended");
    });
    is_ready.recv().expect("an idle connection");
    let mut client = rig.client();
    let (mut server, _) = rig.exchange(&mut client, "s1");
    client.send(GET);
    assert!(server.take().starts_with("GET / "), "the session's own connection was closed");
    server.send(OK);
    assert_eq!((answers(&client.take()), rig.opened("s1")), (vec![200], 1));
    go.send(()).expect("the other worker");
    other.join().expect("the other worker");
}
