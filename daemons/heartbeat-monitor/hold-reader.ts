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
      this.#said = saidOf(before, live);
      const key = JSON.stringify(live);
      if (key === this.#key) return;
      this.#key = key;
      // In force first, said then: news that cannot be written must not keep a hold from holding.
      this.#context.offer({ kind: "holds", holds: live.map(holdFacts) });
      this.#say(before, live);
    });
  }

  stop(): void {
    clearTimeout(this.#again);
  }

  /** When a file that is in the making should be finished. */
  #lookAgain(live: readonly Hold[], nowMs: number): void {
    clearTimeout(this.#again);
    const nextMs = Math.min(...live.map((hold) => hold.unfinishedUntilMs ?? Number.POSITIVE_INFINITY));
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

  #say(before: readonly SaidHold[], live: readonly Hold[]): void {
    for (const hold of live) {
      if (!isToSay(hold) || before.some((one) => isSame(one, hold))) continue;
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
      if (!live.some((one) => one.name === hold.name))
        this.#shelter.news("hold_expired", { message: `Hold "${hold.name}" is over`, data: { hold: hold.name } });
    }
  }
}

/** One that is in the making holds silently: in a moment it is known what it says. */
const isToSay = ({ unfinishedUntilMs }: Hold): boolean => unfinishedUntilMs === undefined;

const isSame = (one: SaidHold, other: SaidHold): boolean =>
  one.name === other.name && Math.abs(one.expiresAtMs - other.expiresAtMs) < SAME_END_MS;

/** What is said once the holds in force are; of one that is written anew just now, what was said before. */
function saidOf(before: readonly SaidHold[], live: readonly Hold[]): SaidHold[] {
  return live.flatMap((hold) =>
    isToSay(hold) ? (before.find((one) => isSame(one, hold)) ?? hold) : before.filter(({ name }) => name === hold.name),
  );
}

function holdFacts(hold: Hold): HoldFacts {
  return {
    name: hold.name,
    scope: hold.scope,
    target: hold.target,
    acts: hold.acts,
    starts_at_ms: hold.startsAtMs,
    expires_at_ms: hold.expiresAtMs,
    ...(isToSay(hold) ? {} : { said: false }),
  };
}
