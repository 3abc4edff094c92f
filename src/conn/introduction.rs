//! Taking the PROXY header from a connection.

use std::io::ErrorKind;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::base::clock::Nanos;

use super::link::Link;
use super::proxy_protocol::{Ends, Fault, Preface, Received, read};

/// Takes the header: both ends, unless they are not told, and what else it says. The error also says whom it named, if it
/// came so far.
pub async fn receive(link: &Link, until: Nanos) -> Result<(Option<Ends>, Received), (Fault, Option<Ends>)> {
    let mut buf = Buf::take(HEAD_SIZE);
    let mut seen = 0;
    loop {
        let before = seen;
        seen = match link.peek_more(buf.room(), seen, until).await {
            Ok(0) => return Err((Fault::Empty, None)),
            Ok(n) if n == before => return Err((Fault::Truncated, None)),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::TimedOut => return Err((Fault::Timeout, None)),
            Err(_) => return Err((Fault::Aborted, None)),
        };
        let (len, ends, received) = match read(&buf.room()[..seen]) {
            Preface::More => continue,
            Preface::Bad(fault, ends) => return Err((fault, ends)),
            Preface::Whole { len, ends, fields } => (len, ends, Received::new(fields)),
        };
        let mut left = len;
        while left > 0 {
            let read = link.recv_unwrapped(&mut buf.room()[..left], until).await;
            left -= read.ok().filter(|n| *n > 0).ok_or((Fault::Aborted, None))?;
        }
        return Ok((ends, received));
    }
}
