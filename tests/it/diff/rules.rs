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
    default_backend be
backend be
    server s1 {s1}
",
    );
    same(&config, one, 8, |run| {
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
