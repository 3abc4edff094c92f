//! The life of a process: forks, privileges, signals, exit statuses. A harness of its own, because a test harness with
//! threads cannot fork: this binary runs one test, or (with `PROCESS_DEMO` set) is the program under test.

mod demo;
mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use isobar::os::signal::Signal;
use support::{Place, eventually};

/// Name, whether root is needed, and the test.
const TESTS: &[(&str, bool, fn())] = &[
    ("check_exit_statuses", false, check_exit_statuses),
    ("words_before_running", false, words_before_running),
    ("plain_stops", false, plain_stops),
    ("old_process_is_told", false, old_process_is_told),
    ("daemon_reports_its_start", false, daemon_reports_its_start),
    ("master_passes_signals_on", false, master_passes_signals_on),
    ("master_talks_to_systemd", false, master_talks_to_systemd),
    ("master_ends_with_its_worker", false, master_ends_with_its_worker),
    ("master_can_outlive_its_worker", false, master_can_outlive_its_worker),
    ("worker_ends_with_its_master", false, worker_ends_with_its_master),
    ("reload_after_drop", true, reload_after_drop),
    ("reload_after_drop_under_a_master", true, reload_after_drop_under_a_master),
    ("reload_after_drop_of_isobar", true, reload_after_drop_of_isobar),
    ("save_after_drop_of_isobar", true, save_after_drop_of_isobar),
];

fn main() -> std::process::ExitCode {
    if std::env::var_os("PROCESS_DEMO").is_some() {
        return isobar::app::start::start(std::env::args_os(), demo::Demo::default());
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    let exact = has("--exact");
    let filters: Vec<_> = words.iter().filter(|w| !w.starts_with('-') && *w != "terse").collect();
    let chosen = TESTS.iter().filter(|(name, ..)| {
        filters.is_empty()
            || filters.iter().any(|f| if exact { *f == name } else { name.contains(f.as_str()) })
    });
    if has("--list") {
        for (name, ..) in chosen.filter(|_| !has("--ignored")) {
            println!("{name}: test");
        }
        return std::process::ExitCode::SUCCESS;
    }
    for (name, root, test) in chosen.filter(|_| !has("--ignored")) {
        if *root && !isobar::os::process::is_root() {
            println!("test {name} ... needs root, skipped");
            continue;
        }
        test();
        println!("test {name} ... ok");
    }
    std::process::ExitCode::SUCCESS
}

fn check_exit_statuses() {
    let place = Place::new();
    place.write("good.cfg", "frontend f\n bind 127.0.0.1:1\n");
    place.write("warns.cfg", "global\n warn careful\nfrontend f\n bind 127.0.0.1:1\n");
    place.write("empty.cfg", "global\n");
    place.write("bad.cfg", "nonsense\n");
    let cases = [
        ("-c -f good.cfg", 0, "", ""),
        ("-c -V -f good.cfg", 0, "Configuration file is valid\n", ""),
        ("check good.cfg", 0, "Configuration file is valid\n", ""),
        ("-c -V -q -f good.cfg", 0, "Configuration file is valid\n", ""),
        ("-c -f warns.cfg", 0, "Warnings were found.\n", "careful"),
        ("-c -q -f warns.cfg", 0, "", ""),
        ("-c -dW -f warns.cfg", 1, "", "Some warnings were found and 'zero-warning' is set. Aborting."),
        ("-c -f empty.cfg", 2, "will not start (no listener) => exit(2).\n", ""),
        ("-f empty.cfg", 1, "", "No enabled listener found"),
        ("-c -f bad.cfg", 1, "", "[ALERT] "),
        ("-c -f missing.cfg", 1, "", "missing.cfg : No such file or directory"),
        ("-c -C missing -f good.cfg", 1, "", "Could not change to directory missing"),
        ("-c -W -S m.sock -f empty.cfg", 0, "", ""),
        ("-c -S m.sock -f empty.cfg", 2, "=> exit(2).\n", ""),
        ("-S m.sock -f good.cfg", 1, "", "master-worker mode (-W) is not enabled."),
        ("-dKall -c -f good.cfg", 0, "# keywords of all\n", ""),
        ("-dC -f good.cfg", 0, "# nothing\n", ""),
    ];
    for (line, code, out, err) in cases {
        let done = place.run(line);
        assert_eq!(done.status.code(), Some(code), "{line}: {done:?}");
        let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(if out.is_empty() { stdout.is_empty() } else { stdout.ends_with(out) }, "{line}: {stdout}");
        assert!(if err.is_empty() { stderr.is_empty() } else { stderr.contains(err) }, "{line}: {stderr}");
    }
}

fn words_before_running() {
    let place = Place::new();
    let cases = [
        ("-v", 0, "HAProxy version 3.4.0 "),
        ("-dM -dI -dW -vv", 0, "\nAvailable services : prometheus-exporter\n"),
        ("help", 0, "Usage : "),
        ("-h", 0, "Usage : "),
        ("chek good.cfg", 1, ""),
        ("-cc 1", 0, ""),
        ("-cc 0", 1, ""),
        ("-cc nonsense(", 2, ""),
        ("explain bind", 0, "bind <addr>\n"),
        ("explain nothing", 1, ""),
        ("-dKcfg", 0, "# keywords of cfg\n"),
        ("reload -p missing.pid", 1, ""),
        ("", 1, ""),
        ("-Z", 1, ""),
    ];
    for (line, code, out) in cases {
        let done = place.run(line);
        assert_eq!(done.status.code(), Some(code), "{line}: {done:?}");
        assert!(String::from_utf8_lossy(&done.stdout).contains(out), "{line}: {done:?}");
    }
    assert!(String::from_utf8_lossy(&place.run("-Z").stderr).contains("Usage : "));
    // Our own commands speak of themselves alone.
    for (line, said) in [
        ("chek good.cfg", "isobar: unknown command 'chek'; did you mean 'check' maybe ?\n"),
        ("explain nothing", "isobar: no keyword is named 'nothing'\n"),
    ] {
        assert_eq!(String::from_utf8_lossy(&place.run(line).stderr), said, "{line}");
    }
    let checked = place.run("check missing.cfg");
    let checked = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.contains("missing.cfg") && !checked.contains("version is"), "{checked}");
}

