/** Frees disk space by what is ours alone: rotated logs and the logs of old attempts. Nothing of the workers' is touched. @module */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../../lib/platform/programs.js";
import { namesIn, unlinkIfThere } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { SpecStore } from "../../lib/store/specs.js";
import { readAttemptLogName } from "./log-names.js";

const HOUR_MS = 3_600_000;
const FILES_MAX = 500;
const GZIP_TIMEOUT_MS = 60_000;

/** The answer says what was done. Twice is harmless: what is gone is gone. */
export async function freeDisk(layout: Layout, keepAttempts: number, nowMs: number): Promise<string> {
  const logs = removeOldAttempts(layout, keepAttempts);
  const compressed = await compressArchives(layout, nowMs);
  return `${logs} logs of old attempts are removed, ${compressed} rotated logs compressed`;
}

function removeOldAttempts(layout: Layout, keepAttempts: number): number {
  const specs = new SpecStore(layout);
  let removed = 0;
  for (const worker of namesIn(layout.workerLogsDir)) {
    const folder = join(layout.workerLogsDir, worker);
    const attempts = namesIn(folder)
      .flatMap((name) => readAttemptLogName(name) ?? [])
      .sort((a, b) => b - a);
    const highest = specs.highestAttempt(worker);
    for (const attempt of attempts.slice(keepAttempts)) {
      if (attempt >= highest || removed >= FILES_MAX) continue;
      if (unlinkIfThere(join(folder, `attempt-${attempt}.log`))) removed += 1;
    }
  }
  return removed;
}

/** Readers may still be in a log that was rotated within the hour. */
async function compressArchives(layout: Layout, nowMs: number): Promise<number> {
  const old =
    namesIn(layout.archiveDir).length === 0
      ? []
      : readdirSync(layout.archiveDir)
          .filter((name) => name.endsWith(".jsonl"))
          .map((name) => join(layout.archiveDir, name))
          .filter((path) => (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs) < nowMs - HOUR_MS)
          .slice(0, FILES_MAX);
  let compressed = 0;
  for (const path of old) {
    const result = await runProgram("gzip", ["-f", "--", path], { timeoutMs: GZIP_TIMEOUT_MS });
    if (result.exitCode === 0) compressed += 1;
  }
  return compressed;
}
