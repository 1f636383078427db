/** Makes the home in which the demo plays: policies with short times, templates, and the file that a worker needs. @module */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeStage, type Stage, writePolicies, writeTemplates } from "../shared/stage.js";
import { templates } from "./cast.js";

export interface DemoStage extends Stage {
  /** What ledger-1 reads at its start. */
  readonly ledgerConfig: string;
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

export function makeDemoStage(): DemoStage {
  const stage = makeStage("demo");
  const ledgerConfig = join(stage.home, "ledger.conf");
  writeFileSync(ledgerConfig, "currency=EUR\n", { mode: 0o640 });
  writePolicies(stage, POLICIES);
  writeTemplates(stage, templates(stage.ordersDir, ledgerConfig));
  return { ...stage, ledgerConfig };
}
