//! `stats ...` of proxy sections: the statistics page.

use crate::lang::{Entry, Status, suggest};

use super::super::proxy::StatsSpec;
use super::draft::{Kind, Step};
use super::keyword::{Scope, refuse};
use super::switching::needs_condition;
use crate::lang::args::Args;
use crate::lang::time::{Unit, time_of};

/// One `stats NAME` of a proxy section.
pub struct StatsKeyword {
    pub entry: Entry,
    /// Not taken in `defaults`.
    own: bool,
    parse: for<'s, 'a> fn(&mut Scope<'s, 'a>, Args<'a>),
}

const fn stats(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    parse: for<'s, 'a> fn(&mut Scope<'s, 'a>, Args<'a>),
) -> StatsKeyword {
    StatsKeyword { entry: Entry::full(name, args, doc, example, "1.3"), own: false, parse }
}

impl StatsKeyword {
    /// The word after `stats`.
    pub fn name(&self) -> &'static str {
        self.entry.name.strip_prefix("stats ").unwrap_or(self.entry.name)
    }
}

/// Names after `stats`.
#[rustfmt::skip]
pub const STATS: &[StatsKeyword] = &[
    StatsKeyword {
        own: true,
        ..stats("stats admin", "{ if | unless } <cond>", "Who may change server states on the page.", "stats admin if TRUE", |s, a| {
            spec(s);
            if needs_condition(s, a, 2, "stats admin") {
                s.px.steps.push(Step::StatsAdmin(a));
            }
        })
    },
    stats("stats auth", "<user>:<passwd>", "An account for the page.", "stats auth admin:secret", auth),
    stats("stats enable", "", "Turns the page on at its default address.", "stats enable", |s, _| {
        spec(s);
    }),
    stats("stats hide-version", "", "Does not show the version.", "stats hide-version", |s, _| {
        if let Some(spec) = &mut s.px.set.stats {
            spec.hide_version = true;
        }
    }),
    StatsKeyword {
        own: true,
        ..stats("stats http-request", "{ allow | deny | auth [realm <realm>] } [{ if | unless } <cond>]", "Who may see the page.", "stats http-request deny unless LOCALHOST", |s, a| {
            spec(s);
            match a.str(2) {
                "allow" | "deny" | "auth" => s.px.steps.push(Step::StatsHttpRequest(a)),
                _ => s.alert(a.at(2), "'stats http-request' expects 'allow', 'deny' or 'auth'."),
            }
        })
    },
    stats("stats realm", "<realm>", "What the browser's login window says.", "stats realm Statistics", |s, a| {
        if let Some(realm) = wanted(s, a, "'realm' needs an realm name.") {
            spec(s).realm = realm.to_owned();
        }
    }),
    stats("stats refresh", "<delay>", "How often the page reloads itself.", "stats refresh 10s", |s, a| {
        let value = time_of(&mut s.cx.diags, a.words.get(2), "stats refresh interval", Unit::Seconds, a.span);
        if let Some(seconds) = value {
            spec(s).refresh_s = (seconds > 0).then_some(seconds as u32);
        }
    }),
    stats("stats scope", "{ <name> | \".\" }", "Shows these proxies alone.", "stats scope .", |s, a| {
        if let Some(name) = wanted(s, a, "'scope' needs a proxy name.") {
            spec(s).scope.push(name.to_owned());
        }
    }),
    stats("stats show-desc", "[ <desc> ]", "Shows a description.", "stats show-desc Main", show_desc),
    stats("stats show-legends", "", "Shows more as tool tips.", "stats show-legends", |s, _| spec(s).show_legends = true),
    StatsKeyword {
        entry: Entry::full("stats show-modules", "", "Shows the counters of modules.", "stats show-modules", "1.3").with(Status::Accepted("there are no modules")),
        ..stats("stats show-modules", "", "", "", |s, _| {
            spec(s);
        })
    },
    stats("stats show-node", "[ <name> ]", "Shows the node's name.", "stats show-node lb1", show_node),
    stats("stats show-version", "", "Shows the version.", "stats show-version", |s, _| spec(s).hide_version = false),
    stats("stats uri", "<prefix>", "Address of the page.", "stats uri /stats", |s, a| {
        if let Some(uri) = wanted(s, a, "'uri' needs an URI prefix.") {
            spec(s).uri = uri.as_bytes().into();
        }
    }),
];

/// The page as HAProxy 3.4 shows it when nothing else is said.
pub fn default_spec() -> StatsSpec {
    StatsSpec {
        uri: b"/haproxy?stats".as_slice().into(),
        realm: "HAProxy Statistics".to_owned(),
        auth: Vec::new(),
        refresh_s: None,
        hide_version: true,
        show_node: None,
        show_desc: None,
        show_legends: false,
        scope: Vec::new(),
        admin: false,
        applet: None,
    }
}

fn spec<'s>(scope: &'s mut Scope<'_, '_>) -> &'s mut StatsSpec {
    scope.px.set.stats.get_or_insert_with(default_spec)
}

