//! A site: a configuration, and what is asked of it by curl.

use std::sync::LazyLock;

use tempfile::TempDir;

use crate::diff::HTTP;
use crate::support::Origin;
use crate::support::differential::{Run, same};
use crate::tls::{curl, path, resolve, site};

/// For both passes.
static FILES: LazyLock<TempDir> = LazyLock::new(site::files);

/// One configuration, what is asked of it, and how many lines it logs. `{files}` is the directory of [`site::files`];
/// where it says `{told}` it answers with what the fetches of [`TOLD`] say.
pub struct Site {
    pub name: &'static str,
    pub text: &'static str,
    pub logs: usize,
    pub origins: fn() -> Vec<(&'static str, Origin)>,
    pub traffic: fn(&mut Run),
}

/// One line each: the version, the cipher, what was asked for and what was agreed on.
const LOGGED: &str = "    log-format \"%ft %b/%s %ST %tsc %sslv %sslc sni=%[ssl_fc_sni] alpn=%[ssl_fc_alpn] \
                      %[ssl_fc_is_resumed] %[ssl_c_used] %[ssl_c_verify] %[fc_http_major] %HM %HP\"\n";

/// What stands in the body of an answer.
const TOLD: &str = "content-type text/plain lf-string \"%[ssl_fc] %[ssl_fc_sni] %[ssl_fc_has_sni] %[ssl_fc_alpn] \
                    %[ssl_fc_protocol] %[ssl_fc_cipher] %[ssl_fc_is_resumed] %[ssl_fc_use_keysize] \
                    %[ssl_f_s_dn] %[ssl_f_i_dn(CN)] %[ssl_c_used] %[ssl_c_verify] %[ssl_c_err] \
                    %[ssl_c_ca_err] %[ssl_c_s_dn(CN)] %[ssl_c_serial,hex] %[fc_http_major] %[req.ver] \
                    %[req.hdr(host),lower,word(1,:)] %[src]\"";

/// What makes curl speak TLS 1.2 with one cipher.
pub const OLD: &str = "--tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-GCM-SHA256";

/// Through both programs.
pub fn run(site: &Site) {
    let head = HTTP.replace("    option httplog\n", LOGGED);
    let text = format!("{head}{}", site.text).replace("{told}", TOLD);
    same(
        &text.replace("{files}", &FILES.path().display().to_string()),
        site.origins,
        site.logs,
        site.traffic,
    );
}

/// Asks by curl, and notes version, status, where a redirection goes, and the body. `@NAME` is a file of the site.
pub fn ask(run: &mut Run, port: &str, url: &str, more: &str) {
    let addr = run.addr(port);
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (host, target) = rest.split_once('/').expect("a path");
    let (resolved, whole) = (resolve(host, addr), format!("{scheme}://{host}:{}/{target}", addr.port()));
    let told = "|%{http_version} %{http_code} %{redirect_url}";
    let words = more.split_whitespace();
    let words: Vec<String> = words
        .map(|word| word.strip_prefix('@').map_or_else(|| word.to_owned(), |name| path(FILES.path(), name)))
        .collect();
    let fixed = ["-A", "test", "-w", told, "--resolve", &resolved, &whole];
    let args: Vec<&str> = fixed.into_iter().chain(words.iter().map(String::as_str)).collect();
    let output = curl(&args);
    let text = String::from_utf8_lossy(&output.stdout).replace(&format!(":{}", addr.port()), ":PORT");
    run.note(&format!("{port} {url} {more}"), &format!("{} {text}", output.status.success()));
}

/// The rows of [`ask`] for one port.
pub fn each(run: &mut Run, port: &str, rows: &[(&str, &str)]) {
    for (url, more) in rows {
        ask(run, port, url, more);
    }
}
