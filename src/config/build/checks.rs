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

/// What to check of every server that asks for it.
pub fn specs(_cx: &mut Cx<'_>, draft: &Draft<'_>) -> Vec<(Arc<str>, CheckSpec)> {
    let checked = draft.servers.iter().filter(|s| s.set.check);
    checked.map(|s| (s.name.clone(), CheckSpec::default())).collect()
}
