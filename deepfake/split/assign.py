"""Assign videos to train, val and test: by the dataset's own sets, or by source group, part or identity."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.core.messages import log
from deepfake.split.crops import Crops
from deepfake.split.options import SHARES

LABELS = (REAL, FAKE)
HINT = "a source group is an original and the fakes made from it"
LARGE = 0.2  # a source group with a larger share of the crops is divided by identities

Identities = Mapping[str, tuple[str, ...]]  # identities of each video in a divided group, the target's first


def divide(
    crops: Sequence[Crops],
    official: bool = False,
    labels: Sequence[int] = LABELS,
    parts: Mapping[str, str] | None = None,
) -> dict[str, list[Crops]]:
    """Divide videos into train, val and test; logs which videos are left out, and leaks of the dataset's own split.

    With `official`, the dataset's own test set is used, and its own val set if there is one; only the other videos are
    divided. Videos are divided by source group, and by identity within a source group that is too large. `parts` (the
    part of each video id) replaces the source groups. Each set gets all `labels`. The same crops give the same sets.

    Raises:
        UserError: a set would lack a label.
    """
    group_of = {item.video.id: item.group for item in crops}
    unit = "part" if parts else "source group"
    if parts:
        crops = [replace(item, group=parts[item.video.id]) for item in crops]
    given = _given_sets(crops, labels) if official else {}
    shares = SHARES if not given else _shares_without(given)
    ours = [item for item in crops if item.video.split not in given]
    if official:
        _report_leaks(crops, unit)
    identities = {} if parts else take_apart(crops, ours, shares)
    ours = _without_leaks(ours, given, identities, unit)
    apart = [item for item in ours if item.video.id in identities]
    sets = {split: list(given.get(split, ())) for split in SHARES}
    for split, items in _by_identity(apart, identities, shares).items():
        sets[split] += items
    whole = [item for item in ours if item.video.id not in identities]
    assigned = assign_groups(whole, shares, labels, {split: _count(sets[split]) for split in shares}, unit)
    for item in whole:
        sets[assigned[item.group]].append(item)
    group_of |= {id: names[0] for id, names in identities.items()}
    return {
        split: [replace(item, group=group_of[item.video.id]) for item in sorted(items, key=_id)]
        for split, items in sets.items()
    }


def _id(item: Crops) -> str:
    return item.video.id


def _count(items: Iterable[Crops]) -> Counter:
    """Count the crops of each label."""
    counts: Counter = Counter()
    for item in items:
        counts[item.video.label] += len(item)
    return counts


# the dataset's own sets


def _given_sets(crops: Iterable[Crops], labels: Sequence[int]) -> dict[str, list[Crops]]:
    """Return the dataset's own test set, and its own val set if there is one."""
    members = {split: [item for item in crops if item.video.split == split] for split in ("val", "test")}
    given = {split: items for split, items in members.items() if items or split == "test"}
    for split, items in given.items():
        for label in labels:
            if not _count(items)[label]:
                raise UserError(
                    f"the dataset's own {split} set has no {LABEL_NAMES[label]} crops; run step 01a on its videos, "
                    "or ignore the dataset's sets with --split own"
                )
    return given


def _shares_without(given: Iterable[str]) -> dict[str, float]:
    left = {split: share for split, share in SHARES.items() if split not in given}
    return {split: share / sum(left.values()) for split, share in left.items()}


def _report_leaks(crops: Iterable[Crops], unit: str) -> None:
    """Log how many groups (called `unit`) and identities are in more than one of the dataset's own sets."""
    groups, ties = defaultdict(set), defaultdict(set)
    for item in crops:
        if item.video.split:
            groups[item.group].add(item.video.split)
            for tie in item.video.ties:
                ties[tie].add(item.video.split)
    of_groups, of_ties = (sorted(name for name, sets in where.items() if len(sets) > 1) for where in (groups, ties))
    if of_groups or of_ties:
        example, sets = (of_ties[0], ties[of_ties[0]]) if of_ties else (of_groups[0], groups[of_groups[0]])
        log.info(
            f"02: the dataset's own sets leak and are kept: {_number(len(of_groups), unit)} and "
            f"{_number(len(of_ties), 'identity', 'identities')} in more than one set, "
            f"such as {example} in {' and '.join(split for split in SHARES if split in sets)}"
        )


