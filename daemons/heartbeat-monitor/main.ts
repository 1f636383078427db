#!/usr/bin/env node
/** heartbeat-monitor: the program. What it is made of is loaded when it runs; see wiring.ts. @module */
import { isProgram } from "../../lib/platform/package.js";
import { runProgram } from "../../lib/runtime/program.js";

const ABOUT = {
  name: "heartbeat-monitor",
  summary:
    "Watches workers: sees the dead, the hung and the ill, ends what is left of them, and files restart requests.",
  policy: { name: "heartbeat-policy" },
};

if (isProgram(import.meta.url))
  process.exitCode = await runProgram(ABOUT, process.argv.slice(2), async (flags) => {
    const { run } = await import("./wiring.js");
    return run(flags);
  });
