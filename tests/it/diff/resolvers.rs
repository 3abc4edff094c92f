//! Servers whose addresses come from name servers: HAProxy and Isobar follow one name server side by side, whose records
//! change again and again, and have the same servers in the same states after each change.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::HTTP;
use crate::support::differential::same;
use crate::support::names::{Name, NameServer};
use crate::support::{Origin, Proxy, program};

/// `timeout resolve` and what else a change takes at most before it shows.
const SETTLE: Duration = Duration::from_millis(900);
/// How much later one of the two may be on a busy machine.
const LATE: Duration = Duration::from_secs(20);

const SECTION: &str = "
resolvers dns
    nameserver one {dns}
    timeout resolve 100ms
    timeout retry 80ms
    resolve_retries 2
    hold nx 200ms
    hold other 200ms
    hold refused 200ms
    hold timeout 200ms
    hold obsolete 100ms
";

const BACKENDS: &str = "
backend plain
    server p1 p1.test:80 resolvers dns init-addr none
    server p2 p2.test:80 resolvers dns init-addr none resolve-prefer ipv4
    server p3 p3.test:80 resolvers dns init-addr 192.0.2.9 resolve-prefer ipv4
    server near near.test:80 resolvers dns init-addr none resolve-prefer ipv4 resolve-net 10.9.0.0/16
backend template
    server-template t 4 t.test:8080 resolvers dns init-addr none resolve-prefer ipv4
backend twice
    server-template d 2 t1.test:8080 resolvers dns init-addr none resolve-prefer ipv4 resolve-opts allow-dup-ip
backend services
    server-template s 5 _http._tcp.s.test resolvers dns resolve-prefer ipv4
backend weightless
    server-template w 3 _http._tcp.w.test resolvers dns resolve-prefer ipv4 resolve-opts ignore-weight
";

fn config(more: &str) -> String {
    let head = HTTP.replace("    nbthread 1\n", "    nbthread 1\n    stats socket {dir}/sock level admin\n");
    let head = head.replace("    log {log} local0\n", "").replace("    log global\n    option httplog\n", "");
    format!(
        "{head}{SECTION}\nfrontend fe\n    bind {{ip}}:{{port:fe}}\n    default_backend plain\n{BACKENDS}{more}"
    )
}

fn cli(proxy: &Proxy, command: &str) -> String {
    let mut stream = UnixStream::connect(proxy.dir().join("sock")).expect("connect");
    stream.write_all(format!("{command}\n").as_bytes()).expect("write");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    text
}

/// The servers: where they are, whether they are up, why not, their names and weights. Which of several servers that
/// stand for one name has which address is nobody's business.
fn servers(proxy: &Proxy) -> Vec<String> {
    let state = cli(proxy, "show servers state");
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(' ').collect();
        let (op, admin) = (cells[5], cells[6].parse::<u32>().unwrap_or(99) & !0x40);
        let weight = if op == "2" { cells[7] } else { "-" };
        format!(
            "{} {}:{} op {op} admin {admin} weight {weight} {} {}",
            cells[1], cells[4], cells[18], cells[17], cells[19]
        )
    };
    let mut list: Vec<String> = state.lines().skip(2).filter(|line| line.contains(' ')).map(line).collect();
    let stat = cli(proxy, "show stat");
    list.extend(stat.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let is_server = cells.len() > 17 && !["BACKEND", "FRONTEND", "svname"].contains(&cells[1]);
        is_server.then(|| format!("{} {}", cells[0], cells[17]))
    }));
    list.sort();
    list
}

/// What records of services name.
const TARGETS: [&str; 5] = ["h1.test", "h2.test", "h3.test", "h4.test", "h5.test"];

/// A generator of numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// So many addresses, no two the same.
    fn addresses(&mut self, most: u64) -> Vec<IpAddr> {
        let (count, base) = (self.below(most + 1), self.below(200));
        (0..count).map(|n| IpAddr::from([10, 1, 0, (base + n) as u8])).collect()
    }
}

/// What may go wrong with a name.
fn trouble(dice: &mut Dice, name: Name) -> Name {
    match dice.below(12) {
        0 => Name::fails(3),
        1 => Name::fails(5),
        2 => Name::fails(2),
        3 => Name { is_silent: true, ..name },
        4 => Name::default(),
        _ => name,
    }
}

