# What an agent's account may try against its guard.
daemon_up
enrol_two
mkdir -p /home/agent/ws && chown 1000:1000 /home/agent/ws
cd /home/agent/ws
agent backstop run -c 'echo mine > f' > /dev/null 2>&1
echo secret > /root/secret; chmod 600 /root/secret
mkdir -p /etc/backstop 2> /dev/null

# Backstop's own places.
for place in /var/lib/backstop /var/lib/backstop/runs /var/lib/backstop/audit /var/lib/backstop/vault /var/lib/backstop/people.json; do
    expect "reads-nothing-of $place" 2 'Permission denied' agent ls -l "$place/"
done
expect writes-nothing-there 1 'Permission denied' agent bash -c 'echo x > /var/lib/backstop/people.json'
expect takes-no-lock 1 'Permission denied' agent bash -c 'exec 3<> /run/backstop/lock'
expect moves-no-socket 1 'Permission denied' agent mv /run/backstop/socket /run/backstop/other
expect replaces-no-socket 1 'Permission denied' agent rm -f /run/backstop/socket
expect signals-no-daemon 1 'not permitted' agent kill -KILL "$daemon"
expect reads-no-memory 1 'Permission denied' agent cat /proc/"$daemon"/environ
agent bash -c 'exec backstop run --rehearse -- sleep 5' > /dev/null 2>&1 &
sleep 0.7
worker=$(pgrep -P "$daemon" | tail -1)
expect a-worker-is-there 0 . echo "$worker"
expect signals-no-worker 1 'not permitted' agent kill -KILL "$worker"
expect reads-no-worker 2 'Permission denied' agent ls -l /proc/"$worker"/fd/0
expect within-a-run-neither 2 'No such file' agent backstop run --rehearse -- ls /run/backstop/socket /var/lib/backstop/runs
expect within-a-run-no-process-of-others 1 '' agent backstop run --rehearse -- kill -0 "$daemon"
wait %2 2> /dev/null

# Others' runs.
as 1002 bash -c 'mkdir -p /home/ben/w; cd /home/ben/w; echo private > p; backstop run --hold -c "echo more >> p"' > /dev/null 2>&1
theirs=$(newest)
for verb in show discard undo "show --diff" "show --tree" wait; do
    set -- $verb
    expect "no-$1-of-others $verb" 2 'there is no run' agent backstop $1 "$theirs" ${2:-}
done
expect at-last-is-his-own 0 'home/agent/ws' agent backstop show @last
expect lists-his-own 0 'echo mine' agent backstop runs
expect and-no-others 1 '' grep -q more /tmp/said

# Reading by way of the guard.
ln -s /root/secret /home/agent/ws/.backstop-secret; mkdir -p .backstop
ln -s /root/secret .backstop/x.cedar; chown -h 1000:1000 .backstop/x.cedar .backstop
expect no-file-of-roots-as-rules 77 "can't be read: Permission denied" agent backstop run -c 'echo y > f'
expect and-nothing-of-it-is-told 1 '' grep -q secret /tmp/said
rm -r .backstop .backstop-secret
echo hidden > /home/agent/ws/rootfile; chmod 600 /home/agent/ws/rootfile
expect may-be-taken-away 75 '' agent backstop run --hold -c 'rm -f rootfile; true'
expect may-not-be-shown 0 'not yours to read' agent backstop show @last --diff
expect and-is-not 1 '' grep -q hidden /tmp/said
agent mkdir gone; agent bash -c 'echo x > gone/x'
agent backstop run --hold -c 'rm -r gone' > /dev/null 2>&1
agent mv gone was; agent ln -s /root gone
cat > /tmp/raw.py <<'END'
import json, os, socket, struct, sys
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000)
def call():
    global s
    s = socket.socket(socket.AF_UNIX); s.connect('/run/backstop/socket')
def send(kind, value):
    body = json.dumps(value).encode(); s.sendall(kind + struct.pack('<I', len(body)) + body)
def read(n):
    data = b''
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more: sys.exit('closed')
        data += more
    return data
