//! One change under way: its index, its time, and what it has touched so far.

use super::record::{Index, Name, WallMs};
use super::topic::Topic;

pub(super) struct Change<'a> {
    pub(super) index: Index,
    /// The proposer's clock.
    pub(super) at: WallMs,
    pub(super) touched: &'a mut Vec<Topic>,
}

impl Change<'_> {
    pub(super) fn touch(&mut self, topic: Topic) {
        self.touched.push(topic);
    }

    pub(super) fn touch_key(&mut self, key: &Name) {
        self.touch(Topic::Key(key.clone()));
    }

    pub(super) fn touch_node(&mut self, node: &Name) {
        self.touch(Topic::Node(node.clone()));
    }
}
