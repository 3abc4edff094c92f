//! What a health check can find, with HAProxy's codes and texts (`check_status`, `check_desc` of `show stat`).

/// What a finding means for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing known yet.
    Unknown,
    Failed,
    Passed,
    /// Passed, but the server wants no new sessions.
    Conditional,
}

/// The result of a check. Discriminants are the numbers of `show servers state` (`srv_check_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Status {
    #[default]
    Unknown = 0,
    Init = 1,
    /// An agent said nothing of the state.
    Checked = 3,
    /// `observe` saw too many errors.
    Observed = 4,
    SockErr = 5,
    L4Ok = 6,
    L4Timeout = 7,
    L4Con = 8,
    L6Ok = 9,
    L6Timeout = 10,
    L6Rsp = 11,
    L7Timeout = 12,
    L7Rsp = 13,
    L7Ok = 15,
    L7OkCond = 16,
    L7Sts = 17,
    ProcErr = 18,
    ProcTimeout = 19,
    ProcOk = 20,
}

use Verdict::{Conditional, Failed, Passed};

/// Status, code, text, meaning.
const TABLE: &[(Status, &str, &str, Verdict)] = &[
    (Status::Unknown, "UNK", "Unknown", Verdict::Unknown),
    (Status::Init, "INI", "Initializing", Verdict::Unknown),
    (Status::Checked, "CHECKED", "No status change", Verdict::Unknown),
    (Status::Observed, "HANA", "Health analyze", Failed),
    (Status::SockErr, "SOCKERR", "Socket error", Failed),
    (Status::L4Ok, "L4OK", "Layer4 check passed", Passed),
    (Status::L4Timeout, "L4TOUT", "Layer4 timeout", Failed),
    (Status::L4Con, "L4CON", "Layer4 connection problem", Failed),
    (Status::L6Ok, "L6OK", "Layer6 check passed", Passed),
    (Status::L6Timeout, "L6TOUT", "Layer6 timeout", Failed),
    (Status::L6Rsp, "L6RSP", "Layer6 invalid response", Failed),
    (Status::L7Timeout, "L7TOUT", "Layer7 timeout", Failed),
    (Status::L7Rsp, "L7RSP", "Layer7 invalid response", Failed),
    (Status::L7Ok, "L7OK", "Layer7 check passed", Passed),
    (Status::L7OkCond, "L7OKC", "Layer7 check conditionally passed", Conditional),
    (Status::L7Sts, "L7STS", "Layer7 wrong status", Failed),
    (Status::ProcErr, "PROCERR", "External check error", Failed),
    (Status::ProcTimeout, "PROCTOUT", "External check timeout", Failed),
    (Status::ProcOk, "PROCOK", "External check passed", Passed),
];

impl Status {
    fn row(self) -> &'static (Status, &'static str, &'static str, Verdict) {
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[0])
    }

    /// `L4OK`, `L7STS`...
    pub fn code(self) -> &'static str {
        self.row().1
    }

    pub fn text(self) -> &'static str {
        self.row().2
    }

    pub fn verdict(self) -> Verdict {
        self.row().3
    }

    /// As `show servers state` has it.
    pub fn by_number(number: u8) -> Option<Status> {
        TABLE.iter().map(|row| row.0).find(|status| *status as u8 == number)
    }

    /// By code, whatever its case (`ok-status L7OK`).
    pub fn by_code(code: &str) -> Option<Status> {
        TABLE.iter().find(|row| row.1.eq_ignore_ascii_case(code)).map(|row| row.0)
    }

    /// Comes with a protocol's status code.
    pub fn has_number(self) -> bool {
        self as u8 > Status::L7Rsp as u8
    }
}

/// One finished check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    pub status: Status,
    /// The HTTP status, when the check got that far; what a program ended with, -1 if a signal ended it.
    pub number: Option<i32>,
    /// Details in words; may be empty.
    pub info: String,
    pub duration_ms: Option<u64>,
}

impl Finding {
    pub fn new(status: Status, info: impl Into<String>) -> Finding {
        Finding { status, info: info.into(), ..Finding::default() }
    }
}

/// Bytes of `info` that are kept, as `last_chk` of HAProxy.
pub const INFO_MAX: usize = 128 - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_found() {
        for row in TABLE {
            assert_eq!(Status::by_code(&row.1.to_lowercase()), Some(row.0));
        }
        assert!(Status::L7Ok.has_number() && !Status::L7Rsp.has_number());
    }
}
