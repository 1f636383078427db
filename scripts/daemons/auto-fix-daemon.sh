#!/bin/sh
# Runs the auto-fix daemon in the foreground; its pid also goes to /tmp/cortex-auto-fix.pid, or where --pid-file says.
. "$(dirname -- "$(readlink -f -- "$0")")/../lib/run.sh"
heald_run_daemon auto-fix /tmp/cortex-auto-fix.pid "$@"
