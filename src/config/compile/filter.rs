//! `compression` and `filter` lines, and the filters that a section has by them.

use crate::filter::Spec;
use crate::filter::compression::{Algorithm, Settings};
use crate::lang::time::size;
use crate::lang::void::is_void;
use crate::lang::{Entry, Severity, registry, suggest};

use super::draft::{Cx, Draft, Kind, Step};
use super::keyword::Scope;
use crate::lang::args::Args;

/// What may follow `filter`.
#[rustfmt::skip]
pub const FILTERS: &[Entry] = &[
    Entry::full("cache", "<name>", "Stores responses in a cache, at this place among filters.", "filter cache site", "1.8"),
    Entry::full("comp-req", "", "Compresses requests, at this place among filters.", "filter comp-req", "3.3"),
    Entry::full("comp-res", "", "Compresses responses, at this place among filters.", "filter comp-res", "3.3"),
    Entry::full("compression", "", "Compresses messages, at this place among filters.", "filter compression", "1.7"),
];

/// `compression { algo | type | direction | offload | ... } ...`.
pub fn compression_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let mut settings = scope.px.set.compression.take().unwrap_or_default();
    compression(scope, args, &mut settings);
    scope.px.set.compression = Some(settings);
}

fn compression<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>, settings: &mut Settings) {
    let word = args.str(1);
    let of_requests = word.ends_with("-req");
    let direction = if of_requests { &mut settings.request } else { &mut settings.response };
    match word {
        "algo" | "algo-res" | "algo-req" => {
            let names = args.from(2).words;
            if names.is_empty() || (of_requests && names.len() > 1) {
                let what = if of_requests { "one <algorithm>" } else { "<algorithm>" };
                return scope.alert(args.at(2), format!("'compression' expects {what}."));
            }
            for name in names {
                let Some(algorithm) = Algorithm::of(name.str()) else {
                    let message = format!("'compression' : '{}' is not a supported algorithm.", name.str());
                    let hint = suggest::hint(name.str(), ["identity", "gzip", "deflate", "raw-deflate"]);
                    return scope.cx.diags.alert_hint(name.span, message, hint);
                };
                direction.algorithms.push(algorithm);
            }
        }
        "type" | "type-res" | "type-req" => {
            let types = args.from(2).words;
            if types.is_empty() {
                return scope.alert(args.at(2), "'compression' expects <type>.");
            }
            direction.types.extend(types.iter().map(|t| t.bytes().into()));
        }
        "minsize-req" | "minsize-res" => match size(args.str(2)) {
            Ok(least) => direction.least = least,
            Err(_) => scope.alert(args.at(2), format!("'compression {word}' expects a size.")),
        },
        "offload" if scope.px.kind == Kind::Defaults => {
            scope.warning(args.at(1), "'compression' : 'offload' ignored in 'defaults' section.");
        }
        "offload" => settings.offload = true,
        "direction" => match args.str(2) {
            "request" => (settings.of_requests, settings.of_responses) = (true, false),
            "response" => (settings.of_requests, settings.of_responses) = (false, true),
            "both" => (settings.of_requests, settings.of_responses) = (true, true),
            _ => scope.alert(args.at(2), "'compression direction' expects 'request', 'response', or 'both'."),
        },
        _ => {
            let message = "'compression' expects 'algo', 'type', 'direction', 'offload', 'algo-req', 'algo-res', \
                           'type-req', 'type-res', 'minsize-req' or 'minsize-res'";
            scope.alert(args.at(1), message);
        }
    }
}

/// `filter <name> [param*]`.
pub fn filter_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = args.str(1);
    if name.is_empty() {
        let title = scope.title();
        return scope.alert(args.span, format!("missing argument for 'filter' in {title}."));
    }
    let Some(entry) = FILTERS.iter().find(|e| e.name == name) else {
        return unknown(scope, args);
    };
    if is_void(registry::Kind::Filter, entry.name) {
        return;
    }
    let most = if name == "cache" { 3 } else { 2 };
    if args.has(most) {
        let message = format!("'filter {name}' : unknown keyword '{}'.", args.str(most));
        return scope.alert(args.at(most), message);
    }
    if name == "cache" && !args.has(2) {
        return scope.alert(args.at(1), "'filter' : 'cache : expects a <name> argument'");
    }
    scope.px.filters.push(args);
}

