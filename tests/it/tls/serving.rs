//! What clients of all kinds get over TLS, on more than one worker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::certificate::files;
use super::{fetched, path, resolve};
use crate::support::{Client, Origin, Proxy, origin};

const HTTP: &str = "
global
    nbthread 2
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
";

/// Uploads, downloads and keep-alive, in HTTP/1.1 and in HTTP/2, with TLS on both sides.
#[test]
fn both_sides_and_both_versions() {
    let dir = files(&["a"]);
    let body = "0123456789abcdef".repeat(40_000);
    let echo = Origin::serve(|request| {
        let answer = if request.body.is_empty() { b"empty".to_vec() } else { request.body.clone() };
        vec![origin::Step::Send(
            [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len()).into_bytes(), answer]
                .concat(),
        )]
    });
    let config = format!(
        "{HTTP}
listen outer
    bind {{ip}}:{{port:outer}} ssl crt {pem} alpn h2,http/1.1
    http-reuse always
    server s1 {{ip}}:{{port:inner}} ssl verify none alpn h2,http/1.1
    server s2 {{ip}}:{{port:inner}} ssl verify none
listen inner
    bind {{ip}}:{{port:inner}} ssl crt {pem} alpn h2,http/1.1
    server s1 {{s1}}
",
        pem = path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).with("s1", echo.addr()).start();
    let upload = path(dir.path(), "upload");
    std::fs::write(&upload, &body).expect("write");
    let (resolved, data) = (resolve("a.test", proxy.addr("outer")), format!("@{upload}"));
    let url = format!("https://a.test:{}/x", proxy.addr("outer").port());
    for version in ["--http1.1", "--http2"] {
        for _ in 0..4 {
            let answer = fetched(&[version, "--resolve", &resolved, "--data-binary", &data, &url]);
            assert!(answer == body, "{version}: {} bytes instead of {}", answer.len(), body.len());
        }
        let shown = fetched(&[version, "--resolve", &resolved, &url, &url, "-w", "%{num_connects}"]);
        assert_eq!(shown, "empty1empty0", "{version}");
    }
}

/// The PROXY header comes before TLS, and goes before it.
#[test]
fn the_proxy_protocol_goes_before() {
    let dir = files(&["a"]);
    let config = format!(
        "{HTTP}
frontend inner
    bind {{ip}}:{{port:inner}} ssl crt {pem} accept-proxy
    http-request return status 200 content-type text/plain lf-string \"%ci %[ssl_fc_sni]\"
listen outer
    bind {{ip}}:{{port:outer}}
    server s1 {{ip}}:{{port:inner}} ssl verify none sni str(a.test) send-proxy-v2
",
        pem = path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).start();
    let url = format!("http://{}/", proxy.addr("outer"));
    assert_eq!(fetched(&["--interface", "127.0.0.1", &url]), "127.0.0.1 a.test");
}

/// In TCP mode the end of the client's direction goes on to the server, and a late reply arrives; with TLS on neither,
/// either and both sides.
#[test]
fn a_half_close_goes_through() {
    let dir = files(&["a"]);
    let late = Origin::raw(|mut stream, _| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        std::thread::sleep(std::time::Duration::from_millis(200));
        let _ = stream.write_all(format!("{} bytes", all.len()).as_bytes());
    });
    let config = format!(
        "{HTTP}
listen back
    mode tcp
    bind {{ip}}:{{port:back}} ssl crt {pem}
    server s1 {{s1}}
listen front
    mode tcp
    bind {{ip}}:{{port:front}}
    server s1 {{ip}}:{{port:back}} ssl verify none
",
        pem = path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).with("s1", late.addr()).start();
    let mut client = Client::connect(proxy.addr("front"));
    let answer = client.send("x".repeat(300_000)).half_close().rest().0;
    assert_eq!(String::from_utf8_lossy(&answer), "300000 bytes");
}

/// A session goes on where another connection began it.
#[test]
fn sessions_go_on() {
    let dir = files(&["a"]);
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}} ssl crt {}
    http-request return status 200 content-type text/plain lf-string \"resumed=%[ssl_fc_is_resumed]\"
",
        path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).start();
    let session = path(dir.path(), "session");
    for version in ["-tls1_2", "-tls1_3"] {
        for (option, resumed) in [("-sess_out", "resumed=0"), ("-sess_in", "resumed=1")] {
            let connect = proxy.addr("fe").to_string();
            let mut openssl = Command::new("openssl")
                .args(["s_client", "-connect", &connect, "-servername", "a.test", version, option, &session])
                .args(["-ign_eof"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("openssl");
            let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            openssl.stdin.as_mut().expect("its input").write_all(request).expect("write");
            let output = openssl.wait_with_output().expect("its output");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains(resumed), "{version} {option}: {text}");
        }
    }
}

