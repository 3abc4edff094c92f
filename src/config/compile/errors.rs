//! `errorfile`, `errorloc*`, `errorfiles` and `http-error`: kept in order, compiled by `rules`.

use super::keyword::Scope;
use crate::lang::args::Args;

/// Keeps the line for [`super::rule::error_pages`].
pub fn error_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    scope.px.set.errors.push(args);
}
