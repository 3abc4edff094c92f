//! Stick tables: `stick-table` and `stick` lines, and the tables that a configuration has.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lang::args::{Args, Prefix};
use crate::lang::{Span, suggest};
use crate::rules::action::MOST_COUNTERS;
use crate::stick::{Data, Spec, Table, Tables};

use super::draft::{Cx, Draft, Step};
use super::keyword::Scope;
use super::peers::Peers;

/// `stick-table type <type> size <size> ...`.
pub fn stick_table<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let mut warnings = Vec::new();
    let read = Spec::parse(args.from(1).words, args.span, &mut |at, text| warnings.push((at, text)));
    for (at, text) in warnings {
        scope.warning(at, format!("'stick-table': {text}"));
    }
    match read {
        Err((at, message)) => scope.alert(at, format!("'stick-table': {message}.")),
        Ok(_) if scope.px.table.is_some() => {
            let message = format!("{} has a stick table already.", scope.title());
            scope.alert(args.at(0), message);
        }
        Ok(spec) => scope.px.table = Some((spec, args.at(0))),
    }
}

/// `stick match | on | store-request | store-response ...`.
pub fn stick<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    scope.px.steps.push(Step::Stick(args));
}

/// `tune.stick-counters <count>`.
pub fn stick_counters<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    let Some(count) = super::global::number::<usize>(cx, args) else { return };
    if count > MOST_COUNTERS {
        let message = format!("'tune.stick-counters' is {MOST_COUNTERS} at most.");
        return cx.diags.alert(args.at(1), message);
    }
    cx.global.tune.stick_counters = count;
}

/// A table that runs on, and what its line says of it now.
pub type Change = (Arc<Table>, Spec);

/// A table that some section declares.
struct Declared<'d> {
    name: &'d str,
    spec: Spec,
    at: Span,
}

/// The tables of a configuration.
#[derive(Default)]
pub struct Made {
    pub tables: Tables,
    pub changes: Vec<Change>,
    /// Those that are told to peers, by the sections that do so.
    pub shared: Vec<(Box<str>, Arc<Table>)>,
}

/// The tables of all sections: those that run where their entries mean the same. Rules get what they name.
pub fn tables(cx: &mut Cx<'_>, drafts: &[Draft<'_>], peers: &[Peers<'_>]) -> Made {
    let Made { mut tables, mut changes, mut shared } = Made::default();
    let of_peers = peers.iter().flat_map(|peers| &peers.tables);
    let of_peers = of_peers.map(|(name, spec, at)| Declared { name, spec: spec.clone(), at: *at });
    let of_proxies = drafts.iter().filter_map(|draft| {
        let (spec, at) = draft.table.as_ref()?;
        Some(Declared { name: draft.name, spec: spec.clone(), at: *at })
    });
    let mut declared: Vec<Declared<'_>> = of_peers.chain(of_proxies).collect();
    let mut places = HashMap::new();
    for (i, table) in declared.iter().enumerate() {
        if let Some(other) = places.insert(table.name, i) {
            let place = cx.place(declared[other].at);
            let message = format!("there is a stick table '{}' already, at {place}.", table.name);
            cx.diags.alert(table.at, message);
        }
    }
    for table in &declared {
        check_others(cx, &table.spec, peers, &places);
    }
    check_uses(cx, drafts, &mut declared, &places);
    for Declared { name, spec, .. } in declared {
        let section = spec.peers.as_ref().map(|(section, _)| section.clone());
        let running = cx.inputs.previous.and_then(|config| config.tables.find(name));
        let table = match running.filter(|table| table.spec().is_alike(&spec)) {
            Some(table) => {
                changes.push((table.clone(), spec));
                table.clone()
            }
            None => Arc::new(Table::new(name, spec)),
        };
        shared.extend(section.map(|section| (section, table.clone())));
        tables.list.push(table);
    }
    cx.tables.fill(&tables);
    Made { tables, changes, shared }
}

/// What a table names must be there.
fn check_others(cx: &mut Cx<'_>, spec: &Spec, peers: &[Peers<'_>], places: &HashMap<&str, usize>) {
    if let Some((name, at)) = &spec.peers
        && !peers.iter().any(|peers| peers.name == &**name)
    {
        let hint = suggest::hint(name, peers.iter().map(|peers| peers.name));
        cx.diags.alert_hint(*at, format!("'stick-table': there is no peers section '{name}'."), hint);
    }
    if let Some(at) = spec.cluster
        && !cx.inputs.sections.iter().any(|section| section.kind() == "region-map")
    {
        // Alone, a limit that is to hold over all nodes would be many times as high, and nobody would notice.
        let message = "'stick-table': 'cluster' counts over the nodes of a region map, and there is no 'region-map' section.";
        cx.diags.alert(at, message.to_owned());
    }
    if let Some((name, at)) = &spec.write_to
        && !places.contains_key(&**name)
    {
        let message = format!("'stick-table': 'write-to' names no stick table: '{name}'.");
        cx.diags.alert_hint(*at, message, suggest::hint(name, places.keys().copied()));
    }
}

/// What rules name must be there, and have keys of a type that they can make. Tables that keep servers get room for
/// them.
fn check_uses(
    cx: &mut Cx<'_>,
    drafts: &[Draft<'_>],
    declared: &mut [Declared<'_>],
    places: &HashMap<&str, usize>,
) {
    for used in std::mem::take(&mut cx.tables.uses) {
        let name = &*used.table;
        let Some(table) = places.get(name).and_then(|i| declared.get_mut(*i)) else {
            let message = match drafts.iter().find(|draft| draft.name == name) {
                Some(draft) => {
                    format!("'{}' in {}: {} has no 'stick-table' line.", used.what, used.from, draft.title())
                }
                None => {
                    format!("unable to find table '{name}' referenced by '{}' in {}.", used.what, used.from)
                }
            };
            cx.diags.alert_hint(used.at, message, suggest::hint(name, places.keys().copied()));
            continue;
        };
        if used.fits.as_ref().is_some_and(|fits| !fits(table.spec.kind)) {
            let message = format!(
                "stick table '{name}' has keys of type '{}', which '{}' in {} cannot make.",
                table.spec.kind.name(),
                used.what,
                used.from
            );
            cx.diags.alert(used.at, message);
        }
        if used.stores_server {
            table.spec.also(Data::ServerId);
            table.spec.also(Data::ServerKey);
        }
    }
}
