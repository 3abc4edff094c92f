//! Everything of this room that has a name, for the registry of names.

use crate::lang::Entry;
use crate::lang::registry::{Kind, Registry, Rules};

use super::action::Sets;
use super::{ACTIONS, CONVERTERS, FETCHES, LOG_TAGS, MATCHES};

const SETS: [(Sets, Rules); 7] = [
    (Sets::TCP_CONNECTION, Rules::TcpConnection),
    (Sets::TCP_SESSION, Rules::TcpSession),
    (Sets::TCP_CONTENT, Rules::TcpRequest),
    (Sets::TCP_RESPONSE, Rules::TcpResponse),
    (Sets::HTTP_REQUEST, Rules::HttpRequest),
    (Sets::HTTP_RESPONSE, Rules::HttpResponse),
    (Sets::HTTP_AFTER, Rules::HttpAfterResponse),
];

/// `%o`, which is no field but sets the flags of those behind it.
static FLAGS: Entry =
    Entry::full("o", "", "Applies its flags, as in %{+Q}o, to all fields behind it.", "%{+Q}o", "1.5");

/// Adds fetches, converters, matching methods, log fields and actions.
pub fn register(registry: &mut Registry) {
    registry.add(Kind::Fetch, FETCHES.iter().flat_map(|t| t.iter()).map(|f| &f.entry));
    registry.add(Kind::Converter, CONVERTERS.iter().flat_map(|t| t.iter()).map(|c| &c.entry));
    registry.name_anywhere(&[super::acl::PATTERN_FILE]);
    registry.add(Kind::AclMatch, MATCHES.iter().map(|m| &m.entry));
    registry.add(Kind::LogAlias, LOG_TAGS.iter().map(|t| &t.entry).chain([&FLAGS]));
    for (set, rules) in SETS {
        let actions = ACTIONS.iter().flat_map(|t| t.iter()).filter(|a| a.sets.contains(set));
        registry.add(Kind::Action(rules), actions.map(|a| &a.entry));
    }
}
