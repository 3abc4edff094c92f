//! Checks by TCP and UDP, and the connections that the others make.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};

use crate::region::map::Health;

use super::machine::Finding;
use super::tls;
use crate::tls::client::host_of;

/// Connects to `host:port`, whichever of its addresses answers first in order.
pub(super) async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // Thousands of checks leave no ports in TIME-WAIT behind them: they end with a reset.
    stream.set_zero_linger()?;
    Ok(stream)
}

pub(super) async fn tcp(address: &str, with_tls: bool) -> Finding {
    let connected = match connect(address).await {
        Ok(stream) if with_tls => tls::connect(stream, host_of(address), &[], false).await.map(drop),
        other => other.map(drop),
    };
    match connected {
        Ok(()) => Finding::new(Health::Passing, format!("TCP connect {address}: Success")),
        Err(e) => Finding::critical(format!("TCP connect {address}: {e}")),
    }
}

/// Sends an empty datagram. A host says when nobody listens; silence means that somebody does.
pub(super) async fn udp(address: &str, limit: Duration) -> Finding {
    let outcome = async {
        let peer: SocketAddr = tokio::net::lookup_host(address)
            .await?
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address"))?;
        let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(peer).await?;
        socket.send(&[]).await?;
        let mut byte = [0; 1];
        match tokio::time::timeout(limit, socket.recv(&mut byte)).await {
            Ok(Err(e)) => Err(e),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    };
    match outcome.await {
        Ok(()) => Finding::new(Health::Passing, format!("UDP connect {address}: Success")),
        Err(e) => Finding::critical(format!("UDP connect {address}: {e}")),
    }
}
