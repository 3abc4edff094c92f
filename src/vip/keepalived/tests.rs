//! What `keepalived -t` 2.2.7 says of the same texts, and what they mean.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::super::packet::Version;
use super::super::spec::{InstanceSpec, Spec, TrackerKind};
use super::*;
use crate::base::clock::{MS, SEC};

fn read_files(files: &HashMap<&str, &str>, path: &Path) -> io::Result<Vec<u8>> {
    let name = path.to_str().unwrap();
    files.get(name).map(|text| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn load_files(files: &[(&str, &str)]) -> Loaded {
    let files: HashMap<&str, &str> = files.iter().copied().collect();
    let list = |dir: &Path| {
        let inside = files.keys().filter(|path| Path::new(path).parent() == Some(dir));
        Ok(inside.map(|path| path.rsplit('/').next().unwrap().to_owned()).collect())
    };
    let outside = Outside { read: &|path| read_files(&files, path), list: &list, config_id: "lb1" };
    let world = World {
        has_interface: &|name| matches!(name, "eth0" | "lo"),
        program: &|name| match name {
            "/bin/true" | "/bin/bash" | "curl" | "killall" => Program::Usable,
            "/etc/hosts" => Program::Unusable,
            _ => Program::Missing,
        },
        user: &|name| (name == "root").then_some((0, 0)).or((name == "carl").then_some((7, 8))),
        group: &|name| (name == "staff").then_some(50),
        resolves: &|name| name == "localhost",
    };
    load(Path::new("/etc/keepalived/keepalived.conf"), &outside, &world).unwrap()
}

fn load_text(text: &str) -> Loaded {
    load_files(&[("/etc/keepalived/keepalived.conf", text)])
}

/// An instance with these lines in it.
fn instance(lines: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority 100\n{lines}\n \
         virtual_ipaddress {{\n 10.0.0.1\n }}\n}}\n"
    )
}

fn verdict(text: &str) -> u8 {
    load_text(text).findings.verdict() as u8
}

fn spec(text: &str) -> Spec {
    let loaded = load_text(text);
    loaded.spec.unwrap_or_else(|| panic!("{:?}", loaded.findings.list))
}

fn first(text: &str) -> InstanceSpec {
    spec(text).instances.remove(0)
}

