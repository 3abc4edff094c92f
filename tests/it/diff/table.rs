//! A table of expressions (`tests/data/samples.tsv`): the value of each is HAProxy's, character by character.
//!
//! One process of each program answers for all of them, so many expressions an answer.

use std::fmt::Write;

use super::{HTTP, one};
use crate::support::differential::{Run, same};
use crate::support::{Client, Origin};

const TABLE: &str = include_str!("../../data/samples.tsv");
/// Between values: no expression makes this.
const BETWEEN: &str = "|~|";
const A_TIME: usize = 40;
/// In a field of a response there is less room.
const IN_FIELD: usize = 6;

const JSON: &str = r#"{"a":"text","b":5,"c":1.5,"d":true,"e":null,"f":{"g":"deep"},"arr":[1,"two",{"x":3}],"esc":"a\"b\\c","neg":-7,"n":false,"big":4611686018427387904}"#;

const GET: &str = "GET /Img/logo.png?a=1&b=two%20words&a=3&c HTTP/1.1\r\nHost: www.Example.com:8080\r\n\
    User-Agent: curl/8.0 (a, b)\r\nX-Forwarded-For: 10.0.0.1, 192.168.7.9\r\nX-Forwarded-For: 172.16.1.1\r\n\
    Cookie: id=42; lang=\"fr\"; e=\r\nCookie: id=43\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n\
    X-Num: 12abc\r\nX-V6: [2001:db8::1]\r\nX-Empty:\r\nAccept-Language: fr;q=0.8, en;q=0.9\r\n";

const OPTIONS: &str = "OPTIONS * HTTP/1.0\r\nContent-Length: 12\r\n";

const POST: &str = "POST http://127.0.0.1:8080/a/b;c?x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 12\r\n\
    Authorization: Bearer abc.def\r\nCookie: a=b=c; id\r\nX-Forwarded-For: nobody\r\n";

const BODY: &str = "q=x&r=%20y&s";

/// Expressions of requests and of responses.
fn expressions() -> (Vec<&'static str>, Vec<&'static str>) {
    let (requests, responses) = TABLE.split_once("\n# The response\n").expect("a part on responses");
    let rows = |part: &'static str| part.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    (rows(requests), rows(responses))
}

/// The rules that answer with the values of some expressions, each with the number of its turn.
fn answers(rule: &str, asked: &str, rows: &[&str], a_time: usize) -> String {
    let mut text = String::new();
    for (turn, rows) in rows.chunks(a_time).enumerate() {
        let body: Vec<String> = rows.iter().map(|row| format!("%[{row}]")).collect();
        let body = body.join(BETWEEN).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        let _ = writeln!(text, "    {rule} \"{body}\" if {{ {asked} {turn} }}");
    }
    text
}

fn config() -> String {
    let (requests, responses) = expressions();
    let long_key = "a2V5".repeat(60);
    let by_return = "http-request return status 200 content-type text/plain lf-string";
    let of_requests = answers(by_return, "req.hdr(x-of) request } { req.hdr(x-turn)", &requests, A_TIME);
    // What a rule answers instead of a response knows nothing of that one any more.
    let of_responses =
        answers("http-response set-header X-Values", "var(txn.turn) -m str", &responses, IN_FIELD);
    format!(
        "{HTTP}
userlist people
    group staff users ann
    user ann insecure-password secret
frontend fe
    bind {{ip}}:{{port:fe}} name lst id 7
    no log
    option http-buffer-request
    declare capture request len 40
    http-request capture req.hdr(host) id 0
    http-request set-var(txn.path) path
    http-request set-var(txn.n) int(7)
    http-request set-var(txn.addr) src
    http-request set-var(txn.text) str(abc)
    http-request set-var(txn.key) str(a2V5)
    http-request set-var(txn.longkey) str({long_key})
    http-request set-var(txn.alg) str(HS256)
    http-request set-var(txn.secret) str(secret)
    http-request set-var(txn.json) req.fhdr(x-json)
    http-request set-var(txn.turn) req.hdr(x-turn)
    use_backend answered if {{ req.hdr(x-of) response }}
{of_requests}
    default_backend app
backend answered
    server s1 {{s1}} id 9
{of_responses}
backend app
    server s1 {{dead}}
backend small
    server s1 {{dead}} maxconn 5 maxqueue 7 weight 30
    server s2 {{dead}} maxconn 6 maxqueue 7 disabled
"
    )
}

/// Asks for all values and notes each.
fn ask(run: &mut Run, request: &str, body: &str, of: &str, rows: &[&str]) {
    let a_time = if of == "request" { A_TIME } else { IN_FIELD };
    for (turn, rows) in rows.chunks(a_time).enumerate() {
        let mut client = Client::connect(run.addr("fe"));
        client.send(format!("{request}X-Json: {JSON}\r\nX-Turn: {turn}\r\nX-Of: {of}\r\n\r\n{body}"));
        let method = request.split(' ').next().unwrap_or("GET");
        let response = client.response_to(method).expect("an answer");
        let text = response.field("x-values").map_or_else(|| response.body_text(), str::to_owned);
        let values: Vec<&str> = text.split(BETWEEN).collect();
        assert_eq!(values.len(), rows.len(), "{} {text}", response.status());
        for (row, value) in rows.iter().zip(values) {
            run.note(&format!("{} {row}", &request[..7]), value);
        }
    }
}

#[test]
fn values_of_requests() {
    same(&config(), one, 0, |run| {
        let (rows, _) = expressions();
        ask(run, GET, "", "request", &rows);
        ask(run, OPTIONS, BODY, "request", &rows);
        ask(run, POST, BODY, "request", &rows);
    });
}

fn answering() -> Vec<(&'static str, Origin)> {
    vec![(
        "s1",
        Origin::canned(
            "HTTP/1.1 203 Well\r\nServer: S/1\r\nSet-Cookie: SID=abc; path=/\r\nSet-Cookie: n=12x\r\nVary: a, b\r\n\
             Vary: c\r\nX-Server: 10.1.2.3\r\nAge: 5\r\nContent-Length: 4\r\n\r\nbody",
        ),
    )]
}

#[test]
fn values_of_responses() {
    same(&config(), answering, 0, |run| {
        let (_, rows) = expressions();
        ask(run, GET, "", "response", &rows);
    });
}
