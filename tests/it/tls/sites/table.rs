//! The table: each row is a test.

use super::clients::*;
use super::harness::{Site, run};
use super::hops::*;
use super::names::*;
use super::servers::*;

static SITES: [Site; 22] = [
    NAMES, STRICT, LIST, PROTOCOLS, VERSIONS, CIPHERS, SESSIONS, OPTIONAL, REQUIRED, IGNORED, HEADERS, LOGS,
    SERVERS, SERVERS_H2, CLEAR, BOTH_H2, REDIRECT, ACCEPT, FIELDS, SEND, ROUTING, TERMINATED,
];

/// A test for each row, by its name.
macro_rules! sites {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let name = stringify!($name);
            run(SITES.iter().find(|site| site.name == name).expect("a row of the table"));
        })*

        #[test]
        fn every_row_is_run() {
            let named: Vec<&str> = vec![$(stringify!($name)),*];
            assert_eq!(SITES.iter().map(|site| site.name).collect::<Vec<_>>(), named);
        }
    };
}

sites! {
    names_and_a_default
    strict_names
    a_list_with_filters_and_options
    protocols_agreed_on
    versions_that_are_allowed
    ciphers_and_curves
    sessions_with_and_without_tickets
    clients_may_show_who_they_are
    clients_must_and_may_be_revoked
    faults_of_clients_that_are_ignored
    headers_that_tell_servers_of_tls
    what_the_log_of_https_says
    servers_must_show_who_they_are
    http_2_to_servers_over_tls
    http_2_in_clear_text
    http_2_on_both_sides
    clear_text_is_sent_to_https
    the_proxy_protocol_before_tls
    fields_of_the_proxy_protocol_from_hop_to_hop
    the_proxy_protocol_tells_servers_of_tls
    routing_by_name_without_termination
    tls_that_ends_in_tcp_mode
}
