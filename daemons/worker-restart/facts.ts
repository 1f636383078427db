/**
 * Reads everything that the gates of one request need, in one go, so that its decision can be computed again from it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { shortHash } from "../../lib/domain/hash.js";
import { HealdError } from "../../lib/errors.js";
import { isId, readInstant } from "../../lib/schema/primitives.js";
import {
  attemptName,
  type Requirement,
  tokensOf,
  type WorkerSpecRecord,
  workerSpecSchema,
} from "../../lib/schema/worker-spec.js";
import { readDesired } from "../../lib/store/desired.js";
import { heldBy, readHolds } from "../../lib/store/holds.js";
import type { Layout } from "../../lib/store/layout.js";
import { MAX_BYTES, readRecord } from "../../lib/store/records.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import { type ResolvedAttempt, resolveAttempt, TemplateStore } from "../../lib/store/templates.js";
import { readBudget } from "../../lib/store/tokens.js";
import { adoptedOf, isActiveAlive, survivorsOf } from "../../lib/targets/attempts.js";
import { askRequirements, type Required } from "../../lib/targets/requirements.js";
import type { Facts, Request } from "./messages.js";
import { fingerprint, ownFilesOf } from "./own-files.js";

export interface SubjectOfRequest {
  readonly worker_id: string;
  readonly worker_type: string;
  readonly task_id: string | null;
}

/** What a start needs, as it was found. */
export interface Found {
  readonly subject: SubjectOfRequest;
  readonly base: WorkerSpecRecord;
  readonly resolved: ResolvedAttempt | null;
  /** Files whose change ends the wait for `exit_class`. */
  readonly files: readonly string[];
}

/** The name of the hold by which a task is kept back; a task's own id may not be fit for a file. */
export const taskHoldName = (taskId: string): string => `task-${isId(taskId) ? taskId : shortHash(taskId)}.json`;

export class FactReader {
  readonly #layout: Layout;
  readonly #specs: SpecStore;
  readonly #templates: TemplateStore;
  readonly #host: () => NonNullable<Facts["host"]>;

  /** @param host What is known of the host; asked for with each request, so it must be at hand. */
  constructor(layout: Layout, host: () => NonNullable<Facts["host"]>) {
    this.#layout = layout;
    this.#host = host;
    this.#specs = new SpecStore(layout);
    this.#templates = new TemplateStore(layout);
  }

  /** Finds what the next attempt would be made of. */
  find(named: SubjectOfRequest, attempt: number | null, nowMs: number): Found & { readonly why: string | null } {
    const base = this.#baseOf(named, attempt, nowMs);
    const worker_type = isId(base.worker_type) ? base.worker_type : named.worker_type;
    const subject = { worker_id: named.worker_id, worker_type, task_id: named.task_id ?? base.task_id ?? null };
    const { resolved, why } = this.#resolve(base, worker_type, nowMs);
    const files = resolved === null ? [] : ownFilesOf(this.#layout, resolved.launch);
    return { subject, base, resolved, files, why };
  }

  /** The facts of a request. `other`: a request of another name that waits for the same worker. */
  read(
    found: Found & { readonly why: string | null },
    request: Request,
    other: string | null,
    nowMs: number,
  ): Facts | Promise<Facts> {
    const { resolved } = found;
    const requires = resolved?.requires ?? [];
    const answers = requires.length === 0 ? [] : this.#require(requires, nowMs);
    const complete = (required: readonly Required[]): Facts => this.#complete(found, request, other, required, nowMs);
    return answers instanceof Promise ? answers.then(complete) : complete(answers);
  }

  #require(requires: readonly Requirement[], nowMs: number): readonly Required[] | Promise<readonly Required[]> {
    return askRequirements(this.#layout, this.#specs, requires, nowMs);
  }

  #complete(
    found: Found & { readonly why: string | null },
    request: Request,
    other: string | null,
    requires: readonly Required[],
    nowMs: number,
  ): Facts {
    const layout = this.#layout;
    const { subject, base, resolved } = found;
    const active = this.#activeOf(subject.worker_id, nowMs);
    const highest =
      request.attempt === null
        ? this.#specs.highestAttempt(subject.worker_id)
        : Math.max(request.attempt, active?.attempt ?? 0);
    const next = (request.attempt ?? highest) + 1;
    const survivors =
      highest === 0 || active?.alive === true ? [] : survivorsOf(layout, subject.worker_id, highest, nowMs);
    return {
      host: this.#host(),
      ...this.#holdsOf(subject, request.force, nowMs),
      desired: readDesired(layout, subject.worker_id, nowMs)?.state ?? null,
      when: resolved?.restart?.when ?? base.restart?.when ?? "on-failure",
      highest,
      next_exists: (active?.attempt ?? 0) >= next || this.#specs.hasTrace(subject.worker_id, next),
      active,
      requires,
      unlaunchable: found.why,
      deadline_ms: readInstant(base.deadline),
      tokens: tokensLeft(layout, base, resolved),
      survivors,
      files: request.ended?.exit_code == null ? "" : this.filesOf(found),
      hook: existsSync(join(layout.hooksDir, "before_restart")),
      attempts: base.restart?.attempts ?? 0,
      lifetime: base.restart?.lifetime ?? 0,
      other,
      ...retryOf(resolved),
    };
  }

