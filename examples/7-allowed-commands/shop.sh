#!/bin/sh
# Needs a shelf for its task, a folder below the home. Without one it ends with the exit code that is given ($1).
. "$EMITTER"
emit_heartbeat "$HEALD_WORKER_ID" 100 0 "looking for its shelf"
if [ ! -d "$HEALD_HOME/shelves/$HEALD_TASK_ID" ]; then
  sleep 0.3
  echo "no shelf for $HEALD_TASK_ID"
  exit "$1"
fi
parcel=0
while [ "$parcel" -lt 300 ]; do
  parcel=$((parcel + 1))
  emit_heartbeat "$HEALD_WORKER_ID" 100 $((parcel / 3)) "parcel $parcel"
  sleep 0.5
done
