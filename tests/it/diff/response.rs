//! Rules on what comes back, and what they know of both connections.

use super::{HTTP, one};
use crate::support::differential::{Run, same};
use crate::support::place;

/// Maps and ACLs that responses change.
#[test]
fn maps_and_lists() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, "").expect("write");
        path.display().to_string()
    };
    let (early, list) = (file("early.map"), file("early.lst"));
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request set-var(txn.k) path
    http-request set-header X-Early %[path,map({early},none)]
    http-request set-header X-List yes if {{ path -f {list} }}
    http-response set-map({early}) %[var(txn.k)] one if {{ capture.req.uri -m sub k }} !{{ capture.req.uri -m sub del }}
    http-response del-map({early}) /k if {{ capture.req.uri /del }}
    http-response add-acl({list}) %[var(txn.k)] if {{ capture.req.uri -m sub k }}
    http-response del-acl({list}) /k if {{ capture.req.uri /del }}
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, one, 7, |run: &mut Run| {
        for path in ["/k", "/k", "/own", "/del", "/k", "/own", "/own"] {
            run.get("fe", path, "");
        }
    });
}

/// What requests and responses are remembered by.
#[test]
fn captures() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    declare capture request len 20
    declare capture request len 20
    declare capture response len 20
    declare capture response len 20
    tcp-request inspect-delay 1s
    tcp-request content capture src len 20
    http-request capture req.hdr(x-a) id 0
    http-request set-var(txn.kept) str(converted),capture-req(1)
    http-response capture res.hdr(x-origin) id 0
    http-after-response set-var(txn.kept) str(late),capture-res(1)
    http-response set-header X-Seen %[capture.req.hdr(0)]_%[capture.req.hdr(1)]_%[capture.res.hdr(0)]
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, one, 2, |run| {
        run.get("fe", "/", "X-A: b\r\n");
        run.get("fe", "/", "");
    });
}

/// Whether an edit that finds no room ends the transaction is for the rules behind the line to say.
#[test]
fn strict_mode() {
    let long = "%[var(txn.long)]%[var(txn.long)]";
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request set-var(txn.long) req.hdr(x-long)
    use_backend lax if {{ path /lax }}
    use_backend strict if {{ path /strict }}
backend lax
    http-response strict-mode off
    http-response set-header X-Big {long}
    server s1 {{s1}}
backend strict
    http-response set-header X-Big {long}
    server s1 {{s1}}
"
    );
    same(&config, one, 2, |run| {
        let long = format!("X-Long: {}\r\n", "x".repeat(9000));
        run.get("fe", "/lax", &long);
        run.get("fe", "/strict", &long);
    });
}

/// Variables of the process, set by the file.
#[test]
fn variables_of_the_process() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request return status 200 content-type text/plain lf-string \"%[var(proc.a)] %[var(proc.b)]\"
",
        HTTP.replace(
            "    nbthread 1\n",
            "    nbthread 1\n    set-var proc.a int(5)\n    set-var-fmt proc.b \"<%[int(6)]>\"\n"
        )
    );
    same(&config, one, 1, |run| {
        run.get("fe", "/", "");
    });
}

/// Both ends of both connections.
#[test]
fn addresses() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-response set-header X-Front %[fc_src]_%[fc_dst]:%[fc_dst_port]
    http-response set-header X-Back %[bc_src]_%[bc_dst]:%[bc_dst_port]
    http-response set-header X-Port yes if {{ bc_src_port gt 1024 }} {{ fc_src_port gt 1024 }}
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, one, 1, |run| {
        run.get("fe", "/", "");
    });
}

/// A kept-alive connection shows in the kernel's table: a timer of kind 2.
#[test]
fn keep_alive_packets() {
    for option in ["", "option tcpka", "option clitcpka", "option srvtcpka"] {
        let config = format!(
            "
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen p
    bind {{ip}}:{{port:fe}}
    {option}
    server s1 {{s1}}
"
        );
        same(&config, one, 0, |run| {
            let client = std::net::TcpStream::connect(run.addr("fe")).expect("connect");
            std::thread::sleep(std::time::Duration::from_millis(200));
            let table = std::fs::read_to_string("/proc/net/tcp").expect("the table");
            let ours = u32::from_ne_bytes(place::address().octets());
            let ours = format!("{ours:08X}:");
            let timers = table.lines().filter(|line| {
                let row: Vec<&str> = line.split_whitespace().collect();
                row[3] == "01"
                    && row[5].starts_with("02")
                    && (row[1].starts_with(&ours) || row[2].starts_with(&ours))
            });
            run.note("connections with a timer", &timers.count().to_string());
            drop(client);
        });
    }
}
