/** Guarantee: a sound home has no finding, and a home in which exactly one thing is broken has exactly that finding. */
import {
  appendFileSync,
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { INVARIANTS } from "../../../cli/fsck/invariants.js";
import { BREAKER_CLOSED } from "../../../lib/domain/breaker-state.js";
import { writeInstant } from "../../../lib/schema/primitives.js";
import { age } from "../store/temporary-home.js";
import { INCIDENT, POLICY_HASH, RUN, SoundHome, THEN, TYPE, WORKER } from "./sound-home.js";

/** What is broken, the invariant that finds it, and what it says. */
type Breakage = readonly [
  sentence: string,
  invariant: string,
  breaks: (home: SoundHome) => void | Promise<void>,
  says: string | RegExp,
];

const subject = (attempt: number, more: object = {}) => ({
  worker_id: WORKER,
  worker_type: TYPE,
  attempt,
  incident_id: "inc-2",
  ...more,
});
const fix = { run_id: "run-2", fix_id: "fix-2", subject: "pattern-2", mode: "live" };
const DEAD_CLAIM = `${WORKER}-restart.1700000000000001.999999999-1-00000000.json`;
const request = { worker_id: WORKER, worker_type: TYPE };

const BREAKAGES: readonly Breakage[] = [
  ["there is no VERSION", "version", (home) => rmSync(home.layout.version), "VERSION it is not there"],
  ["VERSION is junk", "version", (home) => home.write("VERSION", "1"), "VERSION cannot be read: must be an object"],
  ["VERSION is newer", "version", (home) => home.write("VERSION", { format: 9, heald: "9.0.0" }), "VERSION format 9"],
  [
    "a link leads out of the home",
    "no-links",
    (home) => symlinkSync("/etc/passwd", home.at("worker-specs/active/else.txt")),
    "worker-specs/active/else.txt is a symbolic link",
  ],
  [
    "a file has a name that nobody reads",
    "names",
    (home) => home.write("worker-specs/zombie/scan-1.json", { worker_id: WORKER }),
    "worker-specs/zombie/scan-1.json has a name that nobody reads here",
  ],
  [
    "a folder can be written by others",
    "modes",
    (home) => chmodSync(home.layout.holdsDir, 0o777),
    "holds has mode 0777, others can write it; 0750 is enough",
  ],
  [
    "a folder has the place of a record",
    "names",
    (home) => mkdirSync(home.at("worker-specs/active/scan-9.json"), { mode: 0o750 }),
    "worker-specs/active/scan-9.json is a folder where files are read",
  ],
  [
    "a log can be read by others",
    "modes",
    (home) => chmodSync(home.layout.eventLog("heartbeat"), 0o644),
    "events/heartbeat-events.jsonl has mode 0644, others can read it; 0640 is enough",
  ],
  [
    "a killed writer left its temporary file",
    "no-temporaries",
    (home) => {
      home.write("circuit-breakers/.scan-worker.json.999999999.3.tmp", "{");
      age(home.at("circuit-breakers/.scan-worker.json.999999999.3.tmp"), 60);
    },
    "circuit-breakers/.scan-worker.json.999999999.3.tmp was left",
  ],
  [
    "a spec is not JSON",
    "records",
    (home) => home.write(`worker-specs/active/${WORKER}.json`, '{"worker_id": '),
    "worker-specs/active/scan-1.json cannot be read: line 1, column 15: not valid JSON",
  ],
  [
    "a field has another type",
    "records",
    (home) => home.change(`desired/${WORKER}.json`, { state: "asleep" }),
    /^desired\/scan-1.json cannot be read: state must be one of/,
  ],
  [
    "a spec is of another worker than its name says",
    "spec-names",
    (home) => home.change(`worker-specs/active/${WORKER}.json`, { worker_id: "scan-2" }),
    'worker-specs/active/scan-1.json its worker_id is "scan-2", not its file\'s',
  ],
  [
    "a zombie is of another attempt than its name says",
    "spec-names",
    (home) => home.change(`worker-specs/zombie/${WORKER}.attempt-1.json`, { attempt: 7 }),
    "worker-specs/zombie/scan-1.attempt-1.json its attempt is 7, its file's is 1",
  ],
  [
    "an attempt is active and a zombie",
    "one-place",
    (home) => home.specs.fileZombie({ worker_id: WORKER, attempt: 2 }, 2),
    "scan-1 #2 is in worker-specs/active/scan-1.json and in worker-specs/zombie/scan-1.attempt-2.json",
  ],
  [
    "an attempt has left no trace",
    "no-gaps",
    (home) => {
      home.change(`worker-specs/active/${WORKER}.json`, { attempt: 4 });
      for (const folder of ["launches"])
        renameSync(home.at(folder, `${WORKER}.attempt-2.json`), home.at(folder, `${WORKER}.attempt-4.json`));
      home.change(`launches/${WORKER}.attempt-4.json`, { attempt: 4 });
    },
    "scan-1 has no trace of attempt 2",
  ],
  [
    "a launch has no spec",
    "attempts-have-specs",
    (home) => home.write("launches/lost-1.attempt-1.json", { worker_id: "lost-1", attempt: 1 }),
    "lost-1 #1 has launches/lost-1.attempt-1.json, and no spec anywhere",
  ],
  [
    "an exit has no launch",
    "exits-have-launches",
    (home) => rmSync(home.at(`launches/${WORKER}.attempt-1.json`)),
    "scan-1 #1 has exits/scan-1.attempt-1.json, and no launch record",
  ],
  [
    "a request is done and still claimed",
    "one-request",
    (home) => {
      const [name = ""] = readdirSync(home.layout.doneDir);
      cpSync(join(home.layout.doneDir, name), join(home.layout.claimedDir, name));
    },
    /^restart\/claimed\/scan-1-restart\.\S+ is in restart\/claimed\/\S+ and in restart\/done\//,
  ],
  [
    "a request was moved halfway",
    "one-request",
    (home) => {
      home.write(`restart/queue/${WORKER}-restart.json`, request);
      linkSync(home.at(`restart/queue/${WORKER}-restart.json`), home.at(`restart/rejected/${WORKER}-restart.json`));
      home.write(`restart/rejected/${WORKER}-restart.json.why`, "no\n");
    },
    /^restart\/queue\/scan-1-restart.json is in restart\/queue\/\S+ and in restart\/rejected\//,
  ],
  [
    "a claimer is dead",
    "claims-have-owners",
    (home) => home.write(`restart/claimed/${DEAD_CLAIM}`, request),
    `restart/claimed/${DEAD_CLAIM} its claimer is dead`,
  ],
  [
    "a rejected request has no reason",
    "rejections-have-reasons",
    (home) => rmSync(home.at("restart/rejected/odd-restart.json.why")),
    "restart/rejected/odd-restart.json has no .why beside it",
  ],
  [
    "a log is a folder",
    "logs",
    (home) => {
      rmSync(home.layout.fixHistory);
      rmSync(home.at(`auto-fix/runs/${RUN}.json`));
      mkdirSync(home.layout.fixHistory, { mode: 0o750 });
    },
    /^metrics\/auto-fix-history.jsonl cannot be read: .* not a regular file/,
  ],
  [
    "a line is no event",
    "lines",
    (home) => appendFileSync(home.layout.eventLog("heartbeat"), "hello\n"),
    /^events\/heartbeat-events.jsonl 1 line is no record of it; the first, at byte \d+: it is no JSON object$/,
  ],
  [
    "a line was cut off and closed",
    "lines",
    (home) => appendFileSync(home.layout.eventLog("heartbeat"), '{"event_id":"a"\n'),
    /^events\/heartbeat-events.jsonl \(cut off\) 1 line is cut off by a writer that was killed, the first at byte \d+$/,
  ],
  [
    "a last line has no newline",
    "tails",
    (home) => appendFileSync(home.layout.eventLog("heartbeat"), '{"event_id":'),
    /^events\/heartbeat-events.jsonl its last line, from byte \d+, has no newline$/,
  ],
  [
    "an event is from the future",
    "order",
    (home) => home.event("heartbeat_missed", 3 * 86_400_000, { worker_id: "future-1" }),
    /^events\/heartbeat-events.jsonl the event at byte \d+ is more than a day in the future$/,
  ],
  [
    "an event stands in another's log",
    "event-logs",
    (home) =>
      appendFileSync(home.layout.eventLog("daemon"), `{"event_type":"zombie_detected","at_ms":${THEN}}\n`, {
        mode: 0o640,
      }),
    "events/daemon-events.jsonl has a zombie_detected at byte 0",
  ],
  [
    "two events have one id",
    "event-ids",
    (home) => {
      for (let times = 0; times < 2; times++)
        appendFileSync(home.layout.eventLog("heartbeat"), `{"event_id":"same","event_type":"note","at_ms":${THEN}}\n`);
    },
    "same is there more than once",
  ],
  [
    "a death is detected twice",
    "deaths-once",
    (home) => home.event("worker_exited", 1050, subject(1, { incident_id: INCIDENT })),
    "worker_exited of scan-1 #1, incident inc-1 is there more than once",
  ],
  [
    "an attempt is started twice",
    "starts-once",
    (home) => home.event("worker_restart_started", 1250, subject(2, { incident_id: INCIDENT })),
    "scan-1 #2, incident inc-1 is there more than once",
  ],
  [
    "a death has no outcome",
    "deaths-have-outcomes",
    (home) => {
      home.event("worker_exited", 9000, { ...subject(1), worker_id: "lost-1" });
      home.event("worker_restart_deferred", 9100, { ...subject(1), worker_id: "lost-1" });
    },
    "lost-1 #1 worker_exited (incident inc-2) was followed by nothing: its request, put off by a gate, is gone",
  ],
  [
    "the worker of an open incident is well",
    "incidents-resolve",
    (home) => home.event("heartbeat_timeout", 9000, subject(2)),
    "inc-2 was opened by a heartbeat_timeout of scan-1 and never closed; the worker is healthy",
  ],
  [
    "a decision is recorded twice",
    "decisions-once",
    (home) => home.decision("worker-restart", "decision-worker-restart"),
    "decision-worker-restart is more than once in the decisions of worker-restart",
  ],
  [
    "a policy text is gone",
    "decisions-have-policies",
    (home) => home.decision("auto-fix", "decision-2", "0123456789abcdef"),
    "decisions/policies/0123456789abcdef.json is not there; decision decision-2 names it",
  ],
  [
    "a policy text is another",
    "decisions-have-policies",
    (home) => home.write(`decisions/policies/${POLICY_HASH}.json`, '{"enabled":false}\n'),
    `decisions/policies/${POLICY_HASH}.json is another text`,
  ],
  [
    "nothing followed a match",
    "matches-have-outcomes",
    (home) => home.event("fix_matched", 9000, {}, fix),
    "run-2 fix-2 was matched for pattern-2, and nothing followed",
  ],
  [
    "a proposal is gone",
    "proposals-wait",
    (home) => home.event("fix_pending", 9000, {}, fix),
    "run-2 fix-2 was proposed; it neither waits nor has an answer",
  ],
  [
    "a proposal outlives its expiry",
    "proposals-expire",
    (home) => {
      home.write("auto-fix/pending/run-2.json", {
        ...fix,
        scope: TYPE,
        why: "w",
        diff: [],
        risk: "low",
        command: "heald fix approve run-2",
        proposed_at: writeInstant(THEN),
        expires_at: writeInstant(THEN + 60_000),
      });
      home.runs("auto-fix");
    },
    /^auto-fix\/pending\/run-2.json expired at \S+, and still waits$/,
  ],
  [
    "nobody was told of an expired proposal",
    "expiry-escalates",
    (home) => home.event("fix_expired", 9000, {}, fix),
    "run-2 fix-2 expired without an answer, and no person was told",
  ],
  [
    "an applied fix has no verdict",
    "fixes-have-verdicts",
    (home) => home.event("fix_applied", 9000, {}, fix),
    "run-2 fix-2 was applied, and nobody says whether it helped",
  ],
  [
    "a run has no history",
    "runs-have-history",
    (home) => rmSync(home.layout.fixHistory),
    `auto-fix/runs/${RUN}.json is done, and metrics/auto-fix-history.jsonl has no line of it`,
  ],
  [
    "a fix is approved and rejected",
    "fix-places",
    (home) => {
      for (const place of ["approved", "rejected"]) home.write(`auto-fix/${place}/run-2.json`, {});
    },
    "run-2 is in auto-fix/approved/run-2.json and in auto-fix/rejected/run-2.json",
  ],
  [
    "an active pattern was never considered",
    "patterns-are-considered",
    (home) => {
      home.write("patterns/failure-patterns.jsonl", pattern("pattern-2"));
      home.runs("auto-fix");
    },
    "pattern-2 is active, and increase-task-timeout was never considered for it",
  ],
  [
    "nobody was called for a worker that is given up",
    "people-are-called",
    (home) => {
      home.event("worker_restart_exhausted", 9000, { worker_id: "scan-3", incident_id: "inc-9" });
      home.runs("auto-fix");
    },
    "worker:scan-3 worker_restart_exhausted (incident inc-9) needs a person, and none was called",
  ],
  [
    "a person was called, and nobody remembers",
    "calls-are-followed",
    (home) => home.event("escalation_opened", 9000, { incident_id: "inc-9" }, { about: "fleet" }),
    "fleet a person was called for it (incident inc-9), and its end would be told to nobody",
  ],
  [
    "a breaker is of another type than its name says",
    "breaker-names",
    (home) => renameSync(home.layout.breaker(TYPE), home.layout.breaker("other-worker")),
    'circuit-breakers/other-worker.json its worker_type is "scan-worker"',
  ],
  [
    "a breaker differs from what worker-restart remembers",
    "breakers-as-remembered",
    (home) => {
      home.change(`circuit-breakers/${TYPE}.json`, { state: "half-open", reason: "by_hand" });
      home.runs("worker-restart");
    },
    "circuit-breakers/scan-worker.json is half-open; worker-restart takes it for closed",
  ],
  [
    "a breaker is open and the history knows no row of failures",
    "breakers-as-history-says",
    (home) => {
      home.change(`circuit-breakers/${TYPE}.json`, { state: "open", reason: "failures" });
      const breaker = { ...BREAKER_CLOSED, state: "open" };
      home.rememberAlso("worker-restart", { [`type:${TYPE}`]: { breaker, read_to: null, starts: [], has_file: true } });
    },
    "circuit-breakers/scan-worker.json is open because of failures; the history makes it closed",
  ],
  [
    "a breaker is closed and the history knows a row of failures",
    "breakers-as-history-says",
    (home) => {
      fail(home, 5);
      home.runs("worker-restart");
    },
    "circuit-breakers/scan-worker.json is closed; the history makes it half-open",
  ],
  [
    "a breaker is missing and nobody remembers it",
    "breakers-as-history-says",
    (home) => {
      fail(home, 5);
      rmSync(home.layout.breaker(TYPE));
      home.remember("worker-restart", {});
    },
    "circuit-breakers/scan-worker.json is not there; the history makes it half-open",
  ],
  [
    "the leases took more than was counted",
    "leases-add-up",
    async (home) => {
      await home.lend();
      home.change("token-budget.json", { total_used: 3 });
    },
    "token-budget.json its leases took 4 tokens, total_used says 3",
  ],
  [
    "a lease is of an attempt that is over",
    "leases-have-attempts",
    async (home) => {
      await home.lend();
      const { leases } = home.read("token-budget.json") as { leases: object };
      home.change("token-budget.json", { total_used: 6, leases: { ...leases, "lost-1.attempt-1": { allocated: 2 } } });
    },
    "lost-1.attempt-1 holds 2 tokens, and no such attempt is active",
  ],
  [
    "a daemon's hold has no expiry",
    "holds-expire",
    (home) => home.write("holds/for-ever.json", { scope: "all", by: "auto-fix" }),
    "holds/for-ever.json was set by auto-fix and has no expiry",
  ],
  [
    "a quarantined task that waits has no hold",
    "quarantines-hold",
    (home) => {
      home.write(`restart/queue/${WORKER}-restart.json`, { ...request, task_id: "task-1" });
      home.rememberAlso("worker-restart", { "task:task-1": { quarantined_at_ms: THEN } });
      home.runs("worker-restart");
    },
    "task-1 is quarantined and waits, and no hold names it",
  ],
  [
    "a checkpoint is torn",
    "checkpoints",
    (home) => home.write("state/auto-fix.json", '{"seq":1,"parts":{'),
    "state/auto-fix.json cannot be read: it is no JSON object: line 1, column 19: not valid JSON",
  ],
  [
    "a checkpoint holds what its daemon does not write",
    "checkpoints",
    (home) => home.rememberAlso("worker-restart", { "task:odd": { quarantined_at_ms: "yesterday" } }),
    'state/worker-restart.json worker-restart does not write its part "task:odd" like this',
  ],
  [
    "a journal has a line that is none",
    "journals",
    (home) => home.write("state/auto-fix.journal.jsonl", '{"seq":2}\n'),
    "state/auto-fix.journal.jsonl 1 unreadable lines, the first is line 1: parts must be an object",
  ],
  [
    "a journal's last line was cut off",
    "journals",
    (home) => home.write("state/auto-fix.journal.jsonl", '{"seq":2,"pa'),
    "state/auto-fix.journal.jsonl (cut off) its last line was cut off by a kill",
  ],
  [
    "a log is shorter than was read of it",
    "places",
    (home) => writeFileSync(home.layout.eventLog("heartbeat"), ""),
    /^failure-pattern in events\/heartbeat-events.jsonl has read up to byte \d+; the file has 0$/,
  ],
  [
    "an active worker is not watched",
    "monitor-knows-workers",
    (home) => {
      home.specs.createActive({ worker_id: "unseen-1", worker_type: TYPE, status: "running", attempt: 1 });
      age(home.layout.activeSpec("unseen-1"), 600);
      home.runs("heartbeat-monitor");
    },
    "worker-specs/active/unseen-1.json is not watched",
  ],
  ["there is no status", "status", (home) => rmSync(home.layout.status), "status.json is not there"],
  [
    "the status of a running monitor does not name a worker",
    "status",
    (home) => {
      home.change("status.json", { workers: [] });
      home.runs("heartbeat-monitor");
    },
    "status.json does not name scan-1, which is watched",
  ],
  ["there is no heald.prom", "figures", (home) => rmSync(home.layout.prometheus), "metrics/heald.prom is not there"],
  [
    "the index of patterns counts wrongly",
    "pattern-index",
    (home) => home.change("patterns/pattern-index.json", { active: 4 }),
    "patterns/pattern-index.json its active is 4; failure-pattern knows 1",
  ],
];

function fail(home: SoundHome, times: number): void {
  for (let nth = 0; nth < times; nth++) {
    const at = writeInstant(THEN + 10_000 + nth * 1000);
    appendFileSync(home.layout.history, `{"worker_type":"${TYPE}","result":"failure","timestamp":"${at}"}\n`);
  }
}

function pattern(patternId: string): object {
  return {
    pattern_id: patternId,
    category: "resource",
    type: "timeout",
    worker_type: TYPE,
    status: "active",
    confidence: 0.9,
    evidence: "exit",
    severity: "low",
    signature: "s",
    frequency: {
      total_occurrences: 3,
      window_occurrences: 3,
      first_seen: writeInstant(THEN),
      last_seen: writeInstant(THEN),
      rate_per_hour: 3,
    },
    root_cause: "r",
    message: "m",
    updated_at: writeInstant(THEN),
  };
}

describe("fsck of a home", () => {
  test("finds nothing in a sound one", async () => {
    const home = new SoundHome();
    await home.lend();
    expect(await home.findings()).toEqual([]);
  });

  test.each(BREAKAGES)("in which %s finds this and nothing else", async (_, invariant, breaks, says) => {
    const home = new SoundHome();
    if (invariant === "records") home.write(`desired/${WORKER}.json`, { state: "running" });
    await breaks(home);
    const findings = await home.findings();
    expect(findings.map((found) => found.invariant)).toEqual([invariant]);
    const [found] = findings;
    expect(`${found?.about} ${found?.message}`).toMatch(
      typeof says === "string" ? new RegExp(`^${escaped(says)}`) : says,
    );
  });

  test("takes what a person does while the daemons are down for an order, and not for damage", async () => {
    const home = new SoundHome();
    fail(home, 5);
    const opened = { ...BREAKER_CLOSED, state: "open", last_failure_ms: Date.now() };
    home.rememberAlso("worker-restart", {
      [`type:${TYPE}`]: { breaker: opened, read_to: null, starts: [], has_file: true },
    });
    home.write(`circuit-breakers/${TYPE}.json`, { worker_type: TYPE, state: "closed" });
    expect(await home.findings()).toEqual([]);
    rmSync(home.layout.breaker(TYPE));
    expect(await home.findings()).toEqual([]);
    rmSync(home.layout.activeSpec(WORKER));
    home.write("holds/all", "");
    home.write(`restart/queue/${WORKER}-restart.json`, request);
    expect(await home.findings()).toEqual([]);
  });

  test("takes a request that a person took back for an outcome, said or still to be said", async () => {
    const home = new SoundHome();
    const about = { worker_id: "back-1", worker_type: TYPE };
    home.event("worker_exited", 9000, { ...about, attempt: 1, incident_id: "inc-2" });
    expect(await home.findings()).toMatchObject([{ invariant: "deaths-have-outcomes" }]);
    home.rememberAlso("worker-restart", {
      "worker:back-1": { run: null, waiting: { name: "back-1-restart.json", phase: "waiting" } },
    });
    expect(await home.findings()).toEqual([]);
    home.rememberAlso("worker-restart", { "worker:back-1": { run: null, waiting: null } });
    home.event("worker_restart_refused", 9100, { ...about, incident_id: "inc-2" });
    expect(await home.findings()).toEqual([]);
  });

  test("takes a zombie that a hold keeps back for one that has its outcome, and not one that nothing keeps back", async () => {
    const home = new SoundHome();
    const { parts } = home.read("state/heartbeat-monitor.json") as { parts: Record<string, object> };
    const about = { worker_id: "held-1", worker_type: TYPE, attempt: 1 };
    home.specs.createActive({ ...about, status: "running" });
    home.change("status.json", { workers: [{ worker_id: WORKER }, { worker_id: "held-1" }] });
    home.event("zombie_detected", -7_200_000, { ...about, incident_id: "inc-2" });
    const zombie = { ...parts[`worker:${WORKER}`], worker_id: "held-1", spec: about, state: "zombie" };
    home.rememberAlso("heartbeat-monitor", { "worker:held-1": { ...zombie, held_by: "hold" } });
    home.runs("heartbeat-monitor");
    expect(await home.findings()).toEqual([]);
    home.rememberAlso("heartbeat-monitor", { "worker:held-1": { ...zombie, held_by: null } });
    expect(await home.findings()).toMatchObject([{ invariant: "deaths-have-outcomes", about: "held-1 #1" }]);
  });

  test("takes attempts whose specs a person took away for forgotten, also when their worker was started anew since", async () => {
    const home = new SoundHome();
    const { parts } = home.read("state/heartbeat-monitor.json") as { parts: Record<string, object> };
    const about = { worker_id: "anew-1", worker_type: TYPE };
    home.runs("heartbeat-monitor");
    const launched = (attempt: number, afterMs: number): void => {
      home.write(`launches/anew-1.attempt-${attempt}.json`, { ...about, attempt, pid: 99 });
      home.event("worker_registered", afterMs, { ...about, attempt });
    };
    launched(1, 3000);
    expect(await home.findings()).toMatchObject([{ invariant: "attempts-have-specs", about: "anew-1 #1" }]);
    home.event("worker_unwatched", 3001, { ...about, attempt: 1 });
    expect(await home.findings()).toEqual([]);
    launched(2, 3002);
    home.specs.createActive({ ...about, attempt: 2, status: "running" });
    home.change("status.json", { workers: [{ worker_id: WORKER }, { worker_id: "anew-1" }] });
    const part = { ...parts[`worker:${WORKER}`], worker_id: "anew-1", spec: { ...about, attempt: 2 } };
    home.rememberAlso("heartbeat-monitor", { "worker:anew-1": part });
    expect(await home.findings()).toEqual([]);
    rmSync(home.layout.activeSpec("anew-1"));
    expect(await home.findings()).toMatchObject([{ invariant: "attempts-have-specs", about: "anew-1 #2" }]);
  });

  test("has a breakage for every invariant", () => {
    const broken = new Set(BREAKAGES.map(([, invariant]) => invariant));
    expect(INVARIANTS.map(({ name }) => name).filter((name) => !broken.has(name))).toEqual([]);
  });
});

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
