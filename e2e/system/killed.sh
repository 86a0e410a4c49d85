# Whoever serves a run is killed at one point after the other: it has happened, or it has not, and the log says which.
cd /w
mkdir ws && chown 1000:1000 ws && cd ws
agent mkdir -p /home/agent
happened() { [ -e new ] && [ ! -e old ]; }
not_happened() { [ ! -e new ] && [ -e old ] && [ "$(cat old)" = before ]; }
# Of the newest run; none where the one before is still the newest.
state() {
    [ "$(newest)" = "$1" ] && echo none && return
    backstop runs --json | sed -n 's/.*"state": "\([^"]*\)".*/\1/p' | head -1
}
say() { echo "$*" >> /w/result; }

# A log to go on with.
FAULT= daemon_up
agent backstop run -c 'echo first > first' > /dev/null 2>&1
daemon_down
points=0
for n in $(seq 0 400); do
    rm -f new old; agent bash -c 'echo before > old'
    last=$(newest)
    FAULT=kill:$n daemon_up_quietly
    agent backstop run -c 'echo new > new; rm old' > /tmp/said 2>&1
    code=$?
    # Whoever comes while others are at work can't settle it, and clears nothing of it away.
    (flock -x 9; sleep 0.4) 9>> /var/lib/backstop/locks/apply &
    held=$!
    sleep 0.05
    agent backstop runs > /dev/null 2>&1
    wait $held
    daemon_down
    FAULT= daemon_up
    agent backstop runs > /tmp/runs 2>&1
    now=$(state "$last")
    case "$now" in
        committed) happened || say "FAIL run killed at $n: $now, but $(ls)" ;;
        *) not_happened || say "FAIL run killed at $n: $now, but $(ls)" ;;
    esac
    # Twice killed, the end of the log may wait for its signature.
    backstop recover > /dev/null 2>&1
    backstop audit verify > /tmp/verify 2>&1 || say "FAIL run killed at $n: $(cat /tmp/verify)"
    daemon_down
    [ $code = 0 ] && break
    points=$((points + 1))
done
expect a-run-was-killed-at-many-points 0 '' test $points -gt 10
for n in $(seq 0 400); do
    rm -f new old; agent bash -c 'echo before > old'
    FAULT= daemon_up
    agent backstop run -c 'echo new > new; rm old' > /dev/null 2>&1
    daemon_down
    FAULT=kill:$n daemon_up_quietly
    agent backstop undo @last > /tmp/said 2>&1
    code=$?
    daemon_down
    FAULT= daemon_up
    agent backstop runs > /tmp/runs 2>&1
    now=$(state)
    case "$now" in
        committed) happened || say "FAIL undo killed at $n: $now, but $(ls)" ;;
        undone) not_happened || say "FAIL undo killed at $n: $now, but $(ls)" ;;
        *) say "FAIL undo killed at $n: the run is $now" ;;
    esac
    backstop audit verify > /tmp/verify 2>&1 || say "FAIL undo killed at $n: $(cat /tmp/verify)"
    daemon_down
    [ $code = 0 ] && break
done
expect an-undo-as-well 0 '' test "$n" -gt 5

# The daemon itself, while something is held, and while something runs.
FAULT= daemon_up
rm -f new old; agent bash -c 'echo before > old'
expect held 75 'held' agent backstop run --hold -c 'echo new > new; rm old'
kill -KILL "$daemon"; wait "$daemon" 2> /dev/null
expect nobody-serves 125 "can't be reached" agent backstop runs
daemon_up
expect held-as-before 0 'held' agent backstop runs
expect and-can-be-committed 0 '' backstop commit @last
expect it-happened 0 '' happened
agent backstop run -c 'sleep 1; echo late > late' > /tmp/late 2>&1 &
late=$!
sleep 0.4
kill -KILL "$daemon"; wait "$daemon" 2> /dev/null
expect a-run-outlives-its-daemon 0 '' wait $late
expect and-takes-effect 0 late cat late
daemon_up
expect and-is-on-record 0 'committed' agent backstop runs
expect the-log-holds 0 '' backstop audit verify
daemon_down
