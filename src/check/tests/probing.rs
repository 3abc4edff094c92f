//! Single checks: what they find of listeners of every kind.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::farm::*;
use crate::check::*;
use crate::model::Address;

#[tokio::test]
async fn connections() {
    let (up, _) = listen(OK).await;
    let nobody = closed().await;
    assert_eq!(find(&check(&[]), up).await, "L4OK 0");
    assert_eq!(find(&check(&["option tcp-check"]), up).await, "L4OK 0");
    let refused = "L4CON 0 Connection refused";
    assert_eq!(find(&check(&[]), nobody).await, refused);
    let at_start = format!("{refused} at initial connection step of tcp-check");
    assert_eq!(find(&check(&["option tcp-check"]), nobody).await, at_start);
    let elsewhere = CheckSpec { port: Some(up.port()), ..check(&[]) };
    assert_eq!(find(&elsewhere, nobody).await, "L4OK 0");
}

/// Nor does the second one, for which the socket is used again.
#[tokio::test]
async fn a_check_of_a_port_alone_never_stands_at_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..3 {
        assert_eq!(find(&check(&[]), listener.local_addr().unwrap()).await, "L4OK 0");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(accepted.is_err(), "{accepted:?}");
}

#[tokio::test]
async fn a_silent_listener_times_out_at_layer_4() {
    // A backlog that is full drops what comes after.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(
            tokio::time::timeout(Duration::from_millis(50), tokio::net::TcpStream::connect(address)).await,
        );
    }
    let spec = CheckSpec { inter_ms: 100, ..check(&[]) };
    assert_eq!(find(&spec, address).await, "L4TOUT 0");
}

#[tokio::test]
async fn http_answers_are_judged_as_by_haproxy() {
    let (address, reply) = listen(OK).await;
    for (lines, answer, found) in [
        ("", OK, "L7OK 200"),
        ("", b"HTTP/1.0 302 Found\r\n\r\n", "L7OK 302"),
        ("", ERROR, "L7STS 500 Internal Server Error"),
        ("", MISSING, "L7STS 404 Not Found"),
        ("", HANG, "L7TOUT 0"),
        ("", RESET, "SOCKERR 0 Connection reset by peer"),
        ("", b"", "L7RSP 0"),
        ("", b"garbage\r\n\r\n", "L7RSP 0"),
        ("", b"HTTP/1.1 200 OK\r\nContent-Le", "L7RSP 0"),
        ("", b"HTTP/1.1 503\r\n\r\n", "L7STS 503"),
        ("disable-on-404", MISSING, "L7OKC 404"),
        ("expect status 200,300-310", OK, "L7OK 200"),
        ("expect ! status 200", OK, "L7STS 200 OK"),
        ("expect !status 500", OK, "L7OK 200"),
        ("expect rstatus ^5", OK, "L7STS 200 OK"),
        ("expect ! rstatus ^5", ERROR, "L7STS 500 Internal Server Error"),
        ("expect string hello", OK, "L7OK 200"),
        ("expect string nothere", OK, "L7RSP 200 HTTP content check did not match"),
        ("expect ! string hello", OK, "L7RSP 200 HTTP check matched unwanted content"),
        ("expect rstring wor.d$", OK, "L7OK 200"),
        ("expect string x", ERROR, "L7RSP 500 HTTP content check could not find a response body"),
        ("expect string x", b"HTTP/1.0 200 OK\r\n\r\naxb", "L7OK 200"),
        ("expect string x", HANG, "L7TOUT 0"),
        ("expect tout-status L4TOUT string x", HANG, "L4TOUT 0"),
        ("expect hdr name x-test value b", OK, "L7OK 200"),
        ("expect fhdr name x-test value b", OK, "L7STS 200 OK"),
        ("expect hdr name -m beg X-T value -m reg ^[ab]$", OK, "L7OK 200"),
        ("expect ! hdr name x-none", OK, "L7OK 200"),
        ("expect comment why string zz", OK, "L7RSP 200 HTTP content check did not match comment: why"),
        ("expect error-status L7STS on-error oops string zz", OK, "L7STS 200 oops"),
        ("expect on-success fine ok-status L7OKC status 200", OK, "L7OKC 200 fine"),
        ("expect on-success %[status],%[res.hdr(x-test)] status-code int(7) status 200", OK, "L7OK 7 200,b"),
        ("expect on-error %[status]! status-code int(8) status 500", OK, "L7STS 8 200!"),
        ("expect string-lf h%[str(el)]lo", OK, "L7OK 200"),
        ("expect string-lf %[str(nothere)]", OK, "L7RSP 200 HTTP content check did not match"),
        ("expect hdr name-lf %[str(X-Test)] value-lf %[res.hdr(x-test)]", OK, "L7OK 200"),
    ] {
        *reply.lock().unwrap() = answer;
        let mut lines = vec![format!("http-check {lines}")];
        lines.retain(|l| l != "http-check ");
        let mut all = vec!["option httpchk"];
        all.extend(lines.iter().map(String::as_str));
        // The implicit step 2 when nothing is expected.
        assert_eq!(find(&check(&all), address).await, found, "{lines:?} {}", answer.escape_ascii());
    }
}

