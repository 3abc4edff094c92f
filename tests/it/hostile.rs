//! Clients and servers that mean harm, or die: the process stays up, others are served, nothing leaks.

use std::time::{Duration, Instant};

use crate::support::message::{Broken, End};
use crate::support::origin::{self, Origin, Step};
use crate::support::{Client, Proxy, client, place};

const CONFIG: &str = "
global
    maxconn 2000
defaults
    mode http
    timeout connect 2s
    timeout client 2s
    timeout server 2s
    timeout http-request 1s
    timeout http-keep-alive 1s
    retries 0
frontend fe
    bind {ip}:{port:fe}
    default_backend good
frontend few
    maxconn 20
    bind {ip}:{port:few}
    default_backend good
frontend dying
    bind {ip}:{port:dying}
    default_backend bad
backend good
    server s1 {good}
backend bad
    server s1 {bad}
";

struct Scene {
    proxy: Proxy,
    _good: Origin,
    bad: Origin,
    files_before: usize,
}

impl Scene {
    fn with(bad: Origin) -> Self {
        let good = Origin::named("fine");
        let proxy = Proxy::on(CONFIG).with("good", good.addr()).with("bad", bad.addr()).start();
        assert_eq!(client::get(proxy.addr("fe"), "/").body, b"fine");
        let files_before = proxy.open_files();
        Scene { proxy, _good: good, bad, files_before }
    }

    fn plain() -> Self {
        Self::with(Origin::named("bad"))
    }

    /// The process is up and somebody else is served at once.
    fn serves(&mut self) {
        assert!(self.proxy.is_up(), "the proxy ended:\n{}", self.proxy.stderr());
        let start = Instant::now();
        assert_eq!(client::get(self.proxy.addr("fe"), "/").body, b"fine");
        assert!(start.elapsed() < Duration::from_secs(2), "another client waited {:?}", start.elapsed());
    }

    /// Serves, and holds about as many descriptors as at the start.
    fn recovers(&mut self) {
        self.serves();
        let limit = self.files_before + 12;
        let back = place::wait_until(Duration::from_secs(8), || self.proxy.open_files() <= limit);
        assert!(back, "{} descriptors before, {} now", self.files_before, self.proxy.open_files());
    }

