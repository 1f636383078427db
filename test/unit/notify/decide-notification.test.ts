/** Guarantee: each edge is told once to whom it concerns, nobody is woken without need, and nothing is dropped silently. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextAt, onAcknowledged, onEdge, onTime, type Telling } from "../../../lib/notify/decide-notification.js";
import { readNotificationPolicy } from "../../../lib/schema/notification-policy.js";
import {
  EDGE_KINDS,
  NO_NOTIFICATIONS,
  type NotificationEdge,
  type NotificationState,
  SEVERITIES,
} from "../../../lib/schema/notification-records.js";

const NOON = Date.parse("2026-11-21T12:00:00Z");
const NIGHT = Date.parse("2026-11-21T23:00:00Z");
const MORNING = Date.parse("2026-11-22T07:00:00Z");

function policyOf(raw: Record<string, unknown>) {
  const pager = { kind: "command", command: "/bin/page" };
  const read = readNotificationPolicy({
    channels: { team: { kind: "webhook", url: "https://example.org/hook" }, pager, boss: pager },
    routes: [{ channels: ["team"] }],
    digest: { channels: ["log"], interval_seconds: 600 },
    ...raw,
  });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value.policy;
}

const edge = (kind: NotificationEdge["kind"], more: Partial<NotificationEdge> = {}): NotificationEdge => ({
  ...{ kind, incident_id: "inc-1", severity: "critical", component: "scan", title: "leak", seen: "it grew" },
  ...{ tried: ["raised the limit"], suggested: "look at the heap", command: "heald why inc-1", ...more },
});

/** Applies edges and the passing of time, and collects what is told. */
class Story {
  state: NotificationState = NO_NOTIFICATIONS;
  readonly told: Telling[] = [];
  readonly policy: ReturnType<typeof policyOf>;

  constructor(raw: Record<string, unknown> = {}) {
    this.policy = policyOf(raw);
  }

  tell(what: NotificationEdge, atMs = NOON): string[] {
    return this.#take(onEdge(this.state, what, this.policy, atMs));
  }

  pass(atMs: number): string[] {
    return this.#take(onTime(this.state, this.policy, atMs));
  }

  /** Goes from one due instant to the next. */
  passTo(endMs: number, fromMs = NOON): string[] {
    const said: string[] = [];
    for (let atMs = fromMs; ; ) {
      const next = nextAt(this.state, this.policy, atMs);
      if (next === null || next > endMs) return said;
      const before = this.told.length;
      this.pass(next);
      for (const each of this.told.slice(before)) said.push(`${Math.round((next - NOON) / 1000)} ${short(each)}`);
      if (next === atMs && this.told.length === before) throw new Error("Due, and nothing happened");
      atMs = next;
    }
  }

  #take({ state, tellings }: ReturnType<typeof onTime>): string[] {
    this.state = state;
    this.told.push(...tellings);
    return tellings.map(short);
  }
}

const short = (each: Telling): string => `${each.message.kind} ${each.channel}`;
const by = { by: "ann", at_ms: NOON, event_id: "e1-0" };

