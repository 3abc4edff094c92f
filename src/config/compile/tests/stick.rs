//! Stick tables of a configuration: what names them, and what a reload keeps of them.

use std::sync::Arc;

use crate::config::Config;
use crate::config::compile::testing::{build_on, build_text, messages};
use crate::stick::{Data, Key};

const HEAD: &str = "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";

fn complaints(text: &str) -> Vec<String> {
    messages(&build_text(&format!("{HEAD}{text}")).1)
}

fn config(text: &str, previous: Option<&Config>) -> Config {
    let (built, diags) = build_on(&format!("{HEAD}{text}"), previous);
    let mut built = built.unwrap_or_else(|| panic!("{:?}", messages(&diags)));
    built.activate(9000);
    built.config
}

/// Lines and what is said of them.
const MENTIONS: &[(&str, &str)] = &[
    ("frontend f\n bind :1\n http-request track-sc0 src table ips\n", ""),
    ("frontend f\n bind :1\n stick-table type ip size 1\n http-request track-sc0 src\n", ""),
    ("backend b\n stick on src table ips\n", ""),
    ("backend b\n stick on src\n", "'stick on' in backend 'b': backend 'b' has no 'stick-table' line."),
    (
        "frontend f\n bind :1\n http-request track-sc0 src table none\n",
        "'track-sc0' in frontend 'f': backend 'none' has no 'stick-table' line.",
    ),
    (
        "frontend f\n bind :1\n http-request track-sc0 src table nope\n",
        "unable to find table 'nope' referenced by 'track-sc0' in frontend 'f'.",
    ),
    (
        "frontend f\n bind :1\n http-request deny if { src_conn_cnt(nope) gt 1 }\n",
        "unable to find table 'nope' referenced by 'src_conn_cnt' in frontend 'f'.",
    ),
    (
        "frontend f\n bind :1\n http-request deny if { src,in_table(nope) }\n",
        "unable to find table 'nope' referenced by 'in_table' in frontend 'f'.",
    ),
    (
        "frontend f\n bind :1\n http-request track-sc1 bool(true) table ips\n",
        "stick table 'ips' has keys of type 'ip', which 'track-sc1' in frontend 'f' cannot make.",
    ),
    ("frontend f\n bind :1\n http-request track-sc1 bool(true) table texts\n", ""),
    (
        "backend b\n stick-table type ip size 10\n stick-table type ip size 10\n",
        "backend 'b' has a stick table already.",
    ),
    ("backend b\n stick-table type ip\n", "'stick-table': missing 'size'."),
    (
        "backend b\n stick-table type ip size 1 peers nobody\n",
        "'stick-table': there is no peers section 'nobody'.",
    ),
    (
        "backend b\n stick-table type ip size 1 write-to none\n",
        "'stick-table': 'write-to' names no stick table: 'none'.",
    ),
    (
        "backend b\n stick with src\n",
        "'stick' expects 'match', 'on', 'store-request' or 'store-response', not 'with'.",
    ),
    (
        "backend b\n stick on src table ips more\n",
        "'stick on' expects 'table', 'if' or 'unless' but found 'more'.",
    ),
];

#[test]
fn what_names_a_table_needs_one_that_fits() {
    let tables = "backend ips\n stick-table type ip size 10\nbackend texts\n stick-table type string size 10\n\
                  backend none\n";
    for (lines, expected) in MENTIONS {
        let found = complaints(&format!("{tables}{lines}"));
        let expected: Vec<&str> = if expected.is_empty() { Vec::new() } else { vec![*expected] };
        assert_eq!(found, expected, "{lines}");
    }
}

#[test]
fn counters_have_numbers() {
    let rules = "frontend f\n bind :1\n stick-table type ip size 1\n http-request track-sc3 src\n";
    assert!(complaints(rules)[0].contains("'3' is no counter, which have numbers from 0 to 2"));
    let (built, diags) = build_text(&format!("global\n tune.stick-counters 4\n{HEAD}{rules}"));
    assert!(built.is_some() && messages(&diags).is_empty(), "{:?}", messages(&diags));
    let many = messages(&build_text("global\n tune.stick-counters 256\n").1);
    assert_eq!(many, ["'tune.stick-counters' is 255 at most."]);
}

#[test]
fn tables_that_keep_servers_have_room_for_them() {
    let config = config("backend b\n stick-table type ip size 10 store gpc0\n stick on src\n", None);
    let stored: Vec<Data> = config.tables.list[0].spec().store.iter().map(|stored| stored.data).collect();
    assert_eq!(stored, [Data::ServerId, Data::Gpc0, Data::ServerKey]);
}

#[test]
fn a_reload_keeps_tables_whose_entries_mean_the_same() {
    let line = |rest: &str| format!("backend b\n stick-table type ip {rest}\n");
    let first = config(&line("size 10 expire 10s store gpc0"), None);
    let key = Key::ip([10, 0, 0, 1].into());
    first.tables.list[0].update(&key, 1000, |entry| entry.add(Data::Gpc0, 0, 5));
    let next = config(&line("size 20 expire 20s store gpc0"), Some(&first));
    assert!(Arc::ptr_eq(&first.tables.list[0], &next.tables.list[0]));
    let table = &next.tables.list[0];
    assert_eq!((table.size(), table.expire_ms()), (20, 20_000));
    assert_eq!(table.look(&key, 1000, |entry| entry.value(Data::Gpc0, 0)), Some(Some(5)));
    let other = config(&line("size 20 expire 20s store gpc0,gpc1"), Some(&next));
    assert!(!Arc::ptr_eq(&next.tables.list[0], &other.tables.list[0]));
    // A configuration that is not activated changes nothing.
    let (built, _) = build_on(&format!("{HEAD}{}", line("size 30 store gpc0")), Some(&next));
    assert!(built.is_some());
    assert_eq!(next.tables.list[0].size(), 20);
}

