/* Runs the operations of an object script on this interpreter and notes what each does to its heap:
 * allocator calls, collections, counts, deaths. Between two operations nothing else runs. Built by
 * record.py against the interpreter's own headers; CPython 3.11 to 3.13. */
#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE
#include <Python.h>
#include "internal/pycore_gc.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_object.h"

enum { BIND_LIST, BIND_TUPLE, BIND_DICT, BIND_SET, BIND_INT, BIND_FLOAT, BIND_STR, BIND_BYTES,
       BIND_INSTANCE, BIND_REF, BIND_ALIAS, BIND_GETITEM, BIND_GETATTR, BIND_POP, BIND_DEREF,
       DEL, APPEND, EXTEND, INSERT, POP, CLEAR, ADD, DISCARD, SETITEM, SETATTR, DELITEM, DELATTR,
       COLLECT, DISABLE, ENABLE, FREEZE, THRESHOLD, GROW, FILL_INT, FILL_STR, DRAIN_POP, DRAIN_INT,
       DRAIN_STR, REFCOUNT, SIZEOF, LEN, TRACKED, GENERATION, ALIVE, IS, STATS, END };

typedef struct { int kind; size_t size, old; } Call;
typedef struct { long at; long long a, b, c; } Event;

static Call *calls;
static size_t ncalls, maxcalls;
static int armed;
static PyObject **R;     /* slots: names, literals, classes */
static long nslots;
static PyObject *nop, *ref_type, *callback, *gc_module, *gc_collect;
static long current;     /* index within the statement */
static PyObject *lines;  /* what is noted, made between statements */

/* sizes of living blocks ------------------------------------------------------------------------ */
static void **keys;
static size_t *sizes;
static size_t cap = 1 << 22;
static size_t slot_of(void *p) {
    size_t i = ((size_t)p >> 4) * 11400714819323198485ull >> 42;
    while (keys[i] && keys[i] != p) i = (i + 1) & (cap - 1);
    return i;
}
static void put(void *p, size_t n) { size_t i = slot_of(p); keys[i] = p; sizes[i] = n; }
static size_t get(void *p) { size_t i = slot_of(p); return keys[i] ? sizes[i] : (size_t)-1; }

static void note_call(int kind, size_t size, size_t old) {
    if (!armed || size == (size_t)-1) return;
    if (ncalls == maxcalls) calls = realloc(calls, (maxcalls = maxcalls * 2 + 1024) * sizeof *calls);
    calls[ncalls++] = (Call){kind, size, old};
}

/* collections ----------------------------------------------------------------------------------- */
static struct gc_generation_stats seen[3];
static Event found[65536];
static int nfound;
static void poll_gc(void) {
    struct _gc_runtime_state *gc = &PyInterpreterState_Get()->gc;
    if (!armed) return;
    for (int g = 0; g < 3; g++) {
        struct gc_generation_stats *s = &gc->generation_stats[g];
        if (s->collections == seen[g].collections) continue;
        if (nfound < 65536)
            found[nfound++] = (Event){current, g, s->collected - seen[g].collected,
                                      s->uncollectable - seen[g].uncollectable};
        seen[g] = *s;
    }
}

/* hooks ------------------------------------------------------------------------------------------ */
static PyMemAllocatorEx real[2];
static void *h_malloc(void *c, size_t n) {
    poll_gc();
    void *p = real[(size_t)c].malloc(real[(size_t)c].ctx, n);
    put(p, n); note_call('+', n, 0); return p;
}
static void *h_calloc(void *c, size_t k, size_t n) {
    poll_gc();
    void *p = real[(size_t)c].calloc(real[(size_t)c].ctx, k, n);
    put(p, k * n); note_call('+', k * n, 0); return p;
}
static void *h_realloc(void *c, void *q, size_t n) {
    poll_gc();
    size_t old = q ? get(q) : 0;
    void *p = real[(size_t)c].realloc(real[(size_t)c].ctx, q, n);
    put(p, n);
    if (q) note_call('>', n, old); else note_call('+', n, 0);
    return p;
}
static void h_free(void *c, void *p) {
    poll_gc();
    if (p) note_call('-', get(p), 0);
    real[(size_t)c].free(real[(size_t)c].ctx, p);
}

