//! `user`: the agent is a process of its own with two capabilities; operators ask it through the proxy.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::node::Node;
use crate::support::lab::Lab;
use crate::support::place::wait_until;
use crate::support::program::is_root;

const SOON: Duration = Duration::from_secs(20);
const VIP: &str = "192.168.7.200";

fn text(priority: u8, user: &str) -> String {
    format!(
        "global\n {user}\n stats socket DIR/sock level admin\n nbthread 1\ndefaults\n mode http\n timeout client 5s\n \
         timeout server 5s\n timeout connect 5s\nfrontend web\n bind :8080\n http-request return status 200\n\
         vrrp VI_1\n interface eth0\n router-id 51\n priority {priority}\n address {VIP}\n"
    )
}

struct Pair {
    lab: Lab,
    nodes: [Node; 2],
}

impl Pair {
    fn new(test: &str, user: &str) -> Option<Pair> {
        let mut lab = Lab::with_hub(test, "192.168.7.1/24")?;
        let hosts = [lab.host("192.168.7.11/24"), lab.host("192.168.7.12/24")];
        let nodes = [Node::start(&hosts[0], &text(150, user)), Node::start(&hosts[1], &text(100, user))];
        let pair = Pair { lab, nodes };
        pair.settles([true, false], "at the start");
        Some(pair)
    }

    fn have(&self) -> [bool; 2] {
        [0, 1].map(|i| self.nodes[i].has(&self.lab, VIP))
    }

    fn settles(&self, expected: [bool; 2], what: &str) {
        let so = wait_until(SOON, || self.have() == expected);
        assert!(so, "{what}: {:?}; {} and {}", self.have(), self.nodes[0].said(), self.nodes[1].said());
    }
}

/// The process of the agent, which its guard started.
fn agent_of(pid: i32) -> i32 {
    child_of(child_of(pid, "isobar-guard"), "isobar-vip")
}

fn child_of(pid: i32, wanted: &str) -> i32 {
    let name = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let pids: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    let found = pids.iter().find(|pid| name(**pid).trim() == wanted);
    *found.unwrap_or_else(|| panic!("no {wanted} among {pids:?}"))
}

/// The name of a thread, and whether its policy is a real-time one (the 41st field of proc(5)'s stat); none when it has
/// ended meanwhile.
fn task(entry: std::io::Result<std::fs::DirEntry>) -> Option<(String, bool)> {
    let path = entry.ok()?.path();
    let stat = std::fs::read_to_string(path.join("stat")).ok()?;
    let policy = stat.rsplit(") ").next()?.split(' ').nth(38)?.to_owned();
    Some((std::fs::read_to_string(path.join("comm")).ok()?.trim().to_owned(), policy != "0"))
}

/// Whether a process runs no more. Whoever inherited it need not have asked for its status yet.
fn has_ended(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with(['Z', 'X']))
}

fn status(pid: i32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:"))).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn without_privileges_a_child_moves_the_addresses_and_leaves_none_behind() {
    let Some(pair) = Pair::new("vip::apart::child", "user nobody") else { return };
    let [first, second] = &pair.nodes;
    let (agent, guard) = (agent_of(first.pid()), child_of(first.pid(), "isobar-guard"));
    let net = format!("{:016x}", 1u64 << 12 | 1 << 13);
    assert_eq!(
        [status(agent, "CapEff"), status(agent, "CapPrm"), status(agent, "CapBnd")],
        [net.clone(), net.clone(), net]
    );
    assert_eq!(status(guard, "CapEff"), status(agent, "CapEff"));
    // What speaks and what renews runs in real time, where this machine lets it; nothing else does.
    let hurried = || -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{agent}/task")).unwrap().filter_map(task);
        tasks.filter(|(_, is)| *is).map(|(name, _)| name).collect()
    };
    let so = wait_until(SOON, || {
        let mut names = hurried();
        names.sort();
        names == ["isobar-vip", "vip-renew"] || first.said().contains("no real-time priority")
    });
    assert!(so, "{:?}", hurried());
    let dropped = || status(first.pid(), "CapEff") == "0000000000000000";
    assert!(wait_until(SOON, dropped), "{}", status(first.pid(), "CapEff"));
    let users = || [agent, first.pid(), second.pid()].map(|pid| status(pid, "Uid"));
    assert!(wait_until(SOON, || users().iter().all(|user| *user == status(agent, "Uid"))), "{:?}", users());
    assert_ne!(status(agent, "Uid"), "0");
    // The agent tells its proxy how it stands after it has acted.
    let list = || first.vip(&pair.lab, &["ls", "--socket", &first.socket().display().to_string()]);
    let is_told = || matches!(list(), (true, shown) if shown.contains("MASTER") && shown.contains(VIP));
    assert!(wait_until(SOON, is_told), "{}", list().1);
    // A proxy that is frozen answers nobody: another node has the address.
    first.signal(Signal::SIGSTOP);
    pair.settles([false, true], "frozen");
    first.signal(Signal::SIGCONT);
    pair.settles([true, false], "back");
    // The proxy dies: its agent gives up and ends.
    let given_up = || second.said().matches("gave up (priority 0)").count();
    let before = given_up();
    first.signal(Signal::SIGKILL);
    pair.settles([false, true], "killed");
    let said = wait_until(SOON, || given_up() > before);
    assert!(said, "priority 0 was not said: {}", second.said());
    assert!(wait_until(SOON, || has_ended(agent)), "the agent outlives its proxy");
    assert!(wait_until(SOON, || has_ended(guard)), "so does the guard");
}

