/**
 * Practises on made-up deaths, so that a daemon's code is compiled before a worker waits for it.
 *
 * V8 compiles well what has run some hundred times, and a daemon that starts has run nothing: of the first hundred deaths
 * each takes twice as much of the processor as later ones (docs/decisions/warm-up.md). A warm-up goes through a daemon's own
 * loop, core and performer, in a home of its own that is kept in memory: nobody is told, and no process is started or signalled.
 * @module
 */
import { lstatSync, mkdtempSync, readdirSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../errors.js";
import { now } from "../platform/clock.js";
import { newEventIdBase } from "../platform/ids.js";
import { openLog } from "../platform/log.js";
import type { Identity } from "../platform/processes.js";
import type { Policy } from "../schema/policy.js";
import { namesIn } from "../store/entries.js";
import { type Home, openHome } from "../store/home.js";
import { Layout } from "../store/layout.js";
import type { Answer, Core, Perform } from "./core.js";
import type { DaemonContext, Source } from "./daemon.js";
import { FileJournal } from "./journal.js";
import { type DecisionEffect, Loop } from "./loop.js";
import { inPieces } from "./piecemeal.js";
import { Reporter } from "./reporting.js";

/** After so many deaths the next ones take as long as the last (docs/decisions/warm-up.md). */
const DEATHS = 300;
/** A daemon that starts has better things to do at first. */
const AFTER_MS = 3000;
/** As has one that has told of something just now: workers may be on their way back. It is asked again after so long. */
const CALM_MS = 1000;
/** Files that are made and removed by the thousand would make those slower that workers wait for; here they touch no disk. */
const IN_MEMORY = "/dev/shm";
const PREFIX = "heald-warm-up-";
/** A warm-up takes a second: one that is older was left behind by a kill. */
const LEFT_BEHIND_MS = 30_000;

/** Above whatever the kernel gives out (PID_MAX_LIMIT, 2²²): no process has it. */
const NO_PID = 4_194_305;

/** The launched program of a made-up worker, on this host and in this boot: a process that there never was. */
export function nobody({ boot_id, pid_ns, host }: Identity): Identity & { readonly launcher_pid: number } {
  return { pid: NO_PID, start_time: 1, boot_id, pid_ns, host, launcher_pid: NO_PID };
}

/** What a daemon practises. */
export interface Exercise<Event, Effect> {
  readonly perform: Perform<Event, Effect>;
  /** Makes up one death, and has it seen. */
  death(nth: number): void;
  /** How many of them have led to what they should. */
  done(): number;
  /** Lets go of timers and files. */
  end(): void;
}

export interface WarmUpOptions<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
> {
  /** The daemon's own: of its files only the log is written, and what it reports is heard. */
  readonly context: DaemonContext<Event, Settings>;
  readonly core: Core<Slice, Event, Effect, Policy<Settings>>;
  /** Under which every death leads to a restart at once. */
  readonly settings: Settings;
  /** What a made-up death may lead to. Nothing else is performed, so that no process is signalled and no hook asked. */
  readonly effects: ReadonlySet<Effect["kind"]>;
  /** What the daemon works with, in the home of the warm-up. */
  readonly equip: (context: DaemonContext<Event, Settings>) => Exercise<Event, Effect>;
  /** Where homes of warm-ups are; nowhere else is one made. */
  readonly folder?: string | undefined;
}

export class WarmUp<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
> implements Source
{
  readonly name = "warm-up";
  readonly #options: WarmUpOptions<Slice, Event, Effect, Settings>;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;
  /** Its home, while there is one. */
  #home: string | null = null;
  #practising: Generator<void, number> | null = null;
  /** When the daemon reported an event last. */
  #reportedMs = Number.NEGATIVE_INFINITY;

  constructor(options: WarmUpOptions<Slice, Event, Effect, Settings>) {
    this.#options = options;
  }

  start(): void {
    this.#options.context.reporter.onReported(() => {
      this.#reportedMs = performance.now();
    });
    this.#later(AFTER_MS);
  }

  stop(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#leave();
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      if (performance.now() - this.#reportedMs < CALM_MS) this.#later(CALM_MS);
      else void this.run();
    }, ms).unref();
  }

  /** Practises, a few milliseconds at a time. Whatever goes wrong, the daemon goes on without. */
  async run(): Promise<void> {
    const { log } = this.#options.context;
    const begunMs = performance.now();
    try {
      const home = this.#enter();
      if (home === null)
        return log.info({}, `no warm-up, since "${this.#folder}" cannot be written; the first deaths take longer`);
      this.#practising = this.#practise(home);
      const deaths = await inPieces(this.#practising, () => this.#isOver);
      if (deaths !== null)
        log.info({ deaths, took_ms: Math.round(performance.now() - begunMs) }, "practised on made-up deaths");
    } catch (error) {
      if (!this.#isOver) log.warn({ cause: String(error) }, "the warm-up was broken off; the first deaths take longer");
    } finally {
      this.#leave();
    }
  }

  get #folder(): string {
    return this.#options.folder ?? IN_MEMORY;
  }

  /** Makes a home that only we may enter; null where none can be made. */
  #enter(): string | null {
    try {
      this.#home = mkdtempSync(join(this.#folder, PREFIX));
      return this.#home;
    } catch (error) {
      if (systemCode(error) === null) throw error;
      return null;
    }
  }

  /** Closes what is open where it was not done, and removes the home. What cannot be removed is left to the next start. */
  #leave(): void {
    const home = this.#home;
    this.#home = null;
    try {
      this.#practising?.return(0);
      this.#practising = null;
      if (home !== null) rmSync(home, { recursive: true, force: true });
    } catch (error) {
      this.#options.context.log.warn({ cause: String(error) }, `cannot remove "${home}"`);
    }
  }

  /** Returns how many deaths there were. */
  *#practise(home: string): Generator<void, number> {
    for (const path of leftBehindIn(this.#folder)) yield* removing(path);
    const ground = new Ground(this.#options, home);
    try {
      for (let nth = 0; nth < DEATHS; nth++) {
        ground.die(nth);
        yield;
      }
      ground.check(DEATHS);
    } finally {
      ground.close();
    }
    yield* removing(home);
    return DEATHS;
  }
}

/** A home with a loop, and what the daemon works with. */
class Ground<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
> {
  readonly #loop: Loop<Slice, Event, Effect, Policy<Settings>>;
  readonly #exercise: Exercise<Event, Effect>;
  readonly #closing: (() => void)[] = [];
  /** What went wrong first. */
  #broken: string | null = null;

  constructor(options: WarmUpOptions<Slice, Event, Effect, Settings>, home: string) {
    try {
      const { context: own, core, settings, effects, equip } = options;
      const layout = layoutIn(home);
      const log = openLog(layout.daemonLog(core.name), { name: core.name });
      this.#closing.unshift(() => log.close());
      const reporter = new Reporter(layout, core.name, log, () => ({ id: "warm-up", atMs: Date.now(), monoMs: 0 }));
      this.#closing.unshift(() => reporter.close());
      const policy: Policy<Settings> = { settings, overrides: {} };
      const held: { loop: Loop<Slice, Event, Effect, Policy<Settings>> | null } = { loop: null };
      const exercise = equip({
        layout,
        log,
        identity: own.identity,
        reporter,
        startedAtMs: own.startedAtMs,
        policy: () => policy,
        offer: (event) => held.loop?.offer(event),
        rehearse: () => {},
        part: (key) => held.loop?.part(key) ?? null,
        partsWith: (kind) => held.loop?.partsWith(kind) ?? new Map(),
        wakeOf: () => null,
        countsOn: () => false,
      });
      this.#closing.unshift(() => exercise.end());
      const journal = new FileJournal(layout.state(core.name), layout.journal(core.name));
      this.#closing.unshift(() => journal.close());
      this.#exercise = exercise;
      this.#loop = held.loop = new Loop<Slice, Event, Effect, Policy<Settings>>({
        core,
        policy,
        policyHash: "warm-up",
        journal,
        // Nothing that is due later is waited for.
        clock: { now, callAt: () => () => {} },
        newId: newEventIdBase,
        bootId: own.identity.boot_id,
        perform: (effect, performing) => {
          if (effect.kind === "decision") return void reporter.decide(effect as DecisionEffect, performing);
          if (!effects.has(effect.kind)) throw new Error("it is not for practice");
          return atOnce(exercise.perform(effect as Effect, performing));
        },
        onFailure: (effect, error) => {
          this.#broken ??= `Cannot ${effect.kind}: ${String(error)}`;
        },
        onWeather: (weather) => {
          this.#broken ??= weather?.message ?? null;
        },
      });
      this.#closing.unshift(() => this.#loop.stop());
      this.#loop.resume();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** @throws If anything that followed went wrong. */
  die(nth: number): void {
    this.#exercise.death(nth);
    if (this.#broken !== null) throw new Error(this.#broken);
  }

  /** @throws If a death has not led to what it should. */
  check(deaths: number): void {
    const done = this.#exercise.done();
    if (done !== deaths) throw new Error(`${deaths - done} of ${deaths} made-up deaths came to nothing`);
  }

  close(): void {
    for (const close of this.#closing.splice(0)) close();
  }
}

function layoutIn(home: string): Layout {
  const place: Home = {
    home,
    coordination: join(home, "coordination"),
    logs: join(home, "agents", "logs"),
    namedBy: "flag",
  };
  openHome(place, { create: true, claimOwnership: false });
  return new Layout(place);
}

/** What comes later would come outside of the practice, where nobody catches what goes wrong. */
function atOnce<Event>(answer: Answer<Event>): Answer<Event> {
  if (!(answer instanceof Promise)) return answer;
  answer.catch(() => undefined);
  throw new Error("it takes its time");
}

/** Homes of warm-ups that were killed. Those of other users are not ours to remove. */
function leftBehindIn(folder: string): string[] {
  const paths = namesIn(folder)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => join(folder, name));
  return paths.filter((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat?.isDirectory() && stat.uid === process.geteuid?.() && Date.now() - stat.mtimeMs > LEFT_BEHIND_MS;
  });
}

/** Removes a folder entry by entry: some thousand files at once would keep the loop for too long. */
function* removing(folder: string): Generator<void, void> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* removing(path);
    else unlinkSync(path);
    yield;
  }
  rmdirSync(folder);
}
