//! The table of the `dns` section.

use super::reading::{Open, Reading};
use super::{keyword_forward as forward, keyword_record as record, keyword_server as server};
use crate::lang::args::Args;
use crate::lang::registry::{Kind, Registry};
use crate::lang::{Entry, Place, What};

#[rustfmt::skip]
pub const SECTIONS: &[Entry] = &[
    Entry::full("dns", "<name>", "A DNS responder: zones of its own, records from the region map that name the nearest healthy region.", "dns example", "isobar"),
];

/// Parses one line of a section.
pub type LineFn = for<'r, 'a> fn(&mut Reading<'r>, &mut Open, Args<'a>);

/// One keyword of the section.
pub struct Keyword {
    pub entry: Entry,
    /// May stand on several lines.
    pub repeats: bool,
    pub parse: LineFn,
}

const fn once(entry: Entry, parse: LineFn) -> Keyword {
    Keyword { entry, repeats: false, parse }
}

const fn repeated(entry: Entry, parse: LineFn) -> Keyword {
    Keyword { entry, repeats: true, parse }
}

const LISTENS: &[Place] = &[Place::argument(1, What::Bind), Place::option("crt", What::File)];
const SIGNERS: &[Place] = &[Place::option("ca-file", What::File)];
const ZONE_FILE: &[Place] = &[Place::argument(2, What::Zone)];