  /** The version of the worker's files, template and overrides. */
  filesOf(found: Found): string {
    const made = shortHash(JSON.stringify([found.resolved?.template_hash ?? null, found.base.overrides ?? null]));
    return shortHash(`${made} ${fingerprint(found.files)}`);
  }

  #holdsOf(subject: SubjectOfRequest, force: boolean, nowMs: number): Pick<Facts, "hold" | "task_held"> {
    const holds = readHolds(this.#layout, nowMs);
    if (holds.length === 0) return { hold: null, task_held: false };
    const of = {
      worker_id: subject.worker_id,
      worker_type: subject.worker_type,
      task_id: subject.task_id ?? undefined,
    };
    // The quarantine of a task has a gate of its own, further on.
    const quarantine = subject.task_id === null ? null : taskHoldName(subject.task_id);
    // A quarantine of our own is judged by its gate; one that auto-fix has made under the same name is a hold like others.
    const others = holds.filter((hold) => hold.name !== quarantine || hold.by === "auto-fix");
    const hold = heldBy(others, "restart", of, nowMs) ?? (force ? heldBy(others, "kill", of, nowMs) : null);
    const held = holds.some((each) => each.name === quarantine && each.expiresAtMs > nowMs);
    return {
      hold: hold === null ? null : { name: hold.name, why: hold.why, until_ms: hold.expiresAtMs },
      task_held: held,
    };
  }

  #activeOf(workerId: string, nowMs: number): Facts["active"] {
    const reading = this.#specs.readActive(workerId, nowMs);
    if (reading.kind === "absent") return null;
    // A spec that cannot be read is in the way of a new one, and nothing is known of its process.
    if (reading.kind !== "ok") return { attempt: 0, alive: false };
    const spec = reading.value;
    const adopted = adoptedOf(spec);
    return {
      attempt: attemptOf(spec),
      alive: isActiveAlive(this.#layout, spec, nowMs) ?? true,
      ...(adopted === null || adopted.maySignal ? {} : { untouchable: adopted.identity.pid }),
    };
  }

  /** The spec of the attempt that ended; else the one that is active, else the newest evidence, else nothing but names. */
  #baseOf(named: SubjectOfRequest, attempt: number | null, nowMs: number): WorkerSpecRecord {
    const { worker_id } = named;
    const root = this.#layout.coordination;
    // Of an attempt that ended there nearly always is one.
    const options = { maxBytes: MAX_BYTES.spec, nowMs, what: "worker spec", root, isFleeting: true, isThere: true };
    const zombie =
      attempt === null ? null : readRecord(this.#layout.zombieSpec(worker_id, attempt), workerSpecSchema, options);
    if (zombie?.kind === "ok" && zombie.value.worker_id === worker_id) return zombie.value;
    const active = this.#specs.readActive(worker_id, nowMs);
    if (active.kind === "ok") return active.value;
    return this.#specs.latestEvidence(worker_id) ?? ({ ...named } satisfies WorkerSpecRecord);
  }

  #resolve(
    base: WorkerSpecRecord,
    workerType: string,
    nowMs: number,
  ): { resolved: ResolvedAttempt | null; why: string | null } {
    const reading = this.#templates.resolve(workerType, nowMs);
    const template = reading.kind === "ok" ? reading : reading.kind === "bad" ? (reading.lastGood ?? null) : null;
    if (reading.kind === "bad" && template === null) return { resolved: null, why: reading.sentence };
    try {
      const resolved = resolveAttempt(template?.template ?? null, base);
      const target = resolved.launch.target ?? "process";
      if (target !== "process") return { resolved, why: `its target ${target} cannot be started here` };
      const why = `there is no template "${workerType}" and its spec has no launch command`;
      return { resolved, why: resolved.launch.command ? null : why };
    } catch (error) {
      if (error instanceof HealdError) return { resolved: null, why: error.message };
      throw error;
    }
  }
}

function tokensLeft(layout: Layout, base: WorkerSpecRecord, resolved: ResolvedAttempt | null): Facts["tokens"] {
  if (!existsSync(layout.tokenBudget)) return null;
  const wanted = resolved?.token_budget?.allocated ?? tokensOf(base).allocated;
  if (wanted <= 0) return null;
  try {
    const budget = readBudget(layout);
    return budget === null ? null : { wanted, left: budget.total_budget - budget.total_used };
  } catch (error) {
    // A ledger that cannot be read has no tokens to give; its gate says so and asks again.
    if (error instanceof HealdError) return { wanted, left: 0 };
    throw error;
  }
}

export const leaseName = (workerId: string, attempt: number): string => attemptName(workerId, attempt);

function retryOf(resolved: ResolvedAttempt | null): Pick<Facts, "retry"> {
  const { strategy, initial_delay_seconds: initial, max_delay_seconds: max } = resolved?.retry ?? {};
  if (!String(strategy).startsWith("exponential") || typeof initial !== "number" || typeof max !== "number") return {};
  return initial >= 0 && max >= initial ? { retry: { initial, max } } : {};
}
