//! A process that stops: when the connections of its clients end (`close-spread-time`).

use super::rig::{GET, OK, Rig, Wire, answers};

const CLIENTS: usize = 40;

/// Clients that have been served once, and the server's connections that served them.
fn served(rig: &Rig) -> (Vec<Wire>, Wire) {
    let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| rig.client()).collect();
    clients[0].send(GET);
    let mut server = rig.server("s1");
    for (at, client) in clients.iter_mut().enumerate() {
        if at > 0 {
            client.send(GET);
        }
        server.take();
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
    }
    (clients, server)
}

fn rig(global: &str) -> Rig {
    Rig::listen_in(
        global,
        &["timeout client 1h", "http-reuse always", "server s1 10.0.0.1:80 pool-purge-delay 1h"],
    )
}

fn ended(clients: &mut [Wire]) -> usize {
    clients.iter_mut().map(|client| usize::from(client.has_ended())).sum()
}

#[test]
fn idle_connections_end_at_once() {
    let rig = rig("");
    let (mut clients, _server) = served(&rig);
    rig.stop();
    assert_eq!(ended(&mut clients), CLIENTS);
}

#[test]
fn idle_connections_end_one_by_one() {
    let rig = rig(" close-spread-time 10s");
    let (mut clients, _server) = served(&rig);
    rig.stop();
    let mut before = 0;
    for part in 1..=4 {
        rig.pass(2500);
        let now = ended(&mut clients);
        assert!(now > before, "{part}: {before}, then {now}");
        before = now;
    }
    assert_eq!(before, CLIENTS);
}

#[test]
fn a_connection_in_use_is_told_when_its_time_has_come() {
    let rig = rig(" close-spread-time 10s");
    let (mut clients, mut server) = served(&rig);
    rig.stop();
    let mut told = [0, 0];
    for (at, elapsed) in [0, 9990].into_iter().enumerate() {
        rig.pass(elapsed);
        for client in &mut clients {
            // One that has ended by now was idle when its time came.
            if client.has_ended() {
                continue;
            }
            client.send(GET);
            server.take();
            server.send(OK);
            let text = client.take();
            assert_eq!(answers(&text), [200]);
            told[at] += usize::from(text.contains("onnection: close"));
        }
    }
    assert!(told[0] < CLIENTS / 2, "{told:?}: too early");
    rig.pass(20);
    assert_eq!(ended(&mut clients), CLIENTS);
}

#[test]
fn an_infinite_time_leaves_them_to_their_timeouts() {
    let rig = rig(" close-spread-time infinite");
    let (mut clients, mut server) = served(&rig);
    rig.stop();
    rig.pass(600_000);
    assert_eq!(ended(&mut clients), 0);
    clients[0].send(GET);
    server.take();
    server.send(OK);
    let text = clients[0].take();
    assert!(answers(&text) == [200] && !text.contains("onnection: close"), "{text}");
    rig.pass(3_600_000);
    assert_eq!(ended(&mut clients), CLIENTS);
}

/// A request that is there already when the listener is gone is the last.
#[test]
fn a_frontend_that_is_shut_down_answers_once_more() {
    let rig = rig("");
    let (mut clients, mut server) = served(&rig);
    rig.shut("p");
    rig.pass(5000);
    assert_eq!(ended(&mut clients), 0);
    clients[0].send(GET);
    server.take();
    server.send(OK);
    let text = clients[0].take();
    assert!(answers(&text) == [200] && text.contains("onnection: close"), "{text}");
    assert!(clients[0].has_ended());
}
