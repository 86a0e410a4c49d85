# The jail by way of the daemon: an agent's account tries again and again, by other words and at a terminal; it sees its own
# ban and ends none; it outlives the daemon; what it runs stands; and two people end it, whatever the settings say by then.
echo 'robot:x:1003:1003::/home/robot:/bin/bash' >> /tmp/passwd
own_etc
settings() { printf 'mode = "system"\nprofile = "%s"\nmay = ["production", "workstation"]\njail = { most = 3 }\n' "$1" > /etc/backstop/settings.toml; }
settings production
here() { agent bash -c 'cd /home/agent/ws && "$@"' bash "$@"; }
# tries SESSION LINE: the agent tries it in that session.
tries() { here backstop run --profile production --session "$1" -c "$2"; }
# At a terminal of its own.
typed() { here script -qec "backstop run --profile production -c '$1'" /dev/null < /dev/null; }
states() { for pid in $(pgrep -f "^bash -c : $1"); do sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat"; done | sort -u | xargs; }
ban() { backstop jail list --json | sed -n 's/.*"code": "\([0-9a-f]\{8\}\)".*/\1/p' | head -1; }
asked() { backstop pending | sed -n 's/^\([0-9a-f]\{8\}\) .*/\1/p' | head -1; }
banned() { backstop log --json --event jail.banned | wc -l; }

daemon_up
enrol_two
agent mkdir -p /home/agent/ws/pg/base
agent bash -c 'cd /home/agent/ws && echo 15 > pg/PG_VERSION && echo rows > pg/base/1'
expect something-takes-effect 0 '' here backstop run --profile workstation --session s -c 'echo a > a'
before=$(newest agent)
here backstop run --profile workstation --session s -c ': spins; while :; do :; done' > /tmp/spins 2>&1 &
spins=$!
for _ in $(seq 100); do [ "$(states spins)" = R ] && break; sleep 0.1; done
expect it-runs 0 '^R$' states spins

expect a-first-try 77 '' tries s 'rm -rf pg'
expect a-second-try 77 '' tries s 'find pg -delete'
expect nobody-is-banned-yet 0 '^nobody is banned$' agent backstop jail list
expect that-it-counts-is-seen 0 '2 of 3  the session s of user 1000: losing database' agent backstop jail list
expect a-third-try 77 'the session s of user 1000 is banned from now on: losing database is closed to it' tries s ': > pg/base/1'
expect in-whatever-spelling 77 'losing database is closed to the session s of user 1000' tries s 'perl -e "unlink q(pg/base/1)"'
expect a-change-is-a-persons-to-allow 75 'a person looks at each change' tries s 'echo x > x'
expect it-sees-its-own 0 'the session s of user 1000' agent backstop jail list
expect others-do-not 0 '^nobody is banned$' as 1003 backstop jail list
expect an-approver-does 0 'the session s of user 1000' as 1001 backstop jail list
expect a-program-ends-no-ban 77 'the ban stays' agent backstop jail clear "$(ban)"
daemon_down
daemon_up
expect it-outlives-the-daemon 77 'losing database is closed' tries s 'truncate -s 0 pg/base/1'
expect it-is-raised 77 'it changes nothing' tries s 'dd if=/dev/null of=pg/base/1'
expect and-changes-nothing 77 'read-only' tries s 'echo x > x'
expect it-takes-nothing-back 77 'is banned \(read-only\)' agent backstop undo "$before"
expect what-ran-before-runs 0 '^R$' states spins
tries s 'rm pg/base/1' > /tmp/said 2>&1
tries s 'unlink pg/base/1' > /tmp/said 2>&1
expect it-is-frozen 77 'what it runs stands, and nothing of it begins' tries s 'rm -rf pg/base'
for _ in $(seq 100); do [ "$(states spins)" = T ] && break; sleep 0.1; done
expect what-it-runs-stands 0 '^T$' states spins
expect not-even-looking-begins 77 'is banned \(frozen\)' tries s 'ls'
expect an-agent-ends-none 77 'only people who are enrolled' agent backstop jail clear "$(ban)"
expect another-session-does 0 '' tries t 'ls'

expect a-terminal-is-no-way-out 77 '' typed 'rm -rf pg'
typed 'rm -rf pg/base' > /tmp/said 2>&1
expect whatever-has-no-name-is-counted 0 '5 of 6  whatever user 1000 runs without a name' backstop jail list
expect people-are-not-banned 0 '' as 1001 bash -c 'cd /home/anna && backstop run -- true'

settings workstation
expect two-are-asked 75 '0 of 2' as 1001 backstop jail clear "$(ban)"
request=$(asked)
expect what-they-are-asked 0 'banned +the session s of user 1000' backstop show "$request" --approval
sign 1001 anna "$request" /tmp/keys/a
sign 1002 ben "$request" /tmp/keys/b
expect one-is-not-enough 0 '1 of 2' as 1001 backstop approve "$request" --signature /tmp/keys/a.sig
expect it-still-stands 0 '^T$' states spins
expect two-end-it 0 'is banned no more' as 1002 backstop approve "$request" --signature /tmp/keys/b.sig
for _ in $(seq 100); do [ "$(states spins)" = R ] && break; sleep 0.1; done
expect it-goes-on 0 '^R$' states spins
expect nobody-is-banned 0 '^nobody is banned$' backstop jail list
expect and-it-may-again 0 '' here backstop run --profile workstation --session s -c 'echo y > y'
kill "$spins"
wait "$spins" 2> /dev/null
expect and-takes-back 0 'undone' agent backstop undo "$before"
expect nothing-was-lost 0 '^rows$' cat /home/agent/ws/pg/base/1
expect its-end-is-on-record 0 '^1$' bash -c 'backstop log --json --event jail.cleared | wc -l'
expect each-ban-is-on-record 0 '^3$' banned
expect the-log-holds 0 'authorisation +holds' backstop audit verify
