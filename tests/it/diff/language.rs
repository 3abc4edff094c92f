//! The same lines and conditions through HAProxy's own reader: words, faults, their places and their wording.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use isobar::lang::render::{Style, report};
use isobar::lang::{Env, Facts, Input, LoadOptions, Loaded, check, load};

/// Pieces that mean something to the lexer.
const PIECES: [&str; 34] = [
    "a",
    "Zz9",
    " ",
    "  ",
    "\t",
    "\"",
    "\"",
    "'",
    "'",
    "\\",
    "\\\\",
    "\\ ",
    "\\\"",
    "\\'",
    "\\n",
    "\\x41",
    "\\x4",
    "\\xZZ",
    "#",
    "\\#",
    "$",
    "\\$",
    "$VAR",
    "${VAR}",
    "${VAR-d e}",
    "${NONE-x}",
    "\"${LIST[*]}\"",
    "${LIST[*]}",
    "\"${VAR}\"",
    "{",
    "}",
    "-",
    "%[path,field(1,/)]",
    "\r",
];

const CONDITIONS: [&str; 11] = [
    "0",
    "1",
    "-3",
    "0x0",
    "!1",
    "streq(a,a)",
    "strneq(a,\"a\")",
    "defined(VAR)",
    "version_atleast(2.4)",
    "version_before(2.6.99-dev3)",
    "feature(EPOLL)",
];

const JOINTS: [&str; 14] =
    [" && ", "||", "&&", " || ", "(", ")", "!", " ", "&", "|", ",", "x", "streq(", "defined()"];

/// A reproducible sequence (the MINSTD generator).
struct Dice(u64);

impl Dice {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        from[(self.0 >> 8) as usize % from.len()]
    }

    fn text(&mut self, from: &[&str], length: usize) -> String {
        (0..length).map(|_| self.pick(from)).collect()
    }
}

fn haproxy() -> Option<PathBuf> {
    let path = Path::new("/usr/sbin/haproxy");
    path.exists().then(|| path.to_path_buf())
}

fn run(haproxy: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(haproxy);
    command.args(args).env_clear().env("VAR", "value").env("LIST", "one two  three");
    command.output().expect("haproxy runs")
}

fn env() -> Env {
    let mut env = Env::default();
    env.set("VAR", "value");
    env.set("LIST", "one two  three");
    env
}

fn load_file(path: &Path, facts: &Facts) -> Loaded {
    load(&[Input::Path(path.into())], LoadOptions::new(facts, env(), &["global"]))
}

/// Messages about the file, without the process id and HAProxy's closing remarks on an empty configuration.
fn about(text: &str) -> Vec<String> {
    let without_pid = |line: &str| match (line.find('('), line.find(") : ")) {
        (Some(from), Some(to)) if line.starts_with('[') => {
            format!("{}{}", &line[..from], line[to..].trim_end())
        }
        _ => line.trim_end().to_owned(),
    };
    let wanted = |line: &&str| !line.contains("haproxy version is") && !line.contains("path to executable");
    text.lines().filter(wanted).map(without_pid).collect()
}

#[test]
fn lines_are_cut_like_haproxy_s() {
    let Some(haproxy) = haproxy() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lines.cfg");
    let mut dice = Dice(20_240_229);
    let facts = Facts::default();
    for _ in 0..25 {
        // Fewer than the fifty faults after which reading stops; no empty words, which 2.6 still allows.
        let mut text = String::new();
        while text.lines().count() < 40 {
            let line = format!("  .notice {}\n", dice.text(&PIECES, 6));
            let words = load(
                &[Input::Text { name: "one".into(), text: line.clone() }],
                LoadOptions::new(&facts, env(), &[]),
            );
            if !words.diagnostics.list.iter().any(|d| d.message.contains("is empty and marks")) {
                text += &line;
            }
        }
        std::fs::write(&path, &text).expect("a file");
        let theirs = run(&haproxy, &["-c", "-f", path.to_str().expect("a name")]);
        let theirs = about(&String::from_utf8_lossy(&theirs.stderr));
        let loaded = load_file(&path, &facts);
        let ours = about(&report(&loaded.diagnostics, &loaded.sources, &Style::default()));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            // HAProxy's echo of a line stops at the default of a variable: it cuts the line in place.
            let echo = theirs.starts_with("  ") && ours.starts_with(theirs.as_str());
            assert!(echo || ours == theirs, "{ours}\n{theirs}\nin\n{text}");
        }
        assert_eq!(ours.len(), theirs.len(), "in\n{text}");
    }
}

#[test]
fn conditions_are_judged_like_haproxy_s() {
    let Some(haproxy) = haproxy() else { return };
    let facts = Facts { version: "2.6.12", features: vec!["+EPOLL"], ..Facts::default() };
    let mut dice = Dice(1_234_567);
    for round in 0..200 {
        let mut expr = dice.pick(&CONDITIONS).to_owned();
        for _ in 0..round % 4 {
            expr += dice.pick(&JOINTS);
            expr += dice.pick(&CONDITIONS);
        }
        let theirs = run(&haproxy, &["-cc", &expr]);
        let said = String::from_utf8_lossy(&theirs.stderr).into_owned();
        match check(&expr, &facts, &env()) {
            Ok(holds) => assert_eq!(theirs.status.code(), Some(i32::from(!holds)), "{expr}\n{said}"),
            Err(error) => {
                assert_eq!(theirs.status.code(), Some(2), "{expr}: {error}");
                let last = said.lines().last().unwrap_or("");
                assert!(last.ends_with(&format!(" : {error}")), "{expr}: {error}, not {last}");
            }
        }
    }
}
