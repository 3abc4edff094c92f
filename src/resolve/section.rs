//! `resolvers` sections (manual 5.3.2): who is asked for names, how often, and how long what was said holds.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use crate::lang::args::Args;
use crate::lang::load::reason;
use crate::lang::registry::Kind;
use crate::lang::time::{Unit, time, time_of};
use crate::lang::void::is_void_line;
use crate::lang::{Diagnostics, Entry, Section, Span, Status, Word, suggest};
use crate::model::notation::{Accept, Surroundings, parse};

/// Where the system says whom to ask.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Name servers of one section at most.
const MOST: usize = 64;

/// Lines of the section.
#[rustfmt::skip]
pub const LINES: &[Entry] = &[
    Entry::full("accepted_payload_size", "<nb>", "Octets of a datagram that name servers may send; what does not fit is asked for over TCP.", "accepted_payload_size 8192", "1.8"),
    Entry::full("hold nx", "<period>", "How long servers keep their addresses while the name is said not to exist.", "hold nx 30s", "1.6"),
    Entry::full("hold obsolete", "<period>", "How long a record is kept that answers no longer have.", "hold obsolete 10s", "1.7"),
    Entry::full("hold other", "<period>", "How long servers keep their addresses after any other error.", "hold other 30s", "1.6"),
    Entry::full("hold refused", "<period>", "How long servers keep their addresses while answers are refused.", "hold refused 30s", "1.6"),
    Entry::full("hold timeout", "<period>", "How long servers keep their addresses while nobody answers.", "hold timeout 30s", "1.6"),
    Entry::full("hold valid", "<period>", "How long 'do-resolve' uses an answer again.", "hold valid 10s", "1.6"),
    Entry::full("nameserver", "<name> <address>[:port]", "A name server; tcp@ before the address to ask it over TCP alone.", "nameserver dns1 10.0.0.1:53", "1.6"),
    Entry::full("parse-resolv-conf", "", "Name servers of /etc/resolv.conf.", "parse-resolv-conf", "1.9"),
    Entry::full("resolution_pool_size", "<nb>", "A limit that no release of HAProxy had.", "", "").with(Status::Refused("it never appeared in a stable release")),
    Entry::full("resolve_retries", "<nb>", "How many times a name is asked for before it counts as an error.", "resolve_retries 3", "1.6"),
    Entry::full("timeout resolve", "<time>", "Time between two resolutions of a name.", "timeout resolve 1s", "1.6"),
    Entry::full("timeout retry", "<time>", "How long an answer is waited for before the name is asked for again.", "timeout retry 1s", "1.6"),
];

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    pub name: Arc<str>,
    pub address: SocketAddr,
    /// Over TCP alone.
    pub is_tcp: bool,
}

/// `hold`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub nx_ms: u64,
    pub obsolete_ms: u64,
    pub other_ms: u64,
    pub refused_ms: u64,
    pub timeout_ms: u64,
    pub valid_ms: u64,
}

impl Default for Hold {
    fn default() -> Hold {
        Hold {
            nx_ms: 30_000,
            obsolete_ms: 0,
            other_ms: 30_000,
            refused_ms: 30_000,
            timeout_ms: 30_000,
            valid_ms: 10_000,
        }
    }
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub name: Arc<str>,
    pub nameservers: Vec<Nameserver>,
    pub payload: u16,
    pub retries: u32,
    pub resolve_ms: u64,
    pub retry_ms: u64,
    pub hold: Hold,
}

impl Spec {
    pub fn new(name: &str) -> Spec {
        Spec {
            name: name.into(),
            nameservers: Vec::new(),
            payload: 512,
            retries: 3,
            resolve_ms: 1000,
            retry_ms: 1000,
            hold: Hold::default(),
        }
    }
}

/// What a section may look at besides its lines.
pub struct Around<'a> {
    pub surroundings: Surroundings<'a>,
    pub files: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