/// Changes one name, sometimes two.
fn change(dice: &mut Dice, dns: &NameServer) -> String {
    let mut told = String::new();
    for _ in 0..=dice.below(2) {
        let (name, said) = match dice.below(8) {
            n @ 0..=2 => {
                let mut addresses = dice.addresses(1);
                if dice.chance(50) {
                    addresses.push(IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, dice.below(100) as u16]));
                }
                (format!("p{}.test", n + 1), Name { addresses, ..Name::default() })
            }
            3 => {
                let far = IpAddr::from([10, 8, 0, dice.below(100) as u8]);
                let near = IpAddr::from([10, 9, 0, dice.below(100) as u8]);
                let addresses = if dice.chance(50) { vec![far, near] } else { vec![far] };
                ("near.test".into(), Name { addresses, ..Name::default() })
            }
            4 => ("t.test".into(), Name { addresses: dice.addresses(4), ..Name::default() }),
            5 => ("t1.test".into(), Name { addresses: dice.addresses(1), ..Name::default() }),
            n => {
                let (zone, most) = if n == 6 { ("s", 5) } else { ("w", 3) };
                let mut services = Vec::new();
                // One port of each: HAProxy gives the address of a target to one server alone.
                for target in TARGETS {
                    if services.len() < most && dice.chance(50) {
                        let port = 8001 + dice.below(2) as u16;
                        services.push((dice.below(65_536) as u16, port, target.to_owned()));
                    }
                }
                (format!("_http._tcp.{zone}.test"), Name { services, ..Name::default() })
            }
        };
        let said = trouble(dice, said);
        told.push_str(&format!("{name}: {said:?}\n"));
        dns.set(&name, said);
        if dice.chance(15) {
            let target = TARGETS[dice.below(5) as usize];
            let said = Name { addresses: dice.addresses(1), ..Name::default() };
            told.push_str(&format!("{target}: {said:?}\n"));
            dns.set(target, said);
        }
    }
    told
}

/// `ISOBAR_STEPS` says how many changes there are.
#[test]
fn the_same_servers_after_each_change() {
    let Some(haproxy) = program::haproxy() else {
        return program::skipped("diff", "no HAProxy on this machine (Debian package: haproxy)");
    };
    let steps = std::env::var("ISOBAR_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(25);
    let dns = NameServer::start();
    for (n, target) in TARGETS.iter().enumerate() {
        dns.set(target, Name::at(&[&format!("10.3.0.{n}")]));
    }
    let text = config("");
    let theirs = Proxy::on(&text).with("dns", dns.address).binary(haproxy).start();
    let ours = Proxy::on(&text).with("dns", dns.address).start();
    let mut dice = Dice(7);
    let mut story = String::new();
    for step in 0..steps {
        story = change(&mut dice, &dns);
        sleep(SETTLE);
        let until = Instant::now() + LATE;
        loop {
            let (theirs, ours) = (servers(&theirs), servers(&ours));
            if theirs == ours {
                break;
            }
            if Instant::now() > until {
                let only = |a: &[String], b: &[String]| -> Vec<String> {
                    let mut rest = b.to_vec();
                    a.iter()
                        .filter(|line| match rest.iter().position(|other| other == *line) {
                            Some(at) => {
                                rest.remove(at);
                                false
                            }
                            None => true,
                        })
                        .cloned()
                        .collect()
                };
                panic!(
                    "step {step}\n{story}\nHAProxy alone: {:#?}\nours alone: {:#?}",
                    only(&theirs, &ours),
                    only(&ours, &theirs)
                );
            }
            sleep(Duration::from_millis(100));
        }
    }
    assert!(!story.is_empty());
    assert!(dns.asked().len() > steps, "both asked");
}

/// What does not fit in a datagram is asked for over TCP, which HAProxy does not do.
#[test]
fn what_is_truncated_comes_over_tcp() {
    let dns = NameServer::start();
    dns.set("p1.test", Name { is_truncated: true, ..Name::at(&["10.0.0.1"]) });
    let ours = Proxy::on(&config("")).with("dns", dns.address).start();
    let is_there = || servers(&ours).iter().any(|line| line.starts_with("plain 10.0.0.1:80 op 2 admin 0"));
    assert!(crate::support::place::wait_until(LATE, is_there), "{:?}", servers(&ours));
    let figures = cli(&ours, "show resolvers dns");
    assert!(figures.starts_with("Resolvers section dns\n nameserver one:\n  sent:        "), "{figures}");
}

/// Traffic follows the name, and a server of `tcp@` and of the command line is known as well.
#[test]
fn traffic_follows_the_name() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let dns = NameServer::start();
    let ip = one.addr().ip().to_string();
    dns.set("web.test", Name::at(&[&ip]));
    let ports = (one.addr().port(), two.addr().port());
    let service = |port| Name { services: vec![(10, port, "web.test".into())], ..Name::default() };
    dns.set("_http._tcp.web.test", service(ports.0));
    let text = config(&format!(
        "
resolvers tcp
    nameserver one tcp@{{dns}}
    timeout resolve 100ms
listen l1
    bind {{ip}}:{{port:l1}}
    server s1 web.test:{} resolvers tcp init-addr none resolve-prefer ipv4
listen l2
    bind {{ip}}:{{port:l2}}
    server-template s 1 _http._tcp.web.test resolvers dns resolve-prefer ipv4
",
        ports.0
    ));
    let ours = Proxy::on(&text).with("dns", dns.address).start();
    let answer = |name: &str| {
        let mut client = crate::support::Client::connect(ours.addr(name));
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (text, _) = client.rest();
        String::from_utf8_lossy(&text).into_owned()
    };
    let wait = |name: &str, what: &str| {
        let found = crate::support::place::wait_until(LATE, || answer(name).contains(what));
        assert!(found, "{name}: no {what}: {}", answer(name));
    };
    wait("l1", "one");
    wait("l2", "one");
    dns.set("_http._tcp.web.test", service(ports.1));
    wait("l2", "two");
    dns.set("_http._tcp.web.test", Name::fails(3));
    wait("l2", "503");
    assert_eq!(
        cli(&ours, "set server l1/s1 fqdn nobody.test"),
        "l1/s1 changed its FQDN from web.test to nobody.test by 'stats socket command'\n\n"
    );
}

