//! HEADERS and CONTINUATION: header blocks, and what they are to their stream (RFC 9113 sections 5.1, 6.2, 6.10, 8.1).

use super::super::head::{BodyLen, Head};
use super::assembly::{Assembly, Fault, Shape};
use super::budget::cost;
use super::connection::{Block, Connection, Event, Purpose};
use super::error::Code;
use super::frame::{self, FrameHead, LARGEST, flag};
use super::settings::DEFAULT_WINDOW;
use super::stream::Is;

/// A header block in more than one frame is kept until it is whole; one that is larger ends the connection.
const MOST_BLOCK: usize = 64 * 1024;
/// A piece of a block that is shorter costs points.
const SHORT_PIECE: usize = 256;

impl Connection {
    pub(super) fn headers(
        &mut self,
        frame: FrameHead,
        payload: &[u8],
        head: &mut Head,
    ) -> Result<Option<Event>, Code> {
        let mut fragment = frame::unpadded(frame, payload)?;
        if frame.has(flag::PRIORITY) {
            // Advice that nobody takes any more (section 5.3.2).
            fragment = fragment.get(5..).ok_or(Code::FRAME_SIZE)?;
        }
        let end = frame.has(flag::END_STREAM);
        let purpose = self.purpose(frame.stream, end)?;
        if frame.has(flag::END_HEADERS) {
            return self.block(frame.stream, end, purpose, fragment, head);
        }
        if fragment.len() < SHORT_PIECE {
            self.spend(cost::FRAGMENT)?;
        }
        self.block = Some(Block { stream: frame.stream, end, purpose, bytes: fragment.to_vec() });
        Ok(None)
    }

    pub(super) fn continuation(
        &mut self,
        frame: FrameHead,
        payload: &[u8],
        head: &mut Head,
    ) -> Result<Option<Event>, Code> {
        let Some(mut block) = self.block.take() else { return Err(Code::PROTOCOL) };
        if block.bytes.len() + payload.len() > MOST_BLOCK {
            return Err(Code::ENHANCE_YOUR_CALM);
        }
        if payload.len() < SHORT_PIECE {
            self.spend(cost::FRAGMENT)?;
        }
        block.bytes.extend_from_slice(payload);
        if frame.has(flag::END_HEADERS) {
            return self.block(block.stream, block.end, block.purpose, &block.bytes, head);
        }
        self.block = Some(block);
        Ok(None)
    }

    /// What a block on this stream is for. The error is the connection's.
    fn purpose(&mut self, id: u32, end: bool) -> Result<Purpose, Code> {
        if id.is_multiple_of(2) {
            return Err(Code::PROTOCOL);
        }
        if let Some(stream) = self.streams.get(id) {
            return Ok(match () {
                () if stream.is.contains(Is::REMOTE_CLOSED) => Purpose::Nothing(Some(Code::STREAM_CLOSED)),
                () if !stream.is.contains(Is::BEGUN) => Purpose::Head,
                () if !end => Purpose::Nothing(Some(Code::PROTOCOL)),
                () => Purpose::Trailers,
            });
        }
        if id <= self.last {
            return if self.was_reset(id) { Ok(Purpose::Nothing(None)) } else { Err(Code::STREAM_CLOSED) };
        }
        if !self.is_server() {
            return Err(Code::PROTOCOL);
        }
        if self.is_unwanted(id) {
            return Ok(Purpose::Nothing(None));
        }
        self.last = id;
        if self.streams.len() >= self.options.max_streams as usize {
            return Ok(Purpose::Nothing(Some(Code::REFUSED_STREAM)));
        }
        self.opened = self.opened.saturating_add(1);
        if self.options.most_total > 0 && self.opened >= self.options.most_total {
            self.leave(true);
        }
        Ok(Purpose::Head)
    }

    /// A whole block.
    fn block(
        &mut self,
        id: u32,
        end: bool,
        purpose: Purpose,
        bytes: &[u8],
        head: &mut Head,
    ) -> Result<Option<Event>, Code> {
        match purpose {
            Purpose::Nothing(code) => {
                self.decoder.decode(bytes, |_, _, _| {}).map_err(|_| Code::COMPRESSION)?;
                self.turn_away(id, code)
            }
            Purpose::Trailers => self.receive_trailers(id, bytes, head).map(Some),
            Purpose::Head if self.is_server() => self.receive_request(id, end, bytes, head).map(Some),
            Purpose::Head => self.receive_response(id, end, bytes, head).map(Some),
        }
    }

