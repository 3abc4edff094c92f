//! The server: accepting connections, reading requests within limits, writing answers, ending in good order.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::guard::{Paced, Talk, Talks};
use super::lengths::{Looked, TwoLengths};
use crate::os::socket;

/// After a failed accept, for want of descriptors: others end meanwhile.
const BREATH: Duration = Duration::from_millis(50);
/// Between two looks at peers that do not take what they asked for, and at those that may make room.
const LOOK: Duration = Duration::from_millis(250);
/// Bytes that wait in the kernel for a peer that does not take them.
const UNSENT: usize = 128 << 10;
/// hyper takes no smaller limit of a head.
const HEAD_BYTES_MIN: usize = 8 << 10;

/// What clients may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At a time, over all listeners; who comes then waits for one that has been silent for a while, which is sent away.
    pub connections: usize,
    /// For the handshake of TLS.
    pub handshake: Duration,
    /// A connection may be silent, or take for a head, so long.
    pub head: Duration,
    /// Of a head.
    pub head_bytes: usize,
    /// A peer may take nothing of an answer for so long, in milliseconds.
    pub patience_ms: u32,
    /// When the server stops, for what was asked already.
    pub drain: Duration,
}

/// Where requests come from.
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// TLS over TCP.
    Tls(TcpListener, TlsAcceptor),
}

/// Who connected.
enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(TcpStream, TlsAcceptor),
}

impl Listener {
    /// The address of a listener that has one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) | Listener::Tls(listener, _) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Listener::Tcp(listener) => Accepted::Tcp(listener.accept().await?.0),
            Listener::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
            Listener::Tls(listener, acceptor) => Accepted::Tls(listener.accept().await?.0, acceptor.clone()),
        })
    }
}

/// Answers what is asked, and says when it is to stop.
#[derive(Clone)]
struct Server<H> {
    limits: Limits,
    slots: Arc<Semaphore>,
    talks: Arc<Talks>,
    handler: H,
    /// Closed when it stops.
    stopped: watch::Receiver<()>,
}

/// Serves until `stop`, then takes no connection more and ends those that it has as soon as what was asked is answered.
/// When it is dropped every connection is cut.
pub async fn serve<H, A, B>(
    listeners: Vec<Listener>,
    limits: Limits,
    handler: H,
    stop: impl Future<Output = ()>,
) where
    H: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (stopping, stopped) = watch::channel(());
    let slots = Arc::new(Semaphore::new(limits.connections));
    let talks: Arc<Talks> = Arc::default();
    let server = Server { limits, slots, talks: talks.clone(), handler, stopped };
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(server.clone().accept(listener));
    }
    drop(server);
    let mut all = pin!(async move { while accepting.join_next().await.is_some() {} });
    let overdue = async {
        loop {
            tokio::time::sleep(LOOK * 4).await;
            talks.end_overdue();
        }
    };
    tokio::select! {
        () = all.as_mut() => return,
        () = overdue => {}
        () = stop => drop(stopping),
    }
    let _ = timeout(limits.drain, all).await;
}

/// A place for one more, for which another that is silent may have to go.
async fn slot(slots: &Arc<Semaphore>, talks: &Talks) -> Option<OwnedSemaphorePermit> {
    loop {
        match slots.clone().try_acquire_owned() {
            Ok(slot) => return Some(slot),
            Err(TryAcquireError::Closed) => return None,
            Err(TryAcquireError::NoPermits) => talks.make_room(),
        }
        if let Ok(slot) = timeout(LOOK, slots.clone().acquire_owned()).await {
            return slot.ok();
        }
    }
}

impl<H, A, B> Server<H>
where
    H: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn accept(mut self, listener: Listener) {
        // Ends with this future, and with it every connection.
        let mut connections = JoinSet::new();
        let (slots, talks) = (self.slots.clone(), self.talks.clone());
        loop {
            let next = async {
                // Only for one who is there does another have to go.
                let accepted = listener.accept().await;
                Some((accepted, slot(&slots, &talks).await?))
            };
            let next = tokio::select! {
                next = next => next,
                _ = self.stopped.changed() => None,
            };
            let Some((accepted, slot)) = next else { break };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok(accepted) => {
                    let server = self.clone();
                    connections.spawn(async move {
                        server.talk(accepted).await;
                        drop(slot);
                    });
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn talk(self, accepted: Accepted) {
        match accepted {
            Accepted::Unix(stream) => self.converse(stream).await,
            Accepted::Tcp(stream) => {
                self.tune(&stream);
                self.converse(stream).await;
            }
            Accepted::Tls(stream, acceptor) => {
                self.tune(&stream);
                if let Ok(Ok(stream)) = timeout(self.limits.handshake, acceptor.accept(stream)).await {
                    self.converse(stream).await;
                }
            }
        }
    }

    /// Answers leave at once; a peer that is gone, or reads nothing, does not hold its connection for ever.
    fn tune(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        socket::set_patience(stream.as_raw_fd(), self.limits.patience_ms);
        socket::bound_unsent(stream.as_raw_fd(), UNSENT);
    }

    /// One connection. While a request waits, hyper watches for the peer to close; then the handler is dropped.
    async fn converse<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Server { limits, handler, talks, mut stopped, .. } = self;
        let place = talks.begin();
        let talk: Arc<Talk> = place.talk.clone();
        let stream = Looked::new(stream, talk.clone(), talks.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            if talk.asked() {
                request.extensions_mut().insert(TwoLengths);
            }
            let (answer, talk) = (handler(request), talk.clone());
            async move { Ok::<_, Infallible>(answer.await.map(|body| Paced::new(body, talk))) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes.max(HEAD_BYTES_MIN))
            .serve_connection(TokioIo::new(stream), service);
        let mut served = pin!(served);
        // What ends a connection early is the peer's affair.
        tokio::select! {
            _ = served.as_mut() => return,
            () = place.talk.cut.notified() => return,
            _ = stopped.changed() => served.as_mut().graceful_shutdown(),
        }
        let _ = served.await;
    }
}
