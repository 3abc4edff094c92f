"""What is put into a registry and looked for there: images of noise, over its HTTP API."""
import hashlib
import http.client
import json
import random
from urllib.parse import urlparse

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def noise(seed: str, count: int) -> bytes:
    made, rng = [], random.Random(seed)
    while count:
        made.append(rng.randbytes(min(count, 1 << 24)))
        count -= len(made[-1])
    return b"".join(made)


class Content:
    """The content of a registry at `self.address`."""

    address: tuple

    def ask(self, method: str, path: str, body=None, headers=None):
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def digest(self, name: str, tag: str):
        return self.ask("HEAD", f"/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})[1].get("docker-content-digest")

    def blob(self, name: str, data: bytes) -> dict:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        if self.ask("HEAD", f"/v2/{name}/blobs/{digest}")[0] != 200:
            where = urlparse(self.ask("POST", f"/v2/{name}/blobs/uploads/")[1]["location"])
            assert self.ask("PUT", f"{where.path}?{where.query}&digest={digest}", data)[0] == 201
        return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(data)}

    def image(self, name: str, tags: list, layers: list) -> str:
        """Pushes an image and tells its digest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
                             "n": f"{name}{tags[0]}"})
        config = {**self.blob(name, config.encode()), "mediaType": "application/vnd.oci.image.config.v1+json"}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                               "layers": [self.blob(name, layer) for layer in layers]})
        for tag in tags:
            assert self.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, {"Content-Type": MANIFEST})[0] == 201
        return "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
