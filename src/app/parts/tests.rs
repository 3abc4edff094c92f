//! Changes with a part of our own beside the real ones: each is applied whole or not at all.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use bytes::Bytes;
use tempfile::TempDir;

use crate::base::clock;
use crate::lang::registry::{Kind, Registry};
use crate::os::limits::{FdLimit, Wanted};
use crate::os::opener::Opener;
use crate::proxy::Shared;

use super::super::args::{self, Args, Command};
use super::super::change::{Change, ControlHandle, Request};
use super::super::documents::Documents;
use super::super::health::HealthHooks;
use super::super::messages::Messages;
use super::super::notifier::Notifier;
use super::super::program::Start;
use super::super::services::{self, Hub};
use super::super::signals::Event;
use super::table::PARTS;
use super::testing::{TRIAL, steps};
use super::{Configuration, Handles, Order, Process, Row};

/// All parts there are and one more, running on a file.
struct Node {
    configuration: Configuration,
    dir: TempDir,
    messages: Messages,
    runtime: tokio::runtime::Runtime,
    process: Option<Arc<Process>>,
    hub: Hub,
    asked: Option<(mpsc::Receiver<Request>, mpsc::Receiver<Event>)>,
    /// Workers have their numbers in the process: one node at a time.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Node {
    fn new() -> Node {
        let hub = Hub::default();
        let handles = Handles {
            hub: hub.clone(),
            services: Arc::new(services::all(&hub)),
            documents: Documents::default(),
            places: Arc::default(),
        };
        let rows: Vec<&Row> = PARTS.iter().copied().chain([&TRIAL]).collect();
        let messages = Messages::default();
        messages.set_quiet(true);
        Node {
            configuration: Configuration::new(&rows, &handles),
            dir: tempfile::tempdir().unwrap(),
            messages,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
            process: None,
            hub,
            asked: None,
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file with a frontend on the socket `name`, and lines of the `trial` section.
    fn write(&self, socket: &str, trial: &str) {
        let text = format!(
            "global\n nbthread 1\ndefaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
             frontend f\n bind unix@{}\n http-request return status 200\ntrial\n {trial}\n",
            self.at(socket).display()
        );
        std::fs::write(self.at("test.cfg"), text).unwrap();
    }

    fn args(&self) -> Args {
        let argv = ["isobar".into(), "-f".into(), self.at("test.cfg").into_os_string()];
        match args::parse(argv) {
            Ok(Command::Run(args)) => *args,
            _ => panic!("arguments"),
        }
    }

    fn start(&mut self) {
        self.start_while(|_| {});
    }

    /// Something happens between the preparation and the start.
    fn start_while(&mut self, meanwhile: impl FnOnce(&Node)) {
        let (args, opener) = (self.args(), Opener::default());
        let start = Start { args: &args, opener: &opener, messages: &self.messages };
        let outcome = self.configuration.build(&start);
        assert!(outcome.built, "{}", self.messages.log());
        self.configuration.prepare(&start, 1).unwrap();
        meanwhile(self);
        let (requests, asked) = mpsc::channel();
        let (steering, events) = mpsc::channel();
        self.asked = Some((asked, events));
        let process = Arc::new(Process {
            args: self.args(),
            opener,
            messages: self.messages.clone(),
            notifier: Arc::new(Notifier::direct(self.messages.clone(), clock::wall(), None)),
            budget: Wanted::default().budget(FdLimit::current()),
            runtime: self.runtime.handle().clone(),
            handle: Mutex::new(ControlHandle { requests, steering }),
            workers: 1,
            shared: Shared::new(100, "test".into()),
            current: self.hub.current.clone(),
            hooks: HealthHooks::new(self.hub.current.clone(), self.messages.clone(), "test".into()),
            checks: Arc::default(),
        });
        let _inside = self.runtime.enter();
        self.configuration.start(&process).unwrap();
        self.process = Some(process);
    }

    fn change(&mut self) -> bool {
        self.configuration.change(&Change::Signal)
    }

    fn listens(&self, socket: &str) -> bool {
        UnixStream::connect(self.at(socket)).is_ok()
    }

    fn generation(&self) -> u64 {
        self.process.as_ref().unwrap().generation()
    }
}

#[test]
fn a_part_starts_with_the_others() {
    let mut node = Node::new();
    node.write("a.sock", "word one");
    node.start();
    assert_eq!(steps(), ["build one", "prepare one", "start", "commit one"]);
    assert!(node.listens("a.sock"));
    node.configuration.steer(&Order::Pause(true));
    node.configuration.stop();
    assert_eq!(steps(), ["Pause(true)", "stop one"]);
    assert!(!node.listens("a.sock") && !node.at("a.sock").exists());
}

#[test]
fn a_change_is_committed_by_all_parts() {
    let mut node = Node::new();
    node.write("a.sock", "word one");
    node.start();
    steps();
    node.write("b.sock", "word two");
    assert!(node.change(), "{}", node.messages.log());
    assert_eq!(steps(), ["build two", "prepare two", "commit two"]);
    assert!(node.listens("b.sock") && !node.at("a.sock").exists());
    assert_eq!(node.generation(), 2);
    let log = node.messages.log();
    assert!(log.contains("1 listener added, 1 listener removed, the word is 'two'"), "{log}");
    node.configuration.stop();
}

#[test]
fn a_part_that_cannot_prepare_stops_all() {
    let mut node = Node::new();
    node.write("a.sock", "word one");
    node.start();
    steps();
    node.write("b.sock", "word two\n refuse");
    assert!(!node.change());
    assert_eq!(steps(), ["build two", "prepare refused", "abandon"]);
    assert!(node.listens("a.sock") && !node.at("b.sock").exists(), "the proxy went ahead alone");
    assert_eq!(node.generation(), 1);
    let log = node.messages.log();
    assert!(log.contains("trial: refused as told"), "{log}");
    node.write("b.sock", "word three");
    assert!(node.change());
    assert_eq!(steps(), ["build three", "prepare three", "commit three"]);
    node.configuration.stop();
}

#[test]
fn what_cannot_be_built_reaches_no_preparation() {
    let mut node = Node::new();
    node.write("a.sock", "word one");
    node.start();
    steps();
    for trial in ["wrod two", "word two\nfrontend g\n bind"] {
        node.write("b.sock", trial);
        assert!(!node.change());
        assert!(!steps().iter().any(|step| step.starts_with("prepare")), "{trial}");
        assert!(node.listens("a.sock") && !node.at("b.sock").exists());
        let log = node.messages.log();
        assert!(log.contains("test.cfg:1"), "says where: {log}");
    }
    node.configuration.stop();
}

#[test]
fn what_is_made_ready_is_abandoned_when_it_expires_or_something_else_comes() {
    let mut node = Node::new();
    node.write("a.sock", "word one");
    node.start();
    steps();
    node.write("b.sock", "word two");
    let ready = |node: &mut Node| node.configuration.make_ready_for("web".into(), Bytes::from_static(b"\n"));
    ready(&mut node).unwrap();
    assert_eq!(steps(), ["build two", "prepare two"]);
    assert!(node.at("b.sock").exists() && node.listens("a.sock"));
    node.configuration.turn(clock::now_ms() + 60_000);
    assert_eq!(steps(), ["abandon"]);
    assert!(!node.at("b.sock").exists() && node.listens("a.sock"));

    ready(&mut node).unwrap();
    node.write("c.sock", "word three");
    assert!(node.change());
    assert_eq!(
        steps(),
        ["build two", "prepare two", "abandon", "build three", "prepare three", "commit three"]
    );
    assert!(!node.at("b.sock").exists() && node.listens("c.sock"));
    node.configuration.stop();
}

#[test]
fn what_is_saved_while_a_node_starts_is_a_change() {
    let mut node = Node::new();
    node.write("a.sock", "word one\nglobal\n watch-config");
    node.start_while(|node| node.write("a.sock", "word three\nglobal\n watch-config"));
    let asked = |node: &Node| node.asked.as_ref().and_then(|(requests, _)| requests.try_recv().ok());
    let now = clock::now_ms();
    (0..5).for_each(|turn| node.configuration.turn(now + turn * 200));
    let file = node.at("test.cfg");
    match asked(&node) {
        Some(Request::Change(Change::Files(paths))) => assert_eq!(paths, [file]),
        other => panic!("{other:?}"),
    }
    assert!(node.change(), "{}", node.messages.log());
    (5..40).for_each(|turn| node.configuration.turn(now + turn * 200));
    assert!(asked(&node).is_none(), "told twice");
    node.configuration.stop();
}

#[test]
fn the_registry_knows_the_words_of_a_part() {
    let mut registry = Registry::default();
    (TRIAL.register)(&mut registry);
    assert!(registry.find(Kind::In(TRIAL.name), "word").is_some());
    assert_eq!((TRIAL.sections)(), ["trial"]);
}