describe("a storm of edges", () => {
  const storm = { messages_max: 3, window_seconds: 60 };
  const nth = (n: number, more: Partial<NotificationEdge> = {}): NotificationEdge =>
    edge("escalated", { incident_id: `inc-${n}`, ...more });

  test("is told one by one until a channel has had enough, and then as one digest when the while is over", () => {
    const story = new Story({ storm });
    const told = Array.from({ length: 10 }, (_, n) => story.tell(nth(n), NOON + n * 1000));
    expect(told.flat()).toEqual(["escalated team", "escalated team", "escalated team"]);
    expect(story.passTo(NOON + 120_000)).toEqual(["60 digest team"]);
    expect(story.told.at(-1)?.message).toMatchObject({ severity: "critical", left_out: 0 });
    expect(story.told.at(-1)?.message.lines.map(({ incident_id }) => incident_id)).toEqual(
      Array.from({ length: 7 }, (_, n) => `inc-${n + 3}`),
    );
  });

  test("lets what comes after it through again, and the end of what stood in the digest", () => {
    const story = new Story({ storm });
    for (let n = 0; n < 5; n++) story.tell(nth(n));
    story.passTo(NOON + 60_000);
    expect(story.tell(nth(9), NOON + 61_000)).toEqual(["escalated team"]);
    expect(story.tell(edge("resolved", { incident_id: "inc-4" }), NOON + 62_000)).toEqual(["resolved team"]);
  });

  test("tells the end of each that was told by itself by itself, however many end at once", () => {
    const story = new Story({ storm: { messages_max: 3, window_seconds: 60 } });
    for (let n = 0; n < 5; n++) story.tell(nth(n));
    story.passTo(NOON + 60_000);
    const ends = Array.from({ length: 5 }, (_, n) =>
      story.tell(edge("resolved", { incident_id: `inc-${n}`, edge_id: `end-${n}` }), NOON + 61_000),
    );
    expect(ends.slice(0, 3).flat()).toEqual(["resolved team", "resolved team", "resolved team"]);
  });

  test("reaches a log whole, and each channel is counted by itself", () => {
    const story = new Story({
      storm,
      routes: [{ channels: ["team", "log"] }, { channels: ["boss"], components: ["db"] }],
    });
    for (let n = 0; n < 5; n++) story.tell(nth(n));
    expect(story.told.map(short).filter((each) => each === "escalated log")).toHaveLength(5);
    expect(story.tell(nth(9, { component: "db" }))).toEqual(["escalated log", "escalated boss"]);
  });

  test("calls the next in the chain no more often than it tells the first", () => {
    const story = new Story({ storm, escalation: { steps: [{ after_seconds: 300, channels: ["pager"] }] } });
    for (let n = 0; n < 5; n++) story.tell(nth(n));
    const said = story.passTo(NOON + 400_000);
    expect(said.filter((each) => each === "300 escalated pager")).toHaveLength(3);
    expect(said.filter((each) => each.endsWith("digest pager"))).toEqual(["360 digest pager"]);
  });
});

describe("an edge", () => {
  test("is told through the channels of all routes that match, once through each", () => {
    const story = new Story({
      routes: [{ channels: ["team", "log"] }, { channels: ["team"] }, { severities: ["info"], channels: ["pager"] }],
    });
    expect(story.tell(edge("opened"))).toEqual(["opened team", "opened log"]);
  });

  test("is told once, however often it is reported", () => {
    const story = new Story();
    expect(story.tell(edge("opened"))).toHaveLength(1);
    expect(story.tell(edge("opened"), NOON + 5000)).toEqual([]);
    expect(story.tell(edge("opened", { edge_id: "second" }), NOON + 5000)).toHaveLength(1);
  });

  test.each([
    ["exactly", "scan", ["scan"], true],
    ["not by its beginning alone", "scanner", ["scan"], false],
    ["by a star", "scanner", ["scan*"], true],
    ["by any of several", "parse", ["scan*", "parse"], true],
  ])("is matched by component %s", (_, component, components, expected) => {
    const story = new Story({ routes: [{ channels: ["team"], components }], digest: { channels: [] } });
    expect(story.tell(edge("opened", { component }))).toHaveLength(expected ? 1 : 0);
  });

  test("carries the incident, what was seen, tried and suggested, and the command", () => {
    const story = new Story();
    story.tell(edge("escalated"));
    expect(story.told[0]?.message).toMatchObject({
      ...{ incident_id: "inc-1", seen: "it grew", tried: ["raised the limit"] },
      ...{ suggested: "look at the heap", command: "heald why inc-1" },
    });
  });

  test("that closes an incident reaches all who were told of it, also where no route says so", () => {
    const story = new Story({ routes: [{ kinds: ["escalated"], channels: ["team", "pager"] }] });
    story.tell(edge("escalated"));
    expect(story.tell(edge("resolved"), NOON + 1000)).toEqual(["resolved team", "resolved pager"]);
  });

  test("of a component with settings of its own follows those", () => {
    const story = new Story({ overrides: { billing: { routes: [{ channels: ["pager"] }] } } });
    expect(story.tell(edge("opened", { component: "billing" }))).toEqual(["opened pager"]);
  });

  test("with a name that every object has is an incident like any other", () => {
    const story = new Story();
    expect(story.tell(edge("opened", { incident_id: "__proto__" }))).toHaveLength(1);
    expect(story.tell(edge("opened", { incident_id: "constructor" }))).toHaveLength(1);
  });
});

