//! The client: a connection to an address, over TLS or not, and requests on it, one at a time.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::http::response::Parts;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::body::{self, BodyError, Bounds};
use crate::tls::Secure;

/// Where a server is.
#[derive(Clone, Copy, Debug)]
pub enum Peer<'a> {
    /// `host:port`.
    Tcp(&'a str),
    Unix(&'a Path),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("does not answer")]
    Slow,
    #[error(transparent)]
    Io(io::Error),
    #[error("does not shake hands")]
    SlowHandshake,
    #[error(transparent)]
    Handshake(io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// What becomes of a connection when nobody asks on it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ends in good order, once the answer that somebody reads still is over.
    Farewell,
    /// Nothing is left of it.
    Cut,
}

/// A connection to a server, on which requests with bodies of one type are sent.
pub struct Connection<B = Full<Bytes>> {
    sender: SendRequest<B>,
    /// This side's address, if it is one of IP.
    pub own: Option<IpAddr>,
    _cut: Option<Cut>,
}

impl<B> Connection<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Connects within a time, and shakes hands within the same again where there is TLS.
    pub async fn open(
        peer: Peer<'_>,
        secure: Option<&Secure>,
        within: Duration,
    ) -> Result<Connection<B>, ConnectError> {
        match peer {
            Peer::Tcp(address) => {
                let stream = in_time(within, TcpStream::connect(address)).await?;
                let _ = stream.set_nodelay(true);
                let own = stream.local_addr().ok().map(|address| address.ip());
                Ok(Connection { own, ..Connection::secured(stream, secure, within).await? })
            }
            Peer::Unix(path) => {
                let stream = in_time(within, UnixStream::connect(path)).await?;
                Connection::secured(stream, secure, within).await
            }
        }
    }

    async fn secured<S>(
        stream: S,
        secure: Option<&Secure>,
        within: Duration,
    ) -> Result<Connection<B>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(secure) = secure else { return Ok(Connection::over(stream, Ending::Farewell).await?) };
        let shaken = timeout(within, secure.over(stream)).await.map_err(|_| ConnectError::SlowHandshake)?;
        let stream = shaken.map_err(ConnectError::Handshake)?;
        Ok(Connection::over(stream, Ending::Farewell).await?)
    }

    /// Over a stream that is connected already.
    pub async fn over<S>(stream: S, ending: Ending) -> Result<Connection<B>, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection).abort_handle();
        let cut = (ending == Ending::Cut).then(|| Cut(driver));
        Ok(Connection { sender, own: None, _cut: cut })
    }

    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Waits until it can be asked again, after an answer that was read.
    pub async fn ready(&mut self) -> Result<(), hyper::Error> {
        self.sender.ready().await
    }

    /// Sends a request. An error that [`hyper::Error::is_canceled`] says: it was not sent.
    pub async fn ask(&mut self, request: Request<B>) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.send_request(request).await
    }

    /// Sends a request and reads the whole answer, whose body may have so many bytes.
    pub async fn exchange(&mut self, request: Request<B>, most: usize) -> Result<(Parts, Bytes), AskError> {
        let (head, body) = self.ask(request).await?.into_parts();
        Ok((head, body::read(body, Bounds::of(most)).await?))
    }
}

async fn in_time<T>(
    within: Duration,
    connecting: impl Future<Output = io::Result<T>>,
) -> Result<T, ConnectError> {
    timeout(within, connecting).await.map_err(|_| ConnectError::Slow)?.map_err(ConnectError::Io)
}

/// Ends the task that moves a connection's bytes.
struct Cut(AbortHandle);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.abort();
    }
}
