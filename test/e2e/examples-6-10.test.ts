/**
 * Guarantees that examples 6 to 10 do what their READMEs say: real daemons, real workers, each outcome as expected, no
 * process left, and decisions that come out the same when they are computed again. Two of them by default; all with HEALD_ALL_EXAMPLES=1.
 * @module
 */
import { type Example, testExamples } from "./runs.js";

const EXAMPLES: readonly Example[] = [
  [
    6,
    "does not restart a configuration error until its file changes",
    ["it exits with 78", "another file is written", "its file changes", "its file is mended"],
  ],
  [
    7,
    "runs the command that is allowed, and no other",
    ["make-shelf shelf-7", "rm shelf-8", "make-shelf with ../", "write-note with $("],
  ],
  [
    8,
    "applies what was approved with mv, in time, and as it was proposed",
    ["pending/ is moved to", "nobody answers", "approved, but the"],
  ],
  [
    9,
    "undoes a fix that makes things worse, and trusts it less",
    ["batches are doubled", "the change itself", "trust in the fix", "the same failure"],
  ],
  [
    10,
    "goes up a ladder of policies only as far as it must",
    ["rung 1: restart-service", "rung 2", "rung 2: scale-up", "rung 3: alert-oncall"],
  ],
];

/** Those that show the most of the daemons in the least time. */
const BY_DEFAULT: ReadonlySet<number> = new Set([7, 8]);

testExamples(EXAMPLES, BY_DEFAULT);
