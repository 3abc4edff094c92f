//! A cluster with a CA of its own, made and joined from the command line: `isobar cluster init|join|join-token|leave`.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::cluster::{API, Cluster, Node, SOON, loopback};
use crate::support::place::wait_until;
use crate::support::program;

const FILE: &str = include_str!("../../../conf/region-tls.cfg");

fn waiting(n: u8, more: &str) -> Node {
    at(loopback(n), &format!("n{n}"), more)
}

fn at(address: IpAddr, name: &str, more: &str) -> Node {
    let node = Node::new(address, &format!("{FILE}{more}"));
    node.env("ISOBAR_NODE", name).env("ISOBAR_ADDRESS", address).env("ISOBAR_API", address)
}

/// A node that is no neighbour of this test's four.
fn other() -> Node {
    let IpAddr::V4(address) = loopback(0) else { unreachable!("an address of version 4") };
    let [a, b, c, d] = address.octets();
    at(Ipv4Addr::new(a, b - 64, c, d).into(), "other", "")
}

/// Runs `isobar cluster ...` on a node: what it says, or why it does not.
fn isobar(cluster: &Cluster, n: usize, words: &[&str]) -> Result<String, String> {
    let address = format!("--http-addr={}:{API}", cluster.nodes[n].address);
    let mut out = Command::new(program::under_test());
    out.args(words).arg(address);
    // Where no token is asked for, none is looked at.
    let out = out.env("ISOBAR_HTTP_TOKEN", "root").output().expect("isobar runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
}

/// The `join` command that an answer shows.
fn join_of(answer: &str) -> Vec<String> {
    let line = answer.lines().find(|l| l.trim().starts_with("isobar cluster join ")).expect("a command");
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

fn join(cluster: &Cluster, n: usize, command: &[String]) -> Result<String, String> {
    isobar(cluster, n, &command.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The rows of `node ls`.
fn members(cluster: &Cluster, n: usize) -> Vec<String> {
    let list = isobar(cluster, n, &["node", "ls"]).unwrap_or_default();
    list.lines().skip(1).map(str::to_owned).collect()
}

fn started(nodes: Vec<Node>) -> Cluster {
    let mut cluster = Cluster::new(nodes);
    for n in 0..cluster.nodes.len() {
        cluster.start(n);
    }
    for node in &cluster.nodes {
        let up = wait_until(SOON, || node.api().get("/v1/status/leader").is_ok());
        assert!(up, "{}", node.said());
    }
    cluster
}

#[test]
fn a_cluster_is_made_and_joined_from_the_command_line() {
    let mut cluster = started((0..4).map(|n| waiting(n, "")).collect());
    let refused = isobar(&cluster, 1, &["cluster", "join-token", "worker"]).unwrap_err();
    assert!(refused.contains("No cluster leader"), "{refused}");
    let refused = isobar(&cluster, 1, &["cluster", "leave"]).unwrap_err();
    assert!(refused.contains("this node is not part of a cluster"), "{refused}");

    let made = isobar(&cluster, 0, &["cluster", "init"]).expect("a cluster");
    assert!(made.starts_with("Cluster initialized: current node (n0) is now a manager.\n"), "{made}");
    let again = isobar(&cluster, 0, &["cluster", "init"]).unwrap_err();
    assert!(again.contains("part of a cluster already"), "{again}");
    let (worker, manager) = (join_of(&made), isobar(&cluster, 0, &["cluster", "join-token", "manager"]));
    let manager = join_of(&manager.expect("a token"));
    let joined = join(&cluster, 1, &manager).expect("joined");
    assert_eq!(joined, "This node joined a cluster as a manager.\n");
    join(&cluster, 2, &manager).expect("joined");

    // A token with another secret, then one that was rotated, then the new one.
    let mut wrong = worker.clone();
    let last = wrong[3].pop();
    wrong[3].push(if last == Some('0') { '1' } else { '0' });
    let refused = join(&cluster, 3, &wrong).unwrap_err();
    assert!(refused.contains("the join token is not valid: it is wrong or was rotated"), "{refused}");
    assert!(
        cluster.nodes[0].said().contains("was not admitted: the join token"),
        "{}",
        cluster.nodes[0].said()
    );
    let rotated = isobar(&cluster, 1, &["cluster", "join-token", "--rotate", "worker"]).expect("another");
    assert!(rotated.starts_with("Successfully rotated worker join token.\n"), "{rotated}");
    let refused = join(&cluster, 3, &worker).unwrap_err();
    assert!(refused.contains("wrong or was rotated"), "{refused}");
    let joined = join(&cluster, 3, &join_of(&rotated)).expect("joined");
    assert_eq!(joined, "This node joined a cluster as a worker.\n");
    cluster.settle();
    let all = members(&cluster, 3);
    assert_eq!(
        all.iter().filter(|row| row.contains("Reachable") || row.contains("Leader")).count(),
        3,
        "{all:?}"
    );
    assert_eq!(all.len(), 4, "{all:?}");

    strangers_are_refused(&cluster);
    leaving(&mut cluster);
}

/// What is no TLS, and what shows a certificate of another CA.
fn strangers_are_refused(cluster: &Cluster) {
    let at = (cluster.nodes[0].address, 7400);
    let mut plain = TcpStream::connect(at).expect("a connection");
    plain.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    plain.write_all(b"ISOREG2\n").expect("written");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"ISOREG"), "{answer:?}");
    // A node of another cluster, with the token of its own, asks ours.
    let mut theirs = started(vec![other()]);
    let made = isobar(&theirs, 0, &["cluster", "init"]).expect("a cluster");
    theirs.stop(0);
    let stranger = started(vec![other()]);
    let mut theirs = join_of(&made);
    theirs[4] = format!("{}:7400", cluster.nodes[0].address);
    let refused = join(&stranger, 0, &theirs).unwrap_err();
    assert!(refused.contains("its CA is not the one that the join token names"), "{refused}");
    assert!((0..4).all(|n| cluster.writes(n)), "the cluster is as it was");
}

fn leaving(cluster: &mut Cluster) {
    isobar(cluster, 3, &["cluster", "leave"]).expect("a worker may leave");
    assert!(wait_until(SOON, || !cluster.nodes[3].is_up()), "{}", cluster.nodes[3].said());
    assert!(wait_until(SOON, || members(cluster, 0).len() == 3), "{:?}", members(cluster, 0));
    let refused = isobar(cluster, 2, &["cluster", "leave"]).unwrap_err();
    assert!(refused.contains("this node is a manager: without it 2 of 3 managers are left"), "{refused}");
    isobar(cluster, 2, &["cluster", "leave", "--force"]).expect("with force");
    assert!(wait_until(SOON, || members(cluster, 0).len() == 2), "{:?}", members(cluster, 0));
    assert!(cluster.writes(0) && cluster.writes(1));
    // It begins anew, and the cluster without it goes on.
    assert!(wait_until(SOON, || !cluster.nodes[2].is_up()));
    cluster.start(2);
    assert!(wait_until(SOON, || cluster.nodes[2].said().contains("is of no cluster yet")));
    // As an agent of Consul does it: another is left, which has the quorum alone.
    let left = cluster.nodes[1].api().put("/v1/agent/leave", "").expect("an answer");
    assert_eq!(left.status, 200, "{}", left.body);
    assert!(wait_until(SOON, || !cluster.nodes[1].is_up() && members(cluster, 0).len() == 1));
    assert!(cluster.writes(0));
    let refused = isobar(cluster, 0, &["cluster", "leave"]).unwrap_err();
    assert!(refused.contains("this node is the last manager"), "{refused}");
}

#[test]
fn three_that_share_a_secret_form_a_cluster_by_themselves() {
    let more = "    expect 3\n    join-token \"${SECRET}\"\n    retry-join \"${A}:7400\" \"${B}:7400\" \"${C}:7400\"\n";
    let node = |n: u8| {
        let node = waiting(n, more).env("SECRET", "0123456789abcdef".repeat(2));
        node.env("A", loopback(0)).env("B", loopback(1)).env("C", loopback(2))
    };
    let mut cluster = Cluster::new((0..3).map(node).collect());
    cluster.start_all();
    // What they got is theirs alone to read.
    use std::os::unix::fs::PermissionsExt;
    for name in ["member.key", "member.pem", "region.redb"] {
        let path: PathBuf = cluster.dir().join("n0").join(name);
        let mode = std::fs::metadata(&path)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    cluster.kill(1);
    cluster.start(1);
    cluster.settle();
}

#[test]
fn a_node_joins_by_its_file_and_a_cluster_of_what_is_left_keeps_its_tokens() {
    let by_file = "    retry-join \"${FIRST}:7400\"\n    join-token \"${TOKEN}\"\n";
    let mut cluster = started((0..3).map(|n| waiting(n, "")).collect());
    isobar(&cluster, 0, &["cluster", "init"]).expect("a cluster");
    let token = isobar(&cluster, 0, &["cluster", "join-token", "-q", "manager"]).expect("a token");
    let command: Vec<String> = ["cluster", "join", "--token", token.trim()].map(str::to_owned).into();
    let first = format!("{}:7400", loopback(0));
    join(&cluster, 1, &[command, vec![first]].concat()).expect("joined");
    cluster.kill(2);
    cluster.nodes[2] = waiting(2, by_file).env("FIRST", loopback(0)).env("TOKEN", token.trim());
    cluster.start(2);
    cluster.settle();
    let manages = |row: &&String| row.contains("Reachable") || row.contains("Leader");
    let managers = |cluster: &Cluster| members(cluster, 0).iter().filter(manages).count();
    assert!(wait_until(SOON, || managers(&cluster) == 3), "{:?}", members(&cluster, 0));

    cluster.kill(1);
    cluster.kill(2);
    cluster.kill(0);
    let dir = cluster.dir().join("n0").display().to_string();
    let made =
        Command::new(program::under_test()).args(["cluster", "force-new", &dir]).output().expect("isobar");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    cluster.start(0);
    assert!(wait_until(SOON, || cluster.writes(0)), "{}", cluster.nodes[0].said());
    let same = isobar(&cluster, 0, &["cluster", "join-token", "-q", "manager"]).expect("a token");
    assert_eq!(same, token);
    // The others begin anew, the second by its file.
    std::fs::remove_dir_all(cluster.dir().join("n2")).expect("removed");
    let down = |cluster: &Cluster| members(cluster, 0).iter().filter(|m| m.contains("Down")).count();
    assert!(wait_until(SOON, || down(&cluster) == 2), "{:?}", members(&cluster, 0));
    cluster.start(2);
    assert!(wait_until(SOON, || cluster.writes(2)), "{}", cluster.nodes[2].said());
    assert_eq!(down(&cluster), 1, "{:?}", members(&cluster, 0));
}

#[test]
fn a_reload_through_the_api_says_what_is_wrong() {
    let mut cluster = started(vec![waiting(0, "    expect 1\n")]);
    cluster.settle();
    let good = cluster.nodes[0].api().put("/v1/agent/reload", "").expect("an answer");
    assert_eq!(good.status, 200, "{}", good.body);
    cluster.nodes[0].append("frontend f\n    bidn :1\n");
    let bad = cluster.nodes[0].api().put("/v1/agent/reload", "").expect("an answer");
    assert_eq!(bad.status, 500, "{}", bad.body);
    assert!(bad.body.contains("bidn"), "{}", bad.body);
    assert!(cluster.writes(0));
}

/// What a process has in memory that it may write to, or was given.
fn memory(pid: u32) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("its maps");
    let file = std::fs::File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains("rw")) {
        let Some((from, to)) = line.split_whitespace().next().and_then(|range| range.split_once('-')) else {
            continue;
        };
        let (from, to) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16));
        let (Ok(from), Ok(to)) = (from, to) else { continue };
        let mut at = from;
        let mut page = vec![0; 1 << 16];
        while at < to {
            let length = page.len().min((to - at) as usize);
            match file.read_at(&mut page[..length], at) {
                Ok(read) if read > 0 => all.extend_from_slice(&page[..read]),
                // Not there: nothing was written to it.
                _ => {}
            }
            at += length as u64;
        }
    }
    all
}