fn unknown(scope: &mut Scope<'_, '_>, args: Args<'_>) {
    let name = args.str(1);
    let why = match name {
        "trace" => "there are no traces",
        "spoe" => "nobody else is asked about streams",
        "fcgi-app" => "FastCGI is not part of it",
        _ => {
            let hint = suggest::hint(name, FILTERS.iter().map(|e| e.name));
            let message = format!("'filter' : unknown keyword '{name}'.");
            return scope.cx.diags.alert_hint(args.at(1), message, hint);
        }
    };
    scope.alert(args.at(1), format!("'filter {name}' is not supported by this release: {why}."));
}

/// The filters of a section in order: those of its lines, and those that other words imply.
pub fn filters<'a>(cx: &mut Cx<'a>, draft: &Draft<'a>, base: Option<&Draft<'a>>) -> Vec<Spec> {
    let mut list = Vec::new();
    for args in &draft.filters {
        one_filter(cx, draft, *args, &mut list);
    }
    let needs_order = list.iter().any(Spec::needs_order);
    let is_explicit = |list: &[Spec]| list.iter().any(Spec::compresses);
    for (name, at) in caches_of_rules(draft, base) {
        let Some(cache) = cx.caches.get(name).cloned() else { continue }; // the rule was told
        let spec = Spec::Cache(cache);
        if list.contains(&spec) {
            continue;
        }
        if needs_order || is_explicit(&list) {
            let title = draft.title();
            let message = if needs_order {
                format!("{title}: require an explicit filter declaration to use the cache '{name}'.")
            } else {
                format!("{title}: unable to enable the compression filter before the cache '{name}'.")
            };
            cx.whole(Severity::Alert, at, message);
        }
        list.push(spec);
    }
    let settings = draft.set.compression.as_ref();
    let compresses =
        settings.is_some_and(|s| !(s.request.algorithms.is_empty() && s.response.algorithms.is_empty()));
    if !compresses {
        list.retain(|spec| !spec.compresses());
    } else if !is_explicit(&list) {
        if needs_order {
            let message =
                format!("{}: require an explicit filter declaration to use HTTP compression", draft.title());
            cx.whole(Severity::Alert, draft.at, message);
        }
        list.extend([Spec::CompressRequests, Spec::CompressResponses]);
    }
    if draft.set.mode.has_messages() { list } else { Vec::new() }
}

fn one_filter<'a>(cx: &mut Cx<'a>, draft: &Draft<'a>, args: Args<'a>, list: &mut Vec<Spec>) {
    let name = args.str(2);
    let specs = match args.str(1) {
        "comp-req" => vec![Spec::CompressRequests],
        "comp-res" => vec![Spec::CompressResponses],
        "compression" => vec![Spec::CompressRequests, Spec::CompressResponses],
        _ => match cx.caches.get(name) {
            Some(cache) => vec![Spec::Cache(cache.clone())],
            None => {
                let hint = suggest::hint(name, cx.caches.keys().map(|name| &**name));
                let message = format!(
                    "{}: unable to find the cache '{name}' referenced by the filter 'cache'.",
                    draft.title()
                );
                return cx.whole_hint(Severity::Alert, args.at(2), message, hint);
            }
        },
    };
    if specs.iter().any(|spec| list.contains(spec)) {
        let message = match args.str(1) {
            "cache" => format!("multiple explicit declarations of the cache filter '{name}'"),
            _ => "Proxy supports only one compression filter".to_owned(),
        };
        return cx.whole(Severity::Alert, args.at(1), format!("'filter' : '{}: {message}'", draft.name));
    }
    if matches!(specs[..], [Spec::Cache(_)]) && list.iter().any(Spec::compresses) {
        let message =
            format!("{}: unable to enable the compression filter before the cache '{name}'.", draft.title());
        return cx.whole(Severity::Alert, args.at(1), message);
    }
    list.extend(specs);
}

