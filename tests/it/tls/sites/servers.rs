//! What is spoken with servers, and what leads there.

use super::harness::{Site, ask, each};
use crate::diff::one;

pub const SERVERS: Site = Site {
    name: "servers_must_show_who_they_are",
    text: "
    retries 0
frontend inner
    no log
    bind {ip}:{port:inner} ssl crt {files}/a.pem crt {files}/b.pem crt {files}/wild.pem alpn http/1.1
    http-request return status 200 {told}
frontend closed
    no log
    bind {ip}:{port:closed} ssl crt {files}/a.pem ca-file {files}/ca.pem verify required alpn http/1.1
    http-request return status 200 {told}
frontend fe
    bind {ip}:{port:fe}
    use_backend %[path,word(1,/)]
backend good
    http-response set-header x-tls \"%[ssl_bc] %[ssl_bc_protocol] %[ssl_bc_cipher] %[ssl_s_s_dn] %[ssl_s_i_dn(CN)] %[ssl_s_version]\"
    server s1 {ip}:{port:inner} ssl verify required ca-file {files}/ca.pem verifyhost a.test sni str(a.test)
backend wild
    server s1 {ip}:{port:inner} ssl verify required ca-file {files}/ca.pem verifyhost x.wild.test sni str(x.wild.test)
backend host
    server s1 {ip}:{port:inner} ssl verify required ca-file {files}/ca.pem sni req.hdr(host),word(1,:)
backend another
    server s1 {ip}:{port:inner} ssl verify required ca-file {files}/ca.pem verifyhost other.test
backend foreign
    server s1 {ip}:{port:inner} ssl verify required ca-file {files}/other-ca.pem sni str(a.test)
backend shown
    server s1 {ip}:{port:closed} ssl verify required ca-file {files}/ca.pem crt {files}/alice.pem sni str(a.test)
backend none
    server s1 {ip}:{port:inner} ssl verify none no-tlsv13
",
    logs: 9,
    origins: one,
    traffic: |run| {
        for backend in ["good", "wild", "host", "another", "foreign", "shown", "none"] {
            ask(run, "fe", &format!("http://b.test/{backend}"), "-D -");
        }
        ask(run, "fe", "http://a.test/host", "");
        ask(run, "fe", "http://other.test/host", "");
    },
};

pub const SERVERS_H2: Site = Site {
    name: "http_2_to_servers_over_tls",
    text: "
frontend inner
    no log
    bind {ip}:{port:inner} ssl crt {files}/a.pem alpn h2,http/1.1
    http-request return status 200 {told} if { path_beg /told }
    default_backend origin
backend origin
    server s1 {s1}
frontend fe
    bind {ip}:{port:fe} ssl crt {files}/a.pem alpn h2,http/1.1
    http-response set-header x-tls \"%[ssl_bc_alpn] %[bc_http_major] %[ssl_bc_protocol]\"
    use_backend %[path,word(2,/)] if { path_beg /told }
    default_backend new
backend new
    server s1 {ip}:{port:inner} ssl verify none alpn h2 sni str(a.test)
backend both
    server s1 {ip}:{port:inner} ssl verify none alpn h2,http/1.1 sni str(a.test)
backend old
    server s1 {ip}:{port:inner} ssl verify none alpn http/1.1 sni str(a.test)
",
    logs: 8,
    origins: one,
    traffic: |run| {
        for backend in ["new", "both", "old"] {
            ask(run, "fe", &format!("https://a.test/told/{backend}"), "--http2 -D -");
            ask(run, "fe", &format!("https://a.test/told/{backend}"), "--http1.1");
        }
        ask(run, "fe", "https://a.test/post", "--http2 -d some-data -b a=1;b=2");
        ask(run, "fe", "https://a.test/head", "--http2 -I");
    },
};

pub const CLEAR: Site = Site {
    name: "http_2_in_clear_text",
    text: "
frontend fe
    bind {ip}:{port:fe} proto h2
    bind {ip}:{port:any}
    http-request return status 200 {told} if { path_beg /told }
    http-request deny if { path /deny }
    http-request set-header x-version %[req.ver]
    default_backend be
backend be
    server s1 {s1}
",
    logs: 9,
    origins: one,
    traffic: |run| {
        for port in ["fe", "any"] {
            ask(run, port, "http://h.test/told?a=b", "--http2-prior-knowledge");
            ask(run, port, "http://h.test/x", "--http2-prior-knowledge -d some-data -b a=1;b=2");
            ask(run, port, "http://h.test/deny", "--http2-prior-knowledge");
        }
        let rows =
            [("http://h.test/told", "--http1.1"), ("http://h.test/told", "--http2"), ("http://h.test/x", "")];
        each(run, "any", &rows);
    },
};

/// What a request that came with a host alone has for `url` at the next hop differs: HAProxy sends no `:authority` for it,
/// Isobar does (RFC 9113, 8.3.1).
pub const BOTH_H2: Site = Site {
    name: "http_2_on_both_sides",
    text: "
frontend inner
    no log
    bind {ip}:{port:inner} proto h2
    http-request return status 200 content-type text/plain lf-string \"%[method] %[path]?%[query] %[req.ver] %[req.hdr(host),word(1,:)] %[req.hdr(cookie)] %[req.hdr(x-ssl)] %[req.hdr(x-forwarded-for)]\" if { path_beg /told }
    http-request redirect location /elsewhere code 307 if { path /moved }
    default_backend origin
backend origin
    server s1 {s1}
frontend fe
    bind {ip}:{port:fe} ssl crt {files}/a.pem alpn h2,http/1.1
    option forwardfor
    http-request set-header x-ssl %[ssl_fc]
    http-response set-header x-via %[bc_http_major]
    default_backend next
backend next
    http-reuse always
    server s1 {ip}:{port:inner} proto h2
",
    logs: 7,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/told/1?q=1", "--http2 -b a=1;b=2"),
            // The head is not compared: HTTP/2 has no reason phrase, and HAProxy 2.6 gives none to who speaks HTTP/1 then.
            ("https://a.test/told/2", "--http1.1"),
            ("https://a.test/moved", "--http2"),
            ("https://a.test/post", "--http2 -d some-data"),
            ("https://a.test/post", "--http1.1 -d some-data -H transfer-encoding:chunked"),
            ("https://a.test/put", "--http2 -X PUT -d other"),
            ("https://a.test/head", "--http2 -I"),
        ];
        each(run, "fe", &rows);
    },
};

pub const REDIRECT: Site = Site {
    name: "clear_text_is_sent_to_https",
    text: "
frontend fe
    bind {ip}:{port:clear}
    bind {ip}:{port:fe} ssl crt {files}/a.pem alpn h2,http/1.1
    http-request redirect scheme https code 301 unless { ssl_fc } || { path_beg /.well-known/ }
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    http-request set-header X-Forwarded-Proto http unless { ssl_fc }
    http-response set-header Strict-Transport-Security max-age=63072000 if { ssl_fc }
    default_backend be
backend be
    server s1 {s1}
",
    logs: 7,
    origins: one,
    traffic: |run| {
        let clear = [
            ("http://a.test/x?y=z", ""),
            ("http://a.test/.well-known/acme", ""),
            ("http://a.test/h2", "--http2-prior-knowledge"),
            ("http://a.test/post", "-d data"),
        ];
        each(run, "clear", &clear);
        let secure = [
            ("https://a.test/x?y=z", "--http2 -D -"),
            ("https://a.test/.well-known/acme", "--http1.1"),
            ("https://a.test/post", "--http2 -d data"),
        ];
        each(run, "fe", &secure);
    },
};
