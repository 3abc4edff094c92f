//! A proxy process running on a configuration text.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{place, program};

/// How long a proxy may take to listen, on a machine that is busy with other things.
const START: Duration = Duration::from_secs(20);

/// What to start; made by [`Proxy::on`].
pub struct Builder {
    config: String,
    binary: PathBuf,
    words: BTreeMap<String, String>,
    args: Vec<String>,
    open_files: Option<u32>,
    netns: Option<String>,
    env: Vec<(String, String)>,
}

/// A running proxy; it is stopped on drop, and a panic in it fails the test.
pub struct Proxy {
    child: Child,
    dir: tempfile::TempDir,
    ports: BTreeMap<String, u16>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    /// A proxy on this configuration. In the text
    /// `{port:NAME}` becomes a free port, `{ip}` the loopback address of this test, `{dir}` its directory, and
    /// `{NAME}` what [`Builder::with`] gave.
    pub fn on(config: &str) -> Builder {
        let words = BTreeMap::from([("ip".into(), place::address().to_string())]);
        Builder {
            config: config.into(),
            binary: program::under_test(),
            words,
            args: Vec::new(),
            open_files: None,
            netns: None,
            env: Vec::new(),
        }
    }

    /// The address of a `{port:NAME}`.
    pub fn addr(&self, name: &str) -> SocketAddr {
        let port = self.ports.get(name).unwrap_or_else(|| panic!("the configuration has no {{port:{name}}}"));
        SocketAddr::from((place::address(), *port))
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid(), signal);
    }

    /// All that the process wrote to stderr and stdout so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    pub fn is_up(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end of the process.
    pub fn exit(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let mut status = None;
        place::wait_until(at_most, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        status
    }

    /// How many descriptors the process holds.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }
}

impl Builder {
    /// Puts `value` where the configuration says `{name}`.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.words.insert(name.into(), value.to_string());
        self
    }

    /// Another binary than the one under test.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = path.into();
        self
    }

    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.into(), value.to_string()));
        self
    }

    /// `ulimit -n` of the process.
    pub fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Runs the process in this network namespace.
    pub fn netns(mut self, name: &str) -> Self {
        self.netns = Some(name.into());
        self
    }

    /// Fixes the port of a `{port:NAME}`, so that two programs can run on the same ports one after the other.
    pub fn port(self, name: &str, port: u16) -> Self {
        self.with(&format!("port:{name}"), port)
    }

    /// Starts the process and waits until every `{port:NAME}` listens.
    pub fn start(self) -> Proxy {
        let listens: Vec<String> = names_of_ports(&self.config);
        let mut proxy = self.spawn();
        for name in listens {
            let port = proxy.ports[&name];
            let up =
                place::wait_until(START, || place::wait_listening(port, Duration::ZERO) || !proxy.is_up());
            assert!(
                up && proxy.is_up(),
                "{{port:{name}}} never listened; the proxy said:\n{}",
                proxy.stderr()
            );
        }
        proxy
    }

    /// Starts the process without waiting for anything.
    pub fn spawn(mut self) -> Proxy {
        let dir = tempfile::Builder::new().prefix("it.").tempdir().expect("a temporary directory");
        self.words.insert("dir".into(), dir.path().display().to_string());
        let mut ports = BTreeMap::new();
        for name in names_of_ports(&self.config) {
            let key = format!("port:{name}");
            let port =
                self.words.get(&key).map_or_else(place::free_port, |p| p.parse().expect("a port number"));
            self.words.insert(key, port.to_string());
            ports.insert(name, port);
        }
        let mut text = self.config.clone();
        for (name, value) in &self.words {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, text).expect("write the configuration");
        let mut command = match (self.open_files, &self.netns) {
            (Some(most), _) => {
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(format!("ulimit -n {most} && exec \"$0\" \"$@\"")).arg(&self.binary);
                shell
            }
            (None, Some(netns)) => {
                let mut ip = Command::new("ip");
                ip.args(["netns", "exec", netns]).arg(&self.binary);
                ip
            }
            (None, None) => Command::new(&self.binary),
        };
        command.arg("-db").args(&self.args).arg("-f").arg(&file).envs(self.env);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", self.binary.display()));
        let stderr = Arc::new(Mutex::new(Vec::new()));
        collect(child.stderr.take().expect("piped"), stderr.clone());
        collect(child.stdout.take().expect("piped"), stderr.clone());
        Proxy { child, dir, ports, stderr }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let ended_before = !self.is_up();
        if !ended_before {
            self.signal(Signal::SIGTERM);
            if self.exit(Duration::from_secs(3)).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        let said = self.stderr();
        let panicked = said.contains("panicked at");
        if std::thread::panicking() {
            if !said.is_empty() {
                eprintln!(
                    "--- the proxy said{}:\n{said}",
                    if ended_before { ", and ended by itself" } else { "" }
                );
            }
        } else {
            assert!(!panicked, "a panic in the proxy:\n{said}");
        }
    }
}

fn names_of_ports(config: &str) -> Vec<String> {
    let mut names: Vec<String> = config
        .split("{port:")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.into())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut piece) {
            into.lock().unwrap().extend_from_slice(&piece[..n]);
        }
    });
}
