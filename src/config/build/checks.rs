//! How servers are checked: `option httpchk` and its kin, `http-check`, `tcp-check`, `external-check`.

use std::sync::Arc;

use crate::check::CheckSpec;

use super::args::Args;
use super::draft::{Cx, Draft};
use super::keyword::Scope;

/// `option httpchk`, `option tcp-check` and so on: the latest one counts.
pub fn method<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    scope.px.set.check.method = Some(args.from(1));
}

/// `http-check ...` and `tcp-check ...` lines.
pub fn rule<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let check = &mut scope.px.set.check;
    // Rules of a defaults section hold until the section has its own.
    if std::mem::take(&mut check.inherited_rules) {
        check.rules.clear();
    }
    check.rules.push(args);
}

/// `external-check command <path>`, `external-check path <path>`.
pub fn external<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !args.has(2) {
        let message = format!("'external-check {}' expects an argument.", args.str(1));
        return scope.alert(args.span, message);
    }
    match args.str(1) {
        "command" => scope.px.set.check.external_command = Some(args.str(2)),
        "path" => scope.px.set.check.external_path = Some(args.str(2)),
        other => {
            let message = format!("'external-check' only supports 'command' and 'path', got '{other}'.");
            scope.alert(args.at(1), message);
        }
    }
}

/// What to check of every server that asks for it.
pub fn specs(_cx: &mut Cx<'_>, draft: &Draft<'_>) -> Vec<(Arc<str>, CheckSpec)> {
    let checked = draft.servers.iter().filter(|s| s.set.check);
    checked.map(|s| (s.name.clone(), CheckSpec::default())).collect()
}
