/** `heald backtest`: what another policy would have done with the recorded history. @module */
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { ConfigurationError, NotFound, Refused, UsageError } from "../../lib/errors.js";
import type { Policy } from "../../lib/schema/policy.js";
import { DAEMONS } from "../../lib/schema/records.js";
import { runBacktest } from "../backtest/run.js";
import { JUDGED, NOT_JUDGED } from "../backtest/subject.js";
import { jsonOf, tellBacktest } from "../backtest/tell.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption, secondsOption, textOption } from "../options.js";
import { policyNamed, readPolicyFile } from "../policies.js";
import { printJson } from "../screen.js";

const WEEK_SECONDS = 7 * 86_400;

export const command: CommandDefinition = {
  summary: "what another policy would have done with the recorded history",
  description: `Each recorded decision is computed again under the policy, up to where a worker's ways part and not past it. Judges ${Object.keys(JUDGED).join(", ")}; the daemon is known by the file's name, or by --daemon. Changes nothing. A policy that asks for more than was recorded is refused (exit 4), and so is an unsound one (exit 78).`,
  options: [
    { flags: "--policy <file>", description: "the policy to judge" },
    { flags: "--daemon <name>", description: "whose policy it is, whatever the file's name" },
    { flags: "--since <duration>", description: "how far back, such as 24h (default: 7d)" },
    JSON_OPTION,
  ],
  examples: [
    "heald backtest --policy /tmp/worker-restart-policy.json",
    "heald backtest --policy next.json --daemon heartbeat-monitor --since 24h",
    "heald backtest --policy next.json --daemon auto-fix --json | jq '.changes[] | {change, act, times}'",
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const layout = readHome(call);
  const file = textOption(call.options, "policy");
  if (file === undefined) throw new UsageError("Name the policy to judge with --policy <file>");
  const path = resolve(file);
  const name = nameOf(path, textOption(call.options, "daemon"));
  const policy = await soundPolicy(name, path);
  const since = secondsOption(call.options, "since", "--since") ?? WEEK_SECONDS;
  const nowMs = Date.now();
  const report = await runBacktest(layout, name, policy, nowMs - since * 1000, nowMs);
  if (flagOption(call.options, "json")) printJson(jsonOf(report));
  else tellBacktest(report);
  return 0;
}

/** The policy that a file is, by its name or by the daemon it is said to be for. */
function nameOf(path: string, daemon: string | undefined): string {
  if (daemon !== undefined && !(DAEMONS as readonly string[]).includes(daemon))
    throw new UsageError(`--daemon must be one of ${DAEMONS.join(", ")}, got ${JSON.stringify(daemon)}`);
  const byFile = policyNamed(path);
  const ofDaemon = Object.keys(JUDGED).find((each) => JUDGED[each] === daemon);
  const name = byFile !== null && (daemon === undefined || JUDGED[byFile] === daemon) ? byFile : ofDaemon;
  if (name === undefined || name === null)
    throw new UsageError(
      `Cannot tell whose policy ${JSON.stringify(basename(path))} is: name the daemon with --daemon ${DAEMONS.join("|")}`,
    );
  refuseUnjudged(name);
  return name;
}

/** @throws {Refused} If a backtest has nothing to say about policies of that name. */
export function refuseUnjudged(name: string): void {
  if (Object.hasOwn(JUDGED, name)) return;
  throw new Refused(`Cannot backtest ${name}: ${NOT_JUDGED[name] ?? "no recorded decision depends on it"}`);
}

/** @throws {NotFound} If there is no such file. @throws {ConfigurationError} If its daemon would refuse it. */
export async function soundPolicy(name: string, path: string): Promise<Policy<unknown>> {
  if (!existsSync(path)) throw new NotFound(`No file ${JSON.stringify(path)}`);
  const outcome = await readPolicyFile(name, path);
  if (outcome.kind === "bad") throw new ConfigurationError(outcome.sentence);
  return outcome.policy;
}
