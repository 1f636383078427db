/** Guarantee: what people are to know arrives, once, through whatever is up, in order; and no secret is ever left behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Acknowledged, Notifier } from "../../lib/notify/notifier.js";
import { openLog } from "../../lib/platform/log.js";
import { readNotificationPolicy } from "../../lib/schema/notification-policy.js";
import type { NotificationEdge } from "../../lib/schema/notification-records.js";
import { sentenceOf } from "../../lib/schema/problems.js";
import type { Layout } from "../../lib/store/layout.js";
import { compiled } from "../unit/store/compiled.js";
import { temporaryLayout } from "../unit/store/temporary-home.js";
import { HttpReceiver, hang, MailReceiver, reset, status } from "./support/receivers.js";

const SECRET = "s3cr3t-Pa55word-Zq";

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 15_000; !holds(); ) {
    if (performance.now() >= end) throw new Error(`Not within 15 s: ${what}`);
    await pause(10);
  }
}

function policyOf(raw: Record<string, unknown>) {
  const read = readNotificationPolicy(raw);
  if (!read.ok) throw new Error(sentenceOf(read.problems));
  return read.value.policy;
}

const FAST = { first_retry_seconds: 0.05, max_retry_seconds: 0.2, give_up_after_seconds: 60 };

class Bench {
  readonly layout: Layout;
  readonly printed: string[] = [];
  readonly acknowledged: Acknowledged[] = [];
  notifier: Notifier;
  policy: ReturnType<typeof policyOf>;

  constructor(raw: Record<string, unknown>, layout: Layout = temporaryLayout()) {
    this.layout = layout;
    this.policy = policyOf({ delivery: FAST, ...raw });
    this.notifier = this.#open();
  }

  /** As after a kill: nothing is said to the old one. */
  again(): void {
    this.notifier.stop();
    this.notifier = this.#open();
  }

  tell(kind: NotificationEdge["kind"], incident_id = "inc-1", more: Partial<NotificationEdge> = {}): void {
    this.notifier.notify({
      ...{ kind, incident_id, severity: "critical", component: "scan", title: "out of memory", seen: "killed 3 times" },
      ...{ tried: ["raised the limit to 768 MB"], suggested: "look for a leak", command: `heald why ${incident_id}` },
      ...more,
    });
  }

  names(folder: "queue" | "sent" | "failed"): string[] {
    return readdirSync(join(this.layout.autoFixDir, "notify", folder)).filter((name) => !name.startsWith("."));
  }

  queued(): Record<string, unknown>[] {
    return this.names("queue").map(
      (name) => JSON.parse(readFileSync(join(this.layout.notifyQueueDir, name), "utf8")) as Record<string, unknown>,
    );
  }

  settled(): Promise<void> {
    return until(() => this.names("queue").length === 0, "the queue is empty");
  }

  log(): string {
    const path = this.layout.daemonLog("auto-fix");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  #open(): Notifier {
    const log = openLog(this.layout.daemonLog("auto-fix"), { name: "auto-fix" });
    const notifier = new Notifier({
      layout: this.layout,
      log,
      policy: () => this.policy,
      print: (text) => this.printed.push(text),
      onAcknowledged: (each) => this.acknowledged.push(each),
    });
    notifier.start();
    onTestFinished(() => notifier.stop());
    return notifier;
  }
}

/** Every file below a folder, with its text. */
function everyFile(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => [path, readFileSync(path, "utf8")]);
}

function secretVariable(name: string, value: string): void {
  process.env[name] = value;
  onTestFinished(() => {
    delete process.env[name];
  });
}

const hookTo = (url: string, more: object = {}) => ({
  channels: { hook: { kind: "webhook", url, timeout_seconds: 0.5, ...more } },
  routes: [{ channels: ["hook"] }],
});

