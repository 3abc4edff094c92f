//! The state of one stream (RFC 9113 section 5.1), and the streams of a connection in the order of their identifiers.

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Is: u8 {
        /// The peer has ended its direction.
        const REMOTE_CLOSED = 1;
        /// We have ended ours.
        const LOCAL_CLOSED = 1 << 1;
        /// The peer's head is here; of a response, the final one.
        const BEGUN = 1 << 2;
        /// Our head was sent; of a response, the final one.
        const ANSWERED = 1 << 3;
        /// Someone waits to send more data.
        const WAITING = 1 << 4;
        /// Extended CONNECT for a WebSocket.
        const WEBSOCKET = 1 << 5;
        /// The request was HEAD: its response has no body, whatever it says.
        const HEAD = 1 << 6;
        /// The request was CONNECT.
        const CONNECT = 1 << 7;
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub id: u32,
    pub is: Is,
    /// What we may send; below 0 after the peer lowered its initial window.
    pub send_window: i64,
    /// What the peer may send.
    pub recv_window: i64,
    /// Data that the peer sent and nobody has taken yet.
    pub held: u32,
    /// What Content-Length says is still to come.
    pub to_come: Option<u64>,
}

/// Live streams; new ones have the largest identifiers.
#[derive(Debug, Default)]
pub(super) struct Streams {
    list: Vec<Stream>,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn place(&self, id: u32) -> Option<usize> {
        match self.list.last() {
            // The youngest is asked for most.
            Some(last) if last.id == id => Some(self.list.len() - 1),
            _ => self.list.binary_search_by_key(&id, |s| s.id).ok(),
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<&Stream> {
        self.place(id).map(|at| &self.list[at])
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.place(id).map(|at| &mut self.list[at])
    }

    pub(super) fn push(&mut self, stream: Stream) {
        debug_assert!(self.list.last().is_none_or(|last| last.id < stream.id));
        self.list.push(stream);
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Stream> {
        let at = self.place(id)?;
        let removed = self.list.remove(at);
        if self.list.is_empty() {
            // An idle connection holds nothing.
            self.list = Vec::new();
        }
        Some(removed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.list.iter_mut()
    }
}
