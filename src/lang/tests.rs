//! Behaviour of loading and of messages, over files in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use expect_test::expect;
use proptest::prelude::*;

use super::load::{Input, LoadOptions, Loaded, key_of, load};
use super::render::{Style, report};
use super::{Env, Facts};

const KINDS: [&str; 5] = ["global", "defaults", "frontend", "backend", "listen"];

/// Loads `start` from files in memory; `map:` documents are files too.
fn load_from(files: &[(&str, &str)], start: &[&str]) -> Loaded {
    let files: BTreeMap<PathBuf, &str> = files.iter().map(|(p, t)| (PathBuf::from(p), *t)).collect();
    let facts = Facts { version: "3.4.0", features: vec!["+EPOLL"], ..Facts::default() };
    let mut env = Env::default();
    env.set("HOST", "lb1");
    env.set("LIST", "a b");
    let read = |path: &Path| {
        let missing = || io::Error::from_raw_os_error(2);
        files.get(Path::new(&key_of("", path))).map(|t| t.as_bytes().to_vec()).ok_or_else(missing)
    };
    let list = |path: &Path| {
        if files.contains_key(path) {
            return Ok(None);
        }
        let path = if path == Path::new(".") { Path::new("") } else { path };
        let inside = files.keys().filter(|f| f.parent() == Some(path));
        let names: Vec<_> = inside.filter_map(|f| Some(f.file_name()?.to_str()?.to_owned())).rev().collect();
        if names.is_empty() { Err(io::Error::from_raw_os_error(2)) } else { Ok(Some(names)) }
    };
    let document = |name: &str| files.get(Path::new(&format!("map:{name}"))).map(|t| (*t).to_owned());
    let inputs: Vec<_> = start.iter().map(|s| Input::Path(s.into())).collect();
    let options = LoadOptions {
        read: &read,
        list: &list,
        document: &document,
        ..LoadOptions::new(&facts, env, &KINDS)
    };
    load(&inputs, options)
}

/// `kind name: line; line`, one section a line.
fn shape(loaded: &Loaded) -> String {
    let words = |line: &super::Line| line.words.iter().map(|w| w.str()).collect::<Vec<_>>().join(" ");
    let section = |s: &super::Section| {
        let lines: Vec<_> = s.lines.iter().map(words).collect();
        format!("{}: {}", words(&s.head), lines.join("; "))
    };
    loaded.sections.iter().map(section).collect::<Vec<_>>().join("\n")
}

fn messages(loaded: &Loaded) -> String {
    report(&loaded.diagnostics, &loaded.sources, &Style { pid: 1, diag: true, ..Style::default() })
}

fn one(text: &str) -> Loaded {
    load_from(&[("a.cfg", text)], &["a.cfg"])
}

#[test]
fn sections_and_lines() {
    let loaded = one("global\n  daemon # yes\n\nfrontend web from base\n\tbind :80\n no option httplog\n");
    assert_eq!(messages(&loaded), "");
    assert_eq!(shape(&loaded), "global: daemon\nfrontend web from base: bind :80; no option httplog");
    let bind = &loaded.sections[1].lines[0];
    assert_eq!((bind.span.line, bind.span.col, bind.span.len), (5, 2, 8));
}

