//! Job 13 of the operator's day: the HAProxy file, unchanged, on `*:80` before two web servers at 172.17.0.2 and
//! 172.17.0.3, asked with `curl`; one server dies and comes back.

use std::time::{Duration, Instant};

use crate::support::lab::{Lab, Running};
use crate::support::{Proxy, place, program};

const FILE: &str = include_str!("../../conf/job13.cfg");

struct Town {
    lab: Lab,
    pages: tempfile::TempDir,
}

impl Town {
    fn web(&self, host: &str, page: &str) -> Running {
        let dir = self.pages.path().join(page);
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("index.html"), page).expect("a page");
        let dir = dir.display().to_string();
        self.lab.start(host, "python3", &["-m", "http.server", "80", "--directory", &dir])
    }

    /// What `curl` gets: the body, or the status where it is not 200.
    fn ask(&self) -> String {
        let args = ["-s", "-m", "10", "-w", "\n%{http_code}", "http://172.17.0.1/"];
        let output = self.lab.run(self.lab.hub(), "curl", &args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "000"));
        if status == "200" { body.into() } else { status.into() }
    }

    fn ask_times(&self, n: usize) -> Vec<String> {
        (0..n).map(|_| self.ask()).collect()
    }

    /// Waits until several answers in a row are as wanted.
    fn settles(&self, at_most: Duration, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let start = Instant::now();
        loop {
            let answers = self.ask_times(6);
            if wanted(&answers) || start.elapsed() > at_most {
                return answers;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn alternating(answers: &[String]) -> bool {
    answers.windows(2).all(|pair| pair[0] != pair[1]) && answers.iter().all(|a| a.starts_with("node"))
}

#[test]
fn the_file_runs_unchanged() {
    let Some(mut lab) = Lab::with_hub("job13", "172.17.0.1/16") else { return };
    for tool in ["curl", "python3"] {
        if !program::installed(tool) {
            return program::skipped("job13", &format!("{tool} is not installed"));
        }
    }
    let (first, second) = (lab.host("172.17.0.2/16"), lab.host("172.17.0.3/16"));
    let town = Town { lab, pages: tempfile::tempdir().expect("a directory") };
    let node1 = town.web(&first, "node1");
    let node2 = town.web(&second, "node2");
    let up = |host: &str| {
        place::wait_until(Duration::from_secs(20), || {
            town.lab.run(host, "curl", &["-s", "-o", "/dev/null", "http://127.0.0.1/"]).status.success()
        })
    };
    assert!(up(&first) && up(&second), "the web servers do not start");

    let mut proxy = Proxy::on(FILE).netns(town.lab.hub()).spawn();
    assert!(place::wait_until(Duration::from_secs(20), || town.ask() == "node1" || !proxy.is_up()));
    assert!(proxy.is_up(), "{}", proxy.stderr());

    let answers = town.settles(Duration::from_secs(10), alternating);
    assert!(alternating(&answers), "both servers, in turn: {answers:?}");

    drop(node1);
    let answers = town.settles(Duration::from_secs(20), |a| a.iter().all(|a| a == "node2"));
    assert!(answers.iter().all(|a| a == "node2"), "only the one that lives: {answers:?}");

    drop(node2);
    let answers = town.settles(Duration::from_secs(20), |a| a.iter().all(|a| a == "503"));
    assert!(answers.iter().all(|a| a == "503"), "nobody is left: {answers:?}");

    let _node1 = town.web(&first, "node1");
    let answers = town.settles(Duration::from_secs(20), |a| a.iter().all(|a| a == "node1"));
    assert!(answers.iter().all(|a| a == "node1"), "it came back: {answers:?}");

    let _node2 = town.web(&second, "node2");
    let answers = town.settles(Duration::from_secs(20), alternating);
    assert!(alternating(&answers), "both again: {answers:?}");
    assert!(proxy.is_up(), "{}", proxy.stderr());
}
