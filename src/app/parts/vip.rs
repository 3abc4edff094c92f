//! The VIP agent as a part: `vrrp` sections and `keepalived.conf`. It comes before the proxy, and so it stops before it:
//! addresses are handed over while requests are still answered.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::balance::usable_counts;
use crate::base::Millis;
use crate::config::Config;
use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Diagnostic, Diagnostics, Frame, Severity, Span};
use crate::os::opener::Opener;
use crate::os::{child, identity, process};
use crate::region::Seat;
use crate::region::checkers::refuted;
use crate::region::map::{Health, Map};
use crate::region::soft::{Kind as Soft, Record, Vip};
use crate::vip::agent::{Agent, InstanceStatus, Listener, Shown, Sockets};
use crate::vip::keepalived::{self, Level, Outside, Program, World};
use crate::vip::keyword;
use crate::vip::language::{self, Inputs};
use crate::vip::machine::Verdict;
use crate::vip::spec::{Spec, TrackerKind};

use super::super::documents::Documents;
use super::super::program::{BindError, Settings};
use super::super::services::{Current, VipAgent};
use super::fence::Fences;
use super::part::{Handles, Means, Order, Part, Plan, Process, Reading, Row};

pub static VIP: Row = Row {
    name: "vip",
    sections: || keyword::section_kinds().collect(),
    register: keyword::register,
    make: |handles| Box::new(VipPart::new(handles)),
};

/// How often it is looked whether what is tracked of the proxy can serve.
const LOOK_MS: Millis = 100;
/// Longer than the kernel keeps a fenced address that nobody renews.
const GONE_MS: Millis = 2_000;

/// How long connections have to end after their request, before the addresses that they came to leave.
const FAREWELL: Duration = Duration::from_millis(100);

struct VipPart {
    current: Current,
    documents: Documents,
    shown: Shown,
    asker: VipAgent,
    /// Whom `user` and `group` make of the process, where they take privileges away.
    becomes: Option<(Option<u32>, Option<u32>)>,
    fences: Option<Fences>,
    /// The connections of clients were told that the end is near.
    leaves: bool,
    /// A keepalived.conf was read.
    is_read: bool,
    /// Names that other nodes were told.
    told: Vec<Arc<str>>,
    built: Option<Spec>,
    /// What runs, if anything does.
    runs: Option<Spec>,
    /// Opened while there are privileges, until the agent starts.
    sockets: Option<Sockets>,
    agent: Option<Agent>,
    process: Option<Arc<Process>>,
    look_at_ms: Millis,
    /// How often the agent has ended by itself, and when the last one's addresses are gone.
    ends: usize,
    lapsed_at_ms: Option<Millis>,
    reported: Vec<(TrackerKind, Verdict)>,
}

impl VipPart {
    fn new(handles: &Handles) -> VipPart {
        VipPart {
            current: handles.hub.current.clone(),
            documents: handles.documents.clone(),
            shown: handles.hub.vips.clone(),
            asker: handles.hub.vip_agent.clone(),
            becomes: None,
            fences: None,
            leaves: false,
            is_read: false,
            told: Vec::new(),
            built: None,
            runs: None,
            sockets: None,
            agent: None,
            process: None,
            look_at_ms: 0,
            ends: 0,
            lapsed_at_ms: None,
            reported: Vec::new(),
        }
    }

    /// An agent that ended by itself holds no address once the kernel has let them lapse: others may have the leases. One
    /// that follows is told everything anew.
    fn give_back(&mut self, now: Millis) {
        let ends = self.agent.as_ref().map_or(0, Agent::ends);
        if ends > self.ends {
            (self.ends, self.lapsed_at_ms) = (ends, Some(now + GONE_MS));
            self.reported.clear();
        }
        if self.lapsed_at_ms.take_if(|at| *at <= now).is_some() {
            self.fences.iter().for_each(Fences::give_back);
        }
    }

    /// Hands all addresses over, if any.
    fn end(&mut self) {
        *self.asker.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if self.leaves && self.shown.lock().unwrap_or_else(PoisonError::into_inner).holds() {
            std::thread::sleep(FAREWELL);
        }
        if let Some(agent) = self.agent.take() {
            agent.stop();
            if let Some(fences) = &self.fences {
                fences.settle();
            }
        }
        self.runs = None;
    }

