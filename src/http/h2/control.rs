//! Frames that carry no message: SETTINGS, PING, GOAWAY, RST_STREAM, WINDOW_UPDATE, PRIORITY.

use super::budget::cost;
use super::connection::{Connection, Event};
use super::error::Code;
use super::frame::{self, FrameHead, LARGEST, flag};
use super::settings;
use super::stream::Is;

/// An increment so small that a peer which sends many of them wants to make work.
const SMALL_UPDATE: u32 = 64;

fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |b| u32::from_be_bytes(*b))
}

impl Connection {
    pub(super) fn settings(&mut self, frame: FrameHead, payload: &[u8]) -> Result<(), Code> {
        if frame.has(flag::ACK) {
            return self.spend(cost::IDLE_FRAME);
        }
        let before = self.peer;
        for setting in payload.chunks_exact(6) {
            let id = u16::from_be_bytes([setting[0], setting[1]]);
            let value = word(&setting[2..]);
            let from_client = self.is_server();
            self.peer.set(id, value, from_client)?;
            if id == settings::HEADER_TABLE_SIZE {
                self.encoder.resize(value as usize);
            }
        }
        let change = i64::from(self.peer.initial_window) - i64::from(before.initial_window);
        if change != 0 {
            for stream in self.streams.iter_mut() {
                stream.send_window += change;
                if stream.send_window > i64::from(LARGEST) {
                    return Err(Code::FLOW_CONTROL);
                }
            }
            self.is_released |= change > 0;
        }
        frame::head(0, frame::kind::SETTINGS, flag::ACK, 0, &mut self.out);
        if std::mem::replace(&mut self.greeted, true) {
            self.glitch()?;
            self.spend(cost::SETTINGS)?;
        }
        Ok(())
    }

    pub(super) fn ping(&mut self, frame: FrameHead, payload: &[u8]) -> Result<(), Code> {
        if !frame.has(flag::ACK) {
            frame::ping(flag::ACK, payload, &mut self.out);
        }
        self.spend(cost::IDLE_FRAME)
    }

    pub(super) fn goaway(&mut self, payload: &[u8]) -> Result<Option<Event>, Code> {
        self.peer_leaves = true;
        self.spend(cost::IDLE_FRAME)?;
        let (last, code) = payload.split_at_checked(4).unwrap_or_default();
        Ok(Some(Event::GoAway { last: word(last) & LARGEST, code: Code(word(code)) }))
    }

    pub(super) fn priority(&mut self, frame: FrameHead, payload: &[u8]) -> Result<(), Code> {
        self.glitch()?;
        self.spend(cost::IDLE_FRAME)?;
        if payload.len() != 5 {
            self.drop_stream(frame.stream, Code::FRAME_SIZE);
        }
        Ok(())
    }

    pub(super) fn rst_stream(&mut self, frame: FrameHead, payload: &[u8]) -> Result<Option<Event>, Code> {
        if self.is_idle(frame.stream) {
            return Err(Code::PROTOCOL);
        }
        let Some(stream) = self.streams.remove(frame.stream) else {
            self.spend(cost::IDLE_FRAME)?;
            return Ok(None);
        };
        if self.is_server() && !stream.is.contains(Is::LOCAL_CLOSED) {
            self.glitch()?;
            self.spend(cost::GIVEN_UP)?;
        }
        Ok(Some(Event::Reset { stream: frame.stream, code: Code(word(payload)), ours: false }))
    }

    pub(super) fn window_update(&mut self, frame: FrameHead, payload: &[u8]) -> Result<Option<Event>, Code> {
        let increment = word(payload) & LARGEST;
        if increment < SMALL_UPDATE {
            match self.updates_paid.checked_sub(1) {
                Some(left) => self.updates_paid = left,
                None => {
                    self.glitch()?;
                    self.spend(cost::IDLE_FRAME)?;
                }
            }
        }
        if frame.stream == 0 {
            if increment == 0 {
                return Err(Code::PROTOCOL);
            }
            self.send_window += i64::from(increment);
            self.is_released = true;
            return if self.send_window > i64::from(LARGEST) { Err(Code::FLOW_CONTROL) } else { Ok(None) };
        }
        if self.is_idle(frame.stream) {
            return Err(Code::PROTOCOL);
        }
        let Some(stream) = self.streams.get_mut(frame.stream) else { return Ok(None) };
        stream.send_window += i64::from(increment);
        if increment == 0 {
            return self.fault(frame.stream, Code::PROTOCOL).map(Some);
        }
        if stream.send_window > i64::from(LARGEST) {
            return self.fault(frame.stream, Code::FLOW_CONTROL).map(Some);
        }
        self.is_released = true;
        Ok(None)
    }

    /// A stream broke the rules: it is reset, and counted against the peer. The error is the connection's.
    pub(super) fn fault(&mut self, stream: u32, code: Code) -> Result<Event, Code> {
        self.drop_stream(stream, code);
        self.glitch()?;
        self.spend(cost::FAULT)?;
        Ok(Event::Reset { stream, code, ours: true })
    }
}