fn plain_stops() {
    for (signal, code, death) in
        [(Signal::SIGINT, None, Some(2)), (Signal::SIGTERM, None, Some(15)), (Signal::SIGUSR1, Some(0), None)]
    {
        let place = Place::new();
        let port = place.config("");
        let mut run = place.start("-d -f a.cfg -p pid");
        run.wait_for(port);
        run.signal(signal);
        assert_eq!(run.end(), (code, death), "{signal}");
        assert!(!place.path("pid").exists());
    }
}

fn old_process_is_told() {
    let place = Place::new();
    let port = place.config("");
    let mut old = place.start("-db -f a.cfg");
    old.wait_for(port);
    let mut new = place.start(&format!("-db -f a.cfg -sf {}", old.pid()));
    assert_eq!(old.end(), (Some(0), None));
    assert!(new.wait_for(port).contains(&format!("pid={} ", new.pid())));
    new.signal(Signal::SIGTERM);
    assert_eq!(new.end(), (None, Some(15)));
}

fn daemon_reports_its_start() {
    for flags in ["-D", "-D -W"] {
        let place = Place::new();
        let port = place.config("");
        let done = place.run(&format!("{flags} -f a.cfg -p pid"));
        assert_eq!(done.status.code(), Some(0), "{flags}: {done:?}");
        let pid: i32 = place.read("pid").trim().parse().unwrap();
        assert_eq!(place.is_in_session_of(pid), pid, "{flags}: a session of its own");
        place.ask(port, "who").unwrap();

        place.write("b.cfg", &format!("frontend f\n bind {}:{port} crt missing.pem\n", support::address()));
        assert_eq!(place.run(&format!("{flags} -f b.cfg -p other")).status.code(), Some(1), "{flags}");
        place.write("c.cfg", "frontend f\n bind 192.0.2.1:1\n");
        assert_eq!(place.run(&format!("{flags} -f c.cfg -p other")).status.code(), Some(1), "{flags}");
        assert!(!place.path("other").exists());

        isobar::os::process::signal_all(&[pid], Signal::SIGTERM);
        eventually("the daemon ends", || place.ask(port, "who").is_err());
    }
}

