//! Queries over HTTPS (RFC 8484), and names that are asked of upstream over TLS.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName};

use super::client::{Node, SOON, dig, short};
use crate::support::place::wait_until;

const LINES: &str =
    "    zone lb.example.com\n    record www service web policy nearest ttl 7s\n    record t A 192.0.2.99\n";

/// A certificate for `ns.test` and its key, in one file, and the certificate.
fn certificate(dir: &Path) -> (PathBuf, CertificateDer<'static>) {
    let path = dir.join("crt.pem");
    let made = rcgen::generate_simple_self_signed(["ns.test".to_owned()]).expect("a certificate");
    std::fs::write(&path, made.cert.pem() + &made.signing_key.serialize_pem()).expect("written");
    (path, made.cert.der().clone())
}

struct Place {
    node: Node,
    dir: tempfile::TempDir,
    certificate: CertificateDer<'static>,
}

/// A node that answers over HTTPS too, with a name that has much to say.
fn place(lines: &str, more: &str) -> Place {
    let dir = tempfile::Builder::new().prefix("it.").tempdir().expect("a directory");
    let (path, certificate) = certificate(dir.path());
    let texts: String = (0..200).map(|n| format!("big TXT \"{n:0250}\"\n")).collect();
    let zone = dir.path().join("zone");
    std::fs::write(&zone, format!("$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n{texts}")).expect("written");
    let bind = format!("    bind {{ip}}:{{port:web}} ssl crt {} https\n", path.display());
    let zone = format!("    zone-file big.test {}\n", zone.display());
    let node = Node::start(&format!("{bind}{lines}{zone}{LINES}"), more);
    Place { node, dir, certificate }
}

/// A query without an id, as caches like them.
fn query(name: &str, kind: u8) -> Vec<u8> {
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend(label.bytes());
    }
    packet.extend([0, 0, kind, 0, 1]);
    packet
}

impl Place {
    fn url(&self, rest: &str) -> String {
        format!("https://ns.test:{}{rest}", self.node.proxy.addr("web").port())
    }

    /// What curl says: the status, protocol, type and lifetime, and the octets of the body.
    fn curl(&self, words: &[&str], rest: &str) -> (String, Vec<u8>) {
        let address = self.node.proxy.addr("web");
        let body = self.dir.path().join("body");
        let out = Command::new("curl")
            .args(["-sS", "-m", "10", "--cacert"])
            .arg(self.dir.path().join("crt.pem"))
            .arg("--resolve")
            .arg(format!("ns.test:{}:{}", address.port(), address.ip()))
            .args(["-w", "%{http_code} %{http_version} %{content_type} %header{cache-control}", "-o"])
            .arg(&body)
            .args(words)
            .arg(self.url(rest))
            .output()
            .expect("curl");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        (said, std::fs::read(&body).unwrap_or_default())
    }

    fn post(&self, words: &[&str], octets: &[u8]) -> (String, Vec<u8>) {
        let file = self.dir.path().join("query");
        std::fs::write(&file, octets).expect("written");
        let data = format!("@{}", file.display());
        let kind = "content-type: application/dns-message";
        self.curl(&[words, &["-H", kind, "--data-binary", &data]].concat(), "/dns-query")
    }
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(octets)
}

#[test]
fn queries_come_by_get_and_post_over_both_versions() {
    let place = place("", "");
    let own = query("t.lb.example.com", 1);
    let get = format!("/dns-query?dns={}", base64(&own));
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let said = format!("200 {version} application/dns-message max-age=30");
        for (told, answer) in [place.curl(&[flag], &get), place.post(&[flag], &own)] {
            assert_eq!(told, said);
            assert!(answer.ends_with(&[192, 0, 2, 99]) && answer[7] == 1, "{answer:?}");
        }
        // Longer than a datagram, and than a piece.
        let (told, answer) = place.post(&[flag], &query("big.big.test", 16));
        assert!(told.starts_with("200 ") && answer.len() > 50_000, "{told}: {} octets", answer.len());
        assert_eq!(answer[2] & 2, 0, "truncated");
    }
    // dig's own, over HTTP/2.
    let web = place.node.proxy.addr("web");
    assert_eq!(short(web, &["+https", "t.lb.example.com"]), ["192.0.2.99"]);
    assert_eq!(short(web, &["+https-get", "t.lb.example.com"]), ["192.0.2.99"]);
    // What was made for one client is not kept for others; that there is nothing is kept as long as the zone says.
    let _us = place.node.host("us-east");
    place.node.register("web", "us-east", "us-1", "192.0.2.2", "passing");
    place.node.becomes(&["www.lb.example.com"], &["192.0.2.2"]);
    let (told, _) = place.post(&[], &query("www.lb.example.com", 1));
    assert_eq!(told, "200 2 application/dns-message private, max-age=7");
    let (told, answer) = place.post(&[], &query("none.lb.example.com", 1));
    assert_eq!((&*told, answer[3] & 15), ("200 2 application/dns-message max-age=30", 3));
}

