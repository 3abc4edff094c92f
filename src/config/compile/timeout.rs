//! `timeout ...` and the removed spellings of it.

use crate::lang::{Entry, Status, suggest};

use super::super::proxy::Timeouts;
use super::draft::Kind;
use super::keyword::{Scope, Side};
use crate::lang::args::Args;
use crate::lang::time::{Unit, time_of};

/// One `timeout NAME`.
pub struct Timeout {
    pub entry: Entry,
    pub side: Side,
    field: fn(&mut Timeouts) -> &mut u64,
}

const fn timeout(
    name: &'static str,
    side: Side,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    field: fn(&mut Timeouts) -> &mut u64,
) -> Timeout {
    Timeout { entry: Entry::full(name, "<timeout>", doc, example, since), side, field }
}

impl Timeout {
    /// The word after `timeout`.
    pub fn name(&self) -> &'static str {
        self.entry.name.strip_prefix("timeout ").unwrap_or(self.entry.name)
    }
}

/// Names after `timeout`; the value is in milliseconds unless a unit says otherwise.
#[rustfmt::skip]
pub const TIMEOUTS: &[Timeout] = &[
    timeout("timeout check", Side::Back, "Longest wait for the answer to a health check once connected.", "timeout check 2s", "1.3", |t| {
        &mut t.check
    }),
    timeout("timeout client", Side::Front, "Longest silence of a client.", "timeout client 50s", "1.3", |t| &mut t.client),
    timeout("timeout client-fin", Side::Front, "Longest silence of a client after one direction was closed.", "timeout client-fin 10s", "1.5", |t| {
        &mut t.client_fin
    }),
    Timeout {
        entry: Entry::full("timeout client-hs", "<timeout>", "Longest time for a client's handshake.", "timeout client-hs 5s", "2.9")
            .with(Status::Accepted("handshakes are bounded by 'timeout client'")),
        side: Side::Front,
        field: |t| &mut t.client_hs,
    },
    timeout("timeout connect", Side::Back, "Longest time for a connection to a server to be made.", "timeout connect 5s", "1.3", |t| {
        &mut t.connect
    }),
    timeout("timeout http-keep-alive", Side::Any, "Longest wait for the next request on a client's connection.", "timeout http-keep-alive 10s", "1.4", |t| {
        &mut t.http_keep_alive
    }),
    timeout("timeout http-request", Side::Any, "Longest time for a request's head to arrive whole.", "timeout http-request 10s", "1.3", |t| {
        &mut t.http_request
    }),
    timeout("timeout queue", Side::Back, "Longest time in a queue; 'timeout connect' when not set.", "timeout queue 1m", "1.3", |t| {
        &mut t.queue
    }),
    timeout("timeout server", Side::Back, "Longest silence of a server.", "timeout server 50s", "1.3", |t| &mut t.server),
    timeout("timeout server-fin", Side::Back, "Longest silence of a server after one direction was closed.", "timeout server-fin 10s", "1.5", |t| {
        &mut t.server_fin
    }),
    timeout("timeout tarpit", Side::Any, "How long a tarpitted request is held; 'timeout connect' when not set.", "timeout tarpit 15s", "1.3", |t| {
        &mut t.tarpit
    }),
    timeout("timeout tunnel", Side::Back, "Longest silence in both directions once a connection has become a tunnel.", "timeout tunnel 1h", "1.5", |t| {
        &mut t.tunnel
    }),
];

/// `timeout NAME VALUE`.
pub fn timeout_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = args.str(1);
    let Some(timeout) = TIMEOUTS.iter().find(|t| t.name() == name) else {
        let names: Vec<String> = TIMEOUTS.iter().map(|t| format!("'{}'", t.name())).collect();
        let hint = suggest::hint(name, TIMEOUTS.iter().map(Timeout::name));
        let message = format!("'timeout' supports {} (got '{name}')", names.join(", "));
        return scope.cx.diags.alert_hint(args.at(1), message, hint);
    };
    let what = format!("'timeout {name}'");
    let word = args.words.get(2);
    let Some(value) = time_of(&mut scope.cx.diags, word, &what, Unit::Milliseconds, args.span) else {
        return;
    };
    if args.has(3) {
        let message =
            format!("{what} : unexpected extra argument '{}' after value '{}'.", args.str(3), args.str(2));
        return scope.alert(args.at(3), message);
    }
    if (1..100).contains(&value) && args.str(2).bytes().all(|b| b.is_ascii_digit()) {
        let title = scope.title();
        scope.warning(
            args.at(2),
            format!(
                "'timeout {name} {value}' in {title} is suspiciously small for a value in milliseconds. \
                 Please use an explicit unit ('{value}ms') if that was the intent."
            ),
        );
    }
    let caps = scope.px.caps();
    let missing = match timeout.side {
        Side::Front if !caps.front => Some("frontend"),
        Side::Back if !caps.back => Some("backend"),
        _ => None,
    };
    let old = *(timeout.field)(&mut scope.px.set.timeouts);
    let inherited = *(timeout.field)(&mut scope.px.inherited_timeouts);
    if let Some(missing) = missing {
        let title = scope.title();
        scope.warning(
            args.at(0),
            format!("{what} will be ignored because {title} has no {missing} capability"),
        );
    } else if scope.px.kind != Kind::Defaults && old != inherited {
        scope.warning(args.at(0), format!("overwriting {what} which was already specified"));
    }
    *(timeout.field)(&mut scope.px.set.timeouts) = value;
}

#[cfg(test)]
mod tests {
    use super::super::testing::{messages, proxy};

    #[test]
    fn values_and_units() {
        let (px, diags) =
            proxy("backend b", &["timeout server 1m", "timeout connect 5s", "timeout queue 100"]);
        assert!(diags.list.is_empty(), "{diags:?}");
        let t = px.expect("built").timeouts;
        assert_eq!((t.server, t.connect, t.queue), (60_000, 5_000, 100));
    }

    #[test]
    fn messages_are_those_of_haproxy() {
        let (_, diags) = proxy(
            "backend b",
            &[
                "timeout server 25d",
                "timeout client 5s",
                "timeout connect",
                "timeout conect 3s",
                "timeout check 10",
            ],
        );
        let got = messages(&diags);
        for expected in [
            "timer overflow in argument '25d' to 'timeout server' (maximum value is 2147483647 ms or ~24.8 days)",
            "'timeout client' will be ignored because backend 'b' has no frontend capability",
            "'timeout connect' expects an integer value (in milliseconds)",
            "'timeout check 10' in backend 'b' is suspiciously small for a value in milliseconds. \
             Please use an explicit unit ('10ms') if that was the intent.",
        ] {
            assert!(got.iter().any(|m| m == expected), "{expected}\n{got:#?}");
        }
        assert!(got.iter().any(|m| m.ends_with("(got 'conect')")));
    }
}