/// Lines of an instance, and the exit status of `keepalived -t`.
#[rustfmt::skip]
const LINES: &[(&str, u8)] = &[
    ("", 0), ("foo bar", 5), ("foo {\n bar 1\n }", 5), ("virtual_router_id 0", 5), ("virtual_router_id 256", 5),
    ("virtual_router_id 51x", 5), ("virtual_router_id", 2), ("priority 255", 0), ("priority 256", 5), ("priority -5", 5),
    ("priority", 2), ("priority {\n 100\n }", 2), ("advert_int 0", 5), ("advert_int 0.5", 5), ("advert_int 255", 0),
    ("advert_int 256", 5), ("advert_int abc", 5), ("advert_int", 2), ("version 3\n advert_int 0.01", 0),
    ("version 3\n advert_int 0.015", 5), ("version 3\n advert_int 41", 5), ("version 3\n advert_int 40.95", 0), ("version 4", 5),
    ("authentication {\n auth_type PASS\n auth_pass 1111\n }", 0), ("authentication {\n auth_type PASS\n auth_pass 123456789\n }", 5),
    ("authentication {\n auth_type FOO\n auth_pass 1\n }", 5), ("authentication {\n auth_type PASS\n }", 5),
    ("authentication {\n auth_pass 1111\n }", 0), ("authentication {\n auth_type PASS\n auth_pass\n }", 2),
    ("authentication { auth_type PASS auth_pass 1234 }", 5), ("version 3\n authentication {\n auth_type PASS\n auth_pass 1\n }", 5),
    ("state MASTER", 0), ("state SLAVE", 5), ("state PEER", 5), ("state", 2), ("state MASTER\n nopreempt", 5), ("nopreempt", 0),
    ("nopreempt\n preempt_delay 5", 5), ("state MASTER\n preempt_delay 5", 5), ("preempt_delay 1.5", 0), ("preempt_delay 2000", 5),
    ("unicast_peer {\n 10.0.0.9\n }", 0), ("unicast_peer {\n foo\n 10.0.0.9\n }", 5), ("unicast_peer {\n }", 5),
    ("unicast_src_ip 10.0.0.8", 5), ("unicast_peer {\n 10.0.0.9 min_ttl 3 max_ttl 255\n }", 0), ("unicast_peer {\n 2001:db8::4\n }", 5),
    ("mcast_src_ip 10.0.0.8", 0), ("mcast_src_ip foo", 5), ("track_interface {\n eth0\n }", 5), ("track_interface {\n lo\n }", 0),
    ("track_interface {\n eth9\n }", 5), ("track_interface {\n lo weight 10\n }", 0), ("track_interface {\n lo weight 300\n }", 5),
    ("track_script {\n gone\n }", 5), ("garp_master_delay x", 5), ("garp_master_repeat 0", 5), ("garp_master_refresh 60", 0),
    ("lvs_sync_daemon_interface eth0", 5), ("down_timer_adverts 5", 0), ("smtp_alert", 0), ("use_vmac", 0), ("priority 100 200", 0),
    ("virtual_ipaddress {\n 10.0.0.2/33\n }", 5), ("virtual_ipaddress {\n 10.0.0.2 dev eth0 label eth0:1\n }", 0),
    ("virtual_ipaddress {\n foo\n }", 5), ("virtual_ipaddress {\n 10.0.0.2 dev\n }", 5), ("virtual_ipaddress {\n 2001:db8::7\n }", 5),
    ("virtual_ipaddress {\n 10.0.0.2 foo bar\n }", 5), ("virtual_ipaddress {\n 10.0.0.2 scope foo\n }", 5), ("virtual_ipaddress { 10.0.0.2 }", 0),
    ("virtual_ipaddress_excluded {\n 2001:db8::9\n }", 0), ("virtual_ipaddress 10.0.0.2", 5), ("virtual_ipaddress {\n 10.0.0.2 label muchlongerthanfifteen\n }", 5),
    ("notify_master /bin/true", 6), ("notify_master \"/gone x\"", 0), ("notify_master", 2), ("notify_master \"\"", 0),
    ("notify_master /bin/true nobodyknows", 0), ("notify /bin/true carl", 0), ("notify /etc/hosts", 6), ("notify_stop \"/bin/true", 5),
    ("notify_master /bin/true\n notify_master /bin/true", 6), ("state BACKUP#x", 0), ("state BACKUP!x", 0), ("PRIORITY 3", 5),
];

#[test]
fn lines_of_an_instance_get_the_verdict_of_keepalived() {
    for (lines, expected) in LINES {
        assert_eq!(verdict(&instance(lines)), *expected, "{lines}");
    }
}

