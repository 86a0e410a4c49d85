# The red button by way of the daemon: an approver presses it, an agent's account can't; all of an account that agents alone
# use stops as well; it outlives the daemon, and in production two people let it go on, whatever the settings say by then.
echo 'robot:x:1003:1003::/home/robot:/bin/bash' >> /tmp/passwd
own_etc
settings() { printf 'mode = "system"\nprofile = "%s"\nmay = ["production", "workstation"]\nagents = ["robot", "anna", "nobody-of-this-name"]\n' "$1" > /etc/backstop/settings.toml; }
settings production
# states PATTERN: those of the shells whose command line has it.
states() { for pid in $(pgrep -f "^bash -c : $1"); do sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat"; done | sort -u | xargs; }
grows() { was=$(stat -c %s "$1"); sleep 0.5; test "$(stat -c %s "$1")" -gt "$was"; }
here() { agent bash -c 'cd /home/agent/ws && "$@"' bash "$@"; }
asked() { backstop pending | sed -n 's/^\([0-9a-f]\{8\}\) .*/\1/p' | head -1; }

daemon_up
enrol_two
agent mkdir /home/agent/ws
expect something-takes-effect 0 '' here backstop run --profile workstation -c 'echo a > a'
before=$(newest agent)
here backstop run --profile workstation -c ': spins; while :; do :; done' > /tmp/spins 2>&1 &
spins=$!
as 1003 bash -c ': ticks; while :; do echo >> /tmp/keys/tick; sleep 0.01; done' &
for _ in $(seq 100); do [ "$(states spins)" = R ] && [ -s /tmp/keys/tick ] && break; sleep 0.1; done
expect it-runs 0 '^R$' states spins
expect a-robot-runs-outside 0 '' grows /tmp/keys/tick

expect an-agent-stops-nobody 77 'only people who are enrolled stop everything' agent backstop freeze
expect an-approver-does 1 'frozen: 1 command stands' as 1001 backstop freeze --reason odd
expect and-is-not-stopped-himself 1 'what user 1001 runs is not stopped: it is that of anna' as 1001 backstop freeze
expect a-name-of-nobody-is-said 1 'there is no such account' as 1001 backstop freeze
expect it-stands 0 '^T$' states spins
expect the-robot-stands 0 '^T$' states ticks
expect it-does-nothing 1 '' grows /tmp/keys/tick
expect nothing-begins 77 'everything is frozen since .* by user 1001: odd' agent backstop run -- true
expect nor-as-root 77 'everything is frozen' backstop run -- true
expect an-agent-takes-nothing-back 77 'everything is frozen' agent backstop undo "$before"
expect an-agent-looks 0 "$before" agent backstop runs
expect an-agent-lets-nothing-go-on 77 'only people who are enrolled' agent backstop thaw
expect two-are-asked 75 '0 of 2' as 1001 backstop thaw
expect an-approver-sees-that-it-is 0 'frozen since .*by user 1001' as 1001 backstop pending
request=$(asked)
expect what-they-are-asked 0 'frozen .*by user account 1001 \(anna\)' backstop show "$request" --approval
daemon_down
settings workstation
daemon_up
expect it-outlives-the-daemon 77 'everything is frozen' agent backstop run -- true
expect other-settings-loosen-nothing 75 "$request" backstop thaw
sign 1001 anna "$request" /tmp/keys/a
sign 1002 ben "$request" /tmp/keys/b
expect one-is-not-enough 0 '1 of 2' as 1001 backstop approve "$request" --signature /tmp/keys/a.sig
expect it-still-stands 0 '^T$' states spins
expect two-let-it-go-on 0 '1 command goes on' as 1002 backstop approve "$request" --signature /tmp/keys/b.sig
for _ in $(seq 100); do [ "$(states spins)" = R ] && break; sleep 0.1; done
expect it-goes-on 0 '^R$' states spins
expect the-robot-goes-on 0 '' grows /tmp/keys/tick
expect nothing-is-frozen 0 'nothing is frozen' as 1001 backstop thaw
expect things-begin 0 '' here backstop run --profile workstation -c 'echo b > b'
expect and-are-taken-back 0 'undone' agent backstop undo "$before"
kill "$spins"
pkill -KILL -f '^bash -c : ticks'
wait "$spins" 2> /dev/null
expect it-is-on-record-once 0 '^1$' bash -c 'backstop log --json --event host.thawed | wc -l'
expect the-log-holds 0 'authorisation +holds' backstop audit verify
