/**
 * Groups lines by the template that wrote them, as they come, in bounded memory.
 *
 * Lines with equal text after masking share a *shape*; shapes with equal separators and an equal first word share a
 * *bucket*, as in the first levels of Drain's tree; within a bucket the statistics of each place decide (see
 * partition.ts); templates that agree once runs of values are folded are one group. Groups merge and never split, and a
 * group keeps the id of its larger part; the others become aliases of it.
 *
 * What {@link settleAll} makes of a set of lines does not depend on their order, as long as no limit was reached.
 * @module
 * @see https://doi.org/10.1109/ICWS.2017.13 Drain
 */

import { harmless } from "./harmless.js";
import { lex } from "./lex.js";
import { shortHash } from "./name.js";
import { areAlike, type Part, partition } from "./partition.js";
import { fold, oneSpaced, render, squeeze } from "./template.js";
import { VALUE, type Word } from "./word.js";

export interface ClusterLimits {
  /** Shapes remembered; beyond it, the eighth that was seen longest ago is forgotten. */
  readonly shapesMax: number;
  /** Shapes in one bucket; beyond it, the shapes of a group with parameters become one. */
  readonly bucketMax: number;
}

export const CLUSTER_LIMITS: ClusterLimits = { shapesMax: 20_000, bucketMax: 256 };

export interface KnownShape {
  readonly key: string;
  readonly separators: readonly string[];
  readonly words: readonly Word[];
  readonly bucket: string;
  /** Stands for all shapes of its group in this bucket; new ones that fit are counted with it. */
  readonly isGeneral: boolean;
  count: number;
  /** When it was last seen, in lines. */
  seenAt: number;
  /** Null until its bucket is settled. */
  groupId: string | null;
}

export interface Group {
  readonly id: string;
  template: string;
  /** Lines of all its shapes, forgotten ones included. */
  count: number;
  /** Lines of the part that gave the template. */
  weight: number;
}

/** Changed in place; a plain copy of it is made by `clusters-record.ts`. */
export interface Clusters {
  readonly limits: ClusterLimits;
  lines: number;
  readonly shapes: Map<string, KnownShape>;
  readonly buckets: Map<string, KnownShape[]>;
  readonly unsettled: Set<string>;
  readonly groups: Map<string, Group>;
  /** Id of a group that was merged into another. */
  readonly aliases: Map<string, string>;
  /** Folded template to the id of its group. */
  readonly templates: Map<string, string>;
}

export function newClusters(limits: ClusterLimits = CLUSTER_LIMITS): Clusters {
  return {
    limits,
    lines: 0,
    shapes: new Map(),
    buckets: new Map(),
    unsettled: new Set(),
    groups: new Map(),
    aliases: new Map(),
    templates: new Map(),
  };
}

/** Learns one line and says which group it is in now. A later line may merge that group into another. */
export function assign(clusters: Clusters, line: string): Group {
  const shape = learn(clusters, line);
  if (shape.groupId === null) settleOne(clusters, shape);
  return groupOf(clusters, shape) as Group;
}

/** Learns one line and leaves its group open until {@link settleAll}. */
export function learn(clusters: Clusters, line: string): KnownShape {
  const { separators, words } = lex(harmless(line));
  const key = keyOf(separators, words);
  clusters.lines += 1;
  const known = clusters.shapes.get(key);
  if (known !== undefined) {
    known.count += 1;
    known.seenAt = clusters.lines;
    if (known.groupId !== null) (groupOf(clusters, known) as Group).count += 1;
    return known;
  }
  const bucket = bucketOf(separators, words);
  const general = generalFor(clusters, bucket, words);
  if (general !== null) {
    general.count += 1;
    general.seenAt = clusters.lines;
    (groupOf(clusters, general) as Group).count += 1;
    return general;
  }
  const shape: KnownShape = {
    key,
    separators,
    words,
    bucket,
    count: 1,
    seenAt: clusters.lines,
    groupId: null,
    isGeneral: false,
  };
  add(clusters, shape);
  if ((clusters.buckets.get(bucket) as KnownShape[]).length > clusters.limits.bucketMax) compact(clusters, bucket);
  if (clusters.shapes.size > clusters.limits.shapesMax) forget(clusters);
  else if (namesOf(clusters) > 2 * clusters.limits.shapesMax) sweep(clusters);
  return shape;
}

