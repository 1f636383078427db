/** Who plays in the demo: the workers, and the templates that say how each type is started. @module */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../lib/platform/package.js";
import type { Player } from "../shared/fleet.js";

const player = (id: string, type: string, task = id): Player => ({ id, type, task });

export const PLAYERS: readonly Player[] = [
  player("crawl-1", "crawl-worker"),
  player("crawl-2", "crawl-worker"),
  player("crawl-3", "crawl-worker"),
  player("index-1", "index-worker"),
  player("render-1", "render-worker"),
  player("mail-1", "mail-worker"),
  player("sync-1", "sync-worker"),
  player("thumb-1", "thumbnail-worker"),
  player("ledger-1", "ledger-worker"),
  player("parse-1", "parse-worker", "page-13"),
  player("report-1", "report-worker"),
  player("serve-1", "serve-worker"),
];

/** Those that run well from the start; the other two fail at once. */
export const WELL_AT_START = PLAYERS.filter(({ id }) => id !== "ledger-1" && id !== "parse-1");

/** The task that no worker survives. */
export const POISON = "page-13";

export const MEMORY_LIMIT_MB = 128;

/** The templates, by type: what an operator would write into `worker-specs/templates/`. */
export function templates(ordersDir: string, ledgerConfig: string): Readonly<Record<string, unknown>> {
  const env = {
    DEMO_ORDERS: ordersDir,
    DEMO_EMITTER: join(packageRoot(), "scripts", "lib", "worker-heartbeat-emitter.sh"),
  };
  const shell = (script: string, ...args: string[]): Record<string, unknown> =>
    template("/bin/sh", [join(packageRoot(), "examples", "demo", "workers", script), ...args], env);
  const node = (program: string): Record<string, unknown> =>
    template(process.execPath, [fileURLToPath(new URL(`./workers/${program}`, import.meta.url))], env);
  return {
    "crawl-worker": shell("crawl.sh"),
    "mail-worker": shell("crawl.sh"),
    "sync-worker": shell("crawl.sh"),
    "report-worker": shell("crawl.sh"),
    "index-worker": shell("index.sh"),
    "ledger-worker": shell("ledger.sh", ledgerConfig),
    "parse-worker": shell("parse.sh"),
    "render-worker": node("render.js"),
    "serve-worker": node("render.js"),
    "thumbnail-worker": { ...node("thumbnail.js"), resources: { memory_limit_mb: MEMORY_LIMIT_MB } },
  };
}

function template(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  return {
    launch: { target: "process", command, args, env, stop: { scope: "group", grace_seconds: 2 } },
    heartbeat: { mode: "required" },
  };
}
