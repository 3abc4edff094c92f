//! Fetches, converters and log fields: their text in a response is the same, character by character.

use super::{HTTP, one};
use crate::support::differential::same;

/// A frontend that answers every request with the values of these expressions.
fn answering(expressions: &[&str]) -> String {
    let body: Vec<String> = expressions.iter().enumerate().map(|(i, e)| format!("{i}:%[{e}]")).collect();
    let body = body.join("|").replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}} name lst id 7
    no log
    http-request set-var(txn.path) path
    http-request set-var(txn.n) int(7)
    http-request return status 200 content-type text/plain lf-string \"{body}\"
"
    )
}

const REQUEST: &str = "GET /Img/logo.png?a=1&b=two%20words&a=3&c HTTP/1.1\r\nHost: www.Example.com:8080\r\n\
    User-Agent: curl/8.0 (a, b)\r\nX-Forwarded-For: 10.0.0.1, 192.168.7.9\r\nX-Forwarded-For: 172.16.1.1\r\n\
    Cookie: id=42; lang=\"fr\"; e=\r\nCookie: id=43\r\nAuthorization: Basic dXNlcjpwYTpzcw==\r\n\
    X-Num: 12abc\r\nX-V6: [2001:db8::1]\r\nX-Empty:\r\nAccept-Language: fr;q=0.8, en;q=0.9\r\n\r\n";

const SECOND: &str = "OPTIONS * HTTP/1.0\r\nContent-Length: 12\r\n\r\nq=x&r=%20y&s";

macro_rules! compared {
    ($name:ident, $expressions:expr) => {
        #[test]
        fn $name() {
            same(&answering(&$expressions), one, 0, |run| {
                run.ask("fe", REQUEST);
                run.ask("fe", SECOND);
            });
        }
    };
}

compared!(
    requests,
    [
        "method",
        "path",
        "pathq",
        "url",
        "query",
        "base",
        "base32",
        "url32",
        "base32+src,hex",
        "url_param(b)",
        "urlp(a)",
        "urlp(c)",
        "urlp_val(a)",
        "req.ver",
        "req.hdr(host)",
        "hdr(x-forwarded-for)",
        "req.hdr(x-forwarded-for,1)",
        "req.hdr(x-forwarded-for,-2)",
        "req.hdr(x-forwarded-for,9)",
        "req.fhdr(x-forwarded-for,1)",
        "req.fhdr(user-agent)",
        "req.hdr(user-agent)",
        "req.hdr_cnt(cookie)",
        "req.hdr_cnt(x-forwarded-for)",
        "req.fhdr_cnt(x-forwarded-for)",
        "req.hdr_ip(x-forwarded-for,2)",
        "req.hdr_val(x-num)",
        "req.hdr(x-empty)",
        "req.hdr_names",
        "req.hdr_names(;)",
        "cook(id)",
        "cook(lang)",
        "cook(e)",
        "cook",
        "req.cook_cnt(id)",
        "req.cook_cnt",
        "req.cook_val(id)",
        "http_auth_type",
        "http_auth_user",
        "http_auth_pass",
        "http_first_req",
        "capture.req.uri",
        "capture.req.method",
        "capture.req.ver",
        "src",
        "fe_name",
        "so_name",
        "so_id",
        "ssl_fc",
        "always_true",
        "nbproc",
        "proc",
        "var(txn.path)",
        "var(txn.none)",
        "var(txn.none,d)",
        "req.hdrs,hex"
    ]
);

compared!(
    strings,
    [
        "path,lower",
        "path,upper",
        "path,length",
        "path,bytes(1,3)",
        "path,bytes(4)",
        "path,bytes(99)",
        "str(f1_f2_f3__f5),field(1,_)",
        "str(f1_f2_f3__f5),field(4,_)",
        "str(f1_f2_f3__f5),field(5,_)",
        "str(f1_f2_f3__f5),field(6,_)",
        "str(f1_f2_f3__f5),field(2,_,0)",
        "str(f1_f2_f3__f5),field(2,_,2)",
        "str(f1_f2_f3__f5),field(-1,_)",
        "str(f1_f2_f3__f5),field(-2,_,3)",
        "str(f1_f2_f3__f5),field(-3,_,0)",
        "str(f1_f2_f3__f5),field(-6,_)",
        "str(w1_w2_w3__w4),word(3,_)",
        "str(w1_w2_w3__w4),word(2,_,0)",
        "str(_w1_w2_),word(2,_)",
        "str(_w1_w2_),word(-1,_)",
        "str(w1_w2_w3__w4),word(3,_,2)",
        "str(w1_w2_w3__w4),word(-2,_,2)",
        "str(w1_w2_w3__w4),word(-3,_,0)",
        "str(w1_w2),word(3,_)",
        "path,regsub(/,_,g)",
        "path,regsub(/,_)",
        "path,regsub(G,x,gi)",
        "str(aXbXc),regsub(X,\"<\\0>\",g)",
        "str(abc),concat(1,txn.n,2)",
        "str(abc),concat(,txn.none,z)",
        "str(abc),concat(x)",
        "str(7),strcmp(txn.n)",
        "path,strcmp(txn.path)",
        "str(a),strcmp(txn.path)",
        "str(/x//),ltrim(/)",
        "str(/x//),rtrim(/)",
        "str('a,b'),length",
        "bool(1),iif(yes,no)",
        "bool(0),iif(yes,no)",
        "req.hdr(host),host_only",
        "req.hdr(host),port_only",
        "str([::1]:80),host_only",
        "str([::1]),port_only",
        "str(a),host_only",
        "req.hdr(accept-language),language(en;fr)",
        "str(de),language(en;fr,de)",
        "str('a,b'),field(2,\",\")",
        "str(),add_item(;,txn.n)",
        "str(a),add_item(;,txn.n,!)",
        "str(a),secure_memcmp(txn.path)"
    ]
);

