//! This node's seat in the region map: its sockets, Raft, the API, the prober that runs its checks.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::catalog;
use crate::conn;
use crate::dns::explain::Responders;
use crate::os::bind::BindSpec;
use crate::os::opener::Opener;
use crate::os::{process, socket};
use crate::region::map::{Command, Name};
use crate::region::raft::{self, Options, RaftHandle};
use crate::region::rollout::{Answering, Local, Rollout};
use crate::region::spec::{Profile, SeatSpec, Spec, Tls};
use crate::region::store::FORCE_NEW;
use crate::region::{Seat, prober};
use crate::tls::{Authorities, Certified, Clients, Pem, Server, Versions};

use crate::catalog::VipOrder;
use crate::vip::agent::{InstanceStatus, Shown};

use super::change::{self, Change, Request};
use super::program::BindError;
use super::services::VipAgent;
use super::signals::Event;

/// The addresses of the `region-map` section, bound while there are still privileges.
#[derive(Default)]
pub struct SeatSockets {
    members: Option<TcpListener>,
    api: Option<TcpListener>,
}

impl SeatSockets {
    pub fn bind(spec: &Spec, opener: &Opener) -> Result<SeatSockets, BindError> {
        let Some(seat) = &spec.seat else { return Ok(SeatSockets::default()) };
        let open = |what: &str, address: Option<SocketAddr>| {
            address
                .map(|address| listen(address, opener).map_err(|e| bind_error(what, address, &e)))
                .transpose()
        };
        Ok(SeatSockets {
            members: open("bind", seat.bind.as_ref().map(|l| l.address))?,
            api: open("http-api", seat.http_api.as_ref().map(|l| l.address))?,
        })
    }
}

fn listen(address: SocketAddr, opener: &Opener) -> io::Result<TcpListener> {
    let spec = BindSpec { reuse_port: false, ..BindSpec::tcp(address) };
    let fd = opener.bind(&spec)?;
    socket::listen(fd.as_raw_fd(), spec.backlog)?;
    Ok(fd.into())
}

fn bind_error(what: &str, address: SocketAddr, e: &io::Error) -> BindError {
    BindError {
        in_use: e.kind() == io::ErrorKind::AddrInUse,
        message: format!(
            "Starting region-map: cannot bind socket of '{what}' ({}) [{address}]",
            crate::lang::load::reason(e)
        ),
    }
}

/// What the API reaches of the process around it.
pub struct Around {
    pub steering: change::ControlHandle,
    pub responders: Responders,
    pub mirror: Arc<dyn catalog::Mirror>,
    pub vips: (Shown, VipAgent),
}

/// A node that has its seat.
pub struct Seated {
    pub seat: Seat,
    pub rollout: Arc<Rollout>,
    raft: Arc<RaftHandle>,
    answering: Arc<Answering>,
    prober: Arc<prober::Prober>,
    spec: SeatSpec,
    tasks: Vec<AbortHandle>,
    /// Tells the map what the file says of regions.
    telling: Option<AbortHandle>,
}

impl Seated {
    /// Opens the store and takes part. Called within the control runtime. `None` without a `region-map` section.
    pub fn start(
        spec: &Spec,
        sockets: SeatSockets,
        opener: &Opener,
        around: Around,
        api_connections: u64,
    ) -> Result<Option<Seated>, String> {
        let Some(section) = spec.seat.clone() else { return Ok(None) };
        let options = options(&section, sockets.members, opener)?;
        let (seat, raft) = raft::start(options).map_err(|e| e.to_string())?;
        if let Some(path) =
            section.data_dir.as_ref().map(|dir| dir.join(FORCE_NEW)).filter(|path| path.exists())
        {
            std::fs::remove_file(&path)
                .map_err(|e| format!("{}: {}", path.display(), crate::lang::load::reason(&e)))?;
        }
        let raft = Arc::new(raft);
        let answering = Answering::new();
        raft.answer_calls(answering.clone());
        let settings =
            prober::Settings { script_checks: section.script_checks, ..prober::Settings::default() };
        let prober = Arc::new(prober::Prober::start(seat.clone(), settings));
        let rollout = Arc::new(Rollout::new(seat.clone(), raft.clone()));
        let mut seated = Seated {
            seat,
            rollout,
            raft,
            answering,
            prober,
            spec: section,
            tasks: Vec::new(),
            telling: None,
        };
        if let Some(listener) = sockets.api {
            let tls = api_tls(&seated.spec, opener)?;
            seated
                .serve(listener, tls, around, api_connections as usize)
                .map_err(|e| format!("region map: the API: {e}"))?;
        }
        Ok(Some(seated))
    }

