//! The table of keywords in `defaults`, `frontend`, `listen` and `backend` (manual 4.1), and those that are gone.

use std::sync::LazyLock;

use crate::lang::{Entry, Place, Status, What};
use crate::rules::reply::REPLY_FILES;

use super::keyword::InDefaults::{Named, No, Yes};
use super::keyword::Side::{Any, Back, Front};
use super::keyword::{Index, Keyword, ignore};
use super::{
    balance, bind, checks, cookie, errors, filter, log, mailers, options, proxy, server, service, stats,
    stick, switching, timeout,
};

/// Keywords of proxy sections in the order of their names.
#[rustfmt::skip]
pub const KEYWORDS: &[Keyword] = &[
    Keyword::new(Entry::full("acl", "<name> <criterion> [flags] [operator] <value> ...", "Names a condition.", "acl local src 127.0.0.0/8", "1.3"), Any, Named, proxy::rule),
    Keyword::new(Entry::full("backlog", "<conns>", "Length of the kernel's queue of new connections.", "backlog 1024", "1.4"), Front, Yes, proxy::backlog),
    Keyword::new(Entry::full("balance", "<algorithm> [ <arguments> ]", "How a server is picked.", "balance roundrobin", "1.0"), Back, Yes, balance::balance_line),
    Keyword::new(Entry::full("be-unpublished", "", "The backend is unpublished when it is new: it is passed over until 'publish backend'.", "be-unpublished", "3.4"), Back, No, switching::unpublished),
    Keyword::new(Entry::full("bind", "<address> [, ...] [param*]", "Listens on an address; with 'udp@' before it for datagrams, in 'mode udp'.", "bind :8080", "1.0").naming(&[Place::argument(1, What::Bind)]), Front, No, bind::bind_line),
    Keyword::new(Entry::full("capture", "{ cookie <name> | { request | response } header <name> } len <length>", "Keeps a header field or cookie for logs and rules.", "capture request header Host len 64", "1.3"), Front, No, proxy::capture),
    Keyword::refused("clitcpka-cnt", "<count>", "Keep-alive probes towards clients.", "clitcpka-cnt 3", "the system's values hold"),
    Keyword::refused("clitcpka-idle", "<timeout>", "Silence before keep-alive probes towards clients.", "clitcpka-idle 30s", "the system's values hold"),
    Keyword::refused("clitcpka-intvl", "<timeout>", "Time between keep-alive probes towards clients.", "clitcpka-intvl 10s", "the system's values hold"),
    Keyword::new(Entry::full("compression", "{ algo <algorithm>... | type <mime type>... | direction { request | response | both } | offload | algo-req <algorithm> | algo-res <algorithm>... | type-req <mime type>... | type-res <mime type>... | minsize-req <size> | minsize-res <size> }", "Compresses messages.", "compression algo gzip", "1.5"), Any, Yes, filter::compression_line),
    Keyword::new(Entry::full("cookie", "<name> [ rewrite | insert | prefix ] [ indirect ] [ nocache ] [ postonly ] [ preserve ] [ httponly ] [ secure ] [ domain <domain> ]* [ maxidle <time> ] [ maxlife <time> ] [ attr <value> ]*", "Keeps a client on its server by a cookie.", "cookie SRV insert indirect nocache", "1.0").with(Status::Partial("the value of 'dynamic' is that of the address in the file")), Back, Yes, cookie::cookie_line),
    Keyword::refused("crt", "<cert>", "A certificate for TLS listeners.", "crt site.pem", "TLS on listeners is not part of it yet"),
    Keyword::new(Entry::full("declare", "capture { request | response } len <length>", "Declares a slot that rules capture into.", "declare capture request len 32", "1.6"), Front, No, proxy::declare),
    Keyword::new(Entry::full("default-server", "[param*]", "Options for the servers that follow.", "default-server inter 3s", "1.4"), Back, Yes, server::default_server_line),
    Keyword::new(Entry::full("default_backend", "<backend>", "Backend when no 'use_backend' matches.", "default_backend app", "1.3"), Front, Yes, switching::default_backend),
    Keyword::new(Entry::full("description", "<string>", "A description for statistics.", "description Main site", "1.4"), Any, No, proxy::description),
    Keyword::new(Entry::full("disabled", "", "Turns the section off.", "disabled", "1.0"), Any, Yes, proxy::disabled),
    Keyword::new(Entry::full("dispatch", "<address>:<port>", "Sends everything to one address.", "dispatch 127.0.0.1:80", "1.0").with(Status::Partial("'server' lines beside it, which it leaves without traffic, do not show in statistics")), Back, No, proxy::dispatch),
    Keyword::new(Entry::full("dynamic-cookie-key", "<string>", "Key of the values that 'cookie ... dynamic' gives servers.", "dynamic-cookie-key secret", "1.8"), Back, Yes, cookie::dynamic_key),
    Keyword::new(Entry::full("email-alert", "{ from | level | mailers | myhostname | to } <value>", "Mail when servers change state.", "email-alert level notice", "1.6").with(Status::Accepted("mail is not sent")), Any, Yes, mailers::email_alert).negatable(),
    Keyword::new(Entry::full("enabled", "", "Undoes 'disabled' of 'defaults'.", "enabled", "1.0"), Any, Yes, proxy::disabled),
    Keyword::new(Entry::full("error-log-format", "<fmt>", "Format of lines about failed connections.", "error-log-format %ci", "2.5"), Front, Yes, log::log_format),
    Keyword::new(Entry::full("errorfile", "<code> <file>", "Answers a status from a file, head included.", "errorfile 503 /etc/haproxy/errors/503.http", "1.0").naming(&[Place::argument(2, What::File)]), Any, Yes, errors::error_line),
    Keyword::new(Entry::full("errorfiles", "<name> [<code> ...]", "Takes error pages from an 'http-errors' section.", "errorfiles site", "2.2"), Any, Yes, errors::error_line),
    Keyword::new(Entry::full("errorloc", "<code> <url>", "Redirects on a status (302).", "errorloc 503 http://www.example.com/sorry", "1.0"), Any, Yes, errors::error_line),
    Keyword::new(Entry::full("errorloc302", "<code> <url>", "Redirects on a status, keeping the method.", "errorloc302 503 http://www.example.com/sorry", "1.3"), Any, Yes, errors::error_line),
    Keyword::new(Entry::full("errorloc303", "<code> <url>", "Redirects on a status, to be fetched with GET.", "errorloc303 503 http://www.example.com/sorry", "1.3"), Any, Yes, errors::error_line),
    Keyword::new(Entry::full("external-check", "{ command <command> | path <path> }", "Program of 'option external-check'.", "external-check command /bin/true", "1.6"), Back, Yes, checks::external),
    Keyword::new(Entry::full("filter", "<name> [param*]", "A filter on messages, at its place among others.", "filter compression", "1.7"), Any, No, filter::filter_line),
    Keyword::refused("filter-sequence", "{ request | response } <list>", "Order of filters.", "filter-sequence request comp-req", "filters have the order of their lines"),
    Keyword::new(Entry::full("force-be-switch", "{ if | unless } <cond>", "Allows switching to backends that are disabled or unpublished; without it rules pass over them.", "force-be-switch if { src 10.0.0.0/8 }", "3.4"), Front, No, switching::force_be_switch),
    Keyword::new(Entry::full("force-persist", "{ if | unless } <cond>", "Requests keep to their servers though these are down.", "force-persist if { src 10.0.0.0/8 }", "1.4"), Back, No, proxy::persist_rule),
    Keyword::new(Entry::full("fullconn", "<conns>", "Load at which servers take their whole maxconn.", "fullconn 10000", "1.3"), Back, Yes, proxy::fullconn),
    Keyword::new(Entry::full("guid", "<string>", "Global identifier of the proxy.", "guid web-1", "3.0").with(Status::Accepted("statistics are kept by name")), Any, No, proxy::guid),
    Keyword::new(Entry::full("hash-balance-factor", "<factor>", "Most load of a server over the average, in percent.", "hash-balance-factor 150", "1.7"), Back, Yes, balance::balance_factor),
    Keyword::new(Entry::full("hash-preserve-affinity", "{ always | maxconn | maxqueue }", "When a hashed key may leave its server.", "hash-preserve-affinity maxconn", "3.2"), Back, Yes, balance::preserve_affinity),
    Keyword::new(Entry::full("hash-type", "<method> [<function> [<modifier>]]", "How keys are mapped to servers.", "hash-type consistent", "1.4"), Back, Yes, balance::hash_type),
    Keyword::new(Entry::full("http-after-response", "<action> <options...> [ { if | unless } <condition> ]", "Rules on every response, our own included.", "http-after-response set-header x-by isobar", "2.2"), Any, Named, proxy::rule),
    Keyword::new(Entry::full("http-check", "{ comment | connect | disable-on-404 | expect | send | send-state | set-var | unset-var } ...", "Details of 'option httpchk'.", "http-check expect status 200", "1.3"), Back, Yes, checks::rule),
    Keyword::new(Entry::full("http-error", "status <code> [...]", "Answers a status with a page of one's own.", "http-error status 503 content-type text/plain string sorry", "2.2").naming(REPLY_FILES), Any, Yes, errors::error_line),
    Keyword::new(Entry::full("http-request", "<action> [options...] [ { if | unless } <condition> ]", "Rules on requests.", "http-request deny if TRUE", "1.3"), Any, Named, proxy::rule),
    Keyword::new(Entry::full("http-response", "<action> <options...> [ { if | unless } <condition> ]", "Rules on responses.", "http-response del-header server", "1.3"), Any, Named, proxy::rule),
    Keyword::new(Entry::full("http-reuse", "{ never | safe | aggressive | always }", "When idle server connections are used again.", "http-reuse safe", "1.6"), Back, Yes, proxy::http_reuse),
    Keyword::new(Entry::full("http-send-name-header", "<header>", "Tells servers their name in this field.", "http-send-name-header x-server", "1.3"), Back, Yes, proxy::http_send_name_header),
    Keyword::new(Entry::full("id", "<value>", "Number of the proxy.", "id 70", "1.4"), Any, No, proxy::id),
    Keyword::new(Entry::full("ignore-persist", "{ if | unless } <cond>", "Requests are balanced, whatever server they ask for.", "ignore-persist if { path_beg /static }", "1.4"), Back, No, proxy::persist_rule),
    Keyword::new(Entry::full("load-server-state-from-file", "{ global | local | none }", "Where server states are read from at start.", "load-server-state-from-file global", "1.6"), Back, Yes, proxy::load_server_state),
    Keyword::new(Entry::full("log", "global | <target> [len <length>] [format <format>] [sample <ranges>:<size>] <facility> [<level> [<minlevel>]]", "Where log lines go.", "log global", "1.0").naming(&[Place::argument(1, What::Connect)]), Any, Yes, log::log_line).negatable(),
    Keyword::new(Entry::full("log-format", "<fmt>", "Format of log lines.", "log-format %ci", "1.5"), Front, Yes, log::log_format),
    Keyword::new(Entry::full("log-format-sd", "<fmt>", "Structured data of RFC 5424 lines.", "log-format-sd %ci", "1.6"), Front, Yes, log::log_format),
    Keyword::refused("log-steps", "<steps>", "When lines are logged.", "log-steps all", "one line is logged for each request or connection"),
    Keyword::new(Entry::full("log-tag", "<string>", "Program name in log lines.", "log-tag web", "1.6"), Any, Yes, log::log_tag),
    Keyword::new(Entry::full("max-keep-alive-queue", "<value>", "Longest server queue that keeps a client on its server.", "max-keep-alive-queue 3", "1.5").with(Status::Accepted("each request is balanced")), Back, Yes, proxy::max_keep_alive_queue),
    Keyword::new(Entry::full("max-session-srv-conns", "<nb>", "Server connections kept for one client.", "max-session-srv-conns 5", "1.9").with(Status::Accepted("private connections are not kept after their stream")), Front, Yes, ignore),
    Keyword::new(Entry::full("maxconn", "<conns>", "Most client connections.", "maxconn 1000", "1.0"), Front, Yes, proxy::maxconn),
    Keyword::new(Entry::full("mode", "{ tcp | http | udp | haterm }", "What is spoken. 'udp' is ours: datagrams of one client are a flow, which stays with its server for as long as that is up, and ends after 'timeout client' or 'timeout server' of silence; 'maxconn' bounds the flows, and where it is reached datagrams of others are dropped and count as 'ereq'. Each datagram to a server with 'send-proxy-v2' begins with a header.", "mode http", "1.0").with(Status::Partial("tcp, http, udp and haterm; neither log nor spop")), Any, Yes, proxy::mode),
    Keyword::new(Entry::full("monitor", "fail { if | unless } <cond>", "When 'monitor-uri' answers with an error.", "monitor fail if FALSE", "1.3"), Front, No, proxy::monitor_fail),
    Keyword::new(Entry::full("monitor-uri", "<uri>", "A request answered 200 without a server.", "monitor-uri /alive", "1.3"), Front, Yes, proxy::monitor_uri),
    Keyword::new(Entry::full("option", "<name> [arguments]", "Turns an option on; 'no option' turns it off.", "option httplog", "1.3"), Any, Yes, options::option_line).negatable(),
    Keyword::new(Entry::full("persist", "rdp-cookie[(<name>)]", "The server that the cookie of a remote desktop has the address of ('msts' unless named).", "persist rdp-cookie", "1.3"), Back, Yes, cookie::persist),
    Keyword::refused("quic-initial", "<action> [ { if | unless } <condition> ]", "Rules on QUIC packets.", "quic-initial accept", "QUIC is not part of it"),
    Keyword::new(Entry::full("rate-limit", "sessions <rate>", "Most new sessions each second.", "rate-limit sessions 100", "1.3"), Front, Yes, proxy::rate_limit),
    Keyword::new(Entry::full("redirect", "{ location | prefix | scheme } <to> [code <code>] <option> [{ if | unless } <condition>]", "Answers with a redirection.", "redirect scheme https", "1.3"), Any, No, proxy::rule),
    Keyword::new(Entry::full("retries", "<value>", "Attempts after a failed one.", "retries 3", "1.0"), Back, Yes, proxy::retries),
    Keyword::new(Entry::full("retry-on", "[ <event> ]*", "What is tried again.", "retry-on conn-failure 503", "2.0"), Back, Yes, proxy::retry_on),
    Keyword::new(Entry::full("server", "<name> <address>[:[port]] [param*]", "A server.", "server s1 127.0.0.1:80 check", "1.0").naming(&[Place::argument(2, What::Connect)]), Any, No, server::server_line),
    Keyword::new(Entry::full("server-state-file-name", "[ use-backend-name | <file> ]", "File of 'load-server-state-from-file local'.", "server-state-file-name app", "1.6"), Back, Yes, proxy::server_state_file_name),
    Keyword::new(Entry::full("server-template", "<prefix> <num | range> <fqdn>[:<port>] [params*]", "Several servers alike.", "server-template web 1-3 127.0.0.1:80", "1.8"), Any, No, server::server_template_line),
    Keyword::new(Entry::full("service", "<name> [regions { local | nearest | any | <region>[,...] }] [tag <tag>]* [check] [overflow <percent>%] [max <count>]", "Servers from the region map: the instances of a service, the nearest region first. A region with less than 'overflow' of its capacity healthy (70% by default) spills to the next; 'max' bounds the servers of each region; 'default-server' holds for them. With 'check' up to three nodes of an instance's region check it as the backend says, and what most of them find holds for all; a node without a quorum checks for itself.", "service web regions nearest overflow 70%", "isobar"), Any, No, service::service_line),
    Keyword::new(Entry::full("source", "<addr>[:<port>] [interface <name>]", "Address that connections to servers come from.", "source 127.0.0.1", "1.3").with(Status::Partial("without usesrc and port ranges")), Back, Yes, proxy::source),
    Keyword::refused("srvtcpka-cnt", "<count>", "Keep-alive probes towards servers.", "srvtcpka-cnt 3", "the system's values hold"),
    Keyword::refused("srvtcpka-idle", "<timeout>", "Silence before keep-alive probes towards servers.", "srvtcpka-idle 30s", "the system's values hold"),
    Keyword::refused("srvtcpka-intvl", "<timeout>", "Time between keep-alive probes towards servers.", "srvtcpka-intvl 10s", "the system's values hold"),
    Keyword::refused("ssl-f-use", "[<options>]", "A certificate for TLS listeners.", "ssl-f-use crt site.pem", "TLS on listeners is not part of it yet"),
    Keyword::new(Entry::full("stats", "{ admin | auth | enable | hide-version | http-request | realm | refresh | scope | show-desc | show-legends | show-modules | show-node | show-version | uri } ...", "The statistics page.", "stats enable", "1.3"), Any, Yes, stats::stats_line),
    Keyword::new(Entry::full("stick", "{ match | on | store-request | store-response } <pattern> [table <table>] [ { if | unless } <condition> ]", "Keeps clients on servers by a table.", "stick on src table clients", "1.4"), Back, No, stick::stick),
    Keyword::new(Entry::full("stick-table", "type { ip | ipv6 | integer | string [len <length>] | binary [len <length>] } size <size> [expire <time>] [nopurge] [store <data>[,<data>]*] [srvkey { name | addr }] [recv-only] [write-to <table>] [cluster]", "Counts and remembers keys. 'cluster' (Isobar's own): counters and rates are those of all nodes of the region map, each of which counts its own part; what one counts the others know a tenth of a second later, a part leaves with its node, and tags and servers stay on their node. A node tells the 8192 keys that changed last.", "stick-table type ip size 1m", "1.4").with(Status::Partial("'write-to' has no effect: what peers say goes to the table itself")), Any, No, stick::stick_table),
    Keyword::new(Entry::full("tcp-check", "{ comment | connect | expect | send | send-binary | send-lf | send-binary-lf | set-var | unset-var } ...", "Script of 'option tcp-check'.", "tcp-check connect", "1.5"), Back, Yes, checks::rule),
    Keyword::new(Entry::full("tcp-request", "{ connection | session | content } <action> | inspect-delay <timeout>", "Rules on connections and their first data.", "tcp-request inspect-delay 5s", "1.3"), Any, Named, proxy::tcp_rule),
    Keyword::new(Entry::full("tcp-response", "content <action> | inspect-delay <timeout>", "Rules on the first data of servers.", "tcp-response inspect-delay 5s", "1.5").with(Status::Partial("inspect-delay has no effect")), Any, Named, proxy::tcp_rule),
    Keyword::new(Entry::full("timeout", "{ check | client | client-fin | connect | http-keep-alive | http-request | queue | server | server-fin | tarpit | tunnel } <timeout>", "How long to wait.", "timeout client 50s", "1.3"), Any, Yes, timeout::timeout_line),
    Keyword::new(Entry::full("transparent", "", "Old form of 'option transparent'.", "transparent", "1.3"), Back, Yes, proxy::transparent),
    Keyword::new(Entry::full("unique-id-format", "<fmt>", "Format of the identifier of a request.", "unique-id-format %ci", "1.4"), Any, Yes, proxy::unique_id),
    Keyword::new(Entry::full("unique-id-header", "<name>", "Sends the identifier to servers in this field.", "unique-id-header x-unique-id", "1.4"), Any, Yes, proxy::unique_id),
    Keyword::new(Entry::full("use-server", "<server> { if | unless } <cond>", "Sends matching requests to one server.", "use-server s1 if TRUE", "1.4"), Back, No, switching::use_server),
    Keyword::new(Entry::full("use_backend", "<backend> [ { if | unless } <cond> ]", "Backend for matching requests; a log-format names it for each.", "use_backend app if TRUE", "1.3"), Front, No, switching::use_backend),
    Keyword::refused("use-fcgi-app", "<name>", "Speaks FastCGI to servers.", "use-fcgi-app php", "FastCGI is not part of it"),
];

