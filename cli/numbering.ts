/** The ids of workers that nobody has named: `worker-<type without -worker>-<n>`. @module */
import { UsageError } from "../lib/errors.js";
import { isId } from "../lib/schema/primitives.js";
import { readAttemptName, type WorkerSpecRecord } from "../lib/schema/worker-spec.js";
import { namesIn } from "../lib/store/entries.js";
import type { Layout } from "../lib/store/layout.js";
import type { SpecStore } from "../lib/store/specs.js";

/**
 * Creates the active spec under the next free id of its type; another command at the same moment gets another.
 *
 * @throws {UsageError} If the type is too long for such an id.
 */
export function createNumbered(
  layout: Layout,
  specs: SpecStore,
  type: string,
  record: Omit<WorkerSpecRecord, "worker_id">,
): WorkerSpecRecord {
  const stem = `worker-${type.replace(/-worker$/, "")}-`;
  for (let number = highestNumber(layout, stem) + 1; ; number++) {
    const numbered = { worker_id: `${stem}${number}`, ...record };
    if (!isId(numbered.worker_id))
      throw new UsageError(`The type ${JSON.stringify(type)} is too long for a default id; give one with --id`);
    if (specs.createActive(numbered)) return numbered;
  }
}

/** The highest number that a worker of this stem has or had, so that no old evidence or wish meets a new worker. */
function highestNumber(layout: Layout, stem: string): number {
  const evidence = [layout.zombieDir, layout.completedDir, layout.failedDir, layout.launchesDir];
  const ids = [
    ...[layout.activeDir, layout.desiredDir].flatMap(namesIn).map((name) => name.replace(/\.json$/, "")),
    ...evidence.flatMap(namesIn).flatMap((name) => readAttemptName(name)?.workerId ?? []),
  ];
  const numbers = ids.filter((id) => id.startsWith(stem) && /^\d{1,9}$/.test(id.slice(stem.length)));
  return Math.max(0, ...numbers.map((id) => Number(id.slice(stem.length))));
}
