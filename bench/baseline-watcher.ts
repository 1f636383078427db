/**
 * The bare Node watcher that `hang` compares with: a timer for each worker, set anew when its file changes, and a line when it
 * rings. No specs, no second look, no suspicion of itself.
 *
 * usage: node baseline-watcher.js FOLDER THRESHOLD_MS INTO
 * @module
 */
import { appendFileSync, readdirSync, watch } from "node:fs";

const [folder = ".", threshold = "1000", into = "/dev/stdout"] = process.argv.slice(2);
const timers = new Map<string, NodeJS.Timeout>();

function heard(name: string | null): void {
  if (name === null || name.startsWith(".")) return;
  clearTimeout(timers.get(name));
  const ring = (): void =>
    appendFileSync(
      into,
      `${JSON.stringify({ worker_id: name.slice(0, -5), at_ms: performance.timeOrigin + performance.now() })}\n`,
    );
  timers.set(name, setTimeout(ring, Number(threshold)));
}

watch(folder, (_event, name) => heard(name));
for (const name of readdirSync(folder)) heard(name);
