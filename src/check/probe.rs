//! One check from start to end: the steps of a [`CheckSpec`] on a connection.

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::base::{Millis, clock};
use crate::http::Method;
use crate::model::Address;
use crate::rules::{Ctx, VarScope, Vars, vars};

use super::change::Member;
use super::evaluate::{Details, Eval, Input, evaluate};
use super::h2::{self, Exchange};
use super::io::{Connection, Trouble, Way, describe, proxy_header};
use super::lane;
use super::parse_step::hex;
use super::phrase::Phrase;
use super::request;
use super::rule::{Action, Connect, Expect, Match, Request, Send, Set, Step, Value};
use super::scene::{self, Received};
use super::spec::{CheckSpec, CheckTls, Protocol};
use super::status::{Finding, INFO_MAX, Status};

/// What a check needs to know besides its specification.
pub(super) struct Situation<'a> {
    /// Of the server.
    pub address: &'a Address,
    /// The server is up: `disable-on-404` applies.
    pub is_up: bool,
    /// For `http-check send-state`.
    pub state: Option<String>,
    /// Who is checked, for formats and expressions.
    pub member: Option<&'a Member>,
}

/// Runs a check and tells what it found; never longer than its timeouts allow.
pub(super) async fn probe(spec: &CheckSpec, situation: &Situation<'_>) -> Finding {
    let start = clock::now_ms();
    let mut run = Run {
        spec,
        situation,
        connection: None,
        received: Vec::new(),
        is_eof: false,
        number: None,
        at: 0,
        opened_at: 0,
        before: Vec::new(),
        vars: Vars::default(),
        h2: None,
    };
    let mut finding = match run.steps().await {
        Ok(finding) | Err(finding) => finding,
    };
    finding.number = run.number.map(i32::from);
    finding.duration_ms = Some(clock::now_ms().saturating_sub(start));
    if let Some((end, _)) = finding.info.char_indices().find(|(i, c)| i + c.len_utf8() > INFO_MAX) {
        finding.info.truncate(end);
    }
    finding
}

struct Run<'a> {
    spec: &'a CheckSpec,
    situation: &'a Situation<'a>,
    connection: Option<Connection>,
    received: Vec<u8>,
    is_eof: bool,
    number: Option<u16>,
    /// The current step.
    at: usize,
    /// The step that opened the connection.
    opened_at: usize,
    /// The PROXY header that each datagram begins with.
    before: Vec<u8>,
    /// Those of the check.
    vars: Vars,
    /// The connection speaks HTTP/2.
    h2: Option<Box<Exchange>>,
}

/// `Err` is a check that failed.
type Found<T> = Result<T, Finding>;

impl<'a> Run<'a> {
    async fn steps(&mut self) -> Found<Finding> {
        const ALONE: &Connect = &Connect {
            implicit: true,
            default: true,
            addr: None,
            port: None,
            port_from: None,
            send_proxy: false,
            linger: false,
            h2: false,
            via_socks4: false,
            ssl: false,
            sni: None,
            alpn: Vec::new(),
        };
        if self.spec.steps.is_empty() {
            self.connect(ALONE).await?;
            let status = if self.spec.tls.is_some() { Status::L6Ok } else { Status::L4Ok };
            return Ok(Finding::new(status, ""));
        }
        let mut must_read = true;
        while let Some(step) = self.spec.steps.get(self.at) {
            match &step.action {
                Action::Connect(connect) => {
                    self.connect(connect).await?;
                    must_read = true;
                }
                Action::Send(send) => {
                    self.send(send).await?;
                    must_read = true;
                }
                Action::Expect(expect) => {
                    if must_read {
                        self.read(expect).await?;
                        must_read = false;
                    }
                    match self.evaluate(step, expect) {
                        Eval::Met => {}
                        Eval::Failed(status, details) => {
                            return Err(self.failure(step, expect, status, details));
                        }
                        Eval::Wait => {
                            // An unwanted text may come with the next data: such expectations are asked again.
                            self.at = self.first_inverse();
                            must_read = true;
                            continue;
                        }
                    }
                }
                Action::Set(set) => self.set(set),
            }
            self.at += 1;
        }
        Ok(self.success())
    }

