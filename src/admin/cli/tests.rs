//! The runtime API: its answers against those of a real HAProxy 2.6, its levels, and its sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::lookup;
use super::serve::{Listener, Socket, serve};
use super::session::Session;
use super::words::commands;
use crate::admin::testing::{Fake, RECORDED};
use crate::base::clock;
use crate::config::global::{CliLevel, SeverityOutput};
use crate::model::OperState;

fn session(fake: &Arc<Fake>, level: CliLevel) -> Session {
    Session::new(fake.clone(), level, 0)
}

/// A line as a session of its own would answer it.
fn answer(fake: &Arc<Fake>, level: CliLevel, line: &str) -> String {
    let mut session = session(fake, level);
    commands(line).into_iter().map(|c| session.run(c, None).text).collect()
}

#[test]
fn answers_equal_haproxys() {
    let fake = Fake::new(RECORDED);
    let golden = include_str!("../golden/answers.txt").split("=== ").skip(1);
    for exchange in golden {
        let (command, expected) = exchange.split_once('\n').expect("a command and its answer");
        let ours = answer(&fake, CliLevel::Admin, command);
        // 2.6 forgets the end of the line of some messages.
        assert_eq!(ours.trim_end(), expected.trim_end(), "{command}");
        assert!(ours.ends_with('\n') || ours.ends_with("> ") || command == "quit", "{command}: {ours:?}");
    }
}

#[test]
fn state_changes_reach_the_server_and_the_log() {
    let fake = Fake::new(RECORDED);
    let back = fake.config.proxies[1].back.as_ref().expect("be");
    let server = back.servers.load().list[0].clone();
    let run = |line| answer(&fake, CliLevel::Admin, line);
    run("set server be/s1 state maint");
    assert_eq!(server.live.oper(), OperState::Stopped);
    assert!(fake.lines.0.lock().expect("lines")[0].contains("Server be/s1 is going DOWN for maintenance"));
    run("set server be/s1 state ready");
    assert_eq!(server.live.oper(), OperState::Running);
    run("set server be/s1 weight 0");
    assert!(!server.live.is_usable());
    run("set server #3/#1 weight 25%");
    assert_eq!(server.live.user_weight.load(Ordering::Relaxed), 2);
    run("set maxconn server be/s1 3");
    assert_eq!(server.live.maxconn.load(Ordering::Relaxed), 3);
    let text = run("set server be/s1 addr 127.0.0.9 port 80");
    assert_eq!(
        text,
        "IP changed from '127.0.0.1' to '127.0.0.9', port changed from '24010' to '80' by 'stats socket command'\n\n"
    );
    assert_eq!(server.address().to_string(), "127.0.0.9:80");
    let state = run("show servers state be");
    assert!(state.lines().any(|l| l.starts_with("3 be 1 s1 127.0.0.9 2 0 2 10 ")), "{state}");
    assert!(state.lines().any(
        |l| l.starts_with("3 be 3 s3 ::1 0 5 1 1 ") && l.ends_with(" 1 0 0 8 0 0 0 - 24012 - 0 0 - - 0")
    ));
    assert_eq!(state.lines().nth(1).map(|l| l.split(' ').count()), Some(26));
}

#[test]
fn backends_are_published_and_not() {
    let fake = Fake::new(RECORDED);
    let run = |line: &str| answer(&fake, CliLevel::Operator, line);
    let live = &fake.config.proxies[1].live;
    assert_eq!(run("unpublish backend nope"), "No such backend.\n\n");
    assert_eq!(run("unpublish backend be"), "Backend unpublished.\n\n");
    assert!(live.unpublished.load(Ordering::Relaxed));
    assert_eq!(run("publish backend be"), "Backend published.\n\n");
    assert!(!live.unpublished.load(Ordering::Relaxed));
    assert!(answer(&fake, CliLevel::User, "unpublish backend be").contains("Permission denied"));
}

#[test]
fn servers_come_and_go() {
    let fake = Fake::new(RECORDED);
    let run = |line: &str| answer(&fake, CliLevel::Admin, line);
    let back = fake.config.proxies[1].back.as_ref().expect("be");
    assert_eq!(run("add server nope/x 127.0.0.1:1"), "No such backend.\n\n");
    assert_eq!(
        run("add server be/s1 127.0.0.1:1"),
        "Already exists a server with the same name in backend.\n\n"
    );
    let missing = run("add server be/s9");
    assert!(missing.contains("'server' expects <name> and <addr>[:<port>] as arguments."), "{missing}");
    assert!(run("add server be/s9 127.0.0.1:1 nonsense").contains("nonsense"));
    assert_eq!(run("add server be/s8 127.0.0.1:1 check inter 3s rise 4"), "New server registered.\n\n");
    let check = back.check_of("s8").expect("its check");
    assert_eq!((check.inter_ms, check.rise), (3000, 4));
    assert_eq!(run("del server be/s8"), "Server deleted.\n\n");
    assert!(back.check_of("s8").is_none());
    assert_eq!(run("add server be/s9 127.0.0.1:9 weight 7"), "New server registered.\n\n");
    let added = back.servers.load().list[3].clone();
    assert_eq!((added.spec.id, added.spec.weight, added.live.is_usable()), (4, 7, false));
    assert_eq!(run("enable server be/s9"), "\n");
    assert!(added.live.is_usable());
    assert_eq!(run("del server be/s9"), "Only servers in maintenance mode can be deleted.\n\n");
    run("set server be/s9 state maint");
    added.live.used.store(1, Ordering::Relaxed);
    assert!(run("del server be/s9").starts_with("Server still has connections attached to it"));
    added.live.used.store(0, Ordering::Relaxed);
    assert_eq!(run("del server be/s9"), "Server deleted.\n\n");
    assert_eq!(run("del server be/s9"), "No such server.\n\n");
    assert_eq!(back.servers.load().list.len(), 3);
}

