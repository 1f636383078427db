#!/bin/sh
# A POSIX shell worker with a task that no worker survives.
. "$DEMO_EMITTER"
echo "attempt $HEALD_ATTEMPT takes $HEALD_TASK_ID"
emit_heartbeat "$HEALD_WORKER_ID" 100 0 "parsing $HEALD_TASK_ID"
sleep 0.5
echo "parse: nesting too deep in $HEALD_TASK_ID"
exit 1
