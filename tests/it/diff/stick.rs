//! Stick tables: limits, counters, persistence and what the runtime API shows of them.

use super::{HTTP, one, three};
use crate::support::Origin;
use crate::support::differential::{Run, same};

/// With a socket, and without the tables' addresses in the log.
fn with(config: &str) -> String {
    let head = HTTP.replace("    nbthread 1\n", "    nbthread 1\n    stats socket {dir}/sock level admin\n");
    format!("{head}{config}")
}

/// Without addresses in memory; how long entries still live is known only roughly.
fn shown(line: &str) -> String {
    let Some((_, rest)) = line.split_once(": key=") else { return line.to_owned() };
    let words = rest.split(' ').map(|word| match word.strip_prefix("exp=").map(str::parse::<u32>) {
        Some(Ok(left)) => format!("exp={}s", left.div_ceil(10_000) * 10),
        // HAProxy counts requests as long as they are in its own form (HTX), not as they came.
        _ => match word.strip_prefix("bytes_in_cnt=") {
            Some(n) if n.len() < 4 => format!("bytes_in {}", n != "0"),
            _ => word.to_owned(),
        },
    });
    format!("key={}", words.collect::<Vec<_>>().join(" "))
}

fn cli(run: &mut Run, command: &str) {
    let text: Vec<String> = run.cli(command).lines().map(shown).collect();
    run.note(command, &text.join("\n"));
}

#[test]
fn limits_deny_at_the_same_request() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    stick-table type ip size 1m expire 10m store http_req_rate(10s),http_err_cnt
    http-request track-sc0 src
    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 5 }
    default_backend be
backend be
    server s1 {s1}
",
    );
    same(&config, one, 9, |run| {
        for _ in 0..9 {
            run.get("fe", "/", "");
        }
        cli(run, "show table fe");
    });
}

const COUNTING: &str = "
frontend fe
    bind {ip}:{port:fe}
    stick-table type ip size 1k expire 1m store conn_cnt,conn_cur,conn_rate(1m),sess_cnt,sess_rate(1m),http_req_cnt,http_req_rate(1m),http_err_cnt,http_err_rate(1m),http_fail_cnt,gpc0,gpc0_rate(1m),gpc1,gpt0
    tcp-request connection track-sc0 src
    http-request track-sc1 hdr(x-key) table keys if { hdr(x-key) -m found }
    http-request track-sc2 path table numbers
    http-request sc-inc-gpc0(0) if { path_beg /gpc }
    http-request sc-inc-gpc1(0) if { path_beg /gpc }
    http-request sc-set-gpt0(0) 7 if { path_beg /gpt }
    http-request sc-inc-gpc(2,1) if { path_beg /gpc }
    http-request sc-set-gpt(1,1) req.hdr_cnt(host) if { path_beg /gpc }
    http-request deny if { path_beg /deny }
    http-request tarpit if { path_beg /tarpit }
    http-request auth if { path_beg /auth }
    http-request return status 200 content-type text/plain lf-string \"%[sc_conn_cnt(0)] %[sc0_conn_cur] %[sc_sess_cnt(0)] %[sc0_http_req_cnt] %[sc_http_req_rate(0)] %[sc_http_err_cnt(0)] %[sc_trackers(0)] %[sc_tracked(1)] %[sc_tracked(0)] %[sc1_http_req_cnt] %[sc_conn_cnt(1)] %[sc_conn_cur(1)] %[sc_sess_cnt(1)] %[src_http_req_cnt(fe)] %[src_conn_cnt(nobody)] %[src,in_table(fe)] %[src,in_table(nobody)] %[str(b),table_http_req_cnt(keys)] %[str(nil),table_http_req_cnt(keys)] %[table_cnt(keys)] %[table_avl(keys)] %[sc_inc_gpc0(0)] %[sc_get_gpc0(0)] %[sc_get_gpc(2,1)] %[sc_get_gpt(1,1)] %[sc0_get_gpt0] %[sc_gpc0_rate(0)] %[src_inc_gpc0(nobody)] %[src_get_gpc0(nobody)] %[sc_http_req_cnt(0,nobody)]\\n\" if { path_beg /return /gpc /gpt }
    default_backend be
backend keys
    stick-table type string len 6 size 100 expire 1m store http_req_cnt,conn_cnt,conn_cur,sess_cnt,gpc(4),gpt(2)
