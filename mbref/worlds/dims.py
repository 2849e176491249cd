"""World `dims`: which side of the last garment counts depends on the occasion (DMRAN's level of
dimensions).

A garment has a style and a maker; the catalogue tells their pair as its category. Besides there are
items for a party and items for work, told by two more categories. Every second day a user looks at
one of these, drawn evenly, and, the same day, buys a garment g. With l the garment bought before,

    P(g | past) ~ SURE [s_g = s_l] / (garments of style s_l) + (1 - SURE) / GARMENTS   after a party
    P(g | past) ~ SURE [m_g = m_l] / (garments of maker m_l) + (1 - SURE) / GARMENTS   after work

over garments that the user does not have. Of one vector some features have to be read and others
left out, by what another event says.

Without the signal (`style`) style counts after every occasion.
"""
import numpy as np

from mbref.worlds.known import DAY, START, draw_item, text_of, whole

FORMAT, TARGET, LOG = "taobao", "buy", "UserBehavior.csv"
SIGNALS = "occasion", "style"
USERS, SHIPPED = 800, 250
STYLES, MAKERS, PER, VISITS, SURE = 4, 4, 12, 7, 0.95
GARMENTS, OCCASIONS = STYLES * MAKERS * PER, 16
BUY, VIEW = 1, 4  # behaviours
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


def blind(past, signal="occasion"):
    """The best that can be said without the occasion: the mean over both.  -> [N + 1]."""
    both = [[*past.item[:-1], GARMENTS + kind] for kind in (1, 2)]
    return np.mean([chances(past._replace(item=np.array(item)), signal) for item in both], axis=0)


def draw_user(rng, signal="occasion"):
    """One user's events (item, behaviour, seconds)."""
    events = [(whole(rng, 1, GARMENTS), BUY, START)]
    for visit in range(1, VISITS):
        now = START + 2 * DAY * visit
        events.append((GARMENTS + whole(rng, 1, OCCASIONS), VIEW, now))
        events.append((draw_item(rng, chances, events, signal), BUY, now))
    return events


def write(people, signal):
    """Taobao's lines: user, item, category, behaviour and seconds."""
    names = {BUY: "buy", VIEW: "pv"}
    return {LOG: text_of([(user, item, CATEGORY[item], names[kind], now)
                          for user, events in enumerate(people, 1) for item, kind, now in events])}
