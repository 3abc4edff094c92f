//! Telling others of transitions: programs, a named pipe and mail. A thread of its own does it, in order.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::os::child::{make_fifo, open_fifo};
use crate::os::process::kill_group;

use super::super::machine::State;
use super::super::spec::{Command, FifoSpec, MailSpec, NotifySpec};
use super::order::Listener;
use super::script::spawn;

/// Transitions that wait; more are dropped, and that is said.
const QUEUE: usize = 1_024;
/// Programs that run at one time; the oldest is killed for one more.
const PROGRAMS: usize = 64;
/// How often it is looked whether programs have ended.
const REAP: Duration = Duration::from_millis(500);

/// A transition to tell of.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// `INSTANCE` or `GROUP`.
    pub(super) what: &'static str,
    pub(super) name: String,
    pub(super) state: State,
    pub(super) priority: u8,
    pub(super) notify: NotifySpec,
}

pub(super) struct Notifier {
    queue: SyncSender<Told>,
    listener: Listener,
}

impl Notifier {
    pub(super) fn start(
        router_id: String,
        mail: Option<MailSpec>,
        fifo: Option<FifoSpec>,
        listener: Listener,
    ) -> io::Result<Notifier> {
        let (queue, told) = sync_channel(QUEUE);
        let teller = Teller { router_id, mail, fifo, listener: listener.clone(), programs: Vec::new() };
        std::thread::Builder::new().name("vip-notify".into()).spawn(move || teller.run(&told))?;
        Ok(Notifier { queue, listener })
    }

    pub(super) fn tell(&self, told: Told) {
        if let Err(e) = self.queue.try_send(told) {
            self.listener.warn(&format!("notify: {e}: a transition is not told of"));
        }
    }
}

struct Teller {
    router_id: String,
    mail: Option<MailSpec>,
    fifo: Option<FifoSpec>,
    listener: Listener,
    programs: Vec<Child>,
}

