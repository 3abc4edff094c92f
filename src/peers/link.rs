//! The bytes of one session: greeted as who dialled or as who is dialled, then moved until it ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::base::{Millis, clock};

use super::group::Inner;
use super::hello::{self, Hello, Status};
use super::session::{Event, Session};
use super::shown::State;

/// Octets that are read at once.
const READ: usize = 32 * 1024;
/// Octets that are made before they are sent.
const WRITE: usize = 64 * 1024;
/// Without anything to say for so long, a peer says that it is there.
const BEAT_MS: Millis = 3000;
/// A peer that has said nothing for so long is gone.
const SILENCE_MS: Millis = 8000;
/// How often time is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How long what is left may take at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a session runs over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that was greeted.
pub struct Greeted {
    pub stream: Box<dyn Stream>,
    /// Of version 2.
    pub minor: u8,
    pub is_ours: bool,
    /// What came behind the greeting.
    pub rest: Vec<u8>,
}

/// Greets a peer; `Err` with the number by which it refuses, 0 where it says none.
pub async fn greet(stream: Box<dyn Stream>, to: &str, from: &str) -> Result<Greeted, u16> {
    let mut stream = stream;
    let greeting = hello::greeting(to, from, std::process::id());
    // In one piece: HAProxy 2.6 does not put pieces together.
    stream.write_all(greeting.as_bytes()).await.map_err(|_| 0_u16)?;
    stream.flush().await.map_err(|_| 0_u16)?;
    let mut came = Vec::new();
    let answer = loop {
        if let Some(answer) = hello::answer(&came) {
            break answer;
        }
        if !more(&mut stream, &mut came).await {
            return Err(0);
        }
    };
    if answer.status != Status::Good as u16 {
        return Err(answer.status);
    }
    Ok(Greeted { stream, minor: 1, is_ours: answer.is_ours, rest: came.split_off(answer.len) })
}

/// Reads who dials; nobody: it was refused, and told so.
pub async fn greeted(
    stream: Box<dyn Stream>,
    me: &str,
    knows: impl Fn(&str) -> bool,
) -> Option<(Hello, Greeted)> {
    let mut stream = stream;
    let mut came = Vec::new();
    loop {
        match hello::read(&came, me, &knows) {
            hello::Read::Short => {}
            hello::Read::Refused(status) => {
                let _ = stream.write_all(status.line(false).as_bytes()).await;
                let _ = stream.shutdown().await;
                return None;
            }
            hello::Read::Whole(hello, len) => {
                let (minor, is_ours, rest) = (hello.minor, hello.is_ours, came.split_off(len));
                return Some((hello, Greeted { stream, minor, is_ours, rest }));
            }
        }
        if !more(&mut stream, &mut came).await {
            return None;
        }
    }
}

/// Reads more of a greeting.
async fn more(stream: &mut Box<dyn Stream>, came: &mut Vec<u8>) -> bool {
    let mut room = [0; 512];
    match stream.read(&mut room).await {
        Ok(n) if n > 0 => {
            came.extend_from_slice(room.get(..n).unwrap_or_default());
            true
        }
        _ => false,
    }
}

/// A session that runs: the peer by its place in the section, and which of the peer's sessions it is.
pub struct Talk {
    pub inner: Arc<Inner>,
    pub peer: usize,
    pub number: u64,
}

/// What a session waits for.
enum Step {
    Came(usize),
    Went(usize),
    Flushed,
    News,
    Tick,
    /// Another session of this peer has begun.
    Replaced,
    /// The section ends.
    Stopped,
}

impl Talk {
    /// Moves bytes until the session ends.
    pub async fn run(self, greeted: Greeted, stopped: watch::Receiver<()>) {
        let Greeted { stream, minor, is_ours, rest } = greeted;
        let mut session = self.inner.session(self.peer, minor, is_ours);
        let (mut reader, mut writer) = tokio::io::split(stream);
        let how = self.talk(&mut session, &mut reader, &mut writer, &rest, stopped).await;
        if let Err(e) = &how {
            tracing::debug!("peers {}: {}: {e}", self.inner.spec.name, self.inner.name_of(self.peer));
        }
        let _ = timeout(FAREWELL, writer.shutdown()).await;
        self.inner.ended(self.peer, self.number, &session);
    }

