//! `log` lines, log formats and the `option` forms of them.

use crate::lang::{Span, suggest};
use crate::model::Address;

use super::super::global::{LogAddress, LogFraming, LogTarget};
use super::draft::{Cx, FormatSource, Kind};
use super::keyword::Scope;
use crate::lang::args::{Args, Cursor, Prefix};
use crate::model::notation::{Accept, Host, parse};

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp",
    "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

const FRAMINGS: [(&str, LogFraming); 8] = [
    ("local", LogFraming::Local),
    ("rfc3164", LogFraming::Rfc3164),
    ("rfc5424", LogFraming::Rfc5424),
    ("priority", LogFraming::Priority),
    ("short", LogFraming::Short),
    ("timed", LogFraming::Timed),
    ("iso", LogFraming::Iso),
    ("raw", LogFraming::Raw),
];

/// A syslog level by name, 0 (emerg) to 7 (debug).
pub fn level(name: &str) -> Option<u8> {
    LEVELS.iter().position(|l| *l == name).map(|i| i as u8)
}

/// A syslog facility by name.
pub fn facility(name: &str) -> Option<u8> {
    FACILITIES.iter().position(|f| *f == name).map(|i| i as u8)
}

/// `log <address> [len n] [format f] [sample r:n] [profile p] <facility> [level [minlevel]]`.
///
/// `or` ends the message about missing arguments. Reports what is wrong and gives `None` then.
pub fn target(cx: &mut Cx<'_>, args: Args<'_>, or: &str) -> Option<LogTarget> {
    match read_target(cx, args, or) {
        Ok(target) => Some(target),
        Err((at, message)) => {
            cx.diags.alert(at, format!("log : {message}"));
            None
        }
    }
}

type Failure = (Span, String);

fn read_target(cx: &Cx<'_>, args: Args<'_>, or: &str) -> Result<LogTarget, Failure> {
    if !args.has(2) {
        let message = format!("expects <address> and <facility> {or}as arguments");
        return Err((args.span, message));
    }
    let address = address(cx, args.str(1)).map_err(|e| (args.at(1), e))?;
    let mut target = LogTarget {
        address,
        max_len: 1024,
        format: LogFraming::Unset,
        facility: 0,
        level: 7,
        min_level: 0,
        sample: None,
        counter: Default::default(),
        profile: None,
    };
    let mut words = Cursor::new(args, 2);
    options(&mut target, &mut words)?;
    let at = words.at();
    let name = words.take().map_or("", |w| w.str());
    let unknown = |what: &str, name: &str, names: &[&'static str]| {
        suggest::with_hint(format!("unknown {what} '{name}'"), name, names.iter().copied())
    };
    target.facility = facility(name).ok_or_else(|| (at, unknown("log facility", name, &FACILITIES)))?;
    let at = words.at();
    if let Some(word) = words.take() {
        let name = word.str();
        target.level = level(name).ok_or_else(|| (at, unknown("optional log level", name, &LEVELS)))?;
    }
    let at = words.at();
    if let Some(word) = words.take() {
        let name = word.str();
        target.min_level =
            level(name).ok_or_else(|| (at, unknown("optional minimum log level", name, &LEVELS)))?;
    }
    match words.take() {
        Some(word) => Err((word.span, format!("cannot handle unexpected argument '{}'", word.str()))),
        None => Ok(target),
    }
}

/// The options between address and facility, in the order HAProxy wants them.
fn options(target: &mut LogTarget, words: &mut Cursor<'_>) -> Result<(), Failure> {
    let argument = |words: &mut Cursor<'_>, name: &str| {
        let is_it = words.peek() == name;
        is_it.then(|| {
            words.take();
            (words.at(), words.take().map_or(String::new(), |w| w.str().to_owned()))
        })
    };
    if let Some((at, text)) = argument(words, "len") {
        let len = text.parse().ok().filter(|n| (80..=65535).contains(n));
        target.max_len =
            len.ok_or_else(|| (at, format!("invalid log length '{text}', must be between 80 and 65535")))?;
    }
    if let Some((at, text)) = argument(words, "format") {
        let found = FRAMINGS.iter().find(|(name, _)| *name == text);
        target.format = found.ok_or_else(|| (at, format!("unknown log format '{text}'")))?.1;
    }
    if let Some((at, text)) = argument(words, "sample") {
        target.sample = Some(sample(&text).map_err(|e| (at, e))?);
    }
    if let Some((at, text)) = argument(words, "profile") {
        return Err((
            at,
            format!(
                "log profile '{text}' is not supported by this release: there are no 'log-profile' sections"
            ),
        ));
    }
    Ok(())
}