compared!(
    codes,
    [
        "str(a%20b+c?d+e),url_dec",
        "str(a+b),url_dec(1)",
        "str(%zz),url_dec",
        "str(a%4),url_dec",
        "str(a b/~é),url_enc",
        "str(abc),base64",
        "str(YWJj),b64dec",
        "str(YWJ),b64dec",
        "str(a?>),ub64enc",
        "str(YT8-),ub64dec",
        "str(YQ),ub64dec",
        "path,hex",
        "str(fF),hex2i",
        "str(xyz),hex2i",
        "bin(01020304),be2dec(.,1)",
        "bin(0102030405),be2dec(-,2)",
        "bin(0102030405),be2dec(-,2,1)",
        "bin(010203),be2hex(:,2)",
        "bin(010203),be2hex(,1)",
        "str(123456789),crc32",
        "str(123456789),crc32(1)",
        "str(123456789),crc32c",
        "str(123456789),djb2",
        "str(123456789),djb2(1)",
        "str(123456789),sdbm",
        "str(123456789),sdbm(1)",
        "str(123456789),wt6",
        "str(123456789),wt6(1)",
        "str(123456789),xxh32",
        "str(123456789),xxh32(3)",
        "str(123456789),xxh64",
        "str(123456789),xxh64(3)",
        "str(123456789),xxh3",
        "str(123456789),xxh3(3)",
        "src,crc32",
        "path,json",
        "req.hdr(cookie),json(utf8)",
        "str(é),json(utf8s)",
        "str(é),json(ascii)",
        "int(0),utime(%Y-%m-%d_%H:%M:%S)",
        "int(1700000000),http_date",
        "int(1700000000),http_date(60)",
        "int(1700000000),utime(%a%b%d%j%p)"
    ]
);

compared!(
    numbers,
    [
        "int(5),add(3)",
        "int(5),add(txn.n)",
        "int(5),sub(7)",
        "int(7),mul(-3)",
        "int(7),div(2)",
        "int(-7),div(2)",
        "int(7),div(0)",
        "int(-7),div(0)",
        "int(7),mod(4)",
        "int(-7),mod(4)",
        "int(7),mod(0)",
        "int(6),and(3)",
        "int(6),or(1)",
        "int(6),xor(2)",
        "int(0),cpl",
        "int(4),neg",
        "int(4),not",
        "int(0),not",
        "int(4),bool",
        "int(3),odd",
        "int(3),even",
        "int(5),htonl,hex",
        "int(9223372036854775807),add(1)",
        "int(-9223372036854775807),sub(2)",
        "int(9223372036854775807),mul(2)",
        "str(12abc),add(1)",
        "str(abc),add(1)",
        "str(-5),add(1)",
        "src,ipmask(24)",
        "src,ipmask(255.0.0.0)",
        "ipv6(2001:db8:1::5),ipmask(24,32)",
        "ipv6(2001:db8:1::5),ipmask(24)",
        "ipv4(1.2.3.4)",
        "ipv6(::ffff:1.2.3.4)",
        "ipv6(2001:db8::0:1)",
        "ipv4(1.2.3.4),add(1)",
        "int(16909060),ipmask(32)",
        "str(1.2.3.4),ipmask(16)",
        "bool(true)",
        "bool(true),add(1)",
        "bin(4142)",
        "bin(4142),length",
        "src,lower",
        "ipv4(10.0.0.1),hex",
        "int(258),hex",
        "method,length",
        "method,lower",
        "src_port,bool"
    ]
);
