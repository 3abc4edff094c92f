//! Addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::Converter;

fn ipmask<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    match (sample, args.first(), args.get(1)) {
        (Sample::Ipv4(a), Some(Arg::Ipv4(mask)), _) => {
            Some(Sample::Ipv4(Ipv4Addr::from(u32::from(a) & u32::from(*mask))))
        }
        (Sample::Ipv6(a), _, Some(Arg::Ipv6(mask))) => {
            Some(Sample::Ipv6(Ipv6Addr::from(u128::from(a) & u128::from(*mask))))
        }
        (Sample::Ipv6(a), Some(Arg::Ipv4(mask)), None) => {
            let v4 = crate::rules::cast::v6_to_v4(a)?;
            Some(Sample::Ipv4(Ipv4Addr::from(u32::from(v4) & u32::from(*mask))))
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