    /// Tells the other nodes of the region map what is here.
    fn publish(&mut self) {
        let Some(seat) = self.documents.seat() else { return };
        let status = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for gone in self.told.iter().filter(|name| !status.instances.iter().any(|one| one.name == **name)) {
            seat.soft().withdraw(Soft::Vip, gone);
        }
        for one in &status.instances {
            // A name that is too long is shown by this node alone.
            let _ = seat.soft().publish(&one.name, Record::Vip(record(one)));
        }
        self.told = status.instances.into_iter().map(|one| one.name).collect();
    }

    /// Tells the agent what of the proxy can serve.
    fn report(&mut self) {
        let (Some(agent), Some(spec), Some(config)) = (&self.agent, &self.runs, &*self.current.load()) else {
            return;
        };
        for tracker in &spec.trackers {
            let of_map = || of_map(self.documents.seat().as_ref(), &tracker.kind);
            let Some(verdict) = verdict(config, &tracker.kind).or_else(of_map) else { continue };
            let known = self.reported.iter_mut().find(|(kind, _)| *kind == tracker.kind);
            match known {
                Some((_, told)) if *told == verdict => continue,
                Some((_, told)) => *told = verdict,
                None => self.reported.push((tracker.kind.clone(), verdict)),
            }
            agent.report(tracker.kind.clone(), verdict);
        }
    }
}

/// Whether a backend has a usable server, or a frontend is open. `None` for what is not of the proxy.
fn verdict(config: &Config, kind: &TrackerKind) -> Option<Verdict> {
    let is_up = match kind {
        TrackerKind::Backend(name) => config.backends.get(name.as_str()).is_some_and(|id| {
            config
                .proxy(*id)
                .back
                .as_ref()
                .is_some_and(|back| back.servers.with(|set| usable_counts(&set.list) != (0, 0)))
        }),
        TrackerKind::Frontend(name) => config
            .frontends
            .get(name.as_str())
            .is_some_and(|id| !config.proxy(*id).live.stopped.load(Ordering::Relaxed)),
        _ => return None,
    };
    Some(if is_up { Verdict::Up } else { Verdict::Down })
}

/// What other nodes are told of a virtual router.
fn record(one: &InstanceStatus) -> Vip {
    Vip {
        state: one.state.name().into(),
        priority: one.effective_priority,
        interface: one.interface.as_str().into(),
        router_id: one.vrid,
        addresses: one.addresses.iter().map(|address| address.to_string().into()).collect(),
        held: !one.held.is_empty(),
        since_ms: one.since.as_millis() as u64,
        cause: one.cause.as_str().into(),
        master: one.master.map_or_else(Default::default, |(address, _)| address.to_string().into()),
    }
}

/// Whether the region map has a leader here, or a service an instance that is not critical.
fn of_map(seat: Option<&Seat>, kind: &TrackerKind) -> Option<Verdict> {
    let is_up = match kind {
        TrackerKind::RegionMap => seat.is_some_and(|seat| seat.leader().is_some()),
        TrackerKind::Service(name) => seat.is_some_and(|seat| serves(&seat.map(), name)),
        _ => return None,
    };
    Some(if is_up { Verdict::Up } else { Verdict::Down })
}

fn serves(map: &Map, service: &str) -> bool {
    map.instances_of(service)
        .any(|one| map.checks_of(one).all(|check| check.status != Health::Critical) && !refuted(map, one))
}

/// Whom the process becomes, where that takes privileges away.
fn becomes(reading: &Reading<'_>) -> Option<(Option<u32>, Option<u32>)> {
    let (mut uid, mut gid) = (None, None);
    let global = reading.sections().iter().filter(|section| section.kind() == "global");
    for line in global.flat_map(|section| &section.lines) {
        match line.str(0) {
            "user" | "uid" => uid = identity::user(line.str(1)).ok(),
            "group" | "gid" => gid = identity::group(line.str(1)).ok(),
            _ => {}
        }
    }
    (uid.is_some_and(|uid| uid > 0) && process::is_root()).then_some((uid, gid))
}

