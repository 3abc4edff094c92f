//! Old lines beside what they become.

use crate::lang::{Diagnostics, Env, Facts, Input, LoadOptions, Loaded, Severity, load};

use super::{Target, hint, modernize, plan, print};

const KINDS: [&str; 6] = ["global", "defaults", "listen", "frontend", "backend", "program"];

fn loaded(text: &str) -> Loaded {
    let facts = Facts::default();
    let options = LoadOptions { legacy: true, ..LoadOptions::new(&facts, Env::default(), &KINDS) };
    load(&[Input::Text { name: "t".into(), text: text.into() }], options)
}

/// The files in today's syntax without the notes, and what is lost.
fn modern(text: &str) -> (String, Vec<String>) {
    let loaded = loaded(text);
    assert!(!loaded.diagnostics.has_alerts(), "{:?}", loaded.diagnostics);
    let changes = plan(&loaded.sections, Target::Haproxy);
    let lost = changes.iter().filter(|c| c.is_lossy).map(|c| c.note.clone()).collect();
    let text = print(&loaded, &changes);
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("; was: ")).collect();
    (kept.join("\n"), lost)
}

/// What one line of a frontend becomes, for Isobar.
fn line(old: &str) -> Vec<String> {
    let mut loaded = loaded(&format!("frontend f\n mode http\n {old}\n"));
    modernize(&mut loaded, true);
    let section = loaded.sections.pop().expect("a section");
    let words = |line: &crate::lang::Line| line.words.iter().map(|w| w.str()).collect::<Vec<_>>().join(" ");
    section.lines[1..].iter().map(words).collect()
}

#[test]
fn names_that_changed() {
    for (old, new) in [
        ("clitimeout 5s", "timeout client 5s"),
        ("contimeout 5s", "timeout connect 5s"),
        ("srvtimeout 5s", "timeout server 5s"),
        ("timeout srvtimeout 5s", "timeout server 5s"),
        ("redispatch", "option redispatch"),
        ("redisp", "option redispatch"),
        ("option forceclose", "option httpclose"),
        ("no option forceclose", "no option httpclose"),
        ("option independant-streams", "option independent-streams"),
        ("block if TRUE", "http-request deny if TRUE"),
        ("bind :80 process 2 name a", "bind :80 name a"),
        ("monitor-net 10.0.0.0/8", "http-request return status 200 if { src 10.0.0.0/8 }"),
        ("bind :80 name process", "bind :80 name process"),
    ] {
        assert_eq!(line(old), [new], "{old}");
    }
    for gone in ["grace 5s", "bind-process odd", "option http-tunnel", "no option http-use-htx"] {
        assert!(line(gone).is_empty(), "{gone}");
    }
    assert!(line("option http_proxy").is_empty());
    assert_eq!(line("mode health"), ["mode http", "http-request return status 200"]);
    assert_eq!(
        line("option httpchk GET /x HTTP/1.1\\r\\nHost:\\ a.test\\r\\nUser-Agent:\\ 5%\\ of\\ it"),
        [
            "option httpchk",
            "http-check send meth GET uri /x ver HTTP/1.1 hdr Host a.test hdr User-Agent 5%% of it"
        ]
    );
    assert_eq!(
        line("appsession JSESSIONID len 52 timeout 3h request-learn"),
        [
            "stick-table type string len 52 size 200k expire 3h",
            "stick store-response res.cook(JSESSIONID)",
            "stick match req.cook(JSESSIONID)",
            "stick store-request req.cook(JSESSIONID)"
        ]
    );
}

#[test]
fn lines_of_fields() {
    for (old, new) in [
        (r"reqadd X-P:\ 1%", "http-request add-header X-P 1%%"),
        (r"rspadd X-P:\ 1 if TRUE", "http-response add-header X-P 1 if TRUE"),
        (r"reqidel ^X-A:.*", "http-request del-header X-A"),
        (r"reqdel ^X-A:", "http-request del-header X-A"),
        (r"reqdel ^X-A", "http-request del-header X-A -m beg"),
        (r"rspidel ^X-(A|B):.*", "http-response del-header (?i)^X-(A|B)$ -m reg"),
        (r"rspdel ^Set-Cookie:\ a=", "http-response del-line ^Set-Cookie: a="),
        (r"reqirep ^Host: Host:\ nexus", "http-request replace-header Host (?i)^ nexus"),
        (r"reqrep ^Host:\ (.*)\.a Host:\ \1.b", r"http-request replace-header Host ^(.*)\.a \1.b"),
        (r"reqrep ^([Hh]ost:)\ (.*) \1\ x\2", r"http-request replace-header host ^(.*) x\1"),
        (r"rsprep ^(Set-Cookie:.*) \1;\ Secure", r"http-response replace-header Set-Cookie ^(.*) \1; Secure"),
        (r"rsprep ^Location:(.*) Location:\1x", r"http-response replace-header Location ^(.*) \1x"),
        // The group holds a blank that must not go.
        (r"rsprep ^Location:(.*) Location:\ a\1", r"http-response replace-line ^Location:(.*) Location: a\1"),
        (r"reqrep ^X-Old:\ (.*) X-New:\ \1", r"http-request replace-line ^X-Old: (.*) X-New: \1"),
        (r"reqirep Mozilla Opera", "http-request replace-line (?i)Mozilla Opera"),
        (
            r"rsprep ^HTTP/1.1\ 403(.*) HTTP/1.1\ 404\1",
            r"http-response replace-line ^HTTP/1.1 403(.*) HTTP/1.1 404\1",
        ),
    ] {
        assert_eq!(line(old).join("|").to_lowercase(), new.to_lowercase(), "{old}");
    }
}

