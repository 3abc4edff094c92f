//! Lines that changed their name, moved or went, one function for each.

use crate::lang::{Line, Word};

use super::change::{Outcome, Target, word, words};
use super::expression::literal;
use super::verdict;

/// A list of ciphers that is the system's, where the library was built to ask for it.
const PROFILE: &str = "PROFILE=SYSTEM";
const PROFILE_IS_DEFAULT: &str = "the library's own list is the system's";

/// What a line's meaning depends on beside its words.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The word that begins the section.
    pub section: &'a str,
    pub target: Target,
    /// The section speaks HTTP.
    pub is_http: bool,
    /// There is a `nbproc` line with more than one process.
    pub has_processes: bool,
}

/// The line with some of its words taken out.
fn without(line: &Line, from: usize, count: usize) -> Vec<Word> {
    let kept = |i: &usize| *i < from || *i >= from + count;
    (0..line.words.len()).filter(kept).filter_map(|i| line.words.get(i).cloned()).collect()
}

/// The line with other words in place of its first `count`.
fn led<const N: usize>(line: &Line, count: usize, by: [&str; N]) -> Vec<Word> {
    let rest = line.words.get(count..).unwrap_or(&[]);
    words(by, line.at(0)).into_iter().chain(rest.iter().cloned()).collect()
}

/// What a line of `global` becomes.
pub fn global(line: &Line, around: Around<'_>) -> Option<Outcome> {
    match (line.str(0), line.str(1)) {
        ("nbproc", _) => Some(Outcome::gone("one process has a thread for each processor")),
        ("debug", _) => Some(Outcome::gone("'-d' on the command line does this")),
        ("stats", "bind-process") => Some(Outcome::gone("there is one process")),
        ("stats", "socket") => process(line),
        ("cpu-map", first) if around.has_processes && !first.contains(['/', ':']) => {
            let mut made = line.words.clone();
            *made.get_mut(1)? = word(format!("1/{first}"), line.at(1));
            Some(Outcome::new(vec![made], "what was process by process is thread by thread"))
        }
        ("ssl-default-bind-ciphers" | "ssl-default-server-ciphers", PROFILE)
            if around.target == Target::Haproxy =>
        {
            Some(Outcome::gone(PROFILE_IS_DEFAULT))
        }
        ("accept-legacy-syntax", _) if around.target == Target::Haproxy => {
            Some(Outcome::gone("nothing old is left"))
        }
        _ => None,
    }
}

/// `process <set>` of `bind` and `stats socket`.
fn process(line: &Line) -> Option<Outcome> {
    let is_set =
        |text: &str| matches!(text, "all" | "odd" | "even") || text.starts_with(|c: char| c.is_ascii_digit());
    let at = (2..line.words.len()).find(|i| line.str(*i) == "process" && is_set(line.str(i + 1)))?;
    Some(Outcome::new(vec![without(line, at, 2)], "there is one process"))
}

/// `ciphers PROFILE=SYSTEM`, which not every library knows.
fn profile(line: &Line, around: Around<'_>) -> Option<Outcome> {
    let at = (1..line.words.len()).find(|i| line.str(*i) == "ciphers" && line.str(i + 1) == PROFILE)?;
    let is_asked = around.target == Target::Haproxy;
    is_asked.then(|| Outcome::new(vec![without(line, at, 2)], PROFILE_IS_DEFAULT))
}

/// A line whose quotes were letters: it is written with today's.
pub fn unquoted(line: &Line, target: Target) -> Option<Outcome> {
    let is_odd = |w: &Word| ['\'', '"'].iter().any(|quote| w.str().matches(*quote).count() % 2 == 1);
    (target == Target::Haproxy && line.words.iter().any(is_odd))
        .then(|| Outcome::new(vec![line.words.clone()], "quotes that are letters are quoted"))
}

/// What a line of a proxy becomes, apart from `req*` and `rsp*`.
pub fn proxy(line: &Line, around: Around<'_>) -> Option<Outcome> {
    let renamed = |count, by: [&str; 2]| Some(Outcome::new(vec![led(line, count, by)], "renamed"));
    match line.str(0) {
        "timeout" => match line.str(1) {
            "clitimeout" => renamed(2, ["timeout", "client"]),
            "contimeout" => renamed(2, ["timeout", "connect"]),
            "srvtimeout" => renamed(2, ["timeout", "server"]),
            _ => None,
        },
        "mode" if line.str(1) == "health" && around.section != "defaults" => {
            let at = line.at(0);
            let answer = words(["http-request", "return", "status", "200"], at);
            Some(Outcome::new(vec![words(["mode", "http"], at), answer], "a rule that answers"))
        }
        "clitimeout" => renamed(1, ["timeout", "client"]),
        "contimeout" => renamed(1, ["timeout", "connect"]),
        "srvtimeout" => renamed(1, ["timeout", "server"]),
        "redisp" | "redispatch" => renamed(1, ["option", "redispatch"]),
        "bind-process" => Some(Outcome::gone("there is one process")),
        "grace" => Some(Outcome::gone("'grace' belongs to 'global' now, and listeners stop at once")),
        "bind" => process(line).or_else(|| profile(line, around)),
        "server" | "default-server" => profile(line, around),
        "block" => verdict::block(line),
        "monitor-net" if around.section != "defaults" => Some(monitor_net(line, around.is_http)),
        "appsession" => appsession(line),
        "option" => option(line, 1, around.section),
        "no" | "default" if line.str(1) == "option" => option(line, 2, around.section),
        _ => None,
    }
}

