//! `auth-request`: a service that is asked before a request goes on.

use super::h2::Client;
use super::rig::{GET, OK, Reception, Rig, answers};

const GRANTED: &str =
    "HTTP/1.1 200 OK\r\nX-User: ann\r\nX-Group: a\r\nX-Group: b\r\nContent-Length: 2\r\n\r\nhi";
const DENIED: &str = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"a\"\r\nSet-Cookie: s=1\r\nX-Why: late\r\n\
                      X-Secret: 1\r\nContent-Length: 4\r\n\r\nlong";

fn rig_of(rules: &[&str], more: &str) -> Rig {
    Rig::new(&format!(
        "listen p\n bind :80\n {}\n server s1 10.0.0.1:80\n\
         backend auth\n server a1 10.0.0.2:80\n{more}",
        rules.join("\n ")
    ))
}

fn rig(rule: &str) -> Rig {
    rig_of(&[rule], "")
}

#[test]
fn a_request_goes_on_with_what_the_answer_says() {
    let rig = rig("http-request auth-request auth /verify?for=%[path] copy-headers x-user,x-group");
    let mut client = rig.client();
    client.send("GET /a HTTP/1.1\r\nHost: h\r\nX-USER: root\r\nCookie: c=1\r\nx-user: root\r\n\r\n");
    assert_eq!(rig.opened("s1"), 0, "nobody has answered");
    let mut auth = rig.server("a1");
    assert_eq!(
        auth.take(),
        "GET /verify?for=/a HTTP/1.1\r\nHost: h\r\nX-USER: root\r\nCookie: c=1\r\nx-user: root\r\n\r\n"
    );
    auth.send(GRANTED);
    let mut server = rig.server("s1");
    assert_eq!(
        server.take(),
        "GET /a HTTP/1.1\r\nHost: h\r\nCookie: c=1\r\nx-user: ann\r\nx-group: a\r\nx-group: b\r\n\r\n"
    );
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!((rig.idle("a1"), rig.served("a1")), (1, 0), "its connection is kept");
    client.send(GET);
    assert!(auth.take().starts_with("GET /verify?for=/ "), "the same connections serve the next request");
    auth.send("HTTP/1.1 204 OK\r\n\r\n");
    assert_eq!(server.take(), GET);
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.log(), ["p/s1 200 -- 0", "p/s1 200 -- 0"]);
    let (back, one) = (rig.back("auth"), rig.count("a1"));
    assert_eq!((back.http_req, back.rsp_2xx, back.sess_tot), (2, 2, 2));
    assert_eq!((one.http_req, one.rsp_2xx, one.connect, one.reuse), (2, 2, 1, 1));
}

