//! Bytes to frames: what was read is taken whole, and a frame that is looked at whole is kept until it is there.

use super::super::head::Head;
use super::budget::cost;
use super::connection::{Connection, Event, Reading};
use super::error::Code;
use super::frame::{FrameHead, HEAD, MAX_FRAME, PREFACE, flag, kind};

impl Connection {
    /// Reads `input` from `at` on, up to the next event; `None`: there is nothing more in it, or what is left has to wait
    /// ([`Connection::hold`]). A message's head is made in `head`, which the event hands back. `now_ms` is a time on any
    /// clock that does not go back.
    pub fn receive(&mut self, now_ms: u64, input: &[u8], at: &mut usize, head: &mut Head) -> Option<Event> {
        self.now_ms = now_ms;
        loop {
            if self.is_over {
                *at = input.len();
                return None;
            }
            if matches!(self.reading, Reading::Payload(frame) if self.is_held_at(frame)) {
                return None;
            }
            match self.step(input, at, head) {
                Ok(Some(event)) => return Some(event),
                // An empty frame has nothing to be waited for.
                Ok(None) if *at < input.len() || self.is_ready() => {}
                Ok(None) => return None,
                Err(code) => {
                    self.abort(code);
                    *at = input.len();
                    return Some(Event::Over(code));
                }
            }
        }
    }

    /// The peer has ended its direction. The connection is over if it did so inside a frame or with streams open.
    pub fn receive_end(&mut self) {
        self.is_over = true;
    }

    /// What comes next needs no byte.
    fn is_ready(&self) -> bool {
        match self.reading {
            Reading::Payload(head) => head.len == 0,
            Reading::Data { left, pad, end, .. } => left == 0 && (end || pad == 0),
            Reading::Skip(left) => left == 0,
            Reading::Preface(_) | Reading::Head | Reading::PadLength(_) => false,
        }
    }

    fn step(&mut self, input: &[u8], at: &mut usize, head: &mut Head) -> Result<Option<Event>, Code> {
        match self.reading {
            Reading::Preface(have) => self.preface(have, input, at).map(|()| None),
            Reading::Head => self.frame_head(input, at),
            Reading::Payload(frame) => self.payload(frame, input, at, head),
            Reading::PadLength(frame) => {
                let Some(pad) = input.get(*at) else { return Ok(None) };
                *at += 1;
                self.begin_data(frame, 1 + usize::from(*pad))
            }
            Reading::Data { stream, left, pad, end } => Ok(self.data(stream, (left, pad), end, input, at)),
            Reading::Skip(left) => {
                let n = left.min(input.len() - *at);
                *at += n;
                self.reading = if n == left { Reading::Head } else { Reading::Skip(left - n) };
                Ok(None)
            }
        }
    }

    fn preface(&mut self, have: usize, input: &[u8], at: &mut usize) -> Result<(), Code> {
        let rest = &PREFACE[have..];
        let n = rest.len().min(input.len() - *at);
        if input[*at..*at + n] != rest[..n] {
            return Err(Code::PROTOCOL);
        }
        *at += n;
        self.reading = if n == rest.len() { Reading::Head } else { Reading::Preface(have + n) };
        Ok(())
    }

    fn frame_head(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Event>, Code> {
        let n = (HEAD - self.partial.len()).min(input.len() - *at);
        let here = &input[*at..*at + n];
        *at += n;
        if let Ok(whole) = here.try_into() {
            return self.begin_frame(FrameHead::read(whole));
        }
        self.partial.extend_from_slice(here);
        let whole: Result<[u8; HEAD], _> = self.partial[..].try_into();
        if let Ok(whole) = whole {
            self.partial.clear();
            return self.begin_frame(FrameHead::read(&whole));
        }
        Ok(None)
    }

    /// What can be said of a frame before its payload is there.
    fn begin_frame(&mut self, frame: FrameHead) -> Result<Option<Event>, Code> {
        if !self.greeted && (frame.kind != kind::SETTINGS || frame.has(flag::ACK)) {
            // Section 3.4.
            return Err(Code::PROTOCOL);
        }
        if let Some(block) = &self.block
            && (frame.kind != kind::CONTINUATION || frame.stream != block.stream)
        {
            return Err(Code::PROTOCOL);
        }
        if frame.len > MAX_FRAME {
            return Err(Code::FRAME_SIZE);
        }
        match frame.kind {
            kind::DATA if frame.stream == 0 => Err(Code::PROTOCOL),
            kind::DATA if !frame.has(flag::PADDED) => self.begin_data(frame, 0),
            kind::DATA if frame.len == 0 => Err(Code::FRAME_SIZE),
            kind::DATA => {
                self.reading = Reading::PadLength(frame);
                Ok(None)
            }
            kind::HEADERS..=kind::CONTINUATION => {
                self.check_length(frame)?;
                self.reading = Reading::Payload(frame);
                Ok(None)
            }
            _ => {
                self.reading = Reading::Skip(frame.len);
                self.spend(cost::IDLE_FRAME).map(|()| None)
            }
        }
    }

    /// Frames of one length only, and where they may stand (sections 6.3 to 6.10).
    fn check_length(&self, frame: FrameHead) -> Result<(), Code> {
        let fits = match frame.kind {
            kind::RST_STREAM | kind::WINDOW_UPDATE => frame.len == 4,
            kind::SETTINGS if frame.has(flag::ACK) => frame.len == 0,
            kind::SETTINGS => frame.len.is_multiple_of(6),
            kind::PING => frame.len == 8,
            kind::GOAWAY => frame.len >= 8,
            _ => true,
        };
        let of_stream = match frame.kind {
            kind::SETTINGS | kind::PING | kind::GOAWAY => frame.stream == 0,
            kind::WINDOW_UPDATE => true,
            _ => frame.stream != 0,
        };
        match (of_stream, fits) {
            (false, _) => Err(Code::PROTOCOL),
            (true, false) => Err(Code::FRAME_SIZE),
            (true, true) => Ok(()),
        }
    }

    fn payload(
        &mut self,
        frame: FrameHead,
        input: &[u8],
        at: &mut usize,
        head: &mut Head,
    ) -> Result<Option<Event>, Code> {
        let n = (frame.len - self.partial.len()).min(input.len() - *at);
        let here = &input[*at..*at + n];
        *at += n;
        if n == frame.len {
            self.reading = Reading::Head;
            return self.frame(frame, here, head);
        }
        self.partial.extend_from_slice(here);
        if self.partial.len() < frame.len {
            return Ok(None);
        }
        self.reading = Reading::Head;
        let whole = std::mem::take(&mut self.partial);
        self.frame(frame, &whole, head)
    }

    fn frame(&mut self, frame: FrameHead, payload: &[u8], head: &mut Head) -> Result<Option<Event>, Code> {
        match frame.kind {
            kind::HEADERS => self.headers(frame, payload, head),
            kind::CONTINUATION => self.continuation(frame, payload, head),
            kind::PRIORITY => self.priority(frame, payload).map(|()| None),
            kind::RST_STREAM => self.rst_stream(frame, payload),
            kind::SETTINGS => self.settings(frame, payload).map(|()| None),
            kind::PING => self.ping(frame, payload).map(|()| None),
            kind::GOAWAY => self.goaway(payload),
            kind::WINDOW_UPDATE => self.window_update(frame, payload),
            // PUSH_PROMISE: a client never sends one, and a server was told not to (section 8.4).
            _ => Err(Code::PROTOCOL),
        }
    }
}