/// The caches that rules name, those of the `defaults` section too.
fn caches_of_rules<'a>(
    draft: &Draft<'a>,
    base: Option<&Draft<'a>>,
) -> impl Iterator<Item = (&'a str, crate::lang::Span)> {
    let steps = base.map_or(&[][..], |base| &base.steps).iter().chain(&draft.steps);
    let named = steps.filter_map(|step| match step {
        Step::HttpRequest(args) if args.str(1) == "cache-use" => Some((args.str(2), args.at(2))),
        Step::HttpResponse(args) if args.str(1) == "cache-store" => Some((args.str(2), args.at(2))),
        _ => None,
    });
    named.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{build_text, messages};
    use super::*;

    const CACHE: &str = "cache c\n total-max-size 4\n";

    /// The filters of a backend of these lines, in short.
    fn list(lines: &str) -> Result<Vec<&'static str>, Vec<String>> {
        let text = format!(
            "{CACHE}backend b\n mode http\n server s 127.0.0.1:80\n {}\n",
            lines.replace("; ", "\n ")
        );
        let (built, diags) = build_text(&text);
        let Some(built) = built else { return Err(messages(&diags)) };
        let name = |spec: &Spec| match spec {
            Spec::CompressRequests => "req",
            Spec::CompressResponses => "res",
            Spec::Cache(_) => "cache",
        };
        Ok(built.config.proxies[0].filters.iter().map(name).collect())
    }

    #[test]
    fn the_order_of_filters() {
        for (lines, expected) in [
            ("", &[][..]),
            ("compression type text/html", &[]),
            ("compression algo gzip", &["req", "res"]),
            ("filter compression", &[]),
            ("http-request cache-use c", &["cache"]),
            ("http-response cache-store c; compression algo gzip", &["cache", "req", "res"]),
            (
                "filter cache c; filter comp-res; filter comp-req; compression algo gzip",
                &["cache", "res", "req"],
            ),
            ("filter comp-res; compression algo gzip", &["res"]),
            ("filter comp-req; compression algo gzip", &["req"]),
            ("filter cache c", &["cache"]),
            (
                "filter cache c; filter compression; compression algo gzip; http-request cache-use c",
                &["cache", "req", "res"],
            ),
        ] {
            assert_eq!(list(lines).as_deref(), Ok(expected), "{lines}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line() {
        for (lines, expected) in [
            ("filter", "missing argument for 'filter' in backend 'b'."),
            ("filter foo", "'filter' : unknown keyword 'foo'."),
            ("filter trace", "'filter trace' is not supported by this release"),
            ("filter compression x", "'filter compression' : unknown keyword 'x'."),
            ("filter compression; filter compression", "Proxy supports only one compression filter"),
            ("filter cache", "'cache : expects a <name> argument'"),
            ("filter cache d", "unable to find the cache 'd' referenced by the filter 'cache'."),
            ("filter cache c; filter cache c", "multiple explicit declarations of the cache filter 'c'"),
            ("http-request cache-use d", "unable to find the cache 'd'"),
            ("http-request cache-use", "expects a cache name"),
            (
                "filter compression; compression algo gzip; http-request cache-use c",
                "unable to enable the compression filter before the cache 'c'.",
            ),
            ("compression", "'compression' expects 'algo', 'type'"),
            ("compression algo", "'compression' expects <algorithm>."),
            ("compression algo gzap", "'compression' : 'gzap' is not a supported algorithm."),
            ("compression type", "'compression' expects <type>."),
            ("compression direction up", "expects 'request', 'response', or 'both'"),
            ("compression minsize-res x", "expects a size"),
        ] {
            let all = list(lines).expect_err(lines);
            assert!(all.iter().any(|m| m.contains(expected)), "{lines}: {all:?}");
        }
    }

    #[test]
    fn compression_is_handed_down() {
        let text = "defaults\n mode http\n compression algo gzip\n compression type text/html\n \
                    compression minsize-res 1k\nbackend b\n compression type text/plain\n compression offload\n \
                    server s 127.0.0.1:80\nbackend c\n server s 127.0.0.1:80\n";
        let config = build_text(text).0.expect("it is well").config;
        let of = |at: usize| config.proxies[at].compression.as_ref().expect("settings");
        assert_eq!((of(0).response.types.len(), of(0).offload, of(0).response.least), (2, true, 1024));
        assert_eq!((of(1).response.types.len(), of(1).offload), (1, false));
        assert_eq!(config.proxies[1].filters.len(), 2);
    }

    #[test]
    fn limits_of_compression() {
        let text = "global\n maxcomprate 10\n maxzlibmem 1\n maxcompcpuusage 60\n tune.comp.maxlevel 3\n";
        let limits = build_text(text).0.expect("it is well").config.global.compression;
        assert_eq!((limits.rate, limits.memory, limits.level, limits.least_idle), (10_240, 1 << 20, 3, 40));
        for wrong in ["maxcompcpuusage 101", "tune.comp.maxlevel 10"] {
            assert!(build_text(&format!("global\n {wrong}\n")).0.is_none(), "{wrong}");
        }
    }
}
