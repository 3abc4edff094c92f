//! The program: a node with its proxy, from the first load to the end of its workers.

use crate::config::compile::Built;
use crate::config::{Config, Global};
use crate::lang::{Line, Section, condition};
use crate::os::identity::Identity;
use crate::os::limits::Wanted;
use crate::region::spec::Spec;

use super::args::{Args, DumpConfig};
use super::configure::{Builder, Services, environment, section_kinds};
use super::control::Control;
use super::documents::Documents;
use super::dump;
use super::explain;
use super::keywords;
use super::permit::Permit;
use super::program::{BindError, Exit, Life, Program, Settings, Start};
use super::seat::SeatSockets;
use super::services;
use super::sockets::Sockets;
use super::version;

/// What is known before the threads start.
pub struct Node {
    services: Services,
    hub: services::Hub,
    built: Option<Built>,
    workers: usize,
    sockets: Sockets,
    region: Spec,
    documents: Documents,
    seat_sockets: SeatSockets,
    /// Kept for `-dC` alone.
    sections: Vec<Section>,
}

impl Default for Node {
    fn default() -> Self {
        let hub = services::Hub::default();
        Node {
            services: services::all(&hub),
            hub,
            built: None,
            workers: 1,
            sockets: Sockets::default(),
            region: Spec::default(),
            documents: Documents::default(),
            seat_sockets: SeatSockets::default(),
            sections: Vec::new(),
        }
    }
}

impl Program for Node {
    fn condition(&self, args: &Args, text: &str) -> Result<bool, String> {
        condition::check(text, &version::facts(args), &environment(args)).map_err(|e| e.message)
    }

    fn explain(&self, name: &str) -> Option<String> {
        explain::explain(name, &keywords::registry()).ok()
    }

    fn keywords(&self, classes: &str) -> String {
        dump::dump(classes, &keywords::registry())
    }

    fn load(&mut self, start: &Start<'_>) -> Option<Settings> {
        let builder = Builder {
            args: start.args,
            opener: start.opener,
            messages: start.messages,
            services: &self.services,
            documents: &self.documents,
            previous: None,
            workers: 0,
            default_maxconn: start.args.maxconn.unwrap_or(0),
        };
        let outcome = builder.build();
        if start.args.dump_config.is_some() {
            self.sections = outcome.loaded.sections;
        }
        let built = outcome.built?;
        let settings = settings(&built.config, &outcome.region, outcome.warned);
        self.workers = outcome.workers;
        self.built = Some(built);
        self.region = outcome.region;
        Some(settings)
    }

    fn configuration(&self, dump: DumpConfig) -> String {
        tokens(&self.sections, dump)
    }

    fn permit(&self, args: &Args) -> Permit {
        Permit::new(&args.files, version::facts(args), section_kinds(), environment(args))
    }

    fn bind(&mut self, start: &Start<'_>, _last: bool) -> Result<(), BindError> {
        let Some(built) = &self.built else { return Ok(()) };
        self.sockets = Sockets::default();
        self.sockets = Sockets::default().prepare(&built.config, start.opener, self.workers)?;
        self.seat_sockets = SeatSockets::default();
        self.seat_sockets = SeatSockets::bind(&self.region, start.opener)?;
        self.hub.bind(&built.config, start)
    }

    fn run(self, life: Life) -> Exit {
        let Some(built) = self.built else { return Exit::Code(1) };
        let seat = (self.region, self.seat_sockets, self.documents);
        match Control::start(life, built, self.sockets, self.services, self.hub, self.workers, seat) {
            Ok(control) => control.run(),
            Err(e) => {
                eprintln!("Cannot start: {e}");
                Exit::Code(1)
            }
        }
    }
}

/// The lines as they were understood, without comments and conditions. With a key, names, addresses and secrets stay
/// inside: of each line only its keyword is told.
fn tokens(sections: &[Section], dump: DumpConfig) -> String {
    let mut text = String::new();
    let mut line = |indent: &str, line: &Line| {
        if dump.line_numbers {
            text.push_str(&format!("{}\t", line.span.line));
        }
        text.push_str(indent);
        for (i, word) in line.words.iter().enumerate() {
            let hidden = dump.key != 0 && i > 0;
            text.push_str(if hidden { "[...]" } else { word.str() });
            text.push(' ');
            if hidden {
                break;
            }
        }
        text.push('\n');
    };
    for section in sections {
        line("", &section.head);
        section.lines.iter().for_each(|l| line("\t", l));
    }
    text
}

/// What the process itself has to know of a configuration.
fn settings(config: &Config, region: &Spec, warned: bool) -> Settings {
    let global: &Global = &config.global;
    let proxies_listen =
        config.proxies.iter().any(|p| !p.disabled && p.front.as_ref().is_some_and(|f| !f.binds.is_empty()));
    let binds: usize = config.proxies.iter().filter_map(|p| p.front.as_ref()).map(|f| f.binds.len()).sum();
    Settings {
        daemon: global.daemon,
        master_worker: global.master_worker,
        quiet: global.quiet,
        zero_warning: global.zero_warning,
        pidfile: global.pidfile.clone(),
        identity: Identity { chroot: global.chroot.clone(), uid: global.uid, gid: global.gid },
        limits: Wanted {
            maxconn: (global.maxconn > 0).then_some(u64::from(global.maxconn)),
            descriptors: global.ulimit_n,
            fixed: 100 + 2 * binds as u64,
            // A pipe that cannot be had is done without: bodies are copied then.
            pipes: Some(u64::from(global.tune.maxpipes)),
            ..Wanted::default()
        },
        lax_limits: !global.strict_limits,
        proxies_listen: proxies_listen || region.listens(),
        listens: proxies_listen || !global.stats_sockets.is_empty() || region.listens(),
        warned,
        ..Settings::default()
    }
}
