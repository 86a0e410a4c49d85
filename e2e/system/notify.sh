# People are told what waits for them: by an account that has no other right, at least once, whoever is away meanwhile.
echo backstop-notify:x:990:990::/nonexistent:/usr/sbin/nologin >> /tmp/passwd
own_etc
outside_needs_two
cat > /etc/backstop/settings.toml << 'END_OF_FILE'
mode = "system"
notifier = "backstop-notify"
END_OF_FILE
cat > /etc/backstop/notify.toml << 'END_OF_FILE'
link = "https://backstop.example/{request}"
guard_minutes = 1
heartbeat = { url_file = "/tmp/keys/heartbeat" }
[[channel]]
name = "hook"
webhook = { url = "https://localhost:4430/hook", secret_file = "/tmp/keys/hook" }
[[channel]]
name = "team"
events = ["asked", "ended"]
gather_seconds = 0
slack = { url_file = "/tmp/keys/slack" }
[[channel]]
name = "phone"
events = ["asked"]
gather_seconds = 5
ntfy = { server = "http://localhost:8002", topic = "backstop", token_file = "/tmp/keys/ntfy" }
[[channel]]
name = "pager"
least = "warning"
pagerduty = { key_file = "/tmp/keys/pagerduty", server = "http://localhost:8003" }
[[channel]]
name = "alarms"
alertmanager = { url = "http://localhost:9093" }
[[channel]]
name = "discord"
events = ["asked", "denied", "policy", "guard"]
gather_seconds = 1
discord = { url_file = "/tmp/keys/discord" }
[[channel]]
name = "teams"
events = ["asked"]
teams = { url_file = "/tmp/keys/teams" }
[[channel]]
name = "mail"
events = ["asked"]
mail = { server = "localhost", port = 5870, security = "starttls", from = "backstop@db-1.example", to = ["ops@example.org"] }
[[channel]]
name = "program"
command = { argv = ["/bin/sh", "-c", "cat >> /tmp/program/told; echo >> /tmp/program/told"] }
END_OF_FILE
echo 127.0.0.1 localhost > /etc/hosts
# As the help says it.
(umask 027; { printf whsec_; head -c 32 /dev/urandom | base64; } > /tmp/keys/hook)
expect a-key-is-never-everybodys 0 '^640$' stat -c %a /tmp/keys/hook
echo http://localhost:8001/services/T0/B0/secret > /tmp/keys/slack
echo tk_secret > /tmp/keys/ntfy
echo pd_secret > /tmp/keys/pagerduty
echo http://localhost:8004/api/webhooks/1/secret > /tmp/keys/discord
echo http://localhost:8005/workflows/secret > /tmp/keys/teams
echo http://localhost:8006/ping > /tmp/keys/heartbeat
for key in hook slack ntfy pagerduty discord teams heartbeat; do
    chown 990 /tmp/keys/$key
    chmod 600 /tmp/keys/$key
done
# A real Alertmanager, which groups and closes by itself. It looks for its templates where its distribution has them.
mount -t overlay -o lowerdir=/opt/alertmanager/usr/share:/usr/share overlay /usr/share
printf 'route: { receiver: none }\nreceivers: [{ name: none }]\n' > /tmp/alertmanager.yml
/opt/alertmanager/usr/bin/prometheus-alertmanager --config.file=/tmp/alertmanager.yml --storage.path=/tmp/alertmanager \
    --web.listen-address=127.0.0.1:9093 --cluster.listen-address= > /w/alertmanager.log 2>&1 &
