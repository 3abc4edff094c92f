//! `auth-request`: another service says whether a request goes on, and what is to be known of who asks.

use crate::http::token::{same, token_end};
use crate::http::{FieldKind, Head, Method};
use crate::lang::{Entry, Word};
use crate::rules::ask::{Asking, Question};
use crate::rules::build::BuildCtx;
use crate::rules::logformat::{LogFormat, LogUse};
use crate::rules::named::Wanted;
use crate::rules::sample::Sample;
use crate::rules::txn::{Outcome, Reply, ReplyBody, ReplyField, Txn, Wait};
use crate::rules::vars::VarId;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::rewrite::Value;

/// What a refusal tells the client besides its status, whatever else is passed on.
const TOLD: [&[u8]; 4] = [b"www-authenticate", b"proxy-authenticate", b"location", b"set-cookie"];
/// Statuses of answers that let the request go on.
const GRANTED: std::ops::RangeInclusive<u16> = 200..=299;

/// A field's name, or how names begin (`x-auth-*`).
#[derive(Debug)]
struct Name {
    text: Box<[u8]>,
    is_beginning: bool,
}

impl Name {
    fn matches(&self, name: &[u8]) -> bool {
        match self.is_beginning {
            true => name.get(..self.text.len()).is_some_and(|start| same(start, &self.text)),
            false => same(name, &self.text),
        }
    }
}

/// The variables that tell what was answered.
#[derive(Debug)]
struct Told {
    successful: VarId,
    code: VarId,
    location: VarId,
}

#[derive(Debug)]
struct AuthRequest {
    backend: Box<str>,
    method: Box<[u8]>,
    path: Value,
    /// Fields of the answer that go into the request; those of the client's own never do.
    copied: Vec<Name>,
    /// Fields of a refusal that go to the client besides [`TOLD`].
    passed: Vec<Name>,
    /// The request goes on whatever is answered.
    goes_on: bool,
    told: Told,
}

impl Action for AuthRequest {
    fn run(&self, run: &mut Run<'_>) -> Step {
        // It is run again when there is an answer.
        let rule = std::ptr::from_ref(self) as usize;
        match std::mem::take(&mut run.txn.asking) {
            Asking::Done { rule: of, answer } if of == rule => self.judge(answer.as_deref(), run),
            _ => self.ask(rule, run),
        }
    }
}

impl AuthRequest {
    fn ask(&self, rule: usize, run: &mut Run<'_>) -> Step {
        let mut target = run.render(&self.path);
        if target.first() != Some(&b'/') {
            target.insert(0, b'/');
        }
        let question = Question {
            backend: self.backend.clone(),
            method: self.method.clone(),
            target,
            takes_failure: self.goes_on,
        };
        run.txn.asking = Asking::For { rule, question: Box::new(question) };
        run.txn.wait = Wait::Answer;
        Step::Done(Outcome::Wait)
    }

    fn judge(&self, answer: Option<&Head>, run: &mut Run<'_>) -> Step {
        let granted = answer.filter(|head| GRANTED.contains(&head.status));
        self.tell(answer, granted.is_some(), run.txn);
        match (granted, answer) {
            (Some(head), _) => self.copy(Some(head), run),
            (None, Some(head)) if !self.goes_on => {
                let reply = self.refusal(head, run);
                Step::Done(Outcome::Final { reply, denied: true })
            }
            (None, _) => self.copy(None, run),
        }
    }

    fn tell(&self, answer: Option<&Head>, granted: bool, txn: &mut Txn) {
        let code = answer.map(|head| Sample::Int(i64::from(head.status)));
        let location = answer.and_then(|head| head.field(b"location"));
        txn.set_var(self.told.successful, Some(Sample::Bool(granted)));
        txn.set_var(self.told.code, code);
        txn.set_var(self.told.location, location.map(|value| Sample::Str(value.to_vec().into())));
    }

    /// Takes the client's own fields of these names out of the request, and puts the answer's in.
    fn copy(&self, answer: Option<&Head>, run: &mut Run<'_>) -> Step {
        if self.copied.is_empty() {
            return Step::Next;
        }
        let is_copied = |name: &[u8]| self.copied.iter().any(|copied| copied.matches(name));
        let (mut at, mut won) = (0, 0);
        let req = &mut run.txn.req;
        while let Some(field) = req.fields.get(at) {
            if is_copied(req.bytes(field.name)) {
                won += line_len(field.name.len(), field.value.len());
                req.remove_at(at);
            } else {
                at += 1;
            }
        }
        run.grow(-won);
        let Some(answer) = answer else { return Step::Next };
        let fields = || answer.fields().filter(move |(name, _)| is_copied(name) && may_be_copied(name));
        if !run.grow(fields().map(|(name, value)| line_len(name.len(), value.len())).sum()) {
            return Step::NoRoom;
        }
        for (name, value) in fields() {
            run.txn.req.add(&name.to_ascii_lowercase(), value);
        }
        Step::Next
    }

