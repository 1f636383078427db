/** Runs a script on auto-fix's core as it is, and with a crash after each of its effects: it must end the same. @module */
import { expect } from "vitest";
import { endOf, type Fixing, makeFixing } from "./auto-fix-world.js";
import { withEveryCrash } from "./simulation.js";

export async function scenario(script: (fixing: Fixing) => void, policy: Readonly<Record<string, unknown>> = {}) {
  return await withEveryCrash(
    async (crashAfter) => {
      const fixing = makeFixing(policy, crashAfter);
      script(fixing);
      await fixing.simulation.settle();
      return { performed: fixing.simulation.performed, end: endOf(fixing) };
    },
    (end, expected, crashAfter) => expect(end, `crash after effect ${crashAfter}`).toEqual(expected),
  );
}