#[rustfmt::skip]
pub const DNS: &[Keyword] = &[
    repeated(Entry::full("allow", "<network> ...", "Clients that may ask for names that are not ours, where 'forward' lines are; this host alone by default.", "allow 10.0.0.0/8", "isobar"), server::allow),
    repeated(Entry::full("bind", "<address>:<port> [ssl crt <file> [https [<path>]]]", "Where queries come in, over UDP and TCP. An answer leaves from the address that was asked, also where all are listened on. With 'ssl', over TLS alone (RFC 7858), with the certificates and the key of a file; with 'https', as requests over HTTP/2 and HTTP/1.1 for a path (RFC 8484), '/dns-query' by default.", "bind :53", "isobar").naming(LISTENS), server::bind),
    once(Entry::full("consul-domain", "<name> [ttl <time>]", "Consul's names of what is registered: services with tags and RFC 2782, nodes, prepared queries, addresses, and PTR of nodes. Where a datacenter stands in a name, a region may. The TTL is 0 unless it is given.", "consul-domain consul", "isobar"), server::consul_domain),
    once(Entry::full("cookie-secret", "<hexadecimal>", "16 octets that server cookies (RFC 9018) are made with: the same on all nodes behind one address. Without it each start draws another.", "cookie-secret e5e973e5a6b2a43f48e7dc849e37bfcf", "isobar"), server::cookie_secret),
    once(Entry::full("ecs", "{ on | off }", "Whether the client networks that queries carry (RFC 7871) are used; they are unless it says off.", "ecs off", "isobar"), server::ecs),
    repeated(Entry::full("forward", "<domain> [tls://[<name>@]]<address>[:<port>] ... [ca-file <file>]", "Servers that are asked for names below a domain ('.' for all) that no zone here has, over UDP, and TCP where an answer is truncated; or over TLS alone (RFC 7858), where its certificate must be for the name, or the address, and signed by who is in the file, or whom the system believes. Answers are kept for their time, asked for again before it ends, and kept longer while nobody answers (RFC 8767).", "forward . 10.0.0.2:53", "isobar").naming(SIGNERS), forward::forward),
    once(Entry::full("geoip-db", "<file>", "Where networks are: a MaxMind-format file, of cities or of countries, nested as GeoIP2 or flat ('country_code'). Read with the configuration, watched with it.", "geoip-db /usr/share/GeoIP/GeoLite2-Country.mmdb", "isobar").naming(Place::FILE), server::geoip_db),
    once(Entry::full("hostmaster", "<name>", "Who answers for zones without a file, in their SOA record: 'hostmaster' of the zone by default.", "hostmaster admin.example.com.", "isobar"), server::hostmaster),
    once(Entry::full("hosts-file", "<file>", "A hosts file (hosts(5)): addresses of names that no zone here has, and names of addresses. It is watched; its records have the TTL given above it.", "hosts-file /etc/hosts", "isobar").naming(Place::FILE), server::hosts_file),
    repeated(Entry::full("key", "<name> { hmac-sha256 | hmac-sha384 | hmac-sha512 } <secret>", "A secret shared with another server, in base64: messages that are signed with it are believed, and answered signed (RFC 8945).", "key transfer hmac-sha256 c2VjcmV0LW9mLXRoZS16b25lcy0wMTIzNDU2Nzg5", "isobar"), server::key),
    once(Entry::full("maxconn", "<number>", "TCP connections at once, 10000 by default; more are closed.", "maxconn 1000", "isobar"), server::maxconn),
    once(Entry::full("name-server", "<name> ...", "NS records of zones without a file; 'ns' of the zone by default, with the addresses of 'bind' lines.", "name-server ns1.example.com. ns2.example.net.", "isobar"), server::name_server),
    repeated(Entry::full("notify", "<address>[:<port>] ...", "Servers that are told when a zone has another serial number (RFC 1996), so that they ask for it.", "notify 192.0.2.53", "isobar"), server::notify),
    once(Entry::full("nsid", "<text>", "What this server calls itself when it is asked (RFC 5001, and 'id.server' of class CH).", "nsid lb1", "isobar"), server::nsid),
    once(Entry::full("query-log", "<number>", "One of so many queries is told on stderr: who asked, for what network, what, and what the answer was. None by default.", "query-log 1000", "isobar"), server::query_log),
    once(Entry::full("rate-limit", "<number>", "Answers of one kind to one network (/24 or /56) in a second, to clients without a cookie; half of those above it are sent truncated, the others not at all. No limit by default.", "rate-limit 50", "isobar"), server::rate_limit),
    repeated(Entry::full("record", "<name> { service <service> | SRV service <service> | alias <name> | <type> <data> ... } [tags <tag>[,<tag>]] [policy <step> ...] [ttl <time>] [last-resort { all | none | <address>[,<address>] }]", "A record of the zone above it; '@' is the zone itself. 'service': addresses (and with SRV, servers with priorities by region) of healthy instances in the region map. Steps of a policy, applied in turn: 'nearest [bias <region>=<percent>,...]', 'country', 'continent', 'networks', 'failover <region>,...' sort regions; 'weighted [<region>=<weight>,...]' draws one, 'sticky' keeps a client network to one instance; 'load [<percent>]' sheds clients above a high-water mark (80); 'multivalue <number>' takes so many addresses. Nobody healthy: 'last-resort', all by default. 'alias': the addresses of another name here, also at the apex.", "record www service web policy nearest ttl 30", "isobar"), record::record),
    once(Entry::full("tcp-idle", "<time>", "How long a TCP connection may be silent, 10 s by default.", "tcp-idle 30s", "isobar"), server::tcp_idle),
    once(Entry::full("threads", "<number>", "Threads that answer datagrams; one by default.", "threads 2", "isobar"), server::threads),
    repeated(Entry::full("transfer", "[key <name>] [<network> ...]", "Who may have whole zones (AXFR over TCP; IXFR gets all of it): with a key above, from these networks, or both. Records from the region map are no part of a transfer. Nobody may by default.", "transfer 192.0.2.0/24", "isobar"), server::transfer),
    once(Entry::full("ttl", "<time>", "The TTL of records that give none, 30 s by default.", "ttl 60s", "isobar"), server::ttl),
    repeated(Entry::full("zone", "<name>", "A zone without a file: its SOA and NS records are made, the others are 'record' lines below.", "zone lb.example.com", "isobar"), server::zone),
    repeated(Entry::full("zone-file", "<name> <file>", "A zone and its file (RFC 1035, with $INCLUDE and $GENERATE); 'record' lines below add to it.", "zone-file example.com /etc/isobar/example.com.zone", "isobar").naming(ZONE_FILE), server::zone_file),
];

/// The words that begin sections of this room.
pub fn section_kinds() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|e| e.name)
}

/// Every nameable thing of the room.
pub fn entries() -> impl Iterator<Item = (Kind, &'static Entry)> {
    let sections = SECTIONS.iter().map(|e| (Kind::Section, e));
    sections.chain(DNS.iter().map(|k| (Kind::In("dns"), &k.entry)))
}

/// Hands all of them to the registry.
pub fn register(registry: &mut Registry) {
    for (kind, entry) in entries() {
        registry.add(kind, [entry]);
    }
}
