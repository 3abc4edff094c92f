//! Isobar and keepalived share an address, each of them in each role.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::lab::Lab;
use crate::support::place::wait_until;
use crate::support::program::{installed, skipped, under_test};

const PATIENCE: Duration = Duration::from_secs(15);
const VIP: &str = "192.168.1.200";

/// A program in a host's namespace, which can be asked to end.
struct Router {
    child: Child,
    ended: bool,
}

impl Router {
    fn signal(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
        self.child.wait().unwrap();
        self.ended = true;
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(Signal::SIGTERM);
        }
    }
}

struct Pair {
    lab: Lab,
    hosts: [String; 2],
    dir: tempfile::TempDir,
    /// Whether the first is Isobar, and the second.
    isobar: [bool; 2],
    /// Lines of an instance beside those that all have.
    lines: String,
    vip: &'static str,
}

impl Pair {
    /// None where this cannot be tried.
    fn new(test: &str, isobar: [bool; 2], lines: &str, vip: &'static str) -> Option<Pair> {
        if isobar.contains(&false) && !installed("keepalived") {
            skipped(test, "keepalived is not installed");
            return None;
        }
        let mut lab = Lab::with_hub(test, "192.168.1.1/24")?;
        let hosts = [lab.host("192.168.1.11/24"), lab.host("192.168.1.12/24")];
        let dir = tempfile::tempdir().unwrap();
        Some(Pair { lab, hosts, dir, isobar, lines: lines.to_owned(), vip })
    }

    fn start(&self, i: usize) -> Router {
        let (priority, other) = ([150, 100][i], [12, 11][i]);
        let lines = self.lines.replace("PEER", &format!("192.168.1.{other}"));
        let text = format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n{lines}\n \
             virtual_ipaddress {{\n {}\n }}\n}}\n",
            self.vip
        );
        let file = self.dir.path().join(format!("{i}.conf"));
        std::fs::write(&file, text).unwrap();
        let pid = |name: &str| self.dir.path().join(format!("{i}.{name}")).display().to_string();
        let file = file.display().to_string();
        let (program, args) = if self.isobar[i] {
            (under_test(), vec!["-f".into(), file])
        } else {
            let args = ["-P", "-n", "-l", "-f", &file, "-p", &pid("pid"), "-r", &pid("vrrp")];
            (PathBuf::from("keepalived"), args.map(String::from).to_vec())
        };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.hosts[i]]).arg(program).args(args);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Router { child, ended: false }
    }

    fn has(&self, i: usize) -> bool {
        let out = self.lab.run(&self.hosts[i], "ip", &["-o", "addr", "show", "dev", "eth0"]);
        String::from_utf8_lossy(&out.stdout).contains(&format!(" {}/", self.vip))
    }

    /// Waits until the first and the second have the address or not.
    fn settles(&self, expected: [bool; 2], what: &str) {
        let is_so = || [self.has(0), self.has(1)] == expected;
        let so = wait_until(PATIENCE, is_so);
        assert!(
            so,
            "{what}: {:?} instead of {expected:?}, isobar {:?}",
            [self.has(0), self.has(1)],
            self.isobar
        );
    }

    /// Start, graceful stop, return, and the sudden end of the better one.
    fn live_through(&self) {
        let second = self.start(1);
        self.settles([false, true], "alone");
        let mut first = self.start(0);
        self.settles([true, false], "preempted");
        let began = Instant::now();
        first.signal(Signal::SIGTERM);
        self.settles([false, true], "stopped");
        assert!(began.elapsed() < Duration::from_secs(3), "priority 0 was not understood");
        let mut first = self.start(0);
        self.settles([true, false], "back");
        if self.isobar[0] {
            first.signal(Signal::SIGKILL);
            self.settles([false, true], "killed");
        }
        drop(second);
    }
}

/// Both orders, and two of ours.
fn all_pairs(test: &str, lines: &str, vip: &'static str) {
    for isobar in [[true, false], [false, true], [true, true]] {
        match Pair::new(test, isobar, lines, vip) {
            Some(pair) => pair.live_through(),
            None => return,
        }
    }
}

#[test]
fn version_2_with_a_password() {
    all_pairs(
        "vip::pair::version_2_with_a_password",
        " authentication {\n auth_type PASS\n auth_pass 1111\n }",
        VIP,
    );
}

#[test]
fn version_3_unicast() {
    all_pairs("vip::pair::version_3_unicast", " version 3\n advert_int 0.1\n unicast_peer {\n PEER\n }", VIP);
}

#[test]
fn version_3_over_ipv6() {
    all_pairs("vip::pair::version_3_over_ipv6", " advert_int 0.2", "2001:db8::200");
}

#[test]
fn a_worse_master_stays_without_preemption() {
    for isobar in [[true, false], [false, true]] {
        let test = "vip::pair::a_worse_master_stays_without_preemption";
        let Some(pair) = Pair::new(test, isobar, " version 3\n advert_int 0.5\n nopreempt", VIP) else {
            return;
        };
        let _second = pair.start(1);
        pair.settles([false, true], "alone");
        let _first = pair.start(0);
        // Far longer than preemption would take.
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!([pair.has(0), pair.has(1)], [false, true]);
    }
}
