//! `Sample`: the value that fetches make, converters change and ACLs match.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// HAProxy's sample types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleType {
    Any,
    Bool,
    Int,
    Addr,
    Ipv4,
    Ipv6,
    Str,
    Bin,
    Method,
}

/// A typed value; strings and binaries borrow from the message where they can.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample<'a> {
    Bool(bool),
    Int(i64),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    Str(Cow<'a, [u8]>),
    Bin(Cow<'a, [u8]>),
    Method(Cow<'a, [u8]>),
}

impl SampleType {
    /// HAProxy's name, as `-dKall` shows it.
    pub fn name(self) -> &'static str {
        match self {
            SampleType::Any => "any",
            SampleType::Bool => "bool",
            SampleType::Int => "sint",
            SampleType::Addr => "addr",
            SampleType::Ipv4 => "ipv4",
            SampleType::Ipv6 => "ipv6",
            SampleType::Str => "str",
            SampleType::Bin => "bin",
            SampleType::Method => "meth",
        }
    }
}

impl Sample<'_> {
    /// The same value, borrowed.
    pub fn borrow(&self) -> Sample<'_> {
        match self {
            Sample::Bool(b) => Sample::Bool(*b),
            Sample::Int(i) => Sample::Int(*i),
            Sample::Ipv4(a) => Sample::Ipv4(*a),
            Sample::Ipv6(a) => Sample::Ipv6(*a),
            Sample::Str(s) => Sample::Str(Cow::Borrowed(s)),
            Sample::Bin(s) => Sample::Bin(Cow::Borrowed(s)),
            Sample::Method(s) => Sample::Method(Cow::Borrowed(s)),
        }
    }

    pub fn kind(&self) -> SampleType {
        match self {
            Sample::Bool(_) => SampleType::Bool,
            Sample::Int(_) => SampleType::Int,
            Sample::Ipv4(_) => SampleType::Ipv4,
            Sample::Ipv6(_) => SampleType::Ipv6,
            Sample::Str(_) => SampleType::Str,
            Sample::Bin(_) => SampleType::Bin,
            Sample::Method(_) => SampleType::Method,
        }
    }

    pub fn into_owned(self) -> Sample<'static> {
        match self {
            Sample::Bool(b) => Sample::Bool(b),
            Sample::Int(i) => Sample::Int(i),
            Sample::Ipv4(a) => Sample::Ipv4(a),
            Sample::Ipv6(a) => Sample::Ipv6(a),
            Sample::Str(s) => Sample::Str(Cow::Owned(s.into_owned())),
            Sample::Bin(s) => Sample::Bin(Cow::Owned(s.into_owned())),
            Sample::Method(s) => Sample::Method(Cow::Owned(s.into_owned())),
        }
    }
}
