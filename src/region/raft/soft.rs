//! Carries soft state over members' links.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::callee::CARRIER;
use super::connection::Class;
use super::frame::{Answer, Denial, Request};
use super::node::Node;
use super::timing::after;
use crate::base::clock;
use crate::region::map::Topic;
use crate::region::soft::{self, Message};

/// How long an answer is waited for.
const WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for a change of the members, in case one is missed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The kind of call that carries it.
pub const CALL: u8 = CARRIER;

pub async fn run(node: Arc<Node>) {
    let mut members_at = None;
    loop {
        let map = node.view.map();
        let (index, id) = (map.index_of(&Topic::Members), node.id());
        if members_at != Some((index, id)) {
            let live = map.members().filter(|member| member.alive);
            node.soft.members(id, live.map(|member| (member.id, &member.name)));
            members_at = Some((index, id));
        }
        let (messages, next) = node.soft.due();
        for message in messages {
            match map.member(message.to).map(|member| member.address.clone()) {
                Some(address) => drop(tokio::spawn(send(node.clone(), address, message))),
                None => node.soft.answered(message.to, message.seq, None),
            }
        }
        let pause = next.map(|at| Duration::from_nanos(at.saturating_sub(clock::now_ns())));
        let until = after(pause.unwrap_or(PATIENCE).min(PATIENCE));
        tokio::select! {
            () = node.soft.work() => {}
            changed = node.view.changed(&[Topic::Members], index, until) => if changed.is_err() {
                tokio::time::sleep_until(until).await;
            },
        }
    }
}

async fn send(node: Arc<Node>, address: Arc<str>, message: Message) {
    let answer = match soft::encode(&message) {
        Some(body) => {
            let request = Request::Call { kind: CALL, body };
            node.connections.to(&address, Class::Bulk).call(&request, WITHIN).await.ok()
        }
        None => None,
    };
    let answer = match answer {
        Some(Answer::Called(bytes)) => soft::decode(&bytes),
        // A program that knows nothing of it, too.
        _ => None,
    };
    node.soft.answered(message.to, message.seq, answer);
}

/// What another member says; `guest`: which one it is known to be.
pub fn heard(node: &Node, guest: Option<u64>, body: &Bytes) -> Result<Answer, Denial> {
    let Some(message) = soft::decode::<Message>(body) else {
        return Err(Denial::Refused("soft state that cannot be read".into()));
    };
    if guest.is_some_and(|id| id != message.node) {
        return Err(Denial::Refused("soft state of another member".into()));
    }
    let answer = soft::encode(&node.soft.heard(&message));
    answer.map(Answer::Called).ok_or(Denial::TooLarge)
}
