/** Policies with seconds where production has minutes, and what the examples of fixes read back from the files. @module */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../lib/platform/package.js";
import type { Told } from "./chronicle.js";
import type { World } from "./example.js";
import type { Stage } from "./stage.js";

type Json = Readonly<Record<string, unknown>>;

/** Restarts come at once and are many; a worker that fails in the same way three times has a pattern. */
export const QUICK_POLICIES = {
  "heartbeat-policy": {
    heartbeat_interval_seconds: 1,
    heartbeat_timeout_seconds: 5,
    zombie_threshold_seconds: 10,
    verify_delay_seconds: 0.5,
    startup_grace_seconds: 15,
  },
  "worker-restart-policy": {
    max_retries: 2,
    retry_interval_seconds: 0.3,
    backoff_multiplier: 1,
    fast_exit_seconds: 0,
    jitter: "none",
    success_after_seconds: 2,
    circuit_breaker_enabled: false,
    rate_limits: { per_task_min_interval_seconds: 0 },
    poison_task: { deaths: 50 },
  },
} as const;

/** Fixes are applied for real; a fix has half a minute to prove itself, and is looked at each half second. */
export const QUICK_FIXES = {
  enabled: true,
  dry_run: false,
  cooldown_seconds: 0,
  limits: { per_fix: { min_seconds_between: 0, max_per_day: 20 } },
  verification: { window_seconds: 30, check_interval_seconds: 0.5 },
} as const;

/** A worker in POSIX shell, from a file of the example's folder. */
export function shellWorker(folder: string, script: string, blocks: Json = {}, args: readonly string[] = []): Json {
  return {
    launch: {
      target: "process",
      command: "/bin/sh",
      args: [join(packageRoot(), "examples", folder, script), ...args],
      env: { EMITTER: join(packageRoot(), "scripts", "lib", "worker-heartbeat-emitter.sh") },
      stop: { scope: "group", grace_seconds: 2 },
    },
    heartbeat: { mode: "required" },
    ...blocks,
  };
}

/** A line of `metrics/auto-fix-history.jsonl`. */
export interface FixLine {
  readonly run_id: string;
  readonly fix_id: string;
  readonly scope: string;
  readonly result: string;
  readonly verdict: string | null;
  readonly message: string;
}

/** What became of the fixes for a worker type, oldest first. */
export function fixHistory({ layout }: Stage, scope: string): readonly FixLine[] {
  if (!existsSync(layout.fixHistory)) return [];
  return readFileSync(layout.fixHistory, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as FixLine)
    .filter((line) => line.scope === scope);
}

/** Events of auto-fix about a worker type; its name stands in their messages. */
export function fixEvents({ chronicle }: World, type: string, scope: string): readonly Told[] {
  return chronicle.of(null, type).filter(({ message }) => message.includes(scope));
}

/** A value of a template, by its block and name. */
export function settingOf({ layout }: Stage, type: string, block: string, name: string): unknown {
  const template = JSON.parse(readFileSync(layout.template(type), "utf8")) as Readonly<Record<string, Json>>;
  return template[block]?.[name];
}

/** What the file says, or null. */
export function textOf(path: string): string | null {
  return existsSync(path) ? readFileSync(path, "utf8") : null;
}
