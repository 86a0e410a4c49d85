line "$WRAP bash -c 'stty size; trap \"stty size\" WINCH; echo ready; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done; echo done'"
tell '^30 90'
see '^ready'
$T resize-window -x 70 -y 20
tell '^20 70'
see '^done'
line "$WRAP tput cols; $WRAP tput lines"
tell '^70$'
tell '^20$'
