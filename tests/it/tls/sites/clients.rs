//! Clients that show who they are, and what others are told of it.

use super::harness::{OLD, Site, ask, each};
use crate::diff::one;

pub const OPTIONAL: Site = Site {
    name: "clients_may_show_who_they_are",
    text: "
frontend fe
    bind {ip}:{port:fe} ssl crt {files}/a.pem ca-file {files}/ca.pem verify optional alpn h2,http/1.1
    http-request deny deny_status 403 if { path_beg /private } !{ ssl_c_used }
    http-request deny deny_status 403 if { path_beg /private } !{ ssl_c_s_dn(CN) -m str alice }
    http-request return status 200 {told}
",
    logs: 7,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/1", "--http2"),
            ("https://a.test/private/2", "--http1.1"),
            ("https://a.test/private/3", "--http2 --cert @alice.pem"),
            ("https://a.test/private/4", "--cert @alice.pem --tls-max 1.2 --http1.1"),
            ("https://a.test/private/5", "--cert @b.pem --http2"),
            ("https://a.test/6", "--cert @stranger.pem --tls-max 1.2 --http1.1"),
            ("https://a.test/7", "--cert @expired.pem --tls-max 1.2 --http1.1"),
        ];
        each(run, "fe", &rows);
    },
};

pub const REQUIRED: Site = Site {
    name: "clients_must_and_may_be_revoked",
    text: "
frontend fe
    error-log-format \"%ft %[fc_err] %[fc_err_str] %[ssl_fc_err,hex] %[ssl_c_err] %[ssl_c_verify] %[ssl_c_ca_err]\"
    bind {ip}:{port:fe} name mutual ssl crt {files}/a.pem ca-file {files}/ca.pem crl-file {files}/ca.crl verify required alpn http/1.1
    http-request return status 200 {told}
",
    logs: 6,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/1", "--tls-max 1.2"),
            ("https://a.test/2", "--cert @alice.pem --tls-max 1.2"),
            ("https://a.test/3", "--cert @alice.pem"),
            ("https://a.test/4", "--cert @revoked.pem --tls-max 1.2"),
            ("https://a.test/5", "--cert @expired.pem --tls-max 1.2"),
            ("https://a.test/6", "--cert @stranger.pem --tls-max 1.2"),
        ];
        each(run, "fe", &rows);
    },
};

pub const IGNORED: Site = Site {
    name: "faults_of_clients_that_are_ignored",
    text: "
frontend fe
    bind {ip}:{port:fe} ssl crt {files}/a.pem ca-file {files}/ca.pem crl-file {files}/ca.crl verify optional crt-ignore-err 10,23 alpn http/1.1
    bind {ip}:{port:all} ssl crt {files}/a.pem ca-file {files}/ca.pem verify required crt-ignore-err all ca-ignore-err all alpn http/1.1
    http-request return status 200 {told}
",
    logs: 9,
    origins: one,
    traffic: |run| {
        for cert in ["alice", "revoked", "expired", "stranger"] {
            ask(run, "fe", "https://a.test/1", &format!("--tls-max 1.2 --cert @{cert}.pem"));
            ask(run, "all", "https://a.test/2", &format!("--cert @{cert}.pem"));
        }
        ask(run, "fe", "https://a.test/3", "");
    },
};

pub const HEADERS: Site = Site {
    name: "headers_that_tell_servers_of_tls",
    text: "
frontend fe
    bind {ip}:{port:fe} ssl crt {files}/a.pem ca-file {files}/ca.pem verify optional crt-ignore-err all alpn h2,http/1.1
    http-request set-header X-SSL %[ssl_fc]
    http-request set-header X-SSL-Protocol %[ssl_fc_protocol]
    http-request set-header X-SSL-Cipher %[ssl_fc_cipher]
    http-request set-header X-SSL-Client-Verify %[ssl_c_verify]
    http-request set-header X-SSL-Client-Used %[ssl_c_used]
    http-request set-header X-SSL-Client-DN %{+Q}[ssl_c_s_dn]
    http-request set-header X-SSL-Client-DN-2253 \"%[ssl_c_s_dn(,0,rfc2253)]\"
    http-request set-header X-SSL-Client-CN %{+Q}[ssl_c_s_dn(cn)]
    http-request set-header X-SSL-Client-O \"%[ssl_c_s_dn(O)]\"
    http-request set-header X-SSL-Issuer %{+Q}[ssl_c_i_dn]
    http-request set-header X-SSL-Client-Not-Before %{+Q}[ssl_c_notbefore]
    http-request set-header X-SSL-Client-Not-After %{+Q}[ssl_c_notafter]
    http-request set-header X-SSL-Client-SHA1 %[ssl_c_sha1,hex]
    http-request set-header X-SSL-Client-Serial %[ssl_c_serial,hex]
    http-request set-header X-SSL-Client-Key %[ssl_c_key_alg]-%[ssl_c_sig_alg]-%[ssl_c_version]
    http-request set-header X-SSL-Client-DER %[ssl_c_der,base64]
    http-request set-header Forwarded \"for=%[src];proto=https;host=%[req.hdr(host),word(1,:)]\"
    default_backend be
backend be
    server s1 {s1}
",
    logs: 4,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/1", "--http2"),
            ("https://a.test/2", "--http2 --cert @alice.pem"),
            ("https://a.test/3", "--http1.1 --cert @expired.pem"),
            ("https://a.test/4", "--http1.1 --tls-max 1.2 --cert @stranger.pem"),
        ];
        each(run, "fe", &rows);
    },
};

pub const LOGS: Site = Site {
    name: "what_the_log_of_https_says",
    text: "
frontend fe
    option httpslog
    bind {ip}:{port:fe} name main ssl crt {files}/a.pem ca-file {files}/ca.pem verify optional alpn h2,http/1.1
    bind {ip}:{port:clear}
    http-request capture req.hdr(x-id) len 20
    http-request deny if { path /deny }
    use_backend dead if { path /dead }
    default_backend be
backend be
    server s1 {s1}
backend dead
    retries 0
    server s1 {dead} ssl verify none
",
    logs: 7,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/deny", "--http2 -H x-id:1"),
            ("https://a.test/deny", "--http1.1 --cert @alice.pem -H x-id:2"),
            ("https://a.test/dead", "--http2"),
            ("https://a.test/x", "--http1.1 --cert @stranger.pem --tls-max 1.2"),
            ("https://a.test/deny", OLD),
            ("https://a.test/x", "--http2"),
        ];
        each(run, "fe", &rows);
        ask(run, "clear", "http://a.test/deny", "");
    },
};
