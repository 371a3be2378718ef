// An observation of a Python script as a line for people.

import { type Top, topText } from './allocation-top.ts';
import { gcStepText } from './gc-steps.ts';

/** `line: call name -> result; what else happened`. */
export function story(observation: object): string {
  const o = observation as Record<string, unknown>;
  if (typeof o['calls'] === 'number') return checkpoint(o);
  if (o['top'] !== undefined) return topText(o['top'] as Top).join('\n');
  const parts: string[] = [];
  const say = (label: string, value: unknown): void => {
    if (value !== undefined) parts.push(`${label} ${show(value)}`);
  };
  if (typeof o['error'] === 'string') parts.push(`raises ${o['error']}`);
  say('->', o['ret'] ?? o['runs']);
  say('sizes', o['sizes']);
  say('maps arena', o['mmap']);
  say('unmaps arena', o['munmap']);
  say('collects', o['gc']);
  say('finalizes', o['finalized']);
  say('calls back', o['callbacks']);
  say('dead:', o['died']);
  say('allocator', o['mem']);
  if (o['stats'] !== undefined) say('', o['stats']);
  const name = typeof o['name'] === 'string' ? ` ${o['name']}` : '';
  const head = `${String(o['line']).padStart(4)}  ${String(o['call'])}${name}`;
  const line = `${head.padEnd(32)} ${parts.join('; ')}`.trimEnd();
  const said = ((o['debug'] ?? []) as string[]).map((text) => `        ${text}`);
  const steps = ((o['steps'] ?? []) as object[]).map(gcStepText);
  return [line, ...steps, ...said].join('\n');
}

function checkpoint(o: Record<string, unknown>): string {
  const head = `${String(o['calls']).padStart(10)} calls, ${String(o['mark'])}`;
  return `${head.padEnd(32)} ${show(o['stats'])}`;
}

function show(value: unknown): string {
  return JSON.stringify(value).replace(/"/g, '').replace(/,/g, ', ');
}
