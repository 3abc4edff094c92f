//! What is done to a request between its rules and its server: names that are refused, fields that the proxy adds.

use crate::config::proxy::RestrictNames;
use crate::rules::{Ctx, Txn};

use super::end::{Cause, End, Halt, Phase};
use super::stream::Stream;

impl Stream<'_> {
    /// `option http-restrict-req-hdr-names`.
    pub(super) fn restrict_names(&mut self) -> Result<(), Halt> {
        let wanted = self.route.back.options.http_restrict_req_hdr_names;
        if matches!(wanted, RestrictNames::Default | RestrictNames::Preserve) {
            return Ok(());
        }
        let odd = |name: &[u8]| !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        let names: Vec<Vec<u8>> =
            self.txn.req.fields().filter(|(name, _)| odd(name)).map(|(name, _)| name.to_vec()).collect();
        if !names.is_empty() && wanted == RestrictNames::Reject {
            self.route.back.live.back.counters.mine().denied_req.inc();
            return Err(End::new(Cause::Proxy, Phase::Request, 403).into());
        }
        for name in names {
            self.txn.req.remove(&name);
        }
        Ok(())
    }

    /// `option forwardfor`, `originalto`, `unique-id-header`, `http-send-name-header` come before the server is known.
    pub(super) fn mark_forwarded(&mut self) {
        let (front, back) = (&self.route.front.options, &self.route.back.options);
        add_forwarded(self.txn, [&front.forwardfor, &back.forwardfor], self.txn.client);
        if front.originalto.is_some() || back.originalto.is_some() {
            if self.txn.local == crate::rules::Endpoint::None {
                self.txn.local = self.s.local();
            }
            add_forwarded(self.txn, [&front.originalto, &back.originalto], self.txn.local);
        }
        if let Some(forwarded) = self.route.back.back.as_ref().and_then(|back| back.forwarded.as_ref()) {
            if self.txn.local == crate::rules::Endpoint::None {
                self.txn.local = self.s.local();
            }
            let value = forwarded.value(Ctx { txn: self.txn, env: &self.env() });
            if !value.is_empty() {
                self.txn.req.add(b"forwarded", &value);
            }
        }
    }

    /// `unique-id-format` and `unique-id-header`.
    pub(super) fn make_unique_id(&mut self) {
        let Some(front) = self.route.front.front.as_ref() else { return };
        let Some(format) = front.unique_id_format.as_ref() else { return };
        if self.txn.unique_id.is_none() {
            let mut id = Vec::new();
            format.render(Ctx { txn: self.txn, env: &self.env() }, &mut id);
            self.txn.unique_id = Some(id.into());
        }
        if let (Some(name), Some(id)) = (&front.unique_id_header, &self.txn.unique_id) {
            self.txn.req.add(name, id);
        }
    }
}

/// Adds an address for the server. What the client wrote stays alone only where neither frontend nor backend adds to
/// it; what either excepts is left out; the backend's name for the field counts, if it asks at all.
fn add_forwarded(txn: &mut Txn, asked: [&Option<crate::config::ForwardFor>; 2], end: crate::rules::Endpoint) {
    let asked = || asked.into_iter().flatten();
    let (Some(last), Some(addr)) = (asked().last(), end.inet()) else { return };
    if asked().all(|f| f.if_none) && txn.req.field(&last.header).is_some() {
        return;
    }
    if asked().flat_map(|f| &f.except).any(|net| net.contains(&addr.ip())) {
        return;
    }
    txn.req.add(&last.header, addr.ip().to_string().as_bytes());
}
