//! Queries over TCP (RFC 7766) and TLS over it (RFC 7858): any number on one connection, answered in order, bounded in time and memory.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::figures::Figures;
use super::https;
use super::shared::Shared;
use super::sockets::Bound;
use super::turn::{Turn, reply};
use crate::base::clock;
use crate::dns::spec::Secure;
use crate::dns::transfer::{self, Signer, Transfer};

/// Octets of the length of a message, before it.
const PREFIX: usize = 2;
/// Octets that are read at once.
const READ: usize = 2048;
/// Octets of answers that are gathered before they are sent.
const WRITE: usize = 32 * 1024;
/// For the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a connection lasts at most.
const LIFE: Duration = Duration::from_secs(600);

/// Takes connections until it is dropped.
pub(super) async fn accept(bound: Bound, shared: Arc<Shared>, figures: Arc<Figures>) {
    let Bound { stream: fd, shows, .. } = bound;
    let listener = match fd.try_clone().and_then(|fd| TcpListener::from_std(fd.into())) {
        Ok(listener) => listener,
        Err(e) => return tracing::error!("dns: listening for connections: {e}"),
    };
    drop(fd);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(e) => {
                tracing::warn!("dns: accepting: {e}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = Place::take(&shared) else {
            figures.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        figures.connections.fetch_add(1, Ordering::Relaxed);
        crate::os::socket::set_nodelay(stream.as_raw_fd());
        let (shared, figures, tls) = (shared.clone(), figures.clone(), (*shows.load()).clone());
        tokio::spawn(async move {
            let _place = place;
            let Some(tls) = tls else {
                let _ = timeout(LIFE, serve(stream, peer, &shared, &figures)).await;
                return;
            };
            // What TLS needs more is not reserved for those who speak none.
            let talk = async {
                let Secure { config, path } = tls;
                let Ok(Ok(stream)) = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await
                else {
                    return;
                };
                let served = async {
                    match path {
                        None => serve(stream, peer, &shared, &figures).await.unwrap_or_default(),
                        Some(path) => {
                            https::serve(stream, peer, path, shared.clone(), figures.clone()).await;
                        }
                    }
                };
                let _ = timeout(LIFE, served).await;
            };
            Box::pin(talk).await;
        });
    }
}

/// A connection, plain or not.
trait Connection: AsyncRead + AsyncWrite + Unpin {
    /// Waits for something to read where that needs no room for it.
    async fn readable(&self) -> std::io::Result<()>;
}

impl Connection for TcpStream {
    async fn readable(&self) -> std::io::Result<()> {
        TcpStream::readable(self).await
    }
}

impl Connection for TlsStream<TcpStream> {
    async fn readable(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A connection among those that may be.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Place> {
        let most = shared.connections.load(Ordering::Relaxed);
        let taken = |count: &AtomicUsize| {
            count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < most).then_some(n + 1)).is_ok()
        };
        taken(&shared.connected).then(|| Place(shared.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves one connection until it ends, is silent for too long, or takes no answers.
async fn serve(
    mut stream: impl Connection,
    peer: SocketAddr,
    shared: &Shared,
    figures: &Figures,
) -> std::io::Result<()> {
    let client = peer.ip().to_canonical();
    let mut input: Vec<u8> = Vec::new();
    let mut output: Vec<u8> = Vec::new();
    loop {
        let idle = Duration::from_millis(shared.idle_ms.load(Ordering::Relaxed));
        // A connection that says nothing holds nothing.
        if input.is_empty() && !matches!(timeout(idle, stream.readable()).await, Ok(Ok(()))) {
            return Ok(());
        }
        input.reserve(READ);
        match timeout(idle, receive(&mut stream, &mut input)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) | Err(_) => return Ok(()),
            Ok(Err(e)) => return Err(e),
        }
        let mut taken = 0;
        while let Some(message) = first(&input[taken..]) {
            let size = message.len();
            match reply(message, client, shared, figures, |answer| push(&mut output, answer)) {
                Turn::Done(_) => {}
                Turn::Close => return Ok(()),
                Turn::Ask(waiting) => {
                    send(&mut stream, &mut output, idle).await?;
                    let Some((answer, _)) = waiting.answer(message, shared, figures).await else {
                        return Ok(());
                    };
                    push(&mut output, &answer);
                }
                Turn::Transfer(transfer, signer) => {
                    send_zone(&mut stream, &mut output, idle, *transfer, signer).await?;
                }
            }
            taken += PREFIX + size;
            if output.len() >= WRITE {
                send(&mut stream, &mut output, idle).await?;
            }
        }
        send(&mut stream, &mut output, idle).await?;
        input.drain(..taken);
        if input.is_empty() {
            (input, output) = (Vec::new(), Vec::new());
        }
    }
}

/// Reads until there is a whole message; false at the end. All of it must come within the idle time: who is slow is as good
/// as silent.
async fn receive(stream: &mut impl Connection, input: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        if stream.read_buf(input).await? == 0 {
            return Ok(false);
        }
        if first(input).is_some() {
            return Ok(true);
        }
        if input.len() == input.capacity() {
            input.reserve(READ);
        }
    }
}

async fn send_zone(
    stream: &mut impl Connection,
    output: &mut Vec<u8>,
    idle: Duration,
    mut transfer: Transfer,
    mut signer: Option<Box<Signer>>,
) -> std::io::Result<()> {
    let mut room = vec![0; transfer::MESSAGE];
    while let Some(size) = transfer.next(&mut room, transfer::MESSAGE - transfer::ROOM) {
        let mut message = room[..size].to_vec();
        if let Some(signer) = &mut signer {
            signer.sign(&mut message, clock::wall().as_secs());
        }
        push(output, &message);
        send(stream, output, idle).await?;
    }
    Ok(())
}

async fn send(stream: &mut impl Connection, output: &mut Vec<u8>, idle: Duration) -> std::io::Result<()> {
    if !output.is_empty() {
        timeout(idle, async {
            stream.write_all(output).await?;
            // TLS may still hold some of it.
            stream.flush().await
        })
        .await
        .map_err(|_| std::io::ErrorKind::TimedOut)??;
        output.clear();
    }
    Ok(())
}

/// The message at the beginning, when it is whole.
fn first(input: &[u8]) -> Option<&[u8]> {
    let size = usize::from(u16::from_be_bytes([*input.first()?, *input.get(1)?]));
    input.get(PREFIX..PREFIX + size)
}

fn push(output: &mut Vec<u8>, message: &[u8]) {
    output.extend_from_slice(&(message.len() as u16).to_be_bytes());
    output.extend_from_slice(message);
}
