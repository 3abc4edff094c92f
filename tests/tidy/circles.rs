//! Circles of files: a file uses a definition of another, which uses, over however many more, one of the first.
//!
//! Names are followed as the compiler follows them, through `use`, `super::`, paths in expressions and re-exports: a
//! re-export counts as its definer. Doors (`mod.rs`) and tests are no part of a circle.

use std::collections::{BTreeMap, BTreeSet};

/// A few files may know each other, a type and its parts; more may not.
const MOST: usize = 3;

/// How many re-exports a name is followed through.
const HOPS: usize = 12;

/// One `use` of one name.
struct Import {
    /// From the root of the crate.
    path: Vec<String>,
    /// `None` is a glob.
    name: Option<String>,
}

/// A file, read as far as names go.
struct Source {
    path: String,
    module: Vec<String>,
    door: bool,
    defined: BTreeSet<String>,
    imports: Vec<Import>,
    /// Everything but its `use` statements.
    body: String,
}

/// The files that each file uses. `files` are paths below the root with texts whose comments and strings are blank.
pub fn uses(files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let texts: Vec<(String, String, Vec<String>)> = files
        .iter()
        .filter(|(path, _)| path.starts_with("src/"))
        .map(|(path, text)| {
            let (text, tests) = without_tests(text);
            (path.clone(), text, tests)
        })
        .collect();
    let tests: BTreeSet<Vec<String>> = texts
        .iter()
        .flat_map(|(path, _, tests)| tests.iter().map(|name| join(&module(path), name)))
        .collect();
    let is_test = |module: &[String]| (0..=module.len()).any(|n| tests.contains(&module[..n]));
    let modules: BTreeSet<Vec<String>> = texts.iter().map(|(path, ..)| module(path)).collect();
    let kept = texts.into_iter().filter(|(path, ..)| !is_test(&module(path)));
    let sources = kept.map(|(path, text, _)| source(path, &text, &modules));
    let house = House { sources: sources.map(|source| (source.module.clone(), source)).collect() };
    let sources = house.sources.values().filter(|source| !source.door);
    let mut uses: BTreeMap<_, _> =
        sources.map(|source| (source.path.clone(), house.used_by(source))).collect();
    for (user, used) in house.methods() {
        uses.entry(user).or_default().insert(used);
    }
    uses
}

/// Circles that no row allows, and files in rows that are in no circle of that row any more.
pub fn complaints(uses: &BTreeMap<String, BTreeSet<String>>, allowed: &[&[&str]]) -> Vec<String> {
    let circles: Vec<_> = circles(uses).into_iter().filter(|circle| circle.len() > MOST).collect();
    let within = |circle: &[String], row: &[&str]| circle.iter().all(|file| row.contains(&file.as_str()));
    let new = circles.iter().filter(|circle| !allowed.iter().any(|row| within(circle, row)));
    let mut out: Vec<String> = new
        .map(|circle| {
            let way = way_round(uses, circle);
            let first = way.first().cloned().unwrap_or_default();
            let way = way.join(" uses ");
            format!("a circle of {} files: {}\n    {way} uses {first}", circle.len(), circle.join(" "))
        })
        .collect();
    for row in allowed {
        let stands = |file: &str| circles.iter().any(|c| within(c, row) && c.iter().any(|f| f == file));
        let gone = row.iter().filter(|file| !stands(file));
        out.extend(
            gone.map(|file| format!("{file}: in no circle any more, take it out of tests/tidy/allowed.rs")),
        );
    }
    out
}

/// The circles among these files: every set of files that all reach each other, the files in order.
pub fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        uses.keys().map(|file| (file, reached(uses, file))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, reached) in &reach {
        let circle: Vec<String> =
            reached.iter().filter(|other| reach[**other].contains(file)).map(|f| (*f).clone()).collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// The shortest way from a file back to itself, for whoever has to break it.
pub fn way_round(uses: &BTreeMap<String, BTreeSet<String>>, circle: &[String]) -> Vec<String> {
    let from = |start: &String| {
        let mut ways = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in &ways {
                for next in &uses[way.last().expect("not empty")] {
                    if next == start {
                        return way.clone();
                    }
                    if circle.contains(next) && seen.insert(next.clone()) {
                        longer.push(way.iter().chain([next]).cloned().collect());
                    }
                }
            }
            ways = longer;
        }
        Vec::new()
    };
    circle.iter().map(from).filter(|way| !way.is_empty()).min_by_key(Vec::len).unwrap_or_default()
}

