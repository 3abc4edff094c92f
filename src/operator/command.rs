//! From the words of a command line to the command that they name: all there are, their arguments, their usage.

use std::io::Write;

use super::client::Api;
use super::operation::{Given, Operation};
use super::{cert, cluster, config, dns, mirror, node, vip};

fn operations() -> impl Iterator<Item = &'static Operation> {
    let tables = [
        node::OPERATIONS,
        cluster::OPERATIONS,
        config::OPERATIONS,
        dns::OPERATIONS,
        mirror::OPERATIONS,
        vip::OPERATIONS,
        cert::OPERATIONS,
    ];
    tables.into_iter().flatten()
}

/// The words that begin an operator's command.
pub fn beginnings() -> impl Iterator<Item = &'static str> {
    operations().map(|o| o.words[0])
}

/// Whether `word` begins an operator's command.
pub fn begins(word: &str) -> bool {
    beginnings().any(|beginning| beginning == word)
}

/// Runs `words`, the first of which begins one. The exit status.
pub fn run(words: &[String]) -> u8 {
    match answer(words) {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            0
        }
        Err(text) => {
            eprintln!("{text}");
            1
        }
    }
}

/// Those that every command knows.
const COMMON: [&str; 4] = ["--http-addr=", "--token=", "--ca-file=", "--crt="];

fn answer(given: &[String]) -> Result<String, String> {
    if given.iter().any(|word| matches!(word.as_str(), "--help" | "-h")) {
        return Ok(usage(given.first().map_or("", String::as_str), "") + "\n");
    }
    let mut named = given.iter().filter(|w| !w.starts_with('-')).map(String::as_str);
    let (first, second) = (named.next().unwrap_or_default(), named.next().unwrap_or_default());
    let Some(operation) = operations().find(|o| o.words == [first, second]) else {
        return Err(usage(first, second));
    };
    let given = read(operation, given)?;
    if !(operation.takes.0..=operation.takes.1).contains(&given.words.len()) {
        return Err(format!("wrong number of arguments.\n{}", line(operation)));
    }
    // A command's own flag of that name is not the API's.
    let api = Api::new(|name| {
        let own = operation.flags.iter().any(|f| f.strip_suffix('=') == Some(name));
        given.value(name).filter(|_| !own).map(str::to_owned)
    })?;
    (operation.run)(&api, &given)
}

/// Parts words from flags. A value follows its flag after `=` or as the next word.
fn read(operation: &Operation, given: &[String]) -> Result<Given, String> {
    let wrong = |what: String| format!("{what}\n{}", line(operation));
    let (mut words, mut flags) = (Vec::new(), Vec::new());
    let mut rest = given.iter();
    while let Some(word) = rest.next() {
        let flag = match word.as_str() {
            "-q" => "--quiet",
            "-f" => "--force",
            word if word.starts_with("--") => word,
            _ => {
                words.push(word.clone());
                continue;
            }
        };
        let known = operation.flags.iter().chain(&COMMON);
        let Some(known) = known.copied().find(|f| match f.strip_suffix('=') {
            Some(name) => flag == name || flag.starts_with(f),
            None => flag == *f,
        }) else {
            return Err(wrong(format!("unknown option '{word}'.")));
        };
        match known.strip_suffix('=') {
            Some(name) if flag == name => {
                let value = rest.next().ok_or_else(|| wrong(format!("'{name}' needs a value.")))?;
                flags.push(format!("{name}={value}"));
            }
            _ => flags.push(flag.to_owned()),
        }
    }
    Ok(Given { words: words.split_off(words.len().min(2)), flags })
}

fn line(o: &Operation) -> String {
    format!("usage: isobar {} {} {}", o.words[0], o.words[1], o.args).trim_end().to_owned()
}

fn usage(first: &str, second: &str) -> String {
    let mine = || operations().filter(|o| o.words[0] == first);
    let near = mine().map(|o| o.words[1]).find(|w| strsim::levenshtein(w, second) <= 2);
    let mut out = match (second, near) {
        ("", _) => String::new(),
        (_, Some(near)) => format!("unknown command '{first} {second}'. Did you mean '{first} {near}'?\n"),
        _ => format!("unknown command '{first} {second}'.\n"),
    };
    for o in mine() {
        out.push_str(&format!(
            "  isobar {:<60} {}\n",
            format!("{} {} {}", o.words[0], o.words[1], o.args),
            o.doc
        ));
    }
    out.push_str(
        "  --http-addr=[https://]HOST:PORT and --token=T, or ISOBAR_HTTP_ADDR and ISOBAR_HTTP_TOKEN, say whom to ask;\n  \
         --ca-file=F and --crt=F, or ISOBAR_CACERT, ISOBAR_CLIENT_CERT and ISOBAR_CLIENT_KEY, what TLS needs.",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<String, String> {
        answer(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_wrong_is_said_before_anyone_is_asked() {
        assert!(of("node lss").unwrap_err().contains("Did you mean 'node ls'?"));
        assert!(of("node").unwrap_err().contains("isobar node promote NODE..."));
        assert!(of("node ls --fast").unwrap_err().contains("unknown option '--fast'"));
        assert!(of("node rm").unwrap_err().contains("usage: isobar node rm [--force] NODE..."));
        assert!(of("config put a").unwrap_err().contains("wrong number of arguments"));
    }

    #[test]
    fn a_value_follows_its_flag_either_way() {
        let join = operations().find(|o| o.words == ["cluster", "join"]).unwrap();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for line in ["cluster join --token T a:1 b:2", "cluster join a:1 --token=T b:2"] {
            let given = read(join, &words(line)).unwrap();
            assert_eq!((given.words, given.flags), (words("a:1 b:2"), words("--token=T")), "{line}");
        }
        assert!(of("cluster join a:1 --token").unwrap_err().contains("'--token' needs a value"));
        assert!(
            of("cluster join --http-addr 127.0.0.1:1 a:1").unwrap_err().contains("join token is missing")
        );
        assert!(of("node ls --http-addr=ftp://a:1").unwrap_err().contains("ftp"));
        assert!(of("node ls --http-addr=https://a:1 --ca-file /nowhere").unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn words_are_unique() {
        let mut all: Vec<_> = operations().map(|o| o.words).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
