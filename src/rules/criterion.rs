//! ACL criteria that join a fetch and a matching method in one name: `path_beg` is `path -m beg`.

use super::pattern::Match;

/// One such name.
pub struct Criterion {
    pub name: &'static str,
    pub fetch: &'static str,
    pub method: Match,
}

const fn criterion(name: &'static str, fetch: &'static str, method: Match) -> Criterion {
    Criterion { name, fetch, method }
}

macro_rules! family {
    ($($name:literal $beg:literal $dir:literal $dom:literal $end:literal $len:literal $reg:literal $sub:literal = $fetch:literal,)*) => {
        &[$(
            criterion($name, $fetch, Match::Str),
            criterion($beg, $fetch, Match::Beg),
            criterion($dir, $fetch, Match::Dir),
            criterion($dom, $fetch, Match::Dom),
            criterion($end, $fetch, Match::End),
            criterion($len, $fetch, Match::Len),
            criterion($reg, $fetch, Match::Reg),
            criterion($sub, $fetch, Match::Sub),
        )*]
    };
}

const FAMILIES: &[Criterion] = family! {
    "base" "base_beg" "base_dir" "base_dom" "base_end" "base_len" "base_reg" "base_sub" = "base",
    "cook" "cook_beg" "cook_dir" "cook_dom" "cook_end" "cook_len" "cook_reg" "cook_sub" = "req.cook",
    "hdr" "hdr_beg" "hdr_dir" "hdr_dom" "hdr_end" "hdr_len" "hdr_reg" "hdr_sub" = "req.hdr",
    "path" "path_beg" "path_dir" "path_dom" "path_end" "path_len" "path_reg" "path_sub" = "path",
    "scook" "scook_beg" "scook_dir" "scook_dom" "scook_end" "scook_len" "scook_reg" "scook_sub" = "res.cook",
    "shdr" "shdr_beg" "shdr_dir" "shdr_dom" "shdr_end" "shdr_len" "shdr_reg" "shdr_sub" = "res.hdr",
    "url" "url_beg" "url_dir" "url_dom" "url_end" "url_len" "url_reg" "url_sub" = "url",
    "urlp" "urlp_beg" "urlp_dir" "urlp_dom" "urlp_end" "urlp_len" "urlp_reg" "urlp_sub" = "urlp",
};

const SINGLE: &[Criterion] = &[
    criterion("http_auth_group", "http_auth_group", Match::Str),
    criterion("method", "method", Match::Str),
    criterion("payload", "req.payload", Match::Bin),
    criterion("payload_lv", "req.payload_lv", Match::Bin),
    criterion("req_rdp_cookie", "req.rdp_cookie", Match::Str),
    criterion("req_rdp_cookie_cnt", "req.rdp_cookie_cnt", Match::Int),
    criterion("req_ver", "req.ver", Match::Str),
    criterion("resp_ver", "res.ver", Match::Str),
    criterion("req_ssl_sni", "req.ssl_sni", Match::Str),
    criterion("req_ssl_ver", "req.ssl_ver", Match::Int),
    criterion("req.ssl_ver", "req.ssl_ver", Match::Int),
    criterion("ssl_fc_sni_end", "ssl_fc_sni", Match::End),
    criterion("ssl_fc_sni_reg", "ssl_fc_sni", Match::Reg),
];

/// The criterion of this name.
pub fn find(name: &str) -> Option<&'static Criterion> {
    all().find(|c| c.name == name)
}

/// Every criterion.
pub fn all() -> impl Iterator<Item = &'static Criterion> {
    FAMILIES.iter().chain(SINGLE)
}