fn reached<'a>(uses: &'a BTreeMap<String, BTreeSet<String>>, file: &String) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut todo: Vec<&String> = uses[file].iter().collect();
    while let Some(next) = todo.pop() {
        if seen.insert(next) {
            todo.extend(uses.get(next).into_iter().flatten());
        }
    }
    seen
}

fn join(module: &[String], name: &str) -> Vec<String> {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

fn module(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let inner = inner.trim_end_matches("mod").trim_end_matches('/');
    if inner == "lib" || inner == "main" {
        return Vec::new();
    }
    inner.split('/').map(String::from).collect()
}

/// The text without its items for tests, and the modules it declares for tests.
fn without_tests(text: &str) -> (String, Vec<String>) {
    let (mut kept, mut tests, mut rest) = (String::new(), Vec::new(), text);
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at + "#[cfg(test)]".len()..];
        let end = item_end(item);
        let names = super::words(&item[..end]).skip_while(|w| *w != "mod").skip(1);
        tests.extend(names.take(1).map(String::from));
        rest = &item[end..];
    }
    (kept + rest, tests)
}

/// Where the item ends that a text begins with: after its block, or its semicolon or comma.
pub fn item_end(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return at + 1;
                }
            }
            ';' | ',' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn source(path: String, text: &str, modules: &BTreeSet<Vec<String>>) -> Source {
    let module = module(&path);
    let (mut body, mut imports, mut rest) = (String::new(), Vec::new(), text);
    while let Some(at) = next_use(rest) {
        body.push_str(&rest[..at]);
        let statement = &rest[at + "use ".len()..];
        let end = statement.find(';').unwrap_or(statement.len());
        for (path, name) in tree(&statement[..end]) {
            if let Some(path) = absolute(&module, path, modules) {
                imports.push(Import { path, name });
            }
        }
        rest = &statement[end..];
    }
    body.push_str(rest);
    let door = path.ends_with("/mod.rs") || path == "src/lib.rs";
    Source { door, defined: defined(&body), path, module, imports, body }
}

fn next_use(text: &str) -> Option<usize> {
    let starts = |at: usize| text[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == '{');
    text.match_indices("use ").map(|(at, _)| at).find(|at| starts(*at))
}

/// The names of a use tree: `a::{b, c as d, e::*}` is `a::b` as b, `a::c` as d, and all of `a::e`.
fn tree(text: &str) -> Vec<(Vec<String>, Option<String>)> {
    let text = text.trim();
    if let Some(open) = text.find('{') {
        let before: Vec<String> = super::words(&text[..open]).map(String::from).collect();
        let inside = text[open + 1..].trim_end().trim_end_matches('}');
        let mut found = Vec::new();
        for part in split_commas(inside) {
            for (path, name) in tree(part) {
                let own = path == ["self"];
                let path: Vec<String> =
                    before.iter().cloned().chain(path.into_iter().filter(|_| !own)).collect();
                let name = if own && name.as_deref() == Some("self") { path.last().cloned() } else { name };
                found.push((path, name));
            }
        }
        return found;
    }
    let (path, alias) = text.split_once(" as ").map_or((text, None), |(path, alias)| (path, Some(alias)));
    let glob = path.ends_with('*');
    let path: Vec<String> = super::words(path).map(String::from).collect();
    let name = alias.map(|a| a.trim().to_owned()).or_else(|| path.last().cloned()).filter(|_| !glob);
    if path.is_empty() { Vec::new() } else { vec![(path, name)] }
}

fn split_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// A path from the root of the crate; `None` for another crate's.
fn absolute(module: &[String], path: Vec<String>, modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|s| *s == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some(module.iter().chain(&path[1..]).cloned().collect()),
        "super" => {
            Some(module.get(..module.len().checked_sub(ups)?)?.iter().chain(&path[ups..]).cloned().collect())
        }
        first => {
            modules.contains(&join(module, first)).then(|| module.iter().chain(&path).cloned().collect())
        }
    }
}

/// The names that a file defines.
fn defined(body: &str) -> BTreeSet<String> {
    let words: Vec<&str> = super::words(body).collect();
    let defines = |pair: &&[&str]| match pair[0] {
        "fn" | "struct" | "enum" | "union" | "trait" | "type" | "macro_rules" => true,
        "const" | "static" => !["fn", "unsafe", "async", "mut"].contains(&pair[1]),
        _ => false,
    };
    words.windows(2).filter(defines).map(|pair| pair[1].to_owned()).collect()
}

struct House {
    sources: BTreeMap<Vec<String>, Source>,
}

