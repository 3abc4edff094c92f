"""UDP forwarding beside nginx's stream module: CPU time of the proxy by query, with dnsperf before it and an answer that
looks nothing up behind it.

Both have one worker on CPU 0; what asks and what answers has CPU 1. A query is two datagrams in and two out. Sides take
turns within a round, in one order and then in the other; the processes of a round are new ones; a row's figure is the
median of its rounds.

  few      ten clients that ask on
  many     two hundred of them
"""
import argparse
import subprocess
from contextlib import ExitStack

from . import dns, report
from .dns_peers import Canned, Server
from .lab import LOAD_CPU, Lab, Unable
from .proxy import version

BAR = 1.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", default=",".join(ROWS), metavar="A,B", help="rows to run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds per row (default 5; --quick: 2)")
    parser.add_argument("--seconds", type=float, help="of a window (default 1; --quick: 0.5)")


class Behind(Canned):
    """What answers, where it takes nothing from the proxies."""
    cpus = {LOAD_CPU}


class Nginx(Server):
    name = "nginx"

    def prepare(self, upstream: int = 0, **more) -> list:
        config = self.dir / "nginx.conf"
        config.write_text(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nmaster_process off;\n"
            f"pid {self.dir}/pid;\nerror_log {self.dir}/error.log;\nevents {{ worker_connections 4096; }}\n"
            f"stream {{ server {{ listen 127.0.0.1:{self.port} udp; proxy_pass 127.0.0.1:{upstream}; "
            f"proxy_timeout 10s; access_log off; }} }}\n")
        return ["nginx", "-p", self.dir, "-c", config]


class Forwarding(Server):
    name = "isobar"

    def prepare(self, upstream: int = 0, side=None, **more) -> list:
        config = self.dir / "isobar.cfg"
        config.write_text(
            "global\n    nbthread 1\nlisten dns\n    mode udp\n    timeout client 10s\n    timeout server 10s\n"
            f"    bind udp@127.0.0.1:{self.port}\n    server s1 127.0.0.1:{upstream}\n")
        return [side.binary, *side.flags, "-f", config]


def row(bench: dns.Bench, key: str, clients: int) -> list[dict]:
    def start(stack: ExitStack) -> dict:
        behind = bench.start(stack, Behind)
        return {"nginx": bench.start(stack, Nginx, upstream=behind.port),
                "isobar": bench.start(stack, Forwarding, upstream=behind.port, side=bench.side)}

    found = dns.interleaved(bench, start, lambda _, server: bench.dnsperf(server, bench.files.static, clients))
    dns.table(key, found)
    ratio = dns.middle(found["nginx"], "us") / dns.middle(found["isobar"], "us")
    return [dns.at_least(key, ratio, BAR, "times nginx stream's queries a CPU second")]


ROWS = {"few": 10, "many": 200}


def run(lab: Lab, args: argparse.Namespace) -> int:
    wanted = [key for key in args.rows.split(",") if key]
    if unknown := [key for key in wanted if key not in ROWS]:
        raise Unable(f"no row {', '.join(unknown)}; rows are {', '.join(ROWS)}")
    dns.build_canned(lab)
    bench, told = dns.Bench(lab, args), lab.describe()
    peers = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}; ", "nginx", "libnginx-mod-stream", "dnsperf"],
                           capture_output=True, text=True).stdout
    print(f"isobar   {args.proxy_bin}: {version(args.proxy_bin)}\npeers    {peers}\nmachine  {told['cpu']}, {told['cpus']} "
          f"CPUs, Linux {told['kernel']}, load average {told['load_average']:.2f}; {bench.rounds} rounds of "
          f"2 x {bench.seconds:g} s a side\n")
    verdicts = []
    for key in wanted:
        try:
            verdicts += row(bench, key, ROWS[key])
        except (Unable, OSError, subprocess.TimeoutExpired) as why:
            verdicts.append(report.verdict(key, False, f"not measured: {why}"))
    report.write_json(args.json, {"part": "udp", "about": told, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
