/** The holds that are in force: decided upon when they change, and said when they begin and end. @module */
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import { type Hold, readHolds } from "../../lib/store/holds.js";
import type { Event, FleetPart, HoldFacts } from "./facts.js";
import type { Shelter } from "./shelter.js";

/** As much of a hold as tells whether it was said before. */
type SaidHold = Pick<Hold, "name" | "expiresAtMs">;

export class HoldReader {
  readonly #context: Pick<DaemonContext<Event, unknown>, "layout" | "part" | "offer">;
  readonly #shelter: Shelter;
  /** What was last said to be in force; null before the first look. */
  #holds: readonly Hold[] | null = null;
  #key = "";

  constructor(context: Pick<DaemonContext<Event, unknown>, "layout" | "part" | "offer">, shelter: Shelter) {
    this.#context = context;
    this.#shelter = shelter;
  }

  read(): void {
    this.#shelter.run("reading holds/", () => {
      const nowMs = Date.now();
      const live = readHolds(this.#context.layout, nowMs).filter((hold) => hold.expiresAtMs > nowMs);
      const before = this.#holds ?? this.#holdsOfLastRun();
      this.#holds = live;
      const key = JSON.stringify(live);
      if (key === this.#key) return;
      this.#key = key;
      // In force first, said then: news that cannot be written must not keep a hold from holding.
      this.#context.offer({ kind: "holds", holds: live.map(holdFacts) });
      this.#say(before, live);
    });
  }

  /** A monitor that starts again does not say again what its last run said. */
  #holdsOfLastRun(): SaidHold[] {
    const { holds } = this.#context.part<FleetPart>("fleet") ?? { holds: [] };
    return holds.map(({ name, expires_at_ms }) => ({ name, expiresAtMs: expires_at_ms }));
  }

  #say(before: readonly SaidHold[], live: readonly Hold[]): void {
    for (const hold of live) {
      if (before.some((one) => one.name === hold.name && one.expiresAtMs === hold.expiresAtMs)) continue;
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

function holdFacts(hold: Hold): HoldFacts {
  return {
    name: hold.name,
    scope: hold.scope,
    target: hold.target,
    acts: hold.acts,
    starts_at_ms: hold.startsAtMs,
    expires_at_ms: hold.expiresAtMs,
  };
}
