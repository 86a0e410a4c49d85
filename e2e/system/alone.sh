# One person only: what takes two is let through after a day, where root says so, and not a moment before.
own_etc
outside_needs_two
shop a b c d
daemon_up
key 1001 anna
key 1002 ben
expect enrol-anna 0 'enrol a second person' backstop people add anna --account anna --key /tmp/keys/anna
cd /srv
hold a
expect not-unless-root-says-so 77 'nobody is enrolled who could approve it' backstop commit "$run"
echo 'alone = "wait"' > /etc/backstop/settings.toml
hold a
first=$run
expect says-who-and-when 0 'nobody else is enrolled: anna may approve it from' agent backstop show "$run"
expect the-text-says-so 0 'nobody else is enrolled; to be denied' as 1001 backstop show "$run" --approval
expect waits 0 '0 of 1, opens in 2[34] h, expires in 4[78] h' as 1001 backstop pending
expect not-today 77 'can be approved from' as 1001 backstop show "$run" --statement --key /tmp/keys/anna.pub
expect not-by-root 77 'needs 1 person, after a day, has 0' backstop commit "$run"
hold b
sign 1001 anna "$run" /tmp/keys/no deny
expect a-no-counts-at-once 0 'denied' as 1001 backstop deny "$run" --signature /tmp/keys/no.sig
later 86300
expect a-minute-early 77 'can be approved from' as 1001 backstop show "$first" --statement --key /tmp/keys/anna.pub
later 86460
sign 1001 anna "$first" /tmp/keys/yes
echo > /etc/backstop/settings.toml
expect not-where-root-changed-his-mind 77 'lets nobody approve alone' as 1001 backstop approve "$first" --signature /tmp/keys/yes.sig
echo 'alone = "wait"' > /etc/backstop/settings.toml
expect nothing-gone 0 '' test -e /srv/shop/a
expect after-a-day 0 'committed' as 1001 backstop approve "$first" --signature /tmp/keys/yes.sig
expect gone 1 '' test -e /srv/shop/a
expect the-log-holds 0 '' by_clock backstop audit verify
expect comes-back 0 'undone' agent backstop undo "$first"
hold c
late=$run
later 259400
sign 1001 anna "$late" /tmp/keys/late
expect not-for-ever 77 'expired' as 1001 backstop show "$late" --statement --key /tmp/keys/anna.pub
hold d
expect enrol-ben 0 'takes two people from now on' backstop people add ben --account ben --key /tmp/keys/ben
later 345900
expect not-where-there-are-two 77 'is superseded' as 1001 backstop show "$run" --statement --key /tmp/keys/anna.pub
expect nothing-of-it 0 '' test -e /srv/shop/d
expect the-log-still-holds 0 '' by_clock backstop audit verify
daemon_down
