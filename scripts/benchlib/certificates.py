"""Certificates of the bench, made with openssl's command line."""
import subprocess
from pathlib import Path

from .lab import Lab, Unable

KEYS = {
    "rsa2048": ["-newkey", "rsa:2048"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
}


def made(lab: Lab, key: str) -> Path:
    """A file with certificate and key for `bench.test`; made once for a bench."""
    whole = lab.work / f"{key}.pem"
    if whole.exists():
        return whole
    parts = [lab.work / f"{key}.{end}" for end in ("crt", "key")]
    command = ["openssl", "req", "-x509", *KEYS[key], "-nodes", "-days", "3650", "-subj", "/CN=bench.test",
               "-addext", "subjectAltName=DNS:bench.test", "-out", str(parts[0]), "-keyout", str(parts[1])]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as why:
        raise Unable(f"openssl makes no certificate: {why}") from why
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    return whole
