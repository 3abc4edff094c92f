//! Cables between nodes, which can be cut: what is on its way is lost, nothing new gets through.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::region::raft::connection::{Dialed, Dialer, Stream};

#[derive(Default)]
pub struct Cables {
    /// Pairs between which nothing passes, in the direction of the dial.
    cut: Mutex<HashSet<(String, String)>>,
    moved: Mutex<HashMap<(String, String), watch::Sender<u64>>>,
}

impl Cables {
    /// The dialer of the node at this address.
    pub fn of(self: &Arc<Self>, address: &str) -> Arc<dyn Dialer> {
        Arc::new(End { cables: self.clone(), from: address.to_owned() })
    }

    /// Cuts both directions.
    pub fn cut(&self, a: &str, b: &str) {
        for pair in [(a.to_owned(), b.to_owned()), (b.to_owned(), a.to_owned())] {
            self.cut.lock().unwrap().insert(pair.clone());
            if let Some(moved) = self.moved.lock().unwrap().get(&pair) {
                moved.send_modify(|n| *n += 1);
            }
        }
    }

    pub fn mend(&self) {
        self.cut.lock().unwrap().clear();
    }

    fn is_cut(&self, pair: &(String, String)) -> bool {
        self.cut.lock().unwrap().contains(pair)
    }

    fn watch(&self, pair: &(String, String)) -> watch::Receiver<u64> {
        self.moved.lock().unwrap().entry(pair.clone()).or_insert_with(|| watch::channel(0).0).subscribe()
    }
}

struct End {
    cables: Arc<Cables>,
    from: String,
}

impl Dialer for End {
    fn dial<'a>(&'a self, address: &'a str) -> Dialed<'a> {
        Box::pin(async move {
            let pair = (self.from.clone(), address.to_owned());
            let mut moved = self.cables.watch(&pair);
            if self.cables.is_cut(&pair) {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            let inner = TcpStream::connect(address).await?;
            inner.set_nodelay(true)?;
            let broken = Box::pin(async move { drop(moved.changed().await) });
            Ok(Box::new(Cable { inner, broken }) as Box<dyn Stream>)
        })
    }
}

struct Cable {
    inner: TcpStream,
    broken: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Cable {
    fn whole(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.broken.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.whole(cx)?;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
