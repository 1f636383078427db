/**
 * A worker of a print shop: takes the oldest sheet of the tray, prints it, and says in its beats how long its sheets had
 * waited (`latency_p99`, ms). It can do so many and no more: that is the shop's trouble.
 * @module
 */
import { readdirSync, renameSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { startHeartbeat } from "../../clients/heartbeat.js";

const PRINT_MS = 80;
const REMEMBERED_MS = 2000;
const LIFE_MS = 120_000;

const tray = process.env.TRAY ?? "";
const me = process.env.HEALD_WORKER_ID ?? "press";
const waits: { readonly atMs: number; readonly waitedMs: number }[] = [];
const heart = startHeartbeat({ intervalSeconds: 0.5, health: 100 });

/** Another press may be faster: then the next sheet is tried. */
function takeOldest(): number | null {
  for (const name of readdirSync(tray).sort()) {
    if (!name.endsWith(".sheet")) continue;
    const taken = join(tray, `${name}.${me}`);
    try {
      renameSync(join(tray, name), taken);
      const waitedMs = Date.now() - statSync(taken).mtimeMs;
      unlinkSync(taken);
      return waitedMs;
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
    }
  }
  return null;
}

function p99(): number {
  const sorted = waits.map(({ waitedMs }) => waitedMs).sort((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? 0);
}

const printing = setInterval(() => {
  const atMs = Date.now();
  const waitedMs = takeOldest();
  if (waitedMs !== null) waits.push({ atMs, waitedMs });
  while (waits[0] !== undefined && waits[0].atMs < atMs - REMEMBERED_MS) waits.shift();
  heart.beat({ metrics: { latency_p99: p99() }, activity: "printing" });
}, PRINT_MS);
setTimeout(() => clearInterval(printing), LIFE_MS).unref();
