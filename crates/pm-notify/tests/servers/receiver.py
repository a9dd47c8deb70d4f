"""A receiver of the push, written from the protocol's description alone: it checks the signature and the clock.

It prints its port, and then each request as a line of JSON, with what it answered. With a certificate and its key, it
speaks TLS.
"""

import hashlib
import hmac
import json
import ssl
import sys
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRETS = {b"hk-01": b"pLaNtEd \xe5\xaf\x86"}
# How far this receiver's clock is ahead, in seconds.
AHEAD = int(sys.argv[1])


class Receiver(BaseHTTPRequestHandler):
    def date_time_string(self, timestamp=None):
        return formatdate(time.time() + AHEAD, usegmt=True)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, said = self.judge(body)
        record = {"status": status, "path": self.path, "type": self.headers["Content-Type"], "body": body.decode()}
        print(json.dumps(record), flush=True)
        answer = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def judge(self, body):
        node, stamp, signature = (self.headers.get(name) for name in ("X-Node", "X-Timestamp", "X-Signature"))
        if not (node and stamp and signature):
            return 400, {"error": "missing headers"}
        if not (stamp.isascii() and stamp.isdigit()) or abs(time.time() + AHEAD - int(stamp)) > 120:
            return 403, {"error": "timestamp"}
        secret = SECRETS.get(node.encode("latin-1"))
        if secret is None:
            return 403, {"error": "node"}
        expected = hmac.new(secret, stamp.encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            return 403, {"error": "signature"}
        json.loads(body)
        return 200, {"success": True}

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
