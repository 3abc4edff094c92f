//! All references of a configuration, by number and by file.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::reference::PatternRef;

/// The references of one configuration, in the order of their first use.
#[derive(Debug, Default)]
pub struct PatternRefs {
    list: Vec<Arc<PatternRef>>,
    /// Somebody has changed patterns of a line.
    lines_changed: Arc<AtomicBool>,
}

impl PatternRefs {
    /// The reference of a file; `true` when it is new and has to be loaded.
    pub fn file(&mut self, name: &str, is_map: bool, user: &str) -> (Arc<PatternRef>, bool) {
        if let Some(found) = self.list.iter().find(|r| r.file.as_deref() == Some(name)) {
            return (found.clone(), false);
        }
        let kind = if is_map { "map" } else { "acl" };
        let description = format!("pattern loaded from file '{name}' used by {kind} at {user}");
        (self.push(None, Some(name.into()), is_map, description), true)
    }

    /// A reference for the patterns of a line. `id` is that of `-u`.
    pub fn inline(&mut self, id: Option<u32>, description: String) -> Result<Arc<PatternRef>, String> {
        if id.is_some() && self.list.iter().any(|r| r.given_id == id) {
            return Err("the id is already used".into());
        }
        Ok(self.push(id, None, false, description))
    }

    fn push(
        &mut self,
        given_id: Option<u32>,
        file: Option<Box<str>>,
        is_map: bool,
        description: String,
    ) -> Arc<PatternRef> {
        let lines_changed = if file.is_none() { self.lines_changed.clone() } else { Arc::default() };
        let made = Arc::new(PatternRef::new(given_id, file, is_map, description.into(), lines_changed));
        self.list.push(made.clone());
        made
    }

    /// Every reference with its number: the one given with `-u`, else the next free one.
    pub fn numbered(&self) -> Vec<(u32, &Arc<PatternRef>)> {
        let given: Vec<u32> = self.list.iter().filter_map(|r| r.given_id).collect();
        let mut free = (0..).filter(|n| !given.contains(n));
        self.list.iter().map(|r| (r.given_id.or_else(|| free.next()).unwrap_or(u32::MAX), r)).collect()
    }

    /// A reference by `#<id>` or by its file's name.
    pub fn find(&self, name: &str) -> Option<&Arc<PatternRef>> {
        match name.strip_prefix('#').map(str::parse::<u32>) {
            Some(Ok(id)) => self.numbered().into_iter().find(|(n, _)| *n == id).map(|(_, r)| r),
            Some(Err(_)) => None,
            None => self.list.iter().find(|r| r.file.as_deref() == Some(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_leave_out_those_that_were_given() {
        let mut refs = PatternRefs::default();
        refs.inline(None, "first".into()).unwrap();
        refs.inline(Some(1), "given".into()).unwrap();
        refs.file("f", false, "");
        assert!(refs.inline(Some(1), "again".into()).is_err());
        let numbers: Vec<u32> = refs.numbered().iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(refs.find("#1").map(|r| &*r.description), Some("given"));
        assert!(refs.find("f").is_some() && refs.find("#9").is_none() && refs.find("g").is_none());
    }
}
