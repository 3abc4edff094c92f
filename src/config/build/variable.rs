//! `set-var` and `set-var-fmt` of `global`: values that are known before there is any traffic.

use crate::base::Nanos;
use crate::base::clock;
use crate::model::{Caps, Mode, ProxyLive};
use crate::rules::{Captures, Ctx, Env, Expr, HttpErrors, LogFormat, LogUse, Sample, Txn, VarId};

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
        list.extend(value.map(|value| (id, value)));
    }
    list
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

    fn server(&self, _: &str, _: &str) -> Option<(bool, u32)> {
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
        0
    }

    fn connections(&self) -> u32 {
        0
    }

    fn error_page(&self, _: u16) -> Option<std::sync::Arc<crate::rules::ReplySpec>> {
        None
    }
}
