/** `heald fsck`: whether everything in the coordination directory fits together, and what can be mended. @module */
import { Refused } from "../../lib/errors.js";
import type { Layout } from "../../lib/store/layout.js";
import { confirm } from "../ask.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { type Examination, examineHome, type HowToLook, OUTCOME_SECONDS, SETTLE_SECONDS } from "../fsck/examine.js";
import type { Finding, Severity } from "../fsck/finding.js";
import { INVARIANTS } from "../fsck/invariants.js";
import { type Planned, planOf } from "../fsck/plan.js";
import { carryOut, type Done } from "../fsck/repair.js";
import { readHome } from "../home.js";
import { flagOption, secondsOption } from "../options.js";
import { type Colour, columns, paint, print, printJson, wrap } from "../screen.js";

export const command: CommandDefinition = {
  summary: "check that everything in the home fits together",
  description:
    "Checks every invariant of the coordination directory (docs/fsck.md), with daemons running or not, and changes nothing. It looks twice at what seems broken. With --repair it shows what it would repair and asks; it does only what cannot lose information. Exit code 1 if anything is wrong or left over; notes alone exit 0. To check the host and the installation, use heald doctor.",
  options: [
    { flags: "--repair", description: "show a plan, ask, and carry it out" },
    { flags: "--yes", description: "with --repair: do not ask" },
    { flags: "--settle <duration>", description: `wait so long before the second look (default ${SETTLE_SECONDS}s)` },
    {
      flags: "--within <duration>",
      description: `within how long a death must have an outcome (default ${OUTCOME_SECONDS}s)`,
    },
    { flags: "--once", description: "look once only; for a home in which nothing runs" },
    { flags: "--list", description: "list the invariants" },
    JSON_OPTION,
  ],
  examples: [
    "heald fsck",
    "heald fsck --json | jq '.findings[] | select(.severity == \"wrong\")'",
    "heald fsck --repair",
  ],
  run,
};

const COLOURS: Readonly<Record<Severity, Colour>> = { wrong: "red", warning: "yellow", note: "dim" };
/** Of one invariant; the rest is counted. `--json` has all. */
const SHOWN_MAX = 20;

async function run(call: Call): Promise<number> {
  const json = flagOption(call.options, "json");
  if (flagOption(call.options, "list")) return list(json);
  const layout = readHome(call);
  const how = {
    settleSeconds: flagOption(call.options, "once")
      ? 0
      : (secondsOption(call.options, "settle", "--settle") ?? SETTLE_SECONDS),
    outcomeSeconds: secondsOption(call.options, "within", "--within") ?? OUTCOME_SECONDS,
  };
  const found = await examineHome(layout, how);
  if (flagOption(call.options, "repair")) return repair(layout, found, how, call);
  if (json) printJson(documentOf(found));
  else show(found);
  return codeOf(found.findings);
}

function list(json: boolean): number {
  const all = INVARIANTS.map(({ name, sentence, severity, repair }) => ({ name, severity, sentence, repair }));
  if (json) printJson(all);
  else for (const { name, sentence } of all) tell(name, sentence);
  return 0;
}

async function repair(layout: Layout, found: Examination, how: HowToLook, call: Call): Promise<number> {
  const json = flagOption(call.options, "json");
  refuseStrangers(found);
  const plan = planOf(found.findings);
  if (!json) {
    show(found);
    showPlan(plan);
  }
  if (plan.length === 0) {
    if (json) printJson({ ...documentOf(found), plan: [], done: [], left: found.findings.map(plain) });
    return codeOf(found.findings);
  }
  if (!flagOption(call.options, "yes")) {
    if (json) {
      printJson({ ...documentOf(found), plan: plan.map(planned), done: [], left: found.findings.map(plain) });
      throw new Refused("Refused to repair without --yes");
    }
    await confirm(`Carry out ${plan.length === 1 ? "this repair" : `these ${plan.length} repairs`}?`, "repair");
  }
  const done = await carryOut(layout, plan, found.facts);
  const after = await examineHome(layout, how);
  if (json)
    printJson({
      ...documentOf(found),
      plan: plan.map(planned),
      done: done.map((each) => ({ ...planned(each.planned), outcome: each.outcome, message: each.message })),
      left: after.findings.map(plain),
    });
  else {
    showDone(done);
    print();
    show(after);
  }
  return codeOf(after.findings);
}

/** What a stranger writes, its daemons could not read or would not believe. @throws {Refused} */
function refuseStrangers({ facts }: Examination): void {
  if (!facts.isOurs) throw new Refused("Cannot repair this home: it belongs to another host");
  if (facts.ownerUid !== process.geteuid?.())
    throw new Refused(`Cannot repair this home: it belongs to user ${facts.ownerUid}; run this as that user`);
}

const planned = ({ repair, about, sentence, owner }: Planned) => ({
  about,
  kind: repair.kind,
  path: repair.path,
  sentence,
  owner,
});

const plain = ({ invariant, severity, about, message, repair }: Finding) => ({
  invariant,
  severity,
  about,
  message,
  repair: repair?.kind ?? null,
});

function documentOf({ findings, facts, looks }: Examination) {
  return {
    ok: codeOf(findings) === 0,
    invariants: INVARIANTS.length,
    looks,
    running: [...facts.running],
    findings: findings.map(plain),
  };
}

function codeOf(findings: readonly Finding[]): number {
  return findings.some(({ severity }) => severity !== "note") ? 1 : 0;
}

function show({ findings, facts }: Examination): void {
  if (!facts.isOurs)
    print(paint("yellow", "This home belongs to another host: what its processes do is not judged here."));
  for (const { name } of INVARIANTS) {
    const found = findings.filter(({ invariant }) => invariant === name);
    for (const { severity, about, message } of found.slice(0, SHOWN_MAX))
      tell(paint(COLOURS[severity], severity.padEnd(7)), `${name}: ${about} ${message}`);
    if (found.length > SHOWN_MAX) print(`         ${name}: ${found.length - SHOWN_MAX} more (--json has all)`);
  }
  const counts = (["wrong", "warning", "note"] as const)
    .map((severity) => [severity, findings.filter((each) => each.severity === severity).length] as const)
    .flatMap(([severity, count]) => (count === 0 ? [] : [`${count} ${severity}`]));
  const lines = facts.logs.reduce((sum, log) => sum + log.lines, 0);
  const extent = `${INVARIANTS.length} invariants over ${facts.entries.length} files and ${lines} lines`;
  print(counts.length === 0 ? `Sound: ${extent} hold.` : `${counts.join(", ")}; ${extent}.`);
}

function showPlan(plan: readonly Planned[]): void {
  print();
  if (plan.length === 0) return print("There is nothing that can be mended without losing something.");
  print("Plan:");
  for (const { about, sentence, owner } of plan)
    tell("  -", `${about}: ${sentence}${owner === null ? "" : ` (${owner} must be down)`}`, "     ");
}

function showDone(done: readonly Done[]): void {
  for (const { planned: of, outcome, message } of done)
    tell(
      paint(outcome === "done" ? "green" : "yellow", outcome.replace("_", " ").padEnd(10)),
      `${of.about}${message === "" ? "" : `: ${message}`}`,
    );
}

/** A mark, and a sentence that is wrapped beside it. */
function tell(mark: string, sentence: string, indent = "         "): void {
  const width = columns();
  const line = `${mark}  ${sentence}`;
  print(width === null ? line : wrap(line, width, indent));
}
