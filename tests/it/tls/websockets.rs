//! Many WebSockets over TLS, half of them over HTTP/1.1 and half over HTTP/2, while the configuration changes again and again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use nix::sys::signal::Signal;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::certificate::files;
use super::{fetched, path, resolve};
use crate::support::Proxy;
use crate::support::place::{self, wait_until};

const RELOADS: usize = 20;
/// Over HTTP/1.1, and over HTTP/2: connections, and streams of each.
const OLD: usize = 500;
const NEW: (usize, usize) = (20, 25);
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "
global
    nbthread 2
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 5m
frontend fe
    bind {ip}:{port:fe} ssl crt {cert} alpn h2,http/1.1
    http-request return status 200 content-type text/plain lf-string \"round0\" if { path /round }
    default_backend be
backend be
    server s1 {ws}
";

/// A server of WebSockets: it opens each, and sends back what a message says.
async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
            assert!(text.contains("upgrade: websocket") && text.contains("sec-websocket-key: "), "{text}");
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                accept(&head)
            );
            stream.write_all(answer.as_bytes()).await?;
            loop {
                let mut begin = [0; 6];
                stream.read_exact(&mut begin).await?;
                let (len, mask) = (usize::from(begin[1] & 0x7f), [begin[2], begin[3], begin[4], begin[5]]);
                let mut message = vec![0; len];
                stream.read_exact(&mut message).await?;
                message.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
                stream.write_all(&[&[0x81, len as u8][..], &message].concat()).await?;
            }
            #[allow(unreachable_code)]
            std::io::Result::Ok(())
        });
    }
}

/// What the server says of the key of a request (RFC 6455, 4.2.2).
fn accept(head: &[u8]) -> String {
    use base64::Engine as _;
    let text = String::from_utf8_lossy(head);
    let mut fields = text.lines().filter_map(|line| line.split_once(": "));
    let key = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).expect("a key").1;
    let whole = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::engine::general_purpose::STANDARD.encode(isobar::tls::info::sha1(whole.as_bytes()))
}

/// A short message of a client, and the server's.
fn asked(text: &str) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [&[0x81, 0x80 | text.len() as u8][..], &mask, &masked.collect::<Vec<u8>>()].concat()
}

fn answered(text: &str) -> Vec<u8> {
    [&[0x81, text.len() as u8][..], text.as_bytes()].concat()
}

