//! The handshake: what comes before data, and why there may never be any.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::Poll;

use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, client::UnbufferedClientConnection};

use crate::base::Nanos;
use crate::tls::failure::{self, Failure};
use crate::tls::hello::{self, Parsed};
use crate::tls::{Choice, Endpoint, Mismatch, Refusal, Verdict, take_verdict};

use super::engine::{Engine, Step, Wish};
use super::stream::{State, Tls};

/// Why there is no TLS on a connection.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The peer ended the connection.
    Closed,
    /// The connection broke.
    Broken(ErrorKind),
    /// The peer took too long.
    Timeout,
    /// What came is an HTTP request in the clear.
    Http,
    /// What came is nothing of TLS.
    NotTls,
    /// What the client asks for is not to be had.
    Refused(Refusal),
    /// The client's first message was malformed, and was answered with this alert.
    Malformed(u8),
    /// Whatever else went wrong between the two.
    Tls(rustls::Error),
}

impl Fault {
    fn of(e: &io::Error) -> Fault {
        match e.kind() {
            ErrorKind::TimedOut => Fault::Timeout,
            kind => Fault::Broken(kind),
        }
    }

    /// What OpenSSL calls it: `ssl_fc_err`.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Fault::Closed | Fault::Broken(_) | Fault::Timeout => None,
            Fault::Http => Some(failure::HTTP_REQUEST),
            Fault::NotTls => Some(failure::WRONG_VERSION_NUMBER),
            Fault::Refused(_) => Some(failure::CALLBACK_FAILED),
            Fault::Malformed(_) => Some(failure::of(&rustls::Error::InvalidMessage(
                rustls::InvalidMessage::MissingData("ClientHello"),
            ))),
            Fault::Tls(e) => Some(failure::of(e)),
        }
    }

    /// What those who only read and write are told.
    pub(super) fn error(&self) -> io::Error {
        match self {
            Fault::Closed => ErrorKind::UnexpectedEof.into(),
            Fault::Broken(kind) => (*kind).into(),
            Fault::Timeout => ErrorKind::TimedOut.into(),
            Fault::Tls(e) => io::Error::new(ErrorKind::InvalidData, e.clone()),
            Fault::Http | Fault::NotTls | Fault::Refused(_) | Fault::Malformed(_) => {
                ErrorKind::InvalidData.into()
            }
        }
    }
}

/// What HAProxy says of an error of a connection (`fc_err`, `bc_err`), of those that TLS makes.
pub fn fault_text(code: u8) -> &'static str {
    match code {
        0 => "Success",
        24 => "Connection closed during SSL handshake",
        26 => "Timeout during SSL handshake",
        30 => "SSL client CA chain cannot be verified",
        31 => "SSL client certificate not trusted",
        32 => "Server presented an SSL certificate different from the configured one",
        33 => "Server presented an SSL certificate different from the expected one",
        34 => "SSL handshake failure",
        _ => "",
    }
}

/// The same in a word.
pub fn fault_name(code: u8) -> &'static str {
    match code {
        24 => "SSL_EMPTY",
        26 => "SSL_TIMEOUT",
        30 => "SSL_CA_FAIL",
        31 => "SSL_CRT_FAIL",
        32 => "SSL_MISMATCH",
        33 => "SSL_MISMATCH_SNI",
        34 => "SSL_HANDSHAKE",
        _ => "",
    }
}

impl Tls {
    /// HAProxy's number of what went wrong with the connection; 0: nothing.
    pub fn fault_code(&self) -> u8 {
        let verdict = self.verdict().filter(|verdict| !verdict.is_accepted);
        match (self.fault(), verdict) {
            (None, _) => 0,
            (Some(Fault::Closed), _) => 24,
            (Some(Fault::Timeout), _) => 26,
            (Some(_), Some(Verdict { mismatch: Some(Mismatch::Host), .. })) => 32,
            (Some(_), Some(Verdict { mismatch: Some(Mismatch::Name), .. })) => 33,
            (Some(_), Some(Verdict { own: 0, ca, .. })) if ca > 0 => 30,
            (Some(_), Some(_)) => 31,
            (Some(_), None) => 34,
        }
    }

    /// The client is to be served over TLS from here on: its first message is waited for.
    pub fn serve(&self, endpoint: Arc<Endpoint>) {
        self.state().engine = Engine::Awaiting(endpoint);
    }

