"""The rows of `scripts/bench proxy` and the bars they must meet."""
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


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

    def client_words(self) -> list:
        words = ["--path", f"/{self.size}"] if self.mode == "http" else ["--reply", self.size]
        return [*words, "--close"] if self.close else words

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
