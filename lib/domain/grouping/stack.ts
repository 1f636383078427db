/**
 * Finds the last stack trace in a text and keeps what names the fault: the type, and the frames in the application's own
 * code, without line numbers and absolute paths. Node, Python, Java and Go. Linear in the text, which is hostile.
 *
 * @module
 */
import { harmless } from "./harmless.js";
import { lex } from "./lex.js";
import { type Frame, frameOfGo, frameOfJava, frameOfNode, frameOfPython } from "./stack-frames.js";
import { fold, render } from "./template.js";

export type StackLanguage = "node" | "python" | "java" | "go";

export interface StackTrace {
  readonly language: StackLanguage;
  /** Exception type such as `TypeError`, `java.lang.IllegalStateException`; for Go the panic's text with values masked. */
  readonly type: string;
  /** The sentence beside the type, with values masked; empty if there is none. */
  readonly message: string;
  /** Innermost first; the application's own where there are any, else all. */
  readonly frames: readonly string[];
}

/** Lines at the end of a text that are looked at. */
export const STACK_LINES_MAX = 1000;
/** Frames kept; deeper ones say how the program was started, not what failed. */
export const STACK_FRAMES_MAX = 8;

/** The last stack trace in a text, or null. */
export function findStack(text: string): StackTrace | null {
  const lines = lastLines(text);
  let best: { readonly trace: StackTrace; readonly at: number } | null = null;
  for (const [language, read] of READERS) {
    const found = read(lines, language);
    if (found !== null && (best === null || found.at > best.at)) best = found;
  }
  return best?.trace ?? null;
}

function lastLines(text: string): string[] {
  let from = text.length;
  for (let count = 0; count < STACK_LINES_MAX && from > 0; count += 1) {
    const before = text.lastIndexOf("\n", from - 1);
    from = before;
    if (before === -1) break;
  }
  return text
    .slice(Math.max(0, from))
    .split("\n")
    .map((line) => harmless(line).trimEnd());
}

interface Located {
  readonly trace: StackTrace;
  readonly at: number;
}

type Reader = (lines: readonly string[], language: StackLanguage) => Located | null;

const READERS: readonly (readonly [StackLanguage, Reader])[] = [
  ["node", (lines, language) => headThenFrames(lines, language, frameOfNode)],
  ["java", (lines, language) => headThenFrames(lines, language, frameOfJava)],
  ["python", python],
  ["go", go],
];

/** `Type: message`, perhaps more lines of the message, then a run of frames. */
function headThenFrames(
  lines: readonly string[],
  language: StackLanguage,
  frameOf: (line: string) => Frame | null,
): Located | null {
  let last = lines.length - 1;
  while (last >= 0 && frameOf(lines[last] as string) === null) last -= 1;
  if (last < 0) return null;
  let first = last;
  while (first > 0 && isWithin(lines[first - 1] as string, frameOf)) first -= 1;
  while (frameOf(lines[first] as string) === null) first += 1;
  const head = headOf(lines, first);
  if (head === null) return null;
  const frames = lines.slice(first, last + 1).flatMap((line) => frameOf(line) ?? []);
  return { trace: trace(language, head, frames), at: last };
}

/** A run of frames goes on over `... 12 more` and, in Java, over `Caused by:`; its head is that of the first. */
function isWithin(line: string, frameOf: (line: string) => Frame | null): boolean {
  const text = line.trimStart();
  return frameOf(line) !== null || text.startsWith("... ") || text.startsWith("Caused by: ");
}

const HEAD_LINES = 5;

function headOf(lines: readonly string[], before: number): Head | null {
  for (let at = before - 1; at >= 0 && at >= before - HEAD_LINES; at -= 1) {
    const head = readHead(lines[at] as string);
    if (head !== null) return head;
  }
  return null;
}

interface Head {
  readonly type: string;
  readonly message: string;
}

/** Reads `Type: message` or `Type`, after what runtimes and loggers put before it. */
function readHead(line: string): Head | null {
  const text = line.trim();
  const words = text.split(" ", 40);
  let at = 0;
  for (const word of words) {
    const type = word.endsWith(":") ? word.slice(0, -1) : word;
    const isWhole = type !== word || at + word.length === text.length;
    if (isWhole && isExceptionType(type)) return { type, message: masked(text.slice(at + word.length)) };
    at += word.length + 1;
  }
  return null;
}

/** Ends as exceptions are called, or is a dotted name with a capital at its last part. */
function isExceptionType(text: string): boolean {
  if (text.length < 5 || text.length > 160) return false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const fits = (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
    if (!fits && code !== 0x2e && code !== 0x5f && code !== 0x24) return false;
  }
  const last = text.slice(text.lastIndexOf(".") + 1);
  const isNamed = ["Error", "Exception", "Throwable", "Interrupt", "Exit", "Warning", "Iteration"].some((end) =>
    last.endsWith(end),
  );
  const first = last.charCodeAt(0);
  return isNamed && first >= 65 && first <= 90;
}

function python(lines: readonly string[]): Located | null {
  let start = lines.length - 1;
  while (start >= 0 && !(lines[start] as string).includes("Traceback (most recent call last)")) start -= 1;
  if (start < 0) return null;
  const frames: Frame[] = [];
  for (let at = start + 1; at < lines.length; at += 1) {
    const line = lines[at] as string;
    const frame = frameOfPython(line);
    if (frame !== null) frames.unshift(frame);
    else if (line !== "" && !line.startsWith(" ")) {
      const colon = line.indexOf(":");
      const type = (colon === -1 ? line : line.slice(0, colon)).trim();
      if (type === "" || type.includes(" ") || frames.length === 0) return null;
      return { trace: trace("python", { type, message: masked(line.slice(type.length)) }, frames), at };
    }
  }
  return null;
}

function go(lines: readonly string[]): Located | null {
  let start = lines.length - 1;
  while (start >= 0 && !isGoHead(lines[start] as string)) start -= 1;
  if (start < 0) return null;
  const frames: Frame[] = [];
  let last = start;
  for (let at = start + 1; at + 1 < lines.length; at += 1) {
    // Only the goroutine that failed: it is the first; the others are where they happened to be.
    if ((lines[at] as string) === "" && frames.length > 0) break;
    const frame = frameOfGo(lines[at] as string, lines[at + 1] as string);
    if (frame === null) continue;
    frames.push(frame);
    last = at + 1;
  }
  if (frames.length === 0) return null;
  const head = lines[start] as string;
  const colon = head.indexOf(": ");
  return {
    trace: trace("go", { type: masked(head), message: masked(head.slice(colon + 1)) }, frames),
    at: last,
  };
}

function isGoHead(line: string): boolean {
  return line.startsWith("panic: ") || line.startsWith("fatal error: ");
}

function trace(language: StackLanguage, head: Head, frames: readonly Frame[]): StackTrace {
  const own = frames.filter((frame) => frame.isOwn);
  const names = (own.length > 0 ? own : frames).map((frame) => frame.name);
  // Recursion repeats a frame as often as it likes.
  const kept = names.filter((name, at) => name !== names[at - 1]).slice(0, STACK_FRAMES_MAX);
  return { language, type: head.type, message: head.message, frames: kept };
}

function masked(text: string): string {
  const lexed = lex(text.startsWith(":") ? text.slice(1) : text);
  return fold(render(lexed, new Set())).slice(0, 200);
}