/// [`KEYWORDS`] by name.
pub static INDEX: LazyLock<Index<Keyword>> =
    LazyLock::new(|| KEYWORDS.iter().map(|k| (k.entry.name, k)).collect());

/// Keywords that HAProxy dropped before 3.4, with what to write instead.
#[rustfmt::skip]
pub const REMOVED: &[Entry] = &[
    removed("appsession", "a 'stick-table' with 'stick on'"),
    removed("bind-process", "'thread' on 'bind' lines"),
    removed("block", "'http-request deny'"),
    removed("cliexp", "'http-request replace-path' or 'http-request replace-header'"),
    removed("clitimeout", "'timeout client'"),
    removed("contimeout", "'timeout connect'"),
    removed("grace", "'grace' in the 'global' section"),
    removed("monitor-net", "'http-request return status 200 if { src <network> }'"),
    removed("redisp", "'option redispatch'"),
    removed("redispatch", "'option redispatch'"),
    removed("reqadd", "'http-request add-header'"),
    removed("reqallow", "'http-request allow'"),
    removed("reqdel", "'http-request del-header'"),
    removed("reqdeny", "'http-request deny'"),
    removed("reqiallow", "'http-request allow'"),
    removed("reqidel", "'http-request del-header'"),
    removed("reqideny", "'http-request deny'"),
    removed("reqipass", "'http-request allow'"),
    removed("reqirep", "'http-request replace-header'"),
    removed("reqitarpit", "'http-request tarpit'"),
    removed("reqpass", "'http-request allow'"),
    removed("reqrep", "'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header'"),
    removed("reqtarpit", "'http-request tarpit'"),
    removed("rspadd", "'http-response add-header'"),
    removed("rspdel", "'http-response del-header'"),
    removed("rspdeny", "'http-response deny'"),
    removed("rspidel", "'http-response del-header'"),
    removed("rspideny", "'http-response deny'"),
    removed("rspirep", "'http-response replace-header'"),
    removed("rsprep", "'http-response replace-header'"),
    removed("srvexp", "'http-response replace-header'"),
    removed("srvtimeout", "'timeout server'"),
    removed("usesrc", "'source <addr> usesrc <addr>' on one line"),
];