fn holds(text: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(text, what).is_some()
}

#[test]
fn neither_the_memory_nor_the_data_dir_of_a_worker_has_a_managers_secret() {
    const FILE: &str = "manager.keys";
    const ROOT: &str = "    write-token root\n";
    let nodes = (0..3).map(|n| waiting(n, ROOT)).collect();
    let cluster = started(nodes);
    let asked = |n: usize, words: &[&str]| isobar(&cluster, n, words);
    let made = asked(0, &["cluster", "init"]).expect("a cluster");
    let (worker, manager) =
        (join_of(&made), asked(0, &["cluster", "join-token", "manager"]).expect("a token"));
    let manager = join_of(&manager);
    for (n, command) in [(1, &manager), (2, &worker)] {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        asked(n, &words).expect("joined");
    }
    // The worker knows the token that it came with: that one is over.
    // Who joined as a manager is one once it has caught up.
    let mut another = String::new();
    let rotate = ["cluster", "join-token", "--rotate", "worker"];
    assert!(wait_until(SOON, || asked(1, &rotate).map(|told| another = told).is_ok()), "no manager");
    let worker = join_of(&another);
    let token = r#"{"Description":"of a client"}"#;
    let answer = cluster.nodes[0].api().put("/v1/acl/token?token=root", token).expect("an answer").json();
    let secret = answer["SecretID"].as_str().expect("a secret").to_owned();
    let accessor = answer["AccessorID"].as_str().expect("an accessor").to_owned();
    let path = format!("/v1/acl/token/{accessor}?token=root");
    let seen = |n: usize| cluster.nodes[n].api().get(&path).ok().map(|r| r.json()["SecretID"].clone());
    assert!(wait_until(SOON, || seen(2).is_some_and(|s| s == "<hidden>")), "{:?}", seen(2));
    assert!(wait_until(SOON, || seen(1).is_some_and(|s| s == secret.as_str())), "{:?}", seen(1));
    let keys = std::fs::read(cluster.dir().join("n0").join(FILE)).expect("the keys of a manager");
    let end = keys.len();
    let mut secrets =
        vec![("an API token", secret.as_bytes().to_vec()), ("a key", keys[end - 32..].to_vec())];
    for (name, command) in [("the manager's token", &manager), ("the worker's", &worker)] {
        secrets.push((name, command[3].rsplit('-').next().expect("a secret").as_bytes().to_vec()));
    }
    let process = |n: usize| memory(cluster.nodes[n].pid());
    let (worker, manager) = (process(2), process(0));
    let mut found = 0;
    for (name, secret) in &secrets {
        assert!(secret.len() >= 16 && !holds(&worker, secret), "a worker has {name} in memory");
        found += usize::from(holds(&manager, secret));
    }
    assert!(found > 0, "the search finds what is there");
    assert!(!cluster.dir().join("n2").join(FILE).exists());
    for entry in std::fs::read_dir(cluster.dir().join("n2")).expect("its directory").flatten() {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        for (name, secret) in &secrets {
            assert!(!holds(&text, secret), "a worker has {name} in {:?}", entry.file_name());
        }
    }
    // By its token a client is known at the worker nevertheless.
    let own =
        cluster.nodes[2].api().get(&format!("/v1/acl/token/self?token={secret}")).expect("an answer").json();
    assert_eq!(own["AccessorID"], accessor.as_str());
    let rotated = asked(1, &["cluster", "rotate-ca"]).expect("rotated");
    assert!(rotated.starts_with("The cluster has a new CA"), "{rotated}");
    let writes =
        |n: usize| cluster.nodes[n].api().put("/v1/kv/a?token=root", "1").is_ok_and(|r| r.status == 200);
    assert!(wait_until(SOON, || (0..3).all(writes)), "all are well");
}

