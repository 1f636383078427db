/** Who the process of an attempt is, by what its files say. @module */
import type { Identity } from "../lib/platform/processes.js";
import { identitySchema, launchRecordSchema } from "../lib/schema/records.js";
import type { WorkerSpecRecord } from "../lib/schema/worker-spec.js";
import type { Layout } from "../lib/store/layout.js";
import { readRecord } from "../lib/store/records.js";
import { attemptOf } from "../lib/store/specs.js";

/** Who an attempt's process is: what the monitor wrote into the spec, else the launch record; null where neither can be read. */
export function knownIdentity(layout: Layout, spec: WorkerSpecRecord): Identity | null {
  const written = identityIn(spec.execution);
  if (written !== null) return written;
  const path = layout.launch(spec.worker_id, attemptOf(spec));
  const options = { maxBytes: 65_536, nowMs: Date.now(), refusesForbidden: true };
  const launch = readRecord(path, launchRecordSchema, options);
  return launch.kind === "ok" ? identityIn(launch.value) : null;
}

/** The five fields that make a process one process; null if one is missing. */
export function identityIn(
  record: { readonly [Field in keyof Identity]?: unknown } | null | undefined,
): Identity | null {
  const read = identitySchema.safeParse(record);
  return read.success ? read.data : null;
}
