//! Servers from a map: their identity, weights and states, how they leave, and what a reload does to them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::check::{self, Hooks};
use crate::config::Config;
use crate::config::compile::testing::{build_on, build_text};
use crate::lang::Severity;
use crate::model::{AdminState, OperState, Server, ServerSet};
use crate::region::map::*;
use crate::region::testing::{registration, status};
use crate::region::{Direct, Seat};

use super::context::Context;
use super::follow::{Discovery, State};
use super::load;
use super::pool::{Target, server_name, weights};

use Health::{Critical, Passing, Warning};

/// Keeps what was said, and how often queues were served.
#[derive(Default)]
struct Witness {
    lines: Mutex<Vec<String>>,
    served: AtomicU32,
}

impl Hooks for Witness {
    fn line(&self, _: &str, _: Severity, _: u8, screen: &str, _: &str) {
        self.lines.lock().expect("lines").push(screen.to_owned());
    }

    fn server_up(&self, _: &check::Member, _: bool) -> u32 {
        self.served.fetch_add(1, Ordering::SeqCst);
        0
    }
}

/// One backend on a map of its own, in region `eu`.
struct Bench {
    context: Context,
    witness: Arc<Witness>,
    state: State,
    config: Config,
    now: u64,
}

fn text(lines: &[&str]) -> String {
    format!("backend web\n balance roundrobin\n {}\n", lines.join("\n "))
}

fn config(lines: &[&str]) -> Config {
    let (built, diags) = build_text(&text(lines));
    built.unwrap_or_else(|| panic!("{diags:?}")).config
}

fn target(config: &Config) -> Target {
    config.proxies.iter().find_map(Target::of).expect("a backend")
}

impl Bench {
    fn new(lines: &[&str]) -> Bench {
        let config = config(lines);
        let witness = Arc::new(Witness::default());
        let context = Context {
            seat: Direct::seat("here", "eu"),
            hooks: witness.clone(),
            workers: 1,
            resolve: Arc::new(|name| (name == "db.example").then(|| [10, 0, 0, 9].into())),
            alone: tokio::sync::watch::Sender::new(false),
            keys: tokio::sync::watch::Sender::new(None),
            measured: Arc::default(),
        };
        Bench { context, witness, state: State::new(target(&config)), config, now: 10_000 }
    }

    async fn tell(&self, commands: impl IntoIterator<Item = Command>) {
        for command in commands {
            let reply = self.context.seat.propose(command).await.expect("proposed");
            assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
        }
    }

    fn round(&mut self) -> Duration {
        self.state.round(&self.context, self.now).turn
    }

    fn after(&mut self, ms: u64) -> Duration {
        self.now += ms;
        self.round()
    }

    fn set(&self) -> Arc<ServerSet> {
        self.state.target.servers.load()
    }

    fn server(&self, name: &str) -> Server {
        self.set().by_name(name).map(|(_, s)| s.clone()).unwrap_or_else(|| panic!("no server {name}"))
    }

    /// `name weight state` of every server, in order.
    fn shown(&self) -> Vec<String> {
        let state = |s: &Server| match (s.live.oper(), s.live.admin()) {
            (_, admin) if admin.intersects(AdminState::MAINT) => "maint",
            (OperState::Stopped, _) => "down",
            (_, admin) if admin.intersects(AdminState::DRAIN) => "drain",
            (OperState::Starting, _) => "slow",
            _ => "up",
        };
        let weight = |s: &Server| s.live.user_weight.load(Ordering::Relaxed);
        self.set().list.iter().map(|s| format!("{} {} {}", s.spec.name, weight(s), state(s))).collect()
    }
}

fn located(name: &str, location: (f64, f64)) -> Command {
    Command::RegionPut(Region { name: name.into(), location: Some(location), ..Region::default() })
}

fn world() -> Vec<Command> {
    vec![
        located("eu", (53.3, -6.2)),
        located("us", (40.7, -74.0)),
        registration(("e1", "eu"), "web", "a", 8001, Passing),
        registration(("e2", "eu"), "web", "b", 8002, Passing),
        registration(("u1", "us"), "web", "c", 8003, Passing),
    ]
}

fn gone(node: &str, id: &str) -> Command {
    Command::Deregister(Deregistration { node: node.into(), service_id: Some(id.into()), check_id: None })
}

