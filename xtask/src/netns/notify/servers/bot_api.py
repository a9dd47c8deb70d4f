"""A Bot API as core.telegram.org/bots/api describes it, or stricter, and what one meets in its place.

It prints its port, and then each request as a line of JSON, with what it answered. Chats: 5 is a person who has
written to the bot, -200 became -100200, -300 has thrown the bot out, -400 takes one message and then wants 40 s of
rest once. The path before `/bot` says what stands there instead: /page, /endless, /redirect, /silent, /cut, /error.
"""

import json
import sys
import threading
import time
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = sys.argv[1]
# Where a redirection leads.
ELSEWHERE = sys.argv[2]
taken = {}
# Several are served at a time.
printing = threading.Lock()


def say(**record):
    with printing:
        print(json.dumps(record), flush=True)


class Markup(HTMLParser):
    """Collects the text of a message, and refuses what Telegram would."""

    def __init__(self):
        super().__init__(convert_charrefs=False)
        self.text, self.open = "", []

    def handle_starttag(self, tag, attrs):
        if tag not in ("b", "i", "code", "pre") or attrs:
            raise ValueError(f'unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise ValueError(f'unexpected end tag "{tag}"')

    def handle_data(self, data):
        if "<" in data or "&" in data:
            raise ValueError("unescaped")
        self.text += data

    def handle_entityref(self, name):
        self.text += {"amp": "&", "lt": "<", "gt": ">", "quot": '"'}[name]

    def handle_charref(self, name):
        raise ValueError("unsupported entity")

    def read(self, text):
        self.feed(text)
        self.close()
        if self.open:
            raise ValueError("can't find end tag")
        return self.text


def error(code, description, **parameters):
    said = {"ok": False, "error_code": code, "description": description}
    return code, {**said, **({"parameters": parameters} if parameters else {})}, None


def send(body):
    """Returns the status, the answer, and what a person reads."""
    text, chat = body.get("text"), body.get("chat_id")
    if not isinstance(text, str) or not text.strip():
        return error(400, "Bad Request: message text is empty")
    if body.get("parse_mode") == "HTML":
        try:
            text = Markup().read(text)
        except (ValueError, KeyError) as why:
            return error(400, f"Bad Request: can't parse entities: {why}")
    if len(text.encode("utf-16-le")) > 2 * 4096:
        return error(400, "Bad Request: message is too long")
    if chat == -200:
        return error(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-100200)
    if chat == -300:
        return error(403, "Forbidden: bot was kicked from the group chat")
    if chat not in (5, -100200, -400):
        return error(400, "Bad Request: chat not found")
    count = taken[chat] = taken.get(chat, 0) + 1
    if chat == -400 and count == 2:
        return error(429, "Too Many Requests: retry after 40", retry_after=40)
    return 200, {"ok": True, "result": {"message_id": count, "chat": {"id": chat}}}, text


class BotApi(BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        kind, _, rest = self.path.partition("/bot")
        token, _, method = rest.partition("/")
        record = {"time": time.monotonic(), "kind": kind, "token": token == TOKEN, "method": method}
        if kind:
            say(**record)
            return self.stand_in(kind, token)
        status, said, text = self.judge(token, method, raw)
        body = json.loads(raw)
        say(**record, status=status, chat=body.get("chat_id"), text=text)
        self.answer(status, json.dumps(said).encode(), "application/json")

    def judge(self, token, method, raw):
        if token != TOKEN:
            return error(401, "Unauthorized")
        if self.headers["Content-Type"] != "application/json":
            return error(400, "Bad Request: can't parse JSON object")
        if method == "getUpdates":
            chat = {"id": 5, "type": "private", "first_name": "老王"}
            updates = [{"update_id": 1, "message": {"message_id": 1, "text": "hi", "chat": chat}}]
            return 200, {"ok": True, "result": updates}, None
        if method != "sendMessage":
            return error(404, "Not Found: method not found")
        return send(json.loads(raw))

    def stand_in(self, kind, token):
        """What answers where the Bot API should: none of it may be taken for it, or repeat the token to anybody."""
        if kind == "/page":
            page = f"<html><body>Please log in, bot{token}</body></html>"
            self.answer(200, page.encode(), "text/html")
        elif kind == "/error":
            self.answer(502, f"no upstream for bot{token}".encode(), "text/plain")
        elif kind == "/redirect":
            self.answer(307, b"", "text/plain", Location=f"{ELSEWHERE}/bot{token}/sendMessage")
        elif kind == "/cut":
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"ok":true,')
        elif kind == "/silent":
            # Until the client has had enough.
            self.rfile.read(1)
        elif kind == "/endless":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            try:
                while True:
                    self.wfile.write(b" " * 65536)
            except OSError:
                pass
        self.close_connection = True

    def answer(self, status, said, kind, **headers):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(said)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)


server = ThreadingHTTPServer(("127.0.0.1", 0), BotApi)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
