//! The keyword tables: examples parse, refusals say why, nothing of HAProxy is missing.

use crate::lang::registry::Kind;
use crate::lang::{Severity, Status};

use super::super::entries;
use super::super::testing::{build_text, messages};

/// Every example in the tables is one line that is accepted where it belongs.
#[test]
fn examples_are_accepted() {
    let mut wrong = Vec::new();
    for (context, entry) in entries() {
        if matches!(entry.status, Status::Refused(_)) {
            continue;
        }
        let name = entry.name;
        assert!(!entry.doc.is_empty() && entry.example.contains(name), "{context:?} {name}");
        let head = match context {
            Kind::Global => format!("global\n {}\n", entry.example),
            Kind::Section if name == "cache" => format!("{}\n total-max-size 4\n", entry.example),
            Kind::Section => format!("{}\n", entry.example),
            Kind::In("cache") => format!("cache x\n total-max-size 4\n {}\n", entry.example),
            Kind::In(section) => format!("{section} x\n {}\n", entry.example),
            _ => format!(
                "global\n external-check\n insecure-fork-wanted\nhealthcheck web\n\
                 http-errors site\ncache site\n total-max-size 4\nresolvers dns\n nameserver a 127.0.0.1:53\ndefaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
                 listen main\n mode http\n bind :1\n external-check command /bin/true\n server s1 127.0.0.1:80\n{}\n\
                 backend app\n backend other\n server s 127.0.0.1:80 check\n\
                 backend clients\n stick-table type string size 1k\n\
                 backend web\n server s1 127.0.0.1:80 check\n",
                if entry.example.starts_with("stats socket") {
                    format!("global\n {}", entry.example)
                } else {
                    format!(" {}", entry.example.replace("server s1 127", "server s9 127"))
                }
            ),
        };
        // Files that examples name need not exist here.
        let file_is_missing = |m: &str| m.contains("No such file");
        let (_, diags) = build_text(&head);
        let alerts: Vec<_> = diags.list.iter().filter(|d| d.severity == Severity::Alert).collect();
        if !alerts.iter().all(|d| file_is_missing(&d.message)) {
            wrong.push(format!("{context:?} {name}: {:?}", messages(&diags)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn refused_keywords_say_why() {
    for (context, entry) in entries() {
        let Status::Refused(why) = entry.status else { continue };
        let line = match context {
            Kind::Global => format!("global\n {}\n", entry.name),
            Kind::Section => format!("{} x\n", entry.name),
            Kind::Proxy => format!("listen l\n {} x\n", entry.name),
            Kind::Option => format!("listen l\n option {}\n", entry.name),
            Kind::Bind => format!("listen l\n bind :1 {} x\n", entry.name),
            Kind::In(section) => format!("{section} x\n {} x\n", entry.name),
            _ => format!("listen l\n server s 1.2.3.4:1 {} x\n", entry.name),
        };
        let (built, diags) = build_text(&line);
        assert!(built.is_none(), "{line}");
        let all = messages(&diags);
        let first = entry.name.split(' ').next().unwrap_or(entry.name);
        assert!(all.iter().any(|m| m.contains(first) && m.contains("support")), "{line}{all:?}");
        // Of several words, the first may say it for all.
        let is_sub = first != entry.name;
        assert!(is_sub || entry.name == "process" || all.iter().any(|m| m.contains(why)), "{line}{all:?}");
    }
}

/// HAProxy's whole vocabulary of these sections has an answer, and a reason where the answer is no.
#[test]
fn no_word_of_haproxy_is_unknown() {
    let ours: Vec<(Kind, &str)> = entries().map(|(kind, e)| (kind, e.name)).collect();
    let kinds = [Kind::Section, Kind::Global, Kind::Proxy, Kind::Option, Kind::Bind, Kind::Server];
    let mut missing = Vec::new();
    for list in crate::config::vocabulary::ALL.iter().filter(|v| kinds.contains(&v.kind)) {
        let is_loaded =
            |name: &str| matches!(name, "default-path" | "presetenv" | "resetenv" | "setenv" | "unsetenv");
        let is_ours = |name: &str| is_loaded(name) || ours.iter().any(|(k, n)| *k == list.kind && *n == name);
        missing.extend(list.words.iter().filter(|w| !is_ours(w.name)).map(|w| (list.kind, w.name)));
    }
    assert_eq!(missing, []);
}
