//! http-request and http-response rules, ACLs and the choice of a backend.

use super::{HTTP, one, three};
use crate::support::differential::{Run, same};

fn with(config: &str) -> String {
    format!("{HTTP}{config}")
}

#[test]
fn header_rules() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    http-request set-header X-Set \"a value\"
    http-request add-header X-Add one
    http-request add-header X-Add two
    http-request del-header X-Gone
    http-request del-header X-Pre -m beg
    http-request set-header X-Path %[path]
    http-request set-header X-Method %[method] if { path_beg /m }
    http-request set-header X-Host \"%[req.hdr(host),lower]\"
    http-request replace-header Cookie foo=([^;]*) \"foo=bar;was=\\1\"
    http-response set-header X-Seen yes
    http-response del-header X-Origin
    http-response add-header X-Status %[status]
    default_backend be
backend be
    http-request set-header X-Back end
    http-response set-header X-From be
    server s1 {s1}
",
    );
    same(&config, one, 5, |run| {
        run.get("fe", "/", "");
        run.get("fe", "/m", "X-Gone: x\r\nx-gone: y\r\nX-Kept: z\r\n");
        run.get("fe", "/c", "Cookie: foo=1; x=2\r\nX-List: 12, 3, 19, 20\r\nX-Set: mine\r\nX-Add: zero\r\n");
        run.get("fe", "/p", "X-Pre-A: 1\r\nX-Prefix: 2\r\nX-Other: 3\r\n");
        run.ask("fe", "POST /m?q=1 HTTP/1.1\r\nHost: UPPER.test\r\nContent-Length: 3\r\n\r\nabc");
    });
}

#[test]
fn replace_value() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    http-request replace-value X-List ^1[0-9]$ ten
    default_backend be
backend be
    server s1 {s1}
",
    );
    same(&config, one, 1, |run| {
        run.get("fe", "/", "X-List: 12, 3, 19, 20\r\n");
    });
}

#[test]
fn path_and_query_rules() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    http-request set-path /new%[path] if { path_beg /a }
    http-request set-query x=%[query] if { path /new/a/b }
    http-request set-uri /u?z=1 if { path /uri }
    http-request replace-path (.*)\\.php \\1.html
    http-request set-method PUT if { path /put }
    http-request replace-uri ^/ru/(.*) /really/\\1
    http-request set-pathq /pq?n=1 if { path /pathq }
    http-request set-uri http://other.test:8080/new if { path /absolute }
    http-request replace-uri ^/abs/(.*) https://u@third.test\\1 if { path_beg /abs/ }
    http-request set-path /still if { path /new }
    http-request set-header X-Seen %[req.hdr(host)]_%[base]_%[url]
    default_backend be
backend be
    server s1 {s1}
",
    );
    same(&config, one, 11, |run| {
        for path in ["/absolute", "/abs//x"] {
            run.get("fe", path, "");
        }
        run.ask("fe", "GET http://a.test/uri?x HTTP/1.1\r\nHost: a.test\r\n\r\n");
        for path in ["/", "/a/b?k=v", "/a", "/uri?old=1", "/x/y.php?z", "/put", "/ru/a/b?c", "/pathq"] {
            run.get("fe", path, "");
        }
    });
}

#[test]
fn acl_kinds() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    acl is_get method GET
    acl is_static path_end .css .js
    acl is_api path_beg /api/
    acl has_sub path_sub needle
    acl by_reg path_reg ^/v[0-9]+/
    acl by_dir path_dir images
    acl host_a hdr(host) -i a.test
    acl host_dom hdr_dom(host) -i sub.test
    acl local src 127.0.0.0/8 ::1
    acl remote src 10.0.0.0/8
    acl big req.hdr_val(content-length) gt 100
    acl q_yes url_param(q) yes
    acl has_cookie req.cook(sid) -m found
    acl two_hosts req.hdr_cnt(x-many) ge 2
    acl both path /both
    acl both path /also
    http-request set-header X-Acl get if is_get
    http-request add-header X-Acl static if is_static
    http-request add-header X-Acl api if is_api
    http-request add-header X-Acl sub if has_sub
    http-request add-header X-Acl reg if by_reg
    http-request add-header X-Acl dir if by_dir
    http-request add-header X-Acl host if host_a or host_dom
    http-request add-header X-Acl local if local !remote
    http-request add-header X-Acl big if big
    http-request add-header X-Acl q if q_yes || has_cookie
    http-request add-header X-Acl many unless !two_hosts
    http-request add-header X-Acl both if both
    default_backend be
