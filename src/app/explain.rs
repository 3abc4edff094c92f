//! `isobar explain NAME`, and the page of all keywords: the registry in words.

use std::fmt::Write;

use crate::lang::entry::Status;
use crate::lang::registry::{Item, Kind, Registry, Shape};
use crate::lang::suggest;

/// What a name means, wherever it means something.
///
/// `name` may have its context before it: `server check`, `option httplog`, `http-request deny`, `global log`.
/// The error is the text for a name that nobody knows, with the nearest ones.
pub fn explain(name: &str, registry: &Registry) -> Result<String, String> {
    let items = registry.items();
    let found: Vec<_> = items.iter().filter(|item| is_called(item, name)).collect();
    if !found.is_empty() {
        return Ok(found.iter().map(|item| describe(item)).collect::<Vec<_>>().join("\n"));
    }
    let begun: Vec<_> =
        items.iter().filter(|item| full_name(item).starts_with(&format!("{name} "))).collect();
    if !begun.is_empty() {
        let lines: String =
            begun.iter().map(|i| format!("{:<44} {}\n", full_name(i), status(i.status))).collect();
        return Ok(lines);
    }
    let mut names: Vec<_> = items.iter().map(|item| item.name).collect();
    names.sort_unstable();
    names.dedup();
    let hint = suggest::hint(name, names).map(|hint| format!("; {hint}")).unwrap_or_default();
    Err(format!("no keyword is named '{name}'{hint}"))
}

/// The name as it is or with what stands before it in a configuration.
fn is_called(item: &Item, name: &str) -> bool {
    let alias = item.kind == Kind::LogAlias && name.strip_prefix('%') == Some(item.name);
    item.name == name || full_name(item) == name || alias
}

fn full_name(item: &Item) -> String {
    match item.kind.lead() {
        "" => item.name.to_owned(),
        lead => format!("{lead} {}", item.name),
    }
}

fn status(status: Status) -> String {
    match status {
        Status::Full => "works".to_owned(),
        Status::Partial(why) => format!("works in part: {why}"),
        Status::Accepted(why) => format!("accepted without effect: {why}"),
        Status::Refused(why) => format!("refused: {why}"),
    }
}

fn describe(item: &Item) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "    {label:<8} {value}");
        }
    };
    let entry = item.entry;
    line("what", entry.map_or("", |e| e.doc));
    line("usage", &usage(item));
    line("example", entry.map_or("", |e| e.example));
    line("where", &sites(item));
    line("since", &entry.map_or_else(String::new, |e| since(e.since)));
    line("status", &status(item.status));
    format!("{} ({})\n{text}", full_name(item), item.kind.label())
}

fn since(version: &str) -> String {
    if version == "isobar" { "Isobar, not in HAProxy".to_owned() } else { format!("HAProxy {version}") }
}

fn usage(item: &Item) -> String {
    if let Some(entry) = item.entry {
        let gap = if entry.args.is_empty() || entry.args.starts_with('(') { "" } else { " " };
        return format!("{}{gap}{}", item.name, entry.args);
    }
    match item.shape {
        Some(Shape::Fetch { args, .. } | Shape::Converter { args, .. }) if !args.is_empty() => {
            format!("{}({args})", item.name)
        }
        Some(Shape::Criterion { fetch, matching }) => format!("{fetch} -m {matching}"),
        _ => String::new(),
    }
}

/// Where a word may stand, as far as its shape tells.
fn sites(item: &Item) -> String {
    match item.shape {
        Some(Shape::Sides { sides, .. }) => {
            let names = [('D', "defaults"), ('F', "frontend"), ('L', "listen"), ('B', "backend")];
            let taken = names.iter().filter(|(letter, _)| sides.contains(*letter));
            taken.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
        }
        Some(Shape::Caps(caps)) => {
            let names = [("FE", "frontend"), ("BE", "backend"), ("HTTP", "in mode http")];
            let taken = names.iter().filter(|(cap, _)| caps.split(' ').any(|c| c == *cap));
            taken.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
        }
        Some(Shape::Fetch { out, .. }) => format!("gives {out}"),
        Some(Shape::Converter { from, to, .. }) => format!("from {from} to {to}"),
        _ => String::new(),
    }
}

/// `conf/KEYWORDS.md`: one table a kind of what works, and the names of what does not.
pub fn keywords_markdown(registry: &Registry) -> String {
    let items = registry.items();
    let mut out = String::from(
        "# Keywords\n\nEvery name that HAProxy 3.4 or Isobar knows, and how far Isobar supports it. Generated from the \
         keyword tables by `UPDATE_EXPECT=1 cargo test --test coverage`; `isobar explain NAME` says the same.\n\n",
    );
    summary(&mut out, &items);
    for of_kind in items.chunk_by(|a, b| a.kind == b.kind) {
        chapter(&mut out, of_kind);
    }
    out
}

fn is_refused(item: &&Item) -> bool {
    matches!(item.status, Status::Refused(_))
}

fn summary(out: &mut String, items: &[Item]) {
    *out += "| kind | works | refused |\n|---|---:|---:|\n";
    for of_kind in items.chunk_by(|a, b| a.kind == b.kind) {
        let refused = of_kind.iter().filter(is_refused).count();
        let (kind, works) = (of_kind[0].kind.label(), of_kind.len() - refused);
        let _ = writeln!(out, "| {kind} | {works} | {refused} |");
    }
}

fn chapter(out: &mut String, items: &[Item]) {
    let _ = writeln!(out, "\n## {}\n", items[0].kind.label());
    let (refused, works): (Vec<&Item>, Vec<&Item>) = items.iter().partition(is_refused);
    if !works.is_empty() {
        *out += "| name | arguments | what | since | status |\n|---|---|---|---|---|\n";
        for item in &works {
            let (args, doc, since) = item.entry.map_or(("", "", ""), |e| (e.args, e.doc, e.since));
            let (name, args, doc) = (cell(item.name), code(args), cell(doc));
            let _ = writeln!(out, "| `{name}` | {args} | {doc} | {since} | {} |", cell(&status(item.status)));
        }
    }
    if !refused.is_empty() {
        let names: Vec<_> = refused.iter().map(|item| format!("`{}`", item.name)).collect();
        let gap = if works.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{gap}Refused: {}.", names.join(", "));
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", cell(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::keywords::registry;

    #[test]
    fn names_are_explained_with_or_without_their_context() {
        let registry = registry();
        let text = explain("setenv", &registry).expect("a keyword");
        assert!(
            text.starts_with("global setenv (global keyword)\n    what     Sets an environment"),
            "{text}"
        );
        assert!(text.contains("since    HAProxy 1.6\n    status   works\n"), "{text}");
        assert_eq!(explain("global setenv", &registry), Ok(text));
        assert!(explain("http-request", &registry).is_ok());
        let listing = explain("hold", &registry).or_else(|_| explain("resolvers hold", &registry));
        assert!(listing.is_ok_and(|text| text.contains("resolvers hold nx")));
        assert!(explain("%Tq", &registry).expect("an alias").starts_with("Tq (log format alias)"));
    }

    #[test]
    fn unknown_names_have_neighbours() {
        let error = explain("setnev", &registry()).expect_err("no keyword");
        assert_eq!(error, "no keyword is named 'setnev'; did you mean 'setenv' maybe ?");
        assert_eq!(explain("qqqqqqq", &registry()), Err("no keyword is named 'qqqqqqq'".into()));
    }
}