    fn turn_away(&mut self, id: u32, code: Option<Code>) -> Result<Option<Event>, Code> {
        let Some(code) = code else { return Ok(None) };
        if code == Code::REFUSED_STREAM {
            self.drop_stream(id, code);
            return self.spend(cost::REFUSED).map(|()| None);
        }
        self.fault(id, code).map(Some)
    }

    fn receive_request(&mut self, id: u32, end: bool, bytes: &[u8], head: &mut Head) -> Result<Event, Code> {
        let key = self.options.seed.wrapping_add(u64::from(id));
        let mut assembly = Assembly::new(head, Shape::Request { key }, &self.options);
        self.decoder.decode(bytes, |n, v, _| assembly.field(n, v)).map_err(|_| Code::COMPRESSION)?;
        let made = assembly.finish(end);
        let is = match made {
            Err(Fault::Malformed) => return self.malformed(id),
            Err(Fault::Status(_)) => Is::BEGUN,
            Ok(extra) => Is::BEGUN | extra,
        };
        self.open(id, if end { is | Is::REMOTE_CLOSED } else { is });
        if let Some(stream) = self.streams.get_mut(id).filter(|_| !end) {
            if let BodyLen::Length(length) = head.body {
                stream.to_come = Some(length);
            }
            // The window of the standard is one octet short of four whole frames.
            if stream.recv_window == i64::from(DEFAULT_WINDOW) && stream.to_come.is_none_or(|n| n > 65_535) {
                stream.recv_window += 1;
                frame::window_update(id, 1, &mut self.out);
            }
        }
        Ok(match made {
            Err(Fault::Status(status)) => Event::Refused { stream: id, status, end },
            _ => Event::Head { stream: id, end },
        })
    }

    /// A head that broke the rules. The stream of a request was never open to anyone but us.
    fn malformed(&mut self, id: u32) -> Result<Event, Code> {
        self.fault(id, Code::PROTOCOL)?;
        Ok(Event::Malformed { stream: id })
    }

    fn receive_response(&mut self, id: u32, end: bool, bytes: &[u8], head: &mut Head) -> Result<Event, Code> {
        let is = self.streams.get(id).map_or(Is::default(), |s| s.is);
        let shape = Shape::Response { to_head: is.contains(Is::HEAD), to_connect: is.contains(Is::CONNECT) };
        let mut assembly = Assembly::new(head, shape, &self.options);
        self.decoder.decode(bytes, |n, v, _| assembly.field(n, v)).map_err(|_| Code::COMPRESSION)?;
        if assembly.finish(end).is_err() || (head.status < 200 && end) {
            return self.malformed(id);
        }
        if let Some(stream) = self.streams.get_mut(id)
            && head.status >= 200
        {
            stream.is |= Is::BEGUN;
            stream.to_come = match head.body {
                BodyLen::Length(length) => Some(length),
                // No more than nothing may follow, however the stream ends.
                BodyLen::None => Some(0),
                _ => None,
            };
            if end {
                stream.is |= Is::REMOTE_CLOSED;
                self.close_if_done(id);
            }
        }
        Ok(Event::Head { stream: id, end })
    }

    fn receive_trailers(&mut self, id: u32, bytes: &[u8], head: &mut Head) -> Result<Event, Code> {
        let mut assembly = Assembly::new(head, Shape::Trailers, &self.options);
        self.decoder.decode(bytes, |n, v, _| assembly.field(n, v)).map_err(|_| Code::COMPRESSION)?;
        let short = self.streams.get(id).is_some_and(|s| s.to_come.is_some_and(|n| n > 0));
        if assembly.finish(true).is_err() || short {
            return self.fault(id, Code::PROTOCOL);
        }
        if let Some(stream) = self.streams.get_mut(id) {
            stream.is |= Is::REMOTE_CLOSED;
        }
        self.close_if_done(id);
        Ok(Event::Trailers { stream: id })
    }

    /// The number of the next stream of ours.
    pub(super) fn next_stream(&self) -> Option<u32> {
        let next = if self.last == 0 { 1 } else { self.last + 2 };
        (next <= LARGEST).then_some(next)
    }
}
