//! The agent in a process of its own, which keeps CAP_NET_ADMIN and CAP_NET_RAW where the proxy drops its privileges.
//!
//! It is split off while there is one thread and no traffic. Orders go to it over a socketpair, and lines, wishes and its
//! state come back. It does what the proxy asks, whoever that has become meanwhile: move the addresses that the proxy
//! names, and run programs as the proxy's user. When the socket closes it gives up all addresses at once; when nothing is
//! heard for [`SILENT_NS`] they go to another router, for a proxy that is frozen answers nobody.
//!
//! Between the two stands a guard, a process that does nothing but start the agent again when it dies alone, which the
//! proxy could not: it has no privileges left. Each agent has a socketpair of its own, made before there is any of them.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::Nanos;
use crate::base::clock::{self, SEC};
use crate::os::capability;
use crate::os::child::{has_left, run_in_real_time, share_real_time};
use crate::os::daemon;
use crate::os::netlink::Netlink;
use crate::os::process::{self, Forked};

use super::super::spec::Spec;
use super::network::Kernel;
use super::order::{Listener, Order, Orders};
use super::renewer::Renewer;
use super::run::Loop;
use super::status::{Shown, Status};

/// How often the proxy says that it lives, and how long it may be silent.
const ALIVE: Duration = Duration::from_millis(250);
pub(super) const SILENT_NS: Nanos = 2 * SEC;
/// So many agents there are at most, one after the other.
const LIVES: usize = 8;
/// How long after the end of one the next begins: the kernel has let its addresses lapse, and their leases were given back.
const PAUSE: Duration = Duration::from_millis(2_500);
/// How often the state is looked at, to be shown.
const SHOW: Duration = Duration::from_millis(100);
/// The longest message: a configuration with thousands of instances is shorter.
const MAX: usize = 64 << 20;
/// Lines that wait to be read; more are dropped.
const QUEUE: usize = 1_024;
/// How long what follows the end may take: starting programs, a mail.
const LINGER_NS: Nanos = 2 * SEC;
/// What is not read within this is given up.
const WRITE: Duration = Duration::from_secs(5);

/// What comes back from the agent.
#[derive(Serialize, Deserialize)]
enum Told {
    Line {
        is_warning: bool,
        text: String,
    },
    Wish {
        instance: String,
        wanted: bool,
    },
    Status(Status),
    /// The addresses are handed over.
    Over,
}

fn write(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let body = postcard::to_allocvec(message).map_err(io::Error::other)?;
    let mut frame = (body.len() as u32).to_le_bytes().to_vec();
    frame.extend(body);
    stream.write_all(&frame)
}

/// The next message; an error at the end, and for what is none.
fn read<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    postcard::from_bytes(&body).map_err(io::Error::other)
}

/// What orders go to.
struct Line {
    stream: UnixStream,
    /// The configuration, for an agent that follows.
    spec: Option<Spec>,
    is_stopping: bool,
}

/// Sends orders, from any thread.
#[derive(Clone)]
pub(super) struct Sender(Arc<Mutex<Line>>);

impl Sender {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send(&self, order: &Order) {
        let mut line = self.line();
        match order {
            Order::Apply(spec) => line.spec = Some(spec.clone()),
            Order::Stop => line.is_stopping = true,
            _ => {}
        }
        if write(&mut line.stream, order).is_err() {
            // Half a message is none: the agent sees the end and lets go.
            let _ = line.stream.shutdown(Shutdown::Both);
        }
    }

    /// Goes on with the agent that follows. `false` where none is to.
    fn turn_to(&self, stream: UnixStream) -> bool {
        let mut line = self.line();
        line.stream = stream;
        let spec = line.spec.clone().filter(|_| !line.is_stopping);
        spec.is_some_and(|spec| write(&mut line.stream, &Order::Apply(spec)).is_ok())
    }
}

/// The other process.
pub(super) struct Apart {
    sender: Sender,
    /// For the agents that follow.
    spares: Vec<UnixStream>,
    reader: Option<JoinHandle<()>>,
    ends: Arc<AtomicUsize>,
}

