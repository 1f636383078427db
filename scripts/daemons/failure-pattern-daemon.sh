#!/bin/sh
# Runs the failure-pattern daemon in the foreground; its pid also goes to /tmp/cortex-failure-pattern.pid, or where --pid-file says.
. "$(dirname -- "$(readlink -f -- "$0")")/../lib/run.sh"
heald_run_daemon failure-pattern /tmp/cortex-failure-pattern.pid "$@"
