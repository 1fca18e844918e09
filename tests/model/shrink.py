# SPDX-License-Identifier: Apache-2.0
"""The shortest part of a list that still fails: delta debugging (Zeller, Hildebrandt, 2002)."""


def shrink(steps, fails, enough=lambda: False):
    """fails(part) plays a part.  enough() ends the search early.  Returns the shortest that failed."""
    size = max(len(steps) // 2, 1)
    while not enough():
        at, shorter = 0, False
        while at < len(steps) and not enough():
            part = steps[:at] + steps[at + size:]
            if part and fails(part):
                steps, shorter = part, True
            else:
                at += size
        if size > 1:
            size = size // 2
        elif not shorter:
            break
    return steps
