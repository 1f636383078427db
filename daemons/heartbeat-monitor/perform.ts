/** Does what was decided: looks, writes, signals, files. Each is harmless to repeat; what it found is the answer. @module */
import { existsSync, statSync } from "node:fs";
import type { ProcessLook } from "../../lib/domain/verdict.js";
import { HealdError } from "../../lib/errors.js";
import { createExclusive, replaceFile } from "../../lib/platform/files.js";
import { GivingWay } from "../../lib/platform/giving-way.js";
import { oomKills, releaseMemoryLimit } from "../../lib/platform/memory-limit.js";
import { isSame, look } from "../../lib/platform/processes.js";
import { type DeathNotes, Rush } from "../../lib/platform/rush.js";
import { askHook } from "../../lib/runtime/asked-hooks.js";
import type { Perform, PerformContext } from "../../lib/runtime/core.js";
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import { launchRecordSchema, type RestartRequest } from "../../lib/schema/records.js";
import { stopSignalOf } from "../../lib/schema/stop-signals.js";
import { attemptName, type WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { Mailbox } from "../../lib/store/mailbox.js";
import { MAX_BYTES, readRecord } from "../../lib/store/records.js";
import { type SpecPatch, SpecStore } from "../../lib/store/specs.js";
import { returnTokens } from "../../lib/store/tokens.js";
import type { BeatSource } from "./beat-source.js";
import type { Effect, Event, KnownProcess, Looked, WorkerPart } from "./facts.js";
import type { LeaseSource } from "./lease-source.js";
import type { HeartbeatSettings } from "./policy.js";
import { processOf } from "./read-facts.js";
import type { Remains } from "./remains.js";
import { type Filed, fileRequest } from "./requesting.js";
import { isClosed, launcherLives, type SpecSource } from "./spec-source.js";

/** What keeps the processor free for those who wait for a worker's return. */
export interface ForOthers {
  readonly deaths: DeathNotes;
  readonly givingWay: Pick<GivingWay, "rest">;
}

export class Performer {
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  readonly #specs: SpecStore;
  readonly #queue: Mailbox;
  readonly #beats: BeatSource;
  readonly #specSource: SpecSource;
  readonly #remains: Remains;
  readonly #leases: LeaseSource;
  readonly #forOthers: ForOthers;
  /** Called when the end of an attempt is filed. */
  onFiled: () => void = () => {};

  constructor(
    context: DaemonContext<Event, HeartbeatSettings>,
    beats: BeatSource,
    specSource: SpecSource,
    remains: Remains,
    leases: LeaseSource,
    forOthers: ForOthers = { deaths: new Rush(), givingWay: new GivingWay() },
  ) {
    const { layout } = context;
    this.#forOthers = forOthers;
    this.#remains = remains;
    this.#leases = leases;
    this.#context = context;
    this.#specs = new SpecStore(layout);
    this.#queue = new Mailbox(layout.queueDir, {
      claimed: layout.claimedDir,
      done: layout.doneDir,
      failed: layout.failedRequestsDir,
      rejected: layout.rejectedDir,
    });
    this.#beats = beats;
    this.#specSource = specSource;
  }

  readonly perform: Perform<Event, Effect> = (effect, performing) => {
    switch (effect.kind) {
      case "report":
        this.#context.reporter.report(effect, performing);
        return undefined;
      case "look":
        return this.lookFor(effect);
      case "release":
        return effect.worker_ids.map((worker_id) => ({ kind: "released" as const, worker_id }));
      case "rescan":
        this.#beats.scan();
        return undefined;
      case "write_block":
        if (this.#specs.mergeActive(effect.worker_id, effect.attempt, effect.patch as SpecPatch) === "merged")
          this.#specSource.noteOwnWrite(effect.worker_id);
        return undefined;
      case "run_hook":
        return this.#runHook(effect, performing);
      case "signal":
        return this.#signal(effect);
      case "gather":
        return this.#gather(effect);
      case "file_end":
        return this.#fileEnd(effect);
      case "remove_active":
        this.#specs.removeActive(effect.worker_id, effect.attempt);
        return undefined;
      case "return_tokens":
        return this.#returnTokens(effect);
      case "file_request":
        return this.#fileRequest(effect);
      case "forget_files":
        if (effect.memory_folder !== null) releaseMemoryLimit(effect.memory_folder);
        this.#remains.forget(attemptName(effect.worker_id, effect.attempt));
        this.onFiled();
        return { kind: "filed", worker_id: effect.worker_id, attempt: effect.attempt };
    }
  };

  /** Looks, and touches nothing. */
  lookFor(effect: Extract<Effect, { kind: "look" }>): Extract<Event, { kind: "looked" }> {
    const { worker_id, attempt, process } = effect;
    return { kind: "looked", worker_id, attempt, looked: this.#look(worker_id, attempt, process) };
  }

  #look(workerId: string, attempt: number, process: KnownProcess | null): Looked {
    const found = process === null ? null : look(process.identity);
    const presence = found?.presence;
    // Of an adopted one no exit record will tell.
    const isForced =
      presence === "gone" && process?.launcher_pid === null && this.#specSource.isRestartForced(workerId, attempt);
    return {
      ...(isForced ? { restart_forced: true } : {}),
      look: found === null ? null : processLook(found),
      same_host: presence !== "other_host",
      same_namespace: presence !== "other_namespace",
      same_boot: presence !== "other_boot",
      log_bytes: statSync(this.#context.layout.workerLog(workerId, attempt), { throwIfNoEntry: false })?.size ?? null,
      launcher_alive: launcherLives(process?.launcher_pid, process?.launcher_start_time),
      exit: this.#specSource.exitOf(workerId, attempt),
      beat: this.#beats.freshBeatOf(workerId),
    };
  }

  async #runHook(effect: Extract<Effect, { kind: "run_hook" }>, performing: PerformContext): Promise<Event> {
    const { worker_id, attempt, hook, input } = effect;
    const worker = this.#context.part<WorkerPart>(`worker:${worker_id}`);
    const reason = String(input.reason);
    const subject = {
      worker_id,
      worker_type: worker?.spec.worker_type,
      task_id: worker?.spec.task_id ?? undefined,
      attempt,
      incident_id: worker?.incident_id ?? undefined,
    };
    const content = {
      message: `Attempt ${attempt} of ${worker_id} is about to be ended: ${reason}`,
      reason,
      data: { pid: input.pid, evidence: input.evidence },
    };
    const question = { hook, source: "heartbeat-monitor", subject, content, timeoutMs: effect.timeout_ms } as const;
    const { later, note } = await askHook(this.#context, question, performing);
    return { kind: "hook_answered", worker_id, attempt, later, message: note };
  }

  #signal(effect: Extract<Effect, { kind: "signal" }>): Event {
    const { worker_id, attempt, process, scope } = effect;
    // What an earlier version has journaled may name one that there is not.
    const signal = stopSignalOf(effect.signal);
    const outcome = this.#remains.signal(attemptName(worker_id, attempt), process.identity, signal, scope);
    this.#context.log.info(
      { worker_id, attempt, pid: process.identity.pid, signal, scope: outcome.reach, answer: outcome.answer },
      `${signal} to ${outcome.reach} of ${worker_id}: ${outcome.answer}`,
    );
    return { kind: "signalled", worker_id, attempt, answer: outcome.answer, why: outcome.why ?? null };
  }

  #gather(effect: Extract<Effect, { kind: "gather" }>): Event {
    const { worker_id, attempt, process } = effect;
    const claim = effect.withdraw ? this.#withdraw(worker_id, attempt) : { claimed: false, process: null };
    let exit = this.#specSource.exitOf(worker_id, attempt);
    if (exit !== null && exit.oom_kills === 0 && process?.memory_folder)
      exit = { ...exit, oom_kills: oomKills(process.memory_folder) ?? 0 };
    const exitPending =
      exit === null && process !== null && launcherLives(process.launcher_pid, process.launcher_start_time);
    return {
      kind: "gathered",
      worker_id,
      attempt,
      ...this.#remains.look(worker_id, attempt, process),
      exit,
      exit_pending: exitPending,
      claimed: claim.claimed,
      ...(claim.process === null ? {} : { process: claim.process }),
    };
  }

  /** Takes the claim of an attempt that nobody has started, so that a late launcher finds it and leaves; else says whose it is. */
  #withdraw(workerId: string, attempt: number): { readonly claimed: boolean; readonly process: KnownProcess | null } {
    const path = this.#context.layout.launch(workerId, attempt);
    const claim = `${JSON.stringify({ worker_id: workerId, attempt, withdrawn_by: "heartbeat-monitor" })}\n`;
    if (createExclusive(path, claim)) return { claimed: false, process: null };
    const options = { maxBytes: MAX_BYTES.request, nowMs: Date.now(), refusesForbidden: true };
    const reading = readRecord(path, launchRecordSchema, options);
    // What we are kept from reading may be of a program that runs.
    if (reading.kind === "unfinished" || (reading.kind === "bad" && isClosed(reading)))
      return { claimed: true, process: null };
    if (reading.kind === "ok") {
      const { launcher_pid, launcher_start_time } = reading.value;
      const process = processOf(reading.value);
      if (process !== null || launcherLives(launcher_pid, launcher_start_time)) return { claimed: true, process };
    }
    // In its place, so that whoever created the claim, and was stopped since, finds that it is no more its own.
    replaceFile(path, claim);
    return { claimed: false, process: null };
  }

  /** Evidence is a copy of the spec as it last was, with its end; written once, never changed. */
  #fileEnd(effect: Extract<Effect, { kind: "file_end" }>): undefined {
    const { worker_id, attempt, into } = effect;
    const reading = this.#specs.readActive(worker_id, Date.now());
    const base: WorkerSpecRecord =
      reading.kind === "ok" && (reading.value.attempt ?? 1) === attempt
        ? reading.value
        : this.#rebuilt(worker_id, attempt);
    const record = { ...base, attempt } as Record<string, unknown>;
    for (const [key, value] of Object.entries(effect.patch))
      record[key] = isPlain(value) && isPlain(record[key]) ? { ...(record[key] as object), ...value } : value;
    if (into === "zombie") this.#specs.fileZombie(record as WorkerSpecRecord, attempt);
    else this.#specs.fileCompleted(record as WorkerSpecRecord, attempt);
    return undefined;
  }

  /** The spec is not readable any more (a person's edit broke it): what the monitor knows stands in for it. */
  #rebuilt(workerId: string, attempt: number): WorkerSpecRecord {
    const worker = this.#context.part<{
      readonly spec: { readonly worker_type: string; readonly task_id: string | null };
    }>(`worker:${workerId}`);
    return {
      worker_id: workerId,
      worker_type: worker?.spec.worker_type ?? "unknown",
      task_id: worker?.spec.task_id ?? null,
      attempt,
    };
  }

  async #returnTokens(effect: Extract<Effect, { kind: "return_tokens" }>): Promise<undefined> {
    const { layout } = this.#context;
    if (!existsSync(layout.tokenBudget)) return undefined;
    const name = attemptName(effect.worker_id, effect.attempt);
    try {
      await returnTokens(layout, name, effect.used);
    } catch (error) {
      // A ledger that a person has spoilt, or holds locked, is no reason to leave the rest of the end undone.
      if (!(error instanceof HealdError)) throw error;
      this.#leases.owe(name, error.message);
    }
    return undefined;
  }

  #fileRequest(effect: Extract<Effect, { kind: "file_request" }>): undefined | Promise<undefined> {
    const request = effect.request as RestartRequest;
    this.#forOthers.deaths.died();
    const filed = fileRequest(this.#context.layout, this.#queue, request);
    const say = (how: Filed): undefined => {
      if (how === "merged")
        this.#context.log.info(
          { worker_id: effect.worker_id },
          "the request to restart it that waits tells of its end",
        );
    };
    if (filed instanceof Promise) return filed.then(say);
    // Whatever tells of a crash can wait for its worker's return. A worker that was ended has waited for seconds.
    if (filed === "filed" && request.ended?.by_itself === true) this.#forOthers.givingWay.rest();
    return say(filed);
  }
}

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function processLook(found: ReturnType<typeof look>): ProcessLook {
  const presence =
    found.presence === "same" || found.presence === "unreaped"
      ? "present"
      : found.presence === "reused"
        ? "replaced"
        : found.presence === "gone"
          ? "gone"
          : "unreadable";
  return {
    atMs: found.at.monoMs,
    presence,
    state: stateOf(found),
    traced: found.traced ?? false,
    frozen: found.frozen ?? false,
    cpuMs: found.cpu_ms ?? 0,
    childrenCpuMs: found.children_cpu_ms ?? 0,
    ioBytes: found.io_bytes ?? null,
  };
}

/** The kernel says Z of a process whose first thread has ended, also while others of it work on: that is no corpse. */
function stateOf(found: ReturnType<typeof look>): string | null {
  if (found.presence === "unreaped") return "Z";
  return found.state === "Z" || found.state === "X" ? null : (found.state ?? null);
}

/** Whether a known process is the one that runs under its pid now. */
export function isRunning(process: KnownProcess): boolean {
  return isSame(process.identity) === "same";
}
