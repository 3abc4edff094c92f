//! One check from start to end: the steps of a [`CheckSpec`] on a connection.

use std::net::SocketAddr;

use crate::base::{Millis, clock};
use crate::model::Address;

use super::evaluate::{Eval, Input, evaluate};
use super::io::{Connection, Trouble, describe, proxy_header};
use super::request;
use super::rule::{Action, Connect, Expect, Match, Send, Step};
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
        before: Vec::new(),
    };
    let mut finding = match run.steps().await {
        Ok(finding) | Err(finding) => finding,
    };
    finding.number = run.number;
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
    /// The PROXY header that each datagram begins with.
    before: Vec<u8>,
}

/// `Err` is a check that failed.
type Found<T> = Result<T, Finding>;

impl Run<'_> {
    async fn steps(&mut self) -> Found<Finding> {
        const ALONE: &Connect = &Connect {
            implicit: true,
            default: true,
            addr: None,
            port: None,
            send_proxy: false,
            linger: false,
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
                        Eval::Failed(finding) => return Err(finding),
                        Eval::Wait => {
                            // An unwanted text may come with the next data: such expectations are asked again.
                            self.at = self.first_inverse();
                            must_read = true;
                            continue;
                        }
                    }
                }
            }
            self.at += 1;
        }
        Ok(self.success())
    }

    fn step(&self) -> Option<&Step> {
        self.spec.steps.get(self.at)
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

    async fn connect(&mut self, connect: &Connect) -> Found<()> {
        let address = self.address(connect);
        self.connection = None;
        self.received.clear();
        self.before.clear();
        self.is_eof = false;
        if matches!(address, Address::Inet(a) if a.port() == 0) {
            return Err(self.trouble(Status::SockErr, ""));
        }
        let start: Millis = clock::now_ms();
        let deadline = start + self.spec.connect_timeout_ms();
        let mut connection =
            match Connection::open(&address, deadline, (self.spec.datagram, connect.linger)).await {
                Ok(connection) => connection,
                Err(Trouble::Timeout) => return Err(self.trouble(Status::L4Timeout, "")),
                Err(Trouble::Io(e)) => return Err(self.trouble(Status::L4Con, &describe(&e))),
            };
        connection.deadline = match self.spec.timeout_check_ms {
            0 => start + self.spec.inter_ms,
            ms => clock::now_ms() + ms,
        };
        let version = match (connect.default, connect.send_proxy) {
            (true, false) => self.spec.send_proxy,
            (_, true) => self.spec.send_proxy.max(1),
            _ => 0,
        };
        let header = (version > 0).then(|| proxy_header(version, connection.ends()));
        self.connection = Some(connection);
        match header {
            Some(header) if self.spec.datagram => self.before = header,
            Some(header) => self.write(&header).await?,
            None => {}
        }
        match self.spec.tls_of(connect) {
            Some(tls) => self.secure(tls, connect).await,
            None => Ok(()),
        }
    }

    async fn secure(&mut self, tls: &CheckTls, connect: &Connect) -> Found<()> {
        let Some(connection) = &mut self.connection else { return Err(self.trouble(Status::SockErr, "")) };
        match connection.secure(tls, connect).await {
            Ok(()) => Ok(()),
            Err(Trouble::Timeout) => Err(self.trouble(Status::L6Timeout, "")),
            Err(Trouble::Io(_)) => Err(self.trouble(Status::L6Rsp, "SSL handshake failure")),
        }
    }

    async fn send(&mut self, send: &Send) -> Found<()> {
        self.received = Vec::new();
        match send {
            Send::Http(request) => {
                self.write(&request::encode(request, self.situation.state.as_deref())).await
            }
            Send::Bytes(bytes) => self.write(bytes).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Found<()> {
        let whole = [&self.before[..], bytes].concat();
        let Some(connection) = &mut self.connection else { return Err(self.trouble(Status::SockErr, "")) };
        match connection.write(&whole).await {
            Ok(()) => Ok(()),
            Err(Trouble::Timeout) => Err(self.trouble(Status::L7Timeout, "")),
            // The answer may be there already: let it decide.
            Err(Trouble::Io(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(Trouble::Io(e)) => Err(self.trouble(Status::SockErr, &describe(&e))),
        }
    }

    /// Waits for more of the answer.
    async fn read(&mut self, expect: &Expect) -> Found<()> {
        let max = self.spec.answer_max;
        let Some(connection) = &mut self.connection else { return Err(self.trouble(Status::SockErr, "")) };
        match connection.read(&mut self.received, max).await {
            Ok(0) => self.is_eof = true,
            Ok(_) => {}
            Err(Trouble::Timeout) => {
                return Err(self.trouble(expect.timeout_status.unwrap_or(Status::L7Timeout), ""));
            }
            // A reset right behind the answer is common; without an answer it is the result.
            Err(Trouble::Io(e)) if self.received.is_empty() => {
                return Err(self.trouble(Status::SockErr, &describe(&e)));
            }
            Err(Trouble::Io(_)) => self.is_eof = true,
        }
        Ok(())
    }

    fn spares_404(&self) -> bool {
        self.spec.disable_on_404 && self.situation.is_up
    }

    fn evaluate(&mut self, step: &Step, expect: &Expect) -> Eval {
        let is_head = self.spec.steps[..self.at].iter().rev().find_map(|s| match &s.action {
            Action::Send(Send::Http(request)) => Some(request.method.as_deref() == Some("HEAD")),
            _ => None,
        });
        let input = Input {
            bytes: &self.received,
            is_last: self.is_eof || self.received.len() >= self.spec.answer_max,
            is_head: is_head.unwrap_or(false),
            spare_404: self.spares_404(),
            step: step.index + 1,
            comment: step.comment.as_deref(),
        };
        evaluate(expect, &input, &mut self.number)
    }

    fn success(&self) -> Finding {
        let plain = if self.spec.protocol == Protocol::Tcp { "(tcp-check)" } else { "" };
        match self.spec.steps.last().map(|s| &s.action) {
            Some(Action::Expect(_)) if self.spares_404() && self.number == Some(404) => {
                Finding::new(Status::L7OkCond, "")
            }
            Some(Action::Expect(expect)) => {
                let info = expect.on_success.as_deref().unwrap_or(plain);
                Finding::new(expect.ok_status.unwrap_or(Status::L7Ok), info)
            }
            Some(Action::Connect(connect)) => {
                let status = if self.spec.tls_of(connect).is_some() { Status::L6Ok } else { Status::L4Ok };
                Finding::new(status, if connect.implicit { "" } else { "(tcp-check)" })
            }
            _ => Finding::new(Status::L7Ok, "(tcp-check)"),
        }
    }

    /// A failure of the connection: what the system said, and at which step of a `tcp-check`.
    fn trouble(&self, status: Status, text: &str) -> Finding {
        let mut info = text.to_owned();
        if self.spec.protocol == Protocol::Tcp
            && let Some(step) = self.step()
        {
            info.push_str(&place(step));
        }
        Finding::new(status, info)
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
        Action::Expect(expect) => match &expect.pattern {
            Match::Bytes(text) => match std::str::from_utf8(text) {
                Ok(text) => format!(" (expect string '{text}')"),
                Err(_) => {
                    let hex: String = text.iter().map(|b| format!("{b:02X}")).collect();
                    format!(" (expect binary '{hex}')")
                }
            },
            Match::HexRegex(_) => " (expect binary regex)".to_owned(),
            _ => " (expect regex)".to_owned(),
        },
    };
    let comment = step.comment.as_ref().map(|c| format!(" comment: '{c}'")).unwrap_or_default();
    format!(" at step {} of tcp-check{what}{comment}", step.index + 1)
}