    /// Whoever prepares documents here.
    pub fn answer(&self, local: Arc<dyn Local>) {
        self.answering.with(local);
    }

    fn serve(
        &mut self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        around: Around,
        connections: usize,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let listener = match tls {
            Some(tls) => conn::http::Listener::Tls(listener, tls),
            None => conn::http::Listener::Tcp(listener),
        };
        let name = |token: &Option<String>| token.as_deref().map(Name::from);
        let settings = catalog::Settings {
            datacenter: self.spec.datacenter.clone(),
            node_name: self.seat.node_name().clone(),
            node_id: self.raft.node_id().unwrap_or_default().into(),
            address: address_of(&self.spec).ip().to_string().into(),
            read_token: name(&self.spec.read_token),
            write_token: name(&self.spec.write_token),
            script_checks: self.spec.script_checks,
            connections: connections.max(1),
            ..catalog::Settings::default()
        };
        let process = Arc::new(OwnProcess {
            prober: self.prober.clone(),
            raft: self.raft.clone(),
            steering: Mutex::new(around.steering),
            responders: around.responders,
            vips: around.vips.0,
            vip_agent: around.vips.1,
        });
        let api = catalog::Api::new(self.seat.clone(), settings, process);
        let _ =
            api.operator.set(catalog::Operator { raft: self.raft.clone(), rollout: self.rollout.clone() });
        let _ = api.mirror.set(around.mirror);
        self.tasks.push(tokio::spawn(catalog::serve(vec![listener], api)).abort_handle());
        Ok(())
    }

