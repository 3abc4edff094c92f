//! What the program says about itself: versions, the feature list, `-v` and `-vv`.
//!
//! Scripts select lines of `-vv` by patterns. The ones that HAProxy's test driver keeps are the version, the target,
//! the feature list and the services, one line each, in this order; no other line may start or look like one of them.

use std::fmt::Write;

use super::args::Args;
use crate::lang::Facts;

/// The HAProxy whose behaviour is followed; what `version_atleast()` compares with.
pub const HAPROXY_VERSION: &str = "3.4.0";
/// Our own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The day of this version, `year/month/day`.
pub const RELEASE_DATE: &str = "2026/11/21";

/// HAProxy's build options by name, with a sign that says whether we have what each stands for. Also answers
/// `feature(NAME)`. Sorted by name.
pub const FEATURES: &[&str] = &[
    "-51DEGREES",
    "+ACCEPT4",
    "+BACKTRACE",
    "-CLOSEFROM",
    "+CPU_AFFINITY",
    "-CRYPT_H",
    "-DEVICEATLAS",
    "-DL",
    "-ECH",
    "-ENGINE",
    "+EPOLL",
    "-EVPORTS",
    "-FCGI",
    "+GETADDRINFO",
    "-H2",
    "-HAVE_WORKING_TCP_MD5SIG",
    "-KQUEUE",
    "-KTLS",
    "+LIBATOMIC",
    "-LIBCRYPT",
    "-LINUX_CAP",
    "+LINUX_SPLICE",
    "+LINUX_TPROXY",
    "-LUA",
    "+MATH",
    "-MEMORY_PROFILING",
    "+NETFILTER",
    "-NS",
    "-OBSOLETE_LINKER",
    "+OPENSSL",
    "+OPENSSL_AWSLC",
    "-OPENSSL_WOLFSSL",
    "-PCRE",
    "+PCRE2",
    "+PCRE2_JIT",
    "-PCRE_JIT",
    "+POLL",
    "+PRCTL",
    "-PROCCTL",
    "+PROMEX",
    "-PTHREAD_EMULATION",
    "-QUIC",
    "-QUIC_OPENSSL_COMPAT",
    "+RT",
    "-SHM_OPEN",
    "-SLZ",
    "-SPOE",
    "-SSL",
    "-STATIC_PCRE",
    "-STATIC_PCRE2",
    "+TFO",
    "+THREAD",
    "-THREAD_DUMP",
    "+TPROXY",
    "-TRACE",
    "-WURFL",
    "+ZLIB",
];

/// What conditions of a configuration (`.if`, `-cc`) learn about the program and its flags.
pub fn facts(args: &Args) -> Facts {
    let switches = [
        ("POLL", true),
        ("EPOLL", true),
        ("GETADDRINFO", true),
        ("REUSEPORT", !args.no_reuseport),
        ("SPLICE", !args.no_splice),
        ("FAST-FORWARD", !args.no_fast_forward),
        ("SERVER-SSL-VERIFY-NONE", args.no_ssl_verify),
    ];
    Facts {
        version: HAPROXY_VERSION,
        features: FEATURES.to_vec(),
        enabled: switches.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect(),
        ..Facts::default()
    }
}

/// Which version text was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionText {
    /// `-v`
    Plain,
    /// `-vv`
    Full,
    /// `-vq`, `-vqs`
    Bare,
    /// `-vqb`
    Branch,
}

impl VersionText {
    /// The whole text. `system` is the kernel's name for itself: `Linux 6.1.0 #1 SMP x86_64`.
    pub fn text(self, system: &str) -> String {
        match self {
            VersionText::Plain => banner(system),
            VersionText::Full => banner(system) + &build_options(),
            VersionText::Bare => format!("{HAPROXY_VERSION}\n"),
            VersionText::Branch => {
                let branch = HAPROXY_VERSION.rsplit_once('.').map_or(HAPROXY_VERSION, |(b, _)| b);
                format!("{branch}\n")
            }
        }
    }
}

/// The lines of `-v`. The first word triple is HAProxy's, because scripts read the version there.
fn banner(system: &str) -> String {
    format!(
        "HAProxy version {HAPROXY_VERSION} {RELEASE_DATE} - as followed by Isobar {VERSION}\n\
         Status: not HAProxy but Isobar {VERSION}, which reads the same configuration and command line.\n\
         Running on: {system}\n"
    )
}

