//! What fetches and converters tell of proxies, servers, connections and of the rules themselves.

use super::support::*;
use crate::rules::*;

/// Each expression has this value in the usual transaction.
fn all(rows: &[(&str, Option<&str>)]) {
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        let found = value(text);
        if found.as_deref() != *expected {
            wrong.push(format!("{text}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn servers_and_backends() {
    all(&[
        ("srv_conn_free(be/s1)", Some("3")),
        ("srv_queue(be/s1)", Some("2")),
        ("srv_iweight(be/s1)", Some("10")),
        ("srv_uweight(be/s1)", Some("20")),
        ("srv_weight(be/s1)", Some("30")),
        ("srv_sess_rate(be/s1)", Some("4")),
        ("be_conn_free(be)", Some("5")),
        ("connslots(be)", Some("12")),
        ("connslots(none)", Some("-1")),
        ("dst_conn", Some("6")),
        ("stopping", Some("1")),
        ("fe_defbe", Some("be")),
        ("fe_tarpit_timeout", Some("1234")),
        ("bc_reused", Some("1")),
        ("str(be),nbsrv", Some("2")),
        ("str(none),nbsrv", None),
        ("str(be/s1),srv_is_up", Some("1")),
        ("str(be/s9),srv_is_up", None),
        ("str(s1),srv_queue", Some("2")),
        ("str(fe),fe_exists", Some("1")),
        ("str(be),fe_exists", Some("0")),
    ]);
}

#[test]
fn connections_as_the_kernel_knows_them() {
    all(&[
        ("fc_rtt", Some("2")),
        ("fc_rtt(us)", Some("2500")),
        ("fc_rttvar", Some("1")),
        ("fc_rttvar(us)", Some("1500")),
        ("bc_rtt(us)", Some("4500")),
        ("bc_rttvar(ms)", Some("3")),
        ("fc_unacked", Some("1")),
        ("fc_sacked", Some("2")),
        ("fc_lost", Some("3")),
        ("fc_retrans", Some("4")),
        ("fc_fackets", Some("5")),
        ("fc_reordering", Some("6")),
        ("src_is_local", Some("0")),
        ("dst_is_local", Some("1")),
        ("bc_err", Some("0")),
        ("bc_err_name", Some("")),
        ("bc_err_str", Some("Success")),
        ("fc_err_name", Some("")),
    ]);
    assert!(complaint("fc_rtt(s)").contains("is not 'us' or 'ms'"));
}

#[test]
fn ends_of_connections() {
    let mut txn = usual();
    txn.conn_client = Endpoint::Inet("127.0.0.1:4".parse().unwrap());
    txn.conn_local = Endpoint::Inet("192.0.2.1:4".parse().unwrap());
    assert_eq!(value_in("fc_src_is_local", Dir::Request, &txn).as_deref(), Some("1"));
    assert_eq!(value_in("fc_dst_is_local", Dir::Request, &txn).as_deref(), Some("0"));
}

#[test]
fn headers_of_packets() {
    all(&[
        ("fc_saved_syn,eth.dst,hex", Some("020000000001")),
        ("fc_saved_syn,eth.src,hex", Some("020000000002")),
        ("fc_saved_syn,eth.vlan", Some("7")),
        ("fc_saved_syn,eth.proto", Some("2048")),
        ("fc_saved_syn,eth.hdr,hex", Some("020000000001020000000002810000070800")),
        ("fc_saved_syn,eth.data,ip.ver", Some("4")),
        ("fc_saved_syn,eth.data,ip.src", Some("10.1.2.3")),
        ("fc_saved_syn,eth.data,ip.dst", Some("192.168.0.199")),
        ("fc_saved_syn,eth.data,ip.tos", Some("16")),
        ("fc_saved_syn,eth.data,ip.ttl", Some("63")),
        ("fc_saved_syn,eth.data,ip.df", Some("1")),
        ("fc_saved_syn,eth.data,ip.proto", Some("6")),
        ("fc_saved_syn,eth.data,ip.hdr,hex", Some("4510003C1C4640003F06B1E60A010203C0A800C7")),
        ("fc_saved_syn,eth.data,ip.data,tcp.src", Some("40244")),
        ("fc_saved_syn,eth.data,ip.data,tcp.dst", Some("80")),
        ("fc_saved_syn,eth.data,ip.data,tcp.seq", Some("16909060")),
        ("fc_saved_syn,eth.data,ip.data,tcp.flags", Some("2")),
        ("fc_saved_syn,eth.data,ip.data,tcp.win", Some("64240")),
        ("fc_saved_syn,eth.data,ip.data,tcp.options.mss", Some("1460")),
        ("fc_saved_syn,eth.data,ip.data,tcp.options.sack", Some("1")),
        ("fc_saved_syn,eth.data,ip.data,tcp.options.tsopt", Some("1")),
        ("fc_saved_syn,eth.data,ip.data,tcp.options.tsval", Some("256")),
        ("fc_saved_syn,eth.data,ip.data,tcp.options.wsopt", Some("1")),
        ("fc_saved_syn,eth.data,ip.data,tcp.options.wscale", Some("7")),
        ("fc_saved_syn,eth.data,ip.data,tcp.options_list,hex", Some("0204080103")),
        ("fc_saved_syn,eth.data,ip.fp,hex", Some("1050A8FAF005B447")),
        ("fc_saved_syn,eth.data,ip.fp(7),hex", Some("1050A8FAF005B4473F02040801030A010203")),
        ("str(short),ip.src", None),
        ("str(short),tcp.src", None),
        (
            "bin(6000000000140640fe80000000000000000000000000000120010db8000000000000000000000002),ip.dst",
            Some("2001:db8::2"),
        ),
        (
            "bin(6000000000140640fe80000000000000000000000000000120010db8000000000000000000000002),ip.df",
            Some("1"),
        ),
    ]);
}

#[test]
fn which_rule_had_the_last_word() {
    let mut txn = usual();
    assert_eq!(value_in("last_rule_line", Dir::Request, &txn), None);
    let set = good("rules", |ctx| {
        let mut set = RuleSet::default();
        for rule in ["set-var(txn.x) int(1)", "deny if TRUE", "allow"] {
            set.push(RuleSetKind::HttpRequest, &words(rule), &Acls::default(), ctx);
        }
        Some(set)
    });
    let env = FakeEnv::default();
    assert!(matches!(set.run(&mut txn, &env, &mut 0), Outcome::Final { .. }));
    assert_eq!(value_in("last_rule_file", Dir::Request, &txn).as_deref(), Some("test.cfg"));
    assert_eq!(value_in("last_rule_line", Dir::Request, &txn).as_deref(), Some("1"));
    assert_eq!(value_in("last_entity", Dir::Request, &txn).as_deref(), Some("test.cfg:1"));
    assert_eq!(value_in("waiting_entity", Dir::Request, &txn), None);
    let set = good("rules", |ctx| {
        let mut set = RuleSet::default();
        set.push(RuleSetKind::TcpContent, &words("accept if WAIT_END"), &Acls::default(), ctx);
        Some(set)
    });
    txn.has_req = false;
    assert!(matches!(set.run(&mut txn, &env, &mut 0), Outcome::Wait));
    assert_eq!(value_in("waiting_entity", Dir::Request, &txn).as_deref(), Some("test.cfg:1"));
}

#[test]
fn conditions_of_when() {
    all(&[
        ("str(x),when(normal)", Some("x")),
        ("str(x),when(error)", None),
        ("str(x),when(!error)", Some("x")),
        ("str(x),when(forwarded)", None),
        ("str(x),when(toapplet)", None),
        ("str(x),when(!processed)", Some("x")),
        ("str(x),when(stopping)", Some("x")),
    ]
    .map(|(text, expected)| (text, expected)));
    assert!(complaint("str(x),when(sometimes)").contains("expects a condition"));
    assert!(complaint("str(x),when(acl,none)").contains("no such ACL"));
}

#[test]
fn all_variables() {
    let mut txn = usual();
    let mut set =
        |name: &str, value: Sample<'static>| txn.set_var(Names::default().var(name).unwrap(), Some(value));
    set("txn.b", Sample::Str(b"say \"x\"\n".to_vec().into()));
    set("sess.dump_a", Sample::Int(-4));
    set("txn.bin", Sample::Bin(b"\x01\xff".to_vec().into()));
    set("req.dump_ok", Sample::Bool(true));
    set("req.ip", Sample::Ipv4([1, 2, 3, 4].into()));
    let dump = |text: &str| value_in(text, Dir::Request, &txn).unwrap_or_default();
    assert_eq!(dump("dump_all_vars(txn)"), "txn.b=\"say \\\"x\\\"\\n\", txn.bin=x01ff");
    assert_eq!(dump("dump_all_vars(,dump_,;)"), "sess.dump_a=-4;req.dump_ok=true");
    assert_eq!(dump("dump_all_vars(req,i)"), "req.ip=1.2.3.4");
    assert!(complaint("dump_all_vars(check)").contains("invalid scope"));
}

#[test]
fn bytes_of_both_directions() {
    let mut txn = usual();
    (txn.bytes_in, txn.bytes_out) = (12, 34);
    for (name, expected) in
        [("req.bytes_in", "12"), ("req.bytes_out", "12"), ("res.bytes_in", "34"), ("res.bytes_out", "34")]
    {
        assert_eq!(value_in(name, Dir::Request, &txn).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn places_in_queues() {
    let mut txn = usual();
    txn.priority = Priority { class: -5, offset_ms: 70 };
    assert_eq!(value_in("prio_class", Dir::Request, &txn).as_deref(), Some("-5"));
    assert_eq!(value_in("prio_offset", Dir::Request, &txn).as_deref(), Some("70"));
}
