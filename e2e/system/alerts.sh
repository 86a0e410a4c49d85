# What people are told of though nothing waits for them: by rules over the log, once, and silenced aloud.
echo backstop-notify:x:990:990::/nonexistent:/usr/sbin/nologin >> /tmp/passwd
own_etc
cat > /etc/backstop/settings.toml << 'END_OF_FILE'
mode = "system"
notifier = "backstop-notify"
END_OF_FILE
cat > /etc/backstop/notify.toml << 'END_OF_FILE'
metrics = "127.0.0.1:9464"
[[channel]]
name = "program"
command = { argv = ["/bin/sh", "-c", "cat >> /tmp/program/told; echo >> /tmp/program/told"] }
[[channel]]
name = "grave"
least = "alert"
command = { argv = ["/bin/sh", "-c", "cat >> /tmp/program/grave; echo >> /tmp/program/grave"] }
END_OF_FILE
cat > /etc/backstop/alerts.toml << 'END_OF_FILE'
[[rule]]
name = "destroys-content"
says = "somebody copies over something"
severity = "warning"
programs = ["dd of=*"]
again_minutes = 1
[[rule]]
name = "undone"
says = "a run was undone"
severity = "alert"
entries = ["run.undone"]
again_minutes = 0
END_OF_FILE
mkdir -m 700 /tmp/cursors /tmp/program
chown 990:990 /tmp/cursors /tmp/program
notify() { setpriv --reuid=990 --regid=990 --clear-groups --inh-caps=-all env -i PATH="$PATH" backstop-notify "$@"; }
notifier_up() { notify run --state /tmp/cursors >> /w/notify.log 2>&1 & notifier=$!; }
notifier_down() { pkill -9 -x -u 990 backstop-notify; wait "$notifier" 2> /dev/null; }
told=/tmp/program/told
# heard SECONDS PATTERN [FILE]: a line has it within that time.
heard() { for _ in $(seq $(($1 * 10))); do grep -E -- "$2" "${3:-$told}" 2> /dev/null && return 0; sleep 0.1; done; cat "${3:-$told}"; return 1; }
count() { grep -cE -- "$1" $told; }
here() { agent bash -c 'cd /home/agent/ws && "$@"' bash "$@"; }

daemon_up
agent mkdir /home/agent/ws
expect the-rules-hold 0 'alerts: 13 rules' notify check
expect the-rules-are-listed 0 'alert +undone +a run was undone' notify rules
notifier_up
heard 10 next /tmp/cursors/program.json > /dev/null
heard 10 next /tmp/cursors/grave.json > /dev/null

# Counted for a minute, over a restart; looked at below.
for n in 1 2 3; do here backstop run --session d -c "dd if=/dev/null of=copy$n" > /tmp/dd 2>&1; done
expect own-rules-are-told 0 'somebody copies over something \(dd of=\*, r-' heard 20 'alert destroys-content'
began=$(date +%s)

expect a-program-runs 0 '' here backstop run --session s1 -c 'mkdir call_me && rm -rf call_me'
run=$(newest agent)
expect a-dangerous-program-is-told 0 "a program that deletes whole directories ran \(rm -r, $run\)" heard 20 'alert deletes-trees'
expect in-our-words-alone 1 '' grep call_me $told
for n in 1 2 3 4; do here backstop run --session s1 -c "mkdir d$n && find d$n -delete" > /tmp/again 2>&1; done
here backstop run --session s2 -c 'mkdir e && rm -r e' > /tmp/again 2>&1
expect called-otherwise-it-runs 0 '' here backstop run --session s3 -c 'mkdir e && python3 -c "import os; os.execvp(\"chmod\", [\"x\", \"-R\", \"700\", \"e\"])"'
run=$(newest agent)
expect whatever-it-is-called 0 "\(chmod -R, $run\)" heard 20 "\(chmod -R, $run\)"
expect what-is-the-same-is-told-once-whatever-the-session 0 '^2$' count '"title":"[^"]*alert deletes-trees'
expect it-is-on-record 0 'people were told of entry [0-9]+ by program' backstop log

# By what it would do, whatever does it.
shop orders.sqlite3
expect it-waits 75 '' here backstop run --session s4 -c 'python3 -c "import os; os.remove(\"/srv/shop/orders.sqlite3\")"'
expect an-effect-is-told 0 'a run would change what is protected \(database, r-' heard 20 'alert would-touch-protected'
# What is allowed and everyday is not.
here backstop run --session s5 -c 'echo a > a; cp a b; rm a; chmod 600 b' > /tmp/everyday 2>&1
expect something-is-undone 0 '' here backstop undo @last
expect an-alert-is-told 0 'a run was undone' heard 20 'alert undone'
expect and-where-only-alerts-are 0 'a run was undone' heard 20 'alert undone' /tmp/program/grave
expect and-nothing-else-there 1 '' grep -v 'alert undone' /tmp/program/grave
expect the-everyday-is-not 0 '^3$' count '"title":"[^"]*alert (deletes-trees|would-touch)'

