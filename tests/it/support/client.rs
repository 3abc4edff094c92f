//! A raw client: it sends the bytes it is told to and reads what comes.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::message::{Broken, End, Message, Reader};

/// How long a client waits for an answer unless told otherwise; generous, for busy machines.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Client {
    stream: TcpStream,
    pub reader: Reader,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Self {
        Self::over(
            TcpStream::connect_timeout(&addr, PATIENCE).unwrap_or_else(|e| panic!("connect to {addr}: {e}")),
        )
    }

    /// Connects to a port that may refuse.
    pub fn try_connect(addr: SocketAddr) -> Option<Self> {
        TcpStream::connect_timeout(&addr, PATIENCE).ok().map(Self::over)
    }

    /// Connects from this source address, as if it were another client.
    pub fn connect_from(source: Ipv4Addr, addr: SocketAddr) -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("bind the source");
        socket.connect_timeout(&addr.into(), PATIENCE).unwrap_or_else(|e| panic!("connect to {addr}: {e}"));
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let reader = Reader::new(stream.try_clone().expect("a second handle"));
        Client { stream, reader }
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("connected")
    }

    /// Sends bytes; a peer that has closed already is no error here, its answer tells.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends the pieces with a pause before each but the first.
    pub fn send_slowly(&mut self, pieces: &[&str], pause: Duration) -> &mut Self {
        for (n, piece) in pieces.iter().enumerate() {
            if n > 0 {
                std::thread::sleep(pause);
            }
            self.send(piece);
        }
        self
    }

    pub fn response(&mut self) -> Result<Message, Broken> {
        self.reader.within(PATIENCE).response("GET")
    }

    pub fn response_to(&mut self, method: &str) -> Result<Message, Broken> {
        self.reader.within(PATIENCE).response(method)
    }

    /// Sends one request and reads its response, skipping 1xx.
    pub fn ask(&mut self, request: &str) -> Message {
        self.send(request);
        let method = request.split(' ').next().unwrap_or("GET").to_string();
        loop {
            let response =
                self.response_to(&method).unwrap_or_else(|e| panic!("no response to {request:?}: {e:?}"));
            if !matches!(response.status(), 100..=199) {
                return response;
            }
        }
    }

    /// Everything until the peer closes.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        self.reader.within(PATIENCE).rest()
    }

    /// True when the peer closes without sending anything more.
    pub fn closes_within(&mut self, at_most: Duration) -> bool {
        self.reader.within(at_most).rest() == (Vec::new(), End::Closed)
    }

    pub fn half_close(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Closes with a TCP reset.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// One GET of a path on a connection of its own.
pub fn get(addr: SocketAddr, path: &str) -> Message {
    Client::connect(addr)
        .ask(&format!("GET {path} HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n"))
}
