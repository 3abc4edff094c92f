//! `isobar reload`: makes a running process read its configuration again, and says how it went.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::args::Target;
use super::program::Exit;
use crate::os::process::signal_all;
use crate::os::signal::Signal;

/// Where packages put the master's command line and the pid file.
const SOCKETS: &[&str] = &["/run/isobar-master.sock", "/run/haproxy-master.sock"];
const PIDFILES: &[&str] = &["/run/isobar.pid", "/run/haproxy.pid"];
/// Longest answer that is read.
const ANSWER_LEN: u64 = 1 << 20;

pub(super) fn run(target: &Target) -> Exit {
    let done = match target {
        Target::Pidfile(path) => by_signal(path),
        Target::MasterSocket(address) => by_socket(address),
        Target::Default => by_default(),
    };
    match done {
        Ok(true) => Exit::Code(0),
        Ok(false) => Exit::Code(1),
        Err(text) => {
            eprintln!("isobar: reload: {text}");
            Exit::Code(1)
        }
    }
}

fn by_default() -> Result<bool, String> {
    if let Some(socket) = SOCKETS.iter().find(|path| Path::new(path).exists()) {
        return by_socket(socket);
    }
    match PIDFILES.iter().map(Path::new).find(|path| path.exists()) {
        Some(path) => by_signal(path),
        None => Err("no running process was found; name it with -p <pidfile> or -S <socket>.".into()),
    }
}

/// SIGUSR2: the outcome is in the process's own log.
fn by_signal(path: &Path) -> Result<bool, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let pid = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok()).filter(|&pid| pid > 1);
    let pid = pid.ok_or_else(|| format!("{} holds no process id.", path.display()))?;
    match signal_all(&[pid], Signal::SIGUSR2) {
        0 => Err(format!("process {pid} could not be told: {}.", std::io::Error::last_os_error())),
        _ => Ok(true),
    }
}

/// The master's command line: it answers when the reload is done.
fn by_socket(address: &str) -> Result<bool, String> {
    let failed = |e: std::io::Error| format!("{address}: {e}");
    let path = address.strip_prefix("unix@").unwrap_or(address);
    let answer = if path.starts_with('/') || address.starts_with("unix@") || !address.contains(':') {
        converse(UnixStream::connect(path).map_err(failed)?)
    } else {
        converse(TcpStream::connect(address).map_err(failed)?)
    };
    let answer = answer.map_err(failed)?;
    print!("{answer}");
    Ok(answer.starts_with("Success=1"))
}

fn converse(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"reload\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LEN).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn the_answer_decides() {
        let dir = tempfile::tempdir().unwrap();
        for (answer, good) in [("Success=1\n--\nfine\n", true), ("Success=0\n", false)] {
            let path = dir.path().join(format!("{good}"));
            let listener = UnixListener::bind(&path).unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 7];
                stream.read_exact(&mut asked).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                asked
            });
            assert_eq!(by_socket(path.to_str().unwrap()), Ok(good));
            assert_eq!(&server.join().unwrap(), b"reload\n");
        }
    }

    #[test]
    fn a_pid_file_must_hold_a_pid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        assert!(by_signal(&path).is_err());
        std::fs::write(&path, "-1\n").unwrap();
        assert!(by_signal(&path).unwrap_err().contains("no process id"));
    }
}
