//! Fetches and converters.

use super::support::*;
use crate::rules::*;

#[test]
fn fetches() {
    for (text, expected) in [
        ("src", "10.1.2.3"),
        ("src_port", "4000"),
        ("dst_port", "80"),
        ("method", "GET"),
        ("path", "/img/logo.png"),
        ("pathq", "/img/logo.png?a=1&b=two%20words&a=3"),
        ("url", "/img/logo.png?a=1&b=two%20words&a=3"),
        ("query", "a=1&b=two%20words&a=3"),
        ("query(with_qm)", "?a=1&b=two%20words&a=3"),
        ("base", "www.Example.com:8080/img/logo.png"),
        ("url_param(b)", "two%20words"),
        ("urlp(a)", "1"),
        ("urlp(A,,i)", "1"),
        ("urlp_val(a)", "1"),
        ("req.ver", "1.1"),
        ("req.hdr(host)", "www.Example.com:8080"),
        ("req.hdr(x-forwarded-for)", "172.16.1.1"),
        ("req.hdr(x-forwarded-for,1)", "10.0.0.1"),
        ("req.hdr(x-forwarded-for,-2)", "192.168.7.9"),
        ("req.fhdr(x-forwarded-for,1)", "10.0.0.1, 192.168.7.9"),
        ("req.fhdr(user-agent)", "curl/8.0 (a, b)"),
        ("req.hdr_cnt(x-forwarded-for)", "3"),
        ("req.fhdr_cnt(x-forwarded-for)", "2"),
        ("req.hdr_ip(x-forwarded-for,2)", "192.168.7.9"),
        ("req.hdr_val(content-length)", "11"),
        (
            "req.hdr_names",
            "host,user-agent,x-forwarded-for,x-forwarded-for,cookie,cookie,authorization,content-length",
        ),
        ("cook(id)", "43"),
        ("req.cook_cnt(id)", "2"),
        ("req.cook_val(id)", "43"),
        ("req.cook_names", "id,lang,id"),
        ("http_auth_type", "Basic"),
        ("http_auth_user", "user"),
        ("http_auth_pass", "pa:ss"),
        ("http_first_req", "1"),
        ("req.body", "q=x&r=%20y&"),
        ("req.body_len", "11"),
        ("req.body_size", "11"),
        ("req.body_param(r)", "%20y"),
        ("capture.req.method", "GET"),
        ("capture.req.uri", "/img/logo.png?a=1&b=two%20words&a=3"),
        ("capture.req.ver", "HTTP/1.1"),
        ("status", "404"),
        ("res.ver", "1.1"),
        ("res.hdr(server)", "s/1"),
        ("res.hdr_cnt(vary)", "2"),
        ("scook(SID)", "abc"),
        ("fe_name", "fe"),
        ("be_name", "be"),
        ("srv_name", "s1"),
        ("so_name", "lst"),
        ("fe_id", "2"),
        ("so_id", "5"),
        ("nbsrv", "2"),
        ("nbsrv(be)", "2"),
        ("srv_is_up(be/s1)", "1"),
        ("srv_conn(be/s1)", "7"),
        ("be_conn(be)", "0"),
        ("avg_queue(be)", "0"),
        ("str(a b)", "a b"),
        ("int(-5)", "-5"),
        ("bool(true)", "1"),
        ("bin(414243)", "ABC"),
        ("ipv4(1.2.3.4)", "1.2.3.4"),
        ("ipv6(::1)", "::1"),
        ("date", "1714117271"),
        ("date(-1,ms)", "1714117271773"),
        ("date_us", "774123"),
        ("hostname", "box"),
        ("pid", "4242"),
        ("rand(256)", "1"),
        ("uuid", "01234567-89ab-4def-8123-456789abcdef"),
        ("always_true", "1"),
        ("ssl_fc", "0"),
        ("var(txn.unset,none)", "none"),
        ("wait_end", "1"),
        ("accept_date(ms)", "1714117271774"),
    ] {
        let mut txn = usual();
        txn.inspect_over = true;
        assert_eq!(value_in(text, Dir::Request, &txn).as_deref(), Some(expected), "{text}");
    }
    for absent in [
        "req.hdr(nope)",
        "urlp(zzz)",
        "cook(zzz)",
        "nbsrv(nope)",
        "var(txn.unset)",
        "env(NO_SUCH_VARIABLE_X)",
    ] {
        assert_eq!(value(absent), None, "{absent}");
    }
}

