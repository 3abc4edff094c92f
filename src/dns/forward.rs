//! Names that are not ours: from what upstream said before, or asked of it now.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::answer::{Ask, Question, Sent, Settings, fail, relay};
use super::wire::{Query, ede};
use crate::resolve::{Client, Failure, Freshness};

/// Clients that wait for an answer at once.
const WAITING: usize = 10_000;
/// How long upstream may take before an answer whose time is over is given (RFC 8767, 5): clients wait little longer.
const PATIENCE: Duration = Duration::from_millis(1800);

/// Shared by the threads of a responder.
pub struct Forwarder {
    client: Arc<Client>,
    allow: Vec<IpNet>,
    waiting: Arc<Semaphore>,
    runtime: Handle,
}

/// A question that upstream has to be asked.
pub struct Asked {
    question: Question,
    _place: OwnedSemaphorePermit,
}

/// What can be said at once.
pub enum Known {
    Sent(Option<Sent>),
    /// Nothing yet: [`Forwarder::ask`] goes on.
    Ask(Box<Asked>),
}

impl Forwarder {
    /// Called within the runtime that questions are asked on.
    pub fn new(client: Arc<Client>, allow: Vec<IpNet>) -> Forwarder {
        Forwarder { client, allow, waiting: Arc::new(Semaphore::new(WAITING)), runtime: Handle::current() }
    }

    pub fn allows(&self, client: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(&client))
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Answers from memory, or takes the question. `query`: one that could be read.
    pub fn known(
        self: &Arc<Self>,
        settings: &Settings,
        query: &Query<'_>,
        ask: &Ask,
        out: &mut [u8],
    ) -> Known {
        let Some(question) = Question::of(query) else { return Known::Sent(None) };
        let known = self.client.cache.with(question.key(), ask.now_s, |entry| {
            let freshness = entry.freshness(ask.now_s);
            let is_of_use = freshness != Freshness::Stale;
            let write = || relay(settings, query, ask, out, None, |to| entry.write(ask.now_s, to));
            (freshness, is_of_use.then(write).flatten())
        });
        match known {
            Some((Freshness::Ending(_), sent)) => {
                self.renew(question);
                return Known::Sent(sent);
            }
            Some((Freshness::Fresh(_), sent)) => return Known::Sent(sent),
            Some((Freshness::Stale, _)) | None => {}
        }
        match self.waiting.clone().try_acquire_owned() {
            Ok(place) => Known::Ask(Box::new(Asked { question, _place: place })),
            Err(_) => Known::Sent(fail(settings, query, ask, out, ede::NETWORK)),
        }
    }

    /// Asks again before an answer that is asked for ends.
    fn renew(self: &Arc<Self>, question: Question) {
        let Ok(place) = self.waiting.clone().try_acquire_owned() else { return };
        let client = self.client.clone();
        self.runtime.spawn(async move {
            let _place = place;
            let _ = client.ask(question.key(), question.wire(), question.flags, question.dnssec_ok).await;
        });
    }

    /// Asks upstream. When nobody answers, an answer whose time is over is better than none (RFC 8767).
    pub async fn ask(
        &self,
        settings: &Settings,
        asked: &Asked,
        packet: &[u8],
        ask: &Ask,
        out: &mut [u8],
    ) -> Option<Sent> {
        let question = &asked.question;
        let (query, _) = Query::parse(packet);
        let query = &query;
        let asking = self.client.ask(question.key(), question.wire(), question.flags, question.dnssec_ok);
        let old = self.client.cache.get(question.key(), ask.now_s);
        let answered = match &old {
            // It goes on being asked, for the next who wants to know.
            Some(_) => timeout(PATIENCE, asking).await.unwrap_or(Err(Failure::NoAnswer)),
            None => asking.await,
        };
        match answered {
            Ok(entry) => relay(settings, query, ask, out, None, |to| entry.write(ask.now_s, to)),
            Err(failure) => match old {
                Some(entry) => {
                    relay(settings, query, ask, out, Some(ede::STALE), |to| entry.write(ask.now_s, to))
                }
                None if failure == Failure::NoRoute => {
                    fail(settings, query, ask, out, ede::NOT_AUTHORITATIVE)
                }
                None => fail(settings, query, ask, out, ede::NETWORK),
            },
        }
    }
}
