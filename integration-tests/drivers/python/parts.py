"""What a driver is tried with beyond the scenario: named parts, some of which may be known to come out wrong at Taospg.

A part that is marked and comes out right fails the run: take the mark away.
"""


def run_parts(name, parts, marks, server):
    """Runs functions without arguments; returns how many did not come out as they should."""
    failed = 0
    for part in parts:
        mark = marks.get(part.__name__) if server == "taospg" else None
        try:
            part()
        except Exception as error:
            if not mark:
                failed += 1
                print(f"{name}: {part.__name__}: {type(error).__name__}: {' '.join(str(error).split())[:1500]}")
        else:
            if mark:
                failed += 1
                print(f"{name}: {part.__name__}: comes out right now: take away its mark ({mark})")
    print(f"{name}: {len(parts) - failed} parts as wanted, {failed} not")
    return failed