#[test]
fn a_refusal_is_the_client_s() {
    let rig = rig("http-request auth-request auth /v pass-headers x-why");
    let mut client = rig.client();
    client.send(GET);
    let mut auth = rig.server("a1");
    auth.take();
    auth.send(DENIED);
    assert_eq!(
        client.take(),
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"a\"\r\nset-cookie: s=1\r\nx-why: late\r\n\
         content-length: 0\r\n\r\n"
    );
    client.send(GET);
    assert_eq!(auth.take(), GET.replace("/ ", "/v "), "both connections stay");
    auth.send("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.take(), "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: /login\r\n\r\n");
    assert_eq!(rig.opened("s1"), 0);
    assert_eq!(rig.log(), ["p/<NOSRV> 401 PR 0", "p/<NOSRV> 302 PR 0"]);
    assert_eq!(rig.front("p").denied_req, 2);
}

#[test]
fn what_is_no_answer_ends_the_request() {
    let rig = rig_of(&["retries 0", "http-request auth-request auth /v"], " timeout server 5s\n retries 0\n");
    // Nobody is there.
    rig.receive("a1", Reception::Refused);
    let mut client = rig.client();
    client.send(GET);
    assert_eq!(answers(&client.take()), [503]);
    // Nobody answers in time.
    rig.receive("a1", Reception::Open);
    let mut client = rig.client();
    client.send(GET);
    let mut auth = rig.server("a1");
    assert_eq!(auth.take(), GET.replace("/ ", "/v "));
    rig.pass(4_999);
    assert_eq!(client.take(), "");
    rig.pass(2);
    assert_eq!(answers(&client.take()), [504]);
    assert!(auth.has_ended());
    // What comes is no answer, or half of one.
    for said in
        ["SSH-2.0\r\n\r\n", "HTTP/1.1 101 Up\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
    {
        let mut client = rig.client();
        client.send(GET);
        let mut auth = rig.server("a1");
        auth.take();
        auth.send(said);
        auth.finish();
        assert_eq!(answers(&client.take()), [502], "{said}");
    }
    assert_eq!((rig.opened("s1"), rig.idle("a1"), rig.served("a1")), (0, 0, 0));
    assert_eq!(
        rig.log(),
        [
            "p/<NOSRV> 503 SC 0",
            "p/<NOSRV> 504 sH 0",
            "p/<NOSRV> 502 PH 0",
            "p/<NOSRV> 502 SH 0",
            "p/<NOSRV> 502 SH 0"
        ]
    );
}

#[test]
fn rules_may_decide_by_themselves() {
    let rig = rig_of(
        &[
            "http-request auth-request auth /v continue copy-headers x-user",
            "http-request return status 418 hdr x-to %[var(txn.auth_response_location)] if \
             { var(txn.auth_response_code) -m int 302 }",
            "http-request set-header x-ok %[var(txn.auth_response_successful)]:%[var(txn.auth_response_code)]",
        ],
        " retries 0\n",
    );
    let mut client = rig.client();
    let ask = |client: &mut super::rig::Wire, said: &str| {
        client.send(GET.replace("Host", "x-user: root\r\nHost"));
        let mut auth = rig.server("a1");
        auth.take();
        auth.send(said);
        auth.finish();
        rig.try_server("s1").map(|mut server| {
            let got = server.take();
            server.send(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
            got
        })
    };
    let got = ask(&mut client, GRANTED).expect("a server");
    assert!(got.contains("x-user: ann\r\nx-ok: 1:200"), "{got}");
    let got = ask(&mut client, "HTTP/1.1 403 No\r\nX-User: eve\r\n\r\n").expect("a server");
    assert!(!got.contains("x-user") && got.contains("x-ok: 0:403"), "{got}");
    let got = ask(&mut client, "").expect("a server");
    assert!(!got.contains("x-user") && got.contains("x-ok: 0:\r\n"), "{got}");
    client.take();
    assert!(ask(&mut client, "HTTP/1.1 302 No\r\nLocation: /in\r\n\r\n").is_none());
    let told = client.take();
    assert!(told.starts_with("HTTP/1.1 418 ") && told.contains("x-to: /in"), "{told}");
}

#[test]
fn a_body_goes_on_behind_the_question() {
    let rig = rig("http-request auth-request auth /v");
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    let mut auth = rig.server("a1");
    assert_eq!(auth.take(), "GET /v HTTP/1.1\r\nHost: h\r\n\r\n");
    client.send("de");
    // An interim answer is nothing of the client's.
    auth.send("HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n");
    auth.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    client.send("f");
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabcdef");
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.idle("a1"), 1);
}

#[test]
fn a_client_that_leaves_ends_the_question() {
    let rig = rig("http-request auth-request auth /v continue");
    let mut client = rig.client();
    client.send(GET);
    let mut auth = rig.server("a1");
    auth.take();
    client.reset();
    rig.pass(1_000);
    assert!(auth.has_ended());
    assert_eq!((rig.opened("s1"), rig.served("a1"), rig.idle("a1")), (0, 0, 0));
    assert_eq!(rig.log(), ["p/<NOSRV> 400 CH 0"]);
}

#[test]
fn an_idle_connection_that_has_ended_is_not_held_against_anyone() {
    let rig = rig("http-request auth-request auth /v method POST");
    let mut client = rig.client();
    client.send(GET);
    let mut auth = rig.server("a1");
    assert_eq!(auth.take(), "POST /v HTTP/1.1\r\nHost: h\r\ncontent-length: 0\r\n\r\n");
    auth.send(GRANTED);
    let mut server = rig.server("s1");
    server.send(OK);
    client.take();
    client.send(GET);
    // It ends just as it is used again.
    auth.take();
    auth.leave();
    let mut auth = rig.server("a1");
    assert!(auth.take().starts_with("POST /v "));
    auth.send(GRANTED);
    server.take();
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
}

#[test]
fn streams_of_http_2_ask_each_for_itself() {
    let rig = rig("http-request auth-request auth /v?%[path] copy-headers x-*");
    let mut client = Client::of(rig.client());
    for path in ["/1", "/3", "/5"] {
        client.ask(&format!("GET {path} HTTP/1.1\r\nhost: h\r\nx-user: root\r\n\r\n"), true);
    }
    let mut asked: Vec<_> = (0..3).map(|_| rig.server("a1")).collect();
    for (auth, path) in asked.iter_mut().zip(["/1", "/3", "/5"]) {
        assert!(auth.take().starts_with(&format!("GET /v?{path} HTTP/1.1\r\nhost: h\r\n")));
    }
    asked[2].send(GRANTED);
    let mut server = rig.server("s1");
    assert_eq!(
        server.take(),
        "GET /5 HTTP/1.1\r\nhost: h\r\nx-user: ann\r\nx-group: a\r\nx-group: b\r\n\r\n"
    );
    asked[0].send(DENIED);
    server.send(OK);
    let saw = client.saw();
    assert_eq!(
        saw[0],
        "1: HTTP/1.1 401 Unauthorized www-authenticate: Basic realm=\"a\" set-cookie: s=1 content-length: 0 END"
    );
    assert_eq!(saw[1..], ["5: HTTP/1.1 200 OK content-length: 2", "5> ok END"]);
}

#[test]
fn what_is_asked_must_be_there() {
    for (line, told) in [
        ("auth-request nobody /v", "unable to find proxy 'nobody'"),
        ("auth-request tcp /v", "is not in HTTP mode"),
        ("auth-request fe /v", "no servers"),
        ("auth-request auth v", "no path"),
        ("auth-request auth", "<backend> and <path>"),
        ("auth-request auth /v copy-headers", "copy-headers"),
        ("auth-request auth /v copy-headers content-length", "cannot be copied"),
        ("auth-request auth /v copy-headers a,,b", "not the name of a header"),
        ("auth-request auth /v method CONNECT", "not a method"),
        ("auth-request auth /v body", "unexpected 'body'"),
    ] {
        let text = format!(
            "defaults\n mode http\nfrontend fe\n bind :80\n default_backend auth\n http-request {line}\n\
             backend auth\n server a 10.0.0.1:80\nbackend tcp\n mode tcp\n server a 10.0.0.1:80\n"
        );
        let (_, diags) = crate::config::compile::testing::build_text(&text);
        let all = crate::config::compile::testing::messages(&diags);
        assert!(all.iter().any(|m| m.contains(told)), "{line}: {all:?}");
    }
}
