//! What the outcome of a rule set means for a stream: the one place that interprets it.

use crate::model::Server;
use crate::rules::{Outcome, Txn};

use super::end::{Cause, End, Halt, Phase};
use super::route::Route;
use super::session::Session;

/// The status of a transaction whose rule found no room for its edit.
pub const RULE_FAILED: u16 = 500;

/// Which rules were run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `tcp-request connection`.
    Connection,
    /// `tcp-request session`.
    Session,
    /// `tcp-request content` and `http-request` of the frontend.
    Front,
    /// The same of the backend.
    Back,
    /// `tcp-response content` and `http-response`.
    Response,
}

/// How a rule set goes on when it does not end the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    /// The connection is to speak HTTP, if it does not yet; `h2`: HTTP/2.
    Switch {
        h2: bool,
    },
    /// It is to be run again from where it stopped, when there is more to see.
    Wait,
}

/// Carries out what the rules decided: counts a denial, ends the transaction or lets it go on.
pub fn interpret(outcome: Outcome, stage: Stage, route: &Route<'_>, s: &Session) -> Result<Step, Halt> {
    let phase = if stage == Stage::Response { Phase::Headers } else { Phase::Request };
    match outcome {
        Outcome::Continue | Outcome::Stop => Ok(Step::Done),
        Outcome::SwitchMode { h2 } => Ok(Step::Switch { h2 }),
        Outcome::Wait => Ok(Step::Wait),
        Outcome::Final { reply, denied } => {
            if denied {
                count_denial(stage, route, s);
            } else if stage == Stage::Front {
                route.front.live.front.counters.mine().intercepted.inc();
            }
            Err(Halt::Reply { reply: Box::new(reply), denied })
        }
        Outcome::Tarpit { reply } => {
            count_denial(stage, route, s);
            Err(Halt::Tarpit(Box::new(reply)))
        }
        Outcome::Service(applet) => Err(Halt::Service(applet)),
        Outcome::Close { drop } => {
            count_denial(stage, route, s);
            if let Some(drop) = drop {
                s.forget(drop);
            }
            Err(Halt::Drop(End::new(Cause::Proxy, phase, 0)))
        }
        Outcome::Error => {
            route.front.live.front.counters.mine().internal_errors.inc();
            if matches!(stage, Stage::Back | Stage::Response) {
                route.back.live.back.counters.mine().internal_errors.inc();
            }
            if let Some(listener) = s.counters() {
                listener.internal_errors.inc();
            }
            Err(Halt::End(End::new(Cause::Proxy, phase, RULE_FAILED)))
        }
    }
}

/// Counts the edits of the last rules that found no room: in the frontend, and in what the stream has by then.
pub fn count_rewrites(
    txn: &mut Txn,
    stage: Stage,
    (route, s): (&Route<'_>, &Session),
    server: Option<&Server>,
) {
    let failed = u64::from(std::mem::take(&mut txn.failed_rewrites));
    if failed == 0 {
        return;
    }
    route.front.live.front.counters.mine().failed_rewrites.add(failed);
    if stage != Stage::Front && route.back_id.is_some() {
        route.back.live.back.counters.mine().failed_rewrites.add(failed);
    }
    if let Some(listener) = s.counters() {
        listener.failed_rewrites.add(failed);
    }
    if let Some(server) = server {
        server.live.counters.mine().failed_rewrites.add(failed);
    }
}

/// What a backend denies counts in the frontend as well.
pub fn count_denial(stage: Stage, route: &Route<'_>, s: &Session) {
    if let Some(listener) = s.counters() {
        match stage {
            Stage::Connection => listener.denied_conn.inc(),
            Stage::Session => listener.denied_sess.inc(),
            Stage::Front | Stage::Back => listener.denied_req.inc(),
            Stage::Response => listener.denied_resp.inc(),
        }
    }
    let (front, back) = (route.front.live.front.counters.mine(), route.back.live.back.counters.mine());
    match stage {
        Stage::Connection => front.denied_conn.inc(),
        Stage::Session => front.denied_sess.inc(),
        Stage::Front => front.denied_req.inc(),
        Stage::Back => {
            front.denied_req.inc();
            back.denied_req.inc();
        }
        Stage::Response => {
            front.denied_resp.inc();
            back.denied_resp.inc();
        }
    }
}