for _ in $(seq 200); do (: < /dev/tcp/127.0.0.1/9093) 2> /dev/null && break; sleep 0.05; done
# What Alertmanager has: name, matter, state.
alarms() { curl -s http://127.0.0.1:9093/api/v2/alerts | jq -r '.[] | .labels.alertname + " " + .labels.matter + " " + .status.state + " " + .annotations.summary'; }
wait_alarms() { for _ in $(seq 100); do alarms > /tmp/alarms; [ "$(grep -c "$1" /tmp/alarms)" = "$2" ] && break; sleep 0.2; done; cat /tmp/alarms; [ "$(grep -c "$1" /tmp/alarms)" = "$2" ]; }
# An authority, what it vouches for, and one that vouches for nothing here.
authority ca
authority other
vouched cert
mkdir -m 700 /tmp/cursors /tmp/program
chown 990:990 /tmp/cursors /tmp/program
cp /tmp/notified /tmp/notified.py
/usr/bin/python3 /tmp/notified.py > /w/notified.log 2>&1 &
for _ in $(seq 200); do [ -e /tmp/told/ready ] && break; sleep 0.05; done

told() { cat /tmp/told/"$1" 2> /dev/null || true; }
# wait_for SECONDS FILE PATTERN: the file has it within that time.
wait_for() { for _ in $(seq $(($1 * 10))); do grep -qE -- "$3" "$2" 2> /dev/null && { grep -E -- "$3" "$2"; return 0; }; sleep 0.1; done; cat "$2"; return 1; }
# The same in the audit log as people read it.
wait_log() { for _ in $(seq $(($1 * 5))); do backstop log > /tmp/log 2>&1; grep -E -- "$2" /tmp/log && return 0; sleep 0.2; done; cat /tmp/log; return 1; }
notify() { setpriv --reuid=990 --regid=990 --clear-groups --inh-caps=-all env -i PATH="$PATH" SSL_CERT_FILE="${TRUST-/tmp/keys/ca.pem}" backstop-notify "$@"; }
notifier_up() { notify run --state /tmp/cursors >> /w/notify.log 2>&1 & notifier=$!; }
# The program itself, not the shell function's process alone.
notifier_down() { pkill -9 -x -u 990 backstop-notify; wait "$notifier" 2> /dev/null; }

daemon_up
enrol_two
# The account.
expect it-runs-nothing 77 "the notifier's account" as 990 backstop run -- true
expect it-sees-no-run 77 "the notifier's account" as 990 backstop runs
expect it-sees-nothing-that-waits 77 "the notifier's account" as 990 backstop pending
printf '[[channel]]\nname = "p"\ncommand = { argv = ["/bin/true"] }\n' > /tmp/other.toml
expect an-agent-hears-nothing 1 'only the notifier hears' agent backstop-notify --config /tmp/other.toml test
expect its-settings-hold 0 'hook: ready' notify check
expect alertmanager-listens 0 '' bash -c 'curl -sf http://127.0.0.1:9093/-/ready || { cat /w/alertmanager.log; false; }'
expect the-heartbeat-is-ready 0 "heartbeat: ready" notify check
expect a-test-arrives-everywhere 0 'program: arrived' notify test
expect at-the-webhook 0 '"type": "test"' told webhook
expect by-mail-with-tls 0 '"Subject": "\[.*\] test.*"tls": true' told mail
expect whom-nobody-vouches-for-is-told-nothing 1 'hook: ' bash -c "$(declare -f notify); TRUST=/tmp/keys/other.pem notify test hook"
expect nor-by-mail 1 'mail: ' bash -c "$(declare -f notify); TRUST=/tmp/keys/other.pem notify test mail"
expect and-nothing-was-sent 0 '^1 1$' bash -c 'echo $(grep -c . /tmp/told/webhook) $(grep -c . /tmp/told/mail)'

# Everyday: asked, decided, approved.
notifier_up
wait_for 10 /tmp/cursors/program.json next > /dev/null
wait_for 10 /tmp/cursors/hook.json next > /dev/null
sleep 1
mkdir /srv/one && echo keep > /srv/one/f && chown -R 1000 /srv/one
expect held 75 'needs 2 people' agent backstop run -c 'rm -rf /srv/one'
run=$(newest agent)
expect the-webhook-hears-of-it 0 "approval needed: would delete" wait_for 20 /tmp/told/webhook "approval.asked.*"
expect with-the-run 0 "$run" told webhook
expect and-the-link 0 'https://backstop.example/[0-9a-f]{8}' told webhook
expect slack-hears-of-it 0 'approval needed' wait_for 20 /tmp/told/slack 'approval needed'
expect the-phone-hears-of-it 0 '"priority": 4' wait_for 20 /tmp/told/ntfy 'approval needed'
expect the-pager-wakes-people 0 '"event_action": "trigger".*"severity": "warning"' wait_for 20 /tmp/told/pagerduty 'approval needed'
expect alertmanager-has-an-alarm 0 'Backstop_request request [0-9a-f]{8} active .*approval needed' wait_alarms Backstop_request 1
expect discord-hears-of-it 0 'approval needed' wait_for 20 /tmp/told/discord 'approval needed'
expect teams-hears-of-it 0 'approval needed' wait_for 20 /tmp/told/teams 'approval needed'
expect somebody-elsewhere-knows-that-we-live 0 '' wait_for 20 /tmp/told/heartbeat 'answered'
expect mail-hears-of-it 0 'auto-generated' wait_for 20 /tmp/told/mail 'approval needed'
expect the-program-hears-of-it 0 'approval needed' wait_for 20 /tmp/program/told 'approval needed'
sign 1001 anna "$run" /tmp/keys/a1
as 1001 backstop approve "$run" --signature /tmp/keys/a1.sig > /dev/null 2>&1
expect who-decided-is-told 0 'anna approves' wait_for 20 /tmp/told/webhook 'anna approves'
sign 1002 ben "$run" /tmp/keys/b1
as 1002 backstop approve "$run" --signature /tmp/keys/b1.sig > /dev/null 2>&1
expect what-begins-is-told 0 'approved by anna, ben' wait_for 20 /tmp/told/webhook 'approved by anna, ben'
expect the-pager-is-quiet-again 0 '"event_action": "resolve"' wait_for 20 /tmp/told/pagerduty 'approved by anna, ben'
expect and-so-is-alertmanager 0 '' wait_alarms Backstop_request 0
expect the-pager-has-nothing-of-little-matter 1 '' grep 'anna approves' /tmp/told/pagerduty
expect it-is-on-record 0 'people were told of entry' wait_log 20 'people were told of entry [0-9]+ by phone'

# Rules that can't be loaded, and what is denied for it, are told.
cp /etc/backstop/policy/two.cedar /tmp/two.cedar
echo 'forbid (' > /etc/backstop/policy/two.cedar
expect nothing-goes-by-bad-rules 77 '' agent backstop run -- touch /home/agent/x
expect that-is-an-alarm 0 'Backstop_event .* active .*RULES REFUSED' wait_alarms 'RULES REFUSED' 1
expect and-told-where-it-is-asked-for 0 'RULES REFUSED' wait_for 20 /tmp/told/discord 'RULES REFUSED'
expect what-is-denied-as-well 0 'denied: r-' wait_for 20 /tmp/told/discord 'denied: r-'
expect but-not-where-nobody-asked 1 '' grep 'denied: r-' /tmp/told/webhook
cp /tmp/two.cedar /etc/backstop/policy/two.cedar
agent backstop run -- true > /dev/null 2>&1

# Away: the server, the notifier, the daemon. Nothing is lost, and what is said twice has the same id.
echo 503 > /tmp/answer.webhook
mkdir /srv/two && chown 1000 /srv/two && touch /srv/two/f && chown 1000 /srv/two/f
agent backstop run -c 'rm -rf /srv/two' > /dev/null 2>&1
two=$(newest agent)
expect it-is-tried 0 '503' wait_for 20 /tmp/told/webhook "\"answered\": 503.*$two"
expect others-are-told-meanwhile 0 "$two" wait_for 20 /tmp/told/slack "$two"
notifier_down
daemon_down
rm /tmp/answer.webhook
daemon_up
mkdir /srv/three && chown 1000 /srv/three && touch /srv/three/f && chown 1000 /srv/three/f
agent backstop run -c 'rm -rf /srv/three' > /dev/null 2>&1
three=$(newest agent)
notifier_up
expect what-was-missed-arrives 0 "$two" wait_for 20 /tmp/told/webhook "\"answered\": 200.*$two"
expect and-what-came-while-it-was-away 0 "$three" wait_for 20 /tmp/told/webhook "\"answered\": 200.*$three"
daemon_down
daemon_up
sign 1001 anna "$three" /tmp/keys/a3 deny
as 1001 backstop deny "$three" --signature /tmp/keys/a3.sig > /dev/null 2>&1
expect it-goes-on-with-another-daemon 0 'denied, nothing took effect' wait_for 90 /tmp/told/slack 'denied, nothing took effect'
expect one-entry-has-one-id 0 '^same$' /usr/bin/python3 -c '
import json
seen = {}
for line in open("/tmp/told/webhook"):
    told = json.loads(line)
    notice = told["is"]["data"]["notice"]
    assert told["wrong"] is None and told["id"] == notice["id"], told
    seen.setdefault(notice["entry"], set()).add(told["id"])
assert all(len(ids) == 1 for ids in seen.values()), seen
print("same")'
# What can never arrive is given up, and said so; it keeps nothing after it.
echo 410 > /tmp/answer.slack
mkdir /srv/four && chown 1000 /srv/four && touch /srv/four/f && chown 1000 /srv/four/f
agent backstop run -c 'rm -rf /srv/four' > /dev/null 2>&1
expect what-cant-arrive-is-on-record 0 'could not be told .* by team .1 attempts.*410' wait_log 30 'could not be told'
echo 302 > /tmp/answer.slack
expect a-redirect-is-not-followed 1 'team: the server answers 302' notify test team
rm /tmp/answer.slack
expect what-comes-after-it-arrives 0 'arrived' notify test team
# What comes close together is one message where people read it, and goes to programs one by one.
for n in five six seven; do
    mkdir /srv/$n && touch /srv/$n/f && chown -R 1000 /srv/$n
    agent backstop run -c "rm -rf /srv/$n" > /dev/null 2>&1
done
seven=$(newest agent)
expect the-phone-rings-once-for-several 0 'approval needed: .* \(and [123] more\)' wait_for 20 /tmp/told/ntfy 'and [123] more\)'
expect with-all-of-them 0 "$seven" wait_for 20 /tmp/told/ntfy "$seven"
expect one-by-one-elsewhere 0 "$seven" wait_for 20 /tmp/told/webhook "$seven"
# No secret stands in what it says, also where it can't connect.
printf '[[channel]]\nname = "away"\nslack = { url_file = "/tmp/keys/away" }\n' > /tmp/away.toml
echo https://localhost:9/services/T0/away > /tmp/keys/away
chown 990 /tmp/keys/away
chmod 600 /tmp/keys/away
expect where-nobody-listens-it-says-so 1 'away: .*refused' notify --config /tmp/away.toml test
expect and-not-where-that-is 1 '' grep -E 'services/T0' /tmp/said
expect nobody-was-told-what-he-does-not-take 1 '' grep -hv '"wrong": null' /tmp/told/webhook /tmp/told/slack /tmp/told/ntfy /tmp/told/pagerduty /tmp/told/discord /tmp/told/teams
expect no-secret-is-said 1 '' grep -E 'tk_secret|pd_secret|services/T0|whsec_|webhooks/1/secret|workflows/secret|8006/ping' /w/notify.log /w/daemon.log /tmp/log
expect the-log-holds 0 '' backstop audit verify
# The guard is killed; those who serve whoever is connected already go on. People are told all the same, and that it is back,
# also by a notifier that was started anew meanwhile.
kill -9 "$daemon"
wait "$daemon" 2> /dev/null
expect that-the-guard-is-gone-is-told 0 'GUARD AWAY' wait_for 120 /tmp/told/webhook 'GUARD AWAY'
expect and-wakes-people 0 '"severity": "critical"' wait_for 30 /tmp/told/pagerduty 'GUARD AWAY'
expect and-is-an-alarm 0 'Backstop_guard guard away active' wait_alarms 'guard away active' 1
beats=$(grep -c . /tmp/told/heartbeat)
notifier_down
notifier_up
daemon_up
expect that-it-is-back-is-told 0 'guard back' wait_for 60 /tmp/told/webhook 'guard back'
expect and-the-alarm-is-over 0 '' wait_alarms 'guard away active' 0
expect once-each 0 '^1 1$' bash -c 'echo $(grep -c "GUARD AWAY" /tmp/told/webhook) $(grep -c "guard back" /tmp/told/webhook)'
expect and-there-is-a-heartbeat-again 0 '' bash -c "for _ in \$(seq 300); do [ \$(grep -c . /tmp/told/heartbeat) -gt $beats ] && exit; sleep 0.2; done; exit 1"
notifier_down
daemon_down