/// `1-3,5:10`: which of every ten lines are sent.
fn sample(text: &str) -> Result<(Vec<(u32, u32)>, u32), String> {
    let (ranges, size) = text.split_once(':').ok_or("Missing sample size")?;
    let mut list = Vec::new();
    for range in ranges.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let read = |n: &str| n.parse::<u32>().ok().filter(|n| *n > 0);
        let (low, high) =
            read(low).zip(read(high)).ok_or_else(|| format!("invalid sample range '{range}'"))?;
        if low > high {
            return Err(format!("invalid sample range '{range}'"));
        }
        if list.iter().any(|(l, h)| low <= *h && high >= *l) {
            return Err("sample ranges are overlapping".to_owned());
        }
        list.push((low, high));
    }
    list.sort_unstable();
    let size: u32 = size
        .parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("wrong sample size '{size}' for sample range '{ranges}'"))?;
    match list.last() {
        Some((_, high)) if *high > size => Err(format!(
            "sample size {size} should be greater or equal to {high} the maximum of the high ranges limits"
        )),
        _ => Ok((list, size)),
    }
}

fn address(cx: &Cx<'_>, text: &str) -> Result<LogAddress, String> {
    match text {
        "stdout" => return Ok(LogAddress::Fd(1)),
        "stderr" => return Ok(LogAddress::Fd(2)),
        _ => {}
    }
    if let Some(name) = text.strip_prefix("ring@") {
        return Err(format!("ring '{name}' is not supported by this release: there are no 'ring' sections"));
    }
    let accept = Accept::PORT
        | Accept::DATAGRAM
        | Accept::STREAM
        | Accept::DATAGRAM_FIRST
        | Accept::FD
        | Accept::RESOLVE;
    let written = parse(text, accept, &cx.surroundings())?;
    if let Host::Fd(n) = written.host {
        return Ok(LogAddress::Fd(n));
    }
    if !written.datagram {
        return Err(format!("log servers over a stream are not supported by this release, in '{text}'"));
    }
    let port = if written.first_port() == 0 { 514 } else { written.first_port() };
    let address = written.address(port).unwrap_or_else(|| Address::Unix(text.into()));
    Ok(LogAddress::Socket(address))
}

/// `log ...`, `log global`, `no log` in a proxy section.
pub fn log_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.prefix != Prefix::None {
        if args.has(1) {
            scope.alert(args.at(1), "log : 'no log' does not expect arguments");
        }
        scope.px.set.log.targets.clear();
        scope.px.set.log.global = false;
        return;
    }
    if args.str(1) == "global" && !args.has(2) {
        // Taken once, whatever the number of lines that ask for it.
        if !scope.px.set.log.global {
            scope.px.set.log.global = true;
            let targets = scope.cx.global.logs.clone();
            scope.px.set.log.targets.extend(targets);
        }
        return;
    }
    if let Some(target) = target(scope.cx, args, "or global ") {
        scope.px.set.log.targets.push(target);
    }
}

pub fn log_tag<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if let Some(tag) = scope.needed(args, 1, "a tag for use in syslog") {
        scope.px.set.log.tag = Some(tag.to_owned());
    }
}

/// `option httplog [clf]`, `option httpslog`, `option tcplog [clf]`.
pub fn option_log<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = args.str(1);
    if name == "httpslog" {
        if !scope.too_many(args, 1, 0) {
            set_format(scope, args, FormatSource::Httpslog);
        }
        return;
    }
    let is_clf = match args.str(2) {
        "" => false,
        "clf" => true,
        _ => return scope.alert(args.at(2), format!("keyword '{name}' only supports option 'clf'.")),
    };
    if scope.too_many(args, 1, 1) {
        return;
    }
    let format = match (name, is_clf) {
        ("httplog", false) => FormatSource::Httplog,
        ("httplog", true) => FormatSource::HttplogClf,
        ("tcplog", false) => FormatSource::Tcplog,
        _ => FormatSource::TcplogClf,
    };
    set_format(scope, args, format);
}