const fn removed(name: &'static str, instead: &'static str) -> Entry {
    Entry::full(name, "", "No longer in HAProxy.", "", "").with(Status::Refused(instead))
}

/// Keywords of several words, told apart by the parse functions of their first one.
#[rustfmt::skip]
pub const SUBKEYWORDS: &[Entry] = &[
    Entry::full("capture cookie", "<name> len <length>", "Keeps the first cookie whose name begins so, for logs.", "capture cookie ASPSESSION len 32", "1.2"),
    Entry::full("capture request header", "<name> len <length>", "Keeps a field of requests for logs and rules.", "capture request header Host len 64", "1.3"),
    Entry::full("capture response header", "<name> len <length>", "Keeps a field of responses for logs and rules.", "capture response header Server len 20", "1.3"),
    Entry::full("declare capture", "[ request | response ] len <length>", "Declares a slot that rules capture into.", "declare capture request len 32", "1.6"),
    Entry::full("email-alert from", "<address>", "Sender of mail.", "email-alert from x", "1.6").with(Status::Accepted("mail is not sent")),
    Entry::full("email-alert level", "<level>", "Which events are mailed.", "email-alert level x", "1.6").with(Status::Accepted("mail is not sent")),
    Entry::full("email-alert mailers", "<section>", "Servers that mail goes to.", "email-alert mailers x", "1.6").with(Status::Accepted("mail is not sent")),
    Entry::full("email-alert myhostname", "<name>", "Name in mail.", "email-alert myhostname x", "1.6").with(Status::Accepted("mail is not sent")),
    Entry::full("email-alert to", "<address>", "Receiver of mail.", "email-alert to x", "1.6").with(Status::Accepted("mail is not sent")),
    Entry::full("external-check command", "<command>", "Program of 'option external-check': it gets the proxy's and the server's address and port as arguments, more in HAPROXY_* variables, and passes with 0. It runs as the process does, in its 'chroot' too.", "external-check command /bin/true", "1.6"),
    Entry::full("external-check path", "<path>", "PATH of that program, empty without it.", "external-check path /usr/bin:/bin", "1.6"),
    Entry::full("monitor fail", "{ if | unless } <cond>", "When 'monitor-uri' answers with an error.", "monitor fail if FALSE", "1.3"),
    Entry::full("persist rdp-cookie", "[(<name>)]", "The server that the cookie of a remote desktop has the address of.", "persist rdp-cookie(msts)", "1.3"),
    Entry::full("rate-limit sessions", "<rate>", "Most new sessions each second.", "rate-limit sessions 100", "1.3"),
    Entry::full("stick match", "<pattern> [table <table>] [{if | unless} <condition>]", "Looks for the server in a table.", "stick match src table clients", "1.4"),
    Entry::full("stick on", "<pattern> [table <table>] [{if | unless} <condition>]", "Looks for the server in a table, and stores it there.", "stick on src table clients", "1.4"),
    Entry::full("stick store-request", "<pattern> [table <table>] [{if | unless} <condition>]", "Stores the server in a table, by a key from the request.", "stick store-request src table clients", "1.4"),
    Entry::full("stick store-response", "<pattern> [table <table>] [{if | unless} <condition>]", "Stores the server in a table, by a key from the response.", "stick store-response res.cook(SID) table clients", "1.4"),
    Entry::full("tcp-request connection", "<action> [{if | unless} <condition>]", "Rules on new connections.", "tcp-request connection accept", "1.4"),
    Entry::full("tcp-request content", "<action> [{if | unless} <condition>]", "Rules on the first data.", "tcp-request content accept", "1.4"),
    Entry::full("tcp-request inspect-delay", "<timeout>", "Longest wait for that data.", "tcp-request inspect-delay 5s", "1.4"),
    Entry::full("tcp-request session", "<action> [{if | unless} <condition>]", "Rules on connections once their handshake is done.", "tcp-request session accept", "1.6"),
    Entry::full("tcp-response content", "<action> [{if | unless} <condition>]", "Rules on the first data of servers.", "tcp-response content accept", "1.5"),
    Entry::full("tcp-response inspect-delay", "<timeout>", "Longest wait for that data.", "tcp-response inspect-delay 5s", "1.5").with(Status::Accepted("rules see the first data that comes")),
];

const fn refused(name: &'static str, args: &'static str, doc: &'static str, why: &'static str) -> Entry {
    Entry::full(name, args, doc, "", "").with(Status::Refused(why))
}