describe("a webhook", () => {
  test("gets the incident, what was seen, tried and suggested, the command, and a key of its own", async () => {
    const server = await new HttpReceiver().listen();
    secretVariable("HEALD_TEST_TOKEN", SECRET);
    const secret = { Authorization: "Bearer env:HEALD_TEST_TOKEN" };
    // Nothing waits for it to pass; a busy machine must not make one message two.
    const bench = new Bench(hookTo(`${server.url}/in`, { headers: secret, timeout_seconds: 30 }));
    bench.tell("escalated");
    await bench.settled();
    expect(server.received).toHaveLength(1);
    const [{ headers, body, path }] = server.received as [(typeof server.received)[0]];
    expect(path).toBe("/in");
    expect(headers.authorization).toBe(`Bearer ${SECRET}`);
    expect(headers["idempotency-key"]).toBe(body.delivery_id);
    expect(body).toMatchObject({
      ...{ kind: "escalated", incident_id: "inc-1", component: "scan", seen: "killed 3 times" },
      ...{ tried: ["raised the limit to 768 MB"], suggested: "look for a leak", command: "heald why inc-1" },
    });
    expect(bench.names("sent")).toEqual([`${String(body.delivery_id)}.json`]);
  });

  test.each([
    ["answers 500", [status(500), status(503)], "it was answered with 503"],
    ["resets the connection", [reset], "the connection failed (ECONNRESET)"],
    ["hangs", [hang], "no answer within 0.5 s"],
    ["sends us elsewhere", [status(302, { location: "http://127.0.0.1:1/" })], "it was answered with 302"],
    ["does not know our token", [status(401)], "it was answered with 401"],
  ])("that %s is tried again, under the same key, until it has taken the message", async (_, behaviours, problem) => {
    const server = await new HttpReceiver().listen();
    server.behaviours.push(...behaviours);
    const bench = new Bench(hookTo(server.url));
    bench.tell("opened");
    await bench.settled();
    expect(server.received).toHaveLength(behaviours.length + 1);
    expect(new Set(server.received.map((each) => each.headers["idempotency-key"])).size).toBe(1);
    expect(bench.log()).toContain(`channel hook: ${problem}`);
    expect(bench.log()).toContain("channel hook works again");
  });

  test.each([
    ["seconds", () => "1"],
    ["a date", () => new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000).toUTCString()],
  ])("that answers 429 is not asked again before the time it named in %s", async (_, after) => {
    const server = await new HttpReceiver().listen();
    const bench = new Bench(hookTo(server.url));
    server.behaviours.push(status(429, { "retry-after": after() }));
    bench.tell("opened", "inc-1");
    bench.tell("opened", "inc-2");
    await bench.settled();
    const [first, second] = server.received;
    expect(server.received).toHaveLength(3);
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(950);
  });

  test("that is down for long gets all of it in order when it is back, and holds up no other channel", async () => {
    const server = await new HttpReceiver().listen();
    server.behaviours.push(...Array.from({ length: 6 }, () => status(500)));
    const bench = new Bench({
      channels: { hook: { kind: "webhook", url: server.url } },
      routes: [{ channels: ["hook", "console"] }],
    });
    bench.tell("opened");
    bench.tell("escalated");
    bench.tell("resolved");
    await until(() => bench.printed.length === 3, "the console was told");
    expect(bench.names("queue").length).toBeGreaterThan(0);
    await bench.settled();
    const kinds = server.received.slice(6).map((each) => each.body.kind);
    expect(kinds).toEqual(["opened", "escalated", "resolved"]);
  });

  test("that does not take one message takes those of other incidents meanwhile", async () => {
    const server = await new HttpReceiver().listen();
    server.behaviours.push(status(400));
    const bench = new Bench({
      ...hookTo(server.url),
      delivery: { ...FAST, first_retry_seconds: 0.5, max_retry_seconds: 1 },
    });
    bench.tell("opened", "inc-1");
    bench.tell("resolved", "inc-1");
    bench.tell("opened", "inc-2");
    await bench.settled();
    expect(server.received.map((each) => `${each.body.kind} ${each.body.incident_id}`)).toEqual([
      ...["opened inc-1", "opened inc-2", "opened inc-1", "resolved inc-1"],
    ]);
  });

  test("whose time is over is given up: the message is kept, and the log says so", async () => {
    const server = await new HttpReceiver().listen();
    server.behaviours.push(...Array.from({ length: 100 }, () => status(500)));
    const bench = new Bench({ ...hookTo(server.url), delivery: { ...FAST, give_up_after_seconds: 0.3 } });
    bench.tell("opened");
    await until(() => bench.names("failed").length === 1, "it is given up");
    expect(bench.names("queue")).toEqual([]);
    expect(bench.log()).toMatch(/given up after \d+ tries/);
    bench.again();
    bench.tell("opened");
    expect(bench.names("queue")).toEqual([]);
  });
});

