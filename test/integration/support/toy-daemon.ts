/**
 * A daemon whose sources do what a test wants of them: `waiting` starts when the file `go` is there, or never;
 * `scanned` meets bad weather as long as the file `storm` is there.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { autoFixPolicy } from "../../../daemons/auto-fix/policy.js";
import { runDaemon, type Source } from "../../../lib/runtime/daemon.js";
import { toyCore } from "../../unit/runtime/toy-core.js";

const home = process.env.HEALD_HOME ?? "";
const isThere = (name: string): boolean => existsSync(join(home, name));

process.exitCode = await runDaemon(
  {
    name: "auto-fix",
    policy: autoFixPolicy,
    core: { ...toyCore, decide: (slice, event) => toyCore.decide(slice, event, { factor: 1 }) },
    open: ({ log }) => {
      const scanned: Source = {
        name: "scanned",
        scanEverySeconds: 0.05,
        start: () => undefined,
        scan: () => {
          if (isThere("storm")) throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
          log.info({}, "scanned");
        },
        stop: () => undefined,
      };
      const waiting: Source = {
        name: "waiting",
        start: async () => {
          log.info({}, "source starts");
          // As a source that asks another program: the answer may come after the daemon was told to stop.
          if (isThere("wait")) await new Promise<void>((done) => process.on("SIGTERM", () => setTimeout(done, 50)));
          log.info({}, "source started");
        },
        stop: () => log.info({}, "source stopped"),
      };
      return {
        perform: () => undefined,
        sources: [scanned, waiting],
        figures: () => ({}),
        policyChanged: () => log.info({}, "policy changed"),
      };
    },
  },
  process.argv.slice(2),
);
