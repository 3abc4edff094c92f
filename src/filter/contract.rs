//! The contract of filters, and a chain of them.

use crate::base::Nanos;

/// What the body of one message passes, without its framing. It is made when the message's head is done, and dropped
/// when the message is over: without [`Filter::end`] before that, the body did not come to its end.
pub trait Filter {
    /// Bytes of the body: what goes on in their place, now.
    fn data<'b>(&'b mut self, bytes: &'b [u8], now: Nanos) -> &'b [u8];

    /// Nothing more is here at the moment: what was held back and is of use to the receiver goes on.
    fn flush(&mut self, _now: Nanos) -> &[u8] {
        &[]
    }

    /// The body is whole: what is left to go on.
    fn end(&mut self, _now: Nanos) -> &[u8] {
        &[]
    }

    /// Another body may leave than came: its length is not known before its end.
    fn rewrites(&self) -> bool {
        false
    }
}

/// The filters of one message, in order.
#[derive(Default)]
pub struct Chain {
    filters: Vec<Box<dyn Filter>>,
}

impl Chain {
    pub fn push(&mut self, filter: Box<dyn Filter>) {
        self.filters.push(filter);
    }

    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    pub fn rewrites(&self) -> bool {
        self.filters.iter().any(|filter| filter.rewrites())
    }

    /// Bytes of the body; `sink` gets what leaves the last filter.
    pub fn data(&mut self, bytes: &[u8], now: Nanos, sink: &mut Vec<u8>) {
        pass(&mut self.filters, bytes, now, sink);
    }

    pub fn flush(&mut self, now: Nanos, sink: &mut Vec<u8>) {
        for at in 0..self.filters.len() {
            let (before, behind) = self.filters.split_at_mut(at + 1);
            pass(behind, before[at].flush(now), now, sink);
        }
    }

    pub fn end(&mut self, now: Nanos, sink: &mut Vec<u8>) {
        for at in 0..self.filters.len() {
            let (before, behind) = self.filters.split_at_mut(at + 1);
            pass(behind, before[at].end(now), now, sink);
        }
    }
}

fn pass(filters: &mut [Box<dyn Filter>], bytes: &[u8], now: Nanos, sink: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    match filters.split_first_mut() {
        None => sink.extend_from_slice(bytes),
        Some((first, rest)) => pass(rest, first.data(bytes, now), now, sink),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds everything back, and puts a letter before and behind it.
    struct Quoting(u8, Vec<u8>);

    impl Filter for Quoting {
        fn data<'b>(&'b mut self, bytes: &'b [u8], _: Nanos) -> &'b [u8] {
            self.1.extend_from_slice(bytes);
            &[]
        }

        fn end(&mut self, _: Nanos) -> &[u8] {
            self.1.insert(0, self.0);
            self.1.push(self.0);
            &self.1
        }

        fn rewrites(&self) -> bool {
            true
        }
    }

    #[test]
    fn what_one_filter_leaves_is_what_the_next_one_gets() {
        let mut chain = Chain::default();
        assert!(!chain.rewrites() && chain.is_empty());
        chain.push(Box::new(Quoting(b'a', Vec::new())));
        chain.push(Box::new(Quoting(b'b', Vec::new())));
        let mut sink = Vec::new();
        chain.data(b"1", 0, &mut sink);
        chain.data(b"2", 0, &mut sink);
        chain.flush(0, &mut sink);
        assert!(sink.is_empty() && chain.rewrites());
        chain.end(0, &mut sink);
        assert_eq!(sink, b"ba12ab");
    }
}
