//! Commands of the runtime API about TLS: HAProxy's answers, what clients are shown after them, and what a reload leaves
//! of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use nix::sys::signal::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tempfile::TempDir;

use super::certificate::files;
use super::{fetched, path, resolve};
use crate::diff::{HTTP, one};
use crate::support::Proxy;
use crate::support::differential::{Run, same};
use crate::support::place::wait_until;

const SOON: Duration = Duration::from_secs(10);

/// For both passes: no command writes to them.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = files(&["a", "b", "n"]);
    let at = |name: &str| path(dir.path(), name);
    let list = format!("{} [alpn http/1.1] a.test *.a.test !x.a.test\n{}\n", at("a.pem"), at("b.pem"));
    std::fs::write(dir.path().join("list"), list).expect("write");
    let key = |byte: u8| format!("{}\n", [byte; 64].map(char::from).iter().collect::<String>());
    std::fs::write(dir.path().join("keys"), [b'A', b'B', b'C'].map(key).concat()).expect("write");
    std::fs::copy(dir.path().join("a.pem"), dir.path().join("ca.pem")).expect("copy");
    dir
});

fn file(name: &str) -> String {
    path(FILES.path(), name)
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(FILES.path().join(name)).expect("read")
}

/// One command on a connection of its own.
fn cli(proxy: &Proxy, command: &str) -> String {
    let mut stream = UnixStream::connect(proxy.dir().join("sock")).expect("connect");
    stream.write_all(format!("{command}\n").as_bytes()).expect("write");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    text
}

fn with_payload(command: &str, payload: &str) -> String {
    format!("{command} <<\n{payload}")
}

fn say(run: &mut Run, command: &str) {
    let said = run.cli(command);
    // Debian's HAProxy ends some refusals with two lines.
    run.note(command, said.trim_end());
}

fn shown(run: &mut Run, host: &str) {
    let addr = run.addr("fe");
    let (resolved, url) = (resolve(host, addr), format!("https://{host}:{}/x", addr.port()));
    let text = fetched(&["--resolve", &resolved, &url]);
    run.note(host, &text);
}

#[test]
fn answers_and_what_follows_from_them() {
    let head = HTTP.replace("    nbthread 1\n", "    nbthread 1\n    stats socket {dir}/sock level admin\n");
    let config = format!(
        "{head}
frontend fe
    no log
    bind {{ip}}:{{port:fe}} ssl crt-list {list} tls-ticket-keys {keys} ca-file {ca} verify optional
    http-request return status 200 content-type text/plain lf-string \"%[ssl_f_s_dn(CN)]\"
",
        list = file("list"),
        keys = file("keys"),
        ca = file("ca.pem"),
    );
    same(&config, one, 0, |run| {
        let (a, n, list) = (file("a.pem"), file("n.pem"), file("list"));
        shown(run, "a.test");
        say(run, &format!("commit ssl cert {a}"));
        say(run, &format!("abort ssl cert {a}"));
        say(run, &with_payload(&format!("set ssl cert {a}"), &pem("n.pem")));
        say(run, "show ssl cert");
        shown(run, "a.test");
        say(run, &format!("commit ssl cert {a}"));
        shown(run, "a.test");
        say(run, &with_payload(&format!("set ssl cert {a}"), &pem("b.pem")));
        say(run, &format!("abort ssl cert {a}"));
        shown(run, "z.a.test");
        say(run, &with_payload("set ssl cert nope.pem", &pem("b.pem")));
        say(run, &format!("new ssl cert {n}"));
        say(run, &format!("new ssl cert {n}"));
        say(run, &format!("add ssl crt-list {list} {n}"));
        say(run, &with_payload(&format!("set ssl cert {n}"), &pem("n.pem")));
        say(run, &format!("commit ssl cert {n}"));
        say(run, &format!("add ssl crt-list {list} {n}"));
        shown(run, "n.test");
        say(run, &with_payload(&format!("add ssl crt-list {list}"), &format!("{n} [foo]\n")));
        say(run, &format!("add ssl crt-list nope {n}"));
        say(run, &format!("add ssl crt-list {list} nope.pem"));
        say(run, &format!("del ssl cert {n}"));
        say(run, &format!("del ssl crt-list {list} {n}:9"));
        say(run, &format!("del ssl crt-list {list} {n}"));
        shown(run, "n.test");
        say(run, "show ssl crt-list");
        say(run, "show ssl crt-list nope");
        for kind in ["ca-file", "crl-file"] {
            say(run, &format!("new ssl {kind} own"));
            say(run, &format!("new ssl {kind} own"));
            say(run, &format!("commit ssl {kind} own"));
            say(run, &format!("abort ssl {kind} own"));
            say(run, &with_payload(&format!("set ssl {kind} own"), "junk\n"));
            say(run, &format!("show ssl {kind} nope"));
            say(run, &format!("del ssl {kind} own"));
        }
        let ca = file("ca.pem");
        say(run, &with_payload(&format!("set ssl ca-file {ca}"), &pem("b.pem")));
        say(run, &format!("commit ssl ca-file {ca}"));
        say(run, &format!("del ssl ca-file {ca}"));
        say(run, "show tls-keys");
        say(run, "show tls-keys #0");
        say(run, &format!("set ssl tls-key #0 {}", "D".repeat(64)));
        say(run, "set ssl tls-key #0 zz");
        say(run, "set ssl tls-key #9 AAAA");
        say(run, "show tls-keys #0");
        say(run, "show tls-keys nope");
    });
}

