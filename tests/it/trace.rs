//! `isobar trace` says beforehand what traffic then shows: backend, server, the request as the server gets it, the log.

use std::process::{Command, Stdio};

use crate::support::{Client, LogSink, Origin, Proxy, program};

/// How a server answers in a trace.
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

const SITE: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    balance roundrobin
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend www
    bind {ip}:{port:www}
    acl is_api path_beg /api/
    acl is_static path_end -i .png .css
    acl inside src 127.0.0.0/8
    capture request header Host len 32
    option forwardfor
    http-request deny deny_status 429 if { path /limit }
    http-request return status 200 content-type text/plain string hello if { path /hello }
    http-request set-header X-Proto http
    http-request set-var(txn.host) req.hdr(host),lower
    http-request set-header X-Host %[var(txn.host)]
    http-request replace-path /old/(.*) /new/\\1
    http-request del-header X-Secret unless inside
    http-response set-header X-Served yes
    redirect prefix https://secure.example code 301 if { path_beg /login }
    use_backend api if is_api !is_static
    use_backend static if is_static
    use_backend %[req.hdr(x-to)] if { req.hdr(x-to) -m found }
    use_backend h1 if { hdr(host) -i h1.example }
    use_backend h2 if { hdr(host) -i h2.example }
    use_backend h3 if { hdr(host) -i h3.example h3.test }
    use_backend h4 if { hdr(host) -i h4.example }
    use_backend h5 if { hdr(host) -i h5.example } is_static
    default_backend web
backend web
    cookie S insert indirect
    server w1 {s1} cookie one
    server w2 {s2} cookie two
backend api
    http-request set-path %[path,regsub(^/api,)]
    balance uri
    server a1 {s1}
    server a2 {s2}
    server a3 {s1} backup
backend static
    use-server t2 if { path_end .css }
    server t1 {s1}
    server t2 {s2} disabled
backend h1
    server x {s1}
backend h2
    server y {s2}
backend h3
    http-request deny
backend h4
    server z {s1} weight 3
    server zz {s2}
backend h5
    server u {s2}
";

