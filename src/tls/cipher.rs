//! OpenSSL's lists of ciphers (`ciphers`, openssl-ciphers(1)) and of suites of TLS 1.3 (`ciphersuites`): what they pick, in
//! which order, and what of it is not spoken here.

use rustls::SupportedCipherSuite;

use super::suite::{Authentication, Encryption, KeyExchange, Mac, SUITES, Since, Suite, TLS13};

/// What a list picks.
#[derive(Debug, Default)]
pub struct Picked {
    /// The suites that are spoken, the first is liked best.
    pub suites: Vec<SupportedCipherSuite>,
    /// Names of those that are not.
    pub lost: Vec<&'static str>,
    /// Of `@SECLEVEL`.
    pub level: Option<u8>,
}

/// What a word of the list says of suites.
type Group = fn(&Suite) -> bool;

use Authentication as A;
use Encryption as E;
use KeyExchange as K;

fn is_psk(suite: &Suite) -> bool {
    matches!(suite.exchange, K::PSK | K::RSAPSK | K::DHEPSK | K::ECDHEPSK)
}

fn is_aes128(suite: &Suite) -> bool {
    matches!(suite.encryption, E::AES128 | E::AES128GCM | E::AES128CCM | E::AES128CCM8)
}

fn is_aes256(suite: &Suite) -> bool {
    matches!(suite.encryption, E::AES256 | E::AES256GCM | E::AES256CCM | E::AES256CCM8)
}

fn is_named(suite: &Suite) -> bool {
    suite.authentication != A::ANULL
}

const GROUPS: &[(&str, Group)] = &[
    ("ALL", |s| s.encryption != E::ENULL),
    ("COMPLEMENTOFALL", |s| s.encryption == E::ENULL),
    ("COMPLEMENTOFDEFAULT", |s| !s.is_default && s.encryption != E::ENULL),
    ("kRSA", |s| s.exchange == K::RSA),
    ("kEDH", |s| s.exchange == K::DHE),
    ("kDHE", |s| s.exchange == K::DHE),
    ("DH", |s| s.exchange == K::DHE),
    ("kEECDH", |s| s.exchange == K::ECDHE),
    ("kECDHE", |s| s.exchange == K::ECDHE),
    ("ECDH", |s| s.exchange == K::ECDHE),
    ("kPSK", |s| s.exchange == K::PSK),
    ("kRSAPSK", |s| s.exchange == K::RSAPSK),
    ("kECDHEPSK", |s| s.exchange == K::ECDHEPSK),
    ("kDHEPSK", |s| s.exchange == K::DHEPSK),
    ("kSRP", |s| s.exchange == K::SRP),
    ("aRSA", |s| s.authentication == A::RSA),
    ("aDSS", |s| s.authentication == A::DSS),
    ("DSS", |s| s.authentication == A::DSS),
    ("aNULL", |s| s.authentication == A::ANULL),
    ("aECDSA", |s| s.authentication == A::ECDSA),
    ("ECDSA", |s| s.authentication == A::ECDSA),
    ("aPSK", |s| s.authentication == A::PSK),
    ("aSRP", |s| s.authentication == A::SRP),
    ("EDH", |s| s.exchange == K::DHE && is_named(s)),
    ("DHE", |s| s.exchange == K::DHE && is_named(s)),
    ("EECDH", |s| s.exchange == K::ECDHE && is_named(s)),
    ("ECDHE", |s| s.exchange == K::ECDHE && is_named(s)),
    ("NULL", |s| s.encryption == E::ENULL),
    ("eNULL", |s| s.encryption == E::ENULL),
    ("RSA", |s| s.exchange == K::RSA && s.authentication == A::RSA),
    ("ADH", |s| s.exchange == K::DHE && !is_named(s)),
    ("AECDH", |s| s.exchange == K::ECDHE && !is_named(s)),
    ("PSK", is_psk),
    ("SRP", |s| s.exchange == K::SRP),
    ("AES128", is_aes128),
    ("AES256", is_aes256),
    ("AES", |s| is_aes128(s) || is_aes256(s)),
    ("AESGCM", |s| matches!(s.encryption, E::AES128GCM | E::AES256GCM)),
    ("AESCCM", |s| matches!(s.encryption, E::AES128CCM | E::AES256CCM | E::AES128CCM8 | E::AES256CCM8)),
    ("AESCCM8", |s| matches!(s.encryption, E::AES128CCM8 | E::AES256CCM8)),
    ("CAMELLIA128", |s| s.encryption == E::CAMELLIA128),
    ("CAMELLIA256", |s| s.encryption == E::CAMELLIA256),
    ("CAMELLIA", |s| matches!(s.encryption, E::CAMELLIA128 | E::CAMELLIA256)),
    ("CHACHA20", |s| s.encryption == E::CHACHA20),
    ("ARIA", |s| matches!(s.encryption, E::ARIA128 | E::ARIA256)),
    ("ARIAGCM", |s| matches!(s.encryption, E::ARIA128 | E::ARIA256)),
    ("ARIA128", |s| s.encryption == E::ARIA128),
    ("ARIA256", |s| s.encryption == E::ARIA256),
    ("CBC", |s| matches!(s.encryption, E::AES128 | E::AES256 | E::CAMELLIA128 | E::CAMELLIA256)),
    ("MD5", |s| s.mac == Mac::MD5),
    ("SHA1", |s| s.mac == Mac::SHA1),
    ("SHA", |s| s.mac == Mac::SHA1),
    ("SHA256", |s| s.mac == Mac::SHA256),
    ("SHA384", |s| s.mac == Mac::SHA384),
    ("SSLv3", |s| s.since == Since::SSL3),
    ("TLSv1", |s| s.since == Since::TLS1),
    ("TLSv1.0", |s| s.since == Since::TLS1),
    ("TLSv1.2", |s| s.since == Since::TLS12),
    ("HIGH", |s| s.encryption != E::ENULL),
    ("FIPS", |s| s.is_fips),
];

