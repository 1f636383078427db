/** Carries out what worker-restart decides. Each effect may be carried out twice: claims, ids and exclusive names make that harmless. @module */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { replaceFile, weatherCode } from "../../lib/platform/files.js";
import type { LauncherStarter } from "../../lib/platform/launcher-host.js";
import type { Answer, PerformContext } from "../../lib/runtime/core.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { statusOf, type WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { readBeat } from "../../lib/store/beats.js";
import type { BreakerStore } from "../../lib/store/breakers.js";
import { textOf } from "../../lib/store/entries.js";
import { appendHistory, type HistoryRecord } from "../../lib/store/history.js";
import { placeHold } from "../../lib/store/holds.js";
import { filedName, type Mailbox } from "../../lib/store/mailbox.js";
import { SpecStore } from "../../lib/store/specs.js";
import { isAttemptAlive } from "../../lib/targets/attempts.js";
import type { BreakerSource } from "./breaker-source.js";
import { breakerRecord } from "./breakers.js";
import { endOldAttempt } from "./ending.js";
import { taskHoldName } from "./facts.js";
import { HookRunner } from "./hook.js";
import type { Effect, Event, Subject } from "./messages.js";
import { type Context, type QueueSource, type ReadRequest, SPEC_GATES, versionOf } from "./queue-source.js";
import { withOwnTime } from "./request-file.js";
import { Starter } from "./starting.js";
import type { TypePart, WorkerPart } from "./state.js";

/** Claimed requests that are kept in memory until they are settled. */
const CLAIMED_MAX = 1000;

type Of<Kind extends Effect["kind"]> = Extract<Effect, { kind: Kind }>;
type Found = Extract<Event, { kind: "checked" }>["found"];

export class Performer {
  readonly #context: Context;
  readonly #mailbox: Mailbox;
  readonly #queue: QueueSource;
  readonly #breakers: BreakerStore;
  readonly #breakerSource: BreakerSource;
  readonly #specs: SpecStore;
  readonly #starter: Starter;
  readonly #hook: HookRunner;
  /** The requests that were claimed last, by their paths. */
  readonly #claimed = new Map<string, ReadRequest>();

  constructor(
    context: Context,
    mailbox: Mailbox,
    queue: QueueSource,
    breakers: BreakerStore,
    breakerSource: BreakerSource,
    host: LauncherStarter,
  ) {
    this.#context = context;
    this.#mailbox = mailbox;
    this.#queue = queue;
    this.#breakers = breakers;
    this.#breakerSource = breakerSource;
    this.#specs = new SpecStore(context.layout);
    this.#starter = new Starter(context, queue, host, (effect, again) => this.#claim(effect.name, again));
    this.#hook = new HookRunner(context);
  }

  readonly perform = (effect: Effect, performing: PerformContext): Answer<Event> => {
    switch (effect.kind) {
      case "report":
        return void this.#context.reporter.report(effect, performing);
      case "start":
        return this.#starter.start(effect, performing);
      case "look":
        return this.#look(effect);
      case "look-waiting":
        return void this.#lookAtWaiting(effect);
      case "defer":
        return this.#defer(effect);
      case "settle":
        return this.#settle(effect, performing);
      case "confirm-settled":
        return { ...effect, kind: "settled" };
      case "reject":
        return void this.#reject(effect, performing);
      case "ask-hook":
        return this.#hook.ask(effect, performing);
      case "check":
        return this.#check(effect);
      case "append-history":
        return void appendHistory(this.#context.layout, effect.record as HistoryRecord, { again: performing.again });
      case "read-history":
        return this.#breakerSource.newOutcomes();
      case "keep-place":
        return undefined;
      case "write-breaker":
        return this.#writeBreaker(effect.worker_type);
      case "hold-task":
        return this.#holdTask(effect);
      case "give-up":
        return this.#giveUp(effect);
      case "end-old":
        return void endOldAttempt(this.#context, this.#specs, effect);
    }
  };

  #lookAtWaiting({ gate, worker_type }: Of<"look-waiting">): void {
    if (gate === "concurrency") this.#queue.fillPlaces();
    else this.#queue.lookAtWaiting((part) => worker_type === undefined || part.worker_type === worker_type);
  }

  #look(effect: Of<"look">): Answer<Event> {
    const gone = { ...effect, kind: "request-gone" as const };
    const isThere = (): boolean => existsSync(this.#mailbox.pathOf(effect.name));
    const event = this.#queue.look(effect.name);
    // A file that is there and gave no event is not finished: it is looked at again by itself.
    if (event instanceof Promise) return event.then((found) => found ?? (isThere() ? undefined : gone));
    return event ?? (isThere() ? undefined : gone);
  }

  /**
   * Claims a request. What was begun before, until a crash or the weather stopped it, may have claimed it already, under
   * the dead daemon's name or our own; a request that took its name since counts in its place.
   */
  #claim(name: string, again: boolean): string | null {
    const claimed = this.#mailbox.claim(name);
    if (claimed !== null) this.#remember(claimed, this.#queue.take(name));
    if (!again) return claimed;
    const earlier = this.#claimsOf(name).filter((path) => path !== claimed);
    if (claimed === null) return earlier.at(-1) ?? null;
    for (const path of earlier) {
      const record = parsed(path);
      this.#mailbox.settle(path, "done", record === null ? undefined : { ...record, verdict: "superseded" });
    }
    return claimed;
  }

