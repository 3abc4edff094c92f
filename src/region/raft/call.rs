//! What members ask of each other beyond the map: other rooms answer, the network between members carries it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::callee::{CALL_BYTES, CallError};
use super::connection::Class;
use super::frame::{Answer, Denial, Request};
use super::node::Node;

/// Asks member `id`, which may be this one.
pub(super) async fn call(
    node: Arc<Node>,
    id: u64,
    kind: u8,
    body: Bytes,
    within: Duration,
) -> Result<Bytes, CallError> {
    if body.len() > CALL_BYTES {
        return Err(CallError::TooLarge);
    }
    let late = |_| CallError::Unreachable("no answer in time".into());
    if id == node.id() {
        let here = answer(&node, kind, body);
        return match tokio::time::timeout(within, here).await.map_err(late)? {
            Ok(Answer::Called(bytes)) => Ok(bytes),
            Ok(_) => Err(CallError::Unreachable("an answer to something else".into())),
            Err(denial) => Err(CallError::Refused(denial.to_string())),
        };
    }
    let address = node.view.map().member(id).map(|m| m.address.clone()).ok_or(CallError::Unknown(id))?;
    match node.connections.to(&address, Class::Bulk).call(&Request::Call { kind, body }, within).await {
        Ok(Answer::Called(bytes)) => Ok(bytes),
        Ok(Answer::Denied(denial)) => Err(CallError::Refused(denial.to_string())),
        Ok(_) => Err(CallError::Unreachable("an answer to something else".into())),
        Err(e) => Err(CallError::Unreachable(e.to_string())),
    }
}

/// What this node says to a call.
pub(super) async fn answer(node: &Node, kind: u8, body: Bytes) -> Result<Answer, Denial> {
    if body.len() > CALL_BYTES {
        return Err(Denial::TooLarge);
    }
    let Some(callee) = node.callee.get() else {
        return Err(Denial::Refused("this node is not ready to answer".into()));
    };
    match callee.called(kind, body).await {
        Ok(bytes) if bytes.len() > CALL_BYTES => Err(Denial::TooLarge),
        Ok(bytes) => Ok(Answer::Called(bytes)),
        Err(text) => Err(Denial::Refused(text)),
    }
}
