"""TLS beside HAProxy: handshakes, resumed ones, requests and bulk; memory of idle connections.

Rows and judgement are those of `scripts/bench proxy`. Clients speak TLS 1.3 with X25519 to both sides, so that both do
the same work. A row of handshakes makes a connection for each request, and fails where sessions were resumed that
should not have been, or the other way round.
"""
import argparse

from . import held
from .lab import Lab
from .rows import TLS_ROWS

IDLE = [
    held.Idle("idle", "idle TLS connection", 9 * 1024, "ssl crt {certificate} alpn http/1.1", ("--tls",)),
    held.Idle("idle-64k", "idle TLS connection after full records", 9 * 1024, "ssl crt {certificate} alpn http/1.1",
              ("--tls",), 65536),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    held.add_arguments(parser, TLS_ROWS)


def run(lab: Lab, args: argparse.Namespace) -> int:
    return held.run_part(lab, args, "tls", TLS_ROWS, IDLE)
