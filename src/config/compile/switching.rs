//! Which backend and which server: `use_backend`, `default_backend`, `use-server`.

use super::draft::Step;
use super::keyword::Scope;
use crate::lang::args::Args;

/// `use_backend <backend> [{ if | unless } <cond>]`.
pub fn use_backend<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !args.has(1) {
        return scope.alert(args.span, "'use_backend' expects a backend name.");
    }
    if args.has(2) && !matches!(args.str(2), "if" | "unless") {
        let message = format!(
            "unexpected keyword '{}' after switching rule, only 'if' and 'unless' are allowed.",
            args.str(2)
        );
        return scope.alert(args.at(2), message);
    }
    scope.px.steps.push(Step::UseBackend(args));
}

/// `force-be-switch { if | unless } <cond>`.
pub fn force_be_switch<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if needs_condition(scope, args, 1, "force-be-switch") {
        scope.px.steps.push(Step::ForceSwitch(args));
    }
}

/// `be-unpublished`.
pub fn unpublished<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !scope.too_many(args, 0, 0) {
        scope.px.unpublished = true;
    }
}

/// `default_backend <backend>`.
pub fn default_backend<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !args.has(1) {
        return scope.alert(args.span, "'default_backend' expects a backend name.");
    }
    if !scope.too_many(args, 0, 1) {
        scope.px.set.default_backend = args.words.get(1);
    }
}

/// `use-server <server> { if | unless } <cond>`.
pub fn use_server<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !args.has(1) {
        return scope.alert(args.span, "'use-server' expects a server name.");
    }
    if needs_condition(scope, args, 2, "use-server") {
        scope.px.steps.push(Step::UseServer(args));
    }
}

/// True when word `i` starts a condition; an alert otherwise.
pub fn needs_condition<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>, i: usize, what: &str) -> bool {
    let good = matches!(args.str(i), "if" | "unless");
    if !good {
        let message = format!("'{what}' requires either 'if' or 'unless' followed by a condition.");
        scope.alert(args.at(i), message);
    }
    good
}
