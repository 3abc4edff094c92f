//! What is done to bodies: compression and the cache.

use super::HTTP;
use crate::support::differential::{Run, same};
use crate::support::origin::{Origin, Step};

/// Responses by path: a head without framing, and a body.
fn response(path: &str) -> Vec<Step> {
    let text = "hello world ".repeat(30);
    let fields = |fields: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{fields}");
    let with_length =
        |head: String, body: &str| format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let message = match path.split('?').next().unwrap_or_default() {
        "/notype" => with_length("HTTP/1.1 200 OK\r\n".to_owned(), &text),
        "/plainly" => with_length("HTTP/1.1 200 OK\r\nContent-Type: Text/Plainly; a=b\r\n".to_owned(), &text),
        "/css" => with_length("HTTP/1.1 200 OK\r\nContent-Type: text/css\r\n".to_owned(), &text),
        "/multipart" => with_length("HTTP/1.1 200 OK\r\nContent-Type: multipart/x\r\n".to_owned(), &text),
        "/chunks" => format!(
            "{}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n again\r\n0\r\nX-T: v\r\n\r\n",
            fields("")
        ),
        "/vary" => with_length(fields("Vary: Origin\r\n"), &text),
        "/etag" => with_length(fields("ETag: \"a\"\r\n"), &text),
        "/weak" => with_length(fields("ETag: W/\"a\"\r\n"), &text),
        "/bad-etag" => with_length(fields("ETag: \"a\r\n"), &text),
        "/201" => with_length(fields("").replace("200 OK", "201 Created"), &text),
        "/206" => with_length(fields("").replace("200 OK", "206 Part"), &text),
        "/404" => with_length(fields("").replace("200 OK", "404 No"), &text),
        "/old" => with_length(fields("Connection: close\r\n").replace("HTTP/1.1", "HTTP/1.0"), &text),
        "/empty" => with_length(fields(""), ""),
        "/same" => with_length(fields("Cache-Control: max-age=5, no-transform\r\n"), &text),
        "/coded" => with_length(fields("Content-Encoding: x\r\n"), "FOO"),
        "/close" => {
            let message = format!("{}Connection: close\r\n\r\n{text}", fields(""));
            return vec![Step::Send(message.into_bytes()), Step::Close];
        }
        "/long" => with_length(fields(""), &"all work and no play ".repeat(20_000)),
        _ => with_length(fields(""), &text),
    };
    vec![Step::Send(message.into_bytes())]
}

fn origin() -> Vec<(&'static str, Origin)> {
    vec![("s1", Origin::serve(|request| response(request.target())))]
}

const PATHS: [&str; 18] = [
    "/",
    "/notype",
    "/plainly",
    "/css",
    "/multipart",
    "/chunks",
    "/vary",
    "/etag",
    "/weak",
    "/bad-etag",
    "/201",
    "/206",
    "/404",
    "/empty",
    "/same",
    "/coded",
    "/close",
    "/long",
];

/// Which responses are compressed, and what becomes of their heads.
#[test]
fn compression_of_responses() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    compression algo gzip
    compression type text/plain
    http-response set-header X-Comp %[res.comp],%[res.comp_algo]
    http-after-response set-header X-After %[res.comp]
    http-request return status 200 content-type text/plain string \"some text\" if {{ path /return }}
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, origin, 22, |run: &mut Run| {
        for path in PATHS {
            run.get("fe", path, "Accept-Encoding: gzip\r\n");
        }
        run.get("fe", "/", "");
        run.get("fe", "/return", "Accept-Encoding: gzip\r\n");
        run.ask("fe", "HEAD / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
        run.ask("fe", "GET / HTTP/1.0\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    });
}

/// Which algorithm, by what the client says, and what servers are told.
#[test]
fn compression_algorithms() {
    let config = format!(
        "{HTTP}
    compression algo gzip deflate
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
frontend raw
    bind {{ip}}:{{port:raw}}
    compression algo raw-deflate
    default_backend be2
frontend id
    bind {{ip}}:{{port:id}}
    compression algo identity
    default_backend be2
backend be
    compression offload
    server s1 {{s1}}
backend be2
    compression algo identity
    server s1 {{s1}}
"
    );
    same(&config, origin, 24, |run: &mut Run| {
        for accepts in [
            "*",
            "gzip;q=0",
            "deflate",
            "gzip;q=0.5, deflate;q=0.8",
            "deflate, gzip",
            "br",
            "GZIP",
            "*;q=0.5, gzip;q=0",
            "gzip;q=abc",
            "x-gzip",
            "gzip;q=0.0",
            "identity, gzip;q=0.1",
            "",
            "*;q=0, gzip;q=0.750, deflate;q=0.500",
        ] {
            run.get("fe", "/", &format!("Accept-Encoding: {accepts}\r\n"));
        }
        for agent in ["Mozilla/4.0", "Mozilla/4.0 (compatible; MSIE 7.0)", "Mozilla/5.0"] {
            run.get("fe", "/", &format!("Accept-Encoding: gzip\r\nUser-Agent: {agent}\r\n"));
        }
        for path in ["/", "/chunks", "/etag", "/css"] {
            run.get("id", path, "");
        }
        for path in ["/", "/chunks", "/css"] {
            run.get("raw", path, "Accept-Encoding: deflate\r\n");
        }
    });
}

/// What is counted.
#[test]
fn compression_in_statistics() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    compression algo gzip identity
    default_backend be
backend be
    server s1 {{s1}}
",
        HTTP.replacen("global\n", "global\n    stats socket {dir}/sock level admin\n", 1)
    );
    same(&config, origin, 4, |run: &mut Run| {
        for path in ["/", "/empty", "/404"] {
            run.get("fe", path, "Accept-Encoding: gzip\r\n");
        }
        run.get("fe", "/", "");
        run.columns(&["comp_in", "comp_byp", "comp_rsp"]);
    });
}

