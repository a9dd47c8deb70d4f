"""Answers what pm's calendar is asked, by python-dateutil and zoneinfo, which know nothing of pm.

A line of input is a question, and a line of output its answer:

    reset DAY POLICY     the first reset after the day, or `never`
    local ZONE SECONDS   the date and the time of day there

`zone ZONE HEX` is not answered: it is the content of the zone's TZif file.
"""

import io
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, YEARLY, rrule

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def date(text):
    return datetime.strptime(text, "%Y-%m-%d")


def clamped(day):
    """The day of the month, or the last of a month without it: by itself, a rule would skip that month."""
    return {"bymonthday": list(range(min(day, 28), day + 1)), "bysetpos": -1}


def rule(words, day):
    if words[0] == "every" and words[2] in ("day", "days"):
        return rrule(DAILY, interval=int(words[1]), dtstart=date(words[4]))
    if words[0] == "every":
        start = date(words[6] + "-01")
        return rrule(MONTHLY, interval=int(words[1]), dtstart=start, **clamped(int(words[4])))
    if words[0] == "yearly":
        month, day_of_month = (int(number) for number in words[1].split("-"))
        start = day.replace(month=1, day=1)
        return rrule(YEARLY, dtstart=start, bymonth=month, **clamped(day_of_month))
    if words[0] == "once":
        return rrule(DAILY, count=1, dtstart=date(words[1]))
    return rrule(MONTHLY, dtstart=day.replace(day=1), **clamped(int(words[0])))


def reset(day, *words):
    day = date(day)
    following = None if words[0] == "never" else rule(words, day).after(day)
    return following.date().isoformat() if following else "never"


def local(zone, seconds):
    there = (EPOCH + timedelta(seconds=int(seconds))).astimezone(zone)
    return there.replace(tzinfo=None).isoformat()


zones = {}
answers = []
for line in sys.stdin.read().splitlines():
    kind, *words = line.split()
    if kind == "zone":
        zones[words[0]] = ZoneInfo.from_file(io.BytesIO(bytes.fromhex(words[1])))
    elif kind == "local":
        answers.append(local(zones[words[0]], words[1]))
    else:
        answers.append(reset(*words))
print("\n".join(answers))
