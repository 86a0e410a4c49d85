command -v vim > /dev/null || { echo no vim; exit 0; }
printf 'one\ntwo\n' > text
line "$WRAP vim -u NONE -i NONE -n -N text; echo code \$?"
see '^~'
screen | grep -c '^~'
key G
$T send-keys -l 'othree'
key Escape
$T send-keys -l ':wq'
key Enter
tell '^code [0-9]'
cat text; rm text
line "stty -a | grep -o ' icanon\| echo ' | tr -d ' ' | sort | xargs echo modes"
tell '^modes echo icanon'