#[tokio::test]
async fn instances_become_servers_beside_those_of_the_file() {
    let mut bench = Bench::new(&["server s1 10.0.0.1:80", "service web", "server s2 10.0.0.2:80"]);
    bench.tell(world()).await;
    bench.round();
    assert_eq!(bench.shown(), ["s1 1 up", "s2 1 up", "e1/a 1 up", "e2/b 1 up", "u1/c 0 up"]);
    let b = bench.server("e2/b");
    assert_eq!((b.spec.address.to_string().as_str(), b.spec.id), ("127.0.0.1:8002", 4));
    assert_eq!(
        bench.witness.served.load(Ordering::SeqCst),
        2,
        "queues are served by whoever may take traffic"
    );
    // The servers take part at once.
    let mut picked: Vec<usize> = (0..4)
        .filter_map(|_| bench.set().balancer.pick(&bench.set().list, &crate::model::Pick::default()))
        .collect();
    picked.sort_unstable();
    assert_eq!(picked, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_change_of_health_leaves_the_list_alone() {
    let mut bench = Bench::new(&["service web"]);
    bench.tell(world()).await;
    bench.round();
    let (set, a) = (bench.set(), bench.server("e1/a"));
    bench.tell([status("e1", "a", Critical)]).await;
    bench.round();
    assert!(Arc::ptr_eq(&set, &bench.set()), "the same list");
    // 1/2 of eu is healthy, 71.4 % of what is wanted: the rest goes to us.
    assert_eq!(bench.shown(), ["e1/a 0 down", "e2/b 256 up", "u1/c 102 up"]);
    let lines = bench.witness.lines.lock().expect("lines").clone();
    let down = "Server web/e1/a is DOWN, critical in the region map. 2 active and 0 backup servers left.";
    assert!(lines.iter().any(|l| l.starts_with(down)), "{lines:?}");
    bench.tell([status("e1", "a", Passing)]).await;
    bench.round();
    assert_eq!(bench.shown(), ["e1/a 1 up", "e2/b 1 up", "u1/c 0 up"]);
    assert_eq!(bench.server("e1/a").live.down_trans.load(Ordering::Relaxed), 1);
    assert!(Arc::ptr_eq(&a.live, &bench.server("e1/a").live));
}

#[tokio::test]
async fn who_leaves_may_finish() {
    let mut bench = Bench::new(&["service web"]);
    bench.tell(world()).await;
    bench.round();
    let a = bench.server("e1/a");
    a.live.served.fetch_add(1, Ordering::SeqCst);
    bench.tell([gone("e1", "a"), gone("e2", "b")]).await;
    let turn = bench.round();
    assert_eq!(
        bench.shown(),
        ["u1/c 1 up", "e1/a 1 drain"],
        "the idle one is gone, the other takes nothing new"
    );
    assert!(!a.live.is_usable() && a.live.is_up() && turn < Duration::from_secs(1), "{turn:?}");
    // It comes back before it was done: the same server.
    bench.tell([registration(("e1", "eu"), "web", "a", 8001, Passing)]).await;
    bench.round();
    assert_eq!(bench.shown(), ["e1/a 1 up", "u1/c 0 up"]);
    assert!(Arc::ptr_eq(&a.live, &bench.server("e1/a").live));
    bench.tell([gone("e1", "a")]).await;
    bench.round();
    a.live.served.fetch_sub(1, Ordering::SeqCst);
    bench.after(250);
    assert_eq!(bench.shown(), ["u1/c 1 up"]);
    assert_eq!(bench.state.pool.len(), 1);
}

#[tokio::test]
async fn another_address_is_another_server() {
    let mut bench = Bench::new(&["service web"]);
    bench.tell(world()).await;
    bench.round();
    let before = bench.server("e1/a");
    bench.tell([registration(("e1", "eu"), "web", "a", 9001, Passing)]).await;
    bench.round();
    let after = bench.server("e1/a");
    assert_eq!(after.spec.address.to_string(), "127.0.0.1:9001");
    assert_ne!(before.live.uid, after.live.uid, "idle connections belong to the old one");
    assert_eq!(bench.set().list.len(), 3);
}

#[tokio::test]
async fn an_operator_s_word_holds_until_the_map_says_something_else() {
    let mut bench = Bench::new(&["service web"]);
    bench.tell(world()).await;
    bench.round();
    let a = bench.server("e1/a");
    a.live.user_weight.store(7, Ordering::Relaxed);
    a.live.set_admin(AdminState::FORCED_DRAIN);
    bench.tell([status("e2", "b", Warning)]).await;
    bench.round();
    assert_eq!(bench.shown(), ["e1/a 7 drain", "e2/b 1 up", "u1/c 0 up"]);
    bench.tell([status("e2", "b", Critical)]).await;
    bench.round();
    assert_eq!(bench.shown()[0], "e1/a 256 drain", "a weight that the map changes wins, a drain stays");
}

#[tokio::test]
async fn a_lost_region_hands_over_and_comes_back_slowly() {
    let mut bench = Bench::new(&["service web"]);
    bench.tell(world()).await;
    bench.tell([registration(("u2", "us"), "web", "d", 8004, Passing)]).await;
    bench.tell([gone("e1", "a"), gone("e2", "b")]).await;
    bench.tell([located("uk", (51.5, -0.1)), registration(("k1", "uk"), "web", "k", 8009, Passing)]).await;
    bench.round();
    assert_eq!(bench.shown(), ["k1/k 1 up", "u1/c 0 up", "u2/d 0 up"]);
    let uk = |lost| Command::RegionStands { name: "uk".into(), lost, cause: "silence".into() };
    let (down, up) = (uk(true), uk(false));
    bench.tell([down]).await;
    bench.after(1000);
    assert_eq!(bench.shown(), ["k1/k 0 down", "u1/c 1 up", "u2/d 1 up"]);
    let lines = bench.witness.lines.lock().expect("lines").clone();
    assert!(lines.iter().any(|l| l.contains("web/k1/k is DOWN, its region is lost")), "{lines:?}");
    bench.tell([up]).await;
    let turn = bench.after(1000);
    // A twentieth of its share at first.
    assert_eq!(bench.shown(), ["k1/k 27 up", "u1/c 256 up", "u2/d 256 up"]);
    assert!(turn <= Duration::from_millis(250), "{turn:?}");
    bench.after(3500);
    assert_eq!(bench.shown(), ["k1/k 256 up", "u1/c 238 up", "u2/d 238 up"]);
    let turn = bench.after(6500);
    assert_eq!(bench.shown(), ["k1/k 1 up", "u1/c 0 up", "u2/d 0 up"]);
    assert!(turn > Duration::from_secs(60), "quiet again: {turn:?}");
}

#[tokio::test]
async fn in_a_region_that_comes_back_the_share_grows_and_not_each_server_beside_it() {
    let mut bench = Bench::new(&["default-server slowstart 10s", "service web regions us"]);
    bench.tell(world()).await;
    bench.round();
    let us = |lost| Command::RegionStands { name: "us".into(), lost, cause: "silence".into() };
    bench.tell([us(true)]).await;
    bench.after(1000);
    assert_eq!(bench.shown(), ["u1/c 0 down"]);
    bench.tell([us(false)]).await;
    bench.after(1000);
    assert_eq!(bench.shown(), ["u1/c 1 up"]);
}

#[tokio::test]
async fn a_server_that_comes_back_starts_slowly() {
    let mut bench = Bench::new(&["default-server slowstart 2s maxconn 9", "service web"]);
    bench.tell(world()).await;
    bench.round();
    assert_eq!(bench.server("e1/a").spec.maxconn, 9);
    bench.tell([status("e1", "a", Critical)]).await;
    bench.round();
    bench.tell([status("e1", "a", Passing)]).await;
    let turn = bench.after(100);
    assert_eq!(bench.shown()[0], "e1/a 1 slow");
    assert_eq!(turn, Duration::from_millis(100));
    bench.after(2000);
    assert_eq!(bench.shown()[0], "e1/a 1 up");
}

#[tokio::test]
async fn names_are_resolved_and_tried_again() {
    let mut bench = Bench::new(&["service db"]);
    let named = |id: &str, address: &str| {
        let mut command = registration(("e1", "eu"), "db", id, 5432, Passing);
        if let Command::Register(r) = &mut command
            && let Some(instance) = &mut r.instance
        {
            instance.address = address.into();
        }
        command
    };
    bench.tell([named("x", "db.example"), named("y", "gone.example")]).await;
    let turn = bench.round();
    assert_eq!(bench.shown(), ["e1/x 1 up", "e1/y 1 maint"]);
    assert_eq!(bench.server("e1/x").spec.address.to_string(), "10.0.0.9:5432");
    assert!(turn <= Duration::from_secs(5));
    bench.context.resolve = Arc::new(|name| (name == "gone.example").then(|| [10, 0, 0, 8].into()));
    bench.after(5000);
    assert_eq!(bench.shown(), ["e1/x 1 up", "e1/y 1 up"], "what was found is not looked up again");
    assert_eq!(bench.server("e1/y").spec.address.to_string(), "10.0.0.8:5432");
}

#[tokio::test]
async fn two_lines_share_a_backend_by_their_instances() {
    let mut bench = Bench::new(&["service web regions us", "service api", "service web tag none"]);
    bench.tell(world()).await;
    bench
        .tell([
            registration(("e1", "eu"), "api", "p", 9001, Passing),
            registration(("e1", "eu"), "api", "q", 9002, Passing),
        ])
        .await;
    bench.round();
    assert_eq!(bench.shown(), ["u1/c 1 up", "e1/p 1 up", "e1/q 1 up"]);
}

#[tokio::test]
async fn a_reload_keeps_them_and_the_line_that_goes_takes_them_along() {
    let mut bench = Bench::new(&["server s1 10.0.0.1:80", "service web"]);
    bench.tell(world()).await;
    bench.round();
    let a = bench.server("e1/a");
    // Something joins between build and activation; the file takes the number of one of ours.
    let lines = ["server s1 10.0.0.1:80", "server s2 10.0.0.2:80", "service web"];
    let mut built = build_on(&text(&lines), Some(&bench.config)).0.expect("built");
    bench.tell([registration(("e3", "eu"), "web", "z", 8010, Passing)]).await;
    bench.round();
    built.activate(20_000);
    let next = built.config;
    bench.state.target = target(&next);
    bench.config = next;
    bench.round();
    assert_eq!(bench.shown(), ["s1 1 up", "s2 1 up", "e1/a 1 up", "e2/b 1 up", "e3/z 1 up", "u1/c 0 up"]);
    assert!(Arc::ptr_eq(&a.live, &bench.server("e1/a").live), "the same cell");
    let mut ids: Vec<u32> = bench.set().list.iter().map(|s| s.spec.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6, "numbers are unique");
    let mut built = build_on(&text(&lines[..1]), Some(&bench.config)).0.expect("built");
    built.activate(30_000);
    bench.state.target = target(&built.config);
    assert!(bench.state.round(&bench.context, 30_000).is_over);
    assert_eq!(bench.shown(), ["s1 1 up"]);
}

#[tokio::test]
async fn a_static_algorithm_gets_its_weights_too() {
    let mut bench = Bench::new(&["balance static-rr", "service web"]);
    bench.tell(world()).await;
    bench.round();
    bench.tell([status("e1", "a", Critical)]).await;
    bench.round();
    let set = bench.set();
    let mut counts = [0; 3];
    for _ in 0..358 {
        let at = set.balancer.pick(&set.list, &crate::model::Pick::default()).expect("a server");
        counts[at] += 1;
    }
    assert_eq!(counts, [0, 256, 102]);
}

async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not in time: {what}");
}

fn discovery(seat: &Seat) -> Discovery {
    Discovery::new(seat.clone(), Arc::new(Witness::default()), 1, Arc::new(|_| None))
}

#[tokio::test]
async fn tasks_follow_the_map_and_the_configuration() {
    let seat = Direct::seat("here", "eu");
    for command in world() {
        seat.propose(command).await.expect("proposed");
    }
    let first = config(&["service web"]);
    let mut discovery = discovery(&seat);
    discovery.follow(&first);
    let servers = target(&first).servers;
    let names = || servers.with(|set| set.list.iter().map(|s| s.spec.name.to_string()).collect::<Vec<_>>());
    assert_eq!(names(), ["e1/a", "e2/b", "u1/c"], "there when the call returns");
    seat.propose(registration(("e9", "eu"), "web", "n", 8888, Passing)).await.expect("proposed");
    until("the new one", || names().contains(&"e9/n".to_owned())).await;
    // Another service is nobody's business.
    let set = servers.load();
    seat.propose(registration(("e9", "eu"), "other", "o", 8889, Passing)).await.expect("proposed");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(Arc::ptr_eq(&set, &servers.load()));
    let mut built = build_on(&text(&["server s 1.2.3.4:5"]), Some(&first)).0.expect("built");
    built.activate(1);
    discovery.follow(&built.config);
    assert_eq!((names(), discovery.len()), (vec!["s".to_owned()], 1));
    discovery.follow(&built.config);
    until("the end of the task", || {
        discovery.follow(&built.config);
        discovery.is_empty()
    })
    .await;
}

/// The map is as it was; what died since is found by this node itself, and the next region takes over.
#[tokio::test]
async fn a_node_that_is_alone_finds_out_for_itself() {
    let mut bench = Bench::new(&["default-server inter 100 fall 1 rise 1", "service web check"]);
    let local = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let far = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = |l: &tokio::net::TcpListener| l.local_addr().expect("an address").port();
    bench
        .tell([
            located("eu", (53.3, -6.2)),
            located("us", (40.7, -74.0)),
            registration(("e1", "eu"), "web", "a", port(&local), Passing),
            registration(("u1", "us"), "web", "c", port(&far), Critical),
        ])
        .await;
    bench.round();
    assert_eq!(bench.shown(), ["e1/a 1 up", "u1/c 0 down"]);
    bench.context.alone.send_replace(true);
    let shown = async |bench: &mut Bench, wanted: [&str; 2]| {
        for _ in 0..500 {
            bench.after(10);
            if bench.shown() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?} {wanted:?}", bench.shown());
    };
    shown(&mut bench, ["e1/a 1 up", "u1/c 0 up"]).await;
    let (live, index) = (bench.server("e1/a").live, bench.context.seat.map().index());
    drop(local);
    shown(&mut bench, ["e1/a 0 down", "u1/c 1 up"]).await;
    assert!(Arc::ptr_eq(&live, &bench.server("e1/a").live));
    // The cluster is back: what it says holds again.
    bench.context.alone.send_replace(false);
    assert!(bench.round() > Duration::from_secs(60));
    assert_eq!(bench.shown(), ["e1/a 1 up", "u1/c 0 down"]);
    assert_eq!(bench.context.seat.map().index(), index, "nothing of it was proposed");
}

#[test]
fn names_are_plain_and_apart() {
    let name = |node: &str, id: &str| {
        server_name(&Instance { node: node.into(), id: id.into(), ..Instance::default() }).to_string()
    };
    assert_eq!(name("n1", "web-1"), "n1/web-1");
    assert_eq!(name("host.example", "host:web:80"), "host.example/host:web:80");
    let (a, b) = (name("n", "a b"), name("n", "a#b"));
    assert!(a.starts_with("n/a_b~") && b.starts_with("n/a_b~") && a != b, "{a} {b}");
}

#[test]
fn weights_keep_the_proportion_of_shares() {
    use crate::region::choice::{Choice, ChosenInstance, Standing};
    let choice = |shares: &[f64], weight: f64| Choice {
        list: shares
            .iter()
            .map(|share| ChosenInstance {
                instance: Arc::default(),
                address: "".into(),
                region: "".into(),
                level: 0,
                standing: Standing::Up(Passing),
                share: *share,
            })
            .collect(),
        weight,
    };
    let of = |shares: &[f64], weight| weights(&[choice(shares, weight)]).remove(0);
    assert_eq!(of(&[0.5, 0.25, 0.25, 0.0], 8.0), [4, 2, 2, 0]);
    assert_eq!(of(&[0.9, 0.0999, 0.0001], 3.0), [256, 28, 1]);
    assert_eq!(of(&[0.5, 0.5], 2000.0), [256, 256]);
    assert_eq!(of(&[0.0, 0.0], 0.0), [0, 0]);
    assert_eq!(weights(&[]), Vec::<Vec<u32>>::new());
}

#[tokio::test]
async fn the_load_of_a_service_is_told_by_region() {
    let mut bench = Bench::new(&["service web"]);
    bench.tell(world()).await;
    bench.round();
    for (name, sessions) in [("e1/a", 3), ("e2/b", 4)] {
        let live = bench.server(name).live;
        live.served.store(sessions, Ordering::Relaxed);
        live.maxconn.store(10, Ordering::Relaxed);
    }
    let mut told = Default::default();
    let mut tell = |bench: &Bench| {
        load::publish(&bench.context.seat, &bench.context.measured, &mut told);
        let sums = bench.context.seat.soft().view().sums();
        let shown = |load: &crate::region::soft::Load| (load.sessions, load.capacity, load.servers);
        ["eu", "us"].map(|region| sums.get(&("web".into(), region.into())).map(shown))
    };
    assert_eq!(tell(&bench), [Some((7, 20, 2)), Some((0, 0, 0))], "nobody is sent there");
    bench.tell([status("e2", "b", Critical), gone("u1", "c")]).await;
    bench.round();
    assert_eq!(tell(&bench), [Some((7, 10, 1)), None], "what is left may finish");
    // Nobody follows the backend any more.
    bench.state = State::new(target(&bench.config));
    assert_eq!(tell(&bench), [None, None]);
}
