/** What is taken up again of a run when the daemon starts. @module */
import { onExpireDue } from "./answers.js";
import type { Of, Step } from "./messages.js";
import { type Running, same } from "./running.js";
import { refOf } from "./state.js";

/** After a start of the daemon: wakes and answers on their way are not kept, so what is open is taken up again. */
export function onResume(slice: Running, event: Of<"resume">): Step {
  const { run } = slice;
  const ref = refOf(run);
  const step = { slice };
  switch (run.phase) {
    case "pending":
      return onExpireDue(slice, { ...event, kind: "expire-due" });
    case "preparing":
      return { ...step, effects: [{ kind: "prepare", ...ref, run }] };
    case "applying":
      return { ...step, effects: [{ kind: "apply", ...ref, run, step: run.step }] };
    case "undoing":
      return { ...step, effects: [{ kind: "undo", ...ref, run, step: run.step }] };
    case "verifying":
    case "watching":
      return { ...step, effects: [{ kind: "measure", ...ref }] };
    case "done":
      return same(slice);
  }
}
