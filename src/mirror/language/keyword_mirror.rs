//! Lines of a `mirror` section.

use super::reading::{OpenMirror, Reading};
use crate::lang::args::Args;
use crate::lang::time::{Unit, size, time_of};
use crate::mirror::manifest::Platform;
use crate::mirror::rule::{Cron, Delete, Images, Tags, When};

pub fn from<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    if let Some(name) = reading.one(args, "the name of a registry") {
        open.from = Some((name.into(), args.at(1)));
    }
}

pub fn to<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    if !args.has(1) {
        return reading.alert(args.span, "'to' expects at least the name of a registry as argument.");
    }
    for i in 1..args.words.len() {
        if open.to.iter().any(|(known, _)| **known == *args.str(i)) {
            reading.alert(args.at(i), format!("'to {}' is there already.", args.str(i)));
        }
        open.to.push((args.str(i).into(), args.at(i)));
    }
}

pub fn images<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    let mut images = Images { repositories: Vec::new(), tags: Vec::new(), except: Vec::new(), newest: None };
    let (mut list, mut i) = ("images", 1);
    while args.has(i) {
        match args.str(i) {
            word @ ("tags" | "except") => list = word,
            "newest" => {
                i += 1;
                images.newest = reading.number(args, i, 1, 1_000_000).map(|n| n as usize);
            }
            _ if list == "images" => images.repositories.extend(reading.glob(args, i)),
            text => match (Tags::parse(text), list) {
                (Ok(tags), "tags") => images.tags.push(tags),
                (Ok(tags), _) => images.except.push(tags),
                (Err(e), _) => reading.alert(args.at(i), format!("'images' {e}.")),
            },
        }
        i += 1;
    }
    if images.repositories.is_empty() {
        return reading.alert(args.span, "'images' expects at least a repository as argument.");
    }
    open.images.push(images);
}

pub fn platforms<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    if !args.has(1) {
        return reading.alert(args.span, "'platforms' expects at least a platform as argument.");
    }
    for i in 1..args.words.len() {
        match Platform::parse(args.str(i)) {
            Some(platform) => open.platforms.push(platform),
            None => {
                reading.alert(args.at(i), format!("'{}' is no platform: write linux/amd64.", args.str(i)))
            }
        }
    }
}

pub fn every<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    if args.str(1) == "cron" {
        if reading.too_many(args, 6) {
            return;
        }
        match Cron::parse([2, 3, 4, 5, 6].map(|i| args.str(i))) {
            Ok(cron) => open.when = Some(When::Cron(Box::new(cron))),
            Err(e) => reading.alert(args.span, format!("'every cron' {e}.")),
        }
        return;
    }
    if reading.too_many(args, 1) {
        return;
    }
    match time_of(&mut reading.diags, args.words.get(1), "'every'", Unit::Seconds, args.span) {
        Some(0) => reading.alert(args.at(1), "'every' expects at least a second."),
        Some(seconds) => open.when = Some(When::Every(seconds * 1000)),
        None => {}
    }
}

pub fn on<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    match reading.one(args, "'push'") {
        Some("push") => open.on_push = true,
        Some(word) => reading.alert(args.at(1), format!("'on' expects 'push', got '{word}'.")),
        None => {}
    }
}

pub fn delete<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    match (args.str(1), args.str(2)) {
        ("keep", "") => open.delete = Delete::Keep,
        ("propagate", "") => open.delete = Delete::Propagate(50),
        ("propagate", "at-most") if !args.has(4) => {
            if let Some(percent) = reading.number(args, 3, 1, 100) {
                open.delete = Delete::Propagate(percent as u8);
            }
        }
        _ => reading
            .alert(args.span, "'delete' expects 'keep' or 'propagate [at-most <percent>]' as arguments."),
    }
}

pub fn rename<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    if reading.too_many(args, 2) {
        return;
    }
    if !args.has(2) {
        return reading.alert(args.span, "'rename' expects a repository and its new name as arguments.");
    }
    let (Some(from), Some(to)) = (reading.glob(args, 1), reading.glob(args, 2)) else { return };
    if to.wildcards() > from.wildcards() {
        return reading.alert(args.at(2), "'rename' has more wildcards in the new name than in the old one.");
    }
    open.rename.push((from, to.as_str().into()));
}

pub fn bandwidth<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    let Some(text) = reading.one(args, "a size") else { return };
    match size(text) {
        Ok(0) => reading.alert(args.at(1), "'bandwidth' expects at least a byte a second."),
        Ok(bytes) => open.bandwidth = bytes,
        Err(e) => reading.alert(args.at(1), format!("'bandwidth' {}.", e.about(text))),
    }
}

pub fn parallel<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    if reading.one(args, "a number").is_some()
        && let Some(n) = reading.number(args, 1, 1, 256)
    {
        open.parallel = n as usize;
    }
}

pub fn priority<'a>(reading: &mut Reading<'_>, open: &mut OpenMirror, args: Args<'a>) {
    if reading.one(args, "a number").is_some()
        && let Some(n) = reading.number(args, 1, -1000, 1000)
    {
        open.priority = n as i32;
    }
}
