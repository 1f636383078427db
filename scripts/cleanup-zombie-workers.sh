#!/bin/sh
# Ends what is left of zombie workers: all of them, or the ids given. Safe to repeat; exits 3 for an unknown id.
. "$(dirname -- "$(readlink -f -- "$0")")/lib/run.sh"
heald_run cleanup "$@"