    /// The server is to be spoken to over TLS, after `preface`, which goes before it in the clear.
    pub fn greet(
        &self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        preface: &[u8],
    ) -> Result<(), rustls::Error> {
        let client = UnbufferedClientConnection::new(config, name)?;
        let mut state = self.state();
        state.engine = Engine::Client(Box::new(client));
        state.prepend(preface);
        Ok(())
    }

    /// Shakes hands. The error is told by [`Tls::fault`] too.
    pub fn poll_handshake(&self, until: Nanos) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.is_up {
            return Poll::Ready(Ok(()));
        }
        if let Some(fault) = &state.fault {
            return Poll::Ready(Err(fault.error()));
        }
        loop {
            if state.is_heavy() && !self.conn().rt().may_be_heavy() {
                return self.poll_turn(&mut state, until);
            }
            match state.advance() {
                Ok(true) => {
                    state.is_up = true;
                    // A server's tickets go at once, a client's last message with its first data.
                    if matches!(state.engine, Engine::Server(_)) {
                        self.send_now(&mut state);
                    }
                    return Poll::Ready(Ok(()));
                }
                Ok(false) => {}
                Err(fault) => {
                    // The alert goes out if it can.
                    let _ = self.poll_flush(&mut state, until);
                    return Poll::Ready(Err(self.fail(&mut state, fault)));
                }
            }
            let moved = match self.poll_flush(&mut state, until) {
                Poll::Ready(Ok(())) => self.poll_more(&mut state, false, until),
                other => other,
            };
            match moved {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if state.flow.is_ended => {
                    return Poll::Ready(Err(self.fail(&mut state, Fault::Closed)));
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return Poll::Ready(Err(self.fail(&mut state, Fault::of(&e)))),
            }
        }
    }

    /// Waits for its turn.
    fn poll_turn(&self, state: &mut State, until: Nanos) -> Poll<io::Result<()>> {
        let rt = self.conn().rt();
        if rt.now() >= until {
            return Poll::Ready(Err(self.fail(state, Fault::Timeout)));
        }
        rt.arm(until);
        Poll::Pending
    }

    fn fail(&self, state: &mut State, fault: Fault) -> io::Error {
        let error = fault.error();
        state.fault = Some(fault);
        state.flow = Default::default();
        error
    }
}

impl State {
    /// Whether the next step may take long: keys are agreed on, and something is signed or a signature is checked.
    fn is_heavy(&self) -> bool {
        matches!(self.engine, Engine::Awaiting(_) | Engine::Client(_)) && !self.flow.incoming.is_empty()
    }

    /// Goes as far as what came allows. True: hands are shaken.
    fn advance(&mut self) -> Result<bool, Fault> {
        if let Engine::Awaiting(endpoint) = &self.engine {
            let hello = match hello::parse(self.flow.incoming.data()) {
                Parsed::NeedMore => return Ok(false),
                Parsed::NotTls { is_http: true } => return Err(Fault::Http),
                Parsed::NotTls { .. } => return Err(Fault::NotTls),
                Parsed::Alert(alert) => {
                    self.alert(alert);
                    return Err(Fault::Malformed(alert));
                }
                Parsed::Hello(hello) => hello,
            };
            let chosen = endpoint.choose(&hello);
            self.hello = Some(Box::new(hello.compact()));
            let Choice { config, material, .. } = match chosen {
                Ok(choice) => choice,
                Err(refusal) => {
                    self.alert(refusal.alert);
                    return Err(Fault::Refused(refusal));
                }
            };
            self.material = Some(material);
            let server = UnbufferedServerConnection::new(config).map_err(Fault::Tls)?;
            self.engine = Engine::Server(Box::new(server));
        }
        let step = self.engine.run(&mut self.flow, Wish::Nothing);
        self.verdict = take_verdict().or(self.verdict);
        let step = step.map_err(Fault::Tls)?;
        if step == Step::Ended {
            return Err(Fault::Closed);
        }
        Ok(self.engine.common().is_some_and(|common| !common.is_handshaking()))
    }

    /// Tells the client why it is not served, before there are keys.
    fn alert(&mut self, alert: u8) {
        if alert > 0 {
            self.prepend(&hello::alert_record(alert));
        }
    }
}