/// An open WebSocket.
enum Socket {
    Old(Box<dyn Stream>),
    New(h2::SendStream<Bytes>, h2::RecvStream),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Socket {
    /// Sends a message, and takes what comes back.
    async fn echo(&mut self, text: &str) -> Vec<u8> {
        let wanted = answered(text).len();
        match self {
            Socket::Old(stream) => {
                stream.write_all(&asked(text)).await.expect("it is open");
                let mut room = vec![0; wanted];
                stream.read_exact(&mut room).await.expect("an answer");
                room
            }
            Socket::New(send, receive) => {
                send.send_data(asked(text).into(), false).expect("it is open");
                let mut all = Vec::new();
                while all.len() < wanted {
                    let piece = receive.data().await.expect("an answer").expect("no reset");
                    let _ = receive.flow_control().release_capacity(piece.len());
                    all.extend_from_slice(&piece);
                }
                all
            }
        }
    }
}

/// TLS with one protocol.
async fn secure(proxy: &Proxy, cert: &CertificateDer<'static>, protocol: &[u8]) -> impl Stream + use<> {
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(proxy.addr("fe")).await.expect("connected");
    stream.set_nodelay(true).expect("an option");
    let name = ServerName::try_from("a.test").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    stream
}

async fn open_old(proxy: &Proxy, cert: &CertificateDer<'static>) -> Socket {
    let mut stream = secure(proxy, cert, b"http/1.1").await;
    let ask = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    Socket::Old(Box::new(stream))
}

/// The WebSockets of one connection of HTTP/2 (RFC 8441).
async fn open_new(proxy: &Proxy, cert: &CertificateDer<'static>, count: usize) -> Vec<Socket> {
    let stream = secure(proxy, cert, b"h2").await;
    let (sender, connection) =
        h2::client::Builder::new().handshake::<_, Bytes>(stream).await.expect("HTTP/2");
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let mut sender = sender.ready().await.expect("ready");
    let told = async {
        while !sender.is_extended_connect_protocol_enabled() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, told).await.expect("its SETTINGS allow it");
    let mut sockets = Vec::new();
    for _ in 0..count {
        sender = sender.ready().await.expect("ready");
        let request = http::Request::connect("https://a.test/chat").header("sec-websocket-version", "13");
        let request = request.extension(Protocol::from_static("websocket")).body(()).expect("a request");
        let (response, send) = sender.send_request(request, false).expect("sent");
        let response = response.await.expect("an answer");
        assert_eq!(response.status(), 200);
        sockets.push(Socket::New(send, response.into_body()));
    }
    sockets
}

/// A message and its answer on all of them, at once.
async fn all_echo(sockets: Vec<Socket>, round: &str) -> Vec<Socket> {
    let mut tasks = Vec::new();
    for (n, mut socket) in sockets.into_iter().enumerate() {
        let text = format!("{round} {n}");
        tasks.push(tokio::spawn(async move {
            let answer =
                timeout(PATIENCE, socket.echo(&text)).await.unwrap_or_else(|_| panic!("silence: {text}"));
            assert_eq!(answer, answered(&text));
            socket
        }));
    }
    let mut kept = Vec::new();
    for task in tasks {
        kept.push(task.await.expect("an echo"));
    }
    kept
}

/// Another answer and another server beside, and waits until that holds.
fn reload(proxy: &Proxy, round: usize) {
    let file = proxy.dir().join("haproxy.cfg");
    let text = std::fs::read_to_string(&file).expect("read");
    let next = text.replace(&format!("round{round}\""), &format!("round{}\"", round + 1));
    let next = format!("{next}backend more{round}\n    server s1 {}\n", place::dead());
    std::fs::write(&file, next).expect("write");
    proxy.signal(Signal::SIGUSR2);
    let addr = proxy.addr("fe");
    let (resolved, url) = (resolve("a.test", addr), format!("https://a.test:{}/round", addr.port()));
    let wanted = format!("round{}", round + 1);
    let holds = || fetched(&["--resolve", &resolved, &url]) == wanted;
    assert!(wait_until(PATIENCE, holds), "{}", proxy.stderr());
}

#[test]
fn a_thousand_are_held_through_twenty_reloads() {
    if crate::support::program::is_haproxy() {
        return; // Its reload is another process.
    }
    isobar::os::limits::raise_descriptors(8192).expect("descriptors");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let dir = files(&["a"]);
    let pem = path(dir.path(), "a.pem");
    let cert = CertificateDer::from_pem_file(&pem).expect("a certificate");
    let listener = runtime.block_on(TcpListener::bind((place::address(), 0))).expect("a port");
    let addr = listener.local_addr().expect("bound");
    runtime.spawn(serve(listener));
    let proxy = Proxy::on(CONFIG).with("cert", &pem).with("ws", addr).start();
    let mut sockets = runtime.block_on(async {
        let mut sockets = Vec::new();
        for _ in 0..OLD {
            sockets.push(open_old(&proxy, &cert).await);
        }
        for _ in 0..NEW.0 {
            sockets.extend(open_new(&proxy, &cert, NEW.1).await);
        }
        sockets
    });
    assert_eq!(sockets.len(), 1000);
    for round in 0..RELOADS {
        sockets = runtime.block_on(all_echo(sockets, &format!("before {round}")));
        reload(&proxy, round);
        sockets = runtime.block_on(all_echo(sockets, &format!("after {round}")));
    }
    assert_eq!(sockets.len(), 1000);
}
