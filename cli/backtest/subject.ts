/** What a backtest is of: a policy file, the daemon whose it is, and all that is needed to ask that daemon's core. @module */
import type { AnyCore, BacktestRules } from "../../lib/runtime/backtest.js";
import type { Recorded, TooFine } from "../../lib/runtime/resolution.js";
import type { Policy, PolicyDefinition } from "../../lib/schema/policy.js";
import type { DaemonName } from "../../lib/schema/records.js";
import { loadReplayable } from "../replayables.js";

/** The policies that a backtest can judge, and whose decisions it judges. */
export const JUDGED: Readonly<Record<string, DaemonName>> = {
  "heartbeat-policy": "heartbeat-monitor",
  "worker-restart-policy": "worker-restart",
  "failure-pattern-policy": "failure-pattern",
  "auto-fix-policy": "auto-fix",
  "auto-fix-registry": "auto-fix",
};

/** Why the others cannot be judged. */
export const NOT_JUDGED: Readonly<Record<string, string>> = {
  "healing-policies":
    "its conditions are asked of samples over time, and a decision's record has only what the policies in force made of them; run it with auto-fix in dry_run",
  "allowed-commands": "it says what may be run, not when",
  "notification-policy": "no decision depends on it",
};

export interface BacktestParts {
  readonly daemon: DaemonName;
  readonly core: AnyCore;
  readonly definition: PolicyDefinition<never, never>;
  readonly rules: BacktestRules;
  /** The other policy; null where the file is no policy of the daemon but what its events are made of. */
  readonly other: Policy<never> | null;
  tooFine(recorded: Recorded<never>): TooFine[];
}

/** Loads what is needed to judge a file that was read as the policy of that name. */
export async function partsFor(name: string, policy: Policy<unknown>): Promise<BacktestParts> {
  const daemon = JUDGED[name] as DaemonName;
  const { core, policy: definition } = await loadReplayable(daemon);
  const base = { daemon, core: core as AnyCore, definition: definition as PolicyDefinition<never, never> };
  if (name === "auto-fix-registry") {
    const { rulesUnder } = await import("../../daemons/auto-fix/backtest.js");
    return { ...base, rules: rulesUnder(policy.settings as never), other: null, tooFine: () => [] };
  }
  const { rules, tooFine } = await RULES[daemon]();
  const other = policy as Policy<never>;
  return { ...base, rules, other, tooFine: (recorded) => tooFine(other, recorded) };
}

interface Rules {
  readonly rules: BacktestRules;
  tooFine(other: Policy<never>, recorded: Recorded<never>): TooFine[];
}

const RULES: Readonly<Record<DaemonName, () => Promise<Rules>>> = {
  "heartbeat-monitor": () => import("../../daemons/heartbeat-monitor/backtest.js") as Promise<Rules>,
  "worker-restart": () => import("../../daemons/worker-restart/backtest.js") as Promise<Rules>,
  "failure-pattern": () => import("../../daemons/failure-pattern/backtest.js") as Promise<Rules>,
  // Every key of its policy is asked at each look, and each look with another answer is recorded.
  "auto-fix": async () => ({ ...(await import("../../daemons/auto-fix/backtest.js")), tooFine: () => [] }),
};