    /// Puts the file's `region` sections into the map, those that differ from what stands there, as soon as there is a
    /// leader. What an earlier file said and could not be told yet is not told any more.
    pub fn tell_regions(&mut self, spec: &Spec) {
        self.telling.take().inspect(AbortHandle::abort);
        let (seat, regions) = (self.seat.clone(), spec.regions.clone());
        let tell = async move {
            for region in regions {
                loop {
                    let map = seat.map();
                    let standing = map.region(&region.name);
                    let wanted = region.record(standing.map(|r| &**r));
                    let same = standing.is_some_and(|r| {
                        let mut standing = (**r).clone();
                        (standing.create_index, standing.modify_index) = (0, 0);
                        standing == wanted
                    });
                    if same || seat.propose(Command::RegionPut(wanted)).await.is_ok() {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        };
        self.telling = Some(tokio::spawn(tell).abort_handle());
    }

    /// What a new configuration says of this node's seat and cannot have before a restart.
    pub fn needs_restart(&self, spec: &Spec) -> bool {
        spec.seat.as_ref() != Some(&self.spec)
    }

    /// Leaves in good order: another leads, everything is written.
    pub fn stop(self) {
        self.tasks.iter().chain(&self.telling).for_each(AbortHandle::abort);
        self.raft.shutdown();
    }
}

/// Where this node is reached: its `bind`, else its API.
fn address_of(spec: &SeatSpec) -> SocketAddr {
    let listen = spec.bind.as_ref().or(spec.http_api.as_ref());
    let address = listen.map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |l| l.address);
    match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        _ => address,
    }
}

fn options(spec: &SeatSpec, bind: Option<TcpListener>, opener: &Opener) -> Result<Options, String> {
    let tls = match spec.bind.as_ref().and_then(|l| l.tls.as_ref()) {
        Some(tls) if !spec.has_authority() => Some(mutual_tls(tls, opener)?),
        _ => None,
    };
    Ok(Options {
        name: spec.node.as_deref().map_or_else(process::hostname, str::to_owned),
        region: spec.region.to_string(),
        bind,
        advertise: address_of(spec).to_string(),
        api: spec.http_api.as_ref().map(|l| l.address.to_string()).unwrap_or_default(),
        data_dir: spec.data_dir.clone(),
        retry_join: spec.retry_join.clone(),
        expect: Some(spec.expect).filter(|expect| *expect > 0),
        profile: match spec.profile {
            Profile::Lan => raft::Profile::Lan,
            Profile::Wan => raft::Profile::Wan,
        },
        liveness_timeout: Some(spec.liveness_timeout),
        region_timeout: Some(spec.region_timeout),
        tls,
        authority: spec.has_authority(),
        admission: spec.admission.clone(),
        force_new: spec.data_dir.as_ref().is_some_and(|dir| dir.join(FORCE_NEW).exists()),
        ..Options::default()
    })
}

/// Both sides show the same certificate, and ask for one that `ca-file` signed.
fn mutual_tls(tls: &Tls, opener: &Opener) -> Result<raft::Tls, String> {
    let (Some(crt), Some(ca)) = (&tls.crt, &tls.ca_file) else {
        return Err("region map: 'ssl' needs 'crt' and 'ca-file'".into());
    };
    let signed = Authorities::of(&read(ca, opener)?).map_err(unusable)?;
    raft::Tls::new(&certified(crt, opener)?, &signed).map_err(unusable)
}

fn unusable(e: impl std::fmt::Display) -> String {
    format!("region map: {e}")
}

fn certified(path: &Path, opener: &Opener) -> Result<Certified, String> {
    let pem = read(path, opener)?;
    Certified::of(&pem, &pem).map_err(unusable)
}

fn read(path: &Path, opener: &Opener) -> Result<Pem, String> {
    let file = path.display().to_string();
    let text =
        opener.read(path).map_err(|e| unusable(format!("{file}: {}", crate::lang::load::reason(&e))))?;
    Pem::parse(&file, &text).map_err(unusable)
}

/// What the API shows, and whether it asks its clients for certificates.
fn api_tls(spec: &SeatSpec, opener: &Opener) -> Result<Option<TlsAcceptor>, String> {
    let Some(tls) = spec.http_api.as_ref().and_then(|listen| listen.tls.as_ref()) else { return Ok(None) };
    let Some(crt) = &tls.crt else { return Err("region map: 'http-api' with 'ssl' needs 'crt'".into()) };
    let signed = |path: &PathBuf| Authorities::of(&read(path, opener)?).map_err(unusable);
    let clients = match tls.ca_file.as_ref().map(signed).transpose()? {
        None => Clients::Any,
        Some(signed) if tls.verify => Clients::Required(signed),
        Some(signed) => Clients::Optional(signed),
    };
    let server = Server {
        shows: certified(crt, opener)?.alone(),
        clients,
        versions: Versions::Both,
        alpn: vec![b"http/1.1".to_vec()],
        resumes: true,
    };
    Ok(Some(TlsAcceptor::from(server.config().map_err(unusable)?)))
}

/// The answer to who asked for the end is to leave first.
const LAST_ANSWER: Duration = Duration::from_millis(200);

/// What the API asks of the process. Its methods may block.
struct OwnProcess {
    prober: Arc<prober::Prober>,
    raft: Arc<RaftHandle>,
    steering: Mutex<change::ControlHandle>,
    responders: Responders,
    vips: Shown,
    vip_agent: VipAgent,
}

impl OwnProcess {
    fn steering(&self) -> change::ControlHandle {
        self.steering.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl catalog::Process for OwnProcess {
    fn heard(&self, check: &str) {
        self.prober.heard(check);
    }

    fn reload(&self) -> Result<(), String> {
        let (answer, answered) = sync_channel(1);
        let gone = || "shutting down".to_owned();
        if !self.steering().ask(Request::Change(Change::Command(answer))) {
            return Err(gone());
        }
        match answered.recv().map_err(|_| gone())? {
            (true, _) => Ok(()),
            (false, log) => Err(log),
        }
    }

    fn explain_dns(&self, name: &str, kind: &str, from: &str) -> Option<Result<Value, String>> {
        Some(self.responders.explain(name, kind, from))
    }

    fn dns(&self) -> Vec<Value> {
        self.responders.overview()
    }

    fn vip(&self, name: &str, order: VipOrder) -> Result<(), String> {
        let is_here = |one: &InstanceStatus| *one.name == *name;
        let vips = self.vips.lock().unwrap_or_else(PoisonError::into_inner);
        let agent = self.vip_agent.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(agent) = agent.as_ref().filter(|_| vips.instances.iter().any(is_here)) else {
            return Err(format!("no such virtual router here: {name}"));
        };
        match order {
            VipOrder::Here => agent.move_to(name, true),
            VipOrder::Away => agent.move_to(name, false),
            VipOrder::Priority(priority) => agent.set_priority(name, priority),
        }
        Ok(())
    }

    fn leave(&self) -> Result<(), String> {
        Handle::current().block_on(self.raft.depart()).map_err(|e| e.to_string())?;
        let steering = self.steering().steering;
        tokio::spawn(async move {
            tokio::time::sleep(LAST_ANSWER).await;
            let _ = steering.send(Event::SoftStop);
        });
        Ok(())
    }
}