    /// Runs `see` with what the check knows now.
    fn look<R>(&self, see: impl FnOnce(Ctx<'_>) -> R) -> R {
        let received = Received {
            bytes: &self.received,
            answers: (self.spec.protocol == Protocol::Http).then(|| match self.asked() {
                Some("HEAD") => Method::Head,
                _ => Method::Get,
            }),
            ends: self.connection.as_ref().and_then(Connection::ends),
        };
        scene::look(self.situation.member, &self.vars, &received, see)
    }

    /// The method of the last request.
    fn asked(&self) -> Option<&str> {
        self.spec.steps.get(..self.at)?.iter().rev().find_map(|s| match &s.action {
            Action::Send(Send::Http(request)) => Some(request.method.as_deref().unwrap_or("OPTIONS")),
            _ => None,
        })
    }

    fn set(&mut self, set: &Set) {
        let value = match &set.value {
            Value::None => None,
            // What cannot be evaluated leaves the variable as it was.
            Value::Formula(formula) => match self.look(|now| formula.value(now)) {
                Some(value) => Some(value),
                None => return,
            },
            Value::Phrase(text) => {
                let text = self.look(|now| text.bytes(Some(now)).into_owned());
                Some(crate::rules::Sample::Str(text.into()))
            }
        };
        match value {
            value if set.id.scope == VarScope::Proc => vars::set_process(set.id, value),
            Some(value) => self.vars.set(set.id, value),
            None => self.vars.unset(set.id),
        }
    }

    /// The first inverted expectation of the unbroken run that ends at the current one, else the current one.
    fn first_inverse(&self) -> usize {
        let mut first = self.at;
        for (i, step) in self.spec.steps[..self.at].iter().enumerate().rev() {
            match &step.action {
                Action::Expect(expect) if expect.inverse => first = i,
                Action::Expect(_) => {}
                _ => break,
            }
        }
        first
    }

    fn address(&self, connect: &Connect) -> Address {
        let Address::Inet(own) = *self.situation.address else {
            // `addr` on a server with a path makes an Internet check of it.
            return match (connect.addr.map(|a| a.ip()).or(self.spec.addr), connect.port.or(self.spec.port)) {
                (Some(ip), Some(port)) => Address::Inet(SocketAddr::new(ip, port)),
                _ => self.situation.address.clone(),
            };
        };
        let ip = connect.addr.map(|a| a.ip()).or(self.spec.addr).unwrap_or(own.ip());
        let own_port = connect.addr.map(|a| a.port()).filter(|&p| p > 0);
        let port = connect.port.or(own_port).or(self.spec.port).unwrap_or(own.port());
        Address::Inet(SocketAddr::new(ip, port))
    }

    /// What follows the current step on the connection.
    fn next(&self) -> Option<&'a Action> {
        let rest = self.spec.steps.get(self.at + 1..)?;
        rest.iter().map(|step| &step.action).find(|action| !matches!(action, Action::Set(_)))
    }

    async fn connect(&mut self, connect: &Connect) -> Found<()> {
        self.connection = None;
        self.opened_at = self.at;
        self.received.clear();
        self.before.clear();
        self.is_eof = false;
        self.h2 = None;
        let mut address = self.address(connect);
        if let (Some(port), Address::Inet(inet)) = (&connect.port_from, &mut address) {
            let port = self.look(|now| port.number(now)).and_then(|port| u16::try_from(port).ok());
            inet.set_port(port.unwrap_or(0));
        }
        if matches!(address, Address::Inet(a) if a.port() == 0) {
            return Err(self.trouble(Status::SockErr, ""));
        }
        let start: Millis = lane::now_ms();
        let deadline = start + self.spec.connect_timeout_ms();
        let socks4 =
            self.spec.socks4.filter(|_| connect.via_socks4 || connect.default && self.spec.via_socks4);
        let version = match (connect.default, connect.send_proxy) {
            (true, false) => self.spec.send_proxy,
            (_, true) => self.spec.send_proxy.max(1),
            _ => 0,
        };
        let is_plain = socks4.is_none() && version == 0 && self.spec.tls_of(connect).is_none();
        // Unless the connection begins with what the server says.
        let speaks_first = !is_plain || !matches!(self.next(), Some(Action::Expect(_)));
        let sends = is_plain && matches!(self.next(), Some(Action::Send(_)));
        let way = Way { datagram: self.spec.datagram, linger: connect.linger, speaks_first, sends, socks4 };
        let mut connection = match Connection::open(&address, deadline, way).await {
            Ok(connection) => connection,
            Err(trouble) => return Err(self.not_open(&trouble)),
        };
        (connection.deadline, connection.answer_ms) = match self.spec.timeout_check_ms {
            0 => (start + self.spec.inter_ms, None),
            ms => (lane::now_ms() + ms, Some(ms)),
        };
        let header = (version > 0).then(|| proxy_header(version, connection.ends()));
        self.connection = Some(connection);
        match header {
            Some(header) if self.spec.datagram => self.before = header,
            Some(header) => self.write(&header).await?,
            None => {}
        }
        if let Some(tls) = self.spec.tls_of(connect) {
            self.secure(tls, connect).await?;
        }
        let agreed = self.connection.as_ref().is_some_and(Connection::agreed_on_h2);
        if self.spec.protocol == Protocol::Http && (connect.h2 || connect.default && self.spec.h2 || agreed) {
            self.h2 = Some(Box::new(Exchange::new()));
        }
        Ok(())
    }

