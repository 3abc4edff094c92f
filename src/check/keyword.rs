//! The keywords of checks: on `server` lines and in backends. The configuration reads them, this room means them.

use crate::lang::{Entry, Status};

const fn full(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
) -> Entry {
    Entry::full(name, args, doc, example, since)
}

const NO_TLS: Status = Status::Refused("TLS to servers is not supported yet");

/// On `server` and `default-server` lines. Examples are whole `server` lines.
pub const SERVER_KEYWORDS: &[Entry] = &[
    full("check", "", "Checks the server's health.", "server s1 10.0.0.1:80 check", "1.0"),
    full(
        "no-check",
        "",
        "Does not check it, whatever default-server says.",
        "server s1 10.0.0.1:80 no-check",
        "1.0",
    ),
    full("inter", "<delay>", "Time between two checks (2 s).", "server s1 10.0.0.1:80 check inter 5s", "1.0"),
    full(
        "fastinter",
        "<delay>",
        "Time between checks while the state is in doubt.",
        "server s1 10.0.0.1:80 check fastinter 1s",
        "1.3",
    ),
    full(
        "downinter",
        "<delay>",
        "Time between checks while the server is down.",
        "server s1 10.0.0.1:80 check downinter 10s",
        "1.3",
    ),
    full(
        "rise",
        "<count>",
        "Good checks in a row that bring a server up (2).",
        "server s1 10.0.0.1:80 check rise 3",
        "1.0",
    ),
    full(
        "fall",
        "<count>",
        "Bad checks in a row that take a server down (3).",
        "server s1 10.0.0.1:80 check fall 2",
        "1.0",
    ),
    full(
        "port",
        "<port>",
        "Port to check instead of the server's.",
        "server s1 10.0.0.1:443 check port 80",
        "1.0",
    ),
    full(
        "addr",
        "<ip>",
        "Address to check instead of the server's.",
        "server s1 10.0.0.1:80 check addr 10.0.0.2",
        "1.3",
    ),
    full(
        "init-state",
        "<state>",
        "State before the first check: none, up, fully-up, down or fully-down.",
        "server s1 10.0.0.1:80 check init-state down",
        "3.1",
    ),
    full(
        "observe",
        "<mode>",
        "Counts errors of traffic too: layer4 or layer7.",
        "server s1 10.0.0.1:80 check observe layer4",
        "1.4",
    ),
    full(
        "error-limit",
        "<count>",
        "Errors in a row that \"observe\" tolerates (10).",
        "server s1 10.0.0.1:80 check observe layer4 error-limit 5",
        "1.4",
    ),
    full(
        "on-error",
        "<action>",
        "What too many errors do: fastinter, fail-check, sudden-death or mark-down.",
        "server s1 10.0.0.1:80 check observe layer4 on-error mark-down",
        "1.4",
    ),
    full(
        "check-send-proxy",
        "",
        "Begins checks with a PROXY header.",
        "server s1 10.0.0.1:80 check check-send-proxy",
        "1.5",
    ),
    full(
        "no-check-send-proxy",
        "",
        "Does not, whatever default-server says.",
        "server s1 10.0.0.1:80 check no-check-send-proxy",
        "2.9",
    ),
    full(
        "check-proto",
        "<name>",
        "Protocol of checks: h1 for HTTP, none for TCP.",
        "server s1 10.0.0.1:80 check check-proto h1",
        "2.0",
    )
    .with(Status::Partial("checks speak HTTP/1 only")),
    full(
        "check-reuse-pool",
        "",
        "Checks over idle connections of the pool.",
        "server s1 10.0.0.1:80 check check-reuse-pool",
        "3.2",
    )
    .with(Status::Accepted("every check opens a connection of its own")),
    full(
        "check-pool-conn-name",
        "<name>",
        "Name of the idle connections that checks may use.",
        "server s1 10.0.0.1:80 check check-pool-conn-name x",
        "3.2",
    )
    .with(Status::Accepted("every check opens a connection of its own")),
    full("check-ssl", "", "Checks over TLS.", "server s1 10.0.0.1:443 check check-ssl", "1.5").with(NO_TLS),
    full(
        "check-sni",
        "<name>",
        "Server name in the TLS handshake of checks.",
        "server s1 10.0.0.1:443 check check-sni a.b",
        "1.8",
    )
    .with(NO_TLS),
    full(
        "check-alpn",
        "<protocols>",
        "Protocols offered in the TLS handshake of checks.",
        "server s1 10.0.0.1:443 check check-alpn h2",
        "1.9",
    )
    .with(NO_TLS),
    full(
        "check-via-socks4",
        "",
        "Checks through the socks4 proxy.",
        "server s1 10.0.0.1:80 check check-via-socks4",
        "2.0",
    )
    .with(Status::Refused("socks4 is not supported")),
    full(
        "agent-check",
        "",
        "Asks an agent on the server for its state and weight.",
        "server s1 10.0.0.1:80 agent-check",
        "1.5",
    ),
    full("agent-addr", "<addr>", "Address of the agent.", "server s1 10.0.0.1:80 agent-addr 10.0.0.2", "1.7"),
    full("agent-port", "<port>", "Port of the agent.", "server s1 10.0.0.1:80 agent-port 8080", "1.5"),
    full(
        "agent-inter",
        "<delay>",
        "Time between two questions to the agent.",
        "server s1 10.0.0.1:80 agent-inter 5s",
        "1.5",
    ),
    full(
        "agent-send",
        "<string>",
        "What is sent to the agent.",
        "server s1 10.0.0.1:80 agent-send state\\n",
        "1.7",
    ),
];

