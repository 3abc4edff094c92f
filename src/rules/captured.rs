//! `Captured`: what is kept of a message, by slot (`capture request header`, `http-request capture` and their kin).

/// Bytes and where each slot's are, in memory that one transaction leaves to the next.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    bytes: Vec<u8>,
    /// Beginning and end; `None` where nothing was captured.
    slots: Vec<Option<(usize, usize)>>,
}

impl Captured {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many slots there are, those where nothing was captured included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// One more slot.
    pub fn push(&mut self, value: Option<&[u8]>) {
        let kept = self.keep(value);
        self.slots.push(kept);
    }

    /// What is captured in a slot from now on; it is made if need be.
    pub fn set(&mut self, slot: usize, value: Option<&[u8]>) {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = self.keep(value);
    }

    pub fn get(&self, slot: usize) -> Option<&[u8]> {
        let (start, end) = (*self.slots.get(slot)?)?;
        self.bytes.get(start..end)
    }

    /// All slots in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        (0..self.slots.len()).map(|slot| self.get(slot))
    }

    fn keep(&mut self, value: Option<&[u8]>) -> Option<(usize, usize)> {
        let value = value?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        Some((start, self.bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_hold_what_was_captured_last() {
        let mut captured = Captured::default();
        captured.push(Some(b"one"));
        captured.push(None);
        captured.set(3, Some(b""));
        captured.set(0, Some(b"more"));
        let all: Vec<_> = captured.iter().collect();
        assert_eq!(all, [Some(&b"more"[..]), None, None, Some(b"")]);
        captured.set(0, None);
        assert_eq!((captured.get(0), captured.get(4), captured.len()), (None, None, 4));
        captured.clear();
        captured.push(None);
        assert_eq!((captured.len(), captured.get(0)), (1, None));
    }
}