/// `option http_proxy`: requests went to the address in their target, which was relative from there on.
fn http_proxy(line: &Line, section: &str) -> Option<Outcome> {
    let at = line.at(0);
    match section {
        "frontend" => Some(Outcome::gone("the backend does this")),
        "defaults" => None,
        _ => Some(Outcome::new(
            vec![
                words(["http-request", "set-dst", "url_ip"], at),
                words(["http-request", "set-dst-port", "url_port"], at),
                words(["http-request", "set-uri", "%[pathq]"], at),
                words(["option", "transparent"], at),
            ],
            "rules that say where requests go",
        )),
    }
}

fn option(line: &Line, at: usize, section: &str) -> Option<Outcome> {
    let to = |name: &str| {
        let mut made = line.words.clone();
        made[at] = word(name, line.at(at));
        Some(Outcome::new(vec![made], "renamed"))
    };
    match line.str(at) {
        "forceclose" => to("httpclose"),
        "independant-streams" => to("independent-streams"),
        "http-tunnel" => Some(Outcome::gone("connections are no tunnels after their first request")),
        "http-use-htx" => Some(Outcome::gone("there is no other way")),
        "httpchk" if at == 1 => httpchk(line),
        "http_proxy" if at == 1 => http_proxy(line, section),
        "http_proxy" => Some(Outcome::gone("nothing was left to undo")),
        _ => None,
    }
}

/// `option httpchk GET / HTTP/1.1\r\nHost:\ x`: fields and body hide behind the version.
fn httpchk(line: &Line) -> Option<Outcome> {
    let (version, hidden) = line.str(4).split_once("\r\n")?;
    let at = line.at(4);
    let mut send = words(["http-check", "send", "meth"], at);
    send.push(line.words.get(2)?.clone());
    send.push(word("uri", at));
    send.push(line.words.get(3)?.clone());
    send.extend(words(["ver", version], at));
    let mut rest = hidden;
    while let Some((field, more)) = rest.split_once("\r\n").or((!rest.is_empty()).then_some((rest, ""))) {
        rest = more;
        if field.is_empty() {
            break;
        }
        if let Some((name, value)) = field.split_once(':').filter(|(_, value)| !value.trim().is_empty()) {
            send.extend(words(["hdr", name.trim(), &literal(value.trim())], at));
        }
    }
    if !rest.is_empty() {
        send.extend(words(["body", rest], at));
    }
    Some(Outcome::new(
        vec![words(["option", "httpchk"], line.at(0)), send],
        "the request of checks has a line of its own",
    ))
}

/// `monitor-net`: who asks from there is answered without a server, or hung up on.
fn monitor_net(line: &Line, is_http: bool) -> Outcome {
    let at = line.at(0);
    let mut rule = match is_http {
        true => words(["http-request", "return", "status", "200", "if", "{", "src"], at),
        false => words(["tcp-request", "connection", "reject", "if", "{", "src"], at),
    };
    rule.extend(line.words.iter().skip(1).cloned());
    rule.push(word("}", at));
    Outcome::new(vec![rule], "a rule on the client's address")
}

/// `appsession <cookie> len <length> timeout <holdtime> [request-learn] [prefix] [mode <mode>]`.
fn appsession(line: &Line) -> Option<Outcome> {
    let at = line.at(0);
    let after = |name: &str| {
        let found = line.words.iter().position(|w| w.str() == name)?;
        line.words.get(found + 1).cloned()
    };
    let cookie = line.words.get(1)?.str();
    let mut table = words(["stick-table", "type", "string", "len"], at);
    table.push(after("len")?);
    table.extend(words(["size", "200k", "expire"], at));
    table.push(after("timeout")?);
    let set = words(["stick", "store-response", &format!("res.cook({cookie})")], at);
    let get = words(["stick", "match", &format!("req.cook({cookie})")], at);
    let mut made = vec![table, set, get];
    if line.words.iter().any(|w| w.str() == "request-learn") {
        made.push(words(["stick", "store-request", &format!("req.cook({cookie})")], at));
    }
    Some(Outcome::new(made, "sessions of applications are kept in a table"))
}

/// `listen <name> <address>`: the address has a line of its own.
pub fn address(head: &Line) -> Option<Outcome> {
    let listens = matches!(head.str(0), "listen" | "frontend");
    if !listens || head.words.len() < 3 || head.str(2) == "from" {
        return None;
    }
    let mut bind = words(["bind"], head.at(2));
    // A list may have blanks behind its commas.
    let addresses: Vec<&str> = head.words[2..].iter().map(Word::str).collect();
    match addresses.len() {
        1 => bind.push(head.words[2].clone()),
        _ if addresses[..addresses.len() - 1].iter().all(|a| a.ends_with(',')) => {
            bind.push(word(addresses.concat(), head.at(2)));
        }
        _ => bind.extend_from_slice(&head.words[2..]),
    }
    Some(Outcome::new(vec![head.words[..2].to_vec(), bind], "addresses have lines of their own"))
}
