//! The command that shows virtual routers.

use crate::config::global::CliLevel::User;
use crate::vip::agent::{InstanceStatus, Status};

use super::command::Command;
use super::session::Answer;

pub static COMMANDS: &[Command] = &[Command::new(
    User,
    "show vip",
    "",
    "Virtual routers: state, priority, addresses, since when and why, and the master that was heard.",
    "show vip",
    "isobar",
    |session, _| Answer::Dump(text(&session.control.vips())),
)];

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
    use super::super::session::Session;
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
    fn a_line_says_who_has_what_since_when_and_why() {
        let one = InstanceStatus {
            name: "VI_1".into(),
            interface: "eth0".into(),
            vrid: 51,
            state: State::Master,
            priority: 100,
            effective_priority: 102,
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
