//! Checks that speak a protocol by themselves, on servers that speak it well and badly.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::support::differential::{Run, same};
use crate::support::place;

/// A server that says the first text at once, and one of the others for each piece that it reads.
fn speaking(texts: &'static [&'static [u8]]) -> SocketAddr {
    let listener = TcpListener::bind((place::address(), 0)).expect("listen");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut piece = [0; 512];
                for (i, text) in texts.iter().enumerate() {
                    if i > 0 && !matches!(client.read(&mut piece), Ok(1..)) {
                        return;
                    }
                    let _ = client.write_all(text);
                }
                let _ = client.read(&mut piece);
            });
        }
    });
    address
}

type Case = (&'static str, &'static [&'static [u8]]);

const GREETING: &[u8] = b"\x17\0\0\0\x0a5.7.1-check\0\x01\0\0\0abcdef";

/// The option, and what its servers say: the first one well, the others not.
const CASES: &[(&str, &[Case])] = &[
    (
        "redis-check",
        &[("good", &[b"", b"+PONG\r\n"]), ("bad", &[b"", b"-NOAUTH Authentication required.\r\n"])],
    ),
    (
        "ssl-hello-chk",
        &[
            ("alert", &[b"", b"\x15\x03\x00\x00\x02\x02\x28"]),
            ("hello", &[b"", b"\x16\x03\x00\x00\x02\x02\x28"]),
            ("bad", &[b"", b"HTTP/1.0 400 Bad\r\n\r\n"]),
        ],
    ),
    (
        "smtpchk",
        &[
            ("good", &[b"220 hi\r\n", b"250 fine\r\n", b"221 bye\r\n"]),
            ("refused", &[b"220 hi\r\n", b"502 what\r\n", b"221 bye\r\n"]),
            ("busy", &[b"554 no\r\n"]),
            ("junk", &[b"hello\r\n"]),
        ],
    ),
    ("smtpchk EHLO a.test", &[("good", &[b"220 hi\r\n", b"250-a.test\r\n250 SIZE\r\n", b"221 bye\r\n"])]),
    (
        "mysql-check",
        &[
            ("good", &[GREETING]),
            ("bad", &[b"\x16\0\0\0\xff\x15\x04#28000Access denied"]),
            ("junk", &[b"\x06\0\0\x03hello!"]),
        ],
    ),
    (
        "mysql-check user me",
        &[
            ("good", &[GREETING, b"\x07\0\0\x02\0\0\0\x02\0\0\0"]),
            ("denied", &[GREETING, b"\x16\0\0\x02\xff\x15\x04#28000Access denied"]),
        ],
    ),
    ("mysql-check user me pre-41", &[("good", &[GREETING, b"\x07\0\0\x02\0\0\0\x02\0\0\0"])]),
    (
        "pgsql-check user me",
        &[
            ("good", &[b"", b"R\0\0\0\x08\0\0\0\0"]),
            ("asks", &[b"", b"R\0\0\0\x0c\0\0\0\x05abcd"]),
            ("odd", &[b"", b"R\0\0\0\x08\0\0\0\x63"]),
            ("bad", &[b"", b"E\0\0\0\x0eSFATAL\0Cx\0\0"]),
        ],
    ),
    (
        "ldap-check",
        &[
            ("good", &[b"", b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"]),
            ("denied", &[b"", b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00"]),
            ("junk", &[b"", b"HTTP/1.0 400 Bad request\r\n\r\n"]),
        ],
    ),
];

/// What the checks of all servers have found, once each has found something. While one is under way HAProxy tells only a
/// part of what the last found.
fn found(run: &mut Run) {
    let mut settled = BTreeMap::new();
    place::wait_until(Duration::from_secs(10), || {
        let text = run.cli("show stat -1 4 -1");
        let head: Vec<String> = text.lines().next().unwrap_or("").split(',').map(str::to_owned).collect();
        let column = |name: &str| head.iter().position(|h| h.trim_start_matches("# ") == name).unwrap_or(0);
        let (proxy, server, status) = (column("pxname"), column("svname"), column("check_status"));
        let (code, words) = (column("check_code"), column("last_chk"));
        let rows: Vec<&str> = text.lines().skip(1).filter(|line| line.contains(',')).collect();
        for (at, row) in rows.iter().enumerate() {
            let fields: Vec<&str> = row.split(',').collect();
            let status = fields[status];
            if status.starts_with("* ") || status == "INI" {
                continue;
            }
            // HAProxy forgets what some protocols said when all was well.
            let words = if status == "L7OK" { "" } else { fields[words] };
            let found = [status, fields[code], words];
            settled.insert(at, format!("{}/{} {}", fields[proxy], fields[server], found.join(" ")));
        }
        rows.len() > 5 && settled.len() == rows.len()
    });
    for line in settled.values() {
        run.note("check", line);
    }
}

#[test]
fn protocols() {
    let mut config = String::from(
        "global
    nbthread 1
    stats socket {dir}/sock level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 2s
    timeout server 2s
    timeout check 2s
frontend fe
    bind {ip}:{port:fe}
    default_backend b0
",
    );
    for (i, (option, servers)) in CASES.iter().enumerate() {
        config.push_str(&format!("backend b{i}\n    option {option}\n"));
        for (name, texts) in *servers {
            config.push_str(&format!("    server {name} {} check inter 200ms\n", speaking(texts)));
        }
    }
    same(&config, Vec::new, 0, found);
}

/// A program that tells in a file, named after who started it and the server, what it was given, and ends as that name
/// says.
const PROGRAM: &str = "#!/bin/sh
file=$(dirname $0)/$PPID.$HAPROXY_PROXY_NAME.$HAPROXY_SERVER_NAME
{ echo \"$0 $*\"; env | grep -v ^_= | sort; } > $file.part
mv $file.part $file
case $HAPROXY_SERVER_NAME in
  bad) exit 3;;
  slow) sleep 30;;
  killed) kill -9 $$;;
esac
";

/// Where the program is, before anybody runs it.
fn program() -> &'static std::path::Path {
    static DIR: std::sync::LazyLock<tempfile::TempDir> = std::sync::LazyLock::new(|| {
        let dir = tempfile::Builder::new().prefix("it.").tempdir().expect("a directory");
        let program = dir.path().join("check.sh");
        std::fs::write(&program, PROGRAM).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("executable");
        dir
    });
    DIR.path()
}

fn programs_of(run: &mut Run) {
    found(run);
    let (pid, dir) = (run.proxy.pid().as_raw(), run.proxy.dir().display().to_string());
    for name in ["b.good", "b.bad", "b.unix", "l.web", "m.found"] {
        let file = program().join(format!("{pid}.{name}"));
        let is_there = place::wait_until(Duration::from_secs(10), || file.exists());
        assert!(is_there, "{name} was not checked");
        for line in std::fs::read_to_string(&file).expect("what it was given").lines() {
            run.note(name, &line.replace(&dir, "<dir>"));
        }
    }
}

#[test]
fn programs() {
    let servers = "server good 127.0.0.9:81 check inter 300ms maxconn 7
    server bad 127.0.0.9:82 check inter 300ms
    server slow 127.0.0.9:83 check inter 300ms
    server killed 127.0.0.9:84 check inter 300ms addr 127.0.0.8 port 90
    server unix /tmp/nobody.sock check inter 300ms";
    let dir = program().display();
    let config = format!(
        "global
    nbthread 1
    external-check
    insecure-fork-wanted
    stats socket {{dir}}/sock level admin
defaults
    mode http
    timeout connect 2s
    timeout client 2s
    timeout server 2s
    option external-check
    external-check path /usr/bin:/bin
    external-check command {dir}/check.sh
backend b
    {servers}
listen l
    bind {{ip}}:{{port:fe}}
    server web 127.0.0.9:85 check inter 300ms ssl verify none
backend m
    mode tcp
    external-check path {dir}:/usr/bin:/bin
    external-check command check.sh
    server found 127.0.0.9:86 check inter 300ms
"
    );
    same(&config, Vec::new, 0, programs_of);
}
