//! What `http-errors` sections hold: whole messages by status.

use std::collections::HashMap;
use std::sync::Arc;

use super::txn::Reply;

/// The messages of one section; the last one set for a status wins.
pub type Messages = Vec<(u16, Arc<Reply>)>;

/// The `http-errors` sections by name.
#[derive(Clone, Debug, Default)]
pub struct HttpErrors {
    sections: HashMap<String, Messages>,
}

impl HttpErrors {
    /// The messages of a section; `None` for a name that none has.
    pub fn messages(&self, name: &str) -> Option<&Messages> {
        self.sections.get(name)
    }

    pub fn add(&mut self, name: &str, messages: Messages) {
        self.sections.insert(name.into(), messages);
    }
}