    fn not_open(&self, trouble: &Trouble) -> Finding {
        let (status, text) = match trouble {
            Trouble::Timeout => (Status::L4Timeout, String::new()),
            Trouble::Io(e) => (Status::L4Con, describe(e)),
            Trouble::Refused(why) => (Status::L4Con, (*why).to_owned()),
        };
        self.trouble_at(self.opened_at, status, text)
    }

    async fn secure(&mut self, tls: &CheckTls, connect: &Connect) -> Found<()> {
        let Some(connection) = &mut self.connection else { return Err(self.trouble(Status::SockErr, "")) };
        match connection.secure(tls, connect).await {
            Ok(()) => Ok(()),
            Err(Trouble::Timeout) => Err(self.trouble(Status::L6Timeout, "")),
            Err(_) => Err(self.trouble(Status::L6Rsp, "SSL handshake failure")),
        }
    }

    async fn send(&mut self, send: &'a Send) -> Found<()> {
        let bytes = self.message(send);
        self.received = Vec::new();
        self.write(&bytes).await
    }

    /// What a step sends, filled in.
    fn message(&self, send: &'a Send) -> Cow<'a, [u8]> {
        match send {
            Send::Http(request) => self.request(request),
            Send::Bytes(text) if text.is_made() => self.look(|now| text.bytes(Some(now)).into_owned()).into(),
            Send::Bytes(text) => text.bytes(None),
            // Digits that are none send nothing.
            Send::Hex(digits) => hex(0, &self.look(|now| digits.text(Some(now)))).unwrap_or_default().into(),
        }
    }

    fn request(&self, request: &'a Request) -> Cow<'a, [u8]> {
        let (state, is_made) = (self.situation.state.as_deref(), request.is_made());
        if !is_made && state.is_none() && self.h2.is_none() {
            return request.encoded.or(|| request::encode(&request::fill(request, None), None)).into();
        }
        let filled = if is_made {
            self.look(|now| request::fill(request, Some(now)))
        } else {
            request::fill(request, None)
        };
        if self.h2.is_none() {
            return request::encode(&filled, state).into();
        }
        let is_secure = self.connection.as_ref().is_some_and(Connection::is_secure);
        h2::request(&filled, state, is_secure).into()
    }

    async fn write(&mut self, bytes: &[u8]) -> Found<()> {
        let whole;
        let bytes = match self.before.is_empty() {
            true => bytes,
            false => {
                whole = [&self.before[..], bytes].concat();
                &whole
            }
        };
        let Some(connection) = &mut self.connection else { return Err(self.trouble(Status::SockErr, "")) };
        match connection.write(bytes).await {
            Ok(()) => Ok(()),
            Err(trouble) if connection.is_opening() => Err(self.not_open(&trouble)),
            Err(Trouble::Timeout) => Err(self.trouble(Status::L7Timeout, "")),
            // The answer may be there already: let it decide.
            Err(Trouble::Io(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(Trouble::Io(e)) => Err(self.trouble(Status::SockErr, &describe(&e))),
            Err(Trouble::Refused(why)) => Err(self.trouble(Status::SockErr, why)),
        }
    }

    /// Waits for more of the answer.
    async fn read(&mut self, expect: &Expect) -> Found<()> {
        let max = self.spec.answer_max;
        let mut frames = Vec::new();
        loop {
            let Some(connection) = &mut self.connection else {
                return Err(self.trouble(Status::SockErr, ""));
            };
            let into = if self.h2.is_some() { &mut frames } else { &mut self.received };
            match connection.read(into, max).await {
                Ok(0) => self.is_eof = true,
                Ok(_) => {}
                Err(Trouble::Timeout) => {
                    return Err(self.trouble(expect.timeout_status.unwrap_or(Status::L7Timeout), ""));
                }
                // A reset right behind the answer is common; without an answer it is the result.
                Err(Trouble::Io(e)) if self.received.is_empty() => {
                    return Err(self.trouble(Status::SockErr, &describe(&e)));
                }
                Err(_) => self.is_eof = true,
            }
            let Some(exchange) = &mut self.h2 else { return Ok(()) };
            let taken = exchange.take(&frames);
            frames.clear();
            (self.received, self.is_eof) = (exchange.answer(), self.is_eof || exchange.is_done);
            let is_enough = self.is_eof || exchange.has_head();
            match taken {
                // What is no HTTP/2 is read as an answer that ends before its head.
                Err(h2::Broken) => self.is_eof = true,
                Ok(replies) if !replies.is_empty() => self.write(&replies).await?,
                Ok(_) => {}
            }
            if is_enough || self.is_eof {
                return Ok(());
            }
        }
    }

    fn spares_404(&self) -> bool {
        self.spec.disable_on_404 && self.situation.is_up
    }

    fn evaluate(&mut self, step: &Step, expect: &Expect) -> Eval {
        let mut number = self.number;
        let mut judge = |now: Option<Ctx<'_>>| {
            let input = Input {
                bytes: &self.received,
                is_last: self.is_eof || self.received.len() >= self.spec.answer_max,
                is_head: self.asked() == Some("HEAD"),
                spare_404: self.spares_404(),
                step: step.index + 1,
                is_script: self.spec.protocol == Protocol::Tcp,
                now,
            };
            evaluate(expect, &input, &mut number)
        };
        let found = if expect.is_made() { self.look(|now| judge(Some(now))) } else { judge(None) };
        self.number = number;
        found
    }

    /// The code that a step tells takes the place of the status.
    fn tell_code(&mut self, expect: &Expect) {
        let code = expect.status_code.as_ref().and_then(|code| self.look(|now| code.number(now)));
        if let Some(code) = code.and_then(|code| u16::try_from(code).ok()) {
            self.number = Some(code);
        }
    }

    fn phrase(&self, phrase: &Phrase) -> String {
        if phrase.is_made() { self.look(|now| phrase.text(Some(now))) } else { phrase.text(None) }
    }

    /// An expectation that was not met: what the step or the protocol says of it, and its comment.
    fn failure(&mut self, step: &Step, expect: &Expect, status: Status, details: Details) -> Finding {
        let mut info = match (details, &expect.on_error) {
            (Details::Told(text), _) => text,
            (_, Some(text)) => self.phrase(text),
            (Details::Unless(text), None) => text,
        };
        if let Some(comment) = &step.comment {
            info.push_str(" comment: ");
            info.push_str(comment);
        }
        self.tell_code(expect);
        Finding::new(status, info)
    }

    fn success(&mut self) -> Finding {
        let plain = if self.spec.protocol == Protocol::Tcp { "(tcp-check)" } else { "" };
        let spec = self.spec;
        match spec.steps.iter().rev().map(|s| &s.action).find(|action| action.is_talk()) {
            Some(Action::Expect(_)) if self.spares_404() && self.number == Some(404) => {
                Finding::new(Status::L7OkCond, "")
            }
            Some(Action::Expect(expect)) => {
                let info =
                    expect.on_success.as_ref().map_or_else(|| plain.to_owned(), |text| self.phrase(text));
                self.tell_code(expect);
                Finding::new(expect.ok_status.unwrap_or(Status::L7Ok), info)
            }
            Some(Action::Connect(connect)) => {
                let status = if spec.tls_of(connect).is_some() { Status::L6Ok } else { Status::L4Ok };
                Finding::new(status, if connect.implicit { "" } else { "(tcp-check)" })
            }
            _ => Finding::new(Status::L7Ok, "(tcp-check)"),
        }
    }

    /// A failure of the connection: what the system said, and at which step of a `tcp-check`.
    fn trouble(&self, status: Status, text: &str) -> Finding {
        self.trouble_at(self.at, status, text.to_owned())
    }

    fn trouble_at(&self, at: usize, status: Status, mut text: String) -> Finding {
        if self.spec.protocol == Protocol::Tcp
            && let Some(step) = self.spec.steps.get(at)
        {
            text.push_str(&place(step));
        }
        Finding::new(status, text)
    }
}

/// ` at step 2 of tcp-check (expect string 'OK')`.
fn place(step: &Step) -> String {
    let what = match &step.action {
        Action::Connect(connect) if connect.implicit => {
            return " at initial connection step of tcp-check".to_owned();
        }
        Action::Connect(connect) => match connect.port {
            Some(port) => format!(" (connect port {port})"),
            None => " (connect)".to_owned(),
        },
        Action::Send(_) => " (send)".to_owned(),
        Action::Set(_) => String::new(),
        Action::Expect(expect) => match &expect.pattern {
            Match::Bytes(Phrase::Fixed(text)) => match std::str::from_utf8(text) {
                Ok(text) => format!(" (expect string '{text}')"),
                Err(_) => {
                    let hex: String = text.iter().map(|b| format!("{b:02X}")).collect();
                    format!(" (expect binary '{hex}')")
                }
            },
            Match::Bytes(_) => " (expect log-format string)".to_owned(),
            Match::Hex(_) => " (expect log-format binary)".to_owned(),
            Match::HexRegex(_) => " (expect binary regex)".to_owned(),
            _ => " (expect regex)".to_owned(),
        },
    };
    let comment = step.comment.as_ref().map(|c| format!(" comment: '{c}'")).unwrap_or_default();
    format!(" at step {} of tcp-check{what}{comment}", step.index + 1)
}
