//! A small program on the real start-up code: listeners that tell who they are, and a configuration of a few words.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use isobar::app::args::{Args, DumpConfig};
use isobar::app::keywords;
use isobar::app::permit::Permit;
use isobar::app::program::{BindError, Exit, Life, Program, Settings, Start};
use isobar::app::signals::Event;
use isobar::lang::{Env, Facts, Input, LoadOptions, Places, load, render};
use isobar::os::bind::BindSpec;
use isobar::os::opener::Opener;
use isobar::os::socket;

const KINDS: &[&str] = &["global", "frontend"];

/// What a configuration says: `bind <addr>`, `crt <file>` and a few words of `global`.
#[derive(Default)]
pub struct Demo {
    binds: Vec<SocketAddr>,
    secret: String,
    listeners: Vec<TcpListener>,
}

impl Demo {
    fn read(&mut self, start: &Start<'_>) -> Option<Settings> {
        let facts = Facts::default();
        let read = |path: &Path| start.opener.read(path);
        let list = |path: &Path| start.opener.list_files(path);
        let options =
            LoadOptions { read: &read, list: &list, ..LoadOptions::new(&facts, Env::of_process(), KINDS) };
        let inputs: Vec<_> = start.args.files.iter().cloned().map(Input::Path).collect();
        let loaded = load(&inputs, options);
        let style = render::Style { pid: std::process::id(), ..render::Style::default() };
        start.messages.report(&render::report(&loaded.diagnostics, &loaded.sources, &style));
        if loaded.diagnostics.has_alerts() {
            return None;
        }
        let mut settings = Settings { warned: loaded.diagnostics.has_warnings(), ..Settings::default() };
        settings.limits.maxconn = Some(100);
        (self.binds, self.secret) = (Vec::new(), String::new());
        for line in loaded.sections.iter().flat_map(|section| &section.lines) {
            match (line.str(0), line.str(1)) {
                ("daemon", _) => settings.daemon = true,
                ("no-exit-on-failure", _) => settings.stay_on_failure = true,
                ("warn", text) => {
                    start.messages.warning(text);
                    settings.warned = true;
                }
                ("user", name) => settings.identity.uid = Some(start.opener.user(name).ok()?),
                ("group", name) => settings.identity.gid = Some(start.opener.group(name).ok()?),
                ("chroot", path) => settings.identity.chroot = Some(path.into()),
                ("bind", address) => {
                    self.binds.push(address.parse().ok()?);
                    if line.str(2) == "crt" {
                        match start.opener.read(Path::new(line.str(3))) {
                            Ok(bytes) => self.secret = String::from_utf8_lossy(&bytes).trim().to_owned(),
                            Err(e) => {
                                start.messages.alert(&format!("unable to load {}: {e}", line.str(3)));
                                return None;
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        settings.listens = !self.binds.is_empty();
        Some(settings)
    }

    fn listen(&mut self, opener: &Opener) -> Result<(), BindError> {
        let mut fresh = Vec::new();
        for &address in &self.binds {
            let spec = BindSpec { reuse_port: true, ..BindSpec::tcp(address) };
            let bound = opener.bind(&spec).and_then(|fd| {
                socket::listen(fd.as_raw_fd(), 16)?;
                Ok(fd)
            });
            match bound {
                Ok(fd) => fresh.push(TcpListener::from(fd)),
                Err(e) => {
                    let in_use = e.kind() == std::io::ErrorKind::AddrInUse;
                    return Err(BindError {
                        in_use,
                        message: format!("cannot bind socket ({e}) [{address}]"),
                    });
                }
            }
        }
        self.listeners = fresh;
        Ok(())
    }

    /// `who`, `read PATH`, `crash`.
    fn answer(&self, life: &Life, asked: &str) -> String {
        match asked.trim().split_once(' ').unwrap_or((asked.trim(), "")) {
            ("read", path) => match life.opener.read(Path::new(path)) {
                Ok(bytes) => format!("read {} bytes", bytes.len()),
                Err(e) => format!("refused: {e}"),
            },
            ("direct", path) => {
                std::fs::read(path).map_or_else(|e| format!("refused: {e}"), |_| "read".into())
            }
            ("proc", _) => life.notifier.show_proc(),
            ("crash", _) => std::process::abort(),
            _ => {
                let uid = std::fs::metadata("/proc/self").map_or("-".into(), |_| "proc".to_owned());
                format!("secret={} pid={} root={uid}", self.secret, std::process::id())
            }
        }
    }

    fn serve(&self, life: &Life) {
        for listener in &self.listeners {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            stream.set_nonblocking(false).unwrap();
            let mut asked = [0; 256];
            let length = stream.read(&mut asked).unwrap_or(0);
            let answer = self.answer(life, &String::from_utf8_lossy(&asked[..length]));
            let _ = stream.write_all(answer.as_bytes());
        }
    }
}

impl Program for Demo {
    fn condition(&self, _: &Args, text: &str) -> Result<bool, String> {
        isobar::lang::evaluate(text, &Facts::default(), &Env::default()).map_err(|e| e.to_string())
    }

    fn explain(&self, name: &str) -> Result<String, String> {
        if name == "bind" { Ok("bind <addr>\n".into()) } else { Err(format!("no keyword is named '{name}'")) }
    }

    fn keywords(&self, classes: &str) -> String {
        format!("# keywords of {classes}\n")
    }

    fn load(&mut self, start: &Start<'_>) -> Option<Settings> {
        self.read(start)
    }

    fn modernized(&self, _: &Start<'_>) -> (String, bool) {
        (String::new(), true)
    }

    fn configuration(&self, _: DumpConfig) -> String {
        "# nothing\n".into()
    }

    fn permit(&self, args: &Args) -> Permit {
        let files: Vec<PathBuf> = args.files.clone();
        let places = Places::of(&keywords::registry());
        Permit::new(&files, Facts::default(), KINDS, Env::of_process(), Arc::new(places), false)
    }

    fn bind(&mut self, start: &Start<'_>, _: bool) -> Result<(), BindError> {
        self.listen(start.opener)
    }

    fn run(mut self, life: Life) -> Exit {
        life.notifier.ready();
        loop {
            match life.events.try_recv() {
                Ok(Event::Stop(signal)) => return Exit::Signal(signal),
                Ok(Event::SoftStop) => return Exit::Code(0),
                Ok(Event::Reload) => {
                    life.notifier.reloading();
                    let start = Start { args: &life.args, opener: &life.opener, messages: &life.messages };
                    let mut next = Demo::default();
                    let taken = next.read(&start).is_some()
                        && next.listen(&life.opener).map_err(|e| life.messages.alert(&e.message)).is_ok();
                    if taken {
                        self = next;
                    }
                    life.notifier.reloaded(taken);
                }
                _ => {}
            }
            self.serve(&life);
            life.notifier.alive();
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