/// Commands that Debian's HAProxy does not know, or answers otherwise.
#[test]
fn answers_of_newer_versions() {
    if crate::support::program::is_haproxy() {
        return;
    }
    let dir = super::old::stapled();
    let (good, ca) = (path(dir.path(), "good.pem"), path(dir.path(), "ca.crt"));
    let config = format!(
        "
global
    stats socket {{dir}}/sock level admin
defaults
    mode http
    timeout client 10s
frontend fe
    bind {{ip}}:{{port:fe}} name own ssl crt {good} ca-file {ca} verify optional
    http-request return status 200
frontend metrics
    bind {{ip}}:{{port:metrics}}
    http-request use-service prometheus-exporter
"
    );
    let proxy = Proxy::on(&config).start();
    let sni = cli(&proxy, "show ssl sni");
    let line = format!("fe/{}:8\tgood\t-\trsa\t{good}\t", path(proxy.dir(), "haproxy.cfg"));
    assert!(sni.contains(&line), "{sni} without {line}");
    let metrics = fetched(&[&format!("http://{}/metrics", proxy.addr("metrics"))]);
    let metric = format!("isobar_certificate_not_after_seconds{{file=\"{good}\"}} ");
    let until = metrics.lines().find_map(|line| line.strip_prefix(&metric)?.parse::<u64>().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    assert!(until.is_some_and(|until| until > now + 3000 * 86_400), "{until:?}");
    let text = std::fs::read_to_string(&ca).expect("read");
    let said = cli(&proxy, &with_payload(&format!("add ssl ca-file {ca}"), &text));
    assert_eq!(said, format!("transaction created for CA {ca}!\n\n"));
    cli(&proxy, &format!("commit ssl ca-file {ca}"));
    assert!(cli(&proxy, "show ssl ca-file").contains(&format!("{ca} - 2 certificate(s)\n")));
    let listed = cli(&proxy, "show ssl ocsp-response");
    let id = listed.lines().find_map(|line| line.strip_prefix("Certificate ID key : ")).expect("an id");
    assert!(id.starts_with("303a300906052b0e03021a0500"), "{listed}");
    let certificate = cli(&proxy, &format!("show ssl cert {good}"));
    assert!(certificate.contains(&format!("OCSP Response Key: {id}\n")), "{certificate}");
    for name in [id, &good] {
        let answer = cli(&proxy, &format!("show ssl ocsp-response {name}"));
        assert!(answer.contains("    Responder Id: O = Old, CN = ca\n"), "{answer}");
        assert!(answer.contains("    Cert Status: good\n"), "{answer}");
    }
    let encoded =
        Command::new("openssl").args(["base64", "-in"]).arg(dir.path().join("revoked.ocsp")).output();
    let encoded = String::from_utf8(encoded.expect("openssl").stdout).expect("text");
    let said = cli(&proxy, &with_payload("set ssl ocsp-response", &encoded));
    assert_eq!(said, "OCSP Response updated!\n\n");
    let answer = cli(&proxy, &format!("show ssl cert {good}.ocsp"));
    assert!(
        answer.contains("    Cert Status: revoked\n    Revocation Time: Jan  1 00:00:00 2025 GMT\n"),
        "{answer}"
    );
    let shaken = Command::new("openssl")
        .args(["s_client", "-status", "-connect", &proxy.addr("fe").to_string()])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl");
    let shaken = String::from_utf8_lossy(&shaken.stdout).into_owned();
    assert!(shaken.contains("Cert Status: revoked"), "{shaken}");
    assert_eq!(
        cli(&proxy, "set ssl ocsp-response xx"),
        "'set ssl ocsp-response' received invalid base64 encoded response.\n\n"
    );
}

/// A client that takes every certificate and shakes hands anew each time.
fn stranger() -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(isobar::tls::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(isobar::tls::Anyone));
    let mut config = config.with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn shake(config: &Arc<ClientConfig>, addr: SocketAddr, name: &str) -> std::io::Result<()> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(config.clone(), name).map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(SOON))?;
    while client.is_handshaking() {
        client.complete_io(&mut stream)?;
    }
    Ok(())
}

