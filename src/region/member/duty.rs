//! What a member does as long as it is one, and what it answers.

use std::sync::Arc;

use super::super::raft::frame::{Answer, Denial, Request};
use super::super::raft::guest::Guest;
use super::super::raft::node::Node;
use super::{
    ailing, enrolling, forming, handover, joining, keepers, liveness, operation, reconcile, renewal, sealing,
};

/// Answers a request about members.
pub async fn answer(node: &Arc<Node>, guest: Guest, request: Request) -> Result<Answer, Denial> {
    match request {
        Request::Hello(hello) => Ok(Answer::Hello(forming::hello(node, hello))),
        Request::Form { cluster, members, certificate } => {
            forming::form(node, cluster, members, certificate).await
        }
        Request::Join(join) => joining::join(node, join).await,
        Request::Enroll(enroll) => enrolling::admit(node, guest, enroll).await,
        Request::Alive(alive) => liveness::alive(node, alive),
        Request::ClientHeartbeat(client) => liveness::client(node, client).await,
        Request::Ailing { alive, why } => liveness::ailing(node, alive, why),
        Request::TakeOver { to } => handover::take_over(node, to),
        Request::StandAside { to, vote } => handover::stand_aside(node, to, vote.into()).await,
        Request::Keys(asked) => keepers::hand_out(node, guest, asked),
        Request::Certify { id, request } => renewal::certify(node, guest, id, request).await,
        Request::Seal(what) => keepers::seal_for(node, &what),
        Request::Operate(what) => operation::operate(node, what).await.map(|()| Answer::Done),
        _ => Err(Denial::Refused("not a request about members".into())),
    }
}

/// What a member does as long as it is one: says that it lives; as leader, watches the others and keeps Raft's idea of
/// the members equal to the map's.
pub async fn run(node: Arc<Node>) {
    tokio::join!(
        liveness::run(&node),
        ailing::run(&node),
        reconcile::run(&node),
        forming::finish(&node),
        renewal::run(&node),
        sealing::run(&node)
    );
}
