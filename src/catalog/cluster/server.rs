//! The service that the servers of the cluster are, which clients expect in the catalog: `consul`.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::api::Api;
use crate::catalog::cluster::leaving;
use crate::catalog::cluster::member::SERVER;
use crate::catalog::cluster::member::is_server;
use crate::region::map::*;

/// The port of a server that says none.
const PORT: u16 = 8300;
/// Longest sleep, in case a change was missed, and between attempts that failed.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(2);

/// Keeps the entry of this node as its role is, and who left out of the catalog; runs until it is dropped.
pub async fn keep(api: Arc<Api>) {
    let node = &api.settings.node_name;
    let topics = [Topic::Members, Topic::Node(node.clone())];
    loop {
        let map = api.seat.map();
        let index = topics.iter().map(|topic| map.index_of(topic)).max().unwrap_or(0);
        let commands = due(&api, &map).into_iter().chain(leaving::due(&api, &map));
        if !all(&api, commands).await {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        let until = tokio::time::sleep(PATIENCE).deadline();
        if api.seat.changed(&topics, index, until).await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Whether all of them could be proposed.
async fn all(api: &Api, commands: impl Iterator<Item = Command>) -> bool {
    for command in commands {
        if api.seat.propose(command).await.is_err() {
            return false;
        }
    }
    true
}

/// What the entry lacks, if anything: it needs its node, which the cluster registers.
fn due(api: &Api, map: &Map) -> Option<Command> {
    let node = map.node(&api.settings.node_name)?;
    let standing = map.instance(&node.name, SERVER);
    if !is_server(api, map, &node.name) {
        let what =
            Deregistration { node: node.name.clone(), service_id: Some(SERVER.into()), check_id: None };
        return standing.map(|_| Command::Deregister(what));
    }
    let member = map.members().find(|member| member.name == node.name);
    let port = member.and_then(|member| member.address.rsplit_once(':')?.1.parse().ok()).unwrap_or(PORT);
    if standing.is_some_and(|one| one.port == port) {
        return None;
    }
    let instance = Instance { id: SERVER.into(), service: SERVER.into(), port, ..Instance::default() };
    Some(Command::Register(Box::new(Registration {
        node: node.as_ref().clone(),
        skip_node_update: true,
        instance: Some(instance),
        ..Registration::default()
    })))
}