# In figures.
figures() { curl -s http://127.0.0.1:9464/metrics; }
expect alerts-are-counted 0 'backstop_alerts_total\{channel="program",rule="deletes-trees"\} 6' figures
expect and-what-became-of-them 0 'backstop_notices_total\{channel="program",type="alert",outcome="counted"\} 6' figures
expect the-guard-is-up 0 '^backstop_guard_up 1' figures

# Rules that can't be used.
cp /etc/backstop/alerts.toml /tmp/alerts.toml
echo 'off = ["no-such-rule"]' > /etc/backstop/alerts.toml
expect a-wrong-file-is-said 78 'line 1: no rule of Backstop.s own' notify check
here backstop undo @last > /tmp/undone 2>&1
expect and-told 0 'ALERT RULES REFUSED.*line 1: no rule' heard 40 'ALERT RULES REFUSED'
cp /tmp/alerts.toml /etc/backstop/alerts.toml
expect and-that-it-is-mended 0 'alert rules in force' heard 60 'alert rules in force'
chmod 666 /etc/backstop/alerts.toml
expect what-others-can-write-is-none 78 'others than root can write it' notify check
chmod 644 /etc/backstop/alerts.toml

# Silences.
expect an-agent-silences-nothing 1 'Permission denied' agent backstop-notify silence add --rule deletes-trees --minutes 60 --reason x
expect nor-does-the-notifier 1 'Permission denied' notify silence add --rule deletes-trees --minutes 60 --reason x
expect nobody-silences-requests 2 'alert, denied, disk, guard, policy' backstop-notify silence add --kind asked --minutes 60 --reason x
expect nobody-silences-for-ever 1 'a week' backstop-notify silence add --kind alert --minutes 99999 --reason x
expect it-is-silenced 0 'alert deletes-trees' backstop-notify silence add --rule deletes-trees --minutes 60 --reason 'a drill'
silence=$(cut -d' ' -f1 /tmp/said)
expect a-silence-is-told 0 'alert deletes-trees is not told until .*: a drill' heard 40 "SILENCED by $silence"
expect but-not-where-only-alerts-are 1 '' grep SILENCED /tmp/program/grave
expect it-is-listed 0 "^$silence .*alert deletes-trees.*a drill" notify silence list
here backstop run --session s6 -c 'touch m; mv m /dev/null' > /tmp/silent 2>&1
silent=$(newest agent)
here backstop run --session s6 -c 'echo x > x' > /dev/null 2>&1
here backstop undo @last > /tmp/undone 2>&1
expect others-are-told 0 '' bash -c "for _ in \$(seq 200); do [ \$(grep -c 'alert undone' $told) -ge 2 ] && exit; sleep 0.1; done; exit 1"
expect it-is-not 1 '' grep "$silent" $told
notifier_down
notifier_up
expect it-is-ended 0 'ended' backstop-notify silence end "$silence"
expect what-was-kept-back-is-told 0 'alert deletes-trees is told again; 1 notice was kept back' heard 40 "silence $silence is over"
here backstop run --session s7 -c 'touch m; mv m /dev/null' > /tmp/loud 2>&1
loud=$(newest agent)
expect and-it-is-told-again 0 "$loud" heard 20 "alert deletes-trees.*$loud"

# A disk: the one that all of this stands on.
fallocate -l $(($(df -B1 --output=avail / | tail -1) - (64 << 20))) /full
expect a-full-disk-is-told 0 '% of / are left' heard 60 'DISK NEARLY FULL'
rm /full
expect and-that-it-has-room 0 '/ has room again' heard 60 'disk has room'

# The minute is over.
left=$((began + 62 - $(date +%s)))
[ "$left" -gt 0 ] && sleep "$left"
expect what-was-counted-is-told 0 '"count":1' heard 40 'alert destroys-content.*and 1 more like it'
expect and-on-record 0 'people were told of entry [0-9]+ and 1 more like it by program' bash -c 'for _ in $(seq 50); do backstop log | grep "more like it" && exit; sleep 0.2; done; exit 1'
expect the-log-holds 0 'integrity +holds' backstop audit verify
notifier_down
daemon_down
