//! Cases of heads: names and values, pseudo-header fields, authorities, CONNECT, cookies, and what HTTP/1 makes of them.

use super::driver::*;
use crate::http::h2::Event;

const RESET: &str = "RST(1,PROTOCOL)";

fn raw(extra: &[u8]) -> Vec<u8> {
    frame(HEADERS, EH | ES, 1, &[&get_with(&[])[..], extra].concat())
}

fn with(name: &str, value: &str) -> Vec<u8> {
    raw(&field(name.as_bytes(), value.as_bytes()))
}

fn of(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, EH | ES, 1, &block(fields))
}

/// GET with this pseudo-header field in the place of its own.
fn swap(name: &str, value: &str) -> Vec<u8> {
    let fields = GET.map(|(n, v)| if n == name { (n, value) } else { (n, v) });
    of(&fields)
}

fn without(name: &str) -> Vec<u8> {
    let fields: Vec<_> = GET.into_iter().filter(|(n, _)| *n != name).collect();
    of(&fields)
}

const REFUSED: &str = "H(1,400) D(1,ES)";

#[test]
fn names_and_values() {
    let value = |v: &[u8]| raw(&field(b"x", v));
    let name = |n: &[u8]| raw(&field(n, b"v"));
    table(&[
        ("h-upper", with("X-Foo", "v"), RESET),
        ("h-namespace", with("x foo", "v"), RESET),
        ("h-namecolon", with("x:foo", "v"), RESET),
        ("h-namehigh", name(b"x\x80"), RESET),
        ("h-namenul", name(b"x\0"), RESET),
        ("h-nameempty", name(b""), RESET),
        ("h-valcr", value(b"a\rb"), RESET),
        ("h-vallf", value(b"a\nb"), RESET),
        ("h-valnul", value(b"a\0b"), RESET),
        // Passed or rejected: as in HTTP/1, rejected.
        ("h-valctl", value(b"\x01"), RESET),
        ("h-valdel", value(b"\x7f"), RESET),
        ("h-valhigh", value(b"\xff"), OK),
        ("h-valtab", value(b"\ta"), OK),
        ("h-valempty", value(b""), OK),
    ]);
}

#[test]
fn fields_of_one_hop() {
    table(&[
        ("h-conn", with("connection", "close"), RESET),
        ("h-connka", with("connection", "keep-alive"), RESET),
        ("h-ka", with("keep-alive", "5"), RESET),
        ("h-proxy-conn", with("proxy-connection", "close"), RESET),
        ("h-te-chunked", with("transfer-encoding", "chunked"), RESET),
        ("h-upgrade", with("upgrade", "h2c"), RESET),
        ("h-h2set", with("http2-settings", "AAMAAABk"), OK),
        ("h-te-trailers", with("te", "trailers"), OK),
        ("h-te-gzip", with("te", "gzip"), RESET),
        ("h-te-case", with("te", "Trailers"), OK),
        ("h-trailer", with("trailer", "x"), OK),
    ]);
}

#[test]
fn pseudo_header_fields() {
    let late = [&[("x", "y")], &GET[..]].concat();
    let twice = [&GET[..], &[(":path", "/y")]].concat();
    let unknown = [&GET[..], &[(":foo", "y")]].concat();
    let status = [&GET[..], &[(":status", "200")]].concat();
    table(&[
        ("ph-after", of(&late), RESET),
        ("ph-dup-path", of(&twice), RESET),
        ("ph-unknown", of(&unknown), RESET),
        ("ph-status", of(&status), RESET),
        ("ph-nomethod", without(":method"), RESET),
        ("ph-noscheme", without(":scheme"), RESET),
        ("ph-nopath", without(":path"), RESET),
        ("ph-emptypath", swap(":path", ""), RESET),
    ]);
}

