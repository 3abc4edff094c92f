//! Whether what became of a request is what was expected.

use super::course::Course;
use super::message::Message;
use super::script::Expected;

/// What is the case instead; `None`: it is as expected.
pub fn differs(expected: &Expected, course: &Course) -> Option<String> {
    match expected {
        Expected::Frontend(name) => other(name, &course.frontend),
        Expected::Backend(name) => other(name, course.backend().unwrap_or("none")),
        Expected::Server(name) if name == "any" => {
            course.server().is_none().then(|| "no server is asked".to_owned())
        }
        Expected::Server(name) => other(name, course.server().unwrap_or("none")),
        Expected::Status(status) => match course.response().and_then(|response| response.status()) {
            Some(found) => (found != *status).then(|| format!("it is {found}")),
            None => Some("there is no answer".to_owned()),
        },
        Expected::Header(name, value) => field(course.response(), name, value.as_deref(), "no answer"),
        Expected::NoHeader(name) => no_field(course.response(), name),
        Expected::RequestLine(line) => match course.request() {
            Some(request) => {
                let found = request.line.rsplit_once(' ').map_or(request.line.as_str(), |(found, _)| found);
                (found != line && request.line != *line).then(|| format!("it is '{}'", request.line))
            }
            None => Some("no server is asked".to_owned()),
        },
        Expected::RequestHeader(name, value) => {
            field(course.request(), name, value.as_deref(), "no server is asked")
        }
        Expected::NoRequestHeader(name) => no_field(course.request(), name),
        Expected::Log(text) => {
            let lines: Vec<&str> = course.logs().map(|(line, _)| line).collect();
            let found = lines.iter().any(|line| line.contains(text.as_str()));
            (!found).then(|| match &lines[..] {
                [] => "nothing is logged".to_owned(),
                lines => format!("it is '{}'", lines.join("', '")),
            })
        }
        Expected::Closed => match course.response() {
            Some(response) => Some(format!("the answer is '{}'", response.line)),
            None => (!course.has_ended).then(|| "the connection stays".to_owned()),
        },
    }
}

fn other(expected: &str, found: &str) -> Option<String> {
    (expected != found).then(|| format!("it is '{found}'"))
}

fn field(message: Option<Message>, name: &str, value: Option<&str>, nothing: &str) -> Option<String> {
    let Some(message) = message else { return Some(nothing.to_owned()) };
    let found: Vec<&str> = message.values(name).collect();
    match (&found[..], value) {
        ([], _) => Some("there is none".to_owned()),
        (_, None) => None,
        (all, Some(value)) => (!all.contains(&value)).then(|| format!("it is '{}'", all.join("', '"))),
    }
}

fn no_field(message: Option<Message>, name: &str) -> Option<String> {
    let message = message?;
    let found: Vec<&str> = message.values(name).collect();
    (!found.is_empty()).then(|| format!("it is '{}'", found.join("', '")))
}
