//! `Connection`: the state of one HTTP/2 connection, what it was configured with, and what it tells.

use std::ops::Range;

use super::super::hpack::{Decoder, Encoder};
use super::budget::Budget;
use super::error::Code;
use super::frame::{self, FrameHead, LARGEST, MAX_FRAME, PREFACE, kind};
use super::settings::{self, DEFAULT_WINDOW, Settings};
use super::stream::{Is, Stream, Streams};

/// Which end of the connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

/// What a connection is configured with. Build it with `..Options::default()`.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub role: Role,
    /// `tune.h2.max-concurrent-streams`: live streams that the peer, or we as a client, may open.
    pub max_streams: u32,
    /// `tune.h2.fe.max-total-streams`: a server takes its leave with this stream; 0 is no limit.
    pub most_total: u32,
    /// `tune.h2.initial-window-size`: bytes of a stream that the peer may send before any were taken.
    pub initial_window: u32,
    /// Bytes of all streams together that may wait to be taken: a stream whose bytes are taken gets a larger window out
    /// of them.
    pub receive_room: u32,
    /// `tune.h2.header-table-size`
    pub header_table_size: u32,
    /// `tune.http.maxhdr`
    pub max_fields: usize,
    /// Most bytes of a head as HTTP/1 would have it: `tune.bufsize` without `tune.maxrewrite`.
    pub max_head: usize,
    /// `tune.h2.fe.glitches-threshold` or `be`: the connection ends after so many; 0 is no limit.
    pub glitches_threshold: u32,
    /// Random: the keys of WebSocket handshakes that we make are derived from it.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            role: Role::Server,
            max_streams: 100,
            most_total: 0,
            initial_window: DEFAULT_WINDOW,
            receive_room: 1 << 21,
            header_table_size: 4096,
            max_fields: 101,
            max_head: 16_384 - 1024,
            glitches_threshold: 0,
            seed: 0,
        }
    }
}

/// What happened on a connection. Ranges are places in the bytes that were handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request, or a response (interim ones too): it lies in the head that was handed in. `end`: nothing follows it.
    Head { stream: u32, end: bool },
    /// A request that is understood well enough to be answered, with this status. `end`: nothing follows it.
    Refused { stream: u32, status: u16, end: bool },
    /// A request or a response that broke the rules; its stream was reset.
    Malformed { stream: u32 },
    /// Part of a body; `end`: its last part. What is taken of it is said with [`Connection::consumed`].
    Data { stream: u32, range: Range<usize>, end: bool },
    /// The fields behind a body, in the head that was handed in; nothing follows.
    Trailers { stream: u32 },
    /// The stream is over: the peer gave it up, or it broke the rules (`ours`) and was reset.
    Reset { stream: u32, code: Code, ours: bool },
    /// The peer will take no new stream; those above `last` were not looked at.
    GoAway { last: u32, code: Code },
    /// The connection is over; what is in [`Connection::output`] is to be sent before it is closed.
    Over(Code),
}

/// What is read next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// The client's preface, from this place on.
    Preface(usize),
    Head,
    /// A frame that is looked at whole.
    Payload(FrameHead),
    /// How long the padding of a DATA frame is.
    PadLength(FrameHead),
    /// DATA that is handed on as it comes: bytes of it, of padding; END_STREAM.
    Data {
        stream: u32,
        left: usize,
        pad: usize,
        end: bool,
    },
    /// A payload that nobody wants.
    Skip(usize),
}

/// What a header block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A request, or a response.
    Head,
    Trailers,
    /// It is read for the sake of the tables alone; then the stream is reset.
    Nothing(Option<Code>),
}

/// A header block under way.
#[derive(Debug)]
pub(super) struct Block {
    pub stream: u32,
    pub end: bool,
    pub purpose: Purpose,
    pub bytes: Vec<u8>,
}

/// How many of the streams that we reset last are remembered: what the peer sent before it knew is not a fault.
const RESETS: usize = 16;

