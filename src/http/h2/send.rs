//! Calls to frames: heads, data, trailers and resets of streams, all into one output.

use super::super::head::{Head, Method};
use super::connection::{Connection, MOST_OUTPUT};
use super::error::Code;
use super::frame::{self, flag, kind};
use super::stream::Is;
use super::wire::{self, Answers};

/// Room for what several streams send at once.
const USUAL_OUTPUT: usize = 16 * 1024;

/// The stream is over, by whichever side, or the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Connection {
    fn sending(&self, id: u32) -> Result<Is, Gone> {
        let stream = self.streams.get(id).filter(|_| !self.is_over).ok_or(Gone)?;
        if stream.is.contains(Is::LOCAL_CLOSED) { Err(Gone) } else { Ok(stream.is) }
    }

    /// Whether a stream is still there to be answered.
    pub fn is_live(&self, stream: u32) -> bool {
        self.sending(stream).is_ok()
    }

    /// Sends the head of a response: interim ones first, then the final one. `end`: nothing follows it.
    pub fn respond(&mut self, stream: u32, head: &Head, end: bool) -> Result<(), Gone> {
        let is = self.sending(stream)?;
        let answers = if is.contains(Is::WEBSOCKET) { Answers::WebSocket } else { Answers::Request };
        let at = self.begin_block(stream);
        wire::response(head, answers, &mut self.encoder, &mut self.out);
        self.end_block(at, stream, end);
        let is_final = head.status >= 200 || head.status == 101;
        self.said(stream, if is_final { Is::ANSWERED } else { Is::empty() }, end);
        Ok(())
    }

    /// Sends a request on a new stream, whose number it tells. `scheme`: of what came without one.
    pub fn request(&mut self, head: &Head, scheme: &[u8], end: bool) -> Result<u32, Gone> {
        let id = self.next_stream().filter(|_| self.has_room()).ok_or(Gone)?;
        let mut is = Is::ANSWERED;
        is.set(Is::HEAD, head.method == Method::Head);
        is.set(Is::CONNECT, head.method == Method::Connect || head.is_websocket());
        self.last = id;
        self.open(id, is);
        let at = self.begin_block(id);
        wire::request(head, scheme, &mut self.encoder, &mut self.out);
        self.end_block(at, id, end);
        self.said(id, Is::empty(), end);
        Ok(id)
    }

    /// Sends as much of a body as the windows and the output have room for, and tells how much that was; `end` counts
    /// once it is all. Who got less waits for [`Connection::released`].
    pub fn send_data(&mut self, stream: u32, bytes: &[u8], end: bool) -> Result<usize, Gone> {
        self.sending(stream)?;
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            let Some(s) = self.streams.get_mut(stream) else { return Ok(taken) };
            let window = s.send_window.min(self.send_window).max(0) as usize;
            let room = MOST_OUTPUT.saturating_sub(self.out.len() - self.sent);
            let n = rest.len().min(window).min(room).min(self.frame_room());
            let is_last = end && n == rest.len();
            if n == 0 && !is_last {
                if let (false, Some(s)) = (rest.is_empty(), self.streams.get_mut(stream)) {
                    s.is |= Is::WAITING;
                }
                return Ok(taken);
            }
            let flags = if is_last { flag::END_STREAM } else { 0 };
            frame::head(n, kind::DATA, flags, stream, &mut self.out);
            self.out.extend_from_slice(&rest[..n]);
            taken += n;
            self.send_window -= n as i64;
            self.updates_paid = (self.updates_paid + 2).min(1000);
            if let Some(s) = self.streams.get_mut(stream) {
                s.send_window -= n as i64;
            }
            if is_last {
                self.said(stream, Is::empty(), true);
                return Ok(taken);
            }
        }
    }

    /// Bytes of a body that [`Connection::send_data`] would take now.
    pub fn room(&self, stream: u32) -> usize {
        let Ok(_) = self.sending(stream) else { return 0 };
        self.window(stream).min(MOST_OUTPUT.saturating_sub(self.output().len()))
    }

    /// Bytes of a body that the peer would take now, whatever waits to be sent before them.
    pub fn window(&self, stream: u32) -> usize {
        let window = self.streams.get(stream).map_or(0, |s| s.send_window).min(self.send_window);
        window.max(0) as usize
    }

    /// Ends a stream with fields behind its body.
    pub fn send_trailers<'f>(
        &mut self,
        stream: u32,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<(), Gone> {
        self.sending(stream)?;
        let at = self.begin_block(stream);
        self.encoder.begin(&mut self.out);
        for (name, value) in fields {
            self.encoder.field(name, value, &mut self.out);
        }
        self.end_block(at, stream, true);
        self.said(stream, Is::empty(), true);
        Ok(())
    }

    /// Gives a stream up.
    pub fn reset(&mut self, stream: u32, code: Code) {
        if self.streams.get(stream).is_some() && !self.is_over {
            self.drop_stream(stream, code);
        }
    }

    /// The answer is sent, and what may still come of the request is not wanted: the client is asked to stop
    /// (section 8.1).
    pub fn finish(&mut self, stream: u32) {
        self.reset(stream, Code::NO_ERROR);
    }

    /// Asks the peer for a sign of life.
    pub fn send_ping(&mut self, opaque: [u8; 8]) {
        frame::ping(0, &opaque, &mut self.out);
    }

    /// Streams that waited to send and may now; each is told of once.
    pub fn released(&mut self, mut tell: impl FnMut(u32)) {
        if !std::mem::take(&mut self.is_released) || self.send_window <= 0 || self.is_backed_up() {
            return;
        }
        for stream in self.streams.iter_mut() {
            if stream.is.contains(Is::WAITING) && stream.send_window > 0 {
                stream.is -= Is::WAITING;
                tell(stream.id);
            }
        }
    }

    fn begin_block(&mut self, stream: u32) -> usize {
        if self.out.capacity() == 0 {
            // What follows would make it grow step by step.
            self.out.reserve(USUAL_OUTPUT);
        }
        let at = self.out.len();
        frame::head(0, kind::HEADERS, 0, stream, &mut self.out);
        at
    }

    /// Completes the frame that begins at `at`, and cuts it where the peer takes no such frame (section 6.10).
    fn end_block(&mut self, at: usize, stream: u32, end: bool) {
        let ended = if end { flag::END_STREAM } else { 0 };
        let most = self.frame_room();
        let block_at = at + frame::HEAD;
        if self.out.len() - block_at <= most {
            return frame::finish(at, ended | flag::END_HEADERS, &mut self.out);
        }
        let rest = self.out.split_off(block_at + most);
        frame::finish(at, ended, &mut self.out);
        let mut pieces = rest.chunks(most).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { flag::END_HEADERS } else { 0 };
            frame::head(piece.len(), kind::CONTINUATION, flags, stream, &mut self.out);
            self.out.extend_from_slice(piece);
        }
    }

    fn said(&mut self, id: u32, is: Is, end: bool) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.is |= is;
            stream.is.set(Is::LOCAL_CLOSED, end);
            self.close_if_done(id);
        }
    }
}