/// What a server sees of a check's end, and the next check on the same socket.
#[tokio::test]
async fn a_check_ends_by_a_reset_and_the_next_one_knows_nothing_of_it() {
    let (hangs, _) = listen(HANG).await;
    let nobody = closed().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = check(&["option httpchk"]);
    for _ in 0..3 {
        let answer = async {
            let (mut client, _) = listener.accept().await.unwrap();
            let _ = client.read(&mut [0; 512]).await.unwrap();
            client.write_all(OK).await.unwrap();
            client
        };
        let (found, mut client) = tokio::join!(find(&http, address), answer);
        assert_eq!(found, "L7OK 200");
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(find(&http, hangs).await, "L7TOUT 0");
        assert_eq!(find(&http, nobody).await, "L4CON 0 Connection refused");
        assert_eq!(find(&check(&[]), hangs).await, "L4OK 0");
    }
    let lingering = check(&["option tcp-check", "tcp-check connect linger"]);
    let (found, accepted) = tokio::join!(find(&lingering, address), listener.accept());
    assert_eq!(found, "L4OK 0 (tcp-check)");
    assert_eq!(accepted.unwrap().0.read(&mut [0; 1]).await.unwrap(), 0, "no reset");
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            for part in OK.chunks(9) {
                client.write_all(part).await.unwrap();
                client.flush().await.unwrap();
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        }
    });
    assert_eq!(
        find(&check(&["option httpchk", "http-check expect rstring world$"]), address).await,
        "L7OK 200"
    );
}

#[tokio::test]
async fn tcp_steps() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(b"+OK ready\r\n").await;
            let mut line = [0; 6];
            if client.read_exact(&mut line).await.is_ok() && &line == b"PING\r\n" {
                let _ = client.write_all(b"+PONG\r\n").await;
            }
        }
    });
    let talk =
        ["option tcp-check", "tcp-check connect", "tcp-check expect string +OK", "tcp-check send PING\r\n"];
    let with = |line: &'static str| [&talk[..], &[line]].concat();
    assert_eq!(find(&check(&with("tcp-check expect rstring ^.PONG")), address).await, "L7OK 0 (tcp-check)");
    assert_eq!(
        find(&check(&with("tcp-check expect binary 2b504f4e47")), address).await,
        "L7OK 0 (tcp-check)"
    );
    assert_eq!(
        find(&check(&with("tcp-check expect string NO")), address).await,
        "L7RSP 0 TCPCHK did not match content 'NO' at step 4"
    );
    assert_eq!(
        find(&check(&with("tcp-check expect ! string PONG")), address).await,
        "L7RSP 0 TCPCHK matched unwanted content 'PONG' at step 4"
    );
    assert_eq!(find(&check(&talk[..2]), address).await, "L4OK 0 (tcp-check)");
    let silent =
        check(&["option tcp-check", "tcp-check connect", "tcp-check send x", "tcp-check expect string z"]);
    assert_eq!(find(&silent, address).await, "L7TOUT 0  at step 3 of tcp-check (expect string 'z')");
}

#[tokio::test]
async fn variables_live_as_long_as_a_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let mut texts = Vec::new();
        for _ in 0..2 {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            let n = client.read(&mut request).await.unwrap();
            texts.push(String::from_utf8_lossy(&request[..n]).into_owned());
            client.write_all(OK).await.unwrap();
        }
        texts
    });
    let spec = check(&[
        "option httpchk",
        "http-check connect",
        "http-check set-var(check.path) str(/a)",
        "http-check set-var(check.who) str(me)",
        "http-check send meth GET uri-lf %[var(check.path)] ver HTTP/1.1 hdr x-who <%[var(check.who)]>",
        "http-check expect status 200",
        "http-check set-var-fmt(check.path) %[var(check.path)]/b",
        "http-check unset-var(check.who)",
        "http-check connect",
        "http-check send meth POST uri-lf %[var(check.path)] body-lf %[var(check.who)]=%[res.hdr(x-test)]",
    ]);
    assert_eq!(find(&spec, address).await, "L7OK 200");
    let texts = seen.await.unwrap();
    assert_eq!(texts[0], "GET /a HTTP/1.1\r\nx-who: <me>\r\nconnection: close\r\n\r\n");
    assert!(texts[1].starts_with("POST /a/b HTTP/1.0\r\n"), "{}", texts[1]);
    assert!(texts[1].ends_with("\r\n\r\n="), "{}", texts[1]);
}

