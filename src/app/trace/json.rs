//! A course as JSON.

use serde_json::{Value, json};

use crate::config::Config;
use crate::lang::Span;
use crate::lang::source::SourceMap;
use crate::rules::witness::Event;

use super::course::Course;
use super::message::Message;
use super::text::{place, written};

fn rule(sources: &SourceMap, at: Span) -> Value {
    json!({ "at": place(sources, at), "text": written(sources, at) })
}

fn step(event: &Event, sources: &SourceMap) -> Option<Value> {
    Some(match event {
        Event::Test { name, text, at, samples, verdict } => json!({
            "step": "acl", "name": &**name, "text": &**text, "at": place(sources, *at), "samples": samples,
            "matches": verdict,
        }),
        Event::Condition { at, holds } => {
            json!({ "step": "condition", "rule": rule(sources, *at), "holds": holds })
        }
        Event::Rule { set, at, outcome } => {
            json!({ "step": "rule", "set": set, "rule": rule(sources, *at), "outcome": outcome })
        }
        Event::Lookup { passed_over, samples } => {
            json!({ "step": "lookup", "passed_over": passed_over, "samples": samples })
        }
        Event::Backend { name, how, at } => {
            json!({ "step": "backend", "name": name, "how": how, "at": at.map(|at| place(sources, at)) })
        }
        Event::Server { name, how } => json!({ "step": "server", "name": name, "how": how }),
        Event::Asked { backend, server, status } => {
            json!({ "step": "asked", "backend": backend, "server": server, "status": status })
        }
        Event::Log { .. } => return None,
    })
}

fn message(message: &Message) -> Value {
    let fields: Vec<_> = message.fields.iter().map(|(name, value)| json!([name, value])).collect();
    json!({
        "proxy_header": (!message.preface.is_empty()).then(|| String::from_utf8_lossy(&message.preface)),
        "line": message.line,
        "fields": fields,
        "body": String::from_utf8_lossy(&message.body),
    })
}

/// Everything, for programs.
pub fn json(course: &Course, config: &Config, sources: &SourceMap) -> String {
    let bind = course.entrance.line(config).map(|line| rule(sources, line.declared_at));
    let steps: Vec<Value> = course.events.iter().filter_map(|event| step(event, sources)).collect();
    let logs: Vec<Value> =
        course.logs().map(|(line, is_sent)| json!({ "line": line, "is_sent": is_sent })).collect();
    let value = json!({
        "frontend": course.frontend,
        "why": course.entrance.why,
        "bind": bind,
        "steps": steps,
        "backend": course.backend(),
        "server": course.server(),
        "request": course.request().as_ref().map(message),
        "response": course.response().as_ref().map(message),
        "closed": course.has_ended,
        "waited_ms": course.waited_ms,
        "fault": course.fault,
        "log": logs,
    });
    format!("{value:#}\n")
}
