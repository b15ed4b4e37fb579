"""Receives notifications signed after Standard Webhooks and checks who sent them.

SINK=http://127.0.0.1:9001/ SECRET_FILE=secret.txt python3 native.py
"""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


def verify(header, body):
    """Raises ValueError if the notification is not from whoever has our secret."""
    secret = Path(os.environ["SECRET_FILE"]).read_text().strip()  # whsec_…
    key = base64.b64decode(secret.removeprefix("whsec_"))
    sent = header.get("webhook-timestamp", "")
    if not sent.isdecimal() or abs(time.time() - int(sent)) > 300:
        raise ValueError("it was sent too long ago")
    signed = f"{header.get('webhook-id', '')}.{sent}.".encode() + body  # the body as it came
    want = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    # While a secret changes place there are several signatures: one must fit.
    given = header.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(want.encode(), one.encode()) for one in given):
        raise ValueError("no signature fits")


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection

    def do_GET(self):
        """Do we want notifications? Say the challenge back."""
        self.answer(200, self.headers.get("webhook-challenge", "").encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            verify(self.headers, body)
        except ValueError as error:
            self.log_error("refused: %s", error)
            return self.answer(401)
        event = json.loads(body)
        # The same notification may come twice, with the same id: keep what you have seen.
        name, data = event.get("type") or event["event"], json.dumps(event["data"])
        print(f"{name} data={data} id={self.headers['webhook-id']}", flush=True)
        self.answer(204)

    def answer(self, status, body=b""):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


address = urlsplit(os.environ["SINK"])
server = ThreadingHTTPServer((address.hostname, address.port), Receiver)
print(f"listening for {os.environ['SINK']}", flush=True)
server.serve_forever()
