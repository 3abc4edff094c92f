//! gRPC through the proxy, with `grpcio` on both sides: needs a Python that has it (`ISOBAR_PYTHON`, else `python3`).

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::support::{Proxy, program};

const CONFIG: &str = "
defaults
    mode http
    timeout connect 2s
    timeout client 20s
    timeout server 20s
frontend fe
    bind {ip}:{port:fe} proto h2
    default_backend be
backend be
    server s1 127.0.0.1:{grpc} proto h2
";

const SEEN: &str = "\
unary: b'HELLO' i yes
large: 1000000 {88}
failing: FAILED_PRECONDITION not today: é b'\\x00\\xff'
deadline: DEADLINE_EXCEEDED True
down: True
up: b'500000'
both: [b'cba', b'fed', b'ihg']
cancelled: CANCELLED True
many: True
end
";

#[test]
fn calls_of_every_kind() {
    let python = std::env::var("ISOBAR_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = program::tree().join("tests/it/h2/grpc.py");
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let Ok(mut child) = command.spawn() else {
        return program::skipped("h2::grpc", "there is no Python");
    };
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("a line");
    let Some(port) = first.trim().strip_prefix("port ") else {
        let _ = child.wait();
        let why = Some(first.trim()).filter(|why| !why.is_empty());
        return program::skipped("h2::grpc", why.unwrap_or("this Python has no grpcio (PyPI)"));
    };
    let proxy = Proxy::on(CONFIG).with("grpc", port).start();
    let mut stdin = child.stdin.take().expect("piped");
    writeln!(stdin, "{}", proxy.addr("fe")).expect("it reads");
    let seen: Vec<String> = lines.lines().map(|line| line.expect("text")).collect();
    let _ = child.wait();
    assert_eq!(seen.join("\n") + "\n", SEEN, "{}", proxy.stderr());
}
