/** `heald breaker`: the circuit breakers of worker types. @module */
import { NotFound } from "../../lib/errors.js";
import { utc } from "../../lib/platform/clock.js";
import { BreakerStore } from "../../lib/store/breakers.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { openForWriting, readHome } from "../home.js";
import { checkedId, flagOption } from "../options.js";
import { paint, print, printJson, printTable } from "../screen.js";
import { age, until } from "../times.js";

export const command: CommandDefinition = {
  summary: "list and reset circuit breakers",
  examples: ["heald breaker ls", "heald breaker reset scan-worker"],
  verbs: {
    ls: {
      summary: "list the circuit breakers",
      options: [JSON_OPTION],
      examples: ["heald breaker ls", "heald breaker ls --json | jq '.[] | select(.state == \"open\")'"],
      run: list,
    },
    reset: {
      summary: "close the breaker of a worker type",
      description:
        "Restarts that wait for it go on, and failures before now count no more. worker-restart obeys at once.",
      arguments: "<type>",
      examples: ["heald breaker reset scan-worker"],
      run: reset,
    },
  },
};

function list(call: Call): undefined {
  const nowMs = Date.now();
  const store = new BreakerStore(readHome(call));
  const readings = store.list().map((type) => ({ type, reading: store.read(type, nowMs) }));
  const records = readings.flatMap(({ reading }) => (reading.kind === "ok" ? [reading.value] : []));
  if (flagOption(call.options, "json")) {
    printJson(records);
    return;
  }
  if (readings.length === 0) print("No circuit breakers: no restart of any type has failed.");
  else
    printTable(
      ["TYPE", "STATE", "FAILURES", "LAST FAILURE", "PROBE", "REASON"],
      readings.map(({ type, reading }) => {
        if (reading.kind !== "ok")
          return [type, "?", "-", "-", "-", reading.kind === "bad" ? reading.sentence : "half-written"];
        const { state, failure_count, last_failure, next_probe_at, reason } = reading.value;
        const shown = paint(state === "closed" ? "green" : state === "open" ? "red" : "yellow", state);
        return [
          type,
          shown,
          String(failure_count ?? 0),
          age(last_failure, nowMs),
          until(next_probe_at, nowMs),
          reason ?? "",
        ];
      }),
    );
}

function reset(call: Call): undefined {
  const type = checkedId(call.args[0] as string, "A worker type");
  const store = new BreakerStore(openForWriting(call));
  const reading = store.read(type);
  if (reading.kind === "absent")
    throw new NotFound(`No circuit breaker for ${JSON.stringify(type)}: see heald breaker ls`);
  store.write({
    worker_type: type,
    state: "closed",
    failure_count: 0,
    last_failure: null,
    last_reset: utc(Date.now()),
    manual_reset: true,
  });
  print(
    `${type}  closed${reading.kind === "ok" && reading.value.state === "closed" ? " (it was closed already)" : ""}`,
  );
}
