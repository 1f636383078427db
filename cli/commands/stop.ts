/** `heald stop`: end workers gracefully and keep them down. @module */
import type { CommandDefinition } from "../command.js";
import { WISH_OPTIONS, wish } from "../wishing.js";

export const command: CommandDefinition = {
  summary: "end workers and keep them down",
  description:
    "Writes the desired state; the heartbeat-monitor sends the worker's stop signal and, after its grace time, SIGKILL. heald restart or retry brings it back.",
  arguments: "[id...]",
  options: WISH_OPTIONS,
  examples: ["heald stop worker-scan-1 --why 'moving the disk'", "heald stop --all --yes"],
  run: wish("stopped", "stop", "is to be stopped"),
};
