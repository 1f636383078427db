/**
 * What every daemon is made of: home, single instance, logs, policy, recovery, sources, readiness, metrics, signals, drain.
 *
 * The order of a start: lock, policy, recovery, watches armed and files read, and only then the pid file. The order of a
 * stop: sources, loop, checkpoint, pid file, lock; within a second.
 *
 * @module
 */
import { AlreadyRunning } from "../errors.js";
import { now, utc } from "../platform/clock.js";
import { answerCode } from "../platform/files.js";
import { limits, tightLimits } from "../platform/host.js";
import { newEventIdBase } from "../platform/ids.js";
import { acquireSingle, type Held } from "../platform/locks.js";
import { type Log, openLog } from "../platform/log.js";
import { type Identity, identityOf } from "../platform/processes.js";
import { notifySystemd, watchdogIntervalMs } from "../platform/readiness.js";
import { every, type Schedule } from "../platform/schedule.js";
import { everySeconds } from "../platform/seconds.js";
import type { EventType } from "../schema/catalogue.js";
import type { Stamp } from "../schema/events.js";
import type { Policy, PolicyDefinition } from "../schema/policy.js";
import type { DaemonName } from "../schema/records.js";
import { openHome, requireHome } from "../store/home.js";
import { Layout } from "../store/layout.js";
import { loadSince, writeMetrics } from "../store/metrics.js";
import { expiring, type RetentionLimits } from "../store/retention.js";
import type { Answer, Core, PartKind, Perform } from "./core.js";
import type { Flags } from "./flags.js";
import { Hooks } from "./hooks.js";
import { lastRunOf, PidFile, type RunFile, writeRunFile } from "./identity-files.js";
import { Indexing } from "./indexing.js";
import { FileJournal } from "./journal.js";
import { type DecisionEffect, Loop, type Weather } from "./loop.js";
import { LoopLag } from "./loop-lag.js";
import { inPieces } from "./piecemeal.js";
import { PolicyFile, type PolicyInForce } from "./policy-file.js";
import { runProgram } from "./program.js";
import { Reporter } from "./reporting.js";
import { ShadowPolicy } from "./shadow-policy.js";
import { Shelter } from "./shelter.js";
import { VERSION } from "./version.js";

/** Something that brings facts: a watch with a slow full scan behind it, a timer, a tail. */
export interface Source {
  readonly name: string;
  /** Arms its watch first and reads everything then. */
  start(): void | Promise<void>;
  /** Looks at everything again; called at start of bad-weather recovery and every `scanEverySeconds`. */
  scan?(): void;
  /** Called instead of `scan` every `scanEverySeconds`, by a source for which a full one may wait. */
  scanInTurn?(): void;
  readonly scanEverySeconds?: number;
  stop(): void;
}

export interface DaemonContext<Event, Settings> {
  readonly layout: Layout;
  readonly log: Log;
  readonly identity: Identity;
  readonly reporter: Reporter;
  readonly startedAtMs: number;
  policy(): Policy<Settings>;
  offer(event: Event): void;
  /** See {@link Loop.rehearse}. */
  rehearse(event: Event): void;
  /** Parts of the state, for showing. */
  part<T>(key: string): T | null;
  partsWith<T>(kind: PartKind): ReadonlyMap<string, T>;
  /** When a wake is due, on the monotonic clock, for showing; null if there is none. */
  wakeOf(key: string): number | null;
  /** Whether its state of the last run was found, so that lifetime totals go on; known from the first figures on. */
  countsOn(): boolean;
}

export interface DaemonBody<Event, Effect> {
  readonly perform: Perform<Event, Effect>;
  readonly sources: readonly Source[];
  /** Current figures for `metrics/<daemon>-metrics.json`. */
  figures(): Readonly<Record<string, unknown>>;
  /** Called after SIGHUP and whenever logs are to be opened anew. */
  reopen?(): void;
  policyChanged?(): void;
  /** Called before the wake of a part is decided upon; what it offers is decided upon first. */
  beforeWake?(key: string): void;
  /** Performs a question for a shadow policy, where it takes more than `perform`. */
  askForShadow?(effect: Effect): Answer<Event>;
  stopped?(): void;
}

