//! Three regions under load: what exceeds the healthy capacity of one spills to the next, a region that dies is left,
//! and one that comes back gets its part little by little (job 19 of the operator's day).
//!
//! The region that dies is that of the leader, so that an election comes first, and its wires are cut before it is
//! killed, so that nobody hears of it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::cluster::{API, Cluster, Node, SOON, WEB};
use super::load::{Asked, Connections, Load, failed, percent};
use crate::support::Proxy;
use crate::support::lab::Lab;
use crate::support::place::wait_until;

/// Each takes over from the one before.
const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
const INSTANCES: u16 = 4;
const FIRST_PORT: u16 = 9001;

/// As the configuration has them.
const OVERFLOW: f64 = 0.7;
const REGION_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_millis(500);
const SLOWSTART: Duration = Duration::from_secs(8);

/// What the bar adds to `region-timeout`.
const GRACE: Duration = Duration::from_millis(100);
/// Requests that a share is measured on, and by how many points it may be off.
const REQUESTS: usize = 2000;
const TOLERANCE: f64 = 5.0;
const CLIENTS: usize = 12;

fn address(n: usize) -> IpAddr {
    Ipv4Addr::new(10, 78, 0, n as u8 + 1).into()
}

fn text_of(n: usize) -> String {
    let (address, region) = (address(n), REGIONS[n]);
    let join: Vec<String> = (0..REGIONS.len()).map(|peer| format!("{}:7400", self::address(peer))).collect();
    let section = |n: usize| {
        format!("region {}\n    failover {} {}\n", REGIONS[n], REGIONS[(n + 1) % 3], REGIONS[(n + 2) % 3])
    };
    let sections: String = (0..REGIONS.len()).map(section).collect();
    format!(
        "defaults
    mode http
    timeout connect {}ms
    timeout client 30s
    timeout server 2s
    option redispatch
    retries 3
{sections}region-map
    node {region}-1 region {region}
    bind {address}:7400 insecure
    data-dir \"${{ISOBAR_DATA}}/{region}\"
    retry-join {}
    expect 3
    http-api {address}:{API} insecure
    region-timeout {}s
frontend in
    bind {address}:{WEB}
    default_backend web
backend web
    balance roundrobin
    default-server slowstart {}s on-marked-down shutdown-sessions
    service web regions nearest overflow {}%
",
        CONNECT.as_millis(),
        join.join(" "),
        REGION_TIMEOUT.as_secs(),
        SLOWSTART.as_secs(),
        OVERFLOW * 100.0,
    )
}

/// A process that is the instances of a region: each answers with the region and its number.
fn instances(n: usize, netns: &str) -> Proxy {
    let mut text = String::from(
        "global\n nbthread 1\ndefaults\n mode http\n timeout client 60s\n timeout connect 1s\n timeout server 1s\n",
    );
    for i in 0..INSTANCES {
        let port = FIRST_PORT + i;
        text += &format!(
            "frontend f{i}\n bind {}:{port}\n http-request return status 200 content-type text/plain string \"{} {i}\"\n",
            address(n),
            REGIONS[n]
        );
    }
    Proxy::on(&text).netns(netns).spawn()
}

/// What Envoy's priority levels make of the healthy part of each region: a level can take that part over `overflow`, at
/// most everything, and takes as much of what those before it left.
fn shares(healthy: &[f64], overflow: f64) -> Vec<f64> {
    let able = || healthy.iter().map(move |part| (part / overflow).min(1.0));
    let scale = able().sum::<f64>().min(1.0);
    let mut left = 1.0;
    let mut share = |able: f64| {
        let share = (able / scale).min(left);
        left -= share;
        100.0 * share
    };
    able().map(&mut share).collect()
}

struct Trial<'a> {
    lab: &'a Lab,
    hosts: &'a [String],
    cluster: Cluster,
    instances: Vec<Proxy>,
    /// The region of the clients, the one after it, which is the leader's, and the one after that.
    order: [usize; 3],
    load: Load,
}

