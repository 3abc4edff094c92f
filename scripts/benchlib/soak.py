"""Ten million requests over four workers: nothing stuck, `maxconn` and roundrobin exact at the origin.

Three phases: keep-alive requests over four servers in roundrobin (nine tenths), the same with a new connection per
request (one tenth), then servers with `maxconn 10` behind 200 clients and an origin that takes two milliseconds.
The origin counts requests by port, and the most requests and connections it ever had open at once. HAProxy goes
through a tenth of it first: what it does not hold either is printed and must be judged by hand.
"""
import argparse

from . import report
from .lab import LOAD_CPU, PROXY_CPU, Lab
from .load import Client, Origin
from .proxy import Proxy, Side, about, config, sides

BOTH = frozenset({PROXY_CPU, LOAD_CPU})
SERVERS = 4
MAXCONN = 10
CLIENTS = 200
STUCK_SECONDS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, help="requests to Isobar (default 10,000,000; --quick: 200,000)")
    parser.add_argument("--threads", type=int, default=4, help="nbthread (default: %(default)s)")


def spread(lab: Lab, side: Side, threads: int, requests: int) -> dict:
    """Keep-alive and new connections over four servers: reports and the split at the origin."""
    origin = Origin(lab, http_ports=SERVERS, cpus=BOTH)
    port = lab.port()
    text = config("http", port, origin.http, threads=threads, options=("balance roundrobin",))
    proxy = Proxy(lab, side.name, side, text, port, cpus=BOTH)
    try:
        told, split, counted = {}, {}, [0] * SERVERS
        for name, count, words in (("keep-alive", requests * 9 // 10, ()), ("new connection", requests // 10, ("--close",))):
            count -= count % SERVERS
            told[name] = Client(lab, "http", proxy.target, "--requests", count, "--conns", 64, "--stuck", STUCK_SECONDS,
                                *words, pids=proxy.pids(), cpus=BOTH).finish()
            total = [origin.counts()[http]["requests"] for http in origin.http]
            split[name] = [now - before for now, before in zip(total, counted)]
            counted = total
        return {"clients": told, "split": split, "ended": proxy.process.poll(), "rss": proxy.rss_bytes()}
    finally:
        proxy.stop()
        origin.stop()


def limited(lab: Lab, side: Side, threads: int, requests: int) -> dict:
    """200 clients against servers that may have ten requests each."""
    origin = Origin(lab, http_ports=SERVERS, delay_us=2000, cpus=BOTH)
    port = lab.port()
    text = config("http", port, origin.http, threads=threads, options=("balance roundrobin", "timeout queue 1m"),
                  server=f"maxconn {MAXCONN}")
    proxy = Proxy(lab, side.name, side, text, port, cpus=BOTH)
    try:
        origin.counts()
        told, peaks = {}, {}
        for name, words in (("keep-alive", ()), ("new connection", ("--close",))):
            told[name] = Client(lab, "http", proxy.target, "--requests", requests // 2, "--conns", CLIENTS,
                                "--stuck", STUCK_SECONDS, *words, cpus=BOTH).finish()
            counts = origin.counts()
            peaks[name] = {"requests": [counts[http]["active_peak"] for http in origin.http],
                           "connections": [counts[http]["open_peak"] for http in origin.http]}
        return {"clients": told, "peaks": peaks, "ended": proxy.process.poll()}
    finally:
        proxy.stop()
        origin.stop()


def judge(side: str, even: dict, capped: dict) -> list[dict]:
    """Prints and returns the verdicts on one proxy."""
    def clients(result: dict) -> str:
        return ", ".join(f"{name} {told['total_requests']} done, {told['failed']} failed {told['errors'] or ''}"
                         f"(slowest {told['latency_us']['max'] / 1000:.0f} ms)"
                         for name, told in result["clients"].items())

    def clean(result: dict) -> bool:
        return result["ended"] is None and not any(told["failed"] for told in result["clients"].values())

    exact = all(max(split) == min(split) for split in even["split"].values())
    peaks = [peak for phase in capped["peaks"].values() for peak in phase["requests"]]
    opened = [peak for phase in capped["peaks"].values() for peak in phase["connections"]]
    return [
        report.verdict(f"{side} requests", clean(even), clients(even)),
        report.verdict(f"{side} roundrobin", exact, f"requests a server: {even['split']}"),
        report.verdict(f"{side} maxconn requests", clean(capped), clients(capped)),
        report.verdict(f"{side} maxconn", max(peaks) == MAXCONN,
                       f"limit {MAXCONN}; most requests at once, by server {peaks}; connections, idle and closing ones "
                       f"included (not judged) {opened}"),
    ]


def run(lab: Lab, args: argparse.Namespace) -> int:
    requests = args.requests or (200_000 if args.quick else 10_000_000)
    told = about(lab, args, requests=requests, threads=args.threads)
    report.heading(told)
    results, verdicts = {}, {}
    for side, count in (("haproxy", requests // 10), ("isobar", requests)):
        even = spread(lab, sides(args)[side], args.threads, count)
        capped = limited(lab, sides(args)[side], args.threads, min(count, 200_000))
        results[side] = {"spread": even, "limited": capped}
        verdicts[side] = judge(side, even, capped)
    report.write_json(args.json, {"part": "soak", "about": told, "results": results, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts["isobar"]) else 1