/// `do-resolve` beside HAProxy's, and what `set server fqdn` says.
#[test]
fn rules_ask_for_names() {
    static DNS: std::sync::OnceLock<NameServer> = std::sync::OnceLock::new();
    let dns = DNS.get_or_init(NameServer::start);
    dns.set("both.test", Name::at(&["10.0.0.1", "fd00::1"]));
    dns.set("four.test", Name::at(&["10.0.0.2"]));
    // The port is the same for both programs.
    let origin = Origin::named("gone");
    dns.set("go.test", Name::at(&[&origin.addr().ip().to_string()]));
    let head = HTTP.replace("    nbthread 1\n", "    nbthread 1\n    stats socket {dir}/sock level admin\n");
    let text = format!(
        "{head}{}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request do-resolve(txn.four,dns,ipv4) hdr(host),host_only
    http-request do-resolve(txn.six,dns,ipv6) hdr(host),host_only if {{ path /six }}
    http-request do-resolve(txn.any,dns) req.hdr(x-name)
    http-request return status 200 hdr X-Four %[var(txn.four)] hdr X-Six %[var(txn.six)] hdr X-Any %[var(txn.any)]
listen tcp
    mode tcp
    bind {{ip}}:{{port:tcp}}
    option tcplog
    tcp-request inspect-delay 3s
    tcp-request content do-resolve(txn.four,dns,ipv4) str(four.test)
    tcp-request content reject unless {{ var(txn.four) -m ip 10.0.0.2 }}
    server s1 {{s1}}
listen go
    bind {{ip}}:{{port:go}}
    http-request do-resolve(txn.ip,dns,ipv4) str(go.test)
    http-request set-dst var(txn.ip)
    server s1 0.0.0.0:{}
listen followed
    bind {{ip}}:{{port:followed}}
    server s1 four.test:80 resolvers dns init-addr none resolve-prefer ipv4
    server s2 127.0.0.1:80
    server s3 _http._tcp.s.test resolvers dns
",
        SECTION.replace("{dns}", &dns.address.to_string()),
        origin.addr().port()
    );
    let origins = || vec![("s1", Origin::named("one"))];
    same(&text, origins, 12, |run| {
        for (path, name) in
            [("/", "both.test"), ("/six", "both.test"), ("/six", "four.test"), ("/", "none.test")]
        {
            run.ask("fe", &format!("GET {path} HTTP/1.1\r\nHost: {name}:80\r\nX-Name: {name}\r\n\r\n"));
        }
        run.ask("fe", "GET / HTTP/1.1\r\nX-Name: a..b\r\n\r\n");
        run.ask("fe", "GET / HTTP/1.1\r\nHost: four.test\r\n\r\n");
        run.get("tcp", "/", "");
        run.get("go", "/", "");
        sleep(Duration::from_millis(500));
        for command in [
            "set server followed/s1 fqdn",
            "set server followed/s1 fqdn both.test",
            "set server followed/s1 fqdn both.test",
            "set server followed/s1 fqdn a..b",
            "set server followed/s2 fqdn both.test",
            "set server followed/s3 fqdn both.test",
            "show resolvers nobody",
        ] {
            let answer = run.cli(command);
            run.note(command, &answer);
        }
        sleep(Duration::from_millis(2500));
        let state = run.cli("show servers state followed");
        let address = state.lines().find(|line| line.contains(" s1 ")).map(|line| line.split(' ').nth(4));
        let shown = format!("{address:?}");
        run.note("its address", &shown);
    });
}
