//! A node for tests of the catalog's API: a map in memory, a prober of its checks, and the API on a port of the loopback.
//!
//! `node [--listen ADDRESS] [--token SECRET] [--script-checks]` prints the address once it serves.

use std::sync::Arc;

use isobar::catalog::{Api, Process, Settings, serve};
use isobar::conn::http::Listener;
use isobar::region::map::*;
use isobar::region::{Direct, Seat};

struct Alone {
    prober: isobar::region::prober::Prober,
}

impl Process for Alone {
    fn heard(&self, check: &str) {
        self.prober.heard(check);
    }

    fn reload(&self) -> Result<(), String> {
        Ok(())
    }

    fn leave(&self) -> Result<(), String> {
        tokio::spawn(async {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            std::process::exit(0);
        });
        Ok(())
    }
}

/// The node with its liveness, as a cluster registers it.
async fn announce(seat: &Seat, settings: &Settings) -> anyhow::Result<()> {
    let node = Node {
        id: settings.node_id.clone(),
        name: settings.node_name.clone(),
        address: settings.address.clone(),
        tagged_addresses: [("lan", "127.0.0.1"), ("wan", "127.0.0.1")]
            .map(|(tag, address)| (tag.into(), TaggedAddress { address: address.into(), port: 0 }))
            .into(),
        ..Node::default()
    };
    let liveness = Check {
        id: NODE_LIVENESS.into(),
        name: "Serf Health Status".into(),
        status: Health::Passing,
        output: "Agent alive and reachable".into(),
        ..Check::default()
    };
    let what = Registration { node, checks: vec![liveness], ..Registration::default() };
    seat.propose(Command::Register(Box::new(what))).await?;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let mut settings = Settings {
        node_name: "node1".into(),
        node_id: "11111111-2222-3333-4444-555555555555".into(),
        ..Settings::default()
    };
    let mut listen = "127.0.0.1:0".to_owned();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| anyhow::anyhow!("{arg} needs a value"));
        match arg.as_str() {
            "--listen" => listen = value()?,
            "--token" => settings.write_token = Some(value()?.into()),
            "--script-checks" => settings.script_checks = true,
            other => anyhow::bail!("unknown argument {other}"),
        }
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let seat = Direct::seat(&settings.node_name, "");
        announce(&seat, &settings).await?;
        let how = isobar::region::prober::Settings {
            script_checks: settings.script_checks,
            ..isobar::region::prober::Settings::default()
        };
        let process = Arc::new(Alone { prober: isobar::region::prober::Prober::start(seat.clone(), how) });
        let listener = tokio::net::TcpListener::bind(&listen).await?;
        println!("{}", listener.local_addr()?);
        serve(vec![Listener::Tcp(listener)], Api::new(seat, settings, process)).await;
        Ok(())
    })
}
