//! From sections to a [`Spec`]: which lines belong where, and what must hold between them.

use std::collections::HashMap;

use crate::lang::args::Args;
use crate::lang::registry::Kind;
use crate::lang::void::{is_void, is_void_in};
use crate::lang::{Diagnostics, Section, Span, suggest};

use super::keyword::{Keyword, REGION, SEAT};
use super::map::Name;
pub use super::reading::Inputs;
use super::reading::Reading;
use super::spec::{RegionSpec, SeatSpec, Spec};

/// Builds the value. `None` when there was an alert; warnings do not prevent it.
pub fn build(inputs: &Inputs<'_>) -> (Option<Spec>, Diagnostics) {
    let mut reading = Reading { inputs, diags: Diagnostics::default(), mentioned: Vec::new() };
    let mut spec = Spec::default();
    let mut heads: HashMap<Name, Span> = HashMap::new();
    let mut seat_at: Option<Span> = None;
    for section in inputs.sections {
        match section.kind() {
            kind if is_void(Kind::Section, kind) => {}
            "region" => spec.regions.extend(region(&mut reading, section, &mut heads)),
            "region-map" => {
                reading.once("region-map", &mut seat_at, section.head.span);
                spec.seat = Some(seat(&mut reading, section));
            }
            _ => {}
        }
    }
    known_regions(&mut reading, &spec);
    let usable = !reading.diags.has_alerts();
    (usable.then_some(spec), reading.diags)
}

fn region(
    reading: &mut Reading<'_>,
    section: &Section,
    heads: &mut HashMap<Name, Span>,
) -> Option<RegionSpec> {
    let head = Args::of(&section.head);
    let name = head.str(1);
    if name.is_empty() {
        reading.alert(head.span, "'region' expects a name as argument.");
        return None;
    }
    reading.too_many(head, 1);
    let name = reading.name(head, 1, "region name")?;
    if let Some(first) = heads.insert(name.clone(), head.span) {
        let message = format!("region '{name}' was declared already at {}.", reading.place(first));
        reading.alert(head.at(1), message);
    }
    let mut spec = RegionSpec { name, ..RegionSpec::default() };
    lines(reading, section, REGION, &mut spec);
    Some(spec)
}

fn seat(reading: &mut Reading<'_>, section: &Section) -> SeatSpec {
    let head = Args::of(&section.head);
    reading.too_many(head, 0);
    let mut spec = SeatSpec::default();
    let places = lines(reading, section, SEAT, &mut spec);
    super::keyword_seat::settle(reading, &spec, &|word| places.get(word).copied().unwrap_or(head.span));
    spec
}

/// Runs each line's keyword. Returns where each keyword stood first.
fn lines<T>(
    reading: &mut Reading<'_>,
    section: &Section,
    table: &'static [Keyword<T>],
    into: &mut T,
) -> HashMap<&'static str, Span> {
    let mut places = HashMap::new();
    for line in &section.lines {
        let args = Args::of(line);
        let word = args.str(0);
        let Some(keyword) = table.iter().find(|k| k.entry.name == word) else {
            let hint = suggest::hint(word, table.iter().map(|k| k.entry.name));
            let message = format!("unknown keyword '{word}' in '{}' section", section.kind());
            reading.diags.alert_hint(args.at(0), message, hint);
            continue;
        };
        if let Some(first) = places.get(keyword.entry.name).filter(|_| !keyword.repeats) {
            let message = format!("'{word}' was given already at {}.", reading.place(*first));
            reading.alert(args.at(0), message);
            continue;
        }
        places.entry(keyword.entry.name).or_insert(args.span);
        if !is_void_in(section.kind(), word) {
            (keyword.parse)(reading, into, args);
        }
    }
    places
}

/// Regions that lines name must have a section, once any region has one.
fn known_regions(reading: &mut Reading<'_>, spec: &Spec) {
    if spec.regions.is_empty() {
        return;
    }
    for (name, at) in std::mem::take(&mut reading.mentioned) {
        if spec.regions.iter().any(|r| r.name == name) {
            continue;
        }
        let hint = suggest::hint(&name, spec.regions.iter().map(|r| &*r.name));
        reading.diags.alert_hint(at, format!("there is no 'region {name}' section."), hint);
    }
}
