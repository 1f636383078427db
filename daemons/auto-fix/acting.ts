/**
 * What each action does, what stood there before, and how it is taken back.
 *
 * Each may be done twice, since a kill can come between the deed and its answer: values are compared, names are exclusive,
 * and a command that may have run is not run again.
 *
 * @module
 */
import { existsSync, lstatSync, mkdirSync, realpathSync, renameSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { shortHash } from "../../lib/domain/hash.js";
import { createExclusive, replaceFile, safetyOf } from "../../lib/platform/files.js";
import { runProgram } from "../../lib/platform/programs.js";
import { type AllowedCommands, whyNotAllowed } from "../../lib/schema/allowed-commands.js";
import { ACTIONS, type ActionOf, type FixAction } from "../../lib/schema/fix-actions.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { isId, writeInstant } from "../../lib/schema/primitives.js";
import { type BreakerRecord, breakerRecordSchema } from "../../lib/schema/records.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { BreakerStore, breakerLine } from "../../lib/store/breakers.js";
import { lineOf, textOf, unlinkIfThere } from "../../lib/store/entries.js";
import { isSpent, placeHold, readHold } from "../../lib/store/holds.js";
import type { Layout } from "../../lib/store/layout.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import { editTemplate, type FieldEdit, type FieldValue, ownFields, ownText } from "../../lib/store/template-edit.js";
import { TemplateStore } from "../../lib/store/templates.js";
import { restartApp } from "../../lib/targets/pm2.js";
import { restartUnit } from "../../lib/targets/systemd.js";
import { ActionFailed } from "./action-failed.js";
import { freeDisk } from "./disk.js";
import { argumentsOf, lastRunning, textIfThere } from "./facts.js";
import { askRestart } from "./requests.js";
import { type Attempts, Rolling } from "./rolling.js";
import { Scaling } from "./scaling.js";
import type { BeforeImage, RunPart } from "./state.js";

const HOLD_SECONDS = 86_400;

type Of<Type extends FixAction["type"]> = ActionOf<Type>;

export class Acting {
  readonly #layout: Layout;
  readonly #specs: SpecStore;
  readonly #templates: TemplateStore;
  readonly #scaling: Scaling;
  readonly #allowed: () => AllowedCommands;
  readonly #pattern: (id: string) => PatternRecord | null;

  constructor(layout: Layout, allowed: () => AllowedCommands, pattern: (id: string) => PatternRecord | null) {
    this.#layout = layout;
    this.#specs = new SpecStore(layout);
    this.#templates = new TemplateStore(layout);
    this.#scaling = new Scaling(layout);
    this.#allowed = allowed;
    this.#pattern = pattern;
  }

  /** What stands there now, for each action. @throws {ActionFailed} If it is not any more as it was decided upon. */
  prepare(run: RunPart): BeforeImage[] {
    return run.plan.actions.map((action) => this.#before(action, run));
  }

  /** Does one step. The answer is a note for people. */
  async apply(run: RunPart, step: number): Promise<string> {
    const action = run.plan.actions[step] as FixAction;
    const before = run.before[step] ?? {};
    const timeoutMs = (action.timeout_seconds ?? ACTIONS[action.type].timeoutSeconds) * 1000;
    switch (action.type) {
      case "modify-worker-spec":
        return this.#modify(run, before);
      case "restart-worker":
        return this.#restartWorker(run, before);
      case "restart-service":
        return this.#restartService(run, before, timeoutMs);
      case "scale-up":
        return this.#scaling.up(run, before);
      case "scale-down":
        return this.#scaling.down(run, before);
      case "enable-circuit-breaker":
        replaceFile(this.#layout.breaker(run.scope), String(before.written), { sync: true });
        return `the circuit breaker of ${run.scope} is ${action.state ?? "open"}`;
      case "fallback-mode":
        createExclusive(
          this.#layout.fallbackFile(run.scope),
          lineOf({ run_id: run.run_id, why: run.why.slice(0, 160) }),
        );
        return `the fallback flag of ${run.scope} is set`;
      case "clean-state":
        return this.#cleanState(run, action, before);
      case "quarantine":
        if (placeHold(this.#layout, String(before.file), String(before.written), Date.now()) === "in_the_way")
          throw new ActionFailed(`a person's hold ${String(before.file)} that is over is in the way`);
        return `the task is held`;
      case "run-command":
        return this.#runCommand(run, step, action, timeoutMs);
      case "free-disk":
        return freeDisk(this.#layout, action, Date.now(), timeoutMs);
      case "ask-person":
        return "a person has taken it";
      case "alert-oncall":
        return "a person is called";
      case "rollback-deployment":
        throw new ActionFailed("no supported target has releases to go back to");
    }
  }

  /** Takes one step back; the names of what somebody else has changed since. */
  async undo(run: RunPart, step: number): Promise<readonly string[]> {
    const action = run.plan.actions[step] as FixAction;
    const before = run.before[step] ?? {};
    switch (action.type) {
      case "modify-worker-spec":
        return this.#unmodify(run, before);
      case "enable-circuit-breaker":
        return this.#unbreak(run, before);
      case "fallback-mode":
        return this.#unflag(run, before);
      case "quarantine":
        return this.#unhold(before);
      case "clean-state":
        return (before.moves as readonly Move[]).flatMap(({ from, to }) => putBack(from, to));
      case "scale-up":
        return this.#scaling.undoUp(run, before);
      case "scale-down":
        return this.#scaling.undoDown(run, before);
      default:
        return [];
    }
  }

  #before(action: FixAction, run: RunPart): BeforeImage {
    const layout = this.#layout;
    switch (action.type) {
      case "modify-worker-spec":
        return this.#fieldsBefore(action, run);
      case "enable-circuit-breaker":
        return { text: textIfThere(layout.breaker(run.scope)), written: this.#breakerText(run, action) };
      case "fallback-mode":
        return { existed: existsSync(layout.fallbackFile(run.scope)) };
      case "quarantine":
        return this.#holdBefore(run, action);
      case "restart-worker":
        return { attempts: attemptsOf(this.#meant(run)) };
      case "restart-service":
        return { attempts: attemptsOf(this.#running(run.scope)) };
      case "clean-state":
        return { moves: this.#movesOf(run, action), attempts: attemptsOf(this.#running(run.scope)) };
      case "scale-up":
      case "scale-down":
        return this.#scaling.before(action, run.scope);
      default:
        return {};
    }
  }

  #fieldsBefore(action: Of<"modify-worker-spec">, run: RunPart): BeforeImage {
    const names = new Set(action.changes.flatMap((change) => [change.field, ...(change.or_fields ?? [])]));
    const changed = run.diff.filter((each) => names.has(each.what as (typeof action.changes)[number]["field"]));
    const own = ownFields(
      this.#layout,
      run.scope,
      changed.map((each) => each.what),
    );
    const edits: FieldEdit[] = changed.map((each, index) => ({
      field: each.what,
      from: own[index] ?? null,
      to: each.after as FieldValue,
    }));
    return { text: ownText(this.#layout, run.scope), edits };
  }

  async #modify(run: RunPart, before: BeforeImage): Promise<string> {
    const edits = (before.edits ?? []) as readonly FieldEdit[];
    const outcome = await editTemplate(this.#layout, run.scope, edits);
    if (outcome.kind === "refused") throw new ActionFailed(outcome.why);
    if (outcome.kind === "conflict")
      throw new ActionFailed(
        `${outcome.field} was changed to ${JSON.stringify(outcome.found)} by somebody else meanwhile`,
      );
    const found = this.#templates.resolve(run.scope);
    if (found.kind === "bad") throw new ActionFailed(found.sentence);
    return `the template of ${run.scope} is changed`;
  }

  /** Per field, and only where the value is still the one that was written. */
  async #unmodify(run: RunPart, before: BeforeImage): Promise<readonly string[]> {
    const edits = ((before.edits ?? []) as readonly FieldEdit[]).map(({ field, from, to }) => ({
      field,
      from: to,
      to: from,
    }));
    const outcome = await editTemplate(this.#layout, run.scope, edits, true);
    return outcome.kind === "refused" ? [outcome.why] : outcome.conflicts;
  }

  #running(scope: string): WorkerSpecRecord[] {
    const nowMs = Date.now();
    return this.#specs.listActive().flatMap((id) => {
      const reading = this.#specs.readActive(id, nowMs);
      return reading.kind === "ok" && reading.value.worker_type === scope ? [reading.value] : [];
    });
  }

  /** The pattern's last worker that runs; without a pattern the worker that the policy names, or the only one of the type. */
  #meant(run: RunPart): WorkerSpecRecord[] {
    if (run.pattern_id !== null) {
      const last = lastRunning(run.workers, this.#running(run.scope));
      return last === undefined ? [] : [last];
    }
    const named = isId(run.scope) ? this.#specs.readActive(run.scope, Date.now()) : null;
    return named?.kind === "ok" ? [named.value] : this.#running(run.scope).slice(0, 1);
  }

  #restartWorker(run: RunPart, before: BeforeImage): string {
    const [first] = Object.entries((before.attempts ?? {}) as Attempts);
    if (first === undefined) return this.#waitsAlready(run);
    return this.#askOnce(run, ...first);
  }

  /** What came of it. A worker that runs in another attempt by now was restarted since, by this very step or without it. */
  #askOnce(run: RunPart, id: string, attempt: number): string {
    const reading = this.#specs.readActive(id, Date.now());
    if (reading.kind !== "ok") return `${id} does not run any more`;
    if (attemptOf(reading.value) !== attempt) return `${id} was restarted since`;
    if (!reading.value.worker_type)
      throw new ActionFailed(`the spec of ${id} names no worker type, without which no restart can be asked for`);
    const isFiled = askRestart(this.#layout, reading.value, run.run_id, "auto_fix", Date.now());
    // What waits may be this very step's, made before a kill.
    const isOurs = isFiled || textIfThere(this.#layout.queueRequest(id))?.includes(run.run_id) === true;
    return isOurs ? `the restart of ${id} is asked for` : `a restart of ${id} waits already`;
  }

  #waitsAlready(run: RunPart): string {
    const waiting = run.workers.find((id) => isId(id) && existsSync(this.#layout.queueRequest(id)));
    if (waiting === undefined) throw new ActionFailed(`no worker of ${run.scope} is there to be restarted`);
    return `the restart of ${waiting} waits already`;
  }

  async #restartService(run: RunPart, before: BeforeImage, timeoutMs: number): Promise<string> {
    const name = run.plan.target_name ?? run.scope;
    if (run.plan.target === "process") {
      const attempts = (before.attempts ?? {}) as Attempts;
      const count = Object.keys(attempts).length;
      if (count === 0) return this.#waitsAlready(run);
      await new Rolling(this.#layout).round({ run_id: run.run_id, attempts, limitMs: timeoutMs });
      return `${count} workers of ${run.scope} are restarted`;
    }
    const outcome = run.plan.target === "pm2" ? await restartApp(name, timeoutMs) : await restartUnit(name, timeoutMs);
    if (!outcome.ok) throw new ActionFailed(outcome.why);
    return outcome.note;
  }

  #breakerText(run: RunPart, action: Of<"enable-circuit-breaker">): string {
    const nowMs = Date.now();
    const state = action.state ?? "open";
    const record: BreakerRecord = {
      worker_type: run.scope,
      state,
      failure_count: 0,
      opened_at: writeInstant(nowMs),
      ...(state === "open" ? { next_probe_at: writeInstant(nowMs + (action.open_seconds ?? 300) * 1000) } : {}),
      reason: `auto-fix ${run.run_id}`,
    };
    return breakerLine(record, new BreakerStore(this.#layout).added(run.scope));
  }

  #unbreak(run: RunPart, before: BeforeImage): readonly string[] {
    const path = this.#layout.breaker(run.scope);
    const wanted = stateIn(String(before.written));
    const reason = `undone ${run.run_id}`;
    const found = textIfThere(path);
    // Done before a kill, whose answer was lost.
    if (found?.includes(`"${reason}"`) === true) return [];
    if (stateIn(found) !== wanted) return [`the circuit breaker of ${run.scope}`];
    const nowMs = Date.now();
    const back = stateIn(String(before.text)) ?? "closed";
    const record: BreakerRecord = {
      worker_type: run.scope,
      state: back,
      failure_count: 0,
      last_reset: writeInstant(nowMs),
      manual_reset: back === "closed",
      reason,
    };
    replaceFile(path, breakerLine(record, new BreakerStore(this.#layout).added(run.scope)), { sync: true });
    return [];
  }

  #holdBefore(run: RunPart, action: Of<"quarantine">): BeforeImage {
    const task = this.#pattern(run.subject)?.tasks?.[0];
    if (task === undefined) throw new ActionFailed("no single task is known");
    const nowMs = Date.now();
    const hold = {
      scope: "target",
      name: task,
      acts: ["restart"],
      by: "auto-fix",
      why: `${run.plan.name}: ${run.why}`.slice(0, 160),
      created_at: writeInstant(nowMs),
      expires_at: writeInstant(nowMs + (action.hold_seconds ?? HOLD_SECONDS) * 1000),
    };
    const file = `task-${isId(task) ? task : shortHash(task)}.json`;
    // One of our own that is over makes room for this one, which is ours to take back then.
    const there = readHold(this.#layout, file, nowMs);
    const existed = existsSync(join(this.#layout.holdsDir, file)) && (there === null || !isSpent(there, nowMs));
    return { file, written: textOf(hold), existed };
  }

  /** A flag that was there before, or that somebody else has set since, is not ours to remove. */
  #unflag(run: RunPart, before: BeforeImage): readonly string[] {
    if (before.existed === true) return [];
    const path = this.#layout.fallbackFile(run.scope);
    const text = textIfThere(path);
    if (text !== null && !text.includes(run.run_id)) return [`the fallback flag of ${run.scope}`];
    unlinkIfThere(path);
    return [];
  }

  #unhold(before: BeforeImage): readonly string[] {
    if (before.existed === true) return [];
    const path = join(this.#layout.holdsDir, String(before.file));
    const text = textIfThere(path);
    if (text === null) return [];
    if (text !== before.written) return [`the hold ${String(before.file)}`];
    unlinkIfThere(path);
    return [];
  }

  #movesOf(run: RunPart, action: Of<"clean-state">): Move[] {
    const worker = run.workers.at(-1);
    if (worker === undefined || !isId(worker)) throw new ActionFailed("no worker is known");
    const { home } = this.#layout.home;
    return action.paths.map((path) => {
      const from = join(home, path.replaceAll("{worker_id}", worker));
      return { from, to: `${from}.aside-${run.run_id}` };
    });
  }

  #cleanState(run: RunPart, action: Of<"clean-state">, before: BeforeImage): string {
    const moves = before.moves as readonly Move[];
    let moved = 0;
    // All are looked at before the first is moved: a step is done whole or not at all.
    for (const { from, to } of moves) if (!existsSync(to) && existsSync(from)) this.#checkInside(from);
    for (const { from, to } of moves) {
      if (existsSync(to)) moved += 1;
      else if (existsSync(from)) {
        renameSync(from, to);
        moved += 1;
      }
    }
    if (moved === 0) throw new ActionFailed("there is no state to move aside");
    if (action.restart !== false) {
      const id = run.workers.at(-1) ?? "";
      const attempt = ((before.attempts ?? {}) as Attempts)[id];
      if (attempt !== undefined) this.#askOnce(run, id, attempt);
    }
    return `${moved} folders are moved aside as *.aside-${run.run_id}`;
  }

  /** A link on the way could lead anywhere. */
  #checkInside(path: string): void {
    const { home } = this.#layout.home;
    const isInside = !relative(realpathSync(home), realpathSync(path)).startsWith("..");
    if (!isInside || lstatSync(path).isSymbolicLink())
      throw new ActionFailed(`${path} is a link, or leads out of the home`);
  }

  async #runCommand(run: RunPart, step: number, action: Of<"run-command">, timeoutMs: number): Promise<string> {
    const args = argumentsOf(action, run.scope, this.#pattern(run.subject));
    const allowed = this.#allowed();
    const why = whyNotAllowed(allowed, action.command, args);
    const command = allowed.commands.find((each) => each.name === action.command);
    if (why !== null || command === undefined) throw new ActionFailed(why ?? "it is not allowed");
    if (!existsSync(command.path)) throw new ActionFailed(`there is no ${command.path}`);
    const unsafe = safetyOf(command.path);
    if (unsafe !== null) throw new ActionFailed(`${command.path} is not safe to run: ${unsafe}`);
    const marker = join(this.#layout.autoFixDir, "runs", `.${run.run_id}.${step}.started`);
    const isFirst = createExclusive(marker, lineOf({ at: writeInstant(Date.now()) }));
    if (!isFirst) throw new ActionFailed(`${command.name} was cut off by a kill, and is not run a second time`);
    const limitMs = command.timeout_seconds === undefined ? timeoutMs : command.timeout_seconds * 1000;
    const env = { HEALD_HOME: this.#layout.home.home, HEALD_RUN_ID: run.run_id, HEALD_WORKER_TYPE: run.scope };
    const result = await runProgram(command.path, args, { cwd: this.#layout.home.home, env, timeoutMs: limitMs });
    if (result.failedToStart !== undefined)
      throw new ActionFailed(`${command.name} cannot be started: ${result.failedToStart}`);
    if (result.timedOut) throw new ActionFailed(`${command.name} took longer than ${limitMs / 1000} s`);
    if (result.exitCode !== 0) throw new ActionFailed(`${command.name} ended with ${result.exitCode ?? result.signal}`);
    return `${command.name} ended with 0`;
  }
}

const attemptsOf = (specs: readonly WorkerSpecRecord[]): Attempts =>
  Object.fromEntries(specs.map((spec) => [spec.worker_id, attemptOf(spec)]));

interface Move {
  readonly from: string;
  readonly to: string;
}

/** Back in its place, unless something new stands there. */
function putBack(from: string, to: string): string[] {
  if (!existsSync(to)) return [];
  if (existsSync(from)) return [from];
  mkdirSync(dirname(from), { recursive: true });
  renameSync(to, from);
  return [];
}

function stateIn(text: string | null): BreakerRecord["state"] | null {
  try {
    const read = breakerRecordSchema.shape.state.safeParse((JSON.parse(text ?? "null") as { state?: unknown }).state);
    return read.success ? read.data : null;
  } catch {
    return null; // No file, or one that is being written.
  }
}
