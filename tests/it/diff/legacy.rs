//! Old syntax: what Isobar does with it in legacy mode is what HAProxy does with the text that `check --modernize` makes
//! of it. And what that text says is what the old manual said.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{HTTP, one, three};
use crate::support::differential::{Run, same_of};
use crate::support::{Origin, program};

/// The text in today's syntax, and what was said beside it.
fn modernized(config: &str) -> (String, String) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(config.as_bytes()).expect("write");
    let done = Command::new(program::under_test())
        .args(["check", "--modernize"])
        .arg(file.path())
        .stdin(Stdio::null())
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    (String::from_utf8(done.stdout).expect("text"), said)
}

/// The head of an old file.
const OLD: &str = "
global
    nbproc 1
    nbthread 1
    debug
    log {log} local0
defaults
    mode http
    log global
    option httplog
    contimeout 5000
    clitimeout 5s
    srvtimeout 5s
    redispatch
    option forceclose
";

fn same(config: &str, origins: fn() -> Vec<(&'static str, Origin)>, logs: usize, traffic: fn(&mut Run)) {
    let old = format!("{OLD}{config}");
    let (modern, said) = modernized(&old);
    assert_eq!(said, "", "nothing is lost");
    for gone in ["nbproc", "clitimeout", "forceclose"] {
        let is_gone = |line: &str| line.trim_start().starts_with('#') || !line.contains(gone);
        assert!(modern.lines().all(is_gone), "{modern}");
    }
    same_of((&modern, &old), &["--legacy"], origins, logs, traffic);
}

#[test]
fn headers_are_added_removed_and_replaced() {
    same(
        "
frontend fe {ip}:{port:fe}
    reqadd X-Proto:\\ https
    reqadd X-Percent:\\ 100%\\ sure if { path_beg /p }
    reqidel ^X-Forwarded-For:.*
    reqidel ^X-Secret-
    reqidel ^X-(A|B): unless { path /keep }
    reqirep ^Host:\\ www\\.(.*)$ Host:\\ \\1 if { hdr_beg(host) -i www. }
    reqirep ^(Cookie:)\\ .*id=([0-9]+).* \\1\\ id=<\\2>
    rspadd X-Cluster:\\ default
    rspidel ^Server:
    rspirep ^(Set-Cookie:.*) \\1;\\ Secure
    rspirep ^X-Origin:\\ (.*) X-Origin:\\ via\\ \\1
    default_backend be
backend be
    server s1 {s1}
",
        one,
        4,
        |run| {
            run.get(
                "fe",
                "/",
                "X-Forwarded-For: 10.0.0.1\r\nX-Secret-Key: a\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n",
            );
            run.get("fe", "/p", "Cookie: a=b; id=17; c=d\r\nCookie: none\r\n");
            run.get("fe", "/keep", "X-A: 1\r\n");
            run.ask("fe", "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
        },
    );
}

#[test]
fn request_lines_are_replaced() {
    same(
        "
frontend fe {ip}:{port:fe}
    reqrep ^([^\\ :]*)\\ /static/(.*) \\1\\ /\\2
    reqirep ^(GET|HEAD)\\ /nexus(.*) \\1\\ /repo\\2
    reqrep ^([^\\ ]*)\\ /php/(.*)\\.php(.*)\\ (HTTP/.*) \\1\\ /\\2.html\\3\\ \\4
    reqrep ^([^\\ ]*)\\ /all.* \\1\\ /one\\ HTTP/1.1
    reqrep ^([^\\ ]*\\ /)blog[/]?(.*) \\1\\2
    default_backend be
backend be
    server s1 {s1}
",
        one,
        9,
        |run| {
            run.get("fe", "/blog", "").get("fe", "/blog/a?b", "");
            run.get("fe", "/static/a/b?c=/static/d", "");
            run.get("fe", "/Nexus/a", "");
            run.ask("fe", "POST /nexus/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            run.get("fe", "/php/a.php?b=1", "");
            run.get("fe", "/all/of/it?x", "");
            run.get("fe", "/other/static/", "");
            run.ask("fe", "GET /static/old HTTP/1.0\r\n\r\n");
        },
    );
}

#[test]
fn verdicts_on_lines() {
    same(
        "
frontend fe {ip}:{port:fe}
    acl trusted hdr(x-trust) yes
    reqideny ^[^:\\ ]*\\ /ADMIN
    reqiallow ^[^\\ ]*\\ /open
    reqdeny ^X-Bad:\\ .*evil
    reqideny passwd$
    reqdeny ^POST\\  unless trusted
    block if { path_beg /blocked }
    rspdeny ^X-Leak:
    default_backend be
backend be
    http-response add-header X-Leak yes if { src 127.0.0.255 }
    server s1 {s1}
",
        one,
        9,
        |run| {
            run.get("fe", "/admin/x", "");
            run.get("fe", "/", "X-Bad: so evil\r\n");
            run.get("fe", "/open", "X-Bad: so evil\r\n");
            run.get("fe", "/", "X-File: /etc/PASSWD\r\n");
            run.get("fe", "/", "X-File: /etc/passwd-\r\n");
            run.ask("fe", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            run.ask("fe", "POST / HTTP/1.1\r\nHost: a\r\nX-Trust: yes\r\nContent-Length: 0\r\n\r\n");
            run.get("fe", "/blocked", "");
            run.get("fe", "/", "");
        },
    );
}

#[test]
fn order_is_that_of_kinds_and_not_of_lines() {
    same(
        "
frontend fe {ip}:{port:fe}
    reqadd X-Seen:\\ added
    reqirep ^X-Seen:\\ (.*) X-Seen:\\ replaced
    http-request set-header X-Seen rule
    http-request deny if { req.hdr(x-seen) replaced }
    acl late path /late
    block if late
    http-request set-header X-Late yes if late
    default_backend be
backend be
    rspadd X-End:\\ 1
    http-response set-header X-End 2
    server s1 {s1}
",
        one,
        2,
        |run| {
            run.get("fe", "/", "");
            run.get("fe", "/late", "");
        },
    );
}

#[test]
fn addresses_monitors_and_backends_by_line() {
    same(
        "
listen a {ip}:{port:a}
    monitor-net 127.0.0.200/32
    reqsetbe ^[^\\ ]*\\ /two two
    server s1 {s1}
frontend b {ip}:{port:b}
    bind-process 1
    use_backend two if { path_beg /b }
    default_backend three
backend two
    server s2 {s2}
backend three
    server s3 {s3}
",
        three,
        4,
        |run| {
            run.get("a", "/", "").get("a", "/two", "");
            run.get("b", "/b", "").get("b", "/", "");
        },
    );
}

/// What names no field is a rule of Isobar's own on whole lines; what old HAProxy did is written beside it.
#[test]
fn whole_lines() {
    let old = format!(
        "{OLD}
frontend fe {{ip}}:{{port:fe}}
    reqrep ^X-Old-([a-z]+):\\ (.*) X-New-\\1:\\ <\\2>
    reqidel ^Cookie:\\ id=
    rsprep ^HTTP/1.1\\ 200\\ .* HTTP/1.1\\ 203\\ Changed
    rspidel ^Set-Cookie:\\ a=
    default_backend be
backend be
    http-response add-header Set-Cookie a=1
    http-response add-header Set-Cookie b=2
    server s1 {{s1}}
"
    );
    let today = format!(
        "{HTTP}    option redispatch
    option httpclose
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request set-header X-New-a <%[req.hdr(x-old-a)]> if {{ req.hdr(x-old-a) -m found }}
    http-request del-header X-Old-a
    http-request del-header Cookie if {{ req.hdr(cookie) -m beg id= }}
    http-response set-status 203 reason Changed
    default_backend be
backend be
    http-response add-header Set-Cookie b=2
    server s1 {{s1}}
"
    );
    same_of((&today, &old), &["--legacy"], one, 2, |run| {
        run.get("fe", "/", "X-Old-a: 1\r\nCookie: id=3\r\nX-Other: 2\r\n");
        run.get("fe", "/", "Cookie: other=3\r\n");
    });
}

/// HAProxy 2.6 still knows one name for two sections; the last line has no end here, and a program is left out.
#[test]
fn one_name_for_frontend_and_backend() {
    let config = format!(
        "{HTTP}
frontend web
    bind {{ip}}:{{port:fe}}
    acl busy fe_conn(web) gt 100
    use_backend other if busy
    default_backend web
backend web
    server s1 {{s1}}
backend other
    server s2 {{s2}}"
    );
    let ours = format!("program api\n    command /bin/false\n{config}");
    same_of((&format!("{config}\n"), &ours), &["--legacy"], three, 2, |run| {
        run.get("fe", "/", "").get("fe", "/b", "");
    });
}

#[test]
fn without_the_mode_the_error_names_it() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let text = "defaults\n clitimeout 5s\nlisten a :80\nfrontend b\n bind :81\n reqadd X:\\ 1\n option nothing\nbackend b\n";
    file.write_all(text.as_bytes()).expect("write");
    let check = |args: &[&str]| {
        let mut command = Command::new(program::under_test());
        let done = command.arg("-c").args(args).arg("-f").arg(file.path()).output().expect("run");
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let said = check(&[]);
    let alerts: Vec<&str> =
        said.lines().filter(|line| line.contains(&format!("{}:", file.path().display()))).collect();
    assert_eq!(alerts.len(), 5, "{said}");
    for alert in alerts {
        assert_eq!(alert.contains("'--legacy'"), !alert.contains(":7]"), "{alert}");
    }
    let said = check(&["--legacy"]);
    assert!(said.contains("unknown option 'nothing'") && !said.contains("'--legacy'"), "{said}");
}
