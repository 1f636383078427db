/** Invariants of decision records. @module */
import type { Invariant } from "./finding.js";

export const DECISION_INVARIANTS: readonly Invariant[] = [
  {
    name: "decisions-once",
    sentence: "Every decision is recorded once.",
    severity: "wrong",
    repair: "",
    check: ({ decisionRepeats }) =>
      decisionRepeats.map(({ daemon, id }) => ({
        about: id,
        message: `is more than once in the decisions of ${daemon}`,
      })),
  },
  {
    name: "decisions-have-policies",
    sentence: "The policy text that a decision names is there, and is the one that was in force.",
    severity: "wrong",
    repair: "",
    check: ({ policiesNamed, policyTexts }) =>
      [...policiesNamed].flatMap(([hash, decision]) => {
        const about = `decisions/policies/${hash}.json`;
        const found = policyTexts.get(hash);
        if (found === undefined) return [{ about, message: `is not there; decision ${decision} names it` }];
        return found === hash ? [] : [{ about, message: `is another text than the one that was in force: ${found}` }];
      }),
  },
];
