/** Guarantee: however large the fleet, who compares `last_seen` in a spec with the zombie threshold never sees a worker dead that beats. */
import { expect, test } from "vitest";
import { readInstant } from "../../lib/schema/primitives.js";
import { openScene } from "./monitor-world.js";

/** So large that one spec a second would not do. */
const WORKERS = 400;

test.each([
  [30, 300],
  [20, 200],
  [60, 300],
  [60, 600],
  [30, 100],
])("a beat every %d s and a threshold of %d s: not even with a beat to spare", (interval, zombie) => {
  const { world, simulation } = openScene({ heartbeat_interval_seconds: interval, zombie_threshold_seconds: zombie });
  const ids = Array.from({ length: WORKERS }, (_, nth) => `w-${nth}`);
  for (const id of ids) world.add(id, { beatEvery: interval });
  world.run(2 * interval);
  let writes = 0;
  const seen = new Map<string, string>();
  let oldestSeconds = 0;
  for (let turn = 0; turn < 2.5 * zombie; turn += 5) {
    world.run(5);
    for (const id of ids) {
      const said = world.workers.get(id)?.spec.in_spec_beat?.key.split("|")[0] ?? "";
      if (seen.get(id) !== said) writes += 1;
      seen.set(id, said);
      oldestSeconds = Math.max(oldestSeconds, (simulation.nowMs - (readInstant(said) ?? 0)) / 1000);
    }
  }
  expect(oldestSeconds + interval).toBeLessThanOrEqual(zombie);
  // And at most every other beat is worth a write.
  expect(writes).toBeLessThanOrEqual((WORKERS * 2.5 * zombie) / interval / 2 + WORKERS);
});
