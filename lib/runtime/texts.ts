/**
 * Writes what a daemon journals and what it records of a decision, each part of the state once.
 *
 * A part that a decision changed is written into the journal; the next decision reads it, and has it in its slice, which stands in the
 * journal and in the decision record, as what its gates said does. The parts of a core are never changed in place, so that their texts can be kept.
 *
 * @module
 */
import type { JournalEntry } from "./journal.js";
import type { DecisionEffect } from "./loop.js";

/** What a decision record shares with the effect that it is made of. */
type Recorded = Pick<DecisionEffect, "slice" | "event"> & Pick<DecisionEffect["draft"], "gates">;

/** Texts that are kept: a few decisions' worth, whatever the size of the fleet. */
const TEXTS_MAX = 32;
const texts = new Map<object, string>();

/** The JSON of a part, of a slice's member or of an event; undefined for what JSON leaves out. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const known = texts.get(value);
  if (known !== undefined) return known;
  const text = JSON.stringify(value);
  if (texts.size >= TEXTS_MAX) texts.delete(texts.keys().next().value as object);
  texts.set(value, text);
  return text;
}

/** The JSON of an object whose members are written once. */
function membersOf(value: Readonly<Record<string, unknown>>): string {
  const members: string[] = [];
  for (const key of Object.keys(value)) {
    const text = textOf(value[key]);
    if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${members.join(",")}}`;
}

/** The JSON of an object in which some fields are written already. */
function withTexts(value: object, written: Readonly<Record<string, string | undefined>>): string {
  const members: string[] = [];
  for (const [key, inner] of Object.entries(value)) {
    const text = Object.hasOwn(written, key) ? written[key] : JSON.stringify(inner);
    if (text !== undefined) members.push(`"${key}":${text}`);
  }
  return `{${members.join(",")}}`;
}

/** A journal's line: exactly what `JSON.stringify` makes of the entry. */
export function textOfEntry(entry: JournalEntry): string {
  const effects = entry.effects.map((effect) =>
    effect.kind === "decision" ? decisionText(effect) : JSON.stringify(effect),
  );
  return withTexts(entry, { parts: membersOf(entry.parts), effects: `[${effects.join(",")}]` });
}

function decisionText(effect: object): string {
  const { draft, slice, event } = effect as DecisionEffect;
  const drafted = withTexts(draft, { gates: textOf(draft.gates) });
  return withTexts(effect, { draft: drafted, slice: membersOf(slice), event: textOf(event) });
}

/** A decision record's line: exactly what `JSON.stringify` makes of it. */
export function textOfDecision(record: Recorded): string {
  const { slice, event, gates } = record;
  return withTexts(record, { slice: membersOf(slice), event: textOf(event), gates: textOf(gates) });
}