def _without_leaks(
    ours: list[Crops], given: Mapping[str, list[Crops]], identities: Identities, unit: str
) -> list[Crops]:
    """Drop videos that are in none of the dataset's own sets but are tied to its val or test videos."""
    known = {key for items in given.values() for item in items for key in _keys(item, identities)}
    kept = [item for item in ours if item.video.split or known.isdisjoint(_keys(item, identities))]
    if len(kept) < len(ours):
        log.info(
            f"02: {_number(len(ours) - len(kept), 'video')} left out of training: in none of the dataset's own sets, "
            f"but in one {unit} with its val or test videos"
        )
    return kept


def _keys(item: Crops, identities: Identities) -> tuple[tuple[str, str], ...]:
    """Return what must not be in two sets: the video's group, or its identities if the group is divided."""
    names = identities.get(item.video.id)
    return tuple(("identity", name) for name in names) if names else (("group", item.group),)


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


# by group


def assign_groups(
    crops: Iterable[Crops],
    shares: Mapping[str, float] = SHARES,
    labels: Sequence[int] = LABELS,
    placed: Mapping[str, Counter] | None = None,
    unit: str = "source group",
) -> dict[str, str]:
    """Assign each group to one of the sets in `shares`, so that each set gets all `labels`.

    Each set gets about its share of the crops of each label; `placed` counts the crops that it has already. First,
    every set gets the group that fits its share best. Then the other groups follow, largest first, each to the set that
    lacks most. Errors call a group `unit`.

    Raises:
        UserError: there are fewer groups with real crops, or with fake crops, than sets.
    """
    sizes: dict[str, Counter] = {}
    for item in crops:
        sizes.setdefault(item.group, Counter())[item.video.label] += len(item)
    have = {split: Counter(placed[split] if placed else ()) for split in shares}
    totals = sum([*sizes.values(), *have.values()], Counter())
    assigned: dict[str, str] = {}

    def assign(group: str, split: str) -> None:
        assigned[group] = split
        have[split] += sizes[group]

    def missing(split: str, group: str) -> float:
        """How much of its share a set lacks, over the labels of the group."""
        return min(1 - have[split][label] / (shares[split] * totals[label]) for label in sizes[group])

    for label in labels:
        # small sets choose first, since a group that is too large harms them more than train
        for split in sorted(shares, key=shares.__getitem__):
            if not have[split][label]:
                target = shares[split] * totals[label]
                free = [group for group in sizes if group not in assigned and sizes[group][label]]
                if not free:
                    raise _too_few(label, sum(size[label] > 0 for size in sizes.values()), shares, placed, unit)
                assign(min(free, key=lambda group: (abs(sizes[group][label] - target), group)), split)
    for group in sorted(sizes.keys() - assigned, key=lambda group: (-sizes[group].total(), group)):
        assign(group, max(shares, key=lambda split: missing(split, group)))
    return assigned


def _too_few(
    label: int, groups: int, shares: Mapping[str, float], placed: Mapping[str, Counter] | None, unit: str
) -> UserError:
    *others, last = shares
    listed = f"{', '.join(others)} and {last} need one each" if others else f"{last} needs one"
    beside = " besides the one divided by identities" if placed and any(placed.values()) else ""
    hint = "--group-by source divides parts" if unit == "part" else HINT
    return UserError(
        f"{groups or 'no'} {unit}{'s' * (groups != 1)} with {LABEL_NAMES[label]} crops{beside}; {listed}, so at least "
        f"{len(shares)} ({hint})"
    )


# by identity


