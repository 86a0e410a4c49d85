line "$WRAP bash -c 'trap \"echo got it; exit 7\" INT; echo ready; sleep 20 & wait'; echo code \$?"
see '^ready'
key C-c
tell 'got it$'
tell '^code [0-9]'
line "clear"
see '^\$'
line "$WRAP bash -c 'echo ready; sleep 20; echo never'"
see '^ready'
key C-c
see '^\^C'
line "echo code \$?"
tell '^code [0-9]'
screen | grep -c '^never'
line "clear"
see '^\$'
line "$WRAP bash -c 'trap \"\" INT; echo ready; sleep 1; echo unmoved'; echo code \$?"
see '^ready'
key C-c
tell 'unmoved$'
tell '^code [0-9]'
