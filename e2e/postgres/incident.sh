# The incident with a real server. Takes PROFILE, UIDN (who the agent is) GUARD (`guarded` or `plain`)
# and PROOF (`fresh` where the data has a backup that was restored two hours ago);
# leaves in /w what was said, the exit code and how the database is afterwards.
set -e
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
data=/srv/postgres/data
# The server never runs as root, and in the arena there is one other account.
server() { setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all "$@"; }
agent() { if [ "$UIDN" = 0 ]; then "$@"; else server "$@"; fi; }
start() { server "$bin/pg_ctl" -D $data -w -t 30 -l /srv/postgres/log -o "-k /tmp -c listen_addresses='' -c fsync=off" start > /w/start 2>&1; }
sql() { server "$bin/psql" -h /tmp -U shop -d postgres -qAt -c "$1"; }
# What the server itself writes from time to time is left out.
names() { (cd $data && find . -not -path './pg_wal/*' -not -path './pg_stat*' -not -name 'pg_internal.init' -not -name '*.tmp*' | sort); }

mkdir -p /srv/postgres /var/www/html && chown 1000:1000 /srv/postgres
echo '<h1>shop</h1>' > /var/www/html/index.html
server "$bin/initdb" -D $data --data-checksums --no-sync --auth trust --username shop > /dev/null
ln -s $data /var/www/temp
start
sql "create table customers(id int primary key, name text, since date)"
sql "insert into customers select i, 'Customer ' || i, date '2024-01-01' + i % 900 from generate_series(1, 2000) i"
sql checkpoint
names > /w/names.before

if [ "$PROOF" = fresh ]; then
    # The first look makes the state directory; the proof is what the backup's test would leave there.
    agent backstop runs > /dev/null
    at=$(date -u -d '2 hours ago' +%Y-%m-%dT%H:%M:%S.000000000Z)
    printf '{"version":1,"proven":[{"at":"%s","level":"application","locations":2,"roots":["%s"]}]}' "$at" $data \
        > /state/backstop/proven.json
    chown "$UIDN" /state/backstop/proven.json
fi

cd /var/www
code=0
case $GUARD in
guarded) agent backstop run --profile "$PROFILE" -c 'rm -rf /var/www/temp/*' > /w/said.out 2> /w/said.err || code=$? ;;
plain) agent bash -c 'rm -rf /var/www/temp/*' > /w/said.out 2> /w/said.err || code=$? ;;
esac
echo $code > /w/code
agent backstop show --json @last > /w/show.json 2> /dev/null || true

names > /w/names.after
{
    echo "rows $(sql 'select count(*) from customers' 2>&1 | tail -n 1)"
    sql "insert into customers values (2001, 'one more', now())" > /dev/null 2>&1 && echo 'takes a row'
    # A server keeps files open that have no name any more: only a new start tells what is left.
    server "$bin/pg_ctl" -D $data -m fast -w -t 30 stop > /dev/null 2>&1 || pkill -9 -u 1000 postgres || true
    server "$bin/pg_checksums" -D $data --check > /dev/null 2>&1 && echo 'checksums hold'
    if start; then
        echo "rows after a new start $(sql 'select count(*) from customers' 2>&1 | tail -n 1)"
        server "$bin/pg_ctl" -D $data -m fast -w stop > /dev/null
    else
        echo 'does not start again'
    fi
} > /w/database 2>&1
