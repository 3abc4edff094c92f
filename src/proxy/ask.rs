//! Asks a server what a rule wants to know before the request goes on (`auth-request`): a stream beside the client's own,
//! which takes the same way to a server and whose answer goes to the rule.

use std::rc::Rc;

use crate::http::{BodyLen, Head};
use crate::rules::Txn;
use crate::rules::ask::{Asking, Question};
use crate::rules::txn::Wait;
use crate::rules::witness::{self, Event};

use super::access;
use super::end::{BAD_GATEWAY, Cause, End, Halt, Phase};
use super::route::Attempt;
use super::stream::Stream;
use super::transfer::{Patience, Side};

impl Stream<'_> {
    /// Asks the question of the transaction, and leaves the answer there for the rule.
    pub(super) async fn consult(&mut self) -> Result<(), Halt> {
        self.txn.wait = Wait::Data;
        let Asking::For { rule, question } = std::mem::take(&mut self.txn.asking) else { return Ok(()) };
        let mut txn = self.s.worker.take_txn();
        self.put(&question, &mut txn);
        let asked = self.inquire(&question, &mut txn).await;
        let answer = match asked {
            Ok(()) => Some(Box::new(std::mem::take(&mut txn.res))),
            Err(end) if question.takes_failure && end.cause != Cause::ClientAbort => None,
            Err(end) => return Err(end.into()),
        };
        self.s.worker.keep_txn(txn);
        self.txn.asking = Asking::Done { rule, answer };
        // Neither side has been silent: it was not its turn.
        let now = self.now();
        self.patience.renew(Side::Client, now);
        self.patience.renew(Side::Server, now);
        Ok(())
    }

    /// The question as a transaction of the same client.
    fn put(&self, question: &Question, txn: &mut Txn) {
        let own = &*self.txn;
        txn.req.ask_about(&own.req, &question.method, &question.target);
        txn.has_req = true;
        txn.request_no = own.request_no;
        (txn.client, txn.local) = (own.client, own.local);
        (txn.conn_client, txn.conn_local) = (own.conn_client, own.conn_local);
        txn.session_requests = own.session_requests;
        (txn.accept_date_us, txn.request_date_us) = (own.accept_date_us, self.s.worker.date_us());
        txn.timers.accepted = own.timers.accepted;
        (txn.timers.request_start, txn.timers.request_done) = (self.now(), self.now());
        txn.vars = own.vars.clone();
    }

    /// Asks, and has the answer's head in `txn`. What is not an answer is told as the end of a transaction.
    async fn inquire(&mut self, question: &Question, txn: &mut Txn) -> Result<(), End> {
        let no_server = End::new(Cause::ServerAbort, Phase::Connect, 503);
        let route = self.route.aside(&question.backend).ok_or(no_server)?;
        let timeouts = &route.back.timeouts;
        let patience = Rc::new(Patience::new(self.now(), timeouts.client, timeouts.server));
        let mut aside = Stream::on(route, self.s, self.down, txn, &patience);
        let asked = aside.hear_answer().await;
        aside.close(asked.is_ok());
        asked.map_err(|halt| match halt {
            Halt::End(end) => end,
            // Only a server's `redir` makes a reply, and only a connection that had ended unseen drops a request.
            _ => BAD_GATEWAY,
        })
    }

    async fn hear_answer(&mut self) -> Result<(), Halt> {
        self.enter_backend();
        self.mark_forwarded();
        let Some(back) = self.route.back.back.as_ref() else { return Err(BAD_GATEWAY.into()) };
        let mut attempt = Attempt::new(back, self.txn);
        self.reach(back, &mut attempt).await?;
        self.txn.timers.response = self.now();
        if self.txn.res.status < 200 {
            return Err(BAD_GATEWAY.into());
        }
        // Its body says nothing, but has to be out of the way before the connection carries another request.
        if matches!(self.txn.res.body, BodyLen::Length(_) | BodyLen::Chunked) {
            self.await_response_body(0, 0).await?;
        }
        let (extent, _) = self.note_body()?;
        if let Some(hold) = &mut self.hold {
            hold.keep &= extent.is_done() && !self.s.worker.rehearses.get();
        }
        Ok(())
    }

    /// Gives the connection back, and counts what was asked in the backend and the server.
    fn close(&mut self, is_answered: bool) {
        let res: &Head = &self.txn.res;
        self.txn.status = if is_answered { res.status } else { 0 };
        self.txn.bytes_out += if is_answered { res.buf.written().len() as u64 } else { 0 };
        self.txn.timers.closed = self.now();
        witness::note(|| Event::Asked {
            backend: self.route.back.name.to_string(),
            server: self
                .hold
                .as_ref()
                .map(|hold| hold.slot.server().spec.name.to_string())
                .unwrap_or_default(),
            status: self.txn.status,
        });
        access::count_back(self, false);
        self.route.leave();
        if let Some(mut hold) = self.hold.take() {
            hold.keep &= is_answered;
            hold.release(self.s);
        }
    }
}
