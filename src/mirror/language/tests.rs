//! Whole sections, and what is wrong with others.

use std::io;
use std::path::Path;

use super::{Inputs, build, keyword};
use crate::lang::{Diagnostics, Env, Facts, Input, LoadOptions, Severity, load};
use crate::mirror::plan::Ways;
use crate::mirror::rule::{Delete, Spec, When};
use crate::mirror::run::ways;

fn read(text: &str) -> (Option<Spec>, Diagnostics) {
    let facts = Facts::default();
    let kinds: Vec<&str> = keyword::section_kinds().collect();
    let input = Input::Text { name: "test.cfg".to_owned(), text: text.to_owned() };
    let loaded = load(&[input], LoadOptions::new(&facts, Env::default(), &kinds));
    assert!(!loaded.diagnostics.has_alerts(), "{:?}", loaded.diagnostics);
    build(&Inputs {
        sections: &loaded.sections,
        sources: &loaded.sources,
        files: &|path: &Path| match path.to_str() {
            Some("/login.json") => Ok(br#"{"auths":{"us.test:5000":{"auth":"dTpw"}}}"#.to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
    })
}

fn spec(text: &str) -> Spec {
    let (spec, diags) = read(text);
    spec.unwrap_or_else(|| panic!("{:?}", diags.list))
}

/// The one alert of a text, with its place as `line:column` and its hint.
fn alert(text: &str) -> String {
    let (spec, diags) = read(text);
    assert!(spec.is_none(), "{text}");
    let alerts: Vec<_> = diags.list.iter().filter(|d| d.severity == Severity::Alert).collect();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let at = alerts[0].span.expect("a place");
    let hint = alerts[0].hint.as_ref().map(|h| format!(" {h}")).unwrap_or_default();
    format!("{}:{} {}{hint}", at.line, at.col, alerts[0].message)
}

const REGISTRIES: &str = "registry eu\n url http://eu.test:5000\n region eu-west\nregistry us\n url https://us.test:5000\n \
                          docker-config /login.json\n maxconn 3\n verify none\n";

#[test]
fn registries_are_read() {
    let spec = spec(&format!(
        "{REGISTRIES}registry hub\n url https://registry-1.docker.io\n user me password 'a b'\n"
    ));
    let of = |name: &str| spec.registry(name).expect("a registry");
    assert_eq!((&*of("eu").origin.address, of("eu").origin.is_secure), ("eu.test:5000", false));
    assert_eq!((&*of("eu").region, of("eu").maxconn, of("eu").verify), ("eu-west", 8, true));
    assert_eq!((of("us").maxconn, of("us").verify, of("us").origin.is_secure), (3, false, true));
    assert_eq!(of("us").credential.as_ref().map(|c| (&*c.user, &*c.password)), Some(("u", "p")));
    assert_eq!(of("hub").credential.as_ref().map(|c| (&*c.user, &*c.password)), Some(("me", "a b")));
    assert_eq!(of("hub").origin.address, "registry-1.docker.io:443");
}

#[test]
fn a_whole_rule_is_read() {
    let spec = spec(&format!(
        "{REGISTRIES}mirror images\n from eu\n to us\n images app/* lib tags latest semver:>=1.2 except *-rc* newest 3\n \
         images base/**\n platforms linux/amd64 linux/arm/v7\n every 10m\n on push\n delete propagate at-most 20\n \
         rename app/* hub/*\n rename ** all/**\n bandwidth 10m\n parallel 6\n priority -3\n"
    ));
    let rule = &spec.rules[0];
    assert_eq!((&*rule.name, &*rule.from, &*rule.to[0]), ("images", "eu", "us"));
    assert!(rule.has("app/web") && rule.has("base/x/y") && !rule.has("other"));
    assert_eq!((rule.renamed("app/web").as_str(), rule.renamed("lib").as_str()), ("hub/web", "all/lib"));
    let tags = ["latest", "1.1", "1.2", "1.3-rc1", "1.4", "1.5", "x"].map(str::to_owned);
    assert_eq!(rule.select("app/web", &tags), ["1.2", "1.4", "1.5"]);
    assert_eq!(rule.select("base/x", &tags).len(), 7);
    assert_eq!((&rule.when, rule.on_push, rule.delete), (&When::Every(600_000), true, Delete::Propagate(20)));
    assert_eq!((rule.platforms.len(), rule.bandwidth, rule.parallel, rule.priority), (2, 10 << 20, 6, -3));
    let spec =
        read(&format!("{REGISTRIES}mirror m\n from eu\n to us\n images a\n every cron 0 3 * * 1-5\n")).0;
    assert!(matches!(spec.expect("a rule").rules[0].when, When::Cron(_)));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let with = |lines: &str| alert(&format!("{REGISTRIES}mirror m\n from eu\n to us\n images a\n{lines}"));
    assert_eq!(
        alert("registry x\n url ftp://a\n"),
        "2:6 'ftp://a' is no URL of a registry: write http://host:port or https://host."
    );
    assert_eq!(alert("registry x\n"), "1:1 'registry' without a 'url' line.");
    assert_eq!(
        alert("registry x\n url http://a:1\n docker-config /none\n"),
        "3:16 'docker-config' /none: entity not found."
    );
    assert_eq!(
        alert("registry x\n url https://a\n ca-file /none\n"),
        "3:10 'ca-file' /none: entity not found."
    );
    assert_eq!(
        alert(&format!("{REGISTRIES}mirror m\n from ue\n to us\n images a\n")),
        "10:7 there is no 'registry ue' section. did you mean 'eu' maybe ?"
    );
    assert_eq!(
        alert(&format!("{REGISTRIES}mirror m\n from eu\n to us\n")),
        "9:1 'mirror' without a 'images' line."
    );
    assert_eq!(
        alert(&format!("{REGISTRIES}mirror m\n from eu\n to eu\n images a\n")),
        "11:5 'to eu' is where the images come from."
    );
    assert_eq!(
        with(" evry 1h\n"),
        "13:2 unknown keyword 'evry' in 'mirror' section did you mean 'every' maybe ?"
    );
    assert_eq!(with(" every 0\n"), "13:8 'every' expects at least a second.");
    assert_eq!(
        with(" every cron 61 * * * *\n"),
        "13:2 'every cron' '61' is no list of numbers from 0 to 59."
    );
    assert_eq!(with(" platforms linux\n"), "13:12 'linux' is no platform: write linux/amd64.");
    assert_eq!(
        with(" delete all\n"),
        "13:2 'delete' expects 'keep' or 'propagate [at-most <percent>]' as arguments."
    );
    assert_eq!(
        with(" rename a b/*\n"),
        "13:11 'rename' has more wildcards in the new name than in the old one."
    );
    assert_eq!(with(" parallel 0\n"), "13:11 'parallel' expects a number from 1 to 256, got '0'.");
    assert_eq!(with(" on pull\n"), "13:5 'on' expects 'push', got 'pull'.");
    assert!(with(" images x tags semver:one\n").starts_with("13:16 'images' 'one' is no range of versions"));
    assert_eq!(
        with("mirror m\n from eu\n to us\n images a\n"),
        "13:8 mirror 'm' was declared already at test.cfg:9."
    );
}

#[test]
fn rules_in_both_directions_know_each_other_and_do_not_echo() {
    let spec = spec(&format!(
        "{REGISTRIES}mirror out\n from eu\n to us\n images **\n rename ** copy/**\n\
         mirror back\n from us\n to eu\n images **\n delete propagate\n"
    ));
    let (out, back) = (&spec.rules[0], &spec.rules[1]);
    assert_eq!(ways(&spec, out, "us"), Ways::Both { wins: true, deletes: true });
    assert_eq!(ways(&spec, back, "eu"), Ways::Both { wins: false, deletes: false });
    // What came to us as copy/a is not to go back to eu as copy/a, from where it would come as copy/copy/a.
    assert!(spec.is_echo(back, "eu", "copy/a"));
    assert!(!spec.is_echo(back, "eu", "b") && !spec.is_echo(out, "us", "a"), "what is new is copied");
}
