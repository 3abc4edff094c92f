//! `show errors`: the last message of each proxy that could not be read.

use std::fmt::Write;
use std::time::Duration;

use crate::base::clock;
use crate::config::Proxy;
use crate::config::global::CliLevel::Operator;
use crate::model::invalid::{self, Invalid, Named};

use super::command::Command;
use super::session::{Answer, Session};
use super::words::Args;

pub static COMMANDS: &[Command] = &[Command::new(
    Operator,
    "show errors",
    "[<proxy>] [request|response]",
    "The last invalid request and response of each proxy.",
    "show errors",
    "1.4",
    errors,
)];

/// A line shows a message in this many columns at most.
const COLUMNS: usize = 70;

fn errors(session: &mut Session, args: &Args) -> Answer {
    let mut text = format!("Total events captured on [{}] : {}\n", stamp(clock::wall()), invalid::events());
    let config = session.control.config();
    let wanted = args.at(2);
    let number = match config.proxies.iter().find(|p| *p.name == *wanted) {
        _ if wanted.is_empty() => None,
        Some(proxy) => Some(proxy.uid),
        None => match wanted.parse() {
            Ok(id) if id > 0 => Some(id),
            _ => return Answer::error("No such proxy.\n"),
        },
    };
    for proxy in &config.proxies {
        for is_response in [false, true] {
            let is_left_out = args.at(3) == if is_response { "request" } else { "response" };
            let Some(message) = proxy.live.invalid.last(is_response).filter(|_| !is_left_out) else {
                continue;
            };
            let is_of =
                |id: u32| proxy.uid == id || message.other.as_ref().is_some_and(|(_, other)| *other == id);
            if number.is_none_or(is_of) {
                describe(&mut text, proxy, is_response, &message);
            }
        }
    }
    Answer::Dump(text)
}

fn stamp(wall: Duration) -> String {
    let at = jiff::Timestamp::from_second(wall.as_secs() as i64).unwrap_or_default();
    let at = at.to_zoned(clock::zone());
    format!("{}.{:03}", at.strftime("%d/%b/%Y:%H:%M:%S"), wall.subsec_millis())
}

/// `name (#id)`.
fn named(named: &Option<Named>) -> String {
    match named {
        Some((name, id)) => format!("{name} (#{id})"),
        None => "<NONE> (#-1)".into(),
    }
}

fn describe(text: &mut String, proxy: &Proxy, is_response: bool, message: &Invalid) {
    let (own, what, other) = match is_response {
        true => ("backend", "response", "frontend"),
        false => ("frontend", "request", "backend"),
    };
    let len = message.bytes.len();
    let client = message.client.map_or("unix:0".to_owned(), |a| format!("{}:{}", a.ip(), a.port()));
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        " \n[{}] {own} {} (#{}): invalid {what}\n  {other} {}, server {}, event #{}, src {client}\n  \
         buffer starts at 0 (including 0 out), {} free,\n  len {len}, wraps at {}, error at position {}\n  \n",
        stamp(message.when),
        proxy.name,
        proxy.uid,
        named(&message.other),
        named(&message.server),
        message.event,
        message.capacity.saturating_sub(len),
        message.capacity,
        message.position,
    );
    let mut from = 0;
    let mut is_begin = true;
    while from < len {
        (from, is_begin) = line(text, &message.bytes, from, is_begin);
    }
}

/// One line of the message from `from` on: its place, a plus where it goes on with a line, the bytes. Where the next
/// one begins, and whether it is the beginning of a line.
fn line(text: &mut String, bytes: &[u8], mut from: usize, is_begin: bool) -> (usize, bool) {
    let _ = write!(text, "  {from:05}{} ", if is_begin { ' ' } else { '+' });
    let begin = text.len();
    while let Some(byte) = bytes.get(from) {
        let shown = match byte {
            b'\\' => "\\\\".to_owned(),
            b'\t' => "\\t".to_owned(),
            b'\n' => "\\n".to_owned(),
            b'\r' => "\\r".to_owned(),
            0x1b => "\\e".to_owned(),
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02X}"),
        };
        if text.len() - begin + shown.len() > COLUMNS {
            break;
        }
        text.push_str(&shown);
        from += 1;
        if *byte == b'\n' {
            text.push('\n');
            return (from, true);
        }
    }
    text.push('\n');
    (from, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_line_by_line() {
        let mut text = String::new();
        let bytes = [b"GET / HTTP/1.1\r\nA\x01\\: b\r\n".as_slice(), &[b'x'; 100]].concat();
        let (mut from, mut is_begin) = (0, true);
        while from < bytes.len() {
            (from, is_begin) = line(&mut text, &bytes, from, is_begin);
        }
        let expected = format!(
            "  00000  GET / HTTP/1.1\\r\\n\n  00016  A\\x01\\\\: b\\r\\n\n  00024  {}\n  00094+ {}\n",
            "x".repeat(70),
            "x".repeat(30)
        );
        assert_eq!(text, expected);
    }
}