impl House {
    fn of(&self, module: &[String]) -> Option<&Source> {
        self.sources.get(module)
    }

    /// The file that defines what a path names, seen from inside a module.
    fn definer(&self, module: &[String], rest: &[String], hops: usize) -> Option<&Source> {
        let (first, more) = rest.split_first()?;
        let child = join(module, first);
        if !more.is_empty() && self.of(&child).is_some() {
            return self.definer(&child, more, hops);
        }
        let source = self.of(module)?;
        if source.defined.contains(first) {
            return Some(source);
        }
        let hops = hops.checked_sub(1)?;
        let through = |import: &Import| {
            let more = if import.name.is_some() { more } else { rest };
            let path: Vec<String> = import.path.iter().chain(more).cloned().collect();
            self.definer(&[], &path, hops)
        };
        let named = source.imports.iter().filter(|i| i.name.as_deref() == Some(first.as_str()));
        let globs = source.imports.iter().filter(|i| i.name.is_none());
        named.chain(globs).find_map(through)
    }

    fn used_by(&self, source: &Source) -> BTreeSet<String> {
        let imported = source.imports.iter().filter_map(|i| self.definer(&[], &i.path, HOPS));
        let spoken = paths(&source.body).into_iter().filter_map(|path| self.spoken(source, path));
        let globs: Vec<&Import> = source.imports.iter().filter(|i| i.name.is_none()).collect();
        let words: BTreeSet<&str> =
            if globs.is_empty() { BTreeSet::new() } else { super::words(&source.body).collect() };
        let under_glob =
            words.into_iter().filter(|word| !source.defined.contains(*word)).filter_map(|word| {
                globs.iter().find_map(|glob| self.definer(&[], &join(&glob.path, word), HOPS))
            });
        imported
            .chain(spoken)
            .chain(under_glob)
            .filter(|used| !used.door && used.path != source.path)
            .map(|used| used.path.clone())
            .collect()
    }

    /// A file that calls a method of its own type which another file adds to it uses that other.
    fn methods(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for source in self.sources.values().filter(|source| !source.door) {
            for (of, methods) in inherent(&source.body) {
                let Some(home) = self.definer(&source.module, &[of.to_owned()], HOPS) else { continue };
                let calls = |m: &String| !home.defined.contains(m) && home.body.contains(&format!(".{m}("));
                if home.path != source.path && methods.iter().any(calls) {
                    found.push((home.path.clone(), source.path.clone()));
                }
            }
        }
        found
    }

    /// A path in an expression or a type.
    fn spoken(&self, source: &Source, path: Vec<String>) -> Option<&Source> {
        let ups = path.iter().take_while(|s| *s == "super").count();
        match path[0].as_str() {
            "crate" => self.definer(&[], &path[1..], HOPS),
            "self" => self.definer(&source.module, &path[1..], HOPS),
            "super" => {
                self.definer(source.module.get(..source.module.len().checked_sub(ups)?)?, &path[ups..], HOPS)
            }
            _ => self.definer(&source.module, &path, HOPS),
        }
    }
}

/// The inherent `impl` blocks: the type, and the methods.
fn inherent(body: &str) -> Vec<(&str, BTreeSet<String>)> {
    let mut found = Vec::new();
    for (at, _) in body.match_indices("\nimpl") {
        let block = &body[at..at + item_end(&body[at..])];
        let Some((head, inside)) = block.split_once('{') else { continue };
        let of = head.trim_start().trim_start_matches("impl");
        let of = if of.starts_with('<') { of.split_once("> ").map_or("", |(_, of)| of) } else { of };
        if !super::words(head).any(|word| word == "for") {
            found.extend(super::words(of).next().map(|of| (of, defined(inside))));
        }
    }
    found
}

