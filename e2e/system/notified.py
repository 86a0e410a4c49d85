"""Whoever is told: an HTTPS webhook that checks signatures by Python's own HMAC, Slack and ntfy as they document what they
take, and a real SMTP server (aiosmtpd). Each writes what arrived as a line of JSON to /tmp/told/NAME. With a status in
/tmp/answer.NAME, that is what it answers."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

KEY = base64.b64decode(open("/tmp/keys/hook").read().strip().removeprefix("whsec_"))


def told(name, what):
    line = json.dumps(what, sort_keys=True) + "\n"
    with open(f"/tmp/told/{name}", "a") as file:
        file.write(line)


def handler(name, check):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                status = int(open(f"/tmp/answer.{name}").read())
            except FileNotFoundError:
                status = 200
            document = json.loads(body)
            why = check(self.headers, body, document, self.path)
            if why:
                status = 400
            told(name, {"answered": status, "id": self.headers.get("webhook-id"), "wrong": why, "is": document})
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "https://localhost:4430/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Handler


def webhook(headers, body, document, path):
    signed = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.'.encode() + body
    right = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    if not hmac.compare_digest(right, headers["webhook-signature"]):
        return "the signature"
    if abs(time.time() - int(headers["webhook-timestamp"])) > 60:
        return "the time"
    return None if path == "/hook" and set(document) == {"type", "timestamp", "data"} else "the form"


def slack(headers, body, document, path):
    # https://api.slack.com/messaging/webhooks, and the limits of a section's text
    text = document["blocks"][0]["text"]
    plain = text["type"] == "plain_text" and len(text["text"]) <= 3000 and "<" not in document["text"]
    return None if path == "/services/T0/B0/secret" and plain else "the form"


def ntfy(headers, body, document, path):
    # https://docs.ntfy.sh/publish/#publish-as-json
    known = {"topic", "title", "message", "priority", "click"}
    right = headers["authorization"] == "Bearer tk_secret" and set(document) <= known and 1 <= document["priority"] <= 5
    return None if path == "/" and right and document["topic"] == "backstop" else "the form"


def pagerduty(headers, body, document, path):
    # https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
    known = {"routing_key", "event_action", "dedup_key", "client", "client_url", "payload", "links", "images"}
    payload = document["payload"]
    detail = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
    right = document["routing_key"] == "pd_secret" and document["event_action"] in ("trigger", "acknowledge", "resolve")
    fits = len(payload["summary"]) <= 1024 and len(document["dedup_key"]) <= 255
    severe = payload["severity"] in ("critical", "error", "warning", "info")
    all_known = set(document) <= known and set(payload) <= detail
    return None if path == "/v2/enqueue" and right and fits and severe and all_known else "the form"


def discord(headers, body, document, path):
    # https://discord.com/developers/docs/resources/webhook#execute-webhook
    right = 0 < len(document["content"]) <= 2000 and document["allowed_mentions"] == {"parse": []}
    return None if path == "/api/webhooks/1/secret" and right and document["content"].count("```") == 2 else "the form"


def teams(headers, body, document, path):
    # https://adaptivecards.io/explorer/ at version 1.4
    card = document["attachments"][0]
    runs = [run for block in card["content"]["body"] for run in block["inlines"]]
    right = card["contentType"] == "application/vnd.microsoft.card.adaptive" and document["type"] == "message"
    return None if right and all(run["type"] == "TextRun" and run["text"] for run in runs) and len(body) < 28_000 else "the form"


class Box:
    async def handle_DATA(self, server, session, envelope):
        try:
            answer = open("/tmp/answer.mail").read().strip()
        except FileNotFoundError:
            answer = "250 taken"
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        told(
            "mail",
            {
                "answered": answer,
                "from": envelope.mail_from,
                "headers": dict(mail.items()),
                "text": mail.get_content(),
                "tls": session.ssl is not None,
                "to": envelope.rcpt_tos,
            },
        )
        return answer


def tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/tmp/keys/cert.pem", "/tmp/keys/cert.key")
    return context


os.makedirs("/tmp/told", exist_ok=True)
for name, port, check, secure in [
    ("webhook", 4430, webhook, True),
    ("slack", 8001, slack, False),
    ("ntfy", 8002, ntfy, False),
    ("pagerduty", 8003, pagerduty, False),
    ("discord", 8004, discord, False),
    ("teams", 8005, teams, False),
    ("heartbeat", 8006, lambda *_: None, False),
]:
    server = ThreadingHTTPServer(("localhost", port), handler(name, check))
    if secure:
        server.socket = tls().wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
Controller(Box(), hostname="localhost", port=5870, tls_context=tls(), require_starttls=True).start()
open("/tmp/told/ready", "w").close()
threading.Event().wait()
