//! What reads the arguments of lines, and says what is wrong with them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::lang::args::Args;
use crate::lang::time::{Unit, time_of};
use crate::lang::{Diagnostics, Section, SourceMap, Span};
use crate::model::notation::{Accept, Surroundings, parse};

use super::map::Name;

/// What the build reads besides the sections.
pub struct Inputs<'a> {
    pub sections: &'a [Section],
    /// For messages that name a second place.
    pub sources: &'a SourceMap,
    pub resolve: &'a dyn Fn(&str) -> io::Result<Vec<IpAddr>>,
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// What the lines of a section share.
pub struct Reading<'r> {
    pub inputs: &'r Inputs<'r>,
    pub diags: Diagnostics,
    /// Names of regions that lines mention, to be looked up when all sections are read.
    pub mentioned: Vec<(Name, Span)>,
}

impl Reading<'_> {
    pub fn alert(&mut self, at: Span, message: impl Into<String>) {
        self.diags.alert(at, message);
    }

    /// `file:line` of a place.
    pub(super) fn place(&self, at: Span) -> String {
        format!("{}:{}", self.inputs.sources.name(at.file), at.line)
    }

    pub(super) fn once(&mut self, what: &str, seen: &mut Option<Span>, at: Span) {
        if let Some(first) = seen.replace(at) {
            let message = format!("'{what}' was given already at {}.", self.place(first));
            self.alert(at, message);
        }
    }

    /// More than `max` arguments are an error. True when there were.
    pub fn too_many(&mut self, args: Args<'_>, max: usize) -> bool {
        args.too_many(max, &mut self.diags)
    }

    /// The only argument, or an alert that `what` is missing.
    pub fn one<'a>(&mut self, args: Args<'a>, what: &str) -> Option<&'a str> {
        args.only(what, &mut self.diags)
    }

    /// Every argument; an alert when there is none.
    pub fn several<'a>(
        &mut self,
        args: Args<'a>,
        what: &str,
    ) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        if !args.has(1) {
            self.alert(args.span, format!("'{}' expects at least {what} as argument.", args.str(0)));
        }
        (1..args.words.len()).map(move |i| (i, args.str(i)))
    }

    /// A name: letters, digits, `-`, `_` and `.`, as DNS and URLs take them.
    pub fn name(&mut self, args: Args<'_>, i: usize, what: &str) -> Option<Name> {
        let text = args.str(i);
        let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(c) = text.chars().find(|c| !is_fine(*c)) {
            self.alert(args.at(i), format!("character '{c}' is not permitted in {what} '{text}'."));
            return None;
        }
        if text.is_empty() || text.len() > 128 {
            self.alert(args.at(i), format!("a {what} has 1 to 128 characters."));
            return None;
        }
        Some(text.into())
    }

    /// A duration in milliseconds, not 0.
    pub fn duration(&mut self, args: Args<'_>) -> Option<std::time::Duration> {
        let what = format!("'{}'", args.str(0));
        let ms = time_of(&mut self.diags, args.words.get(1), &what, Unit::Milliseconds, args.span)?;
        if ms == 0 {
            self.alert(args.at(1), format!("{what} expects a positive time."));
            return None;
        }
        (!self.too_many(args, 1)).then(|| std::time::Duration::from_millis(ms))
    }

    /// `address:port` to listen on; names are resolved at once.
    pub fn listen(&mut self, args: Args<'_>, i: usize) -> Option<SocketAddr> {
        let word = args.str(0);
        if args.str(i).is_empty() {
            self.alert(args.span, format!("'{word}' expects <address>:<port> as argument."));
            return None;
        }
        let around = Surroundings { resolve: self.inputs.resolve, env: self.inputs.env, unix_prefix: "" };
        let accept = Accept::PORT | Accept::PORT_NEEDED | Accept::STREAM | Accept::RESOLVE;
        let address = match parse(args.str(i), accept, &around) {
            Ok(written) => written.address(written.first_port()).and_then(|a| a.inet()),
            Err(e) => {
                self.alert(args.at(i), format!("'{word}' : {e}"));
                return None;
            }
        };
        if address.is_none() {
            let message = format!("'{word}' expects an IP address and a port, got '{}'.", args.str(i));
            self.alert(args.at(i), message);
        }
        address
    }
}