/** Finds the group of a line whose like was learned, without learning; null if it is new, or was forgotten. */
export function find(clusters: Clusters, line: string): Group | null {
  const { separators, words } = lex(harmless(line));
  const known =
    clusters.shapes.get(keyOf(separators, words)) ?? generalFor(clusters, bucketOf(separators, words), words);
  return known === null ? null : groupOf(clusters, known);
}

/** Settles every bucket that has learned something. */
export function settleAll(clusters: Clusters): void {
  for (const bucket of [...clusters.unsettled].sort()) settle(clusters, bucket);
}

/** The group that an id stands for now. */
export function resolve(clusters: Clusters, id: string): Group | null {
  let found = id;
  for (let next = clusters.aliases.get(found); next !== undefined; next = clusters.aliases.get(found)) found = next;
  return clusters.groups.get(found) ?? null;
}

export function groupOf(clusters: Clusters, shape: KnownShape): Group | null {
  return shape.groupId === null ? null : resolve(clusters, shape.groupId);
}

function keyOf(separators: readonly string[], words: readonly Word[]): string {
  let key = separators[0] as string;
  for (let at = 0; at < words.length; at += 1) key += `${(words[at] as Word).text}\0${separators[at + 1]}`;
  return key;
}

/** As in Drain, the first word tells templates apart, unless it is a value itself. */
function bucketOf(separators: readonly string[], words: readonly Word[]): string {
  const first = words[0];
  const name = first !== undefined && (first.class === "plain" || first.class === "capitals") ? first.text : "";
  return `${name}\0${separators.map(squeeze).join("\0")}`;
}

/** The shape of a bucket that already stands for such words. */
function generalFor(clusters: Clusters, bucket: string, words: readonly Word[]): KnownShape | null {
  for (const shape of clusters.buckets.get(bucket) ?? []) if (shape.isGeneral && fits(shape, words)) return shape;
  return null;
}

function fits(shape: KnownShape, words: readonly Word[]): boolean {
  return words.every((word, at) => {
    const wanted = shape.words[at] as Word;
    return wanted.text === word.text || (wanted.class === "value" && word.class !== "fixed");
  });
}

function namesOf(clusters: Clusters): number {
  return clusters.groups.size + clusters.aliases.size + clusters.templates.size / 2;
}

function add(clusters: Clusters, shape: KnownShape): void {
  clusters.shapes.set(shape.key, shape);
  const bucket = clusters.buckets.get(shape.bucket);
  if (bucket === undefined) clusters.buckets.set(shape.bucket, [shape]);
  else bucket.push(shape);
  clusters.unsettled.add(shape.bucket);
}

function settle(clusters: Clusters, bucket: string): readonly Part<KnownShape>[] {
  clusters.unsettled.delete(bucket);
  const parts = partition(clusters.buckets.get(bucket) as KnownShape[]);
  for (const part of parts) settlePart(clusters, part);
  return parts;
}

/** Finds the group of a new shape among those that could be one template with it: the others learn nothing from it. */
function settleOne(clusters: Clusters, shape: KnownShape): void {
  const bucket = clusters.buckets.get(shape.bucket) as KnownShape[];
  const near = bucket.filter((other) => other === shape || areAlike(other, shape));
  const part = partition(near).find(({ members }) => members.includes(shape)) as Part<KnownShape>;
  settlePart(clusters, part);
  if (bucket.every(({ groupId }) => groupId !== null)) clusters.unsettled.delete(shape.bucket);
}

function settlePart(clusters: Clusters, part: Part<KnownShape>): void {
  const template = oneSpaced(render(part.members[0] as KnownShape, part.parameters));
  const folded = fold(template);
  const ids = new Set<string>();
  let weight = 0;
  let fresh = 0;
  for (const member of part.members) {
    weight += member.count;
    if (member.groupId === null) fresh += member.count;
    else ids.add((groupOf(clusters, member) as Group).id);
  }
  const namesake = clusters.templates.get(folded);
  if (namesake !== undefined) ids.add((resolve(clusters, namesake) as Group).id);
  const group = ids.size === 0 ? newGroup(clusters, template, folded) : merge(clusters, [...ids]);
  group.count += fresh;
  retitle(clusters, group, template, folded, weight);
  for (const member of part.members) member.groupId = group.id;
}

