//! Cookies that name servers: how long they count, and those of remote desktops; cookies that caches would give away.

use super::rig::{GET, Rig, answers};
use crate::base::clock;

/// A date as it stands in cookies.
fn date(seconds: u64) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    [24, 18, 12, 6, 0].iter().map(|shift| digits[(seconds >> 2 >> shift) as usize & 63] as char).collect()
}

/// What the answer to a request with this cookie says of it.
fn told(rig: &Rig, cookie: &str) -> String {
    let mut client = rig.client();
    client.send(GET.replace("Host", &format!("Cookie: S={cookie}\r\nConnection: close\r\nHost")));
    let mut server = rig.try_server("s1").or_else(|| rig.try_server("s2")).expect("a server is asked");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let answer = client.take();
    let value = answer.split_once("set-cookie: S=").map_or("", |(_, rest)| rest);
    value.split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn cookies_grow_old() {
    let servers = ["server s1 10.0.0.1:80 cookie one", "server s2 10.0.0.2:80 cookie two"];
    let lines = ["log-format %tsc", "cookie S insert maxidle 1h maxlife 10h"];
    let rig = Rig::listen(&[lines[0], lines[1], servers[0], servers[1]]);
    let now = clock::wall().as_secs();
    let (hour, first) = (3600, date(now - 18_000));
    for (cookie, letters) in [
        ("two".to_owned(), "VU"),
        (format!("two|{}|{first}", date(now - 60)), "VU"),
        (format!("two|{}|{first}", date(now - 2 * hour)), "EI"),
        (format!("two|{}|{}", date(now - 60), date(now - 11 * hour)), "OI"),
        (format!("two|{}|{}", date(now - 60), date(now + 48 * hour)), "OI"),
        (format!("no|{}", date(now)), "II"),
    ] {
        let set = told(&rig, &cookie);
        assert_eq!(set.split('|').count(), 3, "{cookie}: {set}");
        let keeps = letters == "VU" && cookie.contains('|');
        assert_eq!(set.ends_with(&first), keeps, "{cookie}: {set}");
        let log = rig.log();
        assert_eq!(log, [format!("--{letters}")], "{cookie}");
    }
    let plain = Rig::listen(&["cookie S insert", servers[0], servers[1]]);
    // A date that nobody asks for any more is taken away.
    assert_eq!(told(&plain, &format!("one|{}", date(now - 60))), "one");
    assert_eq!(told(&plain, "one"), "");
}

#[test]
fn responses_that_caches_would_give_to_others_are_kept_back() {
    let rig = Rig::listen(&["option checkcache", "server s1 10.0.0.1:80"]);
    for (method, status, fields, is_kept) in [
        ("GET", 200, "Cache-Control: max-age=9\r\n", true),
        ("GET", 200, "", false),
        ("GET", 200, "Cache-Control: public\r\n", false),
        ("POST", 200, "Cache-Control: max-age=9\r\n", false),
        ("POST", 200, "Cache-Control: public, max-age=9\r\n", true),
        ("GET", 404, "ETag: \"x\"\r\n", true),
        ("GET", 403, "ETag: \"x\"\r\n", false),
        ("GET", 200, "Pragma: no-cache\r\nETag: \"x\"\r\n", false),
        ("GET", 200, "Cache-Control: max-age=9, private\r\n", false),
        ("GET", 200, "Cache-Control: max-age=9, no-cache=\"set-cookie\"\r\n", false),
        ("GET", 200, "Cache-Control: max-age=9, no-cache=\"x\"\r\n", true),
    ] {
        let mut client = rig.client();
        let body = if method == "POST" { "Content-Length: 0\r\nHost" } else { "Host" };
        client.send(GET.replace("GET", method).replace("Host", &format!("Connection: close\r\n{body}")));
        let mut server = rig.server("s1");
        server.take();
        server.send(format!(
            "HTTP/1.1 {status} X\r\nSet-Cookie: a=1\r\n{fields}Connection: close\r\nContent-Length: 0\r\n\r\n"
        ));
        let answer = client.take();
        let expected = if is_kept { 502 } else { status };
        assert_eq!(answers(&answer), [expected], "{method} {status} {fields}");
        assert_eq!(answer.contains("a=1"), !is_kept, "{method} {status} {fields}");
    }
}

#[test]
fn desktops_return_to_their_servers() {
    let rig = Rig::listen_tcp(&[
        "persist rdp-cookie",
        "balance rdp-cookie",
        "tcp-request inspect-delay 5s",
        "tcp-request content accept if RDP_COOKIE",
        "server s1 10.0.0.1:3389",
        "server s2 10.0.0.2:3389",
        "server s3 10.0.0.3:3389",
    ]);
    let ask = |cookie: &str| {
        let line = format!("Cookie: {cookie}\r\n");
        let mut packet = vec![3, 0, 0, 11 + line.len() as u8, 6 + line.len() as u8, 0xe0, 0, 0, 0, 0, 0];
        packet.extend(line.as_bytes());
        let before = ["s1", "s2", "s3"].map(|name| rig.opened(name));
        let mut client = rig.client();
        client.send(&packet);
        let after = ["s1", "s2", "s3"].map(|name| rig.opened(name));
        (0..3).find(|at| after[*at] > before[*at])
    };
    for (at, octet) in [(0, 1), (1, 2), (2, 3_u8)] {
        let address = u32::from_le_bytes([10, 0, 0, octet]);
        assert_eq!(ask(&format!("msts={address}.{}.0000", 3389_u16.swap_bytes())), Some(at));
    }
    // A user comes to one server always, and users to all of them.
    let of = |user: u32| ask(&format!("mstshash=user{user}"));
    let served: Vec<_> = (0..12).map(of).collect();
    assert_eq!(served, (0..12).map(of).collect::<Vec<_>>());
    assert!((0..3).all(|at| served.contains(&Some(at))), "{served:?}");
}
