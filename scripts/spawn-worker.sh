#!/bin/sh
# Starts a worker: spawn-worker.sh --type TYPE --task-id ID [--timeout SECONDS] [-- command args…]
# --timeout is the silence after which it counts as a zombie (heald spawn --zombie-after).
. "$(dirname -- "$(readlink -f -- "$0")")/lib/run.sh"
heald_options=true heald_left=$#
while [ "$heald_left" -gt 0 ]; do
  heald_argument=$1 heald_left=$((heald_left - 1))
  shift
  if [ "$heald_options" = true ]; then
    case $heald_argument in
      --) heald_options=false ;;
      --timeout) heald_argument=--zombie-after ;;
      --timeout=*) heald_argument=--zombie-after=${heald_argument#*=} ;;
    esac
  fi
  set -- "$@" "$heald_argument"
done
heald_run spawn "$@"
