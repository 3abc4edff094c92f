//! Who is told of transitions, and what makes them: programs, the FIFO, mail, tracked processes and files; programs that
//! are to succeed.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use super::node::Node;
use crate::support::lab::{Lab, Running, enter};
use crate::support::place::wait_until;

const SOON: Duration = Duration::from_secs(20);
const VIP: &str = "192.168.9.200";

fn text(place: &str, worker: &str, port: u16) -> String {
    format!(
        "global_defs {{\n notification_email {{\n  ops@example.com\n }}\n notification_email_from lb@example.com\n \
         smtp_server 127.0.0.1 {port}\n smtp_connect_timeout 5\n smtp_alert\n router_id R1\n script_user root\n \
         enable_script_security\n vrrp_notify_fifo {place}/fifo\n}}\n\
         vrrp_track_process worker {{\n process {worker}\n}}\nvrrp_track_file level {{\n file {place}/level\n weight 1\n}}\n\
         vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.1\n priority 100\n \
         virtual_ipaddress {{\n  {VIP}\n }}\n track_process {{\n  worker\n }}\n track_file {{\n  level\n }}\n \
         notify_master \"{place}/tell master\"\n notify_backup \"{place}/tell backup\"\n \
         notify_fault \"{place}/tell fault\"\n notify_stop \"{place}/tell stop\"\n notify \"{place}/tell any\"\n}}\n"
    )
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Takes mail on a host for as long as the test runs: its port, and each subject that comes.
fn mailbox(host: &str) -> (u16, Receiver<String>) {
    let ((tell, told), (tell_port, port)) = (channel(), channel());
    let host = host.to_owned();
    std::thread::spawn(move || {
        enter(&host);
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        tell_port.send(server.local_addr().unwrap().port()).unwrap();
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            stream.write_all(b"220 there\r\n").unwrap();
            let mut in_data = false;
            for line in lines.map_while(Result::ok) {
                if let Some(subject) = line.strip_prefix("Subject: ") {
                    let _ = tell.send(subject.to_owned());
                }
                let answer: &[u8] = match &*line {
                    "DATA" => b"354 go on\r\n",
                    "." => b"250 taken\r\n",
                    _ if in_data => continue,
                    _ => b"250 well\r\n",
                };
                in_data = line == "DATA";
                let _ = stream.write_all(answer);
            }
        }
    });
    (port.recv().unwrap(), told)
}

/// The lines of a FIFO that is there.
fn lines_of(path: &Path) -> Receiver<String> {
    let (tell, told) = channel();
    // Open for writing too: it does not end when a writer leaves.
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    told
}

struct Trial {
    lab: Lab,
    host: String,
    dir: tempfile::TempDir,
    worker: String,
}

impl Trial {
    fn new(test: &str) -> Option<Trial> {
        let mut lab = Lab::with_hub(test, "192.168.9.1/24")?;
        let host = lab.host("192.168.9.11/24");
        let dir = tempfile::tempdir().unwrap();
        // A name that no other process has.
        let worker = format!("told{}", std::process::id());
        std::fs::copy("/bin/sleep", dir.path().join(&worker)).unwrap();
        Some(Trial { lab, host, dir, worker })
    }

    fn start_worker(&self) -> Running {
        self.lab.start(&self.host, self.dir.path().join(&self.worker).to_str().unwrap(), &["600"])
    }

    /// What programs wrote down.
    fn told(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("told")).unwrap_or_default()
    }
}

#[test]
fn everybody_is_told_of_what_trackers_bring_about() {
    let Some(trial) = Trial::new("vip::told::everybody") else { return };
    let place = trial.dir.path();
    program(&place.join("tell"), &format!("#!/bin/sh\necho \"$*\" >> {}/told\n", place.display()));
    nix::unistd::mkfifo(&place.join("fifo"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let (fifo, (port, mail)) = (lines_of(&place.join("fifo")), mailbox(&trial.host));
    let worker = trial.start_worker();
    let node = Node::start(&trial.host, &text(&place.display().to_string(), &trial.worker, port));
    let hear = |state: &str, priority: u8| {
        let line = fifo.recv_timeout(SOON).unwrap_or_else(|_| panic!("no {state}: {}", node.said()));
        assert_eq!(line, format!("INSTANCE \"VI_1\" {state} {priority}"));
        let word = state.to_lowercase();
        let lines = [format!("{word}\n"), format!("any INSTANCE VI_1 {state} {priority}\n")];
        let all = || lines.iter().all(|line| trial.told().contains(line.as_str()));
        assert!(wait_until(SOON, all), "{state}: {}", trial.told());
        let subject = mail.recv_timeout(SOON).unwrap_or_else(|_| panic!("no mail of {state}"));
        assert_eq!(subject, format!("[R1] VRRP Instance VI_1 - Entering {state} state"));
    };
    hear("BACKUP", 100);
    hear("MASTER", 100);
    assert!(wait_until(SOON, || node.has(&trial.lab, VIP)));
    // A file's number is added to the priority.
    std::fs::write(place.join("level"), "-30\n").unwrap();
    assert!(wait_until(SOON, || node.said().contains("VI_1: priority 100 -> 70")), "{}", node.said());
    // A process that is gone is a fault, and its return ends it.
    drop(worker);
    hear("FAULT", 70);
    assert!(wait_until(SOON, || !node.has(&trial.lab, VIP)) && node.said().contains("worker is down"));
    let _worker = trial.start_worker();
    hear("BACKUP", 70);
    hear("MASTER", 70);
    node.signal(Signal::SIGTERM);
    hear("STOP", 70);
}

#[test]
fn a_program_that_is_to_succeed_is_run_until_it_does() {
    let Some(trial) = Trial::new("vip::told::retries") else { return };
    let place = trial.dir.path().display().to_string();
    let flaky = trial.dir.path().join("flaky");
    program(&flaky, &format!("#!/bin/sh\necho run >> {place}/told\ntest $(wc -l < {place}/told) -ge 3\n"));
    let text = format!(
        "vrrp VI_1\n interface eth0\n router-id 51\n version 3\n advert-interval 100ms\n address {VIP}\n \
         on master retries 5 within 30s {}\n on backup retries 5 /nonexistent/program\n",
        flaky.display()
    );
    let node = Node::start(&trial.host, &text);
    assert!(wait_until(SOON, || node.said().contains("done, after 3 runs")), "{}", node.said());
    assert_eq!(trial.told(), "run\nrun\nrun\n");
    // The one of a state that is over is not.
    assert_eq!(node.said().matches("it is run again").count(), 3, "{}", node.said());
}
