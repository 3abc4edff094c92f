//! Keeps messages that could not be read, for `show errors`.

use crate::base::clock;
use crate::http::Head;
use crate::model::invalid::Invalid;

use super::stream::Stream;

/// What is in the buffer of a head that could not be read at this place of it.
fn snapshot(head: &Head, at: usize) -> Invalid {
    let bytes = head.buf.data();
    Invalid {
        when: clock::wall(),
        bytes: bytes.into(),
        capacity: head.buf.capacity(),
        position: at.saturating_sub(head.buf.start()).min(bytes.len()),
        ..Invalid::default()
    }
}

impl Stream<'_> {
    /// The client's request, which was not understood at this place of the buffer.
    pub(super) fn keep_invalid_request(&self, at: usize) {
        let client = self.txn.client.inet();
        let message = Invalid { client, ..snapshot(&self.txn.req, at) };
        self.route.front.live.invalid.keep(false, message);
    }

    /// The server's response.
    pub(super) fn keep_invalid_response(&self, at: usize) {
        let named = |name: &str, id: u32| Some((name.to_owned(), id));
        let server = self.hold.as_ref().map(|h| &h.slot.server().spec);
        let message = Invalid {
            client: self.txn.client.inet(),
            other: named(&self.route.front.name, self.route.front.uid),
            server: server.and_then(|s| named(&s.name, s.id)),
            ..snapshot(&self.txn.res, at)
        };
        self.route.back.live.invalid.keep(true, message);
    }
}