/// One HTTP/2 connection.
#[derive(Debug)]
pub struct Connection {
    pub(super) options: Options,
    pub(super) peer: Settings,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) streams: Streams,
    pub(super) reading: Reading,
    /// The beginning of a frame that is looked at whole.
    pub(super) partial: Vec<u8>,
    pub(super) block: Option<Block>,
    /// The peer's SETTINGS have come.
    pub(super) greeted: bool,
    /// The highest stream of the peer (server), or of ours (client).
    pub(super) last: u32,
    /// Streams that the peer has opened.
    pub(super) opened: u32,
    pub(super) resets: [u32; RESETS],
    pub(super) resets_at: usize,
    pub(super) send_window: i64,
    pub(super) recv_window: i64,
    pub(super) budget: Budget,
    pub(super) glitches: u32,
    /// Small WINDOW_UPDATEs that what we sent pays for.
    pub(super) updates_paid: u32,
    pub(super) now_ms: u64,
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    /// The last stream that a GOAWAY of ours lets through.
    pub(super) leaving: Option<u32>,
    /// The peer takes no new stream.
    pub(super) peer_leaves: bool,
    pub(super) is_over: bool,
    /// Some stream that waited may go on.
    pub(super) is_released: bool,
    /// No stream may begin now: its head stays unread, and what is behind it.
    is_held: bool,
}

/// Bytes of all streams that the peer may have on their way, so that no stream waits for another one's reader.
pub(super) const CONNECTION_WINDOW: u32 = 1 << 24;

/// Output from which on nothing more is read and no data is taken.
pub(super) const MOST_OUTPUT: usize = 64 * 1024;

impl Connection {
    /// A connection that was just made. What greets the peer is in its output already.
    pub fn new(options: Options) -> Connection {
        let is_client = options.role == Role::Client;
        let mut connection = Connection {
            options,
            peer: Settings::default(),
            decoder: Decoder::new(options.header_table_size as usize),
            encoder: Encoder::new(is_client),
            streams: Streams::default(),
            reading: if is_client { Reading::Head } else { Reading::Preface(0) },
            partial: Vec::new(),
            block: None,
            greeted: false,
            last: 0,
            opened: 0,
            resets: [0; RESETS],
            resets_at: 0,
            send_window: i64::from(DEFAULT_WINDOW),
            recv_window: i64::from(DEFAULT_WINDOW),
            budget: Budget::new(),
            glitches: 0,
            updates_paid: 32,
            now_ms: 0,
            out: Vec::new(),
            sent: 0,
            leaving: None,
            peer_leaves: false,
            is_over: false,
            is_released: false,
            is_held: false,
        };
        connection.greet(is_client);
        connection
    }

