//! A whole `keepalived.conf`: its blocks in order.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::spec::{Spec, TrackerKind, TrackerSpec};
use super::block::{Cursor, Line};
use super::command::World;
use super::finding::{Findings, Level, Place};
use super::global::{GLOBAL, Globals};
use super::instance::{GROUP, Group, INSTANCE, Instance};
use super::settle;
use super::text::{self, Item, Outside, Text};
use super::track::{FILE, File, PROCESS, Process, SCRIPT, Script, Weight};

/// A configuration and what is wrong with it.
pub struct Loaded {
    /// `None` when the file cannot be used.
    pub spec: Option<Spec>,
    pub findings: Findings,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
}

/// Reads a file and all that it includes.
pub fn load(path: &Path, outside: &Outside<'_>, world: &World<'_>) -> io::Result<Loaded> {
    let mut findings = Findings::default();
    let text = text::read(path, outside, &mut findings)?;
    let mut reading = Reading {
        globals: globals(&text, world, &mut findings),
        world,
        findings,
        spec: Spec { router_id: outside.config_id.to_owned(), ..Spec::default() },
        defaults: Vec::new(),
        drafts: Vec::new(),
        groups: Vec::new(),
    };
    reading.blocks(&text);
    settle::finish(&mut reading);
    let Reading { spec, findings, .. } = reading;
    let spec = (!findings.is_fatal()).then_some(spec);
    Ok(Loaded { spec, findings, files: text.files })
}

/// Whether a text is a `keepalived.conf`: by the first word that says what it is, in any of its lines.
pub fn is_keepalived(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let word = |line: &str| line.split(|c: char| c.is_whitespace() || c == '{').next().map(str::to_owned);
    let blocks = [
        "global_defs",
        "vrrp_instance",
        "vrrp_script",
        "vrrp_sync_group",
        "virtual_server",
        "static_ipaddress",
        "vrrp_track_process",
        "vrrp_track_file",
        // Of a block whose own word is broken.
        "virtual_router_id",
        "virtual_ipaddress",
    ];
    let ours = ["global", "defaults", "frontend", "backend", "listen", "vrrp", "region-map", "include"];
    let firsts = text.lines().filter_map(|line| word(line.trim_start()));
    let mut telling = firsts.filter(|word| blocks.contains(&&**word) || ours.contains(&&**word));
    telling.next().is_some_and(|word| blocks.contains(&&*word))
}

pub(super) struct Reading<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) findings: Findings,
    pub(super) globals: Globals,
    pub(super) spec: Spec,
    /// Weights of trackers where an entry says none.
    pub(super) defaults: Vec<(Weight, Place)>,
    pub(super) drafts: Vec<Instance>,
    pub(super) groups: Vec<Group>,
}

/// `global_defs` hold for all blocks, those before them too.
fn globals(text: &Text, world: &World<'_>, findings: &mut Findings) -> Globals {
    let mut globals = Globals::default();
    let mut cursor = Cursor::new(&text.items);
    let mut user_at = Place::default();
    while let Some((at, item)) = cursor.next() {
        match item {
            Item::Line(words) if words[0].text == "global_defs" && cursor.opens() => {
                user_at = at;
                cursor.block(GLOBAL, &mut globals, findings);
            }
            // What is in other blocks is no block of this kind.
            Item::Line(words) if is_block(&words[0].text) && cursor.opens() => cursor.skip(),
            _ => {}
        }
    }
    if let Some((user, _)) = globals.script_user.as_ref().filter(|(user, _)| (world.user)(user).is_none()) {
        findings.warning(user_at, format!("'script_user': there is no user '{user}'"));
    }
    let server = globals.smtp_server.as_ref().map(|(server, _)| server);
    if let Some(server) = server.filter(|s| s.parse::<std::net::IpAddr>().is_err() && !(world.resolves)(s)) {
        findings.warning(user_at, format!("'smtp_server': '{server}' has no address"));
        globals.smtp_server = None;
    }
    globals
}

const NAMED: [&str; 6] = [
    "vrrp_instance",
    "vrrp_script",
    "vrrp_sync_group",
    "vrrp_track_process",
    "vrrp_track_file",
    "track_file",
];

/// Those of [`NAMED`] that others refer to.
const TRACKERS: [&str; 4] = ["vrrp_script", "vrrp_track_process", "vrrp_track_file", "track_file"];

/// Blocks of what Isobar does another way, or not at all.
#[rustfmt::skip]
const FOREIGN: [(&str, &str); 11] = [
    ("virtual_server", "the proxy balances; see 'frontend' and 'backend'"),
    ("virtual_server_group", "the proxy balances; see 'frontend' and 'backend'"),
    ("SSL", "it is of virtual servers"),
    ("bfd_instance", "BFD is not Isobar's; see 'heartbeat' in 'vrrp'"),
    ("static_ipaddress", "addresses that do not move are the system's"),
    ("static_routes", "routes are the system's"),
    ("static_rules", "rules are the system's"),
    ("track_group", "it is of static addresses"),
    ("garp_group", "frames are sent without a pause"),
    ("linkbeat_interfaces", "links are watched with netlink"),
    ("interface_up_down_delays", "links are watched without a delay"),
];

