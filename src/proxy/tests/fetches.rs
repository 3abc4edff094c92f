//! What rules learn of the stream that they run in, where only a connection that stands can tell.

use super::rig::{GET, Rig};

/// The value of an expression when the response is there.
fn value(lines: &[&str], expression: &str) -> String {
    let rule = format!("http-response set-header X-Said \"<%[{expression}]>\"");
    let rig = Rig::listen(&[lines, &[&*rule, "server s1 10.0.0.1:80"][..]].concat());
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody");
    let text = client.take();
    text.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(text.clone(), |(v, _)| v.to_owned())
}

#[test]
fn of_a_stream_with_a_server() {
    let times = ["timeout queue 7s", "timeout tarpit 8s"];
    let body = ["http-response wait-for-body time 1s"];
    let capture = ["capture response header X-A len 10"];
    let rows: [(&[&str], &str, &str); 18] = [
        (&[], "bc_be_queue", "0"),
        (&[], "bc_srv_queue", "0"),
        (&times, "be_connect_timeout", "3000"),
        (&times, "be_queue_timeout", "7000"),
        (&times, "be_tarpit_timeout", "8000"),
        (&times, "cur_connect_timeout", "3000"),
        (&times, "cur_queue_timeout", "7000"),
        (&times, "cur_tarpit_timeout", "8000"),
        (&times, "cur_client_timeout", "10000"),
        (&times, "fe_client_timeout", "10000"),
        (&capture, "capture.res.hdr(0)", "b"),
        (&[], "capture.res.ver", "HTTP/1.1"),
        (&[], "fc_src", "192.0.2.1"),
        (&[], "fc_src_port", "40001"),
        (&body, "res.body", "body"),
        (&body, "res.body_len", "4"),
        (&body, "res.body_size", "4"),
        (&[], "res.hdrs,length", "29"),
    ];
    let found = rows.map(|(lines, expression, expected)| (expression, value(lines, expression), expected));
    let wrong: Vec<_> = found.iter().filter(|(_, found, expected)| found != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
