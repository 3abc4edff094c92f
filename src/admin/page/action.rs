//! Forms posted to the stats page (`stats admin`): an action on servers of a backend.

use percent_encoding::percent_decode;

use crate::admin::control::{Control, member};
use crate::base::clock;
use crate::check::{Cause, Member};
use crate::config::{Config, Proxy};
use crate::model::{AdminState, ProxyId};

/// How it went, as the next page tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Denied,
    Done,
    Errors,
    TooMuch,
    Nothing,
    Partly,
    Invalid,
    Unknown,
}

impl Outcome {
    /// HAProxy's code in `;st=`.
    pub fn code(self) -> &'static str {
        match self {
            Outcome::Denied => "DENY",
            Outcome::Done => "DONE",
            Outcome::Errors => "ERRP",
            Outcome::TooMuch => "EXCD",
            Outcome::Nothing => "NONE",
            Outcome::Partly => "PART",
            Outcome::Invalid => "IVAL",
            Outcome::Unknown => "UNKN",
        }
    }

    pub fn parse(text: &str) -> Outcome {
        use Outcome::*;
        let all = [Denied, Done, Errors, TooMuch, Nothing, Partly, Invalid];
        all.into_iter().find(|o| text.starts_with(o.code())).unwrap_or(Unknown)
    }

    pub fn text(self) -> &'static str {
        match self {
            Outcome::Denied => "You may not do this.",
            Outcome::Done => "Done.",
            Outcome::Errors => "No such action, backend or server.",
            Outcome::TooMuch => "The form does not fit into the buffer.",
            Outcome::Nothing => "Nothing was to be done: choose servers and an action.",
            Outcome::Partly => "Done on some of the servers.",
            Outcome::Invalid => "This page knows GET, HEAD and POST.",
            Outcome::Unknown => "What came of it is not known.",
        }
    }
}

/// An action of the form: name, label, what it does. `false` when the server has no use for it.
pub struct Action {
    pub name: &'static str,
    pub label: &'static str,
    run: fn(&Member) -> bool,
}

fn said() -> Cause {
    Cause::Text("changed from Web interface".into())
}

/// In the order of the form.
pub const ACTIONS: &[Action] = &[
    Action {
        name: "ready",
        label: "Set state to READY",
        run: |m| {
            let _: () = m.ready(clock::now_ms());
            always(())
        },
    },
    Action {
        name: "drain",
        label: "Set state to DRAIN",
        run: |m| {
            let _: () = m.drain(clock::now_ms());
            always(())
        },
    },
    Action {
        name: "maint",
        label: "Set state to MAINT",
        run: |m| {
            let _: () = m.maintain("", clock::now_ms());
            always(())
        },
    },
    Action { name: "dhlth", label: "Health: disable checks", run: |m| checks(m, false) },
    Action { name: "ehlth", label: "Health: enable checks", run: |m| checks(m, true) },
    Action {
        name: "hrunn",
        label: "Health: force UP",
        run: |m| {
            let _: () = m.set_running(&said(), clock::now_ms());
            always(())
        },
    },
    Action {
        name: "hnolb",
        label: "Health: force NOLB",
        run: |m| {
            let _: () = m.set_stopping(&said(), clock::now_ms());
            always(())
        },
    },
    Action {
        name: "hdown",
        label: "Health: force DOWN",
        run: |m| {
            let _: () = m.set_stopped(&said(), clock::now_ms());
            always(())
        },
    },
];

/// Older names, which scripts still post.
const OLDER: &[Action] = &[
    Action { name: "disable", label: "", run: |m| flag(m, AdminState::FORCED_MAINT, true) },
    Action { name: "enable", label: "", run: |m| flag(m, AdminState::FORCED_MAINT, false) },
    Action { name: "stop", label: "", run: |m| flag(m, AdminState::FORCED_DRAIN, true) },
    Action { name: "start", label: "", run: |m| flag(m, AdminState::FORCED_DRAIN, false) },
];

fn always(_: ()) -> bool {
    true
}

fn checks(member: &Member, enable: bool) -> bool {
    if member.server.spec.has_check {
        member.server.live.check_enabled.store(enable, std::sync::atomic::Ordering::Relaxed);
    }
    member.server.spec.has_check
}

fn flag(member: &Member, flag: AdminState, set: bool) -> bool {
    if member.server.live.admin().intersects(flag) == set {
        return false;
    }
    match set {
        true => member.set_admin(flag, "", clock::now_ms()),
        false => member.clear_admin(flag, clock::now_ms()),
    }
    true
}

fn decode(bytes: &[u8]) -> Option<String> {
    let plus: Vec<u8> = bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&plus).decode_utf8().ok().map(|s| s.into_owned())
}

fn backend<'a>(config: &'a Config, name: &str) -> Option<&'a Proxy> {
    match name.strip_prefix('#').and_then(|n| n.parse::<u32>().ok()) {
        Some(uid) => config.proxies.iter().find(|p| p.uid == uid && p.back.is_some()),
        None => config.backends.get(name).map(|id: &ProxyId| config.proxy(*id)),
    }
}

/// `s=<server>` any number of times, `b=<backend or #id>`, `action=<name>`, in any order; the last backend and action count.
pub fn run(control: &dyn Control, config: &Config, form: &[u8]) -> Outcome {
    let (mut servers, mut proxy, mut action) = (Vec::new(), None, None);
    for pair in form.split(|b| *b == b'&') {
        let mut parts = pair.splitn(2, |b| *b == b'=');
        let name = parts.next().unwrap_or_default();
        let Some(value) = decode(parts.next().unwrap_or_default()) else { return Outcome::Errors };
        match name {
            b"s" => servers.push(value),
            b"b" => proxy = Some(backend(config, &value)),
            b"action" => action = Some(ACTIONS.iter().chain(OLDER).find(|a| a.name == value)),
            _ => {}
        }
    }
    let (proxy, action) = match (proxy, action) {
        (Some(None), _) | (_, Some(None)) => return Outcome::Errors,
        (Some(Some(proxy)), Some(Some(action))) => (proxy, action),
        _ => return Outcome::Nothing,
    };
    let Some(back) = &proxy.back else { return Outcome::Errors };
    let set = back.servers.load();
    let (mut total, mut altered) = (0, 0);
    for name in servers {
        match set.by_name(&name) {
            Some((_, server)) => {
                if member(control, proxy, server).is_some_and(|m| (action.run)(&m)) {
                    altered += 1;
                    total += 1;
                }
            }
            None => total += 1,
        }
    }
    match (total, altered) {
        (0, _) => Outcome::Nothing,
        (_, 0) => Outcome::Errors,
        (total, altered) if total == altered => Outcome::Done,
        _ => Outcome::Partly,
    }
}
