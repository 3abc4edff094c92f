//! `cache` sections.

use std::sync::Arc;

use crate::filter::cache::{Cache, Settings};
use crate::lang::void::is_void_line;
use crate::lang::{Entry, Section, Severity, registry, suggest};

use super::draft::Cx;
use super::keyword::too_many;
use crate::lang::args::Args;

/// Lines of a `cache` section.
#[rustfmt::skip]
pub const LINES: &[Entry] = &[
    Entry::full("max-age", "<seconds>", "Longest time that a response is used; 60 if not said.", "max-age 240", "1.8"),
    Entry::full("max-object-size", "<bytes>", "Most bytes of a response; a 256th of all if not said.", "max-object-size 10000", "1.9"),
    Entry::full("max-secondary-entries", "<number>", "Most responses to one URL that vary; 10 if not said.", "max-secondary-entries 12", "2.4"),
    Entry::full("process-vary", "{ on | off }", "Whether responses that vary are stored.", "process-vary on", "2.4"),
    Entry::full("total-max-size", "<megabytes>", "Memory of the cache.", "total-max-size 4", "1.8"),
];

/// Most megabytes of a cache.
const MOST: u64 = 4095;

pub fn section<'a>(cx: &mut Cx<'a>, section: &'a Section) {
    let args = Args::of(&section.head);
    let name = args.str(1);
    if name.is_empty() {
        return cx.diags.alert(args.span, "'cache' expects a <name> argument");
    }
    if too_many(cx, args, 0, 1) {
        return;
    }
    let mut settings = Settings {
        name: name.into(),
        total: 0,
        max_object: 0,
        max_age_s: 60,
        process_vary: false,
        max_secondary: 10,
    };
    let told = cx.diags.list.len();
    for line in &section.lines {
        let args = Args::of(line);
        if !is_void_line(registry::Kind::In("cache"), args.words) {
            cache_line(cx, args, &mut settings);
        }
    }
    // A size that is wrong was told of.
    let is_wrong = cx.diags.list[told..].iter().any(|d| d.severity == Severity::Alert);
    if settings.total > 0 || !is_wrong {
        finish(cx, settings, args);
    }
}

fn cache_line<'a>(cx: &mut Cx<'a>, args: Args<'a>, settings: &mut Settings) {
    let name = args.str(0);
    match name {
        "total-max-size" => {
            if let Some(size) = number(cx, args) {
                if size > MOST {
                    let message = format!("\"total-max-size\" ({size}) must not be greater than {MOST}");
                    return cx.diags.alert(args.at(1), message);
                }
                settings.total = size << 20;
            }
        }
        "max-object-size" => settings.max_object = number(cx, args).unwrap_or(0),
        "max-age" if !args.has(1) => {
            cx.diags.warning(args.span, "'max-age' expects an age parameter in seconds.");
        }
        "max-age" => settings.max_age_s = number(cx, args).unwrap_or(60),
        "process-vary" => match args.str(1) {
            "on" => settings.process_vary = true,
            "off" => settings.process_vary = false,
            _ => {
                let message = "'process-vary' expects \"on\" or \"off\" (enable or disable vary processing).";
                cx.diags.warning(args.at(1), message);
            }
        },
        "max-secondary-entries" => match number(cx, args) {
            Some(0) => cx.diags.alert(args.at(1), "max-secondary-entries wrong value '0'"),
            Some(n) => settings.max_secondary = n as usize,
            None => {}
        },
        _ => {
            let hint = suggest::hint(name, LINES.iter().map(|e| e.name));
            let message = format!("unknown keyword '{name}' in 'cache' section");
            cx.diags.alert_hint(args.at(0), message, hint);
        }
    }
}

fn number<'a>(cx: &mut Cx<'a>, args: Args<'a>) -> Option<u64> {
    if too_many(cx, args, 0, 1) {
        return None;
    }
    let value = args.str(1).parse().ok();
    if value.is_none() {
        cx.diags.alert(args.at(1), format!("{} wrong value '{}'", args.str(0), args.str(1)));
    }
    value
}

/// A section that says what the running one says goes on with what is stored.
fn finish<'a>(cx: &mut Cx<'a>, mut settings: Settings, args: Args<'a>) {
    let name = settings.name.clone();
    if settings.total == 0 {
        return cx.whole(Severity::Alert, args.at(1), format!("Size not specified for cache '{name}'"));
    }
    if settings.max_object == 0 {
        settings.max_object = settings.total / 256;
    }
    if settings.max_object > settings.total / 2 {
        let message = format!(
            "\"max-object-size\" is limited to an half of \"total-max-size\" => {}",
            settings.total / 2
        );
        return cx.whole(Severity::Alert, args.at(1), message);
    }
    let running = cx.inputs.previous.and_then(|config| config.caches.get(&name));
    let cache = match running.filter(|cache| cache.settings == settings) {
        Some(cache) => cache.clone(),
        None => Arc::new(Cache::new(settings)),
    };
    if cx.caches.insert(name.clone(), cache).is_some() {
        cx.diags.alert(args.at(1), format!("cache '{name}' was declared already."));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{build_on, build_text, messages};
    use super::*;

    #[test]
    fn what_a_section_says() {
        let text = "cache c\n total-max-size 2\n max-object-size 1000\n max-age 5\n process-vary on\n \
                    max-secondary-entries 3\ncache d\n total-max-size 1\n";
        let (built, diags) = build_text(text);
        let config = built.unwrap_or_else(|| panic!("{:?}", messages(&diags))).config;
        let said = Settings {
            name: "c".into(),
            total: 2 << 20,
            max_object: 1000,
            max_age_s: 5,
            process_vary: true,
            max_secondary: 3,
        };
        assert_eq!(config.caches["c"].settings, said);
        let rest = Settings {
            name: "d".into(),
            total: 1 << 20,
            max_object: 4096,
            max_age_s: 60,
            process_vary: false,
            max_secondary: 10,
        };
        assert_eq!(config.caches["d"].settings, rest);
        let (again, _) = build_on(&text.replace("max-age 5", "max-age 6"), Some(&config));
        let again = again.expect("it is well").config;
        let stays = |name| Arc::ptr_eq(&config.caches[name], &again.caches[name]);
        assert!(stays("d") && !stays("c"));
    }

    #[test]
    fn what_is_wrong_with_a_section() {
        for (text, expected) in [
            ("cache", "'cache' expects a <name> argument"),
            ("cache c d", "'cache' cannot handle unexpected argument 'd'."),
            ("cache c", "Size not specified for cache 'c'"),
            ("cache c\n total-max-size 4096", "\"total-max-size\" (4096) must not be greater than 4095"),
            ("cache c\n total-max-size x", "total-max-size wrong value 'x'"),
            (
                "cache c\n total-max-size 4\n max-object-size 3000000",
                "\"max-object-size\" is limited to an half of \"total-max-size\" => 2097152",
            ),
            ("cache c\n total-max-size 4\n max-secondary-entries 0", "max-secondary-entries wrong value '0'"),
            ("cache c\n total-max-size 4\n max-agee 1", "unknown keyword 'max-agee' in 'cache' section"),
            ("cache c\n total-max-size 4\ncache c\n total-max-size 4", "cache 'c' was declared already."),
        ] {
            let (built, diags) = build_text(&format!("{text}\n"));
            let all = messages(&diags);
            assert!(built.is_none() && all.iter().any(|m| m.contains(expected)), "{text}: {all:?}");
        }
    }
}
