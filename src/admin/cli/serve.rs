//! The sockets of the runtime API: connections, lines, payloads, time limits. Runs on the control runtime.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use crate::admin::control::Control;
use crate::config::global::{CliLevel, SeverityOutput};

use super::session::{Mode, Output, Session};
use super::words::{commands, payload_mark};

/// Longest line, as with HAProxy's buffers.
const MAX_LINE: usize = 16 * 1024;
/// Longest payload (`tune.cli.max-payload-size`).
const MAX_PAYLOAD: usize = 128 * 1024;

/// A socket that listens already, not blocking or about to be made so.
#[derive(Debug)]
pub enum Listener {
    Unix(std::os::unix::net::UnixListener),
    Tcp(std::net::TcpListener),
}

/// A `stats socket`, or the master's with `is_master`.
#[derive(Debug)]
pub struct Socket {
    pub listener: Listener,
    pub level: CliLevel,
    pub severity: SeverityOutput,
    pub is_master: bool,
    /// `stats timeout`.
    pub timeout_ms: u64,
}

/// Accepts clients until the future is dropped. `clients` has one permit for each that `stats maxconn` allows.
pub async fn serve(socket: Socket, control: Arc<dyn Control>, clients: Arc<Semaphore>) -> io::Result<()> {
    let Socket { listener, level, severity, is_master, timeout_ms } = socket;
    let session = || {
        let mut session = Session::new(control.clone(), level, timeout_ms);
        session.is_master = is_master;
        session.severity = severity;
        session
    };
    match listener {
        Listener::Unix(listener) => {
            listener.set_nonblocking(true)?;
            let listener = UnixListener::from_std(listener)?;
            loop {
                let permit = permit(&clients).await?;
                match listener.accept().await {
                    Ok((stream, _)) => start(stream, session(), permit),
                    Err(_) => pause().await,
                }
            }
        }
        Listener::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            loop {
                let permit = permit(&clients).await?;
                match listener.accept().await {
                    Ok((stream, _)) => start(stream, session(), permit),
                    Err(_) => pause().await,
                }
            }
        }
    }
}

async fn permit(clients: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    clients.clone().acquire_owned().await.map_err(io::Error::other)
}

/// After a failed accept: most probably no descriptor is left.
async fn pause() {
    time::sleep(Duration::from_millis(100)).await;
}

fn start<S>(stream: S, session: Session, permit: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        // A client that went away or fell silent is no error of ours.
        let _ = Client { stream, input: Vec::new(), is_eof: false }.talk(session).await;
        drop(permit);
    });
}

struct Client<S> {
    stream: S,
    input: Vec<u8>,
    is_eof: bool,
}

/// What came in.
enum Incoming {
    Line(String),
    TooLong,
    End,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn talk(mut self, mut session: Session) -> io::Result<()> {
        loop {
            let line = match self.line(MAX_LINE, session.timeout_ms).await? {
                Incoming::Line(line) => line,
                Incoming::End => break,
                Incoming::TooLong => {
                    self.send("The command line is too big.\n\n").await?;
                    break;
                }
            };
            let mut text = line.as_str();
            let mut payload = None;
            if let Some((before, mark)) = payload_mark(&line) {
                text = before;
                match self.payload(mark, &session).await? {
                    Incoming::Line(gathered) => payload = Some(gathered),
                    Incoming::End => break,
                    Incoming::TooLong => {
                        self.send("The payload is too big.\n\n").await?;
                        break;
                    }
                }
            }
            let mut is_over = false;
            let list = commands(text);
            let count = list.len();
            for (i, command) in list.into_iter().enumerate() {
                // The payload belongs to the last one; a semicolon at the end begins no other.
                if command.trim().is_empty() && count > 1 {
                    continue;
                }
                let given = if i + 1 == count { payload.take() } else { None };
                let output;
                (session, output) = run(session, command.to_owned(), given).await?;
                self.send(&output.text).await?;
                // Even a sleep of no time lasts until the next tick of the timer, which is a millisecond.
                if output.wait_ms > 0 {
                    time::sleep(Duration::from_millis(output.wait_ms)).await;
                }
                is_over = output.is_over;
                if is_over {
                    break;
                }
            }
            // Lines that came with the first are answered too.
            if is_over || (session.mode == Mode::Single && !self.input.contains(&b'\n')) {
                break;
            }
        }
        self.stream.shutdown().await
    }

    async fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes()).await
    }

    /// The next line without its end. At the end of input, what is left is a line.
    async fn line(&mut self, limit: usize, timeout_ms: u64) -> io::Result<Incoming> {
        loop {
            let end = memchr::memchr(b'\n', &self.input);
            if let Some(end) = end.filter(|end| *end <= limit) {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.pop();
                line.pop_if(|b| *b == b'\r');
                return Ok(Incoming::Line(text(line)));
            }
            if end.is_some() || self.input.len() > limit {
                return Ok(Incoming::TooLong);
            }
            if self.is_eof {
                let rest = std::mem::take(&mut self.input);
                return Ok(if rest.is_empty() { Incoming::End } else { Incoming::Line(text(rest)) });
            }
            let read = self.stream.read_buf(&mut self.input);
            let patience = if timeout_ms > 0 { Duration::from_millis(timeout_ms) } else { Duration::MAX };
            match time::timeout(patience, read).await {
                Ok(n) => self.is_eof = n? == 0,
                Err(_) => return Ok(Incoming::End),
            }
        }
    }

    /// Lines up to `mark`, joined.
    async fn payload(&mut self, mark: &str, session: &Session) -> io::Result<Incoming> {
        let mut all = String::new();
        loop {
            if session.mode == Mode::Prompt {
                self.send("+ ").await?;
            }
            match self.line(MAX_PAYLOAD, session.timeout_ms).await? {
                Incoming::Line(line) if line == mark => return Ok(Incoming::Line(all)),
                // The mark did not come.
                Incoming::Line(_) if self.is_eof && self.input.is_empty() => return Ok(Incoming::End),
                Incoming::Line(line) => {
                    if !all.is_empty() {
                        all.push('\n');
                    }
                    all.push_str(&line);
                }
                other => return Ok(other),
            }
            if all.len() > MAX_PAYLOAD {
                return Ok(Incoming::TooLong);
            }
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Commands may take their time (statistics of thousands of servers, a reload): not on the runtime's own threads.
async fn run(
    mut session: Session,
    command: String,
    payload: Option<String>,
) -> io::Result<(Session, Output)> {
    let task = tokio::task::spawn_blocking(move || {
        let output = session.run(&command, payload);
        (session, output)
    });
    task.await.map_err(io::Error::other)
}
