//! States of servers that an earlier process left behind (`load-server-state-from-file`, written by `show servers
//! state`): a process takes them over when it starts. A change of its configuration finds them in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::Millis;
use crate::check::Status;
use crate::model::{Address, AdminState, CheckState, OperState, Server};

use super::draft::Cx;

/// Lines of one backend, by server.
pub type Saved = HashMap<Box<str>, Line>;

/// What is known of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    address: Option<IpAddr>,
    port: u16,
    fqdn: Option<Arc<str>>,
    srv_record: Option<Box<str>>,
    oper: OperState,
    admin: AdminState,
    weight: u32,
    /// Of the file that it ran with.
    initial_weight: u32,
    since_s: u64,
    check_status: u8,
    health: u32,
    /// Its checks were not switched off.
    is_checked: bool,
}

/// Reads the file of a backend; one that is not there, or of another version, says nothing.
pub fn read(cx: &mut Cx<'_>, backend: &str, file: &Path) -> Saved {
    // Kept by name, for `global` files are those of many backends.
    let text = match cx.states.get(file) {
        Some(text) => text.clone(),
        None => {
            let text: Arc<[u8]> = (cx.inputs.files)(file).unwrap_or_default().into();
            cx.states.insert(file.to_owned(), text.clone());
            text
        }
    };
    parse(&String::from_utf8_lossy(&text), backend)
}

fn parse(text: &str, backend: &str) -> Saved {
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("1") {
        return Saved::new();
    }
    let of_backend = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        (cells.get(1) == Some(&backend))
            .then(|| Some((Box::<str>::from(*cells.get(3)?), of_line(&cells)?)))
            .flatten()
    };
    lines.filter(|line| !line.starts_with('#')).filter_map(of_backend).collect()
}

fn of_line(cells: &[&str]) -> Option<Line> {
    let number = |at: usize| cells.get(at)?.parse::<u64>().ok();
    let text = |at: usize| cells.get(at).copied().filter(|text| *text != "-");
    Some(Line {
        address: cells.get(4)?.parse().ok(),
        oper: OperState::from_u8(number(5)? as u8),
        admin: AdminState::from_bits_truncate(number(6)? as u8),
        weight: number(7)?.min(256) as u32,
        initial_weight: number(8)? as u32,
        since_s: number(9)?,
        check_status: number(10)? as u8,
        health: number(12)? as u32,
        is_checked: number(13)? & 4 != 0,
        fqdn: text(17).map(Arc::from),
        port: number(18).unwrap_or(0) as u16,
        srv_record: text(19).map(Box::from),
    })
}

impl Line {
    /// Where a server of this name was.
    pub fn address_of(&self, name: &str) -> Option<IpAddr> {
        self.address.filter(|ip| self.fqdn.as_deref() == Some(name) && !ip.is_unspecified())
    }

    /// A new server takes over what was. What its line says now wins where it says something else than then.
    pub fn apply(&self, server: &Server, now: Millis) {
        let (spec, live) = (&server.spec, &server.live);
        let kept = AdminState::FORCED_MAINT | AdminState::FORCED_DRAIN;
        let was_off_by_file = self.admin.contains(AdminState::CONFIG_MAINT);
        let mut admin = live.admin();
        if !spec.disabled && !was_off_by_file {
            admin |= self.admin & kept;
        } else if spec.disabled && was_off_by_file && !self.admin.intersects(AdminState::MAINT) {
            // Its line was the same then, and somebody enabled it.
            admin -= AdminState::FORCED_MAINT;
        }
        if self.initial_weight == spec.weight {
            live.user_weight.store(self.weight, Ordering::Relaxed);
        }
        self.take_address(server, &mut admin);
        live.set_admin(admin);
        if admin.intersects(AdminState::MAINT) {
            live.set_oper(OperState::Stopped);
            live.health.store(0, Ordering::Relaxed);
        } else {
            let is_followed = spec.has_check || spec.agent.is_some();
            live.set_oper(if is_followed { self.oper } else { OperState::Running });
            live.health.store(self.health.min(spec.rise + spec.fall - 1), Ordering::Relaxed);
        }
        if spec.has_check {
            live.check_enabled.store(self.is_checked, Ordering::Relaxed);
            if let Some(status) = Status::by_number(self.check_status) {
                live.check.store(Arc::new(CheckState { status: status.code(), ..CheckState::default() }));
            }
        }
        live.last_change_ms.store(now.wrapping_sub(self.since_s.saturating_mul(1000)), Ordering::Relaxed);
    }

    /// An address that a name gave it, if it still has that name.
    fn take_address(&self, server: &Server, admin: &mut AdminState) {
        let (spec, live) = (&server.spec, &server.live);
        if spec.resolving.is_none() || self.srv_record.as_deref() != spec.srv_record.as_deref() {
            return;
        }
        let is_other = self.fqdn != spec.hostname;
        if is_other && !self.admin.contains(AdminState::FQDN_CHANGED) {
            return;
        }
        if is_other {
            live.fqdn.store(Arc::new(self.fqdn.clone()));
            *admin |= AdminState::FQDN_CHANGED;
        }
        if let Some(ip) = self.address {
            live.address.store(Arc::new(Some(Address::Inet((ip, self.port).into()))));
            *admin -= AdminState::RESOLVE_MAINT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ServerLive, ServerSpec};

    const TEXT: &str = "1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state ...
3 web 1 s1 10.0.0.1 0 0 20 10 100 8 2 1 6 0 0 0 - 80 - 0 0 - - 0
3 web 2 s2 10.0.0.2 2 8 10 10 5 6 3 4 6 0 0 0 - 80 - 0 0 - - 0
3 other 1 s1 10.0.0.3 2 0 1 1 5 6 3 4 6 0 0 0 - 80 - 0 0 - - 0
3 web 3 broken
";

    #[test]
    fn lines_of_a_backend() {
        let saved = parse(TEXT, "web");
        assert_eq!(saved.len(), 2);
        let spec = ServerSpec { weight: 10, has_check: true, ..ServerSpec::new("s1", 1, nowhere()) };
        let server = Server { live: Arc::new(ServerLive::new(&spec, 1, 0)), spec: Arc::new(spec) };
        saved["s1"].apply(&server, 200_000);
        let live = &server.live;
        assert_eq!((live.oper(), live.health.load(Ordering::Relaxed)), (OperState::Stopped, 1));
        assert_eq!(live.user_weight.load(Ordering::Relaxed), 20);
        assert_eq!(live.check.with(|check| check.status), "L4CON");
        assert_eq!(live.last_change_ms.load(Ordering::Relaxed), 100_000);
        saved["s2"].apply(&server, 200_000);
        assert_eq!((live.oper(), live.admin()), (OperState::Running, AdminState::FORCED_DRAIN));
        assert!(parse(&TEXT.replacen('1', "2", 1), "web").is_empty(), "of another version");
    }

    fn nowhere() -> Address {
        Address::Inet(([0, 0, 0, 0], 0).into())
    }

    #[test]
    fn what_the_file_says_otherwise_wins() {
        let saved = parse(TEXT, "web");
        let spec = ServerSpec { weight: 11, disabled: true, ..ServerSpec::new("s2", 1, nowhere()) };
        let server = Server { live: Arc::new(ServerLive::new(&spec, 1, 0)), spec: Arc::new(spec) };
        saved["s2"].apply(&server, 9000);
        assert_eq!(server.live.user_weight.load(Ordering::Relaxed), 11);
        assert!(!server.live.admin().contains(AdminState::FORCED_DRAIN));
    }
}