    fn greet(&mut self, is_client: bool) {
        let o = &self.options;
        let mut list = [(0, 0); 5];
        let mut n = 0;
        let mut say = |id, value, is_said: bool| {
            if is_said {
                list[n] = (id, value);
                n += 1;
            }
        };
        say(settings::ENABLE_PUSH, 0, is_client);
        say(settings::ENABLE_CONNECT_PROTOCOL, 1, !is_client);
        say(settings::HEADER_TABLE_SIZE, o.header_table_size, o.header_table_size != 4096);
        say(settings::MAX_CONCURRENT_STREAMS, o.max_streams, !is_client);
        say(settings::INITIAL_WINDOW_SIZE, o.initial_window, o.initial_window != DEFAULT_WINDOW);
        if is_client {
            self.out.extend_from_slice(PREFACE);
        }
        frame::settings(&list[..n], &mut self.out);
        // A server says so with the first data that comes: most clients send none.
        if is_client {
            self.recv_window = i64::from(CONNECTION_WINDOW);
            frame::window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW, &mut self.out);
        }
    }

    pub(super) fn is_server(&self) -> bool {
        self.options.role == Role::Server
    }

    /// What is to be sent.
    pub fn output(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// So many bytes of the output were sent.
    pub fn advance(&mut self, n: usize) {
        self.sent = (self.sent + n).min(self.out.len());
        if self.sent < self.out.len() {
            return;
        }
        self.sent = 0;
        if self.streams.is_empty() || self.out.capacity() > 2 * MOST_OUTPUT {
            self.out = Vec::new();
        } else {
            self.out.clear();
        }
        self.is_released = true;
    }

    /// So much is waiting to be sent that nothing more should be read: a peer that does not read is not answered.
    pub fn is_backed_up(&self) -> bool {
        self.output().len() >= MOST_OUTPUT
    }

    /// While it is held, no stream of the peer begins: [`Connection::receive`] stops before the head of one, and goes on
    /// there once it is not. Who opens more streams than there may be is refused nevertheless.
    pub fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// What comes next is the head of a stream that may not begin now.
    pub(super) fn is_held_at(&self, frame: FrameHead) -> bool {
        self.is_held
            && frame.kind == kind::HEADERS
            && self.is_server()
            && frame.stream > self.last
            && !self.is_unwanted(frame.stream)
            && self.streams.len() < self.options.max_streams as usize
    }

    /// Live streams.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Streams begun so far have this number or a lower one.
    pub fn last_stream(&self) -> u32 {
        self.last
    }

    /// The connection ended by an error, of whichever side.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Faults of the peer that HAProxy counts (`fc_glitches`, `bc_glitches`).
    pub fn glitches(&self) -> u32 {
        self.glitches
    }

    /// A client may open another stream.
    pub fn has_room(&self) -> bool {
        !self.is_over
            && !self.peer_leaves
            && self.leaving.is_none()
            && self.last < LARGEST - 2
            && self.streams.len() < self.most_streams() as usize
    }

    /// Live streams that there may be.
    pub fn most_streams(&self) -> u32 {
        match self.options.role {
            Role::Server => self.options.max_streams,
            Role::Client => self.peer.max_streams.min(self.options.max_streams),
        }
    }

    /// The peer's SETTINGS have come.
    pub fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// The peer takes extended CONNECT (RFC 8441).
    pub fn takes_websockets(&self) -> bool {
        self.peer.connect_protocol
    }

    /// The connection ends once its streams have: the peer is told to open no other. With `now` the last that was seen is
    /// the last that is served; else those on their way are served too (section 6.8).
    pub fn leave(&mut self, now: bool) {
        let last = match (self.options.role, now) {
            (Role::Client, _) => 0,
            (Role::Server, true) => self.last,
            (Role::Server, false) => LARGEST,
        };
        if self.is_over || self.leaving.is_some_and(|said| said <= last) {
            return;
        }
        self.leaving = Some(last);
        frame::goaway(last, Code::NO_ERROR, &mut self.out);
    }

    /// A GOAWAY of ours was said or the peer's came, and no stream is left.
    pub fn is_done(&self) -> bool {
        self.is_over || ((self.leaving.is_some() || self.peer_leaves) && self.streams.is_empty())
    }

    /// Ends the connection with an error.
    pub fn abort(&mut self, code: Code) {
        if !self.is_over {
            let last = if self.is_server() { self.last } else { 0 };
            frame::goaway(last, code, &mut self.out);
            self.is_over = true;
            self.block = None;
            self.partial = Vec::new();
        }
    }

    /// A fault of the peer that HAProxy counts. With a threshold the connection is ended in good order shortly before it.
    pub(super) fn glitch(&mut self) -> Result<(), Code> {
        self.glitches = self.glitches.saturating_add(1);
        let most = u64::from(self.options.glitches_threshold);
        let count = u64::from(self.glitches);
        if most == 0 {
            return Ok(());
        }
        if count >= most {
            return Err(Code::ENHANCE_YOUR_CALM);
        }
        if count * 10 >= most * 7 {
            self.leave(false);
        }
        Ok(())
    }

    pub(super) fn spend(&mut self, points: u32) -> Result<(), Code> {
        if self.budget.spend(points, self.now_ms) { Ok(()) } else { Err(Code::ENHANCE_YOUR_CALM) }
    }

    pub(super) fn open(&mut self, id: u32, is: Is) {
        self.streams.push(Stream {
            id,
            is,
            send_window: i64::from(self.peer.initial_window),
            recv_window: i64::from(self.options.initial_window),
            held: 0,
            to_come: None,
        });
    }

    /// Forgets a stream once both directions have ended.
    pub(super) fn close_if_done(&mut self, id: u32) {
        let both = Is::REMOTE_CLOSED | Is::LOCAL_CLOSED;
        if self.streams.get(id).is_some_and(|s| s.is.contains(both)) {
            self.streams.remove(id);
            self.budget.earn();
        }
    }

    /// Resets a stream, and remembers it.
    pub(super) fn drop_stream(&mut self, id: u32, code: Code) {
        frame::rst_stream(id, code, &mut self.out);
        self.streams.remove(id);
        self.resets[self.resets_at % RESETS] = id;
        self.resets_at = self.resets_at.wrapping_add(1);
    }

    pub(super) fn was_reset(&self, id: u32) -> bool {
        self.resets.contains(&id)
    }

    /// Nobody opened this stream yet.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        id.is_multiple_of(2) || (id > self.last && !self.is_unwanted(id))
    }

    /// Its peer may have opened it, but was told that it would not be looked at.
    pub(super) fn is_unwanted(&self, id: u32) -> bool {
        self.is_server() && self.leaving.is_some_and(|last| id > last)
    }

    /// Bytes that one DATA frame to the peer may have.
    pub(super) fn frame_room(&self) -> usize {
        (self.peer.max_frame as usize).min(MAX_FRAME)
    }
}
