#!/bin/sh
# A POSIX shell worker: takes one page after another and beats between them.
# Ordered to, it falls silent: it lives on, asleep, and does not beat. It ends by itself after five minutes.
. "$DEMO_EMITTER"
# Asked to stop, it closes what it has open, which takes a moment.
trap 'echo "closing"; sleep 0.5; exit 0' TERM
echo "attempt $HEALD_ATTEMPT begins"
page=0
while [ "$page" -lt 600 ]; do
  page=$((page + 1))
  emit_heartbeat "$HEALD_WORKER_ID" 100 $((page / 6)) "page $page"
  if [ -e "$DEMO_ORDERS/$HEALD_WORKER_ID" ] && rm "$DEMO_ORDERS/$HEALD_WORKER_ID"; then
    echo "waiting for a page that never comes"
    sleep 300
  fi
  sleep 0.5
done
