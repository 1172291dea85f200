"""The scenario writes $1, $2 …; DB-API drivers want other signs in their place."""

import re

PLACE = re.compile(r"\$(\d+)")


def percent_s(text, values):
    """%s for each, with the values in the order in which they are asked for. Without values the text stays as it is."""
    return signs(text.replace("%", "%%"), values, "%s") if values else (text, [])


def question_marks(text, values):
    return signs(text, values, "?") if values else (text, [])


def signs(text, values, sign):
    places = [int(number) - 1 for number in PLACE.findall(text)]
    return PLACE.sub(sign, text), [values[place] for place in places]
