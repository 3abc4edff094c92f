//! The matching methods (`-m`) and what type of sample each wants.

use crate::lang::Entry;
use crate::rules::sample::SampleType;

/// How patterns are compared with a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    Found,
    Bool,
    Int,
    Ip,
    Bin,
    Len,
    Str,
    Beg,
    Sub,
    Dir,
    Dom,
    End,
    Reg,
}

impl Match {
    /// The type a sample is cast to first.
    pub fn wants(self) -> SampleType {
        match self {
            Match::Found => SampleType::Any,
            Match::Bool => SampleType::Bool,
            Match::Int => SampleType::Int,
            Match::Ip => SampleType::Addr,
            Match::Bin => SampleType::Bin,
            _ => SampleType::Str,
        }
    }

    /// What an ACL uses that says nothing, by the type of its expression; `None`: `-m` is needed.
    pub fn default_for(out: SampleType) -> Option<Match> {
        match out {
            SampleType::Bool => Some(Match::Bool),
            SampleType::Int => Some(Match::Int),
            SampleType::Addr | SampleType::Ipv4 | SampleType::Ipv6 => Some(Match::Ip),
            SampleType::Str | SampleType::Method => Some(Match::Str),
            SampleType::Bin | SampleType::Any => None,
        }
    }
}

/// One word behind `-m`.
pub struct MatchKeyword {
    pub entry: Entry,
    pub method: Match,
}

const fn keyword(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    method: Match,
) -> MatchKeyword {
    MatchKeyword { entry: Entry::full(name, "", doc, example, "1.5"), method }
}

/// Every matching method; the example is an ACL's definition.
pub static MATCHES: &[MatchKeyword] = &[
    keyword("found", "There is a value, whatever it is.", "req.hdr(x) -m found", Match::Found),
    keyword("bool", "The value is true, or a number other than 0.", "nbsrv(b) -m bool", Match::Bool),
    keyword(
        "int",
        "The number equals a pattern or lies in a range a:b.",
        "req.hdr(x) -m int 1:5",
        Match::Int,
    ),
    keyword("ip", "The address lies in a network.", "req.hdr(x) -m ip 10.0.0.0/8", Match::Ip),
    keyword(
        "bin",
        "The bytes are those of the hexadecimal pattern.",
        "req.payload(0,2) -m bin 1603",
        Match::Bin,
    ),
    keyword("len", "The length equals a number or lies in a range.", "path -m len 1:80", Match::Len),
    keyword("str", "The string is the pattern.", "path -m str /a", Match::Str),
    keyword("beg", "The string begins with the pattern.", "path -m beg /a", Match::Beg),
    keyword("sub", "The string contains the pattern.", "path -m sub a", Match::Sub),
    keyword("dir", "The pattern stands between slashes.", "path -m dir a", Match::Dir),
    keyword("dom", "The pattern stands between dots.", "req.hdr(host) -m dom example", Match::Dom),
    keyword("end", "The string ends with the pattern.", "path -m end .css", Match::End),
    keyword("reg", "The regular expression matches somewhere.", "path -m reg ^/a", Match::Reg),
];

/// The method of this name.
pub fn find(name: &str) -> Option<Match> {
    MATCHES.iter().find(|m| m.entry.name == name).map(|m| m.method)
}
