//! Answers that the proxy gives itself: redirects, deny, return, errorfile, monitor-uri, authentication.

use super::{HTTP, one};
use crate::support::differential::same;

#[test]
fn redirects() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request redirect location /there if {{ path /loc }}
    http-request redirect location https://%[req.hdr(host)]%[path] code 301 if {{ path /fmt }}
    http-request redirect prefix https://new.test if {{ path_beg /pre }}
    http-request redirect prefix https://new.test drop-query code 307 if {{ path_beg /dq }}
    http-request redirect prefix / append-slash if {{ path /slash }}
    http-request redirect scheme https code 308 if {{ path_beg /sch }}
    http-request redirect scheme https code 303 set-cookie SEEN=1 if {{ path /set }}
    http-request redirect location / clear-cookie USER= if {{ path /clear }}
    redirect location /old-style if {{ path /old }}
    redirect prefix / drop-query append-slash if {{ path /both }}
    default_backend be
backend be
    redirect location /from-backend code 301 if {{ path /be }}
    server s1 {{s1}}
"
    );
    same(&config, one, 14, |run| {
        for path in [
            "/loc",
            "/fmt",
            "/pre/x?q=1",
            "/dq/x?q=1",
            "/slash",
            "/slash?q=1",
            "/sch/x?q=1",
            "/set",
            "/clear",
        ] {
            run.get("fe", path, "");
        }
        for path in ["/old", "/both?x", "/be", "/none"] {
            run.get("fe", path, "");
        }
        run.ask("fe", "HEAD /loc HTTP/1.1\r\nHost: x\r\n\r\n");
    });
}

#[test]
fn redirect_of_a_request_with_a_body() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request redirect scheme https code 308
"
    );
    same(&config, Vec::new, 1, |run| {
        run.ask("fe", "POST /sch HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    });
}

#[test]
fn deny_and_return() {
    let config = format!("{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request deny if {{ path /deny }}
    http-request deny deny_status 429 if {{ path /429 }}
    http-request deny deny_status 404 if {{ path /404 }}
    http-request deny status 418 content-type text/plain string teapot if {{ path /418 }}
    http-request deny status 503 hdr X-Why maintenance content-type text/plain lf-string \"at %[path]\" if {{ path /503 }}
    http-request return status 200 content-type text/plain string hello if {{ path /hello }}
    http-request return status 200 content-type text/html lf-string \"<p>%[path] %[method]</p>\" if {{ path /lf }}
    http-request return status 204 if {{ path /204 }}
    http-request return if {{ path /empty }}
    http-request return status 200 hdr X-A 1 hdr X-B %[path] if {{ path /hdr }}
    http-request allow if {{ path_beg /allowed }}
    http-request deny if {{ path_end /secret }}
    http-after-response set-header X-After yes if {{ status 403 }}
    default_backend be
backend be
    http-request deny deny_status 400 if {{ path /be }}
    server s1 {{s1}}
");
    same(&config, one, 16, |run| {
        for path in ["/deny", "/429", "/404", "/418", "/503", "/hello", "/lf", "/204", "/empty", "/hdr"] {
            run.get("fe", path, "");
        }
        for path in ["/allowed/secret", "/x/secret", "/be", "/ok"] {
            run.get("fe", path, "");
        }
        run.ask("fe", "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        run.ask("fe", "GET /hello HTTP/1.0\r\n\r\n");
    });
}

#[test]
fn tarpit() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request tarpit deny_status 403
    timeout tarpit 100ms
"
    );
    same(&config, Vec::new, 1, |run| {
        run.get("fe", "/tarpit", "");
    });
}

#[test]
fn response_denied() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request set-var(txn.why) path
    http-response deny if {{ var(txn.why) -m str /resp }}
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, one, 1, |run| {
        run.get("fe", "/resp", "");
    });
}

/// The status codes that default answers exist for; 3.4 has corrected the wording of 2.6 in 405 and 501.
#[test]
fn every_default_error() {
    let codes = [400, 401, 403, 404, 407, 408, 410, 413, 421, 422, 425, 429, 500, 502, 503, 504];
    let rules: String =
        codes.iter().map(|c| format!("    http-request deny deny_status {c} if {{ path /{c} }}\n")).collect();
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
{rules}    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, one, 16, |run| {
        for code in [400, 401, 403, 404, 407, 408, 410, 413, 421, 422, 425, 429, 500, 502, 503, 504] {
            run.get("fe", &format!("/{code}"), "");
        }
    });
}

