# Many at once: everybody is served, in bounded memory.
daemon_up
enrol_two
cd /home/agent && mkdir many && chown 1000:1000 many && cd many
agent bash -c 'for n in $(seq 200); do mkdir w$n; done'
began=$(date +%s.%N)
agent bash -c 'for n in $(seq 200); do (cd w$n && exec backstop run -c "sleep 8; echo $n > f" > ../out.$n 2>&1; echo $? > ../code.$n) & done; wait' &
all=$!
sleep 7
python3 - "$daemon" > /w/memory <<'END'
import os, sys
daemon = int(sys.argv[1])
def pss(pid):
    try:
        return next(int(l.split()[1]) for l in open(f'/proc/{pid}/smaps_rollup') if l.startswith('Pss:'))
    except (OSError, StopIteration):
        return 0
children = [int(p) for p in os.listdir('/proc') if p.isdigit() and (lambda s: s and int(s.rsplit(')', 1)[1].split()[1]) == daemon)((lambda: open(f'/proc/{p}/stat').read() if os.path.exists(f'/proc/{p}/stat') else '')())]
print('workers', len(children), 'daemon KiB', pss(daemon), 'all KiB', pss(daemon) + sum(map(pss, children)))
END
wait $all
echo "seconds $(echo "$(date +%s.%N) - $began" | bc 2> /dev/null)" >> /w/memory
expect everybody-was-served 0 '^200$' bash -c 'cat w*/f | sort -n | tail -1; [ $(cat w*/f | wc -l) = 200 ]'
expect by-many-at-once 0 . python3 -c 'import re; t = open("/w/memory").read(); print(t); assert int(re.search(r"workers (\d+)", t)[1]) >= 100; assert int(re.search(r"all KiB (\d+)", t)[1]) < 102400'

# A thousand questions wait for people: they are listed, and one is decided. How long it takes is told, not claimed.
own_etc
# A thousand at once are far more than an account may try before it is banned.
echo 'jail = { most = 1000000 }' > /etc/backstop/settings.toml
outside_needs_two
chown 1000 /srv
took() { agent /usr/bin/python3 -c '
import statistics, subprocess, sys, time
def once():
    began = time.monotonic()
    assert subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode in (0, 75)
    return (time.monotonic() - began) * 1000
print(round(statistics.median(once() for _ in range(int(sys.argv[1]))), 1))' "$@"; }
before=$(took 30 backstop run -- true)
agent bash -c 'ask() { for n in $(seq $1 4 1000); do backstop run -c "echo $n > /srv/f$n" > /dev/null 2>&1; done; }; for n in 1 2 3 4; do ask $n & done; wait'
after=$(took 30 backstop run -- true)
expect a-thousand-wait 0 '^1000$' as 1001 bash -c 'backstop pending | grep -c "0 of 2"'
cat > /tmp/list.py << 'END_OF_FILE'
import json, resource, subprocess, time
began = time.monotonic()
said = subprocess.run(["backstop", "pending", "--json"], stdout=subprocess.PIPE, check=True)
print(f"pending of {len(json.loads(said.stdout)['requests'])}: ms", round((time.monotonic() - began) * 1000), "client KiB", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
END_OF_FILE
expect they-are-listed-as-json 0 '^pending of 1000' as 1001 /usr/bin/python3 /tmp/list.py
cat /tmp/said >> /w/memory
echo "run -- true: ms before $before, with a thousand waiting $after" >> /w/memory
run=$(agent backstop runs --json | sed -n 's/.*"id": "\(r-[^"]*\)".*/\1/p' | sed -n 500p)
sign 1001 anna "$run" /tmp/keys/a1
expect the-first-decides 0 '1 of 2' as 1001 backstop approve "$run" --signature /tmp/keys/a1.sig
sign 1002 ben "$run" /tmp/keys/b1
expect the-second-decides 0 'committed' as 1002 backstop approve "$run" --signature /tmp/keys/b1.sig
expect and-one-less-waits 0 '^999$' as 1001 bash -c 'backstop pending | grep -c "0 of 2"'
expect the-log-holds 0 '' backstop audit verify
daemon_down