#[test]
fn a_map_is_kept_in_a_file_and_comes_back_in_another_cluster() {
    let one = started(vec![waiting(0, ""), waiting(1, "")]);
    let made = isobar(&one, 0, &["cluster", "init"]).expect("a cluster");
    join(&one, 1, &join_of(&made)).expect("joined");
    for n in 0..50 {
        let put = one.nodes[0].api().put(&format!("/v1/kv/app/{n}"), &"v".repeat(40_000)).expect("an answer");
        assert_eq!(put.status, 200, "{}", put.body);
    }
    let path = one.dir().join("backup.gz");
    let file = path.to_str().expect("a name");
    let said = isobar(&one, 1, &["cluster", "backup", file]).expect("kept");
    assert!(said.contains("bytes are in"), "{said}");
    let theirs = started(vec![other()]);
    isobar(&theirs, 0, &["cluster", "init"]).expect("a cluster");
    isobar(&theirs, 0, &["cluster", "restore", file]).expect("restored");
    let all = |cluster: &Cluster| cluster.nodes[0].api().get("/v1/kv/app/?recurse").expect("an answer").body;
    assert!(all(&one) == all(&theirs), "keys, values and indexes are the same");
    assert!(theirs.writes(0), "it lives on");
    let rows = members(&theirs, 0);
    assert!(rows.len() == 1 && rows[0].contains("other"), "it is itself: {rows:?}");
    let cut = std::fs::read(&path).expect("the file");
    std::fs::write(&path, &cut[..cut.len() / 2]).expect("written");
    let refused = isobar(&theirs, 0, &["cluster", "restore", file]).unwrap_err();
    assert!(refused.contains("the archive ends too early"), "{refused}");
}
