//! A course as text.

use std::fmt::Write;

use crate::config::Config;
use crate::lang::Span;
use crate::lang::source::SourceMap;
use crate::rules::witness::Event;

use super::course::Course;

/// `file:line`.
pub fn place(sources: &SourceMap, at: Span) -> String {
    format!("{}:{}", sources.name(at.file), at.line)
}

/// The line of a configuration as it was written.
pub fn written(sources: &SourceMap, at: Span) -> &str {
    sources.line(at).unwrap_or_default().trim()
}

/// Everything, for people.
pub fn text(course: &Course, config: &Config, sources: &SourceMap) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "frontend {}  ({})", course.frontend, course.entrance.why);
    if let Some(line) = course.entrance.line(config) {
        let _ =
            writeln!(out, "    {}: {}", place(sources, line.declared_at), written(sources, line.declared_at));
    }
    let mut rules = Rules { sources, tests: Vec::new(), last: None };
    for event in &course.events {
        rules.tell(event, &mut out);
    }
    if let Some(fault) = &course.fault {
        let _ = writeln!(out, "TLS fails: {fault}");
    }
    if course.waited_ms > 0 {
        let _ = writeln!(out, "(after waiting for some {} ms)", course.waited_ms);
    }
    match (course.request(), &course.at_server) {
        (Some(request), _) => block(&mut out, "request to the server", request.lines()),
        (None, Some(bytes)) => block(&mut out, "to the server", vec![format!("{} bytes", bytes.len())]),
        (None, None) => out += "no server is asked\n",
    }
    match course.response() {
        Some(response) => block(&mut out, "answer", response.lines()),
        None if !course.answer.is_empty() => {
            block(&mut out, "answer", vec![format!("{} bytes", course.answer.len())]);
        }
        None if course.has_ended => out += "no answer: the connection is closed\n",
        None => out += "no answer\n",
    }
    for (line, is_sent) in course.logs() {
        block(&mut out, if is_sent { "log" } else { "log (sent to nobody)" }, vec![line.to_owned()]);
    }
    out
}

fn block(out: &mut String, title: &str, lines: Vec<String>) {
    let _ = writeln!(out, "{title}:");
    for line in lines {
        let _ = writeln!(out, "{}", format!("    {line}").trim_end());
    }
}

/// Puts what belongs to a rule below it.
struct Rules<'s> {
    sources: &'s SourceMap,
    tests: Vec<String>,
    /// The rule that was written last.
    last: Option<(crate::lang::source::FileId, u32)>,
}

impl Rules<'_> {
    fn tell(&mut self, event: &Event, out: &mut String) {
        match event {
            Event::Test { name, text, at, samples, verdict } => {
                let of = match &**name {
                    "" => text.to_string(),
                    name => format!("{name}  ({} {text})", place(self.sources, *at)),
                };
                let samples = match &samples[..] {
                    [] => "no sample".to_owned(),
                    all => {
                        all.iter().map(|s| format!("\"{}\"", s.escape_debug())).collect::<Vec<_>>().join(", ")
                    }
                };
                self.tests.push(format!("    {of}  {samples}  {verdict}"));
            }
            Event::Condition { at, holds } => {
                self.rule(*at, out);
                for test in self.tests.drain(..) {
                    let _ = writeln!(out, "{test}");
                }
                if !holds {
                    let _ = writeln!(out, "    does not apply");
                }
            }
            Event::Rule { at, outcome, .. } => {
                self.rule(*at, out);
                let _ = writeln!(out, "    applies: {outcome}");
            }
            Event::Lookup { passed_over, samples } if *passed_over > 0 => {
                let samples = samples.join(", ");
                let _ =
                    writeln!(out, "({passed_over} rules about {samples} passed over: none of them can hold)");
            }
            Event::Lookup { .. } => {}
            Event::Backend { name, how, at } => {
                let at = at.map(|at| format!(", {}", place(self.sources, at))).unwrap_or_default();
                let _ = writeln!(out, "backend {name}  ({how}{at})");
            }
            Event::Server { name, how } => {
                let _ = writeln!(out, "server {name}  ({how})");
            }
            Event::Asked { backend, server, status } => {
                let _ = writeln!(out, "    asks {backend}/{server}: {status}");
            }
            Event::Log { .. } => {}
        }
    }

    fn rule(&mut self, at: Span, out: &mut String) {
        if self.last.replace((at.file, at.line)) != Some((at.file, at.line)) {
            let _ = writeln!(out, "{}: {}", place(self.sources, at), written(self.sources, at));
        }
    }
}
