//! Opening a connection to a server: where to, from where, through which proxy, with TLS or not.

use std::net::SocketAddr;

use crate::conn::{Dial, Link, dial, socks4};
use crate::model::{Address, Server};

use super::route::Chooser;
use super::server_name::Greeting;

/// To whom a connection is opened, how it begins, and the one protocol that may be agreed on.
type Opening<'o> = (&'o Server, &'o Greeting, Option<&'o [u8]>);

impl Chooser<'_> {
    /// A new connection, which may still be under way unless a proxy stands in between.
    pub(super) async fn opened(
        &self,
        server: &Server,
        greeting: &Greeting,
        only: Option<&[u8]>,
    ) -> std::io::Result<Link> {
        let how = (server, greeting, only);
        match server.spec.socks4 {
            None => self.open(&self.target(server, greeting), how),
            Some(proxy) => Box::pin(self.open_through(proxy, how)).await,
        }
    }

    fn open(&self, to: &Address, how: Opening<'_>) -> std::io::Result<Link> {
        self.secured(self.dialled(to, how)?, to, how)
    }

    async fn open_through(&self, proxy: SocketAddr, how: Opening<'_>) -> std::io::Result<Link> {
        let to = self.target(how.0, how.1);
        let link = self.dialled(&Address::Inet(proxy), how)?;
        socks4::pass(&link, to.inet(), self.worker().rt.after_ms(self.proxy.timeouts.connect)).await?;
        self.secured(link, &to, how)
    }

    /// Where a connection for this stream leads to.
    fn target(&self, server: &Server, greeting: &Greeting) -> Address {
        let mut to = server.address();
        if let (Address::Inet(addr), Some(offset)) = (&mut to, server.spec.port_offset) {
            let port = i32::from(greeting.name.port().unwrap_or(0)) + offset;
            addr.set_port(port as u16);
        }
        if let (Address::Inet(addr), Some(ip)) = (&mut to, greeting.name.ip())
            && addr.ip().is_unspecified()
        {
            addr.set_ip(ip);
        }
        to
    }

    fn dialled(&self, to: &Address, (server, greeting, _): Opening<'_>) -> std::io::Result<Link> {
        let of_backend = self.back().and_then(|b| b.source.as_ref());
        let how = Dial {
            to,
            source: server.spec.source.as_ref().or(of_backend),
            interface: server.spec.interface.as_deref(),
            mark: greeting.packets.mark,
            tos: greeting.packets.tos,
            keepalive: self.proxy.options.tcpka_server,
            no_linger: self.proxy.options.nolinger,
        };
        dial(self.worker().rt, &how)
    }

    fn secured(&self, link: Link, to: &Address, how: Opening<'_>) -> std::io::Result<Link> {
        let (server, greeting, only) = how;
        match server.tls() {
            Some(_) if self.worker().rehearses.get() => Ok(link),
            None => Ok(link),
            Some(tls) => greeting.name.secure(link, (tls, only), to, &greeting.preface),
        }
    }
}
