//! From `option httpchk`, `http-check`, `option tcp-check` and `tcp-check` lines to the steps of a check.

use super::parse_expect::parse_expect;
use crate::rules::BuildCtx;

use super::parse_step::{Words, parse_connect, parse_request, parse_send, parse_set};
use super::phrase::Phrase;
use super::protocol;
use super::rule::{Action, Connect, Expect, Match, Request, Send, Step};
use super::spec::{CheckSpec, Protocol};

/// A complaint with its place: the index of a word in the slice that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub word: usize,
    /// HAProxy's text, without the place.
    pub message: String,
}

impl Fault {
    pub fn new(word: usize, message: impl Into<String>) -> Fault {
        Fault { word, message: message.into() }
    }

    fn within(self, keyword: &str, first: &str) -> Fault {
        Fault { message: format!("'{keyword} {first}' : {}.", self.message.trim_end_matches('.')), ..self }
    }
}

/// The check lines of a proxy section while it is read, in any order.
///
/// A section begins with a copy of its `defaults` ([`Rules::inherit`]): its first own step of a kind drops the
/// inherited ones, and so does an `option httpchk` of its own. The request of an inherited `option httpchk` goes with
/// the inherited `http-check` steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    protocol: Protocol,
    /// `option udp-check`.
    datagram: bool,
    /// From `option httpchk`.
    request: Option<Request>,
    /// The `option` stood behind the first `http-check send`: what it says holds.
    request_is_last: bool,
    http: List,
    tcp: List,
    /// Of an option that speaks a protocol by itself.
    own: Vec<Step>,
    disable_on_404: bool,
    send_state: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct List {
    inherited: bool,
    steps: Vec<Step>,
    /// The text of the last `comment` line, for the steps of one kind that follow it.
    comment: Option<String>,
}

impl List {
    /// The last step, and the place of the first: variables do not count.
    fn last(&self) -> Option<&Action> {
        self.steps.iter().rev().map(|s| &s.action).find(|action| action.is_talk())
    }

    fn first(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.action.is_talk())
    }

    fn begins_with_connect(&self) -> bool {
        let first = self.first().and_then(|at| self.steps.get(at));
        matches!(first, Some(Step { action: Action::Connect(_), .. }))
    }

    fn push(&mut self, action: Action, comment: Option<String>) {
        let index = self.steps.last().map_or(0, |s| s.index + 1);
        let comment = comment.or_else(|| self.comment.clone());
        if matches!(action, Action::Connect(_)) {
            self.comment = None;
        }
        self.steps.push(Step { index, comment, action });
    }

    /// Drops what `defaults` gave. True when there was anything to drop.
    fn own(&mut self) -> bool {
        let was_inherited = std::mem::take(&mut self.inherited);
        if was_inherited {
            self.steps.clear();
            self.comment = None;
        }
        was_inherited
    }

    /// The first `http-check send`, where the request of `option httpchk` has its place.
    fn first_request(&self) -> (usize, Option<&Request>) {
        let mut at = self.first().unwrap_or(self.steps.len());
        if self.begins_with_connect() {
            let behind = self.steps.get(at + 1..).unwrap_or_default();
            at += 1 + behind.iter().take_while(|step| !step.action.is_talk()).count();
        }
        match self.steps.get(at).map(|s| &s.action) {
            Some(Action::Send(Send::Http(own))) => (at, Some(own)),
            _ => (at, None),
        }
    }

    /// A `connect` step must come first when there is any.
    fn may_connect(&self) -> Result<(), Fault> {
        if self.first().is_none() || self.begins_with_connect() {
            return Ok(());
        }
        Err(Fault::new(
            0,
            "first step MUST also be a 'connect', optionally preceded by a 'set-var', an 'unset-var' or a 'comment', \
             when there is a 'connect' step in the tcp-check ruleset",
        ))
    }
}

impl Rules {
    /// What a section that takes these as its defaults begins with.
    pub fn inherit(&self) -> Rules {
        let mut rules = self.clone();
        rules.http.inherited = true;
        rules.tcp.inherited = true;
        rules
    }

    /// `no option httpchk`, `no option tcp-check`, and the options of checks that are not supported.
    pub fn clear_option(&mut self) {
        self.protocol = Protocol::Connect;
    }

    /// `option external-check`.
    pub fn option_external(&mut self) {
        self.protocol = Protocol::External;
    }

    /// Steps of `http-check` lines, or those of `tcp-check` lines, are what is done.
    pub fn is_http(&self) -> bool {
        self.protocol == Protocol::Http
    }

    pub fn is_script(&self) -> bool {
        self.protocol == Protocol::Tcp
    }

    /// Programs check.
    pub fn is_external(&self) -> bool {
        self.protocol == Protocol::External
    }

    /// `option tcp-check`.
    pub fn option_tcp_check(&mut self) {
        self.protocol = Protocol::Tcp;
        self.datagram = false;
    }

