line "$WRAP bash -c 'echo ready; sleep 4321'"
see '^ready'
$T kill-session
for _ in $(seq 100); do pgrep -f 'sleep 4321' > /dev/null || break; sleep 0.05; done
pgrep -fc 'sleep 4321'
true
