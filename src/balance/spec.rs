//! What `balance`, `hash-type` and their companions say, parsed and comparable.

/// Everything an algorithm is built from. Two equal values build the same algorithm.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub method: Method,
    pub hash: HashType,
    /// `hash-balance-factor` in percent of the average load; 0: off.
    pub balance_factor: u32,
    pub affinity: Affinity,
    /// `option allbackups`.
    pub all_backups: bool,
    /// `fullconn`: backend streams at which `minconn` has grown to `maxconn`; 0: at once.
    pub fullconn: u32,
}

impl Default for Spec {
    /// As HAProxy 3.3 and later: `balance random`.
    fn default() -> Self {
        Spec {
            method: Method::Random { draws: 2 },
            hash: HashType::default(),
            balance_factor: 0,
            affinity: Affinity::Always,
            all_backups: false,
            fullconn: 0,
        }
    }
}

impl Spec {
    pub fn new(method: Method) -> Self {
        Spec { method, ..Spec::default() }
    }

    /// Set by key: [`crate::model::Pick::hash`] decides.
    pub fn is_keyed(&self) -> bool {
        matches!(
            self.method,
            Method::Source
                | Method::Uri { .. }
                | Method::UrlParam { .. }
                | Method::Header { .. }
                | Method::Expr(_)
        )
    }

    /// Weights can be changed while servers run.
    pub fn is_dynamic(&self) -> bool {
        match self.method {
            Method::StaticRr => false,
            _ if self.is_keyed() => self.hash.consistent || self.hash.maglev,
            _ => true,
        }
    }
}

/// The algorithm of a `balance` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    RoundRobin,
    StaticRr,
    LeastConn,
    First,
    Random {
        draws: u32,
    },
    /// Ours: of two servers drawn at random, the one whose answers come sooner for what it has to do.
    PeakEwma,
    Source,
    /// `len` in bytes and `depth` in directories; 0: unlimited.
    Uri {
        whole: bool,
        path_only: bool,
        len: usize,
        depth: usize,
    },
    UrlParam {
        name: Box<[u8]>,
        check_post: bool,
    },
    Header {
        name: Box<[u8]>,
        use_domain_only: bool,
    },
    /// `balance hash <expr>`; the expression as written.
    Expr(Box<str>),
}

impl Method {
    /// Its name in a `balance` line.
    pub fn name(&self) -> &'static str {
        match self {
            Method::RoundRobin => "roundrobin",
            Method::StaticRr => "static-rr",
            Method::LeastConn => "leastconn",
            Method::First => "first",
            Method::Random { .. } => "random",
            Method::Source => "source",
            Method::Uri { .. } => "uri",
            Method::UrlParam { .. } => "url_param",
            Method::Header { .. } => "hdr",
            Method::Expr(_) => "hash",
            Method::PeakEwma => "peak-ewma",
        }
    }
}

/// The function of `hash-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HashFunction {
    #[default]
    Sdbm,
    Djb2,
    Wt6,
    Crc32,
    None,
}

/// `hash-type`. The default is `map-based sdbm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HashType {
    pub consistent: bool,
    /// Consistent too, by a table (`maglev`).
    pub maglev: bool,
    pub function: HashFunction,
    pub avalanche: bool,
}

/// `hash-preserve-affinity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Affinity {
    #[default]
    Always,
    /// Pass over servers at their `maxconn`.
    MaxConn,
    /// Pass over servers whose queue is full.
    MaxQueue,
}

/// `hash-type <method> [<function> [avalanche]]`; `words` starts after the keyword. Errors are HAProxy's texts
/// without the place.
pub fn parse_hash_type(words: &[&str]) -> Result<HashType, String> {
    let (consistent, maglev) = match words.first() {
        Some(&"consistent") => (true, false),
        Some(&"maglev") => (false, true),
        Some(&"map-based") => (false, false),
        Some(&"avalanche") => {
            return Err("experimental feature 'hash-type avalanche' is not supported anymore, please use \
                        'hash-type map-based sdbm avalanche' instead."
                .to_owned());
        }
        _ => return Err("'hash-type' only supports 'consistent' and 'map-based'.".to_owned()),
    };
    let Some(function) = words.get(1) else {
        // Consistent hashing without a function also gets the avalanche.
        let avalanche = consistent || maglev;
        return Ok(HashType { consistent, maglev, function: HashFunction::Sdbm, avalanche });
    };
    let function = match *function {
        "sdbm" => HashFunction::Sdbm,
        "djb2" => HashFunction::Djb2,
        "wt6" => HashFunction::Wt6,
        "crc32" => HashFunction::Crc32,
        "none" => HashFunction::None,
        other => {
            return Err(format!(
                "'hash-type' only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions (was '{other}')."
            ));
        }
    };
    match words.get(2) {
        None => Ok(HashType { consistent, maglev, function, avalanche: false }),
        Some(&"avalanche") => Ok(HashType { consistent, maglev, function, avalanche: true }),
        Some(other) => Err(format!(
            "'hash-type' only supports 'avalanche' as a modifier for hash functions (was '{other}')."
        )),
    }
}

/// `hash-balance-factor <factor>`.
pub fn parse_balance_factor(word: &str) -> Result<u32, String> {
    match word.parse() {
        Ok(0) => Ok(0),
        Ok(n) if n > 100 => Ok(n),
        Ok(_) => Err("'hash-balance-factor' must be 0 or greater than 100.".to_owned()),
        Err(_) => Err("'hash-balance-factor' expects an integer argument.".to_owned()),
    }
}

/// `hash-preserve-affinity <when>`.
pub fn parse_affinity(word: &str) -> Result<Affinity, String> {
    match word {
        "always" => Ok(Affinity::Always),
        "maxconn" => Ok(Affinity::MaxConn),
        "maxqueue" => Ok(Affinity::MaxQueue),
        _ => Err(format!(
            "'hash-preserve-affinity': unknown value '{word}', expects 'always', 'maxconn' or 'maxqueue'"
        )),
    }
}