/// Whole files, `%` standing for an instance that is fine, and the exit status of `keepalived -t`.
#[rustfmt::skip]
const FILES: &[(&str, u8)] = &[
    ("", 0), ("%", 0), ("foo bar\n%", 5), ("foo bar {\n a b\n c {\n d\n }\n}\n%", 5), ("%}\n", 5), ("}\n%", 5), ("foo {\n%", 5),
    ("vrrp_instance VI_1\n{\n interface eth0\n virtual_router_id 5\n virtual_ipaddress\n {\n 10.0.0.1\n }\n}\n", 0),
    ("vrrp_instance VI_1 {interface eth0\n virtual_router_id 5\n virtual_ipaddress {10.0.0.1}}\n", 0),
    ("vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress {\n 10.0.0.1\n}\n", 5),
    ("vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress\n 10.0.0.1\n}\n", 0),
    ("vrrp_instance VI_1\n interface eth0\n virtual_router_id 51\n}\n", 5),
    ("vrrp_instance VI_1 {\n interface eth0\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n", 5),
    ("vrrp_instance VI_1 {\n virtual_router_id 5\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n", 5),
    ("vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 5\n}\n", 5),
    ("vrrp_instance VI_1 foo {\n interface eth0\n virtual_router_id 5\n}\n", 5), ("%%", 5),
    ("global_defs {\n router_id\n}\n%", 5), ("global_defs {\n garp_master_delay 3\n}\n%", 5), ("global_defs {\n vrrp_garp_interval 0\n}\n%", 5),
    ("global_defs {\n notification_email {\n }\n}\n%", 5), ("global_defs {\n notification_email { a@b.c }\n}\n%", 0),
    ("global_defs {\n smtp_server foo.invalid\n}\n%", 5), ("global_defs {\n smtp_server localhost\n}\n%", 0),
    ("global_defs {\n foo {\n a b\n }\n router_id X\n}\n%", 5), ("global_defs {\n script_user nobodyknows\n}\n%", 5),
    ("vrrp_script c {\n script /bin/true\n}\n%", 6), ("vrrp_script c {\n interval 2\n}\n%", 5), ("vrrp_script c {\n script /gone\n}\n%", 5),
    ("vrrp_script c {\n script /etc/hosts\n}\n%", 6), ("vrrp_script c {\n script /bin/true\n user carl\n}\n%", 0),
    ("vrrp_script c {\n script /bin/true\n user gone\n}\n%", 5), ("vrrp_script c {\n script /bin/true\n user carl\n interval 0\n}\n%", 5),
    ("vrrp_script c {\n script /bin/true\n user carl\n interval 0.5\n}\n%", 5), ("vrrp_script c {\n script /bin/true\n interval\n}\n%", 2),
    ("vrrp_script c {\n script /bin/true\n user carl\n weight 254\n}\n%", 5), ("vrrp_script c {\n script /bin/true\n user carl\n weight 2 reverse\n}\n%", 0),
    ("vrrp_script c {\n script /bin/true\n user carl\n rise 0\n}\n%", 5), ("vrrp_script c {\n script /bin/true\n user carl\n foo 1\n}\n%", 5),
    ("global_defs {\n enable_script_security\n}\nvrrp_script c {\n script /bin/true\n}\n%", 5),
    ("global_defs {\n enable_script_security\n script_user root\n}\nvrrp_script c {\n script /bin/true\n}\n%", 0),
    ("vvrp_script c {\n script /bin/true\n interval 2\n}\n%", 5), ("root@x:/etc$ cat keepalived.conf\n%", 5),
    ("vrrp_sync_group G {\n group {\n VI_1\n }\n}\n%", 5), ("vrrp_sync_group G {\n group {\n VI_9\n VI_1\n }\n}\n%", 5), ("vrrp_sync_group G {\n}\n%", 5),
    ("vrrp_track_process p {\n process x\n}\n%", 0), ("vrrp_track_process p {\n}\n%", 5), ("virtual_server 10.0.0.1 80 {\n real_server 10.0.0.2 80 {\n }\n}\n%", 0),
    ("static_ipaddress {\n 10.0.0.1/24 dev eth0\n}\n%", 0), ("include /gone/*.conf\n%", 0), ("global_defs {\n dynamic_interfaces\n}\n%", 0),
    ("\u{feff}%", 5), ("# x\n! y\n%", 0), ("vrrp_script c {\n script\n interval 2\n}\n%", 5), ("vrrp_script {\n script /bin/true\n}\n%", 2),
    ("vrrp_script\n%", 2), ("vrrp_track_file {\n file /x\n}\n%", 2), ("track_file\n%", 2), ("vrrp_track_file c {\n file\n}\n%", 5),
    ("vrrp_track_file c {\n file /x\n weight\n}\n%", 5), ("vrrp_track_process {\n process x\n}\n%", 2), ("track_process\n%", 5),
    ("vrrp_track_process c {\n process\n}\n%", 2), ("vrrp_script a b {\n script /bin/true\n}\n%", 6), ("vrrp_track_file a b {\n file /x\n}\n%", 0),
    ("vrrp_script c {\n script \"\"\n}\n%", 5), ("vrrp_script c {\n script /bin/true\n user\n}\n%", 2), ("vrrp_instance {\n interface eth0\n}\n%", 5),
    ("vrrp_sync_group {\n}\n%", 5), ("global_defs {\n script_user\n}\n%", 5), ("global_defs {\n notification_email_from\n}\n%", 5),
    ("global_defs {\n vrrp_version\n}\n%", 2), ("global_defs {\n smtp_server\n}\n%", 2), ("global_defs {\n lvs_id\n}\n%", 5),
    ("vrrp_sync_group G {\n notify_master\n group {\n VI_1\n }\n}\n%", 2),
];