/// Lines come and go while clients shake hands on all workers.
#[test]
fn a_thousand_changes_under_load() {
    if crate::support::program::is_haproxy() {
        return;
    }
    let dir = files(&["a", "n"]);
    let (a, n, list) = (path(dir.path(), "a.pem"), path(dir.path(), "n.pem"), path(dir.path(), "list"));
    std::fs::write(&list, format!("{a}\n{n}\n")).expect("write");
    let config = format!(
        "
global
    nbthread 2
    stats socket {{dir}}/sock level admin
defaults
    mode http
    timeout client 10s
frontend fe
    bind {{ip}}:{{port:fe}} ssl crt-list {list} strict-sni
    http-request return status 200
"
    );
    let proxy = Proxy::on(&config).start();
    let (addr, client) = (proxy.addr("fe"), stranger());
    let (is_over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work = |name: &'static str| {
            let mut failures = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                match shake(&client, addr, name) {
                    Ok(()) => done.fetch_add(1, Ordering::Relaxed),
                    Err(e) => {
                        failures.push(format!("{name}: {e}"));
                        0
                    }
                };
            }
            failures
        };
        let clients = ["a.test", "n.test", "a.test"].map(|name| scope.spawn(move || work(name)));
        for round in 0..500 {
            let filters = format!("add ssl crt-list {list} <<\n{n} [alpn h2] x{round}.test n.test\n");
            let said = cli(&proxy, &filters);
            assert!(said.contains("Success!"), "{said}");
            // No number is given twice.
            let said = cli(&proxy, &format!("del ssl crt-list {list} {n}:{}", 3 + round));
            assert!(said.contains("deleted"), "{said}");
        }
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    assert!(
        failures.is_empty(),
        "{} failed, {} not: {failures:?}",
        failures.len(),
        done.load(Ordering::Relaxed)
    );
    assert!(done.load(Ordering::Relaxed) > 100, "{done:?}");
}

