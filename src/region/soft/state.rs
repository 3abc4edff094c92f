//! The handle on soft state: publishes, reads and waits; and what carries messages asks it what to send.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::exchange::Exchange;
use super::message::{Answer, Message};
use super::record::{Kind, Limits, Record, SoftError};
use super::view::View;
use crate::base::clock::{self, Nanos};
use crate::base::live::Live;
use crate::region::map::Name;

#[derive(Debug)]
pub struct SoftState {
    exchange: Mutex<Exchange>,
    view: Live<View>,
    changed: watch::Sender<u64>,
    /// There may be something to send.
    work: Notify,
}

impl SoftState {
    /// Of the node with this name. `silence`: a node that was not heard for so long is gone.
    pub fn new(name: Name, silence: Duration) -> Arc<SoftState> {
        // Greater than that of the start before, unless the clock was set back; then the others say so.
        let incarnation = clock::wall().as_millis() as u64;
        Arc::new(SoftState {
            exchange: Mutex::new(Exchange::new(name, incarnation, silence, Limits::default())),
            view: Live::default(),
            changed: watch::Sender::new(0),
            work: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets readers see what changed. The lock is held, so that no older view follows a newer one.
    fn show(&self, exchange: &Exchange) {
        self.view.store(Arc::new(exchange.view().clone()));
        self.changed.send_replace(exchange.view().version);
    }

    /// Puts a record of this node in the place of the one with its kind and name. Cheap: what stands like that already
    /// is not sent, and what changes is sent with what changes in the moment after it.
    pub fn publish(&self, name: &str, record: Record) -> Result<(), SoftError> {
        let mut exchange = self.lock();
        if exchange.publish((record.kind(), name.into()), record, clock::now_ns())? {
            self.show(&exchange);
            self.work.notify_one();
        }
        Ok(())
    }

    /// Puts many records of a kind, or takes them back, which readers see at once. Tells why the first of those was
    /// refused that were.
    pub fn publish_all(
        &self,
        kind: Kind,
        changes: impl Iterator<Item = (Name, Option<Record>)>,
    ) -> Result<(), SoftError> {
        let mut exchange = self.lock();
        let (now, mut refused, mut is_news) = (clock::now_ns(), Ok(()), false);
        for (name, record) in changes {
            match record {
                None => is_news |= exchange.withdraw(&(kind, name), now),
                Some(record) => match exchange.publish((kind, name), record, now) {
                    Ok(changed) => is_news |= changed,
                    Err(e) => refused = refused.and(Err(e)),
                },
            }
        }
        if is_news {
            self.show(&exchange);
            self.work.notify_one();
        }
        refused
    }

    /// This node's id; 0: it is no member yet.
    pub fn me(&self) -> u64 {
        self.lock().me()
    }

    pub fn withdraw(&self, kind: Kind, name: &str) {
        let mut exchange = self.lock();
        if exchange.withdraw(&(kind, name.into()), clock::now_ns()) {
            self.show(&exchange);
            self.work.notify_one();
        }
    }

    /// What all nodes say now, this one too.
    pub fn view(&self) -> Arc<View> {
        self.view.load()
    }

    /// The view once it is a later one than that with this version.
    pub async fn changed(&self, after: u64) -> Arc<View> {
        let mut changed = self.changed.subscribe();
        // The sender is here.
        let _ = changed.wait_for(|version| *version > after).await;
        self.view()
    }

    /// This node's id, and who lives, as the map has it.
    pub fn members<'a>(&self, me: u64, live: impl Iterator<Item = (u64, &'a Name)>) {
        let mut exchange = self.lock();
        if exchange.members(me, live) {
            self.show(&exchange);
        }
    }

    /// What is to be sent now, and when to ask again.
    pub fn due(&self) -> (Vec<Message>, Option<Nanos>) {
        let mut exchange = self.lock();
        let (messages, changed) = exchange.due(clock::now_ns());
        if changed {
            self.show(&exchange);
        }
        (messages, exchange.next())
    }

    /// Until [`SoftState::due`] may have something new.
    pub async fn work(&self) {
        self.work.notified().await;
    }

    pub fn heard(&self, message: &Message) -> Answer {
        let mut exchange = self.lock();
        let (answer, changed) = exchange.heard(message, clock::now_ns());
        if changed {
            self.show(&exchange);
        }
        // One that is new is answered with what is here.
        self.work.notify_one();
        answer
    }

    pub fn answered(&self, to: u64, seq: u64, answer: Option<Answer>) {
        let refused = self.lock().answered(to, seq, answer, clock::now_ns());
        if let Some(why) = refused {
            tracing::warn!("region map: member {to} does not take the soft state of this node: {why}");
        }
        self.work.notify_one();
    }
}