/// A request: method, path with its query, host, further fields.
type Asked = (&'static str, &'static str, &'static str, &'static [&'static str]);

const REQUESTS: &[Asked] = &[
    ("GET", "/", "www.example", &[]),
    ("GET", "/", "www.example", &["Cookie: S=two; a=b"]),
    ("GET", "/", "www.example", &["Cookie: S=gone"]),
    ("HEAD", "/x?y=z", "WWW.example", &["X-Secret: 1"]),
    ("GET", "/api/v1/things?a=b", "www.example", &[]),
    ("GET", "/api/v2", "h1.example", &[]),
    ("DELETE", "/api/logo.PNG", "h1.example", &[]),
    ("GET", "/a.css", "www.example", &[]),
    ("GET", "/old/a/b?c", "h1.example", &["Accept: */*"]),
    ("GET", "/login?next=/", "www.example", &[]),
    ("GET", "/limit", "www.example", &[]),
    ("GET", "/hello", "www.example", &[]),
    ("GET", "/", "www.example", &["X-To: h2"]),
    ("GET", "/", "h2.example", &["X-To: nowhere"]),
    ("GET", "/", "H2.example", &[]),
    ("GET", "/", "h3.test", &[]),
    ("GET", "/", "h4.example", &["X-A: 1", "X-A: 2"]),
    ("GET", "/i.png", "h5.example", &[]),
    ("OPTIONS", "/h5", "h5.example", &[]),
    ("GET", "/%41?%42", "", &[]),
];

/// Without what differs from one request to the next: the client's port, date, times.
fn plain(line: &str) -> String {
    let line =
        line.split_once("]: ").filter(|(head, _)| head.starts_with('<')).map_or(line, |(_, line)| line);
    let words: Vec<&str> = line.split(' ').collect();
    let is_time =
        |word: &str| word.split('/').count() == 5 && word.split('/').all(|n| n.parse::<i64>().is_ok());
    // The times come first; what is of that form behind them are counts of connections.
    let times = words.iter().position(|word| is_time(word));
    let keep = |(at, word): (usize, &&str)| match at {
        0 => word.split(':').next().unwrap_or_default().to_owned(),
        1 => "[]".to_owned(),
        at if Some(at) == times => "times".to_owned(),
        _ => (*word).to_owned(),
    };
    words.iter().enumerate().map(keep).collect::<Vec<_>>().join(" ")
}

fn trace(config: &std::path::Path, port: u16, asked: &Asked) -> serde_json::Value {
    let (method, path, host, fields) = asked;
    let mut command = Command::new(program::under_test());
    command.arg("trace").arg("-f").arg(config).args(["--json", "-H", &format!("Host: {host}")]);
    for field in *fields {
        command.args(["-H", field]);
    }
    let done = command
        .arg(method)
        .arg(format!("http://host:{port}{path}"))
        .stdin(Stdio::null())
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{asked:?}: {said}");
    serde_json::from_slice(&done.stdout).expect("JSON")
}

#[test]
fn what_is_told_is_what_happens() {
    let (one, two) = (Origin::canned(ANSWER), Origin::canned(ANSWER));
    for asked in REQUESTS {
        // A proxy that has served nothing yet, as that of a trace.
        let log = LogSink::start();
        let proxy = Proxy::on(SITE)
            .with("log", format!("{}:{}", log.addr().ip(), log.addr().port()))
            .with("s1", one.addr())
            .with("s2", two.addr())
            .start();
        let (method, path, host, fields) = asked;
        let addr = proxy.addr("www");
        let told = trace(&proxy.dir().join("haproxy.cfg"), addr.port(), asked);
        let (before_one, before_two) = (one.take().len(), two.take().len());
        assert_eq!((before_one, before_two), (0, 0), "a trace asks nobody");
        let mut client = Client::connect(addr);
        let more: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"));
        let answer = client.response_to(method).expect("an answer");
        let status = format!("HTTP/1.1 {}", answer.status());
        let line = told["response"]["line"].as_str().expect("a status line");
        assert!(line.starts_with(&status), "{asked:?}: {line} is not {status}");
        let told_lines: Vec<String> = told["log"]
            .as_array()
            .expect("lines")
            .iter()
            .map(|l| plain(l["line"].as_str().expect("a line")))
            .collect();
        let lines: Vec<String> = log.wait(1).iter().map(|line| plain(line)).collect();
        assert_eq!(told_lines, lines, "{asked:?}");
        let server = told["server"].as_str().unwrap_or("<NOSRV>");
        let backend = told["backend"].as_str().unwrap_or("www");
        assert!(
            lines[0].contains(&format!(" {backend}/{server} ")),
            "{asked:?}: {backend}/{server} in {}",
            lines[0]
        );
        let seen: Vec<_> = one.take().into_iter().chain(two.take()).collect();
        let seen: Vec<_> =
            seen.iter().map(|received| received.message.as_ref().expect("a request")).collect();
        match (&told["request"], &seen[..]) {
            (serde_json::Value::Null, []) => {}
            (request, [got]) => {
                let fields = request["fields"].as_array().expect("fields");
                let fields =
                    fields.iter().map(|f| (f[0].as_str().expect("name"), f[1].as_str().expect("value")));
                for (name, value) in fields.clone() {
                    let all: Vec<_> = got.all(name).collect();
                    let same = fields.clone().filter(|(n, _)| n.eq_ignore_ascii_case(name));
                    let told: Vec<_> = same.map(|(_, value)| value).collect();
                    assert_eq!(told, all, "{asked:?}: {name}: {value}");
                }
                assert_eq!(fields.count(), got.fields.len(), "{asked:?}");
                assert_eq!(
                    request["line"].as_str(),
                    Some(&*format!("{} {} HTTP/1.1", got.method(), got.target())),
                    "{asked:?}"
                );
            }
            (told, got) => panic!("{asked:?}: told {told}, got {got:?}"),
        }
    }
}

/// The files that are shipped, and what of them can be told without what they stand for.
#[test]
fn shipped_configurations_can_be_traced() {
    for (file, words, part) in [
        ("quickstart.cfg", &["GET", "http://x:8080/hello"][..], "backend registered"),
        ("quickstart.cfg", &["GET", "http://x:8080/"], "server one"),
        ("quickstart.cfg", &["GET", "http://x:8404/metrics"], "use-service prometheus-exporter"),
        ("job13.cfg", &["GET", "http://x/"], "server node1"),
    ] {
        let file = format!("{}/conf/{file}", env!("CARGO_MANIFEST_DIR"));
        let done = Command::new(program::under_test())
            .args(["trace", "-f", &file])
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("run");
        let text = String::from_utf8_lossy(&done.stdout);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && text.contains(part), "{file} {words:?}: {part}\n{text}{said}");
    }
}

#[test]
fn shipped_expectations_hold() {
    let run = |file: &str| {
        let mut command = Command::new(program::under_test());
        let done = command.arg("test").arg(file).stdin(Stdio::null()).output().expect("run");
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr),
        )
    };
    let (code, said) = run(&format!("{}/conf/quickstart.cfg.test", env!("CARGO_MANIFEST_DIR")));
    assert!(code == Some(0) && said.ends_with("11 expectations, 0 failed\n"), "{said}");
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(
        path("a.cfg"),
        "listen a\n mode http\n bind :80\n http-request deny\n timeout client 1s\n",
    )
    .expect("written");
    std::fs::write(path("a.cfg.test"), "GET /\n status 403\n status 200\n").expect("written");
    let (code, said) = run(&path("a.cfg.test"));
    assert!(code == Some(1) && said.contains("a.cfg.test:3: status 200: it is 403\n"), "{said}");
    std::fs::write(path("a.cfg"), "listen a\n bnid :80\n").expect("written");
    let (code, said) = run(&path("a.cfg.test"));
    assert!(code == Some(1) && said.contains("unknown keyword 'bnid'"), "{said}");
}