describe("a chat", () => {
  test("gets text and blocks in which no text of a worker can call anybody", async () => {
    const server = await new HttpReceiver().listen();
    secretVariable("HEALD_TEST_CHAT", `${server.url}/services/${SECRET}`);
    const channels = { team: { kind: "chat", url: "env:HEALD_TEST_CHAT" } };
    const bench = new Bench({ channels, routes: [{ channels: ["team"] }] });
    bench.tell("escalated", "inc-1", { seen: "<!channel> & <https://evil|here>" });
    await bench.settled();
    const [{ body, path }] = server.received as [(typeof server.received)[0]];
    expect(path).toBe(`/services/${SECRET}`);
    expect(body.text).toBe("[heald] critical scan: out of memory (needs a person)");
    const text = JSON.stringify(body.blocks);
    expect(text).toContain("&lt;!channel&gt; &amp; &lt;https://evil|here&gt;");
    for (const part of ["inc-1", "raised the limit", "look for a leak", "heald why inc-1", "heald ack inc-1"])
      expect(text).toContain(part);
  });
});

describe("mail", () => {
  const mailTo = (port: number, more: object = {}) => ({
    channels: {
      ops: {
        ...{ kind: "mail", host: "127.0.0.1", port, security: "none", from: "heald@example.org" },
        ...{ to: ["ops@example.org", "ann@example.org"], timeout_seconds: 1, ...more },
      },
    },
    routes: [{ channels: ["ops"] }],
  });

  test("reaches all receivers after a login, and the mails of an incident are one thread", async () => {
    const server = await new MailReceiver().listen({ user: "heald", password: SECRET });
    const bench = new Bench({});
    const file = join(bench.layout.home.home, "password");
    writeFileSync(file, `${SECRET}\n`, { mode: 0o600 });
    bench.policy = policyOf(mailTo(server.port, { user: "heald", password: `file:${file}` }));
    bench.tell("opened", "inc-1", { title: "Grüße: out of memory" });
    bench.tell("resolved");
    await bench.settled();
    expect(server.mails.map((mail) => [mail.from, mail.to, mail.user])).toEqual([
      ["heald@example.org", ["ops@example.org", "ann@example.org"], "heald"],
      ["heald@example.org", ["ops@example.org", "ann@example.org"], "heald"],
    ]);
    const [opened, resolved] = server.mails.map((mail) => mail.text) as [string, string];
    expect(opened).toMatch(/^Subject: =\?UTF-8\?/m);
    for (const part of ["inc-1", "killed 3 times", "raised the limit", "look for a leak", "Run: heald why inc-1"])
      expect(resolved).toContain(part);
    const thread = /^References: (.+)$/m.exec(opened)?.[1];
    expect(thread).toBeDefined();
    expect(/^References: (.+)$/m.exec(resolved)?.[1]).toBe(thread);
    expect(/^Message-ID: (.+)$/m.exec(opened)?.[1]).not.toBe(/^Message-ID: (.+)$/m.exec(resolved)?.[1]);
  });

  test("that the server refuses, or hangs on, is tried again under the same Message-ID", async () => {
    const server = await new MailReceiver().listen();
    server.refuse.push(451, 550);
    const bench = new Bench(mailTo(server.port));
    bench.tell("opened");
    await bench.settled();
    expect(bench.log()).toContain("the server answered 451");
    expect(bench.log()).toContain("the server answered 550");
    server.hangs = true;
    bench.tell("resolved");
    await until(() => bench.log().includes("within 1 s") || bench.log().includes("ETIMEDOUT"), "the hang is noticed");
    const [waiting] = bench.queued();
    server.hangs = false;
    await bench.settled();
    expect(server.mails).toHaveLength(2);
    expect(server.mails[1]?.text).toContain(`Message-ID: <${String(waiting?.delivery_id)}@`);
  });

  test("that is under way when the daemon stops is cut off at once, and goes again after the next start", async () => {
    const server = await new MailReceiver().listen();
    server.hangs = true;
    const bench = new Bench(mailTo(server.port, { timeout_seconds: 60 }));
    bench.tell("opened");
    await until(() => server.took > 0, "the mail is under way");
    bench.notifier.stop();
    await until(() => server.connections === 0, "the connection is closed");
    server.hangs = false;
    bench.again();
    await bench.settled();
    expect(server.mails).toHaveLength(1);
  });

  test("is not sent to a server for whose certificate nobody vouches", async () => {
    const server = await new MailReceiver().listen(undefined, true);
    const bench = new Bench(mailTo(server.port, { security: "tls" }));
    bench.tell("opened");
    await until(() => bench.log().includes("channel ops: the connection failed"), "the server is refused");
    expect(server.mails).toEqual([]);
    expect(bench.names("queue")).toHaveLength(1);
  });

  test("does not wait for STARTTLS that a server does not offer, nor send without it", async () => {
    const server = await new MailReceiver().listen();
    const bench = new Bench(mailTo(server.port, { security: "starttls" }));
    bench.tell("opened");
    await until(() => bench.log().includes("channel ops"), "the server is refused");
    expect(server.mails).toEqual([]);
    expect(bench.names("queue")).toHaveLength(1);
  });
});

