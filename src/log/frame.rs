//! Framing of a log line: the header that each `format` puts before the message (configuration manual, `log`).

use std::cell::RefCell;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::clock;

use super::target::{LogFraming, LogTarget};

/// Longest message when no target asks for more, its end included.
const MESSAGE: usize = 1024;

/// Who speaks: `log-tag`, `log-send-hostname`, pid, and when (microseconds since the epoch).
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    pub tag: &'a str,
    pub hostname: Option<&'a str>,
    pub pid: u32,
    pub now_us: u64,
    /// Structured data (`log-format-sd`) for RFC 5424.
    pub structured: &'a [u8],
}

/// A second as text: formatting a date is dearer than the rest of the line.
#[derive(Default)]
struct Stamps {
    second: u64,
    /// `Nov 21 23:25:12`, in local time, as RFC 3164 has it.
    short: String,
    /// `2026-11-21T23:25:12` and `+00:00`: a fraction goes between them (RFC 3339).
    long: String,
    offset: String,
    /// What stood before the last lines of this second; seldom more than one.
    heads: Vec<DatedHead>,
}

/// `<134>Nov 21 23:25:12 lb1 haproxy[26854]: `, and what it was made of.
struct DatedHead {
    priority: u32,
    pid: u32,
    tag: Box<str>,
    host: Option<Box<str>>,
    text: Vec<u8>,
}

/// Most heads kept for a second.
const HEADS: usize = 8;

impl Stamps {
    fn of(second: u64, zone: TimeZone) -> Stamps {
        let at = Timestamp::from_second(second as i64).unwrap_or_default().to_zoned(zone);
        Stamps {
            second,
            short: at.strftime("%b %e %H:%M:%S").to_string(),
            long: at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            offset: at.strftime("%:z").to_string(),
            heads: Vec::new(),
        }
    }

    fn push_long(&self, now_us: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.long.as_bytes());
        let mut fraction = *b".000000";
        let mut rest = now_us % 1_000_000;
        for digit in fraction[1..].iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&fraction);
        out.extend_from_slice(self.offset.as_bytes());
    }

    /// The same for all lines of a second that come from the same source, so it is written once for them.
    fn push_dated(&mut self, priority: u32, host: Option<&str>, tag: &str, pid: u32, out: &mut Vec<u8>) {
        let known = self
            .heads
            .iter()
            .find(|h| h.priority == priority && h.pid == pid && *h.tag == *tag && h.host.as_deref() == host);
        if let Some(head) = known {
            return out.extend_from_slice(&head.text);
        }
        let mut text = Vec::new();
        // Writing to a Vec cannot fail.
        let _ = write!(text, "<{priority}>{} ", self.short);
        if let Some(host) = host {
            let _ = write!(text, "{host} ");
        }
        let _ = write!(text, "{tag}[{pid}]: ");
        out.extend_from_slice(&text);
        if self.heads.len() < HEADS {
            self.heads.push(DatedHead { priority, pid, tag: tag.into(), host: host.map(Into::into), text });
        }
    }
}

thread_local! {
    static STAMPS: RefCell<Stamps> = RefCell::default();
}

/// Writes the framed line, newline included. Without it the line has at most the target's length.
pub fn frame(target: &LogTarget, level: u8, origin: &Origin<'_>, message: &[u8], out: &mut Vec<u8>) {
    STAMPS.with(|cell| {
        let mut stamps = cell.borrow_mut();
        let second = origin.now_us / 1_000_000;
        if stamps.second != second {
            *stamps = Stamps::of(second, clock::zone());
        }
        frame_with(&mut stamps, target, level, origin, message, out);
    });
}

