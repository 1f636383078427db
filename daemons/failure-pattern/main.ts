#!/usr/bin/env node
/** failure-pattern: the program. What it is made of is loaded when it runs; see wiring.ts. @module */
import { isProgram } from "../../lib/platform/package.js";
import { runProgram } from "../../lib/runtime/program.js";

const ABOUT = {
  name: "failure-pattern",
  summary: "Turns repeated failures into patterns: what repeats, why, how often, how bad, and whether it is over.",
  policy: { name: "failure-pattern-policy" },
};

if (isProgram(import.meta.url))
  process.exitCode = await runProgram(ABOUT, process.argv.slice(2), async (flags) => {
    const { run } = await import("./wiring.js");
    return run(flags);
  });
