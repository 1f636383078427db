/**
 * Guarantees that examples 1 to 5 do what their READMEs say: real daemons, real workers, each outcome as expected, no
 * process left, and decisions that come out the same when they are computed again. Two of them by default; all with HEALD_ALL_EXAMPLES=1.
 * @module
 */
import { type Example, testExamples } from "./runs.js";

const EXAMPLES: readonly Example[] = [
  [
    1,
    "raises a memory limit that is too small, proves it on one attempt, and releases the siblings",
    [
      "three workers outgrow",
      "the pattern is found",
      "the limit in the",
      "one attempt is tried",
      "the verdict",
      "its siblings",
    ],
  ],
  [
    2,
    "undoes what does not help a leak, twice, and calls a person with the whole story",
    ["the limit is raised", "its verdicts", "the template afterwards", "a person", "the message to the person"],
  ],
  [
    3,
    "holds a task that kills whoever takes it, and leaves its siblings alone",
    ["two workers take page-13", "the task", "after the hold", "the siblings on other", "a person"],
  ],
  [
    4,
    "slows a worker down that is answered 429, until nothing more is refused",
    ["the service answers 429", "the rate in the template", "the slower worker", "the verdict"],
  ],
  [
    5,
    "starts a worker with corrupt state anew, and keeps the old state",
    ["replay-1 finds its state", "its state folder", "replay-1 afterwards", "the verdict", "replay-2, of the same"],
  ],
];

/** A whole life of a fix, and the shortest. */
const BY_DEFAULT: ReadonlySet<number> = new Set([1, 3]);

testExamples(EXAMPLES, BY_DEFAULT);
