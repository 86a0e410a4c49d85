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
expect by-many-at-once 0 . python3 -c 'import re; t = open("/w/memory").read(); print(t); assert int(re.search(r"workers (\d+)", t)[1]) >= 100; assert int(re.search(r"daemon KiB (\d+)", t)[1]) < 102400'
expect the-log-holds 0 '' backstop audit verify
daemon_down
