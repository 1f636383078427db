/** All invariants of a coordination directory, in the order in which they are told. @module */
import type { Invariant } from "./finding.js";
import { BREAKER_INVARIANTS } from "./invariants/breakers.js";
import { DECISION_INVARIANTS } from "./invariants/decisions.js";
import { DERIVED_INVARIANTS } from "./invariants/derived.js";
import { EVENT_INVARIANTS } from "./invariants/events.js";
import { FILE_INVARIANTS } from "./invariants/files.js";
import { FIX_INVARIANTS } from "./invariants/fixes.js";
import { LIMIT_INVARIANTS } from "./invariants/limits.js";
import { REQUEST_INVARIANTS } from "./invariants/requests.js";
import { SPEC_INVARIANTS } from "./invariants/specs.js";
import { STATE_INVARIANTS } from "./invariants/state.js";

/** By group, for the page and for people. */
export const INVARIANT_GROUPS: readonly (readonly [group: string, invariants: readonly Invariant[]])[] = [
  ["Files", FILE_INVARIANTS],
  ["Workers", SPEC_INVARIANTS],
  ["Requests", REQUEST_INVARIANTS],
  ["Logs and events", EVENT_INVARIANTS],
  ["Decisions", DECISION_INVARIANTS],
  ["Fixes", FIX_INVARIANTS],
  ["Breakers", BREAKER_INVARIANTS],
  ["Tokens and holds", LIMIT_INVARIANTS],
  ["What daemons remember", STATE_INVARIANTS],
  ["What is derived", DERIVED_INVARIANTS],
];

export const INVARIANTS: readonly Invariant[] = INVARIANT_GROUPS.flatMap(([, invariants]) => invariants);
