//! Backends that are not in use, and who gets to them all the same.

use std::sync::atomic::Ordering;

use super::rig::{GET, Rig, answers};

const TEXT: &str = "frontend p\n bind :80\n log-format \"%b %ST %ts\"\n \
                    force-be-switch if { req.hdr(x-force) -m found }\n \
                    use_backend off if { path -m beg / }\n use_backend %[req.hdr(x-to)] if { req.hdr(x-to) -m found }\n \
                    default_backend web\n\
                    backend off\n disabled\n server s1 10.0.0.1:80\n\
                    backend dark\n be-unpublished\n server s2 10.0.0.2:80\n\
                    backend web\n server s3 10.0.0.3:80\n";

/// The connection ends with it, so that the next request is told by a new one.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// Who answers a request with these header lines.
fn asked(rig: &Rig, server: &str, fields: &str) {
    let mut client = rig.client();
    client.send(GET.replace("\r\n\r\n", &format!("\r\n{fields}\r\n")));
    let mut far = rig.server(server);
    assert!(far.take().starts_with("GET / "), "{server}");
    far.send(OK);
    assert_eq!(answers(&client.take()), [200]);
}

#[test]
fn rules_pass_over_backends_that_are_not_in_use() {
    let rig = Rig::new(TEXT);
    asked(&rig, "s3", "");
    asked(&rig, "s3", "x-to: dark\r\n");
    asked(&rig, "s1", "x-force: 1\r\n");
    assert_eq!(rig.log(), ["web 200 --", "web 200 --", "off 200 --"]);
}

#[test]
fn a_published_backend_is_switched_to() {
    let rig = Rig::new(TEXT);
    let config = rig.config();
    let live = |name: &str| &config.proxy(config.backends[name]).live;
    live("dark").unpublished.store(false, Ordering::Relaxed);
    asked(&rig, "s2", "x-to: dark\r\n");
    // A default backend that is not in use is none.
    live("web").unpublished.store(true, Ordering::Relaxed);
    let mut client = rig.client();
    client.send(GET);
    assert_eq!(answers(&client.take()), [503]);
    asked(&rig, "s1", "x-force: 1\r\n");
    assert_eq!(rig.log()[0], "dark 200 --");
}

#[test]
fn the_default_backend_is_forced_like_others() {
    let rig = Rig::new(
        "frontend p\n bind :80\n force-be-switch unless { req.hdr(x-no) -m found }\n default_backend web\n\
         backend web\n disabled\n server s1 10.0.0.1:80\n",
    );
    asked(&rig, "s1", "");
    let mut client = rig.client();
    client.send(GET.replace("\r\n\r\n", "\r\nx-no: 1\r\n\r\n"));
    assert_eq!(answers(&client.take()), [503]);
}