backend be
    server s1 {s1}
",
    );
    same(&config, one, 12, |run| {
        for path in
            ["/", "/a.css", "/api/x", "/xneedley", "/v12/x", "/x/images/y", "/?q=yes&x=1", "/both", "/also"]
        {
            run.get("fe", path, "");
        }
        run.ask("fe", "GET / HTTP/1.1\r\nHost: A.TEST\r\nCookie: sid=1\r\n\r\n");
        run.ask("fe", "GET / HTTP/1.1\r\nHost: www.Sub.test\r\nX-Many: 1\r\nX-Many: 2, 3\r\n\r\n");
        let body = "b".repeat(200);
        run.ask("fe", &format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n{body}"));
    });
}

#[test]
fn use_backend() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    use_backend two if { path_beg /two }
    use_backend %[req.hdr(x-be),lower] if { req.hdr(x-be) -m found }
    use_backend three unless { path_beg /one } || { path / }
    default_backend one
listen direct
    bind {ip}:{port:direct}
    server s2 {s2}
backend one
    server s1 {s1}
backend two
    server s2 {s2}
backend three
    server s3 {s3}
",
    );
    same(&config, three, 7, |run| {
        for path in ["/", "/two/x", "/one/x", "/other"] {
            run.get("fe", path, "");
        }
        run.get("fe", "/one", "X-Be: THREE\r\n");
        run.get("fe", "/one", "X-Be: nosuch\r\n");
        run.get("direct", "/", "");
    });
}

#[test]
fn variables_and_converters() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    http-request set-var(txn.p) path,lower
    http-request set-var(txn.n) int(3),add(4),mul(2)
    http-request set-header X-P %[var(txn.p)]
    http-request set-header X-N %[var(txn.n)]
    http-request set-header X-Field %[path,field(2,/)]
    http-request set-header X-Word %[req.hdr(x-w),word(2,\\,)]
    http-request set-header X-B64 %[path,base64]
    http-request set-header X-Hex %[path,hex]
    http-request set-header X-Crc %[path,crc32]
    http-request set-header X-Sub \"%[path,regsub(/,:,g)]\"
    http-request set-header X-Len %[path,length]
    http-request set-header X-Url %[url]
    http-request set-header X-Base %[base]
    http-request set-header X-Query %[query]
    http-request set-header X-Src %[src]
    http-request set-header X-Dst-Port %[dst_port]
    http-request set-header X-Fe %[fe_name]
    http-request set-header X-Fmt \"%HM %HP %HQ %HV\"
    default_backend be
backend be
    http-response set-header X-P %[var(txn.p)]
    http-response set-header X-Srv %[srv_name]
    http-response set-header X-Be %[be_name]
    server s1 {s1}
",
    );
    same(&config, one, 3, |run: &mut Run| {
        run.get("fe", "/Abc/Def?x=1", "X-W: a,b,c\r\n");
        run.get("fe", "/", "");
        run.get("fe", "/a%20b/+c?d=%7e", "X-W: single\r\n");
    });
}

/// The client's own field stays alone only where neither side adds to it.
#[test]
fn forwardfor_of_both_sides() {
    for (front, back) in [
        ("", "option forwardfor if-none"),
        ("option forwardfor", "option forwardfor if-none"),
        ("option forwardfor if-none", "option forwardfor"),
        ("option forwardfor if-none", "option forwardfor if-none"),
        ("option forwardfor except 127.0.0.0/8", "option forwardfor header X-Client"),
        ("option forwardfor header X-Front", "option forwardfor header X-Back if-none"),
        ("option originalto header X-Front", "option originalto except 127.0.0.0/8"),
        ("option originalto header X-Front", "option originalto"),
    ] {
        let config = with(&format!(
            "
frontend fe
    bind {{ip}}:{{port:fe}}
    {front}
    default_backend be
backend be
    {back}
    server s1 {{s1}}
"
        ));
        same(&config, one, 4, |run| {
            run.get("fe", "/", "");
            run.get("fe", "/", "X-Forwarded-For: 1.2.3.4\r\n");
            run.get("fe", "/", "X-Back: 1.2.3.4\r\nX-Front: 1.2.3.4\r\n");
            run.get("fe", "/", "x-forwarded-for: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8, 9.9.9.9\r\n");
        });
    }
}