/// What services say passes the filters.
#[test]
fn statistics_page_is_compressed_too() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    compression algo gzip
    stats enable
    stats uri /stats
"
    );
    same(&config, Vec::new, 1, |run: &mut Run| {
        let mut client = crate::support::Client::connect(run.addr("fe"));
        client.send("GET /stats;csv HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
        let answer = client.response().expect("an answer");
        let (coding, framing) = (answer.field("content-encoding"), answer.field("transfer-encoding"));
        run.note("coding", &format!("{coding:?} {framing:?} {}", answer.status()));
        run.finish(client, "stats");
    });
}

/// Responses for the cache, by path.
fn cacheable(path: &str) -> Vec<Step> {
    let text = "hello world ".repeat(30);
    let fresh = "Cache-Control: max-age=50\r\n";
    let date = "Thu, 22 Oct 2020 16:51:12 GMT";
    let fields = match path.split('?').next().unwrap_or_default() {
        "/hop" => format!("{fresh}Server: x\r\nX-A: 1\r\nConnection: keep-alive\r\n"),
        "/cookie" => format!("{fresh}Set-Cookie: a=b\r\n"),
        "/private" => "Cache-Control: max-age=5, private\r\n".to_owned(),
        "/public" => "Cache-Control: public\r\n".to_owned(),
        "/no-cookie" => format!("{fresh}Cache-Control: no-cache=\"set-cookie\"\r\n"),
        "/no-field" => "Cache-Control: no-cache=\"x-a\"\r\nETag: \"a\"\r\n".to_owned(),
        "/pragma" => "Pragma: no-cache\r\nETag: \"x\"\r\n".to_owned(),
        "/zero" => "Cache-Control: max-age=0\r\nETag: \"x\"\r\n".to_owned(),
        "/s-zero" => "Cache-Control: s-maxage=0, max-age=5\r\n".to_owned(),
        "/etag" => format!("ETag: \"x\"\r\nContent-Type: text/plain\r\nLast-Modified: {date}\r\n"),
        "/modified" => format!("Last-Modified: {date}\r\n"),
        "/date" => format!("Date: {date}\r\nETag: \"w\"\r\n"),
        "/expires" => "Expires: Thu, 22 Oct 2037 16:51:12 GMT\r\n".to_owned(),
        "/expired" => "Expires: 0\r\nETag: \"x\"\r\n".to_owned(),
        "/vary" => format!("{fresh}Vary: Accept-Encoding\r\n"),
        "/vary-more" => format!("{fresh}Vary: Accept-Encoding, X-A\r\n"),
        "/age" => format!("{fresh}Age: 10\r\nX-Z: 1\r\n"),
        "/bad-age" => format!("{fresh}Age: x\r\n"),
        "/old-age" => format!("{fresh}Age: 51\r\n"),
        "/again" => "Cache-Control: must-revalidate\r\nETag: \"x\"\r\n".to_owned(),
        "/no-store" => "Cache-Control: no-store, max-age=50\r\n".to_owned(),
        "/quoted" => "Cache-Control: max-age=\"50\"\r\n".to_owned(),
        "/nonsense" => "Cache-Control: max-age=abc\r\n".to_owned(),
        _ => fresh.to_owned(),
    };
    let (line, body) = match path {
        "/203" => ("HTTP/1.1 203 Other", &text[..]),
        "/301" => ("HTTP/1.1 301 Moved", &text[..]),
        "/404" => ("HTTP/1.1 404 No", &text[..]),
        "/empty" => ("HTTP/1.1 200 OK", ""),
        _ => ("HTTP/1.1 200 OK", &text[..]),
    };
    let body = if path == "/big" { "x".repeat(20_000) } else { body.to_owned() };
    let message = if path == "/chunks" {
        format!("{line}\r\n{fields}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    } else {
        format!("{line}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    vec![Step::Send(message.into_bytes())]
}

const STORED: [&str; 31] = [
    "/a",
    "/hop",
    "/cookie",
    "/private",
    "/public",
    "/no-cookie",
    "/no-field",
    "/pragma",
    "/zero",
    "/s-zero",
    "/etag",
    "/modified",
    "/date",
    "/expires",
    "/expired",
    "/vary",
    "/vary-more",
    "/age",
    "/bad-age",
    "/old-age",
    "/again",
    "/no-store",
    "/quoted",
    "/nonsense",
    "/203",
    "/301",
    "/404",
    "/empty",
    "/big",
    "/chunks",
    "/a?x",
];

const CACHES: &str = "
frontend fe
    bind {ip}:{port:fe}
    default_backend be
backend be
    http-request cache-use site
    http-request set-header X-Behind 1
    http-request return status 403 if { hdr(x-deny) 1 }
    http-response cache-store site
    http-response set-header X-Hit %[res.cache_hit],%[res.cache_name],%[res.fhdr(age)]
    http-after-response set-header X-After 1
    server s1 {s1}
frontend front
    bind {ip}:{port:front}
    http-request cache-use site
    http-response cache-store site
    default_backend be2
backend be2
    http-response set-header X-Be2 1
    server s1 {s1}
cache site
    total-max-size 4
    max-object-size 16000
    process-vary on
";

/// What requests say of themselves.
const ASKED: [&str; 9] = [
    "Authorization: x\r\n",
    "Cache-Control: no-cache\r\n",
    "Cache-Control: max-age=0\r\n",
    "Pragma: no-cache\r\n",
    "Cache-Control: no-store\r\n",
    "Cache-Control: only-if-cached\r\n",
    "Cache-Control: max-age=5, x\r\n",
    "Range: bytes=0-1\r\n",
    "Accept-Encoding: gzip\r\n",
];

const OTHERS: [&str; 6] = [
    "HEAD /a HTTP/1.1\r\nHost: www.example.test\r\n\r\n",
    "GET /a HTTP/1.0\r\nHost: www.example.test\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: other\r\n\r\n",
    "GET /a HTTP/1.1\r\n\r\n",
    "GET /a?other HTTP/1.1\r\nHost: www.example.test\r\n\r\n",
    "HEAD /chunks HTTP/1.1\r\nHost: www.example.test\r\n\r\n",
];

/// What clients have already.
const HAD: [(&str, &str); 13] = [
    ("/etag", "If-None-Match: \"x\"\r\n"),
    ("/etag", "If-None-Match: W/\"x\"\r\n"),
    ("/etag", "If-None-Match: *\r\n"),
    ("/etag", "If-None-Match: \"y\", \"x\"\r\n"),
    ("/etag", "If-None-Match: \"y\"\r\n"),
    ("/etag", "If-None-Match: \"y\"\r\nIf-Modified-Since: Thu, 22 Oct 2021 16:51:12 GMT\r\n"),
    ("/etag", "If-Modified-Since: Thu, 22 Oct 2020 16:51:12 GMT\r\n"),
    ("/etag", "If-Modified-Since: Thu, 22 Oct 2019 16:51:12 GMT\r\n"),
    ("/etag", "If-Modified-Since: x\r\n"),
    ("/modified", "If-None-Match: \"x\"\r\n"),
    ("/date", "If-Modified-Since: Thu, 22 Oct 2021 16:51:12 GMT\r\n"),
    ("/a", "If-Modified-Since: Thu, 22 Oct 2037 16:51:12 GMT\r\n"),
    ("/a", "If-Modified-Since: Thu, 22 Oct 2021 16:51:12 GMT\r\n"),
];

/// Ages to ten seconds: the two may have begun in different ones.
fn about(line: &str) -> String {
    let mut out = line.to_owned();
    for before in ["age: ", ",site,"] {
        let mut from = 0;
        while let Some(at) = out[from..].find(before).map(|at| from + at + before.len()) {
            let len = out[at..].bytes().take_while(u8::is_ascii_digit).count();
            if let Ok(age) = out[at..at + len].parse::<u64>() {
                out.replace_range(at..at + len, &(age / 10 * 10).to_string());
            }
            from = at;
        }
    }
    out
}

/// What is stored, who gets it, and what is counted.
#[test]
fn the_cache() {
    let http = HTTP.replacen("global\n", "global\n    stats socket {dir}/sock level admin\n", 1);
    let origin = || vec![("s1", Origin::serve(|request| cacheable(request.target())))];
    same(&format!("{http}{CACHES}"), origin, 62 + 15 + 13 + 3 + 6, |run: &mut Run| {
        for path in STORED {
            run.get("fe", path, "");
            run.get("fe", path, "");
        }
        for more in ASKED {
            run.get("fe", "/a", more);
        }
        for request in OTHERS {
            run.ask("fe", request);
        }
        for (path, more) in HAD {
            run.get("fe", path, more);
        }
        for path in ["/a", "/new", "/new"] {
            run.get("front", path, "");
        }
        for method in ["POST", "PUT", "OPTIONS"] {
            let head = format!("{method} /a HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 0\r\n\r\n");
            run.ask("fe", &head);
            run.get("fe", "/a", "");
        }
        run.each(about);
        run.columns(&["cache_lookups", "cache_hits"]);
        let shown = run.cli("show cache");
        let entries = shown.lines().filter(|line| line.contains(" hash:")).count();
        run.note("show cache", &format!("{entries} {}", shown.contains(": site (shctx:0x")));
    });
}