impl Apart {
    /// Splits it off.
    pub(super) fn split(uid: Option<u32>, gid: Option<u32>) -> io::Result<Apart> {
        let pairs = (0..LIVES).map(|_| UnixStream::pair()).collect::<io::Result<Vec<_>>>()?;
        let (mut ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        for stream in ours.iter().chain(&theirs) {
            stream.set_write_timeout(Some(WRITE))?;
        }
        // Both count time from the same moment.
        clock::now_ns();
        match process::fork()? {
            Forked::Parent { .. } => {
                let line = Line { stream: ours.remove(0), spec: None, is_stopping: false };
                let sender = Sender(Arc::new(Mutex::new(line)));
                Ok(Apart { sender, spares: ours, reader: None, ends: Arc::default() })
            }
            Forked::Child => {
                if let Err(e) = guard(theirs, uid, gid) {
                    eprintln!("isobar: the VIP agent's process: {e}");
                    std::process::exit(1);
                }
                std::process::exit(0)
            }
        }
    }

    /// Starts the threads that read what it says, and tell it that this process lives.
    pub(super) fn follow(&mut self, listener: Listener, shown: Shown) -> io::Result<()> {
        let mut stream = self.sender.line().stream.try_clone()?;
        let (sender, ends) = (self.sender.clone(), self.ends.clone());
        let mut spares = std::mem::take(&mut self.spares).into_iter();
        let (over, ended) = sync_channel::<()>(0);
        let work = move || {
            while !hear(&mut stream, &listener, &shown) {
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = Status::default();
                let next = spares.next().and_then(|next| Some((next.try_clone().ok()?, next)));
                let follows = next.and_then(|(next, other)| sender.turn_to(other).then_some(next));
                ends.fetch_add(1, Ordering::Release);
                let failed = "the agent's process has failed; addresses here lapse within 3 seconds";
                match follows {
                    Some(next) => stream = next,
                    None if sender.line().is_stopping => break,
                    None => {
                        listener.warn(&format!("{failed}, and a restart is needed"));
                        break;
                    }
                }
                listener.warn(&format!("{failed}, and it is started again"));
            }
            drop(over);
        };
        self.reader = Some(std::thread::Builder::new().name("vip-reader".into()).spawn(work)?);
        let sender = self.sender.clone();
        let live = move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(ALIVE) {
                sender.send(&Order::Alive);
            }
        };
        std::thread::Builder::new().name("vip-alive".into()).spawn(live)?;
        Ok(())
    }

    pub(super) fn send(&self, order: &Order) {
        self.sender.send(order);
    }

    pub(super) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    pub(super) fn join(self) {
        if let Some(reader) = self.reader {
            let _ = reader.join();
        }
    }

    /// How many agents have ended by themselves.
    pub(super) fn ends(&self) -> usize {
        self.ends.load(Ordering::Acquire)
    }
}

/// Takes in what an agent says to its end: whether it ended as it should.
fn hear(stream: &mut UnixStream, listener: &Listener, shown: &Shown) -> bool {
    while let Ok(told) = read(stream) {
        match told {
            Told::Line { is_warning, text } => listener.say(is_warning, &text),
            Told::Wish { instance, wanted } => listener.wish(&instance, wanted),
            Told::Status(status) => *shown.lock().unwrap_or_else(PoisonError::into_inner) = status,
            Told::Over => return true,
        }
    }
    false
}

/// The guard's whole life: one agent after the other, for as long as the proxy waits for one.
fn guard(streams: Vec<UnixStream>, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    process::name_thread("isobar-guard");
    process::close_others(&streams.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>());
    // Needs a capability that goes: agents inherit it, and say so where there is none.
    let _ = share_real_time();
    capability::keep(&[capability::NET_ADMIN, capability::NET_RAW], uid, gid)?;
    daemon::detach_streams()?;
    process::trim_memory();
    let mut streams = streams.into_iter().peekable();
    while let Some(mut stream) = streams.next() {
        match process::fork()? {
            Forked::Child => {
                let served = stream.try_clone().and_then(serve);
                if let Err(e) = &served {
                    let text = format!("the agent does not run: {e}");
                    let _ = write(&mut stream, &Told::Line { is_warning: true, text });
                }
                std::process::exit(served.is_err().into())
            }
            Forked::Parent { child } => {
                drop(stream);
                process::wait_for(child)?;
            }
        }
        let is_alone = |next: Option<&UnixStream>| next.is_none_or(|next| has_left(next).unwrap_or(true));
        if is_alone(streams.peek()) {
            break;
        }
        std::thread::sleep(PAUSE);
        if is_alone(streams.peek()) {
            break;
        }
    }
    Ok(())
}

