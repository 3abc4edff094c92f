//! Parsing and writing heads: what every request pays once for itself and once for its response.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isobar::base::Buf;
use isobar::http::{Chunks, H1Options, Head, Hop, Method, Parse, Slices};
use std::hint::black_box;

const WRK: &[u8] = b"GET /128 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

const CURL: &[u8] =
    b"GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

const BROWSER: &[u8] = b"GET /assets/app/main.js?v=8f2c HTTP/1.1\r\n\
Host: www.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Referer: https://www.example.com/start\r\n\
Connection: keep-alive\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n\
Upgrade-Insecure-Requests: 1\r\n\
Sec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\n\
If-None-Match: \"5f3e-1234\"\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
Server: nginx/1.26.1\r\n\
Date: Sun, 18 Jan 2026 10:00:00 GMT\r\n\
Content-Type: application/json; charset=utf-8\r\n\
Content-Length: 128\r\n\
Cache-Control: max-age=60\r\n\
ETag: \"5f3e-1234\"\r\n\r\n";

fn head(bytes: &[u8]) -> Head {
    let mut head = Head::with(Buf::take(16 * 1024));
    head.buf.push(bytes);
    head
}

fn parse(head: &mut Head, o: &H1Options, response: bool) {
    head.reset();
    let verdict = if response { head.parse_response(Method::Get, o) } else { head.parse_request(o) };
    assert_eq!(black_box(verdict), Parse::Done);
}

fn heads(c: &mut Criterion) {
    let o = H1Options::default();
    for (name, bytes, response) in [
        ("wrk", WRK, false),
        ("curl", CURL, false),
        ("browser", BROWSER, false),
        ("response", RESPONSE, true),
    ] {
        let mut head = head(bytes);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("parse", |b| b.iter(|| parse(&mut head, &o, response)));
        group.bench_function("write", |b| {
            b.iter(|| {
                let mut out = Slices::new();
                black_box(&head).slices(Hop::KeepAlive, &mut out);
                black_box(out.len())
            })
        });
        group.finish();
    }
    let mut head = head(BROWSER);
    c.bench_function("browser/parse, add 2, delete 1, write", |b| {
        b.iter(|| {
            parse(&mut head, &o, false);
            head.add(b"x-forwarded-for", b"192.0.2.1");
            head.set(b"x-forwarded-proto", b"https");
            head.remove(b"cookie");
            let mut out = Slices::new();
            head.slices(Hop::KeepAlive, &mut out);
            black_box(out.as_slice().len())
        })
    });
}

fn chunks(c: &mut Criterion) {
    let mut wire = Vec::new();
    for _ in 0..16 {
        wire.extend_from_slice(b"1000\r\n");
        wire.extend_from_slice(&[b'x'; 4096]);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    c.bench_function("chunks/scan 16 x 4096", |b| {
        b.iter(|| black_box(Chunks::new(true).scan(black_box(&wire))).is_ok())
    });
}

criterion_group!(benches, heads, chunks);
criterion_main!(benches);