#[tokio::test]
async fn checks_go_through_a_socks4_proxy() {
    let (server, _) = listen(OK).await;
    for (granted, found) in [(90, "L7OK 200"), (91, "L4CON 0 SOCKS4 Proxy deny the request")] {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = proxy.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut client, _) = proxy.accept().await.unwrap();
            let mut ask = [0; 16];
            client.read_exact(&mut ask).await.unwrap();
            client.write_all(&[0, granted, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let mut onward = tokio::net::TcpStream::connect(server).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut onward).await;
            ask
        });
        let spec = CheckSpec { socks4: Some(at), via_socks4: true, ..check(&["option httpchk"]) };
        assert_eq!(find(&spec, server).await, found);
        assert_eq!(asked.await.unwrap()[..4], [&[4, 1][..], &server.port().to_be_bytes()].concat());
    }
}

#[tokio::test]
async fn protocols_tell_codes_and_words() {
    /// The option, what the server says first and to each piece that it reads, and what is found.
    const CASES: &[(&str, &[&[u8]], &str)] = &[
        ("smtpchk", &[b"220 hi\r\n", b"250 fine\r\n", b"221 bye\r\n"], "L7OK 221 bye"),
        (
            "smtpchk EHLO a.test",
            &[b"220 hi\r\n", b"250-a.test\r\n250 SIZE\r\n", b"221 bye\r\n"],
            "L7OK 221 bye",
        ),
        ("smtpchk", &[b"554 no\r\n"], "L7STS 554 no"),
        ("smtpchk", &[b"hello\r\n"], "L7RSP 0 hello"),
        ("mysql-check", &[b"\x16\0\0\0\xff\x15\x04#28000Access denied"], "L7STS 1045 #28000Access denied"),
        ("mysql-check", &[b"\x17\0\0\0\x0a5.7.1-check\0\x01\0\0\0abcdef"], "L7OK 0 5.7.1-check"),
        (
            "mysql-check user me",
            &[b"\x17\0\0\0\x0a5.7.1-check\0\x01\0\0\0abcdef", b"\x07\0\0\x02\0\0\0\x02\0\0\0"],
            "L7OK 0 5.7.1-check",
        ),
        ("pgsql-check user me", &[b"", b"E\0\0\0\x0eSFATAL\0Cx\0\0"], "L7RSP 0 FATAL"),
        ("pgsql-check user me", &[b"", b"R\0\0\0\x08\0\0\0\0"], "L7OK 0 PostgreSQL server is ok"),
        ("redis-check", &[b"", b"-NOAUTH x\r\n"], "L7STS 0 -NOAUTH x"),
        (
            "ldap-check",
            &[b"", b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00"],
            "L7STS 49 See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9",
        ),
        ("spop-check", &[b"", b"\0\0\0\0"], "L7RSP 0 invalid frame received"),
    ];
    for (option, answers, found) in CASES {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut piece = [0; 512];
            for (i, answer) in answers.iter().enumerate() {
                if i > 0 {
                    let _ = client.read(&mut piece).await;
                }
                client.write_all(answer).await.unwrap();
            }
            let _ = client.shutdown().await;
            let _ = client.read(&mut piece).await;
        });
        assert_eq!(find(&check(&[&format!("option {option}")]), address).await, *found, "{option}");
    }
}

#[tokio::test]
async fn unix_and_abstract_servers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let raw = crate::os::socket::RawAddr::unix(b"isobar-check-test", true).unwrap();
    let hidden = crate::os::socket::stream(&raw).unwrap();
    crate::os::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&hidden), &raw).unwrap();
    crate::os::socket::listen(std::os::fd::AsRawFd::as_raw_fd(&hidden), 4).unwrap();
    for (address, status) in [
        (Address::Unix(path.clone()), Status::L4Ok),
        (Address::Abstract(b"isobar-check-test"[..].into()), Status::L4Ok),
        (Address::Unix(dir.path().join("none")), Status::L4Con),
    ] {
        let finding = finding(&check(&[]), address.clone()).await;
        assert_eq!(finding.status, status, "{address}: {}", finding.info);
    }
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        client.shutdown().await.unwrap();
        let (mut client, _) = listener.accept().await.unwrap();
        client.write_all(OK).await.unwrap();
        client.shutdown().await.unwrap();
    });
    let answered = finding(&check(&["option httpchk"]), Address::Unix(path)).await;
    assert_eq!(answered.status, Status::L7Ok);
}