impl Part for VipPart {
    fn build(&mut self, reading: &Reading<'_>) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        let mut spec = Spec::default();
        let mut found = 0;
        self.is_read = false;
        for (path, at) in files(reading) {
            found += 1;
            if found > 1 {
                diagnostics.list.push(at_line(
                    Severity::Alert,
                    at,
                    "there is one keepalived.conf at most".into(),
                ));
                break;
            }
            match load(&path, reading.opener) {
                Ok(loaded) => {
                    self.is_read |= loaded.spec.is_some();
                    for finding in &loaded.findings.list {
                        let severity = match finding.level {
                            Level::Note => Severity::Notice,
                            Level::Ours | Level::Warning => Severity::Warning,
                            Level::Fatal => Severity::Alert,
                        };
                        diagnostics.list.push(at_line(
                            severity,
                            at,
                            loaded.findings.show(finding).to_string(),
                        ));
                    }
                    spec = loaded.spec.unwrap_or_default();
                }
                Err(e) => {
                    let message = format!("cannot read {} : {e}", path.display());
                    diagnostics.list.push(at_line(Severity::Alert, at, message));
                }
            }
        }
        let inputs = Inputs { sections: reading.sections(), sources: &reading.loaded.sources };
        diagnostics.list.extend(language::build(&inputs, &mut spec).list);
        self.becomes = becomes(reading);
        if self.becomes.is_some() {
            diagnostics.list.extend(as_own_user(&mut spec));
        }
        diagnostics.list.extend(map_is_there(reading, &spec));
        self.built = (!diagnostics.has_alerts() && !spec.instances.is_empty()).then_some(spec);
        diagnostics
    }

    fn require(&self, settings: &mut Settings) {
        // A keepalived.conf may have nothing that is right, and runs all the same, as keepalived does.
        settings.listens |= self.built.is_some() || self.is_read;
    }

    fn diff(&self) -> Plan {
        let mut plan = Plan::default();
        if self.process.is_some() && self.built != self.runs {
            plan.changes.push("virtual routers changed".into());
        }
        plan
    }

    fn prepare(&mut self, _means: &Means<'_>) -> Result<(), BindError> {
        // A process that was split off waits, however often this is tried.
        if self.built.is_some() && self.agent.is_none() && self.sockets.is_none() {
            let opened = match self.becomes.filter(|_| self.process.is_none()) {
                Some((uid, gid)) => Sockets::apart(uid, gid),
                None => Sockets::open(),
            };
            let error = |e: io::Error| BindError { in_use: false, message: format!("vrrp: {e}.") };
            self.sockets = Some(opened.map_err(error)?);
        }
        Ok(())
    }

    fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        let said = process.clone();
        let say = Arc::new(move |is_warning: bool, text: &str| tell(&said, is_warning, text));
        let (runtime, documents) = (process.runtime.clone(), self.documents.clone());
        self.fences = Some(Fences::new(runtime, documents, self.asker.clone(), say));
        self.process = Some(process.clone());
        Ok(())
    }

    fn commit(&mut self) {
        let Some(process) = self.process.clone() else { return };
        let Some(spec) = self.built.take() else { return self.end() };
        if let Some(fences) = &self.fences {
            fences.follow(&spec);
        }
        match (&self.agent, self.sockets.take()) {
            (Some(agent), _) => agent.apply(spec.clone()),
            (None, Some(sockets)) => {
                let said = process.clone();
                let mut listener = Listener::new(move |is_warning, text| tell(&said, is_warning, text));
                if let Some(fences) = self.fences.clone() {
                    listener = listener.with_wish(move |instance, wanted| fences.wish(instance, wanted));
                }
                match Agent::start(sockets, spec.clone(), listener, self.shown.clone()) {
                    Ok(agent) => {
                        *self.asker.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent.asker());
                        (self.agent, self.ends) = (Some(agent), 0);
                    }
                    Err(e) => tell(&process, true, &format!("the agent does not start: {e}")),
                }
            }
            (None, None) => {}
        }
        (self.runs, self.reported) = (Some(spec), Vec::new());
    }

    fn abandon(&mut self, _opener: &Opener) {
        (self.built, self.sockets) = (None, None);
    }

    /// A soft stop too begins with the addresses: new requests go to the next master while those here end.
    fn steer(&mut self, order: &Order) {
        match order {
            Order::Drain => self.end(),
            Order::Farewell => self.leaves = true,
            _ => {}
        }
    }

    fn turn(&mut self, now: Millis) {
        if now >= self.look_at_ms {
            self.look_at_ms = now + LOOK_MS;
            self.give_back(now);
            self.report();
            self.publish();
        }
    }

    fn stop(&mut self) {
        self.end();
    }
}

/// Levels of syslog.
const WARNING: u8 = 4;
const NOTICE: u8 = 5;

