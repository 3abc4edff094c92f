//! From the command line to a running program: the order of things, and the processes that are made on the way.
//!
//! 1. The command line is read; what only prints something is done.
//! 2. `-C`; the configuration is loaded and checked ([`Program::load`]); `-c` and the dumps end here.
//! 3. In the background (`-D`): the launcher waits for the rest.
//! 4. The privileged process is split off: the master (`-W`), or the opener when `user` or `chroot` take anything away.
//! 5. Limits, then [`Program::bind`], the pid file, `-sf`, then the privileges go.
//! 6. Signals are read; [`Program::run`] starts its threads and says when it is ready.
//!
//! There is one thread until step 6. What a program has to bring is `program.rs`.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use super::args::{self, Args, Command, Fault};
use super::master::{self, Master, REPLACED, tell_old};
use super::messages::Messages;
use super::notifier::Notifier;
use super::program::{Exit, Life, Program, Settings, Start};
use super::signals::{self, Event};
use super::{flags, reload, trace, version};
use crate::base::clock;
use crate::os::daemon::{Launch, Launched, Side, daemonize};
use crate::os::limits::{self, Budget, FdLimit};
use crate::os::opener::Opener;
use crate::os::process::{self, Forked};
use crate::os::signal::{Signal, Signals, die_by};
use crate::os::{daemon, notify};
use crate::{client, operator};

/// The whole program.
pub fn main() -> ExitCode {
    start(std::env::args_os(), super::node::Node::default())
}

/// Runs `program` with a command line (the program's name first). Returns for a normal exit; ends the process by
/// itself when a signal is to be its status.
pub fn start(argv: impl IntoIterator<Item = OsString>, program: impl Program) -> ExitCode {
    let started = clock::wall();
    let name = std::env::args().next().unwrap_or_default();
    let exit = match args::parse(argv) {
        Ok(Command::Run(args)) => Starting::new(*args, started).and_run(program),
        Ok(Command::Version(text)) => print(&text.text(&process::system())),
        Ok(Command::Help) => print(&flags::usage(name.rsplit('/').next().unwrap_or("isobar"))),
        Ok(Command::MemoryHelp) => print(version::MEMORY_HELP),
        Ok(Command::Condition(args, text)) => condition(&program, &args, &text),
        Ok(Command::Explain(name)) => match program.explain(&name) {
            Ok(text) => print(&text),
            Err(text) => refuse(&Fault::ours(text), &name),
        },
        Ok(Command::Trace(asked)) => match trace::trace(program, &asked) {
            Ok(text) => print(&text),
            Err(why) => refuse_with(&why),
        },
        Ok(Command::Test(trial)) => {
            let tell = |line: &str| {
                print(&format!("{line}\n"));
            };
            match trace::test(program, &trial, tell) {
                Ok(all_hold) => Exit::Code(u8::from(!all_hold)),
                Err(why) => refuse_with(&why),
            }
        }
        Ok(Command::Reload(target)) => reload::run(&target),
        Ok(Command::Operator(words)) => Exit::Code(operator::run(&words)),
        Ok(Command::Agent(options)) => client_agent(&options),
        Err(fault) => refuse(&fault, &name),
    };
    match exit {
        Exit::Code(code) => ExitCode::from(code),
        Exit::Signal(signal) => die_by(signal),
    }
}

/// `isobar agent`. It is told of and steered as a proxy is.
fn client_agent(options: &client::Options) -> Exit {
    let messages = Messages::default();
    let made = signals::take().and_then(signals::watch);
    let (steering, events) = match made {
        Ok(made) => made,
        Err(e) => {
            messages.alert(&format!("agent: {e}."));
            return Exit::Code(1);
        }
    };
    let (steering, said) = (Mutex::new(steering), messages.clone());
    let process = client::Process {
        say: Arc::new(move |severity, text| said.say(severity, text)),
        end: Arc::new(move || {
            let _ = steering.lock().unwrap_or_else(PoisonError::into_inner).send(Event::SoftStop);
        }),
    };
    let ended =
        || while events.recv().is_ok_and(|event| !matches!(event, Event::Stop(_) | Event::SoftStop)) {};
    match client::run(options, process, ended) {
        Ok(()) => Exit::Code(0),
        Err(why) => {
            messages.alert(&format!("agent: {why}."));
            Exit::Code(1)
        }
    }
}

fn print(text: &str) -> Exit {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Code(0)
}

/// What is wrong, unless that was said.
fn refuse_with(why: &str) -> Exit {
    if !why.is_empty() {
        eprintln!("isobar: {why}");
    }
    Exit::Code(1)
}

