//! What `server` lines say beside an address: `redir`, and cookies made of the address.

use super::{HTTP, one};
use crate::support::Origin;
use crate::support::differential::same;

#[test]
fn redir() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    use_backend root if {{ path_beg /root }}
    default_backend be
backend be
    server s1 {{s1}} redir http://img.example.test:81/base
backend root
    server s1 {{s1}} redir /
"
    );
    same(&config, one, 5, |run| {
        run.get("fe", "/a/b?c=d", "");
        run.ask("fe", "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
        run.ask("fe", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
        run.get("fe", "/root/x", "");
        run.ask("fe", "GET http://other.test/abs?q HTTP/1.1\r\nHost: other.test\r\n\r\n");
    });
}

#[test]
fn dynamic_cookies() {
    // The values depend on the ports of servers, which must be the same for both programs.
    let [s1, s2, s3] = ["one", "two", "three"].map(Origin::named);
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    balance roundrobin
    dynamic-cookie-key secret
    cookie SRV insert indirect dynamic
    server s1 {}
    server s2 {} cookie own
    server s3 {}
",
        s1.addr(),
        s2.addr(),
        s3.addr()
    );
    same(&config, Vec::new, 4, |run| {
        run.get("fe", "/1", "").get("fe", "/2", "").get("fe", "/3", "");
        run.get("fe", "/own", "Cookie: SRV=own\r\n");
    });
}

/// Without conditions: HAProxy 2.6 takes `if` for another word of some rules.
#[test]
fn normalize_uri() {
    const RULES: [(&str, &str); 9] = [
        ("dot", "path-strip-dot"),
        ("up", "path-strip-dotdot"),
        ("full", "path-strip-dotdot full"),
        ("slash", "path-merge-slashes"),
        ("upper", "percent-to-uppercase"),
        ("strict", "percent-to-uppercase strict"),
        ("decode", "percent-decode-unreserved"),
        ("exact", "percent-decode-unreserved strict"),
        ("sort", "query-sort-by-name"),
    ];
    let mut config = format!(
        "global\n    expose-experimental-directives\n{HTTP}\nfrontend fe\n    bind {{ip}}:{{port:fe}}\n"
    );
    for (name, _) in RULES {
        config.push_str(&format!("    use_backend {name} if {{ path_beg /{name} }}\n"));
    }
    for (name, rule) in RULES {
        config.push_str(&format!(
            "backend {name}\n    http-request normalize-uri {rule}\n    server s1 {{s1}}\n"
        ));
    }
    same(&config, one, 23, |run| {
        for path in [
            "/dot/./a/.",
            "/dot/.well/./",
            "/dot/./?a=/./",
            "/up/../a",
            "/up/../../a/..",
            "/up/a//../b/..",
            "/up/../../../x",
            "/up/../..",
            "/full/../../../x",
            "/full/../..",
            "/slash//a///b//?c=//",
            "/upper/%2f%aB?%zz%c",
            "/upper/%e",
            "/strict/%2f",
            "/strict/%2",
            "/strict/%zz",
            "/decode/%61%2f%7E%2?%5F%zz",
            "/exact/%7e",
            "/exact/%7",
            "/sort?c=3&a=1&b=2",
            "/sort?aaa=3&a=1&aa=2&&=0",
            "/sort",
            "/sort?a=3&b=4&a=1&b=5&a=2",
        ] {
            run.get("fe", path, "");
        }
    });
}
