//! `resolvers` sections, which the room of the DNS client reads, and the one that is there without being written.

use std::path::Path;
use std::sync::Arc;

use crate::lang::{Section, Span};
use crate::resolve::{self, Around, RESOLV_CONF, Resolvers, Spec};

use super::draft::Cx;

/// The section that name servers of the system make.
const DEFAULT: &str = "default";

/// Reads a section. One that says what it said before goes on as it runs.
pub fn section(cx: &mut Cx<'_>, section: &Section) {
    let around = Around { surroundings: cx.surroundings(), files: cx.inputs.files };
    let Some(spec) = resolve::section(section, &around, &mut cx.diags) else { return };
    let at: Span = section.head.span;
    if let Some((_, first)) = cx.resolvers_at.iter().find(|(name, _)| **name == *spec.name) {
        let message = format!(
            "resolvers '{}' has same name as another resolvers (declared at {}).",
            spec.name,
            cx.place(*first)
        );
        return cx.diags.alert(at, message);
    }
    cx.resolvers_at.push((spec.name.clone(), at));
    keep(cx, spec);
}

/// Makes `default` of the system's name servers, unless the file has one.
pub fn implicit(cx: &mut Cx<'_>) {
    let is_there = cx.resolvers.iter().any(|known| *known.spec.name == *DEFAULT);
    if is_there || cx.inputs.lent.is_some() {
        return;
    }
    let mut spec = Spec::new(DEFAULT);
    if let Ok(text) = (cx.inputs.files)(Path::new(RESOLV_CONF)) {
        resolve::of_resolv_conf(&mut spec, &text);
    }
    if !spec.nameservers.is_empty() {
        keep(cx, spec);
    }
}

fn keep(cx: &mut Cx<'_>, spec: Spec) {
    let running = cx.inputs.previous.and_then(|config| config.resolvers.iter().find(|old| old.spec == spec));
    let resolvers = running.cloned().unwrap_or_else(|| Arc::new(Resolvers::new(spec)));
    cx.resolvers.push(resolvers);
}
