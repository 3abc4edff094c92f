//! The command that shows virtual routers.

use crate::config::global::CliLevel::{Operator, User};
use crate::vip::agent::{InstanceStatus, Status};

use super::command::Command;
use super::session::{Answer, Session};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        User,
        "show vip",
        "[json]",
        "Virtual routers: state, priority, addresses, since when and why, and the master that was heard.",
        "show vip",
        "isobar",
        |session, args| {
            let status = session.control.vips();
            match args.at(2) {
                "json" => Answer::Dump(json(&status, &session.control.process().node)),
                _ => Answer::Dump(text(&status)),
            }
        },
    ),
    Command::new(
        Operator,
        "set vip",
        "<name> { move { here | away } | priority <number> }",
        "Move the addresses of a virtual router, or give it another priority until the configuration is read again.",
        "set vip VI_1 move away",
        "isobar",
        set,
    ),
];

fn set(session: &mut Session, args: &Args) -> Answer {
    let name = args.at(2);
    if !session.control.vips().instances.iter().any(|one| *one.name == *name) {
        return Answer::error(format!("No such virtual router: '{name}'.\n"));
    }
    let Some(agent) = session.control.vip_agent() else {
        return Answer::error("The VIP agent does not run.\n");
    };
    match (args.at(3), args.at(4), args.at(4).parse()) {
        ("move", "here", _) => agent.move_to(name, true),
        ("move", "away", _) => agent.move_to(name, false),
        ("priority", _, Ok(priority @ 1..=254)) => agent.set_priority(name, priority),
        _ => {
            return Answer::error(
                "'set vip <name>' expects 'move here', 'move away' or 'priority <1 to 254>'.\n",
            );
        }
    }
    Answer::Done
}

/// As the API of the region map shows them.
fn json(status: &Status, node: &str) -> String {
    let row = |one: &InstanceStatus| {
        serde_json::json!({
            "Name": &*one.name,
            "Node": node,
            "Self": true,
            "State": one.state.name(),
            "Priority": one.effective_priority,
            "Interface": one.interface,
            "RouterID": one.vrid,
            "Addresses": one.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "Held": !one.held.is_empty(),
            "Since": one.since.as_millis() as u64,
            "Cause": one.cause,
            "Master": one.master.map_or(String::new(), |(address, _)| address.to_string()),
            "ConfiguredPriority": one.priority,
            "Version": one.version,
            "AdvertInterval": one.interval.as_secs_f64(),
            "Tracks": one.tracks,
            "AdvertsSent": one.counters.sent,
            "AdvertsReceived": one.counters.received,
            "AdvertsDropped": one.counters.dropped,
        })
    };
    format!("{}\n", serde_json::Value::from(status.instances.iter().map(row).collect::<Vec<_>>()))
}

/// One line each; the first names the columns.
fn text(status: &Status) -> String {
    let mut out = String::from(
        "# name state priority effective interface vrid held since sent received dropped master cause\n",
    );
    for one in &status.instances {
        out.push_str(&line(one));
    }
    out.push('\n');
    out
}

fn line(one: &InstanceStatus) -> String {
    let list = |addresses: &[std::net::IpAddr]| match addresses {
        [] => "-".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    };
    let master = one.master.map_or("-".to_owned(), |(address, priority)| format!("{address}/{priority}"));
    let counters = &one.counters;
    format!(
        "{} {} {} {} {} {} {} {} {} {} {} {master} {}\n",
        one.name,
        one.state.name(),
        one.priority,
        one.effective_priority,
        one.interface,
        one.vrid,
        list(&one.held),
        one.since.as_secs(),
        counters.sent,
        counters.received,
        counters.dropped,
        one.cause
    )
}

#[cfg(test)]
mod tests {
    use super::super::words::commands;
    use super::*;
    use crate::admin::testing::{Fake, RECORDED};
    use crate::vip::agent::Counters;
    use crate::vip::machine::State;
    use std::time::Duration;

    #[test]
    fn a_command_shows_them() {
        let mut session = Session::new(Fake::new(RECORDED), User, 0);
        let said: String = commands("show vip").into_iter().map(|c| session.run(c, None).text).collect();
        assert!(said.starts_with("# name state priority"), "{said}");
    }

    #[test]
    fn orders_name_a_router_that_is_there() {
        let mut session = Session::new(Fake::new(RECORDED), Operator, 0);
        let mut said = |text: &str| -> String {
            commands(text).into_iter().map(|c| session.run(c, None).text).collect()
        };
        assert!(said("set vip nobody move away").contains("No such virtual router: 'nobody'"));
        assert_eq!(said("show vip json").trim(), "[]");
        let mut session = Session::new(Fake::new(RECORDED), User, 0);
        let refused: String =
            commands("set vip x move away").into_iter().map(|c| session.run(c, None).text).collect();
        assert!(refused.contains("Permission denied"), "{refused}");
    }

    #[test]
    fn a_line_says_who_has_what_since_when_and_why() {
        let one = InstanceStatus {
            name: "VI_1".into(),
            interface: "eth0".into(),
            vrid: 51,
            state: State::Master,
            priority: 100,
            effective_priority: 102,
            version: 2,
            interval: Duration::from_secs(1),
            tracks: Vec::new(),
            held: vec!["10.0.0.1".parse().unwrap()],
            addresses: vec!["10.0.0.1".parse().unwrap()],
            since: Duration::from_secs(7),
            cause: "no advert from 10.0.0.9 for 3609 ms".into(),
            master: Some(("10.0.0.9".parse().unwrap(), 90)),
            counters: Counters { sent: 3, received: 2, dropped: 1, became_master: 1, released_master: 0 },
        };
        let expected =
            "VI_1 MASTER 100 102 eth0 51 10.0.0.1 7 3 2 1 10.0.0.9/90 no advert from 10.0.0.9 for 3609 ms\n";
        assert_eq!(line(&one), expected);
        assert!(text(&Status { instances: vec![one] }).starts_with("# name state"));
    }
}
