//! Changes of the tables: queries, events, regions, members, secrets and documents.

use std::sync::Arc;

use super::change::Change;
use super::command::{Refusal, Reply};
use super::map::Map;
use super::record::*;
use super::tables::{DOCUMENT_VERSIONS, EVENTS};
use super::topic::Topic;

impl Map {
    pub(super) fn query_put(&mut self, mut query: Query, change: &mut Change) -> Result<(), Refusal> {
        if query.id.is_empty() {
            return Err(Refusal::Invalid("missing query ID".into()));
        }
        if !query.session.is_empty() && !self.sessions.by_id.contains_key(&query.session) {
            return Err(Refusal::InvalidSession(query.session));
        }
        let holder = self.tables.query_names.get(&query.name);
        if !query.name.is_empty() && holder.is_some_and(|id| *id != query.id) {
            return Err(Refusal::NameTaken(query.name));
        }
        query.create_index = change.index;
        if let Some(old) = self.tables.queries.get(&query.id).cloned() {
            query.create_index = old.create_index;
            query.modify_index = old.modify_index;
            if *old == query {
                return Ok(());
            }
            self.query_unbind(&old);
        }
        query.modify_index = change.index;
        self.query_bind(Arc::new(query));
        self.tables.index.queries = change.index;
        change.touch(Topic::Queries);
        Ok(())
    }

    pub(super) fn query_bind(&mut self, query: Arc<Query>) {
        if !query.name.is_empty() {
            self.tables.query_names.insert(query.name.clone(), query.id.clone());
        }
        if let Some(held) = self.sessions.by_id.get_mut(&query.session) {
            Arc::make_mut(held).queries.insert(query.id.clone());
        }
        self.tables.queries.insert(query.id.clone(), query);
    }

    fn query_unbind(&mut self, query: &Query) {
        self.tables.query_names.remove(&query.name);
        if let Some(held) = self.sessions.by_id.get_mut(&query.session) {
            Arc::make_mut(held).queries.remove(&query.id);
        }
    }

    pub(super) fn query_remove(&mut self, id: &str, change: &mut Change) -> bool {
        let Some(query) = self.tables.queries.remove(id) else { return false };
        self.query_unbind(&query);
        self.tables.index.queries = change.index;
        change.touch(Topic::Queries);
        true
    }

    pub(super) fn event_fire(&mut self, mut event: Event, change: &mut Change) {
        event.index = change.index;
        self.tables.events.push_back(Arc::new(event));
        while self.tables.events.len() > EVENTS {
            self.tables.events.pop_front();
        }
        self.tables.index.events = change.index;
        change.touch(Topic::Events);
    }

    pub(super) fn region_put(&mut self, mut region: Region, change: &mut Change) -> Result<(), Refusal> {
        if region.name.is_empty() {
            return Err(Refusal::Invalid("missing region name".into()));
        }
        region.create_index = change.index;
        if let Some(old) = self.tables.regions.get(&region.name) {
            region.create_index = old.create_index;
            region.modify_index = old.modify_index;
            if **old == region {
                return Ok(());
            }
        }
        region.modify_index = change.index;
        self.tables.regions.insert(region.name.clone(), Arc::new(region));
        self.touch_regions(change);
        Ok(())
    }

    pub(super) fn region_delete(&mut self, name: Name, change: &mut Change) -> Result<(), Refusal> {
        match self.tables.regions.remove(&name) {
            None => Err(Refusal::UnknownRegion(name)),
            Some(_) => {
                self.touch_regions(change);
                Ok(())
            }
        }
    }

    pub(super) fn touch_regions(&mut self, change: &mut Change) {
        self.tables.index.regions = change.index;
        change.touch(Topic::Regions);
    }

    /// The id of the member.
    pub(super) fn member_put(&mut self, mut member: Member, change: &mut Change) -> Result<u64, Refusal> {
        let same_name = |other: &&Arc<Member>| other.name == member.name && other.id != member.id;
        if self.tables.members.values().any(|other| same_name(&other)) {
            return Err(Refusal::NameTaken(member.name));
        }
        if member.id == 0 {
            member.create_index = change.index;
            member.id = change.index;
        } else if let (0, None) = (member.create_index, self.tables.members.get(&member.id)) {
            // One of those that formed the cluster: their ids were agreed on before there was a log.
            member.create_index = change.index;
        } else {
            let Some(old) = self.tables.members.get(&member.id) else {
                return Err(Refusal::UnknownMember(member.id));
            };
            member.create_index = old.create_index;
            member.modify_index = old.modify_index;
            if **old == member {
                return Ok(member.id);
            }
        }
        member.modify_index = change.index;
        let id = member.id;
        self.tables.members.insert(id, Arc::new(member));
        self.touch_members(change);
        Ok(id)
    }

    pub(super) fn member_delete(&mut self, id: u64, change: &mut Change) -> Result<(), Refusal> {
        match self.tables.members.remove(&id) {
            None => Err(Refusal::UnknownMember(id)),
            Some(member) => {
                self.checker_gone(&member.name, change);
                self.touch_members(change);
                Ok(())
            }
        }
    }

    pub(super) fn touch_members(&mut self, change: &mut Change) {
        self.tables.index.members = change.index;
        change.touch(Topic::Members);
    }

    /// The new version.
    pub(super) fn document_put(
        &mut self,
        mut document: Document,
        expected: Option<u64>,
        change: &mut Change,
    ) -> Result<Reply, Refusal> {
        let name = document.name.clone();
        if name.is_empty() {
            return Err(Refusal::Invalid("missing document name".into()));
        }
        let present = self.document(&name).map_or(0, |document| document.version);
        if let Some(expected) = expected.filter(|expected| *expected != present) {
            return Err(Refusal::DocumentVersion { name, present, expected });
        }
        let last = if present == 0 { self.tables.retired.take(&name) } else { present };
        document.version = last.saturating_add(1);
        document.at = change.at;
        document.index = change.index;
        let id = document.version;
        let history = self.tables.documents.entry(name).or_default();
        history.push_back(Arc::new(document));
        while history.len() > DOCUMENT_VERSIONS {
            history.pop_front();
        }
        self.touch_documents(change);
        Ok(Reply::Id { id, index: change.index })
    }

    pub(super) fn document_delete(&mut self, name: Name, change: &mut Change) -> Result<(), Refusal> {
        let Some(history) = self.tables.documents.remove(&name) else {
            return Err(Refusal::UnknownDocument(name));
        };
        self.tables.retired.add(name, history.last().map_or(0, |document| document.version));
        self.touch_documents(change);
        Ok(())
    }

    fn touch_documents(&mut self, change: &mut Change) {
        self.tables.index.documents = change.index;
        change.touch(Topic::Documents);
    }
}
