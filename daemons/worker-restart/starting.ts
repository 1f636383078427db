/** Starts an attempt: claims the request, creates the spec exclusively, takes tokens where there is a budget, starts the launcher. @module */
import { existsSync } from "node:fs";
import { HealdError } from "../../lib/errors.js";
import { weatherCode } from "../../lib/platform/files.js";
import type { LauncherStarter } from "../../lib/platform/launcher-host.js";
import type { Answer, PerformContext } from "../../lib/runtime/core.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { SpecStore } from "../../lib/store/specs.js";
import { type LeaseOutcome, returnTokens, takeLease } from "../../lib/store/tokens.js";
import { startAttempt } from "../../lib/targets/process.js";
import { leaseName } from "./facts.js";
import type { Event, StartEffect } from "./messages.js";
import { nextSpec } from "./next-spec.js";
import type { Context, QueueSource } from "./queue-source.js";

/** Faults of the spec or the installation: trying again without a change is of no use. */
const PERMANENT: ReadonlySet<string> = new Set([
  "configuration",
  "environment_refused",
  "E2BIG",
  "setsid_missing",
  "launcher_missing",
]);

export class Starter {
  readonly #context: Context;
  readonly #queue: QueueSource;
  readonly #specs: SpecStore;
  readonly #claim: (effect: StartEffect, again: boolean) => string | null;

  readonly #host: LauncherStarter;

  constructor(
    context: Context,
    queue: QueueSource,
    host: LauncherStarter,
    claim: (effect: StartEffect, again: boolean) => string | null,
  ) {
    this.#context = context;
    this.#host = host;
    this.#queue = queue;
    this.#claim = claim;
    this.#specs = new SpecStore(context.layout);
  }

  start(effect: StartEffect, performing: PerformContext): Answer<Event> {
    const claimed = this.#claim(effect, performing.again || effect.resumed);
    if (claimed === null) return this.#refused(effect, null, "gone", "the request was taken out of the queue");
    const failed = (error: unknown): Promise<Event> => {
      // The host is short of something: the loop tries again, and a spec that waits says "pending".
      if (weatherCode(error) !== null) throw error;
      return this.#failed(effect, claimed, error);
    };
    try {
      const answer = this.#begin(effect, claimed);
      return answer instanceof Promise ? answer.catch(failed) : answer;
    } catch (error) {
      return failed(error);
    }
  }

  #begin(effect: StartEffect, claimed: string): Event | Promise<Event> {
    const spec = this.#specOf(effect);
    if (spec === null) return this.#refused(effect, claimed, "failed", "it is not known how to start it any more");
    if (!this.#specs.createActive(spec) && !this.#isOurs(effect))
      return this.#refused(effect, claimed, "there", `${effect.worker_id} is active already`);
    const wanted = spec.token_budget?.allocated ?? 0;
    if (wanted > 0 && existsSync(this.#context.layout.tokenBudget)) return this.#lease(effect, claimed, spec, wanted);
    return this.#launch(effect, claimed, spec);
  }

  /** Made of what the gates were asked about, as long as this process still has it. */
  #specOf(effect: StartEffect): WorkerSpecRecord | null {
    const found = this.#queue.foundFor(effect.name, effect, effect.attempt - 1);
    return found.resolved === null ? null : nextSpec(found.base, found.resolved, effect, Date.now());
  }

  #isOurs(effect: StartEffect): boolean {
    const reading = this.#specs.readActive(effect.worker_id, Date.now());
    return reading.kind === "ok" && reading.value.restart?.start_id === effect.start_id;
  }

  async #lease(effect: StartEffect, claimed: string, spec: WorkerSpecRecord, wanted: number): Promise<Event> {
    const { layout } = this.#context;
    // Launched before a kill, it had its lease then. It may be over by now and have returned it: nobody would a second time.
    if (this.#isLaunched(effect)) return startedBy(effect, claimed);
    const none = (message: string): Event => {
      if (this.#isLaunched(effect)) return startedBy(effect, claimed);
      this.#specs.removeActive(effect.worker_id, effect.attempt);
      return this.#refused(effect, claimed, "tokens", message);
    };
    let lease: LeaseOutcome;
    try {
      lease = await takeLease(layout, leaseName(effect.worker_id, effect.attempt), wanted);
    } catch (error) {
      // A ledger that a person has spoilt, or holds locked, has no tokens to give: the request waits until it has.
      if (!(error instanceof HealdError)) throw error;
      return none(error.message);
    }
    if (lease.kind !== "not_enough") return this.#launch(effect, claimed, spec);
    return none(`it needs ${wanted} tokens and ${lease.left} are left`);
  }

  #launch(effect: StartEffect, claimed: string, spec: WorkerSpecRecord): Event {
    startAttempt(this.#context.layout, spec, { incidentId: effect.incident_id, host: this.#host });
    return startedBy(effect, claimed);
  }

  /** Before a kill, whose answer was lost: then its spec is a running program's. */
  #isLaunched({ worker_id, attempt }: StartEffect): boolean {
    return existsSync(this.#context.layout.launch(worker_id, attempt));
  }

  /** Whatever kept it from being started, the claimed request goes back with the answer: nobody else knows where it is. */
  async #failed(effect: StartEffect, claimed: string, error: unknown): Promise<Event> {
    const code = String((error as { readonly code?: unknown } | null)?.code ?? "");
    const message = error instanceof Error ? error.message : String(error);
    const { layout, log } = this.#context;
    if (!(error instanceof HealdError) && code === "") log.error({ cause: String(error) }, `Cannot start: ${message}`);
    if (this.#isLaunched(effect) && this.#isOurs(effect)) return startedBy(effect, claimed);
    if (this.#isOurs(effect)) this.#specs.removeActive(effect.worker_id, effect.attempt);
    try {
      if (existsSync(layout.tokenBudget)) await returnTokens(layout, leaseName(effect.worker_id, effect.attempt), 0);
    } catch (problem) {
      // It is held still, and the next start of this attempt has it.
      if (!(problem instanceof HealdError)) throw problem;
      log.warn({ worker_id: effect.worker_id }, `Its tokens are not returned: ${problem.message}`);
    }
    return this.#refused(effect, claimed, "failed", message, PERMANENT.has(code));
  }

  #refused(
    effect: StartEffect,
    claimed: string | null,
    why: "there" | "gone" | "tokens" | "failed",
    message: string,
    permanent = false,
  ): Event {
    const { worker_id, worker_type, task_id, name, attempt } = effect;
    return {
      kind: "not-started",
      worker_id,
      worker_type,
      task_id,
      name,
      attempt,
      claimed,
      why,
      message: message.slice(0, 160),
      permanent,
    };
  }
}

function startedBy({ worker_id, worker_type, task_id, name, attempt }: StartEffect, claimed: string): Event {
  return { kind: "started", worker_id, worker_type, task_id, name, attempt, claimed };
}
