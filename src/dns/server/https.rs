//! Queries over HTTPS (RFC 8484): a request of HTTP/2 or HTTP/1.1 for each, bounded in time and memory.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::figures::Figures;
use super::room::Place;
use super::shared::Shared;
use super::turn::{Turn, reply};
use crate::base::clock;
use crate::conn::http::{BodyError, Bounds, read};
use crate::dns::answer::Sent;
use crate::dns::wire::{HEADER, rtype, skip_name, u16_at, u32_at};

/// The type of messages.
const MESSAGES: &str = "application/dns-message";
/// Octets of a query: a name, EDNS, and room for options.
const QUERY: usize = 4096;
/// Of the head of a request, in which a query may be.
const HEAD: usize = 16 << 10;
/// Requests of one connection at once: fewer are not recommended (RFC 9113, 6.5.2).
const STREAMS: u32 = 100;
/// Requests that come in at once, of all connections.
pub(super) const REQUESTS: usize = 10_000;
/// Octets that a connection may send ahead of what is read.
const WINDOW: u32 = 65_535;
/// An answer goes to the connection in pieces of so many octets, as it takes them.
const PIECE: usize = 1024;
/// For the end in good order.
const FAREWELL: Duration = Duration::from_secs(1);
/// Between two looks at a connection on which something is asked of upstream.
const LOOK: Duration = Duration::from_millis(100);

/// Padding is not written (RFC 8484, 6), and who writes it is understood.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a connection is at.
struct Talk {
    /// When a request was last there whole, or an answer taken.
    moved_ms: AtomicU64,
    /// Requests that wait for upstream.
    asking: AtomicUsize,
}

impl Talk {
    fn moved(&self) {
        self.moved_ms.store(clock::now_ms(), Ordering::Relaxed);
    }

    /// Returns when nothing has moved for so long.
    async fn silent(&self, shared: &Shared) {
        loop {
            let idle_ms = shared.idle_ms.load(Ordering::Relaxed);
            let left_ms = (self.moved_ms.load(Ordering::Relaxed) + idle_ms).saturating_sub(clock::now_ms());
            if self.asking.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(LOOK).await;
            } else if left_ms > 0 {
                tokio::time::sleep(Duration::from_millis(left_ms)).await;
            } else {
                return;
            }
        }
    }
}

/// One that waits for upstream, until it is dropped.
struct Asking<'t>(&'t Talk);

