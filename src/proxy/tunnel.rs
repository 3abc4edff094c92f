//! Bytes in both directions until both have ended: TCP mode, and what follows an accepted Upgrade or CONNECT.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Poll;

use crate::base::Nanos;
use crate::base::buf::{Buf, HEAD_SIZE};
use crate::config::{Proxy, Timeouts};
use crate::conn::Link;
use crate::rules::TimeoutOverrides;

use super::end::{Cause, End, Phase};
use super::transfer::{Broken, Extent, Patience, Side, Way};

/// The two connections of a tunnel.
pub struct Ends {
    pub client: Rc<Link>,
    pub server: Rc<Link>,
}

impl Ends {
    /// The client's direction, which begins with bytes that were read from it already.
    pub fn up(&self, patience: &Rc<Patience>, first: &[u8]) -> Way {
        let (from, to) = ((self.client.clone(), Side::Client), (self.server.clone(), Side::Server));
        let mut way = Way::new(from, to, patience.clone(), Extent::Close);
        if !first.is_empty() {
            let mut buf = Buf::take(HEAD_SIZE.max(first.len()));
            buf.push(first);
            let _ = way.begin_with(buf);
        }
        way
    }

    fn down(&self, patience: &Rc<Patience>) -> Way {
        let (from, to) = ((self.server.clone(), Side::Server), (self.client.clone(), Side::Client));
        Way::new(from, to, patience.clone(), Extent::Close)
    }
}

/// Bytes that went through, and why it ended if not by both sides' wish.
pub struct Moved {
    pub up: u64,
    pub down: u64,
    pub end: Option<End>,
}

/// Until when both sides may be silent: `timeout tunnel`, or a rule's, where there is one.
pub fn timeouts(front: &Proxy, back: &Proxy, set: &TimeoutOverrides) -> (u64, u64) {
    let tunnel = if back.timeouts.tunnel > 0 { back.timeouts.tunnel } else { front.timeouts.tunnel };
    match set.tunnel_ms.unwrap_or(tunnel) {
        0 => {
            let client = set.client_ms.unwrap_or(front.timeouts.client);
            (client, set.server_ms.unwrap_or(back.timeouts.server))
        }
        tunnel => (tunnel, tunnel),
    }
}

/// What happened before both directions are forwarded.
#[derive(Default)]
pub struct Begun {
    /// The client has ended its direction.
    pub up_done: bool,
    /// What the server has said already.
    pub said: Option<Buf>,
}

/// Waits until `until` for what the server says, while the client's direction goes on. The error: that one broke.
pub async fn hear(
    ends: &Ends,
    up: &mut Way,
    up_done: &mut bool,
    (room, until): (&mut [u8], Nanos),
) -> Result<io::Result<usize>, End> {
    poll_fn(|_| {
        if !*up_done {
            match up.poll() {
                Poll::Ready(Ok(())) => {
                    *up_done = true;
                    ends.server.shutdown_write();
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(tunnel_end(&broken, Side::Client))),
                Poll::Pending => {}
            }
        }
        ends.server.poll_recv(room, until).map(Ok)
    })
    .await
}

/// Forwards until both directions have ended. When the server has ended its direction, `is_over` tells whether that ends
/// the other one too.
pub async fn run(
    ends: &Ends,
    (mut up, begun): (Way, Begun),
    patience: Rc<Patience>,
    fin: (&Timeouts, &Timeouts),
    is_over: impl Fn() -> bool,
) -> Moved {
    let rt = ends.client.rt();
    let mut down = ends.down(&patience);
    let (mut up_done, mut down_done) = (begun.up_done, false);
    if let Some(said) = begun.said.filter(|said| !said.is_empty()) {
        let _ = down.begin_with(said);
    }
    let end = poll_fn(|_| {
        if !up_done {
            match up.poll() {
                Poll::Ready(Ok(())) => {
                    up_done = true;
                    if down_done {
                        // Nothing is under way in either direction: the close says it to both.
                        return Poll::Ready(None);
                    }
                    ends.server.shutdown_write();
                    // The side that was told so has its own time for the rest.
                    if fin.1.server_fin > 0 {
                        patience.change(Side::Server, fin.1.server_fin, rt.now());
                    }
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Some(tunnel_end(&broken, Side::Client))),
                Poll::Pending => {}
            }
        }
        if !down_done {
            match down.poll() {
                Poll::Ready(Ok(())) => {
                    down_done = true;
                    if up_done || is_over() {
                        return Poll::Ready(None);
                    }
                    ends.client.shutdown_write();
                    if fin.0.client_fin > 0 {
                        patience.change(Side::Client, fin.0.client_fin, rt.now());
                        // The other direction has been polled, with the time that was.
                        rt.arm(patience.until(Side::Client));
                    }
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Some(tunnel_end(&broken, Side::Server))),
                Poll::Pending => {}
            }
        }
        if up_done && down_done { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    Moved { up: up.moved, down: down.moved, end }
}

/// `from` is the side that the broken direction reads.
fn tunnel_end(broken: &Broken, from: Side) -> End {
    let (side, e) = match (broken, from) {
        (Broken::Read(e), side) => (side, Some(e)),
        (Broken::Write(e), Side::Client) => (Side::Server, Some(e)),
        (Broken::Write(e), Side::Server) => (Side::Client, Some(e)),
        (_, side) => (side, None),
    };
    let late = e.is_some_and(|e| e.kind() == ErrorKind::TimedOut);
    let cause = match (side, late) {
        (Side::Client, true) => Cause::ClientTimeout,
        (Side::Client, false) => Cause::ClientAbort,
        (Side::Server, true) => Cause::ServerTimeout,
        (Side::Server, false) => Cause::ServerAbort,
    };
    End::new(cause, Phase::Data, 0)
}
