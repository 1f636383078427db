/** Tables for the pages in `docs/`, made from the schemas, the catalogue and the error codes. @module */

import { ERROR_CODES } from "../../lib/errors.js";
import {
  END_REASONS,
  ENDING_GATES,
  EVENT_LOGS,
  EVENTS,
  type EventLog,
  FIX_GATES,
  type GateEntry,
  PATTERN_GATES,
  PROBATION_GATES,
  RESTART_GATES,
  VERDICT_GATES,
  WORKER_STATES,
} from "../../lib/schema/catalogue.js";
import { type Field, fieldsOf, type JsonSchema } from "../../lib/schema/json-schema.js";
import { INVARIANT_GROUPS } from "../fsck/invariants.js";

/** The fields of a record: name, type, sentence. */
export function fieldTable(schema: JsonSchema): string {
  const rows = fieldsOf(schema).map((field) => [
    `\`${field.path}\`${isRequired(field) ? " \\*" : ""}`,
    field.type,
    field.sentence,
  ]);
  return `${table(["Field", "Type", "What it is"], rows)}\n\\* required; every other field may be missing or null.\n`;
}

/** A field of a list's alternatives is required in one of them only. */
function isRequired(field: Field): boolean {
  return field.required && !field.path.startsWith("requires[]");
}

const REMARKS = new Set(["$schema", "version", "description", "last_updated", "observability", "comment"]);

/** The keys of a policy: name, type, default, sentence. `overrides` has the same keys again. */
export function policyTable(schema: JsonSchema): string {
  const fields = byPath(fieldsOf(schema)).filter(
    (field) => !REMARKS.has(field.path) && !field.path.startsWith("overrides."),
  );
  const rows = fields.map((field) => [
    `\`${field.path}\`${field.required ? " \\*" : ""}`,
    field.type,
    defaultOf(field),
    field.sentence,
  ]);
  const note = fields.some(({ required }) => required) ? "\n\\* required, within the block that it belongs to.\n" : "";
  return `${table(["Key", "Type", "Default", "What it is"], rows)}${note}`;
}

/** A key that several alternatives have, such as an action's `type`, once, with all its types. */
function byPath(fields: readonly Field[]): Field[] {
  const found = new Map<string, Field>();
  for (const field of fields) {
    const known = found.get(field.path);
    const types = known === undefined ? [field.type] : [...new Set([...known.type.split(" or "), field.type])];
    found.set(field.path, known === undefined ? field : { ...known, type: types.join(" or ") });
  }
  return [...found.values()];
}

function defaultOf(field: Field): string {
  if (field.default === undefined) return "";
  return `\`${JSON.stringify(field.default)}\``;
}

/** One table for each event log. */
export function eventTables(): string {
  return (Object.keys(EVENT_LOGS) as EventLog[])
    .map((log) => {
      const rows = Object.entries(EVENTS)
        .filter(([, entry]) => entry.log === log)
        .map(([type, entry]) => [`\`${type}\``, entry.severity, entry.incident, entry.sentence]);
      return `### \`events/${EVENT_LOGS[log]}\`\n\n${table(["Event", "Severity", "Incident", "What it says"], rows)}`;
    })
    .join("\n");
}

/** Every error code with its sentence. */
export function errorTable(): string {
  return table(
    ["Code", "What it means"],
    Object.entries(ERROR_CODES).map(([code, sentence]) => [`\`${code}\``, sentence]),
  );
}

/** One table of `heald fsck` for each group of invariants. */
export function invariantTables(): string {
  return INVARIANT_GROUPS.map(([group, invariants]) => {
    const rows = invariants.map(({ name, severity, sentence, repair }) => [`\`${name}\``, severity, sentence, repair]);
    return `### ${group}\n\n${table(["Invariant", "Severity", "What is so", "`--repair`"], rows)}`;
  }).join("\n");
}

const WORDS: Readonly<Record<string, readonly [heading: string, words: Readonly<Record<string, string>>]>> = {
  states: ["State", WORKER_STATES],
  "end-reasons": ["Reason", END_REASONS],
  gates: ["Gate", sentencesOf({ ...RESTART_GATES, before_restart: PROBATION_GATES.before_restart })],
};

function sentencesOf(gates: Readonly<Record<string, GateEntry>>): Record<string, string> {
  return Object.fromEntries(Object.entries(gates).map(([name, { sentence }]) => [name, sentence]));
}

/** Every gate with what would have to change for it. */
export function remedyTable(): string {
  const groups: readonly (readonly [string, Readonly<Record<string, GateEntry>>])[] = [
    ["heartbeat-monitor", ENDING_GATES],
    ["worker-restart", { ...RESTART_GATES, ...PROBATION_GATES }],
    ["failure-pattern", PATTERN_GATES],
    ["auto-fix", { ...FIX_GATES, ...VERDICT_GATES }],
  ];
  return groups
    .map(([daemon, gates]) => {
      const rows = Object.entries(gates).map(([name, { sentence, remedy }]) => [`\`${name}\``, sentence, remedy]);
      return `### ${daemon}\n\n${table(["Gate", "Passes when", "Else it needs"], rows)}`;
    })
    .join("\n");
}

/** A vocabulary of the catalogue: word and sentence. */
export function wordTable(which: string): string {
  const [heading, words] = WORDS[which] ?? [];
  if (heading === undefined || words === undefined)
    throw new Error(`Cannot list "${which}": the catalogue has no such words`);
  return table(
    [heading, "What it means"],
    Object.entries(words).map(([word, sentence]) => [`\`${word}\``, sentence]),
  );
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return `${[line(headings), `|${"---|".repeat(headings.length)}`, ...rows.map(line)].join("\n")}\n`;
}
