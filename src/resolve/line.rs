//! Connections over TLS to one server (RFC 7858): each carries many questions at once, whose answers come in any order,
//! so that a name that takes long keeps nobody waiting.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::tls::Secure;

/// To one server at once: some answer one question of a connection after another.
const LINES: usize = 4;
/// From so many questions on, another one is opened.
const BUSY: usize = 16;
/// Questions of a connection that wait for their answers.
const WAITING: usize = 256;
/// One that says nothing for longer is given up: the server may have closed it, or be gone.
const KEPT: Duration = Duration::from_secs(8);

/// The connections to a server.
pub(super) struct Lines {
    secure: Secure,
    open: Mutex<Vec<Line>>,
    /// Held by who opens one.
    opening: tokio::sync::Mutex<()>,
}

impl Lines {
    pub(super) fn new(secure: Secure) -> Lines {
        Lines { secure, open: Mutex::default(), opening: tokio::sync::Mutex::default() }
    }

    /// Asks once more where a connection that stood already turns out to be closed.
    pub(super) async fn ask(&self, to: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let (line, is_new) = match self.least() {
                Some(line) if line.busy() < BUSY => (line, false),
                Some(line) => match self.opening.try_lock() {
                    Ok(_opening) if self.count() < LINES => (self.open(to).await?, true),
                    _ => (line, false),
                },
                None => {
                    let _opening = self.opening.lock().await;
                    match self.least() {
                        Some(line) => (line, false),
                        None => (self.open(to).await?, true),
                    }
                }
            };
            match line.ask(query).await {
                Err(e) if !is_new && e.kind() == io::ErrorKind::ConnectionAborted => {}
                answered => return answered,
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.lines().len()
    }

    /// The one that has least to do.
    fn least(&self) -> Option<Line> {
        let mut open = self.lines();
        open.retain(|line| !line.queue.is_closed());
        open.iter().min_by_key(|line| line.busy()).cloned()
    }

    async fn open(&self, to: SocketAddr) -> io::Result<Line> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let line = Line::on(self.secure.over(stream).await?);
        self.lines().push(line.clone());
        Ok(line)
    }
}

type Waiting = Arc<Mutex<HashMap<u16, oneshot::Sender<Vec<u8>>>>>;

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<u16, oneshot::Sender<Vec<u8>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that a task of its own keeps.
#[derive(Clone)]
struct Line {
    queue: mpsc::Sender<Vec<u8>>,
    waiting: Waiting,
}

/// A question that waits; dropped, it waits no more.
struct Place {
    waiting: Waiting,
    id: u16,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.id);
    }
}

impl Line {
    fn on(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Line {
        let (queue, questions) = mpsc::channel(WAITING);
        let waiting = Waiting::default();
        let answers = waiting.clone();
        tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(stream);
            tokio::select! {
                _ = write(writer, questions) => {}
                _ = read(reader, &answers) => {}
            }
            // The queue is closed by now: nobody comes after them.
            lock(&answers).clear();
        });
        Line { queue, waiting }
    }

    fn busy(&self) -> usize {
        lock(&self.waiting).len()
    }

    /// The answer to a query, which bears the id of the query. `ConnectionAborted`: the connection ended before.
    async fn ask(&self, query: &[u8]) -> io::Result<Vec<u8>> {
        let ended = || io::Error::from(io::ErrorKind::ConnectionAborted);
        if self.busy() >= WAITING {
            return Err(io::Error::other("too many questions wait for this server"));
        }
        let [first, second, rest @ ..] = query else { return Err(io::ErrorKind::InvalidInput.into()) };
        let asked = [*first, *second];
        let (answer, answered) = oneshot::channel();
        let place = self.place(u16::from_be_bytes(asked), answer);
        let length = (query.len() as u16).to_be_bytes();
        let framed = [&length[..], &place.id.to_be_bytes(), rest].concat();
        self.queue.send(framed).await.map_err(|_| ended())?;
        let mut answer = answered.await.map_err(|_| ended())?;
        answer[..2].copy_from_slice(&asked);
        Ok(answer)
    }

    /// By an id that none of those has that wait, this one or one behind it.
    fn place(&self, mut id: u16, answer: oneshot::Sender<Vec<u8>>) -> Place {
        let mut waiting = lock(&self.waiting);
        while waiting.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        waiting.insert(id, answer);
        Place { waiting: self.waiting.clone(), id }
    }
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut questions: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Some(question) = questions.recv().await {
        writer.write_all(&question).await?;
        writer.flush().await?;
    }
    Ok(())
}

async fn read(mut reader: impl AsyncRead + Unpin, waiting: &Waiting) -> io::Result<()> {
    loop {
        let size = timeout(KEPT, reader.read_u16()).await??;
        let mut answer = vec![0; usize::from(size)];
        timeout(KEPT, reader.read_exact(&mut answer)).await??;
        let Some(id) = answer.first_chunk() else { return Err(io::ErrorKind::InvalidData.into()) };
        // Whoever asked may have given up.
        if let Some(waits) = lock(waiting).remove(&u16::from_be_bytes(*id)) {
            let _ = waits.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    fn question(id: u16, name: u8) -> Vec<u8> {
        [&id.to_be_bytes()[..], &[name; 20]].concat()
    }

    async fn taken(server: &mut DuplexStream) -> Vec<u8> {
        let size = server.read_u16().await.expect("a length");
        let mut query = vec![0; usize::from(size)];
        server.read_exact(&mut query).await.expect("a query");
        query
    }

    async fn answer(server: &mut DuplexStream, query: &[u8]) {
        server.write_u16(query.len() as u16).await.expect("written");
        server.write_all(query).await.expect("written");
    }

    #[tokio::test]
    async fn answers_come_in_any_order_and_one_that_is_slow_keeps_nobody_waiting() {
        let (client, mut server) = tokio::io::duplex(4096);
        let line = Line::on(client);
        let asked: Vec<_> = (0..3u8)
            .map(|name| {
                let line = line.clone();
                // All of them with one id.
                tokio::spawn(async move { line.ask(&question(7, name)).await })
            })
            .collect();
        let mut queries = Vec::new();
        for _ in 0..3 {
            queries.push(taken(&mut server).await);
        }
        queries.sort_by_key(|query| query[2]);
        let mut ids: Vec<&[u8]> = queries.iter().map(|query| &query[..2]).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 3, "each has an id of its own");
        // The first is never answered.
        for query in [&queries[2], &queries[1]] {
            answer(&mut server, query).await;
        }
        let mut asked = asked.into_iter();
        let slow = asked.next().expect("the first");
        for (n, one) in asked.enumerate() {
            assert_eq!(one.await.expect("a task").expect("an answer"), question(7, n as u8 + 1));
        }
        assert_eq!(line.busy(), 1);
        slow.abort();
        assert!(slow.await.is_err());
        assert_eq!(line.busy(), 0, "who gave up has no place");
    }

    #[tokio::test]
    async fn those_who_wait_learn_that_the_connection_ended() {
        let (client, mut server) = tokio::io::duplex(4096);
        let line = Line::on(client);
        let other = line.clone();
        let asked = tokio::spawn(async move { other.ask(&question(1, 1)).await });
        taken(&mut server).await;
        drop(server);
        assert_eq!(asked.await.expect("a task").unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        while !line.queue.is_closed() {
            tokio::task::yield_now().await;
        }
        assert_eq!(line.ask(&question(1, 1)).await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
