"""Runs parsed object scripts on this interpreter: what the real CPython does for each statement.

    python record.py RECORDER_FOLDER < SCRIPTS > OBSERVATIONS

SCRIPTS: a line of JSON for each script, the statements as tools/python/object-script.ts parses them. OBSERVATIONS: a
line for each, a list of observations as the format of object scripts has them. Each script runs in a process of its own
(fork), since the interpreter cannot be made new."""
import array
import gc
import json
import os
import sys

sys.path.insert(0, sys.argv[1])
import recorder  # noqa: E402

OPS = ('list tuple dict set int float str bytes instance ref alias getitem getattr pop deref del append extend insert POP '
       'clear add discard setitem setattr delitem delattr collect gc.disable gc.enable gc.freeze gc.set_threshold grow '
       'FILL_INT FILL_STR DRAIN_POP DRAIN_INT DRAIN_STR refcount sizeof len tracked generation alive is stats END').split()
OP = {name: i for i, name in enumerate(OPS)}
CHARACTERS = {'ascii': 'a', 'latin1': '\u00e9', 'ucs2': '\u4e2d', 'ucs4': '\U0001f600'}
OBSERVE = {'refcount', 'sizeof', 'len', 'tracked', 'generation', 'alive'}


def nop():
    pass


class Compiler:
    """Statements to operations on numbered slots."""

    def __init__(self):
        self.slots = []
        self.names = {}
        self.literals = {}
        self.classes = {}
        self.code = array.array('q')

    def slot(self, value=...):
        self.slots.append(value)
        return len(self.slots) - 1

    def name(self, o, i, ranged=True):
        if o['indices'] is None:
            key = o['base']
        else:
            key = '%s@%d' % (o['base'], o['indices'][i if o['isRange'] else 0])
        return self.named(key)

    def named(self, key):
        if key not in self.names:
            self.names[key] = self.slot()
        return self.names[key]

    def literal(self, value):
        key = type(value), value
        if key not in self.literals:
            self.literals[key] = self.slot(sys.intern(value) if isinstance(value, str) else value)
        return self.literals[key]

    def operand(self, o, i):
        if o['is'] == 'name':
            return self.name(o, i)
        return self.literal({'none': lambda: None, 'int': lambda: o['value'], 'string': lambda: o['text']}[o['is']]())

    def class_of(self, o):
        finalizer = o['finalizer'] or o['resurrect'] is not None
        key = o['class'], o['slots'], o['weakref'], finalizer
        if key not in self.classes:
            body = {}
            if o['slots'] is not None:
                body['__slots__'] = tuple('s%d' % i for i in range(o['slots'])) + (('__weakref__',) if o['weakref'] else ())
            if finalizer:
                note = recorder.on_finalize

                def __del__(self):
                    note(self)
                body['__del__'] = __del__
            self.classes[key] = self.slot(type(o['class'], (), body))
        return self.classes[key]

    def emit(self, s, line, i, op, *args):
        self.code.extend([s, line, OP[op], len(args), i])
        self.code.extend(args)

    def expression(self, e, i):
        """Operation and arguments behind the target."""
        kind = e['is']
        if kind in ('list', 'tuple'):
            if e['length'] is not None:
                return kind, [0, e['length']]
            items = []
            for item in e['items']:
                if item['is'] == 'star':
                    n = item['name']
                    items += [self.named('%s@%d' % (n['base'], k)) for k in n['indices']]
                else:
                    items.append(self.operand(item, i))
            return kind, [1, len(items)] + items
        if kind in ('dict', 'set'):
            return kind, []
        if kind == 'int':
            value = int(e['literal'])
            return kind, [value, 0] if abs(value) < 2 ** 30 else [self.slot(e['literal']), 1]
        if kind == 'float':
            return kind, [self.slot(float(e['value']))]
        if kind == 'str':
            return kind, [self.literal(CHARACTERS[e['kind']]), e['length']]
        if kind == 'bytes':
            return kind, [e['length']]
        if kind == 'instance':
            o = e['options']
            revive = -1 if o['resurrect'] is None else self.named(o['resurrect'])
            return kind, [self.class_of(o), revive]
        if kind == 'ref':
            return kind, [self.operand(e['of'], i), int(e['callback'])]
        if kind == 'alias':
            return kind, [self.operand(e['of'], i)]
        if kind == 'getitem':
            return kind, [self.name(e['of'], i), self.operand(e['key'], i)]
        if kind == 'getattr':
            return kind, [self.name(e['of'], i), self.literal(e['attribute'])]
        return kind, [self.name(e['of'], i)]  # pop, deref

    def statement(self, s, st):
        a, line = st['action'], st['line']
        kind = a['is']
        for i in range(st['times']):
            def of():
                return self.name(a['of'], i)
            if kind == 'bind':
                op, args = self.expression(a['value'], i)
                self.emit(s, line, i, op, self.name(a['to'], i), *args)
            elif kind in ('append', 'extend', 'add', 'discard', 'grow'):
                self.emit(s, line, i, kind, of(), self.operand(a['value'], i), *([a['times']] if kind == 'grow' else []))
            elif kind == 'insert':
                self.emit(s, line, i, kind, of(), a['at'], self.operand(a['value'], i))
            elif kind in ('pop', 'clear', 'del'):
                self.emit(s, line, i, 'POP' if kind == 'pop' else kind, of())
            elif kind == 'setitem':
                self.emit(s, line, i, kind, of(), self.operand(a['key'], i), self.operand(a['value'], i))
            elif kind == 'setattr':
                self.emit(s, line, i, kind, of(), self.literal(a['attribute']), self.operand(a['value'], i))
            elif kind == 'delitem':
                self.emit(s, line, i, kind, of(), self.operand(a['key'], i))
            elif kind == 'delattr':
                self.emit(s, line, i, kind, of(), self.literal(a['attribute']))
            elif kind == 'collect':
                self.emit(s, line, i, kind, self.literal(a['generation']))
            elif kind == 'gc.set_threshold':
                self.emit(s, line, i, kind, *a['values'])
            elif kind == 'fill':
                value = -1 if a['value'] is None else self.operand(a['value'], i)
                if a['prefix'] is None:
                    self.emit(s, line, i, 'FILL_INT', of(), a['first'], a['last'], value)
                else:
                    self.emit(s, line, i, 'FILL_STR', of(), a['first'], a['last'], value, self.slot(a['prefix']))
            elif kind == 'drain':
                if a['times'] is not None:
                    self.emit(s, line, i, 'DRAIN_POP', of(), a['times'])
                elif a['prefix'] is None:
                    self.emit(s, line, i, 'DRAIN_INT', of(), a['first'], a['last'])
                else:
                    self.emit(s, line, i, 'DRAIN_STR', of(), a['first'], a['last'], self.slot(a['prefix']))
            elif kind in OBSERVE:
                self.emit(s, line, i, kind, of())
            elif kind == 'is':
                self.emit(s, line, i, kind, of(), self.operand(a['other'], i))
            else:
                self.emit(s, line, i, kind)