#[test]
fn the_direction_chooses_the_message() {
    let txn = usual();
    assert_eq!(value_in("hdr(server)", Dir::Response, &txn).as_deref(), Some("s/1"));
    assert_eq!(value_in("hdr(server)", Dir::Request, &txn), None);
    assert_eq!(value_in("req.hdr(cookie,1)", Dir::Response, &txn).as_deref(), Some("id=42; lang=fr"));
}

#[test]
fn converters() {
    for (text, expected) in [
        ("str(AbC),lower", "abc"),
        ("str(AbC),upper", "ABC"),
        ("str(abc),length", "3"),
        ("str(abcdef),bytes(1,3)", "bcd"),
        ("str(abcdef),bytes(4)", "ef"),
        ("str(f1_f2_f3__f5),field(5,_)", "f5"),
        ("str(f1_f2_f3__f5),field(2,_,0)", "f2_f3__f5"),
        ("str(f1_f2_f3__f5),field(2,_,2)", "f2_f3"),
        ("str(f1_f2_f3__f5),field(-2,_,3)", "f2_f3_"),
        ("str(f1_f2_f3__f5),field(-3,_,0)", "f1_f2_f3"),
        ("str(w1_w2_w3__w4),word(3,_)", "w3"),
        ("str(w1_w2_w3__w4),word(2,_,0)", "w2_w3__w4"),
        ("str(w1_w2_w3__w4),word(-3,_,2)", "w1_w2"),
        ("str(/w1/w2),word(1,/)", "w1"),
        ("path,regsub(/,_,g)", "_img_logo.png"),
        ("path,regsub(/,_)", "_img/logo.png"),
        ("str(abc),regsub(B,[\\0],i)", "a[b]c"),
        ("str(abc),regsub(x*,-,g)", "-a-b-c-"),
        ("int(5),add(3)", "8"),
        ("int(5),sub(7)", "-2"),
        ("int(7),div(2)", "3"),
        ("int(7),mod(4)", "3"),
        ("int(7),mul(-3)", "-21"),
        ("int(6),and(3)", "2"),
        ("int(6),or(1)", "7"),
        ("int(6),xor(2)", "4"),
        ("int(0),cpl", "-1"),
        ("int(4),neg", "-4"),
        ("int(4),not", "0"),
        ("int(4),odd", "0"),
        ("int(4),even", "1"),
        ("str(a%20b+c?d+e),url_dec", "a b+c?d e"),
        ("str(a+b),url_dec(1)", "a b"),
        ("str(a b/~),url_enc", "a%20b%2F~"),
        ("str(abc),base64", "YWJj"),
        ("str(YWJj),b64dec", "abc"),
        ("bin(fbff),ub64enc", "-_8"),
        ("str(YQ),ub64dec", "a"),
        ("str(abc),hex", "616263"),
        ("str(ff),hex2i", "255"),
        ("bin(01020304),be2dec(.,1)", "1.2.3.4"),
        ("bin(01020304),be2dec(-,2)", "258-772"),
        ("bin(0102),le2dec(-,2)", "513"),
        ("bin(010203),be2hex(:,2)", "0102:03"),
        ("src,ipmask(24)", "10.1.2.0"),
        ("ipv6(2001:db8:1::5),ipmask(24,32)", "2001:db8::"),
        ("src,ipmask(255.255.0.0)", "10.1.0.0"),
        ("str(x),concat(a,,b)", "xab"),
        ("bool(1),iif(yes,no)", "yes"),
        ("bool(0),iif(yes,no)", "no"),
        ("str(/a//),ltrim(/)", "a//"),
        ("str(/a//),rtrim(/)", "/a"),
        ("str(abc),reverse", "cba"),
        ("str(a.b.c),reverse_dom", "c.b.a"),
        ("req.hdr(host),host_only", "www.example.com"),
        ("req.hdr(host),port_only", "8080"),
        ("str([::1]:80),host_only", "[::1]"),
        ("str(example.com),port_only", "0"),
        ("str(a=1&b=2),param(b)", "2"),
        ("str(fr;q=0.8),language(en;fr,de)", "fr"),
        ("str(it),language(en;fr,de)", "de"),
        ("int(0),utime(%Y-%m-%d)", "1970-01-01"),
        ("int(1500),ms_utime(%S.%3N)", "01.500"),
        ("int(0),http_date", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("int(3600),ltime(%s)", "3600"),
        (r#"str('a"b/'),json"#, r#"a\"b\/"#),
        (r#"str('{"a":{"b":[1,"x"]}}'),json_query('$.a.b[1]')"#, "x"),
        (r#"str('{"a":4}'),json_query('$.a',int)"#, "4"),
        ("str(www.example.com),map(hosts.map)", "be_www"),
        ("str(x),map(hosts.map,none)", "none"),
        ("src,map_ip_int(nets.map)", "16"),
        ("src,map_ip_key(nets.map)", "10.1.0.0/16"),
        ("path,map_beg(beg.map)", "long"),
        ("path,map_regm(regs.map)", "picture-img/logo"),
        ("str(x),map_str_ip(hosts_ip.map,127.0.0.9)", "127.0.0.9"),
        ("str(5),add(2)", "7"),
        ("src,lower", "10.1.2.3"),
        ("int(5),htonl,hex", "00000005"),
    ] {
        let text = text.replace("hosts_ip.map", "virt@ip");
        assert_eq!(value(&text).as_deref(), Some(expected), "{text}");
    }
    for none in
        ["str(%zz),url_dec", "str(!!),b64dec", "str(a),word(5,/)", "str(x),map(hosts.map)", "str(x),hex2i"]
    {
        assert_eq!(value(none), None, "{none}");
    }
}

#[test]
fn converters_of_digests() {
    for (text, expected) in [
        ("str(123456789),crc32", "3421780262"),
        ("str(123456789),crc32c", "3808858755"),
        ("str(abc),sha1,hex", "A9993E364706816ABA3E25717850C26C9CD0D89D"),
        ("str(a),djb2", "177670"),
        ("str(a),sdbm", "97"),
        ("str(a),xxh32", "1426945110"),
    ] {
        assert_eq!(value(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn converters_may_stand_in_words_of_their_own() {
    assert_eq!(value_of(&words("path upper length"), Dir::Request, &usual()).as_deref(), Some("13"));
}

#[test]
fn mistakes_are_told() {
    for (text, part) in [
        ("nonsense", "unknown fetch method 'nonsense'"),
        ("paht", "did you mean 'path'"),
        ("path,nonsense", "unknown converter 'nonsense'"),
        ("req.hdr(a", "expected ')'"),
        ("req.hdr(a,b)", "failed to parse 'b' as type 'integer' at position 2"),
        ("str(a),field(0,_)", "must not be 0"),
        ("ssl_fc,ipmask(24)", "converter 'ipmask' cannot be applied"),
        ("str(a),regsub(\"(\",b)", "is invalid"),
        ("var(foo.x)", "invalid variable name 'foo.x'"),
        ("path,map(missing.map)", "failed to open pattern file <missing.map>"),
        ("path]", "missing comma after 'path', but found ']'"),
        ("uuid(3)", "Unsupported UUID version"),
        ("int()", "got nothing"),
        ("path,", "missing converter name"),
    ] {
        let said = complaint(text);
        assert!(said.contains(part), "{text}: {said}");
    }
}

#[test]
fn converters_that_store_are_seen_at_once_and_settled_later() {
    let mut txn = usual();
    txn.req_captures.push(None);
    let words = words("path,set-var(txn.p),length,set-var(txn.n) add(txn.n)");
    let (expr, _) = good("set-var", |ctx| Expr::parse(&words, 0, ctx));
    let env = FakeEnv::default();
    let value = expr.eval(Ctx { txn: &txn, env: &env }).map(Sample::into_owned);
    assert_eq!(value, Some(Sample::Int(26)));
    assert!(txn.vars.list.is_empty());
    txn.settle();
    assert_eq!(txn.vars.list.len(), 2);
    assert_eq!(value_in("var(txn.p)", Dir::Request, &txn).as_deref(), Some("/img/logo.png"));
    assert_eq!(value_in("str(x),concat(,txn.n)", Dir::Request, &txn).as_deref(), Some("x13"));
    assert_eq!(value_in("str(a),strcmp(txn.p)", Dir::Request, &txn).as_deref(), Some("50"));
    assert_eq!(value_in("str(/img/logo.png),secure_memcmp(txn.p)", Dir::Request, &txn).as_deref(), Some("1"));
}