#[test]
fn levels_hide_and_deny() {
    let fake = Fake::new(RECORDED);
    for command in lookup::all() {
        let denied = |level| answer(&fake, level, command.entry.name) == "Permission denied\n\n";
        assert_eq!(denied(CliLevel::User), command.level > CliLevel::User, "{}", command.entry.name);
        assert_eq!(denied(CliLevel::Operator), command.level > CliLevel::Operator, "{}", command.entry.name);
    }
    assert_eq!(answer(&fake, CliLevel::Operator, "clear counters all"), "Permission denied\n\n");
    assert!(!answer(&fake, CliLevel::User, "help").contains("set server"));
    assert!(!answer(&fake, CliLevel::User, "show stat").contains("127.0.0.1"));
    assert!(answer(&fake, CliLevel::Operator, "show stat").contains("127.0.0.1:24010"));
}

#[test]
fn what_is_not_there_is_said() {
    let fake = Fake::new(RECORDED);
    let run = |line| answer(&fake, CliLevel::Admin, line);
    assert_eq!(run("dump ssl cert x.pem"), "'dump ssl cert' is not supported by this release.\n\n");
    let near = run("shw stat");
    assert!(near.starts_with("Unknown command: 'shw', but maybe"), "{near}");
    assert!(near.contains("  show stat ") && !near.contains("  set server "));
    assert!(run("set maxconn foo").contains("  set maxconn global <value>"));
    assert!(run("").starts_with("Unknown command: ''. Please enter one of the following commands only:\n"));
    assert!(run("help show").contains("  show info [typed|json] [desc] [float]   : "));
}

#[test]
fn every_example_is_a_command_of_its_table() {
    for command in lookup::all() {
        let words = super::words::words(command.entry.example);
        let found = lookup::find(&words).map(|c| c.entry.name);
        assert_eq!(found, Some(command.entry.name), "{}", command.entry.example);
        assert!(!command.entry.doc.is_empty());
    }
}

/// Sends `input`, shuts down, reads everything.
async fn exchange(path: &std::path::Path, input: &str) -> String {
    let mut stream = UnixStream::connect(path).await.expect("connect");
    stream.write_all(input.as_bytes()).await.expect("write");
    stream.shutdown().await.expect("shutdown");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("read");
    text
}