describe("a command", () => {
  const commandAt = (layout: Layout, body: string, mode = 0o750): string => {
    const path = join(layout.home.home, "page");
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode });
    chmodSync(path, mode);
    return path;
  };
  const withCommand = (command: string, more: object = {}) =>
    policyOf({
      channels: { pager: { kind: "command", command, args: ["--to", "$(touch pwned)"], ...more } },
      routes: [{ channels: ["pager"] }],
      delivery: FAST,
    });

  test("gets the message on its standard input and its arguments as they are, and is tried again until it exits with 0", async () => {
    const bench = new Bench({});
    const body = 'cat > "in.$HEALD_DELIVERY_ID"; echo "$@" > args; echo run >> runs; [ "$(wc -l < runs)" -ge 3 ]';
    bench.policy = withCommand(commandAt(bench.layout, body));
    bench.tell("escalated");
    await bench.settled();
    const home = bench.layout.home.home;
    const inputs = readdirSync(home).filter((name) => name.startsWith("in."));
    expect(inputs).toHaveLength(1);
    const input = JSON.parse(readFileSync(join(home, inputs[0] as string), "utf8")) as Record<string, unknown>;
    expect(input).toMatchObject({ incident_id: "inc-1", kind: "escalated" });
    expect(input.text).toContain("Acknowledge: heald ack inc-1");
    expect(readFileSync(join(home, "args"), "utf8")).toBe("--to $(touch pwned)\n");
    expect(existsSync(join(home, "pwned"))).toBe(false);
    expect(readFileSync(join(home, "runs"), "utf8")).toBe("run\n".repeat(3));
    expect(bench.log()).toContain("channel pager: it ended with 1");
  });

  test("that others can write is refused by name, and run as soon as it is safe", async () => {
    const bench = new Bench({});
    const path = commandAt(bench.layout, "touch ran", 0o757);
    bench.policy = withCommand(path);
    bench.tell("opened");
    await until(() => bench.log().includes("is refused: it is writable by others"), "it is refused");
    expect(existsSync(join(bench.layout.home.home, "ran"))).toBe(false);
    chmodSync(path, 0o750);
    await bench.settled();
    expect(existsSync(join(bench.layout.home.home, "ran"))).toBe(true);
  });

  test("that hangs is ended at its time", async () => {
    const bench = new Bench({});
    bench.policy = withCommand(commandAt(bench.layout, "[ -e once ] && exit 0; touch once; sleep 600"), {
      timeout_seconds: 0.3,
    });
    bench.tell("opened");
    await bench.settled();
    expect(bench.log()).toContain("channel pager: it took longer than 0.3 s");
  });
});

