//! Building a large configuration: 250 backends of 20 servers each, first from nothing, then on top of itself, and
//! with one server changed.

use std::fmt::Write;
use std::hint::black_box;
use std::io;

use criterion::{Criterion, criterion_group, criterion_main};
use isobar::config::compile::{Inputs, build, section_kinds};
use isobar::config::{Config, Diff};
use isobar::lang::{Env, Facts, Input, LoadOptions, Loaded, load};

fn text(changed: u32) -> String {
    let mut text = String::from(
        "global\n log 127.0.0.1:514 local0\n\
         defaults\n mode http\n log global\n option httplog\n option dontlognull\n timeout client 30s\n \
         timeout connect 5s\n timeout server 30s\n default-server inter 3s rise 2 fall 3 maxconn 200\n\
         frontend web\n bind 127.0.0.1:8080\n",
    );
    for b in 0..250 {
        let _ =
            writeln!(text, " acl host{b} hdr(host) -i app{b}.example.com\n use_backend app{b} if host{b}");
    }
    for b in 0..250 {
        let _ = writeln!(text, "backend app{b}\n balance leastconn\n option httpchk GET /health");
        let _ = writeln!(text, " http-request set-header x-backend app{b}");
        for s in 0..20 {
            let weight = if b * 20 + s == changed { 50 } else { 100 };
            let _ = writeln!(text, " server s{s} 10.{}.{b}.{s}:8080 weight {weight} check", b % 7);
        }
    }
    text
}

fn sections(text: &str) -> Loaded {
    let (facts, kinds): (Facts, Vec<&str>) = (Facts::default(), section_kinds().collect());
    let input = Input::Text { name: "large.cfg".to_owned(), text: text.to_owned() };
    load(&[input], LoadOptions::new(&facts, Env::default(), &kinds))
}

fn config(loaded: &Loaded, previous: Option<&Config>) -> Config {
    let inputs = Inputs {
        sections: &loaded.sections,
        sources: &loaded.sources,
        resolve: &|_| Err(io::ErrorKind::NotFound.into()),
        env: &|_| None,
        files: &|_| Err(io::ErrorKind::NotFound.into()),
        disk: &isobar::tls::Local,
        user: &|_| None,
        group: &|_| None,
        services: &|_| None,
        previous,
        ignore_unresolved: false,
        default_maxconn: 10_000,
        workers: 4,
        lent: None,
        now: 5000,
    };
    let (built, diagnostics) = build(&inputs);
    assert!(diagnostics.list.is_empty(), "{:?}", diagnostics.list);
    built.expect("built").config
}

fn large(c: &mut Criterion) {
    let (plain, edited) = (text(u32::MAX), text(2500));
    let mut group = c.benchmark_group("config");
    group.sample_size(20);
    group.bench_function("load", |b| b.iter(|| black_box(sections(&plain))));
    let (loaded, changed) = (sections(&plain), sections(&edited));
    group.bench_function("build", |b| b.iter(|| black_box(config(&loaded, None))));
    let running = config(&loaded, None);
    group.bench_function("rebuild", |b| b.iter(|| black_box(config(&loaded, Some(&running)))));
    group.bench_function("rebuild with one server changed", |b| {
        b.iter(|| black_box(config(&changed, Some(&running))))
    });
    let next = config(&changed, Some(&running));
    group.bench_function("diff", |b| b.iter(|| black_box(Diff::between(&running, &next))));
    group.finish();
}

criterion_group!(benches, large);
criterion_main!(benches);
