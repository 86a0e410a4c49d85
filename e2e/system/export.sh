# The audit log where others look at it: by an account that may read it and nothing else, at least once, in order, whoever is away
# meanwhile; what a service refuses is found and on record. Against a real rsyslog and a real journald, and doubles of services that
# can't be installed here, which real client libraries have tried first.
echo backstop-export:x:991:991::/nonexistent:/usr/sbin/nologin >> /tmp/passwd
own_etc
outside_needs_two
printf 'mode = "system"\nexporter = "backstop-export"\n' > /etc/backstop/settings.toml
echo 127.0.0.1 localhost > /etc/hosts
authority ca
authority other
vouched cert
vouched client
for name in es datadog splunk otlp; do echo "$name-s3cret" > /tmp/keys/$name; done
echo pass > /tmp/keys/os
{ printf whsec_; head -c 32 /dev/urandom | base64; } > /tmp/keys/hook
chmod 600 /tmp/keys/*
chown 991 /tmp/keys/{es,datadog,splunk,otlp,os,hook,client.key}
chmod 644 /tmp/keys/*.pem
cat > /etc/backstop/export.toml << 'END_OF_FILE'
metrics = "127.0.0.1:9465"
[[sink]]
name = "es"
elasticsearch = { url = "https://localhost:9200", api_key_file = "/tmp/keys/es", tls = { ca_file = "/tmp/keys/ca.pem" } }
[[sink]]
name = "os"
opensearch = { url = "https://localhost:9201", user = "backstop", password_file = "/tmp/keys/os", tls = { ca_file = "/tmp/keys/ca.pem" } }
[[sink]]
name = "gelf"
gelf = { to = { server = "localhost:12201", tls = { ca_file = "/tmp/keys/ca.pem" } } }
[[sink]]
name = "gelf-http"
gelf = { url = "http://localhost:12202/gelf" }
[[sink]]
name = "datadog"
datadog = { url = "http://localhost:9202", api_key_file = "/tmp/keys/datadog" }
[[sink]]
name = "otlp"
otlp = { url = "http://localhost:4318", header_files = { authorization = "/tmp/keys/otlp" } }
[[sink]]
name = "splunk"
splunk = { url = "https://localhost:8088", token_file = "/tmp/keys/splunk", tls = { ca_file = "/tmp/keys/ca.pem" } }
[[sink]]
name = "hook"
webhook = { url = "https://localhost:4430/hook", secret_file = "/tmp/keys/hook", tls = { ca_file = "/tmp/keys/ca.pem" } }
[[sink]]
name = "rsyslog"
syslog = { to = { server = "localhost:6514", tls = { ca_file = "/tmp/keys/ca.pem", cert_file = "/tmp/keys/client.pem", key_file = "/tmp/keys/client.key" } } }
[[sink]]
name = "rsyslog-plain"
syslog = { to = { server = "127.0.0.1:5140", plain = true }, facility = "local3" }
[[sink]]
name = "journal"
journald = {}
[[sink]]
name = "files"
files = { dir = "/tmp/ocsf" }
END_OF_FILE

# Who takes it: the doubles, rsyslog with and without TLS, the journal.
cp /tmp/sinks-py /tmp/sinks.py
/opt/clients/bin/python /tmp/sinks.py > /w/sinks.log 2>&1 &
cat > /tmp/rsyslog.conf << 'END_OF_FILE'
global(defaultNetstreamDriverCAFile="/tmp/keys/ca.pem" defaultNetstreamDriverCertFile="/tmp/keys/cert.pem"
       defaultNetstreamDriverKeyFile="/tmp/keys/cert.key" workDirectory="/tmp")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/name" permittedPeer="localhost")
module(load="imptcp")
template(name="whole" type="string" string="%HOSTNAME% %APP-NAME% %MSGID% %syslogfacility-text%.%syslogseverity-text% %structured-data%%msg%\n")
ruleset(name="tls") { action(type="omfile" file="/tmp/rsyslog/tls" template="whole") }
ruleset(name="plain") { action(type="omfile" file="/tmp/rsyslog/plain" template="whole") }
input(type="imtcp" port="6514" ruleset="tls")
input(type="imptcp" port="5140" ruleset="plain")
END_OF_FILE
mkdir /tmp/rsyslog
rsyslog_up() {
    LD_LIBRARY_PATH=$(echo /opt/rsyslog/usr/lib/*-linux-gnu) /opt/rsyslog/usr/sbin/rsyslogd -n -i /tmp/rsyslog.pid \
        -M "$(echo /opt/rsyslog/usr/lib/*-linux-gnu/rsyslog)" -f /tmp/rsyslog.conf >> /w/rsyslog.log 2>&1 &
    rsyslog=$!
    for _ in $(seq 100); do (: < /dev/tcp/127.0.0.1/5140) 2> /dev/null && return; sleep 0.05; done
}
rsyslog_up
mkdir -p /run/systemd/journal
# It asks which of its services a sender is of.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
/usr/lib/systemd/systemd-journald > /w/journald.log 2>&1 &
for _ in $(seq 200); do [ -e /tmp/sinks/ready ] && [ -S /run/systemd/journal/socket ] && break; sleep 0.05; done
chmod 1777 /tmp/sinks
expect the-journal-listens 0 "" bash -c "pgrep -a systemd-journal || { cat /w/journald.log; false; }"
expect real-clients-find-the-doubles-real 0 '^as real$' /opt/clients/bin/python /tmp/sinks-clients
rm -f /tmp/sinks/es /tmp/sinks/os /tmp/sinks/gelf /tmp/sinks/gelf-http /tmp/sinks/otlp /tmp/sinks/*.wrong

exporter() { setpriv --reuid=991 --regid=991 --clear-groups --inh-caps=-all env -i PATH="$PATH" "$@"; }
mkdir -m 700 /tmp/cursors && mkdir -m 750 /tmp/ocsf
chown 991:991 /tmp/cursors /tmp/ocsf
exporter_up() { exporter backstop-export --state /tmp/cursors run >> /w/export.log 2>&1 & exporting=$!; }
exporter_down() { pkill -9 -x -u 991 backstop-export; wait "$exporting" 2> /dev/null; }
# The leaves of the log, by Python's own SHA-256 over its lines.
cat > /tmp/leaves.py << 'END_OF_FILE'
import glob, hashlib, json, sys
lines = [line.rstrip(b"\n") for name in sorted(glob.glob("/var/lib/backstop/audit/*.jsonl")) for line in open(name, "rb")]
leaves = [hashlib.sha256(b"\0" + line).hexdigest() for line in lines]
if __name__ == "__main__":
    # what came: NAME, every leaf of the log that it has once, in the log's order; those named after it are missing
    name, missing = sys.argv[1], {leaves[int(n)] for n in sys.argv[2:]}
    found = [line.split()[-1] for line in open(name)]
    once = list(dict.fromkeys(found))
    known = [leaf for leaf in leaves if leaf in set(once)]
    lost = [n for n, leaf in enumerate(leaves) if leaf not in set(once) and leaf not in missing]
    strange = [leaf for leaf in once if leaf not in set(leaves)]
    print(f"lost {lost} strange {strange} doubled {len(found) - len(once)} in order {known == once} of {len(leaves)}")
END_OF_FILE
# arrived SINK FILE [ENTRY...]: all of the log is there within time, but for those entries.
arrived() {
    exporter backstop export --state /tmp/cursors status --json > /dev/null 2>&1
    for _ in $(seq 200); do
        refresh "$1"
        python3 /tmp/leaves.py "$2" "${@:3}" > /tmp/arrived 2>&1
        grep -q '^lost \[\] strange \[\]' /tmp/arrived && break
        sleep 0.2
    done
    cat /tmp/arrived
}
# What a real receiver has, as a leaf a line.
refresh() {
    case $1 in
        rsyslog) grep -o 'leaf="[0-9a-f]*"' /tmp/rsyslog/tls | cut -d'"' -f2 > /tmp/sinks/rsyslog ;;
        rsyslog-plain) grep -o 'leaf="[0-9a-f]*"' /tmp/rsyslog/plain | cut -d'"' -f2 > /tmp/sinks/rsyslog-plain ;;
        journal) journalctl --directory=/run/log/journal -o json -t backstop 2> /dev/null | jq -r .BACKSTOP_LEAF > /tmp/sinks/journal ;;
        files) cat /tmp/ocsf/*.jsonl 2> /dev/null | jq -r .metadata.uid > /tmp/sinks/files ;;
    esac
}
sinks="es os gelf gelf-http datadog otlp splunk hook rsyslog rsyslog-plain journal files"
# wait_for SECONDS FILE PATTERN: the file has it within that time.
wait_for() { for _ in $(seq $(($1 * 10))); do grep -qE -- "$3" "$2" 2> /dev/null && { grep -E -- "$3" "$2"; return 0; }; sleep 0.1; done; cat "$2"; return 1; }
wait_log() { for _ in $(seq $(($1 * 5))); do backstop log > /tmp/log 2>&1; grep -E -- "$2" /tmp/log && return 0; sleep 0.2; done; cat /tmp/log; return 1; }
last() { python3 -c 'import sys; sys.path.insert(0, "/tmp"); import leaves; print(len(leaves.lines) - 1)'; }
# entry PATTERN: the index of the last entry whose line has it.
entry() { cat /var/lib/backstop/audit/*.jsonl | grep -n -- "$1" | tail -1 | cut -d: -f1 | awk '{ print $1 - 1 }'; }

daemon_up
enrol_two
# The account.
expect it-runs-nothing 77 "the exporter's account" exporter backstop run -- true
expect it-sees-no-run 77 "the exporter's account" exporter backstop runs
expect it-decides-nothing 77 "the exporter's account" exporter backstop pending
printf '[[sink]]\nname = "own"\nfiles = { dir = "/tmp/own" }\n' > /tmp/own.toml
mkdir -m 777 /tmp/own
expect an-agent-reads-nothing-of-it 1 'only the exporter reads' agent backstop export --config /tmp/own.toml backfill own --from 0
expect nor-does-a-person 1 'only the exporter reads' as 1001 backstop export --config /tmp/own.toml backfill own --from 0
expect and-nothing-is-there 1 '' bash -c 'cat /tmp/own/*'
expect its-settings-hold 0 'rsyslog: ready .syslog' exporter backstop export check
expect all-are-there 0 'hook: there' exporter backstop export test
expect none-of-the-log-was-sent 1 '' bash -c 'find /tmp/sinks /tmp/ocsf /tmp/rsyslog -type f -size +0 | grep .'
sed 's/client.pem/other.pem/; s/client.key/other.key/' /etc/backstop/export.toml > /tmp/stranger.toml
chown 991 /tmp/keys/other.key
expect who-is-not-let-in-is-not-there 1 'rsyslog: localhost:6514' exporter backstop export --config /tmp/stranger.toml test rsyslog
sed 's/ca.pem/other.pem/' /etc/backstop/export.toml > /tmp/other.toml
for sink in es gelf splunk rsyslog; do
    expect whom-nobody-vouches-for-gets-nothing 1 "$sink: .*([Cc]ertificate|[Uu]nknown)" exporter backstop export --config /tmp/other.toml test "$sink"
done
echo wrong > /tmp/keys/es
expect a-key-that-is-wrong-is-said 1 'es: the server answers 401' exporter backstop export test es
echo es-s3cret > /tmp/keys/es
expect nothing-is-at-work-and-that-is-said 1 'no exporter is at work' exporter backstop export --state /tmp/cursors status

# Everyday: a command with hostile names, one that is held, one that two people let through.
mkdir -p /home/agent/ws && chown 1000:1000 /home/agent/ws && cd /home/agent/ws || exit 1
agent backstop run --session 'a"]b\' -c $'touch "x\ty" \'\u202e\' # <b>&amp;</b> \001' > /dev/null 2>&1
shop one two three
hold one
expect it-is-held 0 'needs 2 people' cat /tmp/held
sign 1001 anna "$run" /tmp/keys/a1
as 1001 backstop approve "$run" --signature /tmp/keys/a1.sig > /dev/null 2>&1
sign 1002 ben "$run" /tmp/keys/b1
expect two-let-it-through 0 committed as 1002 backstop approve "$run" --signature /tmp/keys/b1.sig
exporter_up
for sink in $sinks; do
    expect "all-of-the-log-is-in-order-in-$sink" 0 '^lost \[\] strange \[\] doubled 0 in order True of [0-9]+$' arrived "$sink" "/tmp/sinks/$sink"
done
expect nothing-was-wrong-with-any-of-it 1 '' bash -c 'cat /tmp/sinks/*.wrong'
expect it-is-well 0 'es +elasticsearch +has all of the log' exporter backstop export --state /tmp/cursors status
# By Prometheus' own reader of what it scrapes.
cat > /tmp/figures.py << 'END_OF_FILE'
import time, urllib.request
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
for _ in range(100):
    text = urllib.request.urlopen("http://127.0.0.1:9465/metrics").read().decode()
    samples = {(s.name, s.labels.get("sink")): s.value for family in families(text) for s in family.samples}
    of = lambda name: sum(value for (n, _), value in samples.items() if n == name)
    if of("backstop_export_behind_entries") == 0:
        break
    time.sleep(0.2)
log, sent = samples["backstop_log_entries", None], samples["backstop_export_sent_total", "es"]
print(f"up {of('backstop_export_up'):.0f} behind {of('backstop_export_behind_entries'):.0f} all {0 < log <= sent}")
END_OF_FILE
expect figures-say-so 0 '^up 12 behind 0 all True$' /opt/clients/bin/python /tmp/figures.py
expect a-document-says-so 0 '"at_work": true' exporter backstop export --state /tmp/cursors status --json
expect the-line-is-in-the-journal 0 "$run" bash -c 'journalctl --directory=/run/log/journal -o json -t backstop BACKSTOP_TYPE=run.committed | jq -r .BACKSTOP_LINE'
expect rsyslog-has-names-as-they-are 0 'session="a\\"\\\]b\\\\"' grep 'run.requested' /tmp/rsyslog/tls
expect rsyslog-knows-facility-and-severity 0 ' run.held local3.notice ' grep 'run.held' /tmp/rsyslog/plain
expect its-own-files-are-nobodys 0 '^640$' bash -c 'stat -c %a /tmp/ocsf/*.jsonl'

# Away: the services, the exporter, the daemon. Nothing is lost, and what is known is not there twice.
for sink in es splunk hook; do echo 503 > /tmp/answer.$sink; done
echo 429 > /tmp/answer.datadog
kill "$rsyslog"
wait "$rsyslog" 2> /dev/null
agent backstop run -c 'touch while-away' > /dev/null 2>&1
expect others-get-it-meanwhile 0 '^lost \[\] strange \[\]' arrived os /tmp/sinks/os
expect that-it-fails-is-said 0 'es .*fails since|fails since .*503' bash -c "for _ in \$(seq 50); do $(declare -f exporter); exporter backstop export --state /tmp/cursors status; sleep 0.1; done | grep -m1 503"
exporter_down
hold two
exporter_up
sleep 2
exporter_down
daemon_down
rm /tmp/answer.*
rsyslog_up
daemon_up
agent backstop run -c 'touch afterwards' > /dev/null 2>&1
exporter_up
for sink in $sinks; do
    expect "nothing-is-lost-in-$sink" 0 '^lost \[\] strange \[\]' arrived "$sink" "/tmp/sinks/$sink"
done
expect files-have-nothing-twice 0 'doubled 0' arrived files /tmp/sinks/files
# Some of a batch is not taken for want of room: it is taken later, and the others once.
touch /tmp/full.os
agent backstop run -c 'touch a b c' > /dev/null 2>&1
expect room-is-missing 0 'os: entry [0-9]+ did not arrive.*429' wait_for 20 /w/export.log 'os: entry [0-9]+ did not arrive.*429'
rm /tmp/full.os
expect and-then-all-is-there 0 '^lost \[\] strange \[\]' arrived os /tmp/sinks/os

# A record that a service refuses for good: found in its batch, on record, and nothing else is lost by it.
for sink in es otlp splunk hook; do echo poisoned-name > /tmp/poison.$sink; done
exporter_down
agent backstop run -c 'touch before poisoned-name' > /dev/null 2>&1
agent backstop run -c 'touch behind' > /dev/null 2>&1
bad=$(entry 'run.requested.*poisoned-name')
exporter_up
for sink in es otlp splunk hook; do
    expect "it-is-on-record-of-$sink" 0 "export.skipped .*$sink refuses entry $bad, " wait_log 30 "$sink refuses entry $bad, "
    expect "all-else-is-there-in-$sink" 0 '^lost \[\] strange \[\]' arrived "$sink" "/tmp/sinks/$sink" "$bad"
done
expect who-can-take-it-has-it 0 '^lost \[\] strange \[\]' arrived gelf /tmp/sinks/gelf
expect what-was-refused-is-counted 0 'es .* 1 refused' exporter backstop export --state /tmp/cursors status

# What a service lost it gets again; what it has it has once. The exporter goes on meanwhile.
rm /tmp/poison.*
expect it-is-sent-again 0 '^es: 1 entry sent, [0-9]+ entries it had already, 0 entries refused$' exporter backstop export backfill es --from 0
expect now-it-is-whole 0 '^lost \[\] strange \[\]' arrived es /tmp/sinks/es
expect a-part-as-well 0 '^files: 0 entries sent, 3 entries it had already' exporter backstop export backfill files --from 3 --to 5
expect by-time-as-well 0 '^es: 0 entries sent, 0 entries it had' exporter backstop export backfill es --since 2099-01-01T00:00:00Z
expect an-unknown-one-is-said 1 'there is no sink nope' exporter backstop export backfill nope --from 0

# Somebody puts an older log in its place, and goes on with that: it holds by itself, but what was copied is not in it.
daemon_down
cp -a /var/lib/backstop/audit /tmp/older
daemon_up
agent backstop run -c 'touch what-nobody-is-to-see' > /dev/null 2>&1
expect it-was-copied 0 '^lost \[\] strange \[\]' arrived es /tmp/sinks/es
exporter_down
daemon_down
rm -rf /var/lib/backstop/audit
cp -a /tmp/older /var/lib/backstop/audit
daemon_up
for n in 1 2 3; do agent backstop run -c "touch instead-$n" > /dev/null 2>&1; done
expect it-holds-by-itself 0 '' backstop audit verify
exporter_up
expect what-was-copied-finds-it 0 ' es has not taken the log for long.*not what was copied' wait_log 60 ' es has not taken the log.*not what was copied'
expect and-status-says-so 1 'not what was copied' exporter backstop export --state /tmp/cursors status
exporter_down

# A person put the log aside: the one that takes its place is copied from its beginning, and that is said.
expect nothing-was-wrong-with-any-of-it-until-here 1 '' bash -c 'cat /tmp/sinks/*.wrong'
expect the-log-holds 0 '' backstop audit verify
expect no-secret-is-said 1 '' grep -E 's3cret|whsec_' /w/export.log /w/daemon.log /tmp/log
exporter_down
daemon_down
mv /var/lib/backstop/audit /tmp/evidence
daemon_up
agent backstop run -c 'touch again' > /dev/null 2>&1
exporter_up
expect another-log-begins-and-is-said 0 'es: another log begins, backstop/' wait_for 20 /w/export.log 'es: another log begins'
expect and-it-is-copied-whole 0 '^lost \[\]' arrived es /tmp/sinks/es
exporter_down
daemon_down