describe("the log and the console", () => {
  test("are there without a policy: edges go to both as shipped, the rest to the digest", async () => {
    const bench = new Bench({});
    bench.tell("opened");
    bench.tell("escalated");
    bench.tell("info", "inc-2");
    await bench.settled();
    const lines = readFileSync(bench.layout.notificationsLog, "utf8").trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { kind: string }).kind)).toEqual(["opened", "escalated"]);
    expect(bench.printed).toHaveLength(1);
    expect(bench.printed[0]).toMatch(/^\[heald\] critical scan: out of memory \(needs a person\)\n/);
    expect(bench.notifier.figures()).toMatchObject({ notifications_in_digest: 1, escalations_unacknowledged: 1 });
  });
});

describe("the chain", () => {
  test("calls the next channel after its delay, and a person's acknowledgement ends it, once", async () => {
    const bench = new Bench({
      routes: [{ channels: ["log"] }],
      escalation: { steps: [{ after_seconds: 0.2, channels: ["console"] }] },
      repeat: { interval_seconds: 0.2, times_max: 1000 },
    });
    bench.tell("escalated");
    await until(() => bench.printed.length >= 3, "the step and two repeats");
    writeFileSync(
      join(bench.layout.acknowledgementsDir, "ann.json"),
      '{"incident_id":"inc-1","by":"ann","why":"on it"}',
    );
    bench.notifier.scan();
    expect(readdirSync(bench.layout.acknowledgementsDir)).toEqual([]);
    expect(bench.acknowledged).toMatchObject([{ incident_id: "inc-1", by: "ann", why: "on it", component: "scan" }]);
    bench.again();
    await bench.settled();
    const said = (incident: string): number => bench.printed.filter((text) => text.includes(incident)).length;
    const before = said("inc-1");
    // Another escalation is the clock: its repeats come, those of the first do not.
    bench.tell("escalated", "inc-2");
    await until(() => said("inc-2") >= 4, "the other's step and three repeats");
    expect(said("inc-1")).toBe(before);
    expect(bench.notifier.incident("inc-1")?.acknowledged).toMatchObject({ by: "ann" });
  });

  test("is not ended by a file that others can write, that names no open escalation, or that is no acknowledgement", () => {
    const bench = new Bench({});
    bench.tell("escalated");
    const write = (name: string, text: string, mode = 0o640): void => {
      const path = join(bench.layout.acknowledgementsDir, name);
      writeFileSync(path, text);
      chmodSync(path, mode);
    };
    write("open.json", '{"incident_id":"inc-1","by":"mallory"}', 0o666);
    write("other.json", '{"incident_id":"inc-9","by":"ann"}');
    write("wrong.json", '{"incident_id":7}');
    bench.notifier.scan();
    bench.notifier.scan();
    expect(bench.notifier.incident("inc-1")?.acknowledged).toBeNull();
    expect(bench.acknowledged).toEqual([]);
    const lines = bench.log().trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    for (const why of [
      "writable by others",
      'no escalation \\"inc-9\\" is open',
      "incident_id must be a string, got 7",
    ])
      expect(lines.filter((line) => line.includes(why))).toHaveLength(1);
  });
});

