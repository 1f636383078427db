/** `heald drain`: no new attempts, and the end of the present one is awaited. @module */
import type { CommandDefinition } from "../command.js";
import { WISH_OPTIONS, wish } from "../wishing.js";

export const command: CommandDefinition = {
  summary: "let workers finish and start no more",
  description:
    "Writes the desired state; the heartbeat-monitor sends the worker's stop signal once and then waits, however long it takes: SIGKILL never follows (heald stop). A worker that does not handle the signal ends at once. It is not started again.",
  arguments: "[id...]",
  options: WISH_OPTIONS,
  examples: ["heald drain worker-scan-1", "heald drain --type scan-worker --why 'release tonight'"],
  run: wish("draining", "drain", "is to finish"),
};
