//! DATA that comes in: handed on as it comes, counted against both windows, credited as it is taken
//! (RFC 9113 sections 5.2 and 6.9).

use super::budget::cost;
use super::connection::{CONNECTION_WINDOW, Connection, Event, Reading};
use super::error::Code;
use super::frame::{self, FrameHead, flag};
use super::stream::Is;

/// The largest window that a stream gets.
const LARGEST_WINDOW: u32 = 1 << 20;

impl Connection {
    /// A DATA frame whose head is read, and the length of its padding with the octet that says it.
    pub(super) fn begin_data(&mut self, frame: FrameHead, pad: usize) -> Result<Option<Event>, Code> {
        let left = frame.len.checked_sub(pad).ok_or(Code::PROTOCOL)?;
        let end = frame.has(flag::END_STREAM);
        if frame.len == 0 && !end {
            self.glitch()?;
            self.spend(cost::IDLE_FRAME)?;
        }
        self.recv_window -= frame.len as i64;
        if self.recv_window < 0 {
            return Err(Code::FLOW_CONTROL);
        }
        self.credit_connection();
        // The octet that says how long the padding is was read already.
        let behind = pad.saturating_sub(1);
        self.reading = Reading::Skip(left + behind);
        let Some(stream) = self.streams.get_mut(frame.stream) else {
            return self.data_of_nobody(frame.stream).map(|()| None);
        };
        if stream.is.contains(Is::REMOTE_CLOSED) {
            return self.fault(frame.stream, Code::STREAM_CLOSED).map(Some);
        }
        if !stream.is.contains(Is::BEGUN) {
            return self.fault(frame.stream, Code::PROTOCOL).map(Some);
        }
        stream.recv_window -= frame.len as i64;
        if stream.recv_window < 0 {
            return self.fault(frame.stream, Code::FLOW_CONTROL).map(Some);
        }
        stream.held += left as u32;
        if let Some(to_come) = &mut stream.to_come {
            match to_come.checked_sub(left as u64) {
                Some(less) if !end || less == 0 => *to_come = less,
                _ => return self.fault(frame.stream, Code::PROTOCOL).map(Some),
            }
        }
        self.reading = Reading::Data { stream: frame.stream, left, pad: behind, end };
        if pad > 0 {
            self.credit(frame.stream);
        }
        Ok(None)
    }

    fn data_of_nobody(&mut self, stream: u32) -> Result<(), Code> {
        if self.is_idle(stream) {
            return Err(Code::PROTOCOL);
        }
        if self.was_reset(stream) || self.is_unwanted(stream) {
            return self.spend(cost::IDLE_FRAME);
        }
        self.fault(stream, Code::STREAM_CLOSED).map(|_| ())
    }

    /// The next piece of a DATA frame.
    pub(super) fn data(
        &mut self,
        stream: u32,
        (left, pad): (usize, usize),
        end: bool,
        input: &[u8],
        at: &mut usize,
    ) -> Option<Event> {
        let n = left.min(input.len() - *at);
        let range = *at..*at + n;
        *at += n;
        let is_last = n == left;
        self.reading = match is_last {
            true => Reading::Skip(pad),
            false => Reading::Data { stream, left: left - n, pad, end },
        };
        let ended = is_last && end;
        if ended && let Some(s) = self.streams.get_mut(stream) {
            s.is |= Is::REMOTE_CLOSED;
            self.close_if_done(stream);
        }
        // A stream that was given up meanwhile takes nothing more.
        let is_wanted = !self.was_reset(stream);
        (is_wanted && (n > 0 || ended)).then_some(Event::Data { stream, range, end: ended })
    }

    /// So many bytes of a stream's data were taken: the peer may send as many more, and a stream that is read well more
    /// than before.
    pub fn consumed(&mut self, stream: u32, n: usize) {
        if let Some(s) = self.streams.get_mut(stream) {
            s.held = s.held.saturating_sub(n as u32);
            self.credit(stream);
        }
    }

    fn credit(&mut self, id: u32) {
        let uploads = self.streams.iter().filter(|s| !s.is.contains(Is::REMOTE_CLOSED)).count() as u32;
        let first = self.options.initial_window;
        let share = self.options.receive_room / uploads.max(1);
        let Some(s) = self.streams.get_mut(id) else { return };
        if self.is_over || s.is.contains(Is::REMOTE_CLOSED) {
            return;
        }
        let target = i64::from(share.min(LARGEST_WINDOW).max(first));
        let room = target - s.recv_window - i64::from(s.held);
        // An update for each frame costs more than it is worth.
        if room > 0 && room >= target / 16 {
            s.recv_window += room;
            frame::window_update(id, room as u32, &mut self.out);
        }
    }

    fn credit_connection(&mut self) {
        let room = i64::from(CONNECTION_WINDOW) - self.recv_window;
        if room >= i64::from(CONNECTION_WINDOW / 2) {
            self.recv_window += room;
            frame::window_update(0, room as u32, &mut self.out);
        }
    }
}