    async fn talk(
        &self,
        session: &mut Session,
        reader: &mut ReadHalf<Box<dyn Stream>>,
        writer: &mut WriteHalf<Box<dyn Stream>>,
        rest: &[u8],
        stopped: watch::Receiver<()>,
    ) -> io::Result<()> {
        let (mut stopped, mut news) = (stopped, self.inner.news());
        let mut line = self.inner.line(self.peer);
        let mut room = vec![0; READ];
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut written, mut is_flushed) = (0, true);
        let (mut last_came, mut last_went) = (clock::now_ms(), clock::now_ms());
        // HAProxy 3.4 takes a session for dead that begins in silence.
        session.beat();
        self.take(session, writer, rest).await?;
        loop {
            if written == session.out().len() {
                session.clear();
                written = 0;
                session.fill(clock::now_ms(), WRITE, self.inner.is_whole());
            }
            let out = session.out().get(written..).unwrap_or_default();
            let has_out = !out.is_empty();
            let sending = async {
                if has_out {
                    writer.write(out).await.map(Step::Went)
                } else {
                    writer.flush().await.map(|()| Step::Flushed)
                }
            };
            let step = tokio::select! {
                came = reader.read(&mut room) => Step::Came(came?),
                went = sending, if has_out || !is_flushed => went?,
                _ = news.changed() => Step::News,
                _ = tick.tick() => Step::Tick,
                _ = line.wait_for(|line| line.number != self.number) => Step::Replaced,
                _ = stopped.changed() => Step::Stopped,
            };
            let now = clock::now_ms();
            match step {
                Step::Came(0) | Step::Went(0) | Step::Replaced => return Ok(()),
                Step::Came(n) => {
                    last_came = now;
                    self.take(session, writer, room.get(..n).unwrap_or_default()).await?;
                    // However much comes, others have their turn.
                    tokio::task::yield_now().await;
                }
                Step::Went(n) => {
                    (written, is_flushed, last_went) = (written + n, false, now);
                }
                Step::Flushed => is_flushed = true,
                Step::News => session.note_news(),
                Step::Tick if clock::elapsed_ms(now, last_came) > SILENCE_MS => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Step::Tick => {
                    self.look(session, now);
                    if !has_out && clock::elapsed_ms(now, last_went) >= BEAT_MS {
                        session.beat();
                    }
                }
                Step::Stopped => return farewell(session, writer, written).await,
            }
        }
    }

    /// Asks if somebody is to be asked, and shows how the session stands.
    fn look(&self, session: &mut Session, now: Millis) {
        if self.inner.asks(self.peer, now) {
            session.ask();
        }
        self.inner.show(self.peer, self.number, |peer| {
            (peer.tally, peer.progress) = (session.tally, session.progress());
        });
    }

    /// Takes what came. A peer that breaks the protocol is told so.
    async fn take(
        &self,
        session: &mut Session,
        writer: &mut WriteHalf<Box<dyn Stream>>,
        bytes: &[u8],
    ) -> io::Result<()> {
        let now = clock::now_ms();
        match session.receive(bytes, now) {
            Ok(events) => {
                for Event::Taught(all) in events {
                    self.inner.taught(self.peer, all, now);
                }
                Ok(())
            }
            Err(fault) => {
                self.inner.show(self.peer, self.number, |peer| {
                    (peer.faults, peer.state) = (peer.faults + 1, State::Lost);
                });
                let _ = timeout(FAREWELL, writer.write_all(&fault.message())).await;
                let _ = timeout(FAREWELL, writer.flush()).await;
                Err(io::Error::new(io::ErrorKind::InvalidData, format!("{fault:?}")))
            }
        }
    }
}

/// Sends what was changed last, as far as the peer takes it now.
async fn farewell(
    session: &mut Session,
    writer: &mut WriteHalf<Box<dyn Stream>>,
    written: usize,
) -> io::Result<()> {
    session.note_news();
    session.fill(clock::now_ms(), WRITE, true);
    let out = session.out().get(written..).unwrap_or_default();
    let sent = async {
        writer.write_all(out).await?;
        writer.flush().await
    };
    timeout(FAREWELL, sent).await.unwrap_or(Ok(()))
}
