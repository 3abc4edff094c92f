//! What the peer's SETTINGS say (RFC 9113 section 6.5.2, RFC 8441 section 3).

use super::error::Code;
use super::frame::{LARGEST, MAX_FRAME};

pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const MAX_FRAME_SIZE: u16 = 5;
pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// A window before anything is said about it (section 6.9.2).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

/// The peer's settings, from the defaults on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub header_table_size: u32,
    pub max_streams: u32,
    pub initial_window: u32,
    pub max_frame: u32,
    /// The peer takes extended CONNECT.
    pub connect_protocol: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            header_table_size: 4096,
            // Until the peer says how many, a hundred is what everyone grants.
            max_streams: 100,
            initial_window: DEFAULT_WINDOW,
            max_frame: MAX_FRAME as u32,
            connect_protocol: false,
        }
    }
}

impl Settings {
    /// Takes over one setting; the error is the connection's.
    pub(super) fn set(&mut self, id: u16, value: u32, from_client: bool) -> Result<(), Code> {
        match id {
            HEADER_TABLE_SIZE => self.header_table_size = value,
            // A server may only say that it does not push (RFC 9113 section 6.5.2).
            ENABLE_PUSH if value > u32::from(from_client) => return Err(Code::PROTOCOL),
            MAX_CONCURRENT_STREAMS => self.max_streams = value,
            INITIAL_WINDOW_SIZE if value > LARGEST => return Err(Code::FLOW_CONTROL),
            INITIAL_WINDOW_SIZE => self.initial_window = value,
            MAX_FRAME_SIZE if !(MAX_FRAME as u32..1 << 24).contains(&value) => return Err(Code::PROTOCOL),
            MAX_FRAME_SIZE => self.max_frame = value,
            ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(Code::PROTOCOL),
            ENABLE_CONNECT_PROTOCOL => self.connect_protocol = value == 1,
            _ => {}
        }
        Ok(())
    }
}