#[test]
fn a_region_spills_is_lost_and_comes_back() {
    let Some(mut lab) = Lab::with_hub("region::failover", "10.78.0.254/24") else { return };
    let hosts: Vec<String> = (0..REGIONS.len()).map(|n| lab.host(&format!("{}/24", address(n)))).collect();
    lab.inside(|| {
        let mut trial = Trial::start(&lab, &hosts);
        trial.spills();
        trial.is_lost();
        trial.comes_back();
    });
}

impl<'a> Trial<'a> {
    fn start(lab: &'a Lab, hosts: &'a [String]) -> Trial<'a> {
        let instances = (0..REGIONS.len()).map(|n| instances(n, &hosts[n])).collect();
        let node = |n: usize| Node::new(address(n), &text_of(n)).netns(&hosts[n]);
        let mut cluster = Cluster::new((0..REGIONS.len()).map(node).collect());
        cluster.start_all();
        for node in &cluster.nodes {
            for i in 0..INSTANCES {
                let check = r#"{"TTL":"600s","Status":"passing"}"#;
                let body =
                    format!(r#"{{"Name":"web","ID":"w{i}","Port":{},"Check":{check}}}"#, FIRST_PORT + i);
                let reply = node.api().put("/v1/agent/service/register", &body).expect("an answer");
                assert_eq!(reply.status, 200, "{}", reply.body);
            }
        }
        let leader = cluster.nodes[0].leader();
        let leads = |node: &Node| leader == format!("{}:7400", node.address);
        let leader = cluster.nodes.iter().position(leads).expect("a leader");
        let order = [(leader + 2) % 3, leader, (leader + 1) % 3];
        let mut load = Load::default();
        let web = cluster.nodes[order[0]].web();
        (0..CLIENTS).for_each(|_| load.add(web, Connections::Kept));
        Trial { lab, hosts, cluster, instances, order, load }
    }

