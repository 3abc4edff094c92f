//! Texts that come often (names of servers): each is sent once, then by a number. The sender gives the numbers in turn, and
//! again to other texts when all are given.

use std::collections::HashMap;
use std::sync::Arc;

use super::varint::{self, Fields};

/// Numbers that there are, from 1.
const NUMBERS: usize = 128;
/// Longest text that is kept: what is longer is no name of a server.
const LONGEST: usize = 1024;

/// The sender's.
#[derive(Debug, Default)]
pub struct Sent {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, usize>,
    next: usize,
}

impl Sent {
    /// Appends a text, or that there is none.
    pub fn put(&mut self, out: &mut Vec<u8>, text: Option<&Arc<str>>) {
        let Some(text) = text else { return out.push(0) };
        let mut content = Vec::new();
        match self.numbers.get(text) {
            Some(at) => varint::put(&mut content, *at as u64 + 1),
            None => {
                varint::put(&mut content, self.add(text) as u64 + 1);
                varint::put(&mut content, text.len() as u64);
                content.extend(text.as_bytes());
            }
        }
        varint::put(out, content.len() as u64);
        out.extend(content);
    }

    fn add(&mut self, text: &Arc<str>) -> usize {
        let at = self.next;
        self.next = (at + 1) % NUMBERS;
        match self.texts.get_mut(at) {
            Some(before) => {
                self.numbers.remove(before);
                *before = text.clone();
            }
            None => self.texts.push(text.clone()),
        }
        self.numbers.insert(text.clone(), at);
        at
    }
}

/// The receiver's.
#[derive(Debug)]
pub struct Received {
    texts: Box<[Option<Arc<str>>]>,
}

impl Default for Received {
    fn default() -> Received {
        Received { texts: vec![None; NUMBERS].into() }
    }
}

impl Received {
    /// Reads a text; `Some(None)`: there is none. `None`: what came is none.
    pub fn take(&mut self, fields: &mut Fields<'_>) -> Option<Option<Arc<str>>> {
        let content = fields.counted()?;
        if content.is_empty() {
            return Some(None);
        }
        let mut content = Fields::new(content);
        let at = usize::try_from(content.integer()?).ok()?.checked_sub(1)?;
        let known = self.texts.get_mut(at)?;
        if !content.is_empty() {
            let text = content.counted()?;
            *known = (text.len() <= LONGEST).then(|| String::from_utf8_lossy(text).into());
        }
        Some(known.clone())
    }
}
