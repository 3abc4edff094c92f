//! The sections and the keywords of those that are no proxies (manual sections 5.3, 6, 8.3, 10 to 12).

use crate::lang::registry::{Kind, Vocabulary, unlisted, word};

/// Words that begin a section.
pub static SECTION: Vocabulary = Vocabulary {
    kind: Kind::Section,
    words: &[
        unlisted("global"),
        unlisted("defaults"),
        unlisted("frontend"),
        unlisted("listen"),
        unlisted("backend"),
        unlisted("userlist"),
        unlisted("mailers"),
        unlisted("peers"),
        unlisted("resolvers"),
        unlisted("cache"),
        unlisted("crt-store"),
        unlisted("traces"),
        unlisted("acme"),
        unlisted("fcgi-app"),
        unlisted("http-errors"),
        unlisted("log-forward"),
        unlisted("log-profile"),
        unlisted("namespace_list"),
        unlisted("ring"),
        unlisted("healthcheck"),
        unlisted("program"),
    ],
};

/// Section 12.2.
pub static USERLIST: Vocabulary =
    Vocabulary { kind: Kind::In("userlist"), words: &[word("group"), word("user")] };

/// Section 11.2.
pub static PEERS: Vocabulary = Vocabulary {
    kind: Kind::In("peers"),
    words: &[
        unlisted("bind"),
        unlisted("default-bind"),
        unlisted("default-server"),
        unlisted("disabled"),
        unlisted("enabled"),
        unlisted("log"),
        unlisted("peer"),
        unlisted("server"),
        unlisted("shards"),
        unlisted("table"),
    ],
};

/// Section 5.3.2.
pub static RESOLVERS: Vocabulary = Vocabulary {
    kind: Kind::In("resolvers"),
    words: &[
        unlisted("accepted_payload_size"),
        unlisted("hold nx"),
        unlisted("hold obsolete"),
        unlisted("hold other"),
        unlisted("hold refused"),
        unlisted("hold timeout"),
        unlisted("hold valid"),
        unlisted("nameserver"),
        unlisted("parse-resolv-conf"),
        unlisted("resolution_pool_size"),
        unlisted("resolve_retries"),
        unlisted("timeout resolve"),
        unlisted("timeout retry"),
    ],
};

/// Section 12.3.
pub static MAILERS: Vocabulary =
    Vocabulary { kind: Kind::In("mailers"), words: &[unlisted("mailer"), unlisted("timeout mail")] };

/// Section 6.2.
pub static CACHE: Vocabulary = Vocabulary {
    kind: Kind::In("cache"),
    words: &[
        unlisted("max-age"),
        unlisted("max-object-size"),
        unlisted("max-secondary-entries"),
        unlisted("process-vary"),
        unlisted("total-max-size"),
    ],
};

/// Section 10.1.
pub static FCGI_APP: Vocabulary = Vocabulary {
    kind: Kind::In("fcgi-app"),
    words: &[
        unlisted("acl"),
        unlisted("docroot"),
        unlisted("hide-header"),
        unlisted("index"),
        unlisted("log-stderr"),
        unlisted("option get-values"),
        unlisted("option keep-conn"),
        unlisted("option max-reqs"),
        unlisted("option mpxs-conns"),
        unlisted("pass-header"),
        unlisted("path-info"),
        unlisted("set-param"),
        unlisted("unset-param"),
    ],
};

/// Section 12.4.
pub static HTTP_ERRORS: Vocabulary =
    Vocabulary { kind: Kind::In("http-errors"), words: &[unlisted("errorfile")] };

/// Section 12.6.
pub static LOG_FORWARD: Vocabulary = Vocabulary {
    kind: Kind::In("log-forward"),
    words: &[
        unlisted("backlog"),
        unlisted("bind"),
        unlisted("dgram-bind"),
        unlisted("log"),
        unlisted("maxconn"),
        unlisted("option assume-rfc6587-ntf"),
        unlisted("option dont-parse-log"),
        unlisted("option host"),
        unlisted("timeout client"),
    ],
};

/// Section 8.3.5.
pub static LOG_PROFILE: Vocabulary =
    Vocabulary { kind: Kind::In("log-profile"), words: &[unlisted("log-tag"), unlisted("on")] };

/// Section 12.5.
pub static RING: Vocabulary = Vocabulary {
    kind: Kind::In("ring"),
    words: &[
        unlisted("backing-file"),
        unlisted("description"),
        unlisted("format"),
        unlisted("maxlen"),
        unlisted("server"),
        unlisted("size"),
        unlisted("timeout connect"),
        unlisted("timeout server"),
    ],
};

/// Section 12.7.
pub static CRT_STORE: Vocabulary =
    Vocabulary { kind: Kind::In("crt-store"), words: &[word("crt-base"), word("key-base"), word("load")] };

/// Section 12.1.
pub static TRACES: Vocabulary = Vocabulary { kind: Kind::In("traces"), words: &[word("trace")] };

/// Section 12.8.
pub static ACME: Vocabulary = Vocabulary {
    kind: Kind::In("acme"),
    words: &[
        word("account-key"),
        word("acme-vars"),
        word("bits"),
        word("challenge"),
        word("challenge-ready"),
        word("contact"),
        word("curves"),
        word("directory"),
        word("dns-delay"),
        word("dns-timeout"),
        word("eab-key-id"),
        word("eab-mac-alg"),
        word("eab-mac-key"),
        word("keytype"),
        word("map"),
        word("profile"),
        word("provider-name"),
        word("reuse-key"),
    ],
};

/// Section 12.9.
pub static HEALTHCHECK: Vocabulary = Vocabulary {
    kind: Kind::In("healthcheck"),
    words: &[unlisted("http-check"), unlisted("tcp-check"), unlisted("type")],
};

/// Network namespaces.
pub static NAMESPACE_LIST: Vocabulary =
    Vocabulary { kind: Kind::In("namespace_list"), words: &[unlisted("namespace")] };

/// Processes of the master; gone from HAProxy since 3.3.
pub static PROGRAM: Vocabulary = Vocabulary {
    kind: Kind::In("program"),
    words: &[unlisted("command"), unlisted("group"), unlisted("option"), unlisted("user")],
};
