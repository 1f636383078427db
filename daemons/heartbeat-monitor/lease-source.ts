/** Returns the tokens of attempts that are over and could not be returned when they ended: the ledger could not be read, or was locked. @module */
import { HealdError } from "../../lib/errors.js";
import { weatherCode } from "../../lib/platform/files.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { readAttemptName, tokensOf, type WorkerSpecRecord, workerSpecSchema } from "../../lib/schema/worker-spec.js";
import { MAX_BYTES, readRecord } from "../../lib/store/records.js";
import { SpecStore } from "../../lib/store/specs.js";
import { isHeld, readBudget, returnTokens } from "../../lib/store/tokens.js";
import type { Event } from "./facts.js";
import type { HeartbeatSettings } from "./policy.js";

/**
 * Looks at its start, for what an earlier run left, and after each return that failed, until one look finds nothing left.
 *
 * An end must not wait for it: a person's typo in the ledger would else keep workers from being watched.
 */
export class LeaseSource implements Source {
  readonly name = "leases";
  readonly scanEverySeconds = 10;
  readonly #context: Pick<DaemonContext<Event, HeartbeatSettings>, "layout" | "log">;
  readonly #specs: SpecStore;
  /** How often a return was owed; a look that began before the latest one proves nothing of it. */
  #owed = 1;
  #paid = 0;
  #looking: Promise<void> | null = null;
  #said: string | null = null;

  constructor(context: Pick<DaemonContext<Event, HeartbeatSettings>, "layout" | "log">) {
    this.#context = context;
    this.#specs = new SpecStore(context.layout);
  }

  start(): void {
    this.scan();
  }

  stop(): void {}

  /** A lease could not be returned just now. */
  owe(leaseName: string, why: string): void {
    this.#owed += 1;
    this.#say(`The tokens of ${leaseName} are returned later: ${why}`);
  }

  scan(): void {
    if (this.#paid === this.#owed || this.#looking !== null) return;
    const owed = this.#owed;
    this.#looking = this.#look()
      .then(() => {
        this.#paid = owed;
        this.#said = null;
      })
      .catch((error: unknown) => {
        if (!(error instanceof HealdError) && weatherCode(error) === null) throw error;
        this.#say(`Tokens of attempts that are over cannot be returned just now: ${(error as Error).message}`);
      })
      .finally(() => {
        this.#looking = null;
      });
  }

  /** The look that is under way, for whoever waits for it. */
  async idle(): Promise<void> {
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { layout } = this.#context;
    for (const [name, lease] of Object.entries(readBudget(layout)?.leases ?? {})) {
      if (!isHeld(lease)) continue;
      const ended = this.#endOf(name);
      if (ended !== null) await returnTokens(layout, name, tokensOf(ended).used);
    }
  }

  /** The evidence of an attempt that is over; null for one that is active, or of whose end nothing is known. */
  #endOf(leaseName: string): WorkerSpecRecord | null {
    const named = readAttemptName(`${leaseName}.json`);
    if (named === null) return null;
    const { workerId, attempt } = named;
    const { layout } = this.#context;
    const active = this.#specs.readActive(workerId, Date.now());
    if (active.kind !== "absent" && (active.kind !== "ok" || (active.value.attempt ?? 1) === attempt)) return null;
    for (const path of [layout.zombieSpec(workerId, attempt), layout.completedSpec(workerId, attempt)]) {
      const reading = readRecord(path, workerSpecSchema, { maxBytes: MAX_BYTES.spec, nowMs: 0, isFleeting: true });
      if (reading.kind === "ok") return reading.value;
    }
    return null;
  }

  /** Said once for each trouble, however often it is met. */
  #say(sentence: string): void {
    if (this.#said === sentence) return;
    this.#said = sentence;
    this.#context.log.warn({}, sentence);
  }
}