/* finalizers and callbacks ------------------------------------------------------------------------ */
typedef struct { void *op; long slot, line, revive; } Label;
static Label labels[1 << 16];
static Event noted[1 << 16];  /* at 0: finalized, 1: callback; a slot, b line */
static int nnoted;
static Label *label(void *op) {
    size_t i = ((size_t)op >> 4) * 11400714819323198485ull >> 48;
    while (labels[i].op && labels[i].op != op) i = (i + 1) & 0xffff;
    return &labels[i];
}
static void bind(long slot, PyObject *value) {
    PyObject *old = R[slot];
    R[slot] = value;
    Py_XDECREF(old);
}
static PyObject *on_finalize(PyObject *m, PyObject *self) {
    Label *l = label(self);
    noted[nnoted++ & 0xffff] = (Event){0, l->op ? l->slot : -1, l->line, 0};
    if (l->op && l->revive >= 0) { Py_INCREF(self); bind(l->revive, self); }
    Py_RETURN_NONE;
}
static PyObject *on_callback(PyObject *m, PyObject *ref) {
    Label *l = label(ref);
    noted[nnoted++ & 0xffff] = (Event){1, l->op ? l->slot : -1, l->line, 0};
    Py_RETURN_NONE;
}

static void between(void) { Py_XDECREF(PyObject_CallNoArgs(nop)); }

static long long generation_of(PyObject *op) {
    struct _gc_runtime_state *gc = &PyInterpreterState_Get()->gc;
    if (!PyObject_GC_IsTracked(op)) return -1;
    for (int g = 0; g < 4; g++) {
        PyGC_Head *h = g < 3 ? &gc->generations[g].head : &gc->permanent_generation.head;
        for (PyGC_Head *at = _PyGCHead_NEXT(h); at != h; at = _PyGCHead_NEXT(at))
            if ((PyObject *)(at + 1) == op) return g;
    }
    return -2;
}
static long long list_size(PyGC_Head *h) {
    long long n = 0;
    for (PyGC_Head *at = _PyGCHead_NEXT(h); at != h; at = _PyGCHead_NEXT(at)) n++;
    return n;
}
size_t _PySys_GetSizeOf(PyObject *);

/* sys.getsizeof() makes a bound method: it shall leave no trace. */
static long long size_of(PyObject *op) {
    struct _gc_runtime_state *gc = &PyInterpreterState_Get()->gc;
    int count = gc->generations[0].count, enabled = gc->enabled;
    armed = gc->enabled = 0;
    long long n = _PySys_GetSizeOf(op);
    gc->generations[0].count = count;
    gc->enabled = enabled;
    armed = 1;
    return n;
}

static long long sizes_noted[1 << 16][2];
static int nsizes, sizes_from;
static void note_size(PyObject *op) {
    long long n = size_of(op);
    if (nsizes > sizes_from && sizes_noted[nsizes - 1][1] == n) return;
    sizes_noted[nsizes][0] = PyObject_Size(op);
    sizes_noted[nsizes++][1] = n;
}
static PyObject *key_of(int is_str, PyObject *prefix, long long k) {
    char text[128];
    if (!is_str) return PyLong_FromLongLong(k);
    int n = snprintf(text, sizeof text, "%s%lld", PyUnicode_AsUTF8(prefix), k);
    return PyUnicode_FromStringAndSize(text, n);
}
#define CALL0(op, name) PyObject_CallMethodNoArgs(op, name)
static PyObject *s_pop, *s_clear, *s_extend, *s_freeze;

static PyObject *make(int op, long long *a, int n) {
    PyObject *x;
    switch (op) {
    case BIND_LIST: case BIND_TUPLE: {  /* to, how many, slots (0: None) */
        Py_ssize_t k = a[1];
        for (Py_ssize_t i = 0; i < k; i++) Py_INCREF(a[0] ? R[a[2 + i]] : Py_None);
        x = op == BIND_LIST ? PyList_New(k) : PyTuple_New(k);
        for (Py_ssize_t i = 0; i < k; i++) {
            PyObject *v = a[0] ? R[a[2 + i]] : Py_None;
            if (op == BIND_LIST) PyList_SET_ITEM(x, i, v); else PyTuple_SET_ITEM(x, i, v);
        }
        return x;
    }
    case BIND_DICT: return PyDict_New();
    case BIND_SET: return PyObject_CallNoArgs((PyObject *)&PySet_Type);
    case BIND_INT:
        if (a[1]) return PyLong_FromString(PyUnicode_AsUTF8(R[a[0]]), NULL, 10);
        return PyLong_FromLongLong(a[0]);
    case BIND_FLOAT: return PyFloat_FromDouble(PyFloat_AS_DOUBLE(R[a[0]]));
    case BIND_STR: return PySequence_Repeat(R[a[0]], a[1]);
    case BIND_BYTES:
        x = PyBytes_FromStringAndSize(NULL, a[0]);
        memset(PyBytes_AS_STRING(x), 0, a[0]);
        return x;
    case BIND_INSTANCE: return PyObject_CallNoArgs(R[a[0]]);
    case BIND_REF:
        if (a[1]) return PyWeakref_NewRef(R[a[0]], callback);
        return PyWeakref_NewRef(R[a[0]], NULL);
    case BIND_ALIAS: Py_INCREF(R[a[0]]); return R[a[0]];
    case BIND_GETITEM: return PyObject_GetItem(R[a[0]], R[a[1]]);
    case BIND_GETATTR: return PyObject_GetAttr(R[a[0]], R[a[1]]);
    case BIND_POP: return CALL0(R[a[0]], s_pop);
    case BIND_DEREF: return PyObject_CallNoArgs(R[a[0]]);
    }
    return NULL;
}

