line "$WRAP bash -c 'read -r -s -p \"secret: \" word < /dev/tty; echo; echo has \${#word}'; echo code \$?"
see 'secret: '
sleep 0.2
line "hunter2"
tell '^has [0-9]'
tell '^code [0-9]'
screen | grep -c hunter2
line "echo visible"
tell '^visible'