#[test]
fn faults_are_all_shown_in_haproxy_s_words() {
    let loaded =
        one("stray x\nbakend y\nfrontend x\n  bind :80 \"\n mode http \\xZ\n mode \"${A\"\n mode \"$9\" \n\
         no mode http\n.what\n mode \"$HOSR\"\n mode ''\n.warning \"hi you\"\n.notice foo\n.diag bar\n [x");
    expect![[r#"
        [ALERT]    (1) : config : parsing [a.cfg:1]: unknown keyword 'stray' out of section.
        [ALERT]    (1) : config : parsing [a.cfg:2]: unknown keyword 'bakend' out of section; did you mean 'backend' maybe ?
        [ALERT]    (1) : config : parsing [a.cfg:4]: unmatched quote at position 12:
          bind :80 "
                   ^
        [ALERT]    (1) : config : parsing [a.cfg:5]: truncated or invalid hexadecimal sequence at position 12:
          mode http \xZ
                    ^
        [ALERT]    (1) : config : parsing [a.cfg:6]: unmatched brace in environment variable name at position 9:
          mode "${A"
                 ^
        [ALERT]    (1) : config : parsing [a.cfg:7]: forbidden first char in environment variable name at position 9:
          mode "$9" 
                 ^
        [ALERT]    (1) : config : parsing [a.cfg:8]: negation/default currently supported only for options, log, busy-polling, set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping.
        [ALERT]    (1) : config : parsing [a.cfg:9]: unknown directive '.what'.
        [ALERT]    (1) : config : parsing [a.cfg:10]: argument number 1 at position 9 is empty and marks the end of the argument list; maybe you meant HOST instead ?
        [ALERT]    (1) : config : parsing [a.cfg:11]: argument number 1 at position 7 is empty and marks the end of the argument list
        [WARNING]  (1) : config : parsing [a.cfg:12]: 'hi you'.
        [NOTICE]   (1) : config : parsing [a.cfg:13]: 'foo'.
        [DIAG]     (1) : config : parsing [a.cfg:14]: 'bar'.
        [ALERT]    (1) : config : parsing [a.cfg:15] : empty scope name is forbidden.
        [ALERT]    (1) : config : parsing [a.cfg:15]: Missing LF on last line, file might have been truncated at position 4; '--legacy', or 'accept-legacy-syntax' in 'global', accepts it
        [ALERT]    (1) : config : Error(s) found in configuration file : a.cfg
        [ALERT]    (1) : config : Fatal errors found in configuration.
    "#]]
    .assert_eq(&messages(&loaded));
}

#[test]
fn conditions_choose_lines_and_alerts_stop() {
    let loaded =
        one("frontend x\n.if feature(EPOLL) && streq(\"$HOST\",lb1)\n mode http\n.else\n mode tcp\n.endif\n");
    assert_eq!(messages(&loaded), "");
    assert_eq!(shape(&loaded), "frontend x: mode http");

    let loaded = load_from(&[("a.cfg", ".if 1\n"), ("b.cfg", ".alert never\n")], &["a.cfg", "b.cfg"]);
    assert_eq!(loaded.diagnostics.list.len(), 1);
    assert_eq!(loaded.diagnostics.list[0].message, "non-terminated '.if' block.");
}

#[test]
fn the_environment_is_a_private_copy_that_acts_at_once() {
    let loaded = one(
        "global\n setenv A 1\n presetenv A 2\n presetenv HAPROXY_BRANCH x\n setenv L \"${LIST}\"\n\
         log \"$A\" \"${L[*]}\" \"$HAPROXY_BRANCH\" \"${.SECTION}\"\n resetenv A\n log \"${HOST-gone}\" \"${A}\"\n\
         setenv B\n setenv C 1 2\n",
    );
    assert!(shape(&loaded).contains("log 1 a b 3.4 global; resetenv A; log gone 1"), "{}", shape(&loaded));
    let messages: Vec<_> = loaded.diagnostics.list.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "'setenv' expects environment variable value for 'B'.",
            "'setenv' cannot handle unexpected argument '2'."
        ]
    );
    assert_eq!(loaded.env.get("HAPROXY_CFGFILES"), Some(&b"a.cfg"[..]));
    assert_eq!(loaded.env.get("HAPROXY_HTTP_LOG_FMT"), None);
    assert_eq!(std::env::var_os("A"), None);
}

#[test]
fn directories_and_includes() {
    let files = [
        ("etc/b.cfg", "backend b\n"),
        ("etc/a.cfg", "include more/*.inc map:doc\nfrontend a\n mode http\n"),
        ("etc/.hidden.cfg", ".alert hidden\n"),
        ("etc/c.cfg.bak", ".alert backup\n"),
        ("etc/more/2.inc", "backend two\n"),
        ("etc/more/1.inc", "backend one\ninclude ../lone.inc\n"),
        ("etc/lone.inc", "backend lone\n"),
        ("map:doc", "backend document"),
    ];
    let loaded = load_from(&files, &["etc"]);
    assert_eq!(messages(&loaded), "");
    assert_eq!(
        shape(&loaded),
        "backend one: \nbackend lone: \nbackend two: \nbackend document: \nfrontend a: mode http\nbackend b: "
    );
    assert_eq!(
        loaded.env.get("HAPROXY_CFGFILES"),
        Some(&b"etc/a.cfg;etc/more/1.inc;etc/more/../lone.inc;etc/more/2.inc;map:doc;etc/b.cfg"[..])
    );
}

