//! The load generator and the origin that `scripts/bench` puts on either side of a proxy.
//!
//! One binary with a subcommand for each part, so that one build serves a whole bench. It measures proxies
//! from outside and therefore uses nothing of the `isobar` library.
//!
//! ```text
//! load origin    --http ADDR[,ADDR] [--tcp ADDR] [--control ADDR] [--delay-us N]
//! load http      --target ADDR[,ADDR] [--path /128] [--close] [--conns 64] [pace and window]
//! load http      --target ADDR[,ADDR] --method PUT --path PATH [--body TEXT] [--conns 64] [pace and window]
//! load tcp       --target ADDR [--reply 128] [--close] [--conns 64] [pace and window]
//! load web       --target ADDR [--tls [--resume]] [--streams 10] [--path /128] [--close] [--conns 64] [window]
//! load web       --target ADDR --hold [--tls] [--streams 1] [--conns 1000]
//! load h2-origin --listen ADDR [--size 1024]
//! load upload    --target ADDR [--bytes N] [--duration SECS]
//! load hold      --target ADDR [--path /128] [--conns 100]
//! load parked     --target ADDR --path PATH --put PATH --body TEXT [--conns 5000] [--rounds 5]
//! load dns        --target ADDR --names FILE [--ecs] [--window 128] [pace and window]
//! load sink-unix --path SOCKET
//! ```
//! Pace and window: `--warmup SECS --duration SECS` or `--requests N` or neither (until stdin closes);
//! `--rate PER_SECOND` for an open loop; `--pid N[,N]` samples the CPU time of those processes over the window.

// The clock rule is for the library, whose tests steer time; a load generator has only the real clock.
#![allow(clippy::disallowed_methods)]

mod args;
mod client;
mod cpu;
mod dns;
mod frame_origin;
mod frames;
mod hold;
mod origin;
mod pace;
mod parked;
mod plain;
mod reply;
mod sink;
mod socket;
mod tally;
mod upload;
mod web;
mod wire;

use args::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(part) = words.next() else {
        eprintln!(
            "usage: load origin|h2-origin|http|web|tcp|upload|hold|parked|dns|sink-unix --option value ..."
        );
        return ExitCode::from(2);
    };
    let outcome = Args::parse(words).and_then(|args| match part.as_str() {
        "origin" => origin::run(&args),
        "http" => client::run(&args, client::Protocol::Http),
        "web" => web::run(&args),
        "h2-origin" => frame_origin::run(&args),
        "tcp" => client::run(&args, client::Protocol::Tcp),
        "upload" => upload::run(&args),
        "hold" => hold::run(&args),
        "parked" => parked::run(&args),
        "dns" => dns::run(&args),
        "sink-unix" => sink::run(&args),
        other => Err(format!("unknown part '{other}'")),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("load {part}: {why}");
            ExitCode::FAILURE
        }
    }
}
