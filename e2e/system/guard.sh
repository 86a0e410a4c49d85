# Whether somebody watched is in the log: from when to when, by a sign of life a minute, and what is missing of it is said.
own_etc
printf 'mode = "system"\n' > /etc/backstop/settings.toml

# signs: the guard's own entries of the log, shortly.
signs() { backstop log --json --event guard --event audit.heartbeat | sed -n 's/.*"body":{"\([a-z.]*\)".*/\1/p' | xargs; }
# heard SECONDS PATTERN: the daemon says it within that time.
heard() { for _ in $(seq $(($1 * 10))); do grep -E -- "$2" /w/daemon.log && return; sleep 0.1; done; cat /w/daemon.log; return 1; }
killed() {
    kill -9 "$daemon"
    wait "$daemon" 2> /dev/null
}

begun=$(date +%s)
daemon_up
expect it-watches 0 'guard.started +the guard watches \(Backstop [0-9.]+\)' backstop log
for _ in $(seq 900); do signs | grep -q heartbeat && break; sleep 0.1; done
expect a-minute-later-it-still-does 0 '^guard.started audit.heartbeat$' signs
expect not-before-the-minute-is-over 0 '' test $(($(date +%s) - begun)) -ge 60
expect heartbeats-are-told-to-who-asks-for-them 0 'audit.heartbeat the guard lives' backstop log --event audit
expect and-to-nobody-else 0 '^0 1$' bash -c 'backstop log > /tmp/log && echo $(grep -c heartbeat /tmp/log) $(grep -c guard.started /tmp/log)'
daemon_down
expect the-end-is-on-record 0 '^guard.started audit.heartbeat guard.stopped$' signs
daemon_up
expect nothing-is-missing 0 '^0$' bash -c 'backstop audit verify > /tmp/verdict && grep -q "completeness *holds" /tmp/verdict && grep -c "the guard" /tmp/verdict; true'
killed
daemon_up
expect killed-is-not-stopped 0 'the guard ended without being stopped; back after [0-9]+ s' backstop audit verify
expect the-log-holds-all-the-same 0 'completeness +holds' backstop audit verify
# On another start of the machine.
killed
echo 0b7c1d7e-5f0e-4c9e-8a51-1f2e3d4c5b6a > /tmp/boot
mount --bind /tmp/boot /proc/sys/kernel/random/boot_id
daemon_up
expect nor-is-it-where-the-machine-was-started-anew 0 'was not stopped, and the machine was started anew since; back after' backstop audit verify
umount /proc/sys/kernel/random/boot_id
daemon_down
# Where nothing can be written it goes on, so that people can look, and says so.
mv /var/lib/backstop/audit/key.pub /tmp/key.pub
: > /w/daemon.log
backstopd >> /w/daemon.log 2>&1 &
daemon=$!
expect what-cant-be-written-is-said 0 'cannot put on record that it watches' heard 10 'cannot put on record'
expect it-goes-on 0 listening heard 10 listening
expect people-can-look 0 '' backstop runs
expect nothing-is-run 125 '' agent backstop run -- true
mv /tmp/key.pub /var/lib/backstop/audit/key.pub
daemon_down
# A log that takes nothing keeps nobody from ending it.
: > /w/daemon.log
daemon_up
heard 10 listening > /dev/null
flock /var/lib/backstop/audit/lock sleep 60 &
lock=$!
sleep 0.5
begun=$(date +%s)
daemon_down
expect an-end-that-cant-be-written-is-one 0 'that it was told to end is not on record' cat /w/daemon.log
expect and-soon 0 '' test $(($(date +%s) - begun)) -le 20
pkill -P "$lock" sleep
wait "$lock" 2> /dev/null
