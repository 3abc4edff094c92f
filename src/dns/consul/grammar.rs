//! What a name below the domain asks for (Consul's manual, "DNS usage overview"), read from right to left.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'n> {
    /// The domain itself.
    Domain,
    Service {
        name: &'n str,
        /// An instance must have it; dots are part of it.
        tag: Option<&'n str>,
        /// A datacenter or a region.
        place: Option<&'n str>,
    },
    Node {
        name: &'n str,
        place: Option<&'n str>,
    },
    Query {
        name: &'n str,
        place: Option<&'n str>,
    },
    /// A name that stands for an address: targets of SRV records.
    Address(IpAddr),
}

const KINDS: [&str; 7] = ["addr", "connect", "ingress", "node", "query", "service", "virtual"];

/// Reads the part of a name that is below the domain, in lower case, labels joined by dots. `None`: it is no such name.
/// `srv`: SRV records are asked for, which may leave out `service`.
pub fn parse(text: &str, srv: bool) -> Option<Asked<'_>> {
    if text.is_empty() {
        return Some(Asked::Domain);
    }
    let Some((parts, kind, rest)) = split(text) else {
        return if srv { rfc2782(text, None) } else { None };
    };
    let place = place(rest)?;
    if parts.is_empty() {
        return None;
    }
    match kind {
        "service" => rfc2782(parts, place).or_else(|| {
            let (tag, name) = match parts.rsplit_once('.') {
                Some((tag, name)) => (Some(tag), name),
                None => (None, parts),
            };
            (!name.is_empty()).then_some(Asked::Service { name, tag, place })
        }),
        "node" => Some(Asked::Node { name: parts, place }),
        "query" => {
            // `_name._tcp.query`: the protocol says nothing.
            let name =
                parts.strip_prefix('_').map_or(parts, |name| name.rsplit_once("._").map_or(name, |(n, _)| n));
            Some(Asked::Query { name, place })
        }
        "addr" => address(parts).map(Asked::Address),
        // Of a service mesh there is none here: its names are those of no service.
        _ => None,
    }
}

/// The first word from the right that says what is asked for, what is before it and what is behind.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let mut end = text.len();
    loop {
        let start = text[..end].rfind('.').map_or(0, |at| at + 1);
        let label = &text[start..end];
        if KINDS.contains(&label) {
            let rest = text.get(end + 1..).unwrap_or("");
            return Some((text[..start].trim_end_matches('.'), label, rest));
        }
        end = start.checked_sub(1)?;
    }
}

/// `_name._tag`; `_tcp` stands for no tag.
fn rfc2782<'n>(parts: &'n str, place: Option<&'n str>) -> Option<Asked<'n>> {
    let (name, tag) = parts.strip_prefix('_')?.split_once("._")?;
    let whole = !name.is_empty() && !tag.is_empty() && !name.contains('.') && !tag.contains('.');
    whole.then_some(Asked::Service { name, tag: Some(tag).filter(|tag| *tag != "tcp"), place })
}

/// `<place>`, or pairs of a value and what it is. `None`: of a namespace, partition or peer that is not there.
fn place(rest: &str) -> Option<Option<&str>> {
    if rest.is_empty() {
        return Some(None);
    }
    let mut labels = rest.split('.');
    let mut place = None;
    while let Some(value) = labels.next() {
        match labels.next() {
            None if place.is_none() => place = Some(value),
            Some("dc") if place.is_none() => place = Some(value),
            Some("ns" | "ap") if value == "default" => {}
            _ => return None,
        }
    }
    Some(place)
}

fn address(text: &str) -> Option<IpAddr> {
    match text.len() {
        8 => u32::from_str_radix(text, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into()),
        32 => u128::from_str_radix(text, 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into()),
        _ => None,
    }
}

/// The address that a name of `in-addr.arpa` or `ip6.arpa` stands for: its text in lower case, without a dot at the end.
pub fn reverse(text: &str) -> Option<IpAddr> {
    if let Some(labels) = text.strip_suffix(".in-addr.arpa") {
        let mut octets = [0u8; 4];
        let mut parts = labels.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| Ipv4Addr::from(octets).into());
    }
    let labels = text.strip_suffix(".ip6.arpa")?;
    let mut bits = 0u128;
    let mut count = 0;
    for label in labels.split('.') {
        let digit = label.chars().next().filter(|_| label.len() == 1)?.to_digit(16)?;
        bits = bits >> 4 | u128::from(digit) << 124;
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service<'n>(name: &'n str, tag: Option<&'n str>, place: Option<&'n str>) -> Option<Asked<'n>> {
        Some(Asked::Service { name, tag, place })
    }

    #[test]
    fn services_and_their_tags() {
        assert_eq!(parse("web.service", false), service("web", None, None));
        assert_eq!(parse("web.service.dc1", false), service("web", None, Some("dc1")));
        assert_eq!(
            parse("v1.2.web.service", false),
            service("web", Some("v1.2"), None),
            "a tag may have dots"
        );
        assert_eq!(parse("_web._tcp.service", true), service("web", None, None));
        assert_eq!(parse("_web._master.service.eu", true), service("web", Some("master"), Some("eu")));
        assert_eq!(parse("_web._tcp", true), service("web", None, None), "'service' may be left out for SRV");
        assert_eq!((parse("_web._tcp", false), parse("web", true)), (None, None));
        assert_eq!(
            parse("web.service.default.ns.default.ap.dc1.dc", false),
            service("web", None, Some("dc1"))
        );
        assert_eq!((parse("web.service.other.ns.dc1.dc", false), parse("service", false)), (None, None));
        assert_eq!(parse("web.connect", false), None);
    }

    #[test]
    fn nodes_queries_and_addresses() {
        assert_eq!(parse("a.b.node", false), Some(Asked::Node { name: "a.b", place: None }));
        assert_eq!(parse("lb.node.dc1", false), Some(Asked::Node { name: "lb", place: Some("dc1") }));
        assert_eq!(parse("my.query", false), Some(Asked::Query { name: "my", place: None }));
        assert_eq!(parse("_my._tcp.query", true), Some(Asked::Query { name: "my", place: None }));
        let v4 = "192.0.2.1".parse().expect("an address");
        assert_eq!(parse("c0000201.addr.dc1", false), Some(Asked::Address(v4)));
        assert_eq!(parse("c00002.addr", false), None);
        assert_eq!(parse("", false), Some(Asked::Domain));
    }

    #[test]
    fn reverse_names() {
        assert_eq!(reverse("4.3.2.1.in-addr.arpa"), "1.2.3.4".parse().ok());
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(reverse(v6), "2001:db8::1".parse().ok());
        assert_eq!(
            (reverse("3.2.1.in-addr.arpa"), reverse("x.ip6.arpa"), reverse("5.4.3.2.1.in-addr.arpa")),
            (None, None, None)
        );
    }
}