/// The agent's whole life.
fn serve(stream: UnixStream) -> io::Result<()> {
    process::name_thread("isobar-vip");
    process::close_others(&[stream.as_raw_fd()]);
    let kernel = Kernel::open()?;
    let mut from = stream.try_clone()?;
    // A process that does not start has nothing to ask.
    let Ok(Order::Apply(spec)) = read(&mut from) else { return Ok(()) };
    let (tell, told) = sync_channel(QUEUE);
    let (lines, wishes, over) = (tell.clone(), tell.clone(), tell);
    let listener =
        Listener::new(move |is_warning, text| give(&lines, Told::Line { is_warning, text: text.into() }));
    let listener = listener
        .with_wish(move |instance, wanted| give(&wishes, Told::Wish { instance: instance.into(), wanted }));
    // It keeps the guard's priority, as this thread does. Those beside them and programs are not to have it.
    let renewer = Renewer::start(Netlink::open()?, listener.clone())?;
    if let Err(e) = run_in_real_time() {
        listener.note(&format!("no real-time priority ({e}): a busy host may delay adverts"));
    }
    let (shown, (orders, queue)) = (Shown::default(), Orders::new()?);
    let agent = Loop::new(kernel, spec, listener, orders.clone(), shown.clone(), renewer, true)?;
    let reader = move || {
        while let Ok(order) = read(&mut from) {
            orders.give(order);
        }
        orders.give(Order::Orphaned);
    };
    std::thread::Builder::new().name("vip-orders".into()).spawn(reader)?;
    let teller = std::thread::Builder::new()
        .name("vip-teller".into())
        .spawn(move || tell_all(stream, &told, &shown))?;
    agent.run(&queue);
    let _ = over.send(Told::Over);
    drop(over);
    // Programs that are told of the end are started still.
    let _ = teller.join();
    Ok(())
}

fn give(queue: &SyncSender<Told>, told: Told) {
    // Nobody reads: a line is less than an advert.
    let _ = queue.try_send(told);
}

/// Writes what is told, and the state where it has changed.
fn tell_all(mut stream: UnixStream, told: &Receiver<Told>, shown: &Shown) {
    let (mut known, mut ends_at) = (None, None);
    while ends_at.is_none_or(|at| clock::now_ns() < at) {
        let next = told.recv_timeout(SHOW);
        let is_over = matches!(next, Err(RecvTimeoutError::Disconnected));
        if matches!(next, Ok(Told::Over)) {
            ends_at = Some(clock::now_ns() + LINGER_NS);
        }
        if let Ok(told) = next
            && write(&mut stream, &told).is_err()
            && ends_at.is_none()
        {
            break;
        }
        let status = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.as_ref() != Some(&status) {
            let _ = write(&mut stream, &Told::Status(status.clone()));
            known = Some(status);
        }
        if is_over {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vip::machine::Verdict;
    use crate::vip::spec::{InstanceSpec, Spec, TrackerKind};

    #[test]
    fn orders_go_over_whole() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let spec = Spec { instances: vec![InstanceSpec::new("VI_1".into())], ..Spec::default() };
        let orders = [
            Order::Apply(spec),
            Order::Report(TrackerKind::Backend("web".into()), Verdict::Level(-3)),
            Order::Lease("VI_1".into(), Some(7)),
            Order::Stop,
        ];
        for order in &orders {
            write(&mut one, order).unwrap();
            assert_eq!(read::<Order>(&mut other).unwrap(), *order);
        }
        one.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(read::<Order>(&mut other).is_err(), "longer than any message");
        drop(one);
        assert!(read::<Order>(&mut other).is_err());
    }
}
