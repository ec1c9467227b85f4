"""A mail server for the tests (aiosmtpd), told by its arguments how to behave.

    smtp.py {plain|starttls|implicit} CERTIFICATE KEY PASSWORD

Prints its port, then each mail that it took as one line of JSON. Recipients named grey, gone and full are answered
as servers answer for greylisting, unknown users and full boxes.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

mode, certificate, key, password = sys.argv[1:5]
ANSWERS = {
    "grey": "451 4.7.1 Greylisted, come back later",
    "full": "452 4.2.2 Mailbox full",
    "gone": "550 5.1.1 No such user",
}


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = ANSWERS.get(address.split("@")[0])
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "hello": session.host_name,
            "tls": session.ssl is not None or mode == "implicit",
            "user": getattr(session, "auth_data", None),
            "content": envelope.content.decode("ascii", "replace"),
        }
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"host" and data.password == password.encode()
    # Without words of its own, the server refuses with 535.
    return AuthResult(success=good, handled=False, auth_data="host")


def factory():
    context = None
    if mode == "starttls":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
    return SMTP(
        Handler(),
        hostname="mail.example",
        tls_context=context,
        require_starttls=mode == "starttls",
        authenticator=authenticate,
        auth_required=bool(password),
        auth_require_tls=mode == "starttls",
    )


async def main():
    context = None
    if mode == "implicit":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
