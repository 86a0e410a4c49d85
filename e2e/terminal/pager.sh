seq 200 > numbers
line "$WRAP less numbers; echo code \$?"
see '^29$'
key Space
see '^58$'
key G
see '^200$'
screen | head -3
key q
tell '^code [0-9]'
rm numbers
