//! Apply: one entry of the log becomes changes of the map and a reply. The same entries make the same map everywhere.

use super::change::Change;
use super::command::*;
use super::map::Map;
use super::record::*;
use super::topic::Topic;

impl Map {
    /// Applies an entry and says what it touched: every topic whose [`Map::index_of`] moved, except that a key stands
    /// for every [`Topic::Prefix`] that it is under, and whatever is there for [`Topic::Any`]. A topic may be there twice.
    ///
    /// `index` is the entry's place in the log. Each proposal gets an index of its own, also those that shared an
    /// entry, so that no two changes bear the same one: `index` or the next after the last, whichever is greater.
    pub fn apply(&mut self, index: Index, proposal: Proposal, touched: &mut Vec<Topic>) -> Reply {
        match proposal.command {
            Command::Batch(proposals) => Reply::Batch(
                proposals.into_iter().map(|proposal| self.apply_one(index, proposal, touched)).collect(),
            ),
            _ => self.apply_one(index, proposal, touched),
        }
    }

    fn apply_one(&mut self, index: Index, proposal: Proposal, touched: &mut Vec<Topic>) -> Reply {
        self.index = index.max(self.index.saturating_add(1));
        let before = touched.len();
        let mut change = Change { index: self.index, at: proposal.at, touched };
        self.kv.delays.expire(proposal.at);
        self.expire_archive(proposal.at);
        let reply = self.command(proposal.command, &mut change).unwrap_or_else(Reply::Refused);
        if touched.len() > before {
            self.changed = self.index;
        }
        reply
    }

    fn command(&mut self, command: Command, change: &mut Change) -> Result<Reply, Refusal> {
        let index = change.index;
        match command {
            Command::Batch(_) => return Err(Refusal::Invalid("a batch within a batch".into())),
            Command::Register(what) => self.register(*what, change)?,
            Command::Deregister(what) => self.deregister(&what, change),
            Command::CheckStatus { node, check, status, output } => {
                self.check_status(&node, &check, status, output, change)?;
            }
            Command::KvPut { key, value, flags, when } => {
                let entry = Entry { key, value, flags, ..Entry::default() };
                let held = self.kv_put(entry, &when, change)?;
                return Ok(Reply::Held { held, index });
            }
            Command::KvDelete { key, when } => {
                let held = self.kv_delete(&key, &when, change);
                return Ok(Reply::Held { held, index });
            }
            Command::SessionCreate(session) => self.session_create(session, change)?,
            Command::SessionDestroy { id } => self.session_end(&id, change),
            Command::Txn(ops) => return Ok(self.transaction(ops, change)),
            Command::QueryPut(query) => self.query_put(query, change)?,
            Command::QueryDelete { id } => {
                if !self.query_remove(&id, change) {
                    return Err(Refusal::UnknownQuery(id));
                }
            }
            Command::EventFire(event) => self.event_fire(event, change),
            Command::RegionPut(region) => self.region_put(region, change)?,
            Command::RegionDelete { name } => self.region_delete(name, change)?,
            Command::MemberPut(member) => {
                let id = self.member_put(member, change)?;
                return Ok(Reply::Id { id, index });
            }
            Command::MemberDelete { id } => self.member_delete(id, change)?,
            Command::SecretPut { name, value } if value.is_empty() => {
                self.tables.secrets.remove(&name);
            }
            Command::SecretPut { name, value } => {
                self.tables.secrets.insert(name, value);
            }
            Command::DocumentPut { name, text, author, expected } => {
                let document = Document { name, text, author, ..Document::default() };
                return self.document_put(document, expected, change);
            }
            Command::DocumentDelete { name } => self.document_delete(name, change)?,
            Command::Nothing => {}
            Command::RegionStands { name, lost, cause } => self.region_stands(name, lost, cause, change)?,
            Command::CheckerPut { node, keys } => self.checker_put(node, keys, change)?,
            Command::Found(found) => self.found(*found, change)?,
            Command::Restore(piece) => {
                self.archive_piece(*piece, change)?;
                return Ok(Reply::Done { index: self.index });
            }
            Command::LeaseAcquire { name, holder, claim, length_ms } => {
                let lease = Lease { name, holder, claim, length_ms, ..Lease::default() };
                return self.lease_acquire(lease, change);
            }
            Command::LeaseRenew { name, term } => return self.lease_renew(name, term, change),
            Command::LeaseRelease { name, term } => self.lease_end(&name, term, None, change),
            Command::LeaseExpire { name, term, renewed } => {
                self.lease_end(&name, term, Some(renewed), change);
            }
        }
        Ok(Reply::Done { index })
    }
}
