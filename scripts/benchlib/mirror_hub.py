"""A hub in front of a registry: bearer tokens that end, a pull quota, storms of errors, and what was sent counted."""
import http.client
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

PIECE = 1 << 16


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_):
        """Who is cut off does not hear the rest."""


class Hub:
    """Stands between a client and a registry; what it does is changed while it runs."""

    def __init__(self, address: tuple, registry: tuple) -> None:
        self.address, self.registry = address, registry
        # How long a token is good for, in seconds; nothing: no tokens are asked for.
        self.token_s = None
        # Pulls of manifests in a window of seconds; nothing: no quota.
        self.quota = None
        # The share of requests that are answered 503.
        self.storm = 0.0
        self.lock = threading.Lock()
        self.tokens, self.window = {}, (0.0, 0)
        # Bytes by upload, and those of uploads that the registry knew no more when it was asked how far they are.
        self.uploads, self.forgotten = {}, 0
        self.sent, self.pulls, self.refused, self.unauthorized, self.most = 0, 0, 0, 0, 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (ConnectionError, http.client.HTTPException, TimeoutError):
                    self.close_connection = True

            def do(self):
                hub.serve(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

        self.server = Server(address, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def url(self) -> str:
        return "http://%s:%d" % self.address

    def serve(self, request) -> None:
        length = int(request.headers.get("content-length") or 0)
        if request.path.startswith("/token"):
            return self.give_token(request)
        refusal = self.refusal(request)
        if refusal:
            return self.answer(request, length, *refusal)
        self.pass_on(request, length)

    def give_token(self, request) -> None:
        token = secrets.token_hex(8)
        with self.lock:
            scopes = parse_qs(urlparse(request.path).query).get("scope", [])
            self.tokens[token] = (time.monotonic() + self.token_s, scopes)
        self.answer(request, 0, 200, {}, json.dumps({"token": token, "expires_in": self.token_s}).encode())

    def refusal(self, request):
        """Status, headers and body of what is not passed on."""
        with self.lock:
            if self.storm and secrets.randbelow(1000) < self.storm * 1000:
                return 503, {}, b"{}"
            if self.token_s is not None:
                shown = (request.headers.get("authorization") or "").removeprefix("Bearer ")
                until, scopes = self.tokens.get(shown, (0.0, []))
                is_write = request.command in ("POST", "PUT", "PATCH", "DELETE")
                if until < time.monotonic() or (is_write and not any("push" in scope for scope in scopes)):
                    self.unauthorized += 1
                    parts = request.path.split("/")
                    name = "/".join(parts[2:-2]).removesuffix("/blobs")
                    what = "pull,push" if is_write else "pull"
                    says = f'Bearer realm="{self.url()}/token",service="hub",scope="repository:{name}:{what}"'
                    return 401, {"WWW-Authenticate": says}, b'{"errors":[{"code":"UNAUTHORIZED"}]}'
            if self.quota and request.command == "GET" and "/manifests/" in request.path:
                most, seconds = self.quota
                began, used = self.window
                now = time.monotonic()
                if now - began >= seconds:
                    began, used = now, 0
                if used >= most:
                    self.refused += 1
                    wait = max(1, round(began + seconds - now + 0.5))
                    return 429, {"Retry-After": str(wait), **self.left(0)}, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}'
                self.window, self.pulls = (began, used + 1), self.pulls + 1
                self.most = max(self.most, used + 1)
        return None

    def left(self, number: int) -> dict:
        most, seconds = self.quota
        return {"RateLimit-Limit": f"{most};w={seconds}", "RateLimit-Remaining": f"{number};w={seconds}"}

    def answer(self, request, length: int, status: int, headers: dict, body: bytes) -> None:
        # The body is not read: whoever sent one is told so by the end of the connection.
        request.close_connection = request.close_connection or length > 0
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        if request.close_connection:
            request.send_header("Connection", "close")
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    def pass_on(self, request, length: int) -> None:
        to, upload = http.client.HTTPConnection(*self.registry, timeout=60), urlparse(request.path).path
        try:
            to.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in ("authorization", "connection"):
                    to.putheader(name, value)
            to.endheaders()
            left = length
            while left:
                piece = request.rfile.read1(min(PIECE, left))
                if not piece:
                    raise ConnectionError("cut off")
                with self.lock:
                    self.sent += len(piece)
                    self.uploads[upload] = self.uploads.get(upload, 0) + len(piece)
                to.send(piece)
                left -= len(piece)
            answer = to.getresponse()
            if request.command == "GET" and "/blobs/uploads/" in request.path and answer.status in (400, 404):
                with self.lock:
                    self.forgotten += self.uploads.pop(upload, 0)
            self.pass_back(request, answer)
        except OSError:
            request.close_connection = True
        finally:
            to.close()

    def pass_back(self, request, answer) -> None:
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server"):
                request.send_header(name, value)
        if self.quota and "/manifests/" in request.path:
            with self.lock:
                began, used = self.window
                used = 0 if time.monotonic() - began >= self.quota[1] else used
            for name, value in self.left(max(0, self.quota[0] - used)).items():
                request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            while piece := answer.read1(PIECE):
                request.wfile.write(piece)
        request.wfile.flush()
