/** A worker that leaks cannot be helped by a higher limit: that is found out, undone, and told to a person. @module */
import { existsSync, readFileSync } from "node:fs";
import type { Told } from "../shared/chronicle.js";
import type { Example, Finding, World } from "../shared/example.js";
import { diffOf, exactly, fixEvents, templateValue, verdicts } from "../shared/healing.js";
import { shortPolicies } from "../shared/policies.js";
import { writePolicies, writeTemplates } from "../shared/stage.js";
import { nodeTemplate } from "../shared/templates.js";

const FIX = "increase-memory-limit";
const TYPE = "index-worker";
const IDS = ["index-1", "index-2"] as const;
const LIMIT_MB = 100;
const FIELD = "resources.memory_limit_mb";
const WINDOW_SECONDS = 12;

export const example: Example = {
  name: "2-true-leak",
  title: "a leak is no small limit: two tries, both undone, and a person is called",
  prepare: (stage) => {
    writePolicies(
      stage,
      shortPolicies({
        // Its workers come back as long as the example lasts: what is to be seen is the fix.
        "worker-restart-policy": {
          ...{ max_retries: 100, circuit_breaker_enabled: false },
          restart_budgets: [{ max: 100, window_seconds: 3600 }],
          poison_task: { deaths: 0 },
        },
        "auto-fix-policy": { verification: { window_seconds: WINDOW_SECONDS, check_interval_seconds: 0.5 } },
      }),
    );
    writeTemplates(stage, {
      [TYPE]: nodeTemplate(new URL("./worker.js", import.meta.url), { resources: { memory_limit_mb: LIMIT_MB } }),
    });
  },
  play: async (world) => {
    const { fleet, say, until } = world;
    for (const id of IDS) await fleet.spawn({ id, type: TYPE, task: `shard-${id}` });
    say("fault", `two workers of ${TYPE} leak some 80 MiB a second; their limit is ${LIMIT_MB} MiB`);
    await until("a person is called", () => escalation(world) !== undefined, 75);
    await until("the message is delivered", () => judgeMessage(world).ok);
    say("demo", "what the person is told:");
    world.show(storyOf(escalation(world)));
  },
  outcomes: [
    {
      what: "the limit is raised",
      expected: "twice, from 100 to 150, each time for a trial",
      judge: (world) =>
        exactly(
          `${FIELD} 100 → 150; ${FIELD} 100 → 150`,
          fixEvents(world, FIX, "fix_applied").map(diffOf).join("; ") || "never",
        ),
    },
    {
      what: "its verdicts",
      expected: "ineffective, both times",
      judge: (world) => exactly("ineffective, ineffective", verdicts(world, FIX).join(", ") || "none"),
    },
    {
      what: "the template afterwards",
      expected: "as it was: undone twice, 100 MiB",
      judge: (world) => {
        const undone = fixEvents(world, FIX, "fix_undone").length;
        const now = templateValue(world, TYPE, FIELD);
        return { ok: undone === 2 && now === LIMIT_MB, happened: `undone ${undone} times; the template says ${now}` };
      },
    },
    {
      what: "a person",
      expected: "is called once: what was seen, tried, suggested, and what to run",
      judge: judgeCall,
    },
    {
      what: "the message to the person",
      expected: "stands in the notification log, which is a channel",
      judge: judgeMessage,
    },
  ],
  look: [
    "agents/logs/system/notifications.jsonl                   what the person was told",
    "coordination/auto-fix/runs/                              both runs: before, after, verdict, undo",
    "coordination/metrics/auto-fix-history.jsonl              their verdicts",
    "coordination/worker-specs/zombie/                        the last words of each attempt",
  ],
};

function escalation(world: World): Told | undefined {
  return fixEvents(world, FIX, "escalation_opened").at(0);
}

function storyOf(told: Told | undefined): string {
  const { seen, tried, suggested, command } = (told?.data ?? {}) as Record<string, unknown>;
  return [`seen:      ${seen}`, `tried:     ${String(tried)}`, `suggested: ${suggested}`, `command:   ${command}`].join(
    "\n",
  );
}

function judgeCall(world: World): Finding {
  const calls = fixEvents(world, FIX, "escalation_opened");
  const { seen, tried, suggested, command } = (calls[0]?.data ?? {}) as Record<string, unknown>;
  const isWhole = [seen, suggested, command].every((each) => typeof each === "string" && each !== "");
  const tells = Array.isArray(tried) && tried.join(" ").includes("ineffective");
  return {
    ok: calls.length === 1 && isWhole && tells,
    happened: `called ${calls.length} times; tried: ${String(tried)}; to run: ${command}`,
  };
}

function judgeMessage({ stage }: World): Finding {
  const path = stage.layout.notificationsLog;
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  const found = lines.filter((line) => line.includes("fix-") && line.includes("ineffective"));
  return { ok: found.length === 1, happened: `${found.length} messages with the whole story` };
}