#[test]
fn request_lines() {
    for (old, new) in [
        (r"reqrep ^([^\ :]*)\ /a/(.*) \1\ /\2", r"http-request replace-pathq ^/a/(.*) /\1"),
        (r"reqrep ^(.*)\ /a(.*) \1\ http://b\2", r"http-request replace-uri ^/a(.*) http://b\1"),
        (
            r"reqrep ^(GET|POST)\ /a(.*) \1\ /b\2 if TRUE",
            r"http-request replace-pathq ^/a(.*) /b\1 if { method GET POST } TRUE",
        ),
        (
            r"reqrep ^GET\ /a(.*) GET\ /b\1 unless X",
            r"http-request replace-pathq ^/a(.*) /b\1 unless !{ method GET } or X",
        ),
        (
            r"reqirep ^([^\ ]*)\ /a([^\ ]*)\ (.*) \1\ /b\2\ \3",
            r"http-request replace-pathq (?i)^/a([^ ]*)$ /b\1",
        ),
        (r"reqrep ^([^\ ]*)\ /a.* \1\ /b\ HTTP/1.0", r"http-request replace-pathq ^/a.* /b"),
        (r"reqrep ^([^\ ]*\ /)blog[/]?(.*) \1\2", r"http-request replace-pathq ^(/)blog[/]?(.*) \1\2"),
        (r"reqrep ^([^\ ]*)\ ([^\ ]*)\ (.*) \1\ /a\2\ \3", r"http-request replace-pathq ^([^ ]*)$ /a\1"),
        // The version would get lost, the method change, or the expression is about more than the path.
        (r"reqrep ^([^\ ]*)\ /a \1\ /b", r"http-request replace-line ^([^ ]*) /a \1 /b"),
        (r"reqrep ^POST\ (.*) GET\ \1", r"http-request replace-line ^POST (.*) GET \1"),
        (r"reqrep ^([^\ ]*)\ /a(.*) \1\ /b\2\1", r"http-request replace-line ^([^ ]*) /a(.*) \1 /b\2\1"),
        (r"reqrep (.*)/a(.*) \1/b\2", r"http-request replace-line (.*)/a(.*) \1/b\2"),
    ] {
        assert_eq!(line(old).join("|"), new, "{old}");
    }
}

#[test]
fn verdicts() {
    assert_eq!(
        line(r"reqideny ^X-Bad:\ (a|b) if A or B"),
        [
            "http-request deny if { req.fhdr(X-Bad) -m reg (?i)^(a|b) } A or { req.fhdr(X-Bad) -m reg (?i)^(a|b) } B"
        ]
    );
    assert_eq!(
        line(r"reqtarpit evil$ unless A"),
        [
            "http-request set-var-fmt(txn.isobar_line) %[method] %[pathq] HTTP/%[req.ver]",
            "http-request tarpit unless !{ var(txn.isobar_line) -m reg evil$ } or A",
            r"http-request tarpit unless !{ req.hdrs -m reg (*ANYCRLF)(?m)evil$ } or A",
        ]
    );
    let allowed = line("reqallow ^X-Ok:\n reqdeny ^X-No:");
    assert_eq!(
        allowed,
        [
            "http-request set-var(txn.isobar_allowed) int(1) if { req.fhdr(X-Ok) -m reg ^ }",
            "http-request deny if !{ var(txn.isobar_allowed) -m found } { req.fhdr(X-No) -m reg ^ }",
        ]
    );
    assert_eq!(line("rspdeny ^X-No:"), ["http-response deny if { res.fhdr(X-No) -m reg ^ }"]);
    assert_eq!(line("reqsetbe ^X-No: b"), ["use_backend b if { req.fhdr(X-No) -m reg ^ }"]);
}

#[test]
fn what_does_not_change_stays_as_it_is() {
    let text =
        "# a comment\nglobal\n\tmaxconn 10   # more\n\ndefaults\n    mode http\n    timeout client \"5s\"\n";
    assert_eq!(modern(text), (text.trim_end().to_owned(), Vec::new()));
}

#[test]
fn words_are_written_as_they_were() {
    for (old, new) in [
        ("listen  web  :80\n  mode http\n", "listen web\n    bind :80\n  mode http"),
        ("listen web :80, :81\n", "listen web\n    bind :80,:81"),
        (
            "frontend f\n  reqadd X-A:\\ its\\ b if { path \"/a b\" }\n",
            "frontend f\n  http-request add-header X-A 'its b' if { path \"/a b\" }",
        ),
        (
            "frontend f\n  reqadd X-A:\\ it\\'s\\ $b if { path /a\\ b }\n",
            "frontend f\n  http-request add-header X-A \"it's \\$b\" if { path /a\\ b }",
        ),
    ] {
        assert_eq!(modern(old).0, new, "{old}");
    }
}

