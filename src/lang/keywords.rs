//! The words that the language itself implements.

use super::entry::Entry;
use super::registry::{Kind, Registry};

/// Directives that act on lines.
pub static DIRECTIVES: [Entry; 9] = [
    Entry::full(
        ".if",
        "<condition>",
        "Reads the lines that follow only if the condition holds.",
        ".if feature(EPOLL)",
        "2.4",
    ),
    Entry::full(
        ".elif",
        "<condition>",
        "Reads the lines that follow if no block before was taken and the condition holds.",
        ".elif defined(DEBUG)",
        "2.4",
    ),
    Entry::full(".else", "", "Reads the lines that follow if no block before was taken.", ".else", "2.4"),
    Entry::full(".endif", "", "Ends the innermost conditional block.", ".endif", "2.4"),
    Entry::full(
        ".diag",
        "<message>",
        "Prints a remark in diagnostic mode (-dD).",
        ".diag \"old syntax\"",
        "2.4",
    ),
    Entry::full(".notice", "<message>", "Prints a notice.", ".notice \"debugging is on\"", "2.4"),
    Entry::full(".warning", "<message>", "Prints a warning.", ".warning \"no certificate yet\"", "2.4"),
    Entry::full(
        ".alert",
        "<message>",
        "Prints an alert and refuses the configuration.",
        ".alert \"TLS is mandatory\"",
        "2.4",
    ),
    Entry::full(
        "include",
        "<file> | <pattern> | <directory> | map:<name>",
        "Reads sections from other files, or from a document of the region map, at this place.",
        "include conf.d/*.cfg",
        "isobar",
    ),
];

/// What conditions may ask.
pub static PREDICATES: [Entry; 14] = [
    Entry::full("defined", "(<name>)", "An environment variable exists.", "defined(HOSTNAME)", "2.4"),
    Entry::full(
        "feature",
        "(<name>)",
        "The program was built with a feature, as -vv lists it.",
        "feature(EPOLL)",
        "2.4",
    ),
    Entry::full("streq", "(<a>,<b>)", "Two strings are equal.", "streq(a,a)", "2.4"),
    Entry::full("strneq", "(<a>,<b>)", "Two strings differ.", "strneq(a,b)", "2.4"),
    Entry::full("strstr", "(<a>,<b>)", "The second string is part of the first.", "strstr(abc,b)", "2.8"),
    Entry::full(
        "version_atleast",
        "(<version>)",
        "The version is this or a later one.",
        "version_atleast(2.4)",
        "2.4",
    ),
    Entry::full(
        "version_before",
        "(<version>)",
        "The version is an earlier one.",
        "version_before(9)",
        "2.4",
    ),
    Entry::full(
        "openssl_version_atleast",
        "(<version>)",
        "The OpenSSL version that the TLS library claims is this or a later one.",
        "openssl_version_atleast(1.1.1)",
        "2.5",
    ),
    Entry::full(
        "openssl_version_before",
        "(<version>)",
        "The OpenSSL version that the TLS library claims is an earlier one.",
        "openssl_version_before(9.0.0)",
        "2.5",
    ),
    Entry::full(
        "ssllib_name_startswith",
        "(<name>)",
        "The TLS library's name begins so.",
        "ssllib_name_startswith(AWS-LC)",
        "2.5",
    ),
    Entry::full(
        "awslc_api_atleast",
        "(<number>)",
        "AWS-LC's API is this or a later one.",
        "awslc_api_atleast(1)",
        "3.3",
    ),
    Entry::full(
        "awslc_api_before",
        "(<number>)",
        "AWS-LC's API is an earlier one.",
        "awslc_api_before(999)",
        "3.3",
    ),
    Entry::full("enabled", "(<option>)", "A run-time option is on.", "enabled(EPOLL)", "2.8"),
    Entry::full("fips_mode", "()", "The TLS library runs in FIPS mode.", "fips_mode()", "3.5"),
];

/// Keywords of `global` that act while the file is read.
pub static GLOBAL: [Entry; 5] = [
    Entry::full(
        "setenv",
        "<name> <value>",
        "Sets an environment variable for the lines that follow.",
        "setenv REGION eu",
        "1.6",
    ),
    Entry::full(
        "presetenv",
        "<name> <value>",
        "Sets an environment variable unless it has a value.",
        "presetenv REGION eu",
        "1.6",
    ),
    Entry::full("unsetenv", "<name>...", "Removes environment variables.", "unsetenv REGION", "1.6"),
    Entry::full(
        "resetenv",
        "[<name>...]",
        "Removes all environment variables but these.",
        "resetenv PATH",
        "1.6",
    ),
    Entry::full(
        "default-path",
        "{ current | config | parent | origin <path> }",
        "Says what relative paths in the lines that follow are relative to.",
        "default-path config",
        "2.5",
    ),
];

pub fn register(registry: &mut Registry) {
    registry.add(Kind::Directive, &DIRECTIVES);
    registry.add(Kind::Predicate, &PREDICATES);
    registry.add(Kind::Global, &GLOBAL);
}
