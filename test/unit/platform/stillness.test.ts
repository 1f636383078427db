/** Guarantee: as long as the kernel is said to be still, nobody has died; however births, deaths and looks follow each other. */
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Stillness } from "../../../lib/platform/stillness.js";

/** A kernel in which things happen between any two reads. */
class Kernel {
  threads = 100;
  births = 1000;
  deaths = 0;
  readonly #between: number[];

  constructor(between: readonly number[]) {
    this.#between = [...between];
  }

  /** 0: nothing, 1: a birth, 2: a death, 3: both, 4: two deaths and a birth. */
  happen(what: number): void {
    const born = what === 1 || what >= 3 ? 1 : 0;
    const died = what === 4 ? 2 : what >= 2 ? 1 : 0;
    this.births += born;
    this.threads += born - died;
    this.deaths += died;
  }

  readonly read = (counter: "threads" | "births"): number => {
    this.happen(this.#between.shift() ?? 0);
    const value = this[counter];
    this.happen(this.#between.shift() ?? 0);
    return value;
  };
}

describe("a kernel that is said to be still", () => {
  test("is one in which nobody has died since a look that said otherwise was over", () => {
    const happening = fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 4), { maxLength: 60 });
    fc.assert(
      fc.property(happening, fc.integer({ min: 2, max: 12 }), (between, looks) => {
        const kernel = new Kernel(between);
        const stillness = new Stillness(kernel.read);
        let deathsBefore = 0;
        for (let nth = 0; nth < looks; nth++) {
          const deathsAtStart = kernel.deaths;
          // Deaths during the look itself are the next one's to find.
          if (stillness.look()) expect(deathsAtStart).toBe(deathsBefore);
          else deathsBefore = kernel.deaths;
        }
      }),
      { numRuns: 5000 },
    );
  });

  test("is found again when it is still again", () => {
    const kernel = new Kernel([]);
    const stillness = new Stillness(kernel.read);
    expect([stillness.look(), stillness.look(), stillness.look()]).toEqual([false, true, true]);
    kernel.happen(3);
    expect([stillness.look(), stillness.look()]).toEqual([false, true]);
    kernel.happen(2);
    expect([stillness.look(), stillness.look()]).toEqual([false, true]);
  });

  test("is never believed in where a counter cannot be had", () => {
    const blind = new Stillness((counter) => (counter === "births" ? null : 100));
    expect([blind.look(), blind.look(), blind.look()]).toEqual([false, false, false]);
    let isThere = true;
    const fading = new Stillness(() => (isThere ? 7 : null));
    expect([fading.look(), fading.look()]).toEqual([false, true]);
    isThere = false;
    expect(fading.look()).toBe(false);
    isThere = true;
    expect(fading.look()).toBe(false);
  });

  test("is not this one while a program was started and has ended", () => {
    const stillness = new Stillness();
    for (let nth = 0; nth < 20; nth++) {
      stillness.look();
      spawnSync("true");
      expect(stillness.look()).toBe(false);
    }
  });
});
