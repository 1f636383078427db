/** The requests to restart that wait: a worker may be known by one alone, before its first attempt. @module */
import { join } from "node:path";
import { type RestartRequest, restartRequestSchema } from "../lib/schema/records.js";
import { jsonNamesIn } from "../lib/store/entries.js";
import type { Layout } from "../lib/store/layout.js";
import { MAX_BYTES, readRecord } from "../lib/store/records.js";

/** Those that can be read, one for each worker; the others are worker-restart's to report. */
export function queuedRequests(layout: Layout, nowMs: number): RestartRequest[] {
  const found = new Map<string, RestartRequest>();
  for (const name of jsonNamesIn(layout.queueDir)) {
    const request = readRequest(join(layout.queueDir, name), nowMs);
    if (request !== null && !found.has(request.worker_id)) found.set(request.worker_id, request);
  }
  return [...found.values()];
}

/** The request that waits for a worker, also under a name that a person gave it; null if none does. */
export function queuedRequest(layout: Layout, workerId: string, nowMs: number): RestartRequest | null {
  const own = readRequest(layout.queueRequest(workerId), nowMs);
  if (own?.worker_id === workerId) return own;
  return queuedRequests(layout, nowMs).find((request) => request.worker_id === workerId) ?? null;
}

function readRequest(path: string, nowMs: number): RestartRequest | null {
  const reading = readRecord(path, restartRequestSchema, { maxBytes: MAX_BYTES.request, nowMs });
  return reading.kind === "ok" ? reading.value : null;
}
