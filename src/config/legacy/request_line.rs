//! `reqrep` of request lines: the path alone changes, or the line is left to a rule of ours.

use super::expression::{Kind, Piece, groups, is_choice, pieces, renumber};

/// `replace-pathq` or `replace-uri` with its arguments, and the methods that it is for (none: all).
#[derive(Debug, PartialEq, Eq)]
pub struct Replace {
    pub action: &'static str,
    pub regex: String,
    pub replacement: String,
    pub methods: Vec<String>,
}

/// Expressions that match every method.
const ANY_METHOD: [&str; 20] = [
    "[^ :]*",
    "[^ ]*",
    "[^:]*",
    "[^/]*",
    "[^ :/]*",
    "[^ :]+",
    "[^ ]+",
    "[^:]+",
    ".*",
    ".+",
    ".*?",
    ".+?",
    r"\S*",
    r"\S+",
    r"\w+",
    r"\w*",
    "[A-Z]+",
    "[A-Z]*",
    "[a-zA-Z]+",
    "[A-Za-z]+",
];

/// Reads `^(method) path(rest)` and `\1 new\2`: method and version stay, the path changes.
pub fn replace(search: &str, string: &str) -> Option<Replace> {
    if let Some((search, string)) = parted(search, string) {
        return replace(&search, &string);
    }
    let list = pieces(search)?;
    if list.first()?.kind != Kind::Begin || is_choice(&list) {
        return None;
    }
    let gap = blank(&list, 1)?;
    let (methods, taken) = method(search, &list[1..gap])?;
    let (new_method, new_rest) = string.split_once(' ')?;
    let keeps = match taken {
        0 => methods.len() == 1 && methods[0] == new_method,
        _ => new_method == r"\1",
    };
    if !keeps {
        return None;
    }
    let rest = &list[gap + 1..];
    let (target, new) = match blank(rest, 0) {
        // The version is told apart, and stays.
        Some(at) => {
            let (new, version) = new_rest.split_once(' ')?;
            let inside = groups(&rest[..at]) + taken;
            let kept =
                version.strip_prefix('\\').and_then(|n| n.parse::<usize>().ok()).is_some_and(|n| n > inside);
            if !kept && !version.starts_with("HTTP/1.") || highest(new) > inside {
                return None;
            }
            (format!("{}$", text(search, &rest[..at]).trim_end_matches('$')), new)
        }
        None => (text(search, rest).to_owned(), tail(search, rest, new_rest, taken)?),
    };
    let new = renumber(new, taken)?;
    let is_path = target.trim_start_matches('(').starts_with(['/', '.', '[']);
    let stays_path = is_path && (new.starts_with('/') || new.starts_with('\\'));
    Some(Replace {
        action: if stays_path { "replace-pathq" } else { "replace-uri" },
        regex: format!("^{target}"),
        replacement: new.replace('%', "%%"),
        methods,
    })
}

/// `^([^ ]* /)rest` and `\1...`, where one group holds the method and how the path begins: a group for each.
fn parted(search: &str, string: &str) -> Option<(String, String)> {
    let list = pieces(search)?;
    let opens = list.get(1)?.kind == Kind::Open { captures: true } && list.first()?.kind == Kind::Begin;
    let close = list.iter().position(|p| p.depth == 0 && p.kind == Kind::Close)?;
    let gap = list[..close].iter().position(|p| p.depth == 1 && p.is_literal(' '))?;
    let is_plain = groups(&list[2..close]) == 0 && !list[2..close].iter().any(|p| p.kind == Kind::Or);
    let behind = string.strip_prefix(r"\1")?;
    if !opens || !is_plain || gap + 1 == close || behind.contains(r"\1") {
        return None;
    }
    let at = |i: usize| &list[i].range;
    let (method, start) = (&search[at(1).end..at(gap).start], &search[at(gap).end..at(close).start]);
    let behind = shifted(behind)?;
    Some((format!("^({method}) ({start}){}", &search[at(close).end..]), format!(r"\1 \2{behind}")))
}

/// References to groups, one more each.
fn shifted(replacement: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '\\' {
            match chars.next()? {
                digit @ '1'..='8' => out.push_str(&(digit.to_digit(10)? + 1).to_string()),
                '0' | '9' => return None,
                other => out.push(other),
            }
        }
    }
    Some(out)
}

/// The first blank outside of groups from `from` on.
fn blank(list: &[Piece], from: usize) -> Option<usize> {
    let found = (from..list.len()).find(|i| list[*i].depth == 0 && list[*i].is_literal(' '))?;
    (list.get(found + 1).is_none_or(|p| p.kind != Kind::Repeat)).then_some(found)
}

fn text<'t>(search: &'t str, list: &[Piece]) -> &'t str {
    match (list.first(), list.last()) {
        (Some(first), Some(last)) => &search[first.range.start..last.range.end],
        _ => "",
    }
}

/// The methods of an expression (none: all), and how many groups it has.
fn method(search: &str, list: &[Piece]) -> Option<(Vec<String>, usize)> {
    let is_group = list.first()?.kind == Kind::Open { captures: true };
    let inner = if is_group {
        let close = list.last().filter(|p| p.kind == Kind::Close)?;
        (groups(list) == 1).then(|| &search[list[0].range.end..close.range.start])?
    } else {
        text(search, list)
    };
    let taken = usize::from(is_group);
    if is_group && ANY_METHOD.contains(&inner) {
        return Some((Vec::new(), taken));
    }
    let names: Vec<String> = inner.split('|').map(str::to_owned).collect();
    let is_word = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase());
    names.iter().all(is_word).then_some((names, taken))
}

/// Without a version in the expression its end must take it along: the last group matches to the end and is put there.
fn tail<'s>(search: &str, rest: &[Piece], new: &'s str, taken: usize) -> Option<&'s str> {
    let target = text(search, rest).trim_end_matches('$');
    if let Some((new, version)) = new.split_once(' ') {
        let ends = target.ends_with(".*") || target.ends_with(".*)");
        // What the group holds includes the version, which must not come twice.
        let repeats = target.ends_with(".*)") && highest(new) >= groups(rest) + taken;
        return (version.starts_with("HTTP/1.") && ends && !repeats).then_some(new);
    }
    let last = format!("\\{}", groups(rest) + taken);
    ((target.ends_with(".*)") || target.ends_with(".+)")) && new.ends_with(&last)).then_some(new)
}

/// The highest group that a replacement names.
fn highest(replacement: &str) -> usize {
    let mut highest = 0;
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        let number = rest[at + 1..].chars().next().and_then(|c| c.to_digit(10)).unwrap_or(0);
        highest = highest.max(number as usize);
        rest = rest.get(at + 2..).unwrap_or("");
    }
    highest
}
