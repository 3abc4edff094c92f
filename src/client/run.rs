//! From the command line to an agent that serves, and its end.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;

use super::forwarder::MemberForwarder;
use super::keep;
use super::local::Local;
use super::members::Members;
use super::options::Options;
use super::process::Process;
use super::report::{Reporter, own_node};
use crate::catalog;
use crate::conn;
use crate::lang::Severity;
use crate::os::limits::FdLimit;
use crate::os::{self, notify};
use crate::region::map::{Command, Map, Registration};
use crate::region::prober;
use crate::region::seat::Seat;
use crate::tls::{Files, Secure};

const THREADS: usize = 2;
/// Connections of clients; what passes a request on needs a descriptor of its own.
const CONNECTIONS_LEAST: u64 = 32;
const CONNECTIONS_MOST: u64 = 16_384;
/// So that an answer to `leave` gets out.
const BREATH: Duration = Duration::from_millis(100);

/// What the API asks of the process.
struct OwnProcess {
    prober: Arc<prober::Prober>,
    reporter: Arc<Reporter>,
    secure: bool,
    end: Arc<dyn Fn() + Send + Sync>,
}

impl catalog::Process for OwnProcess {
    fn heard(&self, check: &str) {
        self.prober.heard(check);
    }

    fn join(&self, address: &str) -> Result<(), String> {
        self.reporter.members.tell(super::options::member(address, self.secure)?)
    }

    fn reload(&self) -> Result<(), String> {
        Err("an agent has no configuration to read".into())
    }

    fn leave(&self) -> Result<(), String> {
        tokio::runtime::Handle::current().block_on(self.reporter.say_leaving());
        (self.end)();
        Ok(())
    }
}

/// Runs until `ended` returns, which a signal or `/v1/agent/leave` makes it do.
pub fn run(options: &Options, process: Process, ended: impl FnOnce()) -> Result<(), String> {
    let reason = |e: std::io::Error| e.to_string();
    let dir: Option<Arc<Path>> = options.data_dir.as_deref().map(Arc::from);
    let id = keep::id(dir.as_deref(), &options.datacenter, &options.node, &place(options)).map_err(reason)?;
    let map = dir.as_deref().map_or_else(|| Ok(Map::default()), keep::holdings).map_err(reason)?;
    if let Some(other) = map.nodes().find(|node| *node.name != *options.node) {
        return Err(format!("the data-dir is of node '{}', and this is '{}'", other.name, options.node));
    }
    let secure = secure(options)?;
    let listener = TcpListener::bind(options.http_addr)
        .map_err(|e| format!("cannot listen on {}: {}", options.http_addr, crate::lang::load::reason(&e)))?;
    listener.set_nonblocking(true).map_err(reason)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("agent")
        .enable_all()
        .build()
        .map_err(reason)?;
    let _inside = runtime.enter();
    let (local, view) = Local::new(map);
    let seat = Seat::new(view, local.clone(), options.node.as_str().into(), options.region.as_str().into());
    let address = options.advertise.clone().unwrap_or_else(|| "127.0.0.1".into());
    let own = Registration { node: own_node(&seat, &id, &address), ..Registration::default() };
    let made = runtime.block_on(seat.propose(Command::Register(Box::new(own))));
    made.map_err(|e| e.to_string())?;
    let settings = prober::Settings { script_checks: options.script_checks, ..prober::Settings::default() };
    let prober = Arc::new(prober::Prober::start(seat.clone(), settings));
    let members = Arc::new(Members::new(options.join.clone(), options.token.clone(), secure));
    let told = watch::Sender::new(0);
    let forwarder = MemberForwarder { seat: seat.clone(), members: members.clone(), told: told.subscribe() };
    let reporter = Arc::new(Reporter {
        seat: seat.clone(),
        local,
        members,
        say: process.say.clone(),
        id: id.clone(),
        advertise: options.advertise.clone(),
        datacenter: options.datacenter.clone(),
        told,
        leaves: AtomicBool::new(false),
    });
    let own_process =
        OwnProcess { prober, reporter: reporter.clone(), secure: options.secure, end: process.end };
    let api = api(options, &id, &seat, own_process, forwarder);
    let listener = tokio::net::TcpListener::from_std(listener).map_err(reason)?;
    let mut tasks = vec![
        tokio::spawn(catalog::serve(vec![conn::http::Listener::Tcp(listener)], api)),
        tokio::spawn(reporter.clone().run()),
    ];
    tasks.extend(dir.map(|dir| tokio::spawn(keep::keep(seat, dir))));
    let text = format!("agent: node '{}' serves the API at {}.", options.node, options.http_addr);
    (process.say)(Severity::Notice, &text);
    notify::ready("Ready.");
    ended();
    notify::stopping();
    std::thread::sleep(BREATH);
    tasks.iter().for_each(|task| task.abort());
    // What still reports would register anew what leaves now.
    for task in tasks {
        let _ = runtime.block_on(task);
    }
    runtime.block_on(reporter.leave());
    Ok(())
}

/// What tells this agent from one of the same name on another host, or beside it on this one.
fn place(options: &Options) -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let advertise = options.advertise.as_deref().unwrap_or_default();
    format!("{}/{}/{}/{advertise}", machine.trim(), os::process::hostname(), options.http_addr)
}

/// How TLS is spoken to members.
fn secure(options: &Options) -> Result<Option<Secure>, String> {
    let files = Files {
        ca: options.ca_file.clone(),
        crt: options.client_cert.clone(),
        key: options.client_key.clone(),
    };
    let first = options.join.first().filter(|_| options.secure);
    let secure = |address: &String| files.client().and_then(|client| Secure::new(client, address));
    first.map(secure).transpose().map_err(|e| e.to_string())
}

fn api(
    options: &Options,
    id: &str,
    seat: &Seat,
    process: OwnProcess,
    forwarder: MemberForwarder,
) -> Arc<catalog::Api> {
    let settings = catalog::Settings {
        datacenter: options.datacenter.as_str().into(),
        node_name: options.node.as_str().into(),
        node_id: id.into(),
        address: options.advertise.as_deref().unwrap_or("127.0.0.1").into(),
        script_checks: options.script_checks,
        connections: (FdLimit::current().soft / 2).clamp(CONNECTIONS_LEAST, CONNECTIONS_MOST) as usize,
        ..catalog::Settings::default()
    };
    let api = catalog::Api::new(seat.clone(), settings, Arc::new(process));
    let _ = api.forwarder.set(Arc::new(forwarder));
    api
}