def take_apart(crops: Sequence[Crops], ours: Sequence[Crops], sets: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the identities of the videos in source groups that are too large to be assigned to one of `sets`.

    Videos of other groups are not in the result. Celeb-DF swaps nearly all pairs of identities, so all its celebrities
    form one source group. A large group stays whole, with a message, if its videos have no ties or too few for each set
    to get a target and a source. With one set nothing needs to be divided.
    """
    least = 2 * len(list(sets))
    if least <= 2:
        return {}
    sizes: Counter = Counter()
    for item in ours:
        sizes[item.group] += len(item)
    large = {group: size / sizes.total() for group, size in sizes.items() if size > LARGE * sizes.total()}
    result: dict[str, tuple[str, ...]] = {}
    for group in sorted(large):
        members = [item for item in crops if item.group == group]
        if len({tie for item in members for tie in item.video.ties}) >= least:
            result |= _identities(members)
            del large[group]
    if large:
        group = max(sorted(large), key=large.__getitem__)
        log.info(f"02: one source group ({group}) holds {large[group]:.0%} of the crops; it stays whole, in one set")
    return result


def _identities(members: Iterable[Crops]) -> dict[str, tuple[str, ...]]:
    """Return the ties of each video and of its original; without any, the original's id or the video's own."""
    videos = [item.video for item in members]
    known = {video.id: video.ties or (video.original or video.id,) for video in videos}
    both = {video.id: (*video.ties, *known.get(video.original or "", ())) for video in videos}
    return {id: tuple(dict.fromkeys(names)) or known[id] for id, names in both.items()}


def _by_identity(apart: Sequence[Crops], identities: Identities, shares: Mapping[str, float]) -> dict[str, list[Crops]]:
    """Assign the videos whose identities are all in one set; logs how many are left out."""
    place = assign_identities(apart, identities, shares)
    sets: dict[str, list[Crops]] = {split: [] for split in shares}
    for item in apart:
        places = {place[name] for name in identities[item.video.id]}
        if len(places) == 1:
            sets[places.pop()].append(item)
    left_out = len(apart) - sum(map(len, sets.values()))
    if apart:
        groups = len({item.group for item in apart})
        log.info(
            f"02: {_number(groups, 'source group')} divided by {len(place)} identities; "
            f"{left_out} of {len(apart)} videos are left out: fakes whose identities fall into different sets"
        )
    return sets


def assign_identities(
    crops: Sequence[Crops], identities: Identities, shares: Mapping[str, float] = SHARES
) -> dict[str, str]:
    """Assign identities to the sets in `shares`; each set gets about its share of the real crops.

    A fake is kept only if all its identities are in one set, so a random tenth of the identities has about a hundredth
    of the fakes, or none. Therefore each set starts with identities that have many fakes with each other, and no two
    sets with the same identity. The small sets then add the identities that bring most fakes with those they have. The
    largest set gets the rest.
    """
    real: Counter[str] = Counter()
    fakes: Counter[frozenset[str]] = Counter()
    for item in crops:
        names = frozenset(identities[item.video.id])
        if item.video.label == FAKE:
            fakes[names] += len(item)
        else:
            real.update(dict.fromkeys(names, len(item)))
    *small, largest = sorted(shares, key=shares.__getitem__)
    best_first = sorted(fakes, key=lambda names: (not any(real[name] for name in names), -fakes[names], sorted(names)))
    counts, candidates = range(len(shares), 0, -1), _few_of_each(best_first, 2 * len(shares))
    seeds = next((found for count in counts if (found := _disjoint(candidates, count))), [])
    seeds += [frozenset()] * (len(shares) - len(seeds))
    members = {split: set(seed) for split, seed in zip([*small, largest], seeds, strict=True)}
    free = {name for item in crops for name in identities[item.video.id]}.difference(*members.values())
    gain = _gain_of(fakes)
    for split in small:
        target = shares[split] * real.total()
        while True:
            lacks = target - sum(real[name] for name in members[split])
            # up to twice what is missing: these bring the set nearer to its share
            fitting = sorted(name for name in free if 0 < real[name] <= 2 * lacks)
            if not fitting:
                break
            best = max(fitting, key=lambda name: gain(name, members[split]))
            members[split].add(best)
            free.remove(best)
    members[largest] |= free
    return {name: split for split, names in members.items() for name in names}


def _gain_of(fakes: Mapping[frozenset[str], int]) -> Callable[[str, set[str]], int]:
    """Return a function that counts the fake crops that an identity adds to a set of identities."""
    having = defaultdict(list)
    for names in fakes:
        for name in names:
            having[name].append(names)

    def gain(name: str, members: set[str]) -> int:
        together = members | {name}
        return sum(fakes[names] for names in having[name] if names <= together)

    return gain


def _few_of_each(sets: list[frozenset[str]], most: int) -> list[frozenset[str]]:
    """Return the sets in order, but at most the first `most` of each member."""
    # `_disjoint` is slow if one identity is in thousands of pairs. Each chosen set can block only as many pairs of an
    # identity as it has members, so a few pairs of each identity give the same result.
    times: Counter = Counter()
    kept = []
    for names in sets:
        if all(times[name] < most for name in names):
            times.update(names)
            kept.append(names)
    return kept


def _disjoint(sets: list[frozenset[str]], count: int) -> list[frozenset[str]] | None:
    """Return the first `count` sets in order that share no member; None if there are none."""
    if not count:
        return []
    for place, first in enumerate(sets):
        others = [other for other in sets[place + 1 :] if first.isdisjoint(other)]
        found = _disjoint(others, count - 1)
        if found is not None:
            return [first, *found]
    return None
