"""A server's warm heap, forked: what a child's reading, collecting and new objects copy.

    warm_heap.py USERS plain|freeze

Prints what the child's /proc/self/smaps_rollup said, in KiB: after the fork, after reading every
object, after gc.collect(), after making 10,000 objects. figures.json holds what it printed.
"""
import gc
import os
import sys


class User:
    def __init__(self, id, name, score):
        self.id = id
        self.name = name
        self.score = score


def rollup():
    found = {}
    with open("/proc/self/smaps_rollup") as f:
        for line in f:
            parts = line.split()
            if parts[0] in ("Pss:", "Shared_Dirty:", "Private_Dirty:"):
                found[parts[0][:-1]] = int(parts[1])
    return found


def build(n):
    users = {}
    for i in range(n):
        users[i * 7919 % 1000003] = User(i, "user %d" % i, i * 0.5)
    return users


def read(users):
    total = 0
    for u in users.values():
        total += u.id + len(u.name)
        if u.score < 0:
            total -= 1
    return total


def work():
    made = []
    for i in range(10000):
        made.append(User(i, "new %d" % i, 0.25 * i))
    return len(made)


def main():
    users = build(int(sys.argv[1]))
    if sys.argv[2] == "freeze":
        gc.freeze()
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        rollup()  # what reading /proc takes, once
        told = [rollup()]
        for phase in (lambda: read(users), gc.collect, work):
            phase()
            told.append(rollup())
        os.write(w, repr(told).encode())
        os._exit(0)
    os.close(w)
    print(os.read(r, 65536).decode())
    os.waitpid(pid, 0)


main()