fn master_passes_signals_on() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 0), (Signal::SIGUSR1, 0)] {
        let place = Place::new();
        let port = place.config("");
        let mut run = place.start("-W -db -f a.cfg -p pid");
        let who = run.wait_for(port);
        assert!(!who.contains(&format!("pid={} ", run.pid())), "the worker is another process: {who}");
        eventually("the pid file", || place.read("pid") == format!("{}\n", run.pid()));
        let shown = place.ask(port, "proc").unwrap();
        assert!(shown.contains(&format!("\n{:<15} master ", run.pid())), "{shown}");

        for trigger in [Signal::SIGUSR2, Signal::SIGHUP] {
            let next = place.config("");
            run.signal(trigger);
            assert_eq!(run.wait_for(next), who, "the same process carries on");
        }
        place.write("a.cfg", "nonsense\n");
        run.signal(Signal::SIGUSR2);
        eventually("the failure is told", || run.stderr().contains("Loading failure!"));
        run.signal(signal);
        assert_eq!(run.end(), (Some(code), None), "{signal}");
    }
}

fn master_talks_to_systemd() {
    let place = Place::new();
    let port = place.config("");
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let any = || {
        let mut text = [0; 512];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let heard = || std::iter::repeat_with(any).find(|text| text != "WATCHDOG=1\n").unwrap();
    let notify = place.path("notify");
    let env = [("NOTIFY_SOCKET", notify.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let mut run = place.start_with("-Ws -f a.cfg", &env);
    let ready = heard();
    assert!(ready.contains("READY=1") && ready.contains(&format!("MAINPID={}", run.pid())), "{ready}");
    place.ask(port, "who").unwrap();
    assert_eq!((any(), any()), ("WATCHDOG=1\n".into(), "WATCHDOG=1\n".into()));
    run.signal(Signal::SIGUSR2);
    let reloading = heard();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(heard().contains("READY=1"));
    run.signal(Signal::SIGINT);
    assert!(heard().contains("STOPPING=1"));
    assert_eq!(run.end(), (Some(130), None));
}

fn master_ends_with_its_worker() {
    let place = Place::new();
    let port = place.config("");
    let mut run = place.start("-W -db -f a.cfg");
    run.wait_for(port);
    let _ = place.ask(port, "crash");
    assert_eq!(run.end(), (Some(128 + 6), None));
    place.write("a.cfg", "frontend f\n bind 192.0.2.1:1\n");
    let done = place.run("-Ws -f a.cfg");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
}

fn master_can_outlive_its_worker() {
    let place = Place::new();
    let port = place.config("global\n no-exit-on-failure\n");
    let mut run = place.start("-W -db -f a.cfg");
    let first = run.wait_for(port);
    let _ = place.ask(port, "crash");
    eventually("the crash is told", || run.stderr().contains("SIGABRT"));
    run.signal(Signal::SIGUSR2);
    assert_ne!(run.wait_for(port), first);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end(), (Some(0), None));
}

fn worker_ends_with_its_master() {
    let place = Place::new();
    let port = place.config("");
    let mut run = place.start("-W -db -f a.cfg");
    run.wait_for(port);
    run.signal(Signal::SIGKILL);
    assert_eq!(run.end(), (None, Some(9)), "the worker let go of the output as well");
    assert!(place.ask(port, "who").is_err());
}

fn reload_after_drop() {
    dropped("-db -f a.cfg", (None, Some(15)));
}

fn reload_after_drop_under_a_master() {
    dropped("-Ws -f a.cfg", (Some(0), None));
}

/// A process that is nobody in an empty root reads a 0600 file of root and binds a low port when it reloads, and
/// nothing else.
fn dropped(flags: &str, end: (Option<i32>, Option<i32>)) {
    let place = Place::new();
    let empty = place.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let secret = |name: &str, text: &str| {
        place.write(name, text);
        std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    secret("one.pem", "one");
    secret("two.pem", "two");
    secret("other.pem", "other");
    let global = format!("global\n user nobody\n group nogroup\n chroot {}\nfrontend f\n", empty.display());
    let (first, second) = (support::low_port(), support::low_port());
    let ip = support::address();
    place.write("a.cfg", &format!("{global} bind {ip}:{first} crt one.pem\n"));
    let mut run = place.start(flags);
    let who = run.wait_for(first);
    assert!(who.starts_with("secret=one ") && who.ends_with("root=-"), "no /proc in an empty root: {who}");
    let pid = who.split("pid=").nth(1).and_then(|t| t.split(' ').next()).unwrap().to_owned();
    let uid = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(uid.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "{uid}");

    let rule = "acl secret path_beg /etc/shadow";
    place.write("a.cfg", &format!("{global} {rule}\n bind {ip}:{second} crt two.pem\n"));
    run.signal(Signal::SIGUSR2);
    let reloaded = run.wait_for(second);
    assert_eq!(reloaded, who.replace("secret=one", "secret=two"));

    let own = place.path("two.pem");
    for path in [own.as_path(), place.path("a.cfg").as_path()] {
        assert!(
            place.ask(second, &format!("read {}", path.display())).unwrap().starts_with("read "),
            "{path:?}"
        );
    }
    assert!(place.ask(second, &format!("direct {}", own.display())).unwrap().starts_with("refused"));
    for path in ["/etc/shadow".into(), place.path("other.pem")] {
        let answer = place.ask(second, &format!("read {}", path.display())).unwrap();
        assert!(answer.contains("is not named by the configuration files"), "{answer}");
    }
    let _ = std::io::stdout().flush();
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end(), end);
}

/// The same with the real program: a 0600 error page and a low port.
fn reload_after_drop_of_isobar() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    let (first, second) = (support::low_port(), support::low_port());
    let config = |port: u16, page: &str| {
        place.write(page, &format!("HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\n{page}"));
        std::fs::set_permissions(place.path(page), std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "global\n user nobody\n group nogroup\n chroot {}\ndefaults\n mode http\n timeout client 5s\n \
             timeout connect 5s\n timeout server 5s\nfrontend f\n bind {}:{port}\n errorfile 503 {page}\n",
            place.path("empty").display(),
            support::address()
        );
        place.write("a.cfg", &text);
    };
    config(first, "one");
    let mut run = place.start_isobar("-Ws -f a.cfg");
    let question = "GET / HTTP/1.0\r\n\r\n";
    assert!(run.wait_for_answer(first, question).ends_with("\r\n\r\none"));
    config(second, "two");
    run.signal(Signal::SIGUSR2);
    assert!(run.wait_for_answer(second, question).ends_with("\r\n\r\ntwo"));
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end(), (Some(0), None));
}

