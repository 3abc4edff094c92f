//! Stick tables while connections and requests come and go, by a clock of the test's own.

use super::h2::Client;
use super::rig::{GET, OK, Rig, answers};
use crate::stick::Data;

/// Who the rig's clients are is the rig's own; what they send is ours.
fn asks(key: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h\r\nX-Key: {key}\r\n\r\n")
}

/// A value of the only table's entry; -1: there is none.
fn value(rig: &Rig, key: &str, data: Data) -> i64 {
    let config = rig.config();
    let table = &config.tables.list[0];
    let key = table.kind().bytes(key.as_bytes()).expect("a table of texts");
    let now = rig.worker.rt.now() / crate::base::clock::MS;
    table.look(&key, now, |entry| entry.value(data, 0).unwrap_or(-2)).unwrap_or(-1)
}

#[test]
fn a_limit_holds_for_its_period() {
    let rig = Rig::listen(&[
        "stick-table type string size 100 expire 1m store http_req_rate(10s)",
        "http-request track-sc0 hdr(x-key)",
        "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 3 }",
        "http-request return status 200",
    ]);
    // Who is denied is closed: each on a connection of its own.
    let ask = |key: &str| {
        let mut client = rig.client();
        client.send(asks(key));
        answers(&client.take())[0]
    };
    assert_eq!(["a", "a", "a", "a", "b", "a"].map(ask), [200, 200, 200, 429, 200, 429]);
    // Half of the five fade in half of the next period.
    rig.pass(15_000);
    assert_eq!(["a", "a", "a"].map(ask), [200, 429, 429]);
    rig.pass(30_000);
    assert_eq!(ask("a"), 200);
    rig.pass(61_000);
    assert_eq!(value(&rig, "a", Data::HttpReqRate), -1, "it has expired");
}

#[test]
fn connections_count_while_they_last() {
    let rig = Rig::new(
        "frontend p\n bind :80\n stick-table type string size 100 store conn_cur,conn_cnt,sess_cnt,http_req_cnt\n \
         tcp-request connection track-sc0 str(all)\n tcp-request connection reject if { sc_conn_cur(0) gt 2 }\n \
         http-request return status 200\n",
    );
    let figures = || {
        [Data::ConnCur, Data::ConnCnt, Data::SessCnt, Data::HttpReqCnt].map(|data| value(&rig, "all", data))
    };
    let mut first = rig.client();
    first.send(GET);
    first.send(GET);
    let second = rig.client();
    assert_eq!(figures(), [2, 2, 2, 2]);
    let mut third = rig.client();
    assert!(third.has_ended());
    assert_eq!(figures(), [2, 3, 2, 2]);
    second.leave();
    rig.settle();
    assert_eq!(figures(), [1, 3, 2, 2]);
    let mut fourth = rig.client();
    fourth.send(GET);
    assert_eq!(answers(&fourth.take()), [200]);
    assert_eq!(figures(), [2, 4, 3, 3]);
    first.leave();
    fourth.leave();
    rig.settle();
    assert_eq!(figures(), [0, 4, 3, 3]);
}

#[test]
fn streams_are_tracked_while_they_last() {
    let rig = Rig::listen(&[
        "stick-table type string size 100 store conn_cur,http_req_cnt,bytes_in_cnt,bytes_out_cnt,http_fail_cnt",
        "http-request track-sc0 hdr(x-key)",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = Client::of(rig.client());
    let (mut first, mut second) = (rig.client(), rig.client());
    first.send(asks("k"));
    second.send(asks("k"));
    assert_eq!((value(&rig, "k", Data::ConnCur), value(&rig, "k", Data::HttpReqCnt)), (2, 2));
    let mut server = rig.server("s1");
    server.send(OK);
    assert_eq!(first.take(), OK);
    assert_eq!(value(&rig, "k", Data::ConnCur), 1);
    let len = asks("k").len() as i64;
    assert_eq!(value(&rig, "k", Data::BytesInCnt), len);
    assert_eq!(value(&rig, "k", Data::BytesOutCnt), OK.len() as i64);
    // The client leaves in the middle.
    second.leave();
    rig.settle();
    assert_eq!(value(&rig, "k", Data::ConnCur), 0);
    client.get("/h2");
    assert_eq!(value(&rig, "k", Data::HttpReqCnt), 2, "another key, which it has none of");
}

#[test]
fn clients_are_sent_where_they_were() {
    let rig = Rig::listen(&[
        "stick-table type string size 100 expire 10s",
        "stick on hdr(x-key)",
        "server s1 10.0.0.1:80",
        "server s2 10.0.0.2:80",
    ]);
    let mut client = rig.client();
    let mut serves = |key: &str, name: &str| {
        client.send(asks(key));
        let mut server = rig.server(name);
        assert!(server.take().starts_with("GET /"), "{key} {name}");
        server.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        server.leave();
        assert_eq!(answers(&client.take()), [200]);
    };
    serves("a", "s1");
    serves("b", "s2");
    serves("b", "s2");
    serves("a", "s1");
    serves("a", "s1");
    serves("b", "s2");
    assert_eq!(value(&rig, "a", Data::ServerId), 1);
    // A server that is down is not waited for, and another one takes its place.
    rig.of("s1").live.set_oper(crate::model::OperState::Stopped);
    rig.config().proxies[0].back.as_ref().expect("a backend").servers.load().refresh(0);
    serves("a", "s2");
    assert_eq!(value(&rig, "a", Data::ServerId), 2);
}

#[test]
fn tables_outlive_a_reload() {
    let text = |limit: u32| {
        format!(
            "frontend p\n bind :80\n stick-table type string size 100 store gpc0\n \
             http-request track-sc0 hdr(x-key)\n http-request sc-inc-gpc0(0)\n \
             http-request deny if {{ sc_get_gpc0(0) gt {limit} }}\n http-request return status 200\n"
        )
    };
    let rig = Rig::new(&text(2));
    let mut client = rig.client();
    let mut ask = || {
        client.send(asks("a"));
        answers(&client.take())[0]
    };
    assert_eq!([ask(), ask(), ask()], [200, 200, 403]);
    rig.reload(&text(4));
    assert_eq!([ask(), ask()], [200, 403]);
    assert_eq!(value(&rig, "a", Data::Gpc0), 5);
}

#[test]
fn what_a_connection_tracked_is_kept_when_it_becomes_http() {
    let rig = Rig::tcp(
        "frontend p\n bind :80\n stick-table type string size 100 store conn_cnt,conn_cur,http_req_cnt\n \
         tcp-request inspect-delay 2s\n tcp-request content track-sc0 str(all)\n \
         tcp-request content switch-mode http if HTTP\n default_backend web\n\
         backend web\n mode http\n http-request return status 200\n",
    );
    let mut client = rig.client();
    client.send(GET);
    assert_eq!(answers(&client.take()), [200]);
    let figures = [Data::ConnCnt, Data::HttpReqCnt].map(|data| value(&rig, "all", data));
    assert_eq!(figures, [1, 1]);
    client.leave();
    rig.settle();
    assert_eq!(value(&rig, "all", Data::ConnCur), 0);
    let config = rig.config();
    assert_eq!(config.tables.list[0].used(), 1);
}