#[test]
fn paths_methods_and_schemes() {
    let high = [&block(&[GET[0], GET[1], GET[3]])[..], &field(b":path", b"/\xff")].concat();
    table(&[
        ("path-noslash", swap(":path", "foo"), RESET),
        ("path-dslash", swap(":path", "//x"), OK),
        ("path-abs", swap(":path", "http://o.com/x"), RESET),
        ("path-space", swap(":path", "/a b"), RESET),
        ("path-hash", swap(":path", "/a#b"), RESET),
        ("path-crlf", swap(":path", "/a HTTP/1.1\r\nx: y"), RESET),
        ("path-high", frame(HEADERS, EH | ES, 1, &high), RESET),
        ("path-dots", swap(":path", "/a/../b"), OK),
        ("path-query", swap(":path", "/?a=b"), OK),
        ("path-qmark-only", swap(":path", "?a"), RESET),
        ("path-star-get", swap(":path", "*"), RESET),
        ("meth-space", swap(":method", "GE T"), REFUSED),
        ("meth-empty", swap(":method", ""), RESET),
        ("meth-long", swap(":method", &"M".repeat(300)), OK),
        ("sch-ftp", swap(":scheme", "ftp"), OK),
        ("sch-bad", swap(":scheme", "h@tp"), REFUSED),
        ("sch-https", swap(":scheme", "https"), OK),
        ("sch-empty", swap(":scheme", ""), RESET),
    ]);
}

#[test]
fn authorities() {
    let hosts = |authority: Option<&str>, hosts: &[&str]| {
        let mut fields: Vec<_> = GET[..3].to_vec();
        fields.extend(authority.map(|a| (":authority", a)));
        fields.extend(hosts.iter().map(|h| ("host", *h)));
        of(&fields)
    };
    table(&[
        // Forwarded without Host, as HAProxy does: its users' clients and its own tests count on it.
        ("au-none", hosts(None, &[]), OK),
        ("au-host", hosts(None, &["ex.com"]), OK),
        // One that differs is dropped, as HAProxy's own tests want it (`h2_desync_attacks`).
        ("au-diff", hosts(Some("a.com"), &["b.com"]), OK),
        ("au-case", hosts(Some("ex.com"), &["EX.com"]), OK),
        ("au-port", hosts(Some("ex.com:80"), &["ex.com"]), OK),
        ("au-2host", hosts(None, &["ex.com", "ex.com"]), RESET),
        ("au-empty", hosts(Some(""), &[]), REFUSED),
        ("au-user", hosts(Some("user@ex.com"), &[]), RESET),
        ("au-space", hosts(Some("ex .com"), &[]), RESET),
        ("au-comma", hosts(Some("a,b"), &[]), RESET),
        ("au-slash", hosts(Some("a/b"), &[]), RESET),
        ("au-badport", hosts(Some("ex.com:99999"), &[]), OK),
        ("au-emptyhost", hosts(None, &[""]), REFUSED),
        ("au-badhost", hosts(None, &["u@h"]), REFUSED),
    ]);
}

/// The request as HTTP/1.
fn written(bytes: &[u8]) -> String {
    let mut peer = Peer::server();
    peer.send(bytes);
    assert_eq!(peer.heads.len(), 1, "{:?}", peer.events);
    peer.heads.remove(0)
}

