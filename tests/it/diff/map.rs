//! Maps and ACL files: what traffic finds, what rules and the runtime API change, what `get` and `show` say.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::HTTP;
use crate::support::Origin;
use crate::support::differential::{Run, same};

fn nobody() -> Vec<(&'static str, Origin)> {
    Vec::new()
}

/// The path of a file of these tests: both programs read the same.
fn path(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"))
}

fn file(name: &str, lines: &[&str]) {
    std::fs::write(path(name), lines.join("\n") + "\n").expect("a file");
}

/// Runs one command of the runtime API and notes the answer; addresses of entries differ from run to run.
fn cli(run: &mut Run, command: &str) -> String {
    let mut stream = UnixStream::connect(run.proxy.dir().join("sock")).expect("connect");
    stream.write_all(format!("{command}\n").as_bytes()).expect("write");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    let mut shown = String::new();
    for line in text.lines() {
        let line = match line.split_once(' ') {
            Some((id, rest)) if id.starts_with("0x") => format!("<id> {rest}"),
            _ => line.to_owned(),
        };
        writeln!(shown, "{line}").expect("a string");
    }
    run.note(command, &shown);
    text
}

/// A configuration with this rule; in it and in commands `@NAME` is a file of these tests.
fn config(rules: &str) -> String {
    let head = HTTP.replace("    nbthread 1\n", "    nbthread 1\n    stats socket {dir}/sock level admin\n");
    format!("{head}frontend fe\n    bind {{ip}}:{{port:fe}}\n{}", rules.replace('@', &path("")))
}

fn command(run: &mut Run, text: &str) -> String {
    let text = text.replace('@', &path(""));
    cli(run, &text)
}

fn ask(run: &mut Run, key: &str) {
    run.get("fe", "/", &format!("k: {key}\r\n"));
}

const KINDS: [(&str, &[&str]); 7] = [
    ("str", &["a first", "a second", "A upper", "/a/b whole"]),
    ("beg", &["/a short", "/a/b longer", "/a/b again", "/A upper", "www. host"]),
    ("end", &["com c", ".a.example.com a", "b end"]),
    ("sub", &["a/b later", "b sooner", "example e"]),
    ("dir", &["b b", "a/b ab", "c c"]),
    ("dom", &["example e", "a.example ae", "b b"]),
    ("reg", &["^/a a", "^/(a)/b <\\1>", "(exam)ple \\1-\\0"]),
];
const KEYS: [&str; 11] =
    ["a", "A", "/a/b/c", "/a", "/A/b", "www.a.example.com", "x.b", "b", "a.b/c", "example", "z"];

/// Files of every kind with this many other entries, and a rule that shows what each finds.
fn kinds(prefix: &str, fillers: usize) -> String {
    let mut values = String::new();
    for (kind, entries) in KINDS {
        let mut lines: Vec<String> = (0..fillers / 2).map(|n| format!("~{n}~ filler{n}")).collect();
        lines.extend(entries.iter().map(|e| (*e).to_owned()));
        lines.extend((fillers / 2..fillers).map(|n| format!("~{n}~ filler{n}")));
        file(&format!("{prefix}-{kind}.map"), &lines.iter().map(String::as_str).collect::<Vec<_>>());
        write!(values, "{kind}=%[req.hdr(k),map_{kind}(@{prefix}-{kind}.map,-)] ").expect("a string");
    }
    // A file of its own: HAProxy counts this converter as another use of a file.
    file(&format!("{prefix}-regm.map"), KINDS[6].1);
    config(&format!(
        "    http-request return status 200 content-type text/plain lf-string \"{values}\
         regm=%[req.hdr(k),map_regm(@{prefix}-regm.map,-)]\"\n"
    ))
}

fn ask_kinds(run: &mut Run, prefix: &str) {
    for key in KEYS {
        ask(run, key);
        for (kind, _) in KINDS {
            command(run, &format!("get map @{prefix}-{kind}.map {key}"));
        }
    }
}

