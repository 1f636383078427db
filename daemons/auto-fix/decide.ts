/**
 * Decides which fix is applied to what, whether it has helped, and whether it is taken back; and for what other daemons
 * have found a person is called. Reads no clock, no file, no process.
 *
 * A pattern or a condition is looked at (everything that the gates need, in one event), the gates are asked in their
 * order, what stands there is written down, the steps are made, and the window is watched. It never changes anything
 * without its before-image in the journal, and never calls "it ran" a success.
 *
 * @module
 */

import { followedKey } from "../../lib/domain/followed-log.js";
import type { Core, Stamped } from "../../lib/runtime/core.js";
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { onDeclined, onExpireDue, onWithdrawn } from "./answers.js";
import { onApplied, onApplyFailed, onPrepared, onRollFailed } from "./applying.js";
import { onCallOld, onCallsBegin, onLines, onSign } from "./calling.js";
import { onConsider } from "./consider.js";
import { onCheckDue, onMeasured } from "./judging.js";
import { onLadderCleared, onLadderEnded, onTroubleOver, onTroubleSeen } from "./ladder.js";
import type { Effect, Event, Of, Step } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import { onResume } from "./resuming.js";
import { shadowing } from "./shadow.js";
import {
  type Address,
  addressOf,
  callKey,
  HEALER_NEW,
  LEARNING_NEW,
  MATCH_NEW,
  type RunPart,
  refOf,
  type Slice,
} from "./state.js";
import { onUndoAsked, onUndone } from "./undoing.js";

const NOBODY = { run_id: "", fix_id: "", subject: "", learn: "" };

function address(event: Event): Address {
  switch (event.kind) {
    case "calls-begin":
      return ofCalls({ calls: "calls" });
    case "lines-read":
      return ofCalls({ log: followedKey(event.log), calls: "calls" });
    case "sign-seen":
      return ofCalls({ call: callKey(event.sign.subject), calls: "calls" });
    case "call-old":
      return ofCalls({ call: callKey(event.subject), calls: "calls" });
    default:
      return addressOf("run_id" in event ? event : NOBODY);
  }
}

/** What comes of other daemons' logs reads nothing of fixes: its decisions are recorded, and computed again, without. */
const ofCalls = (parts: Pick<Partial<Address>, "log" | "call" | "calls">): Address => parts as Address;

function blank(part: keyof Slice): Slice[keyof Slice] {
  switch (part) {
    case "run":
    case "log":
    case "call":
    case "calls":
      return null;
    case "match":
      return MATCH_NEW;
    case "learning":
      return LEARNING_NEW;
    case "healer":
      return HEALER_NEW;
  }
}

/** Applies one event. Same inputs, same decision. */
export function decide(slice: Slice, event: Stamped<Event>, policy: Policy<AutoFixSettings>): Step {
  switch (event.kind) {
    case "consider":
      return isLate(slice, event)
        ? onLateApproval(slice, event)
        : onConsider(slice, event, settingsFor(policy, event.scope));
    case "look-due":
      return { slice, effects: slice.match.open_run === null ? [{ kind: "look", ...refOf(event) }] : [] };
    case "ladder-cleared":
      return onLadderCleared(slice, event);
    case "ladder-ended":
      return onLadderEnded(slice, event);
    case "trouble-seen":
      return onTroubleSeen(slice, event, settingsFor(policy, event.component));
    case "trouble-over":
      return onTroubleOver(slice, event);
    case "calls-begin":
      return onCallsBegin(slice, event);
    case "lines-read":
      return onLines(slice, event);
    case "sign-seen":
      return onSign(slice, event);
    case "call-old":
      return onCallOld(slice, event);
    case "person-clears-breaker":
      return {
        slice: { ...slice, healer: { ...slice.healer, tripped_at_ms: null, verdicts: [] } },
        effects: [],
      };
    default:
      return slice.run === null
        ? { slice, effects: [] }
        : ofRun({ ...slice, run: slice.run }, event, settingsFor(policy, slice.run.scope));
  }
}

/** A host that slept, or whose clock was put forward, is past the time that the proposal names before its timer is. */
function isLate(slice: Slice, event: Of<"consider">): slice is Slice & { readonly run: RunPart } {
  const { run } = slice;
  return event.approved_by !== null && run?.phase === "pending" && event.stamp.atMs >= (run.expires_ms ?? Infinity);
}

function onLateApproval(slice: Slice & { readonly run: RunPart }, event: Of<"consider">): Step {
  const expired = onExpireDue(slice, { ...refOf(event), kind: "expire-due", stamp: event.stamp });
  const why = `it came after ${writeInstant(slice.run.expires_ms ?? 0)}, when the proposal ran out`;
  return {
    ...expired,
    effects: [...expired.effects, { kind: "refuse-answer", folder: "approved", run_id: event.run_id, why }],
  };
}

/** What is about no run that there is already. */
type OtherEvent = {
  kind:
    | "consider"
    | "look-due"
    | "ladder-cleared"
    | "ladder-ended"
    | "trouble-seen"
    | "trouble-over"
    | "calls-begin"
    | "lines-read"
    | "sign-seen"
    | "call-old"
    | "person-clears-breaker";
};
type RunEvent = Exclude<Stamped<Event>, OtherEvent>;

function ofRun(slice: Slice & { readonly run: RunPart }, event: RunEvent, settings: AutoFixSettings): Step {
  switch (event.kind) {
    case "prepared":
      return onPrepared(slice, event);
    case "applied":
      return onApplied(slice, event, settings);
    case "apply-failed":
      return onApplyFailed(slice, event);
    case "roll-failed":
      return onRollFailed(slice, event);
    case "undone":
      return onUndone(slice, event);
    case "measured":
      return onMeasured(slice, event, settings);
    case "check-due":
      return onCheckDue(slice);
    case "expire-due":
      return onExpireDue(slice, event);
    case "declined":
      return onDeclined(slice, event);
    case "withdrawn":
      return onWithdrawn(slice, event);
    case "undo-asked":
      return onUndoAsked(slice, event);
    case "resume":
      return onResume(slice, event);
    case "forget":
      return slice.run.phase === "done" ? { slice: { ...slice, run: null }, effects: [] } : { slice, effects: [] };
  }
}

export const autoFixCore: Core<Slice, Event, Effect, Policy<AutoFixSettings>> = {
  name: "auto-fix",
  address,
  blank,
  decide,
  wake: (key) => {
    const [what, run_id = "", fix_id = "", learn = "", subject = ""] = key.split("|");
    const ref = { run_id, fix_id, learn, subject };
    if (what === "check") return { kind: "check-due", ...ref };
    return what === "expire" ? { kind: "expire-due", ...ref } : { kind: "look-due", ...ref };
  },
  failed: (effect, message) => {
    switch (effect.kind) {
      case "prepare":
        return { kind: "apply-failed", ...refOf(effect), step: 0, message: message.slice(0, 300) };
      case "apply":
        return { kind: "apply-failed", ...refOf(effect), step: effect.step, message: message.slice(0, 300) };
      // What cannot be taken back stays as it is, and a person is told.
      case "undo":
        return { kind: "undone", ...refOf(effect), step: effect.step, conflicts: [message.slice(0, 200)] };
      case "trial":
        return effect.reason === "rolling"
          ? { kind: "roll-failed", ...refOf(effect), message: message.slice(0, 300) }
          : null;
      default:
        return null;
    }
  },
  shadowing,
  coalesced: new Set(["check-due", "look-due"]),
  transient: new Set(["measure", "look"]),
};
