//! Configurations from text, for the tests of this room.

use std::sync::Arc;

use crate::config::Config;
use crate::config::build::{Inputs, build, section_kinds};
use crate::lang::{Env, Facts, Input, LoadOptions, load};
use crate::model::applet::Applet;

use super::Haterm;

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
        user: &|_| Some(0),
        group: &|_| Some(0),
        services: &|_| Some(Arc::new(Haterm::default()) as Arc<dyn Applet>),
        previous: None,
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
