"""User instructions of a worker per request, counted by callgrind.

The real binary with one worker runs under callgrind between the load generator and its origin, twice for each row:
once for a short and once for a long load. The difference of the worker's counts over the difference of the requests is
the row's figure, so that start-up, opening and closing cancel. A count does not depend on what else the machine does
(how many requests meet in one turn of the loop does, a little): two runs agree within 1 %.

The figures of record stand in benches/instructions.tsv, a column a build profile; the bars are for `bench-lto`. What
`debug` executes tells nothing of speed, but it grows when the code does more, and the tests have that build already.
  --check   also compares with the column of the binary's profile: more than 3 % above it is a failure
  --record  writes this run's figures into that column
"""
import argparse
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import report
from .lab import Lab, Unable
from .load import Client, Origin, Sink
from .proxy import Proxy, Side, config, version

TABLE = "benches/instructions.tsv"
TOLERANCE = 0.03
PROFILES = ("debug", "release", "bench-lto")
CONNS = 64
# What the data worker alone calls.
LOOP = "rt::runtime::Rt::turn"
STOP_SECONDS = 120

ACLS = (
    "acl static path_beg /static /images /css /js",
    "acl api path_beg /api/ /v1/ /v2/",
    "acl upload path_end .zip .tar .gz",
    "acl admin path -i /admin /manage",
    "acl bench hdr(host) -i bench.test bench.example",
    "acl other hdr_dom(host) -i example.org",
    "acl robot hdr_sub(user-agent) -i crawler spider",
    "acl tool hdr_beg(user-agent) -i curl wget load",
    "acl inside src 10.0.0.0/8 192.168.0.0/16",
    "acl local src 127.0.0.0/8",
    "acl writes method POST PUT DELETE PATCH",
    "acl session req.cook(session) -m found",
    "http-request deny if admin !inside",
    "http-request deny if robot upload",
    "http-request deny if writes !session",
    "http-request deny if static other or api other",
)
HEADERS = (
    "http-request set-header X-Forwarded-Proto http",
    "http-request set-header X-Real-IP %[src]",
    "http-request add-header X-Via isobar if bench tool local",
    "http-request set-header X-Request-Path %[path]",
    "http-response set-header X-Frame-Options DENY",
    "http-response del-header Server",
)


@dataclass(frozen=True)
class Row:
    """One load: what is asked of the proxy, how often, and the bar."""
    key: str
    title: str
    bar: int
    mode: str = "http"
    path: str = "/128"
    close: bool = False
    options: tuple[str, ...] = ()
    front: tuple[str, ...] = ()
    log: bool = False
    requests: tuple[int, int] = (1000, 5000)

    def client_words(self) -> list:
        words = ["--path", self.path] if self.mode == "http" else ["--reply", self.path.strip("/")]
        return [*words, "--close"] if self.close else words


ROWS = [
    Row("keepalive", "HTTP keep-alive, 128 B, 64 connections", 9_300),
    Row("httplog", "the same with option httplog to a unix socket", 13_700, options=("option httplog",), log=True),
    Row("churn", "HTTP, new connection per request", 13_200, close=True),
    Row("chunks", "HTTP keep-alive, ten chunks of 128 B", 12_000, path="/10x128"),
    Row("rules", "HTTP keep-alive, 12 ACLs, 4 conditions and 6 headers", 18_500, front=(*ACLS, *HEADERS)),
    Row("tcp", "TCP, 128 B request and reply", 2_800, mode="tcp", requests=(4000, 20000)),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", default=",".join(row.key for row in ROWS), metavar="A,B",
                        help="rows to run (default: all: %(default)s)")
    parser.add_argument("--check", action="store_true", help=f"compare with {TABLE}, {TOLERANCE:.0%}% tolerance")
    parser.add_argument("--record", action="store_true", help=f"write the figures into {TABLE}")
    parser.add_argument("--keep", action="store_true",
                        help="keep callgrind's files in .bench and look each instruction up (for callgrind_annotate)")


def worker_count(files: list[Path]) -> int:
    """Instructions of the worker: the thread that turns the loop of one. A short run's start takes more than its load."""
    texts = [text for text in (file.read_text(errors="replace") for file in files) if LOOP in text]
    if len(texts) != 1:
        raise Unable(f"{len(texts)} threads called {LOOP}, not one")
    return sum(int(line.split()[1]) for line in texts[0].splitlines() if line.startswith("totals:"))