def receive():
    head = read(5); return head[:1], json.loads(read(struct.unpack('<I', head[1:])[0]))
# Who speaks another version is told ours and left alone; the next call speaks it.
call(); send(b'H', {'version': 0, 'program': 'x'}); ours = receive()[1]['version']
call(); send(b'H', {'version': ours, 'program': 'x'}); receive()
def ask(what):
    send(b'Q', what)
    said = []
    while True:
        kind, value = receive(); said.append((kind, value))
        if kind in b'AF': return said
run = ask({'find': {'text': '@last'}})[-1][1]
before = ask({'find': {'text': '@-2'}})[-1][1]
theirs = sys.argv[1]
print('elsewhere', ask({'beneath': {'id': run, 'path': '/root'}}))
print('by a link', ask({'beneath': {'id': run, 'path': '/home/agent/ws/gone'}}))
print('no path of it', ask({'content': {'id': run, 'path': '/root/secret', 'side': 'Before', 'limit': 2**63}}))
print('of roots', ask({'content': {'id': before, 'path': '/home/agent/ws/rootfile', 'side': 'Before', 'limit': 100}}))
for what in ['record', 'effects', 'discard', 'commit']:
    print('theirs', what, ask({what: {'id': theirs}}))
for what in [{'settle-edit': {'id': theirs, 'unchanged': 'GiveUp'}}, {'undo': {'which': {'Runs': [theirs]}, 'options': {'beside': False}}}]:
    print('theirs', what, ask(what))
told = {'delivered': {'delivery': {'attempts': 1, 'channel': 'x', 'entry': 1}}}
for what in [{'notices': {'from': None, 'wait_ms': 0}}, 'test-notice', told, {'change-people': {'change': {'remove': {'id': 'anna'}}}}]:
    print('theirs', what, ask(what))
print('end')
END
expect nothing-by-the-wire-itself 0 '^end$' python3 /tmp/raw.py "$theirs"
expect no-answer-about-others 1 '' bash -c "grep '^theirs' /tmp/said | grep -v \"b'F'\""
expect no-word-of-what-is-closed 1 '' grep -E 'secret.?n|hidden|/root/|private' /tmp/said
rm gone; agent mv was gone; agent backstop discard @last > /dev/null 2>&1
agent backstop discard @last > /dev/null 2>&1

# Writing by way of the guard: what was rehearsed is moved where somebody else's is now.
agent mkdir d; mkdir r
expect a-file-in-his-own 75 '' agent backstop run --hold -c 'echo evil > d/evil'
mine=$(newest agent)
agent mv d d.away; agent mv r d
expect root-writes-nothing-into-roots 74 'may not change this now' backstop commit "$mine"
expect and-it-is-not-there 2 '' ls d/evil
agent mv d r; agent ln -s r d
expect nor-through-a-link 74 '' backstop commit "$mine"
rm d; agent mv d.away d
expect where-it-is-his-it-goes 0 '' backstop commit "$mine"
echo roots > rootfile2
agent bash -c 'echo a > h'
expect a-change-of-his-own 75 '' agent backstop run --hold -c 'echo b >> h'
agent mv h h.away; agent mv rootfile2 h
expect root-writes-into-no-file-of-roots 74 '' backstop commit @last
expect which-is-as-it-was 0 '^roots$' cat h

# What he may, he may: as if he did it himself.
mkdir shared own; chown 0:1000 shared; chmod 2775 shared; chown 1000:1000 own; mkdir own/empty
expect by-his-group 0 '' agent backstop run -c 'echo x > shared/x'
expect with-the-directorys-group 0 '^1000 1000$' stat -c '%u %g' shared/x
expect others-empty-directories-go-with-his-own 0 '' agent backstop run -c 'rm -r own'
expect they-are-gone 1 '' test -e own
agent bash -c 'mkdir -p e/e1; echo a > e/e1/f'
expect what-he-shut-himself 0 '' agent backstop run -c 'echo b >> e/e1/f; chmod 644 e'
expect is-changed-all-the-same 0 '^b$' tail -1 e/e1/f
expect and-taken-back 0 'undone' agent backstop undo @last
agent bash -c 'cp /usr/bin/sleep busy; ./busy 60 & echo $! > busy.pid'
expect what-is-being-executed-waits 74 'executed' agent backstop run -c 'cat /usr/bin/true > busy'
expect and-stops-nobody 0 '' as 1002 bash -c 'cd /home/ben/w; exec backstop run -c "echo z > z"'
agent bash -c 'kill $(cat busy.pid)'

