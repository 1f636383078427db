/** Invariants of files as such: their names, their kinds, who may write them, and that they can be read. @module */
import { basename, dirname, join } from "node:path";
import { isId } from "../../lib/schema/primitives.js";
import { readAttemptName } from "../../lib/schema/worker-spec.js";
import { FORMAT } from "../../lib/store/home.js";
import { claimOf } from "../../lib/store/mailbox.js";
import { ASIDE, TEMPORARY } from "./entries.js";
import type { Entry, Facts, RecordFact } from "./facts.js";
import type { Found, Invariant } from "./finding.js";

const HOUR_MS = 3_600_000;
/** A temporary file lives for microseconds; one whose writer has ended and that is older was left. */
const TEMPORARY_MS = 10_000;

const isIdName = (name: string): boolean => name.endsWith(".json") && isId(name.slice(0, -".json".length));
const isAttemptName = (name: string): boolean => isId(readAttemptName(name)?.workerId);
const isJsonName = (name: string): boolean => name.endsWith(".json");

/** The names that somebody reads, by folder below `coordination/`. Folders of people are not listed: they may keep notes. */
const NAMES: Readonly<Record<string, (name: string) => boolean>> = {
  "worker-specs/active": isIdName,
  "worker-specs/zombie": isAttemptName,
  "worker-specs/completed": isAttemptName,
  "worker-specs/failed": isAttemptName,
  heartbeats: isIdName,
  launches: isAttemptName,
  exits: isAttemptName,
  "circuit-breakers": isIdName,
  "restart/claimed": (name) => claimOf(name) !== null,
  "restart/queue": isJsonName,
  "auto-fix/runs": isIdName,
  "auto-fix/pending": (name) => isIdName(name.replace(/\.json\.why$/, ".json")),
  "decisions/policies": isIdName,
};

/** Folders below `coordination/` whose files heald alone makes: nobody else need read them. */
const OWN_FOLDERS =
  /^(?:events|decisions|state|patterns|launches|exits|reports|worker-specs\/(?:zombie|completed|failed|archived)|auto-fix\/(?:runs|notify)|run)(?:\/|$)/;
/** Lock folders, whose modes are a library's choice. */
const OPEN_NAMES = /\.lock(?:\/|$)/;

export const FILE_INVARIANTS: readonly Invariant[] = [
  {
    name: "version",
    sentence: "VERSION can be read and names a format that this version knows.",
    severity: "wrong",
    repair: "a missing VERSION is written",
    check: ({ version, coordination }) => {
      const path = join(coordination, "VERSION");
      if (version === null) {
        const message = "it is not there; the first daemon, or heald init, writes it";
        return [{ about: "VERSION", message, severity: "warning", repair: { kind: "write-version", path } }];
      }
      if (version.value === null) return [{ about: "VERSION", message: `cannot be read: ${version.problem}` }];
      const { format } = version.value;
      return format > FORMAT
        ? [{ about: "VERSION", message: `format ${format}, known are formats up to ${FORMAT}` }]
        : [];
    },
  },
  {
    name: "no-links",
    sentence: "Nothing in the home is a link, a pipe, a socket or a device: readers follow none.",
    severity: "warning",
    repair: "",
    check: ({ entries }) =>
      entries
        .filter(({ kind }) => kind === "link" || kind === "other")
        .map(({ shown, kind }) => ({
          about: shown,
          message: kind === "link" ? "is a symbolic link; it is not followed" : "is a pipe, a socket or a device",
        })),
  },
  {
    name: "names",
    sentence: "Every file in a folder of records has a name that is read, and no folder lies in one.",
    severity: "warning",
    repair: "the file is moved to aside/",
    check: ({ entries }) => [
      ...entries.filter(isStray).map(strayFound),
      ...entries
        .filter(isInPlaceOfFile)
        .map(({ shown }) => ({ about: shown, message: "is a folder where files are read" })),
    ],
  },
  {
    name: "modes",
    sentence: "Folders are 0750 and files 0640, or less; others write nothing, and a group only beats.",
    severity: "warning",
    repair: "the extra permissions are taken away",
    check: ({ entries }) => entries.flatMap(modeFound),
  },
  {
    name: "no-temporaries",
    sentence: "No temporary file is left by a writer that has ended.",
    severity: "warning",
    repair: "the temporary file is removed",
    check: ({ entries, nowMs }) =>
      entries
        .filter((entry) => isLeft(entry, nowMs))
        .map(({ path, shown }) => ({
          about: shown,
          message: "was left by a writer that was killed; nobody reads it",
          repair: { kind: "remove-temporary", path },
        })),
  },
  {
    name: "records",
    sentence: "Every record can be read, with every field as its schema wants it.",
    severity: "wrong",
    repair: "",
    check: (facts) => unreadable(facts).map(({ shown, problem }) => unreadableFound(shown, problem)),
  },
];