/* grow, fill and drain: stops where one raises. */
static int bulk(int op, long long *a) {
    PyObject *x, *of = R[a[0]];
    int is_counted = op == GROW || op == DRAIN_POP;
    int is_str = op == FILL_STR || op == DRAIN_STR;
    long long first = is_counted ? 1 : a[1], last = op == GROW ? a[2] : op == DRAIN_POP ? a[1] : a[2];
    note_size(of);
    for (long long k = first; k <= last; k++) {
        int bad = 0;
        if (op == GROW) bad = PyList_Append(of, R[a[1]]);
        else if (op == DRAIN_POP) { x = CALL0(of, s_pop); bad = x ? 0 : -1; Py_XDECREF(x); }
        else {
            x = key_of(is_str, op == FILL_STR ? R[a[4]] : op == DRAIN_STR ? R[a[3]] : NULL, k);
            if (op == FILL_INT || op == FILL_STR)
                bad = a[3] < 0 ? PySet_Add(of, x) : PyObject_SetItem(of, x, R[a[3]]);
            else bad = PyAnySet_Check(of) ? PySet_Discard(of, x) : PyObject_DelItem(of, x);
            Py_DECREF(x);
        }
        if (bad < 0) return -1;
        note_size(of);
    }
    return 0;
}

/* @returns 0, or -1 if it raised; *out is what an observation gives. */
static int act(int op, long long *a, int n, long line, long long *out, int *has) {
    PyObject *x;
    if (op < DEL) {
        long to = a[0];
        x = make(op, a + 1, n - 1);
        if (!x) return -1;
        if (op == BIND_INSTANCE || (op == BIND_REF && Py_REFCNT(x) == 1)) {
            Label *l = label(x);
            *l = (Label){x, to, line, op == BIND_INSTANCE ? a[2] : -1};
        }
        if (op == BIND_SET || op == BIND_INSTANCE || op == BIND_REF || op == BIND_DEREF || op == BIND_POP)
            between();
        bind(to, x);
        return 0;
    }
    switch (op) {
    case DEL: bind(a[0], NULL); return 0;
    case APPEND: return PyList_Append(R[a[0]], R[a[1]]);
    case EXTEND: x = PyObject_CallMethodOneArg(R[a[0]], s_extend, R[a[1]]); Py_XDECREF(x); return x ? 0 : -1;
    case INSERT: return PyList_Insert(R[a[0]], a[1], R[a[2]]);
    case POP: x = CALL0(R[a[0]], s_pop); if (x) between(); Py_XDECREF(x); return x ? 0 : -1;
    case CLEAR: x = CALL0(R[a[0]], s_clear); Py_XDECREF(x); return x ? 0 : -1;
    case ADD: return PySet_Add(R[a[0]], R[a[1]]);
    case DISCARD: return PySet_Discard(R[a[0]], R[a[1]]) < 0 ? -1 : 0;
    case SETITEM: return PyObject_SetItem(R[a[0]], R[a[1]], R[a[2]]);
    case SETATTR: return PyObject_SetAttr(R[a[0]], R[a[1]], R[a[2]]);
    case DELITEM: return PyObject_DelItem(R[a[0]], R[a[1]]);
    case DELATTR: return PyObject_SetAttr(R[a[0]], R[a[1]], NULL);
    case COLLECT: x = PyObject_CallOneArg(gc_collect, R[a[0]]); *out = PyLong_AsLongLong(x); *has = 1;
        Py_DECREF(x); return 0;
    case DISABLE: PyGC_Disable(); return 0;
    case ENABLE: PyGC_Enable(); return 0;
    case FREEZE: Py_XDECREF(PyObject_CallMethod(gc_module, "freeze", NULL)); return 0;
    case THRESHOLD: for (int i = 0; i < n; i++) PyInterpreterState_Get()->gc.generations[i].threshold = a[i]; return 0;
    case GROW: case FILL_INT: case FILL_STR: case DRAIN_POP: case DRAIN_INT: case DRAIN_STR:
        return bulk(op, a);
    case REFCOUNT: *out = Py_REFCNT(R[a[0]]); break;
    case SIZEOF: *out = size_of(R[a[0]]); break;
    case LEN: *out = PyObject_Size(R[a[0]]); if (*out < 0) return -1; break;
    case TRACKED: *out = PyObject_GC_IsTracked(R[a[0]]); break;
    case GENERATION: *out = PyObject_IS_GC(R[a[0]]) ? generation_of(R[a[0]]) : -1; break;
    case ALIVE: *out = PyWeakref_GetObject(R[a[0]]) != Py_None; break;
    case IS: *out = R[a[0]] == R[a[1]]; break;
    }
    *has = 1;
    return 0;
}

