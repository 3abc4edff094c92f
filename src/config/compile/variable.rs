//! `set-var` and `set-var-fmt` of `global`: values that are known before there is any traffic.

use std::hash::{BuildHasher, RandomState};

use crate::base::Nanos;
use crate::base::clock;
use crate::lang::{Diagnostics, Span, Word};
use crate::model::{Caps, Mode, ProxyLive};
use crate::rules::{
    BuildCtx, Captures, Ctx, Env, Expr, HttpErrors, LogFormat, LogUse, Sample, ServerState, Store, Txn, VarId,
};

use super::draft::Cx;
use super::rule::build_ctx;

/// The variables in file order.
pub fn proc_vars(cx: &mut Cx<'_>, http_errors: &HttpErrors) -> Vec<(VarId, Sample<'static>)> {
    let mut list = Vec::new();
    let (mut captures, txn) = (Captures::default(), Txn::default());
    let caps = Caps { front: true, back: true };
    for args in std::mem::take(&mut cx.proc_vars) {
        let mut ctx = build_ctx(cx, "global section", caps, Mode::Http, &mut captures, http_errors);
        let id = match ctx.names.var(args.str(1)) {
            Ok(id) => id,
            Err(e) => {
                ctx.diags.alert(args.at(1), format!("'{}' : {e}", args.str(0)));
                continue;
            }
        };
        let now = Ctx { txn: &txn, env: &Nowhere };
        let value = if args.str(0) == "set-var" {
            Expr::parse(args.words, 2, &mut ctx).and_then(|(expr, _)| Some(expr.eval(now)?.into_owned()))
        } else {
            args.words.get(2).and_then(|w| LogFormat::parse(w, LogUse::Text, &mut ctx)).map(|format| {
                let mut text = Vec::new();
                format.render(now, &mut text);
                Sample::Str(text.into())
            })
        };
        // Later lines see it, and the last one for a name counts.
        if let Some(value) = value {
            txn.pending.push(Store::Var(id), Some(value.clone()));
            list.retain(|(known, _): &(VarId, _)| *known != id);
            list.push((id, value));
        }
    }
    list
}

/// The value of an expression or a format at run time (`set var`); `None` for one that finds nothing.
pub fn evaluate(text: &str, is_format: bool) -> Result<Option<Sample<'static>>, String> {
    let mut diags = Diagnostics::default();
    let word = Word::new(text.as_bytes().to_vec(), Span::default());
    let txn = Txn::default();
    let now = Ctx { txn: &txn, env: &Nowhere };
    let value = BuildCtx::with_nothing(&mut diags, |ctx| {
        if is_format {
            let format = LogFormat::parse(&word, LogUse::Text, ctx)?;
            let mut text = Vec::new();
            format.render(now, &mut text);
            return Some(Sample::Str(text.into()));
        }
        Expr::parse(&[word], 0, ctx)?.0.eval(now).map(Sample::into_owned)
    });
    match diags.list.into_iter().next() {
        Some(first) => Err(first.message),
        None => Ok(value),
    }
}

/// An expression evaluated outside of any proxy.
struct Nowhere;

impl Env for Nowhere {
    fn frontend_name(&self) -> &str {
        ""
    }

    fn backend_name(&self) -> &str {
        ""
    }

    fn server_name(&self) -> Option<&str> {
        None
    }

    fn listener_name(&self) -> &str {
        ""
    }

    fn ids(&self) -> (u32, u32, u32, u32) {
        (0, 0, 0, 0)
    }

    fn proxy(&self, _: &str) -> Option<&ProxyLive> {
        None
    }

    fn usable_servers(&self, _: &str) -> Option<u32> {
        None
    }

    fn server(&self, _: &str, _: &str) -> Option<ServerState> {
        None
    }

    fn now_ns(&self) -> Nanos {
        clock::now_ns()
    }

    fn date_us(&self) -> u64 {
        clock::wall().as_micros() as u64
    }

    fn hostname(&self) -> &str {
        ""
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn random(&self) -> u64 {
        // Keys of a new hasher are random.
        RandomState::new().hash_one(())
    }

    fn connections(&self) -> u32 {
        0
    }

    fn error_page(&self, _: u16, _: &Txn) -> Option<crate::rules::Reply> {
        None
    }
}