/// Reads a section; `None` when it has no name.
pub fn section(section: &Section, around: &Around<'_>, diags: &mut Diagnostics) -> Option<Spec> {
    let head = Args::of(&section.head);
    let name = head.str(1);
    if name.is_empty() {
        diags.alert(head.span, "missing name for resolvers section.");
        return None;
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    if let Some(c) = name.chars().find(|c| !allowed(c)) {
        diags.alert(head.at(1), format!("character '{c}' is not permitted in 'resolvers' name '{name}'."));
        return None;
    }
    let mut spec = Spec::new(name);
    for line in &section.lines {
        let args = Args::of(line);
        if !is_void_line(Kind::In("resolvers"), args.words) {
            self::line(&mut spec, args, around, diags);
        }
    }
    if spec.nameservers.is_empty() {
        diags.warning(head.span, format!("resolvers '{name}' has no nameservers configured!"));
    }
    Some(spec)
}

fn line(spec: &mut Spec, args: Args<'_>, around: &Around<'_>, diags: &mut Diagnostics) {
    let word = args.str(0);
    match word {
        "nameserver" => nameserver(spec, args, around, diags),
        "parse-resolv-conf" => match (around.files)(Path::new(RESOLV_CONF)) {
            Ok(text) => of_resolv_conf(spec, &text),
            Err(e) => {
                let message = format!("failed to open {RESOLV_CONF}: {}.", reason(&e));
                diags.alert(args.span, message);
            }
        },
        "hold" => hold(spec, args, diags),
        "timeout" => timeout(spec, args, diags),
        "resolve_retries" => {
            if let Some(n) = number(args, diags) {
                spec.retries = n.clamp(1, u64::from(u16::MAX)) as u32;
            }
        }
        "accepted_payload_size" => match number(args, diags) {
            Some(n @ 12..=65_535) => spec.payload = n as u16,
            Some(n) => {
                let message = format!("'{word}' must be between 12 and 65535 inclusive (was {n}).");
                diags.alert(args.at(1), message);
            }
            None => {}
        },
        "resolution_pool_size" => {
            let message = "'resolution_pool_size' directive is not supported anymore (it never appeared in a stable release).";
            diags.alert(args.at(0), message);
        }
        _ => {
            let hint = suggest::hint(word, LINES.iter().map(|entry| entry.name));
            diags.alert_hint(args.at(0), format!("unknown keyword '{word}' in 'resolvers' section"), hint);
        }
    }
}

/// What is no number reads as 0, as in HAProxy.
fn number(args: Args<'_>, diags: &mut Diagnostics) -> Option<u64> {
    if args.str(1).is_empty() {
        diags.alert(args.span, format!("'{}' expects <nb> as argument.", args.str(0)));
        return None;
    }
    let digits: String = args.str(1).chars().take_while(char::is_ascii_digit).collect();
    match (digits.parse(), args.str(0)) {
        (Ok(n), _) => Some(n),
        // The size has a least value, which is told.
        (Err(_), "accepted_payload_size") => Some(0),
        (Err(_), _) => Some(1),
    }
}

fn nameserver(spec: &mut Spec, args: Args<'_>, around: &Around<'_>, diags: &mut Diagnostics) {
    let name = args.str(1);
    if !args.has(2) {
        return diags.alert(args.span, "'nameserver' expects <name> and <addr>[:<port>] as arguments.");
    }
    if spec.nameservers.iter().any(|other| *other.name == *name) {
        let message = format!("nameserver '{name}' has same name as another nameserver of the section.");
        return diags.alert(args.at(1), message);
    }
    let accept = Accept::PORT
        | Accept::PORT_NEEDED
        | Accept::STREAM
        | Accept::DATAGRAM
        | Accept::DATAGRAM_FIRST
        | Accept::RESOLVE;
    let written = match parse(args.str(2), accept, &around.surroundings) {
        Ok(written) => written,
        Err(e) => return diags.alert(args.at(2), format!("'nameserver {name}' : {e}")),
    };
    let Some(address) = written.address(written.first_port()).and_then(|address| address.inet()) else {
        let message = format!("'nameserver {name}' : '{}' is no address of IP.", args.str(2));
        return diags.alert(args.at(2), message);
    };
    // Options of servers may follow one that is asked over TCP; none of them says anything of names.
    if written.datagram && args.has(3) {
        diags.warning(args.at(3), format!("'nameserver {name}' : '{}' says nothing here.", args.str(3)));
    }
    add(spec, Nameserver { name: name.into(), address, is_tcp: !written.datagram });
}

fn add(spec: &mut Spec, nameserver: Nameserver) {
    if spec.nameservers.len() < MOST {
        spec.nameservers.push(nameserver);
    }
}

/// Takes in the `nameserver` lines of a file of the system.
pub fn of_resolv_conf(spec: &mut Spec, text: &[u8]) {
    for line in String::from_utf8_lossy(text).lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        // An interface may stand behind an address of the link.
        let Some(ip) = words.next().and_then(|ip| ip.split('%').next()?.parse::<IpAddr>().ok()) else {
            continue;
        };
        let name: Arc<str> = ip.to_string().into();
        if !spec.nameservers.iter().any(|other| other.name == name) {
            add(spec, Nameserver { name, address: SocketAddr::new(ip, 53), is_tcp: false });
        }
    }
}

fn hold(spec: &mut Spec, args: Args<'_>, diags: &mut Diagnostics) {
    if !args.has(2) {
        let message = "'hold' expects an <event> and a <time> as arguments.";
        return diags.alert(args.span, message);
    }
    let hold = &mut spec.hold;
    let to = match args.str(1) {
        "nx" => &mut hold.nx_ms,
        "refused" => &mut hold.refused_ms,
        "timeout" => &mut hold.timeout_ms,
        "other" => &mut hold.other_ms,
        "valid" => &mut hold.valid_ms,
        "obsolete" => &mut hold.obsolete_ms,
        other => {
            let message = format!(
                "'hold' unknown <event>: '{other}', expects either 'nx', 'timeout', 'valid', 'obsolete' or 'other'."
            );
            return diags.alert(args.at(1), message);
        }
    };
    set(to, args.words.get(2), "<hold>", diags, args.at(2));
}