#[test]
fn what_sections_say_of_peers() {
    let text = |lines: &str| {
        format!(
            "global\n localpeer b\npeers mine\n peer a 10.0.0.1:1001\n peer b 127.0.0.1:1002\n{lines} \
             peer c 10.0.0.3:1003\n table own type ip size 10\nbackend t\n stick-table type ip size 10 peers mine\n"
        )
    };
    let (built, diags) = build_text(&text(""));
    let spec = &built.unwrap_or_else(|| panic!("{:?}", messages(&diags))).config.peers[0];
    let remotes: Vec<String> = spec.remotes.iter().map(|r| format!("{} {}", r.name, r.address)).collect();
    assert_eq!(remotes, ["a 10.0.0.1:1001", "c 10.0.0.3:1003"]);
    let listens: Vec<String> = spec.listens.iter().map(|listen| listen.address.to_string()).collect();
    assert_eq!(listens, ["127.0.0.1:1002"]);
    assert_eq!((&*spec.local, spec.rank(), spec.is_off), ("b", 1, false));
    let tables: Vec<&str> = spec.tables.iter().map(|shared| &*shared.wire).collect();
    assert_eq!(tables, ["/own", "t"]);
    let is_off = |lines: &str| build_text(&text(lines)).0.expect("a configuration").config.peers[0].is_off;
    assert!(is_off(" disabled\n") && !is_off(" disabled\n enabled\n"));
    for (lines, expected) in [
        (" default-bind ssl\n bind 127.0.0.1:1003\n", "no SSL certificate specified (use 'crt')."),
        (" peer d\n", "'peer' expects <name> and <addr>:<port> as arguments."),
        (" peer d 10.0.0.4:1 nonsense\n", "unknown keyword 'nonsense'"),
        (" peer a 10.0.0.4:1\n", "there is a peer 'a' already in 'peers mine'."),
        (" bind nowhere\n", "'bind' : "),
    ] {
        let found = messages(&build_text(&text(lines)).1).join("\n");
        assert!(found.contains(expected), "{lines}: {found}");
    }
    let unnamed = text("").replace(" localpeer b", " localpeer z");
    let found = messages(&build_text(&unnamed).1).join("\n");
    assert!(found.contains("'peers mine' has no peer 'z'"), "{found}");
}

#[test]
fn sections_of_peers_have_tables_of_their_own() {
    let peers = "peers mine\n bind 127.0.0.1:10001\n log global\n shards 2\n server here 10.0.0.1:10001\n \
                 peer there 10.0.0.2:10001\n table ips type ip size 10 store gpc0\n";
    let used = "frontend f\n bind :1\n stick-table type ip size 10 peers mine\n \
                http-request track-sc0 src table mine/ips\n http-request deny if { sc_get_gpc0(0) gt 1 }\n";
    let config = config(&format!("{peers}{used}"), None);
    let names: Vec<&str> = config.tables.list.iter().map(|table| &*table.name).collect();
    assert_eq!(names, ["mine/ips", "f"]);
    for (lines, expected) in [
        ("peers\n", "'peers' expects a name."),
        ("peers a\n peer\n", "'peer' expects an argument."),
        ("peers a\n shards x\n", "'shards' expects a number, not 'x'."),
        ("peers a\n table t type ip\n", "'table': missing 'size'."),
        ("peers a\n table t type ip size 1\n table t type ip size 1\n", "there is a table 'a/t' already."),
        ("peers a\n tabel t\n", "unknown keyword 'tabel' in 'peers' section"),
    ] {
        assert_eq!(complaints(lines), [expected], "{lines}");
    }
}

#[test]
fn servers_are_kept_out_and_in_again() {
    let lines = "default-server non-stick\n server a 10.0.0.1:80\n server b 10.0.0.2:80 stick\n";
    let config = config(&format!("backend b\n {lines} default-server stick\n server c 10.0.0.3:80\n"), None);
    let servers = config.proxies[0].back.as_ref().expect("a backend").servers.load();
    assert_eq!(servers.list.iter().map(|s| s.spec.non_stick).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn a_table_of_a_cluster_wants_a_region_map() {
    let line = |rest: &str| complaints(&format!("backend b\n stick-table type ip size 1k {rest}\n"));
    assert_eq!(
        line("cluster store gpc0"),
        [
            "'stick-table': 'cluster' counts over the nodes of a region map, and there is no 'region-map' section."
        ]
    );
    let of_peers = complaints("peers p\n peer a 127.0.0.1:1\n table t type ip size 1k cluster store gpc0\n");
    assert!(
        of_peers.contains(&"'table': 'cluster' and 'peers' exclude each other.".to_owned()),
        "{of_peers:?}"
    );
}