function newGroup(clusters: Clusters, template: string, folded: string): Group {
  let id = shortHash(folded);
  // Taken by a group that began with this template and goes by another now.
  while (clusters.groups.has(id) || clusters.aliases.has(id)) id = shortHash(`${id}${folded}`);
  const group: Group = { id, template, count: 0, weight: 0 };
  clusters.groups.set(id, group);
  clusters.templates.set(folded, id);
  return group;
}

function merge(clusters: Clusters, ids: readonly string[]): Group {
  const found = ids.map((id) => clusters.groups.get(id) as Group);
  found.sort((a, b) => b.count - a.count || (a.id < b.id ? -1 : 1));
  const [kept, ...others] = found as [Group, ...Group[]];
  for (const other of others) {
    kept.count += other.count;
    clusters.groups.delete(other.id);
    clusters.aliases.set(other.id, kept.id);
  }
  return kept;
}

/** The part with the most lines behind it gives a group its template. */
function retitle(clusters: Clusters, group: Group, template: string, folded: string, weight: number): void {
  if (weight >= group.weight) {
    group.template = template;
    group.weight = weight;
  }
  clusters.templates.set(folded, group.id);
}

/** Makes one shape of each group in the bucket; if that is not enough, the older half of the bucket is forgotten. */
function compact(clusters: Clusters, bucket: string): void {
  const parts = settle(clusters, bucket);
  const kept: KnownShape[] = [];
  for (const part of parts) {
    if (part.parameters.size === 0) kept.push(...part.members);
    else kept.push(generalised(part));
  }
  // What stands for many is worth more than what was seen last.
  kept.sort((a, b) => Number(b.isGeneral) - Number(a.isGeneral) || b.seenAt - a.seenAt);
  for (const shape of clusters.buckets.get(bucket) as KnownShape[]) clusters.shapes.delete(shape.key);
  const half = Math.max(1, clusters.limits.bucketMax >>> 1);
  clusters.buckets.set(bucket, kept.slice(0, half));
  for (const shape of kept.slice(0, half)) clusters.shapes.set(shape.key, shape);
}

function generalised({ members, parameters }: Part<KnownShape>): KnownShape {
  const first = members[0] as KnownShape;
  const words = first.words.map((word, at) => (parameters.has(at) ? VALUE : word));
  return {
    ...first,
    key: keyOf(first.separators, words),
    words,
    isGeneral: true,
    count: members.reduce((sum, member) => sum + member.count, 0),
    seenAt: Math.max(...members.map((member) => member.seenAt)),
  };
}

/** Forgets the shapes that were not seen for longest, and the groups and names that only they had. */
function forget(clusters: Clusters): void {
  const byAge = [...clusters.shapes.values()].sort((a, b) => a.seenAt - b.seenAt);
  const gone = new Set(byAge.slice(0, Math.max(1, byAge.length >>> 3)));
  for (const shape of gone) clusters.shapes.delete(shape.key);
  for (const [name, shapes] of clusters.buckets) {
    const kept = shapes.filter((shape) => !gone.has(shape));
    if (kept.length > 0) clusters.buckets.set(name, kept);
    else {
      clusters.buckets.delete(name);
      clusters.unsettled.delete(name);
    }
  }
  sweep(clusters);
}

/** Forgets groups, aliases and names that no shape has. */
function sweep(clusters: Clusters): void {
  const used = new Set<string>();
  for (const shape of clusters.shapes.values())
    if (shape.groupId !== null) used.add((groupOf(clusters, shape) as Group).id);
  const isUsed = (id: string): boolean => used.has(resolve(clusters, id)?.id ?? "");
  for (const [folded, id] of clusters.templates) if (!isUsed(id)) clusters.templates.delete(folded);
  for (const id of clusters.aliases.keys()) if (!isUsed(id)) clusters.aliases.delete(id);
  for (const id of clusters.groups.keys()) if (!used.has(id)) clusters.groups.delete(id);
  shortenAliases(clusters);
}

/** Shapes are told the id they stand for now; then old aliases serve only readers, who keep the newest. */
function shortenAliases(clusters: Clusters): void {
  for (const shape of clusters.shapes.values())
    if (shape.groupId !== null) shape.groupId = (groupOf(clusters, shape) as Group).id;
  for (const [folded, id] of clusters.templates) clusters.templates.set(folded, (resolve(clusters, id) as Group).id);
  let surplus = clusters.aliases.size - clusters.limits.shapesMax / 2;
  for (const id of clusters.aliases.keys()) {
    if (surplus <= 0) break;
    clusters.aliases.delete(id);
    surplus -= 1;
  }
}