/* what a statement did, as a Python list of plain numbers ------------------------------------------ */
static PyObject *observe_calls(void) {
    PyObject *list = PyList_New(0);
    for (size_t i = 0; i < ncalls; i++) {
        PyObject *t = Py_BuildValue("(Cnn)", calls[i].kind, (Py_ssize_t)calls[i].size, (Py_ssize_t)calls[i].old);
        PyList_Append(list, t);
        Py_DECREF(t);
    }
    return list;
}
static PyObject *observe_events(Event *e, int n) {
    PyObject *list = PyList_New(0);
    for (int i = 0; i < n; i++) {
        PyObject *t = Py_BuildValue("(lLLL)", e[i].at, e[i].a, e[i].b, e[i].c);
        PyList_Append(list, t);
        Py_DECREF(t);
    }
    return list;
}

static char *was_alive;
static PyObject **alive_ref;
static long deaths[1 << 16];
static int ndeaths;
static void look_for_deaths(void) {
    for (long i = 0; i < nslots; i++) {
        PyObject *r = R[i];
        int is_ref = r && PyWeakref_Check(r);
        if (was_alive[i] && is_ref && alive_ref[i] == r && PyWeakref_GetObject(r) == Py_None) deaths[ndeaths++] = i;
        was_alive[i] = is_ref && PyWeakref_GetObject(r) != Py_None;
        alive_ref[i] = r;
    }
}

/* What a statement did is kept in C until the end: making Python objects would disturb the heap. */
typedef struct { long line; int raised; long long counts[3], out[4096]; int nout; size_t calls0, calls1;
    int gc0, gc1, noted0, noted1, sizes0, sizes1, deaths0, deaths1; int is_stats; long long stats[17]; } Done;

