/** `heald policy`: is a policy sound, and what is in force. @module */
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { NotFound } from "../../lib/errors.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption } from "../options.js";
import { POLICY_NAMES, policyFilesOf, policyNamed, RULES_NAME, readPolicyFile, readRulesFile } from "../policies.js";
import { apply, LARGE_SUBJECTS } from "../policy-apply.js";
import { note, paint, print, printJson } from "../screen.js";

const EXIT_CONFIGURATION = 78;

export const command: CommandDefinition = {
  summary: "check policies, show what is in force, and put another in force",
  description: `Policies: ${POLICY_NAMES.join(", ")}.`,
  examples: ["heald policy check", "heald policy show heartbeat-policy"],
  verbs: {
    check: {
      summary: "check one policy file, or all of this home, and the examples of your failure rules",
      description: `Exits 78 if one would be refused. The policy is known by the file's name, or by --as. ${RULES_NAME}.json is checked too: each of its examples must go to its own rule.`,
      arguments: "[file]",
      options: [{ flags: "--as <policy>", description: "which policy it is, whatever the file's name" }, JSON_OPTION],
      examples: [
        "heald policy check",
        "heald policy check /tmp/heartbeat-policy.json && mv /tmp/heartbeat-policy.json coordination/config/",
      ],
      run: check,
    },
    show: {
      summary: "the policy in force, defaults filled in",
      arguments: "<name>",
      options: [JSON_OPTION],
      examples: [
        "heald policy show worker-restart-policy",
        "heald policy show heartbeat-policy --json | jq .settings.zombie_threshold_seconds",
      ],
      run: show,
    },
    apply: {
      summary: "show what a policy changes, and put it in force",
      description: `Shows the keys that differ, and what the policy would have done with the last 7 days (heald backtest). Asks when the difference is large: acts differ for ${LARGE_SUBJECTS} or more workers, a worker that went on would have been ended, or nothing recorded can tell. What was in force is kept in decisions/policies/, and the way back is printed. An unsound or unsafe file is refused (exit 78).`,
      arguments: "<file>",
      options: [
        { flags: "--as <policy>", description: "which policy it is, whatever the file's name" },
        { flags: "--yes", description: "do not ask, however large the difference is" },
        JSON_OPTION,
      ],
      examples: [
        "heald policy apply /tmp/heartbeat-policy.json",
        "heald policy apply next.json --as auto-fix-policy --yes",
      ],
      run: apply,
    },
  },
};

async function check(call: Call): Promise<number> {
  const results = [];
  for (const { name, path } of await filesToCheck(call))
    results.push({
      name,
      path,
      outcome: await (name === RULES_NAME ? readRulesFile(path) : readPolicyFile(name, path)),
    });
  if (flagOption(call.options, "json")) {
    printJson(
      results.map(({ name, path, outcome }) => ({
        policy: name,
        path,
        ok: outcome.kind === "good",
        ...(outcome.kind === "good" ? { notes: outcome.notes } : { problem: outcome.sentence }),
      })),
    );
  } else {
    for (const { name, path, outcome } of results) {
      if (outcome.kind === "bad") print(`${paint("red", "refused")}  ${outcome.sentence}`);
      else
        print(
          `${paint("green", "sound")}    ${outcome.isThere ? path : `${name}: no file, ${name === RULES_NAME ? "the shipped rules" : "the defaults"} are in force`}`,
        );
      for (const each of outcome.kind === "good" ? outcome.notes : []) print(`         ${each}`);
    }
  }
  return results.some(({ outcome }) => outcome.kind === "bad") ? EXIT_CONFIGURATION : 0;
}

async function filesToCheck(call: Call): Promise<{ readonly name: string; readonly path: string }[]> {
  const file = call.args[0];
  if (file === undefined) {
    const layout = readHome(call);
    return [...policyFilesOf(layout), { name: RULES_NAME, path: layout.config(RULES_NAME) }];
  }
  const path = resolve(file);
  if (!existsSync(path)) throw new NotFound(`No file ${JSON.stringify(path)}`);
  const wanted = typeof call.options.as === "string" ? call.options.as : file;
  return [{ name: basename(wanted, ".json") === RULES_NAME ? RULES_NAME : named(wanted), path }];
}

/** @throws {NotFound} If no policy has that name. */
function named(text: string): string {
  const name = policyNamed(text);
  if (name === null)
    throw new NotFound(`No policy is called ${JSON.stringify(text)}: there are ${POLICY_NAMES.join(", ")}`);
  return name;
}

async function show(call: Call): Promise<number> {
  const name = named(call.args[0] as string);
  const path = readHome(call).config(name);
  const outcome = await readPolicyFile(name, path);
  if (outcome.kind === "bad") {
    note(`${outcome.sentence}; a running daemon keeps the last good one`);
    return EXIT_CONFIGURATION;
  }
  const { settings, overrides } = outcome.policy;
  if (flagOption(call.options, "json")) {
    printJson({ policy: name, path: outcome.isThere ? path : null, settings, overrides, notes: outcome.notes });
    return 0;
  }
  print(`${name}  ${outcome.isThere ? path : "no file: the defaults"}`);
  print(JSON.stringify(settings, null, 2));
  for (const [type, own] of Object.entries(overrides)) print(`for ${type}: ${JSON.stringify(own, null, 2)}`);
  for (const each of outcome.notes) print(`note: ${each}`);
  return 0;
}