  /** The claims of a request that was filed under a name, oldest first, without those of attempts on probation. */
  #claimsOf(name: string): string[] {
    const { claimedDir } = this.#context.layout;
    const paths = readdirSync(claimedDir)
      .filter((entry) => filedName(entry) === name)
      .sort()
      .map((entry) => join(claimedDir, entry));
    if (paths.length === 0) return paths;
    const parts = this.#context.partsWith<WorkerPart>("worker:");
    const ofRuns = new Set([...parts.values()].map(({ run }) => run?.claimed));
    return paths.filter((path) => !ofRuns.has(path));
  }

  /** Done again after a crash, it is another file by now, as it may be: a request that can be read is no more rejected. */
  #reject({ name, why }: Of<"reject">, { again }: PerformContext): void {
    const found = again ? this.#queue.look(name) : null;
    if (again && (found instanceof Promise || found?.kind !== "request-unreadable")) return;
    this.#mailbox.reject(name, why);
  }

  /** A claimed request need not be read a second time when it is settled, unless somebody changed it meanwhile. */
  #remember(claimed: string, read: ReadRequest | null): void {
    if (read === null) return;
    if (this.#claimed.size >= CLAIMED_MAX) this.#claimed.delete(this.#claimed.keys().next().value as string);
    this.#claimed.set(claimed, read);
  }

  #defer(effect: Of<"defer">): undefined {
    const { name, claimed, deferred } = effect;
    if (SPEC_GATES.has(deferred.gate)) this.#queue.onWaitsForSpec();
    if (claimed !== null) {
      const stat = statSync(claimed, { throwIfNoEntry: false });
      const record = parsed(claimed);
      if (stat !== undefined && record !== null)
        this.#mailbox.putBack(claimed, name, { ...withOwnTime(record, stat.mtimeMs), deferred });
      this.#queue.wrote(name);
      return undefined;
    }
    const path = this.#mailbox.pathOf(name);
    const before = statSync(path, { throwIfNoEntry: false });
    const record = parsed(path);
    if (before === undefined || record === null) return undefined;
    const now = statSync(path, { throwIfNoEntry: false });
    // What a person has written meanwhile counts, and is looked at on its own.
    if (now === undefined || now.ino !== before.ino || now.mtimeMs !== before.mtimeMs) return undefined;
    replaceFile(path, textOf({ ...withOwnTime(record, before.mtimeMs), deferred }));
    this.#queue.wrote(name);
    return undefined;
  }

  #settle(effect: Of<"settle">, performing: PerformContext): Event | undefined {
    const { claimed, name, folder, outcome, subject } = effect;
    // What was claimed before the weather or a crash is settled; what took its name since is a request of its own.
    const earlier = performing.again && claimed === null ? this.#claimsOf(name).at(-1) : undefined;
    const path = claimed ?? earlier ?? this.#claim(name, performing.again);
    const stat = path === null ? undefined : statSync(path, { throwIfNoEntry: false });
    if (path !== null && stat !== undefined) {
      const read = this.#claimed.get(path);
      const record = read?.version === versionOf(stat) ? read.record : parsed(path);
      this.#mailbox.settle(path, folder, { ...record, verdict: outcome.verdict, outcome });
    }
    if (path !== null) this.#claimed.delete(path);
    return subject === null ? undefined : { kind: "settled", ...subject, name };
  }

  #check(effect: Of<"check">): Event {
    const { worker_id, worker_type, task_id, attempt } = effect;
    const nowMs = Date.now();
    const reading = this.#specs.readActive(worker_id, nowMs);
    const spec = reading.kind === "ok" && (reading.value.attempt ?? 1) === attempt ? reading.value : null;
    const block = spec?.heartbeat ?? null;
    const mustBeat = block !== null && isRequired(block);
    const beaten = (block?.last_seen ?? null) !== null || this.#hasBeaten(worker_id, attempt, nowMs);
    return {
      kind: "checked",
      worker_id,
      worker_type,
      task_id,
      attempt,
      // A spec that cannot be read just now is there all the same.
      found:
        spec !== null || reading.kind === "bad" || reading.kind === "unfinished"
          ? "active"
          : this.#whereIs(effect, nowMs),
      alive: isAttemptAlive(this.#context.layout, worker_id, attempt, nowMs) === true,
      beaten,
      must_beat: mustBeat,
    };
  }

  #whereIs({ worker_id, attempt }: Of<"check">, nowMs: number): Found {
    const { layout } = this.#context;
    if (existsSync(layout.zombieSpec(worker_id, attempt))) return "zombie";
    const finished = this.#specs.readCompleted(worker_id, attempt, nowMs);
    // Filed there too when a person had it stopped; and what cannot be read proves nothing.
    if (finished.kind === "ok") return statusOf(finished.value) === "cancelled" ? "stopped" : "completed";
    return existsSync(layout.failedSpec(worker_id, attempt)) ? "failed" : "gone";
  }

  /** The beat itself, where the monitor has not shown it in the spec yet. */
  #hasBeaten(workerId: string, attempt: number, nowMs: number): boolean {
    const reading = readBeat(this.#context.layout, workerId, { nowMs });
    return reading.kind === "ok" && reading.value.attempt === attempt;
  }

  /** The state as it is now, not as it was when this was decided: an older one must not come last. */
  #writeBreaker(workerType: string): undefined {
    const part = this.#context.part<TypePart>(`type:${workerType}`);
    if (part !== null) this.#breakers.write(breakerRecord(workerType, part.breaker));
    return undefined;
  }

  #holdTask(effect: Of<"hold-task">): undefined {
    const { task_id, why, until_ms } = effect;
    const hold = {
      scope: "target",
      name: task_id,
      acts: ["restart"],
      by: "worker-restart",
      why,
      created_at: writeInstant(Date.now()),
      expires_at: writeInstant(until_ms),
    };
    const name = taskHoldName(task_id);
    if (placeHold(this.#context.layout, name, textOf(hold), Date.now()) === "in_the_way")
      this.#context.log.warn(
        { task_id, hold: name },
        `Task "${task_id}" is not held: a person's hold "${name}" that is over has the name of its hold`,
      );
    return undefined;
  }

  #giveUp(effect: Of<"give-up">): undefined {
    const subject: Subject = { worker_id: effect.worker_id, worker_type: effect.worker_type, task_id: effect.task_id };
    const base: WorkerSpecRecord = this.#specs.latestEvidence(effect.worker_id) ?? { ...subject };
    this.#specs.fileFailed(
      {
        ...base,
        ...subject,
        status: "failed",
        attempt: effect.attempt,
        restart: { ...base.restart, ...effect.restart },
        why: effect.why,
      },
      effect.attempt,
    );
    return undefined;
  }
}

/** The monitor keeps its findings in the same block; only what was configured there makes beats required. */
function isRequired(block: NonNullable<WorkerSpecRecord["heartbeat"]>): boolean {
  if (block.mode != null) return block.mode === "required";
  return [block.interval_seconds, block.timeout_seconds, block.zombie_threshold_seconds].some((each) => each != null);
}

/** A request's text as an object; null if it is gone or not one. */
function parsed(path: string): Record<string, unknown> | null {
  try {
    const json: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : null;
  } catch (error) {
    if (weatherCode(error) !== null) throw error;
    return null;
  }
}