describe("the digest", () => {
  test("takes what no route wants, and comes once after its interval", () => {
    const story = new Story();
    expect(story.tell(edge("info", { edge_id: "a" }))).toEqual([]);
    expect(story.tell(edge("info", { edge_id: "b" }), NOON + 100_000)).toEqual([]);
    expect(story.passTo(NOON + 10_000_000)).toEqual(["600 digest log"]);
    expect(story.told[0]?.message.lines).toHaveLength(2);
    expect(story.state.digest).toEqual([]);
  });

  test("shows so many notices and counts the others", () => {
    const story = new Story({ digest: { channels: ["log"], lines_max: 3 } });
    for (let nth = 0; nth < 10; nth += 1) story.tell(edge("info", { edge_id: `${nth}` }));
    story.pass(NOON + 3_600_000);
    expect(story.told[0]?.message).toMatchObject({ left_out: 7, title: "10 notices since the last digest" });
    story.tell(edge("info", { edge_id: "later" }), NOON + 4_000_000);
    story.pass(NOON + 8_000_000);
    expect(story.told[1]?.message).toMatchObject({ left_out: 0 });
  });
});

describe("quiet hours", () => {
  const quiet_hours = { windows: [{ from: "22:00", to: "07:00" }] };

  test("hold back what is not critical, and tell it as one digest at their end through the channels that it was for", () => {
    const story = new Story({ quiet_hours });
    expect(story.tell(edge("opened", { severity: "warning" }), NIGHT)).toEqual([]);
    expect(story.tell(edge("resolved", { severity: "warning" }), NIGHT + 60_000)).toEqual([]);
    expect(story.pass(MORNING - 1000)).toEqual([]);
    expect(story.pass(MORNING)).toEqual(["digest team"]);
    expect(story.told[0]?.message.lines.map((line) => line.kind)).toEqual(["opened", "resolved"]);
  });

  test("let critical ones through, and routes that say so", () => {
    const routes = [{ channels: ["team"] }, { channels: ["pager"], in_quiet_hours: true }];
    const story = new Story({ quiet_hours, routes });
    expect(story.tell(edge("opened", { severity: "warning" }), NIGHT)).toEqual(["opened pager"]);
    expect(story.tell(edge("opened", { incident_id: "inc-2" }), NIGHT)).toEqual(["opened team", "opened pager"]);
  });

  test("hold the chain of an escalation that they do not let through until their end", () => {
    const escalation = { steps: [{ after_seconds: 60, channels: ["boss"] }] };
    const story = new Story({ quiet_hours, escalation });
    story.tell(edge("escalated", { severity: "warning" }), NIGHT);
    expect(story.pass(NIGHT + 3_600_000)).toEqual([]);
    expect(nextAt(story.state, story.policy, NIGHT)).toBe(MORNING);
    expect(story.pass(MORNING)).toEqual(["escalated boss", "digest team"]);
  });
});

describe("the chain", () => {
  const escalation = {
    steps: [
      { after_seconds: 0, channels: ["team"] },
      { after_seconds: 300, channels: ["pager"] },
      { after_seconds: 900, channels: ["pager", "boss"] },
    ],
  };
  const repeat = { interval_seconds: 3600, times_max: 2 };

  test("goes step by step, then repeats to all who know, and ends", () => {
    const story = new Story({ escalation, repeat });
    expect(story.tell(edge("escalated"))).toEqual(["escalated team"]);
    expect(story.passTo(NOON + 100 * 3_600_000)).toEqual([
      ...["300 escalated pager", "900 repeated pager", "900 escalated boss"],
      ...["4500 repeated team", "4500 repeated pager", "4500 repeated boss"],
      ...["8100 repeated team", "8100 repeated pager", "8100 repeated boss"],
    ]);
  });

  test("ends when somebody takes it, and when the cause is gone", () => {
    const taken = new Story({ escalation, repeat });
    taken.tell(edge("escalated"));
    taken.state = onAcknowledged(taken.state, "inc-1", by) ?? taken.state;
    expect(nextAt(taken.state, taken.policy, NOON)).toBeNull();
    expect(taken.pass(NOON + 10_000_000)).toEqual([]);
    const over = new Story({ escalation, repeat });
    over.tell(edge("escalated"));
    over.tell(edge("resolved"), NOON + 1000);
    expect(over.pass(NOON + 10_000_000)).toEqual([]);
  });

  test("begins anew with a new escalation, also when the one before was taken", () => {
    const story = new Story({ escalation, repeat });
    story.tell(edge("escalated"));
    story.state = onAcknowledged(story.state, "inc-1", by) ?? story.state;
    expect(story.tell(edge("escalated", { edge_id: "again" }), NOON + 1000)).toEqual(["escalated team"]);
    expect(story.pass(NOON + 301_000)).toEqual(["escalated pager"]);
    expect(new Set(story.told.map((each) => each.key)).size).toBe(story.told.length);
  });

  test("of a daemon that was away for a day makes up for its steps, and for one repeat", () => {
    const story = new Story({ escalation, repeat });
    story.tell(edge("escalated"));
    expect(story.pass(NOON + 86_400_000)).toEqual(["escalated pager", "repeated pager", "escalated boss"]);
    expect(story.pass(NOON + 86_400_000)).toEqual([]);
    expect(story.pass(NOON + 3 * 86_400_000)).toHaveLength(3);
  });
});