#[test]
fn includes_that_cannot_be() {
    let files = [
        ("d/a.cfg", "include ../d/./b.cfg\ninclude none.cfg map:none x*\ninclude\nmode http\n"),
        ("d/b.cfg", "include a.cfg\n"),
    ];
    let loaded = load_from(&files, &["d/a.cfg", "none"]);
    expect![[r#"
        [ALERT]    (1) : config : parsing [d/a.cfg:2] : Could not open configuration file d/none.cfg : No such file or directory
        [ALERT]    (1) : config : parsing [d/a.cfg:2] : no document 'none' in the region map.
        [DIAG]     (1) : config : parsing [d/a.cfg:2] : 'include' matches no file.
        [ALERT]    (1) : config : parsing [d/a.cfg:3] : 'include' expects a file, a pattern, a directory or 'map:<name>'.
        [ALERT]    (1) : config : parsing [d/a.cfg:4]: unknown keyword 'mode' out of section.
        [ALERT]    (1) : config : Error(s) found in configuration file : d/a.cfg
        [ALERT]    (1) : config : parsing [d/../d/./b.cfg:1] : 'd/a.cfg' includes itself.
        [ALERT]    (1) : config : Error(s) found in configuration file : d/../d/./b.cfg
        [ALERT]    (1) : config : Cannot open configuration file/directory none : No such file or directory
        [ALERT]    (1) : config : Fatal errors found in configuration.
    "#]]
    .assert_eq(&messages(&loaded));
}

#[test]
fn relative_paths_follow_default_path() {
    let files = [
        (
            "etc/a.cfg",
            "global\n ca-base x\n default-path config\n ca-base y\n default-path origin /o\n ca-base z\n",
        ),
        ("etc/b.cfg", "global\n default-path parent\nbackend b\n errorfile 500 e\n"),
    ];
    let loaded = load_from(&files, &["etc/a.cfg", "etc/b.cfg"]);
    let resolved = |section: usize, line: usize| {
        let line = &loaded.sections[section].lines[line];
        let path = loaded.sources.resolve(line.span, line.words.last().expect("words").str());
        path.display().to_string()
    };
    assert_eq!([resolved(0, 0), resolved(0, 2), resolved(0, 4)], ["x", "etc/y", "/o/z"]);
    assert_eq!(resolved(2, 0), "etc/../e");
    assert_eq!(messages(&one("global\n default-path what\n")).lines().count(), 3);
}

#[test]
fn cut_off_text() {
    let nul = one("global\n daemon\0x\n maxconn 1\n");
    assert_eq!(shape(&nul), "global: daemon");
    assert_eq!(nul.diagnostics.list[0].message, "Stray NUL character at position 8.");
    let many = one(&("global\n".to_owned() + &"\"\n".repeat(60)));
    assert_eq!(many.diagnostics.list.len(), 51);
}

#[test]
fn long_lines_are_shown_around_the_fault() {
    let loaded = one(&format!("global\n {} \\xZZ {}\n", "a".repeat(100), "b".repeat(100)));
    let shown = messages(&loaded);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[1].len(), 82);
    let caret = lines[2].find('^').expect("a caret");
    assert_eq!(&lines[1][caret..caret + 4], "\\xZZ");
}

#[test]
fn a_snippet_points_at_the_word() {
    let loaded = one("frontend x\n    bind \"${A}\" ssl\n");
    let style = Style { pretty: true, ..Style::default() };
    expect![[r#"
        error: argument number 1 at position 13 is empty and marks the end of the argument list
         --> a.cfg:2:13
          |
        2 |     bind "${A}" ssl
          |             ^
          |
          = help: Aborting to prevent all subsequent arguments from being silently ignored. If this is caused by an environment variable expansion, please have a look at section 2.3 of the configuration manual to find solutions to address this.
    "#]]
    .assert_eq(&super::render::one(&loaded.diagnostics.list[0], &loaded.sources, &style));
}

/// Pretty findings say what they suggest in a line of its own, whichever room made them.
#[test]
fn a_snippet_has_suggestions_in_its_help_line() {
    let loaded = one("frontend x\n    acl x pth\n    bnd :80\n");
    let lines = &loaded.sections[0].lines;
    let mut diags = super::Diagnostics::default();
    diags.alert(lines[0].words[2].span, "unknown fetch 'pth'; did you mean 'path' maybe ? in ACL 'x'.");
    diags.alert_hint(
        lines[1].words[0].span,
        "unknown keyword 'bnd'",
        Some("did you mean 'bind' maybe ?".to_owned()),
    );
    let plain = Style { pretty: true, ..Style::default() };
    let texts: Vec<String> =
        diags.list.iter().map(|d| super::render::one(d, &loaded.sources, &plain)).collect();
    assert!(texts[0].starts_with("error: unknown fetch 'pth' in ACL 'x'\n"), "{}", texts[0]);
    assert!(texts[0].ends_with("= help: did you mean 'path' maybe ?\n"), "{}", texts[0]);
    assert!(texts[1].ends_with("= help: did you mean 'bind' maybe ?\n"), "{}", texts[1]);
    let color = Style { color: true, ..plain };
    assert!(super::render::one(&diags.list[0], &loaded.sources, &color).contains("\u{1b}["));
}

#[test]
fn each_fault_is_told_once() {
    let at = |line| super::Span { line, ..super::Span::default() };
    let mut diags = super::Diagnostics::default();
    for section in ["a", "b"] {
        diags.alert(at(1), format!("cannot read, says {section}"));
        diags.alert(at(2), format!("something of {section}"));
        diags.warning(at(1), format!("odd in {section}"));
        diags.warning(at(3), "the same");
    }
    diags.once(|span| span.line == 1);
    let said: Vec<&str> = diags.list.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        said,
        ["cannot read, says a", "something of a", "odd in a", "the same", "something of b", "odd in b"]
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "([ \\PC\0]|\n|\"|\\$\\{|\\.if |include |frontend |\\[){0,60}") {
        let loaded = load_from(&[("a.cfg", &text), ("b.cfg", "include *\n")], &["a.cfg", "b.cfg"]);
        let _ = messages(&loaded);
        for diagnostic in &loaded.diagnostics.list {
            let style = Style { pretty: true, ..Style::default() };
            super::render::one(diagnostic, &loaded.sources, &style);
        }
    }
}
