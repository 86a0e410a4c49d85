line "ulimit -c 0; $WRAP bash -c 'echo ready; exec sleep 20'; echo code \$?"
see '^ready'
key 'C-\'
tell 'code [0-9]+'
line "clear"
see '^\$'
line "$WRAP cat -n; echo code \$?"
sleep 0.4
line "typed"
tell '1.*typed'
key C-d
tell '^code [0-9]'
