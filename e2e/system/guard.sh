# Whether somebody watched is in the log: from when to when, by a sign of life a minute, and what is missing of it is said.
own_etc
printf 'mode = "system"\n' > /etc/backstop/settings.toml

# signs: the guard's own entries of the log, shortly.
signs() { backstop log --json --event guard --event audit.heartbeat | sed -n 's/.*"body":{"\([a-z.]*\)".*/\1/p' | xargs; }

daemon_up
expect it-watches 0 'guard.started +the guard watches \(Backstop [0-9.]+\)' backstop log
expect no-agent-says-so 2 '' agent backstop log --event guard.nothing
begun=$(date +%s)
agent backstop run -- true > /dev/null 2>&1
for _ in $(seq 700); do signs | grep -q heartbeat && break; sleep 0.1; done
expect a-minute-later-it-still-does 0 '^guard.started audit.heartbeat$' signs
expect not-before-the-minute-is-over 0 '' test $(($(date +%s) - begun)) -ge 58
expect heartbeats-are-told-to-who-asks-for-them 1 '' bash -c 'backstop log | grep heartbeat'
daemon_down
expect the-end-is-on-record 0 '^guard.started audit.heartbeat guard.stopped$' signs
daemon_up
expect nothing-is-missing 0 '' bash -c '! backstop audit verify | grep "the guard"'
kill -9 "$daemon"
wait "$daemon" 2> /dev/null
daemon_up
expect killed-is-not-stopped 0 'the guard ended without being stopped; back after [0-9]+ s' backstop audit verify
expect the-log-holds-all-the-same 0 'completeness +holds' backstop audit verify
# On another start of the machine.
kill -9 "$daemon"
wait "$daemon" 2> /dev/null
echo 0b7c1d7e-5f0e-4c9e-8a51-1f2e3d4c5b6a > /tmp/boot
mount --bind /tmp/boot /proc/sys/kernel/random/boot_id
daemon_up
expect nor-is-a-machine-that-went-down 0 'the machine went down under the guard; back after' backstop audit verify
umount /proc/sys/kernel/random/boot_id
# Where nothing can be written it goes on, so that people can look, and says so.
daemon_down
mv /var/lib/backstop/audit/key.pub /tmp/key.pub
: > /w/daemon.log
backstopd >> /w/daemon.log 2>&1 &
daemon=$!
for _ in $(seq 100); do grep -q listening /w/daemon.log && break; sleep 0.05; done
expect what-cant-be-written-is-said 0 'cannot put on record that it watches' cat /w/daemon.log
kill "$daemon"
wait "$daemon" 2> /dev/null
mv /tmp/key.pub /var/lib/backstop/audit/key.pub
