//! Expressions that give the same value however often they are asked, and leave nothing behind: what compares such a
//! sample may be asked once for many rules.

/// Fetches that only read the message, its connection, the configuration or live figures.
const FETCHES: &[&str] = &[
    "always_false",
    "always_true",
    "base",
    "baseq",
    "bin",
    "bool",
    "capture.req.hdr",
    "capture.req.method",
    "capture.req.uri",
    "capture.req.ver",
    "cook",
    "cook_cnt",
    "cook_val",
    "cookie",
    "dst",
    "dst_port",
    "fc_dst",
    "fc_dst_port",
    "fc_rcvd_proxy",
    "fc_src",
    "fc_src_port",
    "fe_id",
    "fe_name",
    "hdr",
    "hdr_cnt",
    "hdr_ip",
    "hdr_val",
    "int",
    "ipv4",
    "ipv6",
    "meth",
    "method",
    "nbsrv",
    "path",
    "pathq",
    "query",
    "req.cook",
    "req.cook_cnt",
    "req.cook_val",
    "req.fhdr",
    "req.fhdr_cnt",
    "req.hdr",
    "req.hdr_cnt",
    "req.hdr_ip",
    "req.hdr_names",
    "req.hdr_val",
    "req.len",
    "req.proto_http",
    "req.ssl_alpn",
    "req.ssl_hello_type",
    "req.ssl_sni",
    "req.ssl_ver",
    "req.ver",
    "req_proto_http",
    "req_ssl_hello_type",
    "req_ssl_sni",
    "req_ssl_ver",
    "req_ver",
    "so_id",
    "so_name",
    "src",
    "src_port",
    "srv_is_up",
    "ssl_c_used",
    "ssl_c_verify",
    "ssl_fc",
    "ssl_fc_alpn",
    "ssl_fc_has_sni",
    "ssl_fc_protocol",
    "ssl_fc_sni",
    "str",
    "url",
    "url_param",
    "urlp",
    "urlp_val",
    "var",
];

/// Converters that only work on the value they get.
const CONVERTERS: &[&str] = &[
    "base64",
    "b64dec",
    "bytes",
    "concat",
    "field",
    "hex",
    "host_only",
    "ipmask",
    "length",
    "lower",
    "ltrim",
    "port_only",
    "regsub",
    "rtrim",
    "strcmp",
    "sub",
    "upper",
    "url_dec",
    "word",
];

pub(super) fn is_pure_fetch(name: &str) -> bool {
    FETCHES.contains(&name)
}

pub(super) fn is_pure_converter(name: &str) -> bool {
    CONVERTERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{convert, fetch};

    #[test]
    fn what_is_listed_is_there() {
        for name in FETCHES {
            assert!(fetch::find(name).is_some(), "{name}");
        }
        for name in CONVERTERS {
            assert!(convert::find(name).is_some(), "{name}");
        }
    }
}