/// In backends, by their first words.
pub const BACKEND_KEYWORDS: &[Entry] = &[
    full("option httpchk", "[<method>] [<uri> [<version> [<host>]]]", "Checks servers with an HTTP request.", "option httpchk GET /health", "1.1"),
    full("option tcp-check", "", "Checks servers by connecting, and with the steps of \"tcp-check\" lines.", "option tcp-check", "1.5"),
    full("option log-health-checks", "", "Logs every change of a check's result.", "option log-health-checks", "1.3"),
    full("http-check comment", "<text>", "A remark for the next step, told when it fails.", "http-check comment health", "2.2"),
    full("http-check connect", "[default] [port <port>] [addr <ip>] [send-proxy] [ssl] [sni <name>] [alpn <protocols>] [linger] [comment <text>]", "Opens a connection, as a step of an HTTP check.", "http-check connect port 8443 ssl sni www", "2.2")
        .with(Status::Partial("\"via-socks4\" and expressions as a port are refused")),
    full("http-check disable-on-404", "", "A running server that answers 404 gets no new sessions.", "http-check disable-on-404", "1.3"),
    full("http-check expect", "[min-recv <n>] [comment <text>] [ok-status|error-status|tout-status <status>] [on-success|on-error <text>] [!] <match> <pattern>", "What the answer must (or must not) be.", "http-check expect status 200-299", "1.5")
        .with(Status::Partial("log-formats must be plain text; \"status-code\" is refused")),
    full("http-check send", "[meth <method>] [uri <uri>] [ver <version>] [hdr <name> <value>]* [body <text>] [comment <text>]", "The request of an HTTP check.", "http-check send meth GET uri /health ver HTTP/1.1 hdr Host www", "2.2")
        .with(Status::Partial("log-formats must be plain text")),
    full("http-check send-state", "", "Tells servers in a header how they are seen.", "http-check send-state", "1.3"),
    full("http-check set-var", "(<name>) <expression>", "Sets a variable during a check.", "http-check set-var(check.x) int(1)", "2.2")
        .with(Status::Refused("variables in checks are not supported")),
    full("http-check set-var-fmt", "(<name>) <format>", "Sets a variable during a check.", "http-check set-var-fmt(check.x) a", "2.5")
        .with(Status::Refused("variables in checks are not supported")),
    full("http-check unset-var", "(<name>)", "Forgets a variable of a check.", "http-check unset-var(check.x)", "2.2")
        .with(Status::Refused("variables in checks are not supported")),
    full("tcp-check comment", "<text>", "A remark for the next step, told when it fails.", "tcp-check comment banner", "1.6"),
    full("tcp-check connect", "[default] [port <port>] [addr <ip>] [send-proxy] [ssl] [sni <name>] [alpn <protocols>] [linger] [comment <text>]", "Opens a connection, as a step of a TCP check.", "tcp-check connect port 465 ssl", "1.5")
        .with(Status::Partial("\"via-socks4\" and expressions as a port are refused")),
    full("tcp-check expect", "[min-recv <n>] [comment <text>] [ok-status|error-status|tout-status <status>] [on-success|on-error <text>] [!] <match> <pattern>", "What the server must (or must not) send.", "tcp-check expect string +OK", "1.5")
        .with(Status::Partial("log-formats must be plain text; \"status-code\" is refused")),
    full("tcp-check send", "<text> [comment <text>]", "Sends text.", "tcp-check send PING\\r\\n", "1.5"),
    full("tcp-check send-lf", "<format> [comment <text>]", "Sends text.", "tcp-check send-lf PING\\r\\n", "2.2")
        .with(Status::Partial("log-formats must be plain text")),
    full("tcp-check send-binary", "<hex> [comment <text>]", "Sends bytes given in hexadecimal.", "tcp-check send-binary 50494e470d0a", "1.5"),
    full("tcp-check send-binary-lf", "<format> [comment <text>]", "Sends bytes given in hexadecimal.", "tcp-check send-binary-lf 50494e470d0a", "2.2")
        .with(Status::Partial("log-formats must be plain text")),
    full("tcp-check set-var", "(<name>) <expression>", "Sets a variable during a check.", "tcp-check set-var(check.x) int(1)", "2.2")
        .with(Status::Refused("variables in checks are not supported")),
    full("tcp-check set-var-fmt", "(<name>) <format>", "Sets a variable during a check.", "tcp-check set-var-fmt(check.x) a", "2.5")
        .with(Status::Refused("variables in checks are not supported")),
    full("tcp-check unset-var", "(<name>)", "Forgets a variable of a check.", "tcp-check unset-var(check.x)", "2.2")
        .with(Status::Refused("variables in checks are not supported")),
    full("option ssl-hello-chk", "", "Checks servers with an SSLv3 hello.", "option ssl-hello-chk", "1.1"),
    full("option smtpchk", "[<hello> <domain>]", "Checks SMTP servers.", "option smtpchk", "1.1"),
    full("option mysql-check", "[user <name> [post-41|pre-41]]", "Checks MySQL servers.", "option mysql-check user x", "1.4"),
    full("option pgsql-check", "[user <name>]", "Checks PostgreSQL servers.", "option pgsql-check user x", "1.5"),
    full("option redis-check", "", "Checks Redis servers.", "option redis-check", "1.5"),
    full("option ldap-check", "", "Checks LDAP servers.", "option ldap-check", "1.4"),
    full("option spop-check", "", "Checks SPOP agents.", "option spop-check", "1.7")
        .with(Status::Refused("SPOE is not part of it")),
    full("option external-check", "", "Checks servers with a program.", "option external-check", "1.6")
        .with(Status::Refused("external programs are not run")),
];
