/** Clusters as plain JSON, so that a daemon takes up where it stopped. @module */
import {
  CLUSTER_LIMITS,
  type ClusterLimits,
  type Clusters,
  type Group,
  type KnownShape,
  newClusters,
} from "./clusters.js";
import type { WordClass } from "./word.js";

/** One shape: key, bucket, separators, words, classes of the words (a letter each), lines, last seen, group, general. */
export type ShapeRecord = readonly [
  key: string,
  bucket: string,
  separators: readonly string[],
  words: readonly string[],
  classes: string,
  count: number,
  seenAt: number,
  groupId: string | null,
  isGeneral: boolean,
];

export interface ClustersRecord {
  readonly lines: number;
  readonly shapes: readonly ShapeRecord[];
  readonly groups: readonly Group[];
  readonly aliases: readonly (readonly [string, string])[];
  readonly templates: readonly (readonly [string, string])[];
}

const LETTERS: Readonly<Record<WordClass, string>> = { value: "v", mixed: "m", plain: "p", capitals: "c", fixed: "f" };
const CLASSES: Readonly<Record<string, WordClass>> = { v: "value", m: "mixed", p: "plain", c: "capitals", f: "fixed" };

export function toRecord(clusters: Clusters): ClustersRecord {
  return {
    lines: clusters.lines,
    shapes: [...clusters.shapes.values()].map((shape) => [
      shape.key,
      shape.bucket,
      shape.separators,
      shape.words.map((word) => word.text),
      shape.words.map((word) => LETTERS[word.class]).join(""),
      shape.count,
      shape.seenAt,
      shape.groupId,
      shape.isGeneral,
    ]),
    groups: [...clusters.groups.values()].map((group) => ({ ...group })),
    aliases: [...clusters.aliases],
    templates: [...clusters.templates],
  };
}

/** Takes up clusters again; what follows is as if they had never been put down. */
export function fromRecord(record: ClustersRecord, limits: ClusterLimits = CLUSTER_LIMITS): Clusters {
  const clusters = newClusters(limits);
  clusters.lines = record.lines;
  for (const group of record.groups) clusters.groups.set(group.id, { ...group });
  for (const [from, to] of record.aliases) clusters.aliases.set(from, to);
  for (const [folded, id] of record.templates) clusters.templates.set(folded, id);
  for (const one of record.shapes) {
    const shape = readShape(one);
    clusters.shapes.set(shape.key, shape);
    const bucket = clusters.buckets.get(shape.bucket);
    if (bucket === undefined) clusters.buckets.set(shape.bucket, [shape]);
    else bucket.push(shape);
    if (shape.groupId === null) clusters.unsettled.add(shape.bucket);
  }
  return clusters;
}

function readShape([
  key,
  bucket,
  separators,
  words,
  classes,
  count,
  seenAt,
  groupId,
  isGeneral,
]: ShapeRecord): KnownShape {
  return {
    key,
    bucket,
    separators,
    words: words.map((text, at) => ({ text, class: CLASSES[classes[at] ?? "p"] ?? "plain" })),
    count,
    seenAt,
    groupId,
    isGeneral,
  };
}
