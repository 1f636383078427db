/**
 * `hooks/<event_type>`: an operator's program for each event, started by the daemon that reports it and never waited for.
 *
 * The names in the folder are kept in memory and follow its watch: without hooks an event costs one look into an empty map.
 * A hook can fail, hang or be missing; that is one line in the daemon's log, and nothing else waits for it or changes.
 *
 * @module
 */
import { accessSync, constants, lstatSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../errors.js";
import { type Beside, type BesideEnd, startBeside } from "../platform/beside.js";
import { safetyOf } from "../platform/files.js";
import { LEFT_RUNNING } from "../platform/groups.js";
import type { Log } from "../platform/log.js";
import { bulkhead } from "../platform/tasks.js";
import { type Watch, watchDirectory } from "../platform/watching.js";
import { EVENTS } from "../schema/catalogue.js";
import type { EventRecord } from "../schema/events.js";
import { nearestName } from "../schema/problems.js";
import { namesIn } from "../store/entries.js";
import type { Layout } from "../store/layout.js";
import { ASKED_HOOKS } from "./asked-hooks.js";

export interface HookLimits {
  /** Hooks of one daemon that run at once. */
  readonly concurrency: number;
  /** Events that wait for a place; more are passed over, and said. */
  readonly waitingMax: number;
  readonly timeoutMs: number;
}

export const HOOK_LIMITS: HookLimits = { concurrency: 4, waitingMax: 1000, timeoutMs: 30_000 };

/** They are no event's, and belong to the daemons that ask them. */
const ASKED: ReadonlySet<string> = new Set(ASKED_HOOKS);

export class Hooks {
  readonly #layout: Layout;
  readonly #log: Log;
  readonly #limits: HookLimits;
  readonly #places: ReturnType<typeof bulkhead>;
  readonly #running = new Set<Beside>();
  readonly #said = new Set<string>();
  #names: ReadonlySet<string> = new Set();
  #watch: Watch | null = null;
  #passedOver = 0;
  #closed = false;

  constructor(layout: Layout, log: Log, limits: Partial<HookLimits> = {}) {
    this.#layout = layout;
    this.#log = log;
    this.#limits = { ...HOOK_LIMITS, ...limits };
    this.#places = bulkhead(this.#limits.concurrency);
  }

  /** Arms the watch, and reads the folder then. */
  start(): void {
    this.#watch = watchDirectory(
      this.#layout.hooksDir,
      () => this.scan(),
      (cause) => this.#say("", `hooks cannot be watched: ${String(cause)}`),
    );
    this.scan();
  }

  /** Reads the folder again. While it cannot be read, the hooks that are known stay. */
  scan(): void {
    const names = this.#list();
    if (names === null) return;
    this.#names = new Set(names.filter((name) => Object.hasOwn(EVENTS, name)));
    for (const name of names) {
      if (!this.#names.has(name) && !ASKED.has(name)) {
        const nearest = nearestName(name, Object.keys(EVENTS));
        this.#say(name, `names no event${nearest === null ? "" : `; did you mean ${nearest}`}`);
      }
    }
  }

  #list(): string[] | null {
    try {
      return namesIn(this.#layout.hooksDir).filter((name) => !name.startsWith(".") && name !== "README.md");
    } catch (error) {
      if (systemCode(error) === null) throw error;
      this.#say("", `hooks cannot be read: ${String(error)}`);
      return null;
    }
  }

  /** Starts the event's hook, if there is one. Returns at once. */
  reported(record: EventRecord): void {
    if (!this.#names.has(record.event_type)) return;
    if (this.#places.size >= this.#limits.waitingMax) {
      this.#passedOver += 1;
      if (this.#passedOver === 1)
        this.#log.warn({ hook: record.event_type }, "hooks are too slow: events are passed over until there is room");
      return;
    }
    if (this.#passedOver > 0) {
      this.#log.warn({ passed_over: this.#passedOver }, `${this.#passedOver} events had no hook started for them`);
      this.#passedOver = 0;
    }
    this.#places
      .run(() => this.#run(record))
      .catch((error: unknown) =>
        this.#log.warn({ hook: record.event_type, cause: String(error) }, `hooks/${record.event_type} is not run`),
      );
  }

  /** Resolves when no hook runs and none waits. */
  idle(): Promise<void> {
    return this.#places.onIdle();
  }

  /** Hooks that run go on without us. Of what waits for a place only the news of the stop is still started. */
  close(): void {
    this.#watch?.close();
    this.#closed = true;
    for (const program of this.#running) program.letGo();
    if (this.#places.size > 1)
      this.#log.warn({ waiting: this.#places.size }, "the daemon stops: hooks that waited for a place are not started");
    // What waits is looked at now, and passed over: nothing may keep the daemon.
    this.#places.setConcurrency(Number.MAX_SAFE_INTEGER);
  }

  async #run(record: EventRecord): Promise<void> {
    const name = record.event_type;
    if (this.#closed && name !== "daemon_stopped") return;
    const path = join(this.#layout.hooksDir, name);
    const refusal = whyNotRun(path);
    if (refusal !== null) return this.#say(name, refusal);
    const { home, coordination } = { home: this.#layout.home.home, coordination: this.#layout.coordination };
    const program = startBeside(path, [], `${JSON.stringify(record)}\n`, {
      cwd: home,
      env: { HEALD_HOME: home, HEALD_COORDINATION_DIR: coordination, HEALD_EVENT_TYPE: name },
      timeoutMs: this.#limits.timeoutMs,
      keepLastLine: !this.#closed && name !== "daemon_stopped",
    });
    if (this.#closed) return program.letGo();
    this.#running.add(program);
    const end = await program.ended;
    this.#running.delete(program);
    const problem = problemOf(end, this.#limits.timeoutMs);
    if (problem === null) return;
    this.#log.warn({ hook: name, event_id: record.event_id, last_line: end.lastLine }, `hooks/${name} ${problem}`);
  }

  /** Once for each hook and reason until the daemon starts again or the file changes. */
  #say(name: string, why: string): void {
    const key = `${name}\n${why}\n${versionOf(join(this.#layout.hooksDir, name))}`;
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.#log.warn({ hook: name }, name === "" ? why : `hooks/${name} is not run: ${why}`);
  }
}

/** Looked at before each start: the file may have changed since the folder was read. */
function whyNotRun(path: string): string | null {
  try {
    const unsafe = safetyOf(path);
    if (unsafe !== null) return unsafe;
    if (!statSync(path).isFile()) return "it is not a regular file";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  try {
    accessSync(path, constants.X_OK);
    return null;
  } catch {
    return "it is not executable";
  }
}

/** Of the entry itself: a link is never followed, and one that leads in a circle or into a closed folder cannot be. */
function versionOf(path: string): string {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat === undefined ? "" : `${stat.ino}:${stat.ctimeMs}`;
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    return code;
  }
}

function problemOf(end: BesideEnd, timeoutMs: number): string | null {
  if (end.failedToStart !== undefined) return `could not be started (${end.failedToStart})`;
  if (end.isLeft) return `took longer than ${timeoutMs / 1000} s${LEFT_RUNNING}`;
  if (end.timedOut) return `took longer than ${timeoutMs / 1000} s and was ended`;
  if (end.signal !== null) return `was ended by ${end.signal}`;
  return end.exitCode === 0 ? null : `ended with ${end.exitCode}`;
}
