//! The agent in a process of its own, which keeps CAP_NET_ADMIN and CAP_NET_RAW where the proxy drops its privileges.
//!
//! It is split off while there is one thread and no traffic. Orders go to it over a socketpair, and lines, wishes and its
//! state come back. It does what the proxy asks, whoever that has become meanwhile: move the addresses that the proxy
//! names, and run programs as the proxy's user. When the socket closes it gives up all addresses at once; when nothing is
//! heard for [`SILENT_NS`] they go to another router, for a proxy that is frozen answers nobody.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::Nanos;
use crate::base::clock::{self, SEC};
use crate::os::capability;
use crate::os::child::run_in_real_time;
use crate::os::daemon;
use crate::os::process::{self, Forked};

use super::network::Kernel;
use super::order::{Listener, Order, Orders};
use super::run::Loop;
use super::status::{Shown, Status};

/// How often the proxy says that it lives, and how long it may be silent.
const ALIVE: Duration = Duration::from_millis(250);
pub(super) const SILENT_NS: Nanos = 2 * SEC;
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

/// Sends orders, from any thread.
#[derive(Clone)]
pub(super) struct Sender(Arc<Mutex<UnixStream>>);

impl Sender {
    pub(super) fn send(&self, order: &Order) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if write(&mut stream, order).is_err() {
            // Half a message is none: the agent sees the end and lets go.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// The other process.
pub(super) struct Apart {
    sender: Sender,
    child: i32,
    reader: Option<JoinHandle<()>>,
}

impl Apart {
    /// Splits it off.
    pub(super) fn split(uid: Option<u32>, gid: Option<u32>) -> io::Result<Apart> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(WRITE))?;
        theirs.set_write_timeout(Some(WRITE))?;
        // Both count time from the same moment.
        clock::now_ns();
        match process::fork()? {
            Forked::Parent { child } => {
                Ok(Apart { sender: Sender(Arc::new(Mutex::new(ours))), child, reader: None })
            }
            Forked::Child => {
                if let Err(e) = serve(theirs, uid, gid) {
                    eprintln!("isobar: the VIP agent's process: {e}");
                    std::process::exit(1);
                }
                std::process::exit(0)
            }
        }
    }

    /// Starts the threads that read what it says, and tell it that this process lives.
    pub(super) fn follow(&mut self, listener: Listener, shown: Shown) -> io::Result<()> {
        let mut stream = self.sender.0.lock().unwrap_or_else(PoisonError::into_inner).try_clone()?;
        let child = self.child;
        let (over, ended) = sync_channel::<()>(0);
        let work = move || {
            while let Ok(told) = read(&mut stream) {
                match told {
                    Told::Line { is_warning, text } => listener.say(is_warning, &text),
                    Told::Wish { instance, wanted } => listener.wish(&instance, wanted),
                    Told::Status(status) => *shown.lock().unwrap_or_else(PoisonError::into_inner) = status,
                    Told::Over => return,
                }
            }
            drop(over);
            // Who ends as it should says so before.
            let _ = process::wait_for(child);
            listener.warn("the agent's process has failed; addresses here lapse within 3 seconds, and a restart is needed");
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = Status::default();
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

    pub(super) fn is_over(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// The process's whole life.
fn serve(stream: UnixStream, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    process::name_thread("isobar-vip");
    process::close_others(&[stream.as_raw_fd()]);
    let kernel = Kernel::open()?;
    // Needs a capability that goes; threads beside this one do not have it.
    let in_real_time = run_in_real_time();
    capability::keep(&[capability::NET_ADMIN, capability::NET_RAW], uid, gid)?;
    daemon::detach_streams()?;
    process::trim_memory();
    let mut from = stream.try_clone()?;
    // A process that does not start has nothing to ask.
    let Ok(Order::Apply(spec)) = read(&mut from) else { return Ok(()) };
    let (tell, told) = sync_channel(QUEUE);
    let (lines, wishes, over) = (tell.clone(), tell.clone(), tell);
    let listener =
        Listener::new(move |is_warning, text| give(&lines, Told::Line { is_warning, text: text.into() }));
    let listener = listener
        .with_wish(move |instance, wanted| give(&wishes, Told::Wish { instance: instance.into(), wanted }));
    if let Err(e) = in_real_time {
        listener.note(&format!("no real-time priority ({e}): a busy host may delay adverts"));
    }
    let (shown, (orders, queue)) = (Shown::default(), Orders::new()?);
    let agent = Loop::new(kernel, spec, listener, orders.clone(), shown.clone(), true)?;
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
