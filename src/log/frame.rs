//! Framing of a log line: the header that each `format` puts before the message.

use std::cell::RefCell;
use std::io::Write;

use super::target::{LogFraming, LogTarget};

/// Who speaks: `log-tag`, `log-send-hostname`, pid, and when (microseconds since the epoch).
pub struct Origin<'a> {
    pub tag: &'a str,
    pub hostname: Option<&'a str>,
    pub pid: u32,
    pub now_us: u64,
    /// Structured data (`log-format-sd`) for RFC 5424.
    pub structured: &'a [u8],
}

thread_local! {
    /// The date as text, by second: formatting one is dearer than the rest of the line.
    static STAMPS: RefCell<(u64, String, String)> = const { RefCell::new((0, String::new(), String::new())) };
}

fn with_stamps(now_us: u64, f: impl FnOnce(&str, &str)) {
    STAMPS.with(|cell| {
        let mut cell = cell.borrow_mut();
        let second = now_us / 1_000_000;
        if cell.0 != second {
            let zone = jiff::tz::TimeZone::system();
            let at = jiff::Timestamp::from_second(second as i64).unwrap_or_default().to_zoned(zone);
            let short = at.strftime("%b %e %H:%M:%S").to_string();
            let long = at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
            *cell = (second, short, long);
        }
        f(&cell.1, &cell.2);
    });
}

/// Writes the framed line, newline included, cut to the target's length.
pub fn frame(target: &LogTarget, level: u8, origin: &Origin<'_>, message: &[u8], out: &mut Vec<u8>) {
    let priority = u32::from(target.facility) * 8 + u32::from(level);
    let Origin { tag, hostname, pid, now_us, structured } = origin;
    // Writing to a Vec cannot fail.
    let _ = match target.format {
        LogFraming::Raw => Ok(()),
        LogFraming::Short => write!(out, "<{level}>"),
        LogFraming::Priority => write!(out, "<{priority}>"),
        LogFraming::Timed => {
            with_stamps(*now_us, |_, long| out.extend_from_slice(long.as_bytes()));
            out.push(b' ');
            Ok(())
        }
        LogFraming::Iso => {
            with_stamps(*now_us, |_, long| out.extend_from_slice(long.as_bytes()));
            write!(out, " {tag}[{pid}]: ")
        }
        LogFraming::Rfc5424 => {
            let _ = write!(out, "<{priority}>1 ");
            with_stamps(*now_us, |_, long| out.extend_from_slice(long.as_bytes()));
            let host = hostname.unwrap_or("-");
            let _ = write!(out, " {host} {tag} {pid} - ");
            out.extend_from_slice(if structured.is_empty() { b"-" } else { structured });
            out.push(b' ');
            Ok(())
        }
        LogFraming::Rfc3164 | LogFraming::Local => {
            let _ = write!(out, "<{priority}>");
            with_stamps(*now_us, |short, _| out.extend_from_slice(short.as_bytes()));
            out.push(b' ');
            if let Some(host) = hostname {
                out.extend_from_slice(host.as_bytes());
                out.push(b' ');
            }
            write!(out, "{tag}[{pid}]: ")
        }
    };
    out.extend_from_slice(message);
    out.truncate(target.max_len.saturating_sub(1));
    out.push(b'\n');
}