backend numbers
    stick-table type string size 100 expire 1m store http_req_cnt,http_err_cnt,http_fail_cnt,bytes_in_cnt
backend nobody
    stick-table type ip size 100 expire 1m store gpc0
backend be
    server s1 {s1}
";

#[test]
fn sessions_and_streams_count() {
    let config = with(COUNTING);
    same(&config, one, 9, |run| {
        run.get("fe", "/return", "X-Key: a\r\n").get("fe", "/return", "X-Key: b\r\n");
        run.get("fe", "/gpc", "X-Key: b\r\n").get("fe", "/gpt", "X-Key: too long for it\r\n");
        run.get("fe", "/deny", "").get("fe", "/auth", "").get("fe", "/other", "").get("fe", "/return", "");
        run.ask("fe", "GET /bad HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n");
        for table in ["fe", "keys", "numbers", "nobody"] {
            cli(run, &format!("show table {table}"));
        }
    });
}

#[test]
fn answers_of_servers_count() {
    fn origins() -> Vec<(&'static str, Origin)> {
        let answer =
            |line: &str| Origin::canned(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes());
        vec![("s1", answer("404 Not Found")), ("s2", answer("500 Oops")), ("s3", answer("501 No"))]
    }
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    stick-table type ip size 1k expire 1m store http_req_cnt,http_err_cnt,http_err_rate(1m),http_fail_cnt,http_fail_rate(1m)
    http-request track-sc0 src
    http-response track-sc1 status table statuses
    use_backend two if { path /500 }
    use_backend three if { path /501 }
    use_backend none if { path /503 }
    default_backend one
backend statuses
    stick-table type integer size 100 expire 1m store http_req_cnt,http_err_cnt,http_fail_cnt,conn_cnt
backend one
    server s1 {s1}
backend two
    server s2 {s2}
backend three
    server s3 {s3}
backend none
    server s4 {dead}
",
    );
    same(&config, origins, 5, |run| {
        for path in ["/404", "/404", "/500", "/501", "/503"] {
            run.get("fe", path, "");
        }
        cli(run, "show table fe");
        cli(run, "show table statuses");
    });
}

const STAYING: &str = "
frontend fe
    bind {ip}:{port:fe}
    use_backend by_src if { path_beg /src }
    use_backend by_header if { path_beg /header }
    use_backend by_both if { path_beg /both }
    use_backend split if { path_beg /split }
    default_backend plain
backend by_src
    balance roundrobin
    stick-table type ip size 1k expire 1m
    stick on src
    server s1 {s1}
    server s2 {s2}
    server s3 {s3}
backend by_header
    balance roundrobin
    stick-table type string len 10 size 1k expire 1m
    stick on hdr(x-key) if { hdr(x-key) -m found }
    stick on url_param(key)
    server s1 {s1}
    server s2 {s2} non-stick
    server s3 {s3}
backend by_both
    balance roundrobin
    stick match hdr(x-key) table by_header
    stick store-request hdr(x-other) table by_header unless { path_end /not }
    server s3 {s3} id 3
    server s1 {s1} id 1
backend split
    balance roundrobin
    stick-table type string len 32 size 1k expire 1m store gpc0
    stick match hdr(x-key)
    stick store-response res.hdr(x-origin)
    server s1 {s1}
    server s2 {s2}
backend plain
    server s1 {s1}
";

#[test]
fn clients_stay_with_their_server() {
    let config = with(STAYING);
    same(&config, three, 15, |run| {
        run.get("fe", "/src/1", "").get("fe", "/src/2", "").get("fe", "/src/3", "");
        run.get("fe", "/header/1", "X-Key: a\r\n").get("fe", "/header/2", "X-Key: b\r\n");
        run.get("fe", "/header/3", "X-Key: b\r\n").get("fe", "/header/4?key=c", "");
        run.get("fe", "/header/5", "X-Key: a\r\n").get("fe", "/header/6", "X-Key: c\r\n");
        run.get("fe", "/both/1", "X-Key: a\r\nX-Other: d\r\n").get("fe", "/both/not", "X-Other: e\r\n");
        run.get("fe", "/both/2", "X-Key: d\r\n").get("fe", "/header/7", "X-Key: d\r\n");
        run.get("fe", "/split/1", "").get("fe", "/split/2", "X-Key: one\r\n");
        for table in ["by_src", "by_header", "split"] {
            cli(run, &format!("show table {table}"));
        }
    });
}

