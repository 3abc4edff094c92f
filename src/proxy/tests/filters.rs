//! Bodies that something is done to: compression and the cache, over both versions of HTTP and in all framings.

use std::io::Read;

use flate2::read::GzDecoder;

use super::h2::Client;
use super::rig::{GET, OK, Rig, Wire, answers};

const GZIP: &str = "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n";

/// The data of a chunked body, and whether it came to its end.
fn unchunked(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut chunks = crate::http::Chunks::new(true);
    let mut data = Vec::new();
    chunks.decode(bytes, |part| data.extend_from_slice(part)).expect("chunks");
    (data, chunks.is_done())
}

fn split(bytes: &[u8]) -> (String, &[u8]) {
    let at = memchr::memmem::find(bytes, b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8_lossy(&bytes[..at]).into_owned(), &bytes[at..])
}

fn gunzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
    out
}

fn gzip_rig(lines: &[&str]) -> Rig {
    Rig::listen(&[&["compression algo gzip", "server s1 10.0.0.1:80"], lines].concat())
}

/// A client's request for a path, and the server's answer if it gets to one.
fn exchange(rig: &Rig, client: &mut Wire, request: &str, answer: &str) -> String {
    client.send(request);
    if let Some(mut server) = rig.try_server("s1") {
        server.take();
        server.send(answer);
        rig.settle();
        server.finish();
    }
    client.take()
}

/// compression: however the body comes, each piece can be read when it has come.
#[test]
fn a_compressed_download_goes_on_as_it_comes() {
    for (framing, parts) in [
        ("Content-Length: 10", ["01234", "567", "89"]),
        ("Transfer-Encoding: chunked", ["5\r\n01234\r\n5", "\r\n56789\r\n", "0\r\nX: trailer\r\n\r\n"]),
    ] {
        let rig = gzip_rig(&[]);
        let mut client = rig.client();
        client.send(GZIP);
        let mut server = rig.server("s1");
        server.take();
        server.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\nETag: \"a\"\r\n\r\n"));
        let mut received = client.take_bytes();
        for part in parts {
            server.send(part);
            let more = client.take_bytes();
            assert!(!more.is_empty(), "{part}");
            received.extend(more);
        }
        let (head, body) = split(&received);
        assert!(head.contains("transfer-encoding: chunked\r\n") || framing.contains("chunked"), "{head}");
        assert!(head.contains("ETag: W/\"a\"\r\n") && head.contains("vary: Accept-Encoding\r\n"), "{head}");
        assert!(head.contains("content-encoding: gzip\r\n") && !head.contains("Content-Length"), "{head}");
        let (data, is_whole) = unchunked(body);
        assert_eq!((&gunzipped(&data)[..], is_whole), (&b"0123456789"[..], true));
        assert_eq!(body.ends_with(b"0\r\nX: trailer\r\n\r\n"), framing.contains("chunked"));
        assert_eq!(rig.idle("s1"), 1);
        assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
    }
}

#[test]
fn a_long_body_is_compressed_while_the_client_reads_slowly() {
    let rig = gzip_rig(&[]);
    let mut client = rig.client();
    client.send(GZIP);
    let mut server = rig.server("s1");
    server.take();
    // Noise, so that what leaves is as much as what comes.
    let mut noise = 1_u32;
    let step = |_| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        noise as u8
    };
    let large: Vec<u8> = (0..2_000_000).map(step).collect();
    server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large.len()));
    let mut sent = 0;
    for _ in 0..100 {
        sent += server.offer(&large[sent..]);
    }
    assert!(sent < large.len(), "the client has read nothing yet, and {sent} bytes were taken");
    let mut received = client.take_bytes();
    while sent < large.len() {
        sent += server.offer(&large[sent..]);
        received.extend(client.take_bytes());
    }
    received.extend(client.take_bytes());
    let (data, is_whole) = unchunked(split(&received).1);
    assert!(is_whole && gunzipped(&data) == large);
    let counted = rig.back("p");
    assert_eq!((counted.comp_in, counted.comp_out, counted.comp_rsp), (2_000_000, data.len() as u64, 1));
    assert_eq!(rig.idle("s1"), 1);
}

#[test]
fn a_body_that_is_cut_off_does_not_end() {
    let rig = gzip_rig(&[]);
    let mut client = rig.client();
    client.send(GZIP);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
    server.finish();
    drop(server);
    let received = client.take_bytes();
    assert!(!unchunked(split(&received).1).1 && client.has_ended());
    assert_eq!(rig.log(), ["p/s1 200 SD 0"]);
    assert_eq!((rig.idle("s1"), rig.front("p").comp_rsp), (0, 0));
}

#[test]
fn a_client_that_leaves_in_the_midst() {
    let rig = gzip_rig(&[]);
    let mut client = rig.client();
    client.send(GZIP);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
    client.take();
    client.reset();
    assert_eq!(rig.log(), ["p/s1 200 CD 0"]);
    assert!(server.has_ended());
}

