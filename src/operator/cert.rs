//! `isobar cert`: what files of certificates would serve. No node is asked.

use std::path::Path;
use std::time::Duration;

use super::client::Api;
use super::operation::{Given, Operation, columns};
use crate::base::clock::wall;
use crate::tls::{BindWords, Disk, Endpoint, Globals, Library, Local, Served, Source, Told};

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    words: ["cert", "ls"],
    args: "[--crt-base=DIR] FILE",
    takes: (1, 1),
    flags: &["--crt-base="],
    doc: "Lists the names that a certificate, a directory of them or a crt-list would serve.",
    run: ls,
}];

fn ls(_: &Api, given: &Given) -> Result<String, String> {
    let file = given.words.first().map(String::as_str).unwrap_or_default();
    list(file, given.value("--crt-base"), wall())
}

/// `now`: since the Unix epoch.
fn list(file: &str, crt_base: Option<&str>, now: Duration) -> Result<String, String> {
    let is_list = Local.list(Path::new(file)).is_err()
        && Local.read(Path::new(file)).is_ok_and(|text| !text.windows(BEGIN.len()).any(|part| part == BEGIN));
    let source = if is_list { Source::CrtList(file.to_owned()) } else { Source::Crt(file.to_owned()) };
    let globals = Globals { crt_base: crt_base.filter(|_| is_list).map(Into::into), ..Globals::default() };
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let mut library = Library::new(&Local, globals, now_s, None);
    let mut told = Told::default();
    let words = BindWords { certificates: vec![source], ..BindWords::default() };
    let endpoint = Endpoint::build("", words, &mut library, &mut told);
    let endpoint = endpoint.ok_or_else(|| told.errors.join("\n"))?;
    let rows: Vec<Vec<String>> = endpoint.served().iter().map(|served| row(served, now)).collect();
    let warnings: String = told.warnings.iter().map(|warning| format!("{warning}\n")).collect();
    Ok(columns(&["NAME", "KEY", "EXPIRES", "DAYS", "FILE"], &rows) + &warnings)
}

const BEGIN: &[u8] = b"-----BEGIN ";

fn row(served: &Served, now: Duration) -> Vec<String> {
    let Served { name, except, material } = served;
    let until = material.certified.until;
    let except: String = except.iter().map(|name| format!(" !{name}")).collect();
    let days = |span: Duration| span.as_secs() / 86_400;
    let left = match until.checked_sub(now) {
        Some(left) => days(left).to_string(),
        None => format!("-{}", days(now.saturating_sub(until))),
    };
    let date = jiff::Timestamp::from_second(i64::try_from(until.as_secs()).unwrap_or_default());
    let date = date.map(|date| date.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    vec![name.clone() + &except, material.kind().to_owned(), date, left, material.name.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{Issuer, params};

    #[test]
    fn names_are_listed_with_their_expiry() {
        let dir = tempfile::tempdir().unwrap();
        let mut params = params(&["a.test", "*.w.test"]);
        params.not_after = rcgen::date_time_ymd(2030, 1, 2);
        let issued = Issuer::new().issue(params, &rcgen::PKCS_ECDSA_P256_SHA256);
        std::fs::write(dir.path().join("a.pem"), issued.pem()).unwrap();
        let file = dir.path().join("a.pem").display().to_string();
        let now = Duration::from_secs(1_893_456_000);
        let text = list(&file, None, now).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NAME", "KEY", "EXPIRES", "DAYS", "FILE"]);
        assert_eq!(rows[2], ["*.w.test", "ecdsa", "2030-01-02", "1", file.as_str()]);
        assert_eq!(rows[1][0], "a.test");
        assert_eq!(list(&dir.path().display().to_string(), None, now).unwrap(), text);
        let of_list = dir.path().join("list");
        std::fs::write(&of_list, "a.pem *.x.test !no.x.test\n").unwrap();
        let base = dir.path().display().to_string();
        let text = list(&of_list.display().to_string(), Some(&base), now * 2).unwrap();
        assert!(
            text.lines().nth(1).unwrap().starts_with("*.x.test !no.x.test   ecdsa   2030-01-02   -21914"),
            "{text}"
        );
        let told = list("/absent", None, now).unwrap_err();
        assert_eq!(told, "unable to stat SSL certificate from file '/absent' : No such file or directory.");
    }
}
