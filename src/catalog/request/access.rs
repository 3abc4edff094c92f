//! What a token may do: resources, access to them, and the rules of policies.

use std::sync::Arc;

/// What Consul's policies speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Acl,
    Agent,
    Event,
    Key,
    Keyring,
    Mesh,
    Node,
    Operator,
    Query,
    Service,
    Session,
}

impl Resource {
    pub const ALL: [Resource; 11] = [
        Resource::Acl,
        Resource::Agent,
        Resource::Event,
        Resource::Key,
        Resource::Keyring,
        Resource::Mesh,
        Resource::Node,
        Resource::Operator,
        Resource::Query,
        Resource::Service,
        Resource::Session,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Resource::Acl => "acl",
            Resource::Agent => "agent",
            Resource::Event => "event",
            Resource::Key => "key",
            Resource::Keyring => "keyring",
            Resource::Mesh => "mesh",
            Resource::Node => "node",
            Resource::Operator => "operator",
            Resource::Query => "query",
            Resource::Service => "service",
            Resource::Session => "session",
        }
    }

    /// Whether rules for it have no name: `operator = "read"`.
    pub fn whole(self) -> bool {
        matches!(self, Resource::Acl | Resource::Keyring | Resource::Mesh | Resource::Operator)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    pub fn name(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
        }
    }
}

/// What one rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Deny,
    Read,
    Write,
}

/// `key_prefix "a/" { policy = "read" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub resource: Resource,
    pub name: String,
    pub prefix: bool,
    pub level: Level,
}

/// Who a request speaks for.
#[derive(Clone, Debug, Default)]
pub enum Authority {
    /// A management token, or no access control at all.
    Everything,
    /// Reads whatever is no secret.
    Reader,
    #[default]
    Nobody,
    /// The rules of a token's policies; where none speaks, whether it may read as anybody may.
    Rules { rules: Arc<[Rule]>, reader: bool },
}

impl Authority {
    pub fn allows(&self, resource: Resource, name: &str, access: Access) -> bool {
        let open = access == Access::Read && !matches!(resource, Resource::Acl | Resource::Keyring);
        match self {
            Authority::Everything => true,
            Authority::Reader => open,
            Authority::Nobody => false,
            Authority::Rules { rules, reader } => match ruling(rules, resource, name) {
                Some(Level::Deny) => false,
                Some(Level::Read) => access == Access::Read,
                Some(Level::Write) => true,
                None => *reader && open,
            },
        }
    }

    /// Whether every name passes, so that lists need not be looked through.
    pub fn unlimited(&self) -> bool {
        matches!(self, Authority::Everything | Authority::Reader)
    }
}

/// The rule that speaks for a name: an exact one, or the longest prefix. Of several as good, `deny` wins, then `write`.
fn ruling(rules: &[Rule], resource: Resource, name: &str) -> Option<Level> {
    let mut best: Option<(bool, usize, Level)> = None;
    for rule in rules.iter().filter(|rule| rule.resource == resource) {
        let speaks = match (resource.whole(), rule.prefix) {
            (true, _) => true,
            (_, true) => name.starts_with(&rule.name),
            (_, false) => name == rule.name,
        };
        if !speaks {
            continue;
        }
        let rank = (!rule.prefix, rule.name.len());
        best = match best {
            Some((exact, len, level)) if (exact, len) > rank => Some((exact, len, level)),
            Some((exact, len, level)) if (exact, len) == rank => {
                let deny = level == Level::Deny || rule.level == Level::Deny;
                Some((exact, len, if deny { Level::Deny } else { level.max(rule.level) }))
            }
            _ => Some((rank.0, rank.1, rule.level)),
        };
    }
    best.map(|(_, _, level)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(resource: Resource, name: &str, prefix: bool, level: Level) -> Rule {
        Rule { resource, name: name.into(), prefix, level }
    }

    #[test]
    fn the_most_specific_rule_speaks() {
        let rules: Arc<[Rule]> = [
            rule(Resource::Key, "", true, Level::Read),
            rule(Resource::Key, "private/", true, Level::Deny),
            rule(Resource::Key, "private/mine", false, Level::Write),
            rule(Resource::Operator, "", false, Level::Read),
        ]
        .into();
        let who = Authority::Rules { rules, reader: false };
        assert!(
            who.allows(Resource::Key, "a", Access::Read) && !who.allows(Resource::Key, "a", Access::Write)
        );
        assert!(!who.allows(Resource::Key, "private/x", Access::Read));
        assert!(who.allows(Resource::Key, "private/mine", Access::Write));
        assert!(who.allows(Resource::Operator, "", Access::Read));
        assert!(!who.allows(Resource::Service, "web", Access::Read));
    }

    #[test]
    fn deny_wins_among_equals() {
        let rules: Arc<[Rule]> = [
            rule(Resource::Service, "web", false, Level::Write),
            rule(Resource::Service, "web", false, Level::Deny),
        ]
        .into();
        assert!(!Authority::Rules { rules, reader: true }.allows(Resource::Service, "web", Access::Read));
    }

    #[test]
    fn a_reader_reads_no_tokens() {
        assert!(Authority::Reader.allows(Resource::Key, "a", Access::Read));
        assert!(!Authority::Reader.allows(Resource::Acl, "", Access::Read));
        assert!(!Authority::Reader.allows(Resource::Key, "a", Access::Write));
        assert!(!Authority::Nobody.allows(Resource::Key, "a", Access::Read));
    }
}
