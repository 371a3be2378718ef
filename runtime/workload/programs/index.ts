// The programs that come along, by name.

import type { Program } from '../heap.ts';
import { binaryTrees } from './binary-trees.ts';
import { bufferChurn } from './buffer-churn.ts';
import { graphs } from './graphs.ts';
import { growingTrees } from './growing-trees.ts';
import { hello } from './hello.ts';
import { intList } from './int-list.ts';
import { intMap } from './int-map.ts';
import { linkedList } from './linked-list.ts';
import { jsonRoundTrip } from './json-round-trip.ts';
import { lruCache } from './lru-cache.ts';
import { matrix } from './matrix.ts';
import { pipeline } from './pipeline.ts';
import { server } from './server.ts';
import { simulation } from './simulation.ts';
import { stringBuilding } from './string-building.ts';
import { strings } from './strings.ts';
import { structs } from './structs.ts';
import { closures } from './closures.ts';
import { gridBfs } from './grid-bfs.ts';
import { groups } from './groups.ts';
import { messages } from './messages.ts';
import { sortRecords } from './sort-records.ts';
import { walk } from './walk.ts';
import { wordCount } from './word-count.ts';

export const programs: Readonly<Record<string, Program>> = {
  binary_trees: binaryTrees,
  buffer_churn: bufferChurn,
  graphs,
  hello,
  int_list: intList,
  int_map: intMap,
  linked_list: linkedList,
  lru_cache: lruCache,
  matrix,
  pipeline,
  server,
  strings,
  structs,
  closures,
  grid_bfs: gridBfs,
  groups,
  messages,
  sort_records: sortRecords,
  walk,
  word_count: wordCount,
  growing_trees: growingTrees,
  json_round_trip: jsonRoundTrip,
  simulation,
  string_building: stringBuilding,
};
