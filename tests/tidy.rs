//! The order of the rooms and the shape of the files, as `src/lib.rs` and the design state them.
//!
//! Each rule is a function from a path and a text to complaints, and is tested on a text that breaks it.

use std::path::{Path, PathBuf};

#[path = "tidy/allowed.rs"]
mod allowed;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/functions.rs"]
mod functions;

/// Rooms that never use each other, whatever their order.
const SERVICES: [&str; 5] = ["proxy", "catalog", "dns", "vip", "mirror"];

/// Names that say nothing.
const FORBIDDEN: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "manager", "misc", "stuff"];

const LINES: usize = 800;

/// Pure keyword tables, which may have 1,500 lines.
const TABLES: &[&str] = &[];
const TABLE_LINES: usize = 1500;

fn main_text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of these folders: path below the root, and text.
fn files(folders: &[&str]) -> Vec<(String, String)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root()).expect("below the root").display().to_string();
    paths.iter().map(|path| (name(path), main_text(&name(path)))).collect()
}

/// The text with comments and the contents of strings blanked out; lines stay where they are.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let len = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['r' | 'b', ..] if raw_string(rest) > 0 && !after_word(&chars, at) => raw_string(rest),
            ['"', ..] => quoted(rest),
            ['\'', '\\', ..] => 2 + rest[2..].iter().skip(1).position(|c| *c == '\'').map_or(0, |n| n + 2),
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if len == 0 {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(rest[..len].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at += len;
        }
    }
    out
}

fn after_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of `r"..."`, `r#"..."#`, `br"..."`; 0 for anything else.
fn raw_string(rest: &[char]) -> usize {
    let start = if rest[0] == 'b' { 1 } else { 0 };
    if rest.get(start) != Some(&'r') {
        return 0;
    }
    let hashes = rest[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    if rest.get(open) != Some(&'"') {
        return 0;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = rest[open + 1..].windows(close.len()).position(|w| w == close);
    body.map_or(rest.len(), |n| open + 1 + n + close.len())
}

fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Whole words of a line of code, with the place of each.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty())
}

/// The rooms of `src/lib.rs` in order.
fn rooms(lib: &str) -> Vec<String> {
    let module =
        |line: &str| line.strip_prefix("pub mod ").and_then(|l| l.strip_suffix(';')).map(String::from);
    code(lib).lines().filter_map(module).collect()
}

/// First names after `crate::`, also those of `use crate::{a::x, b}`.
fn used_rooms(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.extend(words(rest).next().map(String::from)),
            Some(group) => {
                let (mut depth, mut item) = (0, String::new());
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            found.extend(words(&item).next().map(String::from));
                            item.clear();
                        }
                        c if depth == 0 => item.push(c),
                        _ => {}
                    }
                }
                found.extend(words(&item).next().map(String::from));
            }
        }
    }
    found
}

/// A room uses only rooms above it, and services never each other.
fn room_order(path: &str, text: &str, rooms: &[String]) -> Vec<String> {
    let Some(own) = path.strip_prefix("src/").and_then(|p| p.split(['/', '.']).next()) else {
        return Vec::new();
    };
    let place = |name: &str| rooms.iter().position(|room| room == name);
    let Some(mine) = place(own) else { return Vec::new() };
    let complain = |used: &String| {
        let theirs = place(used)?;
        let service = |name: &str| SERVICES.contains(&name);
        if theirs > mine {
            Some(format!("{path}: {own} uses {used}, which is below it"))
        } else if theirs != mine && service(own) && service(used) {
            Some(format!("{path}: the services {own} and {used} must not know each other"))
        } else {
            None
        }
    };
    used_rooms(&code(text)).iter().filter_map(complain).collect()
}

