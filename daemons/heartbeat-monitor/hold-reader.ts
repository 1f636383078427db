/** The holds that are in force: decided upon when they change, and said when they begin and end. @module */
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import { type Hold, readHolds } from "../../lib/store/holds.js";
import type { Event, FleetPart, HoldFacts } from "./facts.js";
import type { Shelter } from "./shelter.js";

/** As much of a hold as tells whether it was said before. */
type SaidHold = Pick<Hold, "name" | "expiresAtMs">;

/** `touch` makes a file and sets its time then: an end that moves by less than this is no news. */
const SAME_END_MS = 1000;
/** What is due later is left to the scans. */
const LOOK_AHEAD_MS = 15_000;

export class HoldReader {
  readonly #context: Pick<DaemonContext<Event, unknown>, "layout" | "part" | "offer">;
  readonly #shelter: Shelter;
  /** What was last said to be in force; null before the first look. */
  #said: readonly SaidHold[] | null = null;
  #key = "";
  #again: NodeJS.Timeout | undefined;

  constructor(context: Pick<DaemonContext<Event, unknown>, "layout" | "part" | "offer">, shelter: Shelter) {
    this.#context = context;
    this.#shelter = shelter;
  }

  read(): void {
    this.#shelter.run("reading holds/", () => {
      const nowMs = Date.now();
      const live = readHolds(this.#context.layout, nowMs).filter((hold) => hold.expiresAtMs > nowMs);
      this.#lookAgain(live, nowMs);
      const before = this.#said ?? this.#saidInLastRun();
      const known = live.filter((hold) => isToSay(hold, nowMs));
      const unfinished = live.filter(isUnfinished);
      this.#said = [
        ...known.map((hold) => before.find((one) => isSame(one, hold)) ?? hold),
        ...namesakes(before, unfinished),
      ];
      const holds = live.map((hold) => holdFacts(hold, known.includes(hold)));
      const key = JSON.stringify([holds, live]);
      if (key === this.#key) return;
      this.#key = key;
      // In force first, said then: news that cannot be written must not keep a hold from holding.
      this.#context.offer({ kind: "holds", holds });
      this.#say(before, known, unfinished);
    });
  }

  stop(): void {
    clearTimeout(this.#again);
  }

  /** When the next hold begins or ends, or a file that is in the making should be finished. */
  #lookAgain(live: readonly Hold[], nowMs: number): void {
    clearTimeout(this.#again);
    const nextMs = Math.min(
      ...live.map(({ unfinishedUntilMs, startsAtMs, expiresAtMs }) =>
        startsAtMs > nowMs ? startsAtMs : (unfinishedUntilMs ?? expiresAtMs),
      ),
    );
    if (nextMs - nowMs > LOOK_AHEAD_MS) return;
    this.#again = setTimeout(() => this.read(), Math.max(1, Math.ceil(nextMs - nowMs)));
  }

  /** A monitor that starts again does not say again what its last run said. */
  #saidInLastRun(): SaidHold[] {
    const { holds } = this.#context.part<FleetPart>("fleet") ?? { holds: [] };
    return holds
      .filter(({ said }) => said !== false)
      .map(({ name, expires_at_ms }) => ({ name, expiresAtMs: expires_at_ms }));
  }

  #say(before: readonly SaidHold[], known: readonly Hold[], unfinished: readonly Hold[]): void {
    for (const hold of known) {
      if (before.some((one) => isSame(one, hold))) continue;
      const until = new Date(hold.expiresAtMs).toISOString().replace(/\.\d+Z$/, "Z");
      const data = {
        hold: hold.name,
        scope: hold.scope,
        target: hold.target,
        acts: hold.acts,
        by: hold.by,
        why: hold.why,
        expires_at: until,
      };
      if (hold.unreadable)
        this.#shelter.news("hold_defaulted", {
          message: `Hold "${hold.name}" cannot be read: everything is held until ${until}`,
          reason: "unreadable",
          data: { ...data, problem: hold.unreadable },
        });
      else if (hold.defaulted)
        this.#shelter.news("hold_defaulted", { message: `Hold "${hold.name}" names no end: it ends ${until}`, data });
      this.#shelter.news("hold_started", {
        message: `Hold "${hold.name}" is in force until ${until}`,
        ...(hold.unreadable ? { reason: "unreadable" } : {}),
        data,
      });
    }
    for (const hold of before) {
      if (![...known, ...unfinished].some((one) => one.name === hold.name))
        this.#shelter.news("hold_expired", { message: `Hold "${hold.name}" is over`, data: { hold: hold.name } });
    }
  }
}

/** One that is in the making holds silently: in a moment it is known what it says. */
const isUnfinished = ({ unfinishedUntilMs }: Hold): boolean => unfinishedUntilMs !== undefined;

const isToSay = (hold: Hold, nowMs: number): boolean => !isUnfinished(hold) && hold.startsAtMs <= nowMs;

const isSame = (one: SaidHold, other: SaidHold): boolean =>
  one.name === other.name && Math.abs(one.expiresAtMs - other.expiresAtMs) < SAME_END_MS;

/** What was said of holds that are written anew just now holds on. */
function namesakes(before: readonly SaidHold[], unfinished: readonly Hold[]): SaidHold[] {
  return before.filter(({ name }) => unfinished.some((hold) => hold.name === name));
}

function holdFacts(hold: Hold, isSaid: boolean): HoldFacts {
  return {
    name: hold.name,
    scope: hold.scope,
    target: hold.target,
    acts: hold.acts,
    starts_at_ms: hold.startsAtMs,
    expires_at_ms: hold.expiresAtMs,
    ...(isSaid ? {} : { said: false }),
  };
}
