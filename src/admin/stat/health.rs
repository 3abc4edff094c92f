//! What the statistics say of health checks.

use crate::check::Status;
use crate::check::status::Verdict;
use crate::model::{CheckState, Server};

use super::row::Row;
use super::value::Field;

/// Reads something of a server whose checks run.
pub fn read<'a>(row: &Row<'a>, read: impl for<'b> Fn(&'a Server, &'b CheckState) -> Field<'a>) -> Field<'a> {
    let server = row.server().filter(|_| row.is_checked())?;
    server.live.check.with(|check| read(server, check))
}

/// `check_desc`.
pub fn describe(code: &str) -> &'static str {
    Status::by_code(code).unwrap_or_default().text()
}

/// `srv_check_status` and `srv_check_result` of `show servers state`.
pub fn numbers(code: &str) -> (u8, u8) {
    let status = Status::by_code(code).unwrap_or_default();
    let result = match status.verdict() {
        Verdict::Unknown => 0,
        Verdict::Failed => 2,
        Verdict::Passed => 3,
        Verdict::Conditional => 4,
    };
    (status as u8, result)
}
