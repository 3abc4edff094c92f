//! A map with a clock and a log of its own, and short ways to say commands.

use bytes::Bytes;

use crate::region::map::*;

/// Each command is one entry of the log, one second after the last.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) map: Map,
    pub(super) at: WallMs,
    /// What the last command touched.
    pub(super) touched: Vec<Topic>,
}

impl World {
    pub(super) fn run(&mut self, command: Command) -> Reply {
        self.at += 1000;
        self.touched.clear();
        let proposal = Proposal { at: self.at, command };
        self.map.apply(self.map.index() + 1, proposal, &mut self.touched)
    }

    /// Runs what must be accepted, and gives the index at which it was.
    pub(super) fn done(&mut self, command: Command) -> Index {
        match self.run(command.clone()) {
            Reply::Done { index } | Reply::Held { held: true, index } | Reply::Id { index, .. } => index,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// Runs what must be refused.
    pub(super) fn refused(&mut self, command: Command) -> String {
        match self.run(command.clone()) {
            Reply::Refused(refusal) => refusal.to_string(),
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// Runs what asks a condition, and tells whether it held.
    pub(super) fn held(&mut self, command: Command) -> bool {
        match self.run(command.clone()) {
            Reply::Held { held, .. } => held,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    pub(super) fn txn(&mut self, ops: Vec<TxnOp>) -> Result<Vec<TxnResult>, Vec<(u32, String)>> {
        match self.run(Command::Txn(ops)) {
            Reply::Txn { results, errors, .. } if errors.is_empty() => Ok(results),
            Reply::Txn { results, errors, .. } => {
                assert_eq!(results, []);
                Err(errors.into_iter().map(|error| (error.op, error.what.to_string())).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn indexes(&self, topics: &[Topic]) -> Vec<Index> {
        topics.iter().map(|topic| self.map.index_of(topic)).collect()
    }
}

pub(super) fn name(text: &str) -> Name {
    text.into()
}

pub(super) fn names(list: &[&str]) -> Vec<Name> {
    list.iter().map(|text| name(text)).collect()
}

pub(super) fn node(text: &str) -> Node {
    Node { name: name(text), address: name("10.0.0.1"), ..Node::default() }
}

pub(super) fn instance(node: &str, id: &str, service: &str) -> Instance {
    Instance { node: name(node), id: name(id), service: name(service), port: 80, ..Instance::default() }
}

pub(super) fn check(node: &str, id: &str, service_id: &str, status: Health) -> Check {
    Check {
        node: name(node),
        id: name(id),
        name: name(id),
        service_id: name(service_id),
        status,
        ..Check::default()
    }
}

pub(super) fn register(registration: Registration) -> Command {
    Command::Register(Box::new(registration))
}

pub(super) fn put_node(text: &str) -> Command {
    register(Registration { node: node(text), ..Registration::default() })
}

/// An agent's registration: the node is left as it is.
pub(super) fn put(instance: Instance, checks: Vec<Check>) -> Command {
    let node = Node { name: instance.node.clone(), ..Node::default() };
    let instance = Some(instance);
    register(Registration { node, skip_node_update: true, instance, checks, replace_checks: false })
}

pub(super) fn put_checks(node: &str, checks: Vec<Check>) -> Command {
    let node = Node { name: name(node), ..Node::default() };
    register(Registration { node, skip_node_update: true, checks, ..Registration::default() })
}

pub(super) fn status(node: &str, check: &str, status: Health) -> Command {
    Command::CheckStatus { node: name(node), check: name(check), status, output: name("") }
}

pub(super) fn gone(node: &str, service: Option<&str>, check: Option<&str>) -> Command {
    let (service_id, check_id) = (service.map(name), check.map(name));
    Command::Deregister(Deregistration { node: name(node), service_id, check_id })
}

pub(super) fn kv(key: &str, value: &str, when: PutWhen) -> Command {
    Command::KvPut { key: name(key), value: Bytes::copy_from_slice(value.as_bytes()), flags: 0, when }
}

pub(super) fn set(key: &str, value: &str) -> Command {
    kv(key, value, PutWhen::Always)
}

pub(super) fn acquire(key: &str, session: &str) -> Command {
    kv(key, "held", PutWhen::Acquire(name(session)))
}

pub(super) fn delete(key: &str, when: DeleteWhen) -> Command {
    Command::KvDelete { key: name(key), when }
}

pub(super) fn session(id: &str, node: &str, checks: &[&str]) -> Session {
    Session { id: name(id), node: name(node), node_checks: names(checks), ..Session::default() }
}
