# What two people let go of a real database, and how it comes back. Takes UIDN (who the agent is); leaves in /w
# what each step was answered with, and how the database is at the end.
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
data=/srv/postgres/data
server() { setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all "$@"; }
agent() { if [ "$UIDN" = 0 ]; then "$@"; else server "$@"; fi; }
sql() { server "$bin/psql" -h /tmp -U shop -d postgres -qAt -c "$1"; }
start() { server "$bin/pg_ctl" -D $data -w -t 30 -l /srv/postgres/log -o "-k /tmp -c listen_addresses='' -c fsync=off" start > /w/start 2>&1; }
stop() { server "$bin/pg_ctl" -D $data -m fast -w -t 30 stop > /dev/null 2>&1; }
# One step: its name, its exit code, and what it said.
step() {
    name=$1
    shift
    agent "$@" > /w/said 2>&1
    echo "$name $?" >> /w/steps
    { echo "== $name"; cat /w/said; } >> /w/transcript
}
# The decision of $1 about the last run, signed by OpenSSH; in the file that the second argument names.
sign() {
    agent backstop show @last --statement --key /tmp/keys/$1.pub > /tmp/keys/$2
    chown "$UIDN" /tmp/keys/$2
    agent ssh-keygen -q -Y sign -n approval@backstop -f /tmp/keys/$1 /tmp/keys/$2
}

mkdir -p /srv/postgres /var/www/html /tmp/keys && chown 1000:1000 /srv/postgres && chown "$UIDN" /tmp/keys
server "$bin/initdb" -D $data --data-checksums --no-sync --auth trust --username shop > /dev/null
ln -s $data /var/www/temp
start
sql "create table customers(id int primary key, name text, since date)"
sql "insert into customers select i, 'Customer ' || i, date '2024-01-01' + i % 900 from generate_series(1, 2000) i"
# At rest: a server that goes on writing would make what was approved another thing, and nothing would happen.
stop
(cd $data && find . | sort) > /w/names.before

agent backstop runs > /dev/null
at=$(date -u -d '2 hours ago' +%Y-%m-%dT%H:%M:%S.000000000Z)
printf '{"version":1,"proven":[{"at":"%s","level":"application","locations":2,"roots":["%s"]}]}' "$at" $data \
    > /state/backstop/proven.json
chown "$UIDN" /state/backstop/proven.json
for name in anna ben; do
    agent ssh-keygen -q -t ed25519 -N '' -f /tmp/keys/$name
    step "enrol-$name" backstop people add $name --no-account --key /tmp/keys/$name
done

cd /var/www
step held backstop run --profile production -c 'rm -rf /var/www/temp/*'
sign anna first
sign anna second
sign ben third
step one backstop approve @last --signature /tmp/keys/first.sig
step one-is-not-enough backstop commit @last
step same-person-again backstop approve @last --signature /tmp/keys/second.sig
step nothing-gone test -e $data/PG_VERSION
step two backstop approve @last --signature /tmp/keys/third.sig
step gone test -z "$(ls -A $data)"
step verified backstop audit verify
step undone backstop undo @last
step verified-again backstop audit verify
(cd $data && find . | sort) > /w/names.after
server "$bin/pg_checksums" -D $data --check > /dev/null 2>&1 && echo 'checksums hold' > /w/database
start && echo "rows $(sql 'select count(*) from customers')" >> /w/database
stop
