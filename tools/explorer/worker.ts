// The worker's entry: what the page may call.

import { expose } from 'comlink';
import { Engine } from './engine.ts';

expose(new Engine());
