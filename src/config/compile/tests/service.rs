//! `service` lines: what they say, and what is refused.

use crate::config::service::{Reach, ServiceSpec};

use super::super::testing::{messages, proxy};

fn services(lines: &[&str]) -> Vec<ServiceSpec> {
    let (proxy, diags) = proxy("backend web", lines);
    let back = proxy.unwrap_or_else(|| panic!("{:?}", messages(&diags))).back.expect("a backend");
    back.services
}

#[test]
fn lines_read() {
    let list = services(&[
        "service web",
        "default-server maxconn 50 slowstart 5s inter 7s check",
        "service api.v2 regions eu-west,us-east tag blue tag v2 overflow 85% max 3",
        "service db regions local overflow 100",
        "service cache regions any check",
    ]);
    let names: Vec<&str> = list.iter().map(|s| &*s.name).collect();
    assert_eq!(names, ["web", "api.v2", "db", "cache"]);
    let (web, api) = (&list[0], &list[1]);
    assert_eq!((&web.reach, web.overflow_percent, web.max), (&Reach::Nearest, 70, 0));
    assert!(web.check.is_none() && web.tags.is_empty());
    assert_eq!(web.template.maxconn, 0);
    assert_eq!(api.reach, Reach::Regions(vec!["eu-west".into(), "us-east".into()]));
    assert_eq!(api.tags, ["blue".into(), "v2".into()]);
    assert_eq!((api.overflow_percent, api.max), (85, 3));
    assert_eq!((api.template.maxconn, api.template.slowstart_ms), (50, 5000));
    assert!(!api.template.has_check, "the map says how it is");
    assert_eq!(api.check.as_ref().map(|c| c.inter_ms), Some(7000));
    assert_eq!((&list[2].reach, list[2].overflow_percent), (&Reach::Local, 100));
    assert_eq!(list[3].reach, Reach::Any);
}

#[test]
fn findings_have_a_hint() {
    for (head, line, expected) in [
        (
            "frontend web",
            "service web",
            "'service' not allowed because frontend 'web' has no backend capability.",
        ),
        ("defaults", "service web", "'service' not allowed in 'defaults' section."),
        ("backend web", "service", "'service' expects the name of a service."),
        ("backend web", "service a/b", "character '/' is not permitted in service name 'a/b'."),
        ("backend web", "service web regoins local", "'service' unknown keyword 'regoins'."),
        (
            "backend web",
            "service web overflow 0%",
            "'overflow' expects a percentage from 1% to 100%, got '0%'.",
        ),
        ("backend web", "service web max", "'max' expects a number of servers."),
        ("backend web", "service web max 0", "'max' expects a number of servers, got '0'."),
        ("backend web", "service web regions eu,eu", "region 'eu' is there already."),
        ("backend web", "service web regions eu,", "character ' ' is not permitted in region name ''."),
    ] {
        let (proxy, diags) = proxy(head, &[line]);
        assert!(proxy.is_none(), "{line}");
        assert_eq!(messages(&diags).first().map(String::as_str), Some(expected), "{line}");
    }
    let (_, diags) = proxy("backend web", &["service web regoins local"]);
    let hint = diags.list.iter().find_map(|d| d.hint.as_deref());
    assert_eq!(hint, Some("did you mean 'regions' maybe ?"));
    let (twice, diags) =
        proxy("backend web", &["service web tag a", "service web tag b", "service web tag a"]);
    assert!(twice.is_none());
    assert_eq!(messages(&diags), ["service 'web' is there already with the same tags."]);
}
