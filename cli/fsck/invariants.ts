/** All invariants of a coordination directory, in the order in which they are told. @module */

import { BREAKER_INVARIANTS } from "./breaker-invariants.js";
import { CALL_INVARIANTS } from "./call-invariants.js";
import { DECISION_INVARIANTS } from "./decision-invariants.js";
import { DERIVED_INVARIANTS } from "./derived-invariants.js";
import { EVENT_INVARIANTS } from "./event-invariants.js";
import { FILE_INVARIANTS } from "./file-invariants.js";
import type { Invariant } from "./finding.js";
import { FIX_INVARIANTS } from "./fix-invariants.js";
import { LIMIT_INVARIANTS } from "./limit-invariants.js";
import { REQUEST_INVARIANTS } from "./request-invariants.js";
import { SPEC_INVARIANTS } from "./spec-invariants.js";
import { STATE_INVARIANTS } from "./state-invariants.js";

/** By group, for the page and for people. */
export const INVARIANT_GROUPS: readonly (readonly [group: string, invariants: readonly Invariant[]])[] = [
  ["Files", FILE_INVARIANTS],
  ["Workers", SPEC_INVARIANTS],
  ["Requests", REQUEST_INVARIANTS],
  ["Logs and events", EVENT_INVARIANTS],
  ["Decisions", DECISION_INVARIANTS],
  ["Fixes", FIX_INVARIANTS],
  ["Calls", CALL_INVARIANTS],
  ["Breakers", BREAKER_INVARIANTS],
  ["Tokens and holds", LIMIT_INVARIANTS],
  ["What daemons remember", STATE_INVARIANTS],
  ["What is derived", DERIVED_INVARIANTS],
];

export const INVARIANTS: readonly Invariant[] = INVARIANT_GROUPS.flatMap(([, invariants]) => invariants);
