#!/bin/sh
# One beat from a shell: clients/heartbeat.sh <worker-id> [health-score] [progress] [activity]
#
# The emitter itself is scripts/lib/worker-heartbeat-emitter.sh, which can also be sourced (`emit_heartbeat …`).
# It lives there because a sourced file cannot find out its own place in a POSIX shell, so it cannot be
# split in two; and that name is the one in operators' runbooks.
case $0 in
  */*) heald_here=${0%/*} ;;
  *) heald_here=. ;;
esac
exec "$heald_here/../scripts/lib/worker-heartbeat-emitter.sh" "$@"
