/**
 * The worker of a drill: of type test-worker, made by "drill", so that its death teaches nothing and costs no task its account.
 *
 * It beats each second. Attempt 1 of a drill of the kind hang beats twice and then falls silent; every other attempt ends by itself,
 * and well, so that a drill that is killed leaves nothing that goes on for ever.
 * @module
 */
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import type { Layout } from "../../lib/store/layout.js";
import { createWorker, launch } from "../spawning.js";

export const DRILL_KINDS = ["crash", "hang"] as const;
export type DrillKind = (typeof DRILL_KINDS)[number];

export const DRILL_TYPE = "test-worker";
/** Whom its spec names as its maker. */
const MAKER = "drill";
/** Of attempt 1 before it falls silent. */
export const BEATS_BEFORE_HANG = 2;

const SCRIPT = `beats=0
while [ "$beats" -lt "$DRILL_SECONDS" ]; do
  beats=$((beats + 1))
  next=\${HEALD_HEARTBEAT_FILE%/*}/.$HEALD_WORKER_ID.$$.tmp
  printf '{"worker_id":"%s","attempt":%s,"pid":%s,"sequence":%s,"activity":"drill"}\\n' "$HEALD_WORKER_ID" "$HEALD_ATTEMPT" "$HEALD_PID" "$beats" >"$next" && mv -f "$next" "$HEALD_HEARTBEAT_FILE"
  [ "$DRILL_KIND.$HEALD_ATTEMPT.$beats" = "hang.1.${BEATS_BEFORE_HANG}" ] && exec sleep "$DRILL_SECONDS"
  sleep 1
done`;

export interface Practice {
  readonly kind: DrillKind;
  readonly zombieAfterSeconds: number;
  /** How long it lives if nobody ends it. */
  readonly seconds: number;
}

/** Starts it. @throws {Refused} If what its template requires is not there. */
export async function startPractice(layout: Layout, practice: Practice): Promise<WorkerSpecRecord> {
  const order = {
    type: DRILL_TYPE,
    numberedAs: MAKER,
    createdBy: MAKER,
    taskId: null,
    command: ["sh", "-c", SCRIPT, DRILL_TYPE],
    env: [`DRILL_KIND=${practice.kind}`, `DRILL_SECONDS=${Math.ceil(practice.seconds)}`],
    zombieAfterSeconds: practice.zombieAfterSeconds,
  };
  const record = await createWorker(layout, order, Date.now());
  await launch(layout, record);
  return record;
}