static PyObject *run(PyObject *m, PyObject *args) {
    Py_buffer view;
    PyObject *slots;
    long nstatements;
    if (!PyArg_ParseTuple(args, "y*Ol", &view, &slots, &nstatements)) return NULL;
    long long *code = view.buf;
    long words = view.len / 8;
    nslots = PyList_Size(slots);
    R = calloc(nslots, sizeof *R);
    was_alive = calloc(nslots, 1);
    alive_ref = calloc(nslots, sizeof *alive_ref);
    for (long i = 0; i < nslots; i++) {
        PyObject *x = PyList_GET_ITEM(slots, i);
        if (x != Py_Ellipsis) { Py_INCREF(x); R[i] = x; }
    }
    Done *done = calloc(nstatements, sizeof *done);
    struct _gc_runtime_state *gc = &PyInterpreterState_Get()->gc;
    PyGC_Enable();
    between();
    PyGC_Collect(); PyGC_Collect();
    Py_XDECREF(CALL0(gc_module, s_freeze));  /* a name that stays: the method cache has it */
    for (int g = 0; g < 3; g++) { gc->generations[g].count = 0; memset(&gc->generation_stats[g], 0, sizeof seen[g]); }
    gc->long_lived_total = gc->long_lived_pending = 0;
    memset(seen, 0, sizeof seen);
    long long frozen = list_size(&gc->permanent_generation.head);
    PyGC_Collect();  /* free lists */
    memset(seen, 0, sizeof seen);
    for (int g = 0; g < 3; g++) { gc->generations[g].count = 0; memset(&gc->generation_stats[g], 0, sizeof seen[g]); }
    gc->long_lived_total = gc->long_lived_pending = 0;
    long i = 0;
    while (i < words) {
        long s = code[i], line = code[i + 1];
        int op = code[i + 2], n = code[i + 3];
        long at = code[i + 4];
        Done *d = &done[s];
        if (d->line == 0) {
            d->line = line;
            d->calls0 = ncalls; d->gc0 = nfound; d->noted0 = nnoted; d->sizes0 = sizes_from = nsizes; d->deaths0 = ndeaths;
        }
        current = at;
        long long out = 0; int has = 0;
        if (op == STATS) {
            d->is_stats = 1;
            long long *t = d->stats;
            for (int g = 0; g < 3; g++) { *t++ = gc->generations[g].threshold; }
            *t++ = gc->enabled;
            for (int g = 0; g < 3; g++) {
                *t++ = list_size(&gc->generations[g].head);
                *t++ = gc->generation_stats[g].collections; *t++ = gc->generation_stats[g].collected;
                *t++ = gc->generation_stats[g].uncollectable;
            }
            *t++ = list_size(&gc->permanent_generation.head) - frozen;
            /* long_lived follow in counts */
            d->out[0] = gc->long_lived_total; d->out[1] = gc->long_lived_pending;
        } else if (op != END) {
            armed = 1;
            int bad = d->raised ? 0 : act(op, code + i + 5, n, line, &out, &has);
            if (bad) { d->raised = 1; PyErr_Clear(); }
            poll_gc();
            between();
            poll_gc();
            armed = 0;
            if (has && d->nout < 4096) d->out[d->nout++] = out;
        }
        look_for_deaths();
        for (int g = 0; g < 3; g++) d->counts[g] = gc->generations[g].count;
        d->calls1 = ncalls; d->gc1 = nfound; d->noted1 = nnoted; d->sizes1 = nsizes; d->deaths1 = ndeaths;
        i += 5 + n;
    }
    PyGC_Disable();
    PyObject *result = PyList_New(0);
    size_t all = ncalls;
    Call *all_calls = calls;
    for (long s = 0; s < nstatements; s++) {
        Done *d = &done[s];
        calls = all_calls + d->calls0; ncalls = d->calls1 - d->calls0;
        PyObject *mem = observe_calls();
        PyObject *out = PyList_New(0), *sz = PyList_New(0), *died = PyList_New(0), *st = PyList_New(0);
        for (int k = 0; k < d->nout; k++) { PyObject *v = PyLong_FromLongLong(d->out[k]); PyList_Append(out, v); }
        for (int k = d->sizes0; k < d->sizes1; k++) {
            PyObject *v = Py_BuildValue("[LL]", sizes_noted[k][0], sizes_noted[k][1]); PyList_Append(sz, v); }
        for (int k = d->deaths0; k < d->deaths1; k++) { PyObject *v = PyLong_FromLong(deaths[k]); PyList_Append(died, v); }
        if (d->is_stats) {
            for (int k = 0; k < 17; k++) { PyObject *v = PyLong_FromLongLong(d->stats[k]); PyList_Append(st, v); }
            for (int k = 0; k < 2; k++) { PyObject *v = PyLong_FromLongLong(d->out[k]); PyList_Append(st, v); }
        }
        PyObject *t = Py_BuildValue("(lNN(LLL)NNNNNi)", d->line, mem, observe_events(found + d->gc0, d->gc1 - d->gc0),
            d->counts[0], d->counts[1], d->counts[2], out, observe_events(noted + d->noted0, d->noted1 - d->noted0),
            sz, died, st, d->raised);
        PyList_Append(result, t);
    }
    calls = all_calls; ncalls = all;
    return result;
}

static PyObject *setup(PyObject *m, PyObject *args) {
    if (!PyArg_ParseTuple(args, "OO", &nop, &gc_collect)) return NULL;
    Py_INCREF(nop); Py_INCREF(gc_collect);
    gc_module = PyImport_ImportModule("gc");
    callback = PyObject_GetAttrString(m, "on_callback");
    s_pop = PyUnicode_InternFromString("pop");
    s_clear = PyUnicode_InternFromString("clear");
    s_freeze = PyUnicode_InternFromString("freeze");
    s_extend = PyUnicode_InternFromString("extend");
    keys = calloc(cap, sizeof *keys);
    sizes = calloc(cap, sizeof *sizes);
    PyMemAllocatorDomain domains[2] = {PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
    for (size_t i = 0; i < 2; i++) {
        PyMem_GetAllocator(domains[i], &real[i]);
        PyMemAllocatorEx hook = {(void *)i, h_malloc, h_calloc, h_realloc, h_free};
        PyMem_SetAllocator(domains[i], &hook);
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"setup", setup, METH_VARARGS, ""}, {"run", run, METH_VARARGS, ""},
    {"on_finalize", on_finalize, METH_O, ""}, {"on_callback", on_callback, METH_O, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "recorder", 0, -1, methods};
PyMODINIT_FUNC PyInit_recorder(void) { return PyModule_Create(&module); }
