/** Runs a daemon's core on the real loop and the real reporter, in simulated time and without a journal. @module */
import { writeFileSync } from "node:fs";
import type { Log } from "../../lib/platform/log.js";
import type { Answer, Core, PerformContext } from "../../lib/runtime/core.js";
import type { Journal } from "../../lib/runtime/journal.js";
import { Loop } from "../../lib/runtime/loop.js";
import { PolicyFile, type PolicyInForce } from "../../lib/runtime/policy-file.js";
import { type ReportEffect, Reporter } from "../../lib/runtime/reporting.js";
import type { EventRecord } from "../../lib/schema/events.js";
import type { Policy, PolicyDefinition } from "../../lib/schema/policy.js";
import type { Layout } from "../../lib/store/layout.js";
import type { SimulatedTime } from "./time.js";

interface Kind {
  readonly kind: string;
}

/** Daemons say the same in their own logs as in the event logs, for people; nobody reads a simulation's. */
const SILENT: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => SILENT,
  reopen: () => {},
  flush: () => {},
  close: () => {},
  bytes: 0,
};

/** Nobody kills a simulation: what was decided is done at once, and a journal would only cost time. */
const NO_JOURNAL: Journal = {
  append: () => {},
  checkpoint: () => {},
  recover: () => ({ seq: 0, boot_id: null, parts: new Map(), pending: [], faults: [] }),
  bytes: 0,
};

function isReport(effect: Kind): effect is ReportEffect {
  return effect.kind === "report";
}

export interface HostOptions<Slice extends object, Event extends Kind, Effect extends Kind, Settings> {
  readonly core: Core<Slice, Event, Effect, Policy<Settings>>;
  readonly policy: PolicyDefinition<Settings, never>;
  /** As a person would have written it. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly layout: Layout;
  readonly time: SimulatedTime;
  readonly perform: (effect: Effect, context: PerformContext) => Answer<Event>;
  readonly onReported: (record: EventRecord) => void;
}

export class Host<Slice extends object, Event extends Kind, Effect extends Kind, Settings> {
  readonly loop: Loop<Slice, Event, Effect, Policy<Settings>>;
  readonly reporter: Reporter;
  readonly policy: Policy<Settings>;
  decisions = 0;
  #ids = 0;

  constructor(options: HostOptions<Slice, Event, Effect, Settings>) {
    const { core, layout, time, perform } = options;
    const inForce = putInForce(options);
    this.policy = inForce.policy;
    const newId = (atMs: number): string =>
      `${Math.floor(atMs).toString(36).padStart(9, "0")}-${core.name.replace(/[^a-z]/g, "").slice(0, 8)}-${(this.#ids++).toString(36).padStart(5, "0")}`;
    this.reporter = new Reporter(layout, core.name, SILENT, () => ({ id: newId(time.atMs), ...time.now() }));
    this.reporter.onReported(options.onReported);
    this.loop = new Loop({
      core,
      policy: inForce.policy,
      policyHash: inForce.hash,
      journal: NO_JOURNAL,
      clock: time,
      newId,
      perform: (effect, context) => {
        if (isReport(effect)) return void this.reporter.report(effect, context);
        if (effect.kind !== "decision") return perform(effect as Effect, context);
        this.decisions += 1;
        return void this.reporter.decide(effect as Parameters<Reporter["decide"]>[0], context);
      },
      onFailure: (_effect, error) => {
        throw error;
      },
    });
  }

  offer(event: Event): void {
    this.loop.offer(event);
  }
}

/** Writes the policy where an operator would, and reads it as the daemon does, which also keeps its text. */
function putInForce<Settings>(options: {
  readonly policy: PolicyDefinition<Settings, never>;
  readonly raw: Readonly<Record<string, unknown>>;
  readonly layout: Layout;
}): PolicyInForce<Settings> {
  const { policy, raw, layout } = options;
  const file = new PolicyFile(policy, layout.configDir, layout.policyTextsDir);
  writeFileSync(file.path, `${JSON.stringify(raw, null, 2)}\n`, { mode: 0o640 });
  const taken: { value?: PolicyInForce<Settings> } = {};
  file.start(null, {
    loaded: (inForce) => {
      taken.value = inForce;
    },
    refused: (sentence) => {
      throw new Error(sentence);
    },
  });
  return taken.value as PolicyInForce<Settings>;
}
