/** Guarantee: `doctor` says whose a home is, where it is not ours alone. */
import { chownSync } from "node:fs";
import { expect, test } from "vitest";
import { examine } from "../../../cli/examination.js";
import { openHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { homeIn, temporaryFolder } from "../store/temporary-home.js";

const SOMEBODY = 54_321;
const isRoot = process.geteuid?.() === 0;

function anyHome() {
  const home = homeIn(temporaryFolder());
  openHome(home, { create: true, claimOwnership: false });
  return { home, layout: new Layout(home) };
}

const ofStrangers = (message: string): boolean => message.includes("to user");

test("a home of one's own is not spoken of", async () => {
  const found = await examine(anyHome().home);
  expect(found.filter(({ message }) => ofStrangers(message))).toEqual([]);
});

test.runIf(isRoot)("folders of another user are one warning, with the first of them and the user", async () => {
  const { home, layout } = anyHome();
  for (const folder of [layout.activeDir, layout.queueDir]) chownSync(folder, SOMEBODY, SOMEBODY);
  const found = (await examine(home)).filter(({ message }) => ofStrangers(message));
  expect(found).toEqual([
    {
      level: "warning",
      about: "folders",
      message: expect.stringMatching(/ and 1 more belong to user 54321: daemons of uid 0 would start and signal/),
    },
  ]);
});