/// A socket there, until it is aborted.
fn served(
    path: &std::path::Path,
    level: CliLevel,
    severity: SeverityOutput,
    timeout_ms: u64,
) -> tokio::task::JoinHandle<std::io::Result<()>> {
    let listener = Listener::Unix(std::os::unix::net::UnixListener::bind(path).expect("bind"));
    let socket = Socket { listener, level, severity, is_master: false, timeout_ms };
    tokio::spawn(serve(socket, Fake::new(RECORDED), Arc::new(Semaphore::new(2))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_may_show_severities() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s.sock");
    let server = served(&path, CliLevel::User, SeverityOutput::String, 300);
    assert_eq!(exchange(&path, "get weight x\n").await, "[err]: Require 'backend/server'.\n\n");
    assert_eq!(exchange(&path, "show map\n").await, "[err]: Permission denied\n\n");
    let plain = exchange(&path, "set severity-output none;get weight x\n").await;
    assert_eq!(plain, "\nRequire 'backend/server'.\n\n");
    server.abort();
}

/// By the clock: none of many commands waits for a tick of a timer, of which there are a thousand a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_follow_each_other_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s.sock");
    let server = served(&path, CliLevel::Admin, SeverityOutput::None, 30_000);
    let line = format!("{}\n", vec!["show version"; 1000].join(";"));
    let mut best = u64::MAX;
    // A machine that is busy once is not busy each time.
    for _ in 0..5 {
        let start = clock::now_ms();
        assert_eq!(exchange(&path, &line).await, "3.4.0\n\n".repeat(1000));
        best = best.min(clock::now_ms() - start);
    }
    assert!(best < 1000, "{best} ms");
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_serves_lines_prompts_and_payloads() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s.sock");
    let server = served(&path, CliLevel::Admin, SeverityOutput::None, 300);
    assert_eq!(exchange(&path, "show version\n").await, "3.4.0\n\n");
    assert_eq!(exchange(&path, "show version").await, "3.4.0\n\n");
    assert_eq!(exchange(&path, "show version;show cli level;\r\n").await, "3.4.0\n\nadmin\n\n");
    let text = "prompt\nshow version\ndump ssl cert x <<\nabc\n\nquit\nshow version\n";
    let said = "\n> 3.4.0\n\n> + + 'dump ssl cert' is not supported by this release.\n\n> ";
    assert_eq!(exchange(&path, text).await, said);
    assert_eq!(exchange(&path, "prompt timed\n").await, "\n[0:01:01:01]> ");
    assert_eq!(
        exchange(&path, "prompt i;show version\nwait 5ms;get weight be/s1\n").await,
        "\n3.4.0\n\n\n10 (initial 10)\n\n"
    );
    let severe = exchange(&path, "set severity-output number;get weight x\n").await;
    assert_eq!(severe, "\n[3]: Require 'backend/server'.\n\n");
    let long = "x".repeat(20_000);
    assert_eq!(exchange(&path, &long).await, "The command line is too big.\n\n");
    // A payload without its end is no command.
    assert_eq!(exchange(&path, "show version <<\nabc\n").await, "");

    // Clients beyond the limit wait; the first to fall silent makes room.
    let held = [UnixStream::connect(&path).await.expect("1"), UnixStream::connect(&path).await.expect("2")];
    let begin = clock::now_ms();
    assert_eq!(exchange(&path, "show version\n").await, "3.4.0\n\n");
    assert!(clock::now_ms() - begin >= 200);
    drop(held);
    server.abort();
}

/// Lists of patterns and variables of rules that run, seen and changed.
#[test]
fn patterns_and_variables() {
    let fake = Fake::new(
        "global\n    set-var proc.clip_test int(5)\ndefaults\n    mode http\n    timeout client 5s\n    \
         timeout server 5s\n    timeout connect 1s\nfrontend fe\n    bind 127.0.0.1:24001\n    acl blocked src -f \
         virt@blocked\n    http-request deny if blocked\n    http-request set-header x \
         %[path,map_beg(virt@paths,none)]\n    http-request deny if { path -i -m sub /A }\n",
    );
    let run = |line| answer(&fake, CliLevel::Admin, line);
    let said = |line, expected: &str| assert_eq!(run(line).trim(), expected, "{line}");
    said("add acl virt@blocked 10.0.0.0/8", "");
    said("add acl virt@blocked nonsense.invalid", "'nonsense.invalid' is not a valid IPv4 or IPv6 address.");
    said(
        "get acl virt@blocked 10.1.2.3",
        "type=ip, case=sensitive, match=yes, idx=tree, pattern=\"10.0.0.0/8\"",
    );
    said("get acl virt@blocked 11.1.2.3", "type=ip, case=sensitive, match=no");
    assert!(
        run("show acl")
            .contains("(virt@blocked) pattern loaded from file 'virt@blocked' used by acl at frontend 'fe'")
    );
    assert!(run("show acl").contains("() acl 'path' in frontend 'fe'"));
    assert!(run("show acl virt@blocked").starts_with("0x1040 10.0.0.0/8\n"));
    said("del acl virt@blocked #0x1040", "");
    said("del acl virt@blocked 10.0.0.0/8", "Key not found.");
    said("add map virt@paths /a one", "");
    said("set map virt@paths /a two", "");
    said(
        "get map virt@paths /abc",
        "type=beg, case=sensitive, found=yes, idx=tree, key=\"/a\", value=\"two\", type=\"str\"",
    );
    said("prepare map virt@paths", "New version created: 1");
    said("add map @1 virt@paths /b three", "");
    said("get map virt@paths /b", "type=beg, case=sensitive, found=no");
    said("commit map @1 virt@paths", "");
    assert!(run("show map virt@paths").ends_with(" /b three\n\n"));
    said("add map @7 virt@paths /c d", "Version number in the future, please use 'prepare map' before.");
    said("clear map virt@paths", "");
    said("show map virt@paths", "");
    said("show map nope", "Unknown map identifier. Please use #<id> or <file>.");
    said(
        "add acl virt@paths x",
        "This ACL is shared with a map containing samples. You must use the command 'add map' to add values.",
    );
    let mut several = session(&fake, CliLevel::Admin);
    let payload = "\n/x one two\n/y three\n".to_owned();
    assert_eq!(several.run("add map virt@paths", Some(payload)).text.trim_end(), "");
    assert!(run("show map virt@paths").contains(" /x one two\n"));
    said("get var proc.clip_test", "proc.clip_test: type=sint value=<5>");
    said("get var proc.nope", "Variable not found.");
    said("set var proc.clip_test int(7)", "This command is restricted to experimental mode only.");
    said(
        "experimental-mode on; set var proc.clip_test int(7); get var proc.clip_test",
        "proc.clip_test: type=sint value=<7>",
    );
    said("experimental-mode on; set var proc.clip_test nonsense", "unknown fetch method 'nonsense'.");
}
