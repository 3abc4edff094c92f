//! The statistics page as a service: its answers to HEAD, to forms, and to requests with bodies that nobody wants.

use super::{HTTP, one};
use crate::support::Client;
use crate::support::differential::{Run, same};
use crate::support::message::latin1;

fn config() -> String {
    format!(
        "{HTTP}
    timeout client 1s
frontend fe
    bind {{ip}}:{{port:fe}}
    stats uri /stats
    stats admin if {{ req.hdr(x-admin) -m found }}
    default_backend be
backend be
    server s1 {{s1}}
"
    )
}

/// A request and another one behind it on the same connection.
fn followed(run: &mut Run, label: &str, first: &str) {
    let method = first.split(' ').next().unwrap_or_default();
    let mut client = Client::connect(run.addr("fe"));
    client.send(format!("{first}GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    for method in [method, "GET"] {
        let response = client.response_to(method);
        // Pages themselves differ.
        let shown = response.map(|r| if r.status() == 200 { "200".into() } else { latin1(&r.raw_head) });
        run.note(label, &format!("{shown:?}"));
    }
    let (rest, end) = client.rest();
    run.note(label, &format!("{} bytes, {end:?}", rest.len()));
}

#[test]
fn bodies_are_taken() {
    same(&config(), one, 33, |run| {
        for len in [0, 10, 100_000, 1_000_000] {
            for (method, admin) in [("POST", "X-Admin: 1\r\n"), ("POST", ""), ("GET", "")] {
                let head = format!(
                    "{method} /stats;csv HTTP/1.1\r\nHost: x\r\n{admin}Content-Length: {len}\r\n\r\n"
                );
                followed(run, &format!("{method} {admin:?} {len}"), &format!("{head}{}", "x".repeat(len)));
            }
        }
        let chunked = "POST /stats HTTP/1.1\r\nHost: x\r\nX-Admin: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        followed(run, "chunks", &format!("{chunked}7\r\ns=s1&b=\r\n2\r\nbe\r\n0\r\n\r\n"));
        let form = "action=maint&b=be&s=s1";
        let (head, tail) = form.split_at(11);
        followed(run, "a form in chunks", &format!("{chunked}b\r\n{head}\r\nb\r\n{tail}\r\n0\r\n\r\n"));
        let form = form.replace("maint", "ready");
        let length = format!(
            "POST /stats HTTP/1.1\r\nHost: x\r\nX-Admin: 1\r\nContent-Length: {}\r\n\r\n",
            form.len()
        );
        followed(run, "a form", &format!("{length}{form}"));
    });
}

#[test]
fn a_form_that_does_not_come() {
    same(&config(), one, 1, |run| {
        run.ask("fe", "POST /stats HTTP/1.1\r\nHost: x\r\nX-Admin: 1\r\nContent-Length: 100\r\n\r\nhalf");
    });
}

/// The exporter is a service like the page.
#[test]
fn the_exporter_takes_bodies_too() {
    let config = config().replace(
        "    stats uri",
        "    http-request use-service prometheus-exporter if { path /metrics }\n    stats uri",
    );
    same(&config, one, 8, |run| {
        for len in [0, 100_000] {
            for method in ["GET", "POST"] {
                let head = format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n");
                followed(run, &format!("{method} {len}"), &format!("{head}{}", "x".repeat(len)));
            }
        }
    });
}

/// The head says nothing of a body that it does not have.
#[test]
fn head() {
    same(&config(), one, 5, |run| {
        for target in ["/stats", "/stats;csv", "/stats;typed", "/stats;json"] {
            run.ask("fe", &format!("HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        }
        run.ask("fe", "HEAD /stats HTTP/1.0\r\n\r\n");
    });
}