fn wanted<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>, missing: &str) -> Option<&'a str> {
    match args.str(2) {
        "" => {
            scope.alert(args.span, missing);
            None
        }
        text => Some(text),
    }
}

/// `stats NAME ...` in a proxy section.
pub fn stats_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = args.str(1);
    let Some(keyword) = STATS.iter().find(|k| k.name() == name) else {
        let names: Vec<String> = STATS.iter().map(|k| format!("'{}'", k.name())).collect();
        let what = if name.is_empty() { "missing keyword in 'stats'" } else { "unknown stats parameter" };
        let what = if name.is_empty() { what.to_owned() } else { format!("{what} '{name}'") };
        let hint = suggest::hint(name, STATS.iter().map(StatsKeyword::name));
        let message = format!("{what}, expects {}.", names.join(", "));
        return scope.cx.diags.alert_hint(args.at(1), message, hint);
    };
    if refuse(scope.cx, &keyword.entry, args.at(1)) {
        return;
    }
    if keyword.own && scope.px.kind == Kind::Defaults {
        return scope.alert(args.at(0), format!("'stats {name}' not allowed in 'defaults' section."));
    }
    // The first own line replaces the page of the defaults section as a whole.
    if std::mem::take(&mut scope.px.stats_inherited) {
        scope.px.set.stats = None;
    }
    (keyword.parse)(scope, args);
}

fn auth<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let Some(account) = wanted(scope, args, "'auth' needs a user:password account.") else { return };
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    let pair = (user.to_owned(), password.to_owned());
    spec(scope).auth.push(pair);
}

fn show_node<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = args.str(2);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.chars().all(good) {
        let message = "'stats show-node' invalid node name - should be a string with digits(0-9), \
                       letters(A-Z, a-z), hyphen(-) or underscore(_).";
        return scope.alert(args.at(2), message);
    }
    // The machine's name when empty, filled in where it is shown.
    spec(scope).show_node = Some(name.to_owned());
}

fn show_desc<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let text = match args.text_from(2) {
        text if !text.is_empty() => text,
        _ => match &scope.cx.global.description {
            Some(text) => text.clone(),
            None => {
                let message = "'show-desc' requires a parameter or 'desc' to be set in the global section.";
                return scope.warning(args.at(1), message);
            }
        },
    };
    spec(scope).show_desc = Some(text);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{build_text, messages};

    #[test]
    fn own_lines_replace_what_defaults_gave() {
        let text = "
defaults
    mode http
    timeout client 1s
    stats uri /all
    stats auth a:b
frontend one
    bind :1
frontend two
    bind :2
    stats uri /two
    stats refresh 10s
    stats admin if TRUE
";
        let (built, diags) = build_text(text);
        assert!(diags.list.is_empty(), "{:?}", messages(&diags));
        let config = built.expect("built").config;
        let stats = |i: usize| config.proxies[i].stats.clone().expect("stats");
        assert_eq!(&*stats(0).uri, b"/all");
        assert_eq!(stats(0).auth, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(&*stats(1).uri, b"/two");
        assert!(stats(1).auth.is_empty() && stats(1).hide_version);
        assert_eq!(stats(1).refresh_s, Some(10));
    }
}
