//! `balance`, `hash-type` and their companions: read by the `balance` room.

use crate::balance::{Method, Spec, parse_affinity, parse_balance, parse_balance_factor, parse_hash_type};

use super::keyword::Scope;
use crate::lang::args::Args;

/// Hashes a part of a request.
pub fn needs_http(spec: &Spec) -> bool {
    matches!(spec.method, Method::Uri { .. } | Method::UrlParam { .. } | Method::Header { .. })
}

fn words<'a>(args: Args<'a>) -> Vec<&'a str> {
    (1..args.words.len()).map(|i| args.str(i)).collect()
}

fn take<'a, T>(scope: &mut Scope<'_, 'a>, args: Args<'a>, result: Result<T, String>) -> Option<T> {
    result
        .map_err(|message| {
            let at = scope.cx.blamed(args.at(1), &message);
            scope.alert(at, message);
        })
        .ok()
}

/// `balance <algorithm> [arguments]`.
pub fn balance_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let result = parse_balance(&words(args)).map_err(|e| format!("balance {e}"));
    if let Some(method) = take(scope, args, result) {
        scope.px.set.balance.method = method;
        scope.px.set.balance_at = Some(args.at(args.words.len() - 1));
    }
}

/// `hash-type <method> [<function> [avalanche]]`.
pub fn hash_type<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if let Some(hash) = take(scope, args, parse_hash_type(&words(args))) {
        scope.px.set.balance.hash = hash;
    }
}

/// `hash-balance-factor <factor>`.
pub fn balance_factor<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if let Some(factor) = take(scope, args, parse_balance_factor(args.str(1))) {
        scope.px.set.balance.balance_factor = factor;
    }
}

/// `hash-preserve-affinity { always | maxconn | maxqueue }`.
pub fn preserve_affinity<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if let Some(affinity) = take(scope, args, parse_affinity(args.str(1))) {
        scope.px.set.balance.affinity = affinity;
    }
}