/// What `DEFAULT` stands for at the beginning of a list.
const DEFAULT: &str = "ALL:!COMPLEMENTOFDEFAULT:!eNULL";
const SUITE_B: [(&str, &str); 4] = [
    ("SUITEB128ONLY", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("SUITEB128C2", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("SUITEB128", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("SUITEB192", "ECDHE-ECDSA-AES256-GCM-SHA384"),
];

/// The list as it is worked on: places in `SUITES`.
struct List {
    active: Vec<usize>,
    inactive: Vec<usize>,
    level: Option<u8>,
}

/// Reads a list of ciphers. It never fails: what it does not know it passes over, as OpenSSL does.
pub fn pick(text: &str) -> Picked {
    let list = List::of(text);
    let mut picked = Picked { level: list.level, ..Picked::default() };
    for suite in list.active.iter().filter_map(|at| SUITES.get(*at)) {
        match suite.spoken() {
            Some(spoken) => picked.suites.push(spoken),
            None => picked.lost.push(suite.name),
        }
    }
    picked
}

/// The names of all suites that a list picks, spoken or not, in its order.
pub fn names(text: &str) -> Vec<&'static str> {
    List::of(text).active.iter().filter_map(|at| SUITES.get(*at)).map(|suite| suite.name).collect()
}

/// Reads the names of suites of TLS 1.3, which have neither groups nor signs.
pub fn pick13(text: &str) -> Picked {
    let mut picked = Picked::default();
    for item in text.split([':', ',', ' ']).filter(|item| !item.is_empty()) {
        match TLS13.iter().find(|(_, name, _)| *name == item) {
            Some((.., suite)) if !picked.suites.contains(suite) => picked.suites.push(*suite),
            Some(_) => {}
            None if item == "TLS_AES_128_CCM_SHA256" => picked.lost.push("TLS_AES_128_CCM_SHA256"),
            None if item == "TLS_AES_128_CCM_8_SHA256" => picked.lost.push("TLS_AES_128_CCM_8_SHA256"),
            None => {}
        }
    }
    picked
}

#[derive(Clone, Copy)]
enum Rule {
    Add,
    /// `-`
    Remove,
    /// `!`
    Kill,
    /// `+`
    Last,
}

impl List {
    fn of(text: &str) -> List {
        let mut list = List { active: Vec::new(), inactive: (0..SUITES.len()).collect(), level: None };
        if let Some((_, suites)) = SUITE_B.iter().find(|(name, _)| text.starts_with(name)) {
            list.read(suites);
            return list;
        }
        // What the system says of lists is kept by the library's own.
        match text.strip_prefix("DEFAULT").or_else(|| text.strip_prefix("PROFILE=SYSTEM")) {
            Some(rest) => {
                list.read(DEFAULT);
                list.read(rest);
            }
            None => list.read(text),
        }
        list
    }

    fn read(&mut self, text: &str) {
        for item in text.split([':', ' ', ';', ',']).filter(|item| !item.is_empty()) {
            let (rule, names) = match item.split_at_checked(1) {
                Some(("!", rest)) => (Rule::Kill, rest),
                Some(("-", rest)) => (Rule::Remove, rest),
                Some(("+", rest)) => (Rule::Last, rest),
                Some(("@", rest)) => {
                    self.command(rest);
                    continue;
                }
                _ => (Rule::Add, item),
            };
            if let Some(matches) = matcher(names) {
                self.apply(rule, matches);
            }
        }
    }

    fn command(&mut self, name: &str) {
        if name == "STRENGTH" {
            for bits in [256, 128, 0] {
                let of = |at: &usize| SUITES.get(*at).is_some_and(|suite| suite.bits() == bits);
                self.apply(Rule::Last, of);
            }
        } else if let Some(level) = name.strip_prefix("SECLEVEL=").and_then(|level| level.parse().ok()) {
            self.level = Some(level).filter(|level| *level <= 5);
        }
    }

    fn apply(&mut self, rule: Rule, matches: impl Fn(&usize) -> bool) {
        let split = |list: &mut Vec<usize>| -> Vec<usize> {
            let (found, left) = list.iter().partition(|at| matches(at));
            *list = left;
            found
        };
        match rule {
            Rule::Add => {
                let found = split(&mut self.inactive);
                self.active.extend(found);
            }
            Rule::Remove => {
                // In front of what never was in the list, for the next who adds them.
                let mut found = split(&mut self.active);
                found.append(&mut self.inactive);
                self.inactive = found;
            }
            Rule::Kill => {
                split(&mut self.active);
                split(&mut self.inactive);
            }
            Rule::Last => {
                let found = split(&mut self.active);
                self.active.extend(found);
            }
        }
    }
}

/// What the names of one item, joined by `+`, match together; `None` where one is unknown.
fn matcher(names: &str) -> Option<impl Fn(&usize) -> bool> {
    let mut groups: Vec<(&str, Group)> = Vec::new();
    let mut likes: Vec<&Suite> = Vec::new();
    let mut exact = None;
    for name in names.split('+') {
        exact = None;
        if let Some(group) = GROUPS.iter().find(|(of, _)| *of == name) {
            groups.push(*group);
        } else {
            let (at, suite) = SUITES.iter().enumerate().find(|(_, suite)| suite.name == name)?;
            exact = Some(at);
            likes.push(suite);
        }
    }
    let has = |name: &str| groups.iter().any(|(of, _)| *of == name);
    // Two strengths, and no suite has both.
    let is_void = has("FIPS") && has("HIGH");
    Some(move |at: &usize| {
        let Some(suite) = SUITES.get(*at) else { return false };
        // A suite's name at the end means it alone, before others it stands for what is like it.
        !is_void
            && exact.is_none_or(|exact| exact == *at)
            && likes.iter().all(|like| is_like(like, suite))
            && groups.iter().all(|(_, group)| group(suite))
    })
}

fn is_like(one: &Suite, other: &Suite) -> bool {
    one.exchange == other.exchange
        && one.authentication == other.authentication
        && one.encryption == other.encryption
        && one.mac == other.mac
}
