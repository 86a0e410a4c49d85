# A command as another user: only where root's settings say so, with nothing of the caller's environment, judged like
# any other, and its asker is no one to let it through.
own_etc
printf 'mode = "system"\n[as]\nagent = ["root", "ben"]\n' > /etc/backstop/settings.toml
daemon_up
enrol_two
echo old > /srv/conf
chmod 600 /srv/conf
cd /w
expect as-root 0 '^uid=0\(root\)' agent backstop run --as root --rehearse -- id
expect as-ben 0 '^uid=1002\(ben\) gid=1002' agent backstop run --as ben --rehearse -- id
expect as-himself 0 '^uid=1000\(agent\)' agent backstop run --as agent --rehearse -- id
expect not-as-anna 77 'does not let agent have commands run as anna' agent backstop run --as anna -- id
expect nor-anybody-else-as-root 77 'does not let anna' as 1001 backstop run --as root -- id
expect nobody-of-no-name 2 'no user account' agent backstop run --as nobody-at-all -- id
expect nothing-of-his-environment 0 '^/root root end$' agent env EVIL=1 LD_LIBRARY_PATH=/w BASH_ENV=/w/x \
    backstop run --as root --rehearse -c 'echo $HOME $USER $EVIL $LD_LIBRARY_PATH $BASH_ENV end'
expect held 75 'held' agent backstop run --as root -c 'echo new > /srv/conf'
run=$(newest agent)
expect nothing-yet 0 '^old$' cat /srv/conf
expect its-asker-sees-it 0 'echo new' agent backstop show "$run"
expect but-not-what-is-closed-to-him 0 'not yours to read' agent backstop show "$run" --diff
expect and-lets-nothing-through 77 'only people who are enrolled' agent backstop commit "$run"
expect somebody-enrolled-does 0 'committed' as 1001 backstop commit "$run"
expect then-it-is-so 0 '^new$' cat /srv/conf
expect who-asked-is-on-record 0 'user 1000, as user 0' backstop log
expect its-asker-takes-it-back 0 'undone' agent backstop undo "$run"
expect and-it-is-as-before 0 '^old$' cat /srv/conf
expect with-its-mode 0 '^600 0$' stat -c '%a %u' /srv/conf
expect nothing-is-free-in-everybodys-place 75 'held' agent backstop run --as root -c 'echo x > /tmp/x'
expect nor-in-its-own-caches 75 'held' agent backstop run --as root -c 'mkdir -p /root/.cache; echo x > /root/.cache/x'
expect in-the-home-of-the-asker-too 75 'held' agent backstop run --as root -c 'echo x > /home/agent/x'
again=$(newest agent)
printf 'mode = "system"\n' > /etc/backstop/settings.toml
expect a-word-that-was-taken-back-holds-no-more 77 'does not let agent' as 1001 backstop commit "$again"
expect nor-for-a-redo-however-it-is-named 77 'does not let agent' backstop redo --last 1
expect and-nothing-is-brought-back 0 '^old$' cat /srv/conf
expect the-log-holds 0 '' backstop audit verify
daemon_down
