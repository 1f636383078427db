#!/bin/sh
# Runs the worker-restart daemon in the foreground; its pid also goes to /tmp/cortex-worker-restart.pid, or where --pid-file says.
. "$(dirname -- "$(readlink -f -- "$0")")/../lib/run.sh"
heald_run_daemon worker-restart /tmp/cortex-worker-restart.pid "$@"
