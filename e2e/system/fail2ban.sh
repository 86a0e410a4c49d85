# A fail2ban that is there already bans by our log: the account whose tries count is stopped, nobody else is, and goes on with
# the ban's end. The filter is not misled by what an agent calls its session.
own_etc
printf 'mode = "system"\nprofile = "production"\n' > /etc/backstop/settings.toml
export PYTHONPATH=/opt/fail2ban/usr/lib/python3/dist-packages
cp -a /opt/fail2ban/etc/fail2ban /tmp/f2b
rm -f /tmp/f2b/jail.d/*
for part in filter.d action.d jail.d; do cp /opt/integration/"$part"/backstop.conf /tmp/f2b/"$part"/; done
printf '[backstop]\nenabled = true\nmaxretry = 3\naction = backstop[spare="1001 1002"]\n' > /tmp/f2b/jail.d/backstop.local
printf '[Definition]\nlogtarget = /tmp/f2b.log\nsocket = /run/f2b.sock\npidfile = /run/f2b.pid\ndbfile = None\n' > /tmp/f2b/fail2ban.local
f2b() { /opt/fail2ban/usr/bin/fail2ban-"$1" -c /tmp/f2b "${@:2}"; }
finds() { /opt/fail2ban/usr/bin/fail2ban-regex -c /tmp/f2b "$1" "/tmp/f2b/filter.d/backstop.conf[mode=$2]"; }
log=/var/lib/backstop/audit/000000000000.jsonl
state() { sed 's/.*) \(.\).*/\1/' /proc/"$1"/stat; }
becomes() { for _ in $(seq 200); do [ "$(state "$1")" = "$2" ] && break; sleep 0.1; done; state "$1"; }
# tries UID SESSION: that account tries to lose a database.
tries() { as "$1" bash -c "cd /home/agent/ws && backstop run --session '$2' -c 'rm -rf pg'"; }

daemon_up
mkdir -p /home/agent/ws/pg/base
echo 15 > /home/agent/ws/pg/PG_VERSION
echo rows > /home/agent/ws/pg/base/1
chown -R 1000:1000 /home/agent/ws
chmod -R a+rwX /home/agent
agent sleep 1000 &
as 1001 sleep 1000 &
sleep 1000 &
roots=$!
agents=$(pgrep -U 1000 -x sleep) annas=$(pgrep -U 1001 -x sleep)
# Nothing is read of what was there before.
f2b server -f > /tmp/f2b.out 2>&1 &
server=$!
for _ in $(seq 100); do f2b client ping > /tmp/said 2>&1 && break; sleep 0.1; done
expect it-serves 0 'pong' f2b client ping
expect a-try 77 '' tries 1000 's","uid":0'
expect a-try-under-another-name 77 '' tries 1000 '"keys":[{"account":{"uid":1001}}]'
expect two-are-found 0 ' 2 matched' finds "$log" counted
expect nothing-stops-yet 0 '^S$' becomes "$agents" S
expect a-third 77 '' tries 1000 's'
expect the-account-stands 0 '^T$' becomes "$agents" T
expect it-is-the-accounts-number 0 'Banned IP list:.1000$' f2b client status backstop
expect others-go-on 0 '^S$' state "$annas"
for _ in 1 2 3; do tries 0 root > /tmp/said 2>&1; done
for _ in $(seq 200); do f2b client status backstop | grep -q 'list:.*\b0\b' && break; sleep 0.1; done
expect roots-tries-are-seen 0 'list:.*\b0\b' f2b client status backstop
expect root-is-never-stopped 0 '^S$' state "$roots"
expect it-ends 0 '' f2b client set backstop unbanip 1000
expect and-lets-it-go-on 0 '^S$' becomes "$agents" S
for _ in 1 2; do tries 1000 s > /tmp/said 2>&1; done
expect our-own-ban-is-found 0 ' 0 matched' finds "$log" banned
for _ in 1 2; do tries 1000 s > /tmp/said 2>&1; done
expect and-now-it-is 0 ' 1 matched' finds "$log" banned
# Whose account may approve is spared; a question is no try; and whoever started another's is not the one.
mkdir -p /home/anna/ws/pg/base && echo 15 > /home/anna/ws/pg/PG_VERSION && echo rows > /home/anna/ws/pg/base/1
chown -R 1001:1001 /home/anna
for _ in 1 2 3; do as 1001 bash -c "cd /home/anna/ws && backstop run --session a -c 'rm -rf pg'" > /tmp/said 2>&1; done
for _ in $(seq 200); do f2b client status backstop | grep -q 'list:.*\b1001\b' && break; sleep 0.1; done
expect annas-tries-are-seen 0 'list:.*\b1001\b' f2b client status backstop
expect and-she-is-spared 0 '^S$' state "$annas"
sed -n 's/"how":"denied"/"how":"asked"/p' "$log" > /tmp/asked.jsonl
expect a-question-is-none 0 ' 0 matched' finds /tmp/asked.jsonl counted
sed -n 's/"key":{"session":{"session":"s","uid":1000}}/"key":{"starter":{"uid":1001}}/p' "$log" > /tmp/starter.jsonl
expect there-is-such-a-ban 0 starter cat /tmp/starter.jsonl
expect a-starter-is-not-meant 0 ' 0 matched' finds /tmp/starter.jsonl banned
# The log goes on in another file: found with the next reload.
grep -h '"jail.counted"' "$log" | sed "s/\"at\":\"[^\"]*\"/\"at\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"/; s/\"uid\":1000/\"uid\":1077/g" > /var/lib/backstop/audit/000000009999.jsonl
f2b client reload backstop > /tmp/said 2>&1
for _ in $(seq 200); do f2b client status backstop | grep -q 'list:.*\b1077\b' && break; sleep 0.1; done
expect a-new-file-is-seen-after-a-reload 0 'list:.*\b1077\b' f2b client status backstop
rm /var/lib/backstop/audit/000000009999.jsonl
# While everything is frozen it lets nobody go on.
for _ in 1 2 3; do tries 1000 s > /tmp/said 2>&1; done
expect it-stands-again 0 '^T$' becomes "$agents" T
touch /var/lib/backstop/frozen.json
f2b client set backstop unbanip 1000 > /tmp/said 2>&1
expect a-freeze-holds 0 '^T$' state "$agents"
rm /var/lib/backstop/frozen.json
kill -CONT "$agents"
kill "$server" "$agents" "$annas" "$roots"
expect nothing-was-lost 0 '^rows$' cat /home/agent/ws/pg/base/1
