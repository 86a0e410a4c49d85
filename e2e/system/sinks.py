"""Where the audit log is exported to: doubles of services that can't be installed here, as strict as what their makers document.
Whether they are what they stand for, real client libraries say (`sinks-clients.py`). Each writes the leaf of a record that it takes
as a line of /tmp/sinks/NAME; /tmp/answer.NAME holds a status that it answers instead, and /tmp/poison.NAME a text that makes it
refuse a record. Runs in the virtual environment of the clients."""

import base64
import json
import os
import re
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.http import from_dict
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from standardwebhooks.webhooks import Webhook

LEAF = re.compile("^[0-9a-f]{64}$")
KEYS = {name: open(f"/tmp/keys/{name}").read().strip() for name in ["es", "datadog", "splunk", "otlp", "hook"]}
TAKEN = {}
LOCK = threading.Lock()


def take(name, leaf):
    if not LEAF.match(leaf):
        raise ValueError(f"no leaf: {leaf}")
    with LOCK:
        known = leaf in TAKEN.setdefault(name, set())
        TAKEN[name].add(leaf)
        with open(f"/tmp/sinks/{name}", "a") as file:
            file.write(leaf + "\n")
    return known


def wrong(name, why):
    with LOCK, open(f"/tmp/sinks/{name}.wrong", "a") as file:
        file.write(f"{why}\n")


def read(path):
    try:
        return open(path).read().strip()
    except FileNotFoundError:
        return None


def poisoned(name, text):
    poison = read(f"/tmp/poison.{name}")
    # One entry of those that speak of the same command.
    return poison is not None and poison in text and "run.requested" in text


class Odd(Exception):
    """The status to answer, and the document."""


