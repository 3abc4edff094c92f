//! A node of ours on a host of the lab, which has a frontend and virtual routers.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::lab::Lab;
use crate::support::program::under_test;

pub struct Node {
    child: Child,
    pub host: String,
    pub dir: tempfile::TempDir,
}

impl Node {
    /// Starts it on `text`, in which `DIR` stands for a directory of its own.
    pub fn start(host: &str, text: &str) -> Node {
        let dir = tempfile::Builder::new().prefix("it.").tempdir().unwrap();
        let file = dir.path().join("isobar.cfg");
        std::fs::write(&file, text.replace("DIR", &dir.path().display().to_string())).unwrap();
        let said = std::fs::File::create(dir.path().join("said")).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", host]).arg(under_test()).arg("-f").arg(&file);
        let child =
            command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap();
        Node { child, host: host.to_owned(), dir }
    }

    pub fn pid(&self) -> i32 {
        // `ip netns exec` becomes the program.
        self.child.id() as i32
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("said")).unwrap_or_default()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    /// Whether an address is on the host.
    pub fn has(&self, lab: &Lab, address: &str) -> bool {
        let out = lab.run(&self.host, "ip", &["-o", "addr", "show", "dev", "eth0"]);
        String::from_utf8_lossy(&out.stdout).contains(&format!(" {address}/"))
    }

    /// `isobar vip`, on its host: what it prints, and whether it went well.
    pub fn vip(&self, lab: &Lab, args: &[&str]) -> (bool, String) {
        let mut all = vec!["vip"];
        all.extend(args);
        let out = lab.run(&self.host, &under_test().display().to_string(), &all);
        let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        (out.status.success(), text.into_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = kill(Pid::from_raw(self.pid()), Signal::SIGCONT);
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