    /// `option udp-check`: the same steps by datagrams.
    pub fn option_udp_check(&mut self) {
        self.protocol = Protocol::Tcp;
        self.datagram = true;
    }

    /// Checks by datagrams that would not notice whether they are answered.
    pub fn expects_nothing(&self) -> bool {
        let is_datagram = self.datagram && self.protocol == Protocol::Tcp;
        is_datagram && !self.tcp.steps.iter().any(|step| matches!(step.action, Action::Expect(_)))
    }

    /// `option <name>` of a check that speaks a protocol by itself, and the words after it.
    pub fn option_protocol(&mut self, name: &str, words: &[&str]) -> Result<(), Fault> {
        self.own = protocol::steps(name, words).map_err(|(word, message)| Fault::new(word, message))?;
        self.protocol = Protocol::Own;
        Ok(())
    }

    /// The words after `option httpchk`: `[<method>] [<uri> [<version> [<host>]]]`. Returns warnings.
    ///
    /// Headers after the version (`HTTP/1.0\r\nHost:x`), which HAProxy refuses since 2.9 or so, still work here with
    /// the warning that older versions gave: many files in use have them.
    pub fn option_httpchk(&mut self, words: &[&str], ctx: &mut BuildCtx<'_>) -> Result<Vec<Fault>, Fault> {
        let word = |i: usize| words.get(i).copied().filter(|w| !w.is_empty());
        if words.len() > 4 {
            return Err(Fault::new(4, "'option httpchk' cannot handle unexpected argument"));
        }
        let mut request = Request::default();
        match (word(0), word(1)) {
            (uri, None) => request.uri = uri.map(Phrase::fixed),
            (method, uri) => {
                request.method = method.map(str::to_owned);
                request.uri = uri.map(Phrase::fixed);
            }
        }
        let mut warnings = Vec::new();
        if let Some(version) = word(2) {
            let (version, hidden) = version.split_once("\r\n").unwrap_or((version, ""));
            request.version = Some(version.to_owned());
            if !hidden.is_empty() {
                unpack(hidden, &mut request);
                warnings.push(Fault::new(
                    2,
                    "'option httpchk' : hiding headers or body at the end of the version string is deprecated. \
                     Please, consider to use 'http-check send' directive instead.",
                ));
            }
        }
        if let Some(host) = word(3) {
            let host = Phrase::read(host, ctx).map_err(|message| Fault::new(3, message))?;
            request.headers.push(("host".to_owned(), host));
        }
        self.protocol = Protocol::Http;
        self.own_http();
        self.request_is_last = self.http.first_request().1.is_some();
        self.request = Some(request);
        Ok(warnings)
    }

    /// What `defaults` says of HTTP checks holds no longer.
    fn own_http(&mut self) {
        if self.http.own() {
            self.request = None;
        }
    }