/// `log-format`, `error-log-format` and `log-format-sd`.
pub fn log_format<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = args.str(0);
    let Some(word) = args.words.get(1) else {
        return scope.alert(args.span, format!("{name} expects an argument."));
    };
    if args.has(2) {
        let message = format!("{name} expects only one argument, don't forget to escape spaces!");
        return scope.alert(args.at(2), message);
    }
    if name == "log-format" {
        return set_format(scope, args, FormatSource::Custom(word));
    }
    warn_in_backend(scope, args, name);
    let is_defaults = scope.px.kind == Kind::Defaults;
    let log = &mut scope.px.set.log;
    if name == "log-format-sd" {
        log.sd_format = Some(word);
        return;
    }
    let had = log.error_format.replace(word).is_some();
    if had && is_defaults {
        scope.warning(
            args.at(0),
            "'error-log-format' overrides previous 'error-log-format' in 'defaults' section.",
        );
    }
}

fn set_format<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>, format: FormatSource<'a>) {
    let old = scope.px.set.log.format.replace((format, args.at(0)));
    if let Some((old, _)) = old
        && scope.px.kind == Kind::Defaults
    {
        let message =
            format!("'{}' overrides previous '{}' in 'defaults' section.", format.keyword(), old.keyword());
        scope.warning(args.at(0), message);
    }
    let name =
        if args.str(0) == "option" { format!("option {}", args.str(1)) } else { args.str(0).to_owned() };
    warn_in_backend(scope, args, &name);
}

fn warn_in_backend<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>, name: &str) {
    if scope.px.kind == Kind::Backend {
        let message = format!("backend '{}' : '{name}' directive is ignored in backends.", scope.px.name);
        scope.warning(args.at(0), message);
    }
}

impl FormatSource<'_> {
    /// The line that asks for this format.
    pub fn keyword(self) -> &'static str {
        match self {
            FormatSource::Httplog => "option httplog",
            FormatSource::Httpslog => "option httpslog",
            FormatSource::HttplogClf => "option httplog clf",
            FormatSource::Tcplog => "option tcplog",
            FormatSource::TcplogClf => "option tcplog clf",
            FormatSource::Custom(_) => "log-format",
        }
    }

    /// The format that does without `mode http`, when this one needs it.
    pub fn without_http(self) -> Option<Self> {
        match self {
            FormatSource::Httplog | FormatSource::Httpslog => Some(FormatSource::Tcplog),
            FormatSource::HttplogClf => Some(FormatSource::TcplogClf),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{messages, proxy};
    use super::*;

    #[test]
    fn targets() {
        let (px, diags) = proxy(
            "frontend f",
            &[
                "bind :80",
                "timeout client 1s",
                "log 127.0.0.1 len 2048 format rfc5424 sample 1,3-4:5 local2 notice err",
                "log stdout format raw daemon",
                "log /dev/log user",
                "option tcplog",
            ],
        );
        assert!(diags.list.is_empty(), "{diags:?}");
        let targets = px.expect("built").log.targets;
        assert_eq!(targets[0].address, LogAddress::Socket(Address::Inet("127.0.0.1:514".parse().unwrap())));
        assert_eq!(
            (targets[0].max_len, targets[0].facility, targets[0].level, targets[0].min_level),
            (2048, 18, 5, 3)
        );
        assert_eq!(targets[0].sample, Some((vec![(1, 1), (3, 4)], 5)));
        assert_eq!(targets[1].address, LogAddress::Fd(1));
        assert_eq!(targets[2].address, LogAddress::Socket(Address::Unix("/dev/log".into())));
    }

    #[test]
    fn wrong_targets() {
        for (line, expected) in [
            ("log 127.0.0.1", "log : expects <address> and <facility> or global as arguments"),
            ("log 127.0.0.1 locl0", "log : unknown log facility 'locl0'; did you mean 'local0' maybe ?"),
            ("log 127.0.0.1 local0 loud", "log : unknown optional log level 'loud'"),
            ("log 127.0.0.1 len 10 local0", "log : invalid log length '10', must be between 80 and 65535"),
            ("log 127.0.0.1 format x local0", "log : unknown log format 'x'"),
            ("log 127.0.0.1 local0 info err x", "log : cannot handle unexpected argument 'x'"),
            (
                "log 127.0.0.1 sample 1-3:2 local0",
                "log : sample size 2 should be greater or equal to 3 the maximum of the high ranges limits",
            ),
        ] {
            let (_, diags) = proxy("backend b", &[line]);
            assert_eq!(messages(&diags), [expected], "{line}");
        }
    }
}
