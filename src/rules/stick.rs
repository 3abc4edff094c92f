//! `stick` lines: which server a request went to before, and which one it is to go to again.

use crate::lang::{Span, Word};
use crate::stick::{Key, Table, TableCell, Use};

use super::acl::Acls;
use super::build::{BuildCtx, Dir};
use super::condition::Condition;
use super::expr::{Expr, with_dir};
use super::track::{fits, key_of};
use super::txn::Ctx;

/// One line.
#[derive(Debug)]
pub struct StickRule {
    /// It looks for a server.
    pub matches: bool,
    /// It stores the server.
    pub stores: bool,
    /// Its key comes from the response.
    pub of_response: bool,
    expr: Expr,
    table: TableCell,
    condition: Option<Condition>,
}

impl StickRule {
    /// Reads what follows `stick`; `at` is that word's place.
    pub fn parse(words: &[Word], at: Span, acls: &Acls, ctx: &mut BuildCtx<'_>) -> Option<StickRule> {
        let what = words.first().map_or("", Word::str);
        let (matches, stores, of_response) = match what {
            "match" => (true, false, false),
            "on" => (true, true, false),
            "store-request" => (false, true, false),
            "store-response" => (false, true, true),
            other => {
                let message = format!(
                    "'stick' expects 'match', 'on', 'store-request' or 'store-response', not '{other}'."
                );
                ctx.error(words.first().map_or(at, |word| word.span), message);
                return None;
            }
        };
        let dir = if of_response { Dir::Response } else { Dir::Request };
        let what = format!("stick {what}");
        if words.len() < 2 {
            ctx.error(at, format!("'{what}' expects a pattern."));
            return None;
        }
        let is_end = |word: &Word| matches!(word.str(), "if" | "unless");
        let end = words.iter().position(is_end).unwrap_or(words.len());
        let (expr, used) = with_dir(ctx, dir, |ctx| Expr::parse(&words[..end], 1, ctx))?;
        let mut next = 1 + used;
        let (mut table, mut place) = (ctx.table_here, words[1].span);
        if words.get(next).is_some_and(|word| word.str() == "table") {
            let Some(word) = words.get(next + 1).filter(|_| next + 1 < end) else {
                ctx.error(words[next].span, format!("'{what}': 'table' expects the name of a table."));
                return None;
            };
            (table, place) = (word.str(), word.span);
            next += 2;
        }
        if next < end {
            let message =
                format!("'{what}' expects 'table', 'if' or 'unless' but found '{}'.", words[next].str());
            ctx.error(words[next].span, message);
            return None;
        }
        let mut condition = None;
        if end < words.len() {
            condition = Some(Condition::parse(&words[end..], acls, ctx)?);
        }
        let out = expr.out();
        let table = ctx.tables.mention(Use {
            at: place,
            table: table.into(),
            from: ctx.section.into(),
            what: what.into(),
            fits: Some(Box::new(move |kind| fits(out, kind))),
            stores_server: true,
        });
        Some(StickRule { matches, stores, of_response, expr, table, condition })
    }

    pub fn table(&self) -> Option<&std::sync::Arc<Table>> {
        self.table.get()
    }

    /// The key of this request or response, if the rule applies to it.
    pub fn key(&self, table: &Table, ctx: Ctx<'_>) -> Option<Key> {
        if self.condition.as_ref().is_some_and(|condition| !condition.eval(ctx)) {
            return None;
        }
        key_of(table.kind(), self.expr.eval(ctx)?)
    }
}