    /// Resident memory of the process in KiB.
    fn resident_kib(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.proxy.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("0");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

/// A head sent so slowly that it never ends costs its sender the connection, and nobody else anything.
#[test]
fn slowloris() {
    let mut scene = Scene::plain();
    let start = Instant::now();
    let mut slow: Vec<Client> = (0..200).map(|_| Client::connect(scene.proxy.addr("fe"))).collect();
    for letter in "GET / HTTP/1.1\r\nX-Slow: yes".chars() {
        for client in &mut slow {
            client.send(letter.to_string());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    scene.serves();
    for client in &mut slow {
        let answer = client.reader.within(Duration::from_secs(5)).response("GET");
        assert!(answer.as_ref().is_ok_and(|a| a.status() == 408), "wanted a 408, got {answer:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    drop(slow);
    scene.recovers();
}

/// Bytes that come often enough do not extend `timeout http-request`: it covers the whole head.
#[test]
fn slowloris_cannot_renew_its_time() {
    let mut scene = Scene::plain();
    let mut slow = Client::connect(scene.proxy.addr("fe"));
    slow.send("GET / HTTP/1.1\r\n");
    let start = Instant::now();
    let mut over = false;
    while start.elapsed() < Duration::from_secs(5) && !over {
        slow.send("X-A: b\r\n");
        let next = slow.reader.within(Duration::from_millis(100)).response("GET");
        over = !matches!(next, Err(Broken::Silent(_)));
    }
    assert!(over && start.elapsed() < Duration::from_secs(3), "still open after {:?}", start.elapsed());
    scene.serves();
}

/// A body sent slowly holds its own connection only.
#[test]
fn slow_bodies() {
    let mut scene = Scene::plain();
    let mut slow: Vec<Client> = (0..100).map(|_| Client::connect(scene.proxy.addr("fe"))).collect();
    for client in &mut slow {
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    }
    for _ in 0..10 {
        for client in &mut slow {
            client.send("a");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    scene.serves();
    drop(slow);
    scene.recovers();
}

#[test]
fn endless_head() {
    let mut scene = Scene::plain();
    let before = scene.resident_kib();
    for line in ["X-Endless: and so on\r\n", "X-", "\r\n", " "] {
        let mut endless = Client::connect(scene.proxy.addr("fe"));
        endless.send("GET / HTTP/1.1\r\nHost: x\r\n");
        if line == "\r\n" {
            endless = Client::connect(scene.proxy.addr("fe"));
        }
        for _ in 0..400 {
            endless.send(line.repeat(1000));
        }
        scene.serves();
    }
    assert!(
        scene.resident_kib() < before + 65_536,
        "memory grew from {before} to {} KiB",
        scene.resident_kib()
    );
    scene.recovers();
}

#[test]
fn endless_chunk_extension_and_trailers() {
    let mut scene = Scene::plain();
    let before = scene.resident_kib();
    for start in ["3;a=", "0\r\n", "0\r\nX: "] {
        let mut endless = Client::connect(scene.proxy.addr("fe"));
        endless.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        endless.send(start);
        for n in 0..200 {
            endless.send(if start == "0\r\n" {
                format!("X-{n}: b\r\n").repeat(500)
            } else {
                "b".repeat(5000)
            });
        }
        scene.serves();
    }
    assert!(
        scene.resident_kib() < before + 65_536,
        "memory grew from {before} to {} KiB",
        scene.resident_kib()
    );
    scene.recovers();
}

/// Past `maxconn` connections wait for a place, and get it when others end.
#[test]
fn flood_past_maxconn() {
    let mut scene = Scene::plain();
    let flood: Vec<Client> = (0..120).map(|_| Client::connect(scene.proxy.addr("few"))).collect();
    scene.serves();
    let mut late = Client::connect(scene.proxy.addr("few"));
    late.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    // The idle ones are thrown out by `timeout http-request`, twenty at a time.
    let answer = late.reader.within(Duration::from_secs(20)).response("GET");
    assert!(answer.as_ref().is_ok_and(|a| a.body == b"fine"), "{answer:?}");
    drop(flood);
    scene.recovers();
}

/// Connections that are opened and reset at once, by the thousand.
#[test]
fn flood_of_resets() {
    let mut scene = Scene::plain();
    for n in 0..2000 {
        let mut client = Client::connect(scene.proxy.addr("fe"));
        if n % 2 == 0 {
            client.send("GET / HTTP/1.1\r\n");
        }
        client.reset();
    }
    scene.recovers();
}

/// A thousand requests in one write.
#[test]
fn pipelined_flood() {
    let mut scene = Scene::plain();
    let mut client = Client::connect(scene.proxy.addr("fe"));
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000));
    for n in 0..1000 {
        let answer = client.response();
        assert!(answer.as_ref().is_ok_and(|a| a.body == b"fine"), "request {n}: {answer:?}");
    }
    scene.recovers();
}

/// Descriptors run out: accepting pauses, and goes on when some are free again.
#[test]
fn descriptors_run_out() {
    let good = Origin::named("fine");
    // More connections are allowed than there are descriptors for.
    let config = CONFIG.replace("    maxconn 2000\n", "    maxconn 400\n    no strict-limits\n");
    let mut proxy =
        Proxy::on(&config).with("good", good.addr()).with("bad", place::dead()).open_files(120).start();
    assert_eq!(client::get(proxy.addr("fe"), "/").body, b"fine");
    for _ in 0..2 {
        let mut flood: Vec<Client> = (0..300).map(|_| Client::connect(proxy.addr("fe"))).collect();
        for client in &mut flood {
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        std::thread::sleep(Duration::from_millis(300));
        assert!(proxy.is_up(), "the proxy ended:\n{}", proxy.stderr());
        drop(flood);
        // The first may come before the flood's descriptors are all closed, and be told so with a 503.
        let served = place::wait_until(Duration::from_secs(10), || {
            let mut next = Client::connect(proxy.addr("fe"));
            next.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            next.reader.within(Duration::from_secs(5)).response("GET").is_ok_and(|a| a.body == b"fine")
        });
        assert!(served, "nobody is served after the flood:\n{}", proxy.stderr());
    }
}

fn dying(script: Vec<Step>) -> Origin {
    Origin::serve(move |_| script.clone())
}

#[test]
fn server_dies_within_the_head() {
    for end in [Step::Close, Step::Reset] {
        for head in ["", "HTT", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"] {
            let mut scene = Scene::with(dying(vec![Step::Send(head.into()), end.clone()]));
            let answer = client::get(scene.proxy.addr("dying"), "/");
            assert_eq!(answer.status(), 502, "after {head:?}, {end:?}");
            scene.recovers();
        }
    }
}

/// The client must see that the body is not whole.
#[test]
fn server_dies_within_the_body() {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
    for end in [Step::Close, Step::Reset] {
        for start in [length, chunked] {
            let pause = Step::Sleep(Duration::from_millis(100));
            let mut scene = Scene::with(dying(vec![Step::Send(start.into()), pause, end.clone()]));
            let mut client = Client::connect(scene.proxy.addr("dying"));
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let answer = client.response();
            assert!(matches!(answer, Err(Broken::Cut(_))), "after {start:?}, {end:?}: {answer:?}");
            scene.recovers();
        }
    }
}

/// It accepts and says nothing, or sends one byte now and then.
#[test]
fn server_is_silent() {
    let mut scene = Scene::with(dying(vec![Step::Hang]));
    assert_eq!(client::get(scene.proxy.addr("dying"), "/").status(), 504);
    scene.recovers();
}

/// It closes while the client still uploads.
#[test]
fn server_dies_during_an_upload() {
    let early = |_: &_| Some(vec![Step::Sleep(Duration::from_millis(50)), Step::Reset]);
    let mut scene = Scene::with(Origin::serve_early(early, |_| vec![Step::Close]));
    let mut client = Client::connect(scene.proxy.addr("dying"));
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n");
    for _ in 0..50 {
        client.send(vec![b'a'; 100_000]);
    }
    let answer = client.response();
    assert!(
        matches!(&answer, Err(Broken::Closed | Broken::Cut(_)))
            || answer.as_ref().is_ok_and(|a| a.status() == 502),
        "{answer:?}"
    );
    scene.recovers();
}

/// It answers before the upload is over; the answer gets through.
#[test]
fn server_answers_before_the_upload_ends() {
    let early =
        |_: &_| Some(vec![Step::Send(origin::ok("early").replace("200 OK", "413 No").into()), Step::Hang]);
    let mut scene = Scene::with(Origin::serve_early(early, |_| vec![Step::Close]));
    let mut client = Client::connect(scene.proxy.addr("dying"));
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n").send("abc");
    let answer = client.response();
    assert!(answer.as_ref().is_ok_and(|a| a.status() == 413), "{answer:?}");
    drop(client);
    scene.recovers();
}

/// Clients that ask for much and read nothing: memory stays bounded and others are served.
#[test]
fn clients_that_do_not_read() {
    let body = vec![b'a'; 20_000_000];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut scene = Scene::with(dying(vec![Step::Send([head.as_bytes(), &body].concat())]));
    let before = scene.resident_kib();
    let mut deaf: Vec<Client> = (0..20).map(|_| Client::connect(scene.proxy.addr("dying"))).collect();
    for client in &mut deaf {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    std::thread::sleep(Duration::from_millis(500));
    scene.serves();
    assert!(
        scene.resident_kib() < before + 65_536,
        "memory grew from {before} to {} KiB",
        scene.resident_kib()
    );
    // `timeout client` ends them although the server would go on.
    let done = place::wait_until(Duration::from_secs(10), || scene.bad.live() == 0);
    assert!(done, "{} server connections are still held for clients that do not read", scene.bad.live());
    drop(deaf);
    scene.recovers();
}

/// A client that vanishes in the middle of a response frees its server connection.
#[test]
fn client_vanishes_within_the_response() {
    // More than sockets and pipes can swallow: a response that is through leaves an idle connection, rightly.
    let body = vec![b'a'; 60_000_000];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut scene = Scene::with(dying(vec![Step::Send([head.as_bytes(), &body].concat())]));
    for _ in 0..20 {
        let mut client = Client::connect(scene.proxy.addr("dying"));
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (some, _) = client.reader.within(Duration::from_millis(5)).rest();
        drop(some);
        client.reset();
    }
    let freed = place::wait_until(Duration::from_secs(5), || scene.bad.live() == 0);
    assert!(freed, "{} server connections are still open", scene.bad.live());
    scene.recovers();
}

/// Random bytes on every port do nothing but end the connection.
#[test]
fn noise() {
    let mut scene = Scene::plain();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..300 {
        let mut bytes = Vec::new();
        for _ in 0..64 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes.extend_from_slice(&seed.to_le_bytes());
        }
        let mut client = Client::connect(scene.proxy.addr("fe"));
        let (answer, end) = client.send(bytes).half_close().reader.within(Duration::from_secs(3)).rest();
        assert_eq!(end, End::Closed);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    scene.recovers();
}
