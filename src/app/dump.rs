//! `-dK`: the keywords of this program in HAProxy's format (management manual section 3), so that coverage is a diff.

use std::fmt::Write;

use crate::lang::entry::Status;
use crate::lang::registry::{Item, Kind, Registry, Rules, Shape};

/// Where a fetch may be used, in the order of its validity letters.
const PLACES: [&str; 22] = [
    "frontend tcp-request connection rule",
    "frontend tcp-request session rule",
    "frontend tcp-request content rule",
    "frontend http-request header rule",
    "frontend http-request body rule",
    "frontend use-backend rule",
    "backend tcp-request content rule",
    "backend http-request header rule",
    "backend http-request body rule",
    "backend use-server, balance or stick-match rule",
    "server source selection",
    "backend tcp-response content rule",
    "backend http-response header rule",
    "backend http-response body rule",
    "backend stick-store rule",
    "frontend tcp-response content rule",
    "frontend http-response header rule",
    "frontend http-response body rule",
    "logs",
    "backend tcp-check rule",
    "configuration parser",
    "CLI parser",
];

/// Sections in HAProxy's order, beside `global` and `listen`.
const SECTIONS: [&str; 6] = ["userlist", "peers", "crt-list", "crt-store", "traces", "acme"];

const HELP: &str = "\
# List of supported keyword classes:
all: list all keywords
acl: ACL keywords
cfg: configuration keywords
cli: CLI keywords
cnv: sample converter keywords
flt: filter names
smp: sample fetch functions
svc: service names
";

/// The keywords that a configuration may use, of the classes given as `acl,cfg,cli,cnv,flt,smp,svc` or `all`.
/// `help` lists the classes; a class that does not exist is ignored, as HAProxy does.
pub fn dump(classes: &str, registry: &Registry) -> String {
    let usable = |kind| {
        let mut items = registry.of(kind);
        items.retain(|item| !matches!(item.status, Status::Refused(_)));
        items
    };
    render(classes, registry, &usable)
}

fn render(classes: &str, registry: &Registry, of: &dyn Fn(Kind) -> Vec<Item>) -> String {
    let mut out = String::new();
    let mut all = false;
    for class in classes.split(',') {
        if class == "help" {
            out += HELP;
            continue;
        }
        all |= class == "all";
        let wanted = |name| all || class == name;
        if wanted("acl") {
            list(&mut out, "ACL keywords", of(Kind::Criterion));
        }
        if wanted("cfg") {
            out += "# List of registered configuration keywords:\n";
            configuration(&mut out, registry, of);
        }
        if wanted("cli") {
            list(&mut out, "CLI keywords", of(Kind::Command));
        }
        if wanted("cnv") {
            list(&mut out, "sample converter functions", of(Kind::Converter));
        }
        if wanted("flt") {
            list(&mut out, "filter names", of(Kind::Filter));
        }
        if wanted("smp") {
            fetches(&mut out, of(Kind::Fetch));
        }
        if wanted("svc") {
            list(&mut out, "service names", of(Kind::Service));
        }
    }
    out
}

fn list(out: &mut String, title: &str, items: Vec<Item>) {
    let _ = writeln!(out, "# List of registered {title}:");
    for item in items {
        write_item(out, "", &item);
    }
}

fn configuration(out: &mut String, registry: &Registry, of: &dyn Fn(Kind) -> Vec<Item>) {
    let mut part = |title: &str, parts: &[(&str, Kind)]| {
        if !title.is_empty() {
            let _ = writeln!(out, "{title}");
        }
        for (lead, kind) in parts {
            for item in of(*kind) {
                let ssl = *kind == Kind::Bind && lead.ends_with("ssl ");
                if *kind != Kind::Bind || ssl == is_ssl(&item) {
                    write_item(out, &format!("\t{lead}"), &item);
                }
            }
        }
    };
    part("global", &[("", Kind::Global)]);
    part(
        "listen",
        &[
            ("", Kind::Proxy),
            ("bind <addr> ", Kind::Bind),
            ("bind <addr> ssl ", Kind::Bind),
            ("server <name> <addr> ", Kind::Server),
            ("option ", Kind::Option),
        ],
    );
    for rules in Rules::ALL {
        part("", &[(&format!("{} ", rules.keyword()), Kind::Action(rules))]);
    }
    for section in SECTIONS {
        part(section, &[("", Kind::In(section))]);
    }
    for section in own_sections(registry) {
        part(section, &[("", Kind::In(section))]);
    }
}

