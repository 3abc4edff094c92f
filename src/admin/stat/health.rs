//! What the statistics say of health checks.

use std::sync::atomic::Ordering;

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

/// Reads something of a server whose agent is asked.
pub fn read_agent<'a>(
    row: &Row<'a>,
    read: impl for<'b> Fn(&'a Server, &'b CheckState) -> Field<'a>,
) -> Field<'a> {
    let is_asked = |server: &&Server| server.spec.agent.is_some();
    let server = row.server().filter(is_asked)?;
    let agent = &server.live.agent;
    agent.enabled.load(Ordering::Relaxed).then(|| agent.check.with(|agent| read(server, agent))).flatten()
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