/// `unsafe` only in `os`, the clock only in `base::clock`.
fn confined(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("src/") {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (n, line) in code(text).lines().enumerate() {
        if words(line).any(|w| w == "unsafe") && !path.starts_with("src/os/") && !line.contains("unsafe_code")
        {
            out.push(format!("{path}:{}: unsafe outside os", n + 1));
        }
        let clock = line.contains("Instant::now") || line.contains("SystemTime::now");
        if clock && path != "src/base/clock.rs" {
            out.push(format!("{path}:{}: a clock read outside base::clock", n + 1));
        }
    }
    out
}

/// `//!` first, not too long, a name that says something, doors without functions.
fn shape(path: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if !text.starts_with("//!") {
        out.push(format!("{path}: does not open with //!"));
    }
    let most = if TABLES.contains(&path) { TABLE_LINES } else { LINES };
    let lines = text.lines().count();
    if lines > most {
        out.push(format!("{path}: {lines} lines, at most {most}"));
    }
    let code = code(text);
    if path.starts_with("src/") && path.ends_with("/mod.rs") && words(&code).any(|w| w == "fn") {
        out.push(format!("{path}: a door has no functions"));
    }
    let parts = path.split('/').map(|part| part.trim_end_matches(".rs"));
    out.extend(parts.filter(|p| FORBIDDEN.contains(p)).map(|p| format!("{path}: {p} says nothing")));
    let declared =
        code.split("struct ").chain(code.split("mod ")).skip(1).filter_map(|rest| words(rest).next());
    let says_nothing = |name: &&str| {
        let lower = name.to_lowercase();
        FORBIDDEN.iter().any(|f| lower == *f || (name.starts_with(char::is_uppercase) && lower.ends_with(f)))
    };
    out.extend(declared.filter(says_nothing).map(|name| format!("{path}: {name} says nothing")));
    out
}

#[test]
fn rooms_are_in_order() {
    let rooms = rooms(&main_text("src/lib.rs"));
    assert!(rooms.len() > 5, "src/lib.rs lists the rooms");
    let complaints: Vec<String> =
        files(&["src"]).iter().flat_map(|(p, t)| room_order(p, t, &rooms)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn unsafe_and_clock_are_confined() {
    let complaints: Vec<String> = files(&["src"]).iter().flat_map(|(p, t)| confined(p, t)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn files_have_their_shape() {
    let complaints: Vec<String> =
        files(&["src", "tests", "benches"]).iter().flat_map(|(p, t)| shape(p, t)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What the table allows for now is allowed; it is complained of when it is gone, so that the table shrinks with it.
#[test]
fn files_form_no_circles() {
    let files: Vec<_> = files(&["src"]).into_iter().map(|(path, text)| (path, code(&text))).collect();
    let complaints = circles::complaints(&circles::uses(&files), allowed::CIRCLES);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn functions_are_short() {
    let files = files(&["src", "tests", "benches"]);
    let found: Vec<_> = files.iter().flat_map(|(path, text)| functions::long(path, &code(text))).collect();
    let complaints = functions::complaints(&found, allowed::LONG);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Every room of `src/lib.rs` is a folder, and every folder a room.
#[test]
fn rooms_are_folders() {
    let rooms = rooms(&main_text("src/lib.rs"));
    let mut folders: Vec<String> = std::fs::read_dir(root().join("src"))
        .expect("src")
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let mut listed = rooms.clone();
    folders.sort();
    listed.sort();
    assert_eq!(folders, listed);
}

/// The rules themselves, on texts that break them.
mod rules {
    use super::*;

    fn order(path: &str, text: &str) -> usize {
        let rooms =
            rooms("//! Rooms.\npub mod base;\npub mod model;\npub mod proxy;\npub mod dns;\npub mod app;\n");
        room_order(path, text, &rooms).len()
    }

    #[test]
    fn a_room_below_is_found_however_it_is_named() {
        assert_eq!(order("src/base/x.rs", "use crate::model::Thing;"), 1);
        assert_eq!(order("src/base/x.rs", "use crate::{base::y, model::{A, B}, app};"), 2);
        assert_eq!(order("src/model/x.rs", "fn f() { crate::app::main() }"), 1);
        assert_eq!(order("src/model.rs", "pub use crate::app;"), 1);
        assert_eq!(order("src/app/x.rs", "use crate::{base, model, proxy, dns};"), 0);
        assert_eq!(order("src/base/x.rs", "use crate::base::y;"), 0);
        assert_eq!(
            order("src/base/x.rs", "/// See [`crate::app`].\n// crate::app\nlet s = \"crate::app\";"),
            0
        );
        assert_eq!(order("src/base/x.rs", "use other_crate::model;"), 0);
    }

    #[test]
    fn services_do_not_know_each_other() {
        assert_eq!(order("src/dns/x.rs", "use crate::proxy::Session;"), 1);
        assert_eq!(order("src/dns/x.rs", "use crate::{model, dns::zone};"), 0);
    }

    #[test]
    fn unsafe_is_found_in_code_only() {
        assert_eq!(confined("src/proxy/x.rs", "let x = unsafe { y() };").len(), 1);
        assert_eq!(confined("src/proxy/x.rs", "unsafe impl Send for X {}").len(), 1);
        assert_eq!(confined("src/os/x.rs", "unsafe { y() }").len(), 0);
        assert_eq!(
            confined("src/lang/x.rs", "// unsafe\nlet s = \"an unsafe thing\"; let r = r#\"unsafe \" \"#;")
                .len(),
            0
        );
        assert_eq!(confined("src/lib.rs", "#![deny(unsafe_code)]").len(), 0);
    }

    #[test]
    fn a_clock_read_is_found() {
        assert_eq!(confined("src/proxy/x.rs", "let now = std::time::Instant::now();").len(), 1);
        assert_eq!(confined("src/log/x.rs", "SystemTime::now()").len(), 1);
        assert_eq!(confined("src/base/clock.rs", "Instant::now()").len(), 0);
    }

    #[test]
    fn shapes_are_checked() {
        assert_eq!(shape("src/a/b.rs", "//! Good.\n"), Vec::<String>::new());
        assert_eq!(shape("src/a/b.rs", "use x;\n").len(), 1);
        assert_eq!(shape("src/a/b.rs", &format!("//! Long.\n{}", "\n".repeat(800))).len(), 1);
        assert_eq!(shape("src/a/mod.rs", "//! A door.\npub mod b;\npub fn f() {}\n").len(), 1);
        assert_eq!(
            shape("src/a/mod.rs", "//! A door that says fn.\npub mod b;\npub use b::X; // fn f()\n").len(),
            0
        );
        assert_eq!(shape("src/a/util.rs", "//! What?\n").len(), 1);
        assert_eq!(shape("src/common/b.rs", "//! What?\n").len(), 1);
        assert_eq!(shape("src/a/b.rs", "//! X.\nmod helper;\n").len(), 1);
        assert_eq!(shape("src/a/b.rs", "//! X.\npub struct ConnectionManager;\n").len(), 1);
        assert_eq!(shape("src/a/b.rs", "//! X.\npub struct Commoner;\n").len(), 0);
    }

    #[test]
    fn blanking_keeps_the_lines() {
        let text = "a /* b\n /* c */ d */ e\n\"f\\\"\ng\" h 'i' '\\'' 'j r#\"k\n\"# l b\"m\"";
        let lines = code(text);
        assert_eq!(lines.lines().count(), text.lines().count());
        let kept: String = lines.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(kept, "a e h 'j l b");
    }
}