/// Sections that no vocabulary knows.
fn own_sections(registry: &Registry) -> Vec<&'static str> {
    let of_section = |item: &Item| match item.kind {
        Kind::In(section) if item.shape.is_none() => Some(section),
        _ => None,
    };
    let mut sections: Vec<_> = registry.items().iter().filter_map(of_section).collect();
    sections.dedup();
    sections.retain(|s| registry.of(Kind::In(s)).iter().all(|item| item.shape.is_none()));
    sections
}

fn is_ssl(item: &Item) -> bool {
    crate::config::vocabulary::bind::BIND_SSL.words.iter().any(|word| word.name == item.name)
}

fn fetches(out: &mut String, items: Vec<Item>) {
    *out += "# List of registered sample fetch functions:\n";
    for (i, place) in PLACES.iter().enumerate() {
        let (space, bars, dashes) = (" ".repeat(23 - i), "/ ".repeat(i), "-".repeat(22 - i));
        let _ = writeln!(out, "#{space}{bars}_.{dashes} {place}");
    }
    let _ = writeln!(out, "# {} ", "/ ".repeat(PLACES.len()));
    let _ = writeln!(out, "# {}", "| ".repeat(PLACES.len()));
    for item in items {
        write_item(out, "", &item);
    }
}

fn write_item(out: &mut String, lead: &str, item: &Item) {
    let name = item.name;
    let in_parentheses = |args: &str| if args.is_empty() { String::new() } else { format!("({args})") };
    let line = match item.shape {
        Some(Shape::Unlisted | Shape::Sides { listed: false, .. }) => return,
        None if matches!(item.kind, Kind::Fetch | Kind::Converter) => return,
        None | Some(Shape::Plain | Shape::Sides { .. }) => name.to_owned(),
        Some(Shape::Prefix) => format!("{name}*"),
        Some(Shape::Takes(count)) => format!("{name} +{count}"),
        Some(Shape::Caps(caps)) => format!("{name} [ {caps} ]"),
        Some(Shape::Fetch { valid, args, out }) => {
            let valid: String = valid.chars().flat_map(|c| [c, ' ']).collect();
            format!("[ {valid}] {name}{}: {out}", in_parentheses(args))
        }
        Some(Shape::Converter { args, from, to }) => {
            format!("{name}{}: {from} => {to}", in_parentheses(args))
        }
        Some(Shape::Criterion { fetch, matching }) => format!("{name} = {fetch} -m {matching}"),
        Some(Shape::Note(note)) if item.kind == Kind::Command => format!("{name} {note} "),
        Some(Shape::Note(note)) => format!("{name} {note}"),
    };
    let _ = writeln!(out, "{lead}{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::keywords::registry;

    const HAPROXY: &str = include_str!("../../tests/data/haproxy-3.4.0-dKall.txt");

    #[test]
    fn the_vocabulary_is_haproxy_s_to_the_byte() {
        let registry = registry();
        let mut known = crate::lang::registry::Registry::default();
        known.know(&crate::config::vocabulary::ALL);
        known.know(&crate::rules::vocabulary::ALL);
        known.know(&crate::admin::vocabulary::ALL);
        let ours = render("all", &known, &|kind| known.of(kind));
        for (i, (ours, theirs)) in ours.lines().zip(HAPROXY.lines()).enumerate() {
            assert_eq!(ours, theirs, "line {}", i + 1);
        }
        assert_eq!(ours.len(), HAPROXY.len());
        assert_eq!(registry.duplicates(), []);
    }

    #[test]
    fn only_what_works_is_listed() {
        let shown = dump("cfg", &registry());
        assert!(shown.contains("\tdefault-path\n"), "{shown}");
        assert!(!shown.contains("51degrees"), "{shown}");
        assert_eq!(dump("help", &registry()), HELP);
        assert_eq!(dump("nonsense", &registry()), "");
        assert_eq!(dump("svc", &Registry::default()), "# List of registered service names:\n");
    }
}