#[test]
fn rules_keep_the_order_in_which_they_ran() {
    let (text, _) =
        modern("frontend f\n mode http\n reqadd A:\\ 1\n http-request deny if X\n block if Y\n bind :80\n");
    assert_eq!(
        text,
        "frontend f\n mode http\n http-request deny if Y\n http-request deny if X\n http-request add-header A 1\n bind :80"
    );
}

#[test]
fn processes_become_threads() {
    let (text, _) = modern(
        "global\n nbproc 2\n debug\n cpu-map 2 1\n stats socket /s process 1 level admin\n stats bind-process 1\n \
         accept-legacy-syntax\n",
    );
    assert_eq!(text, "global\n cpu-map 1/2 1\n stats socket /s level admin");
}

#[test]
fn programs_are_left_out_with_a_warning() {
    let old = "program api\n  command x\nfrontend f\n  bind :80";
    let (text, lost) = modern(old);
    assert_eq!(text, "  # command x\nfrontend f\n  bind :80");
    assert_eq!(lost, ["programs are left to the system's own supervisor"]);
    let mut loaded = loaded(old);
    assert!(modernize(&mut loaded, true));
    assert!(loaded.sections.iter().all(|section| section.kind() != "program"));
    assert!(loaded.diagnostics.has_warnings());
}

#[test]
fn a_frontend_that_shares_its_name_gets_another_for_haproxy() {
    let (text, _) = modern(
        "frontend a :80\n stats scope a\n acl full fe_conn(a) gt 5\n default_backend a\nbackend a\nfrontend a-frontend\n",
    );
    assert_eq!(
        text,
        "frontend a-frontend2\n    bind :80\n stats scope a-frontend2\n acl full fe_conn(a-frontend2) gt 5\n default_backend a\n\
         backend a\nfrontend a-frontend"
    );
}

#[test]
fn what_haproxy_cannot_say_is_told() {
    let (text, lost) = modern("frontend f\n reqrep Mozilla Opera\n rspidel ^Set-Cookie:\\ a=\n");
    assert_eq!(
        text,
        "frontend f\n http-response del-header Set-Cookie if { res.fhdr(Set-Cookie) -m reg (?i)^a= }"
    );
    assert_eq!(lost.len(), 2);
}

/// Nothing changes without the mode, and alerts name it.
#[test]
fn alerts_name_the_mode() {
    let mut loaded = loaded("frontend f\n reqadd A:\\ 1\n bind :80\n");
    assert!(!modernize(&mut loaded, false));
    let at = |i: usize| loaded.sections[0].lines[i].span;
    let (old, fine) = (at(0), at(1));
    let mut diagnostics = Diagnostics::default();
    diagnostics.alert(old, "old");
    diagnostics.alert(fine, "wrong");
    loaded.diagnostics = diagnostics;
    hint(&mut loaded);
    let hints: Vec<bool> = loaded.diagnostics.list.iter().map(|d| d.hint.is_some()).collect();
    assert_eq!(hints, [true, false]);
    let mut asked = self::loaded("global\n accept-legacy-syntax\nfrontend f\n reqadd A:\\ 1\n");
    assert!(modernize(&mut asked, false));
    assert_eq!(asked.sections[1].lines[0].str(0), "http-request");
    assert!(asked.diagnostics.list.iter().all(|d| d.severity == Severity::Diag));
}

#[test]
fn names_that_are_there_already() {
    let old = "listen a\n server s x:1\n server s y:1\n server s-2 z:1\nlisten a\n bind :1\nfrontend b\n bind :2\nbackend c\n";
    let new = "listen a\n server s x:1\n server s-3 y:1\n server s-2 z:1\nlisten a-2\n bind :1\nfrontend b\n bind :2\nbackend c";
    assert_eq!(modern(old), (new.to_owned(), Vec::new()));
    let mut loaded = loaded(old);
    modernize(&mut loaded, true);
    let names: Vec<&str> = loaded.sections.iter().skip(1).map(|s| s.head.str(1)).collect();
    assert_eq!(names, ["a", "a-2", "b", "c"]);
}

#[test]
fn quotes_that_were_letters() {
    let (text, lost) = modern("frontend f\n stats realm it's\n description 'all is well'\n");
    assert_eq!(text, "frontend f\n stats realm \"it's\"\n description 'all is well'");
    assert!(lost.is_empty());
}

#[test]
fn lists_of_ciphers_that_are_the_system_s() {
    let old = "global\n ssl-default-bind-ciphers PROFILE=SYSTEM\nfrontend f\n bind :1 ssl ciphers PROFILE=SYSTEM name x\n";
    assert_eq!(modern(old).0, "global\nfrontend f\n bind :1 ssl name x");
}
