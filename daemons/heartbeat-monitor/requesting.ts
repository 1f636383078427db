/**
 * Files the request that tells of a death, also where another request for the worker waits already.
 *
 * What waits is mostly a person's, made while the worker lived; it expires after an hour. If the death were not told in
 * it, nobody would restart the worker when it has expired.
 * @module
 */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { replaceFile } from "../../lib/platform/files.js";
import { type RestartRequest, restartRequestSchema } from "../../lib/schema/records.js";
import { textOf } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import type { Mailbox } from "../../lib/store/mailbox.js";
import { MAX_BYTES, readRecord, UNFINISHED_MS } from "../../lib/store/records.js";

/** `merged`: what waits tells of the death now. `told`: it did so before. */
export type Filed = "filed" | "merged" | "told";

const LOOK_AGAIN_MS = 250;
/** By then a request that is no request has been rejected, if anybody reads the queue. */
const REJECTED_MS = UNFINISHED_MS + 1000;
const TRIES = 5;

/** Files it at once, unless what has its name cannot be read: then that is waited for, and at last a second name is taken. */
export function fileRequest(layout: Layout, queue: Mailbox, death: RestartRequest): Filed | Promise<Filed> {
  return tryToFile(layout, queue, death) ?? fileLater(layout, queue, death);
}

async function fileLater(layout: Layout, queue: Mailbox, death: RestartRequest): Promise<Filed> {
  for (let waitedMs = 0; waitedMs < REJECTED_MS; waitedMs += LOOK_AGAIN_MS) {
    await delay(LOOK_AGAIN_MS);
    const filed = tryToFile(layout, queue, death);
    if (filed !== null) return filed;
  }
  return queue.file(`${death.worker_id}-restart.after-${death.attempt ?? 0}.json`, death) ? "filed" : "told";
}

/** Null while what has its name cannot be read. */
function tryToFile(layout: Layout, queue: Mailbox, death: RestartRequest): Filed | null {
  const path = layout.queueRequest(death.worker_id);
  for (let nth = 0; nth < TRIES; nth++) {
    if (queue.file(`${death.worker_id}-restart.json`, death)) return "filed";
    // One that only root may read, as of `sudo heald restart`, is waited for like one that is no request.
    const options = {
      ...{ maxBytes: MAX_BYTES.request, nowMs: Date.now(), what: "request", isFleeting: true },
      refusesForbidden: true,
    };
    const waiting = readRecord(path, restartRequestSchema, options);
    // Claimed in this very moment: its name is free again.
    if (waiting.kind === "absent") continue;
    if (waiting.kind !== "ok") return null;
    if (tellsOf(waiting.value, death)) return "told";
    const now = statSync(path, { throwIfNoEntry: false });
    // Whoever wrote it meanwhile is read first.
    if (now === undefined || now.ino !== waiting.ino || now.mtimeMs !== waiting.mtimeMs) continue;
    replaceFile(path, textOf(merged(waiting.value, death)), { draftFolder: dirname(layout.queueDir) });
    return "merged";
  }
  return null;
}

/** Only the monitor says when it found out; auto-fix says of its own requests what they cost. */
function tellsOf(waiting: RestartRequest, death: RestartRequest): boolean {
  const [waits, died] = [waiting.attempt ?? 0, death.attempt ?? 0];
  return waits > died || (waits === died && typeof waiting.ended?.detected_at_ms === "number");
}

/** It stays whose it was, with all that was asked for, but does not expire any more: its worker is dead until it is answered. */
function merged(waiting: RestartRequest, death: RestartRequest): RestartRequest {
  const { expires_at: _, ...kept } = waiting;
  const { attempt, ended, incident_id } = death;
  return { ...kept, attempt, ended, ...(incident_id == null ? {} : { incident_id }) };
}