# Odd calls.
expect no-nonsense 0 '' python3 - <<'END'
import os, socket, struct, array, random
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000)
def connect():
    s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('/run/backstop/socket'); return s
def closed(s):
    try:
        while s.recv(65536): pass
    except (ConnectionError, TimeoutError) as e:
        assert not isinstance(e, TimeoutError), 'it waits for more'
hello = b'H' + struct.pack('<I', 30) + b'{"version":3,"program":"test"}'
random.seed(7)
for n in range(300):
    s = connect(); s.sendall(random.randbytes(random.randint(5, 400)) if n % 2 else hello + b'Q' + struct.pack('<I', 20) + random.randbytes(20))
    s.shutdown(socket.SHUT_WR); closed(s)
for bad in [b'Q' + struct.pack('<I', 0xffffffff), hello + b'Q' + struct.pack('<I', 9 << 20), hello + hello, hello + b'R' + struct.pack('<I', 1) + b'1',
            b'H' + struct.pack('<I', 31) + b'{"version":99,"program":"test"}', hello + b'Q' + struct.pack('<I', 100000) + b'[' * 100000]:
    s = connect(); s.sendall(bad); s.shutdown(socket.SHUT_WR); closed(s)
# Handles that nobody asked for, more than fit, directories, and the connection itself.
d = os.open('/', os.O_RDONLY)
for fds in [[d], [d] * 30, None]:
    s = connect(); a = array.array('i', fds or [s.fileno()])
    s.sendmsg([hello], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, a)]); s.sendmsg([b'Q\x05\0\0\0"nil"'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, a)])
    s.shutdown(socket.SHUT_WR); closed(s)
END
expect odd-streams 125 'directory|position' agent bash -c 'backstop run --rehearse -- cat < /'
expect no-more-than-its-share 0 '^closed at 256 root is heard$' python3 - <<'END'
import os, socket, subprocess, time
def many():
    held = []
    for n in range(400):
        s = socket.socket(socket.AF_UNIX); s.connect('/run/backstop/socket'); held.append(s)
    time.sleep(1)
    open_ = 0
    for s in held:
        s.setblocking(False)
        try:
            if s.recv(1): continue
        except BlockingIOError:
            open_ += 1
    return open_, held
pid = os.fork()
if pid == 0:
    os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000)
    n, held = many()
    print('closed at', n, end=' ', flush=True)
    other = subprocess.run(['true'])
    time.sleep(1); os._exit(0)
time.sleep(2.2)
ok = subprocess.run(['setpriv', '--reuid=1002', '--regid=1002', '--clear-groups', 'backstop', 'runs'], capture_output=True)
print('root is heard' if ok.returncode == 0 else ok.stderr, flush=True)
os.waitpid(pid, 0)
END
for trick in LD_PRELOAD=/w/none.so BASH_ENV=/w/none ENV=/w/none PATH=/w:/usr/bin:/bin IFS=x GCONV_PATH=/w TMPDIR=/root XDG_STATE_HOME=/w BACKSTOP_FAULT=1 BACKSTOP_TRACE=/root/trace; do
    expect "environment $trick" 0 '^1000$' agent env "$trick" /guard/backstop run --rehearse -- /usr/bin/id -u
done
expect nothing-is-traced 1 '' test -e /root/trace
expect the-daemon-lives 0 '' kill -0 "$daemon"
expect the-log-holds 0 '' backstop audit verify
daemon_down
