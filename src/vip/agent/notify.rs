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
use super::super::spec::{FifoSpec, Hook, MailSpec, NotifySpec, Spec};
use super::hook::Running;
use super::order::Listener;
use super::script::spawn;

/// Transitions that wait; more are dropped, and that is said.
const QUEUE: usize = 1_024;
/// Programs that run at one time; the oldest is killed for one more.
const PROGRAMS: usize = 64;
/// How often it is looked whether programs have ended, and those that are to succeed.
const REAP: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(50);

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

/// Whom to tell beside the programs of each instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Audience {
    /// The name of this node in mails.
    pub(super) router_id: String,
    pub(super) mail: Option<MailSpec>,
    pub(super) fifo: Option<FifoSpec>,
}

impl Audience {
    pub(super) fn of(spec: &Spec) -> Audience {
        Audience { router_id: spec.router_id.clone(), mail: spec.mail.clone(), fifo: spec.fifo.clone() }
    }
}

enum News {
    Told(Box<Told>),
    Audience(Box<Audience>),
}

pub(super) struct Notifier {
    queue: SyncSender<News>,
    listener: Listener,
    audience: Audience,
}

impl Notifier {
    pub(super) fn start(audience: Audience, listener: Listener) -> io::Result<Notifier> {
        let (queue, news) = sync_channel(QUEUE);
        let teller = Teller {
            audience: audience.clone(),
            listener: listener.clone(),
            programs: Vec::new(),
            hooks: Vec::new(),
        };
        std::thread::Builder::new().name("vip-notify".into()).spawn(move || teller.run(&news))?;
        Ok(Notifier { queue, listener, audience })
    }

    pub(super) fn tell(&self, told: Told) {
        if self.queue.try_send(News::Told(Box::new(told))).is_err() {
            self.listener.warn("notify: too many transitions: one is not told of");
        }
    }

    /// Tells others from now on.
    pub(super) fn address(&mut self, audience: Audience) {
        if audience != self.audience
            && self.queue.try_send(News::Audience(Box::new(audience.clone()))).is_ok()
        {
            self.audience = audience;
        }
    }
}

struct Teller {
    audience: Audience,
    listener: Listener,
    programs: Vec<Child>,
    hooks: Vec<Running>,
}

impl Teller {
    fn run(mut self, queue: &Receiver<News>) {
        self.make_fifo();
        loop {
            match queue.recv_timeout(if self.hooks.is_empty() { REAP } else { LOOK }) {
                Ok(News::Told(told)) => self.tell(&told),
                Ok(News::Audience(audience)) => {
                    self.audience = *audience;
                    self.make_fifo();
                }
                Err(RecvTimeoutError::Timeout) => {}
                // What is told of the stop goes on without us.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.programs.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            self.hooks.retain_mut(|hook| hook.look(&self.listener));
        }
    }

    fn make_fifo(&self) {
        if let Some(fifo) = &self.audience.fifo
            && let Err(e) = make_fifo(Path::new(&fifo.path), fifo.owner)
        {
            self.listener.warn(&format!("{}: {e}", fifo.path));
        }
    }

    fn tell(&mut self, told: &Told) {
        let line = format!("{} \"{}\" {} {}\n", told.what, told.name, told.state.name(), told.priority);
        if let Some(fifo) = &self.audience.fifo
            && let Err(e) = write_fifo(Path::new(&fifo.path), &line)
        {
            self.listener.warn(&format!("{}: {e}", fifo.path));
        }
        let whose = (told.what, told.name.clone());
        // What an earlier transition wanted, this one does not.
        for mut gone in self.hooks.extract_if(.., |hook| hook.whose == whose) {
            gone.end();
        }
        let notify = &told.notify;
        let specific = match told.state {
            State::Master => &notify.master,
            State::Backup | State::Init => &notify.backup,
            State::Fault => &notify.fault,
            State::Stopped => &notify.stop,
        };
        if let Some(hook) = specific {
            self.start(&whose, hook, &[]);
        }
        if let Some(hook) = &notify.any {
            let arguments = [told.what, &told.name, told.state.name(), &told.priority.to_string()];
            self.start(&whose, hook, &arguments.map(String::from));
        }
        if let Some(mail) = self.audience.mail.as_ref().filter(|_| notify.mail)
            && let Err(e) = send_mail(mail, &self.audience.router_id, told)
        {
            self.listener.warn(&format!("mail to {}: {e}", mail.server));
        }
    }

    fn start(&mut self, whose: &(&'static str, String), hook: &Hook, arguments: &[String]) {
        if hook.is_watched() {
            let mut running = Running::new(whose.clone(), hook.clone(), arguments.to_vec());
            // At once: mail that follows may take its time.
            if running.look(&self.listener) {
                self.hooks.push(running);
            }
            return;
        }
        let command = &hook.command;
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
    use crate::vip::spec::Command;
    use std::net::TcpListener;

    fn told(notify: NotifySpec) -> Told {
        Told { what: "INSTANCE", name: "VI_1".into(), state: State::Master, priority: 150, notify }
    }

    #[test]
    fn programs_and_the_pipe_hear_of_a_transition() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let command = |text: String| {
            let words = vec!["/bin/sh".into(), "-c".into(), text, "x".into()];
            Hook::new(Command { words, owner: None })
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
        // Nobody at first; a reload says whom.
        let mut notifier = Notifier::start(Audience::default(), Listener::silent()).unwrap();
        notifier.address(Audience { fifo: Some(fifo), ..Audience::default() });
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
    fn the_next_transition_ends_what_has_not_succeeded_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n");
        let shell = |text: String| Command { words: vec!["/bin/sh".into(), "-c".into(), text], owner: None };
        let master =
            Hook { retries: 1_000, ..Hook::new(shell(format!("echo >> {}; exit 1", path.display()))) };
        let notifier = Notifier::start(Audience::default(), Listener::silent()).unwrap();
        notifier.tell(told(NotifySpec { master: Some(master), ..NotifySpec::default() }));
        let runs = || std::fs::read(&path).map_or(0, |text| text.len());
        for _ in 0..2_000 {
            if runs() >= 2 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(runs() >= 2, "it is not run again");
        notifier.tell(Told { state: State::Backup, ..told(NotifySpec::default()) });
        std::thread::sleep(Duration::from_millis(500));
        let before = runs();
        std::thread::sleep(Duration::from_millis(1_500));
        assert_eq!(runs(), before, "it moves an address that is another's by now");
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
