//! Entry point for fuzzing: any bytes behind a preface, in pieces; every promise of the machine is asserted.

use super::super::{Head, Hop, Parse, Slices};
use super::connection::{Connection, Event, Options, Role};
use super::frame::PREFACE;
use crate::base::Buf;

/// Drives a server, or a client with a request under way, with what `bytes` are, `step` at a time, and answers each
/// request. A head that is handed out is written as HTTP/1 and must be read there as the same.
pub fn drive(bytes: &[u8], is_client: bool, step: usize) {
    let role = if is_client { Role::Client } else { Role::Server };
    let mut connection = Connection::new(Options { role, glitches_threshold: 50, ..Options::default() });
    let mut head = Head::default();
    if is_client {
        let mut request = Head::with(Buf::take(64));
        request.buf.push(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(request.parse_request(&super::super::H1Options::default()), Parse::Done);
        let _ = connection.request(&request, b"http", true);
    } else {
        feed(&mut connection, PREFACE, &mut head, is_client);
    }
    for (n, piece) in bytes.chunks(step.max(1)).enumerate() {
        feed(&mut connection, piece, &mut head, is_client);
        if n % 3 == 0 {
            let waiting = connection.output().len();
            connection.advance(waiting);
        }
        if connection.is_over() {
            break;
        }
    }
}

fn feed(connection: &mut Connection, bytes: &[u8], head: &mut Head, is_client: bool) {
    let mut at = 0;
    while let Some(event) = connection.receive(1, bytes, &mut at, head) {
        assert!(at <= bytes.len());
        match event {
            Event::Head { .. } if is_client => check(head, true),
            Event::Head { stream, .. } => {
                check(head, false);
                let mut answer = Head::default();
                answer.begin_response(200, b"OK", super::super::BodyLen::None);
                let _ = connection.respond(stream, &answer, false);
                let _ = connection.send_data(stream, &[0; 100], stream % 4 == 1);
            }
            Event::Data { stream, range, .. } => {
                let n = bytes[range].len();
                connection.consumed(stream, n);
            }
            Event::Over(_) => assert!(connection.is_over()),
            _ => {}
        }
    }
    assert_eq!(at, bytes.len(), "everything is taken");
    assert!(connection.streams() <= 100);
}

/// Whatever comes by HTTP/2 has one reading in HTTP/1, and that is the same.
fn check(head: &Head, is_response: bool) {
    let mut slices = Slices::new();
    head.slices(Hop::AsIs, &mut slices);
    let written = slices.concat();
    let mut again = Head::with(Buf::take(written.len()));
    again.buf.push(&written);
    let options = super::super::H1Options {
        max_head: usize::MAX / 2,
        max_fields: 1000,
        ..super::super::H1Options::default()
    };
    let verdict =
        if is_response { again.parse_response(head.method, &options) } else { again.parse_request(&options) };
    assert_eq!(verdict, Parse::Done, "{}", written.escape_ascii());
    assert_eq!(again.len, written.len(), "{}", written.escape_ascii());
    if !is_response {
        assert_eq!(again.body, head.body, "{}", written.escape_ascii());
        assert_eq!(again.host(), head.host());
    }
}
