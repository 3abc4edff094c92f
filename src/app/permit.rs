//! What the configuration files name: the opener's policy after the privileges were dropped.
//!
//! The privileged process reads the files again, by itself, whenever something is asked for that they did not name
//! the last time. What they name is found by [`Names`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::legacy;
use crate::lang::Places;
use crate::lang::condition::Facts;
use crate::lang::env::Env;
use crate::lang::load::{Input, LoadOptions, load};
use crate::os::bind::BindAddress;
use crate::os::opener::{Policy, Request};

use crate::resolve::RESOLV_CONF;

use super::named::{Names, normal};

/// The policy. Holds what is needed to read the files again.
pub struct Permit {
    inputs: Vec<Input>,
    facts: Facts,
    kinds: &'static [&'static str],
    env: Env,
    places: Arc<Places>,
    /// Relative paths start here.
    current: PathBuf,
    names: Names,
    /// `--legacy`
    legacy: bool,
    /// Of the files that were read the last time.
    stamps: Vec<(PathBuf, Option<(std::time::SystemTime, u64)>)>,
}

impl Permit {
    /// `kinds` are the words that begin sections, `env` the environment that the configuration sees at its start.
    /// `places` is where words name files and addresses.
    pub fn new(
        files: &[PathBuf],
        facts: Facts,
        kinds: &'static [&'static str],
        env: Env,
        places: Arc<Places>,
        legacy: bool,
    ) -> Self {
        Permit {
            inputs: files.iter().cloned().map(Input::Path).collect(),
            facts,
            kinds,
            env,
            places,
            current: std::env::current_dir().unwrap_or_else(|_| "/".into()),
            names: Names::default(),
            legacy,
            stamps: Vec::new(),
        }
    }

    fn grants(&self, request: &Request) -> bool {
        match request {
            // Name servers of the system are no secret.
            Request::Open(path) if path == Path::new(RESOLV_CONF) => true,
            Request::Open(path) | Request::Stat(path) | Request::List { path, .. } => {
                self.is_input(path) || self.names.reads(path)
            }
            Request::Watch(directories) => directories.iter().all(|path| self.watches(path)),
            Request::Connect { path, .. } => self.names.connects.contains(path),
            Request::Unlink(path) => self.names.binds_to(&BindAddress::Unix(path.clone())),
            Request::Bind(spec) => self.names.binds_to(&spec.address),
            Request::User(_) | Request::Group(_) | Request::Resolve(_) => true,
        }
    }

    /// A directory in which something named stands, or that is named itself.
    fn watches(&self, directory: &Path) -> bool {
        let inputs = self.inputs.iter().filter_map(|input| match input {
            Input::Path(named) => Some(normal(&self.current.join(named))),
            Input::Text { .. } => None,
        });
        let holds = |path: &Path| path == directory || path.parent() == Some(directory);
        self.names.files.iter().any(|path| holds(path)) || inputs.into_iter().any(|path| holds(&path))
    }

    /// The files of the command line themselves, and `*.cfg` in its directories.
    fn is_input(&self, path: &Path) -> bool {
        let is_cfg = path.extension().is_some_and(|e| e == "cfg");
        self.inputs.iter().any(|input| match input {
            Input::Path(named) => {
                let named = normal(&self.current.join(named));
                path == named || (is_cfg && path.parent() == Some(&named))
            }
            Input::Text { .. } => false,
        })
    }

    fn changed(&self) -> bool {
        self.stamps.is_empty() || self.stamps.iter().any(|(path, seen)| stamp(path) != *seen)
    }

    fn read_again(&mut self) {
        let options = LoadOptions::new(&self.facts, self.env.clone(), self.kinds);
        let mut loaded = load(&self.inputs, LoadOptions { legacy: self.legacy, ..options });
        legacy::modernize(&mut loaded, self.legacy);
        let directories = self.inputs.iter().filter_map(|input| match input {
            Input::Path(path) => Some(path.clone()),
            Input::Text { .. } => None,
        });
        let files = loaded.sources.files.iter().map(|file| file.path.clone());
        self.stamps = directories.chain(files).map(|path| (path.clone(), stamp(&path))).collect();
        self.names = Names::of(&loaded, &self.places, &self.current, &read_list);
    }
}

impl Policy for Permit {
    fn permits(&mut self, request: &Request) -> bool {
        if self.grants(request) {
            return true;
        }
        if !self.changed() {
            return false;
        }
        self.read_again();
        self.grants(request)
    }
}

