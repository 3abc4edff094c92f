//! Addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::Converter;

/// An IPv4 address in an IPv6 one is masked as what it is; others want a mask of their own.
fn ipmask<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let mapped = |a: Ipv6Addr| a.to_ipv4_mapped();
    let v4 = match &sample {
        Sample::Ipv4(a) => Some(*a),
        Sample::Ipv6(a) => mapped(*a),
        _ => None,
    };
    match (v4, sample, args.first(), args.get(1)) {
        (Some(a), _, Some(Arg::Ipv4(mask)), _) => {
            Some(Sample::Ipv4(Ipv4Addr::from(u32::from(a) & u32::from(*mask))))
        }
        (None, Sample::Ipv6(a), _, Some(Arg::Ipv6(mask))) => {
            Some(Sample::Ipv6(Ipv6Addr::from(u128::from(a) & u128::from(*mask))))
        }
        _ => None,
    }
}

pub static CONVERTERS: &[Converter] = &[Converter::new(
    Entry::full(
        "ipmask",
        "<mask4>[,<mask6>]",
        "The address with the bits outside the mask cleared.",
        "src,ipmask(24,64)",
        "1.5",
    ),
    T::Addr,
    T::Addr,
    ipmask,
)
.args(ArgSpec::new(1, &[ArgKind::Mask4, ArgKind::Mask6]))];
