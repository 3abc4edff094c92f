//! Connections to other members: one for the protocol and one for what is long, requests sharing each.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::frame::{self, Answer, FrameError, PREFACE, Request};

/// What waits for its place on a connection.
const QUEUE: usize = 1024;
const DIAL: Duration = Duration::from_secs(5);
/// After a failed dial requests fail at once for so long.
const PAUSE: Duration = Duration::from_millis(100);
/// Frames written with one call.
const WRITE_BYTES: usize = 256 << 10;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub type Dialed<'a> = Pin<Box<dyn Future<Output = std::io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// How a connection to an address is made.
pub trait Dialer: Send + Sync {
    fn dial<'a>(&'a self, address: &'a str) -> Dialed<'a>;
}

/// Plain TCP.
pub struct Plain;

impl Dialer for Plain {
    fn dial<'a>(&'a self, address: &'a str) -> Dialed<'a> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectionError {
    /// It was not sent.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// It may have arrived.
    #[error("the connection was lost")]
    Lost,
    #[error("no answer in time")]
    Timeout,
    #[error("{0}")]
    TooLarge(String),
}

/// What a connection is for: what is long must not delay a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    Protocol,
    Bulk,
}

struct Call {
    frame: Bytes,
    id: u64,
    answer: oneshot::Sender<Result<Answer, ConnectionError>>,
}

/// The way to one address.
#[derive(Clone)]
pub struct Connection {
    calls: mpsc::Sender<Call>,
    next: Arc<std::sync::atomic::AtomicU64>,
}

impl Connection {
    /// Sends a request and waits for its answer.
    pub async fn call(&self, request: &Request, within: Duration) -> Result<Answer, ConnectionError> {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let frame = frame::encode(id, request).map_err(|e| ConnectionError::TooLarge(e.to_string()))?;
        let (answer, wait) = oneshot::channel();
        let called = async {
            self.calls
                .send(Call { frame, id, answer })
                .await
                .map_err(|_| ConnectionError::Unreachable("closed".into()))?;
            wait.await.unwrap_or(Err(ConnectionError::Lost))
        };
        tokio::time::timeout(within, called).await.unwrap_or(Err(ConnectionError::Timeout))
    }
}

/// All connections, made when first used; they live on the runtime that first uses them.
pub struct Connections {
    dialer: Arc<dyn Dialer>,
    connections: Mutex<HashMap<(Arc<str>, Class), Connection>>,
}

impl Connections {
    pub fn new(dialer: Arc<dyn Dialer>) -> Connections {
        Connections { dialer, connections: Mutex::default() }
    }

    pub fn to(&self, address: &str, class: Class) -> Connection {
        let mut connections = lock(&self.connections);
        let key = (Arc::from(address), class);
        connections
            .entry(key)
            .or_insert_with(|| {
                let (calls, queue) = mpsc::channel(QUEUE);
                tokio::spawn(run(self.dialer.clone(), address.into(), queue));
                Connection { calls, next: Arc::default() }
            })
            .clone()
    }

    /// Ends connections to addresses that nobody has any more.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        lock(&self.connections).retain(|(address, _), _| keep(address));
    }

    pub fn close(&self) {
        lock(&self.connections).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Answer, ConnectionError>>>>>;

async fn run(dialer: Arc<dyn Dialer>, address: Arc<str>, mut calls: mpsc::Receiver<Call>) {
    while let Some(first) = calls.recv().await {
        match connect(&*dialer, &address).await {
            Ok((reader, writer)) => serve(reader, writer, first, &mut calls).await,
            Err(e) => {
                tracing::debug!("region map: {address}: {e}");
                let error = ConnectionError::Unreachable(e.to_string());
                let _ = first.answer.send(Err(error.clone()));
                refuse(&mut calls, &error).await;
            }
        }
    }
}

/// Answers what comes in the pause after a failed dial.
async fn refuse(calls: &mut mpsc::Receiver<Call>, error: &ConnectionError) {
    let pause = tokio::time::sleep(PAUSE);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return,
            call = calls.recv() => match call {
                Some(call) => drop(call.answer.send(Err(error.clone()))),
                None => return,
            },
        }
    }
}

type Halves = (ReadHalf<Box<dyn Stream>>, WriteHalf<Box<dyn Stream>>);

async fn connect(dialer: &dyn Dialer, address: &str) -> Result<Halves, FrameError> {
    let dial = async {
        let mut stream = dialer.dial(address).await?;
        stream.write_all(PREFACE).await?;
        stream.flush().await?;
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface).await?;
        if preface != *PREFACE {
            return Err(FrameError::Preface);
        }
        Ok(tokio::io::split(stream))
    };
    let slow = || FrameError::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(DIAL, dial).await.map_err(|_| slow())?
}

/// Writes calls as they come, several with one write, until the connection ends.
async fn serve(
    reader: ReadHalf<Box<dyn Stream>>,
    mut writer: WriteHalf<Box<dyn Stream>>,
    first: Call,
    calls: &mut mpsc::Receiver<Call>,
) {
    let pending = Pending::default();
    let mut answers = tokio::spawn(receive(reader, pending.clone()));
    let mut next = Some(first);
    while let Some(call) = next {
        let mut out = BytesMut::new();
        enlist(&pending, &mut out, call);
        while out.len() < WRITE_BYTES
            && let Ok(call) = calls.try_recv()
        {
            enlist(&pending, &mut out, call);
        }
        let written = tokio::select! {
            written = async { writer.write_all(&out).await.and(writer.flush().await) } => written.is_ok(),
            _ = &mut answers => false,
        };
        if !written {
            break;
        }
        next = tokio::select! {
            call = calls.recv() => call,
            _ = &mut answers => break,
        };
    }
    answers.abort();
    // Whoever waits learns that the connection is gone.
    lock(&pending).clear();
}

fn enlist(pending: &Pending, out: &mut BytesMut, call: Call) {
    out.extend_from_slice(&call.frame);
    let mut pending = lock(pending);
    // Those that gave up waiting leave their place here; they are few, and swept before they are many.
    if pending.len() > QUEUE {
        pending.retain(|_, answer| !answer.is_closed());
    }
    pending.insert(call.id, call.answer);
}

async fn receive(reader: ReadHalf<Box<dyn Stream>>, pending: Pending) {
    let mut reader = tokio::io::BufReader::with_capacity(64 << 10, reader);
    loop {
        match frame::read::<Answer>(&mut reader).await {
            Ok((id, answer)) => {
                let waiting = lock(&pending).remove(&id);
                if let Some(waiting) = waiting {
                    let _ = waiting.send(Ok(answer));
                }
            }
            Err(e) => return tracing::debug!("region map: a connection ended: {e}"),
        }
    }
}
