/** Reads one frame of a stack trace: function and file name, and whether it is the application's own. @module */

export interface Frame {
  /** `function file`, or what there is of it. */
  readonly name: string;
  readonly isOwn: boolean;
}

/** `    at handle (file:///app/dist/worker.js:10:5)`, `    at /app/x.js:1:2`, `    at async Promise.all (index 0)`. */
export function frameOfNode(line: string): Frame | null {
  const text = line.trimStart();
  if (!text.startsWith("at ") || text === line) return null;
  const opens = text.lastIndexOf("(");
  const place = opens === -1 ? text.slice(3) : text.slice(opens + 1, text.endsWith(")") ? -1 : undefined);
  const where = withoutPosition(place.startsWith("async ") ? place.slice(6) : place);
  const isFile = where !== place && !where.endsWith(".java") && !where.endsWith(".kt") && !where.endsWith(".scala");
  if (!isFile && !place.startsWith("node:") && !place.startsWith("index ") && place !== "<anonymous>") return null;
  const called = opens === -1 ? "" : text.slice(3, opens).trim();
  const isOwn =
    isFile && !where.startsWith("node:") && !where.startsWith("internal/") && !where.includes("node_modules/");
  return { name: named(nameOfNode(called), isFile ? baseName(where) : ""), isOwn };
}

function nameOfNode(called: string): string {
  const text = called.startsWith("async ") ? called.slice(6) : called;
  const alias = text.indexOf(" [as ");
  return alias === -1 ? text : text.slice(0, alias);
}

/** `  File "/app/worker.py", line 3, in handle`. */
export function frameOfPython(line: string): Frame | null {
  const text = line.trimStart();
  if (!text.startsWith('File "') || text === line) return null;
  const end = text.indexOf('", line ', 6);
  if (end === -1) return null;
  const path = text.slice(6, end);
  const inside = text.indexOf(", in ", end);
  const isLibrary =
    path.includes("site-packages/") ||
    path.includes("dist-packages/") ||
    path.includes("/lib/python") ||
    path.startsWith("<frozen");
  return { name: named(inside === -1 ? "" : text.slice(inside + 5), baseName(path)), isOwn: !isLibrary };
}

const JAVA_LIBRARIES = [
  "java.",
  "javax.",
  "jakarta.",
  "jdk.",
  "sun.",
  "com.sun.",
  "kotlin.",
  "kotlinx.",
  "scala.",
  "org.apache.",
  "org.springframework.",
  "org.eclipse.",
  "org.hibernate.",
  "io.netty.",
  "reactor.",
];

/** `\tat com.acme.Worker.handle(Worker.java:12)`, with a module before it in newer ones. */
export function frameOfJava(line: string): Frame | null {
  const text = line.trimStart();
  if (!text.startsWith("at ") || text === line) return null;
  const opens = text.indexOf("(");
  const closes = text.indexOf(")", opens);
  if (opens === -1 || closes === -1) return null;
  const place = text.slice(opens + 1, closes);
  const isJava =
    place === "Native Method" ||
    place === "Unknown Source" ||
    [".java", ".kt", ".scala", ".groovy"].some((end) => withoutPosition(place).endsWith(end));
  const called = text.slice(3, opens);
  if (!isJava || called.includes(" ")) return null;
  const name = called.slice(called.lastIndexOf("/") + 1);
  return { name: withoutNumbers(name), isOwn: !JAVA_LIBRARIES.some((library) => name.startsWith(library)) };
}

/** `main.handle(0xc000…)` and below it `\t/app/main.go:12 +0x1d`. */
export function frameOfGo(line: string, below: string): Frame | null {
  if (line === "" || line.startsWith("\t") || line.startsWith(" ") || !isGoPlace(below)) return null;
  const created = line.startsWith("created by ") ? line.slice(11) : line;
  const opens = created.lastIndexOf("(");
  const name = opens > 0 ? created.slice(0, opens) : (created.split(" ", 1)[0] as string);
  const path = below.trimStart();
  const isLibrary =
    path.includes("/go/src/") || path.includes("/pkg/mod/") || path.includes("/vendor/") || name.startsWith("runtime.");
  return { name: withoutNumbers(name.slice(name.lastIndexOf("/") + 1)), isOwn: !isLibrary && name !== "panic" };
}

/** Tabs have become spaces by now. */
function isGoPlace(line: string): boolean {
  const text = line.trimStart();
  return text !== line && text.includes(".go:");
}

/** Without `:line:column` or `:line`. */
function withoutPosition(place: string): string {
  let end = place.length;
  for (let count = 0; count < 2; count += 1) {
    const colon = place.lastIndexOf(":", end - 1);
    if (colon <= 0 || colon === end - 1 || !isNumber(place, colon + 1, end)) break;
    end = colon;
  }
  return place.slice(0, end);
}

function isNumber(text: string, from: number, end: number): boolean {
  for (let at = from; at < end; at += 1) if (text.charCodeAt(at) < 48 || text.charCodeAt(at) > 57) return false;
  return end > from;
}

function baseName(path: string): string {
  const slash = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  const query = path.indexOf("?", slash + 1);
  return path.slice(slash + 1, query === -1 ? undefined : query);
}

/** `lambda$main$0` and `func1` are numbered by the compiler: another build numbers them otherwise. */
function withoutNumbers(name: string): string {
  return name.replace(/\d+/g, "");
}

function named(called: string, file: string): string {
  return called === "" ? file : file === "" ? called : `${called} ${file}`;
}
