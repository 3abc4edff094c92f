"""The rows of `scripts/bench proxy`, `tls` and `h2`, and the bars they must meet."""
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
CONNS = 64


@dataclass(frozen=True)
class Row:
    """One comparison: what is asked of both proxies, and the most Isobar may cost as a share of HAProxy."""
    key: str
    title: str
    bar: float
    mode: str = "http"
    size: int = 128
    close: bool = False
    options: tuple[str, ...] = ()
    log: bool = False
    # The bar is for p99 at a paced rate instead of CPU per request.
    paced: bool = False
    # Which key the certificate has, where clients speak TLS: a name of `certificates.KEYS`.
    tls: str = ""
    # Whether each connection resumes the session of one before.
    resume: bool = False
    # Requests at once on an HTTP/2 connection; 0: HTTP/1.
    streams: int = 0
    # Whether the origin speaks HTTP/2, too.
    h2_origin: bool = False
    conns: int = CONNS

    @property
    def part(self) -> str:
        """The load generator's client for it."""
        return "web" if self.tls or self.streams else self.mode

    def client_words(self) -> list:
        words = ["--path", f"/{self.size}"] if self.mode == "http" else ["--reply", self.size]
        words += ["--close"] if self.close else []
        words += ["--tls"] if self.tls else []
        words += ["--resume"] if self.resume else []
        return [*words, "--streams", self.streams] if self.streams else words

    def bind_words(self, certificate) -> str:
        """What the frontend's `bind` says besides its address."""
        if self.tls:
            return f"ssl crt {certificate} alpn {'h2' if self.streams else 'http/1.1'}"
        return "proto h2" if self.streams else ""

    @property
    def bulk(self) -> bool:
        """Whether requests are so long that a window is better counted in bytes."""
        return self.size >= 64 * KIB


ROWS = [
    Row("keepalive", "HTTP keep-alive, 128 B", 0.82),
    Row("httplog", "HTTP keep-alive, 128 B, option httplog", 0.68, options=("option httplog",), log=True),
    Row("churn", "HTTP, new connection per request", 0.88, close=True),
    Row("64k", "HTTP keep-alive, 64 KiB", 0.62, size=64 * KIB),
    Row("10m", "HTTP keep-alive, 10 MiB, option splice-auto", 0.34, size=10 * MIB, options=("option splice-auto",)),
    Row("tcp", "TCP, 128 B request and reply", 0.90, mode="tcp"),
    Row("tcp-churn", "TCP, new connection per request", 0.93, mode="tcp", close=True),
    Row("tcp-10m", "TCP, 10 MiB reply, option splice-auto", 0.25, mode="tcp", size=10 * MIB,
        options=("option splice-auto",)),
    Row("p99", "HTTP keep-alive, 128 B, p99 at 60 % of HAProxy's peak", 1.10, paced=True),
]

TLS_ROWS = [
    Row("rsa", "full handshake, RSA-2048, one request", 0.75, close=True, tls="rsa2048"),
    Row("p256", "full handshake, P-256, one request", 0.50, close=True, tls="p256"),
    Row("resumed", "resumed handshake, P-256, one request", 0.55, close=True, tls="p256", resume=True),
    Row("keepalive", "keep-alive over TLS, 128 B", 0.92, tls="p256"),
    Row("64k", "keep-alive over TLS, 64 KiB", 0.45, size=64 * KIB, tls="p256"),
    Row("10m", "keep-alive over TLS, 10 MiB", 0.45, size=10 * MIB, tls="p256"),
]

H2_ROWS = [
    Row("h2-10", "HTTP/2 to HTTP/1, 1 KiB, 16 connections of 10 streams", 0.85, size=KIB, streams=10, conns=16),
    Row("h2-100", "HTTP/2 to HTTP/1, 1 KiB, 4 connections of 100 streams", 0.85, size=KIB, streams=100, conns=4),
    Row("h2-h2", "HTTP/2 to HTTP/2, 1 KiB, 16 connections of 10 streams", 0.90, size=KIB, streams=10, conns=16,
        h2_origin=True),
    Row("h2-tls", "HTTP/2 over TLS to HTTP/1, 1 KiB, 16 connections of 10 streams", 0.92, size=KIB, streams=10, conns=16,
        tls="p256"),
]