describe("what is on disk", () => {
  test("is taken up after a restart: what waited is sent, what was sent is not, and a retry keeps its time", async () => {
    const server = await new HttpReceiver().listen();
    server.behaviours.push(status(200), status(500));
    const bench = new Bench({ ...hookTo(server.url), delivery: { first_retry_seconds: 1, max_retry_seconds: 1 } });
    bench.tell("opened", "inc-1");
    bench.tell("opened", "inc-2");
    await until(() => bench.queued()[0]?.last_problem !== undefined, "the second has failed once");
    bench.again();
    bench.tell("opened", "inc-1");
    bench.tell("opened", "inc-2");
    await bench.settled();
    expect(server.received.map((each) => each.body.incident_id)).toEqual(["inc-1", "inc-2", "inc-2"]);
    expect((server.received[2]?.atMs ?? 0) - (server.received[1]?.atMs ?? 0)).toBeGreaterThanOrEqual(450);
  });

  test("by a kill between any two steps sends nothing twice: not filed again, not taken from the queue again", async () => {
    const server = await new HttpReceiver().listen();
    const bench = new Bench(hookTo(server.url));
    bench.tell("opened");
    await bench.settled();
    bench.notifier.stop();
    const [name] = bench.names("sent") as [string];
    const sent = JSON.parse(readFileSync(join(bench.layout.notifySentDir, name), "utf8")) as object;
    // Killed before the outbox was cleared, and killed before the sent one left the queue.
    const state = JSON.parse(readFileSync(bench.layout.notifyState, "utf8")) as object;
    writeFileSync(bench.layout.notifyState, JSON.stringify({ ...state, outbox: [sent] }));
    bench.again();
    bench.notifier.stop();
    expect(bench.names("queue")).toEqual([]);
    writeFileSync(join(bench.layout.notifyQueueDir, name), JSON.stringify(sent));
    bench.again();
    bench.tell("opened", "inc-2");
    await bench.settled();
    expect(server.received.map((each) => each.body.incident_id)).toEqual(["inc-1", "inc-2"]);
    expect(bench.names("sent")).toHaveLength(2);
  });

  test("that was decided and not yet filed when the daemon was killed is sent after its next start", async () => {
    const server = await new HttpReceiver().listen();
    const bench = new Bench({ ...hookTo(server.url), enabled: false });
    bench.notifier.stop();
    bench.policy = policyOf({ ...hookTo(server.url), delivery: FAST });
    const other = new Bench(hookTo("http://127.0.0.1:1/"));
    other.tell("opened");
    await until(() => other.names("queue").length === 1, "it is filed there");
    other.notifier.stop();
    const state = JSON.parse(readFileSync(other.layout.notifyState, "utf8")) as object;
    writeFileSync(
      bench.layout.notifyState,
      JSON.stringify({ ...state, outbox: [{ ...other.queued()[0], next_at_ms: 0 }] }),
    );
    bench.again();
    await until(() => server.received.length === 1, "it is sent");
  });

  test("may be steered: a message that a person removes from the queue is not sent", async () => {
    const server = await new HttpReceiver().listen();
    server.behaviours.push(status(500));
    const bench = new Bench({
      ...hookTo(server.url),
      delivery: { ...FAST, first_retry_seconds: 0.5, max_retry_seconds: 1 },
    });
    bench.tell("opened");
    await until(() => bench.queued()[0]?.last_problem !== undefined, "it has failed once");
    for (const name of bench.names("queue")) rmSync(join(bench.layout.notifyQueueDir, name));
    bench.tell("opened", "inc-2");
    await until(() => bench.names("sent").length === 1, "the other is sent");
    expect(server.received.map((each) => each.body.incident_id)).toEqual(["inc-1", "inc-2"]);
    expect(bench.names("queue")).toEqual([]);
  });

  test("that cannot be read is named and put aside, and people are told all the same", async () => {
    const bench = new Bench({});
    bench.notifier.stop();
    writeFileSync(bench.layout.notifyState, "{ half");
    writeFileSync(join(bench.layout.notifyQueueDir, "0123456789abcdef01234567.json"), '{"delivery_id":7}');
    bench.again();
    bench.tell("escalated");
    await until(() => bench.printed.length === 1, "it is told");
    expect(bench.log()).toContain("it was put aside");
    expect(bench.log()).toContain("delivery_id must be a string, got 7");
    expect(readdirSync(join(bench.layout.autoFixDir, "notify")).some((name) => name.endsWith(".bad"))).toBe(true);
  });
});

