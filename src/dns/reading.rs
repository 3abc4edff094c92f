//! What reads the arguments of lines of a `dns` section, and says what is wrong with them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::answer::MayTransfer;
use super::hosts::Hosts;
use super::name;
use super::spec::{Geodata, Name, RecordSpec, Responder, ServiceRef};
use super::transfer::Key;
use super::zone::Builder;
use crate::lang::args::Args;
use crate::lang::{Diagnostics, Section, SourceMap, Span};
use crate::model::notation::{Accept, Surroundings, parse};

/// What the build reads besides the sections.
pub struct Inputs<'a> {
    pub sections: &'a [Section],
    /// For messages that name a second place.
    pub sources: &'a SourceMap,
    pub resolve: &'a dyn Fn(&str) -> io::Result<Vec<IpAddr>>,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub files: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Seconds since 1970: the serial number of zones that have no file.
    pub now_s: u32,
    /// What a secret that is not given is made of.
    pub random: [u8; 16],
}

/// A zone that is being read.
pub struct Draft {
    pub apex: Vec<u8>,
    pub builder: Builder,
    /// The line that begins it.
    pub at: Span,
    pub from_file: bool,
    /// Its file cannot be read: nothing more is to be said of it.
    pub faulty: bool,
}

/// A section that is being read.
pub struct Open {
    pub responder: Responder,
    pub drafts: Vec<Draft>,
    /// `name-server` and `hostmaster`.
    pub servers: Vec<Vec<u8>>,
    pub hostmaster: Option<Vec<u8>>,
    pub default_ttl: u32,
    pub nsid: Option<Box<[u8]>>,
    pub secret: Option<[u8; 16]>,
    pub ecs: bool,
    pub keys: Vec<Key>,
    pub transfers: Vec<MayTransfer>,
    pub hosts: Arc<Hosts>,
    pub geodata: Option<Arc<Geodata>>,
}

/// What the lines of a section share.
pub struct Reading<'r> {
    pub inputs: &'r Inputs<'r>,
    pub diags: Diagnostics,
    /// Regions that lines mention.
    pub mentioned: Vec<(Name, Span)>,
}

impl Open {
    /// The number of a service among those that records ask for.
    pub fn service(&mut self, service: ServiceRef) -> usize {
        let services = &mut self.responder.services;
        services.iter().position(|known| *known == service).unwrap_or_else(|| {
            services.push(service);
            services.len() - 1
        })
    }

    /// Keeps a record from the map, and says its number.
    pub fn record(&mut self, record: RecordSpec) -> u32 {
        self.responder.records.push(record);
        (self.responder.records.len() - 1) as u32
    }
}

impl Reading<'_> {
    pub fn alert(&mut self, at: Span, message: impl Into<String>) {
        self.diags.alert(at, message);
    }

    /// `file:line` of a place.
    pub fn place(&self, at: Span) -> String {
        format!("{}:{}", self.inputs.sources.name(at.file), at.line)
    }

    /// More than `max` arguments are an error. True when there were.
    pub fn too_many(&mut self, args: Args<'_>, max: usize) -> bool {
        args.too_many(max, &mut self.diags)
    }

    /// The only argument, or an alert that `what` is missing.
    pub fn one<'a>(&mut self, args: Args<'a>, what: &str) -> Option<&'a str> {
        args.only(what, &mut self.diags)
    }

    /// A name of the DNS in wire form: without a dot at its end it is below `origin`.
    pub fn dns_name(&mut self, text: &str, origin: Option<&[u8]>, at: Span) -> Option<Vec<u8>> {
        match name::from_text(text.as_bytes(), origin) {
            Ok(wire) => Some(wire),
            Err(e) => {
                self.alert(at, format!("'{text}' is no name: {e}."));
                None
            }
        }
    }

    /// `address:port` to listen on; names are resolved at once.
    pub fn listen(&mut self, args: Args<'_>, i: usize) -> Option<SocketAddr> {
        let word = args.str(0);
        let around = Surroundings { resolve: self.inputs.resolve, env: self.inputs.env, unix_prefix: "" };
        let accept = Accept::PORT | Accept::PORT_NEEDED | Accept::STREAM | Accept::RESOLVE;
        let written = match parse(args.str(i), accept, &around) {
            Ok(written) => written,
            Err(e) => {
                self.alert(args.at(i), format!("'{word}' : {e}"));
                return None;
            }
        };
        let address = written.address(written.first_port()).and_then(|a| a.inet());
        if address.is_none() {
            let message = format!("'{word}' expects an IP address and a port, got '{}'.", args.str(i));
            self.alert(args.at(i), message);
        }
        address
    }

    /// A whole number within bounds.
    pub fn number(&mut self, args: Args<'_>, i: usize, least: u64, most: u64) -> Option<u64> {
        let value = args.str(i).parse().ok().filter(|n| (least..=most).contains(n));
        if value.is_none() {
            let message =
                format!("'{}' expects a number from {least} to {most}, got '{}'.", args.str(0), args.str(i));
            self.alert(args.at(i), message);
        }
        value
    }
}
