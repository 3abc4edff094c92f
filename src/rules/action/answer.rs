//! Answers of the proxy's own: `deny`, `tarpit`, `return`, `auth`.

use crate::lang::Entry;
use crate::rules::kind::RuleSetKind;
use crate::rules::logformat::{LogFormat, LogUse};
use crate::rules::reply::{REPLY_FILES, ReplySpec, is_handled, parse_status};
use crate::rules::txn::Outcome;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::rewrite::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Deny,
    Tarpit,
    Return,
}

#[derive(Debug)]
struct Answer {
    spec: ReplySpec,
    manner: Manner,
}

impl Action for Answer {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let reply = self.spec.render(run.ctx());
        if self.manner != Manner::Return && !run.kind.is_response() {
            run.count_error();
        }
        Step::Done(match self.manner {
            Manner::Deny => Outcome::Final { reply, denied: true },
            Manner::Return => Outcome::Final { reply, denied: false },
            Manner::Tarpit => Outcome::Tarpit { reply },
        })
    }

    fn is_last(&self) -> bool {
        true
    }
}

/// `deny` and `tarpit`: a status alone means the page the proxy has for it.
fn parse_deny(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let manner = if input.name == "tarpit" { Manner::Tarpit } else { Manner::Deny };
    let default = match (manner, input.kind) {
        (Manner::Tarpit, _) => 500,
        (_, RuleSetKind::HttpResponse) => 502,
        _ => 403,
    };
    let rest = input.words.rest();
    let has_status = matches!(input.words.peek(), "status" | "deny_status");
    let ends_behind = |n: usize| rest.get(n).is_none_or(|w| matches!(w.str(), "if" | "unless"));
    if has_status && ends_behind(2) || ends_behind(0) {
        let mut status = default;
        if has_status {
            input.words.skip(1);
            let word = input.words.want("<status_code> as argument")?;
            status = parse_status(word)?;
            if !is_handled(status) {
                let message = format!("status code '{status}' not handled, using default code '{default}'");
                input.ctx.warning(word.span, message);
                status = default;
            }
        }
        return Ok(Box::new(Answer { spec: ReplySpec::default_errors(status), manner }));
    }
    let spec = ReplySpec::parse(input.words, default, input.ctx)?;
    Ok(Box::new(Answer { spec, manner }))
}

fn parse_return(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let spec = ReplySpec::parse(input.words, 200, input.ctx)?;
    Ok(Box::new(Answer { spec, manner: Manner::Return }))
}

/// `auth`: asks for a user and a password.
#[derive(Debug)]
struct Auth {
    realm: Option<Value>,
}

impl Action for Auth {
    fn run(&self, run: &mut Run<'_>) -> Step {
        run.count_error();
        // 407 is for proxies that browsers are told of (`option http-use-proxy-header`, refused), whatever the target.
        let name = &b"www-authenticate"[..];
        let mut reply = ReplySpec::default_errors(401).render(run.ctx());
        reply.fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        let realm = match &self.realm {
            Some(value) => run.render(value),
            None => run.env.backend_name().as_bytes().to_vec(),
        };
        let challenge = [b"Basic realm=\"", &realm[..], b"\""].concat();
        reply.fields.push((name.into(), challenge.into()));
        Step::Done(Outcome::Final { reply, denied: false })
    }

    fn is_last(&self) -> bool {
        true
    }
}

fn parse_auth(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let mut realm = None;
    if input.words.take("realm") {
        let word = input.words.want("a realm")?;
        let text = word.bytes().iter().flat_map(|c| {
            let escape = matches!(c, b'"' | b'\\').then_some(b'\\');
            escape.into_iter().chain([*c])
        });
        let word = crate::lang::Word::new(text.collect(), word.span);
        realm = LogFormat::parse(&word, LogUse::Http, input.ctx).map(Value::new);
    }
    Ok(Box::new(Auth { realm }))
}

const REPLY_ARGS: &str = "[status <code>] [content-type <type>] [default-errorfiles | errorfile <file> | errorfiles <name> | file <file> | lf-file <file> | string <str> | lf-string <fmt>] [hdr <name> <fmt>]*";

pub static ACTIONS: &[ActionKeyword] = &[
    ActionKeyword::new(
        Entry::full(
            "deny",
            REPLY_ARGS,
            "Refuses the message with 403 (502 for responses), another status or an answer of its own.",
            "deny deny_status 429",
            "1.3",
        )
        .naming(REPLY_FILES),
        Sets::HTTP_REQ_RES,
        parse_deny,
    ),
    ActionKeyword::new(
        Entry::full(
            "tarpit",
            REPLY_ARGS,
            "Like deny, after holding the connection for timeout tarpit; 500 unless said otherwise.",
            "tarpit deny_status 429",
            "1.3",
        )
        .naming(REPLY_FILES),
        Sets::HTTP_REQUEST,
        parse_deny,
    ),
    ActionKeyword::new(
        Entry::full(
            "return",
            REPLY_ARGS,
            "Answers at once, with status 200 unless said otherwise.",
            "return status 200 content-type text/plain string ok",
            "2.2",
        )
        .naming(REPLY_FILES),
        Sets::HTTP_REQ_RES,
        parse_return,
    ),
    ActionKeyword::new(
        Entry::full(
            "auth",
            "[realm <realm>]",
            "Answers 401 and asks for Basic authorization.",
            "auth realm private",
            "1.5",
        ),
        Sets::HTTP_REQUEST,
        parse_auth,
    ),
];