/// Words of the top level that stand alone.
const ALONE: [&str; 8] = [
    "net_namespace",
    "net_namespace_ipvs",
    "namespace_with_ipsets",
    "instance",
    "use_pid_dir",
    "linkbeat_use_polling",
    "child_wait_time",
    "umask",
];

fn is_block(word: &str) -> bool {
    NAMED.contains(&word) || FOREIGN.iter().any(|(name, _)| *name == word)
}

impl Reading<'_> {
    fn blocks(&mut self, text: &Text) {
        let mut cursor = Cursor::new(&text.items);
        while let Some((at, item)) = cursor.next() {
            match item {
                Item::Open => self.findings.warning(at, "unexpected '{'"),
                Item::Close => self.findings.warning(at, "unexpected '}'"),
                Item::Line(words) => self.top(&mut cursor, Line { words, at }),
            }
        }
    }

    fn top(&mut self, cursor: &mut Cursor<'_>, line: Line<'_>) {
        let word = line.keyword();
        if ALONE.contains(&word) {
            let message = format!("'{word}' has no effect: Isobar steers its own processes");
            self.findings.push(Level::Ours, line.at, message);
            return cursor.no_block(&mut self.findings, line.at);
        }
        if !is_block(word) && word != "global_defs" {
            return cursor.unknown(&mut self.findings, line);
        }
        // Of a tracker keepalived wants the name at any price.
        let is_tracker = TRACKERS.contains(&word);
        if is_tracker && line.words.len() < 2 {
            self.findings.push(Level::Fatal, line.at, format!("'{word}' expects a name"));
        }
        if !cursor.opens() {
            return self.findings.warning(line.at, format!("'{{' is missing after '{word}'"));
        }
        if word == "global_defs" {
            return cursor.skip();
        }
        if let Some((_, instead)) = FOREIGN.iter().find(|(name, _)| *name == word) {
            let message = format!("block '{word}' is left out: {instead}");
            self.findings.push(Level::Ours, line.at, message);
            return cursor.skip();
        }
        if line.words.len() != 2 && !(is_tracker && line.words.len() > 2) {
            self.findings.warning(line.at, format!("'{word}' expects a name"));
            return cursor.skip();
        }
        self.named(cursor, line);
    }

    fn named(&mut self, cursor: &mut Cursor<'_>, line: Line<'_>) {
        let (name, at) = (line.str(1).to_owned(), line.at);
        match line.keyword() {
            "vrrp_instance" => {
                if self.drafts.iter().any(|known| known.name == name) {
                    self.findings.warning(at, format!("vrrp_instance '{name}' is there already"));
                    return cursor.skip();
                }
                let mut draft = Instance { name, at, ..Instance::default() };
                cursor.block(INSTANCE, &mut draft, &mut self.findings);
                settle::instance(self, draft);
            }
            "vrrp_sync_group" => {
                let mut group = Group { name, at, ..Group::default() };
                cursor.block(GROUP, &mut group, &mut self.findings);
                self.groups.push(group);
            }
            "vrrp_script" => {
                let mut script = Script::default();
                cursor.block(SCRIPT, &mut script, &mut self.findings);
                let weight = script.weight;
                if let Some(spec) = settle::script(self, &name, at, script) {
                    self.tracker(&name, TrackerKind::Script(spec), weight, at);
                }
            }
            "vrrp_track_process" => {
                let mut process = Process::default();
                cursor.block(PROCESS, &mut process, &mut self.findings);
                match process.process {
                    Some(program) => {
                        let quorum = process.quorum.unwrap_or(1);
                        let kind = TrackerKind::Process { process: program, quorum };
                        self.tracker(&name, kind, process.weight, at);
                    }
                    None => self.findings.warning(at, format!("'{name}' names no process: it is left out")),
                }
            }
            _ => {
                let mut file = File::default();
                cursor.block(FILE, &mut file, &mut self.findings);
                match file.path {
                    Some(path) => {
                        let weight = file.weight.unwrap_or(Weight { weight: 1, reverse: false });
                        self.tracker(&name, TrackerKind::File { path }, weight, at);
                    }
                    None => self.findings.warning(at, format!("'{name}' names no file: it is left out")),
                }
            }
        }
    }

    /// Adds a tracker; of those with one name and kind the first is found.
    pub(super) fn tracker(&mut self, name: &str, kind: TrackerKind, weight: Weight, at: Place) {
        self.spec.trackers.push(TrackerSpec { name: Arc::from(name), kind });
        self.defaults.push((weight, at));
    }
}
