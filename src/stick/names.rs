//! Few texts that many entries name (`server_key`): each is kept once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Most texts; entries name no others.
const MOST: usize = 65_536;

#[derive(Debug, Default)]
pub struct Names {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    list: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Names {
    /// The number of a text, from 1; 0: there are too many.
    pub fn number(&self, text: &str) -> u32 {
        let read = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = read.numbers.get(text) {
            return *number;
        }
        drop(read);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = inner.numbers.get(text) {
            return *number;
        }
        if inner.list.len() >= MOST {
            return 0;
        }
        let text: Arc<str> = text.into();
        inner.list.push(text.clone());
        let number = inner.list.len() as u32;
        inner.numbers.insert(text, number);
        number
    }

    pub fn text(&self, number: u32) -> Option<Arc<str>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.list.get((number as usize).checked_sub(1)?).cloned()
    }
}