function isStray({ kind, shown }: Entry): boolean {
  const name = basename(shown);
  const isRead = NAMES[dirname(shown)] ?? (dirname(dirname(shown)) === "worker-specs/archived" ? isAttemptName : null);
  if (isRead === null || kind !== "file" || name.startsWith(".") || name === "README.md") return false;
  return !isRead(name);
}

/** A folder has no content that a reader of records could have: what it means for one is up to that reader. */
function isInPlaceOfFile({ kind, shown }: Entry): boolean {
  const folder = dirname(shown);
  return kind === "folder" && (Object.hasOwn(NAMES, folder) || folder === "holds" || folder === "desired");
}

function strayFound({ path, shown, inode, mtimeMs }: Entry): Found {
  const repair = { kind: "set-aside", path, inode, mtimeMs } as const;
  return { about: shown, message: "has a name that nobody reads here", repair };
}

function modeFound({ path, shown, kind, mode, uid, gid, links }: Entry): Found[] {
  if (kind !== "file" && kind !== "folder") return [];
  if (shown.startsWith(ASIDE) || OPEN_NAMES.test(shown)) return [];
  const isBeats = shown === "heartbeats" || shown.startsWith("heartbeats/");
  // A shell with umask 002 gives its user's own group the right to write; that group is that user.
  const isPrivateGroup = gid === uid && uid !== 0;
  const wanted = kind === "folder" ? 0o750 : 0o640;
  let tooMuch = mode & 0o002;
  if (!isBeats && !isPrivateGroup) tooMuch |= mode & 0o020;
  if (kind === "folder" ? !isBeats : OWN_FOLDERS.test(shown)) tooMuch |= mode & 0o777 & ~wanted & ~0o020;
  if (tooMuch === 0 || links === 0) return [];
  const less = mode & ~tooMuch;
  const message = `has mode ${octal(mode)}, ${(tooMuch & 0o022) !== 0 ? "others can write it" : "others can read it"}; ${octal(less)} is enough`;
  return [{ about: shown, message, repair: { kind: "set-mode", path, mode: less } }];
}

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0");

function isLeft({ kind, shown, mtimeMs, isWriterAlive }: Entry, nowMs: number): boolean {
  if (kind !== "file" || !TEMPORARY.test(basename(shown))) return false;
  return nowMs - mtimeMs > (isWriterAlive === false ? TEMPORARY_MS : HOUR_MS);
}

function unreadable(facts: Facts): Pick<RecordFact<unknown>, "shown" | "problem">[] {
  const { specs, launches, exits, holds, breakers, budget, pendingFixes, runs, requests } = facts;
  const others = [...specs, ...launches, ...exits, ...holds, ...breakers, ...pendingFixes, ...runs];
  return [...others, ...(budget === null ? [] : [budget]), ...requests, ...facts.unreadable].filter(
    ({ problem }) => problem !== null,
  );
}

function unreadableFound(shown: string, problem: string | null): Found {
  const message = `cannot be read: ${problem}`;
  // What workers and people write is refused, said once, and waits for them.
  return /^(?:heartbeats|restart\/queue)\//.test(shown)
    ? { about: shown, message, severity: "warning" }
    : { about: shown, message };
}