export interface DaemonDefinition<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
  Explicit,
> {
  readonly name: DaemonName;
  /** One sentence for `--help`, where its program has none of its own. */
  readonly summary?: string;
  readonly policy: PolicyDefinition<Settings, Explicit>;
  /** Name of its metrics file without `-metrics.json`, where it differs from the daemon's. */
  readonly metricsName?: string;
  /** For how long it keeps what it owns, where the policy says so. */
  readonly retention?: (settings: Settings) => Partial<RetentionLimits>;
  readonly core: Core<Slice, Event, Effect, Policy<Settings>>;
  open(context: DaemonContext<Event, Settings>): DaemonBody<Event, Effect>;
}

/** How long a starting daemon waits for one that is stopping. */
const WAIT_FOR_STOPPING_MS = 5000;
const PULSE_SECONDS = 1;
const PULSE_MS = PULSE_SECONDS * 1000;
const METRICS_EVERY_PULSES = 5;
const RETENTION_CRON = "*/10 * * * *";

/** Runs a daemon from its command line until it is told to stop. Returns its exit code. */
export function runDaemon<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
  Explicit,
>(definition: DaemonDefinition<Slice, Event, Effect, Settings, Explicit>, argv: readonly string[]): Promise<number> {
  const { name, summary = "", policy } = definition;
  return runProgram({ name, summary, policy }, argv, (flags) => startDaemon(definition, flags));
}

/** Runs a daemon until it is told to stop. Returns its exit code. */
export function startDaemon<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
  Explicit,
>(definition: DaemonDefinition<Slice, Event, Effect, Settings, Explicit>, flags: Flags): Promise<number> {
  return new Daemon(definition, flags).run();
}

class Daemon<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
  Explicit,
