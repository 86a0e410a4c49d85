# The disk of the audit log is full: nothing begins, but how things end, and what is refused, is still on record.
own_etc
daemon_up
daemon_down
cp -a /var/lib/backstop/audit /tmp/audit
mount -t tmpfs -o size=8m,mode=700 tmpfs /var/lib/backstop/audit
cp -a /tmp/audit/. /var/lib/backstop/audit
fill() { dd if=/dev/zero of=/var/lib/backstop/audit/other bs=64k 2>&1; }
of() { backstop log --json --event "$1" | wc -l; }
daemon_up
agent mkdir /home/agent/ws
here() { agent bash -c 'cd /home/agent/ws && "$@"' bash "$@"; }
expect something-takes-effect 0 '' here backstop run -c 'echo a > a'
done_before=$(newest agent)
# Under way when the disk gets full.
here backstop run --parallel -c 'sleep 60; echo b > b' > /tmp/stopped 2>&1 &
stopped=$!
for _ in $(seq 100); do [ "$(of run.requested)" = 2 ] && break; sleep 0.1; done
fill > /tmp/filled
expect it-is-full 1 'No space left' fill
wait "$stopped"
expect what-was-under-way-is-stopped 0 'nothing took effect: stopped' cat /tmp/stopped
expect and-on-record 0 '^1$' of run.failed
expect nothing-of-it-is-there 1 '' test -e /home/agent/ws/b
# What may begin uses a part of the room that was taken ahead, and not the rest.
long=$(head -c 4000 /dev/zero | tr '\0' x)
for _ in $(seq 1000); do agent backstop run --reason "$long" -- true > /tmp/begun 2>&1 || break; done
expect nothing-begins 125 'the disk is full: what is left .* is kept for how things end' agent backstop run --reason "$long" -- true
expect the-way-on-is-said 125 'make room' agent backstop run --reason "$long" -- true
expect taking-back-goes-on 0 'undone' agent backstop undo "$done_before"
expect the-log-holds 0 'integrity +holds' backstop audit verify
rm /var/lib/backstop/audit/other
expect with-room-things-begin 0 '' here backstop run -c 'echo c > c'
fill > /tmp/filled
expect freezing-goes-on 0 'frozen' backstop freeze
expect and-is-on-record 0 '^1$' of host.frozen
expect the-log-holds-all-the-same 0 'authorisation +holds' backstop audit verify
