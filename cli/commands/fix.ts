/** `heald fix`: fixes that wait for a person, and those that were applied. @module */
import { join } from "node:path";
import { NotFound, Refused } from "../../lib/errors.js";
import { utc } from "../../lib/platform/clock.js";
import { createExclusive, moveExclusive, readSmall } from "../../lib/platform/files.js";
import { isId } from "../../lib/schema/primitives.js";
import { jsonNamesIn } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { whyNotJson } from "../../lib/store/records.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { changesOf, isFinal, printFix, stateOf, undoWordsOf } from "../fix-words.js";
import { type Folders, openForWriting, readHome } from "../home.js";
import { flagOption } from "../options.js";
import { person } from "../person.js";
import { type Json, textIn } from "../records.js";
import { daemonState } from "../running.js";
import { note, print, printJson, printTable } from "../screen.js";
import { until } from "../times.js";

const FOLDERS = ["pending", "approved", "rejected", "runs"] as const;
type Folder = (typeof FOLDERS)[number];
const FIX_BYTES_MAX = 1024 * 1024;

const ARGUMENT = { arguments: "<id>" };

export const command: CommandDefinition = {
  summary: "fixes that wait for a person, and fixes applied",
  description:
    "A proposal is a file in coordination/auto-fix/pending/; move it to approved/ to approve it, by command or with mv.",
  examples: ["heald fix ls", "heald fix show run-7", "heald fix approve run-7"],
  verbs: {
    ls: {
      summary: "list proposals and runs",
      options: [JSON_OPTION],
      examples: ["heald fix ls", "heald fix ls --json | jq '.[] | select(.where == \"pending\")'"],
      run: list,
    },
    show: {
      ...ARGUMENT,
      summary: "one proposal or run, whole",
      options: [JSON_OPTION],
      examples: ["heald fix show run-7"],
      run: showOne,
    },
    approve: {
      ...ARGUMENT,
      summary: "approve a proposal; every gate is asked again when it is applied",
      examples: ["heald fix approve run-7"],
      run: (call) => decide(call, "approved"),
    },
    reject: {
      ...ARGUMENT,
      summary: "reject a proposal",
      examples: ["heald fix reject run-7"],
      run: (call) => decide(call, "rejected"),
    },
    undo: {
      ...ARGUMENT,
      summary: "take a fix back, field by field, where nobody else has changed it since",
      description: "Asks auto-fix for it, by a file in coordination/auto-fix/undo/. What cannot be taken back is said.",
      examples: ["heald fix undo run-7"],
      run: undo,
    },
    resume: {
      summary: "let auto-fix go on after it has stopped itself",
      description: "auto-fix applies nothing more when half of its last fixes did not help, until a person says so.",
      examples: ["heald fix resume"],
      run: resume,
    },
  },
};

interface Found {
  readonly where: Folder;
  readonly name: string;
  readonly record: Json;
  /** Why it cannot be read; null where it can. */
  readonly fault: string | null;
}

function list(call: Call): undefined {
  const layout = readHome(call);
  const nowMs = Date.now();
  const answered = FOLDERS.filter((where) => where !== "runs").flatMap((where) => inFolder(layout, where));
  const waiting = new Set(answered.filter((each) => each.where === "pending").map((each) => each.name));
  const runs = inFolder(layout, "runs").filter((each) => !waiting.has(each.name));
  // What was approved and carried out is one thing, and shown as the run that it is.
  const known = new Set(runs.map((each) => each.name));
  const all = [...answered.filter((each) => !known.has(each.name)), ...runs];
  if (flagOption(call.options, "json")) printJson(all.map(({ where, name, record }) => ({ where, name, ...record })));
  else if (all.length === 0) print("No fixes: none is proposed and none was applied.");
  else
    printTable(
      ["FIX", "WHERE", "FOR", "RISK", "EXPIRES"],
      all.map(({ where, name, record, fault }) => [
        name,
        fault !== null ? "unreadable" : where === "runs" ? stateOf(record) : where,
        textIn(record, "scope") ?? textIn(record, "subject") ?? "-",
        textIn(record, "risk") ?? "-",
        where === "pending" && fault === null ? until(record.expires_at, nowMs) : "-",
      ]),
      all.map(({ record }) => aboutOf(record)),
    );
}

