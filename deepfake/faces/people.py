"""Which faces of a video are the same person's, by where they are and how large, from frame to frame."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from scipy.optimize import linear_sum_assignment

Box = tuple[int, int, int, int]

# in face sizes, between one frame and the next; people side by side are about two apart
FARTHEST = 1.5
# between the end of one track and the beginning of another, for both to be one person's
FARTHEST_APART = 3.0
# over which a person's speed is taken
MOVES = 3

# a person counts from this number of frames or share of the frames on: a stray detection decides nothing
LEAST_FRAMES = 3
LEAST_SHARE = 0.25


@dataclass(frozen=True)
class Spot:
    """Where a face is: the number of its frame, its centre and its size (the root of its area), in pixels."""

    frame: int
    x: float
    y: float
    size: float


@dataclass
class Track:
    """The spots of one person, by frame, and which face of its frame each of them is."""

    spots: list[Spot] = field(default_factory=list)
    faces: list[tuple[int, int]] = field(default_factory=list)

    def ahead(self, frame: int) -> Spot:
        """Where the person will be at a frame, if it goes on as it went last."""
        first, last = self.spots[-1 - MOVES :][0], self.spots[-1]
        share = (frame - last.frame) / max(1, last.frame - first.frame)
        return Spot(frame, last.x + share * (last.x - first.x), last.y + share * (last.y - first.y), last.size)

    def cost(self, spot: Spot) -> float:
        """How unlike the person a face is: its distance in face sizes, and by how many doublings it differs in size.

        The nearer counts of where the person was and where it was going: some sit and some walk.
        """
        return min(_difference(self.spots[-1], spot), _difference(self.ahead(spot.frame), spot))


def _difference(one: Spot, other: Spot) -> float:
    distance = math.hypot(one.x - other.x, one.y - other.y)
    return 2 * distance / (one.size + other.size) + abs(math.log2(one.size / other.size))


def join_people(faces: Sequence[Sequence[Box]], shots: Sequence[int] | None = None) -> list[list[int]]:
    """The number of each face's person, from the boxes x, y, width, height (pixels) in each of a video's frames.

    `shots` are the numbers of the frames' shots, as `find_shots` gives them: nobody is the same in two of them.

    0 is the person with most faces; of as many, the earliest, then the leftmost. No two faces of a frame are one
    person's. Faces that were seen once are matched after the others (as tentative tracks in Wojke et al. 2017, Simple
    Online and Realtime Tracking with a Deep Association Metric), so that a stray one never takes a person over.
    """
    shots = shots or [0] * len(faces)
    tracks = [track for shot in sorted(set(shots)) for track in _tracks(faces, [at == shot for at in shots])]
    tracks.sort(key=lambda track: (-len(track.faces), track.spots[0].frame, track.spots[0].x))
    person = {face: number for number, track in enumerate(tracks) for face in track.faces}
    return [[person[frame, face] for face in range(len(boxes))] for frame, boxes in enumerate(faces)]


def count_people(faces: Iterable[tuple[int, str]]) -> int | None:
    """How many people of a video count, from the frame and the person of each of its faces; None if none is known."""
    faces = set(faces)
    return len(people_who_count(faces)) if any(person for _, person in faces) else None


def people_who_count(faces: Iterable[tuple[int, str]]) -> set[str]:
    """Who of a video's people is in enough of its frames to count, from the frame and the person of each face."""
    faces = set(faces)
    least = least_frames(len({frame for frame, _ in faces}))
    return {person for person, count in Counter(person for _, person in faces if person).items() if count >= least}


def least_frames(frames: int) -> float:
    """In how many of a video's frames a person must be seen to count."""
    return min(LEAST_FRAMES, LEAST_SHARE * frames)


def _tracks(faces: Sequence[Sequence[Box]], there: Sequence[bool]) -> list[Track]:
    """The tracks through those frames that are `there`."""
    tracks: list[Track] = []
    for frame, boxes in enumerate(faces):
        spots = {(frame, face): _spot(frame, box) for face, box in enumerate(boxes) if there[frame]}
        seen_often = [track for track in tracks if len(track.spots) > 1]
        seen_once = [track for track in tracks if len(track.spots) == 1]
        left = _extend(seen_once, _extend(seen_often, spots))
        tracks += [Track([spot], [face]) for face, spot in left.items()]
    return _merge(tracks)


def _spot(frame: int, box: Box) -> Spot:
    x, y, width, height = box
    return Spot(frame, x + width / 2, y + height / 2, math.sqrt(width * height))


def _extend(tracks: list[Track], spots: dict[tuple[int, int], Spot]) -> dict[tuple[int, int], Spot]:
    """Add to each track the spot of a frame that fits it, if any, at the least cost of all; gives those left over."""
    faces = list(spots)
    costs = [[min(track.cost(spots[face]), FARTHEST) for face in faces] for track in tracks]
    for row, column in zip(*linear_sum_assignment(costs), strict=True) if tracks and faces else ():
        if costs[row][column] < FARTHEST:
            tracks[row].faces.append(faces[column])
            tracks[row].spots.append(spots.pop(faces[column]))
    return spots


def _merge(tracks: list[Track]) -> list[Track]:
    """Join tracks where one begins near the end of another, the nearest first, but no face that was seen once."""
    while True:
        often = [track for track in tracks if len(track.spots) > 1]
        pairs = [(a, b) for a, b in permutations(often, 2) if a.spots[-1].frame < b.spots[0].frame]
        if not pairs:
            return tracks
        before, after = min(pairs, key=lambda pair: pair[0].cost(pair[1].spots[0]))
        if before.cost(after.spots[0]) >= FARTHEST_APART:
            return tracks
        before.spots += after.spots
        before.faces += after.faces
        tracks.remove(after)
