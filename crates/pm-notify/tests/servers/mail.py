"""A real SMTP server, aiosmtpd, for the tests: MODE is plain, starttls, tls, login
or nologin.

It prints its port, and then what it takes as one line of JSON each. It refuses user@refused.example, and the text
"later" for the time being, "too large" and "full" as they say. With a certificate or as login it wants a login: pm,
with the password in PASSWORD.
"""

import asyncio
import json
import os
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult


class Mailbox:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.endswith("@refused.example"):
            return "550 5.1.1 no such mailbox"
        if address.endswith("@full.example"):
            return "452 4.2.2 mailbox full"
        if address.endswith("@unverified.example"):
            return "450 4.1.1 unverified address"
        if address.endswith("@grey.example"):
            return "450 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        text = mail.get_content()
        if "later" in text:
            return "451 4.3.0 try again later"
        if "too large" in text:
            return "552 5.3.4 message too big"
        if "full" in text:
            return "552 5.2.2 mailbox full"
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "subject": mail["subject"], "text": text,
            "type": mail["content-type"], "id": mail["message-id"], "date": mail["date"], "automatic": mail["auto-submitted"], "helo": session.host_name,
            "tls": session.ssl is not None or MODE == "tls", "login": bool(session.authenticated),
            "longest": max(len(line) for line in envelope.content.splitlines()),
        }), flush=True)
        return "250 2.0.0 queued as 42"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"pm", os.environb[b"PASSWORD"])
    return AuthResult(success=good, handled=good)


async def main():
    context = None
    if MODE in ("tls", "starttls"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])

    def smtp():
        return SMTP(
            Mailbox(), hostname="mail.test", loop=asyncio.get_running_loop(),
            tls_context=context if MODE == "starttls" else None, require_starttls=MODE == "starttls",
            authenticator=authenticate, auth_require_tls=MODE == "nologin",
            auth_required=MODE not in ("plain", "nologin"),
        )

    server = await asyncio.get_running_loop().create_server(
        smtp, "127.0.0.1", 0, ssl=context if MODE == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


MODE = sys.argv[1]
asyncio.run(main())