def fits(kind, value):
    """Whether a value is one that a field of this type takes without being changed."""
    many = value if isinstance(value, list) else [value]
    if kind == "object":
        return isinstance(value, dict)
    if kind == "date":
        return all(isinstance(v, str) and re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$", v) for v in many)
    if kind == "long":
        return all(isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**63 for v in many)
    if kind == "boolean":
        return all(isinstance(v, bool) for v in many)
    # A term of Lucene's is no longer than this, whatever the template leaves out.
    return all(isinstance(v, str) for v in many) and (kind != "keyword" or all(len(v.encode()) <= 32766 for v in many))


def unmapped(properties, document, at=""):
    """Fields that the template has not, or has with another type."""
    for key, value in document.items():
        field = properties.get(key)
        if field is None:
            yield f"{at}{key}"
        elif "properties" in field:
            yield from unmapped(field["properties"], value, f"{at}{key}.")
        elif not fits(field["type"], value):
            yield f"{at}{key}: {value!r} is no {field['type']}"


class Bulk:
    """https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk-1, for a data stream with our template"""

    def __init__(self, name, template):
        self.name = name
        self.properties = json.load(open(template))["template"]["mappings"]["properties"]
        self.documents = {}

    def __call__(self, path, headers, body):
        if headers["authorization"] not in (f"ApiKey {KEYS['es']}", "Basic " + base64.b64encode(b"backstop:pass").decode()):
            raise Odd(401, {"error": "who"})
        stream = re.match(r"^(/[^/]+)?/_bulk(\?.*)?$", path)
        if not stream:
            raise Odd(404, {"error": path})
        if headers["content-type"] not in ("application/x-ndjson", "application/json"):
            raise Odd(406, {"error": "content type"})
        if not body.endswith(b"\n"):
            raise Odd(400, {"error": "The bulk request must be terminated by a newline [\\n]"})
        lines = body[:-1].split(b"\n")
        if lines == [b""]:
            raise Odd(400, {"error": {"reason": "Validation Failed: 1: no requests added;"}})
        items = []
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            (kind, meta), document = next(iter(json.loads(action).items())), json.loads(source)
            if (stream[1] or "/" + meta.get("_index", "")) != "/logs-backstop.audit-default":
                raise Odd(404, {"error": "no such index"})
            if kind != "create" or not isinstance(document.get("@timestamp"), str):
                raise Odd(400, {"error": "only write ops with an op_type of create are allowed in data streams"})
            error = ", ".join(unmapped(self.properties, document))
            if error or poisoned(self.name, source.decode()):
                if error:
                    wrong(self.name, error)
                items.append({"create": {"status": 400, "error": {"type": "document_parsing_exception", "reason": "poison"}}})
            elif read(f"/tmp/full.{self.name}") is not None and document["event"]["sequence"] % 2 == 0:
                items.append({"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}})
            elif meta["_id"] in self.documents:
                items.append({"create": {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "there"}}})
            else:
                self.documents[meta["_id"]] = document
                if document["event"]["id"] != meta["_id"]:
                    wrong(self.name, "another id")
                take(self.name, meta["_id"])
                items.append({"create": {"_id": meta["_id"], "status": 201}})
        return 200, {"errors": any(i["create"]["status"] > 299 for i in items), "items": items, "took": 1}


def datadog(path, headers, body):
    """https://docs.datadoghq.com/api/latest/logs/#send-logs"""
    if headers["dd-api-key"] != KEYS["datadog"]:
        raise Odd(403, {"errors": [{"title": "Forbidden"}]})
    logs = json.loads(body)
    if path != "/api/v2/logs" or len(logs) > 1000 or len(body) > 5_000_000:
        raise Odd(413, {})
    for log in logs:
        if len(json.dumps(log)) > 1_000_000 or log["ddsource"] != "backstop" or not isinstance(log["message"], str):
            wrong("datadog", f"{log}")
        take("datadog", log["evt"]["id"])
    return 202, {}


def otlp(path, headers, body):
    """https://opentelemetry.io/docs/specs/otlp/#otlphttp, read by the real protocol's own classes: no unknown field"""
    if headers["authorization"] != KEYS["otlp"]:
        raise Odd(401, {"code": 16})
    if path != "/v1/logs":
        raise Odd(404, {})
    request = Parse(body.decode(), ExportLogsServiceRequest())
    bad, good = 0, []
    for resource in request.resource_logs:
        if not any(a.key == "service.name" for a in resource.resource.attributes):
            wrong("otlp", "no service.name")
        for record in (r for scope in resource.scope_logs for r in scope.log_records):
            leaf = next(a.value.string_value for a in record.attributes if a.key == "log.record.uid")
            if poisoned("otlp", str(record)):
                bad += 1
            else:
                good.append(leaf)
            if not (record.time_unix_nano and record.severity_number and record.event_name.startswith("backstop.")):
                wrong("otlp", f"{record}")
    for leaf in good:
        take("otlp", leaf)
    return 200, {"partialSuccess": {"rejectedLogRecords": str(bad), "errorMessage": "poison"}} if bad else {}


def splunk(path, headers, body):
    """https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector"""
    if headers["authorization"] != f"Splunk {KEYS['splunk']}":
        raise Odd(403, {"text": "Invalid token", "code": 4})
    if path != "/services/collector/event":
        raise Odd(404, {})
    text, at, count = body.decode(), 0, 0
    if not text:
        raise Odd(400, {"text": "No data", "code": 5})
    while at < len(text):
        event, at = json.JSONDecoder().raw_decode(text, at)
        if not event.get("event") or poisoned("splunk", json.dumps(event, ensure_ascii=False)):
            raise Odd(400, {"text": "Invalid data format", "code": 6, "invalid-event-number": count})
        if set(event) - {"event", "fields", "host", "index", "source", "sourcetype", "time"}:
            wrong("splunk", f"{event}")
        take("splunk", event["event"]["backstop"]["leaf"])
        count += 1
    return 200, {"text": "Success", "code": 0}


def webhook(path, headers, body):
    """https://www.standardwebhooks.com by their own library, and CloudEvents by theirs"""
    Webhook(KEYS["hook"]).verify(body, {k.lower(): v for k, v in headers.items()})
    if headers["content-type"] != "application/cloudevents-batch+json":
        raise Odd(415, {})
    events = json.loads(body)
    if any(poisoned("hook", json.dumps(event, ensure_ascii=False)) for event in events):
        raise Odd(400, {"error": "one of them is bad"})
    for event in events:
        real = from_dict(event)
        if not real["type"].startswith("backstop.") or real.data["index"] != int(real["sequence"]):
            wrong("hook", f"{event}")
        take("hook", real["id"])
    return 200, {}


def gelf(name, message):
    """https://go2docs.graylog.org/current/getting_in_log_data/gelf.html"""
    known = {"version", "host", "short_message", "full_message", "timestamp", "level"}
    for key, value in message.items():
        plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if not plain or (key not in known and not re.match(r"^_[\w.\-]+$", key)) or key == "_id":
            wrong(name, f"{key}: {value!r}")
    if message["version"] != "1.1" or not message["host"] or not message["short_message"]:
        wrong(name, "a mandatory field")
    take(name, message["_backstop_leaf"])


def gelf_http(path, headers, body):
    """It answers before it looks: what is wrong with a message nobody hears"""
    if path != "/gelf":
        raise Odd(404, {})
    try:
        gelf("gelf-http", json.loads(body))
    except Exception as error:  # noqa: BLE001
        wrong("gelf-http", repr(error))
    return 202, None


class Stream(socketserver.StreamRequestHandler):
    """GELF by TCP: what ends with a NUL byte is a message, and nothing else is"""

    def handle(self):
        whole = self.rfile.read()
        *messages, rest = whole.split(b"\0")
        if rest:
            wrong("gelf", "a message without its end")
        for message in messages:
            gelf("gelf", json.loads(message))
        # As TLS has it, and Netty does.
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.unwrap()


def handler(name, answer):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            status = read(f"/tmp/answer.{name}")
            try:
                if status:
                    raise Odd(int(status), {"said": "as told"})
                status, document = answer(self.path, self.headers, body)
            except Odd as odd:
                status, document = odd.args
            except Exception as error:  # noqa: BLE001: what it can't read it refuses, and says so to the test
                wrong(name, repr(error))
                status, document = 400, {"error": repr(error)}
            data = b"" if document is None else json.dumps(document).encode()
            self.send_response(int(status))
            if int(status) == 429:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_OPTIONS(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Handler


def tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/tmp/keys/cert.pem", "/tmp/keys/cert.key")
    return context


class Threads(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


os.makedirs("/tmp/sinks", exist_ok=True)
for name, port, answer, secure in [
    ("es", 9200, Bulk("es", "/opt/elasticsearch/template.json"), True),
    ("os", 9201, Bulk("os", "/opt/opensearch/template.json"), True),
    ("datadog", 9202, datadog, False),
    ("otlp", 4318, otlp, False),
    ("splunk", 8088, splunk, True),
    ("hook", 4430, webhook, True),
    ("gelf-http", 12202, gelf_http, False),
]:
    server = ThreadingHTTPServer(("localhost", port), handler(name, answer))
    if secure:
        server.socket = tls().wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
for port, secure in [(12201, True), (12203, False)]:
    server = Threads(("localhost", port), Stream)
    if secure:
        server.socket = tls().wrap_socket(server.socket, server_side=True, suppress_ragged_eofs=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
open("/tmp/sinks/ready", "w").close()
threading.Event().wait()
