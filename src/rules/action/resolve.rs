//! `do-resolve`: the address of a name, as a variable.

use std::net::IpAddr;
use std::sync::Arc;

use crate::lang::Entry;
use crate::model::notation::Family;
use crate::resolve::Resolvers;
use crate::rules::cast::text;
use crate::rules::expr::Expr;
use crate::rules::sample::Sample;
use crate::rules::txn::{Looking, Outcome, Wait};
use crate::rules::vars::VarId;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};

/// Octets of a name at most.
const NAME: usize = 255;

#[derive(Debug)]
struct DoResolve {
    id: VarId,
    resolvers: Arc<Resolvers>,
    prefer: Family,
    expr: Expr,
}

impl Action for DoResolve {
    fn run(&self, run: &mut Run<'_>) -> Step {
        // It is run again when there is an answer.
        let rule = std::ptr::from_ref(self) as usize;
        if let Looking::Done { rule: of, found } = std::mem::take(&mut run.txn.looking)
            && of == rule
        {
            match found {
                Some(IpAddr::V4(ip)) => run.txn.set_var(self.id, Some(Sample::Ipv4(ip))),
                Some(IpAddr::V6(ip)) => run.txn.set_var(self.id, Some(Sample::Ipv6(ip))),
                None => {}
            }
            return Step::Next;
        }
        let Some(name) = self.name(run) else { return Step::Next };
        let (resolvers, prefer) = (self.resolvers.clone(), self.prefer);
        run.txn.looking = Looking::For { rule, resolvers, name, prefer };
        run.txn.wait = Wait::Name;
        Step::Done(Outcome::Wait)
    }
}

impl DoResolve {
    fn name(&self, run: &Run<'_>) -> Option<Box<str>> {
        let value = text(self.expr.eval(run.ctx())?);
        let name = std::str::from_utf8(&value).ok()?;
        (!name.is_empty() && name.len() <= NAME).then(|| name.into())
    }
}

fn parse(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let inside = input.inside.unwrap_or_default();
    let mut parts = inside.split(',').map(str::trim);
    let (name, section) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let prefer = match (parts.next(), parts.next()) {
        (None | Some("ipv6"), None) => Some(Family::V6),
        (Some("ipv4"), None) => Some(Family::V4),
        _ => None,
    };
    let Some(prefer) = prefer.filter(|_| !name.is_empty() && !section.is_empty()) else {
        let message = format!(
            "Can't parse 'do-resolve({inside})'. Expects 'do-resolve(<varname>,<resolvers>[,<options>]) <expr>'. \
             Available options are 'ipv4' and 'ipv6'"
        );
        return Err((input.words.start(), message));
    };
    let Some(resolvers) = input.ctx.resolvers.iter().find(|known| *known.spec.name == *section).cloned()
    else {
        let message = format!("Can't find resolvers section '{section}' for do-resolve action");
        return Err((input.words.start(), message));
    };
    let id = match input.ctx.names.var(name) {
        Ok(id) => id,
        Err(e) => return Err((input.words.start(), e)),
    };
    let (words, at) = input.words.slice();
    let end =
        words[at..].iter().position(|w| matches!(w.str(), "if" | "unless")).map_or(words.len(), |n| at + n);
    if at == end {
        return input.words.fail("expects an expression");
    }
    let Some((expr, used)) = Expr::parse(&words[..end], at, input.ctx) else {
        return Err((words[at].span, "the expression cannot be used".to_owned()));
    };
    input.words.skip(used);
    Ok(Box::new(DoResolve { id, resolvers, prefer, expr }))
}

pub const ACTIONS: &[ActionKeyword] = &[ActionKeyword::new(
    Entry::full(
        "do-resolve",
        "(<var>,<resolvers>[,ipv4|ipv6]) <expr>",
        "Asks name servers for the address of a name and keeps it in a variable.",
        "do-resolve(txn.ip,dns,ipv4) req.hdr(host),host_only",
        "2.0",
    ),
    Sets::HTTP_REQUEST.union(Sets::TCP_CONTENT),
    parse,
)];