#[test]
fn every_kind_with_few_entries() {
    same(&kinds("few", 0), nobody, KEYS.len(), |run| ask_kinds(run, "few"));
}

#[test]
fn every_kind_with_many_entries() {
    same(&kinds("many", 40), nobody, KEYS.len(), |run| ask_kinds(run, "many"));
}

#[test]
fn addresses_and_numbers() {
    file(
        "nets.map",
        &[
            "10.0.0.0/8 ten",
            "10.1.0.0/16 ten-one",
            "10.1.0.0/16 again",
            "0.0.0.1/0.0.0.255 ends-in-one",
            "2001:db8::/32 doc",
            "::ffff:192.168.0.0/112 mapped",
            "192.0.2.7 host",
        ],
    );
    file("ints.map", &["1:10 one-to-ten", "5 five", "20: many"]);
    let config = config(
        "    http-request return status 200 content-type text/plain lf-string \"\
         ip=%[req.hdr_ip(k),map_ip(@nets.map,-)] int=%[req.hdr_val(n),map_int(@ints.map,-)]\"\n",
    );
    same(&config, nobody, 15, |run| {
        for key in [
            "10.2.3.4",
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "2002:a01:203::",
            "2001:db8::5",
            "192.168.0.9",
            "192.0.2.7",
            "9.9.9.1",
            "::ffff:9.9.9.1",
            "9.9.9.2",
        ] {
            ask(run, key);
            command(run, &format!("get map @nets.map {key}"));
        }
        for number in ["5", "11", "21", "0", "10"] {
            run.get("fe", "/", &format!("n: {number}\r\n"));
            command(run, &format!("get map @ints.map {number}"));
        }
    });
}

#[test]
fn values_have_types() {
    file("typed.map", &["a 5", "b 6"]);
    file("hosts.map", &["a 10.0.0.1", "b 2001:db8::1"]);
    let config = config(
        "    http-request return status 200 content-type text/plain lf-string \"\
         int=%[req.hdr(k),map_str_int(@typed.map,7),add(1)] ip=%[req.hdr(k),map_str_ip(@hosts.map)]\"\n",
    );
    same(&config, nobody, 5, |run| {
        for key in ["a", "b", "c"] {
            ask(run, key);
            command(run, &format!("get map @typed.map {key}"));
            command(run, &format!("get map @hosts.map {key}"));
        }
        command(run, "add map @typed.map d x");
        command(run, "set map @typed.map a 9");
        command(run, "add map @hosts.map d nonsense");
        ask(run, "a");
        ask(run, "d");
    });
}

#[test]
fn entries_change_while_it_runs() {
    file("live.map", &["/a short", "/a/b longer", "/c c"]);
    let config = config(
        "    http-request set-map(@live.map) %[req.hdr(set)] %[req.hdr(to)] if { req.hdr(set) -m found }\n    \
         http-request del-map(@live.map) %[req.hdr(del)] if { req.hdr(del) -m found }\n    \
         http-request return status 200 content-type text/plain lf-string \"%[req.hdr(k),map_beg(@live.map,-)] \
         %[req.hdr(k),map_end(@live.map,-)]\"\n",
    );
    same(&config, nobody, 14, |run| {
        ask(run, "/a/b/c");
        command(run, "add map @live.map /a/b/c longest");
        ask(run, "/a/b/c");
        command(run, "add map @live.map c/ last");
        command(run, "set map @live.map /a/b changed");
        command(run, "del map @live.map /a/b/c");
        ask(run, "/a/b/c");
        run.get("fe", "/", "k: /a/b\r\nset: /a/b\r\nto: ruled\r\n");
        run.get("fe", "/", "k: /new/b\r\nset: /new\r\nto: ruled\r\n");
        run.get("fe", "/", "k: /a/b\r\ndel: /a/b\r\n");
        command(run, "show map @live.map");
        command(run, "add map @live.map /a again");
        command(run, "set map @live.map /a both");
        command(run, "show map @live.map");
        command(run, "del map @live.map /a");
        command(run, "show map @live.map");
        ask(run, "/a/b");
        let many: String = (0..30).map(|n| format!("/many/{n} {n}\n")).collect();
        command(run, &format!("add map @live.map <<\n{many}"));
        ask(run, "/many/7/x");
        ask(run, "/many/29");
        command(run, "add map @live.map /many/2 second");
        ask(run, "/many/29");
        ask(run, "/many/2x");
        command(run, "del map @live.map /many/29");
        ask(run, "/many/29");
        command(run, "clear map @live.map");
        ask(run, "/many/29");
        command(run, "show map @live.map");
        ask(run, "/new");
    });
}

