#!/bin/sh
# Runs the heartbeat-monitor daemon in the foreground; its pid also goes to /tmp/cortex-heartbeat.pid, or where --pid-file says.
. "$(dirname -- "$(readlink -f -- "$0")")/../lib/run.sh"
heald_run_daemon heartbeat-monitor /tmp/cortex-heartbeat.pid "$@"
