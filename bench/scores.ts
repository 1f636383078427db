/** The measures of log parsing, as the literature defines them. @module */

export interface Labelled {
  readonly content: string;
  readonly eventId: string;
  readonly template: string;
}

export interface Scores {
  /** Grouping accuracy: share of lines whose predicted group is exactly the set of lines of their event. */
  readonly ga: number;
  /** F1 of groups: precision over the predicted groups, recall over the events, a group being right if its lines are. */
  readonly fga: number;
  /** F1 of templates: as `fga`, and the template must equal the label after Khan's corrections of both. */
  readonly fta: number;
  /** The same with no corrections but runs of spaces. */
  readonly fta_exact: number;
}

/**
 * Scores predictions against labels.
 *
 * @see https://doi.org/10.1109/ICSE-SEIP.2019.00021 Zhu et al.: grouping accuracy
 * @see https://doi.org/10.1145/3510003.3510101 Khan et al.: template accuracy, and the corrections
 */
export function score(
  rows: readonly Labelled[],
  predicted: readonly { readonly id: string; readonly template: string }[],
): Scores {
  const truth = linesBy(rows.map((row) => row.eventId));
  const groups = linesBy(predicted.map((group) => group.id));
  let rightLines = 0;
  let rightGroups = 0;
  let rightTemplates = 0;
  let exactTemplates = 0;
  for (const lines of groups.values()) {
    const first = lines[0] as number;
    const label = rows[first] as Labelled;
    const event = truth.get(label.eventId) as readonly number[];
    if (event.length !== lines.length || lines.some((line) => rows[line]?.eventId !== label.eventId)) continue;
    rightLines += lines.length;
    rightGroups += 1;
    const template = predicted[first]?.template ?? "";
    if (corrected(template) === corrected(label.template)) rightTemplates += 1;
    if (spaced(template) === spaced(label.template)) exactTemplates += 1;
  }
  const f1 = (right: number): number => (2 * right) / (groups.size + truth.size);
  return { ga: rightLines / rows.length, fga: f1(rightGroups), fta: f1(rightTemplates), fta_exact: f1(exactTemplates) };
}

function linesBy(ids: readonly string[]): Map<string, number[]> {
  const lines = new Map<string, number[]>();
  for (const [line, id] of ids.entries()) {
    const found = lines.get(id);
    if (found === undefined) lines.set(id, [line]);
    else found.push(line);
  }
  return lines;
}

function spaced(template: string): string {
  return template.trim().replace(/\s+/g, " ");
}

const PATH_BREAKS = /([\s,!;:=|"'[\](){}])/;
const WORD_BREAKS = /([\s,!;:=|"'[\](){}.\-+@#$%&])/;
const STANDING = new Set(["true", "false", "null", "root", "admin"]);
const JOINED = ["<*>:<*>", "<*>#<*>", "<*>/<*>", "<*>@<*>", "<*>.<*>", "<*><*>"];

/**
 * Brings a template into the form in which labels of different hands agree: paths, numbers, truths and words that hold a
 * wildcard become one, joined wildcards become one.
 */
export function corrected(template: string): string {
  const paths = spaced(template)
    .split(PATH_BREAKS)
    .map((token) => (/^(\/[^/]+)+$/.test(token) ? "<*>" : token))
    .join("");
  let text = paths
    .split(WORD_BREAKS)
    .map((token) => {
      if (STANDING.has(token.toLowerCase()) || /^\d+$/.test(token)) return "<*>";
      return /^[^\s/]*<\*>[^\s/]*$/.test(token) && token !== "<*>/<*>" ? "<*>" : token;
    })
    .join("");
  for (let before = ""; before !== text; ) {
    before = text;
    for (const joined of JOINED) text = text.replaceAll(joined, "<*>");
    text = text.replaceAll(" #<*> ", " <*> ").replaceAll(' "<*>" ', " <*> ").replaceAll(" '<*>' ", " <*> ");
  }
  return text;
}