#[test]
fn errorfiles() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("403.http");
    let answer = "HTTP/1.1 403 Not Here\r\nContent-Type: text/plain\r\nX-File: yes\r\nContent-Length: 7\r\n\r\nno entry";
    std::fs::write(&file, answer.replace("no entry", "go away")).expect("write");
    let config = format!(
        "{HTTP}
http-errors mine
    errorfile 404 {0}
frontend fe
    bind {{ip}}:{{port:fe}}
    errorfile 403 {0}
    errorfile 429 /dev/null
    errorloc302 400 /sorry400
    errorloc303 405 https://err.test/405
    http-request deny if {{ path /403 }}
    http-request deny deny_status 429 if {{ path /null }}
    http-request deny deny_status 400 if {{ path /400 }}
    http-request deny deny_status 405 if {{ path /405 }}
    http-request deny status 404 errorfiles mine if {{ path /404 }}
    http-request return status 200 errorfile {0} if {{ path /200 }}
    default_backend be
backend be
    errorfiles mine 404
    http-request deny deny_status 404 if {{ path /be404 }}
    server s1 {{s1}}
",
        file.display()
    );
    same(&config, one, 7, |run| {
        for path in ["/403", "/null", "/400", "/405", "/404", "/200", "/be404"] {
            run.get("fe", path, "");
        }
    });
}

#[test]
fn monitor() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    monitor-uri /alive
    monitor fail if {{ nbsrv(be) lt 1 }} {{ path /never }}
    acl dead hdr(x-dead) yes
    monitor fail if dead
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    // Successful monitor requests are not logged.
    same(&config, one, 1, |run| {
        run.get("fe", "/alive", "");
        run.get("fe", "/alive", "X-Dead: yes\r\n");
        run.get("fe", "/alive/not", "");
        run.ask("fe", "HEAD /alive HTTP/1.0\r\n\r\n");
    });
}

#[test]
fn authentication() {
    let config = format!(
        "{HTTP}
userlist people
    user ann insecure-password secret
    user bob insecure-password hidden groups staff
    group staff
    user md5 password $1$saltsalt$1K7dkhtbTNVUwUicA5kOT1
    user sha256 password $5$saltsalt$9Wp9Qw4Ze8Jxq5F1Z3UnS47KFhc8AqhCRyxFDa8e660
    user sha512 password $6$saltsalt$cc1KsgmlKYtCcnNH8.sv7Fe8mca8fAso5fHlNrb1VZa5WYQ.L3ChTcx06ID.LoaXZAf9CZNraK43XCp7LxKHl1
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request auth realm Here if {{ path /basic }} !{{ http_auth(people) }}
    http-request auth if {{ path /group }} !{{ http_auth_group(people) staff }}
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, one, 13, |run| {
        let absolute = |more: &str| format!("GET http://a.test/basic HTTP/1.1\r\nHost: a.test\r\n{more}\r\n");
        run.ask("fe", &absolute(""));
        run.ask("fe", &absolute("Authorization: Basic YW5uOnNlY3JldA==\r\n"));
        run.ask("fe", &absolute("Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n"));
        run.get("fe", "/basic", "");
        run.get("fe", "/basic", "Authorization: Basic YW5uOnNlY3JldA==\r\n");
        run.get("fe", "/basic", "Authorization: Basic YW5uOndyb25n\r\n");
        run.get("fe", "/basic", "Authorization: Bearer abc\r\n");
        run.get("fe", "/group", "Authorization: Basic YW5uOnNlY3JldA==\r\n");
        run.get("fe", "/group", "Authorization: Basic Ym9iOmhpZGRlbg==\r\n");
        for hashed in [
            "bWQ1OnBhc3Mgd29yZA==",
            "c2hhMjU2OnBhc3Mgd29yZA==",
            "c2hhNTEyOnBhc3Mgd29yZA==",
            "c2hhNTEyOnBhc3N3b3Jk",
        ] {
            run.get("fe", "/basic", &format!("Authorization: Basic {hashed}\r\n"));
        }
    });
}
