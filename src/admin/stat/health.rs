//! What the statistics say of health checks.

use crate::model::{CheckState, Server};

use super::row::Row;
use super::value::Field;

/// Reads something of a server whose checks run.
pub fn read<'a>(row: &Row<'a>, read: impl for<'b> Fn(&'a Server, &'b CheckState) -> Field<'a>) -> Field<'a> {
    let server = row.server().filter(|_| row.is_checked())?;
    server.live.check.with(|check| read(server, check))
}

/// Code, number in `show servers state`, whether it is a result that Prometheus lists, words.
pub const RESULTS: &[(&str, u8, bool, &str)] = &[
    ("UNK", 0, false, "Unknown"),
    ("INI", 1, false, "Initializing"),
    ("HANA", 4, true, "Health analyze"),
    ("SOCKERR", 5, true, "Socket error"),
    ("L4OK", 6, true, "Layer4 check passed"),
    ("L4TOUT", 7, true, "Layer4 timeout"),
    ("L4CON", 8, true, "Layer4 connection problem"),
    ("L6OK", 9, true, "Layer6 check passed"),
    ("L6TOUT", 10, true, "Layer6 timeout"),
    ("L6RSP", 11, true, "Layer6 invalid response"),
    ("L7TOUT", 12, true, "Layer7 timeout"),
    ("L7RSP", 13, true, "Layer7 invalid response"),
    ("L7OK", 15, true, "Layer7 check passed"),
    ("L7OKC", 16, true, "Layer7 check conditionally passed"),
    ("L7STS", 17, true, "Layer7 wrong status"),
    ("PROCERR", 18, true, "External check error"),
    ("PROCTOUT", 19, true, "External check timeout"),
    ("PROCOK", 20, true, "External check passed"),
];

fn row_of(code: &str) -> &'static (&'static str, u8, bool, &'static str) {
    RESULTS.iter().find(|r| r.0 == code).unwrap_or(&RESULTS[0])
}

/// `check_desc`.
pub fn describe(code: &str) -> &'static str {
    row_of(code).3
}

/// `srv_check_status` and `srv_check_result` of `show servers state`.
pub fn numbers(code: &str) -> (u8, u8) {
    let result = match code {
        "UNK" | "INI" => 0,
        "L7OKC" => 4,
        _ if code.ends_with("OK") => 3,
        _ => 2,
    };
    (row_of(code).1, result)
}