#[test]
fn what_is_no_query_is_refused_by_its_status() {
    let place = place(
        "    key t hmac-sha256 c2VjcmV0LW9mLXRoZS16b25lcy0wMTIzNDU2Nzg5\n    transfer 127.0.0.0/8\n",
        "",
    );
    let own = query("t.lb.example.com", 1);
    let mut answer = own.clone();
    answer[2] |= 0x80;
    let get = |octets: &[u8]| format!("/dns-query?dns={}", base64(octets));
    for flag in ["--http2", "--http1.1"] {
        for (words, rest, status) in [
            (&[][..], "/other?dns=AAAA", "404"),
            (&[], "/dns-query", "400"),
            (&[], "/dns-query?dns=AA+A", "400"),
            (&[], &get(b"short"), "400"),
            (&[], &get(&answer), "400"),
            (&[], &get(&[own.clone(), vec![0; 5000]].concat()), "414"),
            (&["-X", "PUT"], "/dns-query", "405"),
            (&["-d", "x"], "/dns-query", "415"),
            (&[], &get(&query("lb.example.com", 252)), "501"),
        ] {
            let (told, _) = place.curl(&[&[flag], words].concat(), rest);
            assert!(told.starts_with(status), "{words:?} {}: {told}", &rest[..rest.len().min(60)]);
        }
        let (told, _) = place.post(&[flag], &vec![0; 5000]);
        assert!(told.starts_with("413"), "{told}");
    }
    assert_eq!(short(place.node.dns(), &["t.lb.example.com"]), ["192.0.2.99"]);
}

/// Requests that nobody reads the answers of, and connections on which nothing is asked, end after the idle time.
#[test]
fn who_asks_nothing_or_reads_nothing_is_given_up() {
    let place = place("    tcp-idle 1s\n    maxconn 3\n", "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let begin = Instant::now();
        let (sender, connection) = connect(&place).await;
        let ended = tokio::time::timeout(SOON, connection).await;
        assert!(
            ended.is_ok() && begin.elapsed() > Duration::from_millis(700),
            "silent: {:?}",
            begin.elapsed()
        );
        drop(sender);
        // Answers that are not taken: no window is given back.
        let (mut sender, connection) = connect(&place).await;
        let mut connection = tokio::spawn(connection);
        let mut held = Vec::new();
        let uri = place.url(&format!("/dns-query?dns={}", base64(&query("big.big.test", 16))));
        for _ in 0..16 {
            let request = http::Request::get(&uri).body(()).expect("a request");
            let ready = sender.ready().await.expect("ready");
            sender = ready;
            held.push(sender.send_request(request, true).expect("sent").0);
        }
        let begin = Instant::now();
        let ended = tokio::time::timeout(SOON, &mut connection).await;
        assert!(
            ended.is_ok() && begin.elapsed() > Duration::from_millis(700),
            "unread: {:?}",
            begin.elapsed()
        );
        // A body that never ends, one octet at a time.
        let (mut sender, connection) = connect(&place).await;
        let mut connection = tokio::spawn(connection);
        let request =
            http::Request::post(place.url("/dns-query")).header("content-type", "application/dns-message");
        let (_answer, mut body) =
            sender.send_request(request.body(()).expect("a request"), false).expect("sent");
        let begin = Instant::now();
        while !connection.is_finished() && begin.elapsed() < SOON {
            let _ = body.send_data(bytes::Bytes::from_static(b"\0"), false);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(tokio::time::timeout(SOON, &mut connection).await.is_ok(), "a body that trickles");
    });
    let again = wait_until(SOON, || {
        short(place.node.proxy.addr("web"), &["+https", "t.lb.example.com"]) == ["192.0.2.99"]
    });
    assert!(again, "{}", place.node.proxy.stderr());
}

