//! What the keyword tables of the proxy sections are made of, and how a line finds its keyword.

use std::collections::HashMap;

use crate::lang::void::is_void_line;
use crate::lang::{Entry, Span, Status, registry};
use crate::model::Caps;

use super::draft::{Cx, Draft, Kind};
use crate::lang::args::{Args, Prefix};

/// Which side of a proxy a keyword needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Front,
    Back,
    Any,
}

impl Side {
    pub fn is_of(self, caps: Caps) -> bool {
        match self {
            Side::Front => caps.front,
            Side::Back => caps.back,
            Side::Any => true,
        }
    }
}

/// Whether `defaults` takes a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDefaults {
    Yes,
    /// In a `defaults` section with a name only.
    Named,
    No,
}

/// Parses one line of a proxy section.
pub type ProxyFn = for<'s, 'a> fn(&mut Scope<'s, 'a>, Args<'a>);

/// One keyword of the proxy sections.
pub struct Keyword {
    pub entry: Entry,
    pub side: Side,
    pub defaults: InDefaults,
    /// `no KEYWORD` and `default KEYWORD` are understood.
    pub negatable: bool,
    pub parse: ProxyFn,
}

impl Keyword {
    pub const fn new(entry: Entry, side: Side, defaults: InDefaults, parse: ProxyFn) -> Self {
        Keyword { entry, side, defaults, negatable: false, parse }
    }

    pub const fn negatable(self) -> Self {
        Keyword { negatable: true, ..self }
    }

    /// A keyword of HAProxy that Isobar does not have.
    pub const fn refused(
        name: &'static str,
        args: &'static str,
        doc: &'static str,
        example: &'static str,
        why: &'static str,
    ) -> Self {
        let entry = Entry::full(name, args, doc, example, "").with(Status::Refused(why));
        Keyword::new(entry, Side::Any, InDefaults::Yes, ignore).negatable()
    }
}

/// The parse function of keywords that have no effect or never get that far.
pub fn ignore<'a>(_: &mut Scope<'_, 'a>, _: Args<'a>) {}

/// What a parse function works on: one section and what all sections share.
pub struct Scope<'s, 'a> {
    pub px: &'s mut Draft<'a>,
    pub cx: &'s mut Cx<'a>,
    pub prefix: Prefix,
}

impl<'a> Scope<'_, 'a> {
    pub fn alert(&mut self, at: Span, message: impl Into<String>) {
        self.cx.diags.alert(at, message);
    }

    pub fn warning(&mut self, at: Span, message: impl Into<String>) {
        self.cx.diags.warning(at, message);
    }

    /// `frontend 'web'`, as messages name a section.
    pub fn title(&self) -> String {
        self.px.title()
    }

    /// More than `max` arguments after word `keyword` are an error. True when there were.
    pub fn too_many(&mut self, args: Args<'a>, keyword: usize, max: usize) -> bool {
        too_many(self.cx, args, keyword, max)
    }

    /// The first argument, or an alert that `what` is missing.
    pub fn needed(&mut self, args: Args<'a>, i: usize, what: &str) -> Option<&'a str> {
        match args.str(i) {
            "" => {
                self.alert(args.span, format!("'{}' expects {what}.", args.str(0)));
                None
            }
            text => Some(text),
        }
    }

    /// A number argument: `'maxconn' expects an integer argument.`
    pub fn number<T: std::str::FromStr>(&mut self, args: Args<'a>, i: usize) -> Option<T> {
        let text = self.needed(args, i, "an integer argument")?;
        let value = text.parse().ok();
        if value.is_none() {
            self.alert(args.at(i), format!("'{}' expects an integer argument, got '{text}'.", args.str(0)));
        }
        value
    }

    /// False, with the warning HAProxy gives, when the section lacks the side that `what` needs.
    pub fn has_side(&mut self, side: Side, at: Span, what: &str, hint: &str) -> bool {
        let has = side.is_of(self.px.caps());
        if !has {
            let missing = if side == Side::Front { "no frontend" } else { "no backend" };
            let title = self.title();
            self.warning(at, format!("'{what}' ignored because {title} has {missing} capability.{hint}"));
        }
        has
    }
}

/// See [`Scope::too_many`].
pub fn too_many<'a>(cx: &mut Cx<'a>, args: Args<'a>, keyword: usize, max: usize) -> bool {
    let extra = keyword + max + 1;
    if !args.has(extra) {
        return false;
    }
    let words: Vec<&str> = (0..=keyword).map(|i| args.str(i)).collect();
    let message = format!("'{}' cannot handle unexpected argument '{}'.", words.join(" "), args.str(extra));
    cx.diags.alert(args.at(extra), message);
    true
}

/// The answer to a keyword with status `Refused`: true when it was reported.
pub fn refuse(cx: &mut Cx<'_>, entry: &Entry, at: Span) -> bool {
    let Status::Refused(why) = entry.status else { return false };
    cx.diags.alert(at, format!("'{}' is not supported by this release: {why}.", entry.name));
    true
}

/// A table indexed by name.
pub type Index<K> = HashMap<&'static str, &'static K>;

/// Runs the keyword of `args` on a section, after the checks that all keywords share.
pub fn dispatch<'a>(scope: &mut Scope<'_, 'a>, keyword: &'static Keyword, args: Args<'a>) {
    let name = keyword.entry.name;
    if refuse(scope.cx, &keyword.entry, args.at(0)) {
        return;
    }
    if scope.prefix != Prefix::None && !keyword.negatable {
        let message = format!("negation/default is not supported for '{name}'.");
        return scope.alert(args.at(0), message);
    }
    if scope.px.kind == Kind::Defaults && keyword.defaults != InDefaults::Yes {
        if keyword.defaults == InDefaults::No {
            return scope.alert(args.at(0), format!("'{name}' not allowed in 'defaults' section."));
        }
        if scope.px.name.is_empty() {
            let message = format!("'{name}' not allowed in anonymous 'defaults' section.");
            return scope.alert(args.at(0), message);
        }
    }
    let hint = match name {
        "maxconn" => " Maybe you want 'fullconn' instead ?",
        "fullconn" => " Maybe you want 'maxconn' instead ?",
        _ => "",
    };
    let void = is_void_line(registry::Kind::Proxy, args.words);
    if scope.has_side(keyword.side, args.at(0), name, hint) && !void {
        (keyword.parse)(scope, args);
    }
}