fn refuse(fault: &Fault, name: &str) -> Exit {
    match &fault.message {
        Some(message) if fault.is_ours => eprintln!("isobar: {message}"),
        Some(message) => Messages::default().alert(message),
        None => {}
    }
    if fault.usage {
        let program = name.rsplit('/').next().unwrap_or("isobar");
        eprint!("{}{}", version::VersionText::Plain.text(&process::system()), flags::usage(program));
    }
    Exit::Code(1)
}

fn condition(program: &impl Program, args: &Args, text: &str) -> Exit {
    match program.condition(args, text) {
        Ok(true) => Exit::Code(0),
        Ok(false) => Exit::Code(1),
        Err(message) => {
            Messages::default().alert(&format!("config : Failed to evaluate condition: {message}"));
            Exit::Code(2)
        }
    }
}

/// Whether the rest goes on, or the process is done.
type Step<T> = Result<T, Exit>;

/// A process on its way up.
struct Starting {
    args: Args,
    started: std::time::Duration,
    messages: Messages,
    opener: Opener,
    boot: FdLimit,
    settings: Settings,
}

/// Who this process is after the forks.
struct Role {
    notifier: Notifier,
    /// The master that this worker must not outlive.
    master: Option<i32>,
}

impl Starting {
    fn new(args: Args, started: std::time::Duration) -> Self {
        let messages = Messages::default();
        messages.set_quiet(args.quiet && !args.verbose);
        if args.is_ours {
            messages.need_no_introduction();
        }
        let (opener, settings) = (Opener::default(), Settings::default());
        Starting { args, started, messages, opener, boot: FdLimit::current(), settings }
    }

    fn and_run(mut self, program: impl Program) -> Exit {
        self.steps(program).unwrap_or_else(|exit| exit)
    }

    fn steps(&mut self, mut program: impl Program) -> Step<Exit> {
        self.change_directory()?;
        self.load(&mut program)?;
        self.check()?;
        let launch = self.daemonize()?;
        if self.settings.master_worker {
            return self.split_master(program, launch);
        }
        let program = self.split_opener(program)?;
        let notifier = Notifier::direct(self.messages.clone(), self.started, launch);
        self.worker(program, Role { notifier, master: None })
    }

    fn failed<T>(&self, text: &str) -> Step<T> {
        self.messages.alert(text);
        Err(Exit::Code(1))
    }

