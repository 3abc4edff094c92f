//! States of servers from a file: HAProxy and Isobar start with the same one.

use super::HTTP;
use crate::support::differential::same;
use crate::support::place;

#[test]
fn servers_begin_as_they_were() {
    static FILE: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let dir = FILE.get_or_init(|| tempfile::tempdir().expect("a directory"));
    let line = |n: u32, rest: &str| format!("3 be {n} s{n} 192.0.2.{n} {rest} 0 0 - 80 - 0 0 - - 0\n");
    let lines = [
        line(1, "2 0 40 10 900 6 3 4 6 0"),
        line(2, "0 1 10 10 900 6 3 0 14 0"),
        line(3, "2 8 10 10 900 6 3 4 6 0"),
        line(4, "0 0 10 10 900 8 2 0 6 0"),
        line(5, "2 0 10 10 900 1 0 2 0 0"),
        line(6, "2 0 7 99 900 1 0 2 0 0"),
        line(7, "2 0 10 10 900 1 0 2 0 0"),
    ];
    let text = format!("1\n# be_id be_name\n{}", lines.concat());
    std::fs::write(dir.path().join("global"), &text).expect("write");
    std::fs::write(dir.path().join("local"), text.replace(" be ", " local ")).expect("write");
    std::fs::write(dir.path().join("named"), text.replace(" be ", " other ")).expect("write");
    let servers: String = (1..=8)
        .map(|n| {
            let words = match n {
                1..=4 => "check inter 1h fastinter 1h downinter 1h",
                7 => "disabled",
                _ => "",
            };
            format!("    server s{n} 192.0.2.{n}:80 weight 10 {words}\n")
        })
        .collect();
    let head = HTTP.replace(
        "    nbthread 1\n",
        &format!(
            "    nbthread 1\n    stats socket {{dir}}/sock level admin\n    server-state-base {}\n    server-state-file \
             global\n",
            dir.path().display()
        ),
    );
    let dead = place::dead();
    let text = format!(
        "{head}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    load-server-state-from-file global
{servers}
backend local
    load-server-state-from-file local
{servers}
backend other
    load-server-state-from-file local
    server-state-file-name named
{servers}
backend none
    load-server-state-from-file none
    server s1 {dead}
"
    );
    same(&text, Vec::new, 0, |run| {
        let state = run.cli("show servers state");
        for line in state.lines().skip(2).filter(|line| line.contains(' ')) {
            let cells: Vec<&str> = line.split(' ').collect();
            // Whether a first check was made already is chance.
            let shown = [&cells[..9], &cells[13..14]].concat().join(" ");
            let age = cells[9].parse::<u64>().map(|age| age >= 900);
            run.note(cells[3], &format!("{shown} {age:?}"));
        }
    });
}