/// A line of the agent goes to the log targets of the process, and to whoever reads its messages.
fn tell(process: &Process, is_warning: bool, text: &str) {
    let text = format!("vip: {text}");
    if is_warning {
        process.messages.warning(&text);
    } else {
        process.messages.notice(&text);
    }
    process.hooks.log("", if is_warning { WARNING } else { NOTICE }, &text);
}

/// Programs are run by the user that the process becomes: whoever takes it over gains nothing by naming some.
fn as_own_user(spec: &mut Spec) -> Option<Diagnostic> {
    let scripts = spec.trackers.iter_mut().filter_map(|tracker| match &mut tracker.kind {
        TrackerKind::Script(script) => Some(&mut script.command),
        _ => None,
    });
    let told = spec.instances.iter_mut().map(|one| &mut one.notify);
    let told = told.chain(spec.groups.iter_mut().map(|group| &mut group.notify)).flat_map(|notify| {
        let all =
            [&mut notify.master, &mut notify.backup, &mut notify.fault, &mut notify.stop, &mut notify.any];
        all.into_iter().flatten()
    });
    let mut others = 0;
    for command in scripts.chain(told.map(|hook| &mut hook.command)) {
        others += usize::from(command.owner.take().is_some());
    }
    let text = "programs of keepalived.conf are run by the user that 'user' in 'global' names";
    (others > 0).then(|| at_line(Severity::Warning, None, text.into()))
}

/// What needs a region map is refused without one.
fn map_is_there(reading: &Reading<'_>, spec: &Spec) -> Option<Diagnostic> {
    let of_map = |kind: &TrackerKind| matches!(kind, TrackerKind::RegionMap | TrackerKind::Service(_));
    let needs = spec.trackers.iter().any(|tracker| of_map(&tracker.kind))
        || spec.instances.iter().any(|one| one.fence.is_some());
    let is_there = reading.sections().iter().any(|section| section.kind() == "region-map");
    let text = "vrrp: 'fenced', 'track region-map' and 'track service' need a 'region-map' section.";
    (needs && !is_there).then(|| at_line(Severity::Alert, None, text.into()))
}

fn at_line(severity: Severity, at: Option<Span>, message: String) -> Diagnostic {
    Diagnostic { severity, span: at, message, hint: None, frame: Frame::Whole }
}

/// Every `keepalived.conf` that is named, and the line that names it.
fn files(reading: &Reading<'_>) -> Vec<(PathBuf, Option<Span>)> {
    let given = reading.args.files.iter().filter(|path| is_keepalived(path, reading.opener));
    let mut found: Vec<_> = given.map(|path| (path.clone(), None)).collect();
    let global = reading.sections().iter().filter(|section| section.kind() == "global");
    for line in global.flat_map(|section| &section.lines) {
        if line.str(0) == "keepalived-config"
            && !is_void(Kind::Global, "keepalived-config")
            && !line.str(1).is_empty()
        {
            let path = reading.loaded.sources.resolve(line.span, line.str(1));
            found.push((path, Some(line.span)));
        }
    }
    found
}

/// Whether a file of the command line is a `keepalived.conf`.
pub(super) fn is_keepalived(path: &Path, opener: &Opener) -> bool {
    opener.read(path).is_ok_and(|text| keepalived::is_keepalived(&text))
}

fn load(path: &Path, opener: &Opener) -> io::Result<keepalived::Loaded> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let outside = Outside {
        read: &|path| opener.read(path),
        list: &|path| opener.list(path),
        config_id: host.trim_end().split('.').next().unwrap_or_default(),
    };
    let world = World {
        has_interface: &|name| !name.contains('/') && Path::new("/sys/class/net").join(name).exists(),
        program: &program,
        user: &child::user_of,
        group: &child::group_of,
        resolves: &|name| opener.resolve(name).is_ok_and(|found| !found.is_empty()),
    };
    keepalived::load(path, &outside, &world)
}

/// Where programs are looked for that are named without a path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn program(name: &str) -> Program {
    use std::os::unix::fs::PermissionsExt;
    let look = |path: &Path| match std::fs::metadata(path) {
        Err(_) => Program::Missing,
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Program::Usable,
        Ok(_) => Program::Unusable,
    };
    if name.contains('/') {
        return look(Path::new(name));
    }
    let path = std::env::var("PATH").unwrap_or_else(|_| PATH.to_owned());
    let found = path.split(':').map(|directory| look(&Path::new(directory).join(name)));
    found.into_iter().find(|found| *found != Program::Missing).unwrap_or(Program::Missing)
}