fn frame_with(
    stamps: &mut Stamps,
    target: &LogTarget,
    level: u8,
    origin: &Origin<'_>,
    message: &[u8],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let priority = u32::from(target.facility) * 8 + u32::from(level);
    let Origin { tag, hostname, pid, now_us, structured } = *origin;
    match target.format {
        LogFraming::Raw => {}
        LogFraming::Short => {
            let _ = write!(out, "<{level}>");
        }
        LogFraming::Priority => {
            let _ = write!(out, "<{priority}>");
        }
        LogFraming::Timed => {
            let _ = write!(out, "<{level}>");
            stamps.push_long(now_us, out);
            out.push(b' ');
        }
        LogFraming::Iso => {
            stamps.push_long(now_us, out);
            out.push(b' ');
        }
        LogFraming::Rfc5424 => {
            let _ = write!(out, "<{priority}>1 ");
            stamps.push_long(now_us, out);
            let _ = write!(out, " {} {tag} {pid} - ", hostname.unwrap_or("-"));
            out.extend_from_slice(if structured.is_empty() { b"-" } else { structured });
            out.push(b' ');
        }
        LogFraming::Local => stamps.push_dated(priority, None, tag, pid, out),
        LogFraming::Rfc3164 => {
            stamps.push_dated(priority, Some(hostname.unwrap_or("localhost")), tag, pid, out);
        }
        LogFraming::Unset => stamps.push_dated(priority, hostname, tag, pid, out),
    }
    let longest = target.max_len.max(MESSAGE) - 1;
    out.extend_from_slice(&message[..message.len().min(longest)]);
    out.truncate(start + target.max_len);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::target::LogAddress;
    use super::*;

    fn target(format: LogFraming, max_len: usize) -> LogTarget {
        LogTarget {
            address: LogAddress::Fd(1),
            max_len,
            format,
            facility: 16,
            level: 7,
            min_level: 0,
            sample: None,
            counter: Default::default(),
            profile: None,
        }
    }

    fn line(format: LogFraming, max_len: usize, origin: &Origin<'_>, message: &str) -> String {
        let mut stamps = Stamps::of(origin.now_us / 1_000_000, TimeZone::UTC);
        line_at(&mut stamps, format, max_len, origin, message)
    }

    fn line_at(
        stamps: &mut Stamps,
        format: LogFraming,
        max_len: usize,
        origin: &Origin<'_>,
        message: &str,
    ) -> String {
        let mut out = Vec::new();
        frame_with(stamps, &target(format, max_len), 6, origin, message.as_bytes(), &mut out);
        String::from_utf8(out).expect("text")
    }

    const NOW_US: u64 = 1_795_303_512_381_878;

    /// Recorded from HAProxy 2.6, with and without `log-send-hostname lb1`.
    #[test]
    fn every_format_equals_haproxys() {
        let sd = br#"[exampleSDID@1234 bytes="49" status="200"]"#;
        let named =
            Origin { tag: "mytag", hostname: Some("lb1"), pid: 26854, now_us: NOW_US, structured: sd };
        let plain = Origin { tag: "haproxy", hostname: None, structured: b"", ..named };
        use LogFraming::*;
        let recorded = [
            (Local, "<134>Nov 21 23:25:12 mytag[26854]: x\n", "<134>Nov 21 23:25:12 haproxy[26854]: x\n"),
            (
                Rfc3164,
                "<134>Nov 21 23:25:12 lb1 mytag[26854]: x\n",
                "<134>Nov 21 23:25:12 localhost haproxy[26854]: x\n",
            ),
            (Unset, "<134>Nov 21 23:25:12 lb1 mytag[26854]: x\n", "<134>Nov 21 23:25:12 haproxy[26854]: x\n"),
            (
                Rfc5424,
                "<134>1 2026-11-21T23:25:12.381878+00:00 lb1 mytag 26854 - [exampleSDID@1234 bytes=\"49\" status=\"200\"] x\n",
                "<134>1 2026-11-21T23:25:12.381878+00:00 - haproxy 26854 - - x\n",
            ),
            (Priority, "<134>x\n", "<134>x\n"),
            (Short, "<6>x\n", "<6>x\n"),
            (Timed, "<6>2026-11-21T23:25:12.381878+00:00 x\n", "<6>2026-11-21T23:25:12.381878+00:00 x\n"),
            (Iso, "2026-11-21T23:25:12.381878+00:00 x\n", "2026-11-21T23:25:12.381878+00:00 x\n"),
            (Raw, "x\n", "x\n"),
        ];
        for (format, with_host, without) in recorded {
            assert_eq!(line(format, 1024, &named, "x"), with_host, "{format:?}");
            assert_eq!(line(format, 1024, &plain, "x"), without, "{format:?}");
        }
    }

    /// A head that was kept is used for whom it was made, and for nobody else.
    #[test]
    fn lines_of_one_second_have_the_head_of_their_source() {
        let one = Origin { tag: "a", hostname: Some("lb1"), pid: 1, now_us: NOW_US, structured: b"" };
        let sources = [
            one,
            Origin { tag: "b", ..one },
            Origin { hostname: Some("lb2"), ..one },
            Origin { hostname: None, ..one },
            Origin { pid: 2, ..one },
        ];
        let mut stamps = Stamps::of(NOW_US / 1_000_000, TimeZone::UTC);
        for _ in 0..3 {
            for origin in &sources {
                for format in [LogFraming::Unset, LogFraming::Local, LogFraming::Rfc3164] {
                    let kept = line_at(&mut stamps, format, 1024, origin, "x");
                    assert_eq!(kept, line(format, 1024, origin, "x"));
                }
            }
        }
        assert!(stamps.heads.len() <= HEADS);
    }

    #[test]
    fn fractions_of_a_second_have_six_digits() {
        let origin = Origin {
            tag: "t",
            hostname: None,
            pid: 1,
            now_us: NOW_US / 1_000_000 * 1_000_000 + 70,
            structured: b"",
        };
        assert_eq!(line(LogFraming::Iso, 1024, &origin, "x"), "2026-11-21T23:25:12.000070+00:00 x\n");
    }

    #[test]
    fn days_of_one_digit_are_padded() {
        let origin =
            Origin { tag: "t", hostname: None, pid: 1, now_us: 1_793_577_600_000_000, structured: b"" };
        assert_eq!(line(LogFraming::Local, 1024, &origin, "x"), "<134>Nov  2 00:00:00 t[1]: x\n");
    }

    #[test]
    fn lines_are_cut_as_haproxy_cuts_them() {
        let origin =
            Origin { tag: "mytag", hostname: Some("lb1"), pid: 26854, now_us: NOW_US, structured: b"" };
        let long = "x".repeat(3000);
        assert_eq!(line(LogFraming::Rfc3164, 80, &origin, &long).len(), 81);
        assert_eq!(line(LogFraming::Short, 100, &origin, &long).len(), 101);
        assert_eq!(line(LogFraming::Raw, 1024, &origin, &long).len(), 1024);
        assert_eq!(line(LogFraming::Raw, 2000, &origin, &long).len(), 2000);
    }
}
