//! The program: a node with its proxy, from the first load to the end of its workers.

use std::sync::Arc;

use crate::config::Config;
use crate::lang::source::SourceMap;
use crate::lang::{Line, Places, Section, condition};

use super::args::{Args, DumpConfig};
use super::control::Control;
use super::documents::Documents;
use super::dump;
use super::environment::environment;
use super::explain;
use super::keywords;
use super::parts::table::PARTS;
use super::parts::{Configuration, Handles, section_kinds};
use super::permit::Permit;
use super::program::{BindError, Exit, Life, Program, Settings, Start};
use super::services::{self, Hub};
use super::version;

/// What is known before the threads start.
pub struct Node {
    configuration: Configuration,
    hub: Hub,
    places: Arc<Places>,
    workers: usize,
    /// Kept for `-dC` alone.
    sections: Vec<Section>,
}

impl Default for Node {
    fn default() -> Self {
        let hub = Hub::default();
        let handles = Handles {
            hub: hub.clone(),
            services: Arc::new(services::all(&hub)),
            documents: Documents::default(),
            places: Arc::new(Places::of(&keywords::registry())),
        };
        let configuration = Configuration::new(&PARTS, &handles);
        Node { configuration, hub, places: handles.places, workers: 1, sections: Vec::new() }
    }
}

impl Program for Node {
    fn condition(&self, args: &Args, text: &str) -> Result<bool, String> {
        condition::check(text, &version::facts(args), &environment(args)).map_err(|e| e.message)
    }

    fn explain(&self, name: &str) -> Result<String, String> {
        explain::explain(name, &keywords::registry())
    }

    fn keywords(&self, classes: &str) -> String {
        dump::dump(classes, &keywords::registry())
    }

    fn load(&mut self, start: &Start<'_>) -> Option<Settings> {
        let outcome = self.configuration.build(start);
        if start.args.dump_config.is_some() {
            self.sections = outcome.loaded.sections;
        }
        if !outcome.built {
            return None;
        }
        self.workers = outcome.preview.workers();
        let mut settings = Settings { warned: outcome.warned, ..Settings::default() };
        self.configuration.require(&mut settings);
        Some(settings)
    }

    fn rehearse(&mut self, start: &Start<'_>) -> Option<(Arc<Config>, SourceMap)> {
        let outcome = self.configuration.build(start);
        let config = self.configuration.lend().filter(|_| outcome.built)?;
        Some((config, outcome.loaded.sources))
    }

    fn modernized(&self, start: &Start<'_>) -> (String, bool) {
        self.configuration.modernized(start)
    }

    fn configuration(&self, dump: DumpConfig) -> String {
        tokens(&self.sections, dump)
    }

    fn permit(&self, args: &Args) -> Permit {
        let (facts, env) = (version::facts(args), environment(args));
        Permit::new(&args.files, facts, section_kinds(), env, self.places.clone(), args.legacy)
    }

    fn bind(&mut self, start: &Start<'_>, _last: bool) -> Result<(), BindError> {
        self.configuration.prepare(start, self.workers)
    }

    fn run(self, life: Life) -> Exit {
        match Control::start(life, self.configuration, &self.hub, self.workers) {
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
