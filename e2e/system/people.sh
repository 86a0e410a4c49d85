# The incident, where the agent's account has no right but its own: held, and let go by two people alone.
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
data=/srv/shop/data
mkdir -p /srv/shop /var/www && chown 1000:1000 /srv/shop
agent "$bin/initdb" -D $data --data-checksums --no-sync --auth trust --username shop > /dev/null
ln -s $data /var/www/temp
(cd $data && find . | sort) > /w/names.before
daemon_up
enrol_two
key 1001 anna-too
key 1000 stranger
expect nobody-asks-for-more-but-root 77 'only root' as 1001 backstop people add mallory --no-account --key /tmp/keys/anna-too
at=$(date -u -d '2 hours ago' +%Y-%m-%dT%H:%M:%S.000000000Z)
printf '{"version":1,"proven":[{"at":"%s","level":"application","locations":2,"roots":["%s"]}]}' "$at" $data \
    > /var/lib/backstop/proven.json

cd /var/www
expect held 75 'needs 2 people' agent backstop run --profile production -c 'rm -rf /var/www/temp/*'
run=$(newest agent)
expect nothing-gone 0 '' test -e $data/PG_VERSION
# The agent.
expect agent-sees-nothing-of-others 77 'only people who are enrolled' agent backstop pending
expect agent-gets-no-statement 77 'only people who are enrolled' agent backstop show "$run" --statement --key /tmp/keys/stranger.pub
expect agent-lets-nothing-through 77 'only people who are enrolled' agent backstop commit "$run"
expect agent-runs-nothing-again 77 'only people who are enrolled' agent backstop retry "$run"
sign 1001 anna "$run" /tmp/keys/a1
expect agent-brings-no-signature 77 'only people who are enrolled' agent backstop approve "$run" --signature /tmp/keys/a1.sig
# People.
expect a-stranger-signs-nothing 77 "nobody's who is enrolled" as 1001 backstop show "$run" --statement --key /tmp/keys/stranger.pub
sign 1001 anna "$run" /tmp/keys/a2
sign 1002 ben "$run" /tmp/keys/b1
sed 's/^run r-.*/run r-aaaaaa/; s/^request sha256:..../request sha256:0000/' /tmp/keys/b1 > /tmp/keys/other; chown 1002 /tmp/keys/other
as 1002 ssh-keygen -q -Y sign -n approval@backstop -f /tmp/keys/ben /tmp/keys/other
expect a-statement-for-another-request 77 'request' as 1002 backstop approve "$run" --signature /tmp/keys/other.sig
sed 's/^display sha256:..../display sha256:0000/' /tmp/keys/b1 > /tmp/keys/shown; chown 1002 /tmp/keys/shown
as 1002 ssh-keygen -q -Y sign -n approval@backstop -f /tmp/keys/ben /tmp/keys/shown
expect a-statement-over-another-text 77 '' as 1002 backstop approve "$run" --signature /tmp/keys/shown.sig
cp /tmp/keys/b1 /tmp/keys/space; chown 1002 /tmp/keys/space
as 1002 ssh-keygen -q -Y sign -n file -f /tmp/keys/ben /tmp/keys/space
expect a-signature-for-something-else 77 'was signed for file' as 1002 backstop approve "$run" --signature /tmp/keys/space.sig
expect one-is-not-enough 0 '1 of 2' as 1001 backstop approve "$run" --signature /tmp/keys/a1.sig
expect nothing-gone-yet 0 '' test -e $data/PG_VERSION
expect the-same-again 77 '' as 1001 backstop approve "$run" --signature /tmp/keys/a1.sig
expect the-same-person-by-another-statement 77 '' as 1001 backstop approve "$run" --signature /tmp/keys/a2.sig
expect the-same-person-by-another-socket 77 '' backstop approve "$run" --signature /tmp/keys/a2.sig
expect one-commits-nothing 77 '' as 1001 backstop commit "$run"
expect nor-does-root 77 '' backstop commit "$run"
expect still-nothing-gone 0 '' test -e $data/PG_VERSION
expect two-let-it-go 0 'committed' as 1002 backstop approve "$run" --signature /tmp/keys/b1.sig
expect gone 0 '' bash -c "[ -z \"\$(ls -A $data)\" ]"
expect the-log-holds 0 '' backstop audit verify
backstop log --json > /w/log.json
cp /tmp/keys/anna.pub /tmp/keys/ben.pub /w
expect it-comes-back 0 'undone' agent backstop undo "$run"
(cd $data && find . | sort) > /w/names.after
expect every-name-is-back 0 '' cmp /w/names.before /w/names.after
expect checksums-hold 0 '' agent "$bin/pg_checksums" -D $data --check
expect the-log-holds-again 0 '' backstop audit verify
# Who owns the agent's account is no one to ask about it.
key 1000 carl
expect asks-for-carl 75 '' backstop people add carl --account agent --key /tmp/keys/carl
daemon_down