/// `watch-config` sees what is saved outside of the empty root that the process has.
fn save_after_drop_of_isobar() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    let port = support::low_port();
    let config = |answer: &str| {
        format!(
            "global\n user nobody\n group nogroup\n watch-config\n chroot {}\ndefaults\n mode http\n timeout client 5s\n\
             frontend f\n bind {}:{port}\n errorfile 404 page\n http-request deny deny_status 404 if {{ path /page }}\n \
             http-request return status 200 content-type text/plain string {answer}\n",
            place.path("empty").display(),
            support::address()
        )
    };
    let page = |text: &str| {
        place.write("page", &format!("HTTP/1.1 404 No\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
        std::fs::set_permissions(place.path("page"), std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    page("one");
    place.write("a.cfg", &config("one"));
    for flags in ["-db -f a.cfg", "-Ws -f a.cfg"] {
        let mut run = place.start_isobar(flags);
        let mut until = |path: &str, end: &str| {
            let question = format!("GET {path} HTTP/1.0\r\n\r\n");
            let until = isobar::base::clock::now_ms() + 15_000;
            while !run.wait_for_answer(port, &question).ends_with(end) {
                assert!(isobar::base::clock::now_ms() < until, "{flags}: {path} never gave {end}");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        };
        until("/", "one");
        place.write("a.cfg", &config("two"));
        until("/", "two");
        page("second");
        until("/page", "second");
        place.write("a.cfg", &config("one"));
        until("/", "one");
        run.signal(Signal::SIGTERM);
        run.end();
    }
}
