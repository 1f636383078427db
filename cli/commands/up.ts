/** `heald up`: all four daemons in the foreground, each its own process, with one line for each thing that happens. @module */
import type { Call, CommandDefinition } from "../command.js";
import { homeForDaemons } from "../home.js";
import { Supervisor } from "../supervisor.js";

export const command: CommandDefinition = {
  summary: "run all four daemons in the foreground",
  description:
    "Prints one line for each thing that a daemon says. ^C stops the daemons and leaves the workers running. A daemon that dies is started again, after a wait that doubles up to 30 seconds.",
  examples: ["heald up --home /srv/fleet", "heald up | tee fleet.log"],
  run: up,
};

async function up(call: Call): Promise<number> {
  const supervisor = new Supervisor(homeForDaemons(call));
  process.on("SIGINT", () => supervisor.stop());
  process.on("SIGTERM", () => supervisor.stop());
  process.on("SIGHUP", () => supervisor.signal("SIGHUP"));
  return await supervisor.run();
}
