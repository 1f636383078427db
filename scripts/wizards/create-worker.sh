#!/bin/sh
# Asks what kind of worker is wanted and starts it. Options answer beforehand; without a terminal nothing is asked,
# and it is spawn-worker.sh with the same options.
heald_here=$(dirname -- "$(readlink -f -- "$0")")

heald_has() {
  heald_name=$1
  shift
  for heald_argument in "$@"; do
    case $heald_argument in --) return 1 ;; "$heald_name" | "$heald_name"=*) return 0 ;; esac
  done
  return 1
}

# heald_ask QUESTION DEFAULT: sets heald_answer.
heald_ask() {
  printf '%s%s: ' "$1" "${2:+ [$2]}"
  IFS= read -r heald_answer || heald_answer=''
  heald_answer=${heald_answer:-$2}
}

# Asked for options go first, before a `--` of the person's.
if [ -t 0 ] && [ -t 1 ]; then
  heald_has --help "$@" || {
    heald_has --type "$@" || { heald_ask 'Type of worker' test-worker && set -- --type "$heald_answer" "$@"; }
    heald_has --task-id "$@" || { heald_ask 'Task id' "task-$(date -u +%Y%m%dT%H%M%SZ)" && set -- --task-id "$heald_answer" "$@"; }
    heald_has --id "$@" || { heald_ask 'Worker id (empty: the next free one)' '' && [ -z "$heald_answer" ] || set -- --id "$heald_answer" "$@"; }
    heald_has --timeout "$@" || heald_has --zombie-after "$@" || {
      heald_ask 'Seconds of silence before it counts as a zombie (empty: the policy decides)' ''
      [ -z "$heald_answer" ] || set -- --timeout "$heald_answer" "$@"
    }
  }
fi
exec "$heald_here/../spawn-worker.sh" "$@"