fn stamp(path: &Path) -> Option<(std::time::SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Longest file list that is read.
const LIST_LEN: u64 = 16 << 20;

fn read_list(path: &Path) -> Option<Vec<u8>> {
    let meta = std::fs::metadata(path).ok()?;
    if !meta.is_file() || meta.len() > LIST_LEN { None } else { std::fs::read(path).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::bind::{BindSpec, SocketKind};

    const KINDS: &[&str] = &["global", "defaults", "frontend", "backend", "listen", "crt-store", "dns"];

    fn permit(dir: &Path, text: &str) -> Permit {
        std::fs::write(dir.join("haproxy.cfg"), text).unwrap();
        let places = Arc::new(Places::of(&super::super::keywords::registry()));
        let files = [dir.join("haproxy.cfg")];
        let mut permit = Permit::new(&files, Facts::default(), KINDS, Env::default(), places, false);
        permit.current = dir.into();
        permit
    }

    fn tcp(address: &str) -> Request {
        Request::Bind(BindSpec::tcp(address.parse().unwrap()))
    }

    #[test]
    fn files_by_place() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("list.txt"), "# comment\nlisted.pem [alpn h2] a.example\n").unwrap();
        let text = "global\n crt-base /etc/ssl/mine\nfrontend f\n bind :443 ssl crt site.pem crt-list list.txt\n \
                    acl secret path_beg /etc/shadow\n acl known src -f /etc/nets.lst\n \
                    http-request set-var(txn.x) src,map_ip(/etc/geo.map,none)\n \
                    http-request redirect location /etc/passwd\n errorfile 503 err/503.http\n";
        let mut permit = permit(dir.path(), text);
        let mut opens = |path: PathBuf| permit.permits(&Request::Open(path));
        for path in ["/etc/ssl/mine/site.pem", "/etc/ssl/mine/site.pem.key", "/etc/nets.lst", "/etc/geo.map"]
        {
            assert!(opens(path.into()), "{path}");
        }
        for name in ["haproxy.cfg", "site.pem", "list.txt", "listed.pem", "err/503.http"] {
            assert!(opens(at(name)), "{name}");
        }
        for path in ["/etc/shadow", "/etc/passwd", "/etc/ssl/mine", "/", "/etc/nets.lst.bak", "/etc"] {
            assert!(!opens(path.into()), "{path}");
        }
    }

    /// Zone files, those that they include, and who may have signed for a server that is asked.
    #[test]
    fn files_of_zones() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(
            at("a.zone"),
            "$TTL 60\n@ SOA a b 1 2 3 4 5\n$include sub/b.zone ; more\n x A 1.2.3.4\n",
        )
        .unwrap();
        std::fs::write(
            at("sub/b.zone"),
            "t TXT \"$INCLUDE no.zone\"\n$INCLUDE \"c.zone\" c.test.\n$INCLUDE c.zone\n",
        )
        .unwrap();
        std::fs::write(at("sub/c.zone"), "$INCLUDE c.zone\n").unwrap();
        let text = "dns d\n bind :53\n zone-file a.test a.zone\n hosts-file hosts\n geoip-db geo.mmdb\n \
                    forward . tls://192.0.2.1 ca-file ca.pem\n";
        let mut permit = permit(dir.path(), text);
        let mut opens = |path: PathBuf| permit.permits(&Request::Open(path));
        for name in ["a.zone", "sub/b.zone", "sub/c.zone", "hosts", "geo.mmdb", "ca.pem"] {
            assert!(opens(at(name)), "{name}");
        }
        assert!(!opens(at("no.zone")) && !opens(at("sub/no.zone")) && !opens(at("b.zone")));
    }

    #[test]
    fn a_directory_of_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let mut permit = permit(dir.path(), "frontend f\n bind :443 ssl crt /etc/certs/\n");
        assert!(permit.permits(&Request::List { path: "/etc/certs".into(), after: None }));
        assert!(permit.permits(&Request::Open("/etc/certs/a.pem".into())));
        assert!(!permit.permits(&Request::Open("/etc/certs/deep/a.pem".into())));
    }

    #[test]
    fn directories_that_may_be_watched() {
        let dir = tempfile::tempdir().unwrap();
        let mut permit =
            permit(dir.path(), "frontend f\n bind :443 ssl crt /etc/certs/\n errorfile 503 /e/503\n");
        for good in [dir.path(), Path::new("/etc/certs"), Path::new("/e")] {
            assert!(permit.permits(&Request::Watch(vec![good.into()])), "{}", good.display());
        }
        for bad in ["/", "/etc/certs/deep", "/root"] {
            assert!(!permit.permits(&Request::Watch(vec![dir.path().into(), bad.into()])), "{bad}");
        }
    }

    #[test]
    fn addresses() {
        let dir = tempfile::tempdir().unwrap();
        let text = "global\n stats socket /run/admin.sock mode 600\n log /dev/log local0\n \
                    log unix@/run/log2 local0\nfrontend f\n bind :80,[::1]:8000-8010\n bind 10.0.0.1:443 ssl\n \
                    bind name.example:25\n bind abns@here\n";
        let mut permit = permit(dir.path(), text);
        for good in ["0.0.0.0:80", "[::]:80", "[::1]:8005", "10.0.0.1:443", "192.0.2.9:25"] {
            assert!(permit.permits(&tcp(good)), "{good}");
        }
        for bad in ["10.0.0.1:80", "[::1]:8011", "0.0.0.0:443", "10.0.0.1:22"] {
            assert!(!permit.permits(&tcp(bad)), "{bad}");
        }
        let connect = |path: &str| Request::Connect { path: path.into(), kind: SocketKind::Datagram };
        assert!(permit.permits(&connect("/dev/log")) && permit.permits(&connect("/run/log2")));
        assert!(
            !permit.permits(&connect("/run/docker.sock")) && !permit.permits(&connect("/run/admin.sock"))
        );
        assert!(permit.permits(&Request::Unlink("/run/admin.sock".into())));
        assert!(!permit.permits(&Request::Bind(BindSpec::unix("/dev/log"))));
        let here = BindSpec::new(BindAddress::Abstract(b"here".to_vec()), SocketKind::Stream);
        assert!(permit.permits(&Request::Bind(here)));
    }

    #[test]
    fn an_edited_file_grants_more_and_then_less() {
        let dir = tempfile::tempdir().unwrap();
        let mut permit = permit(dir.path(), "frontend f\n bind 127.0.0.1:1001\n");
        assert!(permit.permits(&tcp("127.0.0.1:1001")) && !permit.permits(&tcp("127.0.0.1:1002")));
        std::fs::write(dir.path().join("haproxy.cfg"), "frontend f\n bind 127.0.0.1:1002 # moved\n").unwrap();
        assert!(permit.permits(&tcp("127.0.0.1:1002")));
        assert!(!permit.permits(&tcp("127.0.0.1:1001")));
    }
}