/// What commands changed stays over a reload, until the file itself is another one.
#[test]
fn a_reload_keeps_what_no_file_contradicts() {
    if crate::support::program::is_haproxy() {
        return;
    }
    let dir = files(&["a", "b", "c", "n"]);
    let at = |name: &str| path(dir.path(), name);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("read");
    std::fs::write(at("list"), format!("{}\n{}\n", at("a.pem"), at("b.pem"))).expect("write");
    let new = read("n.pem");
    std::fs::remove_file(at("n.pem")).expect("remove");
    let config = format!(
        "
global
    stats socket {{dir}}/sock level admin
defaults
    mode http
    timeout client 10s
frontend fe
    bind {{ip}}:{{port:fe}} ssl crt-list {}
    http-request return status 200 content-type text/plain lf-string \"round1 %[ssl_f_s_dn(CN)]\"
",
        at("list")
    );
    let proxy = Proxy::on(&config).start();
    let shown = |host: &str| {
        let addr = proxy.addr("fe");
        fetched(&["--resolve", &resolve(host, addr), &format!("https://{host}:{}/", addr.port())])
    };
    let reload = |round: u32| {
        let config = proxy.dir().join("haproxy.cfg");
        let text = std::fs::read_to_string(&config).expect("read");
        let next = text.replace(&format!("round{round}"), &format!("round{}", round + 1));
        std::fs::write(&config, next).expect("write");
        proxy.signal(Signal::SIGUSR2);
        let begin = format!("round{} ", round + 1);
        assert!(wait_until(SOON, || shown("a.test").starts_with(&begin)), "{}", proxy.stderr());
    };
    assert_eq!(shown("a.test"), "round1 a.test");
    let set = |name: &str, pem: &str| {
        let said = cli(&proxy, &with_payload(&format!("set ssl cert {}", at(name)), pem));
        assert!(said.starts_with("Transaction created"), "{said}");
        let said = cli(&proxy, &format!("commit ssl cert {}", at(name)));
        assert!(said.contains("Success!"), "{said}");
    };
    // The line goes by the names of its certificate: `a.test` is then the default's.
    set("a.pem", &read("c.pem"));
    cli(&proxy, &format!("new ssl cert {}", at("n.pem")));
    set("n.pem", &new);
    let said = cli(&proxy, &format!("add ssl crt-list {} {}", at("list"), at("n.pem")));
    assert!(said.contains("Success!"), "{said}");
    let now = |round: &str| {
        for (host, who) in [("a.test", "c.test"), ("b.test", "b.test"), ("n.test", "n.test")] {
            assert_eq!(shown(host), format!("{round} {who}"), "{}", proxy.stderr());
        }
    };
    now("round1");
    reload(1);
    now("round2");
    reload(2);
    now("round3");
    std::fs::write(at("a.pem"), read("b.pem")).expect("write");
    std::fs::write(at("list"), format!("{}\n", at("a.pem"))).expect("write");
    reload(3);
    assert_eq!(shown("a.test"), "round4 b.test");
    assert_eq!(shown("n.test"), "round4 b.test", "the file's list has it no more");
}

/// `set server ssl`: the same server in the clear and with TLS.
#[test]
fn a_server_is_switched() {
    let dir = files(&["a"]);
    let config = format!(
        "
global
    stats socket {{dir}}/sock level admin
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend clear
    bind {{ip}}:{{port:clear}}
    http-request return status 200 content-type text/plain lf-string \"tls=%[ssl_fc]\"
frontend secure
    bind {{ip}}:{{port:secure}} ssl crt {pem}
    http-request return status 200 content-type text/plain lf-string \"tls=%[ssl_fc]\"
listen outer
    bind {{ip}}:{{port:outer}}
    default-server ssl verify none
    server s1 {{ip}}:{{port:clear}} no-ssl
    use-server s1 if TRUE
listen other
    bind {{ip}}:{{port:other}}
    server s1 {{ip}}:{{port:clear}}
",
        pem = path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).start();
    let url = format!("http://{}/", proxy.addr("outer"));
    assert_eq!(fetched(&[&url]), "tls=0");
    let column = || {
        let text = cli(&proxy, "show servers state outer");
        let line = text.lines().find(|line| line.contains(" s1 ")).unwrap_or_default();
        line.split(' ').nth(20).unwrap_or_default().to_owned()
    };
    assert_eq!(column(), "-1");
    assert_eq!(cli(&proxy, "set server outer/s1 ssl on"), "server ssl setting updated.\n\n");
    assert_eq!(column(), "1");
    let moved = format!(
        "set server outer/s1 addr {} port {}",
        proxy.addr("secure").ip(),
        proxy.addr("secure").port()
    );
    cli(&proxy, &moved);
    assert_eq!(fetched(&[&url]), "tls=1");
    cli(
        &proxy,
        &moved.replace(&proxy.addr("secure").port().to_string(), &proxy.addr("clear").port().to_string()),
    );
    assert_eq!(cli(&proxy, "set server outer/s1 ssl off"), "server ssl setting updated.\n\n");
    assert_eq!((fetched(&[&url]).as_str(), column().as_str()), ("tls=0", "0"));
    assert_eq!(
        cli(&proxy, "set server other/s1 ssl on"),
        "'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n\n"
    );
}
