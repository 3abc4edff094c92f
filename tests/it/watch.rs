//! `watch-config`: saving the file is enough, whatever way it is saved, and a broken save changes nothing.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::Proxy;
use crate::support::client::get;
use crate::support::place::wait_until;

const PATIENCE: Duration = Duration::from_secs(15);

const CONFIG: &str = "
global
    nbthread 1
    watch-config
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    errorfile 404 {dir}/404.http
frontend web
    bind {ip}:{port:web}
    http-request deny deny_status 404 if { path /missing }
    http-request return status 200 content-type text/plain lf-string %[path,map({dir}/words.map,none)] if { path_beg /map }
    http-request return status 200 content-type text/plain string one
";

struct Watched {
    proxy: Proxy,
    file: PathBuf,
    text: String,
}

impl Watched {
    /// The files beside the configuration are there before it starts: a first save brings them.
    fn start(config: &str) -> Watched {
        let plain = "
global
    nbthread 1
    watch-config
frontend web
    mode http
    timeout client 10s
    bind {ip}:{port:web}
    http-request return status 200 content-type text/plain string zero
";
        let proxy = Proxy::on(plain).start();
        let file = proxy.dir().join("haproxy.cfg");
        std::fs::write(proxy.dir().join("404.http"), page("first")).unwrap();
        std::fs::write(proxy.dir().join("words.map"), "/map/a one\n").unwrap();
        let (ip, port) = (proxy.addr("web").ip().to_string(), proxy.addr("web").port().to_string());
        let text = config.replace("{ip}", &ip).replace("{port:web}", &port);
        let text = text.replace("{dir}", &proxy.dir().display().to_string());
        std::fs::write(&file, &text).unwrap();
        let watched = Watched { proxy, file, text };
        watched.until("/", "one");
        watched
    }

    fn body(&self, path: &str) -> String {
        String::from_utf8_lossy(&get(self.proxy.addr("web"), path).body).into_owned()
    }

    fn until(&self, path: &str, expected: &str) {
        let found = wait_until(PATIENCE, || self.body(path) == expected);
        assert!(found, "{path} gives {:?}, not {expected:?}", self.body(path));
    }

    /// The configuration with another word in its last answer.
    fn saying(&self, word: &str) -> String {
        self.text.replace("string one", &format!("string {word}"))
    }

    fn says(&self, text: &str) -> bool {
        wait_until(PATIENCE, || self.proxy.stderr().contains(text))
    }
}

fn page(word: &str) -> String {
    format!("HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\n{word}")
}

#[test]
fn a_saved_file_is_taken_however_it_is_saved() {
    let watched = Watched::start(CONFIG);
    // In place.
    std::fs::write(&watched.file, watched.saying("two")).unwrap();
    watched.until("/", "two");
    // By a rename, more than once: it is another file each time.
    for word in ["three", "four"] {
        let next = watched.proxy.dir().join("haproxy.cfg.new");
        std::fs::write(&next, watched.saying(word)).unwrap();
        std::fs::rename(&next, &watched.file).unwrap();
        watched.until("/", word);
    }
    // Away and back.
    std::fs::remove_file(&watched.file).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    std::fs::write(&watched.file, watched.saying("five")).unwrap();
    watched.until("/", "five");
    // A link that is turned to another file.
    for (target, word) in [("x", "six"), ("y", "seven")] {
        let target = watched.proxy.dir().join(target);
        std::fs::write(&target, watched.saying(word)).unwrap();
        let link = watched.proxy.dir().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        std::fs::rename(&link, &watched.file).unwrap();
        watched.until("/", word);
    }
}

#[test]
fn pieces_are_waited_for() {
    let watched = Watched::start(CONFIG);
    let text = watched.saying("two");
    let (first, second) = text.split_at(text.find("defaults").unwrap());
    let mut file = std::fs::File::create(&watched.file).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    file.sync_all().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(watched.body("/"), "one", "half a file was taken:\n{}", watched.proxy.stderr());
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    watched.until("/", "two");
    let said = watched.proxy.stderr();
    assert!(!said.contains("[ALERT]"), "{said}");
}

#[test]
fn a_broken_save_changes_nothing_and_says_why_and_where() {
    let watched = Watched::start(CONFIG);
    let broken = watched.saying("two").replace("timeout client", "timeout clinet");
    std::fs::write(&watched.file, &broken).unwrap();
    let line = 1 + broken[..broken.find("clinet").unwrap()].matches('\n').count();
    assert!(watched.says(&format!("haproxy.cfg:{line}]")), "{}", watched.proxy.stderr());
    assert!(watched.says("goes on as it was"), "{}", watched.proxy.stderr());
    assert_eq!(watched.body("/"), "one");
    // An empty file is no configuration.
    std::fs::write(&watched.file, "global\n watch-config\n").unwrap();
    assert!(watched.says("No enabled listener found"), "{}", watched.proxy.stderr());
    assert_eq!(watched.body("/"), "one");
    // Each is told once, and mending is noticed.
    std::fs::write(&watched.file, watched.saying("three")).unwrap();
    watched.until("/", "three");
    let told = watched.proxy.stderr().matches("clinet").count();
    assert!((1..=2).contains(&told), "{}", watched.proxy.stderr());
}

#[test]
fn files_that_a_refused_save_names_are_watched_too() {
    let watched = Watched::start(CONFIG);
    let more = watched.proxy.dir().join("more.cfg");
    std::fs::write(&more, "backend b\n    blance roundrobin\n").unwrap();
    let text = watched.saying("two") + &format!("include {}\n", more.display());
    std::fs::write(&watched.file, text).unwrap();
    assert!(watched.says("more.cfg:2]"), "{}", watched.proxy.stderr());
    assert_eq!(watched.body("/"), "one");
    std::fs::write(
        &more,
        "backend b\n    mode http\n    timeout connect 1s\n    timeout server 1s\n    balance roundrobin\n",
    )
    .unwrap();
    watched.until("/", "two");
}

#[test]
fn maps_and_error_pages_are_part_of_it() {
    let watched = Watched::start(CONFIG);
    assert_eq!(watched.body("/map/a"), "one");
    assert_eq!(watched.body("/missing"), "first");
    std::fs::write(watched.proxy.dir().join("words.map"), "/map/a two\n").unwrap();
    watched.until("/map/a", "two");
    let next = watched.proxy.dir().join("next");
    std::fs::write(&next, page("second")).unwrap();
    std::fs::rename(&next, watched.proxy.dir().join("404.http")).unwrap();
    watched.until("/missing", "second");
    // A page that is none changes nothing.
    std::fs::write(watched.proxy.dir().join("404.http"), "no head").unwrap();
    assert!(watched.says("[ALERT]"), "{}", watched.proxy.stderr());
    assert_eq!(watched.body("/missing"), "second");
}

#[test]
fn without_the_keyword_nothing_is_watched() {
    let watched = Watched::start(&CONFIG.replace("    watch-config\n", ""));
    std::fs::write(&watched.file, watched.saying("two")).unwrap();
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(watched.body("/"), "one");
    watched.proxy.signal(nix::sys::signal::Signal::SIGUSR2);
    watched.until("/", "two");
}
