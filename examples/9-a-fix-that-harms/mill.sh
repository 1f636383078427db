#!/bin/sh
# Grinds batches (processing.batch_size). One of 100 is too much for it after two seconds; one of 200 at once.
. "$EMITTER"
batch=${SETTING_PROCESSING_BATCH_SIZE:-0}
emit_heartbeat "$HEALD_WORKER_ID" 100 0 "a batch of $batch"
if [ "$batch" -le 100 ]; then sleep 2; fi
echo "EMFILE: too many open files, batch of $batch"
exit 75
