//! VRRP messages and `keepalived.conf`: reading never panics, and an advert that is taken means the same when it is
//! written again.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use isobar::vip::keepalived::{Outside, Program, World, is_keepalived, load};
use isobar::vip::packet::{Advert, Checksum, Version, decode, encode};

use super::mutate::drive;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn vrrp_messages() {
    let pairs = [(ip("10.0.0.1"), ip("224.0.0.18")), (ip("fe80::1"), ip("ff02::12"))];
    let mut examples = Vec::new();
    for (version, (source, group), address) in [
        (Version::V2, pairs[0], ip("10.0.0.9")),
        (Version::V3, pairs[0], ip("10.0.0.9")),
        (Version::V3, pairs[1], ip("2001:db8::9")),
    ] {
        let advert = Advert {
            version,
            vrid: 51,
            priority: 100,
            interval_ns: 1_000_000_000,
            addresses: vec![address; 3],
            password: (version == Version::V2).then_some(*b"1111\0\0\0\0"),
        };
        examples.push(encode(&advert, source, group, Checksum::Pseudo));
    }
    drive("VRRP messages", &examples, |bytes, _| {
        for (source, group) in pairs {
            if let Ok(advert) = decode(bytes, source, group) {
                let again = encode(&advert, source, group, Checksum::Pseudo);
                assert_eq!(decode(&again, source, group), Ok(advert));
            }
        }
    });
}

const EXAMPLE: &[u8] = b"$NET=10.0.0\n~SEQ(N, 1, 3) # x\n@host include other.conf\nglobal_defs {\n router_id \"a \\x41\"\n \
    notification_email { a@b.c }\n script_user root\n enable_script_security\n}\nvrrp_script c {\n script \"curl x || exit 1\"\n \
    interval 2\n weight -2 reverse\n}\nvrrp_sync_group G {\n group {\n VI_1\n }\n}\nvrrp_instance VI_1 {\n state MASTER\n \
    interface eth0\n virtual_router_id 51\n priority 100\n advert_int 0.5\n authentication {\n auth_type PASS\n auth_pass 1\n }\n \
    virtual_ipaddress {\n ${NET}.1/24 brd + dev eth0 label eth0:1\n 2001:db8::1\n }\n track_script {\n c weight 3\n }\n \
    unicast_peer {\n 10.0.0.2 min_ttl 3\n }\n notify_master /bin/true root\n}\nvirtual_server 1.2.3.4 80 {\n real_server x {\n }\n}\n";

#[test]
fn keepalived_files() {
    let wide = b"$A= \\\n $B \\\n $B\n\n$B= \\\n $A \\\n $A\n\n$A\n".to_vec();
    drive("keepalived.conf", &[EXAMPLE.to_vec(), wide], |bytes, _| {
        is_keepalived(bytes);
        let outside = Outside {
            read: &|path| match path.ends_with("k.conf") || path.ends_with("other.conf") {
                true => Ok(bytes.to_vec()),
                false => Err(io::ErrorKind::NotFound.into()),
            },
            list: &|_| Ok(vec!["other.conf".into(), "k.conf".into()]),
            config_id: "host",
        };
        let world = World {
            has_interface: &|name| name == "eth0",
            program: &|name| if name == "curl" { Program::Usable } else { Program::Missing },
            user: &|name| (name == "root").then_some((0, 0)),
            group: &|_| None,
            resolves: &|_| false,
        };
        let loaded = load(Path::new("k.conf"), &outside, &world).expect("the first file is there");
        loaded.findings.list.iter().for_each(|finding| drop(loaded.findings.show(finding).to_string()));
        loaded.findings.verdict();
    });
}
