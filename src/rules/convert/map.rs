//! Maps: files of keys and values (manual: `map` converters).

use std::borrow::Cow;

use crate::lang::{Entry, Place};
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::cast::cast;
use crate::rules::pattern::{Match, Matcher, Reading, reference_of_file};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{ConvFn, Converter};

fn matcher_of(args: &[Arg]) -> Option<&Matcher> {
    match args.first()? {
        Arg::Map(matcher) => Some(matcher),
        _ => None,
    }
}

fn default(arg: &Arg) -> Option<Sample<'_>> {
    match arg {
        Arg::Str(s) => Some(Sample::Str(Cow::Borrowed(s))),
        Arg::Int(n) => Some(Sample::Int(*n)),
        Arg::Ipv4(a) => Some(Sample::Ipv4(*a)),
        Arg::Ipv6(a) => Some(Sample::Ipv6(*a)),
        _ => None,
    }
}

fn run<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    matcher_of(args)?.value(&sample).or_else(|| args.get(1).and_then(default))
}

fn run_key<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    matcher_of(args)?.key(&sample).map(|k| Sample::Str(Cow::Owned(k)))
}

/// The value's `\1` are groups of the expression that matched.
fn run_regm<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let Sample::Str(text) = &sample else { return None };
    match matcher_of(args)?.expanded(text) {
        Some(value) => Some(Sample::Str(Cow::Owned(value))),
        None => args.get(1).and_then(default),
    }
}

/// Loads the map; a default value takes the map's output type.
fn load(args: &mut [Arg], ctx: &mut BuildCtx<'_>, method: Match, out: T) -> Result<(), String> {
    let name = String::from_utf8_lossy(Args::str(args, 0)).into_owned();
    let reference = reference_of_file(&name, true, 0, ctx)?;
    let reading = Reading { method, ignore_case: false, resolve: false, out: Some(out) };
    args[0] = Arg::Map(reference.matcher(reading).map_err(|e| format!("{e} of file <{name}>"))?);
    let text = Args::str(args, 1).to_vec();
    if out == T::Addr && args.len() > 1 {
        args[1] = match cast(Sample::Str(Cow::Borrowed(&text)), T::Addr) {
            Some(Sample::Ipv4(a)) => Arg::Ipv4(a),
            Some(Sample::Ipv6(a)) => Arg::Ipv6(a),
            _ => return Err(format!("map: cannot parse default ip <{}>", String::from_utf8_lossy(&text))),
        };
    }
    Ok(())
}

const STR: ArgSpec = ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str]);
const INT: ArgSpec = ArgSpec::new(1, &[ArgKind::Str, ArgKind::Int]);
const KEY: ArgSpec = ArgSpec::new(1, &[ArgKind::Str]);
const VALUE_DOC: &str = "The value of the file's first key that matches, else <default>.";
const INT_DOC: &str = "The number beside the file's first key that matches, else <default>.";
const IP_DOC: &str = "The address beside the file's first key that matches, else <default>.";
const KEY_DOC: &str = "The file's first key that matches.";

const fn converter(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    out: T,
    input: T,
    run: ConvFn,
) -> Converter {
    Converter::new(Entry::full(name, args, doc, example, "1.5").naming(Place::FILE), input, out, run)
}

/// The four converters of a matching method: string, number, address, key.
macro_rules! family {
    ($($str:literal $int:literal $ip:literal $key:literal: $method:expr, $input:expr;)*) => {
        &[$(
            converter($str, "<file>[,<default>]", VALUE_DOC, concat!("req.hdr(host),", $str, "(virt@a,none)"), T::Str, $input, run)
                .args(STR).check(|a, c| load(a, c, $method, T::Str)),
            converter($int, "<file>[,<default>]", INT_DOC, concat!("req.hdr(host),", $int, "(virt@a,1)"), T::Int, $input, run)
                .args(INT).check(|a, c| load(a, c, $method, T::Int)),
            converter($ip, "<file>[,<default>]", IP_DOC, concat!("req.hdr(host),", $ip, "(virt@a,127.0.0.1)"), T::Addr, $input, run)
                .args(STR).check(|a, c| load(a, c, $method, T::Addr)),
            converter($key, "<file>", KEY_DOC, concat!("req.hdr(host),", $key, "(virt@a)"), T::Str, $input, run_key)
                .args(KEY).check(|a, c| load(a, c, $method, T::Str)),
        )*
            converter("map", "<file>[,<default>]", VALUE_DOC, "req.hdr(host),map(virt@a,none)", T::Str, T::Str, run)
                .args(STR).check(|a, c| load(a, c, Match::Str, T::Str)),
            converter("map_regm", "<file>[,<default>]", "Like map_reg; \\1 in the value is a group of the match.", "path,map_regm(virt@a)", T::Str, T::Str, run_regm)
                .args(STR).check(|a, c| load(a, c, Match::Reg, T::Str)),
        ]
    };
}

pub static CONVERTERS: &[Converter] = family! {
    "map_str" "map_str_int" "map_str_ip" "map_str_key": Match::Str, T::Str;
    "map_beg" "map_beg_int" "map_beg_ip" "map_beg_key": Match::Beg, T::Str;
    "map_sub" "map_sub_int" "map_sub_ip" "map_sub_key": Match::Sub, T::Str;
    "map_dir" "map_dir_int" "map_dir_ip" "map_dir_key": Match::Dir, T::Str;
    "map_dom" "map_dom_int" "map_dom_ip" "map_dom_key": Match::Dom, T::Str;
    "map_end" "map_end_int" "map_end_ip" "map_end_key": Match::End, T::Str;
    "map_reg" "map_reg_int" "map_reg_ip" "map_reg_key": Match::Reg, T::Str;
    "map_int" "map_int_int" "map_int_ip" "map_int_key": Match::Int, T::Int;
    "map_ip" "map_ip_int" "map_ip_ip" "map_ip_key": Match::Ip, T::Addr;
};