describe("an acknowledgement", () => {
  test("of what is not escalated, is over or is unknown takes nothing", () => {
    const story = new Story();
    story.tell(edge("opened"));
    expect(onAcknowledged(story.state, "inc-1", by)).toBeNull();
    expect(onAcknowledged(story.state, "__proto__", by)).toBeNull();
    story.tell(edge("escalated"), NOON + 1);
    story.tell(edge("resolved"), NOON + 2);
    expect(onAcknowledged(story.state, "inc-1", by)).toBeNull();
  });

  test("of what somebody has taken already changes nothing", () => {
    const story = new Story();
    story.tell(edge("escalated"));
    const once = onAcknowledged(story.state, "inc-1", by) as NotificationState;
    expect(onAcknowledged(once, "inc-1", { ...by, by: "bob" })).toBe(once);
  });
});

describe("what is remembered", () => {
  test("of a resolved incident is forgotten after a week", () => {
    const story = new Story();
    story.tell(edge("opened"));
    story.tell(edge("resolved"), NOON + 1);
    story.pass(NOON + 6 * 86_400_000);
    expect(Object.keys(story.state.incidents)).toEqual(["inc-1"]);
    story.pass(NOON + 8 * 86_400_000);
    expect(story.state.incidents).toEqual({});
  });

  test("stays bounded: of too many incidents, open ones are kept before resolved ones", () => {
    const story = new Story({ routes: [], digest: { channels: [] } });
    const incidents = Object.fromEntries(Array.from({ length: 2500 }, (_, nth) => [`i${nth}`, nth]));
    story.tell(edge("opened"));
    const model = story.state.incidents["inc-1"];
    if (model === undefined) throw new Error("No incident");
    story.state = {
      ...story.state,
      incidents: Object.fromEntries(
        Object.entries(incidents).map(([id, nth]) => [id, { ...model, resolved_at_ms: nth % 2 === 0 ? NOON : null }]),
      ),
    };
    story.pass(NOON + 1);
    const kept = Object.values(story.state.incidents);
    expect(kept).toHaveLength(2000);
    expect(kept.filter((each) => each.resolved_at_ms === null)).toHaveLength(1250);
  });
});

describe("any story", () => {
  const step = fc.record({
    kind: fc.constantFrom(...EDGE_KINDS, "acknowledge" as const, "nothing" as const),
    incident: fc.nat(3),
    severity: fc.constantFrom(...SEVERITIES),
    minutes: fc.nat(200),
  });

  test("tells no key twice, tells or collects each new edge, and repeated whole from any point it changes nothing", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, withNight) => {
        const story = new Story({
          ...(withNight ? { quiet_hours: { windows: [{ from: "22:00", to: "07:00" }] } } : {}),
          escalation: {
            steps: [
              { after_seconds: 0, channels: ["team"] },
              { after_seconds: 600, channels: ["pager"] },
            ],
          },
        });
        let atMs = NOON;
        steps.forEach(({ kind, incident, severity, minutes }, nth) => {
          atMs += minutes * 60_000;
          story.pass(atMs);
          if (kind === "nothing") return;
          if (kind === "acknowledge") {
            story.state = onAcknowledged(story.state, `i${incident}`, by) ?? story.state;
            return;
          }
          const told = story.told.length;
          const collected = story.state.digest.length;
          const what = edge(kind, { incident_id: `i${incident}`, severity, edge_id: `e${nth}` });
          story.tell(what, atMs);
          expect(story.told.length - told + story.state.digest.length - collected).toBeGreaterThan(0);
          // Performed again after a crash.
          expect(story.tell(what, atMs)).toEqual([]);
        });
        const keys = story.told.map((each) => each.key);
        expect(new Set(keys).size).toBe(keys.length);
        // Whatever is due has an instant, and at it something happens.
        story.passTo(atMs + 30 * 86_400_000, atMs);
        expect(story.state.digest).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});