describe("a process that is killed again and again", () => {
  test("tells each edge, none under two keys, and repeats at most what was under way", async () => {
    const server = await new HttpReceiver().listen();
    const layout = temporaryLayout();
    const raw = JSON.stringify({ ...hookTo(server.url), digest: { channels: [] }, delivery: FAST });
    const program = compiled("../../integration/support/notifying-process.ts");
    const count = 60;
    const start = (): ChildProcess => {
      const child = spawn(process.execPath, [program, layout.home.home, raw, String(count)], { stdio: "inherit" });
      onTestFinished(() => void child.kill("SIGKILL"));
      return child;
    };
    const kills = 5;
    for (let nth = 1; nth <= kills; nth += 1) {
      const child = start();
      const ended = new Promise((resolve) => child.once("exit", resolve));
      await until(() => server.received.length >= nth * 8, "some have arrived");
      child.kill("SIGKILL");
      await ended;
    }
    const last = start();
    const incidents = (): Set<unknown> => new Set(server.received.map((each) => each.body.incident_id));
    const queue = (): number => readdirSync(layout.notifyQueueDir).filter((name) => name.endsWith(".json")).length;
    await until(() => incidents().size === count && queue() === 0, "all have arrived");
    const ended = new Promise((resolve) => last.once("exit", resolve));
    last.kill("SIGTERM");
    await ended;
    const keys = new Set(server.received.map((each) => each.headers["idempotency-key"]));
    expect(keys.size).toBe(count);
    expect(server.received.length).toBeLessThanOrEqual(count + kills);
    expect(readdirSync(layout.notifySentDir).filter((name) => name.endsWith(".json"))).toHaveLength(count);
  });
});

describe("a secret", () => {
  test("is in no file, log or message, however the services repeat it", async () => {
    const mail = await new MailReceiver().listen({ user: "heald", password: "another" });
    const hook = await new HttpReceiver().listen();
    hook.behaviours.push((answer, { headers }) => {
      // As careless services do: it repeats what it was given, wherever it can.
      const said = String(headers.authorization);
      answer.writeHead(500, said, { "x-echo": said, "retry-after": said }).end(said);
    });
    secretVariable("HEALD_TEST_SECRET", SECRET);
    secretVariable("HEALD_TEST_URL", `http://127.0.0.1:1/services/${SECRET}`);
    secretVariable("HEALD_TEST_BROKEN_URL", `not an address ${SECRET}`);
    const bench = new Bench({
      channels: {
        hook: { kind: "webhook", url: hook.url, headers: { Authorization: "Bearer env:HEALD_TEST_SECRET" } },
        down: { kind: "chat", url: "env:HEALD_TEST_URL" },
        broken: { kind: "chat", url: "env:HEALD_TEST_BROKEN_URL" },
        unset: { kind: "chat", url: "env:HEALD_TEST_UNSET" },
        ops: {
          ...{ kind: "mail", host: "127.0.0.1", port: mail.port, security: "none", from: "a@b.org", to: ["c@d.org"] },
          ...{ user: "heald", password: "env:HEALD_TEST_SECRET" },
        },
      },
      routes: [{ channels: ["hook", "down", "broken", "unset", "ops", "log", "console"] }],
    });
    bench.tell("opened");
    await until(
      () => ["hook", "down", "broken", "unset", "ops"].every((name) => bench.log().includes(`channel ${name}`)),
      "all have failed",
    );
    await until(
      () => bench.queued().length === 4 && bench.queued().every((each) => each.last_problem),
      "failures are kept",
    );
    expect(bench.log()).toContain("env:HEALD_TEST_UNSET is not set");
    expect(bench.log()).toContain("channel broken: the address is not one");
    const files = everyFile(bench.layout.home.home);
    expect(files.length).toBeGreaterThan(6);
    const encoded = [SECRET, encodeURIComponent(SECRET), Buffer.from(SECRET).toString("base64")];
    for (const [path, text] of [...files, ["console", bench.printed.join("")]])
      for (const form of encoded) expect(text?.includes(form), path).toBe(false);
  });

  test("in a file that others can write, or that is empty or missing, is refused by the file's name", async () => {
    const bench = new Bench({});
    const path = join(bench.layout.home.home, "url");
    bench.policy = policyOf({
      channels: { team: { kind: "chat", url: `file:${path}` } },
      routes: [{ channels: ["team"] }],
      delivery: FAST,
    });
    bench.tell("opened");
    await until(() => bench.log().includes(`file:${path} cannot be read (ENOENT)`), "it is missing");
    writeFileSync(path, "http://127.0.0.1:1/\n");
    chmodSync(path, 0o666);
    await until(() => bench.log().includes(`file:${path} is refused: it is writable by others`), "it is unsafe");
    writeFileSync(path, "");
    chmodSync(path, 0o600);
    await until(() => bench.log().includes(`file:${path} is empty`), "it is empty");
  });

  test.each([
    ["password", { ops: { kind: "mail", host: "h", from: "a@b", to: ["c@d"], user: "env:U", password: SECRET } }],
    [
      "password of a wrong type",
      { ops: { kind: "mail", host: "h", from: "a@b", to: ["c@d"], user: "env:U", password: [SECRET] } },
    ],
    ["chat's address", { team: { kind: "chat", url: `https://chat.example.org/${SECRET}` } }],
    ["address with a login", { hook: { kind: "webhook", url: `https://u:${SECRET}@example.org/` } }],
    ["address with a query", { hook: { kind: "webhook", url: `https://example.org/?token=${SECRET}` } }],
    ["header", { hook: { kind: "webhook", url: "https://example.org", headers: { "X-Api-Key": SECRET } } }],
    [
      "header of a wrong type",
      { hook: { kind: "webhook", url: "https://example.org", headers: { "X-Api-Key": [SECRET] } } },
    ],
  ])("written into a policy as %s is refused, and not repeated", (_, channels) => {
    const read = readNotificationPolicy({ channels, routes: [] });
    expect(read.ok).toBe(false);
    const sentence = read.ok ? "" : sentenceOf(read.problems);
    expect(sentence).toMatch(/channels\.(ops|team|hook)\.(password|url|headers)/);
    expect(sentence).not.toContain(SECRET);
  });
});

