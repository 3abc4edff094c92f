//! `http-request auth-request` end to end: a service on a port of its own is asked before requests go on.

use std::time::{Duration, Instant};

use crate::support::message::Message;
use crate::support::place::wait_until;
use crate::support::{Client, Origin, Proxy, Step};

const CONFIG: &str = "
global
    nbthread 2
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend web
    bind {ip}:{port:web}
    http-request set-header x-original-uri %[pathq]
    http-request auth-request auth /verify copy-headers x-user
    default_backend app
backend app
    server s1 {app}
backend auth
    timeout server 1s
    server a1 {auth}
";

/// Says yes to whoever has the password; how it answers is in the path that is asked about.
fn doorkeeper(asked: &Message) -> Vec<Step> {
    let send = |text: &str| vec![Step::Send(text.into())];
    match (asked.field("x-original-uri"), asked.field("authorization")) {
        (Some("/slow"), _) => vec![Step::Hang],
        (Some("/late"), _) => [vec![Step::Sleep(Duration::from_millis(300))], granted()].concat(),
        (Some("/broken"), _) => vec![Step::Close],
        (_, Some("secret")) => granted(),
        (_, Some(_)) => send("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nnever"),
        (_, None) => send(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"door\"\r\nSet-Cookie: seen=1\r\n\
             X-User: nobody\r\nContent-Length: 5\r\n\r\nnever",
        ),
    }
}

fn granted() -> Vec<Step> {
    vec![Step::Send("HTTP/1.1 200 OK\r\nX-User: ann\r\nContent-Length: 4\r\n\r\nfine".into())]
}

struct House {
    auth: Origin,
    app: Origin,
    proxy: Proxy,
}

fn house() -> House {
    let (auth, app) = (Origin::serve(doorkeeper), Origin::named("app"));
    let proxy = Proxy::on(CONFIG).with("auth", auth.addr()).with("app", app.addr()).start();
    House { auth, app, proxy }
}

fn last(origin: &Origin) -> Message {
    origin.take().pop().expect("it was asked").message.expect("a request")
}

#[test]
fn who_may_come_in_is_known_inside() {
    let house = house();
    let mut client = Client::connect(house.proxy.addr("web"));
    // Refused, with what the client needs to try again; the connection stays.
    let answer = client.ask("GET /a?b HTTP/1.1\r\nHost: h\r\nX-User: root\r\n\r\n");
    assert_eq!((answer.status(), answer.body_text().as_str()), (401, ""));
    assert_eq!(answer.field("www-authenticate"), Some("Bearer realm=\"door\""));
    assert_eq!((answer.field("set-cookie"), answer.field("x-user")), (Some("seen=1"), None));
    assert!(answer.keeps_alive() && house.app.count() == 0);
    let asked = last(&house.auth);
    assert_eq!((asked.method(), asked.target()), ("GET", "/verify"));
    assert_eq!((asked.field("host"), asked.field("x-original-uri")), (Some("h"), Some("/a?b")));
    // Allowed, and nobody says by himself who he is.
    let allowed = "Authorization: secret\r\nX-User: root\r\nx-user: root2\r\n";
    let answer = client.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{allowed}\r\n"));
    assert_eq!((answer.status(), answer.body_text().as_str()), (200, "app"));
    assert_eq!(last(&house.app).all("x-user").collect::<Vec<_>>(), ["ann"]);
    let answer = client.ask("GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: guess\r\n\r\n");
    assert_eq!(answer.status(), 403);
    // All of that over one connection to the service.
    assert_eq!(house.auth.accepted(), 1);
}

#[test]
fn bodies_are_not_the_doorkeeper_s() {
    let house = house();
    let mut client = Client::connect(house.proxy.addr("web"));
    let body = "x".repeat(300_000);
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: secret\r\nContent-Length: 300000\r\n\r\n")
    };
    for path in ["/late", "/a"] {
        client.send(head(path) + &body);
        assert_eq!(client.response_to("POST").expect("an answer").status(), 200, "{path}");
        assert_eq!(last(&house.app).body.len(), body.len());
        let asked = last(&house.auth);
        assert_eq!((asked.body.len(), asked.field("content-length")), (0, None));
    }
    // What is refused is not read by anyone inside.
    client.send(head("/a").replace("secret", "guess") + &body);
    assert_eq!(client.response_to("POST").expect("an answer").status(), 403);
    assert_eq!(house.app.count(), 0);
}

#[test]
fn a_doorkeeper_that_does_not_answer() {
    let mut house = house();
    let mut client = Client::connect(house.proxy.addr("web"));
    let begun = Instant::now();
    let answer = client.ask("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.status(), 504);
    assert!(begun.elapsed() >= Duration::from_millis(900) && begun.elapsed() < Duration::from_secs(5));
    let mut client = Client::connect(house.proxy.addr("web"));
    assert_eq!(client.ask("GET /broken HTTP/1.1\r\nHost: h\r\n\r\n").status(), 502);
    house.auth.kill();
    let mut client = Client::connect(house.proxy.addr("web"));
    assert_eq!(client.ask("GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: secret\r\n\r\n").status(), 503);
    house.auth.revive();
    let mut client = Client::connect(house.proxy.addr("web"));
    assert_eq!(client.ask("GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: secret\r\n\r\n").status(), 200);
    assert_eq!(house.app.count(), 1);
}

#[test]
fn who_leaves_is_not_waited_for() {
    let house = house();
    let mut client = Client::connect(house.proxy.addr("web"));
    client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(wait_until(Duration::from_secs(5), || house.auth.count() == 1));
    client.reset();
    // Before its timeout of a second: the service's connection ends with the client's.
    assert!(wait_until(Duration::from_millis(900), || house.auth.live() == 0));
    assert_eq!(house.app.count(), 0);
}