    fn region(&self, level: usize) -> &'static str {
        REGIONS[self.order[level]]
    }

    /// The answers' shares, in percent, in the order of the regions.
    fn measure(&self, asked: &[Asked]) -> [f64; 3] {
        [0, 1, 2].map(|level| percent(asked, self.region(level)))
    }

    /// Waits until a region answers, or no longer does, and lets what is in flight arrive.
    fn settles(&self, level: usize, answers: bool) {
        let settled = wait_until(SOON, || {
            let begun = Instant::now();
            std::thread::sleep(Duration::from_millis(200));
            (percent(&self.load.since(begun), self.region(level)) > 0.0) == answers
        });
        assert!(settled, "{} answers or not: {}", self.region(level), self.said());
    }

    fn said(&self) -> String {
        self.cluster.nodes[self.order[0]].said()
    }

    /// All is local until half of the local instances are critical; then the excess spills.
    fn spills(&mut self) {
        self.settles(0, true);
        self.settles(1, false);
        let asked = self.load.next(REQUESTS / 4, SOON);
        assert_eq!(
            self.measure(&asked),
            [100.0, 0.0, 0.0],
            "all is well and something is not served locally"
        );

        let began = Instant::now();
        let mut api = self.cluster.nodes[self.order[0]].api();
        for i in 0..INSTANCES / 2 {
            let reply = api.put(&format!("/v1/agent/check/fail/service:w{i}"), "").expect("an answer");
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        self.settles(1, true);
        let asked = self.load.next(REQUESTS, SOON);
        self.has_shares("half of the local capacity", &asked, &shares(&[0.5, 1.0, 1.0], OVERFLOW));
        let served_by = |i| percent(&asked, &format!("{} {i}", self.region(0)));
        assert!((0..INSTANCES / 2).all(|i| served_by(i) == 0.0), "a critical instance is asked");
        let failed = self.load.since(began).iter().filter(|asked| asked.answer.is_err()).count();
        assert_eq!(failed, 0, "requests failed when instances went critical: {}", self.said());
    }

    fn has_shares(&self, when: &str, asked: &[Asked], expected: &[f64]) {
        let measured = self.measure(asked);
        let text = format!("{when}: {measured:.1?} of {} requests, expected {expected:.1?}", asked.len());
        eprintln!("{text}");
        let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE;
        assert!(measured.iter().zip(expected).all(is_near), "{text}");
    }

    /// The second region dies: its part goes to the third.
    fn is_lost(&mut self) {
        let dead = self.order[1];
        let killed = Instant::now();
        self.lab.link(&self.hosts[dead], false);
        self.instances[dead].signal(Signal::SIGKILL);
        self.cluster.kill(dead);

        let bar = REGION_TIMEOUT + GRACE;
        std::thread::sleep((bar + Duration::from_secs(4)).saturating_sub(killed.elapsed()));
        let asked = self.load.since(killed);
        let failed = failed(&asked);
        let last = failed.iter().map(|asked| asked.ended - killed).max().unwrap_or_default();
        let served =
            |asked: &&Asked| asked.answer.as_ref().is_ok_and(|body| body.starts_with(self.region(2)));
        let taken_over = asked.iter().find(served).map(|asked| asked.ended - killed);
        eprintln!(
            "{} lost: {} of {} requests failed, the last after {last:?}; {} first serves after {taken_over:?}",
            self.region(1),
            failed.len(),
            asked.len(),
            self.region(2),
        );
        assert!(last <= bar, "a request failed {last:?} after the region died: {}", self.said());
        let soon = bar + CONNECT;
        assert!(taken_over.is_some_and(|after| after <= soon), "{} takes over too late", self.region(2));
        // Who asks later does not even wait for the dead.
        let late = asked.iter().filter(|asked| asked.began >= killed + soon);
        let slowest = late.map(|asked| asked.ended - asked.began).max().unwrap_or_default();
        assert!(slowest < CONNECT, "a request took {slowest:?} when the region was lost: {}", self.said());
        let asked = self.load.next(REQUESTS, SOON);
        self.has_shares("the second region lost", &asked, &shares(&[0.5, 0.0, 1.0], OVERFLOW));
    }

    /// It comes back, and its part with it, little by little.
    fn comes_back(&mut self) {
        let back = self.order[1];
        let began = Instant::now();
        self.lab.link(&self.hosts[back], true);
        self.instances[back] = instances(back, &self.hosts[back]);
        self.cluster.start(back);
        let name = self.region(1);
        let first = || {
            let served = |asked: &Asked| asked.answer.as_ref().is_ok_and(|body| body.starts_with(name));
            self.load.since(began).into_iter().find(served)
        };
        assert!(wait_until(SOON, || first().is_some()), "{name} is not back: {}", self.said());
        let first = first().expect("found").began;
        std::thread::sleep((SLOWSTART + Duration::from_secs(1)).saturating_sub(first.elapsed()));

        let asked = self.load.since(first);
        let quarter = |n: u32| {
            let within = |asked: &&Asked| {
                asked.began >= first + SLOWSTART / 4 * n && asked.began < first + SLOWSTART / 4 * (n + 1)
            };
            self.measure(&asked.iter().filter(within).cloned().collect::<Vec<_>>())
        };
        let quarters = [0, 1, 2, 3].map(quarter);
        let expected = shares(&[0.5, 1.0, 1.0], OVERFLOW);
        eprintln!("back after {:?}: by quarters of slow start {quarters:.1?}", first - began);
        assert!(quarters[0][1] < expected[1] / 2.0, "{name} has its part at once: {quarters:.1?}");
        let grows = quarters.windows(2).all(|pair| pair[1][1] > pair[0][1]);
        assert!(grows, "the part of {name} does not grow: {quarters:.1?}");
        let crowded = quarters.iter().any(|quarter| quarter[0] > expected[0] + TOLERANCE);
        assert!(!crowded, "what {name} does not take yet falls back on {}: {quarters:.1?}", self.region(0));
        let asked = self.load.next(REQUESTS, SOON);
        self.has_shares("the second region back", &asked, &expected);
        let failed = self.load.since(began).iter().filter(|asked| asked.answer.is_err()).count();
        assert_eq!(failed, 0, "requests failed while {name} came back: {}", self.said());
    }
}
