#!/bin/sh
# Needs its configuration ($1). Without an account in it there is no use in trying again, which it says with exit
# code 78 (EX_CONFIG).
. "$EMITTER"
grep -q '^account=[0-9]' "$1" || {
  echo "ledger: no account in $1"
  exit 78
}
echo "attempt $HEALD_ATTEMPT begins"
entry=0
while [ "$entry" -lt 300 ]; do
  entry=$((entry + 1))
  emit_heartbeat "$HEALD_WORKER_ID" 100 $((entry / 3)) "entry $entry"
  sleep 0.5
done
