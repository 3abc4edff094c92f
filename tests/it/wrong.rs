//! Wrong lines: what is said of them. `tests/data/wrong-lines.tsv` has one for each family of words and kind of error:
//! where it stands, the line with every word at fault between « and », what is said of each, and which word is proposed
//! instead.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::program;

const TABLE: &str = include_str!("../data/wrong-lines.tsv");

const TIMES: &str = " timeout client 5s\n timeout connect 5s\n timeout server 5s\n";

/// The file around a line. In those of the first kind it is the whole file.
fn around(place: &str) -> (String, String) {
    let defaults = |mode: &str| format!("defaults\n mode {mode}\n{TIMES}");
    let (front, back) =
        ("frontend f\n bind 127.0.0.1:18080\n default_backend b\n", "backend b\n server s 127.0.0.1:80\n");
    match place {
        "whole" => (String::new(), String::new()),
        "global" => ("global\n".to_owned(), format!("{}{front}{back}", defaults("http"))),
        "defaults" => (defaults("http"), format!("{front}{back}")),
        "frontend" => (format!("{}{front}", defaults("http")), back.to_owned()),
        "backend" => (format!("{}{front}{back}", defaults("http")), String::new()),
        "tcp frontend" => (format!("{}{front}", defaults("tcp")), back.to_owned()),
        "tcp backend" => (format!("{}{front}{back}", defaults("tcp")), String::new()),
        other => panic!("no place is called {other}"),
    }
}

/// One finding as `--pretty` shows it.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    line: usize,
    column: usize,
    message: String,
    hint: String,
}

/// The alerts among what was said.
fn findings(said: &str) -> Vec<Finding> {
    let mut list: Vec<Finding> = Vec::new();
    let mut is_alert = false;
    for line in said.lines() {
        let text = line.trim_start();
        if let Some(message) = line.strip_prefix("error: ") {
            is_alert = true;
            list.push(Finding { message: message.to_owned(), ..Finding::default() });
        } else if ["warning: ", "note: ", "info: "].iter().any(|level| line.starts_with(level)) {
            is_alert = false;
        }
        let Some(last) = list.last_mut().filter(|_| is_alert) else { continue };
        if let Some(place) = text.strip_prefix("--> ") {
            let mut numbers = place.rsplit(':').map(|n| n.parse::<usize>().unwrap_or(0));
            (last.column, last.line) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        } else if let Some(hint) = text.strip_prefix("= help: ") {
            last.hint = hint.to_owned();
        }
    }
    list.sort();
    list
}

fn run(before: &[&str], file: &Path, behind: &[&str]) -> Output {
    let mut command = Command::new(program::under_test());
    command.args(before).arg(file).args(behind).env("NO_COLOR", "1");
    command.output().expect("the program runs")
}

/// A line of the table as text, and where its marks were: the number of the line and the column of each.
fn unmarked(text: &str, first: usize) -> (String, Vec<(usize, usize, String)>) {
    let (mut out, mut marks): (String, Vec<(usize, usize, String)>) = Default::default();
    let mut open = None;
    let (mut line, mut column) = (first, 1);
    for c in text.chars() {
        match c {
            '«' => open = Some((line, column, out.len())),
            '»' => {
                let (line, column, from) = open.take().expect("an open mark");
                marks.push((line, column, out[from..].to_owned()));
            }
            '\n' => {
                out.push(c);
                (line, column) = (line + 1, 1);
            }
            c => {
                out.push(c);
                column += c.len_utf8();
            }
        }
    }
    (out, marks)
}

/// The file that a row stands for, and the marks in it.
fn write(directory: &Path, place: &str, line: &str) -> (PathBuf, Vec<(usize, usize, String)>) {
    let (before, after) = around(place);
    let lead = if place == "whole" { "" } else { " " };
    let (written, marks) =
        unmarked(&format!("{lead}{}", line.replace("\\n", "\n")), before.lines().count() + 1);
    let file = directory.join("wrong.cfg");
    std::fs::write(&file, format!("{before}{written}\n{after}")).expect("write");
    (file, marks)
}

/// What is wrong with what is said of one row; empty if nothing is.
fn judge(directory: &Path, row: &str) -> String {
    let cells: Vec<&str> = row.split('\t').collect();
    let [place, line, messages, hints, ..] = cells[..] else { return format!("{row}: not four cells\n") };
    let (file, marks) = write(directory, place, line);
    let pretty = run(&["check"], &file, &["--pretty"]);
    let said = String::from_utf8_lossy(&pretty.stderr).into_owned();
    let mut wrong = String::new();
    if pretty.status.success() {
        wrong += "  is not refused\n";
    }
    let found = findings(&said);
    let split = |cell: &str| -> Vec<String> {
        if cell.is_empty() { Vec::new() } else { cell.split(" | ").map(str::to_owned).collect() }
    };
    let (messages, hints) = (split(messages), split(hints));
    if found.len() != marks.len() {
        let _ = writeln!(wrong, "  {} findings instead of {}", found.len(), marks.len());
    }
    for (n, finding) in found.iter().enumerate() {
        let Some((line, column, word)) = marks.get(n) else { continue };
        if (finding.line, finding.column) != (*line, *column) {
            let _ =
                writeln!(wrong, "  '{word}' is at {line}:{column}, not {}:{}", finding.line, finding.column);
        }
        let part = messages.get(n).map_or(word.as_str(), String::as_str);
        if !finding.message.contains(part) {
            let _ = writeln!(wrong, "  '{part}' is not in its message");
        }
        match hints.get(n) {
            Some(hint) if !finding.hint.contains(&format!("'{hint}'")) => {
                let _ = writeln!(wrong, "  '{hint}' is not proposed");
            }
            _ => {}
        }
    }
    // As HAProxy has it: a line each, with the place.
    let plain = run(&["-c", "-f"], &file, &[]);
    let said_plain = String::from_utf8_lossy(&plain.stderr).into_owned();
    for (line, ..) in &marks {
        let place = format!("wrong.cfg:{line}]");
        let told = said_plain.lines().filter(|said| said.starts_with("[ALERT]") && said.contains(&place));
        if told.count() < marks.iter().filter(|(other, ..)| other == line).count() {
            let _ = writeln!(wrong, "  line {line} is not named in the short form");
        }
    }
    if wrong.is_empty() { wrong } else { format!("{place}: {line}\n{wrong}{found:#?}\n{said_plain}\n") }
}

#[test]
fn every_wrong_line_is_told_of() {
    let rows: Vec<&str> = TABLE.lines().filter(|row| !row.starts_with('#')).collect();
    assert!(rows.len() >= 200, "{} rows", rows.len());
    let share = |part: usize| -> Vec<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let mine = rows.iter().skip(part).step_by(4);
        mine.map(|row| judge(directory.path(), row)).filter(|wrong| !wrong.is_empty()).collect()
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|part| scope.spawn(move || share(part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    });
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.concat());
}

/// Except where HAProxy 2.6 takes what is no number for one, or does not look.
#[test]
fn haproxy_refuses_them_too() {
    let haproxy = Path::new("/usr/sbin/haproxy");
    if !haproxy.exists() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut other = Vec::new();
    for row in TABLE.lines().filter(|row| !row.starts_with('#')) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (file, _) = write(directory.path(), cells[0], cells[1]);
        let output = Command::new(haproxy).args(["-c", "-f"]).arg(&file).output().expect("it runs");
        let refuses = String::from_utf8_lossy(&output.stderr).contains("[ALERT]");
        if refuses == (cells.len() > 4) {
            other.push(row);
        }
    }
    assert!(other.is_empty(), "{other:#?}");
}
