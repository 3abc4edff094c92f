"""What people use to ask: libc, curl, a resolver in front, HAProxy's resolvers."""
import http.server
import socket
import subprocess
import threading
import time
from pathlib import Path

from .dns_node import Node, Program, dig, short, until
from .lab import Lab

REGIONS = ("region eu\n    location 53.3 -6.3\n    networks 127.0.0.0/9\n"
           "region us\n    location 40.7 -74.0\n    networks 198.51.100.0/24\n")
LINES = ("bind 127.0.0.2:443 ssl crt {place}/ns.pem https\nbind 127.0.0.2:853 ssl crt {place}/ns.pem\nhosts-file {place}/hosts\nconsul-domain consul\nzone lb.test\nrecord www service web policy nearest ttl 0s\n"
         "record _web._tcp SRV service web policy nearest ttl 0s\nrecord @ alias www\n")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"from {self.server.server_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def inside(place: Path, command: str) -> str:
    """A command of a host whose only name server is ours."""
    (place / "resolv.conf").write_text("nameserver 127.0.0.2\n")
    script = f"mount --bind {place}/resolv.conf /etc/resolv.conf && {command}"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def unbound(lab: Lab, place: Path) -> Program:
    (place / "unbound.conf").write_text(
        f'server:\n  interface: 127.0.0.30\n  access-control: 127.0.0.0/8 allow\n  do-daemonize: no\n  chroot: ""\n'
        f'  username: ""\n  pidfile: "{place}/unbound.pid"\n  directory: "{place}"\n  use-syslog: no\n'
        f'  do-not-query-localhost: no\n  module-config: "iterator"\n  num-threads: 1\n'
        f'  local-zone: "test." transparent\n'
        f'remote-control:\n  control-enable: no\nforward-zone:\n  name: "."\n  forward-addr: 127.0.0.2\n')
    return Program(lab, place, "unbound", "unbound", "-d", "-c", place / "unbound.conf")


def haproxy(lab: Lab, place: Path) -> Program:
    (place / "haproxy.cfg").write_text(
        f"global\n    stats socket {place}/haproxy.sock level admin\ndefaults\n    mode http\n    timeout connect 2s\n"
        f"    timeout client 5s\n    timeout server 5s\nresolvers here\n    nameserver n1 127.0.0.2:53\n"
        f"    accepted_payload_size 1232\n    resolve_retries 2\n    timeout resolve 200ms\n    timeout retry 200ms\n"
        f"    hold valid 200ms\n    hold nx 200ms\n    hold obsolete 200ms\nfrontend in\n    bind 127.0.0.40:80\n"
        f"    default_backend web\nbackend web\n"
        f"    server-template web 6 _web._tcp.service.consul resolvers here resolve-prefer ipv4 init-addr none check inter 200ms\n")
    return Program(lab, place, "haproxy", "haproxy", "-db", "-f", place / "haproxy.cfg")


def servers(place: Path) -> set[tuple[str, str, str]]:
    """Address, port and weight of HAProxy's servers that have an address."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(3)
        asking.connect(str(place / "haproxy.sock"))
        asking.sendall(b"show servers state web\n")
        text = b""
        while piece := asking.recv(65536):
            text += piece
    rows = [line.split() for line in text.decode().splitlines()[2:] if line.strip()]
    return {(row[4], row[18], row[7]) for row in rows if row[4] != "-"}


def certificate(place: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-subj", "/CN=ns.test", "-addext", "subjectAltName=DNS:ns.test,IP:127.0.0.2", "-keyout", place / "key.pem",
               "-out", place / "crt.pem"]
    subprocess.run(command, check=True, capture_output=True)
    (place / "ns.pem").write_text((place / "crt.pem").read_text() + (place / "key.pem").read_text())


def run(lab: Lab, place: Path, _args):
    certificate(place)
    (place / "hosts").write_text("192.0.2.77 printer.home printer\n")
    node = Node(lab, place, LINES.format(place=place), REGIONS)
    pages = [http.server.ThreadingHTTPServer((address, 8080), Page) for address in ("127.0.0.20", "127.0.0.21")]
    for page in pages:
        threading.Thread(target=page.serve_forever, daemon=True).start()

    def beat() -> None:
        while node.alive:
            node.live("eu")
            time.sleep(0.5)

    until(20, lambda: node.live("eu"))
    threading.Thread(target=beat, daemon=True).start()
    node.register("web", "eu", "web-1", "127.0.0.20", 8080)
    until(10, lambda: short(node.address, "www.lb.test") == ["127.0.0.20"])
    told = inside(place, "getent hosts www.lb.test")
    yield "getent hosts", told.split() == ["127.0.0.20", "www.lb.test"], told.strip()
    told = inside(place, "getent hosts printer")
    yield "getent hosts, a name of the hosts file", told.split()[:1] == ["192.0.2.77"], told.strip()
    told = inside(place, "curl -sS -m 5 http://lb.test:8080/")
    yield "curl, an alias at the apex", told == "from 127.0.0.20", told

    told = inside(place, "curl -sS -m 5 --doh-url https://127.0.0.2/dns-query --doh-insecure http://www.lb.test:8080/")
    yield "curl, names over HTTPS", told == "from 127.0.0.20", told
    told = [dig("127.0.0.2", "+short", f"+{way}", "www.lb.test", port=port).strip()
            for way, port in (("https", 443), ("https-get", 443), ("tls", 853))]
    yield "dig over HTTPS and TLS", told == ["127.0.0.20"] * 3, f"{told}"
    front = unbound(lab, place)
    until(10, lambda: short("127.0.0.30", "www.lb.test") == ["127.0.0.20"])
    told = short("127.0.0.30", "www.lb.test")
    yield "unbound in front", told == ["127.0.0.20"], f"{told}"
    told = short("127.0.0.30", "SRV", "_web._tcp.lb.test")
    yield "unbound in front, SRV", told == ["1 256 8080 7f000014.addr.lb.test."], f"{told}"

    proxy = haproxy(lab, place)
    one = {("127.0.0.20", "8080", "1")}
    until(15, lambda: (place / "haproxy.sock").exists() and servers(place) == one)
    yield "HAProxy finds a server by SRV", servers(place) == one, f"{servers(place)}"
    node.register("web", "eu", "web-2", "127.0.0.21", 8080)
    two = one | {("127.0.0.21", "8080", "1")}
    until(15, lambda: servers(place) == two)
    yield "HAProxy finds another", servers(place) == two, f"{servers(place)}"
    answers = {inside(place, "curl -sS -m 5 http://127.0.0.40/") for _ in range(6)}
    until(10, lambda: answers.add(inside(place, "curl -sS -m 5 http://127.0.0.40/"))
          or {"from 127.0.0.20", "from 127.0.0.21"} <= answers)
    yield "both are asked through it", {"from 127.0.0.20", "from 127.0.0.21"} <= answers, f"{answers}"
    node.register("web", "eu", "web-1", "127.0.0.20", 8080, "critical")
    left = two - one
    until(15, lambda: servers(place) == left)
    yield "HAProxy lets go of one that fails", servers(place) == left, f"{servers(place)}"
    node.alive = False
    for program in (front, proxy):
        program.stop()
    for page in pages:
        page.shutdown()
    node.stop()
