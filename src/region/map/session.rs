//! How sessions begin and end.

use std::sync::Arc;

use super::change::Change;
use super::command::Refusal;
use super::held::Held;
use super::map::Map;
use super::record::*;
use super::topic::Topic;

impl Map {
    pub(super) fn session_create(
        &mut self,
        mut session: Session,
        change: &mut Change,
    ) -> Result<(), Refusal> {
        if session.id.is_empty() {
            return Err(Refusal::Invalid("missing session ID".into()));
        }
        if self.sessions.by_id.contains_key(&session.id) {
            return Err(Refusal::NameTaken(session.id));
        }
        let Some(host) = self.catalog.host(&session.node) else {
            return Err(Refusal::UnknownNode(session.node));
        };
        for id in session.node_checks.iter().chain(&session.service_checks) {
            match host.checks.get(id) {
                None => return Err(Refusal::UnknownCheck(id.clone())),
                Some(check) if check.status == Health::Critical => {
                    return Err(Refusal::CriticalCheck(id.clone()));
                }
                Some(_) => {}
            }
        }
        session.node = host.node.name.clone();
        session.create_index = change.index;
        session.modify_index = change.index;
        change.touch(Topic::Session(session.id.clone()));
        self.session_store(Arc::new(session));
        self.sessions.index = change.index;
        change.touch(Topic::Sessions);
        Ok(())
    }

    /// Puts a session in its places.
    pub(super) fn session_store(&mut self, session: Arc<Session>) {
        if let Some(host) = self.catalog.host_mut(&session.node) {
            host.sessions.insert(session.id.clone());
            for check in session.node_checks.iter().chain(&session.service_checks) {
                host.guards.insert((check.clone(), session.id.clone()));
            }
        }
        self.sessions.gone.lift(&session.id);
        let id = session.id.clone();
        self.sessions.by_id.insert(id, Arc::new(Held { session, ..Held::default() }));
    }

    /// Its locks are released or their keys deleted, as it asked, and may not be taken for its lock delay; queries that
    /// are bound to it go. An unknown one is gone already.
    pub(super) fn session_end(&mut self, id: &str, change: &mut Change) {
        let Some(held) = self.sessions.by_id.remove(id) else { return };
        let session = &held.session;
        if let Some(host) = self.catalog.host_mut(&session.node) {
            host.sessions.remove(&session.id);
            for check in session.node_checks.iter().chain(&session.service_checks) {
                host.guards.remove(&(check.clone(), session.id.clone()));
            }
        }
        for key in &held.keys {
            if session.lock_delay_ms > 0 {
                self.kv.delays.set(key.clone(), change.at.saturating_add(session.lock_delay_ms));
            }
            match session.behavior {
                Behavior::Delete => self.kv_remove(key, change),
                Behavior::Release => {
                    let Some(entry) = self.kv.entries.get(key).cloned() else { continue };
                    self.kv_store(Entry { session: None, ..Arc::unwrap_or_clone(entry) }, change);
                }
            }
        }
        for query in &held.queries {
            self.query_remove(query, change);
        }
        self.sessions.gone.add(session.id.clone(), change.index);
        self.sessions.index = change.index;
        change.touch(Topic::Sessions);
        change.touch(Topic::Session(session.id.clone()));
    }

    /// A check became critical or went: the sessions that name it end.
    pub(super) fn sessions_end_with(&mut self, node: &str, check: &Name, change: &mut Change) {
        for session in self.catalog.guarded_by(node, check) {
            self.session_end(&session, change);
        }
    }
}
