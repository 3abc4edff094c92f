//! What the outcome of a rule set means for a stream: the one place that interprets it.

use crate::conn::Link;
use crate::rules::Outcome;

use super::end::{Cause, End, Halt, Phase};
use super::route::Route;

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
    /// It is to be run again from where it stopped, when there is more to see.
    Wait,
}

/// Carries out what the rules decided: counts a denial, ends the transaction or lets it go on.
pub fn interpret(outcome: Outcome, stage: Stage, route: &Route<'_>, client: &Link) -> Result<Step, Halt> {
    let phase = if stage == Stage::Response { Phase::Headers } else { Phase::Request };
    match outcome {
        Outcome::Continue | Outcome::Stop => Ok(Step::Done),
        Outcome::Wait => Ok(Step::Wait),
        Outcome::Final { reply, denied } => {
            if denied {
                count_denial(stage, route);
            } else if stage == Stage::Front {
                route.front.live.front.counters.mine().intercepted.inc();
            }
            Err(Halt::Reply { reply: Box::new(reply), denied })
        }
        Outcome::Tarpit { reply } => {
            count_denial(stage, route);
            Err(Halt::Tarpit(Box::new(reply)))
        }
        Outcome::Service(applet) => Err(Halt::Service(applet)),
        Outcome::Close { silent } => {
            count_denial(stage, route);
            if silent {
                client.set_no_linger();
            }
            Err(Halt::Drop(End::new(Cause::Proxy, phase, 0)))
        }
        Outcome::Error => {
            match stage {
                Stage::Back | Stage::Response => route.back.live.back.counters.mine().internal_errors.inc(),
                _ => route.front.live.front.counters.mine().internal_errors.inc(),
            }
            Err(Halt::End(End::new(Cause::Internal, phase, 500)))
        }
    }
}

/// What a backend denies counts in the frontend as well.
fn count_denial(stage: Stage, route: &Route<'_>) {
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