    fn start(&self) -> Start<'_> {
        Start { args: &self.args, opener: &self.opener, messages: &self.messages }
    }

    fn change_directory(&self) -> Step<()> {
        match &self.args.directory {
            Some(path) => match std::env::set_current_dir(path) {
                Ok(()) => Ok(()),
                Err(e) => self.failed(&format!("Could not change to directory {} : {e}", path.display())),
            },
            None => Ok(()),
        }
    }

    fn load(&mut self, program: &mut impl Program) -> Step<()> {
        if self.args.files.is_empty() {
            return match &self.args.dump_keywords {
                Some(classes) => Err(print(&program.keywords(classes))),
                None => {
                    Err(refuse(&Fault { message: None, usage: true, is_ours: false }, &self.args.program))
                }
            };
        }
        if self.args.modernize {
            let (text, is_whole) = program.modernized(&self.start());
            return Err(match (print(&text), is_whole) {
                (_, false) => Exit::Code(1),
                (done, true) => done,
            });
        }
        let Some(settings) = program.load(&self.start()) else { return Err(Exit::Code(1)) };
        self.settings = settings;
        self.lay_flags_over();
        if self.settings.warned && self.settings.zero_warning {
            return self.failed("config : Some warnings were found and 'zero-warning' is set. Aborting.");
        }
        if self.args.dump_libraries {
            let title = if self.messages.is_quiet() { "" } else { "List of loaded object files:\n" };
            print(&format!("{title}{}\n", process::libraries().join("\n")));
        }
        if let Some(classes) = &self.args.dump_keywords {
            print(&program.keywords(classes));
        }
        if let Some(dump) = self.args.dump_config {
            print(&program.configuration(dump));
        }
        Ok(())
    }

    /// The command line wins over `global`.
    fn lay_flags_over(&mut self) {
        let (args, settings) = (&self.args, &mut self.settings);
        if args.debug || args.foreground {
            (settings.daemon, settings.quiet) = (false, false);
        }
        settings.daemon |= args.daemon;
        settings.quiet |= args.quiet;
        settings.zero_warning |= args.zero_warning;
        settings.master_worker |= args.master_worker;
        settings.pidfile = args.pidfile.clone().or(settings.pidfile.take());
        settings.limits.maxconn = args.maxconn.filter(|&n| n > 0).map(u64::from).or(settings.limits.maxconn);
        settings.limits.memory_mb = args.memory_mb.filter(|&n| n > 0).or(settings.limits.memory_mb);
        self.messages.set_quiet(settings.quiet && !args.verbose);
    }

    /// `-c`, and what forbids to start.
    fn check(&self) -> Step<()> {
        let (args, settings) = (&self.args, &self.settings);
        if args.check {
            let say = |text: &str| if !self.messages.is_quiet() { print(text) } else { Exit::Code(0) };
            if settings.warned {
                say("Warnings were found.\n");
            }
            let has_master_cli = args.master_worker && !args.master_cli.is_empty();
            if !settings.listens && !has_master_cli {
                say("Configuration file has no error but will not start (no listener) => exit(2).\n");
                return Err(Exit::Code(2));
            }
            if args.verbose {
                say("Configuration file is valid\n");
            }
            return Err(Exit::Code(0));
        }
        if args.dump_config.is_some() {
            return Err(Exit::Code(0));
        }
        if !args.master_cli.is_empty() && !settings.master_worker {
            return self
                .failed("a master CLI socket was defined, but master-worker mode (-W) is not enabled.");
        }
        if !settings.listens && !settings.master_worker {
            return self.failed("No enabled listener found (check for 'bind' directives) ! Exiting.");
        }
        Ok(())
    }

    fn daemonize(&self) -> Step<Option<Launch>> {
        if !self.settings.daemon || std::env::var_os(REPLACED).is_some() {
            return Ok(None);
        }
        match daemonize() {
            Ok(Side::Background(launch)) => Ok(Some(launch)),
            Ok(Side::Launcher(Launched::Ready)) => Err(Exit::Code(0)),
            Ok(Side::Launcher(Launched::Failed { pid, code })) => {
                let kind = if code >= 128 { process::signal_name(code - 128) } else { "Exit" };
                self.messages.alert(&format!("Process {pid} exited with code {code} ({kind})"));
                Err(Exit::Code(if code == 143 { 0 } else { code }))
            }
            Err(e) => self.failed(&format!("Cannot fork: {e}")),
        }
    }

    /// `-W`: this process becomes the master, its child the worker.
    fn split_master(&mut self, program: impl Program, launch: Option<Launch>) -> Step<Exit> {
        let watchdog = notify::watchdog();
        let (ends, signals) = match Opener::ends().and_then(|ends| Ok((ends, master::signals()?))) {
            Ok(both) => both,
            Err(e) => return self.failed(&format!("Cannot prepare the master: {e}")),
        };
        let pid = std::process::id();
        match process::fork() {
            Ok(Forked::Child) => {
                drop(signals);
                self.opener.attach(ends);
                let (opener, null) = (self.opener.clone(), launch.map(Launch::into_null));
                let notifier =
                    Notifier::of_worker(self.messages.clone(), self.started, watchdog, opener, pid, null);
                self.worker(program, Role { notifier, master: Some(pid as i32) })
            }
            Ok(Forked::Parent { child }) => {
                let permit = program.permit(&self.args);
                drop(program);
                process::trim_memory();
                let server = match self.opener.serve(ends, permit) {
                    Ok(server) => server,
                    Err(e) => {
                        process::signal_all(&[child], Signal::SIGKILL);
                        return self.failed(&format!("Cannot serve the worker: {e}"));
                    }
                };
                self.messages.notice(&format!("New worker ({child}) forked"));
                if !self.settings.stay_on_failure {
                    // Sockets given by whoever started us are the worker's; a new worker could not do without them.
                    let mut keep = vec![server.as_fd().as_raw_fd(), signals.as_fd().as_raw_fd()];
                    keep.extend(launch.iter().flat_map(Launch::descriptors));
                    process::close_others(&keep);
                }
                let master = Master {
                    server,
                    signals,
                    worker: child,
                    messages: self.messages.clone(),
                    launch,
                    pidfile: self.settings.pidfile.clone(),
                    args: self.args.clone(),
                    stay_on_failure: self.settings.stay_on_failure,
                };
                Ok(Exit::Code(master.run()))
            }
            Err(e) => self.failed(&format!("Cannot fork: {e}")),
        }
    }

    /// Without a master: a child keeps the privileges, if this process is going to lose any.
    fn split_opener<P: Program>(&self, program: P) -> Step<P> {
        if !self.settings.identity.restricts() || !process::is_root() {
            return Ok(program);
        }
        let ends = match Opener::ends() {
            Ok(ends) => ends,
            Err(e) => return self.failed(&format!("Cannot prepare the opener: {e}")),
        };
        match process::fork() {
            Ok(Forked::Parent { .. }) => {
                self.opener.attach(ends);
                Ok(program)
            }
            Ok(Forked::Child) => {
                process::name_thread("isobar-opener");
                // It ends with its parent and only then: signals of the terminal reach both.
                let _signals: Option<Signals> = signals::take().ok();
                let _ = daemon::detach_streams();
                let permit = program.permit(&self.args);
                drop(program);
                process::trim_memory();
                if let Ok(mut server) = self.opener.serve(ends, permit) {
                    process::close_others(&[std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(
                        &server,
                    ))]);
                    server.run();
                }
                std::process::exit(0)
            }
            Err(e) => self.failed(&format!("Cannot fork: {e}")),
        }
    }

    /// The process that carries traffic.
    fn worker(&mut self, mut program: impl Program, role: Role) -> Step<Exit> {
        let signals = match signals::take() {
            Ok(signals) => signals,
            Err(e) => return self.failed(&format!("Cannot take the signals: {e}")),
        };
        let budget = self.limit()?;
        self.bind(&mut program)?;
        if role.master.is_none() {
            if let (true, Some(path)) = (self.settings.daemon, &self.settings.pidfile)
                && let Err(e) = process::write_pidfile(path)
            {
                process::signal_all(&self.args.old_pids, Signal::SIGTTIN);
                return self.failed(&format!("Cannot create pidfile {}: {e}", path.display()));
            }
            tell_old(&self.args);
        }
        self.drop_privileges()?;
        if let Some(master) = role.master {
            let _ = process::die_with_parent(Signal::SIGTERM);
            if process::parent() != master {
                return self.failed("The master is gone.");
            }
        }
        let (steering, events) = match signals::watch(signals) {
            Ok(both) => both,
            Err(e) => return self.failed(&format!("Cannot start a thread: {e}")),
        };
        let notifier = Arc::new(role.notifier);
        let (args, opener, messages) = (self.args.clone(), self.opener.clone(), self.messages.clone());
        let exit = program.run(Life {
            args,
            opener,
            messages,
            budget,
            notifier: notifier.clone(),
            events,
            steering,
        });
        notifier.stopping();
        Ok(exit)
    }

    fn limit(&self) -> Step<Budget> {
        let budget = self.settings.limits.budget(self.boot);
        if budget.automatic && self.args.verbose {
            self.messages.notice(&format!("Automatically setting global.maxconn to {}.", budget.maxconn));
        }
        if let Err(e) = limits::raise_descriptors(budget.descriptors.max(budget.maxsock)) {
            self.lax(&e.to_string())?;
        }
        if let Some(megabytes) = self.settings.limits.memory_mb
            && limits::limit_memory(megabytes).is_err()
        {
            self.lax(&format!("Cannot fix MEM limit to {megabytes} megs."))?;
        }
        Ok(budget)
    }

    /// A limit that cannot be set: fatal, unless the configuration says otherwise.
    fn lax(&self, text: &str) -> Step<()> {
        if !self.settings.lax_limits {
            return self.failed(text);
        }
        self.messages.warning(text);
        Ok(())
    }

    /// Older processes are asked to pause, then to resume if it did not help (management manual, section 4).
    fn bind(&self, program: &mut impl Program) -> Step<()> {
        let old = &self.args.old_pids;
        let mut tries = if old.is_empty() { 0 } else { 100 };
        loop {
            match program.bind(&self.start(), tries == 0) {
                Ok(()) => return Ok(()),
                Err(e) if e.in_use && tries > 0 => {
                    let reached = process::signal_all(old, Signal::SIGTTOU);
                    tries = if reached == 0 { 0 } else { tries - 1 };
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                Err(e) => {
                    process::signal_all(old, Signal::SIGTTIN);
                    return self.failed(&e.message);
                }
            }
        }
    }

    fn drop_privileges(&self) -> Step<()> {
        let identity = &self.settings.identity;
        if let Err(e) = self.opener.seal(identity.uid) {
            return self.failed(&format!("Cannot seal the opener: {e}"));
        }
        if let Err(e) = identity.apply() {
            return self.failed(&e.to_string());
        }
        if self.settings.set_dumpable {
            if let Err(e) = limits::unlimit_core() {
                self.lax(&format!("Failed to raise the core dump size: {e}."))?;
            }
            let _ = process::allow_core_dump();
        }
        Ok(())
    }
}
