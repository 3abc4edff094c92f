//! Queries that are signed: judged, answered as if they were not, and signed again.

use super::figures::Figures;
use crate::dns::answer::{Ask, Outcome, Sent, State, respond};
use crate::dns::message::answer_flags;
use crate::dns::transfer::{ROOM, Signer, Verdict, rejection, unsigned, verify};
use crate::dns::wire::{Query, flag, rcode, u16_at};

/// What becomes of a signed query.
pub(super) enum Signed {
    Sent(Sent),
    Nothing,
    /// Whose signature is good, and who may have the zone: the query without it, and what signs the answer.
    Transfer(Vec<u8>, Box<Signer>),
}

/// `at`: where the signature begins.
pub(super) fn answer(
    state: &State,
    packet: &[u8],
    at: usize,
    ask: &Ask,
    out: &mut [u8],
    figures: &Figures,
) -> Signed {
    let now_s = u64::from(ask.now_s);
    let (key, mut signer) = match verify(packet, at, &state.settings.keys, now_s) {
        Verdict::Good(key, signer) => (key, signer),
        Verdict::Bad(error) => return reject(packet, at, Some(error), ask, out, figures),
        Verdict::Malformed => return reject(packet, at, None, ask, out, figures),
    };
    let bare = unsigned(packet, at);
    let ask = Ask { key: Some(key), recursion: false, ..*ask };
    // Room for the signature is kept where there is little.
    let room = if ask.stream { out.len() } else { out.len().saturating_sub(ROOM) };
    match respond(state, &bare, &ask, &mut out[..room.min(usize::from(u16::MAX) - ROOM)]) {
        Outcome::Sent(sent) => {
            let mut message = out[..sent.len].to_vec();
            signer.sign(&mut message, now_s);
            put(message, sent, out, figures)
        }
        Outcome::Transfer => Signed::Transfer(bare, Box::new(signer)),
        Outcome::Silent | Outcome::Forward | Outcome::Signed(_) => Signed::Nothing,
    }
}

fn put(message: Vec<u8>, sent: Sent, out: &mut [u8], figures: &Figures) -> Signed {
    let Some(to) = out.get_mut(..message.len()) else { return Signed::Nothing };
    to.copy_from_slice(&message);
    let sent = Sent { len: message.len(), known_client: true, ..sent };
    figures.count(&sent);
    Signed::Sent(sent)
}

/// NOTAUTH and why, or FORMERR for what is no signature.
fn reject(
    packet: &[u8],
    at: usize,
    error: Option<u16>,
    ask: &Ask,
    out: &mut [u8],
    figures: &Figures,
) -> Signed {
    let (query, _) = Query::parse(packet);
    let code = if error.is_some() { rcode::NOTAUTH } else { rcode::FORMERR };
    let question = query.question.as_ref().and_then(|q| packet.get(12..q.end)).unwrap_or_default();
    let flags = answer_flags(u16_at(packet, 2).unwrap_or(0), code) & !flag::AA;
    let mut message = Vec::new();
    for word in [query.id, flags, u16::from(!question.is_empty()), 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(question);
    if let Some(error) = error {
        rejection(packet, at, error, ask.now_s.into(), &mut message);
    }
    let Some(to) = out.get_mut(..message.len()) else { return Signed::Nothing };
    to.copy_from_slice(&message);
    let sent = Sent { len: message.len(), rcode: code, ..Sent::default() };
    figures.count(&sent);
    Signed::Sent(sent)
}