#[test]
fn an_agent_that_dies_alone_is_followed_by_another() {
    let Some(pair) = Pair::new("vip::apart::dies", "user nobody") else { return };
    let first = &pair.nodes[0];
    for _ in 0..2 {
        let agent = agent_of(first.pid());
        kill(Pid::from_raw(agent), Signal::SIGKILL).unwrap();
        pair.settles([false, true], "its addresses lapse");
        // The next one has the configuration, is told that the proxy lives, and takes over by its priority.
        pair.settles([true, false], "the next agent");
        assert_ne!(agent_of(first.pid()), agent);
    }
    assert_eq!(first.said().matches("has failed; addresses here lapse").count(), 2, "{}", first.said());
    let list = || first.vip(&pair.lab, &["ls", "--socket", &first.socket().display().to_string()]);
    assert!(wait_until(SOON, || matches!(list(), (true, shown) if shown.contains("MASTER"))), "{}", list().1);
    // Then a graceful stop goes as ever.
    first.signal(Signal::SIGTERM);
    pair.settles([false, true], "stopped");
}

#[test]
fn a_graceful_stop_hands_over_from_a_child_too() {
    let Some(pair) = Pair::new("vip::apart::graceful", "user nobody") else { return };
    let began = Instant::now();
    pair.nodes[0].signal(Signal::SIGTERM);
    let mut gap = Duration::ZERO;
    let mut seen = Instant::now();
    while pair.have() != [false, true] && began.elapsed() < SOON {
        if pair.have() != [false, false] {
            seen = Instant::now();
        }
        gap = gap.max(seen.elapsed());
    }
    assert_eq!(pair.have(), [false, true], "{}", pair.nodes[0].said());
    assert!(gap < Duration::from_millis(500), "nobody had the address for {gap:?}");
}

#[test]
fn operators_see_and_move_addresses() {
    let Some(pair) = Pair::new("vip::apart::operators", "") else { return };
    let ask = |i: usize, args: &[&str]| {
        let socket = format!("--socket={}", pair.nodes[i].socket().display());
        let all: Vec<&str> = args.iter().copied().chain([socket.as_str()]).collect();
        pair.nodes[i].vip(&pair.lab, &all)
    };
    let is_told = || {
        let (done, shown) = ask(0, &["status", "VI_1"]);
        done && shown.contains("\"State\": \"MASTER\"") && shown.contains("\"Cause\": \"no advert")
    };
    assert!(wait_until(SOON, is_told), "{}", ask(0, &["status", "VI_1"]).1);
    assert!(!ask(0, &["move", "VI_2"]).0);
    // It leaves a node of higher priority, and stays away.
    assert_eq!(ask(0, &["move", "VI_1"]), (true, "VI_1: leaves this node.\n".to_owned()));
    pair.settles([false, true], "moved away");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(pair.have(), [false, true], "it came back");
    // Back, and to the node of lower priority without a word to the other.
    assert!(ask(0, &["move", "--here", "VI_1"]).0);
    pair.settles([true, false], "moved here");
    assert!(ask(1, &["move", "--here", "VI_1"]).0);
    pair.settles([false, true], "moved to the worse");
    // Another priority decides.
    assert!(!ask(0, &["priority", "VI_1", "255"]).0);
    assert!(ask(0, &["priority", "VI_1", "200"]).0);
    assert!(wait_until(SOON, || ask(0, &["ls"]).1.contains("200")), "{}", ask(0, &["ls"]).1);
    pair.settles([true, false], "a higher priority");
}

#[test]
fn a_capability_that_is_missing_is_named() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("isobar.cfg");
    std::fs::write(&file, text(100, "").replace("DIR", &dir.path().display().to_string())).unwrap();
    let out = std::process::Command::new("setpriv")
        .args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"])
        .arg(crate::support::program::under_test())
        .arg("-f")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("needs CAP_NET_ADMIN, which"), "{said}");
}
