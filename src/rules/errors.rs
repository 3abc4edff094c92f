//! `errorfile`, `errorloc`, `http-error`, `errorfiles` and `http-errors` sections: which page answers a status.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lang::{Section, Word};

use super::build::BuildCtx;
use super::reply::ReplySpec;

/// The pages of a proxy by status; what is not here is answered by the built-in page.
#[derive(Clone, Debug, Default)]
pub struct ErrorPages {
    list: Vec<(u16, Arc<ReplySpec>)>,
}

/// The `http-errors` sections by name.
#[derive(Clone, Debug, Default)]
pub struct HttpErrors {
    sections: HashMap<String, ErrorPages>,
}

impl ErrorPages {
    /// The page set for a status, else `None`: the default one applies.
    pub fn page(&self, status: u16) -> Option<&Arc<ReplySpec>> {
        self.list.iter().find(|(s, _)| *s == status).map(|(_, p)| p)
    }

    /// `errorfile <code> <file>`; `words` begin after the keyword.
    pub fn errorfile(&mut self, _words: &[Word], _ctx: &mut BuildCtx<'_>) {}

    /// `errorloc`, `errorloc302` (`status` 302) or `errorloc303` (303) `<code> <url>`.
    pub fn errorloc(&mut self, _status: u16, _words: &[Word], _ctx: &mut BuildCtx<'_>) {}

    /// `errorfiles <name> [<code> ...]`.
    pub fn errorfiles(&mut self, _words: &[Word], _ctx: &mut BuildCtx<'_>) {}

    /// `http-error status <code> ...`.
    pub fn http_error(&mut self, _words: &[Word], _ctx: &mut BuildCtx<'_>) {}
}

impl HttpErrors {
    /// Reads one `http-errors <name>` section.
    pub fn section(&mut self, _section: &Section, _ctx: &mut BuildCtx<'_>) {}

    pub fn pages(&self, name: &str) -> Option<&ErrorPages> {
        self.sections.get(name)
    }
}