/// One client whose connections read no answers, of which each is large, takes no room from others.
#[test]
fn who_reads_nothing_leaves_room_for_others() {
    let place = place("    tcp-idle 30s\n    maxconn 100\n", "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let uri = place.url(&format!("/dns-query?dns={}", base64(&query("big.big.test", 16))));
        let (mut held, mut refused) = (Vec::new(), 0);
        // 75 MB in all, if there were room for them.
        for _ in 0..15 {
            let (mut sender, connection) = connect(&place).await;
            tokio::spawn(connection);
            let mut answers = Vec::new();
            for _ in 0..100 {
                let request = http::Request::get(&uri).body(()).expect("a request");
                sender = sender.ready().await.expect("ready");
                answers.push(sender.send_request(request, true).expect("sent").0);
            }
            for answer in answers {
                let answer = tokio::time::timeout(SOON, answer).await.expect("soon").expect("an answer");
                refused += usize::from(answer.status() == 503);
                // Its body is not read.
                held.push(answer);
            }
        }
        assert!(refused > 1000 && refused < 1450, "{refused} of {} were refused", held.len());
        let one = query("big.big.test", 16);
        let told = std::thread::scope(|scope| {
            scope.spawn(|| place.post(&["--interface", "127.9.9.9"], &one)).join().expect("curl")
        });
        assert!(told.0.starts_with("200 ") && told.1.len() > 50_000, "{}", told.0);
        drop(held);
    });
}

type Driver = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// HTTP/2 by hand.
async fn connect(place: &Place) -> (h2::client::SendRequest<bytes::Bytes>, Driver) {
    let mut roots = RootCertStore::empty();
    roots.add(place.certificate.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(place.node.proxy.addr("web")).await.expect("connected");
    let name = ServerName::try_from("ns.test").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let (sender, connection) = h2::client::Builder::new().handshake(stream).await.expect("HTTP/2");
    let driver: Driver = Box::pin(async move {
        let _ = connection.await;
    });
    (sender, driver)
}

/// One responder asks another, which speaks nothing but TLS.
#[test]
fn upstream_is_asked_over_tls() {
    let dir = tempfile::Builder::new().prefix("it.").tempdir().expect("a directory");
    let (path, _) = certificate(dir.path());
    let (other, _) = {
        let sub = dir.path().join("other");
        std::fs::create_dir(&sub).expect("a directory");
        certificate(&sub)
    };
    let (path, other) = (path.display(), other.display());
    let up = format!(
        "dns up\n    bind {{ip}}:{{port:up}} ssl crt {path}\n    zone up.test\n    record *.w A 192.0.2.50 ttl 300s\n"
    );
    let lines = format!(
        "    forward up.test tls://ns.test@{{ip}}:{{port:up}} ca-file {path}\n    \
         forward w.up.test tls://ns.test@{{ip}}:{{port:up}} ca-file {path}\n    \
         forward name.test tls://else.test@{{ip}}:{{port:up}} ca-file {path}\n    \
         forward ca.test tls://ns.test@{{ip}}:{{port:up}} ca-file {other}\n"
    );
    let node = Node::start(&lines, &up);
    for n in 0..20 {
        assert_eq!(
            short(node.dns(), &[&format!("h{n}.w.up.test")]),
            ["192.0.2.50"],
            "{}",
            node.proxy.stderr()
        );
    }
    assert!(dig(node.dns(), &["none.up.test"]).contains("status: NXDOMAIN"));
    // Another name, and who is not believed.
    for name in ["x.name.test", "x.ca.test"] {
        let told = dig(node.dns(), &[name, "+time=9"]);
        assert!(told.contains("status: SERVFAIL") && told.contains("EDE: 23"), "{told}");
    }
}
