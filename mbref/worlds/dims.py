"""World `dims`: which side of the last garment counts depends on the occasion (DMRAN's level of
dimensions).

A garment has a style and a maker; the catalogue tells their pair as its category. Besides there are
items for a party and items for work, told by two more categories. Every second day a user takes
first an item for an occasion, evenly, then, the same day, a garment g that the user does not have.
With l the garment of the visit before,

    P(g | past) ~ SURE [s_g = s_l] / (garments of style s_l) + (1 - SURE) / GARMENTS   after a party
    P(g | past) ~ SURE [m_g = m_l] / (garments of maker m_l) + (1 - SURE) / GARMENTS   after work

over garments that the user does not have. Of one vector some features have to be read and others
left out, by what another event says.

Without the signal (`style`) style counts after every occasion.
"""
import numpy as np

from mbref.worlds.common import whole
from mbref.worlds.hops import FORMAT as FORMAT, LOG as LOG, TARGET as TARGET, write as write_clicks
from mbref.worlds.known import DAY, START, draw_item

SIGNALS = "occasion", "style"
USERS, SHIPPED = 800, 250
STYLES, MAKERS, PER, VISITS, SURE = 4, 4, 12, 7, 0.95
GARMENTS, OCCASIONS = STYLES * MAKERS * PER, 16
PLACE = np.arange(GARMENTS)
NONE = np.zeros(OCCASIONS, int)
STYLE = np.concatenate([[0], 1 + PLACE % STYLES, NONE])            # [N + 1]
MAKER = np.concatenate([[0], 1 + PLACE // STYLES % MAKERS, NONE])  # [N + 1]
PARTY = np.concatenate([[0], 0 * PLACE, np.arange(OCCASIONS) % 2 == 0]) == 1
CATEGORY = np.where(STYLE > 0, STYLE + STYLES * (MAKER - 1), STYLES * MAKERS + 1 + PARTY)


def chances(past, signal="occasion"):
    """P(the next garment | past), which ends in an occasion.  -> [N + 1]."""
    last = past.item[past.item <= GARMENTS][-1]
    side = STYLE if signal == "style" or PARTY[past.item[-1]] else MAKER
    same = side == side[last]
    p = SURE * same / same.sum() + (1 - SURE) / GARMENTS * (STYLE > 0)
    p[past.item] = 0
    return p / p.sum()


def draw_user(rng, signal="occasion"):
    """One user's events (item, 1, seconds)."""
    events = [(whole(rng, 1, GARMENTS), 1, START)]
    for visit in range(1, VISITS):
        now = START + 2 * DAY * visit
        events.append((GARMENTS + whole(rng, 1, OCCASIONS), 1, now))
        events.append((draw_item(rng, chances, events, signal), 1, now))
    return events


def write(people, signal):
    """ReChorus's clicks and item_meta.csv."""
    return write_clicks(people, signal, CATEGORY)