> {
  readonly #definition: DaemonDefinition<Slice, Event, Effect, Settings, Explicit>;
  readonly #flags: Flags;
  readonly #layout: Layout;
  readonly #log: Log;
  readonly #identity: Identity;
  readonly #reporter: Reporter;
  readonly #indexing: Indexing;
  readonly #hooks: Hooks;
  readonly #policyFile: PolicyFile<Settings, Explicit>;
  readonly #journal: FileJournal;
  readonly #startedAtMs = Date.now();
  /** Since when its lifetime totals count: an earlier run's start, unless they begin anew with this one. */
  #totalsSinceMs = this.#startedAtMs;
  #inForce: PolicyInForce<Settings> | null = null;
  #loop: Loop<Slice, Event, Effect, Policy<Settings>> | null = null;
  #body: DaemonBody<Event, Effect> | null = null;
  #shadow: ShadowPolicy<Slice, Event, Effect, Settings, Explicit> | null = null;
  #held: Held | null = null;
  #pidFile: PidFile | null = null;
  readonly #endTimers: (() => void)[] = [];
  #retention: Schedule | null = null;
  readonly #lag = new LoopLag(PULSE_MS);
  /** For what is done again by itself: whatever the system answers is no reason to end. */
  readonly #shelter: Shelter;
  /** The policy in force is another than the run file says. */
  #isRunFileOld = false;
  /** Housekeeping did not work the last time. */
  #putOff = false;
  /** All sources have started. */
  #hasBegun = false;
  #stopping = false;
  #finish: (code: number) => void = () => {};
  readonly #finished = new Promise<number>((resolve) => {
    this.#finish = resolve;
  });

  constructor(definition: DaemonDefinition<Slice, Event, Effect, Settings, Explicit>, flags: Flags) {
    const home = requireHome(process.env, process.cwd(), flags.home);
    this.#definition = definition;
    this.#flags = flags;
    openHome(home, { create: home.namedBy !== "cwd", claimOwnership: true });
    this.#layout = new Layout(home);
    process.title = `${definition.name}-daemon`;
    const identity = identityOf(process.pid);
    if (identity === null) throw new Error("Cannot read the daemon's own /proc entry");
    this.#identity = identity;
    this.#log = openLog(this.#layout.daemonLog(definition.name), { console: flags.console, name: definition.name });
    this.#shelter = new Shelter(this.#log, answerCode);
    this.#reporter = new Reporter(this.#layout, definition.name, this.#log, () => newStamp());
    this.#indexing = new Indexing(this.#layout, definition.name, this.#log);
    this.#hooks = new Hooks(this.#layout, this.#log);
    this.#reporter.onReported((record) => this.#hooks.reported(record));
    this.#policyFile = new PolicyFile(definition.policy, this.#layout.configDir, this.#layout.policyTextsDir);
    this.#journal = new FileJournal(this.#layout.state(definition.name), this.#layout.journal(definition.name));
  }

  async run(): Promise<number> {
    await this.#lock();
    try {
      // Told to stop meanwhile, it does not wait for a source that waits for something itself.
      await Promise.race([this.#begin(), this.#finished]);
    } catch (error) {
      // A daemon that cannot start must not stay, and keep the lock from one that can.
      this.#close();
      throw error;
    }
    return this.#finished;
  }

  async #begin(): Promise<void> {
    const last = lastRunOf(this.#layout, this.#definition.name);
    this.#pidFile = new PidFile(
      this.#layout.pidFile(this.#definition.name),
      this.#flags.pidFile,
      this.#definition.name,
      last,
      this.#log,
    );
    this.#signals();
    this.#sayHost();
    this.#hooks.start();
    this.#policyFile.start(last?.policy_hash ?? null, this.#policyListener());
    this.#openLoop();
    for (const source of this.#body?.sources ?? []) {
      await source.start();
      // The lock is another's by now: nothing may be written any more.
      if (this.#stopping) return source.stop();
    }
    this.#hasBegun = true;
    this.#loop?.resume();
    // From here on the checkpoint names this boot, whatever happens next.
    this.#loop?.checkpoint();
    this.#policyFile.follow(this.#policyListener());
    this.#openShadow();
    this.#startTimers();
    const putOff = (error: unknown): void =>
      this.#log.warn({ cause: String(error) }, "what has expired could not be removed");
    this.#retention = every(RETENTION_CRON, undefined, () => this.#expire(), putOff);
    this.#writeRunFile();
    this.#pidFile.write();
    this.#reporter.news("daemon_started", {
      message: `${this.#definition.name} ${VERSION} is ready`,
      data: { pid: process.pid, policy_hash: this.#inForce?.hash },
    });
    notifySystemd("READY=1");
  }

  async #lock(): Promise<void> {
    const path = this.#layout.lockFile(this.#definition.name);
    const outcome = await acquireSingle(path, this.#identity, { waitMs: WAIT_FOR_STOPPING_MS });
    if ("heldBy" in outcome) {
      throw new AlreadyRunning(
        `Cannot start ${this.#definition.name}: it already runs here${outcome.heldBy ? ` as pid ${outcome.heldBy.pid}` : ""}`,
      );
    }
    this.#held = outcome;
    outcome.onLost(() => this.#lost());
  }

  /** Another holds the lock now: nothing more may be written, not even a farewell. */
  #lost(): void {
    this.#reporter.flush();
    this.#log.warn({}, "the lock was lost; stopping at once");
    process.exit(1);
  }

  /** What the host allows, said once: a limit that will be met at 3 a.m. should be known at noon. */
  #sayHost(): void {
    const host = limits();
    this.#log.info({ ...host }, "limits of the host");
    for (const sentence of tightLimits(host)) this.#log.warn({}, sentence);
    if (process.geteuid?.() === 0)
      this.#log.warn({}, "running as root: a user of its own is safer, see docs/systemd.md");
  }

  #openLoop(): void {
    const { core } = this.#definition;
    const inForce = this.#inForce as PolicyInForce<Settings>;
    const loopHolder: { loop: Loop<Slice, Event, Effect, Policy<Settings>> | null } = { loop: null };
    const context: DaemonContext<Event, Settings> = {
      layout: this.#layout,
      log: this.#log,
      identity: this.#identity,
      reporter: this.#reporter,
      startedAtMs: this.#startedAtMs,
      policy: () => (this.#inForce as PolicyInForce<Settings>).policy,
      offer: (event) => loopHolder.loop?.offer(event),
      rehearse: (event) => loopHolder.loop?.rehearse(event),
      part: (key) => loopHolder.loop?.part(key) ?? null,
      partsWith: (kind) => loopHolder.loop?.partsWith(kind) ?? new Map(),
      wakeOf: (key) => loopHolder.loop?.wakeOf(key) ?? null,
      countsOn: () => (loopHolder.loop?.recoveredBootId ?? null) !== null,
    };
    const body = this.#definition.open(context);
    this.#body = body;
    const loop = new Loop<Slice, Event, Effect, Policy<Settings>>({
      core,
      policy: inForce.policy,
      policyHash: inForce.hash,
      journal: this.#journal,
      clock: { now, callAt: callAtMono },
      newId: newEventIdBase,
      bootId: this.#identity.boot_id,
      perform: (effect, performing) => {
        if (effect.kind === "decision") {
          this.#reporter.decide(effect as DecisionEffect, performing);
          return undefined;
        }
        return body.perform(effect as Effect, performing);
      },
      beforeWake: (key) => body.beforeWake?.(key),
      onDecided: (slice, event, hasDecision) => this.#shadow?.heard(slice, event, hasDecision),
      onWeather: (weather) => this.#onWeather(weather),
      onFailure: (effect, error) =>
        this.#log.error(
          { effect: effect.kind, code: (error as { code?: string }).code },
          `Cannot ${effect.kind}: ${String(error)}`,
        ),
    });
    for (const fault of loop.faults) this.#log.warn({}, fault);
    loopHolder.loop = loop;
    this.#loop = loop;
    // Before the first figures of this run take the place of the last run's.
    if (context.countsOn())
      this.#shelter.run("reading the last figures", () => {
        this.#totalsSinceMs = loadSince(this.#layout, this.#metricsName, Date.now()) ?? this.#startedAtMs;
      });
  }

  #openShadow(): void {
    const body = this.#body as DaemonBody<Event, Effect>;
    const loop = this.#loop as Loop<Slice, Event, Effect, Policy<Settings>>;
    const perform = (effect: Effect): Answer<Event> =>
      body.perform(effect, { stamp: newStamp(), again: false }) as Answer<Event>;
    this.#shadow = new ShadowPolicy<Slice, Event, Effect, Settings, Explicit>({
      core: this.#definition.core,
      definition: this.#definition.policy,
      layout: this.#layout,
      log: this.#log,
      clock: { now, callAt: callAtMono },
      newId: newEventIdBase,
      live: {
        sliceFor: (event) => loop.sliceFor(event),
        keys: () => loop.keys(),
        ask: (effect) => (body.askForShadow ? body.askForShadow(effect) : perform(effect)),
        beforeWake: (key) => body.beforeWake?.(key),
      },
      news: (type, message, data) => this.#news(type, message, data),
      decide: (decision, stamp) =>
        this.#reporter.decide(decision, { stamp: { ...stamp, id: `${stamp.id}-shadow` }, again: false }),
    });
    this.#shadow.start();
  }

  #policyListener() {
    return {
      loaded: (inForce: PolicyInForce<Settings>): void => {
        this.#inForce = inForce;
        for (const note of inForce.notes) this.#log.info({}, `${this.#definition.policy.name}.json: ${note}`);
        this.#loop?.setPolicy(inForce.policy, inForce.hash);
        this.#news("policy_loaded", `${this.#definition.policy.name}.json is in force`, {
          policy: this.#definition.policy.name,
          policy_hash: inForce.hash,
        });
        // In force first: what cannot be written of it now is written later.
        this.#isRunFileOld = !this.#shelter.run("writing the run file", () => this.#writeRunFile());
        this.#body?.policyChanged?.();
      },
      refused: (sentence: string): void => {
        this.#news("policy_refused", sentence.replace(`${this.#layout.coordination}/`, "coordination/"), {
          policy: this.#definition.policy.name,
          problem: sentence,
        });
      },
    };
  }

  #news(type: EventType, message: string, data: Readonly<Record<string, unknown>>): void {
    this.#reporter.newsOrLog(type, { message, data });
  }

  #onWeather(weather: Weather | null): void {
    if (weather === null) {
      this.#news("weather_ended", "Writing works again; what waited is being done", {});
      for (const source of this.#body?.sources ?? []) this.#scan(source, () => source.scan?.());
      return;
    }
    this.#news("weather_started", `Cannot write (${weather.code}) at "${weather.what}"; trying again each second`, {
      code: weather.code,
      what: weather.what,
      problem: weather.message,
    });
  }

  #startTimers(): void {
    this.#lag.begin(performance.now());
    let pulses = 0;
    const watchdogMs = watchdogIntervalMs();
    let nextWatchdog = 0;
    this.#endTimers.push(
      everySeconds(PULSE_SECONDS, () => {
        const at = performance.now();
        this.#lag.pulse(at);
        pulses += 1;
        if (watchdogMs !== null && at >= nextWatchdog) {
          nextWatchdog = at + watchdogMs / 2 - PULSE_MS;
          notifySystemd("WATCHDOG=1");
        }
        if (pulses % METRICS_EVERY_PULSES === 1) this.#housekeeping();
      }),
    );
    for (const source of this.#body?.sources ?? []) {
      const scan = source.scanInTurn ?? source.scan;
      if (scan && source.scanEverySeconds)
        this.#endTimers.push(everySeconds(source.scanEverySeconds, () => this.#scan(source, () => scan.call(source))));
    }
  }

  /** Whatever a source does not expect of the host must not end the daemon: its next scan looks again. */
  #scan(source: Source, scan: () => void): void {
    this.#shelter.run(`scanning ${source.name}`, scan);
  }

  /** Lets go of what is over, of all that this daemon owns. */
  async #expire(): Promise<void> {
    const limits = this.#definition.retention?.((this.#inForce as PolicyInForce<Settings>).policy.settings) ?? {};
    const work = expiring(this.#layout, this.#definition.name, limits, Date.now());
    const expired = await inPieces(work, () => this.#stopping);
    if (expired === null) return;
    if (expired.removed > 0)
      this.#log.info({ removed: expired.removed, why: expired.why }, "what had expired was removed");
  }

  #housekeeping(): void {
    try {
      this.#policyFile.look(this.#policyListener());
      this.#reporter.rotate(Date.now());
      if (!this.#stopping) {
        this.#shadow?.look();
        this.#indexing.look();
      }
      this.#hooks.scan();
      const lagMs = this.#lag.take();
      if (this.#isRunFileOld || this.#lag.isWorthNoting(lagMs))
        this.#isRunFileOld = !this.#shelter.run("writing the run file", () => this.#writeRunFile(lagMs));
      writeMetrics(this.#layout, this.#metricsName, {
        daemon: this.#definition.name,
        since: utc(this.#totalsSinceMs),
        uptime_seconds: Math.round((Date.now() - this.#startedAtMs) / 1000),
        loop_lag_ms: lagMs,
        ...this.#body?.figures(),
        ...shadowFigures(this.#shadow),
      });
      this.#putOff = false;
    } catch (error) {
      // The next round is five seconds away; the weather is reported by whatever must be written.
      if (!this.#putOff)
        this.#log.warn({ cause: String(error) }, "housekeeping is put off until it can be written again");
      this.#putOff = true;
    }
  }

  get #metricsName(): string {
    return this.#definition.metricsName ?? this.#definition.name;
  }

  /** @param lagMs Noted with it; the one that was noted last unless given. */
  #writeRunFile(lagMs = this.#lag.notedMs): void {
    if (this.#held === null || this.#inForce === null) return;
    const file: RunFile = {
      ...this.#identity,
      version: VERSION,
      started_at: this.#startedAtMs,
      policy_hash: this.#inForce.hash,
      loop_lag_ms: lagMs,
    };
    writeRunFile(this.#layout, this.#definition.name, file);
    this.#lag.noted(lagMs);
  }

  #signals(): void {
    process.on("SIGTERM", () => this.#stop("SIGTERM"));
    process.on("SIGINT", () => this.#stop("SIGINT"));
    process.on("SIGHUP", () => this.#reopen());
    process.on("uncaughtException", (error) => {
      this.#reporter.flush();
      this.#log.error({ stack: error.stack }, `A broken invariant: ${error.message}`);
      this.#log.flush();
      process.exit(70);
    });
  }

  #reopen(): void {
    // Each by itself: a log that cannot be opened must not keep a policy from being read.
    this.#shelter.run("opening the event logs", () => this.#reporter.reopen());
    this.#shelter.run("opening the daemon's log", () => this.#log.reopen());
    this.#shelter.run("opening what the daemon owns", () => this.#body?.reopen?.());
    this.#shelter.run("reading the policy", () => this.#policyFile.look(this.#policyListener()));
    this.#shelter.run("reading the shadow policy", () => this.#shadow?.look());
    this.#log.info({}, "logs opened anew, policy read again");
  }

  #stop(signal: string): void {
    if (this.#stopping) return;
    this.#stopping = true;
    notifySystemd("STOPPING=1");
    if (!this.#hasBegun) return this.#stopStarting(signal);
    this.#quieten();
    try {
      this.#loop?.checkpoint();
      this.#body?.stopped?.();
      this.#housekeepingAtStop(signal);
    } catch (error) {
      this.#log.warn({ cause: String(error) }, "the checkpoint could not be written; the journal has it all");
    }
    this.#letGo();
    this.#finish(0);
  }

  /** In the middle of a start: as after one that failed. What a source still waits for must not keep the process. */
  #stopStarting(signal: string): void {
    this.#log.info({ signal }, `stopped on ${signal} before it was ready`);
    this.#close();
    this.#finish(0);
    setImmediate(() => process.exit(0));
  }

  /** After a start that failed: without a farewell, for nothing was decided that the journal does not have. */
  #close(): void {
    this.#quieten();
    this.#letGo();
  }

  /** Nothing comes in any more. */
  #quieten(): void {
    for (const end of this.#endTimers) end();
    this.#retention?.stop();
    this.#policyFile.close();
    this.#indexing.close();
    this.#shadow?.close();
    for (const source of this.#body?.sources ?? []) source.stop();
    this.#loop?.stop();
  }

  #letGo(): void {
    this.#hooks.close();
    this.#pidFile?.remove();
    this.#held?.release();
    this.#journal.close();
    this.#reporter.close();
    this.#log.flush();
  }

  #housekeepingAtStop(signal: string): void {
    this.#housekeeping();
    this.#news("daemon_stopped", `${this.#definition.name} stopped on ${signal}`, { pid: process.pid, signal });
  }
}

/** What a shadow policy costs, where one runs. */
function shadowFigures(shadow: { figures(): object | null } | null): Readonly<Record<string, unknown>> {
  const figures = shadow?.figures() ?? null;
  return figures === null ? {} : { shadow: figures };
}

function newStamp(): Stamp {
  const { atMs, monoMs } = now();
  return { id: newEventIdBase(atMs), atMs: Math.round(atMs), monoMs };
}

/** Longest delay that `setTimeout` takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;

function callAtMono(monoMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil(monoMs - now().monoMs))));
  return () => clearTimeout(timer);
}