def count(lab: Lab, row: Row, args: argparse.Namespace, requests: int) -> int:
    """Starts a proxy under callgrind, sends so many requests through it and tells what its worker executed."""
    origin = Origin(lab)
    sink = Sink(lab, lab.work / "instructions.sock") if row.log else None
    name = f"callgrind-{row.key}-{requests}"
    for old in lab.work.glob(f"{name}.out*"):
        old.unlink()
    port = lab.port()
    text = config(row.mode, port, [origin.tcp if row.mode == "tcp" else origin.http[0]], options=row.options,
                  front=row.front, log=sink.path if sink else None)
    words = ("--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={lab.work / name}.out",
             f"--dump-line={'yes' if args.keep else 'no'}", "--quiet")
    side = Side(name, Path("/usr/bin/env"), ("valgrind", *words, str(args.proxy_bin), *args.proxy_flags))
    proxy = Proxy(lab, name, side, text, port)
    try:
        told = Client(lab, row.mode, proxy.target, "--conns", CONNS, "--requests", requests, "--stuck", 60,
                      *row.client_words()).finish(600)
        proxy.process.terminate()
        proxy.process.wait(STOP_SECONDS)
    finally:
        proxy.stop()
        origin.stop()
        if sink:
            sink.stop()
    if told["failed"] or told["total_requests"] != requests:
        raise Unable(f"{row.key}: {told['total_requests']} of {requests} requests answered, failed: {told['errors']}")
    files = [file for file in lab.work.glob(f"{name}.out*")]
    counted = worker_count(files)
    for file in files if not args.keep else []:
        file.unlink()
    return counted


def read_table(path: Path) -> dict[str, dict[str, int]]:
    """Figures by row and profile; a figure not taken yet is absent."""
    lines = [line.split("\t") for line in path.read_text().splitlines() if line and not line.startswith("#")]
    header = lines[0] if lines else []
    return {line[0]: {name: int(word) for name, word in zip(header[1:], line[1:]) if word != "-"} for line in lines[1:]}


def write_table(path: Path, table: dict[str, dict[str, int]]) -> None:
    """Keeps the comment at the top."""
    comment = [line for line in path.read_text().splitlines() if line.startswith("#")] if path.exists() else []
    lines = ["\t".join(("row", "bar", *PROFILES))]
    for row in ROWS:
        figures = table.get(row.key, {})
        lines.append("\t".join((row.key, str(row.bar), *(str(figures.get(name, "-")) for name in PROFILES))))
    path.write_text("\n".join([*comment, *lines]) + "\n")


def run(lab: Lab, args: argparse.Namespace) -> int:
    if not shutil.which("valgrind"):
        raise Unable("valgrind is not installed (Debian: valgrind)")
    profile = args.proxy_bin.resolve().parent.name
    if (args.check or args.record) and profile not in PROFILES:
        raise Unable(f"{args.proxy_bin} is of the profile '{profile}'; the table knows {', '.join(PROFILES)}")
    wanted = [key for key in args.rows.split(",") if key]
    unknown = [key for key in wanted if key not in {row.key for row in ROWS}]
    if unknown:
        raise Unable(f"no row {', '.join(unknown)}; rows are {', '.join(row.key for row in ROWS)}")
    table = read_table(lab.root / TABLE) if (lab.root / TABLE).exists() else {}
    print(f"{args.proxy_bin}: {version(args.proxy_bin)}\nuser instructions of the worker per request\n")
    print(f"{'row':10} {'figure':>8} {'of record':>10} {'bar':>7}  what")
    results, worse = {}, []
    for row in (row for row in ROWS if row.key in wanted):
        # Code that is not optimized takes ten times as long.
        short, long = (requests // (4 if profile == "debug" else 1) for requests in row.requests)
        figure = round((count(lab, row, args, long) - count(lab, row, args, short)) / (long - short))
        recorded = table.get(row.key, {}).get(profile)
        results[row.key] = figure
        note = ""
        if args.check and recorded is None:
            worse.append(f"{row.key}: the table has no figure for {profile}")
        elif args.check and figure > recorded * (1 + TOLERANCE):
            worse.append(f"{row.key}: {figure} is {figure / recorded - 1:.1%} above {recorded}")
        elif args.check and figure < recorded * (1 - TOLERANCE):
            note = f"  (better by {1 - figure / recorded:.1%}: record it)"
        over = "" if profile != "bench-lto" or figure <= row.bar else "  OVER THE BAR"
        print(f"{row.key:10} {figure:8} {recorded or '-':>10} {row.bar:7}  {row.title}{over}{note}", flush=True)
    if args.record:
        for key, figure in results.items():
            table.setdefault(key, {})[profile] = figure
        write_table(lab.root / TABLE, table)
    for line in worse:
        print(f"FAIL  {line}")
    report.write_json(args.json, {"part": "instructions", "profile": profile, "figures": results, "worse": worse})
    over_bar = profile == "bench-lto" and not args.check and any(results[r.key] > r.bar for r in ROWS if r.key in results)
    return 1 if worse or over_bar else 0