function showOne(call: Call): undefined {
  const found = find(readHome(call), call.args[0] as string);
  if (flagOption(call.options, "json")) {
    printJson({ where: found.where, name: found.name, ...found.record });
    return;
  }
  printFix(found.name, found.where, found.record, Date.now(), found.fault === null);
}

/** What it changes, and for what. */
function aboutOf(record: Json): string {
  const what = changesOf(record).join(", ");
  const why = textIn(record, "why") ?? textIn(record, "message") ?? "";
  return what === "" ? why : `${what}: ${why}`;
}

/** A move, as an operator's `mv` would do it; one of two that decide at once is told that it was late. */
function decide(call: Call, to: "approved" | "rejected"): undefined {
  const layout = openForWriting(call, ({ autoFixDir }) => [join(autoFixDir, to)]);
  const found = find(layout, call.args[0] as string);
  if (found.where !== "pending") throw new Refused(`${found.name} does not wait any more: it is in ${found.where}/`);
  if (found.fault !== null && to === "approved") throw new Refused(`Cannot approve ${found.name}: ${found.fault}`);
  const path = (folder: Folder): string => join(layout.autoFixDir, folder, `${found.name}.json`);
  if (!moveExclusive(path("pending"), path(to)))
    throw new Refused(`Cannot move ${found.name}: ${to}/ holds another of its name`);
  print(`${found.name}  ${to}`);
  if (!daemonState(layout, "auto-fix").running)
    note("auto-fix does not run: nothing happens until heald daemons start");
}

function undo(call: Call): undefined {
  const layout = openForWriting(call, undoFolder);
  const name = (call.args[0] as string).replace(/\.json$/, "");
  const run = isId(name) ? inFolder(layout, "runs").find((each) => each.name === name) : undefined;
  if (run === undefined) {
    const found = find(layout, name);
    throw new Refused(`${found.name} was not applied: it is in ${found.where}/`);
  }
  const undone = textIn(run.record, "undo_reason");
  if (undone !== null) throw new Refused(`${name} is undone already: ${undone}`);
  if (run.record.applied_at == null) throw new Refused(`${name} was not applied: ${stateOf(run.record)}`);
  if (isFinal(run.record)) throw new Refused(`Cannot undo ${name}: ${undoWordsOf(run.record).join("; ")}`);
  if (!ask(layout, name)) throw new Refused(`${name} is to be undone already`);
  print(`${name}  is to be undone; see heald fix show ${name}`);
}

function resume(call: Call): undefined {
  ask(openForWriting(call, undoFolder), "resume");
  print("auto-fix goes on");
}

const undoFolder: Folders = ({ autoFixDir }) => [join(autoFixDir, "undo")];

/** Asks auto-fix by a file, as a person with an editor would. */
function ask(layout: Layout, name: string): boolean {
  const path = join(layout.autoFixDir, "undo", `${name}.json`);
  const asked = createExclusive(path, `${JSON.stringify({ by: person(), at: utc(Date.now()) })}\n`, { sync: true });
  if (!daemonState(layout, "auto-fix").running)
    note("auto-fix does not run: nothing happens until heald daemons start");
  return asked;
}

function find(layout: Layout, text: string): Found {
  const name = text.replace(/\.json$/, "");
  const found = FOLDERS.flatMap((where) => inFolder(layout, where)).find((each) => isId(name) && each.name === name);
  if (found === undefined) throw new NotFound(`No fix ${JSON.stringify(name)}: see heald fix ls`);
  return found;
}

function inFolder(layout: Layout, where: Folder): Found[] {
  const folder = join(layout.autoFixDir, where);
  return jsonNamesIn(folder).map((name) => ({
    where,
    name: name.replace(/\.json$/, ""),
    ...readFix(join(folder, name)),
  }));
}

/** A proposal that cannot be read is listed all the same, with what is wrong with it. */
function readFix(path: string): Pick<Found, "record" | "fault"> {
  const unreadable = (why: string) => ({ record: { message: `it cannot be read: ${why}` }, fault: why });
  let text = "";
  try {
    text = readSmall(path, { maxBytes: FIX_BYTES_MAX })?.text ?? "null";
    const json: unknown = JSON.parse(text);
    if (typeof json !== "object" || json === null || Array.isArray(json)) return unreadable("it is not a JSON object");
    return { record: json as Json, fault: null };
  } catch (error) {
    if (error instanceof SyntaxError) return unreadable(whyNotJson(text));
    return unreadable(error instanceof Error ? error.message : String(error));
  }
}
