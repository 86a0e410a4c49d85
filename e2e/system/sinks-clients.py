"""Real client libraries against the doubles: what these take from them, and refuse, the services would. Says `as real` at the end."""

import logging
import urllib.request

import pygelf
from opensearchpy import OpenSearch, helpers
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from google.protobuf.json_format import MessageToJson

LEAF = "ab" * 32


def taken(name):
    return [line for line in open(f"/tmp/sinks/{name}").read().split() if line == LEAF]


def document(**more):
    return {"@timestamp": "2026-11-22T16:20:04Z", "event": {"id": LEAF}, **more}


# OpenSearch: a document is taken once, known then, and refused where the template has not its field.
client = OpenSearch("https://localhost:9201", http_auth=("backstop", "pass"), ca_certs="/tmp/keys/ca.pem")
for source, status in [(document(), 201), (document(), 409), (document(odd=1), 400)]:
    action = {"_op_type": "create", "_index": "logs-backstop.audit-default", "_id": LEAF, "_source": source}
    good, items = helpers.bulk(client, [action], raise_on_error=False)
    said = 201 if good else items[0]["create"]["status"]
    assert said == status, (said, status, items)
assert taken("os") == [LEAF]

# GELF by TCP, TLS and HTTP.
plain = dict(host="localhost", include_extra_fields=True, debug=False)
for handler, name in [
    (pygelf.GelfTcpHandler(port=12203, **plain), "gelf"),
    (pygelf.GelfTlsHandler(port=12201, validate=True, ca_certs="/tmp/keys/ca.pem", **plain), "gelf"),
    (pygelf.GelfHttpHandler(port=12202, path="/gelf", compress=False, **plain), "gelf-http"),
]:
    log = logging.Logger(name)
    log.addHandler(handler)
    log.info("hello", extra={"backstop_leaf": LEAF})
    handler.close()

# OTLP: what the protocol's own classes write.
request = ExportLogsServiceRequest()
resource = request.resource_logs.add()
resource.resource.attributes.add(key="service.name").value.string_value = "x"
record = resource.scope_logs.add().log_records.add(time_unix_nano=1, severity_number=9, event_name="backstop.x")
record.attributes.add(key="log.record.uid").value.string_value = LEAF
key = open("/tmp/keys/otlp").read().strip()
post = urllib.request.Request("http://localhost:4318/v1/logs", MessageToJson(request).encode(), {"authorization": key})
assert urllib.request.urlopen(post).status == 200
assert taken("otlp") == [LEAF]
print("as real")
