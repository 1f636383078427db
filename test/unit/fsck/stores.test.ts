/** Guarantee: whatever the stores are used for, in whatever order, the home is sound after each operation. */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { examineHome } from "../../../cli/fsck/examine.js";
import { breakerRecord } from "../../../daemons/worker-restart/breakers.js";
import { restartPolicy } from "../../../daemons/worker-restart/policy.js";
import { breakerAt, recordOutcome } from "../../../lib/domain/breaker.js";
import { BREAKER_CLOSED, type BreakerState } from "../../../lib/domain/breaker-state.js";
import { createExclusive } from "../../../lib/platform/files.js";
import { newEventIdBase } from "../../../lib/platform/ids.js";
import { EVENTS, type EventType } from "../../../lib/schema/catalogue.js";
import { type EventSubject, makeEvent } from "../../../lib/schema/events.js";
import { writeInstant } from "../../../lib/schema/primitives.js";
import { BreakerStore } from "../../../lib/store/breakers.js";
import { textOf } from "../../../lib/store/entries.js";
import { appendHistory } from "../../../lib/store/history.js";
import { EventLogWriter } from "../../../lib/store/logs.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { returnTokens, takeLease } from "../../../lib/store/tokens.js";
import { temporaryLayout } from "../store/temporary-home.js";

const TYPE = "mill-worker";

/** What happens to one worker: each step is what the daemons do with the stores, without daemons. */
class Fleet {
  readonly layout = temporaryLayout();
  readonly #specs = new SpecStore(this.layout);
  readonly #breakers = new BreakerStore(this.layout);
  readonly #mailbox = new Mailbox(this.layout.queueDir, {
    claimed: this.layout.claimedDir,
    done: this.layout.doneDir,
    failed: this.layout.failedRequestsDir,
    rejected: this.layout.rejectedDir,
  });
  readonly #attempts = new Map<string, { attempt: number; alive: boolean; incident: string | undefined }>();
  #breaker: BreakerState = BREAKER_CLOSED;
  #decided = 0;

  constructor() {
    writeFileSync(this.layout.tokenBudget, textOf({ total_budget: 1000, total_used: 0 }), { mode: 0o640 });
  }

  async start(id: string): Promise<void> {
    const known = this.#attempts.get(id);
    if (known?.alive === true) return;
    const attempt = (known?.attempt ?? 0) + 1;
    const about = { worker_id: id, worker_type: TYPE, attempt };
    const claimed = known === undefined ? null : this.#mailbox.claim(`${id}-restart.json`);
    if (known !== undefined && claimed === null) return;
    this.#specs.createActive({ ...about, status: "running", heartbeat: { status: "healthy" } });
    await takeLease(this.layout, `${id}.attempt-${attempt}`, 3);
    createExclusive(this.layout.launch(id, attempt), textOf({ ...about, pid: 1 }));
    if (claimed !== null) this.#say("worker_restart_started", { ...about, incident_id: known?.incident });
    this.#say("worker_registered", { ...about, incident_id: known?.incident });
    if (claimed !== null) {
      this.#outcome(id, attempt, "success");
      this.#say("worker_restarted", { ...about, incident_id: known?.incident });
      this.#mailbox.settle(claimed, "done");
    }
    this.#attempts.set(id, { attempt, alive: true, incident: undefined });
  }

  async die(id: string): Promise<void> {
    const known = this.#attempts.get(id);
    if (known?.alive !== true) return;
    const { attempt } = known;
    const incident = `inc-${newEventIdBase(Date.now())}`;
    const about = { worker_id: id, worker_type: TYPE, attempt };
    createExclusive(this.layout.exit(id, attempt), textOf({ worker_id: id, attempt, exit_code: 1 }));
    this.#say("worker_exited", { ...about, incident_id: incident });
    this.#specs.fileZombie({ ...about, status: "zombie" }, attempt);
    this.#specs.removeActive(id, attempt);
    await returnTokens(this.layout, `${id}.attempt-${attempt}`, 1);
    this.#mailbox.file(`${id}-restart.json`, { ...about, incident_id: incident });
    this.#outcome(id, attempt, "failure");
    this.#attempts.set(id, { attempt, alive: false, incident });
  }

  putOff(id: string): void {
    const name = `${id}-restart.json`;
    const claimed = this.#mailbox.claim(name);
    if (claimed === null) return;
    this.#mailbox.putBack(claimed, name, { worker_id: id, worker_type: TYPE, deferred: { gate: "backoff", count: 1 } });
    this.#say("worker_restart_deferred", { worker_id: id, attempt: this.#attempts.get(id)?.attempt });
  }

  reject(): void {
    const name = `odd-${newEventIdBase(Date.now())}-restart.json`;
    this.#mailbox.file(name, { worker_type: TYPE });
    this.#mailbox.reject(name, "worker_id must be a string");
  }

  decide(): void {
    const text = `{"nth":${this.#decided++ % 3}}\n`;
    const policy_hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
    createExclusive(this.layout.policyText(policy_hash), text);
    const at_ms = Date.now();
    this.#append(this.layout.decisions("worker-restart"), {
      decision_id: newEventIdBase(at_ms),
      daemon: "worker-restart",
      timestamp: writeInstant(at_ms),
      at_ms,
      ...{ subject: TYPE, verdict: "start", reason: "exited", message: "", gates: [], slice: {}, event: {} },
      policy_hash,
      mode: "live",
    });
  }

  #outcome(id: string, attempt: number, result: "success" | "failure"): void {
    const at_ms = Date.now();
    const history_id = newEventIdBase(at_ms);
    const about = { worker_type: TYPE, worker_id: id, attempt };
    appendHistory(this.layout, { ...about, result, timestamp: writeInstant(at_ms), at_ms, history_id });
    const policy = restartPolicy.complete({});
    const next = recordOutcome(this.#breaker, { worker_id: id, attempt, result, atMs: at_ms }, policy, at_ms);
    this.#breaker = breakerAt(next, at_ms, policy);
    this.#breakers.write(breakerRecord(TYPE, this.#breaker));
  }

  #say(type: EventType, subject: EventSubject): void {
    const atMs = Date.now();
    const stamp = { id: newEventIdBase(atMs), atMs, monoMs: 0 };
    this.#append(this.layout.eventLog(EVENTS[type].log), makeEvent(stamp, 0, "test", type, subject, { message: type }));
  }

  /** Logs rotate after a few lines. */
  #append(path: string, record: object): void {
    const writer = new EventLogWriter(path, { maxBytes: 2000, archiveDir: this.layout.archiveDir, owner: true });
    writer.append(record);
    writer.rotateIfLarge(Date.now(), "test");
    writer.close();
  }
}

const STEP = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constantFrom("start" as const, "die" as const),
      id: fc.constantFrom("a", "b", "c"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("putOff" as const), id: fc.constantFrom("a", "b", "c") }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constantFrom("reject" as const, "decide" as const), id: fc.constant("a") }),
  },
);

describe("the stores", () => {
  test("leave a sound home, however they are used", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { minLength: 20, maxLength: 40 }), async (steps) => {
        const fleet = new Fleet();
        for (const [nth, { what, id }] of steps.entries()) {
          await fleet[what](id);
          if (nth % 4 !== 3) continue;
          const { findings } = await examineHome(fleet.layout, { settleSeconds: 0, outcomeSeconds: 0 });
          expect(findings).toEqual([]);
        }
      }),
      { numRuns: 12 },
    );
  });
});