/// The paths of two names or more: `a::b`, `a::b::<T>::c` up to its `<`.
fn paths(body: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut at = 0;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(colons) = body[at..].find("::").map(|n| n + at) {
        let start = body[..colons]
            .rfind(|c: char| !is_word(c))
            .map_or(0, |n| n + body[n..].chars().next().map_or(1, char::len_utf8));
        let end = body[colons..].find(|c: char| !is_word(c) && c != ':').map_or(body.len(), |n| n + colons);
        let path: Vec<String> = super::words(&body[start..end]).map(String::from).collect();
        if start < colons && path.len() > 1 {
            found.insert(path);
        }
        at = end.max(colons + 2);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let files: Vec<_> = files.iter().map(|(p, t)| (format!("src/{p}.rs"), crate::code(t))).collect();
        circles(&uses(&files))
    }

    /// Files `a/x`, `a/y` and `a/z` in a door; `x` uses `y`, `y` uses `z`, and `z` says this.
    fn closes(z: &str) -> bool {
        let door = "pub mod x;\npub mod y;\npub mod z;\npub use x::X;\npub use y::{Y as Why, y};\n";
        let x = "use super::y::Y;\npub struct X(Y);\nimpl X { pub fn x() {} }\npub enum E { A }\n";
        let y = "use crate::a::{z, x::E as _};\npub struct Y;\npub fn y() { z::z() }\n";
        let y = y.replace(", x::E as _", "");
        let circles = found(&[("a/mod", door), ("a/x", x), ("a/y", &y), ("a/z", z)]);
        assert!(circles.iter().all(|c| c.len() == 3), "{circles:?}");
        !circles.is_empty()
    }

    #[test]
    fn a_circle_is_found_however_it_is_closed() {
        let user = |line: &str| format!("pub fn z() {{}}\n{line}\n");
        for line in [
            "use super::x::X;",
            "use crate::a::x::{self, X};",
            "use crate::{a::{x::{X as Ex}}, b};",
            "use super::X;",
            "use crate::a::X;",
            "fn f() { crate::a::X::x() }",
            "fn f() { super::x::X::x() }",
            "use super::x;\nfn f() { x::X::x() }",
            "use super::x as ex;\nfn f() -> ex::X { todo!() }",
            "use crate::a;\nfn f() { a::X::x() }",
            "use super::*;\nfn f(x: X) {}",
            "use super::x::E::*;\nfn f() { A }",
            "fn f() { use super::x::X; }",
        ] {
            assert!(closes(&user(line)), "{line}");
        }
        for line in [
            "",
            "use std::x::X;",
            "use super::x;",
            "// use super::x::X;",
            "const S: &str = \"super::x::X\";",
            "#[cfg(test)]\nmod tests { use super::super::x::X; }",
            "#[cfg(test)]\nuse super::x::X;",
            "use super::z::z as w;",
            "use crate::a::Who;",
        ] {
            assert!(!closes(&user(line)), "{line}");
        }
    }

    #[test]
    fn doors_and_tests_are_no_part_of_a_circle() {
        let x = ("a/x", "use super::y::Y;\nuse super::TABLE;\npub struct X;\n");
        let door = "mod x;\nmod y;\n#[cfg(test)]\nmod tests;\npub static TABLE: &[X] = &[x::X];\n";
        let tests = "use crate::a::y::Y;\nuse crate::a::x::X;\npub const T: u8 = 0;\n";
        let y = "pub struct Y;\n#[cfg(test)]\nmod t { use crate::a::tests::T; }\n";
        assert!(found(&[("a/mod", door), x, ("a/y", y), ("a/tests", tests)]).is_empty());
    }

    #[test]
    fn a_type_that_calls_what_another_file_adds_to_it_uses_that_file() {
        let x = "pub struct X;\nimpl X { fn a(&self) { self.b() } }\n";
        let y = "use super::x::X;\n\nimpl X { pub fn b(&self) {} }\n";
        let door = "mod x;\nmod y;\n";
        assert_eq!(found(&[("a/mod", door), ("a/x", x), ("a/y", y)]).len(), 1);
        let other = y.replace("impl X", "impl From<X>").replace("pub fn b", "fn c");
        assert_eq!(found(&[("a/mod", door), ("a/x", x), ("a/y", &other)]).len(), 0);
    }

    #[test]
    fn a_table_of_circles_can_only_shrink() {
        let file = |uses: &[&str]| uses.iter().map(|f| (*f).to_owned()).collect::<BTreeSet<String>>();
        let uses: BTreeMap<_, _> =
            [("a", &["b"][..]), ("b", &["c"]), ("c", &["f"]), ("f", &["a"]), ("d", &["e"]), ("e", &["d"])]
                .into_iter()
                .map(|(name, uses)| (name.to_owned(), file(uses)))
                .collect();
        assert_eq!(complaints(&uses, &[&["a", "b", "c", "f"]]), Vec::<String>::new());
        assert_eq!(complaints(&uses, &[]).len(), 1);
        // What the row says and the files do not do: a circle it does not name, and rows for none.
        assert!(!complaints(&uses, &[&["a", "b"]]).is_empty());
        assert_eq!(complaints(&uses, &[&["a", "b", "c", "f", "d"]]).len(), 1);
    }
}