#[test]
fn quoted_cookies() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    capture cookie a len 20
    http-request set-header X-A %[req.cook(a)]
    http-request set-header X-B %[req.cook(b)]
    http-request set-header X-Count %[req.cook_cnt()]_%[req.cook_cnt(a)]
    http-request set-header X-Found yes if { req.cook(b) -m found }
    http-response set-header X-S %[res.cook(a)]_%[res.cook(b)]_%[res.cook_cnt()]
    default_backend be
backend be
    cookie SRV insert indirect
    server s1 {s1} cookie one
",
    );
    same(&config, one, 15, |run| {
        for cookie in [
            "a=1; b=2",
            "a=\"x;b=9\"; b=2",
            "a=\"x\\\";b=9\"; b=2",
            "a=x\\\"; b=2\"",
            "a=\"x,b=9\", b=2",
            "a=1,b=2;c=3",
            "$Version=1; a=1; $Path=/; b=2",
            "a; b=2",
            "a=1; b=",
            "a=1;b=",
            "b=",
            "=x; a=1",
            "a=\"open; b=2",
            "x=\"SRV=two; y\"; SRV=one; b=2",
            "a=1; SRV=\"one\"; b=2",
        ] {
            run.get("fe", "/", &format!("Cookie: {cookie}\r\n"));
        }
    });
}

#[test]
fn quoted_elements() {
    let config = with(
        "
frontend fe
    bind {ip}:{port:fe}
    http-request set-header X-Hdr <%[req.hdr(x-list,1)]>_%[req.hdr_cnt(x-list)]
    http-request replace-value X-List (.*) <\\1>
    default_backend be
backend be
    server s1 {s1}
",
    );
    same(&config, one, 5, |run| {
        for list in ["a, b", "\"a,b\", c", "\"a\\\",b\", c", "a\\\", b", "\"open, b"] {
            run.get("fe", "/", &format!("X-List: {list}\r\n"));
        }
    });
}

/// What rules of the connection, the session and the stream say of its addresses, for this request and the next.
#[test]
fn addresses_set_by_rules() {
    for set in ["connection", "session", "content"] {
        let config = with(&format!(
            "
frontend fe
    bind {{ip}}:{{port:fe}}
    log-format \"%ci:%cp %fi:%fp %ST\"
    option forwardfor
    tcp-request {set} set-src src,ipmask(8)
    tcp-request {set} set-src-port int(1111)
    tcp-request {set} set-dst dst,ipmask(8)
    tcp-request {set} set-dst-port int(2222)
    http-request set-src hdr_ip(x-src) if {{ req.hdr(x-src) -m found }}
    http-request set-header X-Stream %[src]:%[src_port]_%[dst]:%[dst_port]
    http-request set-header X-Conn %[fc_src]_%[fc_dst]
    default_backend be
backend be
    server s1 {{s1}}
"
        ));
        same(&config, one, 3, |run| {
            run.get("fe", "/", "");
            let mut client = crate::support::Client::connect(run.addr("fe"));
            for more in ["X-Src: 10.1.2.3\r\n", ""] {
                client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{more}\r\n"));
                run.note_response(&mut client, "GET", more);
            }
            run.finish(client, "twice");
        });
    }
}

#[test]
fn early_hints() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    no log
    http-request early-hint Link \"</%[path].css>; rel=preload\" if {{ path /hint }}
    http-request early-hint X-More %[method] if {{ path /hint }}
    http-request early-hint X-Last last if {{ path /last }}
    http-request return status 200 if {{ path /last }}
    default_backend app
backend app
    server s1 {{s1}}
"
    );
    same(&config, one, 0, |run| {
        run.get("fe", "/hint", "").get("fe", "/none", "").get("fe", "/last", "");
        run.ask("fe", "GET /hint HTTP/1.0\r\n\r\n");
    });
}
