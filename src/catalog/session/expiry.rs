//! Ends sessions whose time to live is over.
//!
//! The node of a session keeps its time, without an entry in the log: its agent is where clients renew it. A renewal that
//! comes through another node is put in the map, where the keeper sees it. Time starts anew when a keeper does.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::base::clock::{self, Millis};
use crate::catalog::api::Api;
use crate::catalog::record::{self, RENEWED};
use crate::catalog::request::{Call, Fault};
use crate::region::map::*;

/// A session ends after as many times its TTL, as in Consul: it is never early, and clients count on "up to twice".
const TIMES: u64 = 2;
/// Longest sleep, in case a change was missed.
const PATIENCE_MS: u64 = 60_000;
/// After the cluster refused or had no leader.
const RETRY_MS: u64 = 1_000;

/// Who keeps a session's time: its node, or the leader for a node without a seat in the cluster.
fn is_keeper(api: &Api, map: &Map, session: &Session) -> bool {
    let own = &api.settings.node_name;
    if session.node == *own || map.members().any(|member| member.name == session.node) {
        return session.node == *own;
    }
    api.seat.leader().is_some_and(|leader| leader.name == *own)
}

/// A client renewed a session here.
pub async fn renew(call: &Call, session: &Session) -> Result<(), Fault> {
    let api = &call.api;
    if is_keeper(api, &api.seat.map(), session) {
        let mut renewals = api.renewals.lock().unwrap_or_else(PoisonError::into_inner);
        renewals.insert(session.id.clone(), clock::now_ms());
        return Ok(());
    }
    let by = serde_json::json!({ "By": &*api.settings.node_name, "At": clock::wall().as_millis() as u64 });
    record::put(call, RENEWED, &session.id, &by, PutWhen::Always).await.map(|_| ())
}

/// What a keeper remembers of a session.
struct Kept {
    /// Since when its time runs.
    since: Millis,
    /// The renewal in the map that was seen last.
    seen: Index,
}

/// Runs until it is dropped.
pub async fn keep(api: Arc<Api>) {
    let mut kept: HashMap<Name, Kept> = HashMap::new();
    loop {
        let map = api.seat.map();
        let now = clock::now_ms();
        let (over, next) = look(&api, &map, &mut kept, now);
        let mut wait = next.map_or(PATIENCE_MS, |at| at.saturating_sub(now).clamp(1, PATIENCE_MS));
        for id in over {
            let ops = vec![TxnOp::SessionDestroy { id: id.clone() }, record::delete_op(RENEWED, &id)];
            if api.seat.propose(Command::Txn(ops)).await.is_err() {
                wait = RETRY_MS;
            }
        }
        let until = tokio::time::sleep(Duration::from_millis(wait)).deadline();
        let topics = [Topic::Sessions, record::topic(RENEWED)];
        let index = topics.iter().map(|topic| map.index_of(topic)).max().unwrap_or(0);
        if api.seat.changed(&topics, index, until).await.is_err() {
            tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
        }
    }
}

/// Which sessions are over, and when the next will be unless it is renewed.
fn look(api: &Api, map: &Map, kept: &mut HashMap<Name, Kept>, now: Millis) -> (Vec<Name>, Option<Millis>) {
    let mut renewals = api.renewals.lock().unwrap_or_else(PoisonError::into_inner);
    renewals.retain(|id, _| map.session(id).is_some());
    kept.retain(|id, _| map.session(id).is_some());
    let (mut over, mut next): (Vec<Name>, Option<Millis>) = (Vec::new(), None);
    for session in map.sessions().filter(|one| one.ttl_ms > 0 && is_keeper(api, map, one)) {
        let renewed = record::get(map, RENEWED, &session.id).map_or(0, |record| record.modify_index);
        let one = kept.entry(session.id.clone()).or_insert(Kept { since: now, seen: renewed });
        if one.seen != renewed {
            *one = Kept { since: now, seen: renewed };
        }
        one.since = one.since.max(renewals.get(&session.id).copied().unwrap_or(0));
        let end = one.since.saturating_add(session.ttl_ms.saturating_mul(TIMES));
        if end <= now {
            over.push(session.id.clone());
        } else {
            next = Some(next.map_or(end, |at| at.min(end)));
        }
    }
    (over, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Process, Settings};
    use crate::region::Direct;

    struct Nobody;

    impl Process for Nobody {
        fn heard(&self, _: &str) {}

        fn reload(&self) -> Result<(), String> {
            Ok(())
        }

        fn leave(&self) {}
    }

    async fn api() -> Arc<Api> {
        let seat = Direct::seat("a", "");
        for name in ["a", "b"] {
            let member = Member { name: name.into(), alive: true, ..Member::default() };
            seat.propose(Command::MemberPut(member)).await.expect("a member");
            let what = Registration {
                node: Node { name: name.into(), ..Node::default() },
                checks: vec![Check { id: NODE_LIVENESS.into(), status: Health::Passing, ..Check::default() }],
                ..Registration::default()
            };
            seat.propose(Command::Register(Box::new(what))).await.expect("registered");
            let session = Session {
                id: format!("on-{name}").into(),
                node: name.into(),
                ttl_ms: 10_000,
                ..Session::default()
            };
            seat.propose(Command::SessionCreate(session)).await.expect("created");
        }
        Api::new(seat, Settings { node_name: "a".into(), ..Settings::default() }, Arc::new(Nobody))
    }

    #[tokio::test]
    async fn a_session_ends_after_twice_its_ttl_on_its_own_node() {
        let api = api().await;
        let mut kept = HashMap::new();
        let map = api.seat.map();
        assert_eq!(look(&api, &map, &mut kept, 1_000), (vec![], Some(21_000)));
        assert_eq!(look(&api, &map, &mut kept, 20_999), (vec![], Some(21_000)));
        assert_eq!(look(&api, &map, &mut kept, 21_000).0, ["on-a".into()]);
    }

    #[tokio::test]
    async fn a_renewal_here_or_through_another_node_starts_it_again() {
        let api = api().await;
        let mut kept = HashMap::new();
        look(&api, &api.seat.map(), &mut kept, 1_000);
        api.renewals.lock().expect("no panic").insert("on-a".into(), 5_000);
        assert_eq!(look(&api, &api.seat.map(), &mut kept, 21_000), (vec![], Some(25_000)));
        let ops = vec![record::put_op(RENEWED, "on-a", &serde_json::json!({ "By": "b" }))];
        api.seat.propose(Command::Txn(ops)).await.expect("renewed");
        assert_eq!(look(&api, &api.seat.map(), &mut kept, 22_000), (vec![], Some(42_000)));
    }
}