/// `timeout client` goes for the handshake too.
#[test]
fn a_silent_client_is_cut_off() {
    let dir = files(&["a"]);
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}} ssl crt {}
    http-request return status 200
",
        HTTP.replace("client 5s", "client 500ms"),
        path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).start();
    let mut silent = TcpStream::connect(proxy.addr("fe")).expect("connect");
    let begun = std::time::Instant::now();
    assert_eq!(silent.read(&mut [0; 16]).expect("its end"), 0);
    assert!(begun.elapsed() < std::time::Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// `maxsslconn`: one more waits until another has gone.
#[test]
fn only_so_many_at_once() {
    let dir = files(&["a"]);
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}} ssl crt {}
    http-request return status 200
",
        HTTP.replace("nbthread 2", "nbthread 2\n    maxsslconn 1"),
        path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).start();
    let first = TcpStream::connect(proxy.addr("fe")).expect("connect");
    std::thread::sleep(std::time::Duration::from_millis(200));
    let (resolved, url) =
        (resolve("a.test", proxy.addr("fe")), format!("https://a.test:{}/", proxy.addr("fe").port()));
    let args = ["--resolve", resolved.as_str(), "--connect-timeout", "1", url.as_str()];
    assert!(!super::curl(&args).status.success(), "a second one was served");
    drop(first);
    assert!(super::curl(&args).status.success(), "nobody is served any more");
}

/// `maxsslrate`: one more in the same second waits; and what `show info` counts.
#[test]
fn only_so_many_a_second() {
    let dir = files(&["a"]);
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}} ssl crt {}
    http-request return status 200
",
        HTTP.replace("nbthread 2", "nbthread 2\n    maxsslrate 3\n    stats socket {dir}/sock level admin"),
        path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).start();
    let (resolved, url) =
        (resolve("a.test", proxy.addr("fe")), format!("https://a.test:{}/", proxy.addr("fe").port()));
    let begun = std::time::Instant::now();
    for _ in 0..8 {
        fetched(&["--resolve", &resolved, &url]);
    }
    assert!(begun.elapsed() > std::time::Duration::from_millis(1200), "{:?}", begun.elapsed());
    let mut stream = std::os::unix::net::UnixStream::connect(proxy.dir().join("sock")).expect("connect");
    stream.write_all(b"show info\n").expect("write");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    let of = |name: &str| {
        let begin = format!("{name}: ");
        let value = text.lines().find_map(|line| line.strip_prefix(&begin)).expect("a line");
        value.parse::<u32>().expect("a number")
    };
    assert_eq!((of("CumSslConns"), of("CurrSslConns"), of("SslRateLimit")), (8, 0, 3), "{text}");
    assert!((1..=8).contains(&of("MaxSslRate")) && (1..=8).contains(&of("SslFrontendMaxKeyRate")), "{text}");
}

/// `check-ssl`, and checks of servers with `ssl`, shake hands.
#[test]
fn checks_shake_hands() {
    let dir = files(&["a"]);
    let config = format!(
        "global
    stats socket {{dir}}/sock level admin
{HTTP}
listen inner
    bind {{ip}}:{{port:inner}} ssl crt {pem} strict-sni
    http-request return status 200
backend good
    option httpchk GET /
    default-server inter 200ms
    server own {{ip}}:{{port:inner}} ssl verify none check check-sni a.test
    server other {{ip}}:{{port:inner}} check check-ssl verify none check-sni a.test
    server unnamed {{ip}}:{{port:inner}} ssl verify none check fall 1
backend scripted
    option tcp-check
    default-server inter 200ms fall 1
    tcp-check connect ssl sni a.test alpn http/1.1
    tcp-check send GET\\ /\\ HTTP/1.0\\r\\n\\r\\n
    tcp-check expect string 200
    server plain {{ip}}:{{port:inner}} verify none check
backend refused
    option tcp-check
    default-server inter 200ms fall 1
    tcp-check connect ssl sni b.test
    server plain {{ip}}:{{port:inner}} verify none check
",
        pem = path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).start();
    let state = || {
        let mut stream = std::os::unix::net::UnixStream::connect(proxy.dir().join("sock")).expect("connect");
        stream.write_all(b"show stat\n").expect("write");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read");
        let of = |server: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{server},")))?;
            Some((line.contains(",UP,"), line.contains("L7OK"), line.contains("L6RSP")))
        };
        ["good,own", "good,other", "good,unnamed", "scripted,plain", "refused,plain"].map(of)
    };
    let (up, down) = (Some((true, true, false)), Some((false, false, true)));
    let wanted = [up, up, down, up, down];
    let done = crate::support::place::wait_until(std::time::Duration::from_secs(10), || state() == wanted);
    assert!(done, "{:?}", state());
}