#[test]
fn whole_files_get_the_verdict_of_keepalived() {
    for (text, expected) in FILES {
        assert_eq!(verdict(&text.replace('%', &instance(""))), *expected, "{text}");
    }
    assert_eq!(verdict(&instance("").replace('\n', "\r\n")), 0);
    assert_eq!(verdict(&instance("").replace("eth0", "eth9")), 5);
    let program = "vrrp_script c {\n script /bin/true\n}\n";
    assert_eq!(verdict(&format!("{program}{}", instance("").replace("eth0", "eth9"))), 5, "and not 6");
    assert_eq!(verdict("vrrp_script c {\n script \"</dev/tcp/127.0.0.1/80\"\n}\n"), 0);
    let absent = format!("global_defs {{\n dynamic_interfaces\n}}\n{}", instance("").replace("eth0", "eth9"));
    assert_eq!(verdict(&absent), 0);
}

const SEED: &str = "global_defs {
  notification_email {
    failover@example.com
  }
  notification_email_from dns@example.com
  smtp_server 192.168.1.1
  smtp_connect_timeout 30
}
vrrp_script chk_http {
   script \"curl -s http://localhost || exit 1\"
   interval 1
   weight 2
}
vrrp_instance VI_1 {
   interface eth0
   virtual_router_id 51
   advert_int 1
   priority 100
   virtual_ipaddress {
       192.168.1.200
   }
   track_script {
       chk_http
   }
}
";

#[test]
fn the_file_of_many_articles_means_what_its_author_meant() {
    let loaded = load_text(SEED);
    assert_eq!(loaded.findings.verdict(), Verdict::Insecure);
    let said: Vec<String> =
        loaded.findings.list.iter().map(|f| loaded.findings.show(f).to_string()).collect();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("/etc/keepalived/keepalived.conf:10: ") && said[0].contains("/bin/sh"),
        "{}",
        said[0]
    );
    let spec = loaded.spec.unwrap();
    let one = &spec.instances[0];
    assert_eq!((one.vrid, one.settings.priority, one.settings.version), (51, 100, Version::V2));
    assert_eq!((one.wants_master, one.settings.interval_ns), (false, SEC));
    assert_eq!(one.addresses[0].address, IpAddr::from([192, 168, 1, 200]));
    assert_eq!((one.tracks[0].tracker, one.tracks[0].weight), (0, 2));
    let TrackerKind::Script(script) = &spec.trackers[0].kind else { panic!("no script") };
    assert_eq!(script.command.words, ["/bin/sh", "-c", "curl -s http://localhost || exit 1"]);
    let times = (script.interval, script.timeout, script.rise, script.fall);
    assert_eq!(times, (Duration::from_secs(1), Duration::from_secs(1), 1, 1));
    let mail = spec.mail.unwrap();
    assert_eq!((mail.server.as_str(), mail.port, mail.to.len()), ("192.168.1.1", 25, 1));
}

#[test]
fn defaults_follow_from_each_other() {
    let without = |lines: &str| first(&instance(lines).replace(" priority 100\n", ""));
    let one = without("");
    assert_eq!((one.settings.priority, one.wants_master), (100, false));
    let one = without("state MASTER");
    assert_eq!((one.settings.priority, one.wants_master), (255, true), "as keepalived has it");
    let one = without("priority 255");
    assert!(one.wants_master);
    let one = first(&instance("").replace("10.0.0.1", "2001:db8::1/64"));
    assert_eq!((one.settings.version, one.group), (Version::V3, "ff02::12".parse().unwrap()));
    assert_eq!(one.addresses[0].prefix, 64);
    for (lines, expected) in
        [("advert_int 0.5", SEC), ("advert_int 2.4", 2 * SEC), ("advert_int 1.5", 2 * SEC)]
    {
        assert_eq!(first(&instance(lines)).settings.interval_ns, expected, "{lines}");
    }
    for (value, expected) in [("0.015", 20 * MS), ("0.01", 10 * MS), ("41", 40_950 * MS), ("0.333", 330 * MS)]
    {
        let lines = format!("version 3\n advert_int {value}");
        assert_eq!(first(&instance(&lines)).settings.interval_ns, expected, "{value}");
    }
    let global = "global_defs {\n vrrp_garp_master_delay 1\n vrrp_garp_master_repeat 3\n}\n";
    let garp = first(&format!("{}{global}", instance("garp_master_repeat 2"))).settings.announcing;
    assert_eq!((garp.delay_ns, garp.repeat, garp.lower_delay_ns, garp.lower_repeat), (SEC, 2, SEC, 2));
}