    /// Settings of HTTP checks that are on, inherited ones too.
    pub fn http_settings(&self) -> impl Iterator<Item = &'static str> {
        let all = [("disable-on-404", self.disable_on_404), ("send-state", self.send_state)];
        all.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name)
    }

    /// The words after `http-check`.
    pub fn http_check(&mut self, words: &[&str], ctx: &mut BuildCtx<'_>) -> Result<(), Fault> {
        let first = words.first().copied().unwrap_or("");
        match first {
            "disable-on-404" | "send-state" if words.len() > 1 => {
                return Err(Fault::new(
                    1,
                    format!("'http-check' cannot handle unexpected argument '{}'.", words[1]),
                ));
            }
            "disable-on-404" => self.disable_on_404 = true,
            "send-state" => self.send_state = true,
            _ => self.http_step(first, words, ctx).map_err(|f| f.within("http-check", first))?,
        }
        Ok(())
    }

    fn http_step(&mut self, first: &str, words: &[&str], ctx: &mut BuildCtx<'_>) -> Result<(), Fault> {
        self.own_http();
        let list = &mut self.http;
        let step = list.steps.last().map_or(1, |s| s.index + 2);
        let misplaced = |kind: &str, missing: &str| {
            Err(Fault::new(
                0,
                format!("unable to add http-check {kind} rule at step {step} (missing {missing} rule)"),
            ))
        };
        let mut words = Words::new(words, ctx);
        if let Some(set) = parse_set(&mut words) {
            list.push(Action::Set(set?), None);
            return Ok(());
        }
        match first {
            "comment" => list.comment = Some(words.argument(0, "expects a string as argument")?.to_owned()),
            "connect" => {
                list.may_connect()?;
                let (connect, comment) = parse_connect(&mut words)?;
                if !matches!(list.last(), None | Some(Action::Expect(_))) {
                    return misplaced("connect", "expect");
                }
                list.push(Action::Connect(connect), comment);
            }
            "send" => {
                let (request, comment) = parse_request(&mut words)?;
                if !matches!(list.last(), None | Some(Action::Connect(_))) {
                    return misplaced("send", "connect");
                }
                list.push(Action::Send(Send::Http(request)), comment);
            }
            "expect" => {
                let (expect, comment) = parse_expect(&mut words, Protocol::Http)?;
                if matches!(list.last(), Some(Action::Connect(_))) {
                    return misplaced("expect", "send");
                }
                list.push(Action::Expect(expect), comment);
            }
            _ => {
                return Err(Fault::new(
                    0,
                    format!(
                        "only supports 'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', 'set-var', \
                         'unset-var'. but got '{first}'"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The words after `tcp-check`.
    pub fn tcp_check(&mut self, words: &[&str], ctx: &mut BuildCtx<'_>) -> Result<(), Fault> {
        let first = words.first().copied().unwrap_or("");
        self.tcp_step(first, words, ctx).map_err(|f| f.within("tcp-check", first))
    }

    fn tcp_step(&mut self, first: &str, words: &[&str], ctx: &mut BuildCtx<'_>) -> Result<(), Fault> {
        let list = &mut self.tcp;
        list.own();
        let mut words = Words::new(words, ctx);
        if let Some(set) = parse_set(&mut words) {
            list.push(Action::Set(set?), None);
            return Ok(());
        }
        match first {
            "comment" => list.comment = Some(words.argument(0, "expects a string as argument")?.to_owned()),
            "connect" => {
                list.may_connect()?;
                let (connect, comment) = parse_connect(&mut words)?;
                list.push(Action::Connect(connect), comment);
            }
            "send" | "send-binary" | "send-lf" | "send-binary-lf" => {
                let (send, comment) = parse_send(&mut words)?;
                list.push(Action::Send(send), comment);
            }
            "expect" => {
                let (expect, comment) = parse_expect(&mut words, Protocol::Tcp)?;
                list.push(Action::Expect(expect), comment);
            }
            _ => {
                return Err(Fault::new(
                    0,
                    format!(
                        "only supports 'comment', 'connect', 'send', 'send-binary', 'expect', 'set-var', 'unset-var'. \
                         but got '{first}'"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The complete list of steps, into `spec`: what the file leaves out is added.
    pub fn finish(&self, spec: &mut CheckSpec) {
        spec.protocol = self.protocol;
        spec.datagram = self.datagram && self.protocol == Protocol::Tcp;
        let mut steps = match self.protocol {
            Protocol::Connect | Protocol::External => Vec::new(),
            Protocol::Tcp => self.tcp.steps.clone(),
            Protocol::Own => self.own.clone(),
            Protocol::Http => {
                spec.disable_on_404 = self.disable_on_404;
                spec.send_state = self.send_state;
                self.http_steps()
            }
        };
        let first = steps.iter().find(|step| step.action.is_talk());
        if !matches!(first, Some(Step { action: Action::Connect(_), .. })) {
            let connect = Connect { implicit: true, default: true, ..Connect::default() };
            steps.insert(0, Step { index: 0, comment: None, action: Action::Connect(connect) });
        }
        spec.steps = steps;
    }

    fn http_steps(&self) -> Vec<Step> {
        let mut steps = self.http.steps.clone();
        if let Some(request) = &self.request {
            match self.http.first_request() {
                (at, Some(own)) => {
                    let (first, last) = if self.request_is_last { (own, request) } else { (request, own) };
                    steps[at].action = Action::Send(Send::Http(merge(first, last)));
                }
                (at, None) => {
                    let action = Action::Send(Send::Http(request.clone()));
                    steps.insert(at, Step { index: at, comment: None, action });
                }
            }
        }
        // After the last request some status is expected.
        let last = steps.iter().rev().find(|step| step.action.is_talk());
        if let Some(Step { action: Action::Send(_), index, .. }) = last {
            let action = Action::Expect(Expect::new(Match::Status(vec![(200, 399)])));
            steps.push(Step { index: index + 1, comment: None, action });
        }
        steps
    }
}

/// What two lines say of one request: the last one's word holds.
fn merge(first: &Request, last: &Request) -> Request {
    Request {
        method: last.method.clone().or_else(|| first.method.clone()),
        uri: last.uri.clone().or_else(|| first.uri.clone()),
        version: last.version.clone().or_else(|| first.version.clone()),
        headers: if last.headers.is_empty() { first.headers.clone() } else { last.headers.clone() },
        body: last.body.clone().or_else(|| first.body.clone()),
        ..Request::default()
    }
}

/// Header lines and a body that follow the version of an old `option httpchk`.
fn unpack(hidden: &str, request: &mut Request) {
    let (fields, body) = hidden.split_once("\r\n\r\n").unwrap_or((hidden, ""));
    for line in fields.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim().to_ascii_lowercase();
        if !matches!(&*name, "" | "content-length" | "transfer-encoding") {
            request.headers.push((name, Phrase::fixed(value.trim())));
        }
    }
    if !body.is_empty() {
        request.body = Some(Phrase::fixed(body));
    }
}
