/** A storm of failures against the real failure-pattern daemon: is all of it digested in time, and is its memory flat? @module */
import { existsSync, readFileSync } from "node:fs";
import { appendRecord } from "../lib/platform/files.js";
import { percentile, pssMib, round } from "./figures.js";
import { Lab, until } from "./lab.js";
import type { Result } from "./main.js";

const PER_SECOND = 1000;
const STEP_MS = 50;
const TYPES = 20;

/** Writes failures at the rate, from many types and for many reasons, every tenth of them a line that is like no other. */
export async function digest(seconds: number): Promise<Result> {
  const lab = new Lab();
  try {
    await lab.start("failure-pattern");
    const pid = lab.pidOf("failure-pattern");
    const path = lab.layout.eventLog("heartbeat");
    const memory: number[] = [];
    const from = performance.now();
    let written = 0;
    while (written < seconds * PER_SECOND) {
      const due = Math.min(seconds * PER_SECOND, ((performance.now() - from) / 1000) * PER_SECOND);
      for (; written < due; written++) appendRecord(path, failure(written));
      if (memory.length < (performance.now() - from) / 1000) memory.push(pssMib(pid));
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
    const wroteFor = (performance.now() - from) / 1000;
    const end = performance.now();
    await until(() => learned(lab) >= written, 120_000, `all ${written} failures are digested`);
    const after = (performance.now() - end) / 1000;
    memory.push(pssMib(pid));
    return {
      name: "digest",
      what: `${PER_SECOND} failures a second for ${seconds} s, read and named by the real daemon`,
      policy: {},
      leaves_out: "the figures come from the metrics file, which is written every 5 s: up to so much is not digestion",
      failures: written,
      written_seconds: round(wroteFor),
      digested_seconds_after: round(after),
      memory_mib_by_sixth: sixths(memory),
      memory_mib_most: round(Math.max(...memory), 1),
      memory_mib_end: round(memory.at(-1) ?? 0, 1),
    };
  } finally {
    await lab.close();
  }
}

/** The median in each sixth of the time: what grows shows. */
function sixths(memory: readonly number[]): string {
  const length = Math.max(1, Math.ceil(memory.length / 6));
  return Array.from({ length: 6 }, (_, nth) => memory.slice(nth * length, (nth + 1) * length))
    .filter((part) => part.length > 0)
    .map((part) => round(percentile(part, 0.5), 0))
    .join(" ");
}

function learned(lab: Lab): number {
  const path = lab.layout.metrics("failure-pattern");
  if (!existsSync(path)) return 0;
  return (JSON.parse(readFileSync(path, "utf8")) as { failures_learned?: number }).failures_learned ?? 0;
}

const SAYINGS = [
  "connect ECONNREFUSED 10.0.0.7:5432",
  "ENOSPC: no space left on device, write",
  "HTTP 429 Too Many Requests",
  "TypeError: Cannot read properties of undefined (reading 'id')\n    at handle (/app/dist/worker.js:10:5)",
  "request 4711 timed out after 30000 ms",
];

function failure(nth: number): string {
  const saying = nth % 10 === 0 ? `${oddity(nth)} went ${oddity(nth * 31)}` : (SAYINGS[nth % SAYINGS.length] as string);
  const at = Date.now();
  return JSON.stringify({
    event_id: `bench-${String(nth).padStart(8, "0")}`,
    event_type: "worker_exited",
    timestamp: new Date(at).toISOString(),
    at_ms: at,
    severity: "warning",
    source: "bench",
    worker_id: `worker-bench-${nth}`,
    worker_type: `bench-${nth % TYPES}-worker`,
    attempt: 1,
    reason: "exited",
    message: `worker-bench-${nth} ended with code 1`,
    data: { exit_code: 1, error: saying },
  });
}

/** A word of letters that no other number gives. */
function oddity(nth: number): string {
  return [...String(nth)].map((digit) => "abcdefghij"[Number(digit)] as string).join("");
}
