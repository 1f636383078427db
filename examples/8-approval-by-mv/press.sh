#!/bin/sh
# Takes as many files at once as its template says (processing.batch_size). More than 60 are too many for it.
. "$EMITTER"
batch=${SETTING_PROCESSING_BATCH_SIZE:-0}
emit_heartbeat "$HEALD_WORKER_ID" 100 0 "a batch of $batch"
if [ "$batch" -gt 60 ]; then
  sleep 0.3
  echo "EMFILE: too many open files, batch of $batch"
  exit 75
fi
file=0
while [ "$file" -lt 300 ]; do
  file=$((file + 1))
  emit_heartbeat "$HEALD_WORKER_ID" 100 $((file / 3)) "file $file"
  sleep 0.5
done
