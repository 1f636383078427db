/** worker-restart's core on the real loop, with its real queue and performer over a home that lives for one test. @module */
import { writeFileSync } from "node:fs";
import { onTestFinished } from "vitest";
import { BreakerSource } from "../../../daemons/worker-restart/breaker-source.js";
import { restartCore } from "../../../daemons/worker-restart/decide.js";
import type { Effect, Event } from "../../../daemons/worker-restart/messages.js";
import { Performer } from "../../../daemons/worker-restart/perform.js";
import { readRestartPolicy } from "../../../daemons/worker-restart/policy.js";
import { type Context, QueueSource } from "../../../daemons/worker-restart/queue-source.js";
import type { RestartSettings } from "../../../daemons/worker-restart/settings.js";
import type { Slice } from "../../../daemons/worker-restart/state.js";
import type { PerformContext } from "../../../lib/runtime/core.js";
import { MemoryJournal } from "../../../lib/runtime/journal.js";
import { type DecisionEffect, Loop } from "../../../lib/runtime/loop.js";
import type { EventRecord } from "../../../lib/schema/events.js";
import type { Policy } from "../../../lib/schema/policy.js";
import { BreakerStore } from "../../../lib/store/breakers.js";
import type { Layout } from "../../../lib/store/layout.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { temporaryLayout } from "../store/temporary-home.js";

const POLICY = { jitter: "none", rate_limits: { per_task_min_interval_seconds: 0 } };

/** What a test moves by hand, and what came of it. No launcher is started: what would be is counted. */
export class RealLoop {
  readonly layout: Layout = temporaryLayout();
  readonly specs = new SpecStore(this.layout);
  readonly reported: EventRecord[] = [];
  readonly launched: string[] = [];
  readonly journal = new MemoryJournal();
  readonly queue: QueueSource;
  readonly breakers: BreakerSource;
  /** As a daemon that starts again over what is remembered. */
  readonly openBreakers: () => BreakerSource;
  readonly performer: Performer;
  readonly loop: Loop<Slice, Event, Effect, Policy<RestartSettings>>;
  /** Starts a launcher; a test may have it fail. */
  launch: (claim: string) => boolean = (claim) => this.launched.push(claim) > 0;
  #aheadMs = 0;
  #calls: { readonly at: number; readonly callback: () => void }[] = [];
  #ids = 0;

  constructor(settings: object = {}) {
    const read = readRestartPolicy({ ...POLICY, ...settings });
    if (!read.ok) throw new Error(JSON.stringify(read.problems));
    const { policy } = read.value;
    const context = {
      layout: this.layout,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      reporter: {
        report: ({ record }: { record: EventRecord }) => void this.reported.push(record),
        news: () => undefined,
      },
      policy: () => policy,
      offer: (event: Event) => this.loop.offer(event),
      part: (key: string) => this.loop.part(key),
      partsWith: (kind: "worker:" | "type:" | "") => this.loop.partsWith(kind),
    } as unknown as Context;
    const { queueDir, claimedDir, doneDir, failedRequestsDir, rejectedDir } = this.layout;
    const folders = { claimed: claimedDir, done: doneDir, failed: failedRequestsDir, rejected: rejectedDir };
    const mailbox = new Mailbox(queueDir, folders);
    this.queue = new QueueSource(context, mailbox, () => "unknown");
    const host = { start: (start: { readonly claim: string }) => this.launch(start.claim) };
    const store = new BreakerStore(this.layout);
    this.openBreakers = () => new BreakerSource(context, store);
    this.breakers = this.openBreakers();
    this.performer = new Performer(context, mailbox, this.queue, store, this.breakers, host);
    this.loop = new Loop<Slice, Event, Effect, Policy<RestartSettings>>({
      core: restartCore,
      policy,
      policyHash: "hash",
      journal: this.journal,
      clock: {
        now: () => ({ atMs: Date.now(), monoMs: performance.now() + this.#aheadMs }),
        callAt: (at, callback) => this.#callAt(at, callback),
      },
      newId: (atMs) => `${Math.floor(atMs).toString(36)}-real-${String(++this.#ids).padStart(6, "0")}`,
      perform: (effect: Effect | DecisionEffect, performing: PerformContext) =>
        effect.kind === "decision" ? undefined : this.performer.perform(effect, performing),
    });
    this.loop.resume();
    onTestFinished(() => {
      this.loop.stop();
      this.queue.stop();
      this.breakers.stop();
    });
  }

  /** Files a request as the monitor does for an attempt that ended, and has it looked at. */
  fileDeath(workerId: string, attempt: number, more: object = {}): void {
    const spec = {
      worker_id: workerId,
      worker_type: "scan",
      attempt,
      status: "zombie",
      launch: { command: "sleep", args: ["600"] },
      ...more,
    };
    this.specs.fileZombie(spec, attempt);
    const request = {
      worker_id: workerId,
      worker_type: "scan",
      reason: "exited",
      attempt,
      requested_by: "heartbeat-monitor",
    };
    writeFileSync(this.layout.queueRequest(workerId), JSON.stringify(request));
    this.queue.scan();
  }

  /** Lets what was asked for within that time happen now. */
  advance(ms: number): void {
    this.#aheadMs += ms;
    const nowMs = performance.now() + this.#aheadMs;
    const due = this.#calls.filter(({ at }) => at <= nowMs);
    this.#calls = this.#calls.filter((call) => !due.includes(call));
    for (const { callback } of due) callback();
  }

  #callAt(at: number, callback: () => void): () => void {
    const call = { at, callback };
    this.#calls.push(call);
    return () => {
      this.#calls = this.#calls.filter((other) => other !== call);
    };
  }
}