/// `crt-store`: the parts of a certificate in files of their own, by an alias or by its file.
#[test]
fn certificates_of_stores() {
    if crate::support::program::is_haproxy() {
        return;
    }
    let dir = files(&["a", "b"]);
    std::fs::create_dir_all(dir.path().join("keys")).expect("a directory");
    for name in ["a", "b"] {
        let text = std::fs::read_to_string(dir.path().join(format!("{name}.pem"))).expect("read");
        let (crt, key) = text.split_once("-----BEGIN PRIVATE KEY").expect("a key");
        std::fs::write(dir.path().join(format!("{name}.crt")), crt).expect("write");
        let key = format!("-----BEGIN PRIVATE KEY{key}");
        std::fs::write(dir.path().join(format!("keys/{name}.secret")), key).expect("write");
    }
    let (at, keys) = (dir.path().display(), path(dir.path(), "keys"));
    let config = format!(
        "{}
crt-store web
    crt-base {at}
    key-base {keys}
    load crt a.crt key a.secret alias first
crt-store
    crt-base {at}
    load crt b.crt key b.secret
frontend fe
    bind {{ip}}:{{port:one}} ssl crt @web/first
    bind {{ip}}:{{port:two}} ssl crt @web/a.crt
    bind {{ip}}:{{port:three}} ssl crt {at}/b.crt crt @/b.crt
    http-request return status 200 content-type text/plain lf-string \"%[ssl_f_s_dn(CN)]\"
",
        HTTP.replace("nbthread 2", &format!("nbthread 2\n    key-base {keys}"))
    );
    let proxy = Proxy::on(&config).start();
    for (port, name) in [("one", "a.test"), ("two", "a.test"), ("three", "b.test")] {
        let (resolved, url) =
            (resolve(name, proxy.addr(port)), format!("https://{name}:{}/", proxy.addr(port).port()));
        assert_eq!(fetched(&["--resolve", &resolved, &url]), name);
    }
}

/// What Debian's HAProxy does not know yet.
#[test]
fn what_newer_versions_tell() {
    if crate::support::program::is_haproxy() {
        return;
    }
    let dir = files(&["a", "b"]);
    let (a, b) = (path(dir.path(), "a.pem"), path(dir.path(), "b.pem"));
    let config = format!(
        "{HTTP}
frontend inner
    bind {{ip}}:{{port:inner}} ssl crt {a}
    http-request return status 200
listen outer
    bind {{ip}}:{{port:outer}} ssl crt {a} ca-file {b} verify optional
    server s1 {{ip}}:{{port:inner}} ssl verify none
    http-response set-header x-told \"%[ssl_fc_curve] %[ssl_fc_crtname] %[ssl_c_san] %[ssl_fc_client_random,hex,length] %[ssl_fc_protocol_hello_id] %[ssl_bc_curve]\"
"
    );
    let proxy = Proxy::on(&config).start();
    let (resolved, url) =
        (resolve("a.test", proxy.addr("outer")), format!("https://a.test:{}/", proxy.addr("outer").port()));
    let told =
        fetched(&["-i", "--http1.1", "--curves", "X25519", "--cert", &b, "--resolve", &resolved, &url]);
    let line = told.lines().find_map(|line| line.strip_prefix("x-told: ")).unwrap_or_default();
    let begin = format!("X25519 {a} DNS:b.test 64 771 ");
    assert!(line.starts_with(&begin), "{line} instead of {begin}");
    assert!(line.trim_end().ends_with("X25519") || line.trim_end().ends_with("MLKEM768"), "{line}");
}

/// `ws h2` offers HTTP/2 alone: where the server does not agree, it is sent none.
#[test]
fn websockets_over_http_2_need_its_consent() {
    if crate::support::program::is_haproxy() {
        return; // It speaks HTTP/2 to whoever shook hands.
    }
    let dir = files(&["a"]);
    let config = format!(
        "{HTTP}
    retries 0
listen fe
    bind {{ip}}:{{port:fe}}
    use-server s2 if {{ path /willing }}
    server s1 {{ip}}:{{port:silent}} ssl verify none alpn h2,http/1.1 ws h2
    server s2 {{ip}}:{{port:willing}} ssl verify none alpn h2,http/1.1 ws h2 weight 0
frontend inner
    bind {{ip}}:{{port:silent}} ssl crt {pem} no-alpn
    bind {{ip}}:{{port:willing}} ssl crt {pem} alpn h2,http/1.1
    http-request return status 403 content-type text/plain lf-string \"%[fc_http_major] %[ssl_fc_alpn]\"
",
        pem = path(dir.path(), "a.pem")
    );
    let proxy = Proxy::on(&config).start();
    let ask = |target: &str| {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let answer = Client::connect(proxy.addr("fe")).ask(&request);
        (answer.status(), String::from_utf8_lossy(&answer.body).into_owned())
    };
    let willing = ask("/willing");
    assert_eq!((willing.0, &*willing.1), (403, "2 h2"));
    assert_eq!(ask("/silent").0, 503);
}