/// What is asked of tables, and what is wrong about it.
const COMMANDS: &[&str] = &[
    "show table",
    "show table fe",
    "show table nope",
    "set table",
    "set table fe",
    "set table fe key",
    "set table fe key 1.1.1.1",
    "set table fe key 1.1.1.1 data.gpc0 7 data.http_req_rate 5 data.gpt0 9 data.server_id -3",
    "set table fe key 1.1.1.2 data.gpc0 -3 data.bytes_in_cnt 99999999999",
    "show table fe",
    "show table fe key 1.1.1.1",
    "show table fe key 1.2.3.4",
    "show table fe key",
    "show table fe foo",
    "show table fe data.gpc0 eq 7",
    "show table fe data.gpc0 ne 7",
    "show table fe data.gpc0 le 7",
    "show table fe data.gpc0 lt 7",
    "show table fe data.gpc0 ge 7 data.gpt0 gt 8",
    "show table fe data.gpc0 gt 7",
    "show table fe data.http_req_rate gt 1",
    "show table fe data.gpc0 xx 2",
    "show table fe data.foo gt 2",
    "show table fe data.gpc1 gt 2",
    "show table fe data.gpc0 gt",
    "show table fe data.gpc0 gt 1x",
    "show table fe data.gpc0 gt 1 foo",
    "show table fe data.gpc0 gt 1 data.gpt0 ge 0 data.gpc0 ge 0 data.conn_cur ge 0 data.conn_cur lt 5",
    "set table fe key 1.1.1.1 data.gpc0",
    "set table fe key 1.1.1.1 data.gpc0 3x",
    "set table fe key 1.1.1.1 data.foo 1",
    "set table fe key 1.1.1.1 data.gpc1 1",
    "set table fe key 1.1.1.1 gpc0 1",
    "set table fe data.gpc0 1",
    "set table str key xyz data.gpc 4 data.gpt 2 data.gpc_rate 5",
    "set table str key longer-than-it data.http_req_cnt 3",
    "set table str key a=b\\\\c data.server_key 4",
    "set table str key xyz data.gpc(1) 4",
    "set table str key xyz data.gpc0 9",
    "show table str",
    "show table str data.gpc ge 1",
    "show table str data.server_key ge 0",
    "set table num key 77",
    "set table num key 5",
    "set table num key x",
    "show table num",
    "set table six key ::1",
    "set table six key 2001:db8::5",
    "set table six key zz",
    "show table six",
    "set table bin key abcd data.gpc0 1",
    "show table bin key abcd",
    "clear table bin key abcd",
    "clear table",
    "clear table nope",
    "clear table fe foo",
    "clear table fe key",
    "clear table fe key 9.9.9.9",
    "clear table fe data.gpc0 gt 7",
    "show table fe",
    "clear table fe key 1.1.1.1",
    "show table fe",
    "clear table num",
    "show table num",
    "show table",
];

#[test]
fn tables_are_shown_set_and_cleared() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    stick-table type ip size 1k expire 60s store http_req_rate(10s),gpc0,gpt0,server_id,bytes_in_cnt,conn_cur,gpc0_rate(2s)
    http-request return status 200
backend str
    stick-table type string len 8 size 5 expire 1h store http_req_cnt,gpc(4),gpt(2),server_key,gpc_rate(3,9s)
backend num
    stick-table type integer size 2k nopurge
backend six
    stick-table type ipv6 size 2k
backend bin
    stick-table type binary len 6 size 2k store gpc0
",
    );
    same(&config, Vec::new, 0, |run| {
        for command in COMMANDS {
            cli(run, command);
        }
        for n in 0..7 {
            cli(run, &format!("set table str key k{n} data.http_req_cnt {n}"));
        }
        cli(run, "show table str");
    });
}

#[test]
fn connections_of_tcp_stay_and_count() {
    let config = with(
        "
listen fe
    mode tcp
    option tcplog
    bind {ip}:{port:fe}
    balance roundrobin
    stick-table type ip size 1k expire 1m store conn_cnt,conn_cur,sess_cnt,bytes_in_cnt,http_req_cnt
    tcp-request connection track-sc0 src
    stick on src
    server s1 {s1}
    server s2 {s2}
    server s3 {s3}
",
    );
    same(&config, three, 4, |run| {
        for _ in 0..4 {
            run.ask("fe", "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
        }
        cli(run, "show table fe");
    });
}
