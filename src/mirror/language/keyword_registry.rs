//! Lines of a `registry` section.

use super::reading::{OpenRegistry, Reading};
use crate::lang::args::Args;
use crate::mirror::client::{Credential, Origin};

pub fn url<'a>(reading: &mut Reading<'_>, open: &mut OpenRegistry, args: Args<'a>) {
    let Some(text) = reading.one(args, "a URL") else { return };
    let uri =
        text.parse::<hyper::Uri>().ok().filter(|uri| matches!(uri.path(), "" | "/") && uri.query().is_none());
    open.origin = uri.as_ref().and_then(Origin::of);
    if open.origin.is_none() {
        let message = format!("'{text}' is no URL of a registry: write http://host:port or https://host.");
        reading.alert(args.at(1), message);
    }
}

pub fn region<'a>(reading: &mut Reading<'_>, open: &mut OpenRegistry, args: Args<'a>) {
    if let Some(name) = reading.one(args, "a name") {
        open.region = name.into();
    }
}

pub fn user<'a>(reading: &mut Reading<'_>, open: &mut OpenRegistry, args: Args<'a>) {
    if reading.too_many(args, 3) {
        return;
    }
    if args.str(1).is_empty() || args.str(2) != "password" || !args.has(3) {
        return reading.alert(args.span, "'user' expects a name, 'password' and a password as arguments.");
    }
    let (user, password) = (args.str(1).to_owned(), args.str(3).to_owned());
    open.user = Some(Credential { user, password, identity: String::new() });
}

pub fn docker_config<'a>(reading: &mut Reading<'_>, open: &mut OpenRegistry, args: Args<'a>) {
    if let Some(file) = reading.one(args, "a file") {
        open.docker_config = Some((reading.inputs.sources.resolve(args.span, file), args.at(1)));
    }
}

pub fn ca_file<'a>(reading: &mut Reading<'_>, open: &mut OpenRegistry, args: Args<'a>) {
    if let Some(file) = reading.one(args, "a file") {
        open.ca_file = Some((reading.inputs.sources.resolve(args.span, file), args.at(1)));
    }
}

pub fn verify<'a>(reading: &mut Reading<'_>, open: &mut OpenRegistry, args: Args<'a>) {
    match reading.one(args, "'required' or 'none'") {
        Some("none") => open.insecure = true,
        Some("required") | None => {}
        Some(word) => {
            reading.alert(args.at(1), format!("'verify' expects 'required' or 'none', got '{word}'."))
        }
    }
}

pub fn maxconn<'a>(reading: &mut Reading<'_>, open: &mut OpenRegistry, args: Args<'a>) {
    if reading.one(args, "a number").is_some() {
        open.maxconn = reading.number(args, 1, 1, 256).map(|n| n as usize);
    }
}
