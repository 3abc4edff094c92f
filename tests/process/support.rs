//! A directory for one test, and the processes that run in it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use isobar::os::process::signal_all;
use isobar::os::signal::Signal;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The content of a file, empty while there is none.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes `a.cfg` with one listener on a free port.
    pub fn config(&self, before: &str) -> u16 {
        let port = TcpListener::bind((address(), 0)).unwrap().local_addr().unwrap().port();
        self.write("a.cfg", &format!("{before}frontend f\n bind {}:{port}\n", address()));
        port
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(line.split_whitespace()).current_dir(self.dir.path()).env("PROCESS_DEMO", "1");
        command.stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
        command
    }

    /// Runs to the end.
    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    pub fn start(&self, line: &str) -> Running {
        self.start_with(line, &[])
    }

    /// Starts the real program instead of the demo.
    pub fn start_isobar(&self, line: &str) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
        command.args(line.split_whitespace()).current_dir(self.dir.path()).stdin(Stdio::null());
        Place::spawn(command)
    }

    pub fn start_with(&self, line: &str, env: &[(&str, &str)]) -> Running {
        let mut command = self.command(line);
        command.envs(env.iter().copied());
        Place::spawn(command)
    }

    fn spawn(mut command: Command) -> Running {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = heard.clone();
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut part) {
                into.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        Running { child, heard, reader: Some(reader) }
    }

    /// One question to a listener.
    pub fn ask(&self, port: u16, text: &str) -> std::io::Result<String> {
        ask(port, text)
    }

    /// The session that a process belongs to.
    pub fn is_in_session_of(&self, pid: i32) -> i32 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after = stat.rsplit(')').next().unwrap();
        after.split_whitespace().nth(3).unwrap().parse().unwrap()
    }
}

fn ask(port: u16, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((address(), port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub struct Running {
    child: Child,
    heard: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: Signal) {
        assert_eq!(signal_all(&[self.pid()], signal), 1);
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }

    /// Asks who is there until somebody answers.
    pub fn wait_for(&mut self, port: u16) -> String {
        self.wait_for_answer(port, "who")
    }

    /// Asks until there is an answer.
    pub fn wait_for_answer(&mut self, port: u16, question: &str) -> String {
        let mut answer = String::new();
        eventually("an answer", || {
            assert_eq!(self.child.try_wait().unwrap(), None, "{}", self.stderr());
            answer = ask(port, question).unwrap_or_default();
            !answer.is_empty()
        });
        answer
    }

    /// Exit status or signal, once every process that holds the output is gone.
    pub fn end(&mut self) -> (Option<i32>, Option<i32>) {
        eventually("the process ends", || self.child.try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        eventually("its output is closed", || self.reader.as_ref().is_none_or(|r| r.is_finished()));
        (status.code(), status.signal())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            eprintln!("{}", self.stderr());
            signal_all(&[self.pid()], Signal::SIGTERM);
            std::thread::sleep(Duration::from_millis(200));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let steps = PATIENCE.as_millis() / 5;
    for _ in 0..steps {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never came true: {what}");
}

/// The loopback address of this test process. Ports of one address for all would not do: listeners share theirs
/// (SO_REUSEPORT), so that two tests that picked the same one would answer each other's questions.
pub fn address() -> Ipv4Addr {
    let pid = std::process::id();
    Ipv4Addr::new(127, 64 + ((pid >> 16) & 63) as u8, (pid >> 8) as u8, (pid as u8).clamp(1, 254))
}

/// A free port that only root can bind.
pub fn low_port() -> u16 {
    let start = 600 + (std::process::id() % 300) as u16;
    static TAKEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap();
    let port = (start..1024)
        .find(|port| !taken.contains(port) && TcpListener::bind((address(), *port)).is_ok())
        .expect("a free low port");
    taken.push(port);
    port
}