fn timeout(spec: &mut Spec, args: Args<'_>, diags: &mut Diagnostics) {
    let to = match args.str(1) {
        "resolve" => &mut spec.resolve_ms,
        "retry" => &mut spec.retry_ms,
        other => {
            let message =
                format!("'timeout' expects 'retry' or 'resolve' and <time> as arguments got '{other}'.");
            return diags.alert(args.at(1), message);
        }
    };
    if !args.has(2) {
        let message = format!("'timeout {}' expects <time> as argument.", args.str(1));
        return diags.alert(args.span, message);
    }
    set(to, args.words.get(2), "<timeout>", diags, args.at(2));
}

fn set(to: &mut u64, word: Option<&Word>, what: &str, diags: &mut Diagnostics, at: Span) {
    // HAProxy names a character that is wrong in words of its own.
    if let Some(text) = word.map(Word::str)
        && let Err(crate::lang::time::TimeError::Unexpected(c)) = time(text, Unit::Milliseconds)
    {
        return diags.alert(at, format!("unexpected character '{c}' in argument to {what}."));
    }
    if let Some(ms) = time_of(diags, word, what, Unit::Milliseconds, at) {
        *to = ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Env, Facts, Input, LoadOptions, load};

    fn read(lines: &str) -> (Vec<Spec>, Vec<String>) {
        let text = format!("resolvers dns\n{lines}\n");
        let facts = Facts::default();
        let options = LoadOptions::new(&facts, Env::default(), &["resolvers"]);
        let loaded = load(&[Input::Text { name: "test".to_owned(), text }], options);
        let mut diags = Diagnostics::default();
        let resolve = |name: &str| match name {
            "localhost" => Ok(vec![IpAddr::from([127, 0, 0, 1])]),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let around = Around {
            surroundings: Surroundings { resolve: &resolve, env: &|_| None, unix_prefix: "" },
            files: &|_| {
                Ok(b"# a remark\nnameserver 10.0.0.53\nsearch test\nnameserver fe80::1%eth0\n".to_vec())
            },
        };
        let specs = loaded.sections.iter().filter_map(|s| section(s, &around, &mut diags)).collect();
        (specs, diags.list.into_iter().map(|d| d.message).collect())
    }

    #[test]
    fn a_section_is_read() {
        let (specs, messages) = read(
            " nameserver one 10.0.0.1:53\n nameserver two tcp@localhost:5353\n parse-resolv-conf\n \
             accepted_payload_size 8192\n resolve_retries 5\n timeout resolve 2s\n timeout retry 300\n hold nx 1s\n \
             hold obsolete 2s\n hold other 3s\n hold refused 4s\n hold timeout 5s\n hold valid 6s",
        );
        assert!(messages.is_empty(), "{messages:?}");
        let spec = &specs[0];
        let shown: Vec<String> =
            spec.nameservers.iter().map(|s| format!("{} {} {}", s.name, s.address, s.is_tcp)).collect();
        assert_eq!(
            shown,
            [
                "one 10.0.0.1:53 false",
                "two 127.0.0.1:5353 true",
                "10.0.0.53 10.0.0.53:53 false",
                "fe80::1 [fe80::1]:53 false"
            ]
        );
        assert_eq!((spec.payload, spec.retries, spec.resolve_ms, spec.retry_ms), (8192, 5, 2000, 300));
        let hold = Hold {
            nx_ms: 1000,
            obsolete_ms: 2000,
            other_ms: 3000,
            refused_ms: 4000,
            timeout_ms: 5000,
            valid_ms: 6000,
        };
        assert_eq!(spec.hold, hold);
    }

    /// The messages are those of HAProxy 2.6.
    #[test]
    fn what_is_wrong_is_told() {
        for (line, message) in [
            ("nameserver d", "'nameserver' expects <name> and <addr>[:<port>] as arguments."),
            ("nameserver d 127.0.0.1", "'nameserver d' : missing port specification in '127.0.0.1'"),
            (
                "hold foo 1s",
                "'hold' unknown <event>: 'foo', expects either 'nx', 'timeout', 'valid', 'obsolete' or 'other'.",
            ),
            ("hold nx", "'hold' expects an <event> and a <time> as arguments."),
            ("hold nx x", "unexpected character 'x' in argument to <hold>."),
            (
                "timeout client 1s",
                "'timeout' expects 'retry' or 'resolve' and <time> as arguments got 'client'.",
            ),
            ("timeout retry", "'timeout retry' expects <time> as argument."),
            ("resolve_retries", "'resolve_retries' expects <nb> as argument."),
            (
                "accepted_payload_size 65536",
                "'accepted_payload_size' must be between 12 and 65535 inclusive (was 65536).",
            ),
            ("accepted_payload_size", "'accepted_payload_size' expects <nb> as argument."),
            ("foo", "unknown keyword 'foo' in 'resolvers' section"),
        ] {
            let (_, messages) = read(&format!(" nameserver n 10.0.0.1:53\n {line}"));
            assert_eq!(messages, [message], "{line}");
        }
        assert_eq!(read("").1, ["resolvers 'dns' has no nameservers configured!"]);
    }
}
