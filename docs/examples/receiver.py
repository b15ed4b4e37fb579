"""Receives notifications and checks who sent them.

pip install "pyjwt[crypto]"
FATTORINO=http://127.0.0.1:8480 SINK=http://127.0.0.1:9001/ python3 receiver.py
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt

SINK = os.environ["SINK"]  # the URL of this receiver, exactly as subscribed with
ISSUER = os.environ.get("ISSUER", "https://api-v2.fattureincloud.it")
KEYS = jwt.PyJWKClient(os.environ["FATTORINO"] + "/.well-known/jwks.json")
CHALLENGE = "x-fic-verification-challenge"


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection

    def claims(self):
        """What the token says; an exception if it is not one for us."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        key = KEYS.get_signing_key_from_jwt(token).key
        return jwt.decode(token, key, algorithms=["ES256"], issuer=ISSUER, audience=SINK,
                          options={"require": ["exp", "iss", "aud", "sub", "jti"]})

    def do_GET(self):
        """Do we want notifications? Say the challenge back."""
        try:
            self.claims()
        except jwt.PyJWTError as error:
            return self.refuse(error)
        query = parse_qs(urlsplit(self.path).query)
        challenge = self.headers.get(CHALLENGE) or query.get(CHALLENGE, [""])[0]
        self.answer(200, json.dumps({"verification": challenge}).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            claims = self.claims()
        except jwt.PyJWTError as error:
            return self.refuse(error)
        event = json.loads(body)
        if "ce-id" in self.headers:  # binary mode: the attributes are in the header
            attributes = {name: self.headers["ce-" + name] for name in ("id", "type", "subject", "time")}
            event = {**attributes, **event}
        if (claims["jti"], claims["sub"]) != (event["id"], event["subject"]):
            return self.refuse("the token of another notification")
        # The same notification may come twice, with the same id: keep what you have seen.
        print(f"{event['type']} {event['subject']} ids={event['data']['ids']} id={event['id']}", flush=True)
        self.answer(204)

    def refuse(self, why):
        self.log_error("refused: %s", why)
        self.answer(401)

    def answer(self, status, body=b""):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


address = urlsplit(SINK)
server = ThreadingHTTPServer((address.hostname, address.port), Receiver)
print(f"listening for {SINK}", flush=True)
server.serve_forever()
