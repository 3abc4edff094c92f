//! The tables of the `registry` and `mirror` sections.

use super::reading::{OpenMirror, OpenRegistry, Reading};
use super::{keyword_mirror as mirror, keyword_registry as registry};
use crate::lang::args::Args;
use crate::lang::registry::{Kind, Registry};
use crate::lang::{Entry, Place};

#[rustfmt::skip]
pub const SECTIONS: &[Entry] = &[
    Entry::full("mirror", "<name>", "A rule of the mirror: what is copied from which registry to which others, and when.", "mirror images", "isobar"),
    Entry::full("registry", "<name>", "An OCI registry that 'mirror' sections copy from or to.", "registry eu", "isobar"),
];

/// Parses one line of a section.
pub type LineFn<T> = for<'r, 'a> fn(&mut Reading<'r>, &mut T, Args<'a>);

/// One keyword of a section.
pub struct Keyword<T> {
    pub entry: Entry,
    /// May stand on several lines.
    pub repeats: bool,
    pub parse: LineFn<T>,
}

const fn once<T>(entry: Entry, parse: LineFn<T>) -> Keyword<T> {
    Keyword { entry, repeats: false, parse }
}

const fn repeated<T>(entry: Entry, parse: LineFn<T>) -> Keyword<T> {
    Keyword { entry, repeats: true, parse }
}

#[rustfmt::skip]
pub const REGISTRY: &[Keyword<OpenRegistry>] = &[
    once(Entry::full("ca-file", "<file>", "Who may have signed the registry's certificate; without it the system's authorities.", "ca-file /etc/isobar/ca.pem", "isobar").naming(Place::FILE), registry::ca_file),
    once(Entry::full("docker-config", "<file>", "A config.json as 'docker login' writes it, which has name and password for the registry. Credential helpers are not asked.", "docker-config /root/.docker/config.json", "isobar").naming(Place::FILE), registry::docker_config),
    once(Entry::full("maxconn", "<number>", "Requests and transfers at once on each node, and jobs at once in the cluster; 8 by default.", "maxconn 4", "isobar"), registry::maxconn),
    once(Entry::full("region", "<name>", "The region it stands in: nodes of that region take the jobs that copy to it, if they have room.", "region eu-west", "isobar"), registry::region),
    once(Entry::full("url", "<url>", "Where it is: http:// or https://, host and port.", "url http://registry-eu:5000", "isobar"), registry::url),
    once(Entry::full("user", "<name> password <password>", "Who the mirror is to the registry: shown to it, or to who gives out its tokens.", "user sync password secret", "isobar"), registry::user),
    once(Entry::full("verify", "{ required | none }", "Whether its certificate must be signed and for its name; it must unless it says none.", "verify none", "isobar"), registry::verify),
];

#[rustfmt::skip]
pub const MIRROR: &[Keyword<OpenMirror>] = &[
    once(Entry::full("bandwidth", "<size>", "Bytes a second, at most, that each node moves for the rule; no limit by default.", "bandwidth 10m", "isobar"), mirror::bandwidth),
    once(Entry::full("delete", "{ keep | propagate [at-most <percent>] }", "What becomes of tags that the source has no more: kept, unless it says propagate. Never more than so many percent (50) of a repository's tags are deleted at once, and nothing when the source lists no tags.", "delete propagate at-most 20", "isobar"), mirror::delete),
    once(Entry::full("every", "{ <time> | cron <minute> <hour> <day> <month> <weekday> }", "When both sides are compared: after that time, or at those times of the local clock. An hour by default.", "every 10m", "isobar"), mirror::every),
    once(Entry::full("from", "<registry>", "Where images come from.", "from eu", "isobar"), mirror::from),
    repeated(Entry::full("images", "<repository> ... [tags <tag> ...] [except <tag> ...] [newest <number>]", "Repositories ('*' stands for anything but '/', '**' for that too) and their tags: by pattern, 'semver:<range>' or 'regex:<expression>'; all by default. 'newest': so many of the highest versions. What refers to an image (signatures, bills of materials) goes with it.", "images app/* tags latest v* except *-rc*", "isobar"), mirror::images),
    once(Entry::full("on", "push", "Copies what a registry's webhook announces at once: it is to be sent to /v1/mirror/events of any node.", "on push", "isobar"), mirror::on),
    once(Entry::full("parallel", "<number>", "Jobs at once in the cluster, and layers of an image at once; 4 by default.", "parallel 8", "isobar"), mirror::parallel),
    once(Entry::full("platforms", "<os>/<architecture>[/<variant>] ...", "Of an index only these are copied: the one manifest, or an index of those that are left, which has a digest of its own.", "platforms linux/amd64 linux/arm64", "isobar"), mirror::platforms),
    once(Entry::full("priority", "<number>", "Jobs of rules with a higher one come first; 0 by default.", "priority 10", "isobar"), mirror::priority),
    repeated(Entry::full("rename", "<repository> <new>", "What repositories are called at the targets: wildcards of the second stand for what those of the first match. The first line that matches holds.", "rename library/* hub/*", "isobar"), mirror::rename),
    once(Entry::full("to", "<registry> ...", "Where they are copied to.", "to us ap", "isobar"), mirror::to),
];

/// The words that begin sections of this room.
pub fn section_kinds() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|e| e.name)
}

/// Hands all of them to the registry of keywords.
pub fn register(registry: &mut Registry) {
    registry.add(Kind::Section, SECTIONS);
    for keyword in REGISTRY {
        registry.add(Kind::In("registry"), [&keyword.entry]);
    }
    for keyword in MIRROR {
        registry.add(Kind::In("mirror"), [&keyword.entry]);
    }
}