#[test]
fn responses_without_a_body_are_left_alone() {
    for (request, answer) in [
        (GZIP.replace("GET", "HEAD"), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        (GZIP.to_owned(), "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
        (GZIP.to_owned(), "HTTP/1.1 204 No Content\r\n\r\n"),
        (GZIP.to_owned(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (GZIP.replace("1.1", "1.0"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
    ] {
        let rig = gzip_rig(&[]);
        let mut client = rig.client();
        client.send(&request);
        let mut server = rig.server("s1");
        server.take();
        server.send(answer);
        let text = client.take();
        assert!(!text.contains("content-encoding") && !text.contains("vary"), "{text}");
    }
}

/// Over HTTP/2 there are no chunks, and trailers are frames.
#[test]
fn http_2_gets_what_the_filters_leave() {
    let rig = Rig::listen(&["compression algo identity", "server s1 10.0.0.1:80"]);
    let mut client = Client::of(rig.client());
    client.get("/");
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    // The client's side writes down that there is a body of unknown length.
    let head = "1: HTTP/1.1 200 OK vary: Accept-Encoding transfer-encoding: chunked";
    assert_eq!(client.saw(), [head, "1> abc"]);
    server.send("2\r\nde\r\n0\r\nx-t: v\r\n\r\n");
    assert_eq!(client.saw(), ["1> de", "1: trailers x-t=v"]);
    client.get("/");
    server.take();
    server.send(OK);
    assert_eq!(client.saw(), [&head.replace("1:", "3:"), "3> ok", "3>  END"]);
    assert_eq!(rig.idle("s1"), 1);
}

/// compression direction, algo-req, type-req, minsize-req
#[test]
fn requests_are_compressed_once_however_often_they_are_sent() {
    let rig = Rig::listen(&[
        "compression direction request",
        "compression algo-req gzip",
        "compression type-req text/",
        "compression minsize-req 4",
        "retries 2",
        "option redispatch",
        "retry-on 503",
        "server s1 10.0.0.1:80",
        "server s2 10.0.0.2:80",
    ]);
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: text/x\r\nContent-Length: 10\r\n\r\n0123456789");
    for (name, answer) in [("s1", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), ("s2", OK)] {
        let mut server = rig.server(name);
        let received = server.take_bytes();
        let (head, body) = split(&received);
        assert!(
            head.contains("content-encoding: gzip\r\n") && head.contains("transfer-encoding: chunked\r\n")
        );
        assert!(!head.contains("Content-Length") && head.matches("chunked").count() == 1, "{head}");
        let (data, is_whole) = unchunked(body);
        assert_eq!((&gunzipped(&data)[..], is_whole), (&b"0123456789"[..], true));
        server.send(answer);
        rig.pass(1_000);
    }
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.log(), ["p/s2 200 -- +1"]);
}

/// An upload that goes on for a while.
#[test]
fn a_compressed_upload_goes_on_as_it_comes() {
    let rig = Rig::listen(&[
        "compression direction both",
        "compression algo-req gzip",
        "compression algo-res gzip",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let mut server = rig.server("s1");
    let mut received = server.take_bytes();
    client.send("3\r\ndef\r\n0\r\n\r\n");
    received.extend(server.take_bytes());
    let (data, is_whole) = unchunked(split(&received).1);
    assert_eq!((&gunzipped(&data)[..], is_whole), (&b"abcdef"[..], true));
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.idle("s1"), 1);
}

/// `maxcomprate`: what comes beyond it is not compressed.
#[test]
fn compression_stops_where_its_limit_is_reached() {
    let rig = Rig::listen_in(
        "maxcomprate 1\nmaxzlibmem 64\nmaxcompcpuusage 100\ntune.comp.maxlevel 9\n",
        &["compression algo gzip", "server s1 10.0.0.1:80"],
    );
    let mut client = rig.client();
    let body = "x".repeat(5_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{body}");
    client.send(GZIP);
    let mut server = rig.server("s1");
    server.take();
    server.send(&answer);
    client.take_bytes();
    client.send(GZIP);
    server.take();
    server.send(&answer);
    let text = String::from_utf8_lossy(&client.take_bytes()).into_owned();
    assert!(text.ends_with(&body), "{text:.100}");
}

const CACHE: &str = "cache c\n total-max-size 4\n max-object-size 100000\n process-vary on\n";
const FRESH: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=50\r\nContent-Length: 2\r\n\r\nok";

fn cache_text(more: &str) -> String {
    format!(
        "{CACHE}listen p\n bind :80\n http-request cache-use c\n http-response cache-store c\n{more} \
         server s1 10.0.0.1:80\n"
    )
}

/// cache-use, cache-store: over both versions, and who asks for less gets less.
#[test]
fn a_stored_response_answers_those_who_come_later() {
    let rig = Rig::new(&cache_text(" http-response set-header x-hit %[res.cache_hit],%[res.cache_name]\n"));
    let mut client = rig.client();
    assert!(exchange(&rig, &mut client, GET, FRESH).contains("x-hit: 0,\r\n"));
    let text = exchange(&rig, &mut client, GET, "");
    assert!(text.ends_with("age: 0\r\nx-hit: 1,c\r\n\r\nok"), "{text}");
    rig.pass(5_000);
    let text = exchange(&rig, &mut client, &GET.replace("GET", "HEAD"), "");
    assert!(
        text.contains("Content-Length: 2\r\n") && text.ends_with("age: 5\r\nx-hit: 1,c\r\n\r\n"),
        "{text}"
    );
    let unmodified = GET.replace("\r\n\r\n", "\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n");
    assert_eq!(answers(&exchange(&rig, &mut client, &unmodified, "")), [304]);
    let mut other = Client::of(rig.client());
    other.get("/");
    let saw = other.saw();
    assert!(saw[0].contains("content-length: 2") && saw[1] == "1> ok END", "{saw:?}");
    assert_eq!(rig.opened("s1"), 1);
    let log = rig.log();
    assert_eq!(log[0], "p/s1 200 -- 0");
    assert!(log[1..].iter().all(|line| line.starts_with("p/<CACHE> ") && line.ends_with(" LR 0")), "{log:?}");
    let counted = rig.front("p");
    assert_eq!((counted.cache_lookups, counted.cache_hits), (5, 4));
    rig.pass(50_000);
    exchange(&rig, &mut rig.client(), GET, FRESH);
    assert!(rig.log()[0].starts_with("p/s1 "), "it was too old");
}

/// cache: what is stored stays when the section stays.
#[test]
fn a_reload_keeps_what_is_stored() {
    let rig = Rig::new(&cache_text(""));
    let mut client = rig.client();
    exchange(&rig, &mut client, GET, FRESH);
    rig.reload(&cache_text(" http-response set-header x-new 1\n"));
    let text = exchange(&rig, &mut rig.client(), GET, "");
    assert!(text.contains("age: ") && text.contains("x-new"), "{text}");
    rig.reload(&cache_text("").replace("total-max-size 4", "total-max-size 5"));
    assert!(!exchange(&rig, &mut rig.client(), GET, FRESH).contains("age: "));
}

/// cache and compression: stored as it came, compressed for each who asks.
#[test]
fn what_is_stored_is_compressed_for_whom_it_goes_to() {
    let rig = Rig::new(&cache_text(" compression algo gzip\n"));
    let chunks = "HTTP/1.1 200 OK\r\nCache-Control: max-age=50\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let mut client = rig.client();
    for round in 0..2 {
        client.send(GZIP);
        if round == 0 {
            let mut server = rig.server("s1");
            server.take();
            server.send(chunks);
        }
        let received = client.take_bytes();
        let (head, body) = split(&received);
        assert!(head.contains("content-encoding: gzip") && head.contains("age: ") == (round == 1), "{head}");
        assert_eq!(gunzipped(&unchunked(body).0), b"ok");
    }
    let text = exchange(&rig, &mut client, GET, "");
    assert!(text.ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n") && !text.contains("content-encoding"), "{text}");
    assert_eq!(rig.opened("s1"), 1);
}

/// cache: a body that comes in pieces is stored when it is whole, and goes out as fast as it is read.
#[test]
fn large_objects_are_stored_as_they_pass() {
    let rig = Rig::new(&cache_text(""));
    let large: Vec<u8> = (0..90_000_u32).map(|n| (n % 251) as u8).collect();
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=50\r\nContent-Length: 90000\r\n\r\n");
    let mut received = client.take_bytes();
    let mut other = rig.client();
    other.send(GET);
    assert!(rig.server("s1").take().starts_with("GET "), "it is not whole yet");
    let mut sent = 0;
    while sent < large.len() {
        sent += server.offer(&large[sent..]);
        received.extend(client.take_bytes());
    }
    assert!(split(&received).1 == large);
    client.send(GET);
    let received = client.take_bytes();
    assert!(split(&received).1 == large && split(&received).0.contains("age: "));
}

/// cache-use in a frontend: no backend is chosen for what it has.
#[test]
fn a_frontend_answers_before_it_chooses() {
    let rig = Rig::new(&format!(
        "{CACHE}frontend f\n bind :80\n http-request cache-use c\n http-response cache-store c\n default_backend b\n\
         backend b\n server s1 10.0.0.1:80\n"
    ));
    let mut client = rig.client();
    exchange(&rig, &mut client, GET, FRESH);
    exchange(&rig, &mut client, GET, "");
    assert_eq!(rig.log(), ["b/s1 200 -- 0", "f/<CACHE> 200 LR 0"]);
    assert_eq!((rig.front("f").cache_hits, rig.back("b").http_req), (1, 1));
}