    /// What the client is told: the answer's status and some of its fields, with the proxy's own page for that status.
    fn refusal(&self, answer: &Head, run: &Run<'_>) -> Reply {
        let status = if (300..=599).contains(&answer.status) { answer.status } else { 502 };
        let page = run.env.error_page(status, run.txn).filter(|page| !matches!(page.body, ReplyBody::Raw(_)));
        let mut reply = page.unwrap_or(Reply { status, ..Reply::default() });
        let is_told = |name: &[u8]| {
            let told = TOLD.iter().any(|told| same(name, told));
            (told || self.passed.iter().any(|passed| passed.matches(name))) && may_be_copied(name)
        };
        let fields = answer.fields().filter(|(name, _)| is_told(name));
        let lower = |(name, value): (&[u8], &[u8])| -> ReplyField {
            (name.to_ascii_lowercase().into(), value.into())
        };
        reply.fields.extend(fields.map(lower));
        reply
    }
}

fn line_len(name: usize, value: usize) -> i64 {
    (name + value + 4) as i64
}

/// Fields of one hop, and those that say how long a body is, are nobody else's.
fn may_be_copied(name: &[u8]) -> bool {
    matches!(FieldKind::of(name), FieldKind::Other | FieldKind::Host)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && token_end(text, 0) == text.len()
}

/// `a,b,x-*`.
fn names(word: &Word) -> Result<Vec<Name>, Failed> {
    let name = |text: &str| {
        let (bare, is_beginning) = match text.strip_suffix('*') {
            Some(bare) => (bare, true),
            None => (text, false),
        };
        if !is_token(bare.as_bytes()) {
            return Err((word.span, format!("'{text}' is not the name of a header")));
        }
        if !is_beginning && !may_be_copied(bare.as_bytes()) {
            return Err((word.span, format!("'{text}' belongs to one connection and cannot be copied")));
        }
        Ok(Name { text: bare.to_ascii_lowercase().into_bytes().into(), is_beginning })
    };
    word.str().split(',').map(name).collect()
}

fn told(ctx: &mut BuildCtx<'_>) -> Result<Told, String> {
    let mut var = |name: &str| ctx.names.var(name);
    Ok(Told {
        successful: var("txn.auth_response_successful")?,
        code: var("txn.auth_response_code")?,
        location: var("txn.auth_response_location")?,
    })
}

fn method(word: &Word) -> Result<Box<[u8]>, Failed> {
    // CONNECT opens a tunnel.
    if !is_token(word.bytes()) || Method::of(word.bytes()) == Method::Connect {
        return Err((word.span, format!("'{}' is not a method to ask with", word.str())));
    }
    Ok(word.bytes().into())
}

fn parse(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let backend = input.words.want("<backend> and <path> as arguments")?;
    let path = input.words.want("<backend> and <path> as arguments")?;
    if !path.bytes().starts_with(b"/") && !path.bytes().starts_with(b"%") {
        return Err((path.span, format!("'{}' is no path: it begins with '/'", path.str())));
    }
    let format = LogFormat::parse(path, LogUse::Http, input.ctx).unwrap_or_default();
    input.ctx.references.push((backend.span, backend.str().into(), Wanted::Asked));
    let at = input.words.place();
    let mut action = AuthRequest {
        backend: backend.str().into(),
        method: b"GET"[..].into(),
        path: Value::new(format),
        copied: Vec::new(),
        passed: Vec::new(),
        goes_on: false,
        told: told(input.ctx).map_err(|message| (at, message))?,
    };
    while !input.words.at_end() {
        let words = &mut *input.words;
        if words.take("method") {
            action.method = method(words.want("<name> behind 'method'")?)?;
        } else if words.take("copy-headers") {
            action.copied.extend(names(words.want("<name>[,<name>]* behind 'copy-headers'")?)?);
        } else if words.take("pass-headers") {
            action.passed.extend(names(words.want("<name>[,<name>]* behind 'pass-headers'")?)?);
        } else if words.take("continue") {
            action.goes_on = true;
        } else {
            let message = format!(
                "unexpected '{}': expects 'method', 'copy-headers', 'pass-headers', 'continue' or a condition",
                words.peek()
            );
            return words.fail(message);
        }
    }
    Ok(Box::new(action))
}

pub const ACTIONS: &[ActionKeyword] = &[ActionKeyword::new(
    Entry::full(
        "auth-request",
        "<backend> <path> [method <name>] [copy-headers <name>[,<name>]*] [pass-headers <name>[,<name>]*] [continue]",
        "Asks a server of a backend, with the request's headers and without its body, whether the request goes on: it does \
         when the answer is 2xx, with the answer's headers that 'copy-headers' names (a name may end in '*') in place of \
         the client's. Another answer is the client's: its status, WWW-Authenticate, Location, Set-Cookie and what \
         'pass-headers' names; no answer is 502, 503 or 504. The path is a format. The rules of that backend are not run. \
         Told in txn.auth_response_successful, txn.auth_response_code and txn.auth_response_location; with 'continue' the \
         request goes on in any case, for rules behind it to decide.",
        "auth-request app /verify copy-headers x-user,x-groups",
        "isobar",
    ),
    Sets::HTTP_REQUEST,
    parse,
)];
