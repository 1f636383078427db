import { describe, expect, test } from "vitest";
import {
  deathsOf,
  forgive,
  isPoisoned,
  POISON_NONE,
  POISON_TASKS_MAX,
  type PoisonState,
  recordDeath,
} from "../../../lib/domain/poison.js";

const policy = { deaths: 3, window_seconds: 259_200 };
const DAY = 86_400_000;

function died(deaths: readonly (readonly [string, number])[], state: PoisonState = POISON_NONE): PoisonState {
  return deaths.reduce((current, [worker, atMs]) => recordDeath(current, "task-1", worker, atMs, policy), state);
}

describe("recordDeath() and isPoisoned()", () => {
  test("find a task poison at its third death, whichever workers it killed", () => {
    const two = died([
      ["w1", 1],
      ["w2", 2],
    ]);
    expect(isPoisoned(two, "task-1", 10, policy)).toBe(false);
    const three = died([["w1", 3]], two);
    expect(isPoisoned(three, "task-1", 10, policy)).toBe(true);
    expect(deathsOf(three, "task-1", 10, policy).map((death) => death.worker_id)).toEqual(["w1", "w2", "w1"]);
  });

  test("count one death once, however often its record is read", () => {
    expect(
      isPoisoned(
        died([
          ["w1", 1],
          ["w1", 1],
          ["w1", 1],
        ]),
        "task-1",
        10,
        policy,
      ),
    ).toBe(false);
  });

  test("forget deaths that are older than the window", () => {
    const spread = died([
      ["w1", 0],
      ["w2", 2 * DAY],
      ["w3", 3 * DAY],
    ]);
    expect(isPoisoned(spread, "task-1", 3 * DAY, policy)).toBe(false);
    const close = died([
      ["w1", 1],
      ["w2", 2 * DAY],
      ["w3", 3 * DAY],
    ]);
    expect(isPoisoned(close, "task-1", 3 * DAY, policy)).toBe(true);
    expect(isPoisoned(close, "task-1", 3 * DAY + 1, policy)).toBe(false);
  });

  test("keep tasks apart", () => {
    expect(
      isPoisoned(
        died([
          ["w1", 1],
          ["w2", 2],
          ["w3", 3],
        ]),
        "task-2",
        10,
        policy,
      ),
    ).toBe(false);
  });

  test("find nothing poison while the check is off", () => {
    const state = died([
      ["w1", 1],
      ["w2", 2],
      ["w3", 3],
    ]);
    expect(isPoisoned(state, "task-1", 10, { ...policy, deaths: 0 })).toBe(false);
  });

  test("start anew after a task was forgiven", () => {
    const state = died([
      ["w1", 1],
      ["w2", 2],
      ["w3", 3],
    ]);
    expect(isPoisoned(forgive(state, "task-1"), "task-1", 10, policy)).toBe(false);
  });

  test("stay bounded: the task struck longest ago is forgotten first", () => {
    let state = died([
      ["w1", 1],
      ["w2", 2],
    ]);
    for (let task = 0; task < POISON_TASKS_MAX - 1; task += 1) {
      state = recordDeath(state, `other-${task}`, "w", 3, policy);
    }
    state = died([["w3", 4]], state);
    state = recordDeath(state, "last-one", "w", 5, policy);
    expect(state.tasks).toHaveLength(POISON_TASKS_MAX);
    expect(isPoisoned(state, "task-1", 10, policy)).toBe(true);
    expect(deathsOf(state, "other-0", 10, policy)).toEqual([]);
  });

  test("keep a bounded number of deaths as evidence", () => {
    const many = died(Array.from({ length: 100 }, (_, index) => ["w", index] as const));
    expect(deathsOf(many, "task-1", 100, policy)).toHaveLength(10);
  });
});