describe("a policy", () => {
  test.each([
    [{ routes: [{ channels: ["consol"] }] }, 'routes.0.channels names no channel: "consol"; did you mean console'],
    [{ channels: { p: { kind: "pager" } } }, 'channels.p.kind must be one of "console", "log", "webhook"'],
    [{ channels: { m: { kind: "mail" } } }, "channels.m.host must be given: a mail channel needs it"],
    [
      { channels: { c: { kind: "command", command: "page" } } },
      'channels.c.command must be an absolute path, got "page"',
    ],
    [{ channels: { c: { kind: "console", url: "env:X" } } }, "channels.c.url has no meaning for a console channel"],
    [{ channels: { c: { kind: "chat", ur: "env:X" } } }, "channels.c.ur is not a known key; did you mean url"],
    [{ quiet_hours: { timezone: "Europe/Berlyn" } }, "quiet_hours.timezone must be a time zone such as Europe/Berlin"],
    [
      { quiet_hours: { windows: [{ from: "24:00", to: "07:00" }] } },
      "quiet_hours.windows.0.from must be a time of day",
    ],
    [
      {
        escalation: {
          steps: [
            { after_seconds: 9, channels: ["log"] },
            { after_seconds: 3, channels: ["log"] },
          ],
        },
      },
      "escalation.steps.1.after_seconds must be >= that of the step before (9), got 3",
    ],
    [
      { delivery: { first_retry_seconds: 9, max_retry_seconds: 3 } },
      "max_retry_seconds must be >= first_retry_seconds (9)",
    ],
    [
      {
        channels: {
          m: {
            ...{ kind: "mail", host: "mx.org", from: "a@b", to: ["c@d"], security: "none" },
            ...{ user: "env:U", password: "env:P" },
          },
        },
      },
      "channels.m.security must be starttls or tls: a password does not travel in the clear",
    ],
  ])("that cannot be meant is refused by field: %j", (raw, expected) => {
    const read = readNotificationPolicy(raw);
    expect(read.ok ? "accepted" : sentenceOf(read.problems)).toContain(expected);
  });
});