#[test]
fn passwords_are_cut_and_filled_up() {
    let password = |word: &str| {
        let lines = format!("authentication {{\n auth_type PASS\n auth_pass {word}\n }}");
        first(&instance(&lines)).password
    };
    assert_eq!(password("1111"), Some(*b"1111\0\0\0\0"));
    assert_eq!(password("123456789"), Some(*b"12345678"));
    assert_eq!(password("\"a b\\\"c\""), Some(*b"a b\"c\0\0\0"));
    assert_eq!(password("'a#b'"), Some(*b"a#b\0\0\0\0\0"));
}

#[test]
fn addresses_keep_what_is_said_of_them() {
    let lines =
        "virtual_ipaddress {\n 10.0.0.2/24 brd + dev lo scope link label lo:1\n 10.0.0.3 brd 10.0.0.255\n }";
    let one = first(&instance(lines));
    let labelled = &one.addresses[0];
    assert_eq!((labelled.prefix, labelled.scope, labelled.label.as_deref()), (24, 253, Some("lo:1")));
    assert_eq!(labelled.interface.as_deref(), Some("lo"));
    assert_eq!(labelled.broadcast, Some("10.0.0.255".parse().unwrap()));
    assert_eq!(one.addresses.len(), 3);
}

#[test]
fn parameters_conditions_and_sequences_are_replaced() {
    let text = instance("").replace("10.0.0.1", "${NET}.7");
    assert_eq!(first(&format!("$NET=10.2.${{SUB}}\n$SUB=9\n{text}")).addresses[0].address, ip("10.2.9.7"));
    let text = instance("@lb1 priority 77\n @lb2 priority 66\n @^lb1 state MASTER");
    let one = first(&text);
    assert_eq!((one.settings.priority, one.wants_master), (77, false));
    let lines = "virtual_ipaddress {\n ~SEQ(N, 4, 2, 8) 10.1.0.$N\n ~SEQx(M, 10, 11) 10.1.1.1$M\n }";
    let found: Vec<IpAddr> = first(&instance(lines)).addresses.iter().map(|a| a.address).collect();
    // Hexadecimal digits are no IPv4 address: those two are left out, with a warning.
    assert_eq!(found, ["10.1.0.4", "10.1.0.6", "10.1.0.8", "10.0.0.1"].map(ip));
    let text = "$I= \\\n vrrp_instance V$N { \\\n interface eth0 \\\n virtual_router_id $N \\\n \
                virtual_ipaddress { \\\n 10.0.0.${N} \\\n } \\\n }\n$N=3\n$I\n$N=4\n$I\n";
    let vrids: Vec<u8> = spec(&text.replace("V$N", "V${N}")).instances.iter().map(|i| i.vrid).collect();
    assert_eq!(vrids, [3, 4]);
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn parameters_without_end_are_cut() {
    let loaded = load_text("$A=$B $B\n$B=$A $A\n$A\n");
    assert!(loaded.findings.list.iter().any(|f| f.message.contains("too much")));
    let wide: String = (0..40).map(|n| format!("$P{n}= \\\n$P{} \\\n$P{}\n\n", n + 1, n + 1)).collect();
    assert!(load_text(&format!("{wide}$P0\n")).findings.list.len() < 300);
}

#[test]
fn files_include_others() {
    let loaded = load_files(&[
        (
            "/etc/keepalived/keepalived.conf",
            "include conf.d/*.conf\n$WHO=${_PWD}\nvrrp_sync_group G {\n group {\n A\n B\n }\n}\n",
        ),
        ("/etc/keepalived/conf.d/a.conf", &instance("").replace("VI_1", "A")),
        ("/etc/keepalived/conf.d/b.conf", &instance("state FOO").replace("VI_1", "B").replace("51", "52")),
        ("/etc/keepalived/conf.d/c.txt", "junk\n"),
    ]);
    let said: Vec<String> =
        loaded.findings.list.iter().map(|f| loaded.findings.show(f).to_string()).collect();
    assert_eq!(said, ["/etc/keepalived/conf.d/b.conf:5: state 'FOO' is unknown: BACKUP it is"]);
    assert_eq!(loaded.spec.unwrap().groups[0].members, [0, 1]);
    assert_eq!(loaded.files.len(), 3);
    let own = load_files(&[("/etc/keepalived/keepalived.conf", "include keepalived.conf\n")]);
    assert!(own.findings.list.iter().any(|f| f.message.contains("too deep")));
}

#[test]
fn scripts_are_run_by_a_shell_only_where_one_is_meant() {
    let words = |line: &str| {
        let text = format!("vrrp_script c {{\n script {line}\n}}\n{}", instance("track_script {\n c\n }"));
        let TrackerKind::Script(script) = spec(&text).trackers.remove(0).kind else { panic!("no script") };
        script.command.words
    };
    assert_eq!(words("\"killall -0 haproxy\""), ["killall", "-0", "haproxy"]);
    assert_eq!(words("killall -0 haproxy"), ["killall", "-0", "haproxy"]);
    assert_eq!(words("\"curl 'a|b' c\""), ["curl", "a|b", "c"]);
    assert_eq!(words("\"</dev/tcp/127.0.0.1/80\"")[..2], ["/bin/bash", "-c"]);
    assert_eq!(words("\"curl $HOST\"")[..2], ["/bin/sh", "-c"]);
    assert_eq!(words("\"killall -0 a && killall -0 b\"")[..2], ["/bin/sh", "-c"]);
}

#[test]
fn a_script_without_its_program_is_left_out_with_a_shell_too() {
    let trackers = |line: &str| {
        let text = format!("vrrp_script c {{\n script \"{line}\"\n weight -15\n}}\n");
        spec(&format!("{text}{}", instance("track_script {\n c\n }"))).instances[0].tracks.len()
    };
    assert_eq!(trackers("gone -c 1 > /dev/null 2>&1"), 0, "as keepalived, which disables it");
    assert_eq!(trackers("curl -s http://x > /dev/null 2>&1"), 1);
    for of_shell in ["if curl x; then exit 0; fi", "</dev/tcp/127.0.0.1/80", "(curl x)", "X=1 curl x; true"] {
        assert_eq!(trackers(of_shell), 1, "{of_shell}");
    }
}

#[test]
fn who_runs_programs_is_found() {
    let owner = |line: &str, global: &str| {
        first(&format!("{global}{}", instance(line))).notify.master.and_then(|command| command.command.owner)
    };
    assert_eq!(owner("notify_master /bin/true", ""), Some((0, 0)));
    assert_eq!(owner("notify_master /bin/true carl", ""), Some((7, 8)));
    assert_eq!(owner("notify_master /bin/true carl staff", ""), Some((7, 50)));
    assert_eq!(owner("notify_master /bin/true", "global_defs {\n script_user carl\n}\n"), Some((7, 8)));
    assert_eq!(owner("notify_master /bin/true", "global_defs {\n enable_script_security\n}\n"), None);
}

#[test]
fn a_file_is_known_by_its_blocks() {
    for (text, expected) in [
        (SEED, true),
        ("! comment\n\n  vrrp_instance VI {\n", true),
        ("junk\nvirtual_server 1.2.3.4 80{\n", true),
        ("global\n  log stdout\nfrontend f\n", false),
        ("frontend f\n  # vrrp_instance x {\n", false),
        ("vrrp VI_1\n  interface eth0\n", false),
        ("", false),
    ] {
        assert_eq!(is_keepalived(text.as_bytes()), expected, "{text}");
    }
}
