#!/usr/bin/env python3
"""Prints powers_table.h: python3 src/text/powers_table.py > src/text/powers_table.h

The bounds: 10^-342 is the least power at which a number of nineteen digits can be anything but zero as a
double, and 10^324 brings the smallest double, 5e-324, in front of the point.
"""

from fractions import Fraction
from math import ceil

MIN, MAX = -342, 324
EXACT_MIN, EXACT_MAX = 0, 55

HEAD = f"""/*
** powers_table.h - powers of ten in 128 bits. Printed by powers_table.py, which explains the bounds.
**
** 10^n is power * 2^(floor(log2(10^n)) - 127): the highest bit is set. Rounded up where 128 bits don't hold
** it; they do for n in POWERS_EXACT_MIN .. POWERS_EXACT_MAX.
*/
#ifndef VIPERDB_POWERS_TABLE_H
#define VIPERDB_POWERS_TABLE_H

#include <stdint.h>

#define POWERS_MIN ({MIN})
#define POWERS_MAX {MAX}
#define POWERS_EXACT_MIN {EXACT_MIN}
#define POWERS_EXACT_MAX {EXACT_MAX}

typedef struct power {{
  uint64_t high, low;
}} power;

/* clang-format off */
static const power powers[POWERS_MAX - POWERS_MIN + 1] = {{"""

FOOT = """};
/* clang-format on */

#endif"""


def power_text(n):
    floor_of_log2 = n * 217706 >> 16
    scaled = Fraction(10) ** n * Fraction(2) ** (127 - floor_of_log2)
    power = ceil(scaled)
    assert 2**127 <= power < 2**128
    assert (power == scaled) == (EXACT_MIN <= n <= EXACT_MAX)
    return f"{{0x{power >> 64:016X}, 0x{power & (2**64 - 1):016X}}},"


print(HEAD)
for n in range(MIN, MAX + 1, 2):
    print("  " + " ".join(power_text(n) for n in range(n, min(n + 2, MAX + 1))))
print(FOOT)
