/** Made-up deaths for heartbeat-monitor to practise on: each is a spec, with the records of a program that never was. @module */
import { writeFileSync } from "node:fs";
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import { type Exercise, nobody, WarmUp } from "../../lib/runtime/warm-up.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { lineOf, namesIn } from "../../lib/store/entries.js";
import { SpecStore } from "../../lib/store/specs.js";
import { BeatSource } from "./beat-source.js";
import { core } from "./decide.js";
import type { Effect, Event, Slice } from "./facts.js";
import { LeaseSource } from "./lease-source.js";
import { Performer } from "./perform.js";
import { type HeartbeatSettings, heartbeatPolicy } from "./policy.js";
import { Remains } from "./remains.js";
import { SpecSource } from "./spec-source.js";

type Context = DaemonContext<Event, HeartbeatSettings>;

const LAUNCH = { target: "process" as const, command: "/bin/sh", args: ["-c", "exit 0"] };
/** What the end of a program leads to that left a record of it. */
const PRACTISED: ReadonlySet<Effect["kind"]> = new Set<Effect["kind"]>([
  ...(["report", "write_block", "file_end", "remove_active", "return_tokens"] as const),
  ...(["file_request", "forget_files", "look", "release", "rescan"] as const),
]);

/** @param folder Where its home is to be; in memory if not given. */
export function warmUpOf(context: Context, folder?: string): WarmUp<Slice, Event, Effect, HeartbeatSettings> {
  return new WarmUp<Slice, Event, Effect, HeartbeatSettings>({
    context,
    core,
    settings: heartbeatPolicy.complete({}),
    effects: PRACTISED,
    equip: exerciseOn,
    folder,
  });
}

function exerciseOn(context: Context): Exercise<Event, Effect> {
  const { layout, identity } = context;
  const beats = new BeatSource(context);
  const remains = new Remains(layout);
  const specs = new SpecSource(context, remains);
  // A rush is none: what is to be compiled here must not be put off. Nor does anybody wait for the processor.
  const forOthers = { deaths: { died: () => {} }, givingWay: { rest: () => false } };
  const { perform } = new Performer(context, beats, specs, remains, new LeaseSource(context), forOthers);
  const store = new SpecStore(layout);
  const process = nobody(identity);
  return {
    // There are no tokens to return, and whoever does that takes its time to find out.
    perform: (effect, performing) => (effect.kind === "return_tokens" ? undefined : perform(effect, performing)),
    death: (nth) => {
      const worker = { worker_id: `warm-up-${nth}`, worker_type: "warm-up", task_id: `task-warm-up-${nth}` };
      const nowMs = Date.now();
      const at = writeInstant(nowMs);
      const record = { ...process, ...worker, attempt: 1 };
      writeFileSync(
        layout.launch(worker.worker_id, 1),
        lineOf({
          ...record,
          started_at: at,
          started_at_ms: nowMs - 60_000,
          launcher_start_time: 1,
        }),
      );
      const ended = { exit_code: 137, signal: "SIGKILL", signal_inferred: true, ended_at: at, ended_at_ms: nowMs };
      writeFileSync(layout.exit(worker.worker_id, 1), lineOf({ ...record, ...ended }));
      store.createActive({ ...worker, status: "running", attempt: 1, created_at: at, launch: LAUNCH });
      specs.scan();
    },
    done: () => namesIn(layout.queueDir).length,
    end: () => {
      specs.stop();
      beats.stop();
    },
  };
}
