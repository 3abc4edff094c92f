"""10,000 certificates beside HAProxy: start, reload and memory.

A directory of files with a certificate and its own P-256 key each, which `bind ... ssl crt DIR` reads. Both proxies have
all CPUs. A start is measured from the process's first moment to the first handshake with the last certificate, a reload
from the signal to the first new connection that meets the new file; memory is what is resident after the start, of all
processes. The bars: at most 0.15 of HAProxy's time for either, at most 0.6 of its memory; a handshake meets the certificate
of the name that is asked for before and after.
"""
import argparse
import datetime
import os
import shutil
import signal
import socket
import ssl
import statistics
import time
from pathlib import Path

from . import report
from .lab import Lab, Unable
from .proxy import Proxy, Side, about, sides

TIME_BAR, MEMORY_BAR = 0.15, 0.60
PATIENCE = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--certificates", type=int, help="how many (default 10000; --quick: 1000)")
    parser.add_argument("--rounds", type=int, help="starts and reloads of each proxy (default 3; --quick: 1)")


def made(lab: Lab, count: int) -> Path:
    """A directory with so many; made once."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as why:
        raise Unable("python3-cryptography is needed to make certificates") from why
    directory = lab.work / f"certificates-{count}"
    if (directory / f"{count - 1:05}.pem").exists():
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench authority")])
    authority = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.datetime(2026, 1, 1)
    for number in range(count):
        key = ec.generate_private_key(ec.SECP256R1())
        host = name(number)
        certificate = (
            x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)]))
            .issuer_name(issuer).public_key(key.public_key()).serial_number(number + 1)
            .not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=7300))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host), x509.DNSName(f"www.{host}")]), critical=False)
            .sign(authority, hashes.SHA256()))
        pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (directory / f"{number:05}.pem").write_bytes(pem)
    return directory


def name(number: int) -> str:
    return f"host{number}.bench.test"


def met(port: int, host: str) -> str | None:
    """The certificate's first name and the body that a new connection gets, in one word."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, \
                context.wrap_socket(plain, server_hostname=host) as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := secure.recv(4096):
                answer += piece
            shown = secure.getpeercert(binary_form=True)
        from cryptography import x509
        subject = x509.load_der_x509_certificate(shown).subject.rfc4514_string()
        return f"{subject} {answer.rsplit(bytes(2 * [13, 10]), 1)[1].decode()}"
    except (OSError, IndexError, ValueError):
        return None


class Subject:
    """A proxy with all certificates, and its file."""

    def __init__(self, lab: Lab, side: Side, directory: Path, count: int):
        self.lab, self.directory, self.count, self.port, self.generation = lab, directory, count, lab.port(), 0
        self.side, self.began = side, time.monotonic()
        # A master that starts a new worker hands the listeners over this socket.
        self.api = lab.work / f"certificates-{side.name}.sock"
        self.proxy = Proxy(lab, f"certificates-{side.name}", side, self.text(), self.port,
                           frozenset(range(os.cpu_count())))

    def text(self) -> str:
        return (f"global\n    stats socket {self.api} level admin expose-fd listeners\n    maxconn 1000\n"
                "defaults\n    mode http\n    timeout client 30s\n    timeout server 30s\n    timeout connect 5s\n"
                f"frontend bench\n    bind 127.0.0.1:{self.port} ssl crt {self.directory} alpn http/1.1\n"
                f"    http-request return status 200 content-type text/plain string {self.generation}\n")

    def until_met(self) -> float:
        """Seconds since the beginning until the last certificate is shown by the newest file."""
        host = name(self.count - 1)
        wanted = f"CN={host} {self.generation}"
        while time.monotonic() < self.began + PATIENCE:
            if met(self.port, host) == wanted:
                return time.monotonic() - self.began
            if self.proxy.process.poll() is not None:
                raise Unable(f"{self.proxy.name} ended: {self.proxy.last_words()}")
            time.sleep(0.005)
        raise Unable(f"{self.proxy.name}: {name(self.count - 1)} is not served after {PATIENCE} s")

    def reload(self) -> float:
        self.generation += 1
        self.proxy.file.write_text(self.text())
        self.began = time.monotonic()
        os.kill(self.proxy.process.pid, signal.SIGUSR2)
        return self.until_met()


def once(lab: Lab, side: Side, directory: Path, count: int) -> dict:
    """One fresh proxy: seconds to its first handshake and to a reload, and resident memory."""
    subject = Subject(lab, side, directory, count)
    try:
        start = subject.until_met()
        time.sleep(1)
        resident = subject.proxy.rss_bytes()
        wrong = [number for number in range(0, count, max(1, count // 50))
                 if met(subject.port, name(number)) != f"CN={name(number)} 0"]
        reload = subject.reload()
        time.sleep(2)
        wrong += [number for number in range(0, count, max(1, count // 50))
                  if met(subject.port, name(number)) != f"CN={name(number)} 1"]
        return {"start": start, "reload": reload, "resident": resident, "after": subject.proxy.rss_bytes(), "wrong": wrong}
    finally:
        subject.proxy.stop()


def run(lab: Lab, args: argparse.Namespace) -> int:
    count = args.certificates or (1000 if args.quick else 10_000)
    rounds = args.rounds or (1 if args.quick else 3)
    directory = made(lab, count)
    told = about(lab, args, certificates=count)
    report.heading(told)
    every = {"haproxy": Side("haproxy", args.peer_bin, ("-W",)), "isobar": sides(args)["isobar"]}
    results: dict[str, list[dict]] = {side: [] for side in every}
    print(f"{'':8} {'start s':>8} {'reload s':>9} {'resident MiB':>13} {'after reload':>13}")
    for _ in range(rounds):
        for side, of in every.items():
            one = once(lab, of, directory, count)
            results[side].append(one)
            print(f"{side:8} {one['start']:8.2f} {one['reload']:9.2f} {one['resident'] / 2**20:13.1f} "
                  f"{one['after'] / 2**20:13.1f}")
    print()
    middle = {side: {key: statistics.median(one[key] for one in ones) for key in ("start", "reload", "resident")}
              for side, ones in results.items()}
    verdicts = []
    for key, bar, unit, scale in (("start", TIME_BAR, "s", 1), ("reload", TIME_BAR, "s", 1),
                                  ("resident", MEMORY_BAR, "MiB", 2**20)):
        ours, theirs = middle["isobar"][key], middle["haproxy"][key]
        verdicts.append(report.verdict(key, ours <= bar * theirs,
                                       f"{ours / scale:.2f} {unit}, haproxy {theirs / scale:.2f}: {ours / theirs:.3f}, bar {bar}"))
    wrong = sum(len(one["wrong"]) for one in results["isobar"])
    verdicts.append(report.verdict("names", wrong == 0, f"{wrong} handshakes met another certificate, or none"))
    report.write_json(args.json, {"part": "certificates", "about": told, "results": results, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