def calls_text(calls):
    out = []
    for kind, size, old in calls:
        kind = chr(kind) if isinstance(kind, int) else kind
        word = '%d>%d' % (old, size) if kind == '>' else '%s%d' % (kind, size)
        if out and out[-1][0] == word:
            out[-1][1] += 1
        else:
            out.append([word, 1])
    return [w if n == 1 else '%sx%d' % (w, n) for w, n in out]


def run(statements):
    c = Compiler()
    for s, st in enumerate(statements):
        c.statement(s, st)
    names = {slot: name for name, slot in c.names.items()}
    shared = set()
    big = {slot for slot in c.literals.values()}
    done = recorder.run(c.code.tobytes(), c.slots, len(statements))
    del shared, big
    out = []
    for st, d in zip(statements, done):
        line, mem, events, counts, values, noted, sizes, died, stats, raised = d
        a = st['action']
        call = a['value']['is'] if a['is'] == 'bind' else a['is']
        o = {'line': st['line'], 'call': call}
        if st['name'] is not None:
            o['name'] = st['name']['text']
        if raised:
            o['error'] = True
        if call == 'stats':
            g = [dict(zip(('objects', 'collections', 'collected', 'uncollectable'), stats[4 + 4 * k:8 + 4 * k])) for k in range(3)]
            o['stats'] = {'threshold': stats[:3], 'enabled': bool(stats[3]), 'generations': g, 'frozen': stats[16],
                          'long_lived_total': stats[17], 'long_lived_pending': stats[18]}
        elif values:
            if call in ('tracked', 'alive', 'is'):
                values = [bool(v) for v in values]
            elif call == 'generation':
                values = [None if v < 0 else 'permanent' if v == 3 else v for v in values]
            o['ret'] = values if st['isRange'] else values[0]
        if sizes:
            o['sizes'] = sizes
        if not raised:
            o['count'] = list(counts)
            text = calls_text(mem)
            if text:
                o['mem'] = text
        if events:
            o['gc'] = [dict(([('at', at)] if st['isRange'] else []) + [('generation', g), ('collected', n), ('uncollectable', u)])
                       for at, g, n, u in events]
        if died:
            o['died'] = sorted(names[x] for x in died)
        for which, key in enumerate(('finalized', 'callbacks')):
            found = ['%s:%d' % (names.get(slot), ln) for w, slot, ln, _ in noted if w == which]
            if found:
                o[key] = found
        out.append(o)
    return out


def main():
    recorder.setup(nop, gc.collect)
    for text in sys.stdin:
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(r)
            data = json.dumps(run(json.loads(text))).encode()
            with os.fdopen(w, 'wb') as f:
                f.write(data)
            os._exit(0)
        os.close(w)
        with os.fdopen(r, 'rb') as f:
            data = f.read()
        os.waitpid(pid, 0)
        sys.stdout.write((data.decode() or 'null') + '\n')
        sys.stdout.flush()


main()
