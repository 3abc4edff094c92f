//! Configurations from text and a process to administer, for the tests of this room.

use std::sync::{Arc, Mutex};

use crate::check::Hooks;
use crate::config::Config;
use crate::config::compile::{Inputs, build, section_kinds};
use crate::lang::{Env, Facts, Input, LoadOptions, Severity, load};
use crate::model::applet::Applet;
use crate::proxy::Shared;

use super::control::Found;
use super::stat::Process;
use super::{Control, Haterm};

/// Builds `text` and activates it, at 5 s of `base::clock`.
pub fn config(text: &str) -> Arc<Config> {
    let facts = Facts::default();
    let kinds: Vec<&str> = section_kinds().collect();
    let input = Input::Text { name: "test.cfg".to_owned(), text: text.to_owned() };
    let loaded = load(&[input], LoadOptions::new(&facts, Env::default(), &kinds));
    let inputs = Inputs {
        sections: &loaded.sections,
        sources: &loaded.sources,
        resolve: &|_| Ok(Vec::new()),
        env: &|_| None,
        files: &|path| std::fs::read(path),
        disk: &crate::tls::Local,
        user: &|_| Some(0),
        group: &|_| Some(0),
        services: &|_| Some(Arc::new(Haterm::default()) as Arc<dyn Applet>),
        previous: None,
        lent: None,
        ignore_unresolved: true,
        default_maxconn: 9983,
        workers: 1,
        now: 5000,
    };
    let (built, diags) = build(&inputs);
    let texts: Vec<_> = loaded.diagnostics.list.iter().chain(&diags.list).map(|d| &d.message).collect();
    let mut built = built.unwrap_or_else(|| panic!("{texts:?}"));
    built.activate(5000);
    Arc::new(built.config)
}

/// What HAProxy's answers in `golden/` were recorded on, as far as it is supported.
pub const RECORDED: &str = "\
global
    node testnode
    description \"my desc\"
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend fe
    bind 127.0.0.1:24001 name l1
    default_backend be
    id 2
backend be
    id 3
    balance roundrobin
    server s1 127.0.0.1:24010 weight 10 maxconn 5 check inter 300 rise 2 fall 2 cookie s1
    server s2 127.0.0.1:24011 backup
    server s3 [::1]:24012 disabled
listen tcpl
    id 5
    mode tcp
    balance roundrobin
    bind 127.0.0.1:24003
    server u1 127.0.0.1:24010
";

/// A process that serves nothing, with what its administration needs.
pub struct Fake {
    pub config: Arc<Config>,
    shared: Arc<Shared>,
    pub lines: Arc<Lines>,
}

/// What was said of servers that changed.
#[derive(Default)]
pub struct Lines(pub Mutex<Vec<String>>);

impl Hooks for Lines {
    fn line(&self, _backend: &str, _severity: Severity, _level: u8, _screen: &str, log: &str) {
        self.0.lock().expect("lines").push(log.to_owned());
    }
}

impl Fake {
    pub fn new(text: &str) -> Arc<Fake> {
        let shared = Shared::new(9983, "host".into());
        Arc::new(Fake { config: config(text), shared, lines: Arc::default() })
    }
}

impl Fake {
    pub fn found(self: &Arc<Self>) -> Found {
        let fake = self.clone();
        Box::new(move || Some(fake.clone()))
    }
}

impl Control for Fake {
    fn config(&self) -> Arc<Config> {
        self.config.clone()
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn hooks(&self) -> Arc<dyn Hooks> {
        self.lines.clone()
    }

    fn process(&self) -> Process {
        Process {
            version: "3.4.0".into(),
            hard_maxconn: 9983,
            uptime_us: 3_661_000_000,
            ..Process::default()
        }
    }
}
