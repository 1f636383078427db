import { describe, expect, test } from "vitest";
import { newClusters } from "../../../../lib/domain/grouping/clusters.js";
import { fingerprint } from "../../../../lib/domain/grouping/fingerprint.js";
import { findStack, STACK_FRAMES_MAX } from "../../../../lib/domain/grouping/stack.js";

const NODE = `starting
/srv/app/dist/worker.js:41
TypeError: Cannot read properties of undefined (reading 'id 17')
    at Parser.parse [as run] (file:///srv/app/dist/parser.js:41:17)
    at async handle (/srv/app/dist/worker.js:12:3)
    at async Promise.all (index 0)
    at Layer.next (/srv/app/node_modules/router/index.js:1:2)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)

Node.js v20.20.2`;

const PYTHON = `INFO ready
Traceback (most recent call last):
  File "/home/me/app/worker.py", line 40, in <module>
    main()
  File "/home/me/app/worker.py", line 31, in main
    parse(row)
  File "/usr/lib/python3/dist-packages/yaml/loader.py", line 5, in load
    raise x
app.errors.BadRow: row 17 of 200 is torn`;

const JAVA = `Exception in thread "worker-3" java.lang.IllegalStateException: queue 17 is closed
\tat java.base/java.util.ArrayList.add(ArrayList.java:10)
\tat com.acme.Worker.lambda$run$3(Worker.java:88)
\tat com.acme.Worker.run(Worker.java:21)
Caused by: java.io.IOException: broken
\tat com.acme.Disk.write(Disk.java:7)
\t... 12 more`;

const GO = `panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.(*Worker).handle(0xc00001, 0x5)
\t/home/me/app/main.go:17 +0x1d
net/http.HandlerFunc.ServeHTTP(...)
\t/usr/local/go/src/net/http/server.go:2136
main.main()
\t/home/me/app/main.go:9 +0x20

goroutine 6 [select]:
main.other()
\t/home/me/app/other.go:1 +0x1
exit status 2`;

describe("findStack()", () => {
  test("reads Node: type, own frames, no line numbers and no paths", () => {
    expect(findStack(NODE)).toEqual({
      language: "node",
      type: "TypeError",
      message: "Cannot read properties of undefined (reading '<*>')",
      frames: ["Parser.parse parser.js", "handle worker.js"],
    });
  });

  test("reads Python, innermost frame first", () => {
    expect(findStack(PYTHON)).toEqual({
      language: "python",
      type: "app.errors.BadRow",
      message: "row <*> of <*> is torn",
      frames: ["main worker.py", "<module> worker.py"],
    });
  });

  test("reads Java, and does not take the compiler's numbers for names", () => {
    expect(findStack(JAVA)).toEqual({
      language: "java",
      type: "java.lang.IllegalStateException",
      message: "queue <*> is closed",
      frames: ["com.acme.Worker.lambda$run$", "com.acme.Worker.run", "com.acme.Disk.write"],
    });
  });

  test("reads Go, and only the goroutine that failed", () => {
    expect(findStack(GO)).toMatchObject({
      language: "go",
      type: "panic: runtime error: index out of range [<*>] with length <*>",
      frames: ["main.(*Worker).handle", "main.main"],
    });
  });

  test("takes the last of several: the one nearest to the death", () => {
    expect(findStack(`${PYTHON}\n${NODE}`)?.language).toBe("node");
    expect(findStack(`${NODE}\n${PYTHON}`)?.language).toBe("python");
  });

  test("takes library frames where there are no others", () => {
    const text = "Error: x\n    at emit (node:events:1:2)\n    at run (/a/node_modules/b/c.js:1:2)";
    expect(findStack(text)?.frames).toEqual(["emit node:events", "run c.js"]);
  });

  test("counts a recursion once, and keeps so many frames", () => {
    const deep = `RangeError: Maximum call stack size exceeded\n${"    at walk (/a/tree.js:3:1)\n".repeat(50)}    at main (/a/tree.js:9:1)`;
    expect(findStack(deep)?.frames).toEqual(["walk tree.js", "main tree.js"]);
    const wide = `Error: x\n${Array.from({ length: 40 }, (_, nth) => `    at f${nth} (/a/b.js:1:1)`).join("\n")}`;
    expect(findStack(wide)?.frames).toHaveLength(STACK_FRAMES_MAX);
  });

  test.each([
    "",
    "no stack here",
    "we met at noon (sharp)",
    "    at home",
    "Error: alone",
    "panic: alone",
    "Traceback (most recent call last):",
  ])("finds none in %j", (text) => {
    expect(findStack(text)).toBeNull();
  });

  test("does not choke on what pretends to be a stack", () => {
    for (const unit of [
      "    at ",
      "at (",
      "\tat a.b(c.java:1)\n",
      'File "',
      "Traceback (most recent call last):\n",
      "panic: \n",
      "Error: ",
    ]) {
      const text = unit.repeat(10_000_000 / unit.length);
      expect(findStack(text)?.frames.length ?? 0).toBeLessThanOrEqual(STACK_FRAMES_MAX);
    }
  });
});

describe("fingerprint()", () => {
  const of = (input: Parameters<typeof fingerprint>[1]) => fingerprint(newClusters(), input);

  test("goes by the explicit one, then the stack, then the message, then a line", () => {
    const all = { explicit: "billing/timeout", text: NODE, message: "exit 1", line: "gave up" };
    expect(of(all)).toMatchObject({ kind: "explicit", signature: "billing/timeout" });
    expect(of({ ...all, explicit: null })).toMatchObject({
      kind: "stack",
      signature: "TypeError in Parser.parse parser.js",
    });
    expect(of({ ...all, explicit: "", text: "no stack" })).toMatchObject({ kind: "message", signature: "exit <*>" });
    expect(of({ line: "gave up on job 17" })).toMatchObject({ kind: "template", signature: "gave up on job <*>" });
    expect(of({ text: "no stack", message: " ", line: "\u001b[0m" })).toBeNull();
  });

  test("is the same after a release that moved the lines and the folder", () => {
    const moved = NODE.replaceAll("/srv/app/dist", "/opt/v2/dist")
      .replaceAll(":41:17", ":52:9")
      .replaceAll("id 17", "id 99");
    expect(of({ text: moved })?.id).toBe(of({ text: NODE })?.id);
  });

  test("differs for another type and for another place", () => {
    const ids = [NODE, NODE.replace("TypeError", "RangeError"), NODE.replace("Parser.parse", "Parser.read")].map(
      (text) => of({ text })?.id,
    );
    expect(new Set(ids).size).toBe(3);
  });
});