#[test]
fn requests_become_http_1() {
    let options = [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "ex.com")];
    let table = [
        ("plain", with("x", "  y\t"), "GET /x HTTP/1.1\r\nhost: ex.com\r\nx: y\r\n\r\n"),
        ("path-star-opt", of(&options), "OPTIONS * HTTP/1.1\r\nhost: ex.com\r\n\r\n"),
        ("au-case", [with("host", "EX.com")].concat(), "GET /x HTTP/1.1\r\nhost: ex.com\r\n\r\n"),
        ("au-port", swap(":authority", "ex.com:80"), "GET /x HTTP/1.1\r\nhost: ex.com\r\n\r\n"),
        ("au-port2", swap(":authority", "ex.com:443"), "GET /x HTTP/1.1\r\nhost: ex.com:443\r\n\r\n"),
        ("sch-https", swap(":scheme", "https"), "GET /x HTTP/1.1\r\nhost: ex.com\r\n\r\n"),
        ("sch-ftp", swap(":scheme", "ftp"), "GET ftp://ex.com/x HTTP/1.1\r\nhost: ex.com\r\n\r\n"),
        (
            "ck-crumbs, ck-inter",
            raw(&block(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")])),
            "GET /x HTTP/1.1\r\nhost: ex.com\r\nx: y\r\ncookie: a=1; b=2; c=3\r\n\r\n",
        ),
        ("ck-empty", with("cookie", ""), "GET /x HTTP/1.1\r\nhost: ex.com\r\ncookie: \r\n\r\n"),
        ("te", with("te", "Trailers"), "GET /x HTTP/1.1\r\nhost: ex.com\r\nte: Trailers\r\n\r\n"),
        ("h2set", with("http2-settings", "x"), "GET /x HTTP/1.1\r\nhost: ex.com\r\n\r\n"),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(written(&bytes), expected, "{name}");
    }
}

#[test]
fn connect() {
    let head = |fields: &[(&str, &str)]| frame(HEADERS, EH, 1, &block(fields));
    let method = (":method", "CONNECT");
    let websocket = |extra: &[(&str, &str)]| {
        let fields = [&[method, (":protocol", "websocket"), (":scheme", "https")], extra].concat();
        head(&[&fields[..], &[(":authority", "ex.com"), ("sec-websocket-version", "13")]].concat())
    };
    let get_protocol = [&GET[..], &[(":protocol", "websocket")]].concat();
    table(&[
        ("con-ok", head(&[method, (":authority", "ex.com:80")]), "H(1,200) D(1)[6]"),
        ("con-path", head(&[method, (":authority", "ex.com:80"), GET[1], GET[2]]), RESET),
        ("con-noport", head(&[method, (":authority", "ex.com")]), "H(1,400) D(1,ES) RST(1,NO_ERROR)"),
        ("con-noauth", head(&[method]), RESET),
        ("xcon-ok", websocket(&[(":path", "/chat")]), "H(1,200) D(1)[6]"),
        // Half closed from the beginning.
        ("xcon-ends", frame(HEADERS, EH | ES, 1, &websocket(&[(":path", "/chat")])[9..]), "H(1,200) D(1)[6]"),
        ("xcon-nopath", websocket(&[]), RESET),
        (
            "xcon-unknown",
            head(&[method, (":protocol", "foo"), GET[1], GET[2], GET[3]]),
            "H(1,501) D(1,ES) RST(1,NO_ERROR)",
        ),
        ("xcon-get", of(&get_protocol), RESET),
    ]);
    let text = written(&websocket(&[(":path", "/chat")]));
    let (before, key) = text.split_once("sec-websocket-key: ").expect("a key");
    assert_eq!(
        before,
        "GET /chat HTTP/1.1\r\nhost: ex.com\r\nsec-websocket-version: 13\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    );
    assert_eq!(key.len(), 24 + 4);
    assert!(key.ends_with("==\r\n\r\n"));
}

/// A success that is no upgrade must not look like an open WebSocket.
#[test]
fn a_plain_success_opens_no_websocket() {
    let mut peer = Peer::server();
    peer.origin = Origin::Silent;
    let fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/")];
    peer.send(&frame(HEADERS, EH, 1, &block(&[&fields[..], &[(":authority", "a")]].concat())));
    let answer = h1("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true);
    peer.connection.respond(1, &answer, true).expect("live");
    peer.look();
    assert_eq!(peer.saw(), "H(1,502,ES)");
}

#[test]
fn the_malformed_are_told_of() {
    let mut peer = Peer::server();
    peer.send(&with("X", "y")).send(&frame(HEADERS, EH | ES, 3, &block(&[GET[0], ("host", "a")])));
    assert_eq!(peer.events, [Event::Malformed { stream: 1 }, Event::Malformed { stream: 3 }]);
    assert_eq!(peer.connection.glitches(), 2);
    assert_eq!(peer.connection.streams(), 0);
}