fn build_options() -> String {
    let mut out = String::from("Build options :\n");
    let _ = writeln!(out, "  TARGET  = linux-glibc");
    let _ = writeln!(out, "  LANGUAGE = Rust");
    let (detected, listed): (Vec<&str>, Vec<&str>) =
        FEATURES.iter().copied().partition(|f| f[1..].starts_with("HAVE_WORKING_"));
    let _ = writeln!(out, "\nFeature list : {}", listed.join(" "));
    let _ = writeln!(out, "Detected feature list : {}", detected.join(" "));
    out.push_str(
        "\nDefault settings :\n  bufsize = 16384, maxrewrite = 1024, maxpollevents = 200\n\n\
         Built with multi-threading support (MAX_THREADS=64).\n\
         Built with the Prometheus exporter as a service\n\
         Built with PCRE2.\n\
         PCRE2 library supports JIT : yes\n\
         Built with transparent proxy support using: IP_TRANSPARENT IPV6_TRANSPARENT IP_FREEBIND\n\
         Encrypted password support via crypt(3): no\n\n\
         Available polling systems :\n      epoll : pref=300,  test result OK\n\
         Total: 1 (1 usable), will use epoll.\n\n\
         Available multiplexer protocols :\n\
         (protocols marked as <default> cannot be specified using 'proto' keyword)\n  \
         <default> : mode=HTTP  side=FE|BE  mux=H1    flags=HTX\n         \
         h1 : mode=HTTP  side=FE|BE  mux=H1    flags=HTX|NO_UPG\n  \
         <default> : mode=TCP   side=FE|BE  mux=PASS  flags=\n       \
         none : mode=TCP   side=FE|BE  mux=PASS  flags=NO_UPG\n\n\
         Available services : prometheus-exporter\n\n",
    );
    out
}

/// The answer to `-dMhelp`.
pub const MEMORY_HELP: &str = "-dM options are read and ignored: memory is not kept in pools of our own.\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Env, evaluate};

    /// The selection made by HAProxy's scripts/run-regtests.sh.
    fn kept(text: &str) -> Vec<String> {
        let has = |l: &str| {
            l.contains("HAProxy version")
                || l.contains("HA-Proxy version")
                || l.find("TARGET").is_some_and(|i| l[i..].contains('='))
                || l.starts_with("Feature")
                || l.starts_with("Available services")
        };
        let after = |l: &str| {
            let cut = l.rfind(" : ").max(l.rfind(" = ")).map_or(0, |i| i + 3);
            l[cut..].to_owned()
        };
        text.lines().filter(|l| has(l)).map(after).collect()
    }

    #[test]
    fn the_four_lines_of_the_test_driver() {
        let text = VersionText::Full.text("Linux 6.1 #1 = x : y x86_64");
        let lines = kept(&text);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[0].split(' ').nth(2), Some("3.4.0"));
        assert_eq!(lines[1], "linux-glibc");
        assert!(lines[2].contains("+THREAD ") && lines[2].contains("-LUA "), "{}", lines[2]);
        assert_eq!(lines[3], "prometheus-exporter");
    }

    #[test]
    fn short_versions() {
        assert_eq!(VersionText::Bare.text(""), "3.4.0\n");
        assert_eq!(VersionText::Branch.text(""), "3.4\n");
        assert!(VersionText::Plain.text("x").starts_with("HAProxy version 3.4.0 20"));
    }

    #[test]
    fn features_are_sorted_and_answer() {
        assert!(FEATURES.windows(2).all(|w| w[0][1..] < w[1][1..]));
        let facts = facts(&Args { no_splice: true, ..Args::default() });
        let holds = |text| evaluate(text, &facts, &Env::default()).unwrap();
        assert!(holds("feature(EPOLL) && !feature(LUA) && !feature(NONSENSE)"));
        assert!(holds("version_atleast(3.4.0) && !version_atleast(3.5)"));
        assert!(holds("enabled(FAST-FORWARD) && !enabled(SPLICE)"));
    }
}
