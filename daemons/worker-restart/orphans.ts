/** Claimed requests whose claimer is dead: which of them a restart in hand accounts for, and how the others wait again. @module */
import { basename } from "node:path";
import { restartRequestSchema } from "../../lib/schema/records.js";
import { filedName, type Mailbox } from "../../lib/store/mailbox.js";
import { MAX_BYTES, readRecord } from "../../lib/store/records.js";
import { withOwnTime } from "./request-file.js";
import type { WorkerPart } from "./state.js";

const WORKER = "worker:";

/** The names, claimed or filed, of requests that an attempt on probation or a start in hand accounts for. */
export function accountedFor(parts: Iterable<readonly [string, unknown]>): Set<string> {
  const known = new Set<string>();
  for (const [key, part] of parts) {
    if (!key.startsWith(WORKER)) continue;
    const { run, waiting } = part as WorkerPart;
    if (run !== null) known.add(basename(run.claimed));
    if (waiting !== null && waiting.phase !== "waiting") known.add(waiting.name);
  }
  return known;
}

/**
 * Puts the requests of dead claimers back to wait, and rejects those that cannot be read.
 *
 * Only for whoever holds worker-restart's lock. May be done again after a crash.
 * @returns The names under which they wait.
 */
export function adoptOrphans(mailbox: Mailbox, known: ReadonlySet<string>): string[] {
  return mailbox
    .orphans()
    .filter(({ path }) => !known.has(basename(path)) && !known.has(filedName(path)))
    .map(({ path, name }) => {
      const reading = readRecord(path, restartRequestSchema, {
        maxBytes: MAX_BYTES.request,
        nowMs: Date.now(),
        mayBeUnfinished: false,
      });
      if (reading.kind === "ok") mailbox.putBack(path, name, withOwnTime(reading.value, reading.mtimeMs));
      else if (reading.kind === "bad") mailbox.reject(path, reading.sentence);
      return name;
    });
}
