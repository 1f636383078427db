#!/usr/bin/env node
/** worker-restart: the program. What it is made of is loaded when it runs; see wiring.ts. @module */
import { isProgram } from "../../lib/platform/package.js";
import { runProgram } from "../../lib/runtime/program.js";

const ABOUT = {
  name: "worker-restart",
  summary:
    "Brings dead workers back within policy: claims requests, asks the gates, starts attempts, and sees whether it helped.",
  policy: { name: "worker-restart-policy" },
};

if (isProgram(import.meta.url))
  process.exitCode = await runProgram(ABOUT, process.argv.slice(2), async (flags) => {
    const { run } = await import("./wiring.js");
    return run(flags);
  });