#[test]
fn versions_are_prepared_aside() {
    file("versions.map", &["a old", "b old"]);
    let config = config(
        "    http-request return status 200 content-type text/plain lf-string %[req.hdr(k),map(@versions.map,-)]\n",
    );
    same(&config, nobody, 6, |run| {
        command(run, "prepare map @versions.map");
        let at = |rest: &str| rest.replace('!', "@").replace('#', &path("versions.map"));
        cli(run, &at("add map !1 # a new"));
        cli(run, &at("add map !1 # c new"));
        cli(run, &at("add map !9 # c new"));
        cli(run, &at("show map !1 #"));
        cli(run, &at("show map !0 #"));
        cli(run, &at("show map #"));
        ask(run, "a");
        ask(run, "c");
        cli(run, &at("commit map !2 #"));
        cli(run, &at("commit map #"));
        cli(run, &at("commit map !1 #"));
        cli(run, &at("commit map !1 #"));
        cli(run, &at("commit map !0 #"));
        ask(run, "a");
        ask(run, "b");
        ask(run, "c");
        cli(run, &at("prepare map #"));
        cli(run, &at("add map !2 # d newest"));
        cli(run, &at("clear map !2 #"));
        cli(run, &at("show map !2 #"));
        cli(run, &at("commit map !2 #"));
        ask(run, "a");
    });
}

#[test]
fn patterns_of_acls() {
    file("some.acl", &["/A", "/a/b", "/a/c"]);
    file("nets.acl", &["127.0.0.0/8", "10.0.0.0/8"]);
    let config = config(
        "    http-request add-acl(@some.acl) %[req.hdr(add)] if { req.hdr(add) -m found }\n    \
         http-request del-acl(@some.acl) %[req.hdr(del)] if { req.hdr(del) -m found }\n    \
         acl beg req.hdr(k) -m beg -i -f @some.acl\n    \
         acl whole req.hdr(k) -m str -f @some.acl\n    \
         acl near src -f @nets.acl\n    \
         http-request add-header x beg if beg\n    \
         http-request add-header x whole if whole\n    \
         http-request add-header x near if near\n    \
         http-request return status 200 content-type text/plain lf-string %[req.fhdr_cnt(x)]\n",
    );
    same(&config, nobody, 6, |run| {
        for key in ["/a/b/c", "/a/b", "/x"] {
            ask(run, key);
            command(run, &format!("get acl @some.acl {key}"));
        }
        command(run, "get acl @nets.acl 10.1.1.1");
        command(run, "get acl @nets.acl 11.1.1.1");
        command(run, "get acl @nets.acl nonsense");
        command(run, "add acl @some.acl /x");
        command(run, "add acl @nets.acl nonsense");
        ask(run, "/x");
        run.get("fe", "/", "k: /y\r\nadd: /y\r\n");
        run.get("fe", "/", "k: /y\r\ndel: /y\r\n");
        command(run, "show acl @some.acl");
        command(run, "del acl @some.acl /nothing");
        command(run, "show acl @nothing.acl");
        command(run, "get acl @nothing.acl x");
        command(run, "get acl @some.acl");
        command(run, "add acl @some.acl");
        command(run, "del acl @some.acl");
        command(run, "del acl @nothing.acl x");
        command(run, "clear acl @nothing.acl");
        command(run, "clear acl");
        command(run, "set map @some.acl");
        command(run, "show map @some.acl");
    });
}
