"""The DNS responder with a million records, and with a thousand regions."""
import statistics
import time
from contextlib import ExitStack

from . import report
from .dns_peers import Isobar, Knot, query

RECORDS = 1_000_000
REGIONS = 1_000


def size(bench) -> list[dict]:
    head = "$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\n"
    path = bench.files.dir / "large"
    if not path.exists():
        path.write_text(head + "".join(f"h{n} A 10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(RECORDS - 3)))
    found: dict[str, list[tuple[float, int]]] = {"knot": [], "isobar": []}
    for _ in range(2 if bench.args.quick else 3):
        for kind in (Knot, Isobar):
            with ExitStack() as stack:
                begin = time.monotonic()
                server = bench.start(stack, kind, zone=path, side=bench.side)
                took = time.monotonic() - begin
                time.sleep(1)
                found[kind.name].append((took, server.rss_bytes()))
    seconds = {name: statistics.median(took for took, _ in runs) for name, runs in found.items()}
    memory = {name: statistics.median(rss for _, rss in runs) / 2**20 for name, runs in found.items()}
    text = f"isobar {seconds['isobar']:.2f} s, Knot {seconds['knot']:.2f} s until the first answer; bar 3 times Knot's"
    more = f"isobar {memory['isobar']:.0f} MiB, Knot {memory['knot']:.0f} MiB resident; bar 1.2 of Knot's"
    return [report.verdict("size time", seconds["isobar"] <= 3 * seconds["knot"], text),
            report.verdict("size memory", memory["isobar"] <= 1.2 * memory["knot"], more)]


class ManyRegions(Isobar):
    """A thousand regions on a grid; the first is where it is told to be."""

    def write(self, north: float) -> None:
        places = [(north, 2.0)] + [(-60 + n % 40 * 3, -170 + n // 40 * 13) for n in range(1, REGIONS)]
        regions = "".join(f"region r{n}\n    location {a} {b}\n" for n, (a, b) in enumerate(places))
        self.config.write_text(
            f"global\n    nbthread 1\n    watch-config\n{regions}region-map\n    node n1 region r0\n    http-api 127.0.0.1:{self.api}\n"
            f"dns bench\n    bind 127.0.0.1:{self.port}\n    geoip-db {self.files.database}\n"
            f"    zone-file example.com {self.files.zone}\n    zone geo.test\n"
            f"    record www service web policy nearest ttl 30s\n")

    def prepare(self, side=None, **more) -> list:
        self.api, self.alive = self.lab.port(), True
        self.config = self.dir / "isobar.cfg"
        self.write(48.0)
        return [side.binary, *side.flags, "-db", "-f", self.config]


def from_france(server, networks) -> bytes | None:
    address, length = networks
    octets = address.to_bytes(4, "big")[:(length + 7) // 8]
    option = b"\0\x08" + (4 + len(octets)).to_bytes(2, "big") + b"\0\1" + bytes([length, 0]) + octets
    packet = bytearray(query("www.geo.test") + b"\0\0\x29\x04\xd0\0\0\0\0" + len(option).to_bytes(2, "big") + option)
    packet[11] = 1
    return server.exchange(bytes(packet))


def regions(bench) -> list[dict]:
    from . import mmdb
    france = next((a, l) for a, l, place in mmdb.random_networks() if place[0] == "FR")
    with ExitStack() as stack:
        server = bench.start(stack, ManyRegions, side=bench.side)
        server.fill_regions({"r0": "192.0.2.1", "r500": "192.0.2.2"})
        deadline = time.monotonic() + 30
        while b"\xc0\0\2\1" not in (from_france(server, france) or b"") and time.monotonic() < deadline:
            time.sleep(0.1)
        asking = bench.client(server, bench.files.static, "--rate", 5000, "--duration", 6)
        time.sleep(1.5)
        # Far from France: the other one is nearer now.
        begin = time.monotonic()
        server.write(-48.0)
        while b"\xc0\0\2\2" not in (from_france(server, france) or b"") and time.monotonic() < begin + 20:
            time.sleep(0.01)
        took = time.monotonic() - begin
        told = asking.finish(60)
    text = (f"{took:.2f} s from the saved file until answers follow, bar 2; meanwhile {told['requests']} queries, {told['lost']} "
            f"lost, p99 {told['latency_us']['p99']:.0f} us")
    return [report.verdict("regions", took <= 2 and told["lost"] == 0 and not told["failed"], text)]
