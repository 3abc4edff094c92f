"""DNS servers of a bench, each a process with one thread that answers, pinned to the servers' CPU."""
import json
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.request
import zlib
from pathlib import Path

from . import mmdb
from .lab import PROXY_CPU, Lab, Unable
from .proxy import Side

NAMES = 10_000
CACHED = 1_000
ADDRESSES = {"EU": "192.0.2.1", "NA": "192.0.2.2", "AS": "192.0.2.3"}
REGIONS = {"EU": ("53.3", "-6.3"), "NA": ("40.7", "-74.0"), "AS": ("1.3", "103.8")}


def query(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


class Server:
    """A running server; `prepare` writes its files and gives its command."""
    name = ""
    ready = "h1.example.com"
    cpus = {PROXY_CPU}

    def __init__(self, lab: Lab, files: "Files", **more):
        self.lab = lab
        self.files = files
        self.port = lab.port()
        self.dir = lab.work / f"dns-{self.name}"
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir()
        self.output = self.dir / "log"
        command = self.prepare(**more)
        with self.output.open("w") as output:
            self.process = lab.spawn(command, self.cpus, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            self.wait_ready()
        except Unable:
            lab.stop(self.process)
            raise

    def prepare(self, **more) -> list:
        raise NotImplementedError

    def asked(self, name: str, kind: int = 1) -> bytes | None:
        return self.exchange(query(name, kind))

    def exchange(self, packet: bytes) -> bytes | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.5)
            try:
                asking.connect(("127.0.0.1", self.port))
                asking.send(packet)
                return asking.recv(4096)
            except OSError:
                return None

    def wait_ready(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Unable(f"{self.name} ended with status {self.process.returncode}: {self.last_words()}")
            answer = self.asked(self.ready)
            if answer and answer[3] & 15 == 0 and answer[6:8] != b"\0\0":
                return
            time.sleep(0.05)
        raise Unable(f"{self.name} does not answer after {seconds} s: {self.last_words()}")

    def last_words(self) -> str:
        return " / ".join(self.output.read_text(errors="replace").strip().splitlines()[-4:]) or "(no output)"

    def cpu_ns(self) -> int:
        """CPU time of all threads so far."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                pass
        return total

    def rss_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def stop(self) -> None:
        self.lab.stop(self.process)


class Files:
    """Zone, geographic database and lists of queries, the same for all."""

    def __init__(self, lab: Lab):
        self.dir = lab.work / "dns"
        self.dir.mkdir(exist_ok=True)
        head = "$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\n"
        hosts = "".join(f"h{n} A 10.0.{n >> 8}.{n & 255}\n" for n in range(NAMES))
        servers = "".join(f"_web._tcp SRV 1 256 8080 s{n}\ns{n} A 10.1.0.{n}\n" for n in range(1, 5))
        self.zone = self.write("zone", head + hosts + servers)
        self.up = self.write("up", head + "".join(f"h{n} A 10.2.{n >> 8}.{n & 255}\n" for n in range(CACHED)))
        self.database = self.dir / "country.mmdb"
        if not self.database.exists():
            mmdb.write(self.database, mmdb.random_networks())
        order = sorted(range(NAMES), key=lambda n: n * 7919 % NAMES)
        self.static = self.write("static", "".join(f"h{n}.example.com A\n" for n in order))
        self.cached = self.write("cached", "".join(f"h{n}.up.test A\n" for n in order if n < CACHED))
        self.geo = self.write("geo", "www.geo.test A\n")
        self.srv = self.write("srv", "_web._tcp.example.com SRV\n")
        self.live = self.write("live", "_srv._tcp.geo.test SRV\n")

    def write(self, name: str, text: str) -> Path:
        path = self.dir / name
        path.write_text(text)
        return path


class Canned(Server):
    name = "canned"

    def prepare(self, **more) -> list:
        return [self.lab.load_bin.parent / "canned", f"127.0.0.1:{self.port}"]


class Knot(Server):
    name = "knot"

    def prepare(self, zone: Path | None = None, origin: str = "example.com", **more) -> list:
        if origin != "example.com":
            self.ready = f"h1.{origin}"
        config = self.dir / "knot.conf"
        config.write_text(
            f"server:\n  listen: 127.0.0.1@{self.port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
            f"  rundir: {self.dir}\n  pidfile: {self.dir}/pid\nlog:\n  - target: stderr\n    any: warning\n"
            f"database:\n  storage: {self.dir}\n"
            f"zone:\n  - domain: {origin}\n    file: {zone or self.files.zone}\n    zonefile-sync: -1\n"
            f"    journal-content: none\n")
        return ["knotd", "-c", config]


class Gdnsd(Server):
    """Geography by continent; it answers from one thread."""
    name = "gdnsd"
    ready = "www.geo.test"

    def prepare(self, **more) -> list:
        for sub in ("zones", "geoip", "run", "state"):
            (self.dir / sub).mkdir()
        shutil.copy(self.files.database, self.dir / "geoip/country.mmdb")
        (self.dir / "zones/geo.test").write_text(
            "$TTL 30\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\nwww 30 DYNA geoip!web\n")
        places = ", ".join(f"{name.lower()} => {address}" for name, address in ADDRESSES.items())
        ordered = {name: [name.lower()] + [o.lower() for o in ADDRESSES if o != name] for name in ADDRESSES}
        maps = ", ".join(f"{name} => [{', '.join(order)}]" for name, order in ordered.items())
        (self.dir / "config").write_text(
            f"options => {{ listen => 127.0.0.1:{self.port}, udp_threads => 1, tcp_threads => 1,\n"
            f"  run_dir => {self.dir}/run, state_dir => {self.dir}/state }}\n"
            f"plugins => {{ geoip => {{ maps => {{ m => {{ geoip2_db => country.mmdb, datacenters => [eu, na, as],\n"
            f"  map => {{ default => [eu, na, as], {maps} }} }} }},\n"
            f"  resources => {{ web => {{ map => m, dcmap => {{ {places} }} }} }} }} }}\n")
        return ["gdnsd", "-c", self.dir, "start"]


class PowerDns(Server):
    name = "pdns"
    ready = "www.geo.test"

    def prepare(self, **more) -> list:
        records = "".join(f"    {country.lower()}.geo.test:\n      - a: {ADDRESSES[continent]}\n"
                          for country, continent in mmdb.COUNTRIES)
        (self.dir / "geo.yaml").write_text(
            "domains:\n- domain: geo.test\n  ttl: 30\n  records:\n    geo.test:\n"
            "      - soa: ns.geo.test hostmaster.geo.test 1 3600 600 86400 60\n      - ns: ns.geo.test\n"
            "    ns.geo.test:\n      - a: 192.0.2.53\n    unknown.geo.test:\n      - a: 192.0.2.1\n" + records +
            "  services:\n    www.geo.test: ['%cc.geo.test', 'unknown.geo.test']\n")
        (self.dir / "pdns.conf").write_text(
            f"launch=geoip\ngeoip-zones-file={self.dir}/geo.yaml\ngeoip-database-files={self.files.database}\n"
            f"edns-subnet-processing=yes\nlocal-address=127.0.0.1\nlocal-port={self.port}\nreceiver-threads=1\n"
            f"distributor-threads=1\nsocket-dir={self.dir}\nloglevel=3\nsecurity-poll-suffix=\n"
            f"zone-cache-refresh-interval=0\n")
        return ["pdns_server", f"--config-dir={self.dir}", "--daemon=no", "--guardian=no", "--disable-syslog"]


class Isobar(Server):
    name = "isobar"

    def prepare(self, side: Side = None, zone: Path | None = None, upstream: int = 9, **more) -> list:
        self.api = self.lab.port()
        self.alive = True
        regions = "".join(f"region {name}\n    location {north} {east}\n" for name, (north, east) in REGIONS.items())
        config = self.dir / "isobar.cfg"
        config.write_text(
            f"global\n    nbthread 1\n{regions}region-map\n    node n1 region EU\n    http-api 127.0.0.1:{self.api}\n"
            f"dns bench\n    bind 127.0.0.1:{self.port}\n    geoip-db {self.files.database}\n"
            f"    forward up.test 127.0.0.1:{upstream}\n    zone-file example.com {zone or self.files.zone}\n"
            f"    zone geo.test\n    record www service web policy nearest ttl 30s\n"
            f"    record _srv._tcp SRV service srv ttl 30s\n")
        return [side.binary, *side.flags, "-db", "-f", config]

    def put(self, path: str, body: dict) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.api}{path}", json.dumps(body).encode(), method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as response:
            response.read()

    def get(self, path: str) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.api}{path}", timeout=5) as response:
            return response.read()

    def live(self, name: str) -> None:
        self.put("/v1/isobar/agent/alive",
                 {"Node": f"host-{name}", "ID": f"00000000-0000-0000-0000-{zlib.crc32(name.encode()):012x}",
                  "Address": "127.0.0.1", "Region": name, "Digest": ""})

    def register(self, service: str, region: str, id: str, address: str, port: int = 8080, weight: int = 1) -> None:
        self.put("/v1/catalog/register", {
            "Node": f"host-{region}", "Address": "127.0.0.1", "SkipNodeUpdate": True,
            "Service": {"Service": service, "ID": id, "Address": address, "Port": port,
                        "Weights": {"Passing": weight, "Warning": 1}},
            "Check": {"CheckID": id, "Name": id, "ServiceID": id, "Status": "passing"}})

    def fill_regions(self, instances: dict[str, str]) -> None:
        """Hosts that stay alive in these regions, with an instance of `web` on each."""
        deadline = time.monotonic() + 30
        while True:
            try:
                for name, address in instances.items():
                    self.live(name)
                    self.register("web", name, f"web-{name}", address)
                break
            except OSError as why:
                if time.monotonic() > deadline:
                    raise Unable(f"isobar takes no registration: {why}") from why
                time.sleep(0.1)
        threading.Thread(target=self.beat, args=(list(instances),), daemon=True).start()

    def fill(self) -> None:
        """Hosts in three regions that stay alive, an instance of `web` on each, four of `srv` on one."""
        self.fill_regions(ADDRESSES)
        for n in range(1, 5):
            self.register("srv", "EU", f"srv-{n}", f"10.1.0.{n}")
        deadline = time.monotonic() + 30
        while not ((answer := self.asked("_srv._tcp.geo.test", 33)) and answer[6:8] == b"\0\4"):
            if time.monotonic() > deadline:
                raise Unable("what is registered is not answered")
            time.sleep(0.05)

    def beat(self, names: list[str]) -> None:
        while self.alive:
            for name in names:
                try:
                    self.live(name)
                except OSError:
                    pass
            time.sleep(1)

    def stop(self) -> None:
        self.alive = False
        super().stop()
