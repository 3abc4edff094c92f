//! What a message over a connection leads to, however it came: over TCP, TLS or HTTPS.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use super::datagrams::{Answered, answer};
use super::figures::Figures;
use super::shared::Shared;
use crate::base::clock;
use crate::dns::answer::{Ask, Sent, State};
use crate::dns::forward::{Asked, Forwarder, Known};
use crate::dns::transfer::{Signer, Transfer};
use crate::dns::wire::{HEADER, Query};

/// Octets of a message at most.
pub(super) const MESSAGE: usize = 65_535;

/// What is to be done.
pub(super) enum Turn {
    /// The answer was handed over.
    Done(Sent),
    /// A message without sense.
    Close,
    /// Upstream has to be asked.
    Ask(Waiting),
    /// A whole zone, and what signs it.
    Transfer(Box<Transfer>, Option<Box<Signer>>),
}

/// A question that goes upstream.
pub(super) struct Waiting {
    forwarder: Arc<Forwarder>,
    asked: Box<Asked>,
    ask: Ask,
}

impl Waiting {
    /// The answer, when it is there.
    pub(super) async fn answer(
        self,
        message: &[u8],
        shared: &Shared,
        figures: &Figures,
    ) -> Option<(Vec<u8>, Sent)> {
        let mut room = vec![0; MESSAGE];
        let state = shared.state.load();
        let sent = self.forwarder.ask(&state.settings, &self.asked, message, &self.ask, &mut room).await?;
        figures.count(&sent);
        shared.log.note(&state, message, self.ask.client, &sent);
        room.truncate(sent.len);
        Some((room, sent))
    }
}

fn transfer(state: &State, message: &[u8], signed: Option<(Vec<u8>, Box<Signer>)>) -> Turn {
    let (bare, signer) = match signed {
        Some((bare, signer)) => (bare, Some(signer)),
        None => (message.to_vec(), None),
    };
    let (query, _) = Query::parse(&bare);
    let Some(question) = query.question else { return Turn::Close };
    let Some(zone) = state.zones.zone(question.name.as_wire()) else { return Turn::Close };
    let transfer = Transfer::new(zone.clone(), &bare, &bare[HEADER..question.end]);
    Turn::Transfer(Box::new(transfer), signer)
}

/// Answers, and hands the answer over if there is one at once.
pub(super) fn reply(
    message: &[u8],
    client: IpAddr,
    shared: &Shared,
    figures: &Figures,
    hand_over: impl FnOnce(&[u8]),
) -> Turn {
    thread_local! {
        static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; MESSAGE]);
    }
    let forwarder = (*shared.forwarder.load()).clone().filter(|forwarder| forwarder.allows(client));
    let ask = Ask {
        client,
        stream: true,
        now_s: clock::wall().as_secs() as u32,
        draw: clock::now_ns().wrapping_mul(0x9e37_79b9_7f4a_7c15),
        recursion: forwarder.is_some(),
        key: None,
    };
    let state = shared.state.load();
    let (query, read) = Query::parse(message);
    ROOM.with_borrow_mut(|room| {
        let sent = match (answer(&state, (&query, read), &ask, room, figures), forwarder) {
            (Answered::Sent(sent), _) => sent,
            (Answered::Transfer(signed), _) => return transfer(&state, message, signed),
            (Answered::Forward, Some(forwarder)) => {
                match forwarder.known(&state.settings, &query, &ask, room) {
                    Known::Sent(Some(sent)) => {
                        figures.count(&sent);
                        sent
                    }
                    Known::Sent(None) => return Turn::Close,
                    Known::Ask(asked) => return Turn::Ask(Waiting { forwarder, asked, ask }),
                }
            }
            _ => return Turn::Close,
        };
        shared.log.note(&state, message, client, &sent);
        hand_over(&room[..sent.len]);
        Turn::Done(sent)
    })
}
