//! From files to a built configuration: loading, building, and what is said about both.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::base::clock;
use crate::base::shard::MAX_WORKERS;
use crate::config::Config;
use crate::config::compile::{self, Built, Inputs};
use crate::lang::Section;
use crate::lang::env::Env;
use crate::lang::load::{Input, LoadOptions, Loaded, load};
use crate::lang::render::{self, Style};
use crate::model::applet::Applet;
use crate::os::limits::{FdLimit, Wanted};
use crate::os::opener::Opener;
use crate::os::process;
use crate::region::{self, spec::Spec};

use super::args::Args;
use super::documents::Documents;
use super::messages::Messages;
use super::version;

/// Services that configurations may name, and those behind `mode haterm` and `stats`.
pub type Services = HashMap<&'static str, Arc<dyn Applet>>;

/// The words that begin sections.
pub fn section_kinds() -> &'static [&'static str] {
    static KINDS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| compile::section_kinds().chain(region::keyword::section_kinds()).collect());
    &KINDS
}

/// The environment a configuration sees at its start.
pub fn environment(args: &Args) -> Env {
    let mut env = Env::of_process();
    let peer = args.local_peer.clone().unwrap_or_else(process::hostname);
    env.set("HAPROXY_LOCALPEER", peer);
    if args.master_worker {
        env.set("HAPROXY_MWORKER", "1");
    }
    env
}

/// Everything a build depends on besides the files.
pub struct Builder<'a> {
    pub args: &'a Args,
    pub opener: &'a Opener,
    pub messages: &'a Messages,
    pub services: &'a Services,
    pub documents: &'a Documents,
    pub previous: Option<&'a Config>,
    /// Number of data workers; 0: as the configuration says.
    pub workers: usize,
    /// `maxconn` of the process, once it is known.
    pub default_maxconn: u32,
}

/// What came of it; printed already.
pub struct Outcome {
    pub loaded: Loaded,
    pub built: Option<Built>,
    /// Of the region map; there whenever `built` is.
    pub region: Spec,
    pub warned: bool,
    pub workers: usize,
}

impl Builder<'_> {
    /// Loads and builds the files of the command line, and says what is wrong with them.
    pub fn build(&self) -> Outcome {
        let mut loaded = self.load();
        if self.documents.were_read() && self.documents.find_dir(&loaded.sections) {
            // Where copies of documents are is said by the files that include them.
            loaded = self.load();
        }
        for name in self.documents.missing() {
            self.messages
                .warning(&format!("document '{name}' is not in the region map yet: nothing is included."));
        }
        let both = if loaded.diagnostics.has_alerts() { None } else { self.compile(&mut loaded) };
        let (built, region) = both.map_or((None, Spec::default()), |(built, region)| (Some(built), region));
        self.report(&loaded);
        let warned = loaded.diagnostics.has_warnings();
        let workers = if self.workers > 0 { self.workers } else { workers(&loaded.sections) };
        Outcome { loaded, built, region, warned, workers }
    }

    fn load(&self) -> Loaded {
        self.documents.begin();
        let facts = version::facts(self.args);
        let inputs: Vec<Input> = self.args.files.iter().cloned().map(Input::Path).collect();
        let options = LoadOptions {
            read: &|path| self.opener.read(path),
            list: &|path| self.opener.list_files(path),
            document: &|name| Some(self.documents.text(name)),
            ..LoadOptions::new(&facts, environment(self.args), section_kinds())
        };
        load(&inputs, options)
    }

    fn compile(&self, loaded: &mut Loaded) -> Option<(Built, Spec)> {
        let env = &loaded.env;
        let variable = |name: &str| env.get(name).map(|v| String::from_utf8_lossy(v).into_owned());
        let inputs = Inputs {
            sections: &loaded.sections,
            sources: &loaded.sources,
            resolve: &|name| self.opener.resolve(name),
            env: &variable,
            files: &|path| self.opener.read(path),
            user: &|name| self.opener.user(name).ok(),
            group: &|name| self.opener.group(name).ok(),
            services: &|name| self.services.get(name).cloned(),
            previous: self.previous,
            ignore_unresolved: self.args.ignore_resolve_failures,
            default_maxconn: match self.default_maxconn {
                0 => expected_maxconn(&loaded.sections),
                known => known,
            },
            workers: if self.workers > 0 { self.workers } else { workers(&loaded.sections) },
            now: clock::now_ms(),
        };
        let (built, diagnostics) = compile::build(&inputs);
        let (region, more) = region::language::build(&region::language::Inputs {
            sections: &loaded.sections,
            sources: &loaded.sources,
            resolve: inputs.resolve,
            env: &variable,
        });
        loaded.diagnostics.list.extend(diagnostics.list.into_iter().chain(more.list));
        built.zip(region)
    }

    fn report(&self, loaded: &Loaded) {
        let style = Style {
            pid: std::process::id(),
            pretty: self.args.pretty,
            color: false,
            diag: self.args.diagnostics,
        };
        self.messages.report(&render::report(&loaded.diagnostics, &loaded.sources, &style));
    }
}

/// The connection limit that the process will give itself, as far as can be told before the build: `fullconn` follows
/// from it.
fn expected_maxconn(sections: &[Section]) -> u32 {
    let lines = || sections.iter().flat_map(|s| &s.lines);
    let number = |name: &str| lines().filter(|l| l.str(0) == name).find_map(|l| l.str(1).parse::<u64>().ok());
    let binds = lines().filter(|l| l.str(0) == "bind").count() as u64;
    let wanted = Wanted {
        descriptors: number("ulimit-n"),
        fd_hard_limit: number("fd-hard-limit"),
        fixed: 100 + 2 * binds,
        pipes: Some(number("maxpipes").unwrap_or(0)),
        ..Wanted::default()
    };
    u32::try_from(wanted.budget(FdLimit::current()).maxconn).unwrap_or(u32::MAX)
}

/// Number of data workers: `nbthread`, else one a core. Looked up before the build, which makes a shard for each.
pub fn workers(sections: &[Section]) -> usize {
    let lines = sections.iter().filter(|s| s.kind() == "global").flat_map(|s| &s.lines);
    let wanted =
        lines.filter(|l| l.str(0) == "nbthread").filter_map(|l| l.str(1).parse::<usize>().ok()).next_back();
    wanted.unwrap_or_else(|| process::cpus().len()).clamp(1, MAX_WORKERS)
}