impl<'t> Asking<'t> {
    fn begin(talk: &'t Talk) -> Asking<'t> {
        talk.asking.fetch_add(1, Ordering::Relaxed);
        Asking(talk)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.moved();
        self.0.asking.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the requests of one connection have in common.
struct Connection {
    peer: SocketAddr,
    path: Arc<str>,
    shared: Arc<Shared>,
    figures: Arc<Figures>,
    talk: Arc<Talk>,
}

/// Serves one connection until it ends, is silent for too long, or takes no answers.
pub(super) async fn serve(
    stream: TlsStream<TcpStream>,
    peer: SocketAddr,
    path: Arc<str>,
    shared: Arc<Shared>,
    figures: Arc<Figures>,
) {
    let talk = Arc::new(Talk { moved_ms: AtomicU64::new(clock::now_ms()), asking: AtomicUsize::new(0) });
    let idle = Duration::from_millis(shared.idle_ms.load(Ordering::Relaxed));
    let (held, watched) = (talk.clone(), shared.clone());
    let connection = Arc::new(Connection { peer, path, shared, figures, talk });
    let service = service_fn(move |request| {
        let connection = connection.clone();
        async move { Ok::<_, Infallible>(connection.answer(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(HEAD as u32)
        .max_send_buf_size(PIECE);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // What ends a connection early is the peer's affair.
    tokio::select! {
        _ = served.as_mut() => return,
        () = held.silent(&watched) => served.as_mut().graceful_shutdown(),
    }
    let _ = timeout(FAREWELL, served).await;
}

impl Connection {
    async fn answer(&self, request: Request<Incoming>) -> Response<Told> {
        let Ok(_place) = self.shared.requests.try_acquire() else {
            return refused(StatusCode::SERVICE_UNAVAILABLE);
        };
        match self.message(request).await {
            Ok(message) => self.told(&message).await.unwrap_or_else(refused),
            Err(response) => response,
        }
    }

    /// The query that a request brings.
    async fn message(&self, request: Request<Incoming>) -> Result<Bytes, Response<Told>> {
        let (head, body) = request.into_parts();
        // Taken before anything is refused: who is still sending would hear of a reset alone.
        let body = read(body, Bounds::of(QUERY)).await;
        if head.uri.path() != &*self.path {
            return Err(refused(StatusCode::NOT_FOUND));
        }
        let found = match head.method {
            Method::GET => of_query(head.uri.query().unwrap_or_default()),
            Method::POST if !is_message(&head) => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Method::POST => match body {
                Ok(message) => Ok(message),
                Err(BodyError::TooLarge) => Err(StatusCode::PAYLOAD_TOO_LARGE),
                Err(BodyError::Broken(_)) => Err(StatusCode::BAD_REQUEST),
            },
            _ => {
                let refused = refused(StatusCode::METHOD_NOT_ALLOWED);
                return Err(with(refused, ALLOW, HeaderValue::from_static("GET, POST")));
            }
        };
        self.talk.moved();
        found.map_err(refused)
    }

    async fn told(&self, message: &[u8]) -> Result<Response<Told>, StatusCode> {
        let mut answer = Vec::new();
        let turn = reply(message, self.peer.ip().to_canonical(), &self.shared, &self.figures, |octets| {
            answer.extend_from_slice(octets);
        });
        let sent = match turn {
            Turn::Done(sent) => sent,
            Turn::Close => return Err(StatusCode::BAD_REQUEST),
            // More messages than one.
            Turn::Transfer(..) => return Err(StatusCode::NOT_IMPLEMENTED),
            Turn::Ask(waiting) => {
                let _asking = Asking::begin(&self.talk);
                let answered = waiting.answer(message, &self.shared, &self.figures).await;
                let (octets, sent) = answered.ok_or(StatusCode::BAD_REQUEST)?;
                answer = octets;
                sent
            }
        };
        let place = self.shared.waiting.take(self.peer.ip(), answer.len());
        let place = place.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        let lasts = lasts(&answer, &sent);
        let told = Told { rest: answer.into(), talk: Some(self.talk.clone()), _place: Some(place) };
        let response = with(Response::new(told), CONTENT_TYPE, HeaderValue::from_static(MESSAGES));
        Ok(match HeaderValue::try_from(lasts) {
            Ok(lasts) => with(response, CACHE_CONTROL, lasts),
            Err(_) => response,
        })
    }
}

fn with<B>(mut response: Response<B>, name: HeaderName, value: HeaderValue) -> Response<B> {
    response.headers_mut().insert(name, value);
    response
}

fn refused(status: StatusCode) -> Response<Told> {
    let mut response = Response::new(Told::default());
    *response.status_mut() = status;
    response
}

fn is_message(head: &Parts) -> bool {
    let given = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = given.and_then(|value| value.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(MESSAGES)
}

/// The message of the parameter `dns`.
fn of_query(query: &str) -> Result<Bytes, StatusCode> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("dns=")).ok_or(StatusCode::BAD_REQUEST)?;
    let message = BASE64.decode(text).map_err(|_| StatusCode::BAD_REQUEST)?;
    if message.len() > QUERY {
        return Err(StatusCode::URI_TOO_LONG);
    }
    Ok(message.into())
}

/// How long an answer may be kept on the way: as long as the first of its records (RFC 8484, 5.1). One that was made for
/// this client is nobody else's.
fn lasts(answer: &[u8], sent: &Sent) -> String {
    let whose = if sent.chosen.is_some() { "private, " } else { "" };
    format!("{whose}max-age={}", least_ttl(answer).unwrap_or(0))
}

/// The least TTL of all records; of an answer without records, that of the SOA record beside it (RFC 2308, 5).
fn least_ttl(answer: &[u8]) -> Option<u32> {
    let count = |at: usize| u16_at(answer, at).map(usize::from);
    let mut at = HEADER;
    for _ in 0..count(4)? {
        at = skip_name(answer, at)? + 4;
    }
    let mut least: Option<u32> = None;
    for _ in 0..count(6)? + count(8)? {
        let start = skip_name(answer, at)?;
        let (kind, mut ttl) = (u16_at(answer, start)?, u32_at(answer, start + 4)?);
        at = start + 10 + usize::from(u16_at(answer, start + 8)?);
        if kind == rtype::SOA {
            ttl = ttl.min(u32_at(answer, at.checked_sub(4)?)?);
        }
        least = Some(least.map_or(ttl, |least| least.min(ttl)));
    }
    least
}

/// An answer on its way.
#[derive(Default)]
struct Told {
    rest: Bytes,
    talk: Option<Arc<Talk>>,
    _place: Option<Place>,
}

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(size);
        if let Some(talk) = self.talk.as_ref().filter(|_| self.rest.is_empty()) {
            talk.moved();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_among_parameters() {
        assert_eq!(of_query("x=1&dns=AAAB_-8"), Ok(Bytes::from_static(&[0, 0, 1, 0xff, 0xef])));
        assert_eq!(of_query("dns=AAAB_-8="), of_query("dns=AAAB_-8"), "who pads is understood");
        assert_eq!(of_query("dns=AAAB/+8"), Err(StatusCode::BAD_REQUEST), "another alphabet");
        assert_eq!(of_query("name=x"), Err(StatusCode::BAD_REQUEST));
        let long = format!("dns={}", "A".repeat(QUERY * 2));
        assert_eq!(of_query(&long), Err(StatusCode::URI_TOO_LONG));
    }

    #[test]
    fn an_answer_lasts_as_long_as_the_first_of_its_records() {
        let mut answer = vec![0, 0, 0x80, 0, 0, 1, 0, 2, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        for ttl in [70u8, 30] {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, 1]);
        }
        assert_eq!(lasts(&answer, &Sent::default()), "max-age=30");
        assert_eq!(lasts(&answer, &Sent { chosen: Some((0, 0)), ..Sent::default() }), "private, max-age=30");
        answer[6..10].copy_from_slice(&[0, 0, 0, 1]);
        answer.truncate(19);
        answer.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0]);
        answer.extend([0; 16].into_iter().chain([0, 0, 0, 7]));
        assert_eq!(lasts(&answer, &Sent::default()), "max-age=7", "negative");
        assert_eq!(lasts(&answer[..20], &Sent::default()), "max-age=0", "cut short");
    }
}
