/** Made-up deaths for worker-restart to practise on: each is a request, with the evidence of an attempt that never was. @module */
import { writeFileSync } from "node:fs";
import type { StandbyLaunchers } from "../../lib/platform/standby.js";
import { type Exercise, nobody, WarmUp } from "../../lib/runtime/warm-up.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { lineOf } from "../../lib/store/entries.js";
import { SpecStore } from "../../lib/store/specs.js";
import { restartCore } from "./decide.js";
import { equip } from "./equipment.js";
import type { Effect, Event } from "./messages.js";
import { restartPolicy } from "./policy.js";
import type { Context } from "./queue-source.js";
import type { RestartSettings } from "./settings.js";
import type { Slice } from "./state.js";

const TYPE = "warm-up";
const LAUNCH = { target: "process" as const, command: "/bin/sh", args: ["-c", "exit 0"] };
const PRACTISED: ReadonlySet<Effect["kind"]> = new Set<Effect["kind"]>(["report", "start", "look-waiting"]);
/** Nothing keeps a worker down that dies for the first time, however many others do. */
const UNLIMITED: Parameters<typeof restartPolicy.complete>[0] = {
  first_retry_delay_seconds: 0,
  jitter: "none",
  restart_budgets: [],
  max_concurrent_restarts: 100_000,
  rate_limits: { global_per_minute: null, per_type_per_minute: null, per_task_min_interval_seconds: 0 },
};

/**
 * @param standby Makes lines for starts as for any other, and tells nobody.
 * @param folder Where its home is to be; in memory if not given.
 */
export function warmUpOf(
  context: Context,
  standby: StandbyLaunchers,
  folder?: string,
): WarmUp<Slice, Event, Effect, RestartSettings> {
  return new WarmUp<Slice, Event, Effect, RestartSettings>({
    context,
    core: restartCore,
    settings: restartPolicy.complete(UNLIMITED),
    effects: PRACTISED,
    equip: (ground) => exerciseOn(ground, standby),
    folder,
  });
}

function exerciseOn(context: Context, standby: StandbyLaunchers): Exercise<Event, Effect> {
  const { layout, identity } = context;
  const starter = {
    start: (start: Parameters<StandbyLaunchers["practise"]>[0]): boolean => {
      standby.practise(start);
      return true;
    },
  };
  // A rush is none: what is to be compiled here must not be put off.
  const { queue, mailbox, perform } = equip(context, starter, { died: () => {} });
  const specs = new SpecStore(layout);
  const process = nobody(identity);
  writeFileSync(layout.template(TYPE), lineOf({ worker_type: TYPE, launch: LAUNCH }));
  return {
    perform,
    death: (nth) => {
      const worker = { worker_id: `warm-up-${nth}`, worker_type: TYPE, task_id: `task-warm-up-${nth}` };
      const incident_id = `inc-warm-up-${nth}`;
      const nowMs = Date.now();
      const at = writeInstant(nowMs);
      const ended = { exit_code: 137, signal: "SIGKILL" };
      const execution = { ...process, origin: "launched", may_signal: true, completed_at: at, ...ended };
      specs.fileZombie(
        { ...worker, status: "zombie", attempt: 1, created_at: at, launch: LAUNCH, execution, incident_id },
        1,
      );
      writeFileSync(layout.launch(worker.worker_id, 1), lineOf({ ...process, ...worker, attempt: 1 }));
      mailbox.file(`${worker.worker_id}-restart.json`, {
        ...worker,
        reason: "killed",
        created_at: at,
        attempt: 1,
        incident_id,
        requested_by: "heartbeat-monitor",
        ended: {
          class: "signal",
          ...ended,
          ran_ms: 60_000,
          by_itself: true,
          spends_retry: true,
          detected_at_ms: nowMs,
        },
      });
      queue.scan();
    },
    done: () => specs.listActive().length,
    end: () => queue.stop(),
  };
}
