//! What a soft stop and a new configuration mean for connections under way.

use super::rig::{GET, OK, Rig, answers};

const SERVER: &str = "server s1 10.0.0.1:80";

#[test]
fn a_stop_ends_idle_clients() {
    let rig = Rig::listen(&[SERVER]);
    let mut client = rig.client();
    rig.exchange(&mut client, "s1");
    rig.stop();
    assert!(client.has_ended());
}

#[test]
fn the_last_answer_of_a_stopping_process_says_so() {
    let rig = Rig::listen(&[SERVER]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    rig.stop();
    assert!(!client.has_ended(), "its request is served to the end");
    server.send(OK);
    let text = client.take().to_lowercase();
    assert!(text.starts_with("http/1.1 200 ") && text.contains("connection: close\r\n"), "{text}");
    assert!(client.has_ended());
}

#[test]
fn an_answer_of_the_proxys_own_says_so_too() {
    let rig = Rig::listen(&["http-request deny if { path /no }", SERVER]);
    let mut client = rig.client();
    client.send("GET /no HTTP/1.1\r\n");
    rig.stop();
    client.send("Host: h\r\n\r\n");
    let text = client.take().to_lowercase();
    assert!(text.starts_with("http/1.1 403 ") && text.contains("connection: close\r\n"), "{text}");
    assert!(client.has_ended());
}

#[test]
fn a_long_download_goes_on_through_a_stop() {
    let rig = Rig::listen(&[SERVER]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
    rig.stop();
    server.send("rest");
    assert!(client.take().ends_with("halfrest"));
    assert!(client.has_ended());
}

fn text(rule: &str) -> String {
    format!("listen p\n bind :80\n {rule}\n {SERVER}\n")
}

#[test]
fn the_next_request_of_a_connection_has_the_newest_configuration() {
    let rig = Rig::new(&text("http-request set-header X one"));
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    assert!(server.take().to_lowercase().contains("x: one"));
    rig.reload(&text("http-request set-header X two"));
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    client.send(GET);
    let asked = server.take().to_lowercase();
    assert!(asked.contains("x: two"), "{asked}");
    assert_eq!(rig.opened("s1"), 1, "an unchanged server keeps its connections");
}

#[test]
fn a_request_under_way_keeps_the_configuration_it_began_with() {
    let rig = Rig::new(&text("http-response set-header X one"));
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    rig.reload(&text("http-response set-header X two"));
    server.send(OK);
    assert!(client.take().to_lowercase().contains("x: one"));
}

#[test]
fn an_idle_connection_takes_the_newest_configuration() {
    let rig = Rig::new(&text("http-request set-header X one"));
    let mut client = rig.client();
    let (mut server, _) = rig.exchange(&mut client, "s1");
    rig.pass(2_000);
    rig.reload(&text("http-request set-header X two"));
    client.send(GET);
    assert!(server.take().to_lowercase().contains("x: two"));
}
