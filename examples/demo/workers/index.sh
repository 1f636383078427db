#!/bin/sh
# A POSIX shell worker that hands its work to a child. While the child computes, nobody beats.
. "$DEMO_EMITTER"
echo "attempt $HEALD_ATTEMPT begins"

compute() {
  while :; do :; done
}

part=0
while [ "$part" -lt 600 ]; do
  part=$((part + 1))
  emit_heartbeat "$HEALD_WORKER_ID" 100 $((part / 6)) "part $part"
  if [ -e "$DEMO_ORDERS/$HEALD_WORKER_ID" ] && rm "$DEMO_ORDERS/$HEALD_WORKER_ID"; then
    echo "a large part: computing for ten seconds"
    compute &
    sleep 10
    kill "$!"
    wait "$!"
    echo "computed"
  fi
  sleep 0.5
done
