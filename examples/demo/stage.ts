/** Makes the home in which the demo plays: policies with short times, templates, and a place for orders. @module */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { replaceFile } from "../../lib/platform/files.js";
import { openHome, resolveHome } from "../../lib/store/home.js";
import { Layout } from "../../lib/store/layout.js";
import { templates } from "./cast.js";

/** Where everything happens. */
export interface Stage {
  readonly home: string;
  readonly layout: Layout;
  /** A file here, named after a worker, tells it to fail once. */
  readonly ordersDir: string;
  /** What ledger-1 reads at its start. */
  readonly ledgerConfig: string;
  /** For everything that is started: this home and no other, whatever the person's own environment says. */
  readonly env: NodeJS.ProcessEnv;
}

/** Silence after which a worker is ended, in seconds. */
export const ZOMBIE_SECONDS = 5;

/** Seconds where production has minutes; whatever is not named here is as shipped, the mass guard included. */
const POLICIES = {
  "heartbeat-policy": {
    heartbeat_interval_seconds: 1,
    heartbeat_timeout_seconds: 3,
    zombie_threshold_seconds: ZOMBIE_SECONDS,
    verify_delay_seconds: 1,
    startup_grace_seconds: 15,
    blocked_multiple: 1.5,
  },
  "worker-restart-policy": {
    retry_interval_seconds: 2,
    fast_exit_seconds: 1,
    success_after_seconds: 2,
    rate_limits: { per_task_min_interval_seconds: 1 },
  },
} as const;

/** Makes the home in a new folder below the system's folder for temporary files. */
export function makeStage(): Stage {
  const folder = mkdtempSync(join(tmpdir(), "heald-demo-"));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error(`Cannot make a home in "${folder}"`);
  openHome(home, { create: true, claimOwnership: false });
  const layout = new Layout(home);
  const ordersDir = join(folder, "orders");
  mkdirSync(ordersDir, { mode: 0o750 });
  const ledgerConfig = join(folder, "ledger.conf");
  writeFileSync(ledgerConfig, "currency=EUR\n", { mode: 0o640 });
  for (const [name, policy] of Object.entries(POLICIES)) writeJson(layout.config(`${name}.json`), policy);
  for (const [type, template] of Object.entries(templates(ordersDir, ledgerConfig)))
    writeJson(layout.template(type), template);
  return { home: folder, layout, ordersDir, ledgerConfig, env: environment(folder) };
}

function writeJson(path: string, value: unknown): void {
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

function environment(home: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(HEALD_|COMMIT_RELAY_HOME$|NODE_OPTIONS$)/.test(name));
  return { ...Object.fromEntries(own), HEALD_HOME: home };
}
