"""A mail server for tests: argv port, starttls|implicit, certificate, key, user; the password is the first line of stdin.
Prints one line when it listens, then one JSON line for each mail."""
import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

port, tls, cert, key, user = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5]
password = sys.stdin.readline().rstrip("\n")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)


def authenticate(server, session, envelope, mechanism, data):
    good = data.login.decode() == user and data.password.decode() == password
    return AuthResult(success=good, handled=good, auth_data=user if good else None)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("unknown"):
            return f"550 5.1.1 <{address}>: no such user here"
        if address.startswith("later"):
            return f"451 4.3.0 <{address}>: try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        print(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "tls": session.ssl is not None or tls == "implicit",
                    "user": session.auth_data,
                    "data": envelope.content.decode("utf-8", "replace"),
                }
            ),
            flush=True,
        )
        return "250 OK"


def session():
    return SMTP(
        Handler(),
        hostname="mail.test",
        loop=loop,
        authenticator=authenticate,
        auth_required=True,
        # over TLS from the first byte the library does not know that it is there
        auth_require_tls=tls == "starttls",
        require_starttls=tls == "starttls",
        tls_context=context if tls == "starttls" else None,
    )


logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)
loop.run_until_complete(loop.create_server(session, "127.0.0.1", port, ssl=context if tls == "implicit" else None))
print("listening", flush=True)
loop.run_forever()