impl Teller {
    fn run(mut self, queue: &Receiver<Told>) {
        if let Some(fifo) = &self.fifo
            && let Err(e) = make_fifo(Path::new(&fifo.path), fifo.owner)
        {
            self.listener.warn(&format!("{}: {e}", fifo.path));
        }
        loop {
            match queue.recv_timeout(REAP) {
                Ok(told) => self.tell(&told),
                Err(RecvTimeoutError::Timeout) => {}
                // What is told of the stop goes on without us.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.programs.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        }
    }

    fn tell(&mut self, told: &Told) {
        let line = format!("{} \"{}\" {} {}\n", told.what, told.name, told.state.name(), told.priority);
        if let Some(fifo) = &self.fifo
            && let Err(e) = write_fifo(Path::new(&fifo.path), &line)
        {
            self.listener.warn(&format!("{}: {e}", fifo.path));
        }
        let notify = &told.notify;
        let specific = match told.state {
            State::Master => &notify.master,
            State::Backup | State::Init => &notify.backup,
            State::Fault => &notify.fault,
            State::Stopped => &notify.stop,
        };
        if let Some(command) = specific {
            self.start(command, &[]);
        }
        if let Some(command) = &notify.any {
            let arguments = [told.what, &told.name, told.state.name(), &told.priority.to_string()];
            self.start(command, &arguments.map(String::from));
        }
        if let Some(mail) = self.mail.as_ref().filter(|_| notify.mail)
            && let Err(e) = send_mail(mail, &self.router_id, told)
        {
            self.listener.warn(&format!("mail to {}: {e}", mail.server));
        }
    }

    fn start(&mut self, command: &Command, arguments: &[String]) {
        if self.programs.len() >= PROGRAMS {
            let mut oldest = self.programs.remove(0);
            kill_group(oldest.id() as i32);
            let _ = oldest.wait();
        }
        match spawn(command, arguments) {
            Ok(child) => self.programs.push(child),
            Err(e) => self.listener.warn(&format!("{}: {e}", command.words.join(" "))),
        }
    }
}

/// A line for whoever reads; nobody waits for a reader.
fn write_fifo(path: &Path, line: &str) -> io::Result<()> {
    match open_fifo(path)? {
        Some(mut file) => file.write_all(line.as_bytes()),
        None => Ok(()),
    }
}

/// What keepalived's readers know by its subject (RFC 5321, without extensions).
fn send_mail(mail: &MailSpec, router_id: &str, told: &Told) -> io::Result<()> {
    let address = (&*mail.server, mail.port).to_socket_addrs()?.next();
    let stream = TcpStream::connect_timeout(&address.ok_or(io::ErrorKind::NotFound)?, mail.timeout)?;
    stream.set_read_timeout(Some(mail.timeout))?;
    stream.set_write_timeout(Some(mail.timeout))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut session = stream;
    let kind = if told.what == "GROUP" { "VRRP Group" } else { "VRRP Instance" };
    let state = told.state.name();
    let mut say = |line: &str, expected: &str| {
        if !line.is_empty() {
            session.write_all(format!("{line}\r\n").as_bytes())?;
        }
        answer(&mut reader, expected)
    };
    say("", "2")?;
    say(&format!("HELO {}", mail.helo), "2")?;
    say(&format!("MAIL FROM:<{}>", mail.from), "2")?;
    for to in &mail.to {
        say(&format!("RCPT TO:<{to}>"), "2")?;
    }
    say("DATA", "3")?;
    let subject = format!("[{router_id}] {kind} {} - Entering {state} state", told.name);
    let to = mail.to.join(", ");
    let text = format!(
        "From: {}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n=> {kind} {} is now in {state} state <=\r\n.",
        mail.from, told.name
    );
    say(&text, "2")?;
    say("QUIT", "2")
}

/// Reads an answer of one line or several, whose code has to begin like this.
fn answer(reader: &mut impl BufRead, expected: &str) -> io::Result<()> {
    const LINES: usize = 100;
    const LENGTH: u64 = 2_048;
    for _ in 0..LINES {
        let mut line = String::new();
        io::Read::take(&mut *reader, LENGTH).read_line(&mut line)?;
        if line.as_bytes().get(3) != Some(&b'-') {
            let line = line.trim_end();
            return if line.starts_with(expected) {
                Ok(())
            } else {
                Err(io::Error::other(format!("'{line}'")))
            };
        }
    }
    Err(io::Error::other("an answer without an end"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn told(notify: NotifySpec) -> Told {
        Told { what: "INSTANCE", name: "VI_1".into(), state: State::Master, priority: 150, notify }
    }

    #[test]
    fn programs_and_the_pipe_hear_of_a_transition() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let command = |text: String| Command {
            words: vec!["/bin/sh".into(), "-c".into(), text, "x".into()],
            owner: None,
        };
        let notify = NotifySpec {
            master: Some(command(format!("echo master > {}", path("m")))),
            backup: Some(command(format!("echo wrong > {}", path("b")))),
            any: Some(command(
                format!("echo \"$@\" > {}", path("any.tmp"))
                    + &format!("; mv {} {}", path("any.tmp"), path("any")),
            )),
            ..NotifySpec::default()
        };
        let fifo = FifoSpec { path: path("fifo"), owner: None };
        make_fifo(Path::new(&fifo.path), None).unwrap();
        let reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo.path).unwrap();
        let notifier = Notifier::start("r".into(), None, Some(fifo), Listener::silent()).unwrap();
        notifier.tell(told(notify));
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).unwrap();
        assert_eq!(line, "INSTANCE \"VI_1\" MASTER 150\n");
        let read = |name: &str| {
            for _ in 0..2_000 {
                match std::fs::read_to_string(path(name)) {
                    Ok(text) if !text.is_empty() => return text,
                    _ => std::thread::sleep(Duration::from_millis(10)),
                }
            }
            panic!("{name} was not written")
        };
        assert_eq!(read("any"), "INSTANCE VI_1 MASTER 150\n");
        assert_eq!(read("m"), "master\n");
        assert!(!Path::new(&path("b")).exists());
    }

    #[test]
    fn mail_says_who_entered_what_state() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            stream.write_all(b"220-hello\r\n220 there\r\n").unwrap();
            let (mut heard, mut in_data) = (String::new(), false);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 {
                    return heard;
                }
                heard.push_str(&line);
                match line.trim_end() {
                    "DATA" => {
                        in_data = true;
                        stream.write_all(b"354 go on\r\n").unwrap();
                    }
                    "." => {
                        in_data = false;
                        stream.write_all(b"250 ok\r\n").unwrap();
                    }
                    "QUIT" => stream.write_all(b"221 bye\r\n").unwrap(),
                    _ if in_data => {}
                    _ => stream.write_all(b"250 ok\r\n").unwrap(),
                }
            }
        });
        let mail = MailSpec {
            to: vec!["a@b.c".into()],
            from: "x@y.z".into(),
            server: "127.0.0.1".into(),
            port,
            helo: "lb1".into(),
            timeout: Duration::from_secs(20),
        };
        send_mail(&mail, "R1", &told(NotifySpec::default())).unwrap();
        let heard = thread.join().unwrap();
        for line in [
            "HELO lb1",
            "MAIL FROM:<x@y.z>",
            "RCPT TO:<a@b.c>",
            "Subject: [R1] VRRP Instance VI_1 - Entering MASTER state",
        ] {
            assert!(heard.contains(line), "{heard}");
        }
    }

    #[test]
    fn an_answer_of_another_code_is_an_error() {
        assert!(answer(&mut &b"550 no\r\n"[..], "2").is_err());
        assert!(answer(&mut &b"250-a\r\n250 b\r\n"[..], "2").is_ok());
        assert!(answer(&mut &b""[..], "2").is_err());
        assert!(answer(&mut &b"250-".repeat(1_000)[..], "2").is_err());
    }
}
